//! Requests for text, scripts, and notices.

use super::harness::*;
use protocol::wire::{Fault, FaultKind};

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
        " a fox.\n[48 tokens, 12.4 tokens/s, first after 0.21 s (prompt of 5 tokens, 23.8 tokens/s), end of text]\n"
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
    // Rows end between words.
    let output = system.output().replace("\r\n  ", " ");
    assert!(
        output.ends_with(
            " abc\r\n\x1b[2m[48 tokens, 12.4 tokens/s, first after 0.21 s (prompt of 5 tokens, 23.8 tokens/s), cancelled]\x1b[0m\r\n\x1b[1mllm> \x1b[0m"
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
        assert_eq!(asked[0].1, format!("128 \"\" [(Prompt, \"prompt {i}\")]"));
        system.say(asked[0].0, &finished(FinishReason::MaxTokens));
    }
    assert!(system.terminal.input.is_empty());
}

#[test]
fn the_end_of_input_is_answered_after_the_commands_before_it_and_halts_nothing() {
    let mut system = System::plain();
    system.type_in(b"llminfer x\nhelp\n\x04");
    let number = system.asked()[0].0;
    assert_eq!(system.terminal.input_done, 0);
    system.say(number, &finished(FinishReason::EndOfText));
    assert_eq!(system.terminal.input_done, 1);
    assert!(system.output().contains("llmctl"));

    let mut system = System::plain();
    system.type_in(b"llmstats\x04");
    let number = system.asked()[0].0;
    system.say(number, &Event::Stats(Stats::default()));
    let done = system.terminal.input_done;
    assert_eq!(done, 1, "also after a line without its end");

    // Whatever has to end first is ended before that.
    let mut system = System::plain();
    system.log_in("admin");
    system.type_in(b"\x04");
    let number = system.asked_for("Logout");
    assert_eq!(system.terminal.input_done, 0);
    system.say(number, &Event::User(user("guest", 0)));
    assert_eq!(system.terminal.input_done, 1);
    assert!(!system.terminal.halted);
}

#[test]
fn exit_and_ctrl_d_log_out_and_the_next_one_has_a_prompt() {
    for keys in ["exit\r", "\x04"] {
        let mut system = System::terminal();
        system.log_in("admin");
        system.output();
        system.type_in(keys);
        let number = system.asked_for("Logout");
        system.say(number, &Event::User(user("guest", 0)));
        let output = system.output();
        assert!(
            output.contains("logged out; now guest") && output.ends_with("\x1b[1mllm> \x1b[0m"),
            "{output:?}"
        );
        // The user at boot cannot log out, and is told how to leave.
        system.type_in(keys);
        assert_eq!(system.asked(), []);
        let output = system.output();
        assert!(
            output.contains("Ctrl-]") && output.contains("'llmctl halt'"),
            "{output:?}"
        );
        assert!(output.ends_with("\x1b[1mllm> \x1b[0m"));
        assert!(!system.terminal.halted);
        system.request("llmstats");
    }
}

#[test]
fn ctrl_d_in_a_line_deletes_and_does_not_leave() {
    let mut system = System::terminal();
    system.log_in("admin");
    system.type_in("xwhoami\x01\x04\r");
    system.asked_for("WhoAmI");
    assert_eq!(system.terminal.input_done, 0);
}

#[test]
fn the_end_of_the_input_in_an_open_quote_is_answered_too() {
    for mode in [Mode::Terminal, Mode::Plain] {
        let mut system = System::boot(mode);
        system.type_in("llminfer \"Once\n\x04");
        assert_eq!(system.terminal.input_done, 1);
        assert!(system.output().contains("the quote \" is not closed"));
        assert_eq!(system.asked(), []);
    }
}

#[test]
fn a_logout_at_the_end_of_the_input_that_fails_or_is_lost_holds_nothing_up() {
    let mut system = System::plain();
    system.log_in("admin");
    system.type_in(b"\x04");
    let number = system.asked_for("Logout");
    system.fail(number, Failure::of(ErrorCode::BadPolicy), b"");
    assert_eq!(system.terminal.input_done, 1);
}

#[test]
fn the_system_is_halted_when_audit_allows_it_and_not_before() {
    let mut system = System::plain();
    let number = system.request("llmctl halt");
    let failure = Failure::over(ErrorCode::NotPermitted, 64, 0);
    system.fail(number, failure, b"guest");
    assert!(!system.terminal.halted);
    assert!(system.output().contains("you need the permission 'halt'"));
    system.type_in("llmctl halt\nwhoami\n");
    let number = system.asked_for("Halt");
    system.say(number, &Event::Done);
    assert!(system.terminal.halted);
    assert_eq!(system.asked(), [], "nothing is done after it");
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
        " half a\naudit: inference crashed with a memory fault at address 0x12000000 (instruction \
         0x201000)\nerror: inference crashed while handling the request\naudit: \
         inference serves again after 0.12 s (restart 1)\n"
    );
}

#[test]
fn the_longest_text_of_one_event_is_written_whole_and_in_few_pieces() {
    let mut system = System::plain();
    let number = system.request("llminfer x");
    // 13 bytes, ten characters.
    let text = "0123456\u{e9}\u{732b}\n".repeat(protocol::limits::MAX_TEXT_BYTES / 13);
    system.terminal.writes = 0;
    let tokens = 16;
    let text = text.as_bytes();
    system.say(number, &Event::Text { tokens, text });
    assert!(system.output().as_bytes() == text);
    assert!(
        system.terminal.writes < 2 * text.len() / 10,
        "not by the character"
    );
    // In the background, tokens are counted as audit counts them.
    system.say(number, &finished(FinishReason::EndOfText));
    let number = system.request("llminfer y --background");
    system.output();
    system.say(number, &Event::Text { tokens, text });
    system.say(number, &Event::Text { tokens, text: b"x" });
    system.type_in("llmctl jobs\n");
    assert!(system.output().contains("running, 32 tokens"));
}

#[test]
fn audit_is_signalled_once_for_all_that_was_read_and_sent() {
    let mut system = System::plain();
    let number = system.request("llminfer x");
    let mut frame = Frame::new();
    for event in [
        Event::Text {
            tokens: 1,
            text: b"a",
        },
        Event::Text {
            tokens: 1,
            text: b"b",
        },
        finished(FinishReason::EndOfText),
    ] {
        event.write(number, &mut frame);
        system.audit.send(&frame).unwrap();
    }
    system.terminal.input.extend(b"llmctl status\n");
    system.terminal.signals = 0;
    system.shell.on_signal(&mut system.terminal);
    assert_eq!(system.terminal.signals, 1);
    system.asked_for("Status");
}
