//! What an answer may contain: the formats of the policy, and how far each request's answer has got in its format.
//!
//! The rules: a byte is checked against the format before it is kept for a client, so no byte outside the format is
//! kept. Text that may become part of a stop string is held back until that is ruled out. A token that breaks either
//! rule leaves nothing behind.

use formats::stop::{StopMatcher, Stops};
use formats::{Automaton as _, ChoiceState, Choices, Dfa, Formats, MAX_FORMATS, SEPARATOR, State};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::name::FormatName;
use protocol::policy::{self, FormatRule, Policy, PolicyError};
use protocol::wire::client::FormatEntry;
use protocol::wire::{Extent, Parts};
use sha2::{Digest as _, Sha256};

/// The formats of the policy, parsed and checked once.
#[derive(Debug)]
pub(crate) struct Languages<'m> {
    formats: Formats<'m>,
    /// The hash of each format's automaton.
    sha256: [Hash; MAX_FORMATS],
}

impl<'m> Languages<'m> {
    /// No formats.
    pub(crate) const NONE: Self = Self {
        formats: Formats::NONE,
        sha256: [[0; 32]; MAX_FORMATS],
    };

    /// The formats in the region, which must be those that the policy was compiled with.
    ///
    /// # Errors
    /// They are not those formats.
    pub(crate) fn new(policy: &Policy, region: &'m [u8]) -> Result<Self, PolicyError> {
        if policy.format_count == 0 {
            return Ok(Self::NONE);
        }
        let image = region.get(..policy.formats_bytes as usize);
        let image = image.ok_or(PolicyError::Formats)?;
        let sha256: Hash = Sha256::digest(image).into();
        let formats = Formats::read(image).map_err(|_| PolicyError::Formats)?;
        if sha256 != policy.formats_sha256 || formats.len() != policy.format_count as usize {
            return Err(PolicyError::Formats);
        }
        let mut languages = Self {
            formats,
            ..Self::NONE
        };
        for (sha256, named) in languages.sha256.iter_mut().zip(formats.iter()) {
            *sha256 = Sha256::digest(named.table).into();
        }
        Ok(languages)
    }

    /// The answer that a request with this format and these parts may have.
    ///
    /// # Errors
    /// The policy does not allow it, there is no such format, or the choices are invalid.
    pub(crate) fn answer(
        &self,
        rule: FormatRule,
        name: FormatName,
        parts: &Parts<'_>,
        extent: &Extent,
    ) -> Result<Begun<'m>, Failure> {
        let (has_choices, has_stops) = (extent.choices > 0, extent.stops > 0);
        if !name.is_empty() {
            if has_choices {
                return Err(Failure::of(ErrorCode::FormatAndChoices));
            }
            if has_stops {
                return Err(Failure::of(ErrorCode::FormatAndStops));
            }
            let named = self.formats.find(name.as_str());
            let named = named.ok_or(Failure::of(ErrorCode::UnknownFormat))?;
            if !rule.allows(named.index) {
                return Err(Failure::of(ErrorCode::FormatNotAllowed));
            }
            let number = u32::try_from(named.index).unwrap_or(u32::MAX);
            return Ok(Begun {
                name,
                number: number.saturating_add(1),
                sha256: self.sha256.get(named.index).copied().unwrap_or_default(),
                answer: Answer::Format(named.dfa, named.dfa.start()),
                words: Words::None,
            });
        }
        if has_choices {
            if !rule.allows_choices() {
                return Err(Failure::of(ErrorCode::FormatNotAllowed));
            }
            let choices = parts.allowed()?;
            let choices = choices.ok_or(Failure::of(ErrorCode::FormatNeeded))?;
            return Ok(Begun {
                name: FormatName::new(policy::CHOICES).unwrap_or_default(),
                number: 0,
                sha256: sha256_of(&choices),
                answer: Answer::Choices(choices.start()),
                words: Words::Choices(choices),
            });
        }
        if rule.must_use() {
            return Err(Failure::of(ErrorCode::FormatNeeded));
        }
        let (answer, words) = match has_stops {
            true => {
                let stops = parts.ending()?;
                (Answer::Stops(StopMatcher::new()), Words::Stops(stops))
            }
            false => (Answer::Free, Words::None),
        };
        Ok(Begun {
            name: FormatName::EMPTY,
            number: 0,
            sha256: [0; 32],
            answer,
            words,
        })
    }

    /// The format at `index`, as listed for a user with this rule; `None` after the last.
    pub(crate) fn listed(&self, index: usize, rule: FormatRule) -> Option<FormatEntry> {
        let named = self.formats.get(index)?;
        Some(FormatEntry {
            name: FormatName::new(named.name)?,
            states: u32::try_from(named.dfa.states()).unwrap_or(u32::MAX),
            bytes: u32::try_from(named.table.len()).unwrap_or(u32::MAX),
            allowed: rule.allows(index),
            sha256: self.sha256.get(index).copied()?,
        })
    }
}

/// Hash of the choices, joined by line feeds.
fn sha256_of(choices: &Choices) -> Hash {
    let mut sha256 = Sha256::new();
    for (before, choice) in choices.iter().enumerate() {
        if before > 0 {
            sha256.update([SEPARATOR as u8]);
        }
        sha256.update(choice);
    }
    sha256.finalize().into()
}

/// An answer before its first byte has arrived.
#[derive(Debug)]
pub(crate) struct Begun<'m> {
    /// The format's name in records; empty if there is no format.
    pub(crate) name: FormatName,
    /// The format's number plus one, as sent to inference; 0 for no format.
    pub(crate) number: u32,
    /// See [`protocol::record::Record::format_sha256`].
    pub(crate) sha256: Hash,
    pub(crate) answer: Answer<'m>,
    /// The choices or stop strings of the request, for the caller to store.
    pub(crate) words: Words,
}

/// The choices or stop strings that a request has brought. They are stored beside the waiting text, outside the
/// monitor.
#[derive(Debug)]
pub(crate) enum Words {
    None,
    Choices(Choices),
    Stops(Stops),
}

/// How far an answer has got in its format.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer<'m> {
    /// It may be any text.
    Free,
    /// It must match a format of the policy.
    Format(Dfa<'m>, State),
    /// It must be one of [`Words::Choices`].
    Choices(ChoiceState),
    /// It ends before the first of [`Words::Stops`].
    Stops(StopMatcher),
}

impl Answer<'_> {
    /// Whether the answer is bound to a format, so a client is told nothing but its text.
    pub(crate) const fn is_bound(&self) -> bool {
        matches!(self, Self::Format(..) | Self::Choices(_))
    }

    /// Whether it may end at a stop string.
    pub(crate) const fn has_stops(&self) -> bool {
        matches!(self, Self::Stops(_))
    }

    /// Whether the answer may end here.
    pub(crate) fn is_whole(&self, words: &Words) -> bool {
        match (self, words) {
            (Self::Format(dfa, state), _) => dfa.accepts(*state),
            (Self::Choices(state), Words::Choices(choices)) => choices.accepts(*state),
            (Self::Choices(_), _) => false,
            (Self::Free | Self::Stops(_), _) => true,
        }
    }

    /// Takes the text of a token. `show` is given whatever may now be shown of it and of the text held back, and
    /// returns whether it had room.
    ///
    /// # Errors
    /// The text breaks the format or completes a stop string, and nothing was shown; or `show` had no room. The answer
    /// is over.
    pub(crate) fn take(
        &mut self,
        words: &Words,
        text: &[u8],
        mut show: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Wrong> {
        let shown = match (self, words) {
            (Self::Free, _) => show(text),
            (Self::Format(dfa, state), _) => {
                *state = dfa.walk(*state, text).ok_or(Wrong::Format)?;
                show(text)
            }
            (Self::Choices(state), Words::Choices(choices)) => {
                *state = choices.walk(*state, text).ok_or(Wrong::Format)?;
                show(text)
            }
            (Self::Stops(matcher), Words::Stops(stops)) => {
                let mut ahead = *matcher;
                if text.iter().any(|byte| ahead.push(stops, *byte).stopped) {
                    // Text that was held back is part of the answer.
                    *matcher = StopMatcher::new();
                    return Err(Wrong::Stop);
                }
                text.iter().all(|byte| {
                    let pushed = matcher.push(stops, *byte);
                    show(pushed.released) && pushed.byte.is_none_or(|byte| show(&[byte]))
                })
            }
            (Self::Choices(_) | Self::Stops(_), _) => return Err(Wrong::Format),
        };
        match shown {
            true => Ok(()),
            false => Err(Wrong::Room),
        }
    }

    /// The text held back. Call it when the answer is over and no more text can complete a stop string.
    pub(crate) fn release<'w>(&mut self, words: &'w Words) -> &'w [u8] {
        match (self, words) {
            (Self::Stops(matcher), Words::Stops(stops)) => {
                let held = matcher.held(stops);
                *matcher = StopMatcher::new();
                held
            }
            _ => &[],
        }
    }
}

/// Why the text of a token is a breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It leaves the format.
    Format,
    /// It completes a stop string.
    Stop,
    /// There is no room for it, which credit rules out.
    Room,
}
