//! The patterns that match whole words and their surroundings. Like those of [`super::patterns`], each returns the
//! length in bytes of its first match, or of the text before it.

use super::classes::{
    Class, after, class, is_letter, is_letter_or_mark, is_line_end, is_number,
    is_punctuation_or_symbol, is_sign, is_space, run,
};

/// `'s|'t|'re|'ve|'m|'ll|'d`, optionally in any case; 0 if there is no match.
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

/// `\s+(?!\S)|\s+`: white space up to the next word; if there are several, the last one is left to the word.
fn spaces(text: &str) -> usize {
    let all = run(text, is_space);
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

/// `\s*[\r\n]+|\s+(?!\S)|\s+`: like [`spaces`], but up to the last line break if there are any.
fn spaces_and_lines(text: &str) -> usize {
    let all = run(text, is_space);
    let ends = text.get(..all).and_then(|spaces| spaces.rfind(is_line_end));
    match ends {
        Some(last) => last.saturating_add(1),
        None => spaces(text),
    }
}

/// At most `most` numbers. It does not scan the whole run, because each word would then rescan the rest.
pub(super) fn numbers(text: &str, most: usize) -> usize {
    let some = text.chars().take(most);
    some.take_while(|c| is_number(*c)).map(char::len_utf8).sum()
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)`
pub(super) fn gpt2(text: &str) -> usize {
    let matched = contraction(text, false);
    if matched > 0 {
        return matched;
    }
    let space = usize::from(text.starts_with(' '));
    let rest = after(text, space);
    let matched = match rest.chars().next().map(class) {
        Some(Class::Space) | None => return spaces(text),
        Some(Class::Letter) => run(rest, is_letter),
        Some(Class::Number) => run(rest, is_number),
        Some(_) => run(rest, is_sign),
    };
    matched.saturating_add(space)
}

/// What may follow a run of signs.
#[derive(Clone, Copy)]
enum Tail {
    Nothing,
    /// `[\r\n]*`
    LineEnds,
    /// `[\r\n/]*`
    LineEndsAndSlashes,
}

/// The patterns of the form `[^\r\n\p{L}\p{N}]?` and a word, numbers, ` ?` and signs, or white space, in that order.
#[derive(Clone, Copy)]
struct Words {
    /// Match `(?i:'s|'t|'re|'ve|'m|'ll|'d)` before everything else.
    contractions: bool,
    /// Matches a word at the beginning of a text; 0 if there is no match.
    word: fn(&str) -> usize,
    /// Maximum number of digits matched together.
    numbers: usize,
    /// Whether a character is a sign.
    sign: fn(char) -> bool,
    tail: Tail,
}

impl Words {
    fn first(&self, text: &str) -> usize {
        if self.contractions {
            let matched = contraction(text, true);
            if matched > 0 {
                return matched;
            }
        }
        let Some(first) = text.chars().next() else {
            return 0;
        };
        let kind = class(first);
        // A word, optionally with one other character before it.
        if kind == Class::Number {
            return numbers(text, self.numbers);
        }
        let word = (self.word)(text);
        if word > 0 {
            return word;
        }
        if !is_line_end(first) {
            let front = first.len_utf8();
            let word = (self.word)(after(text, front));
            if word > 0 {
                return word.saturating_add(front);
            }
        }
        // Signs, optionally with a space before and the allowed suffix after them.
        let space = usize::from(first == ' ');
        let rest = after(text, space);
        let signs = run(rest, self.sign);
        if signs > 0 {
            let behind = after(rest, signs);
            let tail = match self.tail {
                Tail::Nothing => 0,
                Tail::LineEnds => run(behind, is_line_end),
                Tail::LineEndsAndSlashes => run(behind, |c| is_line_end(c) || c == '/'),
            };
            return space.saturating_add(signs).saturating_add(tail);
        }
        spaces_and_lines(text)
    }
}

/// `\p{L}+`
fn letters(text: &str) -> usize {
    run(text, is_letter)
}

/// `[\p{L}\p{M}]+`
fn letters_and_marks(text: &str) -> usize {
    run(text, is_letter_or_mark)
}

/// `U*L+|U+L*` with U being `is` except a to z, and L being `is` except A to Z. This is llama.cpp's approximation of
/// capitals and small letters; every letter beyond ASCII counts as both.
fn capitals_and_small(text: &str, is: fn(char) -> bool) -> usize {
    let is_small = |character: char| is(character) && !character.is_ascii_uppercase();
    let capitals = run(text, |c| is(c) && !c.is_ascii_lowercase());
    let small = run(after(text, capitals), is_small);
    if small > 0 {
        return capitals.saturating_add(small);
    }
    // U* gives back the minimum that L+ needs.
    let given_back = text.get(..capitals).and_then(|text| {
        let mut from_the_end = text.char_indices().rev();
        from_the_end.find(|&(_, character)| is_small(character))
    });
    match given_back {
        Some((at, character)) => at.saturating_add(character.len_utf8()),
        None => capitals,
    }
}

/// [`capitals_and_small`] letters, followed by a contraction.
fn contracted(text: &str, is: fn(char) -> bool) -> usize {
    match capitals_and_small(text, is) {
        0 => 0,
        word => word.saturating_add(contraction(after(text, word), true)),
    }
}

const LLAMA3: Words = Words {
    contractions: true,
    word: letters,
    numbers: 3,
    sign: is_sign,
    tail: Tail::LineEnds,
};

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
pub(super) fn llama3(text: &str) -> usize {
    LLAMA3.first(text)
}

/// Like [`llama3`], with `\p{N}` instead of `\p{N}{1,3}`.
pub(super) fn qwen2(text: &str) -> usize {
    let numbers = 1;
    Words { numbers, ..LLAMA3 }.first(text)
}

/// Like [`llama3`], with `\p{N}+` instead of `\p{N}{1,3}`.
pub(super) fn minicpm5(text: &str) -> usize {
    let numbers = usize::MAX;
    Words { numbers, ..LLAMA3 }.first(text)
}

/// Like [`qwen2`], with `[\p{L}\p{M}]+` as the word; marks are not signs.
pub(super) fn qwen35(text: &str) -> usize {
    Words {
        word: letters_and_marks,
        numbers: 1,
        sign: |character| is_sign(character) && class(character) != Class::Mark,
        ..LLAMA3
    }
    .first(text)
}

/// Like [`qwen2`], without line breaks after signs.
pub(super) fn seed_coder(text: &str) -> usize {
    Words {
        numbers: 1,
        tail: Tail::Nothing,
        ..LLAMA3
    }
    .first(text)
}

/// Like [`qwen2`], without contractions.
pub(super) fn ufakzeka(text: &str) -> usize {
    Words {
        contractions: false,
        numbers: 1,
        ..LLAMA3
    }
    .first(text)
}

/// `[^\r\n\p{L}\p{N}]?(U*L+|U+L*)|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`, with U and L as in
/// [`capitals_and_small`].
pub(super) fn tekken(text: &str) -> usize {
    Words {
        contractions: false,
        word: |text| capitals_and_small(text, is_letter),
        numbers: 1,
        tail: Tail::LineEndsAndSlashes,
        ..LLAMA3
    }
    .first(text)
}

/// Like [`tekken`], with `(?i:'s|'t|'re|'ve|'m|'ll|'d)?` after the word, and `\p{N}{1,3}`.
pub(super) fn gpt4o(text: &str) -> usize {
    Words {
        contractions: false,
        word: |text| contracted(text, is_letter),
        tail: Tail::LineEndsAndSlashes,
        ..LLAMA3
    }
    .first(text)
}

/// Like [`gpt4o`], with `[\p{L}\p{M}]` instead of `\p{L}` in words.
pub(super) fn granite(text: &str) -> usize {
    Words {
        contractions: false,
        word: |text| contracted(text, is_letter_or_mark),
        tail: Tail::LineEndsAndSlashes,
        ..LLAMA3
    }
    .first(text)
}

/// ``[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+``
pub(super) fn words_of_deepseek3(text: &str) -> usize {
    match word_of_deepseek3(text) {
        0 => {
            let mut places = text.char_indices().skip(1);
            let found = places.find(|&(at, _)| word_of_deepseek3(after(text, at)) > 0);
            found.map_or(text.len(), |(at, _)| at)
        }
        matched => matched,
    }
}

/// The match at the beginning of a text; 0 if there is no match.
fn word_of_deepseek3(text: &str) -> usize {
    let Some(first) = text.chars().next() else {
        return 0;
    };
    if first.is_ascii_punctuation() {
        let letters = run(after(text, 1), |c| c.is_ascii_alphabetic());
        if letters > 0 {
            return letters.saturating_add(1);
        }
    }
    let word = letters_and_marks(text);
    if word > 0 {
        return word;
    }
    if !is_line_end(first) && !is_punctuation_or_symbol(first) {
        let front = first.len_utf8();
        let word = letters_and_marks(after(text, front));
        if word > 0 {
            return word.saturating_add(front);
        }
    }
    let space = usize::from(first == ' ');
    let rest = after(text, space);
    let signs = run(rest, is_punctuation_or_symbol);
    if signs > 0 {
        let ends = run(after(rest, signs), is_line_end);
        return space.saturating_add(signs).saturating_add(ends);
    }
    spaces_and_lines(text)
}
