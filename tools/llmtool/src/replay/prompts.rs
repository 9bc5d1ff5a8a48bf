//! Texts of prompts, found by their SHA-256.

use std::collections::HashMap;

use llm_core::verify::sha256;
use protocol::record::Hash;

/// Texts from the log and from a file.
#[derive(Debug, Default)]
pub(super) struct Prompts(HashMap<Hash, Vec<u8>>);

impl Prompts {
    /// The texts of a file: one a line, plain, or as JSON strings where they have ends of lines.
    pub(super) fn read(file: &[u8]) -> Self {
        let mut prompts = Self::default();
        for line in file.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            // A line in quotes may also be a plain one: the hash decides.
            prompts.add(line);
            if let Ok(text) = serde_json::from_slice::<String>(line) {
                prompts.add(text.as_bytes());
            }
        }
        prompts
    }

    pub(super) fn add(&mut self, text: &[u8]) {
        self.0.insert(sha256(text), text.to_vec());
    }

    pub(super) fn find(&self, sha256: &Hash) -> Option<&[u8]> {
        self.0.get(sha256).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_plain_lines_or_json_strings() {
        let prompts = Prompts::read(b"plain\r\n\"with\\nlines\"\n\"quoted\"");
        for text in ["plain", "with\nlines", "quoted", "\"quoted\""] {
            let found = prompts.find(&sha256(text.as_bytes()));
            assert_eq!(found, Some(text.as_bytes()), "{text}");
        }
        assert_eq!(prompts.find(&sha256(b"other")), None);
    }
}
