//! Signed heads of the log: finds them in console output, and compares the log with them.

use ed25519_dalek::{Signature, VerifyingKey};
use llm_core::hash::sha256;
use log_export::{ATTESTATION_VERSION, AttestationLine};
use protocol::attest::Attestation;
use protocol::name::Nonce;
use serde::Deserialize;

use super::export::{Export, canonical, hash, name, parse};
use super::finding::Finding;
use crate::keys::parse_hex;

/// Prefix of an attestation's line. Text in an entry cannot contain it, because its quotes are escaped.
const ATTESTATION: &str = "{\"attest\":";

/// The newest attestation in the console output; with a nonce, the newest one with that. `None` if there is none.
///
/// # Errors
/// There are only attestations that cannot be read.
pub fn find(content: &[u8], nonce: Option<&str>) -> Result<Option<Attestation>, Finding> {
    let mut found = None;
    let mut unreadable = None;
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        let Some(at) = line.find(ATTESTATION) else {
            continue;
        };
        match read(&line[at..]) {
            Ok(attestation) if nonce.is_none_or(|nonce| nonce == attestation.nonce.as_str()) => {
                found = Some(attestation);
            }
            Ok(_) => {}
            Err(reason) => {
                unreadable = Some(Finding::UnreadableAttestation {
                    line: index + 1,
                    reason,
                });
            }
        }
    }
    match (found, unreadable) {
        (None, Some(finding)) => Err(finding),
        (found, _) => Ok(found),
    }
}

fn read(object: &str) -> Result<Attestation, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[serde(rename = "attest")]
        _attest: String,
        version: u16,
        sequence: u64,
        boot: u64,
        nonce: String,
        head: String,
        signature: String,
    }
    let line: Line = parse(object)?;
    if line.version != ATTESTATION_VERSION {
        return Err(format!("version {} is unknown", line.version));
    }
    let nonce: Nonce = name("nonce", &line.nonce)?;
    let attestation = Attestation {
        sequence: line.sequence,
        boot: line.boot,
        nonce,
        head: hash("head", &line.head)?,
        signature: parse_hex(&line.signature).ok_or("signature is no Ed25519 signature")?,
    };
    canonical(object, &AttestationLine(&attestation)).map(|()| attestation)
}

/// Compares a log with what its device has signed.
#[must_use]
pub fn verify(export: &Export, attestation: &Attestation, device: &VerifyingKey) -> Vec<Finding> {
    let Attestation { sequence, head, .. } = *attestation;
    let signature = Signature::from_bytes(&attestation.signature);
    let digest = sha256(&attestation.statement());
    if device.verify_strict(&digest, &signature).is_err() {
        return vec![Finding::BadAttestation { sequence }];
    }
    let first = export.opening.as_ref().map_or(1, |opening| opening.first);
    let anchor = export.opening.as_ref().map(|opening| opening.anchor);
    let mut entries = export.entries.iter();
    if let Some(entry) = entries.find(|entry| entry.sequence() == sequence) {
        return match entry.hash == head {
            true => Vec::new(),
            false => vec![Finding::OtherHead { sequence }],
        };
    }
    if sequence.checked_add(1) == Some(first) {
        return match anchor == Some(head) {
            true => Vec::new(),
            false => vec![Finding::OtherHead { sequence }],
        };
    }
    if sequence < first {
        return vec![Finding::BeforeLog { sequence, first }];
    }
    let last = export
        .entries
        .iter()
        .map(super::ExportedEntry::sequence)
        .max();
    let last = last.unwrap_or(first.saturating_sub(1));
    match last < sequence {
        true => vec![Finding::BehindAttestation { sequence, last }],
        // The entry is missing although entries around it are present; the chain check has reported that.
        false => Vec::new(),
    }
}
