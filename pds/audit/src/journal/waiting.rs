//! Waiting for entries to become durable: before inference is told of a request, and before a client is told of its
//! end.

use protocol::limits::MAX_REQUESTS;
use protocol::ring::Frame;
use protocol::wire::engine::Command;

use super::HELD;

/// A request that inference has not been told of.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// The number that inference will know it by.
    number: u32,
    /// The client that it belongs to.
    client: Option<usize>,
    /// The entry of its admission; `None` until that is written.
    until: Option<u64>,
}

/// The requests that wait; see the module.
#[derive(Debug)]
pub(crate) struct Waiting {
    held: [Option<Held>; HELD],
    frames: &'static mut [Frame; HELD],
    /// Requests that are over, by number, each with the entry of its end.
    ends: [Option<(u32, u64)>; MAX_REQUESTS + 1],
}

impl Waiting {
    pub(super) const fn new(frames: &'static mut [Frame; HELD]) -> Self {
        Self {
            held: [None; HELD],
            frames,
            ends: [None; MAX_REQUESTS + 1],
        }
    }

    /// Whether one of a client's requests is waiting.
    pub(crate) fn holds_of(&self, client: usize) -> bool {
        let mut held = self.held.iter().flatten();
        held.any(|held| held.client == Some(client))
    }

    /// Keeps a command until the admission of its request is durable. False if there is no room, which cannot happen.
    pub(crate) fn hold(
        &mut self,
        client: Option<usize>,
        number: u32,
        command: &Command<'_>,
    ) -> bool {
        let mut places = self.held.iter_mut().zip(self.frames.iter_mut());
        let Some((place, frame)) = places.find(|(place, _)| place.is_none()) else {
            return false;
        };
        command.write(number, frame);
        *place = Some(Held {
            number,
            client,
            until: None,
        });
        true
    }

    /// Notes the entry of a request's admission.
    pub(crate) fn admitted(&mut self, number: u32, sequence: u64) {
        for held in self.held.iter_mut().flatten() {
            if held.number == number {
                held.until = Some(sequence);
            }
        }
    }

    /// The place of a request whose admission is durable.
    pub(super) fn next_released(&self, durable: u64) -> Option<usize> {
        let is = |held: &Option<Held>| {
            let until = held.and_then(|held| held.until);
            until.is_some_and(|until| until <= durable)
        };
        self.held.iter().position(is)
    }

    /// The request in a place: its number, its client and its command.
    pub(crate) fn get(&self, place: usize) -> Option<(u32, Option<usize>, &Frame)> {
        let held = self.held.get(place).copied().flatten()?;
        Some((held.number, held.client, self.frames.get(place)?))
    }

    /// Empties a place: inference has the request, or it is over.
    pub(crate) fn release(&mut self, place: usize) {
        if let (Some(held), Some(frame)) = (self.held.get_mut(place), self.frames.get_mut(place)) {
            *held = None;
            // Prompts are kept no longer than needed.
            frame.wipe();
        }
    }

    /// Notes that a request has ended, in this entry or an earlier one.
    pub(crate) fn ended(&mut self, number: u32, sequence: u64) {
        // There are no more untold ends than requests, so there is a place.
        if let Some(place) = self.ends.iter_mut().find(|place| place.is_none()) {
            *place = Some((number, sequence));
        }
    }

    /// Whether a request's end is not yet known to be durable.
    pub(super) fn waits(&self, number: u32) -> bool {
        let mut ends = self.ends.iter().flatten();
        ends.any(|(ended, _)| *ended == number)
    }

    pub(super) fn is_settled(&self, number: u32, durable: u64) -> bool {
        let mut ends = self.ends.iter().flatten();
        let end = ends.find(|(ended, _)| *ended == number);
        end.is_none_or(|(_, sequence)| *sequence <= durable)
    }

    /// Forgets the ends that are durable.
    pub(super) fn forget(&mut self, durable: u64) {
        self.forget_if(|(_, sequence)| sequence <= durable);
    }

    /// Notes that a client was told of an end.
    pub(crate) fn told(&mut self, number: u32) {
        self.forget_if(|(ended, _)| ended == number);
    }

    fn forget_if(&mut self, is: impl Fn((u32, u64)) -> bool) {
        for end in &mut self.ends {
            *end = end.filter(|end| !is(*end));
        }
    }
}
