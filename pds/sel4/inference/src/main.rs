//! The inference server's domain: the arena, the store, a pair of rings with audit.

#![no_std]
#![no_main]

#[cfg(feature = "inject")]
mod misdeeds;
mod start;

use component::{Activity, Server};
use core::arch::asm;
use llm_core::arena::Arena;
use llm_core::backend::TransformerBackend;
use llm_core::simd::Cpu;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use runtime::{patched, region};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible};
use sel4_reset as _;

patched! {
    audit_to_inference inference_to_audit arena arena_size model_store model_store_size
}

const AUDIT: Channel = Channel::new(0);

sel4_microkit::_private::declare_init!(init);

#[cfg(not(any(feature = "inject", feature = "measure")))]
type Backend = TransformerBackend<'static>;
#[cfg(feature = "measure")]
type Backend = component::measure::Measurer<'static>;
#[cfg(feature = "inject")]
type Backend = component::inject::Injector<TransformerBackend<'static>>;

#[cfg(feature = "inject")]
use misdeeds::is_silent;
#[cfg(not(feature = "inject"))]
const fn is_silent() -> bool {
    false
}

struct Port;

impl component::Port for Port {
    fn notify_audit(&mut self) {
        AUDIT.notify();
    }
}

struct Domain {
    server: Server<'static, ReadOnlyRegion, ReadWriteRegion, Backend>,
}

fn init() -> Domain {
    #[cfg(feature = "inject")]
    misdeeds::check_stack();
    // It survives a restart, and another rounding mode would change the numerics.
    // SAFETY: concerns this thread's floating point alone, before any is done.
    unsafe { asm!("msr fpcr, xzr", options(nomem, nostack)) }
    // SAFETY: `system.xml` maps these to this domain, for the rings alone.
    let ring = unsafe { region::endpoint(audit_to_inference(), inference_to_audit()) };
    // SAFETY: `system.xml` maps the arena to this domain alone; this is its only use.
    let arena = unsafe { region::private(arena(), arena_size()) };
    // SAFETY: `system.xml` maps the store writable nowhere.
    let store = unsafe { region::immutable(model_store(), model_store_size()) };
    let arena = Arena::new(arena).expect("pages are aligned");
    let backend = TransformerBackend::new(arena, component::load_options(Cpu::of_build()));
    #[cfg(feature = "measure")]
    let backend = component::measure::Measurer::new(backend, runtime::clock::now_us);
    #[cfg(feature = "inject")]
    let backend = component::inject::Injector::new(backend, misdeeds::MISDEEDS);
    Domain {
        server: Server::new(ring, backend, store),
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        while !is_silent() && self.server.poll(&mut Port) == Activity::Busy {}
        Ok(())
    }
}
