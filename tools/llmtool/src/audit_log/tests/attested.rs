//! Logs compared with the head that their device signed.

use super::*;

/// The device's signature over the entry with this number.
fn attested(log: &Log, sequence: u64, nonce: &str) -> Attestation {
    let entry = log
        .iter()
        .find(|(record, _)| record.sequence == sequence)
        .unwrap();
    let mut attestation = Attestation {
        sequence,
        boot: 2,
        nonce: Nonce::new(nonce).unwrap(),
        head: entry_hash(&entry.0, &entry.1),
        signature: [0; 64],
    };
    let digest = llm_core::hash::sha256(&attestation.statement());
    attestation.signature = device().sign(&digest).to_bytes();
    attestation
}

#[test]
fn a_log_holds_against_the_head_that_its_device_has_signed() {
    let log = log();
    let export = |log: &Log| Export::read(lines(log).join("\n").as_bytes());
    let key = device().verifying_key();
    let hold =
        |log: &Log, attestation: &Attestation| attest::verify(&export(log), attestation, &key);
    let newest = attested(&log, 5, "monday");
    assert_eq!(hold(&log, &newest), []);
    assert_eq!(hold(&log, &attested(&log, 3, "")), []);
    // The anchor of an export that begins later may be signed as well.
    let later = log.clone().split_off(2);
    assert_eq!(hold(&later, &attested(&log, 2, "")), []);
    let before = [Finding::BeforeLog {
        sequence: 1,
        first: 3,
    }];
    assert_eq!(hold(&later, &attested(&log, 1, "")), before);
    // An older disk was put back, or entries were cut off.
    let older = log[..4].to_vec();
    let behind = [Finding::BehindAttestation {
        sequence: 5,
        last: 4,
    }];
    assert_eq!(hold(&older, &newest), behind);
    // A log that was forged as a whole.
    let mut anew = log.clone();
    anew[1].0.time_us += 1;
    link(&mut anew, [0; 32], 1);
    assert_eq!(hold(&anew, &newest), [Finding::OtherHead { sequence: 5 }]);
    // By another device, or changed afterwards.
    let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
    let bad = [Finding::BadAttestation { sequence: 5 }];
    assert_eq!(attest::verify(&export(&log), &newest, &other), bad);
    let changed = Attestation { boot: 3, ..newest };
    assert_eq!(hold(&log, &changed), bad);
}

#[test]
fn an_attestation_is_found_by_its_nonce_in_what_a_console_prints() {
    let log = log();
    let [first, second] =
        [("monday", 4), ("tuesday", 5)].map(|(nonce, sequence)| attested(&log, sequence, nonce));
    let console = format!(
        "llm> llmctl audit attest monday\r\n{}\r\nllm> {}\r\n",
        AttestationLine(&first),
        AttestationLine(&second)
    );
    let find = |nonce| attest::find(console.as_bytes(), nonce);
    assert_eq!(find(None), Ok(Some(second)));
    assert_eq!(find(Some("monday")), Ok(Some(first)));
    assert_eq!(find(Some("sunday")), Ok(None));
    assert_eq!(attest::find(b"", None), Ok(None));
    for (from, to) in [
        ("\"boot\":2", "\"boot\":02"),
        ("\"version\":1", "\"version\":2"),
        ("monday", "mon day"),
    ] {
        let changed = AttestationLine(&first).to_string().replace(from, to);
        let found = attest::find(changed.as_bytes(), None);
        let named = matches!(found, Err(Finding::UnreadableAttestation { line: 1, .. }));
        assert!(named, "{to}: {found:?}");
    }
}
