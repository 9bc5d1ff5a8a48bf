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

/// What has become of something that a client is owed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Yes,
    /// The egress cap is used up.
    CapIsUsedUp,
    /// The client's ring is full.
    NoRoom,
}

impl<R: ReadWords, W: WriteWords> Monitor<'_, R, W> {
    /// Tells every client what it is owed, as far as there is room: what has happened, what that has cost, what holds now,
    /// text, and lists.
    pub(super) fn deliver(&mut self, now: u64) {
        self.egress_at_us = None;
        for client in self.clients.in_turn() {
            if self.deliver_faults(client)
                && self.deliver_texts(client, |entry| entry.is_over(), now)
                && self.deliver_ends(client, now)
                && self.deliver_notices(client)
                && self.deliver_texts(client, |entry| !entry.is_over(), now)
            {
                self.deliver_lists(client, now);
            }
        }
    }

    /// Hands on text of requests for which this holds. False if there is no room for more events.
    fn deliver_texts(&mut self, client: usize, is: impl Fn(&Entry<'_>) -> bool, now: u64) -> bool {
        for index in 0..self.table.len() {
            let Some(entry) = self.table.get(index) else {
                break;
            };
            let Origin::Client { client: of, id } = entry.origin else {
                continue;
            };
            let Some(generation) = entry.generation() else {
                continue;
            };
            let tokens = generation.waiting();
            if of != client || tokens == 0 || !is(entry) {
                continue;
            }
            let text = self.table.text(generation);
            let bytes = Egress::of_text(tokens, text.len());
            if let Err(at_us) = self.egress.allows(bytes, now) {
                self.wait_for_egress(at_us);
                continue;
            }
            if !self.clients.tell(client, id, &Event::Text { tokens, text }) {
                return false;
            }
            self.egress.pass(bytes, now);
            self.table.text_is_handed_on(index);
        }
        true
    }

    fn wait_for_egress(&mut self, at_us: u64) {
        let at_us = self.egress_at_us.map_or(at_us, |other| other.min(at_us));
        self.egress_at_us = Some(at_us);
    }

    fn deliver_faults(&mut self, client: usize) -> bool {
        let Some(peer) = self.clients.get_mut(client) else {
            return false;
        };
        peer.tell_notices(|notices, tell| notices.deliver_fault(tell))
    }

    /// Tells the ends of requests whose text has been handed on.
    fn deliver_ends(&mut self, client: usize, now: u64) -> bool {
        let mut index = 0;
        while let Some(entry) = self.table.get(index) {
            let is_due = entry.is_over()
                && entry.client() == Some(client)
                && entry.generation().is_none_or(|it| it.waiting() == 0);
            match is_due.then(|| self.tell_end(index, now)) {
                // Another entry has its place now.
                Some(Told::Yes) => {}
                Some(Told::NoRoom) => return false,
                Some(Told::CapIsUsedUp) | None => index = index.saturating_add(1),
            }
        }
        true
    }

    fn tell_end(&mut self, index: usize, now: u64) -> Told {
        let Some(entry) = self.table.get(index) else {
            return Told::Yes;
        };
        let (Origin::Client { client, id }, State::Ended(end)) = (entry.origin, &entry.state)
        else {
            self.table.remove(index);
            return Told::Yes;
        };
        let bytes = entry.end_bytes;
        if bytes > 0
            && let Err(at_us) = self.egress.allows(bytes, now)
        {
            self.wait_for_egress(at_us);
            return Told::CapIsUsedUp;
        }
        let event = last_event(end, |holdings| self.status(holdings));
        if !self.clients.tell(client, id, &event) {
            return Told::NoRoom;
        }
        if bytes > 0 {
            self.egress.pass(bytes, now);
        }
        self.table.remove(index);
        Told::Yes
    }

    fn deliver_notices(&mut self, client: usize) -> bool {
        let user = self.gate.describe(self.clients.user(client));
        let Some(peer) = self.clients.get_mut(client) else {
            return false;
        };
        peer.tell_notices(|notices, tell| notices.deliver(|| user, tell))
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
