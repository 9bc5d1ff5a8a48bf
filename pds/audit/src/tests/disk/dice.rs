//! A files domain that behaves at random while users ask for models, adapters and data, for thousands of steps. After
//! each step, a check of what must hold whatever files does:
//!
//! - Nothing panics, and audit asks at most one question in a wake-up and reads at most a ring of answers.
//! - A slot contains only bytes of signed models, and the slot in service does not change.
//! - Inference is told of a model, an adapter or data only when all of it is in place and signed.
//! - Each request ends once: with the result, or with one error.

use super::super::adapters::adapter_loaded;
use super::super::tuning::tune;
use super::*;
use crate::tests::disk::world::SLOT;
use crate::tests::disk::world::model_bytes;
use protocol::region::WriteWords as _;
use protocol::ring::SLOTS;
use protocol::wire::engine::{Report, Source};
use std::collections::BTreeSet;

/// The generator SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, sides: u64) -> u64 {
        self.next() % sides
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

struct Game {
    world: World,
    dice: Dice,
    /// How honest files is: a larger value makes it behave more often, so it is not given up so soon.
    sides: u64,
    /// Files that may be in a slot.
    signed: Vec<Vec<u8>>,
    /// Files of which inference may be told in the region of adapters.
    signed_beside: Vec<Vec<u8>>,
    /// The content of the slots at the last check.
    slots: [Vec<u8>; 2],
    /// The slot in service, if one is.
    in_service: Option<usize>,
    /// The slot that inference is loading from, if it is one.
    loading: Option<usize>,
    /// Requests without an end.
    open: BTreeSet<u32>,
    ended: u32,
    loaded: u32,
    /// Adapters loaded, and trainings begun.
    beside: u32,
    next: u32,
    /// The question that files saw last.
    number: u32,
}

impl Game {
    fn new(seed: u64) -> Self {
        let mut world = World::new();
        world.settle();
        world.put("adapters/sad.gguf", &model_bytes("sad", 9_001), Some(2));
        world.put(
            "adapters/foreign.gguf",
            &model_bytes("foreign", 99),
            Some(3),
        );
        world.put("data/tales.txt", b"once\nupon\na time\n", Some(2));
        world.put("data/foreign.jsonl", b"{}", Some(3));
        let signed = ["one.gguf", "more/two.gguf"].map(|name| world.disk[name].clone());
        let beside = ["adapters/moral.gguf", "adapters/sad.gguf", "data/tales.txt"];
        let beside = beside.map(|name| world.disk[name].clone());
        let slots = [world.slot(0), world.slot(1)];
        Self {
            world,
            dice: Dice(seed),
            sides: [16, 150][(seed % 2) as usize],
            signed: signed.to_vec(),
            signed_beside: beside.to_vec(),
            slots,
            in_service: None,
            loading: None,
            open: BTreeSet::new(),
            ended: 0,
            loaded: 0,
            beside: 0,
            next: 100,
            number: 0,
        }
    }

    /// A user sends a request, unless too many are in flight.
    fn user(&mut self) {
        if self.open.len() > 2 {
            return;
        }
        let id = self.next;
        self.next += 1;
        let names = [
            "disk/one",
            "disk/more/two",
            "one",
            "default",
            "disk/foreign",
            "disk/unsigned",
            "disk/nothing",
        ];
        let beside = ["disk/moral", "disk/sad", "disk/foreign", "disk/nothing"];
        let data = ["disk/tales", "disk/foreign", "disk/nothing"];
        let request = match self.dice.below(8) {
            0 => Request::Models,
            1 => Request::Adapters,
            2 | 3 => Request::LoadAdapter {
                name: model(self.dice.one_of(&beside)),
            },
            4 => tune(self.dice.one_of(&data), "made"),
            _ => Request::Load {
                name: model(self.dice.one_of(&names)),
            },
        };
        self.open.insert(id);
        self.world.system.ask(id, &request);
        self.look_around();
        if self.open.contains(&id) && self.dice.below(12) == 0 {
            self.world.system.ask(id, &Request::Cancel);
        }
    }

    /// Files does something at random.
    fn files(&mut self) {
        let side = self.dice.below(self.sides);
        match side.saturating_sub(self.sides - 16) {
            // Honest, so that loads succeed now and then.
            0..9 => {
                self.world.misdeed = Misdeed::None;
                self.world.look();
            }
            9 => {
                let misdeeds = [
                    Misdeed::OtherBytes(7),
                    Misdeed::OtherBytes(19_999),
                    Misdeed::Shrinks,
                    Misdeed::Endless,
                    Misdeed::Breaks(8192),
                    Misdeed::Nonsense,
                    Misdeed::NoDisk,
                ];
                self.world.misdeed = self.dice.one_of(&misdeeds);
                self.world.look();
            }
            10 | 11 => self.answers(),
            12 => {
                // Any kind, any number, any bytes.
                let mut frame = Frame::<{ protocol::ring::PAYLOAD_WORDS }>::new();
                let kind = 0x4f0 + self.dice.below(0x30) as u16;
                let bytes = self.dice.below(600) as usize;
                let number = self.some_number();
                let fill = self.dice.next() as u8;
                frame.begin(kind, number)[..bytes].fill(fill);
                frame.finish(bytes);
                let _ = self.world.files.send(&frame);
                self.world.system.wake();
            }
            13 => {
                // Garbage in its region: indices, headers, payloads. This includes torn messages.
                for _ in 0..=self.dice.below(3) {
                    let word = match self.dice.below(3) {
                        0 => self.dice.below(8),
                        _ => self.dice.below(4000),
                    };
                    let value = match self.dice.below(3) {
                        0 => self.dice.next(),
                        1 => u64::MAX,
                        _ => (1 << 32) | self.dice.below(64),
                    };
                    self.world.region.store(word as usize, value);
                }
                self.world.system.wake();
            }
            // It reads without answering.
            14 => {
                let _ = self.world.files.receive(&mut Frame::new());
            }
            _ => self.world.system.wake(),
        }
    }

    fn some_number(&mut self) -> u32 {
        match self.dice.below(4) {
            0 => self.dice.next() as u32,
            _ => self.number,
        }
    }

    /// Some answer, to the question or not.
    fn answers(&mut self) {
        let mut frame = Frame::new();
        if self.world.files.receive(&mut frame) == Ok(true) {
            self.number = frame.header().request;
        }
        let number = self.some_number();
        let value = self
            .dice
            .one_of(&[0, 1, 63, 64, 8192, SLOT as u64, SLOT as u64 + 1, u64::MAX]);
        let data = vec![self.dice.next() as u8; self.dice.below(8193) as usize];
        let why = self.dice.one_of(FilesError::ALL);
        let answer = match self.dice.below(9) {
            0 => Answer::Done,
            1 => Answer::Mounted(Volume::default()),
            2 => Answer::File {
                bytes: value,
                path: b"one.gguf",
            },
            3 => Answer::Listed {
                count: value as u32,
                skipped: value as u32,
            },
            4 => Answer::Opened { bytes: value },
            5 => Answer::Part {
                offset: value,
                bytes: &data,
            },
            6 => Answer::LogOpened {
                sectors: value as u32,
            },
            7 => Answer::LogSectors {
                slot: value as u32,
                data: &data,
            },
            _ => Answer::Failed { why, value },
        };
        for _ in 0..self.dice.below(20) {
            let mut frame = Frame::new();
            answer.write(number, &mut frame);
            if self.world.files.send(&frame).is_err() {
                break;
            }
        }
        self.world.system.wake();
    }

    /// Handles what inference and the shell are told. Inference loads what it is asked to.
    fn look_around(&mut self) {
        for asked in self.world.system.asked() {
            let (number, offset, bytes) = match asked {
                Asked::Load(number, offset, bytes) => (number, offset, bytes),
                Asked::Adapter {
                    number,
                    source: Source::Device,
                    offset,
                    bytes,
                    ..
                } => {
                    self.is_signed_beside(offset, bytes);
                    let loaded = Report::AdapterLoaded(adapter_loaded());
                    self.world.system.say(number, &loaded);
                    continue;
                }
                Asked::Train(train) => {
                    self.is_signed_beside(train.offset, train.bytes);
                    let failure = Failure::of(ErrorCode::BadData);
                    self.world.system.fails(train.number, failure);
                    continue;
                }
                asked => panic!("inference is asked {asked:?}"),
            };
            let behind = offset.checked_sub(self.world.store_bytes);
            let slot = behind.map(|behind| (behind / SLOT as u64) as usize);
            if let Some(slot) = slot {
                let shown = &self.world.slot(slot)[..bytes as usize];
                assert!(self.signed.iter().any(|file| file == shown), "not verified");
                assert_ne!(Some(slot), self.in_service, "over the model in service");
            }
            self.loading = slot;
            self.world.system.loaded(number);
        }
        for told in self.world.system.told_at_last() {
            let id = match told {
                Told::Loaded(id, _) => {
                    self.in_service = self.loading;
                    self.loaded += 1;
                    id
                }
                Told::Listed(id, _) | Told::Failed(id, _) | Told::AdapterLoaded(id, ..) => id,
                Told::Model(..) | Told::Adapter(..) | Told::Progress(..) => continue,
                other => panic!("the shell is told {other:?}"),
            };
            assert!(self.open.remove(&id), "request {id} ends again");
            self.ended += 1;
        }
    }

    /// Checks that what inference was told of in the region of adapters is complete and signed.
    fn is_signed_beside(&mut self, offset: u64, bytes: u64) {
        let is = |file: &&Vec<u8>| file.len() as u64 == bytes;
        let file = self.signed_beside.iter().find(is).expect("a signed file");
        assert!(self.world.lies(offset, file), "not verified");
        self.beside += 1;
    }

    /// Checks what must hold after each step.
    fn holds(&mut self) {
        for slot in 0..2 {
            let now = self.world.slot(slot);
            if now == self.slots[slot] {
                continue;
            }
            assert_ne!(
                Some(slot),
                self.in_service,
                "the model in service has changed"
            );
            // A signed model, as far as it was copied, and behind it the old content.
            let before = &self.slots[slot];
            let is_copied = self.signed.iter().any(|file| {
                let same = now.iter().zip(file).take_while(|(now, file)| now == file);
                let copied = same.count();
                // The last word is filled up with what the staging copy has there.
                let end = copied.next_multiple_of(8);
                now[end..] == before[end..]
            });
            assert!(is_copied, "slot {slot} has what is in no signed model");
            self.slots[slot] = now;
        }
        assert!(self.world.files.free() <= SLOTS);
    }

    fn play(&mut self, steps: usize) {
        for _ in 0..steps {
            match self.dice.below(10) {
                0 | 1 => self.user(),
                2 => {
                    let us = self.dice.below(3 * SECOND);
                    self.world.system.watch(us);
                }
                _ => self.files(),
            }
            self.look_around();
            self.holds();
        }
        // At the end each request has ended, within the time limit for an answer.
        self.world.misdeed = Misdeed::Silence;
        for _ in 0..8 {
            self.world.system.watch(ANSWER_US);
            self.look_around();
            self.holds();
        }
        assert!(self.open.is_empty(), "{:?} never ended", self.open);
    }
}

#[test]
fn whatever_a_files_by_dice_does_audit_goes_on() {
    let (mut ended, mut loaded, mut beside) = (0, 0, 0);
    for seed in 0..20 {
        let mut game = Game::new(seed);
        game.play(300);
        ended += game.ended;
        loaded += game.loaded;
        beside += game.beside;
        // The model in service keeps working, whatever happened to the disk.
        game.world.system.watch(600 * SECOND);
        game.world.system.told_at_last();
        game.world.system.infer(9, 5);
        game.world.system.admitted();
    }
    // Some requests have succeeded, too.
    assert!(
        ended > 130 && loaded > 15 && beside > 15,
        "{ended} ended, {loaded} models, {beside} others"
    );
}
