//! What the red team has seen, as rows: of a run, and of the table in `tests/redteam/results.md`.
//!
//! A run of all attacks replaces what the table has of its runtime. A run of some of them replaces their rows, and the others
//! stay as they were; each row says of which day it is.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The columns of the table.
const HEAD: &str = "| by | attack | what it does | on seL4 | in the simulation | seen on |\n|---|---|---|---|---|---|\n";
const NOT_MADE: &str = "not made";
const THE_SAME: &str = "the same";

/// Where attacks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// On seL4, in QEMU.
    Sel4,
    /// In the simulation.
    Simulation,
}

/// What was seen of an attack on a runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// In words.
    pub what: String,
    /// Of which day, as `2026-01-31`.
    pub on: String,
}

/// An attack and what was seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose it is.
    pub by: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub does: String,
    /// On seL4, and in the simulation.
    pub seen: [Option<Seen>; 2],
}

/// A run that was made: its rows, and whether it is all that there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Whose, name, what it does, what was seen, on which day.
    pub rows: Vec<[String; 5]>,
    /// Whether every attack was made.
    pub is_whole: bool,
}

impl Run {
    /// As lines of cells with tabs between them.
    #[must_use]
    pub fn to_text(&self) -> String {
        let line = |row: &[String; 5]| {
            let cells = row.each_ref().map(|cell| cell.replace(['\n', '\t'], " "));
            cells.join("\t") + "\n"
        };
        self.rows.iter().map(line).collect()
    }

    /// See [`Self::to_text`]; lines of another form are left out.
    #[must_use]
    pub fn from_text(text: &str, is_whole: bool) -> Self {
        let row = |line: &str| {
            let cells: Vec<_> = line.split('\t').map(str::to_owned).collect();
            cells.try_into().ok()
        };
        Self {
            rows: text.lines().filter_map(row).collect(),
            is_whole,
        }
    }
}

/// The rows of a table in Markdown.
#[must_use]
pub fn from_table(text: &str) -> Vec<Row> {
    let lines = text.lines().filter(|line| line.starts_with("| "));
    lines.skip(1).filter_map(row_of).collect()
}

fn row_of(line: &str) -> Option<Row> {
    let line = line.replace("\\|", "\u{0}");
    let cells: Vec<_> = line
        .split('|')
        .map(|cell| cell.trim().replace('\u{0}', "|"))
        .collect();
    let [_, by, name, does, sel4, simulation, on, _] = &cells[..] else {
        return None;
    };
    let (first, second) = on.split_once(", ").unwrap_or((on, on));
    let seen = |what: &str, on: &str| {
        (what != NOT_MADE).then(|| Seen {
            what: what.to_owned(),
            on: on.to_owned(),
        })
    };
    let simulation = match simulation.as_str() {
        THE_SAME => sel4,
        _ => simulation,
    };
    Some(Row {
        by: by.clone(),
        name: name.trim_matches('`').to_owned(),
        does: does.clone(),
        seen: [seen(sel4, first), seen(simulation, second)],
    })
}

/// Takes a run into the rows of a table. What is of a later day in the table stays.
pub fn merge(rows: &mut Vec<Row>, runtime: Runtime, run: &Run) {
    let place = runtime as usize;
    for [by, name, does, what, on] in &run.rows {
        let seen = Seen {
            what: what.clone(),
            on: on.clone(),
        };
        if let Some(row) = rows.iter_mut().find(|row| row.name == *name) {
            let is_newer = row.seen[place].as_ref().is_none_or(|old| old.on <= *on);
            if is_newer {
                row.does.clone_from(does);
                row.seen[place] = Some(seen);
            }
            continue;
        }
        let mut new = Row {
            by: by.clone(),
            name: name.clone(),
            does: does.clone(),
            seen: [None, None],
        };
        new.seen[place] = Some(seen);
        let last = rows.iter().rposition(|row| row.by == *by);
        rows.insert(last.map_or(rows.len(), |last| last + 1), new);
    }
    let day = run.rows.iter().map(|row| &row[4]).max();
    if let Some(day) = day.filter(|_| run.is_whole) {
        let made: BTreeSet<_> = run.rows.iter().map(|row| &row[1]).collect();
        for row in rows.iter_mut() {
            let is_gone = !made.contains(&row.name);
            row.seen[place].take_if(|seen| is_gone && seen.on <= *day);
        }
        rows.retain(|row| row.seen.iter().any(Option::is_some));
    }
}

/// The table in Markdown.
#[must_use]
pub fn to_table(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    for row in rows {
        let [sel4, simulation] = row.seen.each_ref().map(Option::as_ref);
        let what = |seen: Option<&Seen>| seen.map_or(NOT_MADE, |seen| &seen.what).to_owned();
        let same = sel4.is_some() && sel4.map(|it| &it.what) == simulation.map(|it| &it.what);
        let other = if same {
            THE_SAME.to_owned()
        } else {
            what(simulation)
        };
        let on = match (sel4, simulation) {
            (Some(first), Some(second)) if first.on != second.on => {
                format!("{}, {}", first.on, second.on)
            }
            (Some(one), _) | (None, Some(one)) => one.on.clone(),
            (None, None) => String::new(),
        };
        let [does, what, other] =
            [row.does.clone(), what(sel4), other].map(|cell| cell.replace('|', "\\|"));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | `{}` | {does} | {what} | {other} | {on} |",
            row.by, row.name
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rows: &[[&str; 5]], is_whole: bool) -> Run {
        Run {
            rows: rows.iter().map(|row| row.map(str::to_owned)).collect(),
            is_whole,
        }
    }

    fn table() -> Vec<Row> {
        let mut rows = Vec::new();
        let all = run(
            &[
                ["inference", "a", "does a | b", "dies", "2026-01-02"],
                ["files", "f", "does f", "fails", "2026-01-02"],
            ],
            true,
        );
        merge(&mut rows, Runtime::Sel4, &all);
        merge(&mut rows, Runtime::Simulation, &all);
        rows
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let mut rows = table();
        let part = run(&[["files", "g", "does g", "x", "2026-01-03"]], false);
        merge(&mut rows, Runtime::Simulation, &part);
        let text = to_table(&rows);
        assert!(text.contains("| files | `f` | does f | fails | the same | 2026-01-02 |\n"));
        assert!(text.contains("| does a \\| b | dies |"));
        assert_eq!(from_table(&text), rows);
        let all = run(&[["a", "b", "c", "d\te", "2026-01-02"]], true);
        let read = Run::from_text(&all.to_text(), true);
        assert_eq!(read.rows, [["a", "b", "c", "d e", "2026-01-02"]]);
    }

    #[test]
    fn a_part_replaces_its_rows_and_says_of_which_day_they_are() {
        let mut rows = table();
        let part = run(
            &[
                ["inference", "a", "does a", "is refused", "2026-02-01"],
                ["inference", "new", "does more", "dies", "2026-02-01"],
            ],
            false,
        );
        merge(&mut rows, Runtime::Sel4, &part);
        let text = to_table(&rows);
        assert!(text.contains("`a` | does a | is refused | dies | 2026-02-01, 2026-01-02 |"));
        let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["a", "new", "f"]);
        // What is older than the table changes nothing.
        let old = run(&[["inference", "a", "did a", "lived", "2025-12-31"]], false);
        merge(&mut rows, Runtime::Sel4, &old);
        assert_eq!(to_table(&rows), text);
    }

    #[test]
    fn a_whole_run_takes_away_what_is_no_attack_any_more() {
        let mut rows = table();
        let all = run(&[["files", "f", "does f", "fails", "2026-03-01"]], true);
        merge(&mut rows, Runtime::Sel4, &all);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].seen[0], None);
        merge(&mut rows, Runtime::Simulation, &all);
        assert_eq!(rows.len(), 1);
    }
}
