//! Ctrl-C: no state of the shell blocks the console, whatever audit and inference do.

use super::harness::*;
use protocol::record::{Kind, Record};
use protocol::wire::client::{LogExtent, ModelEntry, Progress, Stage, Status};

/// Whether the output ends with a prompt.
fn has_prompt(output: &str) -> bool {
    // There is no colour before the terminal has answered.
    output.ends_with("llm> \x1b[0m") || output.ends_with("llm> ")
}

fn record(sequence: u64) -> Event<'static> {
    let mut record = Record::new(Kind::Admit);
    record.sequence = sequence;
    Event::Record { record, text: b"x" }
}

#[test]
fn ctrl_c_gives_the_prompt_back_whatever_was_asked_and_late_answers_are_ignored() {
    let log_end = Event::LogEnd(LogExtent::default());
    let status = Event::Status(Status::default());
    let listed = Event::Listed { count: 3 };
    let done = Event::Done;
    for (line, late) in [
        ("llmctl status", &status),
        ("llmctl load tiny", &done),
        ("llmctl models", &listed),
        ("llmctl sessions", &listed),
        ("llmctl close tale", &done),
        ("llmctl budget", &done),
        ("llmctl reset", &done),
        ("llmctl audit verify", &done),
        ("llmctl audit", &log_end),
        ("llmctl audit --json --last 9", &log_end),
        ("llmstats", &done),
        ("llmstats --json", &done),
        ("whoami", &done),
        ("login admin", &done),
        ("logout", &done),
    ] {
        let mut system = System::terminal();
        let number = system.request(line);
        system.output();
        system.type_in("typed ahead\r\x03");
        let output = system.output();
        assert!(output.starts_with("^C"), "{line}: {output:?}");
        assert!(has_prompt(&output), "{line}: {output:?}");
        assert_eq!(system.asked(), [(number, "Cancel".to_string())], "{line}");
        let model = Event::Model(ModelEntry {
            name: name("tiny"),
            ..ModelEntry::default()
        });
        system.say(number, &record(1));
        system.say(number, &model);
        system.say(number, late);
        system.fail(number, Failure::of(ErrorCode::NoSuchRequest), b"");
        assert_eq!(system.output(), "", "{line}");
        system.type_in("whoami\r");
        system.asked_for("WhoAmI");
    }
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_end_of_what_was_asked_to_stop() {
    for line in [
        "llminfer x",
        "llmctl audit --follow",
        "llmctl audit --follow --json",
        "llmstats --watch",
    ] {
        let mut system = System::terminal();
        let number = system.request(line);
        if line == "llminfer x" {
            system.token(number, b" abc");
        }
        system.type_in("\x03");
        assert_eq!(system.asked(), [(number, "Cancel".to_string())], "{line}");
        assert!(!has_prompt(&system.output()), "{line}: its end may come");
        // It does not.
        system.type_in("\x03");
        let output = system.output();
        assert!(
            output.contains("^C") && has_prompt(&output),
            "{line}: {output:?}"
        );
        system.token(number, b"late");
        system.say(number, &record(1));
        system.say(number, &Event::Stats(Stats::default()));
        system.say(number, &finished(FinishReason::Cancelled));
        assert_eq!(system.output(), "", "{line}");
        system.type_in("whoami\r");
        system.asked_for("WhoAmI");
    }
}

#[test]
fn rows_of_a_listing_that_are_in_the_ring_already_are_not_printed_after_ctrl_c() {
    let rows = |system: &mut System, number, rows: core::ops::Range<u64>| {
        let mut frame = Frame::new();
        for sequence in rows {
            record(sequence).write(number, &mut frame);
            system.audit.send(&frame).unwrap();
        }
    };
    let mut system = System::plain();
    let number = system.request("llmctl audit");
    rows(&mut system, number, 0..16);
    // It arrives while the first row is being printed.
    system.terminal.input.push_back(0x03);
    system.shell.on_signal(&mut system.terminal);
    let output = system.output();
    assert_eq!(output.lines().count(), 2, "a row and ^C: {output}");
    assert!(output.ends_with("^C\n"), "{output}");
    assert_eq!(system.asked_for("Cancel"), number);
    // A followed log ends with its last line, of text without more rows.
    let number = system.request("llmctl audit --follow");
    rows(&mut system, number, 0..15);
    system.terminal.input.push_back(0x03);
    system.shell.on_signal(&mut system.terminal);
    system.say(number, &Event::LogEnd(LogExtent::default()));
    let output = system.output();
    assert_eq!(output.lines().count(), 2, "a row and the end: {output}");
    assert!(output.ends_with("1 entry\n"), "{output}");
}

#[test]
fn ctrl_c_during_a_completion_drops_the_line() {
    let mut system = System::terminal();
    system.type_in("llmctl load t\t");
    let number = system.asked_for("Models");
    system.type_in("\x03");
    assert_eq!(system.asked_for("Cancel"), number);
    assert!(has_prompt(&system.output()));
    system.say(number, &Event::Listed { count: 0 });
    assert_eq!(system.output(), "");
    system.type_in("whoami\r");
    system.asked_for("WhoAmI");
}

#[test]
fn ctrl_c_ends_the_bar_of_a_load() {
    let mut system = System::terminal();
    let number = system.request("llmctl load tiny");
    let progress = Event::Progress(Progress {
        stage: Stage::Verifying,
        done: 1,
        total: 4,
    });
    system.say(number, &progress);
    system.output();
    system.type_in("\x03");
    let output = system.output();
    assert!(output.starts_with("\r\n^C: asked audit to stop the load"));
    assert!(has_prompt(&output), "{output:?}");
    system.say(number, &progress);
    assert_eq!(system.output(), "");
}

#[test]
fn ctrl_c_at_boot_says_what_is_waited_for_and_gives_a_prompt_as_soon_as_audit_answers() {
    let mut system = System::off(Mode::Terminal);
    let progress = Event::Progress(Progress {
        stage: Stage::Verifying,
        done: 1,
        total: 4,
    });
    system.say(0, &progress);
    system.output();
    system.type_in("\x03");
    let output = system.output();
    assert!(
        output.contains("the system is not ready: verifying the model, 25 %"),
        "{output:?}"
    );
    let number = system.asked_for("WhoAmI");
    system.say(number, &Event::User(user("guest", 0)));
    let output = system.output();
    assert!(output.contains("audit takes commands"), "{output:?}");
    assert!(has_prompt(&output), "{output:?}");
    system.type_in("llmctl status\r");
    let number = system.asked_for("Status");
    system.fail(number, Failure::of(ErrorCode::NoModel), b"");
    system.say(0, &progress);
    system.output();
    // The event that the system is ready comes late, and once.
    system.say(0, &Event::Ready(user("guest", 0)));
    let output = system.output();
    assert!(output.contains(READY_LINE), "{output:?}");
    assert!(has_prompt(&output), "{output:?}");
    system.say(0, &Event::Ready(user("admin", 0)));
    assert_eq!(system.output(), "");
}

#[test]
fn a_boot_that_says_nothing_is_told_as_often_as_it_is_asked_for_and_a_late_word_begins() {
    let mut system = System::off(Mode::Terminal);
    for _ in 0..40 {
        system.type_in("\x03");
        let output = system.output();
        assert!(
            output.contains("audit has not said anything yet"),
            "{output:?}"
        );
    }
    let asked = system.asked();
    assert!(asked.iter().all(|(_, asked)| asked == "WhoAmI"));
    assert!((1..=16).contains(&asked.len()), "{asked:?}");
    system.say(0, &Event::Ready(user("guest", 0)));
    assert!(has_prompt(&system.output()));
    for (number, _) in asked {
        system.say(number, &Event::User(user("guest", 0)));
    }
    assert_eq!(system.output(), "", "nobody waits for these");
    system.type_in("whoami\r");
    system.asked_for("WhoAmI");
}

#[test]
fn a_boot_without_a_policy_says_so_at_ctrl_c() {
    let mut system = System::off(Mode::Terminal);
    system.type_in("\x03");
    let number = system.asked_for("WhoAmI");
    system.fail(number, Failure::over(ErrorCode::BadPolicy, 4, 0), b"");
    let output = system.output();
    assert!(output.contains("error: the policy is invalid"));
    assert!(has_prompt(&output), "{output:?}");
}

#[test]
fn a_login_that_was_given_up_still_names_its_user_when_it_has_happened() {
    let mut system = System::terminal();
    system.begin_login("admin");
    let number = system.request("secret");
    system.type_in("\x03");
    assert_eq!(system.asked_for("Cancel"), number);
    let output = system.output();
    assert!(output.contains("^C: 'whoami' says who is logged in"));
    system.say(number, &Event::User(user("admin", 1)));
    let output = system.output();
    assert!(output.contains("now admin (reader"), "{output:?}");
    assert!(output.ends_with("admin@llm> \x1b[0m"), "{output:?}");
    system.say(number, &Event::User(user("guest", 0)));
    assert_eq!(system.output(), "", "once");
    // A failed login changes nothing.
    let number = system.request("login guest");
    system.type_in("\x03");
    system.asked_for("Cancel");
    system.output();
    system.fail(number, Failure::of(ErrorCode::PassphraseNeeded), b"");
    assert_eq!(system.output(), "", "no passphrase is asked for");
}

#[test]
fn a_line_can_be_edited_while_audit_does_not_read_and_runs_when_it_does() {
    let mut system = System::terminal();
    // Each uses two slots, one for itself and one for its cancel.
    for _ in 0..8 {
        system.type_in("llmctl status\r");
        system.type_in("\x03");
    }
    system.output();
    system.type_in("whoamj\x7fi");
    assert!(system.output().contains("whoamj"), "keys show");
    system.type_in("\r");
    assert_eq!(system.output(), "", "the line waits");
    system.type_in("\x03");
    let output = system.output();
    assert!(output.contains("audit has not read"), "{output:?}");
    assert!(has_prompt(&output));
    system.type_in("whoami\r");
    assert_eq!(system.asked().len(), 16);
    system.asked_for("WhoAmI");
}
