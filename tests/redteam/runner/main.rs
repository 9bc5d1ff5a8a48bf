//! The red team's runner: makes every attack on a hostile system, judges what is seen, and prints the table.
//!
//! The environment says what it attacks: `SEL4_LLM_REDTEAM` (the system with the hostile inference, as a command for a
//! shell, if there is one), `SEL4_LLM_REDTEAM_SHELL` (the one with a hostile shell besides, if there is one), `SEL4_LLM_REDTEAM_CLIENTS` (the
//! one with a hostile client beside an honest shell), `SEL4_LLM_REDTEAM_FILES` (the one with a disk, which
//! is `$DISK` there, and a hostile files), `SEL4_LLM_DEVICE` (the key of its device), `SEL4_LLM_REDTEAM_ON` (`sel4` or `simulation`),
//! `SEL4_LLM_BOARD` (the board's name), `SEL4_LLM_REDTEAM_OUT` (the folder that gets what was seen), `SEL4_LLM_REDTEAM_ONLY` (names of attacks,
//! with spaces; all where it is not set), `SEL4_LLM_LLMTOOL`.
//!
//! An attack has failed, as it should, only if what was seen is what the list says, if no other domain was harmed (the
//! counters of audit say so), and if the next honest request gives the canonical text and the log verifies.

mod answers;
mod board;
mod clients;
mod files;
mod inference;
mod shell;
mod system;
mod trainings;

use sel4_llm_tests::attacked::Run;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// What became of an attack.
pub(crate) struct Verdict {
    by: &'static str,
    name: &'static str,
    does: &'static str,
    /// What was seen, or what was wrong.
    result: Result<String, String>,
}

/// Whether an attack is to be made.
pub(crate) fn wanted(name: &str) -> bool {
    let only = std::env::var("SEL4_LLM_REDTEAM_ONLY").unwrap_or_default();
    only.is_empty() || only.split_whitespace().any(|wanted| wanted == name)
}

impl Verdict {
    pub(crate) fn new(
        by: &'static str,
        name: &'static str,
        does: &'static str,
        result: Result<String, String>,
    ) -> Self {
        match &result {
            Ok(seen) => println!("held    {by}: {name}: {seen}"),
            Err(wrong) => println!("BROKEN  {by}: {name}: {wrong}"),
        }
        Self {
            by,
            name,
            does,
            result,
        }
    }
}

fn main() -> ExitCode {
    // `cargo test` passes arguments of its own.
    let on = std::env::var("SEL4_LLM_REDTEAM_ON").expect("run this through make redteam");
    let began = Instant::now();
    let mut verdicts = Vec::new();
    if std::env::var_os("SEL4_LLM_REDTEAM").is_some() {
        verdicts.extend(inference::attack(&on));
        verdicts.extend(trainings::attack());
        verdicts.extend(answers::attack());
    }
    if std::env::var_os("SEL4_LLM_REDTEAM_SHELL").is_some() {
        verdicts.extend(shell::attack());
    }
    if std::env::var_os("SEL4_LLM_REDTEAM_CLIENTS").is_some() {
        verdicts.extend(clients::attack(&on));
    }
    if std::env::var_os("SEL4_LLM_REDTEAM_FILES").is_some() {
        verdicts.extend(files::attack(&on));
    }
    let broken = verdicts.iter().filter(|one| one.result.is_err()).count();
    let held = verdicts.len() - broken;
    if let Some(folder) = std::env::var_os("SEL4_LLM_REDTEAM_OUT") {
        keep(Path::new(&folder), &on, &verdicts);
    }
    let seconds = began.elapsed().as_secs();
    println!("red team on {on}: {held} held, {broken} broken, {seconds} s");
    match (broken, held) {
        (0, 1..) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Writes down what was seen. A part of the attacks has a file of its own, which gathers parts until all are made again.
fn keep(folder: &Path, on: &str, verdicts: &[Verdict]) {
    let all = ["SEL4_LLM_REDTEAM", "SEL4_LLM_REDTEAM_CLIENTS"];
    let is_whole = all.iter().all(|one| std::env::var_os(one).is_some())
        && std::env::var_os("SEL4_LLM_REDTEAM_ONLY").is_none();
    let (whole, part) = ["", "-part"]
        .map(|suffix| folder.join(format!("{on}{suffix}.tsv")))
        .into();
    let mut run = Run {
        rows: rows(verdicts),
        is_whole,
    };
    let file = match is_whole {
        true => {
            let _ = std::fs::remove_file(part);
            whole
        }
        false => {
            let before = std::fs::read_to_string(&part).unwrap_or_default();
            let mut gathered = Run::from_text(&before, false).rows;
            gathered.retain(|old| !run.rows.iter().any(|new| new[1] == old[1]));
            gathered.append(&mut run.rows);
            run.rows = gathered;
            part
        }
    };
    std::fs::write(file, run.to_text()).expect("the folder can be written");
}

/// A row for each attack that was made here.
fn rows(verdicts: &[Verdict]) -> Vec<[String; 5]> {
    let day = today();
    let row = |verdict: &Verdict| {
        let seen = match &verdict.result {
            Ok(seen) => seen.clone(),
            Err(wrong) => format!("**BROKEN**: {wrong}"),
        };
        let Verdict { by, name, does, .. } = verdict;
        [*by, *name, *does, &*seen, &*day].map(str::to_owned)
    };
    verdicts.iter().map(row).collect()
}

/// As `2026-01-31`, in UTC.
fn today() -> String {
    let date = Command::new("date").args(["-u", "+%F"]).output();
    let date = date.expect("date says which day it is");
    String::from_utf8_lossy(&date.stdout).trim().to_owned()
}
