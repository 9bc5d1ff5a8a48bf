//! Credit: how far a request may go before audit grants more.

use super::harness::*;
use proptest::prelude::*;
use protocol::wire::Sampling;

/// `command` with this much credit.
fn with_credit(mut command: Command<'_>, tokens: u32) -> Command<'_> {
    if let Command::Infer { credit, .. } = &mut command {
        *credit = tokens;
    }
    command
}

/// `command` with a sampler so hot that any token can come, including the one that ends a text.
fn with_seed(mut command: Command<'_>, seed: u64) -> Command<'_> {
    if let Command::Infer { params, .. } = &mut command {
        params.sampling = Sampling {
            seed,
            temperature: 50_000_000,
            top_k: 0,
            top_p: 1_000_000,
            min_p: 0,
            ..Sampling::default()
        };
    }
    command
}

const fn credit(tokens: u32) -> Command<'static> {
    Command::Credit { tokens }
}

/// The tokens and texts of a request.
fn tokens_of(seen: &[Seen], of: u32) -> Vec<(u32, &str)> {
    let token = |seen| match seen {
        &Seen::Token(request, id, ref text) if request == of => Some((id, text.as_str())),
        _ => None,
    };
    seen.iter().filter_map(token).collect()
}

/// A loaded transformer with a cache of this many positions, and its server.
fn with_model<T>(
    positions: Positions,
    run: impl FnOnce(&mut Audit, &mut TestServer<'_, TransformerBackend<'_>>) -> T,
) -> T {
    let file = model(Shape::default()).finish();
    let mut memory = Memory::new(1 << 20);
    let options = LoadOptions {
        positions,
        ..OPTIONS
    };
    let (mut audit, mut server) = set_up(transformer(&mut memory, options), &file);
    audit.load(&mut server, file.len());
    run(&mut audit, &mut server)
}

/// Result of `command` on an otherwise idle server, without a limit on credit.
fn alone(command: Command<'_>) -> Vec<Seen> {
    with_model(Positions::Fill, |audit, server| {
        audit.send(1, &with_credit(command, u32::MAX));
        audit.settle(server)
    })
}

#[test]
fn a_request_rests_without_credit_and_goes_on_when_it_is_granted_some() {
    let command = with_seed(only(0, b"hello", 9), 3);
    let expected = alone(command);
    assert_eq!(tokens_of(&expected, 1).len(), 9);
    with_model(Positions::Fill, |audit, server| {
        audit.send(1, &with_credit(command, 0));
        assert_eq!(audit.settle(server), []);
        let mut seen = Vec::new();
        for tokens in [1, 4, 5, 9] {
            audit.send(1, &credit(tokens));
            seen.extend(audit.settle(server));
            assert_eq!(tokens_of(&seen, 1).len(), tokens as usize);
        }
        // The end comes too, without credit for a token.
        assert_eq!(seen, expected);
    });
}

#[test]
fn a_server_whose_requests_all_rest_is_idle_until_a_command_comes() {
    with_model(Positions::Fill, |audit, server| {
        for session in 0..3 {
            let command = only(session, b"hello", 9);
            audit.send(1 + session, &with_credit(command, session));
        }
        // The first has no credit at all.
        assert_eq!(audit.settle(server).len(), 1 + 2);
        let signals = audit.signals.0;
        for _ in 0..3 {
            assert_eq!(server.poll(&mut audit.signals), Activity::Idle);
        }
        assert_eq!((audit.signals.0, audit.receive()), (signals, Vec::new()));
        audit.send(2, &credit(2));
        assert_eq!(server.poll(&mut audit.signals), Activity::Busy);
        assert_eq!(audit.settle(server).len(), 1);
        // It still answers commands, and still refuses invalid ones.
        audit.send(7, &Command::Status);
        audit.send(8, &load(0, 1));
        let answers = audit.settle(server);
        assert!(matches!(
            answers[..],
            [Seen::Holdings(Holdings { running: 2, waiting: 1, .. }), Seen::Failed(8, failure, _)]
                if failure.code == ErrorCode::ModelInUse
        ));
    });
}

#[test]
fn one_that_rests_does_not_show_in_another_token_for_token() {
    let rests = with_seed(only(4, b"the one that rests", 20), 5);
    let goes_on = with_seed(only(9, b"the other", 30), 6);
    let (expected_rests, expected) = (alone(rests), alone(goes_on));
    // It pauses before its first token, after some, or before its last.
    for tokens in [0, 3, 19] {
        with_model(Positions::Fill, |audit, server| {
            audit.send(1, &with_credit(rests, tokens));
            audit.send(2, &goes_on);
            let mut seen = audit.settle(server);
            assert_eq!(tokens_of(&seen, 1).len(), tokens as usize);
            assert_eq!(tokens_of(&seen, 2), tokens_of(&expected, 1));
            assert!(matches!(seen.last(), Some(Seen::Finished(2, ..))));
            audit.send(1, &credit(20));
            seen.extend(audit.settle(server));
            assert_eq!(tokens_of(&seen, 1), tokens_of(&expected_rests, 1));
            assert_eq!(seen.last(), expected_rests.last());
        });
    }
}

#[test]
fn a_request_that_rests_is_cancelled_at_once_and_its_session_goes_on() {
    with_model(Positions::Fill, |audit, server| {
        for (request, tokens) in [(1, 0), (2, 2)] {
            audit.send(request, &with_credit(first(0, b"hello", 9), tokens));
            assert_eq!(audit.settle(server).len(), tokens as usize);
            audit.send(request, &Command::Cancel);
            server.poll(&mut audit.signals);
            let end = Seen::Finished(request, FinishReason::Cancelled, 7, tokens);
            assert_eq!(audit.receive(), [end]);
        }
        audit.send(3, &next(0, b"more", 4));
        assert_eq!(tokens_of(&audit.settle(server), 3).len(), 4);
    });
}

/// Audit may grant credit while the end or the refusal of the request is in the ring.
#[test]
fn credit_for_a_request_that_is_not_under_way_is_ignored() {
    with_model(Positions::Fill, |audit, server| {
        audit.send(1, &credit(9));
        audit.send(2, &next(0, b"hello", 9));
        audit.send(2, &credit(9));
        let refused = failed(2, ErrorCode::SessionEvicted);
        assert_eq!(audit.settle(server), [refused]);
        audit.send(3, &first(0, b"hello", 2));
        audit.settle(server);
        // The next turn of the session must not get this credit.
        audit.send(4, &with_credit(next(0, b"more", 9), 1));
        for request in [3, 5, 0, u32::MAX] {
            audit.send(request, &credit(9));
        }
        assert_eq!(tokens_of(&audit.settle(server), 4).len(), 1);
        audit.send(4, &credit(9));
        assert_eq!(audit.settle(server).len(), 8 + 1);
    });
}

#[test]
fn credit_is_the_largest_that_was_granted() {
    with_model(Positions::Fill, |audit, server| {
        audit.send(1, &with_credit(only(0, b"hello", 20), 5));
        for tokens in [0, 4, 6, 6, 1, 0] {
            audit.send(1, &credit(tokens));
        }
        assert_eq!(audit.settle(server).len(), 6);
        audit.send(1, &credit(u32::MAX));
        for tokens in [0, u32::MAX, 7] {
            audit.send(1, &credit(tokens));
        }
        let seen = audit.settle(server);
        assert_eq!(tokens_of(&seen, 1).len(), 20 - 6);
        let end = Seen::Finished(1, FinishReason::MaxTokens, 7, 20);
        assert_eq!(seen.last(), Some(&end));
    });
}

/// Expects `end` after `generated` tokens, the last of which uses the last of the credit.
fn ends_with_its_credit(command: Command<'_>, end: FinishReason, generated: u32) {
    with_model(Positions::Fill, |audit, server| {
        audit.send(1, &with_credit(command, generated - 1));
        let mut seen = audit.settle(server);
        // It is not known yet what the next token is.
        assert_eq!(tokens_of(&seen, 1).len(), seen.len());
        audit.send(1, &credit(generated));
        seen.extend(audit.settle(server));
        assert_eq!(tokens_of(&seen, 1).len(), generated as usize);
        assert_eq!(seen.len(), generated as usize + 1);
        assert!(
            matches!(seen.last(), Some(&Seen::Finished(1, reason, _, n)) if reason == end && n == generated),
            "{:?}",
            seen.last()
        );
    });
}

#[test]
fn the_end_needs_no_credit() {
    let prompt = [b'q'; 50];
    ends_with_its_credit(only(0, b"hello", 3), FinishReason::MaxTokens, 3);
    // Of sixty-four positions, the start token, a space and fifty letters leave twelve.
    ends_with_its_credit(only(0, &prompt, 99), FinishReason::ContextFull, 12);
}

/// The token that ends a text is reported and counted like any other, so it needs credit. The end after it does not.
#[test]
fn the_token_that_ends_a_text_is_one_of_those_that_need_credit() {
    let command = |seed| with_seed(only(0, b"hello", 50), seed);
    let ends = (0..200).find_map(|seed| match alone(command(seed)).last() {
        Some(&Seen::Finished(1, FinishReason::EndOfText, _, generated)) => Some((seed, generated)),
        _ => None,
    });
    let (seed, generated) = ends.expect("one of so many ends its text");
    ends_with_its_credit(command(seed), FinishReason::EndOfText, generated);
}

/// A client that never reads has the whole cache, but another's request does not wait for it. If it reads after all, it
/// has lost only time.
#[test]
fn a_request_does_not_wait_for_one_that_rests_for_ever() {
    let silent = with_seed(only(0, b"hello", 60), 7);
    let reads = with_seed(only(1, b"reads", 57), 8);
    let (expected_silent, expected) = (alone(silent), alone(reads));
    with_model(Positions::Exactly(64), |audit, server| {
        audit.send(1, &with_credit(silent, 5));
        let mut seen = audit.settle(server);
        assert_eq!(tokens_of(&seen, 1).len(), 5);
        for request in [2, 3] {
            audit.send(request, &reads);
            let others = audit.settle(server);
            assert_eq!(tokens_of(&others, request), tokens_of(&expected, 1));
            let Some(&Seen::Finished(of, ..)) = others.last() else {
                panic!("{others:?}");
            };
            // Nobody is told that the first has lost its room.
            assert_eq!((of, others.len()), (request, expected.len()));
        }
        assert_eq!(server.poll(&mut audit.signals), Activity::Idle);
        for tokens in [6, 60] {
            audit.send(1, &credit(tokens));
            seen.extend(audit.settle(server));
        }
        assert_eq!(seen, expected_silent);
    });
}

/// A request that is granted credit while another has its room waits its turn, and both get everything.
#[test]
fn one_whose_room_was_taken_waits_in_its_turn_for_those_that_have_credit() {
    let slow = with_seed(only(0, b"hello", 60), 7);
    let others = [2, 3].map(|n| with_seed(only(n, b"reads", 57), 8));
    let (expected_slow, expected) = (alone(slow), alone(others[0]));
    with_model(Positions::Exactly(64), |audit, server| {
        audit.send(1, &with_credit(slow, 5));
        let mut seen = audit.settle(server);
        audit.send(2, &others[0]);
        server.poll(&mut audit.signals);
        audit.send(1, &credit(60));
        audit.send(3, &others[1]);
        seen.extend(audit.settle(server));
        let ends = seen.iter().filter_map(|seen| match seen {
            Seen::Finished(request, ..) => Some(*request),
            _ => None,
        });
        assert!(ends.eq([2, 1, 3]), "in the order in which they asked");
        assert_eq!(tokens_of(&seen, 1), tokens_of(&expected_slow, 1));
        for request in [2, 3] {
            assert_eq!(tokens_of(&seen, request), tokens_of(&expected, 1));
        }
    });
}

#[derive(Clone, Debug)]
enum Act {
    Infer { session: u32, tokens: u32 },
    Credit { request: u32, tokens: u32 },
    Cancel { request: u32 },
    Polls { count: usize },
}

fn act() -> impl Strategy<Value = Act> {
    let tokens = || prop_oneof![4 => 0u32..12, 1 => Just(u32::MAX)];
    prop_oneof![
        3 => (0u32..4, tokens()).prop_map(|(session, tokens)| Act::Infer { session, tokens }),
        4 => (1u32..20, tokens()).prop_map(|(request, tokens)| Act::Credit { request, tokens }),
        1 => (1u32..20).prop_map(|request| Act::Cancel { request }),
        4 => (1usize..20).prop_map(|count| Act::Polls { count }),
    ]
}

/// A request, as audit tracks it.
#[derive(Debug)]
struct Books {
    credit: u32,
    tokens: u32,
    over: bool,
}

/// Enters what audit has received, and checks that inference was allowed to send it.
fn enter(books: &mut [Books], seen: Vec<Seen>) {
    for seen in seen {
        let (Seen::Token(request, ..) | Seen::Finished(request, ..) | Seen::Failed(request, ..)) =
            seen
        else {
            panic!("{seen:?}");
        };
        // A cancel of an unknown request is answered like this, as often as it is sent.
        if seen == failed(request, ErrorCode::NoSuchRequest) {
            continue;
        }
        let book = &mut books[request as usize - 1];
        assert!(!book.over, "{seen:?} after the end");
        match seen {
            Seen::Token(..) => {
                book.tokens += 1;
                assert!(book.tokens <= book.credit, "{book:?}");
            }
            Seen::Finished(_, _, _, generated) => {
                assert_eq!(generated, book.tokens);
                book.over = true;
            }
            _ => book.over = true,
        }
    }
}

proptest! {
    /// Whatever audit asks for and grants, no token exceeds the credit, each request has one end with the right number
    /// of tokens, and the server is idle only if every open request is out of credit.
    #[test]
    fn audits_books_agree_with_every_report(acts in prop::collection::vec(act(), 1..60)) {
        let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
        audit.load(&mut server, 5);
        let mut books: Vec<Books> = Vec::new();
        for act in acts {
            match act {
                Act::Infer { session, tokens } => {
                    books.push(Books { credit: tokens, tokens: 0, over: false });
                    let command = with_credit(only(session, b"abcdefghij", 9), tokens);
                    audit.send(books.len() as u32, &command);
                }
                Act::Credit { request, tokens } => {
                    audit.send(request, &credit(tokens));
                    if let Some(book) = books.get_mut(request as usize - 1) {
                        book.credit = book.credit.max(tokens);
                    }
                }
                Act::Cancel { request } => audit.send(request, &Command::Cancel),
                Act::Polls { count } => {
                    for _ in 0..count {
                        server.poll(&mut audit.signals);
                        let seen = audit.receive();
                        enter(&mut books, seen);
                    }
                    continue;
                }
            }
            // This makes room for the next command.
            server.poll(&mut audit.signals);
            let seen = audit.receive();
            enter(&mut books, seen);
        }
        let seen = audit.settle(&mut server);
        enter(&mut books, seen);
        prop_assert!(books.iter().all(|book| book.over || book.tokens == book.credit), "{books:?}");
        for request in 0..books.len() {
            books[request].credit = 9;
            audit.send(request as u32 + 1, &credit(9));
            let seen = audit.settle(&mut server);
            enter(&mut books, seen);
            prop_assert!(books[request].over, "{books:?}");
        }
    }
}
