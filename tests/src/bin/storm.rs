//! `storm`: many faults and hangs of inference. After each, the canonical prompt gives the same text as before and as
//! `llmtool`, and the shell answers. At the end the log has every fault with its cause and a recovery within a second,
//! and its chain is intact.
//!
//! The environment says how to start the system, as for the end-to-end suite: `SEL4_LLM_RUN_INJECT` and
//! `SEL4_LLM_LLMTOOL`. Its policy should have a short deadline, because each hang lasts that long. `make storm` sets
//! all of that.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use protocol::wire::FaultKind;
use sel4_llm_tests::export::{Entry, Table};
use sel4_llm_tests::live::Broken;
use sel4_llm_tests::llmtool_generate_with;
use sel4_llm_tests::scripted::Scripted;

/// Longest allowed recovery, in microseconds (1 s).
const RECOVERY_US: u64 = 1_000_000;

/// Faults between two exports of the log.
const STRETCH: usize = 50;

/// An address that inference must not write: that of the audit log, which inference does not map.
const FOREIGN: u64 = 0x1200_0000;

/// A misdeed: the prompt that triggers it and, unless they may vary, the end of its request and the cause in the log.
type Misdeed = (&'static str, Option<(&'static str, FaultKind)>);

/// Misdeeds of inference.
const MISDEEDS: [Misdeed; 4] = [
    ("!fault-write", Some((DIED, FaultKind::Memory))),
    ("!spin", Some((HUNG, FaultKind::Unresponsive))),
    ("!fpcr", Some((DIED, FaultKind::Memory))),
    ("!silent", Some((HUNG, FaultKind::Unresponsive))),
];

/// Misdeeds of its workers. If one hangs, inference gives it up and ends itself; after random bytes everywhere,
/// inference may fault before that, or lose count and be ended at its deadline.
const MISDEEDS_OF_WORKERS: [Misdeed; 4] = [
    ("!worker-write", Some((DIED, FaultKind::Memory))),
    ("!worker-spin", Some((DIED, FaultKind::Exception))),
    ("!worker-scribble", None),
    ("!worker-fpcr", Some((DIED, FaultKind::Memory))),
];

const DIED: &str = "error: inference crashed while handling the request";
const HUNG: &str = "error: inference did not answer in time and was stopped";

const PROMPT: &str = "Once upon a time";
/// Options of the canonical prompt. At this high temperature another rounding mode changes the text within these
/// tokens, whereas a greedy text would stay the same.
const OPTIONS: [&str; 6] = ["--max-tokens", "12", "--temperature", "1.5", "--seed", "3"];

/// How often in a row the canonical prompt may miss its deadline.
const TRIES: usize = 5;

/// Repeats faults and hangs.
#[derive(Debug, Parser)]
struct Arguments {
    /// Number of faults and hangs
    #[arg(long, default_value_t = 200)]
    faults: usize,
    /// The default model of the store
    #[arg(long)]
    model: PathBuf,
    /// Folder with the store's models, for the replay
    #[arg(long)]
    models: PathBuf,
    /// Make the workers misbehave instead of inference
    #[arg(long)]
    workers: bool,
    /// Folder for the log
    #[arg(long)]
    output: PathBuf,
}

impl Arguments {
    fn misdeed(&self, number: usize) -> Misdeed {
        match self.workers {
            false => MISDEEDS[number % MISDEEDS.len()],
            true => MISDEEDS_OF_WORKERS[number % MISDEEDS_OF_WORKERS.len()],
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let began = Instant::now();
    let mut table = Table::default();
    let result = storm(&arguments, &mut table);
    table.row("seconds", began.elapsed().as_secs());
    print!("{table}");
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("storm: {error}");
            ExitCode::FAILURE
        }
    }
}

fn storm(arguments: &Arguments, table: &mut Table) -> Result<(), Broken> {
    let model = arguments.model.to_string_lossy();
    let expected = llmtool_generate_with(&model, PROMPT, &OPTIONS);
    let mut console = Scripted::start(&[], &[])?;
    let mut late = canonical(&mut console, &expected, "the start")?;
    for number in 0..arguments.faults {
        let (prompt, expects) = arguments.misdeed(number);
        let line = format!("llminfer \"{prompt} {number}\" --max-tokens 4");
        let (_, closing) = console.infer(&line, None)?;
        let may = match expects {
            Some((ends_with, _)) => closing == ends_with,
            None => [DIED, HUNG].contains(&closing.as_str()),
        };
        if !may {
            return Err(Broken::Wrong(format!("{line:?} ends with {closing:?}")));
        }
        console.ask("whoami")?;
        late += canonical(&mut console, &expected, prompt)?;
        if number % STRETCH == STRETCH - 1 {
            console.checkpoint()?;
        }
    }
    let models = arguments.models.to_string_lossy();
    console.verdict(&arguments.output, &models, table)?;
    table.row("canonical outputs, all the same", arguments.faults + 1);
    table.row("canonical prompts past their deadline", late);
    check_log(&console.log.entries, arguments)?;
    console.live.end()
}

/// Checks the canonical prompt. Returns how often it missed the deadline on a busy machine, which leaves only the
/// beginning of the text.
fn canonical(console: &mut Scripted, expected: &str, after: &str) -> Result<usize, Broken> {
    let line = format!("llminfer \"{PROMPT}\" {}", OPTIONS.join(" "));
    for late in 0..TRIES {
        let (text, closing) = console.infer(&line, None)?;
        let text = text.trim_end_matches('\n');
        if text == expected && closing.starts_with("[12 tokens, ") {
            return Ok(late);
        }
        if !(expected.starts_with(text) && closing.starts_with("error: it took ")) {
            return Err(Broken::Wrong(format!(
                "after {after}: {text:?} {closing:?}, expected {expected:?}"
            )));
        }
    }
    Err(Broken::Wrong(format!(
        "after {after}: no text within the deadline"
    )))
}

/// Checks that each fault is in the log, in order, with its cause, and is followed by a timely recovery.
fn check_log(entries: &[Entry], arguments: &Arguments) -> Result<(), Broken> {
    let mut expected = (0..arguments.faults).map(|number| arguments.misdeed(number));
    let mut down: Option<&Entry> = None;
    for entry in entries {
        let wrong = |why: &str| Err(Broken::Wrong(format!("{why}: {entry:?}")));
        match entry.event.as_str() {
            "fault" => {
                if down.replace(entry).is_some() {
                    return wrong("a fault before the recovery from the previous one");
                }
                let Some((_, expects)) = expected.next() else {
                    return wrong("a fault that was not requested");
                };
                let Some((_, kind)) = expects else {
                    continue;
                };
                // The address of an exception comes from the processor, so any is accepted.
                let at = match kind {
                    FaultKind::Memory => FOREIGN,
                    FaultKind::Exception => entry.value,
                    _ => 0,
                };
                if (u32::from(entry.code), entry.value) != (kind as u32, at) {
                    return wrong("a fault other than the requested one");
                }
            }
            "recover" => {
                if down.take().is_none() {
                    return wrong("a recovery without a fault");
                }
                if entry.value > RECOVERY_US {
                    return wrong("a recovery of more than a second");
                }
            }
            _ => {}
        }
    }
    match (expected.next(), down) {
        (None, None) => Ok(()),
        (missing, down) => Err(Broken::Wrong(format!(
            "not all faults and recoveries are in the log: {missing:?}, {down:?}"
        ))),
    }
}
