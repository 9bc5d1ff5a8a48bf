//! Random bytes as messages.

use super::{Frame, Message, WireError, docs, samples, written};
use crate::limits::MAX_PIECE_BYTES;
use crate::wire::engine::{Holdings, Report};
use proptest::prelude::*;

extern crate std;
use std::vec::Vec;

fn frame(kind: u16, payload: &[u8]) -> Frame {
    let mut frame: Frame = Frame::new();
    frame.begin(kind, 7)[..payload.len()].copy_from_slice(payload);
    frame.finish(payload.len());
    frame
}

/// Parses a frame; a valid message must be written back unchanged.
fn parsed(frame: &Frame) -> Result<(), WireError> {
    let message = Message::parse(frame)?;
    let again = written(&message);
    assert_eq!(again.header().kind, frame.header().kind);
    assert_eq!(again.payload(), frame.payload(), "{message:?}");
    Ok(())
}

/// Bytes of the fixed part, and maximum bytes of the tail.
fn sizes(number: u16) -> (usize, usize) {
    let tables = docs::tables();
    let mut messages = tables.iter().flat_map(|table| table.messages);
    let message = messages.find(|message| message.number == number).unwrap();
    let tail = message.tail.first().map_or(0, |(_, max)| *max);
    (message.bytes, tail)
}

/// The number of every message.
fn numbers() -> Vec<u16> {
    let tables = docs::tables();
    let messages = tables.iter().flat_map(|table| table.messages);
    messages.map(|message| message.number).collect()
}

#[test]
fn lengths_are_exact_where_there_is_no_tail_and_bounded_where_there_is_one() {
    for message in samples() {
        let sample = written(&message);
        let number = sample.header().kind;
        let (fixed, tail) = sizes(number);
        let mut payload = sample.payload().to_vec();
        assert!((fixed..=fixed + tail).contains(&payload.len()));
        for shorter in 0..fixed {
            let len = shorter;
            assert_eq!(
                parsed(&frame(number, &payload[..len])),
                Err(WireError::Length { kind: number, len })
            );
        }
        payload.resize(fixed + tail + 1, b'x');
        let len = payload.len();
        assert_eq!(
            parsed(&frame(number, &payload)),
            Err(WireError::Length { kind: number, len })
        );
    }
}

#[test]
fn a_byte_of_the_fixed_part_that_is_changed_gives_another_message_or_an_error() {
    for message in samples() {
        let sample = written(&message);
        let number = sample.header().kind;
        let payload = sample.payload();
        for at in 0..sizes(number).0 {
            for byte in [0, 1, 2, b'a', b'"', 0x80, 0xFF, payload[at] ^ 1] {
                let mut changed = payload.to_vec();
                changed[at] = byte;
                let result = parsed(&frame(number, &changed));
                assert!(
                    matches!(result, Ok(()) | Err(WireError::Field(_))),
                    "byte {at} of {message:?}: {result:?}"
                );
            }
        }
    }
}

#[test]
fn what_does_not_fit_a_frame_is_not_sent() {
    use crate::ring::{Endpoint, SendError};
    use crate::testing::TestRegion;
    let regions = [(); 2].map(|()| TestRegion::new());
    let [theirs, ours] = regions;
    let mut end = Endpoint::<_, _, 4, 4>::new(theirs, ours).unwrap();
    end.lead(1);
    let mut frame = Frame::<4>::new();
    for (len, sent) in [(28, Ok(())), (29, Err(SendError::TooLong))] {
        let text = &[b'x'; MAX_PIECE_BYTES][..len];
        Report::Token { id: 1, text }.write(1, &mut frame);
        assert_eq!(end.send(&frame), sent, "{len} bytes behind 4");
    }
    // Shorter than its fixed part.
    Report::Holdings(Holdings::default()).write(1, &mut frame);
    assert_eq!(end.send(&frame), Err(SendError::TooLong));
    assert_eq!(frame.payload(), b"");
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(
        kind in prop_oneof![1 => any::<u16>(), 4 => prop::sample::select(numbers())],
        payload in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..1000),
            // Small numbers, as in flags and enums.
            prop::collection::vec(0u8..4, 0..400),
        ],
    ) {
        let _ = parsed(&frame(kind, &payload));
    }

    #[test]
    fn a_message_with_bytes_changed_is_another_or_an_error(
        sample in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)],
    ) {
        let samples = samples();
        let sample = written(sample.get(&samples));
        let mut payload: Vec<u8> = sample.payload().to_vec();
        for (at, byte) in changes {
            if !payload.is_empty() {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
        }
        if let Some(cut) = cut {
            payload.truncate(cut.index(payload.len() + 1));
        }
        let _ = parsed(&frame(sample.header().kind, &payload));
    }
}
