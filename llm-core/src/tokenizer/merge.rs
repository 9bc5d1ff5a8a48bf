//! Merges symbols: a linked list of them, and a tournament that finds the best pair.

use super::{Cell, ESCAPED_SPACE, MAX_TOKEN_BYTES, NONE, TokenizeError, VocabularyView};

/// Receives the tokens; those that do not fit are only counted.
pub(super) struct Output<'o> {
    pub(super) out: &'o mut [u32],
    pub(super) count: usize,
}

impl Output<'_> {
    pub(super) fn push(&mut self, id: u32) {
        if let Some(place) = self.out.get_mut(self.count) {
            *place = id;
        }
        self.count = self.count.saturating_add(1);
    }

    pub(super) fn finish(self) -> Result<usize, TokenizeError> {
        if self.count <= self.out.len() {
            Ok(self.count)
        } else {
            Err(TokenizeError::TooManyTokens {
                tokens: self.count,
                limit: self.out.len(),
            })
        }
    }
}

/// Text without special tokens, optionally with a leading space that is not in memory.
#[derive(Clone, Copy)]
pub(super) struct Stretch<'x> {
    prefix: bool,
    /// Whether symbols start as bytes, instead of characters with escaped spaces.
    bytes: bool,
    text: &'x [u8],
}

impl<'x> Stretch<'x> {
    /// For SentencePiece.
    pub(super) const fn spaced(prefix: bool, text: &'x [u8]) -> Self {
        Self {
            prefix,
            bytes: false,
            text,
        }
    }

    /// For byte-level BPE.
    pub(super) const fn plain(text: &'x [u8]) -> Self {
        Self {
            prefix: false,
            bytes: true,
            text,
        }
    }

    /// `len` bytes from `at`, in the spelling of tokens.
    pub(super) fn escaped(self, at: usize, len: usize) -> impl Iterator<Item = u8> + use<'x> {
        let start = at.saturating_sub(usize::from(self.prefix));
        let end = at
            .saturating_add(len)
            .saturating_sub(usize::from(self.prefix));
        let space = (self.prefix && at == 0 && len > 0).then_some(b' ');
        let bytes = self.text.get(start..end).unwrap_or(&[]);
        space
            .into_iter()
            .chain(bytes.iter().copied())
            .flat_map(move |byte| {
                let (bytes, len) = match byte {
                    b' ' if !self.bytes => (ESCAPED_SPACE, 3),
                    other => ([other, 0, 0], 1),
                };
                bytes.into_iter().take(len)
            })
    }

    /// Length of the symbol at `at` before any merge: one byte, or a character according to its first byte.
    fn character_len(self, at: usize) -> usize {
        if self.bytes {
            return 1;
        }
        let byte = match at.checked_sub(usize::from(self.prefix)) {
            Some(at) => self.text.get(at).copied().unwrap_or(0),
            None => b' ',
        };
        match byte >> 4 {
            0xC | 0xD => 2,
            0xE => 3,
            0xF => 4,
            _ => 1,
        }
    }
}

/// The linked list of symbols of a stretch. A symbol is identified by its first byte, whose cell represents it.
pub(super) struct Merge<'m, 't> {
    pub(super) vocabulary: &'m VocabularyView<'t>,
    /// Whether symbols may become user-defined tokens.
    pub(super) user_defined: bool,
    pub(super) text: Stretch<'m>,
    pub(super) cells: &'m mut [Cell],
}

impl Merge<'_, '_> {
    pub(super) fn run(&mut self) {
        self.split_characters();
        for node in (1..self.cells.len()).rev() {
            self.play(node);
        }
        // Each iteration removes a symbol, so there are fewer iterations than cells.
        while let Some(left) = self.best() {
            self.join(left);
        }
    }

    fn split_characters(&mut self) {
        for cell in self.cells.iter_mut() {
            *cell = Cell {
                len: 0,
                prev: NONE,
                token: NONE,
                winner: 0,
            };
        }
        let (mut at, mut prev) = (0_usize, NONE);
        while at < self.cells.len() {
            let left = self.cells.len().saturating_sub(at);
            let len = self.text.character_len(at).min(left);
            if let Some(cell) = self.cells.get_mut(at) {
                cell.len = len as u32;
                cell.prev = prev;
            }
            prev = at as u32;
            at = at.saturating_add(len);
        }
        let mut at = 0;
        while let Some(len) = self.len_at(at) {
            self.pair(at);
            at = at.saturating_add(len);
        }
    }

    /// The left symbol of the best pair, if there is one.
    fn best(&self) -> Option<usize> {
        let root = self.cells.get(1)?.winner as usize;
        self.cells
            .get(root)
            .filter(|cell| cell.token != NONE)
            .map(|_| root)
    }

    /// Joins this symbol and the next.
    fn join(&mut self, left: usize) {
        let len = self.len_at(left).unwrap_or(0);
        let right = left.saturating_add(len);
        let len = len.saturating_add(self.len_at(right).unwrap_or(0));
        let next = left.saturating_add(len);
        if let Some(cell) = self.cells.get_mut(right) {
            *cell = Cell {
                len: 0,
                token: NONE,
                ..*cell
            };
        }
        if let Some(cell) = self.cells.get_mut(next) {
            cell.prev = left as u32;
        }
        let mut prev = NONE;
        if let Some(cell) = self.cells.get_mut(left) {
            cell.len = len as u32;
            prev = cell.prev;
        }
        self.pair(left);
        self.replay(right);
        self.replay(left);
        if prev != NONE {
            self.pair(prev as usize);
            self.replay(prev as usize);
        }
    }

    /// Records the token that this symbol and the next would make; for byte-level BPE, the rank of that merge.
    fn pair(&mut self, at: usize) {
        let token = self
            .len_at(at)
            .and_then(|len| {
                let next = self.len_at(at.saturating_add(len))?;
                let token = self.token(at, len.saturating_add(next))?;
                if self.text.bytes {
                    self.vocabulary.merge_rank(token, len)
                } else {
                    Some(token)
                }
            })
            .unwrap_or(NONE);
        if let Some(cell) = self.cells.get_mut(at) {
            cell.token = token;
        }
    }

    /// The token spelled by `len` bytes from `at`.
    pub(super) fn token(&self, at: usize, len: usize) -> Option<u32> {
        if len > self.vocabulary.header.longest {
            return None;
        }
        let mut spelling = heapless::Vec::<u8, MAX_TOKEN_BYTES>::new();
        for byte in self.text.escaped(at, len) {
            spelling.push(byte).ok()?;
        }
        self.vocabulary.find_text(&spelling, self.user_defined)
    }

    /// Length of the symbol at `at`; `None` after the last.
    pub(super) fn len_at(&self, at: usize) -> Option<usize> {
        self.cells.get(at).map(|cell| cell.len.max(1) as usize)
    }

    /// Recomputes the part of the tournament that depends on the symbol at `leaf`.
    fn replay(&mut self, leaf: usize) {
        let mut node = leaf.saturating_add(self.cells.len()) >> 1;
        while node > 0 {
            self.play(node);
            node >>= 1;
        }
    }

    /// Decides one node of the tree. Its children are the nodes `2 node` and `2 node + 1`; numbers from the number of
    /// cells upwards are the cells themselves.
    fn play(&mut self, node: usize) {
        let child = |side: usize| {
            let child = node.saturating_mul(2).saturating_add(side);
            match child.checked_sub(self.cells.len()) {
                Some(leaf) => leaf,
                None => self.cells.get(child).map_or(0, |cell| cell.winner as usize),
            }
        };
        let winner = self.better(child(0), child(1));
        if let Some(cell) = self.cells.get_mut(node) {
            cell.winner = winner as u32;
        }
    }

    /// The symbol whose pair has the higher score or lower rank; ties go to the left one.
    fn better(&self, a: usize, b: usize) -> usize {
        if self.text.bytes {
            // `NONE`, for no pair, is the highest number.
            let rank = |at: usize| self.cells.get(at).map_or(NONE, |cell| cell.token);
            return if (rank(a), a) <= (rank(b), b) { a } else { b };
        }
        let score = |at: usize| {
            self.cells
                .get(at)
                .filter(|cell| cell.token != NONE)
                .map(|cell| self.vocabulary.score(cell.token))
        };
        match (score(a), score(b)) {
            (Some(score_a), Some(score_b)) if score_a > score_b => a,
            (Some(score_a), Some(score_b)) if score_a < score_b => b,
            (Some(_), None) => a,
            (None, Some(_)) => b,
            _ => a.min(b),
        }
    }
}
