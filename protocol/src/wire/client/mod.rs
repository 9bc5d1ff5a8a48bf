//! Between a client and audit: a [`Request`] goes out, [`Event`]s come back.
//!
//! Audit keeps who is logged in; a request never says who asks. A request is answered by any number of events that are
//! not its last ([`Event::Text`], [`Event::Model`], [`Event::Record`] …) and one that is.

mod event;
mod request;
mod stats;

pub use event::{
    AdapterEntry, AdapterOrigin, Event, Exported, Finished, FormatEntry, LogExtent, ModelEntry,
    Progress, Session, SessionState, Signature, Stage, Status, Training, Tuned, User,
};
pub use request::{BudgetChange, LogQuery, Request};
pub use stats::{Budget, Refusals, Stats};
