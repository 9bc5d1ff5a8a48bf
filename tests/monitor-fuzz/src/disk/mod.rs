//! Runs of a system with a disk: the same peers, a files domain of some nature, and power failures.
//!
//! What audit promises without a disk is compared with the reference in the other runs. What a disk adds is checked
//! here, from the outside ([`judge`]), under these names of [`crate::claims::Claim`]:
//!
//! - with a log that is written ahead, inference is told of a request after its admission is durable, and the client of
//!   its end after that is (`Ahead`);
//! - a log that cannot be written stops admissions or not, as the policy says (`LostLog`);
//! - after a power failure, what was durable is there, the chain continues from it (`Durable`), and so do the budgets
//!   (`Budgets`);
//! - inference is told of nothing in a slot that no trusted key has signed, and the slot in service does not change
//!   (`Slots`);
//! - each request ends once, whatever files does (`Answers`, `Settles`).

pub mod card;
pub mod domain;
pub mod judge;
mod run;
pub mod world;

pub use run::run;

use crate::store::key;
use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use world::SLOT_BYTES;

/// Models on a disk, and those of them that a trusted key has signed.
#[must_use]
pub fn models() -> (BTreeMap<String, Vec<u8>>, Vec<Vec<u8>>) {
    let mut files = BTreeMap::new();
    let mut signed = Vec::new();
    for (name, bytes, by) in [
        ("one", 9_000, Some(1)),
        ("two", SLOT_BYTES, Some(2)),
        ("more/three", 501, Some(1)),
        ("foreign", 700, Some(3)),
        ("unsigned", 700, None),
        ("large", SLOT_BYTES + 1, Some(1)),
    ] {
        let mut file = format!("GGUF {name} ").into_bytes();
        file.extend((file.len()..bytes).map(|at| (at * 7 % 251) as u8));
        if let Some(seed) = by {
            let signature = key(seed).sign(&Sha256::digest(&file)).to_bytes();
            files.insert(format!("{name}.gguf.sig"), signature.to_vec());
            if seed != 3 && bytes <= SLOT_BYTES {
                signed.push(file.clone());
            }
        }
        files.insert(format!("{name}.gguf"), file);
    }
    files.insert(String::from("notes.txt"), b"no model".to_vec());
    (files, signed)
}
