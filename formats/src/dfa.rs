//! An automaton stored as a table.

use crate::{Automaton, MAX_STATES};
use zerocopy::FromBytes;
use zerocopy::little_endian::U16;

/// A state of a [`Dfa`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State(u16);

impl State {
    /// The state's number, from 0, below [`Dfa::states`] of its format.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A format: a transition table over classes of bytes that the language does not distinguish.
#[derive(Clone, Copy, Debug)]
pub struct Dfa<'f> {
    /// The class of each byte.
    classes: &'f [u8; 256],
    /// [`Automaton::shortest`] of each state.
    shortest: &'f [U16],
    /// [`Automaton::exit`] of each state.
    exits: &'f [u8],
    /// One row per state: for each class the next state plus 1, or 0 if there is none.
    next: &'f [U16],
    /// Length of a row, which is the number of classes.
    width: usize,
}

impl<'f> Dfa<'f> {
    /// Bytes of a table in an image; `None` if that overflows.
    pub(crate) const fn bytes(states: usize, classes: usize) -> Option<usize> {
        let Some(cells) = states.checked_mul(classes) else {
            return None;
        };
        let Some(cells) = cells.checked_mul(2) else {
            return None;
        };
        let Some(of_states) = states.checked_mul(3) else {
            return None;
        };
        match cells.checked_add(of_states) {
            Some(bytes) => bytes.checked_add(256),
            None => None,
        }
    }

    /// The table at the beginning of `bytes`, checked only for its size; [`Self::check`] checks the rest.
    pub(crate) fn open(bytes: &'f [u8], states: usize, classes: usize) -> Option<Self> {
        let (map, rest) = bytes.split_first_chunk::<256>()?;
        let (shortest, rest) = <[U16]>::ref_from_prefix_with_elems(rest, states).ok()?;
        let (exits, rest) = rest.split_at_checked(states)?;
        let cells = states.checked_mul(classes)?;
        let (next, _) = <[U16]>::ref_from_prefix_with_elems(rest, cells).ok()?;
        Some(Self {
            classes: map,
            shortest,
            exits,
            next,
            width: classes,
        })
    }

    /// Whether the promises of this crate hold. Each state names the first byte of its shortest path to a word, so the
    /// proof needs one look at each state.
    pub(crate) fn check(&self) -> bool {
        let states = self.shortest.len();
        if !(1..=MAX_STATES).contains(&states) || !(1..=256).contains(&self.width) {
            return false;
        }
        if self.classes.iter().any(|c| usize::from(*c) >= self.width) {
            return false;
        }
        let rows = self.next.chunks_exact(self.width);
        let all = (0..).zip(self.shortest).zip(rows);
        all.into_iter().all(|((state, shortest), row)| {
            let state = State(state);
            let shortest = shortest.get();
            let exit = match (shortest, self.next(state, self.exit(state))) {
                (0, _) => true,
                (_, Some(next)) => self.shortest(next) == shortest.saturating_sub(1),
                (_, None) => false,
            };
            let mut nexts = row.iter().filter_map(|next| next.get().checked_sub(1));
            exit && nexts.all(|next| {
                let there = self.shortest.get(usize::from(next));
                // No path is shorter than the one named.
                there.is_some_and(|there| there.get() >= shortest.saturating_sub(1))
            })
        })
    }

    /// Number of states.
    #[must_use]
    pub const fn states(&self) -> usize {
        self.shortest.len()
    }

    /// All states, the start first.
    pub fn all(&self) -> impl Iterator<Item = State> + use<> {
        // At most `MAX_STATES`.
        (0..self.shortest.len() as u16).map(State)
    }
}

impl Automaton for Dfa<'_> {
    type State = State;

    fn start(&self) -> State {
        State(0)
    }

    #[inline]
    fn next(&self, state: State, byte: u8) -> Option<State> {
        let class = self.classes.get(usize::from(byte))?;
        // At most 2^16 rows of 256.
        let at = state
            .index()
            .wrapping_mul(self.width)
            .wrapping_add(usize::from(*class));
        self.next.get(at)?.get().checked_sub(1).map(State)
    }

    fn shortest(&self, state: State) -> u16 {
        // A state of another format is treated as infinitely far from a word.
        let shortest = self.shortest.get(state.index());
        shortest.map_or(u16::MAX, |shortest| shortest.get())
    }

    fn exit(&self, state: State) -> u8 {
        self.exits.get(state.index()).copied().unwrap_or(0)
    }
}
