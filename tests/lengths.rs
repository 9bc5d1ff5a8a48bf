//! Every file is short enough to be read in one sitting. Longer ones are tables, listed here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The most lines of a file.
const MAX_LINES: usize = 450;

/// Longer files, and the table that each consists of.
const TABLES: [(&str, &str); 8] = [
    (
        "clients/c/tests/errors.c",
        "each mistake of a caller, and the error that it gives",
    ),
    (
        "pds/shell/src/text/failure.rs",
        "each code of an error, and its text",
    ),
    (
        "tests/redteam/attacks/src/list.rs",
        "each attack, and what must become of it",
    ),
    (
        "tools/isolation/tests/mutations/clients/harmful.rs",
        "changes of a system with two clients, and what refuses each",
    ),
    (
        "tools/isolation/tests/mutations/description.rs",
        "changes of a description, and what refuses each",
    ),
    (
        "tools/isolation/tests/mutations/pages.rs",
        "changes of an image's pages, and what refuses each",
    ),
    (
        "tools/isolation/tests/mutations/pins.rs",
        "changes of what the policy pins, and what refuses each",
    ),
    (
        "tools/llmtool/src/error.rs",
        "each error of the tool, and its text",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The repository's files of code, by path, with their numbers of lines.
fn lengths() -> BTreeMap<String, usize> {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "-z", "*.rs", "*.py", "*.c"])
        .current_dir(root())
        .output()
        .expect("git");
    let listed = String::from_utf8(listed.stdout).expect("paths in UTF-8");
    listed
        .split_terminator('\0')
        .filter_map(|path| {
            // A file that is deleted but not yet committed is listed as well.
            let bytes = std::fs::read(root().join(path)).ok()?;
            let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
            Some((path.to_owned(), lines))
        })
        .collect()
}

#[test]
fn no_file_is_longer_than_the_limit_unless_it_is_one_table() {
    let tables = BTreeMap::from(TABLES);
    let lengths = lengths();
    assert!(lengths.len() > 500, "only {} files found", lengths.len());
    let too_long: Vec<_> = lengths
        .iter()
        .filter(|(path, lines)| **lines > MAX_LINES && !tables.contains_key(path.as_str()))
        .collect();
    assert!(
        too_long.is_empty(),
        "longer than {MAX_LINES} lines: {too_long:#?}\nDivide them by topic. A file that is one table is listed in \
         {}, with the reason.",
        file!()
    );
}

#[test]
fn every_table_is_there_and_longer_than_the_limit() {
    let lengths = lengths();
    let needless: Vec<_> = TABLES
        .iter()
        .filter(|(path, _)| lengths.get(*path).is_none_or(|lines| *lines <= MAX_LINES))
        .collect();
    assert!(needless.is_empty(), "these need no entry: {needless:#?}");
}
