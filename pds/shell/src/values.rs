//! Parses values of options: numbers, fractions, periods, names.

use crate::command::{CommandError, Wrong};
use crate::table::{Kind, OptionSpec};
use protocol::decimal::{self, DecimalError};
use protocol::error::{ErrorCode, Failure};
use protocol::name::Name;

const SECOND_US: u64 = 1_000_000;

impl OptionSpec {
    fn is_wrong<'a>(&self, word: &'a [u8], why: Wrong) -> CommandError<'a> {
        let (option, kind) = (self.name, self.kind);
        CommandError::Value {
            option,
            kind,
            word,
            why,
        }
    }

    /// A whole number in the table's range.
    pub(crate) fn whole<'a>(&self, word: &'a [u8]) -> Result<u64, CommandError<'a>> {
        let Kind::Whole { min, max, all, .. } = self.kind else {
            return Err(self.is_wrong(word, Wrong::Malformed));
        };
        match (digits(word), all) {
            (None, Some(all)) if word == b"-1" => Ok(all),
            (Some(value), _) if (min..=max).contains(&value) => Ok(value),
            (Some(_), _) => Err(self.is_wrong(word, Wrong::OutOfRange)),
            (None, _) if is_number(word) => Err(self.is_wrong(word, Wrong::OutOfRange)),
            (None, _) => Err(self.is_wrong(word, Wrong::Malformed)),
        }
    }

    /// Like [`Self::whole`]; the range must fit in 32 bits.
    pub(crate) fn whole_u32<'a>(&self, word: &'a [u8]) -> Result<u32, CommandError<'a>> {
        u32::try_from(self.whole(word)?).map_err(|_| self.is_wrong(word, Wrong::OutOfRange))
    }

    /// A decimal number in the table's range, in millionths.
    pub(crate) fn fraction<'a>(&self, word: &'a [u8]) -> Result<u32, CommandError<'a>> {
        let Kind::Fraction { min, max, .. } = self.kind else {
            return Err(self.is_wrong(word, Wrong::Malformed));
        };
        let text = core::str::from_utf8(word).unwrap_or("");
        match decimal::parse(text) {
            Ok(value) if (min..=max).contains(&value) => Ok(value),
            Ok(_) | Err(DecimalError::TooLarge) => Err(self.is_wrong(word, Wrong::OutOfRange)),
            Err(DecimalError::Malformed) if is_number(word) => {
                Err(self.is_wrong(word, Wrong::OutOfRange))
            }
            Err(DecimalError::Malformed | DecimalError::TooPrecise) => {
                Err(self.is_wrong(word, Wrong::Malformed))
            }
        }
    }

    /// A learning rate such as `0.001` or `1e-3`, in billionths.
    pub(crate) fn rate<'a>(&self, word: &'a [u8]) -> Result<u32, CommandError<'a>> {
        let Kind::Rate { max, .. } = self.kind else {
            return Err(self.is_wrong(word, Wrong::Malformed));
        };
        let text = core::str::from_utf8(word).ok();
        match text.and_then(decimal::parse_billionths) {
            Some(rate) if (1..=max).contains(&rate) => Ok(rate),
            Some(_) => Err(self.is_wrong(word, Wrong::OutOfRange)),
            None => Err(self.is_wrong(word, Wrong::Malformed)),
        }
    }

    /// A period such as `3600s`, `60m`, `1h` or `1d`, in microseconds.
    pub(crate) fn period<'a>(&self, word: &'a [u8]) -> Result<u64, CommandError<'a>> {
        period(word).ok_or_else(|| self.is_wrong(word, Wrong::Malformed))
    }
}

/// The number of a job.
pub(crate) fn job_number<'a>(of: &'static str, word: &'a [u8]) -> Result<u32, CommandError<'a>> {
    let max = u64::from(u32::MAX);
    OptionSpec {
        name: of,
        aliases: &[],
        kind: Kind::Whole {
            min: 1,
            max,
            all: None,
            default: None,
        },
        times: 1,
        value: "ID",
        help: "",
    }
    .whole_u32(word)
}

fn period(word: &[u8]) -> Option<u64> {
    let (unit, number) = word.split_last()?;
    let seconds: u64 = match unit {
        b's' => 1,
        b'm' => 60,
        b'h' => 3600,
        b'd' => 86_400,
        _ => return None,
    };
    digits(number)?.checked_mul(seconds)?.checked_mul(SECOND_US)
}

/// A name, which must not be empty.
pub(crate) fn name<const N: usize>(word: &[u8]) -> Result<Name<N>, CommandError<'_>> {
    let name = core::str::from_utf8(word)
        .ok()
        .and_then(Name::<N>::new)
        .filter(|name| !name.is_empty());
    name.ok_or_else(|| {
        let failure = if word.is_empty() || word.len() > N {
            Failure::over(ErrorCode::NameLength, word.len() as u64, N as u64)
        } else {
            Failure::of(ErrorCode::BadName)
        };
        CommandError::Name { failure, word }
    })
}

fn digits(word: &[u8]) -> Option<u64> {
    let digits = word.iter().all(u8::is_ascii_digit);
    let text = core::str::from_utf8(word).ok().filter(|_| digits)?;
    text.parse().ok()
}

/// Whether a word is a number at all, even if negative or too large.
fn is_number(word: &[u8]) -> bool {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    let are_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    parts.all(are_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_have_a_unit_and_do_not_overflow() {
        for (text, seconds) in [
            ("3600s", 3600),
            ("60m", 3600),
            ("1h", 3600),
            ("2d", 172_800),
        ] {
            assert_eq!(period(text.as_bytes()), Some(seconds * SECOND_US));
        }
        for wrong in [
            "",
            "s",
            "3600",
            "-1s",
            "1w",
            "1.5h",
            "99999999999999999999s",
            "999999999999999d",
        ] {
            assert!(period(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_name_that_is_none_says_why() {
        let code = |word: &[u8]| match name::<4>(word) {
            Err(CommandError::Name { failure, .. }) => failure.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(b""), ErrorCode::NameLength);
        assert_eq!(code(b"abcde"), ErrorCode::NameLength);
        assert_eq!(code(b"a b"), ErrorCode::BadName);
        assert_eq!(code(b"\xff"), ErrorCode::BadName);
        assert_eq!(name::<4>(b"abcd").unwrap().as_str(), "abcd");
    }
}
