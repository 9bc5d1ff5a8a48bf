//! Who may do what, what it costs, and where it goes: the policy with its users, their budgets, and the sessions.
//!
//! The rule: nothing is taken by looking. A request is placed and its tokens are reserved when all checks are behind it,
//! and what is reserved is settled once.

use crate::access::{Access, KdfBlock};
use crate::quota::Accounts;
use crate::sessions::Sessions;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{BUDGET_PERIOD_US, MAX_BUDGET_TOKENS};
use protocol::name::UserName;
use protocol::policy::{Permission, Policy, PolicyError};
use protocol::wire::client::{BudgetChange, User};
use zerocopy::FromZeros as _;

/// See the module.
pub(crate) struct Gate<'m> {
    pub(crate) access: Access<'m>,
    /// Why nobody may do anything, if that is so.
    policy_error: Option<PolicyError>,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
}

impl<'m> Gate<'m> {
    /// `policy`: as the tool has compiled it.
    pub(crate) fn new(policy: &[u8], kdf: &'m mut [KdfBlock]) -> Self {
        let (policy, policy_error) = match Policy::read(policy) {
            Ok(policy) => (policy, None),
            // Without users, roles and keys nobody may do anything.
            Err(error) => (Policy::new_zeroed(), Some(error)),
        };
        Self {
            accounts: Accounts::new(&policy, 0),
            access: Access::new(policy, kdf),
            policy_error,
            sessions: Sessions::new(),
        }
    }

    /// The system starts: periods begin here.
    pub(crate) fn start(&mut self, now: u64) {
        self.accounts = Accounts::new(self.access.policy(), now);
    }

    pub(crate) const fn policy(&self) -> &Policy {
        self.access.policy()
    }

    /// # Errors
    /// There is no sound policy, so nobody may do anything.
    pub(crate) fn require_policy(&self) -> Result<(), Failure> {
        self.policy_error.map_or(Ok(()), |error| {
            Err(Failure::over(ErrorCode::BadPolicy, error as u64, 0))
        })
    }

    /// A user as others see one.
    pub(crate) fn describe(&self, user: usize) -> User {
        self.access.describe(user).unwrap_or_default()
    }

    /// Whose budget a user may see, or change as `change` says: its own for an empty name.
    ///
    /// # Errors
    /// There is no such user, the user may not, or the budget is out of its limits.
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
