//! The domain of the inference server. It has the arena, the store, and a pair of rings with audit.

#![no_std]
#![no_main]

#[cfg(feature = "inject")]
mod misdeeds;
mod start;
#[cfg_attr(feature = "cores", path = "with_workers.rs")]
#[cfg_attr(not(feature = "cores"), path = "without_workers.rs")]
mod team;

use component::{Activity, FormatCosts, Server};
use llm_core::arena::Arena;
use llm_core::backend::TransformerBackend;
use llm_core::simd::Cpu;
use llm_core::team::Team as _;
use protocol::region::{PartsRegion, ReadOnlyRegion, ReadWriteRegion};
use runtime::region::{self, Mapped, RingError};
use runtime::{facts, patched};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible};
use sel4_reset as _;
use static_cell::{ConstStaticCell, StaticCell};

patched! {
    audit_channel audit_to_inference audit_to_inference_size inference_to_audit inference_to_audit_size
    arena arena_size model_store model_store_size adapters adapters_size formats formats_size
}

#[cfg(feature = "disk")]
patched! { model_slots model_slots_size }

facts! {
    "ring_bytes" = protocol::ring::REGION_BYTES;
    "protocol_version" = protocol::VERSION;
}

sel4_microkit::_private::declare_init!(init);

#[cfg(not(any(feature = "inject", feature = "measure")))]
type Backend = TransformerBackend<'static, team::Team>;
#[cfg(feature = "measure")]
type Backend = component::measure::Measurer<'static>;
#[cfg(feature = "inject")]
type Backend = component::inject::Injector<TransformerBackend<'static, team::Team>>;

#[cfg(feature = "inject")]
use misdeeds::is_silent;
#[cfg(not(feature = "inject"))]
const fn is_silent() -> bool {
    false
}

/// The region in which audit keeps adapters that were made on this device. A restart resets this variable.
static ADAPTERS: StaticCell<PartsRegion> = StaticCell::new();

/// Models of the disk that audit has verified.
#[cfg(feature = "disk")]
static SLOTS: StaticCell<PartsRegion> = StaticCell::new();

/// The cost of each format state, in tokens of the loaded model.
static COSTS: ConstStaticCell<FormatCosts> = ConstStaticCell::new([0; _]);

struct Port {
    audit: Channel,
}

impl component::Port for Port {
    fn notify_audit(&mut self) {
        self.audit.notify();
    }
}

struct Engine {
    server: Server<'static, ReadOnlyRegion, ReadWriteRegion, Backend>,
    port: Port,
}

/// Empty if `system.xml` gives inference no rings. Then it does nothing, and audit reports it as silent at the deadline
/// of the first load.
struct Domain(Option<&'static mut Engine>);

/// It has the state of every session, so it is too large to be passed by value on the stack.
static ENGINE: StaticCell<Engine> = StaticCell::new();

fn init() -> Domain {
    Domain(begin().ok())
}

fn begin() -> Result<&'static mut Engine, RingError> {
    #[cfg(feature = "inject")]
    misdeeds::check_stack();
    runtime::float::reset();
    let region = |address, bytes| Mapped { address, bytes };
    let theirs = region(audit_to_inference(), audit_to_inference_size());
    let ours = region(inference_to_audit(), inference_to_audit_size());
    // SAFETY: `system.xml` maps these to this domain, only for the rings.
    let ring = unsafe { region::endpoint(theirs, ours)? };
    // SAFETY: `system.xml` maps the arena only to this domain; this is its only use. In a system with workers they map it,
    // too, but they were all stopped before this domain was started, and use it only while it runs a job with them.
    let arena = unsafe { region::private(region(arena(), arena_size())) };
    // SAFETY: `system.xml` maps the store writable in no domain.
    let store = unsafe { region::immutable(region(model_store(), model_store_size())) };
    // SAFETY: `system.xml` maps the formats writable in no domain.
    let formats = unsafe { region::immutable(region(formats(), formats_size())) };
    let adapters = region(adapters(), adapters_size());
    // SAFETY: `system.xml` maps the adapters readable here and writable only in audit. Audit names parts in commands
    // and leaves them alone until the answer; the server reads a part only while it carries out the command.
    let adapters = unsafe { region::parts(adapters)? };
    #[cfg(feature = "disk")]
    let slots = {
        let slots = region(model_slots(), model_slots_size());
        // SAFETY: `system.xml` maps the slots readable here and writable only in audit. Audit names a part in a command
        // and writes it again only after it has told the server to load another; the server reads it only while it
        // carries out the command.
        &*SLOTS.init(unsafe { region::parts(slots)? })
    };
    let arena = Arena::new(arena).expect("pages are aligned");
    let team = team::begin()?;
    let adapters = ADAPTERS.init(adapters);
    Ok(ENGINE.init_with(|| {
        let mut options = component::load_options(Cpu::of_build());
        options.workers = team.workers();
        let mut backend = TransformerBackend::with_team(arena, options, team);
        if team::SHARES_ARENA {
            backend.seal_models();
        }
        backend.set_formats(component::read_formats(formats, COSTS.take()));
        #[cfg(feature = "measure")]
        let backend = component::measure::Measurer::new(backend, runtime::counter::now_us);
        #[cfg(feature = "inject")]
        let backend = component::inject::Injector::new(backend, misdeeds::MISDEEDS);
        let server = Server::new(ring, backend, store, adapters);
        #[cfg(feature = "disk")]
        let server = server.with_slots(slots);
        Engine {
            server,
            port: Port {
                audit: Channel::new(audit_channel()),
            },
        }
    }))
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        if let Some(Engine { server, port }) = self.0.as_deref_mut() {
            while !is_silent() && server.poll(port) == Activity::Busy {}
        }
        Ok(())
    }
}
