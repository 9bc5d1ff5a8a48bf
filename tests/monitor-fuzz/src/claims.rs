//! The claims: a wake-up of the monitor beside what the reference says of it.
//!
//! The judge walks the journal of a wake-up in order. What audit took tells it what must follow; what audit sent, wrote
//! down and armed must be that and no more. What audit sends on its own (lists, notices, ends that waited) must be owed.
//! Claims that need no reference (the chain, the bucket, one end for each number) are kept apart from it.

use crate::ends::Ends;
use crate::model::{
    ENTRY, List, ListKind, Live, Model, Notices, Owed, Phase, Place, Reason, State, Text, Work,
};
use crate::store::{PASSPHRASES, Signed};
use crate::world::{Cause, Garbage, Message, Ring, Seen, Wake};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{
    BUDGET_PERIOD_US, CONTROL_DEADLINE_US, EXTRA_PROMPT_TOKENS, LOAD_DEADLINE_US,
    MAX_BUDGET_TOKENS, MAX_SESSIONS, WATCHDOG_PERIOD_US,
};
use protocol::name::{ModelName, Name, SessionName, UserName};
use protocol::policy::{Permission, Role};
use protocol::record::{Hash, Kind, Record};
use protocol::ring::SLOTS;
use protocol::wire::console::{
    Event, LogExtent, LogQuery, Request, Session, SessionState, Stats, User,
};
use protocol::wire::engine::{Command, Report};
use protocol::wire::{self, Fault, FaultKind, FinishReason, InferParams};
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use zerocopy::IntoBytes as _;

/// What is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// Budgets are right to the token.
    Budgets,
    /// Each request has one end, and no other answer than its own.
    Answers,
    /// What a client hears is what inference said, in order, and no more than was asked for.
    Tokens,
    /// The log is chained and its times do not fall.
    Chain,
    /// What happens is written down, once, in order, with the right fields.
    Log,
    /// Refusals are those that the policy and the state give, and are written down.
    Refusals,
    /// No more leaves inference than burst and rate allow.
    Egress,
    /// Lists have what there is, and an end.
    Lists,
    /// The timer is armed for what waits.
    TimerArmed,
    /// The timer is armed for a time that is yet to come.
    TimerAhead,
    /// What takes too long is stopped in time, and nothing else is.
    Deadlines,
    /// Inference is restarted when it must be, no more often than the policy allows.
    Restarts,
    /// Nothing of an earlier life is taken.
    Epochs,
    /// Sessions go on, make room and are lost as they should.
    Sessions,
    /// Only signed models are loaded.
    Models,
    /// Audit reads what it can answer, all of it, and signals.
    Flow,
    /// Counters are right.
    Counters,
    /// Violations are counted, and recorded ever more rarely.
    Violations,
    /// No user's entries take more of the log than the policy gives.
    Shares,
    /// A load comes to its end.
    Loads,
    /// Audit lets others run.
    Spins,
    /// All is over in the end.
    Settles,
    /// None: what audit did in secret (see [`Judge`]) cannot be told from here, and the run ends.
    Unclear,
}

/// A claim that does not hold.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{claim:?}: {detail}")]
pub struct Broken {
    /// Which.
    pub claim: Claim,
    /// What was seen instead.
    pub detail: String,
}

type Held<T = ()> = Result<T, Broken>;

/// What was done and compared.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Figures {
    pub runs: u64,
    pub unclear: u64,
    pub steps: u64,
    pub wakes: u64,
    pub requests: u64,
    pub garbage: u64,
    pub admitted: u64,
    pub refused: u64,
    pub tokens: u64,
    pub loads: u64,
    pub faults: u64,
    pub restarts: u64,
    pub stops: u64,
    pub timeouts: u64,
    pub records: u64,
    pub comparisons: u64,
}

impl Figures {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        let Self {
            runs,
            unclear,
            steps,
            wakes,
            requests,
            garbage,
            admitted,
            refused,
            tokens,
            loads,
            faults,
            restarts,
            stops,
            timeouts,
            records,
            comparisons,
        } = other;
        self.runs += runs;
        self.unclear += unclear;
        self.steps += steps;
        self.wakes += wakes;
        self.requests += requests;
        self.garbage += garbage;
        self.admitted += admitted;
        self.refused += refused;
        self.tokens += tokens;
        self.loads += loads;
        self.faults += faults;
        self.restarts += restarts;
        self.stops += stops;
        self.timeouts += timeouts;
        self.records += records;
        self.comparisons += comparisons;
    }
}

/// Slots of the client's ring that are kept for notices.
const RESERVE: usize = 4;

/// Places in audit's table that a client can have.
const PLACES: usize = MAX_SESSIONS + 7;

/// Lists at once.
const LISTS: usize = 4;

/// Between two hashes of passphrases.
const HASH_PAUSE_US: u64 = 200_000;

/// How long audit may wait with the next slice of what takes longer than a wake-up.
const SLICE_WITHIN_US: u64 = 10_000;

/// Wake-ups that the verification of a model takes at most: the largest one of the stores in slices of 4 KiB, and some.
const VERIFIED_WITHIN: u64 = 500_000 / (4 << 10) + 16;

/// A time between the end of a wake-up and the next that audit asks for at most puts a deadline off.
const GAP_US: u64 = 200;

/// Entries of the log that a request for text, a question and a load can cause.
const ENTRIES: [u64; 3] = [4, 2, 3];

/// Repeated events that are written down on their own in a wake-up.
const REPEATS: usize = 8;

fn model_name<const N: usize>(name: &Name<N>) -> ModelName {
    ModelName::new(name.as_str()).unwrap_or_default()
}

fn hash(record: &Record, text: &[u8]) -> Hash {
    let entry = Sha256::new_with_prefix(record.as_bytes()).chain_update(text);
    entry.finalize().into()
}

/// An entry of the log, as far as readers are compared with it.
#[derive(Clone, Copy, Debug)]
struct Written {
    hash: Hash,
    user: UserName,
}

/// Compares.
///
/// One thing that audit does cannot be seen at once: it refuses a user's load at the end of its verification, the
/// client's ring has no room for that, and its record is one of those that are counted and written later. The judge
/// takes it in when it shows. Where a restart would make it matter before, it ends the run ([`Claim::Unclear`]).
#[derive(Debug)]
pub struct Judge<'m> {
    /// The reference.
    pub model: Model<'m>,
    /// What was done.
    pub figures: Figures,
    /// Whether each has its end.
    pub ends: Ends,
    /// The log from its first entry.
    history: Vec<Written>,
    /// Of them, those that were there before this wake-up or have been explained since.
    explained: usize,
    last_time_us: u64,
    // Of the wake-up at hand.
    seen: VecDeque<Seen>,
    records: VecDeque<(Record, Vec<u8>)>,
    refusals: VecDeque<Record>,
    violations: VecDeque<Record>,
    now: u64,
    last_clock: u64,
    free: [usize; 2],
    oldest: u64,
    heard: bool,
    took: [usize; 2],
    deadlines_done: bool,
    /// The client's ring had no room beside the reserve when the last wake-up ended.
    was_full: bool,
}

macro_rules! claim {
    ($self:ident, $claim:ident, $condition:expr, $($detail:tt)+) => {
        $self.figures.comparisons += 1;
        if !$condition {
            return Err(Broken { claim: Claim::$claim, detail: format!($($detail)+) });
        }
    };
}

fn broken<T>(claim: Claim, detail: String) -> Held<T> {
    Err(Broken { claim, detail })
}

impl<'m> Judge<'m> {
    /// Before the start.
    #[must_use]
    pub fn new(model: Model<'m>) -> Self {
        Self {
            model,
            figures: Figures::default(),
            ends: Ends::default(),
            history: Vec::new(),
            explained: 0,
            last_time_us: 0,
            seen: VecDeque::new(),
            records: VecDeque::new(),
            refusals: VecDeque::new(),
            violations: VecDeque::new(),
            now: 0,
            last_clock: 0,
            free: [0; 2],
            oldest: 1,
            heard: true,
            took: [0; 2],
            deadlines_done: false,
            was_full: false,
        }
    }

    /// A wake-up.
    ///
    /// # Errors
    /// What does not hold.
    pub fn wake(&mut self, wake: Wake) -> Held {
        self.figures.wakes += 1;
        let offers = wake.offers;
        let cause = wake.cause;
        let (restarted, armed) = self.begin(wake)?;
        let phase_before = self.model.phase;
        match cause {
            Cause::Start => self.start()?,
            Cause::Fault(fault) => {
                self.look();
                self.model.counts.faults += 1;
                self.figures.faults += 1;
                self.restart(fault, ErrorCode::InferenceFault)?;
            }
            Cause::Tick => {
                for list in &mut self.model.lists {
                    if let ListKind::Watch(due) = &mut list.kind {
                        *due = true;
                    }
                }
                self.look();
            }
            Cause::Signal | Cause::Timer => self.look(),
        }
        while let Some(seen) = self.next() {
            match seen {
                Seen::Took(Ring::Inference, taken) => self.report(taken)?,
                Seen::Took(Ring::Client, taken) => self.request(taken)?,
                Seen::Sent(Ring::Client, message) => self.told(&message)?,
                Seen::Sent(Ring::Inference, message) => self.commanded(message)?,
                Seen::Restarted | Seen::Stopped => {
                    claim!(
                        self,
                        Restarts,
                        !self.deadlines_done,
                        "inference is restarted or stopped, and nothing asks for it"
                    );
                    self.seen.push_front(seen);
                    self.deadlines()?;
                }
                Seen::Led(ring, epoch) => {
                    return broken(Claim::Epochs, format!("epoch {epoch} of {ring:?}"));
                }
                Seen::Clock(_) | Seen::Signalled(_) | Seen::Armed { .. } => {}
            }
        }
        self.finish()?;
        if let Cause::Signal | Cause::Timer | Cause::Tick = cause {
            self.has_read(offers, restarted || phase_before == Phase::Stopped)?;
        }
        self.timer(armed, offers, cause)
    }

    /// Takes the wake-up in; whether inference was restarted or stopped, and how the timer was armed.
    fn begin(&mut self, wake: Wake) -> Held<(bool, Option<(Option<u64>, u64)>)> {
        self.free = wake.free;
        self.oldest = wake.oldest;
        self.took = [0; 2];
        self.deadlines_done = false;
        let mut clocks = wake.seen.iter().filter_map(|seen| match seen {
            Seen::Clock(now) => Some(*now),
            _ => None,
        });
        let first = clocks.next();
        self.now = first.unwrap_or(self.now);
        self.last_clock = clocks.last().or(first).unwrap_or(self.now);
        let (mut restarted, mut armed) = (false, None);
        let (mut owes, mut signalled) = ([false; 2], [false; 2]);
        for seen in &wake.seen {
            match seen {
                Seen::Sent(ring, _) | Seen::Took(ring, _) => owes[*ring as usize] = true,
                Seen::Signalled(ring) => signalled[*ring as usize] = true,
                Seen::Restarted | Seen::Stopped => restarted = true,
                Seen::Armed { at, now } => armed = Some((*at, *now)),
                _ => {}
            }
        }
        for seen in &wake.seen {
            if let Seen::Sent(Ring::Client, message) = seen {
                self.ends.told(message)?;
                self.figures.comparisons += 1;
            }
        }
        claim!(
            self,
            Flow,
            (0..2).all(|ring| signalled[ring] || !owes[ring]),
            "a peer is not signalled: owes {owes:?}, has signalled {signalled:?}"
        );
        // What is left is what messages and restarts must explain.
        let explained = |seen: &Seen| {
            !matches!(seen, Seen::Clock(_) | Seen::Signalled(_) | Seen::Armed { .. })
        };
        self.seen = wake.seen.into_iter().filter(explained).collect();
        self.chain(wake.entries)?;
        Ok((restarted, armed))
    }

    /// The log alone: chained, numbered, in time.
    fn chain(&mut self, entries: Vec<(Record, Vec<u8>)>) -> Held {
        for (record, text) in entries {
            self.figures.records += 1;
            let previous = self.history.last().map_or([0; 32], |last| last.hash);
            let sequence = self.history.len() as u64 + 1;
            claim!(
                self,
                Chain,
                record.sequence == sequence
                    && record.previous == previous
                    && record.text_bytes as usize == text.len()
                    && record.time_us >= self.last_time_us,
                "entry {sequence} is {record:?}, after one at {}",
                self.last_time_us
            );
            self.last_time_us = record.time_us;
            self.shared(&record, text.len() as u64)?;
            self.history.push(Written {
                hash: hash(&record, &text),
                user: record.user,
            });
            match record.kind() {
                Some(Kind::Violation) => self.violations.push_back(record),
                Some(Kind::Refuse | Kind::LoginFailed | Kind::Login | Kind::Logout) => {
                    self.refusals.push_back(record);
                }
                _ => self.records.push_back((record, text)),
            }
        }
        Ok(())
    }

    /// What a user's entries take of the log, whatever they are about.
    fn shared(&mut self, record: &Record, text: u64) -> Held {
        let since = record.time_us;
        let user = self.model.find_user(record.user);
        if let Some(share) = user.and_then(|user| self.model.shares.get_mut(user)) {
            share.used += ENTRY + text;
            let used = share.used;
            claim!(self, Shares, share.holds(since), "{used} bytes by {}", record.user);
        }
        Ok(())
    }

    fn at(&mut self, record: &Record) -> Held {
        let now = self.model.booted_us + record.time_us;
        let earliest = self.now;
        claim!(
            self,
            Log,
            (earliest..=self.last_clock).contains(&now),
            "an entry at {now}, in a wake-up from {earliest} to {}",
            self.last_clock
        );
        self.now = now;
        self.explained += 1;
        Ok(())
    }

    /// The next entry that is neither a refusal nor a violation.
    fn record(&mut self, kind: Kind) -> Held<(Record, Vec<u8>)> {
        self.figures.comparisons += 1;
        match self.records.pop_front() {
            Some((record, text)) if record.kind() == Some(kind) => {
                self.at(&record)?;
                Ok((record, text))
            }
            other => broken(
                Claim::Log,
                format!("{kind:?} must be written down, not {:?}", other.map(|r| r.0)),
            ),
        }
    }

    /// What audit did next.
    fn next(&mut self) -> Option<Seen> {
        let seen = self.seen.pop_front()?;
        if let Seen::Sent(ring, _) = &seen {
            let free = &mut self.free[*ring as usize];
            *free = free.saturating_sub(1);
        }
        Some(seen)
    }

    /// What audit tells a request next: this, at once. `None`: its ring was full.
    fn answer(&mut self, id: u32) -> Held<Option<Message>> {
        self.figures.comparisons += 1;
        match self.seen.front() {
            Some(Seen::Sent(Ring::Client, message)) if message.request == id => match self.next() {
                Some(Seen::Sent(_, message)) => Ok(Some(message)),
                _ => Ok(None),
            },
            _ if self.free[0] == 0 => Ok(None),
            other => broken(
                Claim::Answers,
                format!("{id} must be answered, and audit goes on with {other:?}"),
            ),
        }
    }

    /// As [`Self::answer`], with this event.
    fn answered(&mut self, id: u32, event: &Event<'_>, claim: Claim) -> Held {
        if let Some(message) = self.answer(id)? {
            let frame = message.frame();
            let told = Event::parse(&frame);
            if told.as_ref() != Ok(event) {
                return broken(claim, format!("{id} is told {told:?}, not {event:?}"));
            }
        }
        Ok(())
    }

    fn failed(&mut self, id: u32, failure: Failure) -> Held {
        let Some(message) = self.answer(id)? else {
            return Ok(());
        };
        let frame = message.frame();
        match Event::parse(&frame) {
            Ok(Event::Failed { failure: told, .. }) if told == failure => Ok(()),
            other => broken(
                Claim::Refusals,
                format!("{id} is told {other:?}, not {failure:?}"),
            ),
        }
    }

    fn look(&mut self) {
        self.heard = self.free[0] > RESERVE;
        let full = self.heard && self.model.phase != Phase::Stopped && self.free[1] == 0;
        self.model.full_since_us = match full {
            true => Some(self.model.full_since_us.unwrap_or(self.now)),
            false => None,
        };
    }

    // ---- The start ----------------------------------------------------------------------------

    fn start(&mut self) -> Held {
        self.model.boot(self.now);
        for ring in [Ring::Client, Ring::Inference] {
            match self.next() {
                Some(Seen::Led(led, 1)) if led == ring => self.free[ring as usize] = SLOTS,
                other => return broken(Claim::Epochs, format!("{other:?} at the start")),
            }
        }
        self.record(Kind::Boot)?;
        if self.model.policy.is_err() {
            return self.own_load_over();
        }
        self.own_load_begins()
    }

    // ---- What inference says ------------------------------------------------------------------

    fn report(&mut self, taken: Result<Message, Garbage>) -> Held {
        self.took[1] += 1;
        claim!(
            self,
            Flow,
            self.free[0] > RESERVE && self.model.phase != Phase::Stopped,
            "a report is taken with {} slots free, in {:?}",
            self.free[0],
            self.model.phase
        );
        let allowed = self.model.bucket.allows(self.now);
        claim!(self, Egress, allowed, "a report is taken over the cap");
        let honest = match &taken {
            Ok(message) => self.said(message)?,
            Err(Garbage) => false,
        };
        if !honest {
            self.violation(1)?;
            let fault = Fault {
                kind: FaultKind::Violation,
                ip: 0,
                address: 0,
            };
            self.restart(fault, ErrorCode::ProtocolViolation)?;
        }
        Ok(())
    }

    fn pass(&mut self, message: &Message) -> Held {
        let now = self.now;
        let within = self.model.bucket.take(message.payload.len(), now);
        claim!(self, Egress, within, "more leaves than burst and rate allow");
        Ok(())
    }

    /// Whether inference may say this; what follows from it must be seen.
    fn said(&mut self, message: &Message) -> Held<bool> {
        let frame = message.frame();
        let Ok(report) = Report::parse(&frame) else {
            return Ok(false);
        };
        match report {
            Report::Ready => return Ok(true),
            Report::Evicted { session } => {
                self.pass(message)?;
                let idle = self.model.sessions.present.get(&session);
                if idle.is_none_or(|idle| idle.active) {
                    return self.violation(1).map(|()| true);
                }
                let ended = self.model.sessions.end(session, ErrorCode::SessionEvicted);
                return self.evicted(ended).map(|()| true);
            }
            _ => {}
        }
        let number = message.request;
        let Some(live) = self.model.live.get_mut(&number) else {
            return self.violation(1).map(|()| true);
        };
        let (id, state) = (live.id, live.state);
        let mut tokens = 0;
        if let Some(text) = live.text() {
            tokens = text.tokens;
        }
        self.pass(message)?;
        let Some(live) = self.model.live.get_mut(&number) else {
            return Ok(false);
        };
        match (&mut live.work, report) {
            (Work::Text(text), Report::Token { id: token, text: piece }) => {
                if tokens >= text.params.max_tokens {
                    return Ok(false);
                }
                text.tokens += 1;
                text.first_us = text.first_us.or(Some(self.now));
                text.output.update(token.to_le_bytes());
                text.output.update((piece.len() as u32).to_le_bytes());
                text.output.update(piece);
                self.model.counts.generated_tokens += 1;
                self.figures.tokens += 1;
                if let Some(id) = id {
                    self.answered(id, &Event::Token { text: piece }, Claim::Tokens)?;
                }
                Ok(true)
            }
            (
                Work::Text(text),
                Report::Finished {
                    reason,
                    prompt_tokens,
                    generated_tokens,
                },
            ) => {
                let most = text.prompt_bytes + EXTRA_PROMPT_TOKENS;
                if generated_tokens != tokens || prompt_tokens > most {
                    return Ok(false);
                }
                let late = state != State::Active;
                self.finished(number, reason, prompt_tokens, late)?;
                Ok(true)
            }
            (Work::Load(model), Report::Loaded(loaded)) => {
                let model = *model;
                self.loaded(number, model, &loaded)?;
                Ok(true)
            }
            (Work::Status, Report::Holdings(holdings)) => {
                self.ends(number);
                if let Some(id) = id
                    && let Some(message) = self.answer(id)?
                {
                    let frame = message.frame();
                    let told = Event::parse(&frame);
                    // The request itself is no longer under way, and is no request for text.
                    let (active, sessions) = self.under_way();
                    claim!(
                        self,
                        Counters,
                        matches!(told, Ok(Event::Status(s)) if s.arena == holdings.arena
                            && (s.kv_positions, s.kv_free) == (holdings.kv_positions, holdings.kv_free)
                            && s.waiting == holdings.waiting
                            && (s.active, s.sessions) == (active, sessions)
                            && u64::from(s.restarts) == self.model.counts.restarts),
                        "a status of {told:?}"
                    );
                }
                Ok(true)
            }
            (_, Report::Failed { failure, detail }) => {
                if !is_inferences(failure.code) {
                    return Ok(false);
                }
                self.failed_there(number, failure, detail)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn under_way(&self) -> (u32, u32) {
        let active = self.model.texts().count() as u32;
        (active, self.model.sessions.present.len() as u32)
    }

    /// A request is over; what it has not used of its user's share goes back.
    fn ends(&mut self, number: u32) -> Option<Live> {
        let live = self.model.live.remove(&number)?;
        if let Some(share) = self.model.shares.get_mut(live.user) {
            share.give_back(live.share);
        }
        Some(live)
    }

    /// As [`Self::record`], of a request that is under way, out of the share that it has taken.
    fn record_of(&mut self, kind: Kind, number: u32) -> Held<(Record, Vec<u8>)> {
        let (record, text) = self.record(kind)?;
        let Some(live) = self.model.live.get_mut(&number) else {
            return broken(Claim::Answers, format!("{record:?}: there is no {number}"));
        };
        live.share = live.share.saturating_sub(ENTRY + text.len() as u64);
        let live = live.clone();
        self.of_request(&record, number, &live)?;
        Ok((record, text))
    }

    /// A session made room.
    fn evicted(&mut self, ended: Option<crate::model::Session>) -> Held {
        let (record, _) = self.record(Kind::Evict)?;
        self.model.counts.evicted += 1;
        let as_ended = ended.as_ref().is_some_and(|session| {
            record.user == self.model.user_name(session.user)
                && record.session == session.number
                && record.turn == session.turns
                && record.value == u64::from(session.turns)
        });
        claim!(self, Sessions, as_ended, "{record:?} for {ended:?}");
        Ok(())
    }

    /// What a record of a request says of it.
    fn of_request(&mut self, record: &Record, number: u32, live: &Live) -> Held {
        let user = match live.own {
            false => self.model.user_name(live.user),
            true => UserName::EMPTY,
        };
        let mut right = record.request == number
            && record.user == user
            && record.latency_us == self.now - live.admitted_us;
        match &live.work {
            Work::Text(text) => {
                let first = text.first_us.map_or(0, |at| at - live.admitted_us);
                right &= record.session == text.session
                    && record.turn == text.turn
                    && record.params == text.params
                    && record.prompt_bytes == text.prompt_bytes
                    && record.prompt_sha256 == text.prompt_sha256
                    && record.generated_tokens == text.tokens
                    && record.first_token_us == first;
                let model = self.model.current.zip(self.model.store);
                right &= model.is_none_or(|(at, store)| record.model_sha256 == store[at].sha256);
            }
            Work::Load(model) => {
                let file = self.model.store.map(|store| &store[*model]);
                right &= file.is_some_and(|file| {
                    record.name == file.name && record.model_sha256 == file.sha256
                });
            }
            Work::Verify(model) => {
                let file = self.model.store.map(|store| &store[*model]);
                right &= file.is_some_and(|file| record.name == file.name);
            }
            Work::Status => {}
        }
        claim!(self, Log, right, "{record:?} for {number}: {live:?}");
        Ok(())
    }

    fn finished(
        &mut self,
        number: u32,
        reason: FinishReason,
        prompt_tokens: u32,
        late: bool,
    ) -> Held {
        let kind = if late { Kind::Fail } else { Kind::Finish };
        let (record, _) = self.record_of(kind, number)?;
        let Some(live) = self.ends(number) else {
            return Ok(());
        };
        let Some(text) = live.text() else {
            return Ok(());
        };
        let used = u64::from(prompt_tokens) + u64::from(text.tokens);
        if let Some(ledger) = self.model.ledgers.get_mut(live.user) {
            ledger.settle(number, used, self.now);
        }
        self.model.sessions.rest(text.slot, used, self.now);
        let total_us = self.now - live.admitted_us;
        let counts = &mut self.model.counts;
        counts.prompt_tokens += u64::from(prompt_tokens);
        let limit = self.model.policy.map_or(0, |policy| policy.deadline_us);
        let failure = Failure::over(ErrorCode::Deadline, total_us, limit);
        let (code, value) = match (late, reason) {
            (true, _) => {
                counts.failed += 1;
                (failure.code as u16, (total_us, limit))
            }
            (false, FinishReason::Cancelled) => {
                counts.cancelled += 1;
                (reason as u16, (0, 0))
            }
            _ => {
                counts.finished += 1;
                (reason as u16, (0, 0))
            }
        };
        claim!(
            self,
            Log,
            record.code == code
                && (record.value, record.limit) == value
                && record.prompt_tokens == prompt_tokens
                && record.output_sha256 == text.output_sha256(),
            "{record:?} for {text:?}"
        );
        let id = live.id.unwrap_or(0);
        if late {
            return self.failed(id, failure);
        }
        let event = Event::Finished(wire::console::Finished {
            reason,
            prompt_tokens,
            generated_tokens: text.tokens,
            turn: text.turn,
            first_token_us: text.first_us.map_or(0, |at| at - live.admitted_us),
            total_us,
        });
        self.answered(id, &event, Claim::Answers)
    }

    /// A failure that inference has told.
    fn failed_there(&mut self, number: u32, failure: Failure, detail: &[u8]) -> Held {
        let (record, _) = self.record_of(Kind::Fail, number)?;
        let Some(live) = self.ends(number) else {
            return Ok(());
        };
        let mut failure = failure;
        let mut output = [0; 32];
        if let Some(text) = live.text() {
            if text.tokens > 0 {
                output = text.output_sha256();
            }
            failure = self.refunded(number, &live, text, failure);
        }
        claim!(
            self,
            Log,
            record.code == failure.code as u16
                && (record.value, record.limit) == (failure.value, failure.limit)
                && record.output_sha256 == output,
            "{record:?} for {failure:?}"
        );
        let event = Event::Failed { failure, detail };
        if live.own {
            self.model.current = None;
            self.model.notices.load_failed = Some(failure);
            return self.own_load_over();
        }
        match live.id {
            Some(id) => self.answered(id, &event, Claim::Answers),
            None => Ok(()),
        }
    }

    /// A failed request costs nothing; what becomes of its session.
    fn refunded(&mut self, number: u32, live: &Live, text: &Text, failure: Failure) -> Failure {
        use ErrorCode as Code;
        let now = self.now;
        if let Some(ledger) = self.model.ledgers.get_mut(live.user) {
            ledger.settle(number, 0, now);
        }
        self.model.counts.failed += 1;
        let before = text.turn - 1;
        let untouched = text.tokens == 0 && leaves_session(failure.code);
        let sessions = &mut self.model.sessions;
        if failure.code == Code::SessionEvicted && before > 0 {
            sessions.present.remove(&text.slot);
            return Failure::over(Code::SessionEvicted, u64::from(before), 0);
        }
        match (untouched, before) {
            (true, 0) => drop(sessions.present.remove(&text.slot)),
            (true, _) => sessions.rest(text.slot, 0, now),
            (false, _) => drop(sessions.end(text.slot, Code::SessionLost)),
        }
        failure
    }

    fn loaded(&mut self, number: u32, model: usize, loaded: &wire::engine::Loaded) -> Held {
        self.figures.loads += 1;
        self.model.current = Some(model);
        let (record, _) = self.record_of(Kind::Load, number)?;
        let Some(live) = self.ends(number) else {
            return Ok(());
        };
        if !live.own {
            claim!(
                self,
                Models,
                self.model.texts().next().is_none(),
                "a user's model is loaded under requests for text"
            );
            self.model.sessions.end_all();
        }
        let Some(file) = self.model.store.map(|store| &store[model]) else {
            return Ok(());
        };
        self.model.wanted = file.name;
        claim!(self, Models, record.value == file.bytes, "{record:?}");
        let info = wire::ModelInfo {
            file_bytes: file.bytes,
            sha256: file.sha256,
            ..loaded.info
        };
        let name = file.name;
        match live.id {
            Some(id) => self.answered(id, &Event::Loaded { name, info }, Claim::Answers),
            None if live.own => self.own_load_over(),
            None => Ok(()),
        }
    }

    /// The load that begins an epoch is over.
    fn own_load_over(&mut self) -> Held {
        match std::mem::replace(&mut self.model.phase, Phase::Serving) {
            Phase::Booting => self.model.notices.ready = true,
            Phase::Recovering(since) => {
                let (record, _) = self.record(Kind::Recover)?;
                let after_us = self.now - since;
                let restarts = self.model.counts.restarts;
                claim!(
                    self,
                    Log,
                    (record.value, record.limit) == (after_us, restarts),
                    "{record:?}, {after_us} after, {restarts} restarts"
                );
                self.model.notices.exhausted = None;
                self.model.notices.recovered = Some((after_us, restarts as u32));
            }
            phase => self.model.phase = phase,
        }
        Ok(())
    }

    // ---- Restarts -----------------------------------------------------------------------------

    fn restart(&mut self, fault: Fault, code: ErrorCode) -> Held {
        let (record, _) = self.record(Kind::Fault)?;
        claim!(
            self,
            Log,
            record.code == fault.kind as u16
                && (record.value, record.limit) == (fault.address, fault.ip),
            "{record:?} for {fault:?}"
        );
        let in_inference = |live: &&Live| !matches!(live.work, Work::Verify(_));
        let ending = self.model.live.values().filter(in_inference).count();
        for _ in 0..ending {
            // In any order.
            let number = self.records.front().map_or(0, |(record, _)| record.request);
            let (record, _) = self.record_of(Kind::Fail, number)?;
            let Some(live) = self.model.live.remove(&number) else {
                continue;
            };
            let mut output = [0; 32];
            if let Some(text) = live.text() {
                if text.tokens > 0 {
                    output = text.output_sha256();
                }
                let now = self.now;
                if let Some(ledger) = self.model.ledgers.get_mut(live.user) {
                    ledger.settle(number, 0, now);
                }
                self.model.counts.failed += 1;
            }
            claim!(
                self,
                Log,
                record.code == code as u16 && record.output_sha256 == output,
                "{record:?} for {code:?}"
            );
            if !live.own {
                self.owes(&live, Failure::of(code));
            }
        }
        self.model.sessions.end_all();
        self.model.notices.fault = Some(fault);
        self.model.notices.recovered = None;
        if self.model.phase == Phase::Stopped {
            return Ok(());
        }
        let (most, window) = self
            .model
            .policy
            .map_or((0, 0), |p| (p.max_restarts as usize, p.restart_window_us));
        let now = self.now;
        let times = &mut self.model.restarts_us;
        while times.front().is_some_and(|at| now - at >= window) {
            times.pop_front();
        }
        match times.len() >= most {
            true => self.gives_up(window),
            false => self.starts_over(),
        }
    }

    /// The client must be told that a request has failed.
    fn owes(&mut self, live: &Live, failure: Failure) {
        let name = match live.work {
            Work::Verify(model) => self.model.store.map(|store| store[model].name),
            _ => None,
        };
        self.model.owed.push(Owed {
            id: live.id,
            user: live.user,
            failure,
            name: name.unwrap_or_default(),
            share: live.share,
        });
    }

    fn gives_up(&mut self, window: u64) -> Held {
        match self.next() {
            Some(Seen::Stopped) => self.figures.stops += 1,
            other => {
                return broken(
                    Claim::Restarts,
                    format!("inference must be stopped, and {other:?}"),
                );
            }
        }
        let restarts = self.model.restarts_us.len() as u64;
        let (record, _) = self.record(Kind::Stop)?;
        claim!(
            self,
            Log,
            (record.value, record.limit) == (restarts, window),
            "{record:?}"
        );
        self.model.notices.ready |= self.model.phase == Phase::Booting;
        self.model.phase = Phase::Stopped;
        self.model.live.retain(|_, live| !live.own);
        let failure = Failure::over(ErrorCode::RestartsExhausted, restarts, window);
        if let Some(number) = self.model.verifies() {
            self.verification_is_in_the_way(number, failure)?;
        }
        self.model.notices.exhausted = Some(failure);
        Ok(())
    }

    fn starts_over(&mut self) -> Held {
        let now = self.now;
        self.model.restarts_us.push_back(now);
        self.model.counts.restarts += 1;
        self.figures.restarts += 1;
        if let Phase::Serving | Phase::Stopped = self.model.phase {
            self.model.phase = Phase::Recovering(now);
        }
        match (self.next(), self.next()) {
            (Some(Seen::Restarted), Some(Seen::Led(Ring::Inference, epoch)))
                if epoch != self.model.epoch =>
            {
                self.model.epoch = epoch;
            }
            other => {
                return broken(
                    Claim::Restarts,
                    format!("inference must be restarted in a new epoch, and {other:?}"),
                );
            }
        }
        self.free[1] = SLOTS;
        self.model.full_since_us = None;
        self.model.live.retain(|_, live| !live.own);
        self.own_load_begins()?;
        let own = |live: &Live| live.own && matches!(live.work, Work::Verify(_));
        if self.model.live.values().any(own) {
            // Its verification takes the place of a user's.
            let mut others = self.model.live.iter();
            let other = others.find(|(_, live)| !live.own && matches!(live.work, Work::Verify(_)));
            if let Some((number, _)) = other {
                let number = *number;
                let failure = Failure::of(ErrorCode::ModelInUse);
                self.verification_is_in_the_way(number, failure)?;
            }
        }
        Ok(())
    }

    /// Audit begins to load the model that is, or should be, in service.
    fn own_load_begins(&mut self) -> Held {
        let store = self.model.store.unwrap_or(&[]);
        let wanted = self.model.wanted;
        let known = self.model.current.filter(|at| store[*at].name == wanted);
        let found = known.map_or_else(|| self.model.find_model(wanted), Ok);
        let model = match found {
            Ok(model) => model,
            Err(failure) => return self.own_load_refused(failure),
        };
        self.model.last_number += 1;
        let number = self.model.last_number;
        let live = Live {
            id: None,
            own: true,
            user: self.model.user,
            share: 0,
            wakes: 0,
            work: Work::Verify(model),
            admitted_us: self.now,
            deadline_us: u64::MAX,
            state: State::Active,
            strict: true,
        };
        self.model.live.insert(number, live);
        self.own_load_goes_on(known.is_some())
    }

    /// What has become of audit's own verification, if that can be seen; at once, if the model is known.
    fn own_load_goes_on(&mut self, known: bool) -> Held {
        if let Some(Seen::Sent(Ring::Inference, message)) = self.seen.front()
            && message.kind == LOAD
            && let Some(Seen::Sent(_, message)) = self.next()
        {
            return self.commanded(message);
        }
        claim!(self, Models, !known, "the model in service is not loaded at once");
        self.own_verification_may_be_refused()
    }

    /// Audit's own verification may have ended: it is written down at once.
    fn own_verification_may_be_refused(&mut self) -> Held {
        let number = self.model.verifies().filter(|_| self.own_refusal());
        let live = number.and_then(|number| self.model.live.remove(&number));
        let Some(live) = live else {
            return Ok(());
        };
        let file = self.file_of(&live);
        let badly = file.is_some_and(|file| file.signed == Signed::Badly);
        let code = self.refusals.front().map_or(0, |record| record.code);
        let failure = match code == ErrorCode::Busy as u16 {
            true => Failure::over(ErrorCode::Busy, SLOTS as u64, SLOTS as u64),
            false => Failure::of(ErrorCode::BadSignature),
        };
        let right = match failure.code {
            ErrorCode::Busy => self.free[1] == 0,
            _ => badly,
        };
        claim!(self, Models, live.own && right, "{file:?} is refused: {failure:?}");
        self.own_load_refused(failure)
    }

    fn file_of(&self, live: &Live) -> Option<&'m crate::store::ModelFile> {
        match live.work {
            Work::Verify(model) | Work::Load(model) => self.model.store?.get(model),
            _ => None,
        }
    }

    /// The next refusal is that of audit's own load.
    fn own_refusal(&self) -> bool {
        let own = |record: &Record| {
            record.user.is_empty()
                && record.name == self.model.wanted
                && record.kind() == Some(Kind::Refuse)
        };
        self.model.policy.is_ok() && self.refusals.front().is_some_and(own)
    }

    /// Audit's own load fails before inference hears of it.
    fn own_load_refused(&mut self, failure: Failure) -> Held {
        let right = self.own_refusal();
        let record = self.refusals.pop_front();
        claim!(
            self,
            Models,
            right && record.is_some_and(|record| record.code == failure.code as u16
                && (record.value, record.limit) == (failure.value, failure.limit)
                && record.count == 1),
            "{record:?} for {failure:?}"
        );
        if let Some(record) = record {
            self.at(&record)?;
        }
        self.count_refusal(failure.code);
        self.model.current = None;
        self.model.notices.load_failed = Some(failure);
        self.own_load_over()
    }

    /// A restart, or the end of trying, refuses a user's verification.
    fn verification_is_in_the_way(&mut self, number: u32, failure: Failure) -> Held {
        let live = self.model.live.get(&number);
        let file = live.and_then(|live| self.file_of(live));
        let written = self.refusals.front().is_some_and(|record| {
            record.code == failure.code as u16
                && file.is_some_and(|file| file.name == record.name)
                && record.value == failure.value
        });
        if !written && (self.was_full || self.free[0] <= RESERVE) {
            return broken(Claim::Unclear, format!("{live:?} may have been refused"));
        }
        self.verification_refused(number, failure)
    }

    /// A user's load ends before inference hears of it.
    fn verification_refused(&mut self, number: u32, failure: Failure) -> Held {
        let Some(live) = self.model.live.remove(&number) else {
            return Ok(());
        };
        self.owes(&live, failure);
        self.count_refusal(failure.code);
        let mut record = Record::new(Kind::Refuse);
        record.user = self.model.user_name(live.user);
        record.name = self.file_of(&live).map_or(ModelName::EMPTY, |file| file.name);
        record.code = failure.code as u16;
        (record.value, record.limit) = (failure.value, failure.limit);
        self.repeated(live.user, record, false)
    }

    // ---- What is written down ever more rarely ------------------------------------------------

    /// Something has happened that is written down at once if `each` is, or one is due.
    fn repeated(&mut self, user: usize, expected: Record, each: bool) -> Held {
        let now = self.now;
        let reason = (expected.kind, expected.code);
        let repeats = self.model.repeats.entry((user, reason)).or_default();
        repeats.pending += 1;
        if !each && !repeats.due(now) {
            return Ok(());
        }
        self.repeats_due(user, reason, expected)
    }

    /// An entry is due: it is there, unless the user's share has no room for it.
    fn repeats_due(&mut self, user: usize, reason: Reason, mut expected: Record) -> Held {
        let now = self.now;
        let repeats = self.model.repeats.entry((user, reason)).or_default();
        let Some(share) = self.model.shares.get_mut(user) else {
            return Ok(());
        };
        if share.take(ENTRY, now).is_err() {
            repeats.postpone(now);
            return Ok(());
        }
        expected.count = repeats.pending;
        repeats.recorded(now);
        let Some(record) = self.refusals.pop_front() else {
            return broken(Claim::Refusals, format!("{expected:?} is not written down"));
        };
        self.at(&record)?;
        expected.sequence = record.sequence;
        expected.time_us = record.time_us;
        expected.previous = record.previous;
        claim!(
            self,
            Refusals,
            record == expected,
            "{record:?}, which should be {expected:?}"
        );
        Ok(())
    }

    /// What is due and was not written down when it happened.
    fn record_repeats(&mut self) -> Held {
        for _ in 0..REPEATS {
            self.verification_may_be_counted();
            let now = self.now;
            let mut due = self.model.repeats.iter().filter(|(_, r)| r.pending > 0 && r.due(now));
            let order = |((user, (kind, code)), _): &(&(usize, Reason), &crate::model::Repeats)| {
                let place = match Kind::from_u16(*kind) {
                    Some(Kind::Refuse) => 0,
                    Some(Kind::LoginFailed) => 1,
                    Some(Kind::Login) => 2,
                    _ => 3,
                };
                (*user, place, *code)
            };
            let Some((&(user, reason), _)) = due.by_ref().min_by_key(order) else {
                return Ok(());
            };
            let mut expected = Record::new(Kind::Boot);
            (expected.kind, expected.code) = reason;
            expected.user = self.model.user_name(user);
            self.repeats_due(user, reason, expected)?;
        }
        Ok(())
    }

    // ---- What a client asks -------------------------------------------------------------------

    fn violation(&mut self, peer: usize) -> Held {
        self.model.counts.violations += 1;
        self.model.violations[peer].pending += 1;
        self.record_violations()
    }

    fn record_violations(&mut self) -> Held {
        for peer in 0..2 {
            let repeats = &self.model.violations[peer];
            if repeats.pending == 0 || !repeats.due(self.now) {
                continue;
            }
            let pending = self.model.violations[peer].pending;
            let Some(record) = self.violations.pop_front() else {
                return broken(
                    Claim::Violations,
                    format!("{pending} of peer {peer} must be written down"),
                );
            };
            self.at(&record)?;
            claim!(
                self,
                Violations,
                record.code as usize == peer + 1 && record.count == pending,
                "{record:?} for {pending} of peer {peer}"
            );
            self.model.violations[peer].recorded(self.now);
        }
        Ok(())
    }

    fn request(&mut self, taken: Result<Message, Garbage>) -> Held {
        self.took[0] += 1;
        claim!(
            self,
            Flow,
            self.free[0] > RESERVE,
            "a request is taken with {} slots free",
            self.free[0]
        );
        let Ok(message) = taken else {
            self.figures.garbage += 1;
            return self.violation(0);
        };
        let id = message.request;
        let frame = message.frame();
        let Ok(request) = Request::parse(&frame) else {
            self.figures.garbage += 1;
            self.violation(0)?;
            return self.failed(id, Failure::of(ErrorCode::Unsupported));
        };
        self.figures.requests += 1;
        if request == Request::Cancel {
            return self.cancel(id);
        }
        // A restart's end may have been told just now, so that its number is free again.
        let Err(failure) = self.decide(id, &request)? else {
            return Ok(());
        };
        let (user, known) = match request {
            Request::Login { user, .. } => (user, self.model.find_user(user).is_some()),
            _ => (UserName::EMPTY, true),
        };
        let mut expected = Record::new(Kind::Refuse);
        match request {
            Request::Infer { params, prompt, .. } => {
                expected.prompt_bytes = prompt.len() as u32;
                expected.params = params;
            }
            Request::Load { name } => expected.name = name,
            Request::Budget { user, .. } => expected.name = model_name(&user),
            Request::Log(query) => expected.name = model_name(&query.user),
            Request::Close { session } => expected.name = model_name(&session),
            Request::Login { .. } => {
                expected.kind = Kind::LoginFailed as u16;
                expected.name = if known { model_name(&user) } else { ModelName::EMPTY };
            }
            _ => {}
        }
        // Without a policy nothing was looked at.
        if self.model.policy.is_err() {
            expected = Record::new(Kind::Refuse);
        }
        expected.user = self.model.user_name(self.model.user);
        self.refused(id, failure, expected)
    }

    fn refused(&mut self, id: u32, failure: Failure, mut expected: Record) -> Held {
        self.count_refusal(failure.code);
        expected.code = failure.code as u16;
        (expected.value, expected.limit) = (failure.value, failure.limit);
        // A wrong passphrase has cost a wait.
        let each = failure.code == ErrorCode::LoginFailed;
        self.repeated(self.model.user, expected, each)?;
        self.failed(id, failure)
    }

    fn take_share(&mut self, bytes: u64) -> Result<(), Failure> {
        let now = self.now;
        let share = self.model.shares.get_mut(self.model.user);
        let taken = share.map_or(Err(0), |share| share.take(bytes, now));
        taken.map_err(|left| Failure::over(ErrorCode::LogShare, bytes, left))
    }

    fn give_back(&mut self, bytes: u64) {
        if let Some(share) = self.model.shares.get_mut(self.model.user) {
            share.give_back(bytes);
        }
    }

    fn count_refusal(&mut self, code: ErrorCode) {
        self.figures.refused += 1;
        self.model.counts.refused += 1;
        *self.model.counts.refused_by_code.entry(code as u16).or_default() += 1;
    }

    fn role(&self) -> Option<Role> {
        let policy = self.model.policy.ok()?;
        let user = policy.users().get(self.model.user)?;
        policy.roles().get(user.role as usize).copied()
    }

    fn require(&self, permission: Permission) -> Result<(), Failure> {
        match self.role() {
            Some(role) if role.may(permission) => Ok(()),
            _ => Err(Failure::over(
                ErrorCode::NotPermitted,
                u64::from(permission as u32),
                0,
            )),
        }
    }

    fn require_running(&self) -> Result<(), Failure> {
        let window = self.model.policy.map_or(0, |p| p.restart_window_us);
        match self.model.phase {
            Phase::Stopped => Err(Failure::over(
                ErrorCode::RestartsExhausted,
                self.model.restarts_us.len() as u64,
                window,
            )),
            _ => Ok(()),
        }
    }

    fn require_new(&self, id: u32) -> Result<(), Failure> {
        match self.model.is_used(id) {
            true => Err(Failure::over(ErrorCode::NoSuchRequest, u64::from(id), 0)),
            false => Ok(()),
        }
    }

    /// What audit must do with a request, and has done; or why it must refuse.
    fn decide(&mut self, id: u32, request: &Request<'_>) -> Held<Result<(), Failure>> {
        if let Err(why) = self.model.policy {
            return Ok(Err(Failure::over(ErrorCode::BadPolicy, why, 0)));
        }
        match *request {
            Request::Infer {
                params,
                session,
                prompt,
            } => {
                let place = match self.may_infer(id, params, session, prompt) {
                    Ok(place) => place,
                    Err(failure) => return Ok(Err(failure)),
                };
                self.admitted(id, params, session, prompt, place).map(Ok)
            }
            Request::Load { name } => {
                let allowed = self
                    .require(Permission::Load)
                    .and_then(|()| self.require_new(id))
                    .and_then(|()| self.require_running());
                if let Err(failure) = allowed {
                    return Ok(Err(failure));
                }
                if let Err(failure) = self.has_place() {
                    return Ok(Err(failure));
                }
                if self.model.loads() || self.model.texts().next().is_some() {
                    return Ok(Err(Failure::of(ErrorCode::ModelInUse)));
                }
                let share = ENTRIES[2] * ENTRY;
                let file = self.model.find_model(name);
                let file = match file.and_then(|file| self.take_share(share).map(|()| file)) {
                    Ok(file) => file,
                    Err(failure) => return Ok(Err(failure)),
                };
                self.model.last_number += 1;
                let live = Live {
                    id: Some(id),
                    own: false,
                    user: self.model.user,
                    share,
                    wakes: 0,
                    work: Work::Verify(file),
                    admitted_us: self.now,
                    deadline_us: u64::MAX,
                    state: State::Active,
                    strict: true,
                };
                self.model.live.insert(self.model.last_number, live);
                Ok(Ok(()))
            }
            Request::Status => {
                let allowed = self
                    .require(Permission::Infer)
                    .and_then(|()| self.require_running())
                    .and_then(|()| self.require_new(id))
                    .and_then(|()| self.has_place());
                let share = ENTRIES[1] * ENTRY;
                let allowed = allowed.and_then(|()| self.take_share(share));
                let allowed = allowed.and_then(|()| {
                    self.has_room().inspect_err(|_| self.give_back(share))
                });
                if let Err(failure) = allowed {
                    return Ok(Err(failure));
                }
                let live = Live {
                    id: Some(id),
                    own: false,
                    user: self.model.user,
                    share,
                    wakes: 0,
                    work: Work::Status,
                    admitted_us: self.now,
                    deadline_us: self.now + CONTROL_DEADLINE_US,
                    state: State::Active,
                    strict: true,
                };
                let number = self.sent_as(&Command::Status)?;
                self.model.live.insert(number, live);
                Ok(Ok(()))
            }
            Request::Login {
                user,
                passphrase: None,
            } if self.model.find_user(user).is_none_or(|at| !PASSPHRASES[at].is_empty()) => {
                let failure = Failure::of(ErrorCode::PassphraseNeeded);
                self.failed(id, failure).map(Ok)
            }
            Request::Login { user, passphrase } => {
                self.log_in(id, user, passphrase.unwrap_or_default())
            }
            Request::Logout => {
                self.comes_or_goes(Kind::Logout)?;
                self.lists_end()?;
                self.model.user = self.model.policy.map_or(0, |p| p.default_user as usize);
                self.is_told_who(id).map(Ok)
            }
            Request::WhoAmI => self.is_told_who(id).map(Ok),
            Request::Budget { user, change } => {
                let current = self.model.user;
                let user = match user.is_empty() {
                    true => current,
                    false => match self.model.find_user(user) {
                        Some(user) => user,
                        None => return Ok(Err(Failure::of(ErrorCode::NoSuchUser))),
                    },
                };
                if user != current || !change.is_none() {
                    if let Err(failure) = self.require(Permission::Budget) {
                        return Ok(Err(failure));
                    }
                }
                let (tokens, period_us) = (change.tokens, change.period_us);
                if let Some(tokens) = tokens.filter(|tokens| *tokens > MAX_BUDGET_TOKENS) {
                    let code = ErrorCode::BudgetTokens;
                    return Ok(Err(Failure::over(code, tokens, MAX_BUDGET_TOKENS)));
                }
                if let Some(us) = period_us.filter(|us| !BUDGET_PERIOD_US.contains(us)) {
                    let code = ErrorCode::BudgetPeriod;
                    return Ok(Err(Failure::over(code, us, *BUDGET_PERIOD_US.end())));
                }
                if !change.is_none() {
                    if let Err(failure) = self.take_share(ENTRY) {
                        return Ok(Err(failure));
                    }
                    let (record, _) = self.record(Kind::Budget)?;
                    let now = self.now;
                    if let Some(ledger) = self.model.ledgers.get_mut(user) {
                        ledger.change(tokens, period_us, now);
                        let (tokens, period_us) = (ledger.tokens, ledger.period_us);
                        claim!(
                            self,
                            Log,
                            record.user == self.model.user_name(current)
                                && record.name == model_name(&self.model.user_name(user))
                                && (record.value, record.limit) == (tokens, period_us),
                            "{record:?}"
                        );
                    }
                }
                if let Some(message) = self.answer(id)? {
                    let frame = message.frame();
                    match Event::parse(&frame) {
                        Ok(Event::Budget(budget)) => self.budget(user, &budget)?,
                        other => return broken(Claim::Budgets, format!("{other:?}")),
                    }
                }
                Ok(Ok(()))
            }
            Request::Stats { watch: false } => {
                if let Err(failure) = self.require(Permission::Infer) {
                    return Ok(Err(failure));
                }
                if let Some(message) = self.answer(id)? {
                    let frame = message.frame();
                    match Event::parse(&frame) {
                        Ok(Event::Stats(stats)) => self.stats(&stats)?,
                        other => return broken(Claim::Counters, format!("{other:?}")),
                    }
                }
                Ok(Ok(()))
            }
            Request::Reset => {
                let allowed = self.require(Permission::Reset);
                if let Err(failure) = allowed.and_then(|()| self.take_share(ENTRY)) {
                    return Ok(Err(failure));
                }
                self.record(Kind::Reset)?;
                self.model.restarts_us.clear();
                self.answered(id, &Event::Done, Claim::Answers)?;
                if self.model.phase == Phase::Stopped {
                    self.starts_over()?;
                }
                Ok(Ok(()))
            }
            Request::Close { session } => {
                let allowed = self.require(Permission::Infer);
                if let Err(failure) = allowed.and_then(|()| self.take_share(ENTRY)) {
                    return Ok(Err(failure));
                }
                let user = self.model.user;
                let (slot, number) = match self.model.sessions.close(user, session) {
                    Ok(closed) => closed,
                    Err(failure) => {
                        self.give_back(ENTRY);
                        return Ok(Err(failure));
                    }
                };
                if let Some(session) = slot
                    && self.free[1] > 0
                {
                    self.commands(0, &Command::Drop { session }, Claim::Sessions)?;
                }
                let (record, _) = self.record(Kind::Close)?;
                claim!(
                    self,
                    Log,
                    record.session == number
                        && record.name == model_name(&session)
                        && record.user == self.model.user_name(user),
                    "{record:?}"
                );
                self.answered(id, &Event::Done, Claim::Answers).map(Ok)
            }
            _ => Ok(self.begins_list(id, request)),
        }
    }

    fn has_place(&self) -> Result<(), Failure> {
        let taken = self.model.live.len() + self.model.owed.len();
        if taken >= PLACES {
            let (value, limit) = (taken as u64, PLACES as u64);
            return Err(Failure::over(ErrorCode::TooManyRequests, value, limit));
        }
        Ok(())
    }

    fn has_room(&self) -> Result<(), Failure> {
        if self.free[1] == 0 {
            let all = SLOTS as u64;
            return Err(Failure::over(ErrorCode::Busy, all, all));
        }
        Ok(())
    }

    /// Audit must send this to inference, now.
    fn commands(&mut self, number: u32, command: &Command<'_>, claim: Claim) -> Held {
        self.figures.comparisons += 1;
        match self.next() {
            Some(Seen::Sent(Ring::Inference, message)) if message.request == number => {
                let frame = message.frame();
                match Command::parse(&frame) {
                    Ok(sent) if sent == *command => Ok(()),
                    other => broken(claim, format!("{other:?} in place of {command:?}")),
                }
            }
            other => broken(claim, format!("{other:?} in place of {command:?}")),
        }
    }

    /// As [`Self::commands`], under a number of its own.
    fn sent_as(&mut self, command: &Command<'_>) -> Held<u32> {
        self.model.last_number += 1;
        let number = self.model.last_number;
        self.commands(number, command, Claim::Answers)?;
        Ok(number)
    }

    /// Where a request for text goes, if it may.
    fn may_infer(
        &mut self,
        id: u32,
        params: InferParams,
        session: SessionName,
        prompt: &[u8],
    ) -> Result<Place, Failure> {
        self.require(Permission::Infer)?;
        self.require_running()?;
        self.require_new(id)?;
        self.has_place()?;
        wire::check_prompt(prompt)?;
        params.check()?;
        let (most, sessions) = self
            .role()
            .map_or((0, 0), |role| (role.max_tokens, role.max_sessions));
        if params.max_tokens > most {
            return Err(Failure::over(
                ErrorCode::MaxTokens,
                u64::from(params.max_tokens),
                u64::from(most),
            ));
        }
        if self.model.loads_for_user() {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        if self.model.current.is_none() {
            return Err(Failure::of(ErrorCode::NoModel));
        }
        let user = self.model.user;
        let place = self.model.sessions.place(user, session, sessions as usize)?;
        let tokens = Self::most(prompt, params);
        let now = self.now;
        if let Some(ledger) = self.model.ledgers.get_mut(user) {
            ledger.roll(now);
            if tokens > ledger.left() {
                return Err(Failure::over(ErrorCode::QuotaExceeded, tokens, ledger.left()));
            }
        }
        let fresh = !matches!(place, Place::On(_));
        // A session that begins with a name can be evicted once.
        let eviction = if fresh && !session.is_empty() { ENTRY } else { 0 };
        self.take_share(eviction)?;
        let share = self.share_of(prompt);
        let taken = self.take_share(share).and_then(|()| {
            self.has_room().inspect_err(|_| self.give_back(share))
        });
        taken.inspect_err(|_| self.give_back(eviction))?;
        Ok(place)
    }

    fn share_of(&self, prompt: &[u8]) -> u64 {
        let keeps = self.model.policy.is_ok_and(|policy| policy.keep_prompts == 1);
        ENTRIES[0] * ENTRY + if keeps { prompt.len() as u64 } else { 0 }
    }

    fn most(prompt: &[u8], params: InferParams) -> u64 {
        prompt.len() as u64 + u64::from(EXTRA_PROMPT_TOKENS) + u64::from(params.max_tokens)
    }

    fn admitted(
        &mut self,
        id: u32,
        params: InferParams,
        name: SessionName,
        prompt: &[u8],
        place: Place,
    ) -> Held {
        self.figures.comparisons += 1;
        let number = self.model.last_number + 1;
        let sent = match self.seen.front() {
            Some(Seen::Sent(Ring::Inference, message)) if message.request == number => message,
            other => {
                return broken(
                    Claim::Refusals,
                    format!("{id} must be admitted, and {other:?}"),
                );
            }
        };
        let frame = sent.frame();
        let slot = match Command::parse(&frame) {
            Ok(Command::Infer { session, .. }) => session,
            other => return broken(Claim::Answers, format!("{other:?}")),
        };
        let right = match &place {
            Place::On(at) => slot == *at,
            Place::Free => !self.model.sessions.present.contains_key(&slot),
            Place::InsteadOf(slots) => slots.contains(&slot),
        };
        claim!(self, Sessions, right, "slot {slot} for {place:?}");
        let command = Command::Infer {
            params,
            session: slot,
            fresh: !matches!(place, Place::On(_)),
            keep: !name.is_empty(),
            prompt,
        };
        self.sent_as(&command)?;
        if let Place::InsteadOf(_) = place {
            let ended = self.model.sessions.end(slot, ErrorCode::SessionEvicted);
            self.evicted(ended)?;
        }
        let user = self.model.user;
        let (session, turn) = self.model.sessions.begin(slot, user, name, self.now);
        let text = Text {
            slot,
            session,
            turn,
            params,
            prompt_bytes: prompt.len() as u32,
            prompt_sha256: Sha256::digest(prompt).into(),
            tokens: 0,
            output: Sha256::new(),
            first_us: None,
            cancelled: false,
            stop_owed: false,
        };
        let policy = self.model.policy.ok();
        let allowed = policy.map_or(0, |policy| policy.deadline_us);
        let live = Live {
            id: Some(id),
            own: false,
            user,
            share: self.share_of(prompt),
            wakes: 0,
            work: Work::Text(Box::new(text)),
            admitted_us: self.now,
            deadline_us: self.now + allowed,
            state: State::Active,
            strict: true,
        };
        self.model.live.insert(number, live);
        let (_, kept) = self.record_of(Kind::Admit, number)?;
        let keeps = policy.is_some_and(|policy| policy.keep_prompts == 1);
        claim!(
            self,
            Log,
            kept == if keeps { prompt } else { &[] },
            "a prompt of {} bytes is kept as {}",
            prompt.len(),
            kept.len()
        );
        if let Some(ledger) = self.model.ledgers.get_mut(user) {
            ledger.reserve(number, Self::most(prompt, params));
        }
        self.model.counts.admitted += 1;
        self.figures.admitted += 1;
        Ok(())
    }

    fn cancel(&mut self, id: u32) -> Held {
        let user = self.model.user;
        let found = self.model.live.iter().find(|(_, live)| live.id == Some(id));
        if let Some((number, _)) = found {
            let number = *number;
            let cancelled = Failure::of(ErrorCode::Cancelled);
            let Some(live) = self.model.live.get_mut(&number) else {
                return Ok(());
            };
            if live.user != user || live.state != State::Active {
                return Ok(());
            }
            match &mut live.work {
                Work::Text(text) => {
                    if std::mem::replace(&mut text.cancelled, true) {
                        return Ok(());
                    }
                    self.record_of(Kind::Cancel, number)?;
                    return self.is_asked_to_stop(number);
                }
                Work::Verify(_) => {
                    self.record_of(Kind::Cancel, number)?;
                    self.ends(number);
                    return self.failed(id, cancelled);
                }
                Work::Status => {
                    // Inference must answer it all the same.
                    live.id = None;
                    return self.failed(id, cancelled);
                }
                Work::Load(_) => return Ok(()),
            }
        }
        if self.model.owed.iter().any(|owed| owed.id == Some(id)) {
            return Ok(());
        }
        if let Some(at) = self.model.lists.iter().position(|list| list.id == id) {
            let list = self.model.lists.swap_remove(at);
            return self.list_ends(list);
        }
        self.failed(id, Failure::of(ErrorCode::NoSuchRequest))
    }

    /// Inference must be told, or audit must remember that it is to be.
    fn is_asked_to_stop(&mut self, number: u32) -> Held {
        let room = self.free[1] > 0;
        if room {
            self.commands(number, &Command::Cancel, Claim::Deadlines)?;
        }
        if let Some(text) = self.model.live.get_mut(&number).and_then(Live::text_mut) {
            text.stop_owed = !room;
        }
        Ok(())
    }

    fn user_now(&self) -> User {
        let Some(role) = self.role() else {
            return User::default();
        };
        let users = self.model.policy.map_or(&[][..], |p| p.users());
        self.describe(&users[self.model.user], &role)
    }

    fn describe(&self, user: &protocol::policy::User, role: &Role) -> User {
        User {
            name: user.name,
            role: role.name,
            permissions: role.permissions,
            has_passphrase: u32::from(user.passphrase.passes > 0),
        }
    }

    fn is_told_who(&mut self, id: u32) -> Held {
        let user = self.user_now();
        self.answered(id, &Event::User(user), Claim::Answers)
    }

    /// A login or logout: without a passphrase it costs nothing.
    fn comes_or_goes(&mut self, kind: Kind) -> Held {
        let user = self.model.user;
        let mut expected = Record::new(kind);
        expected.user = self.model.user_name(user);
        self.repeated(user, expected, !PASSPHRASES[user].is_empty())
    }

    fn log_in(
        &mut self,
        id: u32,
        name: UserName,
        passphrase: &[u8],
    ) -> Held<Result<(), Failure>> {
        let Ok(policy) = self.model.policy else {
            return Ok(Ok(()));
        };
        let found = self.model.find_user(name);
        let place = found.unwrap_or(policy.users().len());
        let attempts = self.model.attempts[place];
        let hashes = found.is_some_and(|at| !PASSPHRASES[at].is_empty());
        let mut earliest = attempts.next_us;
        if hashes {
            earliest = earliest.max(self.model.next_hash_us);
        }
        if self.now < earliest {
            let wait = earliest - self.now;
            return Ok(Err(Failure::over(ErrorCode::LoginDelayed, wait, 0)));
        }
        if hashes {
            self.model.next_hash_us = self.now + HASH_PAUSE_US;
        }
        if let Some(user) = found
            && PASSPHRASES[user] == passphrase
        {
            self.model.attempts[place] = crate::model::Attempts::default();
            self.model.user = user;
            self.comes_or_goes(Kind::Login)?;
            self.lists_end()?;
            return self.is_told_who(id).map(Ok);
        }
        let failures = attempts.failures + 1;
        let doubled = (1u64 << (failures - 1).min(40)).saturating_mul(policy.login_delay_us);
        let delay = doubled.min(policy.login_delay_max_us);
        self.model.attempts[place] = crate::model::Attempts {
            failures,
            next_us: self.now + delay,
        };
        Ok(Err(Failure::over(ErrorCode::LoginFailed, delay, 0)))
    }

    fn budget(&mut self, user: usize, told: &wire::console::Budget) -> Held {
        let name = self.model.user_name(user);
        let now = self.now;
        let Some(ledger) = self.model.ledgers.get_mut(user) else {
            return Ok(());
        };
        ledger.roll(now);
        let expected = wire::console::Budget {
            user: name,
            tokens: ledger.tokens,
            used: ledger.used,
            reserved: ledger.reserved(),
            period_us: ledger.period_us,
            left_us: ledger.left_us(now),
        };
        claim!(
            self,
            Budgets,
            *told == expected,
            "{told:?} should be {expected:?}"
        );
        Ok(())
    }

    fn stats(&mut self, told: &Stats) -> Held {
        if told.timeouts != self.model.counts.timeouts && !self.deadlines_done {
            self.deadlines()?;
        }
        self.budget(self.model.user, &told.budget)?;
        let counts = &self.model.counts;
        let (active, sessions) = self.under_way();
        let queued = self.model.texts().filter(|text| text.first_us.is_none());
        let by_code = |code: usize| {
            let count = counts.refused_by_code.get(&(code as u16));
            count.copied().unwrap_or(0)
        };
        let pairs = [
            ("uptime", told.uptime_us, self.now - self.model.booted_us),
            ("admitted", told.admitted, counts.admitted),
            ("refused", told.refused, counts.refused),
            ("finished", told.finished, counts.finished),
            ("cancelled", told.cancelled, counts.cancelled),
            ("failed", told.failed, counts.failed),
            ("prompt tokens", told.prompt_tokens, counts.prompt_tokens),
            ("tokens", told.generated_tokens, counts.generated_tokens),
            ("faults", told.faults, counts.faults),
            ("restarts", told.restarts, counts.restarts),
            ("timeouts", told.timeouts, counts.timeouts),
            ("violations", told.violations, counts.violations),
            ("evicted", told.evicted, counts.evicted),
            ("egress", told.egress_bytes, self.model.bucket.passed),
            ("active", u64::from(told.active), u64::from(active)),
            ("queued", u64::from(told.queued), queued.count() as u64),
            ("sessions", u64::from(told.sessions), u64::from(sessions)),
            (
                "stopped",
                u64::from(told.stopped),
                u64::from(self.model.phase == Phase::Stopped),
            ),
        ];
        let codes = told.refused_by_code.iter().enumerate();
        let wrong = codes.filter(|(code, count)| **count != by_code(*code)).count();
        // Of what audit writes down on its own, some may come after.
        let written = self.explained as u64..=self.history.len() as u64;
        claim!(
            self,
            Counters,
            written.contains(&told.records),
            "{} records of {written:?}",
            told.records
        );
        for (what, told, expected) in pairs {
            claim!(self, Counters, told == expected, "{what}: {told}, not {expected}");
        }
        claim!(self, Counters, wrong == 0, "{wrong} codes of refusals");
        Ok(())
    }

    // ---- Lists --------------------------------------------------------------------------------

    fn extent_now(&self) -> LogExtent {
        let head = self.explained.checked_sub(1).map_or([0; 32], |at| self.history[at].hash);
        LogExtent {
            first: 0,
            next: self.explained as u64 + 1,
            anchor: [0; 32],
            head,
        }
    }

    fn begins_list(&mut self, id: u32, request: &Request<'_>) -> Result<(), Failure> {
        let kind = match *request {
            Request::Models => {
                self.require(Permission::Infer)?;
                if self.model.store.is_none() {
                    let bytes = self.model.store_bytes;
                    return Err(Failure::over(ErrorCode::BadStore, bytes, 0));
                }
                ListKind::Models
            }
            Request::Users => ListKind::Users,
            Request::Sessions => {
                self.require(Permission::Infer)?;
                let all = self.require(Permission::Budget).is_ok();
                ListKind::Sessions((!all).then_some(self.model.user))
            }
            Request::Stats { .. } => {
                self.require(Permission::Infer)?;
                ListKind::Watch(true)
            }
            Request::Log(query) => {
                self.require(Permission::Log)?;
                if !query.user.is_empty() && self.model.find_user(query.user).is_none() {
                    return Err(Failure::of(ErrorCode::NoSuchUser));
                }
                let until = self.explained as u64 + 1;
                let next = match query.last {
                    0 => 1,
                    last => until.saturating_sub(last).max(1),
                };
                ListKind::Log {
                    query,
                    until,
                    next,
                    sent: None,
                }
            }
            _ => {
                self.require(Permission::Log)?;
                ListKind::Verify(self.extent_now())
            }
        };
        self.require_new(id)?;
        if self.model.lists.len() == LISTS {
            let limit = LISTS as u64;
            return Err(Failure::over(ErrorCode::Busy, limit, limit));
        }
        self.model.lists.push(List { id, kind, sent: 0 });
        Ok(())
    }

    /// All lists must end now.
    fn lists_end(&mut self) -> Held {
        while !self.model.lists.is_empty() {
            let id = match self.seen.front() {
                Some(Seen::Sent(Ring::Client, message)) => message.request,
                _ if self.free[0] == 0 => {
                    self.model.lists.clear();
                    return Ok(());
                }
                other => return broken(Claim::Lists, format!("a list must end, and {other:?}")),
            };
            let Some(at) = self.model.lists.iter().position(|list| list.id == id) else {
                return broken(Claim::Lists, format!("{id} is no list"));
            };
            let list = self.model.lists.swap_remove(at);
            self.list_ends(list)?;
        }
        Ok(())
    }

    /// A list must end now, before its end.
    fn list_ends(&mut self, list: List) -> Held {
        let Some(message) = self.answer(list.id).map_err(|broken| Broken {
            claim: Claim::Lists,
            ..broken
        })?
        else {
            return Ok(());
        };
        let frame = message.frame();
        let told = Event::parse(&frame);
        let right = match (&list.kind, &told) {
            (ListKind::Models | ListKind::Users | ListKind::Sessions(_), Ok(Event::Listed { count })) => {
                *count == list.sent
            }
            (ListKind::Log { sent, .. }, Ok(Event::LogEnd(extent))) => {
                self.is_sent(sent.as_ref(), extent)
            }
            (ListKind::Verify(_) | ListKind::Watch(_), Ok(Event::Done)) => true,
            _ => false,
        };
        claim!(self, Lists, right, "{told:?} at the end of {list:?}");
        Ok(())
    }

    fn is_sent(&self, sent: Option<&LogExtent>, told: &LogExtent) -> bool {
        match sent {
            Some(sent) => sent == told,
            None => {
                // Where it would have begun: after what there is, of which audit may have written some on its own.
                let written = self.explained as u64 + 1..=self.history.len() as u64 + 1;
                let head = told.next.checked_sub(2).map(|at| self.history.get(at as usize));
                written.contains(&told.next)
                    && (told.first, told.anchor) == (told.next, told.head)
                    && head.flatten().is_some_and(|last| last.hash == told.head)
            }
        }
    }

    /// Something that audit tells on its own.
    fn told(&mut self, message: &Message) -> Held {
        let id = message.request;
        let frame = message.frame();
        let Ok(event) = Event::parse(&frame) else {
            return broken(Claim::Answers, format!("{message:?} is no event"));
        };
        self.figures.comparisons += 1;
        // What it has looked for was there before this event.
        let room = self.free[0] + 1 > RESERVE;
        if id == 0 {
            self.own_verification_may_be_refused()?;
        }
        let blocked = self.model.notices.fault.is_some();
        let waits = self.model.owed.iter().any(|owed| owed.id.is_some());
        let Notices {
            fault,
            load_failed,
            exhausted,
            recovered,
            ready,
        } = &mut self.model.notices;
        match event {
            Event::Fault(told) if id == 0 && *fault == Some(told) => {
                *fault = None;
                return Ok(());
            }
            Event::Progress(_) => {
                let booting = id == 0 && self.model.phase == Phase::Booting;
                let loads = |live: &Live| {
                    live.id == Some(id) && matches!(live.work, Work::Load(_) | Work::Verify(_))
                };
                if room && (booting || self.model.live.values().any(loads)) {
                    return Ok(());
                }
            }
            _ if blocked => {}
            Event::Failed { failure, .. } if id == 0 && !waits && *load_failed == Some(failure) => {
                *load_failed = None;
                return Ok(());
            }
            Event::Failed { failure, .. } if id == 0 && !waits && *exhausted == Some(failure) => {
                *exhausted = None;
                return Ok(());
            }
            Event::Recovered { after_us, restarts }
                if !waits && *recovered == Some((after_us, restarts)) =>
            {
                *recovered = None;
                return Ok(());
            }
            Event::Ready(user) if id == 0 && !waits && *ready => {
                *ready = false;
                let now = self.user_now();
                claim!(self, Answers, user == now, "ready for {user:?}, who is {now:?}");
                return Ok(());
            }
            Event::Failed { failure, detail } if id != 0 => {
                self.verification_may_be_refused(Some((id, failure)))?;
                if let Some(at) = self.model.owed.iter().position(|owed| owed.id == Some(id)) {
                    let owed = self.model.owed.swap_remove(at);
                    if let Some(share) = self.model.shares.get_mut(owed.user) {
                        share.give_back(owed.share);
                    }
                    claim!(
                        self,
                        Answers,
                        room && failure == owed.failure
                            && (detail == owed.name.as_str().as_bytes()
                                || detail.is_empty() && failure.code == ErrorCode::Busy),
                        "{failure:?} for {owed:?}, {} slots free",
                        self.free[0]
                    );
                    return Ok(());
                }
            }
            _ => {}
        }
        let Some(at) = self.model.lists.iter().position(|list| list.id == id) else {
            return broken(Claim::Answers, format!("{id} is told {event:?}, and asked nothing"));
        };
        claim!(self, Flow, room, "{event:?} with {} slots free", self.free[0]);
        let mut list = self.model.lists.swap_remove(at);
        if !self.of_list(&mut list, &event)? {
            self.model.lists.push(list);
        }
        Ok(())
    }

    /// An event of a list; whether it was the last.
    fn of_list(&mut self, list: &mut List, event: &Event<'_>) -> Held<bool> {
        let place = list.sent as usize;
        let policy = self.model.policy.ok();
        let store = self.model.store.unwrap_or(&[]);
        let over = match (&mut list.kind, event) {
            (ListKind::Models, Event::Model(entry)) => {
                let right = store.get(place).is_some_and(|file| {
                    entry.name == file.name
                        && entry.file_bytes == file.bytes
                        && entry.loaded == (self.model.current == Some(place))
                });
                claim!(self, Lists, right, "{entry:?} in place {place}");
                false
            }
            (ListKind::Models, Event::Listed { count }) => {
                claim!(
                    self,
                    Lists,
                    *count == list.sent && place == store.len(),
                    "{count} models, {place} were sent, of {}",
                    store.len()
                );
                true
            }
            (ListKind::Users, Event::User(user)) => {
                let of_policy = policy.and_then(|policy| {
                    let user = policy.users().get(place)?;
                    Some(self.describe(user, policy.roles().get(user.role as usize)?))
                });
                claim!(self, Lists, of_policy == Some(*user), "{user:?} in place {place}");
                false
            }
            (ListKind::Users, Event::Listed { count }) => {
                let users = policy.map_or(0, |policy| policy.users().len());
                claim!(
                    self,
                    Lists,
                    *count == list.sent && place == users,
                    "{count} users, {place} were sent, of {users}"
                );
                true
            }
            (ListKind::Sessions(user), Event::Session(session)) => {
                let right = self.is_session(*user, session);
                claim!(self, Lists, right, "{session:?}, for {user:?}");
                false
            }
            (ListKind::Sessions(_), Event::Listed { count }) => {
                claim!(self, Lists, *count == list.sent, "{count} sessions of {place}");
                true
            }
            (ListKind::Watch(due), Event::Stats(stats)) => {
                claim!(self, Lists, std::mem::take(due), "counters twice in a second");
                self.stats(stats)?;
                false
            }
            (ListKind::Verify(extent), Event::LogVerified { extent: told, broken_at }) => {
                let right = *broken_at == 0
                    && (told.next, told.head) == (extent.next, extent.head)
                    && told.first <= told.next;
                claim!(self, Lists, right, "{told:?}, broken at {broken_at}, of {extent:?}");
                true
            }
            (ListKind::Log { query, until, next, sent }, Event::Record { record, text }) => {
                let sequence = record.sequence;
                let at = sequence as usize;
                let oldest = self.oldest;
                let passed = |s: u64| {
                    s < oldest || !query.user.is_empty()
                        && self.history[s as usize - 1].user != query.user
                };
                let right = sequence >= *next
                    && at <= self.history.len()
                    && (query.follow || sequence < *until)
                    && self.history[at - 1].hash == hash(record, text)
                    && (query.user.is_empty() || record.user == query.user)
                    && (*next..sequence).all(passed);
                claim!(self, Lists, right, "{record:?}, {next} is next of {query:?}");
                let (first, anchor) =
                    sent.map_or((sequence, record.previous), |sent| (sent.first, sent.anchor));
                *next = sequence + 1;
                *sent = Some(LogExtent {
                    first,
                    next: *next,
                    anchor,
                    head: self.history[at - 1].hash,
                });
                false
            }
            (ListKind::Log { query, until, next, sent }, Event::LogEnd(extent)) => {
                let LogQuery { user, follow, .. } = *query;
                let oldest = self.oldest;
                let passed = |s: u64| {
                    s < oldest || !user.is_empty() && self.history[s as usize - 1].user != user
                };
                let whole = !follow && (*next..*until).all(passed);
                let (sent, until) = (*sent, *until);
                let right = whole && self.is_sent(sent.as_ref(), extent);
                claim!(self, Lists, right, "{extent:?} at the end, of {sent:?} before {until}");
                true
            }
            (kind, event) => return broken(Claim::Lists, format!("{event:?} for {kind:?}")),
        };
        list.sent += 1;
        Ok(over)
    }

    fn is_session(&self, user: Option<usize>, told: &Session) -> bool {
        let sessions = &self.model.sessions;
        let state = |active: bool| match active {
            true => SessionState::Active,
            false => SessionState::Idle,
        };
        let present = sessions.present.values().map(|s| (s, state(s.active)));
        let gone = sessions.gone.iter().map(|(s, why)| match why {
            ErrorCode::SessionEvicted => (s, SessionState::Evicted),
            _ => (s, SessionState::Lost),
        });
        present.chain(gone).any(|(s, state)| {
            user.is_none_or(|user| user == s.user)
                && (told.name, told.number, told.turns) == (s.name, s.number, s.turns)
                && (told.tokens, told.state) == (s.tokens, state)
                && told.user == self.model.user_name(s.user)
                && told.idle_us == self.now.saturating_sub(s.last_us)
        })
    }

    // ---- What audit does on its own -----------------------------------------------------------

    fn commanded(&mut self, message: Message) -> Held {
        let frame = message.frame();
        match Command::parse(&frame) {
            Ok(Command::Load { offset, bytes }) => self.loads(message.request, offset, bytes),
            Ok(Command::Cancel) => {
                if !self.deadlines_done {
                    self.free[1] += 1;
                    self.seen.push_front(Seen::Sent(Ring::Inference, message));
                    return self.deadlines();
                }
                let text = self.model.live.get_mut(&message.request);
                let owed = text.and_then(Live::text_mut).map(|text| &mut text.stop_owed);
                claim!(
                    self,
                    Deadlines,
                    owed.map(std::mem::take) == Some(true),
                    "{} is asked to stop, and nobody wants it",
                    message.request
                );
                Ok(())
            }
            other => broken(Claim::Answers, format!("inference is told {other:?}")),
        }
    }

    fn loads(&mut self, number: u32, offset: u64, bytes: u64) -> Held {
        let expected = self.model.verifies();
        claim!(
            self,
            Models,
            expected == Some(number),
            "load {number}, and {expected:?} is being verified"
        );
        let text = self.model.texts().next().is_some();
        let now = self.now;
        let Some(live) = self.model.live.get_mut(&number) else {
            return Ok(());
        };
        let Work::Verify(model) = live.work else {
            return Ok(());
        };
        let own = live.own;
        live.work = Work::Load(model);
        (live.admitted_us, live.deadline_us) = (now, now + LOAD_DEADLINE_US);
        let file = self.model.store.and_then(|store| store.get(model));
        let right = file.is_some_and(|file| {
            (file.offset, file.bytes) == (offset, bytes) && file.signed == Signed::Well
        });
        claim!(self, Models, right, "{bytes} bytes at {offset} are loaded for {file:?}");
        claim!(self, Models, own || !text, "a user's load while text is generated");
        Ok(())
    }

    /// Audit may have ended a user's verification: what it tells, or what it has written down, shows that. If neither can
    /// be seen yet, it will be.
    fn verification_may_be_refused(&mut self, told: Option<(u32, Failure)>) -> Held {
        let Some(number) = self.model.verifies() else {
            return Ok(());
        };
        let Some(live) = self.model.live.get(&number).cloned() else {
            return Ok(());
        };
        let Some(file) = self.file_of(&live).filter(|_| !live.own) else {
            return Ok(());
        };
        let user = self.model.user_name(live.user);
        let written = self.refusals.front().filter(|record| {
            record.kind() == Some(Kind::Refuse) && record.user == user && record.name == file.name
        });
        let written = written.copied();
        let failure = match (told, &written) {
            (Some((id, failure)), _) if live.id == Some(id) => failure,
            (None, Some(record)) => Failure::over(
                ErrorCode::from_u16(record.code).unwrap_or(ErrorCode::Unsupported),
                record.value,
                record.limit,
            ),
            _ => return Ok(()),
        };
        let right = match failure.code {
            ErrorCode::BadSignature => file.signed == Signed::Badly,
            ErrorCode::ModelInUse => self.model.texts().next().is_some() || written.is_none(),
            ErrorCode::Busy => self.free[1] == 0 || written.is_none(),
            _ => false,
        };
        claim!(self, Models, right, "{file:?} is refused: {failure:?}");
        if written.is_some() || self.is_of_now() {
            return self.verification_refused(number, failure);
        }
        self.verification_was_refused(number, failure);
        Ok(())
    }

    /// A user's verification was refused at an earlier wake-up, and not written down then.
    fn verification_was_refused(&mut self, number: u32, failure: Failure) {
        let Some(live) = self.model.live.remove(&number) else {
            return;
        };
        self.owes(&live, failure);
        self.count_refusal(failure.code);
        let reason = (Kind::Refuse as u16, failure.code as u16);
        let repeats = self.model.repeats.entry((live.user, reason)).or_default();
        repeats.pending += 1;
    }

    /// The count of the next entry may show that a user's verification was refused.
    fn verification_may_be_counted(&mut self) {
        let number = self.model.verifies();
        let live = number.and_then(|number| self.model.live.get(&number));
        let (Some(number), Some(live), Some(record)) = (number, live, self.refusals.front()) else {
            return;
        };
        let user = live.user;
        let pending = self.model.repeats.get(&(user, (record.kind, record.code)));
        let pending = pending.map_or(0, |repeats| repeats.pending);
        let failure = match ErrorCode::from_u16(record.code) {
            Some(ErrorCode::Busy) => Failure::over(ErrorCode::Busy, SLOTS as u64, SLOTS as u64),
            Some(code @ (ErrorCode::BadSignature | ErrorCode::ModelInUse)) => Failure::of(code),
            _ => return,
        };
        let shows = record.kind() == Some(Kind::Refuse)
            && record.user == self.model.user_name(user)
            && record.count == pending + 1;
        if !live.own && shows {
            self.verification_was_refused(number, failure);
        }
    }

    /// Audit has read its rings in this wake-up, as far as can be seen.
    const fn is_of_now(&self) -> bool {
        self.took[0] + self.took[1] > 0
    }

    /// Looks at the deadlines, as audit must have.
    fn deadlines(&mut self) -> Held {
        self.deadlines_done = true;
        self.own_verification_may_be_refused()?;
        self.verification_may_be_refused(None)?;
        let now = self.now;
        let grace = self.model.policy.map_or(0, |policy| policy.stop_grace_us);
        let mut hung = false;
        let mut due = Vec::new();
        for (number, live) in &mut self.model.live {
            match live.state {
                State::Active if live.deadline_us <= now => {
                    if live.text().is_some() || self.heard {
                        due.push(*number);
                    } else {
                        live.deadline_us = now + grace;
                        live.strict = false;
                    }
                }
                State::Stopping(until) if until <= now => {
                    if self.heard {
                        hung = true;
                    } else {
                        live.state = State::Stopping(now + grace);
                        live.strict = false;
                    }
                }
                _ => {}
            }
        }
        while !due.is_empty() {
            let (record, _) = self.record(Kind::Timeout).map_err(|broken| Broken {
                claim: Claim::Deadlines,
                ..broken
            })?;
            let number = record.request;
            let at = due.iter().position(|due| *due == number);
            claim!(self, Deadlines, at.is_some(), "{record:?}, of {due:?}");
            due.swap_remove(at.unwrap_or(0));
            let Some(live) = self.model.live.get_mut(&number) else {
                continue;
            };
            live.share = live.share.saturating_sub(ENTRY);
            let live = live.clone();
            self.of_request(&record, number, &live)?;
            let allowed = live.deadline_us - live.admitted_us;
            claim!(self, Deadlines, record.limit == allowed, "{record:?}, it had {allowed}");
            self.model.counts.timeouts += 1;
            self.figures.timeouts += 1;
            if live.text().is_none() {
                hung = true;
                continue;
            }
            let until = live.deadline_us + grace;
            hung |= self.heard && until <= now;
            if let Some(live) = self.model.live.get_mut(&number) {
                live.state = State::Stopping(until);
                live.strict &= self.heard;
            }
            self.is_asked_to_stop(number)?;
        }
        let full = self.model.full_since_us;
        hung |= full.is_some_and(|since| now - since >= LOAD_DEADLINE_US);
        if hung {
            let fault = Fault {
                kind: FaultKind::Unresponsive,
                ip: 0,
                address: 0,
            };
            self.restart(fault, ErrorCode::Unresponsive)?;
        }
        Ok(())
    }

    /// Nothing may be left.
    fn finish(&mut self) -> Held {
        if !self.deadlines_done {
            self.deadlines()?;
        } else {
            self.verification_may_be_refused(None)?;
        }
        self.record_violations()?;
        self.record_repeats()?;
        let left = self.records.front().map(|(record, _)| record);
        let left = left.or(self.refusals.front()).or(self.violations.front());
        claim!(self, Log, left.is_none(), "nobody knows why: {left:?}");
        let model = &mut self.model;
        let owes_stop = model.texts().any(|text| text.stop_owed);
        claim!(
            self,
            Deadlines,
            !owes_stop || self.free[1] == 0,
            "a request is to be stopped, and inference is not told"
        );
        if !self.model.owed.iter().any(|owed| owed.id.is_some()) {
            for owed in std::mem::take(&mut self.model.owed) {
                if let Some(share) = self.model.shares.get_mut(owed.user) {
                    share.give_back(owed.share);
                }
            }
        }
        let model = &self.model;
        // A user's verification may have been refused: what can be seen of that may wait, too.
        let of_user = |live: &Live| !live.own && matches!(live.work, Work::Verify(_));
        let owes = !model.owed.is_empty() || model.live.values().any(of_user);
        let room = self.free[0];
        let told = match model.notices.fault {
            Some(_) => room == 0,
            None if owes && room <= RESERVE => true,
            None => model.owed.is_empty() && (room == 0 || model.notices.are_told()),
        };
        claim!(
            self,
            Answers,
            told,
            "{room} slots are free, and {:?} and {:?} are not told",
            self.model.notices,
            self.model.owed
        );
        self.was_full = room <= RESERVE;
        for live in self.model.live.values_mut() {
            live.wakes += 1;
            if matches!(live.work, Work::Verify(_)) && live.wakes > VERIFIED_WITHIN && room > RESERVE {
                return broken(Claim::Loads, format!("{live:?} goes on and on"));
            }
        }
        Ok(())
    }

    /// What could be read was.
    fn has_read(&mut self, offers: [bool; 2], restarted: bool) -> Held {
        let room = self.free[0] > RESERVE;
        // Without a policy there is no cap that it could be below: nothing is taken.
        let allows = self.model.policy.is_ok() && self.model.bucket.allows(self.now);
        let rest = offers[1] && self.took[1] < SLOTS && room && allows && !restarted;
        claim!(self, Flow, !rest, "a report is left, {} were taken", self.took[1]);
        // Where requests are left, the wake-up was long: the timer has the rest.
        Ok(())
    }

    /// The timer is armed for all that waits for time alone.
    fn timer(
        &mut self,
        armed: Option<(Option<u64>, u64)>,
        offers: [bool; 2],
        cause: Cause,
    ) -> Held {
        let Some((at, now)) = armed else {
            return broken(Claim::TimerArmed, "the timer is not touched".into());
        };
        let by = at.unwrap_or(u64::MAX);
        if by <= now {
            return broken(
                Claim::TimerAhead,
                format!("armed for {by}, and it is {now}"),
            );
        }
        for live in self.model.live.values() {
            let until = match live.state {
                State::Active => live.deadline_us,
                State::Stopping(until) => until,
            };
            if until != u64::MAX && by > until.max(self.last_clock + GAP_US) {
                return broken(Claim::TimerArmed, format!("for {at:?}, and {live:?}"));
            }
        }
        let room = self.free[0] > RESERVE;
        let checks = |list: &List| matches!(list.kind, ListKind::Verify(_));
        let verifies = self.model.verifies().and_then(|number| self.model.live.get(&number));
        // A user's may have been refused, and not told.
        let verifies = verifies.is_some_and(|live| live.own || room);
        let reads = !matches!(cause, Cause::Fault(_) | Cause::Start);
        let works = verifies
            || room && self.model.lists.iter().any(checks)
            || room && reads && offers[0] && self.took[0] < SLOTS;
        claim!(
            self,
            TimerArmed,
            !works || by <= now + SLICE_WITHIN_US,
            "for {at:?} at {now}, and there is work"
        );
        let mut until = u64::MAX;
        let running = self.model.phase != Phase::Stopped
            && self.model.policy.is_ok()
            && !matches!(cause, Cause::Fault(_));
        if offers[1] && room && running && self.took[1] < SLOTS {
            until = (self.model.bucket.allows_at() + 1).max(self.last_clock + GAP_US);
        }
        claim!(
            self,
            TimerArmed,
            by <= until,
            "for {at:?}, and a report may pass at {until}"
        );
        Ok(())
    }

    /// No deadline is overdue by more than a watchdog's period and what a wake-up takes, at a time at which ticks come.
    ///
    /// # Errors
    /// One is.
    pub fn in_time(&mut self, now: u64, work_us: u64) -> Held {
        let grace = self.model.policy.map_or(0, |policy| policy.stop_grace_us);
        for (number, live) in &self.model.live {
            self.figures.comparisons += 1;
            let allowed = grace + WATCHDOG_PERIOD_US + work_us;
            let latest = live.deadline_us.saturating_add(allowed);
            if live.strict && now > latest {
                return broken(
                    Claim::Deadlines,
                    format!("{number} is there at {now}, {live:?} until {latest}"),
                );
            }
        }
        Ok(())
    }

    /// All that was asked has its end.
    ///
    /// # Errors
    /// Something is left.
    pub fn settled(&mut self) -> Held {
        let model = &self.model;
        let reserved: u64 = model.ledgers.iter().map(crate::model::Ledger::reserved).sum();
        let over = model.live.is_empty()
            && model.owed.is_empty()
            && model.lists.is_empty()
            && model.notices.fault.is_none()
            && model.notices.are_told()
            && reserved == 0;
        claim!(
            self,
            Settles,
            over,
            "live {:?}, owed {:?}, lists {:?}, notices {:?}, reserved {reserved}",
            self.model.live,
            self.model.owed,
            self.model.lists,
            self.model.notices
        );
        self.figures.comparisons += self.ends.all_over()?;
        Ok(())
    }
}

/// Kind of the command that loads a model.
const LOAD: u16 = 0x203;

/// Whether a request that fails so before its first token leaves its session as it was.
fn leaves_session(code: ErrorCode) -> bool {
    use ErrorCode as Code;
    [
        Code::PromptTokens,
        Code::PromptBytes,
        Code::EmptyPrompt,
        Code::PromptNotUtf8,
        Code::ContextFull,
        Code::CacheFull,
        Code::UnsupportedModel,
        Code::Busy,
    ]
    .contains(&code)
}

/// Whether inference may give this reason.
fn is_inferences(code: ErrorCode) -> bool {
    use ErrorCode as Code;
    let others = [
        Code::MaxTokens,
        Code::NoSuchRequest,
        Code::SessionEvicted,
        Code::NoModel,
        Code::BadModel,
        Code::ModelTooLarge,
        Code::BadStore,
        Code::ModelInUse,
        Code::NonFinite,
        Code::Unsupported,
    ];
    leaves_session(code) || others.contains(&code)
}
