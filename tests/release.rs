//! The changelog contains the version and the format numbers of this tree.

use std::path::Path;

/// The text of the newest version in CHANGELOG.md, and its heading.
fn newest() -> (String, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../CHANGELOG.md");
    let text = std::fs::read_to_string(path).expect("the changelog");
    let (_, rest) = text.split_once("\n## ").expect("a version");
    let (heading, rest) = rest.split_once('\n').expect("its text");
    let body = rest.split("\n## ").next().unwrap_or_default();
    // Lines may wrap anywhere.
    let words: Vec<&str> = body.split_whitespace().collect();
    (heading.to_owned(), words.join(" "))
}

#[test]
fn the_newest_version_of_the_changelog_has_the_numbers_of_this_tree() {
    let (heading, body) = newest();
    let numbers = format!(
        "Formats: policy {}, wire protocol {}, records of the log {}, arithmetic (`NUMERICS_VERSION`) {}.",
        protocol::policy::POLICY_VERSION,
        protocol::VERSION,
        protocol::record::RECORD_VERSION,
        llm_core::NUMERICS_VERSION,
    );
    assert!(body.contains(&numbers), "{heading}: {numbers}\n{body}");
}

/// Between releases the tree has the version of the last one, and the changelog has that of the next.
#[test]
fn a_version_that_is_released_is_that_of_the_crates() {
    let (heading, _) = newest();
    let (version, when) = heading
        .split_once(", ")
        .expect("VERSION, DATE or not released");
    let ours = env!("CARGO_PKG_VERSION");
    match when {
        "not released" => assert_ne!(version, ours),
        _ => assert_eq!(version, ours),
    }
}
