use super::*;
use protocol::name::{FormatName, ModelName, UserName};
use protocol::testing::parts;
use std::string::{String, ToString as _};

fn line(kind: Kind, change: fn(&mut Record), text: &[u8]) -> String {
    let mut record = Record::new(kind);
    record.sequence = 12;
    record.time_us = 3_456_789;
    change(&mut record);
    let record = &record;
    LogLine { record, text }.to_string()
}

#[test]
fn every_kind_of_entry_is_one_safe_line() {
    for &kind in Kind::ALL {
        let text = line(
            kind,
            |record| {
                record.code = 1;
                record.user = UserName::new("guest").unwrap();
            },
            b"a\nb\x1b[2J",
        );
        assert!(text.starts_with("#12      3.45 s  "), "{text}");
        assert!(
            text.contains(kind.as_str()) && text.contains("guest"),
            "{text}"
        );
        assert!(!text.contains(['\n', '\x1b']), "{text}");
    }
    assert!(line(Kind::Boot, |record| record.kind = 999, b"").contains("unknown: kind 999"));
}

#[test]
fn what_matters_of_an_entry_is_told() {
    let admit = line(
        Kind::Admit,
        |record| {
            (record.request, record.session, record.turn) = (3, 5, 2);
            record.prompt_bytes = 60;
            record.params.max_tokens = 48;
            record.params.sampling.temperature = 800_000;
        },
        &[b'x'; 60],
    );
    let x = "x".repeat(48);
    assert_eq!(
        admit,
        std::format!(
            "#12      3.45 s  admit, request 3, session 5 turn 2: 60 bytes of prompt, at most 48 tokens, \
             temperature 0.8, seed 0, \"{x}...\""
        )
    );
    let texts = parts(&[
        (PartKind::System, b"Be brief."),
        (PartKind::User, b"a\x1b\nb"),
        (PartKind::Stop, b"."),
        (PartKind::Stop, &[b'y'; 60]),
        (PartKind::Stop, b"z"),
    ]);
    let said = line(
        Kind::Admit,
        |record| {
            (record.segments, record.stops, record.prompt_bytes) = (2, 3, 99);
            record.params.max_tokens = 4;
        },
        texts.as_bytes(),
    );
    let y = "y".repeat(34);
    assert!(
        said.ends_with(&std::format!(
            "admit: 99 bytes of conversation (2 segments), at most 4 tokens, temperature 0, seed 0, 3 stop strings, \
             system \"Be brief.\", user \"a b\", stop \".\", stop \"{y}...\", ..."
        )),
        "{said}"
    );
    let bound = line(
        Kind::Admit,
        |record| {
            record.format = FormatName::new("triage").unwrap();
            record.format_sha256 = [0xab; 32];
        },
        parts(&[(PartKind::Text, b"Door 3")]).as_bytes(),
    );
    assert!(
        bound.ends_with(
            "0 bytes of prompt, at most 0 tokens, temperature 0, seed 0, format triage, sha256 abababababababab, \
             \"Door 3\""
        ),
        "{bound}"
    );
    let refuse = line(
        Kind::Refuse,
        |record| {
            record.code = ErrorCode::NoSuchModel as u16;
            record.name = ModelName::new("big").unwrap();
        },
        b"",
    );
    assert!(
        refuse.ends_with("refuse: no model 'big' in the store; see 'llmctl models'"),
        "{refuse}"
    );
    let lost = line(
        Kind::LogLost,
        |record| (record.code, record.count) = (ErrorCode::NoSuchFile as u16, 1),
        b"",
    );
    assert!(
        lost.ends_with(
            "log-lost: the disk has no file 'AUDIT.LOG'; make a disk that has one with 'llmtool disk create'; nothing \
             is admitted"
        ),
        "{lost}"
    );
    let fault = line(
        Kind::Fault,
        |record| (record.code, record.value) = (1, 0x1000),
        b"",
    );
    assert!(
        fault.contains("a memory fault at address 0x1000"),
        "{fault}"
    );
}
