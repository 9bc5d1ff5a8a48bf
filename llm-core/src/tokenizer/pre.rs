//! Pre-tokenizers: a text is cut into words before byte-level BPE, which never merges across their
//! ends.
//!
//! Each is a list of patterns, as llama.cpp's `llm_tokenizer_bpe` has them: the first cuts the text
//! into matches and what lies between, the next cuts those pieces, and so on. Every pattern here is a
//! function from the rest of a piece to the length of its first match (or of what lies before it).
//! Unicode classes are general categories: L (letters), N (numbers), P (punctuation); white space is
//! Unicode's `White_Space`. The version is llama.cpp's, 15.1.

use unicode_general_category::{GeneralCategory as Category, get_general_category};

/// How a text is cut into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PreTokenizer {
    Default,
    Gpt2,
    Llama3,
    Qwen2,
    Smollm,
}

/// Length in bytes of the first piece of a text that is not empty.
type Pattern = fn(&str) -> usize;

/// Most patterns of a pre-tokenizer.
const MAX_PATTERNS: usize = 4;

impl PreTokenizer {
    /// By `tokenizer.ggml.pre`. Names that are here are the same to llama.cpp.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "default" => Self::Default,
            "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" | "roberta-bpe" | "exaone4" => Self::Gpt2,
            "llama-bpe" | "llama3" | "llama-v3" | "falcon3" => Self::Llama3,
            "qwen2" | "deepseek-r1-qwen" | "megrez" | "stablelm2" => Self::Qwen2,
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" => {
                Self::Smollm
            }
            _ => return None,
        })
    }

    /// Whether a word that is a token is taken whole, whatever the merges say.
    pub(super) const fn ignores_merges(self) -> bool {
        matches!(self, Self::Llama3)
    }

    /// Whether texts begin with the token for it where the file does not say.
    pub(super) const fn adds_bos(self) -> bool {
        matches!(self, Self::Llama3)
    }

    const fn patterns(self) -> &'static [Pattern] {
        match self {
            Self::Default => &[punctuation_run, gpt2, number_run, three_digits],
            Self::Gpt2 => &[gpt2],
            Self::Llama3 => &[llama3],
            Self::Qwen2 => &[qwen2],
            Self::Smollm => &[single_number, gpt2],
        }
    }
}

/// The words of a text.
#[derive(Clone, Debug)]
pub(super) struct Words<'t> {
    text: &'t str,
    at: usize,
    patterns: &'static [Pattern],
    /// For each pattern, where the piece ends that it has found.
    ends: [usize; MAX_PATTERNS],
}

impl<'t> Words<'t> {
    pub(super) const fn new(pre: PreTokenizer, text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            patterns: pre.patterns(),
            ends: [0; MAX_PATTERNS],
        }
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        if self.at >= self.text.len() {
            return None;
        }
        // The piece that the pattern before has found, or the whole text.
        let mut outer = self.text.len();
        for (pattern, end) in self.patterns.iter().zip(&mut self.ends) {
            if *end <= self.at {
                let rest = self.text.get(self.at..outer).unwrap_or("");
                *end = self.at.saturating_add(pattern(rest).max(1));
            }
            outer = (*end).min(outer);
        }
        let word = self.text.get(self.at..outer);
        self.at = outer;
        word
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Number,
    Space,
    Other,
}

fn class(character: char) -> Class {
    if character.is_ascii() {
        return match character {
            'a'..='z' | 'A'..='Z' => Class::Letter,
            '0'..='9' => Class::Number,
            ' ' | '\t'..='\r' => Class::Space,
            _ => Class::Other,
        };
    }
    match get_general_category(character) {
        Category::UppercaseLetter
        | Category::LowercaseLetter
        | Category::TitlecaseLetter
        | Category::ModifierLetter
        | Category::OtherLetter => Class::Letter,
        // New in Unicode 15.1: CJK Unified Ideographs Extension I.
        Category::Unassigned if matches!(character, '\u{2ebf0}'..='\u{2ee5d}') => Class::Letter,
        Category::DecimalNumber | Category::LetterNumber | Category::OtherNumber => Class::Number,
        // White_Space: the separators, and next line.
        Category::SpaceSeparator | Category::LineSeparator | Category::ParagraphSeparator => {
            Class::Space
        }
        _ if character == '\u{85}' => Class::Space,
        _ => Class::Other,
    }
}

fn is_number(character: char) -> bool {
    class(character) == Class::Number
}

fn is_letter(character: char) -> bool {
    class(character) == Class::Letter
}

const fn is_line_end(character: char) -> bool {
    matches!(character, '\r' | '\n')
}

/// `\p{P}`, and the symbols that the default pattern adds.
fn is_punctuation(character: char) -> bool {
    matches!(
        get_general_category(character),
        Category::ConnectorPunctuation
            | Category::DashPunctuation
            | Category::OpenPunctuation
            | Category::ClosePunctuation
            | Category::InitialPunctuation
            | Category::FinalPunctuation
            | Category::OtherPunctuation
    ) || matches!(character, '$' | '+' | '<' | '=' | '>' | '^' | '~' | '|')
}

/// Bytes of the characters at the beginning of `text` that are so.
fn run(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|character| !is(character)).unwrap_or(text.len())
}

/// Bytes up to the first character that is so.
fn until(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(is).unwrap_or(text.len())
}

fn after(text: &str, bytes: usize) -> &str {
    text.get(bytes..).unwrap_or("")
}

/// `[\p{P}\$\+<=>\^~\|]+`
fn punctuation_run(text: &str) -> usize {
    match run(text, is_punctuation) {
        0 => until(text, is_punctuation),
        matched => matched,
    }
}

/// `\p{N}+`
fn number_run(text: &str) -> usize {
    match run(text, is_number) {
        0 => until(text, is_number),
        matched => matched,
    }
}

/// `\p{N}`
fn single_number(text: &str) -> usize {
    match text.chars().next() {
        Some(first) if is_number(first) => first.len_utf8(),
        _ => until(text, is_number),
    }
}

/// `[0-9][0-9][0-9]`
fn three_digits(text: &str) -> usize {
    let is_match = |window: &[u8]| window.iter().all(u8::is_ascii_digit);
    match text.as_bytes().windows(3).position(is_match) {
        Some(0) => 3,
        Some(before) => before,
        None => text.len(),
    }
}

/// `'s|'t|'re|'ve|'m|'ll|'d`, in any case if asked for; 0 if there is none.
fn contraction(text: &str, any_case: bool) -> usize {
    let Some(rest) = text.strip_prefix('\'') else {
        return 0;
    };
    let letter = |at: usize| {
        let byte = rest.as_bytes().get(at).copied().unwrap_or(0);
        if any_case {
            byte.to_ascii_lowercase()
        } else {
            byte
        }
    };
    match (letter(0), letter(1)) {
        (b's' | b't' | b'm' | b'd', _) => 2,
        (b'r' | b'v', b'e') | (b'l', b'l') => 3,
        _ => 0,
    }
}

/// `\s+(?!\S)|\s+`: white space up to what follows it; of several, the last is left to the word behind.
fn spaces(text: &str) -> usize {
    let all = run(text, |character| class(character) == Class::Space);
    let last = text
        .get(..all)
        .and_then(|spaces| spaces.chars().next_back())
        .map_or(0, char::len_utf8);
    if all < text.len() && all > last {
        all.saturating_sub(last)
    } else {
        all
    }
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)`
fn gpt2(text: &str) -> usize {
    let matched = contraction(text, false);
    if matched > 0 {
        return matched;
    }
    let space = usize::from(text.starts_with(' '));
    let rest = after(text, space);
    match rest.chars().next().map(class) {
        Some(Class::Space) | None => spaces(text),
        Some(kind) => run(rest, |character| class(character) == kind).saturating_add(space),
    }
}

/// As [`llama3`], with `\p{N}` in the place of `\p{N}{1,3}`.
fn qwen2(text: &str) -> usize {
    llama_word(text, 1)
}

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
fn llama3(text: &str) -> usize {
    llama_word(text, 3)
}

fn llama_word(text: &str, digits: usize) -> usize {
    let matched = contraction(text, true);
    if matched > 0 {
        return matched;
    }
    let Some(first) = text.chars().next() else {
        return 0;
    };
    let kind = class(first);
    // A word, perhaps with one other character in front.
    let front = if kind == Class::Letter {
        0
    } else {
        first.len_utf8()
    };
    if kind != Class::Number && !is_line_end(first) {
        let letters = run(after(text, front), is_letter);
        if letters > 0 {
            return letters.saturating_add(front);
        }
    }
    if kind == Class::Number {
        // Not the whole run of them: each word of it would look at the rest again.
        let some = text.chars().take(digits);
        return some.take_while(|c| is_number(*c)).map(char::len_utf8).sum();
    }
    // Signs, perhaps with a space in front, and the ends of line behind them.
    let space = usize::from(first == ' ');
    let rest = after(text, space);
    let signs = run(rest, |character| class(character) == Class::Other);
    if signs > 0 {
        let ends = run(after(rest, signs), is_line_end);
        return space.saturating_add(signs).saturating_add(ends);
    }
    // White space up to its last end of line.
    let all = run(text, |character| class(character) == Class::Space);
    let ends = text.get(..all).and_then(|spaces| spaces.rfind(is_line_end));
    match ends {
        Some(last) => last.saturating_add(1),
        None => spaces(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    fn words(pre: PreTokenizer, text: &str) -> Vec<&str> {
        Words::new(pre, text).collect()
    }

    #[test]
    fn a_run_of_digits_is_cut_without_looking_at_all_of_it_each_time() {
        for (pre, most) in [(PreTokenizer::Qwen2, 1), (PreTokenizer::Llama3, 3)] {
            let digits = "1".repeat(1 << 20);
            let cut = words(pre, &digits);
            assert_eq!(cut.len(), digits.len().div_ceil(most));
            assert!(cut.iter().all(|word| word.len() <= most));
        }
    }

    #[test]
    fn words_are_cut_as_the_patterns_say() {
        let text = "It's  12345 o'clock,\n\n  he'LL say: \"nO!\"\r\n ";
        assert_eq!(
            words(PreTokenizer::Gpt2, text),
            [
                "It", "'s", " ", " 12345", " o", "'", "clock", ",", "\n\n ", " he", "'", "LL",
                " say", ":", " \"", "nO", "!\"", "\r\n "
            ]
        );
        assert_eq!(
            words(PreTokenizer::Llama3, text),
            [
                "It", "'s", " ", " ", "123", "45", " o", "'clock", ",\n\n", " ", " he", "'LL",
                " say", ":", " \"", "nO", "!\"\r\n", " "
            ]
        );
        assert_eq!(
            words(PreTokenizer::Qwen2, "a 123"),
            ["a", " ", "1", "2", "3"]
        );
        assert_eq!(
            words(PreTokenizer::Smollm, "x12 3a"),
            ["x", "1", "2", " ", "3", "a"]
        );
        assert_eq!(
            words(PreTokenizer::Default, "a+=b  12345!!"),
            ["a", "+=", "b", " ", " ", "123", "45", "!!"]
        );
    }

    #[test]
    fn only_known_names_are_taken() {
        assert_eq!(
            PreTokenizer::from_name("llama-bpe"),
            Some(PreTokenizer::Llama3)
        );
        assert_eq!(PreTokenizer::from_name("klingon"), None);
    }

    proptest! {
        #[test]
        fn words_are_the_text_and_never_empty(text in "(\\PC|[ \\n\\r\\t'0-9a-z]){0,40}") {
            for pre in [
                PreTokenizer::Default,
                PreTokenizer::Gpt2,
                PreTokenizer::Llama3,
                PreTokenizer::Qwen2,
                PreTokenizer::Smollm,
            ] {
                let words = words(pre, &text);
                prop_assert!(words.iter().all(|word| !word.is_empty()));
                prop_assert_eq!(words.concat(), String::from(&text));
            }
        }
    }
}
