extern crate std;
use super::*;
use protocol::hash::SIGNATURE_BYTES;
use protocol::name::{ModelName, Nonce, UserName};
use protocol::record::RECORD_BYTES;
use protocol::wire::{PartKind, PartsWriter};
use std::string::ToString as _;

#[test]
fn the_parts_of_a_request_are_exported_one_by_one() {
    // The lengths contain bytes that no text has.
    let long = "x".repeat(200);
    let mut buffer = [0; 300];
    let mut writer = PartsWriter::new(&mut buffer);
    writer
        .push(PartKind::User, long.as_bytes())
        .push(PartKind::Stop, b"\n");
    let text = writer.finish().unwrap().as_bytes();
    let mut record = Record::new(Kind::Admit);
    record.text_bytes = text.len() as u32;
    let line = Line {
        record: &record,
        text,
    }
    .to_string();
    assert!(
        line.ends_with(&std::format!(
            r#","parts":[["user","{long}"],["stop","\u000a"]]}}"#
        )),
        "{line}"
    );
}

#[test]
fn an_export_has_every_field_of_a_record() {
    // Neighbouring bytes differ, so that a missing or swapped field is noticed.
    let mut bytes = [0; RECORD_BYTES];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = (i % 251) as u8 + 1;
    }
    // Names and reserved fields do not accept any bytes.
    for zeros in [64..96, 156..160, 188..224, 432..496] {
        bytes[zeros].fill(0);
    }
    let (mut record, rest) = Record::read_prefix(&bytes).unwrap();
    assert!(rest.is_empty());
    assert_eq!(record.to_bytes(), bytes);
    record.user = UserName::new("someone").unwrap();
    record.name = ModelName::new("default").unwrap();
    let line = Line {
        record: &record,
        text: b"hello",
    }
    .to_string();
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["sequence"], record.sequence);
    assert_eq!(json["params"]["seed"], record.params.sampling.seed);
    assert_eq!(json["previous"], Hex(&record.previous).to_string());
    assert_eq!(
        (&json["user"], &json["text"]),
        (&"someone".into(), &"hello".into())
    );
    // All fields, `event` and `text`; `params` counts as one.
    assert_eq!(json.as_object().unwrap().len(), 33 + 2);
    assert_eq!(json["params"].as_object().unwrap().len(), 8);
    assert_eq!(json["train"].as_object().unwrap().len(), 6);
    assert_eq!(json["train"]["rate"], record.train.rate);
    for line in [
        Opening {
            anchor: [1; 32],
            first: 3,
        }
        .to_string(),
        Ending {
            head: [2; 32],
            entries: 4,
            filtered: false,
        }
        .to_string(),
    ] {
        let _: serde_json::Value = serde_json::from_str(&line).unwrap();
    }
}

#[test]
fn a_line_names_all_of_it() {
    let attestation = Attestation {
        sequence: 7,
        boot: 0,
        nonce: Nonce::new("a-1").unwrap(),
        head: [0; 32],
        signature: [0; SIGNATURE_BYTES],
    };
    let line = AttestationLine(&attestation).to_string();
    let zeros = "0".repeat(64);
    assert_eq!(
        line,
        std::format!(
            "{{\"attest\":\"sel4-llm\",\"version\":1,\"sequence\":7,\"boot\":0,\"nonce\":\"a-1\",\"head\":\"{zeros}\",\"signature\":\"{zeros}{zeros}\"}}"
        )
    );
}
