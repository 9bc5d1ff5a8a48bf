//! Writes GGUF files, version 3, little endian: the reverse of [`llm_core::gguf`].

use llm_core::gguf::{Gguf, Value};
use llm_core::quantize::TensorType;

/// A file being built.
#[derive(Debug)]
pub struct GgufWriter {
    alignment: usize,
    keys: Vec<(String, Vec<u8>)>,
    tensors: Vec<Tensor>,
}

#[derive(Debug)]
struct Tensor {
    name: String,
    ty: TensorType,
    dims: Vec<u64>,
    data: Vec<u8>,
}

impl Default for GgufWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl GgufWriter {
    /// A file with the metadata of `gguf`, in its order, and without tensors.
    #[must_use]
    pub fn with_metadata_of(gguf: &Gguf<'_>) -> Self {
        Self {
            alignment: gguf.alignment() as usize,
            keys: gguf
                .keys()
                .map(|(key, value)| (key.to_owned(), encode(&value)))
                .collect(),
            tensors: Vec::new(),
        }
    }

    /// A file without metadata and tensors.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            alignment: 32,
            keys: Vec::new(),
            tensors: Vec::new(),
        }
    }

    /// Sets a metadata value to an array of strings.
    pub fn set_strings(&mut self, key: &str, values: &[String]) {
        const ARRAY: u32 = 9;
        const STRING: u32 = 8;
        let mut bytes = ARRAY.to_le_bytes().to_vec();
        bytes.extend(STRING.to_le_bytes());
        bytes.extend((values.len() as u64).to_le_bytes());
        for value in values {
            push_string(&mut bytes, value.as_bytes());
        }
        self.replace(key, bytes);
    }

    fn replace(&mut self, key: &str, value: Vec<u8>) {
        match self.keys.iter_mut().find(|entry| entry.0 == key) {
            Some(entry) => entry.1 = value,
            None => self.keys.push((key.to_owned(), value)),
        }
    }

    /// Sets a metadata value: in place if it exists, otherwise at the end.
    pub fn set(&mut self, key: &str, value: &Value<'_>) {
        self.replace(key, encode(value));
    }

    /// Removes a metadata value.
    pub fn remove(&mut self, key: &str) {
        self.keys.retain(|entry| entry.0 != key);
    }

    /// Adds a tensor; `data` has the type `ty` and the length that follows from `dims`.
    pub fn tensor(&mut self, name: &str, ty: TensorType, dims: &[u64], data: Vec<u8>) {
        self.tensors.push(Tensor {
            name: name.to_owned(),
            ty,
            dims: dims.to_vec(),
            data,
        });
    }

    /// The bytes of the file.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3_u32.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.keys.len() as u64).to_le_bytes());
        for (key, value) in &self.keys {
            push_string(&mut file, key.as_bytes());
            file.extend(value);
        }
        let mut offset = 0_usize;
        for tensor in &self.tensors {
            push_string(&mut file, tensor.name.as_bytes());
            file.extend((tensor.dims.len() as u32).to_le_bytes());
            for size in &tensor.dims {
                file.extend(size.to_le_bytes());
            }
            file.extend(tensor.ty.to_ggml().to_le_bytes());
            file.extend((offset as u64).to_le_bytes());
            offset = (offset + tensor.data.len()).next_multiple_of(self.alignment);
        }
        for tensor in &self.tensors {
            file.resize(file.len().next_multiple_of(self.alignment), 0);
            file.extend(&tensor.data);
        }
        // llama.cpp requires padding after the last tensor, too.
        file.resize(file.len().next_multiple_of(self.alignment), 0);
        file
    }
}

fn push_string(file: &mut Vec<u8>, text: &[u8]) {
    file.extend((text.len() as u64).to_le_bytes());
    file.extend(text);
}

/// A value, preceded by its type.
fn encode(value: &Value<'_>) -> Vec<u8> {
    let mut bytes = value.value_type().to_gguf().to_le_bytes().to_vec();
    if let Value::Array(array) = value {
        bytes.extend(array.item_type().to_gguf().to_le_bytes());
        bytes.extend((array.len() as u64).to_le_bytes());
        for item in array.values() {
            push_plain(&mut bytes, &item);
        }
    } else {
        push_plain(&mut bytes, value);
    }
    bytes
}

/// A value without its type.
fn push_plain(bytes: &mut Vec<u8>, value: &Value<'_>) {
    match *value {
        Value::U8(number) => bytes.extend(number.to_le_bytes()),
        Value::I8(number) => bytes.extend(number.to_le_bytes()),
        Value::U16(number) => bytes.extend(number.to_le_bytes()),
        Value::I16(number) => bytes.extend(number.to_le_bytes()),
        Value::U32(number) => bytes.extend(number.to_le_bytes()),
        Value::I32(number) => bytes.extend(number.to_le_bytes()),
        Value::U64(number) => bytes.extend(number.to_le_bytes()),
        Value::I64(number) => bytes.extend(number.to_le_bytes()),
        Value::F32(number) => bytes.extend(number.to_le_bytes()),
        Value::F64(number) => bytes.extend(number.to_le_bytes()),
        Value::Bool(truth) => bytes.push(u8::from(truth)),
        Value::String(text) => push_string(bytes, text),
        // The format has no arrays of arrays, and the reader refuses them.
        Value::Array(_) => {}
    }
}
