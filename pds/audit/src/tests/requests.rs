//! Requests for text: admission, metering, cancels, counters and records.

mod room;

use super::harness::*;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::CLIENT_COMMANDS;
use protocol::limits::{CONTROL_DEADLINE_US, MAX_PROMPT_BYTES, WATCHDOG_PERIOD_US};
use protocol::name::{FormatName, ModelName, SessionName};
use protocol::record::Kind;
use protocol::testing::completion;
use protocol::wire::client::Request;
use protocol::wire::engine::Report;
use protocol::wire::{FinishReason, InferParams, Sampling};
use sha2::{Digest, Sha256};
use std::vec;
use std::vec::Vec;

#[test]
fn a_request_is_admitted_metered_timed_and_written_down() {
    let mut system = System::timeless();
    system.infer(7, 5);
    let [
        Asked::Infer {
            number,
            fresh: true,
            keep: false,
            prompt,
            ..
        },
    ] = &system.asked()[..]
    else {
        panic!("no request")
    };
    assert_eq!(prompt, "once");
    let number = *number;
    assert_ne!(number, 7, "inference sees audit's number");
    assert_eq!(system.budget().reserved, 4 + 2 + 5);
    system.runtime.now += 200;
    system.token(number, "a");
    system.runtime.now += 300;
    system.token(number, "b");
    system.finished(number, FinishReason::EndOfText, 2);
    let told = system.told();
    assert_eq!(
        told[..2],
        [Told::Text(7, "a".into()), Told::Text(7, "b".into())]
    );
    let Told::Finished(7, finished) = &told[2] else {
        panic!("{told:?}")
    };
    assert_eq!((finished.prompt_tokens, finished.generated_tokens), (3, 2));
    assert_eq!((finished.first_token_us, finished.total_us), (200, 500));
    assert_eq!(finished.turn, 1);

    let budget = system.budget();
    assert_eq!((budget.used, budget.reserved), (3 + 2, 0));
    let stats = system.stats();
    assert_eq!((stats.admitted, stats.finished, stats.active), (1, 1, 0));
    assert_eq!((stats.prompt_tokens, stats.generated_tokens), (3, 2));
    assert_eq!((stats.latency_p50_us, stats.latency_max_us), (500, 500));
    assert_eq!((stats.busy_us, stats.recent_tokens), (500, 2));
    assert_eq!(stats.arena.weights, 100);
    assert!(stats.egress_bytes > 0);

    let admit = system.last_record(Kind::Admit);
    let text: Vec<u8> = system
        .audit
        .log()
        .iter()
        .find(|entry| entry.record == admit)
        .unwrap()
        .text
        .to_vec();
    let parts = [&1u32.to_le_bytes()[..], &4u32.to_le_bytes(), b"once"].concat();
    assert_eq!(text, parts);
    let finish = system.last_record(Kind::Finish);
    for record in [admit, finish] {
        assert_eq!(record.user.as_str(), "guest");
        assert_eq!(
            (record.request, record.session, record.turn),
            (number, 1, 1)
        );
        assert_eq!(record.params.max_tokens, 5);
        let hash: [u8; 32] = Sha256::digest(&parts).into();
        assert_eq!((record.prompt_sha256, record.prompt_bytes), (hash, 12));
        assert_eq!((record.segments, record.stops), (0, 0));
        assert_eq!(
            (record.format.is_empty(), record.format_sha256),
            (true, [0; 32])
        );
        let model: [u8; 32] = Sha256::digest(b"GGUF default").into();
        assert_eq!(
            (record.model_sha256, record.kv_type, record.numerics),
            (model, 3, 2)
        );
    }
    assert_eq!((finish.prompt_tokens, finish.generated_tokens), (3, 2));
    assert_eq!((finish.latency_us, finish.first_token_us), (500, 200));
    assert_eq!(finish.code, FinishReason::EndOfText as u16);
    let mut output = Sha256::new();
    for text in ["a", "b"] {
        output.update(1u32.to_le_bytes());
        output.update(1u32.to_le_bytes());
        output.update(text);
    }
    let output: [u8; 32] = output.finalize().into();
    assert_eq!(finish.output_sha256, output);
}

#[test]
fn a_policy_may_keep_hashes_of_prompts_alone() {
    let mut policy = policy();
    policy.keep_prompts = 0;
    let mut system = System::serving_with(&policy);
    system.serves(5);
    assert!(system.audit.log().iter().all(|entry| entry.text.is_empty()));
    assert_ne!(system.last_record(Kind::Admit).prompt_sha256, [0; 32]);
}

#[test]
fn what_exceeds_a_limit_is_refused_and_costs_nothing() {
    let mut system = System::timeless();
    let infer = |params, prompt| Request::Infer {
        params,
        session: SessionName::EMPTY,
        adapter: ModelName::EMPTY,
        format: FormatName::EMPTY,
        parts: completion(prompt),
    };
    let with = |change: fn(&mut InferParams)| {
        let mut params = InferParams::default();
        change(&mut params);
        params
    };
    let over = Failure::over;
    for (params, failure) in [
        (
            with(|p| p.max_tokens = 0),
            over(ErrorCode::MaxTokens, 0, 512),
        ),
        (
            with(|p| p.max_tokens = 513),
            over(ErrorCode::MaxTokens, 513, 512),
        ),
        (
            with(|p| p.sampling.temperature = 10_000_001),
            over(ErrorCode::Temperature, 10_000_001, 10_000_000),
        ),
        (
            with(|p| p.sampling.top_k = 1_000_001),
            over(ErrorCode::TopK, 1_000_001, 1_000_000),
        ),
        (
            with(|p| p.sampling.top_p = 1_000_001),
            over(ErrorCode::TopP, 1_000_001, 1_000_000),
        ),
        (
            with(|p| p.sampling.min_p = 1_000_001),
            over(ErrorCode::MinP, 1_000_001, 1_000_000),
        ),
        (
            with(|p| p.sampling.repeat_penalty = 0),
            over(ErrorCode::RepeatPenalty, 0, 10_000_000),
        ),
    ] {
        system.is_refused(&infer(params, b"once"), failure);
    }
    let fine = InferParams::default();
    system.is_refused(&infer(fine, b""), over(ErrorCode::EmptyPrompt, 1, 0));
    system.is_refused(&infer(fine, b"a\xff"), over(ErrorCode::PromptNotUtf8, 1, 0));
}

#[test]
fn the_longest_prompt_is_refused_if_the_budget_has_no_room_for_it() {
    let over = Failure::over;
    let infer = |parts| Request::Infer {
        params: InferParams::default(),
        session: SessionName::EMPTY,
        adapter: ModelName::EMPTY,
        format: FormatName::EMPTY,
        parts,
    };
    let longest = vec![b'x'; MAX_PROMPT_BYTES];
    let mut policy = policy();
    policy.users[0].budget_tokens = 8000;
    let mut system = System::serving_with(&policy);
    let most = 8192 + 2 + 128;
    system.is_refused(
        &infer(completion(&longest)),
        over(ErrorCode::QuotaExceeded, most, 8000),
    );
    system.serves(5);
    system.is_refused(
        &infer(completion(&longest)),
        over(ErrorCode::QuotaExceeded, most, 7996),
    );
}

#[test]
fn a_role_limits_the_tokens_of_a_request() {
    let mut policy = policy();
    policy.roles[0].max_tokens = 10;
    let mut system = System::serving_with(&policy);
    let request = Request::Infer {
        params: InferParams {
            max_tokens: 11,
            ..InferParams::default()
        },
        session: SessionName::EMPTY,
        adapter: ModelName::EMPTY,
        format: FormatName::EMPTY,
        parts: completion(b"once"),
    };
    system.is_refused(&request, Failure::over(ErrorCode::MaxTokens, 11, 10));
}

#[test]
fn a_number_that_is_in_use_is_refused_and_so_is_none() {
    let mut system = System::serving();
    system.infer(7, 5);
    system.admitted();
    for id in [7, 0] {
        system.infer(id, 5);
        let failure = Failure::over(ErrorCode::NoSuchRequest, u64::from(id), 0);
        assert_eq!(system.told(), [Told::Failed(id, failure)]);
        assert_eq!(system.asked(), []);
    }
    // This holds for a number that a question uses, too.
    system.ask(8, &Request::Status);
    system.ask(8, &Request::Models);
    let failure = Failure::over(ErrorCode::NoSuchRequest, 8, 0);
    assert_eq!(system.told(), [Told::Failed(8, failure)]);
}

#[test]
fn an_inference_that_does_not_read_makes_requests_wait_for_nothing() {
    let mut system = System::of_admin();
    system.runtime.takes_us = 0;
    for id in 1..=CLIENT_COMMANDS as u32 {
        system.infer(id, 5);
    }
    assert_eq!(system.told(), []);
    let budget = system.budget();
    system.infer(99, 5);
    let places = CLIENT_COMMANDS as u64;
    let failure = Failure::over(ErrorCode::Busy, places, places);
    assert_eq!(system.told(), [Told::Failed(99, failure)]);
    assert_eq!(system.budget(), budget, "the reservation is given back");
}

#[test]
fn a_cancel_goes_to_inference_and_its_end_comes_back() {
    let mut system = System::serving();
    system.infer(7, 5);
    let number = system.admitted();
    system.token(number, "a");
    system.ask(7, &Request::Cancel);
    // A second one changes nothing.
    system.ask(7, &Request::Cancel);
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    system.finished(number, FinishReason::Cancelled, 1);
    let told = system.told();
    assert!(matches!(&told[1], Told::Finished(7, f) if f.reason == FinishReason::Cancelled));
    let stats = system.stats();
    assert_eq!(
        (stats.cancelled, stats.finished, stats.latency_max_us),
        (1, 0, 0)
    );
    assert_eq!(system.budget().used, 4);
    assert_eq!(system.last_record(Kind::Cancel).request, number);
    let unknown = Failure::of(ErrorCode::NoSuchRequest);
    system.ask(7, &Request::Cancel);
    assert_eq!(system.told(), [Told::Failed(7, unknown)]);
    // Nobody can cancel another user's request.
    system.infer(8, 5);
    let number = system.admitted();
    system.log_in("admin", "secret");
    system.ask(8, &Request::Cancel);
    assert_eq!(system.told(), []);
    assert_eq!(system.asked(), []);
    system.finished(number, FinishReason::EndOfText, 0);
    system.told();
}

#[test]
fn a_question_that_is_cancelled_is_answered_at_once_and_its_answer_is_told_to_nobody() {
    let mut system = System::serving();
    system.ask(9, &Request::Status);
    let [Asked::Status(number)] = system.asked()[..] else {
        panic!("a question")
    };
    system.ask(9, &Request::Cancel);
    let cancelled = Failure::of(ErrorCode::Cancelled);
    assert_eq!(system.told(), [Told::Failed(9, cancelled)]);
    // Inference must answer it all the same.
    system.say(number, &Report::Holdings(holdings()));
    assert_eq!(system.told(), []);
    assert_eq!(system.stats().violations, 0);
    system.ask(9, &Request::Status);
    system.ask(9, &Request::Cancel);
    system.told();
    system.watch(CONTROL_DEADLINE_US + WATCHDOG_PERIOD_US);
    assert_eq!(system.runtime.restarts, 1);
    assert!(
        !system
            .told_at_last()
            .iter()
            .any(|t| matches!(t, Told::Failed(9, _)))
    );
}

#[test]
fn a_failure_in_inference_costs_nothing() {
    let mut system = System::serving();
    for code in [
        ErrorCode::PromptTokens,
        ErrorCode::NonFinite,
        ErrorCode::CacheFull,
    ] {
        system.infer(7, 5);
        let number = system.admitted();
        if code == ErrorCode::NonFinite {
            system.token(number, "a");
        }
        system.fails(number, Failure::over(code, 9, 8));
        let told = system.told();
        let failed = Told::Failed(7, Failure::over(code, 9, 8));
        assert_eq!(told.last(), Some(&failed));
        let budget = system.budget();
        assert_eq!((budget.used, budget.reserved), (0, 0));
        let record = system.last_record(Kind::Fail);
        assert_eq!(record.code, code as u16);
        // Text that was shown is on record; if none was shown, nothing is.
        let shown = code == ErrorCode::NonFinite;
        assert_eq!(record.output_sha256 != [0; 32], shown);
    }
    assert_eq!((system.stats().failed, system.stats().sessions), (3, 0));
    system.serves(8);
}

#[test]
fn a_request_says_its_sampler_to_inference_and_to_the_log() {
    let mut system = System::serving();
    let sampling = Sampling {
        seed: 9,
        temperature: 0,
        ..Sampling::default()
    };
    let params = InferParams {
        sampling,
        ..InferParams::default()
    };
    let session = SessionName::EMPTY;
    let prompt = b"x";
    system.ask(
        1,
        &Request::Infer {
            params,
            session,
            adapter: ModelName::EMPTY,
            format: FormatName::EMPTY,
            parts: completion(prompt),
        },
    );
    assert_eq!(system.last_record(Kind::Admit).params, params);
}
