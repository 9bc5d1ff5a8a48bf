//! Replays the seeds, and every input under `fuzz/corpus` (what the fuzzers kept) and `fuzz/found`
//! (what once broke something).

use std::fs;
use std::path::PathBuf;
use targets::{TARGETS, seeds};

#[test]
fn seeds_run() {
    let seeds = seeds::all();
    for (name, run) in TARGETS {
        let of_target: Vec<_> = seeds
            .iter()
            .filter(|(target, ..)| *target == name)
            .collect();
        assert!(!of_target.is_empty(), "{name} has no seed");
        for (_, _, bytes) in of_target {
            run(bytes);
            // Every way to cut it short, up to a limit.
            for end in (0..bytes.len()).step_by(bytes.len() / 64 + 1) {
                run(&bytes[..end]);
            }
        }
    }
}

#[test]
fn dialogs_by_dice_break_nothing() {
    for number in 0..150 {
        targets::files(&targets::files::by_dice(number));
    }
}

#[test]
fn the_corpus_runs() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz"));
    for (name, run) in TARGETS {
        let mut count = 0;
        for folder in ["corpus", "found"] {
            let Ok(entries) = fs::read_dir(root.join(folder).join(name)) else {
                continue;
            };
            for entry in entries {
                let path = entry.expect("an entry").path();
                let bytes = fs::read(&path).expect("a file");
                println!("{}", path.display());
                run(&bytes);
                count += 1;
            }
        }
        assert!(count > 0, "{name} has no corpus");
    }
}

#[test]
fn sound_seeds_are_taken() {
    use llm_core::quantize::TensorType;
    use llm_core::transformer::Checked;
    for ty in [TensorType::F32, TensorType::Q4_0] {
        Checked::new(&seeds::tiny_model(ty)).expect("a sound model");
    }
    let messages = seeds::all().into_iter().filter(|seed| seed.0 == "wire");
    let mut count = 0;
    for (_, name, bytes) in messages {
        assert_eq!(targets::parsed_messages(&bytes), 1, "{name}");
        count += 1;
    }
    assert!(count > 20, "{count} messages");
    for (name, dialog) in targets::files::seeds() {
        let (_, loads) = targets::files::played(&dialog);
        let expected = match name.as_str() {
            "honest-load" | "said-load" | "honest-go-on" | "honest-power" | "changed" => 1,
            "honest-two-loads" | "said-two-loads" => 2,
            _ => 0,
        };
        assert_eq!(loads, expected, "{name}");
    }
    for (name, mut disk) in targets::disk::seeds() {
        let files = storage::block_on(targets::disk::read_and_write(&mut disk));
        assert_eq!(files, Ok(3), "{name}");
    }
}
