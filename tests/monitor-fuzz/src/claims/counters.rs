//! Counters and budgets, as reported to clients.

use super::*;
use crate::model::Phase;
use protocol::error::ErrorCode;
use protocol::wire::client::{Budget, Refusals, Stats};

const SECOND_US: u64 = 1_000_000;

impl Judge<'_> {
    /// Number of requests for text in flight, and of sessions.
    pub(super) fn under_way(&self) -> (u32, u32) {
        let active = self.model.texts().count() as u32;
        (active, self.model.sessions.present.len() as u32)
    }

    pub(super) fn budget(&mut self, user: usize, told: &Budget) -> Held {
        let name = self.model.user_name(user);
        let now = self.now;
        let Some(ledger) = self.model.ledgers.get_mut(user) else {
            return Ok(());
        };
        ledger.roll(now);
        let expected = Budget {
            user: name,
            tokens: ledger.tokens,
            used: ledger.used,
            reserved: ledger.reserved(),
            period_us: ledger.period_us,
            left_us: ledger.left_us(now),
        };
        claim!(
            self,
            Budgets,
            *told == expected,
            "{told:?} should be {expected:?}"
        );
        Ok(())
    }

    pub(super) fn stats(&mut self, client: usize, told: &Stats) -> Held {
        self.budget(self.model.clients[client].user(), &told.budget)?;
        let counts = &self.model.counts;
        let (active, sessions) = self.under_way();
        let queued = self.model.texts().filter(|text| text.first_us.is_none());
        let mut by_code = [0; ErrorCode::END];
        for (code, count) in &counts.refused_by_code {
            by_code[usize::from(*code)] = *count;
        }
        let most = Refusals::most_frequent(&by_code);
        let rate = self.model.policy.map_or(0, |p| p.egress_bytes_per_second);
        let is_stopped = self.model.phase == Phase::Stopped;
        let pairs = [
            ("uptime", told.uptime_us, self.now - self.model.booted_us),
            ("records", told.records, self.explained as u64),
            ("admitted", told.admitted, counts.admitted),
            ("refused", told.refused, counts.refused),
            ("finished", told.finished, counts.finished),
            ("cancelled", told.cancelled, counts.cancelled),
            ("failed", told.failed, counts.failed),
            ("prompt tokens", told.prompt_tokens, counts.prompt_tokens),
            ("tokens", told.generated_tokens, counts.generated_tokens),
            ("busy", told.busy_us, self.model.busy.until(self.now)),
            ("faults", told.faults, counts.faults),
            ("restarts", told.restarts, counts.restarts),
            ("timeouts", told.timeouts, counts.timeouts),
            ("violations", told.violations, counts.violations),
            ("evicted", told.evicted, counts.evicted),
            (
                "format breaches",
                told.format_breaches,
                counts.format_breaches,
            ),
            ("egress", told.egress_bytes, self.model.bucket.passed),
            ("egress limit", told.egress_limit, u64::from(rate)),
            (
                "held by egress",
                told.egress_held_us,
                self.model.bucket.held_us(self.now),
            ),
            ("active", u64::from(told.active), u64::from(active)),
            ("queued", u64::from(told.queued), queued.count() as u64),
            ("sessions", u64::from(told.sessions), u64::from(sessions)),
            ("stopped", u64::from(told.stopped), u64::from(is_stopped)),
        ];
        for (what, told, expected) in pairs {
            claim!(
                self,
                Counters,
                told == expected,
                "{what}: {told}, not {expected}"
            );
        }
        claim!(
            self,
            Counters,
            told.refusals == most,
            "{:?} should be {most:?}",
            told.refusals
        );
        self.rates(told)
    }

    /// Rates and latencies.
    fn rates(&mut self, told: &Stats) -> Held {
        let up = self.now - self.model.booted_us;
        let first = (up / SECOND_US).saturating_sub(9) * SECOND_US;
        let recent = self.model.token_times.iter().filter(|at| **at >= first);
        let expected = (recent.count() as u64, up - first);
        claim!(
            self,
            Counters,
            (told.recent_tokens, told.recent_us) == expected,
            "{} tokens in {} us, not {expected:?}",
            told.recent_tokens,
            told.recent_us
        );
        let mut latencies = self.model.latencies.clone();
        latencies.sort_unstable();
        let percentiles = [
            (50, told.latency_p50_us),
            (95, told.latency_p95_us),
            (99, told.latency_p99_us),
        ];
        let most = latencies.last().copied().unwrap_or(0);
        for (percent, told) in percentiles {
            let rank = (latencies.len() * percent).div_ceil(100).max(1);
            let exact = latencies.get(rank - 1).copied().unwrap_or(0);
            // Latencies are known to one part in sixteen.
            claim!(
                self,
                Counters,
                (exact..=exact + exact / 16).contains(&told) && told <= most,
                "{percent} of a hundred requests took {told} us, not {exact}"
            );
        }
        claim!(
            self,
            Counters,
            told.latency_max_us == most,
            "the longest request took {} us, not {most}",
            told.latency_max_us
        );
        Ok(())
    }
}
