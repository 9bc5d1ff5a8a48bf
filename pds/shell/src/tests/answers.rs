//! Answers to questions.

use super::harness::*;
use protocol::wire::ModelInfo;
use protocol::wire::client::{
    Budget, ModelEntry, Progress, Refusals, SessionEntry, SessionState, Signature, Stage, Status,
};

#[test]
fn answers_are_shown() {
    let mut system = System::plain();
    let number = system.request("llmctl models");
    for (model, loaded, signature) in [
        ("default", true, Signature::Good),
        ("tiny", false, Signature::Missing),
    ] {
        system.say(
            number,
            &Event::Model(ModelEntry {
                name: name(model),
                file_bytes: 1234,
                loaded,
                signature,
            }),
        );
    }
    system.say(number, &Event::Listed { count: 2 });
    assert_eq!(
        system.output(),
        "* default (1234 bytes, signature good)\n  tiny (1234 bytes, not signed)\n2 models; * is loaded\n"
    );
    let number = system.request("llmctl load tiny");
    let info = ModelInfo {
        parameters: 278_976,
        sha256: [0xAB; 32],
        ..ModelInfo::default()
    };
    let loaded = Event::Loaded {
        info,
        name: name("tiny"),
    };
    system.say(number, &loaded);
    assert!(
        system
            .output()
            .starts_with("loaded tiny: 278976 parameters")
    );
    let number = system.request("llmctl status");
    let mut status = Status {
        name: name("tiny"),
        model: info,
        restarts: 2,
        waiting: 3,
        kv_free: 77,
        ..Status::default()
    };
    status.arena.weights = 3_000_000;
    status.arena.capacity = 8 << 20;
    system.say(number, &Event::Status(status));
    let output = system.output();
    for part in [
        "model        tiny",
        "restarts     2",
        "3 of them waiting for room",
        "77 of 0 positions",
        "3000000 bytes",
        "8388608 bytes (8192 KiB)",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    let number = system.request("llmctl sessions");
    let session = SessionEntry {
        name: name("tale"),
        user: name("guest"),
        turns: 3,
        tokens: 120,
        idle_us: 61_000_000,
        state: SessionState::Idle,
        ..SessionEntry::default()
    };
    system.say(number, &Event::Session(session));
    system.say(number, &Event::Listed { count: 1 });
    assert_eq!(
        system.output(),
        "tale  guest  3 turns, 120 tokens, idle for 1 min 1 s\n1 session\n"
    );
    let number = system.request("llmctl close tale");
    system.fail(number, Failure::of(ErrorCode::NoSuchSession), b"");
    assert_eq!(
        system.output(),
        "error: you have no session 'tale'; see 'llmctl sessions'\n"
    );
    let number = system.request("llmctl close tale");
    system.say(number, &Event::Done);
    assert_eq!(system.output(), "closed tale\n");
}

#[test]
fn a_reset_says_whether_there_was_anything_to_start_again() {
    for (stopped, expected) in [
        (1, "inference is started again\n"),
        (
            0,
            "inference was not stopped, so nothing is started; restarts are counted from 0 again\n",
        ),
    ] {
        let mut system = System::plain();
        system.type_in("llmctl reset\n");
        let number = system.asked_for("Stats { watch: false }");
        let stats = Stats {
            stopped,
            ..Stats::default()
        };
        system.say(number, &Event::Stats(stats));
        let number = system.asked_for("Reset");
        system.say(number, &Event::Done);
        assert_eq!(system.output(), expected);
    }
    // Audit itself refuses users without the permission, and records that.
    let mut system = System::plain();
    let number = system.request("llmctl reset");
    system.say(number, &Event::Stats(Stats::default()));
    let number = system.asked_for("Reset");
    system.fail(number, Failure::of(ErrorCode::NotPermitted), b"");
    assert!(
        system
            .output()
            .starts_with("error: you need the permission")
    );
}

#[test]
fn a_budget_is_shown_and_changed_also_by_half() {
    let mut system = System::plain();
    let budget = Budget {
        user: name("guest"),
        tokens: 1000,
        used: 300,
        reserved: 50,
        period_us: 3_600_000_000,
        left_us: 90_000_000,
    };
    let number = system.request("llmctl budget");
    system.say(number, &Event::Budget(budget));
    assert_eq!(
        system.output(),
        "guest: 650 of 1000 tokens left (300 used, 50 reserved); the period of 1 h ends in 1 min 30 s\n"
    );
    system.type_in("llmctl budget guest --tokens 9 --period 2h\n");
    let number = system.request("llmctl budget guest --tokens 9 --period 2h");
    system.fail(number, Failure::over(ErrorCode::NotPermitted, 8, 0), b"");
    assert_eq!(
        system.output(),
        "error: you need the permission 'budget', which the role of 'guest' does not have; log in as a user who has it \
         with 'login USER'\n"
    );
}

#[test]
fn a_change_of_a_budget_is_one_message_that_names_what_it_changes() {
    let mut system = System::plain();
    for (options, change) in [
        ("", "tokens: None, period_us: None"),
        (" --tokens 5", "tokens: Some(5), period_us: None"),
        (" --period 2h", "tokens: None, period_us: Some(7200000000)"),
        (
            " --period 2h --tokens 5",
            "tokens: Some(5), period_us: Some(7200000000)",
        ),
    ] {
        system.type_in(format!("llmctl budget guest{options}\n"));
        let number = system.asked_for(&format!(
            "Budget {{ user: \"guest\", change: BudgetChange {{ {change} }} }}"
        ));
        let budget = Budget {
            user: name("guest"),
            ..Budget::default()
        };
        system.say(number, &Event::Budget(budget));
        assert!(system.output().starts_with("guest: "));
        assert_eq!(system.asked(), [], "the answer is not asked for twice");
    }
}

#[test]
fn who_has_used_up_a_budget_is_told_when_the_next_one_begins() {
    let mut system = System::plain();
    let number = system.request("llminfer x");
    system.fail(
        number,
        Failure::over(ErrorCode::QuotaExceeded, 131, 12),
        b"",
    );
    let number = system
        .asked_for("Budget { user: \"\", change: BudgetChange { tokens: None, period_us: None } }");
    let budget = Budget {
        user: name("guest"),
        tokens: 100,
        used: 88,
        period_us: 3_600_000_000,
        left_us: 1_500_000_000,
        ..Budget::default()
    };
    system.say(number, &Event::Budget(budget));
    assert_eq!(
        system.output(),
        "error: 131 tokens may be needed, your budget has 12 left in this period; see 'llmctl budget'\n\
         guest: 12 of 100 tokens left (88 used, 0 reserved); the period of 1 h ends in 25 min\n"
    );
    system.request("whoami");
}

#[test]
fn counters_are_shown_as_text_and_as_json_that_parses() {
    let mut system = System::plain();
    let number = system.request("llmstats");
    let mut stats = Stats {
        faults: 1,
        restarts: 1,
        recent_tokens: 30,
        recent_us: 2_000_000,
        latency_p99_us: 1_230_000,
        ..Stats::default()
    };
    stats.refused = 7;
    stats.refusals[0] = Refusals {
        code: Some(ErrorCode::QuotaExceeded),
        count: 4,
    };
    system.say(number, &Event::Stats(stats));
    let output = system.output();
    for part in [
        "1 fault, 1 restart",
        "4 refused: quota-exceeded",
        "3 refused for other reasons",
        "15.0 tokens/s now",
        "p99 1.23 s",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    let number = system.request("llmstats --json");
    system.say(number, &Event::Stats(stats));
    let json: serde_json::Value = serde_json::from_str(&system.output()).unwrap();
    assert_eq!(json["faults"], 1);
}

#[test]
fn progress_is_a_bar_on_a_terminal_and_a_line_for_each_stage_on_a_pipe() {
    let steps = [
        (Stage::Verifying, 0, 1000),
        (Stage::Verifying, 500, 1000),
        (Stage::Verifying, 501, 1000),
        (Stage::Loading, 7, 0),
    ];
    let progress = |system: &mut System, number| {
        for (stage, done, total) in steps {
            system.say(number, &Event::Progress(Progress { stage, done, total }));
        }
    };
    let mut system = System::off(Mode::Plain);
    progress(&mut system, 0);
    system.say(0, &Event::Ready(user("guest", 0)));
    assert_eq!(
        system.output(),
        format!("verifying the model, 1000 bytes\nloading the model, 0 bytes\n{READY_LINE}\n")
    );
    progress(&mut system, 0);
    assert_eq!(system.output(), "", "nobody waits for this one");

    let mut system = System::terminal();
    let number = system.request("llmctl load tiny");
    system.output();
    progress(&mut system, number);
    system.fail(number, Failure::of(ErrorCode::Unsigned), b"tiny");
    let output = system.output();
    let bar = |text: &str, hashes: usize, percent| {
        format!(
            "\r{text:<9} [{}{}] {percent:>3} %",
            "#".repeat(hashes),
            "-".repeat(25 - hashes)
        )
    };
    assert!(
        output.starts_with(&format!(
            "{}{}{}\r\n{}\r\n\x1b[31merror: the file 'tiny' has no signature",
            bar("verifying", 0, 0),
            bar("verifying", 12, 50),
            bar("verifying", 25, 100),
            bar("loading", 25, 100)
        )),
        "{output:?}"
    );
}
