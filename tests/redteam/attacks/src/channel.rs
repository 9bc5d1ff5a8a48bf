//! Words for the channel through the generic timer's comparator: each has a number, and 48 bits that the other side
//! cannot guess. The receiver acknowledges a word in the same register.

/// Bits of information in a word.
pub const BITS: u64 = 48;

const NUMBER: u64 = 0xfff;

/// SplitMix64 of the number.
pub(crate) const fn secret(number: u64) -> u64 {
    let state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) & ((1 << BITS) - 1)
}

/// The word with this number. As a time it is far in the future, so the timer does not fire.
#[must_use]
pub const fn word(number: u64) -> u64 {
    0x5 << 60 | (number & NUMBER) << BITS | secret(number)
}

/// The acknowledgement of a word.
#[must_use]
pub const fn taken(number: u64) -> u64 {
    0x6 << 60 | number
}

/// Whether this is a word, rather than a value that audit has written.
#[must_use]
pub const fn is_word(value: u64) -> bool {
    value >> 60 == 0x5
}
