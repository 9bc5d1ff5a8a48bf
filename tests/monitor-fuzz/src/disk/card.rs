//! A card with files and a log, as an honest files domain presents it to audit: flushed data stay, and the fate of
//! other data after a power failure is random.

use crate::dice::Dice;
use disk_log::{MAX_ENTRY_BYTES, MIN_SLOTS, Opening, SECTOR};
use protocol::hash::Hash;
use protocol::record::Record;
use protocol::ring::Frame;
use protocol::wire::files::{Answer, Ask, FilesError, Volume};
use std::collections::BTreeMap;

/// A sector.
pub type Sector = [u8; SECTOR];

/// The card; see the module.
#[derive(Clone, Debug)]
pub struct Card {
    /// The files, by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The sectors of the log that are durable.
    pub sectors: Vec<Sector>,
    /// Writes since the last flush, in order.
    unflushed: Vec<(u32, Sector)>,
    open: Vec<u8>,
}

impl Card {
    /// A card whose log has the minimum size and is empty.
    #[must_use]
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        Self {
            files,
            sectors: vec![[0; SECTOR]; MIN_SLOTS as usize],
            unflushed: Vec::new(),
            open: Vec::new(),
        }
    }

    fn sector(&self, slot: usize) -> Sector {
        let mut newest = self.unflushed.iter().rev();
        let newest = newest.find(|(at, _)| *at as usize == slot);
        let old = self.sectors.get(slot).copied();
        newest.map_or(old.unwrap_or([0; SECTOR]), |(_, sector)| *sector)
    }

    /// The card after a power failure. Each sector that was not flushed has its old content, its new content, or the
    /// beginning of the new and the rest of the old. Later writes can survive without earlier ones.
    #[must_use]
    pub fn after_power_cut(mut self, dice: &mut Dice) -> Self {
        for (slot, sector) in self.unflushed.drain(..) {
            let Some(at) = self.sectors.get_mut(slot as usize) else {
                continue;
            };
            match dice.below(3) {
                0 => {}
                1 => *at = sector,
                _ => {
                    let torn = dice.below(SECTOR as u64) as usize;
                    at[..torn].copy_from_slice(&sector[..torn]);
                }
            }
        }
        self
    }

    /// Does what is asked, and returns an honest files domain's answer, which may be several messages.
    #[must_use]
    pub fn answer(&mut self, number: u32, ask: &Ask<'_>) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut say = |answer: Answer<'_>| {
            let mut frame = Frame::new();
            answer.write(number, &mut frame);
            frames.push(frame);
        };
        let failed = |why| Answer::Failed { why, value: 0 };
        match *ask {
            Ask::Mount => say(Answer::Mounted(Volume::default())),
            Ask::List => {
                let mut count = 0;
                for (path, file) in &self.files {
                    count += 1;
                    let (bytes, path) = (file.len() as u64, path.as_bytes());
                    say(Answer::File { bytes, path });
                }
                say(Answer::Listed { count, skipped: 0 });
            }
            Ask::Open { path } => {
                let path = core::str::from_utf8(path).unwrap_or_default();
                match self.files.get(path) {
                    Some(file) => {
                        self.open.clone_from(file);
                        let bytes = self.open.len() as u64;
                        say(Answer::Opened { bytes });
                    }
                    None => say(failed(FilesError::NotFound)),
                }
            }
            Ask::Read { offset, bytes } => {
                let from = (offset as usize).min(self.open.len());
                let to = self.open.len().min(from + bytes as usize);
                let bytes = &self.open[from..to];
                say(Answer::Part { offset, bytes });
            }
            Ask::OpenLog => {
                let sectors = self.sectors.len() as u32;
                say(Answer::LogOpened { sectors });
            }
            Ask::ReadLog { slot, sectors } => {
                let slots = slot..slot.saturating_add(sectors);
                let data: Vec<u8> = slots.flat_map(|slot| self.sector(slot as usize)).collect();
                say(Answer::LogSectors { slot, data: &data });
            }
            Ask::WriteLog { slot, data } => {
                let written = (slot..).zip(data.as_chunks::<SECTOR>().0);
                self.unflushed
                    .extend(written.map(|(slot, sector)| (slot, *sector)));
                say(Answer::Done);
            }
            Ask::FlushLog => {
                for (slot, sector) in self.unflushed.drain(..) {
                    if let Some(at) = self.sectors.get_mut(slot as usize) {
                        *at = sector;
                    }
                }
                say(Answer::Done);
            }
            Ask::Close => say(Answer::Done),
            _ => say(failed(FilesError::Unsupported)),
        }
        frames
    }

    /// The durable entries with their hashes, as far as they are linked.
    #[must_use]
    pub fn entries(&self) -> Vec<(Record, Hash)> {
        let mut buffer = [0; MAX_ENTRY_BYTES];
        let Ok(mut opening) = Opening::new(self.sectors.len() as u64, None, &mut buffer) else {
            return Vec::new();
        };
        let mut entries: Vec<(Record, Hash)> = Vec::new();
        while let Some(slot) = opening.wants() {
            if let Some(entry) = opening.give(self.sectors.get(slot as usize)) {
                let hash = disk_log::hash(&entry.record, entry.text);
                if !entry.is_linked {
                    entries.clear();
                }
                entries.push((entry.record, hash));
            }
        }
        entries
    }
}
