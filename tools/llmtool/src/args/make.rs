//! Arguments of the commands that inspect files or make new ones: `inspect`, `quantize`, `pack` and others.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};

use super::common::ModelArg;
use super::run::CONTEXT;
use super::values::{Context, Kv, store_file};
use crate::chat::jinja::Date;
use crate::mixture::FileType;
use crate::recipe::Recipe;
use crate::store::StoreFile;
use crate::units::ByteSize;

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The model.
    #[command(flatten)]
    pub model: ModelArg,
    /// Adapter (LoRA, GGUF) to plan for beside the model; can be given several times
    #[arg(long, value_name = "FILE")]
    pub lora: Vec<PathBuf>,
    /// If MODEL is an adapter: the model to check it against
    #[arg(long, value_name = "FILE", conflicts_with = "lora")]
    pub base: Option<PathBuf>,
    /// List all tensors
    #[arg(long)]
    pub tensors: bool,
    /// List all metadata
    #[arg(long)]
    pub metadata: bool,
    /// Arena to plan for
    #[arg(long, value_name = "SIZE", default_value = "8MiB")]
    pub arena: ByteSize,
    /// Context to plan for, in tokens; the model's own if that is smaller, or for 0
    #[arg(short = 'c', long = "ctx-size", visible_alias = "context", value_name = "N", default_value_t = CONTEXT)]
    pub context: Context,
    /// Number of full-length conversations to leave room for, in the regions that are printed
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=32))]
    pub sessions: u64,
    /// How keys and values are stored
    #[arg(long, value_enum, default_value_t = Kv::Q8)]
    pub kv: Kv,
}

/// Arguments of `chat-template`.
#[derive(Debug, Args)]
pub struct ChatTemplate {
    /// The model.
    #[command(flatten)]
    pub model: ModelArg,
    /// Derive the scaffold from the template, and write a copy of the model with it to this file
    #[arg(short = 'o', long = "output", value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// Date to use if a template asks for today's
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = Date::parse, requires = "output")]
    pub date: Option<Date>,
}

/// Arguments of `derive-scaffold`.
#[derive(Debug, Args)]
pub struct DeriveScaffold {
    /// The model.
    #[command(flatten)]
    pub model: ModelArg,
    /// As in `chat-template`
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = Date::parse)]
    pub date: Option<Date>,
}

/// Arguments of `quantize`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true)
    .args(["ty", "placed_type", "recipe", "fit"]))]
#[command(group = ArgGroup::new("where").required(true).args(["named_output", "placed_output"]))]
pub struct Quantize {
    /// The model.
    #[command(flatten)]
    pub model: ModelArg,
    /// The same as -o OUT
    #[arg(value_name = "OUT")]
    placed_output: Option<PathBuf>,
    /// The same as --type TYPE
    #[arg(value_name = "TYPE", value_parser = FileType::parse, conflicts_with_all = ["ty", "recipe", "fit"])]
    placed_type: Option<FileType>,
    /// Model file to write; it must differ from the input
    #[arg(short = 'o', long = "output", value_name = "OUT")]
    named_output: Option<PathBuf>,
    /// Type of the file, by llama-quantize's name: Q4_0, Q4_K_M, F16 …
    #[arg(long = "type", value_name = "TYPE", value_parser = FileType::parse,
          conflicts_with_all = ["recipe", "fit"])]
    ty: Option<FileType>,
    /// Use one type for all matrices, instead of llama.cpp's choice for each
    #[arg(long, conflicts_with_all = ["recipe", "fit"])]
    pub pure: bool,
    /// Importance matrix (GGUF, from `llmtool imatrix` or llama-imatrix) by which errors are weighted
    #[arg(long, value_name = "FILE", conflicts_with = "fit")]
    pub imatrix: Option<PathBuf>,
    /// A type for each kind of matrix, * for the others: attn_v=q6_k,ffn_down=q5_k,*=q4_k
    #[arg(long, value_name = "KIND=TYPE,…", conflicts_with = "fit")]
    pub recipe: Option<Recipe>,
    /// Choose the types so that the model runs in an arena of this size
    #[arg(long, value_name = "SIZE")]
    pub fit: Option<ByteSize>,
    /// With --fit: context to plan for, in tokens
    #[arg(short = 'c', long = "ctx-size", visible_alias = "context", value_name = "N", default_value_t = CONTEXT,
          requires = "fit")]
    pub context: Context,
    /// With --fit: how keys and values are stored
    #[arg(long, value_enum, default_value_t = Kv::Q8, requires = "fit")]
    pub kv: Kv,
    /// Do not warn about matrices that were quantised before
    #[arg(long)]
    pub allow_requantize: bool,
}

impl Quantize {
    /// The file to write.
    #[must_use]
    pub fn output(&self) -> &Path {
        // One of the two is set, because the group is required.
        let path = self.named_output.as_deref();
        path.or(self.placed_output.as_deref())
            .unwrap_or(Path::new(""))
    }

    /// The type, if there is one.
    #[must_use]
    pub fn file_type(&self) -> Option<FileType> {
        self.ty.or(self.placed_type)
    }
}

/// Arguments of `pack`.
#[derive(Debug, Args)]
pub struct Pack {
    /// The files.
    #[command(flatten)]
    pub models: StoreModels,
    /// Archive to write
    #[arg(short = 'o', long = "output", value_name = "OUT.tar")]
    pub output: PathBuf,
    /// Size of the model store, as in system.xml
    #[arg(long, value_name = "SIZE", default_value = "8MiB")]
    pub store_size: ByteSize,
    /// Refuse files that are not signed with a key of this policy
    #[arg(long, value_name = "POLICY.toml")]
    pub policy: Option<PathBuf>,
    /// The device's key, secret or public: adapters signed with it are accepted, too
    #[arg(long, value_name = "FILE.pem", requires = "policy")]
    pub device_key: Option<PathBuf>,
    /// Also pack files without a signature: audit will refuse to load them
    #[arg(long, conflicts_with = "policy")]
    pub unsigned: bool,
}

/// Models for a store.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
pub struct StoreModels {
    /// Model or adapter (GGUF; its general.type says which), or training data (.jsonl, .txt); NAME=FILE gives it
    /// another name; can be given several times
    #[arg(short = 'm', long = "model", value_name = "[NAME=]FILE", value_parser = store_file)]
    named: Vec<StoreFile>,
    /// The same as -m for each file; the first model is loaded at boot
    #[arg(value_name = "[NAME=]FILE", value_parser = store_file)]
    placed: Vec<StoreFile>,
}

impl StoreModels {
    /// All files, beginning with those given with -m.
    #[must_use]
    pub fn files(&self) -> Vec<StoreFile> {
        self.named.iter().chain(&self.placed).cloned().collect()
    }
}

/// Model files.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
pub struct ModelFiles {
    /// Model file; can be given several times
    #[arg(short = 'm', long = "model", value_name = "FILE")]
    named: Vec<PathBuf>,
    /// The same as -m for each file
    #[arg(value_name = "MODEL")]
    placed: Vec<PathBuf>,
}

impl ModelFiles {
    /// All files, beginning with those given with -m.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.named.iter().chain(&self.placed)
    }
}
