//! Keys at a terminal, and the line that they make.

use super::harness::*;
use protocol::wire::client::ModelEntry;

#[test]
fn a_terminal_gets_echo_a_prompt_and_colour() {
    let mut system = System::boot(Mode::Terminal);
    assert_eq!(
        system.output(),
        format!("{READY_LINE}\r\nllm> \r\x1b[K\x1b[1mllm> \x1b[0m"),
        "in colour as soon as it has answered"
    );
    system.type_in("hel");
    assert_eq!(system.output(), "hel");
    system.type_in("lo\r");
    let output = system.output();
    assert!(
        output.starts_with("lo\r\n\x1b[31merror: no command 'hello'"),
        "{output:?}"
    );
    assert!(output.ends_with("\x1b[0m\r\n\x1b[1mllm> \x1b[0m"));
}

#[test]
fn a_pipe_gets_neither_echo_nor_prompt_nor_colour() {
    let mut system = System::plain();
    system.type_in("helo\nhelp\n");
    let number = system.request("llminfer x");
    system.token(number, b"y");
    system.fail(number, Failure::of(ErrorCode::Busy), b"");
    system.request("whoami");
    let output = system.output();
    assert!(
        !output.contains(['\x1b', '\r']) && !output.contains("llm> "),
        "{output:?}"
    );
    assert!(output.starts_with("error: no command 'helo'; did you mean 'help'?\n"));
}

#[test]
fn keys_edit_the_line() {
    for (keys, command) in [
        ("hepl\x7f\x7f\x15whoami", "WhoAmI"),
        ("oami\x01wh", "WhoAmI"),
        ("whomi\x1b[D\x1b[Da\x05", "WhoAmI"),
        ("xwhoami\x1b[H\x1b[3~", "WhoAmI"),
        ("whoamixx\x1b[D\x1b[D\x0b", "WhoAmI"),
        ("llmctl status now\x17", "Status"),
        ("now llmctl status\x1b[1;5D\x1b[1;5D\x15", "Status"),
        ("whoami \u{e9}\u{732b}\x7f\x7f", "WhoAmI"),
        ("who\x0cami", "WhoAmI"),
        ("who\x1b[200~ami\x1b[201~", "WhoAmI"),
    ] {
        let mut system = System::terminal();
        system.type_in(format!("{keys}\r"));
        assert_eq!(system.asked()[0].1, command, "{keys:?}");
    }
}

#[test]
fn lines_before_come_back() {
    let mut system = System::terminal();
    system.type_in("whoami\r");
    let number = system.asked()[0].0;
    system.say(number, &Event::User(user("guest", 0)));
    system.type_in("hlep\r");
    system.output();
    system.type_in("draft\x1b[A\x1b[A");
    assert!(system.output().ends_with("whoami\x1b[K"));
    system.type_in("\x1b[B\x1b[B");
    assert!(system.output().ends_with("draft\x1b[K"));
    system.type_in("\x10\x10\r");
    system.asked_for("WhoAmI");
}

#[test]
fn tab_completes_commands_options_and_controls() {
    for (keys, line) in [
        ("llmi\t", "llminfer "),
        ("llmctl sta\t", "llmctl status "),
        ("llmctl audit --fo\t", "llmctl audit --follow "),
        ("llminfer \"x\" --temp\t", "llminfer \"x\" --temperature "),
        ("llminfer \"--te\t", "llminfer \"--te"),
        ("help mo\t", "help models "),
        ("zzz\t", "zzz"),
    ] {
        let mut system = System::terminal();
        system.type_in(keys);
        let session = system.shell.state_for_tests();
        assert_eq!(session.buffers.editor.bytes(), line.as_bytes(), "{keys:?}");
    }
    let mut system = System::terminal();
    system.type_in("llmctl s\t");
    assert_eq!(
        system.output(),
        "llmctl s\r\nstatus  sessions\r\n\x1b[1mllm> \x1b[0mllmctl s\x1b[K"
    );
    system.type_in("t\t\r");
    system.asked_for("Status");
}

#[test]
fn models_and_users_are_asked_for_once_when_they_are_needed() {
    let mut system = System::terminal();
    system.type_in("llmctl load t\t");
    let number = system.asked_for("Models");
    // Keys wait meanwhile.
    system.type_in("\r");
    for model in ["default", "tiny"] {
        let entry = ModelEntry {
            name: name(model),
            ..ModelEntry::default()
        };
        system.say(number, &Event::Model(entry));
    }
    system.say(number, &Event::Listed { count: 2 });
    let number = system.asked_for("Load { name: \"tiny\" }");
    system.fail(number, Failure::of(ErrorCode::ModelInUse), b"");
    assert!(
        !system.output().contains("default"),
        "the list is not shown"
    );
    system.type_in("llmctl load d\t\r");
    let number = system.asked_for("Load { name: \"default\" }");
    system.fail(number, Failure::of(ErrorCode::ModelInUse), b"");
    system.type_in("llmctl audit --user ad\t");
    let number = system.asked_for("Users");
    system.list_users(number);
    system.type_in("\r");
    system.asked_for("Log(LogQuery { last: 0, user: \"admin\", follow: false })");
}

#[test]
fn a_refused_list_leaves_the_word_as_it_is() {
    let mut system = System::terminal();
    system.type_in("llmctl load t\t");
    let number = system.asked_for("Models");
    system.output();
    system.fail(number, Failure::of(ErrorCode::BadStore), b"");
    assert_eq!(system.output(), "");
    system.type_in("iny\r");
    system.asked_for("Load { name: \"tiny\" }");
}

#[test]
fn sessions_and_jobs_are_completed_from_what_the_shell_knows() {
    let mut system = System::terminal();
    system.request("llminfer x --background --session tale");
    system.type_in("llmctl close t\t\r");
    let number = system.asked_for("Close { session: \"tale\" }");
    system.say(number, &Event::Done);
    system.type_in("llmctl cancel \t\r");
    system.asked_for("Cancel");
    system.log_in("admin");
    system.type_in("llminfer y --session t\t\r");
    let asked = system.asked();
    assert_eq!(
        asked[0].1, "128 \"t\" [(Prompt, \"y\")]",
        "those of others are not"
    );
}

#[test]
fn a_notice_leaves_the_line_that_is_typed() {
    let mut system = System::terminal();
    system.type_in("who");
    system.output();
    let recovered = Event::Recovered {
        after_us: 120_000,
        restarts: 1,
    };
    system.say(0, &recovered);
    assert_eq!(
        system.output(),
        "\r\n\x1b[33maudit: inference serves again after 0.12 s (restart 1)\x1b[0m\r\n\x1b[1mllm> \x1b[0mwho\x1b[K"
    );
    system.type_in("ami\r");
    system.asked_for("WhoAmI");
}

#[test]
fn a_long_line_is_sent_whole() {
    let mut system = System::terminal();
    let prompt = "x".repeat(8192);
    system.type_in(format!("llminfer \"{prompt}\"\r"));
    let asked = system.asked();
    assert_eq!(asked[0].1, format!("128 \"\" [(Prompt, \"{prompt}\")]"));
    assert!(
        system.output().len() < 8 * prompt.len(),
        "the window moves in steps"
    );
}
