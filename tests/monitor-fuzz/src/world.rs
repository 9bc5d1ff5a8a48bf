//! The world around the monitor: a clock, two peers with their regions, a runtime, and a journal of all that passes.
//!
//! The rule that keeps it honest: the journal is written where audit touches the world (its own regions and its port),
//! not by what audit says of itself. So the claims see each message in the order in which audit took or sent it.

use crate::dice::Dice;
use audit::log::Cursor;
use audit::{Audit, ControlError, KdfBlock, Memory, Port};
use protocol::VERSION;
use protocol::limits::WATCHDOG_PERIOD_US;
use protocol::record::Record;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, PAYLOAD_WORDS, SLOTS};
use protocol::testing::TestRegion;
use protocol::wire::Fault;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

// The layout of a region, as `protocol::ring` draws it.
const VERSION_WORD: usize = 0;
const EPOCH_WORD: usize = 1;
/// Word that says how much its owner has sent.
pub const HEAD_WORD: usize = 2;
/// Word that says how much its owner has read.
pub const TAIL_WORD: usize = 3;
const FIRST_SLOT_WORD: usize = 8;
const SLOT_WORDS: usize = 2 + PAYLOAD_WORDS;
/// Words that mean something.
pub const REGION_WORDS: usize = FIRST_SLOT_WORD + SLOTS * SLOT_WORDS;

/// A message, whoever wrote it.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Which message of its direction.
    pub kind: u16,
    /// The request that it is about.
    pub request: u32,
    /// The rest.
    pub payload: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, request, bytes) = (self.kind, self.request, self.payload.len());
        write!(f, "{kind:#x} {request} ({bytes})")
    }
}

impl Message {
    /// As the protocol's parsers take it.
    #[must_use]
    pub fn frame(&self) -> Frame {
        let mut frame = Frame::new();
        frame.begin(self.kind, self.request)[..self.payload.len()].copy_from_slice(&self.payload);
        frame.finish(self.payload.len());
        frame
    }
}

/// What a slot or an index held that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbage;

/// Which pair of rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// Between client and audit.
    Client,
    /// Between audit and inference.
    Inference,
}

/// Something that audit did.
#[derive(Clone, Debug)]
pub enum Seen {
    /// It read the clock.
    Clock(u64),
    /// It took a message, or garbage.
    Took(Ring, Result<Message, Garbage>),
    /// It sent a message.
    Sent(Ring, Message),
    /// It began an epoch.
    Led(Ring, u32),
    /// It restarted inference, unless the runtime refused.
    Restarted(Result<(), ControlError>),
    /// It stopped inference, unless the runtime refused.
    Stopped(Result<(), ControlError>),
    /// It signalled a peer.
    Signalled(Ring),
    /// It armed the timer, at this time by the clock.
    Armed {
        /// For when.
        at: Option<u64>,
        /// When it did.
        now: u64,
    },
}

type Journal = Rc<RefCell<Vec<Seen>>>;

const fn tagged(epoch: u32, index: u32) -> u64 {
    (epoch as u64) << 32 | index as u64
}

const fn untagged(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

/// The message in the slot of `index`, if it is one of `epoch`.
fn message_at(region: &TestRegion, index: u32, epoch: u32) -> Result<Message, Garbage> {
    let slot = FIRST_SLOT_WORD + (index as usize % SLOTS) * SLOT_WORDS;
    let (first, second) = (region.load(slot), region.load(slot + 1));
    let (of_epoch, request) = untagged(second);
    let len = first as u32 as usize;
    if (first >> 48) as u16 != VERSION || of_epoch != epoch || len > PAYLOAD_WORDS * 8 {
        return Err(Garbage);
    }
    let words = (0..len.div_ceil(8)).flat_map(|i| region.load(slot + 2 + i).to_le_bytes());
    let mut payload: Vec<u8> = words.collect();
    payload.truncate(len);
    Ok(Message {
        kind: (first >> 32) as u16,
        request,
        payload,
    })
}

/// Audit's own region of a pair: what it publishes is written into the journal.
#[derive(Clone, Debug)]
pub struct Watched {
    ring: Ring,
    ours: TestRegion,
    theirs: TestRegion,
    journal: Journal,
}

impl ReadWords for Watched {
    fn words(&self) -> usize {
        self.ours.words()
    }
    fn load(&self, index: usize) -> u64 {
        self.ours.load(index)
    }
    fn acquire_fence(&self) {}
}

impl WriteWords for Watched {
    fn store(&self, index: usize, value: u64) {
        self.ours.store(index, value);
    }

    fn publish(&self, index: usize, value: u64) {
        let (epoch, count) = untagged(value);
        let seen = match index {
            HEAD_WORD => {
                let sent = message_at(&self.ours, count.wrapping_sub(1), epoch);
                Seen::Sent(
                    self.ring,
                    sent.expect("audit writes its slot before its head"),
                )
            }
            TAIL_WORD => {
                let (_, last) = untagged(self.ours.load(TAIL_WORD));
                let taken = match count.wrapping_sub(last) {
                    1 => message_at(&self.theirs, last, epoch),
                    _ => Err(Garbage),
                };
                Seen::Took(self.ring, taken)
            }
            _ => Seen::Led(self.ring, value as u32),
        };
        self.ours.publish(index, value);
        self.journal.borrow_mut().push(seen);
    }

    fn release_fence(&self) {}
}

/// A peer's end of a pair. Unlike `protocol`'s it can be set right after its owner has written garbage.
#[derive(Debug)]
pub struct Peer {
    /// What the peer writes.
    pub ours: TestRegion,
    theirs: TestRegion,
    /// The epoch that it has joined.
    pub epoch: u32,
    /// It has written into its region since it began to live.
    pub wrote: bool,
    head: u32,
    tail: u32,
}

impl Peer {
    /// Joins the epoch that audit has begun, if it is a new one.
    pub fn follow(&mut self) -> bool {
        let epoch = self.theirs.load(EPOCH_WORD) as u32;
        if epoch == 0 || epoch == self.epoch {
            return false;
        }
        (self.epoch, self.head, self.tail) = (epoch, 0, 0);
        self.wrote = true;
        self.publish();
        true
    }

    fn publish(&self) {
        self.ours.store(VERSION_WORD, u64::from(VERSION));
        self.ours.store(EPOCH_WORD, u64::from(self.epoch));
        self.ours.store(HEAD_WORD, tagged(self.epoch, self.head));
        self.ours.store(TAIL_WORD, tagged(self.epoch, self.tail));
    }

    /// Messages that audit has sent and the peer has not read.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let (epoch, head) = untagged(self.theirs.load(HEAD_WORD));
        match epoch == self.epoch && epoch != 0 {
            true => head.wrapping_sub(self.tail) as usize,
            false => 0,
        }
    }

    /// Messages that the peer has sent and audit has not read.
    #[must_use]
    pub fn unread(&self) -> usize {
        let (epoch, tail) = untagged(self.theirs.load(TAIL_WORD));
        let read = if epoch == self.epoch { tail } else { 0 };
        self.head.wrapping_sub(read) as usize
    }

    /// Sends; false if there is no room.
    pub fn send(&mut self, frame: &Frame) -> bool {
        if self.epoch == 0 || self.unread() >= SLOTS {
            return false;
        }
        let header = frame.header();
        let slot = FIRST_SLOT_WORD + (self.head as usize % SLOTS) * SLOT_WORDS;
        let first = u64::from(VERSION) << 48 | u64::from(header.kind) << 32 | header.len as u64;
        self.ours.store(slot, first);
        self.ours
            .store(slot + 1, tagged(self.epoch, header.request));
        for (i, bytes) in frame.payload().chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            self.ours.store(slot + 2 + i, u64::from_le_bytes(word));
        }
        self.head = self.head.wrapping_add(1);
        self.ours.publish(HEAD_WORD, tagged(self.epoch, self.head));
        true
    }

    /// The next message of audit.
    pub fn receive(&mut self) -> Option<Message> {
        if self.waiting() == 0 {
            return None;
        }
        let message = message_at(&self.theirs, self.tail, self.epoch).ok();
        self.tail = self.tail.wrapping_add(1);
        self.ours.publish(TAIL_WORD, tagged(self.epoch, self.tail));
        message
    }

    /// After garbage: as if all that was ever sent had been read, on both sides.
    pub fn set_right(&mut self) {
        let (epoch, tail) = untagged(self.theirs.load(TAIL_WORD));
        let (_, head) = untagged(self.theirs.load(HEAD_WORD));
        if epoch == self.epoch {
            (self.head, self.tail) = (tail, head);
        }
        self.publish();
    }

    /// Room for audit, as audit sees it.
    #[must_use]
    pub fn free_for_audit(&self) -> usize {
        let (of_audit, head) = untagged(self.theirs.load(HEAD_WORD));
        let (epoch, tail) = untagged(self.ours.load(TAIL_WORD));
        let read = if epoch == of_audit { tail } else { 0 };
        SLOTS.saturating_sub(head.wrapping_sub(read) as usize)
    }

    /// Messages, or garbage, that audit finds when it looks.
    #[must_use]
    pub fn offers(&self) -> bool {
        let (of_audit, tail) = untagged(self.theirs.load(TAIL_WORD));
        let (epoch, head) = untagged(self.ours.load(HEAD_WORD));
        epoch == of_audit && epoch != 0 && head != tail
    }

    /// The tag that a message of a later epoch would have.
    #[must_use]
    pub const fn tag(&self, later: u32, index: u32) -> u64 {
        tagged(self.epoch.wrapping_add(later), index)
    }

    /// Word of the second header word of a slot.
    #[must_use]
    pub const fn slot_tag_word(slot: usize) -> usize {
        FIRST_SLOT_WORD + (slot % SLOTS) * SLOT_WORDS + 1
    }
}

/// Audit's runtime: a clock that goes on while audit works.
#[derive(Debug)]
pub struct Runtime {
    /// Microseconds.
    pub now: u64,
    /// When the timer fires.
    pub timer: Option<u64>,
    /// How long the parts of a wake-up take at most.
    pub work_us: u64,
    /// Times of a hundred that inference can be neither stopped nor started.
    pub refuses: u64,
    dice: Dice,
    /// Entries of the journal when the clock was last read.
    read_at: Option<usize>,
    reads: usize,
    /// A signal for the client, for inference.
    pub signals: [bool; 2],
    journal: Journal,
}

impl Runtime {
    fn note(&self, seen: Seen) {
        self.journal.borrow_mut().push(seen);
    }

    /// Time that has passed since the clock was read: next to none if nothing was done since.
    fn work(&mut self) {
        let idle = self.reads > 1 && self.read_at == Some(self.journal.borrow().len());
        let most = if idle { 1 } else { self.work_us };
        self.now += self.dice.below(most + 1);
    }
}

impl Port for Runtime {
    fn now_us(&mut self) -> u64 {
        if self.reads > 0 {
            self.work();
        }
        self.reads += 1;
        self.note(Seen::Clock(self.now));
        self.read_at = Some(self.journal.borrow().len());
        self.now
    }

    fn notify_shell(&mut self) {
        self.signals[0] = true;
        let fresh = self.read_at == Some(self.journal.borrow().len());
        self.note(Seen::Signalled(Ring::Client));
        if fresh {
            self.read_at = self.read_at.map(|at| at + 1);
        }
    }

    fn notify_inference(&mut self) {
        self.signals[1] = true;
        let fresh = self.read_at == Some(self.journal.borrow().len());
        self.note(Seen::Signalled(Ring::Inference));
        if fresh {
            self.read_at = self.read_at.map(|at| at + 1);
        }
    }

    fn arm_timer(&mut self, at_us: Option<u64>) {
        self.work();
        self.timer = at_us;
        self.note(Seen::Armed {
            at: at_us,
            now: self.now,
        });
    }

    fn restart_inference(&mut self) -> Result<(), ControlError> {
        let refused = [ControlError::NotStopped, ControlError::NotStarted];
        let result = match self.dice.percent(self.refuses) {
            true => Err(*self.dice.pick(&refused)),
            false => Ok(()),
        };
        self.note(Seen::Restarted(result));
        result
    }

    fn stop_inference(&mut self) -> Result<(), ControlError> {
        let result = match self.dice.percent(self.refuses) {
            true => Err(ControlError::NotStopped),
            false => Ok(()),
        };
        self.note(Seen::Stopped(result));
        result
    }
}

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
    /// Slots of audit's rings to the client and to inference that were free before.
    pub free: [usize; 2],
    /// Whether client and inference have something for audit that it has not taken, afterwards.
    pub offers: [bool; 2],
    /// Sequence number of the oldest entry afterwards.
    pub oldest: u64,
}

/// Memory that a monitor has.
#[derive(Debug)]
pub struct Buffers {
    log: Vec<u8>,
    kdf: Vec<KdfBlock>,
}

impl Buffers {
    /// For a log of so many bytes.
    #[must_use]
    pub fn new(log: usize) -> Self {
        Self {
            log: vec![0; log],
            kdf: vec![KdfBlock::new(); 8],
        }
    }
}

/// The monitor and what is around it.
pub struct World<'m> {
    audit: Audit<'m, TestRegion, Watched>,
    /// The runtime.
    pub runtime: Runtime,
    /// The client's end.
    pub client: Peer,
    /// Inference's end, of the life that runs.
    pub inference: Peer,
    /// Whether a life of inference runs.
    pub inference_runs: bool,
    /// Counted at each start of a life.
    pub life: u64,
    cursor: Cursor,
    journal: Journal,
    next_tick: u64,
}

impl<'m> World<'m> {
    /// A monitor that has not started.
    pub fn new(
        buffers: &'m mut Buffers,
        policy: &'m [u8],
        store: &'m [u8],
        dice: Dice,
        work_us: u64,
        refuses: u64,
    ) -> Self {
        let journal = Journal::default();
        let pair = |ring| {
            let (audits, peers) = (TestRegion::new(), TestRegion::new());
            let watched = Watched {
                ring,
                ours: audits.clone(),
                theirs: peers.clone(),
                journal: journal.clone(),
            };
            let end = Endpoint::new(peers.clone(), watched).expect("regions of the right size");
            let peer = Peer {
                ours: peers,
                theirs: audits,
                epoch: 0,
                wrote: false,
                head: 0,
                tail: 0,
            };
            (end, peer)
        };
        let (client_end, client) = pair(Ring::Client);
        let (inference_end, inference) = pair(Ring::Inference);
        let memory = Memory {
            log: &mut buffers.log,
            kdf: &mut buffers.kdf,
            policy,
            store,
        };
        let audit = Audit::new(client_end, inference_end, memory);
        let cursor = audit.log().cursor();
        let runtime = Runtime {
            now: 1_000_000,
            timer: None,
            work_us,
            refuses,
            dice,
            read_at: None,
            reads: 0,
            signals: [false; 2],
            journal: journal.clone(),
        };
        Self {
            audit,
            runtime,
            client,
            inference,
            inference_runs: true,
            life: 0,
            cursor,
            journal,
            next_tick: 1_000_000 + WATCHDOG_PERIOD_US / 3,
        }
    }

    /// Wakes audit.
    pub fn wake(&mut self, cause: Cause) -> Wake {
        let free = [
            self.client.free_for_audit(),
            self.inference.free_for_audit(),
        ];
        let silent = !self.inference.wrote;
        (self.runtime.reads, self.runtime.read_at) = (0, None);
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
            match seen {
                Seen::Restarted(Ok(())) => {
                    // The region outlives the life.
                    (self.inference.epoch, self.inference_runs) = (0, true);
                    self.inference.wrote = false;
                    self.life += 1;
                }
                Seen::Restarted(Err(ControlError::NotStarted)) | Seen::Stopped(Ok(())) => {
                    self.inference_runs = false;
                }
                _ => {}
            }
        }
        let mut entries = Vec::new();
        while let Some(entry) = self.audit.log().read(&mut self.cursor) {
            entries.push((entry.record, entry.text.to_vec()));
        }
        Wake {
            cause,
            seen,
            silent,
            entries,
            free,
            offers: [self.client.offers(), self.inference.offers()],
            oldest: self.audit.log().extent().first,
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
