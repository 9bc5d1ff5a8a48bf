//! Clients: who each is, what it may have at once, and what it is owed.

use super::Repeats;
use protocol::error::Failure;
use protocol::name::UserName;
use protocol::policy::{FormatRule, Policy};
use protocol::wire::Fault;
use protocol::wire::client::{LogExtent, LogQuery, Progress, Stage};
use std::collections::BTreeMap;

/// Who a client is, as the policy says of its channel.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Of its domain.
    pub name: UserName,
    /// The user that it is now.
    pub user: usize,
    /// The one that it is at boot and after a logout.
    pub own: usize,
    /// It may become another.
    pub may_log_in: bool,
    /// Which formats its answers may have.
    pub formats: FormatRule,
    /// Requests at once.
    pub requests: usize,
    /// Sessions at once.
    pub sessions: usize,
    /// Messages that inference has not read.
    pub commands: usize,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    /// Audit's number of it.
    pub channel: u8,
    /// `None`: nobody knows it.
    pub identity: Option<Identity>,
    /// In no order.
    pub lists: Vec<List>,
    /// See there.
    pub notices: Notices,
    /// Of the protocol.
    pub violations: Repeats,
    /// Wake-ups in a row in which it had a message for audit that was not taken, and could have been answered.
    pub passed_over: usize,
    /// The egress cap has kept something from it, and it has had room since.
    pub is_kept_waiting: bool,
    /// Events that the others were handed out of the egress cap since then, by their places.
    pub passed_by: Vec<u32>,
    /// Of its requests that the egress cap keeps waiting, by audit's number: events of its others since then.
    pub kept: BTreeMap<u32, BTreeMap<u32, u32>>,
}

impl Client {
    /// As the policy says of this channel; `is_second`: somebody before it is on the same.
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

    /// The user that it is; the first, whose name nobody is told, without a policy.
    #[must_use]
    pub fn user(&self) -> usize {
        self.identity.map_or(0, |identity| identity.user)
    }

    /// Of its domain.
    #[must_use]
    pub fn name(&self) -> UserName {
        self.identity
            .map_or(UserName::EMPTY, |identity| identity.name)
    }
}

/// Notices that a client has yet to hear.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    /// Inference died or was stopped: the last time, and how often.
    pub fault: Option<(Fault, u32)>,
    /// Audit's own load failed, and what there is to say about it.
    pub load_failed: Option<(Failure, Vec<u8>)>,
    /// Audit has stopped trying.
    pub exhausted: Option<Failure>,
    /// Inference serves again, after so long and so many restarts.
    pub recovered: Option<(u64, u32)>,
    /// How far the boot has got.
    pub progress: Option<Progress>,
    /// The client may begin.
    pub ready: bool,
}

impl Notices {
    /// Inference has died or was stopped.
    pub fn fault(&mut self, fault: Fault) {
        let before = self.fault.map_or(0, |(_, count)| count);
        self.fault = Some((fault, before + 1));
        self.recovered = None;
    }

    /// The boot has got so far.
    pub const fn progress(&mut self, stage: Stage, done: u64, total: u64) {
        self.progress = Some(Progress { stage, done, total });
    }

    /// The client may begin.
    pub const fn ready(&mut self) {
        self.ready = true;
        self.progress = None;
    }

    /// Nothing is left.
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

/// What is being listed.
#[derive(Clone, Debug)]
pub enum ListKind {
    /// Models.
    Models,
    /// Users.
    Users,
    /// Adapters.
    Adapters,
    /// Formats, with which the client and its role may use.
    Formats([FormatRule; 2]),
    /// The file of an adapter made here, by its number, and how much was sent.
    Export(u32, u64),
    /// Sessions: of one user at this client, or all.
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

impl ListKind {
    /// It goes on until it is cancelled.
    #[must_use]
    pub const fn is_endless(&self) -> bool {
        match self {
            Self::Watch(_) => true,
            Self::Log { query, .. } => query.follow,
            _ => false,
        }
    }
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
    /// Which wake-up it began in.
    pub began: u64,
}
