//! The world around the monitor: a clock, its peers with their regions, a runtime, and a journal of all that passes.
//!
//! The rule that keeps it honest: the journal is written where audit touches the world (its own regions and its port),
//! not by what audit says of itself. So the claims see each message in the order in which audit took or sent it.

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
    /// It has taken so many messages that it must say so.
    MadeRoom(Ring),
    /// It sent a message.
    Sent(Ring, Message),
    /// It began an epoch.
    Led(Ring, u32),
    /// It restarted inference, unless the runtime refused.
    Restarted(Result<(), ControlError>),
    /// It stopped inference, unless the runtime refused.
    Stopped(Result<(), ControlError>),
    /// It signalled whoever is on this channel.
    SignalledClient(u8),
    /// It signalled inference.
    SignalledInference,
    /// It signalled files.
    SignalledFiles,
    /// It armed the timer, at this time by the clock.
    Armed {
        /// For when.
        at: Option<u64>,
        /// When it did.
        now: u64,
    },
}

/// What audit did, in order, since it was taken last.
pub(crate) type Journal = Rc<RefCell<Vec<Seen>>>;

/// Why audit was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It starts.
    Start,
    /// A peer's signal.
    Signal,
    /// The timer, or what looks like it.
    Timer,
    /// The watchdog.
    Tick,
    /// A fault message.
    Fault(Fault),
}

/// How a ring of a peer with audit stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// Slots of audit's ring to the peer that were free before.
    pub free: usize,
    /// Whether the peer had something for audit before.
    pub offered: bool,
    /// Whether it has something that audit has not taken, afterwards.
    pub offers: bool,
}

/// A wake-up: what was before it, and what audit did.
#[derive(Debug)]
pub struct Wake {
    /// Why.
    pub cause: Cause,
    /// In order.
    pub seen: Vec<Seen>,
    /// Inference's life has written nothing yet, so that nothing can be of it.
    pub silent: bool,
    /// What was appended to the log.
    pub entries: Vec<(Record, Vec<u8>)>,
    /// Of the clients' rings.
    pub clients: Vec<Standing>,
    /// Of inference's.
    pub inference: Standing,
    /// The region of adapters.
    pub adapters: TestRegion,
    /// Sequence number of the oldest entry afterwards.
    pub oldest: u64,
}

/// Memory that a monitor has.
#[derive(Debug)]
pub struct Buffers {
    log: Vec<u8>,
    kdf: Vec<KdfBlock>,
    texts: Box<Texts>,
}

impl Buffers {
    /// For a log of so many bytes.
    #[must_use]
    pub fn new(log: usize) -> Self {
        Self {
            log: vec![0; log],
            kdf: vec![KdfBlock::new(); 8],
            texts: Box::default(),
        }
    }
}

/// The monitor and what is around it.
pub struct World<'m> {
    audit: Audit<'m, TestRegion, Watched>,
    /// The runtime.
    pub runtime: Runtime,
    /// The clients' ends.
    pub clients: Vec<Peer>,
    channels: Vec<u8>,
    /// Inference's end, of the life that runs.
    pub inference: Peer,
    /// The region of adapters, which audit alone writes.
    pub adapters: TestRegion,
    /// Whether a life of inference runs.
    pub inference_runs: bool,
    /// Counted at each start of a life.
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

    /// What audit did to others.
    fn passes_on(&mut self, seen: &Seen) {
        match seen {
            Seen::Restarted(Ok(())) => {
                // The region outlives the life.
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

    /// The next time at which the clock itself wakes audit, and why.
    #[must_use]
    pub fn next_alarm(&self) -> (u64, Cause) {
        match self.runtime.timer {
            Some(at) if at <= self.next_tick => (at, Cause::Timer),
            _ => (self.next_tick, Cause::Tick),
        }
    }

    /// The clock stands at the alarm, and its tick or timer is over.
    pub fn pass_alarm(&mut self, (at, cause): (u64, Cause)) {
        self.runtime.now = self.runtime.now.max(at);
        match cause {
            Cause::Timer => self.runtime.timer = None,
            // A clock that jumped ticks once.
            _ => {
                let late = self.runtime.now.saturating_sub(self.next_tick) / WATCHDOG_PERIOD_US;
                self.next_tick += (late + 1) * WATCHDOG_PERIOD_US;
            }
        }
    }
}
