//! Which events answer a request, and which one of them is the last: the one place that knows.

use protocol::wire::client::{Event, Request};

/// A request, as far as its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Models,
    Load,
    Status,
    Stats,
    /// Counters that come until they are cancelled.
    Watch,
    /// A login, a logout, or the question who is logged in.
    User,
    Users,
    Budget,
    Log,
    VerifyLog,
    /// What is done or not, with nothing to tell.
    Deed,
    Sessions,
}

/// What an event is to the request that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// More follows.
    Part,
    /// It ends the request.
    Last,
    /// It answers another kind of request.
    Stray,
}

impl Kind {
    /// `None` for a cancellation, which is answered by the end of another request.
    pub(crate) const fn of(request: &Request<'_>) -> Option<Self> {
        Some(match request {
            Request::Cancel => return None,
            Request::Infer { .. } => Self::Text,
            Request::Models => Self::Models,
            Request::Load { .. } => Self::Load,
            Request::Status => Self::Status,
            Request::Stats { watch: false } => Self::Stats,
            Request::Stats { watch: true } => Self::Watch,
            Request::Login { .. } | Request::Logout | Request::WhoAmI => Self::User,
            Request::Users => Self::Users,
            Request::Budget { .. } => Self::Budget,
            Request::Log(_) => Self::Log,
            Request::VerifyLog => Self::VerifyLog,
            Request::Reset | Request::Close { .. } => Self::Deed,
            Request::Sessions => Self::Sessions,
        })
    }

    pub(crate) const fn place(self, event: &Event<'_>) -> Place {
        match (self, event) {
            (Self::Text, Event::Text { .. })
            | (Self::Models, Event::Model(_))
            | (Self::Load, Event::Progress(_))
            | (Self::Watch, Event::Stats(_))
            | (Self::Users, Event::User(_))
            | (Self::Log, Event::Record { .. })
            | (Self::Sessions, Event::Session(_)) => Place::Part,
            // Whatever was asked for can fail.
            (_, Event::Failed { .. })
            | (Self::Text, Event::Finished(_))
            | (Self::Models | Self::Users | Self::Sessions, Event::Listed { .. })
            | (Self::Load, Event::Loaded { .. })
            | (Self::Status, Event::Status(_))
            | (Self::Stats, Event::Stats(_))
            | (Self::User, Event::User(_))
            | (Self::Budget, Event::Budget(_))
            | (Self::Log, Event::LogEnd(_))
            | (Self::VerifyLog, Event::LogVerified { .. })
            // A watch that was cancelled, and a check that was, are done.
            | (Self::Watch | Self::VerifyLog | Self::Deed, Event::Done) => Place::Last,
            _ => Place::Stray,
        }
    }
}
