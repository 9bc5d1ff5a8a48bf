//! The arithmetic: the canonical order of every sum (`docs/numerics.md`), in plain Rust.
//!
//! These are the reference kernels: short, obviously right, and kept for ever as the oracle of the fast ones
//! ([`crate::simd`]), which give the same bits.
//!
//! - *Matrices*: a row adds its blocks (float weights: its columns) in ascending order. Rows are independent, so SIMD
//!   lanes can hold different rows.
//! - *Reductions over one vector*: element i goes to virtual lane i mod 16, ascending; then the lanes are folded by 8,
//!   4, 2, 1.
//! - Multiply and add stay separate; `sqrt` and division are IEEE; [`exp`] is one polynomial.
//!
//! Everything except matrix products is compiled for the CPU's vectors from this same code ([`crate::simd::Cpu`]), so it
//! is inlined wherever it is called.

mod products;
mod sums;
mod vectors;

pub use products::{
    MAX_BATCH, dot_i8, matmul_float, matmul_small, matmul_super, product_small, product_super,
};
pub use sums::{LANES, dot_f32, sum};
pub(crate) use sums::{fold, max, sum_of};
pub use vectors::{
    adapter_down, adapter_up, add, exp, finite, geglu, gelu, layer_norm, rms_norm, rotate, scale,
    silu, soft_cap, softmax_numerators, swiglu,
};

#[cfg(test)]
mod tests;
