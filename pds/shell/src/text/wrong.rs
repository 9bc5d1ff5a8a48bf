//! Why a line is not a valid command.

use super::{FailureText, Untrusted};
use crate::command::{Cause, CommandError, LookAlike, Wrong};
use crate::table::Kind;
use crate::words::MAX_WORDS;
use core::fmt::{self, Display, Formatter};
use protocol::decimal::{Billionths, Millionths};
use protocol::limits::MAX_NONCE_BYTES;

impl Display for CommandError<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ManyLines => f.write_str(
                "you pasted several commands, and one is run at a time; they are in the history (arrow up)",
            ),
            Self::Unterminated(quote) => write!(f, "the quote {quote} is not closed"),
            Self::TooManyWords => {
                write!(f, "more than {MAX_WORDS} words; put the prompt in quotes (\" or ')")
            }
            Self::Unknown {
                what,
                of,
                word,
                nearest,
                topic,
            } => {
                let word = Untrusted(word);
                match (what, of) {
                    (_, "") => write!(f, "no {what} '{word}'")?,
                    ("value", _) => write!(f, "{of} does not take '{word}'")?,
                    _ => write!(f, "{of} has no {what} '{word}'")?,
                }
                match (nearest, topic) {
                    (Some(nearest), _) => write!(f, "; did you mean '{nearest}'?"),
                    (None, Some(topic)) if topic != "help" => write!(f, "; see 'help {topic}'"),
                    (None, _) => write!(f, "; see 'help'"),
                }
            }
            Self::MissingValue { of, what, topic } => {
                write!(f, "{of} needs {what}; see 'help {topic}'")
            }
            Self::NoValue { option, word } => write!(
                f,
                "{option} takes no value, but '{}' was given",
                Untrusted(word)
            ),
            Self::Extra { of, word, cause } => {
                write!(f, "'{}' is one word too many for {of}", Untrusted(word))?;
                Advice { of, cause }.fmt(f)
            }
            Self::OfLlama {
                of,
                option,
                instead,
            } => {
                let option = Untrusted(option);
                write!(f, "{of} has no {option} like llama.cpp's: {instead}")
            }
            Self::AfterUser => write!(
                f,
                "login takes a user's name and nothing else; the passphrase belongs on the next line"
            ),
            Self::Value {
                option,
                kind,
                word,
                why,
            } => {
                // In llama.cpp, -1 means a random seed.
                let is_random_seed = option == "--seed" && word == b"-1";
                let word = Untrusted(word);
                match why {
                    Wrong::OutOfRange => {
                        let (bounds, most) = match kind {
                            Kind::Whole {
                                min,
                                max,
                                all: Some(_),
                                default,
                            } => {
                                let all = None;
                                let bounds = Kind::Whole {
                                    min,
                                    max,
                                    all,
                                    default,
                                };
                                (bounds, ", or -1 for the most")
                            }
                            other => (other, ""),
                        };
                        let bounds = Range(bounds);
                        write!(
                            f,
                            "{option} {word} is out of range, {bounds} are allowed{most}"
                        )?;
                        match is_random_seed {
                            true => f.write_str(
                                "; no seed is random here, because the same one must give the same text: use \
                                 another number for another text",
                            ),
                            false => Ok(()),
                        }
                    }
                    Wrong::Malformed => write!(f, "{option} '{word}' is not {}", Expected(kind)),
                }
            }
            Self::Beside { of, option, other } => {
                write!(f, "{option} cannot be used with {other}; see 'help {of}'")
            }
            Self::TooOften { option, limit: 1 } => {
                write!(f, "{option} is given twice; leave one out")
            }
            Self::TooOften { option, limit } => {
                write!(f, "{option} can be given {limit} times at most")
            }
            Self::Name { failure, word } => FailureText {
                failure,
                detail: word,
            }
            .fmt(f),
            Self::Nonce(word) => write!(
                f,
                "the nonce '{}' cannot be used: 1 to {MAX_NONCE_BYTES} visible ASCII characters without quotes and \
                 backslashes are allowed, for example the output of 'openssl rand -hex 8'",
                Untrusted(word)
            ),
        }
    }
}

/// Advice about an extra word.
struct Advice {
    of: &'static str,
    cause: Cause,
}

impl Display for Advice {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.cause, self.of) {
            (Cause::LookAlike(LookAlike { sign, is_quote }), _) => match is_quote {
                true => write!(f, "; {sign} is not a quote here: put texts in \" or '"),
                false => write!(
                    f,
                    "; {sign} is not a hyphen here: options begin with - or --"
                ),
            },
            (Cause::Unquoted(option), "llminfer") => write!(
                f,
                "; put the text of {option} in quotes, and the prompt, too"
            ),
            (Cause::Unquoted(option), _) => write!(f, "; put the text of {option} in quotes"),
            (Cause::Unknown, "llminfer") => f.write_str("; put the prompt in quotes"),
            (Cause::Unknown, "llmchat") => f.write_str(": type your text on the next lines"),
            (Cause::Unknown, _) => Ok(()),
        }
    }
}

/// The range of a value; nothing if the kind has no order.
pub(crate) struct Range(pub(crate) Kind);

impl Display for Range {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Whole { min, max, all, .. } => {
                write!(f, "{min} to {max}")?;
                match all {
                    Some(_) => f.write_str(", or -1 for the most"),
                    None => Ok(()),
                }
            }
            Kind::Fraction { min, max, .. } => write!(
                f,
                "{} to {}",
                Millionths(u64::from(min)),
                Millionths(u64::from(max))
            ),
            Kind::Rate { max, .. } => write!(f, "{} to {}", Billionths(1), Billionths(max)),
            Kind::Flag | Kind::Period | Kind::Text | Kind::Name(_) | Kind::OneOf(_) => Ok(()),
        }
    }
}

/// A description of valid values.
struct Expected(Kind);

impl Display for Expected {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let range = Range(self.0);
        match self.0 {
            Kind::Whole { .. } => write!(f, "a whole number, {range}"),
            Kind::Fraction { .. } => write!(
                f,
                "a number such as 0.8, {range}, with at most six digits after the point"
            ),
            Kind::Rate { .. } => write!(
                f,
                "a number such as 0.001 or 1e-3, {range}, with at most nine digits after the point"
            ),
            Kind::Period => f.write_str("a period such as 3600s, 60m, 1h or 1d"),
            Kind::OneOf(words) => words.iter().enumerate().try_for_each(|(i, word)| {
                let before = if i == 0 { "" } else { " or " };
                write!(f, "{before}{word}")
            }),
            Kind::Flag => f.write_str("there"),
            Kind::Text => f.write_str("a text"),
            Kind::Name(_) => f.write_str("a name"),
        }
    }
}
