//! Why a line is no command.

use super::{FailureText, Untrusted};
use crate::command::CommandError;
use crate::words::MAX_WORDS;
use core::fmt::{self, Display, Formatter};

impl Display for CommandError<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ManyLines => f.write_str(
                "the line has more than one line of commands, and one is run at a time; it is in the history (arrow up)",
            ),
            Self::Unterminated(quote) => write!(f, "the quote {quote} is not closed"),
            Self::TooManyWords => {
                write!(f, "more than {MAX_WORDS} words; put the prompt in quotes")
            }
            Self::Unknown {
                what,
                word,
                nearest,
            } => {
                write!(f, "no {what} '{}'", Untrusted(word))?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean '{nearest}'?"),
                    None => write!(f, "; see 'help'"),
                }
            }
            Self::MissingValue { of, what } => write!(f, "{of} needs {what}; see 'help'"),
            Self::Extra {
                of: "llminfer",
                word,
            } => write!(
                f,
                "'{}' is one word too many for llminfer; put the prompt in quotes",
                Untrusted(word)
            ),
            Self::Extra {
                of: "llmchat",
                word,
            } => write!(
                f,
                "'{}' is one word too many for llmchat: what you say comes on the next lines",
                Untrusted(word)
            ),
            Self::Extra { of, word } => {
                write!(f, "'{}' is one word too many for {of}", Untrusted(word))
            }
            Self::AfterUser => write!(
                f,
                "login takes a user's name and nothing else; the passphrase belongs on the next line"
            ),
            Self::Whole { option, word, max } => write!(
                f,
                "{option} '{}' is not a whole number from 0 to {max}",
                Untrusted(word)
            ),
            Self::Decimal { option, word, why } => {
                write!(f, "{option} '{}' is {why}", Untrusted(word))
            }
            Self::Rate { word } => write!(
                f,
                "--rate '{}' is not a number such as 0.001 or 1e-3, with at most nine digits after the point",
                Untrusted(word)
            ),
            Self::Beside { of, option, other } => {
                write!(f, "{option} cannot stand beside {other}; see 'help {of}'")
            }
            Self::TooOften { option, limit } => {
                write!(f, "{option} can be given {limit} times at most")
            }
            Self::Period { option, word } => write!(
                f,
                "{option} '{}' is not a period such as 3600s, 60m, 1h or 1d",
                Untrusted(word)
            ),
            Self::Name { failure, word } => FailureText {
                failure,
                detail: word,
            }
            .fmt(f),
        }
    }
}
