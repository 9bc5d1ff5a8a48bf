//! The reference: what a monitor that keeps its promises would know, in the shortest form that says it.
//!
//! Nothing here is shared with audit. Where audit counts, this keeps a list; where audit has slots, this has a map.

mod ledgers;
mod sessions;

pub use ledgers::{Attempts, Bucket, ENTRY, Ledger, Reason, Repeats, Share, reason};
pub use sessions::{Place, Session, Sessions};

use crate::store::{ModelFile, Signed};
use protocol::error::{ErrorCode, Failure};
use protocol::name::{ModelName, UserName};
use protocol::policy::{MIN_LOG_BYTES_PER_HOUR, Policy};
use protocol::record::Hash;
use protocol::wire::client::{LogExtent, LogQuery};
use protocol::wire::{Fault, InferParams};
use sha2::{Digest as _, Sha256};
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
        let (users, default) = policy.map_or((0, 0), |p| (p.users().len(), p.clients[0].user));
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
