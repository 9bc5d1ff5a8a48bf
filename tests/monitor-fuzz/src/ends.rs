//! Checks that each request ends once and each token arrives once, using only what clients asked, what an honest
//! inference server said and what audit told.

use crate::claim::{Broken, Claim};
use crate::formats::Answer;
use crate::world::Message;
use protocol::error::ErrorCode;
use protocol::wire::FinishReason;
use protocol::wire::client::{Event, Request};
use std::collections::BTreeMap;

/// A kind of request, which determines its last event.
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
    Attest,
    Done,
    Tune,
    Adapter,
    Export,
    Examples,
}

impl Kind {
    fn of(request: &Request<'_>) -> Option<Self> {
        Some(match request {
            Request::Infer { .. } => Self::Infer,
            Request::Cancel => return None,
            Request::Models
            | Request::Users
            | Request::Sessions
            | Request::Adapters
            | Request::Formats => Self::List,
            Request::FineTune { .. } => Self::Tune,
            Request::LoadAdapter { .. } => Self::Adapter,
            Request::ExportAdapter { .. } => Self::Export,
            Request::Example { .. } | Request::DropExamples => Self::Examples,
            Request::Load { .. } => Self::Load,
            Request::Status => Self::Status,
            Request::Stats { watch: false } => Self::Stats,
            Request::Stats { watch: true } => Self::Watch,
            Request::Login { .. } | Request::Logout | Request::WhoAmI => Self::User,
            Request::Budget { .. } => Self::Budget,
            Request::Log(_) => Self::Log,
            Request::VerifyLog => Self::Verify,
            Request::Attest { .. } => Self::Attest,
            Request::Reset
            | Request::Halt
            | Request::Close { .. }
            | Request::DropAdapter { .. } => Self::Done,
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
                | (
                    Self::Watch | Self::Verify | Self::Done | Self::Export,
                    Event::Done
                )
                | (Self::Tune, Event::Tuned(_))
                | (Self::Adapter, Event::AdapterLoaded { .. })
                | (Self::Export, Event::Exported(_))
                | (Self::Examples, Event::Examples { .. })
                | (Self::User, Event::User(_))
                | (Self::Budget, Event::Budget(_))
                | (Self::Log, Event::LogEnd(_))
                | (Self::Verify, Event::LogVerified { .. })
                | (Self::Attest, Event::Attested(_))
        )
    }
}

#[derive(Clone, Debug)]
struct Asked {
    kind: Kind,
    ends: u32,
    cancels: u32,
    /// An event that may have been the end, or the answer to a cancel.
    perhaps: bool,
    /// Text of its tokens, in order, that inference has said, as far as it was followed.
    said: Vec<u8>,
    said_tokens: u32,
    /// How much of it the client has received.
    told: usize,
    told_tokens: u32,
    /// Whether its text can be followed: inference obeys the protocol, and the prompt identifies the request.
    is_followed: bool,
    /// The format of its answer, to check the received text against.
    answer: Answer,
    text: Vec<u8>,
}

/// The requests that clients made under new numbers, by client and number.
#[derive(Debug, Default)]
pub struct Ends(BTreeMap<(usize, u32), Asked>);

impl Ends {
    /// A client has sent a request. `is_followed`: whether inference's text for it will be known.
    pub fn asked(&mut self, client: usize, id: u32, request: &Request<'_>, is_followed: bool) {
        if let Some(kind) = Kind::of(request) {
            let asked = Asked {
                kind,
                ends: 0,
                cancels: 0,
                perhaps: false,
                said: Vec::new(),
                said_tokens: 0,
                told: 0,
                told_tokens: 0,
                is_followed,
                answer: match request {
                    Request::Infer { format, parts, .. } => Answer::of(*format, parts),
                    _ => Answer::Free,
                },
                text: Vec::new(),
            };
            self.0.insert((client, id), asked);
        }
    }

    /// A client has cancelled a request.
    pub fn cancelled(&mut self, client: usize, id: u32) {
        if let Some(asked) = self.0.get_mut(&(client, id)) {
            asked.cancels += 1;
        }
    }

    /// Requests of a client that continue until they are cancelled, and have not been cancelled.
    #[must_use]
    pub fn endless(&self, client: usize) -> Vec<u32> {
        let own = self.0.iter().filter(|((of, _), _)| *of == client);
        let is_endless = |asked: &Asked| {
            let kind = matches!(asked.kind, Kind::Watch | Kind::Log);
            kind && asked.ends == 0 && asked.cancels == 0 && !asked.perhaps
        };
        own.filter(|(_, asked)| is_endless(asked))
            .map(|((_, id), _)| *id)
            .collect()
    }

    /// A number is now ambiguous.
    pub fn reused(&mut self, client: usize, id: u32) {
        self.0.remove(&(client, id));
    }

    /// A client has written garbage into its region: audit may see its requests never, or again.
    pub fn unsure(&mut self, client: usize) {
        self.0.retain(|(of, _), _| *of != client);
    }

    /// Inference has sent a token for this request.
    pub fn said(&mut self, whose: (usize, u32), text: &[u8]) {
        if let Some(asked) = self.0.get_mut(&whose) {
            asked.said.extend_from_slice(text);
            asked.said_tokens += 1;
        }
    }

    /// Audit sends a client an event.
    ///
    /// # Errors
    /// The request is over, or the text is not that of its tokens.
    pub fn told(&mut self, client: usize, message: &Message) -> Result<(), Broken> {
        let id = message.request;
        let Some(asked) = self.0.get_mut(&(client, id)) else {
            return Ok(());
        };
        let frame = message.frame();
        let Ok(event) = Event::parse(&frame) else {
            return Ok(());
        };
        let broken = |claim, detail| Err(Broken { claim, detail });
        if let Event::Text { tokens, text } = event {
            asked.text.extend_from_slice(text);
            if !asked.answer.may_begin(&asked.text) {
                return broken(
                    Claim::Formats,
                    format!(
                        "client {client} is told {text:?} of {id}, which {:?} does not allow",
                        asked.answer
                    ),
                );
            }
            let was_over = asked.ends > 0;
            let (from, to) = (asked.told, asked.told + text.len());
            asked.told = to;
            asked.told_tokens += tokens;
            let is_said = asked.said.get(from..to) == Some(text);
            let right = is_said && asked.told_tokens <= asked.said_tokens;
            return match right || !asked.is_followed {
                true if !was_over => Ok(()),
                _ => broken(
                    Claim::Tokens,
                    format!(
                        "client {client} is told {} bytes of {id} at {from}, but {} were said; over: {was_over}",
                        text.len(),
                        asked.said.len()
                    ),
                ),
            };
        }
        if let Event::Finished(finished) = event
            && finished.reason != FinishReason::Cancelled
            && !asked.answer.may_end(&asked.text)
        {
            return broken(
                Claim::Formats,
                format!(
                    "{id} of client {client} has ended at {:?} of {:?}",
                    asked.text, asked.answer
                ),
            );
        }
        if let Event::Finished(finished) = event {
            let all = asked.told == asked.said.len()
                && asked.told_tokens == asked.said_tokens
                && finished.generated_tokens == asked.told_tokens;
            if asked.is_followed && !all {
                return broken(
                    Claim::Tokens,
                    format!(
                        "{id} of client {client} has ended with {} tokens, but was told {} of {}",
                        finished.generated_tokens, asked.told_tokens, asked.said_tokens
                    ),
                );
            }
        }
        // The answer to a cancel of a request that is over or another user's; or inference's own end. Its number is the
        // same.
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
        broken(
            Claim::Answers,
            format!("{id} of client {client} was over, but is told {event:?}"),
        )
    }

    /// Checks that every request has ended. Returns how many were checked.
    ///
    /// # Errors
    /// A request has not ended.
    pub fn all_over(&self) -> Result<u64, Broken> {
        let is_open = |asked: &Asked| asked.ends == 0 && !asked.perhaps;
        let open = self.0.iter().find(|(_, asked)| is_open(asked));
        match open {
            None => Ok(self.0.len() as u64),
            Some(((client, id), asked)) => Err(Broken {
                claim: Claim::Answers,
                detail: format!("{id} of client {client}, {:?}, has no end", asked.kind),
            }),
        }
    }
}
