//! Faults of the block device in QEMU, for `disk`'s own driver on seL4. `disk_broken` has these faults and more in the
//! simulation, which has another driver.
//!
//! `SEL4_LLM_RUN_DISK` starts the system; `SEL4_LLM_RUN_DISK_GO_ON` starts one whose policy lets it continue if the log
//! is lost.

use sel4_llm_tests::disk::{Drive, Image};
use sel4_llm_tests::live::{Answer, Live};
use sel4_llm_tests::llmtool_generate_with;
use std::time::Duration;

const REFUSES: &str = "SEL4_LLM_RUN_DISK";
const GOES_ON: &str = "SEL4_LLM_RUN_DISK_GO_ON";
const ADMIN: &str = "login admin\nsel4";
const LOAD: &str = "llmctl load disk/tales";
const ASK: &str = "llminfer \"Once upon a time\" --max-tokens 4 --temperature 0";
const NO_LOG: &str = "nothing is admitted, because the audit log cannot be written to the disk";
const IO_ERROR: &str = "the disk reports an error at sector";

/// How long audit waits for an answer of files, plus as much for everything else.
const AUDITS_BOUND: Duration = Duration::from_secs(20);

fn text() -> String {
    let options = ["--max-tokens", "4", "--temperature", "0"];
    llmtool_generate_with("models/default.gguf", "Once upon a time", &options)
}

fn image() -> Image {
    let image = Image::create(&["--size", "8MiB", "--log-size", "1MiB"]);
    image.add(&["tales=models/tiny-f32.gguf"]);
    image
}

fn start(variable: &str, drive: &Drive) -> Live {
    let mut live = Live::start_on(variable, drive).expect("a system");
    live.run(ADMIN).expect("a login");
    live
}

fn says(live: &mut Live, line: &str, words: &str) -> Answer {
    let answer = live.run(line).expect("an answer");
    assert!(answer.text.contains(words), "{line}: {}", answer.text);
    answer
}

#[test]
fn a_device_that_is_read_only_has_its_models_and_no_log() {
    let image = image();
    let before = std::fs::read(image.path()).unwrap();
    let mut live = start(REFUSES, &image.read_only());
    says(&mut live, "llmctl models", "disk/tales (1163008 bytes");
    for line in [LOAD, "llmctl load default", ASK] {
        says(&mut live, line, NO_LOG);
    }
    live.end().expect("an end");
    let mut live = start(GOES_ON, &image.read_only());
    says(&mut live, LOAD, "loaded disk/tales:");
    says(&mut live, "llmctl load default", "loaded default:");
    says(&mut live, ASK, &text());
    live.end().expect("an end");
    assert!(std::fs::read(image.path()).unwrap() == before);
}

#[test]
fn a_device_that_fails_to_write_has_its_models_and_no_text_without_a_record() {
    let image = image();
    let mut live = start(REFUSES, &image.failing("write"));
    says(&mut live, "llmctl models", "disk/tales (1163008 bytes");
    for line in [LOAD, ASK] {
        let answer = says(&mut live, line, NO_LOG);
        assert!(answer.text.contains(IO_ERROR), "{}", answer.text);
    }
    live.end().expect("an end");
}

#[test]
fn a_device_that_fails_to_flush_counts_as_one_that_fails_to_write() {
    let image = image();
    let mut live = start(REFUSES, &image.failing("flush"));
    let answer = says(&mut live, ASK, NO_LOG);
    assert!(
        answer.text.contains("the disk reports an error"),
        "{}",
        answer.text
    );
    live.end().expect("an end");
}

#[test]
fn a_device_that_fails_to_read_is_named_and_the_store_serves() {
    let image = image();
    let mut live = start(GOES_ON, &image.failing("read"));
    says(&mut live, LOAD, IO_ERROR);
    says(&mut live, "llmctl load tiny", "loaded tiny:");
    says(&mut live, "llmctl load default", "loaded default:");
    says(&mut live, ASK, &text());
    live.end().expect("an end");
}

#[test]
fn a_flush_that_never_ends_costs_audits_bound_once_and_models_go_on() {
    let image = image();
    let drive = image.stoppable();
    let mut live = start(GOES_ON, &drive);
    says(&mut live, ASK, &text());
    drive.stops_at("flush_to_disk");
    let first = says(&mut live, ASK, &text());
    assert!(first.took < AUDITS_BOUND, "{:?}", first.took);
    // Audit has given up files.
    let second = says(&mut live, ASK, &text());
    assert!(
        second.took < first.took,
        "{:?}, {:?}",
        first.took,
        second.took
    );
    says(&mut live, LOAD, "the domain 'files' has not answered");
    says(&mut live, "llmctl load tiny", "loaded tiny:");
    live.end().expect("an end");
}
