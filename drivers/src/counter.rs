//! The processor's counter as a clock in microseconds.

/// A 64-bit counter that runs at a fixed rate from machine start and that nobody can set.
pub trait Counter {
    /// Current value.
    fn ticks(&mut self) -> u64;
    /// Ticks per second.
    fn hertz(&mut self) -> u64;
}

/// Microseconds per second.
pub(crate) const MICROSECONDS: u64 = 1_000_000;

/// Microseconds since the machine started.
pub fn now_us(counter: &mut impl Counter) -> u64 {
    convert(
        counter.ticks(),
        counter.hertz(),
        MICROSECONDS,
        Rounding::Down,
    )
}

/// Rounding direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    Down,
    /// Up, for alarms: one that fires a tick early would wake its owner for nothing.
    Up,
}

/// Converts a `count` at `from` Hz to a count at `to` Hz. Whole seconds and the remainder are converted separately: the
/// product would overflow 64 bits within days, and a 128-bit division costs audit some hundred instructions per
/// wake-up.
pub(crate) fn convert(count: u64, from: u64, to: u64, rounding: Rounding) -> u64 {
    let from = from.max(1);
    let whole = count.checked_div(from).unwrap_or(0);
    // Less than `from` times `to`, which is a million times at most some GHz.
    let rest = count.checked_rem(from).unwrap_or(0).saturating_mul(to);
    let rest = match rounding {
        Rounding::Down => rest.checked_div(from).unwrap_or(0),
        Rounding::Up => rest.div_ceil(from),
    };
    whole.saturating_mul(to).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_counter_that_says_no_rate_is_no_division_by_zero() {
        assert_eq!(convert(3, 0, MICROSECONDS, Rounding::Down), 3_000_000);
    }

    #[test]
    fn the_end_of_the_range_saturates() {
        assert_eq!(convert(u64::MAX, 1, MICROSECONDS, Rounding::Up), u64::MAX);
    }

    proptest! {
        #[test]
        fn it_is_the_exact_quotient_rounded_as_asked(
            count in 0..u64::MAX >> 20,
            hertz in 1_000_000..2_000_000_000_u64,
        ) {
            let exact = u128::from(count) * u128::from(MICROSECONDS);
            let down = convert(count, hertz, MICROSECONDS, Rounding::Down);
            let up = convert(count, hertz, MICROSECONDS, Rounding::Up);
            prop_assert_eq!(u128::from(down), exact / u128::from(hertz));
            prop_assert_eq!(u128::from(up), exact.div_ceil(u128::from(hertz)));
        }
    }
}
