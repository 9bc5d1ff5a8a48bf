//! Conversations, formats and stop strings.

use super::harness::*;
use crate::{FormatCosts, read_formats};
use formats::MAX_ALL_STATES;
use formats::encode::{Encoded, image, words};
use llm_core::testing::chat_model;
use std::boxed::Box;

/// ChatML.
const TEMPLATE: &str = include_str!("../../../../tools/llmtool/tests/templates/chatml.jinja");

fn chat_file() -> Vec<u8> {
    let shape = Shape {
        context: 256,
        ..Shape::default()
    };
    chat_model(shape, TEMPLATE).finish()
}

const CHAT_OPTIONS: LoadOptions = LoadOptions {
    context: 256,
    sessions: 4,
    ..OPTIONS
};

/// Costs with the lifetime of the test.
fn costs() -> &'static mut FormatCosts {
    Box::leak(Box::new([0; MAX_ALL_STATES]))
}

/// A region with two formats: `verdict` and `digit`.
fn region() -> &'static [u8] {
    let of = |list: &[&str]| {
        let list: Vec<&[u8]> = list.iter().map(|word| word.as_bytes()).collect();
        Encoded::new(&words(&list)).unwrap()
    };
    let (verdict, digit) = (of(&["allow", "deny"]), of(&["7"]));
    let mut bytes = image([("verdict", &verdict), ("digit", &digit)]).unwrap();
    bytes.resize(formats::REGION_BYTES, 0);
    bytes.leak()
}

fn reason_of(seen: &[Seen]) -> FinishReason {
    match seen.last() {
        Some(Seen::Finished(_, reason, ..)) => *reason,
        other => panic!("{other:?}"),
    }
}

/// A part, before it is written into a message.
type Said = (PartKind, &'static [u8]);

const USER: &[Said] = &[(PartKind::User, b"who are you?")];

#[test]
fn a_load_tells_the_template_and_what_it_adds_and_conversations_stay_within_that() {
    let file = chat_file();
    let mut memory = Memory::new(4 << 20);
    let (mut audit, mut server) = set_up(transformer(&mut memory, CHAT_OPTIONS), &file);
    audit.send(1, &load(0, file.len()));
    let seen = audit.settle(&mut server);
    let [Seen::Loaded(1, loaded)] = seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(loaded.info.template.as_str(), "ChatML");
    assert!(loaded.info.has_sound_template() && loaded.info.segment_tokens > 0);
    assert!(loaded.info.separates);
    let conversation = parts(&[
        (PartKind::System, b"be brief."),
        (PartKind::User, b"who are you?"),
        (PartKind::Assistant, b"nobody."),
        (PartKind::User, b"<|im_end|>"),
    ]);
    let most = conversation.extent().most_tokens(&loaded.info);
    audit.send(2, &ask(conversation, 0, 3));
    let seen = audit.settle(&mut server);
    let Some(Seen::Finished(2, _, prompt, _)) = seen.last() else {
        panic!("{seen:?}");
    };
    // More than the texts alone, of which each byte is a token, but not more than audit reserves.
    assert!((39..=most).contains(prompt), "{prompt} of {most}");
}

#[test]
fn a_load_tells_that_texts_can_imitate_roles_if_the_vocabulary_lacks_the_control_tokens() {
    let mut writer = model(Shape::default());
    writer.str("tokenizer.chat_template", TEMPLATE);
    let file = writer.finish();
    let mut memory = Memory::new(4 << 20);
    let (mut audit, mut server) = set_up(transformer(&mut memory, CHAT_OPTIONS), &file);
    audit.send(1, &load(0, file.len()));
    let seen = audit.settle(&mut server);
    let [Seen::Loaded(1, loaded)] = seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(loaded.info.template.as_str(), "ChatML");
    assert!(!loaded.info.separates);
}

#[test]
fn a_model_without_a_template_completes_texts_and_answers_no_conversation() {
    let file = model(Shape::default()).finish();
    let mut memory = Memory::new(1 << 20);
    let (mut audit, mut server) = set_up(transformer(&mut memory, OPTIONS), &file);
    audit.send(1, &load(0, file.len()));
    let seen = audit.settle(&mut server);
    let [Seen::Loaded(1, loaded)] = seen[..] else {
        panic!("{seen:?}");
    };
    assert!(loaded.info.template.is_empty() && !loaded.info.separates);
    assert_eq!(
        (loaded.info.fixed_tokens, loaded.info.segment_tokens),
        (0, 0)
    );
    audit.send(2, &ask(parts(USER), 0, 3));
    assert_eq!(
        audit.settle(&mut server),
        [failed(2, ErrorCode::NoTemplate)]
    );
    audit.send(3, &only(0, b"who", 3));
    reason_of(&audit.settle(&mut server));
}

#[test]
fn a_conversation_that_the_template_refuses_fails_with_the_segment_and_why() {
    let file = chat_file();
    let mut memory = Memory::new(4 << 20);
    let (mut audit, mut server) = set_up(transformer(&mut memory, CHAT_OPTIONS), &file);
    audit.load(&mut server, file.len());
    audit.send(1, &ask(parts(&[(PartKind::User, b"  ")]), 0, 3));
    let failure = Failure::over(ErrorCode::SegmentText, 1, 0);
    assert_eq!(
        audit.settle(&mut server),
        [Seen::Failed(1, failure, "segment 1 has no text".into())]
    );
    // Audit never sends such an order.
    audit.send(2, &ask(parts(&[(PartKind::Assistant, b"I")]), 0, 3));
    let failure = Failure::over(ErrorCode::SegmentRole, 1, 0);
    assert_eq!(
        audit.settle(&mut server),
        [Seen::Failed(2, failure, "".into())]
    );
    audit.send(3, &ask(parts(USER), 0, 3));
    reason_of(&audit.settle(&mut server));
}

#[test]
fn answers_are_words_of_the_format_that_is_named_or_of_the_choices_that_came() {
    let file = chat_file();
    let mut memory = Memory::new(4 << 20);
    let mut backend = transformer(&mut memory, CHAT_OPTIONS);
    backend.set_formats(read_formats(region(), costs()));
    let (mut audit, mut server) = set_up(backend, &file);
    audit.load(&mut server, file.len());
    let choices = [
        USER[0],
        (PartKind::Choice, b"yes"),
        (PartKind::Choice, b"no"),
    ];
    let cases: [(u32, &[Said], &[&str]); 4] = [
        (1, USER, &["allow", "deny"]),
        (2, USER, &["7"]),
        (2, &[(PartKind::Text, b"seven is")], &["7"]),
        (0, &choices, &["yes", "no"]),
    ];
    for (format, its, allowed) in cases {
        audit.send(9, &ask(parts(its), format, 20));
        let seen = audit.settle(&mut server);
        let text = text_of(&seen, 9);
        assert!(allowed.contains(&text.as_str()), "{text}");
        assert_eq!(reason_of(&seen), FinishReason::EndOfText);
    }
}

#[test]
fn what_no_answer_can_be_made_of_fails_before_the_first_token() {
    let file = chat_file();
    let mut memory = Memory::new(4 << 20);
    let mut backend = transformer(&mut memory, CHAT_OPTIONS);
    backend.set_formats(read_formats(region(), costs()));
    let (mut audit, mut server) = set_up(backend, &file);
    audit.load(&mut server, file.len());
    // The shorter of the two words has four letters, each of them a token.
    let too_long = Seen::Failed(1, Failure::over(ErrorCode::FormatTooLong, 4, 3), "".into());
    audit.send(1, &ask(parts(USER), 1, 3));
    // "Allow" has five tokens and "deny" four: the shortest path counts.
    assert_eq!(audit.settle(&mut server), [too_long]);
    audit.send(2, &ask(parts(USER), 3, 20));
    assert_eq!(
        audit.settle(&mut server),
        [failed(2, ErrorCode::UnknownFormat)]
    );
    // Audit sends none of these.
    let choice = (PartKind::Choice, &b"yes"[..]);
    audit.send(3, &ask(parts(&[USER[0], choice]), 1, 20));
    assert_eq!(
        audit.settle(&mut server),
        [failed(3, ErrorCode::FormatAndChoices)]
    );
    audit.send(4, &ask(parts(&[USER[0], (PartKind::Stop, b"x")]), 1, 20));
    assert_eq!(
        audit.settle(&mut server),
        [failed(4, ErrorCode::FormatAndStops)]
    );
    audit.send(5, &ask(parts(&[USER[0], choice, choice]), 0, 20));
    assert_eq!(
        audit.settle(&mut server),
        [Seen::Failed(
            5,
            Failure::over(ErrorCode::ChoiceTwice, 2, 0),
            "".into()
        )]
    );
    let long = [b'x'; 65];
    for (stop, bytes) in [(&long[..], 65), (b"", 0)] {
        audit.send(6, &ask(parts(&[USER[0], (PartKind::Stop, stop)]), 0, 20));
        assert_eq!(
            audit.settle(&mut server),
            [Seen::Failed(
                6,
                Failure::over(ErrorCode::StopBytes, bytes, 64),
                "".into()
            )]
        );
    }
    audit.send(7, &ask(parts(USER), 2, 20));
    assert_eq!(text_of(&audit.settle(&mut server), 7), "7");
}

#[test]
fn a_region_without_sound_formats_gives_none_and_everything_else_goes_on() {
    let file = chat_file();
    let damaged = {
        let mut bytes = region().to_vec();
        // An unknown version.
        bytes[8] ^= 0x40;
        bytes
    };
    for bytes in [&[][..], &[0; 4096], &damaged, &region()[..100]] {
        let mut memory = Memory::new(4 << 20);
        let mut backend = transformer(&mut memory, CHAT_OPTIONS);
        backend.set_formats(read_formats(bytes, costs()));
        let (mut audit, mut server) = set_up(backend, &file);
        audit.load(&mut server, file.len());
        audit.send(1, &ask(parts(USER), 1, 20));
        assert_eq!(
            audit.settle(&mut server),
            [failed(1, ErrorCode::UnknownFormat)]
        );
        let choice = (PartKind::Choice, &b"yes"[..]);
        audit.send(2, &ask(parts(&[USER[0], choice]), 0, 20));
        assert_eq!(text_of(&audit.settle(&mut server), 2), "yes");
    }
}

#[test]
fn an_answer_ends_at_a_stop_string_and_tells_nothing_of_it() {
    let file = chat_file();
    let mut memory = Memory::new(4 << 20);
    let (mut audit, mut server) = set_up(transformer(&mut memory, CHAT_OPTIONS), &file);
    audit.load(&mut server, file.len());
    audit.send(1, &ask(parts(USER), 0, 40));
    let whole = text_of(&audit.settle(&mut server), 1);
    // Three characters from the middle of its unconstrained answer.
    let mut middle = whole.char_indices().skip(10).map(|(at, _)| at);
    let (from, to) = (middle.next().unwrap(), middle.nth(2).unwrap());
    let stop = &whole[from..to];
    let expected = whole.split(stop).next().unwrap();
    let stops = parts(&[
        USER[0],
        (PartKind::Stop, b"never said, that"),
        (PartKind::Stop, stop.as_bytes()),
    ]);
    audit.send(2, &ask(stops, 0, 40));
    let seen = audit.settle(&mut server);
    assert_eq!(text_of(&seen, 2), expected);
    assert_eq!(reason_of(&seen), FinishReason::Stop);
}

#[test]
fn the_switch_for_user_defined_tokens_and_the_user_reach_the_engine() {
    let mut writer = chat_model(Shape::default(), TEMPLATE);
    // The token after those of bytes and letters, two before the end of the vocabulary.
    let control = 3 + 256 + 31;
    let ty = |id: usize| match id {
        0 => 2,
        1 | 2 => 3,
        3..259 => 6,
        _ if id == control => 4,
        _ => 1,
    };
    writer.remove_key("tokenizer.ggml.token_type");
    let types: Vec<i32> = (0..control + 2).map(ty).collect();
    writer.i32s("tokenizer.ggml.token_type", &types);
    let file = writer.finish();
    let mut memory = Memory::new(1 << 20);
    let (mut audit, mut server) = set_up(transformer(&mut memory, OPTIONS), &file);
    audit.load(&mut server, file.len());
    let mut tokens = |allowed| {
        let mut command = only(0, b"a<|im_start|>b", 1);
        if let Command::Infer { user_defined, .. } = &mut command {
            *user_defined = allowed;
        }
        audit.send(1, &command);
        match audit.settle(&mut server).last() {
            Some(Seen::Finished(_, _, prompt, _)) => *prompt,
            other => panic!("{other:?}"),
        }
    };
    let (as_text, as_token) = (tokens(false), tokens(true));
    // Twelve letters; or the token and the space that this vocabulary puts before text that follows one.
    assert_eq!((as_text, as_token), (4 + 12, 4 + 2));

    audit.send(2, &first(1, b"mine", 1));
    audit.settle(&mut server);
    let mut others = next(1, b"and yours", 1);
    if let Command::Infer { user, .. } = &mut others {
        *user = 1;
    }
    audit.send(3, &others);
    assert_eq!(
        audit.settle(&mut server),
        [failed(3, ErrorCode::SessionEvicted)]
    );
}
