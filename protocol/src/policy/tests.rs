extern crate std;
use super::*;
use crate::testing::policy;
use proptest::prelude::*;

#[test]
fn permissions_come_back_from_their_bits_and_have_names_of_their_own() {
    for (i, permission) in Permission::ALL.into_iter().enumerate() {
        assert_eq!(permission as u32, 1 << i);
        assert_eq!(Permission::from_bit(1 << i), Some(permission));
        let others = Permission::ALL.iter().filter(|other| **other != permission);
        assert!(
            others
                .into_iter()
                .all(|other| other.as_str() != permission.as_str())
        );
        let role = Role {
            permissions: 1 << i,
            ..policy().roles()[0]
        };
        assert!(
            Permission::ALL
                .iter()
                .all(|p| role.may(*p) == (*p == permission))
        );
    }
    assert_eq!(Permission::EVERY, (1 << Permission::ALL.len()) - 1);
    for bit in [0, 3, 128, 1 << 32] {
        assert_eq!(Permission::from_bit(bit), None);
    }
}

#[test]
fn a_policy_is_read_as_it_was_written() {
    let policy = policy();
    assert_eq!(Policy::read(policy.as_bytes()), Ok(policy));
    assert_eq!(
        Policy::read(&policy.as_bytes()[1..]),
        Err(PolicyError::Size)
    );
    let mut longer = policy.as_bytes().to_vec();
    longer.resize(POLICY_REGION_BYTES, 0);
    assert_eq!(Policy::read(&longer), Ok(policy));
}

#[test]
fn what_is_wrong_is_refused() {
    let with = |change: fn(&mut Policy)| {
        let mut policy = policy();
        change(&mut policy);
        policy.check()
    };
    type Case = (fn(&mut Policy), PolicyError);
    let cases: [Case; 31] = [
        (|p| p.magic[0] = 0, PolicyError::Magic),
        (|p| p.version = 9, PolicyError::Version),
        (|p| p.user_count = 0, PolicyError::Count),
        (|p| p.user_count = 17, PolicyError::Count),
        (|p| p.role_count = 9, PolicyError::Count),
        (|p| p.key_count = 9, PolicyError::Count),
        (|p| p.users[1].name = p.users[0].name, PolicyError::Name),
        (|p| p.roles[0].name = UserName::EMPTY, PolicyError::Name),
        (|p| p.users[1].role = 8, PolicyError::Reference),
        (|p| p.clients[0].user = 1, PolicyError::Reference),
        (|p| p.clients[0].user = 16, PolicyError::Reference),
        (|p| p.roles[0].permissions = 128, PolicyError::Range),
        (|p| p.roles[0].max_tokens = 513, PolicyError::Range),
        (|p| p.roles[0].max_sessions = 0, PolicyError::Range),
        (|p| p.roles[0].log_bytes_per_hour = 0, PolicyError::Range),
        (
            |p| p.users[1].passphrase.memory_kib = 1 << 20,
            PolicyError::Range,
        ),
        (|p| p.users[1].passphrase.passes = 5, PolicyError::Range),
        (|p| p.users[0].budget_period_us = 0, PolicyError::Range),
        (|p| p.egress_burst_bytes = 100, PolicyError::Range),
        (|p| p.login_delay_us = 0, PolicyError::Range),
        (|p| p.deadline_us = 0, PolicyError::Range),
        (|p| p.train_deadline_us = 0, PolicyError::Range),
        (
            |p| p.stop_grace_us = MIN_STOP_GRACE_US - 1,
            PolicyError::Range,
        ),
        (|p| p.user_defined = 2, PolicyError::Range),
        (|p| p.format_count = 17, PolicyError::Count),
        (|p| p.format_count = 1, PolicyError::Range),
        (|p| p.formats_bytes = 1, PolicyError::Range),
        (|p| p.formats_sha256[31] = 1, PolicyError::Range),
        (
            |p| {
                (p.format_count, p.formats_bytes) = (1, 1 << 20);
                p.formats_bytes += 1;
            },
            PolicyError::Range,
        ),
        (|p| p.roles[1].formats.must = 2, PolicyError::Range),
        (
            |p| p.clients[0].formats = FormatRule::NONE.with(0),
            PolicyError::Range,
        ),
    ];
    for (i, (change, error)) in cases.into_iter().enumerate() {
        assert_eq!(with(change), Err(error), "case {i}");
    }
}

#[test]
fn a_device_key_is_not_shown() {
    let mut policy = policy();
    policy.device_key = DeviceKey([0xA7; 32]);
    let shown = std::format!("{policy:?}");
    assert!(shown.contains("device_key: DeviceKey(secret)"), "{shown}");
    assert!(!shown.contains("167, 167"), "{shown}");
    assert_eq!(std::format!("{:?}", DeviceKey::NONE), "DeviceKey(none)");
}

#[test]
fn rules_about_formats_allow_what_both_the_role_and_the_client_allow() {
    let mut policy = policy();
    (policy.format_count, policy.formats_bytes) = (3, 700);
    assert_eq!(policy.format_rule(0, 0), FormatRule::ANY);
    assert!((0..MAX_FORMATS).all(|format| FormatRule::ANY.allows(format)));
    assert!(!FormatRule::ANY.allows(MAX_FORMATS) && FormatRule::ANY.allows_choices());

    policy.roles[0].formats = FormatRule::NONE.with(0).with(2).with_choices();
    policy.clients[0].formats = FormatRule::NONE.with(1).with(2).with_must();
    assert_eq!(policy.check(), Ok(()));
    let rule = policy.format_rule(0, 0);
    assert_eq!(
        [0, 1, 2, 3].map(|n| rule.allows(n)),
        [false, false, true, false]
    );
    assert!(!rule.allows_choices() && rule.must_use());
    // The other role has no rule of its own, so the client's applies.
    assert_eq!(policy.format_rule(1, 0), policy.clients[0].formats);

    policy.clients[0].formats = FormatRule::NONE.with(1);
    let rule = policy.format_rule(0, 0);
    assert!(rule.is_none() && !rule.must_use());
    for (role, client) in [(2, 0), (0, 1), (usize::MAX, usize::MAX)] {
        let rule = policy.format_rule(role, client);
        assert!(rule.is_none() && rule.must_use());
    }
}

#[test]
fn a_rule_names_no_format_that_the_policy_does_not_have() {
    for count in 0..=MAX_FORMATS {
        let fits = |rule: FormatRule| rule.fits(count as u32);
        assert!(fits(FormatRule::ANY) && fits(FormatRule::NONE.with_must()));
        assert!(fits(FormatRule::NONE.with_choices()));
        for format in 0..MAX_FORMATS {
            assert_eq!(fits(FormatRule::NONE.with(format)), format < count);
        }
    }
    assert_eq!(FormatRule::NONE.with(MAX_FORMATS), FormatRule::NONE);
}

proptest! {
    #[test]
    fn any_bytes_are_a_policy_or_an_error(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..30)
    ) {
        let mut bytes = policy().as_bytes().to_vec();
        let len = bytes.len();
        for (index, byte) in changes {
            bytes[index.index(len)] = byte;
        }
        if let Ok(policy) = Policy::read(&bytes) {
            for user in policy.users() {
                prop_assert!(policy.roles().get(user.role as usize).is_some());
            }
        }
    }
}
