//! Stop strings: texts that end an answer and are not shown.
//!
//! Engine and audit run the same [`StopMatcher`] over the text of an answer: the engine to end the answer, audit to
//! check that it ended. Text that may be the beginning of a stop string is held back until that is ruled out, so a stop
//! string that arrives in several tokens is never shown in part.
//!
//! The stop string that is complete first counts. If several are complete with the same byte, the longest counts, so no
//! part of any is shown.

use crate::{MAX_STOP_BYTES, MAX_STOPS};

/// Stop strings of a request: at most [`MAX_STOPS`], each of 1 to [`MAX_STOP_BYTES`] bytes. One may contain another.
/// They are text, so cutting text at a stop string never splits a character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stops {
    stops: [Stop; MAX_STOPS],
    count: u8,
}

/// A stop string with its failure function for the search of Knuth, Morris and Pratt.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stop {
    bytes: [u8; MAX_STOP_BYTES],
    len: u8,
    /// For each number of matching bytes, less one: how many still match if the next byte does not.
    borders: [u8; MAX_STOP_BYTES],
}

const _: () = assert!(MAX_STOP_BYTES <= u8::MAX as usize);
const _: () = assert!(MAX_STOPS <= u8::MAX as usize);

/// Why a list of stop strings is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopsError {
    /// A stop string is empty.
    #[error("stop string {stop} is empty")]
    Empty {
        /// Its number, from 1.
        stop: usize,
    },
    /// A stop string is too long.
    #[error("stop string {stop} has {bytes} bytes, at most {MAX_STOP_BYTES} are allowed")]
    Bytes {
        /// Its number, from 1.
        stop: usize,
        /// Its length in bytes.
        bytes: usize,
    },
    /// There are too many stop strings.
    #[error("there are more than {MAX_STOPS} stop strings")]
    Count,
}

impl Stop {
    const EMPTY: Self = Self {
        bytes: [0; MAX_STOP_BYTES],
        len: 0,
        borders: [0; MAX_STOP_BYTES],
    };

    /// Prepares a string of at most [`MAX_STOP_BYTES`] bytes; `None` if it is longer.
    fn new(text: &[u8]) -> Option<Self> {
        let mut stop = Self::EMPTY;
        stop.bytes.get_mut(..text.len())?.copy_from_slice(text);
        stop.len = text.len() as u8;
        let mut border = 0;
        for (at, byte) in (1..MAX_STOP_BYTES).zip(text.iter().skip(1)) {
            border = stop.step(border, *byte);
            *stop.borders.get_mut(at)? = border;
        }
        Some(stop)
    }

    fn text(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// Takes one more byte after `matched` bytes of the stop string, but not all of them, have matched. Returns how many
    /// match then. The loop is bounded because each turn continues with a smaller number.
    fn step(&self, matched: u8, byte: u8) -> u8 {
        let mut matched = matched;
        loop {
            if self.text().get(usize::from(matched)) == Some(&byte) {
                return matched.saturating_add(1);
            }
            let Some(last) = matched.checked_sub(1) else {
                return 0;
            };
            let shorter = self.borders.get(usize::from(last)).copied().unwrap_or(0);
            matched = shorter.min(last);
        }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Prints its text.
impl core::fmt::Debug for Stop {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "\"{}\"", self.text().escape_ascii())
    }
}

impl Stops {
    /// No stop strings, so no text ends an answer.
    pub const NONE: Self = Self {
        stops: [Stop::EMPTY; MAX_STOPS],
        count: 0,
    };

    /// Checks and prepares the stop strings.
    ///
    /// # Errors
    /// The list breaks a rule of [`Stops`].
    pub fn new<'s>(stops: impl IntoIterator<Item = &'s str>) -> Result<Self, StopsError> {
        let mut list = Self::NONE;
        for text in stops {
            let place = list.stops.get_mut(usize::from(list.count));
            let place = place.ok_or(StopsError::Count)?;
            list.count = list.count.saturating_add(1);
            let stop = usize::from(list.count);
            if text.is_empty() {
                return Err(StopsError::Empty { stop });
            }
            let bytes = text.len();
            *place = Stop::new(text.as_bytes()).ok_or(StopsError::Bytes { stop, bytes })?;
        }
        Ok(list)
    }

    /// Whether there are no stop strings.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes of each stop string.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.stops
            .iter()
            .take(self.count.into())
            .map(|stop| stop.text())
    }
}

/// Finds the stop strings of a request in the text of its answer, byte by byte. Pass the same [`Stops`] to each call;
/// with others the result is meaningless, but nothing worse happens.
///
/// It stores no text, because what it holds back is the beginning of a stop string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopMatcher {
    /// For each stop string: how many of its bytes the text so far ends with, at most all but one.
    matched: [u8; MAX_STOPS],
    found: bool,
}

/// What a byte led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed<'s> {
    /// Bytes held back until now that may be shown.
    pub released: &'s [u8],
    /// The byte itself, if it may be shown after those.
    pub byte: Option<u8>,
    /// Whether a stop string is complete. Everything that may be shown comes before it.
    pub stopped: bool,
}

impl StopMatcher {
    /// A matcher before the first byte.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            matched: [0; MAX_STOPS],
            found: false,
        }
    }

    /// Takes a byte of the text. After a stop string nothing is shown any more.
    ///
    /// A call examines each stop string at most once.
    pub fn push<'s>(&mut self, stops: &'s Stops, byte: u8) -> Pushed<'s> {
        if self.found {
            return Pushed {
                released: &[],
                byte: None,
                stopped: true,
            };
        }
        let held = self.held(stops);
        let mut longest = 0;
        let mut complete = 0;
        for (stop, matched) in stops.stops.iter().zip(&mut self.matched) {
            *matched = stop.step(*matched, byte);
            longest = longest.max(*matched);
            if stop.len > 0 && *matched == stop.len {
                complete = complete.max(stop.len);
            }
        }
        let stopped = complete > 0;
        // Bytes that belong, or may belong, to a stop string, counted backwards from this byte.
        let kept = if stopped { complete } else { longest };
        let shown = held.len().saturating_add(1).saturating_sub(kept.into());
        if stopped {
            *self = Self {
                matched: [0; MAX_STOPS],
                found: true,
            };
        }
        Pushed {
            released: held.get(..shown.min(held.len())).unwrap_or(held),
            byte: (kept == 0).then_some(byte),
            stopped,
        }
    }

    /// Bytes held back because a stop string begins with them, fewer than [`MAX_STOP_BYTES`]. At the end of the text
    /// they may be shown; after a stop string this is empty.
    #[must_use]
    pub fn held<'s>(&self, stops: &'s Stops) -> &'s [u8] {
        let matched = stops.stops.iter().zip(self.matched);
        let longest = matched.max_by_key(|(_, matched)| *matched);
        longest.map_or(&[], |(stop, matched)| {
            stop.text().get(..matched.into()).unwrap_or(&[])
        })
    }

    /// Whether a stop string is complete.
    #[must_use]
    pub const fn is_found(&self) -> bool {
        self.found
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    fn stops(list: &[&str]) -> Stops {
        Stops::new(list.iter().copied()).unwrap()
    }

    /// What is shown before the end of the text, what is held back then, and whether a stop string was found.
    fn run(stops: &Stops, text: &[u8]) -> (Vec<u8>, Vec<u8>, bool) {
        let mut matcher = StopMatcher::new();
        let mut shown = Vec::new();
        for (at, byte) in text.iter().enumerate() {
            let was_found = matcher.is_found();
            let pushed = matcher.push(stops, *byte);
            assert_eq!(pushed.stopped, matcher.is_found());
            shown.extend_from_slice(pushed.released);
            shown.extend(pushed.byte);
            if was_found {
                assert_eq!((pushed.released, pushed.byte), (&[][..], None));
            }
            if !pushed.stopped {
                assert_eq!(shown.len() + matcher.held(stops).len(), at + 1);
            }
        }
        (shown, matcher.held(stops).to_vec(), matcher.is_found())
    }

    /// Oracle that looks at the whole text: the shown text, the held text, and whether it stopped.
    fn search(stops: &Stops, text: &[u8]) -> (Vec<u8>, Vec<u8>, bool) {
        for end in 1..=text.len() {
            let ends = |stop: &&[u8]| text[..end].ends_with(stop);
            if let Some(longest) = stops.iter().filter(ends).map(<[u8]>::len).max() {
                return (text[..end - longest].to_vec(), Vec::new(), true);
            }
        }
        let begins = |start: &usize| stops.iter().any(|stop| stop.starts_with(&text[*start..]));
        let start = (0..text.len()).find(begins).unwrap_or(text.len());
        (text[..start].to_vec(), text[start..].to_vec(), false)
    }

    #[test]
    fn a_stop_string_is_found_and_nothing_of_it_is_shown() {
        let list = stops(&["\nUser:"]);
        assert_eq!(
            run(&list, b"so it is.\nUser: and"),
            (b"so it is.".to_vec(), Vec::new(), true)
        );
        assert_eq!(
            run(&list, b"\nUs\nUsed \nUser"),
            (b"\nUs\nUsed ".to_vec(), b"\nUser".to_vec(), false)
        );
    }

    #[test]
    fn the_stop_string_that_is_complete_first_counts_and_of_several_the_longest() {
        let one_in_the_other = stops(&["abcd", "bc"]);
        assert_eq!(run(&one_in_the_other, b"xabcd").0, b"xa");
        let one_ends_as_the_other = stops(&["c", "abc", "bc"]);
        assert_eq!(run(&one_ends_as_the_other, b"xabc").0, b"x");
        assert_eq!(run(&one_ends_as_the_other, b"xaabc").0, b"xa");
        let behind_one_another = stops(&["aab", "ba"]);
        assert_eq!(run(&behind_one_another, b"aaab").0, b"a");
        assert_eq!(run(&behind_one_another, b"aba").0, b"a");
    }

    #[test]
    fn without_stop_strings_all_is_shown_at_once() {
        let (shown, held, stopped) = run(&Stops::NONE, b"text");
        assert_eq!(
            (shown, held, stopped),
            (b"text".to_vec(), Vec::new(), false)
        );
    }

    #[test]
    fn the_longest_stop_strings_are_found() {
        let long = "a".repeat(MAX_STOP_BYTES);
        let list = stops(&[&long, &long[1..]]);
        let text = std::format!("{}b{long}", &long[2..]);
        // The shorter stop string is complete a byte before the longer one.
        let before = text.as_bytes()[..MAX_STOP_BYTES - 1].to_vec();
        assert_eq!(run(&list, text.as_bytes()), (before, Vec::new(), true));
    }

    #[test]
    fn lists_that_mean_nothing_or_are_too_long_are_refused() {
        let error = |list: &[&str]| Stops::new(list.iter().copied()).unwrap_err();
        assert_eq!(error(&["a", ""]), StopsError::Empty { stop: 2 });
        let long = "a".repeat(MAX_STOP_BYTES + 1);
        assert_eq!(
            error(&[&long]),
            StopsError::Bytes {
                stop: 1,
                bytes: MAX_STOP_BYTES + 1
            }
        );
        assert_eq!(error(&["a"; MAX_STOPS + 1]), StopsError::Count);
        let all = Stops::new([&long[1..]; MAX_STOPS]).unwrap();
        assert_eq!(all.iter().count(), MAX_STOPS);
        assert!(Stops::new([]).unwrap().is_empty());
    }

    #[test]
    fn a_matcher_that_is_given_other_stop_strings_stays_within_its_bounds() {
        let (first, second) = (stops(&["aaaaaaaa", "aaab"]), stops(&["ab"]));
        let mut matcher = StopMatcher::new();
        for byte in b"aaaaaaab".repeat(4) {
            let held = matcher.held(&second).len();
            let pushed = matcher.push(&second, byte);
            assert!(pushed.released.len() <= held);
            matcher.push(&first, byte);
        }
    }

    proptest! {
        #[test]
        fn stop_strings_are_found_as_by_looking_at_all_of_the_text(
            list in prop::collection::vec("[ab]{1,6}|[abü]{1,3}", 0..=MAX_STOPS),
            text in "[abü]{0,40}",
        ) {
            let stops = Stops::new(list.iter().map(String::as_str)).unwrap();
            prop_assert_eq!(run(&stops, text.as_bytes()), search(&stops, text.as_bytes()));
            let (shown, held, _) = run(&stops, text.as_bytes());
            // Whole characters go in, and whole characters come out.
            prop_assert!(std::str::from_utf8(&shown).is_ok() && std::str::from_utf8(&held).is_ok());
        }

        #[test]
        fn any_bytes_are_searched(
            list in prop::collection::vec("[abc]{1,64}|[ab]{1,5}", 0..=MAX_STOPS),
            text in prop::collection::vec(b'a'..=b'c', 0..300),
            noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let stops = Stops::new(list.iter().map(String::as_str)).unwrap();
            let mut text = text;
            for (at, byte) in noise.iter().filter(|_| !text.is_empty()).collect::<Vec<_>>() {
                let at = at.index(text.len());
                text[at] = *byte;
            }
            prop_assert_eq!(run(&stops, &text), search(&stops, &text));
        }
    }
}
