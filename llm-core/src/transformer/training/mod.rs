//! Training of an adapter by backpropagation, on the device.
//!
//! One example is one update. Its tokens go forward through all blocks as in inference, with the current adapter; the
//! input of each block is kept. From the loss, the gradients go back block by block, recomputing everything needed
//! within each block. So the memory needed is that of the inputs, of one block's keys and values, and of a chunk of
//! tokens in one block. The rounding of activations to bytes is ignored in the backward pass.
//!
//! A `Training` has its own part of the arena, above the model, and runs in steps of bounded work
//! (`transformer::steps`). Its result is a function of base, data and parameters: no bit of it depends on the CPU, on
//! how steps are split, or on the number of tokens in a chunk.

mod adapted;
mod area;
#[cfg(test)]
mod autograd_tests;
mod backward;
mod data;
#[cfg(test)]
mod data_tests;
mod file;
mod forward;
#[cfg(test)]
mod gradient_tests;
mod job;
mod json;
mod loss;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
mod update;

use super::layout::RearrangeError;
use super::steps::{Cursor, Meter, Stepwise, Stop};
use super::{Config, MAX_BATCH, MAX_RANK, Model};
use crate::arena::{Arena, ArenaError, Span, as_mut};
use crate::gguf::{self, Name};
use crate::transformer::buffers::{Allocate, Counter};
use adapted::Adapted;
use area::{Area, Sizes};
use core::fmt;
use data::{Count, Tokens};
use job::Job;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use zerocopy::IntoBytes;

/// Longest data in bytes: it is read in one go.
pub const MAX_DATA_BYTES: usize = 128 << 10;

/// Largest α, in millionths.
const MAX_ALPHA: u32 = 1_024_000_000;

/// Largest rate, in billionths.
const MAX_RATE: u32 = 1_000_000_000;

const MILLION: f64 = 1e6;
const BILLION: f64 = 1e9;

/// Which matrices of every block are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Only those of attention: queries, keys, values and output.
    Attention,
    /// Those of attention and the feed-forward layer.
    All,
}

/// How an adapter is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainParams {
    /// Rank of the matrices, 1 to [`super::MAX_RANK`].
    pub rank: u32,
    /// α in millionths: products are scaled by α / rank.
    pub alpha: u32,
    /// Passes over all examples, at least 1.
    pub epochs: u32,
    /// The largest learning rate, in billionths.
    pub rate: u32,
    /// Which matrices are trained.
    pub targets: Targets,
    /// Seed for the initial values and the order of the examples.
    pub seed: u64,
    /// SHA-256 of the base's file, which the adapter's file will name.
    pub base: [u8; 32],
}

/// What a training job will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainPlan {
    /// Examples in the data.
    pub examples: u32,
    /// Updates of the adapter, over all epochs.
    pub steps: u32,
    /// Tokens processed by the model, over all epochs.
    pub tokens: u64,
    /// Tokens of the longest example.
    pub longest: u32,
    /// Bytes that it occupies in the arena while running.
    pub bytes: u64,
    /// Bytes of the adapter's file.
    pub file: u64,
    /// Whether requests for text wait until it is done, because there is no memory for both.
    pub alone: bool,
}

/// Progress of a training job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainProgress {
    /// Updates done.
    pub step: u32,
    /// Total number of updates.
    pub steps: u32,
    /// Tokens processed by the model.
    pub tokens: u64,
    /// Mean loss of the examples since the epoch began, in nats per token.
    pub loss: f32,
    /// Size of the finished adapter's file in bytes; 0 before the end, and if it was stopped.
    pub made: u64,
    /// Whether it is over.
    pub over: bool,
}

/// Why an adapter cannot be trained.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// No model is loaded.
    #[error("no model is loaded")]
    NoModel,
    /// Training is already running.
    #[error("a training is under way")]
    Busy,
    /// A parameter is out of range.
    #[error("{what} is {value}, not {range}")]
    Parameter {
        /// The parameter.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The allowed range.
        range: &'static str,
    },
    /// There are no examples.
    #[error("the data holds no examples")]
    Empty,
    /// There is too much data.
    #[error("the data has {bytes} bytes, at most {MAX_DATA_BYTES} can be used")]
    TooLong {
        /// Size of the data in bytes.
        bytes: usize,
    },
    /// The data is not UTF-8.
    #[error("line {line} is not UTF-8")]
    NotUtf8 {
        /// The line, from 1.
        line: u32,
    },
    /// A line is not a JSON object with the members that are needed.
    #[error("line {line} is not an example: {what}")]
    Malformed {
        /// The line, from 1.
        line: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// An example is longer than the context.
    #[error("the example of line {line} has {tokens} tokens, the context {limit}")]
    Context {
        /// The line, from 1.
        line: u32,
        /// Tokens of the example.
        tokens: usize,
        /// Tokens of the context.
        limit: usize,
    },
    /// A text is longer than the tokenizer's scratch.
    #[error(
        "the text of line {line} has {bytes} bytes, the tokenizer has room for {limit}: divide it, or load the model for longer prompts"
    )]
    TextTooLong {
        /// The line, from 1.
        line: u32,
        /// Size of the text in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The vocabulary has no token for a byte of the data.
    #[error("the model has no token for the byte {byte:#04x} in line {line}")]
    NoToken {
        /// The line, from 1.
        line: u32,
        /// The byte.
        byte: u8,
    },
    /// The memory is insufficient, even without requests for text.
    #[error(
        "{needed} bytes are needed for examples of {tokens} tokens, {free} are free; {}", Fits { longest: *longest, rank: *rank }
    )]
    Memory {
        /// Bytes needed.
        needed: u64,
        /// Bytes that would be available.
        free: u64,
        /// Tokens of the longest example.
        tokens: u32,
        /// Longest example that would fit; 0 if none does.
        longest: u32,
        /// Largest rank that would fit; 0 if none does.
        rank: u32,
    },
    /// The training fits in memory only on its own, and requests are in flight.
    #[error("memory allows the training only alone, and {requests} requests are under way")]
    Requests {
        /// Number of requests.
        requests: usize,
    },
    /// The plan was wrong, which is a bug in the engine.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// A value in the computation was not finite.
    #[error("a value was not finite after {step} steps: try a smaller rate")]
    NonFinite {
        /// Updates done.
        step: u32,
    },
    /// The model has a feature that cannot be trained.
    #[error("the model cannot be trained: {0}")]
    Unsupported(Name),
}

/// Formats what would fit.
#[derive(Clone, Copy, Debug)]
pub struct Fits {
    /// See [`TrainError::Memory`].
    pub longest: u32,
    /// See [`TrainError::Memory`].
    pub rank: u32,
}

impl fmt::Display for Fits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.longest, self.rank) {
            (0, 0) => f.write_str("neither a smaller rank nor shorter examples would fit"),
            (0, rank) => write!(
                f,
                "a rank of {rank} would fit, shorter examples alone would not"
            ),
            (longest, 0) => write!(
                f,
                "examples of {longest} tokens would fit, a smaller rank alone would not"
            ),
            (longest, rank) => {
                write!(
                    f,
                    "a rank of {rank} would fit, or examples of {longest} tokens"
                )
            }
        }
    }
}

impl From<RearrangeError> for TrainError {
    fn from(error: RearrangeError) -> Self {
        match error {
            RearrangeError::TooLarge(plan) => Self::Memory {
                needed: plan.total(),
                free: plan.capacity,
                tokens: 0,
                longest: 0,
                rank: 0,
            },
            RearrangeError::Arena(error) => error.into(),
        }
    }
}

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
    sizes: Sizes,
}

/// Returns an error unless a parameter is valid.
fn check(
    what: &'static str,
    value: f64,
    is_fine: bool,
    range: &'static str,
) -> Result<(), TrainError> {
    match is_fine {
        true => Ok(()),
        false => Err(TrainError::Parameter { what, value, range }),
    }
}

impl TrainParams {
    /// # Errors
    /// A parameter is out of range.
    fn check(&self) -> Result<(), TrainError> {
        let (rank, epochs) = (f64::from(self.rank), f64::from(self.epochs));
        let rank_fits = (1..=MAX_RANK as u32).contains(&self.rank);
        check("the rank", rank, rank_fits, "1 to 64")?;
        let alpha_fits = (1..=MAX_ALPHA).contains(&self.alpha);
        let alpha = f64::from(self.alpha) / MILLION;
        check("alpha", alpha, alpha_fits, "above 0, up to 1024")?;
        check(
            "the number of epochs",
            epochs,
            (1..=1000).contains(&self.epochs),
            "1 to 1000",
        )?;
        let rate_fits = (1..=MAX_RATE).contains(&self.rate);
        let rate = f64::from(self.rate) / BILLION;
        check("the rate", rate, rate_fits, "above 0, up to 1")
    }

    /// α as a number.
    fn alpha(&self) -> f32 {
        (f64::from(self.alpha) / MILLION) as f32
    }

    /// The largest learning rate as a number.
    fn rate(&self) -> f32 {
        (f64::from(self.rate) / BILLION) as f32
    }
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

fn bytes(model: &Model, sizes: &Sizes) -> u64 {
    let mut counter = Counter(0);
    // The counter never fails.
    let _ = Area::lay_out(&model.config, sizes, &mut counter);
    counter.0
}

/// Calls `run` with the tokenizer.
fn tokens<T>(model: &Model, arena: &mut Arena<'_>, run: impl FnOnce(&mut Tokens<'_>) -> T) -> T {
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
fn fill(data: &[u8], area: &Area, model: &Model, arena: &mut Arena<'_>) -> Result<(), TrainError> {
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
pub(crate) struct Memory(Area);

/// Allocates a training job's memory.
struct InTraining<'a, 'm>(&'a mut Arena<'m>);

impl Allocate for InTraining<'_, '_> {
    fn take<T: crate::arena::Plain>(&mut self, len: usize) -> Result<Span<T>, ArenaError> {
        self.0.alloc(len, crate::arena::Purpose::Training)
    }
}

/// The next thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Initialise the adapter.
    Values,
    /// Compute the angles of a chunk's positions in the longest example.
    Angles(usize),
    /// Choose an example and clear the gradients.
    Begin,
    /// Embed a chunk's tokens.
    Embed(usize),
    /// Run a chunk forward through a block.
    Forward(usize, usize),
    /// Compute the loss of a chunk of the positions that have one.
    Loss(usize),
    /// Recompute keys and values of a chunk in a block.
    Keys(usize, usize),
    /// Run a chunk backward through a block; chunks count down.
    Back(usize, usize),
    /// Compute the norm of all gradients.
    Measure,
    /// Update the adapter.
    Update,
    /// Write the file.
    Write,
    /// Done.
    Over,
}

/// The current example.
#[derive(Clone, Copy, Debug, Default)]
struct Example {
    /// Index of its first token in the list of all tokens.
    start: usize,
    /// Number of its positions.
    positions: usize,
    /// The first position that has a loss.
    first: usize,
}

impl Example {
    /// Number of positions that have a loss.
    const fn taught(&self) -> usize {
        self.positions - self.first
    }
}

/// Losses of the examples since the epoch began.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    sum: f64,
    count: u32,
}

/// A training job.
#[derive(Debug)]
pub(crate) struct Training {
    params: TrainParams,
    plan: TrainPlan,
    adapted: Adapted,
    area: Area,
    chunk: usize,
    /// Positions of the longest example.
    room: usize,
    generator: Xoshiro256PlusPlus,
    stage: Stage,
    cursor: Cursor,
    step: u32,
    example: Example,
    tokens: u64,
    /// Sum of the current example's losses.
    loss: f64,
    losses: Losses,
    /// Σ gradient².
    squares: f64,
    /// Bytes of the file.
    file: usize,
}

impl Training {
    /// What it will do.
    pub(crate) const fn plan(&self) -> &TrainPlan {
        &self.plan
    }

    /// Whether it has written its file.
    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Its progress.
    pub(crate) fn progress(&self) -> TrainProgress {
        let over = self.is_over();
        TrainProgress {
            step: self.step,
            steps: self.plan.steps,
            tokens: self.tokens,
            loss: match self.losses.count {
                0 => 0.0,
                count => (self.losses.sum / f64::from(count)) as f32,
            },
            made: if over { self.file as u64 } else { 0 },
            over,
        }
    }

    /// Bytes of the finished file, from `offset`.
    pub(crate) fn made<'a>(&self, arena: &'a Arena<'_>, offset: usize) -> &'a [u8] {
        if !self.is_over() {
            return &[];
        }
        let bytes = arena.get(self.area.moments).as_bytes();
        bytes.get(offset..self.file).unwrap_or(&[])
    }

    /// Continues for this many multiply-accumulates, but at least by one part of an operation.
    ///
    /// # Errors
    /// A value was not finite. The training is lost, the model is not.
    pub(crate) fn advance(
        &mut self,
        model: &Model,
        arena: &mut Arena<'_>,
        work: u64,
    ) -> Result<TrainProgress, TrainError> {
        let mut work = work.max(1);
        while work > 0 && !self.is_over() {
            work = self.go_on(model, arena, work)?;
        }
        Ok(self.progress())
    }

    /// Continues within a stage; returns the work left.
    fn go_on(
        &mut self,
        model: &Model,
        arena: &mut Arena<'_>,
        work: u64,
    ) -> Result<u64, TrainError> {
        let (result, meter) = self.run_stage(model, arena, work);
        match result {
            Ok(()) => {
                self.stage = self.next(model);
                self.cursor = Cursor::default();
            }
            Err(Stop::Pause) => self.cursor = meter.cursor,
            Err(Stop::NonFinite) => return Err(TrainError::NonFinite { step: self.step }),
        }
        Ok(meter.work)
    }

    /// The positions of chunk `n`, counted from `first`.
    fn positions(&self, first: usize, n: usize) -> core::ops::Range<usize> {
        let start = first + n * self.chunk;
        start..self.example.positions.min(start + self.chunk)
    }

    fn run_stage(
        &mut self,
        model: &Model,
        arena: &mut Arena<'_>,
        work: u64,
    ) -> (Result<(), Stop>, Meter) {
        let chunk = match self.stage {
            Stage::Angles(n) => n * self.chunk..self.room.min((n + 1) * self.chunk),
            Stage::Loss(n) => self.positions(self.example.first, n),
            Stage::Embed(n) | Stage::Forward(_, n) | Stage::Keys(_, n) | Stage::Back(_, n) => {
                self.positions(0, n)
            }
            _ => 0..0,
        };
        let (frozen, working) = arena.split(model.frozen);
        let mut job = Job {
            model,
            frozen,
            working,
            adapted: &self.adapted,
            area: &self.area,
            scale: self.params.alpha() / self.params.rank as f32,
            room: self.room,
            chunk,
            meter: Meter {
                cursor: self.cursor,
                seen: 0,
                work,
            },
        };
        let start = self.example.start;
        let result = match self.stage {
            Stage::Values => job.first_values(&mut self.generator),
            Stage::Angles(_) => job.rotations(),
            Stage::Begin => {
                let (step, generator) = (self.step, &mut self.generator);
                let (example, losses) = (&mut self.example, &mut self.losses);
                (self.loss, self.squares) = (0.0, 0.0);
                job.clear_gradients().and_then(|()| {
                    job.once(|job| {
                        *example = job.choose(step, generator);
                        if step.is_multiple_of(job.examples()) {
                            *losses = Losses::default();
                        }
                        Ok(())
                    })
                })
            }
            Stage::Embed(_) => job.embed(start),
            Stage::Forward(layer, _) => job.block(layer),
            Stage::Loss(n) => {
                let weight = 1.0 / self.example.taught() as f32;
                let untaught = self.example.first;
                let cleared = match n {
                    0 => job.clear_untaught(untaught),
                    _ => Ok(()),
                };
                cleared.and_then(|()| job.loss(start, weight, &mut self.loss))
            }
            Stage::Keys(layer, _) => job.keys_and_values(layer),
            Stage::Back(layer, n) => {
                let last = (n + 1) * self.chunk >= self.example.positions;
                let cleared = match last {
                    true => job.clear_cache_gradients(),
                    false => Ok(()),
                };
                cleared.and_then(|()| job.block_back(layer))
            }
            Stage::Measure => job.measure(&mut self.squares),
            Stage::Update => {
                let rate = update::rate(self.params.rate(), self.step, self.plan.steps);
                job.update(self.step, rate, self.squares)
            }
            Stage::Write => job.write(&self.params),
            Stage::Over => Ok(()),
        };
        let meter = job.meter;
        let result = match (result, self.stage) {
            (Ok(()), Stage::Measure) if !self.squares.is_finite() => Err(Stop::NonFinite),
            (result, _) => result,
        };
        (result, meter)
    }

    /// The stage after the current one.
    fn next(&mut self, model: &Model) -> Stage {
        let layers = model.config.layers;
        let chunks = |positions: usize| positions.div_ceil(self.chunk);
        let all = chunks(self.example.positions);
        match self.stage {
            Stage::Values => Stage::Angles(0),
            Stage::Angles(n) if n + 1 < chunks(self.room) => Stage::Angles(n + 1),
            Stage::Angles(_) => Stage::Begin,
            Stage::Begin => Stage::Embed(0),
            Stage::Embed(n) if n + 1 < all => Stage::Embed(n + 1),
            Stage::Embed(_) => Stage::Forward(0, 0),
            Stage::Forward(layer, n) if n + 1 < all => Stage::Forward(layer, n + 1),
            Stage::Forward(layer, _) if layer + 1 < layers => Stage::Forward(layer + 1, 0),
            Stage::Forward(..) => Stage::Loss(0),
            Stage::Loss(n) if n + 1 < chunks(self.example.taught()) => Stage::Loss(n + 1),
            // The keys and values of the last block are still there.
            Stage::Loss(_) => Stage::Back(layers - 1, all - 1),
            Stage::Keys(layer, n) if n + 1 < all => Stage::Keys(layer, n + 1),
            Stage::Keys(layer, _) => Stage::Back(layer, all - 1),
            Stage::Back(layer, n) if n > 0 => Stage::Back(layer, n - 1),
            Stage::Back(layer, _) if layer > 0 => Stage::Keys(layer - 1, 0),
            Stage::Back(..) => Stage::Measure,
            Stage::Measure => Stage::Update,
            Stage::Update => {
                self.step += 1;
                self.tokens += self.example.positions as u64;
                self.losses.sum += self.loss / self.example.taught() as f64;
                self.losses.count += 1;
                match self.step < self.plan.steps {
                    true => Stage::Begin,
                    false => Stage::Write,
                }
            }
            Stage::Write | Stage::Over => Stage::Over,
        }
    }
}

impl Job<'_> {
    /// Initialises A from −1/√columns to 1/√columns, as PEFT does; B is zero.
    fn first_values(&mut self, generator: &mut Xoshiro256PlusPlus) -> Result<(), Stop> {
        let adapted = self.adapted;
        let layers = self.model.config.layers;
        let work = adapted.per_block as u64;
        self.in_parts(layers, work, |job, parts| {
            for layer in parts {
                for tensor in adapted.tensors() {
                    let Some(pair) = tensor
                        .slots
                        .first()
                        .and_then(|&slot| adapted.pair(layer, slot))
                    else {
                        continue;
                    };
                    let bound = 1.0 / libm::sqrtf(pair.columns as f32);
                    let a = job
                        .area
                        .parameters
                        .part(pair.a, adapted.rank * pair.columns);
                    for value in job.working.get_mut(a) {
                        // 24 bits, so that each number is exact in f32.
                        let unit = (generator.next_u64() >> 40) as f32 / (1u32 << 23) as f32;
                        *value = (unit - 1.0) * bound;
                    }
                }
            }
            Ok(())
        })
    }

    fn examples(&self) -> u32 {
        self.area.examples.len() as u32
    }

    /// The example of a step. Each epoch has another order.
    fn choose(&mut self, step: u32, generator: &mut Xoshiro256PlusPlus) -> Example {
        let count = self.examples();
        let place = (step % count.max(1)) as usize;
        let order = self.working.get_mut(self.area.order);
        if place == 0 {
            for (n, order) in order.iter_mut().enumerate() {
                *order = n as u32;
            }
            for n in (1..order.len()).rev() {
                // With 2^64 numbers, the bias among a few thousand is negligible.
                let other = generator.next_u64() % (n as u64 + 1);
                order.swap(n, other as usize);
            }
        }
        let chosen = order.get(place).copied().unwrap_or(0) as usize;
        let examples = self.working.get_mut(self.area.examples);
        let end = |n: usize| examples.get(n).map_or(0, |example| example[0] as usize);
        let start = chosen.checked_sub(1).map_or(0, end);
        let first = examples
            .get(chosen)
            .map_or(1, |example| example[1] as usize);
        Example {
            start,
            positions: (end(chosen) - start).saturating_sub(1),
            first: first.saturating_sub(1),
        }
    }

    /// Clears positions without a loss, which have no gradient of their own.
    fn clear_untaught(&mut self, count: usize) -> Result<(), Stop> {
        let width = self.width();
        let first = self.model.config.layers * self.room;
        let span = self.area.inputs.part(first * width, count * width);
        self.once(|job| {
            job.working.get_mut(span).fill(0.0);
            Ok(())
        })
    }

    fn clear_cache_gradients(&mut self) -> Result<(), Stop> {
        self.once(|job| {
            job.working.get_mut(job.area.cache_back).fill(0.0);
            Ok(())
        })
    }
}
