//! Arguments of `system`.

use std::path::PathBuf;

use clap::Args;

use super::make::StoreModels;
use super::values::Context;
use crate::units::ByteSize;

/// Arguments of `system`.
#[derive(Debug, Args)]
pub struct System {
    /// The files; the first model is loaded at boot.
    #[command(flatten)]
    pub models: StoreModels,
    /// Folder for `system.xml`, `policy.toml`, `policy.bin`, `formats.bin` and `store.tar`; without it, only print the
    /// plan
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Context in tokens; the model's own if that is smaller, or for 0 [default: 2048]
    #[arg(
        short = 'c',
        long = "ctx-size",
        visible_alias = "context",
        value_name = "N"
    )]
    pub context: Option<Context>,
    /// Number of full-length conversations for which the cache has room
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=32))]
    pub sessions: u64,
    /// Memory of the board
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    pub memory: ByteSize,
    /// Template of the description
    #[arg(long, value_name = "FILE", default_value = "system.xml")]
    pub system: PathBuf,
    /// Template of the policy
    #[arg(long, value_name = "FILE", default_value = "policy.toml")]
    pub policy: PathBuf,
    /// Pair of keys that signs the files, without the ending .key.pem; created if missing
    #[arg(long, value_name = "NAME", default_value = "build/keys/this-machine")]
    pub key: PathBuf,
    /// The device's pair of keys, which signs the adapters that it makes, without the ending .key.pem; created if
    /// missing
    #[arg(long, value_name = "NAME", default_value = "build/keys/device")]
    pub device_key: PathBuf,
}
