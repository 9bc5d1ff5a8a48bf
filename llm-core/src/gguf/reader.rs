//! Reads values at a position in the file.

use super::{Array, GgufError, Value, ValueType, name};

/// Reads a value. For an array it reads only the header; the reader is then at the items.
pub(super) fn read_value<'a>(
    reader: &mut Reader<'a>,
    key: &'a str,
) -> Result<Value<'a>, GgufError> {
    let unknown = |value_type| GgufError::UnknownValueType {
        key: name(key),
        value_type,
    };
    let number = reader.u32("the type of a metadata value")?;
    match ValueType::from_gguf(number).ok_or_else(|| unknown(number))? {
        ValueType::Array => {
            let number = reader.u32("the type of an array")?;
            let item_type = ValueType::from_gguf(number)
                .filter(|&item_type| item_type != ValueType::Array)
                .ok_or_else(|| unknown(number))?;
            let at = reader.at;
            let len = reader.u64("the length of an array")?;
            let items = reader.rest();
            let smallest = item_type.fixed_bytes().unwrap_or(8) as u64;
            let need = len.saturating_mul(smallest);
            match usize::try_from(len) {
                Ok(len) if need <= items.len() as u64 => Ok(Value::Array(Array {
                    key,
                    item_type,
                    len,
                    items,
                })),
                _ => Err(GgufError::Truncated {
                    what: "an array",
                    at,
                    need,
                    left: items.len(),
                }),
            }
        }
        scalar => read_scalar(reader, key, scalar),
    }
}

/// Reads a value that is not an array.
pub(super) fn read_scalar<'a>(
    reader: &mut Reader<'a>,
    key: &str,
    value_type: ValueType,
) -> Result<Value<'a>, GgufError> {
    const WHAT: &str = "a metadata value";
    Ok(match value_type {
        ValueType::U8 => Value::U8(u8::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::I8 => Value::I8(i8::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::U16 => Value::U16(u16::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::I16 => Value::I16(i16::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::U32 => Value::U32(u32::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::I32 => Value::I32(i32::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::U64 => Value::U64(u64::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::I64 => Value::I64(i64::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::F32 => Value::F32(f32::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::F64 => Value::F64(f64::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::String => Value::String(reader.string(WHAT)?),
        ValueType::Bool => match reader.bytes(WHAT)? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            [value] => {
                return Err(GgufError::BadBool {
                    key: name(key),
                    value,
                });
            }
        },
        ValueType::Array => {
            return Err(GgufError::UnknownValueType {
                key: name(key),
                value_type: value_type.to_gguf(),
            });
        }
    })
}

/// A position in the file. `at` never passes the end.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    pub(super) fn take(&mut self, need: u64, what: &'static str) -> Result<&'a [u8], GgufError> {
        let rest = self.rest();
        let taken = usize::try_from(need).ok().and_then(|len| rest.get(..len));
        match taken {
            Some(taken) => {
                self.skip(taken.len());
                Ok(taken)
            }
            None => Err(GgufError::Truncated {
                what,
                at: self.at,
                need,
                left: rest.len(),
            }),
        }
    }

    /// Skips `len` bytes, which must exist.
    pub(super) fn skip(&mut self, len: usize) {
        self.at = self.at.saturating_add(len).min(self.bytes.len());
    }

    pub(super) fn bytes<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N as u64, what)?);
        Ok(bytes)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.bytes(what)?))
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.bytes(what)?))
    }

    pub(super) fn string(&mut self, what: &'static str) -> Result<&'a [u8], GgufError> {
        let len = self.u64(what)?;
        self.take(len, what)
    }

    pub(super) fn name(
        &mut self,
        what: &'static str,
        index: usize,
        limit: usize,
    ) -> Result<&'a str, GgufError> {
        let text = self.string(what)?;
        core::str::from_utf8(text)
            .ok()
            .filter(|text| !text.is_empty() && text.len() <= limit)
            .ok_or(GgufError::BadName { what, index, limit })
    }

    pub(super) fn count(&mut self, what: &'static str, limit: usize) -> Result<usize, GgufError> {
        let count = self.u64(what)?;
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= limit)
            .ok_or(GgufError::TooMany { what, count, limit })
    }

    /// Converts a position in the remaining bytes to one in the file.
    pub(super) fn rebase(&self, error: GgufError) -> GgufError {
        match error {
            GgufError::Truncated {
                what,
                at,
                need,
                left,
            } => GgufError::Truncated {
                what,
                at: at.saturating_add(self.at),
                need,
                left,
            },
            other => other,
        }
    }
}
