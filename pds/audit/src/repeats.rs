//! Limiting repeated entries: an event that costs its author nothing is recorded at once, then ever more rarely, with
//! counts.
//!
//! The rule: no event is lost, because each is in the count of some entry. The intervals between one author's entries
//! for one reason double, so repeating an event at no cost cannot push other entries out of the log.

use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_USERS;
use protocol::policy::Permission;

/// Shortest time between two entries of one author for one reason, in microseconds (1 s). It doubles with each entry,
/// up to [`RARELY_US`].
const SOON_US: u64 = 1_000_000;

/// Longest time between them, in microseconds (1 h). After twice as long without an event, the doubling starts over.
const RARELY_US: u64 = 3_600_000_000;

/// Events of one author for one reason.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Repeats {
    /// When the last entry was written; meaningless while `pauses` is 0.
    recorded_us: u64,
    /// Value and limit of the newest event, for its entry.
    value: u64,
    limit: u64,
    /// Number of events that no entry counts yet.
    count: u32,
    /// The next entry waits for [`SOON_US`] times 2^(`pauses` − 1); 0 means that there was no entry.
    pauses: u8,
}

impl Repeats {
    pub(crate) const NONE: Self = Self {
        recorded_us: 0,
        value: 0,
        limit: 0,
        count: 0,
        pauses: 0,
    };

    /// Counts another event, with the value and limit for its entry.
    pub(crate) const fn add(&mut self, value: u64, limit: u64) {
        (self.value, self.limit) = (value, limit);
        self.count = self.count.saturating_add(1);
    }

    /// When the next entry is due; `None` if there is nothing to record.
    pub(crate) fn due_us(&self) -> Option<u64> {
        match (self.count, self.pauses) {
            (0, _) => None,
            (_, 0) => Some(0),
            (_, pauses) => Some(self.recorded_us.saturating_add(pause_us(pauses))),
        }
    }

    /// Starts an entry if one is due. Returns the number of events that it counts.
    pub(crate) fn take(&mut self, now: u64) -> Option<u64> {
        self.due_us().filter(|due| *due <= now)?;
        Some(self.take_now(now))
    }

    /// Postpones an entry that is due but cannot be written, by the current pause. Returns when it is due again.
    pub(crate) fn postpone(&mut self, now: u64) -> u64 {
        self.recorded_us = now;
        self.pauses = self.pauses.max(1);
        now.saturating_add(pause_us(self.pauses))
    }

    /// Starts an entry, whether or not it is due. Returns the number of events that it counts.
    pub(crate) fn take_now(&mut self, now: u64) -> u64 {
        let since = now.saturating_sub(self.recorded_us);
        let calm = self.pauses == 0 || since >= 2 * RARELY_US;
        self.pauses = match calm {
            true => 1,
            false if pause_us(self.pauses) < RARELY_US => self.pauses.saturating_add(1),
            false => self.pauses,
        };
        self.recorded_us = now;
        u64::from(core::mem::take(&mut self.count))
    }
}

fn pause_us(pauses: u8) -> u64 {
    let factor = 1u64
        .checked_shl(u32::from(pauses).saturating_sub(1))
        .unwrap_or(u64::MAX);
    SOON_US.saturating_mul(factor).min(RARELY_US)
}

/// Something that a user can repeat at no cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Being refused, including a login.
    Refusal(ErrorCode),
    /// Lacking this permission.
    NotPermitted(Permission),
    /// A login without a passphrase.
    Login,
    /// A logout.
    Logout,
}

/// Number of reasons: one for each code and each permission, and two more.
const REASONS: usize = ErrorCode::END + Permission::ALL.len() + 2;

impl Reason {
    /// The reason for which a request was refused. Each missing permission is a reason of its own.
    pub(crate) const fn of_refusal(failure: &Failure) -> Self {
        match (failure.code, Permission::from_bit(failure.value)) {
            (ErrorCode::NotPermitted, Some(permission)) => Self::NotPermitted(permission),
            _ => Self::Refusal(failure.code),
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::NotPermitted(permission) => {
                let place = (permission as u32).trailing_zeros() as usize;
                ErrorCode::END.saturating_add(place)
            }
            Self::Refusal(code) => code as usize,
            Self::Login => REASONS - 2,
            Self::Logout => REASONS - 1,
        }
    }

    fn from_index(index: usize) -> Option<Self> {
        match index {
            index if index == REASONS - 2 => Some(Self::Login),
            index if index == REASONS - 1 => Some(Self::Logout),
            index => match index.checked_sub(ErrorCode::END) {
                Some(place) => Permission::ALL.get(place).copied().map(Self::NotPermitted),
                None => ErrorCode::from_u16(u16::try_from(index).ok()?).map(Self::Refusal),
            },
        }
    }
}

/// The repeated events of all users.
#[derive(Debug)]
pub(crate) struct AllRepeats {
    repeats: [[Repeats; REASONS]; MAX_USERS],
    /// Nothing is due before this time, so most wake-ups need not look.
    next_us: u64,
}

impl AllRepeats {
    pub(crate) const fn new() -> Self {
        Self {
            repeats: [[Repeats::NONE; REASONS]; MAX_USERS],
            next_us: u64::MAX,
        }
    }

    pub(crate) fn of(&mut self, user: usize, reason: Reason) -> Option<&mut Repeats> {
        self.repeats.get_mut(user)?.get_mut(reason.index())
    }

    /// Notes that an entry is waiting until then; see [`Self::next_due`].
    pub(crate) fn waits_until(&mut self, at_us: u64) {
        self.next_us = self.next_us.min(at_us);
    }

    /// An event that is due: its user, its reason, and the value and limit of the newest occurrence.
    pub(crate) fn next_due(&mut self, now: u64) -> Option<(usize, Reason, (u64, u64))> {
        if now < self.next_us {
            return None;
        }
        let mut next_us = u64::MAX;
        for (user, repeats) in (0..MAX_USERS).zip(&self.repeats) {
            for (index, repeats) in (0..REASONS).zip(repeats) {
                match repeats.due_us() {
                    Some(due) if due <= now => {
                        let newest = (repeats.value, repeats.limit);
                        return Reason::from_index(index).map(|reason| (user, reason, newest));
                    }
                    Some(due) => next_us = next_us.min(due),
                    None => {}
                }
            }
        }
        self.next_us = next_us;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn entries_come_at_times_that_double_and_count_every_event() {
        let mut repeats = Repeats::NONE;
        let (mut entries, mut counted) = (Vec::new(), 0);
        for second in 0..10_000u64 {
            repeats.add(0, 0);
            if let Some(count) = repeats.take(second * SOON_US) {
                entries.push(second);
                counted += count;
            }
        }
        assert_eq!(entries[..6], [0, 1, 3, 7, 15, 31]);
        assert_eq!(entries[11..], [2047, 2047 + 2048, 2047 + 2048 + 3600]);
        assert_eq!(repeats.take(u64::MAX).unwrap() + counted, 10_000);
        assert_eq!(repeats.due_us(), None);
    }

    #[test]
    fn after_two_hours_of_peace_the_first_is_recorded_at_once() {
        let mut repeats = Repeats::NONE;
        for second in [0, 1, 3] {
            repeats.add(0, 0);
            assert_eq!(repeats.take(second * SOON_US), Some(1));
        }
        let later = 3 * SOON_US + 2 * RARELY_US;
        repeats.add(0, 0);
        assert_eq!(repeats.take(later), Some(1));
        repeats.add(0, 0);
        assert_eq!(repeats.take(later + SOON_US), Some(1));
    }

    #[test]
    fn every_reason_has_a_place_of_its_own() {
        let mut seen = [false; REASONS];
        let codes = ErrorCode::ALL.iter();
        let reasons = codes
            .map(|code| Reason::Refusal(*code))
            .chain(Permission::ALL.map(Reason::NotPermitted))
            .chain([Reason::Login, Reason::Logout]);
        for reason in reasons {
            assert_eq!(Reason::from_index(reason.index()), Some(reason));
            assert!(!core::mem::replace(&mut seen[reason.index()], true));
        }
    }

    #[test]
    fn what_is_due_is_found_and_nothing_is_looked_at_before() {
        let mut all = AllRepeats::new();
        let refusal = Reason::Refusal(ErrorCode::Busy);
        assert_eq!(all.next_due(5), None);
        all.of(3, refusal).unwrap().add(7, 8);
        assert_eq!(all.of(3, refusal).unwrap().take(5), Some(1));
        all.of(3, refusal).unwrap().add(7, 8);
        all.waits_until(5 + SOON_US);
        assert_eq!(all.next_due(4 + SOON_US), None);
        assert_eq!(all.next_due(5 + SOON_US), Some((3, refusal, (7, 8))));
        assert_eq!(all.of(3, refusal).unwrap().take(5 + SOON_US), Some(1));
        assert_eq!(all.next_due(5 + SOON_US), None);
        assert_eq!(all.of(MAX_USERS, refusal).map(|_| ()), None);
    }
}
