//! Requests, sessions and control commands.

use super::harness::*;
use crate::server::cut;

#[test]
fn sessions_share_the_server_and_each_request_gets_its_own_reports() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    audit.load(&mut server, 5);
    for session in 0..5 {
        let prompt = [b'a' + session as u8; 4];
        audit.send(100 + session, &only(session, &prompt, 3));
    }
    let seen = audit.settle(&mut server);
    for session in 0..5 {
        let letter = char::from(b'a' + session as u8);
        let request = 100 + session;
        assert_eq!(text_of(&seen, request), String::from(letter).repeat(3));
        let finished = Seen::Finished(request, FinishReason::MaxTokens, 4, 3);
        assert!(seen.contains(&finished), "{seen:?}");
    }
    assert!(audit.signals.0 >= seen.len(), "each report is signalled");
}

#[test]
fn control_commands_are_answered_between_tokens_and_a_load_is_not() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    audit.load(&mut server, 5);
    audit.send(2, &first(0, b"abcdef", 99));
    for _ in 0..3 {
        server.poll(&mut audit.signals);
    }
    audit.send(3, &Command::Status);
    audit.send(4, &load(0, 5));
    audit.send(5, &Command::Cancel);
    audit.send(6, &first(0, b"again", 99));
    audit.send(7, &Command::Drop { session: 0 });
    let seen = audit.settle(&mut server);
    let answers: Vec<&Seen> = seen
        .iter()
        .filter(|seen| !matches!(seen, Seen::Token(..)))
        .collect();
    assert!(matches!(answers[0], Seen::Holdings(holdings) if holdings.running == 1));
    assert_eq!(answers[1], &failed(4, ErrorCode::ModelInUse));
    assert_eq!(answers[2], &failed(5, ErrorCode::NoSuchRequest));
    assert_eq!(answers[3], &failed(6, ErrorCode::SessionBusy));
    assert_eq!(answers[4], &failed(7, ErrorCode::SessionBusy));
    assert_eq!(text_of(&seen, 2), "abcdef");
}

#[test]
fn what_is_no_command_is_unsupported() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    let mut frame = Frame::new();
    Report::Ready.write(9, &mut frame);
    audit.ring.send(&frame).unwrap();
    assert_eq!(
        audit.settle(&mut server),
        [failed(9, ErrorCode::Unsupported)]
    );
}

#[test]
fn a_session_goes_on_until_it_is_dropped() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    audit.load(&mut server, 5);
    audit.send(1, &first(9, b"abc", 9));
    audit.settle(&mut server);
    audit.send(2, &next(9, b"de", 9));
    assert_eq!(text_of(&audit.settle(&mut server), 2), "de");
    audit.send(3, &Command::Drop { session: 9 });
    audit.send(4, &next(9, b"f", 9));
    assert_eq!(
        audit.settle(&mut server),
        [failed(4, ErrorCode::SessionEvicted)]
    );
    // A session that is not kept is dropped at its end.
    audit.send(5, &only(9, b"abc", 9));
    audit.settle(&mut server);
    audit.send(6, &next(9, b"de", 9));
    assert_eq!(
        audit.settle(&mut server),
        [failed(6, ErrorCode::SessionEvicted)]
    );
}

#[test]
fn a_context_that_is_full_is_told_with_its_tokens_and_the_session_stays() {
    let file = model(Shape::default()).finish();
    let mut memory = Memory::new(1 << 20);
    let (mut audit, mut server) = set_up(transformer(&mut memory, OPTIONS), &file);
    audit.load(&mut server, file.len());
    audit.send(1, &first(0, b"hello", 3));
    audit.settle(&mut server);
    // The start token, a space, five letters and three generated; then a space and sixty letters.
    audit.send(2, &next(0, &[b'q'; 60], 3));
    assert_eq!(
        audit.settle(&mut server),
        [Seen::Failed(
            2,
            Failure::over(ErrorCode::ContextFull, 10 + 61, 64),
            "".into()
        )]
    );
    audit.send(3, &first(1, &[b'q'; 64], 3));
    assert_eq!(
        audit.settle(&mut server),
        [Seen::Failed(
            3,
            Failure::over(ErrorCode::PromptTokens, 66, 63),
            "".into()
        )]
    );
    audit.send(4, &next(0, b"so", 3));
    assert!(matches!(
        audit.settle(&mut server).last(),
        Some(Seen::Finished(4, _, 3, _))
    ));
}

#[test]
fn a_cancel_takes_effect_at_the_next_step_also_for_what_waits() {
    let file = model(Shape::default()).finish();
    let mut memory = Memory::new(1 << 20);
    let options = LoadOptions {
        positions: Positions::Exactly(64),
        ..OPTIONS
    };
    let (mut audit, mut server) = set_up(transformer(&mut memory, options), &file);
    audit.load(&mut server, file.len());
    audit.send(2, &first(0, b"abcdef", 99));
    audit.send(3, &first(1, b"xyz", 99));
    audit.send(4, &Command::Status);
    for _ in 0..4 {
        server.poll(&mut audit.signals);
    }
    let seen = audit.receive();
    assert!(
        seen.iter()
            .any(|seen| matches!(seen, Seen::Holdings(h) if h.running == 1 && h.waiting == 1)),
        "{seen:?}"
    );
    audit.send(3, &Command::Cancel);
    audit.send(2, &Command::Cancel);
    let after = audit.settle(&mut server);
    let cancelled = FinishReason::Cancelled;
    assert!(
        matches!(after[0], Seen::Finished(2, reason, 8, _) if reason == cancelled),
        "{after:?}"
    );
    assert_eq!(after[1..], [Seen::Finished(3, cancelled, 5, 0)]);
}

#[test]
fn an_eviction_is_told_before_anything_of_the_request_that_needed_it() {
    let file = model(Shape::default()).finish();
    let mut memory = Memory::new(1 << 20);
    let options = LoadOptions {
        positions: Positions::Exactly(64),
        ..OPTIONS
    };
    let (mut audit, mut server) = set_up(transformer(&mut memory, options), &file);
    audit.load(&mut server, file.len());
    for session in [4, 2] {
        audit.send(session, &first(session, b"hello", 5));
        audit.settle(&mut server);
    }
    audit.send(9, &only(7, b"hello", 50));
    let seen = audit.settle(&mut server);
    assert_eq!(seen[..2], [Seen::Evicted(4), Seen::Evicted(2)]);
    assert!(matches!(
        seen.last(),
        Some(Seen::Finished(9, FinishReason::MaxTokens, 7, 50))
    ));
    // No session is left to be evicted.
    audit.send(10, &only(7, b"hello", 50));
    assert!(!matches!(audit.settle(&mut server)[0], Seen::Evicted(_)));
}

#[test]
fn nothing_is_lost_when_audit_reads_slowly() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    audit.load(&mut server, 5);
    let prompt = vec![b'p'; 100];
    audit.send(2, &only(0, &prompt, 512));
    let mut seen = Vec::new();
    for _ in 0..100 {
        while server.poll(&mut audit.signals) == Activity::Busy {}
        let received = audit.receive();
        assert!(received.len() <= SLOTS);
        seen.extend(received);
    }
    assert_eq!(text_of(&seen, 2).len(), 100);
    assert_eq!(
        seen.last(),
        Some(&Seen::Finished(2, FinishReason::EndOfText, 100, 100))
    );
}

#[test]
fn a_new_epoch_forgets_everything_of_the_last() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    audit.load(&mut server, 5);
    audit.send(1, &first(0, b"kept", 99));
    audit.settle(&mut server);
    audit.send(2, &first(1, b"abcdef", 99));
    audit.send(3, &first(2, b"abcdef", 99));
    for _ in 0..3 {
        server.poll(&mut audit.signals);
    }
    audit.ring.lead(2);
    audit.send(8, &next(0, b"more", 99));
    audit.send(9, &first(1, b"new", 99));
    let seen = audit.settle(&mut server);
    assert_eq!(seen[0], Seen::Ready);
    assert_eq!(seen[1], failed(8, ErrorCode::SessionEvicted));
    assert_eq!(text_of(&seen, 9), "new");
    assert_eq!(text_of(&seen, 2) + &text_of(&seen, 3), "");
}

#[test]
fn texts_are_cut_between_characters() {
    assert_eq!(cut("aé", 2), "a");
    assert_eq!(cut("aé", 3), "aé");
    assert_eq!(cut("", 3), "");
}
