//! Training of an adapter by backpropagation, on the device.
//!
//! One example is one update. Its tokens go forward through all blocks as inference takes them, with the adapter as it is;
//! what enters each block is kept. From the loss the gradients go back block by block, and of each block everything is
//! computed again that they need. So memory is that of the inputs, of one block's keys and values, and of a chunk of tokens
//! in one block. What activations lose when they become bytes counts as nothing on the way back.
//!
//! A `Training` lies in its own part of the arena, above the model, and goes on in steps of bounded work
//! (`transformer::steps`). What it makes is a function of base, data and parameters: neither the CPU, nor how
//! steps are cut, nor how many tokens a chunk has shows in a bit of it.

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

/// Longest data in bytes: it is read at once.
pub const MAX_DATA_BYTES: usize = 128 << 10;

/// Largest α, in millionths.
const MAX_ALPHA: u32 = 1_024_000_000;

/// Largest rate, in billionths.
const MAX_RATE: u32 = 1_000_000_000;

const MILLION: f64 = 1e6;
const BILLION: f64 = 1e9;

/// Which matrices of every block are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Those of attention: queries, keys, values and output.
    Attention,
    /// Those of the feed-forward layer, too.
    All,
}

/// How an adapter is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainParams {
    /// Of the matrices, 1 to [`super::MAX_RANK`].
    pub rank: u32,
    /// α in millionths: products are multiplied by α / rank.
    pub alpha: u32,
    /// How often all examples are gone through, at least 1.
    pub epochs: u32,
    /// The largest learning rate, in billionths.
    pub rate: u32,
    /// Which matrices are changed.
    pub targets: Targets,
    /// Of the first values, and of the order of the examples.
    pub seed: u64,
    /// SHA-256 of the base's file, which the adapter's file names.
    pub base: [u8; 32],
}

/// What a training will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainPlan {
    /// Examples in the data.
    pub examples: u32,
    /// Updates of the adapter, over all epochs.
    pub steps: u32,
    /// Tokens that go through the model, over all epochs.
    pub tokens: u64,
    /// Tokens of the longest example.
    pub longest: u32,
    /// Bytes that it takes in the arena while it goes on.
    pub bytes: u64,
    /// Bytes of the adapter's file.
    pub file: u64,
    /// Whether requests for text wait until it is over: there is no memory for both.
    pub alone: bool,
}

/// How far a training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainProgress {
    /// Updates that are done.
    pub step: u32,
    /// Updates in all.
    pub steps: u32,
    /// Tokens that have gone through the model.
    pub tokens: u64,
    /// Mean loss of the examples since the last epoch began, in nats a token.
    pub loss: f32,
    /// Bytes of the adapter's file, which is ready; 0 before the end, and if it was stopped.
    pub made: u64,
    /// Whether it is over.
    pub over: bool,
}

/// Why an adapter is not trained.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// There is no model that it could change.
    #[error("no model is loaded")]
    NoModel,
    /// One is under way.
    #[error("a training is under way")]
    Busy,
    /// A parameter is out of its range.
    #[error("{what} is {value}, not {range}")]
    Parameter {
        /// Which.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// There are no examples.
    #[error("the data holds no examples")]
    Empty,
    /// Too much data.
    #[error("the data has {bytes} bytes, at most {MAX_DATA_BYTES} can be used")]
    TooLong {
        /// Bytes that it has.
        bytes: usize,
    },
    /// The data is no UTF-8.
    #[error("line {line} is not UTF-8")]
    NotUtf8 {
        /// Where, from 1.
        line: u32,
    },
    /// A line is not a JSON object with the members that are needed.
    #[error("line {line} is no example: {what}")]
    Malformed {
        /// Where, from 1.
        line: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// An example is longer than the context.
    #[error("the example of line {line} has {tokens} tokens, the context {limit}")]
    Context {
        /// Where, from 1.
        line: u32,
        /// Tokens that it has.
        tokens: usize,
        /// Tokens of the context.
        limit: usize,
    },
    /// A text is longer than the tokenizer's scratch.
    #[error(
        "the text of line {line} has {bytes} bytes, the tokenizer has room for {limit}: divide it, or load the model for longer prompts"
    )]
    TextTooLong {
        /// Where, from 1.
        line: u32,
        /// Bytes that it has.
        bytes: usize,
        /// Bytes of the longest text.
        limit: usize,
    },
    /// The vocabulary has no token for a byte of the data.
    #[error("the model has no token for the byte {byte:#04x} in line {line}")]
    NoToken {
        /// Where, from 1.
        line: u32,
        /// The byte.
        byte: u8,
    },
    /// The memory does not suffice, not even without requests for text.
    #[error(
        "{needed} bytes are needed for examples of {tokens} tokens, {free} are free; {}", Fits { longest: *longest, rank: *rank }
    )]
    Memory {
        /// Bytes needed.
        needed: u64,
        /// Bytes that there would be.
        free: u64,
        /// Tokens of the longest example.
        tokens: u32,
        /// Longest example for which there would be enough, 0 if there is none.
        longest: u32,
        /// Largest rank for which there would be enough, 0 if there is none.
        rank: u32,
    },
    /// The memory suffices for the training alone, and requests are under way.
    #[error("memory allows the training only alone, and {requests} requests are under way")]
    Requests {
        /// How many.
        requests: usize,
    },
    /// The plan was wrong, which is a bug in the engine.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// A value in the computation was not finite.
    #[error("a value was not finite after {step} steps: try a smaller rate")]
    NonFinite {
        /// Updates that were done.
        step: u32,
    },
    /// The model has something that cannot be trained.
    #[error("the model cannot be trained: {0}")]
    Unsupported(Name),
}

/// What would fit, in words.
#[derive(Clone, Copy, Debug)]
pub struct Fits {
    /// As in [`TrainError::Memory`].
    pub longest: u32,
    /// As in [`TrainError::Memory`].
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

/// Chunks of tokens, from the largest: the larger, the less often a matrix is made floats.
const CHUNKS: [usize; 4] = [MAX_BATCH, 32, 16, 8];

/// With smaller chunks, a training had better have the memory to itself: it would take twice as long.
const SMALLEST_BESIDE_REQUESTS: usize = 16;

/// A training whose data has been read, before it has memory.
#[derive(Debug)]
pub(crate) struct Draft<'d> {
    data: &'d [u8],
    params: TrainParams,
    adapted: Adapted,
    sizes: Sizes,
}

/// An error if a parameter is not fine.
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
    /// One is out of its range.
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
    /// Something is wrong with data or parameters.
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

    /// Chooses the largest chunk for which there is room, beside requests if that is possible. Bytes that are needed, and
    /// whether requests are still served.
    ///
    /// # Errors
    /// The memory does not suffice.
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

    /// Why it cannot be done in `free` bytes.
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

    /// Takes the memory that was chosen.
    ///
    /// # Errors
    /// There is not so much.
    pub(crate) fn take(
        &self,
        config: &Config,
        arena: &mut Arena<'_>,
    ) -> Result<Memory, ArenaError> {
        Area::lay_out(config, &self.sizes, &mut InTraining(arena)).map(Memory)
    }

    /// Puts the data's tokens into its memory and begins.
    ///
    /// # Errors
    /// None that has not come before.
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

/// The largest number up to `most` for which `fits` is true, by halving; 0 if there is none.
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

/// Lends the tokenizer to `run`.
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

/// Puts the tokens of all examples into a training's memory.
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

/// The memory of a training.
#[derive(Debug)]
pub(crate) struct Memory(Area);

/// Hands out a training's memory.
struct InTraining<'a, 'm>(&'a mut Arena<'m>);

impl Allocate for InTraining<'_, '_> {
    fn take<T: crate::arena::Plain>(&mut self, len: usize) -> Result<Span<T>, ArenaError> {
        self.0.alloc(len, crate::arena::Purpose::Training)
    }
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The first values of the adapter.
    Values,
    /// The angles of the positions of a chunk of the longest example.
    Angles(usize),
    /// An example is chosen; gradients are cleared.
    Begin,
    /// The vectors of a chunk's tokens.
    Embed(usize),
    /// A chunk through a block.
    Forward(usize, usize),
    /// The loss of a chunk of those positions that have one.
    Loss(usize),
    /// Keys and values of a chunk in a block, again.
    Keys(usize, usize),
    /// A chunk's way back through a block; chunks count down.
    Back(usize, usize),
    /// The size of all gradients.
    Measure,
    /// The adapter's step.
    Update,
    /// The file.
    Write,
    /// It is over.
    Over,
}

/// The example at work.
#[derive(Clone, Copy, Debug, Default)]
struct Example {
    /// Its first token among those of all.
    start: usize,
    /// Its positions.
    positions: usize,
    /// The first of them that has a loss.
    first: usize,
}

impl Example {
    /// Those that have a loss.
    const fn taught(&self) -> usize {
        self.positions - self.first
    }
}

/// Losses of the examples since an epoch began.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    sum: f64,
    count: u32,
}

/// An adapter in the making.
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
    /// Σ loss of the example at work.
    loss: f64,
    losses: Losses,
    /// Σ gradient².
    squares: f64,
    /// Bytes of the file.
    file: usize,
}

impl Training {
    /// What it does.
    pub(crate) const fn plan(&self) -> &TrainPlan {
        &self.plan
    }

    /// Whether it has made its file.
    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// How far it is.
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

    /// Bytes of the file that it has made, from `offset` on.
    pub(crate) fn made<'a>(&self, arena: &'a Arena<'_>, offset: usize) -> &'a [u8] {
        if !self.is_over() {
            return &[];
        }
        let bytes = arena.get(self.area.moments).as_bytes();
        bytes.get(offset..self.file).unwrap_or(&[])
    }

    /// Goes on by so many multiply-accumulates, at least one part of an operation.
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

    /// Goes on within a stage; what is left of the work.
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

    /// The positions of chunk `n` of those from `first` on.
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

    /// What follows the stage that is done.
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
            // The keys and values of the last block are those that are there.
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
    /// A from −1/√columns to 1/√columns, as PEFT begins; B is zero.
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
                        // 24 bits: every one of these numbers is an f32.
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

    /// The example of a step. Each epoch has them in another order.
    fn choose(&mut self, step: u32, generator: &mut Xoshiro256PlusPlus) -> Example {
        let count = self.examples();
        let place = (step % count.max(1)) as usize;
        let order = self.working.get_mut(self.area.order);
        if place == 0 {
            for (n, order) in order.iter_mut().enumerate() {
                *order = n as u32;
            }
            for n in (1..order.len()).rev() {
                // Of 2^64 numbers, none of a few thousand comes noticeably more often.
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

    /// Positions without a loss have no gradient of their own.
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
