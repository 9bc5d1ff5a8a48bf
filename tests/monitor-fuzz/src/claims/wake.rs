//! A wake-up from beginning to end.

use super::*;
use crate::model::{ENTRY, List, ListKind, Phase};
use crate::world::{Cause, Ring, Seen, Wake};
use protocol::error::ErrorCode;
use protocol::record::{Kind, Record};
use protocol::ring::SLOTS;

/// The time for which the timer is armed, and when it was armed.
pub(super) type Armed = (Option<u64>, u64);

impl Judge<'_> {
    /// Checks a wake-up.
    ///
    /// # Errors
    /// A claim does not hold.
    pub fn wake(&mut self, wake: Wake) -> Held {
        self.figures.wakes += 1;
        let armed = self.begin(wake)?;
        match self.cause {
            Cause::Start => self.start()?,
            Cause::Fault(fault) => {
                self.look();
                self.model.counts.faults += 1;
                self.figures.faults += 1;
                self.restart(fault, ErrorCode::InferenceFault)?;
            }
            Cause::Tick => {
                for list in self.model.clients.iter_mut().flat_map(|c| &mut c.lists) {
                    if let ListKind::Watch(due) = &mut list.kind {
                        *due = true;
                    }
                }
                self.reads()?;
            }
            Cause::Signal | Cause::Timer => self.reads()?,
        }
        self.load_advances()?;
        self.adapter_advances()?;
        self.tuning_advances()?;
        self.adapters_come_back()?;
        self.deadlines()?;
        self.stops_are_asked_for_again()?;
        self.what_is_due_is_written()?;
        self.clients_are_told()?;
        self.credit_is_granted()?;
        self.nothing_is_left()?;
        self.examples_lie_there()?;
        self.all_is_told()?;
        self.timer(armed)
    }

    /// Takes in the wake-up. Returns how the timer was armed.
    fn begin(&mut self, wake: Wake) -> Held<Option<Armed>> {
        (self.cause, self.silent, self.oldest) = (wake.cause, wake.silent, wake.oldest);
        (self.clients, self.inference) = (wake.clients, wake.inference);
        self.adapters = Some(wake.adapters);
        self.took.fill(0);
        self.took_of_inference = 0;
        self.work = WORK_BYTES;
        self.restarted = false;
        let mut clocks = wake.seen.iter().filter_map(|seen| match seen {
            Seen::Clock(now) => Some(*now),
            _ => None,
        });
        let first = clocks.next();
        self.now = first.unwrap_or(self.now);
        self.last_clock = clocks.next_back().or(first).unwrap_or(self.now);
        let armed = self.signals(&wake.seen)?;
        for seen in &wake.seen {
            if let Seen::Sent(Ring::Client(client), message) = seen {
                self.ends.told(*client, message)?;
                self.figures.comparisons += 1;
            }
        }
        // The rest must be explained by messages and restarts.
        let explained = |seen: &Seen| {
            matches!(
                seen,
                Seen::Took(..)
                    | Seen::Sent(..)
                    | Seen::Led(..)
                    | Seen::Restarted(_)
                    | Seen::Stopped(_)
            )
        };
        self.seen = wake.seen.into_iter().filter(explained).collect();
        self.chain(wake.entries)?;
        Ok(armed)
    }

    /// Checks that audit signals the peers that it has sent something or that may be waiting for room, and nobody else.
    fn signals(&mut self, seen: &[Seen]) -> Held<Option<Armed>> {
        let count = self.model.clients.len();
        let channels: Vec<u8> = self.model.clients.iter().map(|c| c.channel).collect();
        let place = |ring: &Ring| match ring {
            Ring::Client(client) => *client,
            // This system has no disk.
            Ring::Inference | Ring::Files | Ring::Memory => count,
        };
        // The last place belongs to inference.
        let (mut owed, mut signalled) = (vec![false; count + 1], vec![false; count + 1]);
        let mut armed = None;
        for seen in seen {
            match seen {
                Seen::Sent(ring, _) | Seen::Led(ring, _) | Seen::MadeRoom(ring) => {
                    owed[place(ring)] = true;
                }
                Seen::SignalledClient(channel) => {
                    let on = channels.iter().map(|on| on == channel);
                    for (signalled, on) in signalled.iter_mut().zip(on) {
                        *signalled |= on;
                    }
                }
                Seen::SignalledInference => signalled[count] = true,
                Seen::Armed { at, now } => armed = Some((*at, *now)),
                _ => {}
            }
        }
        for (place, signalled) in signalled.into_iter().enumerate() {
            let shares_channel = |other: &usize| channels.get(*other) == channels.get(place);
            let wanted = (0..=count).filter(shares_channel).any(|at| owed[at]);
            claim!(
                self,
                Flow,
                signalled == wanted,
                "peer {place} of {count} clients and inference is signalled: {signalled}, but should be: {wanted}"
            );
        }
        Ok(armed)
    }

    /// Checks the log without the reference: it is chained and numbered, and its times do not decrease.
    fn chain(&mut self, entries: Vec<(Record, Vec<u8>)>) -> Held {
        for (record, text) in entries {
            self.figures.records += 1;
            let previous = self.history.last().map_or([0; 32], |last| last.hash);
            let sequence = self.history.len() as u64 + 1;
            claim!(
                self,
                Chain,
                record.sequence == sequence
                    && record.previous == previous
                    && record.text_bytes as usize == text.len()
                    && record.time_us >= self.last_time_us,
                "entry {sequence} is {record:?}, after one at {}",
                self.last_time_us
            );
            self.last_time_us = record.time_us;
            self.shared(&record, text.len() as u64)?;
            self.history.push(Written {
                hash: hash(&record, &text),
                user: record.user,
            });
            match record.kind() {
                Some(Kind::Violation) => self.violations.push_back(record),
                Some(Kind::Refuse | Kind::LoginFailed | Kind::Login | Kind::Logout) => {
                    self.refusals.push_back(record);
                }
                _ => self.records.push_back((record, text)),
            }
        }
        Ok(())
    }

    /// Counts how much of the log a user's entries take, whatever they are about.
    fn shared(&mut self, record: &Record, text: u64) -> Held {
        // Wrong passphrases are bounded by the wait that they cost, and use nobody's share.
        if record.code == ErrorCode::LoginFailed as u16 && record.kind() == Some(Kind::LoginFailed)
        {
            return Ok(());
        }
        let since = record.time_us;
        let user = self.model.find_user(record.user);
        if let Some(share) = user.and_then(|user| self.model.shares.get_mut(user)) {
            share.used += ENTRY + text;
            let used = share.used;
            claim!(
                self,
                Shares,
                share.holds(since),
                "{used} bytes by {}",
                record.user
            );
        }
        Ok(())
    }

    // ---- The start ----------------------------------------------------------------------------

    fn start(&mut self) -> Held {
        self.model.boot(self.now);
        for client in 0..self.model.clients.len() {
            self.begins_epoch(Ring::Client(client), 1)?;
        }
        self.begins_epoch(Ring::Inference, 1)?;
        self.record(Kind::Boot)?;
        if self.model.policy.is_err() {
            return self.own_load_over();
        }
        self.own_load_begins()
    }

    fn begins_epoch(&mut self, ring: Ring, epoch: u32) -> Held {
        match self.next() {
            Some(Seen::Led(led, begun)) if (led, begun) == (ring, epoch) => {}
            other => {
                return broken(
                    Claim::Epochs,
                    format!("{other:?} for epoch {epoch} of {ring:?}"),
                );
            }
        }
        match ring {
            Ring::Client(client) => self.clients[client].free = SLOTS,
            Ring::Inference => self.inference.free = SLOTS,
            Ring::Files | Ring::Memory => {}
        }
        Ok(())
    }

    // ---- Reading --------------------------------------------------------------------------------

    /// Notes whether audit has room of its own in inference's ring.
    pub(super) fn look(&mut self) {
        let full = self.model.phase != Phase::Stopped && !self.has_own_room();
        self.model.full_since_us = match full {
            true => Some(self.model.full_since_us.unwrap_or(self.now)),
            false => None,
        };
    }

    /// Reports of inference are read first, then requests of clients.
    fn reads(&mut self) -> Held {
        self.look();
        let was_stopped = self.model.phase == Phase::Stopped;
        while let Some(Seen::Took(Ring::Inference, _)) = self.seen.front()
            && let Some(Seen::Took(_, taken)) = self.next()
        {
            self.report(taken)?;
        }
        let rest = self.inference.offers && self.took_of_inference < SLOTS;
        claim!(
            self,
            Flow,
            !rest || self.restarted || was_stopped || self.will_restart(),
            "a report is left, {} were taken",
            self.took_of_inference
        );
        while let Some(Seen::Took(Ring::Client(client), _)) = self.seen.front()
            && let client = *client
            && let Some(Seen::Took(_, taken)) = self.next()
        {
            self.request(client, taken)?;
        }
        Ok(())
    }

    /// Whether a restart comes later in this wake-up: then unread reports belong to the previous run.
    fn will_restart(&self) -> bool {
        let mut seen = self.seen.iter();
        seen.any(|seen| matches!(seen, Seen::Restarted(_) | Seen::Stopped(_)))
    }

    /// A client's message may be taken now.
    pub(super) fn may_be_read(&mut self, client: usize) -> Held {
        self.took[client] += 1;
        let lists = self.model.clients[client].lists.len();
        claim!(
            self,
            Flow,
            self.room(client) > lists,
            "a request of client {client} is taken with {} slots free, beside {lists} lists",
            self.room(client)
        );
        claim!(
            self,
            Flow,
            self.work > WORK_BYTES / 2,
            "a request is taken in a wake-up whose work is done"
        );
        self.works(MESSAGE_BYTES);
        Ok(())
    }

    /// Whether a client has a message left that could have been read.
    pub(super) fn is_left(&self, client: usize) -> bool {
        let lists = self.model.clients[client].lists.len();
        self.clients[client].offers && self.room(client) > lists && self.took[client] < SLOTS
    }

    /// Checks that no client is left unread while others are read more than once, and that none is left for long.
    fn reads_in_turn(&mut self) -> Held {
        let count = self.model.clients.len();
        let most = self.took.iter().copied().max().unwrap_or(0);
        for client in 0..count {
            if !self.is_left(client) {
                continue;
            }
            claim!(
                self,
                Flow,
                self.took[client] + 1 >= most,
                "client {client} is left, and {:?} were taken",
                self.took
            );
        }
        for client in 0..count {
            let left = self.is_left(client) && self.clients[client].offered;
            let waits = left && self.took[client] == 0;
            // A restart comes first, and the policy limits how often that happens.
            let longer = usize::from(!self.restarted);
            let passed_over = &mut self.model.clients[client].passed_over;
            *passed_over = if waits { *passed_over + longer } else { 0 };
            let passed_over = *passed_over;
            claim!(
                self,
                Flow,
                passed_over < count.max(1),
                "client {client} is not read for {passed_over} wake-ups"
            );
        }
        Ok(())
    }

    // ---- The end --------------------------------------------------------------------------------

    /// Records of violations and repeated events that are due.
    fn what_is_due_is_written(&mut self) -> Held {
        for client in 0..self.model.clients.len() {
            self.record_violations(Some(client))?;
        }
        self.record_violations(None)?;
        self.record_repeats()
    }

    /// Checks that everything that audit did was explained.
    fn nothing_is_left(&mut self) -> Held {
        if let Cause::Signal | Cause::Timer | Cause::Tick = self.cause {
            self.reads_in_turn()?;
        }
        let left = self.records.front().map(|(record, _)| record);
        let left = left.or(self.refusals.front()).or(self.violations.front());
        claim!(self, Log, left.is_none(), "unexplained: {left:?}");
        let (claim, seen) = match self.seen.front() {
            None => return Ok(()),
            Some(seen @ (Seen::Restarted(_) | Seen::Stopped(_))) => (Claim::Restarts, seen),
            Some(seen @ Seen::Led(..)) => (Claim::Epochs, seen),
            Some(seen @ Seen::Took(..)) => (Claim::Flow, seen),
            Some(seen) => (Claim::Answers, seen),
        };
        broken(claim, format!("nothing explains {seen:?}"))
    }

    /// Checks that every request has its end.
    ///
    /// # Errors
    /// A request has not ended.
    pub fn settled(&mut self) -> Held {
        let model = &self.model;
        let reserved: u64 = model
            .ledgers
            .iter()
            .map(crate::model::Ledger::reserved)
            .sum();
        let lists: Vec<&List> = model.clients.iter().flat_map(|c| &c.lists).collect();
        let told = model.clients.iter().all(|c| c.notices.are_told());
        let over = model.live.is_empty()
            && model.over.is_empty()
            && lists.is_empty()
            && told
            && reserved == 0;
        claim!(
            self,
            Settles,
            over,
            "live {:?}, over {:?}, lists {lists:?}, told {told}, reserved {reserved}",
            self.model.live,
            self.model.over
        );
        self.figures.comparisons += self.ends.all_over()?;
        Ok(())
    }
}
