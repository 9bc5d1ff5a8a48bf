//! The shell at a console, with an audit that the tests play.

use crate::{HALT_LINE, Mode, Port, READY_LINE, Shell};
use proptest::prelude::*;
use protocol::error::{ErrorCode, Failure};
use protocol::region::WriteWords;
use protocol::ring::Frame;
use protocol::testing::{TestEndpoint, TestRegion, endpoints};
use protocol::wire::{
    Event, Fault, FaultKind, FinishReason, Finished, ModelEntry, ModelInfo, Request, Stats, Status,
};
use std::collections::VecDeque;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

#[derive(Default)]
struct Terminal {
    input: VecDeque<u8>,
    output: Vec<u8>,
    signals: usize,
    halted: bool,
}

impl Port for Terminal {
    fn notify_audit(&mut self) {
        self.signals += 1;
    }
    fn write(&mut self, bytes: &[u8]) {
        self.output.extend(bytes);
    }
    fn read(&mut self) -> Option<u8> {
        self.input.pop_front()
    }
    fn halt(&mut self) {
        self.halted = true;
    }
}

struct System {
    shell: Shell<TestRegion, TestRegion>,
    terminal: Terminal,
    audit: TestEndpoint,
}

/// A request as audit saw it, in debug text, with its number.
type Asked = Vec<(u32, String)>;

impl System {
    fn boot(mode: Mode) -> Self {
        let (mut audit, end, _) = endpoints();
        audit.lead(1);
        let shell = Shell::new(end, mode);
        let mut system = Self {
            shell,
            terminal: Terminal::default(),
            audit,
        };
        system.say(0, &Event::Ready);
        system
    }

    fn plain() -> Self {
        let mut system = Self::boot(Mode::Plain);
        assert_eq!(system.output(), format!("{READY_LINE}\n"));
        system
    }

    fn say(&mut self, number: u32, event: &Event<'_>) {
        let mut frame = Frame::new();
        event.write(number, &mut frame);
        self.audit.send(&frame).unwrap();
        self.shell.on_signal(&mut self.terminal);
    }

    fn type_in(&mut self, text: &[u8]) {
        self.terminal.input.extend(text);
        self.shell.on_input(&mut self.terminal);
    }

    fn output(&mut self) -> String {
        String::from_utf8(core::mem::take(&mut self.terminal.output)).unwrap()
    }

    fn asked(&mut self) -> Asked {
        let (mut frame, mut asked) = (Frame::new(), Vec::new());
        while self.audit.receive(&mut frame).unwrap() {
            let request = Request::parse(&frame).unwrap();
            let text = match request {
                Request::Infer { params, prompt } => {
                    format!("{} {:?}", params.max_tokens, core::str::from_utf8(prompt))
                }
                other => format!("{other:?}"),
            };
            asked.push((frame.header().request, text));
        }
        asked
    }

    /// Types a line that must send one request; its number.
    fn request(&mut self, line: &str) -> u32 {
        self.type_in(format!("{line}\n").as_bytes());
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].0
    }

    fn token(&mut self, number: u32, text: &[u8]) {
        self.say(number, &Event::Token { id: 0, text });
    }
}

fn finished(reason: FinishReason) -> Event<'static> {
    Event::Finished(Finished {
        reason,
        prompt_tokens: 5,
        generated_tokens: 48,
        first_token_us: 210_000,
        total_us: 4_000_000,
    })
}

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
    system.type_in(b"typed ahead\r\x03\x03");
    assert_eq!(system.asked(), [(number, "Cancel".to_string())], "once");
    system.say(number, &finished(FinishReason::Cancelled));
    let output = system.output();
    assert!(
        output.ends_with(
            " abc\r\n[48 tokens, 12.0 tokens/s, first after 0.21 s, cancelled]\r\nllm> "
        )
    );
    system.type_in(b"abc\x03");
    assert!(system.output().ends_with("^C\r\nllm> "));
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
        assert_eq!(asked[0].1, format!("128 Ok(\"prompt {i}\")"));
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
    let (mut audit, end, _) = endpoints();
    audit.lead(1);
    let shell = Shell::new(end, Mode::Plain);
    let mut system = System {
        shell,
        terminal: Terminal::default(),
        audit,
    };
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
    system.say(0, &Event::Ready);
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
        (
            "llminfer x \u{1b}[2J",
            "error: '[2J' is one word too many for llminfer; put the prompt in quotes\n",
        ),
    ] {
        let mut system = System::plain();
        system.type_in(format!("{line}\n").as_bytes());
        let output = system.output();
        if line.contains('\u{1b}') {
            // The keys of an escape sequence are no text.
            continue;
        }
        assert_eq!(output, expected);
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
            "it took 30.12 s, 30.00 s are allowed",
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
fn answers_are_shown() {
    let mut system = System::plain();
    let number = system.request("llmctl models");
    let entry = |loaded| ModelEntry {
        file_bytes: 1234,
        loaded,
        reserved: 0,
    };
    system.say(
        number,
        &Event::Model {
            entry: entry(1),
            name: "default",
        },
    );
    system.say(
        number,
        &Event::Model {
            entry: entry(0),
            name: "tiny",
        },
    );
    system.say(number, &Event::Listed { count: 2 });
    assert_eq!(
        system.output(),
        "* default (1234 bytes)\n  tiny (1234 bytes)\n2 models in the store; * is loaded\n"
    );
    let number = system.request("llmctl load tiny");
    let info = ModelInfo {
        parameters: 278_976,
        sha256: [0xAB; 32],
        ..ModelInfo::default()
    };
    system.say(number, &Event::Loaded { info, name: "tiny" });
    assert!(
        system
            .output()
            .starts_with("loaded tiny: 278976 parameters")
    );
    let number = system.request("llmctl status");
    let mut status = Status {
        model: info,
        restarts: 2,
        ..Status::default()
    };
    status.arena.weights = 3_000_000;
    status.arena.capacity = 8 << 20;
    system.say(
        number,
        &Event::Status {
            status,
            model: "tiny",
        },
    );
    let output = system.output();
    for part in [
        "tiny",
        "restarts     2",
        "3000000 bytes",
        "8388608 bytes (8192 KiB)",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    let number = system.request("llmctl cancel");
    system.say(
        number,
        &Event::Failed {
            failure: Failure::of(ErrorCode::NoSuchRequest),
            detail: b"",
        },
    );
    assert_eq!(system.output(), "error: no such request is active\n");
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
    system.say(0, &Event::Fault(fault));
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
         0x201000); restarting it\nerror: inference died while it had the request\naudit: \
         inference serves again after 0.12 s (restart 1)\n"
    );
}

#[test]
fn a_model_can_forge_neither_escapes_nor_the_halt_line() {
    let mut system = System::plain();
    let number = system.request("llminfer x");
    system.token(number, HALT_LINE.as_bytes());
    system.token(number, b"\x1b[2J\xc2");
    system.token(number, b"\x9b0m\r");
    system.say(number, &finished(FinishReason::EndOfText));
    let output = system.output();
    assert!(output.starts_with("sel4-llm: halted[2J0m\n["), "{output:?}");
    assert!(!system.terminal.halted);
}

#[test]
fn a_terminal_gets_echo_and_a_prompt() {
    let mut system = System::boot(Mode::Terminal);
    assert_eq!(system.output(), format!("{READY_LINE}\r\nllm> "));
    system.type_in(b"hepl\x7f\x7flp\r");
    let output = system.output();
    assert!(
        output.starts_with("hepl\x08 \x08\x08 \x08lp\r\nllminfer "),
        "{output:?}"
    );
    assert!(output.ends_with("\r\nllm> "));
}

proptest! {
    #[test]
    fn any_input_and_any_events_are_survived_and_shown_safely(
        steps in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60).prop_map(Ok),
                (any::<u16>(), 0u32..4, prop::collection::vec(any::<u8>(), 0..80)).prop_map(Err),
                (Just(0x102u16), 0u32..4, prop::collection::vec(any::<u8>(), 4..40)).prop_map(Err),
                Just(Ok(b"llminfer x\r".to_vec())),
            ],
            0..60,
        ),
    ) {
        let mut system = System::boot(Mode::Terminal);
        for step in steps {
            match step {
                Ok(input) => system.type_in(&input),
                Err((kind, number, payload)) => {
                    let mut frame = Frame::new();
                    frame.begin(kind, number)[..payload.len()].copy_from_slice(&payload);
                    frame.finish(payload.len());
                    let _ = system.audit.send(&frame);
                    system.shell.on_signal(&mut system.terminal);
                }
            }
            let mut frame = Frame::new();
            while let Ok(true) = system.audit.receive(&mut frame) {}
        }
        prop_assert!(!system.terminal.output.iter().any(|byte| matches!(byte, 0x1b | 0x01)));
    }

    #[test]
    fn a_garbled_ring_is_survived(stores in prop::collection::vec((0usize..64, any::<u64>()), 0..50)) {
        let (mut audit, end, _) = endpoints();
        audit.lead(1);
        let hostile = TestRegion::new();
        let own = TestRegion::new();
        let _ = end;
        let end = TestEndpoint::new(hostile.clone(), own).unwrap();
        let mut shell = Shell::new(end, Mode::Plain);
        let mut terminal = Terminal::default();
        for (word, value) in stores {
            hostile.store(word, value);
            shell.on_signal(&mut terminal);
            terminal.input.extend(vec![b'x', b'\n']);
            shell.on_input(&mut terminal);
        }
    }
}
