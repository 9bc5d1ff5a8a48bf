//! The smallest automaton for the same words.

use super::{Encoded, NONE, Table};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

/// A minimal automaton, its states numbered in the order in which bytes first reach them.
pub(super) struct Minimal {
    pub(super) classes: [u8; 256],
    pub(super) width: usize,
    pub(super) next: Vec<u32>,
    pub(super) shortest: Vec<u32>,
    exits: Vec<u8>,
}

impl Minimal {
    pub(super) fn new(table: &Table, shortest: &[u32], blocks: &[u32]) -> Self {
        let row_of = |state: u32| {
            let start = (state as usize).saturating_mul(table.width);
            let end = start.saturating_add(table.width);
            table.next.get(start..end).unwrap_or(&[])
        };
        let block_of = |state: u32| blocks.get(state as usize).copied().unwrap_or(NONE);
        let mut numbers: BTreeMap<u32, u32> = BTreeMap::from([(block_of(0), 0)]);
        let mut members = vec![0];
        let mut columns: Vec<Vec<u32>> = vec![Vec::new(); 256];
        let mut at = 0usize;
        while let Some(member) = members.get(at).copied() {
            at = at.saturating_add(1);
            let row = row_of(member);
            for (class, column) in table.classes.iter().zip(&mut columns) {
                let next = row.get(usize::from(*class)).copied().unwrap_or(NONE);
                let number = match block_of(next) {
                    NONE => NONE,
                    block => *numbers.entry(block).or_insert_with(|| {
                        members.push(next);
                        // There are at most as many blocks as states.
                        members.len().saturating_sub(1) as u32
                    }),
                };
                column.push(number);
            }
        }
        let mut classes = [0; 256];
        let mut distinct: Vec<&Vec<u32>> = Vec::new();
        for (class, column) in classes.iter_mut().zip(&columns) {
            let known = distinct.iter().position(|other| *other == column);
            // At most 256.
            *class = known.unwrap_or(distinct.len()) as u8;
            if known.is_none() {
                distinct.push(column);
            }
        }
        let lengths = members
            .iter()
            .map(|state| shortest.get(*state as usize).copied());
        let shortest: Vec<u32> = lengths.map(|length| length.unwrap_or(NONE)).collect();
        let exits = (0usize..).zip(&shortest).map(|(state, length)| {
            let leads = |byte: &u8| {
                let column = columns.get(usize::from(*byte));
                let next = column.and_then(|column| column.get(state)).copied();
                let there = next.and_then(|next| shortest.get(next as usize));
                there.is_some_and(|there| there.saturating_add(1) == *length)
            };
            (0..=u8::MAX).find(leads).unwrap_or(0)
        });
        let exits = exits.collect();
        let cells = (0..members.len()).flat_map(|state| {
            let column = distinct.iter();
            column.map(move |column| column.get(state).copied().unwrap_or(NONE))
        });
        Self {
            classes,
            width: distinct.len(),
            next: cells.collect(),
            exits,
            shortest,
        }
    }

    /// Lays the automaton out as in an image. The caller has checked the number of states, so all numbers fit.
    pub(super) fn encode(&self) -> Encoded {
        let mut bytes = self.classes.to_vec();
        for length in &self.shortest {
            bytes.extend_from_slice(&(*length as u16).to_le_bytes());
        }
        bytes.extend_from_slice(&self.exits);
        for next in &self.next {
            // `NONE` becomes 0.
            bytes.extend_from_slice(&(next.wrapping_add(1) as u16).to_le_bytes());
        }
        Encoded {
            bytes,
            states: self.shortest.len(),
            classes: self.width,
        }
    }
}
