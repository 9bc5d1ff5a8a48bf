//! Notices to all clients that they did not ask for. Each waits here until the client's ring has room.
//!
//! The rule: nothing is lost. There is one place for each kind. A notice that arrives before the client has read the
//! last of its kind is merged with it: faults are counted, and for the other kinds only the current state is told.

use crate::table::Detail;
use protocol::error::Failure;
use protocol::wire::Fault;
use protocol::wire::client::{Event, Progress, Stage, User};

/// The notices that a client has yet to be told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notices {
    /// The newest fault that it has not been told of, and their number.
    fault: Option<(Fault, u32)>,
    /// Why audit's own load failed, with inference's or audit's details.
    load_failed: Option<(Failure, Detail)>,
    /// Why audit has stopped trying, if so.
    exhausted: Option<Failure>,
    /// Why nothing is admitted, if the log is lost.
    log_lost: Option<Failure>,
    /// How long the last recovery took, and restarts since boot.
    recovered: Option<(u64, u32)>,
    /// Progress of the boot.
    progress: Option<Progress>,
    /// Whether to tell that the system takes requests.
    ready: bool,
}

impl Notices {
    /// Inference failed or was stopped.
    pub(crate) fn fault(&mut self, fault: Fault) {
        let before = self.fault.map_or(0, |(_, count)| count);
        self.fault = Some((fault, before.saturating_add(1)));
        self.recovered = None;
    }

    /// Audit's own load has failed.
    pub(crate) fn load_failed(&mut self, failure: Failure, detail: &[u8]) {
        // The detail of a report is never longer.
        let kept = Detail::from_slice(detail).unwrap_or_default();
        self.load_failed = Some((failure, kept));
    }

    /// Audit has stopped trying.
    pub(crate) const fn exhausted(&mut self, failure: Failure) {
        self.exhausted = Some(failure);
    }

    /// Audit is trying again.
    pub(crate) const fn trying_again(&mut self) {
        self.exhausted = None;
    }

    /// The log is lost, so nothing is admitted until the next boot.
    pub(crate) const fn log_lost(&mut self, failure: Failure) {
        self.log_lost = Some(failure);
    }

    /// Inference is back in service.
    pub(crate) const fn recovered(&mut self, after_us: u64, restarts: u32) {
        self.recovered = Some((after_us, restarts));
    }

    /// The boot has made progress.
    pub(crate) const fn progress(&mut self, stage: Stage, done: u64, total: u64) {
        self.progress = Some(Progress { stage, done, total });
    }

    /// The system now takes requests.
    pub(crate) const fn ready(&mut self) {
        self.ready = true;
        self.progress = None;
    }

    /// Whether there is nothing to tell, which is the normal case.
    pub(crate) const fn is_empty(&self) -> bool {
        let Self {
            fault,
            load_failed,
            exhausted,
            log_lost,
            recovered,
            progress,
            ready,
        } = self;
        fault.is_none()
            && load_failed.is_none()
            && exhausted.is_none()
            && log_lost.is_none()
            && recovered.is_none()
            && progress.is_none()
            && !*ready
    }

    /// Tells of faults and of the loss of the log; their consequences are told afterwards. Inference chooses where, and
    /// at which address, it fails, and files says what is wrong with the log, so a client that is bound to formats
    /// (`is_bound`) is told only the kind of fault, and that the log is lost.
    pub(crate) fn deliver_causes(
        &mut self,
        is_bound: bool,
        mut tell: impl FnMut(&Event<'_>) -> bool,
    ) {
        if let Some((mut fault, count)) = self.fault {
            if is_bound {
                (fault.ip, fault.address) = (0, 0);
            }
            if !tell(&Event::Fault { fault, count }) {
                return;
            }
            self.fault = None;
        }
        if let Some(failure) = self.log_lost {
            let failure = match is_bound {
                true => Failure::of(failure.code),
                false => failure,
            };
            let detail = &[];
            if tell(&Event::Failed { failure, detail }) {
                self.log_lost = None;
            }
        }
    }

    /// Tells the other notices in an order that makes sense to a reader, as far as there is room. `user`: the client's
    /// user. `is_bound`: the client must use a format, so about a failed load it is told only the error code and
    /// nothing that inference says.
    pub(crate) fn deliver(
        &mut self,
        user: User,
        is_bound: bool,
        mut tell: impl FnMut(&Event<'_>) -> bool,
    ) {
        if self.fault.is_some() || self.log_lost.is_some() {
            return;
        }
        if let Some((failure, detail)) = &self.load_failed {
            let (failure, detail) = match is_bound {
                true => (Failure::of(failure.code), &[][..]),
                false => (*failure, &detail[..]),
            };
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

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::error::ErrorCode;
    use protocol::wire::FaultKind;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    const FAULT: Fault = Fault {
        kind: FaultKind::Memory,
        ip: 1,
        address: 2,
    };

    /// The notices that are told if there is room for this many events.
    fn told(notices: &mut Notices, room: usize) -> Vec<String> {
        let mut told = Vec::new();
        let mut tell = |event: &Event<'_>| {
            let has_room = told.len() < room;
            if has_room {
                let text = format!("{event:?}");
                told.push(text.split([' ', '(']).next().unwrap_or_default().into());
            }
            has_room
        };
        notices.deliver_causes(false, &mut tell);
        notices.deliver(User::default(), false, &mut tell);
        told
    }

    fn full() -> Notices {
        let mut notices = Notices::default();
        notices.fault(FAULT);
        notices.load_failed(Failure::of(ErrorCode::NoSuchModel), b"tiny");
        notices.exhausted(Failure::of(ErrorCode::RestartsExhausted));
        notices.log_lost(Failure::of(ErrorCode::LogLost));
        notices.recovered(5, 1);
        notices.ready();
        notices
    }

    const ORDER: [&str; 6] = ["Fault", "Failed", "Failed", "Failed", "Recovered", "Ready"];

    #[test]
    fn whatever_the_room_each_is_told_once_and_in_order() {
        for room in 1..=ORDER.len() {
            let (mut notices, mut all) = (full(), Vec::new());
            while !notices.is_empty() {
                all.extend(told(&mut notices, room));
            }
            assert_eq!(all, ORDER, "room for {room}");
            assert_eq!(told(&mut notices, 9), Vec::<String>::new());
        }
        let mut notices = full();
        assert_eq!(told(&mut notices, 0), Vec::<String>::new());
        assert_eq!(told(&mut notices, 9), ORDER);
    }

    #[test]
    fn a_fault_takes_back_what_was_said_of_a_recovery_and_is_counted() {
        let mut notices = Notices::default();
        notices.recovered(5, 1);
        for _ in 0..3 {
            notices.fault(FAULT);
        }
        let mut count = 0;
        notices.deliver_causes(false, |event| {
            count = match event {
                Event::Fault { count, .. } => *count,
                other => panic!("{other:?}"),
            };
            true
        });
        assert_eq!((count, notices.is_empty()), (3, true));
    }

    #[test]
    fn progress_is_what_holds_now_and_ends_with_the_boot() {
        let mut notices = Notices::default();
        notices.progress(Stage::Verifying, 1, 9);
        notices.progress(Stage::Loading, 0, 9);
        assert_eq!(told(&mut notices, 9), ["Progress"]);
        notices.progress(Stage::Loading, 1, 9);
        notices.exhausted(Failure::of(ErrorCode::RestartsExhausted));
        notices.trying_again();
        notices.ready();
        assert_eq!(told(&mut notices, 9), ["Ready"]);
    }
}
