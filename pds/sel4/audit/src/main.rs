//! The audit monitor's domain: the watchdog, the timer, the log, rings with both peers, and the
//! TCB of inference, which is its child.

#![no_std]
#![no_main]

mod child;
mod port;

use child::Inference;
use component::{Audit, KdfBlock, Memory};
use port::Port;
use protocol::limits::MAX_KDF_KIB;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use runtime::device::Device;
use runtime::pl031::Alarm;
use runtime::region::{self, Mapped, RingError};
use runtime::{facts, layout, patched};
use sel4_microkit::{
    Channel, ChannelSet, Child, Handler, Infallible, MessageInfo, protection_domain,
};
use static_cell::{ConstStaticCell, StaticCell};

patched! {
    rtc watchdog_channel timer_channel shell_channel inference_channel inference_child
    shell_to_audit shell_to_audit_size audit_to_shell audit_to_shell_size
    audit_to_inference audit_to_inference_size inference_to_audit inference_to_audit_size
    audit_log audit_log_size policy policy_size model_store model_store_size
}

facts! {
    "ring_bytes" = protocol::ring::REGION_BYTES;
    // With what a restart writes into inference's registers.
    "child_reset" = layout::RESET;
    "child_stack_top" = layout::STACK_TOP;
}

/// For hashing passphrases.
static KDF: ConstStaticCell<[KdfBlock; MAX_KDF_KIB as usize]> =
    ConstStaticCell::new([const { KdfBlock::new() }; MAX_KDF_KIB as usize]);

type Component = Audit<'static, ReadOnlyRegion, ReadWriteRegion>;

/// The monitor itself. A value that is returned is copied on the stack, which has no room for several of it.
static AUDIT: StaticCell<Component> = StaticCell::new();

/// What audit is while it serves.
struct Monitor {
    audit: &'static mut Component,
    watchdog: Alarm<Device>,
    port: Port,
    on_watchdog: Interrupt,
    on_timer: Interrupt,
}

/// An interrupt that the kernel holds back until it is acknowledged.
struct Interrupt {
    channel: Channel,
    /// The kernel has refused an acknowledgement. It is asked again at every wake-up: without one the
    /// interrupt, and with it a deadline, would never come again.
    owed: bool,
}

impl Interrupt {
    fn new(channel: usize) -> Self {
        let channel = Channel::new(channel);
        let owed = false;
        Self { channel, owed }
    }

    /// Acknowledges it if it has come, or is owed an acknowledgement.
    fn acknowledge(&mut self, has_come: bool) {
        if has_come || self.owed {
            self.owed = self.channel.irq_ack().is_err();
        }
    }
}

/// Nothing if the description has given audit no rings: then it starts nothing, and inference and shell,
/// without an epoch, do nothing either.
struct Domain(Option<Monitor>);

#[protection_domain]
fn init() -> Domain {
    Domain(start().ok())
}

fn start() -> Result<Monitor, RingError> {
    let region = |address, bytes| Mapped { address, bytes };
    let theirs = region(shell_to_audit(), shell_to_audit_size());
    let ours = region(audit_to_shell(), audit_to_shell_size());
    // SAFETY: `system.xml` maps these to this domain, for the rings alone.
    let shell = unsafe { region::endpoint(theirs, ours)? };
    let theirs = region(inference_to_audit(), inference_to_audit_size());
    let ours = region(audit_to_inference(), audit_to_inference_size());
    // SAFETY: as above.
    let inference = unsafe { region::endpoint(theirs, ours)? };
    // SAFETY: `system.xml` maps the log to this domain alone; this is its only use.
    let log = unsafe { region::private(region(audit_log(), audit_log_size())) };
    // SAFETY: `system.xml` maps the policy to this domain alone, and the store to nobody writable.
    let policy = unsafe { region::immutable(region(policy(), policy_size())) };
    // SAFETY: as above.
    let store = unsafe { region::immutable(region(model_store(), model_store_size())) };
    // SAFETY: `system.xml` maps the PL031 there, to this domain alone.
    let watchdog = Alarm::start(unsafe { Device::new(rtc()) });
    let memory = Memory {
        log,
        kdf: KDF.take(),
        policy,
        store,
    };
    let mut port = Port {
        shell: Channel::new(shell_channel()),
        inference: Channel::new(inference_channel()),
        child: Inference(Child::new(inference_child())),
        now_us: 0,
        looked_us: 0,
    };
    let audit = AUDIT.init_with(|| Audit::new(shell, inference, memory));
    audit.start(&mut port);
    Ok(Monitor {
        audit,
        watchdog,
        port,
        on_watchdog: Interrupt::new(watchdog_channel()),
        on_timer: Interrupt::new(timer_channel()),
    })
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        let Some(monitor) = &mut self.0 else {
            return Ok(());
        };
        // Whatever woke us, audit looks at everything, and arms the timer anew.
        let has_ticked = channels.contains(monitor.on_watchdog.channel);
        if has_ticked {
            monitor.watchdog.tick();
        }
        monitor.on_watchdog.acknowledge(has_ticked);
        if has_ticked {
            monitor.audit.on_watchdog(&mut monitor.port);
        } else {
            monitor.audit.on_signal(&mut monitor.port);
        }
        if monitor.port.wants_look() {
            monitor.watchdog.look();
        }
        let has_fired = channels.contains(monitor.on_timer.channel);
        monitor.on_timer.acknowledge(has_fired);
        Ok(())
    }

    fn fault(
        &mut self,
        child: Child,
        message: MessageInfo,
    ) -> Result<Option<MessageInfo>, Infallible> {
        if let Some(monitor) = &mut self.0 {
            let fault = child::fault(child, &message);
            monitor.audit.on_fault(fault, &mut monitor.port);
        }
        Ok(None)
    }
}
