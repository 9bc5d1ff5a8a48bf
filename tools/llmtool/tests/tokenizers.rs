//! Compares our tokenizers with llama.cpp's: `tests/tokenizers/` has 2,000 strings, small vocabularies for every
//! pre-tokenizer, and llama.cpp's results for them (`make_tokenizers.py` there says how). It also has llama.cpp's
//! results for vocabularies outside the repository, which are compared if SEL4_LLM_VOCABULARIES names a folder that has
//! them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use llm_core::gguf::Gguf;
use llm_core::hash::sha256;
use llm_core::tokenizer::EncodeOptions;
use llmtool::vocabulary::HostVocabulary;
use serde::Deserialize;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/tokenizers");

#[derive(Deserialize)]
struct Reference {
    vocabulary: String,
    sha256: String,
    /// The beginning of the digest of each string's ids.
    plain: String,
    special: String,
    /// Whether llama.cpp decodes the ids to the same string.
    back: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(ids: &[u32]) -> String {
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    hex(&sha256(&bytes)[..6])
}

/// Compares all strings.
fn compare(name: &str) {
    let strings: Vec<String> = read("strings.json");
    let reference: Reference = read(&format!("{name}.json"));
    let file = fs::read(PathBuf::from(FOLDER).join(&reference.vocabulary)).unwrap();
    assert_eq!(
        hex(&sha256(&file)),
        reference.sha256,
        "run make_tokenizers.py"
    );
    let gguf = Gguf::parse(&file).unwrap();
    let vocabulary = HostVocabulary::load("vocabulary".as_ref(), &gguf).unwrap();
    let view = vocabulary.view();
    let encode = |text: &str, add_special, parse_special| {
        let options = EncodeOptions {
            add_special,
            parse_special,
            parse_user_defined: true,
        };
        vocabulary.encode(text.as_bytes(), options).unwrap()
    };
    assert_eq!(strings.len(), 2000);
    let expected = reference.plain.split(' ').zip(reference.special.split(' '));
    let mut compared = 0;
    for ((text, (plain, special)), back) in strings.iter().zip(expected).zip(reference.back.bytes())
    {
        assert_eq!(
            digest(&encode(text, true, false)),
            plain,
            "{name}: {text:?}"
        );
        assert_eq!(
            digest(&encode(text, true, true)),
            special,
            "{name}: {text:?}"
        );
        let ids = encode(text, false, false);
        let decoded: Vec<u8> = ids
            .iter()
            .enumerate()
            .flat_map(|(index, &id)| view.decode(id, index == 0))
            .collect();
        if back == b'1' {
            assert_eq!(decoded, text.as_bytes(), "{name}: {text:?}");
        }
        compared += 1;
    }
    assert_eq!(compared, 2000);
}

macro_rules! vocabularies {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            compare($name);
        }
    )*};
}

vocabularies! {
    gpt_2: "vocab-gpt-2",
    llama_bpe: "vocab-llama-bpe",
    qwen2: "vocab-qwen2",
    smollm: "vocab-smollm",
    default: "vocab-default",
    sentence_piece: "vocab-spm",
}

#[derive(Deserialize)]
struct Names {
    groups: Vec<Group>,
}

/// Pre-tokenizers for which llama.cpp makes the same ids.
#[derive(Deserialize)]
struct Group {
    names: Vec<String>,
    plain: String,
    special: String,
}

#[derive(Deserialize)]
struct Vocabularies {
    vocabularies: Vec<Public>,
}

/// A vocabulary outside the repository.
#[derive(Deserialize)]
struct Public {
    vocabulary: String,
    sha256: String,
    /// Tokens that end a generation in llama.cpp.
    ends: Vec<u32>,
    plain: String,
    special: String,
}

/// Strings that share a digest in the references below.
const GROUP: usize = 20;

/// Characters of a digest.
const DIGEST: usize = 12;

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = PathBuf::from(FOLDER).join(name);
    serde_json::from_slice(&fs::read(path).expect("the reference")).unwrap()
}

/// The digests of the ids of each [`GROUP`] strings, concatenated with 2³² − 1 after each.
fn grouped(vocabulary: &HostVocabulary, strings: &[String], parse_special: bool) -> Vec<String> {
    let options = EncodeOptions {
        add_special: true,
        parse_special,
        parse_user_defined: true,
    };
    let ids = |text: &String| {
        let mut ids = vocabulary.encode(text.as_bytes(), options).unwrap();
        ids.push(u32::MAX);
        ids
    };
    let groups = strings.chunks(GROUP);
    groups
        .map(|group| digest(&group.iter().flat_map(ids).collect::<Vec<u32>>()))
        .collect()
}

fn expect_groups(
    name: &str,
    vocabulary: &HostVocabulary,
    strings: &[String],
    [plain, special]: [&str; 2],
) {
    for (expected, parse_special) in [(plain, false), (special, true)] {
        let got = grouped(vocabulary, strings, parse_special);
        let expected: Vec<&str> = expected.split(' ').collect();
        assert_eq!(got.len(), expected.len());
        for ((got, expected), strings) in got.iter().zip(expected).zip(strings.chunks(GROUP)) {
            assert_eq!(
                got, expected,
                "{name}, special {parse_special}: {strings:#?}"
            );
        }
    }
}

#[test]
fn every_name_of_a_pre_tokenizer_gives_llama_cpps_ids() {
    let some: Vec<String> = read("more.json");
    let mut all: Vec<String> = read("strings.json");
    all.extend_from_slice(&some);
    assert_eq!((some.len(), all.len()), (500, 2500));
    let file = fs::read(PathBuf::from(FOLDER).join("vocab-names.gguf")).unwrap();
    let string = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let entry = |name: &str| {
        let key = string("tokenizer.ggml.pre");
        [&key[..], &8_u32.to_le_bytes(), &string(name)].concat()
    };
    let old = entry("gpt-2");
    let at = file.windows(old.len()).position(|part| part == old);
    let at = at.expect("the vocabulary of gpt-2");
    let mut compared = 0;
    for group in read::<Names>("names.json").groups {
        for (index, name) in group.names.iter().enumerate() {
            let renamed = [&file[..at], &entry(name), &file[at + old.len()..]].concat();
            let gguf = Gguf::parse(&renamed).unwrap();
            let vocabulary = HostVocabulary::load(name.as_ref(), &gguf).expect("a known name");
            // All strings for the first name; for the others, those that were made for them.
            let strings = if index == 0 { &all } else { &some };
            let digests = strings.len() / GROUP;
            let reference = [&group.plain, &group.special].map(|digests_of_all| {
                let from = (all.len() / GROUP - digests) * (DIGEST + 1);
                &digests_of_all[from..]
            });
            expect_groups(name, &vocabulary, strings, reference);
            compared += 1;
        }
    }
    assert_eq!(compared, 74);
}

/// llama.cpp's own vocabularies, and the models that the documentation names, are in a folder of the reader's.
#[test]
fn vocabularies_of_others_give_llama_cpps_ids_and_end_where_they_do() {
    let strings: Vec<String> = read("strings.json");
    let mut missing = Vec::new();
    for reference in read::<Vocabularies>("vocabularies.json").vocabularies {
        let name = &reference.vocabulary;
        let Some((path, file)) = public(name) else {
            missing.push(reference.vocabulary);
            continue;
        };
        assert_eq!(hex(&sha256(&file)), reference.sha256, "another {name}");
        let gguf = Gguf::parse(&file).unwrap();
        let vocabulary = HostVocabulary::load(&path, &gguf).expect("a vocabulary");
        let view = vocabulary.view();
        let ends: Vec<u32> = (0..view.len() as u32)
            .filter(|&id| view.is_eog(id))
            .collect();
        assert_eq!(ends, reference.ends, "{name}");
        let expected = [reference.plain.as_str(), &reference.special];
        let known: Vec<String> = strings
            .iter()
            .map(|text| expressible(&gguf, &vocabulary, text))
            .collect();
        expect_groups(name, &vocabulary, &known, expected);
        let cases = compare_cases(&path, &vocabulary);
        say(&format!(
            "{name}: {} strings and {cases} cases of llama.cpp",
            strings.len()
        ));
    }
    if !missing.is_empty() {
        say(&format!(
            "SKIPPED, set SEL4_LLM_VOCABULARIES to a folder that has them: {}",
            missing.join(", ")
        ));
    }
}

#[test]
fn tokenizers_of_other_kinds_are_refused_by_name() {
    for (name, expected) in [
        ("ggml-vocab-bert-bge.gguf", "tokenizer.ggml.model = bert"),
        ("ggml-vocab-gemma-4.gguf", "tokenizer.ggml.model = gemma4"),
        (
            "ggml-vocab-nomic-bert-moe.gguf",
            "tokenizer.ggml.model = t5",
        ),
    ] {
        let Some((path, file)) = public(name) else {
            say(&format!(
                "SKIPPED, set SEL4_LLM_VOCABULARIES to a folder that has it: {name}"
            ));
            continue;
        };
        let refused = HostVocabulary::load(&path, &Gguf::parse(&file).unwrap());
        let error = refused.expect_err("another tokenizer").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// A text without the characters that have a byte without a token: llama.cpp drops those, the engine refuses them.
fn expressible(gguf: &Gguf<'_>, vocabulary: &HostVocabulary, text: &str) -> String {
    let byte_level = gguf.str_of("tokenizer.ggml.model") == Ok("gpt2");
    let is_token = |byte: u8| vocabulary.view().find(&[byte]).is_some();
    let mut bytes = [0; 4];
    let mut known = |c: &char| c.encode_utf8(&mut bytes).bytes().all(is_token);
    text.chars().filter(|c| !byte_level || known(c)).collect()
}

/// llama.cpp's own cases for its vocabulary: texts in one file, their ids line by line in another.
fn compare_cases(path: &Path, vocabulary: &HostVocabulary) -> usize {
    let beside = |suffix: &str| fs::read_to_string(format!("{}{suffix}", path.display()));
    let (Ok(texts), Ok(ids)) = (beside(".inp"), beside(".out")) else {
        return 0;
    };
    let options = EncodeOptions {
        add_special: false,
        parse_special: false,
        parse_user_defined: true,
    };
    let mut cases = 0;
    for (text, ids) in texts.split("\n__ggml_vocab_test__\n").zip(ids.lines()) {
        let ids: Vec<u32> = ids
            .split_whitespace()
            .map(|id| id.parse().unwrap())
            .collect();
        let got = vocabulary.encode(text.as_bytes(), options).unwrap();
        assert_eq!(got, ids, "{}: {text:?}", path.display());
        cases += 1;
    }
    cases
}

/// A file outside the repository; `None` if it is missing.
fn public(name: &str) -> Option<(PathBuf, Vec<u8>)> {
    let given = std::env::var_os("SEL4_LLM_VOCABULARIES").map(PathBuf::from);
    let places = given.into_iter().chain([shared()]);
    let mut files = places.map(|place| place.join(name));
    files.find_map(|path| fs::read(&path).ok().map(|file| (path, file)))
}

fn shared() -> PathBuf {
    let shared = std::env::var("SEL4_LLM_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    PathBuf::from(shared).join("tokenizers")
}

/// Prints it whether the test passes or not; `println` does not.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
