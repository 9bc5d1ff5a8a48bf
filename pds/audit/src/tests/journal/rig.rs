//! Audit with a log held by the test.

use super::*;

/// A system with a disk.
pub(super) struct Rig {
    pub(super) system: System<Files<TestRegion, TestRegion>>,
    pub(super) files: TestEndpoint,
    pub(super) card: Card,
}

impl Rig {
    /// Starts audit, which knows nothing of the disk yet.
    pub(super) fn new(policy: &Policy, card: Card) -> Self {
        let (ring, files, _) = endpoints();
        let (staging, slots) = (TestRegion::with_words(8), TestRegion::with_words(16));
        let journal = Box::leak(Box::new(JournalMemory::new()));
        let system = System::build(policy.as_bytes(), models::signed(), Vec::new(), |store| {
            Some(Files::new(ring, staging, slots, store, journal))
        });
        let mut rig = Self {
            system,
            files,
            card,
        };
        assert!(rig.files.follow());
        rig
    }

    /// Lets files and audit do all they can.
    pub(super) fn pump(&mut self) {
        while self.card.serve(&mut self.files) {
            self.system.wake();
        }
    }

    /// A system in service.
    pub(super) fn serving(policy: &Policy, card: Card) -> Self {
        let mut rig = Self::new(policy, card);
        rig.pump();
        rig.join();
        rig
    }

    /// Inference and the clients join, and the model is loaded.
    pub(super) fn join(&mut self) {
        let system = &mut self.system;
        assert!(system.shell.follow() && system.other.follow());
        system.join();
        system.loaded(system.own_load);
        self.pump();
        let told = self.system.told_at_last();
        assert!(told.contains(&Told::Ready("guest".into())), "{told:?}");
    }

    pub(super) fn ask(&mut self, id: u32, request: &Request<'_>) {
        self.system.ask(id, request);
        self.pump();
    }

    /// A complete request with the longest possible prompt.
    pub(super) fn fill(&mut self, id: u32) {
        let parts = protocol::testing::completion(&[b'x'; protocol::limits::MAX_PROMPT_BYTES]);
        let request = Request::Infer {
            params: protocol::wire::InferParams {
                max_tokens: 1,
                ..Default::default()
            },
            session: Default::default(),
            adapter: Default::default(),
            format: Default::default(),
            parts,
        };
        self.ask(id, &request);
        let number = self.system.admitted();
        self.system.finished(number, FinishReason::EndOfText, 0);
        self.pump();
        assert!(is_end(&self.system.told_at_last(), id));
    }

    /// A complete request with an answer of this many tokens.
    pub(super) fn generate(&mut self, id: u32, tokens: u32) -> Vec<Told> {
        self.system.infer(id, tokens);
        self.pump();
        let number = self.system.admitted();
        for _ in 0..tokens {
            self.system.token(number, "a");
            self.pump();
        }
        self.system
            .finished(number, FinishReason::MaxTokens, tokens);
        self.pump();
        self.system.told_at_last()
    }

    pub(super) fn records(&self, kind: Kind) -> Vec<Record> {
        let all = self.system.records().into_iter();
        all.filter(|record| record.kind() == Some(kind)).collect()
    }

    pub(super) fn log_in(&mut self) {
        self.system.log_in("admin", "secret");
        self.pump();
    }
}

pub(super) fn policy_of(write: LogWrite, on_failure: LogFailure) -> Policy {
    let mut policy = policy();
    (policy.log_write, policy.log_on_failure) = (write as u32, on_failure as u32);
    policy
}

pub(super) fn is_end(told: &[Told], id: u32) -> bool {
    matches!(told.last(), Some(Told::Finished(last, _)) if *last == id)
}
