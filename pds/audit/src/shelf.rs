//! The region of adapters: typed examples, adapters made on this device, and adapters and data read from a disk.
//!
//! Only audit writes it and only inference reads it. The rule: a part that a command to inference names is not written
//! until the command is answered. So examples do not change during a training, the part that a training may fill
//! belongs to no adapter, and an adapter is forgotten only after inference has confirmed that it no longer uses it. An
//! adapter from a disk occupies its part while it is loaded; `Places` keeps track of it, no list here does.

use crate::places::Places;
use crate::space::{LEAST_ROOM, Space};
use protocol::adapters::{ALIGN, EXAMPLES_BYTES, REGION_BYTES};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::{Hash, SIGNATURE_BYTES};
use protocol::limits::{MAX_EXAMPLE_BYTES, MAX_MADE, MAX_PART_BYTES};
use protocol::name::ModelName;
use protocol::region::WriteWords;
use sha2::{Digest, Sha256};

/// Size of a word of the region in bytes.
const WORD: usize = 8;

/// An adapter made on this device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    /// Unique since boot.
    pub(crate) id: u32,
    pub(crate) name: ModelName,
    /// Where its file is.
    pub(crate) space: Space,
    pub(crate) sha256: Hash,
    /// SHA-256 of the file of the model for which it was made.
    pub(crate) base: Hash,
    pub(crate) signature: [u8; SIGNATURE_BYTES],
}

/// The region and what is in it; see the module.
pub(crate) struct Shelf<W> {
    region: W,
    made: heapless::Vec<Made, MAX_MADE>,
    last_id: u32,
    /// Number of typed examples, and their bytes.
    examples: u32,
    example_bytes: usize,
    /// The bytes read last.
    buffer: [u8; MAX_PART_BYTES],
}

impl<W: WriteWords> Shelf<W> {
    pub(crate) const fn new(region: W) -> Self {
        Self {
            region,
            made: heapless::Vec::new(),
            last_id: 0,
            examples: 0,
            example_bytes: 0,
            buffer: [0; MAX_PART_BYTES],
        }
    }

    // ---- Bytes ----------------------------------------------------------------------------------

    /// Writes bytes, for which there must be room.
    fn write(&self, at: usize, bytes: &[u8]) {
        let (mut at, mut rest) = (at, bytes);
        while !rest.is_empty() {
            let (index, lane) = (at / WORD, at % WORD);
            let count = WORD.saturating_sub(lane).min(rest.len());
            let Some((now, later)) = rest.split_at_checked(count) else {
                return;
            };
            let mut word = match count {
                WORD => [0; WORD],
                _ => self.region.load(index).to_ne_bytes(),
            };
            let lanes = word.iter_mut().skip(lane).zip(now);
            lanes.for_each(|(to, from)| *to = *from);
            self.region.store(index, u64::from_ne_bytes(word));
            at = at.saturating_add(count);
            rest = later;
        }
        // The message that tells inference of them is published after this fence.
        self.region.release_fence();
    }

    /// Copies bytes from a word boundary on, up to the size of a part.
    fn read(&mut self, at: usize, bytes: usize) -> &[u8] {
        let first = at / WORD;
        for (n, chunk) in self.buffer.chunks_mut(WORD).enumerate() {
            if n.saturating_mul(WORD) >= bytes {
                break;
            }
            let word = self.region.load(first.saturating_add(n)).to_ne_bytes();
            chunk.iter_mut().zip(word).for_each(|(to, from)| *to = from);
        }
        self.buffer.get(..bytes).unwrap_or(&self.buffer)
    }

    /// Hashes more of a space of which `done` bytes are hashed already, as far as `budget` allows. Returns the new
    /// number of hashed bytes, and the line feeds found.
    pub(crate) fn hash(
        &mut self,
        space: Space,
        done: usize,
        hasher: &mut Sha256,
        budget: &mut usize,
    ) -> (usize, u64) {
        let (mut done, mut line_feeds) = (done, 0u64);
        loop {
            let left = space.bytes.saturating_sub(done);
            let mut bytes = left.min(MAX_PART_BYTES).min(*budget);
            if bytes < left {
                // The next slice must begin at a word boundary.
                bytes = bytes.saturating_sub(bytes % WORD);
            }
            if bytes == 0 {
                return (done, line_feeds);
            }
            let read = self.read(space.offset.saturating_add(done), bytes);
            hasher.update(read);
            line_feeds = line_feeds.saturating_add(count_lines(read));
            done = done.saturating_add(bytes);
            *budget = budget.saturating_sub(bytes);
        }
    }

    // ---- Adapters -------------------------------------------------------------------------------

    /// The longest space for an adapter to be made; takes nothing yet. See [`Self::room`].
    ///
    /// # Errors
    /// There are too many adapters, or no space is long enough.
    pub(crate) fn room_to_make(&self, loaded: &Places) -> Result<Space, Failure> {
        if self.made.is_full() {
            let (value, limit) = (self.made.len() as u64, MAX_MADE as u64);
            return Err(Failure::over(ErrorCode::TooManyAdapters, value, limit));
        }
        self.room(loaded)
    }

    /// The longest space free of adapters, whether made here or loaded.
    ///
    /// # Errors
    /// It is too short for an adapter.
    pub(crate) fn room(&self, loaded: &Places) -> Result<Space, Failure> {
        let taken = || {
            let made = self.made.iter().map(|made| made.space);
            made.chain(loaded.in_region())
        };
        // A free space begins at the end of the examples or of an adapter, and ends at the start of the next adapter.
        let begins = core::iter::once(EXAMPLES_BYTES).chain(taken().map(Space::end));
        let spaces = begins.filter_map(|begin| {
            let offset = begin.checked_next_multiple_of(ALIGN)?;
            let behind = taken().map(|space| space.offset);
            let end = behind.filter(|at| *at >= begin).min();
            let bytes = end.unwrap_or(REGION_BYTES).saturating_sub(offset);
            Some(Space { offset, bytes })
        });
        let longest = spaces.max_by_key(|space| space.bytes).unwrap_or_default();
        if longest.bytes < LEAST_ROOM {
            let (value, limit) = (LEAST_ROOM as u64, longest.bytes as u64);
            return Err(Failure::over(ErrorCode::AdapterRoom, value, limit));
        }
        Ok(longest)
    }

    /// Fills a space that [`Self::room`] has given, or a part of it that begins at a word boundary.
    pub(crate) fn fill(&self, space: Space, word: impl Fn(usize) -> u64) {
        let first = space.offset / WORD;
        for index in 0..space.bytes.div_ceil(WORD) {
            self.region.store(first.saturating_add(index), word(index));
        }
        // The message that tells inference of it is published after this fence.
        self.region.release_fence();
    }

    /// Writes the next part of an adapter that is being made. False if it does not fit, or if the part before it did
    /// not end at a word boundary.
    pub(crate) fn write_part(&self, room: Space, offset: usize, bytes: &[u8]) -> bool {
        let end = offset.saturating_add(bytes.len());
        let fits = end <= room.bytes && offset.is_multiple_of(WORD);
        if fits {
            self.write(room.offset.saturating_add(offset), bytes);
        }
        fits
    }

    /// Keeps an adapter that is complete in its space. There is a place, because [`Self::room`] was called.
    pub(crate) fn keep(&mut self, made: Made) -> u32 {
        self.last_id = self.last_id.wrapping_add(1);
        let id = self.last_id;
        let _ = self.made.push(Made { id, ..made });
        id
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Made> {
        self.made.iter().find(|made| made.id == id)
    }

    pub(crate) fn find(&self, name: ModelName) -> Option<&Made> {
        self.made.iter().find(|made| made.name == name)
    }

    /// The adapter at this place of a list, oldest first.
    pub(crate) fn nth(&self, index: usize) -> Option<&Made> {
        self.made.get(index)
    }

    pub(crate) fn len(&self) -> usize {
        self.made.len()
    }

    /// Forgets an adapter.
    pub(crate) fn forget(&mut self, id: u32) {
        // Not `retain`: the compiler cannot rule out its arithmetic panics.
        let mut others = heapless::Vec::new();
        for made in self.made.iter().filter(|made| made.id != id) {
            // There are fewer than before, so there is room.
            let _ = others.push(*made);
        }
        self.made = others;
    }

    /// Up to `most` bytes of an adapter from `offset` on, which must be a word boundary.
    pub(crate) fn part(&mut self, id: u32, offset: usize, most: usize) -> &[u8] {
        let space = self.get(id).map_or_else(Space::default, |made| made.space);
        let bytes = space.bytes.saturating_sub(offset);
        let bytes = bytes.min(most).min(MAX_PART_BYTES);
        self.read(space.offset.saturating_add(offset), bytes)
    }

    // ---- Examples -------------------------------------------------------------------------------

    /// The space that the examples occupy.
    pub(crate) const fn examples(&self) -> Space {
        Space {
            offset: 0,
            bytes: self.example_bytes,
        }
    }

    pub(crate) const fn example_count(&self) -> u32 {
        self.examples
    }

    /// Adds an example and a line feed.
    ///
    /// # Errors
    /// The text is not a single line of UTF-8, or there is no room. Nothing has changed.
    pub(crate) fn add_example(&mut self, text: &[u8]) -> Result<(), Failure> {
        check_example(text)?;
        let bytes = self.example_bytes.saturating_add(text.len());
        let end = bytes.saturating_add(1);
        if end > EXAMPLES_BYTES {
            let (value, limit) = (end as u64, EXAMPLES_BYTES as u64);
            return Err(Failure::over(ErrorCode::ExamplesFull, value, limit));
        }
        self.write(self.example_bytes, text);
        self.write(bytes, b"\n");
        self.example_bytes = end;
        self.examples = self.examples.saturating_add(1);
        Ok(())
    }

    /// Forgets all examples.
    pub(crate) const fn drop_examples(&mut self) {
        (self.examples, self.example_bytes) = (0, 0);
    }
}

/// # Errors
/// The text is not a single line of UTF-8 of a valid length.
fn check_example(text: &[u8]) -> Result<(), Failure> {
    let limit = MAX_EXAMPLE_BYTES as u64;
    if text.is_empty() || text.len() > MAX_EXAMPLE_BYTES {
        let value = text.len() as u64;
        return Err(Failure::over(ErrorCode::ExampleBytes, value, limit));
    }
    let wrong = match core::str::from_utf8(text) {
        Ok(_) => text.iter().position(|byte| matches!(byte, b'\n' | b'\r')),
        Err(error) => Some(error.valid_up_to()),
    };
    match wrong {
        Some(at) => Err(Failure::over(ErrorCode::BadExample, at as u64, 0)),
        None => Ok(()),
    }
}

/// Line feeds in `bytes`.
pub(crate) fn count_lines(bytes: &[u8]) -> u64 {
    let is = |byte: &u8| u64::from(*byte == b'\n');
    bytes.iter().map(is).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
