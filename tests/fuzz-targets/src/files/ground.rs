//! State shared by all boots of an input, and the input's bytes.

use monitor_fuzz::dice::Dice;
use monitor_fuzz::store::{AnyStore, DEVICE, Fixtures, Signed, key};
use protocol::name::UserName;
use protocol::policy::{DeviceKey, LogFailure, LogWrite, Permission, Policy, TrustedKey};
use std::sync::LazyLock;

/// What all inputs share.
pub(super) struct Ground {
    fixtures: Fixtures,
    /// Index of the store in the fixtures.
    seed: u64,
}

impl Ground {
    pub(super) fn store(&self) -> &AnyStore {
        self.fixtures.store(&mut Dice::new(self.seed, 0))
    }
}

pub(super) static GROUND: LazyLock<Ground> = LazyLock::new(|| {
    let fixtures = Fixtures::new();
    // A store whose first model can be loaded.
    let serves = |seed: &u64| {
        let store = fixtures.store(&mut Dice::new(*seed, 0));
        let first = store.models.as_ref().and_then(|models| models.first());
        first.is_some_and(|model| model.signed == Signed::Well && model.bytes < 1000)
    };
    let seed = (0..1000).find(serves).expect("a store that can be served");
    Ground { fixtures, seed }
});

pub(super) fn policy(options: u8) -> Policy {
    let mut policy = protocol::testing::policy();
    let writes = [LogWrite::Ahead, LogWrite::Behind];
    let failures = [LogFailure::Refuse, LogFailure::GoOn];
    policy.log_write = writes[usize::from(options & 1)] as u32;
    policy.log_on_failure = failures[usize::from(options >> 1 & 1)] as u32;
    policy.device_key = DeviceKey([DEVICE; 32]);
    policy.roles[0].permissions = Permission::EVERY;
    policy.key_count = 2;
    for seed in [1, 2] {
        policy.keys[usize::from(seed) - 1] = TrustedKey {
            name: UserName::new(&format!("key{seed}")).unwrap_or_default(),
            public: key(seed).verifying_key().to_bytes(),
        };
    }
    policy
}

/// The bytes of an input, in order; zeros after the end.
pub(super) struct Input<'i>(pub(super) &'i [u8]);

impl Input<'_> {
    pub(super) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub(super) fn number(&mut self, bytes: usize) -> u64 {
        (0..bytes).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let (first, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        first.to_vec()
    }
}
