//! Keys and signatures of models: Ed25519 (RFC 8032) over the 32 bytes of a file's SHA-256.
//!
//! Secret keys are PKCS#8 PEM files and public keys are SubjectPublicKeyInfo PEM files, as in OpenSSL. A signature is a
//! file of 64 bytes beside the model; its name is the model's plus `.sig`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
    KeypairBytes,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use protocol::hash::{Hash, SIGNATURE_BYTES};
use protocol::store::SIGNATURE_SUFFIX;

use crate::error::{KeyError, ToolError};
use crate::files;

/// The path of a model's signature.
#[must_use]
pub fn signature_path(model: &Path) -> PathBuf {
    let mut name = model.as_os_str().to_os_string();
    name.push(SIGNATURE_SUFFIX);
    name.into()
}

/// Makes a pair of keys: `NAME.key.pem`, which only its owner may read, and `NAME.pub.pem`.
///
/// # Errors
/// One of the files already exists, or cannot be written.
pub fn generate(name: &Path) -> Result<(PathBuf, PathBuf, VerifyingKey), ToolError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(KeyError::Random)?;
    let key = SigningKey::from_bytes(&seed);
    // Without the public key, which OpenSSL does not read in this form.
    let pair = KeypairBytes {
        secret_key: seed,
        public_key: None,
    };
    let [secret_path, public_path] = [".key.pem", ".pub.pem"].map(|suffix| {
        let mut path = name.as_os_str().to_os_string();
        path.push(suffix);
        PathBuf::from(path)
    });
    let secret = pair
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| KeyError::Secret {
            path: secret_path.clone(),
            reason: error.to_string(),
        })?;
    let public = key
        .verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .map_err(|error| KeyError::Public {
            path: public_path.clone(),
            reason: error.to_string(),
        })?;
    if public_path.exists() {
        let source = ErrorKind::AlreadyExists.into();
        return Err(ToolError::Write {
            path: public_path,
            source,
        });
    }
    create(&secret_path, secret.as_bytes(), 0o600)?;
    create(&public_path, public.as_bytes(), 0o644)?;
    Ok((secret_path, public_path, key.verifying_key()))
}

/// Writes a new file, which must not exist.
fn create(path: &Path, content: &[u8], mode: u32) -> Result<(), ToolError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    options
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .map_err(|source| ToolError::Write {
            path: path.to_path_buf(),
            source,
        })
}

/// Reads a secret key.
///
/// # Errors
/// The file cannot be read, or is not a secret key.
pub fn read_secret(path: &Path) -> Result<SigningKey, KeyError> {
    let wrong = |reason: String| KeyError::Secret {
        path: path.to_path_buf(),
        reason,
    };
    SigningKey::from_pkcs8_pem(&text(path)?).map_err(|error| wrong(error.to_string()))
}

/// Reads a public key.
///
/// # Errors
/// The file cannot be read, or is not a public key.
pub fn read_public(path: &Path) -> Result<VerifyingKey, KeyError> {
    let wrong = |reason: String| KeyError::Public {
        path: path.to_path_buf(),
        reason,
    };
    let key = VerifyingKey::from_public_key_pem(&text(path)?);
    sound(key.map_err(|error| wrong(error.to_string()))?)
}

/// Reads a public key, or the public half of a secret one.
///
/// # Errors
/// The file cannot be read or is neither.
pub fn read_either(path: &Path) -> Result<VerifyingKey, KeyError> {
    match read_secret(path) {
        Ok(secret) => Ok(secret.verifying_key()),
        Err(KeyError::Secret { .. }) => read_public(path),
        Err(error) => Err(error),
    }
}

fn text(path: &Path) -> Result<String, KeyError> {
    let content = files::read(path).map_err(|error| KeyError::File(Box::new(error)))?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

/// Reads a public key from hexadecimal digits.
///
/// # Errors
/// They are not a public key.
pub fn parse_public_hex(digits: &str) -> Result<VerifyingKey, KeyError> {
    let bytes = parse_hex(digits).ok_or(KeyError::Hex)?;
    public(&bytes)
}

/// A public key from its bytes.
///
/// # Errors
/// They are not a public key.
pub fn public(bytes: &[u8; 32]) -> Result<VerifyingKey, KeyError> {
    sound(VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Weak)?)
}

/// Refuses keys of small order, because anybody can forge signatures for them.
fn sound(key: VerifyingKey) -> Result<VerifyingKey, KeyError> {
    if key.is_weak() {
        return Err(KeyError::Weak);
    }
    Ok(key)
}

/// Parses exactly as many bytes as fit, from hexadecimal digits.
#[must_use]
pub fn parse_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digits = digits.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let nibble = |digit: u8| char::from(digit).to_digit(16).map(|nibble| nibble as u8);
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// Signs the SHA-256 of a file.
#[must_use]
pub fn sign(key: &SigningKey, sha256: &Hash) -> [u8; SIGNATURE_BYTES] {
    key.sign(sha256).to_bytes()
}

/// Finds the key that has signed the SHA-256 of a file.
///
/// Verification follows the same strict rules as in audit: no second encoding of a signature, no point of small order.
pub fn signer<'k, N>(
    keys: impl IntoIterator<Item = (N, &'k VerifyingKey)>,
    sha256: &Hash,
    signature: &[u8; SIGNATURE_BYTES],
) -> Option<N> {
    let signature = Signature::from_bytes(signature);
    let mut keys = keys.into_iter();
    keys.find(|(_, key)| key.verify_strict(sha256, &signature).is_ok())
        .map(|(name, _)| name)
}

/// Reads the signature beside a model's file.
///
/// # Errors
/// There is no signature, or it has another length.
pub fn read_signature(model: &Path) -> Result<[u8; SIGNATURE_BYTES], KeyError> {
    let path = signature_path(model);
    if !path.exists() {
        return Err(KeyError::Unsigned { path });
    }
    let content = files::read(&path).map_err(|error| KeyError::File(Box::new(error)))?;
    let bytes = content.len();
    content
        .try_into()
        .map_err(|_| KeyError::Length { path, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use llm_core::hash::sha256;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn a_signature_names_its_key_and_every_bit_flip_of_file_or_signature_loses_it() {
        let file = b"GGUF and what follows".to_vec();
        let signature = sign(&key(1), &sha256(&file));
        let keys = [key(2).verifying_key(), key(1).verifying_key()];
        let find = |file: &[u8], signature: &[u8; SIGNATURE_BYTES]| {
            signer(keys.iter().enumerate(), &sha256(file), signature)
        };
        assert_eq!(find(&file, &signature), Some(1));
        for bit in 0..8 * file.len() {
            let mut changed = file.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(find(&changed, &signature), None, "bit {bit} of the file");
        }
        for bit in 0..8 * SIGNATURE_BYTES {
            let mut changed = signature;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(find(&file, &changed), None, "bit {bit} of the signature");
        }
        let other = [key(2).verifying_key()];
        let found = signer(other.iter().enumerate(), &sha256(&file), &signature);
        assert_eq!(found, None);
    }

    #[test]
    fn the_signature_is_that_of_rfc_8032_over_the_32_bytes_of_the_digest() {
        // The key of RFC 8032, 7.1, test 3; the signature is what `openssl pkeyutl -sign -rawin` makes with it.
        let seed: [u8; 32] =
            parse_hex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7").unwrap();
        let key = SigningKey::from_bytes(&seed);
        let public = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
        assert_eq!(parse_public_hex(public).unwrap(), key.verifying_key());
        let signature = sign(&key, &sha256(b"abc"));
        assert_eq!(
            protocol::hash::Hex(&signature).to_string(),
            OPENSSL_SIGNATURE
        );
    }

    /// The SHA-256 of "abc".
    const OPENSSL_SIGNATURE: &str = concat!(
        "469d095759f601a3108b75888fcc834d178c8b9660c49e379f000a3cf9119cf6",
        "738fc1418936353f3ea4fefdd0f737cab73056b0b25ef9c7c7bde4f49eb12a05"
    );

    #[test]
    fn keys_that_accept_forged_signatures_are_refused() {
        // The neutral element, and a point of order 8.
        for digits in [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        ] {
            assert!(matches!(parse_public_hex(digits), Err(KeyError::Weak)));
        }
        assert!(matches!(parse_public_hex("00"), Err(KeyError::Hex)));
        let no_digits = "zz".repeat(32);
        assert!(matches!(parse_public_hex(&no_digits), Err(KeyError::Hex)));
    }
}
