//! A hostile files domain, to fuzz audit's end of the link to it. The input decides what it says, in which order, and
//! what it does to its region. An honest files domain gets the run as far as a load or a log; clients, inference and
//! power failures take part as well.
//!
//! The invariants are the claims of the monitor fuzz for runs with a disk ([`monitor_fuzz::disk`]): nothing panics,
//! inference is told of no unverified byte, the model in service stays, the work of a wake-up is bounded, and each
//! request ends once.

mod ground;
mod inputs;

pub use inputs::{by_dice, seeds};

use ground::{GROUND, Input, policy};
use monitor_fuzz::acts::{ADAPTERS, Say, Server};
use monitor_fuzz::claims::Broken;
use monitor_fuzz::dice::Dice;
use monitor_fuzz::disk::card::Card;
use monitor_fuzz::disk::judge::Judge;
use monitor_fuzz::disk::models;
use monitor_fuzz::disk::world::{Buffers, World};
use monitor_fuzz::world::{Cause, REGION_WORDS};
use protocol::limits::WATCHDOG_PERIOD_US;
use protocol::name::ModelName;
use protocol::region::WriteWords as _;
use protocol::ring::{Frame, PAYLOAD_WORDS};
use protocol::wire::client::{LogQuery, Request};
use protocol::wire::engine::Command;
use protocol::wire::files::{Answer, Ask};
use protocol::wire::{InferParams, PartKind, Parts};
use zerocopy::IntoBytes as _;

/// Limit of acts in an input.
const MOST_ACTS: usize = 400;

/// Limit of boots in an input.
const MOST_BOOTS: usize = 3;

/// Limit of questions answered honestly in one act: enough to read a log.
const MOST_ANSWERS: usize = 255;

/// Longest advance of the clock in one act, in ticks of the watchdog: longer than audit waits for an answer.
const MOST_TICKS: u8 = 12;

/// Models that a client asks for.
const NAMES: [&str; 6] = [
    "disk/one",
    "disk/two",
    "disk/more/three",
    "disk/foreign",
    "disk/large",
    "default",
];

/// The acts of files and the others, encoded in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Act {
    /// This many questions are answered honestly.
    Answers,
    /// A question is read and answered with a message: its kind, its number relative to the question's, and its bytes.
    Says,
    /// The same, without reading a question.
    Adds,
    /// A question is answered honestly, except for one byte.
    Changes,
    /// A word of the region is overwritten.
    Writes,
    /// A client sends a request.
    Asks,
    /// The clock advances.
    Waits,
    /// A question is read but not answered.
    Forgets,
    /// A question is answered as done, but nothing is done.
    Pretends,
    /// Audit is woken.
    Wakes,
    /// Inference does what it is asked, and continues.
    Infers,
    /// Clients read.
    Reads,
    /// The power fails and comes back.
    Power,
}

const ACTS: [Act; 13] = [
    Act::Answers,
    Act::Says,
    Act::Adds,
    Act::Changes,
    Act::Writes,
    Act::Asks,
    Act::Waits,
    Act::Forgets,
    Act::Pretends,
    Act::Wakes,
    Act::Infers,
    Act::Reads,
    Act::Power,
];

/// One boot.
struct Boot<'m, 'j> {
    world: World<'m>,
    judge: &'j mut Judge,
    card: Card,
    server: Server,
    life: u64,
    /// The number of the last question.
    number: u32,
    /// The client's latest request.
    id: u32,
    dice: Dice,
    /// What files has said in the current act, as acts of an input.
    said: Vec<u8>,
}

impl Boot<'_, '_> {
    fn wake(&mut self, cause: Cause) {
        let wake = self.world.wake(cause);
        hold(self.judge.wake(&wake, &self.world.slots));
        if self.world.life != self.life {
            self.life = self.world.life;
            self.server = Server::default();
        }
        for client in &mut self.world.clients {
            client.follow();
        }
    }

    /// The next question, if there is one, and an honest files domain's answer.
    fn question(&mut self) -> Option<Vec<Frame>> {
        self.world.files.follow();
        let message = self.world.files.receive()?;
        self.number = message.request;
        let frame = message.frame();
        let ask = Ask::parse(&frame).expect("audit asks what can be parsed");
        Some(self.card.answer(message.request, &ask))
    }

    fn say(&mut self, frames: &[Frame]) {
        for (place, frame) in frames.iter().enumerate() {
            self.note(frame, place == 0);
            if self.world.files.send(frame) {
                continue;
            }
            // The ring is full: audit reads it.
            self.wake(Cause::Signal);
            self.world.files.send(frame);
        }
        self.wake(Cause::Signal);
    }

    fn note(&mut self, frame: &Frame, is_first: bool) {
        let header = frame.header();
        let act = if is_first { Act::Says } else { Act::Adds };
        let less = header.request.wrapping_sub(self.number) as u8;
        self.said.push(act as u8);
        self.said.extend(header.kind.to_be_bytes());
        self.said.push(less);
        let bytes = frame.payload().len() as u16;
        self.said.extend(bytes.to_be_bytes());
        self.said.extend(frame.payload());
    }

    fn acts(&mut self, act: Act, input: &mut Input<'_>) {
        match act {
            Act::Answers => {
                for _ in 0..=usize::from(input.byte()).min(MOST_ANSWERS) {
                    let Some(frames) = self.question() else {
                        break;
                    };
                    self.say(&frames);
                }
            }
            Act::Says | Act::Adds => {
                let kind = input.number(2) as u16;
                let less = i32::from(input.byte() as i8);
                let most = PAYLOAD_WORDS * 8;
                let length = (input.number(2) as usize).min(most);
                let bytes = input.bytes(length);
                if act == Act::Says {
                    drop(self.question());
                }
                let mut frame = Frame::new();
                let number = self.number.wrapping_add_signed(less);
                frame.begin(kind, number)[..bytes.len()].copy_from_slice(&bytes);
                frame.finish(bytes.len());
                self.say(&[frame]);
            }
            Act::Changes => {
                let (at, change) = (input.number(2) as usize, input.byte());
                let Some(mut frames) = self.question() else {
                    return;
                };
                if let Some(frame) = frames.first_mut() {
                    let header = frame.header();
                    let mut bytes = frame.payload().to_vec();
                    match bytes.get_mut(at) {
                        Some(byte) => *byte ^= change,
                        None => bytes.truncate(bytes.len() / 2),
                    }
                    frame.begin(header.kind, header.request)[..bytes.len()].copy_from_slice(&bytes);
                    frame.finish(bytes.len());
                }
                self.say(&frames);
            }
            Act::Writes => {
                let word = input.number(2) as usize % REGION_WORDS;
                self.world.files.ours.store(word, input.number(8));
                self.wake(Cause::Signal);
            }
            Act::Asks => self.asks(input.byte()),
            Act::Waits => {
                for _ in 0..=input.byte() % MOST_TICKS {
                    self.world.runtime.now += WATCHDOG_PERIOD_US;
                    self.wake(Cause::Tick);
                }
            }
            Act::Forgets => drop(self.question()),
            Act::Pretends => {
                if self.question().is_some() {
                    let mut frame = Frame::new();
                    Answer::Done.write(self.number, &mut frame);
                    self.say(&[frame]);
                }
            }
            Act::Wakes => self.wake(Cause::Signal),
            Act::Infers => {
                self.infers();
                self.wake(Cause::Signal);
            }
            Act::Reads => {
                self.reads();
                self.wake(Cause::Signal);
            }
            Act::Power => {}
        }
    }

    fn asks(&mut self, what: u8) {
        let said = format!("0/{}: Once upon a time", self.id + 1).into_bytes();
        let header = [PartKind::Text as u32, said.len() as u32].map(u32::to_le_bytes);
        let prompt = [header.concat(), said].concat();
        let prompt = Parts::parse(&prompt).expect("a part");
        let request = match what % 10 {
            0 => {
                let id = self.id;
                return self.asks_for(id, &Request::Cancel);
            }
            1 => Request::Models,
            2 => Request::Log(LogQuery {
                last: u64::from(what),
                ..LogQuery::default()
            }),
            3 => Request::Infer {
                params: InferParams {
                    max_tokens: 4,
                    ..InferParams::default()
                },
                session: protocol::name::SessionName::EMPTY,
                adapter: ModelName::EMPTY,
                format: protocol::name::FormatName::EMPTY,
                parts: prompt,
            },
            other => {
                let name = NAMES[usize::from(other - 4)];
                Request::Load {
                    name: ModelName::new(name).unwrap_or_default(),
                }
            }
        };
        self.id += 1;
        let id = self.id;
        self.asks_for(id, &request);
    }

    fn asks_for(&mut self, id: u32, request: &Request<'_>) {
        let mut frame = Frame::new();
        request.write(id, &mut frame);
        if self.world.clients[0].send(&frame) {
            match request {
                Request::Cancel => self.judge.ends.cancelled(0, id),
                _ => self.judge.ends.asked(0, id, request, false),
            }
        }
        self.wake(Cause::Signal);
    }

    fn reads(&mut self) -> bool {
        let client = &mut self.world.clients[0];
        let mut read = false;
        while client.receive().is_some() {
            read = true;
        }
        read
    }

    fn infers(&mut self) -> bool {
        if !self.world.inference_runs {
            return false;
        }
        let mut worked = self.world.inference.follow();
        if worked {
            self.server.begins();
        }
        if self.world.inference.epoch == 0 {
            return worked;
        }
        worked |= self.sends();
        while self.server.unsent.is_empty()
            && let Some(message) = self.world.inference.receive()
        {
            worked = true;
            let frame = message.frame();
            if let Ok(command) = Command::parse(&frame) {
                self.server
                    .reads(message.request, &command, &ADAPTERS, &mut self.dice);
            }
            self.sends();
        }
        if self.server.unsent.is_empty() {
            self.server.steps(20, 0, &mut self.dice);
        }
        worked | self.sends()
    }

    fn sends(&mut self) -> bool {
        let mut frame = Frame::new();
        let mut sent = false;
        while let Some((number, say)) = self.server.unsent.front().copied() {
            Say::write(say, number, &mut frame);
            if !self.world.inference.send(&frame) {
                break;
            }
            sent = true;
            self.server.unsent.pop_front();
        }
        sent
    }

    /// Repairs files' ring, and lets files answer honestly. Then everything must end.
    fn settles(&mut self) {
        self.world.files.set_right();
        let mut quiet = 0;
        for _ in 0..5_000 {
            let mut acted = self.reads() | self.infers();
            while let Some(frames) = self.question() {
                acted = true;
                self.say(&frames);
            }
            match acted {
                true => quiet = 0,
                false => {
                    quiet += 1;
                    self.world.runtime.now += WATCHDOG_PERIOD_US;
                }
            }
            self.wake(if acted { Cause::Signal } else { Cause::Tick });
            // Longer than audit waits for files, and than a request may take.
            if quiet > 40 {
                self.judge.figures.comparisons += hold(self.judge.ends.all_over());
                return;
            }
        }
        panic!("it is not over after 5000 wake-ups");
    }
}

/// Panics for a claim that does not hold.
fn hold<T>(result: Result<T, Broken>) -> T {
    result.unwrap_or_else(|broken| panic!("{broken}"))
}

/// Runs an input; its first byte selects the policy.
pub fn files(input: &[u8]) {
    let _ = played(input);
}

/// Like [`files`]; returns what files has said, as an input that says the same, and how many models of the disk
/// inference was told of.
#[must_use]
pub fn played(input: &[u8]) -> (Vec<u8>, u64) {
    let ground = &*GROUND;
    let store = ground.store();
    let mut input = Input(input);
    let options = input.byte();
    let policy = policy(options);
    let (files, signed) = models();
    let mut judge = Judge::new(&policy, store.bytes.len() as u64, signed);
    let mut card = Card::new(files);
    let mut tape = vec![options];
    let mut left = MOST_ACTS;
    for boot in 1..=MOST_BOOTS {
        judge.boots(&card.entries(), false);
        let mut buffers = Buffers::new(64 << 10);
        let world = World::new(
            &mut buffers,
            (policy.as_bytes(), &[]),
            &store.bytes,
            1,
            (Dice::new(1, 1), 0),
        );
        let mut boot_at_hand = Boot {
            world,
            judge: &mut judge,
            card,
            server: Server::default(),
            life: 0,
            number: 0,
            id: 0,
            dice: Dice::new(2, 2),
            said: Vec::new(),
        };
        boot_at_hand.wake(Cause::Start);
        let mut is_off = false;
        while left > 0 && !input.0.is_empty() && !is_off {
            left -= 1;
            let before = input.0;
            let act = ACTS[usize::from(input.byte()) % ACTS.len()];
            is_off = act == Act::Power;
            let was_open = boot_at_hand.judge.is_open();
            boot_at_hand.acts(act, &mut input);
            let said = std::mem::take(&mut boot_at_hand.said);
            match act {
                Act::Answers if was_open => tape.extend(said),
                _ => tape.extend(&before[..before.len() - input.0.len()]),
            }
        }
        let is_last = !is_off || boot == MOST_BOOTS;
        if is_last {
            boot_at_hand.settles();
        }
        card = boot_at_hand.card.clone();
        drop(boot_at_hand);
        if is_last {
            break;
        }
        card = card.after_power_cut(&mut Dice::new(3, boot as u64));
    }
    (tape, judge.figures.disk_loads)
}
