//! The command line.

use crate::microkit::Configuration;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Checks the isolation argument of sel4-llm.
///
/// Exit status: 0 if no claim is violated, 1 if one is or if something cannot be read, 2 if the command
/// line is wrong.
#[derive(Debug, Parser)]
#[command(name = "isolation", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check every claim and print claim, evidence and verdict.
    Check(Check),
    /// Print the table of what Microkit adds to a description, and why each addition is harmless.
    Table,
    /// Print the instance for the proofs in proofs/: Instance.v, or with --capdl Image.v.
    Rocq(Rocq),
    /// Write what is generated from the description: docs/authority.svg, the table in docs/isolation.md, the proofs'
    /// instances and systems/partitions/system.xml.
    Docs(Docs),
    /// Copy a capDL JSON without the bytes that fill its frames
    Strip {
        /// The output of `microkit --capdl-json`
        input: PathBuf,
        /// The file to write
        output: PathBuf,
    },
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The system description.
    #[arg(default_value = "system.xml")]
    pub system: PathBuf,
    /// What must hold. Several files are read as one, in this order, so the file of a larger system only needs to give
    /// what it adds
    #[arg(
        long,
        value_name = "FILE",
        default_value = "tools/isolation/policy.toml"
    )]
    pub policy: Vec<PathBuf>,
    /// The board: the name of a file in boards/.
    #[arg(long, value_name = "NAME", default_value = "qemu_virt_aarch64")]
    pub board: String,
    /// The folder of the boards' files
    #[arg(long, value_name = "FOLDER", default_value = sysdesc::board::FOLDER)]
    pub boards: PathBuf,
    /// The capDL of the image, as `microkit --capdl-json FILE` writes it.
    #[arg(long, value_name = "FILE")]
    pub capdl: Option<PathBuf>,
    /// The folder with the programs' ELF files that are given to the Microkit tool
    #[arg(long, value_name = "FOLDER")]
    pub programs: Option<PathBuf>,
    /// The kernel's configuration: include/kernel/gen_config.json of the SDK's board.
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// What the image is built for. Claims are made for release; for the other configurations, the report says what
    /// they add
    #[arg(long, value_enum, default_value_t = Config::Release)]
    pub config: Config,
    /// Write the report as Markdown.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw the authority graph.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print violations and the last line only.
    #[arg(long)]
    pub quiet: bool,
    /// Print only violations, and what to do: for builds
    #[arg(long, conflicts_with = "quiet")]
    pub silent: bool,
}

/// Arguments of `rocq`.
#[derive(Debug, Args)]
pub struct Rocq {
    /// The system description.
    #[arg(default_value = "system.xml")]
    pub system: PathBuf,
    /// Print the contents of this image's slots instead: Image.v
    #[arg(long, value_name = "FILE")]
    pub capdl: Option<PathBuf>,
}

/// Arguments of `docs`.
#[derive(Debug, Args)]
pub struct Docs {
    /// The system description.
    #[arg(default_value = "system.xml")]
    pub system: PathBuf,
    /// What must hold
    #[arg(long, default_value = "tools/isolation/policy.toml")]
    pub policy: PathBuf,
    /// The root of the repository.
    #[arg(long, default_value = ".")]
    pub root: PathBuf,
}

/// Names of configurations. Those for several cores add the same as those for one; claim K checks that the kernel is
/// for the right number of cores.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)]
pub enum Config {
    #[value(alias = "smp-release")]
    Release,
    #[value(alias = "smp-debug")]
    Debug,
    #[value(alias = "smp-benchmark")]
    Benchmark,
}

impl From<Config> for Configuration {
    fn from(config: Config) -> Self {
        match config {
            Config::Release => Self::Release,
            Config::Debug => Self::Debug,
            Config::Benchmark => Self::Benchmark,
        }
    }
}
