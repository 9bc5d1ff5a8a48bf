//! Which panics can a handler reach?
//!
//! A panic in audit ends the whole system: nobody restarts it. So its code is written to have none, and this crate
//! checks whether the linked binary agrees. It reads the machine code ([`decode`]), draws the graph of calls
//! ([`image`]), and walks it from the handlers' roots to the functions of the panic machinery ([`graph`]). Each
//! remaining call of these needs an argument ([`argument`]), because compilers cannot prove everything.
//!
//! Why the walk can be trusted: every direct call and jump counts, whether or not it is ever taken. A call through a
//! register may go to every function whose address is taken anywhere, in code or in data. A jump to code outside all
//! functions is an error. It does not see the machine's own exceptions (an access outside mapped memory), which safe
//! Rust raises only by running out of stack.

#![forbid(unsafe_code)]

mod aarch64;
pub mod argument;
pub mod decode;
pub mod graph;
pub mod image;
pub mod instruction;
mod riscv;
