//! Shares of the audit log: how many bytes a user's entries may take, so that nobody pushes out what others did.
//!
//! Each user has a bucket of bytes that holds an hour's worth and fills in an hour. What a request can write at most is
//! taken before it is admitted and what it did not write is given back at its end, so a bucket is never overdrawn: in
//! any time `t` the entries of a user take at most the policy's `log-bytes-per-hour` times (1 h + `t`).

use protocol::limits::MAX_USERS;
use protocol::policy::{MIN_LOG_BYTES_PER_HOUR, Policy};
use protocol::record::RECORD_BYTES;

/// Bytes of an entry without text.
pub(crate) const ENTRY: u64 = RECORD_BYTES as u64;

const HOUR_US: u64 = 3_600_000_000;

/// One user's bucket. The level is kept in bytes times microseconds an hour, so that nothing is lost to rounding.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    bytes_per_hour: u64,
    level: u64,
    filled_us: u64,
}

impl Share {
    const fn full(&self) -> u64 {
        self.bytes_per_hour.saturating_mul(HOUR_US)
    }

    fn fill(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.filled_us).min(HOUR_US);
        let more = elapsed.saturating_mul(self.bytes_per_hour);
        self.level = self.level.saturating_add(more).min(self.full());
        self.filled_us = self.filled_us.max(now);
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shares {
    shares: [Share; MAX_USERS],
}

impl Shares {
    /// As the policy has them, all full.
    pub(crate) fn new(policy: &Policy, now: u64) -> Self {
        let mut shares = [Share::default(); MAX_USERS];
        for (share, user) in shares.iter_mut().zip(policy.users()) {
            let role = policy.roles().get(user.role as usize);
            share.bytes_per_hour = role.map_or(0, |role| u64::from(role.log_bytes_per_hour));
            share.level = share.full();
            share.filled_us = now;
        }
        // Without a sound policy there are no users, and whoever asks is refused as the first of them.
        if policy.users().is_empty() {
            let share = Share {
                bytes_per_hour: u64::from(MIN_LOG_BYTES_PER_HOUR),
                filled_us: now,
                ..Share::default()
            };
            if let Some(first) = shares.first_mut() {
                *first = Share {
                    level: share.full(),
                    ..share
                };
            }
        }
        Self { shares }
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// How many there are instead; nothing was taken.
    pub(crate) fn take(&mut self, user: usize, bytes: u64, now: u64) -> Result<(), u64> {
        let share = self.shares.get_mut(user).ok_or(0u64)?;
        share.fill(now);
        match share.level.checked_sub(bytes.saturating_mul(HOUR_US)) {
            Some(left) => {
                share.level = left;
                Ok(())
            }
            None => Err(share.level.checked_div(HOUR_US).unwrap_or(0)),
        }
    }

    /// Gives back what was taken and not used.
    pub(crate) fn give_back(&mut self, user: usize, bytes: u64) {
        if let Some(share) = self.shares.get_mut(user) {
            let level = share.level.saturating_add(bytes.saturating_mul(HOUR_US));
            share.level = level.min(share.full());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is taken, given back and waited for: over any time, no more than an hour's worth and what the time
        /// gives.
        #[test]
        fn no_more_is_taken_than_an_hours_worth_and_what_time_gives(
            rate in 1u32..=u32::MAX,
            acts in prop::collection::vec((0u64..HOUR_US / 3, 0u64..1 << 20, 0u64..100), 1..200),
        ) {
            let mut policy = protocol::testing::policy();
            policy.roles[0].log_bytes_per_hour = rate;
            let began = 99;
            let mut now = began;
            let mut shares = Shares::new(&policy, now);
            let mut used = 0u128;
            for (wait, bytes, unused) in acts {
                now += wait;
                let bytes = bytes.min(u64::from(rate));
                match shares.take(0, bytes, now) {
                    Ok(()) => {
                        let unused = bytes * unused / 100;
                        shares.give_back(0, unused);
                        used += u128::from(bytes - unused);
                    }
                    Err(left) => prop_assert!(left < bytes),
                }
                let most = u128::from(rate) * u128::from(HOUR_US + now - began) / u128::from(HOUR_US);
                prop_assert!(used <= most, "{used} of {most}");
            }
        }
    }

    #[test]
    fn nobody_has_no_share() {
        let mut shares = Shares::new(&protocol::testing::policy(), 0);
        assert_eq!(shares.take(MAX_USERS, 1, 0), Err(0));
        assert_eq!(shares.take(5, 1, 0), Err(0));
        shares.give_back(MAX_USERS, 1);
    }
}
