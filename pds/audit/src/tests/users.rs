//! Users, permissions, budgets.

use super::harness::*;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_BUDGET_TOKENS, MAX_PASSPHRASE_BYTES};
use protocol::name::{FormatName, ModelName, Nonce, SessionName, UserName};
use protocol::policy::{DeviceKey, Permission};
use protocol::record::{Kind, Record};
use protocol::testing::completion;
use protocol::wire::FinishReason;
use protocol::wire::InferParams;
use protocol::wire::client::{BudgetChange, LogQuery, Request};
use std::vec;
use zerocopy::IntoBytes as _;

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn login<'a>(name: &str, passphrase: &'a [u8]) -> Request<'a> {
    Request::Login {
        user: user(name),
        passphrase: Some(passphrase),
    }
}

#[test]
fn who_logs_in_is_told_and_written_down() {
    let mut system = System::serving();
    system.ask(1, &Request::WhoAmI);
    let told = system.told();
    assert!(
        matches!(&told[..], [Told::User(1, u)] if u.name == user("guest") && u.permissions == 1)
    );
    system.log_in("admin", "secret");
    assert_eq!(system.last_record(Kind::Login).user, user("admin"));
    system.ask(2, &Request::Logout);
    let told = system.told();
    assert!(matches!(&told[..], [Told::User(2, u)] if u.name == user("guest")));
    assert_eq!(system.last_record(Kind::Logout).user, user("admin"));
}

#[test]
fn a_wrong_passphrase_is_refused_delayed_and_written_down_without_what_was_typed() {
    let mut system = System::timeless();
    let failed = |wait| Failure::over(ErrorCode::LoginFailed, wait, 0);
    let delayed = |wait| Failure::over(ErrorCode::LoginDelayed, wait, 0);
    system.is_refused(&login("admin", b"wrong"), failed(SECOND));
    assert_eq!(system.last_record(Kind::LoginFailed).name, model("admin"));
    system.is_refused(&login("admin", b"secret"), delayed(SECOND));
    system.is_refused(&login("hunter2", b""), failed(SECOND));
    assert!(system.last_record(Kind::LoginFailed).name.is_empty());
    let longest = vec![b'x'; MAX_PASSPHRASE_BYTES];
    system.runtime.now += SECOND;
    system.is_refused(&login("admin", &longest), failed(2 * SECOND));
    system.runtime.now += 2 * SECOND;
    system.log_in("admin", "secret");
}

#[test]
fn each_permission_is_needed_for_what_it_names() {
    let mut system = System::serving();
    let change = BudgetChange {
        tokens: Some(1),
        period_us: Some(SECOND),
    };
    let own = UserName::EMPTY;
    for (request, permission) in [
        (
            Request::Load {
                name: model("tiny"),
            },
            Permission::Load,
        ),
        (Request::Budget { user: own, change }, Permission::Budget),
        (
            Request::Budget {
                user: user("admin"),
                change: BudgetChange::NONE,
            },
            Permission::Budget,
        ),
        (Request::Log(LogQuery::default()), Permission::Log),
        (Request::VerifyLog, Permission::Log),
        (
            Request::Attest {
                nonce: Nonce::EMPTY,
            },
            Permission::Log,
        ),
        (Request::Reset, Permission::Reset),
        (Request::Halt, Permission::Halt),
    ] {
        system.is_refused(&request, not_permitted(permission as u64));
    }
    let mut policy = policy();
    policy.roles[0].permissions = 0;
    let mut system = System::serving_with(&policy);
    let session = SessionName::new("x").unwrap();
    for request in [
        Request::Infer {
            params: InferParams::default(),
            session,
            adapter: ModelName::EMPTY,
            format: FormatName::EMPTY,
            parts: completion(b"x"),
        },
        Request::Models,
        Request::Status,
        Request::Sessions,
        Request::Stats { watch: true },
        Request::Close { session },
    ] {
        system.ask(5, &request);
        let failure = not_permitted(Permission::Infer as u64);
        assert_eq!(system.told(), [Told::Failed(5, failure)], "{request:?}");
    }
    // Everybody may see their own budget.
    assert_eq!(system.budget().user, user("guest"));
}

#[test]
fn budgets_are_changed_by_who_may_and_their_periods_end() {
    let mut system = System::of_admin();
    let change = |name, tokens, period_us| Request::Budget {
        user: user(name),
        change: BudgetChange {
            tokens: Some(tokens),
            period_us: Some(period_us),
        },
    };
    system.ask(1, &change("guest", 12, 5 * SECOND));
    let told = system.told();
    assert!(matches!(&told[..], [Told::Budget(1, b)] if b.tokens == 12 && b.user == user("guest")));
    let record = system.last_record(Kind::Budget);
    assert_eq!((record.user, record.name), (user("admin"), model("guest")));
    assert_eq!((record.value, record.limit), (12, 5 * SECOND));
    for (request, failure) in [
        (
            change("guest", MAX_BUDGET_TOKENS + 1, SECOND),
            Failure::over(
                ErrorCode::BudgetTokens,
                MAX_BUDGET_TOKENS + 1,
                MAX_BUDGET_TOKENS,
            ),
        ),
        (
            change("guest", 1, 0),
            Failure::over(ErrorCode::BudgetPeriod, 0, 31_622_400_000_000),
        ),
        (change("eve", 1, SECOND), Failure::of(ErrorCode::NoSuchUser)),
    ] {
        system.is_refused(&request, failure);
    }
    system.ask(2, &Request::Logout);
    system.told();
    // 4 bytes and 2, and 5 tokens: 11 of 12.
    system.infer(3, 5);
    let number = system.admitted();
    system.infer(4, 5);
    let failure = Failure::over(ErrorCode::QuotaExceeded, 11, 1);
    assert_eq!(system.told(), [Told::Failed(4, failure)]);
    system.token(number, "x");
    system.finished(number, FinishReason::EndOfText, 1);
    system.told();
    let budget = system.budget();
    assert_eq!((budget.used, budget.available()), (4, 8));
    system.runtime.now += 5 * SECOND;
    assert_eq!(system.budget().used, 0);
    system.serves(5);
}

#[test]
fn a_change_of_one_half_of_a_budget_leaves_the_other_as_it_is_then() {
    let mut system = System::of_admin();
    let mut change = |tokens, period_us| {
        let (user, change) = (user("guest"), BudgetChange { tokens, period_us });
        system.ask(1, &Request::Budget { user, change });
        match &system.told()[..] {
            [Told::Budget(1, budget)] => {
                let record = system.last_record(Kind::Budget);
                assert_eq!(
                    (record.value, record.limit),
                    (budget.tokens, budget.period_us)
                );
                (budget.tokens, budget.period_us)
            }
            other => panic!("a budget, not {other:?}"),
        }
    };
    assert_eq!(change(Some(12), Some(5 * SECOND)), (12, 5 * SECOND));
    assert_eq!(change(Some(9), None), (9, 5 * SECOND));
    assert_eq!(change(None, Some(7 * SECOND)), (9, 7 * SECOND));
    // Changing even one's own budget needs the permission.
    system.ask(2, &Request::Logout);
    system.told();
    for (tokens, period_us) in [(Some(1), None), (None, Some(SECOND))] {
        let (user, change) = (UserName::EMPTY, BudgetChange { tokens, period_us });
        let request = Request::Budget { user, change };
        system.is_refused(&request, not_permitted(Permission::Budget as u64));
    }
}

#[test]
fn a_login_without_a_passphrase_is_a_question_that_costs_nothing_and_tells_no_names() {
    let mut system = System::serving();
    let without = |name| Request::Login {
        user: user(name),
        passphrase: None,
    };
    let (refused, records) = (system.stats().refused, system.records().len());
    let needed = Failure::of(ErrorCode::PassphraseNeeded);
    for _ in 0..3 {
        for name in ["admin", "eve"] {
            system.ask(1, &without(name));
            assert_eq!(system.told(), [Told::Failed(1, needed)], "{name}");
        }
    }
    assert_eq!(system.stats().refused, refused);
    assert_eq!(system.records().len(), records);
    assert_eq!(system.budget().user, user("guest"));
    // It was not an attempt, so the right passphrase is accepted at once.
    system.ask(2, &login("admin", b"secret"));
    assert!(matches!(&system.told()[..], [Told::User(2, u)] if u.name == user("admin")));
    // A user without a passphrase is logged in.
    system.ask(3, &without("guest"));
    assert!(matches!(&system.told()[..], [Told::User(3, u)] if u.name == user("guest")));
    assert_eq!(system.last_record(Kind::Login).user, user("guest"));
    // A failed attempt does not change the answer, either.
    system.runtime.now += SECOND;
    for name in ["admin", "eve"] {
        let failed = Failure::over(ErrorCode::LoginFailed, SECOND, 0);
        system.is_refused(&login(name, b"wrong"), failed);
        system.ask(4, &without(name));
        assert_eq!(system.told(), [Told::Failed(4, needed)], "{name}");
    }
}

#[test]
fn whoever_may_halt_the_system_is_on_record_first() {
    let mut system = System::serving();
    system.is_refused(&Request::Halt, not_permitted(Permission::Halt as u64));
    let is_halt = |record: &Record| record.kind() == Some(Kind::Halt);
    assert!(!system.records().iter().any(is_halt));
    system.log_in("admin", "secret");
    system.ask(9, &Request::Halt);
    assert_eq!(system.told(), [Told::Done(9)]);
    assert_eq!(system.last_record(Kind::Halt).user.as_str(), "admin");
    // Audit goes on.
    system.serves(10);
}

#[test]
fn the_device_signs_the_head_of_its_log_for_whoever_may_read_it() {
    use ed25519_dalek::{Signature, SigningKey};
    use sha2::{Digest as _, Sha256};
    let mut system = System::serving();
    let nonce = Nonce::new("monday").unwrap();
    let ask = Request::Attest { nonce };
    system.is_refused(&ask, not_permitted(Permission::Log as u64));
    system.log_in("admin", "secret");
    system.ask(9, &ask);
    let extent = system.audit.log().extent();
    let [Told::Attested(9, attestation)] = system.told()[..] else {
        panic!("an attestation");
    };
    assert_eq!(
        (attestation.sequence + 1, attestation.head),
        (extent.next, extent.head)
    );
    assert_eq!((attestation.nonce, attestation.boot), (nonce, 0));
    let public = SigningKey::from_bytes(&policy().device_key.0).verifying_key();
    let signature = Signature::from_bytes(&attestation.signature);
    let digest: [u8; 32] = Sha256::digest(attestation.statement()).into();
    assert!(public.verify_strict(&digest, &signature).is_ok());
    // Without a key there is nothing to sign with.
    let mut policy = policy();
    policy.device_key = DeviceKey::NONE;
    let mut system = System::serving_with(&policy);
    system.log_in("admin", "secret");
    system.is_refused(&ask, Failure::of(ErrorCode::NoDeviceKey));
}

#[test]
fn without_a_sound_policy_nobody_may_do_anything() {
    let mut damaged = policy();
    damaged.user_count = 0;
    let mut system = System::new(damaged.as_bytes(), vec![]);
    assert_eq!(system.told(), [Told::Ready("".into())]);
    let failure = Failure::over(ErrorCode::BadPolicy, 4, 0);
    for request in [
        Request::WhoAmI,
        Request::Models,
        Request::Stats { watch: false },
        Request::Reset,
        Request::Halt,
        login("guest", b""),
    ] {
        system.ask(5, &request);
        assert_eq!(system.told(), [Told::Failed(5, failure)]);
    }
    assert!(system.inference.follow());
    assert_eq!(system.asked(), []);
    let mut system = System::new(&[], vec![]);
    system.told();
    system.ask(5, &Request::WhoAmI);
    let failure = Failure::over(ErrorCode::BadPolicy, 1, 0);
    assert_eq!(system.told(), [Told::Failed(5, failure)]);
}

#[test]
fn what_a_user_follows_ends_when_another_comes() {
    let mut system = System::of_admin();
    let follow = LogQuery {
        follow: true,
        ..LogQuery::default()
    };
    system.ask(5, &Request::Log(follow));
    system.ask(6, &Request::Stats { watch: true });
    system.told_at_last();
    system.ask(7, &Request::Logout);
    let told = system.told_at_last();
    assert!(
        told.iter().any(|t| matches!(t, Told::LogEnd(5, _))),
        "{told:?}"
    );
    assert!(told.contains(&Told::Done(6)), "{told:?}");
    assert!(matches!(told.last(), Some(Told::User(7, _))), "{told:?}");
    system.serves(8);
    assert!(
        !system
            .told_at_last()
            .iter()
            .any(|t| matches!(t, Told::Record(..)))
    );
}
