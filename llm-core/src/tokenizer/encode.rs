//! Text to tokens: special tokens first, what is between them by merging.

use super::merge::{Merge, Output, Stretch};
use super::pre::{PreTokenizer, Words};
use super::{
    Cell, EncodeOptions, Header, INSIDE, NONE, STRIPS_BEFORE, STRIPS_BEHIND, TokenType,
    TokenizeError, VocabularyView, scratch_cells,
};
use core::ops::Range;

/// Whether a character of the UTF-8 text begins, or the text ends, at `at`.
fn is_boundary(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| byte & 0xC0 != 0x80)
}

impl VocabularyView<'_> {
    /// Writes the tokens of `text` to `out` and returns their number.
    ///
    /// # Errors
    /// See [`TokenizeError`]; then what `out` holds means nothing.
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

        let mut out = Output { out, count: 0 };
        if options.add_special && self.header.add_bos {
            self.header.bos.into_iter().for_each(|id| out.push(id));
        }
        self.cut_special(text, options.parse_special, scratch);
        let mut at = 0_usize;
        let mut after_special = true;
        // Cell `i + 1` belongs to byte `i`; the cell in front of a stretch of text, which belongs to
        // a special token that is done, or to nothing, is used for the added space.
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
                None => self.encode_stretch(Stretch::spaced(prefix, stretch), cells, &mut out)?,
                Some(pre) => self.encode_words(pre, stretch, cells, &mut out)?,
            }
            at = end;
            after_special = false;
        }
        if options.add_special && self.header.add_eos {
            self.header.eos.into_iter().for_each(|id| out.push(id));
        }
        out.finish()
    }

    /// Finds the special tokens in `text`, long ones first and of equally long ones the leftmost, and
    /// notes each in the cells of its bytes.
    fn cut_special(&self, text: &[u8], parse_special: bool, scratch: &mut [Cell]) {
        for cell in scratch.iter_mut() {
            *cell = Cell {
                token: NONE,
                ..Cell::default()
            };
        }
        let cells = scratch.get_mut(1..).unwrap_or(&mut []);
        let Header { user, control, .. } = &self.header;
        for len in (1..=self.header.longest).rev() {
            if !(user.has_length(len) || (parse_special && control.has_length(len))) {
                continue;
            }
            // Bytes up to here, without a gap, that no special token has.
            let mut free = 0_usize;
            for last in 0..text.len() {
                let taken = cells.get(last).is_none_or(|cell| cell.token != NONE);
                free = if taken { 0 } else { free.saturating_add(1) };
                if free < len {
                    continue;
                }
                let end = last.saturating_add(1);
                let start = end.saturating_sub(len);
                // Of whole characters: a file may call any bytes a token, but what is left must be text.
                let found = text
                    .get(start..end)
                    .filter(|part| user.may_have(part) || (parse_special && control.may_have(part)))
                    .filter(|_| is_boundary(text, start) && is_boundary(text, end))
                    .and_then(|spelling| self.find(spelling))
                    .filter(|&id| match self.token_type(id) {
                        TokenType::UserDefined => true,
                        TokenType::Control | TokenType::Unknown => parse_special,
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
                    free = 0;
                }
            }
        }
    }

    /// A special token's place in the text, with the white space that it takes with it.
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
            // As C's `isspace`.
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
        cells: &mut [Cell],
        out: &mut Output<'_>,
    ) -> Result<(), TokenizeError> {
        // `cut_special` takes whole characters, so what is between them is, too.
        let text = core::str::from_utf8(text).unwrap_or("");
        let mut rest = cells;
        for word in Words::new(pre, text) {
            let (cells, others) = rest.split_at_mut_checked(word.len()).unwrap_or_default();
            rest = others;
            if pre.ignores_merges
                && let Some(id) = self.find_text(word.as_bytes())
            {
                out.push(id);
                continue;
            }
            self.encode_stretch(Stretch::plain(word.as_bytes()), cells, out)?;
        }
        Ok(())
    }

    /// Tokenizes text by merging.
    fn encode_stretch(
        &self,
        text: Stretch<'_>,
        cells: &mut [Cell],
        out: &mut Output<'_>,
    ) -> Result<(), TokenizeError> {
        let mut merge = Merge {
            vocabulary: self,
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
                .find_text(&[byte])
                .ok_or(TokenizeError::NoByteToken { byte });
        }
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let digit = |value: u8| HEX.get(usize::from(value & 15)).copied().unwrap_or(b'0');
        let spelling = [b'<', b'0', b'x', digit(byte >> 4), digit(byte), b'>'];
        self.find_text(&spelling)
            .or_else(|| self.find_text(&[byte]))
            .or(self.header.unknown)
            .ok_or(TokenizeError::NoByteToken { byte })
    }
}
