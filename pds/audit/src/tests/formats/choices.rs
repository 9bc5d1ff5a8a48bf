//! Choices as the format of a request.

use super::*;

#[test]
fn choices_are_a_format_of_the_request() {
    let over = |code, value| Failure::over(code, value, 0);
    let mut system = serving();
    for (list, failure) in [
        (&["a", ""][..], over(ErrorCode::ChoiceEmpty, 2)),
        (&["a", "b", "a"], over(ErrorCode::ChoiceTwice, 3)),
        (&["a\nb"], over(ErrorCode::ChoiceLineFeed, 1)),
    ] {
        system.is_refused(&request("", choices(list)), failure);
    }
    // One stop string may be the beginning of another.
    let list = request("", choices(&["no", "not yet"]));
    for (tokens, word) in [(&["no"][..], "no"), (&["n", "ot", " yet"], "not yet")] {
        let number = begin(&mut system, &list);
        assert_eq!(system.bound, 0, "they are in the parts");
        for token in tokens {
            system.token(number, token);
        }
        system.finished(number, FinishReason::EndOfText, tokens.len() as u32);
        assert_eq!(heard(&mut system).0, word);
    }
    let record = system.last_record(Kind::Finish);
    assert_eq!(record.format.as_str(), "choices");
    let digest: [u8; 32] = Sha256::digest(b"no\nnot yet").into();
    assert_eq!(record.format_sha256, digest);
}

#[test]
fn an_answer_that_is_none_of_the_choices_of_its_own_request_is_a_breach() {
    let list = request("", choices(&["no", "not yet"]));
    for (token, shown, ends) in [("yes", "", false), ("not", "not", true), ("no!", "", false)] {
        let mut system = serving();
        let number = begin(&mut system, &list);
        system.token(number, token);
        if ends {
            system.finished(number, FinishReason::EndOfText, 1);
        }
        is_broken_off(&mut system, shown, ErrorCode::FormatBreach);
    }
    // The words of one request are not applied to the next in its place.
    let mut system = serving();
    let number = begin(&mut system, &list);
    system.token(number, "no");
    system.finished(number, FinishReason::EndOfText, 1);
    heard(&mut system);
    let number = begin(&mut system, &request("", choices(&["si"])));
    system.token(number, "no");
    let failed = Told::Failed(1, Failure::of(ErrorCode::FormatBreach));
    assert_eq!(heard(&mut system), (String::new(), Some(failed)));
}
