//! The identity of a model file.

use sha2::{Digest, Sha256};

/// SHA-256 of a file.
#[must_use]
pub fn sha256(file: &[u8]) -> [u8; 32] {
    Sha256::digest(file).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_fips_180() {
        let abc = sha256(b"abc");
        assert_eq!(abc[..8], [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]);
    }
}
