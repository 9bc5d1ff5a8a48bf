//! The hostile inference server on seL4: the real one with another backend. It has no additional capabilities or
//! regions.

#![no_std]
#![no_main]

mod clock;
mod ground;
mod kernel;
mod machine;
mod remains;
mod scheduling;
#[path = "../../../../pds/sel4/inference/src/start.rs"]
mod start;
#[cfg_attr(
    feature = "cores",
    path = "../../../../pds/sel4/inference/src/with_workers.rs"
)]
#[cfg_attr(
    not(feature = "cores"),
    path = "../../../../pds/sel4/inference/src/without_workers.rs"
)]
mod team;
mod timer;

use component::{Activity, FormatCosts, Server};
use ground::Sel4;
use llm_core::arena::Arena;
use llm_core::backend::TransformerBackend;
use llm_core::simd::Cpu;
use llm_core::team::Team as _;
use protocol::region::{PartsRegion, ReadOnlyRegion, ReadWriteRegion};
use redteam_attacks::Attacker;
use runtime::region::{self, Mapped, RingError};
use runtime::{facts, patched};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible};
use sel4_reset as _;
use static_cell::{ConstStaticCell, StaticCell};

patched! {
    audit_channel audit_to_inference audit_to_inference_size inference_to_audit inference_to_audit_size
    arena arena_size model_store model_store_size adapters adapters_size formats formats_size
}

facts! {
    "ring_bytes" = protocol::ring::REGION_BYTES;
    "protocol_version" = protocol::VERSION;
}

/// As in the honest server.
static ADAPTERS: StaticCell<PartsRegion> = StaticCell::new();
static COSTS: ConstStaticCell<FormatCosts> = ConstStaticCell::new([0; _]);

/// The channels that the domain has.
fn own_channels() -> [usize; 1] {
    [audit_channel()]
}

/// Its budget equals its period.
const PERIODS_PER_BUDGET: u64 = 1;

/// The interrupts that the domain has.
fn own_irq() -> Option<usize> {
    None
}

/// The regions that the domain has.
fn own_regions() -> [Mapped; 6] {
    [
        (arena(), arena_size()),
        (inference_to_audit(), inference_to_audit_size()),
        (audit_to_inference(), audit_to_inference_size()),
        (model_store(), model_store_size()),
        (adapters(), adapters_size()),
        (formats(), formats_size()),
    ]
    .map(|(address, bytes)| Mapped { address, bytes })
}

/// Its only channel.
fn audit() -> Channel {
    Channel::new(audit_channel())
}

sel4_microkit::_private::declare_init!(init);

struct Port;

impl component::Port for Port {
    fn notify_audit(&mut self) {
        audit().notify();
    }
}

type Hostile = Attacker<TransformerBackend<'static, team::Team>, Sel4>;

struct Domain(Option<&'static mut Hosting>);

type Hosting = Server<'static, ReadOnlyRegion, ReadWriteRegion, Hostile>;

/// Not on the stack, as in the honest server.
static SERVER: StaticCell<Hosting> = StaticCell::new();

fn init() -> Domain {
    Domain(begin().ok())
}

fn begin() -> Result<&'static mut Hosting, RingError> {
    // Read first, before anything uses the registers.
    let registers = remains::registers();
    // As in the honest server.
    runtime::float::reset();
    let [own_arena, ours, theirs, store, adapters, formats] = own_regions();
    // SAFETY: `system.xml` maps these to this domain, only for the rings.
    let ring = unsafe { region::endpoint(theirs, ours)? };
    // SAFETY: `system.xml` maps the arena only to this domain; this is its only use.
    let arena = unsafe { region::private(own_arena) };
    // SAFETY: `system.xml` maps the store writable in no domain.
    let store = unsafe { region::immutable(store) };
    // SAFETY: `system.xml` maps the formats writable in no domain.
    let formats = unsafe { region::immutable(formats) };
    // SAFETY: as in the honest server.
    let adapters = unsafe { region::parts(adapters)? };
    let remains = remains::look(arena, registers);
    let arena = Arena::new(arena).expect("pages are aligned");
    let team = team::begin()?;
    let adapters = ADAPTERS.init(adapters);
    Ok(SERVER.init_with(|| {
        let mut options = component::load_options(Cpu::of_build());
        options.workers = team.workers();
        let mut backend = TransformerBackend::with_team(arena, options, team);
        if team::SHARES_ARENA {
            backend.seal_models();
        }
        backend.set_formats(component::read_formats(formats, COSTS.take()));
        let backend = Attacker::new(backend, Sel4 { remains });
        Server::new(ring, backend, store, adapters)
    }))
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        if let Some(server) = &mut self.0 {
            while server.poll(&mut Port) == Activity::Busy {}
        }
        Ok(())
    }
}
