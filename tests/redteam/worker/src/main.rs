//! The hostile worker on seL4: the real one, which makes an attack when the hostile inference server of its compartment
//! orders one. It has no additional capabilities or regions.

#![no_std]
#![no_main]

#[path = "../../inference/src/kernel.rs"]
mod kernel;
#[path = "../../inference/src/machine.rs"]
mod machine;
#[path = "../../inference/src/remains.rs"]
mod remains;
#[path = "../../../../pds/sel4/inference/src/start.rs"]
mod start;
#[allow(dead_code, reason = "the hostile inference uses all of it")]
#[path = "../../inference/src/timer.rs"]
mod timer;

use core::fmt::Write as _;
use redteam_attacks::Say;
use redteam_attacks::worker::{Ground, Own, POST, STACK, obey};
use remains::Remains;
use runtime::patched;
use runtime::region::{self, Mapped};
use sel4_microkit::{Channel, NullHandler};
use sel4_reset as _;
use workers::domains::{Bells, Seat, Table, Woken, spins};

patched! { inference_channel arena arena_size team team_size }

sel4_microkit::_private::declare_init!(init);

const _: () = assert!(
    size_of::<Table>() <= POST,
    "the red team's words lie on the desk"
);
const _: () = assert!(
    start::STACK_BOTTOM == runtime::layout::STACK_TOP - STACK,
    "another stack than the list of attacks has"
);

/// The channels that the domain has.
fn own_channels() -> [usize; 1] {
    [inference_channel()]
}

/// The interrupts that the domain has.
fn own_irq() -> Option<usize> {
    None
}

/// The regions that the domain has.
fn own_regions() -> [Mapped; 2] {
    [(arena(), arena_size()), (team(), team_size())]
        .map(|(address, bytes)| Mapped { address, bytes })
}

struct Inference;

impl Bells for Inference {
    fn ring(&mut self, _: usize) {
        Channel::new(inference_channel()).notify();
    }

    fn wait(&mut self) -> Woken {
        sel4_microkit::ipc::recv();
        Woken::Member
    }
}

struct Sel4 {
    /// What this run found when it started.
    remains: Remains,
}

impl Ground for Sel4 {
    fn ring(&mut self) {
        Inference.ring(0);
    }

    fn perform(&mut self, name: &str, say: &mut Say) -> bool {
        let Some(name) = name.strip_prefix("worker-") else {
            return false;
        };
        match name {
            "read-guard-page" => redteam_attacks::read(start::STACK_BOTTOM - 8, say),
            "disarm-timer" => timer::disarm_and_spin(),
            "storm-timer" => timer::storm(),
            "storm-kernel" => loop {
                kernel::enter();
            },
            "leave-all" => remains::leave(0..0),
            "look-all" => {
                let _ = write!(say, "{}", self.remains);
            }
            _ => return kernel::perform(name, say),
        }
        true
    }
}

fn init() -> NullHandler {
    // Read first, before anything uses the registers.
    let registers = remains::registers();
    // Inference clears the arena, so it is not searched here.
    let remains = remains::look(&[], registers);
    // As in the real one.
    runtime::float::reset();
    let [own_arena, own_team] = own_regions();
    // SAFETY: as in the real one.
    if let Ok(table) = unsafe { region::common(own_team) } {
        let own = Own {
            number: inference_channel(),
            text: init as fn() -> NullHandler as usize,
            arena: own_arena.bytes,
        };
        let memory = (own_arena.address as *mut u8, own_arena.bytes);
        // SAFETY: as in the real one.
        if let Ok(seat) = unsafe { Seat::new(table, own.number, memory, spins(cfg!(crowded))) } {
            let mut ground = Sel4 { remains };
            seat.serve(&mut Inference, || obey(own, &mut ground));
        }
    }
    NullHandler::new()
}
