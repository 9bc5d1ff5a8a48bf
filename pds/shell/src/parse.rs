//! Parses words into a command, with the [table](crate::table) of commands.
//!
//! First, the words are sorted into operands and options, in the same way for every command. Then the command handles
//! each of its options by name, so an unknown one cannot be ignored. (Crates for options, such as `getargs`, read
//! `-sys` as `-s ys`; llama.cpp has such names, and they work here.)

use crate::command::{Command, CommandError};
use crate::screen::Colour;
use crate::suggest::{meant, nearest};
use crate::table::{COLOURS, COMMANDS, CONTROLS, Hue, Spec, Verb};
use crate::values::name;
use crate::words::Words;
use asking::{ask, infer};
use control::{control, fine_tune, nothing_more, stats};
use options::{Given, take};

type Parsed<'a, T = Command<'a>> = Result<T, CommandError<'a>>;

/// The command in `words`.
pub(crate) fn parse(words: &Words) -> Parsed<'_> {
    let mut words = words.iter();
    let Some(first) = words.next() else {
        return Ok(Command::Empty);
    };
    let words = &mut words.peekable();
    if first == b"?" {
        return help(words);
    }
    let verb = Verb::find(first).ok_or_else(|| CommandError::Unknown {
        what: "command",
        of: "",
        word: first,
        nearest: meant(first).or_else(|| nearest(first, COMMANDS.iter().copied())),
        topic: None,
    })?;
    let spec = verb.spec();
    if words.next_if(asks_for_help).is_some() {
        return Ok(Command::Help(Some(spec.topic)));
    }
    match verb {
        Verb::Infer => infer(&spec, words),
        Verb::Chat => Ok(Command::Chat(ask(&spec, &take(&spec, words)?)?.ask)),
        Verb::Control => control(words),
        Verb::Stats => stats(&spec, words),
        Verb::FineTune => fine_tune(&spec, words),
        Verb::Login => match take(&spec, words) {
            Ok(given) => Ok(Command::Login(name(given.operand().unwrap_or(&[]))?)),
            // The word may be a passphrase.
            Err(CommandError::Extra { .. } | CommandError::Unknown { .. }) => {
                Err(CommandError::AfterUser)
            }
            Err(error) => Err(error),
        },
        Verb::Logout => nothing_more(&spec, words, Command::Logout),
        Verb::WhoAmI => nothing_more(&spec, words, Command::WhoAmI),
        Verb::Exit => nothing_more(&spec, words, Command::Exit),
        Verb::Help => help(words),
        Verb::Colour => colour(&spec, words),
    }
}

/// Whether a word after a command asks for its help.
fn asks_for_help(word: &&[u8]) -> bool {
    matches!(*word, b"--help" | b"-h")
}

/// `color auto`, `color on`, `color off`.
fn colour<'a>(spec: &Spec, words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let given = take(spec, words)?;
    let word = given.operand().unwrap_or(&[]);
    one_of("value", spec.name, word, COLOURS, spec.topic)?;
    Ok(Command::Colour(match Hue::find(word) {
        Some(Hue::On) => Colour::On,
        Some(Hue::Off) => Colour::Off,
        Some(Hue::Auto) | None => Colour::Auto,
    }))
}

/// One of a list of words.
fn one_of<'a>(
    what: &'static str,
    of: &'static str,
    word: &'a [u8],
    there_are: &[&'static str],
    topic: &'static str,
) -> Parsed<'a, &'static str> {
    let known = there_are.iter().find(|name| name.as_bytes() == word);
    known.copied().ok_or_else(|| CommandError::Unknown {
        what,
        of,
        word,
        nearest: nearest(word, there_are.iter().copied()),
        topic: Some(topic),
    })
}

/// `help`, `help COMMAND`, `help CONTROL`, `help llmctl CONTROL`.
fn help<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let topic = match words.next() {
        None => None,
        Some(b"llmctl") => Some(match words.next() {
            None => "llmctl",
            Some(word) => one_of("command", "llmctl", word, CONTROLS, "llmctl")?,
        }),
        Some(word) => Some(match CONTROLS.iter().find(|name| name.as_bytes() == word) {
            Some(control) => control,
            None => one_of("command", "", word, COMMANDS, "help")?,
        }),
    };
    match words.next() {
        Some(word) => Err(Given::new().extra("help", word)),
        None => Ok(Command::Help(topic)),
    }
}

mod asking;
mod control;
mod options;
#[cfg(test)]
mod tests;
