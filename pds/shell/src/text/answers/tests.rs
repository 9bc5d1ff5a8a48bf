use super::*;
use crate::text::tests::check_plurals;
use protocol::name::Name;
use protocol::wire::client::Stats;
use std::string::ToString as _;

#[test]
fn the_closing_line_has_a_rate_for_the_prompt_and_one_for_the_text_and_says_what_held_it() {
    let finished = Finished {
        reason: FinishReason::MaxTokens,
        prompt_tokens: 400,
        generated_tokens: 9,
        turn: 1,
        first_token_us: 2_000_000,
        total_us: 2_400_000,
        held_us: 0,
    };
    for (finished, text) in [
        (
            finished,
            "[9 tokens, 20.0 tokens/s, first after 2.00 s (prompt of 400 tokens, 200.0 tokens/s), --max-tokens reached]",
        ),
        (
            Finished {
                held_us: 1_230_000,
                prompt_tokens: 0,
                ..finished
            },
            "[9 tokens, 20.0 tokens/s, first after 2.00 s, held back by the egress cap for 1.23 s, --max-tokens reached]",
        ),
        (
            Finished {
                generated_tokens: 1,
                total_us: 2_000_000,
                prompt_tokens: 1,
                ..finished
            },
            "[1 token, 0.5 tokens/s, first after 2.00 s (prompt of 1 token, 0.5 tokens/s), --max-tokens reached]",
        ),
        (
            Finished {
                generated_tokens: 0,
                first_token_us: 0,
                reason: FinishReason::Cancelled,
                ..finished
            },
            "[0 tokens, 0.0 tokens/s, cancelled]",
        ),
    ] {
        assert_eq!(Closing(finished).to_string(), text);
    }
}

#[test]
fn one_of_anything_has_no_plural() {
    let hash = [1; 32];
    let mut stats = Stats {
        uptime_us: 1,
        prompt_tokens: 1,
        generated_tokens: 1,
        faults: 1,
        restarts: 1,
        timeouts: 1,
        violations: 1,
        format_breaches: 1,
        records: 1,
        evicted: 1,
        egress_bytes: 1,
        sessions: 1,
        ..Stats::default()
    };
    stats.budget.tokens = 1;
    check_plurals(&StatsText(&stats).to_string());
    let mut status = Status {
        name: Name::new("a").unwrap(),
        active: 1,
        waiting: 1,
        sessions: 1,
        adapters: 1,
        restarts: 1,
        ..Status::default()
    };
    (status.model.layers, status.model.parameters) = (1, 1);
    status.arena.weights = 1;
    check_plurals(&StatusText(&status).to_string());
    let entry = FormatEntry {
        states: 1,
        bytes: 1,
        sha256: hash,
        ..FormatEntry::default()
    };
    check_plurals(&FormatLine(&entry).to_string());
}

#[test]
fn a_turn_that_is_under_way_is_not_among_those_that_were_counted() {
    let session = SessionEntry {
        turns: 1,
        state: SessionState::Active,
        ..SessionEntry::default()
    };
    let line = SessionLine(&session).to_string();
    assert!(
        line.ends_with("turn 1 under way, 0 tokens in those before"),
        "{line}"
    );
    let idle = SessionEntry {
        tokens: 24,
        state: SessionState::Idle,
        ..session
    };
    let line = SessionLine(&idle).to_string();
    assert!(line.contains("1 turn, 24 tokens, idle"), "{line}");
}
