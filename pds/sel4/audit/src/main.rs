//! The audit domain: wires the reference monitor to its rings, its timers and its child.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use audit::Audit;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::Endpoint;
use runtime::clock::{Clock, Timer};
use runtime::region::Device;
use runtime::watchdog::Watchdog;
use runtime::{Channel, ChannelSet, Handler, Infallible, MessageInfo, fault};
use static_cell::StaticCell;
use wiring::{INFERENCE, INFERENCE_CHILD, IRQ_30, IRQ_34, Regions, SHELL};

const WATCHDOG: Channel = IRQ_34;
const TIMER: Channel = IRQ_30;

type Monitor = Audit<'static, ReadOnlyRegion, ReadWriteRegion>;

struct Port {
    clock: Clock,
    timer: Timer,
}

impl audit::Port for Port {
    fn now_us(&mut self) -> u64 {
        self.clock.now_us()
    }

    fn notify_shell(&mut self) {
        SHELL.notify();
    }

    fn notify_inference(&mut self) {
        INFERENCE.notify();
    }

    fn arm_timer(&mut self, at_us: Option<u64>) {
        self.timer.arm(at_us);
    }

    fn restart_inference(&mut self) {
        INFERENCE_CHILD.restart();
    }
}

struct Domain {
    audit: &'static mut Monitor,
    port: Port,
    watchdog: Watchdog<Device>,
}

runtime::domain!(start);

fn start(regions: Regions) -> Domain {
    static MONITOR: StaticCell<Monitor> = StaticCell::new();
    let shell = Endpoint::new(regions.shell_to_audit, regions.audit_to_shell);
    let inference = Endpoint::new(regions.inference_to_audit, regions.audit_to_inference);
    let clock = Clock::new();
    let mut domain = Domain {
        audit: MONITOR.init_with(|| {
            let (shell, inference) = (shell.expect(RINGS), inference.expect(RINGS));
            Audit::new(shell, inference, regions.audit_log)
        }),
        port: Port {
            clock,
            timer: Timer::new(clock),
        },
        watchdog: Watchdog::start(regions.rtc),
    };
    domain.audit.start(&mut domain.port);
    domain
}

const RINGS: &str = "the build script has seen that the regions are large enough";

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        if channels.contains(WATCHDOG) {
            self.watchdog.tick();
            self.audit.on_watchdog(&mut self.port);
        }
        if channels.contains(TIMER) {
            self.audit.on_timer(&mut self.port);
        }
        if channels.contains(SHELL) || channels.contains(INFERENCE) {
            self.audit.on_signal(&mut self.port);
        }
        runtime::acknowledge(&channels, &[WATCHDOG, TIMER]);
        Ok(())
    }

    fn fault(&mut self, _: runtime::Faulter, message: MessageInfo) -> Result<Option<MessageInfo>, Infallible> {
        // There is one child. It is not answered: it is restarted, or never runs again.
        let fault = fault::of(INFERENCE_CHILD, &message);
        self.audit.on_fault(fault, &mut self.port);
        Ok(None)
    }
}
