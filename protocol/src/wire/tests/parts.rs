//! Parts of a request for text.

use crate::error::{ErrorCode, Failure};
use crate::limits::{MAX_PARTS_BYTES, MAX_PROMPT_BYTES, MAX_SEGMENTS, MAX_STOPS};
use crate::name::{FormatName, ModelName, SessionName};
use crate::ring::Frame;
use crate::testing::parts;
use crate::wire::InferParams;
use crate::wire::PartKind::{Assistant, Choice, Prompt, Stop, System, Text, User};
use crate::wire::client::Request;
use crate::wire::{Extent, ModelInfo, PartKind, Parts, PartsWriter, completion};
use proptest::prelude::*;

extern crate std;
use std::vec::Vec;
use std::{format, vec};

fn bytes(kind: u32, length: u32, text: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), text].concat()
}

fn written(list: &[(PartKind, &[u8])]) -> Result<Vec<u8>, Failure> {
    let mut buffer = vec![0; MAX_PARTS_BYTES];
    let mut writer = PartsWriter::new(&mut buffer);
    for (kind, text) in list {
        writer.push(*kind, text);
    }
    writer.finish().map(|parts| parts.as_bytes().to_vec())
}

#[test]
fn what_is_no_list_of_parts_is_none() {
    for wrong in [
        &bytes(0, 1, b"x")[..],
        &bytes(8, 1, b"x"),
        &bytes(0x101, 1, b"x"),
        &bytes(1, 2, b"x"),
        &bytes(1, u32::MAX, b"x"),
        &bytes(1, 1, b"x")[..7],
        &[bytes(1, 1, b"x"), vec![1]].concat(),
        &[bytes(1, 1, b"x"), bytes(1, 1, b"x")].concat(),
        &[bytes(1, 1, b"x"), bytes(3, 1, b"x")].concat(),
        &[bytes(7, 1, b"x"), bytes(7, 1, b"x")].concat(),
        &[bytes(7, 1, b"x"), bytes(1, 1, b"x")].concat(),
        &[bytes(2, 1, b"x"), bytes(7, 1, b"x")].concat(),
        &[bytes(3, 1, b"x"), bytes(1, 1, b"x")].concat(),
        &[bytes(5, 1, b"x"), bytes(3, 1, b"x")].concat(),
        &[bytes(6, 1, b"x"), bytes(5, 1, b"x")].concat(),
    ] {
        assert_eq!(Parts::parse(wrong), None, "{wrong:?}");
    }
    let nothing = Parts::parse(b"").unwrap();
    assert_eq!(nothing.check(), Err(Failure::of(ErrorCode::EmptyPrompt)));
    assert_eq!(nothing.completion(), None);
}

#[test]
fn a_text_to_be_completed_has_its_limits() {
    let mut buffer = vec![0; MAX_PARTS_BYTES];
    let long = vec![b'x'; MAX_PROMPT_BYTES + 1];
    let over = Failure::over(ErrorCode::PromptBytes, 8193, 8192);
    assert_eq!(completion(&mut buffer, &long), Err(over));
    let longest = completion(&mut buffer, &long[1..]).unwrap();
    assert_eq!(longest.completion(), Some(&long[1..]));
    assert_eq!(longest.extent().text_bytes, 8192);
    let empty = Failure::over(ErrorCode::EmptyPrompt, 1, 0);
    assert_eq!(completion(&mut buffer, b""), Err(empty));
    let wrong = Failure::over(ErrorCode::PromptNotUtf8, 2, 0);
    assert_eq!(completion(&mut buffer, b"ab\xff"), Err(wrong));
    // A buffer that is too small is reported.
    let over = Failure::over(ErrorCode::PromptBytes, 4, 2);
    assert_eq!(completion(&mut buffer[..10], b"four"), Err(over));
    // Offsets count over all texts.
    let list: [(PartKind, &[u8]); 3] = [(System, b"abc"), (User, b"d"), (Stop, b"e\xc3")];
    let wrong = Failure::over(ErrorCode::PromptNotUtf8, 5, 0);
    assert_eq!(parts(&list).check(), Err(wrong));
}

#[test]
fn roles_take_turns_and_the_user_is_last() {
    let role = |at| Err(Failure::over(ErrorCode::SegmentRole, at, 0));
    let check = |kinds: &[PartKind]| {
        let list: Vec<(PartKind, &[u8])> = kinds.iter().map(|kind| (*kind, &b"x"[..])).collect();
        parts(&list).check().map(|extent| extent.segments)
    };
    assert_eq!(check(&[User]), Ok(1));
    assert_eq!(check(&[System, User, Assistant, User]), Ok(4));
    assert_eq!(check(&[Text, Stop]), Ok(0));
    assert_eq!(check(&[System]), role(1));
    assert_eq!(check(&[Assistant, User]), role(1));
    assert_eq!(check(&[User, Assistant]), role(2));
    assert_eq!(check(&[User, User]), role(2));
    assert_eq!(check(&[System, Assistant]), role(2));
    assert_eq!(check(&[System, System, User]), role(2));
    assert_eq!(check(&[User, System, User]), role(2));
    assert_eq!(check(&[Stop]), Err(Failure::of(ErrorCode::EmptyPrompt)));
    // Only the user's text must not be empty.
    let list: [(PartKind, &[u8]); 4] = [(System, b""), (User, b"x"), (Assistant, b""), (User, b"")];
    let empty = Failure::over(ErrorCode::EmptyPrompt, 4, 0);
    assert_eq!(parts(&list).check(), Err(empty));
    let many = [[User, Assistant]; 8].concat();
    assert_eq!(check(&[&many[..15]].concat()), Ok(15));
    let over = Failure::over(ErrorCode::Segments, 17, MAX_SEGMENTS as u64);
    assert_eq!(check(&[&many[..], &[User]].concat()), Err(over));
}

#[test]
fn stop_strings_and_choices_have_their_limits() {
    let with = |kind, texts: &[&str]| {
        let mut list: Vec<(PartKind, &[u8])> = vec![(User, b"x")];
        list.extend(texts.iter().map(|text| (kind, text.as_bytes())));
        written(&list).map(|_| ())
    };
    let long = "x".repeat(65);
    assert_eq!(with(Stop, &["a", "a", "b", &long[1..]]), Ok(()));
    let over = |code, value, limit: usize| Err(Failure::over(code, value, limit as u64));
    assert_eq!(
        with(Stop, &["a"; 5]),
        over(ErrorCode::StopStrings, 5, MAX_STOPS)
    );
    assert_eq!(with(Stop, &[""]), over(ErrorCode::StopBytes, 0, 64));
    assert_eq!(with(Stop, &[&long]), over(ErrorCode::StopBytes, 65, 64));

    assert_eq!(with(Choice, &["no", "not yet", "yes"]), Ok(()));
    assert_eq!(with(Choice, &["a", ""]), over(ErrorCode::ChoiceEmpty, 2, 0));
    assert_eq!(
        with(Choice, &["a", "b", "a"]),
        over(ErrorCode::ChoiceTwice, 3, 0)
    );
    assert_eq!(
        with(Choice, &["a\n"]),
        over(ErrorCode::ChoiceLineFeed, 1, 0)
    );
    let many: Vec<_> = (0..33).map(|n| format!("{n}")).collect();
    let many: Vec<&str> = many.iter().map(|text| text.as_str()).collect();
    assert_eq!(with(Choice, &many), over(ErrorCode::Choices, 33, 32));
    assert_eq!(with(Choice, &many[1..]), Ok(()));
    let long = "x".repeat(510);
    assert_eq!(with(Choice, &[&long, "y"]), Ok(()));
    assert_eq!(
        with(Choice, &[&long, "yz"]),
        over(ErrorCode::ChoicesBytes, 513, 512)
    );
    let both = written(&[(User, b"x"), (Stop, b"a"), (Choice, b"b")]);
    assert_eq!(both, Err(Failure::of(ErrorCode::FormatAndStops)));
    let order = written(&[(Stop, b"x"), (User, b"a")]);
    assert_eq!(order, Err(Failure::of(ErrorCode::SegmentRole)));
}

#[test]
fn audit_decides_what_a_prompt_is_and_changes_nothing_else() {
    let decided = |list: &[(PartKind, &[u8])], has_template| {
        let request = Request::Infer {
            params: InferParams::default(),
            session: SessionName::EMPTY,
            adapter: ModelName::EMPTY,
            format: FormatName::EMPTY,
            parts: parts(list),
        };
        let mut frame: Frame = Frame::new();
        request.write(7, &mut frame);
        Request::decide_prompt(&mut frame, has_template);
        assert_eq!(frame.header().request, 7);
        match Request::parse(&frame) {
            Ok(Request::Infer { parts, .. }) => format!("{parts:?}"),
            other => panic!("{other:?}"),
        }
    };
    let prompt: [(PartKind, &[u8]); 2] = [(Prompt, b"Hi"), (Stop, b".")];
    assert_eq!(decided(&prompt, true), r#"[(User, "Hi"), (Stop, ".")]"#);
    assert_eq!(decided(&prompt, false), r#"[(Text, "Hi"), (Stop, ".")]"#);
    for other in [
        &[(Text, &b"Hi"[..])][..],
        &[(System, b"Hi"), (User, b"Hi")],
        &[(Stop, b".")],
        &[],
    ] {
        let as_it_came = format!("{:?}", parts(other));
        assert_eq!(decided(other, true), as_it_came);
        assert_eq!(decided(other, false), as_it_came);
    }
    // Other messages too, including one that contains the same bytes.
    let mut frame: Frame = Frame::new();
    let text = &bytes(7, 1, b"x");
    Request::Example { text }.write(3, &mut frame);
    Request::decide_prompt(&mut frame, true);
    assert_eq!(Request::parse(&frame), Ok(Request::Example { text }));
    // Until then, it is checked as if it were a text or a user's turn.
    assert_eq!(parts(&prompt).check().map(|extent| extent.segments), Ok(0));
    let empty = Failure::over(ErrorCode::EmptyPrompt, 1, 0);
    assert_eq!(parts(&[(Prompt, b"")]).check(), Err(empty));
}

#[test]
fn a_conversation_is_bound_with_what_its_template_adds() {
    let model = ModelInfo {
        fixed_tokens: 20,
        segment_tokens: 5,
        ..ModelInfo::default()
    };
    let list: [(PartKind, &[u8]); 4] = [
        (System, b"be"),
        (User, b"abc"),
        (Choice, b"yes"),
        (Choice, b"no"),
    ];
    let extent = parts(&list).check().unwrap();
    let expected = Extent {
        text_bytes: 5,
        segments: 2,
        stops: 0,
        choices: 2,
    };
    assert_eq!(extent, expected);
    assert_eq!(extent.most_tokens(&model), 5 + 2 + 20 + 2 * 5);
    let text = parts(&[(Text, b"abc")]).extent();
    assert_eq!(text.most_tokens(&model), 5);
    assert!(model.has_sound_template());
    let sound = |fixed: u32, each: u32| {
        let mut model = ModelInfo::default();
        (model.fixed_tokens, model.segment_tokens) = (fixed, each);
        model.has_sound_template()
    };
    assert!(sound(2048, 64) && !sound(2049, 64) && !sound(2048, 65));
}

proptest! {
    #[test]
    fn what_was_written_is_read_and_any_bytes_are_parts_or_none(
        texts in prop::collection::vec("[a-zä]{1,9}", 1..8),
        stops in prop::collection::vec("[a-z]{1,9}", 0..4),
        junk in prop::collection::vec(prop_oneof![0u8..9, any::<u8>()], 0..64),
    ) {
        // An odd number, so that the user is last.
        let turns = texts.len() - (1 - texts.len() % 2);
        let kinds = [User, Assistant].into_iter().cycle();
        let mut list: Vec<(PartKind, &[u8])> = kinds
            .zip(texts[..turns].iter().map(|text| text.as_bytes()))
            .collect();
        list.extend(stops.iter().map(|stop| (Stop, stop.as_bytes())));
        let bytes = written(&list).unwrap();
        let read = Parts::parse(&bytes).unwrap();
        let back: Vec<_> = read.iter().map(|part| (part.kind, part.text)).collect();
        prop_assert_eq!(&back, &list);
        prop_assert_eq!(read.stops().count(), stops.len());
        prop_assert_eq!(read.segments().count(), turns);
        if let Some(parts) = Parts::parse(&junk) {
            let again: Vec<u8> = parts
                .iter()
                .flat_map(|part| self::bytes(part.kind as u32, part.text.len() as u32, part.text))
                .collect();
            prop_assert_eq!(&again, &junk);
            let _ = (parts.check(), parts.allowed());
        }
    }
}

#[test]
fn kinds_of_parts_come_back_from_their_words() {
    for word in [
        "text",
        "system",
        "user",
        "assistant",
        "stop",
        "choice",
        "prompt",
    ] {
        assert_eq!(PartKind::from_word(word).unwrap().word(), word);
    }
    assert_eq!(PartKind::from_word("User"), None);
}
