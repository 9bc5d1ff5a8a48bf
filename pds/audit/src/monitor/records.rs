//! What audit writes down and counts.

use super::{Current, Monitor, Peer, Phase};
use crate::counters::count;
use crate::repeats::Reason;
use crate::shares::ENTRY;
use crate::table::{Entry, Generation, Origin, Work};
use protocol::error::{ErrorCode, Failure};
use protocol::name::ModelName;
use protocol::record::{Kind, RECORD_BYTES, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{Refusals, Stats, Status};
use protocol::wire::engine::Holdings;

/// Repeated events that are recorded in one wake-up at most; the rest is due at the next.
const REPEATS: usize = 8;

impl<R: ReadWords, W: WriteWords> Monitor<'_, R, W> {
    pub(super) fn uptime(&self, now: u64) -> u64 {
        now.saturating_sub(self.booted_us)
    }

    pub(super) fn record(&mut self, record: Record, now: u64) {
        self.record_with(record, &[], now);
    }

    pub(super) fn record_with(&mut self, record: Record, text: &[u8], now: u64) {
        let time_us = self.uptime(now);
        let hashed = RECORD_BYTES.saturating_add(text.len());
        self.work = self.work.saturating_sub(hashed);
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
    pub(super) fn record_of(&self, entry: &Entry<'_>, kind: Kind, now: u64) -> Record {
        let mut record = Record {
            request: entry.number,
            user: match entry.origin {
                Origin::Shell(_) | Origin::Forgotten => self.access.name(entry.user),
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
            Work::Verify(verification) => record.name = verification.name(),
            Work::Status => {}
        }
        record
    }

    fn describe(&self, generation: &Generation, entry: &Entry<'_>, record: &mut Record) {
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
        let repeats = match peer {
            Peer::Shell => self.violations.first_mut(),
            Peer::Inference => self.violations.last_mut(),
        };
        if let Some(repeats) = repeats {
            repeats.add(0, 0);
        }
        self.record_violations(now);
    }

    /// Writes down what has no record yet, ever more rarely as long as there is ever more of it: who sends nothing but
    /// garbage does not push what happened before out of the log with it.
    pub(super) fn record_violations(&mut self, now: u64) {
        for (index, peer) in [Peer::Shell, Peer::Inference].into_iter().enumerate() {
            let due = self.violations.get_mut(index).and_then(|it| it.take(now));
            if let Some(count) = due {
                let record = Record {
                    code: peer as u16,
                    count,
                    ..Record::new(Kind::Violation)
                };
                self.record(record, now);
            }
        }
    }

    // ---- What users cause ---------------------------------------------------------------------

    /// Takes bytes of the current user's share of the log.
    pub(super) fn take_share(&mut self, bytes: u64, now: u64) -> Result<(), Failure> {
        let user = self.access.current();
        self.shares
            .take(user, bytes, now)
            .map_err(|left| Failure::over(ErrorCode::LogShare, bytes, left))
    }

    /// Writes down something about an entry of the table, out of the share that it has taken.
    pub(super) fn record_about(&mut self, index: usize, record: Record, text: &[u8], now: u64) {
        if let Some(entry) = self.table.get_mut(index) {
            let bytes = ENTRY.saturating_add(text.len() as u64);
            entry.share = entry.share.saturating_sub(bytes);
        }
        self.record_with(record, text, now);
    }

    pub(super) fn count_refusal(&mut self, code: ErrorCode) {
        self.stats.refused = self.stats.refused.saturating_add(1);
        if let Some(count) = self.refused_by_code.get_mut(code as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// Writes down that a user was refused. A wrong passphrase has cost a wait, so each is recorded; all else costs
    /// nothing, so it is recorded ever more rarely.
    pub(super) fn record_refusal(
        &mut self,
        user: usize,
        failure: Failure,
        record: Record,
        now: u64,
    ) {
        self.count_refusal(failure.code);
        let record = Record {
            code: failure.code as u16,
            value: failure.value,
            limit: failure.limit,
            ..record
        };
        if failure.code == ErrorCode::LoginFailed {
            // The wait bounds how many there can be, so it comes out of nobody's share: no guess goes without its entry.
            return self.record(Record { count: 1, ..record }, now);
        }
        self.record_repeat(user, Reason::of_refusal(&failure), record, false, now);
    }

    /// Writes down what can be repeated at no cost: at once if `each` is recorded or one is due, else later, with the
    /// number of them; in any case out of the user's share.
    pub(super) fn record_repeat(
        &mut self,
        user: usize,
        reason: Reason,
        record: Record,
        each: bool,
        now: u64,
    ) {
        let Some(repeats) = self.repeats.of(user, reason) else {
            return;
        };
        repeats.add(record.value, record.limit);
        match repeats.due_us() {
            Some(due_us) if !each && due_us > now => self.repeats.waits_until(due_us),
            _ => self.record_repeated(user, reason, record, now),
        }
    }

    /// Begins an entry for what was repeated, with the number of events that it stands for; later if the user's share has
    /// no room for it.
    fn record_repeated(&mut self, user: usize, reason: Reason, record: Record, now: u64) {
        let Some(repeats) = self.repeats.of(user, reason) else {
            return;
        };
        if self.shares.take(user, ENTRY, now).is_err() {
            let due_us = repeats.postpone(now);
            return self.repeats.waits_until(due_us);
        }
        let count = repeats.take_now(now);
        self.record(Record { count, ..record }, now);
    }

    /// Writes down what was repeated and is due now, with what the newest said.
    pub(super) fn record_repeats(&mut self, now: u64) {
        for _ in 0..REPEATS {
            let Some((user, reason, (value, limit))) = self.repeats.next_due(now) else {
                return;
            };
            let (kind, code) = match reason {
                // Only logins are refused for these.
                Reason::Refusal(code @ ErrorCode::LoginDelayed) => (Kind::LoginFailed, code as u16),
                Reason::Refusal(code) => (Kind::Refuse, code as u16),
                Reason::NotPermitted(_) => (Kind::Refuse, ErrorCode::NotPermitted as u16),
                Reason::Login => (Kind::Login, 0),
                Reason::Logout => (Kind::Logout, 0),
            };
            let record = Record {
                user: self.access.name(user),
                code,
                value,
                limit,
                ..Record::new(kind)
            };
            self.record_repeated(user, reason, record, now);
        }
        // There may be more.
        self.works = true;
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
        let waits = |entry: &&Entry<'_>| {
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
            refusals: Refusals::most_frequent(&self.refused_by_code),
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
