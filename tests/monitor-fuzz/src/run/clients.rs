//! Acts of clients.

use super::{Held, Run, garbage};
use crate::acts::Ask;
use crate::claims::{Broken, Claim};
use crate::dice::Dice;
use crate::model::Phase;
use protocol::ring::{Frame, SLOTS};
use protocol::wire::client::{Event, Request};

/// Limit of open requests that a client remembers.
const REMEMBERS: usize = 60;

impl Run<'_> {
    pub(super) fn client_acts(&mut self, client: usize, dice: &mut Dice) -> Held {
        let habits = self.people[client].habits;
        if dice.percent(habits.garbage) {
            self.judge.ends.unsure(client);
            let person = &mut self.people[client];
            (person.is_right, person.was_right) = (false, false);
            garbage(&self.world.clients[client], dice);
            self.note(|| format!(" client {client} writes garbage"));
            return self.signal(dice);
        }
        if !self.people[client].is_right && dice.percent(20) {
            self.set_client_right(client);
        }
        let hears = habits.hears(self.step);
        if hears && dice.percent(habits.reads) {
            let most = dice.within(1, habits.reads_most);
            self.client_reads(client, most)?;
            return self.signal(dice);
        }
        if dice.percent(habits.floods) {
            for _ in 0..SLOTS {
                if !self.client_asks_anything(client, dice) {
                    break;
                }
            }
            return self.signal(dice);
        }
        self.client_asks_anything(client, dice);
        self.signal(dice)
    }

    /// Returns whether there was room.
    fn client_asks_anything(&mut self, client: usize, dice: &mut Dice) -> bool {
        let habits = self.people[client].habits;
        // The number may belong to another client.
        let whose = match dice.percent(90) {
            true => client,
            false => dice.below(self.people.len() as u64) as usize,
        };
        let open = &self.people[whose].open;
        if dice.percent(habits.cancels) && !open.is_empty() {
            let id = *dice.pick(open).min(&(self.people[client].next_id - 1));
            return self.client_asks(client, id, false, &Request::Cancel);
        }
        if self.judge.model.phase == Phase::Stopped && dice.percent(10) {
            let id = self.new_id(client);
            return self.client_asks(client, id, true, &Request::Reset);
        }
        let mut ask = Ask::any(dice, &habits);
        if dice.percent(habits.reuse) {
            let model = &self.judge.model;
            let live = model.live.values().filter(|l| l.client == Some(client));
            let mut used: Vec<u32> = live.filter_map(|live| live.id).collect();
            used.extend(model.clients[client].lists.iter().map(|list| list.id));
            used.push(0);
            let id = *dice.pick(&used);
            self.judge.ends.reused(client, id);
            return self.client_asks(client, id, false, &ask.request());
        }
        let id = self.new_id(client);
        ask.sign(client, id);
        self.client_asks(client, id, true, &ask.request())
    }

    fn new_id(&mut self, client: usize) -> u32 {
        let person = &mut self.people[client];
        person.next_id += 1;
        person.next_id - 1
    }

    pub(super) fn client_asks(
        &mut self,
        client: usize,
        id: u32,
        fresh: bool,
        request: &Request<'_>,
    ) -> bool {
        let mut frame = Frame::new();
        request.write(id, &mut frame);
        let sent = self.world.clients[client].send(&frame);
        self.note(|| format!(" client {client} asks {id}: {request:?}: {sent}"));
        if !sent {
            return false;
        }
        match request {
            Request::Cancel => self.judge.ends.cancelled(client, id),
            _ if fresh && self.people[client].is_right => {
                let is_signed = match request {
                    Request::Infer { parts, .. } => crate::acts::tag(parts) == Some((client, id)),
                    _ => false,
                };
                let is_followed = is_signed && self.character.is_honest();
                self.judge.ends.asked(client, id, request, is_followed);
                self.people[client].open.push(id);
            }
            _ => {}
        }
        true
    }

    pub(super) fn set_client_right(&mut self, client: usize) {
        self.judge.ends.unsure(client);
        self.world.clients[client].set_right();
        self.people[client].is_right = true;
    }

    pub(super) fn client_reads(&mut self, client: usize, most: u64) -> Held {
        for _ in 0..most.min(self.world.clients[client].waiting() as u64) {
            let Some(message) = self.world.clients[client].receive() else {
                if self.people[client].was_right {
                    return Err(Broken {
                        claim: Claim::Answers,
                        detail: format!("what audit sent client {client} has gone from its ring"),
                    });
                }
                continue;
            };
            let frame = message.frame();
            let over = !matches!(
                Event::parse(&frame),
                Ok(Event::Text { .. }
                    | Event::Record { .. }
                    | Event::Progress(_)
                    | Event::Training(_)
                    | Event::AdapterPart { .. })
            );
            if over {
                let open = &mut self.people[client].open;
                open.retain(|id| *id != message.request || *id % 4 == 0);
                if open.len() > REMEMBERS {
                    open.remove(0);
                }
            }
        }
        Ok(())
    }
}
