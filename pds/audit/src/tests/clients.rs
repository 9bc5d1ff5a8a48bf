//! Several clients: what is one's own stays so, whatever the others do.

use super::harness::*;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{CONTROL_DEADLINE_US, INFERENCE_DEADLINE_US, WATCHDOG_PERIOD_US};
use protocol::name::{SessionName, UserName};
use protocol::record::Kind;
use protocol::region::WriteWords as _;
use protocol::ring::{Frame, SLOTS};
use protocol::wire::client::{Event, LogQuery, Request};
use protocol::wire::engine::Report;
use protocol::wire::{FinishReason, InferParams};
use std::vec::Vec;
use zerocopy::IntoBytes as _;

fn infer(session: &str, max_tokens: u32) -> Request<'static> {
    Request::Infer {
        params: InferParams {
            max_tokens,
            ..InferParams::default()
        },
        session: SessionName::new(session).unwrap(),
        prompt: b"once",
    }
}

/// Text that a client was told under `id`.
fn text_of(told: &[Told], id: u32) -> std::string::String {
    told.iter()
        .filter_map(|told| match told {
            Told::Text(of, text) if *of == id => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn two_clients_use_the_same_numbers_and_names_and_each_hears_its_own() {
    let mut system = System::of_two();
    system.infer_in(7, "tale", 9);
    let shells = system.admitted();
    system.ask_as_other(7, &infer("tale", 9));
    let asked = system.asked();
    let [
        Asked::Infer {
            number: others,
            fresh: true,
            ..
        },
    ] = asked[..]
    else {
        panic!("a session of its own, not {asked:?}")
    };
    system.token(shells, "shell's");
    system.token(others, "other's");
    system.finished(others, FinishReason::EndOfText, 1);
    let told = system.told();
    assert_eq!(told, [Told::Text(7, "shell's".into())]);
    let told = system.told_to_other();
    assert_eq!(told[0], Told::Text(7, "other's".into()));
    assert!(
        matches!(told[1], Told::Finished(7, _)) && told.len() == 2,
        "{told:?}"
    );
    // Nor can it end what the other has: its number is over.
    system.ask_as_other(7, &Request::Cancel);
    let none = Failure::of(ErrorCode::NoSuchRequest);
    assert_eq!(system.told_to_other(), [Told::Failed(7, none)]);
    assert_eq!(system.asked(), []);
    let close = Request::Close {
        session: SessionName::new("tale").unwrap(),
    };
    system.ask_as_other(8, &close);
    assert_eq!(system.told_to_other(), [Told::Done(8)]);
    system.finished(shells, FinishReason::EndOfText, 1);
    assert!(matches!(system.told()[..], [Told::Finished(7, _)]));
}

#[test]
fn who_a_client_is_says_the_channel_and_a_login_is_the_shells_alone() {
    let mut system = System::of_two();
    system.log_in("admin", "secret");
    system.ask_as_other(1, &Request::WhoAmI);
    let told = system.told_to_other();
    assert!(
        matches!(&told[..], [Told::User(1, user)] if user.name.as_str() == "guest"),
        "{told:?}"
    );
    let login = Request::Login {
        user: UserName::new("admin").unwrap(),
        passphrase: Some(b"secret"),
    };
    let no_login = Failure::of(ErrorCode::NoLogin);
    for request in [login, Request::Users] {
        system.ask_as_other(2, &request);
        assert_eq!(system.told_to_other(), [Told::Failed(2, no_login)]);
    }
    system.ask_as_other(3, &Request::Log(LogQuery::default()));
    assert_eq!(system.told_to_other(), [Told::Failed(3, not_permitted(16))]);
    // A logout changes nothing, and the shell's user stays.
    system.ask_as_other(4, &Request::Logout);
    let told = system.told_to_other();
    assert!(
        matches!(&told[..], [Told::User(4, user)] if user.name.as_str() == "guest"),
        "{told:?}"
    );
    system.ask(5, &Request::WhoAmI);
    let told = system.told();
    assert!(
        matches!(&told[..], [Told::User(5, user)] if user.name.as_str() == "admin"),
        "{told:?}"
    );
}

#[test]
fn nobody_logs_in_as_the_user_of_another_client() {
    let mut policy = two_clients();
    policy.users[2] = policy.users[0];
    policy.users[2].name = UserName::new("triage").unwrap();
    policy.user_count = 3;
    policy.clients[1].user = 2;
    let mut system = System::serving_with(&policy);
    let login = |user| Request::Login {
        user: UserName::new(user).unwrap(),
        passphrase: None,
    };
    system.ask(1, &login("triage"));
    let refused = Failure::of(ErrorCode::ClientsUser);
    assert_eq!(system.told(), [Told::Failed(1, refused)]);
    system.ask(2, &Request::WhoAmI);
    let told = system.told();
    assert!(
        matches!(&told[..], [Told::User(2, user)] if user.name.as_str() == "guest"),
        "{told:?}"
    );
    // As its own it may.
    system.runtime.now += SECOND;
    system.ask(3, &login("guest"));
    assert!(matches!(system.told()[..], [Told::User(3, _)]));
}

#[test]
fn a_client_that_the_policy_does_not_know_may_do_nothing() {
    let mut system = System::serving();
    let unknown = Failure::of(ErrorCode::UnknownClient);
    for id in 1..=40 {
        system.ask_as_other(id, &infer("", 5));
        let told = system.told_to_other();
        assert_eq!(told.last(), Some(&Told::Failed(id, unknown)), "{told:?}");
    }
    assert_eq!(system.asked(), []);
    let violations = system.records().into_iter();
    let violations = violations.filter(|record| record.kind() == Some(Kind::Violation));
    // They are recorded ever more rarely.
    assert_eq!(violations.count(), 1);
    assert_eq!(system.stats().violations, 40);
    system.serves(9);
}

#[test]
fn two_on_one_channel_cannot_be_told_apart_so_the_second_is_nobody() {
    let mut policy = two_clients();
    policy.clients[1].channel = 0;
    // The tool refuses it, and so does audit: without a sound policy nobody may do anything.
    let mut system = System::new(policy.as_bytes(), crate::models::tests::signed());
    system.ask(1, &Request::WhoAmI);
    let told = system.told_at_last();
    assert!(
        matches!(told.last(), Some(Told::Failed(1, f)) if f.code == ErrorCode::BadPolicy),
        "{told:?}"
    );
}

#[test]
fn a_system_without_clients_serves_itself_and_recovers() {
    let (inference_end, mut inference, _) = protocol::testing::endpoints();
    let mut log = std::vec![0; 1 << 16];
    let mut kdf = crate::access::tests::memory();
    let mut texts = crate::Texts::new();
    let policy = policy();
    let store = crate::models::tests::signed();
    let memory = crate::Memory {
        log: &mut log,
        kdf: &mut kdf,
        texts: &mut texts,
        policy: policy.as_bytes(),
        store: &store,
    };
    let mut audit = crate::Audit::new(heapless::Vec::new(), inference_end, memory);
    let mut runtime = Runtime::default();
    audit.start(&mut runtime);
    for _ in 0..2 {
        assert!(inference.follow());
        let mut frame = Frame::new();
        assert_eq!(inference.receive(&mut frame), Ok(true));
        let number = frame.header().request;
        Report::Loaded(loaded()).write(number, &mut frame);
        inference.send(&frame).unwrap();
        audit.on_signal(&mut runtime);
        audit.on_fault(FAULT, &mut runtime);
    }
    let recovered = audit.log().iter();
    let recovered = recovered.filter(|entry| entry.record.kind() == Some(Kind::Recover));
    assert_eq!((recovered.count(), runtime.restarts), (1, 2));
}

#[test]
fn a_client_that_never_reads_delays_its_own_requests_and_nothing_else() {
    let mut system = System::of_two();
    system.runtime.takes_us = 0;
    // The other one fills what it can: requests, its ring, and lists.
    let mut numbers = Vec::new();
    for id in 1..=4 {
        system.ask_as_other(id, &infer("", 100));
        numbers.extend(system.asked().into_iter().map(|asked| match asked {
            Asked::Infer { number, .. } => number,
            other => panic!("{other:?}"),
        }));
    }
    let mut sent = [0; 4];
    for (number, sent) in numbers.iter().zip(&mut sent) {
        while system.generate(*number, sent, b"x") {}
        assert!(*sent < 100, "it rests");
    }
    let mut frame = Frame::new();
    Request::WhoAmI.write(50, &mut frame);
    while system.other.send(&frame).is_ok() {
        system.wake();
    }
    // The shell's request runs as if it were alone.
    let began = system.runtime.now;
    system.infer(5, 100);
    let number = system.admitted();
    let mut generated = 0;
    for n in 1..=100 {
        assert!(system.generate(number, &mut generated, b"y"), "token {n}");
        assert_eq!(system.told(), [Told::Text(5, "y".into())]);
    }
    system.finished(number, FinishReason::MaxTokens, 100);
    assert!(matches!(system.told()[..], [Told::Finished(5, _)]));
    assert_eq!(system.runtime.now, began);
    // Its own requests end at their deadline, and nobody is restarted for it.
    system.watch(INFERENCE_DEADLINE_US);
    for (number, sent) in numbers.iter().zip(&sent) {
        assert!(
            system
                .asked()
                .iter()
                .all(|asked| matches!(asked, Asked::Cancel(_)))
        );
        system.finished(*number, FinishReason::Cancelled, *sent);
    }
    system.watch(CONTROL_DEADLINE_US);
    assert_eq!(system.runtime.restarts, 0);
    // When it reads at last, it has lost nothing.
    let told = system.told_to_other();
    for (id, sent) in (1..=4).zip(sent) {
        assert_eq!(text_of(&told, id).len(), sent as usize);
        let ends = told
            .iter()
            .filter(|told| matches!(told, Told::Failed(of, _) if *of == id));
        assert_eq!(ends.count(), 1);
    }
}

#[test]
fn a_client_gets_no_more_places_than_its_own() {
    let mut system = System::of_two();
    // Inference reads nothing, so that its ring fills: with the other's part.
    for id in 1..=20 {
        system.ask_as_other(id, &infer("", 5));
    }
    let told = system.told_to_other();
    let places = two_clients().clients[1].commands;
    let busy = Failure::over(ErrorCode::Busy, u64::from(places), u64::from(places));
    assert_eq!(told.len(), 20 - places as usize);
    assert!(
        told.iter()
            .all(|told| matches!(told, Told::Failed(_, f) if *f == busy))
    );
    // The shell has its own.
    for id in 1..=places {
        system.infer(id, 5);
        assert_eq!(system.told(), []);
    }
    assert_eq!(system.asked().len(), 2 * places as usize);
}

#[test]
fn sessions_and_requests_of_one_client_take_none_of_the_others() {
    let mut policy = two_clients();
    policy.roles[0].max_sessions = 32;
    let mut system = System::serving_with(&policy);
    system.told_to_other();
    system.infer_in(1, "kept", 5);
    let number = system.admitted();
    system.finished(number, FinishReason::EndOfText, 0);
    system.told();
    // As many sessions as it may have, and more: they make room for each other alone.
    for id in 1..=40 {
        system.ask_as_other(id, &infer(&std::format!("s{id}"), 5));
        for asked in system.asked() {
            if let Asked::Infer { number, .. } = asked {
                system.finished(number, FinishReason::EndOfText, 0);
            }
        }
        system.told_to_other();
    }
    system.infer_in(2, "kept", 5);
    let asked = system.asked();
    assert!(
        matches!(asked[..], [Asked::Infer { fresh: false, .. }]),
        "{asked:?}"
    );
    // Requests that are under way: its own part, and no more.
    let places = u64::from(policy.clients[1].requests);
    for id in 100..100 + places as u32 + 1 {
        system.ask_as_other(id, &Request::Status);
        system.asked();
    }
    let full = Failure::over(ErrorCode::TooManyRequests, places, places);
    let told = system.told_to_other();
    assert_eq!(told, [Told::Failed(100 + places as u32, full)]);
    system.ask(3, &Request::Status);
    assert_eq!(system.told(), []);
}

#[test]
fn a_flood_of_one_clients_requests_keeps_another_waiting_for_a_few_wake_ups_at_most() {
    let mut system = System::of_two();
    let mut frame = Frame::new();
    let prompt = [b'p'; 8000];
    let large = Request::Infer {
        params: InferParams::default(),
        session: SessionName::EMPTY,
        prompt: &prompt,
    };
    for round in 0..20 {
        // The other's ring is always full of the largest requests.
        large.write(round + 1, &mut frame);
        while system.other.send(&frame).is_ok() {}
        Request::WhoAmI.write(7, &mut frame);
        system.shell.send(&frame).unwrap();
        let mut wake_ups = 0;
        while system.told().is_empty() {
            system.wake();
            system.told_to_other();
            wake_ups += 1;
            assert!(wake_ups <= 2, "round {round}");
        }
    }
}

#[test]
fn garbage_of_one_client_is_on_record_with_its_name_and_harms_nobody() {
    let mut system = System::of_two();
    system.infer(5, 9);
    let number = system.admitted();
    let mut frame = Frame::new();
    for kind in [0u16, 99, 0x101, 0x301] {
        frame.begin(kind, 5);
        frame.finish(9);
        system.other.send(&frame).unwrap();
    }
    system.wake();
    let told = system.told_to_other();
    assert_eq!(
        told,
        std::vec![Told::Failed(5, Failure::of(ErrorCode::Unsupported)); 4]
    );
    let record = system.last_record(Kind::Violation);
    assert_eq!(
        (record.code, record.name.as_str(), record.count),
        (1, "other", 1)
    );
    system.token(number, "a");
    assert_eq!(system.told(), [Told::Text(5, "a".into())]);
}

#[test]
fn a_client_of_another_version_is_not_understood_and_that_is_on_record() {
    let (end, mut client, region) = protocol::testing::endpoints();
    drop((end, client.follow()));
    let mut system = System::of_two();
    let mut frame = Frame::new();
    Request::WhoAmI.write(1, &mut frame);
    // The shell's own region: a message of another version in the next slot.
    system.shell.send(&frame).unwrap();
    let first_slot = 8;
    let word = (u64::from(protocol::VERSION) + 1) << 48 | 9 << 32;
    system.shell_region.store(first_slot, word);
    system.wake();
    assert_eq!(system.told(), []);
    let record = system.last_record(Kind::Violation);
    assert_eq!((record.code, record.name.as_str()), (1, "shell"));
    drop(region);
}

#[test]
fn all_clients_are_told_of_a_fault_and_each_of_its_own_losses() {
    let mut system = System::of_two();
    system.infer(5, 9);
    system.ask_as_other(6, &infer("", 9));
    system.asked();
    system.audit.on_fault(FAULT, &mut system.runtime);
    let failed = |id| Told::Failed(id, Failure::of(ErrorCode::InferenceFault));
    assert_eq!(system.told(), [Told::Fault(FAULT, 1), failed(5)]);
    assert_eq!(system.told_to_other(), [Told::Fault(FAULT, 1), failed(6)]);
    system.join();
    system.loaded(system.own_load);
    assert_eq!(system.told(), [Told::Recovered(1)]);
    assert_eq!(system.told_to_other(), [Told::Recovered(1)]);
}

#[test]
fn the_egress_cap_is_shared_in_turn_and_lets_inference_rest() {
    let mut policy = two_clients();
    policy.egress_bytes_per_second = 1000;
    policy.egress_burst_bytes = 1024;
    let mut system = System::serving_with(&policy);
    system.told_to_other();
    system.infer(5, 500);
    let shells = system.admitted();
    system.ask_as_other(6, &infer("", 500));
    let others = system.admitted();
    let (mut sent, mut passed) = ([0, 0], [0, 0]);
    let until = system.runtime.now + 20 * SECOND;
    while system.runtime.now < until {
        while system.generate(shells, &mut sent[0], &[b'x'; 88]) {}
        while system.generate(others, &mut sent[1], &[b'x'; 88]) {}
        passed[0] += text_of(&system.told(), 5).len() / 88;
        passed[1] += text_of(&system.told_to_other(), 6).len() / 88;
        let at = system.runtime.timer.unwrap_or(u64::MAX);
        system.runtime.now = at.min(system.runtime.now + WATCHDOG_PERIOD_US);
        system.audit.on_timer(&mut system.runtime);
    }
    // 100 bytes a token: ten a second, half of them for each.
    let [one, other] = passed;
    assert!(
        (90..=110).contains(&one) && (90..=110).contains(&other),
        "{passed:?}"
    );
    assert!(
        sent[0] as usize <= one + 3 && sent[1] as usize <= other + 3,
        "{sent:?}"
    );
    assert_eq!(system.runtime.restarts, 0);
}

#[test]
fn text_that_waits_is_joined_and_one_grant_serves_for_several_tokens() {
    let mut system = System::serving();
    system.infer(5, 100);
    let number = system.admitted();
    assert_eq!(system.credit[&number], 16);
    let mut sent = 0;
    // The shell's ring is full of other things, and then it reads.
    for id in 101..=100 + SLOTS as u32 {
        system.ask(id, &Request::WhoAmI);
    }
    for text in ["one", " two", " three"] {
        assert!(system.generate(number, &mut sent, text.as_bytes()));
    }
    let told = system.told_at_last();
    assert_eq!(told.last(), Some(&Told::Text(5, "one two three".into())));
    let mut grants = Vec::new();
    let mut last = system.credit[&number];
    while sent < 100 {
        assert!(system.generate(number, &mut sent, b"x"));
        system.told();
        system.asked();
        let credit = system.credit[&number];
        if credit != last {
            grants.push(credit - last);
            last = credit;
        }
    }
    assert!(
        grants.iter().rev().skip(1).all(|grant| *grant >= 8),
        "{grants:?}"
    );
    assert_eq!(last, 100);
}

#[test]
fn what_a_shell_that_cannot_be_told_anything_asks_for_is_not_read() {
    let mut system = System::serving();
    for id in 1..=SLOTS as u32 {
        system.ask(id, &Request::WhoAmI);
    }
    // It goes on to ask, and does not read.
    let mut frame = Frame::new();
    for id in 100..100 + SLOTS as u32 {
        Request::WhoAmI.write(id, &mut frame);
        system.shell.send(&frame).unwrap();
    }
    system.wake();
    assert_eq!(system.shell.free(), 0);
    // Each is answered when it reads, in order and once.
    let ids: Vec<_> = system
        .told_at_last()
        .iter()
        .map(|told| match told {
            Told::User(id, _) => *id,
            other => panic!("{other:?}"),
        })
        .collect();
    let expected: Vec<u32> = (1..=SLOTS as u32).chain(100..100 + SLOTS as u32).collect();
    assert_eq!(ids, expected);
}

#[test]
fn a_text_event_is_never_larger_than_the_wire_allows() {
    let mut system = System::serving();
    system.infer(5, 100);
    let number = system.admitted();
    for id in 101..=100 + SLOTS as u32 {
        system.ask(id, &Request::WhoAmI);
    }
    let mut sent = 0;
    while system.generate(number, &mut sent, &[b'x'; 256]) {}
    let mut frame = Frame::new();
    let mut largest = 0;
    loop {
        let mut any = false;
        while system.shell.receive(&mut frame).unwrap() {
            any = true;
            if let Event::Text { tokens, text } = Event::parse(&frame).unwrap() {
                assert_eq!(text.len(), tokens as usize * 256);
                largest = largest.max(text.len());
            }
        }
        if !any {
            break;
        }
        system.wake();
    }
    assert_eq!(largest, 16 * 256);
}
