//! A team of threads.
//!
//! The threads live as long as the team, because starting one takes longer than most jobs. The one unsafe step is to
//! run a part of a job whose memory belongs to the leader: it is sound because the leader does not return before every
//! part has ended, not even by a panic.

use crate::answer;
use crate::desk::{Desk, Leader, Worker};
use llm_core::quantize::NonFinite;
use llm_core::team::{LEAST_WORK, MAX_WORDS, MAX_WORKERS, Team, Work, run_part};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Number of looks at a gate before a thread sleeps: about 0.2 ms, because a pause takes a current CPU 40 ns. Between
/// two tokens the leader samples one, which takes about as long; waking a thread takes 5 to 50 µs. A larger value would
/// waste a core while the leader waits for its user.
const SPINS: u32 = 1 << 12;

/// The same if there are more threads than cores: a spinning thread then keeps the core from the one that it waits for.
const SPINS_IF_CROWDED: u32 = 16;

/// How long the leader waits for a part. The longest job takes milliseconds; a machine that gives a thread no time for
/// a minute is broken.
const DEADLINE: Duration = Duration::from_secs(60);

/// A worker did not arrive by the deadline. It may still be at work, so its memory must not be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("worker {0} has not finished its part of a job by the deadline")]
struct Late(usize);

/// The data that the threads of a team share.
#[derive(Debug)]
struct Shared {
    desk: Desk<MAX_WORKERS, MAX_WORDS>,
    /// The memory of the job.
    base: AtomicPtr<u8>,
    len: AtomicUsize,
    /// One for each thread, the leader's first.
    bells: Vec<Bell>,
    spins: u32,
}

/// Wakes a thread; a ring that nobody waits for is remembered.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    condition: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.condition.notify_one();
    }

    /// Waits for a ring, at most this long.
    fn wait(&self, most: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.condition.wait_timeout_while(rung, most, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// A team of threads: the caller, and others that wait for its jobs.
#[derive(Debug)]
pub struct Threads {
    shared: Arc<Shared>,
    leader: Leader<MAX_WORKERS>,
    threads: Vec<JoinHandle<()>>,
    /// Cuts every job, however short.
    eager: bool,
}

/// The number of cores that this process may use, at most [`MAX_WORKERS`].
#[must_use]
pub fn cores() -> usize {
    let cores = thread::available_parallelism();
    cores.map_or(1, usize::from).min(MAX_WORKERS)
}

impl Threads {
    /// A team of `workers`, including the caller: at least 1, at most [`MAX_WORKERS`].
    ///
    /// # Errors
    /// The system does not start a thread.
    pub fn new(workers: usize) -> std::io::Result<Self> {
        let workers = workers.clamp(1, MAX_WORKERS);
        let mut team = Self {
            shared: Arc::new(Shared {
                desk: Desk::default(),
                base: AtomicPtr::new(null_mut()),
                len: AtomicUsize::new(0),
                bells: (0..workers).map(|_| Bell::default()).collect(),
                spins: match workers <= cores() {
                    true => SPINS,
                    false => SPINS_IF_CROWDED,
                },
            }),
            leader: Leader::default(),
            threads: Vec::new(),
            eager: false,
        };
        for index in 1..workers {
            let shared = Arc::clone(&team.shared);
            let thread = thread::Builder::new().name(format!("worker {index}"));
            team.threads
                .push(thread.spawn(move || serve(index, &shared))?);
        }
        Ok(team)
    }

    /// A team that cuts even the shortest jobs, for tests with small models.
    ///
    /// # Errors
    /// See [`Self::new`].
    pub fn eager(workers: usize) -> std::io::Result<Self> {
        let mut team = Self::new(workers)?;
        team.eager = true;
        Ok(team)
    }

    /// Calls `workers`, all of them unless the team is about to end.
    fn call(&mut self, workers: usize, job: impl FnOnce(&mut dyn FnMut(u64))) {
        let Shared { desk, bells, .. } = &*self.shared;
        self.leader
            .call(desk, workers, job, |worker| bells[worker].ring());
    }
}

/// Ends the process if it is dropped: other threads may be using memory of this one.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        eprintln!("a part of a job has failed while others may be at work: ending the process");
        std::process::abort();
    }
}

impl Team for Threads {
    fn workers(&self) -> usize {
        1 + self.threads.len()
    }

    fn least_work(&self) -> u64 {
        if self.eager { 0 } else { LEAST_WORK }
    }

    fn run(&mut self, work: Work<'_>) -> Result<(), NonFinite> {
        let workers = work.workers();
        assert!(workers <= self.workers(), "a job for a larger team");
        let bomb = Bomb;
        let (base, len) = work.memory();
        self.shared.base.store(base.as_ptr(), Ordering::Relaxed);
        self.shared.len.store(len, Ordering::Relaxed);
        self.call(workers, |put| work.write(put));
        // SAFETY: part 0 is the leader's, and the others have been given theirs; `work` is borrowed until all are done,
        // because a panic on the way ends the process.
        #[allow(unsafe_code)]
        let mut result = unsafe { work.part(0) };
        let Shared {
            desk, bells, spins, ..
        } = &*self.shared;
        let mut since = None;
        let waited = self.leader.wait(
            desk,
            workers,
            *spins,
            |worker| {
                bells[0].wait(DEADLINE);
                match since.get_or_insert_with(Instant::now).elapsed() < DEADLINE {
                    true => Ok(()),
                    false => Err(Late(worker)),
                }
            },
            |answer| result = answer::and(result, answer),
        );
        if let Err(late @ Late(_)) = waited {
            eprintln!("{late} of {} s", DEADLINE.as_secs());
            // The bomb ends the process.
            return result;
        }
        std::mem::forget(bomb);
        result
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let workers = self.workers();
        self.call(workers, |_| ());
        for thread in self.threads.drain(..) {
            // It cannot have panicked: that ends the process.
            let _ = thread.join();
        }
    }
}

/// A worker's main loop.
fn serve(index: usize, shared: &Shared) {
    let mut worker = Worker::new(index);
    let sleep = || shared.bells[index].wait(Duration::MAX);
    while let Some(mut words) = worker.next(&shared.desk, shared.spins, sleep) {
        let bomb = Bomb;
        let base = NonNull::new(shared.base.load(Ordering::Relaxed));
        let len = shared.len.load(Ordering::Relaxed);
        let base = base.expect("a job has memory");
        // SAFETY: base and length are those of the work whose words these are: the leader wrote all of them before it
        // opened the gate. It keeps the work until this worker has opened its own, and gives each part to one worker.
        #[allow(unsafe_code)]
        let result = unsafe { run_part(&mut || words.next(), base, len, index) };
        let answer = answer::of(result.expect("the leader's words"));
        std::mem::forget(bomb);
        if worker.done(&shared.desk, answer) {
            shared.bells[0].ring();
        }
    }
}
