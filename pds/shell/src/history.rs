//! Earlier lines. The newest replace the oldest.
//!
//! Commands and lines of conversations share the memory, but each is found only in the place where it was typed.
//! Otherwise a command could be sent to a model by mistake.

use crate::MAX_LINE_BYTES;
use zeroize::Zeroize as _;

/// Size of the history in bytes: about a hundred usual lines, and at least the longest one.
const HISTORY_BYTES: usize = 16384;

const _: () = assert!(HISTORY_BYTES > MAX_LINE_BYTES + 2);

/// Ends a line in the history. No line contains it, though pasted and continued lines contain line breaks.
const END: u8 = crate::screen::PASTED_BREAK;

/// The place where lines are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Command,
    Chat,
}

impl Place {
    /// The byte that precedes its lines.
    const fn mark(self) -> u8 {
        match self {
            Self::Command => b'$',
            Self::Chat => b'>',
        }
    }
}

#[derive(Debug)]
pub(crate) struct History {
    /// Lines, each after the mark of its place and before [`END`].
    bytes: heapless::Vec<u8, HISTORY_BYTES>,
    /// The current place.
    place: Place,
    /// How many lines back the user is; 0 is the line being typed.
    back: usize,
    /// The line being typed, while the user looks at others.
    draft: heapless::Vec<u8, MAX_LINE_BYTES>,
}

impl History {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: heapless::Vec::new(),
            place: Place::Command,
            back: 0,
            draft: heapless::Vec::new(),
        }
    }

    /// Changes the current place.
    pub(crate) fn enter(&mut self, place: Place) {
        self.leave();
        self.place = place;
    }

    /// Keeps a line that was run, unless it repeats the last one.
    pub(crate) fn add(&mut self, line: &[u8]) {
        self.leave();
        if line.trim_ascii().is_empty() || self.line(1) == Some(line) {
            return;
        }
        let needed = line.len().saturating_add(2);
        while HISTORY_BYTES.saturating_sub(self.bytes.len()) < needed {
            let oldest = self.bytes.iter().position(|byte| *byte == END);
            let len = oldest.map_or(self.bytes.len(), |end| end.saturating_add(1));
            self.bytes.rotate_left(len);
            self.bytes.truncate(self.bytes.len().saturating_sub(len));
        }
        let _ = self.bytes.push(self.place.mark());
        let _ = self.bytes.extend_from_slice(line);
        let _ = self.bytes.push(END);
    }

    /// The line before `current`, the one on display.
    pub(crate) fn older(&mut self, current: &[u8]) -> Option<&[u8]> {
        let back = self.back.saturating_add(1);
        self.line(back)?;
        if self.back == 0 {
            self.forget_draft();
            let _ = self.draft.extend_from_slice(current);
        }
        self.back = back;
        self.line(back)
    }

    /// The line after the one on display.
    pub(crate) fn newer(&mut self) -> Option<&[u8]> {
        self.back = self.back.checked_sub(1)?;
        if self.back == 0 {
            Some(&self.draft)
        } else {
            self.line(self.back)
        }
    }

    /// Returns to the line being typed, which is dropped.
    pub(crate) fn leave(&mut self) {
        self.back = 0;
        self.forget_draft();
    }

    /// Wipes the draft: it may be a passphrase that was typed in the wrong place.
    fn forget_draft(&mut self) {
        self.draft.as_mut_slice().zeroize();
        self.draft.clear();
    }

    /// The line of this place that is `back` lines back, from 1.
    fn line(&self, back: usize) -> Option<&[u8]> {
        let lines = self.bytes.rsplit(|byte| *byte == END);
        // Lines of other places have another mark, and the rest after the last end has none.
        let mut lines = lines.filter_map(|line| line.strip_prefix(&[self.place.mark()]));
        lines.nth(back.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::vec;

    #[test]
    fn lines_come_back_in_both_directions_and_so_does_the_draft() {
        let mut history = History::new();
        assert_eq!(
            (history.older(b"x").is_none(), history.newer().is_none()),
            (true, true)
        );
        for line in [&b"one"[..], b"two", b"two", b"  ", b"three"] {
            history.add(line);
        }
        assert_eq!(history.older(b"draft"), Some(&b"three"[..]));
        assert_eq!(history.older(b"three"), Some(&b"two"[..]));
        assert_eq!(history.older(b"two"), Some(&b"one"[..]));
        assert_eq!(history.older(b"one"), None);
        assert_eq!(history.newer(), Some(&b"two"[..]));
        assert_eq!(history.newer(), Some(&b"three"[..]));
        assert_eq!(history.newer(), Some(&b"draft"[..]));
        assert_eq!(history.newer(), None);
        history.older(b"");
        history.leave();
        assert_eq!(history.older(b"again"), Some(&b"three"[..]));
    }

    #[test]
    fn each_place_has_the_lines_that_were_typed_there() {
        let mut history = History::new();
        history.add(b"llmctl status");
        history.enter(Place::Chat);
        assert_eq!(history.older(b""), None);
        history.add(b"Who are you?");
        history.add(b"$ is a mark");
        assert_eq!(history.older(b""), Some(&b"$ is a mark"[..]));
        assert_eq!(history.older(b""), Some(&b"Who are you?"[..]));
        assert_eq!(history.older(b""), None);
        history.enter(Place::Command);
        assert_eq!(history.older(b""), Some(&b"llmctl status"[..]));
        assert_eq!(history.older(b""), None);
    }

    #[test]
    fn the_oldest_lines_go_for_the_newest() {
        let mut history = History::new();
        for i in 0..5000 {
            history.add(format!("line {i}").as_bytes());
        }
        assert_eq!(history.older(b""), Some(&b"line 4999"[..]));
        let mut oldest = 0;
        while let Some(line) = history.older(b"") {
            oldest = core::str::from_utf8(line).unwrap()[5..].parse().unwrap();
        }
        assert!((3000..4000).contains(&oldest), "{oldest}");
        let longest = vec![b'x'; MAX_LINE_BYTES];
        history.add(&longest);
        assert_eq!(history.older(b""), Some(&longest[..]));
    }
}
