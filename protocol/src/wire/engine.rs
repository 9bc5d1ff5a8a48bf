//! Between audit and inference: a [`Command`] goes out, [`Report`]s come back.

use super::codec::{is_client, is_session};
use super::declare::{layout, messages, numbers};
use super::{ArenaUse, FinishReason, InferParams, ModelInfo};
use crate::error::Failure;
use crate::limits::{MAX_PIECE_BYTES, MAX_PROMPT_BYTES};

messages! {
    /// From audit to inference.
    pub enum Command<'a> ["answered by"] {
        /// Generate text in a session.
        0x201 Infer [60] {
            /// How.
            params: InferParams,
            /// Whose keys and values, below [`MAX_SESSIONS`](crate::limits::MAX_SESSIONS).
            session: u32 where is_session,
            /// Who asks, below [`MAX_CLIENTS`](crate::limits::MAX_CLIENTS). Clients get equal parts of cache and time.
            client: u32 where is_client,
            /// Forget what the session holds and begin anew; else go on where it stands.
            fresh: bool,
            /// Keep the session afterwards; else forget it.
            keep: bool,
            /// Tokens that may be generated before more are granted ([`Command::Credit`]).
            credit: u32;
            /// From what.
            prompt: &'a [u8] where len <= MAX_PROMPT_BYTES,
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
    pub struct Loaded [132] {
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
    /// What inference holds at the moment, as it says.
    #[derive(Default)]
    pub struct Holdings [72] {
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
        } => ["its request is for text, under way, and has credit left", "breach"],
        /// A request ended.
        0x303 Finished [12] {
            /// Why.
            reason: FinishReason,
            /// Tokens of the prompt, specials included.
            prompt_tokens: u32,
            /// Tokens generated, an end-of-text token included.
            generated_tokens: u32,
        } => ["its request is for text and under way, generated = tokens that passed, prompt ≤ bytes + 2", "breach"],
        /// A request failed.
        0x304 Failed [20] {
            /// Why.
            failure: Failure;
            /// What it is about (a tensor, a key), for people. Untrusted.
            detail: &'a [u8] where len <= MAX_PIECE_BYTES,
        } => ["its request is under way, whatever it is, and the reason is inference's to give", "breach"],
        /// A model has been loaded.
        0x305 Loaded [132] (loaded: Loaded) => ["its request is a load", "breach"],
        /// Answer to [`Command::Status`].
        0x306 Holdings [72] (holdings: Holdings) => ["its request is a question", "breach"],
        /// An idle session was forgotten to make room for another.
        0x307 Evicted [4] {
            /// Which, below [`MAX_SESSIONS`](crate::limits::MAX_SESSIONS).
            session: u32 where is_session,
        } => ["the session is there and idle", "counted and dropped"],
    }
}
