//! The link to inference: its ring, its epoch, its restarts, and whether it serves.
//!
//! The rules: nothing of an epoch that is over is believed; no client's messages take the room in inference's ring that
//! is another's, or that audit needs for loads, stops and credit; and restarts end.

use crate::models::Verified;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{DEFAULT_MODEL, MAX_RESTARTS};
use protocol::name::ModelName;
use protocol::policy::Policy;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SLOTS, Violation};
use protocol::wire::engine::{Command, Loaded};

/// What the runtime has refused audit, which holds inference's thread. It means that the system was built wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// To stop it.
    #[error("inference cannot be stopped")]
    NotStopped,
    /// To start it anew: it is stopped.
    #[error("inference is stopped and cannot be started")]
    NotStarted,
}

/// What the system is doing as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first model is being loaded; clients are not told to begin yet.
    Booting,
    /// As it should be.
    Serving,
    /// Inference was restarted at this time and loads its model again.
    Recovering { since_us: u64 },
    /// Too many restarts, or the runtime has refused one: inference is not heard until an admin resets it.
    Stopped,
}

/// The model in service, and what inference says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    pub(crate) verified: Verified,
    pub(crate) loaded: Loaded,
}

/// See the module.
pub(crate) struct Link<R, W> {
    ring: Endpoint<R, W>,
    epoch: u32,
    pub(crate) phase: Phase,
    /// What is loaded again after a restart.
    pub(crate) wanted: ModelName,
    pub(crate) current: Option<Current>,
    /// Whose the messages are that inference has not read, oldest first: a client's place, or nobody's for audit's own.
    unread: heapless::Deque<Option<usize>, SLOTS>,
    /// Since when inference's ring has had no room whenever audit woke.
    full_since_us: Option<u64>,
    /// Times of the restarts within the policy's window.
    restarts_us: heapless::Deque<u64, MAX_RESTARTS>,
    /// Why audit has stopped trying, if it was not for too many restarts.
    refused: Option<ControlError>,
    frame: Frame,
    signal: bool,
}

impl<R: ReadWords, W: WriteWords> Link<R, W> {
    pub(crate) fn new(ring: Endpoint<R, W>) -> Self {
        Self {
            ring,
            epoch: 0,
            phase: Phase::Booting,
            // The name in the table of limits is one.
            wanted: ModelName::new(DEFAULT_MODEL).unwrap_or_default(),
            current: None,
            unread: heapless::Deque::new(),
            full_since_us: None,
            restarts_us: heapless::Deque::new(),
            refused: None,
            frame: Frame::new(),
            signal: false,
        }
    }

    // ---- The ring -------------------------------------------------------------------------------

    /// Begins an epoch that nothing of inference's last life can be taken for a part of. After 2³² restarts epochs repeat;
    /// the messages of the first one are long gone.
    pub(crate) fn begin_epoch(&mut self) {
        self.epoch = match self.epoch {
            0 => 1,
            last => self.ring.epoch_after(last),
        };
        self.ring.lead(self.epoch);
        self.unread.clear();
        self.full_since_us = None;
        // It may be waiting for that already.
        self.signal = true;
    }

    /// Receives a message; see [`Endpoint::receive`].
    pub(crate) fn receive(&mut self, frame: &mut Frame) -> Result<bool, Violation> {
        self.ring.receive(frame)
    }

    /// Forgets whose the messages were that inference has read since.
    fn count_unread(&mut self) {
        let unread = SLOTS.saturating_sub(self.ring.free());
        while self.unread.len() > unread {
            self.unread.pop_front();
        }
    }

    /// Whether a client may send inference another message: it has its own part of the ring.
    ///
    /// # Errors
    /// Inference has not read what it sent before.
    pub(crate) fn require_room(&mut self, client: usize, places: usize) -> Result<(), Failure> {
        self.count_unread();
        let mut own = 0usize;
        for owner in &self.unread {
            own = own.saturating_add(usize::from(*owner == Some(client)));
        }
        let busy = |used: usize, limit: usize| {
            Err(Failure::over(ErrorCode::Busy, used as u64, limit as u64))
        };
        match self.ring.free() {
            0 => busy(SLOTS, SLOTS),
            _ if own < places => Ok(()),
            _ => busy(own, places),
        }
    }

    /// Sends a command about request `number`, for a client or for audit itself; false if there is no room.
    pub(crate) fn send(
        &mut self,
        client: Option<usize>,
        number: u32,
        command: &Command<'_>,
    ) -> bool {
        self.count_unread();
        command.write(number, &mut self.frame);
        let sent = self.ring.send(&self.frame).is_ok();
        if sent {
            // The ring has as many places.
            let _ = self.unread.push_back(client);
        }
        self.signal |= sent;
        sent
    }

    /// Messages that its ring has room for.
    pub(crate) fn room(&self) -> usize {
        self.ring.free()
    }

    /// Whether to signal inference now.
    pub(crate) fn takes_signal(&mut self) -> bool {
        let owed = self.ring.take_owed_signal();
        core::mem::take(&mut self.signal) | owed
    }

    /// Notes, at the beginning of a wake-up, whether inference's ring has room.
    pub(crate) fn look(&mut self, now: u64) {
        if self.phase != Phase::Stopped && self.ring.free() == 0 {
            self.full_since_us.get_or_insert(now);
        } else {
            self.full_since_us = None;
        }
    }

    /// How long inference has taken no command, in microseconds.
    pub(crate) fn full_for_us(&self, now: u64) -> u64 {
        self.full_since_us
            .map_or(0, |since| now.saturating_sub(since))
    }

    // ---- Restarts -------------------------------------------------------------------------------

    /// Whether there were as many restarts within the window as the policy allows.
    pub(crate) fn is_exhausted(&mut self, policy: &Policy, now: u64) -> bool {
        while let Some(first) = self.restarts_us.front().copied()
            && now.saturating_sub(first) >= policy.restart_window_us
        {
            self.restarts_us.pop_front();
        }
        let most = policy.max_restarts as usize;
        self.restarts_us.len() >= most.min(self.restarts_us.capacity())
    }

    /// Inference is being restarted.
    pub(crate) fn note_restart(&mut self, now: u64) {
        // There is room: `is_exhausted` has looked, or the list was emptied.
        let _ = self.restarts_us.push_back(now);
        if matches!(self.phase, Phase::Serving | Phase::Stopped) {
            self.phase = Phase::Recovering { since_us: now };
        }
        self.refused = None;
    }

    /// Inference stays down, with what the runtime has said to that: from here on nothing that it says is read, even if it
    /// could not be stopped.
    pub(crate) fn stop(&mut self, refused: Option<ControlError>) {
        self.refused = refused;
        self.phase = Phase::Stopped;
        self.full_since_us = None;
    }

    /// An admin has forgiven the restarts.
    pub(crate) fn forgive(&mut self) {
        self.restarts_us.clear();
    }

    /// What a request is told while inference stays down.
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
    /// Inference stays down.
    pub(crate) fn require_running(&self, policy: &Policy) -> Result<(), Failure> {
        match self.phase {
            Phase::Stopped => Err(self.why_stopped(policy)),
            _ => Ok(()),
        }
    }
}
