//! Between a client and audit: a [`Request`] goes out, [`Event`]s come back.
//!
//! Audit tracks who is logged in; a request never names its user. A request is answered by any number of intermediate
//! events ([`Event::Text`], [`Event::Model`], [`Event::Record`] …) and one final event.

mod event;
mod request;
mod stats;

pub use event::{
    AdapterEntry, AdapterOrigin, Event, Exported, Finished, FormatEntry, LogExtent, ModelEntry,
    Progress, SessionEntry, SessionState, Signature, Stage, Status, Training, Tuned, User,
};
pub use request::{BudgetChange, LogQuery, Request};
pub use stats::{Budget, Refusals, Stats};
