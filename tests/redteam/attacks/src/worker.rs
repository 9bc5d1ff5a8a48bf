//! The hostile worker: the attacks that it makes instead of a job when the hostile inference server of its compartment
//! orders one.
//!
//! Orders and reports use the end of the region `team`, after the part that the honest members use.

mod list;

pub use list::{ATTACKS, Attack, Must};

use crate::{On, Say, memory, place};
use core::fmt::Write as _;
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// Offset of orders and reports in the region `team`.
pub const POST: usize = 0xe00;

/// Size of a report in bytes.
const REPORT: usize = 0x100;

/// Marks an order, so that garbage is not taken for one.
const MARK: u64 = 0x5eed_0bad << 32;

/// Bytes of a worker's stack.
pub const STACK: usize = 0x4_0000;

/// Signals of a flood. There are few enough that the worker finishes its part, even in an emulator, before inference
/// gives it up.
const SIGNALS: u32 = 10_000;

/// What a hostile worker knows about itself.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Its number in the team.
    pub number: usize,
    /// An address of its code.
    pub text: usize,
    /// Bytes of the arena.
    pub arena: usize,
}

/// Services of a hostile worker's runtime for attacks, and attacks that only the runtime can make.
pub trait Ground {
    /// Signals inference.
    fn ring(&mut self);
    /// Makes an attack of the runtime. False if it has none with this name.
    fn perform(&mut self, name: &str, say: &mut Say) -> bool;
}

fn word(at: usize) -> &'static AtomicU64 {
    // SAFETY: `systems/cores/system.xml` maps the region there, readable and writable, both in inference and in the
    // worker. Both use this part of it only as atomics.
    unsafe { &*((place::TEAM + POST + at) as *const AtomicU64) }
}

/// Orders worker 1 to make an attack at its next job. Returns false if no attack has this name. Call it only in a
/// system with workers.
pub fn arm(name: &str) -> bool {
    let Some(index) = ATTACKS.iter().position(|attack| attack.name == name) else {
        return false;
    };
    (0..REPORT / 8).for_each(|at| word(16 + 8 * at).store(0, Ordering::Relaxed));
    word(8).store(MARK | 1 << 16 | index as u64, Ordering::Release);
    true
}

/// Returns what the worker has reported since the order.
pub fn report(say: &mut Say) {
    fence(Ordering::Acquire);
    for at in 0..REPORT / 8 {
        let bytes = word(16 + 8 * at).load(Ordering::Relaxed).to_le_bytes();
        for byte in bytes.into_iter().filter(|byte| *byte != 0) {
            let _ = say.push(char::from(byte));
        }
    }
}

fn tell(say: &Say) {
    for (at, bytes) in say.as_bytes().chunks(8).take(REPORT / 8).enumerate() {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        word(16 + 8 * at).store(u64::from_le_bytes(whole), Ordering::Relaxed);
    }
    fence(Ordering::Release);
}

static CONSTANT: [u64; 4] = [1, 2, 3, 4];

/// A mark that a restart must erase.
static MARKED: AtomicU64 = AtomicU64::new(0);

/// Carries out the order, once. The worker calls this before each job.
pub fn obey(own: Own, ground: &mut impl Ground) {
    let order = word(8).load(Ordering::Acquire);
    if order & !0xffff != MARK | (own.number as u64) << 16 {
        return;
    }
    word(8).store(0, Ordering::Release);
    let Some(attack) = ATTACKS.get((order & 0xffff) as usize) else {
        return;
    };
    let mut say = Say::new();
    perform(attack, own, ground, &mut say);
    tell(&say);
}

fn perform(attack: &Attack, own: Own, ground: &mut impl Ground, say: &mut Say) {
    let Attack { name, must, on, .. } = attack;
    if let (On::Both, Must::Die(_, Some(at)), false) = (on, must, name.contains("execute")) {
        if name.contains("write") {
            memory::write(*at, say);
        } else {
            memory::read(*at, say);
        }
        return;
    }
    match *name {
        "worker-execute-arena" => memory::execute(place::ARENA + 0x7f_0000, true, say),
        "worker-execute-team" => memory::execute(place::TEAM + POST + REPORT, true, say),
        "worker-write-text" => memory::write(own.text & !7, say),
        "worker-write-constants" => memory::write(CONSTANT.as_ptr() as usize & !7, say),
        "worker-never-arrives" => loop {
            core::hint::spin_loop();
        },
        "worker-flood" => {
            (0..SIGNALS).for_each(|_| ground.ring());
            let _ = write!(say, "signalled={SIGNALS}");
        }
        "worker-leave" => {
            MARKED.store(MARK, Ordering::Relaxed);
            let _ = write!(say, "marked");
        }
        "worker-look" => {
            let left = MARKED.load(Ordering::Relaxed);
            let _ = match left {
                0 => write!(say, "nothing is left"),
                left => write!(say, "SUCCEEDED: {left:#x} is left"),
            };
        }
        "worker-lie" => fill(
            place::ARENA + own.arena / 2,
            own.arena / 10,
            Garbage::Random,
        ),
        "worker-flip" => {
            let weight = (place::ARENA + own.arena / 8) as *mut u64;
            // SAFETY: as in `fill`.
            let word = unsafe { core::ptr::read_volatile(weight) };
            // SAFETY: as above.
            unsafe { core::ptr::write_volatile(weight, word ^ 1 << 12) }
        }
        "worker-desk-zeros" => fill(place::TEAM, POST, Garbage::Of(0)),
        "worker-desk-ones" => fill(place::TEAM, POST, Garbage::Of(u64::MAX)),
        "worker-desk-garbage" => fill(place::TEAM, POST, Garbage::Random),
        "worker-scribble" => {
            fill(place::ARENA, own.arena, Garbage::Random);
            fill(place::TEAM, POST, Garbage::Random);
        }
        name => {
            if !ground.perform(name, say) {
                let _ = write!(say, "UNKNOWN");
            }
        }
    }
}

enum Garbage {
    Of(u64),
    Random,
}

fn fill(start: usize, bytes: usize, with: Garbage) {
    let mut random = 0_u64;
    for at in (start & !7..start + bytes).step_by(8) {
        // SplitMix64 without its last steps.
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = match with {
            Garbage::Of(word) => word,
            Garbage::Random => random ^ random >> 31,
        };
        // SAFETY: inside regions that this domain may write, and aligned. The test is how inference reacts.
        unsafe { core::ptr::write_volatile(at as *mut u64, word) }
    }
}
