//! Messages from audit to clients.

#[cfg(doc)]
use super::Request;
use super::{Budget, Stats};
use crate::attest::Attestation;
use crate::encoding::codec::is_flag;
use crate::encoding::{layout, messages, numbers};
use crate::error::{ErrorCode, Failure};
use crate::hash::{Hash, SIGNATURE_BYTES};
use crate::limits::{MAX_PART_BYTES, MAX_PARTS_BYTES, MAX_PIECE_BYTES, MAX_TEXT_BYTES};
use crate::name::{FormatName, ModelName, SessionName, UserName};
use crate::record::Record;
use crate::wire::{AdapterInfo, ArenaUse, Fault, FinishReason, ModelInfo, TrainProgress};

layout! {
    /// Result of a generation. Times are measured by audit.
    pub struct Finished [40] {
        /// Why it ended; always [`FinishReason::EndOfText`] for a complete answer in a format.
        pub reason: FinishReason,
        /// Tokens of the prompt, including special tokens; 0 if the answer has a format, because inference could use
        /// the number to convey something.
        pub prompt_tokens: u32,
        /// Tokens generated, including an end-of-text token.
        pub generated_tokens: u32,
        /// Turn of the session, from 1.
        pub turn: u32,
        /// From admission to the first token, in microseconds.
        pub first_token_us: u64,
        /// From admission to the end, in microseconds.
        pub total_us: u64,
        /// How much of that the egress cap held text back, in microseconds. The cap is shared, so other requests count
        /// too.
        pub held_us: u64,
    }
}

numbers! {
    /// What audit knows about a model's signature.
    #[derive(Default)]
    pub enum Signature {
        /// There is no signature.
        #[default]
        Missing = 0,
        /// There is a signature that was not checked yet.
        Unchecked = 1,
        /// The signature is valid.
        Good = 2,
        /// The signature is invalid.
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
        /// Use of the arena.
        pub arena: ArenaUse,
        /// Positions of the KV cache that all sessions share.
        pub kv_positions: u32,
        /// How many of them are not reserved.
        pub kv_free: u32,
        /// Restarts of inference since boot.
        pub restarts: u32,
        /// Requests in flight.
        pub active: u32,
        /// How many of them wait for room in the cache.
        pub waiting: u32,
        /// Sessions that hold keys and values.
        pub sessions: u32,
        /// Adapters that are loaded.
        pub adapters: u32,
        /// Name of the adapter being trained; empty if there is none.
        pub tuning: ModelName,
        /// Progress of that training.
        pub training: Training,
        /// Bytes that may leave inference now.
        pub egress_left: u64,
        /// Bytes that may leave it in a burst.
        pub egress_burst: u64,
        /// Bytes that may leave it per second.
        pub egress_limit: u64,
    }
}

layout! {
    /// Progress of a fine-tuning job.
    #[derive(Default)]
    pub struct Training [36] {
        /// Progress as reported by inference.
        pub progress: TrainProgress,
        /// Time since it began, in microseconds.
        pub elapsed_us: u64,
    }
}

layout! {
    /// Result of a successful fine-tuning job. Times are measured by audit.
    #[derive(Default)]
    pub struct Tuned [216] {
        /// The adapter's name.
        pub name: ModelName,
        /// SHA-256 of its file.
        pub sha256: Hash,
        /// Size of its file in bytes.
        pub file_bytes: u64,
        /// Tokens processed by the model.
        pub tokens: u64,
        /// Updates of the adapter.
        pub steps: u32,
        /// Mean loss of the last epoch, in millionths of a nat per token.
        pub loss: u32,
        /// From admission to the end, in microseconds.
        pub total_us: u64,
        /// Why the adapter is not loaded; `None` if it is.
        pub not_loaded: Option<ErrorCode>,
        /// Its name on the disk, which begins with `disk/`; empty if it is not there.
        pub on_disk: ModelName,
        /// Why the disk does not have it; `None` if it does, or the system has no disk.
        pub not_on_disk: Option<ErrorCode>,
        /// The value of that reason; see [`Failure`].
        pub disk_value: u64,
        /// The limit of that reason.
        pub disk_limit: u64,
    }
}

numbers! {
    /// Where an adapter comes from.
    #[derive(Default)]
    pub enum AdapterOrigin {
        /// From the store.
        #[default]
        Store = 0,
        /// Made on this device since boot.
        Device = 1,
        /// From the disk.
        Disk = 2,
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
        /// SHA-256 of its file; zeros while unknown.
        pub sha256: Hash,
        /// SHA-256 of the model file that it was made for, or is loaded with; zeros while unknown.
        pub base_sha256: Hash,
        /// Where it comes from.
        pub origin: AdapterOrigin,
        /// Its signature.
        pub signature: Signature,
        /// Whether it is loaded.
        pub loaded: bool,
        /// What inference reported when it was loaded; zeros before that.
        pub info: AdapterInfo,
    }
}

layout! {
    /// A format that answers can be constrained to.
    #[derive(Default)]
    pub struct FormatEntry [76] {
        /// Its name.
        pub name: FormatName,
        /// States of its automaton.
        pub states: u32,
        /// Bytes of its automaton.
        pub bytes: u32,
        /// Whether the requesting user may use it.
        pub allowed: bool,
        /// SHA-256 of its automaton as laid out in the region.
        pub sha256: Hash,
    }
}

layout! {
    /// An exported adapter.
    pub struct Exported [200] {
        /// The adapter's name.
        pub name: ModelName,
        /// Size of the whole file in bytes.
        pub file_bytes: u64,
        /// SHA-256 of its file.
        pub sha256: Hash,
        /// SHA-256 of the model file that it was made for.
        pub base_sha256: Hash,
        /// Ed25519 signature over the SHA-256 of its file, made with the device's key.
        pub signature: [u8; SIGNATURE_BYTES],
    }
}

layout! {
    /// A user, as visible to others.
    #[derive(Default)]
    pub struct User [72] {
        /// The name to log in with.
        pub name: UserName,
        /// The role.
        pub role: UserName,
        /// Bits of [`crate::policy::Permission`].
        pub permissions: u32,
        /// 1: the user logs in with a passphrase.
        pub has_passphrase: u32 where is_flag,
    }
}

numbers! {
    /// State of a session.
    #[derive(Default)]
    pub enum SessionState {
        /// Idle; it can continue.
        #[default]
        Idle = 0,
        /// It has a request in flight.
        Active = 1,
        /// It was evicted.
        Evicted = 2,
        /// It ended when inference was restarted or loaded another model.
        Lost = 3,
    }
}

layout! {
    /// A session.
    #[derive(Default)]
    pub struct SessionEntry [92] {
        /// Its name.
        pub name: SessionName,
        /// Its user.
        pub user: UserName,
        /// Its number in the log.
        pub number: u32,
        /// Turns admitted.
        pub turns: u32,
        /// Tokens of its turns, including prompts.
        pub tokens: u64,
        /// Time since its last turn, in microseconds.
        pub idle_us: u64,
        /// Its state.
        pub state: SessionState,
    }
}

layout! {
    /// Extent of the log.
    #[derive(Default)]
    pub struct LogExtent [80] {
        /// Sequence number of the first entry sent, or of the oldest available.
        pub first: u64,
        /// Sequence number of the next entry.
        pub next: u64,
        /// SHA-256 of the entry before the first.
        pub anchor: Hash,
        /// SHA-256 of the last entry.
        pub head: Hash,
    }
}

numbers! {
    /// Stages of an operation on a file.
    pub enum Stage {
        /// Audit hashes the file.
        Verifying = 1,
        /// Inference loads it.
        Loading = 2,
        /// Audit writes it to the disk.
        Saving = 3,
    }
}

layout! {
    /// Progress of an operation.
    pub struct Progress [20] {
        /// The current stage.
        pub stage: Stage,
        /// Bytes done.
        pub done: u64,
        /// Bytes in all.
        pub total: u64,
    }
}

messages! {
    /// Messages from audit to a client.
    pub enum Event<'a> ["when"] {
        /// The system takes requests.
        0x101 Ready [72] (user: User) => ["number 0, once: the system takes requests"],
        /// Generated text: everything since the last event of this request.
        0x102 Text [4] {
            /// Number of tokens it consists of; 0 only for text that was held back until the answer was over.
            tokens: u32;
            /// Untrusted bytes, possibly none. They are whole UTF-8 sequences if inference is honest.
            text: &'a [u8] where len <= MAX_TEXT_BYTES,
        } => ["tokens passed; the text is untrusted"],
        /// A generation ended.
        0x103 Finished [40] (finished: Finished) => ["a request for text ended"],
        /// A request was refused or failed.
        0x104 Failed [20] {
            /// The reason.
            failure: Failure;
            /// What the failure concerns (a tensor, a key, a model), for people. Untrusted text.
            detail: &'a [u8] where len <= MAX_PIECE_BYTES,
        } => [
            "a request was refused or failed; number 0: audit's own load failed, audit has stopped trying, or the log \
             is lost and nothing is admitted; the detail is untrusted",
        ],
        /// A model in the requested list.
        0x105 Model [80] (model: ModelEntry) => ["one of a list"],
        /// A list is complete.
        0x106 Listed [4] {
            /// Number of items in the list.
            count: u32,
        } => ["a list is complete"],
        /// A model was loaded.
        0x107 Loaded [172] {
            /// Its name.
            name: ModelName,
            /// Its properties.
            info: ModelInfo,
        } => ["a model is loaded"],
        /// Answer to [`Request::Status`].
        0x108 Status [396] (status: Status) => ["what inference holds"],
        /// Answer to [`Request::Stats`].
        0x109 Stats [424] (stats: Stats) => ["counters"],
        /// Inference died or was stopped, and is being restarted.
        0x10A Fault [24] {
            /// The newest fault.
            fault: Fault,
            /// Number of faults: this one, and earlier ones that this client was not told about.
            count: u32,
        } => ["number 0: inference is restarted, or left down"],
        /// Inference is back in service.
        0x10B Recovered [12] {
            /// Time from detection to this message, in microseconds.
            after_us: u64,
            /// Restarts since boot.
            restarts: u32,
        } => ["number 0: inference serves again"],
        /// A user: the one now logged in, or one of a list.
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
        /// All requested entries were sent.
        0x10F LogEnd [80] (extent: LogExtent) => ["the entries that were asked for have been sent"],
        /// The log's chain was checked.
        0x110 LogVerified [88] {
            /// The extent of the log.
            extent: LogExtent,
            /// Sequence number of the first entry that breaks the chain; 0 if none does.
            broken_at: u64,
        } => ["the chain was checked"],
        /// A session in the requested list.
        0x111 Session [92] (session: SessionEntry) => ["one of a list"],
        /// Progress of a load, or of the boot.
        0x112 Progress [20] (progress: Progress) => ["how far a load or the reading of data has got; at boot under number 0"],
        /// The operation is complete.
        0x113 Done [0] => ["it was done, or it is over"],
        /// An adapter in the requested list.
        0x114 Adapter [176] (adapter: AdapterEntry) => ["one of a list"],
        /// The newest known progress of a fine-tuning job.
        0x115 Training [36] (training: Training) => ["how far a training is"],
        /// A fine-tuning job succeeded.
        0x116 Tuned [216] (tuned: Tuned) => [
            "an adapter was made, signed and, unless it says why not, loaded; in a system with a disk, written there",
        ],
        /// An adapter was loaded.
        0x117 AdapterLoaded [92] {
            /// Its name.
            name: ModelName,
            /// Its properties.
            info: AdapterInfo,
        } => ["an adapter is loaded"],
        /// The next part of an adapter's file.
        0x118 AdapterPart [8] {
            /// Its offset in the file.
            offset: u64;
            /// Untrusted bytes, at least one.
            bytes: &'a [u8] where len <= MAX_PART_BYTES,
        } => ["part of an export; the bytes are untrusted"],
        /// All of an adapter's file was sent.
        0x119 Exported [200] (exported: Exported) => ["the file has been sent; what it must be, and its signature"],
        /// The examples typed so far.
        0x11A Examples [12] {
            /// Number of examples.
            count: u32,
            /// Their size in bytes.
            bytes: u32,
            /// The size limit in bytes.
            limit: u32,
        } => ["what there is of examples typed"],
        /// A format in the requested list.
        0x11B Format [76] (format: FormatEntry) => ["one of a list"],
        /// What the device says of its log.
        0x11C Attested [144] (attestation: Attestation) => ["the head of the log, signed by the device"],
    }
}
