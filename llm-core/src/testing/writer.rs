//! Writes small GGUF files.

use crate::quantize::{TensorType, quantize_row};
use alloc::string::String;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use zerocopy::IntoBytes;

/// Writes GGUF files, version 3.
#[derive(Clone, Default)]
pub struct GgufWriter {
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) tensors: Vec<(String, TensorType, Vec<usize>, Vec<u8>)>,
}

impl GgufWriter {
    fn key(&mut self, key: &str, ty: u32, value: &[u8]) -> &mut Self {
        let mut bytes = string(key.as_bytes());
        bytes.extend(ty.to_le_bytes());
        bytes.extend(value);
        self.keys.push(bytes);
        self
    }

    /// Removes a key.
    pub fn remove_key(&mut self, key: &str) {
        let key = string(key.as_bytes());
        self.keys.retain(|entry| !entry.starts_with(&key));
    }

    /// A u32.
    pub fn u32(&mut self, key: &str, value: u32) -> &mut Self {
        self.key(key, 4, &value.to_le_bytes())
    }

    /// An f32.
    pub fn f32(&mut self, key: &str, value: f32) -> &mut Self {
        self.key(key, 6, &value.to_le_bytes())
    }

    /// A bool.
    pub fn bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key, 7, &[u8::from(value)])
    }

    /// A string.
    pub fn str(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key, 8, &string(value.as_bytes()))
    }

    fn array(&mut self, key: &str, ty: u32, count: usize, items: &[u8]) -> &mut Self {
        let mut value = ty.to_le_bytes().to_vec();
        value.extend((count as u64).to_le_bytes());
        value.extend(items);
        self.key(key, 9, &value)
    }

    /// An array of strings.
    pub fn strings(&mut self, key: &str, values: &[Vec<u8>]) -> &mut Self {
        let items: Vec<u8> = values.iter().flat_map(|value| string(value)).collect();
        self.array(key, 8, values.len(), &items)
    }

    /// An array of f32.
    pub fn f32s(&mut self, key: &str, values: &[f32]) -> &mut Self {
        self.array(key, 6, values.len(), values.as_bytes())
    }

    /// An array of i32.
    pub fn i32s(&mut self, key: &str, values: &[i32]) -> &mut Self {
        self.array(key, 5, values.len(), values.as_bytes())
    }

    /// A tensor; `dims[0]` is the length of its rows.
    ///
    /// # Panics
    /// The type cannot hold the values.
    pub fn tensor(
        &mut self,
        name: &str,
        ty: TensorType,
        dims: &[usize],
        values: &[f32],
    ) -> &mut Self {
        let columns = dims[0];
        let stride = ty.row_bytes(columns).expect("whole blocks");
        let mut data = vec![0; stride * values.len() / columns];
        for (row, out) in values.chunks(columns).zip(data.chunks_mut(stride)) {
            quantize_row(ty, row, out).expect("values that the type can hold");
        }
        self.tensors
            .push((name.to_string(), ty, dims.to_vec(), data));
        self
    }

    /// Removes a tensor.
    pub fn remove_tensor(&mut self, name: &str) -> &mut Self {
        self.tensors.retain(|tensor| tensor.0 != name);
        self
    }

    /// Bytes of the last tensor, for corrupting them.
    ///
    /// # Panics
    /// There is no tensor.
    pub fn last_tensor(&mut self) -> &mut Vec<u8> {
        &mut self.tensors.last_mut().expect("a tensor").3
    }

    /// Bytes of a tensor, for corrupting them.
    ///
    /// # Panics
    /// There is no tensor of that name.
    pub fn tensor_bytes(&mut self, name: &str) -> &mut Vec<u8> {
        let tensor = self.tensors.iter_mut().find(|tensor| tensor.0 == name);
        &mut tensor.expect("a tensor").3
    }

    /// The file.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3u32.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.keys.len() as u64).to_le_bytes());
        self.keys.iter().for_each(|key| file.extend(key));
        let mut offset = 0;
        for (name, ty, dims, data) in &self.tensors {
            file.extend(string(name.as_bytes()));
            file.extend((dims.len() as u32).to_le_bytes());
            dims.iter()
                .for_each(|&dim| file.extend((dim as u64).to_le_bytes()));
            file.extend(ty.to_ggml().to_le_bytes());
            file.extend((offset as u64).to_le_bytes());
            offset += data.len().next_multiple_of(32);
        }
        for (.., data) in &self.tensors {
            file.resize(file.len().next_multiple_of(32), 0);
            file.extend(data);
        }
        file.resize(file.len().next_multiple_of(32), 0);
        file
    }
}

fn string(text: &[u8]) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    bytes
}
