//! A model-based fuzz of the whole monitor.
//!
//! A *run* is a world with a seed: a policy, a store, a client, an inference and a clock of some character, and a monitor
//! among them. Each step is an act of one of them, after most of which the monitor is woken; each wake-up is compared
//! with what the reference says ([`claims`]). At the end all peers behave and the clock goes on: then everything must
//! come to its end.
//!
//! - [`world`]: the clock, the peers' regions, the journal of what audit did;
//! - [`model`]: the reference, which shares nothing with audit;
//! - [`claims`]: what is compared; [`ends`]: one end for each request, without the reference;
//! - [`acts`]: what the peers do; [`store`]: policies and stores; [`dice`]: where chance comes from.

#![forbid(unsafe_code)]

pub mod acts;
pub mod claims;
pub mod dice;
pub mod ends;
pub mod model;
pub mod store;
pub mod world;

use acts::{Ask, Character, Server};
use claims::{Broken, Claim, Figures, Judge};
use dice::Dice;
use model::{ListKind, Model, Phase};
use protocol::policy::Policy;
use protocol::region::WriteWords as _;
use protocol::ring::{Frame, SLOTS};
use protocol::wire::client::{Event, Request};
use protocol::wire::engine::Command;
use std::collections::BTreeSet;
use store::Fixtures;
use world::{Buffers, Cause, HEAD_WORD, Peer, REGION_WORDS, Seen, TAIL_WORD, World};
use zerocopy::IntoBytes as _;

/// Steps of a run, unless it is told otherwise.
pub const STEPS: u64 = 2_000;

/// Alarms in a step of time, at most.
const MOST_ALARMS: u32 = 1_000;

/// Which run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// How long it is.
    pub steps: u64,
    /// Steps that are left out.
    pub without: BTreeSet<u64>,
    /// Keeps what happens as text.
    pub trace: bool,
}

impl Plan {
    /// A whole run.
    #[must_use]
    pub const fn new(seed: u64, steps: u64) -> Self {
        Self {
            seed,
            steps,
            without: BTreeSet::new(),
            trace: false,
        }
    }
}

/// A run that has broken a claim.
#[derive(Clone, Debug)]
pub struct Found {
    /// What.
    pub broken: Broken,
    /// In which step; the number of steps for the end.
    pub step: u64,
    /// The last things that happened.
    pub trace: Vec<String>,
}

/// Who is in a run.
struct Run<'m> {
    world: World<'m>,
    judge: Judge<'m>,
    character: Character,
    server: Server,
    /// The life that the server lives.
    life: u64,
    next_id: u32,
    /// Requests whose end the client has not read.
    open: Vec<u32>,
    /// There is no garbage in the client's region.
    is_right: bool,
    /// Nor was there ever any.
    was_right: bool,
    trace: Option<Vec<String>>,
    /// Timers in a row that came at once.
    at_once: u32,
    honest_breaches: bool,
}

/// Does a run.
///
/// # Errors
/// What it has found.
pub fn run(fixtures: &Fixtures, plan: &Plan) -> (Figures, Result<(), Found>) {
    let mut dice = Dice::new(plan.seed, u64::MAX);
    let store = fixtures.store(&mut dice);
    let mut policy = fixtures.policy(&mut dice);
    if dice.percent(1) {
        policy.user_count = 0;
    }
    let read = Policy::read(policy.as_bytes());
    let read = read.as_ref().map_err(|error| *error as u64);
    let character = Character::new(&mut dice);
    let mut buffers = Buffers::new(dice.within(256 << 10, 400 << 10) as usize);
    let work = Dice::new(plan.seed, u64::MAX - 1);
    let mut run = Run {
        world: World::new(
            &mut buffers,
            policy.as_bytes(),
            &store.bytes,
            work,
            character.work_us,
            character.refuses,
        ),
        judge: Judge::new(Model::new(
            read,
            store.models.as_deref(),
            store.bytes.len() as u64,
        )),
        character,
        server: Server::default(),
        life: 0,
        next_id: 1,
        open: Vec::new(),
        is_right: true,
        was_right: true,
        trace: plan.trace.then(Vec::new),
        at_once: 0,
        honest_breaches: character.is_honest(),
    };
    run.note(|| format!("{character:?}, {policy:?}, store {:?}", store.models));
    let mut step = 0;
    let mut result = run.goes(plan, &mut step);
    let unclear = |broken: &Broken| broken.claim == Claim::Unclear;
    if result.as_ref().is_err_and(unclear) {
        run.judge.figures.unclear = 1;
        result = Ok(());
    }
    let mut figures = run.judge.figures;
    figures.runs = 1;
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

/// As short a run as can be had cheaply that breaks the same claim: without what comes after, and without as many of the
/// steps before as can go.
#[must_use]
pub fn shrink(fixtures: &Fixtures, plan: &Plan, found: &Found) -> Plan {
    let mut plan = plan.clone();
    plan.steps = plan.steps.min(found.step + 1);
    let breaks = |plan: &Plan| {
        let (_, result) = run(fixtures, plan);
        result.is_err_and(|other| other.broken.claim == found.broken.claim)
    };
    let mut size = plan.steps.next_power_of_two() / 2;
    let mut tries = 0;
    while size > 0 && tries < 3_000 {
        let mut first = 0;
        while first < plan.steps && tries < 3_000 {
            let mut shorter = plan.clone();
            shorter.without.extend(first..plan.steps.min(first + size));
            if shorter.without.len() > plan.without.len() {
                tries += 1;
                if breaks(&shorter) {
                    plan = shorter;
                }
            }
            first += size;
        }
        size /= 2;
    }
    plan
}

type Held<T = ()> = Result<T, Broken>;

impl Run<'_> {
    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(text());
        }
    }

    fn goes(&mut self, plan: &Plan, step: &mut u64) -> Held {
        self.wake(Cause::Start)?;
        self.world.client.follow();
        while *step < plan.steps {
            if !plan.without.contains(step) {
                let mut dice = Dice::new(plan.seed, *step);
                self.note(|| format!("step {step}"));
                self.step(&mut dice)?;
            }
            *step += 1;
        }
        let mut dice = Dice::new(plan.seed, u64::MAX - 2);
        self.note(|| String::from("the end"));
        self.settle(&mut dice)
    }

    fn wake(&mut self, cause: Cause) -> Held {
        let wake = self.world.wake(cause);
        let did = |seen: &Seen| {
            !matches!(
                seen,
                Seen::Clock(_) | Seen::Signalled(_) | Seen::Armed { .. }
            )
        };
        let idle = wake.entries.is_empty() && !wake.seen.iter().any(did);
        self.note(|| {
            if idle {
                return format!("  {cause:?}: {:?}", wake.seen.last());
            }
            let records = wake.entries.iter();
            let records = records.map(|(r, _)| format!("{:?} {} {}", r.kind(), r.request, r.code));
            format!(
                "  {cause:?} at {:?}; free {:?}, offers {:?}: {:?}; {:?}",
                wake.seen.first(),
                wake.free,
                wake.offers,
                wake.seen,
                records.collect::<Vec<_>>()
            )
        });
        if self.honest_breaches {
            let breach = |record: &protocol::record::Record| {
                record.kind() == Some(protocol::record::Kind::Fault) && record.code == 8
            };
            if wake.entries.iter().any(|(record, _)| breach(record)) {
                return Err(Broken {
                    claim: Claim::Restarts,
                    detail: String::from("an honest inference is restarted for a breach"),
                });
            }
        }
        self.judge.wake(wake)?;
        if self.world.life != self.life {
            self.life = self.world.life;
            self.server = Server::default();
        }
        Ok(())
    }

    fn signal(&mut self, dice: &mut Dice) -> Held {
        match dice.percent(self.character.signals) {
            true => self.wake(Cause::Signal),
            false => Ok(()),
        }
    }

    fn step(&mut self, dice: &mut Dice) -> Held {
        let character = self.character;
        if dice.below(1000) < character.faults {
            let fault = acts::any_fault(dice);
            self.note(|| format!(" fault {fault:?}"));
            return self.wake(Cause::Fault(fault));
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
            0..=44 => self.client_acts(dice),
            45..=97 => self.inference_acts(dice),
            _ => {
                let cause = *dice.pick(&[Cause::Signal, Cause::Timer, Cause::Tick]);
                self.wake(cause)
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
            if alarm.0 > until && alarms > 0 || alarm.0 > until.max(self.world.runtime.now) {
                break;
            }
            alarms += 1;
            if alarms > MOST_ALARMS {
                // Each request of a client that does not read has a grace of its own: the step ends early.
                return Ok(());
            }
            if self.lets_by(alarm)? || !dice.percent(self.character.lost_alarms) {
                self.wake(alarm.1)?;
            }
        }
        self.world.runtime.now = self.world.runtime.now.max(until);
        if self.character.is_punctual() {
            let now = self.world.runtime.now;
            self.judge.in_time(now, 3 * self.character.work_us)?;
        }
        Ok(())
    }

    /// The alarm is due now. Never true: it says whether it must not be lost.
    fn lets_by(&mut self, alarm: (u64, Cause)) -> Held<bool> {
        let at_once = alarm.1 == Cause::Timer && alarm.0 <= self.world.runtime.now;
        self.at_once = if at_once { self.at_once + 1 } else { 0 };
        self.world.pass_alarm(alarm);
        match self.at_once > 100 {
            true => Err(Broken {
                claim: Claim::Spins,
                detail: format!("{} timers in a row came at once", self.at_once),
            }),
            false => Ok(false),
        }
    }

    // ---- The client ---------------------------------------------------------------------------

    fn client_acts(&mut self, dice: &mut Dice) -> Held {
        let character = self.character;
        if dice.percent(character.client_garbage) {
            self.judge.ends.unsure();
            (self.is_right, self.was_right) = (false, false);
            garbage(&self.world.client, dice);
            self.note(|| String::from(" the client writes garbage"));
            return self.signal(dice);
        }
        if !self.is_right && dice.percent(20) {
            self.set_client_right();
        }
        if dice.percent(character.client_reads) {
            let most = dice.within(1, character.client_reads_most);
            self.client_reads(most)?;
            return self.signal(dice);
        }
        if dice.percent(10) && !self.open.is_empty() {
            let id = *dice.pick(&self.open);
            return self.client_asks(id, false, &Request::Cancel, dice);
        }
        if self.judge.model.phase == Phase::Stopped && dice.percent(10) {
            let id = self.next_id;
            self.next_id += 1;
            return self.client_asks(id, true, &Request::Reset, dice);
        }
        let ask = Ask::any(dice, &character);
        let request = ask.request();
        if dice.percent(character.client_reuse) {
            let model = &self.judge.model;
            let mut used: Vec<u32> = model.live.values().filter_map(|live| live.id).collect();
            used.push(0);
            let id = *dice.pick(&used);
            self.judge.ends.reused(id);
            return self.client_asks(id, false, &request, dice);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.client_asks(id, true, &request, dice)
    }

    fn client_asks(
        &mut self,
        id: u32,
        fresh: bool,
        request: &Request<'_>,
        dice: &mut Dice,
    ) -> Held {
        let mut frame = Frame::new();
        request.write(id, &mut frame);
        let sent = self.world.client.send(&frame);
        self.note(|| format!(" the client asks {id}: {request:?}: {sent}"));
        if sent {
            match request {
                Request::Cancel => self.judge.ends.cancelled(id),
                _ if fresh && self.is_right => {
                    self.judge.ends.asked(id, request);
                    self.open.push(id);
                }
                _ => {}
            }
        }
        self.signal(dice)
    }

    fn set_client_right(&mut self) {
        self.judge.ends.unsure();
        self.world.client.set_right();
        self.is_right = true;
    }

    fn client_reads(&mut self, most: u64) -> Held {
        for _ in 0..most.min(self.world.client.waiting() as u64) {
            let Some(message) = self.world.client.receive() else {
                if self.was_right {
                    return Err(Broken {
                        claim: Claim::Answers,
                        detail: String::from("what audit sent has gone from its ring"),
                    });
                }
                continue;
            };
            let frame = message.frame();
            let over = !matches!(
                Event::parse(&frame),
                Ok(Event::Text { .. } | Event::Record { .. } | Event::Progress(_))
            );
            if over {
                self.open
                    .retain(|id| *id != message.request || *id % 4 == 0);
                if self.open.len() > 60 {
                    self.open.remove(0);
                }
            }
        }
        Ok(())
    }

    // ---- Inference ----------------------------------------------------------------------------

    fn inference_acts(&mut self, dice: &mut Dice) -> Held {
        if !self.world.inference_runs {
            return Ok(());
        }
        let character = self.character;
        if dice.percent(character.inference_garbage) {
            garbage(&self.world.inference, dice);
            self.world.inference.wrote = true;
            self.note(|| String::from(" inference writes garbage"));
            return self.signal(dice);
        }
        if dice.percent(30) && self.world.inference.follow() {
            self.server.begins();
            self.note(|| String::from(" inference joins"));
        }
        if self.world.inference.epoch == 0 || character.silent {
            return Ok(());
        }
        if dice.percent(character.lies) {
            for _ in 0..dice.within(1, 6) {
                let numbers: Vec<u32> = self.judge.model.live.keys().copied().collect();
                let newest = self.judge.model.last_number;
                let (number, say) = acts::lie(&numbers, newest, dice);
                let mut frame = Frame::new();
                say.write(number, &mut frame);
                if dice.percent(3) {
                    frame.begin(dice.any() as u16, number);
                    frame.finish(dice.below(300) as usize);
                }
                let sent = self.world.inference.send(&frame);
                self.note(|| format!(" inference lies {number}: {say:?}: {sent}"));
            }
            return self.signal(dice);
        }
        let reads = match dice.percent(character.lazy) {
            true => 0,
            false => dice.below(4),
        };
        self.inference_works(reads, dice.clone().below(4), dice);
        self.signal(dice)
    }

    /// Sends what is unsent; then reads so many commands, and takes so many steps.
    fn inference_works(&mut self, reads: u64, steps: u64, dice: &mut Dice) {
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
                self.server.reads(message.request, &command, dice);
            }
            self.inference_sends(&mut frame);
        }
        for _ in 0..steps {
            if !self.server.unsent.is_empty() {
                break;
            }
            self.server.steps(self.character.ends, dice);
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
            self.note(|| format!(" inference says {number}: {say:?}"));
        }
    }

    // ---- The end ------------------------------------------------------------------------------

    /// Everybody behaves, inference perhaps after a silence; the clock goes on.
    fn settle(&mut self, dice: &mut Dice) -> Held {
        let silent_rounds = if dice.percent(10) { 200 } else { 0 };
        if !self.is_right {
            self.set_client_right();
            // Its messages of before are read as they are.
            self.wake(Cause::Signal)?;
        }
        if !self.character.is_honest() && self.world.inference.epoch != 0 {
            self.world.inference.set_right();
            self.world.inference.wrote = true;
        }
        self.character.signals = 100;
        self.world.runtime.refuses = 0;
        for round in 0..4_000u64 {
            self.client_reads(SLOTS as u64)?;
            self.wake(Cause::Signal)?;
            let endless = self.judge.model.lists.iter().find(|list| match &list.kind {
                ListKind::Watch(_) => true,
                ListKind::Log { query, .. } => query.follow,
                _ => false,
            });
            if let Some(list) = endless {
                let id = list.id;
                self.client_asks(id, false, &Request::Cancel, dice)?;
            }
            if self.world.inference_runs && round >= silent_rounds {
                if self.world.inference.follow() {
                    self.server.begins();
                }
                if self.world.inference.epoch != 0 {
                    self.inference_works(16, 4, dice);
                    self.wake(Cause::Signal)?;
                }
            }
            let model = &self.judge.model;
            let busy = !model.live.is_empty()
                || !model.owed.is_empty()
                || !model.lists.is_empty()
                || model.notices.fault.is_some()
                || !model.notices.are_told()
                || self.world.client.unread() > 0
                || (!self.server.unsent.is_empty() && model.phase != Phase::Stopped);
            if !busy && self.world.client.waiting() == 0 {
                break;
            }
            let alarm = self.world.next_alarm();
            if round % 2 == 1 {
                self.lets_by(alarm)?;
                self.wake(alarm.1)?;
            }
        }
        self.judge.settled()
    }
}

/// A peer writes what it likes into its region.
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
            // Messages for the lives to come.
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
