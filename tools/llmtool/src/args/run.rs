//! Arguments of the commands that run a model: `generate`, `logits`, `perplexity`, `imatrix`, `bench`, `tokenize`.

use std::path::PathBuf;

use clap::Args;
use llm_core::simd::Cpu;
use protocol::decimal;
use protocol::limits::{DEFAULT_CONTEXT_TOKENS, MAX_CONTEXT_TOKENS, maxima};
use protocol::wire::{InferParams, Sampling};

use super::common::{EngineArg, LoraArg, ModelArg, TextArg};
use super::values::{Context, Fraction, Kv, Predict, Recent, Seed, cpu};
use crate::error::ToolError;
use crate::files;
use crate::output::text_or_stdin;

/// The default context of most commands.
pub(super) const CONTEXT: Context = Context(DEFAULT_CONTEXT_TOKENS);

/// Arguments of `tokenize`.
#[derive(Debug, Args)]
pub struct Tokenize {
    /// The model.
    #[command(flatten)]
    pub model: ModelArg,
    /// The text.
    #[command(flatten)]
    pub text: TextArg,
    /// Print only the ids, on one line
    #[arg(long)]
    pub ids: bool,
    /// Do not add the tokens for the beginning and end of the text
    #[arg(long)]
    pub no_special: bool,
    /// Turn the spelling of control tokens, such as `</s>`, into those tokens
    #[arg(long)]
    pub parse_special: bool,
}

/// The format of `generate`'s answer, if it is restricted.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct FormatArg {
    /// The answer is one of these texts
    #[arg(long, value_name = "TEXT,TEXT", value_delimiter = ',')]
    pub choices: Vec<String>,
    /// The answer matches this regular expression as a whole
    #[arg(long, value_name = "REGEX")]
    pub format_regex: Option<String>,
    /// The answer is a value of the JSON schema in this file, without white space
    #[arg(long, value_name = "FILE")]
    pub json_schema: Option<PathBuf>,
}

/// Arguments of `generate`.
#[derive(Debug, Args)]
pub struct Generate {
    /// The model.
    #[command(flatten)]
    pub model: ModelArg,
    /// The adapter.
    #[command(flatten)]
    pub lora: LoraArg,
    /// The user's message, or the text to continue.
    #[command(flatten)]
    pub prompt: TextArg,
    /// System text, which the chat template puts before the prompt
    #[arg(
        long,
        visible_alias = "system-prompt",
        value_name = "TEXT",
        allow_hyphen_values = true,
        conflicts_with = "raw"
    )]
    pub system: Option<String>,
    /// Continue the prompt as a text, without using the chat template
    #[arg(long)]
    pub raw: bool,
    /// Most tokens to generate; -1 for as many as possible
    #[arg(short = 'n', long = "predict", visible_aliases = ["n-predict", "max-tokens"], value_name = "N",
          allow_negative_numbers = true, default_value_t = Predict(InferParams::DEFAULT.max_tokens))]
    pub predict: Predict,
    /// 0 always takes the likeliest token; larger values give more variety
    #[arg(long = "temp", visible_alias = "temperature", value_name = "T",
          default_value_t = Fraction(Sampling::DEFAULT.temperature))]
    pub temperature: Fraction<{ maxima::TEMPERATURE }>,
    /// Choose among the K likeliest tokens; 0 for all
    #[arg(long, value_name = "K", default_value_t = Sampling::DEFAULT.top_k,
          value_parser = clap::value_parser!(u32).range(0..=i64::from(maxima::TOP_K)))]
    pub top_k: u32,
    /// Choose among the likeliest tokens that sum to P; 1 for all
    #[arg(long, value_name = "P", default_value_t = Fraction(Sampling::DEFAULT.top_p))]
    pub top_p: Fraction<{ maxima::TOP_P }>,
    /// Drop tokens less likely than P times the likeliest; 0 for none
    #[arg(long, value_name = "P", default_value_t = Fraction(Sampling::DEFAULT.min_p))]
    pub min_p: Fraction<{ maxima::MIN_P }>,
    /// Divide the logits of recent tokens by R, at least 1; 1 does nothing
    #[arg(long, value_name = "R", default_value_t = Fraction(Sampling::DEFAULT.repeat_penalty))]
    pub repeat_penalty: Fraction<{ maxima::REPEAT_PENALTY }, { decimal::ONE }>,
    /// Number of tokens that count as recent, including the prompt's; 0 for none, -1 for all
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          default_value_t = Recent(Sampling::DEFAULT.repeat_last_n))]
    pub repeat_last_n: Recent,
    /// Seed of the random choice; -1 for a new one each time
    #[arg(short = 's', long, value_name = "SEED", allow_negative_numbers = true,
          default_value_t = Seed::Fixed(Sampling::DEFAULT.seed))]
    pub seed: Seed,
    /// Context in tokens; the model's own if that is smaller, or for 0
    #[arg(short = 'c', long = "ctx-size", visible_alias = "context", value_name = "N", default_value_t = CONTEXT)]
    pub context: Context,
    /// The format of the answer.
    #[command(flatten)]
    pub format: FormatArg,
    /// End the answer before this text; can be given up to 4 times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub stop: Vec<String>,
    /// The engine.
    #[command(flatten)]
    pub engine: EngineArg,
}

/// The input of `logits`: a text, or tokens.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Sequence {
    /// Text; - reads standard input
    #[arg(short = 'p', long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// File with the text
    #[arg(short = 'f', long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Token ids instead of a text
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub tokens: Vec<u32>,
}

impl Sequence {
    /// The text, if there is one.
    ///
    /// # Errors
    /// The file or standard input cannot be read.
    pub fn text(&self) -> Result<Option<Vec<u8>>, ToolError> {
        match (&self.prompt, &self.file) {
            (Some(text), _) => text_or_stdin(text).map(Some),
            (None, Some(file)) => files::read(file).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// Arguments of `logits`.
#[derive(Debug, Args)]
pub struct Logits {
    /// The model.
    #[command(flatten)]
    pub model: ModelArg,
    /// The adapter.
    #[command(flatten)]
    pub lora: LoraArg,
    /// The input.
    #[command(flatten)]
    pub sequence: Sequence,
    /// Print the logits after every token, not only after the last
    #[arg(long)]
    pub all: bool,
    /// The engine.
    #[command(flatten)]
    pub engine: EngineArg,
}

/// Arguments of `perplexity`.
#[derive(Debug, Args)]
pub struct Perplexity {
    /// The model.
    #[command(flatten)]
    pub model: ModelArg,
    /// The adapter.
    #[command(flatten)]
    pub lora: LoraArg,
    /// The text.
    #[command(flatten)]
    pub text: TextArg,
    /// Count every token, and print bits per byte
    #[arg(long)]
    pub bits_per_byte: bool,
    /// Line that separates documents in the text: there, the model gets the tokens for the end and the beginning of a
    /// text, as in training (the bytes of the line still count)
    #[arg(long, value_name = "LINE")]
    pub separator: Option<String>,
    /// Model file to compare with, which must have the same vocabulary
    #[arg(long, value_name = "FILE", conflicts_with = "bits_per_byte")]
    pub against: Option<PathBuf>,
    /// Length of a chunk or window in tokens; the model's own context if that is smaller, or for 0
    #[arg(short = 'c', long = "ctx-size", visible_alias = "context", value_name = "N", default_value_t = CONTEXT)]
    pub context: Context,
    /// Most chunks to read; -1 for all
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(-1..), conflicts_with = "bits_per_byte")]
    pub chunks: i64,
    /// The engine.
    #[command(flatten)]
    pub engine: EngineArg,
}

/// Arguments of `imatrix`.
#[derive(Debug, Args)]
pub struct Imatrix {
    /// The model.
    #[command(flatten)]
    pub model: ModelArg,
    /// The text.
    #[command(flatten)]
    pub text: TextArg,
    /// File to write
    #[arg(
        short = 'o',
        long = "output",
        visible_alias = "output-file",
        value_name = "FILE",
        default_value = "imatrix.gguf"
    )]
    pub output: PathBuf,
    /// Length of a chunk in tokens; the model's own context if that is smaller, or for 0
    #[arg(short = 'c', long = "ctx-size", visible_alias = "context", value_name = "N", default_value_t = CONTEXT)]
    pub context: Context,
    /// Most chunks to read; -1 for all
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(-1..))]
    pub chunks: i64,
    /// Also collect for the output matrix
    #[arg(long)]
    pub process_output: bool,
    /// The engine.
    #[command(flatten)]
    pub engine: EngineArg,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// The model.
    #[command(flatten)]
    pub model: ModelArg,
    /// The adapter.
    #[command(flatten)]
    pub lora: LoraArg,
    /// Length of the prompt in tokens; 0 to skip it
    #[arg(short = 'p', long = "n-prompt", value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u64).range(0..=MAX_CONTEXT_TOKENS as u64))]
    pub prompt: u64,
    /// Tokens to generate; 0 to skip it
    #[arg(short = 'n', long = "n-gen", value_name = "N", default_value_t = 128,
          value_parser = clap::value_parser!(u64).range(0..=MAX_CONTEXT_TOKENS as u64))]
    pub generate: u64,
    /// Number of runs, whose median counts
    #[arg(short = 'r', long = "repetitions", visible_alias = "runs", value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub runs: u64,
    /// Context in tokens, up to which positions are measured; the model's own if that is smaller, or for 0
    #[arg(short = 'c', long = "ctx-size", visible_alias = "context", value_name = "N",
          default_value_t = Context(1024))]
    pub context: Context,
    /// The engine.
    #[command(flatten)]
    pub engine: EngineArg,
    /// Kernels to use, of those that this CPU has, instead of the best
    #[arg(long, value_name = "NAME", value_parser = cpu)]
    pub cpu: Option<Cpu>,
    /// Measure only loading, prompt and generation, not each position and many sessions
    #[arg(long)]
    pub quick: bool,
    /// Print JSON: a list of objects with name, value and unit
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `wcet`.
#[derive(Debug, Args)]
pub struct Wcet {
    /// The model.
    #[command(flatten)]
    pub model: ModelArg,
    /// The adapter.
    #[command(flatten)]
    pub lora: LoraArg,
    /// Context in tokens; the model's own if that is smaller, or for 0
    #[arg(short = 'c', long = "ctx-size", visible_alias = "context", value_name = "N", default_value_t = CONTEXT)]
    pub context: Context,
    /// How keys and values are stored
    #[arg(long, value_enum, default_value_t = Kv::Q8)]
    pub kv: Kv,
}
