//! The command line: what `--help` teaches, and how values are read.

pub mod system;
pub mod trust;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use llm_core::kv_cache::KvType;
use llm_core::quantize::TensorType;
use llm_core::simd::Cpu;
use protocol::decimal::{self, Millionths};
use protocol::limits::{DEFAULT_CONTEXT_TOKENS, MAX_CONTEXT_TOKENS, MAX_GENERATED_TOKENS};
use protocol::limits::{defaults, maxima};

use crate::recipe::{Recipe, TYPES, type_by_name};
use crate::store::StoreFile;

/// Looks into, runs and prepares models for sel4-llm, with the engine that runs on seL4.
///
/// The engine computes the same bits here and there: what `llmtool generate` prints for a model, a
/// prompt and a seed is what the shell prints on seL4.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "Examples:
  llmtool inspect models/default.gguf
  llmtool generate --model models/default.gguf \"Once upon a time\"
  llmtool quantize big-f16.gguf small-q4_0.gguf --type q4_0
  llmtool pack store.tar default=models/default.gguf

`llmtool COMMAND --help` explains a command with examples."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what is in a model file and what it needs to run
    #[command(after_long_help = "\
Examples:
  What a person wants to know at a glance:
    llmtool inspect models/default.gguf
  Does it fit an arena of 6 MiB with a context of 1024 tokens?
    llmtool inspect models/default.gguf --arena 6MiB --context 1024
  All tensors and metadata:
    llmtool inspect models/default.gguf --tensors --metadata")]
    Inspect(Inspect),
    /// Split a text into tokens
    #[command(after_long_help = "\
Examples:
  One token a line, with what it stands for:
    llmtool tokenize --model models/default.gguf \"Once upon a time\"
  The ids alone, of standard input:
    llmtool tokenize --model models/default.gguf --ids - < story.txt")]
    Tokenize(Tokenize),
    /// Continue a prompt, as `llminfer` does in the shell
    #[command(after_long_help = "\
The defaults and the reading of fractions are the shell's: fractions are kept as whole millionths, so
the same text gives the same bits here and on seL4.

Examples:
  The likeliest continuation, always the same:
    llmtool generate --model models/default.gguf \"Once upon a time\" --temperature 0
  Another story for every seed:
    llmtool generate --model models/default.gguf \"Once upon a time\" --seed 7")]
    Generate(Generate),
    /// Print the logits that follow a prompt, as JSON
    #[command(after_long_help = "\
The output is one object: \"tokens\" (the ids that were fed), \"positions\" and, for each of these,
a row of \"logits\" with one number per token of the vocabulary. Numbers are written so that they read
back to the same bits.

Examples:
  After the last token of a text:
    llmtool logits --model models/tiny-f32.gguf --kv f32 \"Once upon a time\"
  After every one of some token ids:
    llmtool logits --model models/tiny-f32.gguf --tokens 1,1165,336 --all")]
    Logits(Logits),
    /// Measure how well a model foresees a text
    #[command(after_long_help = "\
Perplexity is defined as by llama-perplexity of llama.cpp: chunks of the context, of which the second
halves count. With --bits-per-byte every token of the text counts, in windows of the context that
overlap by half; that figure can be compared between models with different vocabularies.

--against reads the text with a second model of the same vocabulary, say the same weights in F32, and prints the
mean Kullback-Leibler divergence of the first model's predictions from those.

Examples:
  llmtool perplexity models/default.gguf valid.txt
  llmtool perplexity models/default.gguf valid.txt --bits-per-byte
  What does quantising cost?
    llmtool perplexity default-q4_k.gguf valid.txt --against default-f32.gguf")]
    Perplexity(Perplexity),
    /// Measure how fast a model runs on this machine, on one thread
    #[command(after_long_help = "\
Medians of several runs: loading with all checks and the file's SHA-256, reading a prompt of 64 tokens,
generating 128, and a token at the beginning and at the end of the context.

Examples:
  llmtool bench models/default.gguf
  llmtool bench models/default.gguf --cpu scalar --json")]
    Bench(Bench),
    /// Print what a token costs, from the first position to the last
    #[command(after_long_help = "\
Work is a function of the model and the position alone, so the last line is the worst case.

Example:
  llmtool wcet models/default.gguf --context 1024")]
    Wcet(Wcet),
    /// Store a model's weights in another type
    #[command(after_long_help = "\
Matrices become the type that is asked for; vectors, norms and positions become F32. The metadata is
copied. To f32 and back to where they came from, values are exact. The k-quants (q2_k to q6_k) need
rows of 256; others fall back as in llama.cpp: q4_k to q5_0, q5_k to q5_1, q6_k to q8_0, q2_k and q3_k
to q4_0.

--fit measures what each type costs each kind of matrix in error, begins with the smallest, and steps up
where it helps most, as long as the whole model (weights, keys and values of the context, activations,
vocabulary) runs in the arena.

Examples:
  Four times smaller:
    llmtool quantize model-f32.gguf model-q8_0.gguf --type q8_0
  The same weights for a program that reads only F32:
    llmtool quantize model-q8_0.gguf model-f32.gguf --type f32
  The best that runs in 6 MiB:
    llmtool quantize model-f32.gguf model-fit.gguf --fit 6MiB
  By hand:
    llmtool quantize model-f32.gguf model-mix.gguf --recipe attn_v=q6_k,ffn_down=q6_k,*=q4_k")]
    Quantize(Quantize),
    /// Pack model files into the archive that the model store holds
    #[command(after_long_help = "\
The archive is a plain tar archive: `tar tf` lists it. The same files give the same bytes. The part
of a file's name before .gguf is the model's name in the shell; `default` is loaded at boot. The signature beside each
file (`llmtool sign`) is packed with it.

Examples:
  llmtool pack store.tar default=models/default.gguf models/tiny-f32.gguf
  Only what a policy trusts, with the name of the key:
    llmtool pack store.tar default=models/default.gguf --policy policy.toml
  tar tf store.tar")]
    Pack(Pack),
    /// Make the description, policy and store of a system for models of your own
    #[command(after_long_help = "\
Says what the models need, in bytes, and refuses what cannot run before anything is built. The description and the
policy are the repository's with what a larger model needs: sizes and addresses of the regions `arena` and
`model_store`, context, time limits, and the key of this machine, which is made once and signs the models. The
models' own files are left alone. `make run MODEL=FILE` does this and boots the system.

Examples:
  llmtool system SmolLM2-135M-Instruct.Q4_1.gguf -o build/mine
  Two models, the first of which is loaded at boot, with room for four conversations of 1024 tokens:
    llmtool system chat=SmolLM2.gguf tales=models/default.gguf --context 1024 --sessions 4 -o build/mine")]
    System(system::System),
    /// Check a policy and compile it for the audit domain
    #[command(after_long_help = "\
Without -o the policy is printed in words: which clients there are, who may do what, with which budget, and how many
bits a hostile inference could leak in an hour. What is wrong is said with its line. With --system it is checked, too,
that policy and description have the same clients.

Examples:
  llmtool policy policy.toml
  llmtool policy policy.toml --system system.xml -o policy.bin")]
    Policy(trust::Policy),
    /// Hash a passphrase for a policy
    #[command(after_long_help = "\
Asks twice on a terminal; otherwise reads one line from standard input. Prints the line for a user in the
policy, with a PHC string of Argon2id. Every run takes another salt.

Examples:
  llmtool passphrase
  pass show sel4-llm | llmtool passphrase --memory-kib 256")]
    Passphrase(trust::Passphrase),
    /// Make a pair of keys for signing models
    #[command(after_long_help = "\
Writes NAME.key.pem, the secret key, which its owner alone can read, and NAME.pub.pem, the public one. Files
that are there are not overwritten. OpenSSL reads both.

Examples:
  llmtool keygen ~/keys/models-2026
  The public key belongs in the policy, as the hexadecimal number that is printed, or as the file:
    [keys.models-2026]
    file = \"models-2026.pub.pem\"")]
    Keygen(trust::Keygen),
    /// Sign models
    #[command(after_long_help = "\
Writes MODEL.sig: 64 bytes, Ed25519 over the SHA-256 of the file. A signature that is there is replaced.

Examples:
  llmtool sign --key ~/keys/models-2026.key.pem models/default.gguf models/tiny-f32.gguf
  With OpenSSL, the same:
    openssl dgst -sha256 -binary MODEL >digest
    openssl pkeyutl -sign -rawin -inkey models-2026.key.pem -in digest -out MODEL.sig")]
    Sign(trust::Sign),
    /// Verify the signatures of models, as the audit domain does before it loads one
    #[command(after_long_help = "\
Examples:
  By the keys that a policy trusts:
    llmtool verify --policy policy.toml models/*.gguf
  By one key:
    llmtool verify --key models-2026.pub.pem models/default.gguf")]
    Verify(trust::Verify),
    /// Check or print an export of the audit log
    #[command(
        subcommand,
        after_long_help = "\
An export is what `llmctl audit --json` prints; the capture of a serial console will do, with what is printed around
it. Every entry holds the hash of the one before it, so that what was changed, left out, moved or put in is named. The
exit status is 0 only if all of it holds.

A whole log that somebody has made anew holds, too. Against that, note the head that `llmctl audit verify` prints on
the console, and give it with --head.

Examples:
  llmtool audit verify console.log
  llmtool audit verify console.log --head 8c1f…
  llmtool audit show console.log"
    )]
    Audit(trust::Audit),
    /// Run the requests of an exported audit log again, and compare what they gave
    #[command(after_long_help = "\
The export is verified first. Then every request that ended is run again with its model, prompt, sampler and seed,
after the earlier turns of its session, for as many tokens as it gave, and the hash of its output is compared with the
one in the log. Where the log holds only hashes of prompts, their texts come from --prompts. The exit status is 0 only
if all that could be replayed was reproduced, and something could.

Examples:
  llmtool replay console.log --models models
  llmtool replay console.log --models models --prompts prompts.txt
  llmtool replay console.log --models models --texts said.json")]
    Replay(trust::Replay),
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Model file (GGUF)
    pub file: PathBuf,
    /// List all tensors
    #[arg(long)]
    pub tensors: bool,
    /// List all metadata
    #[arg(long)]
    pub metadata: bool,
    /// Arena to plan for
    #[arg(long, value_name = "SIZE", default_value = "8MiB")]
    pub arena: ByteSize,
    /// Context to plan for, in tokens
    #[arg(long, value_name = "TOKENS", default_value_t = DEFAULT_CONTEXT_TOKENS as u64,
          value_parser = context_parser())]
    pub context: u64,
    /// How keys and values are stored
    #[arg(long, value_enum, default_value_t = Kv::Q8)]
    pub kv: Kv,
}

/// Arguments of `tokenize`.
#[derive(Debug, Args)]
pub struct Tokenize {
    /// Model file (GGUF)
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Text; - reads standard input
    pub text: String,
    /// Print only the ids, on one line
    #[arg(long)]
    pub ids: bool,
    /// Do not add the tokens for the beginning and end of text
    #[arg(long)]
    pub no_special: bool,
    /// Turn the spelling of control tokens, such as `</s>`, into those tokens
    #[arg(long)]
    pub parse_special: bool,
}

/// Arguments of `generate`.
#[derive(Debug, Args)]
pub struct Generate {
    /// Model file (GGUF)
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Text to continue; - reads standard input
    pub prompt: String,
    /// Most tokens to generate
    #[arg(long, value_name = "N", default_value_t = defaults::MAX_TOKENS,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_GENERATED_TOKENS)))]
    pub max_tokens: u32,
    /// 0: always the likeliest token; more: more varied
    #[arg(long, value_name = "T", default_value_t = Fraction(defaults::TEMPERATURE))]
    pub temperature: Fraction<{ maxima::TEMPERATURE }>,
    /// Choose among the K likeliest tokens; 0: all
    #[arg(long, value_name = "K", default_value_t = defaults::TOP_K,
          value_parser = clap::value_parser!(u32).range(0..=i64::from(maxima::TOP_K)))]
    pub top_k: u32,
    /// Choose among the likeliest tokens that sum to P; 1: all
    #[arg(long, value_name = "P", default_value_t = Fraction(defaults::TOP_P))]
    pub top_p: Fraction<{ maxima::TOP_P }>,
    /// Drop tokens less likely than P times the likeliest; 0: none
    #[arg(long, value_name = "P", default_value_t = Fraction(defaults::MIN_P))]
    pub min_p: Fraction<{ maxima::MIN_P }>,
    /// Divide the logits of recent tokens by R, at least 1; 1: do not
    #[arg(long, value_name = "R", default_value_t = Fraction(defaults::REPEAT_PENALTY))]
    pub repeat_penalty: Fraction<{ maxima::REPEAT_PENALTY }, { decimal::ONE }>,
    /// Seed of the random choice
    #[arg(long, default_value_t = defaults::SEED)]
    pub seed: u64,
    /// Context in tokens; the model's own applies where it is smaller
    #[arg(long, value_name = "TOKENS", default_value_t = DEFAULT_CONTEXT_TOKENS as u64,
          value_parser = context_parser())]
    pub context: u64,
    /// How keys and values are stored
    #[arg(long, value_enum, default_value_t = Kv::Q8)]
    pub kv: Kv,
}

/// Arguments of `logits`.
#[derive(Debug, Args)]
pub struct Logits {
    /// Model file (GGUF)
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Text; - reads standard input
    #[arg(required_unless_present = "tokens", conflicts_with = "tokens")]
    pub prompt: Option<String>,
    /// Token ids instead of a text
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub tokens: Vec<u32>,
    /// Logits after every token, not only after the last
    #[arg(long)]
    pub all: bool,
    /// How keys and values are stored
    #[arg(long, value_enum, default_value_t = Kv::Q8)]
    pub kv: Kv,
}

/// Arguments of `perplexity`.
#[derive(Debug, Args)]
pub struct Perplexity {
    /// Model file (GGUF)
    pub model: PathBuf,
    /// Text; - reads standard input
    pub text: PathBuf,
    /// Count every token, and print bits per byte
    #[arg(long)]
    pub bits_per_byte: bool,
    /// A line of the text that ends a document: the model gets its tokens for the end and beginning of a text
    /// there, as in training (the bytes of the line count all the same)
    #[arg(long, value_name = "LINE")]
    pub separator: Option<String>,
    /// Model file to compare with, of the same vocabulary
    #[arg(long, value_name = "FILE", conflicts_with = "bits_per_byte")]
    pub against: Option<PathBuf>,
    /// Length of a chunk or window in tokens; the model's own where that is smaller
    #[arg(long, value_name = "TOKENS", default_value_t = DEFAULT_CONTEXT_TOKENS as u64,
          value_parser = context_parser())]
    pub context: u64,
    /// Most chunks to read
    #[arg(long, value_name = "N", conflicts_with = "bits_per_byte")]
    pub chunks: Option<usize>,
    /// How keys and values are stored
    #[arg(long, value_enum, default_value_t = Kv::Q8)]
    pub kv: Kv,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Model file (GGUF)
    pub model: PathBuf,
    /// Context in tokens; the model's own where that is smaller
    #[arg(long, value_name = "TOKENS", default_value_t = MAX_CONTEXT_TOKENS as u64,
          value_parser = context_parser())]
    pub context: u64,
    /// How keys and values are stored
    #[arg(long, value_enum, default_value_t = Kv::Q8)]
    pub kv: Kv,
    /// Kernels: one that this CPU has, in place of the best
    #[arg(long, value_name = "NAME", value_parser = cpu)]
    pub cpu: Option<Cpu>,
    /// Runs of which the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub runs: u64,
    /// Measure loading, prompt and generation alone, not each position and many sessions
    #[arg(long)]
    pub quick: bool,
    /// Print JSON: a list of name, value and unit
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `wcet`.
#[derive(Debug, Args)]
pub struct Wcet {
    /// Model file (GGUF)
    pub model: PathBuf,
    /// Context in tokens; the model's own where that is smaller
    #[arg(long, value_name = "TOKENS", default_value_t = DEFAULT_CONTEXT_TOKENS as u64,
          value_parser = context_parser())]
    pub context: u64,
    /// How keys and values are stored
    #[arg(long, value_enum, default_value_t = Kv::Q8)]
    pub kv: Kv,
}

/// Arguments of `quantize`.
#[derive(Debug, Args)]
pub struct Quantize {
    /// Model file to read (GGUF)
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Model file to write
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// Type that all matrices get: f32, f16, bf16, q8_0, q6_k, q5_1, q5_0, q5_k, q4_1, q4_0, q4_k,
    /// q3_k or q2_k
    #[arg(long = "type", value_name = "TYPE", value_parser = tensor_type,
          required_unless_present_any = ["recipe", "fit"], conflicts_with_all = ["recipe", "fit"])]
    pub ty: Option<TensorType>,
    /// A type for each kind of matrix, * for the others: attn_v=q6_k,ffn_down=q5_k,*=q4_k
    #[arg(long, value_name = "KIND=TYPE,…", conflicts_with = "fit")]
    pub recipe: Option<Recipe>,
    /// Choose the types so that the model runs in an arena of this size
    #[arg(long, value_name = "SIZE")]
    pub fit: Option<ByteSize>,
    /// With --fit: context to plan for, in tokens
    #[arg(long, value_name = "TOKENS", default_value_t = DEFAULT_CONTEXT_TOKENS as u64,
          value_parser = context_parser(), requires = "fit")]
    pub context: u64,
    /// With --fit: how keys and values are stored
    #[arg(long, value_enum, default_value_t = Kv::Q8, requires = "fit")]
    pub kv: Kv,
}

/// Arguments of `pack`.
#[derive(Debug, Args)]
pub struct Pack {
    /// Archive to write
    #[arg(value_name = "OUT.tar")]
    pub output: PathBuf,
    /// Model files; NAME=FILE gives one another name
    #[arg(value_name = "[NAME=]FILE", required = true, value_parser = store_file)]
    pub files: Vec<StoreFile>,
    /// Size of the model store, as system.xml has it
    #[arg(long, value_name = "SIZE", default_value = "8MiB")]
    pub store_size: ByteSize,
    /// Refuse what none of the keys of this policy has signed
    #[arg(long, value_name = "POLICY.toml")]
    pub policy: Option<PathBuf>,
    /// Pack models that have no signature, too: audit will refuse to load them
    #[arg(long, conflicts_with = "policy")]
    pub unsigned: bool,
}

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kv {
    /// Eight bits, as on seL4
    Q8,
    /// Half precision
    F16,
    /// Single precision, for comparisons
    F32,
}

impl From<Kv> for KvType {
    fn from(kv: Kv) -> Self {
        match kv {
            Kv::Q8 => Self::Q8,
            Kv::F16 => Self::F16,
            Kv::F32 => Self::F32,
        }
    }
}

/// A decimal fraction in millionths, from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction<const MAX: u32, const MIN: u32 = 0>(pub u32);

impl<const MAX: u32, const MIN: u32> fmt::Display for Fraction<MAX, MIN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Millionths(u64::from(self.0)).fmt(f)
    }
}

impl<const MAX: u32, const MIN: u32> FromStr for Fraction<MAX, MIN> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let value = decimal::parse(text).map_err(|error| error.to_string())?;
        if value > MAX {
            Err(format!("more than {}", Self(MAX)))
        } else if value < MIN {
            Err(format!("less than {}", Self(MIN)))
        } else {
            Ok(Self(value))
        }
    }
}

/// A number of bytes: `8MiB`, `512KiB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_024 => write!(f, "{} B", self.0),
            1_024..1_048_576 => write!(f, "{:.1} KiB", bytes / 1_024.0),
            1_048_576..1_073_741_824 => write!(f, "{:.2} MiB", bytes / 1_048_576.0),
            _ => write!(f, "{:.2} GiB", bytes / 1_073_741_824.0),
        }
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|last: char| !last.is_ascii_digit());
        let factor = match text[digits.len()..].trim() {
            "" | "B" => 1,
            "K" | "KiB" => 1 << 10,
            "M" | "MiB" => 1 << 20,
            "G" | "GiB" => 1 << 30,
            _ => return Err("not a size such as 8MiB, 512KiB or 4096".to_owned()),
        };
        digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| "not a size such as 8MiB, 512KiB or 4096".to_owned())
    }
}

fn cpu(name: &str) -> Result<Cpu, String> {
    let names: Vec<&str> = Cpu::all().map(Cpu::name).collect();
    Cpu::all()
        .find(|cpu| cpu.name().eq_ignore_ascii_case(name))
        .ok_or_else(|| format!("this CPU has {}", names.join(", ")))
}

fn tensor_type(name: &str) -> Result<TensorType, String> {
    type_by_name(name).ok_or_else(|| {
        let names = TYPES.map(|ty| ty.name().to_lowercase());
        format!("there are {}", names.join(", "))
    })
}

fn context_parser() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=MAX_CONTEXT_TOKENS as u64)
}

fn store_file(argument: &str) -> Result<StoreFile, String> {
    StoreFile::parse(argument).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!("8MiB".parse(), Ok(ByteSize(8 << 20)));
        assert_eq!("8M".parse(), Ok(ByteSize(8 << 20)));
        assert_eq!("512 KiB".parse(), Ok(ByteSize(512 << 10)));
        assert_eq!("4096".parse(), Ok(ByteSize(4096)));
        for wrong in ["", "MiB", "8MB", "-1", "1.5M", "99999999999G"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn fractions_are_whole_millionths_within_their_limit() {
        type TopP = Fraction<{ maxima::TOP_P }>;
        assert_eq!("0.95".parse::<TopP>(), Ok(Fraction(950_000)));
        assert_eq!("1.01".parse::<TopP>(), Err("more than 1".to_owned()));
        assert!("nan".parse::<TopP>().is_err());
        assert_eq!(Fraction::<{ maxima::TOP_P }>(50_000).to_string(), "0.05");
        type Penalty = Fraction<{ maxima::REPEAT_PENALTY }, { decimal::ONE }>;
        assert_eq!("1".parse::<Penalty>(), Ok(Fraction(1_000_000)));
        assert_eq!("0".parse::<Penalty>(), Err("less than 1".to_owned()));
        assert_eq!("0.999999".parse::<Penalty>(), Err("less than 1".to_owned()));
    }
}
