//! The instructions of a function: its calls, and the contents of its registers.

use super::{Call, Function, ImageError, Place, Section, short};
use crate::decode::Machine;
use crate::instruction::{Instruction, Op};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A function's instructions.
pub(super) struct Body<'a> {
    pub(super) machine: Machine,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) name: &'a str,
    pub(super) code: BTreeMap<u64, Instruction>,
    pub(super) data: &'a [Section],
    pub(super) starts: &'a BTreeMap<u64, (u64, String)>,
}

/// Maximum number of addresses kept per register. One or two paths build a panic's place.
const MOST_ADDRESSES: usize = 32;

/// Addresses that a register may hold, as far as they were built from constants.
type Registers = BTreeMap<u8, BTreeSet<u64>>;

impl Body<'_> {
    pub(super) fn read(&self) -> Result<Function, ImageError> {
        let mut function = Function {
            name: self.name.to_owned(),
            calls: Vec::new(),
            indirect: Vec::new(),
            traps: Vec::new(),
            takes: BTreeSet::new(),
        };
        let states = self.registers();
        // The registers in which an entry of a jump table was added to a base, until they are overwritten. Several, because
        // compilers put sums of other things in between.
        let mut added = BTreeSet::new();
        for (at, Instruction { op, .. }) in &self.code {
            let (at, op) = (*at, *op);
            match op {
                Op::Call(to) => function
                    .calls
                    .push(self.call(at, self.function_at(to)?, &states)),
                Op::Jump(to) | Op::Branch(to) if !(self.start..self.end).contains(&to) => {
                    function
                        .calls
                        .push(self.call(at, self.function_at(to)?, &states));
                }
                Op::CallRegister => function.indirect.push(at),
                // A jump table: the targets are within the function.
                Op::JumpRegister(register) if added.contains(&register) => {}
                Op::JumpRegister(_) => function.indirect.push(at),
                Op::Trap => function.traps.push(at),
                _ => {}
            }
            match op {
                Op::AddRegisters(to) => {
                    added.insert(to);
                }
                // A table of addresses instead of distances.
                Op::Load(to, from) if added.contains(&from) => {
                    added.insert(to);
                }
                Op::Move(to, _)
                | Op::Load(to, _)
                | Op::Other(to)
                | Op::Address(to, _)
                | Op::Add(to, ..) => {
                    added.remove(&to);
                }
                Op::Store => {}
                _ => added.clear(),
            }
        }
        let made = states.values().flat_map(BTreeMap::values).flatten();
        function.takes = made
            .copied()
            .filter(|at| self.starts.contains_key(at))
            .collect();
        Ok(function)
    }

    fn function_at(&self, at: u64) -> Result<u64, ImageError> {
        let found = self.starts.range(..=at).next_back();
        match found {
            Some((start, (end, _))) if at < *end => Ok(*start),
            _ => Err(ImageError::Nowhere {
                from: self.name.to_owned(),
                to: at,
            }),
        }
    }

    fn call(&self, at: u64, to: u64, states: &HashMap<u64, Registers>) -> Call {
        let arguments = states
            .get(&at)
            .into_iter()
            .flat_map(|state| state.range(self.machine.arguments()));
        let places = arguments
            .flat_map(|(_, addresses)| addresses)
            .filter_map(|address| self.location(*address));
        Call {
            at,
            to,
            places: places.collect(),
        }
    }

    /// The registers before each instruction: a fixed point over all paths through the function.
    fn registers(&self) -> HashMap<u64, Registers> {
        let mut states = HashMap::from([(self.start, Registers::new())]);
        let mut todo = vec![self.start];
        // The targets of jump tables are unknown: begin there with nothing.
        for Instruction { op, next } in self.code.values() {
            if matches!(
                op,
                Op::Jump(_) | Op::JumpRegister(_) | Op::Return | Op::Trap | Op::Call(_)
            ) {
                states.entry(*next).or_default();
                todo.push(*next);
            }
        }
        while let Some(at) = todo.pop() {
            let Some(Instruction { op, next }) = self.code.get(&at).copied() else {
                continue;
            };
            let mut state = states.get(&at).cloned().unwrap_or_default();
            match op {
                Op::Address(to, address) => {
                    state.insert(to, BTreeSet::from([address]));
                }
                Op::Add(to, from, value) => {
                    let sums = state
                        .get(&from)
                        .map(|all| all.iter().map(|a| a.wrapping_add(value)).collect());
                    set(&mut state, to, sums);
                }
                Op::Move(to, from) => {
                    let moved = state.get(&from).cloned();
                    set(&mut state, to, moved);
                }
                // The callee may change caller-saved registers.
                Op::Call(_) | Op::CallRegister => {
                    state.retain(|register, _| self.machine.is_preserved(*register));
                }
                Op::AddRegisters(to) | Op::Load(to, _) | Op::Other(to) => {
                    state.remove(&to);
                }
                Op::Jump(_)
                | Op::Branch(_)
                | Op::JumpRegister(_)
                | Op::Return
                | Op::Trap
                | Op::Store => {}
            }
            let next = match op {
                Op::Jump(to) => [Some(to), None],
                Op::Branch(to) => [Some(to), Some(next)],
                Op::JumpRegister(_) | Op::Return | Op::Trap => [None, None],
                _ => [Some(next), None],
            };
            for next in next.into_iter().flatten() {
                let known = states.contains_key(&next);
                let there = states.entry(next).or_default();
                let mut grown = !known;
                for (register, addresses) in &state {
                    let into = there.entry(*register).or_default();
                    for address in addresses {
                        // A loop that adds to an address would otherwise create new ones for ever.
                        if into.len() < MOST_ADDRESSES {
                            grown |= into.insert(*address);
                        }
                    }
                }
                if grown {
                    todo.push(next);
                }
            }
        }
        states
    }

    /// The `core::panic::Location` at an address: a file's name (pointer and length), line, column.
    pub(super) fn location(&self, at: u64) -> Option<Place> {
        let data =
            |at: u64, bytes: usize| self.data.iter().find_map(|section| section.get(at, bytes));
        let section = self
            .data
            .iter()
            .find(|section| section.get(at, 24).is_some())?;
        let len = usize::try_from(section.double_word(at + 8)?).ok()?;
        let name = data(section.double_word(at)?, len.min(4096))?;
        let name = std::str::from_utf8(name).ok()?.trim_end_matches('\0');
        name.ends_with(".rs").then_some(())?;
        Some(Place {
            file: short(name),
            line: section.word(at + 16)?,
            column: section.word(at + 20)?,
        })
    }
}

fn set(state: &mut Registers, register: u8, value: Option<BTreeSet<u64>>) {
    match value {
        Some(value) => state.insert(register, value),
        None => state.remove(&register),
    };
}
