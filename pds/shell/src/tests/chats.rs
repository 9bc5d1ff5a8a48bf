//! Conversations, formats, and ways to ask for text.

mod formats;
mod limits;

use super::harness::*;
use protocol::wire::client::{FormatEntry, SessionEntry, SessionState, Status};

/// A status with a loaded model; an empty name means no template.
fn status(template: &str) -> Event<'static> {
    let mut status = Status {
        name: name("smol"),
        ..Status::default()
    };
    status.model.template = name(template);
    Event::Status(status)
}

fn session(who: &str, session: &str) -> Event<'static> {
    Event::Session(SessionEntry {
        name: name(session),
        user: name(who),
        ..SessionEntry::default()
    })
}

fn failed(code: ErrorCode) -> Failure {
    Failure::of(code)
}

impl System {
    /// Begins a conversation with this line; it has its own session.
    fn chat(&mut self, line: &str) {
        let number = self.request(line);
        self.say(number, &status("chatml"));
        if !line.contains("--session") {
            let number = self.asked_for("Sessions");
            self.say(number, &Event::Listed { count: 0 });
        }
        self.output();
    }

    /// Says a line, which must be sent as `parts`, and gets an answer.
    fn turn(&mut self, line: &str, parts: &str) {
        self.type_in(format!("{line}\n"));
        let number = self.asked_for(parts);
        self.token(number, b" Well.");
        self.say(number, &finished(FinishReason::EndOfText));
    }
}

#[test]
fn a_prompt_goes_as_the_model_has_it_and_raw_text_and_conversations_as_what_they_are() {
    for (line, expected) in [
        ("llminfer Hi", r#"128 "" [(Prompt, "Hi")]"#),
        ("llminfer Hi --raw", r#"128 "" [(Text, "Hi")]"#),
        (
            "llminfer Hi --system \"Be brief.\" --session tale",
            r#"128 "tale" [(System, "Be brief."), (User, "Hi")]"#,
        ),
        (
            "llminfer Hi --stop . --stop \"\\n\"",
            r#"128 "" [(Prompt, "Hi"), (Stop, "."), (Stop, "\n")]"#,
        ),
        (
            "llminfer Hi --choices yes,no,unsure",
            r#"128 "" [(Prompt, "Hi"), (Choice, "yes"), (Choice, "no"), (Choice, "unsure")]"#,
        ),
        (
            "llminfer Hi --format triage --raw",
            r#"128 "" [(Text, "Hi")] as triage"#,
        ),
    ] {
        let mut system = System::plain();
        system.type_in(format!("{line}\n"));
        let number = system.asked_for(expected);
        system.say(number, &finished(FinishReason::Stop));
        assert!(system.output().ends_with(", stop string]\n"));
        // In the background, too.
        system.type_in(format!("{line} --background\n"));
        system.asked_for(expected);
    }
}

#[test]
fn each_line_is_a_turn_of_a_session_that_ends_with_the_conversation() {
    let mut system = System::plain();
    let number = system.request("llmchat --system \"Be brief.\" --max-tokens 9 --stop .");
    system.say(number, &status("chatml"));
    let number = system.asked_for("Sessions");
    // Sessions of another user do not affect a name of this one's.
    for (who, taken) in [
        ("guest", "chat-1"),
        ("guest", "tale"),
        ("admin", "chat-2"),
        ("guest", "chat-3"),
    ] {
        system.say(number, &session(who, taken));
    }
    system.say(number, &Event::Listed { count: 4 });
    assert_eq!(
        system.output(),
        "say something; Ctrl-C stops the answer, /exit or Ctrl-D leaves\n"
    );
    system.turn(
        "llmctl \"status\"",
        r#"9 "chat-2" [(System, "Be brief."), (User, "llmctl \"status\""), (Stop, ".")]"#,
    );
    assert_eq!(
        system.output(),
        " Well.\n[48 tokens, 12.4 tokens/s, first after 0.21 s (prompt of 5 tokens, 23.8 tokens/s), end of text]\n"
    );
    // It knows its system text.
    system.turn(
        "  //exit it",
        r#"9 "chat-2" [(User, "/exit it"), (Stop, ".")]"#,
    );
    system.type_in("\n   \n");
    assert!(system.asked().is_empty());
    system.output();
    system.type_in(" /exit \n");
    let number = system.asked_for("Close { session: \"chat-2\" }");
    system.say(number, &Event::Done);
    assert_eq!(system.output(), "");
    system.type_in("whoami\n");
    system.asked_for("WhoAmI");
}

#[test]
fn a_named_session_stays_and_nothing_is_closed_that_never_was() {
    let mut system = System::plain();
    system.chat("llmchat --session tale");
    system.turn("Hi", r#"128 "tale" [(User, "Hi")]"#);
    system.type_in("/exit\nwhoami\n");
    system.asked_for("WhoAmI");

    let mut system = System::plain();
    system.chat("llmchat");
    system.type_in("/exit\nwhoami\n");
    system.asked_for("WhoAmI");

    // Every turn was refused, so there is no session.
    let mut system = System::plain();
    system.chat("llmchat");
    let number = system.request("Hi");
    system.fail(number, failed(ErrorCode::Busy), b"");
    let number = system.request("/exit");
    system.output();
    system.fail(number, failed(ErrorCode::NoSuchSession), b"");
    assert_eq!(system.output(), "");
    system.type_in("whoami\n");
    system.asked_for("WhoAmI");
}

#[test]
fn a_model_that_cannot_be_talked_to_is_named_before_anything_is_said() {
    let mut system = System::plain();
    let number = system.request("llmchat");
    system.say(number, &status(""));
    let output = system.output();
    assert!(
        output.starts_with("error: the model 'smol' has no chat template"),
        "{output}"
    );
    let number = system.request("llmchat");
    system.say(number, &Event::Status(Status::default()));
    assert!(system.output().starts_with("error: no model is loaded"));
    // And options that would be invalid in every turn.
    for (line, part) in [
        ("llmchat --temperature 99", "--temperature 99"),
        ("llmchat --choices a,,b", "choice 2 is empty"),
        ("llmchat --stop \"\"", "a stop string (--stop) has 0 bytes"),
    ] {
        system.type_in(format!("{line}\n"));
        assert!(system.asked().is_empty(), "{line}");
        let output = system.output();
        assert!(output.contains(part), "{line}: {output}");
    }
    system.type_in("whoami\n");
    system.asked_for("WhoAmI");
}

#[test]
fn a_model_without_template_that_was_loaded_meanwhile_ends_the_conversation_and_completes_nothing()
{
    let mut system = System::plain();
    system.chat("llmchat");
    let number = system.request("Hi");
    system.fail(number, failed(ErrorCode::NoTemplate), b"");
    let output = system.output();
    assert!(
        output.starts_with("error: the model has no chat template"),
        "{output}"
    );
    let number = system.asked_for("Close { session: \"chat-1\" }");
    system.fail(number, failed(ErrorCode::NoSuchSession), b"");
    system.type_in("llmctl status\n");
    let number = system.asked_for("Status");
    system.say(number, &status(""));
    assert!(system.output().contains("template     none"));
}

#[test]
fn a_load_and_the_status_say_whether_texts_can_imitate_roles() {
    let mut system = System::plain();
    for (template, separates, said, help) in [
        (
            "ChatML",
            true,
            "ChatML: control tokens keep roles apart",
            "llmchat",
        ),
        (
            "Llama-2",
            false,
            "Llama-2: text can imitate roles",
            "llmchat",
        ),
        ("", false, "none: it completes texts", "llminfer"),
    ] {
        let mut status = Status {
            name: name("smol"),
            ..Status::default()
        };
        status.model.template = name(template);
        status.model.separates = separates;
        let number = system.request("llmctl load smol");
        let loaded = Event::Loaded {
            name: name("smol"),
            info: status.model,
        };
        system.say(number, &loaded);
        let output = system.output();
        assert!(output.contains(&format!("; template {said}\n")), "{output}");
        let number = system.request("llmctl status");
        system.say(number, &Event::Status(status));
        let line = format!("template     {said}; see 'help {help}'\n");
        let output = system.output();
        assert!(output.contains(&line), "{output}");
    }
}

#[test]
fn a_session_that_was_lost_begins_anew_with_what_the_system_says() {
    for code in [ErrorCode::SessionLost, ErrorCode::SessionEvicted] {
        let mut system = System::plain();
        system.chat("llmchat --system S");
        system.turn("a", r#"128 "chat-1" [(System, "S"), (User, "a")]"#);
        let number = system.request("b");
        system.output();
        system.fail(number, failed(code), b"");
        assert!(
            system
                .output()
                .ends_with("\nthe next line starts the conversation again\n")
        );
        system.turn("c", r#"128 "chat-1" [(System, "S"), (User, "c")]"#);
        system.turn("d", r#"128 "chat-1" [(User, "d")]"#);
    }
    // Audit itself is restarted.
    let mut system = System::plain();
    system.chat("llmchat --system S");
    system.turn("a", r#"128 "chat-1" [(System, "S"), (User, "a")]"#);
    system.audit.lead(2);
    system.shell.on_signal(&mut system.terminal);
    system.say(0, &Event::Ready(user("guest", 0)));
    system.turn("b", r#"128 "chat-1" [(System, "S"), (User, "b")]"#);
}

#[test]
fn ctrl_c_stops_the_answer_and_stays_and_ctrl_d_leaves() {
    let mut system = System::terminal();
    system.type_in("llmchat --system S\r");
    let number = system.asked_for("Status");
    system.say(number, &status("chatml"));
    let number = system.asked_for("Sessions");
    system.say(number, &Event::Listed { count: 0 });
    assert!(system.output().ends_with("\x1b[1mchat> \x1b[0m"));
    system.type_in("Hi\r");
    let number = system.asked_for(r#"128 "chat-1" [(System, "S"), (User, "Hi")]"#);
    system.token(number, b" We");
    system.type_in("\x03");
    assert_eq!(system.asked(), [(number, "Cancel".to_string())]);
    system.say(number, &finished(FinishReason::Cancelled));
    let output = system.output();
    assert!(
        output.contains("cancelled]") && output.ends_with("\x1b[1mchat> \x1b[0m"),
        "{output:?}"
    );
    // After the second Ctrl-C nobody waits for the end, but it still counts for the session.
    system.type_in("And?\r");
    let number = system.asked_for(r#"128 "chat-1" [(User, "And?")]"#);
    system.type_in("\x03\x03");
    assert!(system.output().ends_with("chat> \x1b[0m"));
    assert_eq!(system.asked().len(), 1);
    system.fail(number, failed(ErrorCode::SessionLost), b"");
    system.type_in("Then?\r");
    let number = system.asked_for(r#"128 "chat-1" [(System, "S"), (User, "Then?")]"#);
    system.say(number, &finished(FinishReason::EndOfText));
    // A dropped line does not leave.
    system.type_in("nothing\x03");
    assert!(system.output().ends_with("^C\r\n\x1b[1mchat> \x1b[0m"));
    system.type_in("\x04");
    let number = system.asked_for("Close { session: \"chat-1\" }");
    system.say(number, &Event::Done);
    assert!(system.output().ends_with("\x1b[1mllm> \x1b[0m"));
    // It has only left the conversation.
    assert_eq!(system.asked(), []);
    assert_eq!(system.terminal.input_done, 1);
    assert!(!system.terminal.halted);
}

#[test]
fn history_of_a_conversation_is_that_of_conversations() {
    let up = "\x1b[A";
    let mut system = System::terminal();
    system.type_in("llmctl status\r");
    let number = system.asked_for("Status");
    system.say(number, &Event::Status(Status::default()));
    system.type_in("llmchat --session tale\r");
    let number = system.asked_for("Status");
    system.say(number, &status("zephyr"));
    assert!(system.output().ends_with("\x1b[1mtale> \x1b[0m"));
    system.type_in(format!("{up}\r"));
    assert!(system.asked().is_empty(), "nothing was said before");
    system.type_in("Hi there\r");
    let number = system.asked_for(r#"128 "tale" [(User, "Hi there")]"#);
    system.say(number, &finished(FinishReason::EndOfText));
    system.type_in(format!("{up}\r"));
    let number = system.asked_for(r#"128 "tale" [(User, "Hi there")]"#);
    system.say(number, &finished(FinishReason::EndOfText));
    // Tab completes only commands.
    system.type_in("llmc\t\r");
    let number = system.asked_for(r#"128 "tale" [(User, "llmc")]"#);
    system.say(number, &finished(FinishReason::EndOfText));
    system.type_in("/h\t\r");
    assert!(system.output().contains("//TEXT"));
    system.type_in("/ex\t\r");
    system.type_in(format!("{up}{up}\r"));
    system.asked_for("Status");
}

#[test]
fn the_end_of_a_pipe_ends_the_last_turn_the_session_and_then_all() {
    let mut system = System::plain();
    system.type_in("llmchat\nHi\nAnd?\x04");
    let number = system.asked_for("Status");
    system.say(number, &status("chatml"));
    let number = system.asked_for("Sessions");
    system.say(number, &Event::Listed { count: 0 });
    for said in ["Hi", "And?"] {
        let number = system.asked_for(&format!("128 \"chat-1\" [(User, \"{said}\")]"));
        assert_eq!(system.terminal.input_done, 0);
        system.say(number, &finished(FinishReason::EndOfText));
    }
    let number = system.asked_for("Close { session: \"chat-1\" }");
    assert_eq!(system.terminal.input_done, 0);
    system.say(number, &Event::Done);
    assert_eq!(system.terminal.input_done, 1);
}

#[test]
fn a_session_that_cannot_be_closed_is_named() {
    let mut system = System::plain();
    system.chat("llmchat");
    system.request("Hi");
    system.type_in("\x03\x03");
    assert_eq!(system.asked().len(), 1);
    let number = system.request("/exit");
    system.output();
    system.fail(number, failed(ErrorCode::SessionBusy), b"");
    let output = system.output();
    assert!(
        output.ends_with("'llmctl close chat-1' ends the conversation's session\n"),
        "{output}"
    );
    system.type_in("whoami\n");
    system.asked_for("WhoAmI");
}

#[test]
fn what_is_no_command_of_a_conversation_is_not_said_either() {
    let mut system = System::plain();
    system.chat("llmchat");
    system.type_in("/quit now\n");
    assert!(system.asked().is_empty());
    let output = system.output();
    assert!(
        output.starts_with("error: no command '/quit' in a conversation; did you mean '/exit'?"),
        "{output}"
    );
}
