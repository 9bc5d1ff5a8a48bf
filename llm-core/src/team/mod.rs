//! Work on rows, cut into parts that several workers run.
//!
//! The forward pass describes each of its large operations as a *job*: which operation, where its inputs and outputs
//! lie in the arena, and which rows, heads or elements are wanted. A job is plain data, so it can cross into another
//! address space that has the same arena. A [`Team`] runs it: [`Alone`] at once, by static dispatch, and a team of
//! several by giving each worker the same job with a different number. A worker's number decides which rows are its
//! own. Each row is computed as if there were one worker, so the number of workers changes no bit of any result.
//!
//! Where it could go wrong is memory: two workers must never touch what one of them writes. `memory` has the rule that
//! ensures it and all the `unsafe` of this module; `jobs` has the operations.

mod jobs;
mod memory;
mod words;

pub(crate) use jobs::{
    Activate, Attend, Cap, Job, LeftOut, MAX_PLACES, Multiply, NormOf, Place, Places, Prepare,
    Product, Products, Rotate, Store, Vectors,
};
pub(crate) use memory::Memory;

use crate::quantize::NonFinite;
use crate::simd::Cpu;
use core::ptr::NonNull;
use words::{Reader, Word, Writer};

/// Maximum number of workers of a job, including the one that leads the others.
pub const MAX_WORKERS: usize = 64;

/// Maximum number of words of a job.
pub const MAX_WORDS: usize = 96;

/// Least work that a team cuts unless it says otherwise, in multiply-accumulates. A workstation does them in a quarter
/// of a microsecond, which is what it takes to call another core and to wait for it; a Cortex-A53 in 30 µs. Smaller
/// values make a workstation wait for nothing, larger ones leave the other cores idle.
pub const LEAST_WORK: u64 = 32 << 10;

/// Those who compute rows.
pub trait Team {
    /// How many there are, including the caller: at least 1.
    fn workers(&self) -> usize;

    /// Least work that it is given, in multiply-accumulates; less is done by the caller alone.
    fn least_work(&self) -> u64 {
        LEAST_WORK
    }

    /// Runs the work: the part of each worker below [`Work::workers`], in any order. Returns when all are done.
    ///
    /// # Errors
    /// A value was not finite.
    fn run(&mut self, work: Work<'_>) -> Result<(), NonFinite>;
}

/// A team of one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Team for Alone {
    fn workers(&self) -> usize {
        1
    }

    fn run(&mut self, work: Work<'_>) -> Result<(), NonFinite> {
        work.alone()
    }
}

impl<T: Team + ?Sized> Team for &mut T {
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

/// A job, and exclusive access to the arena for as long as it lasts.
#[derive(Debug)]
pub struct Work<'a> {
    job: &'a Job,
    cpu: Cpu,
    memory: Memory<'a>,
    workers: usize,
}

/// The words are not those of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these words are not a job")]
pub struct BadJob;

impl<'a> Work<'a> {
    pub(crate) const fn new(job: &'a Job, cpu: Cpu, memory: Memory<'a>, workers: usize) -> Self {
        Self {
            job,
            cpu,
            memory,
            workers,
        }
    }

    /// Number of workers that the job is cut for, at most the team's.
    #[must_use]
    pub const fn workers(&self) -> usize {
        self.workers
    }

    /// Runs all of it here.
    ///
    /// # Errors
    /// A value was not finite.
    #[inline]
    pub fn alone(self) -> Result<(), NonFinite> {
        self.job.run(self.cpu, self.memory.alone())
    }

    /// Runs the part of one worker here.
    ///
    /// # Errors
    /// A value was not finite.
    ///
    /// # Panics
    /// The worker has no part.
    ///
    /// # Safety
    /// No part runs twice, here or by [`run_part`], and the work lives until all have ended.
    #[allow(unsafe_code, reason = "see its contract")]
    pub unsafe fn part(&self, worker: usize) -> Result<(), NonFinite> {
        assert!(worker < self.workers, "worker {worker} has no part");
        let (base, len) = self.memory.bounds();
        let fixed = self.memory.fixed();
        // SAFETY: the arena is borrowed for 'a; the caller vouches that no other part has this number.
        let access = unsafe { memory::Access::new(base, len, fixed, worker, self.workers) };
        self.job.run(self.cpu, access)
    }

    /// Where the arena begins, and its size in bytes.
    #[must_use]
    pub const fn memory(&self) -> (NonNull<u8>, usize) {
        self.memory.bounds()
    }

    /// The job as words, at most [`MAX_WORDS`]; [`run_part`] reads them.
    pub fn write(&self, put: &mut dyn FnMut(u64)) {
        let mut to = Writer(put);
        self.cpu.code().put(&mut to);
        self.workers.put(&mut to);
        self.memory.fixed().put(&mut to);
        self.job.put(&mut to);
    }
}

/// Runs the part of one worker of a job that [`Work::write`] wrote.
///
/// # Errors
/// These are not the words of a job, or the worker has no part in it.
///
/// # Safety
/// `base` and `len` are the arena of that [`Work`], in this address space, aligned like an arena. Until every part has
/// ended, the work is borrowed and neither dropped nor run otherwise, and no part of it runs twice.
#[allow(unsafe_code, reason = "see its contract")]
pub unsafe fn run_part(
    take: &mut dyn FnMut() -> Option<u64>,
    base: NonNull<u8>,
    len: usize,
    worker: usize,
) -> Result<Result<(), NonFinite>, BadJob> {
    let mut from = Reader(take);
    let cpu = u64::get(&mut from).and_then(Cpu::from_code).ok_or(BadJob)?;
    let workers = usize::get(&mut from).ok_or(BadJob)?;
    let fixed = usize::get(&mut from).ok_or(BadJob)?;
    let job = Job::get(&mut from).ok_or(BadJob)?;
    if worker >= workers || workers > MAX_WORKERS || fixed > len {
        return Err(BadJob);
    }
    // SAFETY: the caller vouches for the memory, and that no other part has this number.
    let access = unsafe { memory::Access::new(base, len, fixed, worker, workers) };
    Ok(job.run(cpu, access))
}

#[cfg(test)]
pub(crate) mod tests;
