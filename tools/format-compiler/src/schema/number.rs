//! Ranges of numbers as regular expressions.

use std::ops::RangeInclusive;

/// Integers have at most 15 digits, so they are all exact in a double, which most JSON parsers use.
pub(super) const MAX_INTEGER: i64 = 999_999_999_999_999;

/// Numbers with a fraction have at most 9 digits before the point and 6 behind it, so they are exact as well.
pub(super) const MAX_WHOLE: i64 = 999_999_999;

/// A nonzero fraction without trailing zeros.
const FRACTION: &str = r"\.[0-9]{0,5}[1-9]";

/// The integers of a range, in decimal, without leading zeros.
pub(super) fn integers(range: &RangeInclusive<i64>) -> Option<String> {
    let (least, most) = (*range.start(), *range.end());
    let mut parts = Vec::new();
    // `-0` is not included.
    if least < 0 {
        let digits = naturals(most.min(-1).unsigned_abs(), least.unsigned_abs());
        parts.extend(digits.map(|digits| format!("-(?:{digits})")));
    }
    if most >= 0 {
        parts.extend(naturals(least.max(0).unsigned_abs(), most.unsigned_abs()));
    }
    one_of(parts)
}

/// The numbers with a fraction strictly between two integers.
pub(super) fn fractions(above: i64, below: i64) -> Option<String> {
    let mut parts = Vec::new();
    // -v.f lies between -(v + 1) and -v.
    if above < 0 {
        let whole = naturals(below.min(0).unsigned_abs(), above.unsigned_abs() - 1);
        parts.extend(whole.map(|digits| format!("-(?:{digits}){FRACTION}")));
    }
    if below > 0 {
        let whole = naturals(above.max(0).unsigned_abs(), below.unsigned_abs() - 1);
        parts.extend(whole.map(|digits| format!("(?:{digits}){FRACTION}")));
    }
    one_of(parts)
}

/// Any of these.
pub(super) fn one_of(parts: Vec<String>) -> Option<String> {
    (!parts.is_empty()).then(|| format!("(?:{})", parts.join("|")))
}

/// The natural numbers from `least` to `most`.
fn naturals(least: u64, most: u64) -> Option<String> {
    let mut parts = Vec::new();
    let mut from = least;
    while from <= most {
        let digits = from.to_string();
        // The largest number with as many digits.
        let nines = 10u64.pow(digits.len() as u32) - 1;
        let to = most.min(nines);
        parts.push(between(&digits, &to.to_string()));
        from = to + 1;
    }
    one_of(parts)
}

/// The strings of digits from one to another of the same length.
fn between(least: &str, most: &str) -> String {
    let (Some((a, least_rest)), Some((b, most_rest))) = (first(least), first(most)) else {
        return String::new();
    };
    if a == b {
        return format!("{a}{}", between(least_rest, most_rest));
    }
    let nines = "9".repeat(least_rest.len());
    let zeros = "0".repeat(least_rest.len());
    let mut parts = vec![
        format!("{a}{}", free_or_between(least_rest, &nines)),
        format!("{b}{}", free_or_between(&zeros, most_rest)),
    ];
    if a + 1 < b {
        parts.push(format!(
            "[{}-{}][0-9]{{{}}}",
            a + 1,
            b - 1,
            least_rest.len()
        ));
    }
    format!("(?:{})", parts.join("|"))
}

fn free_or_between(least: &str, most: &str) -> String {
    let free = least.bytes().all(|digit| digit == b'0') && most.bytes().all(|digit| digit == b'9');
    match free {
        true => format!("[0-9]{{{}}}", least.len()),
        false => between(least, most),
    }
}

/// The first digit and the rest.
fn first(digits: &str) -> Option<(u32, &str)> {
    let first = digits.chars().next()?;
    Some((first.to_digit(10)?, digits.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let whole = format!("^(?:{pattern})$");
        ::regex::Regex::new(&whole).unwrap().is_match(text)
    }

    proptest! {
        #[test]
        fn ranges_of_integers_are_exact(
            (a, b) in prop_oneof![(-300i64..300, -300i64..300), (-MAX_INTEGER..MAX_INTEGER, -20_000i64..20_000)],
            near in -12i64..12, far in -400i64..400,
        ) {
            let (least, most) = (a.min(b), a.max(b));
            let pattern = integers(&(least..=most)).unwrap();
            for number in [least, most, least + near, most + near, far, 0] {
                let inside = (least..=most).contains(&number);
                prop_assert_eq!(matches(&pattern, &number.to_string()), inside, "{}", number);
            }
            for other in ["-0", "00", "01", "", "-", "1.0"] {
                prop_assert!(!matches(&pattern, other));
            }
        }

        #[test]
        fn fractions_lie_strictly_between(above in -300i64..300, more in 1i64..300, whole in -400i64..400, part in 1u32..1_000_000) {
            let below = above + more;
            let text = format!("{whole}.{part:06}");
            let text = text.trim_end_matches('0');
            for text in [text, &text.replace('-', ""), &format!("-0.{}", part % 9 + 1)] {
                let value: f64 = text.parse().unwrap();
                let inside = f64::from(above as i32) < value && value < f64::from(below as i32);
                let pattern = fractions(above, below).unwrap();
                prop_assert_eq!(matches(&pattern, text), inside, "{} {} {}", text, above, below);
            }
        }
    }
}
