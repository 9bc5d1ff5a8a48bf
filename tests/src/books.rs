//! The accounts of a soak client (`tests/clients/soak`), built from its output lines, and whether they match audit's.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::export::{Entry, Joined, Table, is_charged};

/// Requests for text per turn, as in the client.
pub const TURN: u64 = 60;

/// A completed request, from the client's point of view.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    kind: String,
    code: u16,
    prompt: u64,
    generated: u64,
    turn: u32,
    /// Tokens of the text that arrived.
    tokens: u64,
    bytes: u64,
    sha256: String,
}

/// What `llmtool replay` says about a request's output.
#[derive(Clone, Debug, Deserialize)]
pub struct Said {
    /// Audit's number for it.
    request: u32,
    bytes: u64,
    sha256: String,
}

/// The lines of `llmtool replay --texts`, by request number.
///
/// # Errors
/// A line is not valid.
pub fn said(text: &str) -> Result<BTreeMap<u32, Said>, String> {
    let parse = |line| serde_json::from_str(line).map_err(|error| format!("{error} in {line}"));
    let all = text.lines().map(parse).collect::<Result<Vec<Said>, _>>()?;
    Ok(all.into_iter().map(|said| (said.request, said)).collect())
}

/// Totals over all turns.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    asked: u64,
    cancels: u64,
    garbage: u64,
    answered: u64,
    indices: u64,
    stops: u64,
    malformed: u64,
    unexpected: u64,
}

/// A client's accounts; see the module.
#[derive(Debug)]
pub struct Books {
    /// Its name, which is also its user's.
    pub name: &'static str,
    ends: BTreeMap<u64, End>,
    turns: u64,
    sums: Sums,
}

impl Books {
    /// The accounts of a client that has done nothing.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            ends: BTreeMap::new(),
            turns: 0,
            sums: Sums {
                asked: 0,
                cancels: 0,
                garbage: 0,
                answered: 0,
                indices: 0,
                stops: 0,
                malformed: 0,
                unexpected: 0,
            },
        }
    }

    /// Completed requests for text.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.ends.len()
    }

    /// Completed turns.
    #[must_use]
    pub const fn turns(&self) -> u64 {
        self.turns
    }

    /// Takes a line if it came from this client.
    ///
    /// # Errors
    /// The line reports something impossible, such as a second end of a request.
    pub fn take(&mut self, line: &str) -> Result<(), String> {
        let said = line.strip_prefix(self.name);
        let Some(said) = said.and_then(|rest| rest.strip_prefix(": ")) else {
            return Ok(());
        };
        let words: Vec<&str> = said.split(' ').collect();
        let number = |at: usize| -> Result<u64, String> {
            let word = words.get(at).and_then(|word| word.parse().ok());
            word.ok_or_else(|| format!("word {at} of {line:?} is not a number"))
        };
        match words[..] {
            ["end", _, kind, .., sha256] if words.len() == 10 => {
                let end = End {
                    kind: kind.to_owned(),
                    code: number(3)? as u16,
                    prompt: number(4)?,
                    generated: number(5)?,
                    turn: number(6)? as u32,
                    tokens: number(7)?,
                    bytes: number(8)?,
                    sha256: sha256.to_owned(),
                };
                match self.ends.insert(number(1)?, end) {
                    None => Ok(()),
                    Some(before) => Err(format!("{line:?} is a second end, after {before:?}")),
                }
            }
            ["turn", ..] if words.len() == 10 => {
                self.turns = number(1)?;
                self.sums = Sums {
                    asked: number(2)?,
                    cancels: number(3)?,
                    garbage: number(4)?,
                    answered: number(5)?,
                    indices: number(6)?,
                    stops: number(7)?,
                    malformed: number(8)?,
                    unexpected: number(9)?,
                };
                self.check_turn()
            }
            _ => Err(line.to_owned()),
        }
    }

    /// Checks that each request of completed turns has ended, and that audit sent nothing unrequested.
    fn check_turn(&self) -> Result<(), String> {
        let Self {
            name, ends, turns, ..
        } = self;
        let Sums {
            asked,
            cancels,
            answered,
            malformed,
            unexpected,
            ..
        } = self.sums;
        let missing = (1..=asked).find(|tag| !ends.contains_key(tag));
        if let Some(tag) = missing {
            return Err(format!("{name} got no end for its request {tag}"));
        }
        if asked != turns * TURN || ends.len() as u64 != asked {
            let ended = ends.len();
            return Err(format!(
                "{name} has asked {asked} times in {turns} turns of {TURN}, and got {ended} ends"
            ));
        }
        // A late cancellation is answered as well, and so is the cancellation of a message that was answered.
        if malformed > 0 || unexpected > cancels + answered {
            return Err(format!(
                "{name} was sent {malformed} malformed messages, and {unexpected} that answer nothing: it has cancelled \
                 {cancels} times, and {answered} of its garbage is answered"
            ));
        }
        Ok(())
    }

    /// Compares the accounts with the log: each admitted request has the same end in both, to the token and the byte,
    /// and every other one was refused. Call it when no request is in flight.
    ///
    /// # Errors
    /// Something differs.
    pub fn compare(&self, log: &Joined) -> Result<(), String> {
        let ends = log.ends()?;
        let name = self.name;
        let mut admitted: BTreeMap<u64, &Entry> = BTreeMap::new();
        for entry in log.of("admit").filter(|entry| entry.user == name) {
            if let Some(first) = admitted.insert(entry.params.seed, entry) {
                return Err(format!("{name}: {first:?} was admitted again: {entry:?}"));
            }
        }
        for (tag, end) in &self.ends {
            let logged = admitted.remove(tag).map(|it| ends.get(&it.request));
            let agree = match logged {
                Some(Some(logged)) => agrees(end, logged),
                Some(None) => false,
                None => end.kind == "failed" && end.tokens == 0 && end.bytes == 0,
            };
            if !agree {
                return Err(format!(
                    "{name}: {end:?} of request {tag}, by the log {logged:?}"
                ));
            }
        }
        match admitted.first_key_value() {
            Some((_, entry)) => Err(format!("{name} has no end of {entry:?}")),
            None => Ok(()),
        }
    }

    /// Compares the texts with those from a replay of the log.
    ///
    /// # Errors
    /// A text differs or is missing.
    pub fn compare_texts(&self, log: &Joined, texts: &BTreeMap<u32, Said>) -> Result<(), String> {
        let ends = log.ends()?;
        let name = self.name;
        for entry in log.of("admit").filter(|entry| entry.user == name) {
            let charged = ends.get(&entry.request).filter(|end| is_charged(end));
            let Some((logged, end)) = charged.zip(self.ends.get(&entry.params.seed)) else {
                continue;
            };
            let said = texts.get(&logged.request);
            if said.is_none_or(|said| (said.bytes, &said.sha256) != (end.bytes, &end.sha256)) {
                return Err(format!(
                    "{name} has got {end:?}, by the replay of {logged:?} it is {said:?}"
                ));
            }
        }
        Ok(())
    }

    /// Adds the totals to a table.
    pub fn fill(&self, table: &mut Table) {
        let name = self.name;
        let count = |kind: &str| self.ends.values().filter(|end| end.kind == kind).count();
        let (finished, failed) = (count("finished"), count("failed"));
        let ended = self.ends.len();
        table.row(
            &format!("requests of {name}"),
            format!("{ended}, {finished} finished, {failed} refused or failed"),
        );
        let tokens: u64 = self.ends.values().map(|end| end.tokens).sum();
        let bytes: u64 = self.ends.values().map(|end| end.bytes).sum();
        table.row("  text", format!("{tokens} tokens, {bytes} bytes"));
        let Sums {
            cancels,
            garbage,
            indices,
            stops,
            ..
        } = self.sums;
        table.row("  cancelled", cancels);
        table.row("  garbage messages", garbage);
        table.row("  impossible indices", indices);
        table.row("  pauses in which it read nothing", stops);
    }
}

/// Whether the end that the client saw matches the log.
fn agrees(end: &End, logged: &Entry) -> bool {
    if logged.event == "finish" {
        let by_log = (
            logged.code,
            logged.prompt_tokens,
            logged.generated_tokens,
            logged.turn,
        );
        return end.kind == "finished"
            && (end.code, end.prompt, end.generated, end.turn) == by_log
            && end.tokens == end.generated;
    }
    // A request that ends at its deadline has received everything it paid for.
    let whole = !is_charged(logged) || end.tokens == logged.generated_tokens;
    end.kind == "failed" && end.code == logged.code && whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(tag: u64) -> String {
        format!("first: end {tag} finished 2 3 4 1 4 9 {}", "ab".repeat(32))
    }

    fn turn(asked: u64, malformed: u64, unexpected: u64) -> String {
        format!("first: turn 1 {asked} 2 3 1 0 5 {malformed} {unexpected}")
    }

    #[test]
    fn a_second_end_a_missing_one_and_what_nobody_asked_for_are_found() {
        let of = |lines: &[String]| {
            let mut books = Books::new("first");
            let all = (1..=TURN).try_for_each(|tag| books.take(&line(tag)));
            all.and_then(|()| lines.iter().try_for_each(|line| books.take(line)))
        };
        assert_eq!(of(&[turn(TURN, 0, 3)]), Ok(()));
        assert_eq!(
            of(&["second: wrong".to_owned(), "sim: x".to_owned()]),
            Ok(())
        );
        for wrong in [
            line(TURN),
            turn(TURN + 1, 0, 0),
            turn(TURN - 1, 0, 0),
            turn(TURN, 1, 0),
            turn(TURN, 0, 4),
            "first: wrong something".to_owned(),
            "first: end 1 finished".to_owned(),
        ] {
            assert!(of(std::slice::from_ref(&wrong)).is_err(), "{wrong}");
        }
    }
}
