//! Sends requests to audit.

use crate::console::Port;
use crate::state::{Activity, Purpose, ShellState};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::Request;
use sel4_llm_client::{RequestId, SubmitError};

impl<R: ReadWords, W: WriteWords> ShellState<'_, R, W> {
    /// Sends a question to audit, and waits for the answer.
    pub(crate) fn ask(&mut self, request: &Request<'_>, purpose: Purpose, port: &mut impl Port) {
        if let Some(request) = self.submit(request, port) {
            self.activity = Activity::Asking { request, purpose };
        }
    }

    /// Submits a request. If it cannot be sent, says why, and waits for the next line.
    pub(crate) fn submit(
        &mut self,
        request: &Request<'_>,
        port: &mut impl Port,
    ) -> Option<RequestId> {
        let submitted = self.client.submit(request);
        self.submitted(submitted, port)
    }

    /// Returns the submitted request. If it could not be sent, says why.
    pub(crate) fn submitted(
        &mut self,
        submitted: Result<RequestId, SubmitError>,
        port: &mut impl Port,
    ) -> Option<RequestId> {
        match submitted {
            Ok(request) => return Some(request),
            Err(SubmitError::Invalid(failure)) => self.complain_of(failure, &[], port),
            Err(error) => self.complain(error, port),
        }
        None
    }

    /// Signals audit, once for everything that was sent and for the room that reading has made.
    pub(crate) fn signal_audit(&mut self, port: &mut impl Port) {
        if self.client.take_owed_signal() {
            port.notify_audit();
        }
    }

    pub(crate) fn halt(&mut self, port: &mut impl Port) {
        self.activity = Activity::Halted;
        port.halt();
    }
}
