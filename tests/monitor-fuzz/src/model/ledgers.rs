//! Counters: tokens of budgets, bytes of the egress cap and of the log, wrong passphrases, repeated events.

use protocol::error::ErrorCode;
use protocol::policy::Policy;
use protocol::record::Record;
use std::collections::BTreeMap;

/// Tokens of one user.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Limit in a period.
    pub tokens: u64,
    /// Length of the period in microseconds.
    pub period_us: u64,
    began_us: u64,
    /// Tokens reserved in this period, by request.
    open: BTreeMap<u32, u64>,
    /// Tokens used in this period.
    pub used: u64,
}

impl Ledger {
    /// A budget whose period begins now.
    #[must_use]
    pub const fn new(tokens: u64, period_us: u64, now: u64) -> Self {
        Self {
            tokens,
            period_us,
            began_us: now,
            open: BTreeMap::new(),
            used: 0,
        }
    }

    /// Begins a new period, without charges, if the current one is over.
    pub fn roll(&mut self, now: u64) {
        let periods = now.saturating_sub(self.began_us) / self.period_us;
        if periods > 0 {
            self.began_us += periods * self.period_us;
            self.open.clear();
            self.used = 0;
        }
    }

    /// Tokens reserved in this period.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.open.values().sum()
    }

    /// Tokens that can still be reserved.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.tokens
            .saturating_sub(self.used)
            .saturating_sub(self.reserved())
    }

    /// A request was admitted.
    pub fn reserve(&mut self, number: u32, tokens: u64) {
        self.open.insert(number, tokens);
    }

    /// A request has ended. If it was admitted in an earlier period, it is not charged.
    pub fn settle(&mut self, number: u32, used: u64, now: u64) {
        self.roll(now);
        if self.open.remove(&number).is_some() {
            self.used += used;
        }
    }

    /// Changes the limit or the period. A new period begins, in which the tokens used so far still count.
    pub fn change(&mut self, tokens: Option<u64>, period_us: Option<u64>, now: u64) {
        self.roll(now);
        self.tokens = tokens.unwrap_or(self.tokens);
        self.period_us = period_us.unwrap_or(self.period_us);
        self.began_us = now;
    }

    /// Time left in the period.
    #[must_use]
    pub const fn left_us(&self, now: u64) -> u64 {
        self.began_us + self.period_us - now
    }
}

const SECOND_US: i128 = 1_000_000;

/// A bucket for the egress cap, in bytes times microseconds per second. It may be overdrawn, so that a breach is
/// visible.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: i128,
    burst: i128,
    /// The level if debts are paid at once: the most that may have left.
    most: i128,
    /// The level as audit counts it, which pays back a debt only when asked.
    level: i128,
    debt: u64,
    filled_us: u64,
    /// Total bytes that have left.
    pub passed: u64,
    /// How many tokens inference may be ahead of a client.
    pub window: u32,
    /// How long something has waited for it before `held_since_us`, and since when something is waiting.
    held_us: u64,
    held_since_us: Option<u64>,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(policy: &Policy, now: u64) -> Self {
        let burst = i128::from(policy.egress_burst_bytes) * SECOND_US;
        // A token's text has at most 256 bytes, and 12 more are counted for it; the same 12 are counted for held-back
        // text, which has at most 64 bytes.
        let window = ((policy.egress_burst_bytes - 76) / 268).clamp(1, 16);
        Self {
            rate: i128::from(policy.egress_bytes_per_second),
            burst,
            most: burst,
            level: burst,
            debt: 0,
            filled_us: now,
            passed: 0,
            window,
            held_us: 0,
            held_since_us: None,
        }
    }

    /// Notes whether something is waiting for it from now on.
    pub fn note_held(&mut self, waits: bool, now: u64) {
        self.held_us = self.held_us(now);
        self.held_since_us = waits.then_some(now);
    }

    /// How long something has waited for it.
    #[must_use]
    pub fn held_us(&self, now: u64) -> u64 {
        self.held_us + self.held_since_us.map_or(0, |since| now - since)
    }

    /// Whole bytes that may leave now.
    pub fn left(&self, now: u64) -> u64 {
        let mut filled = self.clone();
        filled.fill(now);
        ((filled.level / SECOND_US) as u64).saturating_sub(filled.debt)
    }

    /// The most that may leave at once.
    #[must_use]
    pub const fn burst(&self) -> u64 {
        (self.burst / SECOND_US) as u64
    }

    fn fill(&mut self, now: u64) {
        let more = i128::from(now.saturating_sub(self.filled_us)) * self.rate;
        self.most = (self.most + more).min(self.burst);
        self.level = (self.level + more).min(self.burst);
        self.filled_us = self.filled_us.max(now);
    }

    fn pay(&mut self) {
        let paid = (self.level / SECOND_US).min(i128::from(self.debt));
        self.level -= paid * SECOND_US;
        self.debt -= paid as u64;
    }

    /// Counts bytes that have left and could not be held back.
    pub fn owe(&mut self, bytes: u64, now: u64) {
        self.fill(now);
        self.passed += bytes;
        self.most -= i128::from(bytes) * SECOND_US;
        self.debt += bytes;
        self.pay();
    }

    /// Counts bytes that have left; false if more than allowed.
    pub fn take(&mut self, bytes: u64, now: u64) -> bool {
        self.owe(bytes, now);
        self.most >= 0
    }

    /// Whether this many bytes may leave.
    pub fn allows(&mut self, bytes: u64, now: u64) -> bool {
        self.fill(now);
        self.pay();
        self.debt == 0 && self.level >= i128::from(bytes) * SECOND_US
    }

    /// The latest time at which they may leave, if nothing else does.
    #[must_use]
    pub fn allows_at(&self, bytes: u64) -> u64 {
        let wanted = i128::from(bytes.max(self.debt)) * SECOND_US;
        let missing = (wanted - self.level).max(0);
        self.filled_us + (missing / self.rate.max(1)) as u64 + 1
    }
}

/// A user's wrong passphrases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempts {
    /// Consecutive failures.
    pub failures: u32,
    /// When the next try is allowed.
    pub next_us: u64,
}

const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3600 * SECOND;

/// Events of one author for one reason, which are recorded ever more rarely, with counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Repeats {
    /// Events without an entry.
    pub pending: u64,
    /// Value and limit of the newest event.
    pub newest: (u64, u64),
    recorded_us: u64,
    /// Pause between the last entry and the next; 0 if there was none.
    pause_us: u64,
}

impl Repeats {
    /// Whether the next entry is due.
    #[must_use]
    pub fn due(&self, now: u64) -> bool {
        self.pause_us == 0 || now >= self.recorded_us + self.pause_us.min(HOUR)
    }

    /// An entry has counted all pending events.
    pub fn recorded(&mut self, now: u64) {
        self.pause_us = match self.pause_us {
            0 => SECOND,
            _ if now - self.recorded_us >= 2 * HOUR => SECOND,
            pause if pause >= HOUR => pause,
            pause => 2 * pause,
        };
        self.recorded_us = now;
        self.pending = 0;
    }

    /// The entry is postponed, because its author's share of the log has no room.
    pub fn postpone(&mut self, now: u64) {
        self.recorded_us = now;
        self.pause_us = self.pause_us.max(SECOND);
    }
}

/// A reason for entries: the kind of record, its code, and the missing permission.
pub type Reason = (u16, u16, u64);

/// The reason for an entry.
#[must_use]
pub fn reason(record: &Record) -> Reason {
    let permission = match record.code == ErrorCode::NotPermitted as u16 {
        true => record.value,
        false => 0,
    };
    (record.kind, record.code, permission)
}

/// Size of an entry of the log without text.
pub const ENTRY: u64 = protocol::record::RECORD_BYTES as u64;

/// One user's share of the log, in bytes times microseconds per hour.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    rate: u128,
    level: u128,
    filled_us: u64,
    /// Bytes taken by entries.
    pub used: u64,
}

impl Share {
    /// A full share, for this many bytes per hour.
    #[must_use]
    pub fn new(rate: u32, now: u64) -> Self {
        let rate = u128::from(rate);
        Self {
            rate,
            level: rate * u128::from(HOUR),
            filled_us: now,
            used: 0,
        }
    }

    fn add(&mut self, level: u128) {
        self.level = (self.level + level).min(self.rate * u128::from(HOUR));
    }

    /// Takes this many bytes.
    ///
    /// # Errors
    /// The number of bytes left, which is too low.
    pub fn take(&mut self, bytes: u64, now: u64) -> Result<(), u64> {
        self.add(u128::from(now.saturating_sub(self.filled_us)) * self.rate);
        self.filled_us = self.filled_us.max(now);
        let wanted = u128::from(bytes) * u128::from(HOUR);
        match self.level.checked_sub(wanted) {
            Some(left) => {
                self.level = left;
                Ok(())
            }
            None => Err((self.level / u128::from(HOUR)) as u64),
        }
    }

    /// Gives back bytes that were not used.
    pub fn give_back(&mut self, bytes: u64) {
        self.add(u128::from(bytes) * u128::from(HOUR));
    }

    /// Whether all entries so far take no more than an hour's worth plus what time has added.
    #[must_use]
    pub fn holds(&self, since: u64) -> bool {
        u128::from(self.used) * u128::from(HOUR) <= self.rate * u128::from(HOUR + since)
    }
}
