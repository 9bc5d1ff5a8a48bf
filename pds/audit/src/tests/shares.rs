//! What a user cannot do to the log: push out the entries of others faster than the policy allows.

use super::harness::*;
use proptest::prelude::*;
use protocol::error::{ErrorCode, Failure};
use protocol::name::{FormatName, ModelName, SessionName, UserName};
use protocol::policy::Policy;
use protocol::record::{Kind, RECORD_BYTES, Record};
use protocol::testing::completion;
use protocol::wire::client::{BudgetChange, LogQuery, Request};
use protocol::wire::{FinishReason, InferParams};
use std::vec::Vec;

const HOUR: u64 = 3_600 * SECOND;

/// The guest's share in the shipped policy is for the shipped log of 1 MiB; the log here has 256 KiB.
const SHARE: u32 = 64 << 10;

fn policy_with_a_share() -> Policy {
    let mut policy = policy();
    policy.keep_prompts = 0;
    policy.roles[0].log_bytes_per_hour = SHARE;
    // Nothing but the share limits the guest.
    policy.users[0].budget_tokens = 1 << 40;
    policy
}

fn of_guest(system: &System) -> Vec<Record> {
    let records = system.records().into_iter();
    records
        .filter(|record| record.user.as_str() == "guest")
        .collect()
}

#[test]
fn three_thousand_refusals_leave_what_was_in_the_log() {
    let mut system = System::of_admin();
    system.ask(1, &Request::Logout);
    system.told();
    let before = system.records();
    for _ in 0..3_000 {
        system.ask(2, &Request::Reset);
        let failure = not_permitted(32);
        assert_eq!(system.told(), [Told::Failed(2, failure)]);
        system.runtime.now += 60;
    }
    let after = system.records();
    assert_eq!(after[..before.len()], before);
    assert!(after.len() - before.len() <= 2, "{}", after.len());
    assert_eq!(system.stats().refused, 3_000);
    // Every one is counted once time has passed.
    system.watch(HOUR);
    let refusals = of_guest(&system).into_iter();
    let counted: u64 = refusals
        .filter(|record| record.kind() == Some(Kind::Refuse))
        .map(|record| record.count)
        .sum();
    assert_eq!(counted, 3_000);
}

#[test]
fn refusals_for_another_reason_or_of_another_user_are_recorded_at_once() {
    let mut system = System::serving();
    for _ in 0..10 {
        system.ask(2, &Request::Reset);
        system.told();
    }
    system.is_refused(
        &Request::Close {
            session: SessionName::new("none").unwrap(),
        },
        Failure::of(ErrorCode::NoSuchSession),
    );
    system.log_in("admin", "secret");
    system.is_refused(
        &Request::Load {
            name: model("nothing"),
        },
        Failure::of(ErrorCode::NoSuchModel),
    );
}

#[test]
fn logins_and_logouts_that_cost_nothing_are_counted() {
    let mut system = System::serving();
    let before = system.audit.log().written();
    for _ in 0..500 {
        system.ask(2, &Request::Logout);
        system.ask(
            3,
            &Request::Login {
                user: UserName::new("guest").unwrap(),
                passphrase: None,
            },
        );
        system.told();
    }
    assert!(system.audit.log().written() - before <= 4);
    system.watch(2 * HOUR);
    for kind in [Kind::Login, Kind::Logout] {
        let counted: u64 = of_guest(&system)
            .iter()
            .filter(|record| record.kind() == Some(kind))
            .map(|record| record.count)
            .sum();
        assert_eq!(counted, 500);
    }
}

#[test]
fn who_has_used_up_the_share_is_refused_until_time_gives_more() {
    let mut system = System::serving_with(&policy_with_a_share());
    let mut served = 0;
    let failure = loop {
        system.infer(1, 5);
        let told = system.told();
        if let [Told::Failed(1, failure)] = told[..] {
            break failure;
        }
        let number = system.admitted();
        system.finished(number, FinishReason::EndOfText, 0);
        system.told();
        served += 1;
    };
    assert_eq!(failure.code, ErrorCode::LogShare);
    assert_eq!(failure.value, 4 * RECORD_BYTES as u64);
    assert!(failure.limit < failure.value);
    // Two entries each; the share for a cancel or a timeout was given back.
    assert!((60..=66).contains(&served), "{served}");
    assert_eq!(system.asked(), []);
    let budget = system.budget();
    assert_eq!(budget.reserved, 0, "what it reserved is free again");
    system.watch(HOUR / 10);
    system.serves(2);
    // Other users are not affected.
    system.log_in("admin", "secret");
    for id in 3..200 {
        system.serves(id);
    }
}

/// Commands that a guest can type.
#[derive(Clone, Debug)]
enum Typed {
    Infer(u8, bool),
    End(u8),
    Cancel,
    Ask(u8),
    Wait(u64),
}

fn typed() -> impl Strategy<Value = Typed> {
    prop_oneof![
        4 => (0..4u8, any::<bool>()).prop_map(|(session, long)| Typed::Infer(session, long)),
        4 => (0..4u8).prop_map(Typed::End),
        1 => Just(Typed::Cancel),
        6 => (0..13u8).prop_map(Typed::Ask),
        1 => (0..3_000u64).prop_map(Typed::Wait),
    ]
}

fn question(which: u8) -> Request<'static> {
    let session = SessionName::new("s1").unwrap();
    let user = UserName::new("admin").unwrap();
    match which {
        0 => Request::Status,
        1 => Request::Models,
        2 => Request::Sessions,
        3 => Request::Log(LogQuery::default()),
        4 => Request::VerifyLog,
        5 => Request::Stats { watch: false },
        6 => Request::Close { session },
        7 => Request::Load {
            name: model("tiny"),
        },
        8 => Request::Reset,
        9 => Request::Logout,
        10 => Request::Login {
            user,
            passphrase: Some(b"guess"),
        },
        11 => Request::Login {
            user: UserName::new("guest").unwrap(),
            passphrase: None,
        },
        _ => Request::Budget {
            user,
            change: BudgetChange {
                tokens: Some(0),
                period_us: Some(SECOND),
            },
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    /// Whatever commands a guest types, at any rate, for an hour: entries that others made in that hour stay in the
    /// log.
    #[test]
    fn a_guest_can_do_nothing_for_an_hour_that_removes_an_entry_of_another_user(
        round in prop::collection::vec(typed(), 50..200)
    ) {
        let mut system = System::serving_with(&policy_with_a_share());
        system.log_in("admin", "secret");
        for id in 1..20 {
            system.serves(id);
        }
        system.ask(20, &Request::Logout);
        system.told();
        let of_admin = |system: &System| {
            let records = system.records().into_iter();
            let records = records.filter(|record| record.user.as_str() == "admin");
            records.collect::<Vec<_>>()
        };
        let before = of_admin(&system);
        let (end, mut under_way) = (system.runtime.now + HOUR, Vec::new());
        let (mut id, mut longest, mut rounds) = (100, 0, 0u64);
        while system.runtime.now < end {
            for typed in &round {
                id += 1;
                match *typed {
                    Typed::Infer(session, long) => {
                        let session = SessionName::new(["", "s1", "s2", "s3"][session as usize]).unwrap();
                        let prompt = if long { &[b'x'; 2000][..] } else { b"x" };
                        let params = InferParams { max_tokens: 1, ..InferParams::default() };
                        system.ask_if_there_is_room(id, &Request::Infer { params, session, adapter: ModelName::EMPTY, format: FormatName::EMPTY, parts: completion(prompt), });
                    }
                    // Refused by inference for nothing, or ended.
                    Typed::End(how) => {
                        if let Some(number) = under_way.pop() {
                            match how {
                                0 => system.fails(number, Failure::of(ErrorCode::PromptTokens)),
                                1 => system.fails(number, Failure::of(ErrorCode::NonFinite)),
                                _ => system.finished(number, FinishReason::Cancelled, 0),
                            }
                        }
                    }
                    Typed::Cancel => system.ask_if_there_is_room(id.saturating_sub(1), &Request::Cancel),
                    Typed::Ask(which) => system.ask_if_there_is_room(id, &question(which)),
                    // In the end inference answers everything: it is honest.
                    Typed::Wait(ms) => {
                        for number in core::mem::take(&mut under_way) {
                            system.finished(number, FinishReason::Cancelled, 0);
                            system.told();
                        }
                        system.runtime.now += ms * 1000;
                    }
                }
                system.told();
                for asked in system.asked() {
                    match asked {
                        Asked::Infer { number, .. } => under_way.push(number),
                        Asked::Status(number) => {
                            system.say(number, &protocol::wire::engine::Report::Holdings(holdings()));
                        }
                        _ => {}
                    }
                }
            }
            for number in core::mem::take(&mut under_way) {
                system.finished(number, FinishReason::Cancelled, 0);
                system.told();
            }
            prop_assert_eq!(system.runtime.restarts, 0);
            rounds += 1;
            // Enough rounds to reach all phases of a bucket, within the time of a test.
            if rounds.is_multiple_of(8) {
                system.watch(HOUR / 50);
            }
            longest = longest.max(of_guest(&system).len());
        }
        prop_assert!(longest > 100, "the guest wrote {} entries", longest);
        let after = of_admin(&system);
        prop_assert_eq!(&after[..before.len().min(after.len())], &before[..]);
    }
}
