//! The list of allowed answers that a request can bring.
//!
//! Its automaton needs no table: a state is the number of bytes so far and the set of choices that begin with them.

use crate::{Automaton, MAX_CHOICES, MAX_CHOICES_BYTES};

/// Separates choices when they are hashed; no choice contains it.
pub const SEPARATOR: char = '\n';

/// Choices: non-empty, distinct texts without line feeds. One may be a prefix of another; after the shorter one, an
/// answer may end or continue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Choices {
    /// All choices, one after the other, separated by a byte.
    text: [u8; MAX_CHOICES_BYTES],
    /// Where each choice begins and ends in `text`.
    ranges: [(u16, u16); MAX_CHOICES],
    count: usize,
}

/// A state of [`Choices`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChoiceState {
    /// The choices that begin with the bytes so far, one bit each.
    alive: u32,
    /// Number of bytes so far.
    at: u16,
}

const _: () = assert!(MAX_CHOICES <= 32 && MAX_CHOICES_BYTES <= u16::MAX as usize);

/// Why a list of choices is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoicesError {
    /// The list is empty.
    #[error("there are no choices")]
    None,
    /// A choice is empty.
    #[error("choice {choice} is empty")]
    Empty {
        /// Its number, from 1.
        choice: usize,
    },
    /// Two choices are the same.
    #[error("choice {choice} is given twice")]
    Twice {
        /// Number of the second one, from 1.
        choice: usize,
    },
    /// A choice contains a line feed.
    #[error("choice {choice} has a line feed")]
    LineFeed {
        /// Its number, from 1.
        choice: usize,
    },
    /// There are too many.
    #[error("more than {MAX_CHOICES} choices")]
    Count,
    /// The choices are too long together.
    #[error(
        "the choices have more than {MAX_CHOICES_BYTES} bytes together, including one between each two"
    )]
    Bytes,
}

impl Choices {
    /// Checks and stores the choices.
    ///
    /// # Errors
    /// The list breaks a rule of [`Choices`].
    pub fn new<'c>(choices: impl IntoIterator<Item = &'c str>) -> Result<Self, ChoicesError> {
        let mut list = Self {
            text: [0; MAX_CHOICES_BYTES],
            ranges: [(0, 0); MAX_CHOICES],
            count: 0,
        };
        let mut used = 0usize;
        for text in choices {
            let choice = list.count.saturating_add(1);
            if text.is_empty() {
                return Err(ChoicesError::Empty { choice });
            }
            if text.contains(SEPARATOR) {
                return Err(ChoicesError::LineFeed { choice });
            }
            if list.iter().any(|other| other == text.as_bytes()) {
                return Err(ChoicesError::Twice { choice });
            }
            let start = match list.count {
                0 => 0,
                _ => used.saturating_add(1),
            };
            let end = start.saturating_add(text.len());
            let range = list.ranges.get_mut(list.count).ok_or(ChoicesError::Count)?;
            let room = list.text.get_mut(start..end).ok_or(ChoicesError::Bytes)?;
            for (place, byte) in room.iter_mut().zip(text.bytes()) {
                *place = byte;
            }
            // Both are at most `MAX_CHOICES_BYTES`.
            *range = (start as u16, end as u16);
            (list.count, used) = (choice, end);
        }
        match list.count {
            0 => Err(ChoicesError::None),
            _ => Ok(list),
        }
    }

    /// The bytes of each choice.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let ranges = self.ranges.iter().take(self.count);
        ranges.map(|(start, end)| {
            let range = usize::from(*start)..usize::from(*end);
            self.text.get(range).unwrap_or(&[])
        })
    }

    /// For each choice still possible: the offset of its rest in the text of all choices, and the rest itself.
    /// The offset identifies the rest and is at most [`MAX_CHOICES_BYTES`].
    pub fn rests(&self, state: ChoiceState) -> impl Iterator<Item = (usize, &[u8])> + Clone {
        let ranges = (0..MAX_CHOICES as u32).zip(self.ranges.iter().take(self.count));
        ranges.filter_map(move |(n, (start, end))| {
            let alive = state.alive.checked_shr(n).is_some_and(|bits| bits & 1 == 1);
            let from = usize::from(*start).saturating_add(usize::from(state.at));
            let rest = self.text.get(from..usize::from(*end))?;
            alive.then_some((from, rest))
        })
    }
}

/// Prints the list of choices.
impl core::fmt::Debug for Choices {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let texts = self
            .iter()
            .map(|text| core::str::from_utf8(text).unwrap_or(""));
        f.debug_list().entries(texts).finish()
    }
}

impl Automaton for Choices {
    type State = ChoiceState;

    fn start(&self) -> ChoiceState {
        let alive = match self.count {
            32.. => u32::MAX,
            count => (1u32 << count).saturating_sub(1),
        };
        ChoiceState { alive, at: 0 }
    }

    fn next(&self, state: ChoiceState, byte: u8) -> Option<ChoiceState> {
        let mut alive = 0;
        let mut bits = state.alive;
        // Only the choices still possible are examined.
        while bits != 0 {
            let n = bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
            let Some((start, end)) = self.ranges.get(n as usize) else {
                break;
            };
            let at = start.saturating_add(state.at);
            if at < *end && self.text.get(usize::from(at)) == Some(&byte) {
                alive |= 1u32.wrapping_shl(n);
            }
        }
        (alive != 0).then_some(ChoiceState {
            alive,
            at: state.at.saturating_add(1),
        })
    }

    fn shortest(&self, state: ChoiceState) -> u16 {
        let lengths = self.rests(state).map(|(_, rest)| rest.len());
        // At most `MAX_CHOICES_BYTES`. There is no rest only if the state belongs to another list.
        lengths.min().map_or(u16::MAX, |length| length as u16)
    }

    fn exit(&self, state: ChoiceState) -> u8 {
        let nearest = self.rests(state).min_by_key(|(_, rest)| rest.len());
        nearest
            .and_then(|(_, rest)| rest.first())
            .copied()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn a_text_is_accepted_exactly_if_it_is_a_choice() {
        let choices = Choices::new(["yes", "no", "yes, but", "ünsicher"]).unwrap();
        let accepted = |text: &str| {
            let state = choices.walk(choices.start(), text.as_bytes());
            state.is_some_and(|state| choices.accepts(state))
        };
        for word in ["yes", "no", "yes, but", "ünsicher"] {
            assert!(accepted(word), "{word}");
        }
        for other in ["", "y", "yess", "no ", "yes,", "u", "yes\nno", "ünsichers"] {
            assert!(!accepted(other), "{other}");
        }
        let yes = choices.walk(choices.start(), b"yes").unwrap();
        assert!(!choices.is_over(yes), "it may go on");
        let no = choices.walk(choices.start(), b"no").unwrap();
        assert!(choices.is_over(no));
    }

    #[test]
    fn the_exit_is_the_nearest_end() {
        let choices = Choices::new(["yes, but", "yes, and so on"]).unwrap();
        let state = choices.walk(choices.start(), b"yes").unwrap();
        assert_eq!(choices.shortest(state), 5);
        let state = choices.walk(state, b", ").unwrap();
        assert_eq!((choices.exit(state), choices.shortest(state)), (b'b', 3));
        assert_eq!(choices.shortest(choices.start()), 8);
    }

    #[test]
    fn lists_that_mean_nothing_or_are_too_long_are_refused() {
        let error = |list: &[&str]| Choices::new(list.iter().copied()).unwrap_err();
        assert_eq!(error(&[]), ChoicesError::None);
        assert_eq!(error(&[""]), ChoicesError::Empty { choice: 1 });
        assert_eq!(error(&["a", "", "b"]), ChoicesError::Empty { choice: 2 });
        assert_eq!(error(&["a", "b", ""]), ChoicesError::Empty { choice: 3 });
        assert_eq!(error(&["a", "b", "a"]), ChoicesError::Twice { choice: 3 });
        assert_eq!(error(&["a", "b\nc"]), ChoicesError::LineFeed { choice: 2 });
        let many: Vec<String> = (0..=MAX_CHOICES).map(|n| std::format!("{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(error(&many), ChoicesError::Count);
        assert!(Choices::new(many[..MAX_CHOICES].iter().copied()).is_ok());
        let long = "a".repeat(MAX_CHOICES_BYTES + 1);
        assert_eq!(error(&[&long]), ChoicesError::Bytes);
        let all = Choices::new([&long[1..]]).unwrap();
        assert_eq!(usize::from(all.shortest(all.start())), MAX_CHOICES_BYTES);
    }

    proptest! {
        #[test]
        fn choices_agree_with_comparing_texts(
            list in prop::collection::btree_set("[abü]{1,4}", 1..MAX_CHOICES),
            text in "[abü]{0,5}",
        ) {
            let choices = Choices::new(list.iter().map(String::as_str)).unwrap();
            let state = choices.walk(choices.start(), text.as_bytes());
            let begun: Vec<_> = list.iter().filter(|one| one.starts_with(&text)).collect();
            prop_assert_eq!(state.is_some(), !begun.is_empty());
            if let Some(state) = state {
                let left = begun.iter().map(|one| one.len() - text.len()).min().unwrap();
                prop_assert_eq!(usize::from(choices.shortest(state)), left);
                prop_assert_eq!(choices.accepts(state), list.contains(&text));
                let next = choices.next(state, choices.exit(state));
                prop_assert!(left == 0 || choices.shortest(next.unwrap()) as usize == left - 1);
            }
        }
    }
}
