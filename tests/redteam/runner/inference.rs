//! The attacks of the hostile inference server, and how they are judged.

use crate::system::{Counters, System, in_words};
use crate::{Verdict, board, wanted};
use redteam_attacks::{ATTACKS, Attack, Must, On};
use std::time::{Duration, Instant};

const VARIABLE: &str = "SEL4_LLM_REDTEAM";

/// Longest answer time of the shell while inference misbehaves. On a busy machine the emulator is slow; a starved shell
/// would answer only at the deadline.
const ANSWER: Duration = Duration::from_secs(8);

/// Audit's message about a request that it ends by restarting inference.
const LATE: &str = "inference did not answer by its deadline";

/// The egress cap of tests/redteam/policy.toml.
const EGRESS_BYTES_PER_SECOND: u64 = 2048;
const EGRESS_BURST_BYTES: u64 = 4096;

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
            // Damage by one attack must not be attributed to the next.
            system = None;
        }
        verdicts.push(Verdict::new("inference", attack.name, attack.does, result));
    }
    if let Some(system) = system
        && let Err(wrong) = system.end()
    {
        verdicts.push(Verdict::new(
            "inference",
            "leave",
            "lets the system end",
            Err(wrong),
        ));
    }
    verdicts
}

/// Makes an attack. Returns what was seen, or what is wrong with it.
fn made(attack: &Attack, system: &mut System) -> Result<String, String> {
    let must = board::must(attack);
    let before = system.counters()?;
    let seen = match must {
        Must::Hang | Must::Busy(_) => beside(&format!("\"!attack {}\"", attack.name), system)?,
        _ => system.raw(&format!("llminfer \"!attack {}\"", attack.name))?,
    };
    let plain = sel4_llm_tests::without_sequences(&seen).replace('\r', "");
    if plain.contains("SUCCEEDED") || plain.contains("UNKNOWN") {
        return Err(format!("it was not stopped: {plain:?}"));
    }
    let dies = match must {
        Must::Say(_) | Must::Harmless | Must::Capped => false,
        Must::Busy(_) => plain.contains(LATE),
        _ => true,
    };
    if dies {
        system.recovery(&plain)?;
    }
    let after = system.counters()?.since(before);
    let verdict = judge(must, &seen, &plain, after);
    let verdict = verdict.map_err(|wrong| format!("{wrong}; seen: {plain:?}, {after:?}"))?;
    system.is_sound()?;
    Ok(verdict)
}

/// Makes this request in the background, and asks the shell for something meanwhile.
pub(crate) fn beside(request: &str, system: &mut System) -> Result<String, String> {
    let started = system.command(&format!("llminfer {request} --background"))?;
    let (_, rest) = started
        .split_once("job ")
        .ok_or_else(|| format!("no job: {started:?}"))?;
    let number = rest.split(':').next().unwrap_or_default().to_owned();
    let mut longest = Duration::ZERO;
    for _ in 0..4 {
        let asked = Instant::now();
        let mut answer = system.command("whoami")?;
        if !answer.contains("tester (owner") && answer.contains(&format!("job {number}: ")) {
            // The attack ended just then: the output was that notice and a new prompt.
            answer += &system.rest_to_prompt("whoami")?;
        }
        longest = longest.max(asked.elapsed());
        if !answer.contains("tester (owner") {
            return Err(format!("the shell answered {answer:?}"));
        }
    }
    if longest > ANSWER {
        return Err(format!("the shell took {longest:?} to answer meanwhile"));
    }
    let text = system.raw(&format!("llmctl wait {number}"))?;
    Ok(format!(
        "{text}\nslowest answer meanwhile {} ms\n",
        longest.as_millis()
    ))
}

fn check(holds: bool, wrong: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong.to_owned()) }
}

fn judge(must: Must, seen: &str, plain: &str, counted: Counters) -> Result<String, String> {
    let Counters {
        faults,
        restarts,
        violations,
        ..
    } = counted;
    let slowest = || {
        let (_, rest) = plain
            .rsplit_once("slowest answer meanwhile ")
            .unwrap_or_default();
        format!("the shell answered within {}", rest.trim_end())
    };
    let one_death = || {
        check(
            (faults, restarts) == (1, 1),
            "not one fault and one restart",
        )
    };
    let no_death = || check((faults, restarts) == (0, 0), "a fault or a restart");
    match must {
        Must::Die { of, at } => {
            one_death()?;
            let died = format!("inference crashed with {of} at address ");
            let (_, rest) = plain
                .split_once(&died)
                .ok_or("another death, or no death")?;
            let address = rest.split(' ').next().unwrap_or_default();
            if let Some(at) = at {
                check(address == format!("{at:#x}"), "another address")?;
            }
            Ok(format!("{of} at {address}; restarted"))
        }
        Must::Breach => {
            check(
                (faults, restarts) == (0, 1),
                "not one restart without a fault",
            )?;
            check(plain.contains("broke the protocol"), "no breach")?;
            check(violations >= 1, "no violation was counted")?;
            Ok(format!(
                "a breach of the protocol, {}; restarted",
                in_words(violations)
            ))
        }
        Must::Counted(least) => {
            one_death()?;
            check(
                plain.contains("an exception"),
                "not the exception with which it ends itself",
            )?;
            check(violations >= least, "too few violations")?;
            Ok(format!("dropped, {} counted", in_words(violations)))
        }
        Must::Ignored => {
            one_death()?;
            check(
                plain.contains("an exception"),
                "not the exception with which it ends itself",
            )?;
            check(violations == 0, "a violation was counted")?;
            Ok("ignored".to_owned())
        }
        Must::Say(what) => {
            no_death()?;
            check(plain.contains(what), "it says something else")?;
            Ok(plain
                .split("\n[")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned())
        }
        // How much inference gets done before its deadline depends on the host that emulates the board. What matters is
        // that the shell does not have to wait.
        Must::Busy(_) if plain.contains(LATE) => {
            check(
                (faults, restarts) == (0, 1),
                "not one restart without a fault",
            )?;
            Ok(format!("restarted at its deadline; {}", slowest()))
        }
        Must::Busy(what) => {
            no_death()?;
            check(plain.contains(what), "it says something else")?;
            Ok(format!("{what}; {}", slowest()))
        }
        Must::Hang => {
            check(
                (faults, restarts) == (0, 1),
                "not one restart without a fault",
            )?;
            Ok(format!("restarted at its deadline; {}", slowest()))
        }
        Must::Harmless => {
            no_death()?;
            let (_, text) = seen.split_once("begin").ok_or("no text")?;
            let (text, _) = text.split_once("end").ok_or("no end of the text")?;
            let unsafe_character = |c: char| {
                (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
                    || matches!(c, '\u{200e}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
            };
            check(
                !text.contains(unsafe_character),
                "a control reached the console",
            )?;
            Ok(format!("printed as {text:?}"))
        }
        Must::Capped => {
            no_death()?;
            let bytes = counted.egress_bytes;
            let allowed =
                EGRESS_BURST_BYTES + EGRESS_BYTES_PER_SECOND * counted.uptime_us / 1_000_000;
            check(bytes >= 64 * 250, "it did not give all")?;
            check(bytes <= allowed, "more bytes left than the policy allows")?;
            let seconds = counted.uptime_us / 1_000_000;
            Ok(format!("{bytes} bytes in {seconds} s, {allowed} allowed"))
        }
    }
}
