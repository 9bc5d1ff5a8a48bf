//! Writes parts.

use super::PartKind;
use super::{PART_HEADER_BYTES, Parts};
use crate::error::{ErrorCode, Failure};
use crate::limits::{MAX_PARTS_BYTES, MAX_PROMPT_BYTES};

/// Assembles parts. Errors are reported at the end, so parts can be added without checking each time.
#[derive(Debug)]
pub struct PartsWriter<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> PartsWriter<'b> {
    /// Starts with no parts. A buffer of [`MAX_PARTS_BYTES`] holds any valid request.
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// Adds a part.
    pub fn push(&mut self, kind: PartKind, text: &[u8]) -> &mut Self {
        // A length that fits no buffer is detected at the end.
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        for bytes in [
            &(kind as u32).to_le_bytes()[..],
            &length.to_le_bytes(),
            text,
        ] {
            let end = self.len.saturating_add(bytes.len());
            if let Some(room) = self.buffer.get_mut(self.len..end) {
                room.copy_from_slice(bytes);
            }
            self.len = end;
        }
        self
    }

    /// Checks and returns the parts.
    ///
    /// # Errors
    /// The first rule that is broken; [`ErrorCode::SegmentRole`] also for an order that [`Parts::parse`] refuses.
    pub fn finish(self) -> Result<Parts<'b>, Failure> {
        let Self { buffer, len } = self;
        let buffer: &'b [u8] = buffer;
        let limit = buffer.len().min(MAX_PARTS_BYTES);
        let bytes = buffer.get(..len).filter(|_| len <= limit).ok_or_else(|| {
            let over = |bytes: usize| bytes.saturating_sub(PART_HEADER_BYTES) as u64;
            Failure::over(ErrorCode::PromptBytes, over(len), over(limit))
        })?;
        let parts = Parts::parse(bytes).ok_or(Failure::of(ErrorCode::SegmentRole))?;
        parts.check()?;
        parts.allowed()?;
        Ok(parts)
    }
}

/// Builds a text to be completed in `buffer`.
///
/// # Errors
/// The text is not valid.
pub fn completion<'b>(buffer: &'b mut [u8], text: &[u8]) -> Result<Parts<'b>, Failure> {
    if text.len() > MAX_PROMPT_BYTES {
        let (value, limit) = (text.len() as u64, MAX_PROMPT_BYTES as u64);
        return Err(Failure::over(ErrorCode::PromptBytes, value, limit));
    }
    let mut writer = PartsWriter::new(buffer);
    writer.push(PartKind::Text, text);
    writer.finish()
}
