//! How clients share the engine, seen as an adversary: each test checks a statement of the documentation.

use super::session_tests::{OPTIONS, reserved, sampled, with_model};
use super::*;
use crate::arena::Arena;
use crate::generate::Step;
use crate::kv_cache::BLOCK_POSITIONS;
use crate::transformer::LoadOptions;
use crate::transformer::Positions;
use std::vec::Vec;

fn with_blocks<T>(blocks: usize, run: impl FnOnce(&mut TransformerBackend) -> T) -> T {
    let options = LoadOptions {
        positions: Positions::Exactly(blocks * BLOCK_POSITIONS),
        ..OPTIONS
    };
    with_model(options, run)
}

fn of(client: usize, turn: Turn) -> Turn {
    Turn { client, ..turn }
}

/// A context of four blocks; the prompt has two tokens.
const WHOLE: u32 = 62;

/// Tokens for a turn of `n` blocks, with a prompt of one byte (at most three tokens).
const fn blocks(n: u32) -> u32 {
    n * 16 - 3
}

fn begin(backend: &mut TransformerBackend, client: usize, session: usize, max_tokens: u32) {
    let params = sampled(session as u64, max_tokens);
    backend
        .start(of(client, Turn::only(session)), Prompt::Text(b"a"), &params)
        .unwrap();
}

/// One step; returns the session that ended.
fn step(backend: &mut TransformerBackend) -> Option<usize> {
    let mut text = Text::new();
    match backend.step(&mut text) {
        Progress::Session(n, Ok(Step::Finished { .. })) => Some(n),
        Progress::Session(n, Err(error)) => panic!("{n}: {error}"),
        Progress::Idle => panic!("nobody goes on"),
        _ => None,
    }
}

/// protocol.md: "a request within its client's part waits for at most one request of each other client, and only for one
/// that is larger than a part".
#[test]
fn a_request_within_its_part_waits_for_one_of_each_other_client_at_most() {
    with_blocks(12, |backend| {
        // With three clients a part is four blocks, a context: no request is larger than a part, so none waits.
        // (Control: this holds.)
        for n in 0..12 {
            begin(backend, 0, n, blocks(1));
        }
        step(backend);
        begin(backend, 1, 12, WHOLE);
        begin(backend, 2, 13, blocks(1));
        for _ in 0..4 {
            step(backend);
        }
        assert!(backend.is_running(12) && backend.is_running(13));
    });
    with_blocks(10, |backend| {
        // With three clients a part is three blocks, a context is four. Client 0 has borrowed the whole cache, in small
        // requests.
        for n in 0..10 {
            begin(backend, 0, n, blocks(1));
        }
        step(backend);
        assert_eq!(backend.occupancy().free, 0);
        // Client 1 wants a context. Client 2 wants one block, which it could have at once: client 0 has seven too many.
        begin(backend, 1, 12, WHOLE);
        begin(backend, 2, 13, blocks(1));
        let (mut ended, mut free) = (Vec::new(), 0);
        while !backend.is_running(13) {
            free = free.max(backend.occupancy().free / BLOCK_POSITIONS);
            ended.extend(step(backend));
        }
        std::eprintln!("2 waited for {ended:?}; up to {free} blocks were free meanwhile");
        let of_first = ended.iter().filter(|&&n| n < 12).count();
        assert!(of_first <= 1, "it waited for {of_first} requests of 0");
    });
}

/// The same with the smallest cache, one context: a client within its part holds others up, and three of four blocks
/// are free.
#[test]
fn a_request_within_its_part_waits_only_for_ones_that_are_larger_than_a_part() {
    with_blocks(4, |backend| {
        begin(backend, 0, 0, blocks(1));
        step(backend);
        begin(backend, 1, 1, WHOLE);
        begin(backend, 2, 2, blocks(1));
        assert_eq!(backend.occupancy().free, 3 * BLOCK_POSITIONS);
        let mut ended = Vec::new();
        while !backend.is_running(2) {
            ended.extend(step(backend));
        }
        assert!(!ended.contains(&0), "0 has one block, a part is one");
    });
}

/// A displaced request gets no borrowed room again while its client has older work: it loses its room once, however
/// often the other comes back.
#[test]
fn what_is_displaced_is_not_displaced_again_and_again() {
    let mut alone = 0;
    for attacked in [false, true] {
        with_blocks(8, |backend| {
            // Two conversations with long prompts. With two clients a part is four blocks.
            let prompt = [b'a'; 40];
            for n in [0, 1] {
                let turn = of(0, Turn::only(n));
                backend
                    .start(turn, Prompt::Text(&prompt), &sampled(n as u64 + 10, 22))
                    .unwrap();
            }
            let mut text = Text::new();
            let (mut tokens, mut steps, mut requests, mut displaced) = ([0; 2], 0, 0, 0);
            let mut was_running = false;
            // Until the older one has generated its twenty tokens.
            while tokens[0] < 20 {
                let running = backend.is_running(1);
                displaced += usize::from(was_running && !running);
                was_running = running;
                // As soon as the newer one has its room again, ask for one token.
                let idle = !backend.is_running(2) && requests * 2 <= steps;
                if attacked && idle && running && tokens[0] >= 1 {
                    let params = sampled(9, 1);
                    if backend
                        .start(of(1, Turn::only(2)), Prompt::Text(b"a"), &params)
                        .is_ok()
                    {
                        requests += 1;
                    }
                }
                steps += 1;
                match backend.step(&mut text) {
                    Progress::Session(n @ (0 | 1), Ok(Step::Token { .. })) => tokens[n] += 1,
                    Progress::Session(n, Err(error)) => panic!("{n}: {error}"),
                    _ => {}
                }
            }
            std::eprintln!(
                "attacked: {attacked}; {steps} steps; tokens {tokens:?}; {requests} requests of two or three tokens, \
                 the newer one lost its room {displaced} times"
            );
            if attacked {
                assert!(requests > 0, "nothing was tried");
                assert!(displaced <= 1, "its room was taken {displaced} times");
            } else {
                alone = steps;
            }
        });
    }
    assert!(alone > 0);
}

/// E17: "the newest of that client goes".
#[test]
fn the_newest_of_a_client_is_displaced_and_not_the_one_that_has_waited_for_credit() {
    with_blocks(8, |backend| {
        let params = sampled(1, 60);
        let turn = Turn {
            credit: 2,
            ..of(0, Turn::only(0))
        };
        backend.start(turn, Prompt::Text(b"a"), &params).unwrap();
        let mut text = Text::new();
        let mut tokens = 0;
        while tokens < 1 {
            if let Progress::Session(0, Ok(Step::Token { .. })) = backend.step(&mut text) {
                tokens += 1;
            }
        }
        // The second begins while the first is at work.
        backend
            .start(of(0, Turn::only(1)), Prompt::Text(b"a"), &params)
            .unwrap();
        while tokens < 2 {
            if let Progress::Session(0, Ok(Step::Token { .. })) = backend.step(&mut text) {
                tokens += 1;
            }
        }
        assert!(backend.is_running(0) && backend.is_running(1));
        // The first is granted more at once, because it never lost its room.
        backend.grant(0, 60);
        backend.step(&mut text);
        begin(backend, 1, 2, 1);
        while !backend.is_running(2) {
            backend.step(&mut text);
        }
        let running = [backend.is_running(0), backend.is_running(1)];
        assert_eq!(running, [true, false], "the newest goes");
    });
}

/// protocol.md: "Nobody who has credit waits for one that has none", "a client that does not read delays its own requests
/// and nothing else, however short the cache is".
#[test]
fn nobody_who_has_credit_waits_for_another_client_that_does_not_read() {
    with_blocks(10, |backend| {
        let mut text = Text::new();
        // Client 1 does not read: four blocks, no credit, for ever.
        for n in [4, 5] {
            let turn = Turn {
                credit: 1,
                ..of(1, Turn::only(n))
            };
            backend
                .start(turn, Prompt::Text(b"a"), &sampled(4, WHOLE))
                .unwrap();
        }
        while backend.step(&mut text) != Progress::Idle {}
        assert_eq!(
            reserved(backend, 4) + reserved(backend, 5),
            8 * BLOCK_POSITIONS
        );
        // Client 0 has two requests. The cache has room for both, except for what client 1 holds beyond its part and
        // does not use.
        begin(backend, 0, 0, blocks(2));
        begin(backend, 0, 1, WHOLE);
        let mut ended = None;
        while !backend.is_running(1) {
            ended = ended.or(step(backend));
        }
        assert_eq!(ended, None, "the second waited until the first had ended");
    });
}

/// G9: an idle session is lost to another client's request "to any, if its client holds more than its part of the cache;
/// else only to one that is larger than a part, and all that its client has at work".
#[test]
fn an_idle_session_within_its_part_is_lost_to_none_that_is_within_its_own() {
    with_blocks(10, |backend| {
        let mut text = Text::new();
        // Client 2 has a conversation of one block; with four clients a part is two.
        backend
            .start(of(2, Turn::first(8)), Prompt::Text(b"a"), &sampled(1, 2))
            .unwrap();
        while backend.step(&mut text) != Progress::Idle {}
        assert_eq!(reserved(backend, 8), BLOCK_POSITIONS);
        // Two clients have one large request each.
        begin(backend, 0, 0, WHOLE);
        begin(backend, 1, 1, WHOLE);
        begin(backend, 3, 2, blocks(1));
        backend.step(&mut text);
        assert_eq!(backend.occupancy().free, 0);
        // Client 3 has one block at work and wants another, which is within its part, but not all that it has at work.
        begin(backend, 3, 3, blocks(1));
        let mut evicted = None;
        while !backend.is_running(3) {
            if let Progress::Evicted(n) = backend.step(&mut text) {
                evicted = Some(n);
            }
        }
        assert_eq!(evicted, None, "a conversation within its part is gone");
    });
}

/// Two requests of one client, another client with many, a third with one: how the two fare.
#[test]
fn another_client_s_requests_do_not_decide_which_of_mine_goes_on() {
    let mut got = Vec::new();
    for many in [1, 20] {
        with_blocks(32 * 4, |backend| {
            for n in 0..many {
                begin(backend, 0, n, WHOLE - 1);
            }
            begin(backend, 1, 25, WHOLE - 1);
            begin(backend, 1, 28, WHOLE - 1);
            begin(backend, 2, 31, WHOLE - 1);
            let (mut text, mut tokens) = (Text::new(), [0usize; 32]);
            while tokens[31] < 58 {
                match backend.step(&mut text) {
                    Progress::Session(n, Ok(Step::Token { .. })) => tokens[n] += 1,
                    Progress::Session(n, Err(error)) => panic!("{n}: {error}"),
                    _ => {}
                }
            }
            got.push((tokens[25], tokens[28]));
        });
    }
    for (one, other) in got {
        assert!(one.abs_diff(other) <= 6, "{one} and {other}");
    }
}

/// A prompt is processed a few tokens at a time, even next to a client with one token in each batch.
#[test]
fn a_long_prompt_goes_through_in_chunks_beside_another_client() {
    let file = std::fs::read("../models/default.gguf").unwrap();
    let mut memory = crate::testing::Memory::new(64 << 20);
    let options = LoadOptions {
        context: 512,
        kv: KvType::Q8,
        sessions: 32,
        positions: Positions::Exactly(1440),
        max_prompt_bytes: 8192,
        cpu: crate::simd::Cpu::detect(),
        workers: 1,
    };
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), options);
    backend.load(&file).unwrap();
    let prompt = "Once upon a time there was a fox who did not like the rain. ".repeat(24);
    for other in [false, true] {
        backend.reset();
        let mut text = Text::new();
        if other {
            // Another client's single long request with a short prompt.
            let turn = of(1, Turn::only(7));
            backend
                .start(turn, Prompt::Text(b"Once upon a time"), &sampled(5, 480))
                .unwrap();
            for _ in 0..200 {
                backend.step(&mut text);
            }
        }
        let tokens = backend
            .start(
                of(0, Turn::only(3)),
                Prompt::Text(prompt.as_bytes()),
                &sampled(1, 2),
            )
            .unwrap();
        let mut others = 0_u64;
        loop {
            match backend.step(&mut text) {
                Progress::Session(3, Ok(Step::Token { .. })) => break,
                Progress::Session(7, Ok(Step::Token { .. })) => others += 1,
                Progress::Session(7, Ok(Step::Finished { .. })) => {
                    let turn = of(1, Turn::only(7));
                    backend
                        .start(
                            turn,
                            Prompt::Text(b"Once upon a time"),
                            &sampled(others, 480),
                        )
                        .unwrap();
                }
                Progress::Session(n, Err(error)) => panic!("{n}: {error}"),
                _ => {}
            }
        }
        assert!(
            others < u64::from(tokens) * 2 / 3,
            "{tokens} tokens of prompt, {others} of the other"
        );
    }
}

/// protocol.md: "Clients that have something to do get equally many through, give or take 16". 0 has many small
/// requests, 2 has one small request after the other. Whenever 2 is about to ask, 1 asks for a context, which is more
/// than a part, and cancels it as soon as it has its room: that costs two or three tokens each time.
#[test]
fn one_that_asks_for_a_context_and_takes_it_back_holds_nobody_up() {
    let mut got = Vec::new();
    for attacked in [false, true] {
        with_blocks(10, |backend| {
            let (mut text, mut tokens, mut of_third, mut seed) = (Text::new(), [0_u32; 3], 0, 0);
            let (mut began, mut worst, mut ended, mut requests) = (0, 0, 0, 0);
            for n in 0..10 {
                begin(backend, 0, n, blocks(1));
            }
            begin(backend, 2, 13, 8);
            for steps in 0..12_000 {
                seed += 1;
                match backend.step(&mut text) {
                    Progress::Session(n, Ok(Step::Token { .. })) => {
                        tokens[[0, 1, 2][n.saturating_sub(11).min(2)]] += 1;
                        of_third += u32::from(n == 13);
                        if attacked && n == 13 && of_third == 6 {
                            let params = sampled(seed, WHOLE);
                            let turn = of(1, Turn::only(12));
                            requests +=
                                u32::from(backend.start(turn, Prompt::Text(b"a"), &params).is_ok());
                        }
                    }
                    Progress::Session(n, Ok(Step::Finished { .. })) => {
                        let (client, most) = match n {
                            12 => continue,
                            13 => (2, 8),
                            _ => (0, blocks(1)),
                        };
                        if n == 13 {
                            (ended, of_third) = (ended + 1, 0);
                            worst = worst.max(steps - began);
                            began = steps;
                        }
                        let turn = of(client, Turn::only(n));
                        backend
                            .start(turn, Prompt::Text(b"a"), &sampled(seed, most))
                            .unwrap();
                    }
                    Progress::Session(n, Err(error)) => panic!("{n}: {error}"),
                    Progress::Idle => panic!("nobody goes on"),
                    _ => {}
                }
                if backend.is_running(12) {
                    backend.cancel(12);
                }
            }
            std::eprintln!(
                "attacked: {attacked}; tokens {tokens:?}; {ended} requests of 2, the slowest took {worst} steps; \
                 {requests} requests of 1"
            );
            got.push((tokens[2], tokens[0]));
        });
    }
    for (small, many) in got {
        assert!(2 * small >= many, "2 had {small} tokens, 0 had {many}");
    }
}
