//! What all clients are told unasked: each notice waits here until the client's ring has room.
//!
//! The rule: nothing is lost. There is a place for each kind, and what comes before the client has read the last is joined
//! with it: faults are counted, and of all else what is told is what holds now.

use crate::table::Detail;
use protocol::error::Failure;
use protocol::wire::Fault;
use protocol::wire::client::{Event, Progress, Stage, User};

/// What a client is owed of what concerns all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notices {
    /// The newest fault that it was not told of, and how many there were.
    fault: Option<(Fault, u32)>,
    /// Why audit's own load failed, with what inference or audit has to say about it.
    load_failed: Option<(Failure, Detail)>,
    /// Audit has stopped trying.
    exhausted: Option<Failure>,
    /// How long the last recovery took, and restarts since boot.
    recovered: Option<(u64, u32)>,
    /// How far the boot has got.
    progress: Option<Progress>,
    /// The system takes requests.
    ready: bool,
}

impl Notices {
    /// Inference died or was stopped.
    pub(crate) fn fault(&mut self, fault: Fault) {
        let before = self.fault.map_or(0, |(_, count)| count);
        self.fault = Some((fault, before.saturating_add(1)));
        self.recovered = None;
    }

    /// Audit's own load has failed.
    pub(crate) fn load_failed(&mut self, failure: Failure, detail: &[u8]) {
        // A report's detail has at most so many bytes.
        let kept = Detail::from_slice(detail).unwrap_or_default();
        self.load_failed = Some((failure, kept));
    }

    /// Audit has stopped trying.
    pub(crate) const fn exhausted(&mut self, failure: Failure) {
        self.exhausted = Some(failure);
    }

    /// Audit tries again.
    pub(crate) const fn trying_again(&mut self) {
        self.exhausted = None;
    }

    /// Inference serves again.
    pub(crate) const fn recovered(&mut self, after_us: u64, restarts: u32) {
        self.recovered = Some((after_us, restarts));
    }

    /// The boot has got so far.
    pub(crate) const fn progress(&mut self, stage: Stage, done: u64, total: u64) {
        self.progress = Some(Progress { stage, done, total });
    }

    /// The system takes requests.
    pub(crate) const fn ready(&mut self) {
        self.ready = true;
        self.progress = None;
    }

    /// Whether there is nothing to tell, as nearly always.
    pub(crate) const fn is_empty(&self) -> bool {
        let Self {
            fault,
            load_failed,
            exhausted,
            recovered,
            progress,
            ready,
        } = self;
        fault.is_none()
            && load_failed.is_none()
            && exhausted.is_none()
            && recovered.is_none()
            && progress.is_none()
            && !*ready
    }

    /// Tells of faults. What they have cost is told after them.
    pub(crate) fn deliver_fault(&mut self, tell: &mut dyn FnMut(&Event<'_>) -> bool) {
        if let Some((fault, count)) = self.fault
            && tell(&Event::Fault { fault, count })
        {
            self.fault = None;
        }
    }

    /// Tells the rest, in an order that makes sense to a reader, as far as there is room. `user`: who the client is.
    pub(crate) fn deliver(&mut self, user: User, tell: &mut dyn FnMut(&Event<'_>) -> bool) {
        if self.fault.is_some() {
            return;
        }
        if let Some((failure, detail)) = &self.load_failed {
            let failure = *failure;
            if !tell(&Event::Failed { failure, detail }) {
                return;
            }
            self.load_failed = None;
        }
        if let Some(failure) = self.exhausted {
            let detail = &[];
            if !tell(&Event::Failed { failure, detail }) {
                return;
            }
            self.exhausted = None;
        }
        if let Some((after_us, restarts)) = self.recovered {
            if !tell(&Event::Recovered { after_us, restarts }) {
                return;
            }
            self.recovered = None;
        }
        if let Some(progress) = self.progress {
            if !tell(&Event::Progress(progress)) {
                return;
            }
            self.progress = None;
        }
        if self.ready {
            self.ready = !tell(&Event::Ready(user));
        }
    }
}
