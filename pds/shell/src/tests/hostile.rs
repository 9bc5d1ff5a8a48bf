//! What models, and anybody who writes into audit's ring, cannot do.

use super::harness::*;
use proptest::prelude::*;
use protocol::record::{Kind, Record};
use protocol::region::WriteWords;
use protocol::testing::{TestEndpoint, TestRegion, endpoints};
use std::vec;

/// Whether a control sequence is the shell's own.
fn is_own(sequence: &str) -> bool {
    let Some(rest) = sequence.strip_prefix("\x1b[") else {
        return false;
    };
    let known = [
        "0m", "1m", "2m", "31m", "33m", "K", "H", "J", "999C", "6n", "?2004h", "?2004l",
    ];
    let move_left = |rest: &str| {
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        digits.starts_with('D') && digits.len() < rest.len()
    };
    known.iter().any(|known| rest.starts_with(known)) || move_left(rest)
}

fn assert_safe(output: &[u8], mode: Mode) {
    let text = core::str::from_utf8(output).expect("UTF-8");
    for (at, character) in text.char_indices() {
        match character {
            '\x1b' => assert!(
                mode == Mode::Terminal && is_own(&text[at..]),
                "{:?}",
                &text[at..]
            ),
            '\r' | '\x08' => assert!(mode == Mode::Terminal),
            _ => assert!(safe_text::is_safe(character), "{character:?}"),
        }
    }
}

#[test]
fn a_model_can_forge_neither_escapes_nor_the_halt_line() {
    for background in ["", " --background"] {
        let mut system = System::plain();
        let number = system.request(&format!("llminfer x{background}"));
        if !background.is_empty() {
            system.output();
            system.type_in("llmctl wait 1\n");
        }
        system.token(number, HALT_LINE.as_bytes());
        system.token(number, b"\x1b[2J\xc2");
        system.token(number, b"\x9b0m\r");
        system.say(number, &finished(FinishReason::EndOfText));
        let output = system.output();
        assert!(output.starts_with("sel4-llm: halted[2J0m\n["), "{output:?}");
        assert!(!system.terminal.halted);
    }
}

#[test]
fn texts_of_prompts_and_of_the_log_are_shown_safely() {
    let mut system = System::plain();
    system.request("llminfer \"a\u{9b}b\u{202e}\" --background");
    system.type_in("llmctl jobs\n");
    let number = system.request("llmctl audit");
    let record = Record::new(Kind::Admit);
    let text = b"\x1b[2J\x01\r\n";
    system.say(number, &Event::Record { record, text });
    assert_safe(&system.terminal.output, Mode::Plain);
    assert!(system.output().contains("\"ab\u{fffd}\""));
}

#[test]
fn events_that_answer_nothing_are_ignored() {
    let mut system = System::plain();
    for event in [
        Event::Listed { count: 3 },
        Event::Done,
        Event::User(user("admin", 1)),
        Event::Ready(user("admin", 1)),
        Event::Stats(Stats::default()),
        finished(FinishReason::EndOfText),
        Event::Text {
            tokens: 1,
            text: b"x",
        },
    ] {
        for number in [0, 1, 7] {
            system.say(number, &event);
        }
    }
    assert_eq!(system.output(), "");
    let number = system.request("llminfer x");
    system.say(number, &Event::User(user("admin", 1)));
    system.say(number, &Event::Done);
    assert_eq!(system.output(), "");
    system.say(number, &finished(FinishReason::EndOfText));
    let number = system.request("whoami");
    system.say(number, &Event::User(user("guest", 0)));
    assert!(system.output().contains("\nguest ("));
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        "llminfer x\r",
        "llminfer x --background --session s\r",
        "llmctl wait 1\r",
        "llmctl jobs\r",
        "llmctl load t\t\r",
        "llmctl models\r",
        "llmctl audit --follow --json\r",
        "llmstats --watch\r",
        "llmctl budget --tokens 3\r",
        "login admin\r",
        "logout\r",
        "\x03",
        "\x1b[A\x1b[D\x7f\t",
    ])
    .prop_map(|line| line.as_bytes().to_vec())
}

proptest! {
    #[test]
    fn any_input_and_any_events_are_survived_and_shown_safely(
        steps in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60).prop_map(Ok),
                line().prop_map(Ok),
                (prop::sample::select(Event::KINDS), 0u32..6, prop::collection::vec(any::<u8>(), 0..80))
                    .prop_map(|((kind, _), number, payload)| Err((kind, number, payload))),
                // The length of a message without its variable part.
                (prop::sample::select(Event::KINDS), 0u32..6)
                    .prop_map(|((kind, fixed), number)| Err((kind, number, vec![0; fixed]))),
                (Just(0x102u16), 0u32..4, prop::collection::vec(any::<u8>(), 4..40)).prop_map(Err),
                // Audit restarts.
                Just(Err((0, 0, vec![]))),
            ],
            0..60,
        ),
        is_terminal: bool,
    ) {
        let mode = if is_terminal { Mode::Terminal } else { Mode::Plain };
        let (mut audit, end, _) = endpoints();
        audit.lead(1);
        let mut memory = std::boxed::Box::new(Memory::new());
        let mut shell = Shell::new(end, mode, &mut memory);
        let mut terminal = Terminal::default();
        let (mut frame, mut epoch) = (Frame::new(), 1);
        Event::Ready(user("guest", 0)).write(0, &mut frame);
        audit.send(&frame).unwrap();
        shell.on_signal(&mut terminal);
        for step in steps {
            match step {
                Ok(input) => {
                    terminal.input.extend(input);
                    shell.on_input(&mut terminal);
                }
                Err((0, ..)) => {
                    epoch += 1;
                    audit.lead(epoch);
                    shell.on_signal(&mut terminal);
                }
                Err((kind, number, payload)) => {
                    frame.begin(kind, number)[..payload.len()].copy_from_slice(&payload);
                    frame.finish(payload.len());
                    let _ = audit.send(&frame);
                    shell.on_signal(&mut terminal);
                }
            }
            while let Ok(true) = audit.receive(&mut frame) {
                prop_assert!(Request::parse(&frame).is_ok());
            }
        }
        // Whatever came, the console still works.
        if !terminal.halted {
            terminal.input.extend(b"\x03\x03");
            shell.on_input(&mut terminal);
            prop_assert!(shell.state_for_tests().is_at_prompt());
        }
        assert_safe(&terminal.output, mode);
    }

    #[test]
    fn a_garbled_ring_is_survived(stores in prop::collection::vec((0usize..64, any::<u64>()), 0..50)) {
        let hostile = TestRegion::new();
        let end = TestEndpoint::new(hostile.clone(), TestRegion::new()).unwrap();
        let mut memory = std::boxed::Box::new(Memory::new());
        let mut shell = Shell::new(end, Mode::Plain, &mut memory);
        let mut terminal = Terminal::default();
        for (word, value) in stores {
            hostile.store(word, value);
            shell.on_signal(&mut terminal);
            terminal.input.extend(b"x\n");
            shell.on_input(&mut terminal);
        }
        assert_safe(&terminal.output, Mode::Plain);
    }
}
