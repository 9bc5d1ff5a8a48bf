//! A token bucket: it fills at a fixed rate up to its size, and only what is in it can be taken.
//!
//! So in any time `t`, no more is taken than the size plus what arrives in `t`. The level is kept in units times the
//! microseconds of the rate's period, so rounding loses nothing.

/// A token bucket; see the module. Its owner decides what a unit is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Units that arrive in a period.
    rate: u64,
    period_us: u64,
    size: u64,
    level: u64,
    filled_us: u64,
}

impl Bucket {
    /// A bucket of size 0, from which nothing can be taken.
    pub(crate) const EMPTY: Self = Self {
        rate: 0,
        period_us: 1,
        size: 0,
        level: 0,
        filled_us: 0,
    };

    /// A full bucket of `size` units that gains `rate` units each `period_us`.
    pub(crate) const fn full(size: u64, rate: u64, period_us: u64, now: u64) -> Self {
        let size = size.saturating_mul(period_us);
        Self {
            rate,
            period_us,
            size,
            level: size,
            filled_us: now,
        }
    }

    /// Takes this many units.
    ///
    /// # Errors
    /// The number of units in the bucket; nothing was taken.
    pub(crate) fn take(&mut self, units: u64, now: u64) -> Result<(), u64> {
        self.fill(now);
        match self.level.checked_sub(self.scaled(units)) {
            Some(left) => {
                self.level = left;
                Ok(())
            }
            None => Err(self.level.checked_div(self.period_us).unwrap_or(0)),
        }
    }

    /// Takes up to this many units, and returns how many it took.
    pub(crate) fn take_up_to(&mut self, units: u64, now: u64) -> u64 {
        match self.take(units, now) {
            Ok(()) => units,
            Err(there) => {
                self.level = self.level.saturating_sub(self.scaled(there));
                there
            }
        }
    }

    /// Gives back units that were taken but not used.
    pub(crate) fn give_back(&mut self, units: u64) {
        let level = self.level.saturating_add(self.scaled(units));
        self.level = level.min(self.size);
    }

    /// Units in the bucket.
    pub(crate) fn left(&self, now: u64) -> u64 {
        let mut filled = *self;
        filled.fill(now);
        filled.level.checked_div(self.period_us).unwrap_or(0)
    }

    /// Whether the bucket has this many units.
    pub(crate) fn holds(&mut self, units: u64, now: u64) -> bool {
        self.fill(now);
        self.level >= self.scaled(units)
    }

    /// When the bucket will have this many units, as of its last refill.
    pub(crate) fn holds_at(&self, units: u64) -> u64 {
        let missing = self.scaled(units).saturating_sub(self.level);
        let wait = missing
            .checked_div(self.rate)
            .map_or(u64::MAX, |us| us.saturating_add(1));
        match missing {
            0 => self.filled_us,
            _ => self.filled_us.saturating_add(wait),
        }
    }

    const fn scaled(&self, units: u64) -> u64 {
        units.saturating_mul(self.period_us)
    }

    fn fill(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.filled_us);
        let more = elapsed.saturating_mul(self.rate);
        self.level = self.level.saturating_add(more).min(self.size);
        self.filled_us = self.filled_us.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR_US: u64 = 3_600_000_000;

    proptest! {
        /// Whatever is taken, given back or waited for.
        #[test]
        fn over_any_time_no_more_is_taken_than_its_size_and_what_time_gives(
            rate in 1u32..=u32::MAX,
            period_us in prop_oneof![Just(1_000_000), Just(HOUR_US)],
            acts in prop::collection::vec((0u64..HOUR_US / 3, 0u64..1 << 20, 0u64..100), 1..200),
        ) {
            let (rate, began) = (u64::from(rate), 99);
            let mut now = began;
            let mut bucket = Bucket::full(rate, rate, period_us, now);
            let mut used = 0u128;
            for (wait, units, unused) in acts {
                now += wait;
                let units = units.min(rate);
                prop_assert_eq!(bucket.holds(units, now), bucket.holds_at(units) <= now);
                match bucket.take(units, now) {
                    Ok(()) => {
                        let unused = units * unused / 100;
                        bucket.give_back(unused);
                        used += u128::from(units - unused);
                    }
                    Err(left) => {
                        prop_assert!(left < units);
                        // The units can be taken at the time that it names.
                        let at = bucket.holds_at(units);
                        prop_assert!(at > now && !bucket.holds(units, at - 2));
                        prop_assert!(bucket.holds(units, at));
                        now = at;
                    }
                }
                let time = u128::from(period_us + now - began);
                let most = u128::from(rate) * time / u128::from(period_us);
                prop_assert!(used <= most, "{used} of {most}");
            }
        }
    }

    #[test]
    fn nothing_is_in_an_empty_one_and_never_will_be() {
        let mut bucket = Bucket::EMPTY;
        assert_eq!(bucket.take(1, HOUR_US), Err(0));
        bucket.give_back(1);
        assert!(!bucket.holds(1, u64::MAX));
        assert_eq!(bucket.holds_at(1), u64::MAX);
    }
}
