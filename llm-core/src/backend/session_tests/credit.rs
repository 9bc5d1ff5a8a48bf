//! Sessions that rest without credit, and what becomes of their room in the cache.

use super::*;
use crate::transformer::LoadOptions;

/// Steps until there is nothing to do; returns prompt progress, tokens and ends.
fn to_rest(backend: &mut TransformerBackend) -> Vec<(usize, Step)> {
    let (mut steps, mut text) = (Vec::new(), Text::new());
    loop {
        match backend.step(&mut text) {
            Progress::Idle => return steps,
            Progress::Working => {}
            Progress::Session(n, step) => steps.push((n, step.unwrap())),
            other @ (Progress::Evicted(_) | Progress::Training(_)) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_session_without_credit_rests_until_it_is_granted_some() {
    with_model(OPTIONS, |backend| {
        let params = sampled(5, 9);
        let expected = alone(KvType::Q8, &tokenize(backend, "hello there", true), &params);
        let turn = Turn {
            credit: 0,
            ..Turn::first(2)
        };
        let total = backend
            .start(turn, Prompt::Text(b"hello there"), &params)
            .unwrap();
        assert_eq!(to_rest(backend), []);
        assert_eq!(reserved(backend, 2), 0, "it needs no room yet");
        let mut got = Vec::new();
        for (granted, tokens) in [(0, 0), (1, 1), (1, 0), (0, 0), (4, 3), (3, 0), (9, 5)] {
            backend.grant(2, granted);
            let mut steps = to_rest(backend);
            if granted == 9 {
                let end = Step::Finished {
                    reason: FinishReason::MaxTokens,
                    prompt_tokens: total,
                    generated: 9,
                };
                assert_eq!(steps.pop(), Some((2, end)), "the end needs no credit");
            }
            assert_eq!(steps.len(), tokens, "{granted} granted");
            got.extend(steps.into_iter().map(|(_, step)| match step {
                Step::Token { id } => id,
                other => panic!("{other:?}"),
            }));
        }
        assert_eq!(got, expected.0);
        // These sessions do not exist, or have no request.
        backend.grant(2, 9);
        backend.grant(usize::MAX, 9);
        assert_eq!(to_rest(backend), []);
        // The credit was only for that turn.
        let turn = Turn {
            fresh: false,
            ..turn
        };
        backend.start(turn, Prompt::Text(b"more"), &params).unwrap();
        assert_eq!(to_rest(backend), []);
        backend.cancel(2);
        assert!(matches!(
            to_rest(backend)[..],
            [(
                2,
                Step::Finished {
                    reason: FinishReason::Cancelled,
                    generated: 0,
                    ..
                }
            )]
        ));
    });
}

/// A pool for only one session.
const ONE: LoadOptions = LoadOptions {
    positions: Positions::Exactly(CONTEXT),
    ..OPTIONS
};

fn with_credit(turn: Turn, credit: u32) -> Turn {
    Turn { credit, ..turn }
}

/// Steps until the request of `session` has its room.
fn until_running(backend: &mut TransformerBackend, session: usize) -> Vec<Progress> {
    let (mut steps, mut text) = (Vec::new(), Text::new());
    while !backend.is_running(session) {
        steps.push(backend.step(&mut text));
        assert_ne!(
            steps.last(),
            Some(&Progress::Idle),
            "{session} waits for nobody"
        );
    }
    steps
}

/// The tokens generated for `session`.
fn tokens_of(steps: &[(usize, Step)], session: usize) -> Vec<u32> {
    let token = |&(n, step): &(usize, Step)| match step {
        Step::Token { id } if n == session => Some(id),
        _ => None,
    };
    steps.iter().filter_map(token).collect()
}

#[test]
fn a_request_takes_the_room_of_one_that_rests_which_goes_on_as_if_nothing_had_been() {
    for kv in [KvType::F32, KvType::Q8] {
        with_model(LoadOptions { kv, ..ONE }, |backend| {
            // The penalty counts the prompt and the earlier tokens; the sampler has drawn three times.
            let params = sampled(6, 40);
            let expected = alone(kv, &tokenize(backend, "hello", true), &params);
            let other = alone(kv, &tokenize(backend, "other", true), &sampled(7, 50));
            let turn = with_credit(Turn::first(0), 3);
            backend
                .start(turn, Prompt::Text(b"hello"), &params)
                .unwrap();
            let mut ids = tokens_of(&to_rest(backend), 0);
            assert_eq!((ids.len(), reserved(backend, 0) > 0), (3, true));

            backend
                .start(Turn::only(1), Prompt::Text(b"other"), &sampled(7, 50))
                .unwrap();
            let steps = to_rest(backend);
            assert_eq!(tokens_of(&steps, 1), other.0);
            assert!(matches!(
                steps.last(),
                Some((1, Step::Finished { reason, .. })) if *reason == other.2
            ));
            assert_eq!(tokens_of(&steps, 0), []);
            assert_eq!(reserved(backend, 0), 0);
            let occupancy = backend.occupancy();
            assert_eq!((occupancy.running, occupancy.waiting), (0, 1));
            assert_eq!(occupancy.free, occupancy.positions);

            backend.grant(0, 40);
            let steps = to_rest(backend);
            ids.extend(tokens_of(&steps, 0));
            assert_eq!(ids, expected.0);
            assert!(matches!(
                steps.last(),
                Some((0, Step::Finished { reason, .. })) if *reason == expected.2
            ));
        });
    }
}

#[test]
fn a_request_whose_room_was_taken_can_be_cancelled_and_its_session_goes_on() {
    with_model(ONE, |backend| {
        let mut row = tokenize(backend, "hello", true);
        let turn = with_credit(Turn::first(0), 2);
        let prompt_tokens = backend
            .start(turn, Prompt::Text(b"hello"), &sampled(6, 50))
            .unwrap();
        row.extend(tokens_of(&to_rest(backend), 0));
        backend
            .start(Turn::only(1), Prompt::Text(b"other"), &sampled(7, 50))
            .unwrap();
        // It waits for a request at work. None of its own room can be taken, so credit makes no difference.
        until_running(backend, 1);
        backend.grant(0, 3);
        let occupancy = backend.occupancy();
        assert_eq!((occupancy.running, occupancy.waiting), (1, 1));
        backend.cancel(0);
        let end = Step::Finished {
            reason: FinishReason::Cancelled,
            prompt_tokens,
            generated: 2,
        };
        assert_eq!(to_rest(backend)[0], (0, end));
        row.extend(tokenize(backend, "more", false));
        let params = sampled(8, 9);
        backend
            .start(Turn::next(0), Prompt::Text(b"more"), &params)
            .unwrap();
        assert_eq!(to_end(backend, 0), alone(KvType::Q8, &row, &params));
    });
}

/// Four blocks: an idle session has one, two resting requests have one each.
#[test]
fn only_as_many_that_rest_give_room_as_must_the_longest_first_and_idle_sessions_before() {
    // A prompt of at most one block, including what is generated.
    let run = |needed: u32| {
        with_model(ONE, |backend| {
            backend
                .start(Turn::first(0), Prompt::Text(b"a"), &sampled(1, 4))
                .unwrap();
            to_end(backend, 0);
            for (n, credit) in [(2, 1), (1, 1)] {
                let turn = with_credit(Turn::first(n), credit);
                backend
                    .start(turn, Prompt::Text(b"a"), &sampled(1, 12))
                    .unwrap();
                to_rest(backend);
            }
            assert_eq!(
                [0, 1, 2].map(|n| reserved(backend, n)),
                [BLOCK_POSITIONS; 3]
            );
            let turn = with_credit(Turn::only(3), 1);
            backend
                .start(turn, Prompt::Text(b"a"), &sampled(1, needed))
                .unwrap();
            let steps = until_running(backend, 3);
            let evicted = steps.contains(&Progress::Evicted(0));
            (evicted, [1, 2].map(|n| backend.is_running(n)))
        })
    };
    assert_eq!(run(12), (false, [true, true]));
    assert_eq!(run(28), (true, [true, true]));
    assert_eq!(run(44), (true, [true, false]));
    assert_eq!(run(60), (true, [false, false]));
}

/// Four blocks, of which three sessions waiting for their next turns hold one each.
#[test]
fn what_waiting_sessions_hold_is_taken_first_from_whoever_is_served_last() {
    let run = |needed: u32| {
        with_model(ONE, |backend| {
            for n in 0..3 {
                backend
                    .start(Turn::first(n), Prompt::Text(b"a"), &sampled(1, 4))
                    .unwrap();
                to_end(backend, n);
            }
            backend
                .start(Turn::only(4), Prompt::Text(b"a"), &sampled(1, needed))
                .unwrap();
            for (n, credit) in [(2, 9), (0, 9), (1, 0)] {
                let turn = with_credit(Turn::next(n), credit);
                backend
                    .start(turn, Prompt::Text(b"b"), &sampled(1, 60))
                    .unwrap();
            }
            until_running(backend, 4);
            [2, 0, 1].map(|n| reserved(backend, n) > 0)
        })
    };
    assert_eq!(run(12), [true, true, true]);
    // The one without credit gives way first, then the last in the queue.
    assert_eq!(run(28), [true, true, false]);
    assert_eq!(run(44), [true, false, false]);
    assert_eq!(run(60), [false, false, false]);
}

/// The worst that clients can do to each other's cache: each grant makes the other's session recompute.
#[test]
fn two_that_rest_in_turn_take_each_others_room_at_most_once_a_grant() {
    with_model(ONE, |backend| {
        let params = [sampled(1, 30), sampled(2, 25)];
        let prompts = ["hello there", "x y z"];
        let mut taken = [0; 2];
        let (mut grants, mut text) = ([0u32; 2], Text::new());
        let (mut got, mut ended) = ([Vec::new(), Vec::new()], [None; 2]);
        for (n, prompt) in prompts.iter().enumerate() {
            let turn = with_credit(Turn::only(n), 0);
            backend
                .start(turn, Prompt::Text(prompt.as_bytes()), &params[n])
                .unwrap();
        }
        while ended.contains(&None) {
            for n in 0..2 {
                grants[n] += u32::from(ended[n].is_none());
                backend.grant(n, grants[n]);
                loop {
                    let running = [0, 1].map(|n| backend.is_running(n));
                    let progress = backend.step(&mut text);
                    for other in 0..2 {
                        let ends = ended[other].is_some();
                        let is_taken = running[other] && !backend.is_running(other) && !ends;
                        let finishes = matches!(
                            progress,
                            Progress::Session(of, Ok(Step::Finished { .. })) if of == other
                        );
                        taken[other] += u32::from(is_taken && !finishes);
                    }
                    match progress {
                        Progress::Idle => break,
                        Progress::Session(of, Ok(Step::Token { id })) => got[of].push(id),
                        Progress::Session(of, Ok(Step::Finished { reason, .. })) => {
                            ended[of] = Some(reason);
                        }
                        Progress::Working | Progress::Session(_, Ok(_)) => {}
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!(
                    got[n].len(),
                    grants[n] as usize,
                    "{n} has what it was granted"
                );
            }
        }
        for n in 0..2 {
            let row = tokenize(backend, prompts[n], true);
            let expected = alone(KvType::Q8, &row, &params[n]);
            assert_eq!((&got[n], ended[n]), (&expected.0, Some(expected.2)));
            assert!(
                taken[n] > 0 && taken[n] < grants[n],
                "{taken:?} of {grants:?}"
            );
        }
    });
}
