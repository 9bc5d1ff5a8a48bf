//! Who waits until an entry is durable: requests for inference to hear of them, and clients for ends.

use protocol::limits::MAX_REQUESTS;
use protocol::ring::Frame;
use protocol::wire::engine::Command;

use super::HELD;

/// A request that inference has not heard of.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// The number that inference will know it by.
    number: u32,
    /// Whose it is.
    client: Option<usize>,
    /// The entry of its admission; `None` before that is written.
    until: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Waiting {
    held: [Option<Held>; HELD],
    frames: &'static mut [Frame; HELD],
    /// Requests that are over, by their numbers, and the entries of their ends.
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

    /// Whether one of a client's waits.
    pub(crate) fn holds_of(&self, client: usize) -> bool {
        let mut held = self.held.iter().flatten();
        held.any(|held| held.client == Some(client))
    }

    /// Keeps a command until the admission of its request is durable; false if there is no room, which there always is.
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

    /// The admission of a request is this entry.
    pub(crate) fn admitted(&mut self, number: u32, sequence: u64) {
        for held in self.held.iter_mut().flatten() {
            if held.number == number {
                held.until = Some(sequence);
            }
        }
    }

    /// The place of one whose admission is durable.
    pub(super) fn next_released(&self, durable: u64) -> Option<usize> {
        let is = |held: &Option<Held>| {
            let until = held.and_then(|held| held.until);
            until.is_some_and(|until| until <= durable)
        };
        self.held.iter().position(is)
    }

    /// The request in a place: its number, whose it is, and the command.
    pub(crate) fn get(&self, place: usize) -> Option<(u32, Option<usize>, &Frame)> {
        let held = self.held.get(place).copied().flatten()?;
        Some((held.number, held.client, self.frames.get(place)?))
    }

    /// Inference has it, or it is over.
    pub(crate) fn release(&mut self, place: usize) {
        if let (Some(held), Some(frame)) = (self.held.get_mut(place), self.frames.get_mut(place)) {
            *held = None;
            // Prompts are not kept longer than they are needed.
            frame.wipe();
        }
    }

    /// A request has ended, and the entry of that is this one or an earlier one.
    pub(crate) fn ended(&mut self, number: u32, sequence: u64) {
        // No more are over and not told than there are requests.
        if let Some(place) = self.ends.iter_mut().find(|place| place.is_none()) {
            *place = Some((number, sequence));
        }
    }

    /// Whether a request's end is not durable as far as is known.
    pub(super) fn waits(&self, number: u32) -> bool {
        let mut ends = self.ends.iter().flatten();
        ends.any(|(ended, _)| *ended == number)
    }

    pub(super) fn is_settled(&self, number: u32, durable: u64) -> bool {
        let mut ends = self.ends.iter().flatten();
        let end = ends.find(|(ended, _)| *ended == number);
        end.is_none_or(|(_, sequence)| *sequence <= durable)
    }

    /// Forgets what is durable.
    pub(super) fn forget(&mut self, durable: u64) {
        self.forget_if(|(_, sequence)| sequence <= durable);
    }

    /// A client was told of an end.
    pub(crate) fn told(&mut self, number: u32) {
        self.forget_if(|(ended, _)| ended == number);
    }

    fn forget_if(&mut self, is: impl Fn((u32, u64)) -> bool) {
        for end in &mut self.ends {
            *end = end.filter(|end| !is(*end));
        }
    }
}
