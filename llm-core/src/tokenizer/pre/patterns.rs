//! The patterns that cut texts, one function each.
//!
//! A pattern takes a non-empty piece of text. It returns the length in bytes of its first match if that is at the
//! beginning, otherwise of the text before the match. Each examines little more than what it returns, so cutting a text
//! takes time proportional to its length.

use super::classes::{
    after, is_letter, is_line_end, is_number, is_punctuation, is_space, run, until,
};
use super::letters::is_cased;
use super::words::numbers;

/// Length in bytes of the first piece of a non-empty text.
pub(super) type Pattern = fn(&str) -> usize;

/// A run of matching characters, or the text before the first one.
fn run_of(text: &str, is: impl Fn(char) -> bool) -> usize {
    match run(text, &is) {
        0 => until(text, is),
        matched => matched,
    }
}

/// One matching character, or the text before it.
fn one_of(text: &str, is: impl Fn(char) -> bool) -> usize {
    match text.chars().next() {
        Some(first) if is(first) => first.len_utf8(),
        _ => until(text, is),
    }
}

/// `\s?` and a run of matching characters, none of them white space; or the text before it.
fn spaced_run_of(text: &str, is: impl Fn(char) -> bool) -> usize {
    let space = text.chars().next().filter(|&first| is_space(first));
    let space = space.map_or(0, char::len_utf8);
    let matched = run(after(text, space), &is);
    if matched > 0 {
        return space.saturating_add(matched);
    }
    let before = until(text, &is);
    if before == text.len() {
        return before;
    }
    // The space belongs to the run. It is not the first character, because that would have matched.
    let last = text.get(..before).and_then(|text| text.chars().next_back());
    before.saturating_sub(
        last.filter(|&last| is_space(last))
            .map_or(0, char::len_utf8),
    )
}

/// `[\p{P}\$\+<=>\^~\|]+`
pub(super) fn punctuation_run(text: &str) -> usize {
    run_of(text, is_wide_punctuation)
}

/// ``[\p{P}\$\+<=>\^~\|`]+``
pub(super) fn punctuation_run_of_falcon(text: &str) -> usize {
    run_of(text, |c| is_wide_punctuation(c) || c == '`')
}

fn is_wide_punctuation(character: char) -> bool {
    is_punctuation(character) || matches!(character, '$' | '+' | '<' | '=' | '>' | '^' | '~' | '|')
}

/// `\p{N}+`
pub(super) fn number_run(text: &str) -> usize {
    run_of(text, is_number)
}

/// `\p{N}`
pub(super) fn single_number(text: &str) -> usize {
    one_of(text, is_number)
}

/// `\p{N}{1,3}`
pub(super) fn three_numbers(text: &str) -> usize {
    match numbers(text, 3) {
        0 => until(text, is_number),
        matched => matched,
    }
}

/// `[0-9][0-9][0-9]`
pub(super) fn three_digits(text: &str) -> usize {
    let is_match = |window: &[u8]| window.iter().all(u8::is_ascii_digit);
    match text.as_bytes().windows(3).position(is_match) {
        Some(0) => 3,
        Some(before) => before,
        None => text.len(),
    }
}

/// `[\r\n]`
pub(super) fn line_end(text: &str) -> usize {
    one_of(text, is_line_end)
}

/// `[^\n]+|[\n]+`
pub(super) fn lines(text: &str) -> usize {
    run_of(text, |character| character == '\n')
}

/// `\s?[A-Za-zµÀ-Ö…]+`
pub(super) fn cased_letters(text: &str) -> usize {
    spaced_run_of(text, is_cased)
}

/// `\s?\p{L}+`
pub(super) fn spaced_letters(text: &str) -> usize {
    spaced_run_of(text, is_letter)
}

/// `\s?\p{P}+`
pub(super) fn spaced_punctuation(text: &str) -> usize {
    spaced_run_of(text, is_punctuation)
}

/// `\s?[!-/:-~！-／：-～‘-‟　-。]+`
pub(super) fn signs_of_deepseek(text: &str) -> usize {
    spaced_run_of(text, |character| {
        // The last range begins with U+3000, which is white space that llama.cpp has replaced.
        matches!(
            character,
            '!'..='/' | ':'..='~' | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff5e}'
                | '\u{2018}'..='\u{201f}' | '\u{3001}'..='\u{3002}'
        )
    })
}

/// `\s+$`
pub(super) fn trailing_spaces(text: &str) -> usize {
    match text.trim_end_matches(is_space).len() {
        0 => text.len(),
        before => before,
    }
}

/// `[一-龥ࠀ-一가-퟿]+`, without its white space, which llama.cpp replaces before matching.
pub(super) fn ideographs(text: &str) -> usize {
    run_of(text, |character| {
        let is_in = matches!(character, '\u{800}'..='\u{9fa5}' | '\u{ac00}'..='\u{d7ff}');
        is_in && !is_space(character)
    })
}

/// `[一-龥぀-ゟ゠-ヿ]+`
pub(super) fn ideographs_and_kana(text: &str) -> usize {
    run_of(
        text,
        |character| matches!(character, '\u{4e00}'..='\u{9fa5}' | '\u{3040}'..='\u{30ff}'),
    )
}

/// ` ?[^(\s|.,!?…。，、।۔،)]+`
pub(super) fn words_of_poro(text: &str) -> usize {
    let is = |character| {
        let stops = "(|.,!?…。，、।۔،)";
        !is_space(character) && !stops.contains(character)
    };
    let space = usize::from(text.starts_with(' '));
    match run(after(text, space), is) {
        0 => {}
        matched => return space.saturating_add(matched),
    }
    let before = until(text, is);
    let space = text.get(..before).is_some_and(|text| text.ends_with(' '));
    if before < text.len() && space {
        before.saturating_sub(1)
    } else {
        before
    }
}
