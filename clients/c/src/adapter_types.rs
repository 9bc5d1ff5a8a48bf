//! The types of the header for fine-tuning and adapters.

use crate::signature::sel4_llm_signature_t;
use client::limits;
use core::ffi::c_char;
use sel4_llm_client as client;

/// Longest example in bytes, written as a line of JSON.
pub const SEL4_LLM_MAX_EXAMPLE_BYTES: usize = 8192;
/// Most bytes of an adapter's file in one event.
pub const SEL4_LLM_MAX_PART_BYTES: usize = 4096;
/// For `targets`: train the matrices of attention.
pub const SEL4_LLM_TARGETS_ATTENTION: u32 = 1;
/// For `targets`: train those of the feed-forward layers, too.
pub const SEL4_LLM_TARGETS_ALL: u32 = 2;

const _: () = {
    assert!(SEL4_LLM_MAX_EXAMPLE_BYTES == limits::MAX_EXAMPLE_BYTES);
    assert!(SEL4_LLM_MAX_PART_BYTES == limits::MAX_PART_BYTES);
    assert!(SEL4_LLM_TARGETS_ATTENTION == client::TARGETS_ATTENTION);
    assert!(SEL4_LLM_TARGETS_ALL == client::TARGETS_ALL);
};

/// Parameters of a fine-tuning. Start from `sel4_llm_default_tuning` and change them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_tuning_t {
    /// Name of the adapter, terminated by a zero. Null: that of the data.
    pub adapter: *const c_char,
    /// Seed of the initial values and of the order of examples. The same seed and data give the same adapter.
    pub seed: u64,
    /// Rank of its matrices, 1 to 64. A higher rank can learn more and costs more.
    pub rank: u32,
    /// Alpha in millionths: the adapter's effect is multiplied by `alpha` / `rank`.
    pub alpha: u32,
    /// Passes over the examples, 1 to 100. The budget pays for their tokens in each pass.
    pub epochs: u32,
    /// The peak learning rate, in billionths.
    pub rate: u32,
    /// `SEL4_LLM_TARGETS_ATTENTION` or `SEL4_LLM_TARGETS_ALL`.
    pub targets: u32,
}

/// An adapter.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_adapter_t {
    /// Its name, terminated by a zero.
    pub name: [c_char; 65],
    /// Whether it is loaded.
    pub loaded: bool,
    /// Whether it was made on this device since boot. If not, it is in the store, or on the disk if its name begins
    /// with `disk/`.
    pub made_here: bool,
    /// Its signature: by a key of the policy if it is in the store, otherwise by this device's.
    pub signature: sel4_llm_signature_t,
    /// Size of its file in bytes.
    pub file_bytes: u64,
    /// SHA-256 of its file; zeros until it is known.
    pub sha256: [u8; 32],
    /// SHA-256 of the file of its base model; zeros until it is known.
    pub base_sha256: [u8; 32],
    /// Its rank, the largest if its matrices differ. This and the numbers below are 0 until it has been loaded.
    pub rank: u32,
    /// Alpha in millionths.
    pub alpha: u32,
    /// Matrices of the model that it changes.
    pub matrices: u32,
    /// Number of values in all its matrices.
    pub parameters: u64,
    /// Bytes that it uses in the arena.
    pub arena_bytes: u64,
}

/// Progress of a fine-tuning.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_training_t {
    /// Updates of the adapter so far.
    pub step: u32,
    /// Updates in all.
    pub steps: u32,
    /// Tokens that have gone through the model so far.
    pub tokens: u64,
    /// Mean loss of the examples since the last epoch began, in millionths of a nat per token.
    pub loss: u32,
    /// Tokens of the longest example.
    pub longest: u32,
    /// Whether requests for text are refused until it ends, because there is no memory for both.
    pub alone: bool,
    /// Microseconds since it began.
    pub elapsed_us: u64,
}

/// A fine-tuning that has succeeded.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_tuned_t {
    /// Name of the adapter, terminated by a zero.
    pub name: [c_char; 65],
    /// SHA-256 of its file.
    pub sha256: [u8; 32],
    /// Size of its file in bytes.
    pub file_bytes: u64,
    /// Tokens that went through the model, and were charged to the budget.
    pub tokens: u64,
    /// Updates of the adapter.
    pub steps: u32,
    /// Mean loss of the last epoch, in millionths of a nat per token.
    pub loss: u32,
    /// Microseconds from the admission of the request to its end.
    pub total_us: u64,
    /// Why the adapter is not loaded, as a number of `sel4_llm_code_t`; 0 if it is loaded.
    pub not_loaded: u32,
    /// What it is called on the disk, with a zero at its end; empty: it is not there.
    pub on_disk: [c_char; 65],
    /// Why the disk does not have it, a number of `sel4_llm_code_t`; 0: it does, or the system has no disk.
    pub not_on_disk: u32,
    /// What that reason is about, such as a sector.
    pub disk_value: u64,
    /// The limit that was exceeded; 0 if there is none.
    pub disk_limit: u64,
}

/// An adapter's file that was sent.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_exported_t {
    /// The adapter's name, terminated by a zero.
    pub name: [c_char; 65],
    /// Size of its file in bytes, which is that of all parts.
    pub file_bytes: u64,
    /// SHA-256 of its file.
    pub sha256: [u8; 32],
    /// SHA-256 of the file of its base model.
    pub base_sha256: [u8; 32],
    /// Ed25519 signature of the SHA-256 of its file, by the device's key.
    pub signature: [u8; 64],
}

/// The examples added so far.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_examples_t {
    /// How many there are.
    pub count: u32,
    /// Bytes that they use.
    pub bytes: u32,
    /// Bytes that they may use.
    pub limit: u32,
}

impl sel4_llm_adapter_t {
    /// No adapter.
    pub(crate) const NONE: Self = Self {
        name: [0; 65],
        loaded: false,
        made_here: false,
        signature: sel4_llm_signature_t::SEL4_LLM_SIGNATURE_MISSING,
        file_bytes: 0,
        sha256: [0; 32],
        base_sha256: [0; 32],
        rank: 0,
        alpha: 0,
        matrices: 0,
        parameters: 0,
        arena_bytes: 0,
    };
}

impl sel4_llm_training_t {
    /// No fine-tuning.
    pub(crate) const NONE: Self = Self {
        step: 0,
        steps: 0,
        tokens: 0,
        loss: 0,
        longest: 0,
        alone: false,
        elapsed_us: 0,
    };
}

impl sel4_llm_tuned_t {
    /// No fine-tuning.
    pub(crate) const NONE: Self = Self {
        name: [0; 65],
        sha256: [0; 32],
        file_bytes: 0,
        tokens: 0,
        steps: 0,
        loss: 0,
        total_us: 0,
        not_loaded: 0,
        on_disk: [0; 65],
        not_on_disk: 0,
        disk_value: 0,
        disk_limit: 0,
    };
}

impl sel4_llm_exported_t {
    /// No adapter.
    pub(crate) const NONE: Self = Self {
        name: [0; 65],
        file_bytes: 0,
        sha256: [0; 32],
        base_sha256: [0; 32],
        signature: [0; 64],
    };
}

impl sel4_llm_examples_t {
    /// No examples.
    pub(crate) const NONE: Self = Self {
        count: 0,
        bytes: 0,
        limit: 0,
    };
}
