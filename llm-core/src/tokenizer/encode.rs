//! Converts text to tokens: first special tokens, then the text between them by merging.

use super::merge::{Merge, Output, Stretch};
use super::pre::{PreTokenizer, Words};
use super::{
    Cell, EncodeOptions, Header, INSIDE, NONE, STRIPS_BEFORE, STRIPS_BEHIND, TokenType,
    TokenizeError, VocabularyView, scratch_cells,
};
use core::ops::Range;

/// In [`Cell::winner`], until symbols are merged: the scaffold wrote the byte, so it may be part of a control token.
const OWN: u32 = 1;

/// Author of a part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// The chat template: text spelled like a control token becomes one.
    Scaffold,
    /// Somebody outside: it stays text, whatever it looks like.
    Outside,
}

/// Records the author of the bytes `place` of a text, for [`VocabularyView::encode_script`]. Every byte needs one.
pub(crate) fn mark_author(scratch: &mut [Cell], place: Range<usize>, author: Author) {
    let place = place.start.saturating_add(1)..place.end.saturating_add(1);
    for cell in scratch.get_mut(place).unwrap_or(&mut []) {
        cell.winner = match author {
            Author::Scaffold => OWN,
            Author::Outside => 0,
        };
    }
}

/// A text by two authors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script<'x> {
    /// The whole text, in UTF-8.
    pub(crate) text: &'x [u8],
    /// Where it is placed.
    pub(crate) place: ScriptPlace,
    /// Whether text from outside may become user-defined tokens.
    pub(crate) user_defined: bool,
}

/// Where a text by two authors is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScriptPlace {
    /// At the beginning: the begin token is added if the file asks for it, unless the text begins with it.
    Beginning,
    /// After other tokens. The first `ending` bytes end the previous answer. If their first special token is already
    /// there, the text continues after it.
    Behind {
        /// The last token there.
        last: u32,
        /// Number of bytes that end the previous answer.
        ending: usize,
    },
}

/// Where tokenization of a text begins.
#[derive(Clone, Copy)]
struct Start {
    at: usize,
    after_special: bool,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            at: 0,
            after_special: true,
        }
    }
}

/// Whether a character of the UTF-8 text begins at `at`, or the text ends there.
fn is_boundary(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| byte & 0xC0 != 0x80)
}

impl VocabularyView<'_> {
    /// Writes the tokens of `text` to `out` and returns their number.
    ///
    /// # Errors
    /// See [`TokenizeError`]. The contents of `out` are then meaningless.
    pub fn encode(
        &self,
        text: &[u8],
        options: EncodeOptions,
        scratch: &mut [Cell],
        out: &mut [u32],
    ) -> Result<usize, TokenizeError> {
        if let Err(error) = core::str::from_utf8(text) {
            return Err(TokenizeError::NotUtf8 {
                offset: error.valid_up_to(),
            });
        }
        let cells = scratch.len();
        let needed = scratch_cells(text.len());
        let scratch = scratch
            .get_mut(..needed)
            .ok_or(TokenizeError::ScratchTooSmall { cells, needed })?;

        for cell in scratch.iter_mut() {
            cell.winner = u32::from(options.parse_special);
        }
        let mut out = Output { out, count: 0 };
        if options.add_special && self.header.add_bos {
            self.header.bos.into_iter().for_each(|id| out.push(id));
        }
        let user_defined = options.parse_user_defined;
        self.cut_special(text, user_defined, scratch);
        self.encode_cut(text, user_defined, Start::default(), scratch, &mut out)?;
        if options.add_special && self.header.add_eos {
            self.header.eos.into_iter().for_each(|id| out.push(id));
        }
        out.finish()
    }

    /// Writes the tokens of a text by two authors to `out` and returns their number. [`mark_author`] has recorded in
    /// `scratch` who wrote which byte. Only bytes that are all the scaffold's become a control token.
    pub(crate) fn encode_script(
        &self,
        script: Script<'_>,
        scratch: &mut [Cell],
        out: &mut [u32],
    ) -> Result<usize, TokenizeError> {
        let Script {
            text,
            place,
            user_defined,
        } = script;
        let scratch = scratch
            .get_mut(..scratch_cells(text.len()))
            .unwrap_or(&mut []);
        self.cut_special(text, user_defined, scratch);
        let special = |at: usize| {
            let cell = scratch.get(at.saturating_add(1))?;
            (cell.token < INSIDE).then_some((cell.token, cell.len as usize))
        };
        let mut out = Output { out, count: 0 };
        let mut start = Start::default();
        match place {
            ScriptPlace::Beginning => {
                let bos = self.bos_added();
                if bos.is_some() && special(0).map(|(id, _)| id) != bos {
                    bos.into_iter().for_each(|id| out.push(id));
                }
            }
            ScriptPlace::Behind { last, ending } => {
                let first = (0..ending).find_map(|at| Some((at, special(at)?)));
                match first {
                    Some((at, (id, len))) if id == last => start.at = at.saturating_add(len),
                    _ => start.after_special = self.token_type(last) == TokenType::Control,
                }
            }
        }
        self.encode_cut(text, user_defined, start, scratch, &mut out)?;
        out.finish()
    }

    /// Maximum number of tokens that a scaffold's text can have between other texts, including a restart after it.
    pub(crate) fn most_tokens(&self, literal: &[u8], scratch: &mut [Cell]) -> Option<usize> {
        let scratch = scratch.get_mut(..scratch_cells(literal.len()))?;
        for cell in scratch.iter_mut() {
            cell.winner = OWN;
        }
        self.cut_special(literal, true, scratch);
        let cells = scratch.get(1..).unwrap_or(&[]);
        let of = |cell: &Cell| match cell.token {
            INSIDE => 0,
            NONE => 1,
            // The stretch that follows may begin with an added space.
            _ => 1_usize.saturating_add(usize::from(self.header.add_space_prefix)),
        };
        Some(cells.iter().map(of).fold(0, usize::saturating_add))
    }

    /// Tokenizes a text whose special tokens are already marked.
    fn encode_cut(
        &self,
        text: &[u8],
        user_defined: bool,
        start: Start,
        scratch: &mut [Cell],
        out: &mut Output<'_>,
    ) -> Result<(), TokenizeError> {
        let Start {
            mut at,
            mut after_special,
        } = start;
        // Cell `i + 1` belongs to byte `i`. The cell before a stretch of text, which belongs to a finished special
        // token or to nothing, is used for the added space.
        while let Some(first) = scratch.get(at.saturating_add(1)).copied() {
            if first.token != NONE {
                out.push(first.token);
                at = at.saturating_add(first.len.max(1) as usize);
                after_special = true;
                continue;
            }
            let len = scratch
                .iter()
                .skip(at.saturating_add(1))
                .take_while(|cell| cell.token == NONE)
                .count();
            let end = at.saturating_add(len);
            let prefix = self.header.add_space_prefix && after_special;
            let stretch = text.get(at..end).unwrap_or(&[]);
            let first_cell = at.saturating_add(usize::from(!prefix));
            let cells = scratch.get_mut(first_cell..=end).unwrap_or(&mut []);
            match self.header.pre {
                None => {
                    let stretch = Stretch::spaced(prefix, stretch);
                    self.encode_stretch(stretch, user_defined, cells, out)?;
                }
                Some(pre) => self.encode_words(pre, stretch, user_defined, cells, out)?,
            }
            at = end;
            after_special = false;
        }
        Ok(())
    }

    /// Finds the special tokens in `text`, longest first and leftmost among equals, and marks their cells. Control
    /// tokens are found only where all bytes are [`OWN`]; elsewhere at most user-defined ones are.
    fn cut_special(&self, text: &[u8], user_defined: bool, scratch: &mut [Cell]) {
        for cell in scratch.iter_mut() {
            *cell = Cell {
                token: NONE,
                winner: cell.winner,
                ..Cell::default()
            };
        }
        let cells = scratch.get_mut(1..).unwrap_or(&mut []);
        let Header { user, control, .. } = &self.header;
        let scaffold = cells.iter().any(|cell| cell.winner == OWN);
        for len in (1..=self.header.longest).rev() {
            if !(user.has_length(len) || (scaffold && control.has_length(len))) {
                continue;
            }
            // Length of the run up to here without special tokens, and of the run by the scaffold.
            let (mut free, mut own) = (0_usize, 0_usize);
            for last in 0..text.len() {
                let cell = cells.get(last).copied().unwrap_or_default();
                let taken = cell.token != NONE;
                free = if taken { 0 } else { free.saturating_add(1) };
                own = match cell.winner {
                    OWN if !taken => own.saturating_add(1),
                    _ => 0,
                };
                if free < len {
                    continue;
                }
                let owned = own >= len;
                let end = last.saturating_add(1);
                let start = end.saturating_sub(len);
                // Only whole characters: a file may call any bytes a token, but the rest must remain text.
                let found = text
                    .get(start..end)
                    .filter(|part| user.may_have(part) || (owned && control.may_have(part)))
                    .filter(|_| is_boundary(text, start) && is_boundary(text, end))
                    .and_then(|spelling| self.find(spelling))
                    .filter(|&id| match self.token_type(id) {
                        TokenType::UserDefined => owned || self.may_be_text(id, user_defined),
                        TokenType::Control | TokenType::Unknown => owned,
                        _ => false,
                    });
                let Some(id) = found else {
                    continue;
                };
                let place = self.with_spaces(id, start..end, text, cells);
                let len = place.len();
                if let Some(cells) = cells.get_mut(place) {
                    for cell in cells.iter_mut() {
                        cell.token = INSIDE;
                    }
                    if let Some(first) = cells.first_mut() {
                        first.token = id;
                        first.len = len as u32;
                    }
                    (free, own) = (0, 0);
                }
            }
        }
    }

    /// A special token's place in the text, including the white space that it absorbs.
    fn with_spaces(
        &self,
        id: u32,
        place: Range<usize>,
        text: &[u8],
        cells: &[Cell],
    ) -> Range<usize> {
        let Range { mut start, mut end } = place;
        let flags = self.types.get(id as usize).copied().unwrap_or(0);
        let is_free_space = |at: usize| {
            // The same set as C's `isspace`.
            matches!(text.get(at), Some(b' ' | b'\t'..=b'\r'))
                && cells.get(at).is_some_and(|cell| cell.token == NONE)
        };
        while flags & STRIPS_BEFORE != 0 && start.checked_sub(1).is_some_and(is_free_space) {
            start = start.saturating_sub(1);
        }
        while flags & STRIPS_BEHIND != 0 && is_free_space(end) {
            end = end.saturating_add(1);
        }
        start..end
    }

    /// Tokenizes text without special tokens, word by word.
    fn encode_words(
        &self,
        pre: PreTokenizer,
        text: &[u8],
        user_defined: bool,
        cells: &mut [Cell],
        out: &mut Output<'_>,
    ) -> Result<(), TokenizeError> {
        // `cut_special` takes whole characters, so the text between them is valid UTF-8.
        let text = core::str::from_utf8(text).unwrap_or("");
        let mut rest = cells;
        for word in Words::new(pre, text) {
            let (cells, others) = rest.split_at_mut_checked(word.len()).unwrap_or_default();
            rest = others;
            if pre.ignores_merges
                && let Some(id) = self.find_text(word.as_bytes(), user_defined)
            {
                out.push(id);
                continue;
            }
            let word = Stretch::plain(word.as_bytes());
            self.encode_stretch(word, user_defined, cells, out)?;
        }
        Ok(())
    }

    /// Tokenizes text by merging.
    fn encode_stretch(
        &self,
        text: Stretch<'_>,
        user_defined: bool,
        cells: &mut [Cell],
        out: &mut Output<'_>,
    ) -> Result<(), TokenizeError> {
        let mut merge = Merge {
            vocabulary: self,
            user_defined,
            text,
            cells,
        };
        merge.run();
        let mut at = 0;
        while let Some(len) = merge.len_at(at) {
            match merge.token(at, len) {
                Some(id) => out.push(id),
                None => {
                    for byte in text.escaped(at, len) {
                        out.push(self.byte_token(byte)?);
                    }
                }
            }
            at = at.saturating_add(len);
        }
        Ok(())
    }

    fn byte_token(&self, byte: u8) -> Result<u32, TokenizeError> {
        if self.header.pre.is_some() {
            return self
                .find_text(&[byte], false)
                .ok_or(TokenizeError::NoByteToken { byte });
        }
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let digit = |value: u8| HEX.get(usize::from(value & 15)).copied().unwrap_or(b'0');
        let spelling = [b'<', b'0', b'x', digit(byte >> 4), digit(byte), b'>'];
        self.find_text(&spelling, false)
            .or_else(|| self.find_text(&[byte], false))
            .or(self.header.unknown)
            .ok_or(TokenizeError::NoByteToken { byte })
    }
}
