//! An adapter as lines of text, to carry it out of a system that has only a console.
//!
//! Shell prints it, and `llmtool adapter import` finds it in a console capture: the line [`BEGIN`], the file in Base64
//! (RFC 4648, 4) in lines of [`COLUMNS`] characters, the lines of [`Closing`], the line [`END`]. The file's metadata
//! comes after it because shell learns it last and does not keep the file.

use crate::hash::Hex;
use crate::wire::client::Exported;
use core::fmt::{self, Display, Formatter};

/// The first line.
pub const BEGIN: &str = "-----BEGIN SEL4-LLM ADAPTER-----";

/// The last line.
pub const END: &str = "-----END SEL4-LLM ADAPTER-----";

/// Characters per line of Base64; the last line may be shorter.
pub const COLUMNS: usize = 76;

/// Bytes encoded in a line of Base64.
pub const LINE_BYTES: usize = COLUMNS / 4 * 3;

/// Prefixes of the lines of [`Closing`].
pub mod member {
    /// The adapter's name.
    pub const NAME: &str = "Name: ";
    /// Size of the file in bytes.
    pub const BYTES: &str = "Bytes: ";
    /// SHA-256 of the file.
    pub const SHA256: &str = "SHA-256: ";
    /// SHA-256 of the model file that the adapter was made for.
    pub const BASE_SHA256: &str = "Base-SHA-256: ";
    /// Ed25519 signature over the SHA-256 of the file, made with the device's key.
    pub const SIGNATURE: &str = "Signature: ";
}

/// The lines after the file, all but the last with a line break.
#[derive(Clone, Copy, Debug)]
pub struct Closing<'e>(pub &'e Exported);

impl Display for Closing<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Exported {
            name,
            file_bytes,
            sha256,
            base_sha256,
            signature,
        } = self.0;
        writeln!(f, "{}{name}", member::NAME)?;
        writeln!(f, "{}{file_bytes}", member::BYTES)?;
        writeln!(f, "{}{}", member::SHA256, Hex(sha256))?;
        writeln!(f, "{}{}", member::BASE_SHA256, Hex(base_sha256))?;
        write!(f, "{}{}", member::SIGNATURE, Hex(signature))
    }
}
