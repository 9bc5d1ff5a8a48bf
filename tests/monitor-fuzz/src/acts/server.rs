//! An inference server that follows the protocol, as far as can be seen from outside, and lies for one that does not.

mod say;

pub use say::{Say, Short, file, model_info, piece};

use super::any_short;
use super::asks::tag;
use crate::dice::Dice;
use crate::formats::{Answer, FORMATS};
use protocol::error::ErrorCode;
use protocol::limits::{MAX_PART_BYTES, MAX_PIECE_BYTES};
use protocol::name::FormatName;
use protocol::wire::engine::{Command, Trained};
use protocol::wire::{FinishReason, TrainProgress};
use std::collections::{BTreeMap, VecDeque};

/// A request that inference is working on.
#[derive(Clone, Debug)]
struct Task {
    number: u32,
    session: u32,
    prompt: u32,
    most: u32,
    credit: u32,
    said: u32,
    /// The format of its answer, and the rest of the word that it will be; with stop strings, everything said so far.
    answer: Answer,
    text: Vec<u8>,
}

/// The training in progress.
#[derive(Clone, Debug)]
struct Training {
    number: u32,
    seed: u64,
    progress: TrainProgress,
    /// Size of its file.
    bytes: u64,
    /// Bytes of the file sent so far.
    sent: u64,
}

/// The state of an inference server that follows the protocol, as far as can be seen from outside.
#[derive(Debug, Default)]
pub struct Server {
    tasks: Vec<Task>,
    /// Reports that have found no room yet.
    pub unsent: VecDeque<(u32, Say)>,
    /// Slots of kept sessions.
    kept: Vec<u32>,
    /// Places of loaded adapters.
    adapters: Vec<u32>,
    training: Option<Training>,
    /// Client and number of each request whose prompt gives them, by audit's number.
    tags: BTreeMap<u32, (usize, u32)>,
}

impl Server {
    /// Joins a new epoch.
    pub fn begins(&mut self) {
        *self = Self::default();
        self.unsent.push_back((0, Say::Ready));
    }

    /// The client and the number of a request, if its prompt gives them.
    #[must_use]
    pub fn tag(&self, number: u32) -> Option<(usize, u32)> {
        self.tags.get(&number).copied()
    }

    /// Handles a command. `adapters`: see [`Character`](super::Character).
    pub fn reads(&mut self, number: u32, command: &Command<'_>, adapters: &[u64], dice: &mut Dice) {
        match *command {
            Command::Credit { tokens } => {
                let mut tasks = self.tasks.iter_mut();
                if let Some(task) = tasks.find(|task| task.number == number) {
                    task.credit = task.credit.max(tokens);
                }
            }
            Command::Infer {
                params,
                session,
                fresh,
                parts,
                credit,
                adapter,
                format,
                ..
            } => {
                let refuses = |code| (number, Say::Failed(code, 0));
                if self.training.as_ref().is_some_and(|it| it.progress.alone) {
                    return self.unsent.push_back(refuses(ErrorCode::Training));
                }
                if adapter > 0 && !self.adapters.contains(&(adapter - 1)) {
                    return self.unsent.push_back(refuses(ErrorCode::NoSuchAdapter));
                }
                if dice.percent(5) {
                    self.evicts();
                }
                if dice.percent(5) {
                    let code = *dice.pick(&[
                        ErrorCode::PromptTokens,
                        ErrorCode::UnsupportedModel,
                        ErrorCode::ContextFull,
                        ErrorCode::NoModel,
                        ErrorCode::FormatTooLong,
                        ErrorCode::SegmentText,
                    ]);
                    return self.unsent.push_back((number, Say::Failed(code, 0)));
                }
                if !fresh && !self.kept.contains(&session) {
                    let gone = Say::Failed(ErrorCode::SessionEvicted, 0);
                    return self.unsent.push_back((number, gone));
                }
                if !self.kept.contains(&session) {
                    self.kept.push(session);
                }
                let named = (format as usize).checked_sub(1);
                let named = named.and_then(|at| FORMATS.get(at));
                let name = named.and_then(|(name, _)| FormatName::new(name));
                let answer = Answer::of(name.unwrap_or_default(), &parts);
                let text = match &answer {
                    Answer::Words(words) => dice.pick(words).clone(),
                    _ => Vec::new(),
                };
                let tag = tag(&parts);
                self.tags.extend(tag.map(|tag| (number, tag)));
                self.tasks.push(Task {
                    number,
                    session,
                    prompt: parts.extent().most_tokens(&model_info()),
                    answer,
                    text,
                    most: params.max_tokens,
                    credit,
                    said: 0,
                });
            }
            Command::Cancel if self.training.as_ref().is_some_and(|it| it.number == number) => {
                if let Some(training) = self.training.take() {
                    self.unsent.push_back((number, trained(&training, 0)));
                }
            }
            Command::Train {
                params,
                bytes,
                room,
                ..
            } => {
                let alone = dice.percent(25);
                let code = match dice.below(12) {
                    0 => Some(ErrorCode::BadData),
                    1 => Some(ErrorCode::TrainMemory),
                    _ if alone && !self.tasks.is_empty() => Some(ErrorCode::TrainAlone),
                    _ => None,
                };
                if let Some(code) = code {
                    return self.unsent.push_back((number, Say::Failed(code, 30)));
                }
                let progress = TrainProgress {
                    steps: dice.within(1, u64::from(params.epochs)) as u32,
                    longest: bytes.min(99) as u32,
                    alone,
                    ..TrainProgress::default()
                };
                let most = *dice.pick(adapters);
                self.training = Some(Training {
                    number,
                    seed: params.seed,
                    progress,
                    bytes: dice.within(1, most).min(room),
                    sent: 0,
                });
                self.unsent.push_back((number, Say::Training(progress)));
            }
            Command::Adapter { place, .. } => {
                let say = match dice.below(8) {
                    0 => Say::Failed(ErrorCode::BadAdapter, 20),
                    1 => Say::Failed(ErrorCode::AdapterTooLarge, 0),
                    _ => Say::AdapterLoaded,
                };
                if let Say::AdapterLoaded = say {
                    self.adapters.push(place);
                }
                self.unsent.push_back((number, say));
            }
            Command::DropAdapter { place } => self.adapters.retain(|it| *it != place),
            Command::Cancel => match self.tasks.iter().position(|task| task.number == number) {
                Some(at) => self.ends(at, FinishReason::Cancelled, dice),
                None => {
                    let gone = Say::Failed(ErrorCode::NoSuchRequest, 0);
                    self.unsent.push_back((number, gone));
                }
            },
            Command::Load { .. } => {
                let say = match self.tasks.is_empty() {
                    _ if dice.percent(10) => Say::Failed(ErrorCode::BadModel, 20),
                    true => Say::Loaded,
                    false => Say::Failed(ErrorCode::ModelInUse, 0),
                };
                if let Say::Loaded = say {
                    self.adapters.clear();
                    self.kept.clear();
                }
                self.unsent.push_back((number, say));
            }
            Command::Status => self.unsent.push_back((number, Say::Holdings)),
            Command::Drop { session } => self.kept.retain(|kept| *kept != session),
        }
    }

    /// Evicts an idle session to make room.
    fn evicts(&mut self) {
        let busy = |session: u32| self.tasks.iter().any(|task| task.session == session);
        if let Some(at) = self.kept.iter().position(|kept| !busy(*kept)) {
            let session = self.kept.swap_remove(at);
            self.unsent.push_back((0, Say::Evicted(session)));
        }
    }

    fn ends(&mut self, at: usize, reason: FinishReason, dice: &mut Dice) {
        let task = self.tasks.swap_remove(at);
        let prompt = dice.within(0, u64::from(task.prompt)) as u32;
        let end = Say::Finished(reason, prompt, task.said);
        self.unsent.push_back((task.number, end));
    }

    /// Takes a step of one of its requests, unless it has no credit. `ends` and `breaches`: how often it ends one
    /// instead, and how often it breaks the format of a bound one, in percent.
    pub fn steps(&mut self, ends: u64, breaches: u64, dice: &mut Dice) {
        if self.training.is_some() && (self.tasks.is_empty() || dice.percent(40)) {
            return self.trains(dice);
        }
        if self.tasks.is_empty() {
            return;
        }
        let at = dice.below(self.tasks.len() as u64) as usize;
        let Task {
            number,
            said,
            most,
            credit,
            ..
        } = self.tasks[at];
        if self.tasks[at].answer.is_bound() {
            return self.spells(at, breaches, dice);
        }
        if said == most {
            return self.ends(at, FinishReason::MaxTokens, dice);
        }
        if dice.percent(ends) {
            if dice.percent(10) {
                self.tasks.swap_remove(at);
                let failed = Say::Failed(ErrorCode::NonFinite, 0);
                return self.unsent.push_back((number, failed));
            }
            return self.ends(at, FinishReason::EndOfText, dice);
        }
        if said >= credit {
            return;
        }
        if let Answer::Stops(_) = self.tasks[at].answer {
            return self.stops_in_time(at, dice);
        }
        self.tasks[at].said += 1;
        let len = match dice.below(10) {
            0 => MAX_PIECE_BYTES,
            _ => dice.below(12) as usize,
        };
        let id = dice.any() as u32;
        self.unsent.push_back((number, Say::Token(id, len)));
    }

    /// Continues the word that its answer will be, or breaks the format.
    fn spells(&mut self, at: usize, breaches: u64, dice: &mut Dice) {
        let breaks = dice.percent(breaches);
        if breaks && dice.percent(50) {
            return self.ends(at, *dice.pick(FinishReason::ALL), dice);
        }
        let task = &mut self.tasks[at];
        if breaks && task.said < task.credit {
            task.said += 1;
            let say = Say::Short(dice.any() as u32, any_short(dice));
            return self.unsent.push_back((task.number, say));
        }
        if task.text.is_empty() {
            let reason = *dice.pick(&[FinishReason::EndOfText, FinishReason::MaxTokens]);
            return self.ends(at, reason, dice);
        }
        if task.said >= task.credit {
            return;
        }
        task.said += 1;
        let len = match task.said == task.most {
            true => task.text.len(),
            false => task.text.len().min(dice.below(4) as usize),
        };
        let text = Short::new(&task.text[..len]);
        task.text.drain(..len);
        let number = task.number;
        self.unsent
            .push_back((number, Say::Short(dice.any() as u32, text)));
    }

    /// Says letters that stop strings contain, and ends before one is complete.
    fn stops_in_time(&mut self, at: usize, dice: &mut Dice) {
        let letters: Vec<u8> = (0..dice.below(4)).map(|_| *dice.pick(b"abc")).collect();
        let task = &mut self.tasks[at];
        task.text.extend_from_slice(&letters);
        if !task.answer.may_begin(&task.text) {
            return self.ends(at, FinishReason::Stop, dice);
        }
        task.said += 1;
        let say = Say::Short(dice.any() as u32, Short::new(&letters));
        let number = task.number;
        self.unsent.push_back((number, say));
    }

    /// Continues the training: a step, or a part of the file.
    fn trains(&mut self, dice: &mut Dice) {
        let Some(training) = &mut self.training else {
            return;
        };
        let (number, progress) = (training.number, &mut training.progress);
        // A large adapter has a hundred parts. If it could fail at each of them, none would ever be made.
        let may_fail = training.sent == 0 || training.bytes < 100_000;
        if dice.percent(2) && may_fail {
            self.training = None;
            let failed = Say::Failed(ErrorCode::NonFinite, 0);
            return self.unsent.push_back((number, failed));
        }
        if progress.step < progress.steps {
            progress.step += dice.within(1, u64::from(progress.steps - progress.step)) as u32;
            progress.tokens += dice.below(2);
            progress.loss = dice.any() as u32;
            return self.unsent.push_back((number, Say::Training(*progress)));
        }
        let left = training.bytes - training.sent;
        if left == 0 {
            let end = trained(training, training.bytes);
            self.training = None;
            return self.unsent.push_back((number, end));
        }
        // A whole number of words, except at the end.
        let most = *dice.pick(&[8, 800, MAX_PART_BYTES as u64, MAX_PART_BYTES as u64]);
        let len = match training.bytes > 30_000 {
            true => left.min(MAX_PART_BYTES as u64),
            false => left.min(most),
        };
        let part = Say::Part(training.seed, training.sent, len as usize);
        training.sent += len;
        self.unsent.push_back((number, part));
    }

    /// Whether it has work that needs no further command.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        let goes_on = |task: &Task| {
            task.said < task.credit
                || task.said == task.most
                || task.answer.is_bound() && task.text.is_empty()
        };
        !self.unsent.is_empty() || self.training.is_some() || self.tasks.iter().any(goes_on)
    }
}

/// The report at the end of a training of which this many bytes were sent.
const fn trained(training: &Training, bytes: u64) -> Say {
    Say::Trained(Trained {
        tokens: training.progress.tokens,
        bytes,
        steps: training.progress.step,
        loss: training.progress.loss,
    })
}
