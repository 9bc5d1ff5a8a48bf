//! Fine-tuning.

use super::*;

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
