//! Inference: the transformer, in a domain of its own.

use super::{Endpoint, component, endpoint};
use crate::pd::{Component, Environment, Ids, Notifier, SetupError};
use inference::{Activity, Server};
use llm_core::arena::Arena;
use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::kv_cache::KvType;
use llm_core::simd::Cpu;
use llm_core::transformer::LoadOptions;
use protocol::limits;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};

const AUDIT: u8 = 0;

struct Port {
    audit: Notifier,
}

impl inference::Port for Port {
    fn notify_audit(&mut self) {
        self.audit.notify();
    }
}

struct Inference<B> {
    server: Server<'static, ReadOnlyRegion, ReadWriteRegion, B>,
    port: Port,
}

/// Builds the component over an arena that is zeroed, as at each start on seL4.
pub(super) fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let ring = endpoint(env, "audit_to_inference", "inference_to_audit")?;
    let port = Port {
        audit: env.notifier(AUDIT)?,
    };
    let arena = env.private("arena")?;
    arena.fill(0);
    let options = LoadOptions {
        context: limits::DEFAULT_CONTEXT_TOKENS,
        kv: KvType::Q8,
        sessions: 1,
        positions: limits::DEFAULT_CONTEXT_TOKENS,
        max_prompt_bytes: limits::MAX_PROMPT_BYTES,
        // CPUID, which needs no system call, so that it may be asked after the lockdown.
        cpu: Cpu::detect(),
    };
    let backend = TransformerBackend::new(Arena::new(arena).map_err(component)?, options);
    #[cfg(feature = "inject")]
    let backend = misdeeds::injector(backend);
    Ok(boxed(ring, backend, env.constant("model_store")?, port))
}

fn boxed<B: LlmBackend + 'static>(
    ring: Endpoint,
    backend: B,
    store: &'static [u8],
    port: Port,
) -> Box<dyn Component> {
    Box::new(Inference {
        server: Server::new(ring, backend, store),
        port,
    })
}

impl<B: LlmBackend> Inference<B> {
    /// Works until there is nothing to do: Microkit has no signal to oneself. New requests are seen
    /// between steps.
    fn work(&mut self) {
        while self.server.poll(&mut self.port) == Activity::Busy {}
    }
}

impl<B: LlmBackend> Component for Inference<B> {
    fn init(&mut self) {
        self.work();
    }

    fn notified(&mut self, _: Ids) {
        self.work();
    }
}

/// What a test build of inference does when a prompt asks for it.
#[cfg(feature = "inject")]
mod misdeeds {
    #![allow(unsafe_code)]

    use inference::inject::{Injector, Misdeeds};

    /// The audit log, which inference does not have.
    const FOREIGN: usize = 0x1200_0000;

    pub(super) fn injector<B>(backend: B) -> Injector<B> {
        Injector::new(
            backend,
            Misdeeds {
                write_outside,
                spin,
            },
        )
    }

    fn write_outside() -> ! {
        // SAFETY: none: nothing is mapped there, so it faults, which is what the test is about.
        unsafe { std::ptr::without_provenance_mut::<u8>(FOREIGN).write_volatile(1) };
        unreachable!("the write has not faulted")
    }

    fn spin() -> ! {
        loop {
            std::hint::spin_loop();
        }
    }
}
