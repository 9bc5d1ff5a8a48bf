//! The gates, model-checked: `RUSTFLAGS="--cfg loom" cargo test -p sel4-llm-workers --test loom`.
//!
//! Every interleaving of a leader and its workers, and every value that the C11 memory model lets a load return. A
//! signal that is lost shows as a deadlock, which the model reports. Words and results are cells without any ordering
//! of their own, so the model also reports each access that the gates do not order.
#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use workers::{Desk, Leader, Worker};

type Board<const WORKERS: usize> = Desk<WORKERS, 1>;

/// Like the host's bell: a signal that nobody waits for is remembered.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    condition: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.condition.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.condition.wait(rung).unwrap();
        }
        *rung = false;
    }
}

struct Shared<const WORKERS: usize> {
    desk: Board<WORKERS>,
    /// The input that the leader writes for all, and the outputs of the workers.
    input: UnsafeCell<u32>,
    outputs: [UnsafeCell<u32>; WORKERS],
    bells: [Bell; WORKERS],
}

impl<const WORKERS: usize> Shared<WORKERS> {
    fn new(desk: Board<WORKERS>) -> Arc<Self> {
        Arc::new(Self {
            desk,
            input: UnsafeCell::new(0),
            outputs: std::array::from_fn(|_| UnsafeCell::new(0)),
            bells: std::array::from_fn(|_| Bell::default()),
        })
    }
}

/// The loop of a worker: reads the job and the input, writes its output, and answers.
fn serve<const WORKERS: usize>(index: usize, shared: &Shared<WORKERS>, spins: u32) {
    let mut worker = Worker::new(index);
    let sleep = || shared.bells[index].wait();
    while let Some(mut words) = worker.next(&shared.desk, spins, sleep) {
        let word = words.next().unwrap() as u32;
        assert!(words.next().is_none());
        // SAFETY: this is what the model checks: it panics if the gates do not order the accesses.
        let input = shared.input.with(|input| unsafe { *input });
        assert_eq!(word, input, "the words of this job");
        // SAFETY: as above.
        shared.outputs[index].with_mut(|output| unsafe { *output = 10 * input + index as u32 });
        if worker.done(&shared.desk, input) {
            shared.bells[0].ring();
        }
    }
}

/// `jobs` jobs for a leader and its workers, then the end.
fn work<const WORKERS: usize>(desk: Board<WORKERS>, jobs: u32, spins: u32) {
    let shared = Shared::new(desk);
    let threads: Vec<_> = (1..WORKERS)
        .map(|index| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || serve(index, &shared, spins))
        })
        .collect();
    let mut leader = Leader::<WORKERS>::default();
    let signal = |worker: usize| shared.bells[worker].ring();
    for job in 1..=jobs {
        // SAFETY: as in `serve`.
        shared.input.with_mut(|input| unsafe { *input = job });
        leader.call(&shared.desk, WORKERS, |put| put(job.into()), signal);
        let sleep = |_| {
            shared.bells[0].wait();
            Ok::<_, std::convert::Infallible>(())
        };
        let mut answers = Vec::new();
        let waited = leader.wait(&shared.desk, WORKERS, spins, sleep, |answer| {
            answers.push(answer)
        });
        assert_eq!(waited, Ok(()));
        assert_eq!(answers, vec![job; WORKERS - 1]);
        for (index, output) in shared.outputs.iter().enumerate().skip(1) {
            // SAFETY: as in `serve`.
            let output = output.with(|output| unsafe { *output });
            assert_eq!(output, 10 * job + index as u32, "the part is done");
        }
    }
    leader.call(&shared.desk, WORKERS, |_| (), signal);
    for thread in threads {
        thread.join().unwrap();
    }
}

/// At most three preemptions, besides every value that a load may return: an unbounded search takes too long for a
/// test.
fn bounded(check: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(check);
}

#[test]
fn a_job_is_done_before_the_leader_goes_on_and_no_signal_is_lost() {
    loom::model(|| work::<2>(Desk::default(), 1, 0));
}

#[test]
fn the_same_with_spinning_before_each_sleep() {
    loom::model(|| work::<2>(Desk::default(), 1, 1));
}

#[test]
fn each_job_is_done_before_the_next() {
    bounded(|| work::<2>(Desk::default(), 3, 0));
}

#[test]
fn two_workers_do_their_parts_of_the_same_job() {
    bounded(|| work::<3>(Desk::default(), 1, 0));
}

#[test]
#[should_panic]
fn the_model_notices_gates_that_publish_nothing() {
    loom::model(|| work::<2>(Desk::without_release(), 1, 0));
}

/// A leader and workers that start in any order on a desk that an old run has left, and one job.
fn start_over<const WORKERS: usize>(desk: Board<WORKERS>) {
    let shared = Shared::new(desk);
    let threads: Vec<_> = (1..WORKERS)
        .map(|index| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut worker = Worker::new(index);
                let ring = || shared.bells[0].ring();
                let sleep = || shared.bells[index].wait();
                worker.greet(&shared.desk, ring, sleep);
                let mut words = worker.next(&shared.desk, 0, sleep).expect("a job");
                assert_eq!(words.next(), Some(7), "the words of this run");
                if worker.done(&shared.desk, 8) {
                    shared.bells[0].ring();
                }
            })
        })
        .collect();
    let mut leader = Leader::<WORKERS>::default();
    let signal = |worker: usize| shared.bells[worker].ring();
    leader.begin(&shared.desk, WORKERS, signal);
    leader.admit(&shared.desk, WORKERS, signal, |_| shared.bells[0].wait());
    leader.call(&shared.desk, WORKERS, |put| put(7), signal);
    let sleep = |_| {
        shared.bells[0].wait();
        Ok::<_, std::convert::Infallible>(())
    };
    let mut answers = Vec::new();
    let waited = leader.wait(&shared.desk, WORKERS, 0, sleep, |answer| {
        answers.push(answer)
    });
    assert_eq!(waited, Ok(()));
    assert_eq!(answers, vec![8; WORKERS - 1]);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn what_an_old_life_has_left_is_taken_for_nothing() {
    // First an untouched desk; then what the last run left in the middle of its first job, or before it had admitted
    // anybody; then a desk left with malicious contents.
    for (life, admitted, greeted, turn) in [
        (0, 0, 0, 0),
        (1, 1, 1, 1),
        (1, 0, 1, 0),
        (1, 2, 2, 1),
        (u32::MAX, u32::MAX, 1, 1),
    ] {
        bounded(move || start_over::<2>(Desk::left_behind(life, admitted, greeted, turn)));
    }
}

#[test]
fn two_workers_start_over() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| start_over::<3>(Desk::left_behind(1, 2, 2, 1)));
}
