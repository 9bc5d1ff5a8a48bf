//! A client of sel4-llm: asks the model from any protection domain.
//!
//! A *client* is a protection domain with a pair of rings to **audit**, the reference monitor that every request and
//! every token passes. Audit knows who asks by the channel, so a request never says so: `policy.toml` binds each client
//! to a user, or lets it log in. This crate is the client's half of that pair. `clients/README.md` says what to write
//! into `system.xml` and `policy.toml`.
//!
//! - It has no heap, does not block, and has no unsafe code. Its memory is [`Memory`] and [`Inbox`], 27 KiB in all.
//! - [`Client::submit`], or a method for one request such as [`Client::infer`], sends a request. It returns the
//!   [`RequestId`], or a [`SubmitError`] that says what to do about it.
//! - [`Client::poll`] returns what has arrived: news of the system ([`Notice`]), parts of answers, and exactly one end
//!   for each request, even if audit is restarted ([`Incoming::Lost`]).
//! - [`Client::cancel`] asks for the end of a request; [`Client::abandon`] also ignores its answer.
//! - [`Client::take_owed_signal`] says whether audit must be signalled, once for everything before.
//! - [`Answer`] gathers the text of a request in a buffer.
//! - Nothing here panics, whatever audit's region holds. Invalid messages are dropped and counted
//!   ([`Client::dropped`]).
//!
//! # A component that asks a question
//!
//! The component is generic over its two regions, so it can be tested on the host, where two arrays serve as regions.
//!
//! ```
//! use sel4_llm_client::region::{ReadWords, WriteWords};
//! use sel4_llm_client::{Answer, Client, Inbox, Incoming, Infer, Notice, Outcome};
//!
//! struct Guard<'m, R, W> {
//!     client: Client<'m, R, W>,
//!     answer: Answer<'m>,
//!     /// The decision.
//!     open: Option<bool>,
//! }
//!
//! impl<R: ReadWords, W: WriteWords> Guard<'_, R, W> {
//!     /// Call it when audit has signalled. If it returns true, signal audit in turn. The inbox is separate, so that
//!     /// a message in it can be examined while the rest changes.
//!     fn notified(&mut self, inbox: &mut Inbox) -> bool {
//!         while let Some(incoming) = self.client.poll(inbox) {
//!             // Before this, audit would refuse a request for text, because no model is loaded yet.
//!             if let Incoming::Notice(Notice::Ready(_)) = incoming {
//!                 self.ask();
//!             }
//!             if self.answer.take(&incoming) && let Some(outcome) = self.answer.outcome() {
//!                 // Audit guarantees that a finished answer is one of the two. Anything else counts as no.
//!                 let says_yes = self.answer.text() == Ok("yes");
//!                 self.open = Some(matches!(outcome, Outcome::Finished(_)) && says_yes);
//!             }
//!         }
//!         self.client.take_owed_signal()
//!     }
//!
//!     fn ask(&mut self) {
//!         let question = Infer::new("The badge is valid. Open the door?").choices(&["yes", "no"]);
//!         match self.client.infer(&question.max_tokens(4).greedy()) {
//!             Ok(request) => self.answer.begin(request),
//!             Err(_) => self.open = Some(false),
//!         }
//!     }
//! }
//!
//! // ---- Its test plays audit. `protocol` is `sel4-llm-protocol` with its feature `testing`.
//! use protocol::ring::Frame;
//! use protocol::wire::FinishReason;
//! use protocol::wire::client::{Event, Finished, Request, User};
//!
//! let (mut audit, end, _) = protocol::testing::endpoints();
//! let mut memory = sel4_llm_client::Memory::new();
//! let (mut inbox, mut text) = (Inbox::new(), [0; 64]);
//! let mut guard = Guard {
//!     client: Client::new(end, &mut memory),
//!     answer: Answer::new(&mut text),
//!     open: None,
//! };
//! audit.lead(1);
//! let mut frame = Frame::new();
//! let mut say = |audit: &mut protocol::testing::TestEndpoint, request, event: Event<'_>| {
//!     event.write(request, &mut frame);
//!     audit.send(&frame).unwrap();
//! };
//! say(&mut audit, 0, Event::Ready(User::default()));
//! assert!(guard.notified(&mut inbox), "it has read, and asked");
//!
//! let mut received = Frame::new();
//! assert_eq!(audit.receive(&mut received), Ok(true));
//! assert!(matches!(Request::parse(&received), Ok(Request::Infer { .. })));
//! let request = received.header().request;
//! say(&mut audit, request, Event::Text { tokens: 1, text: b"yes" });
//! let finished = Finished {
//!     reason: FinishReason::EndOfText,
//!     prompt_tokens: 14,
//!     generated_tokens: 2,
//!     turn: 1,
//!     first_token_us: 210_000,
//!     total_us: 330_000,
//!     held_us: 0,
//! };
//! say(&mut audit, request, Event::Finished(finished));
//! guard.notified(&mut inbox);
//! assert_eq!(guard.open, Some(true));
//! ```
//!
//! # What to do when
//!
//! | it returns | then |
//! |---|---|
//! | [`SubmitError::NotConnected`], [`SubmitError::Full`] | try again when audit signals |
//! | [`SubmitError::TooManyInFlight`] | try again when a request has ended |
//! | [`SubmitError::Invalid`] | change the request; the [`Failure`] holds the value and the limit |
//! | [`SubmitError::OtherVersion`] | build this domain and audit from the same tree |
//! | [`Event::Failed`] | the request was refused or has failed; the [`ErrorCode`] says why, with the value and the limit. After [`ErrorCode::QuotaExceeded`], [`Client::budget`] says when there is more. After [`ErrorCode::FormatBreach`], the text before it is incomplete: do not use it |
//! | [`Incoming::Lost`] | audit was restarted; whether the request was carried out is not known |
//! | [`Notice::Fault`], then [`Notice::Recovered`] | inference was restarted: its requests fail and sessions are gone, but new requests are served |
//!
//! A client that does not poll delays only its own requests: inference pauses when it is ahead of what the client has
//! read, and the waiting text arrives as one longer [`Event::Text`].
//!
//! # What a client can rely on
//!
//! Audit is trusted: it keeps budgets, meters tokens, and tells each client only about that client's own requests. The
//! *model's* text is not: it can be any bytes with any meaning. So let it decide only between fixed answers
//! ([`Infer::choices`], [`Infer::format`]), which audit enforces whatever inference does, and show text on a terminal
//! through `safe-text`.

#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(test)]
extern crate std;

mod answer;
mod client;
mod ends;
mod error;
mod example;
mod fine_tune;
mod flights;
mod incoming;
mod infer;
mod requests;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Outcome};
pub use client::{Client, Inbox, MAX_WAITING, Memory};
pub use error::{Dropped, Link, SubmitError};
pub use example::Example;
pub use fine_tune::FineTune;
pub use flights::{MAX_IN_FLIGHT, RequestId};
pub use incoming::{Incoming, Notice};
pub use infer::{Infer, Role, Segment};

// The parts of the protocol that a client needs, so that it needs no second dependency.
pub use protocol::decimal::ONE;
pub use protocol::error::{ErrorCode, Failure};
pub use protocol::name::{FormatName, ModelName, SessionName, TemplateName, UserName};
pub use protocol::ring::{Endpoint, REGION_BYTES, RegionTooSmall};
pub use protocol::wire::client::{
    AdapterEntry, AdapterOrigin, Budget, BudgetChange, Event, Exported, Finished, FormatEntry,
    LogExtent, LogQuery, ModelEntry, Progress, Request, SessionEntry, SessionState, Signature,
    Stage, Stats, Status, Training, Tuned, User,
};
pub use protocol::wire::{
    AdapterInfo, ArenaUse, Fault, FaultKind, FinishReason, InferParams, ModelInfo, PartKind, Parts,
    Sampling, TARGETS_ALL, TARGETS_ATTENTION, TrainParams, TrainProgress,
};
pub use protocol::{adapters, limits, record, region};
