//! What the hostile inference server says instead of a bound answer: one with a format of the policy, with choices in
//! the request, or with a stop string.
//!
//! The formats are those of `tests/redteam/policy.toml`. Text that they do not allow is an `X` or another word in the
//! list, so that the runner recognizes it on the console.

use crate::ring::Forger;
use protocol::error::{ErrorCode, Failure};
use protocol::wire::FinishReason;
use protocol::wire::engine::Report;

/// The words of the format `verdict`, and the choices of requests that have choices.
pub const VERDICTS: [&str; 3] = ["allow", "deny", "größer"];

/// The stop string of requests that have one.
pub const STOP: &str = "END";

/// What the answer is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The format `verdict` of the policy: one of [`VERDICTS`].
    Format,
    /// The same words, as choices in the request.
    Choices,
    /// It ends at [`STOP`], which is not shown.
    Stop,
}

/// A report about the request.
#[derive(Clone, Copy, Debug)]
enum Say {
    /// A token with this text.
    Token(&'static [u8]),
    /// The end, with the right number of tokens.
    End(FinishReason),
    /// A failure with this code, and an arbitrary number and detail.
    Fail(ErrorCode, u64, &'static [u8]),
    /// Nothing more.
    Silence,
}

/// The required outcome. In addition, only a beginning of [`Answer::shows`] may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Audit ends the request because the answer left its format, and restarts inference.
    Format,
    /// Audit ends the request because the answer continued past a stop string, and restarts inference.
    Stop,
    /// Audit restarts inference because of a report that no honest inference server makes.
    Breach,
    /// The request fails as inference says, but without its words or numbers.
    Fails,
    /// The answer is complete; audit drops what follows, and counts a violation.
    Dropped,
    /// Audit ends the request and restarts inference at the deadline.
    Deadline,
}

/// One attack.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Its name in the prompt.
    pub name: &'static str,
    /// What it does.
    pub does: &'static str,
    /// What the request's answer is bound to.
    pub bound: Bound,
    /// The longest text that the console may show. An incomplete character appears as U+FFFD.
    pub shows: &'static str,
    /// The required outcome.
    pub ends: Ends,
    says: &'static [Say],
}

use FinishReason::{Cancelled, EndOfText, MaxTokens};
use Say::{End, Fail, Silence, Token};

/// An attack on an answer with the format `verdict`.
const fn format(
    name: &'static str,
    does: &'static str,
    shows: &'static str,
    ends: Ends,
    says: &'static [Say],
) -> Answer {
    Answer {
        name,
        does,
        bound: Bound::Format,
        shows,
        ends,
        says,
    }
}

/// An attack that ends with a byte that no word of the format has at this point.
const fn wrong(name: &'static str, shows: &'static str, says: &'static [Say]) -> Answer {
    let does = "gives the right bytes of a format up to here, and then a wrong one";
    format(name, does, shows, Ends::Format, says)
}

/// All attacks, in the order in which they are made.
pub const ANSWERS: &[Answer] = &[
    wrong("format-wrong-byte-0", "", &[Token(b"X")]),
    wrong("format-wrong-byte-1", "a", &[Token(b"a"), Token(b"X")]),
    wrong("format-wrong-byte-2", "al", &[Token(b"al"), Token(b"X")]),
    wrong("format-wrong-byte-3", "all", &[Token(b"all"), Token(b"X")]),
    wrong(
        "format-wrong-byte-4",
        "allo",
        &[Token(b"allo"), Token(b"X")],
    ),
    format(
        "format-right-and-wrong-in-a-token",
        "gives right bytes and a wrong byte in one token, so nothing of that token is shown",
        "al",
        Ends::Format,
        &[Token(b"al"), Token(b"loX")],
    ),
    format(
        "format-prefix-without-end",
        "gives the beginning of a word, and then nothing more",
        "all",
        Ends::Deadline,
        &[Token(b"all"), Silence],
    ),
    format(
        "format-end-too-soon",
        "ends the answer in the middle of a word",
        "all",
        Ends::Format,
        &[Token(b"all"), End(EndOfText)],
    ),
    format(
        "format-end-at-once",
        "ends the answer before its first byte",
        "",
        Ends::Format,
        &[End(EndOfText)],
    ),
    format(
        "format-end-for-want-of-tokens",
        "ends the answer in the middle of a word, as if its tokens were used up",
        "all",
        Ends::Format,
        &[Token(b"all"), End(MaxTokens)],
    ),
    format(
        "format-end-as-if-cancelled",
        "ends the answer in the middle of a word, as if somebody had cancelled it",
        "all",
        Ends::Format,
        &[Token(b"all"), End(Cancelled)],
    ),
    format(
        "format-end-at-a-stop-string",
        "ends a complete answer as if at a stop string, although the request has none",
        "allow",
        Ends::Breach,
        &[Token(b"allow"), End(FinishReason::Stop)],
    ),
    format(
        "format-bytes-after-the-end",
        "continues after a word that nothing can follow",
        "allow",
        Ends::Format,
        &[Token(b"allow"), Token(b"X")],
    ),
    format(
        "format-line-after-the-end",
        "gives a line end after a word",
        "allow",
        Ends::Format,
        &[Token(b"allow"), Token(b"\n")],
    ),
    format(
        "format-zero-after-the-end",
        "gives a zero byte and text after a word, in the same token",
        "",
        Ends::Format,
        &[Token(b"allow\0X")],
    ),
    format(
        "format-bytes-after-the-end-report",
        "gives a complete answer, and another token after its end",
        "allow",
        Ends::Dropped,
        &[Token(b"allow"), End(EndOfText), Token(b"X")],
    ),
    format(
        "format-of-another-number",
        "answers with a word of another format of the policy",
        "",
        Ends::Format,
        &[Token(b"2026-12"), End(EndOfText)],
    ),
    format(
        "format-split-character",
        "gives the first byte of a word's character in one token, and the last of another character in the next",
        "gr\u{fffd}",
        Ends::Format,
        &[Token(b"gr\xc3"), Token(b"\xa4")],
    ),
    format(
        "format-half-a-character",
        "ends the answer within a character",
        "gr\u{fffd}",
        Ends::Format,
        &[Token(b"gr\xc3"), End(EndOfText)],
    ),
    format(
        "format-no-utf8",
        "gives a byte that no text can contain",
        "gr",
        Ends::Format,
        &[Token(b"gr"), Token(b"\xff")],
    ),
    format(
        "format-long-way-round",
        "spells a character of a word in three bytes instead of two",
        "gr",
        Ends::Format,
        &[Token(b"gr"), Token(b"\xe0\x83\xb6")],
    ),
    format(
        "format-say-it-in-a-failure",
        "fails, and puts text into the detail",
        "al",
        Ends::Fails,
        &[Token(b"al"), Fail(ErrorCode::NonFinite, 0x58_5858, b"XXXX")],
    ),
    format(
        "format-count-in-a-failure",
        "fails for lack of room, with a number of its choice",
        "",
        Ends::Fails,
        &[Fail(ErrorCode::FormatTooLong, 5_858_585_858, b"")],
    ),
    Answer {
        name: "choices-wrong-byte",
        does: "gives a text that is not one of the request's choices",
        bound: Bound::Choices,
        shows: "allo",
        ends: Ends::Format,
        says: &[Token(b"allo"), Token(b"X")],
    },
    Answer {
        name: "choices-two-of-them",
        does: "gives two choices, one after the other",
        bound: Bound::Choices,
        shows: "allow",
        ends: Ends::Format,
        says: &[Token(b"allow"), Token(b"deny"), End(EndOfText)],
    },
    Answer {
        name: "choices-and-their-separator",
        does: "gives a choice and the line feed between choices",
        bound: Bound::Choices,
        shows: "allow",
        ends: Ends::Format,
        says: &[Token(b"allow"), Token(b"\ndeny"), End(EndOfText)],
    },
    Answer {
        name: "choices-end-too-soon",
        does: "ends the answer in the middle of a choice",
        bound: Bound::Choices,
        shows: "den",
        ends: Ends::Format,
        says: &[Token(b"den"), End(EndOfText)],
    },
    Answer {
        name: "stop-go-on-over-it",
        does: "gives a stop string and continues",
        bound: Bound::Stop,
        shows: "so far ",
        ends: Ends::Stop,
        says: &[Token(b"so far "), Token(b"END of it"), End(EndOfText)],
    },
    Answer {
        name: "stop-go-on-over-its-pieces",
        does: "gives a stop string in three tokens and continues",
        bound: Bound::Stop,
        shows: "so far ",
        ends: Ends::Stop,
        says: &[
            Token(b"so far E"),
            Token(b"N"),
            Token(b"D of it"),
            End(EndOfText),
        ],
    },
    Answer {
        name: "stop-in-the-last-token",
        does: "gives a stop string and ends for another reason",
        bound: Bound::Stop,
        shows: "so far ",
        ends: Ends::Stop,
        says: &[Token(b"so far "), Token(b"END"), End(EndOfText)],
    },
];

impl Answer {
    /// The attack with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        ANSWERS.iter().find(|answer| answer.name == name)
    }

    /// Sends the reports about the latest request. Returns true if it is silent from then on.
    #[must_use]
    pub fn say(&self) -> bool {
        let mut forger = Forger::of_inference();
        let request = forger.request();
        let mut tokens = 0;
        for say in self.says {
            let report = match *say {
                Token(text) => {
                    tokens += 1;
                    Report::Token { id: 0, text }
                }
                End(reason) => Report::Finished {
                    reason,
                    prompt_tokens: 1,
                    generated_tokens: tokens,
                },
                Fail(code, value, detail) => Report::Failed {
                    failure: Failure::over(code, value, value),
                    detail,
                },
                Silence => return true,
            };
            forger.forge(request, &report);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_shown_begins_a_word_and_comes_before_what_may_not() {
        for answer in ANSWERS {
            let name = answer.name;
            let shows = answer.shows.trim_end_matches('\u{fffd}');
            if answer.bound != Bound::Stop {
                let begins = VERDICTS.iter().any(|word| word.starts_with(shows));
                assert!(begins, "{name}");
            }
            let mut said = [0; 64];
            let mut len = 0;
            for say in answer.says {
                if let Token(text) = say {
                    said[len..len + text.len()].copy_from_slice(text);
                    len += text.len();
                }
            }
            assert!(said[..len].starts_with(shows.as_bytes()), "{name}");
            assert_eq!(
                Answer::find(name).map(|found| found.does),
                Some(answer.does)
            );
        }
        assert!(ANSWERS.len() >= 12);
    }
}
