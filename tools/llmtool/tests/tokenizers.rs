//! Our tokenizers against llama.cpp's: `tests/tokenizers/` of the repository holds 2,000 strings, small
//! vocabularies for every pre-tokenizer, and what llama.cpp made of them (`make_tokenizers.py` there
//! says how).

use std::fs;
use std::path::PathBuf;

use llm_core::gguf::Gguf;
use llm_core::tokenizer::EncodeOptions;
use llm_core::verify::sha256;
use llmtool::vocabulary::HostVocabulary;
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    vocabulary: String,
    sha256: String,
    /// The beginning of the digest of each string's ids.
    plain: String,
    special: String,
    /// Whether llama.cpp gives the string back.
    back: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(ids: &[u32]) -> String {
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    hex(&sha256(&bytes)[..6])
}

/// Compares all strings; false if the vocabulary is not here.
fn compare(name: &str) -> bool {
    let folder = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/tokenizers"
    ));
    let read = |name: &str| fs::read(folder.join(name)).expect("the reference");
    let strings: Vec<String> = serde_json::from_slice(&read("strings.json")).unwrap();
    let reference: Reference = serde_json::from_slice(&read(&format!("{name}.json"))).unwrap();
    let shared = std::env::var("SEL4_LLM_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    let places = [folder, PathBuf::from(shared).join("tokenizers")];
    let Some(file) = places
        .iter()
        .find_map(|place| fs::read(place.join(&reference.vocabulary)).ok())
    else {
        println!(
            "skipped: {} is not there (set SEL4_LLM_SHARED)",
            reference.vocabulary
        );
        return false;
    };
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
    true
}

macro_rules! vocabularies {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            assert!(compare($name));
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

/// The large ones are not in the repository.
#[test]
fn vocabularies_of_gpt2_and_llama() {
    for name in ["ggml-vocab-gpt-2", "ggml-vocab-llama-spm"] {
        compare(name);
    }
}
