//! The memory that a leader and its workers share, and how each of them uses it.

use crate::gate::Gate;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A value in cache lines of its own, so that spinning on it is not disturbed by writes to its neighbours. 128 bytes,
/// because CPUs fetch 64-byte lines in pairs.
#[derive(Debug)]
#[repr(C, align(128))]
struct Alone<T>(T);

/// The part of the desk for one worker.
#[derive(Debug)]
#[repr(C)]
struct Place {
    call: Alone<Call>,
    done: Alone<Done>,
}

#[derive(Debug)]
#[repr(C)]
struct Call {
    /// Opened by the leader.
    gate: Gate,
    /// The run of the leader in which it has admitted the worker. The worker clears this when it starts.
    admitted: AtomicU32,
}

#[derive(Debug)]
#[repr(C)]
struct Done {
    /// Opened by the worker.
    gate: Gate,
    /// The worker's answer.
    answer: AtomicU32,
    /// The run of the leader that the worker has seen. The leader clears this when it starts.
    greeted: AtomicU32,
}

/// Shared memory of a leader and at most `WORKERS` − 1 workers, for jobs of at most `WORDS` words. Zeros are a valid
/// desk without a job.
#[derive(Debug)]
#[repr(C)]
pub struct Desk<const WORKERS: usize, const WORDS: usize> {
    /// Counts the leader's runs; never 0 after the first has begun. Only used for greeting.
    life: AtomicU32,
    /// Number of words of the job; 0 tells the workers to end.
    len: AtomicU32,
    words: [AtomicU64; WORDS],
    /// The leader, worker 0, does not use its place.
    places: [Place; WORKERS],
    /// The memory order with which gates are opened. Tests of the model use a weaker one.
    #[cfg(loom)]
    order: Ordering,
}

impl<const WORKERS: usize, const WORDS: usize> Default for Desk<WORKERS, WORDS> {
    fn default() -> Self {
        Self {
            life: AtomicU32::new(0),
            len: AtomicU32::new(0),
            words: core::array::from_fn(|_| AtomicU64::new(0)),
            places: core::array::from_fn(|_| Place {
                call: Alone(Call {
                    gate: Gate::new(),
                    admitted: AtomicU32::new(0),
                }),
                done: Alone(Done {
                    gate: Gate::new(),
                    answer: AtomicU32::new(0),
                    greeted: AtomicU32::new(0),
                }),
            }),
            #[cfg(loom)]
            order: Ordering::AcqRel,
        }
    }
}

impl<const WORKERS: usize, const WORDS: usize> Desk<WORKERS, WORDS> {
    /// A desk with contents that an old run may have left.
    #[cfg(loom)]
    pub fn left_behind(life: u32, admitted: u32, greeted: u32, turn: u32) -> Self {
        let desk = Self::default();
        desk.life.store(life, Ordering::Relaxed);
        for Place { call, done } in &desk.places {
            call.0.admitted.store(admitted, Ordering::Relaxed);
            call.0.gate.open(turn, Ordering::Relaxed);
            done.0.greeted.store(greeted, Ordering::Relaxed);
            done.0.gate.open(turn, Ordering::Relaxed);
        }
        desk
    }

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

/// The leader's side of a desk.
#[derive(Debug)]
pub struct Leader<const WORKERS: usize> {
    /// The turn of each worker's gates.
    turns: [u32; WORKERS],
    /// The number of this run, if workers are to greet.
    life: u32,
}

impl<const WORKERS: usize> Default for Leader<WORKERS> {
    fn default() -> Self {
        Self {
            turns: [0; WORKERS],
            life: 0,
        }
    }
}

impl<const WORKERS: usize> Leader<WORKERS> {
    /// Begins a run on a desk with arbitrary contents, left by a leader and workers that have all been stopped. It
    /// waits for nothing. [`Self::admit`] must follow before the first call, and the workers must greet
    /// ([`Worker::greet`]).
    pub fn begin<const WORDS: usize>(
        &mut self,
        desk: &Desk<WORKERS, WORDS>,
        workers: usize,
        mut signal: impl FnMut(usize),
    ) {
        for place in &desk.places[..workers] {
            place.done.0.greeted.store(0, Ordering::Relaxed);
        }
        self.turns = [0; WORKERS];
        // A different number from the last one, which a faster worker may have greeted already.
        self.life = desk.life.load(Ordering::Relaxed).wrapping_add(1).max(1);
        desk.life.store(self.life, Ordering::Release);
        (1..workers).for_each(&mut signal);
    }

    /// Waits until the workers have greeted in this run, and gives each fresh gates. `sleep` is called with the worker
    /// to wait for; it returns when there was a signal since it last returned, or spuriously.
    pub fn admit<const WORDS: usize>(
        &self,
        desk: &Desk<WORKERS, WORDS>,
        workers: usize,
        mut signal: impl FnMut(usize),
        mut sleep: impl FnMut(usize),
    ) {
        for (worker, place) in desk.places[..workers].iter().enumerate().skip(1) {
            let Place {
                call: Alone(call),
                done: Alone(done),
            } = place;
            while done.greeted.load(Ordering::Acquire) != self.life {
                sleep(worker);
            }
            call.gate.shut();
            done.gate.shut();
            call.admitted.store(self.life, Ordering::Release);
            signal(worker);
        }
    }

    /// Calls workers 1 to `workers` − 1 for a job with these words; without words they end. `signal` is called for
    /// those that sleep. [`Self::wait`] must return before the next call.
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
            if place.call.0.gate.open(*turn, desk.order()) {
                signal(worker);
            }
        }
    }

    /// Waits until the called workers have done their parts, and passes on their answers. After `spins` looks at a
    /// gate, `sleep` is called with the worker to wait for; it may give up.
    ///
    /// # Errors
    /// `sleep` has given up. The worker may still be at work, so its memory must not be touched.
    pub fn wait<const WORDS: usize, E>(
        &mut self,
        desk: &Desk<WORKERS, WORDS>,
        workers: usize,
        spins: u32,
        mut sleep: impl FnMut(usize) -> Result<(), E>,
        mut answer: impl FnMut(u32),
    ) -> Result<(), E> {
        let called = desk.places[..workers].iter().zip(&self.turns);
        for (worker, (place, turn)) in called.enumerate().skip(1) {
            let done = &place.done.0;
            done.gate.pass(*turn, spins, || sleep(worker))?;
            answer(done.answer.load(Ordering::Relaxed));
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

/// The words of a job, in order.
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
    /// The worker with this number, from 1, on a desk that it has not used.
    #[must_use]
    pub const fn new(index: usize) -> Self {
        Self { index, turn: 0 }
    }

    /// Starts on a desk with arbitrary contents, left by a leader and workers that have all been stopped: returns once
    /// the leader of this run has admitted the worker. `sleep` returns when there was a signal since it last returned,
    /// or spuriously; `signal` wakes the leader.
    ///
    /// Leader and worker start in any order, so each erases what the other could mistake for an answer: the worker
    /// clears its admission before it greets, and the leader clears the greeting before it begins a run.
    ///
    /// # Panics
    /// The desk has no such place.
    pub fn greet<const WORKERS: usize, const WORDS: usize>(
        &self,
        desk: &Desk<WORKERS, WORDS>,
        mut signal: impl FnMut(),
        mut sleep: impl FnMut(),
    ) {
        let Place { call, done } = &desk.places[self.index];
        let (admitted, greeted) = (&call.0.admitted, &done.0.greeted);
        admitted.store(0, Ordering::Relaxed);
        let mut last = 0;
        loop {
            let life = desk.life.load(Ordering::Acquire);
            if life != last {
                greeted.store(life, Ordering::Release);
                last = life;
                signal();
            }
            if life != 0 && admitted.load(Ordering::Acquire) == life {
                return;
            }
            sleep();
        }
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
        let gate = &desk.places[self.index].call.0.gate;
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

    /// Ends the part of the last job. Returns true if the leader sleeps and must be signalled.
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
