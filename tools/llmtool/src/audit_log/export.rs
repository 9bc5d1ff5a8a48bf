//! Finds and reads an export in the output of a serial console.

use std::fmt::Display;

use log_export::{Ending, Line, Opening};
use protocol::hash::Hash;
use protocol::name::Name;
use protocol::record::{Kind, RECORD_VERSION, Record};
use protocol::wire::{
    InferParams, PART_HEADER_BYTES, PartKind, PartsWriter, Sampling, TrainParams,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::finding::Finding;
use crate::keys::parse_hex;

/// Prefixes of an export's lines. Text in an entry cannot contain them, because its quotes are escaped.
const OPENING: &str = "{\"log\":\"sel4-llm\"";
const ENTRY: &str = "{\"sequence\":";
const ENDING: &str = "{\"head\":";

/// An entry and its line number.
#[derive(Clone, Debug)]
pub struct ExportedEntry {
    /// From 1.
    pub line: usize,
    /// Its record.
    pub record: Record,
    /// Its text.
    pub text: Vec<u8>,
    /// SHA-256 of both.
    pub hash: Hash,
}

impl ExportedEntry {
    /// Its sequence number.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.record.sequence
    }
}

/// An export.
#[derive(Debug, Default)]
pub struct Export {
    /// Its first line.
    pub opening: Option<Opening>,
    /// Its entries, in the order of the file.
    pub entries: Vec<ExportedEntry>,
    /// Its last line.
    pub ending: Option<Ending>,
    /// Entries whose lines cannot be read, by number as far as that can be read.
    pub unreadable: Vec<Option<u64>>,
    /// Problems with its lines.
    pub findings: Vec<Finding>,
}

impl Export {
    /// Reads an export, and notes what is wrong with it.
    #[must_use]
    pub fn read(content: &[u8]) -> Self {
        let mut export = Self::default();
        for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
            export.read_line(index + 1, &String::from_utf8_lossy(line));
        }
        if export.opening.is_none() {
            export.findings.push(Finding::NoOpening);
        }
        export
    }

    fn read_line(&mut self, number: usize, line: &str) {
        let line = line.trim_end_matches('\r');
        let starts = [OPENING, ENTRY, ENDING].map(|start| line.find(start));
        let Some(at) = starts.iter().flatten().min() else {
            // The console prints nothing between the first and the last line that looks like one of them.
            if self.opening.is_some() && self.ending.is_none() && line.contains('{') {
                self.findings.push(Finding::Stray { line: number });
            }
            return;
        };
        // The text before it is the console's prompt.
        let object = &line[*at..];
        if object.starts_with(OPENING) {
            self.read_opening(number, object);
        } else if object.starts_with(ENTRY) {
            self.read_entry(number, object);
        } else {
            self.read_ending(number, object);
        }
    }

    fn read_opening(&mut self, number: usize, object: &str) {
        if self.opening.is_some() || !self.entries.is_empty() {
            self.findings.push(Finding::SecondOpening { line: number });
            return;
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Members {
            #[serde(rename = "log")]
            _log: String,
            version: u16,
            first: u64,
            anchor: String,
        }
        let read = || {
            let line: Members = parse(object)?;
            if line.version != RECORD_VERSION {
                return Err(format!("version {} is unknown", line.version));
            }
            let opening = Opening {
                anchor: hash("anchor", &line.anchor)?,
                first: line.first,
            };
            canonical(object, &opening).map(|()| opening)
        };
        match read() {
            Ok(opening) => self.opening = Some(opening),
            Err(reason) => self.findings.push(Finding::Line {
                line: number,
                reason,
            }),
        }
    }

    fn read_ending(&mut self, number: usize, object: &str) {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Members {
            head: String,
            entries: u64,
            filtered: bool,
        }
        if self.ending.is_some() {
            self.findings.push(Finding::Outside { line: number });
            return;
        }
        let read = || {
            let line: Members = parse(object)?;
            let ending = Ending {
                head: hash("head", &line.head)?,
                entries: line.entries,
                filtered: line.filtered,
            };
            canonical(object, &ending).map(|()| ending)
        };
        match read() {
            Ok(ending) => self.ending = Some(ending),
            Err(reason) => self.findings.push(Finding::Line {
                line: number,
                reason,
            }),
        }
    }

    fn read_entry(&mut self, number: usize, object: &str) {
        if self.ending.is_some() {
            self.findings.push(Finding::Outside { line: number });
            return;
        }
        match Members::read(object) {
            Ok((record, text)) => {
                let line = Line {
                    record: &record,
                    text: &text,
                };
                // If the fields contradict each other or what audit prints, somebody has changed them.
                if let Err(reason) = canonical(object, &line) {
                    self.findings.push(Finding::Altered {
                        line: number,
                        sequence: record.sequence,
                        reason,
                    });
                }
                self.entries.push(ExportedEntry {
                    line: number,
                    hash: entry_hash(&record, &text),
                    record,
                    text,
                });
            }
            Err(reason) => {
                let digits = object[ENTRY.len()..].split(',').next();
                let sequence = digits.and_then(|digits| digits.parse().ok());
                self.unreadable.push(sequence);
                self.findings.push(Finding::Unreadable {
                    line: number,
                    sequence,
                    reason,
                });
            }
        }
    }
}

/// SHA-256 of an entry: its record, then its text.
#[must_use]
pub fn entry_hash(record: &Record, text: &[u8]) -> Hash {
    Sha256::new_with_prefix(record.to_bytes())
        .chain_update(text)
        .finalize()
        .into()
}

/// An entry's members, as written by [`Line`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    sequence: u64,
    time_us: u64,
    event: String,
    version: u16,
    kind: u16,
    code: u16,
    user: String,
    name: String,
    request: u32,
    session: u32,
    turn: u32,
    kv_type: u16,
    numerics: u32,
    prompt_bytes: u32,
    prompt_tokens: u32,
    generated_tokens: u32,
    text_bytes: u32,
    latency_us: u64,
    first_token_us: u64,
    value: u64,
    limit: u64,
    count: u64,
    params: Params,
    train: Train,
    format: String,
    segments: u32,
    stops: u16,
    user_defined: u16,
    model_sha256: String,
    adapter_sha256: String,
    format_sha256: String,
    prompt_sha256: String,
    output_sha256: String,
    previous: String,
    #[serde(default)]
    text: String,
    /// For a request: each part's kind and text.
    #[serde(default)]
    parts: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    seed: u64,
    temperature: u32,
    top_k: u32,
    top_p: u32,
    min_p: u32,
    repeat_penalty: u32,
    repeat_last_n: u32,
    max_tokens: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Train {
    seed: u64,
    rank: u32,
    alpha: u32,
    epochs: u32,
    rate: u32,
    targets: u32,
}

impl Members {
    fn read(object: &str) -> Result<(Record, Vec<u8>), String> {
        let line: Self = parse(object)?;
        if line.version != RECORD_VERSION {
            return Err(format!("version {} is unknown", line.version));
        }
        let event = Kind::from_u16(line.kind).map_or("unknown", Kind::as_str);
        if line.event != event {
            return Err(format!(
                "the event is '{}', but the kind {} is '{event}'",
                line.event, line.kind
            ));
        }
        let text = line.whole_text()?;
        if text.len() != line.text_bytes as usize {
            return Err(format!(
                "the text has {} bytes, text_bytes says {}",
                text.len(),
                line.text_bytes
            ));
        }
        let params = InferParams {
            sampling: Sampling {
                seed: line.params.seed,
                temperature: line.params.temperature,
                top_k: line.params.top_k,
                top_p: line.params.top_p,
                min_p: line.params.min_p,
                repeat_penalty: line.params.repeat_penalty,
                repeat_last_n: line.params.repeat_last_n,
            },
            max_tokens: line.params.max_tokens,
            reserved: 0,
        };
        let train = TrainParams {
            seed: line.train.seed,
            rank: line.train.rank,
            alpha: line.train.alpha,
            epochs: line.train.epochs,
            rate: line.train.rate,
            targets: line.train.targets,
            reserved: 0,
        };
        let record = Record {
            version: line.version,
            kind: line.kind,
            code: line.code,
            kv_type: line.kv_type,
            numerics: line.numerics,
            request: line.request,
            sequence: line.sequence,
            time_us: line.time_us,
            previous: hash("previous", &line.previous)?,
            user: name("user", &line.user)?,
            session: line.session,
            turn: line.turn,
            prompt_bytes: line.prompt_bytes,
            prompt_tokens: line.prompt_tokens,
            generated_tokens: line.generated_tokens,
            text_bytes: line.text_bytes,
            params,
            train,
            format: name("format", &line.format)?,
            format_sha256: hash("format_sha256", &line.format_sha256)?,
            segments: line.segments,
            stops: line.stops,
            user_defined: line.user_defined,
            model_sha256: hash("model_sha256", &line.model_sha256)?,
            adapter_sha256: hash("adapter_sha256", &line.adapter_sha256)?,
            prompt_sha256: hash("prompt_sha256", &line.prompt_sha256)?,
            output_sha256: hash("output_sha256", &line.output_sha256)?,
            latency_us: line.latency_us,
            first_token_us: line.first_token_us,
            value: line.value,
            limit: line.limit,
            count: line.count,
            name: name("name", &line.name)?,
        };
        Ok((record, text))
    }

    /// The bytes of the text; of a request, its parts as they were sent.
    fn whole_text(&self) -> Result<Vec<u8>, String> {
        if self.parts.is_empty() {
            return Ok(self.text.clone().into_bytes());
        }
        let sizes = self
            .parts
            .iter()
            .map(|(_, text)| PART_HEADER_BYTES + text.len());
        let mut bytes = vec![0; sizes.sum()];
        let mut writer = PartsWriter::new(&mut bytes);
        for (word, text) in &self.parts {
            let kind = PartKind::from_word(word);
            let kind = kind.ok_or_else(|| format!("a part is '{word}', which is no kind"))?;
            writer.push(kind, text.as_bytes());
        }
        Ok(bytes)
    }
}

pub(super) fn parse<'l, T: Deserialize<'l>>(object: &'l str) -> Result<T, String> {
    serde_json::from_str(object).map_err(|error| error.to_string())
}

pub(super) fn hash(member: &str, digits: &str) -> Result<Hash, String> {
    parse_hex(digits).ok_or_else(|| format!("{member} is no SHA-256"))
}

pub(super) fn name<const N: usize>(member: &str, text: &str) -> Result<Name<N>, String> {
    Name::new(text).ok_or_else(|| format!("{member} is no name"))
}

/// Whether a line is exactly what audit prints. This also catches differences that JSON ignores: other spellings of a
/// number or an escape, upper-case digits, spaces.
pub(super) fn canonical(line: &str, printed: &(impl Display + ?Sized)) -> Result<(), String> {
    let printed = printed.to_string();
    if line == printed {
        return Ok(());
    }
    let same = line.bytes().zip(printed.bytes());
    let at = same.take_while(|(a, b)| a == b).count();
    Err(format!(
        "audit would have written it otherwise from its character {} on",
        at + 1
    ))
}
