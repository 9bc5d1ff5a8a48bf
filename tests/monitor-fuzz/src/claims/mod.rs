//! The claims: compares each wake-up of the monitor with the reference.
//!
//! The judge follows the order of a wake-up: reports, requests, long work, deadlines, events to clients, credit. What
//! audit took determines what must follow; what audit sent, recorded and armed must be exactly that. Audit may choose
//! the order in which it tells clients, within the bounds of [`Claim::Fair`]; anything left untold must have a reason.
//! Claims that need no reference (the chain, one end for each number, each token once) are kept apart from it.

macro_rules! claim {
    ($self:ident, $claim:ident, $condition:expr, $($detail:tt)+) => {
        $self.figures.comparisons += 1;
        if !$condition {
            return Err(Broken { claim: Claim::$claim, detail: format!($($detail)+) });
        }
    };
}

mod adapters;
mod counters;
mod decide;
mod delivery;
mod figures;
mod lists;
mod loads;
mod records;
mod recovery;
mod reports;
mod requests;
mod text;
mod timer;
mod tuning;
mod users;
mod wake;

pub use figures::Figures;

pub use crate::claim::{Broken, Claim};
use crate::ends::Ends;
use crate::model::Model;
use crate::world::{Cause, Message, Ring, Seen, Standing};
use protocol::error::Failure;
use protocol::hash::Hash;
use protocol::name::{ModelName, Name, UserName};
use protocol::record::{Kind, Record};
use protocol::testing::TestRegion;
use protocol::wire::client::Event;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;

type Held<T = ()> = Result<T, Broken>;

/// Slots of a client's ring that lists leave free for other events.
const LISTS_LEAVE: usize = 4;

/// Limit of lists at once for a client.
const LISTS: usize = 4;

/// Pause between two hashes of passphrases, in microseconds.
const HASH_PAUSE_US: u64 = 200_000;

/// How long audit may wait before the next slice of work that does not fit in a wake-up, in microseconds.
const SLICE_WITHIN_US: u64 = 10_000;

/// Limit of the work in a wake-up: bytes hashed, with each message counting as [`MESSAGE_BYTES`], and each entry as its
/// size.
const WORK_BYTES: usize = 32 << 10;
const MESSAGE_BYTES: usize = 1 << 10;

/// Number of verdicts on files that audit remembers.
const VERDICTS: usize = 32;

/// The most by which a deadline may be delayed because audit lets others run between wake-ups, in microseconds.
const GAP_US: u64 = 200;

/// Entries of the log that a request for text, a question and a load can cause.
const ENTRIES: [u64; 3] = [4, 2, 3];

/// Repeated events recorded in a wake-up because they are due.
const REPEATS: usize = 8;

fn model_name<const N: usize>(name: &Name<N>) -> ModelName {
    ModelName::new(name.as_str()).unwrap_or_default()
}

fn hash(record: &Record, text: &[u8]) -> Hash {
    let entry = Sha256::new_with_prefix(record.to_bytes()).chain_update(text);
    entry.finalize().into()
}

/// What readers of the log are compared with.
#[derive(Clone, Copy, Debug)]
struct Written {
    hash: Hash,
    user: UserName,
}

/// Compares wake-ups with the reference.
#[derive(Debug)]
pub struct Judge<'m> {
    /// The reference.
    pub model: Model<'m>,
    /// Counts of what was done.
    pub figures: Figures,
    /// Whether each request has its text and its end.
    pub ends: Ends,
    /// Inference's region has never contained anything that an honest inference server would not write.
    pub is_ring_sound: bool,
    /// The log from its first entry.
    history: Vec<Written>,
    /// Number of its entries that precede this wake-up or have been explained since.
    explained: usize,
    last_time_us: u64,
    // The fields from here on are about the current wake-up.
    cause: Cause,
    seen: VecDeque<Seen>,
    records: VecDeque<(Record, Vec<u8>)>,
    refusals: VecDeque<Record>,
    violations: VecDeque<Record>,
    now: u64,
    last_clock: u64,
    clients: Vec<Standing>,
    inference: Standing,
    /// The region of adapters, as audit has left it.
    adapters: Option<TestRegion>,
    /// Number of messages taken from each client, and from inference.
    took: Vec<usize>,
    took_of_inference: usize,
    /// The work left in the wake-up.
    work: usize,
    oldest: u64,
    /// The current run of inference has written nothing.
    silent: bool,
    restarted: bool,
}

fn broken<T>(claim: Claim, detail: String) -> Held<T> {
    Err(Broken { claim, detail })
}

impl<'m> Judge<'m> {
    /// A judge before the start.
    #[must_use]
    pub fn new(model: Model<'m>) -> Self {
        let clients = model.clients.len();
        Self {
            model,
            figures: Figures::default(),
            ends: Ends::default(),
            is_ring_sound: true,
            history: Vec::new(),
            explained: 0,
            last_time_us: 0,
            cause: Cause::Start,
            seen: VecDeque::new(),
            records: VecDeque::new(),
            refusals: VecDeque::new(),
            violations: VecDeque::new(),
            now: 0,
            last_clock: 0,
            clients: vec![Standing::default(); clients],
            inference: Standing::default(),
            adapters: None,
            took: vec![0; clients],
            took_of_inference: 0,
            work: WORK_BYTES,
            oldest: 1,
            silent: true,
            restarted: false,
        }
    }

    // ---- What audit did -------------------------------------------------------------------------

    /// The next thing that audit did.
    fn next(&mut self) -> Option<Seen> {
        let seen = self.seen.pop_front()?;
        if let Seen::Sent(ring, _) = &seen {
            let standing = match ring {
                Ring::Client(client) => &mut self.clients[*client],
                Ring::Inference => &mut self.inference,
                Ring::Files | Ring::Memory => return Some(seen),
            };
            standing.free = standing.free.saturating_sub(1);
        }
        Some(seen)
    }

    /// Room in a client's ring.
    fn room(&self, client: usize) -> usize {
        self.clients[client].free
    }

    /// The next event, which must answer this request. Audit has checked that there is room.
    fn answer(&mut self, client: usize, id: u32) -> Held<Message> {
        self.figures.comparisons += 1;
        match self.next() {
            Some(Seen::Sent(Ring::Client(of), message))
                if of == client && message.request == id =>
            {
                Ok(message)
            }
            other => broken(
                Claim::Answers,
                format!(
                    "{id} of client {client} must be answered, but audit continues with {other:?}"
                ),
            ),
        }
    }

    /// Like [`Self::answer`], and it must be this event.
    fn answered(&mut self, client: usize, id: u32, event: &Event<'_>, claim: Claim) -> Held {
        let message = self.answer(client, id)?;
        let frame = message.frame();
        let told = Event::parse(&frame);
        if told.as_ref() != Ok(event) {
            return broken(
                claim,
                format!("{id} of client {client} is told {told:?}, not {event:?}"),
            );
        }
        Ok(())
    }

    fn failed(&mut self, client: usize, id: u32, failure: Failure, about: &str) -> Held {
        let detail = about.as_bytes();
        let event = Event::Failed { failure, detail };
        self.answered(client, id, &event, Claim::Refusals)
    }

    // ---- Records --------------------------------------------------------------------------------

    fn at(&mut self, record: &Record, text: usize) -> Held {
        let now = self.model.booted_us + record.time_us;
        claim!(
            self,
            Log,
            now == self.now,
            "an entry at {now}, in a wake-up at {}: {record:?}",
            self.now
        );
        self.explained += 1;
        self.works(crate::model::ENTRY as usize + text);
        Ok(())
    }

    /// The next entry that is neither a refusal nor a violation.
    fn record(&mut self, kind: Kind) -> Held<(Record, Vec<u8>)> {
        self.figures.comparisons += 1;
        match self.records.pop_front() {
            Some((record, text)) if record.kind() == Some(kind) => {
                self.at(&record, text.len())?;
                Ok((record, text))
            }
            other => broken(
                Claim::Log,
                format!("{kind:?} must be recorded, not {:?}", other.map(|r| r.0)),
            ),
        }
    }

    /// Counts some of the wake-up's work.
    const fn works(&mut self, bytes: usize) {
        self.work = self.work.saturating_sub(bytes);
    }
}
