//! The commands for disks.

mod signatures;

use std::io::Write;
use std::path::PathBuf;

use disk_log::{Found, MAX_SLOTS, MIN_SLOTS};
use protocol::hash::SIGNATURE_BYTES;
use protocol::name::ModelName;
use protocol::on_disk::OnDisk;
use protocol::store::{Content, LOG_FILE, SIGNATURE_SUFFIX};
use storage::make::Plan;
use storage::{FatKind, Harm, SECTOR, StorageError, UNFINISHED};

use self::signatures::{State, trusted_by};
use super::printable;
use crate::args::disk::{Add, Check, Create, Disk, Get, List};
use crate::destination::Destination;
use crate::disk::{Image, Listing, log_words, signature_of};
use crate::error::{KeyError, ToolError};
use crate::keys;
use crate::store::{Contents, StoreFile, store_path};
use crate::units::ByteSize;
use crate::{files, output};

pub(super) fn disk(arguments: &Disk, out: &mut impl Write) -> Result<(), ToolError> {
    match arguments {
        Disk::Create(arguments) => create(arguments, out),
        Disk::Add(arguments) => add(arguments, out),
        Disk::List(arguments) => list(arguments, out),
        Disk::Get(arguments) => get(arguments, out),
        Disk::Check(arguments) => check(arguments, out),
    }
}

fn create(arguments: &Create, out: &mut impl Write) -> Result<(), ToolError> {
    let [min, max] = [MIN_SLOTS, MAX_SLOTS].map(|slots| ByteSize(u64::from(slots) * SECTOR as u64));
    let size = arguments.log_size;
    let fits = size.0.is_multiple_of(SECTOR as u64) && size.0 < arguments.size.0;
    if size.0 != 0 && !(fits && (min.0..=max.0).contains(&size.0)) {
        return Err(ToolError::LogSize { size, min, max });
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(KeyError::Random)?;
    let plan = Plan {
        table: arguments.table.into(),
        label: &arguments.label,
        seed,
    };
    let mut image = Image::create(&arguments.image, arguments.size, &plan)?;
    if size.0 > 0 {
        // The first file of an empty file system is contiguous.
        let zeros = vec![0; size.0 as usize];
        let made = image.put(LOG_FILE, &zeros);
        if let Err(error) = made.and_then(|()| image.log_extent()) {
            let _ = image.discard(StorageError::Full);
            return Err(error);
        }
    }
    describe(&mut image, out)
}

/// Prints a line about the file system.
fn describe(image: &mut Image, out: &mut impl Write) -> Result<(), ToolError> {
    let (info, free) = image.info()?;
    let table = match info.found.table {
        storage::Table::None => "the whole disk",
        storage::Table::Mbr => "a partition (MBR)",
        storage::Table::Gpt => "a partition (GPT)",
    };
    let kind = match info.kind {
        FatKind::Fat12 => "FAT12",
        FatKind::Fat16 => "FAT16",
        _ => "FAT32",
    };
    writeln!(
        out,
        "{kind} in {table} of {}, clusters of {}, {} free",
        ByteSize(info.found.sectors * SECTOR as u64),
        ByteSize(u64::from(info.cluster_bytes)),
        ByteSize(free)
    )?;
    Ok(())
}

/// A file prepared for a disk.
struct Ready {
    path: String,
    content: Vec<u8>,
    signature: Option<[u8; SIGNATURE_BYTES]>,
}

fn add(arguments: &Add, out: &mut impl Write) -> Result<(), ToolError> {
    let mut ready: Vec<Ready> = Vec::new();
    if let Some(path) = &arguments.path {
        let [file] = &arguments.files[..] else {
            return Err(ToolError::OneFile {
                files: arguments.files.len(),
            });
        };
        let file = PathBuf::from(file);
        ready.push(Ready {
            path: path.clone(),
            content: files::read(&file)?,
            signature: signature_of(&file, true)?,
        });
    } else {
        for argument in &arguments.files {
            let file = StoreFile::parse(argument, Destination::Disk)?;
            let content = files::read(&file.path)?;
            let kind = Contents::of(&file.path, &content)?.kind();
            let path = store_path(&file, kind);
            if ready.iter().any(|other| is_same(&other.path, &path)) {
                return Err(ToolError::DiskDuplicate { path });
            }
            let signature = signature_of(&file.path, arguments.unsigned)?;
            ready.push(Ready {
                path,
                content,
                signature,
            });
        }
    }
    let mut image = Image::change(&arguments.image)?;
    image.check_before_writing()?;
    for Ready { path, .. } in &ready {
        // A log is never replaced. A disk from elsewhere may get a new one, full of zeros.
        let is_log = is_same(path, LOG_FILE) && image.has(path)?;
        if is_log || is_same(path, UNFINISHED) {
            return Err(ToolError::DiskReserved { path: path.clone() });
        }
    }
    let bar = output::progress_bar("writing");
    bar.set_length(ready.len() as u64);
    for Ready {
        path,
        content,
        signature,
    } in ready
    {
        let beside = format!("{path}{SIGNATURE_SUFFIX}");
        // Between the two writes, the file has the wrong signature, which audit refuses.
        image.put(&path, &content)?;
        match &signature {
            Some(signature) => image.put(&beside, signature)?,
            None => image.remove(&beside)?,
        }
        bar.inc(1);
        let words = match signature {
            Some(_) => "signed",
            None => "not signed",
        };
        let size = ByteSize(content.len() as u64).to_string();
        writeln!(
            out,
            "  {:<32} {size:>12}  {words}",
            printable(path.as_bytes())
        )?;
    }
    bar.finish_and_clear();
    if image.clear_mark()? {
        writeln!(
            out,
            "a write had been cut off, but left no damage: its mark is cleared"
        )?;
    }
    describe(&mut image, out)
}

/// Whether two paths name the same file, since the file system ignores the case of ASCII letters.
const fn is_same(path: &str, other: &str) -> bool {
    path.eq_ignore_ascii_case(other)
}

/// The kind of file that a path denotes, and its name; `None` if audit never asks for such a path.
fn content_of(path: &str) -> Option<(Content, ModelName)> {
    let found = OnDisk::at(path.as_bytes()).filter(|found| !found.is_signature)?;
    Some((found.content, found.named()?))
}

const fn word(content: Content) -> &'static str {
    match content {
        Content::Model => "model",
        Content::Adapter => "adapter",
        Content::Data => "data",
    }
}

/// A line for each file that cannot be opened, because the name of one before it differs only in case.
fn hidden(files: &[(String, u64)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, (path, _)) in files.iter().enumerate() {
        let mut before = files.iter().take(index);
        if let Some((other, _)) = before.find(|(other, _)| is_same(other, path)) {
            lines.push(format!(
                "{path}: {other} has the same name in another case, and only one of them can be opened; rename one"
            ));
        }
    }
    lines
}

fn list(arguments: &List, out: &mut impl Write) -> Result<(), ToolError> {
    let mut keys = trusted_by(arguments.policy.as_deref())?;
    if let Some(path) = &arguments.key {
        let key = keys::read_either(path)?;
        let name = path.display().to_string();
        keys.get_or_insert_default().any.push((name, key));
    }
    let mut image = Image::existing(&arguments.image)?;
    let Listing { files, wrong } = image.files()?;
    for (path, bytes) in &files {
        let words = match content_of(path) {
            Some((content, name)) => {
                let state = State::of(&mut image, &files, path, content, keys.as_ref())?;
                format!("{} '{name}', {state}", word(content))
            }
            None if is_same(path, LOG_FILE) => "the audit log".to_owned(),
            None if path.ends_with(SIGNATURE_SUFFIX) => continue,
            None => "a file that audit never asks for".to_owned(),
        };
        let size = ByteSize(*bytes).to_string();
        writeln!(
            out,
            "  {:<32} {size:>12}  {words}",
            printable(path.as_bytes())
        )?;
    }
    for line in wrong {
        writeln!(out, "  {}", printable(line.as_bytes()))?;
    }
    describe(&mut image, out)
}

fn get(arguments: &Get, out: &mut impl Write) -> Result<(), ToolError> {
    let mut image = Image::existing(&arguments.image)?;
    let content = image.content(&arguments.path)?;
    let beside = format!("{}{SIGNATURE_SUFFIX}", arguments.path);
    let signature = match image.content(&beside) {
        Ok(signature) => Some(signature),
        Err(ToolError::OnDisk {
            source: StorageError::NotFound,
            ..
        }) => None,
        Err(error) => return Err(error),
    };
    files::write(&arguments.output, &content)?;
    let words = match signature {
        Some(signature) => {
            let mut name = arguments.output.clone().into_os_string();
            name.push(SIGNATURE_SUFFIX);
            files::write(&PathBuf::from(name), &signature)?;
            "with its signature"
        }
        None => "not signed",
    };
    let size = ByteSize(content.len() as u64);
    writeln!(out, "{}: {size}, {words}", arguments.output.display())?;
    Ok(())
}

/// A finding about the file system, with what to do about what a write leaves that was cut off.
fn finding_line(finding: &str, harm: Harm) -> String {
    let advice = match harm {
        Harm::Mark => "; a write was cut off; 'llmtool disk add' or 'fsck.fat -a' clears the mark",
        _ if finding.contains(UNFINISHED) => {
            "; a write was cut off; the next one, or 'llmtool disk add', removes this file"
        }
        _ => "",
    };
    format!("file system: {finding}{advice}")
}

fn check(arguments: &Check, out: &mut impl Write) -> Result<(), ToolError> {
    let mut keys = trusted_by(arguments.policy.as_deref())?;
    if let (Some(keys), Some(path)) = (&mut keys, &arguments.device_key) {
        keys.adapters = Some(keys::read_either(path)?);
    }
    let mut image = Image::existing(&arguments.image)?;
    let findings = image.check().map_err(|source| match source {
        StorageError::Damaged { .. } => ToolError::DiskUnreadable {
            image: arguments.image.clone(),
            source,
        },
        source => ToolError::Disk {
            image: arguments.image.clone(),
            source,
        },
    })?;
    let findings = findings.into_iter();
    let findings = findings.map(|(finding, harm)| finding_line(&finding, harm));
    let mut lines: Vec<_> = findings.collect();
    let Listing { files, wrong } = image.files()?;
    lines.extend(wrong);
    lines.extend(hidden(&files));
    for (path, _) in &files {
        if let Some((content, _)) = content_of(path) {
            let state = State::of(&mut image, &files, path, content, keys.as_ref())?;
            if let Some(advice) = state.advice() {
                lines.push(format!("{path}: {state}{advice}"));
            }
        }
    }
    match image.log_extent() {
        Ok(extent) => match image.log(extent) {
            Ok(opened) => {
                let words = format!("{LOG_FILE}: {}", log_words(&opened));
                match opened.found {
                    Found::Damaged { .. } => lines.push(words),
                    _ => writeln!(out, "{words}")?,
                }
            }
            Err(error) => lines.push(format!("{LOG_FILE}: {error}")),
        },
        Err(ToolError::OnDisk {
            source: StorageError::NotFound,
            ..
        }) => writeln!(
            out,
            "{LOG_FILE} is missing, so the log will be lost at power-off"
        )?,
        Err(ToolError::OnDisk { source, .. }) => lines.push(format!("{LOG_FILE}: {source}")),
        Err(error) => return Err(error),
    }
    for line in &lines {
        writeln!(out, "{}", printable(line.as_bytes()))?;
    }
    describe(&mut image, out)?;
    match lines.len() {
        0 => Ok(()),
        findings => Err(ToolError::DiskFindings {
            image: arguments.image.clone(),
            findings: findings as u64,
        }),
    }
}
