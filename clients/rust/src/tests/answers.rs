//! Gathering text.

use super::*;
use crate::{Answer, Incoming, Infer, Outcome};
use proptest::prelude::*;

/// Polls everything, gives it to the answer, and returns how much belonged to it.
fn gather(system: &mut System, answer: &mut Answer<'_>) -> usize {
    let mut taken = 0;
    while let Some(incoming) = system.client.poll(&mut system.inbox) {
        taken += usize::from(answer.take(&incoming));
    }
    taken
}

#[test]
fn the_text_of_one_request_is_gathered_among_others() {
    let (mut system, mut buffer) = (System::on(), [0; 16]);
    let mut answer = Answer::new(&mut buffer);
    assert_eq!(
        (answer.request(), answer.outcome(), answer.bytes()),
        (None, None, &b""[..])
    );
    let other = system.client.infer(&Infer::new("x")).unwrap();
    let request = system.client.infer(&Infer::new("y")).unwrap();
    answer.begin(request);
    system.say(0, &Event::Ready(user("guest")));
    system.say(other.number(), &text(b"other"));
    system.say(request.number(), &text(b" once"));
    let event = Event::Text {
        tokens: 3,
        text: " \u{e9}".as_bytes(),
    };
    system.say(request.number(), &event);
    system.say(other.number(), &finished());
    assert_eq!(gather(&mut system, &mut answer), 2);
    assert_eq!((answer.outcome(), answer.tokens()), (None, 4));
    system.say(request.number(), &finished());
    assert_eq!(gather(&mut system, &mut answer), 1);
    assert!(matches!(answer.outcome(), Some(Outcome::Finished(_))));
    assert_eq!((answer.text(), answer.dropped()), (Ok(" once \u{e9}"), 0));
    // The next answer starts empty.
    let request = system.client.infer(&Infer::new("z")).unwrap();
    answer.begin(request);
    assert_eq!(
        (answer.request(), answer.bytes(), answer.tokens()),
        (Some(request), &b""[..], 0)
    );
    system.say(request.number(), &failed(ErrorCode::QuotaExceeded));
    assert_eq!(gather(&mut system, &mut answer), 1);
    let failure = Failure::of(ErrorCode::QuotaExceeded);
    assert_eq!(answer.outcome(), Some(Outcome::Failed(failure)));
}

#[test]
fn an_audit_that_begins_anew_ends_the_answer() {
    let (mut system, mut buffer) = (System::on(), [0; 16]);
    let mut answer = Answer::new(&mut buffer);
    answer.begin(system.client.infer(&Infer::new("x")).unwrap());
    system.audit.lead(2);
    assert_eq!(gather(&mut system, &mut answer), 1);
    assert_eq!(answer.outcome(), Some(Outcome::Lost));
}

#[test]
fn an_answer_that_has_ended_takes_nothing_of_a_later_request_with_its_number() {
    let mut buffer = [0; 16];
    let mut answer = Answer::new(&mut buffer);
    let request = RequestId::from_number(1);
    answer.begin(request);
    assert!(answer.take(&Incoming::Lost { request }));
    let event = text(b"x");
    assert!(!answer.take(&Incoming::Part { request, event }));
    assert_eq!(
        (answer.outcome(), answer.bytes()),
        (Some(Outcome::Lost), &b""[..])
    );
}

#[test]
fn what_is_no_text_is_not_the_answers() {
    let (mut system, mut buffer) = (System::on(), [0; 16]);
    let mut answer = Answer::new(&mut buffer);
    answer.begin(system.client.who_am_i().unwrap());
    system.say(1, &Event::User(user("guest")));
    assert_eq!(gather(&mut system, &mut answer), 0);
    assert_eq!(answer.outcome(), None);
}

#[test]
fn bytes_that_are_no_text_are_kept_and_said_to_be_none() {
    let (mut system, mut buffer) = (System::on(), [0; 4]);
    let mut answer = Answer::new(&mut buffer);
    answer.begin(system.client.infer(&Infer::new("x")).unwrap());
    system.say(1, &text(b"a\xff"));
    gather(&mut system, &mut answer);
    assert_eq!(answer.bytes(), b"a\xff");
    assert!(answer.text().is_err());
}

proptest! {
    /// Pieces of whole characters, as an honest inference sends them.
    #[test]
    fn what_exceeds_the_buffer_is_counted_and_what_is_kept_is_a_beginning(
        pieces in prop::collection::vec("[a-c\u{e9}\u{732b}]{0,5}", 0..12), room in 0usize..20,
    ) {
        let (mut system, mut buffer) = (System::on(), std::vec![0; room]);
        let mut answer = Answer::new(&mut buffer);
        answer.begin(system.client.infer(&Infer::new("x")).unwrap());
        for piece in &pieces {
            system.say(1, &text(piece.as_bytes()));
            gather(&mut system, &mut answer);
        }
        let whole = pieces.concat();
        let kept = answer.text().expect("no character is cut");
        prop_assert!(whole.starts_with(kept));
        prop_assert_eq!(kept.len() + answer.dropped() as usize, whole.len());
        prop_assert_eq!(answer.dropped() == 0, whole.len() <= room);
        if let Some(next) = whole[kept.len()..].chars().next() {
            prop_assert!(kept.len() + next.len_utf8() > room, "no more would have fitted");
        }
        prop_assert_eq!(answer.tokens() as usize, pieces.len());
    }
}
