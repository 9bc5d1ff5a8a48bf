extern crate std;
use super::*;
use crate::wire::PartKind;
use std::string::ToString;

#[test]
fn kinds_come_back_from_their_numbers() {
    for &kind in Kind::ALL {
        assert_eq!(Kind::from_u16(kind as u16), Some(kind));
    }
    assert_eq!(Kind::from_u16(0), None);
    let names: std::collections::HashSet<_> = Kind::ALL.iter().map(|k| k.as_str()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
}

#[test]
fn text_in_an_export_is_ascii_on_one_line_and_comes_back() {
    let text = "a \"b\"\\\n\u{1b}[2J é 猫 😀";
    let json = JsonText(text.as_bytes()).to_string();
    assert!(json.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    assert_eq!(
        serde_json::from_str::<std::string::String>(&json).unwrap(),
        text
    );
    assert_eq!(JsonText(b"a\xffb").to_string(), "\"a\\ufffdb\"");
}

#[test]
fn the_parts_of_a_request_are_exported_one_by_one() {
    // The lengths contain bytes that no text has.
    let long = "x".repeat(200);
    let mut buffer = [0; 300];
    let mut writer = crate::wire::PartsWriter::new(&mut buffer);
    writer
        .push(PartKind::User, long.as_bytes())
        .push(PartKind::Stop, b"\n");
    let text = writer.finish().unwrap().as_bytes();
    let mut record = Record::new(Kind::Admit);
    record.text_bytes = text.len() as u32;
    let line = Json {
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
    for word in [
        "text",
        "system",
        "user",
        "assistant",
        "stop",
        "choice",
        "prompt",
    ] {
        assert_eq!(PartKind::from_word(word).unwrap().word(), word);
    }
    assert_eq!(PartKind::from_word("User"), None);
}

#[test]
fn a_new_record_has_its_kind_and_version_and_zeros() {
    let bytes = Record::new(Kind::Boot).to_bytes();
    assert_eq!(bytes[..4], [5, 0, 1, 0]);
    assert!(bytes[4..].iter().all(|byte| *byte == 0));
}

#[test]
fn bytes_that_are_too_few_or_have_a_wrong_name_are_no_record() {
    let mut bytes = Record::new(Kind::Boot).to_bytes();
    assert!(Record::read_prefix(&bytes).is_some());
    assert_eq!(Record::read_prefix(&bytes[1..]), None);
    bytes[64] = b'"';
    assert_eq!(Record::read_prefix(&bytes), None);
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
    let line = Json {
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
