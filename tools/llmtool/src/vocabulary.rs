//! A model's vocabulary on the host, without an arena.

use std::path::Path;

use llm_core::gguf::Gguf;
use llm_core::tokenizer::{
    Cell, EncodeOptions, Header, TokenizeError, Vocabulary, VocabularyView, scratch_cells,
};

use crate::error::ToolError;

/// A vocabulary with its table.
#[derive(Debug)]
pub struct HostVocabulary {
    header: Header,
    table: Vec<u32>,
}

impl HostVocabulary {
    /// Loads the vocabulary of `gguf`, which is the file at `path`.
    ///
    /// # Errors
    /// [`ToolError::Vocabulary`].
    pub fn load(path: &Path, gguf: &Gguf<'_>) -> Result<Self, ToolError> {
        let error = ToolError::vocabulary(path);
        let requirements = Vocabulary::check(gguf).map_err(&error)?;
        let mut table = vec![0; requirements.words()];
        let header = Header::fill(gguf, &mut table).map_err(&error)?;
        Ok(Self { header, table })
    }

    /// The vocabulary.
    #[must_use]
    pub fn view(&self) -> VocabularyView<'_> {
        self.header.view(&self.table)
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// The text is not UTF-8, or has a byte that the vocabulary cannot express.
    pub fn encode(&self, text: &[u8], options: EncodeOptions) -> Result<Vec<u32>, TokenizeError> {
        let mut scratch = vec![Cell::default(); scratch_cells(text.len())];
        // A byte is a token at most, a space in front three, and the beginning and end one each; a
        // space that is no token is three bytes.
        let mut out = vec![0; 3 * text.len() + 5];
        let len = self.view().encode(text, options, &mut scratch, &mut out)?;
        out.truncate(len);
        Ok(out)
    }
}
