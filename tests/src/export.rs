//! Exports of the audit log: joins pieces, and adds up their contents.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use protocol::error::ErrorCode;
use protocol::wire::FinishReason;
use serde::Deserialize;

/// The members of an entry that are used here; `protocol::record` defines them.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Entry {
    pub sequence: u64,
    pub event: String,
    pub code: u16,
    pub user: String,
    pub request: u32,
    pub session: u32,
    pub turn: u32,
    pub prompt_bytes: u32,
    pub prompt_tokens: u64,
    pub generated_tokens: u64,
    pub value: u64,
    pub count: u64,
    pub params: Params,
    pub output_sha256: String,
}

/// Parameters of a request.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Params {
    pub seed: u64,
}

#[derive(Deserialize)]
struct Ending {
    head: String,
    entries: usize,
    filtered: bool,
}

/// A log exported in pieces, each of which overlaps the previous one.
#[derive(Debug, Default)]
pub struct Joined {
    opening: String,
    lines: Vec<String>,
    head: String,
    /// Its entries.
    pub entries: Vec<Entry>,
}

impl Joined {
    /// Adds the output of `llmctl audit --json`. The first piece begins with the first entry of the log.
    ///
    /// # Errors
    /// It is not a piece of this log, or entries between it and the last piece are missing.
    pub fn add(&mut self, piece: &str) -> Result<(), String> {
        let lines: Vec<&str> = piece.lines().filter(|l| l.starts_with('{')).collect();
        let [opening, entries @ .., ending] = &lines[..] else {
            return Err(format!("this is not an export: {piece:.200}"));
        };
        let ending: Ending = parse(ending)?;
        if ending.filtered || ending.entries != entries.len() {
            let (said, are) = (ending.entries, entries.len());
            return Err(format!(
                "the export says that it has {said} entries, there are {are}"
            ));
        }
        if self.opening.is_empty() {
            (*opening).clone_into(&mut self.opening);
        }
        let first = self.entries.first().map_or(1, |entry| entry.sequence);
        let mut overlap = 0;
        for line in entries {
            let entry: Entry = parse(line)?;
            let at = usize::try_from(entry.sequence - first).map_err(|e| e.to_string())?;
            match self.lines.get(at) {
                Some(known) if known == line => overlap += 1,
                Some(known) => {
                    return Err(format!(
                        "an entry of the log has changed, from {known} to {line}"
                    ));
                }
                None if at == self.lines.len() => {
                    self.lines.push((*line).to_owned());
                    self.entries.push(entry);
                }
                None => {
                    let last = self.lines.len();
                    return Err(format!("entry {} follows entry {last}", entry.sequence));
                }
            }
        }
        if overlap == 0 && self.lines.len() != entries.len() {
            return Err("the export does not overlap the one before".to_owned());
        }
        self.head = ending.head;
        Ok(())
    }

    /// The log as one export.
    #[must_use]
    pub fn export(&self) -> String {
        let (lines, head, entries) = (self.lines.join("\n"), &self.head, self.lines.len());
        let ending = format!("{{\"head\":\"{head}\",\"entries\":{entries},\"filtered\":false}}");
        format!("{}\n{lines}\n{ending}\n", self.opening)
    }

    /// Number of entries of this kind.
    #[must_use]
    pub fn count(&self, event: &str) -> usize {
        self.of(event).count()
    }

    /// Entries of this kind.
    pub fn of(&self, event: &str) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.event == event)
    }

    /// The end of each request for text, by number.
    ///
    /// # Errors
    /// A request has two ends, ends before it begins, or ends in another session or turn.
    pub fn ends(&self) -> Result<BTreeMap<u32, &Entry>, String> {
        let mut open: BTreeMap<u32, &Entry> = BTreeMap::new();
        let mut ends = BTreeMap::new();
        for entry in &self.entries {
            match entry.event.as_str() {
                "admit" => {
                    let again = open.insert(entry.request, entry).is_some();
                    if again || ends.contains_key(&entry.request) {
                        return Err(format!("request {} was admitted twice", entry.request));
                    }
                }
                // Loads fail as well; they have no session.
                "finish" | "fail" if entry.session > 0 => {
                    let begun = open.remove(&entry.request);
                    let same = begun.is_some_and(|begun| {
                        (begun.session, begun.turn, &begun.user)
                            == (entry.session, entry.turn, &entry.user)
                    });
                    if !same {
                        return Err(format!(
                            "entry {} ends no request that was under way",
                            entry.sequence
                        ));
                    }
                    ends.insert(entry.request, entry);
                }
                _ => {}
            }
        }
        Ok(ends)
    }

    /// Tokens charged to a user.
    #[must_use]
    pub fn charged(&self, user: &str) -> u64 {
        self.entries
            .iter()
            .filter(|entry| entry.user == user && is_charged(entry))
            .map(|entry| entry.prompt_tokens + entry.generated_tokens)
            .sum()
    }
}

/// Whether a request's tokens count: it ended normally, or it ended by itself at its deadline.
#[must_use]
pub fn is_charged(entry: &Entry) -> bool {
    let at_deadline = entry.event == "fail"
        && entry.code == ErrorCode::Deadline as u16
        && entry.output_sha256.bytes().any(|digit| digit != b'0');
    entry.event == "finish" || at_deadline
}

/// Whether the console's closing line of a request agrees with its end in the log.
#[must_use]
pub fn agrees(closing: &str, end: &Entry) -> bool {
    if end.event == "finish" {
        let words = [
            (FinishReason::EndOfText, "end of text"),
            (FinishReason::MaxTokens, "--max-tokens reached"),
            (FinishReason::ContextFull, "context full"),
            (FinishReason::Cancelled, "cancelled"),
            (FinishReason::Stop, "stop string"),
        ];
        let reason = words
            .iter()
            .find(|(reason, _)| *reason as u16 == end.code)
            .map_or("?", |(_, word)| word);
        let plural = if end.generated_tokens == 1 { "" } else { "s" };
        let tokens = format!("[{} token{plural}, ", end.generated_tokens);
        return closing.starts_with(&tokens) && closing.ends_with(&format!(", {reason}]"));
    }
    closing.starts_with(failure(end.code))
}

/// The beginning of the console's message about a failed request.
fn failure(code: u16) -> &'static str {
    match ErrorCode::from_u16(code) {
        Some(ErrorCode::InferenceFault) => "error: inference crashed while handling the request",
        Some(ErrorCode::ProtocolViolation) => "error: inference broke the protocol while",
        Some(ErrorCode::Unresponsive) => "error: inference did not answer in time",
        Some(ErrorCode::Deadline) => "error: it took ",
        Some(ErrorCode::ContextFull) => "error: the context of ",
        Some(ErrorCode::PromptTokens) => "error: the prompt has ",
        Some(ErrorCode::CacheFull) => "error: the KV cache has ",
        Some(ErrorCode::SessionEvicted) => "error: the session was evicted",
        Some(ErrorCode::RestartsExhausted) => "error: inference was restarted",
        _ => "error: a failure that nobody expects",
    }
}

/// A JSON object in a line.
fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|error| format!("{error} in {line:.200}"))
}

/// Figures in two columns.
#[derive(Debug, Default)]
pub struct Table(String);

impl Table {
    /// Adds a line.
    pub fn row(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{name:<44} {value}");
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Minimum, median and maximum of times, in milliseconds.
#[must_use]
pub fn spread(mut us: Vec<u64>) -> String {
    us.sort_unstable();
    let ms = |index: usize| us.get(index).map_or(0.0, |us| *us as f64 / 1000.0);
    let last = us.len().saturating_sub(1);
    format!(
        "p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        ms(last / 2),
        ms(last * 99 / 100),
        ms(last)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use log_export::Line;
    use protocol::record::{Kind, Record};

    /// An export of entries with these numbers and kinds, about one request.
    fn piece(entries: &[(u64, Kind)]) -> String {
        let mut text = "{\"log\":\"sel4-llm\"}\n".to_owned();
        for (sequence, kind) in entries {
            let record = Record {
                sequence: *sequence,
                request: 7,
                session: 1,
                prompt_bytes: 4,
                prompt_tokens: 2,
                generated_tokens: 3,
                ..Record::new(*kind)
            };
            let line = Line {
                record: &record,
                text: b"",
            };
            text += &format!("{line}\n");
        }
        let count = entries.len();
        text + &format!("{{\"head\":\"00\",\"entries\":{count},\"filtered\":false}}\n")
    }

    #[test]
    fn pieces_that_overlap_become_one_and_gaps_and_changes_are_found() {
        let (admit, finish) = (Kind::Admit, Kind::Finish);
        let mut log = Joined::default();
        log.add(&piece(&[(1, Kind::Boot), (2, admit)])).unwrap();
        assert!(log.add(&piece(&[(4, finish)])).is_err(), "a gap");
        assert!(log.add(&piece(&[(3, finish)])).is_err(), "no overlap");
        let mut log = Joined::default();
        log.add(&piece(&[(1, Kind::Boot), (2, admit)])).unwrap();
        assert!(log.add(&piece(&[(2, finish)])).is_err(), "a change");
        log.add(&piece(&[(2, admit), (3, finish)])).unwrap();
        let whole = piece(&[(1, Kind::Boot), (2, admit), (3, finish)]);
        assert_eq!(log.export(), whole);
        let missing = whole.replacen("\"entries\":3", "\"entries\":4", 1);
        assert!(Joined::default().add(&missing).is_err());
    }

    #[test]
    fn a_request_has_one_beginning_and_one_end() {
        let (admit, finish, fail) = (Kind::Admit, Kind::Finish, Kind::Fail);
        let ends = |kinds: &[Kind]| {
            let mut log = Joined::default();
            log.add(&piece(
                &(1..).zip(kinds.iter().copied()).collect::<Vec<_>>(),
            ))
            .unwrap();
            (log.ends().map(|ends| ends.len()), log.charged(""))
        };
        assert_eq!(ends(&[admit, finish]), (Ok(1), 5));
        // Inference died, so nothing is charged.
        assert_eq!(ends(&[admit, fail]), (Ok(1), 0));
        assert_eq!(ends(&[admit]), (Ok(0), 0));
        for wrong in [
            &[finish][..],
            &[admit, finish, finish],
            &[admit, finish, fail],
            &[admit, admit],
            &[admit, finish, admit],
        ] {
            assert!(ends(wrong).0.is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_console_and_the_log_agree_on_tokens_and_reason() {
        let mut log = Joined::default();
        log.add(&piece(&[(1, Kind::Finish)])).unwrap();
        let mut end = log.entries.remove(0);
        end.code = FinishReason::EndOfText as u16;
        assert!(agrees("[3 tokens, 9.0 tokens/s, end of text]", &end));
        assert!(!agrees("[4 tokens, 9.0 tokens/s, end of text]", &end));
        end.generated_tokens = 1;
        assert!(agrees("[1 token, 9.0 tokens/s, end of text]", &end));
        assert!(!agrees("[1 tokens, 9.0 tokens/s, end of text]", &end));
        end.generated_tokens = 3;
        assert!(!agrees("[3 tokens, 9.0 tokens/s, cancelled]", &end));
        assert!(!agrees(
            "error: inference crashed while handling the request",
            &end
        ));
        (end.event, end.code) = ("fail".to_owned(), ErrorCode::InferenceFault as u16);
        assert!(agrees(
            "error: inference crashed while handling the request",
            &end
        ));
        assert!(!agrees("[3 tokens, 9.0 tokens/s, end of text]", &end));
    }
}
