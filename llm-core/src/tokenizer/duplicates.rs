//! Detects two tokens with the same spelling.
//!
//! This runs before anything is loaded, so there is no room for a sorted index. A hash divides the tokens into parts of
//! a few thousand, each of which fits a table on the stack; all tokens are read once per part. A file whose tokens were
//! crafted to have equal hashes is refused, so that it cannot cost more.

use super::VocabularyError;
use crate::gguf::Array;

/// Slots of the table: 64 KiB of stack. With half as many, tokens would be read twice as often.
const PLACES: usize = 1 << 14;

/// Average number of tokens per part, chosen so that probing stays short.
const PART: usize = PLACES / 2;

/// Maximum number of probes. By chance, none of half a million tokens needs 200.
const MAX_STEPS: usize = 512;

/// No token.
const FREE: u32 = u32::MAX;

/// Checks that no two of `tokens` are the same. Tokens without text are distinguished by their number.
///
/// # Errors
/// [`VocabularyError::DuplicateToken`], or [`VocabularyError::EqualHashes`] for a crafted file.
pub(super) fn check(tokens: &Array<'_>) -> Result<(), VocabularyError> {
    let parts = tokens.len().div_ceil(PART).max(1) as u64;
    for part in 0..parts {
        check_part(tokens, part, parts)?;
    }
    Ok(())
}

/// Like [`check`], for the tokens of one part.
#[inline(never)]
fn check_part(tokens: &Array<'_>, part: u64, parts: u64) -> Result<(), VocabularyError> {
    let mut table = [FREE; PLACES];
    for (id, (at, token)) in (0_u32..).zip(tokens.strings_with_places()?) {
        let hash = hash(token);
        if token.is_empty() || hash.checked_rem(parts) != Some(part) {
            continue;
        }
        // The upper half, because the remainder uses the lower.
        let first = (hash >> 32) as usize;
        let mut places = (0..MAX_STEPS).map(|step| first.wrapping_add(step) % PLACES);
        let place = places.find(|&place| {
            let other = table.get(place).copied().unwrap_or(FREE);
            other == FREE || tokens.string_at(other) == Some(token)
        });
        match place.and_then(|place| table.get_mut(place)) {
            Some(place) if *place == FREE => *place = at,
            Some(&mut place) => {
                let mut all = (0_u32..).zip(tokens.strings_with_places()?);
                let other = all
                    .find(|&(_, (at, _))| at == place)
                    .map_or(0, |(id, _)| id);
                return Err(VocabularyError::DuplicateToken { id, other });
            }
            None => return Err(VocabularyError::EqualHashes { id }),
        }
    }
    Ok(())
}

/// FNV-1a, finished with the mixing step of `SplitMix64`, so that all bits depend on all bytes.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::Gguf;
    use crate::testing::GgufWriter;
    use std::vec::Vec;

    #[test]
    fn tokens_that_were_made_to_have_the_same_hash_are_refused() {
        let place = |text: &[u8]| (hash(text) >> 32) as usize % PLACES;
        let numbers = (0_u32..).map(|number| number.to_le_bytes().to_vec());
        let texts: Vec<Vec<u8>> = numbers
            .filter(|text| place(text) == 7)
            .take(MAX_STEPS + 1)
            .collect();
        let check = |texts: &[Vec<u8>]| {
            let mut writer = GgufWriter::default();
            let file = writer.strings("t", texts).finish();
            check(&Gguf::parse(&file).unwrap().array("t").unwrap())
        };
        let id = MAX_STEPS as u32;
        assert_eq!(check(&texts), Err(VocabularyError::EqualHashes { id }));
        assert_eq!(check(&texts[..MAX_STEPS]), Ok(()));
    }
}
