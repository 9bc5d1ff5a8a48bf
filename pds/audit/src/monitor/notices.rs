//! Notices to the shell that answer no request: each waits here until the shell's ring has room, so none is lost.
//!
//! There is a place for each kind, and what is told is always what holds now: a fault that is newer than the end of a
//! recovery takes that back.

use super::Monitor;
use protocol::error::Failure;
use protocol::limits::MAX_PIECE_BYTES;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::Fault;
use protocol::wire::client::Event;

/// Why audit's own load failed, with what inference or audit has to say about it.
#[derive(Clone, Debug)]
struct LoadFailure {
    failure: Failure,
    detail: heapless::Vec<u8, MAX_PIECE_BYTES>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Notices {
    fault: Option<Fault>,
    load_failed: Option<LoadFailure>,
    exhausted: Option<Failure>,
    recovered: Option<(u64, u32)>,
    /// The shell may begin.
    ready: bool,
}

impl Notices {
    /// Whether there is nothing to tell.
    pub(super) const fn is_empty(&self) -> bool {
        let Self {
            fault,
            load_failed,
            exhausted,
            recovered,
            ready,
        } = self;
        fault.is_none()
            && load_failed.is_none()
            && exhausted.is_none()
            && recovered.is_none()
            && !*ready
    }

    /// Inference died or was stopped.
    pub(super) fn fault(&mut self, fault: Fault) {
        self.fault = Some(fault);
        self.recovered = None;
    }

    /// Audit's own load has failed.
    pub(super) fn load_failed(&mut self, failure: Failure, detail: &[u8]) {
        let mut kept = heapless::Vec::new();
        // An event has at most so many, and so has a report.
        let _ = kept.extend_from_slice(detail.get(..MAX_PIECE_BYTES).unwrap_or(detail));
        self.load_failed = Some(LoadFailure {
            failure,
            detail: kept,
        });
    }

    /// Audit has stopped trying.
    pub(super) const fn exhausted(&mut self, failure: Failure) {
        self.exhausted = Some(failure);
    }

    /// Audit tries again.
    pub(super) const fn trying_again(&mut self) {
        self.exhausted = None;
    }

    /// Inference serves again.
    pub(super) const fn recovered(&mut self, after_us: u64, restarts: u32) {
        self.recovered = Some((after_us, restarts));
    }

    /// The system takes requests.
    pub(super) const fn ready(&mut self) {
        self.ready = true;
    }
}

impl<R: ReadWords, W: WriteWords> Monitor<'_, R, W> {
    /// Tells of a fault; true if there is none left to tell of. What it has cost is told after it.
    pub(super) fn deliver_fault(&mut self) -> bool {
        if let Some(fault) = self.notices.fault
            && self.tell_shell(0, &Event::Fault(fault))
        {
            self.notices.fault = None;
        }
        self.notices.fault.is_none()
    }

    /// Tells the rest, in an order that makes sense to a reader.
    pub(super) fn deliver_notices(&mut self) {
        // As nearly always.
        if self.notices.is_empty() {
            return;
        }
        if let Some(LoadFailure { failure, detail }) = self.notices.load_failed.clone() {
            let detail = &detail;
            if !self.tell_shell(0, &Event::Failed { failure, detail }) {
                return;
            }
            self.notices.load_failed = None;
        }
        if let Some(failure) = self.notices.exhausted {
            if !self.tell_shell(0, &super::failed(failure)) {
                return;
            }
            self.notices.exhausted = None;
        }
        if let Some((after_us, restarts)) = self.notices.recovered {
            if !self.tell_shell(0, &Event::Recovered { after_us, restarts }) {
                return;
            }
            self.notices.recovered = None;
        }
        if self.notices.ready {
            let user = self.user_now();
            self.notices.ready = !self.tell_shell(0, &Event::Ready(user));
        }
    }
}
