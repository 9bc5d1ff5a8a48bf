//! The reference: what a monitor that keeps its promises would know, in the shortest form that says it.
//!
//! Nothing here is shared with audit. Where audit counts, this keeps a list; where audit has slots, this has a map.

use crate::store::{ModelFile, Signed};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_SESSIONS;
use protocol::name::{ModelName, SessionName, UserName};
use protocol::policy::{MIN_LOG_BYTES_PER_HOUR, Policy};
use protocol::record::{Hash, Record};
use protocol::wire::console::{LogExtent, LogQuery};
use protocol::wire::{Fault, InferParams};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, VecDeque};

/// Tokens of one user.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Most in a period.
    pub tokens: u64,
    /// The period.
    pub period_us: u64,
    began_us: u64,
    /// Reserved in this period, by request.
    open: BTreeMap<u32, u64>,
    /// Used in this period.
    pub used: u64,
}

impl Ledger {
    /// A budget whose period begins now.
    #[must_use]
    pub const fn new(tokens: u64, period_us: u64, now: u64) -> Self {
        Self {
            tokens,
            period_us,
            began_us: now,
            open: BTreeMap::new(),
            used: 0,
        }
    }

    /// A period that is over takes its charges with it.
    pub fn roll(&mut self, now: u64) {
        let periods = now.saturating_sub(self.began_us) / self.period_us;
        if periods > 0 {
            self.began_us += periods * self.period_us;
            self.open.clear();
            self.used = 0;
        }
    }

    /// Reserved in this period.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.open.values().sum()
    }

    /// What can be reserved.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.tokens
            .saturating_sub(self.used)
            .saturating_sub(self.reserved())
    }

    /// A request has been admitted.
    pub fn reserve(&mut self, number: u32, tokens: u64) {
        self.open.insert(number, tokens);
    }

    /// It has ended. One of an earlier period is not there any more.
    pub fn settle(&mut self, number: u32, used: u64, now: u64) {
        self.roll(now);
        if self.open.remove(&number).is_some() {
            self.used += used;
        }
    }

    /// Another limit or period, and a new period that keeps what was used.
    pub fn change(&mut self, tokens: Option<u64>, period_us: Option<u64>, now: u64) {
        self.roll(now);
        self.tokens = tokens.unwrap_or(self.tokens);
        self.period_us = period_us.unwrap_or(self.period_us);
        self.began_us = now;
    }

    /// Time that is left of the period.
    #[must_use]
    pub const fn left_us(&self, now: u64) -> u64 {
        self.began_us + self.period_us - now
    }
}

/// A conversation.
#[derive(Clone, Debug)]
pub struct Session {
    /// Whose.
    pub user: usize,
    /// Empty for a single request.
    pub name: SessionName,
    /// In the log.
    pub number: u32,
    /// Admitted ones.
    pub turns: u32,
    /// Of its turns.
    pub tokens: u64,
    /// When it was last used.
    pub last_us: u64,
    /// Has a request under way.
    pub active: bool,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    /// By the slot that inference knows.
    pub present: BTreeMap<u32, Session>,
    /// Ended without their users' doing, the oldest first, and why.
    pub gone: VecDeque<(Session, ErrorCode)>,
    /// The newest number.
    pub last_number: u32,
}

/// Where a request would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On with the session in this slot.
    On(u32),
    /// Into a free slot.
    Free,
    /// Into the slot of one of these, which are equally old.
    InsteadOf(Vec<u32>),
}

impl Sessions {
    fn slot_of(&self, user: usize, name: SessionName) -> Option<u32> {
        let mut found = self.present.iter();
        let found = found.find(|(_, s)| s.user == user && s.name == name && !name.is_empty());
        found.map(|(slot, _)| *slot)
    }

    fn gone_at(&self, user: usize, name: SessionName) -> Option<usize> {
        let of_name = |(s, _): &(Session, ErrorCode)| s.user == user && s.name == name;
        self.gone.iter().position(of_name)
    }

    fn oldest_idle(&self, user: Option<usize>) -> Vec<u32> {
        let idle = |s: &Session| !s.active && user.is_none_or(|user| s.user == user);
        let of_age = self.present.values().filter(|s| idle(s));
        let oldest = of_age.map(|s| s.last_us).min();
        let oldest = self
            .present
            .iter()
            .filter(|(_, s)| idle(s) && Some(s.last_us) == oldest);
        oldest.map(|(slot, _)| *slot).collect()
    }

    /// Where a turn goes. Who comes back to what has ended is told so, and then it is forgotten.
    ///
    /// # Errors
    /// Why it goes nowhere.
    pub fn place(
        &mut self,
        user: usize,
        name: SessionName,
        limit: usize,
    ) -> Result<Place, Failure> {
        if let Some(slot) = self.slot_of(user, name) {
            return match self.present[&slot].active {
                true => Err(Failure::of(ErrorCode::SessionBusy)),
                false => Ok(Place::On(slot)),
            };
        }
        if !name.is_empty()
            && let Some(at) = self.gone_at(user, name)
            && let Some((session, why)) = self.gone.remove(at)
        {
            return Err(Failure::over(why, u64::from(session.turns), 0));
        }
        let own = self.present.values().filter(|s| s.user == user).count();
        if own >= limit {
            let instead = self.oldest_idle(Some(user));
            return match instead.is_empty() {
                false => Ok(Place::InsteadOf(instead)),
                true => Err(Failure::over(
                    ErrorCode::TooManySessions,
                    own as u64,
                    limit as u64,
                )),
            };
        }
        if self.present.len() < MAX_SESSIONS {
            return Ok(Place::Free);
        }
        let instead = self.oldest_idle(None);
        match instead.is_empty() {
            false => Ok(Place::InsteadOf(instead)),
            true => {
                let all = MAX_SESSIONS as u64;
                Err(Failure::over(ErrorCode::TooManyRequests, all, all))
            }
        }
    }

    /// A turn begins in `slot`; the session's number and turn.
    pub fn begin(&mut self, slot: u32, user: usize, name: SessionName, now: u64) -> (u32, u32) {
        let next = self.last_number + 1;
        let session = self.present.entry(slot).or_insert_with(|| Session {
            user,
            name,
            number: next,
            turns: 0,
            tokens: 0,
            last_us: now,
            active: true,
        });
        session.turns += 1;
        (session.active, session.last_us) = (true, now);
        self.last_number = self.last_number.max(session.number);
        (session.number, session.turns)
    }

    /// A turn has ended well.
    pub fn rest(&mut self, slot: u32, tokens: u64, now: u64) {
        if let Some(session) = self.present.get_mut(&slot) {
            session.active = false;
            session.tokens += tokens;
            session.last_us = now;
            if session.name.is_empty() {
                self.present.remove(&slot);
            }
        }
    }

    /// A session is over; it is remembered if it has a name.
    pub fn end(&mut self, slot: u32, why: ErrorCode) -> Option<Session> {
        let session = self.present.remove(&slot)?;
        if !session.name.is_empty() {
            if self.gone.len() == MAX_SESSIONS {
                self.gone.pop_front();
            }
            self.gone.push_back((session.clone(), why));
        }
        Some(session)
    }

    /// All are over.
    pub fn end_all(&mut self) {
        for slot in 0..MAX_SESSIONS as u32 {
            self.end(slot, ErrorCode::SessionLost);
        }
    }

    /// Its user does not want it any more: where it lay, and its number.
    ///
    /// # Errors
    /// There is none, or it is at work.
    pub fn close(&mut self, user: usize, name: SessionName) -> Result<(Option<u32>, u32), Failure> {
        if let Some(slot) = self.slot_of(user, name) {
            if self.present[&slot].active {
                return Err(Failure::of(ErrorCode::SessionBusy));
            }
            let session = self.present.remove(&slot);
            return Ok((Some(slot), session.map_or(0, |s| s.number)));
        }
        let gone = self.gone_at(user, name).filter(|_| !name.is_empty());
        match gone.and_then(|at| self.gone.remove(at)) {
            Some((session, _)) => Ok((None, session.number)),
            None => Err(Failure::of(ErrorCode::NoSuchSession)),
        }
    }
}

/// A bucket for the egress cap, in bytes times microseconds a second. It may be overdrawn, to show it.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: i128,
    burst: i128,
    level: i128,
    filled_us: u64,
    /// Bytes in all.
    pub passed: u64,
}

/// What audit wants to find before it reads: the longest text, the fixed part of a failure, and 8.
const LARGEST_BYTES: i128 = 288;

const SECOND_US: i128 = 1_000_000;

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn new(policy: &Policy, now: u64) -> Self {
        let burst = i128::from(policy.egress_burst_bytes) * SECOND_US;
        Self {
            rate: i128::from(policy.egress_bytes_per_second),
            burst,
            level: burst,
            filled_us: now,
            passed: 0,
        }
    }

    fn fill(&mut self, now: u64) {
        self.level += i128::from(now.saturating_sub(self.filled_us)) * self.rate;
        self.level = self.level.min(self.burst);
        self.filled_us = self.filled_us.max(now);
    }

    /// A report with so much payload has passed; false if there were not as many bytes.
    pub fn take(&mut self, payload: usize, now: u64) -> bool {
        self.fill(now);
        let bytes = payload as u64 + 8;
        self.passed += bytes;
        self.level -= i128::from(bytes) * SECOND_US;
        self.level >= 0
    }

    /// Whether the largest report would find its bytes.
    pub fn allows(&mut self, now: u64) -> bool {
        self.fill(now);
        self.level >= LARGEST_BYTES * SECOND_US
    }

    /// When it would at the latest.
    #[must_use]
    pub fn allows_at(&self) -> u64 {
        let missing = (LARGEST_BYTES * SECOND_US - self.level).max(0);
        self.filled_us + (missing / self.rate) as u64 + 1
    }
}

/// A user's wrong passphrases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempts {
    /// In a row.
    pub failures: u32,
    /// When the next try is heard.
    pub next_us: u64,
}

const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3600 * SECOND;

/// Events of one author for one reason that are written down ever more rarely, with counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Repeats {
    /// Without an entry.
    pub pending: u64,
    /// Value and limit of the newest.
    pub newest: (u64, u64),
    recorded_us: u64,
    /// How long the next entry waits after the last; 0: there was none.
    pause_us: u64,
}

impl Repeats {
    /// Whether the next entry's time has come.
    #[must_use]
    pub fn due(&self, now: u64) -> bool {
        self.pause_us == 0 || now >= self.recorded_us + self.pause_us.min(HOUR)
    }

    /// An entry has counted all that was pending.
    pub fn recorded(&mut self, now: u64) {
        self.pause_us = match self.pause_us {
            0 => SECOND,
            _ if now - self.recorded_us >= 2 * HOUR => SECOND,
            pause if pause >= HOUR => pause,
            pause => 2 * pause,
        };
        self.recorded_us = now;
        self.pending = 0;
    }

    /// Its author's share of the log has no room for it.
    pub fn postpone(&mut self, now: u64) {
        self.recorded_us = now;
        self.pause_us = self.pause_us.max(SECOND);
    }
}

/// What a user can repeat: a kind of record with a code, and the permission that was wanting.
pub type Reason = (u16, u16, u64);

/// Why this entry was written.
#[must_use]
pub fn reason(record: &Record) -> Reason {
    let permission = match record.code == ErrorCode::NotPermitted as u16 {
        true => record.value,
        false => 0,
    };
    (record.kind, record.code, permission)
}

/// Bytes of an entry of the log.
pub const ENTRY: u64 = protocol::record::RECORD_BYTES as u64;

/// One user's share of the log, in bytes times microseconds an hour.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    rate: u128,
    level: u128,
    filled_us: u64,
    /// Bytes that entries have taken.
    pub used: u64,
}

impl Share {
    /// A full one, for so many bytes an hour.
    #[must_use]
    pub fn new(rate: u32, now: u64) -> Self {
        let rate = u128::from(rate);
        Self {
            rate,
            level: rate * u128::from(HOUR),
            filled_us: now,
            used: 0,
        }
    }

    fn add(&mut self, level: u128) {
        self.level = (self.level + level).min(self.rate * u128::from(HOUR));
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// How many there are instead.
    pub fn take(&mut self, bytes: u64, now: u64) -> Result<(), u64> {
        self.add(u128::from(now.saturating_sub(self.filled_us)) * self.rate);
        self.filled_us = self.filled_us.max(now);
        let wanted = u128::from(bytes) * u128::from(HOUR);
        match self.level.checked_sub(wanted) {
            Some(left) => {
                self.level = left;
                Ok(())
            }
            None => Err((self.level / u128::from(HOUR)) as u64),
        }
    }

    /// Gives back what was not used.
    pub fn give_back(&mut self, bytes: u64) {
        self.add(u128::from(bytes) * u128::from(HOUR));
    }

    /// Whether all entries so far are no more than an hour's worth and what time has given.
    #[must_use]
    pub fn holds(&self, since: u64) -> bool {
        u128::from(self.used) * u128::from(HOUR) <= self.rate * u128::from(HOUR + since)
    }
}

/// What audit is doing as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The first model is being loaded.
    Booting,
    /// As it should be.
    Serving,
    /// Loads its model again since then.
    Recovering(u64),
    /// No more restarts.
    Stopped,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Inference has it.
    Active,
    /// It was asked to stop; restart then.
    Stopping(u64),
}

/// A request for text.
#[derive(Clone, Debug)]
pub struct Text {
    /// Of its session.
    pub slot: u32,
    /// Of its session.
    pub session: u32,
    /// Of its session.
    pub turn: u32,
    /// As asked for.
    pub params: InferParams,
    /// As asked for.
    pub prompt_bytes: u32,
    /// Of the prompt.
    pub prompt_sha256: Hash,
    /// That passed.
    pub tokens: u32,
    /// Of them.
    pub output: Sha256,
    /// When the first passed.
    pub first_us: Option<u64>,
    /// By its user.
    pub cancelled: bool,
    /// Inference's ring had no room for the command.
    pub stop_owed: bool,
}

impl Text {
    /// SHA-256 of what passed.
    #[must_use]
    pub fn output_sha256(&self) -> Hash {
        self.output.clone().finalize().into()
    }
}

/// What a request is for.
#[derive(Clone, Debug)]
pub enum Work {
    /// Text.
    Text(Box<Text>),
    /// A model of the store, by index, that audit verifies.
    Verify(usize),
    /// A model of the store, by index, that inference loads.
    Load(usize),
    /// What inference holds.
    Status,
}

/// A request that inference has.
#[derive(Clone, Debug)]
pub struct Live {
    /// The client's number; `None`: audit's own load, or one whose client has been told that it is cancelled.
    pub id: Option<u32>,
    /// Audit's own load.
    pub own: bool,
    /// Who was logged in.
    pub user: usize,
    /// Bytes of the user's share of the log that its entries may yet take.
    pub share: u64,
    /// Wake-ups that have seen it.
    pub wakes: u64,
    /// What for.
    pub work: Work,
    /// When it was admitted.
    pub admitted_us: u64,
    /// When it must be over.
    pub deadline_us: u64,
    /// Where it stands.
    pub state: State,
    /// Its deadline counts as is: nobody's reading has moved it.
    pub strict: bool,
}

impl Live {
    /// The request for text.
    #[must_use]
    pub fn text(&self) -> Option<&Text> {
        match &self.work {
            Work::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The request for text.
    pub fn text_mut(&mut self) -> Option<&mut Text> {
        match &mut self.work {
            Work::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A request that has ended and whose client has yet to hear of it.
#[derive(Clone, Copy, Debug)]
pub struct Owed {
    /// The client's number; `None`: it does not wait for it.
    pub id: Option<u32>,
    /// Who asked.
    pub user: usize,
    /// Why.
    pub failure: Failure,
    /// Of the model of a load.
    pub name: ModelName,
    /// Gone back when it is told.
    pub share: u64,
}

/// Notices that the client has yet to hear.
#[derive(Clone, Copy, Debug, Default)]
pub struct Notices {
    /// Inference died or was stopped.
    pub fault: Option<Fault>,
    /// Audit's own load failed.
    pub load_failed: Option<Failure>,
    /// Audit has stopped trying.
    pub exhausted: Option<Failure>,
    /// Inference serves again, after so long and so many restarts.
    pub recovered: Option<(u64, u32)>,
    /// The client may begin.
    pub ready: bool,
}

impl Notices {
    /// None but a fault is left.
    #[must_use]
    pub const fn are_told(&self) -> bool {
        self.load_failed.is_none()
            && self.exhausted.is_none()
            && self.recovered.is_none()
            && !self.ready
    }
}

/// What is being listed.
#[derive(Clone, Debug)]
pub enum ListKind {
    /// Models.
    Models,
    /// Users.
    Users,
    /// Sessions, of one user or all.
    Sessions(Option<usize>),
    /// Entries of the log.
    Log {
        /// As asked for.
        query: LogQuery,
        /// Ends before this one, if it does not follow.
        until: u64,
        /// The next that can come.
        next: u64,
        /// What was sent.
        sent: Option<LogExtent>,
    },
    /// A check of the log that had this extent.
    Verify(LogExtent),
    /// Counters; whether a tick has come since the last.
    Watch(bool),
}

/// A list that is open.
#[derive(Clone, Debug)]
pub struct List {
    /// The client's number.
    pub id: u32,
    /// What.
    pub kind: ListKind,
    /// Events that were sent.
    pub sent: u32,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Counts {
    pub admitted: u64,
    pub refused: u64,
    pub finished: u64,
    pub cancelled: u64,
    pub failed: u64,
    pub prompt_tokens: u64,
    pub generated_tokens: u64,
    pub faults: u64,
    pub restarts: u64,
    pub timeouts: u64,
    pub violations: u64,
    pub evicted: u64,
    pub refused_by_code: BTreeMap<u16, u32>,
}

/// Everything that a monitor would know.
#[derive(Debug)]
pub struct Model<'m> {
    /// `None`: it is no policy, with this number of the reason.
    pub policy: Result<&'m Policy, u64>,
    /// What lies in the store; `None`: it is no archive.
    pub store: Option<&'m [ModelFile]>,
    /// Size of the store's archive.
    pub store_bytes: u64,
    /// When audit started.
    pub booted_us: u64,
    /// As a whole.
    pub phase: Phase,
    /// Who is logged in.
    pub user: usize,
    /// By user.
    pub ledgers: Vec<Ledger>,
    /// By user, and after them those of names that nobody has.
    pub attempts: Vec<Attempts>,
    /// When a passphrase may be hashed again.
    pub next_hash_us: u64,
    /// All of them.
    pub sessions: Sessions,
    /// By audit's number.
    pub live: BTreeMap<u32, Live>,
    /// In no order.
    pub owed: Vec<Owed>,
    /// In no order.
    pub lists: Vec<List>,
    /// The model that is loaded after a restart.
    pub wanted: ModelName,
    /// The model in service, by index.
    pub current: Option<usize>,
    /// Why the runtime has refused the last restart or stop, as the protocol numbers it.
    pub refused: Option<u64>,
    /// Times of the restarts within the window.
    pub restarts_us: VecDeque<u64>,
    /// See there.
    pub notices: Notices,
    /// By user.
    pub shares: Vec<Share>,
    /// By user and reason.
    pub repeats: BTreeMap<(usize, Reason), Repeats>,
    /// Since when inference's ring has had no room whenever audit woke.
    pub full_since_us: Option<u64>,
    /// The newest number of a command.
    pub last_number: u32,
    /// Epoch of inference's ring.
    pub epoch: u32,
    /// See there.
    pub bucket: Bucket,
    /// Of client and inference.
    pub violations: [Repeats; 2],
    /// See there.
    pub counts: Counts,
}

impl<'m> Model<'m> {
    /// Before the start.
    #[must_use]
    pub fn new(
        policy: Result<&'m Policy, u64>,
        store: Option<&'m [ModelFile]>,
        store_bytes: u64,
    ) -> Self {
        let none = protocol::testing::policy();
        let (users, default) = policy.map_or((0, 0), |p| (p.users().len(), p.default_user));
        Self {
            policy,
            store,
            store_bytes,
            booted_us: 0,
            phase: Phase::Booting,
            user: default as usize,
            ledgers: Vec::new(),
            attempts: vec![Attempts::default(); users + 1],
            next_hash_us: 0,
            sessions: Sessions::default(),
            live: BTreeMap::new(),
            owed: Vec::new(),
            lists: Vec::new(),
            wanted: ModelName::new(protocol::limits::DEFAULT_MODEL).unwrap_or_default(),
            current: None,
            refused: None,
            restarts_us: VecDeque::new(),
            notices: Notices::default(),
            shares: vec![Share::new(0, 0); users.max(1)],
            repeats: BTreeMap::new(),
            full_since_us: None,
            last_number: 0,
            epoch: 1,
            bucket: Bucket::new(policy.unwrap_or(&none), 0),
            violations: [Repeats::default(); 2],
            counts: Counts::default(),
        }
    }

    /// Audit starts.
    pub fn boot(&mut self, now: u64) {
        self.booted_us = now;
        if let Ok(policy) = self.policy {
            self.bucket = Bucket::new(policy, now);
            let ledger =
                |u: &protocol::policy::User| Ledger::new(u.budget_tokens, u.budget_period_us, now);
            self.ledgers = policy.users().iter().map(ledger).collect();
            let share = |u: &protocol::policy::User| {
                Share::new(policy.roles()[u.role as usize].log_bytes_per_hour, now)
            };
            self.shares = policy.users().iter().map(share).collect();
        } else {
            // Who asks without a policy is refused as somebody.
            self.shares = vec![Share::new(MIN_LOG_BYTES_PER_HOUR, now)];
        }
    }

    /// Name of a user.
    #[must_use]
    pub fn user_name(&self, user: usize) -> UserName {
        let users = self.policy.map_or(&[][..], Policy::users);
        users.get(user).map_or(UserName::EMPTY, |user| user.name)
    }

    /// Index of the user with this name.
    #[must_use]
    pub fn find_user(&self, name: UserName) -> Option<usize> {
        let users = self.policy.map_or(&[][..], Policy::users);
        users.iter().position(|user| user.name == name)
    }

    /// Requests for text under way.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        self.live.values().filter_map(Live::text)
    }

    /// A load by a user is in inference.
    #[must_use]
    pub fn loads_for_user(&self) -> bool {
        let mut live = self.live.values();
        live.any(|live| !live.own && matches!(live.work, Work::Load(_)))
    }

    /// Any load is on its way.
    #[must_use]
    pub fn loads(&self) -> bool {
        let mut live = self.live.values();
        live.any(|live| matches!(live.work, Work::Load(_) | Work::Verify(_)))
    }

    /// The number of the load that is being verified next: audit's own before a user's.
    #[must_use]
    pub fn verifies(&self) -> Option<u32> {
        let verifies = |(_, live): &(&u32, &Live)| matches!(live.work, Work::Verify(_));
        let mut live = self.live.iter().filter(verifies);
        let own = live.clone().find(|(_, live)| live.own);
        own.or_else(|| live.next()).map(|(number, _)| *number)
    }

    /// Whether this number names something.
    #[must_use]
    pub fn is_used(&self, id: u32) -> bool {
        id == 0
            || self.live.values().any(|live| live.id == Some(id))
            || self.owed.iter().any(|owed| owed.id == Some(id))
            || self.lists.iter().any(|list| list.id == id)
    }

    /// The first model of this name in the store.
    ///
    /// # Errors
    /// Why it is not even verified.
    pub fn find_model(&self, name: ModelName) -> Result<usize, Failure> {
        let Some(store) = self.store else {
            return Err(Failure::over(ErrorCode::BadStore, self.store_bytes, 0));
        };
        let found = store.iter().position(|model| model.name == name);
        let found = found.ok_or(Failure::of(ErrorCode::NoSuchModel))?;
        match store[found].signed {
            Signed::Missing => Err(Failure::of(ErrorCode::Unsigned)),
            _ => Ok(found),
        }
    }
}
