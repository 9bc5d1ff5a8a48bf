//! A hostile system and its console.

use sel4_llm_tests::console::without_notices;
use sel4_llm_tests::disk::Image;
use sel4_llm_tests::{Terminal, llmtool_generate, without_sequences};
use std::time::Duration;

/// Longest wait for an answer. Emulation is slow on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

const PROMPT: &str = "llm> ";

/// Options of the honest request.
const HONEST: &[&str] = &["--max-tokens", "12", "--temperature", "0"];
const HONEST_PROMPT: &str = "Once upon a time";

pub(crate) struct System {
    terminal: Terminal,
    canonical: String,
}

/// Audit's counters, and how much of its budget the user has spent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) uptime_us: u64,
    pub(crate) faults: u64,
    pub(crate) restarts: u64,
    pub(crate) violations: u64,
    /// Answers that left their format or continued past a stop string.
    pub(crate) format_breaches: u64,
    pub(crate) egress_bytes: u64,
    pub(crate) used: u64,
}

/// A number of violations in words.
pub(crate) fn in_words(violations: u64) -> String {
    match violations {
        1 => "1 violation".to_owned(),
        count => format!("{count} violations"),
    }
}

/// Prefixes of the simulation's messages about a domain that dies.
const SUPERVISOR: [&str; 3] = ["sim: inference: ", "sim: files: ", "sim: worker1: "];

fn silent(line: &str) -> String {
    format!("no answer to '{line}' within {} s", PATIENCE.as_secs())
}

impl Counters {
    fn of(json: &str) -> Option<Self> {
        let number = |name: &str| {
            let (_, rest) = json.split_once(&format!("\"{name}\":"))?;
            let end = rest.find(|digit: char| !digit.is_ascii_digit())?;
            rest[..end].parse().ok()
        };
        Some(Self {
            uptime_us: number("uptime_us")?,
            faults: number("faults")?,
            restarts: number("restarts")?,
            violations: number("violations")?,
            format_breaches: number("format_breaches")?,
            egress_bytes: number("egress_bytes")?,
            used: number("used")?,
        })
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            uptime_us: self.uptime_us - before.uptime_us,
            faults: self.faults - before.faults,
            restarts: self.restarts - before.restarts,
            violations: self.violations - before.violations,
            format_breaches: self.format_breaches - before.format_breaches,
            egress_bytes: self.egress_bytes - before.egress_bytes,
            used: self.used - before.used,
        }
    }
}

impl System {
    /// Boots it and logs in as a user who may read the log.
    pub(crate) fn boot(variable: &str) -> Self {
        Self::of(Terminal::start_of(variable))
    }

    /// The same, with this disk.
    pub(crate) fn boot_with_disk(variable: &str, image: &Image) -> Self {
        Self::of(Terminal::start_with_disk(variable, image))
    }

    fn of(terminal: Terminal) -> Self {
        let mut system = Self {
            terminal,
            canonical: llmtool_generate(HONEST_PROMPT, HONEST),
        };
        let answer = system.command("login tester").expect("a login");
        assert!(answer.contains("logged in as tester"), "{answer:?}");
        system
    }

    pub(crate) fn type_in(&mut self, keys: impl AsRef<[u8]>) {
        self.terminal.type_in(keys);
    }

    pub(crate) fn wait_for(&mut self, what: &str, patience: Duration) -> Option<String> {
        self.terminal.wait_for(what, patience)
    }

    /// The output of a command up to the next prompt, with all control sequences.
    pub(crate) fn raw(&mut self, line: &str) -> Result<String, String> {
        self.type_in(format!("{line}\r"));
        // A line that is wider than the terminal is redrawn in several rows when it is run.
        let mut echoed = String::new();
        while !echoed.ends_with(line) {
            let row = self.wait_for("\n", PATIENCE).ok_or_else(|| silent(line))?;
            let row = without_sequences(&row);
            let drawn = row.rsplit('\x08').next().unwrap_or_default();
            echoed.push_str(drawn.trim_end_matches(['\r', '\n']));
        }
        self.rest_to_prompt(line)
    }

    /// The output up to the next prompt. `line` is the command that it answers, for messages.
    pub(crate) fn rest_to_prompt(&mut self, line: &str) -> Result<String, String> {
        self.wait_for(PROMPT, PATIENCE).ok_or_else(|| silent(line))
    }

    /// The output of a command up to the next prompt.
    pub(crate) fn command(&mut self, line: &str) -> Result<String, String> {
        let mut text = without_sequences(&self.raw(line)?).replace('\r', "");
        // The simulation prints its messages about domains on the same terminal, even in the middle of a row.
        for supervisor in SUPERVISOR {
            while let Some(at) = text.find(supervisor) {
                let end = text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
                text.replace_range(at..end, "");
            }
        }
        Ok(text)
    }

    /// Waits until inference has been restarted, unless `text` already says so.
    pub(crate) fn recovery(&mut self, text: &str) -> Result<String, String> {
        const NOTICE: &str = "inference serves again";
        if text.contains(NOTICE) {
            return Ok(String::new());
        }
        let none = || format!("inference was not restarted; seen: {text:?}");
        let notice = self.wait_for(NOTICE, PATIENCE).ok_or_else(none)?;
        self.wait_for(PROMPT, PATIENCE).ok_or_else(none)?;
        Ok(without_sequences(&notice))
    }

    pub(crate) fn counters(&mut self) -> Result<Counters, String> {
        let answer = self.command("llmstats --json")?;
        Counters::of(&answer).ok_or_else(|| format!("no counters: {answer:?}"))
    }

    /// Checks that an honest request gives the canonical text, and that the log verifies.
    pub(crate) fn is_sound(&mut self) -> Result<(), String> {
        self.asks_honestly("")?;
        self.log_verifies().map(|_| ())
    }

    /// Checks that an honest request gives the canonical text, including as the first turn of a session.
    pub(crate) fn asks_honestly(&mut self, session: &str) -> Result<(), String> {
        let answer = self.command(&format!(
            "llminfer \"{HONEST_PROMPT}\" {} {session}",
            HONEST.join(" ")
        ))?;
        // Meanwhile, audit may announce that inference is back in service.
        let answer = without_notices(&answer);
        let text = answer.split("\n[12 tokens").next().unwrap_or_default();
        if text.trim_end_matches('\n') != self.canonical {
            return Err(format!(
                "the honest request after it gave {answer:?} instead of {:?}",
                self.canonical
            ));
        }
        Ok(())
    }

    /// Checks that the log is unbroken. Returns audit's answer.
    pub(crate) fn log_verifies(&mut self) -> Result<String, String> {
        let answer = self.command("llmctl audit verify")?;
        if answer.contains("are unbroken") {
            Ok(answer)
        } else {
            Err(format!("the log does not verify after it: {answer:?}"))
        }
    }

    /// Ends the system.
    pub(crate) fn end(self) -> Result<(), String> {
        match self.terminal.leave() {
            0 => Ok(()),
            status => Err(format!("the system ended with status {status}")),
        }
    }
}
