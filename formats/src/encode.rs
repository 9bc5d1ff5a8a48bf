//! Makes an image, on the host: an automaton is trimmed, minimised, numbered and laid out.

mod minimal;

use crate::dfa::Dfa;
use crate::image::{Header, ImageEntry, is_name};
use crate::{MAGIC, MAX_ALL_STATES, MAX_FORMATS, MAX_STATES, REGION_BYTES, VERSION};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use minimal::Minimal;
use zerocopy::IntoBytes;

/// In [`Table::next`]: no next state.
pub const NONE: u32 = u32::MAX;

/// Any deterministic automaton over bytes. The start is state 0.
#[derive(Clone, Debug)]
pub struct Table {
    /// The class of each byte.
    pub classes: [u8; 256],
    /// Number of classes, which is the length of a row.
    pub width: usize,
    /// One row per state: the next state for each class, or [`NONE`].
    pub next: Vec<u32>,
    /// Whether each state accepts.
    pub accepts: Vec<bool>,
}

/// Why an automaton cannot be a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Its language is empty.
    #[error("it matches no text")]
    Empty,
    /// Its only word is the empty text.
    #[error("it matches only the empty text")]
    OnlyEmpty,
    /// It needs too many states.
    #[error("it needs {states} states, at most {MAX_STATES} are allowed")]
    States {
        /// States needed.
        states: usize,
    },
    /// All formats together need too many states.
    #[error("the formats need {states} states together, at most {MAX_ALL_STATES} are allowed")]
    AllStates {
        /// States needed.
        states: usize,
    },
    /// There are too many formats.
    #[error("{formats} formats, at most {MAX_FORMATS} are allowed")]
    Formats {
        /// Number of formats.
        formats: usize,
    },
    /// The image is too large.
    #[error("the formats need {bytes} bytes together, the region has {REGION_BYTES}")]
    Bytes {
        /// Bytes needed.
        bytes: usize,
    },
    /// A name is invalid or used twice.
    #[error(
        "a format needs a name of its own: 1 to 32 visible ASCII characters without quotes and backslashes"
    )]
    Name,
    /// The table is incomplete: a row or a state is missing.
    #[error("the table of the automaton is incomplete")]
    Table,
}

/// A minimal automaton, laid out as in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    bytes: Vec<u8>,
    states: usize,
    classes: usize,
}

impl Encoded {
    /// Minimises the automaton `table`.
    ///
    /// # Errors
    /// The language cannot be a format.
    pub fn new(table: &Table) -> Result<Self, EncodeError> {
        let states = table.accepts.len();
        let whole = (1..=256).contains(&table.width)
            && table.next.len() == states.saturating_mul(table.width)
            && table
                .classes
                .iter()
                .all(|class| usize::from(*class) < table.width)
            && table
                .next
                .iter()
                .all(|next| *next == NONE || (*next as usize) < states);
        if states == 0 || !whole {
            return Err(EncodeError::Table);
        }
        let shortest = shortest(table);
        if shortest.first().is_none_or(|start| *start == NONE) {
            return Err(EncodeError::Empty);
        }
        let blocks = blocks(table, &shortest);
        let minimal = Minimal::new(table, &shortest, &blocks);
        let states = minimal.shortest.len();
        if states > MAX_STATES {
            return Err(EncodeError::States { states });
        }
        if states == 1 && minimal.next.iter().all(|next| *next == NONE) {
            return Err(EncodeError::OnlyEmpty);
        }
        Ok(minimal.encode())
    }

    /// Its automaton.
    #[must_use]
    pub fn dfa(&self) -> Option<Dfa<'_>> {
        Dfa::open(&self.bytes, self.states, self.classes).filter(Dfa::check)
    }

    /// Number of states.
    #[must_use]
    pub const fn states(&self) -> usize {
        self.states
    }

    /// Bytes of its table.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// Builds the image of these formats.
///
/// # Errors
/// There are too many formats, they are too large, or a name is wrong.
pub fn image<'e>(
    formats: impl IntoIterator<Item = (&'e str, &'e Encoded)>,
) -> Result<Vec<u8>, EncodeError> {
    let formats: Vec<(&str, &Encoded)> = formats.into_iter().collect();
    if formats.len() > MAX_FORMATS {
        let formats = formats.len();
        return Err(EncodeError::Formats { formats });
    }
    let states = formats.iter().map(|(_, one)| one.states);
    let states = states.fold(0, usize::saturating_add);
    if states > MAX_ALL_STATES {
        return Err(EncodeError::AllStates { states });
    }
    let head =
        size_of::<Header>().saturating_add(size_of::<ImageEntry>().saturating_mul(formats.len()));
    let sizes = formats.iter().map(|(_, one)| one.size());
    let bytes = sizes.fold(head, usize::saturating_add);
    if bytes > REGION_BYTES {
        return Err(EncodeError::Bytes { bytes });
    }
    // All numbers below are at most `REGION_BYTES`.
    let header = Header {
        magic: MAGIC,
        version: VERSION.into(),
        count: (formats.len() as u32).into(),
    };
    let mut image = header.as_bytes().to_vec();
    let mut offset = head;
    for (at, (name, one)) in formats.iter().enumerate() {
        let again = formats.iter().take(at).any(|(other, _)| other == name);
        if !is_name(name) || again {
            return Err(EncodeError::Name);
        }
        let mut padded = [0; crate::MAX_NAME_BYTES];
        for (to, from) in padded.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        let entry = ImageEntry {
            name: padded,
            offset: (offset as u32).into(),
            states: (one.states as u32).into(),
            classes: (one.classes as u32).into(),
            zero: 0.into(),
        };
        image.extend_from_slice(entry.as_bytes());
        offset = offset.saturating_add(one.size());
    }
    for (_, one) in formats {
        image.extend_from_slice(&one.bytes);
    }
    Ok(image)
}

/// Rows of a table, beginning with the start state.
fn rows(table: &Table) -> impl Iterator<Item = &[u32]> {
    table.next.chunks_exact(table.width.max(1))
}

/// For each state, the states that lead to it.
fn predecessors(table: &Table) -> Vec<Vec<u32>> {
    let mut before = vec![Vec::new(); table.accepts.len()];
    for (state, row) in (0u32..).zip(rows(table)) {
        for next in row.iter().filter(|next| **next != NONE) {
            if let Some(list) = before.get_mut(*next as usize)
                && list.last() != Some(&state)
            {
                list.push(state);
            }
        }
    }
    before
}

/// Bytes from each state to the nearest accepting one; [`NONE`] if none is reachable.
fn shortest(table: &Table) -> Vec<u32> {
    let before = predecessors(table);
    let mut found: Vec<u32> = table
        .accepts
        .iter()
        .map(|a| if *a { 0 } else { NONE })
        .collect();
    let accepting = (0u32..)
        .zip(&table.accepts)
        .filter(|(_, accepts)| **accepts);
    let mut queue: VecDeque<u32> = accepting.map(|(state, _)| state).collect();
    while let Some(state) = queue.pop_front() {
        let length = found
            .get(state as usize)
            .map_or(NONE, |length| length.saturating_add(1));
        for previous in before.get(state as usize).into_iter().flatten() {
            if let Some(slot) = found
                .get_mut(*previous as usize)
                .filter(|slot| **slot == NONE)
            {
                *slot = length;
                queue.push_back(*previous);
            }
        }
    }
    found
}

/// Length of the longest word from each state that can reach one; [`NONE`] if it is unbounded.
fn longest(table: &Table, shortest: &[u32]) -> Vec<u32> {
    let alive = |state: u32| {
        shortest
            .get(state as usize)
            .is_some_and(|length| *length != NONE)
    };
    // For each state, the number of edges to states whose longest word is unknown.
    let open = rows(table).map(|row| row.iter().filter(|n| **n != NONE && alive(**n)).count());
    let mut open: Vec<usize> = open.collect();
    let before = {
        let mut before = vec![Vec::new(); open.len()];
        for (state, row) in (0u32..).zip(rows(table)) {
            for next in row.iter().filter(|next| **next != NONE) {
                if let Some(list) = before.get_mut(*next as usize) {
                    list.push(state);
                }
            }
        }
        before
    };
    let mut found = vec![NONE; open.len()];
    let ends = (0u32..)
        .zip(&open)
        .filter(|(state, open)| alive(*state) && **open == 0);
    let mut stack: Vec<u32> = ends.map(|(state, _)| state).collect();
    while let Some(state) = stack.pop() {
        let row = rows(table).nth(state as usize).unwrap_or(&[]);
        let nexts = row.iter().filter(|next| **next != NONE && alive(**next));
        let lengths = nexts.filter_map(|next| found.get(*next as usize));
        let length = lengths
            .map(|length| length.saturating_add(1))
            .max()
            .unwrap_or(0);
        if let Some(slot) = found.get_mut(state as usize) {
            *slot = length;
        }
        for previous in before.get(state as usize).into_iter().flatten() {
            if let Some(left) = open.get_mut(*previous as usize) {
                *left = left.saturating_sub(1);
                if *left == 0 && alive(*previous) {
                    stack.push(*previous);
                }
            }
        }
    }
    found
}

/// The block of equivalent states that each state is in (Moore, 1956); [`NONE`] if no word is reachable.
///
/// The initial blocks use the lengths of the shortest and the longest word, which are equal for equivalent states.
/// Without that, the states of a bounded repetition would separate one at a time.
fn blocks(table: &Table, shortest: &[u32]) -> Vec<u32> {
    let longest = longest(table, shortest);
    let mut numbers = BTreeMap::new();
    let mut number = |key: Vec<u32>| {
        let next = numbers.len() as u32;
        *numbers.entry(key).or_insert(next)
    };
    let lengths = shortest.iter().zip(&longest);
    let mut blocks: Vec<u32> = lengths
        .map(|(shortest, longest)| match *shortest {
            NONE => NONE,
            shortest => number(vec![shortest, *longest]),
        })
        .collect();
    let mut count = numbers.len();
    loop {
        let mut numbers = BTreeMap::new();
        let block_of = |state: &u32| blocks.get(*state as usize).copied().unwrap_or(NONE);
        let refined: Vec<u32> = blocks
            .iter()
            .zip(rows(table))
            .map(|(block, row)| {
                if *block == NONE {
                    return NONE;
                }
                let mut key = Vec::with_capacity(row.len().saturating_add(1));
                key.push(*block);
                key.extend(row.iter().map(block_of));
                let next = numbers.len() as u32;
                *numbers.entry(key).or_insert(next)
            })
            .collect();
        if numbers.len() == count {
            return blocks;
        }
        count = numbers.len();
        blocks = refined;
    }
}

/// Test helper: the automaton of a list of words.
#[must_use]
pub fn words(list: &[&[u8]]) -> Table {
    let mut classes = [0; 256];
    for (class, byte) in classes.iter_mut().zip(0..=u8::MAX) {
        *class = byte;
    }
    let mut table = Table {
        classes,
        width: 256,
        next: vec![NONE; 256],
        accepts: vec![false],
    };
    for word in list {
        let mut state = 0usize;
        for byte in *word {
            let fresh = table.accepts.len();
            let cell = state.saturating_mul(256).saturating_add(usize::from(*byte));
            let Some(next) = table.next.get_mut(cell) else {
                break;
            };
            if *next == NONE {
                *next = fresh as u32;
                state = fresh;
                table.accepts.push(false);
                table
                    .next
                    .resize(table.accepts.len().saturating_mul(256), NONE);
            } else {
                state = *next as usize;
            }
        }
        if let Some(accepts) = table.accepts.get_mut(state) {
            *accepts = true;
        }
    }
    table
}
