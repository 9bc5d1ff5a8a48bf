//! The client: one end of a pair of rings with audit, and the requests that are in flight on it.
//!
//! The rule that keeps it consistent: a request number is in the table from when its request is sent until audit has
//! answered it or was restarted, and an event is passed on only if its number is there. So whatever audit writes, each
//! request ends exactly once.

use crate::ends::{Kind, Place};
use crate::error::{Dropped, Link, SubmitError};
use crate::flights::{Cancel, Fate, Flight, Flights, MAX_IN_FLIGHT, RequestId};
use crate::incoming::{Incoming, Notice};
use crate::infer::{Infer, check_format};
use protocol::VERSION;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_EXAMPLE_BYTES, MAX_PARTS_BYTES, MAX_PASSPHRASE_BYTES};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, RegionTooSmall, SLOTS, SendError};
use protocol::wire::Parts;
use protocol::wire::client::{Event, Request};

/// Buffers of a [`Client`], 18 KiB. They are outside the client so that a domain with a small stack can make them a
/// static. New ones are all zeros.
#[derive(Debug)]
pub struct Memory {
    /// The message to send.
    pub(crate) outgoing: Frame,
    /// The parts of a request for text, until they are written into a message.
    parts: [u8; MAX_PARTS_BYTES],
    flights: Flights,
}

/// Buffer for the last message read, 9 KiB. The result of [`Client::poll`] borrows it and not the client, so requests
/// can be submitted while an answer is examined.
#[derive(Debug)]
pub struct Inbox {
    frame: Frame,
}

// The sizes given above.
const _: () = assert!(size_of::<Memory>() <= 18 * 1024 && size_of::<Inbox>() <= 9 * 1024);

impl Memory {
    /// New, empty buffers.
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
    /// A new, empty inbox.
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

/// Most results that [`Client::poll`] returns for one signal: the news that audit was restarted, each request that was
/// lost by that, and a ring full of messages. A caller that stops there misses nothing, because anything written later
/// comes with its own signal.
pub const MAX_WAITING: usize = 1 + MAX_IN_FLIGHT + SLOTS;

/// A client of audit. There is one per pair of rings, for the domain's life.
///
/// Nothing here blocks: [`submit`](Self::submit) sends or says why not, and [`poll`](Self::poll) returns what has
/// arrived. After either, [`take_owed_signal`](Self::take_owed_signal) says whether audit must be signalled.
#[derive(Debug)]
pub struct Client<'m, R, W> {
    ring: Endpoint<R, W>,
    memory: &'m mut Memory,
    /// Something was sent or read since the owner last asked.
    owes_signal: bool,
    /// Our region holds a passphrase that audit has not read yet.
    holds_secret: bool,
    /// Audit was restarted, and the owner has not been told yet.
    restarted: bool,
    dropped: Dropped,
}

/// What a received message means.
enum Received {
    None,
    /// It answers nothing and is dropped.
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

    /// Sends a request. [`Self::poll`] returns its answer, with the id that this returns.
    ///
    /// A passphrase is wiped from this library's memory before this returns, and from the ring once audit has read it,
    /// which a later [`Self::poll`] notices. The caller wipes its own copy.
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

    /// The same for a request for text whose parts are still to be written.
    pub(crate) fn submit_text(&mut self, infer: &Infer<'_>) -> Result<RequestId, SubmitError> {
        let written = infer.write(&mut self.memory.parts);
        let len = written.map_err(SubmitError::Invalid)?.as_bytes().len();
        let number = self.prepare()?;
        let Memory {
            outgoing, parts, ..
        } = &mut *self.memory;
        // `write` has just put them there.
        let parts = parts.get(..len).and_then(Parts::parse).unwrap_or_default();
        infer.with(parts).write(number, outgoing);
        self.send(number, Kind::Text, false)
    }

    pub(crate) fn check_text(&mut self, infer: &Infer<'_>) -> Result<(), Failure> {
        infer.write(&mut self.memory.parts).map(|_| ())
    }

    /// The number of the next request, if one can be sent.
    fn prepare(&mut self) -> Result<u32, SubmitError> {
        self.follow();
        match self.link() {
            Link::Open => {}
            Link::Waiting => return Err(SubmitError::NotConnected),
            Link::OtherVersion { theirs, ours } => {
                return Err(SubmitError::OtherVersion { theirs, ours });
            }
        }
        // They come first, because they were asked for first.
        self.send_owed_cancels();
        let flights = &mut self.memory.flights;
        match flights.room() {
            0 => Err(SubmitError::TooManyInFlight),
            _ => Ok(flights.next_number()),
        }
    }

    /// Sends the message in the frame.
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
            // `check` has limited all other parts that vary in length.
            SendError::TooLong => SubmitError::Invalid(Failure::of(ErrorCode::PromptBytes)),
        })?;
        self.owes_signal = true;
        self.holds_secret |= is_secret;
        Ok(self.memory.flights.add(number, kind))
    }

    /// Asks audit to stop a request. The request stays in flight until its last event, which may already be under way;
    /// a request for text ends with its cost so far.
    ///
    /// The message is sent now if there is room, and otherwise by a later [`Self::poll`] or [`Self::submit`]. Another
    /// call sends it again, which helps if another user was logged in at the first: audit stops only requests of the
    /// user who asks. Returns false, and does nothing, if the request is not in flight.
    pub fn cancel(&mut self, request: RequestId) -> bool {
        self.follow();
        let Some(flight) = self.memory.flights.awaited_mut(request) else {
            return false;
        };
        flight.cancel = Cancel::Owed;
        self.send_owed_cancels();
        true
    }

    /// Like [`Self::cancel`], but nothing more of the request is passed on, not even its end. If a cancellation was
    /// sent before, no other is sent. Returns false if nothing more was to come.
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

    /// How many requests can be submitted now, given the room in the ring and in memory. It grows when audit reads
    /// (audit then signals) and when requests end.
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

    /// Requests that have not ended, except abandoned ones.
    pub fn in_flight(&self) -> impl Iterator<Item = RequestId> {
        self.memory.flights.awaited()
    }

    // ---- Receiving --------------------------------------------------------------------------------

    /// The next message from audit; `None` if there is none now.
    ///
    /// When signalled, poll until `None`, then check [`Self::take_owed_signal`]. The work of one call is bounded
    /// whatever audit's region holds. So is the number of calls until `None`, unless audit writes more meanwhile.
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
        // Skips messages that answer nothing, a ring full at most.
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

    /// Whether audit must be signalled, because something was sent or read since the last call. One signal is enough
    /// for all that was submitted and polled.
    #[must_use = "audit looks at its ring only when it is signalled"]
    pub fn take_owed_signal(&mut self) -> bool {
        let read = self.ring.take_owed_signal();
        core::mem::take(&mut self.owes_signal) || read
    }

    /// Counts of messages from audit that were dropped.
    #[must_use]
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }

    #[cfg(test)]
    pub(crate) const fn memory_for_tests(&self) -> &Memory {
        self.memory
    }

    // ---- Inside -----------------------------------------------------------------------------------

    /// Joins audit's epoch. If there was one before, audit was restarted.
    fn follow(&mut self) {
        let is_first = self.ring.epoch() == 0;
        if self.ring.follow() && !is_first {
            self.restarted = true;
            self.memory.flights.lose_all();
        }
    }

    /// Sends the cancellations that are owed, as far as there is room.
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

    /// Takes the next message out of the ring, and finds what it answers.
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
            // The answer to a login means that audit has read its passphrase.
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

    /// Overwrites the part of the ring that audit has read, if it held a passphrase.
    fn wipe_secret(&mut self) {
        if self.holds_secret {
            self.holds_secret = !self.ring.wipe_read();
        }
    }
}

/// What the message in `frame` means to the caller. It is parsed again, because [`Client::receive`] must not keep a
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

/// Refuses what audit would always refuse. Other limits are audit's to check, since some depend on the user.
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
