//! One message in private memory.

use super::PAYLOAD_WORDS;
use zeroize::Zeroize as _;

/// Header of every message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Message kind; [`crate::wire`] defines the numbers.
    pub kind: u16,
    /// Number of the request that the message belongs to; 0 for none.
    pub request: u32,
    /// Length of the payload in bytes.
    pub len: usize,
}

/// A private copy of one message.
#[derive(Clone, Debug)]
pub struct Frame<const PAYLOAD: usize = PAYLOAD_WORDS> {
    pub(super) header: Header,
    pub(super) words: [u64; PAYLOAD],
}

impl<const PAYLOAD: usize> Default for Frame<PAYLOAD> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const PAYLOAD: usize> Frame<PAYLOAD> {
    /// An empty frame.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            header: Header {
                kind: 0,
                request: 0,
                len: 0,
            },
            words: [0; PAYLOAD],
        }
    }

    /// Header of the last message received.
    #[must_use]
    pub const fn header(&self) -> Header {
        self.header
    }

    /// Payload of the last message received.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let bytes = zerocopy::IntoBytes::as_bytes(&self.words);
        // The slice begins with a word even if the length is invalid, so that the compiler reads whole words from it on
        // machines that require alignment.
        let is_one = self.header.len <= bytes.len();
        let len = if is_one { self.header.len } else { 0 };
        bytes.get(..len).unwrap_or(&[])
    }

    /// The payload, mutable in place.
    pub(crate) fn payload_mut(&mut self) -> &mut [u8] {
        let bytes = zerocopy::IntoBytes::as_mut_bytes(&mut self.words);
        let is_one = self.header.len <= bytes.len();
        let len = if is_one { self.header.len } else { 0 };
        bytes.get_mut(..len).unwrap_or(&mut [])
    }

    /// Starts a message and returns its payload buffer.
    pub fn begin(&mut self, kind: u16, request: u32) -> &mut [u8] {
        self.header = Header {
            kind,
            request,
            len: 0,
        };
        zerocopy::IntoBytes::as_mut_bytes(&mut self.words)
    }

    /// Sets the length of the payload. A length that exceeds the buffer is refused when the message is sent.
    ///
    /// Whole words are sent, so the rest of the last word is zeroed: the frame may still hold another message, which
    /// this peer must not see.
    pub fn finish(&mut self, len: usize) {
        self.header.len = len;
        let (word, bytes) = (len / 8, len % 8);
        if bytes > 0
            && let Some(word) = self.words.get_mut(word)
        {
            // The word's first bytes in memory, for either byte order. There are at most seven.
            let bits = (bytes as u32).wrapping_mul(8);
            let kept = (!u64::MAX.wrapping_shl(bits)).to_le();
            *word &= kept;
        }
    }

    /// Overwrites the message with zeros, even where the compiler sees no later use, for secrets such as a passphrase.
    /// Bytes of an earlier, longer message remain unless that message was wiped too.
    pub fn wipe(&mut self) {
        let words = self.header.len.div_ceil(8).min(PAYLOAD);
        self.header = Header::default();
        if let Some(words) = self.words.get_mut(..words) {
            words.zeroize();
        }
    }
}
