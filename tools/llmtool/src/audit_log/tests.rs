mod attested;

use ed25519_dalek::{Signer as _, SigningKey};
use log_export::{AttestationLine, Ending, Line, Opening};
use proptest::prelude::*;
use protocol::attest::Attestation;
use protocol::hash::Hash;
use protocol::name::{ModelName, Nonce, UserName};
use protocol::record::{Kind, Record};

use super::export::entry_hash;
use super::{Export, Finding, attest, verify};

type Log = Vec<(Record, Vec<u8>)>;

/// Recomputes the links, as audit does when it appends the entries.
fn link(log: &mut Log, anchor: Hash, first: u64) {
    let mut previous = anchor;
    for (i, (record, text)) in log.iter_mut().enumerate() {
        record.sequence = first + i as u64;
        record.previous = previous;
        record.text_bytes = text.len() as u32;
        previous = entry_hash(record, text);
    }
}

/// A boot, a login, a request with text in several scripts, its end, and a refusal.
fn log() -> Log {
    let mut log = vec![
        (Record::new(Kind::Boot), Vec::new()),
        (Record::new(Kind::Login), Vec::new()),
        (
            Record::new(Kind::Admit),
            "say \"é\"\n\t猫 😀".as_bytes().to_vec(),
        ),
        (Record::new(Kind::Finish), Vec::new()),
        (Record::new(Kind::Refuse), Vec::new()),
    ];
    for (i, (record, _)) in log.iter_mut().enumerate() {
        record.time_us = 1000 * i as u64;
        record.user = UserName::new("guest").unwrap();
    }
    for (record, _) in &mut log[2..4] {
        record.request = 7;
        record.session = 1;
        record.turn = 1;
        record.prompt_sha256 = [0xAB; 32];
        record.model_sha256 = [0x5C; 32];
        record.params.sampling.seed = 42;
    }
    log[3].0.output_sha256 = [0xE7; 32];
    log[3].0.adapter_sha256 = [0x3D; 32];
    log[3].0.train.rank = 4;
    log[4].0.name = ModelName::new("default").unwrap();
    link(&mut log, [0; 32], 1);
    log
}

fn line((record, text): &(Record, Vec<u8>)) -> String {
    Line { record, text }.to_string()
}

fn opening(log: &Log) -> String {
    let opening = Opening {
        anchor: log[0].0.previous,
        first: log[0].0.sequence,
    };
    opening.to_string()
}

fn head(log: &Log) -> Hash {
    let (record, text) = log.last().unwrap();
    entry_hash(record, text)
}

fn ending(log: &Log) -> String {
    let ending = Ending {
        head: head(log),
        entries: log.len() as u64,
        filtered: false,
    };
    ending.to_string()
}

fn lines(log: &Log) -> Vec<String> {
    let mut lines = vec![opening(log)];
    lines.extend(log.iter().map(line));
    lines.push(ending(log));
    lines
}

fn findings(lines: &[String]) -> Vec<Finding> {
    verify(&Export::read(lines.join("\r\n").as_bytes()), None)
}

#[test]
fn a_sound_export_holds_with_whatever_a_console_prints_around_it() {
    let log = log();
    let console = format!(
        "sel4-llm is ready. Type 'help'.\r\nllm> llmctl audit --json\r\n{}\r\nllm> llmstats --json\r\n{{\"uptime_us\":1}}\r\n",
        lines(&log).join("\r\n")
    );
    let export = Export::read(console.as_bytes());
    assert_eq!(verify(&export, None), []);
    assert_eq!(export.entries.len(), 5);
    assert_eq!(export.entries[2].text, log[2].1);
    // After a prompt, with the line ends of a file.
    let bare = format!("llm> {}\n", lines(&log).join("\n"));
    assert_eq!(verify(&Export::read(bare.as_bytes()), None), []);
}

#[test]
fn an_export_of_the_newest_entries_holds_from_its_anchor() {
    let newest = log().split_off(2);
    assert_eq!(findings(&lines(&newest)), []);
}

#[test]
fn every_bit_flip_of_an_export_is_found() {
    // An admission with text, an end, and a refusal, starting from an anchor, so that no member is trivial.
    let export = lines(&log().split_off(2)).join("\r\n") + "\r\n";
    let mut bytes = export.into_bytes();
    for bit in 0..8 * bytes.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let found = verify(&Export::read(&bytes), None);
        assert!(
            !found.is_empty(),
            "bit {bit}: {}",
            String::from_utf8_lossy(&bytes)
        );
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn every_cut_is_found() {
    let whole = lines(&log()).join("\r\n");
    for end in 0..whole.len() {
        let found = verify(&Export::read(&whole.as_bytes()[..end]), None);
        assert!(!found.is_empty(), "{end} bytes");
    }
}

#[test]
fn a_change_names_its_entry_whatever_field_it_is_in() {
    type Change = fn(&mut Record);
    let changes: [Change; 12] = [
        |r| r.code ^= 1,
        |r| r.kv_type ^= 1,
        |r| r.numerics ^= 1,
        |r| r.request ^= 1,
        |r| r.user = UserName::new("admin").unwrap(),
        |r| r.session ^= 1,
        |r| r.turn ^= 1,
        |r| r.params.sampling.seed ^= 1,
        |r| r.output_sha256[31] ^= 1,
        |r| r.latency_us ^= 1,
        |r| r.value ^= 1,
        |r| r.kind = Kind::Cancel as u16,
    ];
    let whole = log();
    for (c, change) in changes.into_iter().enumerate() {
        for i in 0..whole.len() {
            let mut lines = lines(&whole);
            let (mut record, text) = whole[i].clone();
            change(&mut record);
            lines[i + 1] = line(&(record, text));
            let expected = Finding::Changed {
                line: i + 2,
                sequence: i as u64 + 1,
                holder: match i + 1 == whole.len() {
                    true => "the closing line".to_owned(),
                    false => format!("entry {}", i + 2),
                },
            };
            assert_eq!(
                findings(&lines),
                [expected],
                "change {c} of entry {}",
                i + 1
            );
        }
    }
    // If the hash of the predecessor is changed, the predecessor cannot be checked.
    let mut lines = lines(&whole);
    let (mut record, text) = whole[3].clone();
    record.previous[0] ^= 1;
    lines[4] = line(&(record, text));
    let found = findings(&lines);
    assert!(
        matches!(
            found[..],
            [
                Finding::Unchecked { sequence: 3, .. },
                Finding::Changed { sequence: 4, .. }
            ]
        ),
        "{found:?}"
    );
}

#[test]
fn a_missing_entry_is_named() {
    let whole = log();
    for i in 0..whole.len() {
        let mut lines = lines(&whole);
        lines.remove(i + 1);
        let found = findings(&lines);
        let number = i as u64 + 1;
        let (from, to) = (number, number);
        let expected = match i + 1 == whole.len() {
            true => Finding::CutOff { from, to },
            false => Finding::Missing { from, to },
        };
        assert!(found.contains(&expected), "{found:?}");
        assert!(!found.iter().any(|f| matches!(f, Finding::Changed { .. })));
    }
}

#[test]
fn a_log_whose_end_was_cut_off_cleanly_is_known_by_its_head_alone() {
    let whole = log();
    let known = head(&whole);
    let mut shorter = whole.clone();
    shorter.pop();
    // Nothing shows that there was more.
    let export = Export::read(lines(&shorter).join("\n").as_bytes());
    assert_eq!(verify(&export, None), []);
    let unknown = Finding::UnknownHead { head: known };
    assert_eq!(verify(&export, Some(&known)), [unknown]);
    // An older head vouches for the entries before it.
    let export = Export::read(lines(&whole).join("\n").as_bytes());
    assert_eq!(verify(&export, Some(&head(&shorter))), []);
    // A log that was forged as a whole.
    let mut forged = whole;
    forged[1].0.user = UserName::new("admin").unwrap();
    link(&mut forged, [0; 32], 1);
    let export = Export::read(lines(&forged).join("\n").as_bytes());
    assert_eq!(verify(&export, None), []);
    assert_eq!(verify(&export, Some(&known)).len(), 1);
}

#[test]
fn a_moved_entry_is_named_and_the_others_are_not() {
    let whole = log();
    for from in 0..whole.len() {
        for to in 0..whole.len() {
            if from.abs_diff(to) < 2 {
                continue;
            }
            let mut lines = lines(&whole);
            let moved = lines.remove(from + 1);
            lines.insert(to + 1, moved);
            let expected = Finding::Reordered {
                line: to + 2,
                sequence: from as u64 + 1,
            };
            assert_eq!(findings(&lines), [expected], "{from} to {to}");
        }
    }
    for i in 1..whole.len() {
        let mut lines = lines(&whole);
        lines.swap(i, i + 1);
        let found = findings(&lines);
        assert!(
            matches!(found[..], [Finding::Reordered { .. }]),
            "{found:?}"
        );
    }
}

#[test]
fn an_inserted_entry_is_named() {
    let whole = log();
    for i in 0..whole.len() {
        let mut forged = whole[i].clone();
        forged.0.value = 99;
        for (before, place) in [(true, i + 1), (false, i + 2)] {
            let mut lines = lines(&whole);
            lines.insert(place, line(&forged));
            let found = findings(&lines);
            let at = place + 1;
            let named = found.iter().any(|finding| {
                matches!(finding, Finding::Inserted { line, sequence, .. }
                    if *line == at && *sequence == i as u64 + 1)
            });
            assert!(named, "entry {} {before}: {found:?}", i + 1);
        }
    }
    // After the newest entry, with the next number.
    let mut longer = whole.clone();
    longer.push((Record::new(Kind::Boot), Vec::new()));
    link(&mut longer, [0; 32], 1);
    let mut lines = lines(&whole);
    lines.insert(6, line(&longer[5]));
    let found = findings(&lines);
    assert!(
        matches!(found[0], Finding::Inserted { sequence: 6, .. }),
        "{found:?}"
    );
    // After the closing line.
    let mut lines = self::lines(&whole);
    lines.push(line(&longer[5]));
    assert_eq!(findings(&lines), [Finding::Outside { line: 8 }]);
}

#[test]
fn a_filtered_export_and_two_exports_are_refused() {
    let log = log();
    let mut filtered = lines(&log);
    filtered[6] = filtered[6].replace("false", "true");
    assert_eq!(findings(&filtered), [Finding::Filtered]);
    let mut twice = lines(&log);
    twice.extend(lines(&log));
    assert!(findings(&twice).contains(&Finding::SecondOpening { line: 8 }));
    assert!(findings(&[]).contains(&Finding::NoOpening));
}

#[test]
fn fields_that_say_the_same_must_agree() {
    let log = log();
    for (from, to, sequence) in [
        ("\"event\":\"admit\"", "\"event\":\"boot\"", 3),
        ("\\u00e9", "\\u00E9", 3),
        ("\\u00e9", "é", 3),
        ("\"time_us\":3000", "\"time_us\": 3000", 4),
        ("\"time_us\":3000", "\"time_us\":3000.0", 4),
        ("e7e7", "E7e7", 4),
    ] {
        let mut lines = lines(&log);
        let changed = &mut lines[sequence];
        assert!(changed.contains(from), "{changed}");
        *changed = changed.replacen(from, to, 1);
        let found = findings(&lines);
        let named = found.iter().any(|finding| match finding {
            Finding::Altered { sequence: s, .. } => *s == sequence as u64,
            Finding::Unreadable { sequence: s, .. } => *s == Some(sequence as u64),
            _ => false,
        });
        assert!(named, "{from} {to}: {found:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..30),
        sequence in any::<u64>(),
    ) {
        let mut log = log();
        log[2].0.sequence = sequence;
        let mut bytes = lines(&log).join("\n").into_bytes();
        let len = bytes.len();
        for (index, byte) in changes {
            bytes[index.index(len)] = byte;
        }
        let _ = verify(&Export::read(&bytes), None);
    }
}

#[test]
fn entries_about_adapters_say_what_came_of_what() {
    let shown = |change: fn(&mut Record), kind| {
        let mut record = Record::new(kind);
        record.name = ModelName::new("moral").unwrap();
        change(&mut record);
        let entry = super::export::ExportedEntry {
            line: 1,
            hash: [0; 32],
            record,
            text: Vec::new(),
        };
        super::show::Shown(&entry).to_string()
    };
    let tune = shown(
        |record| {
            (record.code, record.value, record.prompt_bytes) = (1, 4_200, 1_000);
            record.train = protocol::wire::TrainParams::default();
        },
        Kind::Tune,
    );
    assert!(
        tune.ends_with(
            "moral, 1000 bytes of data from the store, rank 4, alpha 8, 3 epochs, rate 0.001, attention, seed 42, at \
             most 4200 tokens"
        ),
        "{tune}"
    );
    let tuned = shown(
        |record| {
            (record.code, record.value, record.limit) = (1, 5_000, 1_250_000);
            (record.prompt_tokens, record.generated_tokens) = (4_000, 30);
            record.adapter_sha256 = [0xAB; 32];
        },
        Kind::Tuned,
    );
    let said = format!(
        "moral, 30 steps, 4000 tokens, loss 1.250, 5000 bytes, SHA-256 {}",
        "ab".repeat(32)
    );
    assert!(tuned.ends_with(&said), "{tuned}");
    let stopped = shown(|record| record.code = 4, Kind::Tuned);
    assert!(stopped.ends_with("loss 0.000, cancelled"), "{stopped}");
    let dropped = shown(|record| record.code = 2, Kind::DropAdapter);
    assert!(dropped.ends_with("moral, made on the device"), "{dropped}");
}

#[test]
fn a_fault_is_shown_in_the_words_of_the_console() {
    let shown = |code| {
        let mut record = Record::new(Kind::Fault);
        (record.code, record.value, record.limit) = (code, 0x1000, 0x20);
        let entry = super::export::ExportedEntry {
            line: 1,
            hash: [0; 32],
            record,
            text: Vec::new(),
        };
        super::show::Shown(&entry).to_string()
    };
    for (code, expected) in [
        (1, "a memory fault at address 0x1000 (instruction 0x20)"),
        (7, "inference did not answer by its deadline"),
        (99, "kind 99 at address 0x1000"),
    ] {
        let line = shown(code);
        assert!(line.ends_with(expected), "{line}");
    }
}

fn device() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

#[test]
fn times_begin_anew_at_a_boot_alone() {
    let mut log = log();
    log[3].0 = Record::new(Kind::Boot);
    link(&mut log, [0; 32], 1);
    // Entries after the boot are later than it.
    assert_eq!(findings(&lines(&log)), []);
    log[3].0 = Record::new(Kind::Login);
    link(&mut log, [0; 32], 1);
    let [Finding::Time { sequence: 4, .. }] = findings(&lines(&log))[..] else {
        panic!("an entry is earlier than the one before it");
    };
}
