//! The fixed text around the segments of a conversation.
//!
//! A scaffold is data: a list of strings in a fixed order. In a file it is an array of strings; in memory each string
//! is preceded by its length ([`Scaffold::pack`]).

use super::{MAX_LITERAL_BYTES, MAX_REFUSED, MAX_SCAFFOLD_BYTES, ScaffoldError};

/// Version of this form.
const VERSION: &str = "1";

/// Number of strings in a scaffold that refuses nothing.
const STRINGS: usize = 16;

/// In a scaffold's text: the vocabulary's token for the beginning of text, or nothing if it has none.
pub(super) const BOS: &str = "{bos}";

/// In a scaffold's text: the vocabulary's token for the end of text, or nothing if it has none.
pub(super) const EOS: &str = "{eos}";

/// Which ends of a text are trimmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trim {
    /// Trim the beginning.
    pub front: bool,
    /// Trim the end.
    pub back: bool,
}

impl Trim {
    /// Leave the text unchanged.
    pub const NONE: Self = Self {
        front: false,
        back: false,
    };

    /// Trim both ends.
    pub const BOTH: Self = Self {
        front: true,
        back: true,
    };

    /// The trimmed text.
    #[must_use]
    pub fn apply(self, text: &str) -> &str {
        let text = if self.front { text.trim_start() } else { text };
        if self.back { text.trim_end() } else { text }
    }

    const WORDS: [(Self, &'static str); 4] = [
        (Self::NONE, "none"),
        (Self::BOTH, "both"),
        (
            Self {
                front: true,
                back: false,
            },
            "front",
        ),
        (
            Self {
                front: false,
                back: true,
            },
            "back",
        ),
    ];

    fn word(self) -> &'static str {
        word(&Self::WORDS, self)
    }
}

/// The text around a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn<'s> {
    /// Text before it.
    pub before: &'s str,
    /// How it is trimmed.
    pub trim: Trim,
    /// Text after it.
    pub after: &'s str,
}

/// Where a system text is placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Before the first segment.
    #[default]
    First,
    /// In the first user's turn, before its text.
    FirstUser,
    /// In the last user's turn, before its text.
    LastUser,
    /// It is not supported.
    Nowhere,
}

impl Place {
    const WORDS: [(Self, &'static str); 4] = [
        (Self::First, "first"),
        (Self::FirstUser, "first-user"),
        (Self::LastUser, "last-user"),
        (Self::Nowhere, "nowhere"),
    ];

    /// Its name in a file.
    #[must_use]
    pub fn word(self) -> &'static str {
        word(&Self::WORDS, self)
    }
}

/// How a system text is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct System<'s> {
    /// Where it is placed.
    pub place: Place,
    /// The text around it.
    pub turn: Turn<'s>,
    /// What takes its place if there is none, because templates have texts of their own.
    pub default: &'s str,
    /// How the user's text after it is trimmed, if it is placed in that turn.
    pub user_trim: Trim,
}

/// The text around the segments of a conversation. Special tokens spelled out in it become tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scaffold<'s> {
    /// Its name for people.
    pub name: &'s str,
    /// Text at the beginning.
    pub begin: &'s str,
    /// Text around a system segment.
    pub system: System<'s>,
    /// Text around a user's segment.
    pub user: Turn<'s>,
    /// Text around an earlier answer of the model.
    pub assistant: Turn<'s>,
    /// Text before the answer to be generated.
    pub generation: &'s str,
    /// Spellings that the template treats specially: a text that contains one is refused. Empty ones are ignored.
    pub refused: [&'s str; MAX_REFUSED],
}

impl<'s> Scaffold<'s> {
    /// The strings, in their fixed order.
    pub fn strings(&self) -> impl Iterator<Item = &'s str> + Clone + use<'s> {
        let Self {
            name,
            begin,
            system,
            user,
            assistant,
            generation,
            refused,
        } = *self;
        [
            VERSION,
            name,
            begin,
            system.place.word(),
            system.turn.before,
            system.turn.trim.word(),
            system.turn.after,
            system.default,
            system.user_trim.word(),
            user.before,
            user.trim.word(),
            user.after,
            assistant.before,
            assistant.trim.word(),
            assistant.after,
            generation,
        ]
        .into_iter()
        .chain(refused.into_iter().filter(|spelling| !spelling.is_empty()))
    }

    /// Parses the scaffold from its strings.
    ///
    /// # Errors
    /// The strings are not a valid scaffold.
    pub fn from_strings(
        strings: impl Iterator<Item = &'s [u8]> + Clone,
    ) -> Result<Self, ScaffoldError> {
        let (most, mut at, mut bytes) = (STRINGS.saturating_add(MAX_REFUSED), 0_usize, 0_usize);
        for string in strings.clone() {
            at = at.saturating_add(1);
            bytes = bytes.saturating_add(string.len());
            if string.len() > MAX_LITERAL_BYTES || bytes > MAX_SCAFFOLD_BYTES {
                return Err(ScaffoldError::TooLong { bytes });
            }
        }
        if at < STRINGS || at > most {
            return Err(ScaffoldError::Strings {
                strings: at,
                least: STRINGS,
                most,
            });
        }
        let mut list = Strings {
            rest: strings,
            at: 0,
        };
        if list.text()? != VERSION {
            return Err(ScaffoldError::Wrong { at: 0 });
        }
        let name = list.text()?;
        let begin = list.text()?;
        let place = list.word(&Place::WORDS)?;
        let system = list.turn()?;
        let scaffold = Self {
            name,
            begin,
            system: System {
                place,
                turn: system,
                default: list.text()?,
                user_trim: list.word(&Trim::WORDS)?,
            },
            user: list.turn()?,
            assistant: list.turn()?,
            generation: list.text()?,
            refused: list.rest()?,
        };
        Ok(scaffold)
    }

    /// Size of what [`Self::pack`] writes, in bytes.
    #[must_use]
    pub fn packed_bytes(&self) -> usize {
        let bytes = |string: &str| string.len().saturating_add(2);
        self.strings().map(bytes).fold(0, usize::saturating_add)
    }

    /// Writes the strings to the beginning of `bytes`, each preceded by its length, and returns the size; `None` if
    /// `bytes` is too short.
    pub fn pack(&self, bytes: &mut [u8]) -> Option<usize> {
        let mut at = 0_usize;
        for string in self.strings() {
            let text = at.checked_add(2)?;
            let end = text.checked_add(string.len())?;
            let len = u16::try_from(string.len()).ok()?;
            bytes.get_mut(at..text)?.copy_from_slice(&len.to_le_bytes());
            bytes.get_mut(text..end)?.copy_from_slice(string.as_bytes());
            at = end;
        }
        Some(at)
    }

    /// Parses a scaffold written by [`Self::pack`], which must be all of `bytes`.
    ///
    /// # Errors
    /// The bytes are not a valid scaffold.
    pub fn unpack(bytes: &'s [u8]) -> Result<Self, ScaffoldError> {
        Self::from_strings(Packed { bytes })
    }
}

/// Length-prefixed strings. A truncated one ends the list, which is detected by their number or content.
#[derive(Clone)]
struct Packed<'s> {
    bytes: &'s [u8],
}

impl<'s> Iterator for Packed<'s> {
    type Item = &'s [u8];

    fn next(&mut self) -> Option<&'s [u8]> {
        let (&len, rest) = self.bytes.split_first_chunk::<2>()?;
        let (string, rest) = rest.split_at_checked(u16::from_le_bytes(len).into())?;
        self.bytes = rest;
        Some(string)
    }
}

/// Reads a list of strings.
struct Strings<I> {
    rest: I,
    at: usize,
}

impl<'s, I: Iterator<Item = &'s [u8]>> Strings<I> {
    fn text(&mut self) -> Result<&'s str, ScaffoldError> {
        let at = self.at;
        self.at = at.saturating_add(1);
        self.rest
            .next()
            .and_then(|string| core::str::from_utf8(string).ok())
            .ok_or(ScaffoldError::Wrong { at })
    }

    fn word<T: Copy>(&mut self, words: &[(T, &str)]) -> Result<T, ScaffoldError> {
        let at = self.at;
        let text = self.text()?;
        words
            .iter()
            .find(|(_, word)| *word == text)
            .map(|&(value, _)| value)
            .ok_or(ScaffoldError::Wrong { at })
    }

    fn turn(&mut self) -> Result<Turn<'s>, ScaffoldError> {
        Ok(Turn {
            before: self.text()?,
            trim: self.word(&Trim::WORDS)?,
            after: self.text()?,
        })
    }

    fn rest(mut self) -> Result<[&'s str; MAX_REFUSED], ScaffoldError> {
        let mut refused = [""; MAX_REFUSED];
        for place in &mut refused {
            let at = self.at;
            let Some(string) = self.rest.next() else {
                break;
            };
            self.at = at.saturating_add(1);
            *place = core::str::from_utf8(string)
                .ok()
                .filter(|spelling| !spelling.is_empty())
                .ok_or(ScaffoldError::Wrong { at })?;
        }
        Ok(refused)
    }
}

fn word<T: PartialEq>(words: &[(T, &'static str)], value: T) -> &'static str {
    let mut words = words.iter();
    let found = words.find(|(other, _)| *other == value);
    found.map_or("", |(_, word)| word)
}
