//! A hostile domain in the place of `files` (`tests/disk_hostile.rs`), with exactly its authority. What it does, the name of
//! the file says that is loaded: `disk/altered` is not what was signed, `disk/silent` has no answer, and so on. Every file
//! has the signature of the small model, and all but those that lie about it have its bytes.

use protocol::limits::MAX_TRANSFER_BYTES;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion, WriteWords as _};
use protocol::ring::{Endpoint, Frame, PAYLOAD_WORDS, REGION_BYTES};
use protocol::wire::files::{Answer, Ask, FilesError, Volume};
use sim::pd::{Component, Environment, Ids, Notifier, SetupError};
use std::process::ExitCode;

const MODEL: &[u8] = include_bytes!("../../../../models/tiny-f32.gguf");
const SIGNATURE: &[u8] = include_bytes!("../../../../models/tiny-f32.gguf.sig");

/// What it does with a file of this name.
const MISDEEDS: [&str; 12] = [
    "honest", "altered", "zeros", "shrinks", "endless", "fails", "silent", "moved", "longer",
    "nonsense", "stale", "scribble",
];

struct Domain {
    ring: Endpoint<ReadOnlyRegion, ReadWriteRegion>,
    /// The region that it writes, past all rules of the ring.
    region: ReadWriteRegion,
    frame: Frame,
    audit: Notifier,
    /// What is done with the file that is open.
    misdeed: &'static str,
    is_signature: bool,
    silent: bool,
}

impl Domain {
    fn say(&mut self, number: u32, answer: &Answer<'_>) {
        answer.write(number, &mut self.frame);
        // Audit asks for no more than there is room for.
        let _ = self.ring.send(&self.frame);
    }

    fn serve(&mut self, asked: &Frame) {
        let number = asked.header().request;
        match Ask::parse(asked) {
            Ok(Ask::Mount) => self.say(number, &Answer::Mounted(Volume::default())),
            Ok(Ask::List) => {
                let path = b"honest.gguf";
                for _ in 0..3 {
                    self.say(number, &Answer::File { bytes: 7, path });
                }
                // There were fewer.
                let (count, skipped) = (u32::MAX, u32::MAX);
                self.say(number, &Answer::Listed { count, skipped });
            }
            Ok(Ask::Open { path }) => {
                let path = String::from_utf8_lossy(path).into_owned();
                self.open(number, &path);
            }
            Ok(Ask::Read { offset, bytes }) => self.read(number, offset, bytes as usize),
            Ok(_) | Err(_) => {
                let why = FilesError::NotFound;
                self.say(number, &Answer::Failed { why, value: 0 });
            }
        }
    }

    fn open(&mut self, number: u32, path: &str) {
        self.is_signature = path.ends_with(".sig");
        let name = path.split('.').next().unwrap_or_default();
        let Some(misdeed) = MISDEEDS.into_iter().find(|misdeed| *misdeed == name) else {
            let why = FilesError::NotFound;
            return self.say(
                number,
                &Answer::Failed {
                    why,
                    value: u64::MAX,
                },
            );
        };
        self.misdeed = misdeed;
        let bytes = match misdeed {
            _ if self.is_signature => SIGNATURE.len() as u64,
            "endless" => u64::MAX,
            _ => MODEL.len() as u64,
        };
        self.say(number, &Answer::Opened { bytes });
    }

    fn read(&mut self, number: u32, offset: u64, bytes: usize) {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let file = if self.is_signature { SIGNATURE } else { MODEL };
        let mut part = file
            .iter()
            .skip(at)
            .take(bytes)
            .copied()
            .collect::<Vec<_>>();
        let (mut number, mut offset) = (number, offset);
        match self.misdeed {
            _ if self.is_signature => {}
            "altered" if offset == 0 => part[100] ^= 1,
            "zeros" => part.fill(0),
            "shrinks" if at > MODEL.len() / 2 => part.truncate(bytes / 2),
            "fails" => {
                let why = FilesError::Device;
                return self.say(number, &Answer::Failed { why, value: 1 });
            }
            "silent" => {
                self.silent = true;
                return;
            }
            "moved" => offset = offset.wrapping_add(1),
            "longer" if bytes < MAX_TRANSFER_BYTES => part.resize(MAX_TRANSFER_BYTES, 7),
            "nonsense" => return self.say(number, &Answer::LogOpened { sectors: u32::MAX }),
            "stale" => number = number.wrapping_add(7),
            "scribble" => {
                for word in 0..REGION_BYTES / 8 {
                    let garbage = (word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    self.region.store(word, garbage);
                }
                return;
            }
            _ => {}
        }
        let bytes = &part;
        self.say(number, &Answer::Part { offset, bytes });
    }
}

impl Component for Domain {
    fn notified(&mut self, _: Ids) {
        self.ring.follow();
        let mut asked = Frame::<PAYLOAD_WORDS>::new();
        while !self.silent && self.ring.receive(&mut asked) == Ok(true) {
            self.serve(&asked);
            self.audit.notify();
        }
    }
}

fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let ring = Endpoint::new(
        env.read_only("audit_to_files")?,
        env.read_write("files_to_audit")?,
    );
    Ok(Box::new(Domain {
        ring: ring.map_err(|error| SetupError::Component(error.to_string()))?,
        region: env.read_write("files_to_audit")?,
        frame: Frame::new(),
        audit: env.notifier(env.number("audit_channel")?)?,
        misdeed: "honest",
        is_signature: false,
        silent: false,
    }))
}

fn main() -> ExitCode {
    sim::domain_main(start)
}
