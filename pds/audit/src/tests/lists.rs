//! Questions, and answers with several events.

use super::harness::*;
use protocol::error::{ErrorCode, Failure};
use protocol::name::UserName;
use protocol::ring::Frame;
use protocol::wire::client::{LogQuery, Request};
use protocol::wire::engine::Report;
use std::vec::Vec;

#[test]
fn counters_can_be_watched_until_that_is_cancelled() {
    let mut system = System::serving();
    system.ask(7, &Request::Stats { watch: true });
    assert!(matches!(system.told()[..], [Told::Stats(7, _)]));
    for _ in 0..3 {
        system.watch(SECOND);
        assert!(matches!(system.told()[..], [Told::Stats(7, _)]));
    }
    system.ask(7, &Request::Cancel);
    assert_eq!(system.told(), [Told::Done(7)]);
    system.watch(5 * SECOND);
    assert_eq!(system.told(), []);
}

#[test]
fn questions_are_answered() {
    let mut system = System::of_admin();
    system.ask(7, &Request::Status);
    let [Asked::Status(number)] = system.asked()[..] else {
        panic!("a question")
    };
    system.say(number, &Report::Holdings(holdings()));
    let told = system.told();
    let [Told::Status(7, status)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((status.name, status.kv_free), (model("default"), 1024));
    assert_eq!(status.model.parameters, 5);

    system.ask(8, &Request::Users);
    let told = system.told();
    let names: Vec<_> = told
        .iter()
        .filter_map(|t| match t {
            Told::User(8, user) => Some((user.name.as_str(), user.has_passphrase)),
            _ => None,
        })
        .collect();
    assert_eq!(names, [("guest", 0), ("admin", 1)]);
    assert_eq!(told.last(), Some(&Told::Listed(8, 2)));
}

#[test]
fn so_many_lists_at_once_and_no_more() {
    let mut system = System::of_admin();
    for id in 1..=4 {
        system.ask(id, &Request::Stats { watch: true });
        system.told();
    }
    let failure = Failure::over(ErrorCode::Busy, 4, 4);
    system.is_refused(&Request::Models, failure);
    system.ask(2, &Request::Cancel);
    assert_eq!(system.told(), [Told::Done(2)]);
    system.ask(9, &Request::Models);
    assert_eq!(system.told_at_last().last(), Some(&Told::Listed(9, 4)));
}

#[test]
fn the_log_is_read_filtered_followed_and_verified() {
    let mut system = System::serving();
    for id in 1..30 {
        system.serves(id);
    }
    system.log_in("admin", "secret");
    let query = |last, user: &str, follow| {
        let user = UserName::new(user).unwrap();
        Request::Log(LogQuery { last, user, follow })
    };
    let records = |told: &[Told]| -> Vec<u64> {
        told.iter()
            .filter_map(|t| match t {
                Told::Record(_, record, _) => Some(record.sequence),
                _ => None,
            })
            .collect()
    };
    system.ask(50, &query(0, "", false));
    let told = system.told_at_last();
    let all = records(&told);
    let written = system.audit.log().written();
    assert_eq!(all, (1..=written).collect::<Vec<_>>());
    let Some(Told::LogEnd(50, extent)) = told.last() else {
        panic!("{told:?}")
    };
    assert_eq!(*extent, system.audit.log().extent());
    let texts = told
        .iter()
        .filter(|t| matches!(t, Told::Record(_, _, text) if text == "once"));
    assert_eq!(texts.count(), 29);

    system.ask(51, &query(3, "", false));
    assert_eq!(
        records(&system.told_at_last()),
        [written - 2, written - 1, written]
    );
    system.ask(52, &query(0, "admin", false));
    let told = system.told_at_last();
    assert_eq!(records(&told), [written]);
    system.is_refused(&query(0, "eve", false), Failure::of(ErrorCode::NoSuchUser));

    let written = system.audit.log().written();
    system.ask(53, &query(1, "", true));
    assert_eq!(records(&system.told_at_last()), [written]);
    system.infer(60, 5);
    assert_eq!(records(&system.told_at_last()), [written + 1]);
    system.ask(53, &Request::Cancel);
    assert!(matches!(system.told()[..], [Told::LogEnd(53, _)]));
    // Nothing is new: the end says where the list would have begun.
    system.ask(54, &query(0, "guest", true));
    let told = system.told_at_last();
    assert_eq!(records(&told).len(), 2 * 29);
    system.ask(54, &Request::Cancel);
    system.told();

    system.ask(55, &Request::VerifyLog);
    let told = system.told_at_last();
    assert_eq!(
        told,
        [Told::LogVerified(55, system.audit.log().extent(), 0)]
    );
}

#[test]
fn lists_that_are_cancelled_end_at_once() {
    let mut system = System::of_admin();
    // The ring is full, so the lists wait.
    system.infer(1, 100);
    let number = system.admitted();
    for _ in 0..12 {
        system.token(number, "x");
    }
    let log = Request::Log(LogQuery::default());
    for (id, request) in [(2, Request::Models), (3, log), (4, Request::VerifyLog)] {
        let mut frame = Frame::new();
        request.write(id, &mut frame);
        system.shell.send(&frame).unwrap();
    }
    let told = system.told_at_last();
    assert!(told.contains(&Told::Listed(2, 4)), "{told:?}");
    assert!(told.iter().any(|t| matches!(t, Told::LogVerified(4, _, 0))));

    // As before, but the lists are cancelled while they wait.
    for id in 2..=3 {
        let request = if id == 2 {
            Request::Users
        } else {
            Request::VerifyLog
        };
        let mut frame = Frame::new();
        request.write(id, &mut frame);
        system.shell.send(&frame).unwrap();
        Request::Cancel.write(id, &mut frame);
        system.shell.send(&frame).unwrap();
    }
    system.wake();
    let told = system.told_at_last();
    assert!(told.contains(&Told::Listed(2, 0)), "{told:?}");
    assert!(told.contains(&Told::Done(3)), "{told:?}");
}

#[test]
fn a_long_log_is_verified_in_slices() {
    let mut system = System::serving();
    for id in 1..=100 {
        system.serves(id);
    }
    system.log_in("admin", "secret");
    system.ask(700, &Request::VerifyLog);
    assert_eq!(system.told(), [], "a slice is not enough");
    assert!(system.runtime.timer.is_some(), "it goes on by itself");
    let verified = Told::LogVerified(700, system.audit.log().extent(), 0);
    assert_eq!(system.told_at_last(), [verified]);
}
