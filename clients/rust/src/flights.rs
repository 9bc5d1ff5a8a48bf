//! Requests in flight: their numbers, and what is still to be done for each.

use crate::ends::Kind;
use core::fmt;

/// Requests that a client keeps track of at once. This is more than audit admits from all clients plus what its ring
/// can hold, so audit's own limits, whose refusals name what was exceeded, are reached first.
pub const MAX_IN_FLIGHT: usize = 64;

const _: () = assert!(MAX_IN_FLIGHT > protocol::limits::MAX_REQUESTS + protocol::ring::SLOTS);

/// The number of a request. It is not reused while the request may still be answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct RequestId(u32);

impl RequestId {
    /// The id with this number, for a caller that kept only the number. If no such request is in flight, it does no
    /// harm.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The number as audit sees it; never 0 for a submitted request.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Who waits for a request's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The caller.
    Awaited,
    /// Nobody. It is kept so that its number is not reused.
    Abandoned,
    /// The caller, but audit was restarted and will not answer.
    Lost,
}

/// Whether audit shall stop a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// No.
    None,
    /// Yes, once there is room for the message.
    Owed,
    Sent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) fate: Fate,
    pub(crate) cancel: Cancel,
}

/// In the order of submission and without gaps: there are few at a time, and the oldest go first.
#[derive(Debug)]
pub(crate) struct Flights {
    flights: heapless::Vec<Flight, MAX_IN_FLIGHT>,
    /// The last number given out.
    last: u32,
}

impl Flights {
    pub(crate) const fn new() -> Self {
        Self {
            flights: heapless::Vec::new(),
            last: 0,
        }
    }

    /// The number for the next request: not 0, and not in use.
    pub(crate) fn next_number(&self) -> u32 {
        let mut number = self.last;
        // One more attempt than there are numbers in use.
        for _ in 0..=MAX_IN_FLIGHT {
            number = number.wrapping_add(1).max(1);
            if self.find(number).is_none() {
                break;
            }
        }
        number
    }

    /// Requests whose end the caller still waits for, except lost ones.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = RequestId> {
        let awaited = self.flights.iter().filter(|f| f.fate == Fate::Awaited);
        awaited.map(|flight| RequestId(flight.number))
    }

    /// How many more can be added. An abandoned request can be replaced, unless its cancellation is still owed.
    pub(crate) fn room(&self) -> usize {
        let kept = self.flights.iter().filter(|f| !is_dispensable(f)).count();
        MAX_IN_FLIGHT.saturating_sub(kept)
    }

    /// Adds a request with the number from [`Self::next_number`]. Requires [`Self::room`].
    pub(crate) fn add(&mut self, number: u32, kind: Kind) -> RequestId {
        if self.flights.is_full()
            && let Some(index) = self.flights.iter().position(is_dispensable)
        {
            self.flights.remove(index);
        }
        let _ = self.flights.push(Flight {
            number,
            kind,
            fate: Fate::Awaited,
            cancel: Cancel::None,
        });
        self.last = number;
        RequestId(number)
    }

    fn find(&self, number: u32) -> Option<&Flight> {
        self.flights.iter().find(|flight| flight.number == number)
    }

    /// The request that an event names. None is lost here, because lost ones are reported before the ring is read.
    pub(crate) fn live(&self, number: u32) -> Option<Flight> {
        self.find(number).copied()
    }

    /// The request, if its caller waits for an answer from audit.
    pub(crate) fn awaited_mut(&mut self, request: RequestId) -> Option<&mut Flight> {
        let mut awaited = self
            .flights
            .iter_mut()
            .filter(|f| f.fate == Fate::Awaited && f.number == request.0);
        awaited.next()
    }

    pub(crate) fn remove(&mut self, number: u32) {
        self.flights.retain(|flight| flight.number != number);
    }

    /// The oldest request whose cancellation is owed.
    pub(crate) fn owing_cancel(&mut self) -> Option<&mut Flight> {
        self.flights.iter_mut().find(|f| f.cancel == Cancel::Owed)
    }

    /// How many cancellations are owed.
    pub(crate) fn owed_cancels(&self) -> usize {
        let owed = self.flights.iter().filter(|f| f.cancel == Cancel::Owed);
        owed.count()
    }

    /// Removes a lost request. Returns false if it is not lost.
    pub(crate) fn remove_lost(&mut self, request: RequestId) -> bool {
        let before = self.flights.len();
        self.flights
            .retain(|f| f.fate != Fate::Lost || f.number != request.0);
        self.flights.len() < before
    }

    /// Audit was restarted and knows none of the requests.
    pub(crate) fn lose_all(&mut self) {
        self.flights.retain(|flight| flight.fate != Fate::Abandoned);
        for flight in &mut self.flights {
            flight.fate = Fate::Lost;
            flight.cancel = Cancel::None;
        }
    }

    /// Removes and returns the oldest lost request.
    pub(crate) fn take_lost(&mut self) -> Option<RequestId> {
        let index = self.flights.iter().position(|f| f.fate == Fate::Lost)?;
        Some(RequestId(self.flights.remove(index).number))
    }
}

/// Whether it can be removed unnoticed.
fn is_dispensable(flight: &Flight) -> bool {
    flight.fate == Fate::Abandoned && flight.cancel != Cancel::Owed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_without_0_and_without_one_that_is_in_flight() {
        let mut flights = Flights::new();
        for _ in 0..3 {
            let number = flights.next_number();
            flights.add(number, Kind::Text);
        }
        flights.remove(2);
        flights.last = u32::MAX - 1;
        assert_eq!(flights.next_number(), u32::MAX);
        flights.last = u32::MAX;
        assert_eq!(flights.next_number(), 2, "1 is in flight, 0 is none");
        flights.add(2, Kind::Text);
        assert_eq!(flights.next_number(), 4);
    }

    #[test]
    fn a_full_table_of_numbers_in_a_row_is_passed_over() {
        let mut flights = Flights::new();
        for _ in 0..MAX_IN_FLIGHT {
            let number = flights.next_number();
            flights.add(number, Kind::Status);
        }
        flights.last = u32::MAX;
        assert_eq!(flights.next_number() as usize, MAX_IN_FLIGHT + 1);
        assert_eq!(flights.room(), 0);
    }

    #[test]
    fn the_oldest_that_was_abandoned_makes_room_unless_audit_must_still_hear_of_it() {
        let mut flights = Flights::new();
        for _ in 0..MAX_IN_FLIGHT {
            let number = flights.next_number();
            flights.add(number, Kind::Status);
        }
        for (number, cancel) in [(5, Cancel::Owed), (7, Cancel::Sent), (9, Cancel::None)] {
            let flight = flights.awaited_mut(RequestId(number)).unwrap();
            (flight.fate, flight.cancel) = (Fate::Abandoned, cancel);
        }
        assert_eq!(flights.room(), 2);
        flights.add(100, Kind::Status);
        assert!(flights.live(5).is_some() && flights.live(7).is_none());
        flights.add(101, Kind::Status);
        assert!(flights.live(9).is_none() && flights.live(101).is_some());
        assert_eq!(flights.room(), 0);
    }
}
