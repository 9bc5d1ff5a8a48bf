//! Converts a conversation to token ids.

use super::scaffold::{BOS, EOS, Place as SystemPlace};
use super::{
    ChatError, Label, MAX_FIXED_TOKENS, MAX_SEGMENT_TOKENS, MAX_SEGMENTS, Role, Scaffold, Segment,
    Turn,
};
#[cfg(doc)]
use crate::tokenizer::scratch_cells;
use crate::tokenizer::{
    Author, Cell, Script, ScriptPlace, TokenType, TokenizeError, VocabularyView, mark_author,
};

/// Where a conversation is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In an empty session.
    Beginning,
    /// After what a session holds: earlier turns and the model's answer.
    Behind {
        /// The session's last token, which may be the one that ended the answer.
        last: u32,
    },
}

/// A conversation to tokenize.
#[derive(Clone, Copy, Debug)]
pub struct Conversation<'c> {
    /// The segments, in order.
    pub segments: &'c [Segment<'c>],
    /// Where they are placed.
    pub place: Place,
    /// Whether text may become user-defined tokens.
    pub user_defined: bool,
}

/// Memory for a conversation; its initial contents do not matter.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// Buffer for the text: [`Bound::bytes`].
    pub text: &'b mut [u8],
    /// Scratch for the tokenizer: [`scratch_cells`] for that many bytes of text.
    pub cells: &'b mut [Cell],
    /// Buffer for the tokens: [`Bound::tokens`].
    pub out: &'b mut [u32],
}

/// An upper bound on what a scaffold adds to the texts of a conversation. Admission uses it before anything is
/// tokenized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Tokens per conversation.
    pub fixed_tokens: u32,
    /// Tokens per segment.
    pub segment_tokens: u32,
    /// Bytes per conversation.
    pub fixed_bytes: u32,
    /// Bytes per segment.
    pub segment_bytes: u32,
}

impl Bound {
    /// Maximum number of tokens of a conversation of `segments` texts with `text_bytes` in total: one per byte, plus
    /// those of the scaffold.
    #[must_use]
    pub fn tokens(&self, text_bytes: usize, segments: usize) -> usize {
        sum(text_bytes, segments, self.fixed_tokens, self.segment_tokens)
    }

    /// Whether it is within the limits that admission requires: [`MAX_FIXED_TOKENS`] and [`MAX_SEGMENT_TOKENS`].
    #[must_use]
    pub const fn is_served(&self) -> bool {
        self.fixed_tokens <= MAX_FIXED_TOKENS && self.segment_tokens <= MAX_SEGMENT_TOKENS
    }

    /// Maximum size of the rendered text of such a conversation.
    #[must_use]
    pub fn bytes(&self, text_bytes: usize, segments: usize) -> usize {
        sum(text_bytes, segments, self.fixed_bytes, self.segment_bytes)
    }
}

/// Size of the text around segments, in bytes or tokens.
struct Most {
    once: usize,
    each: usize,
}

fn sum(text: usize, segments: usize, fixed: u32, each: u32) -> usize {
    text.saturating_add(fixed as usize)
        .saturating_add(segments.saturating_mul(each as usize))
}

impl Scaffold<'_> {
    /// Tokenizes a conversation up to the answer. The tokens are written to the beginning of [`Buffers::out`]; returns
    /// their number.
    ///
    /// # Errors
    /// See [`ChatError`]. The contents of the buffers are then meaningless.
    pub fn encode(
        &self,
        vocabulary: &VocabularyView<'_>,
        bound: &Bound,
        conversation: &Conversation<'_>,
        buffers: Buffers<'_>,
    ) -> Result<usize, ChatError> {
        let Buffers { text, cells, out } = buffers;
        let (text, ending) = self.write(vocabulary, conversation, text, Some(&mut *cells))?;
        let script = Script {
            text,
            place: match conversation.place {
                Place::Beginning => ScriptPlace::Beginning,
                Place::Behind { last } => ScriptPlace::Behind { last, ending },
            },
            user_defined: conversation.user_defined,
        };
        let tokens = vocabulary.encode_script(script, cells, out)?;
        // A vocabulary in which a space takes several tokens could exceed what admission reserved.
        let said = conversation
            .segments
            .iter()
            .map(|segment| segment.text.len());
        let said = said.fold(0, usize::saturating_add);
        let limit = bound.tokens(said, conversation.segments.len());
        if tokens > limit {
            return Err(TokenizeError::TooManyTokens { tokens, limit }.into());
        }
        Ok(tokens)
    }

    /// Renders the conversation as the template would, at the beginning of `text`. The result does not show who wrote
    /// what: it is for people, and for comparisons.
    ///
    /// # Errors
    /// See [`ChatError`].
    pub fn render<'b>(
        &self,
        vocabulary: &VocabularyView<'_>,
        conversation: &Conversation<'_>,
        text: &'b mut [u8],
    ) -> Result<&'b str, ChatError> {
        let (text, _) = self.write(vocabulary, conversation, text, None)?;
        // It was assembled from UTF-8.
        Ok(core::str::from_utf8(text).unwrap_or(""))
    }

    /// Assembles the conversation and notes in `cells` who wrote what. Returns the text, and how much of it ends an
    /// earlier answer.
    fn write<'b>(
        &self,
        vocabulary: &VocabularyView<'_>,
        conversation: &Conversation<'_>,
        text: &'b mut [u8],
        cells: Option<&mut [Cell]>,
    ) -> Result<(&'b [u8], usize), ChatError> {
        self.check(conversation)?;
        let limit = match &cells {
            Some(cells) => text.len().min(cells.len().saturating_sub(1)),
            None => text.len(),
        };
        let mut writer = Writer {
            text,
            cells: cells.unwrap_or(&mut []),
            limit,
            len: 0,
        };
        let mut ending = 0;
        if conversation.place != Place::Beginning {
            writer.scaffold(self.assistant.after, vocabulary);
            ending = writer.len;
        }
        self.put(conversation, |author, part| match author {
            Author::Outside => writer.push(author, part),
            Author::Scaffold => writer.scaffold(part, vocabulary),
        });
        let Writer { text, len, .. } = writer;
        match text.get(..len).filter(|_| len <= limit) {
            Some(text) => Ok((text, ending)),
            None => Err(ChatError::TooLong { bytes: len, limit }),
        }
    }

    /// What the scaffold adds to texts with this vocabulary. `None` if there are too few `cells`: [`scratch_cells`] for
    /// [`super::MAX_LITERAL_BYTES`] and the longest tokens is enough.
    #[must_use]
    pub fn bound(
        &self,
        vocabulary: &VocabularyView<'_>,
        buffer: &mut [u8],
        cells: &mut [Cell],
    ) -> Option<Bound> {
        let mut expand = |literal: &str| -> Option<(usize, usize)> {
            let mut writer = Writer {
                limit: buffer.len(),
                text: buffer,
                cells,
                len: 0,
            };
            writer.scaffold(literal, vocabulary);
            let Writer {
                text, cells, len, ..
            } = writer;
            let tokens = vocabulary.most_tokens(text.get(..len)?, cells)?;
            Some((tokens, len))
        };
        let tokens = self.most(|literal| Some(expand(literal)?.0))?;
        let bytes = self.most(|literal| Some(expand(literal)?.1))?;
        let number = |number: usize| u32::try_from(number).ok();
        Some(Bound {
            // The beginning of text, and a leading space.
            fixed_tokens: number(tokens.once.saturating_add(2))?,
            segment_tokens: number(tokens.each)?,
            fixed_bytes: number(bytes.once)?,
            segment_bytes: number(bytes.each)?,
        })
    }

    /// Maximum size of the rendered text of [`MAX_SEGMENTS`] texts with `text_bytes` in total, if begin and end tokens
    /// have at most `marker` bytes.
    #[must_use]
    pub fn most_bytes(&self, text_bytes: usize, marker: usize) -> usize {
        let marked = |literal: &str, name| literal.matches(name).count().saturating_mul(marker);
        let length = |literal: &str| {
            let markers = marked(literal, BOS).saturating_add(marked(literal, EOS));
            Some(literal.len().saturating_add(markers))
        };
        let Some(Most { once, each }) = self.most(length) else {
            return usize::MAX;
        };
        text_bytes
            .saturating_add(once)
            .saturating_add(each.saturating_mul(MAX_SEGMENTS))
    }

    /// Adds up the maximum around texts, in any measure of a literal.
    fn most(&self, mut of: impl FnMut(&str) -> Option<usize>) -> Option<Most> {
        let mut both = |turn: &Turn<'_>| Some(of(turn.before)?.saturating_add(of(turn.after)?));
        let system = both(&self.system.turn)?;
        let segment = both(&self.user)?.max(both(&self.assistant)?);
        let once = [
            self.begin,
            self.generation,
            // Before a turn that follows an answer.
            self.assistant.after,
        ];
        let mut most = Most {
            once: system.max(of(self.system.default)?),
            each: segment,
        };
        for literal in once {
            most.once = most.once.saturating_add(of(literal)?);
        }
        Some(most)
    }

    /// Whether a control token stands between any two texts, so that no text can imitate another's role.
    #[must_use]
    pub fn separates(&self, vocabulary: &VocabularyView<'_>) -> bool {
        let marked = |first: &str, second: &str| {
            let mut found = false;
            for literal in [first, second] {
                found |= literal.contains(BOS) && vocabulary.bos().is_some();
                found |= literal.contains(EOS) && vocabulary.eos().is_some();
                found |= (0..vocabulary.len() as u32)
                    .filter(|&id| vocabulary.token_type(id) == TokenType::Control)
                    .map(|id| vocabulary.piece(id))
                    .any(|piece| {
                        core::str::from_utf8(piece)
                            .is_ok_and(|piece| !piece.is_empty() && literal.contains(piece))
                    });
            }
            found
        };
        let system = match self.system.place {
            SystemPlace::Nowhere => true,
            SystemPlace::First => marked(self.system.turn.after, self.user.before),
            SystemPlace::FirstUser | SystemPlace::LastUser => marked(self.system.turn.after, ""),
        };
        system
            && marked(self.user.after, self.generation)
            && marked(self.user.after, self.assistant.before)
            && marked(self.assistant.after, self.user.before)
    }

    /// Refuses anything that cannot be written as the template would.
    fn check(&self, conversation: &Conversation<'_>) -> Result<(), ChatError> {
        let segments = conversation.segments;
        if segments.is_empty() || segments.len() > MAX_SEGMENTS {
            return Err(ChatError::Segments {
                segments: segments.len(),
            });
        }
        let mut due = Role::User;
        for (at, segment) in segments.iter().enumerate() {
            let number = at.saturating_add(1);
            let order = |expected: Role| ChatError::Order {
                segment: number,
                found: segment.role.name(),
                expected: expected.name(),
            };
            match segment.role {
                Role::System if at == 0 => {
                    if conversation.place != Place::Beginning {
                        return Err(ChatError::LateSystem);
                    }
                    if self.system.place == SystemPlace::Nowhere {
                        return Err(ChatError::NoSystem);
                    }
                }
                role if role == due => {
                    due = match role {
                        Role::User => Role::Assistant,
                        Role::System | Role::Assistant => Role::User,
                    }
                }
                _ => return Err(order(due)),
            }
            if number == segments.len() && segment.role != Role::User {
                return Err(order(Role::User));
            }
            if segment.text.trim().is_empty() {
                return Err(ChatError::Blank { segment: number });
            }
            let mut refused = self.refused.iter().filter(|spelling| !spelling.is_empty());
            if let Some(spelling) = refused.find(|spelling| segment.text.contains(**spelling)) {
                return Err(ChatError::Refused {
                    segment: number,
                    spelling: Label::of(spelling),
                });
            }
        }
        Ok(())
    }

    /// Passes all parts of a checked conversation to `put`, in order.
    fn put(&self, conversation: &Conversation<'_>, mut put: impl FnMut(Author, &str)) {
        let segments = conversation.segments;
        let system = segments
            .first()
            .filter(|segment| segment.role == Role::System)
            .map(|segment| segment.text);
        if conversation.place == Place::Beginning {
            put(Author::Scaffold, self.begin);
            if self.system.place == SystemPlace::First {
                self.put_system(system, &mut put);
            }
        }
        let first = usize::from(system.is_some());
        let with_system = match (conversation.place, self.system.place) {
            (Place::Beginning, SystemPlace::FirstUser) => Some(first),
            (Place::Beginning, SystemPlace::LastUser) => segments.len().checked_sub(1),
            _ => None,
        };
        for (at, segment) in segments.iter().enumerate().skip(first) {
            let Turn {
                before,
                mut trim,
                after,
            } = match segment.role {
                Role::Assistant => self.assistant,
                Role::User | Role::System => self.user,
            };
            put(Author::Scaffold, before);
            if with_system == Some(at) && self.put_system(system, &mut put) {
                trim = self.system.user_trim;
            }
            put(Author::Outside, trim.apply(segment.text));
            put(Author::Scaffold, after);
        }
        put(Author::Scaffold, self.generation);
    }

    /// Passes the system text or its default to `put`, and says whether there is either.
    fn put_system(&self, system: Option<&str>, put: &mut impl FnMut(Author, &str)) -> bool {
        let Turn {
            before,
            trim,
            after,
        } = self.system.turn;
        match system {
            Some(text) => {
                put(Author::Scaffold, before);
                put(Author::Outside, trim.apply(text));
                put(Author::Scaffold, after);
                true
            }
            None => {
                put(Author::Scaffold, self.system.default);
                !self.system.default.is_empty()
            }
        }
    }
}

/// Passes the parts of a scaffold's text to `put`, replacing the token names in it.
fn expand(literal: &str, vocabulary: &VocabularyView<'_>, mut put: impl FnMut(&str)) {
    let spelled = |id: Option<u32>| {
        let piece = id.map_or(&[][..], |id| vocabulary.piece(id));
        core::str::from_utf8(piece).unwrap_or("")
    };
    let mut rest = literal;
    while let Some((at, name)) = [BOS, EOS]
        .into_iter()
        .filter_map(|name| Some((rest.find(name)?, name)))
        .min()
    {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        put(before);
        put(match name {
            BOS => spelled(vocabulary.bos()),
            _ => spelled(vocabulary.eos()),
        });
        rest = from.get(name.len()..).unwrap_or("");
    }
    put(rest);
}

/// Assembles a text and notes who wrote what.
struct Writer<'b, 'c> {
    text: &'b mut [u8],
    cells: &'c mut [Cell],
    limit: usize,
    /// Number of bytes, including those that did not fit.
    len: usize,
}

impl Writer<'_, '_> {
    fn scaffold(&mut self, literal: &str, vocabulary: &VocabularyView<'_>) {
        expand(literal, vocabulary, |part| {
            self.push(Author::Scaffold, part)
        });
    }

    fn push(&mut self, author: Author, part: &str) {
        let place = self.len..self.len.saturating_add(part.len());
        self.len = place.end;
        if place.end > self.limit {
            return;
        }
        if let Some(text) = self.text.get_mut(place.clone()) {
            text.copy_from_slice(part.as_bytes());
            mark_author(self.cells, place, author);
        }
    }
}
