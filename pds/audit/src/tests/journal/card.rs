//! A card with a log file, as files presents it to audit. Flushed data stay; if the power fails, the fate of other data
//! is random.

use disk_log::{MAX_ENTRY_BYTES, Opened, Opening, SECTOR};
use protocol::hash::Hash;
use protocol::record::Record;
use protocol::ring::Frame;
use protocol::wire::files::{Answer, Ask, FilesError, Volume};
use std::vec;
use std::vec::Vec;

use protocol::testing::TestEndpoint;

pub(super) type Sector = [u8; SECTOR];

/// Sectors of the log: the minimum.
pub(super) const SLOTS: usize = disk_log::MIN_SLOTS as usize;

/// Ways in which the card fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ailment {
    #[default]
    None,
    /// There is no card.
    Missing,
    /// It cannot be written.
    FailsToWrite,
    /// It cannot be flushed.
    FailsToFlush,
    /// This sector cannot be read.
    FailsToRead(u32),
    /// It does not answer.
    Silent,
}

#[derive(Clone, Debug)]
pub(super) struct Card {
    /// Data that are durable.
    pub(super) sectors: Vec<Sector>,
    /// Writes since the last flush, in order.
    pub(super) unflushed: Vec<(u32, Sector)>,
    /// Sectors written and flushes, since the card was inserted.
    pub(super) deeds: usize,
    /// The power fails before the operation with this number.
    pub(super) stops_before: Option<usize>,
    pub(super) ailment: Ailment,
    /// Audit's questions, in short form.
    pub(super) writes: usize,
    pub(super) flushes: usize,
}

/// Random numbers that are the same in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

impl Card {
    pub(super) fn new() -> Self {
        Self::of(vec![[0; SECTOR]; SLOTS])
    }

    pub(super) fn of(sectors: Vec<Sector>) -> Self {
        Self {
            sectors,
            unflushed: Vec::new(),
            deeds: 0,
            stops_before: None,
            ailment: Ailment::None,
            writes: 0,
            flushes: 0,
        }
    }

    /// Whether the power has failed.
    pub(super) fn is_off(&self) -> bool {
        self.stops_before.is_some_and(|stop| self.deeds >= stop)
    }

    fn deed(&mut self) -> bool {
        if self.is_off() {
            return false;
        }
        self.deeds += 1;
        true
    }

    fn read(&self, slot: usize) -> Sector {
        let newest = self.unflushed.iter().rev();
        let mut newest = newest.filter(|(at, _)| *at as usize == slot);
        newest
            .next()
            .map_or(self.sectors[slot], |(_, sector)| *sector)
    }

    /// The card after a power failure now. Each sector that was not flushed has its old content, its new content, or
    /// the beginning of the new and the rest of the old. Later writes can survive without earlier ones.
    pub(super) fn after_power_cut(&self, dice: &mut Dice) -> Self {
        let mut sectors = self.sectors.clone();
        for (slot, sector) in &self.unflushed {
            let at = &mut sectors[*slot as usize];
            match dice.below(3) {
                0 => {}
                1 => *at = *sector,
                _ => {
                    let torn = dice.below(SECTOR as u64) as usize;
                    at[..torn].copy_from_slice(&sector[..torn]);
                }
            }
        }
        Self::of(sectors)
    }

    /// The data that survive for certain.
    pub(super) fn durable(&self) -> Vec<(Record, Hash)> {
        entries_of(&self.sectors).1
    }

    /// Answers audit's questions; false if there were none.
    pub(super) fn serve(&mut self, files: &mut TestEndpoint) -> bool {
        let mut frame = Frame::new();
        if !files.receive(&mut frame).unwrap() {
            return false;
        }
        let number = frame.header().request;
        let failed = |why, value| Answer::Failed { why, value };
        let mut read = Vec::new();
        let answer = match Ask::parse(&frame).unwrap() {
            _ if self.ailment == Ailment::Silent => None,
            Ask::Mount if self.ailment == Ailment::Missing => Some(failed(FilesError::NoDisk, 0)),
            Ask::Mount => Some(Answer::Mounted(Volume::default())),
            Ask::OpenLog => Some(Answer::LogOpened {
                sectors: self.sectors.len() as u32,
            }),
            Ask::ReadLog { slot, sectors } => {
                let wanted = slot..slot + sectors;
                match self.ailment {
                    Ailment::FailsToRead(bad) if wanted.contains(&bad) => {
                        Some(failed(FilesError::Device, bad.into()))
                    }
                    _ => {
                        for slot in wanted {
                            read.extend_from_slice(&self.read(slot as usize));
                        }
                        Some(Answer::LogSectors { slot, data: &read })
                    }
                }
            }
            Ask::WriteLog { slot, .. } if self.ailment == Ailment::FailsToWrite => {
                Some(failed(FilesError::Device, slot.into()))
            }
            Ask::WriteLog { slot, data } => {
                self.writes += 1;
                let (sectors, rest) = data.as_chunks::<SECTOR>();
                assert!(!sectors.is_empty() && rest.is_empty());
                for (slot, sector) in (slot..).zip(sectors) {
                    assert!((slot as usize) < self.sectors.len());
                    if self.deed() {
                        self.unflushed.push((slot, *sector));
                    }
                }
                (!self.is_off()).then_some(Answer::Done)
            }
            Ask::FlushLog if self.ailment == Ailment::FailsToFlush => {
                Some(failed(FilesError::Device, 0))
            }
            Ask::FlushLog => {
                self.flushes += 1;
                if self.deed() {
                    for (slot, sector) in self.unflushed.drain(..) {
                        self.sectors[slot as usize] = sector;
                    }
                }
                (!self.is_off()).then_some(Answer::Done)
            }
            other => panic!("{other:?}"),
        };
        if let Some(answer) = answer {
            let mut frame = Frame::new();
            answer.write(number, &mut frame);
            files.send(&frame).unwrap();
        }
        true
    }
}

/// Parses a log and checks that each entry is linked to the one before.
pub(super) fn entries_of(sectors: &[Sector]) -> (Opened, Vec<(Record, Hash)>) {
    let mut buffer = [0; MAX_ENTRY_BYTES];
    let mut opening = Opening::new(sectors.len() as u64, None, &mut buffer).unwrap();
    let mut entries: Vec<(Record, Hash)> = Vec::new();
    while let Some(slot) = opening.wants() {
        let Some(entry) = opening.give(Some(&sectors[slot as usize])) else {
            continue;
        };
        assert!(entries.is_empty() || entry.is_linked);
        let hash = disk_log::hash(&entry.record, entry.text);
        if let Some((before, head)) = entries.last() {
            assert_eq!(entry.record.previous, *head);
            assert_eq!(entry.record.sequence, before.sequence + 1);
        }
        entries.push((entry.record, hash));
    }
    (opening.finish_for([0; 16]).unwrap(), entries)
}
