//! All texts for people. Errors arrive as codes with a value and a limit, and become words only here.

mod adapters;
mod answers;
mod code;
mod failure;
mod faults;
mod help;
mod jobs;
mod log;
mod wrong;

pub(crate) use adapters::{
    AdapterEntryLine, AdapterLine, ExamplesText, Loss, TrainedBar, TrainingBar, TrainingPlan,
    TrainingState, TunedText,
};
pub(crate) use answers::{
    BAR_WORDS, Bar, BootText, BudgetText, Closing, FormatLine, HowToLeave, Listed, Marks,
    ModelLine, ProgressBar, ResetText, SessionLine, SignatureWord, StageLine, StatsText,
    StatusText, TemplateText, UserText, VerifiedText,
};
pub(crate) use code::CodeName;
pub(crate) use failure::{FailureText, names_format};
pub(crate) use faults::{FaultsText, RecoveredText};
pub(crate) use help::{CHAT_HELP, Help};
pub(crate) use jobs::{JobLine, JobNotice};
pub(crate) use log::LogLine;

use core::fmt::{self, Display, Formatter, Write as _};
use safe_text::Sanitiser;

/// Why a request has no answer.
pub(crate) const LOST: &str = "audit was restarted and no longer knows this request";

/// A count of something whose plural ends in -s: `1 token`, `2 tokens`.
pub(crate) struct Count(pub(crate) u64, pub(crate) &'static str);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(count, what) = self;
        let end = if *count == 1 { "" } else { "s" };
        write!(f, "{count} {what}{end}")
    }
}

/// A count of something with another plural: `1 entry`, `2 entries`.
pub(crate) struct CountOf(
    pub(crate) u64,
    pub(crate) &'static str,
    pub(crate) &'static str,
);

impl Display for CountOf {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(count, one, more) = self;
        write!(f, "{count} {}", if *count == 1 { one } else { more })
    }
}

/// Untrusted bytes within a line, made safe for the terminal.
pub(crate) struct Untrusted<'a>(pub(crate) &'a [u8]);

impl Display for Untrusted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        let mut sanitiser = Sanitiser::new();
        // A name or a detail must stay in one line.
        let mut write = |character: char| {
            let shown = if character.is_whitespace() {
                ' '
            } else {
                character
            };
            result = result.and_then(|()| f.write_char(shown));
        };
        sanitiser.push(self.0, &mut write);
        sanitiser.finish(&mut write);
        result
    }
}

/// Untrusted text with line breaks, made safe for the terminal.
pub(crate) struct SafeText<'a>(pub(crate) &'a [u8]);

impl Display for SafeText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        let mut sanitiser = Sanitiser::new();
        let mut write = |character| {
            result = result.and_then(|()| f.write_char(character));
        };
        sanitiser.push(self.0, &mut write);
        sanitiser.finish(&mut write);
        result
    }
}

/// Microseconds as seconds, with two digits.
pub(crate) struct Seconds(pub(crate) u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let hundredths = self.0 / 10_000;
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

/// Microseconds as a readable duration of at most two units.
pub(crate) struct Time(pub(crate) u64);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_ceil(1_000_000);
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        let (large, small) = match seconds {
            0..60 => ((seconds, "s"), (0, "")),
            60..3600 => ((minutes, "min"), (seconds % 60, "s")),
            3600..86_400 => ((hours, "h"), (minutes % 60, "min")),
            _ => ((days, "d"), (hours % 24, "h")),
        };
        write!(f, "{} {}", large.0, large.1)?;
        if small.0 > 0 {
            write!(f, " {} {}", small.0, small.1)?;
        }
        Ok(())
    }
}

/// Tokens per second, with one digit.
pub(crate) struct Rate {
    pub(crate) tokens: u64,
    pub(crate) us: u64,
}

impl Display for Rate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let tenths = self
            .tokens
            .saturating_mul(10_000_000)
            .checked_div(self.us)
            .unwrap_or(0);
        write!(f, "{}.{}", tenths / 10, tenths % 10)
    }
}

/// Bytes, also in KiB if that helps.
pub(crate) struct Bytes(pub(crate) u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let what = if self.0 == 1 { "byte" } else { "bytes" };
        write!(f, "{} {what} ({} KiB)", self.0, self.0.div_ceil(1024))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString as _;
    use std::vec::Vec;

    /// Checks that no text says `1 tokens`.
    pub(super) fn check_plurals(text: &str) {
        const SINGULAR: &[&str] = &["is", "has", "s"];
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            for pair in words.windows(2) {
                let word = pair[1].trim_end_matches([',', ';', '.', ':', ')']);
                let is_one = pair[0].trim_start_matches('(') == "1";
                let is_plural = word.ends_with('s') && !SINGULAR.contains(&word);
                assert!(!(is_one && is_plural), "{line}");
            }
        }
    }

    #[test]
    fn one_has_no_plural() {
        for (count, text) in [(0, "0 tokens"), (1, "1 token"), (24, "24 tokens")] {
            assert_eq!(Count(count, "token").to_string(), text);
        }
    }

    #[test]
    fn times_have_the_units_that_people_use() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3600, "1 h"),
            (86_399, "23 h 59 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(Time(seconds * 1_000_000).to_string(), text);
        }
        assert_eq!(Time(1).to_string(), "1 s", "what is left is not nothing");
        assert!(!Time(u64::MAX).to_string().is_empty());
    }
}
