//! Checks of the console's output, and of a system without a log.

use super::*;

pub(super) fn text() -> String {
    let options = ["--max-tokens", "4", "--temperature", "0"];
    llmtool_generate_with("models/default.gguf", "Once upon a time", &options)
}

pub(super) fn has(session: &Session, parts: &[&str]) {
    for part in parts {
        assert!(session.output.contains(part), "{part}: {}", session.output);
    }
    assert_eq!(session.status, Some(0), "{}", session.output);
}

/// Checks that the output has each of these errors once, on a separate line.
pub(super) fn is_said_once(session: &Session, words: &str) {
    let lines = session.output.lines();
    let said: Vec<_> = lines.filter(|line| line.contains(words)).collect();
    assert!(
        said.len() == 1 && said[0].starts_with("error: "),
        "{words}: {}",
        session.output
    );
}

/// Checks that the store's models work, whatever the disk.
pub(super) fn the_store_serves(session: &Session) {
    has(
        session,
        &[
            "  tiny (1163008 bytes",
            "loaded tiny:",
            "loaded default:",
            &text(),
        ],
    );
}

/// Checks that none of this many requests is admitted, each error gives the reason, and the model loaded at boot stays.
pub(super) fn nothing_is_admitted(session: &Session, requests: usize, why: &str) {
    has(session, &["* default (", "  tiny (1163008 bytes"]);
    let said = format!("error: {NO_LOG}{why}");
    assert_eq!(
        session.output.matches(&said).count(),
        requests,
        "{}",
        session.output
    );
    let told = format!("audit: {NO_LOG}{why}");
    assert_eq!(session.output.matches(&told).count(), 1, "at boot");
    let is_load = |line: &&str| line.starts_with("loading");
    assert_eq!(
        session.output.lines().filter(is_load).count(),
        1,
        "{}",
        session.output
    );
    assert!(!session.output.contains("loaded "), "{}", session.output);
}
