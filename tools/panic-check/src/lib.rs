//! Which panics can a handler reach?
//!
//! A panic in audit is the end of the whole system: nobody restarts it. So its code is written to have none, and this
//! crate looks whether the linked binary agrees. It reads the machine code ([`decode`]), draws the graph of calls
//! ([`image`]), walks it from the handlers' roots to the functions of the panic machinery ([`graph`]), and wants an
//! argument for each call of them that is left ([`argument`]): compilers cannot prove everything.
//!
//! What makes the walk safe to believe: every direct call and jump counts, whether or not it is ever taken; a call
//! through a register may go to every function whose address is taken anywhere, in code or in data; a jump to code that
//! belongs to no function is an error. What it does not see is the machine's own exceptions (an access outside mapped
//! memory), which safe Rust does not raise but by running out of stack.

#![forbid(unsafe_code)]

mod aarch64;
pub mod argument;
pub mod decode;
pub mod graph;
pub mod image;
mod riscv;
