//! What can be wrong with an exported adapter.

use protocol::armour::{BEGIN, END};
use protocol::name::ModelName;

/// Why no adapter was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmourError {
    /// There is no beginning.
    #[error("there is no line '{BEGIN}': capture what `llmctl adapter export NAME` prints")]
    NoBegin,
    /// A beginning has no end.
    #[error(
        "the export that begins in line {line} has no line '{END}': the capture ends too early, or the export was cancelled"
    )]
    NoEnd {
        /// Where it begins.
        line: usize,
    },
    /// All complete exports have other names.
    #[error("no complete export has the name '{wanted}'; found: {there}")]
    NoSuchName {
        /// The name.
        wanted: String,
        /// The names found.
        there: String,
    },
    /// A required line after the file is missing or invalid.
    #[error("the export that begins in line {line} has no line '{member}' that can be read")]
    Member {
        /// Where it begins.
        line: usize,
        /// The prefix of the line.
        member: &'static str,
    },
    /// Lines are missing or truncated.
    #[error(
        "the export of '{name}' has {found} whole lines of Base64, {expected} are needed for {bytes} bytes: the capture has \
         lost some; export it again"
    )]
    Lines {
        /// The adapter.
        name: ModelName,
        /// Lines found.
        found: u64,
        /// Lines expected.
        expected: u64,
        /// Bytes of the file.
        bytes: u64,
    },
    /// The line about the model contradicts the file, and only the file is signed.
    #[error(
        "the export names another model than the adapter in it: the capture has changed it; export it again"
    )]
    OtherBase,
    /// A line is not Base64.
    #[error("line {line} is not Base64: the capture has changed it; export it again")]
    Base64 {
        /// Its number.
        line: usize,
    },
    /// The file's hash is wrong.
    #[error(
        "the file has the SHA-256 {found}, the export of '{name}' says {expected}: the capture has changed it; export it again"
    )]
    Hash {
        /// The adapter.
        name: ModelName,
        /// The file's hash.
        found: String,
        /// The export's hash.
        expected: String,
    },
    /// The claimed device has not signed it.
    #[error(
        "the signature of '{name}' is not by this key: it was made on another device, or by an untrusted party"
    )]
    Signature {
        /// The adapter.
        name: ModelName,
    },
}
