//! What each user may do, at what cost, and where each request goes: the policy with its users, their budgets and the
//! sessions.
//!
//! The rule: a check takes nothing. A request gets its place and its tokens are reserved only after all checks have
//! passed, and each reservation is settled once.

use crate::access::{Access, KdfBlock};
use crate::answer::Languages;
use crate::client::Identity;
use crate::quota::Accounts;
use crate::sessions::Sessions;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{BUDGET_PERIOD_US, MAX_BUDGET_TOKENS};
use protocol::name::UserName;
use protocol::policy::{FormatRule, Permission, Policy, PolicyError};
use protocol::wire::client::{BudgetChange, User};
use zerocopy::FromZeros as _;

/// The policy, the users and their budgets, and the sessions; see the module.
pub(crate) struct Gate<'m> {
    pub(crate) access: Access<'m>,
    /// Why nobody may do anything, if the policy is unusable.
    policy_error: Option<PolicyError>,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    pub(crate) languages: Languages<'m>,
}

impl<'m> Gate<'m> {
    /// `policy` and `formats`: as the tool has compiled them.
    pub(crate) fn new(policy: &[u8], formats: &'m [u8], kdf: &'m mut [KdfBlock]) -> Self {
        let read =
            Policy::read(policy).and_then(|policy| Ok((policy, Languages::new(&policy, formats)?)));
        let (policy, languages, policy_error) = match read {
            Ok((policy, languages)) => (policy, languages, None),
            // Without users, roles and keys, nobody may do anything.
            Err(error) => (Policy::new_zeroed(), Languages::NONE, Some(error)),
        };
        Self {
            accounts: Accounts::new(&policy, 0),
            access: Access::new(policy, kdf),
            policy_error,
            sessions: Sessions::new(),
            languages,
        }
    }

    /// Called when the system starts: the budgets' periods begin now.
    pub(crate) fn start(&mut self, now: u64) {
        self.accounts = Accounts::new(self.access.policy(), now);
    }

    pub(crate) const fn policy(&self) -> &Policy {
        self.access.policy()
    }

    /// # Errors
    /// There is no valid policy, so nobody may do anything.
    pub(crate) fn require_policy(&self) -> Result<(), Failure> {
        self.policy_error.map_or(Ok(()), |error| {
            Err(Failure::over(ErrorCode::BadPolicy, error as u64, 0))
        })
    }

    /// Which formats a user's answers may have at the client with this place in the policy.
    pub(crate) fn format_rule(&self, user: usize, client: usize) -> FormatRule {
        let role = self.policy().users().get(user).map(|user| user.role);
        // A user without a role gets the rule of a role that does not exist: no formats.
        let role = role.map_or(usize::MAX, |role| role as usize);
        self.policy().format_rule(role, client)
    }

    /// Whether a client must use a format, and so is told nothing else that inference could choose.
    pub(crate) fn is_bound(&self, client: Identity) -> bool {
        self.format_rule(client.user, client.entry).must_use()
    }

    /// A user, as shown to others.
    pub(crate) fn describe(&self, user: usize) -> User {
        self.access.describe(user).unwrap_or_default()
    }

    /// Finds the user whose budget `user` wants to see, or to change as `change` says. An empty name means its own.
    ///
    /// # Errors
    /// There is no such user, `user` lacks the permission, or the new budget is out of its limits.
    pub(crate) fn budget_of(
        &self,
        user: usize,
        name: &UserName,
        change: &BudgetChange,
    ) -> Result<usize, Failure> {
        let of = match name.is_empty() {
            true => user,
            false => self
                .access
                .find(name)
                .ok_or(Failure::of(ErrorCode::NoSuchUser))?,
        };
        if of != user || !change.is_none() {
            self.access.require(user, Permission::Budget)?;
        }
        if let Some(tokens) = change.tokens.filter(|tokens| *tokens > MAX_BUDGET_TOKENS) {
            let limit = MAX_BUDGET_TOKENS;
            return Err(Failure::over(ErrorCode::BudgetTokens, tokens, limit));
        }
        if let Some(period_us) = change.period_us.filter(|us| !BUDGET_PERIOD_US.contains(us)) {
            let limit = *BUDGET_PERIOD_US.end();
            return Err(Failure::over(ErrorCode::BudgetPeriod, period_us, limit));
        }
        Ok(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::testing::{policy, policy_bytes};
    use std::vec::Vec;

    fn gate(policy: &[u8], kdf: &'static mut [KdfBlock]) -> Gate<'static> {
        Gate::new(policy, &[], kdf)
    }

    fn kdf() -> &'static mut [KdfBlock] {
        Vec::leak(crate::access::tests::memory())
    }

    #[test]
    fn bytes_that_are_not_a_valid_policy_let_nobody_do_anything() {
        let gate = gate(&policy_bytes()[1..], kdf());
        let failure = Failure::over(ErrorCode::BadPolicy, PolicyError::Size as u64, 0);
        assert_eq!(gate.require_policy(), Err(failure));
        assert_eq!(gate.describe(0), User::default());
        assert!(gate.policy().users().is_empty());
    }

    #[test]
    fn a_budget_is_seen_by_its_owner_and_changed_by_who_may_within_its_limits() {
        let gate = gate(&policy_bytes(), kdf());
        assert_eq!(gate.require_policy(), Ok(()));
        let (guest, admin) = (0, 1);
        let name = |text| UserName::new(text).unwrap();
        let see = BudgetChange::NONE;
        let tokens = |tokens| BudgetChange {
            tokens: Some(tokens),
            period_us: None,
        };
        assert_eq!(gate.budget_of(guest, &UserName::EMPTY, &see), Ok(guest));
        assert_eq!(gate.budget_of(guest, &name("guest"), &see), Ok(guest));
        let code = |result: Result<usize, Failure>| result.map_err(|failure| failure.code);
        let not_permitted = Err(ErrorCode::NotPermitted);
        assert_eq!(
            code(gate.budget_of(guest, &name("admin"), &see)),
            not_permitted
        );
        assert_eq!(
            code(gate.budget_of(guest, &UserName::EMPTY, &tokens(1))),
            not_permitted
        );
        assert_eq!(gate.budget_of(admin, &name("guest"), &tokens(1)), Ok(guest));
        assert_eq!(
            code(gate.budget_of(admin, &name("eve"), &see)),
            Err(ErrorCode::NoSuchUser)
        );
        assert_eq!(
            gate.budget_of(admin, &name("guest"), &tokens(MAX_BUDGET_TOKENS + 1)),
            Err(Failure::over(
                ErrorCode::BudgetTokens,
                MAX_BUDGET_TOKENS + 1,
                MAX_BUDGET_TOKENS
            ))
        );
        let period = BudgetChange {
            tokens: None,
            period_us: Some(5),
        };
        assert_eq!(
            code(gate.budget_of(admin, &UserName::EMPTY, &period)),
            Err(ErrorCode::BudgetPeriod)
        );
        assert_eq!(gate.policy().users().len(), policy().users().len());
    }
}
