//! Requests and their answers.

use super::harness::*;
use protocol::record::{Kind, Record};
use protocol::region::ReadWords as _;
use protocol::wire::client::{
    Budget, LogExtent, ModelEntry, Progress, Session, SessionState, Signature, Stage, Status,
};
use protocol::wire::{Fault, FaultKind, ModelInfo};

#[test]
fn a_generation_is_streamed_and_closed() {
    let mut system = System::plain();
    let number = system.request("llminfer \"Once upon a time\" --max-tokens 48");
    system.token(number, b" there was");
    assert_eq!(system.output(), " there was");
    system.token(number, b" a fox.\n");
    system.token(number + 1, b"of another request");
    system.say(number, &finished(FinishReason::EndOfText));
    assert_eq!(
        system.output(),
        " a fox.\n[48 tokens, 12.0 tokens/s, first after 0.21 s, end of text]\n"
    );
}

#[test]
fn ctrl_c_cancels_the_generation_and_not_the_system() {
    let mut system = System::boot(Mode::Terminal);
    system.type_in(b"llminfer x\r");
    let number = system.asked()[0].0;
    system.token(number, b" abc");
    system.type_in(b"typed ahead\r\x03");
    assert_eq!(system.asked(), [(number, "Cancel".to_string())]);
    system.say(number, &finished(FinishReason::Cancelled));
    let output = system.output();
    assert!(
        output.ends_with(
            " abc\r\n\x1b[2m[48 tokens, 12.0 tokens/s, first after 0.21 s, cancelled]\x1b[0m\r\n\x1b[1mllm> \x1b[0m"
        )
    );
    system.type_in(b"abc\x03");
    assert!(system.output().ends_with("^C\r\n\x1b[1mllm> \x1b[0m"));
    system.type_in(b"llmstats\r");
    assert_eq!(system.asked().len(), 1);
    assert!(!system.terminal.halted);
}

#[test]
fn a_script_is_run_line_by_line_and_nothing_is_lost() {
    let mut system = System::plain();
    let lines = 3000;
    let script: String = (0..lines)
        .map(|i| format!("llminfer \"prompt {i}\"\n"))
        .collect();
    system.terminal.input.extend(script.bytes());
    for i in 0..lines {
        system.shell.on_input(&mut system.terminal);
        let asked = system.asked();
        assert_eq!(asked.len(), 1, "one at a time");
        assert_eq!(asked[0].1, format!("128 \"\" Ok(\"prompt {i}\")"));
        system.say(asked[0].0, &finished(FinishReason::MaxTokens));
    }
    assert!(system.terminal.input.is_empty());
}

#[test]
fn the_end_of_input_ends_the_session_after_the_commands_before_it() {
    let mut system = System::plain();
    system.type_in(b"llminfer x\nhelp\n\x04");
    let number = system.asked()[0].0;
    assert!(!system.terminal.halted);
    system.say(number, &finished(FinishReason::EndOfText));
    assert!(system.terminal.halted);
    assert!(system.output().contains("llmctl"));

    let mut system = System::plain();
    system.type_in(b"llmstats\x04");
    let number = system.asked()[0].0;
    system.say(number, &Event::Stats(Stats::default()));
    assert!(system.terminal.halted, "also after a line without its end");

    let mut system = System::plain();
    system.type_in(b"exit\nhelp\n");
    assert!(system.terminal.halted && system.asked().is_empty());
}

#[test]
fn nothing_is_run_before_the_system_is_ready() {
    let mut system = System::off(Mode::Plain);
    system.type_in(b"llmstats\n");
    assert!(system.asked().is_empty());
    let failure = Failure::of(ErrorCode::NoSuchModel);
    system.say(
        0,
        &Event::Failed {
            failure,
            detail: b"default",
        },
    );
    system.say(0, &Event::Ready(user("guest", 0)));
    assert_eq!(system.asked().len(), 1);
    assert!(
        system
            .output()
            .starts_with("audit: no model 'default' in the store")
    );
}

#[test]
fn every_bad_input_gets_one_line_that_names_the_value_and_the_limit() {
    let long = format!("llminfer \"{}\"", "x".repeat(8193));
    let longest = "x".repeat(9000);
    let name = format!("llmctl load {}", "n".repeat(65));
    for (line, expected) in [
        (
            "llminfre x",
            "error: no command 'llminfre'; did you mean 'llminfer'?\n",
        ),
        (
            "llminfer x --tmperature 1",
            "error: no option of llminfer '--tmperature'; did you mean '--temperature'?\n",
        ),
        ("llminfer \"Once", "error: the quote \" is not closed\n"),
        ("llminfer \"\"", "error: the prompt is empty\n"),
        (
            "llminfer x --temperature hot",
            "error: --temperature 'hot' is not a decimal number such as 0.8\n",
        ),
        (
            &long,
            "error: the prompt has 8193 bytes, at most 8192 are allowed\n",
        ),
        (
            &longest,
            "error: the line has 9000 bytes, at most 8704 are allowed\n",
        ),
        (&name, "error: the name has 65 bytes, 1 to 64 are allowed\n"),
    ] {
        let mut system = System::plain();
        system.type_in(format!("{line}\n").as_bytes());
        assert_eq!(system.output(), expected);
        assert_eq!(system.asked(), []);
        system.request("llmstats");
    }
}

#[test]
fn what_audit_refuses_is_told_in_words() {
    for (failure, expected) in [
        (
            Failure::over(ErrorCode::MaxTokens, 513, 512),
            "--max-tokens 513 is out of range, 1 to 512 are allowed",
        ),
        (
            Failure::over(ErrorCode::Temperature, 10_500_000, 10_000_000),
            "--temperature 10.5 is out of range, 0 to 10 are allowed",
        ),
        (
            Failure::over(ErrorCode::PromptTokens, 600, 511),
            "the prompt has 600 tokens, the model's context has room for 511",
        ),
        (
            Failure::over(ErrorCode::PromptNotUtf8, 3, 0),
            "the prompt is not UTF-8 at byte 3",
        ),
        (
            Failure::of(ErrorCode::NoModel),
            "no model is loaded; see 'llmctl models', then 'llmctl load NAME'",
        ),
        (
            Failure::over(ErrorCode::Deadline, 30_120_000, 30_000_000),
            "it took 30.12 s, 30.00 s are allowed; ask for fewer tokens",
        ),
    ] {
        let mut system = System::plain();
        let number = system.request("llminfer x");
        system.say(
            number,
            &Event::Failed {
                failure,
                detail: b"",
            },
        );
        assert_eq!(system.output(), format!("error: {expected}\n"));
    }
    for code in ErrorCode::ALL {
        let mut system = System::plain();
        let number = system.request("llmctl load x");
        system.say(
            number,
            &Event::Failed {
                failure: Failure::of(*code),
                detail: b"\x1b[2Jd\n",
            },
        );
        let output = system.output();
        assert!(
            output.starts_with("error: ") && output.len() > 12,
            "{code:?}: {output}"
        );
        assert_eq!(output.matches('\n').count(), 1, "one line");
        assert!(!output.contains('\u{1b}'));
    }
}

#[test]
fn faults_and_recoveries_are_told_at_once() {
    let mut system = System::plain();
    let number = system.request("llminfer x");
    system.token(number, b" half a");
    let fault = Fault {
        kind: FaultKind::Memory,
        ip: 0x20_1000,
        address: 0x1200_0000,
    };
    system.say(0, &Event::Fault { fault, count: 1 });
    let failure = Failure::of(ErrorCode::InferenceFault);
    system.say(
        number,
        &Event::Failed {
            failure,
            detail: b"",
        },
    );
    system.say(
        0,
        &Event::Recovered {
            after_us: 120_000,
            restarts: 1,
        },
    );
    assert_eq!(
        system.output(),
        " half a\naudit: inference died of a memory fault at address 0x12000000 (instruction \
         0x201000)\nerror: inference died while it had the request\naudit: \
         inference serves again after 0.12 s (restart 1)\n"
    );
}

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
        "* default (1234 bytes, signature good)\n  tiny (1234 bytes, not signed)\n2 models in the store; * is loaded\n"
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
        "3 of them wait",
        "77 of 0 positions",
        "3000000 bytes",
        "8388608 bytes (8192 KiB)",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    let number = system.request("llmctl sessions");
    let session = Session {
        name: name("tale"),
        user: name("guest"),
        turns: 3,
        tokens: 120,
        idle_us: 61_000_000,
        state: SessionState::Idle,
        ..Session::default()
    };
    system.say(number, &Event::Session(session));
    system.say(number, &Event::Listed { count: 1 });
    assert_eq!(
        system.output(),
        "tale  guest  3 turns, 120 tokens, idle for 1 min 1 s\n1 sessions\n"
    );
    let number = system.request("llmctl close tale");
    system.fail(number, Failure::of(ErrorCode::NoSuchSession), b"");
    assert_eq!(
        system.output(),
        "error: you have no session 'tale'; see 'llmctl sessions'\n"
    );
    let number = system.request("llmctl close tale");
    system.say(number, &Event::Done);
    let number = system.request("llmctl reset");
    system.say(number, &Event::Done);
    assert_eq!(system.output(), "closed tale\ndone\n");
    system.type_in("llmfinetune data\n");
    assert_eq!(
        system.output(),
        "error: this build has no fine-tuning; see 'help'\n"
    );
}

#[test]
fn what_was_named_is_named_in_the_refusal() {
    for (line, code, expected) in [
        (
            "llmctl load big",
            ErrorCode::NoSuchModel,
            "no model 'big' in the store; see 'llmctl models'",
        ),
        (
            "llmctl close tale",
            ErrorCode::NoSuchSession,
            "you have no session 'tale'; see 'llmctl sessions'",
        ),
        (
            "llmctl budget bob",
            ErrorCode::NoSuchUser,
            "the policy has no user 'bob'",
        ),
    ] {
        let mut system = System::plain();
        let number = system.request(line);
        system.fail(number, Failure::of(code), b"");
        assert_eq!(system.output(), format!("error: {expected}\n"));
    }
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
        "error: 131 tokens may be needed, 12 are left of your budget in this period; see 'llmctl budget'\n\
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
    stats.refused_by_code[ErrorCode::QuotaExceeded as usize] = 4;
    system.say(number, &Event::Stats(stats));
    let output = system.output();
    for part in [
        "1 faults, 1 restarts",
        "4 refused: quota-exceeded",
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
fn counters_are_watched_until_ctrl_c() {
    let stats = Event::Stats(Stats::default());
    let mut system = System::plain();
    let number = system.request("llmstats --watch");
    system.say(number, &stats);
    system.say(number, &stats);
    let output = system.output();
    assert_eq!(output.matches("uptime").count(), 2);
    assert!(!output.contains('\x1b') && output.contains("\n\nuptime"));
    system.type_in("\x03");
    assert_eq!(system.asked_for("Cancel"), number);
    system.say(number, &Event::Done);
    system.request("whoami");

    let mut system = System::terminal();
    let number = system.request("llmstats --watch");
    system.output();
    system.say(number, &stats);
    assert!(system.output().starts_with("\x1b[H\x1b[Juptime"));
    system.type_in("\x03");
    assert_eq!(system.asked_for("Cancel"), number);
    system.say(number, &stats);
    assert_eq!(
        system.output(),
        "\x1b[1mllm> \x1b[0m",
        "what comes after is the last"
    );

    let mut system = System::plain();
    let number = system.request("llmstats --watch --json");
    system.say(number, &stats);
    system.say(number, &stats);
    for line in system.output().lines() {
        let _: serde_json::Value = serde_json::from_str(line).unwrap();
    }
    system.type_in("\x03\x03");
    assert_eq!(system.asked_for("Cancel"), number, "once");
    system.request("whoami");
}

fn record(sequence: u64, kind: Kind) -> Record {
    let mut record = Record::new(kind);
    record.sequence = sequence;
    record.previous = [sequence as u8; 32];
    record.user = name("guest");
    record.text_bytes = 5;
    record
}

fn log_end(system: &mut System, number: u32, next: u64) {
    system.say(
        number,
        &Event::LogEnd(LogExtent {
            first: 3,
            next,
            anchor: [1; 32],
            head: [9; 32],
        }),
    );
}

fn say_record(system: &mut System, number: u32, sequence: u64) {
    let record = record(sequence, Kind::Admit);
    let text = b"a\n\x1bb";
    system.say(number, &Event::Record { record, text });
}

#[test]
fn the_log_is_read_as_lines_and_as_an_export_that_parses() {
    let mut system = System::plain();
    system.type_in("llmctl audit --last 2 --user guest\n");
    let number = system.asked_for("Log(LogQuery { last: 2, user: \"guest\", follow: false })");
    say_record(&mut system, number, 3);
    say_record(&mut system, number, 4);
    log_end(&mut system, number, 5);
    let output = system.output();
    assert_eq!(output.lines().count(), 3, "{output}");
    assert!(output.starts_with("#3 ") && output.ends_with("\n2 entries\n"));

    for (sequences, filtered) in [(&[3, 4][..], false), (&[3, 5], true), (&[3], true)] {
        let number = system.request("llmctl audit --json");
        for sequence in sequences {
            say_record(&mut system, number, *sequence);
        }
        log_end(&mut system, number, sequences.last().unwrap().max(&4) + 1);
        let output = system.output();
        let lines: Vec<serde_json::Value> = output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let [opening, entries @ .., ending] = &lines[..] else {
            panic!("{output}")
        };
        assert_eq!(
            (&opening["first"], &opening["anchor"]),
            (&3.into(), &"03".repeat(32).into())
        );
        assert_eq!(
            (entries.len(), &entries[0]["text"]),
            (sequences.len(), &"a\n\u{1b}b".into())
        );
        assert_eq!(
            (&ending["entries"], &ending["filtered"]),
            (&entries.len().into(), &filtered.into())
        );
        assert_eq!(ending["head"], "09".repeat(32));
    }
    let number = system.request("llmctl audit --json");
    log_end(&mut system, number, 3);
    let output = system.output();
    assert!(
        output.contains(&"01".repeat(32)) && output.lines().count() == 2,
        "{output}"
    );

    let number = system.request("llmctl audit");
    system.fail(number, Failure::over(ErrorCode::NotPermitted, 16, 0), b"");
    assert!(system.output().contains("'log'"));
}

#[test]
fn the_log_is_followed_until_ctrl_c() {
    let mut system = System::plain();
    let number = system.request("llmctl audit --follow --json");
    say_record(&mut system, number, 3);
    system.type_in("\x03");
    assert_eq!(system.asked_for("Cancel"), number);
    say_record(&mut system, number, 4);
    log_end(&mut system, number, 5);
    let output = system.output();
    assert_eq!(
        output.lines().count(),
        4,
        "opening, entries, ending: {output}"
    );
    let number = system.request("llmctl audit --follow");
    system.type_in("\x03\x03");
    assert_eq!(system.asked_for("Cancel"), number);
    say_record(&mut system, number, 5);
    assert_eq!(system.output(), "^C\n", "twice: nobody waits for it");
    system.request("whoami");
}

#[test]
fn the_chain_of_the_log_is_said_to_be_whole_or_broken() {
    let mut system = System::plain();
    let extent = LogExtent {
        first: 2,
        next: 9,
        ..LogExtent::default()
    };
    for (broken_at, part) in [
        (
            0,
            "entries 2 to 8 are unbroken; older ones went to make room",
        ),
        (5, "error: the log's chain is BROKEN at entry 5"),
    ] {
        let number = system.request("llmctl audit verify");
        system.say(number, &Event::LogVerified { extent, broken_at });
        let output = system.output();
        assert!(output.starts_with(part), "{output}");
    }
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
            "{}{}\r\n{}\r\n\x1b[31merror: the model 'tiny' has no signature",
            bar("verifying", 0, 0),
            bar("verifying", 12, 50),
            bar("loading", 25, 100)
        )),
        "{output:?}"
    );
}

#[test]
fn who_logs_in_types_a_passphrase_that_nobody_sees() {
    for mode in [Mode::Terminal, Mode::Plain] {
        let mut system = System::boot(mode);
        system.output();
        system.type_in("login admin\n");
        let number = system.asked_for("Login admin None");
        system.type_in("sec\x7fcret\n");
        assert_eq!(system.asked(), []);
        system.fail(number, Failure::of(ErrorCode::PassphraseNeeded), b"");
        let number = system.asked_for("Login admin Some(\"secret\")");
        system.say(number, &Event::User(user("admin", 1)));
        let output = system.output();
        assert!(
            output.contains("logged in as admin (reader; may infer)"),
            "{output}"
        );
        assert!(
            !output.contains("sec") && !output.contains("cret"),
            "{output}"
        );
        let frame = &system.shell.session_for_tests().buffers.outgoing;
        assert!(
            frame.clone().begin(0, 0).iter().all(|byte| *byte == 0),
            "nor stays it behind"
        );
        if mode == Mode::Terminal {
            assert!(output.contains("passphrase: \r\n") && output.ends_with("admin@llm> \x1b[0m"));
            system.type_in("\x1b[A\x1b[A\x1b[A");
            assert!(
                !system.output().contains("secret"),
                "not in the history either"
            );
            system.type_in("\x15");
        }
        // Who has none is logged in by the one message.
        system.type_in("login guest\n");
        let number = system.asked_for("Login guest None");
        system.say(number, &Event::User(user("guest", 0)));
        system.type_in("login nobody\nx\nwhoami\n");
        let number = system.asked_for("Login nobody None");
        system.fail(number, Failure::of(ErrorCode::PassphraseNeeded), b"");
        let number = system.asked_for("Login nobody Some(\"x\")");
        let failed = Failure::over(ErrorCode::LoginFailed, 2_000_000, 0);
        system.fail(number, failed, b"");
        system.asked_for("WhoAmI");
        assert!(system.output().contains("another try is possible in 2 s"));
    }
}

#[test]
fn a_passphrase_is_wiped_from_the_ring_when_audit_has_read_it() {
    let mut system = System::terminal();
    system.log_in("admin");
    let bytes: Vec<u8> = (0..system.region.words())
        .flat_map(|word| system.region.load(word).to_le_bytes())
        .collect();
    assert!(!bytes.windows(6).any(|window| window == b"secret"));
}

#[test]
fn a_login_is_one_message_before_the_passphrase() {
    let mut system = System::plain();
    system.type_in("login guest\n");
    let number = system.asked_for("Login guest None");
    system.say(number, &Event::User(user("guest", 0)));
    assert_eq!(system.output(), "logged in as guest (reader; may infer)\n");
    system.type_in("login admin\n");
    let number = system.asked_for("Login admin None");
    // Too soon, or no policy: there is nothing to type.
    system.fail(number, Failure::over(ErrorCode::LoginDelayed, 5, 0), b"");
    assert!(system.output().starts_with("error: too soon"));
    system.request("whoami");
}

#[test]
fn a_passphrase_can_be_given_up_and_cannot_be_too_long() {
    let mut system = System::terminal();
    system.log_in("admin");
    system.begin_login("admin");
    system.type_in("secret\x03");
    assert_eq!(system.asked(), []);
    assert!(system.output().ends_with("^C\r\n\x1b[1madmin@llm> \x1b[0m"));
    system.begin_login("admin");
    system.type_in("x".repeat(129) + "\r");
    assert_eq!(system.asked(), []);
    assert!(
        system
            .output()
            .contains("the passphrase has 129 bytes, at most 128")
    );
    system.begin_login("admin");
    system.type_in("secret\x04");
    let number = system.asked_for("Login admin Some(\"secret\")");
    system.say(number, &Event::User(user("admin", 1)));
    assert!(system.terminal.halted);
}

#[test]
fn a_passphrase_on_the_line_of_the_command_is_neither_run_nor_kept() {
    let mut system = System::terminal();
    for line in [
        "login admin secret",
        "  login admin \"secret",
        "logn admin secret",
    ] {
        system.type_in(format!("{line}\r"));
        assert_eq!(system.asked(), []);
    }
    system.output();
    system.type_in("\x1b[A");
    assert!(!system.output().contains("secret"));
    let mut system = System::plain();
    system.type_in("login admin secret\n");
    assert_eq!(
        system.output(),
        "error: login takes a user's name and nothing else; the passphrase belongs on the next line\n"
    );
}
