//! Models, adapters and training data: where they lie in the store, and whether their signatures are valid.
//!
//! The store is read-only, so each file is hashed once, a slice per wake-up, and the verdict is kept: however often
//! files are requested, audit hashes no more than the store's size.

use crate::device::Device;
use crate::shelf::count_lines;
use ed25519_dalek::{Signature as Ed25519, VerifyingKey};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::{Hash, SIGNATURE_BYTES};
use protocol::limits::DEFAULT_MODEL;
use protocol::name::ModelName;
use protocol::policy::Policy;
use protocol::store::{Content, Store};
use protocol::wire::client::Signature;
use sha2::{Digest, Sha256};

/// Number of verdicts kept. If the store has more files, some are hashed again.
const KEPT: usize = 32;

/// A file with a valid signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) name: ModelName,
    /// Offset of its file in the store.
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: Hash,
    /// Line feeds in it, which bound the tokens of data.
    pub(crate) line_feeds: u64,
}

/// A verdict on the file at an offset.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    offset: usize,
    sha256: Hash,
    line_feeds: u64,
    good: bool,
}

/// A file being hashed.
#[derive(Clone, Debug)]
pub(crate) struct Verification<'m> {
    content: Content,
    name: ModelName,
    offset: usize,
    file: &'m [u8],
    signature: [u8; SIGNATURE_BYTES],
    hasher: Sha256,
    line_feeds: u64,
    done: usize,
}

impl Verification<'_> {
    /// Bytes hashed so far, and in all.
    pub(crate) const fn progress(&self) -> (u64, u64) {
        (self.done as u64, self.file.len() as u64)
    }

    pub(crate) const fn name(&self) -> ModelName {
        self.name
    }

    /// Whether its file lies outside the store.
    pub(crate) const fn is_elsewhere(&self) -> bool {
        self.offset == usize::MAX
    }
}

/// The store, and the verdicts on its files.
#[derive(Debug)]
pub(crate) struct Models<'m> {
    store: Store<'m>,
    verdicts: heapless::Deque<Verdict, KEPT>,
}

impl<'m> Models<'m> {
    pub(crate) const fn new(store: &'m [u8]) -> Self {
        Self {
            store: Store::new(store),
            verdicts: heapless::Deque::new(),
        }
    }

    pub(crate) const fn store(&self) -> &Store<'m> {
        &self.store
    }

    /// The model to load at boot: the first of the store.
    pub(crate) fn first(&self) -> ModelName {
        let first = self
            .store
            .models()
            .ok()
            .and_then(|mut models| models.next());
        ModelName::new(first.map_or(DEFAULT_MODEL, |model| model.name)).unwrap_or_default()
    }

    /// SHA-256 of the file at `offset`, if it was hashed.
    pub(crate) fn sha256(&self, offset: usize) -> Option<Hash> {
        self.verdict(offset).map(|verdict| verdict.sha256)
    }

    /// What is known about the signature of the file at `offset`.
    pub(crate) fn signature(&self, offset: usize, has_one: bool) -> Signature {
        match self.verdict(offset) {
            _ if !has_one => Signature::Missing,
            None => Signature::Unchecked,
            Some(verdict) if verdict.good => Signature::Good,
            Some(_) => Signature::Bad,
        }
    }

    fn verdict(&self, offset: usize) -> Option<&Verdict> {
        self.verdicts
            .iter()
            .find(|verdict| verdict.offset == offset)
    }

    /// Begins to verify the model of this name.
    ///
    /// # Errors
    /// There is no such file, or it has no signature.
    pub(crate) fn begin(&self, name: ModelName) -> Result<Verification<'m>, Failure> {
        self.begin_item(Content::Model, name)
    }

    /// Begins to verify the file with this content and name.
    ///
    /// # Errors
    /// There is no such file, or it has no signature.
    pub(crate) fn begin_item(
        &self,
        content: Content,
        name: ModelName,
    ) -> Result<Verification<'m>, Failure> {
        let item = self.store.find_item(content, name.as_str())?;
        let signature = item.signature.ok_or(Failure::of(ErrorCode::Unsigned))?;
        Ok(Verification {
            content,
            name,
            offset: item.file.offset,
            file: item.file.data,
            signature,
            hasher: Sha256::new(),
            line_feeds: 0,
            done: 0,
        })
    }

    /// A load of a file outside the store, which audit has from elsewhere. It verifies nothing.
    pub(crate) fn begin_elsewhere(content: Content, name: ModelName) -> Verification<'m> {
        Verification {
            content,
            name,
            offset: usize::MAX,
            file: &[],
            signature: [0; SIGNATURE_BYTES],
            hasher: Sha256::new(),
            line_feeds: 0,
            done: 0,
        }
    }

    /// Hashes up to `bytes` bytes, which it counts down. Returns the result when the whole file is hashed.
    ///
    /// # Errors
    /// No key that the policy trusts made the signature, or the file was changed after it was signed.
    pub(crate) fn step(
        &mut self,
        verification: &mut Verification<'m>,
        policy: &Policy,
        device: &Device,
        bytes: &mut usize,
    ) -> Option<Result<Verified, Failure>> {
        if let Some(verdict) = self.verdict(verification.offset) {
            return Some(conclude(verification, verdict));
        }
        let end = verification
            .done
            .saturating_add(*bytes)
            .min(verification.file.len());
        if let Some(slice) = verification.file.get(verification.done..end) {
            verification.hasher.update(slice);
            let lines = count_lines(slice);
            verification.line_feeds = verification.line_feeds.saturating_add(lines);
            *bytes = bytes.saturating_sub(slice.len());
        }
        verification.done = end;
        if end < verification.file.len() {
            return None;
        }
        let sha256: Hash = verification.hasher.finalize_reset().into();
        let signature = Ed25519::from_bytes(&verification.signature);
        // An adapter made on this device may come back with its store.
        let is_ours =
            || verification.content == Content::Adapter && device.has_signed(&sha256, &signature);
        let verdict = Verdict {
            offset: verification.offset,
            sha256,
            line_feeds: verification.line_feeds,
            good: is_signed(&sha256, &verification.signature, policy) || is_ours(),
        };
        if self.verdicts.is_full() {
            self.verdicts.pop_front();
        }
        // There is room, because the oldest was removed.
        let _ = self.verdicts.push_back(verdict);
        Some(conclude(verification, &verdict))
    }
}

fn conclude(verification: &Verification<'_>, verdict: &Verdict) -> Result<Verified, Failure> {
    if !verdict.good {
        return Err(Failure::of(ErrorCode::BadSignature));
    }
    Ok(Verified {
        name: verification.name,
        offset: verification.offset as u64,
        bytes: verification.file.len() as u64,
        sha256: verdict.sha256,
        line_feeds: verdict.line_feeds,
    })
}

/// Whether one of the policy's keys has signed the hash. Verification is strict, so a valid signature cannot be turned
/// into another.
pub(crate) fn is_signed(sha256: &Hash, signature: &[u8; SIGNATURE_BYTES], policy: &Policy) -> bool {
    let signature = Ed25519::from_bytes(signature);
    policy.keys().iter().any(|key| {
        VerifyingKey::from_bytes(&key.public)
            .is_ok_and(|key| key.verify_strict(sha256, &signature).is_ok())
    })
}

#[cfg(test)]
pub(crate) mod tests;
