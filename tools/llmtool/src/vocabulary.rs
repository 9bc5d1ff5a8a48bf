//! A model's vocabulary on the host, without an arena.

use std::path::Path;

use llm_core::chat::{
    Bound, Buffers, ChatError, Conversation, MAX_LITERAL_BYTES, Place, Scaffold, Segment,
};
use llm_core::gguf::Gguf;
use llm_core::tokenizer::{
    Cell, EncodeOptions, Header, MAX_TOKEN_BYTES, TokenizeError, Vocabulary, VocabularyView,
    scratch_cells,
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
        // Each byte gives at most one token, a leading space up to three, and the beginning and end one each; a space
        // that is not a token takes three bytes.
        let mut out = vec![0; 3 * text.len() + 5];
        let len = self.view().encode(text, options, &mut scratch, &mut out)?;
        out.truncate(len);
        Ok(out)
    }

    /// What a scaffold adds to texts with this vocabulary.
    #[must_use]
    pub fn bound(&self, scaffold: &Scaffold<'_>) -> Bound {
        // A scaffold's string may refer to two of the vocabulary's tokens.
        let mut text = vec![0; MAX_LITERAL_BYTES + 16 * MAX_TOKEN_BYTES];
        let mut cells = vec![Cell::default(); scratch_cells(text.len())];
        scaffold
            .bound(&self.view(), &mut text, &mut cells)
            .unwrap_or_default()
    }

    /// The tokens of a conversation that wants an answer. No text in it becomes a user-defined token.
    ///
    /// # Errors
    /// The scaffold refuses it.
    pub fn converse(
        &self,
        scaffold: &Scaffold<'_>,
        segments: &[Segment<'_>],
    ) -> Result<Vec<u32>, ChatError> {
        let view = self.view();
        let bound = self.bound(scaffold);
        let said = segments.iter().map(|segment| segment.text.len()).sum();
        let mut text = vec![0; bound.bytes(said, segments.len())];
        let mut cells = vec![Cell::default(); scratch_cells(text.len())];
        let mut out = vec![0; bound.tokens(said, segments.len())];
        let conversation = Conversation {
            segments,
            place: Place::Beginning,
            user_defined: false,
        };
        let buffers = Buffers {
            text: &mut text,
            cells: &mut cells,
            out: &mut out,
        };
        let len = scaffold.encode(&view, &bound, &conversation, buffers)?;
        out.truncate(len);
        Ok(out)
    }
}
