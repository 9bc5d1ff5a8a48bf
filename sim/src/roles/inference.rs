//! Inference: the transformer, in a domain of its own.

use super::worker;
use super::{Endpoint, component, endpoint};
use crate::pd::{Component, Environment, Ids, Notifier, SetupError};
use inference::{Activity, Server};
use llm_core::arena::Arena;
use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::simd::Cpu;
use llm_core::team::{Alone, Team};
use protocol::region::{PartsRegion, ReadOnlyRegion, ReadWriteRegion};

struct Port {
    audit: Notifier,
}

impl inference::Port for Port {
    fn notify_audit(&mut self) {
        self.audit.notify();
    }
}

/// The places from which it loads.
struct Files {
    store: &'static [u8],
    /// Adapters made on this device.
    adapters: PartsRegion,
    /// The slots for models of the disk; `None` in a system without a disk.
    slots: Option<PartsRegion>,
}

struct Inference<B> {
    server: Server<'static, ReadOnlyRegion, ReadWriteRegion, B>,
    port: Port,
}

/// Builds the component. The arena is zeroed first, as at each start on seL4.
pub(super) fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let arena = env.private("arena")?;
    begin(env, arena, Alone, Shares::Nothing, None)
}

/// The same, with workers in other domains.
pub(super) fn start_with_workers(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let arena = worker::arena(env)?;
    let leader = worker::leader(env)?;
    begin(env, arena, leader, Shares::Arena, None)
}

/// The same, with the slots into which audit copies models of a disk.
pub(super) fn start_with_slots(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let slots = env.parts("model_slots")?;
    let arena = env.private("arena")?;
    begin(env, arena, Alone, Shares::Nothing, Some(slots))
}

/// The part of its working data that other domains can write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shares {
    Nothing,
    Arena,
}

fn begin<T: Team + 'static>(
    env: &mut Environment,
    arena: &'static mut [u8],
    team: T,
    shares: Shares,
    slots: Option<PartsRegion>,
) -> Result<Box<dyn Component>, SetupError> {
    let ring = endpoint(env, "audit_to_inference", "inference_to_audit")?;
    let audit = env.notifier(env.number("audit_channel")?)?;
    let port = Port { audit };
    arena.fill(0);
    // CPUID needs no system call, so it works after the lock-down too.
    let mut options = inference::load_options(Cpu::detect());
    options.workers = team.workers();
    let arena = Arena::new(arena).map_err(component)?;
    let mut backend = TransformerBackend::with_team(arena, options, team);
    if shares == Shares::Arena {
        backend.seal_models();
    }
    let costs = Box::leak(Box::new([0; _]));
    backend.set_formats(inference::read_formats(env.constant("formats")?, costs));
    #[cfg(feature = "inject")]
    let backend = misdeeds::injector(backend, env.read_write("inference_to_audit")?);
    #[cfg(feature = "redteam")]
    let backend = redteam_attacks::Attacker::new(
        backend,
        hostile::Linux {
            audit,
            clock: env.clock(),
        },
    );
    let files = Files {
        store: env.constant("model_store")?,
        adapters: env.parts("adapters")?,
        slots,
    };
    Ok(boxed(ring, backend, files, port))
}

fn boxed<B: LlmBackend + 'static>(
    ring: Endpoint,
    backend: B,
    files: Files,
    port: Port,
) -> Box<dyn Component> {
    let adapters = Box::leak(Box::new(files.adapters));
    let server = Server::new(ring, backend, files.store, adapters);
    let server = match files.slots {
        Some(slots) => server.with_slots(Box::leak(Box::new(slots))),
        None => server,
    };
    Box::new(Inference { server, port })
}

impl<B: LlmBackend> Inference<B> {
    /// Works until there is nothing to do, because a Microkit domain cannot signal itself. New requests are seen
    /// between steps.
    fn work(&mut self) {
        while !is_silent() && self.server.poll(&mut self.port) == Activity::Busy {}
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

#[cfg(feature = "inject")]
use misdeeds::is_silent;
#[cfg(not(feature = "inject"))]
const fn is_silent() -> bool {
    false
}

/// Misbehaviour of a test build of inference, when a prompt asks for it.
#[cfg(feature = "inject")]
pub(super) mod misdeeds {
    #![allow(unsafe_code)]

    use inference::inject::{Garbage, Injector, Misdeeds};
    use protocol::region::{ReadWords as _, ReadWriteRegion, WriteWords as _};
    use std::cell::{Cell, OnceCell};

    /// Address of the audit log, which inference does not map.
    const FOREIGN: usize = 0x1200_0000;

    std::thread_local! {
        /// The region that the domain writes. The ring's endpoint has it too.
        static OWN: OnceCell<ReadWriteRegion> = const { OnceCell::new() };
        /// Whether the server is no longer polled.
        static SILENT: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn injector<B>(backend: B, own: ReadWriteRegion) -> Injector<B> {
        OWN.with(|cell| {
            // Set once: a process starts once.
            let _ = cell.set(own);
        });
        Injector::new(
            backend,
            Misdeeds {
                write_outside,
                spin,
                scribble,
                set_rounding,
                fall_silent,
                order_worker: crate::roles::worker::order,
            },
        )
    }

    /// Whether the domain now ignores its ring.
    pub(super) fn is_silent() -> bool {
        SILENT.get()
    }

    pub(in crate::roles) fn write_outside() -> ! {
        // SAFETY: none. Nothing is mapped there, so it faults, which is the purpose of the test.
        unsafe { std::ptr::without_provenance_mut::<u8>(FOREIGN).write_volatile(1) };
        unreachable!("the write has not faulted")
    }

    fn spin() -> ! {
        loop {
            std::hint::spin_loop();
        }
    }

    fn scribble(seed: u64) {
        OWN.with(|own| {
            if let Some(own) = own.get() {
                for (index, word) in (0..own.words()).zip(Garbage::new(seed)) {
                    own.store(index, word);
                }
            }
        });
    }

    pub(in crate::roles) fn set_rounding() {
        // Rounds towards zero. Here the setting ends with the process; on seL4 it survives the restart.
        #[cfg(target_arch = "x86_64")]
        {
            let control: u32 = 0x7f80;
            // SAFETY: all exceptions stay masked. Only this process computes with the setting, and it is about to die.
            unsafe {
                std::arch::asm!("ldmxcsr [{}]", in(reg) &control, options(nostack, readonly));
            }
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        unsafe {
            std::arch::asm!("msr fpcr, {}", in(reg) 3_u64 << 22, options(nomem, nostack));
        }
    }

    fn fall_silent() {
        SILENT.set(true);
    }
}

/// What the simulation offers to the red team's attacks.
#[cfg(feature = "redteam")]
mod hostile {
    use crate::pd::{Clock, Notifier};
    use redteam_attacks::{Ground, Say};

    pub(super) struct Linux {
        pub(super) audit: Notifier,
        pub(super) clock: Clock,
    }

    static CONSTANT: [u64; 4] = [1, 2, 3, 4];

    impl Ground for Linux {
        fn notify_audit(&mut self) {
            self.audit.notify();
        }

        fn now_us(&mut self) -> u64 {
            self.clock.now_us()
        }

        fn own_text(&self) -> usize {
            // The second word of the function, which is inside it whatever its alignment.
            super::start as *const () as usize + 8
        }

        fn own_constants(&self) -> usize {
            CONSTANT.as_ptr() as usize
        }

        /// Attacks on a kernel need seL4.
        fn perform(&mut self, _: &str, _: &mut Say) -> bool {
            false
        }
    }
}
