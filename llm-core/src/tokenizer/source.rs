//! The vocabulary of a file: its checks, and the table built from it.

use super::keys::KEYS;
use super::pre::PreTokenizer;
use super::{
    Header, MAX_MERGES, MAX_TOKEN_BYTES, MAX_TOKENS, Requirements, Spellings, TokenType,
    VocabularyError, duplicates, merge_key, special,
};
use crate::gguf::{self, Array, Gguf, ValueType, check_keys};
use zerocopy::IntoBytes;

/// The vocabulary in the file.
pub(super) struct Source<'a, 'g> {
    gguf: &'g Gguf<'a>,
    tokens: Array<'a>,
    scores: Option<Array<'a>>,
    types: Option<Array<'a>>,
    merges: Option<Array<'a>>,
    suppressed: Option<Array<'a>>,
    pre: Option<PreTokenizer>,
}

impl<'a, 'g> Source<'a, 'g> {
    pub(super) fn open(gguf: &'g Gguf<'a>) -> Result<Self, VocabularyError> {
        let model = gguf.str_of("tokenizer.ggml.model")?;
        let pre = match model {
            "llama" => None,
            "gpt2" => Some(Self::pre_tokenizer(gguf)?),
            _ => {
                return Err(VocabularyError::UnsupportedTokenizer {
                    model: gguf::name(model),
                });
            }
        };
        let merges = match pre {
            None => None,
            Some(_) => Some(gguf.array("tokenizer.ggml.merges")?),
        };
        if let Some(merges) = merges.filter(|merges| merges.len() > MAX_MERGES) {
            return Err(VocabularyError::TooManyMerges {
                merges: merges.len(),
            });
        }
        let tokens = gguf.array("tokenizer.ggml.tokens")?;
        if tokens.is_empty() || tokens.len() > MAX_TOKENS {
            return Err(VocabularyError::BadSize {
                tokens: tokens.len(),
            });
        }
        let parallel = |key: &str| -> Result<Option<Array<'a>>, VocabularyError> {
            let array = gguf.array_opt(key)?;
            match array {
                Some(array) if array.len() != tokens.len() => {
                    Err(VocabularyError::LengthMismatch {
                        key: gguf::name(key),
                        len: array.len(),
                        tokens: tokens.len(),
                    })
                }
                other => Ok(other),
            }
        };
        Ok(Self {
            gguf,
            tokens,
            // Byte-level BPE uses its merges instead.
            scores: match pre {
                None => parallel("tokenizer.ggml.scores")?,
                Some(_) => None,
            },
            types: parallel("tokenizer.ggml.token_type")?,
            merges,
            suppressed: special::suppressed(gguf, tokens.len())?,
            pre,
        })
    }

    fn pre_tokenizer(gguf: &Gguf<'_>) -> Result<PreTokenizer, VocabularyError> {
        let name = gguf.str_opt("tokenizer.ggml.pre")?.unwrap_or("default");
        PreTokenizer::from_name(name).ok_or_else(|| VocabularyError::UnsupportedPreTokenizer {
            pre: gguf::name(name),
        })
    }

    /// The tokens with their types, normal if the file gives none.
    fn typed_tokens(
        &self,
    ) -> Result<impl Iterator<Item = (&'a [u8], TokenType)> + use<'a>, VocabularyError> {
        let types = match self.types {
            Some(types) => Some(types.i32s()?),
            None => None,
        };
        let types = types.into_iter().flatten().map(token_type);
        let types = types.chain(core::iter::repeat(TokenType::Normal));
        Ok(self.tokens.strings()?.zip(types))
    }

    /// The bytes of a token in the table: for a text token of byte-level BPE, the bytes that it represents.
    fn text(&self, token: &'a [u8], ty: TokenType) -> Spelling<'a> {
        match ty {
            TokenType::Normal if self.pre.is_some() => Spelling::of_bytes(token),
            _ => Spelling::Verbatim(token),
        }
    }

    /// Checks everything.
    pub(super) fn check(&self) -> Result<Requirements, VocabularyError> {
        let requirements = self.measure()?;
        duplicates::check(&self.tokens)?;
        Ok(requirements)
    }

    /// Checks everything that a table depends on, except that all tokens are distinct, which takes as long as building
    /// the table.
    pub(super) fn measure(&self) -> Result<Requirements, VocabularyError> {
        check_keys(self.gguf, "tokenizer.", &[KEYS])?;
        let mut text_bytes = 0_usize;
        for (id, (token, ty)) in (0..).zip(self.typed_tokens()?) {
            let bytes = self.text(token, ty).len();
            if bytes > MAX_TOKEN_BYTES {
                return Err(VocabularyError::TokenTooLong { id, bytes });
            }
            text_bytes = text_bytes.saturating_add(bytes);
        }
        if let Some(merges) = self.merges {
            // Checks that they are strings.
            let _ = merges.strings()?;
        }
        if let Some(types) = self.types {
            let spelled = (0..).zip(self.tokens.strings()?).zip(types.i32s()?);
            for ((id, token), number) in spelled {
                if token_type(number) == TokenType::Byte && byte_of(token).is_none() {
                    return Err(VocabularyError::BadByteToken { id });
                }
            }
        }
        for (id, score) in (0..).zip(self.scores()?) {
            if !score.is_finite() {
                return Err(VocabularyError::BadScore { id });
            }
        }
        self.rules()?;
        Ok(Requirements {
            text_bytes,
            ..self.sizes()
        })
    }

    fn sizes(&self) -> Requirements {
        Requirements {
            tokens: self.tokens.len(),
            text_bytes: 0,
            scores: match self.pre {
                None => self.tokens.len(),
                Some(_) => 0,
            },
            merges: self.merges.map_or(0, |merges| merges.len()),
        }
    }

    /// Scores are `f32`; llama.cpp also takes `i32`.
    fn scores(&self) -> Result<impl Iterator<Item = f32> + use<'a>, VocabularyError> {
        let floats = match self.scores {
            Some(array) if array.item_type() != ValueType::I32 => Some(array.f32s()?),
            _ => None,
        };
        let integers = match self.scores {
            Some(array) if array.item_type() == ValueType::I32 => Some(array.i32s()?),
            _ => None,
        };
        let integers = integers.into_iter().flatten().map(|score| score as f32);
        Ok(floats.into_iter().flatten().chain(integers))
    }

    /// The part of the header that comes from the metadata.
    fn rules(&self) -> Result<Header, VocabularyError> {
        let default = |id: u32| Some(id).filter(|&id| (id as usize) < self.tokens.len());
        let add = |key| self.gguf.bool_opt(key);
        let (bos, eos, unknown, add_bos) = match self.pre {
            None => (default(1), default(2), default(0), true),
            Some(pre) => (
                default(11).filter(|_| pre.has_bos),
                default(11),
                None,
                pre.adds_bos,
            ),
        };
        let add_space_prefix = add("tokenizer.ggml.add_space_prefix")?;
        let header = Header {
            requirements: self.sizes(),
            pre: self.pre,
            bos: self.role("tokenizer.ggml.bos_token_id")?.or(bos),
            eos: self.role("tokenizer.ggml.eos_token_id")?.or(eos),
            unknown: self.role("tokenizer.ggml.unknown_token_id")?.or(unknown),
            add_bos: add("tokenizer.ggml.add_bos_token")?.unwrap_or(add_bos),
            add_eos: add("tokenizer.ggml.add_eos_token")?.unwrap_or(false),
            // Byte-level BPE has no such prefix.
            add_space_prefix: self.pre.is_none() && add_space_prefix.unwrap_or(true),
            suppresses: false,
            longest: 0,
            user: Spellings::default(),
            control: Spellings::default(),
        };
        let missing = |key| VocabularyError::MissingSpecialToken { key };
        if header.add_bos && header.bos.is_none() {
            return Err(missing("tokenizer.ggml.bos_token_id"));
        }
        if header.add_eos && header.eos.is_none() {
            return Err(missing("tokenizer.ggml.eos_token_id"));
        }
        Ok(header)
    }

    /// An upper bound on the length of the begin and end tokens, as spelled in the file.
    pub(super) fn longest_marker(&self) -> Result<usize, VocabularyError> {
        let header = self.rules()?;
        let mut longest = 0;
        for id in [header.bos, header.eos].into_iter().flatten() {
            let token = self.tokens.strings()?.nth(id as usize);
            longest = token.map_or(longest, |token| longest.max(token.len()));
        }
        Ok(longest)
    }

    /// The token that the metadata gives a role. An id out of range is ignored, as in llama.cpp.
    fn role(&self, key: &str) -> Result<Option<u32>, VocabularyError> {
        Ok(self
            .gguf
            .u32_opt(key)?
            .filter(|&id| (id as usize) < self.tokens.len()))
    }

    /// Writes the table. `self` has been checked.
    pub(super) fn fill(
        &self,
        requirements: Requirements,
        table: TableMut<'_>,
    ) -> Result<Header, VocabularyError> {
        let mut header = self.rules()?;
        header.requirements = requirements;

        // Offsets and text.
        let mut end = 0_usize;
        let mut ends = table.offsets.iter_mut();
        if let Some(first) = ends.next() {
            *first = 0;
        }
        for ((token, ty), next) in self.typed_tokens()?.zip(ends) {
            let token = self.text(token, ty);
            let start = end;
            end = start.saturating_add(token.len());
            if let Some(place) = table.text.get_mut(start..end) {
                for (place, byte) in place.iter_mut().zip(token.bytes()) {
                    *place = byte;
                }
            }
            *next = end as u32;
            header.longest = header.longest.max(token.len());
        }

        // Scores, all 0 if the file has none.
        table.scores.fill(0);
        for (place, score) in table.scores.iter_mut().zip(self.scores()?) {
            *place = score.to_bits();
        }

        // Types and roles.
        for ((_, ty), place) in self.typed_tokens()?.zip(table.types.iter_mut()) {
            *place = ty as u8;
        }
        let role = |key: &str| self.role(key);
        special::mark_roles(&self.tokens, table.types, role)?;
        special::mark_ends(table.types, header.eos, role)?;
        let own = self.typed_tokens()?.map(|(_, ty)| ty);
        special::take_back(&self.tokens, table.types, own)?;
        if let Some(list) = &self.suppressed {
            header.suppresses = special::mark_suppressed(list, table.types)?;
        }
        special::mark_strips(self.gguf, &self.tokens, table.types)?;

        // The index.
        for (id, place) in (0..).zip(table.index.iter_mut()) {
            *place = id;
        }
        let spelling = |id: u32| {
            let start = table.offsets.get(id as usize).copied().unwrap_or(0);
            let end = table
                .offsets
                .get((id as usize).saturating_add(1))
                .copied()
                .unwrap_or(start);
            table.text.get(start as usize..end as usize).unwrap_or(&[])
        };
        table
            .index
            .sort_unstable_by(|&a, &b| spelling(a).cmp(spelling(b)).then(a.cmp(&b)));
        for (id, flags) in (0..).zip(table.types.iter()) {
            match TokenType::of(*flags) {
                TokenType::UserDefined => header.user.insert(spelling(id)),
                TokenType::Control | TokenType::Unknown => header.control.insert(spelling(id)),
                _ => {}
            }
        }

        // Merges.
        if let Some(merges) = self.merges {
            let index = &*table.index;
            let find = |wanted: &[u8]| {
                let end = index.partition_point(|&id| spelling(id) <= wanted);
                let id = index.get(end.checked_sub(1)?).copied()?;
                (spelling(id) == wanted).then_some(id)
            };
            let places = table.merges.iter_mut();
            for ((merge, place), rank) in merges.strings()?.zip(places).zip(0..) {
                // If it makes no token: a key that no pair of symbols has.
                let key = made_by(merge, find).unwrap_or(u32::MAX);
                *place = [key, rank];
            }
            table.merges.sort_unstable();
        }
        Ok(header)
    }
}

fn token_type(number: i32) -> TokenType {
    TokenType::from_number(u32::try_from(number).unwrap_or(0))
}

/// The byte that `<0xNN>` spells.
pub(super) fn byte_of(token: &[u8]) -> Option<u8> {
    let &[b'<', b'0', b'x', high, low, b'>'] = token else {
        return None;
    };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let value = (digit(high)? << 4) | digit(low)?;
    u8::try_from(value).ok()
}

/// The text of a token.
#[derive(Clone, Copy)]
enum Spelling<'a> {
    Verbatim(&'a [u8]),
    /// Characters that represent bytes.
    Bytes(&'a str),
}

impl<'a> Spelling<'a> {
    /// A text token of byte-level BPE. If one of its characters represents no byte, the token is left unchanged, and no
    /// text will match it.
    fn of_bytes(token: &'a [u8]) -> Self {
        match core::str::from_utf8(token) {
            Ok(text) if text.chars().all(|c| byte_of_character(c).is_some()) => Self::Bytes(text),
            _ => Self::Verbatim(token),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Verbatim(token) => token.len(),
            Self::Bytes(text) => text.chars().count(),
        }
    }

    fn bytes(self) -> impl Iterator<Item = u8> + use<'a> {
        let (verbatim, characters) = match self {
            Self::Verbatim(token) => (token, ""),
            Self::Bytes(text) => (&[][..], text),
        };
        let decoded = characters.chars().filter_map(byte_of_character);
        verbatim.iter().copied().chain(decoded)
    }
}

/// The byte that a character represents in files of byte-level BPE (GPT-2's `bytes_to_unicode`). Printable Latin-1
/// characters represent themselves; the characters from U+0100 represent the other bytes in ascending order.
fn byte_of_character(character: char) -> Option<u8> {
    let code = u32::from(character);
    let other = |first: u32, byte: u32| byte.saturating_add(code.saturating_sub(first));
    let byte = match code {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => code,
        0x100..=0x120 => other(0x100, 0),
        0x121..=0x142 => other(0x121, 0x7F),
        0x143 => 0xAD,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

/// The [`merge_key`] of `left right`, as spelled in a file, if it makes a token.
fn made_by(merge: &[u8], find: impl Fn(&[u8]) -> Option<u32>) -> Option<u32> {
    // Byte 0 may itself be a space.
    let space = merge.iter().skip(1).position(|&byte| byte == b' ')?;
    let (left, rest) = merge.split_at_checked(space.checked_add(1)?)?;
    let mut token = heapless::Vec::<u8, MAX_TOKEN_BYTES>::new();
    let append = |token: &mut heapless::Vec<u8, MAX_TOKEN_BYTES>, symbol: &[u8]| {
        for character in core::str::from_utf8(symbol).ok()?.chars() {
            token.push(byte_of_character(character)?).ok()?;
        }
        Some(())
    };
    append(&mut token, left)?;
    let left = token.len();
    append(&mut token, rest.get(1..)?)?;
    find(&token).map(|id| merge_key(id, left))
}

/// The table while it is being written.
pub(super) struct TableMut<'t> {
    offsets: &'t mut [u32],
    scores: &'t mut [u32],
    index: &'t mut [u32],
    merges: &'t mut [[u32; 2]],
    types: &'t mut [u8],
    text: &'t mut [u8],
}

pub(super) fn split_table(requirements: Requirements, table: &mut [u32]) -> Option<TableMut<'_>> {
    let Requirements {
        tokens,
        text_bytes,
        scores,
        merges,
    } = requirements;
    let (offsets, rest) = table.split_at_mut_checked(tokens.checked_add(1)?)?;
    let (scores, rest) = rest.split_at_mut_checked(scores)?;
    let (index, rest) = rest.split_at_mut_checked(tokens)?;
    let (merges, rest) = rest.split_at_mut_checked(merges.checked_mul(2)?)?;
    let (types, rest) = rest.as_mut_bytes().split_at_mut_checked(tokens)?;
    let (text, _) = rest.split_at_mut_checked(text_bytes)?;
    Some(TableMut {
        offsets,
        scores,
        index,
        merges: merges.as_chunks_mut().0,
        types,
        text,
    })
}
