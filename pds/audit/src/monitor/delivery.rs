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
        for client in self.clients.in_turn() {
            self.deliver_faults(client);
        }
        self.deliver_from_inference(true, now);
        for client in self.clients.in_turn() {
            self.deliver_notices(client);
        }
        self.deliver_from_inference(false, now);
        for client in self.clients.in_turn() {
            self.deliver_lists(client, now);
        }
    }

    fn deliver_faults(&mut self, client: usize) {
        if let Some(peer) = self.clients.get_mut(client) {
            peer.tell_notices(|notices, tell| notices.deliver_fault(tell));
        }
    }

    fn deliver_notices(&mut self, client: usize) {
        let user = self.gate.describe(self.clients.user(client));
        if let Some(peer) = self.clients.get_mut(client) {
            peer.tell_notices(|notices, tell| notices.deliver(user, tell));
        }
    }

    /// Hands on text and ends of requests, either those that are over or the others: one event of each client in turn, so
    /// that whoever has much to get leaves the others their part of the egress cap. Who finds it used up is the first
    /// next time.
    fn deliver_from_inference(&mut self, over: bool, now: u64) {
        loop {
            let mut any = false;
            for client in self.clients.in_turn_of_egress() {
                let was_allowed = self.egress_at_us.is_none();
                any |= self.deliver_next(client, over, now);
                if was_allowed && self.egress_at_us.is_some() {
                    self.clients.is_next_of_egress(client);
                }
            }
            if !any {
                return;
            }
        }
    }

    /// Hands on the next of a client's requests' text or ends; false if there is none, or none that may pass.
    fn deliver_next(&mut self, client: usize, over: bool, now: u64) -> bool {
        // Its requests take turns, too.
        let last = self.clients.get(client).map_or(0, |it| it.last_served);
        let mut next: Option<(u32, usize)> = None;
        for index in 0..self.table.len() {
            let Some(entry) = self.table.get(index) else {
                break;
            };
            let waits = entry.is_over() || entry.generation().is_some_and(|it| it.waiting() > 0);
            if entry.client() != Some(client) || entry.is_over() != over || !waits {
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
