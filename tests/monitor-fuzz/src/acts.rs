//! What happens in a world: acts of a client, of inference, of the clock, drawn at random.
//!
//! A run has characters (how honest, how fast, how lossy), drawn once from its seed; each step then draws one act from
//! dice of its own, so that a run can be repeated without some of its steps.

use crate::dice::Dice;
use crate::store::PASSPHRASES;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_GENERATED_TOKENS, MAX_PIECE_BYTES, MAX_PROMPT_BYTES, MAX_SESSIONS};
use protocol::name::{ModelName, SessionName, UserName};
use protocol::ring::Frame;
use protocol::wire::client::{BudgetChange, LogQuery, Request};
use protocol::wire::engine::{Command, Holdings, KvType, Loaded, Report};
use protocol::wire::{ArenaUse, Fault, FaultKind, FinishReason, InferParams, ModelInfo};
use std::collections::VecDeque;

/// How a run's peers and clock are.
#[derive(Clone, Copy, Debug)]
pub struct Character {
    /// Times of a hundred that a client's act is garbage in its region.
    pub client_garbage: u64,
    /// Times of a hundred that it asks under a number that is none, or in use.
    pub client_reuse: u64,
    /// Times of a hundred that an act of a client is to read.
    pub client_reads: u64,
    /// Most events that it reads at once.
    pub client_reads_most: u64,
    /// Times of a hundred that inference lies.
    pub lies: u64,
    /// Times of a hundred that inference writes garbage.
    pub inference_garbage: u64,
    /// It never answers.
    pub silent: bool,
    /// Times of a hundred that it does not look at its commands.
    pub lazy: u64,
    /// Times of a hundred that inference ends a request instead of going on.
    pub ends: u64,
    /// Times of a thousand that a step is a fault message.
    pub faults: u64,
    /// Times of a hundred that the timer or a tick does not come.
    pub lost_alarms: u64,
    /// Longest that a step of time takes.
    pub longest_us: u64,
    /// Times of a hundred that a step is one of time.
    pub time: u64,
    /// Times of a hundred that a send wakes audit.
    pub signals: u64,
    /// How long the parts of a wake-up take at most.
    pub work_us: u64,
    /// Times of a hundred that the runtime refuses to stop or start inference.
    pub refuses: u64,
    /// Which request is drawn most, by number.
    pub favourite: u64,
}

impl Character {
    /// One of many.
    #[must_use]
    pub fn new(dice: &mut Dice) -> Self {
        let hostile_client = dice.percent(25);
        let hostile_inference = dice.percent(40);
        Self {
            client_garbage: if hostile_client { dice.below(8) } else { 0 },
            client_reuse: if dice.percent(40) { dice.below(20) } else { 0 },
            client_reads: *dice.pick(&[3, 10, 20, 30, 40]),
            client_reads_most: *dice.pick(&[2, 5, 16, 16, 16, 16]),
            lies: if hostile_inference {
                *dice.pick(&[1, 2, 5, 20])
            } else {
                0
            },
            inference_garbage: if hostile_inference {
                *dice.pick(&[0, 0, 1, 5])
            } else {
                0
            },
            silent: dice.percent(5),
            lazy: *dice.pick(&[0, 0, 0, 50, 97]),
            ends: *dice.pick(&[2, 10, 30, 60]),
            faults: *dice.pick(&[0, 0, 0, 1, 3, 20]),
            lost_alarms: *dice.pick(&[0, 0, 0, 5, 50]),
            longest_us: *dice.pick(&[
                300, 3_000, 20_000, 100_000, 1_500_000, 8_000_000, 40_000_000,
            ]),
            time: *dice.pick(&[3, 10, 20, 30]),
            signals: *dice.pick(&[100, 100, 70, 20]),
            work_us: *dice.pick(&[0, 3, 200, 1_500, 5_000, 60_000]),
            refuses: *dice.pick(&[0, 0, 0, 0, 0, 20]),
            favourite: dice.below(16),
        }
    }

    /// Whether each deadline must be kept by the clock alone.
    #[must_use]
    pub const fn is_punctual(&self) -> bool {
        self.lost_alarms == 0
    }

    /// Whether inference keeps to the protocol.
    #[must_use]
    pub const fn is_honest(&self) -> bool {
        self.lies == 0 && self.inference_garbage == 0
    }
}

/// A prompt or a passphrase, with what else a request borrows.
#[derive(Debug, Default)]
pub struct Ask {
    kind: u64,
    params: InferParams,
    session: SessionName,
    model: ModelName,
    user: UserName,
    bytes: Vec<u8>,
    flag: bool,
    change: BudgetChange,
    given: bool,
    last: u64,
}

impl Ask {
    /// Any request.
    #[must_use]
    pub fn any(dice: &mut Dice, character: &Character) -> Self {
        let kind = match dice.below(10) {
            0..=4 => 0,
            5 => character.favourite,
            _ => dice.below(16),
        };
        let mut ask = Self {
            kind,
            flag: dice.percent(50),
            ..Self::default()
        };
        match kind {
            0 => ask.text(dice),
            1 => {
                let name = match dice.below(12) {
                    0 => String::from("nothing"),
                    1..=3 => String::from("default"),
                    n => format!(
                        "m{}",
                        if dice.percent(50) {
                            n - 3
                        } else {
                            dice.below(20)
                        }
                    ),
                };
                ask.model = ModelName::new(&name).unwrap_or_default();
            }
            5 => {
                let user = dice.below(7);
                ask.user = UserName::new(&format!("user{user}")).unwrap_or_default();
                let right = PASSPHRASES.get(user as usize).copied().unwrap_or(b"x");
                ask.given = dice.percent(85);
                ask.bytes = match dice.percent(70) {
                    true => right.to_vec(),
                    false => b"wrong".to_vec(),
                };
            }
            9 => {
                if dice.percent(60) {
                    let user = format!("user{}", dice.below(7));
                    ask.user = UserName::new(&user).unwrap_or_default();
                }
                if dice.percent(30) {
                    let tokens = *dice.pick(&[0, 50, 1000, 1 << 30, 1 << 41]);
                    let period = *dice.pick(&[999_999, 1_000_000, 7_000_000, 3_600_000_000]);
                    ask.change = BudgetChange {
                        tokens: dice.percent(70).then_some(tokens),
                        period_us: dice.percent(70).then_some(period),
                    };
                }
            }
            10 => {
                ask.last = *dice.pick(&[0, 1, 5, 1000]);
                if dice.percent(30) {
                    let user = format!("user{}", dice.below(7));
                    ask.user = UserName::new(&user).unwrap_or_default();
                }
            }
            14 => ask.session = any_session(dice),
            _ => {}
        }
        ask
    }

    fn text(&mut self, dice: &mut Dice) {
        let len = match dice.below(40) {
            0 => 0,
            1 => MAX_PROMPT_BYTES as u64,
            2 => dice.below(MAX_PROMPT_BYTES as u64),
            _ => dice.within(1, 60),
        };
        self.bytes = (0..len).map(|_| b'a' + dice.below(26) as u8).collect();
        if dice.percent(2) {
            self.bytes.push(0xFF);
            self.bytes.truncate(MAX_PROMPT_BYTES);
        }
        self.params.max_tokens = match dice.below(12) {
            0 => 0,
            1 => MAX_GENERATED_TOKENS + 1,
            2 => dice.below(600) as u32,
            _ => dice.within(1, 8) as u32,
        };
        self.params.sampling.seed = dice.any();
        if dice.percent(2) {
            self.params.sampling.top_p = u32::MAX;
        }
        self.session = any_session(dice);
    }

    /// As the protocol has it.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        match self.kind {
            0 => Request::Infer {
                params: self.params,
                session: self.session,
                prompt: &self.bytes,
            },
            1 => Request::Load { name: self.model },
            2 => Request::Models,
            3 => Request::Status,
            4 => Request::Stats { watch: self.flag },
            5 => Request::Login {
                user: self.user,
                passphrase: self.given.then_some(&self.bytes[..]),
            },
            6 => Request::Logout,
            7 => Request::WhoAmI,
            8 => Request::Users,
            9 => Request::Budget {
                user: self.user,
                change: self.change,
            },
            10 => Request::Log(LogQuery {
                last: self.last,
                user: self.user,
                follow: self.flag,
            }),
            11 => Request::VerifyLog,
            12 => Request::Reset,
            13 => Request::Sessions,
            14 => Request::Close {
                session: self.session,
            },
            _ => Request::Stats { watch: false },
        }
    }
}

fn any_session(dice: &mut Dice) -> SessionName {
    match dice.below(3) {
        0 => SessionName::EMPTY,
        1 => SessionName::new(&format!("s{}", dice.below(4))).unwrap_or_default(),
        _ => SessionName::new(&format!("s{}", dice.below(60))).unwrap_or_default(),
    }
}

/// A request that inference works at.
#[derive(Clone, Debug)]
struct Task {
    number: u32,
    prompt: u32,
    most: u32,
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

const PIECE: [u8; MAX_PIECE_BYTES] = [b'x'; MAX_PIECE_BYTES];

impl Say {
    /// Writes it.
    pub fn write(self, number: u32, frame: &mut Frame) {
        match self {
            Self::Ready => Report::Ready.write(number, frame),
            Self::Token(id, len) => Report::Token {
                id,
                text: &PIECE[..len],
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
                detail: &PIECE[..len],
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
}

impl Server {
    /// It has joined an epoch.
    pub fn begins(&mut self) {
        *self = Self::default();
        self.unsent.push_back((0, Say::Ready));
    }

    /// Reads a command.
    pub fn reads(&mut self, number: u32, command: &Command<'_>, dice: &mut Dice) {
        match *command {
            // Not used yet.
            Command::Credit { .. } => {}
            Command::Infer {
                params,
                session,
                fresh,
                prompt,
                ..
            } => {
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
                self.tasks.push(Task {
                    number,
                    prompt: prompt.len() as u32,
                    most: params.max_tokens,
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
                self.unsent.push_back((number, say));
            }
            Command::Status => self.unsent.push_back((number, Say::Holdings)),
            Command::Drop { session } => self.kept.retain(|kept| *kept != session),
        }
    }

    fn ends(&mut self, at: usize, reason: FinishReason, dice: &mut Dice) {
        let task = self.tasks.swap_remove(at);
        let prompt = dice.within(0, u64::from(task.prompt) + 2) as u32;
        let end = Say::Finished(reason, prompt, task.said);
        self.unsent.push_back((task.number, end));
    }

    /// Takes a step of one of its requests.
    pub fn steps(&mut self, ends: u64, dice: &mut Dice) {
        if self.tasks.is_empty() {
            return;
        }
        let at = dice.below(self.tasks.len() as u64) as usize;
        let Task {
            number, said, most, ..
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
        self.tasks[at].said += 1;
        let len = match dice.below(10) {
            0 => MAX_PIECE_BYTES,
            _ => dice.below(12) as usize,
        };
        let id = dice.any() as u32;
        self.unsent.push_back((number, Say::Token(id, len)));
    }

    /// Numbers that it works at.
    #[must_use]
    pub fn numbers(&self) -> Vec<u32> {
        self.tasks.iter().map(|task| task.number).collect()
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
        0..=3 => Say::Token(few, *dice.pick(&[0, 1, 7, 256])),
        4 => Say::Finished(FinishReason::EndOfText, few, dice.below(4) as u32),
        5 => Say::Failed(*dice.pick(ErrorCode::ALL), *dice.pick(&[0, 256])),
        6 => Say::Loaded,
        7 => Say::Holdings,
        8 => Say::Ready,
        _ => Say::Evicted(dice.below(MAX_SESSIONS as u64) as u32),
    };
    (number, say)
}

/// Any fault message.
#[must_use]
pub fn any_fault(dice: &mut Dice) -> Fault {
    Fault {
        kind: FaultKind::from_u32(dice.within(1, 6) as u32).unwrap_or(FaultKind::Unknown),
        ip: dice.any(),
        address: dice.any(),
    }
}
