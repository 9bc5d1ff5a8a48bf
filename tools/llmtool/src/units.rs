//! Quantities, as people read and write them.

use std::fmt;
use std::str::FromStr;

/// A number of bytes: `8MiB`, `512KiB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_024 => write!(f, "{} B", self.0),
            1_024..1_048_576 => write!(f, "{:.1} KiB", bytes / 1_024.0),
            1_048_576..1_073_741_824 => write!(f, "{:.2} MiB", bytes / 1_048_576.0),
            _ => write!(f, "{:.2} GiB", bytes / 1_073_741_824.0),
        }
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "not a size such as 8MiB, 512KiB, 4096 or 0x5e00000";
        if let Some(digits) = text.strip_prefix("0x") {
            let number = u64::from_str_radix(digits, 16);
            return number.map(Self).map_err(|_| wrong.to_owned());
        }
        let digits = text.trim_end_matches(|last: char| !last.is_ascii_digit());
        let factor = match text[digits.len()..].trim() {
            "" | "B" => 1,
            "K" | "KiB" => 1 << 10,
            "M" | "MiB" => 1 << 20,
            "G" | "GiB" => 1 << 30,
            _ => return Err(wrong.to_owned()),
        };
        digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| wrong.to_owned())
    }
}

/// A count with a regular plural: `1 token`, `2 tokens`.
#[must_use]
pub fn count(number: usize, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}

/// Tokens a second.
#[must_use]
pub fn rate(tokens: u32, seconds: f64) -> f64 {
    f64::from(tokens) / seconds.max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!("8MiB".parse(), Ok(ByteSize(8 << 20)));
        assert_eq!("8M".parse(), Ok(ByteSize(8 << 20)));
        assert_eq!("512 KiB".parse(), Ok(ByteSize(512 << 10)));
        assert_eq!("4096".parse(), Ok(ByteSize(4096)));
        for wrong in ["", "MiB", "8MB", "-1", "1.5M", "99999999999G"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }
}
