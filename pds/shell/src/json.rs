//! `llmstats --json`: one object per line. Its members are named like the fields of [`Stats`].

use crate::text::{CodeName, Rate};
use core::fmt::{self, Display, Formatter};
use protocol::wire::ArenaUse;
use protocol::wire::client::{Budget, Refusals, Stats};

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
        f.write_str("{")?;
        for (name, value) in [
            ("uptime_us", uptime_us),
            ("admitted", admitted),
            ("refused", refused),
            ("finished", finished),
            ("cancelled", cancelled),
            ("failed", failed),
            ("prompt_tokens", prompt_tokens),
            ("generated_tokens", generated_tokens),
            ("busy_us", busy_us),
            ("faults", faults),
            ("restarts", restarts),
            ("timeouts", timeouts),
            ("violations", violations),
            ("format_breaches", format_breaches),
            ("records", records),
            ("evicted", evicted),
            ("recent_tokens", recent_tokens),
            ("recent_us", recent_us),
            ("latency_p50_us", latency_p50_us),
            ("latency_p95_us", latency_p95_us),
            ("latency_p99_us", latency_p99_us),
            ("latency_max_us", latency_max_us),
            ("egress_bytes", egress_bytes),
            ("egress_limit", egress_limit),
            ("egress_held_us", egress_held_us),
        ] {
            write!(f, "\"{name}\":{value},")?;
        }
        write!(
            f,
            "\"active\":{active},\"queued\":{queued},\"sessions\":{sessions},\"stopped\":{},",
            *stopped != 0
        )?;
        let average = Rate {
            tokens: *generated_tokens,
            us: *busy_us,
        };
        let now = Rate {
            tokens: *recent_tokens,
            us: *recent_us,
        };
        write!(
            f,
            "\"tokens_per_second\":{average},\"tokens_per_second_now\":{now},"
        )?;
        f.write_str("\"refusals\":{")?;
        for Refusals { code, count } in refusals {
            if let Some(code) = code {
                write!(f, "\"{}\":{count},", CodeName(*code))?;
            }
        }
        let other = self.0.refused_otherwise();
        write!(f, "\"other\":{other}")?;
        let Budget {
            user,
            tokens,
            used,
            reserved,
            period_us,
            left_us,
        } = budget;
        write!(
            f,
            "}},\"budget\":{{\"user\":\"{user}\",\"tokens\":{tokens},\"used\":{used},\"reserved\":{reserved},\
             \"available\":{},\"period_us\":{period_us},\"left_us\":{left_us}}},",
            budget.available()
        )?;
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
        write!(
            f,
            "\"arena\":{{\"weights\":{weights},\"kv_cache\":{kv_cache},\"activations\":{activations},\
             \"vocabulary\":{vocabulary},\"adapters\":{adapters},\"training\":{training},\"other\":{other},\"in_use\":{},\"peak\":{peak},\"capacity\":{capacity}}}}}",
            arena.current()
        )
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
