//! `llmstats --json`: one object per line. Its members are named like the fields of [`Stats`].

use crate::text::{CodeName, Rate};
use core::fmt::{self, Display, Formatter};
use protocol::wire::ArenaUse;
use protocol::wire::client::{Budget, Refusals, Stats};
use safe_text::json::Object;

pub(crate) struct StatsJson<'a>(pub(crate) &'a Stats);

impl Display for StatsJson<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Stats {
            uptime_us,
            admitted,
            refused,
            finished,
            cancelled,
            failed,
            prompt_tokens,
            generated_tokens,
            busy_us,
            faults,
            restarts,
            timeouts,
            violations,
            format_breaches,
            records,
            evicted,
            recent_tokens,
            recent_us,
            latency_p50_us,
            latency_p95_us,
            latency_p99_us,
            latency_max_us,
            egress_bytes,
            egress_limit,
            egress_held_us,
            budget,
            arena,
            active,
            sessions,
            queued,
            stopped,
            refusals,
        } = self.0;
        let average = Rate {
            tokens: *generated_tokens,
            us: *busy_us,
        };
        let now = Rate {
            tokens: *recent_tokens,
            us: *recent_us,
        };
        Object::new(f)
            .member("uptime_us", uptime_us)
            .member("admitted", admitted)
            .member("refused", refused)
            .member("finished", finished)
            .member("cancelled", cancelled)
            .member("failed", failed)
            .member("prompt_tokens", prompt_tokens)
            .member("generated_tokens", generated_tokens)
            .member("busy_us", busy_us)
            .member("faults", faults)
            .member("restarts", restarts)
            .member("timeouts", timeouts)
            .member("violations", violations)
            .member("format_breaches", format_breaches)
            .member("records", records)
            .member("evicted", evicted)
            .member("recent_tokens", recent_tokens)
            .member("recent_us", recent_us)
            .member("latency_p50_us", latency_p50_us)
            .member("latency_p95_us", latency_p95_us)
            .member("latency_p99_us", latency_p99_us)
            .member("latency_max_us", latency_max_us)
            .member("egress_bytes", egress_bytes)
            .member("egress_limit", egress_limit)
            .member("egress_held_us", egress_held_us)
            .member("active", active)
            .member("queued", queued)
            .member("sessions", sessions)
            .member("stopped", *stopped != 0)
            .member("tokens_per_second", average)
            .member("tokens_per_second_now", now)
            .object("refusals", |object| {
                for Refusals { code, count } in refusals {
                    if let Some(code) = code {
                        object.member(CodeName(*code), count);
                    }
                }
                object.member("other", self.0.refused_otherwise());
            })
            .object("budget", |object| {
                let Budget {
                    user,
                    tokens,
                    used,
                    reserved,
                    period_us,
                    left_us,
                } = budget;
                object
                    .text("user", user)
                    .member("tokens", tokens)
                    .member("used", used)
                    .member("reserved", reserved)
                    .member("available", budget.available())
                    .member("period_us", period_us)
                    .member("left_us", left_us);
            })
            .object("arena", |object| {
                let ArenaUse {
                    weights,
                    kv_cache,
                    activations,
                    vocabulary,
                    adapters,
                    training,
                    other,
                    peak,
                    capacity,
                } = arena;
                object
                    .member("weights", weights)
                    .member("kv_cache", kv_cache)
                    .member("activations", activations)
                    .member("vocabulary", vocabulary)
                    .member("adapters", adapters)
                    .member("training", training)
                    .member("other", other)
                    .member("in_use", arena.current())
                    .member("peak", peak)
                    .member("capacity", capacity);
            })
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::error::ErrorCode;
    use protocol::name::UserName;
    use std::string::ToString as _;

    #[test]
    fn counters_parse_as_json_with_their_values() {
        let mut stats = Stats {
            admitted: 7,
            generated_tokens: 1234,
            busy_us: 10_000_000,
            latency_max_us: u64::MAX,
            stopped: 1,
            ..Stats::default()
        };
        stats.budget.user = UserName::new("guest").unwrap();
        stats.budget.tokens = 100;
        stats.budget.used = 30;
        stats.refused = 5;
        stats.refusals[0] = Refusals {
            code: Some(ErrorCode::QuotaExceeded),
            count: 3,
        };
        let text = StatsJson(&stats).to_string();
        assert!(!text.contains('\n'));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["admitted"], 7);
        assert_eq!(json["latency_max_us"], u64::MAX);
        assert_eq!(json["tokens_per_second"], 123.4);
        assert_eq!(json["stopped"], true);
        assert_eq!(json["refusals"]["quota-exceeded"], 3);
        assert_eq!(json["refusals"]["other"], 2);
        assert_eq!(json["refusals"].as_object().unwrap().len(), 2);
        assert_eq!(
            (&json["budget"]["user"], &json["budget"]["available"]),
            (&"guest".into(), &70.into())
        );
        assert_eq!(json["arena"].as_object().unwrap().len(), 10);
    }
}
