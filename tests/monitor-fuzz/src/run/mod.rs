//! A run: its participants, and its steps.

mod clients;
mod inference;
mod settle;

use crate::acts::{self, Character, Habits, Server};
use crate::claims::{Broken, Claim, Figures, Judge};
use crate::dice::Dice;
use crate::model::Model;
use crate::store::{self, Fixtures};
use crate::world::{Buffers, Cause, HEAD_WORD, Peer, REGION_WORDS, Seen, TAIL_WORD, Wake, World};
use crate::{Found, Plan};
use protocol::policy::Policy;
use protocol::record::Kind;
use protocol::region::WriteWords as _;
use protocol::ring::SLOTS;
use protocol::wire::FaultKind;
use sha2::{Digest as _, Sha256};
use zerocopy::IntoBytes as _;

/// The number of a reason why a policy is invalid: it belongs to other formats than those in the region.
const OTHER_FORMATS: u64 = 8;

/// Limit of alarms in a step of time.
const MOST_ALARMS: u32 = 1_000;

type Held<T = ()> = Result<T, Broken>;

/// A client of a run.
#[derive(Debug)]
struct Person {
    habits: Habits,
    next_id: u32,
    /// Requests whose end it has not read.
    open: Vec<u32>,
    /// Lists that it has cancelled at the end of the run.
    ended: Vec<u32>,
    /// Whether its region is free of garbage.
    is_right: bool,
    /// Whether it always was.
    was_right: bool,
}

/// The participants of a run.
struct Run<'m> {
    world: World<'m>,
    judge: Judge<'m>,
    character: Character,
    people: Vec<Person>,
    server: Server,
    /// The run of inference to which the server belongs.
    life: u64,
    trace: Option<Vec<String>>,
    /// Consecutive timers that fired at once.
    at_once: u32,
    /// How long inference takes if it is in time, and when it will look, if it was signalled.
    takes_us: u64,
    looks_at: Option<u64>,
    step: u64,
}

/// Does a run.
///
/// # Errors
/// A claim did not hold.
pub fn run(fixtures: &Fixtures, plan: &Plan) -> (Figures, Result<(), Found>) {
    let mut dice = Dice::new(plan.seed, u64::MAX);
    let store = fixtures.store(&mut dice);
    let mut policy = fixtures.policy(&mut dice);
    let channels = store::clients(&mut policy, &mut dice);
    if dice.percent(1) {
        policy.user_count = 0;
    }
    if plan.is_workshop() {
        store::equip_workshop(&mut policy);
    }
    let read = Policy::read(policy.as_bytes());
    let read = read.as_ref().map_err(|error| *error as u64);
    let is_of_formats = |policy: &&Policy| {
        let sha256: [u8; 32] = Sha256::digest(&fixtures.formats).into();
        policy.format_count == 0 || policy.formats_sha256 == sha256
    };
    let read = read.and_then(|policy| Some(policy).filter(is_of_formats).ok_or(OTHER_FORMATS));
    let character = match plan.is_workshop() {
        true => Character::of_workshop(&mut dice),
        false => Character::new(&mut dice),
    };
    let mut buffers = Buffers::new(dice.within(256 << 10, 400 << 10) as usize);
    let work = Dice::new(plan.seed, u64::MAX - 1);
    let people = channels.iter().map(|_| Person {
        habits: match Habits::new(&mut dice, plan.steps) {
            habits if plan.is_workshop() => habits.in_workshop(),
            habits => habits,
        },
        next_id: 1,
        open: Vec::new(),
        ended: Vec::new(),
        is_right: true,
        was_right: true,
    });
    let people = people.collect();
    let model = Model::new(read, store, &fixtures.listed, &channels);
    // Inference sees a command that was sent at the start of a wake-up only at its end, and another wake-up may be
    // under way when it answers.
    let has_us = policy.stop_grace_us.saturating_sub(6 * character.work_us);
    let mut run = Run {
        world: World::new(
            &mut buffers,
            (policy.as_bytes(), &fixtures.formats),
            &store.bytes,
            work,
            (character.work_us, character.refuses),
            &channels,
        ),
        judge: Judge::new(model),
        character,
        people,
        server: Server::default(),
        life: 0,
        trace: plan.trace.then(Vec::new),
        at_once: 0,
        takes_us: has_us * character.takes / 100,
        looks_at: None,
        step: 0,
    };
    run.note(|| format!("{character:?}, {policy:?}, store {:?}", store.models));
    let people = format!("{:?}", run.people);
    run.note(|| people);
    let result = run.goes(plan);
    let step = run.step;
    let mut figures = run.judge.figures;
    figures.runs = 1;
    figures.clients = channels.len() as u64;
    figures.steps = step;
    let trace = run.trace.take().unwrap_or_default();
    (
        figures,
        result.map_err(|broken| Found {
            broken,
            step,
            trace,
        }),
    )
}

impl Run<'_> {
    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(text());
        }
    }

    fn goes(&mut self, plan: &Plan) -> Held {
        self.wake(Cause::Start)?;
        for client in &mut self.world.clients {
            client.follow();
        }
        while self.step < plan.steps {
            if !plan.without.contains(&self.step) {
                let mut dice = Dice::new(plan.seed, self.step);
                let step = self.step;
                self.note(|| format!("step {step}"));
                self.acts(&mut dice)?;
            }
            self.step += 1;
        }
        let mut dice = Dice::new(plan.seed, u64::MAX - 2);
        self.note(|| String::from("the end"));
        self.settle(&mut dice)
    }

    fn wake(&mut self, cause: Cause) -> Held {
        let wake = self.world.wake(cause);
        self.note_wake(&wake);
        self.restarts_have_a_reason(&wake)?;
        self.judge.wake(wake)?;
        if self.world.life != self.life {
            self.life = self.world.life;
            self.server = Server::default();
        }
        Ok(())
    }

    fn note_wake(&mut self, wake: &Wake) {
        let did = |seen: &Seen| {
            matches!(
                seen,
                Seen::Took(..)
                    | Seen::Sent(..)
                    | Seen::Led(..)
                    | Seen::Restarted(_)
                    | Seen::Stopped(_)
            )
        };
        let idle = wake.entries.is_empty() && !wake.seen.iter().any(did);
        self.note(|| {
            let cause = wake.cause;
            if idle {
                return format!("  {cause:?}: {:?}", wake.seen.last());
            }
            let records = wake.entries.iter();
            let records = records.map(|(r, _)| format!("{:?} {} {}", r.kind(), r.request, r.code));
            let free: Vec<_> = wake.clients.iter().map(|standing| standing.free).collect();
            format!(
                "  {cause:?} at {:?}; free {free:?} and {}: {:?}; {:?}",
                wake.seen.first(),
                wake.inference.free,
                wake.seen,
                records.collect::<Vec<_>>()
            )
        });
    }

    /// An inference server that follows the protocol is not restarted for a breach, and one that also answers in time
    /// is not restarted at all, whatever clients, clock and egress cap do.
    fn restarts_have_a_reason(&self, wake: &Wake) -> Held {
        if !self.character.is_honest() {
            return Ok(());
        }
        let of = |kind: FaultKind| {
            let mut records = wake.entries.iter().map(|(record, _)| record);
            records.any(|record| record.kind() == Some(Kind::Fault) && record.code == kind as u16)
        };
        let is_prompt = self.character.prompt;
        match of(FaultKind::Violation) || is_prompt && of(FaultKind::Unresponsive) {
            true => Err(Broken {
                claim: Claim::Restarts,
                detail: format!("an honest inference is restarted; it is prompt: {is_prompt}"),
            }),
            false => Ok(()),
        }
    }

    /// Wakes audit as often as the run's character says, because something has happened. Then the others act.
    fn signal(&mut self, dice: &mut Dice) -> Held {
        if dice.percent(self.character.signals) {
            self.wake(Cause::Signal)?;
        }
        self.others_act(dice)
    }

    /// The acts of participants that do not wait for their own step.
    fn others_act(&mut self, dice: &mut Dice) -> Held {
        for client in 0..self.people.len() {
            let Habits { at_once, .. } = self.people[client].habits;
            if at_once && self.people[client].habits.hears(self.step) {
                self.client_reads(client, SLOTS as u64)?;
            }
        }
        if self.character.prompt {
            self.inference_is_in_time(dice)?;
        }
        Ok(())
    }

    fn acts(&mut self, dice: &mut Dice) -> Held {
        let character = self.character;
        if dice.below(1000) < character.faults {
            let fault = acts::any_fault(dice);
            self.note(|| format!(" fault {fault:?}"));
            self.wake(Cause::Fault(fault))?;
            return self.others_act(dice);
        }
        if dice.percent(character.time) {
            let us = match dice.below(4) {
                0 => dice.below(50),
                1 => dice.below(5_000),
                _ => dice.below(character.longest_us),
            };
            return self.pass(us, dice);
        }
        match dice.below(100) {
            0..=54 if !self.people.is_empty() => {
                let client = dice.below(self.people.len() as u64) as usize;
                self.client_acts(client, dice)
            }
            0..=97 => self.inference_acts(dice),
            _ => {
                let cause = *dice.pick(&[Cause::Signal, Cause::Timer, Cause::Tick]);
                self.wake(cause)?;
                self.others_act(dice)
            }
        }
    }

    // ---- The clock ----------------------------------------------------------------------------

    fn pass(&mut self, us: u64, dice: &mut Dice) -> Held {
        self.note(|| format!(" {us} us pass"));
        let until = self.world.runtime.now + us;
        let mut alarms = 0;
        loop {
            let alarm = self.world.next_alarm();
            if let Some(at) = self.looks_at.filter(|at| *at <= alarm.0.min(until)) {
                self.world.runtime.now = self.world.runtime.now.max(at);
                self.others_act(dice)?;
                continue;
            }
            if alarm.0 > until && alarms > 0 || alarm.0 > until.max(self.world.runtime.now) {
                break;
            }
            alarms += 1;
            if alarms > MOST_ALARMS {
                // The egress cap may let a few bytes pass at a time, so the step ends early.
                return Ok(());
            }
            self.comes(alarm)?;
            if !dice.percent(self.character.lost_alarms) {
                self.wake(alarm.1)?;
                self.others_act(dice)?;
            }
        }
        self.world.runtime.now = self.world.runtime.now.max(until);
        if self.character.is_punctual() {
            let now = self.world.runtime.now;
            self.judge.in_time(now, 3 * self.character.work_us)?;
        }
        Ok(())
    }

    /// The clock reaches this alarm.
    fn comes(&mut self, alarm: (u64, Cause)) -> Held {
        let at_once = alarm.1 == Cause::Timer && alarm.0 <= self.world.runtime.now;
        self.at_once = if at_once { self.at_once + 1 } else { 0 };
        self.world.pass_alarm(alarm);
        match self.at_once > 100 {
            true => Err(Broken {
                claim: Claim::Spins,
                detail: format!("{} timers in a row fired at once", self.at_once),
            }),
            false => Ok(()),
        }
    }
}

/// A peer writes random data into its region.
fn garbage(peer: &Peer, dice: &mut Dice) {
    match dice.below(6) {
        0 => peer.ours.store(dice.below(8) as usize, dice.any()),
        1 => {
            let word = *dice.pick(&[HEAD_WORD, TAIL_WORD]);
            peer.ours.store(word, peer.tag(0, dice.below(40) as u32));
        }
        2 => {
            let word = *dice.pick(&[HEAD_WORD, TAIL_WORD]);
            peer.ours
                .store(word, peer.tag(dice.below(4) as u32, dice.below(17) as u32));
        }
        3 => {
            // Messages for future epochs.
            for slot in 0..SLOTS {
                let word = Peer::slot_tag_word(slot);
                peer.ours.store(
                    word,
                    peer.tag(1 + dice.below(3) as u32, dice.below(40) as u32),
                );
            }
        }
        _ => {
            for _ in 0..dice.within(1, 20) {
                peer.ours
                    .store(dice.below(REGION_WORDS as u64) as usize, dice.any());
            }
        }
    }
}
