//! What clients are told besides answers. Each client is told what concerns it, and nothing that concerns another. It
//! is told in turn, as soon as there is room and the egress cap allows it.

use super::*;
use crate::model::{End, List, ListKind, Over};
use crate::world::Message;
use protocol::ring::SLOTS;
use protocol::wire::client::{Event, Status};
use protocol::wire::engine::Holdings;

/// Events that each other client may receive while the egress cap keeps a client waiting: one in turn, and one that was
/// ahead when the waiting began.
const PASSED_BY: u32 = 2;

impl Judge<'_> {
    pub(super) fn clients_are_told(&mut self) -> Held {
        while let Some(Seen::Sent(Ring::Client(client), _)) = self.seen.front()
            && let client = *client
            && let Some(Seen::Sent(_, message)) = self.next()
        {
            self.told(client, &message)?;
        }
        Ok(())
    }

    fn told(&mut self, client: usize, message: &Message) -> Held {
        let id = message.request;
        let frame = message.frame();
        let Ok(event) = Event::parse(&frame) else {
            return broken(Claim::Answers, format!("{message:?} is not an event"));
        };
        self.figures.comparisons += 1;
        if let Some((mut fault, count)) = self.model.clients[client].notices.fault {
            if self.is_bound(client) {
                (fault.ip, fault.address) = (0, 0);
            }
            let told = Event::Fault { fault, count };
            claim!(
                self,
                Answers,
                id == 0 && event == told,
                "client {client} is told {event:?} under {id}, but {told:?} is pending"
            );
            self.model.clients[client].notices.fault = None;
            return Ok(());
        }
        if id == 0 {
            return self.notice(client, &event);
        }
        if let Event::Text { tokens, text } = event {
            return self.text_is_told(client, id, tokens, text);
        }
        if let Event::Training(training) = event {
            return self.training_is_told(client, id, &training);
        }
        let mut over = self.model.over.iter();
        let over = over.find(|(_, over)| (over.client, over.id) == (client, id));
        if let Some((number, _)) = over {
            let number = *number;
            return self.end_is_told(number, &event);
        }
        self.list_goes_on(client, id, &event)
    }

    // ---- Notices --------------------------------------------------------------------------------

    fn notice(&mut self, client: usize, event: &Event<'_>) -> Held {
        let lost = |over: &Over| over.client == client && over.cost() == 0;
        let is_owed_a_loss = self.model.over.values().any(lost);
        let user = self.user_now(client);
        let is_bound = self.is_bound(client);
        let notices = &mut self.model.clients[client].notices;
        let was_owed = match event {
            Event::Failed { failure, detail } => {
                let load = notices.load_failed.as_ref();
                if load.is_some_and(|(owed, about)| match is_bound {
                    true => Failure::of(owed.code) == *failure && detail.is_empty(),
                    false => owed == failure && about == detail,
                }) {
                    notices.load_failed = None;
                    true
                } else {
                    detail.is_empty()
                        && notices.load_failed.is_none()
                        && notices.exhausted.take_if(|owed| owed == failure).is_some()
                }
            }
            Event::Recovered { after_us, restarts } => {
                let told = (*after_us, *restarts);
                notices.recovered.take_if(|owed| *owed == told).is_some()
            }
            Event::Progress(progress) => {
                notices.progress.take_if(|owed| owed == progress).is_some()
            }
            Event::Ready(told) => *told == user && std::mem::take(&mut notices.ready),
            _ => false,
        };
        claim!(
            self,
            Answers,
            was_owed,
            "client {client} is told {event:?}, but {:?} is pending; it is {user:?}",
            self.model.clients[client].notices
        );
        claim!(
            self,
            Answers,
            !is_owed_a_loss,
            "client {client} is told {event:?} before the ends that come first"
        );
        Ok(())
    }

    // ---- Requests -------------------------------------------------------------------------------

    fn text_is_told(&mut self, client: usize, id: u32, tokens: u32, text: &[u8]) -> Held {
        let whose = (Some(client), Some(id));
        let mut live = self.model.live.iter_mut();
        let live = live.find(|(_, live)| (live.client, live.id) == whose);
        let live = live.and_then(|(number, live)| Some((*number, live.text_mut()?)));
        let mut over = self.model.over.iter_mut();
        let over = over.find(|(_, over)| (over.client, over.id) == (client, id));
        let (number, waiting) = match (live, over) {
            (Some((number, text)), _) => {
                text.handed_on += text.waiting.tokens;
                (number, std::mem::take(&mut text.waiting))
            }
            (None, Some((number, over))) => (*number, std::mem::take(&mut over.waiting)),
            (None, None) => {
                return broken(
                    Claim::Tokens,
                    format!(
                        "client {client} is told text of {id}, which is not one of its requests"
                    ),
                );
            }
        };
        claim!(
            self,
            Tokens,
            waiting.is_due() && (waiting.tokens, &waiting.text[..]) == (tokens, text),
            "client {client} is told {tokens} tokens of {id} with {} bytes, but {} with {} wait",
            text.len(),
            waiting.tokens,
            waiting.text.len()
        );
        self.figures.texts += 1;
        self.figures.joined += u64::from(tokens > 1);
        self.passes(client, number, waiting.cost())
    }

    fn end_is_told(&mut self, number: u32, event: &Event<'_>) -> Held {
        let Some(over) = self.model.over.remove(&number) else {
            return Ok(());
        };
        claim!(
            self,
            Tokens,
            !over.waiting.is_due(),
            "client {} is told {event:?}, but text comes first: {over:?}",
            over.client
        );
        let right = match &over.end {
            End::Finished(finished) => *event == Event::Finished(*finished),
            End::Failed(failure, detail) => {
                let (failure, detail) = (*failure, &detail[..]);
                *event == Event::Failed { failure, detail }
            }
            End::Loaded(name, info) => {
                let (name, info) = (*name, *info);
                *event == Event::Loaded { name, info }
            }
            End::Status(holdings) => *event == Event::Status(self.status(holdings)),
            End::AdapterLoaded(name, info) => {
                let (name, info) = (*name, *info);
                *event == Event::AdapterLoaded { name, info }
            }
            End::Tuned(tuned) => *event == Event::Tuned(*tuned),
        };
        claim!(self, Answers, right, "{event:?} for {over:?}");
        self.passes(over.client, number, over.bytes)
    }

    fn status(&self, holdings: &Holdings) -> Status {
        let (active, sessions) = self.under_way();
        let tune = self.model.tune();
        let file = self.model.current.zip(self.model.store);
        let file = file.map(|(at, store)| &store[at]);
        Status {
            name: file.map_or_else(Default::default, |file| file.name),
            // As inference says it, except where audit knows better.
            model: file.map_or_else(Default::default, |file| protocol::wire::ModelInfo {
                file_bytes: file.bytes,
                sha256: file.sha256,
                ..crate::acts::model_info()
            }),
            arena: holdings.arena,
            kv_positions: holdings.kv_positions,
            kv_free: holdings.kv_free,
            restarts: self.model.counts.restarts as u32,
            active,
            waiting: holdings.waiting,
            sessions,
            adapters: self.model.placed.values().filter(|it| it.present).count() as u32,
            tuning: tune.map_or_else(Default::default, |(_, tune)| tune.name),
            training: tune.map_or_else(Default::default, |(_, tune)| self.training_now(tune)),
            egress_left: self.model.bucket.left(self.now),
            egress_burst: self.model.bucket.burst(),
            egress_limit: self
                .model
                .policy
                .map_or(0, |p| u64::from(p.egress_bytes_per_second)),
        }
    }

    // ---- The egress cap -------------------------------------------------------------------------

    /// This many bytes leave inference for this client's request: the cap allows them, and it is the client's turn.
    pub(super) fn passes(&mut self, client: usize, number: u32, bytes: u64) -> Held {
        if bytes == 0 {
            return Ok(());
        }
        let within = self.model.bucket.take(bytes, self.now);
        claim!(
            self,
            Egress,
            within,
            "{bytes} bytes leave for client {client}, more than burst and rate allow"
        );
        let told = &mut self.model.clients[client];
        told.is_kept_waiting = false;
        told.kept.remove(&number);
        for (kept, others) in &mut told.kept {
            let passed_by = others.entry(number).or_default();
            *passed_by += 1;
            if *passed_by > PASSED_BY {
                return broken(
                    Claim::Fair,
                    format!(
                        "{number} has its {passed_by}th event, but {kept} of client {client} is kept waiting"
                    ),
                );
            }
        }
        for other in 0..self.model.clients.len() {
            let has_room = self.room(other) > 0;
            let kept = &mut self.model.clients[other];
            kept.is_kept_waiting &= has_room;
            if !kept.is_kept_waiting {
                continue;
            }
            kept.passed_by[client] += 1;
            let passed_by = kept.passed_by[client];
            claim!(
                self,
                Fair,
                passed_by <= PASSED_BY,
                "client {client} is handed the {passed_by}th event while client {other} is kept waiting"
            );
        }
        Ok(())
    }

    // ---- Pending events -------------------------------------------------------------------------

    /// If something is not told, there is a reason: the client's ring is full, or the egress cap does not allow it, or
    /// allows nothing to the client whose turn it is.
    pub(super) fn all_is_told(&mut self) -> Held {
        let (mut costs, mut held) = (Vec::new(), false);
        let now = self.now;
        for client in 0..self.model.clients.len() {
            let room = self.room(client);
            let waits: Vec<(u32, u64)> = self.model.costs_of(client).collect();
            let allows = |(_, cost): &(u32, u64)| self.model.bucket.allows(*cost, now);
            held |= room > 0 && !waits.iter().all(allows);
            let kept = &mut self.model.clients[client];
            let is_kept_waiting = room > 0 && !waits.is_empty();
            if !(kept.is_kept_waiting && is_kept_waiting) {
                kept.passed_by.fill(0);
            }
            kept.is_kept_waiting = is_kept_waiting;
            kept.kept
                .retain(|number, _| room > 0 && waits.iter().any(|(waits, _)| waits == number));
            for (number, _) in waits.iter().filter(|_| room > 0) {
                kept.kept.entry(*number).or_default();
            }
            if room == 0 {
                continue;
            }
            costs.extend(waits);
            let notices = &self.model.clients[client].notices;
            claim!(
                self,
                Prompt,
                notices.are_told(),
                "client {client} has room for {room} events, but {notices:?} is pending"
            );
            let free = |over: &&Over| over.client == client && over.cost() == 0;
            let free = self.model.over.values().find(free);
            claim!(
                self,
                Prompt,
                free.is_none(),
                "client {client} has room for {room} events, but {free:?} is pending"
            );
            self.lists_have_gone_on(client)?;
        }
        self.figures.held_back += u64::from(!costs.is_empty());
        self.model.bucket.note_held(!costs.is_empty(), now);
        claim!(
            self,
            Prompt,
            costs.is_empty() || held,
            "{costs:?} bytes wait for clients with room, although the egress cap allows each"
        );
        Ok(())
    }

    /// Lists have gone as far as possible, if there is room for them.
    fn lists_have_gone_on(&mut self, client: usize) -> Held {
        let room = self.room(client);
        if room <= LISTS_LEAVE {
            return Ok(());
        }
        let waits = |list: &&List| match &list.kind {
            ListKind::Models
            | ListKind::Adapters
            | ListKind::Formats(_)
            | ListKind::Users
            | ListKind::Sessions(_) => true,
            ListKind::Watch(due) => *due,
            // They use part of the wake-up's work; the rest waits for the timer.
            ListKind::Log { .. } | ListKind::Verify(_) | ListKind::Export(..) => false,
        };
        let list = self.model.clients[client].lists.iter().find(waits);
        claim!(
            self,
            Lists,
            list.is_none(),
            "{room} of {SLOTS} slots of client {client} are free, but {list:?} does not continue"
        );
        Ok(())
    }
}
