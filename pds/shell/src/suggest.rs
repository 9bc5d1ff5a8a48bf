//! Suggests the known word nearest to a mistyped one.

use crate::table::{COMMANDS, Control, LEAVING};

/// Longest word that is compared.
const LONGEST: usize = 24;

/// Shortest prefix that shows the intention. Two dashes and a letter are too short.
const MIN_BEGINNING: usize = 4;

/// The word that `word` was probably meant to be: the only one that begins with it, or otherwise the one spelled most
/// similarly. Nothing if all are too different.
pub(crate) fn nearest(
    word: &[u8],
    there_are: impl Iterator<Item = &'static str> + Clone,
) -> Option<&'static str> {
    let begins = |name: &&str| word.len() >= MIN_BEGINNING && name.as_bytes().starts_with(word);
    let mut beginnings = there_are.clone().filter(begins);
    if let (Some(only), None) = (beginnings.next(), beginnings.next()) {
        return Some(only);
    }
    there_are
        .map(|name| (distance(word, name.as_bytes()), name))
        .min()
        // Anything farther away is a guess.
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .map(|(_, name)| name)
}

/// The command for a word that leaves out its prefix, or for another program's name for it.
pub(crate) fn meant(word: &[u8]) -> Option<&'static str> {
    if LEAVING.iter().any(|other| other.as_bytes() == word) {
        return Some("exit");
    }
    let is_rest = |name: &&&'static str| {
        name.strip_prefix("llm")
            .is_some_and(|rest| rest.as_bytes() == word)
    };
    let verb = COMMANDS.iter().find(is_rest).copied();
    verb.or_else(|| Control::find(word).map(|control| control.spec().name))
}

/// The Levenshtein distance, or the greatest possible one if a word is too long.
fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    // Distances from a prefix of `a` to each prefix of `b`.
    let mut row = [0usize; LONGEST + 1];
    for (i, cell) in row.iter_mut().enumerate() {
        *cell = i;
    }
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        let mut cells = row.iter_mut();
        if let Some(first) = cells.next() {
            *first = left;
        }
        for (y, cell) in b.iter().zip(cells) {
            let replaced = diagonal.saturating_add(usize::from(x != y));
            diagonal = *cell;
            left = replaced
                .min(left.saturating_add(1))
                .min(diagonal.saturating_add(1));
            *cell = left;
        }
    }
    row.get(b.len()).copied().unwrap_or(usize::MAX)
}
