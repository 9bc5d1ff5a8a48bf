//! The end of a run: everybody behaves, and acts only on a signal or the timer.

use super::{Held, Run};
use crate::claims::{Broken, Claim};
use crate::dice::Dice;
use crate::world::Cause;
use protocol::ring::SLOTS;
use protocol::wire::client::Request;

/// Number of wake-ups after which everything must be over.
const MOST_WAKES: u32 = 60_000;

impl Run<'_> {
    pub(super) fn settle(&mut self, dice: &mut Dice) -> Held {
        for client in 0..self.people.len() {
            if !self.people[client].is_right {
                self.set_client_right(client);
            }
        }
        if !self.character.is_honest() && self.world.inference.epoch != 0 {
            self.world.inference.set_right();
            self.world.inference.wrote = true;
        }
        self.world.runtime.refuses = 0;
        // Signals may have been lost before, so each looks once.
        self.wake(Cause::Signal)?;
        for peer in &mut self.world.clients {
            peer.is_signalled = true;
        }
        self.world.inference.is_signalled = true;
        // Inference may be silent at first.
        let is_silent = !self.character.prompt && dice.percent(10);
        let mut silent: u64 = if is_silent { 40 } else { 0 };
        for _ in 0..MOST_WAKES {
            let looks = silent == 0;
            if !self.peers_act(looks, dice)? {
                let Some(at) = self.world.runtime.timer else {
                    if silent > 0 {
                        silent = 0;
                        continue;
                    }
                    return self.judge.settled();
                };
                silent -= u64::from(silent > 0);
                let mut ticks = self.world.next_alarm();
                while ticks.1 == Cause::Tick {
                    // These ticks are lost.
                    self.world.pass_alarm(ticks);
                    ticks = self.world.next_alarm();
                }
                self.comes((at, Cause::Timer))?;
                self.wake(Cause::Timer)?;
            }
        }
        Err(Broken {
            claim: Claim::Settles,
            detail: format!("it is not over after {MOST_WAKES} wake-ups"),
        })
    }

    /// Peers that were signalled act, and inference continues if it can; audit is woken if it was signalled. Returns
    /// whether anybody did anything.
    fn peers_act(&mut self, inference_looks: bool, dice: &mut Dice) -> Held<bool> {
        let mut acted = false;
        for client in 0..self.people.len() {
            if std::mem::take(&mut self.world.clients[client].is_signalled) {
                acted = true;
                self.client_reads(client, SLOTS as u64)?;
            }
            acted |= self.client_ends_what_is_endless(client);
        }
        let at_work = self.world.inference_runs && self.server.is_at_work();
        let is_signalled = self.world.inference.is_signalled;
        if inference_looks && self.world.inference_runs && (is_signalled || at_work) {
            self.world.inference.is_signalled = false;
            self.inference_joins();
            let before = self.world.inference.unread();
            if self.world.inference.epoch != 0 {
                self.inference_works(SLOTS as u64, 4, dice);
            }
            // An inference server that audit has given up but could not stop waits for room that it will never get.
            let waits = !self.server.unsent.is_empty() && self.world.inference.unread() == before;
            acted |= is_signalled || !waits;
        }
        let owes = |peer: &mut crate::world::Peer| std::mem::take(&mut peer.owes_signal);
        let mut signalled = self.world.inference_runs && owes(&mut self.world.inference);
        for client in &mut self.world.clients {
            signalled |= owes(client);
        }
        if signalled {
            self.wake(Cause::Signal)?;
        }
        Ok(acted || signalled)
    }

    /// A client cancels, once, its requests that do not end by themselves. Returns whether it has done so.
    fn client_ends_what_is_endless(&mut self, client: usize) -> bool {
        let lists = &self.judge.model.clients[client].lists;
        let endless = lists.iter().filter(|list| list.kind.is_endless());
        let endless: Vec<u32> = endless.map(|list| list.id).collect();
        let mut said = false;
        for id in endless {
            if self.people[client].ended.contains(&id) {
                continue;
            }
            if self.client_asks(client, id, false, &Request::Cancel) {
                self.people[client].ended.push(id);
                said = true;
            }
        }
        said
    }
}
