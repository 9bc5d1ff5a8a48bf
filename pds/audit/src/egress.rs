//! The egress cap: how many bytes may leave inference, which bounds what a hostile one can tell.
//!
//! A bucket fills at the policy's rate up to its burst. Audit reads inference's ring only while the largest event would
//! find its bytes in it, so the cap is never exceeded, and what waits stays in the ring: inference is held back by it as
//! by a slow console.

use crate::bucket::Bucket;
use protocol::limits::MAX_PIECE_BYTES;
use protocol::policy::Policy;

/// What an event costs beyond its payload: its kind and the request that it is about say something, too.
pub(crate) const EVENT_BYTES: u64 = 8;

/// The costliest event: the longest text with the fixed part of a failure.
const LARGEST: u64 = MAX_PIECE_BYTES as u64 + 24 + EVENT_BYTES;

const SECOND_US: u64 = 1_000_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Egress {
    bucket: Bucket,
    bytes_per_second: u64,
    passed: u64,
}

impl Egress {
    pub(crate) fn new(policy: &Policy, now: u64) -> Self {
        let rate = u64::from(policy.egress_bytes_per_second);
        let burst = u64::from(policy.egress_burst_bytes);
        Self {
            bucket: Bucket::full(burst, rate, SECOND_US, now),
            bytes_per_second: rate,
            passed: 0,
        }
    }

    /// Whether an event of any size may pass now.
    pub(crate) fn allows(&mut self, now: u64) -> bool {
        self.bucket.holds(LARGEST, now)
    }

    /// When the next event may pass.
    pub(crate) fn next_us(&self) -> u64 {
        self.bucket.holds_at(LARGEST)
    }

    /// An event with so much payload has passed.
    pub(crate) fn pass(&mut self, payload: usize, now: u64) {
        let bytes = EVENT_BYTES.saturating_add(payload as u64);
        self.passed = self.passed.saturating_add(bytes);
        // There is as much as the largest takes: `allows` was asked.
        let _ = self.bucket.take(bytes, now);
    }

    /// Bytes that have passed since boot.
    pub(crate) const fn passed(&self) -> u64 {
        self.passed
    }

    /// Bytes that may pass in a second.
    pub(crate) const fn limit(&self) -> u64 {
        self.bytes_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever inference offers and whenever audit looks: over any time, no more than burst and rate allow.
        #[test]
        fn no_more_passes_than_burst_and_rate_allow(
            rate in 1u32..100_000,
            burst in 1024u32..20_000,
            looks in prop::collection::vec((0u64..200_000, 0usize..=MAX_PIECE_BYTES + 24), 1..400),
        ) {
            let mut policy = protocol::testing::policy();
            (policy.egress_bytes_per_second, policy.egress_burst_bytes) = (rate, burst);
            let began = 77;
            let mut now = began;
            let mut egress = Egress::new(&policy, now);
            for (wait, payload) in looks {
                now += wait;
                if egress.allows(now) {
                    prop_assert_eq!(egress.next_us(), now);
                    egress.pass(payload, now);
                } else {
                    // It says when, and then it may.
                    let at = egress.next_us();
                    prop_assert!(at > now);
                    prop_assert!(!egress.allows(at - 2));
                    now = at;
                    prop_assert!(egress.allows(now));
                }
                let most = u128::from(burst) + u128::from(now - began) * u128::from(rate) / 1_000_000;
                prop_assert!(u128::from(egress.passed()) <= most);
            }
        }
    }
}
