//! A hostile files domain, in place of the one that implements the disk's file system. Its program contains two signed
//! models, with which it simulates a disk; the log on the disk is handled by the honest files domain behind it
//! ([`behind`]).
//!
//! It has no console and needs none: audit tells it which file a user wants, so the file's name is the order. A load of
//! `disk/NAME` makes the attack with that name ([`ATTACKS`]); one of `disk/tales` is honest and gives the first model.
//! An attack on lists is made at the next list, one on the log at the next write, until the next boot. Its reports are
//! names of models in the next list.

pub mod behind;
mod list;
mod log;

pub use behind::{Honest, Ring};
pub use list::{ATTACKS, Attack, Disk, Log, Must, ordered};

use crate::place::{AUDIT_LOG, DEVICE, DISK_ANSWERS, FILES_QUESTIONS, SLOTS, STAGING};
use crate::{Forger, Ground, Say, die, memory};
use core::fmt::Write as _;
use protocol::limits::MAX_TRANSFER_BYTES;
use protocol::ring::Frame;
use protocol::wire::files::{Answer, Ask, FilesError};

/// The name of the model that is given honestly.
pub const HONEST: &str = "tales";

/// Size of a signature in bytes.
const SIGNATURE_BYTES: usize = 64;

/// Number of models in a long list.
const MANY: u32 = 4000;

/// Duration of a slow answer, in microseconds. Audit waits 10 s for one. A request may take 20 s, and waits for two
/// flushes of the log: of its admission and of its end.
const SLOW_US: u64 = 3_000_000;

/// Limit of the questions that audit has under way for a load.
const HELD: usize = 32;

/// A signed model.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Its file.
    pub bytes: &'static [u8],
    /// Its signature file.
    pub signature: &'static [u8],
}

/// The model that it gives honestly, and another one. Both are signed.
pub const MODELS: [Model; 2] = [
    Model {
        bytes: include_bytes!("../../../../../models/tiny-f32.gguf"),
        signature: include_bytes!("../../../../../models/tiny-f32.gguf.sig"),
    },
    Model {
        bytes: include_bytes!("../../../../../models/default.gguf"),
        signature: include_bytes!("../../../../../models/default.gguf.sig"),
    },
];

/// The messages that it needs at a time.
pub struct Memory {
    outgoing: Frame,
    incoming: Frame,
    part: [u8; MAX_TRANSFER_BYTES],
}

impl Memory {
    /// Empty.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            outgoing: Frame::new(),
            incoming: Frame::new(),
            part: [0; MAX_TRANSFER_BYTES],
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// Audit's question, as far as it matters here.
#[derive(Clone, Copy)]
enum Asked {
    List,
    Open {
        is_signature: bool,
    },
    Missing,
    Read(Part),
    /// A question about the disk itself, or the log on it.
    OfDisk,
    Other,
}

/// A part of a file that audit has requested.
#[derive(Clone, Copy)]
struct Part {
    offset: usize,
    bytes: usize,
}

/// The hostile files domain.
pub struct Gremlin<'m, G, H> {
    ring: Ring,
    memory: &'m mut Memory,
    ground: G,
    honest: H,
    /// The end of the ring with the honest domain, and whether that has yet to answer.
    between: Ring,
    is_forwarded: bool,
    /// The attack on the log, by name.
    on_log: &'static str,
    /// The model to give, and another one.
    models: [Model; 2],
    attack: &'static str,
    /// The open file, and whether it is a model.
    open: &'static [u8],
    is_model: bool,
    /// How often the model was opened during this attack.
    times: u32,
    /// Number of the question whose list continues.
    listing: Option<u32>,
    /// Its report, for the next list.
    says: Say,
    /// Questions to be answered late, by number.
    held: heapless::Vec<(u32, Part), HELD>,
    /// A question to be answered again.
    again: Option<(u32, Part)>,
    /// Whether it is silent for good.
    is_silent: bool,
}

impl<'m, G: Ground, H: Honest> Gremlin<'m, G, H> {
    /// A domain that waits for audit. `between` is the asking end of the ring with the honest files domain.
    pub fn new(
        ring: Ring,
        memory: &'m mut Memory,
        ground: G,
        (honest, between): (H, Ring),
        models: [Model; 2],
    ) -> Self {
        Self {
            ring,
            memory,
            ground,
            honest,
            between,
            is_forwarded: false,
            on_log: "",
            models,
            attack: "",
            open: &[],
            is_model: false,
            times: 0,
            listing: None,
            says: Say::new(),
            held: heapless::Vec::new(),
            again: None,
            is_silent: false,
        }
    }

    /// Audit or disk has signalled.
    pub fn on_signal(&mut self) {
        self.ring.follow();
        loop {
            if self.is_silent {
                return;
            }
            self.go_on_listing();
            if self.listing.is_some() || !self.hears_honest() {
                // Answers are sent in the order of the questions.
                break;
            }
            match self.ring.receive(&mut self.memory.incoming) {
                Ok(true) => self.answer(),
                Ok(false) | Err(_) => break,
            }
        }
        let _ = self.ring.take_owed_signal();
        self.ground.notify_audit();
    }

    fn say(&mut self, number: u32, answer: &Answer<'_>) -> bool {
        answer.write(number, &mut self.memory.outgoing);
        self.ring.send(&self.memory.outgoing).is_ok()
    }

    /// Parses a question, and carries out the order in it.
    fn asked(&mut self) -> Asked {
        match Ask::parse(&self.memory.incoming) {
            Ok(
                Ask::Mount
                | Ask::OpenLog
                | Ask::ReadLog { .. }
                | Ask::WriteLog { .. }
                | Ask::FlushLog,
            ) => Asked::OfDisk,
            Ok(Ask::List) => Asked::List,
            Ok(Ask::Read { offset, bytes }) => Asked::Read(Part {
                offset: usize::try_from(offset).unwrap_or(usize::MAX),
                bytes: bytes as usize,
            }),
            Ok(Ask::Open { path }) => {
                let (path, is_signature) = match path.strip_suffix(b".sig") {
                    Some(path) => (path, true),
                    None => (path, false),
                };
                let name = path.strip_suffix(b".gguf").unwrap_or(path);
                let attack = match ordered(name) {
                    Some(attack) => attack.name,
                    None if name == HONEST.as_bytes() => HONEST,
                    None => return Asked::Missing,
                };
                if self.attack != attack {
                    self.attack = attack;
                    self.times = 0;
                }
                match ordered(name).map(|attack| attack.must) {
                    Some(Must::FailList(_)) => Asked::Missing,
                    Some(Must::Log(_)) => {
                        self.on_log = attack;
                        Asked::Missing
                    }
                    Some(Must::Say(_)) if !is_signature => Asked::Missing,
                    Some(Must::Say(_)) => {
                        self.says.clear();
                        let name = attack.strip_prefix("files-").unwrap_or(attack);
                        if !self.ground.perform(name, &mut self.says) {
                            let _ = write!(self.says, "UNKNOWN");
                        }
                        Asked::Missing
                    }
                    _ => Asked::Open { is_signature },
                }
            }
            _ => Asked::Other,
        }
    }

    fn answer(&mut self) {
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

    // ---- Lists ----------------------------------------------------------------------------------

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
    fn go_on_listing(&mut self) {
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

    // ---- Files ----------------------------------------------------------------------------------

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

    fn read(&mut self, number: u32, wanted: Part) {
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

    /// Spins for part of the time that audit waits.
    fn spins(&mut self) {
        let until = self.ground.now_us().saturating_add(SLOW_US);
        while self.ground.now_us() < until {
            core::hint::spin_loop();
        }
    }

    /// Answers once, or twice if that is the attack.
    fn say_again(&mut self, number: u32, answer: &Answer<'_>) {
        self.say(number, answer);
        if self.attack == "files-twice" {
            self.say(number, answer);
        }
    }

    /// Attacks that do not answer the question. False if the attack is another one.
    fn does_something_else(&mut self, number: u32) -> bool {
        let mut say = Say::new();
        match self.attack {
            "files-silence" => self.is_silent = true,
            "files-spin" => loop {
                core::hint::spin_loop();
            },
            "files-flood" => while self.say(number.wrapping_add(7), &Answer::Done) {},
            "files-forge-head" => {
                let forger = Forger::of_files();
                forger.publish(forger.epoch, forger.head.wrapping_add(1000));
            }
            "files-torn" => {
                let mut forger = Forger::of_files();
                let first = u64::from(protocol::VERSION) << 48 | 0x504 << 32 | 0xffff_ffff;
                forger.put(first, forger.epoch, number, &[0xa5; 64]);
            }
            "files-scribble" => {
                Forger::of_files().scribble(u64::from(number));
                self.ground.notify_audit();
                self.is_silent = true;
            }
            "files-dies" => die(),
            // If one of these does not kill it, it answers honestly, so the load succeeds, which the runner must not
            // see.
            "files-write-slots" => {
                memory::write(SLOTS, &mut say);
                return false;
            }
            "files-read-staging" => {
                memory::read(STAGING, &mut say);
                return false;
            }
            "files-write-log" => {
                memory::write(AUDIT_LOG, &mut say);
                return false;
            }
            "files-read-device" => {
                memory::read(DEVICE, &mut say);
                return false;
            }
            "files-write-question" => {
                memory::write(FILES_QUESTIONS + 16, &mut say);
                return false;
            }
            "files-write-answer" => {
                memory::write(DISK_ANSWERS + 16, &mut say);
                return false;
            }
            _ => return false,
        }
        true
    }
}
