//! Reports of inference, and their bytes.

use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_PIECE_BYTES;
use protocol::name::TemplateName;
use protocol::ring::Frame;
use protocol::wire::engine::{AdapterLoaded, Holdings, KvType, Loaded, Report, Trained};
use protocol::wire::{AdapterInfo, ArenaUse, FinishReason, ModelInfo, TrainProgress};

/// A report.
#[derive(Clone, Copy, Debug)]
pub enum Say {
    /// [`Report::Ready`].
    Ready,
    /// [`Report::Corrupt`].
    Corrupt,
    /// A token of this number whose text has this length; see [`piece`].
    Token(u32, usize),
    /// A token with this text.
    Short(u32, Short),
    /// [`Report::Finished`]: reason, prompt tokens and generated tokens.
    Finished(FinishReason, u32, u32),
    /// [`Report::Failed`]: code, and length of the detail.
    Failed(ErrorCode, usize),
    /// [`Report::Loaded`].
    Loaded,
    /// [`Report::Loaded`] with a template that adds this many tokens, and this many for each segment.
    Boasts(u32, u32),
    /// [`Report::Holdings`].
    Holdings,
    /// [`Report::Evicted`].
    Evicted(u32),
    /// [`Report::AdapterLoaded`].
    AdapterLoaded,
    /// [`Report::Training`].
    Training(TrainProgress),
    /// Part of the [`file()`] with this seed: its offset and its length.
    Part(u64, u64, usize),
    /// [`Report::Trained`].
    Trained(Trained),
}

/// Part of the file that a training produces.
#[must_use]
pub fn file(seed: u64, offset: u64, len: usize) -> Vec<u8> {
    let bytes = offset..offset + len as u64;
    bytes
        .map(|at| ((seed ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}

/// Text of a token. If it is long enough, no other token has the same.
#[must_use]
pub fn piece(id: u32, len: usize) -> [u8; MAX_PIECE_BYTES] {
    let mut piece = [0; MAX_PIECE_BYTES];
    for (place, byte) in piece.iter_mut().take(len).enumerate() {
        *byte = id.rotate_left(5 * place as u32).wrapping_add(place as u32) as u8;
    }
    piece
}

/// Inference's description of every model.
#[must_use]
pub fn model_info() -> ModelInfo {
    ModelInfo {
        parameters: 5,
        template: TemplateName::new("chat").unwrap_or_default(),
        fixed_tokens: 9,
        segment_tokens: 3,
        separates: true,
        ..ModelInfo::default()
    }
}

fn loaded(info: ModelInfo) -> Loaded {
    Loaded {
        info,
        arena: ArenaUse {
            weights: 3,
            ..ArenaUse::default()
        },
        numerics: 2,
        kv_type: KvType::Q8,
        kv_positions: 99,
    }
}

/// A text of a few bytes.
#[derive(Clone, Copy, Debug)]
pub struct Short(pub(super) [u8; 24], usize);

impl Short {
    /// As much of `text` as fits.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        let len = text.len().min(24);
        let mut bytes = [0; 24];
        bytes[..len].copy_from_slice(&text[..len]);
        Self(bytes, len)
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

impl Say {
    /// Writes the report into a frame.
    pub fn write(self, number: u32, frame: &mut Frame) {
        match self {
            Self::Ready => Report::Ready.write(number, frame),
            Self::Corrupt => Report::Corrupt.write(number, frame),
            Self::Token(id, len) => Report::Token {
                id,
                text: &piece(id, len)[..len],
            }
            .write(number, frame),
            Self::Short(id, text) => Report::Token {
                id,
                text: text.as_bytes(),
            }
            .write(number, frame),
            Self::Finished(reason, prompt_tokens, generated_tokens) => Report::Finished {
                reason,
                prompt_tokens,
                generated_tokens,
            }
            .write(number, frame),
            Self::Failed(code, len) => Report::Failed {
                failure: Failure::over(code, 7, 8),
                detail: &piece(9, len)[..len],
            }
            .write(number, frame),
            Self::Loaded => Report::Loaded(loaded(model_info())).write(number, frame),
            Self::Boasts(fixed_tokens, segment_tokens) => {
                let info = ModelInfo {
                    fixed_tokens,
                    segment_tokens,
                    ..model_info()
                };
                Report::Loaded(loaded(info)).write(number, frame);
            }
            Self::Holdings => Report::Holdings(Holdings {
                kv_positions: 9,
                ..Holdings::default()
            })
            .write(number, frame),
            Self::Evicted(session) => Report::Evicted { session }.write(number, frame),
            Self::AdapterLoaded => Report::AdapterLoaded(AdapterLoaded {
                info: AdapterInfo {
                    rank: 4,
                    ..AdapterInfo::default()
                },
                arena: ArenaUse::default(),
                kv_positions: 77,
            })
            .write(number, frame),
            Self::Training(progress) => Report::Training(progress).write(number, frame),
            Self::Part(seed, offset, len) => Report::Part {
                offset,
                bytes: &file(seed, offset, len),
            }
            .write(number, frame),
            Self::Trained(trained) => Report::Trained(trained).write(number, frame),
        }
    }
}
