//! A hostile files domain, in place of the one that implements the disk's file system. Its program contains two signed
//! models, with which it simulates a disk; the log on the disk is handled by the honest files domain behind it
//! ([`behind`]).
//!
//! It needs no console, because audit tells it which file a user wants: the file's name is the order. A load of
//! `disk/NAME` makes the attack with that name ([`ATTACKS`]); one of `disk/tales` is honest and gives the first model.
//! An attack on lists is made at the next list, one on the log at the next write, until the next boot. Its reports are
//! names of models in the next list.

mod answers;
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
use protocol::wire::files::{Answer, Ask};

/// The name of the model that is given honestly.
pub const HONEST: &str = "tales";

/// Size of a signature in bytes.
const SIGNATURE_BYTES: usize = 64;

/// Number of models in a long list.
const MANY: u32 = 4000;

/// Duration of a slow answer, in microseconds. Audit waits 10 s for one. A request may take 20 s, and waits for two
/// flushes of the log: of its admission and of its end.
const SLOW_US: u64 = 3_000_000;

/// The most questions that audit has under way for a load.
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
    /// Memory with empty messages.
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
    /// A domain that has received nothing yet. `between` is the asking end of the ring with the honest files domain.
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

    // ---- Files ----------------------------------------------------------------------------------

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
