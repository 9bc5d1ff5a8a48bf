//! The red team's runner: makes every attack on a hostile system, judges the outcome, and prints the table.
//!
//! The environment says what to attack: `SEL4_LLM_REDTEAM` (the system with the hostile inference server, as a shell
//! command), `SEL4_LLM_REDTEAM_SHELL` (the one that also has a hostile shell, if there is one),
//! `SEL4_LLM_REDTEAM_CLIENTS` (the one with a hostile client beside an honest shell), `SEL4_LLM_REDTEAM_FILES` (the one
//! with a hostile files domain and a disk, whose image is `$DISK`), `SEL4_LLM_REDTEAM_CORES` (the one on several cores,
//! with hostile workers), `SEL4_LLM_DEVICE` (the key of its device), `SEL4_LLM_REDTEAM_ON` (`sel4` or `simulation`),
//! `SEL4_LLM_BOARD` (the board's name), `SEL4_LLM_REDTEAM_OUT` (the folder for the results, in one file for each board
//! and one for the simulation), `SEL4_LLM_REDTEAM_ONLY` (names of attacks, separated by spaces; all if it is not set),
//! `SEL4_LLM_LLMTOOL`. With `SEL4_LLM_REDTEAM_TABLE` (such a folder) it attacks nothing: it adopts the rows of the
//! other folder, and prints the table.
//!
//! An attack counts as held only if the outcome is what the list requires, if no other domain was harmed (according to
//! audit's counters), and if the next honest request gives the canonical text and the log verifies.

mod answers;
mod board;
mod clients;
mod files;
mod inference;
mod shell;
mod system;
mod trainings;
mod workers;

use sel4_llm_tests::results::{merge, table};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// The result of an attack.
pub(crate) struct Verdict {
    by: &'static str,
    name: &'static str,
    does: &'static str,
    /// What was seen, or what was wrong.
    result: Result<String, String>,
}

/// Whether an attack was selected.
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

/// The name of the runtime that is not a board.
const SIMULATION: &str = "simulation";

fn main() -> ExitCode {
    if let Some(folder) = std::env::var_os("SEL4_LLM_REDTEAM_TABLE") {
        let folder = Path::new(&folder);
        if let Some(seen) = std::env::var_os("SEL4_LLM_REDTEAM_OUT") {
            take_over(Path::new(&seen), folder);
        }
        print_table(folder);
        return ExitCode::SUCCESS;
    }
    // `cargo test` passes its own arguments.
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
    if std::env::var_os("SEL4_LLM_REDTEAM_CORES").is_some() {
        verdicts.extend(workers::attack(&on));
    }
    let broken = verdicts.iter().filter(|one| one.result.is_err()).count();
    let held = verdicts.len() - broken;
    // Results on seL4 belong to one board.
    let place = if on == "sel4" { board::name() } else { &on };
    if let Some(folder) = std::env::var_os("SEL4_LLM_REDTEAM_OUT") {
        let file = Path::new(&folder).join(format!("{place}.tsv"));
        // If only some of the attacks were made, the rows of the others are kept.
        let all = ["SEL4_LLM_REDTEAM", "SEL4_LLM_REDTEAM_CLIENTS"];
        let is_whole = all.iter().all(|one| std::env::var_os(one).is_some())
            && std::env::var_os("SEL4_LLM_REDTEAM_ONLY").is_none();
        let old = match std::fs::read_to_string(&file) {
            Ok(old) if !is_whole => old,
            _ => String::new(),
        };
        let all = merge(&old, &rows(&verdicts));
        std::fs::write(file, all).expect("the folder can be written");
    }
    let seconds = began.elapsed().as_secs();
    println!("red team on {place}: {held} held, {broken} broken, {seconds} s");
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

/// The names of the result files in a folder.
fn results_in(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder)
        .expect("a folder with results")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".tsv")?.to_owned()))
        .collect()
}

/// Adopts new results into a folder of results.
fn take_over(seen: &Path, folder: &Path) {
    for name in results_in(seen) {
        let file = format!("{name}.tsv");
        let new = std::fs::read_to_string(seen.join(&file)).expect("a file of results");
        let old = std::fs::read_to_string(folder.join(&file)).unwrap_or_default();
        std::fs::write(folder.join(file), merge(&old, &new)).expect("the folder can be written");
    }
}

/// Prints the table of all results in a folder: the default board, the other boards, the simulation.
fn print_table(folder: &Path) {
    let mut names = results_in(folder);
    let usual = sysdesc::Board::usual().name;
    names.sort_by_key(|name| (name == SIMULATION, *name != usual, name.clone()));
    let files: Vec<_> = names
        .into_iter()
        .map(|name| {
            let file = folder.join(format!("{name}.tsv"));
            let text = std::fs::read_to_string(file).expect("a file of results");
            let heading = match name.as_str() {
                SIMULATION => "in the simulation".to_owned(),
                board => format!("on seL4, `{board}`"),
            };
            (heading, text)
        })
        .collect();
    print!("{}", table(&files));
}
