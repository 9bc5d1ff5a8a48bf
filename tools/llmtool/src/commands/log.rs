//! The commands about the audit log.

use std::io::Write;

use protocol::record::{Hash, Hex};

use crate::args::trust::{Audit, AuditFile, Replay};
use crate::audit_log::show::Shown;
use crate::audit_log::{self, Export};
use crate::error::ToolError;
use crate::files;
use crate::output::text_or_stdin;

pub(super) fn audit(arguments: &Audit, out: &mut impl Write) -> Result<(), ToolError> {
    match arguments {
        Audit::Verify(file) => {
            let export = read(file)?;
            verify(&export, file, out)
        }
        Audit::Show(file) => {
            let export = read(file)?;
            for entry in &export.entries {
                writeln!(out, "{}", Shown(entry))?;
            }
            verify(&export, file, out)
        }
    }
}

fn read(arguments: &AuditFile) -> Result<Export, ToolError> {
    let content = match arguments.file.as_os_str() == "-" {
        true => text_or_stdin("-")?,
        false => files::read(&arguments.file)?,
    };
    Ok(Export::read(&content))
}

/// Says what is wrong with an export, or that it holds.
fn verify(export: &Export, arguments: &AuditFile, out: &mut impl Write) -> Result<(), ToolError> {
    let findings = audit_log::verify(export, arguments.head.as_ref());
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    if !findings.is_empty() {
        return Err(ToolError::Log {
            findings: findings.len(),
        });
    }
    let number = |entry: Option<&audit_log::Entry>| entry.map_or(0, audit_log::Entry::sequence);
    let (first, last) = (
        number(export.entries.first()),
        number(export.entries.last()),
    );
    let entries = export.entries.len();
    match entries {
        1 => writeln!(out, "the one entry holds, {first}")?,
        _ => writeln!(out, "all {entries} entries hold, {first} to {last}")?,
    }
    if first > 1 {
        writeln!(
            out,
            "entries 1 to {} are not in the export; the hash of the last of them is the anchor",
            first - 1
        )?;
    }
    let head = export.ending.as_ref().map_or([0; 32], |ending| ending.head);
    writeln!(out, "head {}", Hex(&head))?;
    match &arguments.head {
        Some(known) => write_known(export, known, out)?,
        None => writeln!(
            out,
            "without --head, a log that somebody made anew as a whole would hold, too: compare the head"
        )?,
    }
    Ok(())
}

/// Says how much of the log a known hash vouches for.
fn write_known(export: &Export, known: &Hash, out: &mut impl Write) -> Result<(), ToolError> {
    let found = export.entries.iter().find(|entry| entry.hash == *known);
    match found.map(audit_log::Entry::sequence) {
        Some(sequence) => writeln!(out, "entry {sequence} has the hash of --head")?,
        None => writeln!(out, "the anchor has the hash of --head")?,
    }
    let vouched = found.map_or(0, audit_log::Entry::sequence);
    let after = export.entries.iter();
    let after = after.filter(|entry| entry.sequence() > vouched).count();
    if after > 0 {
        writeln!(
            out,
            "it says nothing about what came after it: {after} more"
        )?;
    }
    Ok(())
}

pub(super) fn replay(arguments: &Replay, out: &mut impl Write) -> Result<(), ToolError> {
    let export = read(&arguments.export)?;
    verify(&export, &arguments.export, out)?;
    let prompts = arguments.prompts.as_deref().map(files::read).transpose()?;
    let formats = arguments.formats.as_deref().map(files::read).transpose()?;
    let all = crate::replay::replay(
        &export,
        &arguments.models,
        prompts.as_deref().unwrap_or_default(),
        &arguments.data,
        formats.as_deref(),
    )?;
    if let Some(path) = &arguments.texts {
        files::write(path, crate::replay::texts(&all).as_bytes())?;
    }
    crate::replay::write_table(&all, out)
}
