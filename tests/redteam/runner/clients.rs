//! The attacks of a hostile client beside an honest one, the shell, which orders the attacks through the hostile
//! client's budget and reads its reports in the log.

use crate::system::{System, in_words};
use crate::{Verdict, board, wanted};
use redteam_attacks::On;
use redteam_attacks::client::{ATTACKS, Attack, Must, NO_ORDER, ORDERS};
use std::time::{Duration, Instant};

const VARIABLE: &str = "SEL4_LLM_REDTEAM_CLIENTS";

/// Longest wait for the hostile client to report that it begins, and what it has done: its share of the log may have to
/// refill first, and it gets little processor time.
const PATIENCE: Duration = Duration::from_secs(150);

/// How long a dead client is watched for signs of life. It is woken every second.
const SILENCE: Duration = Duration::from_secs(5);

/// Longest time that the honest client may wait, during an attack, for its text of 12 tokens, and for an answer that
/// needs no inference. Its deadline is 20 s; the emulator is slow on a busy machine.
const TEXT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(8);

/// A booted system, and measurements of the honest client before any attack.
struct Bench {
    system: System,
    /// Tokens of an honest request.
    tokens: u64,
    /// Number of the last order.
    order: u64,
    /// The text of the second turn of the honest session.
    second_turn: String,
}

/// What the honest client has seen during the attack.
#[derive(Default)]
struct Seen {
    requests: u64,
    slowest_text: Duration,
    slowest_answer: Duration,
}

pub(crate) fn attack(on: &str) -> Vec<Verdict> {
    let here = |attack: &&Attack| (attack.on == On::Both || on == "sel4") && wanted(attack.name);
    let mut bench = None;
    let mut verdicts = Vec::new();
    for attack in ATTACKS.iter().filter(here) {
        if attack.uses_up {
            bench = None;
        }
        let result = match bench.take().map_or_else(Bench::boot, Ok) {
            Err(wrong) => Err(format!("before it: {wrong}")),
            Ok(mut booted) => {
                let result = booted.made(attack);
                let goes_on =
                    result.is_ok() && board::client_must(attack) != Must::Die && !attack.uses_up;
                bench = goes_on.then_some(booted);
                result
            }
        };
        verdicts.push(Verdict::new("client", attack.name, attack.does, result));
    }
    verdicts
}

fn check(holds: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong()) }
}

impl Bench {
    fn boot() -> Result<Self, String> {
        let mut system = System::boot(VARIABLE);
        let before = system.counters()?;
        system.asks_honestly("")?;
        let tokens = system.counters()?.since(before).used;
        let mut bench = Self {
            system,
            tokens,
            order: NO_ORDER,
            second_turn: String::new(),
        };
        bench.second_turn = bench.session()?;
        Ok(bench)
    }

    /// Two turns of the honest session, which is then closed. Returns the text of the second.
    fn session(&mut self) -> Result<String, String> {
        self.begin_session()?;
        self.end_session()
    }

    fn begin_session(&mut self) -> Result<(), String> {
        self.system.asks_honestly("--session diary")
    }

    fn end_session(&mut self) -> Result<String, String> {
        let turn = "llminfer \" And then\" --max-tokens 8 --temperature 0 --session diary";
        let answer = self.system.command(turn)?;
        let (text, _) = answer
            .split_once("\n[8 tokens")
            .ok_or_else(|| format!("the second turn gave {answer:?}"))?;
        let sessions = self.system.command("llmctl sessions")?;
        let goes_on = |line: &str| line.contains("diary  tester  2 turns");
        check(sessions.lines().any(goes_on), || {
            format!("the honest session is not there with two turns: {sessions:?}")
        })?;
        let text = text.to_owned();
        let closed = self.system.command("llmctl close diary")?;
        check(!closed.contains("error"), || {
            format!("the session was not closed: {closed:?}")
        })?;
        Ok(text)
    }

    /// The hostile client's latest report about an attack, from the log.
    fn said(&mut self, what: &str) -> Result<Option<String>, String> {
        // Among the newest entries: with `--user`, the log searches for that user's.
        let log = self
            .system
            .command("llmctl audit --user mallory --last 12 --json")?;
        let entry = log.lines().rev().find(|line| line.contains(what));
        Ok(entry.and_then(|entry| {
            let (_, text) = entry.split_once("\"parts\":[[\"text\",\"")?;
            Some(text.trim_end().trim_end_matches("\"]]}").to_owned())
        }))
    }

    /// Waits for this report.
    fn hears(&mut self, what: &str, patience: Duration) -> Result<Option<String>, String> {
        let until = Instant::now() + patience;
        loop {
            let said = self.said(what)?;
            if said.is_some() || Instant::now() > until {
                return Ok(said);
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn orders(&mut self, attack: &Attack) -> Result<(), String> {
        let number = ATTACKS.iter().position(|other| other.name == attack.name);
        let number = number.ok_or("no attack of the list")? as u64 + 1;
        self.order = (self.order / ORDERS + 1) * ORDERS;
        let tokens = self.order + number;
        let answer = self
            .system
            .command(&format!("llmctl budget mallory --tokens {tokens}"))?;
        check(!answer.contains("error"), || {
            format!("no order: {answer:?}")
        })
    }

    /// An honest request and a question, with their times.
    fn honest_work(&mut self, seen: &mut Seen) -> Result<(), String> {
        let began = Instant::now();
        self.system.asks_honestly("")?;
        let text = began.elapsed();
        seen.requests += 1;
        let began = Instant::now();
        let answer = self.system.command("whoami")?;
        check(answer.contains("tester (owner"), || {
            format!("the honest client is {answer:?}")
        })?;
        seen.slowest_answer = seen.slowest_answer.max(began.elapsed());
        seen.slowest_text = seen.slowest_text.max(text);
        check(seen.slowest_text <= TEXT, || {
            format!("the honest text took {:?}", seen.slowest_text)
        })?;
        check(seen.slowest_answer <= ANSWER, || {
            format!("an answer took {:?}", seen.slowest_answer)
        })
    }

    /// Makes an attack. Returns what was seen, or what is wrong with it.
    fn made(&mut self, attack: &Attack) -> Result<String, String> {
        let mut alone = Seen::default();
        self.honest_work(&mut alone)?;
        let is_about_sessions = attack.name == "mallory-take-session";
        if is_about_sessions {
            self.begin_session()?;
        }
        let before = self.system.counters()?;
        self.orders(attack)?;
        let begins = format!("{} begins", attack.name);
        self.hears(&begins, PATIENCE)?
            .ok_or("the hostile client does not begin")?;
        let mut seen = Seen::default();
        let says = format!("{}: ", attack.name);
        let said = match board::client_must(attack) {
            Must::Die => {
                self.stays_dead(&says)?;
                String::new()
            }
            _ => self.watches(attack, &says, &mut seen)?,
        };
        self.honest_work(&mut seen)?;
        let after = self.system.counters()?.since(before);
        check((after.faults, after.restarts) == (0, 0), || {
            format!("inference was harmed by it: {after:?}")
        })?;
        let charged = self.tokens * seen.requests;
        check(after.used == charged, || {
            format!(
                "the honest user was charged {} tokens instead of {charged}",
                after.used
            )
        })?;
        self.judge(attack, &said, after.violations)?;
        let log = self.system.log_verifies()?;
        // In a longer run, the log may have no room for everything the honest client does.
        check(!attack.uses_up || log.contains("entries 1 to "), || {
            format!("it has pushed entries out of the log: {log:?}")
        })?;
        if is_about_sessions {
            let turn = self.end_session()?;
            check(turn == self.second_turn, || {
                format!(
                    "the honest session went on with {turn:?} instead of {:?}",
                    self.second_turn
                )
            })?;
        }
        let ms = |time: Duration| time.as_millis();
        let what = match board::client_must(attack) {
            Must::Die => "silent: it was stopped, and only the monitor got its fault".to_owned(),
            _ => said.trim_start_matches(&says).to_owned(),
        };
        let violations = match after.violations {
            0 => String::new(),
            count => format!("; {} recorded", in_words(count)),
        };
        Ok(match attack.lasts {
            true => format!(
                "{what}{violations}; meanwhile the honest text took at most {} ms ({} alone), an answer {} ms",
                ms(seen.slowest_text),
                ms(alone.slowest_text),
                ms(seen.slowest_answer)
            ),
            false => format!("{what}{violations}"),
        })
    }

    /// Works until the hostile client has reported what it did.
    fn watches(&mut self, attack: &Attack, says: &str, seen: &mut Seen) -> Result<String, String> {
        let until = Instant::now() + PATIENCE;
        let mut meanwhile = 0;
        loop {
            if attack.lasts {
                self.honest_work(seen)?;
            }
            if let Some(said) = self.said(says)? {
                check(!attack.lasts || meanwhile > 0, || {
                    "it was over before any honest request was answered".to_owned()
                })?;
                return Ok(said);
            }
            meanwhile += 1;
            if Instant::now() > until {
                return Err("the hostile client does not report on it".to_owned());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Checks that it neither reports nor obeys.
    fn stays_dead(&mut self, says: &str) -> Result<(), String> {
        if let Some(said) = self.hears(says, SILENCE)? {
            return Err(format!("it lives on and says {said:?}"));
        }
        let next = ATTACKS
            .iter()
            .find(|attack| board::client_must(attack) != Must::Die);
        let next = next.ok_or("no other attack")?;
        self.orders(next)?;
        match self.hears(&format!("{} begins", next.name), SILENCE)? {
            None => Ok(()),
            Some(_) => Err("it obeys the next order".to_owned()),
        }
    }

    fn judge(&mut self, attack: &Attack, said: &str, violations: u64) -> Result<(), String> {
        check(
            !said.contains("SUCCEEDED") && !said.contains("UNKNOWN"),
            || format!("it was not stopped: {said:?}"),
        )?;
        let (must, breaks) = match board::client_must(attack) {
            Must::Die => ("", false),
            Must::Say(what) | Must::Refused(what, _) => (what, false),
            Must::Break(what) => (what, true),
        };
        check(said.contains(must), || {
            format!("it says something else: {said:?}")
        })?;
        check((violations > 0) == breaks, || {
            format!("{violations} violations were counted")
        })?;
        match board::client_must(attack) {
            Must::Break(_) => {
                let log = self.system.command("llmctl audit")?;
                check(log.contains("mallory broke the protocol"), || {
                    "its violations are not recorded".to_owned()
                })
            }
            Must::Refused(_, code) => {
                let log = self.system.command("llmctl audit --user mallory --json")?;
                let code = format!("\"code\":{code},\"user\":\"mallory\"");
                let is_refusal =
                    |line: &str| line.contains("\"event\":\"refuse\"") && line.contains(&code);
                check(log.lines().any(is_refusal), || {
                    "its refusals are not recorded".to_owned()
                })
            }
            _ => Ok(()),
        }
    }
}
