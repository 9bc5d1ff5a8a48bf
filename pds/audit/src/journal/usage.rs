//! How much of their budgets users have spent, according to the log, so that a reboot does not refill a budget.
//!
//! Nobody knows how long the system was off: an attacker could set any clock. So that time does not count, and a period
//! goes on where the last entry left it. The time between that entry and the power failure does not count either. A
//! request that had not ended by then is charged with all that it had reserved. All of this can only make a budget
//! smaller than it should be, never larger.
//!
//! A [`Usage`](protocol::record::Kind::Usage) entry says how much a user has spent so far. One is written for each user
//! after every boot, and again whenever a quarter of the log has been written, so overwritten entries are not needed.

use protocol::error::ErrorCode;
use protocol::limits::{MAX_REQUESTS, MAX_USERS};
use protocol::name::{ModelName, UserName};
use protocol::policy::Policy;
use protocol::record::{Kind, Record};

/// The time at which a log begins, in microseconds. It leaves room below for periods that began before the oldest
/// entry.
const BEGIN_US: u64 = 1 << 60;

/// One user's spending.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    name: UserName,
    /// Tokens used or reserved in the period.
    used: u64,
    period_us: u64,
    /// When the period began, on the clock of [`Usage::now`].
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
    /// When its user's period began.
    since: u64,
    is_tuning: bool,
}

/// The spending of all users, as far as the log was read; see the module.
#[derive(Debug)]
pub(crate) struct Usage {
    accounts: [Account; MAX_USERS],
    open: [Option<Open>; MAX_REQUESTS + 1],
    /// Total time of earlier boots.
    before: u64,
    /// Time of the newest entry of this boot.
    last: u64,
}

impl Usage {
    pub(crate) const fn new() -> Self {
        const NONE: Account = Account {
            name: UserName::EMPTY,
            used: 0,
            period_us: 0,
            since: BEGIN_US,
        };
        Self {
            accounts: [NONE; MAX_USERS],
            open: [None; MAX_REQUESTS + 1],
            before: BEGIN_US,
            last: 0,
        }
    }

    /// The usage before the first entry.
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
            // Requests that were under way at the power failure stay charged.
            self.open = [None; MAX_REQUESTS + 1];
            self.before = self.now();
            self.last = 0;
        }
        self.last = self.last.max(record.time_us);
        match kind {
            Kind::Admit | Kind::Tune => self.admit(record, kind == Kind::Tune),
            Kind::Finish | Kind::Fail | Kind::Tuned => self.end(record, kind),
            Kind::Budget => {
                // A changed budget holds until the next boot applies the policy again.
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

    /// The account of the user whom a budget change or usage entry names, with its period brought up to date.
    fn account(&mut self, name: &ModelName) -> Option<&mut Account> {
        let now = self.now();
        let user = self.find(name.as_str())?;
        let account = self.accounts.get_mut(user)?;
        account.roll(now);
        // A budget change starts a new period; a usage entry says when the period began.
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
        // If there are more than the limit, entries are missing from the log: the reservation stays charged.
        if let Some(place) = self.open.iter_mut().find(|place| place.is_none()) {
            *place = Some(Open {
                request: record.request,
                user,
                reserved: record.value,
                since: account.since,
                is_tuning,
            });
        }
    }

    fn end(&mut self, record: &Record, kind: Kind) {
        let now = self.now();
        let (prompt, generated) = (
            u64::from(record.prompt_tokens),
            u64::from(record.generated_tokens),
        );
        let is_late = record.code == ErrorCode::Deadline as u16;
        let is = |open: &Option<Open>| open.is_some_and(|open| open.request == record.request);
        let place = self.open.iter_mut().find(|open| is(open));
        let Some(open) = place.and_then(Option::take) else {
            return;
        };
        let used = match kind {
            // A fine-tuning counts tokens plus updates.
            _ if open.is_tuning => prompt,
            Kind::Fail if !is_late => 0,
            _ => prompt.saturating_add(generated),
        };
        let Some(account) = self.accounts.get_mut(open.user) else {
            return;
        };
        account.roll(now);
        // Charged only if the period in which the request was admitted is still running.
        if account.since == open.since {
            let free = open.reserved.saturating_sub(used);
            account.used = account.used.saturating_sub(free);
        }
    }

    /// What a user has spent in the period, and how much of the period is over, in microseconds.
    pub(crate) fn carried(&mut self, user: usize) -> (u64, u64) {
        let now = self.now();
        let Some(account) = self.accounts.get_mut(user) else {
            return (0, 0);
        };
        account.roll(now);
        (account.used, now.saturating_sub(account.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// Replays entries of `guest`, whose period is 100 s.
    struct Log(Usage);

    impl Log {
        fn new() -> Self {
            let mut policy = protocol::testing::policy();
            policy.users[0].budget_period_us = 100 * SECOND;
            Self(Usage::of(&policy))
        }

        fn entry(&mut self, kind: Kind, seconds: u64, change: impl FnOnce(&mut Record)) {
            let mut record = Record {
                time_us: seconds * SECOND,
                user: UserName::new("guest").unwrap(),
                ..Record::new(kind)
            };
            change(&mut record);
            self.0.replay(&record);
        }

        fn admit(&mut self, request: u32, seconds: u64, tokens: u64) {
            self.entry(Kind::Admit, seconds, |record| {
                (record.request, record.value) = (request, tokens);
            });
        }

        fn end(&mut self, kind: Kind, request: u32, seconds: u64, code: u16) {
            self.entry(kind, seconds, |record| {
                (record.request, record.code) = (request, code);
                (record.prompt_tokens, record.generated_tokens) = (3, 4);
            });
        }

        /// The tokens spent, and the seconds of the period that are over.
        fn carried(&mut self) -> (u64, u64) {
            let (used, elapsed) = self.0.carried(0);
            (used, elapsed / SECOND)
        }
    }

    #[test]
    fn what_ended_is_charged_as_it_was_and_what_did_not_with_all_of_it() {
        let mut log = Log::new();
        log.entry(Kind::Boot, 0, |_| {});
        for request in 1..=4 {
            log.admit(request, 1, 100);
        }
        log.end(Kind::Finish, 1, 2, 1);
        log.end(Kind::Fail, 2, 2, ErrorCode::NonFinite as u16);
        log.end(Kind::Fail, 3, 3, ErrorCode::Deadline as u16);
        assert_eq!(log.carried(), (7 + 7 + 100, 3));
        // The power fails; request 4 of the next boot is a different one.
        log.entry(Kind::Boot, 0, |_| {});
        log.end(Kind::Finish, 4, 1, 1);
        assert_eq!(log.carried(), (114, 4));
        // A fine-tuning counts tokens and updates.
        log.entry(Kind::Tune, 2, |record| {
            (record.request, record.value) = (5, 50);
        });
        log.end(Kind::Tuned, 5, 3, 1);
        assert_eq!(log.carried(), (117, 6));
    }

    #[test]
    fn periods_go_on_over_boots_and_time_between_them_does_not_count() {
        let mut log = Log::new();
        log.entry(Kind::Boot, 0, |_| {});
        log.admit(1, 60, 10);
        log.end(Kind::Finish, 1, 61, 1);
        log.entry(Kind::Boot, 0, |_| {});
        log.admit(2, 30, 20);
        assert_eq!(log.carried(), (27, 91));
        // It ends in the next period, but is charged to the one in which it was admitted.
        log.end(Kind::Finish, 2, 45, 1);
        assert_eq!(log.carried(), (0, 6));
        log.admit(3, 50, 5);
        assert_eq!(log.carried(), (5, 11));
    }

    #[test]
    fn a_usage_says_what_came_before_and_a_change_begins_the_period_anew() {
        let mut log = Log::new();
        let of_guest = |record: &mut Record| record.name = ModelName::new("guest").unwrap();
        log.entry(Kind::Usage, 7, |record| {
            of_guest(record);
            (record.value, record.limit, record.count) = (40, 70 * SECOND, 100 * SECOND);
        });
        assert_eq!(log.carried(), (40, 70));
        log.admit(1, 10, 5);
        assert_eq!(log.carried(), (45, 73));
        log.entry(Kind::Budget, 20, |record| {
            of_guest(record);
            (record.value, record.limit) = (1_000, 10 * SECOND);
        });
        assert_eq!(log.carried(), (45, 0));
        // Entries about nobody or about another user change nothing.
        log.entry(Kind::Admit, 21, |record| {
            (record.user, record.value) = (UserName::new("eve").unwrap(), 9);
        });
        assert_eq!(log.carried(), (45, 1));
        log.entry(Kind::Login, 31, |_| {});
        assert_eq!(log.carried(), (0, 1));
    }
}
