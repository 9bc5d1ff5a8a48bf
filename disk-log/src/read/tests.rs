extern crate std;

use super::*;
use crate::Opening;
use protocol::record::Kind;
use std::vec;
use std::vec::Vec;

const SLOTS: usize = 2048;

/// An entry and its position.
type Written = (Record, Vec<u8>, u64);

/// A log with this many entries, its sectors, and the entries.
fn written(entries: u64) -> (Log, Vec<[u8; SECTOR]>, Vec<Written>) {
    let mut sectors = vec![[0; SECTOR]; SLOTS];
    let mut buffer = [0; MAX_ENTRY_BYTES];
    let mut opening = Opening::new(SLOTS as u64, None, &mut buffer).unwrap();
    while let Some(slot) = opening.wants() {
        opening.give(Some(&sectors[slot as usize]));
    }
    let mut log = opening.finish_for([7; 16]).unwrap().log;
    let mut all = Vec::new();
    for number in 0..entries {
        let text = vec![number as u8; [0, 500, 3000][number as usize % 3]];
        let record = Record {
            sequence: log.sequence() + 1,
            previous: log.head(),
            text_bytes: text.len() as u32,
            ..Record::new(Kind::Admit)
        };
        let position = log.position();
        let mut out = vec![0; crate::MAX_ENTRY_SECTORS * SECTOR];
        let placed = log.append(&record, &text, &mut out).unwrap();
        let slots = placed.slot..placed.slot + placed.sectors;
        let (out, _) = out.as_chunks();
        for (slot, sector) in slots.chain(0..placed.wrapped).zip(out) {
            sectors[slot as usize] = *sector;
        }
        log.flushed(log.mark());
        all.push((record, text, position));
    }
    (log, sectors, all)
}

fn read(log: &Log, sectors: &[[u8; SECTOR]], from: u64) -> Vec<(Record, Vec<u8>, u64)> {
    let mut reader = Reader::new(log, from);
    let mut buffer = [0; MAX_ENTRY_BYTES];
    let mut found = Vec::new();
    while reader.position() < log.position() {
        let sector = &sectors[reader.wants() as usize];
        if let Some((record, text, position)) = reader.give(sector, &mut buffer) {
            found.push((record, text.to_vec(), position));
        }
    }
    found
}

#[test]
fn entries_are_read_back_from_any_position_on() {
    // More than one round of the file.
    let (log, sectors, all) = written(900);
    let oldest = log.position() - SLOTS as u64;
    let kept: Vec<_> = all.into_iter().filter(|it| it.2 >= oldest).collect();
    assert!(kept.len() > 300 && kept[0].0.sequence > 1);
    assert_eq!(read(&log, &sectors, oldest), kept);
    let (_, _, middle) = kept[100];
    assert_eq!(read(&log, &sectors, middle), kept[100..]);
    // From the middle of an entry, reading begins with the next one.
    let long = kept.iter().position(|it| it.1.len() == 3000).unwrap();
    assert_eq!(read(&log, &sectors, kept[long].2 + 1), kept[long + 1..]);
    // Entries that were overwritten are not found at their old positions.
    assert_eq!(read(&log, &sectors, oldest - 9), kept);
}

#[test]
fn a_sector_that_was_changed_takes_its_entry_alone() {
    let (log, sectors, all) = written(30);
    for (at, byte) in [(100, 0x40), (0, 1), (511, 0x80)] {
        let mut changed = sectors.clone();
        changed[all[7].2 as usize][at] ^= byte;
        let mut rest = all.clone();
        rest.remove(7);
        assert_eq!(read(&log, &changed, 0), rest, "byte {at}");
    }
}
