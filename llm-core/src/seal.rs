//! A checksum over memory that is not to change, to notice when it has.
//!
//! It is for memory that others than its owner may write by mistake, such as a faulty worker of a team. It is no
//! protection from one who means it: whoever may write the memory can compute what to write.

/// Bytes that [`Seal::inspect`] looks at in one call (256 KiB): a fraction of a millisecond on a Cortex-A53.
pub const INSPECTED_BYTES: usize = 256 << 10;

/// Words that are folded in at the same time, so a multiplication need not wait for the last.
const LANES: usize = 4;

/// Bytes of one round of all lanes.
const ROUND: usize = LANES * size_of::<u64>();

const _: () = assert!(INSPECTED_BYTES.is_multiple_of(ROUND));

/// What an inspection has found so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// The memory is as it was sealed; or there is nothing that could be inspected.
    Sound,
    /// No change yet, but the inspection is not over.
    Unfinished,
    /// It has changed since it was sealed.
    Changed,
}

/// The sum of a piece of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sum([u64; LANES]);

impl Sum {
    /// Different for each lane, so words that change places are noticed.
    const EMPTY: Self = Self([
        0x243f_6a88_85a3_08d3,
        0x1319_8a2e_0370_7344,
        0xa409_3822_299f_31d0,
        0x082e_fa98_ec4e_6c89,
    ]);

    /// Each step is a bijection of the lane for a given word, and of the word for a given lane. So one changed word is
    /// always noticed, and any other change unless 64 bits agree by chance.
    const fn step(lane: u64, word: u64) -> u64 {
        (lane ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    }

    /// Continues with `bytes`. Only the last call may have a length that is no multiple of [`ROUND`].
    fn add(&mut self, bytes: &[u8]) {
        let (rounds, rest) = bytes.as_chunks::<ROUND>();
        for round in rounds {
            let (words, _) = round.as_chunks();
            for (lane, word) in self.0.iter_mut().zip(words) {
                *lane = Self::step(*lane, u64::from_le_bytes(*word));
            }
        }
        for (lane, word) in self.0.iter_mut().zip(rest.chunks(size_of::<u64>())) {
            let mut whole = [0; 8];
            whole[..word.len()].copy_from_slice(word);
            *lane = Self::step(*lane, u64::from_le_bytes(whole));
        }
    }
}

/// The seal of a piece of memory, and how far it has been inspected.
#[derive(Clone, Debug)]
pub struct Seal {
    sealed: Sum,
    len: usize,
    so_far: Sum,
    at: usize,
}

impl Seal {
    /// Seals the memory as it is.
    #[must_use]
    pub fn of(memory: &[u8]) -> Self {
        let mut sealed = Sum::EMPTY;
        sealed.add(memory);
        Self {
            sealed,
            len: memory.len(),
            so_far: Sum::EMPTY,
            at: 0,
        }
    }

    /// Inspects the next [`INSPECTED_BYTES`] of the same memory; after the last ones, it begins anew.
    pub fn inspect(&mut self, memory: &[u8]) -> Inspection {
        if memory.len() != self.len {
            return Inspection::Changed;
        }
        let end = self.at.saturating_add(INSPECTED_BYTES).min(self.len);
        self.so_far.add(&memory[self.at..end]);
        self.at = end;
        if end < self.len {
            return Inspection::Unfinished;
        }
        let is_same = self.so_far == self.sealed;
        (self.so_far, self.at) = (Sum::EMPTY, 0);
        if is_same {
            Inspection::Sound
        } else {
            Inspection::Changed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn inspected(seal: &mut Seal, memory: &[u8]) -> Inspection {
        loop {
            match seal.inspect(memory) {
                Inspection::Unfinished => {}
                over => return over,
            }
        }
    }

    #[test]
    fn every_changed_bit_is_noticed_and_none_that_stays() {
        for len in [0, 1, 7, 8, 31, 32, 33, 100] {
            let mut memory: Vec<u8> = (0..len).map(|n| n as u8 ^ 0x5a).collect();
            let mut seal = Seal::of(&memory);
            for bit in 0..8 * len {
                memory[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(seal.inspect(&memory), Inspection::Changed, "bit {bit}");
                memory[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(seal.inspect(&memory), Inspection::Sound);
            }
        }
    }

    #[test]
    fn words_that_change_places_are_noticed() {
        let mut memory = [0; 64];
        memory[..8].fill(1);
        for at in (8..64).step_by(8) {
            let mut moved = memory;
            moved.copy_within(0..8, at);
            moved[..8].fill(0);
            assert_eq!(Seal::of(&memory).inspect(&moved), Inspection::Changed);
        }
    }

    #[test]
    fn an_inspection_is_cut_and_each_begins_anew() {
        let mut memory = alloc::vec![7; 2 * INSPECTED_BYTES + 40];
        let mut seal = Seal::of(&memory);
        for _ in 0..2 {
            assert_eq!(seal.inspect(&memory), Inspection::Unfinished);
            assert_eq!(seal.inspect(&memory), Inspection::Unfinished);
            assert_eq!(seal.inspect(&memory), Inspection::Sound);
        }
        *memory.last_mut().unwrap() = 8;
        assert_eq!(inspected(&mut seal, &memory), Inspection::Changed);
        memory.pop();
        assert_eq!(seal.inspect(&memory), Inspection::Changed, "another length");
    }
}
