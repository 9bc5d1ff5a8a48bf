//! Arguments of `finetune`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use llm_core::simd::Cpu;
use llm_core::transformer::training::Targets;
use protocol::limits::maxima;
use protocol::wire::TrainParams;

use super::common::{EngineArg, LoraArg};
use super::run::CONTEXT;
use super::values::{Context, Fraction, Kv, Rate, cpu};
use crate::error::ToolError;
use crate::units::ByteSize;

/// The matrices of each block that an adapter changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TargetsArg {
    /// Those of the attention
    Attention,
    /// Also those of the feed-forward layer
    All,
}

impl From<TargetsArg> for Targets {
    fn from(targets: TargetsArg) -> Self {
        match targets {
            TargetsArg::Attention => Self::Attention,
            TargetsArg::All => Self::All,
        }
    }
}

/// A model and data for it.
#[derive(Debug, Args)]
pub struct FilesArg {
    /// Model file (GGUF)
    #[arg(short = 'm', long = "model", value_name = "FILE")]
    model: Option<PathBuf>,
    /// Examples: texts separated by blank lines, or one JSON object per line
    #[arg(short = 'f', long = "file", value_name = "DATA")]
    data: Option<PathBuf>,
    /// The same without -m and -f, for those that are not given
    #[arg(value_name = "MODEL DATA", num_args = 0..=2)]
    places: Vec<PathBuf>,
}

impl FilesArg {
    /// The path of the model, and that of the data.
    ///
    /// # Errors
    /// One is missing, or there are too many.
    pub fn paths(&self) -> Result<(&Path, &Path), ToolError> {
        let mut places = self.places.iter().map(PathBuf::as_path);
        let model = self.model.as_deref().or_else(|| places.next());
        let data = self.data.as_deref().or_else(|| places.next());
        match (model, data, places.next()) {
            (Some(model), Some(data), None) => Ok((model, data)),
            (None, ..) => Err(ToolError::FileMissing("MODEL")),
            (_, None, _) => Err(ToolError::FileMissing("DATA")),
            (.., Some(more)) => Err(ToolError::FileTooMany(more.to_path_buf())),
        }
    }
}

/// Arguments of `finetune`.
#[derive(Debug, Args)]
pub struct Finetune {
    /// Model and data.
    #[command(flatten)]
    pub files: FilesArg,
    /// Adapter file (GGUF) to write
    #[arg(short = 'o', long, value_name = "OUT")]
    pub output: PathBuf,
    /// Rank of the adapter's matrices
    #[arg(long, value_name = "R", default_value_t = TrainParams::DEFAULT.rank,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(maxima::RANK)))]
    pub rank: u32,
    /// What the adapter adds is multiplied by ALPHA / R
    #[arg(long, value_name = "ALPHA", default_value_t = Fraction(TrainParams::DEFAULT.alpha))]
    pub alpha: Fraction<{ maxima::ALPHA }, 1>,
    /// Passes over all examples
    #[arg(long, value_name = "N", default_value_t = TrainParams::DEFAULT.epochs,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(maxima::EPOCHS)))]
    pub epochs: u32,
    /// The largest learning rate
    #[arg(long, value_name = "RATE", default_value_t = Rate(TrainParams::DEFAULT.rate))]
    pub rate: Rate,
    /// Which matrices the adapter changes
    #[arg(long, value_enum, default_value_t = TargetsArg::Attention)]
    pub targets: TargetsArg,
    /// Seed of the adapter's first values and of the order of the examples
    #[arg(short = 's', long, value_name = "SEED", default_value_t = TrainParams::DEFAULT.seed)]
    pub seed: u64,
    /// Train in an arena of this size, as on the device, and leave room for requests if possible; by default, the arena
    /// is as large as needed
    #[arg(long, value_name = "SIZE")]
    pub arena: Option<ByteSize>,
    /// Longest example in tokens; the model's own context if that is smaller, or for 0
    #[arg(short = 'c', long = "ctx-size", visible_alias = "context", value_name = "N", default_value_t = CONTEXT)]
    pub context: Context,
    /// How keys and values are stored
    #[arg(long, value_enum, default_value_t = Kv::Q8)]
    pub kv: Kv,
    /// Kernels to use, of those that this CPU has, instead of the best; the adapter is the same
    #[arg(long, value_name = "NAME", value_parser = cpu)]
    pub cpu: Option<Cpu>,
}

/// Arguments of `score`.
#[derive(Debug, Args)]
pub struct Score {
    /// Model and data.
    #[command(flatten)]
    pub files: FilesArg,
    /// The adapter.
    #[command(flatten)]
    pub lora: LoraArg,
    /// Print every prompt that is answered wrongly, with the answer
    #[arg(short, long)]
    pub verbose: bool,
    /// Context in tokens; the model's own if that is smaller, or for 0
    #[arg(short = 'c', long = "ctx-size", visible_alias = "context", value_name = "N", default_value_t = CONTEXT)]
    pub context: Context,
    /// The engine.
    #[command(flatten)]
    pub engine: EngineArg,
}
