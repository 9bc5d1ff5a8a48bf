//! Arguments of the commands about disks.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::units::ByteSize;

/// The command for a disk.
#[derive(Debug, Subcommand)]
pub enum Disk {
    /// Make an image with a partition, an empty file system and the file of the audit log
    Create(Create),
    /// Put models, adapters and training data on a disk, with their signatures
    Add(Add),
    /// List the files of a disk
    List(List),
    /// Take a file off a disk, with its signature
    Get(Get),
    /// Check a disk, its file system, its audit log and its signatures
    Check(Check),
}

/// Arguments of `disk create`.
#[derive(Debug, Args)]
pub struct Create {
    /// The image to make
    pub image: PathBuf,
    /// Its size
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub size: ByteSize,
    /// Size of the audit log's file, which never changes; 0 for no log
    #[arg(long, value_name = "SIZE", default_value = "4MiB")]
    pub log_size: ByteSize,
    /// Partition table of the disk
    #[arg(long, value_enum, default_value_t = Table::Mbr)]
    pub table: Table,
    /// Name of the file system: up to 11 letters and digits
    #[arg(long, value_name = "LABEL", default_value = "SEL4-LLM")]
    pub label: String,
}

/// A partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Table {
    /// A master boot record, as on most cards
    Mbr,
    /// A GUID partition table
    Gpt,
    /// No partition table
    None,
}

impl From<Table> for storage::Table {
    fn from(table: Table) -> Self {
        match table {
            Table::Mbr => Self::Mbr,
            Table::Gpt => Self::Gpt,
            Table::None => Self::None,
        }
    }
}

/// Arguments of `disk add`.
#[derive(Debug, Args)]
pub struct Add {
    /// The image, or the device of a card
    pub image: PathBuf,
    /// Model or adapter (GGUF; its general.type says which), or training data (.jsonl, .txt); NAME=FILE gives it
    /// another name; can be given several times
    #[arg(required = true, value_name = "[NAME=]FILE")]
    pub files: Vec<String>,
    /// Store the file under this path, whatever it is; only for a single file
    #[arg(long = "as", value_name = "PATH")]
    pub path: Option<String>,
    /// Also add files without a signature, which audit will refuse
    #[arg(long)]
    pub unsigned: bool,
}

/// Arguments of `disk list`.
#[derive(Debug, Args)]
pub struct List {
    /// The image, or the device of a card
    pub image: PathBuf,
    /// Verify signatures with the keys that this policy trusts
    #[arg(long, value_name = "POLICY.toml")]
    pub policy: Option<PathBuf>,
    /// Also verify them with this public (or secret) key: that of a device, which signs the adapters that it makes
    #[arg(long, value_name = "FILE.pem")]
    pub key: Option<PathBuf>,
}

/// Arguments of `disk get`.
#[derive(Debug, Args)]
pub struct Get {
    /// The image, or the device of a card
    pub image: PathBuf,
    /// The file's path on the disk
    pub path: String,
    /// File to write; a signature beside it on the disk is written to OUT.sig
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
}

/// Arguments of `disk check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The image, or the device of a card
    pub image: PathBuf,
    /// Verify the signatures as audit would under this policy; without it, only that there are some is checked
    #[arg(long, value_name = "POLICY.toml")]
    pub policy: Option<PathBuf>,
    /// The device's key, secret or public: adapters signed with it are accepted, too
    #[arg(long, value_name = "FILE.pem", requires = "policy")]
    pub device_key: Option<PathBuf>,
}
