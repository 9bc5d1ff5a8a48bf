//! What stands around the texts of a conversation.
//!
//! A scaffold is data: a list of strings, in the same order wherever it is kept. In a file it is an array of strings,
//! in memory each string has its length in front ([`Scaffold::pack`]).

use super::{MAX_LITERAL_BYTES, MAX_REFUSED, MAX_SCAFFOLD_BYTES, ScaffoldError};

/// The form that is described here. Another gets another number.
const VERSION: &str = "1";

/// Strings of a scaffold that refuses nothing.
const STRINGS: usize = 16;

/// In a scaffold's text: the vocabulary's token for the beginning of text, or nothing if it has none.
pub(super) const BOS: &str = "{bos}";

/// In a scaffold's text: the vocabulary's token for the end of text, or nothing if it has none.
pub(super) const EOS: &str = "{eos}";

/// At which ends a text loses its white space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trim {
    /// In front.
    pub front: bool,
    /// Behind.
    pub back: bool,
}

impl Trim {
    /// The text stays as it is.
    pub const NONE: Self = Self {
        front: false,
        back: false,
    };

    /// It loses white space at both ends.
    pub const BOTH: Self = Self {
        front: true,
        back: true,
    };

    /// What is left of a text.
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

/// What stands around a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn<'s> {
    /// Before it.
    pub before: &'s str,
    /// What becomes of its white space.
    pub trim: Trim,
    /// Behind it.
    pub after: &'s str,
}

/// Where a system text stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Before the first segment.
    #[default]
    First,
    /// Inside the first user's turn, in front of that text.
    FirstUser,
    /// Inside the last user's turn, in front of that text.
    LastUser,
    /// There is no place for it.
    Nowhere,
}

impl Place {
    const WORDS: [(Self, &'static str); 4] = [
        (Self::First, "first"),
        (Self::FirstUser, "first-user"),
        (Self::LastUser, "last-user"),
        (Self::Nowhere, "nowhere"),
    ];

    /// The word for it in a file.
    #[must_use]
    pub fn word(self) -> &'static str {
        word(&Self::WORDS, self)
    }
}

/// What becomes of a system text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct System<'s> {
    /// Where it stands.
    pub place: Place,
    /// What stands around it.
    pub turn: Turn<'s>,
    /// What stands in its place if there is none: templates have texts of their own.
    pub default: &'s str,
    /// What becomes of white space of the user's text behind it, if it stands inside that turn.
    pub user_trim: Trim,
}

/// What stands around the texts of a conversation. What is spelled like a special token in it is that token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scaffold<'s> {
    /// What people call it.
    pub name: &'s str,
    /// Before everything.
    pub begin: &'s str,
    /// Around a system text.
    pub system: System<'s>,
    /// Around a user's text.
    pub user: Turn<'s>,
    /// Around an answer of the model that is past.
    pub assistant: Turn<'s>,
    /// Before the answer that is wanted.
    pub generation: &'s str,
    /// Spellings that the template does something of its own with: a text that has one is refused. Empty ones count for
    /// nothing.
    pub refused: [&'s str; MAX_REFUSED],
}

impl<'s> Scaffold<'s> {
    /// Its strings, in the order in which they are kept.
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

    /// The scaffold whose strings these are.
    ///
    /// # Errors
    /// They are none.
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

    /// Bytes that [`Self::pack`] writes.
    #[must_use]
    pub fn packed_bytes(&self) -> usize {
        let bytes = |string: &str| string.len().saturating_add(2);
        self.strings().map(bytes).fold(0, usize::saturating_add)
    }

    /// Writes the strings to the beginning of `bytes`, each with its length in front, and returns how many bytes they
    /// take; `None` if there are fewer.
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

    /// The scaffold that [`Self::pack`] wrote, all of `bytes`.
    ///
    /// # Errors
    /// It is none.
    pub fn unpack(bytes: &'s [u8]) -> Result<Self, ScaffoldError> {
        Self::from_strings(Packed { bytes })
    }
}

/// Strings with their lengths in front. One that is cut off ends them, and is seen by their number or content.
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
