//! The log, each user's share of it, the counters, and the events that are recorded ever more rarely when they repeat.
//!
//! The rules: an event is on record before anybody is told of it. No user's entries take more of the log than the
//! user's share. An event that costs its author nothing is always counted but rarely recorded.

use crate::access::Access;
use crate::counters::{Latencies, Recent};
use crate::log::Log;
use crate::repeats::{AllRepeats, Reason, Repeats};
use crate::shares::{ENTRY, Shares};
use crate::work::Budget;
use protocol::error::{ErrorCode, Failure};
use protocol::name::{ModelName, Name};
use protocol::policy::Policy;
use protocol::record::{Kind, RECORD_BYTES, Record};
use protocol::wire::client::Stats;

/// Limit of repeated events recorded in one wake-up; the rest are due at the next.
const REPEATS: usize = 8;

/// The log with its shares and counters; see the module.
pub(crate) struct Ledger<'m> {
    pub(crate) log: Log<'m>,
    /// Counters; the other fields are filled in on request.
    pub(crate) stats: Stats,
    refused: [u32; ErrorCode::END],
    pub(crate) latencies: Latencies,
    recent: Recent,
    shares: Shares,
    repeats: AllRepeats,
    /// Violations by inference.
    violations: Repeats,
    booted_us: u64,
    /// Since when at least one request for text is under way.
    busy_since_us: Option<u64>,
}

impl<'m> Ledger<'m> {
    pub(crate) fn new(log: &'m mut [u8], policy: &Policy, now: u64) -> Self {
        Self {
            log: Log::new(log),
            stats: Stats::default(),
            refused: [0; ErrorCode::END],
            latencies: Latencies::new(),
            recent: Recent::new(),
            shares: Shares::new(policy, now),
            repeats: AllRepeats::new(),
            violations: Repeats::NONE,
            booted_us: now,
            busy_since_us: None,
        }
    }

    /// Called when the system starts: time counts from here.
    pub(crate) fn start(&mut self, policy: &Policy, now: u64) {
        self.booted_us = now;
        self.shares = Shares::new(policy, now);
    }

    pub(crate) const fn uptime(&self, now: u64) -> u64 {
        now.saturating_sub(self.booted_us)
    }

    // ---- Records --------------------------------------------------------------------------------

    pub(crate) fn record(&mut self, record: Record, work: &mut Budget, now: u64) {
        self.record_with(record, &[], work, now);
    }

    pub(crate) fn record_with(&mut self, record: Record, text: &[u8], work: &mut Budget, now: u64) {
        work.spend(RECORD_BYTES.saturating_add(text.len()));
        self.log.append(record, text, self.uptime(now));
        self.stats.records = self.stats.records.saturating_add(1);
    }

    /// Takes bytes of a user's share of the log.
    ///
    /// # Errors
    /// The share has fewer bytes left; nothing was taken.
    pub(crate) fn take_share(&mut self, user: usize, bytes: u64, now: u64) -> Result<(), Failure> {
        self.shares
            .take(user, bytes, now)
            .map_err(|left| Failure::over(ErrorCode::LogShare, bytes, left))
    }

    /// Gives back bytes of a share that were taken but not used.
    pub(crate) fn give_back(&mut self, user: usize, bytes: u64) {
        self.shares.give_back(user, bytes);
    }

    // ---- Violations -----------------------------------------------------------------------------

    /// Inference broke the protocol, or reported on a request that is over.
    pub(crate) fn violation_of_inference(&mut self, work: &mut Budget, now: u64) {
        self.stats.violations = self.stats.violations.saturating_add(1);
        self.violations.add(0, 0);
        self.record_violations_of_inference(work, now);
    }

    /// Records violations that have no record yet, ever more rarely as they continue. A peer that sends nothing but
    /// garbage cannot push earlier entries out of the log with it.
    pub(crate) fn record_violations_of_inference(&mut self, work: &mut Budget, now: u64) {
        if let Some(count) = self.violations.take(now) {
            self.record_violations(INFERENCE, ModelName::EMPTY, count, work, now);
        }
    }

    /// Records those of a client's violations that are due.
    pub(crate) fn record_violations_of_client<const N: usize>(
        &mut self,
        violations: &mut Repeats,
        name: &Name<N>,
        work: &mut Budget,
        now: u64,
    ) {
        if let Some(count) = violations.take(now) {
            self.record_violations(CLIENT, model_name(name), count, work, now);
        }
    }

    fn record_violations(
        &mut self,
        code: u16,
        name: ModelName,
        count: u64,
        work: &mut Budget,
        now: u64,
    ) {
        let record = Record {
            code,
            name,
            count,
            ..Record::new(Kind::Violation)
        };
        self.record(record, work, now);
    }

    // ---- Events that users can repeat -----------------------------------------------------------

    pub(crate) fn count_refusal(&mut self, code: ErrorCode) {
        self.stats.refused = self.stats.refused.saturating_add(1);
        if let Some(count) = self.refused.get_mut(code as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// Records that a user was refused. A wrong passphrase has cost its user a wait, so each one is recorded; other
    /// refusals cost nothing, so they are recorded ever more rarely.
    pub(crate) fn record_refusal(
        &mut self,
        user: usize,
        failure: Failure,
        record: Record,
        work: &mut Budget,
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
            // The wait bounds the number of these, so they count against no share: every guess gets its entry.
            return self.record(Record { count: 1, ..record }, work, now);
        }
        self.record_repeat(user, Reason::of_refusal(&failure), record, false, work, now);
    }

    /// Records an event that can be repeated at no cost: now if `each` one is recorded or an entry is due, otherwise
    /// later, with a count. Either way it counts against the user's share.
    pub(crate) fn record_repeat(
        &mut self,
        user: usize,
        reason: Reason,
        record: Record,
        each: bool,
        work: &mut Budget,
        now: u64,
    ) {
        let Some(repeats) = self.repeats.of(user, reason) else {
            return;
        };
        repeats.add(record.value, record.limit);
        match repeats.due_us() {
            Some(due_us) if !each && due_us > now => self.repeats.waits_until(due_us),
            _ => self.record_repeated(user, reason, record, work, now),
        }
    }

    /// Starts an entry for repeated events, with their number; postpones it if the user's share has no room.
    fn record_repeated(
        &mut self,
        user: usize,
        reason: Reason,
        record: Record,
        work: &mut Budget,
        now: u64,
    ) {
        let Some(repeats) = self.repeats.of(user, reason) else {
            return;
        };
        if self.shares.take(user, ENTRY, now).is_err() {
            let due_us = repeats.postpone(now);
            return self.repeats.waits_until(due_us);
        }
        let count = repeats.take_now(now);
        self.record(Record { count, ..record }, work, now);
    }

    /// Records the repeated events that are due, each with the details of its newest.
    pub(crate) fn record_repeats(&mut self, access: &Access<'_>, work: &mut Budget, now: u64) {
        for _ in 0..REPEATS {
            let Some((user, reason, (value, limit))) = self.repeats.next_due(now) else {
                return;
            };
            let (kind, code) = match reason {
                // Only logins are refused with these codes.
                Reason::Refusal(code @ ErrorCode::LoginDelayed) => (Kind::LoginFailed, code as u16),
                Reason::Refusal(code) => (Kind::Refuse, code as u16),
                Reason::NotPermitted(_) => (Kind::Refuse, ErrorCode::NotPermitted as u16),
                Reason::Login => (Kind::Login, 0),
                Reason::Logout => (Kind::Logout, 0),
            };
            let record = Record {
                user: access.name(user),
                code,
                value,
                limit,
                ..Record::new(kind)
            };
            self.record_repeated(user, reason, record, work, now);
        }
        // More entries may be due.
        work.goes_on();
    }

    // ---- Counters -------------------------------------------------------------------------------

    /// Counts a token.
    pub(crate) fn count_token(&mut self, now: u64) {
        self.stats.generated_tokens = self.stats.generated_tokens.saturating_add(1);
        self.recent.add(self.uptime(now));
    }

    /// The number of tokens of the last seconds, and the time that they took in microseconds.
    pub(crate) fn rate(&mut self, now: u64) -> (u64, u64) {
        self.recent.rate(self.uptime(now))
    }

    /// Number of refused requests, by reason.
    pub(crate) fn refused(&self) -> &[u32; ErrorCode::END] {
        &self.refused
    }

    /// Updates the time during which a request for text is under way. Must be called after every change of that.
    pub(crate) fn note_busy(&mut self, is_busy: bool, now: u64) {
        match (is_busy, self.busy_since_us) {
            (true, None) => self.busy_since_us = Some(now),
            (false, Some(_)) => {
                self.stats.busy_us = self.busy_us(now);
                self.busy_since_us = None;
            }
            _ => {}
        }
    }

    /// Total time during which a request for text was under way, in microseconds.
    pub(crate) fn busy_us(&self, now: u64) -> u64 {
        let busy = self
            .busy_since_us
            .map_or(0, |since| now.saturating_sub(since));
        self.stats.busy_us.saturating_add(busy)
    }
}

/// The peer that broke the protocol, as the code of a record gives it.
const CLIENT: u16 = 1;
const INFERENCE: u16 = 2;

/// Converts a name for a record's model field.
pub(crate) fn model_name<const N: usize>(name: &Name<N>) -> ModelName {
    ModelName::new(name.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::testing::policy;
    use std::vec;
    use std::vec::Vec;

    fn kinds(ledger: &Ledger<'_>) -> Vec<(Kind, u64)> {
        let entries = ledger.log.iter();
        entries
            .map(|entry| (entry.record.kind().unwrap(), entry.record.count))
            .collect()
    }

    #[test]
    fn a_refusal_is_recorded_at_once_then_rarely_and_counted_always() {
        let policy = policy();
        let mut memory = vec![0; 1 << 14];
        let mut kdf = crate::access::tests::memory();
        let access = Access::new(policy, &mut kdf);
        let mut ledger = Ledger::new(&mut memory, &policy, 0);
        let mut work = Budget::new();
        let failure = Failure::over(ErrorCode::MaxTokens, 600, 512);
        for now in 0..5 {
            let record = Record::new(Kind::Refuse);
            ledger.record_refusal(0, failure, record, &mut work, now);
        }
        assert_eq!(kinds(&ledger), [(Kind::Refuse, 1)]);
        ledger.record_repeats(&access, &mut work, 1_000_001);
        assert_eq!(kinds(&ledger), [(Kind::Refuse, 1), (Kind::Refuse, 4)]);
        assert_eq!(ledger.stats.refused, 5);
        assert_eq!(ledger.refused()[ErrorCode::MaxTokens as usize], 5);
        let last = ledger.log.iter().last().unwrap().record;
        assert_eq!((last.value, last.limit), (600, 512));
        assert_eq!(last.user.as_str(), "guest");
    }

    #[test]
    fn a_share_that_is_used_up_puts_an_entry_off_and_loses_no_event() {
        let mut policy = policy();
        policy.roles[0].log_bytes_per_hour = 64 << 10;
        let mut memory = vec![0; 1 << 14];
        let mut ledger = Ledger::new(&mut memory, &policy, 0);
        let mut work = Budget::new();
        assert_eq!(ledger.take_share(0, 64 << 10, 0), Ok(()));
        let used_up = Failure::over(ErrorCode::LogShare, 1, 0);
        assert_eq!(ledger.take_share(0, 1, 0), Err(used_up));
        let record = Record::new(Kind::Refuse);
        ledger.record_refusal(0, used_up, record, &mut work, 0);
        assert_eq!(kinds(&ledger), []);
        ledger.give_back(0, ENTRY);
        let record = Record::new(Kind::Refuse);
        ledger.record_refusal(0, used_up, record, &mut work, 2_000_000);
        assert_eq!(kinds(&ledger), [(Kind::Refuse, 2)]);
    }

    #[test]
    fn violations_say_whose_they_were_and_time_is_counted_while_it_is_busy() {
        let mut memory = vec![0; 1 << 14];
        let mut ledger = Ledger::new(&mut memory, &policy(), 0);
        let mut work = Budget::new();
        ledger.violation_of_inference(&mut work, 1);
        let mut repeats = Repeats::NONE;
        repeats.add(0, 0);
        let name = protocol::name::UserName::new("mallory").unwrap();
        ledger.record_violations_of_client(&mut repeats, &name, &mut work, 1);
        let codes: Vec<_> = ledger
            .log
            .iter()
            .map(|entry| (entry.record.code, entry.record.name))
            .collect();
        assert_eq!(
            codes,
            [(INFERENCE, ModelName::EMPTY), (CLIENT, model_name(&name))]
        );
        ledger.note_busy(true, 10);
        ledger.note_busy(true, 20);
        assert_eq!(ledger.busy_us(30), 20);
        ledger.note_busy(false, 40);
        ledger.note_busy(false, 50);
        assert_eq!(ledger.busy_us(99), 30);
        ledger.count_token(1_000_000);
        assert_eq!(ledger.rate(1_000_000).0, 1);
    }
}
