//! The audit monitor's domain: the watchdog, the timer, the log, rings with both peers, and the
//! TCB of inference, which is its child.

#![no_std]
#![no_main]

mod child;
mod port;

use component::{Audit, KdfBlock, Memory};
use port::Port;
use protocol::limits::MAX_KDF_KIB;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use runtime::device::Device;
use runtime::pl031::Alarm;
use runtime::{patched, region};
use sel4_microkit::{
    Channel, ChannelSet, Child, Handler, Infallible, MessageInfo, protection_domain,
};
use static_cell::ConstStaticCell;

patched! {
    rtc shell_to_audit audit_to_shell audit_to_inference inference_to_audit audit_log
    audit_log_size policy policy_size model_store model_store_size
}

const WATCHDOG: Channel = Channel::new(2);
const TIMER: Channel = Channel::new(3);

/// For hashing passphrases.
static KDF: ConstStaticCell<[KdfBlock; MAX_KDF_KIB as usize]> =
    ConstStaticCell::new([const { KdfBlock::new() }; MAX_KDF_KIB as usize]);

struct Domain {
    audit: Audit<'static, ReadOnlyRegion, ReadWriteRegion>,
    watchdog: Alarm<Device>,
}

#[protection_domain]
fn init() -> Domain {
    // SAFETY: `system.xml` maps these to this domain, for the rings alone.
    let shell = unsafe { region::endpoint(shell_to_audit(), audit_to_shell()) };
    // SAFETY: as above.
    let inference = unsafe { region::endpoint(inference_to_audit(), audit_to_inference()) };
    // SAFETY: `system.xml` maps the log to this domain alone; this is its only use.
    let log = unsafe { region::private(audit_log(), audit_log_size()) };
    // SAFETY: `system.xml` maps the policy to this domain alone, and the store to nobody writable.
    let policy = unsafe { region::immutable(policy(), policy_size()) };
    // SAFETY: as above.
    let store = unsafe { region::immutable(model_store(), model_store_size()) };
    // SAFETY: `system.xml` maps the PL031 there, to this domain alone.
    let watchdog = Alarm::start(unsafe { Device::new(rtc()) });
    let memory = Memory {
        log,
        kdf: KDF.take(),
        policy,
        store,
    };
    let mut audit = Audit::new(shell, inference, memory);
    audit.start(&mut Port);
    Domain { audit, watchdog }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        // Whatever woke us, audit looks at everything, and arms the timer anew.
        if channels.contains(WATCHDOG) {
            self.watchdog.tick();
            let _ = WATCHDOG.irq_ack();
            self.audit.on_watchdog(&mut Port);
        } else {
            self.watchdog.look();
            self.audit.on_signal(&mut Port);
        }
        if channels.contains(TIMER) {
            let _ = TIMER.irq_ack();
        }
        Ok(())
    }

    fn fault(
        &mut self,
        child: Child,
        message: MessageInfo,
    ) -> Result<Option<MessageInfo>, Infallible> {
        self.watchdog.look();
        self.audit
            .on_fault(child::fault(child, &message), &mut Port);
        Ok(None)
    }
}
