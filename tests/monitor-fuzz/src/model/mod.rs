//! The reference: what a monitor that keeps its promises would know, in the simplest form.
//!
//! It shares no code with audit. Where audit has counters, this has lists; where audit has slots, this has maps.

mod adapters;
mod clients;
mod ledgers;
mod requests;
mod sessions;

pub use adapters::{Data, Made, PROGRESS_COST, Placed, Stage, Tune, room};
pub use clients::{Client, Identity, List, ListKind, Notices};
pub use ledgers::{Attempts, Bucket, ENTRY, Ledger, Reason, Repeats, Share, reason};
pub use requests::{End, Live, Over, State, Stop, Text, Waiting, Work};
pub use sessions::{ExpectedSession, Owner, Place, Sessions};

use crate::store::{AnyStore, ModelFile, Signed};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::name::{ModelName, UserName};
use protocol::policy::{MIN_LOG_BYTES_PER_HOUR, Policy};
use protocol::wire::client::FormatEntry;
use std::collections::{BTreeMap, VecDeque};

/// The state of the whole system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The first model is being loaded.
    Booting,
    /// Normal operation.
    Serving,
    /// Loading its model again, since this time.
    Recovering(u64),
    /// No more restarts are tried.
    Stopped,
}

/// Counters.
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
    pub format_breaches: u64,
    pub refused_by_code: BTreeMap<u16, u32>,
}

/// Total time in which at least one request for text is in flight.
#[derive(Clone, Copy, Debug, Default)]
pub struct Busy {
    us: u64,
    since: Option<u64>,
}

impl Busy {
    /// Notes whether there is one from now on.
    pub fn note(&mut self, is_busy: bool, now: u64) {
        self.us = self.until(now);
        self.since = is_busy.then_some(now);
    }

    /// The total so far.
    #[must_use]
    pub fn until(&self, now: u64) -> u64 {
        self.us + self.since.map_or(0, |since| now - since)
    }
}

/// Everything that a monitor would know.
#[derive(Debug)]
pub struct Model<'m> {
    /// The policy, or the number of the reason why it is invalid.
    pub policy: Result<&'m Policy, u64>,
    /// Models in the store; `None` if it is not an archive.
    pub store: Option<&'m [ModelFile]>,
    /// Adapters in the store.
    pub adapters: &'m [ModelFile],
    /// Formats of the policy, as listed for a client that may not use any of them.
    pub formats: &'m [FormatEntry],
    /// Training data in the store.
    pub data: &'m [ModelFile],
    /// Adapters that inference was told to load, by place.
    pub placed: BTreeMap<u32, Placed>,
    /// Adapters made here, oldest first.
    pub made: Vec<Made>,
    /// Number of adapters ever made.
    pub last_made: u32,
    /// Typed examples with line ends, and their number.
    pub examples: (Vec<u8>, u32),
    /// Size of the store's archive.
    pub store_bytes: u64,
    /// When audit started.
    pub booted_us: u64,
    /// The state of the whole system.
    pub phase: Phase,
    /// The clients, by place.
    pub clients: Vec<Client>,
    /// Budgets, by user.
    pub ledgers: Vec<Ledger>,
    /// Login attempts, by client and user, and at the end those with unknown names.
    pub attempts: Vec<Vec<Attempts>>,
    /// When a passphrase may next be hashed, by client.
    pub next_hash_us: Vec<u64>,
    /// The sessions.
    pub sessions: Sessions,
    /// Requests in flight, by audit's number.
    pub live: BTreeMap<u32, Live>,
    /// Requests that are over, by audit's number.
    pub over: BTreeMap<u32, Over>,
    /// Remembered verdicts on files of the store, by offset.
    pub verdicts: VecDeque<u64>,
    /// The sender of each message that inference has not read: a client, or `None` for audit.
    pub unread: VecDeque<Option<usize>>,
    /// The model that is loaded after a restart.
    pub wanted: ModelName,
    /// The model in service, by index.
    pub current: Option<usize>,
    /// Why the runtime refused the last restart or stop, as the protocol's number.
    pub refused: Option<u64>,
    /// Times of the restarts within the window.
    pub restarts_us: VecDeque<u64>,
    /// Shares of the log, by user.
    pub shares: Vec<Share>,
    /// Repeated events, by user and reason.
    pub repeats: BTreeMap<(usize, Reason), Repeats>,
    /// Since when every wake-up has found inference's ring full.
    pub full_since_us: Option<u64>,
    /// The newest number of a command.
    pub last_number: u32,
    /// Epoch of inference's ring.
    pub epoch: u32,
    /// The egress cap.
    pub bucket: Bucket,
    /// Violations by inference.
    pub violations: Repeats,
    /// Counters.
    pub counts: Counts,
    /// Time with requests for text.
    pub busy: Busy,
    /// Latencies of requests that finished.
    pub latencies: Vec<u64>,
    /// Times of tokens, in microseconds since the start, for a little more than the last ten seconds.
    pub token_times: VecDeque<u64>,
}

impl<'m> Model<'m> {
    /// The state before the start.
    #[must_use]
    pub fn new(
        policy: Result<&'m Policy, u64>,
        files: &'m AnyStore,
        listed: &'m [FormatEntry],
        channels: &[u8],
    ) -> Self {
        let store = files.models.as_deref();
        let store_bytes = files.bytes.len() as u64;
        let none = protocol::testing::policy();
        let users = policy.map_or(0, |policy| policy.users().len());
        let clients = channels.iter().enumerate().map(|(place, channel)| {
            let is_second = channels[..place].contains(channel);
            Client::new(*channel, policy.ok(), is_second, channels.len())
        });
        Self {
            policy,
            store,
            adapters: &files.adapters,
            data: &files.data,
            formats: match policy {
                Ok(policy) if policy.format_count > 0 => listed,
                _ => &[],
            },
            placed: BTreeMap::new(),
            made: Vec::new(),
            last_made: 0,
            examples: (Vec::new(), 0),
            store_bytes,
            booted_us: 0,
            phase: Phase::Booting,
            clients: clients.collect(),
            ledgers: Vec::new(),
            attempts: vec![vec![Attempts::default(); users + 1]; channels.len()],
            next_hash_us: vec![0; channels.len()],
            sessions: Sessions::default(),
            live: BTreeMap::new(),
            over: BTreeMap::new(),
            verdicts: VecDeque::new(),
            unread: VecDeque::new(),
            wanted: match store.and_then(|store| store.first()) {
                Some(first) => first.name,
                None => ModelName::new(protocol::limits::DEFAULT_MODEL).unwrap_or_default(),
            },
            current: None,
            refused: None,
            restarts_us: VecDeque::new(),
            shares: vec![Share::new(0, 0); users.max(1)],
            repeats: BTreeMap::new(),
            full_since_us: None,
            last_number: 0,
            epoch: 1,
            bucket: Bucket::new(policy.unwrap_or(&none), 0),
            violations: Repeats::default(),
            counts: Counts::default(),
            busy: Busy::default(),
            latencies: Vec::new(),
            token_times: VecDeque::new(),
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
            // Without a policy, refusals are recorded as the first user's.
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

    /// Requests for text in flight.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        self.live.values().filter_map(Live::text)
    }

    /// A request for text has begun or ended, or may have.
    pub fn note_busy(&mut self, now: u64) {
        let is_busy = self.texts().next().is_some();
        self.busy.note(is_busy, now);
    }

    /// Counts a token.
    pub fn note_token(&mut self, now: u64) {
        self.counts.generated_tokens += 1;
        let at = now - self.booted_us;
        self.token_times.push_back(at);
        while self
            .token_times
            .front()
            .is_some_and(|first| first + 20_000_000 < at)
        {
            self.token_times.pop_front();
        }
    }

    /// Whether inference is loading a model for a client.
    #[must_use]
    pub fn loads_for_client(&self) -> bool {
        let mut live = self.live.values();
        live.any(|live| live.client.is_some() && matches!(live.work, Work::Load(_)))
    }

    /// The fine-tuning in progress, and its number.
    #[must_use]
    pub fn tune(&self) -> Option<(u32, &Tune)> {
        let mut live = self.live.iter();
        live.find_map(|(number, live)| Some((*number, live.tune()?)))
    }

    /// Whether an adapter is being loaded.
    #[must_use]
    pub fn loads_adapter(&self) -> bool {
        let is = |live: &Live| matches!(live.work, Work::VerifyAdapter(..) | Work::Adapter(..));
        self.live.values().any(is)
    }

    /// SHA-256 of the model in service.
    #[must_use]
    pub fn base(&self) -> Option<Hash> {
        let (at, store) = self.current.zip(self.store)?;
        Some(store[at].sha256)
    }

    /// The place of the adapter with this name.
    #[must_use]
    pub fn place_of(&self, name: ModelName) -> Option<(u32, &Placed)> {
        let mut placed = self.placed.iter();
        let found = placed.find(|(_, placed)| placed.name == name);
        found.map(|(place, placed)| (*place, placed))
    }

    /// Whether there is an adapter with this name.
    #[must_use]
    pub fn is_adapter(&self, name: ModelName) -> bool {
        self.made.iter().any(|made| made.name == name)
            || self.adapters.iter().any(|file| file.name == name)
    }

    /// The first file with this name, which audit would verify.
    ///
    /// # Errors
    /// There is no such file (then the error is `missing`), or it is not signed.
    pub fn find_file(
        &self,
        files: &[ModelFile],
        name: ModelName,
        missing: ErrorCode,
    ) -> Result<usize, Failure> {
        if self.store.is_none() {
            return Err(Failure::over(ErrorCode::BadStore, self.store_bytes, 0));
        }
        let found = files.iter().position(|file| file.name == name);
        let found = found.ok_or(Failure::of(missing))?;
        match files[found].signed {
            Signed::Missing => Err(Failure::of(ErrorCode::Unsigned)),
            _ => Ok(found),
        }
    }

    /// Whether anything is being loaded.
    #[must_use]
    pub fn loads(&self) -> bool {
        self.live.values().any(|live| live.model().is_some())
    }

    /// The number of the load that is verified next: audit's own before a client's.
    #[must_use]
    pub fn verifies(&self) -> Option<u32> {
        let live = self.live.iter().filter(|(_, live)| live.is_verified());
        let own = live.clone().find(|(_, live)| live.client.is_none());
        own.or_else(|| live.clone().next())
            .map(|(number, _)| *number)
    }

    /// Whether a client uses this number for something.
    #[must_use]
    pub fn is_used(&self, client: usize, id: u32) -> bool {
        let whose = (Some(client), Some(id));
        let mut live = self.live.values();
        let mut over = self.over.values();
        id == 0
            || live.any(|live| (live.client, live.id) == whose)
            || over.any(|over| (over.client, over.id) == (client, id))
            || self.clients[client].lists.iter().any(|list| list.id == id)
    }

    /// Requests of a client that are not over, or whose end it has not been told.
    #[must_use]
    pub fn requests_of(&self, client: usize) -> usize {
        let live = self.live.values().filter(|l| l.client == Some(client));
        live.count() + self.over.values().filter(|o| o.client == client).count()
    }

    /// The cost of the next event of each of a client's requests under the egress cap, by audit's number; events
    /// without a cost are left out.
    pub fn costs_of(&self, client: usize) -> impl Iterator<Item = (u32, u64)> {
        let live = self.live.iter().filter(move |l| l.1.client == Some(client));
        let due = live
            .clone()
            .filter(|l| l.1.tune().is_some_and(|tune| tune.is_due));
        let due = due.map(|(number, _)| (*number, PROGRESS_COST));
        let texts = live.filter_map(|(number, live)| Some((*number, live.text()?.waiting.cost())));
        let texts = texts.chain(due);
        let over = self.over.iter().filter(move |o| o.1.client == client);
        let over = over.map(|(number, over)| (*number, over.cost()));
        texts.chain(over).filter(|(_, cost)| *cost > 0)
    }

    /// The first model with this name in the store.
    ///
    /// # Errors
    /// Why it will not be verified.
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
