//! The attacks of the hostile inference server on fine-tunings, and how they are judged.
//!
//! They get their own boot, so that its log begins with them and can be replayed. It also has an adapter that was
//! trained honestly before, whose text must not change, and one that is trained honestly at the end.

use crate::system::{Counters, System, in_words};
use crate::{Verdict, wanted};
use redteam_attacks::{Found, TRAININGS, Training};
use sel4_llm_tests::llmtool;

const VARIABLE: &str = "SEL4_LLM_REDTEAM";

/// Prompts and answers.
const EXAMPLES: [(&str, &str); 2] = [
    ("The bird sang in the morning sun. The feeling is", " joy"),
    (
        "The wolf stood before the little pig. The feeling is",
        " fear",
    ),
];

const OPTIONS: &str = "--rank 1 --epochs 1 --rate 1e-2";

/// Beginning of the message of a successful fine-tuning.
const MADE: &str = "made the adapter ";

/// The adapter under attack, and the honest ones before and after.
const FORGED: &str = "forged";
const BEFORE: &str = "before";
const AFTER: &str = "after";

pub(crate) fn attack() -> Vec<Verdict> {
    let wanted: Vec<_> = TRAININGS.iter().filter(|one| wanted(one.name)).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let verdict = |one: &Training, result| Verdict::new("inference", one.name, one.does, result);
    let mut target = match Target::prepare() {
        Ok(target) => target,
        Err(wrong) => {
            let none = |one: &&Training| verdict(one, Err(wrong.clone()));
            return wanted.iter().map(none).collect();
        }
    };
    let mut results: Vec<_> = wanted
        .iter()
        .map(|one| (*one, target.suffer(one)))
        .collect();
    let replayed = target.replay(&results);
    for (one, result) in &mut results {
        if one.found == Found::ByReplay
            && let Ok(seen) = result
        {
            *result = replayed.clone().map(|found| format!("{seen}; {found}"));
        }
    }
    let mut verdicts: Vec<_> = results
        .into_iter()
        .map(|(one, result)| verdict(one, result))
        .collect();
    if let Err(wrong) = replayed.and_then(|_| target.system.end()) {
        let (name, does) = ("trainings", "ends, and has its log replayed");
        verdicts.push(Verdict::new("inference", name, does, Err(wrong)));
    }
    verdicts
}

/// A system with an adapter.
struct Target {
    system: System,
    /// The model's text with it.
    text: String,
}

impl Target {
    fn prepare() -> Result<Self, String> {
        let mut system = System::boot(VARIABLE);
        for (prompt, answer) in EXAMPLES {
            let line = format!("llmfinetune --example \"{prompt}\" --answer \"{answer}\"");
            let said = system.command(&line)?;
            if said.contains("error: ") {
                return Err(format!("{line}: {said:?}"));
            }
        }
        let mut target = Self {
            system,
            text: String::new(),
        };
        target.train_honestly(BEFORE)?;
        target.text = target.text_with_adapter()?;
        Ok(target)
    }

    fn train(&mut self, name: &str) -> Result<String, String> {
        let line = format!("llmfinetune examples --adapter {name} {OPTIONS}");
        self.system.command(&line)
    }

    fn train_honestly(&mut self, name: &str) -> Result<(), String> {
        let said = self.train(name)?;
        match said.contains(MADE) {
            true => Ok(()),
            false => Err(format!("an honest fine-tuning: {said:?}")),
        }
    }

    fn text_with_adapter(&mut self) -> Result<String, String> {
        let (prompt, _) = EXAMPLES[0];
        let options = "--max-tokens 12 --temperature 0";
        let line = format!("llminfer \"{prompt}\" --adapter {BEFORE} {options}");
        let said = self.system.command(&line)?;
        let (text, closing) = said.rsplit_once("\n[").unwrap_or_default();
        match closing.contains(" tokens, ") {
            true => Ok(text.to_owned()),
            false => Err(format!("{line}: {said:?}")),
        }
    }

    /// Makes an attack. Returns what was seen, or what is wrong with it.
    fn suffer(&mut self, one: &Training) -> Result<String, String> {
        let armed = format!("llminfer \"!attack {}\"", one.name);
        let armed = self.system.command(&armed)?;
        if !armed.contains("armed") {
            return Err(format!("it was not made: {armed:?}"));
        }
        let before = self.system.counters()?;
        let said = self.train(FORGED)?;
        if one.found == Found::AtOnce {
            self.system.recovery(&said)?;
        }
        let counted = self.system.counters()?.since(before);
        let adapters = self.system.command("llmctl adapters")?;
        let seen = match one.found {
            Found::AtOnce => breach(&said, counted, &adapters),
            Found::ByReplay => nothing(&said, counted, &adapters),
        };
        let seen =
            seen.map_err(|wrong| format!("{wrong}; seen: {said:?}, {counted:?}, {adapters:?}"))?;
        if one.found == Found::ByReplay {
            let dropped = self
                .system
                .command(&format!("llmctl adapter drop {FORGED}"))?;
            check(
                dropped.contains("dropped"),
                &format!("not dropped: {dropped:?}"),
            )?;
        }
        let text = self.text_with_adapter()?;
        if text != self.text {
            let before = &self.text;
            return Err(format!(
                "the other adapter says {text:?} instead of {before:?}"
            ));
        }
        self.system.is_sound()?;
        Ok(seen)
    }

    /// Replays the log of everything `done`. Returns what was detected.
    fn replay(&mut self, done: &[(&Training, Result<String, String>)]) -> Result<String, String> {
        self.train_honestly(AFTER)?;
        let log = self.system.command("llmctl audit --json")?;
        let (said, status) = llmtool(&["audit", "verify"], &log);
        check(
            status == Some(0),
            &format!("the log does not verify: {said}"),
        )?;
        let (said, _) = llmtool(&["replay", "--models", "models"], &log);
        let adapters = said.lines().filter_map(|line| {
            let (_, verdict) = line.split_once(" adapter ")?;
            Some(
                verdict
                    .split_whitespace()
                    .skip(3)
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        });
        let adapters: Vec<_> = adapters.collect();
        let returned = |(one, result): &&(&Training, Result<_, _>)| {
            one.found == Found::ByReplay && result.is_ok()
        };
        let forged = done.iter().filter(returned).count();
        let [first, between @ .., last] = &adapters[..] else {
            return Err(format!("the replay does not have two adapters: {said}"));
        };
        let differ = |verdict: &String| verdict.starts_with("DIFFERS: adapter ");
        let holds = first == "reproduced"
            && last == "reproduced"
            && between.len() == forged
            && between.iter().all(differ);
        check(holds, &format!("the replay says {said}"))?;
        Ok("replay: DIFFERS, and the honest ones before and after are reproduced".to_owned())
    }
}

fn check(holds: bool, wrong: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong.to_owned()) }
}

/// Audit has restarted inference, and nothing is left of the adapter.
fn breach(said: &str, counted: Counters, adapters: &str) -> Result<String, String> {
    let Counters {
        faults,
        restarts,
        violations,
        used,
        ..
    } = counted;
    check(
        (faults, restarts) == (0, 1),
        "not one restart without a fault",
    )?;
    check(said.contains("broke the protocol"), "no breach")?;
    check(violations >= 1, "no violation was counted")?;
    check(used == 0, "the user was charged")?;
    check(!adapters.contains(FORGED), "a partial adapter is left")?;
    check(adapters.contains(BEFORE), "another adapter is gone")?;
    Ok(format!(
        "a breach of the protocol, {}; restarted, nothing charged, no partial adapter left",
        in_words(violations)
    ))
}

/// Audit has noticed nothing.
fn nothing(said: &str, counted: Counters, adapters: &str) -> Result<String, String> {
    let Counters {
        faults,
        restarts,
        violations,
        used,
        ..
    } = counted;
    check(
        (faults, restarts, violations) == (0, 0, 0),
        "audit has noticed something",
    )?;
    check(said.contains(MADE), "no adapter was made")?;
    check(used > 0, "the user was not charged")?;
    check(adapters.contains(FORGED), "the adapter is not kept")?;
    Ok("signed and recorded".to_owned())
}
