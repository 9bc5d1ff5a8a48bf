//! What audit tells clients.

#[cfg(doc)]
use super::Request;
use super::{Budget, Stats};
use crate::attest::Attestation;
use crate::error::{ErrorCode, Failure};
use crate::limits::{MAX_PART_BYTES, MAX_PARTS_BYTES, MAX_PIECE_BYTES, MAX_TEXT_BYTES};
use crate::name::{FormatName, ModelName, SessionName, UserName};
use crate::record::{Hash, Record};
use crate::store::SIGNATURE_BYTES;
use crate::wire::codec::is_flag;
use crate::wire::declare::{layout, messages, numbers};
use crate::wire::{AdapterInfo, ArenaUse, Fault, FinishReason, ModelInfo, TrainProgress};

layout! {
    /// How a generation went. Times are audit's.
    pub struct Finished [40] {
        /// Why it ended; of an answer that is bound to a format and whole, always [`FinishReason::EndOfText`].
        pub reason: FinishReason,
        /// Tokens of the prompt, specials included; 0 if the answer is bound to a format, since inference could say
        /// something with it.
        pub prompt_tokens: u32,
        /// Tokens generated, an end-of-text token included.
        pub generated_tokens: u32,
        /// Turn of its session, from 1.
        pub turn: u32,
        /// From admission to the first token, in microseconds.
        pub first_token_us: u64,
        /// From admission to the end, in microseconds.
        pub total_us: u64,
        /// Of that, how long the egress cap has held text back, of this request or of others: they share it.
        pub held_us: u64,
    }
}

numbers! {
    /// What audit knows of a model's signature.
    #[derive(Default)]
    pub enum Signature {
        /// There is none.
        #[default]
        Missing = 0,
        /// There is one, which was not checked yet.
        Unchecked = 1,
        /// It is good.
        Good = 2,
        /// It is not.
        Bad = 3,
    }
}

layout! {
    /// A model in the store.
    #[derive(Default)]
    pub struct ModelEntry [80] {
        /// Its name.
        pub name: ModelName,
        /// Size of its file in bytes.
        pub file_bytes: u64,
        /// Whether it is loaded.
        pub loaded: bool,
        /// Its signature.
        pub signature: Signature,
    }
}

layout! {
    /// State of the server.
    #[derive(Default)]
    pub struct Status [396] {
        /// Name of the loaded model; empty if there is none.
        pub name: ModelName,
        /// The loaded model; zeros if there is none.
        pub model: ModelInfo,
        /// Its arena.
        pub arena: ArenaUse,
        /// Positions of the KV cache that all sessions share.
        pub kv_positions: u32,
        /// Of them, not reserved.
        pub kv_free: u32,
        /// Restarts of inference since boot.
        pub restarts: u32,
        /// Requests that are admitted and not finished.
        pub active: u32,
        /// Of them, those that wait for room in the cache.
        pub waiting: u32,
        /// Sessions that hold keys and values.
        pub sessions: u32,
        /// Adapters that are loaded.
        pub adapters: u32,
        /// What the adapter will be called that is being trained; empty if none is.
        pub tuning: ModelName,
        /// How far that is.
        pub training: Training,
        /// Bytes that may leave inference at once now.
        pub egress_left: u64,
        /// Bytes that may leave it at once at most.
        pub egress_burst: u64,
        /// Bytes that may leave it in a second.
        pub egress_limit: u64,
    }
}

layout! {
    /// How far a training is.
    #[derive(Default)]
    pub struct Training [36] {
        /// As inference says.
        pub progress: TrainProgress,
        /// Since it began, in microseconds.
        pub elapsed_us: u64,
    }
}

layout! {
    /// A training that has ended well. Times are audit's.
    #[derive(Default)]
    pub struct Tuned [132] {
        /// What the adapter is called.
        pub name: ModelName,
        /// SHA-256 of its file.
        pub sha256: Hash,
        /// Size of its file in bytes.
        pub file_bytes: u64,
        /// Tokens that have gone through the model.
        pub tokens: u64,
        /// Updates of the adapter.
        pub steps: u32,
        /// Mean loss of the last epoch, in millionths of a nat a token.
        pub loss: u32,
        /// From admission to the end, in microseconds.
        pub total_us: u64,
        /// Why it is not loaded; `None`: it is.
        pub not_loaded: Option<ErrorCode>,
    }
}

numbers! {
    /// Where an adapter comes from.
    #[derive(Default)]
    pub enum AdapterOrigin {
        /// The store.
        #[default]
        Store = 0,
        /// It was made on this device since boot.
        Device = 1,
    }
}

layout! {
    /// An adapter.
    #[derive(Default)]
    pub struct AdapterEntry [176] {
        /// Its name.
        pub name: ModelName,
        /// Size of its file in bytes.
        pub file_bytes: u64,
        /// SHA-256 of its file; zeros while that is not known.
        pub sha256: Hash,
        /// SHA-256 of the file of the model that it was made for, or is loaded beside; zeros while that is not known.
        pub base_sha256: Hash,
        /// Where it comes from.
        pub origin: AdapterOrigin,
        /// Its signature.
        pub signature: Signature,
        /// Whether it is loaded.
        pub loaded: bool,
        /// What inference has said when it was loaded; zeros before.
        pub info: AdapterInfo,
    }
}

layout! {
    /// A format that answers can be bound to.
    #[derive(Default)]
    pub struct FormatEntry [76] {
        /// Its name.
        pub name: FormatName,
        /// States of its automaton.
        pub states: u32,
        /// Bytes of its automaton.
        pub bytes: u32,
        /// Whether who asks may use it.
        pub allowed: bool,
        /// SHA-256 of its automaton as it lies in the region.
        pub sha256: Hash,
    }
}

layout! {
    /// What has been exported.
    pub struct Exported [200] {
        /// The adapter's name.
        pub name: ModelName,
        /// Size of its file in bytes: of all parts.
        pub file_bytes: u64,
        /// SHA-256 of its file.
        pub sha256: Hash,
        /// SHA-256 of the file of the model that it was made for.
        pub base_sha256: Hash,
        /// Ed25519 over the SHA-256 of its file, by the device's key.
        pub signature: [u8; SIGNATURE_BYTES],
    }
}

layout! {
    /// A user, as others see one.
    #[derive(Default)]
    pub struct User [72] {
        /// The name to log in with.
        pub name: UserName,
        /// The role.
        pub role: UserName,
        /// Bits of [`crate::policy::Permission`].
        pub permissions: u32,
        /// 1: logs in with a passphrase.
        pub has_passphrase: u32 where is_flag,
    }
}

numbers! {
    /// What a session is doing.
    #[derive(Default)]
    pub enum SessionState {
        /// Nothing; it can go on.
        #[default]
        Idle = 0,
        /// It has a request under way.
        Active = 1,
        /// It was evicted.
        Evicted = 2,
        /// It ended with a restart, or another model.
        Lost = 3,
    }
}

layout! {
    /// A session.
    #[derive(Default)]
    pub struct Session [92] {
        /// Its name.
        pub name: SessionName,
        /// Whose it is.
        pub user: UserName,
        /// Its number in the log.
        pub number: u32,
        /// Turns that were admitted.
        pub turns: u32,
        /// Tokens of its turns, prompts included.
        pub tokens: u64,
        /// Since its last turn, in microseconds.
        pub idle_us: u64,
        /// What it is doing.
        pub state: SessionState,
    }
}

layout! {
    /// Extent of the log.
    #[derive(Default)]
    pub struct LogExtent [80] {
        /// Sequence number of the first entry that was sent, or of the oldest that is there.
        pub first: u64,
        /// Sequence number that the next entry will get.
        pub next: u64,
        /// SHA-256 of the entry before the first.
        pub anchor: Hash,
        /// SHA-256 of the last entry.
        pub head: Hash,
    }
}

numbers! {
    /// Stages of loading a model.
    pub enum Stage {
        /// Audit hashes the file.
        Verifying = 1,
        /// Inference loads it.
        Loading = 2,
    }
}

layout! {
    /// How far something has got.
    pub struct Progress [20] {
        /// What is being done.
        pub stage: Stage,
        /// Bytes that are done.
        pub done: u64,
        /// Bytes in all.
        pub total: u64,
    }
}

messages! {
    /// From audit to a client.
    pub enum Event<'a> ["when"] {
        /// The system takes requests.
        0x101 Ready [72] (user: User) => ["number 0, once: the system takes requests"],
        /// Generated text: all that has come since the last event of this request.
        0x102 Text [4] {
            /// How many tokens it was made of; 0 only if it was held back and the answer is over.
            tokens: u32;
            /// Untrusted bytes, possibly none; whole UTF-8 sequences if inference is honest.
            text: &'a [u8] where len <= MAX_TEXT_BYTES,
        } => ["tokens passed; the text is untrusted"],
        /// A generation ended.
        0x103 Finished [40] (finished: Finished) => ["a request for text ended"],
        /// A request was refused or failed.
        0x104 Failed [20] {
            /// Why.
            failure: Failure;
            /// What it is about (a tensor, a key, a model), for people. Untrusted text.
            detail: &'a [u8] where len <= MAX_PIECE_BYTES,
        } => [
            "a request was refused or failed; number 0: audit's own load failed, or audit has stopped trying; the \
             detail is untrusted",
        ],
        /// One model of the list that was asked for.
        0x105 Model [80] (model: ModelEntry) => ["one of a list"],
        /// A list is complete.
        0x106 Listed [4] {
            /// How many it had.
            count: u32,
        } => ["a list is complete"],
        /// A model has been loaded.
        0x107 Loaded [172] {
            /// Its name.
            name: ModelName,
            /// What it is.
            info: ModelInfo,
        } => ["a model is loaded"],
        /// Answer to [`Request::Status`].
        0x108 Status [396] (status: Status) => ["what inference holds"],
        /// Answer to [`Request::Stats`].
        0x109 Stats [424] (stats: Stats) => ["counters"],
        /// Inference died or was stopped, and is restarted.
        0x10A Fault [24] {
            /// The newest.
            fault: Fault,
            /// For how many it stands: this one, and those before it that this client was not told of.
            count: u32,
        } => ["number 0: inference is restarted, or left down"],
        /// Inference serves again.
        0x10B Recovered [12] {
            /// From the detection to this message, in microseconds.
            after_us: u64,
            /// Restarts since boot.
            restarts: u32,
        } => ["number 0: inference serves again"],
        /// A user: who is logged in now, or one of a list.
        0x10C User [72] (user: User) => ["who is logged in; one of a list"],
        /// A budget.
        0x10D Budget [72] (budget: Budget) => ["a budget"],
        /// An entry of the log.
        0x10E Record [496] {
            /// Its record.
            record: Record;
            /// Its text.
            text: &'a [u8] where len <= MAX_PARTS_BYTES,
        } => ["an entry of the log"],
        /// The entries that were asked for have been sent.
        0x10F LogEnd [80] (extent: LogExtent) => ["the entries that were asked for have been sent"],
        /// The log's chain was checked.
        0x110 LogVerified [88] {
            /// What is there.
            extent: LogExtent,
            /// Sequence number of the first entry that does not fit the chain; 0: all do.
            broken_at: u64,
        } => ["the chain was checked"],
        /// One session of the list that was asked for.
        0x111 Session [92] (session: Session) => ["one of a list"],
        /// A load is under way, or the boot.
        0x112 Progress [20] (progress: Progress) => ["how far a load or the reading of data has got; at boot under number 0"],
        /// It was done.
        0x113 Done [0] => ["it was done, or it is over"],
        /// One adapter of the list that was asked for.
        0x114 Adapter [176] (adapter: AdapterEntry) => ["one of a list"],
        /// A training is under way: the newest that is known.
        0x115 Training [36] (training: Training) => ["how far a training is"],
        /// A training has ended well.
        0x116 Tuned [132] (tuned: Tuned) => ["an adapter was made, signed and, unless it says why not, loaded"],
        /// An adapter has been loaded.
        0x117 AdapterLoaded [92] {
            /// Its name.
            name: ModelName,
            /// What it is.
            info: AdapterInfo,
        } => ["an adapter is loaded"],
        /// The next part of an adapter's file.
        0x118 AdapterPart [8] {
            /// Where it belongs in the file.
            offset: u64;
            /// Untrusted bytes, at least one.
            bytes: &'a [u8] where len <= MAX_PART_BYTES,
        } => ["part of an export; the bytes are untrusted"],
        /// An adapter's file has been sent.
        0x119 Exported [200] (exported: Exported) => ["the file has been sent; what it must be, and its signature"],
        /// The examples typed so far.
        0x11A Examples [12] {
            /// How many there are.
            count: u32,
            /// Bytes that they have.
            bytes: u32,
            /// Bytes that they may have.
            limit: u32,
        } => ["what there is of examples typed"],
        /// One format of the list that was asked for.
        0x11B Format [76] (format: FormatEntry) => ["one of a list"],
        /// What the device says of its log.
        0x11C Attested [144] (attestation: Attestation) => ["the head of the log, signed by the device"],
    }
}
