//! A client's own region, into which garbage can be written instead of a message.

use protocol::ring::PAYLOAD_WORDS;
use sel4_llm_client::region::{ReadWords, WriteWords};
use std::cell::Cell;
use std::rc::Rc;

/// Number of words before the region's slots, and before a slot's payload: see `docs/protocol.md`.
const FIRST_SLOT_WORD: usize = 8;
const HEADER_WORDS: usize = 2;
/// From this kind on, messages are invalid.
const NO_KIND: u16 = 1000;

/// What is wrong with the messages being sent. The number of the request stays right, so that an answer can be matched
/// to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Noise {
    /// Nothing.
    #[default]
    None,
    /// Another version of the protocol.
    Version(u64),
    /// Another epoch.
    Epoch(u64),
    /// Longer than a slot.
    Length(u64),
    /// An unknown kind.
    Kind(u64),
    /// A random payload.
    Payload(u64),
}

impl Noise {
    /// A random error, from a random number.
    #[must_use]
    pub const fn some(random: u64) -> Self {
        match random % 5 {
            0 => Self::Version(random),
            1 => Self::Epoch(random),
            2 => Self::Length(random),
            3 => Self::Kind(random),
            _ => Self::Payload(random),
        }
    }

    /// Whether audit can answer under the request's number, because the frame itself is valid.
    #[must_use]
    pub const fn is_answered(self) -> bool {
        matches!(self, Self::None | Self::Kind(_) | Self::Payload(_))
    }

    /// The word to write instead of `value`.
    const fn instead_of(self, value: u64, index: usize) -> u64 {
        let Some(word) = index.checked_sub(FIRST_SLOT_WORD) else {
            return value;
        };
        // Version, kind and length, then epoch and number.
        let word = word % (HEADER_WORDS + PAYLOAD_WORDS);
        match (self, word) {
            (Self::Version(random), 0) => (value ^ (1 << 48)) ^ (random << 49),
            (Self::Length(random), 0) => value | (random & 0xffff) << 16 | 1 << 31,
            (Self::Kind(random), 0) => {
                let kind = NO_KIND + random as u16 % (u16::MAX - NO_KIND);
                value & !(0xffff << 32) | (kind as u64) << 32
            }
            (Self::Epoch(random), 1) => (value ^ (1 << 32)) ^ (random << 33),
            (Self::Payload(random), HEADER_WORDS..) => {
                random.rotate_left(word as u32) ^ 0x8080_8080_8080_8080
            }
            _ => value,
        }
    }
}

/// The region `W`; while there is [`Noise`], it is applied to what is written.
#[derive(Clone, Debug)]
pub struct Noisy<W> {
    region: W,
    noise: Rc<Cell<Noise>>,
}

impl<W> Noisy<W> {
    /// A region, and the handle that changes its noise.
    pub fn new(region: W) -> (Self, Rc<Cell<Noise>>) {
        let noise = Rc::<Cell<Noise>>::default();
        let changes = noise.clone();
        (Self { region, noise }, changes)
    }
}

impl<W: WriteWords> ReadWords for Noisy<W> {
    fn words(&self) -> usize {
        self.region.words()
    }

    fn load(&self, index: usize) -> u64 {
        self.region.load(index)
    }

    fn acquire_fence(&self) {
        self.region.acquire_fence();
    }
}

impl<W: WriteWords> WriteWords for Noisy<W> {
    fn store(&self, index: usize, value: u64) {
        self.region
            .store(index, self.noise.get().instead_of(value, index));
    }

    fn publish(&self, index: usize, value: u64) {
        self.region.publish(index, value);
    }

    fn release_fence(&self) {
        self.region.release_fence();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ring::{Endpoint, Frame, SLOTS, Violation};
    use protocol::testing::TestRegion;
    use sel4_llm_client::Request;

    #[test]
    fn each_noise_is_the_violation_that_it_says_and_keeps_the_number() {
        let (theirs, region) = (TestRegion::new(), TestRegion::new());
        let mut audit: Endpoint<_, _> = Endpoint::new(region.clone(), theirs.clone()).unwrap();
        let (ours, noise) = Noisy::new(region);
        let mut client: Endpoint<_, _> = Endpoint::new(theirs, ours).unwrap();
        audit.lead(1);
        client.follow();
        let (mut frame, mut received) = (Frame::new(), Frame::new());
        for random in 0..3 * SLOTS as u64 {
            let random = random.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let made = Noise::some(random);
            noise.set(made);
            let request = Request::Budget {
                user: Default::default(),
                change: Default::default(),
            };
            request.write(7, &mut frame);
            client.send(&frame).unwrap();
            let result = audit.receive(&mut received);
            match made {
                Noise::Version(_) => assert_eq!(result, Err(Violation::Version)),
                Noise::Epoch(_) => assert_eq!(result, Err(Violation::Epoch)),
                Noise::Length(_) => assert_eq!(result, Err(Violation::Length)),
                _ => {
                    assert_eq!((result, received.header().request), (Ok(true), 7));
                    assert!(Request::parse(&received).is_err(), "{made:?}");
                }
            }
            assert_eq!(made.is_answered(), result.is_ok());
            noise.set(Noise::None);
            client.send(&frame).unwrap();
            assert_eq!(audit.receive(&mut received), Ok(true));
            assert_eq!(Request::parse(&received), Ok(request));
        }
    }
}
