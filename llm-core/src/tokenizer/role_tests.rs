//! Tokens with a role, keys, and vocabularies of the largest size.

use super::*;
use crate::testing::{GgufWriter, byte_character};
use std::string::ToString;
use std::vec;
use std::vec::Vec;

const PLAIN: EncodeOptions = EncodeOptions {
    add_special: false,
    parse_special: false,
    parse_user_defined: true,
};

/// A byte-level vocabulary: the 256 bytes, then tokens with their types.
fn byte_level(tokens: &[(&str, i32)]) -> GgufWriter {
    let mut texts: Vec<Vec<u8>> = (0..=255u8)
        .map(|byte| byte_character(byte).to_string().into_bytes())
        .collect();
    texts.extend(tokens.iter().map(|(text, _)| text.as_bytes().to_vec()));
    let mut types = vec![1; 256];
    types.extend(tokens.iter().map(|&(_, ty)| ty));
    let mut writer = GgufWriter::default();
    writer
        .str("tokenizer.ggml.model", "gpt2")
        .str("tokenizer.ggml.pre", "gpt-2")
        .strings("tokenizer.ggml.tokens", &texts)
        .i32s("tokenizer.ggml.token_type", &types)
        .strings("tokenizer.ggml.merges", &[])
        .u32("tokenizer.ggml.eos_token_id", 256);
    writer
}

struct Loaded(Header, Vec<u32>);

impl Loaded {
    fn new(writer: &GgufWriter) -> Self {
        Self::of_file(&writer.finish())
    }

    fn of_file(file: &[u8]) -> Self {
        let gguf = Gguf::parse(file).expect("parsed");
        let mut table = vec![0; Vocabulary::check(&gguf).expect("checked").words()];
        Self(Header::fill(&gguf, &mut table).expect("filled"), table)
    }

    fn view(&self) -> VocabularyView<'_> {
        self.0.view(&self.1)
    }

    /// The texts of the tokens at which generation ends, except token 256.
    fn ends(&self) -> Vec<&str> {
        let view = self.view();
        let ends = (257..view.len() as u32).filter(|&id| view.is_eog(id));
        ends.map(|id| core::str::from_utf8(view.piece(id)).unwrap())
            .collect()
    }

    fn encode(&self, text: &str, options: EncodeOptions) -> Vec<u32> {
        let mut cells = vec![Cell::default(); scratch_cells(text.len())];
        let mut out = vec![0; 3 * text.len() + 4];
        let view = self.view();
        let len = view.encode(text.as_bytes(), options, &mut cells, &mut out);
        out.truncate(len.expect("encoded"));
        out
    }
}

fn refusal(writer: &GgufWriter) -> std::string::String {
    let file = writer.finish();
    let gguf = Gguf::parse(&file).expect("parsed");
    Vocabulary::check(&gguf).expect_err("refused").to_string()
}

#[test]
fn a_generation_ends_at_the_tokens_that_keys_and_spellings_name() {
    let tokens = [
        ("<end>", 3),
        ("<|im_end|>", 1),
        ("<|fim_pad|>", 3),
        ("<|repo_name|>", 3),
        ("<|file_sep|>", 3),
        ("[e~[", 3),
        ("<turn|>", 3),
        ("<|im_start|>", 3),
        ("<|fim_prefix|>", 4),
        ("mine", 3),
    ];
    let mut writer = byte_level(&tokens);
    let loaded = Loaded::new(&writer);
    assert!(loaded.view().is_eog(256), "the end of text");
    let spelled = [
        "<|im_end|>",
        "<|fim_pad|>",
        "<|repo_name|>",
        "<|file_sep|>",
        "[e~[",
        "<turn|>",
    ];
    assert_eq!(loaded.ends(), spelled);
    // They are not text, whatever the file says.
    for text in ["<|im_end|>", "<|fim_prefix|>"] {
        let id = loaded.view().find(text.as_bytes()).unwrap();
        assert_eq!(loaded.view().token_type(id), TokenType::Control);
        assert!(!loaded.encode(text, PLAIN).contains(&id));
    }
    // A key overrides the spellings of its role, and one out of range is ignored.
    writer
        .u32("tokenizer.ggml.fim_pad_token_id", 265)
        .u32("tokenizer.ggml.fim_sep_token_id", 9999)
        .u32("tokenizer.ggml.eot_token_id", 263)
        .u32("tokenizer.ggml.prefix_token_id", 264);
    let loaded = Loaded::new(&writer);
    assert_eq!(
        loaded.ends(),
        [
            "<|im_end|>",
            "<|repo_name|>",
            "<|file_sep|>",
            "[e~[",
            "<turn|>",
            "<|im_start|>",
            "mine"
        ]
    );
    assert_eq!(loaded.view().token_type(264), TokenType::UserDefined);
}

#[test]
fn an_answer_goes_on_behind_a_message_where_calls_and_returns_end_it() {
    let harmony = [
        ("<eot>", 3),
        ("<|return|>", 3),
        ("<|call|>", 3),
        ("<|end|>", 3),
    ];
    assert_eq!(
        Loaded::new(&byte_level(&harmony)).ends(),
        ["<|return|>", "<|call|>"]
    );
    let solar = [
        ("<eot>", 3),
        ("<|flush|>", 3),
        ("<|calls|>", 3),
        ("<|end|>", 3),
    ];
    assert_eq!(
        Loaded::new(&byte_level(&solar)).ends(),
        ["<|flush|>", "<|calls|>"]
    );
    let phi = [("<eot>", 3), ("<|return|>", 3), ("<|end|>", 3)];
    assert_eq!(
        Loaded::new(&byte_level(&phi)).ends(),
        ["<|return|>", "<|end|>"]
    );
    // No text becomes this token, as before.
    let loaded = Loaded::new(&byte_level(&harmony));
    assert_eq!(loaded.view().token_type(259), TokenType::Control);
}

#[test]
fn a_tag_of_text_ends_nothing_in_the_vocabularies_that_have_it() {
    let plain = [("<eot>", 3), ("</s>", 1), ("<tool_response>", 3)];
    assert_eq!(Loaded::new(&byte_level(&plain)).ends(), ["</s>"]);
    let gemma = [("<eot>", 3), ("</s>", 1), ("<|tool_response>", 3)];
    let loaded = Loaded::new(&byte_level(&gemma));
    assert_eq!(loaded.ends(), ["<|tool_response>"]);
    assert_eq!(loaded.view().token_type(257), TokenType::Normal);
    let plamo = [("<|plamo:eos|>", 3), ("</s>", 1)];
    assert_eq!(Loaded::new(&byte_level(&plamo)).ends(), [""; 0]);
}

#[test]
fn suppressed_tokens_are_listed_and_never_all() {
    let mut writer = byte_level(&[("<eot>", 3), ("ab", 1)]);
    assert_eq!(Loaded::new(&writer).view().suppressed().count(), 0);
    writer.i32s("tokenizer.ggml.suppress_tokens", &[7, -1, 257, 9999, 3, 7]);
    let loaded = Loaded::new(&writer);
    let suppressed: Vec<u32> = loaded.view().suppressed().collect();
    assert_eq!(suppressed, [257, 7, 3]);
    assert_eq!(loaded.view().token_type(257), TokenType::Normal);
    let mut writer = byte_level(&[("<eot>", 3)]);
    writer.i32s("tokenizer.ggml.suppress_tokens", &[0; 257]);
    let refused = refusal(&writer);
    assert!(refused.contains("257 items for 257 tokens"), "{refused}");
}

#[test]
fn a_key_of_the_tokenizer_that_is_not_known_refuses_the_file_by_name() {
    let eot = [("<eot>", 3)];
    let mut writer = byte_level(&eot);
    writer
        .str("tokenizer.chat_template", "{{ messages }}")
        .str("tokenizer.chat_template.tool_use", "{{ tools }}")
        .bool("tokenizer.ggml.remove_extra_whitespaces", false)
        .u32("tokenizer.ggml.padding_token_id", 0);
    Loaded::new(&writer);
    let mut writer = byte_level(&eot);
    writer.str("tokenizer.ggml.normalizer", "NFC");
    assert_eq!(
        refusal(&writer),
        "the metadata key tokenizer.ggml.normalizer is not known to the engine, and could change the result"
    );
    let mut writer = byte_level(&eot);
    writer.bool("tokenizer.ggml.normalizer.lowercase", true);
    assert_eq!(
        refusal(&writer),
        "tokenizer.ggml.normalizer.lowercase = true is not supported, only false is"
    );
}

#[test]
fn special_tokens_take_white_space_with_them_where_llama_cpp_knows_the_model_for_it() {
    let parse = EncodeOptions {
        parse_special: true,
        ..PLAIN
    };
    let tokens = [("<eot>", 3), ("<|user|>", 3), ("<mask>", 3), ("<s>", 3)];
    let mut phi = byte_level(&tokens);
    phi.str("general.name", "Phi-3 Mini");
    let a = u32::from(b'a');
    let encode = |writer: &GgufWriter, text| Loaded::new(writer).encode(text, parse);
    assert_eq!(encode(&phi, "<|user|> \n<|user|>\ta"), [257, 257, a]);
    assert_eq!(encode(&phi, "a <|user|>"), [a, 32, 257]);
    assert_eq!(encode(&phi, "<s> a"), [259, 32, a]);
    let plain = byte_level(&tokens);
    assert_eq!(encode(&plain, "<|user|> a"), [257, 32, a]);
    let mut jina = byte_level(&tokens);
    jina.remove_key("tokenizer.ggml.pre");
    jina.str("tokenizer.ggml.pre", "jina-v2-de");
    assert_eq!(encode(&jina, " <mask> a"), [258, 32, a]);
}

#[test]
fn a_name_that_is_no_text_is_no_reason_to_refuse_a_model() {
    // Found by the fuzzer: the check took this model, and the load did not.
    let mut writer = byte_level(&[("<eot>", 3)]);
    writer.str("general.name", "Phi-3 Mini");
    let mut file = writer.finish();
    let at = file.windows(4).position(|at| at == b"Mini").expect("it");
    file[at] = 0xF4;
    Loaded::of_file(&file);
    writer.remove_key("general.name");
    writer.u32("general.name", 3);
    Loaded::new(&writer);
}

#[test]
fn the_longest_tokens_there_are_make_one_of_512_spaces() {
    // As in GPT-NeoX: two tokens of a power of two make the next.
    let space = byte_character(b' ').to_string();
    let runs: Vec<_> = (1..=9).map(|power| space.repeat(1 << power)).collect();
    let mut tokens = vec![("<eot>", 3)];
    tokens.extend(runs.iter().map(|run| (run.as_str(), 1)));
    let mut writer = byte_level(&tokens);
    writer.remove_key("tokenizer.ggml.merges");
    let merges: Vec<Vec<u8>> = (0..9)
        .map(|power| {
            let half = space.repeat(1 << power);
            std::format!("{half} {half}").into_bytes()
        })
        .collect();
    writer.strings("tokenizer.ggml.merges", &merges);
    let loaded = Loaded::new(&writer);
    assert_eq!(loaded.encode(&" ".repeat(512), PLAIN), [265]);
    assert_eq!(loaded.view().decode(265, false).count(), MAX_TOKEN_BYTES);
    assert_eq!(loaded.encode(&" ".repeat(1025), PLAIN).len(), 3);
}

#[test]
fn any_two_equal_tokens_of_many_are_found_and_no_others() {
    let mut texts: Vec<Vec<u8>> = (0..40_000_u32)
        .map(|id| std::format!("{:x}", id.wrapping_mul(0x9E37_79B1)).into_bytes())
        .collect();
    let check = |texts: &[Vec<u8>]| {
        let mut writer = GgufWriter::default();
        let file = writer.strings("t", texts).finish();
        duplicates::check(&Gguf::parse(&file).unwrap().array("t").unwrap())
    };
    assert_eq!(check(&texts), Ok(()));
    for (other, id) in [(0, 39_999), (17, 18), (20_000, 30_000)] {
        let equal = texts[other].clone();
        let kept = std::mem::replace(&mut texts[id], equal);
        let (id, other) = (id as u32, other as u32);
        assert_eq!(
            check(&texts),
            Err(VocabularyError::DuplicateToken { id, other })
        );
        texts[id as usize] = kept;
    }
}
