//! `docs/glossary.md` agrees with the code: each name in its last column is an identifier in the place beside it, each
//! term appears once and in order, and no two terms explain the same identifier.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A row of one of the page's tables.
struct Row {
    section: String,
    term: String,
    /// Places in the code, with the identifiers that should be there.
    places: Vec<(String, Vec<String>)>,
}

/// The text in backticks in a cell.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether this is a file or folder, not an identifier: a path, or the folder of a crate at the root.
fn is_path(name: &str) -> bool {
    name.contains('/') || name.contains('.') || root().join(name).exists()
}

fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(root().join("docs/glossary.md")).expect("the page");
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.to_owned();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, term, _, code, _] = cells[..] else {
            assert!(!line.starts_with('|'), "a row has three cells: {line}");
            continue;
        };
        if term == "term" || term.starts_with("--") {
            continue;
        }
        let mut places: Vec<(String, Vec<String>)> = Vec::new();
        for name in quoted(code) {
            // The name of an XML element precedes its file.
            if name.starts_with('<') {
                continue;
            }
            match places.last_mut() {
                _ if is_path(name) => places.push((name.to_owned(), Vec::new())),
                Some((_, names)) => names.push(name.to_owned()),
                None => panic!("{term}: no place is named before {name}"),
            }
        }
        rows.push(Row {
            section: section.clone(),
            term: term.to_owned(),
            places,
        });
    }
    rows
}

/// Whether the code under `path` declares this identifier.
fn declares(path: &Path, name: &str) -> bool {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("a directory");
        return entries
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.is_dir() || path.extension().is_some_and(|it| it == "rs"))
            .any(|path| declares(&path, name));
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let words = [
        "struct", "enum", "trait", "fn", "const", "type", "union", "mod",
    ];
    let declared = |line: &str| {
        let tokens = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        let tokens: Vec<&str> = tokens.filter(|token| !token.is_empty()).collect();
        let mut pairs = tokens.windows(2);
        if pairs.any(|pair| words.contains(&pair[0]) && pair[1] == name) {
            return true;
        }
        // A variant, a field, or a message of a `messages!` table.
        let line = line.trim_start().trim_start_matches("pub ");
        let line = match line.split_once(' ') {
            Some((number, rest)) if number.starts_with("0x") => rest,
            _ => line,
        };
        let after = line.strip_prefix(name);
        after.is_some_and(|rest| rest.starts_with([':', ',', '(', ' ']) || rest.is_empty())
    };
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .any(declared)
}

#[test]
fn every_name_of_the_glossary_is_declared_where_it_says() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for row in rows() {
        for (place, names) in &row.places {
            let path = root().join(place);
            if !path.exists() {
                wrong.push(format!("{}: there is no {place}", row.term));
                continue;
            }
            for name in names {
                checked += 1;
                if !declares(&path, name) {
                    wrong.push(format!("{}: {place} declares no {name}", row.term));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 60, "only {checked} names were found");
}

#[test]
fn terms_are_sorted_and_there_once() {
    let rows = rows();
    let mut terms = BTreeMap::new();
    for row in &rows {
        if let Some(other) = terms.insert(row.term.to_lowercase(), &row.section) {
            panic!("{} is in {other:?} and in {:?}", row.term, row.section);
        }
    }
    for pair in rows.windows(2) {
        let [first, second] = pair else { continue };
        assert!(
            first.section != second.section
                || first.term.to_lowercase() <= second.term.to_lowercase(),
            "{} stands before {}",
            first.term,
            second.term
        );
    }
}

/// Two terms for one thing would give it two names.
#[test]
fn no_two_terms_explain_the_same_identifier() {
    let mut explained: BTreeMap<(String, String), String> = BTreeMap::new();
    for row in rows() {
        for (place, names) in row.places {
            for name in names {
                let key = (place.clone(), name.clone());
                if let Some(other) = explained.insert(key, row.term.clone()) {
                    panic!("{other} and {} are both {name} in {place}", row.term);
                }
            }
        }
    }
}
