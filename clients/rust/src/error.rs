//! Why a request is not sent, and whether any can be.

use crate::flights::MAX_IN_FLIGHT;
use protocol::error::Failure;

/// Why a request was not submitted. Nothing was sent, and nothing is in flight for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Audit does not serve this client yet. Try again when it signals.
    #[error("audit has not begun to serve this client: try again when it signals")]
    NotConnected,
    /// Audit was built from another version of the protocol. No request can ever be sent.
    #[error(
        "audit speaks version {theirs} of the protocol, this client version {ours}: build both from the same tree"
    )]
    OtherVersion {
        /// The version in audit's region.
        theirs: u64,
        /// [`protocol::VERSION`] of this library.
        ours: u16,
    },
    /// Audit has not read earlier messages yet. Try again when it signals.
    #[error("audit has not read what it was sent before: try again when it signals")]
    Full,
    /// [`MAX_IN_FLIGHT`] requests are in flight. Try again when one of them has ended.
    #[error(
        "{MAX_IN_FLIGHT} requests are in flight, which is all this client keeps: wait for one to end"
    )]
    TooManyInFlight,
    /// The request is invalid: a prompt or an example is empty, too long or not UTF-8, or a passphrase is too long. As
    /// in audit's answers, the failure holds the value and the limit.
    #[error("the request cannot be sent: {:?}, value {}, limit {}", .0.code, .0.value, .0.limit)]
    Invalid(Failure),
    /// [`Request::Cancel`](protocol::wire::client::Request::Cancel) is not a request of its own.
    /// [`Client::cancel`](crate::Client::cancel) sends it.
    #[error("a cancellation is not a request: use Client::cancel")]
    NotARequest,
    /// Audit's region claims that more was read than was sent. Nothing can be sent until it holds a possible index.
    #[error("audit's ring has an impossible index: nothing can be sent")]
    BrokenRing,
}

/// Whether requests can be submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Audit does not serve this client yet.
    Waiting,
    /// Audit was built from another version of the protocol.
    OtherVersion {
        /// The version in audit's region.
        theirs: u64,
        /// [`protocol::VERSION`] of this library.
        ours: u16,
    },
    /// They can, as far as there is room.
    Open,
}

/// Counts of messages from audit that were dropped since the client was made. With an audit that follows the protocol
/// both stay 0, except that `unexpected` counts answers to a [`cancel`](crate::Client::cancel) that came too late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Impossible indices, and messages that this protocol does not have.
    pub malformed: u64,
    /// Events that answer no request in flight, or not that kind of request.
    pub unexpected: u64,
}
