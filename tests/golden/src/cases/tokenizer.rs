//! From text to tokens and back, with the vocabularies that the tokenizer's own tests compare with llama.cpp.

use super::Case;
use crate::bits::Bits;
use crate::generator::Generator;
use alloc::string::String;
use alloc::vec;
use llm_core::gguf::Gguf;
use llm_core::tokenizer::{Cell, EncodeOptions, Header, Vocabulary, VocabularyView, scratch_cells};
use safe_text::Utf8Stream;

macro_rules! vocabulary {
    ($file:literal) => {
        |bits| {
            let file = include_bytes!(concat!("../../../tokenizers/", $file));
            tokens(file, bits);
        }
    };
}

/// Cases of the tokenizer.
pub const CASES: &[Case] = &[
    Case::once("tokens_spm", vocabulary!("vocab-spm.gguf")),
    Case::once("tokens_gpt_2", vocabulary!("vocab-gpt-2.gguf")),
    Case::once("tokens_llama_bpe", vocabulary!("vocab-llama-bpe.gguf")),
    Case::once("tokens_qwen2", vocabulary!("vocab-qwen2.gguf")),
    Case::once("tokens_smollm", vocabulary!("vocab-smollm.gguf")),
    Case::once("tokens_default_bpe", vocabulary!("vocab-default.gguf")),
    Case::once("utf8_stream", utf8_stream),
];

const TEXTS: &[&str] = &[
    "",
    " ",
    "Once upon a time, there was a little girl.",
    "  two  spaces\tand a tab\n\nand lines\r\n",
    "don't we'll I'M they'RE",
    "3.14159 1234567 ½ ٣",
    "naïve café Füße Ελληνικά кириллица",
    "日本語のテキスト 한국어 中文",
    "👩‍👩‍👧 🦊 ❤️",
    "<s> </s> <unk> <|endoftext|> <tool>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "\u{0}\u{1}\u{7f}\u{85}\u{a0}\u{2028}\u{3000}\u{fffd}\u{10ffff}",
    "fn main() { println!(\"{}\", x[0] & !mask); }",
    "▁already▁escaped",
];

/// The pieces of random texts.
const PARTS: &[&str] = &[
    " ", "  ", "\n", "the", " king", "'s", "'ll", "ing", "0", "42", "é", "ß", "語", "🦊", "\u{a0}",
    "<s>", "A", "zz", ".", "!?", "\t",
];

fn tokens(file: &[u8], bits: &mut Bits) {
    let gguf = Gguf::parse(file).expect("a sound file");
    let words = Vocabulary::check(&gguf)
        .expect("a sound vocabulary")
        .words();
    let mut table = vec![0; words];
    let header = Header::fill(&gguf, &mut table).expect("a table of the right size");
    let view = header.view(&table);
    let mut generator = Generator::new(700);
    for text in TEXTS {
        encode(&view, text, bits);
    }
    for _ in 0..40 {
        let parts = 1 + generator.below(30);
        let text: String = (0..parts)
            .map(|_| PARTS[generator.below(PARTS.len())])
            .collect();
        encode(&view, &text, bits);
    }
    for id in 0..view.len() as u32 {
        bits.bytes(view.piece(id));
        bits.number(u64::from(view.is_eog(id)));
    }
}

fn encode(view: &VocabularyView<'_>, text: &str, bits: &mut Bits) {
    for (add_special, parse_special) in [(false, false), (true, false), (true, true)] {
        let options = EncodeOptions {
            add_special,
            parse_special,
            parse_user_defined: true,
        };
        let mut cells = vec![Cell::default(); scratch_cells(text.len())];
        let mut ids = vec![0; text.len() + 4];
        let encoded = view.encode(text.as_bytes(), options, &mut cells, &mut ids);
        let ids = &ids[..encoded.expect("room for every byte")];
        bits.number(ids.len() as u64);
        bits.ids(ids);
        for (n, id) in ids.iter().enumerate() {
            view.decode(*id, n == 0)
                .for_each(|byte| bits.bytes(&[byte]));
        }
    }
}

/// Any bytes become characters; invalid ones become the replacement character.
fn utf8_stream(bits: &mut Bits) {
    let mut generator = Generator::new(701);
    for text in TEXTS {
        let mut bytes = text.as_bytes().to_vec();
        for spoiled in [false, true] {
            if spoiled && !bytes.is_empty() {
                let at = generator.below(bytes.len());
                bytes[at] = generator.byte();
            }
            let mut stream = Utf8Stream::new();
            let mut out = String::new();
            for byte in &bytes {
                stream.push(*byte, &mut |unit| out.push(unit.or_replacement()));
            }
            stream.finish(&mut |unit| out.push(unit.or_replacement()));
            assert_eq!(out, String::from_utf8_lossy(&bytes));
            bits.bytes(out.as_bytes());
        }
    }
}
