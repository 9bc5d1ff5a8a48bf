//! Decimal fractions as whole millionths.
//!
//! Shell and audit have no floating point, and a request must mean the same on every machine. So
//! `--temperature 0.8` is parsed here to 800 000, travels as an integer, and is converted to `f32`
//! once, by the engine.

/// One, in millionths.
pub const ONE: u32 = 1_000_000;

/// Digits after the point that are kept.
const DIGITS: u32 = 6;

/// Why a text is not a decimal fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not of the form `12`, `0.8` or `.5`.
    #[error("not a decimal number such as 0.8")]
    Malformed,
    /// More than six digits after the point: it would be rounded silently.
    #[error("more than six digits after the point")]
    TooPrecise,
    /// Over `u32::MAX` millionths, about 4294.
    #[error("too large")]
    TooLarge,
}

/// Parses `text` (digits, at most one point, no sign, no exponent) to millionths.
///
/// # Errors
/// See [`DecimalError`].
pub fn parse(text: &str) -> Result<u32, DecimalError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(DecimalError::Malformed);
    }
    let mut value: u64 = 0;
    for digit in whole.bytes() {
        value = push_digit(value, digit)?;
    }
    let mut missing = DIGITS;
    for digit in fraction.bytes() {
        missing = match missing.checked_sub(1) {
            Some(left) => left,
            None if digit.is_ascii_digit() => return Err(DecimalError::TooPrecise),
            None => return Err(DecimalError::Malformed),
        };
        value = push_digit(value, digit)?;
    }
    for _ in 0..missing {
        value = push_digit(value, b'0')?;
    }
    u32::try_from(value).map_err(|_| DecimalError::TooLarge)
}

fn push_digit(value: u64, digit: u8) -> Result<u64, DecimalError> {
    if !digit.is_ascii_digit() {
        return Err(DecimalError::Malformed);
    }
    value
        .checked_mul(10)
        .and_then(|tens| tens.checked_add(u64::from(digit.wrapping_sub(b'0'))))
        .ok_or(DecimalError::TooLarge)
}

/// Writes millionths as a decimal fraction without trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millionths(pub u64);

impl core::fmt::Display for Millionths {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        const MILLION: u64 = ONE as u64;
        write!(f, "{}", self.0 / MILLION)?;
        let mut rest = self.0 % MILLION;
        if rest == 0 {
            return Ok(());
        }
        let mut width = DIGITS as usize;
        while rest.is_multiple_of(10) {
            rest /= 10;
            width = width.saturating_sub(1);
        }
        write!(f, ".{rest:0width$}")
    }
}

/// Decimal places of a number in billionths.
const BILLIONTH_DIGITS: usize = 9;

/// Parses a small number such as `0.001` or `1e-3` to billionths, without rounding. `None` if it is not a number, is
/// finer than a billionth, or exceeds `u32::MAX` billionths.
#[must_use]
pub fn parse_billionths(text: &str) -> Option<u32> {
    let (number, power) = match text.split_once(['e', 'E']) {
        // Two digits of exponent are more than a number within the limits needs.
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
        value = push_digit(value, digit).ok()?;
    }
    let fraction = i32::try_from(fraction.len()).ok()?;
    let digits = i32::try_from(BILLIONTH_DIGITS).ok()?;
    let mut shift = digits.checked_add(power)?.checked_sub(fraction)?;
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
}

/// Writes billionths as a decimal fraction without trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Billionths(pub u32);

impl core::fmt::Display for Billionths {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        const BILLION: u32 = 1_000_000_000;
        write!(f, "{}", self.0 / BILLION)?;
        let (mut rest, mut width) = (self.0 % BILLION, BILLIONTH_DIGITS);
        if rest == 0 {
            return Ok(());
        }
        while rest.is_multiple_of(10) {
            rest /= 10;
            width = width.saturating_sub(1);
        }
        write!(f, ".{rest:0width$}")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn usual_forms_are_exact() {
        assert_eq!(parse("0.8"), Ok(800_000));
        assert_eq!(parse(".5"), Ok(500_000));
        assert_eq!(parse("1."), Ok(1_000_000));
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("0.000001"), Ok(1));
        assert_eq!(parse("4294.967295"), Ok(u32::MAX));
    }

    #[test]
    fn what_would_change_silently_is_refused() {
        assert_eq!(parse(""), Err(DecimalError::Malformed));
        assert_eq!(parse("."), Err(DecimalError::Malformed));
        assert_eq!(parse("-1"), Err(DecimalError::Malformed));
        assert_eq!(parse("1e3"), Err(DecimalError::Malformed));
        assert_eq!(parse("0.1.2"), Err(DecimalError::Malformed));
        assert_eq!(parse("0.0000001"), Err(DecimalError::TooPrecise));
        assert_eq!(parse("0.000000x"), Err(DecimalError::Malformed));
        assert_eq!(parse("4294.967296"), Err(DecimalError::TooLarge));
        assert_eq!(
            parse("99999999999999999999999"),
            Err(DecimalError::TooLarge)
        );
    }

    #[test]
    fn whole_numbers_are_written_without_a_point() {
        assert_eq!(Millionths(0).to_string(), "0");
        assert_eq!(Millionths(12_000_000).to_string(), "12");
        assert_eq!(Millionths(12_050_000).to_string(), "12.05");
    }

    #[test]
    fn billionths_are_exact_in_either_form() {
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
            assert_eq!(parse_billionths(text), Some(billionths), "{text}");
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
            assert!(parse_billionths(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn billionths_are_written_without_trailing_zeros() {
        for (billionths, text) in [
            (0, "0"),
            (1_000_000, "0.001"),
            (25_000, "0.000025"),
            (1_000_000_000, "1"),
            (u32::MAX, "4.294967295"),
        ] {
            assert_eq!(Billionths(billionths).to_string(), text);
            assert_eq!(parse_billionths(text), Some(billionths));
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_parses_to_the_same(value: u32) {
            let text = Millionths(u64::from(value)).to_string();
            proptest::prop_assert_eq!(parse(&text), Ok(value));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text: std::string::String) {
            let _ = parse(&text);
        }
    }
}
