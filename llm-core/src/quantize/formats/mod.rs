//! The block formats of GGUF, one per file: the block's layout, its codes and scales, and how weights are converted to
//! it.
//!
//! To add a format, add such a file, a line in `quantize::types` and a name below.

macro_rules! formats {
    ($($module:ident: $($block:ident),*;)*) => {$(
        mod $module;
        pub use $module::{$($block),*};
    )*};
}

formats! {
    floats: F32, F16, BF16;
    q4_0: BlockQ4_0;
    q4_1: BlockQ4_1;
    q5_0: BlockQ5_0;
    q5_1: BlockQ5_1;
    q8_0: BlockQ8_0;
    q8_1: BlockQ8_1;
    q2_k: BlockQ2K;
    q3_k: BlockQ3K;
    q4_k: BlockQ4K;
    q5_k: BlockQ5K;
    q6_k: BlockQ6K;
    iq4_nl: BlockIQ4NL;
    iq4_xs: BlockIQ4XS;
    tq1_0: BlockTQ1_0;
    tq2_0: BlockTQ2_0;
}
