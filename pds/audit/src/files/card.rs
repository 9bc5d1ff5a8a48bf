//! Models of the disk: which there are, and how one comes into a slot.
//!
//! ```text
//!   files ── Part ──► audit's frame ──► hashed, and copied into staging, which audit alone maps
//!                                       │ all there and the signature good
//!                                       ▼
//!                                   the slot that is not in service ──► inference is told
//! ```
//!
//! The rule: what inference can read is verified. A file is read once, so nothing that files says later changes what was
//! hashed; the slot of the model in service is never written; and of a load that fails nothing is left.

use crate::models::is_signed;
use heapless::Vec;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_NAME_BYTES, MAX_TRANSFER_BYTES};
use protocol::name::ModelName;
use protocol::policy::Policy;
use protocol::record::Hash;
use protocol::region::WriteWords;
use protocol::store::{
    ADAPTERS_FOLDER, DATA_FOLDER, MODEL_SUFFIX, SIGNATURE_BYTES, SIGNATURE_SUFFIX,
};
use protocol::wire::files::{Answer, Ask};
use sha2::{Digest as _, Sha256};

/// What the name of a model of the disk begins with: no model of the store has it.
pub(crate) const PREFIX: &str = "disk/";

/// Models of the disk that are listed. It sizes audit's table (10 KiB). Others can be loaded, but are not shown.
const LISTED: usize = 128;

/// Slots in the region of slots.
const SLOTS: usize = 2;

/// Bytes of a verified file that one wake-up copies into its slot (1 MiB): about a millisecond on a Cortex-A53.
const COPIED_BYTES: usize = 1 << 20;

/// How often a client is told how far a load is, in bytes (128 KiB).
const TOLD_BYTES: u64 = 128 << 10;

const WORD: usize = 8;

/// A path with what is added to it for a signature.
type Path = Vec<u8, { MAX_NAME_BYTES + MODEL_SUFFIX.len() + SIGNATURE_SUFFIX.len() }>;

/// A model of the disk, as it is listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) name: ModelName,
    /// `None`: only its signature was met so far.
    pub(crate) bytes: Option<u64>,
    pub(crate) has_signature: bool,
}

/// What is known of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// Nobody has asked for it.
    Unknown,
    /// Files is to be asked.
    Wanted,
    /// Files was asked.
    Asked,
    /// It is there.
    Known,
    /// There is none.
    Failed(Failure),
}

/// How far a load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    OpenSignature,
    /// There is none: is there a model?
    LookForModel,
    ReadSignature,
    Open,
    Read,
    /// All is read.
    Verify,
    /// It is verified, and so many bytes are in the slot.
    Copy(usize),
}

/// A load.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Of its entry in the table.
    pub(crate) number: u32,
    name: ModelName,
    step: Step,
    /// Questions that are under way.
    awaited: usize,
    /// Bytes of the file, those that were asked for, and those that were read.
    bytes: usize,
    asked: usize,
    done: usize,
    told: u64,
    signature: [u8; SIGNATURE_BYTES],
    hasher: Sha256,
    sha256: Hash,
}

/// A file that lies verified in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InSlot {
    /// Where it begins, as inference counts: behind the store.
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: Hash,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Card<W> {
    staging: W,
    slots: W,
    store_bytes: u64,
    pub(crate) listing: Listing,
    models: Vec<Listed, LISTED>,
    /// Models that are there and cannot be shown: their names are too long or no names, or there are too many.
    pub(crate) skipped: u32,
    pub(crate) reading: Option<Reading>,
}

impl<W: WriteWords> Card<W> {
    pub(crate) const fn new(staging: W, slots: W, store_bytes: u64) -> Self {
        Self {
            staging,
            slots,
            store_bytes,
            listing: Listing::Unknown,
            models: Vec::new(),
            skipped: 0,
            reading: None,
        }
    }

    // ---- The list -------------------------------------------------------------------------------

    /// Somebody wants to see what is there now.
    pub(crate) fn want_list(&mut self) {
        if self.listing != Listing::Asked {
            self.listing = Listing::Wanted;
        }
    }

    /// The list was asked for.
    pub(crate) fn begin_list(&mut self) {
        self.listing = Listing::Asked;
        self.models.clear();
        self.skipped = 0;
    }

    /// A file of the list.
    pub(crate) fn add(&mut self, path: &[u8], bytes: u64) {
        let (path, is_signature) = match strip_suffix(path, SIGNATURE_SUFFIX) {
            Some(path) => (path, true),
            None => (path, false),
        };
        let Some(name) = strip_suffix(path, MODEL_SUFFIX).filter(|path| is_of_model(path)) else {
            return;
        };
        let found = named(name).map(|name| {
            let is_it = |listed: &Listed| listed.name == name;
            (name, self.models.iter().position(is_it))
        });
        let index = match found {
            Some((_, Some(index))) => Some(index),
            Some((name, None)) => {
                let listed = Listed {
                    name,
                    bytes: None,
                    has_signature: false,
                };
                let index = self.models.len();
                self.models.push(listed).ok().map(|()| index)
            }
            None => None,
        };
        match index.and_then(|index| self.models.get_mut(index)) {
            Some(listed) if is_signature => listed.has_signature = true,
            Some(listed) => listed.bytes = Some(bytes),
            None if is_signature => {}
            None => self.skipped = self.skipped.saturating_add(1),
        }
    }

    /// The list ends, so well or not.
    pub(crate) fn end_list(&mut self, result: Result<u32, Failure>) {
        self.listing = match result {
            Ok(skipped) => {
                self.skipped = self.skipped.saturating_add(skipped);
                Listing::Known
            }
            Err(failure) => Listing::Failed(failure),
        };
    }

    /// The model at this place of the list.
    pub(crate) fn nth(&self, index: usize) -> Option<(ModelName, u64, bool)> {
        // Signatures without a model are none.
        let models = self.models.iter().filter_map(|it| {
            let bytes = it.bytes?;
            Some((it.name, bytes, it.has_signature))
        });
        let mut models = models;
        models.nth(index)
    }

    // ---- Loads ----------------------------------------------------------------------------------

    /// Bytes of a slot, and so of the largest model.
    fn slot_bytes(&self) -> usize {
        let slots = self.slots.words() / SLOTS;
        slots.min(self.staging.words()).saturating_mul(WORD)
    }

    /// Begins to load the model of this name for the request with this number.
    pub(crate) fn begin(&mut self, number: u32, name: ModelName) {
        self.reading = Some(Reading {
            number,
            name,
            step: Step::OpenSignature,
            awaited: 0,
            bytes: 0,
            asked: 0,
            done: 0,
            told: 0,
            signature: [0; SIGNATURE_BYTES],
            hasher: Sha256::new(),
            sha256: [0; 32],
        });
    }

    /// What files is to be asked next, if anything.
    pub(crate) fn next(&self) -> Option<Next> {
        let reading = self.reading.as_ref()?;
        // Parts are asked for before the last has come; all else is one after the other.
        if reading.awaited > 0 && reading.step != Step::Read {
            return None;
        }
        let left = reading.bytes.saturating_sub(reading.asked);
        Some(match reading.step {
            Step::OpenSignature => Next::Open(path_of(reading.name, SIGNATURE_SUFFIX)),
            Step::Open | Step::LookForModel => Next::Open(path_of(reading.name, "")),
            Step::ReadSignature => Next::Read(0, SIGNATURE_BYTES),
            Step::Read if left > 0 => Next::Read(reading.asked, left.min(MAX_TRANSFER_BYTES)),
            Step::Read | Step::Verify | Step::Copy(_) => return None,
        })
    }

    /// It was asked.
    pub(crate) fn await_answer(&mut self, next: &Next) {
        if let Some(reading) = &mut self.reading {
            reading.awaited = reading.awaited.saturating_add(1);
            if let (Step::Read, Next::Read(_, bytes)) = (reading.step, next) {
                reading.asked = reading.asked.saturating_add(*bytes);
            }
        }
    }

    /// The answer for the load; how many bytes were hashed.
    ///
    /// # Errors
    /// The load ends with this.
    pub(crate) fn hear(&mut self, answer: Result<Answer<'_>, Failure>) -> Result<usize, Failure> {
        let most = self.slot_bytes();
        let Some(reading) = &mut self.reading else {
            return Ok(0);
        };
        reading.awaited = reading.awaited.saturating_sub(1);
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure)
                if failure.code == ErrorCode::NoSuchFile && reading.step == Step::OpenSignature =>
            {
                reading.step = Step::LookForModel;
                return Ok(0);
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
            (Step::LookForModel, Answer::Opened { .. }) => {
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
                let fitting = usize::try_from(bytes).ok().filter(|bytes| *bytes <= most);
                let Some(fitting) = fitting else {
                    return Err(Failure::over(ErrorCode::FileTooLarge, bytes, most as u64));
                };
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
                write(&self.staging, reading.done, bytes);
                reading.done = reading.done.saturating_add(wanted);
                if reading.done >= reading.bytes {
                    reading.step = Step::Verify;
                }
                return Ok(wanted);
            }
            // The link has compared the answer with the question.
            _ => {}
        }
        Ok(0)
    }

    /// Bytes of the file that were read, and in all, if its client is to be told of it now.
    pub(crate) fn progress(&mut self) -> Option<(u64, u64)> {
        let reading = self.reading.as_mut()?;
        let (done, all) = (reading.done as u64, reading.bytes as u64);
        let is_due = done.saturating_sub(reading.told) >= TOLD_BYTES;
        is_due.then(|| {
            reading.told = done;
            (done, all)
        })
    }

    /// Whether it goes on without files.
    pub(crate) fn is_at_work(&self) -> bool {
        let reading = self.reading.as_ref();
        reading.is_some_and(|it| matches!(it.step, Step::Verify | Step::Copy(_)))
    }

    /// Goes on with what needs no answer of files: checks the signature, then copies into a slot that does not hold what lies
    /// at `in_service`. The file, when all of it is there.
    ///
    /// # Errors
    /// The signature is by none of the policy's keys.
    pub(crate) fn advance(
        &mut self,
        policy: &Policy,
        in_service: Option<u64>,
    ) -> Result<Option<InSlot>, Failure> {
        let slot_bytes = self.slot_bytes();
        let slot = self.free_slot(in_service);
        let Some(reading) = &mut self.reading else {
            return Ok(None);
        };
        let copied = match reading.step {
            Step::Verify => {
                reading.sha256 = reading.hasher.finalize_reset().into();
                if !is_signed(&reading.sha256, &reading.signature, policy) {
                    return Err(Failure::of(ErrorCode::BadSignature));
                }
                reading.step = Step::Copy(0);
                return Ok(None);
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
        // Inference learns of it by a message, which is published after this.
        self.slots.release_fence();
        reading.step = Step::Copy(end);
        let in_slot = InSlot {
            offset: self.store_bytes.saturating_add(begin as u64),
            bytes: reading.bytes as u64,
            sha256: reading.sha256,
        };
        Ok((end >= reading.bytes).then_some(in_slot))
    }

    /// The slot that does not hold the file at this offset.
    fn free_slot(&self, in_service: Option<u64>) -> usize {
        let offset = in_service.and_then(|at| at.checked_sub(self.store_bytes));
        usize::from(offset == Some(0))
    }

    /// Whether the file at this offset lies in a slot.
    pub(crate) const fn is_in_slot(&self, offset: u64) -> bool {
        offset >= self.store_bytes
    }
}

/// What files is to be asked for a load.
pub(crate) enum Next {
    /// To open this file.
    Open(Path),
    /// To read from there on so many bytes.
    Read(usize, usize),
}

impl Next {
    pub(crate) fn ask(&self) -> Ask<'_> {
        match self {
            Self::Open(path) => Ask::Open { path },
            Self::Read(offset, bytes) => Ask::Read {
                offset: *offset as u64,
                // At most a message's.
                bytes: u32::try_from(*bytes).unwrap_or(u32::MAX),
            },
        }
    }
}

/// Writes bytes at an offset that is whole words.
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

fn strip_suffix<'p>(path: &'p [u8], suffix: &str) -> Option<&'p [u8]> {
    path.strip_suffix(suffix.as_bytes())
}

/// Whether a path is neither in the folder of adapters nor in that of training data.
fn is_of_model(path: &[u8]) -> bool {
    let mut folders = path.split(|byte| *byte == b'/');
    !folders.next().is_some_and(|first| {
        first.eq_ignore_ascii_case(ADAPTERS_FOLDER.as_bytes())
            || first.eq_ignore_ascii_case(DATA_FOLDER.as_bytes())
    })
}

/// The name under which the model with this path, without its suffix, is asked for; `None` if it has none.
fn named(path: &[u8]) -> Option<ModelName> {
    let path = core::str::from_utf8(path).ok()?;
    ModelName::new(PREFIX)?.followed_by(path.as_bytes())
}

/// Whether this can only be a model of the disk.
pub(crate) fn is_on_disk(name: ModelName) -> bool {
    name.as_str().starts_with(PREFIX)
}

/// The name of the model of the disk that is meant by this one: the same, or what is behind the prefix.
///
/// # Errors
/// It would be too long.
pub(crate) fn name_on_disk(name: ModelName) -> Result<ModelName, Failure> {
    let text = name.as_str();
    let path = text.strip_prefix(PREFIX).unwrap_or(text);
    let path = path.strip_suffix(MODEL_SUFFIX).unwrap_or(path);
    let limit = MAX_NAME_BYTES.saturating_sub(PREFIX.len()) as u64;
    let too_long = Failure::over(ErrorCode::NameLength, path.len() as u64, limit);
    named(path.as_bytes()).ok_or(too_long)
}

/// The path of a model of the disk, and what is added to it.
fn path_of(name: ModelName, suffix: &str) -> Path {
    let text = name.as_str();
    let mut path = Path::new();
    let parts = [
        text.strip_prefix(PREFIX).unwrap_or(text),
        MODEL_SUFFIX,
        suffix,
    ];
    // Byte by byte, since the compiler leaves no panic in that. There is room for the longest.
    for byte in parts.iter().flat_map(|part| part.bytes()) {
        let _ = path.push(byte);
    }
    path
}
