//! Which matrices a model has that an adapter may change.
//!
//! Adapters name tensors of the file. One of these may hold several matrices of the forward pass, their rows one after
//! the other (queries, keys and values; gate and first matrix of the feed-forward layer). So a tensor has one A and one
//! B; each of its matrices takes the same A and its own rows of B.

use crate::gguf::Gguf;
use crate::transformer::config::Config;
use crate::transformer::families::Gate;
use core::fmt::Write as _;

/// A matrix of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transformer) enum Slot {
    Query,
    Key,
    Value,
    Output,
    Gate,
    Up,
    Down,
}

/// How many matrices a block has at most.
const SLOTS: usize = 7;

/// A matrix of the model: its place in an adapter's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transformer) struct Site(pub(super) usize);

impl Site {
    /// A matrix of block `layer`.
    pub(in crate::transformer) const fn of(layer: usize, slot: Slot) -> Self {
        Self(layer * SLOTS + slot as usize)
    }

    /// The matrix of the logits.
    pub(in crate::transformer) const fn logits(config: &Config) -> Self {
        Self(config.layers * SLOTS)
    }

    /// Places in the table of an adapter.
    pub(super) const fn count(config: &Config) -> usize {
        config.layers * SLOTS + 1
    }
}

/// What a file leaves open of which tensors a model has.
#[derive(Clone, Copy, Debug)]
pub(in crate::transformer) struct Tensors {
    /// A bit for each block whose queries, keys and values are one tensor.
    fused: u64,
    /// Whether the logits have a matrix of their own.
    output: bool,
}

impl Tensors {
    /// Those of a file.
    pub(in crate::transformer) fn of(gguf: &Gguf<'_>, config: &Config) -> Self {
        let is_fused = |layer: usize| {
            let mut name = heapless::String::<32>::new();
            // Two digits, seventeen letters and points.
            let _ = write!(name, "blk.{layer}.attn_qkv.weight");
            gguf.tensor(&name).is_some()
        };
        Self {
            fused: (0..config.layers).fold(0, |bits, n| bits | u64::from(is_fused(n)) << n),
            output: gguf.tensor("output.weight").is_some(),
        }
    }
}

/// A model as far as adapters need to know it: see [`crate::transformer::Model::base`] and
/// [`crate::transformer::Checked::base`].
#[derive(Clone, Copy, Debug)]
pub struct Base<'m> {
    pub(in crate::transformer) config: &'m Config,
    pub(in crate::transformer) tensors: Tensors,
}

/// A tensor that an adapter may change.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Elements of a row.
    pub(super) columns: usize,
    /// Its matrices, in the order of their rows, each with how many it has.
    pub(super) parts: heapless::Vec<(Site, usize), 3>,
}

impl Target {
    /// Rows of all its matrices.
    pub(super) fn rows(&self) -> usize {
        self.parts.iter().map(|(_, rows)| rows).sum()
    }
}

impl Base<'_> {
    /// The tensor of this name, if an adapter may change it.
    pub(super) fn target(&self, name: &str) -> Option<Target> {
        let config = self.config;
        let target = |columns: usize, parts: &[(Site, usize)]| {
            let parts = parts.iter().copied().collect();
            Some(Target { columns, parts })
        };
        if name == "output.weight" {
            let output = (Site::logits(config), config.vocabulary);
            return self
                .tensors
                .output
                .then(|| target(config.width, &[output]))?;
        }
        let (layer, tensor) = name
            .strip_prefix("blk.")?
            .strip_suffix(".weight")?
            .split_once('.')?;
        let layer = block_number(layer).filter(|&layer| layer < config.layers)?;
        let fused = self.tensors.fused >> layer & 1 == 1;
        let (width, inner) = (config.width, config.feed_forward);
        let (queries, keys) = (config.query_width(), config.kv_width());
        let part = |slot, rows| (Site::of(layer, slot), rows);
        match tensor {
            "attn_qkv" if fused => target(
                width,
                &[
                    part(Slot::Query, queries),
                    part(Slot::Key, keys),
                    part(Slot::Value, keys),
                ],
            ),
            "attn_q" if !fused => target(width, &[part(Slot::Query, queries)]),
            "attn_k" if !fused => target(width, &[part(Slot::Key, keys)]),
            "attn_v" if !fused => target(width, &[part(Slot::Value, keys)]),
            "attn_output" => target(queries, &[part(Slot::Output, width)]),
            "ffn_gate" if config.block.gate == Gate::Own => {
                target(width, &[part(Slot::Gate, inner)])
            }
            "ffn_up" if config.block.gate == Gate::InUp => {
                target(width, &[part(Slot::Gate, inner), part(Slot::Up, inner)])
            }
            "ffn_up" => target(width, &[part(Slot::Up, inner)]),
            "ffn_down" => target(inner, &[part(Slot::Down, width)]),
            _ => None,
        }
    }
}

/// The number of a block as files write it: without a sign or zeros in front.
fn block_number(text: &str) -> Option<usize> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    (is_plain && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok())?
}
