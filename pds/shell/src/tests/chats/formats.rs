//! Formats in conversations.

use super::*;

#[test]
fn formats_are_listed_and_completed() {
    let mut system = System::terminal();
    let entry = |text: &str, allowed| {
        Event::Format(FormatEntry {
            name: name(text),
            states: 12,
            bytes: 2048,
            allowed,
            ..FormatEntry::default()
        })
    };
    system.type_in("llminfer x --format tr\t");
    let number = system.asked_for("Formats");
    system.say(number, &entry("triage", true));
    system.say(number, &entry("date", false));
    system.say(number, &Event::Listed { count: 2 });
    system.type_in("\r");
    let number = system.asked_for(r#"128 "" [(Prompt, "x")] as triage"#);
    system.output();
    system.fail(number, failed(ErrorCode::FormatNotAllowed), b"");
    let output = system.output();
    assert!(
        output.contains("the policy does not allow you the format 'triage'"),
        "{output}"
    );

    let mut system = System::plain();
    let number = system.request("llmctl formats");
    system.say(number, &entry("triage", true));
    system.say(number, &entry("date", false));
    system.say(number, &Event::Listed { count: 2 });
    assert_eq!(
        system.output(),
        "* triage (12 states, 2048 bytes, sha256 0000000000000000)\n  date (12 states, 2048 bytes, sha256 \
         0000000000000000)\n2 formats in the policy; * marks those you may use\n"
    );
}

#[test]
fn a_breach_of_the_format_is_told_behind_what_came_and_says_what_to_do() {
    let mut system = System::plain();
    let number = system.request("llminfer x --format triage");
    system.token(number, b"ign");
    system.fail(number, failed(ErrorCode::FormatBreach), b"");
    assert_eq!(
        system.output(),
        "ign\nerror: inference violated the format 'triage', so it was stopped and is being restarted; the answer so far is incomplete: ask again\n"
    );
    let number = system.request("llminfer x --choices a,b --max-tokens 1");
    system.fail(number, Failure::over(ErrorCode::FormatTooLong, 0, 1), b"");
    assert_eq!(
        system.output(),
        "error: none of the choices can be completed with 1 token; raise --max-tokens\n"
    );
}

#[test]
fn what_an_answer_was_bound_to_is_named_also_of_a_job_and_of_choices() {
    for (options, code, expected) in [
        (
            "--format triage",
            ErrorCode::FormatTooLong,
            "no answer of the format 'triage' can",
        ),
        (
            "--format triage",
            ErrorCode::FormatBreach,
            "violated the format 'triage'",
        ),
        (
            "--choices a,b",
            ErrorCode::FormatTooLong,
            "none of the choices can",
        ),
        (
            "--choices a,b",
            ErrorCode::FormatBreach,
            "violated the choices",
        ),
        (
            "--choices a,b",
            ErrorCode::FormatNotSpelled,
            "no tokens for the choices",
        ),
    ] {
        let mut system = System::plain();
        let number = system.request(&format!("llminfer x {options}"));
        system.fail(number, Failure::over(code, 0, 1), b"");
        let output = system.output();
        assert!(output.contains(expected), "{output}");
        let number = system.request(&format!("llminfer x {options} --background"));
        system.fail(number, Failure::over(code, 0, 1), b"");
        system.type_in("llmctl wait 1\n");
        let output = system.output();
        assert!(output.contains(expected), "{output}");
    }
}
