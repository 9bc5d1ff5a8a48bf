//! Splits a line into operands and options.

use super::Parsed;
use crate::command::{Cause, CommandError, LookAlike};
use crate::suggest::nearest;
use crate::table::{Kind, MAX_OPERANDS, OptionSpec, Spec, is_option, llama};
use crate::words::MAX_WORDS;

/// The words of a command, sorted.
pub(super) struct Given<'a> {
    operands: heapless::Vec<&'a [u8], MAX_OPERANDS>,
    /// Each option's index in the command's list, and its value, which is empty for a flag.
    pub(super) options: heapless::Vec<(usize, &'a [u8]), MAX_WORDS>,
    /// The typographic character that a word begins with.
    look_alike: Option<LookAlike>,
    /// The option whose text was followed by a word that belongs to no option, probably because of missing quotes.
    pub(super) unquoted: Option<&'static str>,
}

impl<'a> Given<'a> {
    pub(super) const fn new() -> Self {
        Self {
            operands: heapless::Vec::new(),
            options: heapless::Vec::new(),
            look_alike: None,
            unquoted: None,
        }
    }

    /// Notes if a word begins with a look-alike.
    fn look_at(&mut self, word: &[u8]) {
        self.look_alike = self.look_alike.or_else(|| LookAlike::of(word));
    }

    /// The error for an extra word, with its likely reason.
    pub(super) fn extra(&self, of: &'static str, word: &'a [u8]) -> CommandError<'a> {
        let cause = match (self.look_alike, self.unquoted) {
            (Some(sign), _) => Cause::LookAlike(sign),
            (None, Some(option)) => Cause::Unquoted(option),
            (None, None) => Cause::Unknown,
        };
        CommandError::Extra { of, word, cause }
    }

    /// The first operand, if there is one.
    pub(super) fn operand(&self) -> Option<&'a [u8]> {
        self.operands.first().copied()
    }
}

/// Sorts the words of a command.
pub(super) fn take<'a>(
    spec: &Spec,
    words: &mut impl Iterator<Item = &'a [u8]>,
) -> Parsed<'a, Given<'a>> {
    let of = spec.name;
    let mut given = Given::new();
    let mut may_be_option = true;
    // The option whose text was the previous word.
    let mut text_of = None;
    while let Some(word) = words.next() {
        given.look_at(word);
        if may_be_option && word == b"--" {
            may_be_option = false;
        } else if may_be_option && is_option(word) {
            let (place, value) = take_option(spec, word, words)?;
            let option = spec.options.get(place);
            let limit = option.map_or(1, |option| option.times);
            let before = given.options.iter().filter(|(other, _)| *other == place);
            if before.count() >= limit {
                let option = option.map_or("", |option| option.name);
                return Err(CommandError::TooOften { option, limit });
            }
            // It fits: a line does not have more words.
            let _ = given.options.push((place, value));
            given.look_at(value);
            let is_text = |option: &&OptionSpec| option.kind == Kind::Text;
            text_of = option.filter(is_text).map(|option| option.name);
        } else {
            given.unquoted = text_of.take().or(given.unquoted);
            if given.operands.len() >= spec.operands.len() || given.operands.push(word).is_err() {
                return Err(given.extra(of, word));
            }
        }
    }
    match spec.operands.get(given.operands.len()) {
        Some(missing) if missing.is_needed => Err(CommandError::MissingValue {
            of,
            what: missing.what,
            topic: spec.topic,
        }),
        _ => Ok(given),
    }
}

/// Index and value of the option in `word`. The value follows `=`, or is the next word.
fn take_option<'a>(
    spec: &Spec,
    word: &'a [u8],
    words: &mut impl Iterator<Item = &'a [u8]>,
) -> Parsed<'a, (usize, &'a [u8])> {
    let end = word.iter().position(|byte| *byte == b'=');
    let (called, value) = match end.and_then(|at| word.split_at_checked(at)) {
        Some((called, rest)) => (called, rest.get(1..)),
        None => (word, None),
    };
    let mut known = spec.options.iter().enumerate();
    let Some((place, option)) = known.find(|(_, option)| option.is_called(called)) else {
        if let Some(instead) = llama::instead_of(spec.options, called) {
            let (of, option) = (spec.name, called);
            return Err(CommandError::OfLlama {
                of,
                option,
                instead,
            });
        }
        let names = spec.options.iter().flat_map(OptionSpec::names);
        return Err(CommandError::Unknown {
            what: "option",
            of: spec.name,
            word: called,
            nearest: nearest(called, names),
            topic: Some(spec.topic),
        });
    };
    let value = match (option.kind, value) {
        (Kind::Flag, None) => &[],
        (Kind::Flag, Some(word)) => {
            let option = option.name;
            return Err(CommandError::NoValue { option, word });
        }
        (_, Some(value)) => value,
        (_, None) => words.next().ok_or(CommandError::MissingValue {
            of: option.name,
            what: "a value",
            topic: spec.topic,
        })?,
    };
    Ok((place, value))
}

/// The given options, each by its variant in the command's enum, with its table entry.
pub(super) fn each<'a, Name>(
    spec: &Spec,
    given: &Given<'a>,
    at: fn(usize) -> Option<Name>,
    mut decide: impl FnMut(Name, &'static OptionSpec, &'a [u8]) -> Parsed<'a, ()>,
) -> Parsed<'a, ()> {
    let options: &'static [OptionSpec] = spec.options;
    for (place, value) in &given.options {
        if let (Some(name), Some(option)) = (at(*place), options.get(*place)) {
            decide(name, option, value)?;
        }
    }
    Ok(())
}
