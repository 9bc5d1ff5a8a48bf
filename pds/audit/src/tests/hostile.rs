//! Peers that do anything at any time.

use super::harness::*;
use crate::log::Verification;
use proptest::prelude::*;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{INFERENCE_DEADLINE_US, MAX_SESSIONS, WATCHDOG_PERIOD_US};
use protocol::name::{FormatName, ModelName, SessionName};
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords as _, WriteWords};
use protocol::ring::{Frame, SLOTS};
use protocol::testing::completion;
use protocol::wire::client::{LogQuery, Request};
use protocol::wire::engine::Report;
use protocol::wire::{FinishReason, InferParams};
use std::collections::HashMap;
use std::vec;
use std::vec::Vec;

#[test]
fn what_the_shell_writes_wrongly_costs_the_shell_alone() {
    let mut system = System::serving();
    let mut frame = Frame::new();
    frame.begin(0xBEEF, 3);
    system.shell.send(&frame).unwrap();
    system.wake();
    let unsupported = Failure::of(ErrorCode::Unsupported);
    assert_eq!(system.told(), [Told::Failed(3, unsupported)]);
    // An impossible head index.
    system.shell_region.publish(2, 1 << 32 | 5000);
    system.wake();
    system.watch(2 * WATCHDOG_PERIOD_US);
    let violations = system
        .records()
        .into_iter()
        .filter(|record| record.kind() == Some(Kind::Violation));
    let counted: u64 = violations.map(|record| record.count).sum();
    assert_eq!((counted, system.runtime.restarts), (2, 0));
}

#[test]
fn garbage_without_end_is_counted_and_fills_no_log() {
    let mut system = System::timeless();
    let before = system.audit.log().written();
    for _ in 0..1000 {
        let mut frame = Frame::new();
        frame.begin(0xBEEF, 3);
        system.shell.send(&frame).unwrap();
        system.wake();
        system.told();
        system.runtime.now += 1000;
    }
    // One second's worth: one record, at the start.
    assert_eq!(system.audit.log().written() - before, 1);
    system.watch(2 * WATCHDOG_PERIOD_US);
    let record = system.last_record(Kind::Violation);
    assert_eq!((record.code, record.count), (1, 999));
    assert_eq!(system.stats().violations, 1000);
}

#[test]
fn garbage_for_a_day_does_not_push_the_log_out() {
    const HOUR: u64 = 3600;
    let mut system = System::timeless();
    let violations = |system: &System| {
        let records = system.records().into_iter();
        records
            .filter(|record| record.kind() == Some(Kind::Violation))
            .map(|record| record.count)
            .collect::<Vec<_>>()
    };
    let mut garbage = |seconds: u64| {
        for _ in 0..seconds {
            // It answers no request, so it costs inference nothing.
            system.say(4711, &done(FinishReason::EndOfText, 0));
            system.runtime.now += SECOND;
        }
        violations(&system)
    };
    // At 0, 1, 3, 7, … 2047 s, then each hour.
    let first = garbage(HOUR);
    assert_eq!(first[..4], [1, 1, 2, 4]);
    assert_eq!(first.len(), 12);
    let all = garbage(23 * HOUR);
    assert_eq!(all.len(), 35);
    // None is lost, and after two quiet hours the first is recorded at once.
    let told: u64 = all.iter().sum();
    system.watch(3 * HOUR * SECOND);
    let rest = violations(&system)[35..].to_vec();
    assert_eq!(told + rest.iter().sum::<u64>(), 24 * HOUR);
    system.say(4711, &done(FinishReason::EndOfText, 0));
    assert_eq!(violations(&system)[36..], [1]);
    assert_eq!(system.runtime.restarts, 0);
}

#[test]
fn no_byte_of_what_the_shell_is_told_reaches_inferences_ring() {
    let mut system = System::of_admin();
    let secret = "a-name-that-is-a-secret-of-admin";
    system.infer_in(1, secret, 5);
    let number = system.admitted();
    system.finished(number, FinishReason::EndOfText, 0);
    let session = SessionName::new(secret).unwrap();
    system.ask(2, &Request::Close { session });
    // Reading the record of the close, which ends with the name.
    system.ask(
        3,
        &Request::Log(LogQuery {
            last: 1,
            ..LogQuery::default()
        }),
    );
    system.told_at_last();
    system.ask(4, &Request::Logout);
    system.told();
    system.asked();
    for len in 1..=16 {
        let prompt = vec![b' '; len];
        let (params, session) = (InferParams::default(), SessionName::EMPTY);
        let request = Request::Infer {
            params,
            session,
            adapter: ModelName::EMPTY,
            format: FormatName::EMPTY,
            parts: completion(&prompt),
        };
        system.ask(10, &request);
        let number = system.admitted();
        system.finished(number, FinishReason::EndOfText, 0);
        system.told();
        let region = &system.to_inference_region;
        let bytes: Vec<u8> = (0..region.words())
            .flat_map(|word| region.load(word).to_le_bytes())
            .collect();
        for part in secret.as_bytes().windows(4) {
            assert!(
                !bytes.windows(4).any(|window| window == part),
                "length {len}"
            );
        }
    }
}

#[test]
fn a_passphrase_is_wiped_from_audits_copy_of_the_message() {
    let mut system = System::serving();
    system.log_in("admin", "secret");
    assert!(!system.audit.still_holds(b"secret"));
    // As it would be without wiping.
    system.say(0, &Report::Ready);
    system.infer(1, 5);
    assert!(!system.audit.still_holds(b"once"));
}

#[test]
fn parameters_with_something_in_what_is_reserved_are_no_request() {
    let mut system = System::serving();
    let before = system.audit.log().written();
    let params = InferParams {
        reserved: 1,
        ..InferParams::default()
    };
    system.ask(
        4,
        &Request::Infer {
            params,
            session: SessionName::EMPTY,
            adapter: ModelName::EMPTY,
            format: FormatName::EMPTY,
            parts: completion(b"p"),
        },
    );
    let unsupported = Failure::of(ErrorCode::Unsupported);
    assert_eq!(system.told(), [Told::Failed(4, unsupported)]);
    assert_eq!(system.asked(), []);
    assert_eq!(system.stats().violations, 1);
    // There is no record with it: an export could not tell what was hashed.
    assert_eq!(system.audit.log().written() - before, 1);
    assert_eq!(system.last_record(Kind::Violation).count, 1);
}

/// One thing that can happen to audit.
#[derive(Clone, Debug)]
enum Act {
    Infer(u32, u8),
    Cancel(u32),
    Ask(u32, u8),
    ShellGarbage(usize, u64),
    Token(u32),
    Finish(u32, u32),
    FailRequest(u32, u8),
    Evict(u32),
    InferenceGarbage(usize, u64),
    Join,
    Fault,
    Pass(u64),
    ShellReads,
    InferenceReads,
}

fn act(hostile: bool) -> impl Strategy<Value = Act> {
    let word = if hostile { 0..64usize } else { 0..1 };
    let word2 = word.clone();
    prop_oneof![
        3 => (1..20u32, 0..4u8).prop_map(|(id, s)| Act::Infer(id, s)),
        1 => (1..20u32).prop_map(Act::Cancel),
        2 => (1..20u32, any::<u8>()).prop_map(|(id, which)| Act::Ask(id, which)),
        1 => (word, any::<u64>()).prop_map(|(i, v)| Act::ShellGarbage(i, v)),
        3 => (1..40u32).prop_map(Act::Token),
        3 => (1..40u32, 0..4u32).prop_map(|(n, t)| Act::Finish(n, t)),
        1 => (1..40u32, any::<u8>()).prop_map(|(n, code)| Act::FailRequest(n, code)),
        1 => (0..34u32).prop_map(Act::Evict),
        1 => (word2, any::<u64>()).prop_map(|(i, v)| Act::InferenceGarbage(i, v)),
        1 => Just(Act::Join),
        1 => Just(Act::Fault),
        1 => (0..40_000_000u64).prop_map(Act::Pass),
        2 => Just(Act::ShellReads),
        2 => Just(Act::InferenceReads),
    ]
}

fn question(which: u8) -> Request<'static> {
    let session = SessionName::new("s1").unwrap();
    match which % 12 {
        0 => Request::Status,
        1 => Request::Models,
        2 => Request::Sessions,
        3 => Request::Log(LogQuery::default()),
        4 => Request::Log(LogQuery {
            follow: true,
            ..LogQuery::default()
        }),
        5 => Request::VerifyLog,
        6 => Request::Stats { watch: true },
        7 => Request::Close { session },
        8 => Request::Load {
            name: model("tiny"),
        },
        9 => Request::Load {
            name: model("foreign"),
        },
        10 => Request::Reset,
        _ => Request::WhoAmI,
    }
}

impl System {
    fn act(&mut self, act: &Act) -> Vec<Told> {
        let mut frame = Frame::new();
        match act {
            Act::Infer(id, session) => {
                let params = InferParams {
                    max_tokens: 2,
                    ..InferParams::default()
                };
                let session = ["", "s1", "s2", "s3"][usize::from(*session)];
                let request = Request::Infer {
                    params,
                    session: SessionName::new(session).unwrap(),
                    adapter: ModelName::EMPTY,
                    format: FormatName::EMPTY,
                    parts: completion(b"p"),
                };
                request.write(*id, &mut frame);
                let _ = self.shell.send(&frame);
            }
            Act::Cancel(id) => {
                Request::Cancel.write(*id, &mut frame);
                let _ = self.shell.send(&frame);
            }
            Act::Ask(id, which) => {
                question(*which).write(*id, &mut frame);
                let _ = self.shell.send(&frame);
            }
            Act::ShellGarbage(word, value) => self.shell_region.store(*word, *value),
            Act::Token(number) => {
                Report::Token { id: 1, text: b"t" }.write(*number, &mut frame);
                let _ = self.inference.send(&frame);
            }
            Act::Finish(number, tokens) => {
                done(FinishReason::EndOfText, *tokens).write(*number, &mut frame);
                let _ = self.inference.send(&frame);
            }
            Act::FailRequest(number, code) => {
                let code = ErrorCode::ALL[usize::from(*code) % ErrorCode::ALL.len()];
                let failure = Failure::of(code);
                let detail = b"";
                Report::Failed { failure, detail }.write(*number, &mut frame);
                let _ = self.inference.send(&frame);
            }
            Act::Evict(session) => {
                Report::Evicted { session: *session }.write(0, &mut frame);
                let _ = self.inference.send(&frame);
            }
            Act::InferenceGarbage(word, value) => self.inference_region.store(*word, *value),
            Act::Join => drop(self.inference.follow()),
            Act::Fault => self.audit.on_fault(FAULT, &mut self.runtime),
            Act::Pass(us) => {
                self.runtime.now += us;
                self.audit.on_watchdog(&mut self.runtime);
            }
            Act::ShellReads => return self.told(),
            Act::InferenceReads => drop(self.inference.receive(&mut frame)),
        }
        self.wake();
        Vec::new()
    }

    fn verify(&self) -> u64 {
        let mut verification = Verification::new(self.audit.log());
        loop {
            if let Some((_, broken_at)) = verification.step(self.audit.log(), &mut (1 << 20)) {
                return broken_at;
            }
        }
    }
}

/// What the log says of each request for text: its entries in order, and the tokens charged.
fn histories(system: &System) -> HashMap<u32, (Vec<Kind>, u64)> {
    let mut histories: HashMap<u32, (Vec<Kind>, u64)> = HashMap::new();
    for record in system.records() {
        let Some(kind) = record.kind() else { continue };
        let of_text = record.session > 0 && record.request > 0;
        let ends = [Kind::Admit, Kind::Finish, Kind::Fail];
        if of_text && ends.contains(&kind) {
            let (kinds, charged) = histories.entry(record.request).or_default();
            kinds.push(kind);
            let Record {
                prompt_tokens,
                generated_tokens,
                ..
            } = record;
            let counted = kind == Kind::Finish || record.code == ErrorCode::Deadline as u16;
            if counted {
                *charged += u64::from(prompt_tokens) + u64::from(generated_tokens);
            }
        }
    }
    histories
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever inference says and whenever it fails: every admitted request ends exactly once, the budget equals the
    /// usage in the log, and the log's chain is intact.
    #[test]
    fn every_admitted_request_ends_exactly_once_and_no_token_is_lost(
        acts in prop::collection::vec(act(false), 0..150)
    ) {
        let mut policy = policy();
        policy.max_restarts = 256;
        policy.roles[0].permissions = protocol::policy::Permission::EVERY;
        // One period, so that the log's sum equals the budget's.
        policy.users[0].budget_period_us = 31_622_400_000_000;
        let mut system = System::serving_with(&policy);
        let mut ends: HashMap<u32, (u32, u32)> = HashMap::new();
        let mut look = |told: Vec<Told>| {
            for told in told {
                if let Told::Finished(id, _) | Told::Failed(id, _) = told {
                    ends.entry(id).or_default().0 += 1;
                }
            }
        };
        for act in &acts {
            // The peers write valid messages, not garbage.
            if !matches!(act, Act::ShellGarbage(..) | Act::InferenceGarbage(..)) {
                look(system.act(act));
            }
        }
        look(system.told_at_last());
        // Whatever is still open ends at its deadline.
        for _ in 0..3 {
            system.watch(INFERENCE_DEADLINE_US + 2 * WATCHDOG_PERIOD_US);
            look(system.told_at_last());
        }
        let stats = system.stats();
        prop_assert_eq!(stats.admitted, stats.finished + stats.cancelled + stats.failed);
        let mut charged = 0;
        for (request, (kinds, tokens)) in histories(&system) {
            prop_assert!(
                matches!(kinds[..], [Kind::Admit, Kind::Finish | Kind::Fail]),
                "{request}: {kinds:?}"
            );
            charged += tokens;
        }
        let budget = system.budget();
        prop_assert_eq!((budget.used, budget.reserved), (charged, 0));
        prop_assert_eq!(system.verify(), 0);
    }

    /// Bytes and indices of any value: no panic, bounded work, an intact log, and audit still answers.
    #[test]
    fn hostile_peers_get_no_further_than_their_own_rings(
        acts in prop::collection::vec(act(true), 0..200)
    ) {
        let mut policy = policy();
        policy.roles[0].permissions = protocol::policy::Permission::EVERY;
        let mut system = System::serving_with(&policy);
        for act in &acts {
            let before = system.audit.log().written();
            let mut frame = Frame::new();
            // A shell whose region is garbage reads what it can.
            if matches!(act, Act::ShellReads) {
                for _ in 0..SLOTS {
                    let _ = system.shell.receive(&mut frame);
                }
            } else {
                system.act(act);
            }
            let records = system.audit.log().written() - before;
            prop_assert!(records <= 8 * (SLOTS + MAX_SESSIONS) as u64, "{} records", records);
        }
        prop_assert_eq!(system.verify(), 0);
    }

    /// Any payload under any kind, from both sides.
    #[test]
    fn any_message_is_survived(
        messages in prop::collection::vec(
            (any::<bool>(), prop_oneof![0u16..20, 0x300u16..0x308], 0u32..12, prop::collection::vec(any::<u8>(), 0..200)),
            0..60,
        )
    ) {
        let mut system = System::serving();
        for (from_shell, kind, request, payload) in messages {
            let mut frame = Frame::new();
            frame.begin(kind, request)[..payload.len()].copy_from_slice(&payload);
            frame.finish(payload.len());
            let end = if from_shell { &mut system.shell } else { &mut system.inference };
            let _ = end.send(&frame);
            system.wake();
            for _ in 0..SLOTS {
                let _ = system.shell.receive(&mut frame);
                let _ = system.inference.receive(&mut frame);
            }
            let _ = system.inference.follow();
        }
        prop_assert_eq!(system.verify(), 0);
    }
}
