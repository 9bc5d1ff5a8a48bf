//! Texts of answers, until they are handed on.

use super::Table;
use crate::answer::{Words, Wrong};
use crate::generation::Generation;
use protocol::limits::{MAX_REQUESTS, MAX_TEXT_BYTES};

/// Text that waits for clients, and the words that their answers are checked against: one buffer for each request in
/// flight, 190 KiB in all. It is outside the monitor, so a runtime with a small stack can make it a static.
#[derive(Debug)]
pub struct Texts(pub(super) [Buffer; MAX_REQUESTS]);

/// The buffer of a request.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) text: heapless::Vec<u8, MAX_TEXT_BYTES>,
    pub(super) words: Words,
}

impl Texts {
    /// Empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        const EMPTY: Buffer = Buffer {
            text: heapless::Vec::new(),
            words: Words::None,
        };
        Self([EMPTY; MAX_REQUESTS])
    }
}

impl Default for Texts {
    fn default() -> Self {
        Self::new()
    }
}

impl<'m> Table<'m> {
    /// Adds the text of a token to the text that waits for the client.
    ///
    /// # Errors
    /// The answer may not continue like this, or there is no room. Nothing was added.
    pub(crate) fn keep_text(&mut self, index: usize, text: &[u8]) -> Result<(), Wrong> {
        let Some((generation, buffer)) = self.answering(index) else {
            return Err(Wrong::Room);
        };
        let Buffer { text: kept, words } = buffer;
        generation
            .answer
            .take(words, text, |shown| kept.extend_from_slice(shown).is_ok())
    }

    /// Ends an answer: text that was held back now waits for the client, too.
    pub(crate) fn release_text(&mut self, index: usize) {
        if let Some((generation, buffer)) = self.answering(index) {
            let Buffer { text: kept, words } = buffer;
            let held = generation.answer.release(words);
            generation.released |= !held.is_empty();
            // There is room: it is what the buffer has beyond the longest tokens.
            for byte in held {
                let _ = kept.push(*byte);
            }
        }
    }

    /// Whether the text so far is a complete answer.
    pub(crate) fn is_whole(&self, generation: &Generation<'_>) -> bool {
        let buffer = self.texts.0.get(generation.text);
        buffer.is_some_and(|buffer| generation.answer.is_whole(&buffer.words))
    }

    fn answering(&mut self, index: usize) -> Option<(&mut Generation<'m>, &mut Buffer)> {
        let generation = self.entries.get_mut(index)?.generation_mut()?;
        let buffer = self.texts.0.get_mut(generation.text)?;
        Some((generation, buffer))
    }

    /// The text that waits for the client.
    pub(crate) fn text(&self, generation: &Generation<'_>) -> &[u8] {
        let buffer = self.texts.0.get(generation.text);
        buffer.map_or(&[], |buffer| &buffer.text)
    }

    /// Notes that the text of all tokens so far has been sent to the client.
    pub(crate) fn text_is_handed_on(&mut self, index: usize) {
        if let Some((generation, buffer)) = self.answering(index) {
            generation.handed_on = generation.tokens;
            generation.released = false;
            buffer.text.clear();
        }
    }
}

/// The bit of a buffer in [`Table::taken`].
pub(super) fn bit(text: usize) -> u64 {
    u32::try_from(text)
        .ok()
        .and_then(|text| 1u64.checked_shl(text))
        .unwrap_or(0)
}
