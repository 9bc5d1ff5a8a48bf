//! Chat templates: compares the engine's scaffolds, and derived ones, with the templates' own Jinja.

mod chats;
#[path = "chat/derived.rs"]
mod derived;
#[path = "chat/families.rs"]
mod families;
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod tool;

use std::collections::HashSet;
use std::fs;

use chats::{BYTE_LEVEL, SENTENCE_PIECE, Vocabulary};
use families::{FAMILIES, bound, compare, encode, template};
use llm_core::chat::{
    Bound, Buffers, ChatError, Conversation, Place, Role, SCAFFOLD_KEY, Scaffold, Segment,
    SystemPlace, TEMPLATE_KEY, Template, recognise,
};
use llm_core::gguf::Gguf;
use llm_core::tokenizer::{Cell, TokenType, scratch_cells};
use llmtool::chat::derive;
use llmtool::chat::jinja::{Date, Jinja, MAX_TEMPLATE_BYTES};
use llmtool::chat::random::{self, Source};
use tool::{failure, fresh, output};

#[test]
fn each_family_gives_the_ids_of_its_own_jinja_on_200_conversations_that_spell_every_control_token()
{
    for (name, base) in FAMILIES {
        let template = template(name);
        compare(name, base, &template);
        // Files have the same template with line breaks in Jinja's strings, and with an extra one at the end.
        let ends = template.trim_end().replace("\\n", "\n") + "\n";
        let known = (*name != "kimi-k2").then(|| recognise(&template)).flatten();
        // Outside of Jinja's tags, where Kimi's has one, it is not a line break.
        assert_eq!(recognise(&ends), known, "{name}");
    }
}

#[test]
fn a_template_with_one_character_more_or_less_is_not_known() {
    for (name, _) in FAMILIES {
        let template = template(name);
        for at in (0..template.len()).step_by(97) {
            if !template.is_char_boundary(at) {
                continue;
            }
            let (before, behind) = template.split_at(at);
            assert_eq!(
                recognise(&format!("{before}x{behind}")),
                None,
                "{name}, {at}"
            );
        }
        let shorter: String = template.chars().skip(1).collect();
        assert_eq!(recognise(&shorter), None, "{name}");
    }
    assert_eq!(recognise(""), None);
    assert_eq!(recognise("{% if x %}<|im_start|>{% endif %}"), None);
}

#[test]
fn the_scaffold_that_is_derived_from_a_published_template_does_the_same() {
    let mut derived = 0;
    for (name, base) in FAMILIES {
        let template = template(name);
        let vocabulary = Vocabulary::with_tokens_of(base, &template, name.starts_with("phi-3"));
        let (strings, _) = derive(&template, &vocabulary.view(), None)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let own = Scaffold::from_strings(strings.iter().map(String::as_bytes)).expect("a scaffold");
        let known = recognise(&template).expect("known").scaffold;
        let system = own.system.place != SystemPlace::Nowhere;
        let mut source = Source(11);
        for _ in 0..20 {
            let conversation = random::conversation(&mut source, 4, system, &["<|x|>", "[/INST]"]);
            let segments = random::segments(&conversation);
            let ours = encode(&own, &vocabulary, &segments, Place::Beginning).expect("encoded");
            let theirs = encode(&known, &vocabulary, &segments, Place::Beginning).expect("encoded");
            assert_eq!(ours, theirs, "{name}: {own:?}");
        }
        derived += 1;
    }
    assert_eq!(derived, FAMILIES.len());
}

#[test]
fn an_answer_that_has_ended_itself_is_ended_once_and_one_that_was_cut_off_is_ended() {
    let template = template("chatml");
    let vocabulary = Vocabulary::with_tokens_of(BYTE_LEVEL, &template, false);
    let scaffold = recognise(&template).expect("known").scaffold;
    let end = vocabulary.view().find(b"<|im_end|>").expect("a token");
    let word = vocabulary.view().find(b"a").expect("a token");
    let [user, answer, next] = [(Role::User, "q"), (Role::Assistant, "a"), (Role::User, "r")]
        .map(|(role, text)| Segment::new(role, text));
    let whole = encode(
        &scaffold,
        &vocabulary,
        &[user, answer, next],
        Place::Beginning,
    )
    .unwrap();
    let begun = encode(&scaffold, &vocabulary, &[user], Place::Beginning).unwrap();
    for last in [end, word] {
        let mut session = begun.clone();
        session.push(word);
        session.extend((last == end).then_some(end));
        let behind = encode(&scaffold, &vocabulary, &[next], Place::Behind { last }).unwrap();
        session.extend(behind);
        assert_eq!(session, whole);
    }
}

#[test]
fn a_conversation_that_no_template_takes_is_refused_with_the_segment() {
    let template = template("phi-3-mini");
    let vocabulary = Vocabulary::with_tokens_of(SENTENCE_PIECE, &template, true);
    let scaffold = recognise(&template).expect("known").scaffold;
    let segment = |role, text| Segment::new(role, text);
    let refusal = |segments: &[Segment<'_>], place| {
        encode(&scaffold, &vocabulary, segments, place)
            .expect_err("refused")
            .to_string()
    };
    let (user, answer) = (segment(Role::User, "u"), segment(Role::Assistant, "a"));
    let beginning = |segments: &[Segment<'_>]| refusal(segments, Place::Beginning);
    assert!(beginning(&[]).contains("0 segments, not 1 to 16"));
    assert!(beginning(&[user; 17]).contains("17 segments"));
    assert!(beginning(&[user, user]).contains("segment 2 is user's, but assistant's is due"));
    assert!(beginning(&[answer]).contains("segment 1 is assistant's, but user's is due"));
    assert!(beginning(&[user, answer]).contains("segment 2 is assistant's, but user's is due"));
    assert!(beginning(&[segment(Role::System, "s"), user]).contains("takes no system text"));
    assert!(beginning(&[segment(Role::User, " \n\u{a0}")]).contains("segment 1 has no text"));
    let system = refusal(
        &[segment(Role::System, "s"), user],
        Place::Behind { last: 1 },
    );
    assert!(system.contains("can only begin"), "{system}");
}

#[test]
fn a_text_that_the_template_treats_in_its_own_way_is_refused() {
    let template = template("deepseek-r1-distill-llama");
    let vocabulary = Vocabulary::with_tokens_of(BYTE_LEVEL, &template, false);
    let scaffold = recognise(&template).expect("known").scaffold;
    let said = [Segment::new(Role::User, "what is </think>?")];
    let error = encode(&scaffold, &vocabulary, &said, Place::Beginning).expect_err("refused");
    assert!(
        error.to_string().contains("segment 1 contains </think>"),
        "{error}"
    );
}

#[test]
fn no_text_gives_a_control_or_an_added_token_on_any_vocabulary_in_the_repository() {
    let folder = format!("{}/../../tests/tokenizers", env!("CARGO_MANIFEST_DIR"));
    let mut checked = 0;
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "gguf") {
            continue;
        }
        let vocabulary = Vocabulary::with_added(path.to_str().expect("a path"));
        let view = vocabulary.view();
        for id in 0..view.len() as u32 {
            let Ok(piece) = std::str::from_utf8(view.piece(id)) else {
                continue;
            };
            for text in [piece.to_owned(), format!("x{piece}y"), format!("x {piece}")] {
                for found in vocabulary.encode(&text, false) {
                    let ty = view.token_type(found);
                    let piece = view.piece(found);
                    let plain = piece.len() == 1
                        || std::str::from_utf8(piece).is_ok_and(|text| text.trim().is_empty());
                    let added = ty == TokenType::UserDefined && !plain;
                    assert!(
                        !added && ty != TokenType::Control,
                        "{}: {text:?} gives {found}",
                        path.display()
                    );
                }
            }
            if view.token_type(id) == TokenType::UserDefined {
                assert!(
                    vocabulary.encode(piece, true).contains(&id),
                    "the switch allows {piece}"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 0);
}

#[test]
fn a_bound_holds_for_texts_of_one_token_a_byte() {
    for (name, base) in FAMILIES {
        let template = template(name);
        let vocabulary = Vocabulary::with_tokens_of(base, &template, false);
        let scaffold = recognise(&template).expect("known").scaffold;
        let bound = bound(&scaffold, &vocabulary);
        for turns in [1, 2, 8] {
            let odd = "\u{1}~\u{7f}~".repeat(5);
            let mut segments = vec![Segment::new(Role::User, odd.as_str()); 2 * turns - 1];
            for segment in segments.iter_mut().skip(1).step_by(2) {
                segment.role = Role::Assistant;
            }
            let ids = encode(&scaffold, &vocabulary, &segments, Place::Beginning).expect("encoded");
            let said = odd.len() * segments.len();
            assert!(ids.len() <= bound.tokens(said, segments.len()), "{name}");
            assert!(bound.tokens(0, 1) < 400, "{name}: {bound:?}");
        }
    }
}

/// A model with its own chat template.
fn model(name: &str, template: Option<&str>, key: Option<&[String]>) -> String {
    let file = fs::read(tool::TINY).expect("a model");
    let gguf = Gguf::parse(&file).expect("parsed");
    let mut copy = llmtool::gguf_writer::GgufWriter::with_metadata_of(&gguf);
    if let Some(template) = template {
        let value = llm_core::gguf::Value::String(template.as_bytes());
        copy.set(TEMPLATE_KEY, &value);
    }
    if let Some(strings) = key {
        copy.set_strings(SCAFFOLD_KEY, strings);
    }
    for tensor in gguf.tensors() {
        copy.tensor(
            tensor.name,
            tensor.ty,
            &tensor.dims[..tensor.rank],
            tensor.data.to_vec(),
        );
    }
    let path = fresh(name);
    fs::write(&path, copy.finish()).expect("written");
    path
}

#[test]
fn a_model_without_a_template_goes_on_as_before_and_has_no_place_for_a_system_text() {
    assert!(output(&["chat-template", tool::TINY]).starts_with("none"));
    let refused = failure(
        &[
            "generate",
            "-m",
            tool::TINY,
            "-p",
            "Hi",
            "--system",
            "Be brief.",
        ],
        1,
    );
    assert!(refused.contains("no chat template"), "{refused}");
    let out = fresh("nothing.gguf");
    let refused = failure(&["chat-template", "-m", tool::TINY, "-o", &out], 1);
    assert!(refused.contains("nothing can be derived"), "{refused}");
}

#[test]
fn an_answer_ends_before_a_stop_string() {
    let asked = [
        "generate",
        "-m",
        tool::TINY,
        "-p",
        "Once",
        "-n",
        "24",
        "--temp",
        "0",
    ];
    let answer = output(&asked);
    let answer = answer.trim_end_matches('\n');
    let half = answer.chars().count() / 2;
    let stop: String = answer.chars().skip(half).take(3).collect();
    let before = &answer[..answer.find(&stop).expect("it was said")];
    let with = |more: &[&'static str]| [&asked[..], &["--stop", &stop], more].concat();
    assert_eq!(output(&with(&[])), format!("{before}\n"));
    assert_eq!(
        output(&with(&["--stop", "never said"])),
        format!("{before}\n")
    );
    let many = ["--stop", "b", "--stop", "c", "--stop", "d", "--stop", "e"];
    let reason = failure(&with(&many), 1);
    assert!(reason.contains("more than 4 stop strings"), "{reason}");
    let reason = failure(&with(&["--stop", ""]), 1);
    assert!(reason.contains("stop string 2 is empty"), "{reason}");
    let reason = failure(&with(&["--choices", "yes,no"]), 1);
    assert!(
        reason.contains("a format or stop strings, not both"),
        "{reason}"
    );
}
