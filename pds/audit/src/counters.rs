//! Counters over time: latencies, and the tokens of the last seconds.

/// Counts the items. `Iterator::count` has an overflow panic that the compiler may not remove here.
pub(crate) fn count<T>(items: impl Iterator<Item = T>) -> usize {
    items.fold(0usize, |n, _| n.saturating_add(1))
}

/// Sub-buckets of a power of two, so a latency is known to one part in sixteen.
const PARTS: usize = 16;
const PARTS_LOG2: u32 = PARTS.trailing_zeros();
const BUCKETS: usize = PARTS * 61;

/// A histogram of latencies in microseconds, from 0 to 2⁶⁴, accurate to 1/16.
#[derive(Debug)]
pub(crate) struct Latencies {
    counts: [u32; BUCKETS],
    total: u64,
    max: u64,
}

impl Latencies {
    pub(crate) const fn new() -> Self {
        Self {
            counts: [0; BUCKETS],
            total: 0,
            max: 0,
        }
    }

    pub(crate) fn add(&mut self, us: u64) {
        if let Some(count) = self.counts.get_mut(bucket(us)) {
            *count = count.saturating_add(1);
        }
        self.total = self.total.saturating_add(1);
        self.max = self.max.max(us);
    }

    pub(crate) const fn max(&self) -> u64 {
        self.max
    }

    /// The latency that `percent` of 100 latencies did not exceed; 0 if none was counted.
    pub(crate) fn percentile(&self, percent: u64) -> u64 {
        let rank = self.total.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0u64;
        for (index, count) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(u64::from(*count));
            if seen >= rank {
                return upper(index).min(self.max);
            }
        }
        0
    }
}

/// The bucket of a latency. Below sixteen each value has its own; above, the bucket is given by the four bits after the
/// highest.
fn bucket(us: u64) -> usize {
    let exponent = us.checked_ilog2().unwrap_or(0).saturating_sub(PARTS_LOG2);
    let mantissa = us.checked_shr(exponent).unwrap_or(0);
    (exponent as usize)
        .saturating_mul(PARTS)
        .saturating_add(usize::try_from(mantissa).unwrap_or(0))
}

/// The largest latency in a bucket.
fn upper(index: usize) -> u64 {
    let exponent = index
        .checked_div(PARTS)
        .unwrap_or(0)
        .saturating_sub(usize::from(index >= PARTS));
    let mantissa = index.saturating_sub(exponent.saturating_mul(PARTS)) as u64;
    let exponent = u32::try_from(exponent).unwrap_or(0);
    // The lowest value of the next mantissa, minus one. That of the last bucket would be 2⁶⁴.
    mantissa
        .saturating_add(1)
        .checked_mul(1u64.checked_shl(exponent).unwrap_or(u64::MAX))
        .map_or(u64::MAX, |next| next.saturating_sub(1))
}

/// Number of seconds over which the rate is computed.
const WINDOW: usize = 10;
const SECOND_US: u64 = 1_000_000;

/// Tokens of the last [`WINDOW`] seconds.
#[derive(Debug)]
pub(crate) struct Recent {
    tokens: [u64; WINDOW],
    /// The current second.
    second: u64,
}

impl Recent {
    pub(crate) const fn new() -> Self {
        Self {
            tokens: [0; WINDOW],
            second: 0,
        }
    }

    pub(crate) fn add(&mut self, uptime_us: u64) {
        self.advance(uptime_us);
        if let Some(tokens) = self.tokens.get_mut(place(self.second)) {
            *tokens = tokens.saturating_add(1);
        }
    }

    /// The number of tokens, and the time that they took in microseconds.
    pub(crate) fn rate(&mut self, uptime_us: u64) -> (u64, u64) {
        self.advance(uptime_us);
        let tokens = self
            .tokens
            .iter()
            .fold(0u64, |sum, n| sum.saturating_add(*n));
        // The current second and the whole ones before it.
        let whole = (WINDOW as u64).saturating_sub(1).min(self.second);
        let part = uptime_us.saturating_sub(self.second.saturating_mul(SECOND_US));
        (tokens, whole.saturating_mul(SECOND_US).saturating_add(part))
    }

    /// Drops the seconds that have left the window.
    fn advance(&mut self, uptime_us: u64) {
        let second = uptime_us.checked_div(SECOND_US).unwrap_or(0);
        let passed = second.saturating_sub(self.second).min(WINDOW as u64);
        for later in 1..=passed {
            if let Some(tokens) = self
                .tokens
                .get_mut(place(self.second.saturating_add(later)))
            {
                *tokens = 0;
            }
        }
        if passed == WINDOW as u64 {
            self.tokens = [0; WINDOW];
        }
        self.second = self.second.max(second);
    }
}

fn place(second: u64) -> usize {
    usize::try_from(second.checked_rem(WINDOW as u64).unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn percentiles_are_within_a_sixteenth(mut us in prop::collection::vec(0u64..1 << 40, 1..300)) {
            let mut latencies = Latencies::new();
            us.iter().for_each(|us| latencies.add(*us));
            us.sort_unstable();
            for percent in [1, 50, 95, 99, 100] {
                let exact = us[(us.len() * percent).div_ceil(100).max(1) - 1];
                let got = latencies.percentile(percent as u64);
                prop_assert!(got >= exact && got <= exact + exact / 16, "{percent}: {got} for {exact}");
            }
            prop_assert_eq!(latencies.max(), us[us.len() - 1]);
        }

        #[test]
        fn every_latency_has_a_bucket_that_holds_it(us in any::<u64>(), shift in 0u32..64) {
            let us = us >> shift;
            let index = bucket(us);
            prop_assert!(index < BUCKETS);
            prop_assert!(us <= upper(index));
            prop_assert!(index == 0 || us > upper(index - 1));
        }

        #[test]
        fn a_rate_counts_the_last_ten_seconds(gaps in prop::collection::vec(0u64..4_000_000, 1..60)) {
            let mut recent = Recent::new();
            let mut now = 0;
            let mut times: Vec<u64> = Vec::new();
            for gap in gaps {
                now += gap;
                recent.add(now);
                times.push(now);
                let (tokens, us) = recent.rate(now);
                let first = (now / 1_000_000).saturating_sub(9) * 1_000_000;
                prop_assert_eq!(tokens, times.iter().filter(|t| **t >= first).count() as u64);
                prop_assert_eq!(us, now - first);
            }
        }
    }

    #[test]
    fn nothing_counted_is_zero() {
        assert_eq!(
            (Latencies::new().percentile(50), Latencies::new().max()),
            (0, 0)
        );
        assert_eq!(Recent::new().rate(2_500_000), (0, 2_500_000));
    }
}
