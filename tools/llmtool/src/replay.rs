//! Runs the requests of an audit log again and compares the hashes of their outputs.
//!
//! The arithmetic is the same on every machine, so the model, the tokens of the session, the sampler and the seed
//! determine the output bit for bit. A request is run for as many tokens as it generated: one that was cancelled or
//! reached its deadline gives the same up to there. Turns of a session are run in order, because each depends on those
//! before it. Fine-tunings come first, because requests may have used their adapters.

mod engine;
mod prompts;
mod sources;
mod tuning;

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::io::Write;
use std::path::PathBuf;

use llm_core::NUMERICS_VERSION;
use llm_core::hash::sha256;
use protocol::error::ErrorCode;
use protocol::hash::{Hash, Hex};
use protocol::limits::DEFAULT_CONTEXT_TOKENS;
use protocol::record::{Kind, Record};
use protocol::wire::FinishReason;
use safe_text::json::Object;

use crate::audit_log::{Export, ExportedEntry};
use crate::error::ToolError;
use crate::units;
use engine::{Adapters, Engine, Outcome, Request};
use prompts::Prompts;
use sources::Sources;
use tuning::Tuning;

/// The hash in the record of a request without an adapter.
const NO_ADAPTER: Hash = [0; 32];

/// The result of replaying a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// It gave the same output.
    Reproduced,
    /// It gave another output.
    Differs(String),
    /// It could not be run.
    Skipped(String),
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reproduced => f.write_str("reproduced"),
            Self::Differs(what) => write!(f, "DIFFERS: {what}"),
            Self::Skipped(why) => write!(f, "not replayed: {why}"),
        }
    }
}

/// A request to replay.
#[derive(Debug)]
pub struct Replayed<'e> {
    /// The record of its end.
    record: &'e Record,
    verdict: Verdict,
    /// Its output, if it was reproduced.
    text: Option<String>,
}

/// A turn of a session, from the log.
#[derive(Clone, Copy, Debug, Default)]
struct Turn<'e> {
    admitted: Option<&'e ExportedEntry>,
    ended: Option<&'e Record>,
}

/// The turns of a session by number.
type Turns<'e> = BTreeMap<u32, Turn<'e>>;

/// Replays everything possible, with models, adapters and training data from `places`, which are folders and images,
/// and additional `data`. The export must have been verified. `threads` threads compute together, which changes no
/// result.
///
/// # Errors
/// A file cannot be read, or is not a model.
pub fn replay<'e>(
    export: &'e Export,
    places: &[PathBuf],
    prompts: &[u8],
    data: &[PathBuf],
    formats: Option<&[u8]>,
    threads: usize,
) -> Result<Vec<Replayed<'e>>, ToolError> {
    let mut prompts = Prompts::read(prompts);
    // Numbers of sessions and requests restart at each boot.
    let mut boot = 0u32;
    let mut sessions: BTreeMap<(u32, u32), Turns<'_>> = BTreeMap::new();
    // The context with which each model was loaded; the entry may precede the export.
    let mut contexts: BTreeMap<Hash, usize> = BTreeMap::new();
    // Hashes of the examples typed so far, and those that each fine-tuning used.
    let mut examples: Vec<Hash> = Vec::new();
    let mut found: BTreeMap<(u32, u32), Vec<Hash>> = BTreeMap::new();
    let mut tunings: Vec<Tuning<'_>> = Vec::new();
    for entry in &export.entries {
        let record = &entry.record;
        let (session, turn) = ((boot, record.session), record.turn);
        match record.kind() {
            Some(Kind::Boot) => {
                boot += 1;
                examples.clear();
            }
            Some(Kind::Load) => {
                let context = usize::try_from(record.limit).unwrap_or(usize::MAX);
                contexts.insert(record.model_sha256, context);
            }
            Some(Kind::Admit) => {
                prompts.add(&entry.text);
                let turn = sessions.entry(session).or_default().entry(turn);
                turn.or_default().admitted = Some(entry);
            }
            Some(Kind::Example) if record.prompt_bytes == 0 => examples.clear(),
            Some(Kind::Example) => {
                prompts.add(&entry.text);
                examples.push(record.prompt_sha256);
            }
            Some(Kind::Tune) => {
                found.insert((boot, record.request), examples.clone());
            }
            Some(Kind::Tuned) if record.code == FinishReason::EndOfText as u16 => {
                let examples = found.remove(&(boot, record.request));
                let examples = examples.unwrap_or_default();
                tunings.push(Tuning { record, examples });
            }
            Some(Kind::Finish | Kind::Fail) if record.session > 0 => {
                let turn = sessions.entry(session).or_default().entry(turn);
                turn.or_default().ended = Some(record);
            }
            _ => {}
        }
    }

    let mut sources = Sources::new(prompts);
    for place in places {
        sources.add(place)?;
    }
    for path in data {
        sources.add_data(path)?;
    }
    let context_of = |model: &Hash| {
        let context = contexts.get(model).copied();
        context.unwrap_or(DEFAULT_CONTEXT_TOKENS)
    };
    let mut all: Vec<Replayed<'_>> = Vec::new();
    for tuning in &tunings {
        let record = tuning.record;
        let verdict = tuning::replay(tuning, context_of(&record.model_sha256), &mut sources)?;
        all.push(Replayed {
            record,
            verdict,
            text: None,
        });
    }
    let mut by_model: BTreeMap<Hash, Vec<&Turns<'_>>> = BTreeMap::new();
    for session in sessions.values() {
        let ended = session.values().find_map(|turn| turn.ended);
        if let Some(record) = ended {
            by_model
                .entry(record.model_sha256)
                .or_default()
                .push(session);
        }
    }
    for (model, sessions) in by_model {
        let Some(place) = sources.file(&model) else {
            for session in sessions {
                let why = no_model(&model);
                replay_session(session, &model, &sources.prompts, Err(why), &mut all);
            }
            continue;
        };
        let file = place.read()?;
        let mut adapters = Adapters::default();
        for session in &sessions {
            adapters.add(adapter_of(session), &sources)?;
        }
        let context = context_of(&model);
        Engine::with(
            &place.path(),
            &file,
            context,
            &adapters,
            formats,
            threads,
            |engine| {
                for session in sessions {
                    let engine = match engine.use_adapter(&adapter_of(session), &adapters) {
                        Ok(()) => Ok(&mut *engine),
                        Err(why) => Err(why),
                    };
                    replay_session(session, &model, &sources.prompts, engine, &mut all);
                }
            },
        )?;
    }
    all.sort_by_key(|replayed| replayed.record.sequence);
    Ok(all)
}

/// The reproduced texts as JSON, one request per line. The text is for people; its bytes and their hash also represent
/// what JSON cannot.
#[must_use]
pub fn texts(all: &[Replayed<'_>]) -> String {
    let lines = all.iter().filter_map(|replayed| {
        let (request, text) = (replayed.record.request, replayed.text.as_ref()?);
        Some(format!("{}\n", TextLine { request, text }))
    });
    lines.collect()
}

struct TextLine<'t> {
    request: u32,
    text: &'t str,
}

impl std::fmt::Display for TextLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Object::new(f)
            .member("request", self.request)
            .member("bytes", self.text.len())
            .text("sha256", Hex(&sha256(self.text.as_bytes())))
            .text("text", self.text)
            .finish()
    }
}

/// The adapter of a session: that of its first turn, which all turns share. Zeros mean none.
fn adapter_of(session: &Turns<'_>) -> Hash {
    let ended = session.values().find_map(|turn| turn.ended);
    ended.map_or(NO_ADAPTER, |record| record.adapter_sha256)
}

fn no_model(model: &Hash) -> String {
    format!("no model with SHA-256 {}", Hex(model))
}

/// Replays the turns of a session; without an engine, reports the reason for each.
fn replay_session<'e>(
    session: &Turns<'e>,
    model: &Hash,
    prompts: &Prompts,
    mut engine: Result<&mut Engine<'_>, String>,
    all: &mut Vec<Replayed<'e>>,
) {
    let mut next = 1;
    // Why later turns cannot be replayed: the session's content would differ.
    let mut broken: Option<String> = None;
    for (&number, turn) in session {
        if number > next && broken.is_none() {
            broken = Some(format!("turn {next} of its session is not in the log"));
        }
        next = number.saturating_add(1);
        let Some(record) = turn.ended else {
            broken = Some(format!(
                "turn {number} of its session has no end in the log"
            ));
            continue;
        };
        if !has_output(record) {
            if !leaves_session(record) {
                broken = Some(format!("turn {number} of its session failed"));
            }
            continue;
        }
        let prompt = prompts.find(&record.prompt_sha256);
        let adapter = adapter_of(session);
        let runnable = runnable(record, model, &adapter);
        let (verdict, text) = match (&broken, runnable, &mut engine, prompt) {
            (Some(why), ..) => (Verdict::Skipped(why.clone()), None),
            (_, _, Err(why), _) => (Verdict::Skipped(why.clone()), None),
            (_, Err(why), ..) => (Verdict::Skipped(why), None),
            (_, _, _, None) => {
                let why = format!(
                    "the log has no text of its prompt, nor has --prompts: SHA-256 {}",
                    Hex(&record.prompt_sha256)
                );
                (Verdict::Skipped(why), None)
            }
            (None, Ok(()), Ok(engine), Some(prompt)) => {
                let request = Request {
                    first: number == 1,
                    parts: prompt,
                    format: record.format_sha256,
                    user_defined: record.user_defined == 1,
                    params: record.params,
                    tokens: record.generated_tokens,
                };
                compare(record, engine.turn(&request))
            }
        };
        if verdict != Verdict::Reproduced && broken.is_none() {
            broken = Some(format!("turn {number} of its session was not reproduced"));
        }
        all.push(Replayed {
            record,
            verdict,
            text,
        });
    }
}

/// Whether the request ended with the counts that are needed to repeat it. Requests that reached their deadline do,
/// too. Other failures have the hash of what was shown, but the prompt's tokens were not counted.
fn has_output(record: &Record) -> bool {
    record.kind() == Some(Kind::Finish) || record.code == ErrorCode::Deadline as u16
}

/// Whether a failed request left its session unchanged, because it was refused before it began.
fn leaves_session(record: &Record) -> bool {
    record.generated_tokens == 0
        && ErrorCode::from_u16(record.code).is_some_and(ErrorCode::leaves_session)
}

/// Whether this tool can repeat the computation in the log.
fn runnable(record: &Record, model: &Hash, adapter: &Hash) -> Result<(), String> {
    if record.model_sha256 != *model {
        return Err("an earlier turn of its session used another model".to_owned());
    }
    if record.adapter_sha256 != *adapter {
        return Err("an earlier turn of its session used another adapter".to_owned());
    }
    same_numerics(record)?;
    if !Engine::has_kv_type(record.kv_type) {
        return Err(format!(
            "keys and values were stored as type {}, replay has the system's 8 bits",
            record.kv_type
        ));
    }
    Ok(())
}

/// Whether this tool has the arithmetic of an entry.
fn same_numerics(record: &Record) -> Result<(), String> {
    if record.numerics != NUMERICS_VERSION {
        return Err(format!(
            "it was computed with numerics version {}, this tool has {NUMERICS_VERSION}",
            record.numerics
        ));
    }
    Ok(())
}

/// Checks the outcome against the log. Returns the text if it matches.
fn compare(record: &Record, outcome: Result<Outcome, String>) -> (Verdict, Option<String>) {
    match outcome.and_then(|outcome| expect(record, outcome)) {
        Ok(text) => (Verdict::Reproduced, Some(text)),
        Err(difference) => (Verdict::Differs(difference), None),
    }
}

fn expect(record: &Record, outcome: Outcome) -> Result<String, String> {
    let numbers = [
        (
            "tokens of the prompt",
            outcome.prompt_tokens,
            record.prompt_tokens,
        ),
        (
            "generated tokens",
            outcome.generated,
            record.generated_tokens,
        ),
    ];
    for (what, got, logged) in numbers {
        if got != logged {
            return Err(format!("{got} {what}, the log has {logged}"));
        }
    }
    if outcome.output != record.output_sha256 {
        let (got, logged) = (Hex(&outcome.output), Hex(&record.output_sha256));
        return Err(format!("output {got}, the log has {logged}"));
    }
    Ok(outcome.text)
}

/// Prints a table of all results.
///
/// # Errors
/// Something differs, or nothing was reproduced.
pub fn write_table(all: &[Replayed<'_>], out: &mut impl Write) -> Result<(), ToolError> {
    writeln!(
        out,
        "{:>8} {:<12} {:>8} {:>5} {:>7} {:>7}  verdict",
        "request", "user", "session", "turn", "prompt", "tokens"
    )?;
    for replayed in all {
        let Replayed {
            record, verdict, ..
        } = replayed;
        writeln!(
            out,
            "{:>8} {:<12} {:>8} {:>5} {:>7} {:>7}  {verdict}",
            record.request,
            record.user,
            match record.kind() {
                Some(Kind::Tuned) => "adapter".to_owned(),
                _ => record.session.to_string(),
            },
            record.turn,
            record.prompt_tokens,
            record.generated_tokens,
        )?;
    }
    let count = |is: fn(&Verdict) -> bool| all.iter().filter(|one| is(&one.verdict)).count();
    let reproduced = count(|verdict| *verdict == Verdict::Reproduced);
    let differ = count(|verdict| matches!(verdict, Verdict::Differs(_)));
    let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
    if differ > 0 || reproduced == 0 {
        return Err(ToolError::Replay {
            reproduced,
            differ,
            skipped,
        });
    }
    writeln!(
        out,
        "{} reproduced, {differ} differ, {skipped} not replayed",
        units::count(reproduced, "request")
    )?;
    Ok(())
}
