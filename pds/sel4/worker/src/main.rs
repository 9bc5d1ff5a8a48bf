//! The domain of a worker. It has inference's arena, the team's table, and a channel to inference.

#![no_std]
#![no_main]

#[path = "../../inference/src/start.rs"]
mod start;

use component::{Bells, Seat, Woken, spins};
use runtime::patched;
use runtime::region::{self, Mapped};
use sel4_microkit::{Channel, NullHandler};
use sel4_reset as _;

patched! { inference_channel arena arena_size team team_size }

sel4_microkit::_private::declare_init!(init);

/// What the test build does when inference orders it.
#[cfg(feature = "inject")]
const MISDEEDS: component::inject::Misdeeds = component::inject::Misdeeds {
    write_outside: runtime::misdeeds::write_outside,
    scribble,
    set_rounding: runtime::misdeeds::set_rounding,
};

#[cfg(feature = "inject")]
fn scribble() {
    let (arena, team) = ((arena(), arena_size()), (team(), team_size()));
    // SplitMix64 without its last steps: enough to be nothing that anybody wrote.
    let mut words = (1..).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for (address, bytes) in [arena, team] {
        let words = words.by_ref().map(|word| word ^ word >> 31);
        // SAFETY: `system.xml` lets this domain write it. What inference makes of it is what the test is about.
        unsafe { runtime::misdeeds::fill(Mapped { address, bytes }, words) }
    }
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

/// Serves until audit stops the domain. If `system.xml` gives it too little, it does nothing, and audit reports inference
/// as silent at the deadline of the first request.
fn init() -> NullHandler {
    runtime::float::reset();
    let table = Mapped {
        address: team(),
        bytes: team_size(),
    };
    // SAFETY: `system.xml` maps it for the table, in inference and its workers. It is all atomics.
    if let Ok(table) = unsafe { region::common(table) } {
        let arena = (arena() as *mut u8, arena_size());
        // The number of a worker is that of its channel.
        let number = inference_channel();
        // SAFETY: `system.xml` maps inference's arena here, and gives each worker's channel another number. Audit stops
        // all of them before it starts any.
        if let Ok(seat) = unsafe { Seat::new(table, number, arena, spins(cfg!(crowded))) } {
            #[cfg(not(feature = "inject"))]
            component::serve(seat, &mut Inference);
            #[cfg(feature = "inject")]
            component::serve(seat, &mut Inference, MISDEEDS);
        }
    }
    NullHandler::new()
}
