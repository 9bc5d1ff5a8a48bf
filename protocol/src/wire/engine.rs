//! Between audit and inference: a [`Command`] goes out, [`Report`]s come back.

use super::{ArenaUse, FinishReason, InferParams, ModelInfo, Reader, WireError, write};
use crate::error::{Failure, RawFailure};
use crate::limits::{MAX_PIECE_BYTES, MAX_PROMPT_BYTES, MAX_SESSIONS};
use crate::ring::Frame;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// From audit to inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Generate text in a session.
    Infer {
        /// How.
        params: InferParams,
        /// Whose keys and values, below [`MAX_SESSIONS`].
        session: u32,
        /// Forget what the session holds and begin anew; else go on where it stands.
        fresh: bool,
        /// Keep the session afterwards; else forget it.
        keep: bool,
        /// Tokens that may be generated before more are granted ([`Command::Credit`]).
        credit: u32,
        /// From what.
        prompt: &'a [u8],
    },
    /// End the request with the number in the header: its next report is [`Report::Finished`].
    Cancel,
    /// Load the model whose file lies in the store from `offset` on. Audit has verified it. All sessions end.
    Load {
        /// In bytes.
        offset: u64,
        /// Length of the file.
        bytes: u64,
    },
    /// Tell what is in the arena.
    Status,
    /// The request with the number in the header may generate more: so many tokens in all, those from its beginning
    /// included. A smaller number than before changes nothing. A request without credit rests, and its end needs none.
    Credit {
        /// In all.
        tokens: u32,
    },
    /// Forget a session that is idle.
    Drop {
        /// Which.
        session: u32,
    },
}

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum KvType {
    /// IEEE binary32.
    F32 = 1,
    /// IEEE binary16.
    F16 = 2,
    /// Eight bits with a scale for each head and position.
    Q8 = 3,
}

impl KvType {
    /// The type with this number.
    #[must_use]
    pub const fn from_u32(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::F32),
            2 => Some(Self::F16),
            3 => Some(Self::Q8),
            _ => None,
        }
    }
}

/// What has been loaded, as inference says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
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

/// What inference holds at the moment, as it says.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Holdings {
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

/// From inference to audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report<'a> {
    /// It has joined the epoch.
    Ready,
    /// A token. Untrusted.
    Token {
        /// Its number in the vocabulary.
        id: u32,
        /// Its text, possibly empty: whole UTF-8 sequences if inference is honest.
        text: &'a [u8],
    },
    /// A request ended.
    Finished {
        /// Why.
        reason: FinishReason,
        /// Tokens of the prompt, specials included.
        prompt_tokens: u32,
        /// Tokens generated, an end-of-text token included.
        generated_tokens: u32,
    },
    /// A request failed.
    Failed {
        /// Why.
        failure: Failure,
        /// What it is about (a tensor, a key), for people. Untrusted.
        detail: &'a [u8],
    },
    /// A model has been loaded.
    Loaded(Loaded),
    /// Answer to [`Command::Status`].
    Holdings(Holdings),
    /// An idle session was forgotten to make room for another.
    Evicted {
        /// Which, below [`MAX_SESSIONS`].
        session: u32,
    },
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawInfer {
    params: InferParams,
    session: u32,
    fresh: u32,
    keep: u32,
    credit: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawFinished {
    reason: u32,
    prompt_tokens: u32,
    generated_tokens: u32,
    reserved: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawLoaded {
    info: ModelInfo,
    arena: ArenaUse,
    numerics: u32,
    kv_type: u32,
    kv_positions: u32,
    reserved: u32,
}

mod command_kind {
    pub const INFER: u16 = 0x201;
    pub const CANCEL: u16 = 0x202;
    pub const LOAD: u16 = 0x203;
    pub const STATUS: u16 = 0x204;
    pub const DROP: u16 = 0x205;
    pub const CREDIT: u16 = 0x206;
}

mod report_kind {
    pub const READY: u16 = 0x301;
    pub const TOKEN: u16 = 0x302;
    pub const FINISHED: u16 = 0x303;
    pub const FAILED: u16 = 0x304;
    pub const LOADED: u16 = 0x305;
    pub const HOLDINGS: u16 = 0x306;
    pub const EVICTED: u16 = 0x307;
}

fn session(reader: &mut Reader<'_>) -> Result<u32, WireError> {
    let session = u32::from_le_bytes(reader.fixed()?);
    reader.check((session as usize) < MAX_SESSIONS, session)
}

impl<'a> Command<'a> {
    /// Writes the message about request number `request` into `frame`.
    pub fn write<const N: usize>(&self, request: u32, frame: &mut Frame<N>) {
        use command_kind as kind;
        match self {
            Self::Infer {
                params,
                session,
                fresh,
                keep,
                credit,
                prompt,
            } => {
                let raw = RawInfer {
                    params: *params,
                    session: *session,
                    fresh: u32::from(*fresh),
                    keep: u32::from(*keep),
                    credit: *credit,
                };
                write(frame, kind::INFER, request, raw.as_bytes(), prompt);
            }
            Self::Cancel => write(frame, kind::CANCEL, request, &[], &[]),
            Self::Load { offset, bytes } => {
                let raw = [*offset, *bytes];
                write(frame, kind::LOAD, request, raw.as_bytes(), &[]);
            }
            Self::Status => write(frame, kind::STATUS, request, &[], &[]),
            Self::Credit { tokens } => {
                write(frame, kind::CREDIT, request, &tokens.to_le_bytes(), &[]);
            }
            Self::Drop { session } => {
                write(frame, kind::DROP, request, &session.to_le_bytes(), &[]);
            }
        }
    }

    /// Parses the message that `frame` has received.
    ///
    /// # Errors
    /// It is none.
    pub fn parse<const N: usize>(frame: &'a Frame<N>) -> Result<Self, WireError> {
        use command_kind as kind;
        let number = frame.header().kind;
        let mut reader = Reader {
            kind: number,
            rest: frame.payload(),
        };
        match number {
            kind::INFER => {
                let raw: RawInfer = reader.fixed()?;
                let sound = (raw.session as usize) < MAX_SESSIONS && raw.params.reserved == 0;
                reader.check(sound, ())?;
                Ok(Self::Infer {
                    params: raw.params,
                    session: raw.session,
                    fresh: reader.flag(raw.fresh)?,
                    keep: reader.flag(raw.keep)?,
                    credit: raw.credit,
                    prompt: reader.tail(MAX_PROMPT_BYTES)?,
                })
            }
            kind::CANCEL => reader.end().map(|()| Self::Cancel),
            kind::LOAD => {
                let [offset, bytes] = reader.fixed()?;
                reader.end().map(|()| Self::Load { offset, bytes })
            }
            kind::STATUS => reader.end().map(|()| Self::Status),
            kind::CREDIT => {
                let tokens = u32::from_le_bytes(reader.fixed()?);
                reader.end().map(|()| Self::Credit { tokens })
            }
            kind::DROP => {
                let session = session(&mut reader)?;
                reader.end().map(|()| Self::Drop { session })
            }
            _ => Err(WireError::Kind(number)),
        }
    }
}

impl<'a> Report<'a> {
    /// Writes the message about request number `request` (0 for none) into `frame`.
    pub fn write<const N: usize>(&self, request: u32, frame: &mut Frame<N>) {
        use report_kind as kind;
        match self {
            Self::Ready => write(frame, kind::READY, request, &[], &[]),
            Self::Token { id, text } => {
                write(frame, kind::TOKEN, request, &id.to_le_bytes(), text);
            }
            Self::Finished {
                reason,
                prompt_tokens,
                generated_tokens,
            } => {
                let raw = RawFinished {
                    reason: *reason as u32,
                    prompt_tokens: *prompt_tokens,
                    generated_tokens: *generated_tokens,
                    reserved: 0,
                };
                write(frame, kind::FINISHED, request, raw.as_bytes(), &[]);
            }
            Self::Failed { failure, detail } => {
                let raw = RawFailure::from(*failure);
                write(frame, kind::FAILED, request, raw.as_bytes(), detail);
            }
            Self::Loaded(loaded) => {
                let raw = RawLoaded {
                    info: loaded.info,
                    arena: loaded.arena,
                    numerics: loaded.numerics,
                    kv_type: loaded.kv_type as u32,
                    kv_positions: loaded.kv_positions,
                    reserved: 0,
                };
                write(frame, kind::LOADED, request, raw.as_bytes(), &[]);
            }
            Self::Holdings(holdings) => {
                write(frame, kind::HOLDINGS, request, holdings.as_bytes(), &[]);
            }
            Self::Evicted { session } => {
                write(frame, kind::EVICTED, request, &session.to_le_bytes(), &[]);
            }
        }
    }

    /// Parses the message that `frame` has received.
    ///
    /// # Errors
    /// It is none.
    pub fn parse<const N: usize>(frame: &'a Frame<N>) -> Result<Self, WireError> {
        use report_kind as kind;
        let number = frame.header().kind;
        let mut reader = Reader {
            kind: number,
            rest: frame.payload(),
        };
        match number {
            kind::READY => reader.end().map(|()| Self::Ready),
            kind::TOKEN => {
                let id = u32::from_le_bytes(reader.fixed()?);
                Ok(Self::Token {
                    id,
                    text: reader.tail(MAX_PIECE_BYTES)?,
                })
            }
            kind::FINISHED => {
                let raw: RawFinished = reader.fixed()?;
                reader.end()?;
                Ok(Self::Finished {
                    reason: FinishReason::from_u32(raw.reason).ok_or(WireError::Field(number))?,
                    prompt_tokens: raw.prompt_tokens,
                    generated_tokens: raw.generated_tokens,
                })
            }
            kind::FAILED => {
                let raw: RawFailure = reader.fixed()?;
                Ok(Self::Failed {
                    failure: raw.check().ok_or(WireError::Field(number))?,
                    detail: reader.tail(MAX_PIECE_BYTES)?,
                })
            }
            kind::LOADED => {
                let raw: RawLoaded = reader.fixed()?;
                reader.end()?;
                Ok(Self::Loaded(Loaded {
                    info: raw.info,
                    arena: raw.arena,
                    numerics: raw.numerics,
                    kv_type: KvType::from_u32(raw.kv_type).ok_or(WireError::Field(number))?,
                    kv_positions: raw.kv_positions,
                }))
            }
            kind::HOLDINGS => {
                let holdings = reader.fixed()?;
                reader.end().map(|()| Self::Holdings(holdings))
            }
            kind::EVICTED => {
                let session = session(&mut reader)?;
                reader.end().map(|()| Self::Evicted { session })
            }
            _ => Err(WireError::Kind(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::error::ErrorCode;
    use crate::ring::PAYLOAD_WORDS;
    use crate::wire::client;
    use proptest::prelude::*;
    use std::vec;

    #[test]
    fn every_command_is_parsed_as_it_was_written() {
        let longest = vec![b'x'; MAX_PROMPT_BYTES];
        let infer = |prompt, fresh, keep| Command::Infer {
            params: InferParams::default(),
            session: 31,
            fresh,
            keep,
            credit: 7,
            prompt,
        };
        for command in [
            infer(b"", true, false),
            infer(b"Once", false, true),
            infer(&longest, true, true),
            Command::Cancel,
            Command::Load {
                offset: 512,
                bytes: 1 << 40,
            },
            Command::Status,
            Command::Drop { session: 3 },
            Command::Credit { tokens: 24 },
        ] {
            let mut frame = Frame::<PAYLOAD_WORDS>::new();
            command.write(7, &mut frame);
            assert_eq!(frame.header().request, 7);
            assert_eq!(Command::parse(&frame), Ok(command));
            assert!(matches!(Report::parse(&frame), Err(WireError::Kind(_))));
            assert!(matches!(
                client::Request::parse(&frame),
                Err(WireError::Kind(_))
            ));
        }
    }

    #[test]
    fn every_report_is_parsed_as_it_was_written() {
        for report in [
            Report::Ready,
            Report::Token {
                id: 9,
                text: b" king",
            },
            Report::Finished {
                reason: FinishReason::MaxTokens,
                prompt_tokens: 1,
                generated_tokens: 2,
            },
            Report::Failed {
                failure: Failure::over(ErrorCode::PromptTokens, 600, 511),
                detail: b"blk.0.attn_q.weight",
            },
            Report::Loaded(Loaded {
                info: ModelInfo {
                    parameters: 1,
                    ..Default::default()
                },
                arena: ArenaUse::default(),
                numerics: 2,
                kv_type: KvType::Q8,
                kv_positions: 2048,
            }),
            Report::Holdings(Holdings {
                kv_free: 16,
                ..Default::default()
            }),
            Report::Evicted { session: 4 },
        ] {
            let mut frame = Frame::<PAYLOAD_WORDS>::new();
            report.write(7, &mut frame);
            assert_eq!(Report::parse(&frame), Ok(report));
            assert!(matches!(Command::parse(&frame), Err(WireError::Kind(_))));
            assert!(matches!(
                client::Event::parse(&frame),
                Err(WireError::Kind(_))
            ));
        }
    }

    #[test]
    fn a_session_that_no_table_has_is_refused() {
        let mut frame = Frame::<PAYLOAD_WORDS>::new();
        Command::Drop { session: 32 }.write(1, &mut frame);
        assert!(matches!(Command::parse(&frame), Err(WireError::Field(_))));
        Report::Evicted { session: u32::MAX }.write(1, &mut frame);
        assert!(matches!(Report::parse(&frame), Err(WireError::Field(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(
            kind in prop_oneof![any::<u16>(), 0x200u16..0x208, 0x300u16..0x310],
            payload in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let mut frame = Frame::<64>::new();
            write(&mut frame, kind, 1, &payload, &[]);
            let _ = Command::parse(&frame);
            let _ = Report::parse(&frame);
        }
    }
}
