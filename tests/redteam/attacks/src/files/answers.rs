//! The answers of the hostile files domain; most are those of an honest one.

use super::{Asked, Gremlin, Honest, MANY, Part, SIGNATURE_BYTES};
use crate::Ground;
use core::fmt::Write as _;
use protocol::wire::files::{Answer, FilesError};

impl<'m, G: Ground, H: Honest> Gremlin<'m, G, H> {
    pub(super) fn answer(&mut self) {
        let number = self.memory.incoming.header().request;
        let asked = self.asked();
        if !matches!(asked, Asked::Read(_)) {
            self.answer_late();
        }
        match asked {
            Asked::OfDisk => self.forward(number),
            Asked::List => self.list(number),
            Asked::Open { is_signature } => self.open(number, is_signature),
            Asked::Read(part) => self.read(number, part),
            Asked::Missing | Asked::Other => {
                let why = FilesError::NotFound;
                self.say(number, &Answer::Failed { why, value: 0 });
            }
        }
    }

    fn list(&mut self, number: u32) {
        let file = |path| Answer::File { bytes: 7, path };
        if !self.says.is_empty() {
            // A name has no spaces.
            let mut name = heapless::String::<64>::new();
            let said = core::mem::take(&mut self.says);
            for char in said.chars().chain(".gguf".chars()) {
                let _ = name.push(if char == ' ' { '-' } else { char });
            }
            self.say(number, &file(name.as_bytes()));
            let listed = Answer::Listed {
                count: 1,
                skipped: 0,
            };
            self.say(number, &listed);
            return;
        }
        let (name, count) = match self.attack {
            "files-endless-list" => {
                self.listing = Some(number);
                self.times = 0;
                return;
            }
            "files-many-names" => {
                self.listing = Some(number);
                self.times = MANY;
                return;
            }
            "files-odd-names" => (&b"\x1b[2J\x1b]0;owned\x07.gguf"[..], 1),
            "files-wrong-count" => (&b"tales.gguf"[..], 2),
            _ => (&b"tales.gguf"[..], 1),
        };
        self.say(number, &file(name));
        self.say(number, &Answer::Listed { count, skipped: 0 });
    }

    /// Fills the ring with names: this many, or without end.
    pub(super) fn go_on_listing(&mut self) {
        let Some(number) = self.listing else {
            return;
        };
        while self.ring.free() > 0 {
            if self.attack == "files-many-names" && self.times == 0 {
                let listed = Answer::Listed {
                    count: MANY,
                    skipped: 0,
                };
                self.say(number, &listed);
                self.listing = None;
                return;
            }
            self.times = self.times.wrapping_sub(1);
            let mut name = heapless::String::<32>::new();
            let _ = write!(name, "{}.gguf", self.times);
            let path = name.as_bytes();
            self.say(number, &Answer::File { bytes: 7, path });
        }
    }

    fn open(&mut self, number: u32, is_signature: bool) {
        if is_signature && self.does_something_else(number) {
            return;
        }
        let [honest, other] = self.models;
        self.is_model = !is_signature;
        self.open = match (self.attack, is_signature) {
            ("files-no-signature", true) => &[0; SIGNATURE_BYTES],
            ("files-swap", true) => other.signature,
            ("files-swap" | "files-other-file", false) => other.bytes,
            (_, true) => honest.signature,
            (_, false) => honest.bytes,
        };
        self.times = self.times.wrapping_add(u32::from(!is_signature));
        let bytes = match (self.attack, is_signature) {
            ("files-long-signature", true) => SIGNATURE_BYTES as u64 + 1,
            ("files-absurd-size", false) => u64::MAX,
            _ => self.open.len() as u64,
        };
        self.say_again(number, &Answer::Opened { bytes });
    }

    /// Answers the questions that have waited with bytes of the other file, from the requested offsets. Audit has
    /// forgotten them all.
    fn answer_late(&mut self) {
        let held = core::mem::take(&mut self.held);
        for (number, part) in &held {
            self.give_other(*number, *part);
        }
        self.again = self.again.or(held.first().copied());
    }

    fn give_other(&mut self, number: u32, Part { offset, bytes }: Part) {
        let [_, other] = self.models;
        let end = other.bytes.len().min(offset.saturating_add(bytes));
        let answer = Answer::Part {
            offset: offset as u64,
            bytes: other.bytes.get(offset..end).unwrap_or(&[]),
        };
        self.say(number, &answer);
    }

    pub(super) fn read(&mut self, number: u32, wanted: Part) {
        if self.attack == "files-late" && self.is_model {
            let _ = self.held.push((number, wanted));
            return;
        }
        if let Some((number, part)) = self.again.take_if(|_| self.is_model) {
            self.give_other(number, part);
        }
        if self.attack == "files-crawl" && self.is_model {
            self.spins();
        }
        let Part { offset, bytes } = wanted;
        let open = self.open;
        let end = open.len().min(offset.saturating_add(bytes));
        let honest = open.get(offset..end).unwrap_or(&[]);
        let mut part = self.memory.part;
        let mut length = honest.len().min(part.len());
        part[..length].copy_from_slice(&honest[..length]);
        let is_in_the_middle =
            self.is_model && (offset..end).contains(&(open.len() / 2)) && length > 100;
        let mut at = offset as u64;
        match self.attack {
            "files-wrong-bytes" if is_in_the_middle => part[99] ^= 1,
            "files-zeros" if self.is_model => part.fill(0),
            "files-device-error" if is_in_the_middle => {
                let why = FilesError::Device;
                self.say(number, &Answer::Failed { why, value: 1 });
                return;
            }
            "files-second-read" if is_in_the_middle && self.times > 1 => part[99] ^= 1,
            "files-shrinks" if is_in_the_middle => length -= 100,
            "files-other-place" if is_in_the_middle => at += 8,
            "files-grows" if !self.is_model => length = SIGNATURE_BYTES + 1,
            "files-other-kind" if is_in_the_middle => {
                let listed = Answer::Listed {
                    count: 0,
                    skipped: 0,
                };
                self.say(number, &listed);
                return;
            }
            "files-no-message" if is_in_the_middle => {
                let payload = self.memory.outgoing.begin(0x5ff, number);
                payload[..64].fill(0xa5);
                self.memory.outgoing.finish(64);
                let _ = self.ring.send(&self.memory.outgoing);
                return;
            }
            _ => {}
        }
        let answer = Answer::Part {
            offset: at,
            bytes: &part[..length],
        };
        let other = self.attack == "files-other-number" && is_in_the_middle;
        self.say_again(number.wrapping_add(u32::from(other)), &answer);
    }
}
