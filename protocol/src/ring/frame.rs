//! One message in private memory.

use super::PAYLOAD_WORDS;
use zeroize::Zeroize as _;

/// What precedes every payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Which message this is; its meaning belongs to [`crate::wire`].
    pub kind: u16,
    /// Number of the request that it belongs to, 0 for none.
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

    /// Header of the message that was received last.
    #[must_use]
    pub const fn header(&self) -> Header {
        self.header
    }

    /// Payload of the message that was received last.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let bytes = zerocopy::IntoBytes::as_bytes(&self.words);
        // It begins with a word also if it is too long to be one: so the compiler reads whole words of it, where the
        // machine wants them aligned.
        let is_one = self.header.len <= bytes.len();
        let len = if is_one { self.header.len } else { 0 };
        bytes.get(..len).unwrap_or(&[])
    }

    /// The same, to be changed where it lies.
    pub(crate) fn payload_mut(&mut self) -> &mut [u8] {
        let bytes = zerocopy::IntoBytes::as_mut_bytes(&mut self.words);
        let is_one = self.header.len <= bytes.len();
        let len = if is_one { self.header.len } else { 0 };
        bytes.get_mut(..len).unwrap_or(&mut [])
    }

    /// Starts a message and returns the room for its payload.
    pub fn begin(&mut self, kind: u16, request: u32) -> &mut [u8] {
        self.header = Header {
            kind,
            request,
            len: 0,
        };
        zerocopy::IntoBytes::as_mut_bytes(&mut self.words)
    }

    /// Sets the length of the payload; more than there is room for is refused when it is sent.
    ///
    /// Whole words are sent, so the rest of the last one is zeroed: the frame may have held another message before,
    /// and its bytes are nothing that this peer should see.
    pub fn finish(&mut self, len: usize) {
        self.header.len = len;
        let (word, bytes) = (len / 8, len % 8);
        if bytes > 0
            && let Some(word) = self.words.get_mut(word)
        {
            // The first bytes of a word in memory, on a machine of either order.
            // At most seven bytes.
            let bits = (bytes as u32).wrapping_mul(8);
            let kept = (!u64::MAX.wrapping_shl(bits)).to_le();
            *word &= kept;
        }
    }

    /// Overwrites the message with zeros, also where the compiler sees no later use: for what must not outlive its use,
    /// such as a passphrase. What a longer message before it has left behind it stays, unless that was wiped too.
    pub fn wipe(&mut self) {
        let words = self.header.len.div_ceil(8).min(PAYLOAD);
        self.header = Header::default();
        if let Some(words) = self.words.get_mut(..words) {
            words.zeroize();
        }
    }
}
