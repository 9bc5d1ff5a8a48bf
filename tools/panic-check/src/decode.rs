//! Instructions of either architecture, as far as they say where control goes and how addresses are made.

use crate::{aarch64, riscv};
use std::ops::Range;

/// What an instruction does, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Goes there and comes back.
    Call(u64),
    /// Goes there.
    Jump(u64),
    /// Goes there or on.
    Branch(u64),
    /// Calls what the register holds.
    CallRegister,
    /// Goes where the register says.
    JumpRegister(u8),
    /// To the caller.
    Return,
    /// An exception, which ends the domain.
    Trap,
    /// The register becomes an address.
    Address(u8, u64),
    /// Adds an immediate: to, from, how much.
    Add(u8, u8, u64),
    /// Adds two registers: to.
    AddRegisters(u8),
    /// Copies a register: to, from.
    Move(u8, u8),
    /// A store: no register changes, as far as it matters here.
    Store,
    /// Loads what lies right where a register says: to, from.
    Load(u8, u8),
    /// Anything else. Its destination, if it has one.
    Other(u8),
}

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub op: Op,
    /// Address of the one after it.
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

    /// The registers that arguments go in.
    #[must_use]
    pub const fn arguments(self) -> Range<u8> {
        match self {
            Self::Aarch64 => 0..8,
            Self::Riscv64 => 10..18,
        }
    }

    /// Whether a function leaves this register as it was.
    #[must_use]
    pub fn is_preserved(self, register: u8) -> bool {
        match self {
            Self::Aarch64 => (19..30).contains(&register),
            Self::Riscv64 => matches!(register, 8 | 9 | 18..=27),
        }
    }
}
