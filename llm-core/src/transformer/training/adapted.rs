//! Which matrices of a block get an adapter, and where its elements are.
//!
//! All blocks are alike, so one description serves all. Matrices that are one tensor in the base's file (`attn_qkv`, or
//! `ffn_up` including the gate) are one pair in the adapter's: they share A, and their rows of B are consecutive. The
//! backward pass goes through them in the listed order.

use super::Targets;
use crate::transformer::config::Config;
use crate::transformer::families::Gate;

/// A matrix of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Query,
    Key,
    Value,
    Output,
    Gate,
    Up,
    Down,
}

/// Number of slots.
const SLOTS: usize = 7;

/// The adapter of a matrix, within the list of all parameters of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// Index of A, \[rank, columns\].
    pub(super) a: usize,
    /// Index of B, \[rank, rows\].
    pub(super) b: usize,
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// Whether it is the first matrix of those that share its A.
    pub(super) first: bool,
    /// Whether it is the last of them.
    pub(super) last: bool,
}

/// A tensor of the base that gets an adapter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tensor {
    /// Its name, without the block and `weight`.
    pub(super) name: &'static str,
    /// Its matrices, as consecutive rows.
    pub(super) slots: &'static [Slot],
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Adapted {
    pub(super) rank: usize,
    pairs: [Option<Pair>; SLOTS],
    tensors: heapless::Vec<Tensor, SLOTS>,
    /// Number of parameters per block.
    pub(super) per_block: usize,
}

impl Adapted {
    /// `fused`: queries, keys and values are one tensor.
    pub(super) fn of(config: &Config, fused: bool, targets: Targets, rank: usize) -> Self {
        let attention: &[Tensor] = match fused {
            true => &[tensor("attn_qkv", &[Slot::Query, Slot::Key, Slot::Value])],
            false => &[
                tensor("attn_q", &[Slot::Query]),
                tensor("attn_k", &[Slot::Key]),
                tensor("attn_v", &[Slot::Value]),
            ],
        };
        let inputs: &[Tensor] = match config.block.gate {
            Gate::None => &[tensor("ffn_up", &[Slot::Up])],
            Gate::Own => &[
                tensor("ffn_gate", &[Slot::Gate]),
                tensor("ffn_up", &[Slot::Up]),
            ],
            Gate::InUp => &[tensor("ffn_up", &[Slot::Gate, Slot::Up])],
        };
        let output = [tensor("attn_output", &[Slot::Output])];
        let down = [tensor("ffn_down", &[Slot::Down])];
        let feed_forward = inputs.iter().chain(&down);
        let feed_forward = feed_forward.filter(|_| targets == Targets::All);
        let all = attention.iter().chain(&output).chain(feed_forward);
        let mut adapted = Self {
            rank,
            pairs: [None; SLOTS],
            tensors: all.copied().collect(),
            per_block: 0,
        };
        let mut at = 0;
        for tensor in &adapted.tensors {
            let a = at;
            let columns = tensor
                .slots
                .first()
                .map_or(0, |slot| columns(*slot, config));
            at += rank * columns;
            for (n, &slot) in tensor.slots.iter().enumerate() {
                let rows = rows(slot, config);
                adapted.pairs[slot as usize] = Some(Pair {
                    a,
                    b: at,
                    columns,
                    rows,
                    first: n == 0,
                    last: n + 1 == tensor.slots.len(),
                });
                at += rank * rows;
            }
        }
        adapted.per_block = at;
        adapted
    }

    /// The adapter of a matrix in block `layer`, if it has one, as indices into the parameters of all blocks.
    pub(super) fn pair(&self, layer: usize, slot: Slot) -> Option<Pair> {
        let pair = self.pairs[slot as usize]?;
        let first = layer * self.per_block;
        Some(Pair {
            a: first + pair.a,
            b: first + pair.b,
            ..pair
        })
    }

    /// The tensors of a block, in the order of their parameters.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.tensors.iter()
    }
}

const fn tensor(name: &'static str, slots: &'static [Slot]) -> Tensor {
    Tensor { name, slots }
}

const fn columns(slot: Slot, config: &Config) -> usize {
    match slot {
        Slot::Output => config.query_width(),
        Slot::Down => config.feed_forward,
        Slot::Query | Slot::Key | Slot::Value | Slot::Gate | Slot::Up => config.width,
    }
}

const fn rows(slot: Slot, config: &Config) -> usize {
    match slot {
        Slot::Query => config.query_width(),
        Slot::Key | Slot::Value => config.kv_width(),
        Slot::Gate | Slot::Up => config.feed_forward,
        Slot::Output | Slot::Down => config.width,
    }
}
