//! Regions in ordinary memory, for tests (feature `testing`).

extern crate alloc;

use crate::region::{ReadWords, WriteWords};
use crate::ring::{Endpoint, REGION_BYTES};
use crate::wire::{PartKind, Parts};
use alloc::rc::Rc;
use alloc::vec;
use core::cell::Cell;

/// A region shared by its clones, within one thread. A holder can play any role: honest writer, reader, or hostile
/// owner that stores anything.
#[derive(Clone, Debug)]
pub struct TestRegion(Rc<[Cell<u64>]>);

/// An end of a pair of rings over test regions.
pub type TestEndpoint = Endpoint<TestRegion, TestRegion>;

impl TestRegion {
    /// A zeroed region of the size that `system.xml` gives a ring.
    #[must_use]
    pub fn new() -> Self {
        Self::with_words(REGION_BYTES / 8)
    }

    /// A zeroed region of `words` words.
    #[must_use]
    pub fn with_words(words: usize) -> Self {
        Self(vec![Cell::new(0); words].into())
    }
}

impl Default for TestRegion {
    fn default() -> Self {
        Self::new()
    }
}

impl ReadWords for TestRegion {
    fn words(&self) -> usize {
        self.0.len()
    }

    fn load(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, Cell::get)
    }

    fn acquire_fence(&self) {}
}

impl WriteWords for TestRegion {
    fn store(&self, index: usize, value: u64) {
        if let Some(word) = self.0.get(index) {
            word.set(value);
        }
    }

    fn publish(&self, index: usize, value: u64) {
        self.store(index, value);
    }

    fn release_fence(&self) {}
}

/// Audit's end and its peer's, and the peer's region for playing a hostile peer.
///
/// # Panics
/// Never: the regions have the size that the rings need.
#[must_use]
pub fn endpoints() -> (TestEndpoint, TestEndpoint, TestRegion) {
    let (audit, peer, peers_region, _) = all_of_endpoints();
    (audit, peer, peers_region)
}

/// Like [`endpoints`], plus audit's region for inspecting what audit wrote.
///
/// # Panics
/// Never, as above.
#[must_use]
#[allow(clippy::expect_used)]
pub fn all_of_endpoints() -> (TestEndpoint, TestEndpoint, TestRegion, TestRegion) {
    let (audit, peer) = (TestRegion::new(), TestRegion::new());
    let end = |theirs: &TestRegion, ours: &TestRegion| {
        Endpoint::new(theirs.clone(), ours.clone()).expect("regions of the size of the rings")
    };
    let (audits_end, peers_end) = (end(&peer, &audit), end(&audit, &peer));
    (audits_end, peers_end, peer, audit)
}

/// Builds parts, valid or not, that live as long as the test.
///
/// # Panics
/// The parts are in an order that no message has.
#[must_use]
#[allow(clippy::expect_used)]
pub fn parts(parts: &[(PartKind, &[u8])]) -> Parts<'static> {
    let mut bytes = alloc::vec::Vec::new();
    for (kind, text) in parts {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&(*kind as u32).to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(text);
    }
    Parts::parse(bytes.leak()).expect("parts in order")
}

/// Builds a text to be completed, valid or not, that lives as long as the test.
///
/// # Panics
/// Never: a single text is always in order.
#[must_use]
pub fn completion(text: &[u8]) -> Parts<'static> {
    parts(&[(PartKind::Text, text)])
}

/// [`policy`] as laid out in its region.
#[must_use]
pub fn policy_bytes() -> alloc::vec::Vec<u8> {
    zerocopy::IntoBytes::as_bytes(&policy()).to_vec()
}

/// A policy for tests: `guest` has no passphrase and may only generate; `admin` may do everything, and its passphrase
/// hash is zeros.
#[must_use]
pub fn policy() -> crate::policy::Policy {
    use crate::limits;
    use crate::name::UserName;
    use crate::policy::{
        Client, FormatRule, MAGIC, POLICY_VERSION, Permission, Policy, Role, User,
    };
    let mut policy: Policy = zerocopy::FromZeros::new_zeroed();
    policy.magic = MAGIC;
    policy.version = POLICY_VERSION;
    policy.keep_prompts = 1;
    policy.deadline_us = limits::INFERENCE_DEADLINE_US;
    policy.train_deadline_us = limits::TRAIN_DEADLINE_US;
    policy.device_key = crate::policy::DeviceKey([7; 32]);
    policy.stop_grace_us = limits::STOP_GRACE_US;
    policy.context_tokens = limits::DEFAULT_CONTEXT_TOKENS as u32;
    policy.max_restarts = 5;
    policy.restart_window_us = 60_000_000;
    policy.egress_bytes_per_second = 1 << 20;
    policy.egress_burst_bytes = 1 << 20;
    policy.login_delay_us = 1_000_000;
    policy.login_delay_max_us = 60_000_000;
    (policy.role_count, policy.user_count) = (2, 2);
    let role = |name, permissions, max_sessions| Role {
        name: UserName::new(name).unwrap_or_default(),
        permissions,
        max_tokens: limits::MAX_GENERATED_TOKENS,
        max_sessions,
        // More than any test writes.
        log_bytes_per_hour: 1 << 30,
        formats: FormatRule::ANY,
    };
    policy.roles[0] = role("reader", 1, 8);
    policy.roles[1] = role("owner", Permission::EVERY, 32);
    let user = |name, role, tokens| User {
        name: UserName::new(name).unwrap_or_default(),
        budget_tokens: tokens,
        budget_period_us: 3_600_000_000,
        role,
        reserved: 0,
        passphrase: zerocopy::FromZeros::new_zeroed(),
    };
    policy.users[0] = user("guest", 0, 100_000);
    policy.users[1] = user("admin", 1, 1_000_000);
    policy.users[1].passphrase.memory_kib = 8;
    policy.users[1].passphrase.passes = 1;
    policy.client_count = 1;
    policy.clients[0] = Client {
        name: UserName::new("shell").unwrap_or_default(),
        channel: 0,
        user: 0,
        login: 1,
        requests: limits::MAX_REQUESTS as u32,
        sessions: limits::MAX_SESSIONS as u32,
        commands: limits::CLIENT_COMMANDS as u32,
        formats: FormatRule::ANY,
    };
    policy
}
