//! A failing disk, in the simulation: errors, short reads, an operation that never ends. Each is reported in one line,
//! the model in service stays, and audit waits no longer than its limit.

use sel4_llm_tests::disk::{Image, session_of};
use sel4_llm_tests::{Session, llmtool_generate_with};
use std::time::{Duration, Instant};

const RUN: &str = "SEL4_LLM_RUN_BROKEN_DISK";
const ADMIN: &str = "login admin\nsel4\n";
const ASK: &str = "llminfer \"Once upon a time\" --max-tokens 4 --temperature 0\n";
const NO_LOG: &str = "nothing is admitted, because the audit log cannot be written to the disk";

/// Longer than a boot and a load take together, including audit's limit of 10 s once.
const BOUND: Duration = Duration::from_secs(60);

fn text() -> String {
    let options = ["--max-tokens", "4", "--temperature", "0"];
    llmtool_generate_with("models/default.gguf", "Once upon a time", &options)
}

/// A disk with a model and a log, which fails in this way after this many operations.
fn image(how: &str, after: u32) -> Image {
    let image = Image::create(&["--size", "8MiB", "--log-size", "1MiB"]);
    image.add(&["tales=models/tiny-f32.gguf"]);
    let mut bytes = std::fs::read(image.path()).unwrap();
    let end = bytes.len();
    bytes.resize(end + 512, 0);
    let order = format!("{how} {after}");
    bytes[end..end + order.len()].copy_from_slice(order.as_bytes());
    std::fs::write(image.path(), bytes).unwrap();
    image
}

fn run(image: &Image, input: &str) -> Session {
    let began = Instant::now();
    let session = session_of(RUN, image, format!("{ADMIN}{input}"));
    let took = began.elapsed();
    assert_eq!(session.status, Some(0), "{}", session.output);
    assert!(took < BOUND, "{took:?}: {}", session.output);
    session
}

fn has(session: &Session, parts: &[&str]) {
    for part in parts {
        assert!(session.output.contains(part), "{part}: {}", session.output);
    }
}

/// The errors that were printed.
fn errors(session: &Session) -> Vec<&str> {
    let lines = session.output.lines();
    lines.filter(|line| line.starts_with("error: ")).collect()
}

/// Number of operations by the boot and the log before a model is loaded, measured with a working disk.
const LOAD: &str = "llmctl load disk/tales\n";

#[test]
fn a_disk_that_is_sound_serves_through_the_same_program() {
    let session = run(
        &image("sound", 0),
        &format!("{LOAD}llmctl load default\n{ASK}"),
    );
    has(
        &session,
        &["loaded disk/tales:", "loaded default:", &text()],
    );
    assert_eq!(errors(&session), [""; 0]);
}

#[test]
fn an_error_from_the_beginning_is_named_and_the_store_serves() {
    for how in ["error", "short"] {
        let session = run(
            &image(how, 0),
            &format!("llmctl models\n{LOAD}llmctl load tiny\nllmctl load default\n{ASK}"),
        );
        let errors = errors(&session);
        assert_eq!(errors.len(), 5, "the list, the loads, the text: {errors:?}");
        assert!(
            errors[1..].iter().all(|error| error.contains(NO_LOG)),
            "{errors:?}"
        );
        has(&session, &["* default (", "  tiny ("]);
        if how == "error" {
            let words = "the disk reports an error at sector";
            assert!(
                errors.iter().all(|error| error.contains(words)),
                "{errors:?}"
            );
        }
    }
}

#[test]
fn an_error_at_whatever_moment_ends_a_load_with_one_line_and_shows_inference_nothing() {
    // The device fails from various operations on: in the log, in the folders, in the file. Each time, only a complete
    // model is loaded.
    let (mut loads, mut refused) = (0, 0);
    for after in [20, 60, 100, 150, 200, 300, 600] {
        let session = run(
            &image("error", after),
            &format!("{LOAD}{LOAD}llmctl models\n"),
        );
        let loaded = session.output.matches("loaded disk/tales:").count();
        let errors = errors(&session);
        let words = "the disk reports an error at sector";
        assert!(
            errors.iter().all(|error| error.contains(words)),
            "after {after}: {errors:?}"
        );
        // Each load ends once; the list may fail, too.
        let of_loads = errors.len() + loaded;
        assert!(
            (2..=3).contains(&of_loads),
            "after {after}: {}",
            session.output
        );
        let in_service = if loaded > 0 {
            "* disk/tales ("
        } else {
            "* default ("
        };
        assert!(
            session.output.contains(in_service) || errors.len() + loaded == 3,
            "after {after}: {}",
            session.output
        );
        loads += loaded;
        refused += errors.len();
    }
    assert!(
        loads > 0 && refused > 0,
        "{loads} loaded, {refused} refused"
    );
}

#[test]
fn short_reads_that_nobody_reports_never_become_a_model() {
    for after in [100, 150, 200] {
        let session = run(&image("short", after), &format!("{LOAD}{LOAD}"));
        // A complete model has a valid signature; one with gaps does not.
        let loaded = session.output.matches("loaded disk/tales:").count();
        assert_eq!(
            loaded + errors(&session).len(),
            2,
            "after {after}: {}",
            session.output
        );
        assert!(loaded < 2, "after {after}: {}", session.output);
    }
}

#[test]
fn a_device_that_is_stuck_costs_audits_bound_once_and_is_named_then() {
    for after in [0, 120] {
        let session = run(
            &image("stuck", after),
            &format!("{LOAD}{LOAD}llmctl models\nllmctl load tiny\n{ASK}"),
        );
        has(&session, &["* default (", "  tiny ("]);
        let errors = errors(&session);
        assert_eq!(errors.len(), 5, "after {after}: {}", session.output);
        assert!(
            errors
                .iter()
                .all(|error| error.contains("the domain 'files' has not answered")),
            "after {after}: {errors:?}"
        );
    }
}

#[test]
fn a_disk_that_cannot_be_written_has_its_models_and_no_log() {
    let broken = image("read-only", 0);
    let before = std::fs::read(broken.path()).unwrap();
    let session = run(
        &broken,
        &format!("llmctl models\n{LOAD}llmctl load default\n{ASK}"),
    );
    has(&session, &["  disk/tales (1163008 bytes", "* default ("]);
    let errors = errors(&session);
    assert_eq!(errors.len(), 3, "two loads and a text: {errors:?}");
    assert!(
        errors.iter().all(|error| error.contains(NO_LOG)),
        "{errors:?}"
    );
    assert!(std::fs::read(broken.path()).unwrap() == before);
}

#[test]
fn a_disk_that_fails_to_write_has_its_models_and_no_text_without_a_record() {
    for after in [0, 100, 400] {
        let session = run(
            &image("write-error", after),
            &format!("{LOAD}{ASK}{ASK}{ASK}"),
        );
        let errors = errors(&session);
        let loaded = session.output.matches("loaded disk/tales:").count();
        let answered = session.output.matches("[4 tokens").count();
        assert_eq!(
            loaded + answered + errors.len(),
            4,
            "after {after}: {}",
            session.output
        );
        assert!(
            errors.iter().all(|error| error.contains(NO_LOG)),
            "{errors:?}"
        );
    }
}
