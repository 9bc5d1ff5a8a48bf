//! Acts of the clients.

use super::{Held, NAMES, Run, SIGNED};
use crate::acts::{self, Ask};
use crate::dice::Dice;
use crate::disk::domain::Nature;
use protocol::name::ModelName;
use protocol::ring::Frame;
use protocol::wire::client::{Event, Request};

impl Run<'_, '_> {
    pub(super) fn client_acts(&mut self, client: usize, dice: &mut Dice) -> Held {
        let habits = self.people[client].habits;
        if habits.hears(self.step) && dice.percent(habits.reads) {
            let most = dice.within(1, habits.reads_most);
            self.client_reads(client, most);
            return Ok(());
        }
        let open = &self.people[client].open;
        if dice.percent(habits.cancels) && !open.is_empty() {
            let id = *dice.pick(open);
            self.client_asks(client, id, &Request::Cancel);
            return Ok(());
        }
        let id = self.people[client].next_id;
        self.people[client].next_id += 1;
        if dice.percent(12) {
            let place = dice.below(NAMES.len() as u64) as usize;
            let name = ModelName::new(NAMES[place]).unwrap_or_default();
            let sent = self.client_asks(client, id, &Request::Load { name });
            if sent && place < SIGNED && self.nature == Nature::Honest {
                self.judge.expects_model(client, id);
            }
            return Ok(());
        }
        let mut ask = Ask::any(dice, &habits);
        ask.sign(client, id);
        // Changes of budgets are tested in the other runs.
        if !matches!(ask.request(), Request::Budget { .. }) {
            self.client_asks(client, id, &ask.request());
        }
        Ok(())
    }

    fn client_asks(&mut self, client: usize, id: u32, request: &Request<'_>) -> bool {
        let mut frame = Frame::new();
        request.write(id, &mut frame);
        let sent = self.world.clients[client].send(&frame);
        self.note(|| format!(" client {client} asks {id}: {request:?}: {sent}"));
        if !sent {
            return false;
        }
        self.judge.figures.requests += 1;
        if *request == Request::Cancel {
            self.judge.ends.cancelled(client, id);
            return true;
        }
        let is_followed = match request {
            Request::Infer { parts, .. } => acts::tag(parts) == Some((client, id)),
            _ => false,
        };
        self.judge.ends.asked(client, id, request, is_followed);
        self.people[client].open.push(id);
        true
    }

    pub(super) fn client_reads(&mut self, client: usize, most: u64) -> bool {
        let mut read = false;
        for _ in 0..most {
            let Some(message) = self.world.clients[client].receive() else {
                break;
            };
            read = true;
            let frame = message.frame();
            let goes_on = matches!(
                Event::parse(&frame),
                Ok(Event::Text { .. } | Event::Progress(_) | Event::Training(_))
            );
            let open = &mut self.people[client].open;
            open.retain(|id| goes_on || *id != message.request);
            if open.len() > 60 {
                open.remove(0);
            }
        }
        read
    }

    pub(super) fn client_ends_what_is_endless(&mut self, client: usize) -> bool {
        let endless = self.judge.ends.endless(client);
        let mut said = false;
        for id in endless {
            let mut frame = Frame::new();
            Request::Cancel.write(id, &mut frame);
            if self.world.clients[client].send(&frame) {
                self.judge.ends.cancelled(client, id);
                said = true;
            }
        }
        said
    }
}
