//! Limits of conversations.

use super::*;

#[test]
fn what_is_too_much_in_a_conversation_gets_a_plain_message_and_the_conversation_goes_on() {
    let mut system = System::plain();
    system.chat("llmchat");
    for (line, expected) in [
        (
            "/exit now",
            "error: 'now' cannot follow /exit, which stands alone; begin the line with // to say it\n",
        ),
        (
            "/help\tme out",
            "error: 'me out' cannot follow /help, which stands alone; begin the line with // to say it\n",
        ),
        (
            "/exiit",
            "error: no command '/exiit' in a conversation; did you mean '/exit'? Begin the line with // to say it\n",
        ),
        (
            "/unknown",
            "error: no command '/unknown' in a conversation; see /help, or begin the line with // to say it\n",
        ),
    ] {
        system.type_in(format!("{line}\n"));
        assert_eq!(system.output(), expected);
        assert!(system.asked().is_empty(), "{line}");
    }
    system.turn("Hi", r#"128 "chat-1" [(User, "Hi")]"#);
}

#[test]
fn a_session_that_has_begun_goes_on_without_the_system_text_that_comes_too_late() {
    let told = "the session 'tale' has begun, so --system is ignored; after 'llmctl close tale' it can start again\n";
    for (who, state, begun) in [
        ("guest", SessionState::Idle, true),
        ("guest", SessionState::Active, true),
        ("guest", SessionState::Evicted, false),
        ("admin", SessionState::Idle, false),
    ] {
        let mut system = System::plain();
        let number = system.request("llmchat --session tale --system S");
        system.say(number, &status("chatml"));
        let number = system.asked_for("Sessions");
        let found = SessionEntry {
            name: name("tale"),
            user: name(who),
            state,
            turns: 1,
            ..SessionEntry::default()
        };
        system.say(number, &session("guest", "other"));
        system.say(number, &Event::Session(found));
        system.say(number, &session("guest", "another"));
        system.say(number, &Event::Listed { count: 3 });
        assert_eq!(system.output().starts_with(told), begun, "{who} {state:?}");
        system.turn(
            "Hi",
            if begun {
                r#"128 "tale" [(User, "Hi")]"#
            } else {
                r#"128 "tale" [(System, "S"), (User, "Hi")]"#
            },
        );
    }
    // It was started between the question and the first turn.
    let mut system = System::plain();
    let number = system.request("llmchat --session tale --system S");
    system.say(number, &status("chatml"));
    let number = system.asked_for("Sessions");
    system.say(number, &Event::Listed { count: 0 });
    system.output();
    let number = system.request("Hi");
    system.fail(number, Failure::over(ErrorCode::SegmentRole, 1, 0), b"");
    let output = system.output();
    assert!(
        output.starts_with("error: the session has begun")
            && output.ends_with(": say that again\n"),
        "{output}"
    );
    system.turn("Hi", r#"128 "tale" [(User, "Hi")]"#);
}
