//! The attacks of a hostile files on the system with a disk. The console orders them: a load of `disk/NAME` is the attack of
//! that name.

use crate::system::System;
use crate::{Verdict, wanted};
use redteam_attacks::files::{ATTACKS, Attack, Disk, HONEST, Must};
use std::process::Command;
use std::time::{Duration, Instant};

const VARIABLE: &str = "SEL4_LLM_REDTEAM_FILES";

/// What is loaded in place of the honest one by `files-swap`.
const OTHER: &str = "models/default.gguf";

/// Attacks on one system. Audit gives a files up after eight answers that no honest one gives, and here each attack is to be
/// seen alone.
const OF_ONE_BOOT: usize = 5;

/// In this time whoever asks for a disk that is not used any more is told so: well below what audit waits for an answer.
const AT_ONCE: Duration = Duration::from_secs(4);

/// Longest that a load may take that files does not answer: audit's bound is 10 s, its clock has seconds, and the machine may
/// be busy.
const BOUND: Duration = Duration::from_secs(20);

pub(crate) fn attack() -> Vec<Verdict> {
    let mut bench: Option<System> = None;
    let mut verdicts = Vec::new();
    for attack in ATTACKS.iter().filter(|attack| wanted(attack.name)) {
        let mut system = bench.take().unwrap_or_else(|| System::boot(VARIABLE));
        let result = made(&mut system, attack);
        let is_over = verdicts.len() % OF_ONE_BOOT == OF_ONE_BOOT - 1;
        if result.is_ok() && attack.disk == Disk::GoesOn && !is_over {
            bench = Some(system);
        }
        verdicts.push(Verdict::new("files", attack.name, attack.does, result));
    }
    verdicts
}

fn check(holds: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong()) }
}

/// The one error that an answer has, which must say this.
fn one_error(answer: &str, words: &str) -> Result<String, String> {
    let errors: Vec<_> = answer
        .lines()
        .filter(|line| line.contains("error: "))
        .collect();
    check(errors.len() == 1 && errors[0].contains(words), || {
        format!("not one error that says '{words}': {answer:?}")
    })?;
    let (_, error) = errors[0].split_once("error: ").unwrap_or_default();
    Ok(error.trim().to_owned())
}

fn load(system: &mut System, name: &str) -> Result<String, String> {
    system.command(&format!("llmctl load disk/{name}"))
}

/// Loads the honest model, and then the one that was in service.
fn loads_honestly(system: &mut System) -> Result<(), String> {
    for name in [&format!("disk/{HONEST}"), "default"] {
        let answer = system.command(&format!("llmctl load {name}"))?;
        check(answer.contains(&format!("loaded {name}:")), || {
            format!("'{name}' does not load: {answer:?}")
        })?;
    }
    Ok(())
}

/// Makes an attack; what was seen, or what is wrong with it.
fn made(system: &mut System, attack: &Attack) -> Result<String, String> {
    let before = system.counters()?;
    let began = Instant::now();
    let answer = load(system, attack.name)?;
    let took = began.elapsed();
    check(took <= BOUND, || format!("an answer took {took:?}"))?;
    let seen = match attack.must {
        Must::Fail(words) => one_error(&answer, words)?,
        Must::FailLater(words) => {
            check(
                answer.contains(&format!("loaded disk/{}:", attack.name)),
                || format!("it does not load when it is read first: {answer:?}"),
            )?;
            let answer = load(system, attack.name)?;
            let seen = one_error(&answer, words)?;
            let answer = system.command("llmctl load default")?;
            check(answer.contains("loaded default:"), || {
                format!("the model before does not load: {answer:?}")
            })?;
            format!("first loaded, then: {seen}")
        }
        Must::FailList(words) => {
            let answer = system.command("llmctl models")?;
            one_error(&answer, words)?
        }
        Must::Swap => {
            check(
                answer.contains(&format!("loaded disk/{}:", attack.name)),
                || format!("it does not load: {answer:?}"),
            )?;
            let hash = hash_of(OTHER)?;
            let log = system.command("llmctl audit --last 4 --json")?;
            let is_it = |line: &str| line.contains(attack.name) && line.contains(&hash);
            check(log.lines().any(is_it), || {
                format!("the log does not have the hash {hash} for it: {log:?}")
            })?;
            let answer = system.command("llmctl load default")?;
            check(answer.contains("loaded default:"), || {
                format!("the model before does not load: {answer:?}")
            })?;
            "loaded, since its signature is good; the log has the hash of what was loaded"
                .to_owned()
        }
    };
    let after = system.counters()?.since(before);
    check(
        (after.faults, after.restarts, after.violations) == (0, 0, 0),
        || format!("others have suffered from it: {after:?}"),
    )?;
    system.is_sound()?;
    match attack.disk {
        Disk::GoesOn => loads_honestly(system)?,
        Disk::GivenUp => {
            let began = Instant::now();
            let answer = load(system, HONEST)?;
            one_error(&answer, "the domain 'files'")?;
            let took = began.elapsed();
            check(took <= AT_ONCE, || {
                format!("the disk was given up, and yet an answer took {took:?}")
            })?;
            system.is_sound()?;
        }
        Disk::Left => {}
    }
    Ok(match took.as_secs() {
        0..5 => seen,
        seconds => format!("{seen} ({seconds} s)"),
    })
}

/// The SHA-256 of a file of the repository, as text.
fn hash_of(file: &str) -> Result<String, String> {
    let path = format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("sha256sum")
        .arg(path)
        .output()
        .map_err(|error| format!("sha256sum: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let hash = text.split_whitespace().next();
    hash.filter(|hash| hash.len() == 64)
        .map(str::to_owned)
        .ok_or_else(|| format!("sha256sum {file}: {output:?}"))
}
