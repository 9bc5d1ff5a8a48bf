//! Stop strings: texts at which an answer ends, and of which nothing is shown.
//!
//! Engine and audit run the same [`StopMatcher`] over the text that an answer has: the engine to end an answer, audit to
//! see that it did. What may be the beginning of a stop string is held back until it is known not to be one, so a stop
//! string that arrives in several tokens is not shown in part.
//!
//! The stop string that counts is the one that is complete first. If several are complete with the same byte, it is the
//! longest of them, so nothing of any is shown.

use crate::{MAX_STOP_BYTES, MAX_STOPS};

/// Stop strings of one request: at most [`MAX_STOPS`], each of 1 to [`MAX_STOP_BYTES`] bytes. One may be a part of
/// another. They are text, so what is shown of a text in whole characters is in whole characters, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stops {
    stops: [Stop; MAX_STOPS],
    count: u8,
}

/// One of them, with what the search of Knuth, Morris and Pratt needs.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stop {
    bytes: [u8; MAX_STOP_BYTES],
    len: u8,
    /// For each number of bytes that match, less one: how many still do if the next byte does not.
    borders: [u8; MAX_STOP_BYTES],
}

const _: () = assert!(MAX_STOP_BYTES <= u8::MAX as usize);
const _: () = assert!(MAX_STOPS <= u8::MAX as usize);

/// Why a list of stop strings cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopsError {
    /// One has no bytes.
    #[error("stop string {stop} is empty")]
    Empty {
        /// Which, from 1.
        stop: usize,
    },
    /// One is too long.
    #[error("stop string {stop} has {bytes} bytes, at most {MAX_STOP_BYTES} are allowed")]
    Bytes {
        /// Which, from 1.
        stop: usize,
        /// Bytes that it has.
        bytes: usize,
    },
    /// There are too many.
    #[error("there are more than {MAX_STOPS} stop strings")]
    Count,
}

impl Stop {
    const EMPTY: Self = Self {
        bytes: [0; MAX_STOP_BYTES],
        len: 0,
        borders: [0; MAX_STOP_BYTES],
    };

    /// A string of at most [`MAX_STOP_BYTES`] bytes; `None` if it is longer.
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

    /// How many bytes match after one more, if `matched` did: fewer than all of them. It is bounded, since each turn
    /// goes on with fewer.
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

/// As its text.
impl core::fmt::Debug for Stop {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "\"{}\"", self.text().escape_ascii())
    }
}

impl Stops {
    /// No stop strings: no text ends an answer.
    pub const NONE: Self = Self {
        stops: [Stop::EMPTY; MAX_STOPS],
        count: 0,
    };

    /// These stop strings.
    ///
    /// # Errors
    /// What is wrong with them.
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

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes of each.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.stops
            .iter()
            .take(self.count.into())
            .map(|stop| stop.text())
    }
}

/// Finds the stop strings of one request in the text of its answer, byte by byte. It is to be given the same [`Stops`]
/// at each call. With others it finds nothing that means anything, but does no worse.
///
/// It keeps no text: what it holds back is the beginning of a stop string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopMatcher {
    /// For each stop string: how many of its bytes the text up to here ends with, at most all but one.
    matched: [u8; MAX_STOPS],
    found: bool,
}

/// What a byte did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed<'s> {
    /// Bytes that were held back and may now be shown.
    pub released: &'s [u8],
    /// The byte itself if it may be shown, too, behind those.
    pub byte: Option<u8>,
    /// Whether a stop string is complete. What may be shown is then all in front of it.
    pub stopped: bool,
}

impl StopMatcher {
    /// Before the first byte.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            matched: [0; MAX_STOPS],
            found: false,
        }
    }

    /// Takes a byte of the text. Behind a stop string nothing is shown any more.
    ///
    /// A call goes through each stop string once at most.
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
        // What belongs to a stop string that is complete, or may belong to one, counted from the byte backwards.
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

    /// What is held back since a stop string begins so, fewer than [`MAX_STOP_BYTES`] bytes. If the text is over, it may
    /// be shown; behind a stop string it is nothing.
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

    /// What is shown before the end of the text, what is held back at its end, and whether a stop string is in it.
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

    /// The same, by looking at all of the text: the shown text, the held text, and whether it stopped.
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
        // The shorter one is complete a byte before the longer one.
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
