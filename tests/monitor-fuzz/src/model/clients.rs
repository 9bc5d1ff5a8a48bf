//! Clients: the identity of each, its limits, and what it has yet to be told.

use super::Repeats;
use protocol::error::Failure;
use protocol::name::UserName;
use protocol::policy::{FormatRule, Policy};
use protocol::wire::Fault;
use protocol::wire::client::{LogExtent, LogQuery, Progress, Stage};
use std::collections::BTreeMap;

/// A client's identity, which the policy gives for its channel.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Name of its domain.
    pub name: UserName,
    /// Its current user.
    pub user: usize,
    /// Its own user, at boot and after a logout.
    pub own: usize,
    /// Whether it may log in as another user.
    pub may_log_in: bool,
    /// The formats that its answers may have.
    pub formats: FormatRule,
    /// Limit of requests at once.
    pub requests: usize,
    /// Limit of sessions at once.
    pub sessions: usize,
    /// Limit of messages that inference has not read.
    pub commands: usize,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    /// Audit's number for it.
    pub channel: u8,
    /// Its identity; `None` if the policy does not name it.
    pub identity: Option<Identity>,
    /// Its open lists, in any order.
    pub lists: Vec<List>,
    /// Its pending notices.
    pub notices: Notices,
    /// Its violations of the protocol.
    pub violations: Repeats,
    /// Consecutive wake-ups in which it had a message for audit that could have been answered but was not taken.
    pub passed_over: usize,
    /// Whether the egress cap has kept something from it although it had room.
    pub is_kept_waiting: bool,
    /// Events that each other client has received under the egress cap since then, by place.
    pub passed_by: Vec<u32>,
    /// Its requests that the egress cap keeps waiting, by audit's number: events of its other requests since then.
    pub kept: BTreeMap<u32, BTreeMap<u32, u32>>,
}

impl Client {
    /// The client on this channel, according to the policy. `is_second`: whether an earlier one is on the same channel.
    #[must_use]
    pub fn new(channel: u8, policy: Option<&Policy>, is_second: bool, count: usize) -> Self {
        let clients = policy.map_or(&[][..], Policy::clients);
        let found = clients
            .iter()
            .find(|client| client.channel == u32::from(channel));
        Self {
            channel,
            identity: found.filter(|_| !is_second).map(|client| Identity {
                name: client.name,
                user: client.user as usize,
                own: client.user as usize,
                may_log_in: client.login == 1,
                formats: client.formats,
                requests: client.requests as usize,
                sessions: client.sessions as usize,
                commands: client.commands as usize,
            }),
            lists: Vec::new(),
            notices: Notices::default(),
            violations: Repeats::default(),
            passed_over: 0,
            is_kept_waiting: false,
            passed_by: vec![0; count],
            kept: BTreeMap::new(),
        }
    }

    /// Its current user; without a policy the first, whose name nobody is told.
    #[must_use]
    pub fn user(&self) -> usize {
        self.identity.map_or(0, |identity| identity.user)
    }

    /// Name of its domain.
    #[must_use]
    pub fn name(&self) -> UserName {
        self.identity
            .map_or(UserName::EMPTY, |identity| identity.name)
    }
}

/// Notices that a client has yet to be told.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    /// Faults and stops of inference: the latest, and their number.
    pub fault: Option<(Fault, u32)>,
    /// Why audit's own load failed, and the detail.
    pub load_failed: Option<(Failure, Vec<u8>)>,
    /// Audit has stopped trying.
    pub exhausted: Option<Failure>,
    /// Inference is back in service: after this time, and this many restarts.
    pub recovered: Option<(u64, u32)>,
    /// Progress of the boot.
    pub progress: Option<Progress>,
    /// The client may begin.
    pub ready: bool,
}

impl Notices {
    /// Inference has failed or was stopped.
    pub fn fault(&mut self, fault: Fault) {
        let before = self.fault.map_or(0, |(_, count)| count);
        self.fault = Some((fault, before + 1));
        self.recovered = None;
    }

    /// The boot has made progress.
    pub const fn progress(&mut self, stage: Stage, done: u64, total: u64) {
        self.progress = Some(Progress { stage, done, total });
    }

    /// The client may begin.
    pub const fn ready(&mut self) {
        self.ready = true;
        self.progress = None;
    }

    /// Whether nothing is pending.
    #[must_use]
    pub const fn are_told(&self) -> bool {
        self.fault.is_none()
            && self.load_failed.is_none()
            && self.exhausted.is_none()
            && self.recovered.is_none()
            && self.progress.is_none()
            && !self.ready
    }
}

/// The content of a list.
#[derive(Clone, Debug)]
pub enum ListKind {
    /// Models.
    Models,
    /// Users.
    Users,
    /// Adapters.
    Adapters,
    /// Formats that both the client and its role may use.
    Formats([FormatRule; 2]),
    /// The file of an adapter made here: its number, and the bytes sent.
    Export(u32, u64),
    /// Sessions of one user at this client, or all.
    Sessions(Option<usize>),
    /// Entries of the log.
    Log {
        /// The query.
        query: LogQuery,
        /// Where it ends if it does not follow new entries.
        until: u64,
        /// The next entry that can be sent.
        next: u64,
        /// The range that was sent.
        sent: Option<LogExtent>,
    },
    /// A check of the log with this extent.
    Verify(LogExtent),
    /// Counters; whether there was a tick since the last ones.
    Watch(bool),
}

impl ListKind {
    /// Whether it continues until it is cancelled.
    #[must_use]
    pub const fn is_endless(&self) -> bool {
        match self {
            Self::Watch(_) => true,
            Self::Log { query, .. } => query.follow,
            _ => false,
        }
    }
}

/// An open list.
#[derive(Clone, Debug)]
pub struct List {
    /// The client's number for it.
    pub id: u32,
    /// Its content.
    pub kind: ListKind,
    /// Number of events sent.
    pub sent: u32,
    /// The wake-up in which it began.
    pub began: u64,
}
