//! The inner loops, one module per instruction set.
//!
//! [`scalar`] is the reference: short, obviously right, and kept for ever as the oracle of the fast
//! ones, which must give the same bits.

pub mod scalar;
