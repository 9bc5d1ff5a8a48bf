//! What a case computed, as bits in the order in which they came.

use alloc::vec::Vec;
use core::fmt;
use llm_core::verify::sha256;

/// Everything is written as little-endian bytes; floats as their bits, so that −0 is not 0.
#[derive(Debug, Default)]
pub struct Bits(Vec<u8>);

impl Bits {
    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A number.
    pub fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// Numbers.
    pub fn ids(&mut self, ids: &[u32]) {
        for id in ids {
            self.bytes(&id.to_le_bytes());
        }
    }

    /// Floats.
    ///
    /// # Panics
    /// One is no number: machines disagree about its bits, so nothing may depend on them.
    pub fn floats(&mut self, floats: &[f32]) {
        for float in floats {
            assert!(!float.is_nan(), "a result is no number");
            self.bytes(&float.to_bits().to_le_bytes());
        }
    }

    /// As they are.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Their SHA-256.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&self.0)
    }
}

/// Text as it is displayed.
impl fmt::Write for Bits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}
