//! Messages from audit to a client.

use crate::flights::RequestId;
use protocol::error::Failure;
use protocol::wire::Fault;
use protocol::wire::client::{Event, Progress, User};

/// A result of [`Client::poll`](crate::Client::poll). Each submitted request gets exactly one [`Last`](Self::Last) or
/// [`Lost`](Self::Lost), and nothing after it. An abandoned request gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// News of the system, which answers no request.
    Notice(Notice<'a>),
    /// A part of an answer: text, an entry of a list, or progress.
    Part {
        /// The request that it answers.
        request: RequestId,
        /// The part.
        event: Event<'a>,
    },
    /// The end of an answer. If it is [`Event::Failed`], the request was refused or has failed.
    Last {
        /// The request that it answers.
        request: RequestId,
        /// The last event.
        event: Event<'a>,
    },
    /// Audit was restarted and knows nothing of this request. Whether it was carried out is not known.
    Lost {
        /// The request that will not be answered.
        request: RequestId,
    },
}

impl Incoming<'_> {
    /// The request that this is about, if any.
    #[must_use]
    pub const fn request(&self) -> Option<RequestId> {
        match self {
            Self::Notice(_) => None,
            Self::Part { request, .. } | Self::Last { request, .. } | Self::Lost { request } => {
                Some(*request)
            }
        }
    }

    /// Whether the request that this is about has ended.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Last { .. } | Self::Lost { .. })
    }
}

/// News of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// The system accepts requests for text. This client is that user.
    Ready(User),
    /// Progress of the boot.
    Progress(Progress),
    /// Inference died or was stopped, and is being restarted. Its requests fail, each with its own event.
    Fault {
        /// The newest fault.
        fault: Fault,
        /// How many faults this reports: the newest, and earlier ones that were not reported.
        count: u32,
    },
    /// Inference works again.
    Recovered {
        /// Microseconds from the detection to this message.
        after_us: u64,
        /// Restarts since boot.
        restarts: u32,
    },
    /// Something that audit does by itself has failed: the model of the boot cannot be loaded, or inference was
    /// restarted too often and stays down.
    Failed {
        /// Why.
        failure: Failure,
        /// What it is about, for people. Untrusted text.
        detail: &'a [u8],
    },
    /// Audit was restarted: sessions and logins are gone. Requests that were in flight follow as [`Incoming::Lost`].
    Restarted,
}

impl<'a> Notice<'a> {
    /// Returns `None` for an event that answers a request.
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
