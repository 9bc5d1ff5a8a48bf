//! Arguments of the commands about disks.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::units::ByteSize;

/// What is done with a disk.
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
    /// Say what is wrong with a disk, its file system, its audit log and its signatures
    Check(Image),
}

/// An image.
#[derive(Debug, Args)]
pub struct Image {
    /// The image, or the device of a card
    pub image: PathBuf,
}

/// Arguments of `disk create`.
#[derive(Debug, Args)]
pub struct Create {
    /// The image to make
    pub image: PathBuf,
    /// Its size
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub size: ByteSize,
    /// Size of the audit log's file, which never changes; 0: none
    #[arg(long, value_name = "SIZE", default_value = "4MiB")]
    pub log_size: ByteSize,
    /// How the disk is divided
    #[arg(long, value_enum, default_value_t = Table::Mbr)]
    pub table: Table,
    /// Name of the file system: up to 11 letters and digits
    #[arg(long, value_name = "LABEL", default_value = "SEL4-LLM")]
    pub label: String,
}

/// How a disk is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Table {
    /// By a master boot record, as most cards are
    Mbr,
    /// By a GUID partition table
    Gpt,
    /// Not at all
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
    /// Model, adapter (GGUF, by its general.type) or training data (.jsonl, .txt); NAME=FILE gives it another name; several
    /// are possible
    #[arg(required = true, value_name = "[NAME=]FILE")]
    pub files: Vec<String>,
    /// Put the file there, whatever it is; one file alone
    #[arg(long = "as", value_name = "PATH")]
    pub path: Option<String>,
    /// Put files there that have no signature, too; audit refuses them
    #[arg(long)]
    pub unsigned: bool,
}

/// Arguments of `disk list`.
#[derive(Debug, Args)]
pub struct List {
    /// The image, or the device of a card
    pub image: PathBuf,
    /// Verify the signatures by the keys that this policy trusts
    #[arg(long, value_name = "POLICY.toml")]
    pub policy: Option<PathBuf>,
    /// Verify them by this public key (or a secret one), too: that of a device, which signs the adapters that it makes
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
    /// File to write; a signature beside it on the disk becomes OUT.sig
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
}
