//! Instructions of both architectures, as far as they determine control flow and build addresses.

use crate::{aarch64, riscv};
use std::ops::Range;

/// What an instruction does, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Calls an address.
    Call(u64),
    /// Jumps to an address.
    Jump(u64),
    /// Jumps to an address or continues.
    Branch(u64),
    /// Calls the address in a register.
    CallRegister,
    /// Jumps to the address in a register.
    JumpRegister(u8),
    /// Returns to the caller.
    Return,
    /// Raises an exception, which ends the domain.
    Trap,
    /// Puts an address into the register.
    Address(u8, u64),
    /// Adds an immediate: to, from, how much.
    Add(u8, u8, u64),
    /// Adds two registers: to.
    AddRegisters(u8),
    /// Copies a register: to, from.
    Move(u8, u8),
    /// A store: no register changes, as far as it matters here.
    Store,
    /// Loads from the address in a register, as an entry of a table is loaded: to, from.
    Load(u8, u8),
    /// Anything else, with its destination, if it has one.
    Other(u8),
}

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub op: Op,
    /// Address of the next instruction.
    pub next: u64,
}

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
