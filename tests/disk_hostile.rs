//! A hostile domain instead of `files` (`gremlin`, from `tests/redteam/files`), in the simulation. Whatever it does, a
//! load ends with one error, the model in service stays, and the system keeps working.
//!
//! `SEL4_LLM_RUN_DISK_HOSTILE` starts it.

use sel4_llm_tests::disk::{Image, session_of};
use sel4_llm_tests::{Session, llmtool_generate_with};

const ADMIN: &str = "login admin\nsel4\n";
const ASK: &str = "llminfer \"Once upon a time\" --max-tokens 6 --temperature 0\n";

fn session(input: &str) -> Session {
    let image = Image::create(&["--size", "4MiB", "--log-size", "1MiB"]);
    session_of("SEL4_LLM_RUN_DISK_HOSTILE", &image, input)
}

/// The text of the model in the store, which must have stayed in service.
fn expected() -> String {
    let options = ["--max-tokens", "6", "--temperature", "0"];
    llmtool_generate_with("models/default.gguf", "Once upon a time", &options)
}

fn errors(session: &Session) -> Vec<&str> {
    let lines = session.output.lines();
    lines.filter(|line| line.starts_with("error: ")).collect()
}

#[test]
fn other_bytes_sizes_and_errors_end_a_load_and_nothing_else() {
    let loads = [
        "files-wrong-bytes",
        "files-zeros",
        "files-shrinks",
        "files-absurd-size",
        "files-device-error",
        "nothing",
    ];
    let mut script = ADMIN.to_owned();
    for name in loads {
        script += &format!("llmctl load disk/{name}\n{ASK}");
    }
    script += "llmctl load disk/tales\nllmctl load default\n";
    let session = session(&script);
    let errors = errors(&session);
    assert_eq!(errors.len(), loads.len(), "{}", session.output);
    for (error, words) in errors.iter().zip([
        "signature",
        "signature",
        "when it was read",
        "there is room for",
        "the disk reports an error",
        "the disk has no file",
    ]) {
        assert!(error.contains(words), "{error}");
    }
    let text = expected();
    assert_eq!(
        session.output.matches(&text).count(),
        loads.len(),
        "{}",
        session.output
    );
    assert!(
        session.output.contains("loaded disk/tales:"),
        "{}",
        session.output
    );
    assert_eq!(session.status, Some(0));
}

#[test]
fn after_too_many_wrong_answers_the_disk_is_given_up_and_the_system_serves_on() {
    let mut script = ADMIN.to_owned();
    for name in [
        "files-other-place",
        "files-grows",
        "files-other-kind",
        "files-other-number",
        "files-other-place",
        "files-no-message",
        "files-twice",
        "tales",
    ] {
        script += &format!("llmctl load disk/{name}\n");
    }
    script += "llmctl models\nllmctl load tiny\nllmctl load default\n";
    script += ASK;
    script += "llmctl audit\n";
    let session = session(&script);
    let text = expected();
    for part in [
        "has sent answers to questions that were not asked",
        "so the disk is not used any more until the next boot",
        "loaded tiny:",
        "loaded default:",
        "the domain 'files' broke the protocol",
        &text,
    ] {
        assert!(session.output.contains(part), "{part}: {}", session.output);
    }
    assert!(
        !session.output.contains("loaded disk/"),
        "{}",
        session.output
    );
    assert_eq!(session.status, Some(0));
}

#[test]
fn silence_is_given_up_after_its_time() {
    let script = format!(
        "{ADMIN}llmctl load disk/files-silence\nllmctl load disk/tales\n{ASK}llmctl load tiny\n"
    );
    let session = session(&script);
    let errors = errors(&session);
    assert_eq!(errors.len(), 2, "{}", session.output);
    for error in errors {
        assert!(error.contains("has not answered for 10"), "{error}");
    }
    let text = expected();
    assert!(session.output.contains(&text) && session.output.contains("loaded tiny:"));
    assert_eq!(session.status, Some(0));
}
