//! Audit's interface for several clients over the monitor that knows one, the shell. It goes when the monitor knows them.

use super::old;
use heapless::Vec;
use old::{ControlError, Memory};
use protocol::limits::MAX_CLIENTS;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::Endpoint;
use protocol::wire::Fault;

/// A client's end of its rings, and audit's number of its channel.
pub(crate) struct ClientEnd<R, W> {
    pub(crate) channel: u8,
    pub(crate) ring: Endpoint<R, W>,
}

pub(crate) trait Port {
    fn now_us(&mut self) -> u64;
    fn notify_client(&mut self, channel: u8);
    fn notify_inference(&mut self);
    fn arm_timer(&mut self, at_us: Option<u64>);
    fn restart_inference(&mut self) -> Result<(), ControlError>;
    fn stop_inference(&mut self) -> Result<(), ControlError>;
}

struct Adapter<'p, P> {
    port: &'p mut P,
    client: u8,
}

impl<P: Port> old::Port for Adapter<'_, P> {
    fn now_us(&mut self) -> u64 {
        self.port.now_us()
    }
    fn notify_shell(&mut self) {
        self.port.notify_client(self.client);
    }
    fn notify_inference(&mut self) {
        self.port.notify_inference();
    }
    fn arm_timer(&mut self, at_us: Option<u64>) {
        self.port.arm_timer(at_us);
    }
    fn restart_inference(&mut self) -> Result<(), ControlError> {
        self.port.restart_inference()
    }
    fn stop_inference(&mut self) -> Result<(), ControlError> {
        self.port.stop_inference()
    }
}

/// Today's monitor cannot be without a client.
pub(crate) struct Audit<'m, R, W> {
    client: u8,
    audit: old::Audit<'m, R, W>,
}

type Monitor<'m> = Audit<'m, ReadOnlyRegion, ReadWriteRegion>;

impl<'m> Monitor<'m> {
    // A copy of it is half of the stack.
    #[inline(always)]
    pub(crate) fn new(
        clients: Vec<ClientEnd<ReadOnlyRegion, ReadWriteRegion>, MAX_CLIENTS>,
        inference: Endpoint<ReadOnlyRegion, ReadWriteRegion>,
        memory: Memory<'m>,
    ) -> Self {
        let first = clients.into_iter().next();
        let ClientEnd { channel, ring } = first.expect("a client");
        Self {
            client: channel,
            audit: old::Audit::new(ring, inference, memory),
        }
    }

    pub(crate) fn start(&mut self, port: &mut impl Port) {
        let client = self.client;
        self.audit.start(&mut Adapter { port, client });
    }

    pub(crate) fn on_signal(&mut self, port: &mut impl Port) {
        let client = self.client;
        self.audit.on_signal(&mut Adapter { port, client });
    }

    pub(crate) fn on_watchdog(&mut self, port: &mut impl Port) {
        let client = self.client;
        self.audit.on_watchdog(&mut Adapter { port, client });
    }

    #[allow(dead_code)] // On seL4 the timer is a signal as any other.
    pub(crate) fn on_timer(&mut self, port: &mut impl Port) {
        self.on_signal(port);
    }

    pub(crate) fn on_fault(&mut self, fault: Fault, port: &mut impl Port) {
        let client = self.client;
        self.audit.on_fault(fault, &mut Adapter { port, client });
    }
}
