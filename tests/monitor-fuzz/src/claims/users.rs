//! Logins and logouts, and how clients are told of them.

use super::*;
use crate::model::Attempts;
use crate::store::PASSPHRASES;
use protocol::error::{ErrorCode, Failure};
use protocol::name::UserName;
use protocol::policy::Role;
use protocol::record::{Kind, Record};
use protocol::wire::client::{Event, User};

impl Judge<'_> {
    pub(super) fn user_now(&self, client: usize) -> User {
        let Some(role) = self.role(client) else {
            return User::default();
        };
        if self.model.clients[client].identity.is_none() {
            return User::default();
        }
        let users = self.model.policy.map_or(&[][..], |p| p.users());
        self.describe(&users[self.model.clients[client].user()], &role)
    }

    pub(super) fn describe(&self, user: &protocol::policy::User, role: &Role) -> User {
        User {
            name: user.name,
            role: role.name,
            permissions: role.permissions,
            has_passphrase: u32::from(user.passphrase.passes > 0),
        }
    }

    pub(super) fn is_told_who(&mut self, client: usize, id: u32) -> Held {
        let user = self.user_now(client);
        self.answered(client, id, &Event::User(user), Claim::Answers)
    }

    /// A login or logout, which costs nothing without a passphrase.
    fn comes_or_goes(&mut self, client: usize, kind: Kind) -> Held {
        let user = self.model.clients[client].user();
        let mut expected = Record::new(kind);
        expected.user = self.model.user_name(user);
        self.repeated(user, expected, !PASSPHRASES[user].is_empty())
    }

    fn becomes(&mut self, client: usize, user: usize) {
        if let Some(identity) = &mut self.model.clients[client].identity {
            identity.user = user;
        }
    }

    pub(super) fn log_out(&mut self, client: usize, id: u32) -> Held {
        self.comes_or_goes(client, Kind::Logout)?;
        self.lists_end(client)?;
        let own = self.model.clients[client].identity.map(|it| it.own);
        self.becomes(client, own.unwrap_or(0));
        self.is_told_who(client, id)
    }

    pub(super) fn log_in(
        &mut self,
        client: usize,
        id: u32,
        name: UserName,
        passphrase: &[u8],
    ) -> Held<Result<(), Failure>> {
        let Ok(policy) = self.model.policy else {
            return Ok(Ok(()));
        };
        // Hashing a passphrase is work enough for a wake-up.
        self.work = 0;
        let found = self.model.find_user(name);
        let place = found.unwrap_or(policy.users().len());
        let attempts = self.model.attempts[client][place];
        let hashes = found.is_some_and(|at| !PASSPHRASES[at].is_empty());
        let mut earliest = attempts.next_us;
        if hashes {
            earliest = earliest.max(self.model.next_hash_us[client]);
        }
        if self.now < earliest {
            let wait = earliest - self.now;
            return Ok(Err(Failure::over(ErrorCode::LoginDelayed, wait, 0)));
        }
        if hashes {
            self.model.next_hash_us[client] = self.now + HASH_PAUSE_US;
        }
        if let Some(user) = found
            && PASSPHRASES[user] == passphrase
        {
            self.model.attempts[client][place] = Attempts::default();
            self.becomes(client, user);
            self.lists_end(client)?;
            self.comes_or_goes(client, Kind::Login)?;
            return self.is_told_who(client, id).map(Ok);
        }
        let failures = attempts.failures + 1;
        let doubled = (1u64 << (failures - 1).min(40)).saturating_mul(policy.login_delay_us);
        let delay = doubled.min(policy.login_delay_max_us);
        self.model.attempts[client][place] = Attempts {
            failures,
            next_us: self.now + delay,
        };
        Ok(Err(Failure::over(ErrorCode::LoginFailed, delay, 0)))
    }
}
