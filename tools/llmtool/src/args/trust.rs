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
    /// The system description, which defines the channels of the policy's clients
    #[arg(long, value_name = "system.xml")]
    pub system: Option<PathBuf>,
    /// The device's secret key, instead of the policy's `[device]` key
    #[arg(long, value_name = "FILE.pem")]
    pub device_key: Option<PathBuf>,
    /// Write the compiled formats of answers to this file [default: formats.bin beside the output]
    #[arg(long, value_name = "formats.bin")]
    pub formats: Option<PathBuf>,
    /// Write the compiled policy, and print only warnings; needs --system
    #[arg(short, long, value_name = "policy.bin")]
    pub output: Option<PathBuf>,
}

/// Arguments of `passphrase`.
#[derive(Debug, Args)]
pub struct Passphrase {
    /// Memory used for hashing
    #[arg(long, value_name = "KIB", default_value_t = MAX_KDF_KIB,
          value_parser = clap::value_parser!(u32).range(i64::from(MIN_KDF_KIB)..=i64::from(MAX_KDF_KIB)))]
    pub memory_kib: u32,
    /// Number of passes over it
    #[arg(long, value_name = "N", default_value_t = MAX_KDF_PASSES,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_KDF_PASSES)))]
    pub passes: u32,
}

/// Arguments of `keygen`.
#[derive(Debug, Args)]
pub struct Keygen {
    /// Start of the names of the files, which may include a folder
    pub name: PathBuf,
    /// Make a key for a device, which signs the adapters that it makes, and print how to use it
    #[arg(long)]
    pub device: bool,
}

/// Arguments of `sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// Secret key, as `llmtool keygen` makes it
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Also sign files that cannot run, to test that audit and inference refuse them
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
    /// Use the keys that this policy trusts
    #[arg(long, value_name = "POLICY.toml", conflicts_with = "key")]
    pub policy: Option<PathBuf>,
    /// The models.
    #[command(flatten)]
    pub models: ModelFiles,
}

/// The command for an export of the audit log.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check every entry, their order and their number
    Verify(AuditFile),
    /// Print the entries for people, and check them
    Show(AuditFile),
}

/// The command for adapters made on devices.
#[derive(Debug, Subcommand)]
pub enum Adapter {
    /// Extract an adapter from a capture of the console
    Import(Import),
}

/// Arguments of `adapter import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The console's output, containing what `llmctl adapter export` printed; - reads standard input
    pub file: PathBuf,
    /// The public (or secret) key of the device that should have made it; without it, the signature is not checked
    #[arg(long, value_name = "FILE.pem")]
    pub key: Option<PathBuf>,
    /// Name of the adapter [default: the last one exported]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Adapter file to write; its signature is written to OUT.gguf.sig
    #[arg(short, long, value_name = "OUT.gguf")]
    pub output: PathBuf,
}

/// A log.
#[derive(Debug, Args)]
pub struct AuditFile {
    /// The console's output, containing what `llmctl audit --json` printed; or AUDIT.LOG, the image of a disk, or a
    /// card; - reads standard input
    pub file: PathBuf,
    /// The public (or secret) key of the device, which must have signed the head of this log (`llmctl audit attest`)
    #[arg(long, value_name = "FILE.pem")]
    pub device: Option<PathBuf>,
    /// The nonce with which the head must have been signed
    #[arg(long, value_name = "NONCE", requires = "device")]
    pub nonce: Option<String>,
    /// Output of `llmctl audit attest`, if it is not in FILE
    #[arg(long, value_name = "FILE", requires = "device")]
    pub attestation: Option<PathBuf>,
    /// The hash of the newest entry, or of an older one, as the console printed it earlier
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub head: Option<Hash>,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The export
    #[command(flatten)]
    pub export: AuditFile,
    /// Folder or image with the models, adapters and training data (.gguf, .jsonl, .txt), which are found by their
    /// SHA-256; can be given several times. If FILE is an image, it is included
    #[arg(long, value_name = "DIR")]
    pub models: Vec<PathBuf>,
    /// Texts of the prompts, one per line, found by their SHA-256: plain, as JSON strings, or requests as JSON objects
    /// with `prompt` or `messages` (each with `role` and `content`), `stop`, `choices`. Those in the folder `prompts`
    /// of an image are included
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// The formats of the system's policy: the `formats.bin` written by `llmtool policy`
    #[arg(long, value_name = "FILE")]
    pub formats: Option<PathBuf>,
    /// Further training data, found by its SHA-256
    #[arg(long, value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Write the outputs of the reproduced requests to this file as JSON, one request per line: its number, the text,
    /// and the text's bytes and SHA-256
    #[arg(long, value_name = "FILE")]
    pub texts: Option<PathBuf>,
    /// Its threads.
    #[command(flatten)]
    pub threads: ThreadsArg,
}

fn hash(digits: &str) -> Result<Hash, String> {
    parse_hex(digits).ok_or_else(|| "a SHA-256 has 64 hexadecimal digits".to_owned())
}
