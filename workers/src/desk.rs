//! What a leader and its workers share, and how each of them uses it.

use crate::gate::Gate;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Something that is alone in its cache lines, so that who spins on it is not disturbed by who writes its neighbour.
/// 128 bytes: CPUs fetch lines of 64 in pairs.
#[derive(Debug)]
#[repr(C, align(128))]
struct Alone<T>(T);

/// What belongs to one worker.
#[derive(Debug)]
#[repr(C)]
struct Place {
    /// Opened by the leader.
    called: Alone<Gate>,
    /// Opened by the worker.
    done: Alone<Done>,
}

#[derive(Debug)]
#[repr(C)]
struct Done {
    gate: Gate,
    /// What the worker answered.
    answer: AtomicU32,
}

/// Shared memory of a leader and at most `WORKERS` − 1 workers, for jobs of at most `WORDS` words. Zeros are a valid
/// desk without a job.
#[derive(Debug)]
#[repr(C)]
pub struct Desk<const WORKERS: usize, const WORDS: usize> {
    /// Number of words of the job; 0: the workers are to end.
    len: AtomicU32,
    words: [AtomicU64; WORDS],
    /// The leader, worker 0, does not use its place.
    places: [Place; WORKERS],
    /// What the model leaves out, to see that it notices.
    #[cfg(loom)]
    order: Ordering,
}

impl<const WORKERS: usize, const WORDS: usize> Default for Desk<WORKERS, WORDS> {
    fn default() -> Self {
        Self {
            len: AtomicU32::new(0),
            words: core::array::from_fn(|_| AtomicU64::new(0)),
            places: core::array::from_fn(|_| Place {
                called: Alone(Gate::new()),
                done: Alone(Done {
                    gate: Gate::new(),
                    answer: AtomicU32::new(0),
                }),
            }),
            #[cfg(loom)]
            order: Ordering::AcqRel,
        }
    }
}

impl<const WORKERS: usize, const WORDS: usize> Desk<WORKERS, WORDS> {
    /// A desk whose gates publish nothing.
    #[cfg(loom)]
    pub fn without_release() -> Self {
        Self {
            order: Ordering::Relaxed,
            ..Self::default()
        }
    }

    #[cfg(loom)]
    fn order(&self) -> Ordering {
        self.order
    }

    #[cfg(not(loom))]
    const fn order(&self) -> Ordering {
        Ordering::AcqRel
    }
}

/// A worker did not arrive by the deadline. It may still be at work, so its memory must not be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("worker {0} has not finished its part of a job by the deadline")]
pub struct Late(pub usize);

/// The leader's side of a desk.
#[derive(Debug)]
pub struct Leader<const WORKERS: usize> {
    /// The turn of each worker's gates.
    turns: [u32; WORKERS],
}

impl<const WORKERS: usize> Default for Leader<WORKERS> {
    fn default() -> Self {
        Self {
            turns: [0; WORKERS],
        }
    }
}

impl<const WORKERS: usize> Leader<WORKERS> {
    /// Calls workers 1 to `workers` − 1 for a job of these words; without words they end. `signal` is called for those
    /// that sleep. [`Self::wait`] must return before the next call.
    ///
    /// # Panics
    /// There are more words or workers than the desk has room for.
    pub fn call<const WORDS: usize>(
        &mut self,
        desk: &Desk<WORKERS, WORDS>,
        workers: usize,
        job: impl FnOnce(&mut dyn FnMut(u64)),
        mut signal: impl FnMut(usize),
    ) {
        let mut len = 0;
        job(&mut |word| {
            desk.words[len].store(word, Ordering::Relaxed);
            len += 1;
        });
        desk.len.store(len as u32, Ordering::Relaxed);
        let called = desk.places[..workers].iter().zip(&mut self.turns);
        for (worker, (place, turn)) in called.enumerate().skip(1) {
            *turn = Gate::next(*turn);
            if place.called.0.open(*turn, desk.order()) {
                signal(worker);
            }
        }
    }

    /// Waits until the workers that were called have done their parts, and passes on what each answered. `sleep` is
    /// called after `spins` looks at a gate; it returns false at the deadline.
    ///
    /// # Errors
    /// The deadline has passed.
    pub fn wait<const WORDS: usize>(
        &mut self,
        desk: &Desk<WORKERS, WORDS>,
        workers: usize,
        spins: u32,
        mut sleep: impl FnMut() -> bool,
        mut answer: impl FnMut(u32),
    ) -> Result<(), Late> {
        let called = desk.places[..workers].iter().zip(&self.turns);
        for (worker, (place, turn)) in called.enumerate().skip(1) {
            let Done { gate, answer: told } = &place.done.0;
            gate.pass(*turn, spins, || match sleep() {
                true => Ok(()),
                false => Err(Late(worker)),
            })?;
            answer(told.load(Ordering::Relaxed));
        }
        Ok(())
    }
}

/// A worker's side of a desk.
#[derive(Debug)]
pub struct Worker {
    index: usize,
    turn: u32,
}

/// The words of a job, one after the other.
#[derive(Debug)]
pub struct Called<'d> {
    words: core::slice::Iter<'d, AtomicU64>,
}

impl Iterator for Called<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        Some(self.words.next()?.load(Ordering::Relaxed))
    }
}

impl Worker {
    /// The worker with this number, from 1 on, of a desk that it has not used.
    #[must_use]
    pub const fn new(index: usize) -> Self {
        Self { index, turn: 0 }
    }

    /// Waits for the next job; `None` if the worker is to end. `sleep` is called after `spins` looks at the gate.
    ///
    /// # Panics
    /// The desk has no such place.
    pub fn next<'d, const WORKERS: usize, const WORDS: usize>(
        &mut self,
        desk: &'d Desk<WORKERS, WORDS>,
        spins: u32,
        mut sleep: impl FnMut(),
    ) -> Option<Called<'d>> {
        self.turn = Gate::next(self.turn);
        let gate = &desk.places[self.index].called.0;
        let passed: Result<(), core::convert::Infallible> = gate.pass(self.turn, spins, || {
            sleep();
            Ok(())
        });
        let Ok(()) = passed;
        match desk.len.load(Ordering::Relaxed) as usize {
            0 => None,
            len => Some(Called {
                words: desk.words[..len.min(WORDS)].iter(),
            }),
        }
    }

    /// The part of the last job is done. True if the leader sleeps and must be signalled.
    ///
    /// # Panics
    /// The desk has no such place.
    pub fn done<const WORKERS: usize, const WORDS: usize>(
        &self,
        desk: &Desk<WORKERS, WORDS>,
        answer: u32,
    ) -> bool {
        let done = &desk.places[self.index].done.0;
        done.answer.store(answer, Ordering::Relaxed);
        done.gate.open(self.turn, desk.order())
    }
}
