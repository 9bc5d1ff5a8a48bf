//! The console as a person sees it: scripted sessions at terminals of several widths, comparing the screen and not only
//! the bytes. `make e2e-sim` and `make e2e-qemu` run it on both runtimes; `sel4_llm_tests::person` explains how to
//! write a case.
//!
//! A claim about every terminal uses [`everywhere`], which has terminals of 40, 80 and 132 columns and one without
//! control sequences.

#[path = "console/typing.rs"]
mod typing;

use sel4_llm_tests::is_emulated;
use sel4_llm_tests::person::{Person, Term};
use typing::joined;

/// The terminals that the console is tested on.
const TERMINALS: [(u16, Term); 4] = [
    (40, Term::Xterm),
    (80, Term::Xterm),
    (132, Term::Xterm),
    (80, Term::Dumb),
];

/// Lets a person at each of [`TERMINALS`] look at a system that has just started.
fn everywhere(look: impl Fn(&mut Person, usize, Term)) {
    for (columns, term) in TERMINALS {
        let mut person = Person::start(columns, term);
        look(&mut person, usize::from(columns), term);
        person.leave();
    }
}

#[test]
fn a_command_is_answered_on_every_terminal() {
    everywhere(|person, _, _| {
        let answer = person.ask("whoami");
        assert!(answer.starts_with("guest ("), "{answer}");
        let text = person.text();
        assert!(text.contains("\nllm> whoami\nguest ("), "{text}");
    });
}

#[test]
fn exit_leaves_a_prompt_and_a_wrong_option_an_advice_on_every_terminal() {
    everywhere(|person, _, _| {
        for _ in 0..2 {
            let answer = person.ask("exit");
            assert!(answer.contains("Ctrl-]"), "{answer}");
        }
        let answer = person.ask("llminfer x --tempe 1");
        assert!(answer.contains("'--temperature'?"), "{answer}");
        let answer = person.ask("llminfer x -n 0");
        assert!(answer.contains("--max-tokens 0 is out"), "{answer}");
        assert!(person.ask("whoami").starts_with("guest ("));
    });
}

#[test]
fn help_and_lists_are_wrapped_at_words() {
    for columns in [40, 80, 132] {
        let mut person = Person::start(columns, Term::Xterm);
        person.settle();
        let wide = person.ask("help llminfer");
        for row in wide.lines() {
            assert!(row.chars().count() < usize::from(columns), "{row:?}");
        }
        // The shell breaks the rows, not the terminal, so no word is split.
        let words: Vec<&str> = wide.split_whitespace().collect();
        for word in ["--repeat-penalty", "--max-tokens", "template", "bytes"] {
            assert!(words.iter().any(|has| has.contains(word)), "{word}: {wide}");
        }
        person.type_in("llmctl \t");
        person.settle();
        let rows = person.rows();
        assert!(
            rows.iter()
                .all(|row| row.chars().count() < usize::from(columns)),
            "{rows:#?}"
        );
        assert_eq!(rows.last().map(String::as_str), Some("llm> llmctl"));
        person.type_in([0x03]);
        person.wait_for_prompt();
        person.leave();
    }
}

/// Logs in as admin.
fn log_in(person: &mut Person) {
    person.type_in("login admin\r");
    person.wait_for("passphrase:");
    person.type_in("sel4\r");
    person.wait_for("logged in as");
    person.wait_for_prompt();
}

#[test]
fn bars_end() {
    everywhere(|person, columns, _| {
        log_in(person);
        person.type_in("llmctl load tiny\r");
        person.wait_for("loaded tiny");
        person.wait_for_prompt();
        let text = person.text();
        // Includes those of the boot, each on its own row.
        let bars: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("[#") || line.contains("[-"))
            .collect();
        assert!(bars.len() >= 2, "{text}");
        for bar in bars {
            assert!(bar.ends_with("] 100 %") && bar.len() < columns, "{text}");
        }
        person.type_in("logout\r");
        person.wait_for("logged out");
        person.wait_for_prompt();
    });
}

#[test]
fn an_answer_of_a_completion_begins_with_the_prompt_dimmed() {
    everywhere(|person, _, term| {
        let answer = person.ask("llminfer Once --max-tokens 2 --temperature 0");
        let echoed = answer.lines().any(|line| line.starts_with("Once"));
        assert_eq!(echoed, term == Term::Xterm, "{answer}");
        if echoed {
            let rows = person.rows();
            let row = rows
                .iter()
                .find(|row| row.starts_with("Once"))
                .expect("the answer");
            assert!(person.is_dim("Once") && row.len() > 4, "{rows:#?}");
            assert!(
                !person.is_dim(row),
                "the completion is not dimmed: {rows:#?}"
            );
        }
    });
}

#[test]
fn colours_follow_the_terminal_and_can_be_switched() {
    everywhere(|person, _, term| {
        person.ask("frob");
        person.settle();
        assert_eq!(person.has_colour(), term == Term::Xterm);
        if term == Term::Xterm {
            person.ask("color off");
            // Clear the screen, including everything coloured.
            person.type_in([0x0c]);
            person.settle();
            person.ask("frob");
            assert!(!person.has_colour(), "{:#?}", person.rows());
            person.ask("color auto");
            person.ask("frob");
            assert!(person.has_colour());
        }
    });
}

#[test]
fn a_line_of_115200_baud_stalls_nobody_and_ctrl_c_empties_what_waits() {
    for (columns, term) in TERMINALS {
        let mut person = Person::start(columns, term);
        log_in(&mut person);
        // Two entries of more than a thousand bytes each: the line needs five seconds for the log.
        for _ in 0..20 {
            person.ask("llminfer x --max-tokens 1");
        }
        person.slow_down(115_200);
        person.type_in("llmctl audit --json\r");
        person.wait_for("\"event\":\"load\"");
        let before = person.bytes().len();
        person.type_in([0x03]);
        person.wait_for("^C");
        let waited = person.bytes().len() - before;
        // After Ctrl-C, only what is in transit in the host's pipes and buffers may still arrive. In QEMU there is no
        // such limit: its UART always has room, so QEMU stops the machine until the terminal has read, and the key
        // waits.
        assert!(
            is_emulated() || waited < 24_000,
            "{waited} bytes came after Ctrl-C"
        );
        let text = person.text();
        assert!(
            !text.contains("\"filtered\":"),
            "the log came to its end: {text}"
        );
        person.settle();
        let answer = person.ask("whoami");
        assert!(answer.contains("admin ("), "{answer}");
        person.leave();
    }
}

#[test]
fn what_is_refused_echoes_no_prompt() {
    let mut person = Person::start(80, Term::Xterm);
    log_in(&mut person);
    person.ask("llmctl budget guest --tokens 3");
    person.type_in("logout\r");
    person.wait_for("logged out");
    person.wait_for_prompt();
    let answer = person.ask("llminfer Once --max-tokens 9");
    assert!(answer.starts_with("error: "), "{answer}");
    assert!(!person.is_dim("Once"), "{answer}");
    person.leave();
}

#[test]
fn a_logout_and_a_reset_say_whether_there_was_anything_to_do() {
    everywhere(|person, _, _| {
        let answer = joined(&person.ask("logout"));
        assert!(answer.starts_with("nobody has logged in, "), "{answer}");
        log_in(person);
        let answer = joined(&person.ask("llmctl reset"));
        assert!(
            answer.starts_with("inference was not stopped, "),
            "{answer}"
        );
        person.type_in("logout\r");
        person.wait_for("logged out; now guest");
        person.wait_for_prompt();
    });
}

#[test]
fn a_word_too_many_and_an_option_of_llama_cpp_come_with_advice_on_every_terminal() {
    everywhere(|person, columns, _| {
        for (line, part) in [
            ("llminfer x --choices yes, no", "the text of --choices"),
            (
                "llminfer \u{201c}Once upon\u{201d}",
                "\u{201c} is not a quote here",
            ),
            ("llminfer x \u{2014}temp 0", "\u{2014} is not a hyphen here"),
            ("llmchat hello", "type your text"),
            ("llminfer x -c 4096", "'llmctl status'"),
            ("llminfer x --grammar y", "--format NAME"),
            ("llmchat -cnv", "'llmchat' starts a"),
            ("llminfer x --seed -1", "no seed is random"),
        ] {
            let answer = person.ask(line);
            assert!(answer.starts_with("error: "), "{line}: {answer}");
            // Rows end between words.
            let words: Vec<&str> = answer.split_whitespace().collect();
            assert!(words.join(" ").contains(part), "{line}: {answer}");
            let widest = answer.lines().map(|row| row.chars().count()).max();
            assert!(columns == 80 || widest < Some(columns), "{answer}");
        }
    });
}

#[test]
fn tables_can_be_read_at_40_columns() {
    for columns in [40, 80, 132] {
        let mut person = Person::start(columns, Term::Xterm);
        let status = person.ask("llmctl status");
        let stats = person.ask("llmstats");
        let models = person.ask("llmctl models");
        let help = person.ask("help");
        for row in [&status, &stats, &models, &help]
            .iter()
            .flat_map(|answer| answer.lines())
        {
            assert!(row.chars().count() < usize::from(columns), "{row:?}");
        }
        for answer in [&status, &stats] {
            for name in ["weights", "KV cache", "activations", "in use", "capacity"] {
                let row = answer
                    .lines()
                    .find(|row| row.starts_with(&format!("  {name} ")));
                let row = row.unwrap_or_else(|| panic!("no row {name}: {answer}"));
                assert!(row.contains(" bytes (") && row.ends_with(" KiB)"), "{row}");
            }
        }
        assert!(
            models.starts_with("* default (") && models.contains("\n  tiny ("),
            "{models}"
        );
        // The explanation of a command is in one piece, and below the command if there is no room beside it.
        let beside = "exit                          log out";
        let below = "exit\n    log out (also: Ctrl-D)";
        assert!(
            help.contains(if columns == 40 { below } else { beside }),
            "{help}"
        );
        // Notices that come unprompted are wrapped, too.
        person.type_in("llminfer x -n 1 --background\r");
        person.wait_for("job 1: finished, 1 token");
        person.settle();
        assert!(
            person
                .rows()
                .iter()
                .all(|row| row.len() < usize::from(columns))
        );
        person.leave();
    }
}

#[test]
fn what_is_too_much_in_a_conversation_is_told_and_the_conversation_goes_on() {
    let mut person = Person::start_of("SEL4_LLM_RUN_INJECT", 80, Term::Xterm);
    for line in ["login tester", "llmctl load chat"] {
        person.type_in(format!("{line}\r"));
        person.wait_for(if line.starts_with("login") {
            "logged in as"
        } else {
            "loaded chat"
        });
        person.wait_for_prompt();
    }
    person.type_in("llmchat --max-tokens 2 --temperature 0\r");
    person.wait_for("say something");
    person.wait_for_prompt();
    for (line, part) in [
        ("/exit now", "'now' cannot follow /exit"),
        ("/exiit", "did you mean '/exit'?"),
        ("/unknown", "no command '/unknown' in a conversation"),
        ("Hello", "tokens/s"),
    ] {
        person.type_in(format!("{line}\r"));
        person.wait_for(part);
        person.wait_until("prompt of the conversation", |person| {
            person.text().ends_with("@chat>")
        });
    }
    person.type_in("/exit\r");
    person.wait_until("prompt", |person| person.text().ends_with("@llm>"));
    // A session that has begun keeps its system text.
    person.ask("llminfer Hello --session tale -n 2 --temp 0 --system Brief.");
    person.type_in("llmchat --session tale --system Long. -n 2 --temp 0\r");
    person.wait_for("the session 'tale' has begun, so --system is ignored");
    person.wait_until("prompt of the session", |person| {
        person.text().ends_with("@tale>")
    });
    person.type_in("And?\r");
    person.wait_until("an answer", |person| {
        let text = person.text();
        let answer = text.rsplit_once("And?").map_or("", |(_, answer)| answer);
        answer.contains("tokens/s") && answer.ends_with("@tale>")
    });
    assert!(
        !person.text().contains("has the wrong role"),
        "{}",
        person.text()
    );
    person.type_in("/exit\r");
    person.wait_until("prompt", |person| person.text().ends_with("@llm>"));
    person.leave();
}
