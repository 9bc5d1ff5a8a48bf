//! Adapters (LoRA) from files of the host.

use std::path::PathBuf;

use llm_core::hash::sha256;
use llm_core::transformer::{AdapterError, AdapterFile, AdapterSize, Base, Checked};

use crate::error::ToolError;
use crate::files;

/// The bytes of an adapter's file, and the strength to apply it with.
#[derive(Debug)]
pub struct Adapter {
    path: PathBuf,
    bytes: Vec<u8>,
    strength: f32,
}

impl Adapter {
    /// Reads a file. [`Self::file`] checks its contents.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: PathBuf, strength: f32) -> Result<Self, ToolError> {
        let bytes = files::read(&path)?;
        Ok(Self {
            path,
            bytes,
            strength,
        })
    }

    /// The file, checked as far as possible without its base.
    ///
    /// # Errors
    /// It is not an adapter that can be loaded.
    pub fn file(&self) -> Result<AdapterFile<'_>, ToolError> {
        let file = AdapterFile::read(&self.bytes).map_err(|error| self.error(error))?;
        Ok(file.scaled(self.strength))
    }

    /// What it needs beside a model whose file is `model`.
    ///
    /// # Errors
    /// It is not an adapter for that model.
    pub fn check(&self, base: &Base<'_>, model: &[u8]) -> Result<AdapterSize, ToolError> {
        let size = self.file()?.check(base, Some(&sha256(model)));
        size.map_err(|error| self.error(error))
    }

    /// The error with the name of the file.
    pub fn error(&self, source: AdapterError) -> ToolError {
        ToolError::Adapter {
            path: self.path.clone(),
            source: Box::new(source),
        }
    }

    /// The path that it was read from.
    #[must_use]
    pub const fn path(&self) -> &PathBuf {
        &self.path
    }
}

/// Bytes that adapters need beside a model in an arena.
///
/// # Errors
/// One is not an adapter for the model.
pub fn bytes<'a>(
    adapters: impl IntoIterator<Item = &'a Adapter>,
    checked: &Checked<'_>,
    model: &[u8],
) -> Result<u64, ToolError> {
    let mut bytes = 0;
    for adapter in adapters {
        bytes += adapter.check(&checked.base(), model)?.info.bytes;
    }
    Ok(bytes)
}
