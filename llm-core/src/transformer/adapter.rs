//! Low-rank adapters (LoRA): y = W x + b becomes y = W x + b + (α / r) · B (A x).
//!
//! Source: Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models* (2021). A is \[r, columns of W\], B is
//! \[rows of W, r\]; a file calls them `NAME.lora_a` and `NAME.lora_b` for the tensor `NAME` of the base.
//!
//! In the arena they are floats, A row by row and B transposed, so that both are read in order. An adapter is a table of
//! the model's matrices, which says where those are that it changes, and then its matrices. Offsets count from there, so
//! an adapter can be moved as it is.

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
use crate::gguf::{GgufError, KeyError, Name};
use crate::quantize;
use file::{fit, padded};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
    /// A training is under way, or what it has made has not been taken: it lies above the adapters.
    #[error("a training is under way: adapters can be loaded and dropped when it has ended")]
    Training,
    /// The file is no GGUF file, or lacks a key.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A key of adapters is not known.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It is a GGUF file of something else.
    #[error("{key} is {value}, not {expected}: this is no adapter")]
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
    /// It does not name the file of the model as it should.
    #[error("{BASE_SHA256_KEY} is not a SHA-256 of 64 hexadecimal digits")]
    BadDigest,
    /// α is not a finite number above 0.
    #[error("adapter.lora.alpha is not a finite number above 0")]
    Alpha,
    /// A tensor changes nothing that the model has, or nothing that an adapter may change.
    #[error(
        "the tensor {0} is for no matrix of the model's blocks, nor for its output.weight: nothing else can be adapted"
    )]
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
    #[error("the tensor {tensor} is for a side of {size} elements, the model's has {expected}")]
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

/// Where an adapter has what it adds to a matrix, in floats from the beginning of its data.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Entry {
    /// 0: it does not change the matrix.
    rank: u32,
    a: u32,
    b: u32,
    scale: f32,
}

/// An adapter in the arena.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adapter {
    info: AdapterInfo,
    /// One for each [`Site`].
    table: Span<Entry>,
    data: Span<f32>,
}

/// What an adapter adds to a matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delta<'a> {
    /// \[rank, columns\]
    pub(super) a: &'a [f32],
    /// \[rank, rows\]
    pub(super) b: &'a [f32],
    pub(super) scale: f32,
    pub(super) rank: usize,
}

/// Bytes in the arena of an adapter with so many floats.
fn bytes(config: &Config, floats: usize) -> u64 {
    let table = bytes_of::<Entry>(Site::count(config));
    let data = bytes_of::<f32>(floats);
    match (table, data) {
        (Some(table), Some(data)) => table.saturating_add(data) as u64,
        _ => u64::MAX,
    }
}

impl Adapter {
    /// Copies one into the arena that fits `base`.
    fn load(
        file: &AdapterFile<'_>,
        size: &AdapterSize,
        base: &Base<'_>,
        arena: &mut Arena<'_>,
    ) -> Result<Self, AdapterError> {
        let adapter = Self {
            info: size.info,
            table: arena.alloc(Site::count(base.config), Purpose::Adapters)?,
            data: arena.alloc(size.floats, Purpose::Adapters)?,
        };
        let mut end = 0;
        let mut take = |len: usize| {
            let start = end;
            end += padded(len);
            start
        };
        for pair in file.pairs() {
            let target = fit(&pair, base)?;
            let rank = pair.rank();
            let a = take(rank * target.columns);
            let to = adapter.data.part(a, rank * target.columns);
            // Shapes and types were checked.
            let _ = quantize::dequantize_row(pair.a.ty, pair.a.data, arena.get_mut(to));
            let mut rows_of_b = pair.b.data.chunks_exact(pair.b.data.len() / target.rows());
            for (site, rows) in target.parts {
                let b = take(rank * rows);
                arena.get_mut(adapter.table)[site.0] = Entry {
                    rank: rank as u32,
                    a: a as u32,
                    b: b as u32,
                    scale: file.scale(&pair),
                };
                let to = arena.get_mut(adapter.data.part(b, rank * rows));
                for (row, bytes) in rows_of_b.by_ref().take(rows).enumerate() {
                    let mut values = [0.0; MAX_RANK];
                    let values = &mut values[..rank];
                    let _ = quantize::dequantize_row(pair.b.ty, bytes, values);
                    for (to, value) in to.chunks_exact_mut(rows).zip(values) {
                        to[row] = *value;
                    }
                }
            }
        }
        Ok(adapter)
    }

    /// Bytes in the arena.
    const fn start(&self) -> usize {
        self.table.range().start
    }

    /// What it adds to a matrix of so many rows and columns, if it changes it.
    pub(super) fn delta<'f>(
        &self,
        site: Site,
        rows: usize,
        columns: usize,
        frozen: Frozen<'f>,
    ) -> Option<Delta<'f>> {
        let entry = frozen.get(self.table).get(site.0)?;
        let rank = entry.rank as usize;
        let part =
            |start: u32, side: usize| frozen.get(self.data.part(start as usize, rank * side));
        (rank > 0).then(|| Delta {
            a: part(entry.a, columns),
            b: part(entry.b, rows),
            scale: entry.scale,
            rank,
        })
    }
}

/// The adapters of a model, by their places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adapters([Option<Adapter>; MAX_ADAPTERS]);

impl Adapters {
    /// There are none.
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

    /// Copies an adapter into the arena and lays out anew what lies above it: see [`Self::rearrange`], also for what is lost.
    /// `base`: SHA-256 of the model's file, if that is to be compared with what the adapter's says.
    ///
    /// # Errors
    /// Why it is not loaded; nothing has changed.
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

    /// Takes an adapter out of the arena. Those that lie above it move down, and what lies above them all is laid out anew:
    /// see [`Self::rearrange`], also for what is lost.
    ///
    /// # Errors
    /// There is none, or a training lies above it; nothing has changed.
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

    /// The plan in force, if there is no training.
    const fn plan_without_training(&self) -> Result<Plan, AdapterError> {
        match self.plan.training {
            0 => Ok(self.plan),
            _ => Err(AdapterError::Training),
        }
    }
}

const _: () = assert!(size_of::<Entry>() * 4 == ALIGNMENT);
