//! Random requests of all kinds.

use super::Habits;
use crate::dice::Dice;
use crate::formats::FORMATS;
use crate::store::PASSPHRASES;
use protocol::adapters::EXAMPLES;
use protocol::limits::{MAX_GENERATED_TOKENS, MAX_PROMPT_BYTES};
use protocol::name::{FormatName, ModelName, Nonce, SessionName, UserName};
use protocol::wire::client::{BudgetChange, LogQuery, Request};
use protocol::wire::{InferParams, PartKind, Parts, TrainParams};

/// A request together with the texts that it borrows.
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
    adapter: ModelName,
    train: TrainParams,
    format: FormatName,
    /// The parts before the text of a request for text, and the kind of the text itself.
    before: Vec<PartKind>,
    shape: Option<PartKind>,
    /// Stop strings and choices, which follow the text.
    behind: Vec<(PartKind, &'static str)>,
    parts: Vec<u8>,
}

impl Ask {
    /// A random request.
    #[must_use]
    pub fn any(dice: &mut Dice, habits: &Habits) -> Self {
        let kind = match dice.percent(habits.text) {
            true => 0,
            false if dice.percent(habits.tunes) => dice.within(16, KINDS - 1),
            false if dice.percent(20) => habits.favourite,
            false => dice.below(KINDS),
        };
        let mut ask = Self {
            kind,
            flag: dice.percent(50),
            ..Self::default()
        };
        match kind {
            0 => ask.text(dice, habits.long),
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
            16 | 17 => ask.tuning(dice),
            18 => {
                let len = *dice.pick(&[0, 5, 30, 30, 500, MAX_PROMPT_BYTES]);
                ask.bytes = vec![b'x'; len];
                if dice.percent(10) && len > 0 {
                    ask.bytes[len / 2] = *dice.pick(b"\n\xFF");
                }
            }
            21..24 => ask.adapter = any_adapter(dice),
            24 => ask.flag = dice.percent(30),
            _ => {}
        }
        ask.put_together();
        ask
    }

    fn text(&mut self, dice: &mut Dice, long: bool) {
        let len = match dice.below(40) {
            0 => 0,
            1 => MAX_PROMPT_BYTES as u64,
            2 => dice.below(MAX_PROMPT_BYTES as u64),
            3 => dice.within(1, 20),
            _ => dice.within(20, 60),
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
            _ if long => dice.within(20, 200) as u32,
            _ => dice.within(1, 8) as u32,
        };
        self.params.sampling.seed = dice.any();
        if dice.percent(2) {
            self.params.sampling.top_p = u32::MAX;
        }
        self.session = any_session(dice);
        if dice.percent(25) {
            self.adapter = any_adapter(dice);
        }
        self.shape = Some(match dice.below(4) {
            0 => PartKind::Prompt,
            1 => PartKind::User,
            _ => PartKind::Text,
        });
        if self.shape == Some(PartKind::User) {
            self.before = match dice.below(8) {
                0 => vec![PartKind::User],
                1..=3 => vec![PartKind::System],
                4 => vec![PartKind::User, PartKind::Assistant],
                _ => Vec::new(),
            };
        }
        self.answer(dice);
    }

    /// Chooses the format of the answer.
    fn answer(&mut self, dice: &mut Dice) {
        let asked = dice.below(10);
        if asked < 3 || dice.percent(1) {
            let name = match dice.below(20) {
                0 => "nothing",
                n => FORMATS[n as usize % FORMATS.len()].0,
            };
            self.format = FormatName::new(name).unwrap_or_default();
        }
        let (kind, list, most): (_, &[&'static str], _) = match asked {
            // Duplicate and empty choices are refused.
            3 => (
                PartKind::Choice,
                &["no", "not yet", "a", "ab", "abb", "b", ""],
                3,
            ),
            4 | 5 => (PartKind::Stop, &["ab", "aab", "cc", "bcb", "aaaa"], 3),
            6 => (PartKind::Stop, &["ab"], 6),
            _ => return,
        };
        for _ in 0..dice.within(1, most) {
            self.behind.push((kind, *dice.pick(list)));
        }
    }

    /// Joins the parts of a request for text.
    fn put_together(&mut self) {
        self.parts.clear();
        let Some(shape) = self.shape else {
            return;
        };
        let mut add = |kind: PartKind, text: &[u8]| {
            self.parts.extend((kind as u32).to_le_bytes());
            self.parts.extend((text.len() as u32).to_le_bytes());
            self.parts.extend(text);
        };
        for kind in &self.before {
            add(*kind, b"before");
        }
        add(shape, &self.bytes);
        for (kind, text) in &self.behind {
            add(*kind, text.as_bytes());
        }
    }

    fn tuning(&mut self, dice: &mut Dice) {
        self.train = TrainParams {
            seed: dice.any(),
            epochs: *dice.pick(&[0, 1, 1, 1, 2, 3, 3, 9, 100, 101]),
            rank: *dice.pick(&[0, 4, 4, 4, 4, 4, 4, 4, 64, 65]),
            ..TrainParams::default()
        };
        let data = match dice.below(5) {
            0 | 1 => String::from(EXAMPLES),
            _ => format!("d{}", dice.below(6)),
        };
        self.model = ModelName::new(&data).unwrap_or_default();
        if dice.percent(50) {
            self.adapter = any_adapter(dice);
        }
    }

    /// Writes the client and the request number into the prompt, where [`tag`] finds them.
    pub fn sign(&mut self, client: usize, id: u32) {
        let signed = format!("{client}/{id}:");
        if self.kind == 0
            && let Some(room) = self.bytes.get_mut(..signed.len())
        {
            room.copy_from_slice(signed.as_bytes());
        }
        self.put_together();
    }

    /// The nonce of an attestation, made from another value of the request.
    fn nonce(&self) -> Nonce {
        Nonce::new(&format!("{}", self.last)).unwrap_or_default()
    }

    /// The request in the protocol's form.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        match self.kind {
            0 => Request::Infer {
                params: self.params,
                session: self.session,
                adapter: self.adapter,
                format: self.format,
                parts: Parts::parse(&self.parts).unwrap_or_default(),
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
            15 => Request::Formats,
            16 | 17 => Request::FineTune {
                params: self.train,
                data: self.model,
                adapter: self.adapter,
            },
            18 => Request::Example { text: &self.bytes },
            19 | 20 => Request::Adapters,
            21 => Request::LoadAdapter { name: self.adapter },
            22 => Request::DropAdapter { name: self.adapter },
            23 => Request::ExportAdapter { name: self.adapter },
            24 if self.flag => Request::DropExamples,
            24 => Request::Attest {
                nonce: self.nonce(),
            },
            25 => Request::Halt,
            _ => Request::Stats { watch: false },
        }
    }
}

/// Number of kinds of requests.
pub const KINDS: u64 = 26;

/// The name of an adapter: of the store, made here, or unknown.
fn any_adapter(dice: &mut Dice) -> ModelName {
    let name = match dice.below(8) {
        0 => String::from("nothing"),
        1 | 2 => String::from(EXAMPLES),
        3 => format!("d{}", dice.below(6)),
        4 => format!("d{}-2", dice.below(6)),
        _ => format!("a{}", dice.below(6)),
    };
    ModelName::new(&name).unwrap_or_default()
}

fn any_session(dice: &mut Dice) -> SessionName {
    match dice.below(3) {
        0 => SessionName::EMPTY,
        1 => SessionName::new(&format!("s{}", dice.below(4))).unwrap_or_default(),
        _ => SessionName::new(&format!("s{}", dice.below(60))).unwrap_or_default(),
    }
}

/// The client and the number of the request with these parts, if its last segment gives them.
#[must_use]
pub fn tag(parts: &Parts<'_>) -> Option<(usize, u32)> {
    let prompt = parts.segments().last()?.text;
    let end = prompt.iter().position(|byte| *byte == b':')?;
    let signed = std::str::from_utf8(prompt.get(..end)?).ok()?;
    let (client, id) = signed.split_once('/')?;
    Some((client.parse().ok()?, id.parse().ok()?))
}
