//! The red team's results on each board and in the simulation: a file of rows for each, and one table of all.
//!
//! A row is a line of four cells, separated by tabs: the attacker, the attack's name, what it does, and the outcome.

use std::fmt::Write as _;

/// Indices of a row's cells.
const NAME: usize = 1;
const SEEN: usize = 3;
const CELLS: usize = 4;

/// The cell of a board on which the attack was not made.
const NOT_MADE: &str = "not made";

fn rows(file: &str) -> impl Iterator<Item = Vec<&str>> {
    let cells = file.lines().map(|line| line.split('\t').collect());
    cells.filter(|cells: &Vec<&str>| cells.len() == CELLS)
}

/// The rows of a file after another run, which may have made only some of the attacks: its rows replace those of the
/// same attacks.
#[must_use]
pub fn merge(old: &str, new: &str) -> String {
    let again = |name: &str| rows(new).find(|row| row[NAME] == name);
    let known = |name: &str| rows(old).any(|row| row[NAME] == name);
    let kept = rows(old).map(|row| again(row[NAME]).unwrap_or(row));
    let added = rows(new).filter(|row| !known(row[NAME]));
    let mut text = String::new();
    for row in kept.chain(added) {
        text += &row.join("\t");
        text.push('\n');
    }
    text
}

/// One table of several files, each with its heading. Rows are in the order of the first file; rows that it does not
/// have follow.
#[must_use]
pub fn table(files: &[(String, String)]) -> String {
    let mut text = String::from("| by | attack | what it does |");
    for (heading, _) in files {
        // Writing to a string cannot fail.
        let _ = write!(text, " {heading} |");
    }
    text += "\n|---|---|---|";
    text += &"---|".repeat(files.len());
    text.push('\n');
    let mut done: Vec<&str> = Vec::new();
    for row in files.iter().flat_map(|(_, file)| rows(file)) {
        let [by, name, does, _] = row[..] else {
            continue;
        };
        if done.contains(&name) {
            continue;
        }
        done.push(name);
        let seen: Vec<Option<&str>> = files
            .iter()
            .map(|(_, file)| rows(file).find(|row| row[NAME] == name))
            .map(|row| row.map(|row| row[SEEN]))
            .collect();
        let _ = write!(text, "| {by} | `{name}` | {does} |");
        for (at, cell) in seen.iter().enumerate() {
            let cell = match cell {
                None => NOT_MADE.to_owned(),
                Some(same) if at > 0 && seen[0] == Some(same) => "the same".to_owned(),
                Some(other) => other.replace('|', "\\|"),
            };
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_attacks_replaces_only_its_own_rows() {
        let old = "inference\tspin\tspins\told\nshell\tdie\tdies\tsilent\n";
        let new = "inference\tspin\tspins\tnew\ninference\tleap\tleaps\tfell\n";
        assert_eq!(
            merge(old, new),
            "inference\tspin\tspins\tnew\nshell\tdie\tdies\tsilent\ninference\tleap\tleaps\tfell\n"
        );
        assert_eq!(merge("", new), new);
        assert_eq!(merge(old, ""), old);
        assert_eq!(merge("damaged\n", new), new);
    }

    #[test]
    fn a_table_has_a_column_for_each_board_and_says_what_was_not_made() {
        let file = |heading: &str, text: &str| (heading.to_owned(), text.to_owned());
        let files = [
            file("one", "a\tx\tdoes x\tfell\na\ty\tdoes y\tp|q\n"),
            file("two", "a\tx\tdoes x\tfell\nb\tz\tdoes z\tstopped\n"),
        ];
        assert_eq!(
            table(&files),
            "| by | attack | what it does | one | two |\n\
             |---|---|---|---|---|\n\
             | a | `x` | does x | fell | the same |\n\
             | a | `y` | does y | p\\|q | not made |\n\
             | b | `z` | does z | not made | stopped |\n"
        );
    }
}
