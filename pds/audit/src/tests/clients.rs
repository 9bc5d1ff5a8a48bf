//! Several clients: each keeps what is its own, whatever the others do.

use super::harness::*;
use protocol::error::{ErrorCode, Failure};
use protocol::name::{FormatName, ModelName, SessionName, UserName};
use protocol::record::Kind;
use protocol::region::WriteWords as _;
use protocol::ring::Frame;
use protocol::testing::completion;
use protocol::wire::client::{LogQuery, Request};
use protocol::wire::engine::Report;
use protocol::wire::{FinishReason, InferParams};
use zerocopy::IntoBytes as _;

pub(super) fn infer(session: &str, max_tokens: u32) -> Request<'static> {
    Request::Infer {
        params: InferParams {
            max_tokens,
            ..InferParams::default()
        },
        session: SessionName::new(session).unwrap(),
        adapter: ModelName::EMPTY,
        format: FormatName::EMPTY,
        parts: completion(b"once"),
    }
}

/// Text that a client received under `id`.
pub(super) fn text_of(told: &[Told], id: u32) -> std::string::String {
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
    // Nor can it end the other client's request: the number is over.
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
    // A logout changes nothing, and the shell keeps its user.
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
    // As its own user it may.
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
    // The tool refuses such a policy, and so does audit: without a valid policy nobody may do anything.
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
    let adapters = protocol::testing::TestRegion::with_words(protocol::adapters::REGION_BYTES / 8);
    let memory = crate::Memory {
        log: &mut log,
        kdf: &mut kdf,
        texts: &mut texts,
        policy: policy.as_bytes(),
        formats: &[],
        store: &store,
    };
    let mut audit = crate::Audit::<_, _, crate::files::NoFiles>::new(
        heapless::Vec::new(),
        inference_end,
        memory,
        adapters,
        None,
    );
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
fn a_client_gets_no_more_places_than_its_own() {
    let mut system = System::of_two();
    // Inference reads nothing, so the other client's part of its ring fills.
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
    // The shell has its own part.
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
    // It opens more sessions than it may have: each evicts only its own.
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
    // Requests in flight: as many as its limit.
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
        adapter: ModelName::EMPTY,
        format: FormatName::EMPTY,
        parts: completion(&prompt),
    };
    for round in 0..20 {
        // The other client's ring is always full of the longest requests.
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
    // The shell's region: a message of another version in the next slot.
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
