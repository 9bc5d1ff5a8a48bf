//! The reference: what a monitor that keeps its promises would know, in the shortest form that says it.
//!
//! Nothing here is shared with audit. Where audit counts, this keeps a list; where audit has slots, this has a map.

mod adapters;
mod clients;
mod ledgers;
mod requests;
mod sessions;

pub use adapters::{Data, Made, PROGRESS_COST, Placed, Stage, Tune, room};
pub use clients::{Client, Identity, List, ListKind, Notices};
pub use ledgers::{Attempts, Bucket, ENTRY, Ledger, Reason, Repeats, Share, reason};
pub use requests::{End, Live, Over, State, Stop, Text, Waiting, Work};
pub use sessions::{Owner, Place, Session, Sessions};

use crate::store::{AnyStore, ModelFile, Signed};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::name::{ModelName, UserName};
use protocol::policy::{MIN_LOG_BYTES_PER_HOUR, Policy};
use protocol::wire::client::FormatEntry;
use std::collections::{BTreeMap, VecDeque};

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
    pub format_breaches: u64,
    pub refused_by_code: BTreeMap<u16, u32>,
}

/// Time in which at least one request for text is under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Busy {
    us: u64,
    since: Option<u64>,
}

impl Busy {
    /// From now on there is one, or none.
    pub fn note(&mut self, is_busy: bool, now: u64) {
        self.us = self.until(now);
        self.since = is_busy.then_some(now);
    }

    /// So far.
    #[must_use]
    pub fn until(&self, now: u64) -> u64 {
        self.us + self.since.map_or(0, |since| now - since)
    }
}

/// Everything that a monitor would know.
#[derive(Debug)]
pub struct Model<'m> {
    /// `None`: it is no policy, with this number of the reason.
    pub policy: Result<&'m Policy, u64>,
    /// Models in the store; `None` if it is not an archive.
    pub store: Option<&'m [ModelFile]>,
    /// Adapters that lie there.
    pub adapters: &'m [ModelFile],
    /// Formats of the policy, as listed for a client that may not use any of them.
    pub formats: &'m [FormatEntry],
    /// Training data that lie there.
    pub data: &'m [ModelFile],
    /// Adapters that inference was told to load, by place.
    pub placed: BTreeMap<u32, Placed>,
    /// Those made here, the oldest first.
    pub made: Vec<Made>,
    /// Adapters that were ever made.
    pub last_made: u32,
    /// Examples typed, with the ends of their lines, and how many.
    pub examples: (Vec<u8>, u32),
    /// Size of the store's archive.
    pub store_bytes: u64,
    /// When audit started.
    pub booted_us: u64,
    /// As a whole.
    pub phase: Phase,
    /// By their places.
    pub clients: Vec<Client>,
    /// By user.
    pub ledgers: Vec<Ledger>,
    /// By client and user, and after them those of names that nobody has.
    pub attempts: Vec<Vec<Attempts>>,
    /// By client: when a passphrase may be hashed again.
    pub next_hash_us: Vec<u64>,
    /// All of them.
    pub sessions: Sessions,
    /// By audit's number.
    pub live: BTreeMap<u32, Live>,
    /// Requests that are over, by audit's number.
    pub over: BTreeMap<u32, Over>,
    /// Verdicts on files of the store, by their offsets, that audit remembers.
    pub verdicts: VecDeque<u64>,
    /// Whose the messages are that inference has not read; audit's own are nobody's.
    pub unread: VecDeque<Option<usize>>,
    /// The model that is loaded after a restart.
    pub wanted: ModelName,
    /// The model in service, by index.
    pub current: Option<usize>,
    /// Why the runtime has refused the last restart or stop, as the protocol numbers it.
    pub refused: Option<u64>,
    /// Times of the restarts within the window.
    pub restarts_us: VecDeque<u64>,
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
    /// Of inference.
    pub violations: Repeats,
    /// See there.
    pub counts: Counts,
    /// See there.
    pub busy: Busy,
    /// Of requests that finished.
    pub latencies: Vec<u64>,
    /// Since the start, of the last ten seconds and some.
    pub token_times: VecDeque<u64>,
}

impl<'m> Model<'m> {
    /// Before the start.
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

    /// A request for text has begun or ended, or may have.
    pub fn note_busy(&mut self, now: u64) {
        let is_busy = self.texts().next().is_some();
        self.busy.note(is_busy, now);
    }

    /// A token has come.
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

    /// A load by a client is in inference.
    #[must_use]
    pub fn loads_for_client(&self) -> bool {
        let mut live = self.live.values();
        live.any(|live| live.client.is_some() && matches!(live.work, Work::Load(_)))
    }

    /// A fine-tuning that is under way, and its number.
    #[must_use]
    pub fn tune(&self) -> Option<(u32, &Tune)> {
        let mut live = self.live.iter();
        live.find_map(|(number, live)| Some((*number, live.tune()?)))
    }

    /// An adapter is on its way beside the model.
    #[must_use]
    pub fn loads_adapter(&self) -> bool {
        let is = |live: &Live| matches!(live.work, Work::VerifyAdapter(..) | Work::Adapter(..));
        self.live.values().any(is)
    }

    /// The model in service.
    #[must_use]
    pub fn base(&self) -> Option<Hash> {
        let (at, store) = self.current.zip(self.store)?;
        Some(store[at].sha256)
    }

    /// The place of the adapter of this name.
    #[must_use]
    pub fn place_of(&self, name: ModelName) -> Option<(u32, &Placed)> {
        let mut placed = self.placed.iter();
        let found = placed.find(|(_, placed)| placed.name == name);
        found.map(|(place, placed)| (*place, placed))
    }

    /// There is an adapter of this name.
    #[must_use]
    pub fn is_adapter(&self, name: ModelName) -> bool {
        self.made.iter().any(|made| made.name == name)
            || self.adapters.iter().any(|file| file.name == name)
    }

    /// The first file of this name, as audit would verify it.
    ///
    /// # Errors
    /// There is no such file (the error is then `missing`), or it is not signed.
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

    /// Any load is on its way.
    #[must_use]
    pub fn loads(&self) -> bool {
        self.live.values().any(|live| live.model().is_some())
    }

    /// The number of the load that is being verified next: audit's own before a client's.
    #[must_use]
    pub fn verifies(&self) -> Option<u32> {
        let live = self.live.iter().filter(|(_, live)| live.is_verified());
        let own = live.clone().find(|(_, live)| live.client.is_none());
        own.or_else(|| live.clone().next())
            .map(|(number, _)| *number)
    }

    /// Whether this number of a client's names something.
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

    /// Requests of a client that are not over, or of whose end it has not been told.
    #[must_use]
    pub fn requests_of(&self, client: usize) -> usize {
        let live = self.live.values().filter(|l| l.client == Some(client));
        live.count() + self.over.values().filter(|o| o.client == client).count()
    }

    /// What the next events of a client's requests count for in the egress cap, those that are counted, by audit's number.
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
