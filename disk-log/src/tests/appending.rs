//! Appending in any order, and the flushes it needs.

use super::*;

#[test]
fn only_the_next_entry_is_appended_and_flushes_are_asked_for() {
    let mut sectors = empty();
    let mut log = open(&sectors).0.log;
    write(&mut sectors, &mut log, 0, 1);
    let good = Record {
        sequence: 2,
        previous: log.head(),
        ..Record::new(Kind::Finish)
    };
    let mut out = [0; 2 * SECTOR];
    for wrong in [
        Record {
            sequence: 1,
            ..good
        },
        Record {
            sequence: 3,
            ..good
        },
        Record {
            previous: [0; 32],
            ..good
        },
    ] {
        let refused = log.append(&wrong, &[], &mut out).unwrap_err();
        assert!(matches!(refused, AppendError::NotNext { newest: 1, .. }));
    }
    let refused = log.append(&good, b"text", &mut out).unwrap_err();
    assert_eq!(
        refused,
        AppendError::Text {
            sequence: 2,
            bytes: 4
        }
    );
    let long = Record {
        text_bytes: MAX_PARTS_BYTES as u32 + 1,
        ..good
    };
    let refused = log
        .append(&long, &[0; MAX_PARTS_BYTES + 1], &mut out)
        .unwrap_err();
    assert!(matches!(refused, AppendError::Text { .. }));
    let refused = log.append(&good, &[], &mut out[..1023]).unwrap_err();
    assert_eq!(
        refused,
        AppendError::Buffer {
            needed: 1024,
            there: 1023
        }
    );
    log.append(&good, &[], &mut out).unwrap();
    let mark = log.mark();
    for salt in 0..3 {
        next(&mut log, 0, salt).unwrap();
    }
    let refused = next(&mut log, 0, 9).unwrap_err();
    assert_eq!(refused, AppendError::FlushFirst { unflushed: 8 });
    log.flushed(mark);
    assert!(log.is_durable(mark) && !log.is_durable(log.mark()));
    assert_eq!(log.unflushed(), 6);
    next(&mut log, 0, 9).unwrap();
}

#[test]
fn the_longest_entry_of_a_log_of_the_smallest_size_is_read_back() {
    let mut sectors = vec![[0; SECTOR]; MIN_SLOTS as usize];
    let mut buffer = [0; MAX_ENTRY_BYTES];
    let read = |sectors: &Sectors, buffer: &mut [u8; MAX_ENTRY_BYTES]| {
        let mut opening = Opening::new(u64::from(MIN_SLOTS), Some(DEVICE), buffer).unwrap();
        let mut texts = Vec::new();
        while let Some(slot) = opening.wants() {
            if let Some(entry) = opening.give(Some(&sectors[slot as usize])) {
                texts.push(entry.text.to_vec());
            }
        }
        (opening.finish_for(DEVICE).unwrap(), texts)
    };
    let mut log = read(&sectors, &mut buffer).0.log;
    let longest = write(&mut sectors, &mut log, MAX_PARTS_BYTES, 3);
    assert_eq!(log.next, MAX_ENTRY_SECTORS as u64);
    let (opened, texts) = read(&sectors, &mut buffer);
    assert_eq!((opened.found, texts), (Found::Whole, vec![longest.text]));
}

/// Events on a disk that may write unflushed sectors in any order.
#[derive(Clone, Debug)]
enum Act {
    Append {
        text: usize,
    },
    Flush,
    /// A power cut: which unflushed sectors were written, and how many bytes of the others.
    Cut {
        through: u64,
        bytes: Vec<usize>,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0usize..1500).prop_map(|text| Act::Append { text }),
        3 => Just(Act::Flush),
        1 => (any::<u64>(), prop::collection::vec(0..SECTOR, 8))
            .prop_map(|(through, bytes)| Act::Cut { through, bytes }),
    ];
    prop::collection::vec(act, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_order_of_writes_flushes_and_power_cuts_loses_or_changes_what_was_durable(acts in acts()) {
        let mut sectors = empty();
        let mut log = open(&sectors).0.log;
        // Entries of this chain that were appended, and how many of them are durable.
        let mut written: Vec<Written> = Vec::new();
        let mut durable = 0;
        let mut pending: BTreeMap<u32, [u8; SECTOR]> = BTreeMap::new();
        for (salt, act) in acts.into_iter().enumerate() {
            match act {
                Act::Append { text } => match next(&mut log, text, salt as u64) {
                    Ok((entry, to)) => {
                        written.push(entry);
                        pending.extend(to);
                    }
                    Err(AppendError::FlushFirst { .. }) => {}
                    Err(error) => panic!("{error}"),
                },
                Act::Flush => {
                    for (slot, sector) in core::mem::take(&mut pending) {
                        sectors[slot as usize] = sector;
                    }
                    log.flushed(log.mark());
                    durable = written.len();
                }
                Act::Cut { through, bytes } => {
                    for (at, (slot, sector)) in core::mem::take(&mut pending).into_iter().enumerate() {
                        let bytes = if through >> (at % 64) & 1 == 1 { SECTOR } else { bytes[at % bytes.len()] };
                        sectors[slot as usize][..bytes].copy_from_slice(&sector[..bytes]);
                    }
                    let (opened, found) = open(&sectors);
                    prop_assert!(!matches!(opened.found, Found::Damaged { .. }), "{:?}", opened.found);
                    let last = opened.log.sequence() as usize;
                    prop_assert!(last >= durable, "{durable} were durable, {last} are there");
                    prop_assert!(last <= written.len());
                    written.truncate(last);
                    prop_assert!(is_end(&found, &written));
                    // Entries are missing only if the file is nearly full.
                    let taken: usize = found.iter().map(|(w, _)| sectors_of(w.text.len()).unwrap()).sum();
                    prop_assert!(found.len() == written.len() || taken + 3 * SMALL.unflushed as usize >= sectors.len());
                    durable = written.len();
                    log = opened.log;
                }
            }
        }
    }

    #[test]
    fn whatever_the_file_holds_it_is_opened_or_refused_and_no_entry_is_new(
        changes in prop::collection::vec((0usize..48, 0usize..SECTOR, any::<u8>()), 0..12),
        moves in prop::collection::vec((0usize..48, 0usize..48), 0..4),
        texts in prop::collection::vec(0usize..1200, 0..40),
    ) {
        let mut sectors = empty();
        let mut log = open(&sectors).0.log;
        let mut written = Vec::new();
        for (salt, text) in texts.into_iter().enumerate() {
            written.push(write(&mut sectors, &mut log, text, salt as u64));
        }
        for (slot, byte, value) in changes {
            sectors[slot][byte] = value;
        }
        for (from, to) in moves {
            sectors[to] = sectors[from];
        }
        if let Ok((opened, found)) = open_for(&sectors, SMALL, DEVICE) {
            prop_assert!(found.iter().all(|(entry, _)| written.contains(entry)));
            let mut log = opened.log;
            // The log can be written afterwards.
            write(&mut sectors, &mut log, 10, 77);
        }
    }
}
