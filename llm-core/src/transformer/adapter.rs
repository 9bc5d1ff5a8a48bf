//! Low-rank adapters (LoRA): y = W x + b becomes y = W x + b + (α / r) · B (A x).
//!
//! Source: Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models* (2021). A is \[r, columns of W\], B is
//! \[rows of W, r\]; a file calls them `NAME.lora_a` and `NAME.lora_b` for the tensor `NAME` of the base.
//!
//! In the arena they are stored as floats, 16-bit ones if the file has those, in the order in which they are read
//! ([`crate::simd::adapter`]). An adapter begins with a table of the model's matrices, which locates its own matrices;
//! these follow. Offsets are relative to the table, so an adapter can be moved as it is.

mod base;
mod file;
#[cfg(test)]
mod tests;

pub use base::Base;
pub(super) use base::{Site, Slot, Tensors};
pub use file::{AdapterFile, AdapterSize, BASE_SHA256_KEY};

use super::config::Config;
use super::{Model, Plan};
use crate::arena::{ALIGNMENT, Arena, ArenaError, Frozen, Purpose, Span, bytes_of};
use crate::gguf::{GgufError, KeyError, Name, TensorInfo};
use crate::quantize::{self, BLOCK, TensorType};
use crate::simd::adapter::{Half, Stored, place_in_a, place_in_b};
use file::{fit, padded, stored};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Maximum number of adapters of a model at a time.
pub const MAX_ADAPTERS: usize = 8;

/// Largest rank of an adapter.
pub const MAX_RANK: usize = 64;

/// Properties of a loaded adapter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdapterInfo {
    /// Its rank, or the largest if its matrices differ.
    pub rank: u32,
    /// α: products are multiplied by α / rank.
    pub alpha: f32,
    /// Number of the base's matrices that it changes.
    pub matrices: u32,
    /// Total number of elements in its matrices.
    pub parameters: u64,
    /// Bytes that it occupies in the arena.
    pub bytes: u64,
}

/// Why an adapter cannot be loaded or dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdapterError {
    /// No model is loaded.
    #[error("no model is loaded")]
    NoModel,
    /// The place does not exist, or holds no adapter.
    #[error("there is no adapter {0}")]
    NoSuchAdapter(usize),
    /// The place already holds an adapter.
    #[error("the place {0} is taken")]
    Taken(usize),
    /// A request uses it.
    #[error("a request uses the adapter")]
    Busy,
    /// Training is running, or its result has not been taken yet; it is located above the adapters.
    #[error("a training is under way: adapters can be loaded and dropped when it has ended")]
    Training,
    /// The file is not GGUF, or lacks a key.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A key of the adapter is unknown.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The GGUF file is not an adapter.
    #[error("{key} is {value}, not {expected}: this is no adapter")]
    NoAdapter {
        /// The key.
        key: &'static str,
        /// Its value.
        value: Name,
        /// The value of an adapter.
        expected: &'static str,
    },
    /// The adapter was made for a model of another architecture.
    #[error("it was made for the architecture {made_for}, the model is a {model}")]
    Architecture {
        /// The adapter's architecture.
        made_for: Name,
        /// The model's architecture.
        model: &'static str,
    },
    /// The adapter names the model file that it was made for, and that is a different one.
    #[error("it was made for another model")]
    OtherBase,
    /// The model file is not named by a valid SHA-256.
    #[error("{BASE_SHA256_KEY} is not a SHA-256 of 64 hexadecimal digits")]
    BadDigest,
    /// α is not a finite number above 0.
    #[error("adapter.lora.alpha is not a finite number above 0")]
    Alpha,
    /// The model has no tensor of this name, or an adapter may not change it.
    #[error(
        "the tensor {0} is for no matrix of the model's blocks, nor for its output.weight: nothing else can be adapted"
    )]
    UnknownTensor(Name),
    /// Half of a pair is missing.
    #[error("the tensor {0} has no counterpart: lora_a and lora_b come in pairs")]
    Half(Name),
    /// The rank is 0 or above [`MAX_RANK`], or the halves have different ranks.
    #[error("the tensor {tensor} has rank {rank}: 1 to {MAX_RANK}, and the same in both halves")]
    Rank {
        /// The tensor.
        tensor: Name,
        /// Its rank.
        rank: u64,
    },
    /// A tensor's size does not match the base.
    #[error(
        "the tensor {tensor} is for a side of {size} elements, but the model's matrix has {expected}"
    )]
    Shape {
        /// The tensor.
        tensor: Name,
        /// Its size.
        size: u64,
        /// The base's size.
        expected: u64,
    },
    /// A tensor has an unsupported type.
    #[error("the tensor {tensor} has type {ty}: F32, F16, BF16 and Q8_0 can be loaded")]
    Type {
        /// The tensor.
        tensor: Name,
        /// Its type.
        ty: &'static str,
    },
    /// A number is infinite or NaN.
    #[error("the tensor {0} holds a value that is not finite")]
    NonFinite(Name),
    /// The adapter has no tensors.
    #[error("it has no tensors")]
    Empty,
    /// The adapter does not fit the arena beside the model.
    #[error("model and adapters need {} bytes, the arena has {}", .0.total(), .0.capacity)]
    TooLarge(Plan),
    /// An arena error: the plan was wrong, which is a bug in the engine.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

/// Where an adapter's data for a matrix are, in bytes from the beginning of its data.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct SiteEntry {
    /// 0 if it does not change the matrix.
    rank: u16,
    /// Types of A and B: [`Stored`].
    types: [u8; 2],
    a: u32,
    b: u32,
    scale: f32,
}

/// An adapter in the arena.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adapter {
    info: AdapterInfo,
    /// One entry per [`Site`].
    table: Span<SiteEntry>,
    data: Span<u8>,
}

/// What an adapter adds to a matrix's product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delta<'a> {
    pub(super) a: Half<'a>,
    pub(super) b: Half<'a>,
    pub(super) scale: f32,
    pub(super) rank: usize,
    /// Number of multiply-accumulates.
    pub(super) work: u64,
}

/// Size in the arena of an adapter with `data` bytes of matrices.
fn bytes(config: &Config, data: usize) -> u64 {
    let table = bytes_of::<SiteEntry>(Site::count(config));
    let data = bytes_of::<u8>(data);
    match (table, data) {
        (Some(table), Some(data)) => table.saturating_add(data) as u64,
        _ => u64::MAX,
    }
}

impl Adapter {
    /// Copies an adapter that fits `base` into the arena.
    fn load(
        file: &AdapterFile<'_>,
        size: &AdapterSize,
        base: &Base<'_>,
        arena: &mut Arena<'_>,
    ) -> Result<Self, AdapterError> {
        let adapter = Self {
            info: size.info,
            table: arena.alloc(Site::count(base.config), Purpose::Adapters)?,
            data: arena.alloc(size.data, Purpose::Adapters)?,
        };
        let mut end = 0;
        let mut take = |stored: Stored, elements: usize| {
            let start = end;
            end += padded(stored, elements);
            (start, adapter.data.part(start, elements * stored.bytes()))
        };
        for pair in file.pairs() {
            let target = fit(&pair, base)?;
            let rank = pair.rank();
            let types = [pair.a, pair.b].map(|tensor| stored(&tensor));
            let (a, to) = take(types[0], rank * target.columns);
            let columns = target.columns;
            let place = |index: usize| place_in_a(index / columns, index % columns, rank, columns);
            copy(&pair.a, types[0], 0, arena.get_mut(to), place);
            let mut first = 0;
            for (site, rows) in target.parts {
                let (b, to) = take(types[1], rank * rows);
                arena.get_mut(adapter.table)[site.0] = SiteEntry {
                    rank: rank as u16,
                    types: types.map(|stored| stored as u8),
                    a: a as u32,
                    b: b as u32,
                    scale: file.scale(&pair),
                };
                let place = |index: usize| place_in_b(index / rank, index % rank, rows, rank);
                copy(&pair.b, types[1], first, arena.get_mut(to), place);
                first += rows;
            }
        }
        Ok(adapter)
    }

    /// Its beginning in the arena.
    const fn start(&self) -> usize {
        self.table.range().start
    }

    /// What it adds to a matrix of this shape, if it changes it.
    pub(super) fn delta<'f>(
        &self,
        site: Site,
        rows: usize,
        columns: usize,
        frozen: Frozen<'f>,
    ) -> Option<Delta<'f>> {
        let entry = frozen.get(self.table).get(site.0)?;
        let rank = usize::from(entry.rank);
        let half = |ty: u8, start: u32, side: usize| {
            let stored = match ty {
                1 => Stored::F16,
                2 => Stored::BF16,
                _ => Stored::F32,
            };
            let bytes = rank * side * stored.bytes();
            let bytes = frozen.get(self.data.part(start as usize, bytes));
            Half { stored, bytes }
        };
        let [a, b] = entry.types;
        (rank > 0).then(|| Delta {
            a: half(a, entry.a, columns),
            b: half(b, entry.b, rows),
            scale: entry.scale,
            rank,
            work: (rank * (rows + columns)) as u64,
        })
    }
}

/// Copies elements of a tensor from row `first` on, as many as fit `to`: each to the place that `place` gives for its
/// index.
fn copy(
    tensor: &TensorInfo<'_>,
    stored: Stored,
    first: usize,
    to: &mut [u8],
    place: impl Fn(usize) -> usize,
) {
    let columns = tensor.columns() as usize;
    // Types and shapes were checked: rows are complete, and their number is right.
    let row = tensor.data.len() / tensor.rows().max(1) as usize;
    let size = stored.bytes();
    let mut index = 0;
    for bytes in tensor.data.chunks_exact(row).skip(first) {
        let mut left = columns.min((to.len() / size).saturating_sub(index));
        if left == 0 {
            return;
        }
        let mut put = |value: &[u8]| {
            if left > 0 {
                to[place(index) * size..][..size].copy_from_slice(value);
                (index, left) = (index + 1, left - 1);
            }
        };
        match tensor.ty {
            TensorType::Q8_0 => {
                for block in bytes.chunks_exact(tensor.ty.block_bytes()) {
                    let mut values = [0.0f32; BLOCK];
                    let _ = quantize::dequantize_row(tensor.ty, block, &mut values);
                    values.iter().for_each(|value| put(&value.to_le_bytes()));
                }
            }
            _ => bytes.chunks_exact(size).for_each(put),
        }
    }
}

/// The adapters of a model, by place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adapters([Option<Adapter>; MAX_ADAPTERS]);

impl Adapters {
    /// No adapters.
    pub(super) const NONE: Self = Self([None; MAX_ADAPTERS]);

    pub(super) fn get(&self, place: u8) -> Option<&Adapter> {
        self.0.get(usize::from(place))?.as_ref()
    }
}

impl Model {
    /// What an adapter's file is checked against.
    #[must_use]
    pub const fn base(&self) -> Base<'_> {
        Base {
            config: &self.config,
            tensors: self.tensors,
        }
    }

    /// The adapter in a place.
    #[must_use]
    pub fn adapter(&self, place: usize) -> Option<&AdapterInfo> {
        let place = u8::try_from(place).ok()?;
        self.adapters.get(place).map(|adapter| &adapter.info)
    }

    /// Copies an adapter into the arena and lays out anew what is above it; see `rearrange`, which also says what is
    /// lost. `base`: SHA-256 of the model file, if it is to be compared with the one in the adapter.
    ///
    /// # Errors
    /// The adapter cannot be loaded; nothing has changed.
    pub fn load_adapter(
        &mut self,
        arena: &mut Arena<'_>,
        place: usize,
        file: &AdapterFile<'_>,
        base: Option<&[u8; 32]>,
    ) -> Result<AdapterInfo, AdapterError> {
        match self.adapters.0.get(place) {
            None => return Err(AdapterError::NoSuchAdapter(place)),
            Some(Some(_)) => return Err(AdapterError::Taken(place)),
            Some(None) => {}
        }
        let size = file.check(&self.base(), base)?;
        let before = self.plan_without_training()?;
        let bytes = before.adapters.saturating_add(size.info.bytes);
        let plan = self
            .plan_with(bytes, 0, true)
            .map_err(AdapterError::TooLarge)?;
        arena.rollback(self.fixed);
        match Adapter::load(file, &size, &self.base(), arena) {
            Ok(adapter) => {
                self.adapters.0[place] = Some(adapter);
                self.fixed = arena.mark();
                self.lay_out_volatile(plan, true, arena)?;
                Ok(size.info)
            }
            Err(error) => {
                arena.rollback(self.fixed);
                self.lay_out_volatile(before, true, arena)?;
                Err(error)
            }
        }
    }

    /// Removes an adapter from the arena. Adapters above it move down, and what is above them all is laid out anew; see
    /// `rearrange`, which also says what is lost.
    ///
    /// # Errors
    /// There is no such adapter, or training is in progress above it; nothing has changed.
    pub fn drop_adapter(
        &mut self,
        arena: &mut Arena<'_>,
        place: usize,
    ) -> Result<(), AdapterError> {
        let missing = AdapterError::NoSuchAdapter(place);
        let adapter = self.adapters.0.get(place).copied().flatten();
        let adapter = adapter.ok_or(missing)?;
        let before = self.plan_without_training()?;
        let adapters = before.adapters.saturating_sub(adapter.info.bytes);
        let plan = self
            .plan_with(adapters, 0, true)
            .map_err(AdapterError::TooLarge)?;
        let (start, bytes) = (adapter.start(), adapter.info.bytes as usize);
        arena.rollback(self.fixed);
        arena.remove(start..start + bytes, Purpose::Adapters);
        self.fixed = arena.mark();
        self.adapters.0[place] = None;
        for other in self.adapters.0.iter_mut().flatten() {
            if other.start() > start {
                other.table = other.table.moved_down(bytes);
                other.data = other.data.moved_down(bytes);
            }
        }
        self.lay_out_volatile(plan, true, arena)?;
        Ok(())
    }

    /// The current plan, unless training is in progress.
    const fn plan_without_training(&self) -> Result<Plan, AdapterError> {
        match self.plan.training {
            0 => Ok(self.plan),
            _ => Err(AdapterError::Training),
        }
    }
}

const _: () = assert!(size_of::<SiteEntry>() * 4 == ALIGNMENT);
