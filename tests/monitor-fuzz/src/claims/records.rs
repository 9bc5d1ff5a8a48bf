//! Repeated events, which are recorded ever more rarely, with counts.

use super::*;
use crate::model::{ENTRY, Reason, Repeats, reason};
use protocol::record::{Kind, Record};

impl<'m> Judge<'m> {
    /// An event that must be recorded now if `each` one is, or if an entry is due.
    pub(super) fn repeated(&mut self, user: usize, expected: Record, each: bool) -> Held {
        let now = self.now;
        let reason = reason(&expected);
        let repeats = self.model.repeats.entry((user, reason)).or_default();
        repeats.pending += 1;
        repeats.newest = (expected.value, expected.limit);
        if !each && !repeats.due(now) {
            return Ok(());
        }
        self.repeats_due(user, reason, expected)
    }

    /// An event that is always recorded, without using a user's share.
    pub(super) fn recorded_each(&mut self, mut expected: Record) -> Held {
        let Some(record) = self.refusals.pop_front() else {
            return broken(Claim::Refusals, format!("{expected:?} is not written down"));
        };
        self.at(&record, 0)?;
        expected.count = 1;
        self.is_as_expected(&record, expected, Claim::Refusals)
    }

    /// An entry is due: it must be there, unless the user's share has no room for it.
    pub(super) fn repeats_due(
        &mut self,
        user: usize,
        reason: Reason,
        mut expected: Record,
    ) -> Held {
        let now = self.now;
        let repeats = self.model.repeats.entry((user, reason)).or_default();
        let Some(share) = self.model.shares.get_mut(user) else {
            return Ok(());
        };
        if share.take(ENTRY, now).is_err() {
            repeats.postpone(now);
            return Ok(());
        }
        expected.count = repeats.pending;
        repeats.recorded(now);
        let Some(record) = self.refusals.pop_front() else {
            return broken(Claim::Refusals, format!("{expected:?} is not written down"));
        };
        self.at(&record, 0)?;
        self.is_as_expected(&record, expected, Claim::Refusals)
    }

    /// Entries that are due for events of earlier wake-ups.
    pub(super) fn record_repeats(&mut self) -> Held {
        for _ in 0..REPEATS {
            let now = self.now;
            let mut due = self
                .model
                .repeats
                .iter()
                .filter(|(_, r)| r.pending > 0 && r.due(now));
            let order = |((user, (kind, code, permission)), _): &(&(usize, Reason), &Repeats)| {
                let place = match Kind::from_u16(*kind) {
                    // The code distinguishes the two.
                    Some(Kind::Refuse) if *permission > 0 => 1,
                    Some(Kind::Refuse | Kind::LoginFailed) => 0,
                    Some(Kind::Login) => 2,
                    _ => 3,
                };
                (*user, place, *code, *permission)
            };
            let Some((&(user, reason), _)) = due.by_ref().min_by_key(order) else {
                return Ok(());
            };
            let mut expected = Record::new(Kind::Boot);
            (expected.kind, expected.code, _) = reason;
            let repeats = self.model.repeats.get(&(user, reason));
            let newest = repeats.map_or((0, 0), |repeats| repeats.newest);
            (expected.value, expected.limit) = newest;
            expected.user = self.model.user_name(user);
            self.repeats_due(user, reason, expected)?;
        }
        Ok(())
    }

    /// A client, or inference, has broken the protocol.
    pub(super) fn violation(&mut self, client: Option<usize>) -> Held {
        self.model.counts.violations += 1;
        self.violations_of(client).pending += 1;
        self.record_violations(client)
    }

    fn violations_of(&mut self, client: Option<usize>) -> &mut Repeats {
        match client {
            Some(client) => &mut self.model.clients[client].violations,
            None => &mut self.model.violations,
        }
    }

    pub(super) fn record_violations(&mut self, client: Option<usize>) -> Held {
        let now = self.now;
        let repeats = *self.violations_of(client);
        if repeats.pending == 0 || !repeats.due(now) {
            return Ok(());
        }
        let name = client.map_or(UserName::EMPTY, |it| self.model.clients[it].name());
        let mut expected = Record::new(Kind::Violation);
        expected.code = if client.is_some() { 1 } else { 2 };
        (expected.name, expected.count) = (model_name(&name), repeats.pending);
        let Some(record) = self.violations.pop_front() else {
            return broken(
                Claim::Violations,
                format!("{expected:?} must be written down"),
            );
        };
        self.at(&record, 0)?;
        self.is_as_expected(&record, expected, Claim::Violations)?;
        self.violations_of(client).recorded(now);
        Ok(())
    }

    /// Compares a record, except for the fields that the log itself sets.
    fn is_as_expected(&mut self, record: &Record, mut expected: Record, claim: Claim) -> Held {
        self.figures.comparisons += 1;
        expected.sequence = record.sequence;
        expected.time_us = record.time_us;
        expected.previous = record.previous;
        match *record == expected {
            true => Ok(()),
            false => broken(claim, format!("{record:?}, which should be {expected:?}")),
        }
    }
}
