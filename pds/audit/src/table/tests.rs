use super::*;
use crate::answer::Answer;
use crate::answer::Wrong;
use crate::quota::Reservation;
use protocol::error::ErrorCode;
use protocol::limits::MAX_CREDIT_TOKENS;
use protocol::name::FormatName;
use protocol::wire::{Extent, InferParams};
use sha2::{Digest as _, Sha256};
use std::boxed::Box;
use std::vec::Vec;

fn generation(table: &Table<'_>) -> Generation<'static> {
    Generation {
        slot: 0,
        session: 1,
        turn: 1,
        params: InferParams::default(),

        adapter: None,
        prompt_bytes: 4,
        prompt_sha256: [0; 32],
        extent: Extent {
            text_bytes: 4,
            segments: 0,
            stops: 0,
            choices: 0,
        },
        most_prompt_tokens: 6,
        format: FormatName::EMPTY,
        format_sha256: [0; 32],
        answer: Answer::Free,
        reservation: Reservation::default(),
        first_token_us: None,
        held_before_us: 0,
        tokens: 0,
        handed_on: 0,
        released: false,
        credit: 16,
        output: Sha256::new(),
        text: table.free_text(),
        cancelled: false,
        stop: Stop::No,
    }
}

fn enter(table: &mut Table<'_>, id: u32) -> usize {
    let work = Work::Infer(generation(table));
    table.enter(InFlight {
        origin: Origin::Client { client: 0, id },
        user: 0,
        number: table.next_number(),
        work,
        state: State::Active,
        share: 0,
        end_bytes: 0,
        admitted_us: 0,
        deadline_us: NEVER_US,
    });
    table.len() - 1
}

fn table() -> Table<'static> {
    Table::new(Box::leak(Box::new(Texts::new())))
}

#[test]
fn every_request_has_a_buffer_of_its_own_and_leaves_nothing_in_it() {
    let mut table = table();
    for id in 1..=MAX_REQUESTS as u32 {
        let index = enter(&mut table, id);
        assert_eq!(table.keep_text(index, &[id as u8; 9]), Ok(()));
    }
    assert_eq!(table.free_text(), MAX_REQUESTS, "all are taken");
    for entry in table.iter() {
        let Origin::Client { id, .. } = entry.origin else {
            panic!("{:?}", entry.origin)
        };
        assert_eq!(table.text(entry.generation().unwrap()), [id as u8; 9]);
    }
    let seventh = table.find(|entry| entry.number == 7).unwrap();
    let freed = table.get(seventh).unwrap().generation().unwrap().text;
    table.remove(seventh).unwrap();
    assert_eq!(table.free_text(), freed);
    let index = enter(&mut table, 99);
    let entry = table.get(index).unwrap();
    assert_eq!(table.text(entry.generation().unwrap()), b"");
    assert!(table.remove(MAX_REQUESTS + 1).is_none());
}

#[test]
fn what_credit_allows_fits_and_more_is_not_kept() {
    let mut table = table();
    let index = enter(&mut table, 1);
    for _ in 0..MAX_CREDIT_TOKENS {
        assert_eq!(table.keep_text(index, &[b'x'; MAX_PIECE_BYTES]), Ok(()));
    }
    let more = table.keep_text(index, &[b'x'; MAX_PIECE_BYTES]);
    assert_eq!(more, Err(Wrong::Room));
    let generation = table.get_mut(index).unwrap().generation_mut().unwrap();
    generation.count(1, b"x", 5);
    assert_eq!(
        (generation.waiting(), generation.first_token_us),
        (1, Some(5))
    );
    table.text_is_handed_on(index);
    let generation = table.get(index).unwrap().generation().unwrap();
    assert_eq!(
        (generation.waiting(), table.text(generation)),
        (0, &b""[..])
    );
    // A place without a request has no text.
    table.text_is_handed_on(9);
    assert_eq!(table.keep_text(9, b"x"), Err(Wrong::Room));
}

#[test]
fn a_request_is_due_for_its_text_and_for_its_end() {
    let mut table = table();
    let index = enter(&mut table, 1);
    let entry = table.get_mut(index).unwrap();
    assert_eq!(entry.due(), 0);
    entry.generation_mut().unwrap().count(1, b"x", 0);
    assert_eq!(entry.due(), 1);
    let end = End::failed(Failure::of(ErrorCode::Deadline), "about");
    entry.state = State::Ended(end);
    assert_eq!((entry.due(), entry.running().is_some()), (2, false));
    let State::Ended(end) = &entry.state else {
        panic!("it has ended")
    };
    let event = last_event(end, |_| panic!("no question"));
    let (failure, detail) = (Failure::of(ErrorCode::Deadline), &b"about"[..]);
    assert_eq!(event, Event::Failed { failure, detail });
}

#[test]
fn numbers_go_round_without_nought() {
    let mut table = table();
    table.last_number = u32::MAX - 1;
    let numbers: Vec<_> = (1..=3)
        .map(|id| {
            let index = enter(&mut table, id);
            table.get(index).unwrap().number
        })
        .collect();
    assert_eq!(numbers, [u32::MAX, 1, 2]);
}
