//! Signed heads of the audit log: what the device says of its log, for somebody who was given the log by another.
//!
//! Audit signs the [`Attestation::statement`] with the device's key, as it signs what is made on the device: Ed25519 over
//! the SHA-256. No file begins like a statement, so a signature on a statement is never valid for a model or an adapter.
//!
//! What a signed head proves: the device had this log when it was asked, and had been asked with this nonce. What it does
//! not: that the log is the newest that the device ever had. Nothing in the device counts what cannot be put back, so
//! whoever exchanges the whole disk for an older copy makes the device go on from there. Only who has noted an earlier head
//! can see that.

use crate::encoding::layout;
use crate::hash::{Hash, SIGNATURE_BYTES};
use crate::name::Nonce;

/// What a statement begins with.
const MAGIC: [u8; 16] = *b"sel4-llm attest1";

/// Bytes of a statement.
const STATEMENT_BYTES: usize = MAGIC.len() + 8 + 8 + crate::limits::MAX_NONCE_BYTES + 32;

layout! {
    /// A signed head.
    pub struct Attestation [144] {
        /// Sequence number of the log's newest entry; 0 if it has none.
        pub sequence: u64,
        /// How often the log on the disk was opened to be written, this time included; 0: the log lies in memory.
        pub boot: u64,
        /// What who asked has given, so that an old answer is not taken for a new one.
        pub nonce: Nonce,
        /// SHA-256 of the newest entry.
        pub head: Hash,
        /// Ed25519 over the SHA-256 of the statement, by the device's key.
        pub signature: [u8; SIGNATURE_BYTES],
    }
}

impl Attestation {
    /// The bytes whose SHA-256 is signed.
    #[must_use]
    #[inline]
    pub fn statement(&self) -> [u8; STATEMENT_BYTES] {
        let mut statement = [0; STATEMENT_BYTES];
        let parts = [
            &MAGIC[..],
            &self.sequence.to_le_bytes(),
            &self.boot.to_le_bytes(),
            self.nonce.as_padded(),
            &self.head,
        ];
        let bytes = parts.into_iter().flatten();
        for (to, from) in statement.iter_mut().zip(bytes) {
            *to = *from;
        }
        statement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_signed_but_the_signature() {
        let one = Attestation {
            sequence: 7,
            boot: 2,
            nonce: Nonce::new("monday").unwrap(),
            head: [3; 32],
            signature: [9; SIGNATURE_BYTES],
        };
        let others = [
            Attestation { sequence: 8, ..one },
            Attestation { boot: 3, ..one },
            Attestation {
                nonce: Nonce::EMPTY,
                ..one
            },
            Attestation {
                head: [4; 32],
                ..one
            },
        ];
        for other in others {
            assert_ne!(other.statement(), one.statement());
        }
        let signed = Attestation {
            signature: [0; SIGNATURE_BYTES],
            ..one
        };
        assert_eq!(signed.statement(), one.statement());
        assert!(one.statement().starts_with(b"sel4-llm attest1\x07\0"));
    }
}
