//! Arguments of the commands about trust: policy, keys, the audit log.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use protocol::hash::Hash;
use protocol::limits::{MAX_KDF_KIB, MAX_KDF_PASSES};

use super::common::ThreadsArg;
use super::make::ModelFiles;
use crate::keys::parse_hex;
use crate::passphrase::MIN_KDF_KIB;

/// Arguments of `policy`.
#[derive(Debug, Args)]
pub struct Policy {
    /// The policy
    #[arg(value_name = "POLICY.toml")]
    pub policy: PathBuf,
    /// The system description, which has the channels of the policy's clients
    #[arg(long, value_name = "system.xml")]
    pub system: Option<PathBuf>,
    /// The device's secret key, in place of the policy's `[device]` key
    #[arg(long, value_name = "FILE.pem")]
    pub device_key: Option<PathBuf>,
    /// Write the compiled formats of answers to this file; with -o and without this they go to formats.bin beside it
    #[arg(long, value_name = "formats.bin")]
    pub formats: Option<PathBuf>,
    /// Write the compiled policy, and print nothing but warnings; needs --system
    #[arg(short, long, value_name = "policy.bin")]
    pub output: Option<PathBuf>,
}

/// Arguments of `passphrase`.
#[derive(Debug, Args)]
pub struct Passphrase {
    /// Memory that hashing takes
    #[arg(long, value_name = "KIB", default_value_t = MAX_KDF_KIB,
          value_parser = clap::value_parser!(u32).range(i64::from(MIN_KDF_KIB)..=i64::from(MAX_KDF_KIB)))]
    pub memory_kib: u32,
    /// Passes over it
    #[arg(long, value_name = "N", default_value_t = MAX_KDF_PASSES,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_KDF_PASSES)))]
    pub passes: u32,
}

/// Arguments of `keygen`.
#[derive(Debug, Args)]
pub struct Keygen {
    /// Path that the files' names begin with
    pub name: PathBuf,
    /// The key is a device's, which signs the adapters that it makes: say what to do with it
    #[arg(long)]
    pub device: bool,
}

/// Arguments of `sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// Secret key, as `llmtool keygen` makes it
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Sign what cannot run, too: for tests that audit and inference refuse it
    #[arg(long)]
    pub force: bool,
    /// The models.
    #[command(flatten)]
    pub models: ModelFiles,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Public key in PEM
    #[arg(long, value_name = "FILE", required_unless_present = "policy")]
    pub key: Option<PathBuf>,
    /// The keys that this policy trusts
    #[arg(long, value_name = "POLICY.toml", conflicts_with = "key")]
    pub policy: Option<PathBuf>,
    /// The models.
    #[command(flatten)]
    pub models: ModelFiles,
}

/// What is done with an export of the audit log.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check every entry, their order and their number
    Verify(AuditFile),
    /// Print the entries for people, and check them
    Show(AuditFile),
}

/// What is done with adapters of devices.
#[derive(Debug, Subcommand)]
pub enum Adapter {
    /// Read an adapter out of a capture of the console
    Import(Import),
}

/// Arguments of `adapter import`.
#[derive(Debug, Args)]
pub struct Import {
    /// What `llmctl adapter export` printed, with whatever the console printed around it; - reads standard input
    pub file: PathBuf,
    /// The public key of the device that is to have made it (or its secret one); without it, the signature is not checked
    #[arg(long, value_name = "FILE.pem")]
    pub key: Option<PathBuf>,
    /// The adapter of this name; else the one that was exported last
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Adapter file to write, with its signature as OUT.gguf.sig
    #[arg(short, long, value_name = "OUT.gguf")]
    pub output: PathBuf,
}

/// A log.
#[derive(Debug, Args)]
pub struct AuditFile {
    /// What `llmctl audit --json` printed, with whatever the console printed around it; or AUDIT.LOG, the image of a disk, or
    /// a card; - reads standard input
    pub file: PathBuf,
    /// The public key of the device (or its secret one): it must have signed the head of this log (`llmctl audit attest`)
    #[arg(long, value_name = "FILE.pem")]
    pub device: Option<PathBuf>,
    /// The nonce that the head must have been signed with
    #[arg(long, value_name = "NONCE", requires = "device")]
    pub nonce: Option<String>,
    /// Where `llmctl audit attest` printed the signed head, if not in FILE
    #[arg(long, value_name = "FILE", requires = "device")]
    pub attestation: Option<PathBuf>,
    /// The hash of the newest entry, or of an older one, as the console printed it at another time
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub head: Option<Hash>,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The export
    #[command(flatten)]
    pub export: AuditFile,
    /// Folder or image with the models, adapters and training data (.gguf, .jsonl, .txt), found by their SHA-256; several
    /// are possible. If FILE is an image, it is one of them
    #[arg(long, value_name = "DIR")]
    pub models: Vec<PathBuf>,
    /// Texts of the prompts, one a line, found by their SHA-256: plain, as JSON strings, or requests as JSON objects with
    /// `prompt` or `messages` (each with `role` and `content`), `stop`, `choices`. Those in the folder
    /// `prompts` of an image count as well
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// The formats of the system's policy: the `formats.bin` that `llmtool policy` wrote
    #[arg(long, value_name = "FILE")]
    pub formats: Option<PathBuf>,
    /// Further training data, found by its SHA-256
    #[arg(long, value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Write what the reproduced requests said to this file, one request a line, as JSON: its number, the text, and the
    /// text's bytes and SHA-256
    #[arg(long, value_name = "FILE")]
    pub texts: Option<PathBuf>,
    /// Its threads.
    #[command(flatten)]
    pub threads: ThreadsArg,
}

fn hash(digits: &str) -> Result<Hash, String> {
    parse_hex(digits).ok_or_else(|| "a SHA-256 has 64 hexadecimal digits".to_owned())
}
