//! A line becomes a command: words, quotes, options.

use crate::input::MAX_LINE_BYTES;
use protocol::decimal::{self, DecimalError};
use protocol::wire::InferParams;

/// Words of a line: a command with all of its options has fewer.
const MAX_WORDS: usize = 32;

/// Options of `llminfer`, for parsing and for suggestions.
pub(crate) const INFER_OPTIONS: [&str; 6] = [
    "--max-tokens",
    "--temperature",
    "--top-k",
    "--top-p",
    "--min-p",
    "--seed",
];

/// Commands, for help and for suggestions.
pub(crate) const COMMANDS: [&str; 5] = ["llminfer", "llmctl", "llmstats", "help", "exit"];

/// What `llmctl` can do.
pub(crate) const CONTROLS: [&str; 4] = ["models", "load", "status", "cancel"];

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    /// Nothing.
    Empty,
    /// Generate text.
    Infer {
        /// How.
        params: InferParams,
        /// From what.
        prompt: &'a [u8],
    },
    /// List the models.
    Models,
    /// Load a model.
    Load(&'a str),
    /// Tell the state of inference.
    Status,
    /// Cancel the generation under way.
    Cancel,
    /// Tell what audit has counted.
    Stats,
    /// Explain everything, or one command.
    Help(Option<&'static str>),
    /// End the session.
    Exit,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandError<'a> {
    /// A quote is not closed.
    Unterminated(char),
    /// More than [`MAX_WORDS`] words.
    TooManyWords,
    /// No such command, option or control; the nearest there is.
    Unknown {
        /// "command", "option of llminfer", …
        what: &'static str,
        /// What was typed.
        word: &'a [u8],
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
    /// An option or control without its value.
    MissingValue {
        /// What it belongs to.
        of: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// A word too many.
    Extra {
        /// The command.
        of: &'static str,
        /// The word.
        word: &'a [u8],
    },
    /// A value that is no whole number in range.
    Whole {
        /// The option.
        option: &'static str,
        /// What was typed.
        word: &'a [u8],
        /// Largest number that there is.
        max: u64,
    },
    /// A value that is no decimal number.
    Decimal {
        /// The option.
        option: &'static str,
        /// What was typed.
        word: &'a [u8],
        /// Why.
        why: DecimalError,
    },
    /// A name that is no UTF-8.
    Name(&'a [u8]),
}

/// A line taken apart into words, with quotes and escapes resolved.
#[derive(Debug)]
pub(crate) struct Words {
    text: heapless::Vec<u8, MAX_LINE_BYTES>,
    /// Where each word ends in `text`.
    ends: heapless::Vec<usize, MAX_WORDS>,
}

impl Words {
    pub(crate) const fn new() -> Self {
        Self {
            text: heapless::Vec::new(),
            ends: heapless::Vec::new(),
        }
    }

    /// Splits `line`. Words are separated by spaces; `"…"` and `'…'` keep them together; inside
    /// `"…"`, `\"`, `\\` and `\n` stand for a quote, a backslash and a new line.
    pub(crate) fn split(&mut self, line: &[u8]) -> Result<(), CommandError<'static>> {
        self.text.clear();
        self.ends.clear();
        let mut bytes = line.iter().copied().peekable();
        let mut in_word = false;
        while let Some(byte) = bytes.next() {
            match byte {
                b' ' | b'\t' => {
                    if in_word {
                        self.end_word()?;
                    }
                    in_word = false;
                }
                b'"' | b'\'' => {
                    in_word = true;
                    loop {
                        match bytes.next() {
                            None => return Err(CommandError::Unterminated(char::from(byte))),
                            Some(next) if next == byte => break,
                            Some(b'\\') if byte == b'"' => match bytes.peek() {
                                Some(b'n') => {
                                    bytes.next();
                                    self.push(b'\n');
                                }
                                Some(&escaped @ (b'"' | b'\\')) => {
                                    bytes.next();
                                    self.push(escaped);
                                }
                                _ => self.push(b'\\'),
                            },
                            Some(next) => self.push(next),
                        }
                    }
                }
                _ => {
                    in_word = true;
                    self.push(byte);
                }
            }
        }
        if in_word { self.end_word() } else { Ok(()) }
    }

    fn push(&mut self, byte: u8) {
        // A line is no longer than the room for it, and its words are no longer than the line.
        let _ = self.text.push(byte);
    }

    fn end_word(&mut self) -> Result<(), CommandError<'static>> {
        self.ends
            .push(self.text.len())
            .map_err(|_| CommandError::TooManyWords)
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().filter_map(move |&end| {
            let word = self.text.get(start..end);
            start = end;
            word
        })
    }

    /// The command in these words.
    pub(crate) fn command(&self) -> Result<Command<'_>, CommandError<'_>> {
        let mut words = self.iter();
        let Some(first) = words.next() else {
            return Ok(Command::Empty);
        };
        match first {
            b"llminfer" => infer(&mut words),
            b"llmctl" => control(&mut words),
            b"llmstats" => nothing_more("llmstats", &mut words, Command::Stats),
            b"exit" => nothing_more("exit", &mut words, Command::Exit),
            b"help" => {
                let Some(word) = words.next() else {
                    return Ok(Command::Help(None));
                };
                let known = COMMANDS.iter().find(|name| name.as_bytes() == word);
                let topic = known.ok_or_else(|| unknown("command", word, &COMMANDS))?;
                nothing_more("help", &mut words, Command::Help(Some(topic)))
            }
            word => Err(unknown("command", word, &COMMANDS)),
        }
    }
}

fn nothing_more<'a>(
    of: &'static str,
    words: &mut impl Iterator<Item = &'a [u8]>,
    command: Command<'a>,
) -> Result<Command<'a>, CommandError<'a>> {
    match words.next() {
        Some(word) => Err(CommandError::Extra { of, word }),
        None => Ok(command),
    }
}

fn control<'a>(
    words: &mut impl Iterator<Item = &'a [u8]>,
) -> Result<Command<'a>, CommandError<'a>> {
    let of = "llmctl";
    let what = "models, load NAME, status or cancel";
    let word = words
        .next()
        .ok_or(CommandError::MissingValue { of, what })?;
    match word {
        b"models" => nothing_more(of, words, Command::Models),
        b"status" => nothing_more(of, words, Command::Status),
        b"cancel" => nothing_more(of, words, Command::Cancel),
        b"load" => {
            let missing = CommandError::MissingValue {
                of: "llmctl load",
                what: "a model's name",
            };
            let name = words.next().ok_or(missing)?;
            let name = core::str::from_utf8(name).map_err(|_| CommandError::Name(name))?;
            nothing_more("llmctl load", words, Command::Load(name))
        }
        word => Err(unknown("command of llmctl", word, &CONTROLS)),
    }
}

fn infer<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Result<Command<'a>, CommandError<'a>> {
    let mut params = InferParams::default();
    let mut prompt = None;
    while let Some(word) = words.next() {
        if !word.starts_with(b"--") {
            if prompt.replace(word).is_some() {
                return Err(CommandError::Extra {
                    of: "llminfer",
                    word,
                });
            }
            continue;
        }
        let known = INFER_OPTIONS.iter().find(|name| name.as_bytes() == word);
        let option = *known.ok_or_else(|| unknown("option of llminfer", word, &INFER_OPTIONS))?;
        let missing = CommandError::MissingValue {
            of: option,
            what: "a value",
        };
        let value = words.next().ok_or(missing)?;
        let sampling = &mut params.sampling;
        match option {
            "--max-tokens" => params.max_tokens = whole_u32(option, value)?,
            "--temperature" => sampling.temperature = millionths(option, value)?,
            "--top-k" => sampling.top_k = whole_u32(option, value)?,
            "--top-p" => sampling.top_p = millionths(option, value)?,
            "--min-p" => sampling.min_p = millionths(option, value)?,
            // The last of the list.
            _ => sampling.seed = whole(option, value, u64::MAX)?,
        }
    }
    let missing = CommandError::MissingValue {
        of: "llminfer",
        what: "a prompt",
    };
    Ok(Command::Infer {
        params,
        prompt: prompt.ok_or(missing)?,
    })
}

fn whole<'a>(option: &'static str, word: &'a [u8], max: u64) -> Result<u64, CommandError<'a>> {
    let digits = word.iter().all(u8::is_ascii_digit);
    let text = core::str::from_utf8(word).ok().filter(|_| digits);
    text.and_then(|text| text.parse().ok())
        .filter(|value| *value <= max)
        .ok_or(CommandError::Whole { option, word, max })
}

fn whole_u32<'a>(option: &'static str, word: &'a [u8]) -> Result<u32, CommandError<'a>> {
    let max = u32::MAX;
    let value = whole(option, word, u64::from(max))?;
    u32::try_from(value).map_err(|_| CommandError::Whole {
        option,
        word,
        max: u64::from(max),
    })
}

fn millionths<'a>(option: &'static str, word: &'a [u8]) -> Result<u32, CommandError<'a>> {
    let malformed = DecimalError::Malformed;
    let text = core::str::from_utf8(word).map_err(|_| CommandError::Decimal {
        option,
        word,
        why: malformed,
    })?;
    decimal::parse(text).map_err(|why| CommandError::Decimal { option, word, why })
}

fn unknown<'a>(what: &'static str, word: &'a [u8], there_are: &[&'static str]) -> CommandError<'a> {
    let nearest = there_are
        .iter()
        .map(|name| (distance(word, name.as_bytes()), *name))
        .min()
        // Farther away it is a guess.
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .map(|(_, name)| name);
    CommandError::Unknown {
        what,
        word,
        nearest,
    }
}

/// Longest word that is compared.
const LONGEST: usize = 24;

/// Levenshtein's distance; words that are too long are as far as can be.
fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    // Distances from the first bytes of `a` to each beginning of `b`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn split(line: &str) -> Vec<String> {
        let mut words = Words::new();
        words.split(line.as_bytes()).unwrap();
        words
            .iter()
            .map(|word| String::from_utf8_lossy(word).to_string())
            .collect()
    }

    /// What a line is, or how it is wrong, as debug text.
    fn parse(line: &[u8]) -> String {
        let mut words = Words::new();
        match words.split(line) {
            Ok(()) => format!("{:?}", words.command()),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(
            split("  a  \"b c\" 'd \"e' f\"g\"h "),
            ["a", "b c", "d \"e", "fgh"]
        );
        assert_eq!(
            split(r#""a\"b\\c\nd\e" 'x\n' """#),
            ["a\"b\\c\nd\\e", "x\\n", ""]
        );
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split("Höhle"), ["Höhle"]);
    }

    #[test]
    fn unterminated_quotes_and_endless_lines_are_refused() {
        assert_eq!(parse(b"llminfer \"Once"), "Unterminated('\"')");
        assert_eq!(parse(b"llminfer 'Once\""), "Unterminated('\\'')");
        assert_eq!(parse("a ".repeat(33).as_bytes()), "TooManyWords");
    }

    #[test]
    fn options_may_stand_anywhere_and_are_exact() {
        let mut words = Words::new();
        words
            .split(b"llminfer --temperature 0.7 'Once upon' --max-tokens 48 --top-k 5 --top-p .9 --min-p 0 --seed 18446744073709551615")
            .unwrap();
        let Ok(Command::Infer { params, prompt }) = words.command() else {
            panic!("no command")
        };
        assert_eq!(prompt, b"Once upon");
        let sampling = params.sampling;
        assert_eq!(
            (params.max_tokens, sampling.temperature, sampling.top_k),
            (48, 700_000, 5)
        );
        assert_eq!(
            (sampling.top_p, sampling.min_p, sampling.seed),
            (900_000, 0, u64::MAX)
        );
    }

    #[test]
    fn the_nearest_is_suggested_if_it_is_near() {
        let nearest = |line: &str| {
            let mut words = Words::new();
            words.split(line.as_bytes()).unwrap();
            match words.command() {
                Err(CommandError::Unknown { nearest, .. }) => nearest,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(nearest("llminfre x"), Some("llminfer"));
        assert_eq!(nearest("halp"), Some("help"));
        assert_eq!(nearest("llmctl statsu"), Some("status"));
        assert_eq!(nearest("llminfer x --temprature 1"), Some("--temperature"));
        assert_eq!(nearest("frobnicate"), None);
        assert_eq!(nearest(&"x".repeat(100)), None);
    }

    #[test]
    fn every_wrong_line_is_told_what_is_wrong() {
        for (line, part) in [
            (
                "llminfer",
                "MissingValue { of: \"llminfer\", what: \"a prompt\"",
            ),
            ("llminfer a b", "Extra"),
            ("llminfer a --seed", "MissingValue { of: \"--seed\""),
            ("llminfer a --max-tokens -1", "Whole"),
            ("llminfer a --max-tokens 4294967296", "Whole"),
            ("llminfer a --seed 18446744073709551616", "Whole"),
            ("llminfer a --temperature hot", "Decimal"),
            ("llminfer a --top-p 0.1234567", "TooPrecise"),
            ("llmctl", "MissingValue { of: \"llmctl\""),
            ("llmctl load", "MissingValue { of: \"llmctl load\""),
            ("llmctl load a b", "Extra"),
            ("llmstats now", "Extra"),
            ("help llmfrob", "Unknown"),
        ] {
            assert!(
                parse(line.as_bytes()).contains(part),
                "{line}: {}",
                parse(line.as_bytes())
            );
        }
        assert!(parse(b"llmctl load \xff").contains("Name"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_command_or_an_error(
            line in prop::collection::vec(any::<u8>(), 0..200),
            command in prop::sample::select(COMMANDS.to_vec()),
        ) {
            parse(&line);
            let mut with_command = command.as_bytes().to_vec();
            with_command.push(b' ');
            with_command.extend(&line);
            parse(&with_command);
        }
    }
}
