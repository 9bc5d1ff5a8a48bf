//! What a replay needs in addition to the log: models, adapters and training data, found by their SHA-256.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use llm_core::verify::sha256;
use protocol::record::Hash;

use super::prompts::Prompts;
use crate::error::ToolError;
use crate::files;

/// See the module.
#[derive(Debug)]
pub(super) struct Sources {
    /// Models and adapters.
    files: HashMap<Hash, PathBuf>,
    data: HashMap<Hash, Vec<u8>>,
    /// Adapters made by replayed fine-tuning jobs.
    made: HashMap<Hash, Vec<u8>>,
    pub(super) prompts: Prompts,
}

impl Sources {
    /// Reads the GGUF files and the training data in a folder, and further training data.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub(super) fn read(
        folder: &Path,
        data: &[PathBuf],
        prompts: Prompts,
    ) -> Result<Self, ToolError> {
        let failed = |source| ToolError::Read {
            path: folder.to_path_buf(),
            source,
        };
        let mut sources = Self {
            files: HashMap::new(),
            data: HashMap::new(),
            made: HashMap::new(),
            prompts,
        };
        for path in data {
            sources.add_data(path)?;
        }
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if !path.is_file() {
                continue;
            }
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("gguf") => {
                    sources.files.insert(sha256(&files::read(&path)?), path);
                }
                Some("jsonl" | "txt") => sources.add_data(&path)?,
                _ => {}
            }
        }
        Ok(sources)
    }

    fn add_data(&mut self, path: &Path) -> Result<(), ToolError> {
        let data = files::read(path)?;
        self.data.insert(sha256(&data), data);
        Ok(())
    }

    pub(super) fn add_adapter(&mut self, adapter: Vec<u8>) {
        self.made.insert(sha256(&adapter), adapter);
    }

    /// The path of a model's file.
    pub(super) fn file(&self, sha256: &Hash) -> Option<PathBuf> {
        self.files.get(sha256).cloned()
    }

    /// An adapter.
    ///
    /// # Errors
    /// Its file can no longer be read.
    pub(super) fn adapter(&self, sha256: &Hash) -> Result<Option<Vec<u8>>, ToolError> {
        match (self.made.get(sha256), self.files.get(sha256)) {
            (Some(made), _) => Ok(Some(made.clone())),
            (None, Some(path)) => files::read(path).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Training data: that of a file, or the examples with these hashes in the device's format, one per line.
    pub(super) fn data(&self, sha256: &Hash, examples: &[Hash]) -> Option<Vec<u8>> {
        if let Some(data) = self.data.get(sha256) {
            return Some(data.clone());
        }
        let mut typed = Vec::new();
        for example in examples {
            typed.extend_from_slice(self.prompts.find(example)?);
            typed.push(b'\n');
        }
        (llm_core::verify::sha256(&typed) == *sha256).then_some(typed)
    }
}
