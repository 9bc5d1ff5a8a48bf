//! The claims: a wake-up of the monitor beside what the reference says of it.
//!
//! The judge walks the journal of a wake-up in order. What audit took tells it what must follow; what audit sent, wrote
//! down and armed must be that and no more. What audit sends on its own (lists, notices, ends that waited) must be owed.
//! Claims that need no reference (the chain, the bucket, one end for each number) are kept apart from it.

macro_rules! claim {
    ($self:ident, $claim:ident, $condition:expr, $($detail:tt)+) => {
        $self.figures.comparisons += 1;
        if !$condition {
            return Err(Broken { claim: Claim::$claim, detail: format!($($detail)+) });
        }
    };
}

mod lists;
mod records;
mod recovery;
mod reports;
mod requests;

use crate::ends::Ends;
use crate::model::{ENTRY, List, ListKind, Live, Model, Phase, State, Work};
use crate::world::{Cause, Message, Ring, Seen, Wake};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_SESSIONS, WATCHDOG_PERIOD_US};
use protocol::name::{ModelName, Name, UserName};
use protocol::record::{Hash, Kind, Record};
use protocol::ring::SLOTS;
use protocol::wire::client::Event;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;

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

/// When the timer fires, and when it was armed.
type Armed = (Option<u64>, u64);

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
    let entry = Sha256::new_with_prefix(record.to_bytes()).chain_update(text);
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
    /// The life of inference has written nothing.
    silent: bool,
    /// A share of the log was given back in this wake-up, before or after what is due was written down.
    gave_back: bool,
    /// The client's ring had no room beside the reserve when the last wake-up ended.
    was_full: bool,
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
            silent: true,
            gave_back: false,
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
                Seen::Restarted(_) | Seen::Stopped(_) => {
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
    fn begin(&mut self, wake: Wake) -> Held<(bool, Option<Armed>)> {
        self.free = wake.free;
        self.silent = wake.silent;
        self.oldest = wake.oldest;
        self.took = [0; 2];
        self.deadlines_done = false;
        let mut clocks = wake.seen.iter().filter_map(|seen| match seen {
            Seen::Clock(now) => Some(*now),
            _ => None,
        });
        let first = clocks.next();
        self.now = first.unwrap_or(self.now);
        self.last_clock = clocks.next_back().or(first).unwrap_or(self.now);
        let (mut restarted, mut armed) = (false, None);
        let (mut owes, mut signalled) = ([false; 2], [false; 2]);
        for seen in &wake.seen {
            match seen {
                Seen::Sent(ring, _) | Seen::Took(ring, _) => owes[*ring as usize] = true,
                Seen::Signalled(ring) => signalled[*ring as usize] = true,
                Seen::Restarted(_) | Seen::Stopped(_) => restarted = true,
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
            !matches!(
                seen,
                Seen::Clock(_) | Seen::Signalled(_) | Seen::Armed { .. }
            )
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
        // A wrong passphrase is bounded by the wait that it costs, and out of nobody's share.
        if record.code == ErrorCode::LoginFailed as u16 && record.kind() == Some(Kind::LoginFailed)
        {
            return Ok(());
        }
        let since = record.time_us;
        let user = self.model.find_user(record.user);
        if let Some(share) = user.and_then(|user| self.model.shares.get_mut(user)) {
            share.used += ENTRY + text;
            let used = share.used;
            claim!(
                self,
                Shares,
                share.holds(since),
                "{used} bytes by {}",
                record.user
            );
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
                format!(
                    "{kind:?} must be written down, not {:?}",
                    other.map(|r| r.0)
                ),
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
        self.gave_back = false;
        for live in self.model.live.values_mut() {
            live.wakes += 1;
            if matches!(live.work, Work::Verify(_))
                && live.wakes > VERIFIED_WITHIN
                && room > RESERVE
            {
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
        claim!(
            self,
            Flow,
            !rest,
            "a report is left, {} were taken",
            self.took[1]
        );
        // Where requests are left, the wake-up was long: the timer has the rest.
        Ok(())
    }

    /// The timer is armed for all that waits for time alone.
    fn timer(&mut self, armed: Option<Armed>, offers: [bool; 2], cause: Cause) -> Held {
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
        let verifies = self
            .model
            .verifies()
            .and_then(|number| self.model.live.get(&number));
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
        let reserved: u64 = model
            .ledgers
            .iter()
            .map(crate::model::Ledger::reserved)
            .sum();
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
