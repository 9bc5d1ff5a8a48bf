//! A client of sel4-llm: asks the model from any protection domain.
//!
//! A *client* is a protection domain with a pair of rings to **audit**, the reference monitor that every request and
//! every token passes. Audit knows who asks by the channel, so a request never says so: `policy.toml` binds each client
//! to a user, or lets it log in. This crate is the client's half of that pair. `clients/README.md` says what to write
//! into `system.xml` and `policy.toml`.
//!
//! - It has no heap, does not block, and has no unsafe code. Its memory is [`Memory`] and [`Inbox`], 27 KiB in all.
//! - [`Client::submit`], or the method of a request such as [`Client::infer`], sends a request and gives its
//!   [`RequestId`], or a [`SubmitError`] that says what to do about it.
//! - [`Client::poll`] gives what has come: news of the system ([`Notice`]), parts of answers, and exactly one end for
//!   each request, also if audit begins anew meanwhile ([`Incoming::Lost`]).
//! - [`Client::cancel`] asks for the end of a request, [`Client::abandon`] does not wait for it either.
//! - [`Client::take_owed_signal`] says whether audit must be signalled, once for all that was done before.
//! - [`Answer`] gathers the text of a request in a buffer.
//! - Whatever lies in audit's region, nothing here panics; what is no message is dropped and counted
//!   ([`Client::dropped`]).
//!
//! # A component that asks a question
//!
//! What it does is a type over two regions, so that it can be tested on the host, where two regions are two arrays.
//!
//! ```
//! use sel4_llm_client::region::{ReadWords, WriteWords};
//! use sel4_llm_client::{Answer, Client, Inbox, Incoming, Infer, Notice, Outcome};
//!
//! struct Guard<'m, R, W> {
//!     client: Client<'m, R, W>,
//!     answer: Answer<'m>,
//!     /// What was decided.
//!     open: Option<bool>,
//! }
//!
//! impl<R: ReadWords, W: WriteWords> Guard<'_, R, W> {
//!     /// Audit has signalled. True: signal it in turn. The inbox lies outside, so that what is in it can be looked at
//!     /// while the rest changes.
//!     fn notified(&mut self, inbox: &mut Inbox) -> bool {
//!         while let Some(incoming) = self.client.poll(inbox) {
//!             // Before this, a request for text would be refused: no model is loaded yet.
//!             if let Incoming::Notice(Notice::Ready(_)) = incoming {
//!                 self.ask();
//!             }
//!             if self.answer.take(&incoming) && let Some(outcome) = self.answer.outcome() {
//!                 // Audit has seen to it that an answer that has finished is one of the two. What went wrong is a no.
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
//! // ---- Its test, with an audit that the test plays. `protocol` is `sel4-llm-protocol` with its feature `testing`.
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
//! # When what happens
//!
//! | it says | then |
//! |---|---|
//! | [`SubmitError::NotConnected`], [`SubmitError::Full`] | try again when audit signals |
//! | [`SubmitError::TooManyInFlight`] | try again when a request has ended |
//! | [`SubmitError::Invalid`] | the request itself must change; the [`Failure`] has the value and the limit |
//! | [`SubmitError::OtherVersion`] | this domain and audit must be built from the same tree |
//! | [`Event::Failed`] | audit has refused the request, or it has failed: the [`ErrorCode`] says why, and the value and the limit are beside it. [`ErrorCode::QuotaExceeded`]: [`Client::budget`] says when there is more. [`ErrorCode::FormatBreach`]: what came before is a beginning and no answer |
//! | [`Incoming::Lost`] | audit has begun anew; whether the request was carried out is not known |
//! | [`Notice::Fault`], then [`Notice::Recovered`] | inference was restarted: requests that it had fail, sessions are gone, what comes after it is served |
//!
//! A client that does not poll delays its own requests and nothing else: inference rests when it is ahead of what the
//! client has read, and what has come meanwhile is one longer [`Event::Text`].
//!
//! # What a client can rely on
//!
//! Audit is trusted: it keeps budgets, meters tokens, and tells each client only of that client's own requests. What the
//! *model* says is not: any bytes can come as text, with any meaning, so have it decide by a closed set of answers
//! ([`Infer::choices`], [`Infer::format`]), which audit keeps whatever inference does; and show text on a terminal through
//! `safe-text`.

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
mod flights;
mod incoming;
mod requests;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Outcome};
pub use client::{Client, Inbox, MAX_WAITING, Memory};
pub use error::{Dropped, Link, SubmitError};
pub use example::Example;
pub use flights::{MAX_IN_FLIGHT, RequestId};
pub use incoming::{Incoming, Notice};
pub use requests::{FineTune, Infer, Role, Segment};

// What a client needs of the protocol, so that it needs no second dependency.
pub use protocol::decimal::ONE;
pub use protocol::error::{ErrorCode, Failure};
pub use protocol::name::{FormatName, ModelName, SessionName, TemplateName, UserName};
pub use protocol::ring::{Endpoint, REGION_BYTES, RegionTooSmall};
pub use protocol::wire::client::{
    AdapterEntry, AdapterOrigin, Budget, BudgetChange, Event, Exported, Finished, FormatEntry,
    LogExtent, LogQuery, ModelEntry, Progress, Request, Session, SessionState, Signature, Stage,
    Stats, Status, Training, Tuned, User,
};
pub use protocol::wire::{
    AdapterInfo, ArenaUse, Fault, FaultKind, FinishReason, InferParams, ModelInfo, PartKind, Parts,
    Sampling, TARGETS_ALL, TARGETS_ATTENTION, TrainParams, TrainProgress,
};
pub use protocol::{adapters, limits, record, region};
