//! What audit has to say to a client.

use crate::flights::RequestId;
use protocol::error::Failure;
use protocol::wire::Fault;
use protocol::wire::client::{Event, Progress, User};

/// What [`Client::poll`](crate::Client::poll) gives. Each request that was submitted gets exactly one
/// [`Last`](Self::Last) or one [`Lost`](Self::Lost), and nothing after it; one that was abandoned gets nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// News of the system, which no request has asked for.
    Notice(Notice<'a>),
    /// More of an answer: text, an entry of a list, how far a load has got.
    Part {
        /// The request that it answers.
        request: RequestId,
        /// What it is.
        event: Event<'a>,
    },
    /// The end of an answer. The request is over; [`Event::Failed`] says that it was refused or has failed.
    Last {
        /// The request that it answers.
        request: RequestId,
        /// What it is.
        event: Event<'a>,
    },
    /// Audit has begun anew and knows nothing of this request. Whether it was carried out is not known.
    Lost {
        /// The request that will not be answered.
        request: RequestId,
    },
}

impl Incoming<'_> {
    /// The request that this is about.
    #[must_use]
    pub const fn request(&self) -> Option<RequestId> {
        match self {
            Self::Notice(_) => None,
            Self::Part { request, .. } | Self::Last { request, .. } | Self::Lost { request } => {
                Some(*request)
            }
        }
    }

    /// Whether the request that this is about is over.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Last { .. } | Self::Lost { .. })
    }
}

/// News of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// The system takes requests for text, and this client is that user.
    Ready(User),
    /// How far the boot has got.
    Progress(Progress),
    /// Inference died or was stopped, and is restarted. Requests that it had fail of themselves.
    Fault {
        /// The newest.
        fault: Fault,
        /// For how many it stands: this one, and those before it that were not told.
        count: u32,
    },
    /// Inference serves again.
    Recovered {
        /// From the detection to this message, in microseconds.
        after_us: u64,
        /// Restarts since boot.
        restarts: u32,
    },
    /// What audit does of its own accord has failed: the model of the boot cannot be loaded, or inference was restarted
    /// too often and stays down.
    Failed {
        /// Why.
        failure: Failure,
        /// What it is about, for people. Untrusted text.
        detail: &'a [u8],
    },
    /// Audit has begun anew: sessions and logins of before are gone. Requests that were in flight are told as
    /// [`Incoming::Lost`] after this.
    Restarted,
}

impl<'a> Notice<'a> {
    /// `None` for an event that answers a request.
    pub(crate) const fn of(event: Event<'a>) -> Option<Self> {
        Some(match event {
            Event::Ready(user) => Self::Ready(user),
            Event::Progress(progress) => Self::Progress(progress),
            Event::Fault { fault, count } => Self::Fault { fault, count },
            Event::Recovered { after_us, restarts } => Self::Recovered { after_us, restarts },
            Event::Failed { failure, detail } => Self::Failed { failure, detail },
            _ => return None,
        })
    }
}
