//! What audit writes down and counts.

use super::{Current, Monitor, Peer, Phase};
use crate::counters::count;
use crate::table::{Entry, Generation, Origin, Work};
use protocol::name::ModelName;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::console::{Stats, Status};
use protocol::wire::engine::Holdings;

/// Least time between two records of violations by the same peer, in microseconds (1 s). It doubles with each record up
/// to [`RARE_VIOLATIONS_US`]: who sends nothing but garbage does not push what happened before out of the log with it.
const VIOLATIONS_US: u64 = 1_000_000;

/// Most time between them (1 h). After twice as long without one, it begins anew.
const RARE_VIOLATIONS_US: u64 = 3_600_000_000;

/// Violations of a peer that have no record yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Violations {
    count: u64,
    recorded_us: Option<u64>,
    /// How long the next record waits after the last one.
    pause_us: u64,
}

impl<R: ReadWords, W: WriteWords> Monitor<'_, R, W> {
    pub(super) fn uptime(&self, now: u64) -> u64 {
        now.saturating_sub(self.booted_us)
    }

    pub(super) fn record(&mut self, record: Record, now: u64) {
        self.record_with(record, &[], now);
    }

    pub(super) fn record_with(&mut self, record: Record, text: &[u8], now: u64) {
        let time_us = self.uptime(now);
        self.log.append(record, text, time_us);
        self.stats.records = self.log.written();
    }

    /// A record about what the current user asked for.
    pub(super) fn record_of_user(&self, kind: Kind) -> Record {
        Record {
            user: self.access.name(self.access.current()),
            ..Record::new(kind)
        }
    }

    /// A record about a request, with what is known of it.
    pub(super) fn record_of(&self, entry: &Entry, kind: Kind, now: u64) -> Record {
        let mut record = Record {
            request: entry.number,
            user: match entry.origin {
                Origin::Shell(_) => self.access.name(entry.user),
                Origin::Audit => Default::default(),
            },
            latency_us: now.saturating_sub(entry.admitted_us),
            ..Record::new(kind)
        };
        match &entry.work {
            Work::Infer(generation) => self.describe(generation, entry, &mut record),
            Work::Load(verified) => {
                record.name = verified.name;
                record.model_sha256 = verified.sha256;
            }
            Work::Status => {}
        }
        record
    }

    fn describe(&self, generation: &Generation, entry: &Entry, record: &mut Record) {
        record.session = generation.session;
        record.turn = generation.turn;
        record.params = generation.params;
        record.prompt_bytes = generation.prompt_bytes;
        record.prompt_sha256 = generation.prompt_sha256;
        record.generated_tokens = generation.tokens;
        record.first_token_us = generation
            .first_token_us
            .map_or(0, |at| at.saturating_sub(entry.admitted_us));
        if let Some(Current { verified, loaded }) = &self.current {
            record.model_sha256 = verified.sha256;
            record.kv_type = loaded.kv_type as u16;
            record.numerics = loaded.numerics;
        }
    }

    pub(super) fn count_violation(&mut self, peer: Peer, now: u64) {
        self.stats.violations = self.stats.violations.saturating_add(1);
        let violations = match peer {
            Peer::Shell => self.violations.first_mut(),
            Peer::Inference => self.violations.last_mut(),
        };
        if let Some(violations) = violations {
            violations.count = violations.count.saturating_add(1);
        }
        self.record_violations(now);
    }

    /// Writes down what has no record yet, ever more rarely as long as there is ever more of it.
    pub(super) fn record_violations(&mut self, now: u64) {
        for (index, peer) in [Peer::Shell, Peer::Inference].into_iter().enumerate() {
            let Some(violations) = self.violations.get_mut(index) else {
                continue;
            };
            let since = violations.recorded_us.map(|at| now.saturating_sub(at));
            let due = since.is_none_or(|us| us >= violations.pause_us);
            if violations.count > 0 && due {
                let value = core::mem::take(&mut violations.count);
                violations.recorded_us = Some(now);
                violations.pause_us = match since {
                    Some(us) if us < 2 * RARE_VIOLATIONS_US => violations
                        .pause_us
                        .saturating_mul(2)
                        .min(RARE_VIOLATIONS_US),
                    _ => VIOLATIONS_US,
                };
                let record = Record {
                    code: peer as u16,
                    value,
                    ..Record::new(Kind::Violation)
                };
                self.record(record, now);
            }
        }
    }

    /// Requests for text that are under way.
    pub(super) fn active(&self) -> u32 {
        let active = self
            .table
            .iter()
            .filter(|entry| entry.generation().is_some() && !entry.is_over());
        u32::try_from(count(active)).unwrap_or(u32::MAX)
    }

    /// Of them, those whose first token has not come.
    fn queued(&self) -> u32 {
        let waits = |entry: &&Entry| {
            let generation = entry.generation().filter(|_| !entry.is_over());
            generation.is_some_and(|generation| generation.first_token_us.is_none())
        };
        u32::try_from(count(self.table.iter().filter(waits))).unwrap_or(u32::MAX)
    }

    /// Counts the time in which a request is under way; after every change of that.
    pub(super) fn note_busy(&mut self, now: u64) {
        match (self.active() > 0, self.busy_since_us) {
            (true, None) => self.busy_since_us = Some(now),
            (false, Some(since)) => {
                let busy = now.saturating_sub(since);
                self.stats.busy_us = self.stats.busy_us.saturating_add(busy);
                self.busy_since_us = None;
            }
            _ => {}
        }
    }

    pub(super) fn stats_now(&mut self, now: u64) -> Stats {
        let uptime_us = self.uptime(now);
        let (recent_tokens, recent_us) = self.recent.rate(uptime_us);
        let user = self.access.current();
        let busy = self
            .busy_since_us
            .map_or(0, |since| now.saturating_sub(since));
        Stats {
            uptime_us,
            busy_us: self.stats.busy_us.saturating_add(busy),
            recent_tokens,
            recent_us,
            latency_p50_us: self.latencies.percentile(50),
            latency_p95_us: self.latencies.percentile(95),
            latency_p99_us: self.latencies.percentile(99),
            latency_max_us: self.latencies.max(),
            egress_bytes: self.egress.passed(),
            egress_limit: self.egress.limit(),
            budget: self.accounts.budget(user, self.access.name(user), now),
            arena: self
                .current
                .map_or_else(Default::default, |current| current.loaded.arena),
            active: self.active(),
            queued: self.queued(),
            sessions: u32::try_from(self.sessions.count()).unwrap_or(u32::MAX),
            stopped: u32::from(self.phase == Phase::Stopped),
            ..self.stats
        }
    }

    pub(super) fn status(&self, holdings: &Holdings) -> Status {
        let current = self.current.as_ref();
        let info = current.map_or_else(Default::default, |current| current.loaded.info);
        Status {
            name: current.map_or(ModelName::EMPTY, |current| current.verified.name),
            model: info,
            arena: holdings.arena,
            kv_positions: holdings.kv_positions,
            kv_free: holdings.kv_free,
            restarts: u32::try_from(self.stats.restarts).unwrap_or(u32::MAX),
            active: self.active(),
            waiting: holdings.waiting,
            sessions: u32::try_from(self.sessions.count()).unwrap_or(u32::MAX),
        }
    }
}
