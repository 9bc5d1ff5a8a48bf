//! The meaning of an answer.

use crate::events::BadLine;
use client::ErrorCode;
use core::fmt;
use sel4_llm_client as client;

/// The classes that are routine. No others are.
const CALM: [&str; 2] = ["ignore", "log"];

/// The classes that mean something is wrong. The policy's format has these and the calm ones. An answer in neither list
/// escalates as well, but then it is not the model's judgement.
const ALARMING: [&str; 2] = ["warn", "alarm"];

/// The reason of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The answer is one of the classes.
    Judged,
    /// It is not a class. Audit passes no such answer, so the policy has another format under that name.
    Unclear,
    /// There is no answer, because the question was refused or has failed.
    NoAnswer(ErrorCode),
    /// Audit was restarted meanwhile.
    Lost,
    /// The question could not be sent.
    NotSent,
    /// The line cannot be asked about.
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
    /// The decision for an answer that has finished.
    #[must_use]
    pub fn of_answer(answer: &[u8]) -> Self {
        let is_one_of = |classes: &[&str]| classes.iter().any(|class| class.as_bytes() == answer);
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
            Reason::Lost => f.write_str("ESCALATE (no answer: audit was restarted)"),
            Reason::NotSent => f.write_str("ESCALATE (not asked: cannot be sent)"),
            Reason::Line(BadLine::TooLong) => f.write_str("ESCALATE (not asked: too long)"),
            Reason::Line(BadLine::NotText) => f.write_str("ESCALATE (not asked: no text)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_classes_calm_and_only_to_the_byte() {
        for calm in CALM {
            assert_eq!(Verdict::of_answer(calm.as_bytes()), Verdict::Routine);
        }
        for alarming in ALARMING {
            let verdict = Verdict::of_answer(alarming.as_bytes());
            assert_eq!(verdict, Verdict::Escalate(Reason::Judged), "{alarming}");
        }
        for unclear in [
            "",
            " ",
            " log",
            "log ",
            "Log",
            "lo",
            "logs",
            "log\n",
            "not ignore",
            "log\u{e9}",
            "\u{1b}[2J",
        ] {
            let verdict = Verdict::of_answer(unclear.as_bytes());
            assert_eq!(verdict, Verdict::Escalate(Reason::Unclear), "{unclear}");
        }
        assert_eq!(
            Verdict::of_answer(b"log\xff"),
            Verdict::Escalate(Reason::Unclear)
        );
    }
}
