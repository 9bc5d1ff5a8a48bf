//! Files, folders and make verbs that the documents mention exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The documents that guide readers through the code.
const DOCUMENTS: [&str; 10] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/isolation.md",
    "docs/operations.md",
    "docs/performance.md",
    "docs/porting.md",
    "docs/protocol.md",
    "clients/README.md",
];

/// Paths outside the repository: those of other repositories (docs/porting.md says which), and files that a run
/// creates.
const ELSEWHERE: [&str; 4] = [
    "fuzz/found",
    "tools/dts/imx8mp-evk.dts",
    "drivers/serial/imx",
    "drivers/timer/imx",
];

/// Quotations in backticks in a document, without code blocks.
fn quoted(document: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut is_block = false;
    // A quotation may wrap.
    let mut prose = String::new();
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        } else if !is_block && !line.starts_with("    ") {
            prose += line.trim();
            prose.push(' ');
        }
    }
    for (at, part) in prose.split('`').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        }
    }
    words
}

/// Names at the root that git tracks, as prefixes of paths.
fn tops() -> BTreeSet<String> {
    let entries = fs::read_dir(root()).expect("the root");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| !["target", "build", ".git"].contains(&name.as_str()))
        .collect()
}

/// Whether a quotation is a path in the repository: its first part is a name at the root, and no part is a placeholder.
fn is_path(word: &str, tops: &BTreeSet<String>) -> bool {
    let plain = |byte: char| byte.is_ascii_alphanumeric() || "_-./".contains(byte);
    let has_placeholder = word.split(['/', '.']).any(|part| {
        part.len() > 1 && part.chars().all(|letter| letter.is_ascii_uppercase()) && part != "README"
    });
    word.contains('/')
        && word.chars().all(plain)
        && !has_placeholder
        && tops.contains(word.split('/').next().unwrap_or_default())
}

#[test]
fn each_path_that_a_document_names_exists() {
    let tops = tops();
    let mut lost = Vec::new();
    let mut count = 0;
    for document in DOCUMENTS {
        let text = fs::read_to_string(root().join(document)).expect(document);
        for word in quoted(&text) {
            if is_path(&word, &tops) {
                count += 1;
                if !root().join(&word).exists() && !ELSEWHERE.contains(&word.as_str()) {
                    lost.push(format!("{document}: {word}"));
                }
            }
        }
    }
    assert!(count > 200, "{count} paths");
    assert!(lost.is_empty(), "{lost:#?}");
}

#[test]
fn each_verb_of_make_that_a_document_names_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("the Makefile");
    let verbs: BTreeSet<_> = makefile
        .lines()
        .filter_map(|line| line.split_once(": ; $(DO)"))
        .map(|(verb, _)| verb)
        .collect();
    let mut lost = Vec::new();
    let mut count = 0;
    for document in DOCUMENTS {
        let text = fs::read_to_string(root().join(document)).expect(document);
        for word in quoted(&text) {
            // `make VERB`, perhaps with variables; not `make -C`.
            let Some(verb) = word
                .strip_prefix("make ")
                .and_then(|rest| rest.split(' ').next())
            else {
                continue;
            };
            let is_verb = verb.chars().all(|letter| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-'
            });
            if is_verb && !verb.starts_with('-') {
                count += 1;
                if !verbs.contains(verb) && !["help", "verbs"].contains(&verb) {
                    lost.push(format!("{document}: make {verb}"));
                }
            }
        }
    }
    assert!(count > 50, "{count} verbs");
    assert!(lost.is_empty(), "{lost:#?}");
}
