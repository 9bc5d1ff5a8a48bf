//! The simulated peers, and what they saw.

mod asking;

pub(super) use super::peers::*;
use crate::access::tests as access;
use crate::files::{FilesEnd, NoFiles};
use crate::models::tests as models;
use crate::{Audit, ClientEnd, Memory, Texts};
use protocol::adapters::REGION_BYTES;
use protocol::policy::Policy;
use protocol::record::{Kind, Record};
use protocol::testing::{TestEndpoint, TestRegion, all_of_endpoints, endpoints};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;
use zerocopy::IntoBytes as _;

pub(super) struct System<F = NoFiles> {
    /// Boxed, because it is larger than most of a test thread's stack.
    pub(super) audit: Box<Audit<'static, TestRegion, TestRegion, F>>,
    pub(super) runtime: Runtime,
    pub(super) shell: TestEndpoint,
    /// A second client, on [`OTHER`].
    pub(super) other: TestEndpoint,
    pub(super) inference: TestEndpoint,
    pub(super) inference_region: TestRegion,
    /// The region of adapters.
    pub(super) adapters: TestRegion,
    /// Audit's side of inference's rings, in memory.
    pub(super) to_inference_region: TestRegion,
    pub(super) shell_region: TestRegion,
    /// Tokens that inference may generate, by request number.
    pub(super) credit: BTreeMap<u32, u32>,
    /// The adapter of inference's latest request, as in the command.
    pub(super) used: u32,
    /// Its format, as in the command.
    pub(super) bound: u32,
    /// Number of the load that audit started itself.
    pub(super) own_load: u32,
}

/// The shell's channel.
pub(super) const SHELL: u8 = 0;
/// Channel of another client, which only some policies name.
pub(super) const OTHER: u8 = 5;

pub(super) const SECOND: u64 = 1_000_000;

/// How much time audit takes between two looks at the clock, unless a test says otherwise.
const TAKES_US: u64 = 7;

/// `guest` may generate; `admin`, whose passphrase is "secret", may do everything.
pub(super) fn policy() -> Policy {
    models::trusting(access::policy())
}

fn leak<T: Clone>(value: T, count: usize) -> &'static mut [T] {
    Box::leak(vec![value; count].into_boxed_slice())
}

impl System {
    /// Before anything has happened.
    pub(super) fn new(policy: &[u8], store: Vec<u8>) -> Self {
        Self::with_formats(policy, store, Vec::new())
    }

    /// Like [`Self::new`], with this region of formats.
    pub(super) fn with_formats(policy: &[u8], store: Vec<u8>, formats: Vec<u8>) -> Self {
        let mut system = Self::build(policy, store, formats, |_| None);
        system.follow();
        system
    }

    /// A system with two clients: the shell, and one that is always `guest` and has an equal part of everything.
    pub(super) fn of_two() -> Self {
        let mut system = Self::serving_with(&two_clients());
        let told = system.told_to_other();
        assert_eq!(told.last(), Some(&Told::Ready("guest".into())));
        system
    }

    /// A system in which audit's own load waits in inference's ring.
    pub(super) fn boot(policy: &Policy) -> Self {
        let mut system = Self::new(policy.as_bytes(), models::signed());
        system.join();
        system
    }

    /// A system in service.
    pub(super) fn serving_with(policy: &Policy) -> Self {
        let mut system = Self::boot(policy);
        system.loaded(system.own_load);
        let told = system.told();
        assert!(told.contains(&Told::Ready("guest".into())), "{told:?}");
        system
    }

    /// A system in service, with adapters and data in its store, and `admin` logged in.
    pub(super) fn with_adapters_and(policy: &Policy) -> Self {
        let mut system = Self::new(policy.as_bytes(), models::with_adapters());
        system.join();
        system.loaded(system.own_load);
        system.told();
        system.log_in("admin", "secret");
        system
    }

    pub(super) fn with_adapters() -> Self {
        Self::with_adapters_and(&policy())
    }

    pub(super) fn serving() -> Self {
        Self::serving_with(&policy())
    }

    /// Like [`Self::serving`], but audit's work takes no time: for tests with exact times.
    pub(super) fn timeless() -> Self {
        let mut system = Self::serving();
        system.runtime.takes_us = 0;
        system
    }

    /// A system in service, with `admin` logged in.
    pub(super) fn of_admin() -> Self {
        let mut system = Self::serving();
        system.log_in("admin", "secret");
        system
    }
}

impl<F: FilesEnd<TestRegion, TestRegion>> System<F> {
    /// Starts audit. `files`: its end towards files, over this store.
    pub(super) fn build(
        policy: &[u8],
        store: Vec<u8>,
        formats: Vec<u8>,
        files: impl FnOnce(&'static [u8]) -> Option<F>,
    ) -> Self {
        let (ring, shell, shell_region) = endpoints();
        let (others_ring, other, _) = endpoints();
        let mut clients = heapless::Vec::new();
        for (channel, ring) in [(SHELL, ring), (OTHER, others_ring)] {
            let _ = clients.push(ClientEnd { channel, ring });
        }
        let (inference_end, inference, inference_region, to_inference_region) = all_of_endpoints();
        let store: &'static [u8] = Box::leak(store.into_boxed_slice());
        let files = files(store);
        let memory = Memory {
            log: leak(0, 1 << 18),
            kdf: Box::leak(access::memory().into_boxed_slice()),
            texts: Box::leak(Box::new(Texts::new())),
            policy: Box::leak(policy.to_vec().into_boxed_slice()),
            formats: Box::leak(formats.into_boxed_slice()),
            store,
        };
        let adapters = TestRegion::with_words(REGION_BYTES / 8);
        let mut system = Self {
            audit: Box::new(Audit::new(
                clients,
                inference_end,
                memory,
                adapters.clone(),
                files,
            )),
            adapters,
            runtime: Runtime {
                now: SECOND,
                takes_us: TAKES_US,
                ..Runtime::default()
            },
            shell,
            other,
            inference,
            inference_region,
            to_inference_region,
            shell_region,
            credit: BTreeMap::new(),
            used: 0,
            bound: 0,
            own_load: 0,
        };
        system.audit.start(&mut system.runtime);
        system
    }

    /// The clients join their epoch, which puts audit in service.
    pub(super) fn follow(&mut self) {
        assert!(self.shell.follow());
        assert!(self.other.follow());
    }

    pub(super) fn records(&self) -> Vec<Record> {
        self.audit.log().iter().map(|entry| entry.record).collect()
    }

    pub(super) fn last_record(&self, kind: Kind) -> Record {
        let mut records = self.records().into_iter();
        records
            .rfind(|record| record.kind() == Some(kind))
            .unwrap_or_else(|| panic!("no record of {kind:?}"))
    }
}
