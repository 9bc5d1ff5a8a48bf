//! Finds the end of a log, and any damage in it.
//!
//! Every sector is read twice: first in file order, to learn whose log it is and how far it goes; then from the oldest
//! entry to the newest, to check each entry and its link. The caller reads one sector at a time, whenever it has time.

use crate::append::Log;
use crate::found::{Found, FoundEntry, OpenError, Opened};
use crate::sector::{Device, Header, PIECE, SECTOR, Sector};
use crate::{MAX_ENTRY_BYTES, MAX_SLOTS, MAX_UNFLUSHED, MIN_SLOTS, Shape, hash, sectors_of};
use protocol::hash::Hash;
use protocol::record::{RECORD_BYTES, Record};

/// Results of the first pass.
#[derive(Debug, Default)]
struct Seen {
    /// The highest position.
    highest: Option<u64>,
    durable: u64,
    life: u32,
    device: Option<Device>,
    other_device: Option<Device>,
    other_size: Option<u32>,
    begun: bool,
    garbage: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Reads all slots in file order.
    Scan(u32),
    /// Reads all positions in order, up to `end`.
    Walk {
        at: u64,
        end: u64,
    },
    Done,
}

/// An entry whose parts have not all been read.
#[derive(Debug)]
struct Partial {
    begin: u64,
    header: Header,
    /// The part expected next.
    next: u16,
    /// Bytes in the buffer.
    filled: usize,
}

/// The last valid entry.
#[derive(Clone, Copy, Debug)]
struct Last {
    sequence: u64,
    hash: Hash,
    end: u64,
    life: u32,
}

/// A log that is being opened.
#[derive(Debug)]
pub struct Opening<'b> {
    shape: Shape,
    /// `None` accepts the log of any device.
    device: Option<Device>,
    buffer: &'b mut [u8; MAX_ENTRY_BYTES],
    stage: Stage,
    error: Option<OpenError>,
    seen: Seen,
    partial: Option<Partial>,
    last: Option<Last>,
    first: Option<(u64, Hash)>,
    entries: u64,
    torn: bool,
    damaged_after: Option<u64>,
}

impl<'b> Opening<'b> {
    /// Opens the log in a file of `slots` sectors. If `device` is given, the log of another device is refused. `buffer`
    /// holds one entry.
    ///
    /// # Errors
    /// [`OpenError::Size`].
    pub const fn new(
        slots: u64,
        device: Option<Device>,
        buffer: &'b mut [u8; MAX_ENTRY_BYTES],
    ) -> Result<Self, OpenError> {
        if slots < MIN_SLOTS as u64 || slots > MAX_SLOTS as u64 {
            return Err(OpenError::Size { slots });
        }
        let shape = Shape {
            slots: slots as u32,
            unflushed: MAX_UNFLUSHED,
        };
        Ok(Self::of(shape, device, buffer))
    }

    pub(crate) const fn of(
        shape: Shape,
        device: Option<Device>,
        buffer: &'b mut [u8; MAX_ENTRY_BYTES],
    ) -> Self {
        Self {
            shape,
            device,
            buffer,
            stage: Stage::Scan(0),
            error: None,
            seen: Seen {
                highest: None,
                durable: 0,
                life: 0,
                device: None,
                other_device: None,
                other_size: None,
                begun: false,
                garbage: false,
            },
            partial: None,
            last: None,
            first: None,
            entries: 0,
            torn: false,
            damaged_after: None,
        }
    }

    /// Sectors of the file.
    #[must_use]
    pub const fn slots(&self) -> u32 {
        self.shape.slots
    }

    /// The sector to read next, counted from the beginning of the file; `None` when all were read.
    #[must_use]
    pub fn wants(&self) -> Option<u32> {
        match self.stage {
            Stage::Scan(slot) => Some(slot),
            Stage::Walk { at, .. } => Some(self.shape.slot(at)),
            Stage::Done => None,
        }
    }

    /// Takes the sector asked for, or `None` if it could not be read. Returns an entry when this sector completes it.
    pub fn give(&mut self, sector: Option<&[u8; SECTOR]>) -> Option<FoundEntry<'_>> {
        let sector = sector.map_or(Sector::Garbage, Sector::read);
        match self.stage {
            Stage::Scan(slot) => {
                self.scan(slot, &sector);
                None
            }
            Stage::Walk { at, end } => {
                self.stage = match at.checked_add(1).filter(|next| *next <= end) {
                    Some(next) => Stage::Walk { at: next, end },
                    None => Stage::Done,
                };
                let whole = self.walk(at, sector);
                if self.stage == Stage::Done {
                    self.drop_partial();
                }
                whole.and_then(|(record, is_linked, position)| {
                    let text = self.buffer.get(RECORD_BYTES..)?;
                    let text = text.get(..record.text_bytes as usize)?;
                    Some(FoundEntry {
                        record,
                        text,
                        position,
                        is_linked,
                    })
                })
            }
            Stage::Done => None,
        }
    }

    fn scan(&mut self, slot: u32, sector: &Sector<'_>) {
        let seen = &mut self.seen;
        match sector {
            Sector::Zero => {}
            Sector::Begun => seen.begun = true,
            Sector::Garbage => seen.garbage = true,
            Sector::Whole(header, _) => {
                let ours = self.device.or(seen.device).unwrap_or(header.device);
                if header.device != ours {
                    seen.other_device = Some(header.device);
                } else if header.slots != self.shape.slots {
                    seen.other_size = Some(header.slots);
                } else if self.shape.slot(header.position) == slot {
                    seen.device = Some(header.device);
                    seen.highest = seen.highest.max(Some(header.position));
                    seen.durable = seen.durable.max(header.durable);
                    seen.life = seen.life.max(header.life);
                } else {
                    // A valid sector in the wrong place: something moved it.
                    seen.garbage = true;
                }
            }
        }
        let next = slot.saturating_add(1);
        self.stage = if next < self.shape.slots {
            Stage::Scan(next)
        } else {
            self.after_scan()
        };
    }

    fn after_scan(&mut self) -> Stage {
        let Some(highest) = self.seen.highest else {
            let seen = &self.seen;
            self.error = match (seen.other_device, seen.other_size) {
                (Some(device), _) => Some(OpenError::OtherDevice { device }),
                (None, Some(log)) => Some(OpenError::OtherSize {
                    slots: self.shape.slots,
                    log,
                }),
                (None, None) if seen.garbage => Some(OpenError::NotALog),
                (None, None) => None,
            };
            self.torn = seen.begun;
            return Stage::Done;
        };
        // Unflushed writes may have overwritten some of the oldest sectors without leaving a valid sector. Entries that
        // are still whole there may not be linked to what follows, so the walk begins after all such sectors.
        let oldest = highest
            .saturating_add(1)
            .saturating_add(u64::from(self.shape.unflushed))
            .saturating_sub(u64::from(self.shape.slots));
        Stage::Walk {
            at: oldest,
            // Past the end there may be writes that were started but completed no sector.
            end: highest.saturating_add(self.shape.slack()),
        }
    }

    /// Takes the sector of a position. Returns the record of an entry that it completes, whether the entry is linked, and
    /// where it begins.
    fn walk(&mut self, at: u64, sector: Sector<'_>) -> Option<(Record, bool, u64)> {
        let (header, piece) = match sector {
            Sector::Whole(header, piece) if self.is_at(&header, at) => (header, piece),
            // The previous round's contents: nothing has been written here since.
            Sector::Whole(header, _) if self.is_older(&header, at) => {
                self.gap(at, false);
                return None;
            }
            Sector::Zero => {
                self.gap(at, false);
                return None;
            }
            _ => {
                self.gap(at, true);
                return None;
            }
        };
        if header.part == 0 {
            self.drop_partial();
            self.partial = Some(Partial {
                begin: at,
                header,
                next: 0,
                filled: 0,
            });
        }
        let continues = |partial: &&mut Partial| {
            let expected = Header {
                part: partial.next,
                position: at,
                ..partial.header
            };
            partial.begin.checked_add(u64::from(partial.next)) == Some(at) && header == expected
        };
        let Some(partial) = self.partial.as_mut().filter(continues) else {
            // Before the first entry there may be the tail of an entry whose beginning was overwritten. It counts as a
            // gap only if it is not stale.
            let begin = match self.last {
                None => at.saturating_sub(u64::from(header.part)),
                Some(_) => at,
            };
            self.gap(begin, !self.is_stale(&header));
            return None;
        };
        let rest = self.buffer.get_mut(partial.filled..).unwrap_or(&mut []);
        // The last piece of the longest entry is cut off; only zeros follow.
        let length = rest.len().min(PIECE);
        for (to, from) in rest.iter_mut().zip(piece) {
            *to = *from;
        }
        partial.filled = partial.filled.saturating_add(length);
        partial.next = partial.next.saturating_add(1);
        if partial.next < partial.header.parts {
            return None;
        }
        let partial = self.partial.take()?;
        let (record, is_linked) = self.finish(&partial)?;
        Some((record, is_linked, partial.begin))
    }

    fn is_at(&self, header: &Header, at: u64) -> bool {
        header.position == at && self.is_ours(header)
    }

    fn is_older(&self, header: &Header, at: u64) -> bool {
        header.position < at && self.is_ours(header) && {
            self.shape.slot(header.position) == self.shape.slot(at)
        }
    }

    fn is_ours(&self, header: &Header) -> bool {
        Some(header.device) == self.seen.device && header.slots == self.shape.slots
    }

    /// Whether the sector is left over from an entry that an earlier life did not finish.
    fn is_stale(&self, header: &Header) -> bool {
        self.last.is_some_and(|last| header.life < last.life)
    }

    /// Checks the entry in the buffer, of which all parts have been read.
    fn finish(&mut self, partial: &Partial) -> Option<(Record, bool)> {
        let end = partial
            .begin
            .saturating_add(u64::from(partial.header.parts));
        let Some((record, hash)) = self.whole_entry(partial) else {
            // Every part has a valid seal, but together they are not an entry.
            self.gap(partial.begin, true);
            return None;
        };
        let (begin, durable) = (partial.begin, self.seen.durable);
        let stale = self.is_stale(&partial.header);
        let linked = self.last.map(|last| {
            last.hash == record.previous
                && last.sequence.checked_add(1) == Some(record.sequence)
                && last.end == begin
        });
        // Everything before `durable` was present. The first entry after it may count even without a link, if the entry
        // that it links to was durable and is lost.
        let is_lost = self.last.is_none_or(|last| last.end < durable);
        let counts = begin < durable || begin == durable && is_lost;
        match linked {
            Some(true) => {}
            None if counts => self.first = Some((record.sequence, record.previous)),
            Some(false) if counts => {
                self.damage();
                // An unfinished entry does not become valid because others are missing.
                if stale {
                    return None;
                }
            }
            None | Some(false) => {
                self.torn |= !stale;
                return None;
            }
        }
        self.last = Some(Last {
            sequence: record.sequence,
            hash,
            end,
            life: partial.header.life,
        });
        self.entries = self.entries.saturating_add(1);
        Some((record, linked == Some(true)))
    }

    /// The record in the buffer and the hash of its entry, if both match the sectors.
    fn whole_entry(&self, partial: &Partial) -> Option<(Record, Hash)> {
        let filled = self.buffer.get(..partial.filled)?;
        let (record, rest) = Record::read_prefix(filled)?;
        let text = rest.get(..record.text_bytes as usize)?;
        let sectors = sectors_of(text.len())?;
        let hash = hash(&record, text);
        let sound = sectors == usize::from(partial.header.parts)
            && hash == partial.header.entry
            && record.sequence == partial.header.sequence;
        sound.then_some((record, hash))
    }

    /// Drops the current entry, which is incomplete.
    fn drop_partial(&mut self) {
        if let Some(partial) = self.partial.take() {
            let stale = self.is_stale(&partial.header);
            self.note(partial.begin, !stale);
        }
    }

    /// Notes that there is no entry at a position. `written`: something invalid was written there.
    fn gap(&mut self, at: u64, written: bool) {
        self.drop_partial();
        self.note(at, written);
    }

    fn note(&mut self, at: u64, written: bool) {
        if at >= self.seen.durable {
            self.torn |= written;
            return;
        }
        // The oldest positions are about to be overwritten, or begin in the middle of an entry.
        let overwritten = at.saturating_add(u64::from(self.shape.slots));
        let is_spent = overwritten < self.seen.durable.saturating_add(self.shape.slack());
        if self.last.is_some() || !is_spent {
            self.damage();
        }
    }

    fn damage(&mut self) {
        let after = self.last.map_or(0, |last| last.sequence);
        self.damaged_after = Some(self.damaged_after.unwrap_or(after));
    }

    /// The log, once all sectors were read. An empty log belongs to `device` from now on.
    ///
    /// # Errors
    /// The file does not hold a log of this device.
    pub fn finish_for(self, device: Device) -> Result<Opened, OpenError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let next = self.last.map_or(0, |last| last.end);
        let found = match (self.damaged_after, self.torn, self.seen.highest) {
            (Some(after), ..) => Found::Damaged { after },
            (None, true, _) => Found::Torn,
            (None, false, None) => Found::Empty,
            (None, false, Some(_)) => Found::Whole,
        };
        // Damage may have destroyed the newest entries. The next one must not lie before anything durable.
        let next = next.max(self.seen.durable);
        let sequence = self.last.map_or(0, |last| last.sequence);
        Ok(Opened {
            log: Log {
                shape: self.shape,
                device: self.seen.device.unwrap_or(device),
                life: self.seen.life.saturating_add(1),
                next,
                durable: next,
                sequence,
                head: self.last.map_or([0; 32], |last| last.hash),
            },
            found,
            device: self.seen.device,
            entries: self.entries,
            first: self
                .first
                .map_or(sequence.saturating_add(1), |(first, _)| first),
            anchor: self.first.map_or([0; 32], |(_, anchor)| anchor),
        })
    }
}
