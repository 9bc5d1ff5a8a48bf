//! Chat templates: compares the engine's scaffolds, and derived ones, with the templates' own Jinja.

mod chats;
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod tool;

use std::collections::HashSet;
use std::fs;

use chats::{BYTE_LEVEL, SENTENCE_PIECE, Vocabulary};
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

/// Number of random conversations per family.
const CONVERSATIONS: usize = 200;

/// The published templates: the file, and the vocabulary of its family.
const FAMILIES: &[(&str, &str)] = &[
    ("chatml", BYTE_LEVEL),
    ("command-r-plus", BYTE_LEVEL),
    ("deepseek-r1-distill-llama", BYTE_LEVEL),
    ("deepseek-v2", BYTE_LEVEL),
    ("gemma", SENTENCE_PIECE),
    ("gemma-2", SENTENCE_PIECE),
    ("gemma-3", SENTENCE_PIECE),
    ("granite-3.0", BYTE_LEVEL),
    ("kimi-k2", BYTE_LEVEL),
    ("lfm2", BYTE_LEVEL),
    ("ling-lite", BYTE_LEVEL),
    ("llama-2", SENTENCE_PIECE),
    ("llama-3", BYTE_LEVEL),
    ("llama-3.1", BYTE_LEVEL),
    ("megrez", BYTE_LEVEL),
    ("mistral-nemo", BYTE_LEVEL),
    ("mistral-v0", SENTENCE_PIECE),
    ("mistral-v1", SENTENCE_PIECE),
    ("mistral-v3", SENTENCE_PIECE),
    ("mistral-v7", SENTENCE_PIECE),
    ("olmo-2", BYTE_LEVEL),
    ("openchat-3.5", SENTENCE_PIECE),
    ("phi-3-medium", SENTENCE_PIECE),
    ("phi-3-mini", SENTENCE_PIECE),
    ("phi-3-small", BYTE_LEVEL),
    ("phi-3-vision", SENTENCE_PIECE),
    ("phi-3.5", SENTENCE_PIECE),
    ("phi-4", BYTE_LEVEL),
    ("qwen2", BYTE_LEVEL),
    ("qwen2.5", BYTE_LEVEL),
    ("smollm2", BYTE_LEVEL),
    ("tulu-3", BYTE_LEVEL),
    ("zephyr", SENTENCE_PIECE),
];

fn template(name: &str) -> String {
    let path = format!(
        "{}/tests/templates/{name}.jinja",
        env!("CARGO_MANIFEST_DIR")
    );
    fs::read_to_string(path).expect("a template")
}

/// Maximum size of a scaffold's string, including the vocabulary's tokens.
const MOST_BYTES: usize = 1 << 13;

/// The bound of what a scaffold adds with this vocabulary.
fn bound(scaffold: &Scaffold<'_>, vocabulary: &Vocabulary) -> Bound {
    let mut text = vec![0; MOST_BYTES];
    let mut cells = vec![Cell::default(); scratch_cells(MOST_BYTES)];
    let bound = scaffold.bound(&vocabulary.view(), &mut text, &mut cells);
    bound.expect("room")
}

/// The engine's ids.
fn encode(
    scaffold: &Scaffold<'_>,
    vocabulary: &Vocabulary,
    segments: &[Segment<'_>],
    place: Place,
) -> Result<Vec<u32>, ChatError> {
    let bound = bound(scaffold, vocabulary);
    let said: usize = segments.iter().map(|segment| segment.text.len()).sum();
    let mut out = vec![0; bound.tokens(said, segments.len())];
    let mut text = vec![0; bound.bytes(said, segments.len())];
    let mut cells = vec![Cell::default(); scratch_cells(text.len())];
    let conversation = Conversation {
        segments,
        place,
        user_defined: false,
    };
    let buffers = Buffers {
        text: &mut text,
        cells: &mut cells,
        out: &mut out,
    };
    let len = scaffold.encode(&vocabulary.view(), &bound, &conversation, buffers)?;
    out.truncate(len);
    Ok(out)
}

/// The ids of the template's own Jinja output, tokenized with only the scaffold parsed. The scaffold's parts are found
/// by rendering markers in place of the texts, and then the texts with and without their white space.
fn reference(jinja: &Jinja, vocabulary: &Vocabulary, segments: &[Segment<'_>]) -> Vec<u32> {
    let whole = jinja.render(segments, true).expect("rendered");
    let markers: Vec<String> = (0..segments.len()).map(|at| format!("Qz{at}zQ")).collect();
    let marked: Vec<Segment<'_>> = segments
        .iter()
        .zip(&markers)
        .map(|(segment, marker)| Segment::new(segment.role, marker))
        .collect();
    let marked = jinja.render(&marked, true).expect("rendered");
    // In the order in which they occur.
    let mut order: Vec<usize> = (0..segments.len()).collect();
    order.sort_by_key(|&at| marked.find(&markers[at]).expect("each text is there"));
    let mut parts: Vec<(String, bool)> = Vec::new();
    let (mut rest, mut left) = (marked.as_str(), whole.as_str());
    for at in order {
        let (literal, behind) = rest.split_once(&markers[at]).expect("once");
        left = left.strip_prefix(literal).expect("the same scaffold");
        let text = segments[at].text;
        let next = behind.find("Qz").map_or(behind, |next| &behind[..next]);
        let forms = [text, text.trim_end(), text.trim_start(), text.trim()];
        let form = forms
            .into_iter()
            .find(|form| {
                left.strip_prefix(form)
                    .is_some_and(|left| left.starts_with(next))
            })
            .expect("the text, perhaps without white space");
        left = &left[form.len()..];
        parts.push((literal.to_owned(), true));
        parts.push((form.to_owned(), false));
        rest = behind;
    }
    assert_eq!(left, rest, "the same end");
    parts.push((rest.to_owned(), true));
    vocabulary.tokenize(&parts)
}

/// llama.cpp's rendering of a system text if the template refuses one: it is put before the first user's text.
fn merged(segments: &[Segment<'_>], between: &str, trim: bool) -> Option<(String, usize)> {
    let (system, rest) = segments.split_first()?;
    (system.role == Role::System).then(|| {
        let of = |text: &str| if trim { text.trim() } else { text }.to_owned();
        (
            format!("{}{between}{}", of(system.text), of(rest[0].text)),
            rest.len(),
        )
    })
}

fn compare(name: &str, base: &str, template: &str) {
    let scaffold = recognise(template)
        .unwrap_or_else(|| panic!("{name} is recognised"))
        .scaffold;
    let vocabulary = Vocabulary::with_tokens_of(base, template, name.starts_with("phi-3"));
    let jinja = Jinja::new(template, &vocabulary.view(), None).expect("Jinja");
    let system = scaffold.system.place != SystemPlace::Nowhere;
    let forbidden: Vec<&str> = scaffold
        .refused
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    let spellings: Vec<&str> = vocabulary
        .special
        .iter()
        .map(String::as_str)
        .filter(|spelling| !forbidden.contains(spelling))
        .collect();
    let mut source = Source(7);
    let mut seen = HashSet::new();
    for number in 0..CONVERSATIONS {
        let mut conversation = random::conversation(&mut source, 5, system, &spellings);
        // Each conversation's texts spell every control token.
        let all = spellings.concat();
        let last = conversation.last_mut().expect("a user's text");
        last.1 = format!("{all} {}", last.1);
        let segments = random::segments(&conversation);
        let ours = encode(&scaffold, &vocabulary, &segments, Place::Beginning)
            .unwrap_or_else(|error| panic!("{name}, {number}: {error}"));
        let refuses = matches!(name, "gemma" | "gemma-2" | "mistral-v0");
        let (between, trim) = if name == "mistral-v0" {
            ("\n", false)
        } else {
            ("\n\n", true)
        };
        let expected = match merged(&segments, between, trim).filter(|_| refuses) {
            Some((text, _)) => {
                let mut segments = segments[1..].to_vec();
                segments[0] = Segment::new(Role::User, &text);
                reference(&jinja, &vocabulary, &segments)
            }
            None => reference(&jinja, &vocabulary, &segments),
        };
        assert_eq!(ours, expected, "{name}, {number}: {segments:?}");
        seen.insert(segments.len());
    }
    assert!(seen.len() > 4, "conversations of many lengths");
}

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

const OWN: &str = "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] | trim }}\n\n{% endfor %}\
                   {% if add_generation_prompt %}[assistant]{% endif %}";

#[test]
fn an_unknown_template_is_derived_into_a_copy_that_talks() {
    let unknown = model("unknown.gguf", Some(OWN), None);
    assert!(output(&["chat-template", &unknown]).starts_with("not known"));
    assert!(output(&["inspect", &unknown]).contains("chat          not known"));
    let refused = failure(&["generate", "-m", &unknown, "-p", "Hi", "-n", "4"], 1);
    assert!(
        refused.contains("is not known") && refused.contains("--raw"),
        "{refused}"
    );
    let derived = fresh("derived.gguf");
    let shown = output(&["chat-template", "-m", &unknown, "-o", &derived]);
    assert!(
        shown.contains("agrees with the template on 400 random conversations"),
        "{shown}"
    );
    assert!(shown.contains("told apart by text"), "{shown}");
    assert!(output(&["chat-template", &derived]).starts_with("derived"));
    let inspected = output(&["inspect", &derived]);
    assert!(inspected.contains("chat          derived"), "{inspected}");
    assert!(inspected.contains("text can imitate roles"), "{inspected}");
    let file = fs::read(&derived).expect("written");
    let gguf = Gguf::parse(&file).expect("parsed");
    let scaffold = Template::of(&gguf)
        .expect("sound")
        .scaffold()
        .expect("known");
    assert_eq!(scaffold.user.before, "[user] ");
    assert_eq!(scaffold.generation, "[assistant]");
    // The prompt is a user's turn; as plain text it gives a different result.
    let asked = [
        "generate", "-m", &derived, "-p", " Once ", "-n", "8", "--temp", "0",
    ];
    let answer = output(&asked);
    let by_hand = "[user] Once\n\n[assistant]";
    let same = [
        "generate", "-m", &derived, "--raw", "-p", by_hand, "-n", "8", "--temp", "0",
    ];
    assert_eq!(answer, output(&same));
    let raw = [&asked[..], &["--raw"]].concat();
    assert_ne!(answer, output(&raw));
    let with_system = [&asked[..], &["--system", "Be brief."]].concat();
    let by_hand = "[system] Be brief.\n\n[user] Once\n\n[assistant]";
    let same = [
        "generate", "-m", &derived, "--raw", "-p", by_hand, "-n", "8", "--temp", "0",
    ];
    assert_eq!(output(&with_system), output(&same));
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
fn a_scaffold_for_another_template_or_a_broken_one_is_refused() {
    let digest = |template: &str| {
        String::from_utf8(llm_core::chat::template_digest(template).to_vec()).expect("digits")
    };
    let cases: [(&str, Vec<String>, &str); 4] = [
        (
            "other.gguf",
            vec![digest("another")],
            "derived from another",
        ),
        (
            "short.gguf",
            vec![digest(OWN), "1".into()],
            "1 strings, not 16 to 24",
        ),
        (
            "version.gguf",
            std::iter::once(digest(OWN))
                .chain((0..16).map(|_| "2".into()))
                .collect(),
            "string 0 of",
        ),
        (
            "long.gguf",
            std::iter::once(digest(OWN))
                .chain((0..16).map(|_| "x".repeat(7000)))
                .collect(),
            "has 7000 bytes",
        ),
    ];
    for (name, strings, reason) in cases {
        let path = model(name, Some(OWN), Some(&strings));
        let refused = failure(&["chat-template", &path], 1);
        assert!(refused.contains(reason), "{refused}");
    }
}

#[test]
fn what_no_scaffold_can_do_is_refused_with_the_reason() {
    let each = |body: &str| format!("{{% for m in messages %}}{body}{{% endfor %}}");
    let cases = [
        (
            "drops",
            each("{% if loop.last %}{{ m.content }}{% endif %}"),
            "left out or repeated",
        ),
        (
            "numbers",
            each("{{ loop.index }} {{ m.content }}\n"),
            "not always the same",
        ),
        (
            "left",
            each("<{{ m.role }}>{{ m.content.lstrip('\\n ') }}"),
            "part of the white space",
        ),
        (
            "upper",
            each("<{{ m.role }}>{{ m.content | upper }}"),
            "left out or repeated",
        ),
        (
            "length",
            each("<{{ m.role }}>{{ m.content }}{% if m.content | length > 30 %}!{% endif %}"),
            "no scaffold can do",
        ),
        (
            "date",
            format!(
                "{{{{ strftime_now('%d %b %Y') }}}}{}",
                each("<{{ m.role }}>{{ m.content }}")
            ),
            "--date",
        ),
        ("broken", "{% for".to_owned(), "cannot be rendered"),
        (
            "endless",
            format!(
                "{{% for x in range(10000) %}}{{% for y in range(10000) %}}{{% endfor %}}{{% endfor %}}{}",
                each("{{ m.content }}")
            ),
            "cannot be rendered",
        ),
        ("names", each("{bos}{{ m.content }}"), "{bos} or {eos}"),
    ];
    for (name, template, reason) in cases {
        let path = model(&format!("no-{name}.gguf"), Some(&template), None);
        let out = fresh(&format!("no-{name}-out.gguf"));
        let refused = failure(&["chat-template", "-m", &path, "-o", &out], 1);
        assert!(refused.contains(reason), "{name}: {refused}");
        assert!(fs::metadata(&out).is_err(), "{name}: nothing is written");
    }
    let dated = format!(
        "{{{{ strftime_now('%d %b %Y') }}}}{}",
        each("<{{ m.role }}>{{ m.content }}")
    );
    let path = model("dated.gguf", Some(&dated), None);
    let out = fresh("dated-out.gguf");
    let shown = output(&[
        "chat-template",
        "-m",
        &path,
        "-o",
        &out,
        "--date",
        "2025-03-04",
    ]);
    assert!(shown.contains("04 Mar 2025"), "{shown}");
    assert!(Date::parse("2025-02-31x").is_err());
}

#[test]
fn a_hostile_template_costs_so_much_and_no_more_and_gives_one_line() {
    // The maximum length of a template.
    let long = |before: &str, part: &str, after: &str| {
        let room = MAX_TEMPLATE_BYTES - before.len() - after.len();
        format!("{before}{}{after}", part.repeat(room / part.len()))
    };
    let said = "{% for m in messages %}{{ m.content }}{% endfor %}";
    let memory = |step: &str| {
        format!(
            "{{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}}{{% for i in range(60) %}}{{% set ns.x = {step} %}}{{% endfor %}}{said}"
        )
    };
    // Expressions that are deep but otherwise valid.
    let deep = [
        ("not", long("{{ ", "not ", "1 }}")),
        ("minus", long("{{ ", "-", "1 }}")),
        ("plus", long("{{ 1", "+1", " }}")),
        ("filter", long("{{ 'a'", "|upper", " }}")),
        ("attribute", long("{{ a", ".b", " }}")),
        ("elif", long("{% if 0 %}", "{% elif 0 %}", "{% endif %}")),
        ("if", long("{{ ", "1 if 0 else ", "1 }}")),
        ("and", long("{{ 1", " and 1", " }}")),
        ("call", long("{{ a", "()", " }}")),
        ("index", long("{{ a", "[0]", " }}")),
        ("join", long("{{ 1", "~1", " }}")),
        ("brackets", long("{{ ", "[", " }}")),
    ];
    for (name, template) in deep {
        let path = model(&format!("deep-{name}.gguf"), Some(&template), None);
        let refused = refused(&path);
        assert!(!refused.contains("was stopped"), "{name}: {refused}");
    }
    let stopped = [
        ("double", memory("ns.x ~ ns.x")),
        ("replace", memory("ns.x.replace('a', ns.x)")),
        (
            "lists",
            format!(
                "{{% set ns = namespace(x=[]) %}}{{% for i in range(9999) %}}{{% set ns.x = [ns.x, range(99999)|list] %}}{{% endfor %}}{said}"
            ),
        ),
    ];
    for (name, template) in stopped {
        let path = model(&format!("large-{name}.gguf"), Some(&template), None);
        let refused = refused(&path);
        assert!(refused.contains("was stopped"), "{name}: {refused}");
    }
    let path = model("long.gguf", Some(&" ".repeat(MAX_TEMPLATE_BYTES + 1)), None);
    let refused = refused(&path);
    assert!(
        refused.contains("the chat template is 65537 bytes long: at most 65536 are run"),
        "{refused}"
    );
}

/// The line that reports why no scaffold was derived.
fn refused(model: &str) -> String {
    let out = fresh("hostile-out.gguf");
    let refused = failure(&["chat-template", "-m", model, "-o", &out], 1);
    assert_eq!(refused.trim_end().lines().count(), 1, "{refused}");
    assert!(fs::metadata(&out).is_err(), "nothing is written");
    refused
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
