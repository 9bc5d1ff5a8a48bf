//! Threads in place of domains: they share the leader's arena and the table, and are stopped and started again as audit
//! would.

use llm_core::arena::Arena;
use llm_core::kv_cache::KvType;
use llm_core::quantize::{NonFinite, TensorType};
use llm_core::simd::Cpu;
use llm_core::team::{Alone, Team, Work};
use llm_core::testing::{Memory, Shape, model};
use llm_core::transformer::{Checked, LoadOptions, Model, Positions};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use workers::domains::{Bells, Domains, MOST, PATIENCE, Seat, Table, Woken};

/// The notifications of a team. They are remembered until somebody waits for them.
struct Kernel {
    signals: [(Mutex<bool>, Condvar); MOST],
    /// The members are to end at their next wait.
    stopped: AtomicBool,
}

struct Member(Arc<Kernel>, usize);

impl Bells for Member {
    fn ring(&mut self, member: usize) {
        let (signal, arrived) = &self.0.signals[member];
        *signal.lock().unwrap() = true;
        arrived.notify_one();
    }

    fn wait(&mut self) -> Woken {
        let (signal, arrived) = &self.0.signals[self.1];
        let mut signal = signal.lock().unwrap();
        while !*signal {
            signal = arrived.wait(signal).unwrap();
        }
        *signal = false;
        if self.0.stopped.load(Ordering::SeqCst) {
            // The thread ends here, without a message.
            std::panic::resume_unwind(Box::new(()));
        }
        Woken::Member
    }
}

/// Cuts even the shortest jobs.
struct Eager<B>(Domains<B>);

impl<B: Bells> Team for Eager<B> {
    fn workers(&self) -> usize {
        self.0.workers()
    }

    fn least_work(&self) -> u64 {
        0
    }

    fn run(&mut self, work: Work<'_>) -> Result<(), NonFinite> {
        self.0.run(work)
    }
}

// The leader's borrow of the arena and the workers' pointer to it are used in turn, as between domains.
const SHAPE: Shape = Shape {
    context: 64,
    ty: TensorType::Q8_0,
    width: 64,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    feed_forward: 96,
    tied: true,
};

/// Bits of the logits of a few tokens.
fn logits(memory: &mut [u8], team: &mut impl Team) -> Vec<u32> {
    let options = LoadOptions {
        context: 64,
        kv: KvType::Q8,
        sessions: 1,
        positions: Positions::Exactly(64),
        max_prompt_bytes: 64,
        cpu: Cpu::detect(),
        workers: team.workers(),
    };
    let file = model(SHAPE).finish();
    let checked = Checked::new(&file).expect("a model");
    let mut arena = Arena::new(memory).expect("aligned");
    let model = Model::load(&checked, &options, &mut arena).expect("room");
    model.reserve(&mut arena, 0, 64).expect("positions");
    let mut bits = Vec::new();
    for n in 0..4u32 {
        let at = n as usize;
        model
            .forward(&mut arena, team, &[n * 7 + 3], at, true)
            .expect("finite");
        bits.extend(model.logits(&arena).iter().map(|x| x.to_bits()));
    }
    bits
}

/// A run of a team: its workers serve while the leader computes, and are stopped during their wait.
fn live(memory: &mut [u8], table: &'static Table, members: usize) -> Vec<u32> {
    let kernel = Arc::new(Kernel {
        signals: Default::default(),
        stopped: AtomicBool::new(false),
    });
    let arena = (memory.as_mut_ptr() as usize, memory.len());
    let threads: Vec<_> = (1..members)
        .map(|number| {
            let mut bells = Member(Arc::clone(&kernel), number);
            std::thread::spawn(move || {
                let arena = (arena.0 as *mut u8, arena.1);
                // SAFETY: the leader's arena, which outlives the threads; each has its own number, and those of the
                // last run have been joined.
                let seat = unsafe { Seat::new(table, number, arena, 0) };
                seat.expect("a place").serve(&mut bells, || ());
            })
        })
        .collect();
    let mut leader = Eager(Domains::begin(table, members, 0, Member(kernel.clone(), 0)));
    assert_eq!(leader.workers(), members);
    let bits = logits(memory, &mut leader);
    kernel.stopped.store(true, Ordering::SeqCst);
    (1..members).for_each(|number| Member(kernel.clone(), 0).ring(number));
    for thread in threads {
        assert!(thread.join().is_err(), "stopped in its wait");
    }
    bits
}

#[test]
fn life_after_life_on_the_same_table_gives_the_bits_of_one_domain() {
    let mut memory = Memory::new(8 << 20);
    let expected = logits(memory.bytes(), &mut Alone);
    let table: &'static Table = Box::leak(Box::default());
    for members in [2, 4, 3, 2, MOST, 1] {
        assert!(
            live(memory.bytes(), table, members) == expected,
            "{members} members"
        );
    }
}

/// Notifications for a leader.
struct Heard(Arc<Mutex<Vec<Woken>>>);

impl Bells for Heard {
    fn ring(&mut self, _: usize) {}

    fn wait(&mut self) -> Woken {
        let mut heard = self.0.lock().unwrap();
        heard.pop().expect("it gives up before")
    }
}

#[test]
fn a_worker_that_never_arrives_ends_the_leader_once_its_supervisor_has_rung_often_enough() {
    let in_vain = PATIENCE as usize;
    for from_members in [0, 5] {
        // In reverse order: the last of these arrives first.
        let mut heard = vec![Woken::Member; from_members];
        heard.extend(vec![Woken::Supervisor; in_vain]);
        heard.extend(vec![Woken::Member; from_members]);
        let heard = Arc::new(Mutex::new(heard));
        let bells = Heard(Arc::clone(&heard));
        let leader = std::thread::spawn(move || {
            let table: &'static Table = Box::leak(Box::default());
            let mut memory = Memory::new(8 << 20);
            let mut leader = Eager(Domains::begin(table, 2, 0, bells));
            logits(memory.bytes(), &mut leader)
        });
        let why = leader.join().expect_err("it cannot go on");
        let why = why.downcast_ref::<String>().expect("a message");
        assert_eq!(why, "worker 1 has not arrived");
        assert_eq!(
            heard.lock().unwrap_or_else(|e| e.into_inner()).len(),
            from_members
        );
    }
}
