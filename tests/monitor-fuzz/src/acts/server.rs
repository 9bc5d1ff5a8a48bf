//! Inference: one that keeps to the protocol, as far as that can be seen from outside, and lies.

use super::asks::tag;
use crate::dice::Dice;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_PIECE_BYTES, MAX_SESSIONS};
use protocol::ring::Frame;
use protocol::wire::engine::{Command, Holdings, KvType, Loaded, Report};
use protocol::wire::{ArenaUse, FinishReason, ModelInfo};
use std::collections::{BTreeMap, VecDeque};

/// A request that inference works at.
#[derive(Clone, Debug)]
struct Task {
    number: u32,
    session: u32,
    prompt: u32,
    most: u32,
    credit: u32,
    said: u32,
}

/// Something that inference says.
#[derive(Clone, Copy, Debug)]
pub enum Say {
    /// See the protocol, as the others.
    Ready,
    /// Its bytes follow from these.
    Token(u32, usize),
    /// See the protocol.
    Finished(FinishReason, u32, u32),
    /// See the protocol.
    Failed(ErrorCode, usize),
    /// See the protocol.
    Loaded,
    /// See the protocol.
    Holdings,
    /// See the protocol.
    Evicted(u32),
}

/// Text of a token, which tells it from those of other tokens if it is long enough.
#[must_use]
pub fn piece(id: u32, len: usize) -> [u8; MAX_PIECE_BYTES] {
    let mut piece = [0; MAX_PIECE_BYTES];
    for (place, byte) in piece.iter_mut().take(len).enumerate() {
        *byte = id.rotate_left(5 * place as u32).wrapping_add(place as u32) as u8;
    }
    piece
}

impl Say {
    /// Writes it.
    pub fn write(self, number: u32, frame: &mut Frame) {
        match self {
            Self::Ready => Report::Ready.write(number, frame),
            Self::Token(id, len) => Report::Token {
                id,
                text: &piece(id, len)[..len],
            }
            .write(number, frame),
            Self::Finished(reason, prompt_tokens, generated_tokens) => Report::Finished {
                reason,
                prompt_tokens,
                generated_tokens,
            }
            .write(number, frame),
            Self::Failed(code, len) => Report::Failed {
                failure: Failure::over(code, 7, 8),
                detail: &piece(9, len)[..len],
            }
            .write(number, frame),
            Self::Loaded => Report::Loaded(Loaded {
                info: ModelInfo {
                    parameters: 5,
                    ..ModelInfo::default()
                },
                arena: ArenaUse {
                    weights: 3,
                    ..ArenaUse::default()
                },
                numerics: 2,
                kv_type: KvType::Q8,
                kv_positions: 99,
            })
            .write(number, frame),
            Self::Holdings => Report::Holdings(Holdings {
                kv_positions: 9,
                ..Holdings::default()
            })
            .write(number, frame),
            Self::Evicted(session) => Report::Evicted { session }.write(number, frame),
        }
    }
}

/// An inference that keeps to the protocol, as far as it can be seen from outside.
#[derive(Debug, Default)]
pub struct Server {
    tasks: Vec<Task>,
    /// What found no room yet.
    pub unsent: VecDeque<(u32, Say)>,
    /// Slots that hold something.
    kept: Vec<u32>,
    /// Whose the requests are, by number, if their prompts say so.
    tags: BTreeMap<u32, (usize, u32)>,
}

impl Server {
    /// It has joined an epoch.
    pub fn begins(&mut self) {
        *self = Self::default();
        self.unsent.push_back((0, Say::Ready));
    }

    /// Whose a request is, if its prompt says so.
    #[must_use]
    pub fn tag(&self, number: u32) -> Option<(usize, u32)> {
        self.tags.get(&number).copied()
    }

    /// Reads a command.
    pub fn reads(&mut self, number: u32, command: &Command<'_>, dice: &mut Dice) {
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
                prompt,
                credit,
                ..
            } => {
                if dice.percent(5) {
                    self.evicts();
                }
                if dice.percent(5) {
                    let code = *dice.pick(&[
                        ErrorCode::PromptTokens,
                        ErrorCode::UnsupportedModel,
                        ErrorCode::ContextFull,
                        ErrorCode::NoModel,
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
                let tag = tag(prompt);
                self.tags.extend(tag.map(|tag| (number, tag)));
                self.tasks.push(Task {
                    number,
                    session,
                    prompt: prompt.len() as u32,
                    most: params.max_tokens,
                    credit,
                    said: 0,
                });
            }
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
                    self.kept.clear();
                }
                self.unsent.push_back((number, say));
            }
            Command::Status => self.unsent.push_back((number, Say::Holdings)),
            Command::Drop { session } => self.kept.retain(|kept| *kept != session),
        }
    }

    /// Forgets an idle session to make room.
    fn evicts(&mut self) {
        let busy = |session: u32| self.tasks.iter().any(|task| task.session == session);
        if let Some(at) = self.kept.iter().position(|kept| !busy(*kept)) {
            let session = self.kept.swap_remove(at);
            self.unsent.push_back((0, Say::Evicted(session)));
        }
    }

    fn ends(&mut self, at: usize, reason: FinishReason, dice: &mut Dice) {
        let task = self.tasks.swap_remove(at);
        let prompt = dice.within(0, u64::from(task.prompt) + 2) as u32;
        let end = Say::Finished(reason, prompt, task.said);
        self.unsent.push_back((task.number, end));
    }

    /// Takes a step of one of its requests, unless it rests for want of credit.
    pub fn steps(&mut self, ends: u64, dice: &mut Dice) {
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
        self.tasks[at].said += 1;
        let len = match dice.below(10) {
            0 => MAX_PIECE_BYTES,
            _ => dice.below(12) as usize,
        };
        let id = dice.any() as u32;
        self.unsent.push_back((number, Say::Token(id, len)));
    }

    /// Whether it could go on without being told anything.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        let goes_on = |task: &Task| task.said < task.credit || task.said == task.most;
        !self.unsent.is_empty() || self.tasks.iter().any(goes_on)
    }
}

/// A lie, about one of these numbers or another.
#[must_use]
pub fn lie(numbers: &[u32], newest: u32, dice: &mut Dice) -> (u32, Say) {
    let number = match dice.below(4) {
        0 => dice.below(u64::from(newest) + 3) as u32,
        _ if !numbers.is_empty() => *dice.pick(numbers),
        _ => newest,
    };
    let few = dice.below(5) as u32;
    let say = match dice.below(10) {
        0..=3 => Say::Token(dice.any() as u32, *dice.pick(&[0, 1, 7, 256])),
        4 => Say::Finished(FinishReason::EndOfText, few, dice.below(4) as u32),
        5 => Say::Failed(*dice.pick(ErrorCode::ALL), *dice.pick(&[0, 256])),
        6 => Say::Loaded,
        7 => Say::Holdings,
        8 => Say::Ready,
        _ => Say::Evicted(dice.below(MAX_SESSIONS as u64) as u32),
    };
    (number, say)
}
