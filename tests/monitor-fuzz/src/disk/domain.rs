//! The files domain in various natures: honest, slow, failing, or hostile.

use super::card::Card;
use crate::dice::Dice;
use crate::world::{Peer, REGION_WORDS};
use protocol::limits::MAX_TRANSFER_BYTES;
use protocol::region::WriteWords as _;
use protocol::ring::{Frame, SLOTS};
use protocol::wire::files::{Answer, Ask, FilesError};
use std::collections::VecDeque;

/// The nature of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Honest.
    Honest,
    /// Honest, but an answer takes up to this long, in microseconds.
    Slow(u64),
    /// Reports a failure this often, in percent.
    Failing(u64),
    /// Does something else this often, in thousandths.
    Hostile(u64),
}

impl Nature {
    /// A random nature.
    #[must_use]
    pub fn any(dice: &mut Dice) -> Self {
        match dice.below(10) {
            0..=2 => Self::Honest,
            3 | 4 => Self::Slow(*dice.pick(&[1_000, 300_000, 3_000_000, 9_000_000, 12_000_000])),
            5 => Self::Failing(*dice.pick(&[1, 5, 30])),
            _ => Self::Hostile(*dice.pick(&[3, 10, 50, 300])),
        }
    }

    /// Whether it returns the actual content.
    #[must_use]
    pub const fn tells_the_truth(self) -> bool {
        matches!(self, Self::Honest | Self::Slow(_))
    }

    /// Whether it keeps what it claims to have written.
    #[must_use]
    pub const fn keeps_its_word(self) -> bool {
        !matches!(self, Self::Hostile(_))
    }
}

/// The files domain; see the module.
#[derive(Debug)]
pub struct Domain {
    /// Its card.
    pub card: Card,
    /// Its nature, of which audit sees only the answers.
    pub nature: Nature,
    /// Answers to be sent, and when.
    queue: VecDeque<(u64, Frame)>,
    /// The last message sent.
    before: Option<Frame>,
    /// Number of the last question that it saw.
    number: u32,
}

impl Domain {
    /// A files domain that has just started.
    #[must_use]
    pub const fn new(card: Card, nature: Nature) -> Self {
        Self {
            card,
            nature,
            queue: VecDeque::new(),
            before: None,
            number: 0,
        }
    }

    /// When it will send a pending answer, if there is one.
    #[must_use]
    pub fn due_us(&self) -> Option<u64> {
        self.queue.front().map(|(due, _)| *due)
    }

    /// Reads at most this many questions, and sends the answers that are due. Returns whether it did anything.
    pub fn acts(&mut self, peer: &mut Peer, most: u64, now: u64, dice: &mut Dice) -> bool {
        let mut acted = peer.follow();
        for _ in 0..most {
            let Some(message) = peer.receive() else {
                break;
            };
            acted = true;
            let frame = message.frame();
            self.number = message.request;
            if let Ok(ask) = Ask::parse(&frame) {
                self.is_asked(message.request, &ask, peer, now, dice);
            }
        }
        while let Some((due, frame)) = self.queue.front()
            && *due <= now
            && peer.send(frame)
        {
            self.before = self.queue.pop_front().map(|(_, frame)| frame);
            acted = true;
        }
        acted
    }

    fn says(&mut self, frames: Vec<Frame>, now: u64, dice: &mut Dice) {
        let after = match self.nature {
            Nature::Slow(most) => dice.below(most + 1),
            _ => 0,
        };
        // In the order of the questions.
        let last = self.queue.back().map_or(0, |(due, _)| *due);
        let due = last.max(now + after);
        self.queue
            .extend(frames.into_iter().map(|frame| (due, frame)));
    }

    fn is_asked(&mut self, number: u32, ask: &Ask<'_>, peer: &Peer, now: u64, dice: &mut Dice) {
        let misbehaves = match self.nature {
            Nature::Failing(percent) => dice.percent(percent),
            Nature::Hostile(thousandth) => dice.below(1000) < thousandth,
            Nature::Honest | Nature::Slow(_) => false,
        };
        if !misbehaves {
            let frames = self.card.answer(number, ask);
            return self.says(frames, now, dice);
        }
        if let Nature::Failing(_) = self.nature {
            let why = *dice.pick(&[FilesError::Device, FilesError::Device, FilesError::Full]);
            let mut frame = Frame::new();
            Answer::Failed { why, value: 3 }.write(number, &mut frame);
            return self.says(vec![frame], now, dice);
        }
        let frames = self.misdeed(number, ask, peer, dice);
        self.says(frames, now, dice);
    }

    /// What it sends instead of the right answer.
    fn misdeed(&mut self, number: u32, ask: &Ask<'_>, peer: &Peer, dice: &mut Dice) -> Vec<Frame> {
        let done = |number| {
            let mut frame = Frame::new();
            Answer::Done.write(number, &mut frame);
            frame
        };
        match dice.below(13) {
            0 => Vec::new(),
            1 => {
                let mut frames = self.card.answer(number, ask);
                frames.extend(frames.clone());
                frames
            }
            // The answer under another number.
            2 => {
                let other = *dice.pick(&[
                    number.wrapping_add(1),
                    number.wrapping_sub(1),
                    0,
                    dice.clone().any() as u32,
                ]);
                self.card.answer(other, ask)
            }
            3 => vec![any_answer(number, dice)],
            // The answer, changed or cut short.
            4..=6 => {
                let mut frames = self.card.answer(number, ask);
                let change = dice.percent(70);
                if let Some(frame) = frames.first_mut() {
                    let mut bytes = frame.payload().to_vec();
                    let at = dice.below(bytes.len() as u64) as usize;
                    match bytes.get_mut(at) {
                        Some(byte) if change => *byte ^= 1 << dice.below(8),
                        _ => bytes.truncate(at),
                    }
                    let kind = frame.header().kind;
                    frame.begin(kind, number)[..bytes.len()].copy_from_slice(&bytes);
                    frame.finish(bytes.len());
                }
                frames
            }
            // Claims that it is done, and does nothing.
            7 | 8 => vec![done(number)],
            9 => {
                for _ in 0..dice.within(1, 8) {
                    let word = match dice.percent(50) {
                        true => dice.below(8),
                        false => dice.below(REGION_WORDS as u64),
                    };
                    peer.ours.store(word as usize, dice.any());
                }
                Vec::new()
            }
            10 => (0..SLOTS)
                .map(|_| any_answer(number.wrapping_add(dice.below(3) as u32), dice))
                .collect(),
            // The answer to an earlier question, again.
            11 => {
                let again = self.before.clone().into_iter();
                again.chain(self.card.answer(number, ask)).collect()
            }
            // Changes the log itself.
            _ => {
                let slot = dice.below(self.card.sectors.len() as u64) as usize;
                let byte = dice.below(512) as usize;
                self.card.sectors[slot][byte] ^= 0x10;
                self.card.answer(number, ask)
            }
        }
    }

    /// Makes it behave from now on. If it was not hostile, it still answers earlier questions, because a missing answer
    /// would be a breach.
    pub fn set_right(&mut self, peer: &mut Peer) {
        let before = core::mem::replace(&mut self.nature, Nature::Honest);
        if matches!(before, Nature::Hostile(_)) && peer.epoch != 0 {
            self.queue.clear();
            peer.set_right();
        }
    }
}

/// A random answer.
#[must_use]
pub fn any_answer(number: u32, dice: &mut Dice) -> Frame {
    let value = *dice.pick(&[0, 1, 63, 64, 2048, 8192, 1 << 14, u64::MAX]);
    let data = vec![dice.any() as u8; dice.below(MAX_TRANSFER_BYTES as u64 + 1) as usize];
    let answer = match dice.below(9) {
        0 => Answer::Done,
        1 => Answer::Mounted(protocol::wire::files::Volume::default()),
        2 => Answer::File {
            bytes: value,
            path: b"one.gguf",
        },
        3 => Answer::Listed {
            count: value as u32,
            skipped: value as u32,
        },
        4 => Answer::Opened { bytes: value },
        5 => Answer::Part {
            offset: value,
            bytes: &data,
        },
        6 => Answer::LogOpened {
            sectors: value as u32,
        },
        7 => Answer::LogSectors {
            slot: value as u32,
            data: &data,
        },
        _ => Answer::Failed {
            why: *dice.pick(FilesError::ALL),
            value,
        },
    };
    let mut frame = Frame::new();
    answer.write(number, &mut frame);
    frame
}
