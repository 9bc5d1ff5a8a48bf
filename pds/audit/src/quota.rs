//! Budgets: tokens per user and period.
//!
//! When a request is admitted it reserves the most that it can cost. At its end it is charged with what was counted, in
//! the period in which it was admitted, even if that is over. So every token is charged exactly once, and in no period
//! do used and reserved tokens exceed the budget, unless an admin lowers the budget below them. Then nothing more is
//! reserved until there is room again, but earlier reservations are honoured.

use protocol::limits::MAX_USERS;
use protocol::name::UserName;
use protocol::policy::Policy;
use protocol::wire::client::{Budget, BudgetChange};

/// One user's budget.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    tokens: u64,
    period_us: u64,
    /// When the period started, or when the system did, if that was later.
    started_us: u64,
    /// How much of the period was already over then.
    carried_us: u64,
    /// Number of the period.
    period: u64,
    used: u64,
    reserved: u64,
}

impl Account {
    /// Begins a new period if the current one is over.
    fn roll(&mut self, now: u64) {
        let periods = self.elapsed(now).checked_div(self.period_us).unwrap_or(0);
        if periods > 0 {
            let over = periods.saturating_mul(self.period_us);
            let carried = over.min(self.carried_us);
            self.carried_us = self.carried_us.saturating_sub(carried);
            self.started_us = self.started_us.saturating_add(over.saturating_sub(carried));
            self.period = self.period.saturating_add(periods);
            self.used = 0;
            self.reserved = 0;
        }
    }

    /// How long the period has been running.
    const fn elapsed(&self, now: u64) -> u64 {
        now.saturating_sub(self.started_us)
            .saturating_add(self.carried_us)
    }

    const fn available(&self) -> u64 {
        self.tokens
            .saturating_sub(self.used)
            .saturating_sub(self.reserved)
    }
}

/// Tokens that a request has reserved. A reservation is settled exactly once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reservation {
    user: usize,
    tokens: u64,
    period: u64,
}

/// The budgets of all users.
#[derive(Debug)]
pub(crate) struct Accounts {
    accounts: [Account; MAX_USERS],
}

impl Accounts {
    /// The budgets of the policy, with periods that begin now.
    pub(crate) fn new(policy: &Policy, now: u64) -> Self {
        let mut accounts = [Account::default(); MAX_USERS];
        for (account, user) in accounts.iter_mut().zip(policy.users()) {
            account.tokens = user.budget_tokens;
            account.period_us = user.budget_period_us;
            account.started_us = now;
        }
        Self { accounts }
    }

    /// Reserves tokens.
    ///
    /// # Errors
    /// The number of tokens available; nothing was reserved.
    pub(crate) fn reserve(
        &mut self,
        user: usize,
        tokens: u64,
        now: u64,
    ) -> Result<Reservation, u64> {
        let account = self.accounts.get_mut(user).ok_or(0u64)?;
        account.roll(now);
        if tokens > account.available() {
            return Err(account.available());
        }
        account.reserved = account.reserved.saturating_add(tokens);
        Ok(Reservation {
            user,
            tokens,
            period: account.period,
        })
    }

    /// Ends a reservation: `used` of its tokens were used, the rest become available again.
    pub(crate) fn settle(&mut self, reservation: Reservation, used: u64, now: u64) {
        let Some(account) = self.accounts.get_mut(reservation.user) else {
            return;
        };
        account.roll(now);
        if account.period == reservation.period {
            account.reserved = account.reserved.saturating_sub(reservation.tokens);
            account.used = account.used.saturating_add(used.min(reservation.tokens));
        }
    }

    /// Changes the parts of a budget that `change` names. A new period begins, and what was used in the old one counts
    /// in it, so a change creates no tokens beyond the new limit.
    pub(crate) fn change(&mut self, user: usize, change: BudgetChange, now: u64) {
        if let Some(account) = self.accounts.get_mut(user) {
            account.roll(now);
            account.tokens = change.tokens.unwrap_or(account.tokens);
            account.period_us = change.period_us.unwrap_or(account.period_us);
            (account.started_us, account.carried_us) = (now, 0);
        }
    }

    /// Continues the period of an earlier boot: this much was used, and this much of it is over.
    pub(crate) fn carry(&mut self, user: usize, used: u64, elapsed_us: u64, now: u64) {
        if let Some(account) = self.accounts.get_mut(user) {
            account.used = used;
            (account.started_us, account.carried_us) = (now, elapsed_us);
            account.roll(now);
        }
    }

    /// A budget, as shown to others.
    pub(crate) fn budget(&mut self, user: usize, name: UserName, now: u64) -> Budget {
        let Some(account) = self.accounts.get_mut(user) else {
            return Budget::default();
        };
        account.roll(now);
        Budget {
            user: name,
            tokens: account.tokens,
            used: account.used,
            reserved: account.reserved,
            period_us: account.period_us,
            left_us: account.period_us.saturating_sub(account.elapsed(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[derive(Clone, Debug)]
    enum Act {
        Reserve {
            user: usize,
            tokens: u64,
        },
        /// Settles one of the open reservations, using this percentage of its tokens.
        Settle {
            which: prop::sample::Index,
            percent: u64,
        },
        Change {
            user: usize,
            tokens: u64,
            period_us: u64,
        },
        Wait(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => (0usize..2, 0u64..600).prop_map(|(user, tokens)| Act::Reserve { user, tokens }),
            3 => (any::<prop::sample::Index>(), 0u64..=100)
                .prop_map(|(which, percent)| Act::Settle { which, percent }),
            1 => (0usize..2, 0u64..2000, 1_000_000u64..5_000_000)
                .prop_map(|(user, tokens, period_us)| Act::Change { user, tokens, period_us }),
            2 => (0u64..2_000_000).prop_map(Act::Wait),
        ]
    }

    /// The model: it records every charge in the period to which it belongs.
    struct Ledger {
        tokens: u64,
        period_us: u64,
        began_us: u64,
        /// Charges of this period: (reserved, used) for each reservation.
        charges: Vec<(u64, Option<u64>)>,
        number: u64,
    }

    impl Ledger {
        fn roll(&mut self, now: u64) {
            while now - self.began_us >= self.period_us {
                self.began_us += self.period_us;
                self.charges.clear();
                self.number += 1;
            }
        }

        fn taken(&self) -> u64 {
            self.charges
                .iter()
                .map(|(reserved, used)| used.unwrap_or(*reserved))
                .sum()
        }
    }

    proptest! {
        #[test]
        fn no_sequence_of_requests_loses_or_creates_a_token(acts in prop::collection::vec(act(), 0..200)) {
            let mut policy = protocol::testing::policy();
            let budgets = [(1000, 3_000_000), (500, 7_000_000)];
            for (user, (tokens, period_us)) in policy.users.iter_mut().zip(budgets) {
                (user.budget_tokens, user.budget_period_us) = (tokens, period_us);
            }
            let mut now = 5;
            let mut accounts = Accounts::new(&policy, now);
            let mut ledgers = budgets.map(|(tokens, period_us)| Ledger {
                tokens,
                period_us,
                began_us: now,
                charges: Vec::new(),
                number: 0,
            });
            // Each reservation, and where the ledger has it.
            let mut open: Vec<(Reservation, u64, usize)> = Vec::new();
            for act in acts {
                match act {
                    Act::Wait(us) => now += us,
                    Act::Reserve { user, tokens } => {
                        let ledger = &mut ledgers[user];
                        ledger.roll(now);
                        let left = ledger.tokens.saturating_sub(ledger.taken());
                        match accounts.reserve(user, tokens, now) {
                            Ok(reservation) => {
                                prop_assert!(tokens <= left);
                                open.push((reservation, ledger.number, ledger.charges.len()));
                                ledger.charges.push((tokens, None));
                            }
                            Err(available) => {
                                prop_assert!(tokens > left);
                                prop_assert_eq!(available, left);
                            }
                        }
                    }
                    Act::Settle { which, percent } => {
                        if open.is_empty() {
                            continue;
                        }
                        let (reservation, number, place) = open.swap_remove(which.index(open.len()));
                        let used = reservation.tokens * percent / 100;
                        let ledger = &mut ledgers[reservation.user];
                        ledger.roll(now);
                        accounts.settle(reservation, used, now);
                        if number == ledger.number {
                            ledger.charges[place].1 = Some(used);
                        }
                    }
                    Act::Change { user, tokens, period_us } => {
                        let ledger = &mut ledgers[user];
                        ledger.roll(now);
                        let change = BudgetChange {
                            tokens: Some(tokens),
                            period_us: Some(period_us),
                        };
                        accounts.change(user, change, now);
                        (ledger.tokens, ledger.period_us, ledger.began_us) = (tokens, period_us, now);
                    }
                }
                for (user, ledger) in ledgers.iter_mut().enumerate() {
                    ledger.roll(now);
                    let budget = accounts.budget(user, UserName::EMPTY, now);
                    prop_assert_eq!(budget.used + budget.reserved, ledger.taken());
                    prop_assert_eq!(budget.available(), ledger.tokens.saturating_sub(ledger.taken()));
                    prop_assert_eq!(budget.left_us, ledger.began_us + ledger.period_us - now);
                }
            }
            for (reservation, _, _) in open {
                accounts.settle(reservation, 0, now);
            }
            for user in 0..2 {
                prop_assert_eq!(accounts.budget(user, UserName::EMPTY, now).reserved, 0);
            }
        }
    }

    #[test]
    fn a_period_that_began_before_the_boot_ends_when_it_would_have() {
        let mut policy = protocol::testing::policy();
        (
            policy.users[0].budget_tokens,
            policy.users[0].budget_period_us,
        ) = (1000, 3_000_000);
        let mut accounts = Accounts::new(&policy, 50);
        accounts.carry(0, 900, 2_000_000, 50);
        let budget = accounts.budget(0, UserName::EMPTY, 1_000_049);
        assert_eq!((budget.used, budget.left_us), (900, 1));
        assert_eq!(accounts.reserve(0, 101, 1_000_049), Err(100));
        let budget = accounts.budget(0, UserName::EMPTY, 1_000_050);
        assert_eq!((budget.used, budget.left_us), (0, 3_000_000));
        assert!(accounts.reserve(0, 1000, 1_000_050).is_ok());
        assert_eq!(
            accounts.budget(0, UserName::EMPTY, 4_000_049).reserved,
            1000
        );
        assert_eq!(accounts.budget(0, UserName::EMPTY, 4_000_050).reserved, 0);
        // The elapsed time is longer than a period: nothing of it counts.
        accounts.carry(0, 900, 7_000_000, 5_000_000);
        let budget = accounts.budget(0, UserName::EMPTY, 5_000_000);
        assert_eq!((budget.used, budget.left_us), (0, 2_000_000));
    }

    #[test]
    fn who_is_no_user_has_nothing() {
        let mut accounts = Accounts::new(&protocol::testing::policy(), 0);
        assert_eq!(accounts.reserve(99, 0, 0), Err(0));
        assert_eq!(accounts.budget(99, UserName::EMPTY, 0), Budget::default());
        accounts.settle(
            Reservation {
                user: 99,
                tokens: 1,
                period: 0,
            },
            1,
            0,
        );
        accounts.change(
            99,
            BudgetChange {
                tokens: Some(1),
                period_us: Some(1),
            },
            0,
        );
        // Unused places of the policy have no budget either.
        assert_eq!(accounts.reserve(5, 1, 0), Err(0));
    }
}
