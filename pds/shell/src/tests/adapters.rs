//! Adapters: listing, loading, training, exporting.

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
fn a_fine_tuning_shows_its_plan_its_progress_and_what_came_out() {
    let mut system = System::plain();
    let number = system.request("llmfinetune feelings --epochs 2");
    let progress = |done| {
        Event::Progress(Progress {
            stage: Stage::Verifying,
            done,
            total: 5000,
        })
    };
    system.say(number, &progress(0));
    system.say(number, &progress(5000));
    for (step, seconds) in [(0, 0), (1, 1), (20, 10), (40, 20)] {
        let training = training(step, seconds * 1_000_000);
        system.say(number, &Event::Training(training));
    }
    system.say(number, &Event::Tuned(tuned()));
    assert_eq!(
        system.output(),
        "verifying the data, 5000 bytes\n\
         fine-tuning: 40 steps, the longest example has 87 tokens; requests for text are refused until it is over: memory \
         does not allow both\n\
         training  [############-------------]  50 %  step 20 of 40, loss 1.234, 10 s left\n\
         training  [#########################] 100 %  step 40 of 40, loss 1.234, 0 s left\n\
         made the adapter feelings: 40 steps, 4000 tokens, loss 0.912, 12.34 s; 245760 bytes, sha256 abababababababab\n\
         it is loaded: llminfer \"...\" --adapter feelings\n\
         the next boot forgets it; 'llmctl adapter export feelings' prints it for 'llmtool adapter import'\n"
    );
    system.request("llmstats");
}

#[test]
fn a_fine_tuning_that_is_not_loaded_says_why() {
    let mut system = System::plain();
    let number = system.request("llmfinetune feelings");
    let not_loaded = Some(ErrorCode::TooManyAdapters);
    system.say(
        number,
        &Event::Tuned(Tuned {
            not_loaded,
            ..tuned()
        }),
    );
    assert!(system.output().contains("it is not loaded: "));
}

#[test]
fn of_a_system_with_a_disk_it_says_what_the_adapter_is_called_there_or_why_it_is_not() {
    let mut system = System::plain();
    let mut says = |tuned: Tuned| {
        system.type_in(b"llmfinetune disk/feelings\r");
        let number = system.asked()[0].0;
        system.say(number, &Event::Tuned(tuned));
        system.output()
    };
    let said = says(Tuned {
        on_disk: name("disk/feelings"),
        ..tuned()
    });
    assert!(
        said.contains(
            "it is on the disk, signed by this device: the next boot has it as disk/feelings"
        ),
        "{said}"
    );
    assert!(!said.contains("the next boot forgets it"), "{said}");
    let said = says(Tuned {
        not_on_disk: Some(ErrorCode::DiskFailed),
        disk_value: 77,
        ..tuned()
    });
    assert!(
        said.contains("it was not written to the disk: the disk reports an error at sector 77"),
        "{said}"
    );
    assert!(said.contains("the next boot forgets it"), "{said}");
}

#[test]
fn on_a_terminal_progress_is_one_line() {
    let mut system = System::terminal();
    system.type_in(b"llmfinetune examples\r");
    let number = system.asked()[0].0;
    system.output();
    for step in 0..4 {
        let training = training(step, 1_000_000 * u64::from(step));
        system.say(number, &Event::Training(training));
    }
    let output = system.output();
    assert_eq!(output.matches('\n').count(), 2, "the plan: {output}");
    assert_eq!(output.matches("training  [").count(), 4);
    assert!(
        output.contains("step 3 of 40, loss 1.234, 37 s left"),
        "{output}"
    );
}

#[test]
fn ctrl_c_ends_a_fine_tuning_and_a_second_one_does_not_wait_for_its_end() {
    let mut system = System::terminal();
    system.type_in(b"llmfinetune examples\r");
    let number = system.asked()[0].0;
    system.say(number, &Event::Training(training(1, 1)));
    system.type_in(b"\x03");
    assert_eq!(system.asked(), [(number, "Cancel".to_string())]);
    system.fail(number, Failure::of(ErrorCode::Cancelled), b"");
    assert!(system.output().contains("nothing of it is kept"));

    system.type_in(b"llmfinetune examples\r");
    let number = system.asked()[0].0;
    system.type_in(b"\x03\x03");
    assert!(system.output().ends_with("^C\r\n\x1b[1mllm> \x1b[0m"));
    system.say(number, &Event::Tuned(tuned()));
    assert!(!system.output().contains("made"), "nobody waits for it");
}

#[test]
fn a_fine_tuning_that_fails_says_what_it_is_about() {
    for (failure, detail, expected) in [
        (
            Failure::of(ErrorCode::NoSuchData),
            "",
            "no data 'tales' in the store",
        ),
        (
            Failure::over(ErrorCode::BadData, 3, 0),
            "line 3 is not an example: no answer",
            "the data cannot be used: line 3 is not an example: no answer",
        ),
        (
            Failure::over(ErrorCode::TrainMemory, 9_000_000, 4_000_000),
            "examples of 90 tokens fit",
            "needs 9000000 bytes, 4000000 are free: examples of 90 tokens fit",
        ),
        (
            Failure::over(ErrorCode::NotPermitted, 4, 0),
            "",
            "you need the permission 'fine-tune', which the role of 'guest' does not have",
        ),
        (
            Failure::of(ErrorCode::InferenceFault),
            "",
            "inference crashed while handling the request",
        ),
    ] {
        let mut system = System::plain();
        let number = system.request("llmfinetune tales");
        system.fail(number, failure, detail.as_bytes());
        let output = system.output();
        assert!(output.contains(expected), "{output}");
    }
}

#[test]
fn examples_go_to_audit_as_lines_of_json() {
    let mut system = System::plain();
    system.type_in(
        "llmfinetune --example \"The \\\"fox\\\" said\\n\" --answer ' joy é'\n".as_bytes(),
    );
    let number = system.asked_for(r#"Example {"prompt":"The \"fox\" said\n","answer":" joy é"}"#);
    let examples = |count, bytes| Event::Examples {
        count,
        bytes,
        limit: 65_536,
    };
    system.say(number, &examples(2, 99));
    assert_eq!(
        system.output(),
        "2 examples, 99 of 65536 bytes; 'llmfinetune examples' learns them\n"
    );
    let number = system.request("llmfinetune --drop-examples");
    system.say(number, &examples(0, 0));
    assert_eq!(
        system.output(),
        "no examples; there is room for 65536 bytes\n"
    );

    system.type_in(b"llmfinetune --example 'a\xffb'\n");
    assert!(system.asked().is_empty());
    assert!(system.output().contains("look at byte 1"));
    system.type_in(format!("llmfinetune --example '{}'\n", "\\".repeat(4200)));
    assert!(system.asked().is_empty());
    assert!(system.output().contains("the example has 8411 bytes"));
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
