//! Between audit and inference: a [`Command`] goes out, [`Report`]s come back.

use super::{
    AdapterInfo, ArenaUse, FinishReason, InferParams, ModelInfo, Parts, TrainParams, TrainProgress,
};
use crate::encoding::codec::{
    is_adapter, is_adapter_or_none, is_client, is_format_or_none, is_session, is_user,
};
use crate::encoding::{layout, messages, numbers};
use crate::error::Failure;
use crate::hash::Hash;
use crate::limits::{MAX_PART_BYTES, MAX_PARTS_BYTES, MAX_PIECE_BYTES};

messages! {
    /// Messages from audit to inference.
    pub enum Command<'a> ["answered by"] {
        /// Generate text in a session.
        0x201 Infer [76] {
            /// Sampling parameters and token limit.
            params: InferParams,
            /// The session whose keys and values to use, below [`MAX_SESSIONS`](crate::limits::MAX_SESSIONS).
            session: u32 where is_session,
            /// The client, below [`MAX_CLIENTS`](crate::limits::MAX_CLIENTS). Clients get equal shares of cache and
            /// time.
            client: u32 where is_client,
            /// The user, below [`MAX_USERS`](crate::limits::MAX_USERS). Requests with a common beginning share its
            /// cache only if they belong to the same user.
            user: u32 where is_user,
            /// Discard the session's contents and start over; otherwise continue it.
            fresh: bool,
            /// Keep the session afterwards; otherwise discard it.
            keep: bool,
            /// Tokens that may be generated before more credit is granted ([`Command::Credit`]).
            credit: u32,
            /// 0 for the plain model, otherwise an adapter's place plus one. A session that continues keeps the adapter
            /// it began with.
            adapter: u32 where is_adapter_or_none,
            /// 0 for none, unless the parts contain choices; otherwise the number of a format in the region `formats`,
            /// plus one, which the answer must match.
            format: u32 where is_format_or_none,
            /// Whether text spelled like a user-defined token becomes that token.
            user_defined: bool;
            /// The parts as the client sent them, checked by audit.
            parts: Parts<'a> where len <= MAX_PARTS_BYTES,
        } => ["`Token` …, then `Finished` or `Failed`"],
        /// End the request whose number is in the header; its next report is [`Report::Finished`].
        0x202 Cancel [0]
            => ["the end of the request with the number in the header; `Failed` `NoSuchRequest` if it has ended"],
        /// Load the model at `offset` in the store, which audit has verified. All sessions end.
        0x203 Load [20] {
            /// Offset of the file in bytes.
            offset: u64,
            /// Length of the file.
            bytes: u64,
            /// Context in tokens, unless the model's is smaller.
            context: u32,
        } => ["`Loaded` or `Failed`; `ModelInUse` while a request runs or waits"],
        /// Report what is in the arena.
        0x204 Status [0] => ["`Holdings`"],
        /// Forget an idle session.
        0x205 Drop [4] {
            /// The session.
            session: u32 where is_session,
        } => ["nothing; `Failed` if a request is at work there"],
        /// Grant the request in the header more tokens: `tokens` in all, counted from its beginning. A smaller number
        /// than before has no effect. A request without credit rests, but needs no credit to end.
        0x206 Credit [4] {
            /// Total since the beginning of the request.
            tokens: u32,
        } => ["more `Token`s of the request with the number in the header; nothing if it has ended"],
        /// Load the adapter at `offset` in `source`, beside the model. Audit has verified it. Sessions continue.
        0x207 Adapter [56] {
            /// A free place, below [`MAX_ADAPTERS`](crate::limits::MAX_ADAPTERS).
            place: u32 where is_adapter,
            /// Where its file is.
            source: Source,
            /// Offset in the source, in bytes.
            offset: u64,
            /// Length of the file.
            bytes: u64,
            /// SHA-256 of the model file, which the adapter's file may name.
            base: Hash,
        } => ["`AdapterLoaded` or `Failed`"],
        /// Forget an adapter that no request uses, and all sessions that began with it.
        0x208 DropAdapter [4] {
            /// Its place.
            place: u32 where is_adapter,
        } => ["nothing; `Failed` if there is none, or a request uses it"],
        /// Train an adapter for the model. The data at `offset` in `source` are read before the first answer.
        0x209 Train [92] {
            /// Parameters of the training.
            params: TrainParams,
            /// Where the data are.
            source: Source,
            /// Offset in the source, in bytes.
            offset: u64,
            /// Length of the data.
            bytes: u64,
            /// SHA-256 of the model file, which the adapter's file will name.
            base: Hash,
            /// Maximum size of the adapter's file in bytes.
            room: u64,
        } => [
            "`Training` …, `Part` …, then `Trained`; `Failed` if it cannot be, or has failed. `Cancel` with its number \
             ends it: then it has no more `Part`s, and `Trained` has no bytes",
        ],
    }
}

numbers! {
    /// Where a file is.
    pub enum Source {
        /// In the store.
        Store = 1,
        /// In the adapter region: made on this device.
        Device = 2,
    }
}

numbers! {
    /// Storage type of keys and values.
    pub enum KvType {
        /// IEEE binary32.
        F32 = 1,
        /// IEEE binary16.
        F16 = 2,
        /// Eight bits, with a scale per position and 64 elements of a head.
        Q8 = 3,
    }
}

layout! {
    /// A loaded model, as reported by inference.
    pub struct Loaded [192] {
        /// The model. Its hash is zeros, because audit computes it.
        pub info: ModelInfo,
        /// Use of the arena, fixed until the next load.
        pub arena: ArenaUse,
        /// Version of the arithmetic.
        pub numerics: u32,
        /// Storage type of keys and values.
        pub kv_type: KvType,
        /// Positions of the cache that all sessions share.
        pub kv_positions: u32,
    }
}

layout! {
    /// A loaded adapter, as reported by inference.
    pub struct AdapterLoaded [104] {
        /// Its properties.
        pub info: AdapterInfo,
        /// Use of the arena, including the adapter.
        pub arena: ArenaUse,
        /// Positions of the cache that all sessions share, with the adapter loaded.
        pub kv_positions: u32,
    }
}

layout! {
    /// A completed fine-tuning job, as reported by inference.
    #[derive(Default)]
    pub struct Trained [24] {
        /// Tokens processed by the model.
        pub tokens: u64,
        /// Size of the adapter's file in bytes, all of which was sent; 0 if the job was stopped.
        pub bytes: u64,
        /// Updates done.
        pub steps: u32,
        /// Mean loss of the last epoch, in millionths of a nat per token.
        pub loss: u32,
    }
}

layout! {
    /// What inference currently holds, as it reports.
    #[derive(Default)]
    pub struct Holdings [88] {
        /// Use of the arena.
        pub arena: ArenaUse,
        /// Positions of the cache that all sessions share.
        pub kv_positions: u32,
        /// How many of them are not reserved.
        pub kv_free: u32,
        /// Requests that generate.
        pub running: u32,
        /// Requests that wait for room in the cache.
        pub waiting: u32,
    }
}

messages! {
    /// Messages from inference to audit.
    pub enum Report<'a> ["audit believes it if", "else"] {
        /// It has joined the epoch.
        0x301 Ready [0] => ["always: nothing follows from it", "–"],
        /// A generated token. Untrusted.
        0x302 Token [4] {
            /// Its number in the vocabulary.
            id: u32;
            /// Its text, possibly empty; whole UTF-8 sequences if inference is honest.
            text: &'a [u8] where len <= MAX_PIECE_BYTES,
        } => [
            "its request is for text, under way, and has credit left; the text does not leave its format, and completes no \
             stop string",
            "breach",
        ],
        /// A request ended.
        0x303 Finished [12] {
            /// The reason.
            reason: FinishReason,
            /// Tokens of the prompt, including special tokens.
            prompt_tokens: u32,
            /// Tokens generated, including an end-of-text token.
            generated_tokens: u32,
        } => [
            "its request is for text and under way, generated = tokens that passed, prompt ≤ bytes + 2, and for a \
             conversation what its template adds; the text is a word of its format unless it was to stop; `Stop` only of \
             one with stop strings",
            "breach",
        ],
        /// A request failed.
        0x304 Failed [20] {
            /// The reason.
            failure: Failure;
            /// What the failure concerns (a tensor, a key), for people. Untrusted.
            detail: &'a [u8] where len <= MAX_PIECE_BYTES,
        } => ["its request is under way, whatever it is, and the reason is inference's to give", "breach"],
        /// A model was loaded.
        0x305 Loaded [192] (loaded: Loaded) => [
            "its request is a load, and what its template adds is at most 2048 tokens and 64 for each segment",
            "breach",
        ],
        /// Answer to [`Command::Status`].
        0x306 Holdings [88] (holdings: Holdings) => ["its request is a question", "breach"],
        /// An idle session was forgotten to make room for another.
        0x307 Evicted [4] {
            /// The session, below [`MAX_SESSIONS`](crate::limits::MAX_SESSIONS).
            session: u32 where is_session,
        } => ["the session is there and idle", "counted and dropped"],
        /// An adapter was loaded.
        0x308 AdapterLoaded [104] (loaded: AdapterLoaded) => ["its request is to load an adapter", "breach"],
        /// Progress of a fine-tuning job. The first report, at step 0, says that it has begun and what it will do.
        0x309 Training [28] (progress: TrainProgress) => [
            "its request is a training that has sent no part; steps, longest and alone are those of the first, step and tokens \
             do not fall, step ≤ steps, tokens ≤ the bound of the data",
            "breach",
        ],
        /// The next part of a trained adapter.
        0x30A Part [8] {
            /// Its offset in the file: the end of the previous part, a multiple of 8.
            offset: u64;
            /// Untrusted bytes, at least one.
            bytes: &'a [u8] where len <= MAX_PART_BYTES,
        } => ["its request is a training that has begun, it follows the part before, and there is room for it", "breach"],
        /// A fine-tuning job ended.
        0x30B Trained [24] (trained: Trained) => [
            "its request is a training that has begun, bytes = those of its parts (or 0 if it was to stop), tokens ≥ those of \
             the last `Training` and ≤ the bound",
            "breach",
        ],
        /// Memory that only a load writes has changed: the loaded model is unusable, and inference asks to be restarted.
        0x30C Corrupt [0] => ["always: it is restarted", "–"],
    }
}
