//! The results of a case, as bits in the order in which they were written.

use alloc::vec::Vec;
use core::fmt;
use llm_core::hash::sha256;

/// Everything is written as little-endian bytes; floats by their bit patterns, so that −0 differs from 0.
#[derive(Debug, Default)]
pub struct Bits(Vec<u8>);

impl Bits {
    /// Appends bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Appends a number.
    pub fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// Appends numbers.
    pub fn ids(&mut self, ids: &[u32]) {
        for id in ids {
            self.bytes(&id.to_le_bytes());
        }
    }

    /// Appends floats.
    ///
    /// # Panics
    /// One is NaN: machines disagree about its bits, so nothing may depend on them.
    pub fn floats(&mut self, floats: &[f32]) {
        for float in floats {
            assert!(!float.is_nan(), "a result is not a number");
            self.bytes(&float.to_bits().to_le_bytes());
        }
    }

    /// The bytes written so far.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// SHA-256 of the bytes written so far.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&self.0)
    }
}

/// Appends text as it is displayed.
impl fmt::Write for Bits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}
