//! Counters, budgets and users.

use super::arena_lines;
use crate::text::{CodeName, Count, CountOf, Rate, Seconds, Time};
use core::fmt::{self, Display, Formatter};
use protocol::policy::Permission;
use protocol::wire::client::{Budget, Refusals, Stats, User};

/// A line about a user's budget.
pub(crate) struct BudgetText<'a>(pub(crate) &'a Budget);

impl Display for BudgetText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let budget = self.0;
        write!(
            f,
            "{}: {} of {} left ({} used, {} reserved); the period of {} ends in {}",
            budget.user,
            budget.available(),
            Count(budget.tokens, "token"),
            budget.used,
            budget.reserved,
            Time(budget.period_us),
            Time(budget.left_us)
        )
    }
}

/// The answer to `llmstats`.
pub(crate) struct StatsText<'a>(pub(crate) &'a Stats);

impl Display for StatsText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let stats = self.0;
        writeln!(f, "uptime       {} s", Seconds(stats.uptime_us))?;
        writeln!(
            f,
            "requests     {} admitted, {} refused, {} finished, {} cancelled, {} failed, {} under way, of which {} wait for their first token",
            stats.admitted,
            stats.refused,
            stats.finished,
            stats.cancelled,
            stats.failed,
            stats.active,
            stats.queued
        )?;
        for Refusals { code, count } in stats.refusals {
            if let Some(code) = code {
                writeln!(f, "             {count} refused: {}", CodeName(code))?;
            }
        }
        match stats.refused_otherwise() {
            0 => {}
            count => writeln!(f, "             {count} refused for other reasons")?,
        }
        let average = Rate {
            tokens: stats.generated_tokens,
            us: stats.busy_us,
        };
        let now = Rate {
            tokens: stats.recent_tokens,
            us: stats.recent_us,
        };
        writeln!(
            f,
            "tokens       {} of prompts, {} generated, {average} tokens/s on average, {now} tokens/s now",
            stats.prompt_tokens, stats.generated_tokens
        )?;
        writeln!(
            f,
            "latency      p50 {} s, p95 {} s, p99 {} s, max {} s",
            Seconds(stats.latency_p50_us),
            Seconds(stats.latency_p95_us),
            Seconds(stats.latency_p99_us),
            Seconds(stats.latency_max_us)
        )?;
        writeln!(
            f,
            "sessions     {} with keys and values, {} evicted",
            stats.sessions, stats.evicted
        )?;
        writeln!(
            f,
            "inference    {}, {}, {} passed, {}",
            Count(stats.faults, "fault"),
            Count(stats.restarts, "restart"),
            Count(stats.timeouts, "deadline"),
            Count(stats.violations, "protocol violation")
        )?;
        if stats.format_breaches != 0 {
            writeln!(
                f,
                "             {} that violated a format or continued past a stop string",
                Count(stats.format_breaches, "answer")
            )?;
        }
        if stats.stopped != 0 {
            writeln!(
                f,
                "             stopped after too many restarts; see 'help reset'"
            )?;
        }
        writeln!(
            f,
            "egress       {} left inference, {} in a second are allowed",
            Count(stats.egress_bytes, "byte"),
            stats.egress_limit
        )?;
        if stats.egress_held_us > 0 {
            writeln!(
                f,
                "             text has waited {} s for the egress cap",
                Seconds(stats.egress_held_us)
            )?;
        }
        writeln!(f, "budget       {}", BudgetText(&stats.budget))?;
        writeln!(
            f,
            "audit log    {} since the system was started",
            CountOf(stats.records, "entry", "entries")
        )?;
        arena_lines(f, &stats.arena)
    }
}

/// A user, with the role and its permissions.
pub(crate) struct UserText<'a>(pub(crate) &'a User);

impl Display for UserText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let user = self.0;
        write!(f, "{} ({}; may ", user.name, user.role)?;
        let mut first = true;
        for permission in Permission::ALL {
            if user.permissions & permission as u32 != 0 {
                let comma = if first { "" } else { ", " };
                write!(f, "{comma}{}", permission.as_str())?;
                first = false;
            }
        }
        f.write_str(if first { "nothing)" } else { ")" })
    }
}
