//! What an answer means.

use crate::events::BadLine;
use client::{ErrorCode, FinishReason};
use core::fmt;
use sel4_llm_client as client;

/// The words that calm. No other does.
const CALM: [&str; 2] = ["ignore", "log"];

/// The words that say themselves that something is wrong. Those that are in neither list escalate as well, but then it was
/// not the model that said so.
const ALARMING: [&str; 2] = ["warn", "alarm"];

/// Why it was decided so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The answer's first word is one of a closed set.
    Judged,
    /// There is an answer, and its first word is not.
    Unclear,
    /// There is no answer: audit has refused the question, or it has failed.
    NoAnswer(ErrorCode),
    /// Audit has begun anew meanwhile.
    Lost,
    /// The question could not be sent.
    NotSent,
    /// The line is none that can be asked about.
    Line(BadLine),
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing needs to be done.
    Routine,
    /// Somebody has to look.
    Escalate(Reason),
}

impl Verdict {
    /// What to do after this answer. Only a whole word counts: one that the limit of tokens may have cut is none.
    #[must_use]
    pub fn of_answer(answer: &[u8], ended_by: FinishReason) -> Self {
        let answer = answer.trim_ascii_start();
        // What is not ASCII may be a letter, too.
        let ends = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphabetic();
        let end = answer.iter().position(ends);
        let word = match end {
            Some(end) => answer.get(..end).unwrap_or_default(),
            None if ended_by == FinishReason::EndOfText => answer,
            None => &[],
        };
        let is_one_of = |words: &[&str]| {
            words
                .iter()
                .any(|one| one.as_bytes().eq_ignore_ascii_case(word))
        };
        if is_one_of(&CALM) {
            Self::Routine
        } else if is_one_of(&ALARMING) {
            Self::Escalate(Reason::Judged)
        } else {
            Self::Escalate(Reason::Unclear)
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self {
            Self::Routine => return f.write_str("routine"),
            Self::Escalate(reason) => reason,
        };
        match reason {
            Reason::Judged => f.write_str("ESCALATE"),
            Reason::Unclear => f.write_str("ESCALATE (unclear answer)"),
            Reason::NoAnswer(code) => write!(f, "ESCALATE (no answer: {code:?})"),
            Reason::Lost => f.write_str("ESCALATE (no answer: audit has begun anew)"),
            Reason::NotSent => f.write_str("ESCALATE (not asked: cannot be sent)"),
            Reason::Line(BadLine::TooLong) => f.write_str("ESCALATE (not asked: too long)"),
            Reason::Line(BadLine::NotText) => f.write_str("ESCALATE (not asked: no text)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(answer: &[u8]) -> Verdict {
        Verdict::of_answer(answer, FinishReason::MaxTokens)
    }

    const UNCLEAR: Verdict = Verdict::Escalate(Reason::Unclear);

    #[test]
    fn only_a_word_of_the_closed_set_calms() {
        for calm in [" ignore\n> It", "log of it", "\n Log,"] {
            assert_eq!(of(calm.as_bytes()), Verdict::Routine, "{calm}");
        }
        for alarming in [" warn, first", "alarm.", "Alarm\n"] {
            assert_eq!(
                of(alarming.as_bytes()),
                Verdict::Escalate(Reason::Judged),
                "{alarming}"
            );
        }
        for unclear in [
            "",
            " ",
            "a log. ",
            "not ignore. ",
            "backlog ",
            "logs ",
            "log\u{e9} ",
            "\"log\" ",
            "12 ",
            "\u{1b}[2J ",
            "lo\u{00ff} ",
        ] {
            assert_eq!(of(unclear.as_bytes()), UNCLEAR, "{unclear}");
        }
        assert_eq!(of(b"\xff\xfelog "), UNCLEAR);
    }

    #[test]
    fn a_word_that_may_have_been_cut_is_none() {
        assert_eq!(of(b"log"), UNCLEAR);
        assert_eq!(
            Verdict::of_answer(b"log", FinishReason::EndOfText),
            Verdict::Routine
        );
    }
}
