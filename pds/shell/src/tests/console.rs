//! The console: continued lines, pastes, colours, and a line that is slower than the output.

use super::harness::*;
use protocol::record::{Kind, Record};
use protocol::wire::client::LogExtent;

/// Gives the console room for this many bytes, once.
fn carry(system: &mut System, bytes: usize) {
    system.terminal.room = Some(bytes);
    system.shell.on_room(&mut system.terminal);
}

fn row(system: &mut System, number: u32, sequence: u64) -> bool {
    let mut record = Record::new(Kind::Admit);
    record.sequence = sequence;
    let (mut frame, text) = (Frame::new(), [b'x'; 100]);
    Event::Record {
        record,
        text: &text,
    }
    .write(number, &mut frame);
    system.audit.send(&frame).is_ok()
}

#[test]
fn a_terminal_is_asked_for_its_width_with_each_prompt() {
    let mut system = System::off(Mode::Terminal);
    system.say(0, &Event::Ready(user("guest", 0)));
    assert!(system.all_output().ends_with(&format!("{QUESTION}llm> ")));
    // The answer comes between the keys, torn.
    for part in ["who\x1b[", "1;4", "0Rami"] {
        system.type_in(part);
    }
    assert_eq!(
        system.all_output(),
        format!("who\r\x1b[K{PASTE_ON}\x1b[1mllm> \x1b[0mwho\x1b[Kami")
    );
    system.type_in("\r");
    assert_eq!(system.all_output(), format!("\r\n{PASTE_OFF}"));
    let asked = system.asked();
    assert_eq!(asked[0].1, "Status", "of the model, once");
    let number = asked[1].0;
    system.say(number, &Event::User(user("guest", 0)));
    assert!(system.all_output().contains(QUESTION));
    // The window was resized.
    system.type_in("\x1b[1;20Rfrob\r");
    let output = system.output();
    for row in output.split("\r\n") {
        let row = row.rsplit('\r').next().unwrap();
        let sequences = ["\x1b[1m", "\x1b[0m", "\x1b[31m", "\x1b[K"];
        let plain = sequences
            .iter()
            .fold(row.to_string(), |row, one| row.replace(one, ""));
        assert!(plain.len() < 20, "{row:?} of {output:?}");
    }
}

#[test]
fn a_terminal_that_does_not_answer_gets_no_sequences_but_the_questions() {
    let mut system = System::off(Mode::Terminal);
    system.say(0, &Event::Ready(user("guest", 0)));
    for _ in 0..9 {
        system.type_in("frob\x01x\x7f\r");
    }
    let output = system.all_output();
    assert_eq!(output.matches(QUESTION).count(), 3);
    assert!(!output.replace(QUESTION, "").contains('\x1b'), "{output:?}");
    // Now it does.
    system.type_in("\x0c");
    system.type_in("\x1b[24;132R");
    assert!(system.output().ends_with("\x1b[1mllm> \x1b[0m"));

    let mut system = System::boot(Mode::Dumb);
    system.type_in("frob\x01x\x7f\r\x0c\x1b[24;80R");
    let output = system.all_output();
    assert!(
        !output.contains('\x1b') && output.contains("error: "),
        "{output:?}"
    );
}

#[test]
fn colours_are_switched() {
    let mut system = System::terminal();
    system.type_in("color off\r");
    assert!(system.output().ends_with("colours are off\r\nllm> "));
    system.type_in("frob\r");
    assert!(!system.output().contains("\x1b[31m"));
    system.type_in("color auto\r");
    assert!(system.output().ends_with("\x1b[1mllm> \x1b[0m"));
    system.type_in("color blue\r");
    assert!(system.output().contains("color does not take 'blue'"));

    let mut system = System::boot(Mode::Dumb);
    system.type_in("color on\rfrob\r");
    assert!(system.output().contains("\x1b[31merror: "));
}

#[test]
fn an_open_quote_goes_on_with_a_prompt_of_its_own() {
    for mode in [Mode::Terminal, Mode::Dumb] {
        let mut system = System::boot(mode);
        system.output();
        system.type_in("llminfer \"one\r");
        assert!(system.output().contains("... "), "{mode:?}");
        system.type_in("\x7f\x7f\x15\x1b[Atwo\r");
        assert_eq!(system.asked(), [], "{mode:?}");
        system.type_in("\"\r");
        system.asked_for("128 \"\" [(Prompt, \"one\\ntwo\\n\")]");
    }
    // Ctrl-C leaves it. A conversation has no quotes.
    let mut system = System::terminal();
    system.type_in("llminfer 'one\r");
    system.type_in("\x03");
    assert!(system.output().ends_with("^C\r\n\x1b[1mllm> \x1b[0m"));
    system.type_in("whoami\r");
    system.asked_for("WhoAmI");
    // A pipe has no prompt for continued lines.
    let mut system = System::plain();
    system.type_in("llminfer 'one\nwhoami\n");
    assert!(system.output().contains("error: the quote ' is not closed"));
    system.asked_for("WhoAmI");
}

#[test]
fn all_rows_of_a_line_that_goes_on_count_for_its_length() {
    let mut system = System::terminal();
    system.type_in("llminfer \"");
    for _ in 0..9 {
        system.type_in(format!("{}\r", "x".repeat(999)));
    }
    let output = system.output();
    assert!(
        output.contains("error: the line has"),
        "{}",
        &output[output.len() - 300..]
    );
    assert_eq!(system.asked(), []);
}

#[test]
fn a_paste_is_one_line_and_runs_nothing() {
    let mut system = System::terminal();
    system.type_in("llminfer \"\x1b[200~one\rtwo\t\x04\r\nthree\x1b[201~");
    assert_eq!(system.asked(), []);
    assert!(system.output().contains("one\u{21b5}two \u{21b5}three"));
    system.type_in("\"\r");
    let number = system.asked_for("128 \"\" [(Prompt, \"one\\ntwo\\t\\nthree\")]");
    assert!(
        system
            .output()
            .contains("one\r\n... two \r\n... three\"\r\n")
    );
    system.say(number, &finished(FinishReason::EndOfText));
    // The history returns it unchanged.
    system.type_in("\x1b[A\r");
    let number = system.asked_for("128 \"\" [(Prompt, \"one\\ntwo\\t\\nthree\")]");
    system.say(number, &finished(FinishReason::EndOfText));
    // More than one command, and one that was copied with its line end.
    system.type_in("\x1b[200~whoami\rexit\r\x1b[201~\r");
    assert!(
        system
            .output()
            .contains("error: you pasted several commands")
    );
    system.type_in("\x1b[200~\rwhoami\r\x1b[201~\r");
    system.asked_for("WhoAmI");
    assert!(!system.terminal.halted);
}

#[test]
fn ctrl_c_in_a_paste_drops_all_of_it() {
    let mut system = System::terminal();
    system.type_in("\x1b[200~llmctl status\r");
    system.type_in("\x03");
    system.type_in("llmctl reset\rexit\r\x1b[201~");
    assert_eq!(system.asked(), []);
    system.type_in("whoami\r");
    system.asked_for("WhoAmI");
}

#[test]
fn a_passphrase_can_be_pasted_with_the_end_of_its_line() {
    let mut system = System::terminal();
    system.begin_login("admin");
    system.type_in("\x1b[200~secret\r\x1b[201~\r");
    system.asked_for("Login admin Some(\"secret\")");
}

#[test]
fn a_console_that_is_slower_than_audit_loses_nothing_and_holds_back_its_own_rows() {
    for mode in [Mode::Terminal, Mode::Plain] {
        let mut system = System::boot(mode);
        let number = system.request("llmctl audit");
        system.output();
        system.terminal.room = Some(0);
        let mut sequence = 0;
        // Until the ring is full, which tells audit to send no more.
        while row(&mut system, number, sequence) {
            system.shell.on_signal(&mut system.terminal);
            sequence += 1;
            assert!(sequence < 10_000, "the shell goes on reading");
        }
        assert_eq!(system.output(), "");
        assert!(system.terminal.wants_room);
        let (mut text, mut turns) = (String::new(), 0);
        while system.terminal.wants_room {
            carry(&mut system, 11);
            text += &system.output();
            turns += 1;
            assert!(turns < 1_000_000);
        }
        let rows = text.lines().filter(|line| line.starts_with('#'));
        assert_eq!(rows.count() as u64, sequence, "{mode:?} {text}");
        assert!(!text.contains("lost"), "{mode:?}");
        system.terminal.room = None;
        assert!(row(&mut system, number, sequence), "there is room again");
        system.say(number, &Event::LogEnd(LogExtent::default()));
        assert!(
            system
                .output()
                .contains(&format!("{} entries", sequence + 1))
        );
    }
}

/// Nobody calls the shell for room that it has found by itself, so it must not forget what it held back.
#[test]
fn a_console_that_has_room_again_before_it_is_waited_for_stops_nothing() {
    let mut system = System::plain();
    let number = system.request("llmctl audit");
    system.output();
    let mut sequence = 0;
    while row(&mut system, number, sequence) {
        sequence += 1;
    }
    system.terminal.room = Some(0);
    system.terminal.catches_up = true;
    system.shell.on_signal(&mut system.terminal);
    assert!(!system.terminal.wants_room);
    let rows = system.output();
    assert_eq!(rows.matches('#').count() as u64, sequence, "{rows}");
}

/// A key that arrives before the call for room uses the room up, and then nobody calls.
#[test]
fn a_key_that_finds_room_before_it_is_reported_stops_nothing() {
    let mut system = System::terminal();
    let number = system.request("llmctl audit");
    system.output();
    system.terminal.room = Some(0);
    let mut sequence = 0;
    while row(&mut system, number, sequence) {
        system.shell.on_signal(&mut system.terminal);
        sequence += 1;
        assert!(sequence < 10_000, "the shell goes on reading");
    }
    assert!(system.terminal.wants_room);
    system.terminal.room = None;
    system.shell.on_input(&mut system.terminal);
    assert!(!system.terminal.wants_room);
    assert!(row(&mut system, number, sequence), "the ring was read");
    let rows = system.output();
    assert_eq!(rows.matches('#').count() as u64, sequence, "{rows}");
}

#[test]
fn ctrl_c_empties_what_waits_to_be_written() {
    let mut system = System::terminal();
    let number = system.request("llminfer x");
    system.output();
    system.terminal.room = Some(100);
    let (mut frame, mut sent, text) = (Frame::new(), 0, [b'y'; 100]);
    loop {
        Event::Text {
            tokens: 1,
            text: &text,
        }
        .write(number, &mut frame);
        if system.audit.send(&frame).is_err() {
            break;
        }
        sent += 100;
        system.shell.on_signal(&mut system.terminal);
    }
    assert_eq!(system.output().len(), 100);
    // Keys are read while the output waits.
    system.type_in("\x03");
    system.asked_for("Cancel");
    system.terminal.room = None;
    system.say(number, &finished(FinishReason::Cancelled));
    let output = system.output();
    assert!(output.starts_with("\x1b[0m\r\n^C\r\n"), "{output:?}");
    assert!(output.contains("cancelled]"), "{output:?}");
    // Messages still in audit's ring belong to the answer; output that waited in the shell is gone.
    let shown = output.matches('y').count();
    assert!(shown + 2000 < sent, "{shown} of {sent}");

    // The command has ended, and nothing is waited for.
    system.terminal.room = Some(10);
    system.type_in("help llminfer\r");
    assert_eq!(system.output().len(), 10);
    system.type_in("\x03");
    system.terminal.room = None;
    system.type_in("whoami\r");
    let output = system.output();
    assert!(output.starts_with("\x1b[0m\r\n^C\r\n"), "{output:?}");
    assert!(!output.contains("--max-tokens"), "{output:?}");
    system.asked_for("WhoAmI");
}

#[test]
fn no_line_of_the_greatest_length_says_more_than_has_room() {
    let mut system = System::terminal();
    system.terminal.room = Some(0);
    let mut text = String::new();
    // Invalid UTF-8 shows as three bytes each.
    let mut line = b"\x1b[200~".to_vec();
    line.extend(b"\xff\xff\xff\n".repeat(2100));
    line.extend(b"\x1b[201~\r");
    for part in line.chunks(1000) {
        system.type_in(part);
        text.clear();
        while system.terminal.wants_room {
            carry(&mut system, 3000);
            text += &String::from_utf8_lossy(&core::mem::take(&mut system.terminal.output));
        }
        system.terminal.room = Some(0);
    }
    let end = &text[text.floor_char_boundary(text.len().saturating_sub(900))..];
    assert!(
        text.contains("error: ") && !text.contains("output was lost"),
        "{end:?}"
    );
}

#[test]
fn the_end_of_the_input_is_answered_and_the_system_halts_when_all_was_written() {
    let mut system = System::plain();
    system.terminal.room = Some(0);
    system.type_in("help\n\x04");
    assert!(system.terminal.input_done == 0 && system.terminal.wants_room);
    carry(&mut system, 100);
    assert_eq!(system.terminal.input_done, 0);
    carry(&mut system, 100_000);
    assert!(system.terminal.input_done == 1 && !system.terminal.wants_room);
    assert!(system.output().contains("llminfer"));

    let mut system = System::plain();
    let number = system.request("llmctl halt");
    system.terminal.room = Some(0);
    system.say(number, &Event::Done);
    assert!(!system.terminal.halted && system.terminal.wants_room);
    carry(&mut system, 100_000);
    assert!(system.terminal.halted && !system.terminal.wants_room);
}

#[test]
fn a_completion_begins_with_its_prompt_apart_from_it() {
    let echo = "\x1b[2mOnce\r\nthere\x1b[0m was";
    // The harness's model has a chat template.
    for (options, echoes) in [
        (" --raw", true),
        ("", false),
        (" --raw --background", false),
    ] {
        let mut system = System::terminal();
        let number = system.request(&format!("llminfer \"Once\\nthere\u{9b}\"{options}"));
        system.token(number, b" was");
        let output = system.output();
        assert_eq!(output.contains(echo), echoes, "{options} {output:?}");
    }
    let mut system = System::terminal();
    let number = system.request("llmctl load tiny");
    let info = Default::default();
    system.say(
        number,
        &Event::Loaded {
            name: name("tiny"),
            info,
        },
    );
    for (options, echoes) in [("", true), (" --system brief", false)] {
        let number = system.request(&format!("llminfer \"Once\\nthere\u{9b}\"{options}"));
        system.token(number, b" was");
        system.say(number, &finished(FinishReason::EndOfText));
        assert_eq!(system.output().contains(echo), echoes, "{options}");
    }
    // A refused request shows no prompt, nor does anything after it.
    let number = system.request("llminfer \"Once\nthere\"");
    system.fail(number, Failure::over(ErrorCode::QuotaExceeded, 60, 12), b"");
    let output = system.output();
    assert!(!output.contains("\x1b[2mOnce"), "{output:?}");
    let number = system.asked()[0].0;
    system.fail(number, Failure::of(ErrorCode::NotPermitted), b"");
    let number = system.request("llminfer x --system y");
    system.token(number, b" was");
    system.say(number, &finished(FinishReason::EndOfText));
    let output = system.output();
    assert!(!output.contains("\x1b[2mOnce"), "{output:?}");
    system.type_in("color off\r");
    system.output();
    let number = system.request("llminfer Once");
    system.token(number, b" was");
    assert!(
        system.output().contains("Once\r\n was"),
        "without colours, nothing would tell them apart"
    );
}
