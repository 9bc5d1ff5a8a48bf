//! Which matrices of a model an adapter may change.
//!
//! Adapters name tensors of the file. A tensor may hold several matrices of the forward pass as consecutive rows
//! (queries, keys and values; gate and first matrix of the feed-forward layer). So a tensor has one A and one B; each
//! of its matrices uses the same A and its own rows of B.

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

/// Maximum number of matrices in a block.
const SLOTS: usize = 7;

/// A matrix of the model, as an index into an adapter's table.
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

    /// Number of entries in an adapter's table.
    pub(super) const fn count(config: &Config) -> usize {
        config.layers * SLOTS + 1
    }
}

/// Facts about a model's tensors that depend on the file.
#[derive(Clone, Copy, Debug)]
pub(in crate::transformer) struct Tensors {
    /// A bit for each block whose queries, keys and values are one tensor.
    fused: u64,
    /// Whether there is a separate output matrix for the logits.
    output: bool,
}

impl Tensors {
    /// Reads them from a file.
    pub(in crate::transformer) fn of(gguf: &Gguf<'_>, config: &Config) -> Self {
        let is_fused = |layer: usize| {
            let mut name = heapless::String::<32>::new();
            // Two digits plus seventeen letters and dots fit.
            let _ = write!(name, "blk.{layer}.attn_qkv.weight");
            gguf.tensor(&name).is_some()
        };
        Self {
            fused: (0..config.layers).fold(0, |bits, n| bits | u64::from(is_fused(n)) << n),
            output: gguf.tensor("output.weight").is_some(),
        }
    }
}

/// What adapters need to know about a model: see [`crate::transformer::Model::base`] and
/// [`crate::transformer::Checked::base`].
#[derive(Clone, Copy, Debug)]
pub struct Base<'m> {
    pub(in crate::transformer) config: &'m Config,
    pub(in crate::transformer) tensors: Tensors,
}

/// A tensor that an adapter may change.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Elements in a row.
    pub(super) columns: usize,
    /// Its matrices in row order, each with its number of rows.
    pub(super) parts: heapless::Vec<(Site, usize), 3>,
}

impl Target {
    /// Number of rows of all its matrices.
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

/// Parses a block number as files write it: without a sign or leading zeros.
fn block_number(text: &str) -> Option<usize> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    (is_plain && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok())?
}
