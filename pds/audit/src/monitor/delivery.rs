//! What clients are told, as their rings have room and the egress cap allows, and what inference may generate then.
//!
//! Nothing that a client must get is lost: text waits in its request's buffer, an end in its request, a notice with its
//! client, a list where it has got to. A client that does not read keeps its own waiting, and nobody else's.

use super::Monitor;
use crate::client::LISTS_LEAVE;
use crate::egress::Egress;
use crate::table::{Entry, Origin, State, Stop, last_event};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::Event;
use protocol::wire::engine::Command;

/// Places of inference's ring that credit leaves free, so that a stop finds one.
const CREDIT_LEAVES: usize = 2;

impl<R: ReadWords, W: WriteWords> Monitor<'_, R, W> {
    /// Tells every client what it is owed, as far as there is room: what has happened, what that has cost, what holds now,
    /// text, and lists.
    pub(super) fn deliver(&mut self, now: u64) {
        self.egress_at_us = None;
        // As nearly always, when a token has come, nothing else is to be told.
        let is_quiet = self.clients.iter().all(|peer| peer.notices.is_empty());
        if !is_quiet {
            for peer in self.clients.iter_mut() {
                peer.tell_notices(|notices, tell| notices.deliver_fault(tell));
            }
        }
        self.deliver_from_inference(true, now);
        if !is_quiet {
            for peer in self.clients.iter_mut() {
                let user = self.gate.describe(peer.user());
                peer.tell_notices(|notices, tell| notices.deliver(user, tell));
            }
        }
        self.deliver_from_inference(false, now);
        if self.clients.iter().any(|peer| peer.lists.len() > 0) {
            for client in self.clients.in_turn() {
                self.deliver_lists(client, now);
            }
        }
    }

    /// Hands on text and ends of requests, either those that are over or the others: one event of each client in turn, so
    /// that whoever has much to get leaves the others their part of the egress cap. Who finds it used up is the first
    /// next time.
    fn deliver_from_inference(&mut self, over: bool, now: u64) {
        let concerned = self.table.iter().filter(|entry| entry.is_over() == over);
        let mut due = concerned.fold(0usize, |due, entry| due.saturating_add(entry.due()));
        while due > 0 {
            let before = due;
            for client in self.clients.in_turn_of_egress() {
                let was_allowed = self.egress_at_us.is_none();
                due = due.saturating_sub(usize::from(self.deliver_next(client, over, now)));
                if was_allowed && self.egress_at_us.is_some() {
                    self.clients.is_next_of_egress(client);
                }
            }
            if due == before {
                return;
            }
        }
    }

    /// Hands on the next of a client's requests' text or ends; false if there is none, or none that may pass.
    fn deliver_next(&mut self, client: usize, over: bool, now: u64) -> bool {
        // Whoever does not read costs the others no look at what waits for it.
        let Some(peer) = self.clients.get(client).filter(|peer| peer.room() > 0) else {
            return false;
        };
        // Its requests take turns, too.
        let last = peer.last_served;
        let mut next: Option<(u32, usize)> = None;
        for index in 0..self.table.len() {
            let Some(entry) = self.table.get(index) else {
                break;
            };
            if entry.client() != Some(client) || entry.is_over() != over || entry.due() == 0 {
                continue;
            }
            let turn = entry.number.wrapping_sub(last).wrapping_sub(1);
            if next.is_none_or(|(first, _)| turn < first) && self.may_pass(self.cost(index), now) {
                next = Some((turn, index));
            }
        }
        next.is_some_and(|(_, index)| self.hand_on(client, index, now))
    }

    /// What the next event of a request counts for in the egress cap.
    fn cost(&self, index: usize) -> u64 {
        let Some(entry) = self.table.get(index) else {
            return 0;
        };
        match entry.generation().filter(|it| it.waiting() > 0) {
            Some(generation) => {
                let text = self.table.text(generation);
                Egress::of_text(generation.waiting(), text.len())
            }
            None => entry.end_bytes,
        }
    }

    /// Whether so many bytes may leave inference now; audit's own words may always.
    fn may_pass(&mut self, bytes: u64, now: u64) -> bool {
        if bytes == 0 {
            return true;
        }
        if self.egress_at_us.is_none() {
            self.egress_at_us = self.egress.allows(bytes, now).err();
        }
        self.egress_at_us.is_none()
    }

    /// Tells a client the next event of a request; false if there is no room.
    fn hand_on(&mut self, client: usize, index: usize, now: u64) -> bool {
        let bytes = self.cost(index);
        let Some(entry) = self.table.get(index) else {
            return false;
        };
        let Origin::Client { id, .. } = entry.origin else {
            return false;
        };
        let number = entry.number;
        let waiting = entry.generation().filter(|it| it.waiting() > 0);
        let is_text = waiting.is_some();
        let event = match (waiting, &entry.state) {
            (Some(generation), _) => Event::Text {
                tokens: generation.waiting(),
                text: self.table.text(generation),
            },
            (None, State::Ended(end)) => last_event(end, |holdings| self.status(holdings)),
            (None, _) => return false,
        };
        if !self.clients.tell(client, id, &event) {
            return false;
        }
        if bytes > 0 {
            self.egress.pass(bytes, now);
        }
        if is_text {
            self.table.text_is_handed_on(index);
        } else {
            self.table.remove(index);
        }
        if let Some(peer) = self.clients.get_mut(client) {
            peer.last_served = number;
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

    /// Grants inference as many tokens as the clients have taken, in batches: half a window at a time, so that one message
    /// serves for several tokens and inference has the other half meanwhile. Without anything handed on, nothing.
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
            let Some(generation) = Entry::generation_mut(entry) else {
                continue;
            };
            let ahead = generation.credit.saturating_sub(generation.handed_on);
            let most = generation.params.max_tokens;
            let credit = generation.handed_on.saturating_add(window).min(most);
            let is_due = credit > generation.credit && ahead <= window / 2;
            if !is_due || generation.stop != Stop::No || self.link.room() <= CREDIT_LEAVES {
                continue;
            }
            let command = Command::Credit { tokens: credit };
            if self.link.send(None, number, &command) {
                generation.credit = credit;
            }
        }
    }
}
