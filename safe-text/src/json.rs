//! JSON in visible ASCII, written straight to a formatter, so that it may be of any length without a buffer.
//!
//! Everything beyond visible ASCII is escaped, so it is harmless on a terminal and survives a serial line ([`Compact`]
//! is the exception). That is also why this is not `serde-json-core`, which writes such text as it is, and into a buffer.

use core::fmt::{self, Display, Formatter, Write};

/// Writes one object, member by member, in the manner of [`core::fmt::DebugStruct`].
#[must_use = "call finish"]
pub struct Object<'f, 'w> {
    f: &'f mut Formatter<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl<'f, 'w> Object<'f, 'w> {
    /// Begins an object.
    pub fn new(f: &'f mut Formatter<'w>) -> Self {
        let result = f.write_char('{');
        Self {
            f,
            is_first: true,
            result,
        }
    }

    fn write(&mut self, value: impl Display) {
        if self.result.is_ok() {
            self.result = write!(self.f, "{value}");
        }
    }

    fn write_text(&mut self, text: impl Display) {
        self.write('"');
        if self.result.is_ok() {
            self.result = write!(Escaping(self.f), "{text}");
        }
        self.write('"');
    }

    fn begin(&mut self, name: impl Display) {
        if !core::mem::take(&mut self.is_first) {
            self.write(',');
        }
        self.write_text(name);
        self.write(':');
    }

    /// A member whose value is JSON as it is displayed: a number, a flag, a [`Text`].
    pub fn member(&mut self, name: impl Display, value: impl Display) -> &mut Self {
        self.begin(name);
        self.write(value);
        self
    }

    /// A member whose value is a text.
    pub fn text(&mut self, name: impl Display, value: impl Display) -> &mut Self {
        self.begin(name);
        self.write_text(value);
        self
    }

    /// A member whose value is an object.
    pub fn object(&mut self, name: impl Display, members: impl FnOnce(&mut Self)) -> &mut Self {
        self.begin(name);
        self.write('{');
        self.is_first = true;
        members(self);
        self.is_first = false;
        self.write('}');
        self
    }

    /// Ends the object.
    ///
    /// # Errors
    /// Something could not be written.
    pub fn finish(&mut self) -> fmt::Result {
        self.write('}');
        self.result
    }
}

/// A text as a JSON string. Invalid UTF-8 becomes U+FFFD.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a [u8]);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            Escaping(f).write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                Escaping(f).write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        f.write_char('"')
    }
}

/// A text as a JSON string in UTF-8, of which only what must be is escaped (RFC 8259, section 7): for text that is stored
/// and not shown.
#[derive(Clone, Copy, Debug)]
pub struct Compact<'a>(pub &'a str);

impl Display for Compact<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\0'..' ' | '"' | '\\' => Escaping(f).write_char(character)?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

/// Writes characters as they stand within a string.
struct Escaping<'f, 'w>(&'f mut Formatter<'w>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars()
            .try_for_each(|character| self.write_char(character))
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        match character {
            '"' | '\\' => write!(self.0, "\\{character}"),
            ' '..='~' => self.0.write_char(character),
            _ => {
                let mut units = [0; 2];
                let mut units = character.encode_utf16(&mut units).iter();
                units.try_for_each(|unit| write!(self.0, "\\u{unit:04x}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString as _};

    #[test]
    fn text_is_ascii_on_one_line_and_comes_back() {
        let text = "a \"b\"\\\n\u{1b}[2J é 猫 😀";
        let json = Text(text.as_bytes()).to_string();
        assert!(json.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        assert_eq!(Text(b"a\xffb").to_string(), "\"a\\ufffdb\"");
    }

    struct Example;

    impl Display for Example {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            Object::new(f)
                .member("number", 7)
                .text("text", format_args!("\"{}\"", 'é'))
                .object("inner", |inner| {
                    inner.member("flag", true).object("empty", |_| {});
                })
                .member("bytes", Text(b"\xff"))
                .finish()
        }
    }

    #[test]
    fn members_are_separated_at_every_depth() {
        assert_eq!(
            Example.to_string(),
            r#"{"number":7,"text":"\"\u00e9\"","inner":{"flag":true,"empty":{}},"bytes":"\ufffd"}"#
        );
    }
}
