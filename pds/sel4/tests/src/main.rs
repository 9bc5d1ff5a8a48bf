//! The golden vectors inside a protection domain: the same cases as on the host, with NEON (if the architecture has it)
//! and with the scalar path, on the product's kernel, target and start-up code. `tests/sel4/system.xml` is the system,
//! with only this domain.
//!
//! With the feature `cores` the system is `tests/sel4/cores.xml`: this domain leads a team of the product's workers, and runs
//! each case of a model again with two, three and four members.
//!
//! It prints a line for each test, a closing line, and the line that halts QEMU. A panic fails the current test and
//! ends the run. A release kernel does not report a fault, so the runner concludes one from silence.

#![no_std]
#![no_main]

#[cfg(feature = "cores")]
extern crate alloc;

mod console;
#[cfg(feature = "cores")]
mod team;

use console::Console;
use core::fmt::Write as _;
use core::panic::PanicInfo;
use golden::{EXPECTED, Tally};
use llm_core::simd::Cpu;
use one_shot_mutex::sync::RawOneShotMutex;
use runtime::patched;
use runtime::region::{self, Mapped};
use sel4_dlmalloc::{DeferredStaticDlmalloc, StaticHeapBounds};
use sel4_microkit::{Handler, NullHandler, panicking, protection_domain};

patched! { uart heap heap_size }

/// The product has no heap; the cases build their models and arenas in one.
#[global_allocator]
static HEAP: DeferredStaticDlmalloc<RawOneShotMutex> = DeferredStaticDlmalloc::new();

/// Outside [`init`], so a panic can end the run.
static TALLY: Tally = Tally::new();

// The purpose of this run is to test inference's kernels.
const _: () = assert!(
    Cpu::of_build().wants_tiles(),
    "the target has only the reference"
);

#[protection_domain]
fn init() -> impl Handler {
    // As in inference.
    runtime::float::reset();
    panicking::set_hook(&on_panic);
    // SAFETY: `system.xml` maps the heap only to this domain; this is its only use.
    let heap = unsafe {
        region::private(Mapped {
            address: heap(),
            bytes: heap_size(),
        })
    };
    let bounds = StaticHeapBounds::new(heap.as_mut_ptr(), heap.len());
    HEAP.set_bounds(bounds).expect("this function runs once");
    let mut console = Console::new(uart());
    #[cfg(any(
        feature = "wrong",
        feature = "panic",
        feature = "fault",
        feature = "silence"
    ))]
    console::misbehave(&mut console);
    let cpus = [Cpu::of_build(), Cpu::SCALAR];
    let written = golden::run(&cpus, EXPECTED, &TALLY, &mut console);
    #[cfg(feature = "cores")]
    let written = written.and_then(|()| {
        let machines = team::machines();
        golden::run_models(&machines, EXPECTED, &TALLY, &mut console)
    });
    written.expect("the console takes everything");
    close(&mut console);
    NullHandler::new()
}

/// The message fails the current test; the tests after it do not run.
fn on_panic(info: &PanicInfo<'_>) {
    let mut console = Console::new(uart());
    let _ = TALLY.fail(&mut console, format_args!("{info}"));
    close(&mut console);
}

fn close(console: &mut Console) {
    let _ = TALLY.close(console);
    let _ = writeln!(console, "{}", component::HALT_LINE);
}
