//! News, requests that end otherwise than they should, and an audit that misbehaves.

use super::*;

#[test]
fn news_comes_without_a_request() {
    let mut system = System::on();
    let progress = Event::Progress(Progress {
        stage: protocol::wire::client::Stage::Loading,
        done: 3,
        total: 8,
    });
    assert_eq!(system.told(0, &progress), "progress #0 3/8");
    let fault = Fault {
        kind: FaultKind::Memory,
        ip: 0x20_0010,
        address: 0xdead,
    };
    assert_eq!(
        system.told(0, &Event::Fault { fault, count: 2 }),
        "fault #0 2 200010 dead"
    );
    let recovered = Event::Recovered {
        after_us: 5,
        restarts: 3,
    };
    assert_eq!(system.told(0, &recovered), "recovered #0 3");
    let failure = Failure::of(ErrorCode::RestartsExhausted);
    let failed = Event::Failed {
        failure,
        detail: b"",
    };
    assert_eq!(
        system.told(0, &failed),
        "system-failed #0 RestartsExhausted 0/0 0''"
    );
    // Answers to nothing are not reported.
    assert_eq!(system.told(5, &finished()), NOTHING);
}

#[test]
fn requests_are_cancelled_abandoned_and_lost() {
    let mut system = System::on();
    for number in 1..=3 {
        assert_eq!(system.does("infer a"), format!("#{number}"));
        system.asked().unwrap();
    }
    assert_eq!(system.does("cancel 1"), "error 0: done");
    assert_eq!(system.does("abandon 2"), "error 0: done");
    assert_eq!(system.asked(), Some((1, "Cancel".to_owned())));
    assert_eq!(system.asked(), Some((2, "Cancel".to_owned())));
    system.say(2, &finished());
    assert_eq!(
        system.told(1, &finished()),
        "finished #1 end 2 5+4 turn 1 210/330"
    );
    assert_eq!(system.does("poll"), NOTHING);
    // Audit restarts.
    system.audit.lead(2);
    assert_eq!(system.does("poll"), "restarted #0");
    assert_eq!(system.does("poll"), "lost #3 end");
    assert_eq!(system.does("poll"), NOTHING);
}

#[test]
fn what_finds_no_room_is_to_be_tried_again() {
    let mut system = System::on();
    assert_eq!(system.does("room"), "16");
    for _ in 0..16 {
        assert!(system.does("status").starts_with('#'));
    }
    let full = "error 11: audit has not read earlier messages yet: try again when it signals";
    assert_eq!(
        (system.does("status").as_str(), system.does("room").as_str()),
        (full, "0")
    );
    for _ in 0..48 {
        system.asked().unwrap();
        assert!(system.does("status").starts_with('#'));
    }
    system.asked().unwrap();
    assert!(system.does("status").starts_with("error 12:"));
    assert_eq!(
        system
            .told(1, &Event::Status(Status::default()))
            .split(' ')
            .next(),
        Some("status")
    );
    assert!(system.does("status").starts_with('#'));
}

#[test]
fn an_audit_of_another_version_is_an_error() {
    let mut system = System::on();
    system.raw.store(0, 3);
    let error =
        "error 20: audit speaks another version of the protocol: build both from the same tree";
    assert_eq!(system.does("poll"), error);
    assert_eq!(system.does("infer a"), error);
}

#[test]
fn an_audit_that_writes_anything_does_no_harm() {
    let mut system = System::on();
    assert_eq!(system.does("infer a"), "#1");
    // An impossible tail.
    system.raw.store(3, 1 << 32 | 77);
    assert!(system.does("infer a").starts_with("error 21:"));
    let mut state = 1_u64;
    for _ in 0..300 {
        for word in 0..40 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let value = match word {
                0 => 4,
                1 => 1,
                2 | 3 => 1 << 32 | state >> 59,
                _ => state >> (state >> 58),
            };
            system.raw.store(word, value);
        }
        for what in ["poll", "poll", "infer a", "cancel 1", "room", "signal"] {
            assert!(!system.does(what).is_empty());
        }
    }
    assert!(system.program.try_wait().unwrap().is_none());
}
