//! Messages about invalid lines and refused requests.

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
        ("quit", "error: no command 'quit'; did you mean 'exit'?\n"),
        (
            "chat",
            "error: no command 'chat'; did you mean 'llmchat'?\n",
        ),
        (
            "status",
            "error: no command 'status'; did you mean 'llmctl status'?\n",
        ),
        ("help foo", "error: no command 'foo'; see 'help'\n"),
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

#[test]
fn a_word_too_many_comes_with_what_may_have_led_to_it() {
    for (line, expected) in [
        (
            "llminfer Once upon",
            "'upon' is one word too many for llminfer; put the prompt in quotes",
        ),
        (
            "llminfer \"Is it?\" --choices yes, no",
            "'no' is one word too many for llminfer; put the text of --choices in quotes, and the prompt, too",
        ),
        (
            "llminfer --choices yes, no \"Is it?\"",
            "'Is it?' is one word too many for llminfer; put the text of --choices in quotes, and the prompt, too",
        ),
        (
            "llmchat --system You are a pirate.",
            "'are' is one word too many for llmchat; put the text of --system in quotes",
        ),
        (
            "llmchat hello",
            "'hello' is one word too many for llmchat: type your text on the next lines",
        ),
        (
            "llmfinetune --example The fox",
            "'fox' is one word too many for llmfinetune; put the text of --example in quotes",
        ),
        (
            "llminfer \u{201c}Once upon\u{201d}",
            "'upon\u{201d}' is one word too many for llminfer; \u{201c} is not a quote here: put texts in \" or '",
        ),
        (
            "llminfer x --choices \u{ab}yes, no\u{bb}",
            "'no\u{bb}' is one word too many for llminfer; \u{ab} is not a quote here: put texts in \" or '",
        ),
        (
            "llminfer x --choices=\u{2018}yes, no\u{2019}",
            "'no\u{2019}' is one word too many for llminfer; \u{2018} is not a quote here: put texts in \" or '",
        ),
        (
            "llmctl load tiny \u{2014}adapter moral",
            "'\u{2014}adapter' is one word too many for llmctl load; \u{2014} is not a hyphen here: options begin with - or --",
        ),
        (
            "llmctl audit verify now",
            "'now' is one word too many for llmctl audit verify",
        ),
        (
            "llminfer x --choices yes,",
            "choice 2 is empty; --choices takes answers with commas between them, in quotes if there are spaces: \"yes,no\"",
        ),
    ] {
        let mut system = System::plain();
        system.type_in(format!("{line}\n"));
        assert_eq!(system.output(), format!("error: {expected}\n"));
        assert_eq!(system.asked(), []);
    }
}

#[test]
fn an_option_of_llama_cpp_says_what_takes_its_place() {
    for (option, part) in [
        ("-m a.gguf", "'llmctl load NAME' loads one"),
        ("-c 4096", "is fixed when the system is built"),
        ("-t 4", "not a client"),
        ("-ngl 99", "not a client"),
        ("-b 512", "clients cannot choose"),
        ("--grammar \"root ::= x\"", "--format NAME"),
        ("-cnv", "'llmchat' starts a conversation"),
        ("--mirostat 2", "there is no such sampler"),
        ("--file=a.txt", "there are no files"),
    ] {
        for command in ["llminfer x", "llmchat"] {
            let mut system = System::plain();
            system.type_in(format!("{command} {option}\n"));
            let output = system.output();
            let verb = command.split(' ').next().unwrap_or_default();
            let name = option.split([' ', '=']).next().unwrap_or_default();
            let begins = format!("error: {verb} has no {name} like llama.cpp's: ");
            assert!(
                output.starts_with(&begins) && output.contains(part),
                "{output}"
            );
        }
    }
    let mut system = System::plain();
    system.type_in("llminfer x --seed -1\nllminfer x -s -2\nllmstats -m x\n");
    let output = system.output();
    let lines: Vec<&str> = output.lines().collect();
    assert!(
        lines[0].starts_with("error: --seed -1 is out of range, 0 to 18446744073709551615")
            && lines[0].contains("no seed is random here"),
        "{output}"
    );
    assert!(!lines[1].contains("random"), "{output}");
    assert!(
        lines[2].starts_with("error: llmstats has no option '-m'"),
        "{output}"
    );
}
