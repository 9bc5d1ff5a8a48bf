//! Small and odd vocabularies.

use super::*;

pub(super) struct Loaded {
    header: Header,
    pub(super) table: Vec<u32>,
}

impl Loaded {
    pub(super) fn new(file: &GgufWriter) -> Self {
        let file = file.finish();
        let gguf = Gguf::parse(&file).unwrap();
        let requirements = Vocabulary::check(&gguf).unwrap();
        let mut table = vec![0; requirements.words()];
        let header = Header::fill(&gguf, &mut table).unwrap();
        Self { header, table }
    }

    pub(super) fn view(&self) -> VocabularyView<'_> {
        self.header.view(&self.table)
    }
}

fn strings(tokens: &[(&str, TokenType)]) -> (Vec<Vec<u8>>, Vec<i32>) {
    let texts = tokens.iter().map(|(text, _)| text.as_bytes().to_vec());
    (
        texts.collect(),
        tokens.iter().map(|(_, ty)| *ty as i32).collect(),
    )
}

/// What both kinds of vocabularies have in addition to single bytes.
const MORE: [(&str, TokenType); 12] = [
    ("ab", TokenType::Normal),
    ("abc", TokenType::Normal),
    ("c a", TokenType::UserDefined),
    ("▁b", TokenType::UserDefined),
    ("bb", TokenType::Normal),
    ("ü", TokenType::Normal),
    ("a<0x", TokenType::Normal),
    ("cab", TokenType::Control),
    ("ba", TokenType::Unused),
    ("<end>", TokenType::Control),
    ("abd", TokenType::Normal),
    ("d", TokenType::Normal),
];

/// SentencePiece: `▁` is a space; bytes have their own tokens, except those in `without`.
pub(super) fn pieces(without: &[u8]) -> Loaded {
    let bytes: Vec<String> = (0..=u8::MAX)
        .filter(|byte| !without.contains(byte))
        .map(|byte| format!("<0x{byte:02X}>"))
        .collect();
    let mut tokens = vec![("<unk>", TokenType::Unknown), ("</s>", TokenType::Control)];
    tokens.extend(bytes.iter().map(|byte| (byte.as_str(), TokenType::Byte)));
    tokens.extend(MORE);
    tokens.extend([
        ("▁", TokenType::Normal),
        ("▁a", TokenType::Normal),
        ("b▁", TokenType::Normal),
        ("▂", TokenType::Normal),
    ]);
    let mut file = sentence_pieces(&tokens);
    file.u32("tokenizer.ggml.eot_token_id", (tokens.len() - 7) as u32);
    Loaded::new(&file)
}

pub(super) fn sentence_pieces(tokens: &[(&str, TokenType)]) -> GgufWriter {
    let (texts, types) = strings(tokens);
    let scores = vec![0.0; tokens.len()];
    let mut file = GgufWriter::default();
    file.str("tokenizer.ggml.model", "llama")
        .strings("tokenizer.ggml.tokens", &texts)
        .f32s("tokenizer.ggml.scores", &scores)
        .i32s("tokenizer.ggml.token_type", &types)
        .u32("tokenizer.ggml.eos_token_id", 1);
    file
}

/// Byte-level BPE.
pub(super) fn bytes() -> Loaded {
    let spelled = |text: &str| -> String { text.bytes().map(byte_character).collect() };
    let singles: Vec<String> = (0..=u8::MAX)
        .filter(|byte| *byte != b'd')
        .map(|byte| byte_character(byte).into())
        .collect();
    let more: Vec<(String, TokenType)> = MORE
        .iter()
        .chain(&[(" a", TokenType::Normal), ("a b", TokenType::Normal)])
        .map(|(text, ty)| match ty {
            TokenType::Normal => (spelled(text), *ty),
            _ => ((*text).into(), *ty),
        })
        .collect();
    let mut tokens = vec![("<|endoftext|>", TokenType::Control)];
    tokens.extend(
        singles
            .iter()
            .map(|byte| (byte.as_str(), TokenType::Normal)),
    );
    tokens.extend(more.iter().map(|(text, ty)| (text.as_str(), *ty)));
    let (texts, types) = strings(&tokens);
    let mut file = GgufWriter::default();
    file.str("tokenizer.ggml.model", "gpt2")
        .str("tokenizer.ggml.pre", "gpt-2")
        .strings("tokenizer.ggml.tokens", &texts)
        .strings("tokenizer.ggml.merges", &[])
        .i32s("tokenizer.ggml.token_type", &types)
        .u32("tokenizer.ggml.eos_token_id", 0);
    Loaded::new(&file)
}

/// Any number of `a`, `b`, `c`, `ü`, `▁` and spaces, then `d`, optionally twice.
pub(super) fn looping() -> Encoded {
    let mut table = words(&[b"d"]);
    let (mut cells, mut accepts) = (table.next, table.accepts);
    let mut add = |from: usize, byte: u8, to: usize| {
        let all = accepts.len().max(to + 1);
        accepts.resize(all, false);
        cells.resize(all * 256, NONE);
        cells[from * 256 + usize::from(byte)] = to as u32;
    };
    for byte in [b'a', b'b', b'c', b' ', b'<', b'0', b'x'] {
        add(0, byte, 0);
    }
    for (character, first) in [("ü", 2), ("▁", 3)] {
        let text = character.as_bytes();
        let mut from = 0;
        for (n, byte) in text.iter().enumerate() {
            let to = if n + 1 == text.len() {
                0
            } else {
                first + 2 * n
            };
            add(from, *byte, to);
            from = to;
        }
    }
    add(1, b'a', 0);
    (table.next, table.accepts) = (cells, accepts);
    Encoded::new(&table).unwrap()
}

pub(super) fn with_table<T>(
    list: &[Encoded],
    view: &VocabularyView<'_>,
    run: impl FnOnce(&FormatTable<'_>) -> T,
) -> T {
    let names: Vec<String> = (0..list.len()).map(|n| format!("f{n}")).collect();
    let image = image(names.iter().map(String::as_str).zip(list)).unwrap();
    let mut costs = vec![0; MAX_ALL_STATES];
    let mut table = FormatTable::new(Formats::read(&image).unwrap(), &mut costs).unwrap();
    table.measure(view);
    run(&table)
}
