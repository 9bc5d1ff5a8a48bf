//! Which tokens a format lets follow.

use super::MAX_FORMAT_TOKEN_BYTES;
use crate::sampling::Allowed;
use crate::tokenizer::VocabularyView;
use formats::Automaton;

/// Runs of tokens that are looked at one by one; more are not worth the look.
const RUNS: usize = 64;

/// The tokens that may follow in a state.
pub(super) struct Mask<'a, A: Automaton, C> {
    automaton: &'a A,
    state: A::State,
    cost: C,
    view: VocabularyView<'a>,
    /// Tokens that can follow behind the one that is chosen.
    left: u16,
}

impl<'a, A: Automaton, C: Fn(A::State) -> u16> Mask<'a, A, C> {
    pub(super) fn new(
        automaton: &'a A,
        state: A::State,
        cost: C,
        view: VocabularyView<'a>,
        left: usize,
    ) -> Self {
        Self {
            automaton,
            state,
            cost,
            view,
            // One below what is out of reach.
            left: left.min(usize::from(u16::MAX - 1)) as u16,
        }
    }

    /// The state after a token; `None` if it may not follow.
    #[inline]
    pub(super) fn after(&self, id: u32) -> Option<A::State> {
        let after = match self.view.verbatim(id) {
            Some(text) if text.len() > MAX_FORMAT_TOKEN_BYTES => return None,
            Some(text) => self.automaton.walk(self.state, text)?,
            None => {
                let mut text = self.view.decode(id, false);
                let mut most = text.by_ref().take(MAX_FORMAT_TOKEN_BYTES);
                let after =
                    most.try_fold(self.state, |state, byte| self.automaton.next(state, byte))?;
                if text.next().is_some() {
                    return None;
                }
                after
            }
        };
        if self.view.is_suppressed(id) {
            return None;
        }
        if self.view.is_eog(id) {
            return self.automaton.accepts(after).then_some(after);
        }
        let has_text = self.view.decode(id, false).next().is_some();
        (has_text && (self.cost)(after) <= self.left).then_some(after)
    }

    /// The runs of the index in which all tokens are that may follow and do not end the text: by the first byte.
    fn runs(&self, most: usize) -> Option<heapless::Vec<&'a [u32], RUNS>> {
        let mut runs = heapless::Vec::new();
        let mut left = most;
        let mut add = |prefix: &[u8]| {
            let run = self.view.beginning_with(prefix);
            left = left.checked_sub(run.len())?;
            runs.push(run).ok()
        };
        let goes_on = |byte| self.automaton.next(self.state, byte).is_some();
        for byte in (0..=u8::MAX).filter(|byte| goes_on(*byte)) {
            add(&[byte])?;
        }
        // What is spelled otherwise than it reads: `▁`, and single bytes.
        if self.view.escapes() && goes_on(b' ') && !goes_on(0xE2) {
            add("▁".as_bytes())?;
        }
        if goes_on(b'<') {
            return Some(runs);
        }
        // Tokens of single bytes, by their first digit.
        for digit in 0..16u8 {
            if !(0..16).any(|low| goes_on(digit << 4 | low)) {
                continue;
            }
            let spelled = char::from_digit(u32::from(digit), 16).map_or(0, |digit| digit as u8);
            add(&[b'<', b'0', b'x', spelled])?;
            if spelled.is_ascii_lowercase() {
                add(&[b'<', b'0', b'x', spelled.to_ascii_uppercase()])?;
            }
        }
        Some(runs)
    }
}

impl<A: Automaton, C: Fn(A::State) -> u16> Allowed for Mask<'_, A, C> {
    #[inline]
    fn allows(&self, id: u32) -> bool {
        self.after(id).is_some()
    }

    fn list(&self, most: usize, mut each: impl FnMut(u32)) -> bool {
        let Some(runs) = self.runs(most) else {
            return false;
        };
        let texts = runs.into_iter().flatten().copied();
        texts.filter(|id| self.allows(*id)).for_each(&mut each);
        if self.automaton.accepts(self.state) {
            let ends = self.view.ends();
            ends.filter(|id| self.allows(*id)).for_each(each);
        }
        true
    }
}
