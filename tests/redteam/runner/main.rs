//! The red team's runner: makes every attack on a hostile system, judges what is seen, and prints the table.
//!
//! The environment says what it attacks: `SEL4_LLM_REDTEAM` (the system with the hostile inference, as a command for a
//! shell), `SEL4_LLM_REDTEAM_SHELL` (the one with a hostile shell besides, if there is one), `SEL4_LLM_REDTEAM_CLIENTS` (the
//! one with a hostile client beside an honest shell), `SEL4_LLM_REDTEAM_FILES` (the one with a disk and a hostile files),
//! `SEL4_LLM_REDTEAM_ON` (`sel4` or `simulation`),
//! `SEL4_LLM_BOARD` (the board's name), `SEL4_LLM_REDTEAM_OUT` (the folder that gets the table), `SEL4_LLM_REDTEAM_ONLY` (names of attacks,
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

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
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
    let mut verdicts = inference::attack(&on);
    verdicts.extend(trainings::attack());
    verdicts.extend(answers::attack());
    if std::env::var_os("SEL4_LLM_REDTEAM_SHELL").is_some() {
        verdicts.extend(shell::attack());
    }
    if std::env::var_os("SEL4_LLM_REDTEAM_CLIENTS").is_some() {
        verdicts.extend(clients::attack(&on));
    }
    if std::env::var_os("SEL4_LLM_REDTEAM_FILES").is_some() {
        verdicts.extend(files::attack());
    }
    let broken = verdicts.iter().filter(|one| one.result.is_err()).count();
    let held = verdicts.len() - broken;
    // A part of the attacks leaves the tables of all of them alone.
    let whole = std::env::var_os("SEL4_LLM_REDTEAM_ONLY").is_none();
    if let Some(folder) = std::env::var_os("SEL4_LLM_REDTEAM_OUT").filter(|_| whole) {
        let folder = Path::new(&folder);
        let file = folder.join(format!("{on}.tsv"));
        std::fs::write(file, rows(&verdicts)).expect("the folder can be written");
        let file = folder.join("results.md");
        std::fs::write(file, table(folder)).expect("the folder can be written");
    }
    let seconds = began.elapsed().as_secs();
    println!("red team on {on}: {held} held, {broken} broken, {seconds} s");
    match (broken, held) {
        (0, 1..) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// A line for each attack that was made here.
fn rows(verdicts: &[Verdict]) -> String {
    let row = |verdict: &Verdict| {
        let seen = match &verdict.result {
            Ok(seen) => seen.clone(),
            Err(wrong) => format!("**BROKEN**: {wrong}"),
        };
        let Verdict { by, name, does, .. } = verdict;
        let seen = seen.replace(['\n', '\t'], " ");
        format!("{by}\t{name}\t{does}\t{seen}\n")
    };
    verdicts.iter().map(row).collect()
}

/// What was seen on both runtimes, as far as the folder has it.
fn table(folder: &Path) -> String {
    let read = |on| std::fs::read_to_string(folder.join(on)).unwrap_or_default();
    let (sel4, simulation) = (read("sel4.tsv"), read("simulation.tsv"));
    let cells = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
    let simulated: Vec<_> = simulation.lines().map(cells).collect();
    let mut text = String::from(
        "| by | attack | what it does | on seL4 | in the simulation |\n|---|---|---|---|---|\n",
    );
    let attacked: Vec<_> = sel4.lines().map(cells).collect();
    // Those of the simulation alone come behind.
    let is_new = |row: &&Vec<String>| !attacked.iter().any(|other| other.get(1) == row.get(1));
    let simulated_alone = simulated.iter().filter(is_new).map(|row| match &row[..] {
        [by, name, does, _] => [by, name, does, "not made"].map(str::to_owned).to_vec(),
        _ => Vec::new(),
    });
    for row in attacked.iter().cloned().chain(simulated_alone) {
        let [by, name, does, seen] = &row[..] else {
            continue;
        };
        let other = simulated.iter().find(|other| other.get(1) == Some(name));
        let other = match other.and_then(|other| other.get(3)) {
            None => "not made",
            Some(same) if same == seen => "the same",
            Some(other) => other,
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {by} | `{name}` | {does} | {} | {} |",
            seen.replace('|', "\\|"),
            other.replace('|', "\\|")
        );
    }
    text
}
