//! The inference domain: wires the server to its ring, its arena and the model store.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use inference::{Activity, Server};
use llm_core::arena::Arena;
use llm_core::backend::TransformerBackend;
use llm_core::kv_cache::KvType;
use llm_core::transformer::LoadOptions;
use protocol::limits;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::Endpoint;
use runtime::{ChannelSet, Handler, Infallible};
use static_cell::StaticCell;
use wiring::{AUDIT, Regions};

#[cfg(not(feature = "inject"))]
type Backend = TransformerBackend<'static>;
#[cfg(feature = "inject")]
type Backend = inference::inject::Injector<TransformerBackend<'static>>;

type Transformer = Server<'static, ReadOnlyRegion, ReadWriteRegion, Backend>;

const OPTIONS: LoadOptions = LoadOptions {
    context: limits::DEFAULT_CONTEXT_TOKENS,
    kv: KvType::F16,
    max_prompt_bytes: limits::MAX_PROMPT_BYTES,
};

struct Port;

impl inference::Port for Port {
    fn notify_audit(&mut self) {
        AUDIT.notify();
    }
}

struct Domain {
    server: &'static mut Transformer,
}

runtime::restartable_domain!(start);

fn start(regions: Regions) -> Domain {
    static SERVER: StaticCell<Transformer> = StaticCell::new();
    // Sessions of an earlier life.
    regions.arena.fill(0);
    let ring = Endpoint::new(regions.audit_to_inference, regions.inference_to_audit);
    let server = SERVER.init_with(|| {
        let ring = ring.expect("the build script has seen that the regions are large enough");
        let arena = Arena::new(regions.arena).expect("an arena of whole pages");
        let backend = TransformerBackend::new(arena, OPTIONS);
        #[cfg(feature = "inject")]
        let backend = inference::inject::Injector::new(backend, MISDEEDS);
        Server::new(ring, backend, regions.model_store)
    });
    Domain { server }
}

impl Handler for Domain {
    type Error = Infallible;

    /// Works until there is nothing to do: Microkit has no signal to oneself. The server looks at
    /// its ring between steps, and finds for itself what is new: a wake-up may be stale.
    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        while self.server.poll(&mut Port) == Activity::Busy {}
        Ok(())
    }
}

/// What this test build does when a prompt asks for it: writes to the audit log, which inference
/// does not have, and spins.
#[cfg(feature = "inject")]
const MISDEEDS: inference::inject::Misdeeds = inference::inject::Misdeeds {
    write_outside: || runtime::misdeeds::write_to(0x1200_0000),
    spin: runtime::misdeeds::disarm_timer_and_spin,
};
