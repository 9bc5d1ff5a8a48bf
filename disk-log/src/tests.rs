mod appending;

extern crate std;

use super::*;
use proptest::prelude::*;
use protocol::record::Kind;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

const DEVICE: Device = [7; 16];

const SMALL: Shape = Shape {
    slots: 48,
    unflushed: 8,
};

type Sectors = Vec<[u8; SECTOR]>;

/// Sectors and the slots they are written to.
type Placement = Vec<(u32, [u8; SECTOR])>;

/// An entry that was appended.
#[derive(Clone, Debug, PartialEq)]
struct Written {
    record: Record,
    text: Vec<u8>,
}

/// What was found, and each entry with whether it is linked.
type Reading = Result<(Opened, Vec<(Written, bool)>), OpenError>;

fn open_for(sectors: &Sectors, shape: Shape, device: Device) -> Reading {
    let mut buffer = [0; MAX_ENTRY_BYTES];
    let mut opening = Opening::of(shape, Some(device), &mut buffer);
    let mut entries = Vec::new();
    let mut read = 0;
    while let Some(slot) = opening.wants() {
        if let Some(entry) = opening.give(Some(&sectors[slot as usize])) {
            let written = Written {
                record: entry.record,
                text: entry.text.to_vec(),
            };
            entries.push((written, entry.is_linked));
        }
        read += 1;
        assert!(read <= 3 * sectors.len(), "it reads without an end");
    }
    opening.finish_for(device).map(|opened| (opened, entries))
}

fn open(sectors: &Sectors) -> (Opened, Vec<(Written, bool)>) {
    let shape = Shape {
        slots: sectors.len() as u32,
        ..SMALL
    };
    open_for(sectors, shape, DEVICE).unwrap()
}

fn empty() -> Sectors {
    vec![[0; SECTOR]; SMALL.slots as usize]
}

/// The next entry of a log, and its sectors with their slots.
fn next(log: &mut Log, text: usize, salt: u64) -> Result<(Written, Placement), AppendError> {
    let text: Vec<u8> = (0..text).map(|at| (at as u64 * 31 + salt) as u8).collect();
    let record = Record {
        sequence: log.sequence() + 1,
        previous: log.head(),
        text_bytes: text.len() as u32,
        value: salt,
        ..Record::new(Kind::Admit)
    };
    let mut out = vec![0; MAX_ENTRY_SECTORS * SECTOR];
    let placed = log.append(&record, &text, &mut out)?;
    let slots = placed.slot..placed.slot + placed.sectors;
    let slots = slots.chain(0..placed.wrapped);
    let sectors = slots.zip(out.as_chunks().0.iter().copied()).collect();
    Ok((Written { record, text }, sectors))
}

fn put(sectors: &mut Sectors, written: &[(u32, [u8; SECTOR])]) {
    for (slot, sector) in written {
        sectors[*slot as usize] = *sector;
    }
}

/// Appends and flushes an entry.
fn write(sectors: &mut Sectors, log: &mut Log, text: usize, salt: u64) -> Written {
    let (written, to) = next(log, text, salt).unwrap();
    put(sectors, &to);
    log.flushed(log.mark());
    written
}

/// Whether `found` is the tail of `written`, each entry linked to the one before.
fn is_end(found: &[(Written, bool)], written: &[Written]) -> bool {
    let entries: Vec<Written> = found.iter().map(|(entry, _)| entry.clone()).collect();
    let linked = found.iter().skip(1).all(|(_, linked)| *linked);
    linked && written.ends_with(&entries)
}

#[test]
fn a_log_goes_on_where_it_ended_and_forgets_the_oldest() {
    let mut sectors = empty();
    let (opened, found) = open(&sectors);
    assert_eq!(
        (opened.found, found.len(), opened.first),
        (Found::Empty, 0, 1)
    );
    assert_eq!(opened.device, None);
    let mut written = Vec::new();
    let mut log = opened.log;
    for salt in 0..100u64 {
        // Entries of 2, 2, 2, 3 and 4 sectors, so that the file's end cuts them in every way.
        let text = [0, 100, 304, 305, 1000][salt as usize % 5];
        written.push(write(&mut sectors, &mut log, text, salt));
        let (opened, found) = open(&sectors);
        assert_eq!(opened.found, Found::Whole, "{salt}");
        assert!(is_end(&found, &written), "{salt}");
        assert_eq!(found.len() as u64, opened.entries);
        assert_eq!(opened.device, Some(DEVICE));
        // All slots hold entries, except for the rest of a partly overwritten entry and the slots that unflushed writes
        // may take.
        let taken: usize = found
            .iter()
            .map(|(w, _)| sectors_of(w.text.len()).unwrap())
            .sum();
        assert!(
            found.len() == written.len() || taken > sectors.len() - 4 - SMALL.unflushed as usize,
            "{taken}"
        );
        let first = &found[0].0.record;
        assert_eq!(
            (opened.first, opened.anchor),
            (first.sequence, first.previous)
        );
        assert_eq!(
            opened.log.head(),
            hash(
                &written.last().unwrap().record,
                &written.last().unwrap().text
            )
        );
        // Sometimes it continues as a log that was opened again.
        if salt % 7 == 0 {
            log = opened.log;
        }
    }
}

#[test]
fn every_prefix_of_every_write_is_a_power_cut_that_loses_nothing_durable() {
    let mut sectors = empty();
    let mut log = open(&sectors).0.log;
    let mut written: Vec<Written> = Vec::new();
    for salt in 0..24u64 {
        let before = sectors.clone();
        let (entry, to) = next(&mut log, [0, 700][salt as usize % 2], salt).unwrap();
        for cut in 0..to.len() {
            // For some entries of both rounds, every byte is tried; for the others, some bytes and both ends.
            let step = if salt < 3 || salt == 22 { 1 } else { 57 };
            for bytes in (0..SECTOR).step_by(step).chain([1, 7, 8, 496, 511]) {
                let mut torn = before.clone();
                put(&mut torn, &to[..cut]);
                let (slot, sector) = &to[cut];
                torn[*slot as usize][..bytes].copy_from_slice(&sector[..bytes]);
                let changed = torn != before;
                let (opened, found) = open(&torn);
                let place = (salt, cut, bytes);
                assert!(is_end(&found, &written), "{place:?}");
                assert_eq!(opened.log.sequence(), salt, "{place:?}");
                match opened.found {
                    Found::Empty => assert!(written.is_empty() && !changed, "{place:?}"),
                    Found::Whole => assert!(!changed && !written.is_empty(), "{place:?}"),
                    Found::Torn => assert!(changed, "{place:?}"),
                    Found::Damaged { .. } => panic!("{place:?}"),
                }
            }
        }
        put(&mut sectors, &to);
        log.flushed(log.mark());
        written.push(entry);
    }
}

#[test]
fn every_change_of_a_durable_byte_is_found_or_takes_the_oldest() {
    let mut sectors = vec![[0; SECTOR]; 64];
    let mut log = open(&sectors).0.log;
    let mut written = Vec::new();
    for salt in 0..12 {
        written.push(write(&mut sectors, &mut log, 200, salt));
    }
    for slot in 0..24 {
        for byte in (0..SECTOR).step_by(3).chain([511]) {
            for change in [1, 0x80] {
                let mut changed = sectors.clone();
                changed[slot][byte] ^= change;
                let (opened, found) = open(&changed);
                for (entry, _) in &found {
                    assert!(written.contains(entry), "a changed entry at {slot}, {byte}");
                }
                // The last entry was flushed, but no other entry records that, so it could be an interrupted write.
                let expected = if slot < 22 {
                    let after = slot as u64 / 2;
                    assert_eq!(found.len(), 11);
                    Found::Damaged { after }
                } else {
                    Found::Torn
                };
                assert_eq!(opened.found, expected, "{slot}, {byte}");
            }
        }
    }
}

#[test]
fn entries_that_were_exchanged_or_brought_back_are_damage() {
    let mut sectors = vec![[0; SECTOR]; 64];
    let mut log = open(&sectors).0.log;
    for salt in 0..8 {
        write(&mut sectors, &mut log, 0, salt);
    }
    let mut moved = sectors.clone();
    moved.swap(2, 4);
    moved.swap(3, 5);
    assert_eq!(open(&moved).0.found, Found::Damaged { after: 1 });
    let mut gone = sectors.clone();
    gone[6] = [0; SECTOR];
    gone[7] = [0; SECTOR];
    let (opened, found) = open(&gone);
    assert_eq!(
        (opened.found, found.len()),
        (Found::Damaged { after: 3 }, 7)
    );
    // The entry after the gap is not linked.
    let linked: Vec<bool> = found.iter().map(|(_, linked)| *linked).collect();
    assert_eq!(linked, [false, true, true, false, true, true, true]);
    // Writing continues after the damage, and the log stays damaged.
    let mut log = opened.log;
    assert_eq!(log.sequence(), 8);
    write(&mut gone, &mut log, 0, 9);
    let (opened, _) = open(&gone);
    assert_eq!(
        (opened.found, opened.log.sequence()),
        (Found::Damaged { after: 3 }, 9)
    );
}

#[test]
fn what_an_earlier_life_could_not_finish_never_mixes_with_what_comes_later() {
    let mut sectors = empty();
    let mut log = open(&sectors).0.log;
    let mut written = vec![write(&mut sectors, &mut log, 0, 1)];
    // Parts of two unflushed entries were written, but the first part of neither.
    let (_, one) = next(&mut log, 800, 2).unwrap();
    let (_, two) = next(&mut log, 800, 3).unwrap();
    put(&mut sectors, &one[1..]);
    put(&mut sectors, &two);
    let (opened, found) = open(&sectors);
    assert_eq!((opened.found, opened.log.sequence()), (Found::Torn, 1));
    assert!(is_end(&found, &written));
    // The next entry differs, and only its first sector is written; the other parts are those of the old entry.
    let mut log = opened.log;
    let (entry, to) = next(&mut log, 800, 4).unwrap();
    let mut mixed = sectors.clone();
    put(&mut mixed, &to[..1]);
    let (opened, found) = open(&mixed);
    assert_eq!((opened.found, opened.log.sequence()), (Found::Torn, 1));
    assert!(is_end(&found, &written));
    // If the new entry is complete, the leftovers of the earlier life after it are ignored.
    put(&mut sectors, &to);
    log.flushed(log.mark());
    written.push(entry);
    let (opened, found) = open(&sectors);
    assert_eq!((opened.found, opened.log.sequence()), (Found::Whole, 2));
    assert!(is_end(&found, &written));
}

#[test]
fn a_file_that_is_not_this_devices_log_is_refused() {
    let mut sectors = empty();
    let mut log = open(&sectors).0.log;
    write(&mut sectors, &mut log, 0, 1);
    let other = open_for(&sectors, SMALL, [8; 16]).unwrap_err();
    assert_eq!(other, OpenError::OtherDevice { device: DEVICE });
    let mut longer = sectors.clone();
    longer.resize(60, [0; SECTOR]);
    let shape = Shape { slots: 60, ..SMALL };
    let other = open_for(&longer, shape, DEVICE).unwrap_err();
    assert_eq!(other, OpenError::OtherSize { slots: 60, log: 48 });
    for fill in [1u8, 0xff] {
        let garbage = vec![[fill; SECTOR]; 48];
        assert_eq!(
            open_for(&garbage, SMALL, DEVICE).unwrap_err(),
            OpenError::NotALog
        );
    }
    let mut text = empty();
    text[3][..4].copy_from_slice(b"note");
    assert_eq!(
        open_for(&text, SMALL, DEVICE).unwrap_err(),
        OpenError::NotALog
    );
    let mut buffer = [0; MAX_ENTRY_BYTES];
    for slots in [
        0,
        1,
        u64::from(MIN_SLOTS) - 1,
        u64::from(MAX_SLOTS) + 1,
        u64::MAX,
    ] {
        let size = Opening::new(slots, None, &mut buffer).unwrap_err();
        assert_eq!(size, OpenError::Size { slots });
    }
    // Accepts any device.
    let mut opening = Opening::of(SMALL, None, &mut buffer);
    while let Some(slot) = opening.wants() {
        opening.give(Some(&sectors[slot as usize]));
    }
    let opened = opening.finish_for([0; 16]).unwrap();
    assert_eq!((opened.device, opened.entries), (Some(DEVICE), 1));
}

#[test]
fn a_sector_that_cannot_be_read_costs_its_entry_alone() {
    let mut sectors = vec![[0; SECTOR]; 64];
    let mut log = open(&sectors).0.log;
    for salt in 0..8 {
        write(&mut sectors, &mut log, 0, salt);
    }
    let mut buffer = [0; MAX_ENTRY_BYTES];
    let shape = Shape { slots: 64, ..SMALL };
    let mut opening = Opening::of(shape, Some(DEVICE), &mut buffer);
    let mut entries = 0;
    while let Some(slot) = opening.wants() {
        let sector = Some(&sectors[slot as usize]).filter(|_| slot != 5);
        entries += usize::from(opening.give(sector).is_some());
    }
    let opened = opening.finish_for(DEVICE).unwrap();
    assert_eq!((entries, opened.found), (7, Found::Damaged { after: 2 }));
}
