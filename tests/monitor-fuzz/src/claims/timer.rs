//! When audit asks to be woken.

use super::wake::Armed;
use super::*;
use crate::model::{List, ListKind, State};

impl Judge<'_> {
    /// The timer is armed for everything that waits only for time.
    pub(super) fn timer(&mut self, armed: Option<Armed>) -> Held {
        let Some((at, now)) = armed else {
            return broken(Claim::TimerArmed, "the timer is not touched".into());
        };
        let by = at.unwrap_or(u64::MAX);
        claim!(
            self,
            TimerAhead,
            by > now,
            "armed for {by}, but it is already {now}"
        );
        let soonest = self.last_clock + GAP_US;
        for live in self.model.live.values() {
            let until = match live.state {
                State::Active => live.deadline_us,
                State::Late(until) => until.unwrap_or(u64::MAX),
            };
            claim!(
                self,
                TimerArmed,
                until == u64::MAX || by <= until.max(soonest),
                "armed for {at:?}, too late for {live:?}"
            );
        }
        let works = self.is_at_work();
        claim!(
            self,
            TimerArmed,
            !works || by <= now + SLICE_WITHIN_US,
            "armed for {at:?} at {now}, although there is work"
        );
        // Audit chooses which of the waiting clients is first.
        let clients = 0..self.model.clients.len();
        let costs = clients
            .filter(|client| self.room(*client) > 0)
            .flat_map(|client| self.model.costs_of(client));
        let passes_at = costs
            .map(|(_, cost)| self.model.bucket.allows_at(cost))
            .max();
        claim!(
            self,
            TimerArmed,
            passes_at.is_none_or(|passes_at| by <= (passes_at + 1).max(soonest)),
            "armed for {at:?}, but what waits may pass at {passes_at:?}"
        );
        Ok(())
    }

    /// Whether there is work that needs no other party: a verification, a check or reading of the log, or requests for
    /// which the wake-up had no time.
    fn is_at_work(&self) -> bool {
        let checks = |client: usize| {
            let goes_on = |list: &List| match &list.kind {
                ListKind::Verify(_) => true,
                ListKind::Log { query, next, .. } => {
                    !query.follow || *next <= self.history.len() as u64
                }
                _ => false,
            };
            // A list that follows the log may have passed over the rest without saying so.
            let is_sure = |list: &List| match &list.kind {
                ListKind::Log { query, .. } => !query.follow || query.user.is_empty(),
                _ => true,
            };
            let mut lists = self.model.clients[client].lists.iter();
            self.room(client) > LISTS_LEAVE && lists.any(|list| goes_on(list) && is_sure(list))
        };
        let reads = matches!(self.cause, Cause::Signal | Cause::Timer | Cause::Tick);
        let mut clients = 0..self.model.clients.len();
        let own = |live: &crate::model::Live| live.is_audits_alone();
        self.model.live.values().any(own)
            || clients.any(|client| checks(client) || reads && self.is_left(client))
    }
}
