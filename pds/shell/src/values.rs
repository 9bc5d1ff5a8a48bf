//! Values of options: numbers, fractions, periods, names.

use crate::command::CommandError;
use protocol::decimal::{self, DecimalError};
use protocol::error::{ErrorCode, Failure};
use protocol::name::Name;

const SECOND_US: u64 = 1_000_000;

pub(crate) fn whole<'a>(
    option: &'static str,
    word: &'a [u8],
    max: u64,
) -> Result<u64, CommandError<'a>> {
    digits(word)
        .filter(|value| *value <= max)
        .ok_or(CommandError::Whole { option, word, max })
}

pub(crate) fn whole_u32<'a>(option: &'static str, word: &'a [u8]) -> Result<u32, CommandError<'a>> {
    let max = u64::from(u32::MAX);
    u32::try_from(whole(option, word, max)?).map_err(|_| CommandError::Whole { option, word, max })
}

pub(crate) fn millionths<'a>(
    option: &'static str,
    word: &'a [u8],
) -> Result<u32, CommandError<'a>> {
    let wrong = |why| CommandError::Decimal { option, word, why };
    let text = core::str::from_utf8(word).map_err(|_| wrong(DecimalError::Malformed))?;
    decimal::parse(text).map_err(wrong)
}

/// Digits after the point that a learning rate keeps.
const RATE_DIGITS: i32 = 9;

/// A learning rate such as `0.001` or `1e-3`, in billionths: exactly, or not at all.
pub(crate) fn rate(word: &[u8]) -> Result<u32, CommandError<'_>> {
    let parse = || {
        let text = core::str::from_utf8(word).ok()?;
        let (number, power) = match text.split_once(['e', 'E']) {
            // Two digits are more than a number within the limits needs.
            Some((number, power)) if power.len() <= 3 => (number, power.parse::<i32>().ok()?),
            Some(_) => return None,
            None => (text, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut value: u64 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            let digit = char::from(digit).to_digit(10)?;
            value = value.checked_mul(10)?.checked_add(digit.into())?;
        }
        let fraction = i32::try_from(fraction.len()).ok()?;
        let mut shift = RATE_DIGITS.checked_add(power)?.checked_sub(fraction)?;
        while shift > 0 && value > 0 {
            value = value.checked_mul(10)?;
            shift = shift.checked_sub(1)?;
        }
        while shift < 0 && value > 0 {
            if !value.is_multiple_of(10) {
                return None;
            }
            value = value.checked_div(10)?;
            shift = shift.checked_add(1)?;
        }
        u32::try_from(value).ok()
    };
    parse().ok_or(CommandError::Rate { word })
}

/// A period such as `3600s`, `60m`, `1h` or `1d`, in microseconds.
pub(crate) fn period<'a>(option: &'static str, word: &'a [u8]) -> Result<u64, CommandError<'a>> {
    let parse = || {
        let (unit, number) = word.split_last()?;
        let seconds: u64 = match unit {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            _ => return None,
        };
        digits(number)?.checked_mul(seconds)?.checked_mul(SECOND_US)
    };
    parse().ok_or(CommandError::Period { option, word })
}

/// A name, which may not be empty.
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
            assert_eq!(period("--period", text.as_bytes()), Ok(seconds * SECOND_US));
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
            assert!(period("--period", wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rate_is_exact_in_either_form() {
        for (text, billionths) in [
            ("1e-3", 1_000_000),
            ("0.001", 1_000_000),
            (".001", 1_000_000),
            ("5E-4", 500_000),
            ("2.5e-5", 25_000),
            ("1e-9", 1),
            ("1.000", 1_000_000_000),
            ("4.294967295", u32::MAX),
            ("1e+0", 1_000_000_000),
            ("10e-1", 1_000_000_000),
            ("0", 0),
            ("0e-99", 0),
            ("0e99", 0),
        ] {
            assert_eq!(rate(text.as_bytes()), Ok(billionths), "{text}");
        }
        for wrong in [
            "",
            ".",
            "e-3",
            "1e",
            "1e-10",
            "0.0000000001",
            "-1e-3",
            "1e-3x",
            "1e1e1",
            "1e-999",
            "1e2147483647",
            "4.294967296",
            "99999999999999999999",
            "1e99",
            "1e",
            "\u{ff11}",
        ] {
            assert!(rate(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(rate(b"\xff").is_err());
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
