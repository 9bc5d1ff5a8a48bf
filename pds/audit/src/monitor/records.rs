//! Records of requests, and answers about the state of the system, which need several of the monitor's parts.

use super::Monitor;
use crate::counters::count;
use crate::files::FilesEnd;
use crate::generation::Generation;
use crate::link::{Current, Phase};
use crate::shares::ENTRY;
use crate::table::{InFlight, Work};
use protocol::attest::Attestation;
use protocol::error::{ErrorCode, Failure};
use protocol::hash::SIGNATURE_BYTES;
use protocol::name::{ModelName, Nonce};
use protocol::policy::Permission;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{Event, Refusals, Stats, Status};
use protocol::wire::engine::Holdings;
use sha2::{Digest as _, Sha256};

/// Marks an entry as a violation by files; the other peers' values are in the ledger.
const FILES: u16 = 3;

impl<R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'_, R, W, F> {
    pub(super) fn record(&mut self, record: Record, now: u64) {
        self.ledger.record(record, &mut self.work, now);
    }

    /// Records messages that no honest files domain sends. There are few such entries, because audit stops reading from
    /// files after some of them.
    pub(super) fn record_breaches_of_files(&mut self, now: u64) {
        // Nothing is recorded until the log has been found.
        if !self.serves() {
            return;
        }
        let breaches = self.disk().map_or(0, |files| files.link.take_breaches());
        if breaches > 0 {
            let record = Record {
                code: FILES,
                count: u64::from(breaches),
                ..Record::new(Kind::Violation)
            };
            self.record(record, now);
        }
    }

    /// Records an entry about a request, out of the share that the request has reserved.
    pub(super) fn record_about(&mut self, index: usize, record: Record, now: u64) {
        if let Some(entry) = self.table.get_mut(index) {
            entry.share = entry.share.saturating_sub(ENTRY);
        }
        self.record(record, now);
    }

    /// A record about a client's request, in the name of its current user.
    pub(super) fn record_of_client(&self, client: usize, kind: Kind) -> Record {
        Record {
            user: self.gate.access.name(self.clients.user(client)),
            ..Record::new(kind)
        }
    }

    /// A record about a request, with its details filled in.
    pub(super) fn record_of(&self, entry: &InFlight<'_>, kind: Kind, now: u64) -> Record {
        let mut record = Record {
            request: entry.number,
            user: match entry.client() {
                Some(_) => self.gate.access.name(entry.user),
                None => Default::default(),
            },
            latency_us: now.saturating_sub(entry.admitted_us),
            ..Record::new(kind)
        };
        match &entry.work {
            Work::Infer(generation) => self.describe(generation, entry.admitted_us, &mut record),
            Work::Load(verified) => {
                record.name = verified.name;
                record.model_sha256 = verified.sha256;
            }
            Work::Verify(verification) | Work::VerifyAdapter(verification) => {
                record.name = verification.name();
            }
            Work::Adapter(_, adapter) => record = self.describe_adapter(adapter, record),
            Work::Tune(tuning) => {
                tuning.describe(&mut record);
                self.describe_arithmetic(&mut record);
            }
            Work::Status => {}
        }
        record
    }

    fn describe(&self, generation: &Generation<'_>, admitted_us: u64, record: &mut Record) {
        record.session = generation.session;
        record.turn = generation.turn;
        record.params = generation.params;
        record.adapter_sha256 = generation.adapter.map(|it| it.sha256).unwrap_or_default();
        record.prompt_bytes = generation.prompt_bytes;
        record.prompt_sha256 = generation.prompt_sha256;
        record.segments = generation.extent.segments;
        record.stops = u16::try_from(generation.extent.stops).unwrap_or(u16::MAX);
        record.user_defined = u16::from(self.gate.policy().user_defined == 1);
        record.format = generation.format;
        record.format_sha256 = generation.format_sha256;
        record.generated_tokens = generation.tokens;
        record.first_token_us = generation
            .first_token_us
            .map_or(0, |at| at.saturating_sub(admitted_us));
        if let Some(Current { verified, .. }) = &self.link.current {
            record.model_sha256 = verified.sha256;
        }
        self.describe_arithmetic(record);
    }

    /// Adds the arithmetic that inference uses, because a replay must use the same.
    fn describe_arithmetic(&self, record: &mut Record) {
        if let Some(Current { loaded, .. }) = &self.link.current {
            record.kv_type = loaded.kv_type as u16;
            record.numerics = loaded.numerics;
        }
    }

    /// Signs the head of the log.
    pub(super) fn attest(&mut self, client: usize, id: u32, nonce: Nonce) -> Result<(), Failure> {
        let user = self.clients.user(client);
        self.gate.access.require(user, Permission::Log)?;
        let (sequence, head, boot) = self.head();
        let mut attestation = Attestation {
            sequence,
            boot,
            nonce,
            head,
            signature: [0; SIGNATURE_BYTES],
        };
        let digest = Sha256::digest(attestation.statement()).into();
        let signature = self.device.sign(&digest);
        attestation.signature = signature.ok_or(Failure::of(ErrorCode::NoDeviceKey))?;
        // Signing is work enough for a wake-up.
        self.work.spend_all();
        self.clients.tell(client, id, &Event::Attested(attestation));
        Ok(())
    }

    /// Counts a message that no honest client sends.
    pub(super) fn count_violation(&mut self, client: usize, now: u64) {
        let stats = &mut self.ledger.stats;
        stats.violations = stats.violations.saturating_add(1);
        if let Some(client) = self.clients.get_mut(client) {
            client.violations.add(0, 0);
            let name = client.name();
            let violations = &mut client.violations;
            self.ledger
                .record_violations_of_client(violations, &name, &mut self.work, now);
        }
    }

    /// Records the repeated events that are now due.
    pub(super) fn record_what_is_due(&mut self, now: u64) {
        let Self {
            ledger,
            clients,
            gate,
            work,
            ..
        } = self;
        for client in clients.iter_mut() {
            if client.violations.due_us().is_some() {
                let name = client.name();
                ledger.record_violations_of_client(&mut client.violations, &name, work, now);
            }
        }
        ledger.record_violations_of_inference(work, now);
        ledger.record_repeats(&gate.access, work, now);
    }

    /// Number of requests for text in flight.
    pub(super) fn active(&self) -> u32 {
        let active = self.table.iter().filter(|entry| entry.running().is_some());
        u32::try_from(count(active)).unwrap_or(u32::MAX)
    }

    /// How many of them are still waiting for their first token.
    fn queued(&self) -> u32 {
        let waits = |entry: &&InFlight<'_>| {
            let generation = entry.running();
            generation.is_some_and(|generation| generation.first_token_us.is_none())
        };
        u32::try_from(count(self.table.iter().filter(waits))).unwrap_or(u32::MAX)
    }

    pub(super) fn note_busy(&mut self, now: u64) {
        let is_busy = self.active() > 0;
        self.ledger.note_busy(is_busy, now);
    }

    pub(super) fn stats_now(&mut self, client: usize, now: u64) -> Stats {
        let uptime_us = self.ledger.uptime(now);
        let (recent_tokens, recent_us) = self.ledger.rate(now);
        let user = self.clients.user(client);
        let name = self.gate.access.name(user);
        let latencies = &self.ledger.latencies;
        Stats {
            uptime_us,
            busy_us: self.ledger.busy_us(now),
            recent_tokens,
            recent_us,
            latency_p50_us: latencies.percentile(50),
            latency_p95_us: latencies.percentile(95),
            latency_p99_us: latencies.percentile(99),
            latency_max_us: latencies.max(),
            egress_bytes: self.egress.passed(),
            egress_limit: self.egress.limit(),
            egress_held_us: self.egress.held_us(now),
            budget: self.gate.accounts.budget(user, name, now),
            arena: self
                .link
                .current
                .map_or_else(Default::default, |current| current.loaded.arena),
            active: self.active(),
            queued: self.queued(),
            sessions: u32::try_from(self.gate.sessions.count()).unwrap_or(u32::MAX),
            stopped: u32::from(self.link.phase == Phase::Stopped),
            refusals: Refusals::most_frequent(self.ledger.refused()),
            ..self.ledger.stats
        }
    }

    pub(super) fn status(&self, holdings: &Holdings, now: u64) -> Status {
        let current = self.link.current.as_ref();
        let info = current.map_or_else(Default::default, |current| current.loaded.info);
        let (tuning, training) = self.describe_tuning(now).unwrap_or_default();
        Status {
            name: current.map_or(ModelName::EMPTY, |current| current.verified.name),
            model: info,
            arena: holdings.arena,
            kv_positions: holdings.kv_positions,
            kv_free: holdings.kv_free,
            restarts: u32::try_from(self.ledger.stats.restarts).unwrap_or(u32::MAX),
            active: self.active(),
            waiting: holdings.waiting,
            sessions: u32::try_from(self.gate.sessions.count()).unwrap_or(u32::MAX),
            adapters: self.places.count(),
            tuning,
            training,
            egress_left: self.egress.left(now),
            egress_burst: self.egress.burst(),
            egress_limit: self.egress.limit(),
        }
    }
}
