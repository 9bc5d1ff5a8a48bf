//! Conversations and stop strings on a synthetic model.

mod stops;

use super::session_tests::{OPTIONS, alone, sampled};
use super::*;
use crate::arena::Arena;
use crate::chat::{
    Bound, Buffers, ChatError, Conversation, MAX_SEGMENT_TOKENS, MAX_SEGMENTS, Place, Role,
    SCAFFOLD_KEY, Scaffold, Segment, System, SystemPlace, TEMPLATE_KEY, Trim, template_digest,
};
use crate::generate::{FinishReason, MAX_STOPPED_TEXT_BYTES, Step};
use crate::gguf::Gguf;
use crate::testing::{Memory, Shape, model};
use crate::tokenizer::{Cell, Header, Vocabulary, scratch_cells};
use crate::transformer::Checked;
use crate::transformer::LoadOptions;
use formats::stop::Stops;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// The content of the file's template does not matter, as long as the scaffold belongs to it.
const TEMPLATE: &str = "{{ messages }}";

const fn turn(before: &'static str, after: &'static str) -> crate::chat::Turn<'static> {
    crate::chat::Turn {
        before,
        trim: Trim::NONE,
        after,
    }
}

const SCAFFOLD: Scaffold<'static> = Scaffold {
    name: "synthetic",
    begin: "{bos}",
    system: System {
        place: SystemPlace::First,
        turn: turn("s:", "{eos}"),
        default: "",
        user_trim: Trim::NONE,
    },
    user: turn("u:", "{eos}"),
    assistant: turn("m:", "{eos}"),
    generation: "m:",
    refused: ["odd", "", "", "", "", "", "", ""],
};

/// A model whose file has this scaffold.
fn file(scaffold: &Scaffold<'_>) -> Vec<u8> {
    let mut strings = vec![template_digest(TEMPLATE).to_vec()];
    strings.extend(scaffold.strings().map(|text| text.as_bytes().to_vec()));
    let mut writer = model(Shape::default());
    writer
        .str(TEMPLATE_KEY, TEMPLATE)
        .strings(SCAFFOLD_KEY, &strings);
    writer.finish()
}

fn with_file<T>(file: &[u8], run: impl FnOnce(&mut TransformerBackend) -> T) -> T {
    let mut memory = Memory::new(8 << 20);
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), OPTIONS);
    backend.load(file).unwrap();
    run(&mut backend)
}

fn user(text: &str) -> Segment<'_> {
    Segment::new(Role::User, text)
}

/// The tokens of a conversation, apart from the engine.
fn ids(segments: &[Segment<'_>], place: Place) -> Vec<u32> {
    let file = file(&SCAFFOLD);
    let gguf = Gguf::parse(&file).unwrap();
    let mut table = vec![0; Vocabulary::check(&gguf).unwrap().words()];
    let header = Header::fill(&gguf, &mut table).unwrap();
    let mut out = vec![0; 1000];
    let buffers = Buffers {
        text: &mut [0; 1000],
        cells: &mut vec![Cell::default(); scratch_cells(1000)],
        out: &mut out,
    };
    let conversation = Conversation {
        segments,
        place,
        user_defined: false,
    };
    let bound = Bound {
        fixed_tokens: 1000,
        ..Bound::default()
    };
    let tokens = SCAFFOLD.encode(&header.view(&table), &bound, &conversation, buffers);
    out.truncate(tokens.unwrap());
    out
}

/// Ids, text and end of session 0's answer.
fn answer(backend: &mut impl LlmBackend) -> (Vec<u32>, Vec<String>, FinishReason) {
    let (mut ids, mut shown, mut text) = (Vec::new(), Vec::new(), Text::new());
    loop {
        match backend.step(&mut text) {
            Progress::Session(0, Ok(Step::Token { id })) => {
                ids.push(id);
                shown.push(String::from(text.as_str()));
            }
            Progress::Session(0, Ok(Step::Finished { reason, .. })) => return (ids, shown, reason),
            Progress::Working | Progress::Session(0, Ok(Step::Prefill { .. })) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_conversation_has_the_tokens_of_the_template_at_the_beginning_and_behind_an_answer() {
    with_file(&file(&SCAFFOLD), |backend| {
        let first = [Segment::new(Role::System, "be brief"), user("<s>")];
        let mut row = ids(&first, Place::Beginning);
        assert_eq!(row[0], 1);
        assert_eq!(
            row.iter().filter(|&&id| id == 1).count(),
            1,
            "a text writes no token"
        );
        for (seed, said) in [(1, None), (2, Some("b")), (3, Some("c"))] {
            let params = sampled(seed, 3);
            let (turn, prompt, expected) = match said {
                None => (Turn::first(0), &first[..], row.clone()),
                Some(text) => {
                    let last = *row.last().unwrap();
                    let next = ids(&[user(text)], Place::Behind { last });
                    row.extend(&next);
                    (Turn::next(0), &[user(text)][..], next)
                }
            };
            let tokens = backend.start(turn, Prompt::Segments(prompt), &params);
            assert_eq!(tokens, Ok(expected.len() as u32));
            let (generated, text, _) = answer(backend);
            let whole = alone(KvType::Q8, &row, &params);
            assert_eq!((&generated, text.concat()), (&whole.0, whole.1));
            row.extend(generated);
        }
    });
}

#[test]
fn the_plan_counts_the_scaffold_and_a_file_without_one_takes_as_much_as_before() {
    let plain = model(Shape::default()).finish();
    let taken = |file: &[u8]| {
        with_file(file, |backend| {
            let used = backend.usage().current as u64;
            let (model, _) = backend.parts().unwrap();
            assert_eq!(used, model.plan().total());
            let plan = *model.plan();
            (
                plan.vocabulary,
                plan.activations,
                backend.model().unwrap().template,
            )
        })
    };
    let (vocabulary, activations, template) = taken(&plain);
    assert_eq!(template, None);
    let (with, rendering, template) = taken(&file(&SCAFFOLD));
    let template = template.expect("a template");
    assert_eq!(template.name.as_str(), "synthetic");
    assert!(template.separates);
    let open = Scaffold {
        user: turn("u:", "\n"),
        ..SCAFFOLD
    };
    let (_, _, open) = taken(&file(&open));
    assert!(!open.expect("a template").separates);
    assert_eq!(
        with - vocabulary,
        (SCAFFOLD.packed_bytes() as u64).next_multiple_of(64)
    );
    let Bound {
        fixed_bytes,
        segment_bytes,
        ..
    } = template.bound;
    let added = u64::from(fixed_bytes) + MAX_SEGMENTS as u64 * u64::from(segment_bytes);
    assert!(rendering > activations + 17 * added);
    // An unknown template accepts nothing.
    let mut unknown = model(Shape::default());
    unknown.str(TEMPLATE_KEY, TEMPLATE);
    assert_eq!(taken(&unknown.finish()), (vocabulary, activations, None));
}

#[test]
fn the_longest_conversation_fits_and_one_that_is_longer_is_refused() {
    let long = LoadOptions {
        context: 1024,
        ..OPTIONS
    };
    let shape = Shape {
        context: 1024,
        ..Shape::default()
    };
    let mut strings = vec![template_digest(TEMPLATE).to_vec()];
    strings.extend(SCAFFOLD.strings().map(|text| text.as_bytes().to_vec()));
    let mut writer = model(shape);
    writer
        .str(TEMPLATE_KEY, TEMPLATE)
        .strings(SCAFFOLD_KEY, &strings);
    let mut memory = Memory::new(64 << 20);
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), long);
    backend.load(&writer.finish()).unwrap();
    let text = "x".repeat(OPTIONS.max_prompt_bytes / 15);
    let mut segments = vec![user(&text); 15];
    for answer in segments.iter_mut().skip(1).step_by(2) {
        answer.role = Role::Assistant;
    }
    let said: usize = segments.iter().map(|segment| segment.text.len()).sum();
    let rest = "y".repeat(text.len() + OPTIONS.max_prompt_bytes - said);
    segments[0].text = &rest;
    let params = sampled(1, 1);
    let tokens = backend
        .start(Turn::only(0), Prompt::Segments(&segments), &params)
        .unwrap();
    let bound = backend.model().unwrap().template.unwrap().bound;
    assert!(tokens as usize <= bound.tokens(OPTIONS.max_prompt_bytes, 15));
    answer(&mut backend);
    let more = std::format!("{rest}y");
    segments[0].text = &more;
    assert_eq!(
        backend.start(Turn::only(0), Prompt::Segments(&segments), &params),
        Err(GenerateError::PromptBytes {
            bytes: 257,
            limit: 256
        })
    );
}

#[test]
fn conversations_that_a_model_cannot_answer_are_refused_and_change_nothing() {
    let params = sampled(1, 3);
    with_file(&model(Shape::default()).finish(), |backend| {
        let refused = backend.start(Turn::only(0), Prompt::Segments(&[user("a")]), &params);
        assert_eq!(refused, Err(GenerateError::NoTemplate));
    });
    with_file(&file(&SCAFFOLD), |backend| {
        backend
            .start(Turn::first(0), Prompt::Segments(&[user("a")]), &params)
            .unwrap();
        answer(backend);
        let system = Segment::new(Role::System, "s");
        let mut refused = |segments: &[Segment<'_>]| {
            backend
                .start(Turn::next(0), Prompt::Segments(segments), &params)
                .unwrap_err()
        };
        assert_eq!(
            refused(&[]),
            GenerateError::Chat(ChatError::Segments { segments: 0 })
        );
        assert_eq!(
            refused(&[system, user("a")]),
            GenerateError::Chat(ChatError::LateSystem)
        );
        assert!(matches!(
            refused(&[user("odd")]),
            GenerateError::Chat(ChatError::Refused { segment: 1, .. })
        ));
        assert!(matches!(
            refused(&[user(&"a".repeat(60))]),
            GenerateError::ContextFull { .. }
        ));
        // The session continues as if nothing had been asked.
        backend
            .start(Turn::next(0), Prompt::Segments(&[user("b")]), &params)
            .unwrap();
    });
}

#[test]
fn a_template_that_adds_more_than_may_be_admitted_counts_as_none() {
    let long = "a".repeat(1 + MAX_SEGMENT_TOKENS as usize);
    let each = Scaffold {
        user: crate::chat::Turn {
            before: &long,
            ..SCAFFOLD.user
        },
        ..SCAFFOLD
    };
    let once = "a".repeat(2100);
    let once = Scaffold {
        generation: &once,
        ..SCAFFOLD
    };
    for scaffold in [each, once] {
        with_file(&file(&scaffold), |backend| {
            assert_eq!(backend.model().unwrap().template, None);
            let refused = backend.start(
                Turn::only(0),
                Prompt::Segments(&[user("a")]),
                &sampled(1, 1),
            );
            assert_eq!(refused, Err(GenerateError::NoTemplate));
            backend
                .start(Turn::only(0), Prompt::Text(b"a"), &sampled(1, 1))
                .unwrap();
        });
    }
}

#[test]
fn a_scaffold_of_another_template_is_no_model() {
    let mut writer = model(Shape::default());
    writer
        .str(TEMPLATE_KEY, "another")
        .strings(SCAFFOLD_KEY, &[template_digest(TEMPLATE).to_vec()]);
    let error = Checked::new(&writer.finish()).map(|_| ()).unwrap_err();
    assert!(matches!(error, LoadError::Scaffold(_)), "{error}");
}
