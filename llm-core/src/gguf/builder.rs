//! Writes small files for tests, including invalid ones.

use super::ValueType;
use std::vec::Vec;

/// A file under construction. Sections are plain bytes, so that a test can put anything there.
#[derive(Clone, Default)]
pub(crate) struct Builder {
    keys: u64,
    key_bytes: Vec<u8>,
    tensors: u64,
    tensor_bytes: Vec<u8>,
    data: Vec<u8>,
}

pub(crate) fn string(text: &[u8]) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(text);
    bytes
}

impl Builder {
    /// A metadata entry whose value is given as bytes.
    pub(crate) fn key(mut self, key: &str, value_type: u32, value: &[u8]) -> Self {
        self.keys += 1;
        self.key_bytes.extend(string(key.as_bytes()));
        self.key_bytes.extend(value_type.to_le_bytes());
        self.key_bytes.extend(value);
        self
    }

    pub(crate) fn u32(self, key: &str, value: u32) -> Self {
        self.key(key, ValueType::U32.to_gguf(), &value.to_le_bytes())
    }

    pub(crate) fn bool(self, key: &str, value: bool) -> Self {
        self.key(key, ValueType::Bool.to_gguf(), &[u8::from(value)])
    }

    pub(crate) fn str(self, key: &str, value: &str) -> Self {
        self.key(key, ValueType::String.to_gguf(), &string(value.as_bytes()))
    }

    pub(crate) fn array(
        self,
        key: &str,
        item_type: ValueType,
        items: impl IntoIterator<Item = Vec<u8>>,
    ) -> Self {
        let items: Vec<Vec<u8>> = items.into_iter().collect();
        let mut value = item_type.to_gguf().to_le_bytes().to_vec();
        value.extend((items.len() as u64).to_le_bytes());
        items.iter().for_each(|item| value.extend(item));
        self.key(key, ValueType::Array.to_gguf(), &value)
    }

    pub(crate) fn tensor(mut self, name: &str, ggml_type: u32, dims: &[u64], offset: u64) -> Self {
        self.tensors += 1;
        self.tensor_bytes.extend(string(name.as_bytes()));
        self.tensor_bytes.extend((dims.len() as u32).to_le_bytes());
        dims.iter()
            .for_each(|size| self.tensor_bytes.extend(size.to_le_bytes()));
        self.tensor_bytes.extend(ggml_type.to_le_bytes());
        self.tensor_bytes.extend(offset.to_le_bytes());
        self
    }

    pub(crate) fn data(mut self, bytes: usize) -> Self {
        self.data.resize(bytes, 0x3C);
        self
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend(self.tensors.to_le_bytes());
        file.extend(self.keys.to_le_bytes());
        file.extend(&self.key_bytes);
        file.extend(&self.tensor_bytes);
        if self.tensors > 0 {
            file.resize(file.len().next_multiple_of(32), 0);
        }
        file.extend(&self.data);
        file
    }
}
