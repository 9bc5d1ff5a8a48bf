//! Telling clients, as far as their rings have room and the egress cap allows, and granting inference credit
//! accordingly.
//!
//! Nothing that a client must get is lost: text waits in its request's buffer, an end in its request, a notice with its
//! client, and a list remembers how far it has got. A client that does not read delays only its own events.

use super::Monitor;
use crate::client::LISTS_LEAVE;
use crate::egress::Egress;
use crate::files::FilesEnd;
use crate::generation::Stop;
use crate::table::{InFlight, Origin, State, last_event};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::Event;
use protocol::wire::engine::Command;

impl<R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'_, R, W, F> {
    /// Tells every client what is pending, as far as there is room: events, their consequences, the current state,
    /// text, and lists.
    pub(super) fn deliver(&mut self, now: u64) {
        self.egress_at_us = None;
        // The normal case: a token has arrived, and there is nothing else to tell.
        let is_quiet = self.clients.iter().all(|peer| peer.notices.is_empty());
        if !is_quiet {
            for peer in self.clients.iter_mut() {
                let is_bound = peer.identity.is_none_or(|it| self.gate.is_bound(it));
                peer.tell_causes(is_bound);
            }
        }
        self.deliver_requests(true, now);
        if !is_quiet {
            for peer in self.clients.iter_mut() {
                // A client that the policy does not name has no user, rather than the first one.
                let user = peer.identity.map(|it| self.gate.describe(it.user));
                let user = user.unwrap_or_default();
                let is_bound = peer.identity.is_none_or(|it| self.gate.is_bound(it));
                peer.tell_notices(user, is_bound);
            }
        }
        self.deliver_requests(false, now);
        self.egress.note_held(self.egress_at_us.is_some(), now);
        if self.clients.iter().any(|peer| peer.lists.len() > 0) {
            for client in self.clients.in_turn() {
                self.deliver_lists(client, now);
            }
        }
    }

    /// Sends text and ends of requests, either only audit's own words or all. Clients take turns, one event each, so
    /// that a client with much to receive leaves the others their part of the egress cap. The client that finds the cap
    /// used up is the first next time.
    fn deliver_requests(&mut self, own_words: bool, now: u64) {
        let due = |entry: &InFlight<'_>| match own_words {
            true => usize::from(entry.is_own_word()),
            false => entry.due(),
        };
        let due = self.table.iter().map(due);
        let mut due = due.fold(0, usize::saturating_add);
        while due > 0 {
            let before = due;
            for client in self.clients.in_turn_of_egress() {
                let was_allowed = self.egress_at_us.is_none();
                due = due.saturating_sub(usize::from(self.deliver_next(client, own_words, now)));
                if was_allowed && self.egress_at_us.is_some() {
                    self.clients.is_next_of_egress(client);
                }
            }
            if due == before {
                return;
            }
        }
    }

    /// Sends the next text or end of a client's requests; false if none may pass.
    fn deliver_next(&mut self, client: usize, own_words: bool, now: u64) -> bool {
        // A client that does not read must not hold up others with events it cannot take.
        if self.clients.get(client).is_none_or(|peer| peer.room() == 0) {
            return false;
        }
        let next = self.next_of(client, own_words);
        next.is_some_and(|next| {
            self.may_pass(self.cost(next), now) && self.hand_on(client, next, now)
        })
    }

    /// The client's request to send from next. Audit's own words come first; the others take turns, so a request with
    /// small events does not keep the egress cap from one with large ones.
    fn next_of(&self, client: usize, own_words: bool) -> Option<usize> {
        let last = self.clients.get(client).map_or(0, |it| it.last_served);
        let mut next = None;
        for (index, entry) in (0..self.table.len()).zip(self.table.iter()) {
            let costs = !entry.is_own_word();
            if entry.client() != Some(client)
                || entry.due() == 0
                || own_words && costs
                || !self.may_tell(entry)
            {
                continue;
            }
            let turn = (costs, entry.number.wrapping_sub(last).wrapping_sub(1));
            if next.is_none_or(|(first, _)| turn < first) {
                next = Some((turn, index));
            }
        }
        next.map(|(_, index)| index)
    }

    /// What the next event of a request costs under the egress cap.
    fn cost(&self, index: usize) -> u64 {
        let Some(entry) = self.table.get(index) else {
            return 0;
        };
        match entry.generation().filter(|it| it.has_text()) {
            Some(generation) => {
                let text = self.table.text(generation);
                Egress::of_text(generation.waiting(), text.len())
            }
            None => match entry.progress_due() {
                Some(tuning) => tuning.progress_bytes,
                None => entry.end_bytes,
            },
        }
    }

    /// Whether this many bytes may leave inference now. Audit's own words always may.
    pub(super) fn may_pass(&mut self, bytes: u64, now: u64) -> bool {
        if bytes == 0 {
            return true;
        }
        if self.egress_at_us.is_none() {
            self.egress_at_us = self.egress.allows(bytes, now).err();
        }
        self.egress_at_us.is_none()
    }

    /// Sends a client the next event of a request; false if there is no room.
    fn hand_on(&mut self, client: usize, index: usize, now: u64) -> bool {
        let bytes = self.cost(index);
        let Some(entry) = self.table.get(index) else {
            return false;
        };
        let Origin::Client { id, .. } = entry.origin else {
            return false;
        };
        let number = entry.number;
        let waiting = entry.generation().filter(|it| it.has_text());
        let is_text = waiting.is_some();
        let progress = self.due_training(index, now);
        let instead = self.told_instead(entry);
        let event = match (waiting, &entry.state) {
            (None, State::Ended(_)) if let Some(event) = instead => event,
            (None, _) if let Some(training) = progress => Event::Training(training),
            (Some(generation), _) => Event::Text {
                tokens: generation.waiting(),
                text: self.table.text(generation),
            },
            (None, State::Ended(end)) => last_event(end, |holdings| self.status(holdings, now)),
            (None, _) => return false,
        };
        if !self.clients.tell(client, id, &event) {
            return false;
        }
        if bytes > 0 {
            self.egress.pass(bytes, now);
            // Audit's own words do not use up a turn.
            if let Some(peer) = self.clients.get_mut(client) {
                peer.last_served = number;
            }
        }
        if is_text {
            self.table.text_is_handed_on(index);
        } else if progress.is_some() {
            if let Some(tuning) = self.table.get_mut(index).and_then(InFlight::tuning_mut) {
                tuning.is_progress_due = false;
            }
        } else {
            self.table.remove(index);
            self.note_told(number);
        }
        true
    }

    fn deliver_lists(&mut self, client: usize, now: u64) {
        let mut index = 0;
        while self
            .clients
            .get(client)
            .is_some_and(|peer| peer.lists.get(index).is_some() && peer.room() > LISTS_LEAVE)
        {
            index = self.advance_list(client, index, now);
        }
    }

    /// Grants inference as many tokens as the clients have taken, in batches of half a window. So one message serves
    /// for several tokens, and inference has the other half to go on with. If nothing was sent to clients, nothing is
    /// granted.
    pub(super) fn grant_credit(&mut self) {
        let window = self.egress.window();
        for index in 0..self.table.len() {
            let Some(entry) = self.table.get_mut(index) else {
                break;
            };
            let number = entry.number;
            if entry.is_over() {
                continue;
            }
            let Some(generation) = InFlight::generation_mut(entry) else {
                continue;
            };
            let ahead = generation.credit.saturating_sub(generation.handed_on);
            let most = generation.params.max_tokens;
            let credit = generation.handed_on.saturating_add(window).min(most);
            let is_due = credit > generation.credit && ahead <= window / 2;
            if !is_due || generation.stop != Stop::No {
                continue;
            }
            let command = Command::Credit { tokens: credit };
            if self.link.send(None, number, &command) {
                generation.credit = credit;
            }
        }
    }
}
