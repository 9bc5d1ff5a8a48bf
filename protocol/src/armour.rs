//! An adapter as lines of text, in which it leaves a system that has a console and nothing else.
//!
//! Shell prints it, `llmtool adapter import` reads it out of whatever a console has caught: the line [`BEGIN`], the file in
//! Base64 (RFC 4648, 4) in lines of [`COLUMNS`] characters, what [`Closing`] says, the line [`END`]. What must be known of the
//! file stands behind it, since shell hears it at the end and keeps no file.

use crate::record::Hex;
use crate::wire::client::Exported;
use core::fmt::{self, Display, Formatter};

/// The first line.
pub const BEGIN: &str = "-----BEGIN SEL4-LLM ADAPTER-----";

/// The last line.
pub const END: &str = "-----END SEL4-LLM ADAPTER-----";

/// Characters of a line of Base64; the last has fewer.
pub const COLUMNS: usize = 76;

/// Bytes that a line of Base64 holds.
pub const LINE_BYTES: usize = COLUMNS / 4 * 3;

/// What a line of [`Closing`] begins with.
pub mod member {
    /// The adapter's name.
    pub const NAME: &str = "Name: ";
    /// Size of the file in bytes.
    pub const BYTES: &str = "Bytes: ";
    /// SHA-256 of the file.
    pub const SHA256: &str = "SHA-256: ";
    /// SHA-256 of the file of the model that it was made for.
    pub const BASE_SHA256: &str = "Base-SHA-256: ";
    /// Ed25519 over the SHA-256 of the file, by the device's key.
    pub const SIGNATURE: &str = "Signature: ";
}

/// The lines behind the file, each but the last with its end.
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
