//! One end for each request and each token once, from what clients asked, what an honest inference said and what audit
//! told, and from nothing else.

use crate::claim::{Broken, Claim};
use crate::formats::Answer;
use crate::world::Message;
use protocol::error::ErrorCode;
use protocol::wire::FinishReason;
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
    /// What was told may have been the end, or the answer to a cancel.
    perhaps: bool,
    /// Of its tokens, in order: what inference has said, as far as it was followed.
    said: Vec<u8>,
    said_tokens: u32,
    /// Of them, what it was told.
    told: usize,
    told_tokens: u32,
    /// Inference keeps to the protocol and its prompt says whose it is.
    is_followed: bool,
    /// What its answer may be, and what of it was told.
    answer: Answer,
    text: Vec<u8>,
}

/// What the clients have asked under numbers that were new, each by its place and its number.
#[derive(Debug, Default)]
pub struct Ends(BTreeMap<(usize, u32), Asked>);

impl Ends {
    /// A client has asked. `is_followed`: it can be known what inference says to it.
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

    /// A client has asked that a request end.
    pub fn cancelled(&mut self, client: usize, id: u32) {
        if let Some(asked) = self.0.get_mut(&(client, id)) {
            asked.cancels += 1;
        }
    }

    /// What a client has asked for that goes on until it is cancelled, and was not cancelled yet.
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

    /// A number means two things now.
    pub fn reused(&mut self, client: usize, id: u32) {
        self.0.remove(&(client, id));
    }

    /// A client has written garbage into its region: audit may see what it has asked never, or again.
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

    /// Audit tells a client something.
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
                        "client {client} is told {} bytes of {id} at {from}, and {} were said; over: {was_over}",
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
                        "{id} of client {client} has ended with {} tokens, and was told {} of {}",
                        finished.generated_tokens, asked.told_tokens, asked.said_tokens
                    ),
                );
            }
        }
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
        broken(
            Claim::Answers,
            format!("{id} of client {client} was over, and is told {event:?}"),
        )
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
            Some(((client, id), asked)) => Err(Broken {
                claim: Claim::Answers,
                detail: format!("{id} of client {client}, {:?}, has no end", asked.kind),
            }),
        }
    }
}
