//! The domain of the audit monitor. It has the board's clock and watchdog, the log, rings with each client and with
//! inference, and the TCBs of inference and, on several cores, of its workers, which are its children.

#![no_std]
#![no_main]

mod child;
#[cfg_attr(feature = "disk", path = "with_disk.rs")]
#[cfg_attr(not(feature = "disk"), path = "without_disk.rs")]
mod disk;
#[cfg_attr(feature = "cores", path = "with_workers.rs")]
#[cfg_attr(not(feature = "cores"), path = "without_workers.rs")]
mod members;
mod port;

use child::Compartment;
use component::{Audit, ClientEnd, KdfBlock, Memory, Texts};
use heapless::Vec;
use port::Port;
use protocol::limits::{MAX_CLIENTS, MAX_KDF_KIB};
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use runtime::Watchdog as _;
use runtime::board::timekeeper;
use runtime::region::{self, Mapped, RingError};
use runtime::{facts, layout, patched};
use sel4_microkit::{
    Channel, ChannelSet, Child, Handler, Infallible, MessageInfo, protection_domain,
};
use static_cell::{ConstStaticCell, StaticCell};

#[cfg(timer_interrupt)]
patched! { timer_channel }

patched! {
    watchdog watchdog_channel inference_channel inference_child
    client_0_to_audit client_0_to_audit_size audit_to_client_0 audit_to_client_0_size client_0_channel
    client_1_to_audit client_1_to_audit_size audit_to_client_1 audit_to_client_1_size client_1_channel
    client_2_to_audit client_2_to_audit_size audit_to_client_2 audit_to_client_2_size client_2_channel
    client_3_to_audit client_3_to_audit_size audit_to_client_3 audit_to_client_3_size client_3_channel
    audit_to_inference audit_to_inference_size inference_to_audit inference_to_audit_size
    audit_log audit_log_size policy policy_size model_store model_store_size adapters adapters_size
    formats formats_size
}

facts! {
    "ring_bytes" = protocol::ring::REGION_BYTES;
    "protocol_version" = protocol::VERSION;
    // The values that a restart writes into inference's registers.
    "child_reset" = layout::RESET;
    "child_stack_top" = layout::STACK_TOP;
}

/// For hashing passphrases.
static KDF: ConstStaticCell<[KdfBlock; MAX_KDF_KIB as usize]> =
    ConstStaticCell::new([const { KdfBlock::new() }; MAX_KDF_KIB as usize]);

/// Text that waits for clients.
static TEXTS: ConstStaticCell<Texts> = ConstStaticCell::new(Texts::new());

type Component = Audit<'static, ReadOnlyRegion, ReadWriteRegion, disk::End>;
type Client = ClientEnd<ReadOnlyRegion, ReadWriteRegion>;

/// The monitor itself. It is a static because a returned value is copied on the stack, which has no room for several
/// copies.
static AUDIT: StaticCell<Component> = StaticCell::new();

/// Audit while it serves.
struct Monitor {
    audit: &'static mut Component,
    port: Port,
    on_watchdog: Interrupt,
    /// On boards where the timer and the watchdog have different interrupts.
    #[cfg(timer_interrupt)]
    on_timer: Interrupt,
}

/// An interrupt that the kernel holds back until it is acknowledged.
struct Interrupt {
    channel: Channel,
    /// The kernel refused an acknowledgement. It is repeated at every wake-up, because without one the interrupt, and
    /// with it a deadline, would never come again.
    owed: bool,
}

impl Interrupt {
    fn new(channel: usize) -> Self {
        let channel = Channel::new(channel);
        let owed = false;
        Self { channel, owed }
    }

    /// Acknowledges the interrupt if it has come, or if an earlier acknowledgement was refused.
    fn acknowledge(&mut self, has_come: bool) {
        if has_come || self.owed {
            self.owed = self.channel.irq_ack().is_err();
        }
    }
}

/// Empty if `system.xml` gives audit no rings with inference, or half of those with a client. Then audit starts
/// nothing, and inference and the clients, which get no epoch, do nothing either.
struct Domain(Option<Monitor>);

#[protection_domain]
fn init() -> Domain {
    Domain(start().ok())
}

/// The clients that `system.xml` has.
fn clients() -> Result<Vec<Client, MAX_CLIENTS>, RingError> {
    let region = |address, bytes| Mapped { address, bytes };
    let slots: [_; MAX_CLIENTS] = [
        (
            region(client_0_to_audit(), client_0_to_audit_size()),
            region(audit_to_client_0(), audit_to_client_0_size()),
            client_0_channel(),
        ),
        (
            region(client_1_to_audit(), client_1_to_audit_size()),
            region(audit_to_client_1(), audit_to_client_1_size()),
            client_1_channel(),
        ),
        (
            region(client_2_to_audit(), client_2_to_audit_size()),
            region(audit_to_client_2(), audit_to_client_2_size()),
            client_2_channel(),
        ),
        (
            region(client_3_to_audit(), client_3_to_audit_size()),
            region(audit_to_client_3(), audit_to_client_3_size()),
            client_3_channel(),
        ),
    ];
    let mut clients = Vec::new();
    for (theirs, ours, channel) in slots {
        if (theirs.address, ours.address) == (0, 0) {
            continue;
        }
        // SAFETY: `system.xml` maps these to this domain, only for the rings.
        let ring = unsafe { region::endpoint(theirs, ours)? };
        // Channel numbers end at 61.
        let channel = channel as u8;
        // There are as many slots as places.
        let _ = clients.push(ClientEnd { channel, ring });
    }
    Ok(clients)
}

fn start() -> Result<Monitor, RingError> {
    let clients = clients()?;
    let region = |address, bytes| Mapped { address, bytes };
    let theirs = region(inference_to_audit(), inference_to_audit_size());
    let ours = region(audit_to_inference(), audit_to_inference_size());
    // SAFETY: `system.xml` maps these to this domain, only for the rings.
    let inference = unsafe { region::endpoint(theirs, ours)? };
    // SAFETY: `system.xml` maps the log only to this domain; this is its only use.
    let log = unsafe { region::private(region(audit_log(), audit_log_size())) };
    // SAFETY: `system.xml` maps the policy only to this domain, and the store writable in none.
    let policy = unsafe { region::immutable(region(policy(), policy_size())) };
    // SAFETY: `system.xml` maps the formats writable in no domain.
    let formats = unsafe { region::immutable(region(formats(), formats_size())) };
    // SAFETY: as above.
    let store = unsafe { region::immutable(region(model_store(), model_store_size())) };
    // SAFETY: `system.xml` maps the adapters writable only in this domain; this is their only use.
    let adapters = unsafe { region::written(region(adapters(), adapters_size()))? };
    // SAFETY: `system.xml` maps the board's watchdog there, only to this domain.
    let timekeeper = unsafe { timekeeper(watchdog()) };
    let files = disk::end(store)?;
    let memory = Memory {
        log,
        kdf: KDF.take(),
        texts: TEXTS.take(),
        policy,
        formats,
        store,
    };
    let mut port = Port {
        inference: Channel::new(inference_channel()),
        child: Compartment(members::of(Child::new(inference_child()))),
        timekeeper,
        now_us: 0,
        looked_us: 0,
    };
    let audit = AUDIT.init_with(|| Audit::new(clients, inference, memory, adapters, files));
    audit.start(&mut port);
    Ok(Monitor {
        audit,
        port,
        on_watchdog: Interrupt::new(watchdog_channel()),
        #[cfg(timer_interrupt)]
        on_timer: Interrupt::new(timer_channel()),
    })
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        let Some(monitor) = &mut self.0 else {
            return Ok(());
        };
        // Whatever woke us, audit looks at everything and arms the timer again.
        let has_come = channels.contains(monitor.on_watchdog.channel);
        let has_ticked = has_come && monitor.port.timekeeper.tick();
        monitor.on_watchdog.acknowledge(has_come);
        if has_ticked {
            monitor.audit.on_watchdog(&mut monitor.port);
        } else {
            monitor.audit.on_signal(&mut monitor.port);
        }
        if monitor.port.wants_look() {
            monitor.port.timekeeper.look();
        }
        #[cfg(timer_interrupt)]
        {
            let has_fired = channels.contains(monitor.on_timer.channel);
            monitor.on_timer.acknowledge(has_fired);
        }
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
