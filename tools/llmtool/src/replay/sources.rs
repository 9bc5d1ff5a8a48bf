//! Finds what a replay needs besides the log: models, adapters, training data and prompts, in folders and disk images.
//! All but the prompts are found by their SHA-256, whatever their names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use llm_core::hash::sha256;
use protocol::hash::Hash;
use protocol::store::{DATA_SUFFIXES, MODEL_SUFFIX};

use super::prompts::Prompts;
use crate::disk::Image;
use crate::error::ToolError;
use crate::files;

/// The folder of a disk that contains prompts.
const PROMPTS_FOLDER: &str = "prompts/";

/// The place of a file.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A file on this machine.
    Here(PathBuf),
    /// A file in an image.
    OnDisk {
        /// The image.
        image: PathBuf,
        /// Its path on that disk.
        file: String,
    },
}

impl Place {
    /// Its content.
    ///
    /// # Errors
    /// It can no longer be read.
    pub(super) fn read(&self) -> Result<Vec<u8>, ToolError> {
        match self {
            Self::Here(path) => files::read(path),
            Self::OnDisk { image, file } => Image::read(image)?.content(file),
        }
    }

    /// Its name in messages.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::Here(path) => path.clone(),
            Self::OnDisk { image, file } => image.join(file),
        }
    }
}

/// Models, adapters, data and prompts by hash; see the module.
#[derive(Debug)]
pub(super) struct Sources {
    /// Models and adapters.
    files: HashMap<Hash, Place>,
    data: HashMap<Hash, Vec<u8>>,
    /// Adapters made by replayed fine-tuning jobs.
    made: HashMap<Hash, Vec<u8>>,
    pub(super) prompts: Prompts,
}

impl Sources {
    /// Sources with only these prompts.
    pub(super) fn new(prompts: Prompts) -> Self {
        Self {
            files: HashMap::new(),
            data: HashMap::new(),
            made: HashMap::new(),
            prompts,
        }
    }

    /// Adds the GGUF files and the training data of a folder or an image, and the prompts of an image.
    ///
    /// # Errors
    /// It or a file in it cannot be read.
    pub(super) fn add(&mut self, folder_or_image: &Path) -> Result<(), ToolError> {
        match folder_or_image.is_dir() {
            true => self.add_folder(folder_or_image),
            false => self.add_image(folder_or_image),
        }
    }

    fn add_folder(&mut self, folder: &Path) -> Result<(), ToolError> {
        let failed = |source| ToolError::Read {
            path: folder.to_path_buf(),
            source,
        };
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if !path.is_file() {
                continue;
            }
            let name = path.to_string_lossy();
            if name.ends_with(MODEL_SUFFIX) {
                let place = Place::Here(path.clone());
                self.files.insert(sha256(&files::read(&path)?), place);
            } else if is_data(&name) {
                self.add_data(&path)?;
            }
        }
        Ok(())
    }

    fn add_image(&mut self, path: &Path) -> Result<(), ToolError> {
        let mut image = Image::read(path)?;
        for (file, _) in image.files()?.files {
            let lower = file.to_ascii_lowercase();
            if lower.ends_with(MODEL_SUFFIX) {
                let place = Place::OnDisk {
                    image: path.to_path_buf(),
                    file: file.clone(),
                };
                self.files.insert(sha256(&image.content(&file)?), place);
            } else if lower.starts_with(PROMPTS_FOLDER) {
                self.prompts.add_file(&image.content(&file)?);
            } else if is_data(&lower) {
                let data = image.content(&file)?;
                self.data.insert(sha256(&data), data);
            }
        }
        Ok(())
    }

    /// Adds training data.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn add_data(&mut self, path: &Path) -> Result<(), ToolError> {
        let data = files::read(path)?;
        self.data.insert(sha256(&data), data);
        Ok(())
    }

    pub(super) fn add_adapter(&mut self, adapter: Vec<u8>) {
        self.made.insert(sha256(&adapter), adapter);
    }

    /// The place of a model's file.
    pub(super) fn file(&self, sha256: &Hash) -> Option<Place> {
        self.files.get(sha256).cloned()
    }

    /// An adapter.
    ///
    /// # Errors
    /// Its file can no longer be read.
    pub(super) fn adapter(&self, sha256: &Hash) -> Result<Option<Vec<u8>>, ToolError> {
        match (self.made.get(sha256), self.files.get(sha256)) {
            (Some(made), _) => Ok(Some(made.clone())),
            (None, Some(place)) => place.read().map(Some),
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
        (llm_core::hash::sha256(&typed) == *sha256).then_some(typed)
    }
}

fn is_data(name: &str) -> bool {
    DATA_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}
