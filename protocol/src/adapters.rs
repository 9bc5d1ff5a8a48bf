//! The layout of the adapter region, which only audit writes and inference reads.
//!
//! It begins with examples typed at a console, as lines of JSON. Adapters made on this device follow, each a GGUF file.
//! Audit keeps their locations in its own memory. Inference learns about a part of the region from the command that
//! names it, and audit does not write that part until the command is answered.

/// Size of the region in bytes; `system.xml` gives it this size.
pub const REGION_BYTES: usize = 0x10_0000;

/// Bytes for examples, at the beginning of the region (64 KiB).
pub const EXAMPLES_BYTES: usize = 64 << 10;

/// Alignment of each adapter: a cache line, which is more than the tensors of a GGUF file need.
pub const ALIGN: usize = 64;

/// Bytes for all adapters made on this device.
pub const MADE_BYTES: usize = REGION_BYTES - EXAMPLES_BYTES;

const _: () = assert!(
    EXAMPLES_BYTES.is_multiple_of(ALIGN)
        && REGION_BYTES.is_multiple_of(4096)
        && EXAMPLES_BYTES <= crate::limits::MAX_DATA_BYTES
        && crate::limits::MAX_PART_BYTES.is_multiple_of(8)
);

/// Name under which the typed examples are used as training data.
pub const EXAMPLES: &str = "examples";
