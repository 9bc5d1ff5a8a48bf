//! Shares of the audit log: how many bytes a user's entries may take, so that nobody can push out the entries of
//! others.
//!
//! Each user has a bucket that holds an hour's worth of bytes and fills in an hour. The most that a request can write
//! is taken before it is admitted, and what it did not write is given back at its end. So in any time `t`, a user's
//! entries take at most the policy's `log-bytes-per-hour` times (1 h + `t`), plus what was taken earlier but written
//! only then.

use crate::bucket::Bucket;
use protocol::limits::MAX_USERS;
use protocol::policy::{MIN_LOG_BYTES_PER_HOUR, Policy};
use protocol::record::RECORD_BYTES;

/// Bytes of an entry without text.
pub(crate) const ENTRY: u64 = RECORD_BYTES as u64;

const HOUR_US: u64 = 3_600_000_000;

/// The users' shares; see the module.
#[derive(Debug)]
pub(crate) struct Shares {
    shares: [Bucket; MAX_USERS],
}

impl Shares {
    /// The shares of the policy, all full.
    pub(crate) fn new(policy: &Policy, now: u64) -> Self {
        let full = |bytes: u32| {
            let bytes = u64::from(bytes);
            Bucket::full(bytes, bytes, HOUR_US, now)
        };
        let mut shares = [Bucket::EMPTY; MAX_USERS];
        for (share, user) in shares.iter_mut().zip(policy.users()) {
            let role = policy.roles().get(user.role as usize);
            *share = full(role.map_or(0, |role| role.log_bytes_per_hour));
        }
        // Without a valid policy there are no users, and refusals are recorded as the first user's.
        if let (Some(first), []) = (shares.first_mut(), policy.users()) {
            *first = full(MIN_LOG_BYTES_PER_HOUR);
        }
        Self { shares }
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// How many there are instead; nothing was taken.
    pub(crate) fn take(&mut self, user: usize, bytes: u64, now: u64) -> Result<(), u64> {
        self.shares
            .get_mut(user)
            .map_or(Err(0), |share| share.take(bytes, now))
    }

    /// Gives back what was taken and not used.
    pub(crate) fn give_back(&mut self, user: usize, bytes: u64) {
        if let Some(share) = self.shares.get_mut(user) {
            share.give_back(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_the_share_of_the_role_and_nobody_has_none() {
        let mut policy = protocol::testing::policy();
        policy.roles[0].log_bytes_per_hour = 1_000_000;
        let mut shares = Shares::new(&policy, 0);
        assert_eq!(shares.take(0, 1_000_001, 0), Err(1_000_000));
        assert_eq!(shares.take(0, 600_000, 0), Ok(()));
        assert_eq!(shares.take(0, 600_000, 0), Err(400_000));
        shares.give_back(0, 200_000);
        assert_eq!(shares.take(0, 600_000, 0), Ok(()));
        assert_eq!(shares.take(0, 500_000, HOUR_US / 2), Ok(()));
        // The other role's is as it was.
        assert_eq!(shares.take(1, 1 << 30, 0), Ok(()));
        assert_eq!(shares.take(5, 1, 0), Err(0));
        assert_eq!(shares.take(MAX_USERS, 1, 0), Err(0));
        shares.give_back(MAX_USERS, 1);
    }

    #[test]
    fn without_a_policy_whoever_asks_has_the_least_share() {
        let mut policy = protocol::testing::policy();
        policy.user_count = 0;
        let least = u64::from(MIN_LOG_BYTES_PER_HOUR);
        let mut shares = Shares::new(&policy, 0);
        assert_eq!(shares.take(0, least, 0), Ok(()));
        assert_eq!(shares.take(0, 1, 0), Err(0));
        assert_eq!(shares.take(1, 1, 0), Err(0));
    }
}
