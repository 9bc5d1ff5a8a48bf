//! Errors in a board's file.

use std::path::PathBuf;

/// Why a board is refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BoardError {
    #[error("there is no board '{name}': boards/ has {}", known.join(", "))]
    Unknown { name: String, known: Vec<String> },
    #[error("{}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("boards/{board}.toml: {source}")]
    Toml {
        board: String,
        source: Box<toml::de::Error>,
    },
    #[error("boards/{board}.toml: 'boot' has no {{image}}, which stands for the image's file")]
    Boot { board: String },
    #[error(
        "boards/{board}.toml: device '{device}' has no {field}, which its driver needs; only the generic timer has no registers"
    )]
    Missing {
        board: String,
        device: String,
        field: &'static str,
    },
    #[error(
        "boards/{board}.toml: device '{device}' lies at {address:#x} with {size:#x} bytes: it must begin at a multiple of {page:#x} \
         and have at least one byte"
    )]
    Place {
        board: String,
        device: String,
        address: u64,
        size: u64,
        page: u64,
    },
    #[error(
        "boards/{board}.toml: device '{device}' ends at {end:#x}; beyond {limit:#x} its owner could abort the kernel \
         (docs/isolation.md, M3), so the device cannot be used"
    )]
    Beyond {
        board: String,
        device: String,
        end: u64,
        limit: u64,
    },
    #[error(
        "boards/{board}.toml: 'registers' of device '{device}' is {registers:#x}, beyond its size of {size:#x} bytes"
    )]
    Registers {
        board: String,
        device: String,
        registers: u64,
        size: u64,
    },
    #[error("boards/{board}.toml: register_bytes of device '{device}' is {bytes}, not 1 or 4")]
    RegisterBytes {
        board: String,
        device: String,
        bytes: u8,
    },
    #[error(
        "boards/{board}.toml: interrupt '{interrupt}' of device '{device}' is {number}, more than 1023"
    )]
    Number {
        board: String,
        device: String,
        interrupt: String,
        number: u64,
    },
    #[error(
        "boards/{board}.toml: interrupt '{interrupt}' of device '{device}' arrives as '{other}', which has no number there"
    )]
    With {
        board: String,
        device: String,
        interrupt: String,
        other: String,
    },
    #[error(
        "boards/{board}.toml: device '{second}' at {start:#x} lies in a page of device '{first}': a domain that has one would have \
         the other"
    )]
    Overlap {
        board: String,
        first: String,
        second: String,
        start: u64,
    },
    #[error(
        "boards/{board}.toml: devices '{first}' and '{second}' both have interrupt number {number}"
    )]
    InterruptTwice {
        board: String,
        first: String,
        second: String,
        number: u64,
    },
    #[error(
        "boards/{board}.toml: devices '{first}' and '{second}' both have an interrupt '{interrupt}'"
    )]
    NameTwice {
        board: String,
        first: String,
        second: String,
        interrupt: String,
    },
}
