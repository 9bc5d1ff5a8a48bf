//! Loading files from the disk: how one is read, verified, and put where inference can read it.
//!
//! ```text
//!   files ── Part ──► audit's frame ──► hashed, and copied into staging, which audit alone maps
//!                                       │ all there and the signature good
//!                                       ▼
//!        a model: the slot that is not in service           ──► inference is told
//!        an adapter, training data: the region of adapters
//! ```
//!
//! The rule: what inference can read has been verified. A file is read once, so files cannot change it after it was
//! hashed. The slot of the model in service is never written, nor is a part of the region that an adapter occupies. A
//! load that fails leaves nothing behind.

use super::listing::List;
use super::path::{Path, path_of, suffixes};
use super::saving::Saving;
use crate::device::Device;
use crate::models::is_signed;
use crate::shelf::count_lines;
use ed25519_dalek::Signature;
use protocol::error::{ErrorCode, Failure};
use protocol::hash::{Hash, SIGNATURE_BYTES};
use protocol::limits::{MAX_DATA_BYTES, MAX_TRANSFER_BYTES};
use protocol::name::ModelName;
use protocol::policy::Policy;
use protocol::region::WriteWords;
use protocol::store::{Content, SIGNATURE_SUFFIX};
use protocol::wire::files::{Answer, Ask};
use sha2::{Digest as _, Sha256};

/// Slots in the region of slots.
const SLOTS: usize = 2;

/// Bytes of a verified model that one wake-up copies into its slot (1 MiB): about a millisecond on a Cortex-A53. The
/// whole region of adapters is no larger.
const COPIED_BYTES: usize = 1 << 20;

const _: () = assert!(protocol::adapters::REGION_BYTES <= COPIED_BYTES);

/// Bytes read between two progress reports to the client (128 KiB).
const TOLD_BYTES: u64 = 128 << 10;

const WORD: usize = 8;

/// How far a load has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    OpenSignature,
    /// There is no signature. Find out whether the file exists.
    LookForFile,
    ReadSignature,
    Open,
    Read,
    /// The whole file has been read.
    Verify,
    /// The file is verified, and this many bytes of a model are in the slot.
    Copy(usize),
}

/// A load under way.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Number of its entry in the table.
    pub(crate) number: u32,
    content: Content,
    name: ModelName,
    /// Index of the ending being tried, among those that its path may have.
    ending: usize,
    /// Limit of the file's size in bytes.
    most: usize,
    step: Step,
    /// Questions to files that are under way.
    awaited: usize,
    /// Size of the file, bytes requested, and bytes read.
    bytes: usize,
    asked: usize,
    done: usize,
    told: u64,
    signature: [u8; SIGNATURE_BYTES],
    hasher: Sha256,
    /// Line feeds in training data, whose examples are counted by line.
    line_feeds: u64,
    sha256: Hash,
}

impl Reading {
    /// Checks the size of the file against its limit.
    fn check_size(&self, bytes: u64) -> Result<usize, Failure> {
        let fitting = usize::try_from(bytes).ok();
        let over = match self.content {
            Content::Data if bytes == 0 => return Err(Failure::of(ErrorCode::EmptyData)),
            Content::Model => ErrorCode::FileTooLarge,
            Content::Adapter => ErrorCode::AdapterRoom,
            Content::Data => ErrorCode::DataTooLong,
        };
        let fitting = fitting.filter(|bytes| *bytes <= self.most);
        fitting.ok_or(Failure::over(over, bytes, self.most as u64))
    }

    /// Moves on to the next ending, because no file has this one. False if it was the last.
    fn tries_again(&mut self) -> bool {
        self.ending = self.ending.saturating_add(1);
        let is_one = self.ending < suffixes(self.content).len();
        if is_one {
            self.step = Step::OpenSignature;
        }
        is_one
    }
}

/// A verified file in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InSlot {
    /// Where it begins, as inference counts: slots follow the store.
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: Hash,
}

/// A file that was read and verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// A model, in its slot.
    Model(InSlot),
    /// An adapter or training data, in staging.
    Staged(Staged),
}

/// A verified file in staging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Staged {
    pub(crate) content: Content,
    pub(crate) name: ModelName,
    pub(crate) bytes: usize,
    pub(crate) sha256: Hash,
    pub(crate) line_feeds: u64,
}

/// Loading and saving of files; see the module.
#[derive(Debug)]
pub(crate) struct Card<W> {
    staging: W,
    slots: W,
    store_bytes: u64,
    pub(crate) list: List,
    pub(crate) reading: Option<Reading>,
    /// An adapter being written to the disk.
    pub(crate) saving: Option<Saving>,
}

impl<W: WriteWords> Card<W> {
    pub(crate) const fn new(staging: W, slots: W, store_bytes: u64) -> Self {
        Self {
            staging,
            slots,
            store_bytes,
            list: List::new(),
            reading: None,
            saving: None,
        }
    }

    /// Size of a slot in bytes, and so of the largest model.
    fn slot_bytes(&self) -> usize {
        let slots = self.slots.words() / SLOTS;
        slots.min(self.staging.words()).saturating_mul(WORD)
    }

    /// Begins to load a file for the request with this number. `room`: bytes free for it in the region of adapters.
    pub(crate) fn begin(&mut self, number: u32, content: Content, name: ModelName, room: usize) {
        let most = match content {
            Content::Model => self.slot_bytes(),
            Content::Adapter => room,
            Content::Data => MAX_DATA_BYTES,
        };
        self.reading = Some(Reading {
            number,
            content,
            name,
            ending: 0,
            most: most.min(self.staging.words().saturating_mul(WORD)),
            step: Step::OpenSignature,
            awaited: 0,
            bytes: 0,
            asked: 0,
            done: 0,
            told: 0,
            signature: [0; SIGNATURE_BYTES],
            hasher: Sha256::new(),
            line_feeds: 0,
            sha256: [0; 32],
        });
    }

    /// What to ask files next, if anything.
    pub(crate) fn next(&self) -> Option<Next> {
        let reading = self.reading.as_ref()?;
        // Several parts of a file may be requested at once; everything else is asked one at a time.
        if reading.awaited > 0 && reading.step != Step::Read {
            return None;
        }
        let left = reading.bytes.saturating_sub(reading.asked);
        let path = |more| path_of(reading.content, reading.name, reading.ending, more);
        Some(match reading.step {
            Step::OpenSignature => Next::Open(path(SIGNATURE_SUFFIX)),
            Step::Open | Step::LookForFile => Next::Open(path("")),
            Step::ReadSignature => Next::Read(0, SIGNATURE_BYTES),
            Step::Read if left > 0 => Next::Read(reading.asked, left.min(MAX_TRANSFER_BYTES)),
            Step::Read | Step::Verify | Step::Copy(_) => return None,
        })
    }

    /// Notes that the question was sent.
    pub(crate) fn await_answer(&mut self, next: &Next) {
        if let Some(reading) = &mut self.reading {
            reading.awaited = reading.awaited.saturating_add(1);
            if let (Step::Read, Next::Read(_, bytes)) = (reading.step, next) {
                reading.asked = reading.asked.saturating_add(*bytes);
            }
        }
    }

    /// Takes the answer for the load. Returns how many bytes were hashed.
    ///
    /// # Errors
    /// The load has failed with this error.
    pub(crate) fn hear(&mut self, answer: Result<Answer<'_>, Failure>) -> Result<usize, Failure> {
        let Some(reading) = &mut self.reading else {
            return Ok(0);
        };
        reading.awaited = reading.awaited.saturating_sub(1);
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) if failure.code == ErrorCode::NoSuchFile => {
                let goes_on = match reading.step {
                    Step::OpenSignature => {
                        reading.step = Step::LookForFile;
                        true
                    }
                    // A signature without a file does not count.
                    Step::LookForFile | Step::Open => reading.tries_again(),
                    _ => false,
                };
                return match goes_on {
                    true => Ok(0),
                    false => Err(failure),
                };
            }
            Err(failure) => return Err(failure),
        };
        match (reading.step, answer) {
            (Step::OpenSignature, Answer::Opened { bytes }) => {
                if bytes != SIGNATURE_BYTES as u64 {
                    return Err(Failure::of(ErrorCode::BadSignature));
                }
                reading.step = Step::ReadSignature;
            }
            (Step::LookForFile, Answer::Opened { .. }) => {
                return Err(Failure::of(ErrorCode::Unsigned));
            }
            (Step::ReadSignature, Answer::Part { bytes, .. }) => {
                let Ok(signature) = bytes.try_into() else {
                    let (value, limit) = (bytes.len() as u64, SIGNATURE_BYTES as u64);
                    return Err(Failure::over(ErrorCode::FileChanged, value, limit));
                };
                reading.signature = signature;
                reading.step = Step::Open;
            }
            (Step::Open, Answer::Opened { bytes }) => {
                let fitting = reading.check_size(bytes)?;
                reading.bytes = fitting;
                reading.step = match fitting {
                    0 => Step::Verify,
                    _ => Step::Read,
                };
            }
            (Step::Read, Answer::Part { bytes, .. }) => {
                let left = reading.bytes.saturating_sub(reading.done);
                let wanted = left.min(MAX_TRANSFER_BYTES);
                if bytes.len() != wanted {
                    let value = reading.done.saturating_add(bytes.len()) as u64;
                    let limit = reading.bytes as u64;
                    return Err(Failure::over(ErrorCode::FileChanged, value, limit));
                }
                reading.hasher.update(bytes);
                if reading.content == Content::Data {
                    let lines = count_lines(bytes);
                    reading.line_feeds = reading.line_feeds.saturating_add(lines);
                }
                write(&self.staging, reading.done, bytes);
                reading.done = reading.done.saturating_add(wanted);
                if reading.done >= reading.bytes {
                    reading.step = Step::Verify;
                }
                return Ok(wanted);
            }
            // The link has already matched the answer to the question.
            _ => {}
        }
        Ok(0)
    }

    /// Bytes of the file read so far and its size, if the client should be told now.
    pub(crate) fn progress(&mut self) -> Option<(u64, u64)> {
        let reading = self.reading.as_mut()?;
        let (done, all) = (reading.done as u64, reading.bytes as u64);
        let is_due = done.saturating_sub(reading.told) >= TOLD_BYTES;
        is_due.then(|| {
            reading.told = done;
            (done, all)
        })
    }

    /// Whether the load has work to do that needs no answer from files.
    pub(crate) fn is_at_work(&self) -> bool {
        let reading = self.reading.as_ref();
        reading.is_some_and(|it| matches!(it.step, Step::Verify | Step::Copy(_)))
    }

    /// Goes on with work that needs no answer from files: checks the signature, then copies a model into a slot other
    /// than the one `in_service`. Returns the file when all of it is in place.
    ///
    /// # Errors
    /// No key of the policy has signed the file, nor, if it is an adapter, the device's own key.
    pub(crate) fn advance(
        &mut self,
        policy: &Policy,
        device: &Device,
        in_service: Option<u64>,
    ) -> Result<Option<Arrived>, Failure> {
        let slot_bytes = self.slot_bytes();
        let slot = self.free_slot(in_service);
        let Some(reading) = &mut self.reading else {
            return Ok(None);
        };
        let copied = match reading.step {
            Step::Verify => {
                reading.sha256 = reading.hasher.finalize_reset().into();
                // An adapter made on this device may come back with its disk.
                let is_ours = || {
                    let signature = Signature::from_bytes(&reading.signature);
                    reading.content == Content::Adapter
                        && device.has_signed(&reading.sha256, &signature)
                };
                if !is_signed(&reading.sha256, &reading.signature, policy) && !is_ours() {
                    return Err(Failure::of(ErrorCode::BadSignature));
                }
                reading.step = Step::Copy(0);
                return Ok(None);
            }
            Step::Copy(_) if reading.content != Content::Model => {
                return Ok(Some(Arrived::Staged(Staged {
                    content: reading.content,
                    name: reading.name,
                    bytes: reading.bytes,
                    sha256: reading.sha256,
                    line_feeds: reading.line_feeds,
                })));
            }
            Step::Copy(copied) => copied,
            _ => return Ok(None),
        };
        let begin = slot.saturating_mul(slot_bytes);
        let end = reading.bytes.min(copied.saturating_add(COPIED_BYTES));
        let words = (copied / WORD)..end.div_ceil(WORD);
        let target = begin / WORD;
        for word in words {
            self.slots
                .store(target.saturating_add(word), self.staging.load(word));
        }
        // The message that tells inference of the file is published after this fence.
        self.slots.release_fence();
        reading.step = Step::Copy(end);
        let in_slot = InSlot {
            offset: self.store_bytes.saturating_add(begin as u64),
            bytes: reading.bytes as u64,
            sha256: reading.sha256,
        };
        Ok((end >= reading.bytes).then_some(Arrived::Model(in_slot)))
    }

    /// The slot that does not hold the file at this offset.
    fn free_slot(&self, in_service: Option<u64>) -> usize {
        let offset = in_service.and_then(|at| at.checked_sub(self.store_bytes));
        usize::from(offset == Some(0))
    }

    /// A word of staging.
    pub(crate) fn staged(&self, word: usize) -> u64 {
        self.staging.load(word)
    }

    /// Whether the file at this offset lies in a slot.
    pub(crate) const fn is_in_slot(&self, offset: u64) -> bool {
        offset >= self.store_bytes
    }
}

/// What to ask files for a load.
pub(crate) enum Next {
    /// To open this file.
    Open(Path),
    /// Read this many bytes from this offset.
    Read(usize, usize),
}

impl Next {
    pub(crate) fn ask(&self) -> Ask<'_> {
        match self {
            Self::Open(path) => Ask::Open { path },
            Self::Read(offset, bytes) => Ask::Read {
                offset: *offset as u64,
                // Never more than fit a message.
                bytes: u32::try_from(*bytes).unwrap_or(u32::MAX),
            },
        }
    }
}

/// Writes bytes at an offset that is a multiple of a word.
fn write(region: &impl WriteWords, offset: usize, bytes: &[u8]) {
    let mut index = offset / WORD;
    for chunk in bytes.chunks(WORD) {
        let mut word = [0; WORD];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        region.store(index, u64::from_ne_bytes(word));
        index = index.saturating_add(1);
    }
}
