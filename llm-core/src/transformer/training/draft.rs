//! Training before it runs: reads the data, chooses the memory, and begins.

use super::adapted::Adapted;
use super::area::{Area, Sizes};
use super::data::{Count, Tokens};
use super::example::Example;
use super::params::TrainParams;
use super::report::{TrainError, TrainPlan};
use super::{Losses, Stage, Training, data, file};
use crate::arena::{Arena, ArenaError, Span, as_mut};
use crate::gguf;
use crate::transformer::buffers::{Allocate, Counter};
use crate::transformer::steps::Cursor;
use crate::transformer::{Config, MAX_BATCH, Model};
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Chunk sizes in tokens, largest first: the larger the chunk, the less often a matrix is dequantised.
const CHUNKS: [usize; 4] = [MAX_BATCH, 32, 16, 8];

/// With smaller chunks, training would take twice as long, so it gets the memory to itself instead.
const SMALLEST_BESIDE_REQUESTS: usize = 16;

/// Training whose data was read, before it has memory.
#[derive(Debug)]
pub(crate) struct Draft<'d> {
    data: &'d [u8],
    params: TrainParams,
    adapted: Adapted,
    pub(super) sizes: Sizes,
}

impl<'d> Draft<'d> {
    /// Reads all data. Only the tokenizer's scratch changes.
    ///
    /// # Errors
    /// The data or a parameter is invalid.
    pub(crate) fn read(
        model: &Model,
        arena: &mut Arena<'_>,
        data: &'d [u8],
        params: &TrainParams,
    ) -> Result<Self, TrainError> {
        params.check()?;
        let config = &model.config;
        let rank = params.rank as usize;
        let fused = |layer: usize| {
            model
                .weights
                .layers
                .get(layer)
                .is_some_and(|layer| layer.fused)
        };
        if (0..config.layers).any(|layer| fused(layer) != fused(0)) {
            let what = "attn_qkv is in some of its blocks only";
            return Err(TrainError::Unsupported(gguf::name(what)));
        }
        let adapted = Adapted::of(config, fused(0), params.targets, rank);
        let Count {
            examples,
            tokens,
            longest,
        } = tokens(model, arena, |tokens| data::count(data, tokens))?;
        let sizes = Sizes {
            examples,
            tokens,
            longest,
            rank,
            parameters: adapted.per_block * config.layers,
            file: file::bytes(config, &adapted, params),
            chunk: MAX_BATCH,
        };
        Ok(Self {
            data,
            params: *params,
            adapted,
            sizes,
        })
    }

    /// Chooses the largest chunk for which there is room, beside requests if possible. Returns the bytes needed, and
    /// whether requests are still served.
    ///
    /// # Errors
    /// The memory is insufficient.
    pub(crate) fn choose(&mut self, model: &Model) -> Result<(u64, bool), TrainError> {
        let adapters = model.plan().adapters;
        let smallest = [SMALLEST_BESIDE_REQUESTS, 0];
        for (serves, smallest) in [true, false].into_iter().zip(smallest) {
            for chunk in CHUNKS.into_iter().filter(|chunk| *chunk >= smallest) {
                self.sizes.chunk = chunk;
                let bytes = bytes(model, &self.sizes);
                if model.plan_with(adapters, bytes, serves).is_ok() {
                    return Ok((bytes, serves));
                }
            }
        }
        let alone = model.plan_with(adapters, 0, false);
        let free = alone.map_or(0, |plan| plan.capacity.saturating_sub(plan.total()));
        Err(self.too_large(model, free))
    }

    /// The error if it does not fit `free` bytes.
    fn too_large(&self, model: &Model, free: u64) -> TrainError {
        let smallest = Sizes {
            chunk: CHUNKS[CHUNKS.len() - 1],
            ..self.sizes
        };
        let fits = |sizes: Sizes| bytes(model, &sizes) <= free;
        let longest = largest(self.sizes.longest, |longest| {
            longest > 1
                && fits(Sizes {
                    longest,
                    ..smallest
                })
        });
        let rank = largest(self.sizes.rank, |rank| {
            let fused = model
                .weights
                .layers
                .first()
                .is_some_and(|layer| layer.fused);
            let adapted = Adapted::of(&model.config, fused, self.params.targets, rank);
            fits(Sizes {
                rank,
                parameters: adapted.per_block * model.config.layers,
                file: file::bytes(&model.config, &adapted, &self.params),
                ..smallest
            })
        });
        TrainError::Memory {
            needed: bytes(model, &smallest),
            free,
            tokens: self.sizes.longest as u32,
            longest: longest as u32,
            rank: rank as u32,
        }
    }

    /// Allocates the memory that was chosen.
    ///
    /// # Errors
    /// There is not enough memory.
    pub(crate) fn take(
        &self,
        config: &Config,
        arena: &mut Arena<'_>,
    ) -> Result<Memory, ArenaError> {
        Area::lay_out(config, &self.sizes, &mut InTraining(arena)).map(Memory)
    }

    /// Puts the data's tokens into its memory and starts.
    ///
    /// # Errors
    /// Only errors that `read` would have returned as well.
    pub(crate) fn begin(
        self,
        memory: Memory,
        model: &Model,
        arena: &mut Arena<'_>,
        alone: bool,
    ) -> Result<Training, TrainError> {
        let Self {
            data,
            params,
            adapted,
            sizes,
        } = self;
        let Memory(area) = memory;
        let steps = (sizes.examples as u32).saturating_mul(params.epochs);
        let positions = (sizes.tokens - sizes.examples) as u64;
        let plan = TrainPlan {
            examples: sizes.examples as u32,
            steps,
            tokens: positions * u64::from(params.epochs),
            longest: sizes.longest as u32,
            bytes: bytes(model, &sizes),
            file: sizes.file as u64,
            alone,
        };
        fill(data, &area, model, arena)?;
        Ok(Training {
            generator: Xoshiro256PlusPlus::seed_from_u64(params.seed),
            params,
            adapted,
            area,
            chunk: sizes.chunk,
            room: sizes.positions(),
            plan,
            stage: Stage::Values,
            cursor: Cursor::default(),
            step: 0,
            example: Example::default(),
            tokens: 0,
            loss: 0.0,
            losses: Losses::default(),
            squares: 0.0,
            file: sizes.file,
        })
    }
}

/// The largest number up to `most` for which `fits` is true, by bisection; 0 if there is none.
fn largest(most: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut fitting, mut beyond) = (0, most + 1);
    while beyond - fitting > 1 {
        let middle = fitting + (beyond - fitting) / 2;
        match fits(middle) {
            true => fitting = middle,
            false => beyond = middle,
        }
    }
    fitting
}

pub(super) fn bytes(model: &Model, sizes: &Sizes) -> u64 {
    let mut counter = Counter(0);
    // The counter never fails.
    let _ = Area::lay_out(&model.config, sizes, &mut counter);
    counter.0
}

/// Calls `run` with the tokenizer.
pub(super) fn tokens<T>(
    model: &Model,
    arena: &mut Arena<'_>,
    run: impl FnOnce(&mut Tokens<'_>) -> T,
) -> T {
    let context = model.context();
    let vocabulary = *model.vocabulary();
    let workspace = model.tokenizing(arena, 0);
    run(&mut Tokens {
        vocabulary: vocabulary.view(workspace.frozen.get(vocabulary.table())),
        cells: &mut workspace.cells[..model.prompt_cells().len()],
        context,
    })
}

/// Writes the tokens of all examples to the training's memory.
pub(super) fn fill(
    data: &[u8],
    area: &Area,
    model: &Model,
    arena: &mut Arena<'_>,
) -> Result<(), TrainError> {
    let context = model.context();
    let vocabulary = *model.vocabulary();
    let (frozen, working) = arena.split(model.frozen);
    let [ids, examples, cells] = working.into_disjoint([
        area.tokens.range(),
        area.examples.range(),
        model.prompt_cells().range(),
    ]);
    let mut tokens = Tokens {
        vocabulary: vocabulary.view(frozen.get(vocabulary.table())),
        cells: as_mut(cells),
        context,
    };
    data::fill(data, &mut tokens, as_mut(ids), as_mut(examples))
}

/// The memory of a training job.
#[derive(Debug)]
pub(crate) struct Memory(pub(super) Area);

/// Allocates a training job's memory.
struct InTraining<'a, 'm>(&'a mut Arena<'m>);

impl Allocate for InTraining<'_, '_> {
    fn take<T: crate::arena::Plain>(&mut self, len: usize) -> Result<Span<T>, ArenaError> {
        self.0.alloc(len, crate::arena::Purpose::Training)
    }
}
