//! Sessions, through the whole monitor.

use super::harness::*;
use protocol::error::{ErrorCode, Failure};
use protocol::name::SessionName;
use protocol::record::Kind;
use protocol::wire::FinishReason;
use protocol::wire::client::{Request, SessionState};
use protocol::wire::engine::Report;
use std::format;
use std::vec::Vec;

fn session(name: &str) -> SessionName {
    SessionName::new(name).unwrap()
}

/// A complete turn of a session. Returns the command that inference got.
fn turn(system: &mut System, id: u32, name: &str) -> (u32, bool) {
    system.infer_in(id, name, 5);
    let [
        Asked::Infer {
            number,
            session,
            fresh,
            keep: true,
            ..
        },
    ] = system.asked()[..]
    else {
        panic!("a turn")
    };
    system.token(number, "x");
    system.finished(number, FinishReason::EndOfText, 1);
    let told = system.told_at_last();
    assert!(matches!(told.last(), Some(Told::Finished(..))), "{told:?}");
    (session, fresh)
}

fn listed(system: &mut System) -> Vec<(SessionName, SessionState)> {
    system.ask(700, &Request::Sessions);
    let told = system.told_at_last();
    told.iter()
        .filter_map(|t| match t {
            Told::Session(700, s) => Some((s.name, s.state)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_session_goes_on_in_its_slot_and_its_turns_are_counted() {
    let mut system = System::serving();
    let (slot, fresh) = turn(&mut system, 1, "tale");
    assert!(fresh);
    assert_eq!(turn(&mut system, 2, "tale"), (slot, false));
    let record = system.last_record(Kind::Finish);
    assert_eq!((record.session, record.turn), (1, 2));
    let (other, fresh) = turn(&mut system, 3, "other");
    assert!(fresh && other != slot);
    assert_eq!(system.last_record(Kind::Finish).session, 2);
    system.infer_in(4, "tale", 5);
    system.infer_in(5, "tale", 5);
    let busy = Failure::of(ErrorCode::SessionBusy);
    assert_eq!(system.told(), [Told::Failed(5, busy)]);
    assert_eq!(
        listed(&mut system),
        [
            (session("tale"), SessionState::Active),
            (session("other"), SessionState::Idle)
        ]
    );
    // Only admin may see everybody's sessions.
    system.log_in("admin", "secret");
    assert_eq!(listed(&mut system).len(), 2);
    system.infer_in(6, "tale", 5);
    assert!(
        system.told().is_empty(),
        "another user's is another session"
    );
}

#[test]
fn a_session_is_closed_at_its_users_wish() {
    let mut system = System::serving();
    let (slot, _) = turn(&mut system, 1, "tale");
    let tale = session("tale");
    system.ask(2, &Request::Close { session: tale });
    assert_eq!(system.told(), [Told::Done(2)]);
    assert_eq!(system.asked(), [Asked::Drop(slot)]);
    assert_eq!(system.last_record(Kind::Close).name, model("tale"));
    let none = Failure::of(ErrorCode::NoSuchSession);
    system.is_refused(&Request::Close { session: tale }, none);
    assert!(turn(&mut system, 3, "tale").1);
}

#[test]
fn an_eviction_is_written_down_and_told_once_on_resume() {
    let mut system = System::serving();
    let (slot, _) = turn(&mut system, 1, "tale");
    system.say(0, &Report::Evicted { session: slot });
    let record = system.last_record(Kind::Evict);
    assert_eq!((record.session, record.value), (1, 1));
    assert_eq!(
        listed(&mut system),
        [(session("tale"), SessionState::Evicted)]
    );
    system.infer_in(2, "tale", 5);
    let evicted = Failure::over(ErrorCode::SessionEvicted, 1, 0);
    assert_eq!(system.told(), [Told::Failed(2, evicted)]);
    assert_eq!(system.budget().reserved, 0);
    assert!(turn(&mut system, 3, "tale").1);
    assert_eq!(
        (
            system.stats().evicted,
            system.last_record(Kind::Finish).session
        ),
        (1, 2)
    );
    // A slot that is empty or busy cannot be evicted.
    for slot in [slot + 9, 31] {
        system.say(0, &Report::Evicted { session: slot });
    }
    assert_eq!((system.stats().violations, system.stats().evicted), (2, 1));
}

#[test]
fn a_session_that_was_evicted_meanwhile_says_so() {
    let mut system = System::serving();
    let (slot, _) = turn(&mut system, 1, "tale");
    system.infer_in(2, "tale", 5);
    let number = system.admitted();
    // Inference had evicted it before it read the request.
    system.say(0, &Report::Evicted { session: slot });
    system.fails(number, Failure::of(ErrorCode::SessionEvicted));
    let evicted = Failure::over(ErrorCode::SessionEvicted, 1, 0);
    assert_eq!(system.told(), [Told::Failed(2, evicted)]);
    assert_eq!(system.budget().reserved, 0);
    assert!(turn(&mut system, 3, "tale").1);
}

#[test]
fn a_turn_that_is_refused_by_inference_leaves_its_session() {
    let mut system = System::serving();
    let (slot, _) = turn(&mut system, 1, "tale");
    system.infer_in(2, "tale", 5);
    let number = system.admitted();
    system.fails(number, Failure::over(ErrorCode::ContextFull, 600, 512));
    system.told();
    assert_eq!(turn(&mut system, 3, "tale"), (slot, false));
    // A session that is lost in the middle of a turn is over.
    system.infer_in(4, "tale", 5);
    let number = system.admitted();
    system.token(number, "x");
    system.fails(number, Failure::of(ErrorCode::NonFinite));
    system.told();
    system.infer_in(5, "tale", 5);
    let lost = Failure::over(ErrorCode::SessionLost, 4, 0);
    assert_eq!(system.told(), [Told::Failed(5, lost)]);
    assert!(turn(&mut system, 6, "tale").1);
}

#[test]
fn thirty_two_at_once_and_idle_ones_make_room() {
    let mut system = System::of_admin();
    let mut numbers = Vec::new();
    for id in 1..=32 {
        system.infer_in(id, &format!("s{id}"), 5);
        numbers.push(system.admitted());
    }
    let stats = system.stats();
    assert_eq!((stats.active, stats.queued, stats.sessions), (32, 32, 32));
    system.token(numbers[0], "x");
    assert_eq!(system.stats().queued, 31);
    system.told();
    system.infer_in(50, "more", 5);
    let full = Failure::over(ErrorCode::TooManySessions, 32, 32);
    assert_eq!(system.told(), [Told::Failed(50, full)]);
    system.token(numbers[3], "x");
    system.finished(numbers[3], FinishReason::EndOfText, 1);
    system.told();
    system.infer_in(51, "more", 5);
    assert!(matches!(
        system.asked()[..],
        [Asked::Infer { fresh: true, .. }]
    ));
    assert_eq!(system.last_record(Kind::Evict).session, 4);
    system.infer_in(52, "s4", 5);
    let evicted = Failure::over(ErrorCode::SessionEvicted, 1, 0);
    assert_eq!(system.told(), [Told::Failed(52, evicted)]);
}

#[test]
fn a_user_has_no_more_sessions_than_the_role_allows() {
    let mut system = System::serving();
    for id in 1..=8 {
        system.infer(id, 5);
        system.admitted();
    }
    let full = Failure::over(ErrorCode::TooManySessions, 8, 8);
    system.infer(9, 5);
    assert_eq!(system.told(), [Told::Failed(9, full)]);
}
