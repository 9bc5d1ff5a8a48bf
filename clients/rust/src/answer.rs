//! The whole text of a request, gathered in a buffer.

use crate::flights::RequestId;
use crate::incoming::Incoming;
use core::str::Utf8Error;
use protocol::error::Failure;
use protocol::wire::client::{Event, Finished};
use safe_text::beginning;

/// How a request for text has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The text is complete; [`Finished::reason`] says whether the model or a limit has ended it.
    Finished(Finished),
    /// It was refused or has failed. What came of the text may be less than was generated.
    Failed(Failure),
    /// Audit has begun anew. Whether the request was carried out is not known.
    Lost,
}

/// Gathers the text of one request after another in a buffer of the caller's.
///
/// What finds no room is dropped and counted: the text is then a beginning, cut between two characters. It is what a
/// model has said: not to be trusted, and not to be shown on a terminal as it is (`safe_text::Sanitiser`).
#[derive(Debug)]
pub struct Answer<'b> {
    buffer: &'b mut [u8],
    len: usize,
    dropped: u64,
    tokens: u32,
    request: Option<RequestId>,
    outcome: Option<Outcome>,
}

impl<'b> Answer<'b> {
    /// Waits for no request yet.
    #[must_use]
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self {
            buffer,
            len: 0,
            dropped: 0,
            tokens: 0,
            request: None,
            outcome: None,
        }
    }

    /// Waits for this request. What was gathered of the last one is forgotten.
    pub const fn begin(&mut self, request: RequestId) {
        (self.len, self.dropped, self.tokens) = (0, 0, 0);
        (self.request, self.outcome) = (Some(request), None);
    }

    /// Takes what is of the request; false if that is not. Give it all that [`Client::poll`](crate::Client::poll) gives.
    pub fn take(&mut self, incoming: &Incoming<'_>) -> bool {
        if self.outcome.is_some() || incoming.request() != self.request || self.request.is_none() {
            return false;
        }
        match *incoming {
            Incoming::Part { event, .. } | Incoming::Last { event, .. } => match event {
                Event::Text { tokens, text } => {
                    self.tokens = self.tokens.saturating_add(tokens);
                    self.push(text);
                }
                Event::Finished(finished) => self.outcome = Some(Outcome::Finished(finished)),
                Event::Failed { failure, .. } => self.outcome = Some(Outcome::Failed(failure)),
                // The request was not for text.
                _ => return false,
            },
            Incoming::Lost { .. } => self.outcome = Some(Outcome::Lost),
            Incoming::Notice(_) => return false,
        }
        true
    }

    fn push(&mut self, text: &[u8]) {
        let room = self.buffer.get_mut(self.len..).unwrap_or(&mut []);
        // Once something is missing, nothing after it is kept.
        let kept = match self.dropped {
            0 => beginning(text, room.len()),
            _ => &[],
        };
        for (to, from) in room.iter_mut().zip(kept) {
            *to = *from;
        }
        self.len = self.len.saturating_add(kept.len());
        let missing = text.len().saturating_sub(kept.len());
        self.dropped = self.dropped.saturating_add(missing as u64);
    }

    /// The request that this waits for, or has waited for.
    #[must_use]
    pub const fn request(&self) -> Option<RequestId> {
        self.request
    }

    /// How the request has ended; `None` while it is in flight, or if there is none.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The text so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }

    /// The text so far, as text.
    ///
    /// # Errors
    /// A hostile inference can send bytes that are no UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        core::str::from_utf8(self.bytes())
    }

    /// Tokens that the text was made of, with those that were dropped.
    #[must_use]
    pub const fn tokens(&self) -> u32 {
        self.tokens
    }

    /// Bytes of text that found no room.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}
