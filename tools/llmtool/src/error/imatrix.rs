//! What can be wrong with an importance matrix.

use llm_core::gguf::GgufError;

/// Why a file is not an importance matrix.
#[derive(Debug, thiserror::Error)]
pub enum ImatrixError {
    /// The file is not GGUF.
    #[error(
        "{0} (an importance matrix in llama.cpp's old .dat format becomes one by llama-imatrix --in-file OLD -o NEW.gguf)"
    )]
    Gguf(GgufError),
    /// The GGUF file is of another kind.
    #[error("this is not an importance matrix: it has no {0}. llmtool imatrix makes one")]
    Key(&'static str),
    /// A matrix has only one of its two tensors, or they are invalid.
    #[error(
        "the importance of {0} is not complete: it needs {0}.in_sum2 and {0}.counts in F32, with one count"
    )]
    Incomplete(String),
    /// A value is negative, infinite or NaN.
    #[error("the importance of {0} has a value that is not a sum of squares")]
    Value(String),
    /// The file is empty.
    #[error("it has no matrices")]
    Empty,
}
