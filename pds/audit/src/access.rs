//! Users, roles and logins: which users the policy has, what each may do, and when each may log in.
//!
//! The client's place knows which user a client is. A passphrase is hashed with Argon2id in memory that audit was
//! given, and compared in constant time. After a failed login a user has to wait, and each further failure doubles the
//! wait. There is a pause between any two hashes, so hostile clients cannot keep audit busy hashing.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_CLIENTS, MAX_USERS};
use protocol::name::UserName;
use protocol::policy::{PassphraseHash, Permission, Policy, Role, User};
use protocol::wire::client;
use subtle::ConstantTimeEq as _;

/// Memory for hashing passphrases: [`protocol::limits::MAX_KDF_KIB`] blocks.
pub type KdfBlock = Block;

/// Pause between two hashes for one client, in microseconds (0.2 s). A hash takes some milliseconds, so however many
/// logins are tried, each client that may log in costs at most a few percent of the time below audit.
const PAUSE_US: u64 = 200_000;

/// Attempts with unknown names are counted together, in the place after the users.
const NOBODY: usize = MAX_USERS;

/// A user's failures since the last login.
#[derive(Clone, Copy, Debug, Default)]
struct Attempts {
    failures: u32,
    next_us: u64,
}

/// Users, their roles and their login attempts; see the module.
#[derive(Debug)]
pub(crate) struct Access<'m> {
    policy: Policy,
    /// Counted per client, so failures at one client lock nobody out at another.
    attempts: [[Attempts; MAX_USERS + 1]; MAX_CLIENTS],
    next_hash_us: [u64; MAX_CLIENTS],
    memory: &'m mut [KdfBlock],
}

impl<'m> Access<'m> {
    pub(crate) fn new(policy: Policy, memory: &'m mut [KdfBlock]) -> Self {
        Self {
            policy,
            attempts: [[Attempts::default(); MAX_USERS + 1]; MAX_CLIENTS],
            next_hash_us: [0; MAX_CLIENTS],
            memory,
        }
    }

    pub(crate) const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Index of the user with this name.
    pub(crate) fn find(&self, name: &UserName) -> Option<usize> {
        self.policy
            .users()
            .iter()
            .position(|user| user.name == *name)
    }

    /// Name of a user.
    pub(crate) fn name(&self, user: usize) -> UserName {
        self.user(user).map_or(UserName::EMPTY, |user| user.name)
    }

    /// Whether the user needs a passphrase to log in.
    pub(crate) fn has_passphrase(&self, user: usize) -> bool {
        self.user(user)
            .is_some_and(|user| user.passphrase.passes > 0)
    }

    fn user(&self, user: usize) -> Option<&User> {
        self.policy.users().get(user)
    }

    /// Role of a user; `None` without a policy.
    pub(crate) fn role(&self, user: usize) -> Option<&Role> {
        let user = self.user(user)?;
        self.policy.roles().get(user.role as usize)
    }

    /// Checks that a user has a permission.
    ///
    /// # Errors
    /// The user does not have it.
    pub(crate) fn require(&self, user: usize, permission: Permission) -> Result<(), Failure> {
        match self.role(user) {
            Some(role) if role.may(permission) => Ok(()),
            _ => Err(Failure::over(
                ErrorCode::NotPermitted,
                u64::from(permission as u32),
                0,
            )),
        }
    }

    /// The user at `index`, as shown to others.
    pub(crate) fn describe(&self, index: usize) -> Option<client::User> {
        let user = self.user(index)?;
        let role = self.policy.roles().get(user.role as usize)?;
        Some(client::User {
            name: user.name,
            role: role.name,
            permissions: role.permissions,
            has_passphrase: u32::from(user.passphrase.passes > 0),
        })
    }

    /// Whether a login with this name needs a passphrase to go on. The answer is the same for an unknown name as for a
    /// user with a passphrase, so it does not reveal which names exist.
    pub(crate) fn needs_passphrase(&self, name: &UserName) -> bool {
        let user = self.find(name).and_then(|index| self.user(index));
        user.is_none_or(|user| user.passphrase.passes > 0)
    }

    /// Checks the passphrase and returns the index of the user `name`.
    ///
    /// # Errors
    /// The passphrase is wrong, or it is too soon to try. Only the time to wait may have changed.
    pub(crate) fn log_in(
        &mut self,
        client: usize,
        name: &UserName,
        passphrase: &[u8],
        now: u64,
    ) -> Result<usize, Failure> {
        let index = self.find(name);
        let place = index.unwrap_or(NOBODY);
        let of_client = self.attempts.get(client);
        let attempts = of_client.and_then(|of_client| of_client.get(place));
        let attempts = attempts.copied().unwrap_or_default();
        let next_hash_us = self.next_hash_us.get(client).copied().unwrap_or(u64::MAX);
        let user = index.and_then(|index| self.user(index)).copied();
        let hashes = user.is_some_and(|user| user.passphrase.passes > 0);
        let earliest = match hashes {
            true => attempts.next_us.max(next_hash_us),
            false => attempts.next_us,
        };
        if now < earliest {
            let wait = earliest.saturating_sub(now);
            return Err(Failure::over(ErrorCode::LoginDelayed, wait, 0));
        }
        let right = user.is_some_and(|user| {
            if !hashes {
                return passphrase.is_empty();
            }
            if let Some(next_us) = self.next_hash_us.get_mut(client) {
                *next_us = now.saturating_add(PAUSE_US);
            }
            self.matches(&user.passphrase, passphrase)
        });
        if let (Some(index), true) = (index, right) {
            self.set_attempts(client, place, Attempts::default());
            return Ok(index);
        }
        let failures = attempts.failures.saturating_add(1);
        let delay = delay(&self.policy, failures);
        let next_us = now.saturating_add(delay);
        self.set_attempts(client, place, Attempts { failures, next_us });
        Err(Failure::over(ErrorCode::LoginFailed, delay, 0))
    }

    fn set_attempts(&mut self, client: usize, place: usize, attempts: Attempts) {
        let of_client = self.attempts.get_mut(client);
        if let Some(entry) = of_client.and_then(|of_client| of_client.get_mut(place)) {
            *entry = attempts;
        }
    }

    /// Whether `passphrase` has this hash. The policy's limits bound how long this takes.
    fn matches(&mut self, wanted: &PassphraseHash, passphrase: &[u8]) -> bool {
        let mut hash = [0; 32];
        let Ok(params) = Params::new(wanted.memory_kib, wanted.passes, 1, Some(hash.len())) else {
            return false;
        };
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        // Too little memory is an error, not a login.
        let result = argon2.hash_password_into_with_memory(
            passphrase,
            &wanted.salt,
            &mut hash,
            &mut *self.memory,
        );
        result.is_ok() && bool::from(hash.ct_eq(&wanted.hash))
    }
}

/// How long to wait after this many failures.
fn delay(policy: &Policy, failures: u32) -> u64 {
    let factor = 1u64
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u64::MAX);
    policy
        .login_delay_us
        .saturating_mul(factor)
        .min(policy.login_delay_max_us)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    pub(crate) fn memory() -> Vec<KdfBlock> {
        vec![KdfBlock::new(); 16]
    }

    /// The test policy, in which the passphrase of `admin` is "secret".
    pub(crate) fn policy() -> Policy {
        let mut policy = protocol::testing::policy();
        let params = Params::new(8, 1, 1, Some(32)).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let admin = &mut policy.users[1].passphrase;
        admin.salt = *b"sixteen bytes...";
        argon2
            .hash_password_into_with_memory(b"secret", &admin.salt, &mut admin.hash, memory())
            .unwrap();
        policy
    }

    const SECOND: u64 = 1_000_000;

    fn name(text: &str) -> UserName {
        UserName::new(text).unwrap()
    }

    #[test]
    fn the_right_passphrase_logs_in_and_each_user_has_a_role() {
        let mut memory = memory();
        let mut access = Access::new(policy(), &mut memory);
        let (guest, admin) = (0, 1);
        assert!(access.require(guest, Permission::Infer).is_ok());
        assert_eq!(
            access.require(guest, Permission::Log),
            Err(Failure::over(ErrorCode::NotPermitted, 16, 0))
        );
        assert_eq!(access.log_in(0, &name("admin"), b"secret", 0), Ok(admin));
        assert!(
            Permission::ALL
                .iter()
                .all(|p| access.require(admin, *p).is_ok())
        );
        // A user without a passphrase logs in by giving an empty one.
        assert_eq!(access.log_in(0, &name("guest"), b"", SECOND), Ok(guest));
        let failure = access.log_in(0, &name("guest"), b"x", SECOND).unwrap_err();
        assert_eq!(failure.code, ErrorCode::LoginFailed);
        // An unknown user may do nothing.
        assert!(access.require(9, Permission::Infer).is_err());
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_the_longest() {
        let mut memory = memory();
        let mut access = Access::new(policy(), &mut memory);
        let mut now = 0;
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = wait * SECOND;
            let failed = Failure::over(ErrorCode::LoginFailed, wait, 0);
            assert_eq!(access.log_in(0, &name("admin"), b"wrong", now), Err(failed));
            // Now even the right passphrase has to wait, and trying it does not lengthen the wait.
            let delayed = Failure::over(ErrorCode::LoginDelayed, 1, 0);
            let early = now + wait - 1;
            assert_eq!(
                access.log_in(0, &name("admin"), b"secret", early),
                Err(delayed)
            );
            now += wait;
        }
        assert_eq!(access.log_in(0, &name("admin"), b"secret", now), Ok(1));
        now += SECOND;
        let failed = Failure::over(ErrorCode::LoginFailed, SECOND, 0);
        assert_eq!(access.log_in(0, &name("admin"), b"", now), Err(failed));
    }

    #[test]
    fn names_that_nobody_has_wait_together_and_hashes_have_a_pause() {
        let mut memory = memory();
        let mut access = Access::new(policy(), &mut memory);
        let code = |result: Result<usize, Failure>| result.unwrap_err().code;
        assert_eq!(
            code(access.log_in(0, &name("eve"), b"x", 0)),
            ErrorCode::LoginFailed
        );
        assert_eq!(
            code(access.log_in(0, &name("mallory"), b"x", 1)),
            ErrorCode::LoginDelayed
        );
        assert_eq!(access.log_in(0, &name("admin"), b"secret", 2), Ok(1));
        assert_eq!(
            code(access.log_in(0, &name("admin"), b"secret", 3)),
            ErrorCode::LoginDelayed
        );
        assert_eq!(
            access.log_in(0, &name("admin"), b"secret", 2 + PAUSE_US),
            Ok(1)
        );
    }

    #[test]
    fn failures_at_one_client_keep_nobody_waiting_at_another() {
        let mut memory = memory();
        let mut access = Access::new(policy(), &mut memory);
        for now in 0..5 {
            assert!(
                access
                    .log_in(1, &name("admin"), b"wrong", now * SECOND)
                    .is_err()
            );
        }
        assert_eq!(
            access.log_in(0, &name("admin"), b"secret", 5 * SECOND),
            Ok(1)
        );
        assert!(
            access
                .log_in(1, &name("admin"), b"secret", 5 * SECOND)
                .is_err()
        );
    }

    #[test]
    fn a_hash_that_cannot_be_made_lets_nobody_in() {
        let mut policy = policy();
        // Too much, and less than Argon2 takes.
        for memory_kib in [64, 7] {
            policy.users[1].passphrase.memory_kib = memory_kib;
            let mut memory = memory();
            let mut access = Access::new(policy, &mut memory);
            let failure = access.log_in(0, &name("admin"), b"secret", 0).unwrap_err();
            assert_eq!(failure.code, ErrorCode::LoginFailed);
        }
    }

    #[test]
    fn delays_do_not_overflow() {
        let policy = policy();
        assert_eq!(delay(&policy, u32::MAX), policy.login_delay_max_us);
        assert_eq!(delay(&policy, 1), policy.login_delay_us);
    }
}
