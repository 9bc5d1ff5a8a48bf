//! A run: several boots of one system with the same card, step by step.

mod clients;

use super::card::Card;
use super::domain::{Domain, Nature};
use super::judge::Judge;
use super::models;
use super::world::{Buffers, World};
use crate::acts::{self, ADAPTERS, Habits, Say, Server, piece};
use crate::claims::{Broken, Claim, Figures};
use crate::dice::Dice;
use crate::store::Fixtures;
use crate::world::Cause;
use crate::{Found, Plan};
use protocol::policy::{Client, FormatRule, LogFailure, LogWrite, Permission, Policy};
use protocol::ring::{Frame, SLOTS};
use protocol::wire::engine::Command;
use sha2::{Digest as _, Sha256};
use zerocopy::IntoBytes as _;

type Held<T = ()> = Result<T, Broken>;

/// Number of clients; they are on channels 0 and 1.
const CLIENTS: u8 = 2;

/// Period of the budgets, in microseconds: longer than any run.
const PERIOD_US: u64 = *protocol::limits::BUDGET_PERIOD_US.end();

/// Steps at the start in which only files and the clock act, so that most boots find the log.
const QUIET: u64 = 160;

/// Limit of boots in a run.
const MOST_BOOTS: u64 = 4;

/// How many of the requested models are signed by a trusted key; they come first.
const SIGNED: usize = 4;
const NAMES: [&str; 9] = [
    "disk/one",
    "disk/two",
    "disk/more/three",
    "one",
    "disk/foreign",
    "disk/unsigned",
    "disk/large",
    "disk/nothing",
    "default",
];

/// A client.
#[derive(Debug)]
struct Person {
    habits: Habits,
    next_id: u32,
    open: Vec<u32>,
}

struct Run<'m, 'j> {
    world: World<'m>,
    judge: &'j mut Judge,
    domain: Domain,
    /// The nature of files after the log was found.
    nature: Nature,
    people: Vec<Person>,
    server: Server,
    life: u64,
    /// How often something wakes audit, in percent.
    signals: u64,
    longest_us: u64,
    step: u64,
    trace: Option<Vec<String>>,
}

fn policy(fixtures: &Fixtures, dice: &mut Dice) -> Policy {
    let mut policy = fixtures.policy(dice);
    policy.log_write = *dice.pick(&[LogWrite::Ahead, LogWrite::Ahead, LogWrite::Behind]) as u32;
    policy.log_on_failure = *dice.pick(&[LogFailure::Refuse, LogFailure::GoOn]) as u32;
    // Prompts are logged, because they identify the client and the request.
    policy.keep_prompts = 1;
    if policy.format_count > 0 {
        policy.formats_sha256 = Sha256::digest(&fixtures.formats).into();
    }
    policy.clients = zerocopy::FromZeros::new_zeroed();
    for (place, client) in (0..CLIENTS).zip(policy.clients.iter_mut()) {
        *client = Client {
            name: protocol::name::UserName::new(&format!("client{place}")).unwrap_or_default(),
            channel: u32::from(place),
            user: 2 * u32::from(place),
            login: 0,
            requests: 4,
            sessions: 8,
            commands: 6,
            formats: FormatRule::ANY,
        };
    }
    policy.client_count = u32::from(CLIENTS);
    for role in policy.roles.iter_mut().take(3) {
        role.permissions = Permission::EVERY;
        role.log_bytes_per_hour = 1 << 30;
        role.formats = FormatRule::ANY;
    }
    let users = policy.user_count as usize;
    for user in policy.users.iter_mut().take(users) {
        user.budget_period_us = PERIOD_US;
        user.budget_tokens = user.budget_tokens.max(2_000);
    }
    policy
}

/// Does a run.
///
/// # Errors
/// A claim did not hold.
pub fn run(fixtures: &Fixtures, plan: &Plan) -> (Figures, Result<(), Found>) {
    let mut dice = Dice::new(plan.seed, u64::MAX);
    let store = fixtures.store(&mut dice);
    let policy = policy(fixtures, &mut dice);
    let (files, signed) = models();
    let mut judge = Judge::new(&policy, store.bytes.len() as u64, signed);
    judge.figures.runs = 1;
    let boots = dice.within(1, MOST_BOOTS);
    let mut card = Card::new(files);
    let (mut step, mut trace) = (0, plan.trace.then(Vec::new));
    let mut result = Ok(());
    for boot in 1..=boots {
        let mut buffers = Buffers::new(dice.within(64 << 10, 200 << 10) as usize);
        let nature = Nature::any(&mut dice);
        let work = Dice::new(plan.seed, u64::MAX - 1 - boot);
        let world = World::new(
            &mut buffers,
            (policy.as_bytes(), &fixtures.formats),
            &store.bytes,
            CLIENTS,
            (work, *dice.pick(&[0, 3, 200, 1_500])),
        );
        let person = |_| Person {
            habits: Habits {
                garbage: 0,
                reuse: 0,
                ..Habits::new(&mut dice, plan.steps)
            },
            next_id: 1,
            open: Vec::new(),
        };
        let people = (0..CLIENTS).map(person).collect();
        let mut run = Run {
            world,
            judge: &mut judge,
            domain: Domain::new(card, Nature::Honest),
            nature,
            people,
            server: Server::default(),
            life: 0,
            signals: *dice.pick(&[100, 100, 70]),
            longest_us: *dice.pick(&[3_000, 100_000, 1_500_000, 4_000_000]),
            step,
            trace: trace.take(),
        };
        run.note(|| format!("boot {boot} of {boots}, {nature:?}, {policy:?}"));
        result = run.boots_and_goes(plan, plan.steps * boot / boots, boot == boots);
        step = run.step;
        trace = run.trace.take();
        let nature = run.nature;
        card = run.domain.card.clone();
        drop(run);
        if result.is_err() {
            break;
        }
        card = card.after_power_cut(&mut dice);
        if nature.keeps_its_word() {
            result = judge.power_goes(&card.entries());
            if result.is_err() {
                break;
            }
        }
    }
    judge.figures.steps = step;
    let trace = trace.unwrap_or_default();
    let found = result.map_err(|broken| Found {
        broken,
        step,
        trace,
    });
    (judge.figures, found)
}

impl Run<'_, '_> {
    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(text());
        }
    }

    /// From power-on to the power failure, before the step with this number.
    fn boots_and_goes(&mut self, plan: &Plan, until: u64, is_last: bool) -> Held {
        let card = self.domain.card.entries();
        let mut dice = Dice::new(plan.seed, u64::MAX - 9);
        // Most behave until the log was found, so that the boot gets that far.
        if dice.percent(15) {
            self.domain.nature = self.nature;
        }
        let is_honest = self.domain.nature.tells_the_truth();
        self.judge.boots(&card, is_honest);
        self.wake(Cause::Start)?;
        for _ in 0..QUIET {
            self.files_act(SLOTS as u64, &mut dice)?;
            if self.judge.is_open() {
                break;
            }
        }
        let is_all = card.first().is_none_or(|first| first.0.sequence == 1);
        if self.judge.is_open() && is_all && is_honest {
            self.judge.usage_goes_on(&card)?;
        }
        self.domain.nature = self.nature;
        for client in &mut self.world.clients {
            client.follow();
        }
        while self.step < until {
            if !plan.without.contains(&self.step) {
                let mut dice = Dice::new(plan.seed, self.step);
                let step = self.step;
                self.note(|| format!("step {step}"));
                self.acts(&mut dice)?;
            }
            self.step += 1;
        }
        if !is_last {
            return Ok(());
        }
        let mut dice = Dice::new(plan.seed, u64::MAX - 2);
        self.note(|| String::from("the end"));
        self.settle(&mut dice)
    }

    fn wake(&mut self, cause: Cause) -> Held {
        let wake = self.world.wake(cause);
        self.note(|| {
            let records = wake.entries.iter();
            let records = records.map(|(r, _)| format!("{:?} {} {}", r.kind(), r.request, r.code));
            let records: Vec<_> = records.collect();
            format!("  {cause:?}: {:?}; {records:?}", wake.seen)
        });
        self.judge.wake(&wake, &self.world.slots)?;
        if self.world.life != self.life {
            self.life = self.world.life;
            self.server = Server::default();
        }
        for client in &mut self.world.clients {
            client.follow();
        }
        Ok(())
    }

    fn signal(&mut self, dice: &mut Dice) -> Held {
        match dice.percent(self.signals) {
            true => self.wake(Cause::Signal),
            false => Ok(()),
        }
    }

    fn acts(&mut self, dice: &mut Dice) -> Held {
        match dice.below(100) {
            0..=29 => {
                let client = dice.below(u64::from(CLIENTS)) as usize;
                self.client_acts(client, dice)?;
                self.signal(dice)
            }
            30..=54 => {
                let (reads, steps) = (dice.below(4), dice.below(4));
                self.inference_works(reads, steps, dice);
                self.signal(dice)
            }
            55..=84 => self.files_act(dice.below(4), dice),
            85..=97 => {
                let us = match dice.below(3) {
                    0 => dice.below(5_000),
                    _ => dice.below(self.longest_us),
                };
                self.pass(us, dice)
            }
            98 if dice.percent(10) => self.wake(Cause::Fault(acts::any_fault(dice))),
            _ => self.wake(*dice.pick(&[Cause::Signal, Cause::Timer])),
        }
    }

    // ---- Peers ----------------------------------------------------------------------------------

    fn inference_works(&mut self, reads: u64, steps: u64, dice: &mut Dice) -> bool {
        if !self.world.inference_runs {
            return false;
        }
        let mut worked = self.world.inference.follow();
        if worked {
            self.server.begins();
        }
        if self.world.inference.epoch == 0 {
            return false;
        }
        worked |= self.inference_sends();
        for _ in 0..reads {
            if !self.server.unsent.is_empty() {
                break;
            }
            let Some(message) = self.world.inference.receive() else {
                break;
            };
            worked = true;
            let received = message.frame();
            if let Ok(command) = Command::parse(&received) {
                self.note(|| format!(" inference reads {}: {command:?}", message.request));
                self.server
                    .reads(message.request, &command, &ADAPTERS, dice);
            }
            self.inference_sends();
        }
        for _ in 0..steps {
            if !self.server.unsent.is_empty() {
                break;
            }
            self.server.steps(10, 0, dice);
            worked |= self.inference_sends();
        }
        worked
    }

    fn inference_sends(&mut self) -> bool {
        let mut frame = Frame::new();
        let mut sent = false;
        while let Some((number, say)) = self.server.unsent.front().copied() {
            say.write(number, &mut frame);
            if !self.world.inference.send(&frame) {
                break;
            }
            sent = true;
            self.server.unsent.pop_front();
            if let Some(whose) = self.server.tag(number) {
                match say {
                    Say::Token(id, len) => {
                        self.judge.figures.tokens += 1;
                        self.judge.ends.said(whose, &piece(id, len)[..len]);
                    }
                    Say::Short(_, text) => self.judge.ends.said(whose, text.as_bytes()),
                    _ => {}
                }
            }
            self.note(|| format!(" inference says {number}: {say:?}"));
        }
        sent
    }

    /// Files reads this many questions, and audit wakes up.
    fn files_act(&mut self, most: u64, dice: &mut Dice) -> Held {
        let now = self.world.runtime.now;
        if self.domain.acts(&mut self.world.files, most, now, dice) {
            self.note(|| String::from(" files acts"));
            return self.signal(dice);
        }
        Ok(())
    }

    // ---- The clock ------------------------------------------------------------------------------

    fn pass(&mut self, us: u64, dice: &mut Dice) -> Held {
        self.note(|| format!(" {us} us pass"));
        let until = self.world.runtime.now + us;
        for _ in 0..200 {
            let alarm = self.world.next_alarm();
            let due = self
                .domain
                .due_us()
                .filter(|due| *due > self.world.runtime.now);
            if let Some(due) = due.filter(|due| *due <= alarm.0.min(until)) {
                self.world.runtime.now = due;
                self.files_act(0, dice)?;
                continue;
            }
            if alarm.0 > until {
                break;
            }
            self.world.pass_alarm(alarm);
            self.wake(alarm.1)?;
        }
        self.world.runtime.now = self.world.runtime.now.max(until);
        Ok(())
    }

    // ---- The end --------------------------------------------------------------------------------

    /// Everybody behaves, until nobody has anything left to do and audit waits for nobody.
    fn settle(&mut self, dice: &mut Dice) -> Held {
        self.domain.set_right(&mut self.world.files);
        let mut quiet = 0;
        for _ in 0..20_000 {
            let mut acted = false;
            for client in 0..self.people.len() {
                acted |= self.client_reads(client, SLOTS as u64);
                acted |= self.client_ends_what_is_endless(client);
            }
            acted |= self.inference_works(SLOTS as u64, 4, dice);
            let now = self.world.runtime.now;
            let peer = &mut self.world.files;
            acted |= self.domain.acts(peer, SLOTS as u64, now, dice);
            if acted {
                quiet = 0;
                self.wake(Cause::Signal)?;
                continue;
            }
            let alarm = self.world.next_alarm();
            self.world.pass_alarm(alarm);
            self.wake(alarm.1)?;
            quiet += u32::from(alarm.1 == Cause::Tick);
            // Longer than audit waits for files.
            if quiet > 100 {
                self.judge.figures.comparisons += self.judge.ends.all_over()?;
                return Ok(());
            }
        }
        Err(Broken {
            claim: Claim::Settles,
            detail: String::from("it is not over after 20000 wake-ups"),
        })
    }
}
