//! The egress cap: how many bytes may leave inference, which bounds what a hostile one can tell.
//!
//! A bucket fills at the policy's rate up to its burst. Audit reads what inference says at once, and hands it on to
//! clients when the bucket has its bytes; meanwhile nothing more is granted, so inference rests. So over any time `t` no
//! more leaves than the burst and what `t` gives.

use crate::bucket::Bucket;
use protocol::limits::{MAX_CREDIT_TOKENS, MAX_PIECE_BYTES, MAX_STOP_BYTES};
use protocol::policy::Policy;

/// What an event costs beyond its payload: its kind and the request that it is about say something, too.
pub(crate) const EVENT_BYTES: u64 = 8;

/// What a token costs beyond its text: as an event with the token's number.
const TOKEN_BYTES: u64 = EVENT_BYTES + 4;

/// The costliest token.
const MOST_TOKEN_BYTES: u64 = TOKEN_BYTES + MAX_PIECE_BYTES as u64;

const SECOND_US: u64 = 1_000_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Egress {
    bucket: Bucket,
    bytes_per_second: u64,
    passed: u64,
    /// Bytes of what could not be held back, which what comes next has to wait for, too.
    debt: u64,
    window: u32,
    burst: u64,
    /// How long text has waited for it, in microseconds, and since when some does.
    held_us: u64,
    held_since_us: Option<u64>,
}

impl Egress {
    pub(crate) fn new(policy: &Policy, now: u64) -> Self {
        let rate = u64::from(policy.egress_bytes_per_second);
        let burst = u64::from(policy.egress_burst_bytes);
        // The policy's least burst holds several.
        let held = (MAX_STOP_BYTES as u64).saturating_add(TOKEN_BYTES);
        let most = burst.saturating_sub(held).checked_div(MOST_TOKEN_BYTES);
        let window = most.unwrap_or(0).clamp(1, MAX_CREDIT_TOKENS as u64);
        Self {
            bucket: Bucket::full(burst, rate, SECOND_US, now),
            bytes_per_second: rate,
            passed: 0,
            debt: 0,
            window: u32::try_from(window).unwrap_or(1),
            burst,
            held_us: 0,
            held_since_us: None,
        }
    }

    /// Tokens that inference may be ahead of a client, so that what waits always fits into a full bucket, with what was held
    /// back before since it could have become a stop string.
    pub(crate) const fn window(&self) -> u32 {
        self.window
    }

    /// Bytes of the longest event that can pass: a full bucket's worth, or `most` if that is less.
    pub(crate) fn longest(&self, most: usize) -> usize {
        let payload = self.burst.saturating_sub(EVENT_BYTES);
        usize::try_from(payload).unwrap_or(most).min(most)
    }

    /// What so many tokens with so much text cost; text that was held back costs as much as that of a token.
    pub(crate) const fn of_text(tokens: u32, text: usize) -> u64 {
        let events = if tokens == 0 { 1 } else { tokens as u64 };
        events
            .saturating_mul(TOKEN_BYTES)
            .saturating_add(text as u64)
    }

    /// What an event with so much payload costs.
    pub(crate) const fn of_event(payload: usize) -> u64 {
        EVENT_BYTES.saturating_add(payload as u64)
    }

    /// Whether so many bytes may leave now.
    ///
    /// # Errors
    /// When they may, in microseconds.
    pub(crate) fn allows(&mut self, bytes: u64, now: u64) -> Result<(), u64> {
        self.repay(now);
        match self.debt == 0 && self.bucket.holds(bytes, now) {
            true => Ok(()),
            // Never more than it can hold.
            false => Err(self.bucket.holds_at(bytes.max(self.debt))),
        }
    }

    /// They have left.
    pub(crate) fn pass(&mut self, bytes: u64, now: u64) {
        self.passed = self.passed.saturating_add(bytes);
        self.debt = self.debt.saturating_add(bytes);
        self.repay(now);
    }

    fn repay(&mut self, now: u64) {
        if self.debt > 0 {
            let paid = self.bucket.take_up_to(self.debt, now);
            self.debt = self.debt.saturating_sub(paid);
        }
    }

    /// Bytes that have left since boot.
    pub(crate) const fn passed(&self) -> u64 {
        self.passed
    }

    /// Notes whether text waits for it from now on.
    pub(crate) fn note_held(&mut self, waits: bool, now: u64) {
        self.held_us = self.held_us(now);
        self.held_since_us = waits.then_some(now);
    }

    /// How long text has waited for it since boot, in microseconds.
    pub(crate) fn held_us(&self, now: u64) -> u64 {
        let since = self.held_since_us.unwrap_or(now);
        self.held_us.saturating_add(now.saturating_sub(since))
    }

    /// Bytes that may leave at once now.
    pub(crate) fn left(&self, now: u64) -> u64 {
        self.bucket.left(now).saturating_sub(self.debt)
    }

    /// Bytes that may leave at once at most.
    pub(crate) const fn burst(&self) -> u64 {
        self.burst
    }

    /// Bytes that may leave in a second.
    pub(crate) const fn limit(&self) -> u64 {
        self.bytes_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn egress(rate: u32, burst: u32, now: u64) -> Egress {
        let mut policy = protocol::testing::policy();
        (policy.egress_bytes_per_second, policy.egress_burst_bytes) = (rate, burst);
        Egress::new(&policy, now)
    }

    proptest! {
        /// Whatever inference offers and whenever audit looks: over any time, no more than burst and rate allow.
        #[test]
        fn no_more_passes_than_burst_and_rate_allow(
            rate in 1u32..100_000,
            burst in 1024u32..20_000,
            looks in prop::collection::vec((0u64..200_000, 0usize..=MAX_PIECE_BYTES, any::<bool>()), 1..400),
        ) {
            let began = 77;
            let mut now = began;
            let mut egress = egress(rate, burst, now);
            let mut debt = 0;
            for (wait, text, held) in looks {
                now += wait;
                let bytes = Egress::of_text(1, text);
                if !held {
                    // An eviction, which cannot be held back.
                    egress.pass(Egress::of_event(4), now);
                    debt += Egress::of_event(4);
                } else if let Err(at) = egress.allows(bytes, now) {
                    // It says when to ask again, and after a few times it may.
                    prop_assert!(at > now);
                    let mut at = Err(at);
                    for _ in 0..50 {
                        if let Err(later) = at {
                            now = later;
                            at = egress.allows(bytes, now);
                        }
                    }
                    prop_assert!(at.is_ok());
                    debt = 0;
                } else {
                    egress.pass(bytes, now);
                    debt = 0;
                }
                let allowed = u128::from(burst) + u128::from(rate) * u128::from(now - began) / 1_000_000;
                prop_assert!(u128::from(egress.passed()) <= allowed + u128::from(debt));
            }
        }

        /// What a client can be behind by fits into a full bucket, so that it leaves at last.
        #[test]
        fn what_waits_always_fits_into_a_full_bucket(burst in 1024u32..20_000) {
            let mut egress = egress(1, burst, 0);
            let window = egress.window();
            prop_assert!((1..=MAX_CREDIT_TOKENS as u32).contains(&window));
            let bytes = Egress::of_text(window, window as usize * MAX_PIECE_BYTES);
            prop_assert_eq!(egress.allows(bytes, 0), Ok(()));
        }
    }
}
