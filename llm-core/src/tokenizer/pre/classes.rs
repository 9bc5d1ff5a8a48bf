//! Character classes, as in llama.cpp's tables (Unicode 15.1).

use unicode_general_category::{GeneralCategory as Category, get_general_category};

/// How patterns classify a character. White space is Unicode's `White_Space`; the others are general categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `\p{L}`
    Letter,
    /// `\p{N}`
    Number,
    /// `\s`
    Space,
    /// `\p{M}`
    Mark,
    /// `\p{P}`
    Punctuation,
    /// `\p{S}`
    Symbol,
    /// Controls, unassigned characters, and so on.
    Other,
}

pub(super) fn class(character: char) -> Class {
    match character {
        'a'..='z' | 'A'..='Z' => Class::Letter,
        '0'..='9' => Class::Number,
        ' ' | '\t'..='\r' => Class::Space,
        '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~' => Class::Symbol,
        '\0'..='\x7f' if character.is_ascii_punctuation() => Class::Punctuation,
        '\0'..='\x7f' => Class::Other,
        _ => class_beyond_ascii(character),
    }
}

fn class_beyond_ascii(character: char) -> Class {
    match get_general_category(character) {
        Category::UppercaseLetter
        | Category::LowercaseLetter
        | Category::TitlecaseLetter
        | Category::ModifierLetter
        | Category::OtherLetter => Class::Letter,
        Category::DecimalNumber | Category::LetterNumber | Category::OtherNumber => Class::Number,
        Category::NonspacingMark | Category::SpacingMark | Category::EnclosingMark => Class::Mark,
        Category::ConnectorPunctuation
        | Category::DashPunctuation
        | Category::OpenPunctuation
        | Category::ClosePunctuation
        | Category::InitialPunctuation
        | Category::FinalPunctuation
        | Category::OtherPunctuation => Class::Punctuation,
        Category::MathSymbol
        | Category::CurrencySymbol
        | Category::ModifierSymbol
        | Category::OtherSymbol => Class::Symbol,
        // White_Space: the separators, and next line.
        Category::SpaceSeparator | Category::LineSeparator | Category::ParagraphSeparator => {
            Class::Space
        }
        Category::Control if character == '\u{85}' => Class::Space,
        // New in Unicode 15.1: CJK Unified Ideographs Extension I, and signs that describe ideographs.
        Category::Unassigned => match character {
            '\u{2ebf0}'..='\u{2ee5d}' => Class::Letter,
            '\u{2ffc}'..='\u{2fff}' | '\u{31ef}' => Class::Symbol,
            _ => Class::Other,
        },
        _ => Class::Other,
    }
}

pub(super) fn is_letter(character: char) -> bool {
    class(character) == Class::Letter
}

/// `[\p{L}\p{M}]`
pub(super) fn is_letter_or_mark(character: char) -> bool {
    matches!(class(character), Class::Letter | Class::Mark)
}

pub(super) fn is_number(character: char) -> bool {
    class(character) == Class::Number
}

pub(super) fn is_space(character: char) -> bool {
    class(character) == Class::Space
}

pub(super) fn is_punctuation(character: char) -> bool {
    class(character) == Class::Punctuation
}

/// `[\p{P}\p{S}]`
pub(super) fn is_punctuation_or_symbol(character: char) -> bool {
    matches!(class(character), Class::Punctuation | Class::Symbol)
}

/// `[^\s\p{L}\p{N}]`
pub(super) fn is_sign(character: char) -> bool {
    !matches!(
        class(character),
        Class::Space | Class::Letter | Class::Number
    )
}

pub(super) const fn is_line_end(character: char) -> bool {
    matches!(character, '\r' | '\n')
}

/// Length in bytes of the matching characters at the beginning of `text`.
pub(super) fn run(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|character| !is(character)).unwrap_or(text.len())
}

/// Length in bytes up to the first matching character.
pub(super) fn until(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(is).unwrap_or(text.len())
}

/// The text after the first bytes.
pub(super) fn after(text: &str, bytes: usize) -> &str {
    text.get(bytes..).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn classes_are_llama_cpps_for_every_character() {
        // From llama.cpp's `unicode_cpt_flags_from_cpt`, for all characters in ascending order.
        let classes: Vec<u8> = ('\0'..=char::MAX)
            .map(|character| match class(character) {
                Class::Space => b's',
                Class::Letter => b'L',
                Class::Number => b'N',
                Class::Mark => b'M',
                Class::Punctuation => b'P',
                Class::Symbol => b'S',
                Class::Other => b'o',
            })
            .collect();
        let digest: String = sha256(&classes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            digest,
            "276cae950a84c58ea6a8afb31e5ea6ad5f48bf4b4cd61654a9b3b4330bf0963f"
        );
    }
}
