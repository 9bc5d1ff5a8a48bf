//! What can be wrong with a key or a signature.

use std::path::PathBuf;

use protocol::hash::SIGNATURE_BYTES;

/// Why a key or a signature cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read.
    #[error("{}", .0)]
    File(Box<super::ToolError>),
    /// A file is not a secret key.
    #[error(
        "{} is not a secret Ed25519 key in PEM (PKCS#8): give the .key.pem that `llmtool keygen` has made ({reason})",
        path.display()
    )]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A secret key is all zeros, the mark of a missing key.
    #[error("the key in {} is all zeros, which is not a secret: make another with `llmtool keygen --device`", path.display())]
    Zeros {
        /// The file.
        path: PathBuf,
    },
    /// A file is not a public key.
    #[error(
        "{} is not a public Ed25519 key in PEM: give the .pub.pem that `llmtool keygen` has made ({reason})",
        path.display()
    )]
    Public {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The digits are not a key.
    #[error("an Ed25519 public key has 64 hexadecimal digits")]
    Hex,
    /// Bytes are not a point of the curve, or one with which signatures can be forged.
    #[error("these bytes are not an Ed25519 public key that can be trusted")]
    Weak,
    /// The system gives no random numbers.
    #[error("the system provides no random numbers: {0}")]
    Random(getrandom::Error),
    /// There is no signature.
    #[error("there is no signature {}; make one with `llmtool sign`", path.display())]
    Unsigned {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file of a signature has another length.
    #[error("{} has {bytes} bytes, a signature has {SIGNATURE_BYTES}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        bytes: usize,
    },
    /// No key verifies the signature.
    #[error(
        "the signature is by none of the keys, or the file was changed after it was signed; copy it again from its \
         source, or sign it with a trusted key (`llmtool sign`)"
    )]
    Bad,
}
