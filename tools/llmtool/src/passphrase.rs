//! Hashes passphrases: Argon2id (RFC 9106), written as PHC strings.

use std::fmt::Write as _;

use argon2::{Algorithm, Argon2, Params, Version};
use phc::{Ident, Output, ParamsString, PasswordHash, Salt};
use protocol::limits::{MAX_KDF_KIB, MAX_KDF_PASSES, MAX_PASSPHRASE_BYTES};
use protocol::policy::PassphraseHash;

const ARGON2ID: Ident = Ident::new_unwrap("argon2id");

/// The minimum memory that audit's check of a policy accepts: Argon2 needs eight blocks of 1 KiB.
pub const MIN_KDF_KIB: u32 = 8;

/// Why a passphrase or its hash is unusable.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// Nothing was typed.
    #[error("the passphrase is empty; leave it out of the policy for a user who has none")]
    Empty,
    /// It is too long for the console.
    #[error("the passphrase has {bytes} bytes, at most {MAX_PASSPHRASE_BYTES} are allowed")]
    Length {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It cannot be typed.
    #[error("the passphrase has a control character, which nobody can type on the console")]
    Control,
    /// The repetition differs.
    #[error("the two passphrases differ")]
    Differ,
    /// The text is not a PHC string.
    #[error("not a PHC string such as `llmtool passphrase` prints: {0}")]
    Phc(phc::Error),
    /// It uses parameters that audit does not support.
    #[error("{0}; make one with `llmtool passphrase`")]
    Unsupported(String),
    /// Argon2 refuses the parameters.
    #[error("{0}")]
    Argon2(argon2::Error),
    /// There are no random numbers.
    #[error("the system provides no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Checks a chosen passphrase.
///
/// # Errors
/// Nobody could log in with it.
pub fn check(passphrase: &str) -> Result<(), PassphraseError> {
    match passphrase.len() {
        0 => Err(PassphraseError::Empty),
        bytes if bytes > MAX_PASSPHRASE_BYTES => Err(PassphraseError::Length { bytes }),
        _ if passphrase.chars().any(char::is_control) => Err(PassphraseError::Control),
        _ => Ok(()),
    }
}

/// Hashes a passphrase with a random salt.
///
/// # Errors
/// The passphrase or the parameters are not allowed.
pub fn hash(
    passphrase: &str,
    memory_kib: u32,
    passes: u32,
) -> Result<PassphraseHash, PassphraseError> {
    check(passphrase)?;
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(PassphraseError::Random)?;
    let mut made = PassphraseHash {
        memory_kib,
        passes,
        salt,
        hash: [0; 32],
    };
    made.hash = derive(&made, passphrase.as_bytes()).map_err(PassphraseError::Argon2)?;
    Ok(made)
}

/// Whether this is the hash of the passphrase. Not in constant time, because both are known here.
#[must_use]
pub fn matches(hash: &PassphraseHash, passphrase: &[u8]) -> bool {
    hash.passes != 0 && derive(hash, passphrase).is_ok_and(|derived| derived == hash.hash)
}

fn derive(hash: &PassphraseHash, passphrase: &[u8]) -> Result<[u8; 32], argon2::Error> {
    let params = Params::new(hash.memory_kib, hash.passes, 1, Some(32))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut derived = [0; 32];
    argon2.hash_password_into(passphrase, &hash.salt, &mut derived)?;
    Ok(derived)
}

/// The hash as a PHC string.
///
/// # Errors
/// Never for what [`hash`] and [`parse`] return.
pub fn to_phc(hash: &PassphraseHash) -> Result<String, PassphraseError> {
    let mut params = ParamsString::new();
    for (name, value) in [("m", hash.memory_kib), ("t", hash.passes), ("p", 1)] {
        params
            .add_decimal(name, value)
            .map_err(PassphraseError::Phc)?;
    }
    let phc = PasswordHash {
        algorithm: ARGON2ID,
        version: Some(Version::V0x13.into()),
        params,
        salt: Some(Salt::new(&hash.salt).map_err(PassphraseError::Phc)?),
        hash: Some(Output::new(&hash.hash).map_err(PassphraseError::Phc)?),
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(text, "{phc}");
    Ok(text)
}

/// Reads a PHC string.
///
/// # Errors
/// It is not a PHC string, or audit does not support its parameters.
pub fn parse(text: &str) -> Result<PassphraseHash, PassphraseError> {
    let unsupported = |reason: String| Err(PassphraseError::Unsupported(reason));
    let phc = PasswordHash::new(text).map_err(PassphraseError::Phc)?;
    if phc.algorithm != ARGON2ID {
        return unsupported(format!("the algorithm is {}, not argon2id", phc.algorithm));
    }
    if phc.version != Some(Version::V0x13.into()) {
        return unsupported("the version of Argon2 is not 19".to_owned());
    }
    let mut numbers = [0; 3];
    for (name, value) in phc.params.iter() {
        let place = ["m", "t", "p"].iter().position(|m| *m == name.as_str());
        match (place, value.decimal()) {
            (Some(place), Ok(value)) => numbers[place] = value,
            _ => return unsupported(format!("the parameter {name}={value} is unknown")),
        }
    }
    let [memory_kib, passes, lanes] = numbers;
    if lanes != 1 {
        return unsupported(format!("it has {lanes} lanes (p), 1 is supported"));
    }
    if !(MIN_KDF_KIB..=MAX_KDF_KIB).contains(&memory_kib) {
        return unsupported(format!(
            "it takes {memory_kib} KiB (m), {MIN_KDF_KIB} to {MAX_KDF_KIB} are allowed"
        ));
    }
    if !(1..=MAX_KDF_PASSES).contains(&passes) {
        return unsupported(format!(
            "it takes {passes} passes (t), 1 to {MAX_KDF_PASSES} are allowed"
        ));
    }
    let salt = phc.salt.as_ref().map(|salt| salt.as_ref().to_vec());
    let Some(Ok(salt)) = salt.map(<[u8; 16]>::try_from) else {
        return unsupported("the salt does not have 16 bytes".to_owned());
    };
    let hash = phc.hash.map(|hash| hash.as_bytes().to_vec());
    let Some(Ok(hash)) = hash.map(<[u8; 32]>::try_from) else {
        return unsupported("the hash does not have 32 bytes".to_owned());
    };
    Ok(PassphraseHash {
        memory_kib,
        passes,
        salt,
        hash,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phc_string_comes_back_and_matches_its_passphrase_alone() {
        let made = hash("correct horse", 64, 2).unwrap();
        let text = to_phc(&made).unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{text}");
        let read = parse(&text).unwrap();
        assert_eq!(read, made);
        assert!(matches(&read, b"correct horse"));
        assert!(!matches(&read, b"correct house"));
        assert_ne!(hash("correct horse", 64, 2).unwrap().salt, made.salt);
    }

    #[test]
    fn the_hash_is_that_of_the_reference_program() {
        // echo -n password | argon2 somesaltsomesalt -id -t 2 -k 256 -p 1 -l 32 (phc-winner-argon2).
        let text =
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        // Its salt has 8 bytes, which audit does not accept; Argon2 itself agrees.
        assert!(matches!(
            parse(text),
            Err(PassphraseError::Unsupported(reason)) if reason.contains("16 bytes")
        ));
        let params = Params::new(256, 2, 1, Some(32)).unwrap();
        let mut derived = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(b"password", b"somesalt", &mut derived)
            .unwrap();
        assert_eq!(derived[..4], [0x9d, 0xfe, 0xb9, 0x10]);
    }

    #[test]
    fn what_audit_does_not_compute_is_refused_with_the_reason() {
        let good = to_phc(&hash("x", 8, 1).unwrap()).unwrap();
        for (from, to, part) in [
            ("argon2id", "argon2i", "not argon2id"),
            ("v=19", "v=16", "not 19"),
            ("m=8", "m=513", "513 KiB"),
            ("m=8", "m=7", "7 KiB"),
            ("t=1", "t=5", "5 passes"),
            ("t=1", "t=0", "0 passes"),
            ("p=1", "p=2", "2 lanes"),
            ("p=1", "p=1,q=1", "q=1 is unknown"),
        ] {
            let text = good.replacen(from, to, 1);
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(parse("sel4").unwrap_err().to_string().contains("PHC"));
        assert!(matches!(hash("", 8, 1), Err(PassphraseError::Empty)));
        let long = "x".repeat(129);
        assert!(matches!(
            hash(&long, 8, 1),
            Err(PassphraseError::Length { bytes: 129 })
        ));
        assert!(matches!(hash("a\tb", 8, 1), Err(PassphraseError::Control)));
    }
}
