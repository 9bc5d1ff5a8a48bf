//! The architectures: how code becomes instructions, and what a call does with registers.

use crate::instruction::Instruction;
use crate::{aarch64, riscv};
use std::ops::Range;

/// An architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// A64.
    Aarch64,
    /// RV64 with compressed instructions.
    Riscv64,
}

impl Machine {
    /// The instructions of a function that begins at `start`, each with its address.
    #[must_use]
    pub fn instructions(self, code: &[u8], start: u64) -> Vec<(u64, Instruction)> {
        match self {
            Self::Aarch64 => {
                let words = code
                    .as_chunks()
                    .0
                    .iter()
                    .map(|word| u32::from_le_bytes(*word));
                (start..)
                    .step_by(4)
                    .zip(words)
                    .map(|(at, word)| {
                        let op = aarch64::decode(word, at);
                        (at, Instruction { op, next: at + 4 })
                    })
                    .collect()
            }
            Self::Riscv64 => riscv::instructions(code, start),
        }
    }

    /// The registers for arguments.
    #[must_use]
    pub const fn arguments(self) -> Range<u8> {
        match self {
            Self::Aarch64 => 0..8,
            Self::Riscv64 => 10..18,
        }
    }

    /// Whether a function must preserve this register.
    #[must_use]
    pub fn is_preserved(self, register: u8) -> bool {
        match self {
            Self::Aarch64 => (19..30).contains(&register),
            Self::Riscv64 => matches!(register, 8 | 9 | 18..=27),
        }
    }
}
