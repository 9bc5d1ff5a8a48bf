//! The log on a disk, through the whole of audit.

mod card;
mod cuts;
mod rig;

use super::harness::*;
use crate::JournalMemory;
use crate::files::Files;
use crate::models::tests as models;
use card::{Ailment, Card, SLOTS, entries_of};
use disk_log::Found;
use ed25519_dalek::{Signature, SigningKey};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::name::Nonce;
use protocol::policy::{DeviceKey, LogFailure, LogWrite, Policy};
use protocol::record::{Kind, Record};
use protocol::ring::Frame;
use protocol::testing::{TestEndpoint, TestRegion, endpoints};
use protocol::wire::client::{LogQuery, Request};
use protocol::wire::engine::Report;
use protocol::wire::files::Answer;
use protocol::wire::{Fault, FaultKind, FinishReason};
use rig::{Rig, is_end, policy_of};
use sha2::{Digest as _, Sha256};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;
use zerocopy::IntoBytes as _;

#[test]
fn nobody_is_heard_before_the_log_was_found_and_then_it_goes_on() {
    let mut rig = Rig::new(&policy(), Card::new());
    assert!(!rig.system.shell.follow() && !rig.system.inference.follow());
    rig.system.wake();
    assert_eq!(rig.system.records(), []);
    rig.pump();
    rig.join();
    let opened = rig.records(Kind::LogOpened)[0];
    assert_eq!((opened.code, opened.value, opened.count), (1, 0, 1));
    assert!(is_end(&rig.generate(5, 2), 5));
    let written = rig.system.records();
    let (opened, entries) = entries_of(&rig.card.sectors);
    assert_eq!(opened.found, Found::Whole);
    // To the last entry.
    let on_disk: Vec<Record> = entries.iter().map(|(record, _)| *record).collect();
    assert_eq!(on_disk, written);

    let card = Card::of(rig.card.sectors.clone());
    let (sequence, head) = (written.len() as u64, entries.last().unwrap().1);
    let rig = Rig::serving(&policy(), card);
    let first = rig.system.records()[0];
    assert_eq!(first.kind(), Some(Kind::Boot));
    assert_eq!((first.sequence, first.previous), (sequence + 1, head));
    let opened = rig.records(Kind::LogOpened)[0];
    assert_eq!((opened.code, opened.value, opened.count), (2, sequence, 2));
}

#[test]
fn a_wrong_answer_before_the_log_was_found_loses_it_and_is_on_record_behind_the_boot() {
    let mut rig = Rig::new(&policy(), Card::new());
    let mut frame = Frame::new();
    Answer::Done.write(77, &mut frame);
    rig.files.send(&frame).unwrap();
    rig.system.wake();
    let records = rig.system.records();
    let kinds: Vec<_> = records.iter().filter_map(Record::kind).collect();
    assert_eq!(kinds[..2], [Kind::Boot, Kind::LogLost]);
    assert_eq!(records[1].code, ErrorCode::FilesBreach as u16);
    let violations = kinds.iter().filter(|kind| **kind == Kind::Violation);
    assert_eq!(violations.count(), 1);
}

#[test]
fn ahead_inference_hears_of_a_request_and_a_client_of_its_end_when_that_is_durable() {
    let mut rig = Rig::serving(&policy(), Card::new());
    let is_durable = |rig: &Rig, kind: Kind| {
        let durable = rig.card.durable();
        durable
            .iter()
            .any(|(record, _)| record.kind() == Some(kind))
    };
    rig.system.infer(5, 2);
    let mut steps = 0;
    let number = loop {
        match &rig.system.asked()[..] {
            [] => assert!(rig.card.serve(&mut rig.files)),
            [Asked::Infer { number, .. }] => break *number,
            other => panic!("{other:?}"),
        }
        steps += 1;
        rig.system.wake();
    };
    // A write and a flush.
    assert_eq!(steps, 2);
    assert!(is_durable(&rig, Kind::Admit));
    // A client whose request waits is not heard; others are.
    rig.system.token(number, "a");
    rig.system.finished(number, FinishReason::EndOfText, 1);
    assert!(matches!(rig.system.told()[..], [Told::Text(5, _)]));
    assert!(!is_durable(&rig, Kind::Finish));
    while rig.system.told().is_empty() {
        assert!(!is_durable(&rig, Kind::Finish));
        assert!(rig.card.serve(&mut rig.files));
        rig.system.wake();
    }
    assert!(is_durable(&rig, Kind::Finish));
    // Requests of two clients share a flush.
    let flushes = rig.card.flushes;
    assert!(is_end(&rig.generate(6, 1), 6));
    assert_eq!(rig.card.flushes, flushes + 2);
}

#[test]
fn a_client_is_not_heard_while_inference_has_yet_to_hear_of_its_last_request() {
    let mut rig = Rig::serving(&policy(), Card::new());
    rig.system.infer(5, 2);
    rig.system.ask(6, &Request::WhoAmI);
    assert_eq!((rig.system.told(), rig.system.asked()), (vec![], vec![]));
    rig.pump();
    assert!(matches!(rig.system.told()[..], [Told::User(6, _)]));
    rig.system.admitted();
}

#[test]
fn behind_nobody_waits_and_a_second_later_all_is_durable() {
    let policy = policy_of(LogWrite::Behind, LogFailure::Refuse);
    let mut rig = Rig::serving(&policy, Card::new());
    rig.system.infer(5, 1);
    let number = rig.system.admitted();
    rig.system.token(number, "a");
    rig.system.finished(number, FinishReason::MaxTokens, 1);
    assert!(is_end(&rig.system.told_at_last(), 5));
    rig.pump();
    let written = rig.system.records();
    assert!(rig.card.durable().len() < written.len());
    rig.system.watch(2 * SECOND);
    rig.pump();
    rig.pump();
    let durable: Vec<Record> = rig.card.durable().iter().map(|it| it.0).collect();
    assert_eq!(durable, written);
}

#[test]
fn if_the_log_is_lost_the_policy_says_whether_requests_go_on() {
    for ailment in [Ailment::FailsToWrite, Ailment::FailsToFlush] {
        let mut rig = Rig::serving(&policy(), Card::new());
        rig.system.infer(5, 2);
        rig.pump();
        let number = rig.system.admitted();
        rig.card.ailment = ailment;
        // A request that inference was not told of never gets there.
        rig.system.infer(6, 2);
        rig.pump();
        assert_eq!(rig.system.asked(), []);
        let record = rig.records(Kind::LogLost)[0];
        let lost = Failure::over(
            ErrorCode::LogLost,
            ErrorCode::DiskFailed as u64,
            record.value,
        );
        // Everybody is told, and then whoever has asked for something.
        let told = rig.system.told_at_last();
        assert_eq!(told, [Told::Failed(0, lost), Told::Failed(6, lost)]);
        assert_eq!(
            (record.code, record.count),
            (ErrorCode::DiskFailed as u16, 1)
        );
        // Nobody is told that a request finished if there is no record of it.
        rig.system.token(number, "a");
        rig.system.finished(number, FinishReason::EndOfText, 1);
        let told = rig.system.told_at_last();
        assert_eq!(told, [Told::Text(5, "a".into()), Told::Failed(5, lost)]);
        rig.system.is_refused_for(7, lost);

        let policy = policy_of(LogWrite::Ahead, LogFailure::GoOn);
        let mut rig = Rig::serving(&policy, Card::new());
        rig.card.ailment = ailment;
        let told = rig.generate(5, 2);
        assert!(is_end(&told, 5));
        assert!(!told.iter().any(|told| matches!(told, Told::Failed(0, _))));
        assert_eq!(rig.records(Kind::LogLost)[0].count, 0);
        assert!(is_end(&rig.generate(6, 2), 6));
        // The log in memory goes on.
        assert_eq!(rig.records(Kind::Finish).len(), 2);
    }
}

#[test]
fn a_log_that_cannot_be_used_is_named_and_the_system_serves_what_it_can() {
    let garbage = Card::of(vec![[0x5A; disk_log::SECTOR]; SLOTS]);
    let mut foreign = policy();
    foreign.device_key = DeviceKey([3; 32]);
    let other = Rig::serving(&foreign, Card::new()).card;
    let mut grown = Rig::serving(&policy(), Card::new()).card.sectors;
    grown.resize(SLOTS + 1, [0; disk_log::SECTOR]);
    let small = Card::of(vec![[0; disk_log::SECTOR]; SLOTS - 1]);
    let missing = Card {
        ailment: Ailment::Missing,
        ..Card::new()
    };
    for (card, code) in [
        (garbage, ErrorCode::LogGarbage),
        (Card::of(other.sectors), ErrorCode::LogOtherDevice),
        (Card::of(grown), ErrorCode::LogOtherSize),
        (small, ErrorCode::LogFileSize),
        (missing, ErrorCode::NoDisk),
    ] {
        let before = card.sectors.clone();
        let mut rig = Rig::serving(&policy(), card.clone());
        let record = &rig.records(Kind::LogLost)[0];
        assert_eq!(record.code, code as u16);
        let lost = Failure::over(ErrorCode::LogLost, code as u64, record.value);
        rig.system.is_refused_for(5, lost);
        // Whatever the file is, it is left alone.
        assert_eq!((rig.card.sectors, rig.card.unflushed.len()), (before, 0));
        let mut rig = Rig::serving(&policy_of(LogWrite::Ahead, LogFailure::GoOn), card);
        assert!(is_end(&rig.generate(5, 1), 5), "{code:?}");
    }
    let mut keyless = policy();
    keyless.device_key = DeviceKey::NONE;
    let rig = Rig::serving(&keyless, Card::new());
    assert_eq!(
        rig.records(Kind::LogLost)[0].code,
        ErrorCode::NoDeviceKey as u16
    );
}

#[test]
fn a_card_that_says_nothing_holds_up_nobody_for_longer_than_its_bound() {
    let policy = policy_of(LogWrite::Ahead, LogFailure::GoOn);
    let silent = Card {
        ailment: Ailment::Silent,
        ..Card::new()
    };
    let mut rig = Rig::new(&policy, silent.clone());
    rig.pump();
    assert!(!rig.system.shell.follow());
    rig.system.watch(11 * SECOND);
    rig.join();
    assert_eq!(
        rig.records(Kind::LogLost)[0].code,
        ErrorCode::FilesSilent as u16
    );
    assert!(is_end(&rig.generate(5, 1), 5));
    // In the middle of a request.
    let mut rig = Rig::serving(&policy, Card::new());
    rig.card.ailment = Ailment::Silent;
    rig.system.infer(5, 1);
    rig.pump();
    assert_eq!(rig.system.asked(), []);
    rig.system.watch(11 * SECOND);
    rig.system.admitted();
}

#[test]
fn a_sector_that_cannot_be_read_is_damage_and_the_log_goes_on() {
    let mut rig = Rig::serving(&policy(), Card::new());
    for id in 1..4 {
        rig.generate(id, 1);
    }
    let (_, entries) = entries_of(&rig.card.sectors);
    let card = Card {
        ailment: Ailment::FailsToRead(4),
        ..Card::of(rig.card.sectors)
    };
    let mut rig = Rig::serving(&policy(), card);
    let opened = rig.records(Kind::LogOpened)[0];
    assert_eq!((opened.code, opened.limit), (4, 2));
    assert_eq!(rig.system.records()[0].sequence, entries.len() as u64 + 1);
    assert!(is_end(&rig.generate(9, 1), 9));
}

#[test]
fn readers_get_what_memory_no_longer_holds() {
    let mut policy = policy();
    for role in &mut policy.roles {
        role.log_bytes_per_hour = 1 << 30;
    }
    for user in &mut policy.users {
        user.budget_tokens = 1 << 30;
    }
    let mut rig = Rig::serving(&policy, Card::new());
    rig.log_in();
    // Memory has room for about 30 of these, the file for 85.
    for id in 0..100 {
        rig.fill(10 + id);
    }
    let in_memory = rig.system.records()[0].sequence;
    let (opened, entries) = entries_of(&rig.card.sectors);
    assert!(opened.first > 1 && opened.first < in_memory, "{in_memory}");
    let read = |rig: &mut Rig, last: u64| {
        let query = LogQuery {
            last,
            ..LogQuery::default()
        };
        rig.ask(5, &Request::Log(query));
        let mut found: Vec<(Record, Hash)> = Vec::new();
        loop {
            let told = rig.system.told_at_last();
            rig.pump();
            for event in told {
                match event {
                    Told::Record(5, record, text) => {
                        let text = match record.text_bytes {
                            0 => Vec::new(),
                            _ => protocol::testing::completion(text.as_bytes())
                                .as_bytes()
                                .to_vec(),
                        };
                        found.push((*record, crate::log::hash(&record, &text)));
                    }
                    Told::LogEnd(5, extent) => {
                        assert_eq!(extent.first, found[0].0.sequence);
                        assert_eq!(extent.head, found.last().unwrap().1);
                        return found;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    };
    // Entries that the next boot may find overwritten are included.
    let all = read(&mut rig, 0);
    assert!(all.len() > entries.len() && all.ends_with(&entries));
    // Some that memory no longer holds, and some that it does.
    for last in [150, 3] {
        assert!(read(&mut rig, last as u64) == entries[entries.len() - last..]);
    }
    // A damaged entry is missing, and the reader notices by the chain.
    let lost = entries[30].0.sequence;
    let at = rig
        .card
        .sectors
        .iter()
        .position(|sector| u64::from_le_bytes(sector[40..48].try_into().unwrap()) == lost);
    rig.card.sectors[at.unwrap()][200] ^= 1;
    let mut rest = all;
    rest.retain(|(record, _)| record.sequence != lost);
    assert!(read(&mut rig, 0) == rest);
}

#[test]
fn the_durable_head_is_attested_with_the_boot() {
    let mut rig = Rig::serving(&policy(), Card::new());
    rig.log_in();
    let nonce = Nonce::new("monday").unwrap();
    rig.system.infer(4, 1);
    rig.card.ailment = Ailment::Silent;
    rig.pump();
    rig.system.ask_as_other(9, &Request::WhoAmI);
    // Entries that are not durable are not attested: a power failure now could make the attestation false.
    rig.card.ailment = Ailment::None;
    let mut rig = Rig::serving(&policy(), Card::of(rig.card.sectors));
    rig.log_in();
    rig.ask(9, &Request::Attest { nonce });
    let [Told::Attested(9, attestation)] = rig.system.told()[..] else {
        panic!("an attestation");
    };
    let (opened, entries) = entries_of(&rig.card.sectors);
    assert_eq!(attestation.boot, 2);
    assert_eq!(attestation.sequence, opened.log.sequence());
    assert_eq!(attestation.head, entries.last().unwrap().1);
    let public = SigningKey::from_bytes(&policy().device_key.0).verifying_key();
    let digest: Hash = Sha256::digest(attestation.statement()).into();
    let signature = Signature::from_bytes(&attestation.signature);
    assert!(public.verify_strict(&digest, &signature).is_ok());
}

#[test]
fn inference_that_dies_before_the_log_is_found_is_restarted_then() {
    let mut rig = Rig::new(&policy(), Card::new());
    let fault = Fault {
        kind: FaultKind::Memory,
        ip: 1,
        address: 2,
    };
    rig.system.audit.on_fault(fault, &mut rig.system.runtime);
    assert_eq!(
        (rig.system.records().len(), rig.system.runtime.restarts),
        (0, 0)
    );
    rig.pump();
    assert_eq!(rig.system.runtime.restarts, 1);
    let kinds: Vec<_> = rig.system.records().iter().map(Record::kind).collect();
    assert_eq!(kinds[..2], [Some(Kind::Boot), Some(Kind::LogOpened)]);
    assert!(kinds.contains(&Some(Kind::Fault)));
    rig.join();
    assert!(is_end(&rig.generate(5, 1), 5));
}

#[test]
fn a_request_that_ends_before_inference_has_heard_of_it_is_never_sent() {
    let mut rig = Rig::serving(&policy(), Card::new());
    rig.system.infer(5, 1);
    // Inference breaks the protocol, and is restarted.
    rig.system.say(
        7777,
        &Report::Finished {
            reason: FinishReason::EndOfText,
            prompt_tokens: 0,
            generated_tokens: 0,
        },
    );
    let fault = Fault {
        kind: FaultKind::Memory,
        ip: 1,
        address: 2,
    };
    rig.system.audit.on_fault(fault, &mut rig.system.runtime);
    assert!(rig.system.inference.follow());
    rig.pump();
    let asked = rig.system.asked();
    assert!(matches!(asked[..], [Asked::Load(..)]), "{asked:?}");
}
