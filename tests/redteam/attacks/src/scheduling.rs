//! Signals through nothing but scheduling: one domain uses its time or yields it, and the other looks at the clock.
//!
//! Time is divided into windows by the counter that every domain can read. Each window carries one bit, which both ends
//! know ([`bit`]), so the receiver can tell how often it would be wrong. It learns a threshold from the first half of
//! its samples, and counts its errors on the second.
//!
//! Nothing here writes a register of the timer, which is a separate channel ([`crate::channel`]).

use crate::channel::secret;
use core::fmt;

/// Length of a window in microseconds: a cycle of `systems/partitions/plan.toml`, the best that a sender can achieve
/// there.
pub const WINDOW_US: u64 = 20_000;
/// Windows of one measurement: 4 s, which is less than the deadline of a request.
pub const WINDOWS: usize = 200;
/// A domain that has not looked at the clock for this long was not running, in microseconds.
const GAP_US: u64 = 3;
/// If it has not looked for this long, it was another partition's turn, in microseconds.
const TURN_US: u64 = 1_500;

/// The window at this time.
#[must_use]
pub const fn window(now_us: u64) -> u64 {
    now_us / WINDOW_US
}

/// The bit sent in this window.
#[must_use]
pub const fn bit(window: u64) -> bool {
    secret(window) & 1 == 1
}

/// A receiver's samples: a number of microseconds for each window.
#[derive(Debug)]
pub struct Samples {
    seen: [(u64, u32); WINDOWS],
    count: usize,
}

/// The result of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// Windows of the second half.
    pub tested: usize,
    /// Wrong guesses among them.
    pub wrong: usize,
    /// The receiver's threshold, in microseconds.
    pub threshold: u32,
    /// The mean sample where 0 and where 1 was sent, in microseconds.
    pub means: [u64; 2],
}

impl Default for Samples {
    fn default() -> Self {
        Self::new()
    }
}

impl Samples {
    /// No samples.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            seen: [(0, 0); WINDOWS],
            count: 0,
        }
    }

    /// Drops all samples.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Whether it is full.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.count == WINDOWS
    }

    /// Adds to a window's sample.
    pub fn add(&mut self, window: u64, us: u64) {
        if let Some(place) = self.seen.get_mut(self.count) {
            *place = (window, u32::try_from(us).unwrap_or(u32::MAX));
            self.count += 1;
        }
    }

    /// Raises a window's sample to at least this value.
    pub fn add_most(&mut self, window: u64, us: u64) {
        match self.count.checked_sub(1).map(|last| &mut self.seen[last]) {
            Some((last, most)) if *last == window => {
                *most = (*most).max(u32::try_from(us).unwrap_or(u32::MAX));
            }
            _ => self.add(window, us),
        }
    }

    /// Learns from the first half, and tests on the second.
    #[must_use]
    pub fn score(&self) -> Score {
        let seen = &self.seen[..self.count];
        let (first, second) = seen.split_at(seen.len() / 2);
        let wrong = |samples: &[(u64, u32)], threshold: u32, is_above: bool| {
            let guess = |us: u32| (us >= threshold) == is_above;
            let wrong = samples
                .iter()
                .filter(|(window, us)| guess(*us) != bit(*window));
            wrong.count()
        };
        let ways = first.iter().flat_map(|(_, us)| [(*us, true), (*us, false)]);
        let best = ways.min_by_key(|(threshold, is_above)| wrong(first, *threshold, *is_above));
        let (threshold, is_above) = best.unwrap_or((0, true));
        let mean = |sent: bool| {
            let of = seen.iter().filter(|(window, _)| bit(*window) == sent);
            let (sum, count) = of.fold((0, 0), |(sum, count), (_, us)| {
                (sum + u64::from(*us), count + 1)
            });
            sum / u64::max(count, 1)
        };
        Score {
            tested: second.len(),
            wrong: wrong(second, threshold, is_above),
            threshold,
            means: [mean(false), mean(true)],
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tested,
            wrong,
            threshold,
            means: [zero, one],
        } = self;
        write!(
            f,
            "tested={tested} wrong={wrong} threshold={threshold} zero={zero} one={one}"
        )
    }
}

/// A domain that only looks at the clock, and so sees when it was not running.
#[derive(Debug)]
pub struct Watch {
    /// From the end of a gap back to the end of the sender's turn, in microseconds.
    back_us: u64,
    last_us: u64,
    lost_us: u64,
    /// How much of each window it has lost.
    pub windows: Samples,
    /// How long it has waited for each of its turns.
    pub turns: Samples,
}

impl Watch {
    /// A watch without samples.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            back_us: 0,
            last_us: 0,
            lost_us: 0,
            windows: Samples::new(),
            turns: Samples::new(),
        }
    }

    /// Starts.
    pub fn start(&mut self, now_us: u64, back_us: u64) {
        (self.back_us, self.last_us, self.lost_us) = (back_us, now_us, 0);
        self.windows.clear();
        self.turns.clear();
    }

    /// Looks at the clock. Returns false when there are enough samples.
    pub fn look(&mut self, now_us: u64) -> bool {
        let last = self.last_us;
        let gap = now_us.saturating_sub(last);
        self.last_us = now_us;
        if gap >= TURN_US && !self.turns.is_full() {
            self.turns
                .add(window(now_us.saturating_sub(self.back_us)), gap);
        }
        // A gap across the end of a window is divided between the windows.
        let mut from = last;
        while window(from) < window(now_us) {
            let end = (window(from) + 1) * WINDOW_US;
            self.lose(end - from, gap);
            self.windows.add(window(from), self.lost_us);
            self.lost_us = 0;
            from = end;
        }
        self.lose(now_us - from, gap);
        !self.windows.is_full()
    }

    fn lose(&mut self, us: u64, gap: u64) {
        if gap >= GAP_US {
            self.lost_us += us;
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A watch that loses this part of each window because the sender uses it.
    fn watched(lost_us: impl Fn(u64) -> u64) -> Watch {
        let mut watch = Watch::new();
        let mut now = 7 * WINDOW_US;
        watch.start(now, 0);
        loop {
            let start = now.is_multiple_of(WINDOW_US);
            now += match start {
                true => lost_us(window(now)).max(1),
                false => 1,
            };
            if !watch.look(now) {
                return watch;
            }
        }
    }

    #[test]
    fn time_that_another_spends_or_leaves_is_read_without_an_error() {
        let watch = watched(|window| if bit(window) { 9_000 } else { 0 });
        let score = watch.windows.score();
        assert_eq!((score.tested, score.wrong), (WINDOWS / 2, 0));
        assert_eq!(score.means, [0, 9_000]);
    }

    #[test]
    fn a_gap_that_is_always_the_same_tells_nothing() {
        let watch = watched(|_| 6_000);
        for score in [watch.windows.score(), watch.turns.score()] {
            assert_eq!(score.means, [6_000, 6_000]);
            assert!(score.wrong > score.tested / 3, "{score}");
        }
    }

    #[test]
    fn a_turn_that_comes_a_little_sooner_is_read_by_the_length_of_the_gap() {
        let watch = watched(|window| if bit(window) { 5_980 } else { 6_000 });
        assert_eq!(watch.turns.score().wrong, 0);
    }

    #[test]
    fn the_bits_are_as_often_zero_as_one() {
        let ones = (0..10_000).filter(|window| bit(*window)).count();
        assert!((4_800..5_200).contains(&ones), "{ones}");
    }
}
