use super::*;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

/// One name for each [`Cut`].
const NAMES: [&str; 19] = [
    "default",
    "gpt-2",
    "llama-bpe",
    "qwen2",
    "smollm",
    "deepseek-llm",
    "deepseek-coder",
    "deepseek-v3",
    "falcon",
    "gpt-4o",
    "tekken",
    "granite-embed-multi-97m",
    "qwen35",
    "seed-coder",
    "ufakzeka",
    "minicpm5",
    "laguna",
    "bloom",
    "viking",
];

fn words<'t>(name: &str, text: &'t str) -> Vec<&'t str> {
    let pre = PreTokenizer::from_name(name).expect("a known name");
    Words::new(pre, text).collect()
}

#[test]
fn a_run_of_anything_is_cut_in_time_proportional_to_its_length() {
    for name in NAMES {
        for unit in [
            "1", "A", "a", " ", "\n", "!", "é", "語", "\u{301}", "\u{1}", "ÀA", " !", "'s",
        ] {
            let text = unit.repeat((1 << 14) / unit.len());
            let begun = std::time::Instant::now();
            assert_eq!(words(name, &text).concat(), text);
            let elapsed = begun.elapsed();
            // Usually a tenth of a second without optimisation; much longer if the time were quadratic.
            assert!(elapsed.as_secs() < 30, "{name}: {unit:?} took {elapsed:?}");
        }
    }
}

#[test]
fn a_run_of_digits_is_cut_without_looking_at_all_of_it_each_time() {
    for (pre, most) in [("qwen2", 1), ("llama-bpe", 3)] {
        let digits = "1".repeat(1 << 20);
        let cut = words(pre, &digits);
        assert_eq!(cut.len(), digits.len().div_ceil(most));
        assert!(cut.iter().all(|word| word.len() <= most));
    }
}

#[test]
fn words_are_cut_as_the_patterns_say() {
    let text = "It's  12345 o'clock,\n\n  he'LL say: \"nO!\"\r\n ";
    for (name, expected) in [
        (
            "gpt-2",
            &[
                "It", "'s", " ", " 12345", " o", "'", "clock", ",", "\n\n ", " he", "'", "LL",
                " say", ":", " \"", "nO", "!\"", "\r\n ",
            ][..],
        ),
        (
            "llama-bpe",
            &[
                "It", "'s", " ", " ", "123", "45", " o", "'clock", ",\n\n", " ", " he", "'LL",
                " say", ":", " \"", "nO", "!\"\r\n", " ",
            ],
        ),
        (
            "gpt-4o",
            &[
                "It's", " ", " ", "123", "45", " o", "'clock", ",\n\n", " ", " he'LL", " say", ":",
                " \"", "n", "O", "!\"\r\n", " ",
            ],
        ),
        (
            "tekken",
            &[
                "It", "'s", " ", " ", "1", "2", "3", "4", "5", " o", "'clock", ",\n\n", " ", " he",
                "'LL", " say", ":", " \"", "n", "O", "!\"\r\n", " ",
            ],
        ),
        (
            "deepseek-llm",
            &[
                "It", "'", "s", "  ", "12345", " o", "'", "clock", ",", "\n", "\n", " ", " he",
                "'", "LL", " say", ":", " \"", "nO", "!\"", "\r", "\n", " ",
            ],
        ),
    ] {
        assert_eq!(words(name, text), expected, "{name}");
    }
    for (name, text, expected) in [
        ("qwen2", "a 123", &["a", " ", "1", "2", "3"][..]),
        ("smollm", "x12 3a", &["x", "1", "2", " ", "3", "a"]),
        (
            "default",
            "a+=b  12345!!",
            &["a", "+=", "b", " ", " ", "123", "45", "!!"],
        ),
        ("falcon", "a`b 1234", &["a", "`", "b", " ", "123", "4"]),
        ("deepseek-coder", "x = y;\n", &["x", " =", " y", ";", "\n"]),
        // Ideographs according to the pattern, but white space takes precedence.
        ("deepseek-coder", "m\u{2009}s", &["m", "\u{2009}s"]),
        (
            "deepseek-v3",
            ".map 12345かな漢x",
            &[".map", " ", "123", "45", "かな漢", "x"],
        ),
        (
            "gpt-4o",
            "HTTPServer ÀÉB/x !/\n/",
            &["HTTPServer", " ÀÉ", "B", "/x", " !/\n/"],
        ),
        (
            "qwen35",
            "e\u{301}a \u{301}!",
            &["e\u{301}a", " \u{301}", "!"],
        ),
        ("seed-coder", "a!\n", &["a", "!", "\n"]),
        ("ufakzeka", "it's", &["it", "'s"]),
        ("minicpm5", "12345", &["123", "45"]),
        ("laguna", "a\n\n b", &["a", "\n\n", " b"]),
        ("bloom", "ab, cd", &["ab", ",", " cd"]),
        ("viking", "a1 b", &["a", "1", " b"]),
    ] {
        assert_eq!(words(name, text), expected, "{name}: {text:?}");
    }
}

#[test]
fn names_say_how_texts_begin_and_whether_words_are_taken_whole() {
    let pre = |name| PreTokenizer::from_name(name).expect("a known name");
    assert_eq!(pre("llama3"), pre("llama-bpe"));
    assert!(pre("tekken").adds_bos && pre("tekken").ignores_merges);
    assert!(!pre("dbrx").adds_bos && !pre("dbrx").ignores_merges);
    assert!(pre("glm4").ignores_merges && !pre("glm4").has_bos);
    assert_eq!(PreTokenizer::from_name("klingon"), None);
}

proptest! {
    #[test]
    fn words_are_the_text_and_never_empty(text in "(\\PC|[ \\n\\r\\t'0-9A-Za-z!/]){0,40}") {
        for name in NAMES {
            let words = words(name, &text);
            prop_assert!(words.iter().all(|word| !word.is_empty()));
            prop_assert_eq!(words.concat(), String::from(&text));
        }
    }
}
