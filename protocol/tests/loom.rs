//! The memory ordering of the ring, model-checked: `RUSTFLAGS="--cfg loom" cargo test --test loom`.
//!
//! x86 and one emulated core cannot show a missing barrier; this explores every interleaving and
//! every value that the C11 memory model lets a load return.
//!
//! What it cannot show: loom executes stores in program order, so no load sees a store that comes
//! later, and the fence after the load of the tail (a slot must not be overwritten before its reader
//! is done) could be removed unnoticed. Nor could it notice weaker barriers at the epoch word:
//! whoever reads head or tail checks the epoch that they carry themselves.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering, fence};
use loom::thread;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SendError};

const RING: usize = 2;
const PAYLOAD: usize = 1;
/// Eight words of header, and per slot two words of header and one of payload.
const WORDS: usize = 8 + RING * (2 + PAYLOAD);

/// What a region leaves out, to see that the model notices.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    Nothing,
    Acquire,
    Release,
}

#[derive(Clone)]
struct Region(Arc<Vec<AtomicU64>>, Without);

impl Region {
    fn new(without: Without) -> Self {
        let words = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(words), without)
    }
}

impl ReadWords for Region {
    fn words(&self) -> usize {
        self.0.len()
    }
    fn load(&self, index: usize) -> u64 {
        self.0[index].load(Ordering::Relaxed)
    }
    fn acquire_fence(&self) {
        if self.1 != Without::Acquire {
            fence(Ordering::Acquire);
        }
    }
}

impl WriteWords for Region {
    fn store(&self, index: usize, value: u64) {
        self.0[index].store(value, Ordering::Relaxed);
    }
    fn publish(&self, index: usize, value: u64) {
        let release = self.1 != Without::Release;
        let ordering = if release {
            Ordering::Release
        } else {
            Ordering::Relaxed
        };
        self.0[index].store(value, ordering);
    }
    fn release_fence(&self) {
        if self.1 != Without::Release {
            fence(Ordering::Release);
        }
    }
}

type End = Endpoint<Region, Region, RING, PAYLOAD>;

fn frame(value: u8) -> Frame<PAYLOAD> {
    let mut frame = Frame::new();
    frame.begin(u16::from(value), u32::from(value)).fill(value);
    frame.finish(PAYLOAD * 8);
    frame
}

fn ends(without: Without) -> (End, End) {
    let (a, b) = (Region::new(without), Region::new(without));
    let mut leader = End::new(b.clone(), a.clone()).unwrap();
    leader.lead(1);
    (leader, End::new(a, b).unwrap())
}

/// Receives once; asserts that what arrives is message `next`, whole.
fn receive_next(end: &mut End, next: u8) -> bool {
    let mut received = Frame::new();
    let got = end.receive(&mut received).expect("an honest peer");
    if got {
        assert_eq!(received.header().kind, u16::from(next), "order");
        assert_eq!(
            received.payload(),
            [next; PAYLOAD * 8],
            "a message is seen whole"
        );
    }
    got
}

/// Three messages through two slots: the third overwrites the first, so this also checks that a
/// slot is not reused before its reader is done with it.
fn three_messages(without: Without) {
    loom::model(move || {
        let (mut producer, mut consumer) = ends(without);
        assert!(consumer.follow());
        let sender = thread::spawn(move || {
            for value in 1..=3 {
                while let Err(error) = producer.send(&frame(value)) {
                    assert_eq!(error, SendError::Full);
                    thread::yield_now();
                }
            }
        });
        let mut next = 1;
        while next <= 3 {
            if receive_next(&mut consumer, next) {
                next += 1;
            } else {
                thread::yield_now();
            }
        }
        sender.join().unwrap();
    });
}

#[test]
fn messages_are_seen_whole_in_order_and_slots_are_not_reused_early() {
    three_messages(Without::Nothing);
}

#[test]
#[should_panic]
fn the_model_notices_when_acquire_fences_are_missing() {
    three_messages(Without::Acquire);
}

#[test]
#[should_panic]
fn the_model_notices_when_release_stores_are_missing() {
    three_messages(Without::Release);
}

/// A peer that joins an epoch while audit already sends in it loses nothing and sees nothing old.
#[test]
fn joining_an_epoch_races_with_the_first_message() {
    // Two preemptions at any place, besides every value that a load may return: unbounded, the
    // search takes longer than a test may.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let (a, b) = (Region::new(Without::Nothing), Region::new(Without::Nothing));
        let mut leader = End::new(b.clone(), a.clone()).unwrap();
        let mut follower = End::new(a, b).unwrap();
        let audit = thread::spawn(move || {
            leader.lead(1);
            leader.send(&frame(1)).unwrap();
            leader.lead(2);
            leader.send(&frame(2)).unwrap();
        });
        let mut received = Frame::new();
        let mut seen = false;
        for _ in 0..3 {
            follower.follow();
            match follower.receive(&mut received) {
                Ok(true) => {
                    let value = u8::try_from(received.header().kind).unwrap();
                    assert_eq!(u32::from(value), follower.epoch(), "message of its epoch");
                    assert_eq!(received.payload(), [value; PAYLOAD * 8], "whole");
                    seen = seen || value == 2;
                }
                Ok(false) => thread::yield_now(),
                // The slot of epoch 1 may be overwritten by epoch 2 under our eyes: the header
                // says so and the message is dropped.
                Err(violation) => assert_eq!(violation, protocol::ring::Violation::Epoch),
            }
        }
        audit.join().unwrap();
        follower.follow();
        while let Ok(true) = follower.receive(&mut received) {
            seen = seen || received.header().kind == 2;
        }
        assert!(seen, "the message of the last epoch arrives");
    });
}
