extern crate std;
use super::*;
use crate::testing::TestRegion;
use proptest::prelude::*;
use std::vec::Vec;

const RING: usize = 4;
const PAYLOAD: usize = 4;
type End = Endpoint<TestRegion, TestRegion, RING, PAYLOAD>;
const WORDS: usize = region_words(RING, PAYLOAD);

/// Both ends, and the peer's region for playing a hostile peer.
fn pair() -> (End, End, TestRegion) {
    let (a, b) = (TestRegion::with_words(WORDS), TestRegion::with_words(WORDS));
    let audit = End::new(b.clone(), a.clone()).unwrap();
    (audit, End::new(a, b.clone()).unwrap(), b)
}

fn frame(kind: u16, payload: &[u8]) -> Frame<PAYLOAD> {
    let mut frame = Frame::new();
    frame.begin(kind, 5)[..payload.len()].copy_from_slice(payload);
    frame.finish(payload.len());
    frame
}

#[test]
fn a_region_that_is_too_small_is_refused() {
    for (theirs, ours) in [(WORDS - 1, WORDS), (WORDS, WORDS - 1)] {
        let regions = [theirs, ours].map(TestRegion::with_words);
        let [theirs, ours] = regions;
        let error = End::new(theirs, ours).unwrap_err();
        assert_eq!((error.words, error.needed), (WORDS - 1, WORDS));
    }
}

/// A region whose owner begins another epoch after a given number of reads of its first word.
struct Restarted(TestRegion, std::rc::Rc<std::cell::Cell<usize>>);

impl ReadWords for Restarted {
    fn words(&self) -> usize {
        self.0.words()
    }

    fn load(&self, index: usize) -> u64 {
        let left = self.1.get();
        if index == HEAD_WORD {
            self.1.set(left.wrapping_sub(1));
        }
        match (index, left) {
            (HEAD_WORD, 0) => tagged(2, 0),
            _ => self.0.load(index),
        }
    }

    fn acquire_fence(&self) {}
}

#[test]
fn a_message_is_dropped_if_its_epoch_ends_while_it_is_copied() {
    let (a, b) = (TestRegion::with_words(WORDS), TestRegion::with_words(WORDS));
    let mut audit = End::new(b.clone(), a.clone()).unwrap();
    audit.lead(1);
    audit.send(&frame(1, b"half")).unwrap();
    let reads = std::rc::Rc::new(std::cell::Cell::new(usize::MAX));
    let theirs = Restarted(a, reads.clone());
    let mut peer = Endpoint::<_, _, RING, PAYLOAD>::new(theirs, b.clone()).unwrap();
    assert!(peer.follow());
    assert_eq!((peer.epoch(), audit.epoch()), (1, 1));
    let before = b.load(TAIL_WORD);
    // One read finds the message; the next comes after the copy.
    reads.set(1);
    assert_eq!(peer.receive(&mut Frame::default()), Ok(false));
    assert_eq!(b.load(TAIL_WORD), before, "the slot is not given back");
    assert!(!peer.take_owed_signal());
}

#[test]
fn messages_arrive_in_order_and_whole() {
    let (mut audit, mut peer, _) = pair();
    audit.lead(1);
    assert_eq!(audit.peer_version(), 0, "it has not begun");
    assert!(peer.follow() && !peer.follow() && audit.peer_has_joined());
    assert_eq!(audit.peer_version(), u64::from(VERSION));
    let mut received = Frame::new();
    for round in 0..100u16 {
        let bytes = [round as u8; 32];
        let len = usize::from(round % 33);
        peer.send(&frame(round, &bytes[..len])).unwrap();
        assert_eq!(audit.receive(&mut received), Ok(true));
        assert_eq!(
            received.header(),
            Header {
                kind: round,
                request: 5,
                len
            }
        );
        assert_eq!(received.payload(), &bytes[..len]);
    }
    assert_eq!(audit.receive(&mut received), Ok(false));
}

#[test]
fn a_full_ring_refuses_and_whoever_reads_a_quarter_of_it_owes_a_signal() {
    let (mut audit, mut peer, _) = pair();
    audit.lead(1);
    peer.follow();
    for i in 0..RING {
        assert_eq!(audit.free(), RING - i);
        audit.send(&frame(1, b"")).unwrap();
    }
    assert_eq!(audit.send(&frame(1, b"")), Err(SendError::Full));
    assert_eq!(peer.receive(&mut Frame::new()), Ok(true));
    assert!(peer.take_owed_signal() && !peer.take_owed_signal());
    assert_eq!(audit.free(), 1);
}

#[test]
fn nothing_of_an_older_epoch_is_seen() {
    let (mut audit, mut peer, _) = pair();
    audit.lead(1);
    peer.follow();
    peer.send(&frame(1, b"old")).unwrap();
    audit.send(&frame(1, b"old")).unwrap();
    audit.lead(2);
    let mut received = Frame::new();
    assert_eq!(audit.receive(&mut received), Ok(false));
    assert!(!audit.peer_has_joined());
    // Audit may already send: the restarted peer finds the message when it joins.
    audit.send(&frame(2, b"new")).unwrap();
    assert!(peer.follow());
    assert_eq!(peer.receive(&mut received), Ok(true));
    assert_eq!(received.payload(), b"new");
    assert_eq!(peer.receive(&mut received), Ok(false));
}

#[test]
fn what_a_dead_peer_left_for_the_next_epoch_is_not_taken_for_the_next_peers() {
    let (mut audit, mut peer, region) = pair();
    audit.lead(1);
    peer.follow();
    assert_eq!(audit.epoch_after(1), 2);
    // The peer counts, and leaves something for every epoch that it has room for.
    region.store(EPOCH_WORD, 2);
    region.store(HEAD_WORD, tagged(3, 1));
    region.store(TAIL_WORD, tagged(4, 0));
    for slot in 0..RING as u32 {
        let word = slot_word::<RING, PAYLOAD>(slot) + 1;
        region.store(word, tagged(5 + slot, 7));
    }
    let epoch = audit.epoch_after(1);
    assert_eq!(epoch, 5 + RING as u32);
    audit.lead(epoch);
    assert_eq!(audit.receive(&mut Frame::new()), Ok(false));
    assert!(!audit.peer_has_joined());
    assert_eq!(audit.epoch_after(u32::MAX), 1);
}

#[test]
fn an_endpoint_without_an_epoch_is_silent() {
    let (mut audit, mut peer, _) = pair();
    assert!(!peer.follow());
    assert_eq!(peer.send(&frame(1, b"")), Err(SendError::Stale));
    assert_eq!(peer.receive(&mut Frame::new()), Ok(false));
    assert_eq!(audit.free(), 0);
    assert_eq!(audit.receive(&mut Frame::new()), Ok(false));
}

#[test]
fn no_byte_of_an_earlier_message_is_sent_behind_a_shorter_one() {
    let (mut audit, mut peer, region) = pair();
    audit.lead(1);
    peer.follow();
    for len in 0..=PAYLOAD * 8 {
        let mut frame = frame(1, &[0xAA; PAYLOAD * 8]);
        frame.begin(2, 6)[..len].fill(0x11);
        frame.finish(len);
        peer.send(&frame).unwrap();
        assert_eq!(audit.receive(&mut Frame::new()), Ok(true));
        let stale = (0..region.words()).flat_map(|word| region.load(word).to_le_bytes());
        assert_eq!(
            stale.filter(|byte| *byte == 0xAA).count(),
            0,
            "length {len}"
        );
    }
}

#[test]
fn what_was_sent_and_read_can_be_wiped_and_what_was_not_stays() {
    let (mut audit, mut peer, region) = pair();
    audit.lead(1);
    peer.follow();
    let holds = |byte: u8| {
        let mut bytes = (0..region.words()).flat_map(|word| region.load(word).to_le_bytes());
        bytes.any(|other| other == byte)
    };
    peer.send(&frame(1, &[0xA1; 9])).unwrap();
    peer.send(&frame(1, &[0xB2; 9])).unwrap();
    assert!(!peer.wipe_read());
    assert!(holds(0xA1) && holds(0xB2));
    let mut received = Frame::new();
    assert_eq!(audit.receive(&mut received), Ok(true));
    assert!(!peer.wipe_read());
    assert!(!holds(0xA1) && holds(0xB2));
    assert_eq!(audit.receive(&mut received), Ok(true));
    assert_eq!(received.payload(), [0xB2; 9]);
    assert!(peer.wipe_read());
    assert!(!holds(0xB2));
    // A peer that claims to have read more than was sent is treated as having read nothing.
    audit.ours.publish(TAIL_WORD, tagged(1, 3));
    assert!(!peer.wipe_read());
    received.wipe();
    assert!(received.payload().is_empty());
    assert_eq!(received.begin(0, 0), [0; PAYLOAD * 8]);
}

#[test]
fn a_payload_over_the_slot_is_refused_by_both_sides() {
    let (mut audit, mut peer, hostile) = pair();
    audit.lead(1);
    peer.follow();
    let mut long = frame(1, b"");
    long.finish(PAYLOAD * 8 + 1);
    assert_eq!(peer.send(&long), Err(SendError::TooLong));
    peer.send(&frame(1, b"")).unwrap();
    hostile.store(
        FIRST_SLOT_WORD,
        u64::from(VERSION) << 48 | (PAYLOAD as u64 * 8 + 1),
    );
    assert_eq!(audit.receive(&mut Frame::new()), Err(Violation::Length));
    peer.send(&frame(3, b"on")).unwrap();
    assert_eq!(audit.receive(&mut Frame::new()), Ok(true));
}

#[test]
fn indices_wrap_over_32_bits() {
    let (mut audit, mut peer, _) = pair();
    audit.lead(1);
    peer.follow();
    for end in [&mut audit, &mut peer] {
        end.head = u32::MAX - 1;
        end.tail = u32::MAX - 1;
        end.ours.publish(HEAD_WORD, tagged(1, end.head));
        end.ours.publish(TAIL_WORD, tagged(1, end.tail));
    }
    let mut received = Frame::new();
    for round in 0..8 {
        peer.send(&frame(round, b"x")).unwrap();
        assert_eq!(audit.receive(&mut received), Ok(true));
        assert_eq!(received.header().kind, round);
    }
}

/// Actions of a hostile region owner between two steps of its victim.
#[derive(Clone, Debug)]
enum Act {
    Store(usize, u64),
    Index(usize, u32),
    Honest(u16, Vec<u8>),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..WORDS, any::<u64>()).prop_map(|(i, v)| Act::Store(i, v)),
        (HEAD_WORD..=TAIL_WORD, any::<u32>()).prop_map(|(i, v)| Act::Index(i, v)),
        (HEAD_WORD..=TAIL_WORD, 0..20u32).prop_map(|(i, v)| Act::Index(i, v)),
        (
            any::<u16>(),
            prop::collection::vec(any::<u8>(), 0..=PAYLOAD * 8)
        )
            .prop_map(|(k, p)| Act::Honest(k, p)),
    ]
}

proptest! {
    /// The victim never panics. On each wake-up it receives at most a ring's worth before it reports nothing or a
    /// violation. A new epoch always recovers.
    #[test]
    fn a_hostile_peer_gets_errors_and_no_more(
        acts in prop::collection::vec((act(), any::<bool>()), 0..200)
    ) {
        let (mut audit, mut peer, hostile) = pair();
        audit.lead(1);
        peer.follow();
        let mut received = Frame::new();
        for (act, send) in acts {
            match act {
                Act::Store(index, value) => hostile.store(index, value),
                Act::Index(word, index) => hostile.publish(word, tagged(1, index)),
                Act::Honest(kind, payload) => drop(peer.send(&frame(kind, &payload))),
            }
            if send {
                let _ = audit.send(&frame(9, b"answer"));
            }
            prop_assert!(audit.free() <= RING);
            let mut messages = 0;
            while let Ok(true) = audit.receive(&mut received) {
                prop_assert!(received.payload().len() <= PAYLOAD * 8);
                messages += 1;
                prop_assert!(messages <= RING, "one look at the ring is bounded");
            }
        }
        audit.lead(2);
        hostile.store(VERSION_WORD, 0);
        peer.epoch = 0;
        prop_assert!(peer.follow());
        peer.send(&frame(7, b"honest again")).unwrap();
        prop_assert_eq!(audit.receive(&mut received), Ok(true));
        prop_assert_eq!(received.payload(), b"honest again");
        audit.send(&frame(8, b"and back")).unwrap();
        prop_assert_eq!(peer.receive(&mut received), Ok(true));
        prop_assert_eq!(received.payload(), b"and back");
    }
}
