//! Checks of an image's file system, and the mark of a write that was cut off.

use storage::{Ground, Harm, StorageError, Volume, block_on};

use super::Image;
use crate::error::ToolError;

impl Image {
    /// Checks the file system.
    ///
    /// # Errors
    /// It has none, or cannot be read.
    pub fn check(&mut self) -> Result<Vec<(String, Harm)>, StorageError> {
        let mut findings = Vec::new();
        // A bit for each cluster of 8 GiB. The check of a larger disk takes several passes.
        let mut scratch = vec![0; 1 << 18];
        block_on(storage::check(self, &mut scratch, |finding, harm| {
            findings.push((finding.to_string(), harm));
        }))?;
        Ok(findings)
    }

    /// Checks that writing cannot damage other files.
    ///
    /// # Errors
    /// It could, because the file system is damaged; or there is no file system.
    pub fn check_before_writing(&mut self) -> Result<(), ToolError> {
        let findings = self.check().map_err(self.failed())?;
        let mut findings = findings.into_iter();
        match findings.find(|(_, harm)| *harm == Harm::WritesSpoil) {
            Some((finding, _)) => Err(ToolError::DiskUnsound {
                image: self.path.clone(),
                finding,
            }),
            None => Ok(()),
        }
    }

    /// Clears the mark of a write that was cut off, if nothing else is wrong with the file system. Whether it has.
    ///
    /// # Errors
    /// There is no file system, or the disk failed.
    pub fn clear_mark(&mut self) -> Result<bool, ToolError> {
        let failed = self.failed();
        let findings = self.check().map_err(&failed)?;
        if findings.is_empty() || findings.iter().any(|(_, harm)| *harm != Harm::Mark) {
            return Ok(false);
        }
        block_on(async {
            let mut ground = Ground::new();
            let mut volume = Volume::mount(self, &mut ground).await?;
            volume.mark_clean()?;
            volume.sync().await
        })
        .map_err(failed)?;
        Ok(true)
    }
}
