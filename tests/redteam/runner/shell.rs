//! The attacks of the hostile shell. It has no parent, so nobody reports its death or restarts it.

use crate::system::{System, in_words};
use crate::{Verdict, board, wanted};
use std::time::Duration;

const VARIABLE: &str = "SEL4_LLM_REDTEAM_SHELL";
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a dead shell is watched for signs of life.
const SILENCE: Duration = Duration::from_secs(6);

/// Number of characters typed so that the UART wakes the shell. Each wakes it at most once.
const CARRIERS: usize = 6000;
/// Pause between two of them, so that inference runs between two wake-ups. Without it, most wake-ups find the same
/// word.
const PACE: Duration = Duration::from_micros(300);

/// Letter, name, what the attack does, and what the shell must report.
const LIVES: [(&str, &str, &str, &str); 16] = [
    (
        "s",
        "shell-invoke-all-slots",
        "makes every invocation on every other slot of its CSpace",
        "granted=0",
    ),
    (
        "o",
        "shell-invoke-address-space",
        "the same on its own address space, with a page of its ring as the range; at most the four kinds of cache \
        maintenance are granted",
        "granted=4 ",
    ),
    (
        "v",
        "shell-maintain-caches",
        "cleans, invalidates and unifies the cache of every page of its rings; a range across two pages is refused",
        "across-pages=0 pages=70 granted=280 ",
    ),
    (
        "u",
        "shell-maintain-device-cache",
        "the same on the page of the UART; this aborts the kernel if the device lies beyond the kernel's window \
        (seL4's tracker, number 1738), which is so on none of these boards",
        "across-pages=0 pages=1 granted=4 ",
    ),
    (
        "r",
        "shell-invoke-root-slots",
        "the same on the other 63 slots of its root CNode, at full depth",
        "granted=0",
    ),
    (
        "c",
        "shell-copy-by-root",
        "copies its capabilities with every slot as the CNode, at every depth",
        "granted=0",
    ),
    (
        "e",
        "shell-call-endpoints",
        "calls the 64 endpoints that a channel could have",
        "granted=0",
    ),
    (
        "t",
        "shell-stop-others",
        "invokes the 64 slots of children's TCBs",
        "granted=0",
    ),
    (
        "m",
        "shell-forge-faults",
        "sends forged faults to Microkit's monitor",
        "sent=3",
    ),
    (
        "f",
        "shell-flood-audit",
        "signals audit 100 000 times",
        "signalled=100000",
    ),
    ("w", STORM, "fires IRQ 30 for 3 s", "stormed=3s"),
    (
        "1",
        "shell-forge-head",
        "says that 1000 messages are waiting",
        "forged",
    ),
    (
        "2",
        "shell-forge-head-back",
        "takes back a message that it has sent",
        "forged",
    ),
    (
        "3",
        "shell-forge-epoch-index",
        "sends under the index of the next epoch",
        "forged",
    ),
    (
        "4",
        "shell-forge-tail",
        "says that it has read more than was sent",
        "forged",
    ),
    (
        "5",
        "shell-scribble",
        "fills its ring with garbage",
        "forged",
    ),
];

const STORM: &str = "shell-storm-timer";

/// Attacks for which audit counts a violation.
const COUNTED: [&str; 2] = ["shell-forge-head", "shell-forge-head-back"];

/// Attacks that kill the shell.
const DEATHS: [(&str, &str, &str); 8] = [
    (
        "A",
        "shell-read-arena",
        "reads where inference has the arena",
    ),
    (
        "L",
        "shell-write-audit-log",
        "writes where audit has the log",
    ),
    ("P", "shell-read-policy", "reads where audit has the policy"),
    (
        "I",
        "shell-write-inference-ring",
        "writes where inference has its ring",
    ),
    ("S", "shell-read-store", "reads where the model store is"),
    (
        "R",
        "shell-write-watchdog",
        "writes to the watchdog's physical address",
    ),
    ("T", "shell-write-text", "overwrites its own code"),
    (
        "F",
        "shell-read-floating-point",
        "reads a floating-point register, which inference may have filled",
    ),
];

/// The receiving end of the timer's channel, as an attack of its own on a board whose kernel protects the registers. On
/// other boards it is one end of the channel that is measured.
const READS_TIMER: (&str, &str, &str) = (
    "C",
    "shell-read-timer",
    "reads the timer's comparator, which inference may have written",
);

pub(crate) fn attack() -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut system = None;
    let is_open = board::timer_is_open();
    // If the kernel protects the registers, writing them kills the shell.
    let (storms, harmless): (Vec<_>, Vec<_>) = LIVES
        .into_iter()
        .filter(|(_, name, ..)| wanted(name) && board::has(name))
        .partition(|(_, name, ..)| !is_open && *name == STORM);
    for (letter, name, does, must) in harmless {
        let target = system.get_or_insert_with(|| System::boot(VARIABLE));
        let result = lives(letter, name, board::shell_must(name, must), target);
        if result.is_err() {
            system = None;
        }
        verdicts.push(Verdict::new("shell", name, does, result));
    }
    const CHANNEL: &str = "timer-channel";
    if wanted(CHANNEL) {
        let target = system.get_or_insert_with(|| System::boot(VARIABLE));
        let does = "inference writes words of 48 bits into the timer's comparator (CNTP_CVAL_EL0; stimecmp), and \
        shell reads them when a key wakes it";
        let result = if is_open {
            channel(target)
        } else {
            closed(target)
        };
        verdicts.push(Verdict::new("both", CHANNEL, does, result));
    }
    drop(system);
    let storms = storms
        .into_iter()
        .map(|(letter, name, does, _)| (letter, name, does));
    let reads = (!is_open).then_some(READS_TIMER);
    let deaths = DEATHS
        .into_iter()
        .chain(reads)
        .filter(|(_, name, _)| wanted(name));
    for (letter, name, does) in deaths.chain(storms) {
        verdicts.push(Verdict::new("shell", name, does, dies(letter)));
    }
    verdicts
}

/// Types the keys of an attack. Returns its report, if there is one.
fn type_attack(system: &mut System, letter: &str, patience: Duration) -> Option<String> {
    system.type_in(format!("\x1c{letter}"));
    system.wait_for("redteam-shell attempts :end", PATIENCE)?;
    system.wait_for(":end", patience)
}

fn lives(letter: &str, name: &str, must: &str, system: &mut System) -> Result<String, String> {
    let before = system.counters()?;
    let said = type_attack(system, letter, PATIENCE).ok_or("the shell died")?;
    let said = said.replace("\r\nredteam-shell ", "").replace(" :end", "");
    if !said.contains(must) {
        return Err(format!("it was not stopped: {said:?}"));
    }
    let counters = system.counters()?;
    if counters.faults + counters.restarts > 0 {
        return Err(format!("inference was harmed by it: {counters:?}"));
    }
    let violations = counters.since(before).violations;
    if (violations > 0) != COUNTED.contains(&name) {
        return Err(format!("{violations} violations were counted"));
    }
    system.is_sound()?;
    let said = said.trim();
    Ok(match violations {
        0 => said.to_owned(),
        count => format!("{said}; {} counted", in_words(count)),
    })
}

fn dies(letter: &str) -> Result<String, String> {
    let mut system = System::boot(VARIABLE);
    system.type_in(format!("\x1c{letter}"));
    let tried = system.wait_for("redteam-shell attempts :end", PATIENCE);
    tried.ok_or("it was not attempted")?;
    system.type_in("\rwhoami\r");
    match system.wait_for("r", SILENCE) {
        None => Ok("silent: it was stopped, and the monitor got its fault".to_owned()),
        Some(said) => {
            let rest = system.wait_for(":end", SILENCE).unwrap_or_default();
            Err(format!("it lives on and says {said}{rest:?}"))
        }
    }
}

/// Judges the sender on a board whose kernel protects the register: it must fault when it writes its first word.
fn closed(system: &mut System) -> Result<String, String> {
    let before = system.counters()?;
    let seen = system.raw("llminfer \"!attack timer-send\"")?;
    let plain = sel4_llm_tests::without_sequences(&seen).replace('\r', "");
    if !plain.contains("inference crashed with an exception") {
        return Err(format!(
            "the sender did not fault at its first word: {plain:?}"
        ));
    }
    system.recovery(&plain)?;
    let counted = system.counters()?.since(before);
    if (counted.faults, counted.restarts) != (1, 1) {
        return Err(format!("not one fault and one restart: {counted:?}"));
    }
    system.is_sound()?;
    Ok("no channel: the sender faulted when it wrote its first word; 0 bit/s".to_owned())
}

/// Lets the two ends communicate through the timer's register, and measures the rate.
fn channel(system: &mut System) -> Result<String, String> {
    let started = system.command("llminfer \"!attack timer-send\" --background")?;
    if !started.contains("job ") {
        return Err(format!("no job: {started:?}"));
    }
    system.type_in("\x1ck");
    let receives = system.wait_for("redteam-shell receives :end", PATIENCE);
    receives.ok_or("the receiver does not start")?;
    for _ in 0..CARRIERS {
        system.type_in("x");
        std::thread::sleep(PACE);
    }
    system.type_in("\x1e");
    let report = system
        .wait_for(":end", PATIENCE)
        .ok_or("no report of the receiver")?;
    let report = report.replace("redteam-shell ", "").replace(" :end", "");
    let report = report.trim().to_owned();
    let number = |name: &str| -> Option<u64> {
        let (_, rest) = report.split_once(name)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    match (number("words="), number("wrong=")) {
        (Some(10..), Some(0)) => {}
        _ => return Err(format!("the documented channel was not seen: {report:?}")),
    }
    system.recovery("")?;
    system.is_sound()?;
    Ok(format!("a documented channel: {report}"))
}
