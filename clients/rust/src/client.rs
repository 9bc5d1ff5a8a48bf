//! The client: one end of a pair of rings with audit, and the requests that are in flight on it.
//!
//! The rule that keeps it whole: a number is in the table from the moment its request is sent until audit has answered
//! it or has begun anew, and an event is told only if its number is there. So whatever audit writes, each request ends
//! once.

use crate::ends::{Kind, Place};
use crate::error::{Dropped, Link, SubmitError};
use crate::flights::{Cancel, Fate, Flight, Flights, MAX_IN_FLIGHT, RequestId};
use crate::incoming::{Incoming, Notice};
use crate::requests::{Infer, check_format};
use protocol::VERSION;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_EXAMPLE_BYTES, MAX_PARTS_BYTES, MAX_PASSPHRASE_BYTES};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, RegionTooSmall, SLOTS, SendError};
use protocol::wire::Parts;
use protocol::wire::client::{Event, Request};

/// What a [`Client`] keeps in buffers, 18 KiB. It lies outside of the client so that a domain with a small stack can
/// make it a static, and is all zeros when it is new.
#[derive(Debug)]
pub struct Memory {
    /// The message that is sent.
    pub(crate) outgoing: Frame,
    /// What a request for text is made of, until it is written into a message.
    parts: [u8; MAX_PARTS_BYTES],
    flights: Flights,
}

/// Room for the message that was read last, 9 KiB: what [`Client::poll`] gives refers to it, so that requests can be
/// submitted while an answer is looked at.
#[derive(Debug)]
pub struct Inbox {
    frame: Frame,
}

// The figures that are promised above.
const _: () = assert!(size_of::<Memory>() <= 18 * 1024 && size_of::<Inbox>() <= 9 * 1024);

impl Memory {
    /// Empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            outgoing: Frame::new(),
            parts: [0; MAX_PARTS_BYTES],
            flights: Flights::new(),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Inbox {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            frame: Frame::new(),
        }
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

/// Most that [`Client::poll`] has to give before what audit writes meanwhile: the news that audit has begun anew, each
/// request that was lost by it, and a ring of messages. Whoever reads no more at a signal misses nothing, since what is
/// written later comes with a signal of its own.
pub const MAX_WAITING: usize = 1 + MAX_IN_FLIGHT + SLOTS;

/// A client of audit. One per pair of rings, for the domain's life.
///
/// Nothing in it waits: [`submit`](Self::submit) sends or says why it does not, [`poll`](Self::poll) gives what has come.
/// After either, [`take_owed_signal`](Self::take_owed_signal) says whether audit must be signalled.
#[derive(Debug)]
pub struct Client<'m, R, W> {
    ring: Endpoint<R, W>,
    memory: &'m mut Memory,
    /// Something was sent since the owner last asked.
    owes_signal: bool,
    /// Our region holds a passphrase until audit has read it.
    holds_secret: bool,
    /// Audit has begun anew, which the owner was not told yet.
    restarted: bool,
    dropped: Dropped,
}

/// What a message is that was received.
enum Received {
    None,
    /// It is nobody's.
    Dropped,
    Notice,
    Part,
    Last,
}

impl<'m, R: ReadWords, W: WriteWords> Client<'m, R, W> {
    /// A client over a pair of rings.
    #[must_use]
    pub const fn new(ring: Endpoint<R, W>, memory: &'m mut Memory) -> Self {
        Self {
            ring,
            memory,
            owes_signal: false,
            holds_secret: false,
            restarted: false,
            dropped: Dropped {
                malformed: 0,
                unexpected: 0,
            },
        }
    }

    /// A client over the region that audit writes and the one that this domain writes.
    ///
    /// # Errors
    /// A region is smaller than [`REGION_BYTES`](protocol::ring::REGION_BYTES).
    pub fn over(
        from_audit: R,
        to_audit: W,
        memory: &'m mut Memory,
    ) -> Result<Self, RegionTooSmall> {
        Ok(Self::new(Endpoint::new(from_audit, to_audit)?, memory))
    }

    // ---- Sending ----------------------------------------------------------------------------------

    /// Sends a request. Its answer comes from [`Self::poll`] under the id that this gives.
    ///
    /// A passphrase is wiped from this library's memory before this returns, and from the ring when audit has read it
    /// (which a later [`Self::poll`] sees); the caller wipes its own copy.
    ///
    /// # Errors
    /// See [`SubmitError`]; nothing was sent.
    pub fn submit(&mut self, request: &Request<'_>) -> Result<RequestId, SubmitError> {
        let kind = Kind::of(request).ok_or(SubmitError::NotARequest)?;
        check(request).map_err(SubmitError::Invalid)?;
        let number = self.prepare()?;
        request.write(number, &mut self.memory.outgoing);
        self.send(number, kind, holds_secret(request))
    }

    /// The same for a request for text that is still to be put together.
    pub(crate) fn submit_text(&mut self, infer: &Infer<'_>) -> Result<RequestId, SubmitError> {
        let written = infer.write(&mut self.memory.parts);
        let len = written.map_err(SubmitError::Invalid)?.as_bytes().len();
        let number = self.prepare()?;
        let Memory {
            outgoing, parts, ..
        } = &mut *self.memory;
        // They were written there.
        let parts = parts.get(..len).and_then(Parts::parse).unwrap_or_default();
        infer.with(parts).write(number, outgoing);
        self.send(number, Kind::Text, false)
    }

    pub(crate) fn check_text(&mut self, infer: &Infer<'_>) -> Result<(), Failure> {
        infer.write(&mut self.memory.parts).map(|_| ())
    }

    /// The number of the next request, if it can be sent.
    fn prepare(&mut self) -> Result<u32, SubmitError> {
        self.follow();
        match self.link() {
            Link::Open => {}
            Link::Waiting => return Err(SubmitError::NotConnected),
            Link::OtherVersion { theirs, ours } => {
                return Err(SubmitError::OtherVersion { theirs, ours });
            }
        }
        // They were asked for before.
        self.send_owed_cancels();
        let flights = &mut self.memory.flights;
        match flights.room() {
            0 => Err(SubmitError::TooManyInFlight),
            _ => Ok(flights.next_number()),
        }
    }

    /// Sends the message that was written.
    fn send(&mut self, number: u32, kind: Kind, is_secret: bool) -> Result<RequestId, SubmitError> {
        let outgoing = &mut self.memory.outgoing;
        let sent = self.ring.send(outgoing);
        if is_secret {
            outgoing.wipe();
        }
        sent.map_err(|error| match error {
            SendError::Full => SubmitError::Full,
            SendError::Violation => SubmitError::BrokenRing,
            SendError::Stale => SubmitError::NotConnected,
            // The only parts that vary in length were checked before.
            SendError::TooLong => SubmitError::Invalid(Failure::of(ErrorCode::PromptBytes)),
        })?;
        self.owes_signal = true;
        self.holds_secret |= is_secret;
        Ok(self.memory.flights.add(number, kind))
    }

    /// Asks audit to end a request before its end. The request stays in flight until its last event has come, which may
    /// be the one that was on its way already: a request for text ends with what it has cost so far.
    ///
    /// The message is sent now if there is room, else by a later [`Self::poll`] or [`Self::submit`]. Another call sends it
    /// again, which helps if another user was logged in at the first: audit stops only what its own user has asked for.
    /// False if the request is not in flight: then there is nothing to do.
    pub fn cancel(&mut self, request: RequestId) -> bool {
        self.follow();
        let Some(flight) = self.memory.flights.awaited_mut(request) else {
            return false;
        };
        flight.cancel = Cancel::Owed;
        self.send_owed_cancels();
        true
    }

    /// As [`Self::cancel`], for a caller that does not want to hear of the request any more: nothing of it is told, not
    /// even its end. If a cancellation was sent before, none is sent again. False if there was nothing to be told.
    pub fn abandon(&mut self, request: RequestId) -> bool {
        self.follow();
        let flights = &mut self.memory.flights;
        if let Some(flight) = flights.awaited_mut(request) {
            flight.fate = Fate::Abandoned;
            if flight.cancel == Cancel::None {
                flight.cancel = Cancel::Owed;
            }
            self.send_owed_cancels();
            return true;
        }
        flights.remove_lost(request)
    }

    /// How many requests can be submitted now: there is room for them in the ring and in the memory. More of it comes
    /// when audit has read (it signals) and when requests end.
    #[must_use]
    pub fn room(&self) -> usize {
        let owed = self.memory.flights.owed_cancels();
        match self.link() {
            Link::Open => {
                let free = self.ring.free().saturating_sub(owed);
                free.min(self.memory.flights.room())
            }
            Link::Waiting | Link::OtherVersion { .. } => 0,
        }
    }

    /// Whether requests can be submitted at all, as of the last [`Self::poll`] or [`Self::submit`].
    #[must_use]
    pub fn link(&self) -> Link {
        let theirs = self.ring.peer_version();
        match self.ring.epoch() {
            0 => Link::Waiting,
            _ if theirs == u64::from(VERSION) => Link::Open,
            _ => Link::OtherVersion {
                theirs,
                ours: VERSION,
            },
        }
    }

    /// Requests whose end is still to come, without those that were abandoned.
    pub fn in_flight(&self) -> impl Iterator<Item = RequestId> {
        self.memory.flights.awaited()
    }

    // ---- Receiving --------------------------------------------------------------------------------

    /// The next thing that audit has to say; `None` if there is none now.
    ///
    /// Whoever is signalled polls until `None`, then looks at [`Self::take_owed_signal`]. The work of one call is
    /// bounded whatever audit's region holds, and so is the number of calls until `None`, as long as audit writes
    /// nothing new meanwhile.
    pub fn poll<'f>(&mut self, inbox: &'f mut Inbox) -> Option<Incoming<'f>> {
        self.follow();
        self.send_owed_cancels();
        if core::mem::take(&mut self.restarted) {
            return Some(Incoming::Notice(Notice::Restarted));
        }
        if let Some(request) = self.memory.flights.take_lost() {
            return Some(Incoming::Lost { request });
        }
        let frame = &mut inbox.frame;
        // What is nobody's is passed over, a ring's worth at most.
        for _ in 0..SLOTS {
            let received = self.receive(frame);
            match received {
                Received::None => break,
                Received::Dropped => {}
                Received::Notice | Received::Part | Received::Last => {
                    return told(&received, frame);
                }
            }
        }
        self.wipe_secret();
        None
    }

    /// Whether audit must be signalled: something was sent to it, or read of what it had sent, since the last call. Once
    /// for all that was submitted and polled is enough.
    #[must_use = "audit looks at its ring only when it is signalled"]
    pub fn take_owed_signal(&mut self) -> bool {
        let read = self.ring.take_owed_signal();
        core::mem::take(&mut self.owes_signal) || read
    }

    /// What came from audit and was dropped.
    #[must_use]
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }

    #[cfg(test)]
    pub(crate) const fn memory_for_tests(&self) -> &Memory {
        self.memory
    }

    // ---- Inside -----------------------------------------------------------------------------------

    /// Joins audit's epoch. If there was one before, audit has begun anew.
    fn follow(&mut self) {
        let is_first = self.ring.epoch() == 0;
        if self.ring.follow() && !is_first {
            self.restarted = true;
            self.memory.flights.lose_all();
        }
    }

    /// Sends the cancellations that were asked for, as far as there is room.
    fn send_owed_cancels(&mut self) {
        let Memory {
            outgoing, flights, ..
        } = &mut *self.memory;
        while let Some(flight) = flights.owing_cancel() {
            Request::Cancel.write(flight.number, outgoing);
            if self.ring.send(outgoing).is_err() {
                return;
            }
            flight.cancel = Cancel::Sent;
            self.owes_signal = true;
        }
    }

    /// Takes the next message out of the ring, and says whose it is.
    fn receive(&mut self, frame: &mut Frame) -> Received {
        match self.ring.receive(frame) {
            Ok(true) => {}
            Ok(false) => return Received::None,
            Err(_) => return self.drop_malformed(),
        }
        let Ok(event) = Event::parse(frame) else {
            return self.drop_malformed();
        };
        let number = frame.header().request;
        if number == 0 {
            return match Notice::of(event) {
                Some(_) => Received::Notice,
                None => self.drop_unexpected(),
            };
        }
        let Some(Flight { kind, fate, .. }) = self.memory.flights.live(number) else {
            return self.drop_unexpected();
        };
        let place = kind.place(&event);
        if place == Place::Last {
            self.memory.flights.remove(number);
            // The answer to a login says that its passphrase was read.
            self.wipe_secret();
        }
        match (place, fate) {
            (Place::Stray, _) => self.drop_unexpected(),
            (_, Fate::Abandoned) => Received::Dropped,
            (Place::Part, _) => Received::Part,
            (Place::Last, _) => Received::Last,
        }
    }

    const fn drop_malformed(&mut self) -> Received {
        self.dropped.malformed = self.dropped.malformed.saturating_add(1);
        Received::Dropped
    }

    const fn drop_unexpected(&mut self) -> Received {
        self.dropped.unexpected = self.dropped.unexpected.saturating_add(1);
        Received::Dropped
    }

    /// Overwrites what audit has read of the ring, once a passphrase was in it.
    fn wipe_secret(&mut self) {
        if self.holds_secret {
            self.holds_secret = !self.ring.wipe_read();
        }
    }
}

/// What the message in `frame` is to the caller. It was parsed before, in [`Client::receive`], which must not keep a
/// reference to it.
fn told<'f>(received: &Received, frame: &'f Frame) -> Option<Incoming<'f>> {
    let event = Event::parse(frame).ok()?;
    let request = RequestId::from_number(frame.header().request);
    match received {
        Received::None | Received::Dropped => None,
        Received::Notice => Notice::of(event).map(Incoming::Notice),
        Received::Part => Some(Incoming::Part { request, event }),
        Received::Last => Some(Incoming::Last { request, event }),
    }
}

/// Refuses what no audit would take. All other limits are audit's to check: some depend on who asks.
fn check(request: &Request<'_>) -> Result<(), Failure> {
    match request {
        Request::Infer { format, parts, .. } => {
            parts.check()?;
            parts.allowed()?;
            check_format(*format, parts)
        }
        Request::Example { text } if !(1..=MAX_EXAMPLE_BYTES).contains(&text.len()) => {
            let (value, limit) = (text.len() as u64, MAX_EXAMPLE_BYTES as u64);
            Err(Failure::over(ErrorCode::ExampleBytes, value, limit))
        }
        Request::Login {
            passphrase: Some(passphrase),
            ..
        } if passphrase.len() > MAX_PASSPHRASE_BYTES => {
            let (value, limit) = (passphrase.len() as u64, MAX_PASSPHRASE_BYTES as u64);
            Err(Failure::over(ErrorCode::PassphraseLength, value, limit))
        }
        _ => Ok(()),
    }
}

const fn holds_secret(request: &Request<'_>) -> bool {
    matches!(
        request,
        Request::Login {
            passphrase: Some(_),
            ..
        }
    )
}
