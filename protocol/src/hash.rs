//! Hashes and signatures, as messages and records hold them.

use core::fmt::{self, Display, Formatter};

/// A SHA-256.
pub type Hash = [u8; 32];

/// Bytes of a signature: Ed25519 over a SHA-256.
pub const SIGNATURE_BYTES: usize = 64;

/// Bytes in lower-case hexadecimal.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
