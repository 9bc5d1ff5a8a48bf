//! The attacks of the hostile inference server on bound answers, and how they are judged.
//!
//! The console must show only a beginning of an allowed answer, whatever inference says; and after each attack, an
//! honest answer in the same format must be the same as before.

use crate::system::{Counters, System};
use crate::{Verdict, wanted};
use redteam_attacks::{ANSWERS, Answer, Bound, Ends, STOP, VERDICTS};
use sel4_llm_tests::console::without_notices;

const VARIABLE: &str = "SEL4_LLM_REDTEAM";

/// The prompt of honest answers.
const PROMPT: &str = "Once upon a time";

pub(crate) fn attack() -> Vec<Verdict> {
    let mut target = None;
    let mut verdicts = Vec::new();
    for answer in ANSWERS.iter().filter(|answer| wanted(answer.name)) {
        let result = match target.take() {
            None => Target::boot(),
            Some(target) => Ok(target),
        };
        let result = result.and_then(|mut booted| {
            let seen = booted.suffer(answer)?;
            // Damage by one attack must not be attributed to the next.
            target = Some(booted);
            Ok(seen)
        });
        verdicts.push(Verdict::new("inference", answer.name, answer.does, result));
    }
    if let Some(target) = target
        && let Err(wrong) = target.system.end()
    {
        let (name, does) = ("answers", "lets the system end");
        verdicts.push(Verdict::new("inference", name, does, Err(wrong)));
    }
    verdicts
}

/// A booted system, and its honest answers with the format and with the choices.
struct Target {
    system: System,
    honest: [String; 2],
}

/// The options of a request that is bound in this way.
fn options(bound: Bound) -> String {
    match bound {
        Bound::Format => "--format verdict".to_owned(),
        Bound::Choices => format!("--choices \"{}\"", VERDICTS.join(",")),
        Bound::Stop => format!("--stop {STOP}"),
    }
}

impl Target {
    fn boot() -> Result<Self, String> {
        let mut system = System::boot(VARIABLE);
        let honest = answers(&mut system)?;
        Ok(Self { system, honest })
    }

    /// Makes an attack. Returns what was seen, or what is wrong with it.
    fn suffer(&mut self, answer: &Answer) -> Result<String, String> {
        let before = self.system.counters()?;
        let line = format!(
            "llminfer \"!attack {}\" {}",
            answer.name,
            options(answer.bound)
        );
        let said = self.system.command(&line)?;
        self.system.recovery(&said)?;
        let counted = self.system.counters()?.since(before);
        let seen = judge(answer, &said, counted);
        let seen = seen.map_err(|wrong| format!("{wrong}; seen: {said:?}, {counted:?}"))?;
        let now = answers(&mut self.system)?;
        if now != self.honest {
            let before = &self.honest;
            return Err(format!("honest answers are {now:?} instead of {before:?}"));
        }
        self.system.is_sound()?;
        Ok(seen)
    }
}

/// The answers to an honest request with the format and with the choices, each one word.
fn answers(system: &mut System) -> Result<[String; 2], String> {
    let mut answer = |bound| {
        let options = options(bound);
        let said = system.command(&format!("llminfer \"{PROMPT}\" --temperature 0 {options}"))?;
        let (text, _) = said.split_once("\n[").unwrap_or_default();
        match VERDICTS.contains(&text) {
            true => Ok(text.to_owned()),
            false => Err(format!("an honest answer with {options} is {said:?}")),
        }
    };
    Ok([answer(Bound::Format)?, answer(Bound::Choices)?])
}

fn check(holds: bool, wrong: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong.to_owned()) }
}

fn judge(answer: &Answer, said: &str, counted: Counters) -> Result<String, String> {
    let Counters {
        faults,
        restarts,
        violations,
        format_breaches,
        ..
    } = counted;
    let said = without_notices(said);
    let (shown, rest) = match answer.ends {
        Ends::Dropped => said.split_once("\n["),
        _ => said.split_once("error: "),
    }
    .ok_or("no end of the answer")?;
    let shown = shown.trim_end_matches('\n');
    check(
        answer.shows.starts_with(shown),
        "something is shown that the answer cannot be",
    )?;
    let its_own = (faults, restarts, format_breaches) == (1, 1, 0);
    let audits = |breaches| (faults, restarts, format_breaches) == (0, 1, breaches);
    let what = match answer.ends {
        Ends::Format => {
            check(audits(1), "not one breach of a format and one restart")?;
            let left = match answer.bound {
                Bound::Choices => "violated the choices",
                _ => "violated the format",
            };
            check(rest.contains(left), "another reason")?;
            "a breach of the format"
        }
        Ends::Stop => {
            check(audits(1), "not one breach of a stop string and one restart")?;
            check(
                rest.contains("continued past a stop string"),
                "another reason",
            )?;
            "a breach of the stop string"
        }
        Ends::Breach => {
            check(audits(0), "not one restart without a fault")?;
            check(rest.contains("broke the protocol"), "no breach")?;
            "a breach of the protocol"
        }
        Ends::Deadline => {
            check(audits(0), "not one restart without a fault")?;
            "restarted at its deadline"
        }
        Ends::Fails => {
            check(
                its_own,
                "not one fault and one restart, without a breach of a format",
            )?;
            check(violations == 0, "a violation was counted")?;
            let its = rest.split("inference crashed").next().unwrap_or_default();
            check(
                !its.contains('X') && !its.contains("5858"),
                "its words or numbers are shown",
            )?;
            "failed, with no text from inference"
        }
        Ends::Dropped => {
            check(
                its_own,
                "not one fault and one restart, without a breach of a format",
            )?;
            check(violations >= 1, "no violation was counted")?;
            "what came after the end was dropped"
        }
    };
    if matches!(answer.ends, Ends::Format | Ends::Stop | Ends::Breach) {
        check(violations >= 1, "no violation was counted")?;
    }
    Ok(format!("{what}; shown: {shown:?}"))
}
