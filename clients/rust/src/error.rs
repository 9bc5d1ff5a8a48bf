//! Why a request is not sent, and whether anything can be.

use crate::flights::MAX_IN_FLIGHT;
use protocol::error::Failure;

/// Why a request was not submitted. Nothing was sent, and nothing is in flight because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Audit has not begun to serve this client. Try again when it signals.
    #[error("audit has not begun to serve this client: try again when it signals")]
    NotConnected,
    /// Audit was built from another version of the protocol. No request will ever be sent.
    #[error(
        "audit speaks version {theirs} of the protocol, this client version {ours}: build both from the same tree"
    )]
    OtherVersion {
        /// The version that audit's region names.
        theirs: u64,
        /// [`protocol::VERSION`], of this library.
        ours: u16,
    },
    /// Audit has not read what was sent before. Try again when it signals.
    #[error("audit has not read what it was sent before: try again when it signals")]
    Full,
    /// [`MAX_IN_FLIGHT`] requests are in flight. Try again when one of them has ended.
    #[error(
        "{MAX_IN_FLIGHT} requests are in flight, which is all this client keeps: wait for one to end"
    )]
    TooManyInFlight,
    /// What no audit takes: a prompt or an example that is empty, too long or no UTF-8, or a passphrase that is too long. The failure
    /// has the value and the limit, as audit's own answers have.
    #[error("the request cannot be sent: {:?}, value {}, limit {}", .0.code, .0.value, .0.limit)]
    Invalid(Failure),
    /// [`Request::Cancel`](protocol::wire::client::Request::Cancel) is about another request:
    /// [`Client::cancel`](crate::Client::cancel) sends it.
    #[error("a cancellation is not a request of its own: use Client::cancel")]
    NotARequest,
    /// Audit's region says that more was read than was sent. Nothing can be sent until it says something possible.
    #[error("audit's ring has an index that it cannot have: nothing can be sent")]
    BrokenRing,
}

/// Whether requests can be submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Audit has not begun to serve this client.
    Waiting,
    /// Audit was built from another version of the protocol.
    OtherVersion {
        /// The version that audit's region names.
        theirs: u64,
        /// [`protocol::VERSION`], of this library.
        ours: u16,
    },
    /// They can, as far as there is room.
    Open,
}

/// What came from audit and was dropped, since the client was made. Both stay 0 with an audit that keeps to the
/// protocol, but that `unexpected` counts its answer to a [`cancel`](crate::Client::cancel) that came too late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Impossible indices, and bytes that are no message of this protocol.
    pub malformed: u64,
    /// Events that answer no request in flight, or not that kind of request.
    pub unexpected: u64,
}
