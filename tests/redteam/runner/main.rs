//! The red team's runner: makes every attack on a hostile system, judges what is seen, and prints the table.
//!
//! The environment says what it attacks: `SEL4_LLM_REDTEAM` (the system with the hostile inference, as a command for a
//! shell), `SEL4_LLM_REDTEAM_SHELL` (the one with a hostile shell besides, if there is one), `SEL4_LLM_REDTEAM_ON` (`sel4`
//! or `simulation`), `SEL4_LLM_REDTEAM_TABLE` (the file that gets the table), `SEL4_LLM_REDTEAM_ONLY` (names of attacks,
//! with spaces; all where it is not set), `SEL4_LLM_LLMTOOL`.
//!
//! An attack has failed, as it should, only if what was seen is what the list says, if no other domain was harmed (the
//! counters of audit say so), and if the next honest request gives the canonical text and the log verifies.

mod inference;
mod shell;
mod system;

use std::fmt::Write as _;
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
    if std::env::var_os("SEL4_LLM_REDTEAM_SHELL").is_some() {
        verdicts.extend(shell::attack());
    }
    let broken = verdicts.iter().filter(|one| one.result.is_err()).count();
    let held = verdicts.len() - broken;
    if let Some(path) = std::env::var_os("SEL4_LLM_REDTEAM_TABLE") {
        std::fs::write(&path, table(&verdicts)).expect("the table is written");
    }
    let seconds = began.elapsed().as_secs();
    println!("red team on {on}: {held} held, {broken} broken, {seconds} s");
    match (broken, held) {
        (0, 1..) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn table(verdicts: &[Verdict]) -> String {
    let mut text =
        String::from("| by | attack | what it does | what was seen |\n|---|---|---|---|\n");
    for verdict in verdicts {
        let seen = match &verdict.result {
            Ok(seen) => seen.clone(),
            Err(wrong) => format!("**BROKEN**: {wrong}"),
        };
        let Verdict { by, name, does, .. } = verdict;
        let seen = seen.replace('|', "\\|").replace('\n', " ");
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {by} | `{name}` | {does} | {seen} |");
    }
    text
}
