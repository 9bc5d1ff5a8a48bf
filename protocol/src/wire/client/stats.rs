//! Audit's counters.

use crate::encoding::codec::is_flag;
use crate::encoding::layout;
use crate::error::ErrorCode;
use crate::limits::MAX_REFUSAL_REASONS;
use crate::name::UserName;
use crate::wire::ArenaUse;

layout! {
    /// A user's budget in the current period.
    #[derive(Default)]
    pub struct Budget [72] {
        /// The user whose budget this is.
        pub user: UserName,
        /// Tokens per period.
        pub tokens: u64,
        /// Tokens used in the current period.
        pub used: u64,
        /// Tokens reserved by requests in flight.
        pub reserved: u64,
        /// The period in microseconds.
        pub period_us: u64,
        /// Time left in the period, in microseconds.
        pub left_us: u64,
    }
}

impl Budget {
    /// Tokens that can still be reserved.
    #[must_use]
    pub const fn available(&self) -> u64 {
        self.tokens
            .saturating_sub(self.used)
            .saturating_sub(self.reserved)
    }
}

layout! {
    /// A refusal reason and how often it was given.
    #[derive(Default)]
    pub struct Refusals [8] {
        /// The reason; `None` for an unused place.
        pub code: Option<ErrorCode>,
        /// How often it was given.
        pub count: u32,
    }
}

impl Refusals {
    /// The most frequent reasons, most frequent first; ties go to the smaller number. `counts` is indexed by reason
    /// number.
    #[must_use]
    pub fn most_frequent(counts: &[u32; ErrorCode::END]) -> [Self; MAX_REFUSAL_REASONS] {
        let mut most = [Self::default(); MAX_REFUSAL_REASONS];
        for &code in ErrorCode::ALL {
            let count = counts.get(code as usize).copied().unwrap_or(0);
            let code = Some(code);
            let mut next = Self { code, count };
            // Insert it before all less frequent ones, which move back by one.
            let mut found = false;
            for place in &mut most {
                found |= next.count > place.count;
                if found {
                    core::mem::swap(place, &mut next);
                }
            }
        }
        most
    }
}

layout! {
    /// Audit's counters since boot.
    #[derive(Default)]
    pub struct Stats [424] {
        /// Time since boot in microseconds.
        pub uptime_us: u64,
        /// Requests for text that were admitted.
        pub admitted: u64,
        /// Requests of any kind that were refused, for whatever reason.
        pub refused: u64,
        /// Requests for text that finished.
        pub finished: u64,
        /// Requests for text that were cancelled.
        pub cancelled: u64,
        /// Requests for text that failed after admission.
        pub failed: u64,
        /// Tokens of prompts.
        pub prompt_tokens: u64,
        /// Tokens generated.
        pub generated_tokens: u64,
        /// Time with at least one request in flight, in microseconds.
        pub busy_us: u64,
        /// Faults of inference.
        pub faults: u64,
        /// Restarts of inference.
        pub restarts: u64,
        /// Deadlines that passed.
        pub timeouts: u64,
        /// Messages that broke the protocol and were dropped.
        pub violations: u64,
        /// Answers that violated their format, ended too soon, or continued past a stop string.
        pub format_breaches: u64,
        /// Entries of the audit log since boot.
        pub records: u64,
        /// Sessions that were evicted.
        pub evicted: u64,
        /// Tokens generated in the last [`Self::recent_us`].
        pub recent_tokens: u64,
        /// Length of the window in microseconds.
        pub recent_us: u64,
        /// Median latency of finished requests, in microseconds.
        pub latency_p50_us: u64,
        /// 95th percentile of that latency, in microseconds.
        pub latency_p95_us: u64,
        /// 99th percentile of that latency, in microseconds.
        pub latency_p99_us: u64,
        /// Longest latency of a finished request, in microseconds.
        pub latency_max_us: u64,
        /// Payload bytes that left inference.
        pub egress_bytes: u64,
        /// Payload bytes per second that may leave it.
        pub egress_limit: u64,
        /// Total time that text has waited for the egress cap, in microseconds.
        pub egress_held_us: u64,
        /// Budget of the requesting user.
        pub budget: Budget,
        /// Use of the arena.
        pub arena: ArenaUse,
        /// Requests in flight.
        pub active: u32,
        /// Sessions that hold keys and values.
        pub sessions: u32,
        /// Queue depth: requests in flight whose first token has not arrived.
        pub queued: u32,
        /// 1: audit has stopped trying to restart inference.
        pub stopped: u32 where is_flag,
        /// The most frequent refusal reasons, most frequent first.
        pub refusals: [Refusals; MAX_REFUSAL_REASONS],
    }
}

impl Stats {
    /// Number of refusals for this reason; also 0 if it is not among the most frequent.
    #[must_use]
    pub fn refused_for(&self, code: ErrorCode) -> u32 {
        let mut reasons = self.refusals.iter();
        reasons
            .find(|reason| reason.code == Some(code))
            .map_or(0, |reason| reason.count)
    }

    /// Number of refusals for reasons outside the most frequent.
    #[must_use]
    pub fn refused_otherwise(&self) -> u64 {
        let listed = self.refusals.iter();
        listed.fold(self.refused, |rest, reason| {
            rest.saturating_sub(u64::from(reason.count))
        })
    }
}
