//! Names of codes.

use core::fmt::{self, Display, Formatter, Write};
use protocol::error::ErrorCode;

/// A code's name in counts: `quota-exceeded`.
pub(crate) struct CodeName(pub(crate) ErrorCode);

impl Display for CodeName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        struct Kebab<'a, 'f> {
            out: &'a mut Formatter<'f>,
            first: bool,
        }
        impl Write for Kebab<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                for character in text.chars() {
                    if character.is_ascii_uppercase() && !self.first {
                        self.out.write_char('-')?;
                    }
                    self.first = false;
                    self.out.write_char(character.to_ascii_lowercase())?;
                }
                Ok(())
            }
        }
        write!(
            Kebab {
                out: f,
                first: true
            },
            "{:?}",
            self.0
        )
    }
}
