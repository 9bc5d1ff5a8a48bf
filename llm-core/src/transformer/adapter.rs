//! Low-rank adapters (LoRA): y = W x + b becomes y = W x + b + (α / r) · B (A x).
//!
//! Source: Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models* (2021). A is \[r, columns of W\], B is
//! \[rows of W, r\]; a file calls them `NAME.lora_a` and `NAME.lora_b` for the tensor `NAME` of the base.

use super::Plan;
use crate::arena::ArenaError;
use crate::gguf::{GgufError, Name};

/// Most adapters that a model has at once.
pub const MAX_ADAPTERS: usize = 8;

/// Largest rank of an adapter.
pub const MAX_RANK: usize = 64;

/// What is known of an adapter that has been loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdapterInfo {
    /// Its rank; the largest, if its matrices differ.
    pub rank: u32,
    /// α: products are multiplied by α / rank.
    pub alpha: f32,
    /// Matrices of the base that it changes.
    pub matrices: u32,
    /// Numbers in all its matrices.
    pub parameters: u64,
    /// Bytes that it takes in the arena.
    pub bytes: u64,
}

/// Why an adapter is not loaded, or not dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdapterError {
    /// There is no model that it could change.
    #[error("no model is loaded")]
    NoModel,
    /// There are not so many places, or there is none in this one.
    #[error("there is no adapter {0}")]
    NoSuchAdapter(usize),
    /// There is one in this place.
    #[error("the place {0} is taken")]
    Taken(usize),
    /// A request uses it.
    #[error("a request uses the adapter")]
    Busy,
    /// The file is no GGUF file, or lacks a key.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// It is a GGUF file of something else.
    #[error("{key} is {value}, not {expected}")]
    NoAdapter {
        /// The key.
        key: &'static str,
        /// Its value.
        value: Name,
        /// What an adapter has there.
        expected: &'static str,
    },
    /// It was made for a model of another architecture.
    #[error("it was made for the architecture {made_for}, the model is a {model}")]
    Architecture {
        /// What it names.
        made_for: Name,
        /// The model's.
        model: &'static str,
    },
    /// It names the file of the model that it was made for, and that is another one.
    #[error("it was made for another model")]
    OtherBase,
    /// α is not a finite number above 0.
    #[error("adapter.lora.alpha is not a finite number above 0")]
    Alpha,
    /// A tensor changes nothing that the model has, or nothing that an adapter may change.
    #[error("the model has no matrix for the tensor {0}")]
    UnknownTensor(Name),
    /// One half of a pair is missing.
    #[error("the tensor {0} has no other half")]
    Half(Name),
    /// A rank of 0, one above [`MAX_RANK`], or halves of different ranks.
    #[error("the tensor {tensor} has rank {rank}: 1 to {MAX_RANK}, and the same in both halves")]
    Rank {
        /// The tensor.
        tensor: Name,
        /// Its rank.
        rank: u64,
    },
    /// A tensor does not fit the base's.
    #[error("the tensor {tensor} is for {size} elements, the model has {expected} there")]
    Shape {
        /// The tensor.
        tensor: Name,
        /// What it has.
        size: u64,
        /// What the base has.
        expected: u64,
    },
    /// A tensor has a type that it cannot have.
    #[error("the tensor {tensor} has type {ty}: F32, F16, BF16 and Q8_0 can be loaded")]
    Type {
        /// The tensor.
        tensor: Name,
        /// Its type.
        ty: &'static str,
    },
    /// A number is infinite or none.
    #[error("the tensor {0} holds a value that is not finite")]
    NonFinite(Name),
    /// It changes nothing.
    #[error("it has no tensors")]
    Empty,
    /// It does not fit the arena beside the model.
    #[error("model and adapters need {} bytes, the arena has {}", .0.total(), .0.capacity)]
    TooLarge(Plan),
    /// The arena's own error: the plan was wrong, which is a bug in the engine.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

/// The adapters of a model, by their places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adapters([Option<AdapterInfo>; MAX_ADAPTERS]);

impl Adapters {
    /// There are none.
    pub(super) const NONE: Self = Self([None; MAX_ADAPTERS]);
}
