//! Each family's template, and conversations to compare it on.

use super::*;

/// Number of random conversations per family.
const CONVERSATIONS: usize = 200;

/// The published templates: the file, and the vocabulary of its family.
pub(super) const FAMILIES: &[(&str, &str)] = &[
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

pub(super) fn template(name: &str) -> String {
    let path = format!(
        "{}/tests/templates/{name}.jinja",
        env!("CARGO_MANIFEST_DIR")
    );
    fs::read_to_string(path).expect("a template")
}

/// Maximum size of a scaffold's string, including the vocabulary's tokens.
const MOST_BYTES: usize = 1 << 13;

/// The bound of what a scaffold adds with this vocabulary.
pub(super) fn bound(scaffold: &Scaffold<'_>, vocabulary: &Vocabulary) -> Bound {
    let mut text = vec![0; MOST_BYTES];
    let mut cells = vec![Cell::default(); scratch_cells(MOST_BYTES)];
    let bound = scaffold.bound(&vocabulary.view(), &mut text, &mut cells);
    bound.expect("room")
}

/// The engine's ids.
pub(super) fn encode(
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

pub(super) fn compare(name: &str, base: &str, template: &str) {
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
