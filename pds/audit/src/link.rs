//! The link to inference: its ring, its epoch, its restarts, and whether it is in service.
//!
//! The rules: nothing from an earlier epoch is believed. A client's messages take no room in inference's ring that
//! belongs to another client or that audit needs for loads, stops and credit, and audit's own messages take none that
//! belongs to a client. The number of restarts is bounded.

use crate::models::Verified;
use crate::work::BEAT_US;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_RESTARTS;
use protocol::name::ModelName;
use protocol::policy::Policy;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SLOTS, Violation};
use protocol::wire::engine::{Command, Loaded};

/// What the runtime, which holds inference's thread, has refused audit. It means that the system was built wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Inference could not be stopped.
    #[error("inference cannot be stopped")]
    NotStopped,
    /// Inference could not be started again, and is stopped.
    #[error("inference is stopped and cannot be started")]
    NotStarted,
}

/// What the system is doing as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first model is being loaded; clients have not been told to begin yet.
    Booting,
    /// Normal operation.
    Serving,
    /// Inference was restarted at this time and is loading its model again.
    Recovering { since_us: u64 },
    /// There were too many restarts, or the runtime has refused one. Inference is ignored until an admin resets it.
    Stopped,
}

/// The model in service, and what inference says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    pub(crate) verified: Verified,
    pub(crate) loaded: Loaded,
}

/// The link to inference; see the module.
pub(crate) struct Link<R, W> {
    ring: Endpoint<R, W>,
    epoch: u32,
    pub(crate) phase: Phase,
    /// The model that is loaded after a restart.
    pub(crate) wanted: ModelName,
    pub(crate) current: Option<Current>,
    /// The sender of each message that inference has not read, oldest first: a client's place, or `None` for audit
    /// itself.
    unread: heapless::Deque<Option<usize>, SLOTS>,
    /// Slots of inference's ring that belong to no client. The policy leaves at least a quarter of the ring, and
    /// inference signals when it has read that much, so audit wakes up when one of them is free for a waiting command.
    own_places: usize,
    /// Since when every wake-up has found no slot free for audit's own commands.
    full_since_us: Option<u64>,
    /// Times of the restarts within the policy's window.
    restarts_us: heapless::Deque<u64, MAX_RESTARTS>,
    /// The runtime's refusal, if that and not the number of restarts is why audit has stopped trying.
    refused: Option<ControlError>,
    frame: Frame,
    signal: bool,
    /// When inference is next signalled for the sake of its workers.
    beat_us: u64,
}

impl<R: ReadWords, W: WriteWords> Link<R, W> {
    /// `wanted`: the model to load at boot.
    pub(crate) fn new(ring: Endpoint<R, W>, policy: &Policy, wanted: ModelName) -> Self {
        let parts = policy.clients().iter();
        let parts = parts.fold(0usize, |sum, client| {
            sum.saturating_add(client.commands as usize)
        });
        Self {
            ring,
            epoch: 0,
            phase: Phase::Booting,
            wanted,
            current: None,
            unread: heapless::Deque::new(),
            own_places: SLOTS.saturating_sub(parts),
            full_since_us: None,
            restarts_us: heapless::Deque::new(),
            refused: None,
            frame: Frame::new(),
            signal: false,
            beat_us: 0,
        }
    }

    // ---- The ring -------------------------------------------------------------------------------

    /// Begins a new epoch, so that no message of inference's previous run can be taken for a part of it. Epochs repeat
    /// after 2³² restarts, when messages of the first are long gone.
    pub(crate) fn begin_epoch(&mut self) {
        self.epoch = match self.epoch {
            0 => 1,
            last => self.ring.epoch_after(last),
        };
        self.ring.lead(self.epoch);
        self.unread.clear();
        self.full_since_us = None;
        // Inference may already be waiting for this.
        self.signal = true;
    }

    /// Receives a message; see [`Endpoint::receive`].
    pub(crate) fn receive(&mut self, frame: &mut Frame) -> Result<bool, Violation> {
        self.ring.receive(frame)
    }

    /// Drops the senders of messages that inference has read meanwhile.
    fn count_unread(&mut self) {
        let unread = SLOTS.saturating_sub(self.ring.free());
        while self.unread.len() > unread {
            self.unread.pop_front();
        }
    }

    /// Number of unread messages of a client, or of audit's own.
    fn unread_of(&mut self, whose: Option<usize>) -> usize {
        self.count_unread();
        let is = |owner: &Option<usize>| usize::from(*owner == whose);
        let unread = self.unread.iter().map(is);
        unread.fold(0, usize::saturating_add)
    }

    /// Whether there is room for another of audit's own commands.
    fn has_own_room(&mut self) -> bool {
        self.unread_of(None) < self.own_places && self.ring.free() > 0
    }

    /// Checks that a client may send inference this many messages: each client has its own part of the ring.
    ///
    /// # Errors
    /// Inference has not read the client's earlier messages.
    pub(crate) fn require_room(&mut self, client: usize, places: usize) -> Result<(), Failure> {
        let own = self.unread_of(Some(client));
        let busy = |used: usize, limit: usize| {
            Err(Failure::over(ErrorCode::Busy, used as u64, limit as u64))
        };
        match self.ring.free() {
            // Reached only if what inference says about its reading is impossible.
            0 => busy(SLOTS, SLOTS),
            _ if own < places => Ok(()),
            _ => busy(own, places),
        }
    }

    /// Sends a command about request `number`, for a client whose room was checked, or for audit itself; false if there
    /// is no room.
    pub(crate) fn send(
        &mut self,
        client: Option<usize>,
        number: u32,
        command: &Command<'_>,
    ) -> bool {
        if client.is_none() && !self.has_own_room() {
            return false;
        }
        self.count_unread();
        command.write(number, &mut self.frame);
        let sent = self.ring.send(&self.frame).is_ok();
        self.note_sent(client, sent)
    }

    /// Like [`Self::send`], for a client's command that was kept.
    pub(crate) fn send_kept(&mut self, client: Option<usize>, frame: &Frame) -> bool {
        self.count_unread();
        let sent = self.ring.send(frame).is_ok();
        self.note_sent(client, sent)
    }

    fn note_sent(&mut self, client: Option<usize>, sent: bool) -> bool {
        if sent {
            // The queue has as many entries as the ring has slots, so this cannot fail.
            let _ = self.unread.push_back(client);
        }
        self.signal |= sent;
        sent
    }

    /// Whether to signal inference now.
    pub(crate) fn takes_signal(&mut self) -> bool {
        let owed = self.ring.take_owed_signal();
        core::mem::take(&mut self.signal) | owed
    }

    /// Signals inference if its last beat is [`BEAT_US`] ago. Returns when the next beat is due.
    pub(crate) fn beat(&mut self, now: u64) -> u64 {
        if now >= self.beat_us {
            self.beat_us = now.saturating_add(BEAT_US);
            self.signal = true;
        }
        self.beat_us
    }

    /// Notes, at the start of a wake-up, whether inference's ring has room for audit's own commands.
    pub(crate) fn look(&mut self, now: u64) {
        if self.phase != Phase::Stopped && !self.has_own_room() {
            self.full_since_us.get_or_insert(now);
        } else {
            self.full_since_us = None;
        }
    }

    /// How long inference has read none of audit's own commands, in microseconds.
    pub(crate) fn full_for_us(&self, now: u64) -> u64 {
        self.full_since_us
            .map_or(0, |since| now.saturating_sub(since))
    }

    // ---- Restarts -------------------------------------------------------------------------------

    /// Whether the policy's limit of restarts within the window has been reached.
    pub(crate) fn is_exhausted(&mut self, policy: &Policy, now: u64) -> bool {
        while let Some(first) = self.restarts_us.front().copied()
            && now.saturating_sub(first) >= policy.restart_window_us
        {
            self.restarts_us.pop_front();
        }
        let most = policy.max_restarts as usize;
        self.restarts_us.len() >= most.min(self.restarts_us.capacity())
    }

    /// Counts a restart.
    pub(crate) fn note_restart(&mut self, now: u64) {
        // There is room: `is_exhausted` was checked, or the list was emptied.
        let _ = self.restarts_us.push_back(now);
        if matches!(self.phase, Phase::Serving | Phase::Stopped) {
            self.phase = Phase::Recovering { since_us: now };
        }
        self.refused = None;
    }

    /// Keeps inference down; `refused` is the runtime's refusal, if any. From now on nothing from inference is read,
    /// even if it could not be stopped.
    pub(crate) fn stop(&mut self, refused: Option<ControlError>) {
        self.refused = refused;
        self.phase = Phase::Stopped;
        self.full_since_us = None;
    }

    /// Forgets the restarts, because an admin has reset inference.
    pub(crate) fn forgive(&mut self) {
        self.restarts_us.clear();
    }

    /// The error for a request while inference stays down.
    pub(crate) fn why_stopped(&self, policy: &Policy) -> Failure {
        match self.refused {
            None => {
                let restarts = self.restarts_us.len() as u64;
                let window = policy.restart_window_us;
                Failure::over(ErrorCode::RestartsExhausted, restarts, window)
            }
            Some(ControlError::NotStopped) => Failure::over(ErrorCode::ControlRefused, 1, 0),
            Some(ControlError::NotStarted) => Failure::over(ErrorCode::ControlRefused, 2, 0),
        }
    }

    /// # Errors
    /// Inference is down and stays down.
    pub(crate) fn require_running(&self, policy: &Policy) -> Result<(), Failure> {
        match self.phase {
            Phase::Stopped => Err(self.why_stopped(policy)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::limits::CLIENT_COMMANDS;
    use protocol::testing::{TestEndpoint, TestRegion, endpoints, policy};

    fn link() -> (Link<TestRegion, TestRegion>, TestEndpoint) {
        let (ring, mut inference, _) = endpoints();
        let mut link = Link::new(ring, &policy(), ModelName::EMPTY);
        link.begin_epoch();
        assert!(link.takes_signal() && !link.takes_signal());
        assert!(inference.follow());
        (link, inference)
    }

    #[test]
    fn a_client_has_its_own_part_of_the_ring_and_gets_it_back_as_inference_reads() {
        let (mut link, mut inference) = link();
        // Audit's own messages take no client's slots.
        while link.send(None, 9, &Command::Cancel) {}
        link.begin_epoch();
        assert!(inference.follow());
        for _ in 0..3 {
            assert_eq!(link.require_room(1, 3), Ok(()));
            assert!(link.send(Some(1), 7, &Command::Status));
        }
        let full = Failure::over(ErrorCode::Busy, 3, 3);
        assert_eq!(link.require_room(1, 3), Err(full));
        // Neither audit's messages nor the other client's count here.
        assert!(link.send(None, 8, &Command::Cancel));
        assert_eq!(link.require_room(2, 1), Ok(()));
        // The oldest message is read first.
        let mut frame = Frame::new();
        assert_eq!(inference.receive(&mut frame), Ok(true));
        assert_eq!(link.require_room(1, 3), Ok(()));
        // In a new epoch nothing is unread.
        link.begin_epoch();
        assert_eq!(link.require_room(1, 1), Ok(()));
    }

    #[test]
    fn all_parts_together_leave_room_for_audits_own_messages() {
        let (mut link, _inference) = link();
        for _ in 0..CLIENT_COMMANDS {
            assert!(link.send(Some(0), 1, &Command::Status));
        }
        for _ in 0..SLOTS - CLIENT_COMMANDS {
            assert!(link.send(None, 1, &Command::Cancel));
        }
        assert!(!link.send(None, 1, &Command::Cancel));
        let full = Failure::over(ErrorCode::Busy, SLOTS as u64, SLOTS as u64);
        assert_eq!(link.require_room(3, 1), Err(full));
    }

    #[test]
    fn a_full_ring_is_timed_from_when_it_was_seen_full() {
        let (mut link, mut inference) = link();
        link.look(5);
        assert_eq!(link.full_for_us(9), 0);
        while link.send(None, 1, &Command::Cancel) {}
        link.look(10);
        link.look(20);
        assert_eq!(link.full_for_us(25), 15);
        assert_eq!(inference.receive(&mut Frame::new()), Ok(true));
        link.look(30);
        assert_eq!(link.full_for_us(99), 0);
    }

    #[test]
    fn restarts_end_and_are_forgotten_with_time_or_forgiven() {
        let (mut link, _inference) = link();
        let mut policy = policy();
        (policy.max_restarts, policy.restart_window_us) = (2, 100);
        link.phase = Phase::Serving;
        for now in [0, 50] {
            assert!(!link.is_exhausted(&policy, now));
            link.note_restart(now);
            assert_eq!(link.phase, Phase::Recovering { since_us: 0 });
        }
        assert!(link.is_exhausted(&policy, 99));
        assert!(
            !link.is_exhausted(&policy, 100),
            "the first is too long ago"
        );
        link.note_restart(100);
        link.stop(None);
        let exhausted = Failure::over(ErrorCode::RestartsExhausted, 2, 100);
        assert_eq!(link.require_running(&policy), Err(exhausted));
        for (refused, value) in [(ControlError::NotStopped, 1), (ControlError::NotStarted, 2)] {
            link.stop(Some(refused));
            let refused = Failure::over(ErrorCode::ControlRefused, value, 0);
            assert_eq!(link.require_running(&policy), Err(refused));
        }
        link.forgive();
        assert!(!link.is_exhausted(&policy, 100));
        link.note_restart(200);
        assert_eq!(link.require_running(&policy), Ok(()));
    }
}
