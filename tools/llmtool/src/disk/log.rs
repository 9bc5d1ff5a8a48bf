//! The audit log on a disk.

use disk_log::{Found, MAX_ENTRY_BYTES, OpenError, Opened, Opening};
use protocol::store::LOG_FILE;
use storage::{Extent, Ground, SECTOR, Volume, block_on};

use super::Image;
use crate::error::ToolError;

impl Image {
    /// The place of the audit log's file.
    ///
    /// # Errors
    /// There is no log, or its file is not contiguous.
    pub fn log_extent(&mut self) -> Result<Extent, ToolError> {
        let failed = self.failed_at(LOG_FILE);
        block_on(async {
            let mut ground = Ground::new();
            let mut volume = Volume::mount(self, &mut ground).await?;
            volume.extent(LOG_FILE).await
        })
        .map_err(failed)
    }

    /// Reads the whole audit log, of any device.
    ///
    /// # Errors
    /// The sectors do not hold a log.
    pub fn log(&mut self, extent: Extent) -> Result<Opened, OpenError> {
        self.log_with(extent, |_| {})
    }

    /// Like [`Self::log`], and passes on each entry.
    ///
    /// # Errors
    /// There is no log.
    pub fn log_with(
        &mut self,
        extent: Extent,
        mut each: impl FnMut(disk_log::FoundEntry<'_>),
    ) -> Result<Opened, OpenError> {
        let mut buffer = [0; MAX_ENTRY_BYTES];
        let mut opening = Opening::new(extent.sectors, None, &mut buffer)?;
        while let Some(slot) = opening.wants() {
            let mut sector = [0; SECTOR];
            let is_read = self.sector(extent.first + u64::from(slot), &mut sector);
            if let Some(entry) = opening.give(is_read.then_some(&sector)) {
                each(entry);
            }
        }
        opening.finish_for([0; 16])
    }
}

/// The result of opening an audit log, for people.
#[must_use]
pub fn log_words(opened: &Opened) -> String {
    let newest = opened.log.sequence();
    let entries = match opened.entries {
        0 => "no entries".to_owned(),
        _ => format!("entries {} to {newest}", opened.first),
    };
    match opened.found {
        Found::Empty => "nothing was ever written".to_owned(),
        Found::Whole => entries,
        Found::Torn => format!("{entries}; the last write did not finish"),
        Found::Damaged { after } => {
            format!("{entries}; DAMAGED: what followed entry {after} is missing or was changed")
        }
    }
}
