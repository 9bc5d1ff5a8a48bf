//! Acts of inference.

use super::{Held, Run, garbage};
use crate::acts::{self, Character, Say, any_short, piece};
use crate::dice::Dice;
use crate::model::Live;
use crate::world::Cause;
use protocol::ring::{Frame, SLOTS};
use protocol::wire::FinishReason;
use protocol::wire::engine::Command;

impl Run<'_> {
    pub(super) fn inference_acts(&mut self, dice: &mut Dice) -> Held {
        if !self.world.inference_runs {
            return Ok(());
        }
        let character = self.character;
        if dice.percent(character.inference_garbage) {
            garbage(&self.world.inference, dice);
            self.world.inference.wrote = true;
            self.judge.is_ring_sound = false;
            self.note(|| String::from(" inference writes garbage"));
            return self.signal(dice);
        }
        if dice.percent(30) {
            self.inference_joins();
        }
        if self.world.inference.epoch == 0 || character.silent {
            return Ok(());
        }
        if dice.percent(character.lies) {
            self.inference_lies(dice);
            return self.signal(dice);
        }
        let reads = match dice.percent(character.lazy) {
            true => 0,
            false => dice.below(4),
        };
        let steps = dice.below(4);
        self.inference_works(reads, steps, dice);
        self.signal(dice)
    }

    fn inference_lies(&mut self, dice: &mut Dice) {
        let mut frame = Frame::new();
        let tune = self.judge.model.tune();
        let tune = tune.and_then(|(number, tune)| {
            Some((number, tune.progress?, tune.file.len() as u64, tune.bound()))
        });
        if let Some((number, progress, received, most)) = tune
            && dice.percent(40)
        {
            let say = acts::lie_about_training(progress, received, most, dice);
            say.write(number, &mut frame);
            let sent = self.world.inference.send(&frame);
            self.note(|| format!(" inference lies about {number}: {say:?}: {sent}"));
            return;
        }
        let numbers: Vec<u32> = self.judge.model.live.keys().copied().collect();
        let newest = self.judge.model.last_number;
        let live = self.judge.model.live.iter();
        let texts = live.filter(|(_, live)| live.text().is_some());
        let texts: Vec<u32> = texts.map(|(number, _)| *number).collect();
        if dice.percent(40) && !texts.is_empty() {
            // Possibly more than it may, or text that the format does not allow.
            let number = *dice.pick(&texts);
            let text = self.judge.model.live.get(&number).and_then(Live::text);
            if dice.percent(40)
                && let Some(text) = text
            {
                // With the right count, but possibly where the answer may not end.
                let reason = *dice.pick(FinishReason::ALL);
                let say = Say::Finished(reason, 0, text.tokens);
                say.write(number, &mut frame);
                let sent = self.world.inference.send(&frame);
                self.note(|| format!(" inference ends {number}: {say:?}: {sent}"));
                return;
            }
            for _ in 0..dice.within(1, SLOTS as u64) {
                let say = match dice.percent(70) {
                    true => Say::Short(dice.any() as u32, any_short(dice)),
                    false => Say::Token(dice.any() as u32, dice.below(20) as usize),
                };
                say.write(number, &mut frame);
                let sent = self.world.inference.send(&frame);
                self.note(|| format!(" inference continues {number}: {say:?}: {sent}"));
            }
            return;
        }
        for _ in 0..dice.within(1, 6) {
            let (number, say) = acts::lie(&numbers, newest, dice);
            say.write(number, &mut frame);
            if dice.percent(3) {
                frame.begin(dice.any() as u16, number);
                frame.finish(dice.below(300) as usize);
            }
            let sent = self.world.inference.send(&frame);
            self.note(|| format!(" inference lies {number}: {say:?}: {sent}"));
        }
    }

    pub(super) fn inference_joins(&mut self) {
        if self.world.inference.follow() {
            self.server.begins();
            self.note(|| String::from(" inference joins"));
        }
    }

    /// Acts within its time limit if it was signalled.
    pub(super) fn inference_is_in_time(&mut self, dice: &mut Dice) -> Held {
        if self.takes_us == 0 {
            return self.inference_is_prompt(dice);
        }
        let now = self.world.runtime.now;
        if self.world.inference.is_signalled && self.looks_at.is_none() {
            self.looks_at = Some(now + self.takes_us);
        }
        if self.looks_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        self.looks_at = None;
        self.world.inference.is_signalled = false;
        self.inference_is_prompt(dice)
    }

    /// Does everything that it was asked, and reports it, until only generation is left.
    fn inference_is_prompt(&mut self, dice: &mut Dice) -> Held {
        while self.world.inference_runs {
            self.inference_joins();
            if self.world.inference.epoch == 0 {
                return Ok(());
            }
            self.inference_works(SLOTS as u64, 0, dice);
            if !self.world.inference.owes_signal {
                return Ok(());
            }
            self.world.inference.owes_signal = false;
            self.wake(Cause::Signal)?;
        }
        Ok(())
    }

    /// Sends unsent reports; then reads this many commands, and takes this many steps.
    pub(super) fn inference_works(&mut self, reads: u64, steps: u64, dice: &mut Dice) {
        let mut frame = Frame::new();
        self.inference_sends(&mut frame);
        for _ in 0..reads {
            if !self.server.unsent.is_empty() {
                break;
            }
            let Some(message) = self.world.inference.receive() else {
                break;
            };
            let received = message.frame();
            if let Ok(command) = Command::parse(&received) {
                self.note(|| format!(" inference reads {}: {command:?}", message.request));
                let adapters = self.character.adapters;
                self.server.reads(message.request, &command, adapters, dice);
            }
            self.inference_sends(&mut frame);
        }
        for _ in 0..steps {
            if !self.server.unsent.is_empty() {
                break;
            }
            let Character { ends, breaches, .. } = self.character;
            self.server.steps(ends, breaches, dice);
            self.inference_sends(&mut frame);
        }
    }

    fn inference_sends(&mut self, frame: &mut Frame) {
        while let Some((number, say)) = self.server.unsent.front().copied() {
            say.write(number, frame);
            if !self.world.inference.send(frame) {
                break;
            }
            self.server.unsent.pop_front();
            if let Some(whose) = self.server.tag(number) {
                match say {
                    Say::Token(id, len) => self.judge.ends.said(whose, &piece(id, len)[..len]),
                    Say::Short(_, text) => self.judge.ends.said(whose, text.as_bytes()),
                    _ => {}
                }
            }
            self.note(|| format!(" inference says {number}: {say:?}"));
        }
    }
}
