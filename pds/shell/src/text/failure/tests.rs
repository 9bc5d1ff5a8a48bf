use super::*;
use crate::text::CodeName;
use crate::text::tests::check_plurals;
use std::string::{String, ToString as _};
use std::vec::Vec;

fn text(failure: Failure, detail: &str) -> String {
    let detail = detail.as_bytes();
    FailureText { failure, detail }.to_string()
}

#[test]
fn every_code_has_a_text_of_its_own_with_its_value() {
    let mut texts = Vec::new();
    for &code in ErrorCode::ALL {
        let text = text(Failure::over(code, 7_000_000, 9_000_000), "thing");
        assert!(
            text.len() > 20 || code == ErrorCode::EmptyPrompt,
            "{code:?}: {text}"
        );
        assert!(!texts.contains(&text), "{text}");
        texts.push(text);
    }
}

#[test]
fn one_is_no_plural_and_no_advice_is_given_twice() {
    for &code in ErrorCode::ALL {
        for detail in ["", "thing"] {
            let text = text(Failure::over(code, 1, 1), detail);
            check_plurals(&text);
            assert!(text.matches("see '").count() <= 1, "{text}");
        }
    }
}

#[test]
fn what_to_do_is_named() {
    for (code, part) in [
        (ErrorCode::QuotaExceeded, "'llmctl budget'"),
        (ErrorCode::SessionEvicted, "now starts it anew"),
        (ErrorCode::SessionLost, "now starts it anew"),
        (ErrorCode::LoginDelayed, "try again in 7 s"),
        (ErrorCode::LoginFailed, "try again in 7 s"),
        (ErrorCode::Unsigned, "'llmtool sign'"),
        (ErrorCode::BadSignature, "copy it again from its source, or"),
        (ErrorCode::RestartsExhausted, "'llmctl reset'"),
        (ErrorCode::ControlRefused, "'make isolation'"),
        (ErrorCode::NotPermitted, "'login USER'"),
        (ErrorCode::TooManySessions, "'llmctl close NAME'"),
        (ErrorCode::BadPolicy, "'llmtool policy'"),
        (ErrorCode::NoSuchAdapter, "'llmctl adapters'"),
        (ErrorCode::NoSuchData, "'llmtool pack'"),
        (ErrorCode::AdapterNotLoaded, "'llmctl adapter load NAME'"),
        (ErrorCode::TooManyAdapters, "'llmctl adapter drop NAME'"),
        (ErrorCode::AdapterExists, "--adapter NAME"),
        (ErrorCode::NoDeviceKey, "'llmtool keygen --device'"),
        (ErrorCode::Training, "'llmctl status'"),
        (ErrorCode::ExamplesFull, "'llmfinetune --drop-examples'"),
        (ErrorCode::TrainRate, "--rate 0.007"),
        (ErrorCode::UnknownFormat, "'llmctl formats'"),
        (ErrorCode::FormatNotAllowed, "'llmctl formats'"),
        (ErrorCode::FormatNeeded, "--format NAME"),
        (ErrorCode::FormatTooLong, "raise --max-tokens"),
        (ErrorCode::FormatBreach, "ask again"),
        (ErrorCode::StopBreach, "ask again"),
        (ErrorCode::NoTemplate, "'llmctl models'"),
        (ErrorCode::NoSystem, "without --system"),
        (ErrorCode::SegmentRole, "begin another session"),
    ] {
        let text = text(Failure::over(code, 7_000_000, 1_000_000), "");
        assert!(text.contains(part), "{text}");
        assert!(!text.contains("''"), "no empty name: {text}");
    }
    let refused = Failure::over(ErrorCode::NotPermitted, Permission::Load as u64, 0);
    assert_eq!(
        text(refused, "guest"),
        "you need the permission 'load', which the role of 'guest' does not have; log in as a user who has it with \
         'login USER'"
    );
}

#[test]
fn names_of_codes_are_one_word() {
    assert_eq!(
        CodeName(ErrorCode::QuotaExceeded).to_string(),
        "quota-exceeded"
    );
    assert_eq!(
        CodeName(ErrorCode::PromptNotUtf8).to_string(),
        "prompt-not-utf8"
    );
    assert_eq!(CodeName(ErrorCode::TopP).to_string(), "top-p");
}
