//! The attacks of a hostile files domain on the system with a disk. The console orders them: a load of `disk/NAME`
//! makes the attack with that name.

use crate::system::System;
use crate::{Verdict, wanted};
use redteam_attacks::On;
use redteam_attacks::files::{ATTACKS, Attack, Disk, HONEST, Log, Must};
use sel4_llm_tests::disk::Image;
use std::process::Command;
use std::time::{Duration, Instant};

const VARIABLE: &str = "SEL4_LLM_REDTEAM_FILES";

/// The model that `files-swap` gives instead of the honest one.
const OTHER: &str = "models/default.gguf";

/// Attacks per boot. Audit gives files up after eight wrong answers, and each attack must be seen separately.
const OF_ONE_BOOT: usize = 5;

/// Time within which a request for a disk that was given up is refused: much less than audit waits for an answer.
const AT_ONCE: Duration = Duration::from_secs(4);

/// Longest time that a load may take if files does not answer: audit's limit is 10 s, its clock ticks in seconds, and
/// the machine may be busy.
const BOUND: Duration = Duration::from_secs(20);

/// Time to let a load proceed before it is cancelled.
const MEANWHILE: Duration = Duration::from_secs(2);

const NONCE: &str = "redteam";

/// A system with its own disk.
struct Bench {
    system: System,
    image: Image,
}

impl Bench {
    /// Boots a system and waits until it is at rest. Then no question about the log is under way that an attack could
    /// affect, because the end of a request is told only when it is durable.
    fn boot() -> Result<Self, String> {
        let image = Image::create(&["--size", "4MiB", "--log-size", "1MiB"]);
        let mut system = System::boot_with_disk(VARIABLE, &image);
        system.asks_honestly("")?;
        Ok(Self { system, image })
    }
}

pub(crate) fn attack(on: &str) -> Vec<Verdict> {
    let here = |attack: &&Attack| (attack.on == On::Both || on == "sel4") && wanted(attack.name);
    let mut bench: Option<Bench> = None;
    let mut verdicts = Vec::new();
    for attack in ATTACKS.iter().filter(here) {
        let result = match (bench.take().map_or_else(Bench::boot, Ok), attack.must) {
            (Err(wrong), _) => Err(format!("before it: {wrong}")),
            (Ok(booted), Must::Log(log)) => made_on_log(booted, attack, log),
            (Ok(mut booted), _) => {
                let result = made(&mut booted.system, attack);
                let is_over = verdicts.len() % OF_ONE_BOOT == OF_ONE_BOOT - 1;
                if result.is_ok() && attack.disk == Disk::GoesOn && !is_over {
                    bench = Some(booted);
                }
                result
            }
        };
        verdicts.push(Verdict::new("files", attack.name, attack.does, result));
    }
    verdicts
}

fn check(holds: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong()) }
}

/// Checks that an answer has exactly one error, which contains `words`.
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

/// Makes an attack. Returns what was seen, or what is wrong with it.
fn made(system: &mut System, attack: &Attack) -> Result<String, String> {
    let before = system.counters()?;
    let began = Instant::now();
    let answer = match attack.must {
        Must::Late => cancelled(system, attack.name)?,
        _ => load(system, attack.name)?,
    };
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
        Must::Late => {
            check(
                answer.contains("asked audit to stop the load") && !answer.contains("loaded disk/"),
                || format!("the load is not stopped: {answer:?}"),
            )?;
            "cancelled; the next load succeeds".to_owned()
        }
        Must::Say(words) => {
            let list = system.command("llmctl models")?;
            let said = list
                .split_whitespace()
                .find_map(|word| word.strip_prefix("disk/"))
                .ok_or_else(|| format!("it says nothing of itself: {list:?}"))?;
            check(said.starts_with(words), || format!("it says {said:?}"))?;
            said.replace('-', " ")
        }
        Must::Log(_) => return Err("it needs a disk of its own".to_owned()),
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
        || format!("other domains were harmed by it: {after:?}"),
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

/// Orders a load, and cancels it before it is answered.
fn cancelled(system: &mut System, name: &str) -> Result<String, String> {
    let line = format!("llmctl load disk/{name}");
    system.type_in(format!("{line}\r"));
    std::thread::sleep(MEANWHILE);
    system.type_in("\x03");
    system.rest_to_prompt(&line)
}

/// Makes an attack on the log. Returns what was seen, or what is wrong with it.
fn made_on_log(bench: Bench, attack: &Attack, must: Log) -> Result<String, String> {
    let Bench { mut system, image } = bench;
    let answer = load(&mut system, attack.name)?;
    one_error(&answer, "the disk has no file")?;
    let began = Instant::now();
    system.asks_honestly("")?;
    let took = began.elapsed();
    system.is_sound()?;
    let log = system.command("llmctl audit")?;
    if let Log::Lost(words) = must {
        check(log.contains(words), || {
            format!("the log does not say '{words}': {log:?}")
        })?;
        return Ok(format!(
            "the log says '{words}'; the request took {:.1} s",
            took.as_secs_f64()
        ));
    }
    check(!log.contains("log-lost"), || {
        format!("the log was given up: {log:?}")
    })?;
    if let Log::Slow(seconds) = must {
        check(took.as_secs() >= seconds, || {
            format!("a request took {took:?}, and waits for two flushes")
        })?;
        return Ok(format!(
            "a request has its text after {:.1} s",
            took.as_secs_f64()
        ));
    }
    let attested = system.command(&format!("llmctl audit attest {NONCE}"))?;
    system.end()?;
    let mut next = System::boot_with_disk(VARIABLE, &image);
    let log = next.command("llmctl audit")?;
    let opened: Vec<_> = log
        .lines()
        .filter(|line| line.contains("log-opened"))
        .collect();
    let opened = *opened.last().ok_or("the log was not opened")?;
    next.asks_honestly("")?;
    let (Log::NextBoot(words) | Log::Behind(words) | Log::Lost(words)) = must else {
        return Err("it was judged above".to_owned());
    };
    if let Log::NextBoot(_) = must {
        check(opened.contains(words), || {
            format!("the next boot does not say '{words}': {opened:?}")
        })?;
        next.end()?;
        return Ok(format!("the next boot: {}", opened.trim()));
    }
    check(!opened.contains("DAMAGED"), || {
        format!("the next boot reports damage that does not exist: {opened:?}")
    })?;
    next.log_verifies()?;
    next.end()?;
    let capture = image.path().with_extension("console");
    std::fs::write(&capture, attested).map_err(|error| error.to_string())?;
    let device = std::env::var("SEL4_LLM_DEVICE").map_err(|error| error.to_string())?;
    let said = image.try_tool(
        &["audit", "verify"],
        &[
            "--device",
            &device,
            "--attestation",
            capture.to_str().ok_or("a name in UTF-8")?,
            "--nonce",
            NONCE,
        ],
    );
    let _ = std::fs::remove_file(&capture);
    let all = [said.stdout, said.stderr].concat();
    let all = String::from_utf8_lossy(&all);
    let line = all.lines().find(|line| line.contains(words));
    let line = line.ok_or_else(|| format!("llmtool does not say '{words}': {all:?}"))?;
    check(!said.status.success(), || {
        "llmtool finds nothing wrong".to_owned()
    })?;
    Ok(format!(
        "the next boot sees nothing; a user with an attestation is told: {}",
        line.trim()
    ))
}

/// The SHA-256 of a file in the repository, as text.
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
