//! Between audit and inference: a [`Command`] goes out, [`Report`]s come back.

use super::codec::{
    is_adapter, is_adapter_or_none, is_client, is_format_or_none, is_session, is_user,
};
use super::declare::{layout, messages, numbers};
use super::{
    AdapterInfo, ArenaUse, FinishReason, InferParams, ModelInfo, Parts, TrainParams, TrainProgress,
};
use crate::error::Failure;
use crate::limits::{MAX_PART_BYTES, MAX_PARTS_BYTES, MAX_PIECE_BYTES};
use crate::record::Hash;

messages! {
    /// From audit to inference.
    pub enum Command<'a> ["answered by"] {
        /// Generate text in a session.
        0x201 Infer [76] {
            /// How.
            params: InferParams,
            /// Whose keys and values, below [`MAX_SESSIONS`](crate::limits::MAX_SESSIONS).
            session: u32 where is_session,
            /// Who asks, below [`MAX_CLIENTS`](crate::limits::MAX_CLIENTS). Clients get equal parts of cache and time.
            client: u32 where is_client,
            /// For whom, below [`MAX_USERS`](crate::limits::MAX_USERS). Requests that begin alike share what is cached of that
            /// beginning only if they are of the same user.
            user: u32 where is_user,
            /// Forget what the session holds and begin anew; else go on where it stands.
            fresh: bool,
            /// Keep the session afterwards; else forget it.
            keep: bool,
            /// Tokens that may be generated before more are granted ([`Command::Credit`]).
            credit: u32,
            /// 0: the model as it is; else the place of an adapter, plus one: that of a session that goes on is the one that it
            /// began with.
            adapter: u32 where is_adapter_or_none,
            /// 0: none, unless the parts have choices; else the number of a format in the region `formats`, plus one. The
            /// answer must be a word of it.
            format: u32 where is_format_or_none,
            /// Whether what is spelled like a user-defined token in the texts becomes one.
            user_defined: bool;
            /// From what, as the client has sent it; audit has checked it.
            parts: Parts<'a> where len <= MAX_PARTS_BYTES,
        } => ["`Token` …, then `Finished` or `Failed`"],
        /// End the request with the number in the header: its next report is [`Report::Finished`].
        0x202 Cancel [0]
            => ["the end of the request with the number in the header; `Failed` `NoSuchRequest` if it has ended"],
        /// Load the model whose file lies in the store from `offset` on. Audit has verified it. All sessions end.
        0x203 Load [20] {
            /// In bytes.
            offset: u64,
            /// Length of the file.
            bytes: u64,
            /// Context in tokens, unless the model has less.
            context: u32,
        } => ["`Loaded` or `Failed`; `ModelInUse` while a request runs or waits"],
        /// Tell what is in the arena.
        0x204 Status [0] => ["`Holdings`"],
        /// Forget a session that is idle.
        0x205 Drop [4] {
            /// Which.
            session: u32 where is_session,
        } => ["nothing; `Failed` if a request is at work there"],
        /// The request with the number in the header may generate more: so many tokens in all, those from its beginning
        /// included. A smaller number than before changes nothing. A request without credit rests, and its end needs none.
        0x206 Credit [4] {
            /// In all.
            tokens: u32,
        } => ["more `Token`s of the request with the number in the header; nothing if it has ended"],
        /// Load the adapter whose file lies there, beside the model. Audit has verified it. Sessions go on.
        0x207 Adapter [56] {
            /// A place that is free, below [`MAX_ADAPTERS`](crate::limits::MAX_ADAPTERS).
            place: u32 where is_adapter,
            /// Where its file lies.
            source: Source,
            /// In bytes, from the beginning of the source.
            offset: u64,
            /// Length of the file.
            bytes: u64,
            /// SHA-256 of the model's file, which that of an adapter may name.
            base: Hash,
        } => ["`AdapterLoaded` or `Failed`"],
        /// Forget an adapter that no request uses, and the sessions that began with it.
        0x208 DropAdapter [4] {
            /// Its place.
            place: u32 where is_adapter,
        } => ["nothing; `Failed` if there is none, or a request uses it"],
        /// Train an adapter for the model. The data lie there, and are read before the first answer.
        0x209 Train [92] {
            /// How.
            params: TrainParams,
            /// Where the data lie.
            source: Source,
            /// In bytes, from the beginning of the source.
            offset: u64,
            /// Length of the data.
            bytes: u64,
            /// SHA-256 of the model's file, which that of the adapter names.
            base: Hash,
            /// Most bytes that the adapter's file may have.
            room: u64,
        } => [
            "`Training` …, `Part` …, then `Trained`; `Failed` if it cannot be, or has failed. `Cancel` with its number \
             ends it: then it has no more `Part`s, and `Trained` has no bytes",
        ],
    }
}

numbers! {
    /// Where a file lies.
    pub enum Source {
        /// In the store.
        Store = 1,
        /// In the region of adapters: made on this device.
        Device = 2,
    }
}

numbers! {
    /// How keys and values are stored.
    pub enum KvType {
        /// IEEE binary32.
        F32 = 1,
        /// IEEE binary16.
        F16 = 2,
        /// Eight bits with a scale for each position and 64 elements of a head.
        Q8 = 3,
    }
}

layout! {
    /// What has been loaded, as inference says.
    pub struct Loaded [192] {
        /// The model; its hash is zeros, since audit has its own.
        pub info: ModelInfo,
        /// Use of the arena, which does not change until the next load.
        pub arena: ArenaUse,
        /// Version of the arithmetic.
        pub numerics: u32,
        /// How keys and values are stored.
        pub kv_type: KvType,
        /// Positions of the cache that all sessions share.
        pub kv_positions: u32,
    }
}

layout! {
    /// An adapter that has been loaded, as inference says.
    pub struct AdapterLoaded [104] {
        /// What it is.
        pub info: AdapterInfo,
        /// Use of the arena with it.
        pub arena: ArenaUse,
        /// Positions of the cache that all sessions share, with it.
        pub kv_positions: u32,
    }
}

layout! {
    /// A training that is over, as inference says.
    #[derive(Default)]
    pub struct Trained [24] {
        /// Tokens that have gone through the model.
        pub tokens: u64,
        /// Bytes of the adapter's file, all of which have been sent; 0 if it was stopped.
        pub bytes: u64,
        /// Updates that were done.
        pub steps: u32,
        /// Mean loss of the last epoch, in millionths of a nat a token.
        pub loss: u32,
    }
}

layout! {
    /// What inference holds at the moment, as it says.
    #[derive(Default)]
    pub struct Holdings [88] {
        /// Use of the arena.
        pub arena: ArenaUse,
        /// Positions of the cache that all sessions share.
        pub kv_positions: u32,
        /// Of them, not reserved.
        pub kv_free: u32,
        /// Requests that generate.
        pub running: u32,
        /// Requests that wait for room in the cache.
        pub waiting: u32,
    }
}

messages! {
    /// From inference to audit.
    pub enum Report<'a> ["audit believes it if", "else"] {
        /// It has joined the epoch.
        0x301 Ready [0] => ["always: nothing follows from it", "–"],
        /// A token. Untrusted.
        0x302 Token [4] {
            /// Its number in the vocabulary.
            id: u32;
            /// Its text, possibly empty: whole UTF-8 sequences if inference is honest.
            text: &'a [u8] where len <= MAX_PIECE_BYTES,
        } => [
            "its request is for text, under way, and has credit left; the text does not leave its format, and completes no \
             stop string",
            "breach",
        ],
        /// A request ended.
        0x303 Finished [12] {
            /// Why.
            reason: FinishReason,
            /// Tokens of the prompt, specials included.
            prompt_tokens: u32,
            /// Tokens generated, an end-of-text token included.
            generated_tokens: u32,
        } => [
            "its request is for text and under way, generated = tokens that passed, prompt ≤ bytes + 2, and for a \
             conversation what its template adds; the text is a word of its format unless it was to stop; `Stop` only of \
             one with stop strings",
            "breach",
        ],
        /// A request failed.
        0x304 Failed [20] {
            /// Why.
            failure: Failure;
            /// What it is about (a tensor, a key), for people. Untrusted.
            detail: &'a [u8] where len <= MAX_PIECE_BYTES,
        } => ["its request is under way, whatever it is, and the reason is inference's to give", "breach"],
        /// A model has been loaded.
        0x305 Loaded [192] (loaded: Loaded) => [
            "its request is a load, and what its template adds is at most 2048 tokens and 64 for each segment",
            "breach",
        ],
        /// Answer to [`Command::Status`].
        0x306 Holdings [88] (holdings: Holdings) => ["its request is a question", "breach"],
        /// An idle session was forgotten to make room for another.
        0x307 Evicted [4] {
            /// Which, below [`MAX_SESSIONS`](crate::limits::MAX_SESSIONS).
            session: u32 where is_session,
        } => ["the session is there and idle", "counted and dropped"],
        /// An adapter has been loaded.
        0x308 AdapterLoaded [104] (loaded: AdapterLoaded) => ["its request is to load an adapter", "breach"],
        /// How far a training is. The first, at step 0, says that it has begun and what it will do.
        0x309 Training [28] (progress: TrainProgress) => [
            "its request is a training that has sent no part; steps, longest and alone are those of the first, step and tokens \
             do not fall, step ≤ steps, tokens ≤ the bound of the data",
            "breach",
        ],
        /// The next part of an adapter that has been trained.
        0x30A Part [8] {
            /// Where it belongs in the file: where the part before has ended, a multiple of 8.
            offset: u64;
            /// Untrusted bytes, at least one.
            bytes: &'a [u8] where len <= MAX_PART_BYTES,
        } => ["its request is a training that has begun, it follows the part before, and there is room for it", "breach"],
        /// A training is over.
        0x30B Trained [24] (trained: Trained) => [
            "its request is a training that has begun, bytes = those of its parts (or 0 if it was to stop), tokens ≥ those of \
             the last `Training` and ≤ the bound",
            "breach",
        ],
    }
}
