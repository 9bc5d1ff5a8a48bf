//! Small vocabularies for the tests of chat templates, with the special tokens of a template added.

use std::fs;

use llm_core::gguf::{Gguf, Value};
use llm_core::testing::GgufWriter;
use llm_core::tokenizer::{EncodeOptions, TokenType, VocabularyView};
use llmtool::vocabulary::HostVocabulary;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/tokenizers");

/// Byte-level BPE, as in Llama 3 and Qwen.
pub const BYTE_LEVEL: &str = "vocab-llama-bpe.gguf";
/// SentencePiece, as in Llama 2 and Gemma.
pub const SENTENCE_PIECE: &str = "vocab-spm.gguf";

const USER_DEFINED: i32 = 4;
const CONTROL: i32 = 3;

pub struct Vocabulary {
    loaded: HostVocabulary,
    /// Spellings of special tokens, longest first.
    pub special: Vec<String>,
    /// Whether special tokens absorb white space after them, as in llama.cpp for models of this name.
    strips: bool,
}

impl Vocabulary {
    /// A vocabulary extended with everything that looks like a special token in a template.
    pub fn with_tokens_of(base: &str, template: &str, phi_3: bool) -> Self {
        let name = phi_3.then_some("Phi-3");
        Self::new(
            &format!("{FOLDER}/{base}"),
            &special_in(template),
            CONTROL,
            name,
        )
    }

    /// A vocabulary with some added tokens.
    pub fn with_added(path: &str) -> Self {
        let added = [
            "[PAD49152]",
            "<table>",
            "the ",
            "ing",
            "\n\n",
            "    ",
            "x[",
            "é",
        ];
        Self::new(path, &added.map(str::to_owned), USER_DEFINED, None)
    }

    fn new(path: &str, added: &[String], ty: i32, name: Option<&str>) -> Self {
        let file = fs::read(path).expect("a vocabulary");
        let gguf = Gguf::parse(&file).expect("parsed");
        let list = |key: &str| gguf.array_opt(key).expect("an array");
        let strings = |key: &str| -> Option<Vec<Vec<u8>>> {
            let strings = list(key)?.strings().expect("strings");
            Some(strings.map(<[u8]>::to_vec).collect())
        };
        let mut tokens = strings("tokenizer.ggml.tokens").expect("tokens");
        let types = list("tokenizer.ggml.token_type");
        let mut types: Vec<i32> = match types {
            Some(types) => types.i32s().expect("types").collect(),
            None => vec![1; tokens.len()],
        };
        let new: Vec<&String> = added
            .iter()
            .filter(|token| !tokens.iter().any(|other| other == token.as_bytes()))
            .collect();
        for token in new {
            tokens.push(token.as_bytes().to_vec());
            types.push(ty);
        }
        let mut writer = GgufWriter::default();
        for (key, value) in gguf.keys().filter(|(key, _)| key.starts_with("tokenizer.")) {
            match value {
                Value::String(text) => {
                    writer.str(key, std::str::from_utf8(text).expect("text"));
                }
                Value::U32(number) => {
                    writer.u32(key, number);
                }
                Value::Bool(truth) => {
                    writer.bool(key, truth);
                }
                _ => {}
            }
        }
        if let Some(scores) = list("tokenizer.ggml.scores") {
            let mut scores: Vec<f32> = scores.f32s().expect("scores").collect();
            scores.resize(tokens.len(), -1000.0);
            writer.f32s("tokenizer.ggml.scores", &scores);
        }
        if let Some(merges) = strings("tokenizer.ggml.merges") {
            writer.strings("tokenizer.ggml.merges", &merges);
        }
        writer.strings("tokenizer.ggml.tokens", &tokens);
        writer.i32s("tokenizer.ggml.token_type", &types);
        if let Some(name) = name {
            writer.str("general.name", name);
        }
        let file = writer.finish();
        let gguf = Gguf::parse(&file).expect("parsed");
        let loaded = HostVocabulary::load("vocabulary".as_ref(), &gguf).expect("loaded");
        let view = loaded.view();
        let is_special = |&id: &u32| {
            matches!(
                view.token_type(id),
                TokenType::Control | TokenType::UserDefined | TokenType::Unknown
            )
        };
        let mut special: Vec<String> = (0..view.len() as u32)
            .filter(is_special)
            .filter_map(|id| String::from_utf8(view.piece(id).to_vec()).ok())
            .collect();
        special.sort_by_key(|token| std::cmp::Reverse(token.len()));
        Self {
            loaded,
            special,
            strips: name.is_some(),
        }
    }

    pub fn view(&self) -> VocabularyView<'_> {
        self.loaded.view()
    }

    /// The ids of an untrusted text.
    pub fn encode(&self, text: &str, parse_user_defined: bool) -> Vec<u32> {
        let options = EncodeOptions {
            add_special: false,
            parse_special: false,
            parse_user_defined,
        };
        self.loaded
            .encode(text.as_bytes(), options)
            .expect("encoded")
    }

    /// The ids of a text in parts, of which only those of the scaffold have special tokens: cut at these by looking for
    /// the longest at every position; the tokenizer does the stretches between them.
    pub fn tokenize(&self, parts: &[(String, bool)]) -> Vec<u32> {
        let view = self.view();
        let text: String = parts.iter().map(|(text, _)| text.as_str()).collect();
        let mut cut: Vec<(usize, &str)> = Vec::new();
        let mut begin = 0;
        for (part, scaffold) in parts {
            let mut at = 0;
            while *scaffold && at < part.len() {
                let rest = &part[at..];
                let token = self
                    .special
                    .iter()
                    .find(|token| rest.starts_with(token.as_str()));
                if let Some(token) = token {
                    cut.push((begin + at, token));
                }
                let step = rest.chars().next().map_or(1, char::len_utf8);
                at += token.map_or(step, String::len);
            }
            begin += part.len();
        }
        let mut ids = Vec::new();
        ids.extend(view.bos_added());
        let mut at = 0;
        for (place, token) in cut {
            if place > at {
                ids.extend(self.encode(&text[at..place], false));
            }
            let id = view.find(token.as_bytes()).expect("a token");
            // There is only one begin token, whether the scaffold or the vocabulary adds it.
            if !(place == 0 && view.bos_added() == Some(id)) {
                ids.push(id);
            }
            at = place + token.len();
            if self.strips && !matches!(token, "<unk>" | "<s>" | "<|endoftext|>") {
                let rest = &text[at..];
                at += rest.len()
                    - rest
                        .trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
                        .len();
            }
        }
        if at < text.len() {
            ids.extend(self.encode(&text[at..], false));
        }
        ids
    }
}

/// Everything that looks like a special token in a template.
fn special_in(template: &str) -> Vec<String> {
    const ALWAYS: &[&str] = &["<think>", "</think>"];
    let mut found: Vec<String> = ALWAYS.iter().map(|token| (*token).to_owned()).collect();
    for (open, close) in [
        ("<|", "|>"),
        ("<｜", "｜>"),
        ("[", "]"),
        ("<start_of", ">"),
        ("<end_of", ">"),
        ("<role", ">"),
        ("</role", ">"),
    ] {
        let mut rest = template;
        while let Some(at) = rest.find(open) {
            rest = &rest[at..];
            let Some(end) = rest.find(close) else { break };
            let token = &rest[..end + close.len()];
            let plain = |c: char| c.is_alphanumeric() || "<>|｜[]/_▁".contains(c);
            let known =
                token.len() > 3 && token.chars().all(plain) && !token[open.len()..].contains(open);
            let upper = open != "[" || token.chars().any(|c| c.is_ascii_uppercase());
            if known && upper && !found.iter().any(|other| other == token) {
                found.push(token.to_owned());
            }
            rest = &rest[open.len()..];
        }
    }
    for role in ["system", "user", "assistant"] {
        let token = format!("<|{role}|>");
        if template.contains("'<|' + message['role']") && !found.contains(&token) {
            found.push(token);
        }
    }
    found
}
