//! Random conversations whose texts contain what a template might mishandle.

use llm_core::chat::{Role, Segment};

/// A generator that is the same in every run (SplitMix64).
#[derive(Debug)]
pub struct Source(pub u64);

impl Source {
    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    /// One of several.
    pub fn one<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items.get(self.below(items.len())).copied().unwrap_or("")
    }
}

const WORDS: &[&str] = &[
    "the",
    "Hello",
    "world",
    "42",
    "door's",
    "naïve",
    "Größe",
    "猫が好き",
    "Привет",
    "🦊",
    "x",
    "don't",
    "A-B",
    "…",
    "fn",
    "{{ x }}",
    "{%",
    "\\n",
    "'",
    "\"",
    "<",
    ">",
    "|",
    "[",
    "]",
    "#",
    "system",
    "user",
    "assistant",
];

const GAPS: &[&str] = &[
    " ", " ", " ", " ", "", "  ", "\n", "\n\n", "\t", "\u{a0}", "\r\n", "\n \n",
];

/// A text with some of `spellings`, not only white space.
pub fn text(source: &mut Source, spellings: &[&str]) -> String {
    let mut text = String::new();
    if source.below(3) == 0 {
        text.push_str(source.one(GAPS));
    }
    for _ in 0..=source.below(12) {
        if !spellings.is_empty() && source.below(4) == 0 {
            text.push_str(source.one(spellings));
        } else {
            text.push_str(source.one(WORDS));
        }
        text.push_str(source.one(GAPS));
    }
    if source.below(2) == 0 {
        text.truncate(text.trim_end().len());
    }
    if text.trim().is_empty() {
        text.push('.');
    }
    text
}

/// A conversation of at most `most` user turns; half of them begin with a system text if allowed.
pub fn conversation(
    source: &mut Source,
    most: usize,
    system: bool,
    spellings: &[&str],
) -> Vec<(Role, String)> {
    let mut segments = Vec::new();
    if system && source.below(2) == 0 {
        segments.push((Role::System, text(source, spellings)));
    }
    for turn in 0..=source.below(most) {
        if turn > 0 {
            segments.push((Role::Assistant, text(source, spellings)));
        }
        segments.push((Role::User, text(source, spellings)));
    }
    segments
}

/// The conversation as the engine takes it.
#[must_use]
pub fn segments(conversation: &[(Role, String)]) -> Vec<Segment<'_>> {
    conversation
        .iter()
        .map(|(role, text)| Segment::new(*role, text))
        .collect()
}
