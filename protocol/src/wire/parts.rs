//! The parts of a request for text: texts to continue, strings to stop at, and allowed answers.
//!
//! Parts follow one another in the tail of a message without padding:
//!
//! ```text
//!   kind u32   length u32   text [u8; length]
//! ```
//!
//! Segments come first: one text to be completed, or a conversation of texts with roles. Stop strings follow, then
//! choices. [`Parts::parse`] checks that order, and refuses anything else as a message. [`Parts::check`] checks limits,
//! roles and encoding, and says what is wrong.

mod kind;
mod writer;

pub use kind::PartKind;
pub use writer::{PartsWriter, completion};

use super::ModelInfo;
use crate::encoding::codec::{Tail, numbered};
use crate::error::{ErrorCode, Failure};
use crate::limits::{
    EXTRA_PROMPT_TOKENS, MAX_PARTS_BYTES, MAX_SEGMENTS, MAX_STOP_BYTES, MAX_STOPS,
};
use core::str;
use formats::stop::{Stops, StopsError};
use formats::{Choices, ChoicesError, MAX_CHOICES, MAX_CHOICES_BYTES};

/// Bytes before each part's text.
pub const PART_HEADER_BYTES: usize = 8;

/// One part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its kind.
    pub kind: PartKind,
    /// Its text; UTF-8 if [`Parts::check`] succeeds.
    pub text: &'a [u8],
}

impl<'a> Part<'a> {
    /// Its text; "" if it is not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        str::from_utf8(self.text).unwrap_or("")
    }
}

/// The part at the beginning of `bytes`, and what follows it; `None` if there is none.
fn first(bytes: &[u8]) -> Option<(Part<'_>, &[u8])> {
    let (kind, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (text, rest) = rest.split_at_checked(length)?;
    let kind = numbered(u32::from_le_bytes(*kind))?;
    Some((Part { kind, text }, rest))
}

/// The parts of a request for text, in order.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts<'a> {
    bytes: &'a [u8],
}

/// Totals over all parts of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Bytes of all texts.
    pub text_bytes: u32,
    /// Number of segments of a conversation; 0 for a text to be completed.
    pub segments: u32,
    /// Number of stop strings.
    pub stops: u32,
    /// Number of choices.
    pub choices: u32,
}

impl Extent {
    /// Maximum number of tokens that they take with this model, given what its template adds.
    #[must_use]
    pub const fn most_tokens(&self, model: &ModelInfo) -> u32 {
        let text = self.text_bytes.saturating_add(EXTRA_PROMPT_TOKENS);
        match self.segments {
            0 => text,
            segments => {
                let each = segments.saturating_mul(model.segment_tokens);
                text.saturating_add(model.fixed_tokens).saturating_add(each)
            }
        }
    }
}

impl<'a> Parts<'a> {
    /// Parses parts. `None` if a kind is unknown, a length points past the end, or the order is not segments, stop
    /// strings, choices. A text to be completed must be the only segment.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (mut rest, mut before): (_, Option<PartKind>) = (bytes, None);
        while !rest.is_empty() {
            let (part, behind) = first(rest)?;
            let follows = match before {
                None => true,
                Some(before) if before.is_alone() => !part.kind.is_segment(),
                Some(before) => !part.kind.is_alone() && part.kind.group() >= before.group(),
            };
            if !follows {
                return None;
            }
            (rest, before) = (behind, Some(part.kind));
        }
        Some(Self { bytes })
    }

    /// The parts as bytes of the message.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// All parts.
    pub fn iter(&self) -> impl Iterator<Item = Part<'a>> + Clone + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (part, behind) = first(rest)?;
            rest = behind;
            Some(part)
        })
    }

    fn of<F: Fn(PartKind) -> bool + Clone>(
        &self,
        wanted: F,
    ) -> impl Iterator<Item = Part<'a>> + Clone + use<'a, F> {
        self.iter().filter(move |part| wanted(part.kind))
    }

    /// The segments: one text, or a conversation.
    pub fn segments(&self) -> impl Iterator<Item = Part<'a>> + Clone + use<'a> {
        self.of(PartKind::is_segment)
    }

    /// The strings that end the answer.
    pub fn stops(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.of(|kind| kind == PartKind::Stop)
            .map(|part| part.as_str())
    }

    /// The allowed answers; if there are none, any answer is allowed.
    pub fn choices(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.of(|kind| kind == PartKind::Choice)
            .map(|part| part.as_str())
    }

    /// The text to be completed; `None` for a conversation.
    #[must_use]
    pub fn completion(&self) -> Option<&'a [u8]> {
        let segment = self.segments().next()?;
        (segment.kind == PartKind::Text).then_some(segment.text)
    }

    /// Decides what a [`PartKind::Prompt`] at the beginning of `bytes` is: a user's turn if the model has a template,
    /// otherwise a text to be completed. Other parts are unchanged.
    pub(crate) fn decide(bytes: &mut [u8], has_template: bool) {
        let Some(first) = bytes.first_chunk_mut::<4>() else {
            return;
        };
        if *first == (PartKind::Prompt as u32).to_le_bytes() {
            let kind = match has_template {
                true => PartKind::User,
                false => PartKind::Text,
            };
            *first = (kind as u32).to_le_bytes();
        }
    }

    /// The totals over all parts.
    #[must_use]
    pub fn extent(&self) -> Extent {
        let mut extent = Extent {
            text_bytes: 0,
            segments: 0,
            stops: 0,
            choices: 0,
        };
        for part in self.iter() {
            let count = match part.kind {
                PartKind::Text | PartKind::Prompt => None,
                PartKind::System | PartKind::User | PartKind::Assistant => {
                    Some(&mut extent.segments)
                }
                PartKind::Stop => Some(&mut extent.stops),
                PartKind::Choice => Some(&mut extent.choices),
            };
            if let Some(count) = count {
                *count = count.saturating_add(1);
            }
            if part.kind.is_segment() {
                let bytes = u32::try_from(part.text.len()).unwrap_or(u32::MAX);
                extent.text_bytes = extent.text_bytes.saturating_add(bytes);
            }
        }
        extent
    }

    /// Checks limits, roles and encoding of everything but the choices, which [`Self::allowed`] checks.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<Extent, Failure> {
        let most = MAX_PARTS_BYTES.saturating_sub(PART_HEADER_BYTES);
        let bytes = self.bytes.len().saturating_sub(PART_HEADER_BYTES);
        at_most(ErrorCode::PromptBytes, bytes, most)?;
        let extent = self.extent();
        at_most(ErrorCode::Segments, extent.segments as usize, MAX_SEGMENTS)?;
        if extent.stops > 0 && extent.choices > 0 {
            return Err(Failure::of(ErrorCode::FormatAndStops));
        }
        self.check_roles()?;
        let mut before = 0usize;
        for part in self.iter() {
            if let Err(error) = str::from_utf8(part.text) {
                let at = before.saturating_add(error.valid_up_to());
                return Err(Failure::over(ErrorCode::PromptNotUtf8, at as u64, 0));
            }
            before = before.saturating_add(part.text.len());
        }
        self.ending()?;
        Ok(extent)
    }

    /// User and assistant alternate, after an optional system text, and the user is last.
    fn check_roles(&self) -> Result<(), Failure> {
        let mut due = PartKind::User;
        let mut last = None;
        let mut at = 0u64;
        for segment in self.segments() {
            at = at.saturating_add(1);
            let kind = segment.kind;
            match (kind, last) {
                (PartKind::Text | PartKind::Prompt | PartKind::System, None) => {}
                _ if kind == due => {
                    due = match due {
                        PartKind::User => PartKind::Assistant,
                        _ => PartKind::User,
                    };
                }
                _ => return Err(Failure::over(ErrorCode::SegmentRole, at, 0)),
            }
            if segment.text.is_empty() && !matches!(kind, PartKind::System | PartKind::Assistant) {
                return Err(Failure::over(ErrorCode::EmptyPrompt, at, 0));
            }
            last = Some((at, kind));
        }
        match last {
            None => Err(Failure::of(ErrorCode::EmptyPrompt)),
            Some((_, PartKind::Text | PartKind::Prompt | PartKind::User)) => Ok(()),
            Some((at, _)) => Err(Failure::over(ErrorCode::SegmentRole, at, 0)),
        }
    }

    /// The stop strings, possibly none.
    ///
    /// # Errors
    /// There are too many, or one has an invalid length.
    pub fn ending(&self) -> Result<Stops, Failure> {
        Stops::new(self.stops()).map_err(|error| match error {
            StopsError::Count => {
                let value = self.stops().fold(0_u64, |count, _| count.saturating_add(1));
                Failure::over(ErrorCode::StopStrings, value, MAX_STOPS as u64)
            }
            StopsError::Empty { .. } => {
                Failure::over(ErrorCode::StopBytes, 0, MAX_STOP_BYTES as u64)
            }
            StopsError::Bytes { bytes, .. } => {
                Failure::over(ErrorCode::StopBytes, bytes as u64, MAX_STOP_BYTES as u64)
            }
        })
    }

    /// The automaton of the choices; `None` if there are none.
    ///
    /// # Errors
    /// The list breaks a rule of [`Choices`].
    pub fn allowed(&self) -> Result<Option<Choices>, Failure> {
        if self.choices().next().is_none() {
            return Ok(None);
        }
        Choices::new(self.choices()).map(Some).map_err(|error| {
            let which = |choice: usize| choice as u64;
            match error {
                ChoicesError::None => Failure::of(ErrorCode::EmptyPrompt),
                ChoicesError::Empty { choice } => {
                    Failure::over(ErrorCode::ChoiceEmpty, which(choice), 0)
                }
                ChoicesError::Twice { choice } => {
                    Failure::over(ErrorCode::ChoiceTwice, which(choice), 0)
                }
                ChoicesError::LineFeed { choice } => {
                    Failure::over(ErrorCode::ChoiceLineFeed, which(choice), 0)
                }
                ChoicesError::Count => {
                    let value = self
                        .choices()
                        .fold(0_u64, |count, _| count.saturating_add(1));
                    Failure::over(ErrorCode::Choices, value, MAX_CHOICES as u64)
                }
                ChoicesError::Bytes => {
                    let bytes = self
                        .choices()
                        .map(|choice| choice.len().saturating_add(1) as u64);
                    let bytes = bytes.fold(0u64, u64::saturating_add).saturating_sub(1);
                    Failure::over(ErrorCode::ChoicesBytes, bytes, MAX_CHOICES_BYTES as u64)
                }
            }
        })
    }
}

fn at_most(code: ErrorCode, value: usize, limit: usize) -> Result<(), Failure> {
    match value <= limit {
        true => Ok(()),
        false => Err(Failure::over(code, value as u64, limit as u64)),
    }
}

/// Prints the list of parts.
impl core::fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let parts = self.iter().map(|part| (part.kind, part.as_str()));
        f.debug_list().entries(parts).finish()
    }
}

impl<'a> Tail<'a> for Parts<'a> {
    fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn read(bytes: &'a [u8], _: bool) -> Option<Self> {
        Parts::parse(bytes)
    }
}
