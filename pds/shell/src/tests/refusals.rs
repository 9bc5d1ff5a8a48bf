//! What is wrong or refused, in words.

use super::harness::*;

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
            "error: llminfer has no option '--tmperature'; did you mean '--temperature'?\n",
        ),
        ("llminfer \"Once", "error: the quote \" is not closed\n"),
        ("llminfer \"\"", "error: the prompt is empty\n"),
        (
            "llminfer x --temperature hot",
            "error: --temperature 'hot' is not a number such as 0.8, 0 to 10, with at most six digits after the point\n",
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
    ] {
        let mut system = System::plain();
        system.type_in(format!("{line}\n").as_bytes());
        assert_eq!(system.output(), expected);
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
            "it took 30.12 s, 30.00 s are allowed; ask for fewer tokens",
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
fn what_was_named_is_named_in_the_refusal() {
    for (line, code, expected) in [
        (
            "llmctl load big",
            ErrorCode::NoSuchModel,
            "no model 'big' in the store; see 'llmctl models'",
        ),
        (
            "llmctl close tale",
            ErrorCode::NoSuchSession,
            "you have no session 'tale'; see 'llmctl sessions'",
        ),
        (
            "llmctl budget bob",
            ErrorCode::NoSuchUser,
            "the policy has no user 'bob'",
        ),
    ] {
        let mut system = System::plain();
        let number = system.request(line);
        system.fail(number, Failure::of(code), b"");
        assert_eq!(system.output(), format!("error: {expected}\n"));
    }
}
