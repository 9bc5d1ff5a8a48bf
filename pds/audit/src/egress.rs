//! The egress cap: how many bytes may leave inference, which bounds what a hostile inference server can leak.
//!
//! A bucket fills at the policy's rate up to its burst size. Audit reads what inference says at once, but hands it on
//! to clients only when the bucket has the bytes. Meanwhile it grants no more credit, so inference pauses. So over any
//! time `t`, no more leaves than the burst size plus what the rate gives in `t`.

use crate::bucket::Bucket;
use protocol::limits::{MAX_CREDIT_TOKENS, MAX_PIECE_BYTES, MAX_STOP_BYTES};
use protocol::policy::Policy;

/// The cost of an event besides its payload: its kind and its request carry information, too.
pub(crate) const EVENT_BYTES: u64 = 8;

/// The cost of a token besides its text: that of an event with the token's number.
const TOKEN_BYTES: u64 = EVENT_BYTES + 4;

/// The cost of the longest token.
const MOST_TOKEN_BYTES: u64 = TOKEN_BYTES + MAX_PIECE_BYTES as u64;

const SECOND_US: u64 = 1_000_000;

/// The egress cap; see the module.
#[derive(Debug)]
pub(crate) struct Egress {
    bucket: Bucket,
    bytes_per_second: u64,
    passed: u64,
    /// Bytes that left without being held back. Whatever follows has to wait for them, too.
    debt: u64,
    window: u32,
    burst: u64,
    /// How long text has waited for the cap, in microseconds, and since when some is waiting.
    held_us: u64,
    held_since_us: Option<u64>,
}

impl Egress {
    pub(crate) fn new(policy: &Policy, now: u64) -> Self {
        let rate = u64::from(policy.egress_bytes_per_second);
        let burst = u64::from(policy.egress_burst_bytes);
        // The policy's minimum burst is several times this.
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

    /// How many tokens inference may be ahead of a client. It is chosen such that all waiting text, including text held
    /// back because of stop strings, fits in a full bucket.
    pub(crate) const fn window(&self) -> u32 {
        self.window
    }

    /// Length of the longest event that can pass: a full bucket's worth, or `most` if that is less.
    pub(crate) fn longest(&self, most: usize) -> usize {
        let payload = self.burst.saturating_sub(EVENT_BYTES);
        usize::try_from(payload).unwrap_or(most).min(most)
    }

    /// The cost of this many tokens with this much text. Text that was held back costs as much as a token's.
    pub(crate) const fn of_text(tokens: u32, text: usize) -> u64 {
        let events = if tokens == 0 { 1 } else { tokens as u64 };
        events
            .saturating_mul(TOKEN_BYTES)
            .saturating_add(text as u64)
    }

    /// The cost of an event with this much payload.
    pub(crate) const fn of_event(payload: usize) -> u64 {
        EVENT_BYTES.saturating_add(payload as u64)
    }

    /// Checks that this many bytes may leave now.
    ///
    /// # Errors
    /// When they may leave, in microseconds.
    pub(crate) fn allows(&mut self, bytes: u64, now: u64) -> Result<(), u64> {
        self.repay(now);
        match self.debt == 0 && self.bucket.holds(bytes, now) {
            true => Ok(()),
            // The bucket cannot hold more than its size.
            false => Err(self.bucket.holds_at(bytes.max(self.debt))),
        }
    }

    /// Counts bytes that have left.
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

    /// Notes whether text is waiting for the cap from now on.
    pub(crate) fn note_held(&mut self, waits: bool, now: u64) {
        self.held_us = self.held_us(now);
        self.held_since_us = waits.then_some(now);
    }

    /// How long text has waited for the cap since boot, in microseconds.
    pub(crate) fn held_us(&self, now: u64) -> u64 {
        let since = self.held_since_us.unwrap_or(now);
        self.held_us.saturating_add(now.saturating_sub(since))
    }

    /// Bytes that may leave now.
    pub(crate) fn left(&self, now: u64) -> u64 {
        self.bucket.left(now).saturating_sub(self.debt)
    }

    /// The most bytes that may leave at once.
    pub(crate) const fn burst(&self) -> u64 {
        self.burst
    }

    /// Bytes that may leave per second.
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
        /// This holds whatever inference offers and whenever audit looks.
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
                    // An eviction notice, which cannot be held back.
                    egress.pass(Egress::of_event(4), now);
                    debt += Egress::of_event(4);
                } else if let Err(at) = egress.allows(bytes, now) {
                    // It says when to ask again, and after a few tries the bytes may leave.
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

        /// All that a client can be behind fits in a full bucket, so it gets through in the end.
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
