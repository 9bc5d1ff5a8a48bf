//! Which tokens a format allows next.

use super::MAX_FORMAT_TOKEN_BYTES;
use super::firsts::Firsts;
use crate::sampling::Allowed;
use crate::tokenizer::{ESCAPED_SPACE, VocabularyView};
use formats::Automaton;

/// The tokens allowed in a state.
pub(super) struct Mask<'a, A: Automaton, C> {
    automaton: &'a A,
    state: A::State,
    cost: C,
    firsts: &'a Firsts,
    view: VocabularyView<'a>,
    /// Tokens that can still follow the chosen one.
    left: u16,
}

impl<'a, A: Automaton, C: Fn(A::State) -> u16> Mask<'a, A, C> {
    pub(super) fn new(
        automaton: &'a A,
        state: A::State,
        cost: C,
        firsts: &'a Firsts,
        view: VocabularyView<'a>,
        left: usize,
    ) -> Self {
        Self {
            automaton,
            state,
            cost,
            firsts,
            view,
            // One less than the value for out of reach.
            left: left.min(usize::from(u16::MAX - 1)) as u16,
        }
    }

    /// The state after a token; `None` if the token is not allowed.
    #[inline]
    pub(super) fn after(&self, id: u32) -> Option<A::State> {
        let (after, has_text) = match self.view.verbatim(id) {
            Some(text) if text.len() > MAX_FORMAT_TOKEN_BYTES => return None,
            Some(text) => (self.automaton.walk(self.state, text)?, !text.is_empty()),
            None => {
                let mut text = self.view.decode(id, false);
                let mut most = text.by_ref().take(MAX_FORMAT_TOKEN_BYTES);
                let (after, bytes) = most.try_fold((self.state, 0), |(state, bytes), byte| {
                    Some((self.automaton.next(state, byte)?, bytes + 1))
                })?;
                if text.next().is_some() {
                    return None;
                }
                (after, bytes > 0)
            }
        };
        if self.view.is_suppressed(id) {
            return None;
        }
        if self.view.is_eog(id) {
            return self.automaton.accepts(after).then_some(after);
        }
        (has_text && (self.cost)(after) <= self.left).then_some(after)
    }

    /// For each byte, whether an answer can continue with it, provided that looking at `most` tokens finds all that are
    /// allowed and do not end the text.
    fn next_bytes(&self, most: usize) -> Option<[bool; 256]> {
        if self.firsts.is_ambiguous() {
            return None;
        }
        let mut goes_on = [false; 256];
        let mut left = most;
        for byte in 0..=u8::MAX {
            if self.automaton.next(self.state, byte).is_some() {
                goes_on[usize::from(byte)] = true;
                // Plus the one that stands for the byte alone.
                left = left.checked_sub(self.run(byte).len() + 1)?;
            }
        }
        if self.begins_with_space(&goes_on) {
            left.checked_sub(self.firsts.spaces(&self.view).len())?;
        }
        Some(goes_on)
    }

    /// Whether a token may follow that begins with a space spelled `▁` and is not in the run of that byte.
    fn begins_with_space(&self, goes_on: &[bool; 256]) -> bool {
        goes_on[usize::from(b' ')] && !goes_on[usize::from(ESCAPED_SPACE[0])]
    }

    fn run(&self, byte: u8) -> &'a [u32] {
        self.firsts.run(&self.view, byte)
    }
}

impl<A: Automaton, C: Fn(A::State) -> u16> Allowed for Mask<'_, A, C> {
    #[inline]
    fn allows(&self, id: u32) -> bool {
        self.after(id).is_some()
    }

    fn list(&self, most: usize, mut each: impl FnMut(u32)) -> bool {
        let Some(goes_on) = self.next_bytes(most) else {
            return false;
        };
        let mut add = |id| {
            if self.allows(id) {
                each(id);
            }
        };
        for byte in (0..=u8::MAX).filter(|byte| goes_on[usize::from(*byte)]) {
            self.run(byte).iter().copied().for_each(&mut add);
            // Such a token is spelled with `<`.
            if !goes_on[usize::from(b'<')] {
                self.firsts.of_byte(byte).into_iter().for_each(&mut add);
            }
        }
        if self.begins_with_space(&goes_on) {
            let spaces = self.firsts.spaces(&self.view);
            spaces.iter().copied().for_each(&mut add);
        }
        if self.automaton.accepts(self.state) {
            self.view.ends().for_each(add);
        }
        true
    }
}
