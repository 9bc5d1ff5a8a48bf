//! The audit log on a disk: in an image, on a card, or in a copy of the file AUDIT.LOG.

use std::path::Path;

use disk_log::{Device, Found, OpenError};
use ed25519_dalek::VerifyingKey;
use llm_core::hash::sha256;
use log_export::{Ending, Opening};
use storage::{Extent, SECTOR, StorageError};

use super::Finding;
use super::export::{Export, ExportedEntry, entry_hash};
use crate::disk::Image;
use crate::error::ToolError;

/// Magic bytes of a log's sectors.
const MAGIC: &[u8] = b"sel4llmL";

/// A log, and what was found in it.
#[derive(Debug)]
pub struct DiskLog {
    /// Its entries, in the form of an export.
    pub export: Export,
    /// The device that it belongs to; `None` if nothing was ever written.
    pub device: Option<Device>,
    /// How often it was opened for writing.
    pub boots: u32,
    /// Whether the last write was incomplete.
    pub torn: bool,
    /// Whether it is on a disk that may have other files.
    pub has_files: bool,
}

/// Reads the log of an image or a card, or a copy of the log's file. `None` if this is something else.
///
/// # Errors
/// It cannot be read, or it is an image whose log cannot be read.
pub fn read(path: &Path) -> Result<Option<DiskLog>, ToolError> {
    let mut image = Image::read(path)?;
    let (extent, has_files) = match image.info() {
        Ok(_) => (image.log_extent()?, true),
        Err(
            error @ ToolError::Disk {
                source: StorageError::Damaged { .. },
                ..
            },
        ) => return Err(error),
        Err(_) if holds_log(&mut image) => (image.whole(), false),
        Err(_) => return Ok(None),
    };
    let wrong = |source| ToolError::DiskLog {
        path: path.to_path_buf(),
        source,
    };
    let log = read_from(&mut image, extent).map_err(wrong)?;
    Ok(Some(DiskLog { has_files, ..log }))
}

fn holds_log(image: &mut Image) -> bool {
    let Extent { sectors, .. } = image.whole();
    let mut sector = [0; SECTOR];
    (0..sectors).any(|at| image.sector(at, &mut sector) && sector.starts_with(MAGIC))
}

fn read_from(image: &mut Image, extent: Extent) -> Result<DiskLog, OpenError> {
    let mut entries = Vec::new();
    let opened = image.log_with(extent, |entry| {
        entries.push(ExportedEntry {
            line: 0,
            hash: entry_hash(&entry.record, entry.text),
            record: entry.record,
            text: entry.text.to_vec(),
        });
    })?;
    let findings = match opened.found {
        Found::Damaged { after } => vec![Finding::Damaged { after }],
        Found::Empty | Found::Whole | Found::Torn => Vec::new(),
    };
    let export = Export {
        opening: Some(Opening {
            anchor: opened.anchor,
            first: opened.first,
        }),
        ending: Some(Ending {
            head: opened.log.head(),
            entries: entries.len() as u64,
            filtered: false,
        }),
        entries,
        findings,
        ..Export::default()
    };
    Ok(DiskLog {
        export,
        device: opened.device,
        boots: opened.log.life().saturating_sub(1),
        torn: opened.found == Found::Torn,
        has_files: false,
    })
}

/// The identity of a device in the sectors of its log.
#[must_use]
pub fn device_of(key: &VerifyingKey) -> Device {
    let mut device = Device::default();
    let digest = sha256(key.as_bytes());
    device.copy_from_slice(&digest[..size_of::<Device>()]);
    device
}
