//! Compiles the formats of a policy, and the rules about who may use which.

use std::path::Path;

use format_compiler::Source;
use formats::encode::{EncodeError, Encoded, image};
use protocol::limits::MAX_USER_BYTES;
use protocol::policy::{CHOICES, FormatRule};
use toml::Spanned;

use super::document::{self, Document, Flaw};
use super::in_order;
use crate::files;

// Audit's limit must equal the one for which automata are built.
const _: () = assert!(MAX_USER_BYTES == formats::MAX_NAME_BYTES);

/// A format of answers.
#[derive(Debug)]
pub struct Format {
    /// Its name.
    pub name: String,
    /// Its source, for people.
    pub kind: &'static str,
    /// Its automaton.
    pub encoded: Encoded,
}

/// Compiles all formats, in the order of the file. Paths of schemas are relative to `folder`.
pub(super) fn compile(document: &Document, folder: &Path) -> Result<Vec<Format>, Flaw> {
    let Document {
        formats, prompts, ..
    } = document;
    let entries = in_order(
        formats,
        "formats",
        "format",
        0..=formats::MAX_FORMATS,
        prompts,
    )?;
    let mut compiled: Vec<Format> = Vec::new();
    for (name, format) in entries {
        if name.get_ref() == CHOICES {
            let reason = format!(
                "no format can be called '{CHOICES}': in `formats = [...]` this stands for choices that come with a request"
            );
            return Err(Flaw::new(name, reason));
        }
        compiled.push(compile_one(name, format, folder)?);
        // An error that only appears with all formats together is reported for the first one that does not fit.
        let all = compiled.iter().map(|one| (one.name.as_str(), &one.encoded));
        image(all).map_err(|error: EncodeError| Flaw::new(name, error.to_string()))?;
    }
    Ok(compiled)
}

/// The rule of a role or a client: the listed formats, or all, and whether using one is required.
pub(super) fn rule(
    formats: &[Format],
    listed: Option<&Spanned<Vec<Spanned<String>>>>,
    must_use: Option<&Spanned<bool>>,
) -> Result<FormatRule, Flaw> {
    let rule = match listed {
        None => FormatRule::ANY,
        Some(listed) => {
            let mut names = listed.get_ref().iter();
            names.try_fold(FormatRule::NONE, |rule, name| add(rule, formats, name))?
        }
    };
    match must_use {
        Some(must) if *must.get_ref() && rule.is_none() => {
            let reason =
                "must-use-format is true, but `formats` has none, so nothing could be asked";
            Err(Flaw::new(must, reason))
        }
        Some(must) if *must.get_ref() => Ok(rule.with_must()),
        _ => Ok(rule),
    }
}

/// The rule plus one format.
fn add(rule: FormatRule, formats: &[Format], name: &Spanned<String>) -> Result<FormatRule, Flaw> {
    let wanted = name.get_ref();
    let number = formats.iter().position(|format| format.name == *wanted);
    let more = match number {
        Some(number) => rule.with(number),
        None if wanted == CHOICES => rule.with_choices(),
        None => {
            let all: Vec<&str> = formats.iter().map(|format| format.name.as_str()).collect();
            let reason = format!(
                "there is no format '{wanted}'; there are {}",
                [&all[..], &[CHOICES]].concat().join(", ")
            );
            return Err(Flaw::new(name, reason));
        }
    };
    match more == rule {
        true => Err(Flaw::new(name, format!("'{wanted}' is given twice"))),
        false => Ok(more),
    }
}

fn compile_one(
    name: &Spanned<String>,
    format: &document::Format,
    folder: &Path,
) -> Result<Format, Flaw> {
    let document::Format {
        choices,
        regex,
        json_schema,
    } = format;
    let is = |kind, encoded| Format {
        name: name.get_ref().clone(),
        kind,
        encoded,
    };
    match (choices, regex, json_schema) {
        (Some(choices), None, None) => Ok(is(
            "choices",
            from(choices, Source::Choices(choices.get_ref()))?,
        )),
        (None, Some(regex), None) => Ok(is(
            "regular expression",
            from(regex, Source::Regex(regex.get_ref()))?,
        )),
        (None, None, Some(file)) => {
            let path = folder.join(file.get_ref());
            let wrong = |reason: &dyn std::fmt::Display| {
                Flaw::new(file, format!("{}: {reason}", path.display()))
            };
            let content = files::read(&path).map_err(|error| Flaw::new(file, error.to_string()))?;
            let text = str::from_utf8(&content).map_err(|_| wrong(&"not UTF-8"))?;
            let compiled = format_compiler::compile(Source::JsonSchema(text));
            Ok(is("JSON schema", compiled.map_err(|error| wrong(&error))?))
        }
        _ => {
            let reason = format!(
                "format '{}' needs one of choices, regex and json-schema",
                name.get_ref()
            );
            Err(Flaw::new(name, reason))
        }
    }
}

fn from<T>(place: &Spanned<T>, source: Source<'_>) -> Result<Encoded, Flaw> {
    format_compiler::compile(source).map_err(|error| Flaw::new(place, error.to_string()))
}
