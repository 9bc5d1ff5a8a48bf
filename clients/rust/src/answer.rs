//! Gathers the whole text of a request in a buffer.

use crate::flights::RequestId;
use crate::incoming::Incoming;
use core::str::Utf8Error;
use protocol::error::Failure;
use protocol::wire::client::{Event, Finished};
use safe_text::beginning;

/// How a request for text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The text is complete. [`Finished::reason`] says whether the model or a limit ended it.
    Finished(Finished),
    /// It was refused or has failed. The gathered text may be less than was generated.
    Failed(Failure),
    /// Audit was restarted. Whether the request was carried out is not known.
    Lost,
}

/// Gathers the text of one request after another in the caller's buffer.
///
/// Text that does not fit is dropped and counted; the rest is then cut between two characters. The text comes from a
/// model, so do not trust it, and show it on a terminal only through `safe_text::Sanitiser`.
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
    /// An answer that waits for no request yet.
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

    /// Waits for this request, and forgets the text of the last one.
    pub const fn begin(&mut self, request: RequestId) {
        (self.len, self.dropped, self.tokens) = (0, 0, 0);
        (self.request, self.outcome) = (Some(request), None);
    }

    /// Takes what belongs to the request; returns false for anything else. Give it everything that
    /// [`Client::poll`](crate::Client::poll) returns.
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
                // The request was not a request for text.
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

    /// The request that this waits for or has waited for.
    #[must_use]
    pub const fn request(&self) -> Option<RequestId> {
        self.request
    }

    /// How the request ended; `None` while it is in flight, or if there is none.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The text so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }

    /// The text so far, as a string.
    ///
    /// # Errors
    /// It is not UTF-8, which a hostile inference can send.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        core::str::from_utf8(self.bytes())
    }

    /// Tokens of the text, including those of dropped text.
    #[must_use]
    pub const fn tokens(&self) -> u32 {
        self.tokens
    }

    /// Bytes of text that did not fit.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}
