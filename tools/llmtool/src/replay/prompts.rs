//! Finds the contents of requests by their SHA-256.

use std::collections::HashMap;

use llm_core::hash::sha256;
use protocol::hash::Hash;
use protocol::limits::MAX_PARTS_BYTES;
use protocol::wire::{PartKind, PartsWriter};
use serde::Deserialize;

/// The parts of requests, and examples for fine-tuning, from the log and from a file.
#[derive(Debug, Default)]
pub(super) struct Prompts(HashMap<Hash, Vec<u8>>);

/// A request, given as a line of a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// A user's message, or a text to complete.
    prompt: Option<String>,
    /// A conversation instead.
    #[serde(default)]
    messages: Vec<Message>,
    #[serde(default)]
    stop: Vec<String>,
    #[serde(default)]
    choices: Vec<String>,
}

/// A segment of a conversation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    role: MessageRole,
    content: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MessageRole {
    System,
    User,
    Assistant,
}

impl MessageRole {
    const fn kind(self) -> PartKind {
        match self {
            Self::System => PartKind::System,
            Self::User => PartKind::User,
            Self::Assistant => PartKind::Assistant,
        }
    }
}

impl Prompts {
    /// Reads requests from a file, one per line: plain text, a JSON string if the text has line breaks, or an object.
    pub(super) fn read(file: &[u8]) -> Self {
        let mut prompts = Self::default();
        prompts.add_file(file);
        prompts
    }

    /// Adds the requests of a file; see [`Self::read`].
    pub(super) fn add_file(&mut self, file: &[u8]) {
        for line in file.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            // A line in quotes or braces may also be plain text; the hash decides.
            self.add_text(line);
            if let Ok(text) = serde_json::from_slice::<String>(line) {
                self.add_text(text.as_bytes());
            }
            if let Ok(request) = serde_json::from_slice::<Request>(line) {
                self.add_request(&request);
            }
        }
    }

    /// Adds parts as they were sent, or an example.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.insert(sha256(bytes), bytes.to_vec());
    }

    /// Adds a text: an example, or the only part of a request. Its hash says whether it was to be completed or
    /// answered.
    fn add_text(&mut self, text: &[u8]) {
        self.add(text);
        for kind in [PartKind::Text, PartKind::User] {
            self.add_parts(&[(kind, text)]);
        }
    }

    fn add_request(&mut self, request: &Request) {
        let messages = request.messages.iter();
        let said: Vec<_> = messages
            .map(|message| (message.role.kind(), message.content.as_bytes()))
            .collect();
        let prompt = request.prompt.as_deref().map(str::as_bytes);
        let alone = |kind| prompt.map(|text| vec![(kind, text)]);
        let segments = [
            alone(PartKind::Text),
            alone(PartKind::User),
            (!said.is_empty()).then_some(said),
        ];
        let stops = request.stop.iter();
        let stops = stops.map(|text| (PartKind::Stop, text.as_bytes()));
        let choices = request.choices.iter();
        let choices = choices.map(|text| (PartKind::Choice, text.as_bytes()));
        let rest: Vec<_> = stops.chain(choices).collect();
        for mut parts in segments.into_iter().flatten() {
            parts.extend(&rest);
            self.add_parts(&parts);
        }
    }

    /// Adds a request with these parts, if it is valid.
    fn add_parts(&mut self, parts: &[(PartKind, &[u8])]) {
        let mut buffer = vec![0; MAX_PARTS_BYTES];
        let mut writer = PartsWriter::new(&mut buffer);
        for (kind, text) in parts {
            writer.push(*kind, text);
        }
        if let Ok(parts) = writer.finish() {
            self.add(parts.as_bytes());
        }
    }

    pub(super) fn find(&self, sha256: &Hash) -> Option<&[u8]> {
        self.0.get(sha256).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(list: &[(PartKind, &str)]) -> Vec<u8> {
        let mut buffer = vec![0; MAX_PARTS_BYTES];
        let mut writer = PartsWriter::new(&mut buffer);
        for (kind, text) in list {
            writer.push(*kind, text.as_bytes());
        }
        writer.finish().expect("a request").as_bytes().to_vec()
    }

    #[test]
    fn prompts_are_plain_lines_or_json_strings() {
        let prompts = Prompts::read(b"plain\r\n\"with\\nlines\"\n\"quoted\"");
        for text in ["plain", "with\nlines", "quoted", "\"quoted\""] {
            for kind in [PartKind::Text, PartKind::User] {
                let wanted = parts(&[(kind, text)]);
                assert_eq!(prompts.find(&sha256(&wanted)), Some(&wanted[..]), "{text}");
            }
            // An example for fine-tuning is only the text.
            let found = prompts.find(&sha256(text.as_bytes()));
            assert_eq!(found, Some(text.as_bytes()), "{text}");
        }
        assert_eq!(prompts.find(&sha256(b"other")), None);
    }

    #[test]
    fn requests_are_json_objects() {
        let prompts = Prompts::read(
            br#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}],"stop":["\n"]}
{"prompt":"p","choices":["yes","no"]}"#,
        );
        let conversation = parts(&[
            (PartKind::System, "s"),
            (PartKind::User, "u"),
            (PartKind::Stop, "\n"),
        ]);
        assert!(prompts.find(&sha256(&conversation)).is_some());
        for kind in [PartKind::Text, PartKind::User] {
            let list = [
                (kind, "p"),
                (PartKind::Choice, "yes"),
                (PartKind::Choice, "no"),
            ];
            assert!(prompts.find(&sha256(&parts(&list))).is_some());
        }
        let without = parts(&[(PartKind::System, "s"), (PartKind::User, "u")]);
        assert!(prompts.find(&sha256(&without)).is_none());
    }
}
