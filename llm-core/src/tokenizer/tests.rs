use super::*;
use crate::gguf::ValueType;
use crate::gguf::builder::{Builder, string};
use crate::testing::{GgufWriter, byte_character};
use proptest::prelude::*;
use std::collections::HashMap;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

const PLAIN: EncodeOptions = EncodeOptions {
    add_special: false,
    parse_special: false,
    parse_user_defined: true,
};
const PARSE: EncodeOptions = EncodeOptions {
    add_special: false,
    parse_special: true,
    parse_user_defined: true,
};

struct Loaded {
    header: Header,
    table: Vec<u32>,
}

impl Loaded {
    fn new(file: &[u8]) -> Self {
        let gguf = Gguf::parse(file).expect("parsed");
        let requirements = Vocabulary::check(&gguf).expect("checked");
        let mut table = vec![0; requirements.words()];
        let header = Header::fill(&gguf, &mut table).expect("filled");
        Self { header, table }
    }

    fn view(&self) -> VocabularyView<'_> {
        self.header.view(&self.table)
    }

    fn encode(&self, text: &str, options: EncodeOptions) -> Vec<u32> {
        let mut scratch = vec![Cell::default(); scratch_cells(text.len())];
        let mut out = vec![0; 3 * text.len() + 8];
        let len = self
            .view()
            .encode(text.as_bytes(), options, &mut scratch, &mut out)
            .expect("encoded");
        out.truncate(len);
        out
    }

    fn decode(&self, ids: &[u32]) -> String {
        let mut bytes = Vec::new();
        for (index, &id) in ids.iter().enumerate() {
            bytes.extend(self.view().decode(id, index == 0));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

type Token = (String, f32, TokenType);

fn token(text: &str, score: f32) -> Token {
    (text.to_string(), score, TokenType::Normal)
}

/// Unknown, beginning, end, all bytes, then `more`.
fn vocabulary(more: &[Token]) -> Vec<Token> {
    let mut tokens = vec![
        ("<unk>".to_string(), 0.0, TokenType::Unknown),
        ("<s>".to_string(), 0.0, TokenType::Control),
        ("</s>".to_string(), 0.0, TokenType::Control),
    ];
    tokens.extend((0..=255).map(|byte| (format!("<0x{byte:02X}>"), 0.0, TokenType::Byte)));
    tokens.extend_from_slice(more);
    tokens
}

fn file(tokens: &[Token]) -> Builder {
    Builder::default()
        .str("tokenizer.ggml.model", "llama")
        .array(
            "tokenizer.ggml.tokens",
            ValueType::String,
            tokens.iter().map(|token| string(token.0.as_bytes())),
        )
        .array(
            "tokenizer.ggml.scores",
            ValueType::F32,
            tokens.iter().map(|token| token.1.to_le_bytes().to_vec()),
        )
        .array(
            "tokenizer.ggml.token_type",
            ValueType::I32,
            tokens
                .iter()
                .map(|token| (token.2 as i32).to_le_bytes().to_vec()),
        )
}

fn small() -> Loaded {
    Loaded::new(
        &file(&vocabulary(&[
            token("▁", -5.0),
            token("a", -6.0),
            token("b", -7.0),
            token("ab", -1.0),
            token("▁ab", -2.0),
            token("aa", -3.0),
            ("<user>".to_string(), 0.0, TokenType::UserDefined),
            ("<usersub>".to_string(), 0.0, TokenType::Control),
        ]))
        .build(),
    )
}

#[test]
fn the_best_score_is_merged_first_and_the_leftmost_of_equals() {
    let small = small();
    let id = |text: &str| small.view().find(text.as_bytes()).unwrap();
    assert_eq!(small.encode("ab", PLAIN), [id("▁ab")]);
    assert_eq!(small.encode("aab", PLAIN), [id("▁"), id("a"), id("ab")]);
    assert_eq!(small.encode("aaa", PLAIN), [id("▁"), id("aa"), id("a")]);
    assert_eq!(small.encode("", PLAIN), []);
}

#[test]
fn what_is_no_token_becomes_bytes() {
    let small = small();
    let byte = |byte: u32| 3 + byte;
    let space = small.view().find("▁".as_bytes()).unwrap();
    assert_eq!(small.encode("é", PLAIN), [space, byte(0xC3), byte(0xA9)]);
    assert_eq!(small.decode(&[byte(0xC3), byte(0xA9)]), "é");
}

#[test]
fn control_tokens_are_parsed_only_on_request_and_never_printed() {
    let small = small();
    let id = |text: &str| small.view().find(text.as_bytes()).unwrap();
    assert_eq!(
        small.encode("ab</s>ab", PARSE),
        [id("▁ab"), id("</s>"), id("▁ab")]
    );
    assert!(!small.encode("ab</s>ab", PLAIN).contains(&id("</s>")));
    assert_eq!(small.decode(&small.encode("ab</s>ab", PARSE)), "ab ab");
    // The longest wins; user-defined text is matched in any case.
    assert_eq!(small.encode("<usersub>", PARSE), [id("<usersub>")]);
    assert_eq!(small.encode("<user><user>", PLAIN), [id("<user>"); 2]);
    assert_eq!(small.decode(&[id("<user>")]), "<user>");
}

#[test]
fn no_text_becomes_a_token_that_steers_the_model_whatever_can_be_merged() {
    // `</` and `s>` make `</s>`, and `<s` and `>` make `<s>`.
    let pieces = ["▁", "</", "s>", "<s", ">", "<", "/", "s", "un", "k>", "<un"];
    let more: Vec<Token> = pieces.iter().map(|piece| token(piece, -1.0)).collect();
    let crafted = Loaded::new(&file(&vocabulary(&more)).build());
    for text in ["</s>", "<s>", "s></s><s>", "<unk>"] {
        let ids = crafted.encode(text, PLAIN);
        assert!(ids.iter().all(|&id| id > 2), "{text}: {ids:?}");
        assert_eq!(crafted.decode(&ids), text);
    }
    assert_eq!(crafted.encode("</s>", PARSE), [2]);

    // A byte token that is not text is refused, or becomes the unknown token.
    let mut tokens = vocabulary(&[token("▁", -1.0)]);
    tokens[3 + usize::from(b'A')].2 = TokenType::Control;
    let crafted = Loaded::new(&file(&tokens).build());
    let ids = crafted.encode("A", PLAIN);
    let control = 3 + u32::from(b'A');
    assert!(!ids.contains(&control), "{ids:?}");
}

#[test]
fn a_special_token_that_is_part_of_a_character_takes_nothing_out_of_a_text() {
    let mut tokens: Vec<Vec<u8>> = (0..=255u8)
        .map(|byte| byte_character(byte).to_string().into_bytes())
        .collect();
    // The first byte of "é".
    tokens.push(vec![0xC3]);
    let mut kinds = vec![1; 256];
    kinds.push(4);
    let file = GgufWriter::default()
        .str("general.architecture", "gpt2")
        .str("tokenizer.ggml.model", "gpt2")
        .str("tokenizer.ggml.pre", "gpt-2")
        .strings("tokenizer.ggml.tokens", &tokens)
        .i32s("tokenizer.ggml.token_type", &kinds)
        .strings("tokenizer.ggml.merges", &[])
        .finish();
    let loaded = Loaded::new(&file);
    let ids = loaded.encode("é b", PLAIN);
    assert_eq!((ids.len(), loaded.decode(&ids)), (4, "é b".to_string()));
}

#[test]
fn the_file_decides_about_the_beginning_the_end_and_the_space() {
    let special = EncodeOptions {
        add_special: true,
        ..PLAIN
    };
    assert_eq!(small().encode("", special), [1]);
    let tokens = vocabulary(&[token("a", 0.0), token("▁a", 0.0)]);
    let other = Loaded::new(
        &file(&tokens)
            .bool("tokenizer.ggml.add_bos_token", false)
            .bool("tokenizer.ggml.add_eos_token", true)
            .bool("tokenizer.ggml.add_space_prefix", false)
            .build(),
    );
    assert_eq!(other.encode("a", special), [3 + 256, 2]);
    assert!(other.view().is_eog(2));
    assert!(!other.view().is_eog(1));
}

#[test]
fn room_that_is_too_small_is_reported_with_what_is_needed() {
    let small = small();
    let mut scratch = [Cell::default(); 6];
    let mut out = [0; 2];
    assert_eq!(
        small.view().encode(b"bbbbb", PLAIN, &mut scratch, &mut out),
        Err(TokenizeError::TooManyTokens {
            tokens: 6,
            limit: 2
        })
    );
    assert_eq!(
        small
            .view()
            .encode(b"bbbbbb", PLAIN, &mut scratch, &mut out),
        Err(TokenizeError::ScratchTooSmall {
            cells: 6,
            needed: 7
        })
    );
    assert_eq!(
        small
            .view()
            .encode(b"b\xFFb", PLAIN, &mut scratch, &mut out),
        Err(TokenizeError::NotUtf8 { offset: 1 })
    );
}

#[test]
fn eight_kilobytes_of_one_letter_are_fast() {
    let mut more = vec![token("▁", -1.0)];
    more.extend((0..8).map(|power| token(&"a".repeat(1 << power), -(power as f32))));
    let loaded = Loaded::new(&file(&vocabulary(&more)).build());
    let begun = std::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(loaded.encode(&"a".repeat(8192), PLAIN).len(), 65);
    }
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[test]
fn wrong_vocabularies_are_refused() {
    let refused = |builder: &Builder| {
        let file = builder.build();
        let gguf = Gguf::parse(&file).unwrap();
        Vocabulary::check(&gguf).expect_err("refused")
    };
    let other = Builder::default().str("tokenizer.ggml.model", "rwkv");
    assert!(matches!(
        refused(&other),
        VocabularyError::UnsupportedTokenizer { .. }
    ));
    let long = "a".repeat(MAX_TOKEN_BYTES + 1);
    assert!(matches!(
        refused(&file(&vocabulary(&[token(&long, 0.0)]))),
        VocabularyError::TokenTooLong { id: 259, .. }
    ));
    assert_eq!(
        refused(&file(&vocabulary(&[token("a", f32::NAN)]))),
        VocabularyError::BadScore { id: 259 }
    );
    let byte = ("<0xG0>".to_string(), 0.0, TokenType::Byte);
    assert_eq!(
        refused(&file(&vocabulary(&[byte]))),
        VocabularyError::BadByteToken { id: 259 }
    );
    assert!(matches!(
        refused(&file(&[])),
        VocabularyError::BadSize { tokens: 0 }
    ));
    // The last two tokens of the vocabulary, and two without text, which llama.cpp distinguishes.
    assert_eq!(
        refused(&file(&vocabulary(&[
            token("a", 0.0),
            token("b", 1.0),
            token("a", 2.0)
        ]))),
        VocabularyError::DuplicateToken {
            id: 261,
            other: 259
        }
    );
    let empty = file(&vocabulary(&[token("", 0.0), token("", 0.0)])).build();
    assert!(Vocabulary::check(&Gguf::parse(&empty).unwrap()).is_ok());
    assert!(matches!(
        refused(&file(&[token("a", 0.0)])),
        VocabularyError::MissingSpecialToken { .. }
    ));
    let short = Builder::default()
        .str("tokenizer.ggml.model", "llama")
        .array("tokenizer.ggml.tokens", ValueType::String, [string(b"a")])
        .array("tokenizer.ggml.scores", ValueType::F32, []);
    assert!(matches!(
        refused(&short),
        VocabularyError::LengthMismatch { len: 0, .. }
    ));
}

#[test]
fn vocabularies_fit_their_room_beyond_the_text() {
    let requirements = Requirements {
        tokens: 32_000,
        text_bytes: 200_000,
        scores: 32_000,
        merges: 0,
    };
    assert!(requirements.bytes() - requirements.text_bytes < 512 * 1024);
    let gpt2 = Requirements {
        tokens: 50_257,
        text_bytes: 320_000,
        scores: 0,
        merges: 50_000,
    };
    assert!(gpt2.bytes() - gpt2.text_bytes < 1024 * 1024);
}

/// llama.cpp's algorithm to the letter, but with a plain search for the best pair.
fn naive(tokens: &[Token], text: &str) -> Vec<u32> {
    let ids: HashMap<&str, u32> = (0..)
        .zip(tokens)
        .map(|(id, token)| (token.0.as_str(), id))
        .collect();
    let mut symbols: Vec<String> = format!(" {text}")
        .replace(' ', "▁")
        .chars()
        .map(|character| character.to_string())
        .collect();
    loop {
        let mut best: Option<(f32, usize)> = None;
        for left in 0..symbols.len() - 1 {
            let pair = format!("{}{}", symbols[left], symbols[left + 1]);
            if let Some(&id) = ids.get(pair.as_str()) {
                let score = tokens[id as usize].1;
                if best.is_none_or(|(best, _)| score > best) {
                    best = Some((score, left));
                }
            }
        }
        let Some((_, left)) = best else { break };
        let right = symbols.remove(left + 1);
        symbols[left].push_str(&right);
    }
    let mut out = Vec::new();
    for symbol in symbols {
        match ids.get(symbol.as_str()) {
            Some(&id) => out.push(id),
            None => out.extend(symbol.bytes().map(|byte| 3 + u32::from(byte))),
        }
    }
    out
}

proptest! {
    #[test]
    fn tokens_equal_those_of_the_plain_algorithm(
        more in proptest::collection::btree_map("[ab▁é]{1,5}", -3_i8..3, 0..40),
        text in "[ab é]{1,40}",
    ) {
        let more: Vec<Token> = more
            .iter()
            .map(|(text, &score)| token(text, f32::from(score)))
            .collect();
        let tokens = vocabulary(&more);
        let loaded = Loaded::new(&file(&tokens).build());
        prop_assert_eq!(loaded.encode(&text, PLAIN), naive(&tokens, &text));
    }

    #[test]
    fn what_was_encoded_decodes_to_the_text(text: String) {
        // ▁ itself comes back as a space.
        let expected = text.replace('▁', " ");
        let small = small();
        prop_assert_eq!(small.decode(&small.encode(&text, PLAIN)), expected);
    }

    #[test]
    fn any_change_to_a_vocabulary_is_loaded_or_refused(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
        text in "[ab</s>user ]{0,60}",
    ) {
        let mut bytes = file(&vocabulary(&[token("ab", 1.0)])).build();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let Ok(gguf) = Gguf::parse(&bytes) else { return Ok(()) };
        let Ok(requirements) = Vocabulary::check(&gguf) else { return Ok(()) };
        let mut table = vec![0; requirements.words()];
        let header = Header::fill(&gguf, &mut table);
        prop_assert!(header.is_ok(), "checked, but not loaded: {:?}", header);
        let view = header.unwrap().view(&table);
        let mut scratch = vec![Cell::default(); scratch_cells(text.len())];
        let mut out = vec![0; 256];
        if let Ok(len) = view.encode(text.as_bytes(), PARSE, &mut scratch, &mut out) {
            for &id in &out[..len] {
                prop_assert!((id as usize) < view.len());
                prop_assert!(view.decode(id, false).count() <= MAX_TOKEN_BYTES);
            }
        }
    }
}
