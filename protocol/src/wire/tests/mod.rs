//! Tests of the messages: round trips (`client`, `engine`, `disk`), random bytes as messages (`hostile`), limits of a
//! request's parameters (`params`), and the tables of `docs/protocol.md` (`docs`).

extern crate std;

mod client;
mod disk;
pub(crate) mod docs;
mod engine;
mod hostile;
mod params;
mod parts;

use super::*;
use crate::ring::{Frame, PAYLOAD_WORDS};
use client::{events, requests};
use disk::{answers, asks, orders, outcomes};
use engine::{commands, reports};
use std::collections::BTreeSet;
use std::vec::Vec;

/// A message of any of the eight directions.
#[expect(clippy::large_enum_variant, reason = "it is short-lived")]
#[derive(Clone, Copy, Debug, PartialEq)]
enum Message<'a> {
    Request(super::client::Request<'a>),
    Event(super::client::Event<'a>),
    Command(super::engine::Command<'a>),
    Report(super::engine::Report<'a>),
    Ask(super::files::Ask<'a>),
    Answer(super::files::Answer<'a>),
    Order(super::disk::Order<'a>),
    Outcome(super::disk::Outcome<'a>),
}

impl<'a> Message<'a> {
    fn write(&self, request: u32, frame: &mut Frame) {
        match self {
            Self::Request(message) => message.write(request, frame),
            Self::Event(message) => message.write(request, frame),
            Self::Command(message) => message.write(request, frame),
            Self::Report(message) => message.write(request, frame),
            Self::Ask(message) => message.write(request, frame),
            Self::Answer(message) => message.write(request, frame),
            Self::Order(message) => message.write(request, frame),
            Self::Outcome(message) => message.write(request, frame),
        }
    }

    /// # Panics
    /// The message is valid in two directions.
    fn parse(frame: &'a Frame) -> Result<Self, WireError> {
        let all = [
            super::client::Request::parse(frame).map(Self::Request),
            super::client::Event::parse(frame).map(Self::Event),
            super::engine::Command::parse(frame).map(Self::Command),
            super::engine::Report::parse(frame).map(Self::Report),
            super::files::Ask::parse(frame).map(Self::Ask),
            super::files::Answer::parse(frame).map(Self::Answer),
            super::disk::Order::parse(frame).map(Self::Order),
            super::disk::Outcome::parse(frame).map(Self::Outcome),
        ];
        let number = frame.header().kind;
        let mut of_one = all
            .into_iter()
            .filter(|parsed| *parsed != Err(WireError::Kind(number)));
        let parsed = of_one.next().unwrap_or(Err(WireError::Kind(number)));
        assert_eq!(of_one.next(), None, "{number:#x} is of two directions");
        parsed
    }
}

/// At least one message of each kind.
fn samples() -> Vec<Message<'static>> {
    let requests = requests().into_iter().map(Message::Request);
    let events = events().into_iter().map(Message::Event);
    let commands = commands().into_iter().map(Message::Command);
    let reports = reports().into_iter().map(Message::Report);
    requests
        .chain(events)
        .chain(commands)
        .chain(reports)
        .chain(asks().into_iter().map(Message::Ask))
        .chain(answers().into_iter().map(Message::Answer))
        .chain(orders().into_iter().map(Message::Order))
        .chain(outcomes().into_iter().map(Message::Outcome))
        .collect()
}

fn written(message: &Message<'_>) -> Frame<PAYLOAD_WORDS> {
    let mut frame = Frame::new();
    message.write(7, &mut frame);
    frame
}

#[test]
fn every_message_that_is_declared_has_a_sample() {
    let numbers: BTreeSet<_> = samples()
        .iter()
        .map(|message| written(message).header().kind)
        .collect();
    let tables = docs::tables();
    let declared = tables.iter().flat_map(|table| table.messages);
    let declared: Vec<_> = declared.map(|message| message.number).collect();
    assert_eq!(declared.len(), numbers.len(), "a number is there twice");
    assert_eq!(numbers, declared.into_iter().collect());
}

/// The numbers up to 999 that a type knows, provided that each maps back to itself.
fn known<T: Copy>(from: fn(u32) -> Option<T>, number: fn(T) -> u32) -> Vec<u32> {
    let known = (0..1000).filter_map(|n| Some((n, number(from(n)?))));
    known
        .map(|(n, same)| {
            assert_eq!(n, same);
            n
        })
        .collect()
}

#[test]
fn numbers_on_the_wire_mean_what_they_meant_and_others_nothing() {
    use super::client::{AdapterOrigin, SessionState, Signature, Stage};
    use super::engine::Source;
    let reasons = known(FinishReason::from_u32, |reason| reason as u32);
    assert_eq!(reasons, [1, 2, 3, 4, 5]);
    let parts = known(PartKind::from_u32, |kind| kind as u32);
    assert_eq!(parts, [1, 2, 3, 4, 5, 6, 7]);
    let kinds = known(FaultKind::from_u32, |kind| kind as u32);
    assert_eq!(kinds, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let types = known(super::engine::KvType::from_u32, |kv_type| kv_type as u32);
    assert_eq!(types, [1, 2, 3]);
    let signatures = known(Signature::from_u32, |signature| signature as u32);
    assert_eq!(signatures, [0, 1, 2, 3]);
    let states = known(SessionState::from_u32, |state| state as u32);
    assert_eq!(states, [0, 1, 2, 3]);
    assert_eq!(known(Stage::from_u32, |stage| stage as u32), [1, 2, 3]);
    assert_eq!(known(Source::from_u32, |source| source as u32), [1, 2]);
    let why = known(super::disk::DiskError::from_u32, |why| why as u32);
    assert_eq!(why, (1..=4).collect::<Vec<_>>());
    let why = known(super::files::FilesError::from_u32, |why| why as u32);
    assert_eq!(why, (1..=16).collect::<Vec<_>>());
    let origins = known(AdapterOrigin::from_u32, |origin| origin as u32);
    assert_eq!(origins, [0, 1, 2]);
    assert_eq!(FinishReason::ALL.len(), reasons.len());
}

#[test]
fn what_is_in_use_of_an_arena_is_the_sum_of_its_parts_and_not_its_peak() {
    let parts = ArenaUse {
        weights: 1,
        kv_cache: 20,
        activations: 300,
        vocabulary: 4000,
        other: 50_000,
        adapters: 600_000,
        training: 7_000_000,
        peak: 80_000_000,
        capacity: 900_000_000,
    };
    assert_eq!(parts.current(), 7_654_321);
    // Inference may report any numbers.
    let weights = u64::MAX;
    assert_eq!(ArenaUse { weights, ..parts }.current(), u64::MAX);
}
