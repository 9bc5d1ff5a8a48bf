//! Adapters: listing, loading, training, exporting.

mod tuning;

use super::harness::*;
use protocol::armour;
use protocol::hash::Hex;
use protocol::wire::client::{
    AdapterEntry, AdapterOrigin, Exported, Progress, Signature, Stage, Status, Training, Tuned,
};
use protocol::wire::{AdapterInfo, ModelInfo, TrainProgress};

fn training(step: u32, elapsed_us: u64) -> Training {
    Training {
        progress: TrainProgress {
            step,
            steps: 40,
            tokens: 100 * u64::from(step),
            loss: 1_234_567,
            longest: 87,
            alone: true,
        },
        elapsed_us,
    }
}

fn tuned() -> Tuned {
    Tuned {
        name: name("feelings"),
        sha256: [0xab; 32],
        file_bytes: 245_760,
        tokens: 4000,
        steps: 40,
        loss: 912_000,
        total_us: 12_340_000,
        ..Tuned::default()
    }
}

#[test]
fn a_request_names_its_adapter_and_a_refusal_does_too() {
    let mut system = System::plain();
    system.type_in(b"llminfer \"Once\" --adapter moral\n");
    let number = system.asked_for("128 \"\" [(Prompt, \"Once\")] with moral");
    system.fail(number, Failure::of(ErrorCode::AdapterNotLoaded), b"");
    assert_eq!(
        system.output(),
        "error: the adapter 'moral' is not loaded; load it with 'llmctl adapter load NAME'\n"
    );
}

#[test]
fn adapters_are_loaded_after_their_model_one_by_one_and_who_fails_is_named() {
    let mut system = System::plain();
    let line = "llmctl load tiny --adapter moral --adapter feelings --adapter tone";
    let number = system.request(line);
    assert_eq!(system.asked(), []);
    let model = ModelInfo {
        parameters: 7,
        ..ModelInfo::default()
    };
    let loaded = |name, info| Event::AdapterLoaded { name, info };
    system.say(
        number,
        &Event::Loaded {
            name: name("tiny"),
            info: model,
        },
    );
    let number = system.asked_for(r#"LoadAdapter { name: "moral" }"#);
    system.say(number, &loaded(name("moral"), AdapterInfo::default()));
    let number = system.asked_for(r#"LoadAdapter { name: "feelings" }"#);
    let failure = Failure::of(ErrorCode::OtherBase);
    system.fail(number, failure, b"");
    // The others are loaded all the same.
    let number = system.asked_for(r#"LoadAdapter { name: "tone" }"#);
    system.say(number, &loaded(name("tone"), AdapterInfo::default()));
    let output = system.output();
    let lines: Vec<_> = output.lines().collect();
    let [first, second, third, fourth] = lines[..] else {
        panic!("{output}");
    };
    assert!(first.starts_with("loaded tiny: 7 parameters"), "{output}");
    assert!(second.starts_with("loaded moral: "), "{output}");
    assert!(
        third.starts_with("error: feelings: the adapter was made for another model"),
        "{output}"
    );
    assert!(fourth.starts_with("loaded tone: "), "{output}");
    system.request("llmstats");
}

#[test]
fn a_model_that_is_not_loaded_or_a_ctrl_c_leaves_its_adapters_alone() {
    let mut system = System::terminal();
    system.type_in(b"llmctl load tiny --adapter moral\r");
    let number = system.asked()[0].0;
    system.fail(number, Failure::of(ErrorCode::NoSuchModel), b"");
    assert_eq!(system.asked(), []);

    system.type_in(b"llmctl load tiny --adapter moral --adapter feelings\r");
    system.asked();
    system.type_in(b"\x03");
    system.asked();
    // The next command has its own adapters.
    system.type_in(b"llmctl adapter load tone\r");
    let number = system.asked()[0].0;
    let info = AdapterInfo::default();
    let name = name("tone");
    system.say(number, &Event::AdapterLoaded { name, info });
    assert_eq!(system.asked(), []);
    assert!(system.output().contains("loaded tone: "));
}

#[test]
fn adapters_are_listed_with_what_is_known_of_them_and_completed() {
    let mut system = System::plain();
    let number = system.request("llmctl adapters");
    let entry = AdapterEntry {
        name: name("moral"),
        file_bytes: 4096,
        signature: Signature::Good,
        loaded: true,
        info: AdapterInfo {
            rank: 8,
            ..AdapterInfo::default()
        },
        base_sha256: [0xcd; 32],
        ..AdapterEntry::default()
    };
    system.say(number, &Event::Adapter(entry));
    let made = AdapterEntry {
        name: name("feelings"),
        file_bytes: 100,
        origin: AdapterOrigin::Device,
        ..AdapterEntry::default()
    };
    system.say(number, &Event::Adapter(made));
    system.say(number, &Event::Listed { count: 2 });
    assert_eq!(
        system.output(),
        "* moral (4096 bytes, signature good, rank 8, for the model cdcdcdcdcdcdcdcd)\n\
         \x20 feelings (100 bytes, made here)\n2 adapters; * is loaded\n"
    );

    let mut system = System::terminal();
    system.type_in(b"llmctl adapter drop f\t");
    let number = system.asked_for("Adapters");
    system.say(number, &Event::Adapter(made));
    system.say(number, &Event::Listed { count: 1 });
    system.type_in(b"\r");
    let number = system.asked_for("DropAdapter { name: \"feelings\" }");
    system.say(number, &Event::Done);
    assert!(system.output().contains("dropped feelings"));
    // It may have been the last one, so the list is requested again.
    system.type_in(b"llmctl adapter load f\t");
    system.asked_for("Adapters");
}

#[test]
fn a_loaded_adapter_says_what_it_is() {
    let mut system = System::plain();
    let number = system.request("llmctl adapter load moral");
    let info = AdapterInfo {
        rank: 8,
        alpha: 16_000_000,
        matrices: 28,
        parameters: 1000,
        bytes: 4096,
    };
    let name = name("moral");
    system.say(number, &Event::AdapterLoaded { name, info });
    assert_eq!(
        system.output(),
        "loaded moral: rank 8, alpha 16, 28 matrices, 1000 parameters, 4096 bytes\n"
    );
}

#[test]
fn an_export_is_the_armour_of_the_file_however_it_comes() {
    let file: Vec<u8> = (0..1000u32).map(|i| (i * 7 % 251) as u8).collect();
    let exported = Exported {
        name: name("feelings"),
        file_bytes: 1000,
        sha256: [1; 32],
        base_sha256: [2; 32],
        signature: [3; 64],
    };
    let mut outputs = Vec::new();
    for size in [1000, 57, 64, 1] {
        let mut system = System::plain();
        let number = system.request("llmctl adapter export feelings");
        let mut offset = 0;
        for bytes in file.chunks(size) {
            system.say(number, &Event::AdapterPart { offset, bytes });
            offset += bytes.len() as u64;
        }
        system.say(number, &Event::Exported(exported));
        outputs.push(system.output());
        system.request("llmstats");
    }
    assert!(outputs.windows(2).all(|two| two[0] == two[1]));
    let lines: Vec<&str> = outputs[0].lines().collect();
    assert_eq!(lines[0], armour::BEGIN);
    let body = &lines[1..lines.len() - 6];
    assert_eq!(body.len(), 1000usize.div_ceil(armour::LINE_BYTES));
    assert!(body.iter().all(|line| line.len() <= armour::COLUMNS));
    // The first bytes are 0, 7, 14, 21 …
    assert!(body[0].starts_with("AAcOFRwj"), "{}", body[0]);
    let tail = lines[lines.len() - 6..].join("\n");
    assert_eq!(
        tail,
        format!(
            "Name: feelings\nBytes: 1000\nSHA-256: {}\nBase-SHA-256: {}\nSignature: {}\n{}",
            Hex(&[1; 32]),
            Hex(&[2; 32]),
            Hex(&[3; 64]),
            armour::END
        )
    );
}

#[test]
fn an_export_that_is_not_whole_has_no_last_line() {
    let part = |offset| Event::AdapterPart {
        offset,
        bytes: &[7; 64],
    };
    let mut system = System::terminal();
    system.type_in(b"llmctl adapter export feelings\r");
    let number = system.asked()[0].0;
    system.say(number, &part(0));
    system.type_in(b"\x03");
    assert_eq!(system.asked(), [(number, "Cancel".to_string())]);
    system.say(number, &Event::Done);
    let output = system.output();
    assert!(
        output.contains("incomplete") && !output.contains(armour::END),
        "{output}"
    );

    let mut system = System::plain();
    let number = system.request("llmctl adapter export feelings");
    system.say(number, &part(0));
    system.say(number, &part(128));
    let output = system.output();
    assert!(
        output.contains("continues at byte 128, not 64") && !output.contains(armour::END),
        "{output}"
    );
    system.type_in(b"llmstats\n");
    let asked = system.asked();
    assert_eq!(asked[0], (number, "Cancel".to_string()));
    assert_eq!(asked.len(), 2, "{asked:?}");
}

#[test]
fn status_says_what_is_trained_and_what_is_loaded() {
    let mut system = System::plain();
    let number = system.request("llmctl status");
    system.say(
        number,
        &Event::Status(Status {
            adapters: 2,
            tuning: name("feelings"),
            training: training(10, 5_000_000),
            ..Status::default()
        }),
    );
    let output = system.output();
    for part in [
        "adapters     2 loaded",
        "fine-tuning  feelings: step 10 of 40, loss 1.234, 15 s left; requests for text are refused meanwhile",
        "\n  adapters  ",
        "\n  training  ",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
}
