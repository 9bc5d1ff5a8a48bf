//! The hostile inference on seL4: the real one, with another backend. It has no capability and no region more.

#![no_std]
#![no_main]

mod ground;
mod kernel;
mod remains;
#[path = "../../../../pds/sel4/inference/src/start.rs"]
mod start;
mod timer;

use component::{Activity, Server};
use core::arch::asm;
use ground::Sel4;
use llm_core::arena::Arena;
use llm_core::backend::TransformerBackend;
use llm_core::simd::Cpu;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use redteam_attacks::Attacker;
use runtime::{patched, region};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible};
use sel4_reset as _;

patched! {
    audit_to_inference inference_to_audit arena arena_size model_store model_store_size
}

const AUDIT: Channel = Channel::new(0);

sel4_microkit::_private::declare_init!(init);

struct Port;

impl component::Port for Port {
    fn notify_audit(&mut self) {
        AUDIT.notify();
    }
}

struct Domain {
    server: Server<
        'static,
        ReadOnlyRegion,
        ReadWriteRegion,
        Attacker<TransformerBackend<'static>, Sel4>,
    >,
}

fn init() -> Domain {
    // First of all, before they are used.
    let registers = remains::registers();
    // As in the real one. SAFETY: concerns this thread's floating point alone, before any is done.
    unsafe { asm!("msr fpcr, xzr", options(nomem, nostack)) }
    // SAFETY: `system.xml` maps these to this domain, for the rings alone.
    let ring = unsafe { region::endpoint(audit_to_inference(), inference_to_audit()) };
    // SAFETY: `system.xml` maps the arena to this domain alone; this is its only use.
    let arena = unsafe { region::private(arena(), arena_size()) };
    // SAFETY: `system.xml` maps the store writable nowhere.
    let store = unsafe { region::immutable(model_store(), model_store_size()) };
    let remains = remains::look(arena, registers);
    let arena = Arena::new(arena).expect("pages are aligned");
    let backend = TransformerBackend::new(arena, component::load_options(Cpu::of_build()));
    Domain {
        server: Server::new(ring, Attacker::new(backend, Sel4 { remains }), store),
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        while self.server.poll(&mut Port) == Activity::Busy {}
        Ok(())
    }
}
