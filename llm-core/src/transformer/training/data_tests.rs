//! Tokenization of examples, and which data is refused where.

use super::data::Tokens;
use super::draft::tokens;
use super::*;
use crate::kv_cache::KvType;
use crate::simd::Cpu;
use crate::testing::{Memory as Bytes, Shape, gpt2, model};
use crate::tokenizer::EncodeOptions;
use crate::transformer::{Checked, LoadOptions, Positions};
use std::string::ToString;
use std::vec;
use std::vec::Vec;

const OPTIONS: LoadOptions = LoadOptions {
    context: 48,
    kv: KvType::F32,
    sessions: 1,
    positions: Positions::Fill,
    max_prompt_bytes: 100,
    cpu: Cpu::SCALAR,
    workers: 1,
};

/// Runs something with the tokenizer of a model.
fn with<T>(file: &[u8], run: impl FnOnce(&mut Tokens<'_>) -> T) -> T {
    let checked = Checked::new(file).expect("a model");
    let mut memory = Bytes::new(4 << 20);
    let mut arena = Arena::new(memory.bytes()).expect("aligned");
    let model = Model::load(&checked, &OPTIONS, &mut arena).expect("room");
    tokens(&model, &mut arena, run)
}

fn llama() -> Vec<u8> {
    model(Shape::default()).finish()
}

/// The tokens of each example, and the index of the first one that it teaches.
fn examples(file: &[u8], data: &str) -> Result<Vec<(Vec<u32>, usize)>, TrainError> {
    with(file, |tokens| {
        let count = data::count(data.as_bytes(), tokens)?;
        let mut ids = vec![0; count.tokens];
        let mut ends = vec![[0; 2]; count.examples];
        data::fill(data.as_bytes(), tokens, &mut ids, &mut ends)?;
        let mut start = 0;
        let mut all = Vec::new();
        for [end, first] in ends {
            let example = ids[start..end as usize].to_vec();
            assert!(example.len() <= count.longest);
            all.push((example, first as usize));
            start = end as usize;
        }
        assert_eq!(start, ids.len());
        Ok(all)
    })
}

fn refusal(data: &[u8]) -> std::string::String {
    with(&llama(), |tokens| data::count(data, tokens))
        .expect_err("refused")
        .to_string()
}

/// Tokens as in a request.
fn encoded(file: &[u8], text: &str, special: bool, continues: bool) -> Vec<u32> {
    with(file, |tokens| {
        let mut ids = vec![0; 100];
        let view = match continues {
            true => tokens.vocabulary.continuing(),
            false => tokens.vocabulary,
        };
        let options = EncodeOptions {
            add_special: special,
            parse_special: false,
            parse_user_defined: true,
        };
        let count = view.encode(text.as_bytes(), options, tokens.cells, &mut ids);
        ids.truncate(count.expect("tokens"));
        ids
    })
}

#[test]
fn a_prompt_is_that_of_a_request_and_an_answer_goes_on_behind_it() {
    for file in [llama(), gpt2(Shape::default()).finish()] {
        let data = r#"{"prompt": "ab \"c", "answer": "x\nyz"}"#;
        let [(tokens, first)] = &examples(&file, data).expect("an example")[..] else {
            panic!("one example");
        };
        let mut expected = encoded(&file, "ab \"c", true, false);
        assert_eq!(*first, expected.len());
        expected.extend(encoded(&file, "x\nyz", false, true));
        let eos = with(&file, |tokens| tokens.vocabulary.eos()).expect("an end");
        expected.push(eos);
        assert_eq!(*tokens, expected);
    }
    // No space is added: x, y and z are three tokens of the vocabulary.
    assert_eq!(encoded(&llama(), "xyz", false, true).len(), 3);
    assert_eq!(encoded(&llama(), "xyz", false, false).len(), 4);
}

#[test]
fn texts_are_divided_by_blank_lines_and_teach_all_their_tokens_but_the_first() {
    let file = llama();
    let got = examples(&file, "\n\nab\ncd\r\n \t\n\nef\n\n").expect("examples");
    // No end is taught either: these may be passages.
    let expected = ["ab\ncd", "ef"].map(|text| (encoded(&file, text, true, false), 1));
    assert_eq!(got, expected);
    let json = examples(&file, "{\"text\": \"ab\\ncd\"}\n\n {\"text\":\"ef\"}").expect("examples");
    assert_eq!(json, expected);
    let marked = examples(&file, "\u{feff}{\"text\": \"ab\\ncd\"}\n{\"text\":\"ef\"}");
    assert_eq!(
        marked.expect("examples"),
        expected,
        "with a mark of the byte order"
    );
    let bracket = examples(&file, "[ab]\ncd").expect("a text");
    assert_eq!(bracket.len(), 1);
}

#[test]
fn bad_data_is_refused_with_its_line() {
    for (data, message) in [
        (&b"ab\n\ncd\n\xFF"[..], "line 4 is not UTF-8"),
        (
            b"{\"text\": \"ab\"}\n\n{\"text\": 1}",
            "line 3 is not an example: a value is not a string",
        ),
        (
            b"\n[\n{\"text\": \"ab\"}\n]",
            "line 2 is not an example: it begins an array: each line has one object, without brackets or commas around it",
        ),
        (
            b"{\"text\": \"ab\"}\nab",
            "line 2 is not an example: an object begins with {",
        ),
        (
            b"{\"prompt\": \"ab\"}",
            "line 1 is not an example: it has neither prompt and answer nor text alone",
        ),
        (
            b"{\"prompt\": \"ab\", \"answer\": \"c\", \"text\": \"d\"}",
            "line 1 is not an example: it has neither prompt and answer nor text alone",
        ),
        (
            b"{\"text\": \"ab\", \"label\": \"d\"}",
            "line 1 is not an example: it has a member that is not called prompt, answer or text",
        ),
        (
            b"{\"text\": \"ab\", \"text\": \"d\"}",
            "line 1 is not an example: it has a member twice",
        ),
        (
            b"ab\n\nabcdefghi abcdefghi abcdefghi abcdefghi abcdefghi",
            "the example of line 3 has 51 tokens, the context 48",
        ),
        (b"", "the data holds no examples"),
        (b" \n\t\n", "the data holds no examples"),
    ] {
        assert_eq!(refusal(data), message);
    }
    let long = vec![b'a'; MAX_DATA_BYTES + 1];
    assert_eq!(
        refusal(&long),
        "the data has 131073 bytes, at most 131072 can be used"
    );
    let error = refusal(&[b'a'; 101]);
    assert!(
        error.starts_with("the text of line 1 has 101 bytes, the tokenizer has room for "),
        "{error}"
    );
    let escaped = std::format!("{{\"text\": \"{}\"}}", "\\u0061".repeat(17));
    let error = refusal(escaped.as_bytes());
    assert!(
        error.starts_with("the text of line 1 has 102 bytes"),
        "{error}"
    );
}

/// Hostile data and the expected error, or `Ok` with the number of examples.
fn hostile() -> Vec<(&'static str, Vec<u8>, Result<usize, &'static str>)> {
    let nested = |open: &str| open.repeat((64 << 10) / open.len()).into_bytes();
    let line = |text: &str| std::format!("{{\"text\":\"{text}\"}}").into_bytes();
    let lone = Err("line 1 is not an example: an escape is half of a character");
    let mut behind_blanks = vec![b'\n'; 100_000];
    behind_blanks.extend(b"{\"text\":\"ab\"}\n{\"text\":1}");
    let long_name = std::format!("{{\"{}\":\"\"}}", "n".repeat(100_000));
    vec![
        (
            "64 KiB of objects in objects",
            nested("{\"text\":"),
            Err("line 1 is not an example: a value is not a string"),
        ),
        (
            "64 KiB of lists in a member",
            [&b"{\"text\":"[..], &nested("[")].concat(),
            Err("line 1 is not an example: a value is not a string"),
        ),
        // Not an object, so it is a text of one line.
        (
            "64 KiB of lists in lists",
            nested("["),
            Err("the text of line 1 has 65536 bytes, the tokenizer has room for "),
        ),
        (
            "64 KiB of empty objects in a line",
            nested("{}"),
            Err("line 1 is not an example: something follows the object"),
        ),
        (
            "a NUL in a string",
            line("a\0b"),
            Err("line 1 is not an example: a string holds a control character that is not escaped"),
        ),
        ("a NUL that is escaped", line("a\\u0000b"), Ok(1)),
        ("a text of NULs", vec![0; 40], Ok(1)),
        ("lines of NULs", b"\0\n\n\0\0\n\n\0".to_vec(), Ok(3)),
        ("the first half of a pair", line("\\ud800"), lone),
        ("the second half of a pair", line("\\udc00"), lone),
        ("two first halves", line("\\ud83d\\ud83d"), lone),
        ("halves apart", line("\\ud83d \\ude00"), lone),
        (
            "a half in UTF-8",
            line("a")
                .iter()
                .flat_map(|byte| match byte {
                    b'a' => vec![0xed, 0xa0, 0x80],
                    other => vec![*other],
                })
                .collect(),
            Err("line 1 is not UTF-8"),
        ),
        (
            "100,000 empty lines",
            vec![b'\n'; 100_000],
            Err("the data holds no examples"),
        ),
        (
            "100,000 empty lines before a wrong one",
            behind_blanks,
            Err("line 100002 is not an example: a value is not a string"),
        ),
        (
            "a line of 100,000 bytes",
            vec![b'a'; 100_000],
            Err("the text of line 1 has 100000 bytes, the tokenizer has room for "),
        ),
        (
            "a string of 100,000 bytes",
            line(&"a".repeat(100_000)),
            Err("the text of line 1 has 100000 bytes, the tokenizer has room for "),
        ),
        (
            "a string of 100,000 backslashes",
            line(&"\\".repeat(100_000)),
            Err("the text of line 1 has 100000 bytes, the tokenizer has room for "),
        ),
        (
            "a name of 100,000 bytes",
            long_name.into_bytes(),
            Err(
                "line 1 is not an example: it has a member that is not called prompt, answer or text",
            ),
        ),
        (
            "a string without an end",
            [&b"{\"text\":\""[..], &[b'a'; 100_000]].concat(),
            Err("line 1 is not an example: a string has no end"),
        ),
        (
            "43,000 texts of a byte",
            b"a\n\n".repeat(43_000),
            Ok(43_000),
        ),
    ]
}

#[test]
fn hostile_data_is_refused_or_harmless_and_the_next_data_are_read_as_ever() {
    let file = llama();
    let ordinary = b"{\"prompt\":\"ab\",\"answer\":\"c\"}";
    let before = with(&file, |tokens| data::count(ordinary, tokens)).expect("an example");
    with(&file, |tokens| {
        for (what, data, expected) in hostile() {
            match (data::count(&data, tokens), expected) {
                (Ok(count), Ok(examples)) => {
                    assert_eq!(count.examples, examples, "{what}");
                    // Audit reserves by this bound, and accepts no more.
                    let line_feeds = data.iter().filter(|byte| **byte == b'\n').count();
                    assert!(count.tokens <= data.len() + 3 * (line_feeds + 1), "{what}");
                    let (mut ids, mut ends) = (vec![0; count.tokens], vec![[0; 2]; examples]);
                    data::fill(&data, tokens, &mut ids, &mut ends).expect(what);
                    assert_eq!(ends.last().map(|end| end[0]), Some(count.tokens as u32));
                }
                (Err(error), Err(message)) => {
                    let said = error.to_string();
                    assert!(said.starts_with(message), "{what}: {said}");
                }
                (got, _) => panic!("{what}: {got:?}"),
            }
            assert_eq!(
                data::count(ordinary, tokens).as_ref(),
                Ok(&before),
                "{what}"
            );
        }
    });
}
