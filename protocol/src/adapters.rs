//! How the region of adapters is divided, which audit alone writes and inference reads.
//!
//! First come examples that were typed at a console, as lines of JSON, then adapters made on this device, one after the
//! other, each a GGUF file. Where each lies, audit keeps in its own memory: inference learns of a part of the region from
//! the command that names it, and audit does not write that part before the command is answered.

/// Bytes of the region; `system.xml` gives it this size.
pub const REGION_BYTES: usize = 0x10_0000;

/// Of them, those for examples, at the beginning (64 KiB).
pub const EXAMPLES_BYTES: usize = 64 << 10;

/// Every adapter begins at a multiple of this: a cache line, and more than the alignment of a GGUF file's tensors.
pub const ALIGN: usize = 64;

/// Bytes for adapters made on this device, all together.
pub const MADE_BYTES: usize = REGION_BYTES - EXAMPLES_BYTES;

const _: () = assert!(
    EXAMPLES_BYTES.is_multiple_of(ALIGN)
        && REGION_BYTES.is_multiple_of(4096)
        && EXAMPLES_BYTES <= crate::limits::MAX_DATA_BYTES
        && crate::limits::MAX_PART_BYTES.is_multiple_of(8)
);

/// Name of the data that are the examples typed at a console.
pub const EXAMPLES: &str = "examples";
