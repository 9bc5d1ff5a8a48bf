//! Instructions of both architectures, as far as they determine control flow and build addresses.

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
