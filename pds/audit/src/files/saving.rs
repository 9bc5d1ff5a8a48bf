//! Writing an adapter that was made here to the disk.
//!
//! ```text
//!   is the name free? ──► the signature: create, append, finish ──► the file: create, append …, finish
//! ```
//!
//! The rule: a file on the disk is never overwritten. If the name is taken, the adapter gets one with a number. The
//! signature is there before the file gets its name, which happens in one step after all of it is durable. So a power
//! cut at any moment leaves either no adapter of that name or a whole one with its signature. A signature without an
//! adapter does not count, and the next one replaces it.

use super::path::{Path, path_of};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::SIGNATURE_BYTES;
use protocol::name::ModelName;
use protocol::on_disk::{MAX_NAME_BYTES, named};
use protocol::store::{Content, SIGNATURE_SUFFIX};
use protocol::wire::files::Answer;

/// Number of names tried: the adapter's own, and that with a number.
const NAMES: u8 = 9;

/// How far the writing has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Is the name free?
    Look,
    CreateSignature,
    Signature,
    FinishSignature,
    Create,
    /// This many bytes of the file are written.
    Append(usize),
    Finish,
}

/// An adapter being written.
#[derive(Debug)]
pub(crate) struct Saving {
    /// Number of its entry in the table.
    pub(crate) number: u32,
    /// Why the adapter was not loaded, if so. Its client is told at the end.
    pub(crate) not_loaded: Option<ErrorCode>,
    /// Number of the adapter among those made here.
    pub(crate) id: u32,
    name: ModelName,
    bytes: usize,
    signature: [u8; SIGNATURE_BYTES],
    /// Which of the names is being tried, from 1.
    attempt: u8,
    step: Step,
    /// Bytes of the file that files was asked to write.
    asked: usize,
    /// Whether a question is under way.
    awaits: bool,
}

/// What to ask files next.
pub(crate) enum NextSave {
    /// Whether this file exists.
    Open(Path),
    /// To begin this file.
    Create(Path),
    /// To append the signature.
    Signature([u8; SIGNATURE_BYTES]),
    /// To append the file's bytes from this offset on, as many as one message allows.
    Append(usize),
    /// To finish the file.
    Finish,
}

impl Saving {
    /// Begins to write an adapter with this many bytes, at least one.
    pub(crate) const fn new(
        number: u32,
        not_loaded: Option<ErrorCode>,
        (id, name): (u32, ModelName),
        bytes: usize,
        signature: [u8; SIGNATURE_BYTES],
    ) -> Self {
        Self {
            number,
            not_loaded,
            id,
            name,
            bytes,
            signature,
            attempt: 1,
            step: Step::Look,
            asked: 0,
            awaits: false,
        }
    }

    /// Its name on the disk.
    ///
    /// # Errors
    /// The name would be too long.
    pub(crate) fn on_disk(&self) -> Result<ModelName, Failure> {
        let ending = [b'-', b'0'.saturating_add(self.attempt)];
        let ending = match self.attempt {
            1 => &[],
            _ => &ending[..],
        };
        let name = self.name.followed_by(ending);
        let name = name.and_then(|name| named(name.as_str().as_bytes()));
        let bytes = self.name.as_str().len().saturating_add(ending.len());
        let limit = MAX_NAME_BYTES as u64;
        name.ok_or(Failure::over(ErrorCode::NameLength, bytes as u64, limit))
    }

    fn path(&self, more: &str) -> Result<Path, Failure> {
        Ok(path_of(Content::Adapter, self.on_disk()?, 0, more))
    }

    /// What to ask next, if no question is under way.
    ///
    /// # Errors
    /// Writing has failed with this error.
    pub(crate) fn next(&self) -> Result<Option<NextSave>, Failure> {
        if self.awaits {
            return Ok(None);
        }
        Ok(Some(match self.step {
            Step::Look => NextSave::Open(self.path("")?),
            Step::CreateSignature => NextSave::Create(self.path(SIGNATURE_SUFFIX)?),
            Step::Signature => NextSave::Signature(self.signature),
            Step::Create => NextSave::Create(self.path("")?),
            Step::Append(done) => NextSave::Append(done),
            Step::FinishSignature | Step::Finish => NextSave::Finish,
        }))
    }

    /// Notes that the question was sent; the file has this many bytes.
    pub(crate) const fn await_answer(&mut self, bytes: usize) {
        self.awaits = true;
        self.asked = bytes;
    }

    /// Takes the answer. Returns true when everything is written.
    ///
    /// # Errors
    /// Writing has failed with this error.
    pub(crate) fn hear(&mut self, answer: Result<Answer<'_>, Failure>) -> Result<bool, Failure> {
        self.awaits = false;
        self.step = match (self.step, answer) {
            (Step::Look, Err(failure)) if failure.code == ErrorCode::NoSuchFile => {
                Step::CreateSignature
            }
            (_, Err(failure)) => return Err(failure),
            // The name is taken.
            (Step::Look, Ok(_)) if self.attempt >= NAMES => {
                return Err(Failure::of(ErrorCode::AdapterExists));
            }
            (Step::Look, Ok(_)) => {
                self.attempt = self.attempt.saturating_add(1);
                Step::Look
            }
            (Step::CreateSignature, Ok(_)) => Step::Signature,
            (Step::Signature, Ok(_)) => Step::FinishSignature,
            (Step::FinishSignature, Ok(_)) => Step::Create,
            (Step::Create, Ok(_)) => Step::Append(0),
            (Step::Append(done), Ok(_)) => match done.saturating_add(self.asked) {
                done if done >= self.bytes => Step::Finish,
                done => Step::Append(done),
            },
            (Step::Finish, Ok(_)) => return Ok(true),
        };
        Ok(false)
    }

    /// Bytes of the file written so far, and in all.
    pub(crate) const fn progress(&self) -> (u64, u64) {
        let done = match self.step {
            Step::Append(done) => done,
            Step::Finish => self.bytes,
            _ => 0,
        };
        (done as u64, self.bytes as u64)
    }
}
