//! One end for each request, counted from what a client asked and what audit told it, and from nothing else.

use crate::claims::{Broken, Claim};
use crate::world::Message;
use protocol::error::ErrorCode;
use protocol::wire::client::{Event, Request};
use std::collections::BTreeMap;

/// Which events are a request's last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Infer,
    List,
    Load,
    Status,
    Stats,
    Watch,
    User,
    Budget,
    Log,
    Verify,
    Done,
}

impl Kind {
    fn of(request: &Request<'_>) -> Option<Self> {
        Some(match request {
            Request::Infer { .. } => Self::Infer,
            Request::Cancel => return None,
            Request::Models | Request::Users | Request::Sessions => Self::List,
            Request::Load { .. } => Self::Load,
            Request::Status => Self::Status,
            Request::Stats { watch: false } => Self::Stats,
            Request::Stats { watch: true } => Self::Watch,
            Request::Login { .. } | Request::Logout | Request::WhoAmI => Self::User,
            Request::Budget { .. } => Self::Budget,
            Request::Log(_) => Self::Log,
            Request::VerifyLog => Self::Verify,
            Request::Reset | Request::Close { .. } => Self::Done,
        })
    }

    const fn ends_with(self, event: &Event<'_>) -> bool {
        matches!(
            (self, event),
            (_, Event::Failed { .. })
                | (Self::Infer, Event::Finished(_))
                | (Self::List, Event::Listed { .. })
                | (Self::Load, Event::Loaded { .. })
                | (Self::Status, Event::Status(_))
                | (Self::Stats, Event::Stats(_))
                | (Self::Watch | Self::Verify | Self::Done, Event::Done)
                | (Self::User, Event::User(_))
                | (Self::Budget, Event::Budget(_))
                | (Self::Log, Event::LogEnd(_))
                | (Self::Verify, Event::LogVerified { .. })
        )
    }
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    kind: Kind,
    ends: u32,
    cancels: u32,
    /// What was told may have been the end, or the answer to a cancel.
    perhaps: bool,
}

/// What was asked under a number that was new.
#[derive(Debug, Default)]
pub struct Ends(BTreeMap<u32, Asked>);

impl Ends {
    /// A client has asked.
    pub fn asked(&mut self, id: u32, request: &Request<'_>) {
        if let Some(kind) = Kind::of(request) {
            let asked = Asked {
                kind,
                ends: 0,
                cancels: 0,
                perhaps: false,
            };
            self.0.insert(id, asked);
        }
    }

    /// A client has asked that a request end.
    pub fn cancelled(&mut self, id: u32) {
        if let Some(asked) = self.0.get_mut(&id) {
            asked.cancels += 1;
        }
    }

    /// A number means two things now.
    pub fn reused(&mut self, id: u32) {
        self.0.remove(&id);
    }

    /// The client has written garbage into its region: audit may see what was asked never, or again.
    pub fn unsure(&mut self) {
        self.0.clear();
    }

    /// Audit tells a client something.
    ///
    /// # Errors
    /// The request is over.
    pub fn told(&mut self, message: &Message) -> Result<(), Broken> {
        let Some(asked) = self.0.get_mut(&message.request) else {
            return Ok(());
        };
        let frame = message.frame();
        let Ok(event) = Event::parse(&frame) else {
            return Ok(());
        };
        // To a cancel of what is over, or another user's; or the end that inference gave. Its number is the same.
        if let Event::Failed { failure, .. } = event
            && failure.code == ErrorCode::NoSuchRequest
            && asked.cancels > 0
        {
            asked.cancels -= 1;
            asked.perhaps = true;
            return Ok(());
        }
        if asked.ends == 0 {
            asked.ends += u32::from(asked.kind.ends_with(&event));
            return Ok(());
        }
        Err(Broken {
            claim: Claim::Answers,
            detail: format!("{} was over, and is told {event:?}", message.request),
        })
    }

    /// Everything has an end; how many were looked at.
    ///
    /// # Errors
    /// Something has none.
    pub fn all_over(&self) -> Result<u64, Broken> {
        let is_open = |asked: &Asked| asked.ends == 0 && !asked.perhaps;
        let open = self.0.iter().find(|(_, asked)| is_open(asked));
        match open {
            None => Ok(self.0.len() as u64),
            Some((id, asked)) => Err(Broken {
                claim: Claim::Answers,
                detail: format!("{id}, {:?}, has no end", asked.kind),
            }),
        }
    }
}
