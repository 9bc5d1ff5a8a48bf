//! The world around the monitor: a clock, the peers with their regions, a runtime, and a journal of events.
//!
//! The rule that keeps it honest: the journal is written where audit touches the world (its own regions and its port),
//! and does not rely on what audit says about itself. So the claims see each message in the order in which audit took
//! or sent it.

mod rings;
mod runtime;

pub use rings::{Garbage, HEAD_WORD, Message, Peer, REGION_WORDS, Ring, TAIL_WORD};
pub use runtime::Runtime;

use crate::dice::Dice;
use audit::log::Cursor;
use audit::{Audit, ClientEnd, ControlError, KdfBlock, Memory, Texts};
use protocol::limits::WATCHDOG_PERIOD_US;
use protocol::record::Record;
use protocol::testing::TestRegion;
use protocol::wire::Fault;
pub(crate) use rings::{Watched, memory, pair};
use std::cell::RefCell;
use std::rc::Rc;

/// Something that audit did.
#[derive(Clone, Debug)]
pub enum Seen {
    /// It read the clock.
    Clock(u64),
    /// It took a message, or garbage.
    Took(Ring, Result<Message, Garbage>),
    /// It told the peer that it has taken messages.
    MadeRoom(Ring),
    /// It sent a message.
    Sent(Ring, Message),
    /// It began an epoch.
    Led(Ring, u32),
    /// It restarted inference, unless the runtime refused.
    Restarted(Result<(), ControlError>),
    /// It stopped inference, unless the runtime refused.
    Stopped(Result<(), ControlError>),
    /// It signalled the client on this channel.
    SignalledClient(u8),
    /// It signalled inference.
    SignalledInference,
    /// It signalled files.
    SignalledFiles,
    /// It armed the timer.
    Armed {
        /// The time for which it is armed.
        at: Option<u64>,
        /// When it was armed.
        now: u64,
    },
}

/// What audit did, in order, since the journal was last taken.
pub(crate) type Journal = Rc<RefCell<Vec<Seen>>>;

/// Why audit was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The start.
    Start,
    /// A signal of a peer.
    Signal,
    /// The timer, or an interrupt that looks like it.
    Timer,
    /// The watchdog.
    Tick,
    /// A fault message.
    Fault(Fault),
}

/// The state of a peer's rings with audit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// Free slots in audit's ring to the peer, before the wake-up.
    pub free: usize,
    /// Whether the peer had a message for audit, before the wake-up.
    pub offered: bool,
    /// Whether it has a message that audit has not taken, after the wake-up.
    pub offers: bool,
}

/// A wake-up: the state before it, and what audit did.
#[derive(Debug)]
pub struct Wake {
    /// The cause.
    pub cause: Cause,
    /// What audit did, in order.
    pub seen: Vec<Seen>,
    /// Whether the current run of inference has written nothing yet, so that nothing can be from it.
    pub silent: bool,
    /// Entries appended to the log.
    pub entries: Vec<(Record, Vec<u8>)>,
    /// The state of the clients' rings.
    pub clients: Vec<Standing>,
    /// The state of inference's rings.
    pub inference: Standing,
    /// The region of adapters.
    pub adapters: TestRegion,
    /// Sequence number of the oldest entry after the wake-up.
    pub oldest: u64,
}

/// The monitor's memory.
#[derive(Debug)]
pub struct Buffers {
    log: Vec<u8>,
    kdf: Vec<KdfBlock>,
    texts: Box<Texts>,
}

impl Buffers {
    /// Buffers with a log of this size.
    #[must_use]
    pub fn new(log: usize) -> Self {
        Self {
            log: vec![0; log],
            kdf: vec![KdfBlock::new(); 8],
            texts: Box::default(),
        }
    }
}

/// The monitor and its surroundings.
pub struct World<'m> {
    audit: Audit<'m, TestRegion, Watched>,
    /// The runtime.
    pub runtime: Runtime,
    /// The clients' ends.
    pub clients: Vec<Peer>,
    channels: Vec<u8>,
    /// Inference's end, for the current run.
    pub inference: Peer,
    /// The region of adapters, which only audit writes.
    pub adapters: TestRegion,
    /// Whether inference is running.
    pub inference_runs: bool,
    /// Number of times that inference was started.
    pub life: u64,
    cursor: Cursor,
    journal: Journal,
    next_tick: u64,
}

impl<'m> World<'m> {
    /// A monitor that has not started, with clients on these channels.
    pub fn new(
        buffers: &'m mut Buffers,
        (policy, formats): (&'m [u8], &'m [u8]),
        store: &'m [u8],
        dice: Dice,
        (work_us, refuses): (u64, u64),
        channels: &[u8],
    ) -> Self {
        let journal = Journal::default();
        let (mut ends, mut clients) = (heapless::Vec::new(), Vec::new());
        for (place, channel) in channels.iter().enumerate() {
            let (ring, client) = pair(Ring::Client(place), &journal);
            let end = ClientEnd {
                channel: *channel,
                ring,
            };
            let fits = ends.push(end).is_ok();
            assert!(fits, "more channels than audit has places for clients");
            clients.push(client);
        }
        let (inference_end, inference) = pair(Ring::Inference, &journal);
        let words = protocol::adapters::REGION_BYTES / 8;
        let (adapters, audits) = memory(words, &journal);
        let memory = Memory {
            log: &mut buffers.log,
            kdf: &mut buffers.kdf,
            texts: &mut buffers.texts,
            policy,
            formats,
            store,
        };
        let audit = Audit::new(ends, inference_end, memory, audits, None);
        let cursor = audit.log().cursor();
        Self {
            audit,
            runtime: Runtime::new(dice, work_us, refuses, journal.clone()),
            clients,
            channels: channels.to_vec(),
            inference,
            adapters,
            inference_runs: true,
            life: 0,
            cursor,
            journal,
            next_tick: 1_000_000 + WATCHDOG_PERIOD_US / 3,
        }
    }

    /// Wakes audit.
    pub fn wake(&mut self, cause: Cause) -> Wake {
        let before = |peer: &Peer| Standing {
            free: peer.free_for_audit(),
            offered: peer.offers(),
            offers: false,
        };
        let mut clients: Vec<_> = self.clients.iter().map(before).collect();
        let mut inference = before(&self.inference);
        let silent = !self.inference.wrote;
        self.runtime.begin();
        let runtime = &mut self.runtime;
        match cause {
            Cause::Start => self.audit.start(runtime),
            Cause::Signal => self.audit.on_signal(runtime),
            Cause::Timer => self.audit.on_timer(runtime),
            Cause::Tick => self.audit.on_watchdog(runtime),
            Cause::Fault(fault) => self.audit.on_fault(fault, runtime),
        }
        let seen = self.journal.take();
        for seen in &seen {
            self.passes_on(seen);
        }
        let mut entries = Vec::new();
        while let Some(entry) = self.audit.log().read(&mut self.cursor) {
            entries.push((entry.record, entry.text.to_vec()));
        }
        for (standing, client) in clients.iter_mut().zip(&self.clients) {
            standing.offers = client.offers();
        }
        inference.offers = self.inference.offers();
        Wake {
            cause,
            seen,
            silent,
            entries,
            clients,
            inference,
            adapters: self.adapters.clone(),
            oldest: self.audit.log().extent().first,
        }
    }

    /// Passes on what audit did to the peers.
    fn passes_on(&mut self, seen: &Seen) {
        match seen {
            Seen::Restarted(Ok(())) => {
                // The region outlives the run.
                (self.inference.epoch, self.inference_runs) = (0, true);
                (self.inference.wrote, self.inference.owes_signal) = (false, false);
                self.life += 1;
            }
            Seen::Restarted(Err(ControlError::NotStarted)) | Seen::Stopped(Ok(())) => {
                self.inference_runs = false;
            }
            Seen::SignalledClient(channel) => {
                for (client, on) in self.clients.iter_mut().zip(&self.channels) {
                    client.is_signalled |= on == channel;
                }
            }
            Seen::SignalledInference => self.inference.is_signalled = true,
            _ => {}
        }
    }

    /// The next time at which the clock wakes audit, and the cause.
    #[must_use]
    pub fn next_alarm(&self) -> (u64, Cause) {
        match self.runtime.timer {
            Some(at) if at <= self.next_tick => (at, Cause::Timer),
            _ => (self.next_tick, Cause::Tick),
        }
    }

    /// Advances the clock to the alarm, which is then over.
    pub fn pass_alarm(&mut self, (at, cause): (u64, Cause)) {
        self.runtime.now = self.runtime.now.max(at);
        match cause {
            Cause::Timer => self.runtime.timer = None,
            // After a jump of the clock there is one tick.
            _ => {
                let late = self.runtime.now.saturating_sub(self.next_tick) / WATCHDOG_PERIOD_US;
                self.next_tick += (late + 1) * WATCHDOG_PERIOD_US;
            }
        }
    }
}
