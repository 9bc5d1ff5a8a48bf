//! What the users have used of their budgets, by the entries of the log: a reboot is no new budget.
//!
//! How long the system was off nobody knows: there is no clock that an attacker could not set. So the time that it was off
//! does not count, and a period goes on where the last entry left it. Neither does the time from that entry to the moment
//! when the power went. A request that had not ended then is charged with all that was reserved for it. Both make a budget
//! smaller than it could be, never larger.
//!
//! An [`Usage`](protocol::record::Kind::Usage) entry says how much a user has used so far. There is one of each user after
//! every boot, and again whenever a quarter of the log has been written, so what was overwritten is not needed.

use protocol::error::ErrorCode;
use protocol::limits::{MAX_REQUESTS, MAX_USERS};
use protocol::name::{ModelName, UserName};
use protocol::policy::Policy;
use protocol::record::{Kind, Record};

/// One user's.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    name: UserName,
    /// Tokens that are used or reserved in the period.
    used: u64,
    period_us: u64,
    /// When the period began, in the time of [`Usage::now`].
    since: u64,
}

impl Account {
    fn roll(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.since);
        let periods = elapsed.checked_div(self.period_us).unwrap_or(0);
        if periods > 0 {
            let over = periods.saturating_mul(self.period_us);
            self.since = self.since.saturating_add(over);
            self.used = 0;
        }
    }
}

/// A request that was admitted and has not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    request: u32,
    user: usize,
    reserved: u64,
    /// When its period began.
    since: u64,
    is_tuning: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Usage {
    accounts: [Account; MAX_USERS],
    open: heapless::Vec<Open, { MAX_REQUESTS + 1 }>,
    /// Time of earlier boots.
    before: u64,
    /// Time of the newest entry of this one.
    last: u64,
}

impl Usage {
    pub(crate) const fn new() -> Self {
        const NONE: Account = Account {
            name: UserName::EMPTY,
            used: 0,
            period_us: 0,
            since: 0,
        };
        Self {
            accounts: [NONE; MAX_USERS],
            open: heapless::Vec::new(),
            before: 0,
            last: 0,
        }
    }

    /// Of nothing yet.
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut usage = Self::new();
        for (account, user) in usage.accounts.iter_mut().zip(policy.users()) {
            account.name = user.name;
            account.period_us = user.budget_period_us;
        }
        usage
    }

    const fn now(&self) -> u64 {
        self.before.saturating_add(self.last)
    }

    fn find(&self, name: &str) -> Option<usize> {
        let is = |account: &Account| !name.is_empty() && account.name.as_str() == name;
        self.accounts.iter().position(is)
    }

    /// Takes the next entry of the log.
    pub(crate) fn replay(&mut self, record: &Record) {
        let Some(kind) = record.kind() else {
            return;
        };
        if kind == Kind::Boot {
            // What was under way then stays charged.
            self.open.clear();
            self.before = self.now();
            self.last = 0;
        }
        self.last = self.last.max(record.time_us);
        match kind {
            Kind::Admit | Kind::Tune => self.admit(record, kind == Kind::Tune),
            Kind::Finish | Kind::Fail | Kind::Tuned => self.end(record, kind),
            Kind::Budget => {
                // As long as the policy does not apply again.
                if let Some(account) = self.account(&record.name) {
                    account.period_us = record.limit;
                }
            }
            Kind::Usage => {
                let (now, value) = (self.now(), record.value);
                let (elapsed, period_us) = (record.limit, record.count);
                if let Some(account) = self.account(&record.name) {
                    account.used = value;
                    account.period_us = period_us;
                    account.since = now.saturating_sub(elapsed);
                }
            }
            _ => {}
        }
    }

    /// The account that a budget's change or a usage is about, in its period.
    fn account(&mut self, name: &ModelName) -> Option<&mut Account> {
        let now = self.now();
        let user = self.find(name.as_str())?;
        let account = self.accounts.get_mut(user)?;
        account.roll(now);
        // A change begins the period anew; a usage says when it began.
        account.since = now;
        Some(account)
    }

    fn admit(&mut self, record: &Record, is_tuning: bool) {
        let now = self.now();
        let Some(user) = self.find(record.user.as_str()) else {
            return;
        };
        let Some(account) = self.accounts.get_mut(user) else {
            return;
        };
        account.roll(now);
        account.used = account.used.saturating_add(record.value);
        // If there are more than there can be, the log is not whole: what was reserved stays charged.
        let _ = self.open.push(Open {
            request: record.request,
            user,
            reserved: record.value,
            since: account.since,
            is_tuning,
        });
    }

    fn end(&mut self, record: &Record, kind: Kind) {
        let now = self.now();
        let (prompt, generated) = (
            u64::from(record.prompt_tokens),
            u64::from(record.generated_tokens),
        );
        let is_late = record.code == ErrorCode::Deadline as u16;
        let mut open = self.open.iter();
        let Some(at) = open.position(|open| open.request == record.request) else {
            return;
        };
        let open = self.open.swap_remove(at);
        let used = match kind {
            // Tokens and updates.
            _ if open.is_tuning => prompt,
            Kind::Fail if !is_late => 0,
            _ => prompt.saturating_add(generated),
        };
        let Some(account) = self.accounts.get_mut(open.user) else {
            return;
        };
        account.roll(now);
        // It is charged to the period in which it was admitted.
        if account.since == open.since {
            let free = open.reserved.saturating_sub(used);
            account.used = account.used.saturating_sub(free);
        }
    }

    /// What a user has used, and how much of the period is over, in microseconds.
    pub(crate) fn carried(&mut self, user: usize) -> (u64, u64) {
        let now = self.now();
        let Some(account) = self.accounts.get_mut(user) else {
            return (0, 0);
        };
        account.roll(now);
        (account.used, now.saturating_sub(account.since))
    }
}
