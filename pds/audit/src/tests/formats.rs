//! What an answer may contain: formats, choices, stop strings, and the text that templates add to conversations.

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

/// The system whose policy was changed by `change` refuses these for this reason, and admits those.
fn refuses_and_admits(
    change: impl FnOnce(&mut Policy),
    refused: &[(Request<'_>, ErrorCode)],
    admitted: &[Request<'_>],
) {
    let mut policy = with_formats(policy());
    change(&mut policy);
    let mut system = serving_with(&policy);
    for (request, code) in refused {
        system.is_refused(request, Failure::of(*code));
    }
    for (id, request) in (1..).zip(admitted) {
        system.ask(id, request);
        system.admitted();
    }
}

#[test]
fn a_format_must_be_there_and_alone() {
    let both = prompt(&[(PartKind::Stop, "a"), (PartKind::Choice, "b")]);
    let once = completion(b"once");
    let refused = [
        (request("nothing", once), ErrorCode::UnknownFormat),
        (
            request("verdict", choices(&["a"])),
            ErrorCode::FormatAndChoices,
        ),
        (request("verdict", stops(&["a"])), ErrorCode::FormatAndStops),
        (request("", both), ErrorCode::FormatAndStops),
    ];
    refuses_and_admits(|_| (), &refused, &[request("verdict", once)]);
}

#[test]
fn role_and_client_say_which_formats_may_and_whether_one_must_be_used() {
    let once = completion(b"once");
    let [free, verdict, digits] = ["", "verdict", "digits"].map(|name| request(name, once));
    let ad_hoc = request("", choices(&["a"]));
    let stopped = request("", stops(&["x"]));
    let only_digits = FormatRule::NONE.with(1);
    let must = only_digits.with_choices().with_must();
    let (not, needed) = (ErrorCode::FormatNotAllowed, ErrorCode::FormatNeeded);
    let of_role = |policy: &mut Policy, rule| policy.roles[0].formats = rule;
    let of_client = |policy: &mut Policy, rule| policy.clients[0].formats = rule;
    let changes: [fn(&mut Policy, FormatRule); 2] = [of_role, of_client];
    for change in changes {
        let refused = [(verdict, not), (ad_hoc, not)];
        refuses_and_admits(
            |it| change(it, only_digits),
            &refused,
            &[digits, free, stopped],
        );
        let refused = [(free, needed), (stopped, needed), (verdict, not)];
        refuses_and_admits(|it| change(it, must), &refused, &[ad_hoc, digits]);
    }
    let both = |policy: &mut Policy| {
        of_role(policy, FormatRule::NONE.with(0));
        of_client(policy, only_digits);
    };
    refuses_and_admits(both, &[(verdict, not), (digits, not)], &[free]);
}

#[test]
fn who_must_use_a_format_is_told_nothing_else_that_inference_chooses() {
    let name = ModelName::new("default").unwrap();
    let mut policy = with_formats(policy());
    for (is_bound, ip) in [(false, FAULT.ip), (true, 0)] {
        policy.clients[0].formats = match is_bound {
            true => FormatRule::ANY.with_must(),
            false => FormatRule::ANY,
        };
        let mut system = serving_with(&policy);
        system.audit.on_fault(FAULT, &mut system.runtime);
        system.wake();
        match &system.told()[..] {
            [Told::Fault(fault, 1)] => assert_eq!(fault.ip, ip),
            other => panic!("{other:?}"),
        }
        system.join();
        let failure = Failure::over(ErrorCode::BadModel, 0x5ec2e7, 0x5ec2e7);
        let load = system.own_load;
        let detail = b"anything";
        system.say(load, &Report::Failed { failure, detail });
        let mut frame = Frame::new();
        let mut heard = 0;
        while system.shell.receive(&mut frame).unwrap() {
            if let Event::Failed {
                failure: told,
                detail,
            } = Event::parse(&frame).unwrap()
            {
                let (passes, says) = match is_bound {
                    true => (Failure::of(failure.code), &b""[..]),
                    false => (failure, &b"anything"[..]),
                };
                assert_eq!((told, detail), (passes, says));
                heard += 1;
            }
        }
        assert_eq!(heard, 1);
    }
    let mut system = serving_with(&policy);
    for request in [
        Request::Status,
        Request::Load { name },
        Request::Adapters,
        Request::LoadAdapter { name },
        Request::ExportAdapter { name },
        Request::Log(LogQuery::default()),
    ] {
        system.is_refused(&request, Failure::of(ErrorCode::FormatNeeded));
    }
    system.ask(5, &Request::Models);
    assert!(matches!(system.told()[..], [.., Told::Listed(5, _)]));
}

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

#[test]
fn what_may_become_a_stop_string_is_held_back_until_it_does_not() {
    let mut system = serving();
    let number = begin(&mut system, &request("", stops(&["abc", "xyz"])));
    let mut text = String::new();
    for (token, shown) in [
        ("1a", "1"),
        ("b", ""),
        ("a", "ab"),
        ("b", ""),
        ("d", "abd"),
        ("xy", ""),
    ] {
        system.token(number, token);
        text += &heard(&mut system).0;
        assert!(text.ends_with(shown), "{text} after {token}");
    }
    assert_eq!(text, "1ababd");
    // All its tokens have been sent; the text that was held back follows with the end.
    system.finished(number, FinishReason::EndOfText, 6);
    let told = system.told_at_last();
    assert_eq!(told[0], Told::Text(1, "xy".into()));
    assert!(matches!(told[1], Told::Finished(1, finished) if finished.generated_tokens == 6));
    let record = system.last_record(Kind::Finish);
    assert_eq!((record.stops, record.generated_tokens), (2, 6));

    // An answer that ends at a stop string ends before it, and the text held back was part of the stop string.
    let number = begin(&mut system, &request("", stops(&["abc"])));
    system.token(number, "1ab");
    system.finished(number, FinishReason::Stop, 1);
    let (text, end) = heard(&mut system);
    assert_eq!(text, "1ab");
    assert!(matches!(end, Some(Told::Finished(1, it)) if it.reason == FinishReason::Stop));
    assert_eq!(
        system.last_record(Kind::Finish).code,
        FinishReason::Stop as u16
    );
    assert_eq!(system.runtime.restarts, 0);
}

#[test]
fn a_stop_string_in_what_came_is_a_breach_and_none_of_it_is_shown() {
    for (tokens, shown) in [
        (&["one abc"][..], ""),
        (&["one ab", "c two"], "one "),
        (&["a", "b", "c"], ""),
        (&["aab", "c"], "a"),
    ] {
        let mut system = serving();
        let number = begin(&mut system, &request("", stops(&["abc"])));
        for token in tokens {
            system.token(number, token);
        }
        is_broken_off(&mut system, shown, ErrorCode::StopBreach);
    }
    let mut system = serving();
    let number = begin(&mut system, &request("", completion(b"once")));
    system.finished(number, FinishReason::Stop, 0);
    assert_eq!(system.runtime.restarts, 1, "it has no stop strings");
}

#[test]
fn the_longest_tokens_fit_with_what_was_held_back() {
    let mut system = serving();
    let stop = "a".repeat(63) + "b";
    let number = begin(&mut system, &request("", stops(&[&stop])));
    system.token(number, &"a".repeat(63));
    assert_eq!(heard(&mut system).0, "");
    let mut frame = protocol::ring::Frame::new();
    let text = [b'c'; 256];
    for _ in 0..15 {
        Report::Token { id: 1, text: &text }.write(number, &mut frame);
        system.inference.send(&frame).unwrap();
    }
    system.wake();
    let (text, _) = heard(&mut system);
    assert_eq!((text.len(), system.runtime.restarts), (63 + 15 * 256, 0));
}

fn conversation() -> Parts<'static> {
    parts(&[
        (PartKind::System, b"be"),
        (PartKind::User, b"how?"),
        (PartKind::Assistant, b""),
        (PartKind::User, b"so"),
        (PartKind::Stop, b"stop"),
    ])
}

/// Loads a model with a template.
fn instruct(fixed_tokens: u32, segment_tokens: u32) -> Loaded {
    let loaded = loaded();
    Loaded {
        info: ModelInfo {
            fixed_tokens,
            segment_tokens,
            ..loaded.info
        },
        ..loaded
    }
}

#[test]
fn a_conversation_reserves_what_its_template_adds_and_no_more_is_believed() {
    let most = 8 + 2 + 30 + 4 * 5;
    for (prompt_tokens, restarts) in [(most, 0), (most + 1, 1)] {
        let mut system = booted(&with_formats(policy()), region());
        system.join();
        system.say(system.own_load, &Report::Loaded(instruct(30, 5)));
        system.told();
        let number = begin(&mut system, &request("", conversation()));
        assert_eq!(system.budget().reserved, u64::from(most) + 20);
        system.say(
            number,
            &Report::Finished {
                reason: FinishReason::EndOfText,
                prompt_tokens,
                generated_tokens: 0,
            },
        );
        assert_eq!(system.runtime.restarts, restarts);
        let used = if restarts == 0 { u64::from(most) } else { 0 };
        assert_eq!(system.budget().used, used);
        let admit = system.last_record(Kind::Admit);
        assert_eq!((admit.segments, admit.stops), (4, 1));
        let bytes = conversation().as_bytes().len();
        assert_eq!(admit.prompt_bytes as usize, bytes);
        let digest: [u8; 32] = Sha256::digest(conversation().as_bytes()).into();
        assert_eq!(admit.prompt_sha256, digest);
        let log = system.audit.log();
        let entry = log.iter().find(|entry| entry.record == admit).unwrap();
        assert_eq!(entry.text.to_vec(), conversation().as_bytes());
    }
    // Roles out of order are refused, with the position.
    let mut system = serving();
    let wrong = parts(&[(PartKind::User, b"x"), (PartKind::User, b"y")]);
    let failure = Failure::over(ErrorCode::SegmentRole, 2, 0);
    system.is_refused(&request("", wrong), failure);
}

#[test]
fn the_log_says_whether_texts_could_spell_user_defined_tokens() {
    for allowed in [0, 1] {
        let policy = Policy {
            user_defined: allowed,
            ..policy()
        };
        let mut system = System::serving_with(&policy);
        let number = begin(
            &mut system,
            &request("", parts(&[(PartKind::Prompt, b"x")])),
        );
        system.say(
            number,
            &Report::Finished {
                reason: FinishReason::EndOfText,
                prompt_tokens: 2,
                generated_tokens: 0,
            },
        );
        for kind in [Kind::Admit, Kind::Finish] {
            assert_eq!(
                u32::from(system.last_record(kind).user_defined),
                allowed,
                "{kind:?}"
            );
        }
    }
}

#[test]
fn a_template_that_claims_to_add_too_much_is_a_breach() {
    let (fixed, each) = (MAX_FIXED_TOKENS, MAX_SEGMENT_TOKENS);
    for (loaded, restarts) in [
        (instruct(fixed, each), 0),
        (instruct(fixed + 1, 0), 1),
        (instruct(0, each + 1), 1),
    ] {
        let mut system = booted(&with_formats(policy()), region());
        system.join();
        system.say(system.own_load, &Report::Loaded(loaded));
        assert_eq!(system.runtime.restarts, restarts);
    }
}

#[test]
fn the_formats_are_listed_with_whether_one_may_use_them() {
    let mut policy = with_formats(policy());
    policy.roles[0].formats = FormatRule::NONE.with(1);
    let mut system = serving_with(&policy);
    system.ask(3, &Request::Formats);
    let image = region();
    let formats = formats::Formats::read(&image).unwrap();
    let entry = |index: usize, allowed| {
        let named = formats.get(index).unwrap();
        Told::Format(
            3,
            FormatEntry {
                name: FormatName::new(named.name).unwrap(),
                states: named.dfa.states() as u32,
                bytes: named.table.len() as u32,
                allowed,
                sha256: Sha256::digest(named.table).into(),
            },
        )
    };
    let expected = [entry(0, false), entry(1, true), Told::Listed(3, 2)];
    assert_eq!(system.told_at_last(), expected);
}

#[test]
fn formats_that_are_not_those_of_the_policy_let_nobody_do_anything() {
    let policy = with_formats(policy());
    let failure = Failure::over(ErrorCode::BadPolicy, PolicyError::Formats as u64, 0);
    let image = region();
    let mut wrong: Vec<Vec<u8>> = [0, 16, image.len() / 2, image.len() - 1]
        .map(|at| {
            let mut image = image.clone();
            image[at] ^= 1;
            image
        })
        .into();
    wrong.push(image[1..].to_vec());
    wrong.push(Vec::new());
    for region in wrong {
        let mut system = booted(&policy, region);
        system.told();
        system.ask(1, &request("verdict", completion(b"once")));
        assert_eq!(system.told(), [Told::Failed(1, failure)]);
    }
    // If both are wrong, that is found, too.
    let mut broken = image.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let mut policy = policy;
    policy.formats_sha256 = Sha256::digest(&broken).into();
    if formats::Formats::read(&broken).is_err() {
        let mut system = booted(&policy, broken);
        system.told();
        system.ask(1, &Request::Models);
        assert_eq!(system.told(), [Told::Failed(1, failure)]);
    }
    policy.formats_sha256 = Sha256::digest(&image).into();
    policy.format_count = 1;
    let mut system = booted(&policy, image);
    system.told();
    system.ask(1, &Request::Models);
    assert_eq!(system.told(), [Told::Failed(1, failure)]);
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

#[test]
fn a_prompt_is_said_to_a_model_with_a_template_and_completed_by_any_other() {
    for (template, kind, segments) in [("chatml", PartKind::User, 1), ("", PartKind::Text, 0)] {
        let mut system = booted(&with_formats(policy()), region());
        system.join();
        let mut loaded = instruct(20, 5);
        loaded.info.template = TemplateName::new(template).unwrap();
        system.say(system.own_load, &Report::Loaded(loaded));
        system.told();
        let stop: (PartKind, &[u8]) = (PartKind::Stop, b".");
        let asked = parts(&[(PartKind::Prompt, b"once"), stop]);
        system.ask(1, &request("", asked));
        let mut frame = Frame::new();
        assert_eq!(system.inference.receive(&mut frame), Ok(true));
        let Ok(Command::Infer { parts: passed, .. }) = Command::parse(&frame) else {
            panic!("a request for text");
        };
        // Inference's command, the log and the reservation agree.
        let decided = parts(&[(kind, b"once"), stop]);
        assert_eq!(passed, decided);
        let record = system.last_record(Kind::Admit);
        assert_eq!(record.segments, segments);
        let sha256: [u8; 32] = Sha256::digest(decided.as_bytes()).into();
        assert_eq!(record.prompt_sha256, sha256);
        let scaffold = u64::from(segments) * 25;
        assert_eq!(system.budget().reserved, 4 + 2 + scaffold + 20);
        // It remains a conversation whatever the model: a model without a template refuses it.
        system.ask(2, &request("", parts(&[(PartKind::User, b"once")])));
        assert_eq!(system.last_record(Kind::Admit).segments, 1);
    }
}
