//! The attacks of a hostile worker on the system on several cores. A prompt to the hostile inference server of its
//! compartment orders one; it is made during a job of the next request, which is honest.

use crate::inference::beside;
use crate::system::{Counters, System};
use crate::{Verdict, board, wanted};
use redteam_attacks::On;
use redteam_attacks::worker::{ATTACKS, Attack, Must};
use std::time::Instant;

const VARIABLE: &str = "SEL4_LLM_REDTEAM_CORES";

/// An attack of inference itself, which ends its run.
const END: &str = "read-audit-log";

const REQUEST: &str = "\"Once upon a time\" --max-tokens 12 --temperature 0";

pub(crate) fn attack(on: &str) -> Vec<Verdict> {
    let here = |attack: &&Attack| {
        let is_made = attack.on == On::Both || (on == "sel4" && board::has(attack.name));
        is_made && wanted(attack.name)
    };
    let mut system = None;
    let mut verdicts = Vec::new();
    for attack in ATTACKS.iter().filter(here) {
        let target = system.get_or_insert_with(|| System::boot(VARIABLE));
        let result = made(attack, target);
        if result.is_err() {
            system = None;
        }
        verdicts.push(Verdict::new("worker", attack.name, attack.does, result));
    }
    verdicts
}

fn check(holds: bool, wrong: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong.to_owned()) }
}

fn arm(name: &str, system: &mut System) -> Result<(), String> {
    let answer = system.command(&format!("llminfer \"!attack {name}\""))?;
    check(
        answer.contains("armed"),
        "inference does not pass the order on",
    )
}

/// Makes an attack. Returns what was seen, or what is wrong with it.
fn made(attack: &Attack, system: &mut System) -> Result<String, String> {
    let must = board::worker_must(attack);
    let before = system.counters()?;
    arm(attack.name, system)?;
    let began = Instant::now();
    let seen = match must {
        Must::Hang => beside(REQUEST, system)?,
        _ => system.command(&format!("llminfer {REQUEST}"))?,
    };
    let seen = sel4_llm_tests::without_sequences(&seen).replace('\r', "");
    let mut recovered = None;
    if matches!(must, Must::Die(..) | Must::Hang | Must::Found) {
        system.recovery(&seen)?;
        recovered = Some(began.elapsed());
    }
    let counted = system.counters()?.since(before);
    let verdict = judge(must, &seen, counted, system);
    let verdict = verdict.map_err(|wrong| format!("{wrong}; seen: {seen:?}, {counted:?}"))?;
    if must == Must::Anything && counted.restarts == 0 {
        // Inference continues with overwritten memory, and may find no more jobs for workers. So it is made to die, and
        // its next run starts with clean memory.
        let ended = system.command(&format!("llminfer \"!attack {END}\""))?;
        system.recovery(&ended)?;
    }
    system.is_sound()?;
    Ok(match recovered {
        Some(took) => {
            format!(
                "{verdict}; serves again {:.1} s after the request",
                took.as_secs_f64()
            )
        }
        _ => verdict,
    })
}

/// The beginning of what was seen.
fn beginning(seen: &str) -> String {
    let first = seen.lines().find(|line| !line.trim().is_empty());
    first.unwrap_or_default().chars().take(60).collect()
}

fn judge(must: Must, seen: &str, counted: Counters, system: &mut System) -> Result<String, String> {
    let Counters {
        faults,
        restarts,
        violations,
        ..
    } = counted;
    check(violations == 0, "a violation was counted")?;
    match must {
        Must::Die(of, at) => {
            check(
                (faults, restarts) == (1, 1),
                "not one fault and one restart",
            )?;
            let (_, rest) = seen
                .split_once(&format!("inference crashed with {of} at address "))
                .ok_or("another death, or no death")?;
            let address = rest.split(' ').next().unwrap_or_default();
            if let Some(at) = at {
                check(address == format!("{at:#x}"), "another address")?;
            }
            Ok(format!(
                "{of} at {address}; the whole compartment restarted"
            ))
        }
        Must::Hang => {
            check(
                (faults, restarts) == (1, 1),
                "not one fault and one restart",
            )?;
            let (_, slowest) = seen
                .rsplit_once("slowest answer meanwhile ")
                .unwrap_or_default();
            Ok(format!(
                "given up by inference; the shell answered within {}",
                slowest.trim_end()
            ))
        }
        Must::Found => {
            check(
                (faults, restarts) == (1, 1),
                "not one fault and one restart",
            )?;
            Ok(format!(
                "restarted; the request ends with {:?}",
                beginning(seen)
            ))
        }
        Must::Say(what) => {
            check((faults, restarts) == (0, 0), "a fault or a restart")?;
            let said = system.command("llminfer \"!attack worker-report\"")?;
            check(!said.contains("SUCCEEDED"), "it was not stopped")?;
            if !said.contains(what) {
                return Err(format!("it says {said:?}"));
            }
            Ok(what.to_owned())
        }
        Must::Anything => {
            check(
                faults <= 1 && restarts <= 1,
                "more than one fault or restart",
            )?;
            let first = beginning(seen);
            Ok(match restarts {
                0 => format!("the request ends with {first:?}; honest after a restart"),
                _ => format!("restarted, {faults} faults; the request ends with {first:?}"),
            })
        }
    }
}
