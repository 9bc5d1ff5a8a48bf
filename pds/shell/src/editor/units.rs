//! Characters of a line that may not be UTF-8, and their widths in columns.
//!
//! A *unit* is a character, or a byte that belongs to none.

use safe_text::is_safe;
use unicode_width::UnicodeWidthChar as _;

/// Shown in place of a line break in the line.
pub(super) const LINE_BREAK: char = '\u{21b5}';

/// Where the last word of `before` begins; spaces after it belong to it.
pub(super) fn word_start(before: &[u8]) -> usize {
    let kept = |bytes: &[u8], space: bool| {
        let other = |byte: &u8| (*byte == b' ') != space;
        bytes
            .iter()
            .rposition(other)
            .map_or(0, |last| last.saturating_add(1))
    };
    let before_spaces = kept(before, true);
    kept(before.get(..before_spaces).unwrap_or(&[]), false)
}

/// Start of the text that takes `columns` columns at the end of `bytes`.
pub(super) fn back_by(bytes: &[u8], mut columns: usize) -> usize {
    let mut start = bytes.len();
    loop {
        let before = bytes.get(..start).unwrap_or(&[]);
        let len = last_unit(before);
        let unit = before.get(start.saturating_sub(len)..).unwrap_or(&[]);
        let width = self::columns(unit);
        if len == 0 || width > columns {
            return start;
        }
        columns = columns.saturating_sub(width);
        start = start.saturating_sub(len);
    }
}

/// Length of the last character, or 1 if the last byte belongs to none.
pub(super) fn last_unit(bytes: &[u8]) -> usize {
    let is_character = |len: &usize| {
        let start = bytes.len().checked_sub(*len);
        let tail = start.and_then(|start| bytes.get(start..));
        tail.is_some_and(|tail| core::str::from_utf8(tail).is_ok())
    };
    (1..=4)
        .find(is_character)
        .unwrap_or(usize::from(!bytes.is_empty()))
}

/// Length of the first character, or 1 if the first byte belongs to none, and the character to show for it.
pub(super) fn first_unit(bytes: &[u8]) -> Option<(usize, char)> {
    let character = |len: usize| {
        let text = core::str::from_utf8(bytes.get(..len)?).ok()?;
        Some((len, text.chars().next()?))
    };
    let (len, character) = match (1..=4).find_map(character) {
        Some(found) => found,
        None => bytes.first().map(|_| (1, char::REPLACEMENT_CHARACTER))?,
    };
    let shown = match character {
        '\t' => ' ',
        '\n' => LINE_BREAK,
        _ if is_safe(character) => character,
        _ => char::REPLACEMENT_CHARACTER,
    };
    Some((len, shown))
}

pub(super) fn units(mut bytes: &[u8]) -> impl Iterator<Item = (usize, char)> {
    core::iter::from_fn(move || {
        let unit = first_unit(bytes)?;
        bytes = bytes.get(unit.0..)?;
        Some(unit)
    })
}

pub(super) fn width_of(character: char) -> usize {
    character.width().unwrap_or(1)
}

pub(super) fn columns(bytes: &[u8]) -> usize {
    units(bytes).fold(0, |sum: usize, (_, shown)| {
        sum.saturating_add(width_of(shown))
    })
}
