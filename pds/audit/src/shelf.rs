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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::region::ReadWords as _;
    use protocol::testing::TestRegion;
    use std::vec;
    use std::vec::Vec;

    fn shelf() -> Shelf<TestRegion> {
        Shelf::new(TestRegion::with_words(REGION_BYTES / WORD))
    }

    fn made(name: &str, space: Space) -> Made {
        Made {
            id: 0,
            name: ModelName::new(name).unwrap(),
            space,
            sha256: [0; 32],
            base: [0; 32],
            signature: [0; 64],
        }
    }

    fn all(shelf: &mut Shelf<TestRegion>, id: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let part = shelf.part(id, bytes.len(), 104).to_vec();
            if part.is_empty() {
                return bytes;
            }
            bytes.extend(part);
        }
    }

    #[test]
    fn an_adapter_is_read_and_hashed_as_it_was_written() {
        let mut shelf = shelf();
        let room = shelf.room_to_make(&Places::new()).unwrap();
        let whole = REGION_BYTES - EXAMPLES_BYTES;
        assert_eq!((room.offset, room.bytes), (EXAMPLES_BYTES, whole));
        let file: Vec<u8> = (0..10_003u32).map(|n| (n % 251) as u8).collect();
        let mut done = 0;
        for part in file.chunks(MAX_PART_BYTES) {
            assert!(shelf.write_part(room, done, part));
            done += part.len();
        }
        assert!(!shelf.write_part(room, done, b"x"), "not whole words");
        let space = Space {
            bytes: done,
            ..room
        };
        let id = shelf.keep(made("a", space));
        assert_eq!(all(&mut shelf, id), file);
        for slice in [8, 100, 4096, 1 << 20] {
            let (mut hasher, mut done, mut lines) = (Sha256::new(), 0, 0);
            while done < space.bytes {
                let (now, met) = shelf.hash(space, done, &mut hasher, &mut { slice });
                assert!(now > done);
                (done, lines) = (now, lines + met);
            }
            assert_eq!(hasher.finalize(), Sha256::digest(&file));
            assert_eq!(lines, count_lines(&file));
        }
        assert_eq!(shelf.find(ModelName::new("a").unwrap()).unwrap().id, id);
        shelf.forget(id);
        assert!(shelf.get(id).is_none() && shelf.part(id, 0, 99).is_empty());
        assert_eq!(shelf.room_to_make(&Places::new()), Ok(room));
    }

    #[test]
    fn a_part_that_does_not_fit_its_room_is_not_written() {
        let shelf = shelf();
        let room = Space {
            offset: EXAMPLES_BYTES,
            bytes: 16,
        };
        assert!(shelf.write_part(room, 8, &[7; 8]));
        assert!(!shelf.write_part(room, 8, &[9; 9]));
        assert!(!shelf.write_part(room, usize::MAX - 7, &[9; 16]));
        let word = |at: usize| shelf.region.load(at / WORD);
        assert_eq!(word(EXAMPLES_BYTES + 8), u64::from_ne_bytes([7; 8]));
        assert_eq!(word(EXAMPLES_BYTES + 16), 0);
    }

    #[test]
    fn too_many_adapters_and_too_little_room_are_refused() {
        let mut shelf = shelf();
        for n in 0..MAX_MADE {
            let room = shelf.room_to_make(&Places::new()).unwrap();
            let space = Space { bytes: 100, ..room };
            shelf.keep(made(&std::format!("a{n}"), space));
        }
        let full = Failure::over(ErrorCode::TooManyAdapters, 8, 8);
        assert_eq!(shelf.room_to_make(&Places::new()), Err(full));
        shelf.made.clear();
        let room = shelf.room_to_make(&Places::new()).unwrap();
        let bytes = room.bytes - 4000;
        shelf.keep(made("large", Space { bytes, ..room }));
        let failure = shelf.room_to_make(&Places::new()).unwrap_err();
        assert_eq!(failure.code, ErrorCode::AdapterRoom);
        assert!(failure.limit <= 4000);
    }

    #[test]
    fn examples_are_lines_one_behind_the_other_and_end_with_their_room() {
        let mut shelf = shelf();
        let code = |result: Result<(), Failure>| result.map_err(|failure| failure.code);
        let long = vec![b'x'; MAX_EXAMPLE_BYTES + 1];
        for (text, wrong) in [
            (&b""[..], ErrorCode::ExampleBytes),
            (&long, ErrorCode::ExampleBytes),
            (b"a\nb", ErrorCode::BadExample),
            (b"a\r", ErrorCode::BadExample),
            (b"a\xff", ErrorCode::BadExample),
        ] {
            assert_eq!(code(shelf.add_example(text)), Err(wrong));
        }
        assert_eq!(shelf.add_example(b"one"), Ok(()));
        assert_eq!(shelf.add_example("zwölf, lang".as_bytes()), Ok(()));
        let space = shelf.examples();
        assert_eq!((shelf.example_count(), space.bytes), (2, 17));
        let lines = shelf.read(0, space.bytes).to_vec();
        assert_eq!(lines, "one\nzwölf, lang\n".as_bytes());
        let example = &long[..MAX_EXAMPLE_BYTES];
        for _ in 0..7 {
            assert_eq!(shelf.add_example(example), Ok(()));
        }
        let before = shelf.examples();
        let full = shelf.add_example(example).unwrap_err();
        assert_eq!(full.code, ErrorCode::ExamplesFull);
        assert_eq!((full.limit, shelf.examples()), (65_536, before));
        shelf.drop_examples();
        assert_eq!((shelf.example_count(), shelf.examples().bytes), (0, 0));
    }

    proptest! {
        /// Whatever is made and forgotten, adapters overlap neither each other nor the examples.
        #[test]
        fn spaces_never_overlap(
            acts in prop::collection::vec((any::<bool>(), 1usize..400_000, any::<prop::sample::Index>()), 1..60)
        ) {
            let mut shelf = shelf();
            for (makes, bytes, index) in acts {
                if makes {
                    if let Ok(room) = shelf.room_to_make(&Places::new()) {
                        let space = Space { bytes: bytes.min(room.bytes), ..room };
                        shelf.keep(made("a", space));
                    }
                } else if shelf.len() > 0 {
                    let id = shelf.nth(index.index(shelf.len())).unwrap().id;
                    shelf.forget(id);
                }
                for (n, made) in shelf.made.iter().enumerate() {
                    let Space { offset, bytes } = made.space;
                    prop_assert!(offset >= EXAMPLES_BYTES && offset + bytes <= REGION_BYTES);
                    prop_assert!(offset.is_multiple_of(ALIGN));
                    for other in &shelf.made[..n] {
                        let apart = other.space.end() <= offset || made.space.end() <= other.space.offset;
                        prop_assert!(apart);
                    }
                }
            }
        }
    }
}
