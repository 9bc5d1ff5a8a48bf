//! What an answer may contain: formats, choices, stop strings, and the text that templates add to conversations.

mod choices;
mod conversations;
mod policy;
mod stops;

use super::harness::*;
use crate::models::tests as models;
use formats::encode::{Encoded, image, words};
use proptest::prelude::*;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_FIXED_TOKENS, MAX_SEGMENT_TOKENS};
use protocol::name::{FormatName, ModelName, SessionName, TemplateName};
use protocol::policy::{FormatRule, Policy, PolicyError};
use protocol::record::Kind;
use protocol::ring::Frame;
use protocol::testing::{completion, parts};
use protocol::wire::client::{Event, FormatEntry, LogQuery, Request};
use protocol::wire::engine::{Command, Loaded, Report};
use protocol::wire::{FinishReason, InferParams, ModelInfo, PartKind, Parts};
use sha2::{Digest as _, Sha256};
use std::string::String;
use std::vec::Vec;
use zerocopy::IntoBytes as _;

/// Words of the format `verdict`.
const VERDICT: [&str; 4] = ["yes", "no", "not yet", "\u{fc}"];

fn encoded(list: &[&str]) -> Encoded {
    let list: Vec<&[u8]> = list.iter().map(|word| word.as_bytes()).collect();
    Encoded::new(&words(&list)).unwrap()
}

/// The region: `verdict` and `digits`.
fn region() -> Vec<u8> {
    let (verdict, digits) = (encoded(&VERDICT), encoded(&["12", "1234"]));
    image([("verdict", &verdict), ("digits", &digits)]).unwrap()
}

fn with_formats(mut policy: Policy) -> Policy {
    let image = region();
    policy.format_count = 2;
    policy.formats_bytes = image.len() as u32;
    policy.formats_sha256 = Sha256::digest(&image).into();
    policy
}

fn booted(policy: &Policy, region: Vec<u8>) -> System {
    System::with_formats(policy.as_bytes(), models::signed(), region)
}

fn serving_with(policy: &Policy) -> System {
    let mut region = region();
    // The region is longer than its content.
    region.resize(1 << 16, 0xEE);
    let mut system = booted(policy, region);
    system.join();
    system.loaded(system.own_load);
    system.told();
    system
}

fn serving() -> System {
    serving_with(&with_formats(policy()))
}

fn request(format: &str, parts: Parts<'static>) -> Request<'static> {
    Request::Infer {
        params: InferParams {
            max_tokens: 20,
            ..InferParams::default()
        },
        session: SessionName::EMPTY,
        adapter: ModelName::EMPTY,
        format: FormatName::new(format).unwrap(),
        parts,
    }
}

fn prompt(more: &[(PartKind, &str)]) -> Parts<'static> {
    let mut list: Vec<(PartKind, &[u8])> = [(PartKind::Text, &b"once"[..])].into();
    list.extend(more.iter().map(|(kind, text)| (*kind, text.as_bytes())));
    parts(&list)
}

fn choices(list: &[&str]) -> Parts<'static> {
    let list: Vec<_> = list.iter().map(|text| (PartKind::Choice, *text)).collect();
    prompt(&list)
}

fn stops(list: &[&str]) -> Parts<'static> {
    let list: Vec<_> = list.iter().map(|text| (PartKind::Stop, *text)).collect();
    prompt(&list)
}

/// Asks for text under the number 1. Returns inference's number of the request.
fn begin(system: &mut System, request: &Request<'_>) -> u32 {
    system.ask(1, request);
    system.admitted()
}

fn say_bytes(system: &mut System, number: u32, text: &[u8]) {
    system.say(number, &Report::Token { id: 1, text });
}

/// All text received, and the end if there is one.
fn heard(system: &mut System) -> (String, Option<Told>) {
    let (mut text, mut end) = (String::new(), None);
    for told in system.told_at_last() {
        match told {
            Told::Text(1, more) => text += &more,
            Told::Finished(1, _) | Told::Failed(1, _) => end = Some(told),
            _ => {}
        }
    }
    (text, end)
}

/// Checks that the answer was cut off after `shown` for this reason, and inference was restarted.
#[track_caller]
fn is_broken_off(system: &mut System, shown: &str, code: ErrorCode) {
    let (text, end) = heard(system);
    assert_eq!(text, shown);
    assert_eq!(end, Some(Told::Failed(1, Failure::of(code))));
    assert_eq!(system.runtime.restarts, 1);
    assert_eq!(system.last_record(Kind::Fail).code, code as u16);
    assert_eq!(system.last_record(Kind::Violation).code, 2);
    assert_eq!(system.budget().used, 0, "it costs nothing");
    assert_eq!(system.stats().format_breaches, 1);
}

#[test]
fn a_word_passes_and_is_on_record_with_its_format() {
    let mut system = serving();
    let number = begin(&mut system, &request("verdict", completion(b"once")));
    assert_eq!(system.bound, 1, "its number and one");
    system.token(number, "no");
    system.token(number, "t yet");
    system.finished(number, FinishReason::MaxTokens, 2);
    let (text, end) = heard(&mut system);
    assert_eq!(text, "not yet");
    let Some(Told::Finished(1, finished)) = end else {
        panic!("{end:?}");
    };
    // What inference says besides the text is not passed on: neither why it ended nor its length of the prompt.
    assert_eq!(finished.reason, FinishReason::EndOfText);
    assert_eq!((finished.prompt_tokens, finished.generated_tokens), (0, 2));
    let record = system.last_record(Kind::Finish);
    assert_eq!(record.code, FinishReason::MaxTokens as u16);
    assert_eq!(record.prompt_tokens, 3);
    for record in [record, system.last_record(Kind::Admit)] {
        assert_eq!(record.format.as_str(), "verdict");
        let image = region();
        let table = formats::Formats::read(&image).unwrap();
        let table: [u8; 32] = Sha256::digest(table.get(0).unwrap().table).into();
        assert_eq!(record.format_sha256, table);
    }
    assert_eq!(system.runtime.restarts, 0);
    // Without a format, nothing is withheld.
    let number = begin(&mut system, &request("", completion(b"once")));
    assert_eq!(system.bound, 0);
    system.token(number, "anything");
    system.finished(number, FinishReason::EndOfText, 1);
    let (text, end) = heard(&mut system);
    assert_eq!(text, "anything");
    assert!(matches!(end, Some(Told::Finished(1, finished)) if finished.prompt_tokens == 3));
    assert!(system.last_record(Kind::Finish).format.is_empty());
}

#[test]
fn a_wrong_byte_at_any_position_ends_the_answer_and_none_of_its_token_is_shown() {
    let word = "not yet";
    for at in 0..word.len() {
        for before in 0..=at {
            let mut system = serving();
            let number = begin(&mut system, &request("verdict", completion(b"once")));
            system.token(number, &word[..before]);
            // The token's first bytes are right.
            let wrong = [&word[before..at], "#", &word[at..]].concat();
            system.token(number, &wrong);
            is_broken_off(&mut system, &word[..before], ErrorCode::FormatBreach);
        }
    }
}

#[test]
fn the_others_end_with_the_breach_of_one() {
    let mut system = serving();
    system.infer(7, 5);
    system.admitted();
    let number = begin(&mut system, &request("verdict", completion(b"once")));
    system.token(number, "maybe");
    let told = system.told_at_last();
    let failed = |id, code| Told::Failed(id, Failure::of(code));
    assert!(told.contains(&failed(1, ErrorCode::FormatBreach)));
    assert!(told.contains(&failed(7, ErrorCode::ProtocolViolation)));
    // And inference is back in service.
    system.join();
    system.loaded(system.own_load);
    system.told_at_last();
    let number = begin(&mut system, &request("verdict", completion(b"once")));
    system.token(number, "yes");
    system.finished(number, FinishReason::EndOfText, 1);
    assert_eq!(heard(&mut system).0, "yes");
}

#[test]
fn an_end_at_what_is_no_word_is_a_breach_whatever_the_reason() {
    for reason in FinishReason::ALL {
        for text in ["", "n", "not", "not ye"] {
            let mut system = serving();
            let number = begin(&mut system, &request("verdict", completion(b"once")));
            if !text.is_empty() {
                system.token(number, text);
            }
            system.finished(number, *reason, u32::from(!text.is_empty()));
            if *reason == FinishReason::Stop {
                // There are no stop strings, so not even a word ends with one.
                assert_eq!(system.runtime.restarts, 1);
                let (shown, end) = heard(&mut system);
                assert_eq!(shown, text);
                let failure = Failure::of(ErrorCode::ProtocolViolation);
                assert_eq!(end, Some(Told::Failed(1, failure)));
            } else {
                is_broken_off(&mut system, text, ErrorCode::FormatBreach);
            }
        }
    }
}

#[test]
fn bytes_behind_the_end_of_a_word_are_a_breach() {
    for (word, more) in [("yes", "s"), ("no", "!"), ("not yet", " "), ("yes", "yes")] {
        let mut system = serving();
        let number = begin(&mut system, &request("verdict", completion(b"once")));
        system.token(number, word);
        system.token(number, "");
        system.token(number, more);
        is_broken_off(&mut system, word, ErrorCode::FormatBreach);
    }
}

#[test]
fn a_word_of_another_format_is_a_breach() {
    let mut system = serving();
    let number = begin(&mut system, &request("digits", completion(b"once")));
    assert_eq!(system.bound, 2);
    system.token(number, "yes");
    is_broken_off(&mut system, "", ErrorCode::FormatBreach);
}

#[test]
fn a_character_that_is_split_is_walked_byte_by_byte() {
    let mut system = serving();
    let number = begin(&mut system, &request("verdict", completion(b"once")));
    // Read in one wake-up: whatever was told is complete.
    let mut frame = protocol::ring::Frame::new();
    for text in [&b"\xc3"[..], b"\xbc"] {
        Report::Token { id: 1, text }.write(number, &mut frame);
        system.inference.send(&frame).unwrap();
    }
    system.wake();
    system.finished(number, FinishReason::EndOfText, 2);
    assert_eq!(heard(&mut system).0, "\u{fc}");

    // A different second half, and no second half.
    let other = |system: &mut System, number| say_bytes(system, number, b"\xc3\xb6");
    let none = |system: &mut System, number| system.finished(number, FinishReason::EndOfText, 0);
    for breaks in [other as fn(&mut System, u32), none] {
        let mut system = serving();
        let number = begin(&mut system, &request("verdict", completion(b"once")));
        breaks(&mut system, number);
        is_broken_off(&mut system, "", ErrorCode::FormatBreach);
    }
}

#[test]
fn an_answer_that_was_to_stop_may_end_anywhere() {
    let mut system = serving();
    let number = begin(&mut system, &request("verdict", completion(b"once")));
    system.token(number, "n");
    system.ask(1, &Request::Cancel);
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    system.finished(number, FinishReason::Cancelled, 1);
    let (text, end) = heard(&mut system);
    assert_eq!((text.as_str(), system.runtime.restarts), ("n", 0));
    let Some(Told::Finished(1, finished)) = end else {
        panic!("{end:?}");
    };
    assert_eq!(
        (finished.reason, finished.prompt_tokens),
        (FinishReason::Cancelled, 0)
    );
}

#[test]
fn of_a_failure_under_a_format_only_the_reason_passes() {
    let long = Failure::over(ErrorCode::FormatTooLong, 77, 88);
    let failed = |system: &mut System, request: &Request<'_>| {
        let number = begin(system, request);
        let (failure, detail) = (long, &b"secret"[..]);
        system.say(number, &Report::Failed { failure, detail });
        let mut frame = protocol::ring::Frame::new();
        assert!(system.shell.receive(&mut frame).unwrap());
        let event = protocol::wire::client::Event::parse(&frame).unwrap();
        match event {
            protocol::wire::client::Event::Failed { failure, detail } => (failure, detail.to_vec()),
            other => panic!("{other:?}"),
        }
    };
    let mut system = serving();
    let bare = Failure::over(ErrorCode::FormatTooLong, 0, 20);
    for bound in [
        request("verdict", completion(b"once")),
        request("", choices(&["a"])),
    ] {
        assert_eq!(failed(&mut system, &bound), (bare, Vec::new()));
        let record = system.last_record(Kind::Fail);
        assert_eq!((record.value, record.limit), (77, 88), "the log has it");
    }
    let free = request("", completion(b"once"));
    assert_eq!(failed(&mut system, &free), (long, b"secret".to_vec()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_inference_says_a_client_gets_a_prefix_of_a_word_and_an_end_only_behind_one(
        says in prop::collection::vec(
            prop_oneof![
                6 => "(y|e|s|n|o|t| |no|not| yet|yes|a|\u{fc}|){1,2}",
                1 => Just(String::from("end")),
            ],
            1..8,
        ),
        ad_hoc in any::<bool>(),
    ) {
        let mut system = serving();
        let asked = match ad_hoc {
            true => request("", choices(&VERDICT)),
            false => request("verdict", completion(b"once")),
        };
        let number = begin(&mut system, &asked);
        let mut tokens = 0;
        for text in says {
            if system.runtime.restarts > 0 {
                break;
            }
            match text.as_str() {
                "end" => {
                    system.finished(number, FinishReason::EndOfText, tokens);
                    break;
                }
                text => {
                    system.token(number, text);
                    tokens += 1;
                }
            }
            system.asked();
        }
        let (text, end) = heard(&mut system);
        prop_assert!(VERDICT.iter().any(|word| word.starts_with(&text)), "{text}");
        match end {
            Some(Told::Finished(..)) => prop_assert!(VERDICT.contains(&text.as_str())),
            Some(Told::Failed(_, failure)) => {
                prop_assert_eq!(failure, Failure::of(ErrorCode::FormatBreach));
                prop_assert_eq!(system.runtime.restarts, 1);
            }
            _ => prop_assert_eq!(system.runtime.restarts, 0),
        }
    }
}
