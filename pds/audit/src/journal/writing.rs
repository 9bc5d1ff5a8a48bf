//! Writing: entries are copied from memory in order, as many at once as are ready, with one flush for all of them.

use crate::log::{Cursor, Log};
use crate::work::Budget;
use disk_log::{AppendError, Mark, SECTOR, sectors_of};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::limits::MAX_TRANSFER_SECTORS;
use protocol::wire::files::Ask;

/// Sectors prepared at once (16 KiB). The longest entry takes 22; about 16 entries without text share a flush. A larger
/// value would let more entries share one, but would keep the first of them waiting longer.
const OUT_SECTORS: usize = 32;

/// See [`OUT_SECTORS`].
pub(super) const OUT_BYTES: usize = OUT_SECTORS * SECTOR;

/// Limit of sectors written without a flush if the policy says "behind": half of what may be unflushed.
const BEHIND_SECTORS: u64 = disk_log::MAX_UNFLUSHED as u64 / 2;

/// Contiguous sectors of the prepared data.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Their position, counted in sectors from the start of the file.
    slot: u32,
    sectors: u32,
    /// Their byte offset in the prepared data.
    at: usize,
}

/// Writes the log; see the module.
#[derive(Debug)]
pub(super) struct Writer {
    log: disk_log::Log,
    /// The next entry of the log in memory; `None` until that log begins.
    next: Option<Cursor>,
    /// Prepared sectors not yet written: two pieces, because the end of the file may lie between them.
    pieces: heapless::Vec<Piece, 2>,
    /// The newest entry prepared.
    newest: (u64, Hash),
    /// The newest entry that is durable.
    durable: (u64, Hash),
    /// What the flush under way makes durable.
    flushing: Option<(Mark, (u64, Hash))>,
    /// Whether a flush is wanted.
    flush: bool,
    /// Prepared entries and their positions.
    placed: heapless::Vec<(u64, u64), { OUT_SECTORS / 2 }>,
    /// The quarter of the file being written.
    quarter: u64,
    is_usage_due: bool,
}

impl Writer {
    pub(super) fn new(log: disk_log::Log) -> Self {
        let newest = (log.sequence(), log.head());
        let quarter = quarter(&log);
        Self {
            log,
            next: None,
            pieces: heapless::Vec::new(),
            newest,
            durable: newest,
            flushing: None,
            flush: false,
            placed: heapless::Vec::new(),
            quarter,
            is_usage_due: false,
        }
    }

    /// Makes the log in memory, which is still empty, continue the one on the disk.
    pub(super) fn follow(&mut self, log: &Log<'_>) {
        self.next = Some(log.cursor());
    }

    pub(super) const fn log(&self) -> &disk_log::Log {
        &self.log
    }

    pub(super) const fn durable(&self) -> (u64, Hash) {
        self.durable
    }

    pub(super) const fn boot(&self) -> u64 {
        self.log.life() as u64
    }

    /// Whether a new quarter of the file was begun since the last call.
    pub(super) const fn takes_usage_due(&mut self) -> bool {
        core::mem::replace(&mut self.is_usage_due, false)
    }

    /// Calls `each` once for every prepared entry.
    pub(super) fn each_placed(&mut self, mut each: impl FnMut(u64, u64)) {
        for (sequence, position) in &self.placed {
            each(*sequence, *position);
        }
        self.placed.clear();
    }

    /// Prepares entries, unless earlier ones are still unwritten or a flush is wanted.
    ///
    /// # Errors
    /// Memory no longer holds the next entry.
    pub(super) fn prepare(
        &mut self,
        log: &Log<'_>,
        out: &mut [u8; OUT_BYTES],
        flush: bool,
        work: &mut Budget,
    ) -> Result<(), Failure> {
        if !self.pieces.is_empty() || self.flushing.is_some() {
            return Ok(());
        }
        let unflushed = self.log.unflushed();
        self.flush = unflushed > 0 && (flush || unflushed >= BEHIND_SECTORS);
        if self.flush {
            return Ok(());
        }
        let Some(mut cursor) = self.next else {
            return Ok(());
        };
        let behind = Failure::of(ErrorCode::LogBehind);
        let mut filled = 0usize;
        while !self.placed.is_full() {
            let expected = cursor.next();
            let mut after = cursor;
            let Some(entry) = log.read(&mut after) else {
                break;
            };
            if entry.record.sequence != expected {
                return Err(behind);
            }
            let bytes = sectors_of(entry.text.len())
                .unwrap_or(0)
                .saturating_mul(SECTOR);
            let end = filled.saturating_add(bytes);
            if end > OUT_BYTES {
                break;
            }
            if work.is_spent() {
                work.goes_on();
                break;
            }
            let position = self.log.position();
            let room = out.get_mut(filled..).unwrap_or(&mut []);
            let placed = match self.log.append(&entry.record, entry.text, room) {
                Ok(placed) => placed,
                Err(AppendError::FlushFirst { .. }) => {
                    self.flush = true;
                    break;
                }
                // Memory and disk have the same chain unless something has gone wrong here.
                Err(_) => return Err(behind),
            };
            work.spend(bytes);
            self.add(placed.slot, placed.sectors, filled);
            let straight = (placed.sectors as usize).saturating_mul(SECTOR);
            self.add(0, placed.wrapped, filled.saturating_add(straight));
            let _ = self.placed.push((expected, position));
            self.newest = (self.log.sequence(), self.log.head());
            (filled, cursor) = (end, after);
        }
        self.next = Some(cursor);
        let now = quarter(&self.log);
        self.is_usage_due |= now != self.quarter;
        self.quarter = now;
        Ok(())
    }

    fn add(&mut self, slot: u32, sectors: u32, at: usize) {
        if sectors == 0 {
            return;
        }
        if let Some(last) = self.pieces.last_mut()
            && last.slot.checked_add(last.sectors) == Some(slot)
        {
            last.sectors = last.sectors.saturating_add(sectors);
            return;
        }
        // There are two pieces at most: the file is far longer than the prepared data.
        let _ = self.pieces.push(Piece { slot, sectors, at });
    }

    /// What to ask next, if anything.
    pub(super) fn ask<'o>(&self, out: &'o [u8; OUT_BYTES]) -> Option<Ask<'o>> {
        if let Some(piece) = self.pieces.first() {
            let sectors = (piece.sectors as usize).min(MAX_TRANSFER_SECTORS);
            let end = piece.at.saturating_add(sectors.saturating_mul(SECTOR));
            let data = out.get(piece.at..end)?;
            return Some(Ask::WriteLog {
                slot: piece.slot,
                data,
            });
        }
        (self.flush && self.flushing.is_none()).then_some(Ask::FlushLog)
    }

    /// Notes that this many sectors were written.
    pub(super) fn written(&mut self, sectors: u32) {
        let Some(piece) = self.pieces.first_mut() else {
            return;
        };
        let sectors = sectors.min(piece.sectors);
        piece.slot = piece.slot.saturating_add(sectors);
        piece.sectors = piece.sectors.saturating_sub(sectors);
        piece.at = piece
            .at
            .saturating_add((sectors as usize).saturating_mul(SECTOR));
        if piece.sectors == 0 {
            let second = self.pieces.get(1).copied();
            self.pieces.clear();
            self.pieces.extend(second);
        }
    }

    /// Notes that a flush was sent.
    pub(super) const fn flushes(&mut self) {
        self.flush = false;
        self.flushing = Some((self.log.mark(), self.newest));
    }

    /// Notes that the flush is done.
    pub(super) fn flushed(&mut self) {
        if let Some((mark, newest)) = self.flushing.take() {
            self.log.flushed(mark);
            self.durable = newest;
        }
    }
}

fn quarter(log: &disk_log::Log) -> u64 {
    let quarter = u64::from(log.slots()).checked_div(4).unwrap_or(0);
    log.position().checked_div(quarter).unwrap_or(0)
}
