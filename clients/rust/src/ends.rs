//! Which events answer a request, and which of them is the last. This is decided only here.

use protocol::wire::client::{Event, Request};

/// A kind of request, by its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Models,
    Load,
    Status,
    Stats,
    /// Counters, sent until it is cancelled.
    Watch,
    /// A login, a logout, or the question of who is logged in.
    User,
    Users,
    Budget,
    Log,
    VerifyLog,
    Attest,
    /// Something done or refused, with no other result.
    Deed,
    Sessions,
    FineTune,
    /// Adding or forgetting examples.
    Examples,
    Adapters,
    LoadAdapter,
    ExportAdapter,
    Formats,
}

/// What an event means to the request that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// More follows.
    Part,
    /// It ends the request.
    Last,
    /// It does not answer this kind of request.
    Stray,
}

impl Kind {
    /// Returns `None` for a cancellation, which is answered by the end of another request.
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
            Request::Attest { .. } => Self::Attest,
            Request::Reset
            | Request::Halt
            | Request::Close { .. }
            | Request::DropAdapter { .. } => Self::Deed,
            Request::Sessions => Self::Sessions,
            Request::FineTune { .. } => Self::FineTune,
            Request::Example { .. } | Request::DropExamples => Self::Examples,
            Request::Adapters => Self::Adapters,
            Request::LoadAdapter { .. } => Self::LoadAdapter,
            Request::ExportAdapter { .. } => Self::ExportAdapter,
            Request::Formats => Self::Formats,
        })
    }

    pub(crate) const fn place(self, event: &Event<'_>) -> Place {
        match (self, event) {
            (Self::Text, Event::Text { .. })
            | (Self::Models, Event::Model(_))
            | (Self::Load | Self::LoadAdapter | Self::FineTune, Event::Progress(_))
            | (Self::FineTune, Event::Training(_))
            | (Self::Adapters, Event::Adapter(_))
            | (Self::ExportAdapter, Event::AdapterPart { .. })
            | (Self::Formats, Event::Format(_))
            | (Self::Watch, Event::Stats(_))
            | (Self::Users, Event::User(_))
            | (Self::Log, Event::Record { .. })
            | (Self::Sessions, Event::Session(_)) => Place::Part,
            // Any request can fail.
            (_, Event::Failed { .. })
            | (Self::Text, Event::Finished(_))
            | (
                Self::Models | Self::Users | Self::Sessions | Self::Adapters | Self::Formats,
                Event::Listed { .. },
            )
            | (Self::Load, Event::Loaded { .. })
            | (Self::FineTune, Event::Tuned(_))
            | (Self::Examples, Event::Examples { .. })
            | (Self::LoadAdapter, Event::AdapterLoaded { .. })
            | (Self::ExportAdapter, Event::Exported(_))
            | (Self::Status, Event::Status(_))
            | (Self::Stats, Event::Stats(_))
            | (Self::User, Event::User(_))
            | (Self::Budget, Event::Budget(_))
            | (Self::Log, Event::LogEnd(_))
            | (Self::VerifyLog, Event::LogVerified { .. })
            | (Self::Attest, Event::Attested(_))
            // A cancelled watch, check or export ends with `Done`.
            | (
                Self::Watch | Self::VerifyLog | Self::Deed | Self::ExportAdapter,
                Event::Done,
            ) => Place::Last,
            _ => Place::Stray,
        }
    }
}
