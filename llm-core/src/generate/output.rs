//! The part of an answer that can be shown: whole characters, up to a stop string.

use super::{MAX_STOPPED_TEXT_BYTES, Text};
use formats::MAX_STOP_BYTES;
use formats::stop::{StopMatcher, Stops};
use safe_text::Utf8Stream;

/// Maximum size of a token's text that is searched for stop strings: with what was held back before, it fits a report.
const MAX_SEARCHED_BYTES: usize = MAX_STOPPED_TEXT_BYTES - MAX_STOP_BYTES;

/// The text of an answer on its way out.
#[derive(Debug)]
pub(crate) struct Output {
    stream: Utf8Stream,
    stops: Stops,
    matcher: StopMatcher,
}

impl Output {
    pub(crate) const fn new(stops: Stops) -> Self {
        Self {
            stream: Utf8Stream::new(),
            stops,
            matcher: StopMatcher::new(),
        }
    }

    /// Takes the bytes of a token and appends to `text` what can be shown. True if a stop string is complete.
    pub(crate) fn push(&mut self, bytes: impl Iterator<Item = u8>, text: &mut Text) -> bool {
        let Self {
            stream,
            stops,
            matcher,
        } = self;
        let mut sink = Sink::new(stops, matcher, text);
        for byte in bytes {
            stream.push(byte, &mut |unit| sink.take(unit.or_replacement()));
        }
        sink.show();
        self.matcher.is_found()
    }

    /// Ends the answer and shows what was held back. True if that completes a stop string, which is not shown.
    pub(crate) fn finish(&mut self, text: &mut Text) -> bool {
        let Self {
            stream,
            stops,
            matcher,
        } = self;
        let mut sink = Sink::new(stops, matcher, text);
        stream.finish(&mut |unit| sink.take(unit.or_replacement()));
        sink.shown.extend(sink.matcher.held(stops).iter().copied());
        sink.show();
        self.matcher.is_found()
    }
}

/// Receives the characters of a token.
struct Sink<'s, 't> {
    stops: &'s Stops,
    matcher: &'s mut StopMatcher,
    text: &'t mut Text,
    /// Bytes of this token so far.
    taken: usize,
    shown: heapless::Vec<u8, MAX_STOPPED_TEXT_BYTES>,
}

impl<'s, 't> Sink<'s, 't> {
    fn new(stops: &'s Stops, matcher: &'s mut StopMatcher, text: &'t mut Text) -> Self {
        Self {
            stops,
            matcher,
            text,
            taken: 0,
            shown: heapless::Vec::new(),
        }
    }

    fn take(&mut self, character: char) {
        if self.stops.is_empty() {
            // `Text` has room for any token; see its definition.
            drop(self.text.push(character));
            return;
        }
        self.taken += character.len_utf8();
        if self.taken > MAX_SEARCHED_BYTES {
            return;
        }
        let mut bytes = [0; 4];
        for &byte in character.encode_utf8(&mut bytes).as_bytes() {
            let pushed = self.matcher.push(self.stops, byte);
            // There is room for the bytes of a token plus less than a stop string held back.
            let _ = self.shown.extend_from_slice(pushed.released);
            self.shown.extend(pushed.byte);
        }
    }

    /// Appends what may be shown. These are whole characters because stop strings are.
    fn show(&mut self) {
        drop(
            self.text
                .push_str(core::str::from_utf8(&self.shown).unwrap_or("")),
        );
        self.shown.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    /// Returns the texts after each token, the text at the end, and whether there was a stop string.
    fn run(stops: &[&str], tokens: &[&[u8]]) -> (Vec<String>, bool) {
        let mut output = Output::new(Stops::new(stops.iter().copied()).expect("stop strings"));
        let mut shown = Vec::new();
        for (n, token) in tokens.iter().enumerate() {
            let mut text = Text::new();
            let stopped = output.push(token.iter().copied(), &mut text)
                || (n + 1 == tokens.len() && output.finish(&mut text));
            shown.push(text.to_string());
            if stopped {
                return (shown, true);
            }
        }
        (shown, false)
    }

    #[test]
    fn a_stop_string_across_tokens_and_within_characters_is_cut_off() {
        let tokens: [&[u8]; 4] = [b"so \xc3", b"\xbcb", b"er\n\nUs", b"er: more"];
        let (shown, stopped) = run(&["\nUser:"], &tokens);
        assert!(stopped);
        assert_eq!(shown, ["so ", "\u{fc}b", "er\n", ""]);
        let (shown, stopped) = run(&["\u{fc}be"], &tokens);
        assert!(stopped);
        assert_eq!(shown, ["so ", "", ""]);
    }

    #[test]
    fn what_was_held_back_is_shown_when_the_answer_ends() {
        let (shown, stopped) = run(&["END."], &[b"the E", b"N", b"D"]);
        assert!(!stopped);
        assert_eq!(shown, ["the ", "", "END"]);
        // An incomplete character is shown as U+FFFD, which can also be in a stop string.
        assert_eq!(run(&["a\u{fffd}"], &[b"xa", b"\xc3"]).0, ["x", ""]);
        assert!(run(&["a\u{fffd}"], &[b"xa", b"\xc3"]).1);
        assert_eq!(run(&["b\u{fffd}"], &[b"xa", b"\xc3"]).0, ["xa", "\u{fffd}"]);
    }

    #[test]
    fn the_text_of_a_token_fits_a_report_whatever_was_held_back() {
        let stop = "a".repeat(MAX_STOP_BYTES);
        let long = "b".repeat(500);
        let tokens = [&stop.as_bytes()[1..], long.as_bytes()];
        let (shown, stopped) = run(&[&stop], &tokens);
        assert!(!stopped);
        assert_eq!(shown[0], "");
        let searched = "b".repeat(MAX_SEARCHED_BYTES);
        assert_eq!(shown[1], std::format!("{}{searched}", &stop[1..]));
        assert!(shown[1].len() <= MAX_STOPPED_TEXT_BYTES);
        // Without stop strings nothing is dropped.
        assert_eq!(run(&[], &tokens).0[1], long);
    }
}
