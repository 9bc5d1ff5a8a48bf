//! Small models and aligned memory for tests, including those of other crates (feature `testing`). They need a heap,
//! but no operating system.

pub mod kernels;
mod models;
mod writer;

#[cfg(test)]
pub(crate) use models::model_with_vocabulary;
pub use models::{Shape, benchmark, byte_character, chat_model, gpt2, model, seed_shape, wide};
pub use writer::GgufWriter;

mod adapters;
mod families;

pub use adapters::{AdapterShape, adapter};
pub use families::family;

use crate::quantize::NonFinite;
use crate::team::{Team, Work};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Zeroed memory aligned to 64 bytes, as an arena requires.
pub struct Memory {
    lines: Vec<Line>,
    bytes: usize,
}

impl Memory {
    /// Allocates `bytes` zeros.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            lines: vec![Line([0; 64]); bytes.div_ceil(64)],
            bytes,
        }
    }

    /// The memory.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.lines.as_mut_bytes()[..self.bytes]
    }
}

impl AsMut<[u8]> for Memory {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes()
    }
}

/// So that a test can choose a team at run time.
impl Team for Box<dyn Team> {
    fn workers(&self) -> usize {
        (**self).workers()
    }

    fn least_work(&self) -> u64 {
        (**self).least_work()
    }

    fn run(&mut self, work: Work<'_>) -> Result<(), NonFinite> {
        (**self).run(work)
    }
}
