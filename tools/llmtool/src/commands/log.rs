//! The commands about the audit log.

use std::io::Write;
use std::path::{Path, PathBuf};

use protocol::attest::Attestation;
use protocol::hash::{Hash, Hex};
use storage::SECTOR;

use crate::args::trust::{Audit, AuditFile, Replay};
use crate::audit_log::disk::DiskLog;
use crate::audit_log::show::Shown;
use crate::audit_log::{self, Export, Finding, attest, disk};
use crate::error::ToolError;
use crate::output::text_or_stdin;
use crate::{files, keys};

pub(super) fn audit(arguments: &Audit, out: &mut impl Write) -> Result<(), ToolError> {
    match arguments {
        Audit::Verify(file) => {
            let log = Log::read(file)?;
            verify(&log, file, out)
        }
        Audit::Show(file) => {
            let log = Log::read(file)?;
            for entry in &log.export.entries {
                writeln!(out, "{}", Shown(entry))?;
            }
            verify(&log, file, out)
        }
    }
}

/// A log from any source.
struct Log {
    export: Export,
    /// The text that an export was read from, because it may contain an attestation.
    content: Option<Vec<u8>>,
    /// For a log on a disk: what it says besides the entries.
    disk: Option<DiskLog>,
}

impl Log {
    fn read(arguments: &AuditFile) -> Result<Self, ToolError> {
        let is_stdin = arguments.file.as_os_str() == "-";
        // A pipe or a folder has no sectors; reading it as a file says what is wrong with it.
        let on_disk = match is_stdin || !has_sectors(&arguments.file) {
            true => None,
            false => disk::read(&arguments.file)?,
        };
        if let Some(mut on_disk) = on_disk {
            return Ok(Self {
                export: std::mem::take(&mut on_disk.export),
                content: None,
                disk: Some(on_disk),
            });
        }
        let content = match is_stdin {
            true => text_or_stdin("-")?,
            false => files::read(&arguments.file)?,
        };
        if content.contains(&0) {
            return Err(ToolError::NoLog(arguments.file.clone()));
        }
        Ok(Self {
            export: Export::read(&content),
            content: Some(content),
            disk: None,
        })
    }
}

/// Whether it can be a log's file, an image or a card.
fn has_sectors(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::metadata(path).is_ok_and(|it| {
        let whole = it.len() > 0 && it.len().is_multiple_of(SECTOR as u64);
        it.file_type().is_block_device() || it.is_file() && whole
    })
}

/// Reports what is wrong with a log, or that it passes the check.
fn verify(log: &Log, arguments: &AuditFile, out: &mut impl Write) -> Result<(), ToolError> {
    let export = &log.export;
    let mut findings = audit_log::verify(export, arguments.head.as_ref());
    let attestation = attested(log, arguments, &mut findings)?;
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    if !findings.is_empty() {
        return Err(ToolError::Log {
            findings: findings.len(),
        });
    }
    let number = |entry: Option<&audit_log::ExportedEntry>| {
        entry.map_or(0, audit_log::ExportedEntry::sequence)
    };
    let (first, last) = (
        number(export.entries.first()),
        number(export.entries.last()),
    );
    match export.entries.len() {
        0 => writeln!(out, "the log has no entries")?,
        1 => writeln!(out, "the one entry holds, {first}")?,
        entries => writeln!(out, "all {entries} entries hold, {first} to {last}")?,
    }
    if first > 1 {
        let place = if log.disk.is_some() { "log" } else { "export" };
        writeln!(
            out,
            "entries 1 to {} are not in the {place}; the hash of the last of them is the anchor",
            first - 1
        )?;
    }
    if let Some(disk) = &log.disk {
        writeln!(out, "it was opened to be written {} times", disk.boots)?;
        if disk.torn {
            writeln!(
                out,
                "the last write had not been finished, as after a power failure; only an attestation of a later entry could \
                 show a change made since"
            )?;
        }
    }
    let head = export.ending.as_ref().map_or([0; 32], |ending| ending.head);
    writeln!(out, "head {}", Hex(&head))?;
    if let Some(known) = &arguments.head {
        write_known(export, known, out)?;
    }
    if let Some(attestation) = &attestation {
        write_attested(export, attestation, out)?;
    }
    match (&arguments.head, &attestation, &log.disk) {
        (_, Some(_), _) => writeln!(
            out,
            "no attestation shows that the device never had a newer log: it has no counter that cannot be reset, so an older disk \
             looks just as it did then. Compare the entry and the boot with those that you have noted"
        )?,
        (Some(_), None, _) => {}
        (None, None, Some(_)) => writeln!(
            out,
            "without an attestation ('llmctl audit attest', --device), an older copy of the disk would pass, too, and so would a \
             log that somebody has forged as a whole: compare the head"
        )?,
        (None, None, None) => writeln!(
            out,
            "without --head, a log that somebody has forged as a whole would pass, too: compare the head"
        )?,
    }
    Ok(())
}

/// The head that the device has signed, if that is required; problems with it become findings.
fn attested(
    log: &Log,
    arguments: &AuditFile,
    findings: &mut Vec<Finding>,
) -> Result<Option<Attestation>, ToolError> {
    let Some(path) = &arguments.device else {
        return Ok(None);
    };
    let device = keys::read_either(path)?;
    let whose = log.disk.as_ref().and_then(|disk| disk.device);
    if whose.is_some_and(|whose| whose != disk::device_of(&device)) {
        findings.push(Finding::OtherDevice);
    }
    let separate = arguments.attestation.as_deref().map(files::read);
    let Some(content) = separate.transpose()?.or_else(|| log.content.clone()) else {
        // A log on a disk has no console output: only a nonce implies that there must be an attestation.
        let nonce = arguments.nonce.clone();
        if nonce.is_some() {
            findings.push(Finding::NoAttestation { nonce });
        }
        return Ok(None);
    };
    match attest::find(&content, arguments.nonce.as_deref()) {
        Ok(Some(attestation)) => {
            findings.extend(attest::verify(&log.export, &attestation, &device));
            Ok(Some(attestation))
        }
        Ok(None) => {
            let nonce = arguments.nonce.clone();
            findings.push(Finding::NoAttestation { nonce });
            Ok(None)
        }
        Err(finding) => {
            findings.push(finding);
            Ok(None)
        }
    }
}

/// Reports how much of the log the device vouches for.
fn write_attested(
    export: &Export,
    attestation: &Attestation,
    out: &mut impl Write,
) -> Result<(), ToolError> {
    let Attestation {
        sequence,
        boot,
        nonce,
        ..
    } = attestation;
    write!(out, "the device has signed entry {sequence}")?;
    match boot {
        0 => write!(out, ", of a log in memory")?,
        boot => write!(out, ", at boot {boot}")?,
    }
    match nonce.is_empty() {
        true => writeln!(out, ", without a nonce: it may have been at any time")?,
        false => writeln!(out, ", with the nonce '{nonce}'")?,
    }
    let after = export.entries.iter();
    let after = after.filter(|entry| entry.sequence() > *sequence).count();
    if after > 0 {
        writeln!(out, "it says nothing about later entries: {after} of them")?;
    }
    Ok(())
}

/// Reports how much of the log a known hash vouches for.
fn write_known(export: &Export, known: &Hash, out: &mut impl Write) -> Result<(), ToolError> {
    let found = export.entries.iter().find(|entry| entry.hash == *known);
    match found.map(audit_log::ExportedEntry::sequence) {
        Some(sequence) => writeln!(out, "entry {sequence} has the hash of --head")?,
        None => writeln!(out, "the anchor has the hash of --head")?,
    }
    let vouched = found.map_or(0, audit_log::ExportedEntry::sequence);
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
    let log = Log::read(&arguments.export)?;
    verify(&log, &arguments.export, out)?;
    // A copy of the log's file contains nothing else, but an image or a card does.
    let file = &arguments.export.file;
    let own = log
        .disk
        .as_ref()
        .filter(|disk| disk.has_files)
        .map(|_| file.clone());
    let places: Vec<PathBuf> = own.into_iter().chain(arguments.models.clone()).collect();
    if places.is_empty() {
        return Err(ToolError::NoSources { log: file.clone() });
    }
    let export = log.export;
    let prompts = arguments.prompts.as_deref().map(files::read).transpose()?;
    let formats = arguments.formats.as_deref().map(files::read).transpose()?;
    let all = crate::replay::replay(
        &export,
        &places,
        prompts.as_deref().unwrap_or_default(),
        &arguments.data,
        formats.as_deref(),
        arguments.threads.number(),
    )?;
    if let Some(path) = &arguments.texts {
        files::write(path, crate::replay::texts(&all).as_bytes())?;
    }
    crate::replay::write_table(&all, out)
}
