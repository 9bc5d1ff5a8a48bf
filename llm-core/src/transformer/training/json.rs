//! The subset of JSON (RFC 8259) that a data line may use: an object whose members are strings.

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

/// The contents of a string literal: complete escapes, each of which represents a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a>(&'a [u8]);

/// The members of an object, which must be all of `line`: keys and values, still escaped.
///
/// # Errors
/// What is wrong with the line.
pub(super) fn members<'a>(
    line: &'a [u8],
    mut take: impl FnMut(Text<'a>, Text<'a>) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    let mut rest = line;
    expect(&mut rest, b'{', "an object begins with {")?;
    if next(&mut rest) == Some(b'}') {
        rest = rest.get(1..).unwrap_or(&[]);
    } else {
        loop {
            let key = string(&mut rest, "a member begins with a string")?;
            expect(&mut rest, b':', "there is no colon behind a name")?;
            let value = string(&mut rest, "a value is not a string")?;
            take(key, value)?;
            match next(&mut rest) {
                Some(b',') => rest = rest.get(1..).unwrap_or(&[]),
                Some(b'}') => {
                    rest = rest.get(1..).unwrap_or(&[]);
                    break;
                }
                _ => return Err("there is neither a comma nor } behind a value"),
            }
        }
    }
    match next(&mut rest) {
        None => Ok(()),
        Some(_) => Err("something follows the object"),
    }
}

/// The next byte that is not white space; `rest` then begins with it.
fn next(rest: &mut &[u8]) -> Option<u8> {
    while let [b' ' | b'\t' | b'\r' | b'\n', others @ ..] = rest {
        *rest = others;
    }
    rest.first().copied()
}

fn expect(rest: &mut &[u8], byte: u8, what: &'static str) -> Result<(), &'static str> {
    if next(rest) != Some(byte) {
        return Err(what);
    }
    *rest = rest.get(1..).unwrap_or(&[]);
    Ok(())
}

fn string<'a>(rest: &mut &'a [u8], what: &'static str) -> Result<Text<'a>, &'static str> {
    expect(rest, b'"', what)?;
    let text = *rest;
    let mut left = text;
    loop {
        match left {
            [b'"', others @ ..] => {
                let len = text.len().saturating_sub(left.len());
                *rest = others;
                return Ok(Text(text.get(..len).unwrap_or(&[])));
            }
            [] => return Err("a string has no end"),
            [0..0x20, ..] => return Err("a string holds a control character that is not escaped"),
            [b'\\', ..] => (_, left) = escape(left)?,
            [_, others @ ..] => left = others,
        }
    }
}

/// The character that an escape represents, and what follows it.
fn escape(text: &[u8]) -> Result<(char, &[u8]), &'static str> {
    const UNKNOWN: &str = "there is no such escape";
    const LONE: &str = "an escape is half of a character";
    let [b'\\', kind, rest @ ..] = text else {
        return Err(UNKNOWN);
    };
    let character = match kind {
        b'"' | b'\\' | b'/' => char::from(*kind),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let (unit, rest) = unit(rest)?;
            let (code, rest) = match unit {
                0xD800..=0xDBFF => {
                    let [b'\\', b'u', rest @ ..] = rest else {
                        return Err(LONE);
                    };
                    let (low, rest) = self::unit(rest)?;
                    if !(0xDC00..=0xDFFF).contains(&low) {
                        return Err(LONE);
                    }
                    (
                        0x10000_u32
                            .wrapping_add((unit & 0x3FF) << 10)
                            .wrapping_add(low & 0x3FF),
                        rest,
                    )
                }
                _ => (unit, rest),
            };
            return Ok((char::from_u32(code).ok_or(LONE)?, rest));
        }
        _ => return Err(UNKNOWN),
    };
    Ok((character, rest))
}

/// Parses four hexadecimal digits.
fn unit(text: &[u8]) -> Result<(u32, &[u8]), &'static str> {
    let (digits, rest) = text
        .split_first_chunk::<4>()
        .ok_or("an escape has too few digits")?;
    let digits = digits.iter().try_fold(0, |sum: u32, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(sum << 4 | digit)
    });
    Ok((digits.ok_or("an escape has no hexadecimal digits")?, rest))
}

impl<'a> Text<'a> {
    /// Whether it equals `text`, written without escapes.
    pub(super) fn is(&self, text: &str) -> bool {
        self.0 == text.as_bytes()
    }

    /// Upper bound of its unescaped length in bytes.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes the unescaped text to the beginning of `to`, which must have at least [`Self::len`] bytes, and returns
    /// it.
    pub(super) fn write<'t>(&self, to: &'t mut [u8]) -> &'t [u8] {
        let mut at = 0_usize;
        let mut put = |bytes: &[u8], to: &mut [u8]| {
            let end = at.saturating_add(bytes.len());
            if let Some(to) = to.get_mut(at..end) {
                to.copy_from_slice(bytes);
                at = end;
            }
        };
        let mut left = self.0;
        while let [first, others @ ..] = left {
            match escape(left) {
                Ok((character, rest)) => {
                    put(character.encode_utf8(&mut [0; 4]).as_bytes(), to);
                    left = rest;
                }
                // Not an escape, because all of those were checked.
                Err(_) => {
                    put(&[*first], to);
                    left = others;
                }
            }
        }
        to.get(..at).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn read(line: &str) -> Result<Vec<(String, String)>, &'static str> {
        let mut all = Vec::new();
        let text = |text: Text<'_>| {
            let mut bytes = std::vec![0; text.len()];
            String::from_utf8(text.write(&mut bytes).to_vec()).unwrap()
        };
        members(line.as_bytes(), |key, value| {
            all.push((text(key), text(value)));
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn objects_of_strings_are_read_with_their_escapes() {
        let got = read(r#" { "a" : "x\n\"\\\/\b\f\r\t" ,"é":"\u00e9\uD83D\ude00 z" } "#).unwrap();
        let expected = [("a", "x\n\"\\/\u{8}\u{c}\r\t"), ("é", "é😀 z")];
        let expected = expected.map(|(a, b)| (a.to_string(), b.to_string()));
        assert_eq!(got, expected);
        assert_eq!(read("{}").unwrap(), []);
    }

    #[test]
    fn what_is_not_an_object_of_strings_is_refused_with_the_reason() {
        for (line, reason) in [
            ("", "an object begins with {"),
            ("[]", "an object begins with {"),
            ("{", "a member begins with a string"),
            (r#"{"a" "b"}"#, "there is no colon behind a name"),
            (r#"{"a": 1}"#, "a value is not a string"),
            (
                r#"{"a": "b" "c": "d"}"#,
                "there is neither a comma nor } behind a value",
            ),
            (r#"{"a": "b",}"#, "a member begins with a string"),
            (r#"{"a": "b"} x"#, "something follows the object"),
            (r#"{"a": "b"#, "a string has no end"),
            (
                "{\"a\": \"\u{1}\"}",
                "a string holds a control character that is not escaped",
            ),
            (r#"{"a": "\x"}"#, "there is no such escape"),
            (r#"{"a": "\u12"}"#, "an escape has no hexadecimal digits"),
            (r#"{"a": "\uD800x"}"#, "an escape is half of a character"),
            (r#"{"a": "\uDC00"}"#, "an escape is half of a character"),
            (
                r#"{"a": "\uD800\u0041"}"#,
                "an escape is half of a character",
            ),
        ] {
            assert_eq!(read(line), Err(reason), "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(text in "\\PC*") {
            let mut line = String::from("{\"k\": \"");
            for unit in text.encode_utf16() {
                line.push_str(&std::format!("\\u{unit:04x}"));
            }
            line.push_str("\"}");
            prop_assert_eq!(read(&line).unwrap(), [("k".to_string(), text)]);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut line = b"{\"k\": \"".to_vec();
            line.extend(&bytes);
            let _ = members(&line, |_, value| {
                value.write(&mut [0; 80]);
                Ok(())
            });
            let _ = members(&bytes, |_, _| Ok(()));
        }
    }
}
