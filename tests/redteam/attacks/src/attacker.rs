//! The backend of the hostile inference server.

use crate::ring::Forger;
use crate::saboteur::Saboteur;
use crate::{Answer, Ground, PREFIX, Say, memory, place, worker};
use core::fmt::Write as _;
use llm_core::arena::Usage;
use llm_core::backend::{LlmBackend, ModelInfo};
use llm_core::generate::{
    FinishReason, GenerateError, GenerateParams, Occupancy, Progress, Prompt, Step, Text, Turn,
};
use llm_core::seal::Inspection;
use llm_core::transformer::training::{TrainError, TrainParams, TrainPlan};
use llm_core::transformer::{AdapterError, AdapterInfo, LoadError};
use protocol::VERSION;
use protocol::error::{ErrorCode, Failure};
use protocol::wire::engine::{Holdings, Report};
use protocol::wire::{self};

/// Bytes of an attack's report that fit in one token.
const PIECE: usize = 100;

/// How long an attack waits for audit to read what it sent, in microseconds (2 s): far longer than audit needs, and far
/// shorter than a deadline.
const PATIENCE_US: u64 = 2_000_000;

const LONG: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
                    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
                    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
                    0123456789abcdef0123456789abcdef0123456789abcdef0123456789";

const ESCAPES: &str = "begin\x1b]0;owned\x07\x1b[2J\x1b[H\x1b[31m\x1bc\x1b[6n\x1bPq\x1b\\\u{9b}2J\u{9d}0;x\u{9c}\x08\x08\x7f\
                       \u{202e}\u{2066}\u{200f}\u{e0041}\x0e\x0b\x0c\rend";

const HALT: &str = "begin\x01sel4-llm: halted\r\n\x04\x01sel4-llm: halted\r\nend";

/// How a request differs from an honest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// The attack's report, in pieces, then an honest end.
    Say { at: usize },
    /// This many tokens of maximum length, then an honest end.
    Flood { left: u32 },
    /// Endless tokens.
    Overrun,
    /// A dishonest end.
    End { prompt: u32, generated: u32 },
}

/// Passes everything on to `backend`, except prompts that name an attack.
#[derive(Debug)]
pub struct Attacker<B, G> {
    backend: B,
    ground: G,
    say: Say,
    habit: Option<(usize, Habit)>,
    generated: u32,
    /// Tokens that the attack's request may generate in all.
    credit: u32,
    saboteur: Saboteur,
}

impl<B, G: Ground> Attacker<B, G> {
    /// An attacker around `backend`.
    pub fn new(backend: B, ground: G) -> Self {
        Self {
            backend,
            ground,
            say: Say::new(),
            habit: None,
            generated: 0,
            credit: 0,
            saboteur: Saboteur::default(),
        }
    }

    /// Makes the attack. Returns what the following steps should do.
    fn attack(&mut self, name: &str) -> Habit {
        let say = &mut self.say;
        match name {
            "read-audit-log" => memory::read(place::AUDIT_LOG, say),
            "write-audit-log" => memory::write(place::AUDIT_LOG + 8, say),
            "read-policy" => memory::read(place::POLICY, say),
            "write-policy" => memory::write(place::POLICY + 8, say),
            "write-store" => memory::write(place::STORE + 512, say),
            "write-adapters" => memory::write(place::ADAPTERS + 65_536, say),
            "write-formats" => memory::write(place::FORMATS + 4096, say),
            "write-audit-ring" => memory::write(place::AUDIT_RING + 16, say),
            "read-shell-ring" => memory::read(place::SHELL_RING, say),
            "write-shell-ring" => memory::write(place::SHELL_RING + 16, say),
            "write-shell-events" => memory::write(place::SHELL_EVENTS + 16, say),
            "read-device" => memory::read(place::DEVICE, say),
            "write-device" => memory::write(place::DEVICE + 8, say),
            "write-uart-physical" => memory::write(place::UART_PHYSICAL, say),
            "write-watchdog-physical" => memory::write(place::WATCHDOG_PHYSICAL, say),
            "read-behind-the-ring" => memory::read(place::OWN_RING + 0x23000, say),
            "execute-arena" => memory::execute(place::ARENA + 0x7f_0000, true, say),
            "execute-ring" => memory::execute(place::OWN_RING + 0x22ff8, true, say),
            "execute-store" => memory::execute(place::STORE + 1024, false, say),
            "execute-stack" => {
                let code = [0_u64; 4];
                let at = core::hint::black_box(&code).as_ptr() as usize;
                memory::execute(at, true, say);
            }
            "write-text" => memory::write(self.ground.own_text() & !7, say),
            "write-constants" => memory::write(self.ground.own_constants() & !7, say),
            "spin" => loop {
                core::hint::spin_loop();
            },
            "flood-notifications" => {
                for _ in 0..100_000 {
                    self.ground.notify_audit();
                }
                let _ = write!(say, "signalled=100000");
            }
            "exceed-egress" => return Habit::Flood { left: 64 },
            "ignore-credit" => {
                // Pretends that audit has granted unlimited credit. The egress cap is used up long before the credit.
                self.credit = u32::MAX;
                return Habit::Flood { left: 64 };
            }
            "overrun" => return Habit::Overrun,
            "lie-generated" => {
                return Habit::End {
                    prompt: 1,
                    generated: 1,
                };
            }
            "lie-prompt" => {
                return Habit::End {
                    prompt: u32::MAX,
                    generated: 0,
                };
            }
            "escape" => {
                let _ = say.push_str(ESCAPES);
            }
            "forge-halt" => {
                let _ = say.push_str(HALT);
            }
            "worker-report" => worker::report(say),
            _ if worker::arm(name) => {
                let _ = say.push_str("armed");
            }
            _ if self.saboteur.arm(name) => {
                let _ = say.push_str("armed");
            }
            _ if self.lie(name) || self.forge(name) => {
                self.settle();
                memory::die();
            }
            _ => {
                if !self.ground.perform(name, &mut self.say) {
                    let _ = write!(self.say, "UNKNOWN");
                }
            }
        }
        Habit::Say { at: 0 }
    }

    /// Makes an attack on a bound answer. Returns false if no attack has this name.
    fn lie(&mut self, name: &str) -> bool {
        let Some(answer) = Answer::find(name) else {
            return false;
        };
        if answer.say() {
            loop {
                core::hint::spin_loop();
            }
        }
        true
    }

    /// Makes an attack on the rings. Returns false if no attack has this name.
    fn forge(&mut self, name: &str) -> bool {
        let mut forger = Forger::of_inference();
        let honest = u64::from(VERSION) << 48 | 0x301 << 32;
        match name {
            "forge-head" => forger.publish(forger.epoch, forger.head.wrapping_add(1000)),
            "forge-head-back" => forger.publish(forger.epoch, forger.head.wrapping_sub(1)),
            "forge-tail" => forger.publish_tail(0x8000_0000),
            "forge-epoch" => forger.put(honest, forger.epoch.wrapping_add(1), 0, &[]),
            "forge-epoch-index" => {
                forger.publish(forger.epoch.wrapping_add(1), forger.head.wrapping_add(3));
            }
            "speak-for-the-next-life" => {
                let own = forger.request();
                (forger.epoch, forger.head) = (forger.epoch.wrapping_add(1), 0);
                // The first request after a restart is a load of the model.
                for next in 1..=4 {
                    let failure = Failure::of(ErrorCode::BadModel);
                    let detail = b"said by the previous run";
                    forger.forge(own.wrapping_add(next), &Report::Failed { failure, detail });
                }
                return true;
            }
            "replay" => forger.publish(forger.epoch, forger.head.wrapping_add(12)),
            "forge-version" => forger.put(1 << 48 | 0x301 << 32, forger.epoch, 0, &[]),
            "forge-length" => forger.put(honest | 0xffff_ffff, forger.epoch, 0, &[]),
            "forge-kind" => {
                forger.put(u64::from(VERSION) << 48 | 0x101 << 32, forger.epoch, 0, &[]);
            }
            "scribble" => forger.scribble(forger.request().into()),
            "claim-request" => {
                let own = forger.request();
                for other in 1..=8 {
                    let text = b"not yours";
                    forger.forge(own.wrapping_add(other), &Report::Token { id: 0, text });
                    let end = Report::Finished {
                        reason: wire::FinishReason::EndOfText,
                        prompt_tokens: 1,
                        generated_tokens: 1,
                    };
                    forger.forge(own.wrapping_sub(other), &end);
                }
            }
            "claim-session" => {
                for session in 20..32 {
                    forger.forge(0, &Report::Evicted { session });
                }
            }
            "claim-session-outside" => {
                forger.forge(
                    0,
                    &Report::Evicted {
                        session: 4_000_000_000,
                    },
                );
            }
            "claim-model" => {
                let own = forger.request();
                forger.forge(own, &Report::Holdings(Holdings::default()));
            }
            _ => return false,
        }
        true
    }

    /// Has audit look, and waits until it has done so.
    fn settle(&mut self) {
        self.ground.notify_audit();
        let forger = Forger::of_inference();
        let began = self.ground.now_us();
        while !forger.is_read() && self.ground.now_us().saturating_sub(began) < PATIENCE_US {
            core::hint::spin_loop();
        }
    }

    /// Whether the attack's next token would exceed its credit. Only attacks on the credit ignore it; any other would
    /// be stopped for the wrong reason.
    fn rests(&self, habit: Habit) -> bool {
        let gives = match habit {
            Habit::Say { at } => at < self.say.len(),
            Habit::Flood { left } => left > 0,
            Habit::Overrun | Habit::End { .. } => false,
        };
        gives && self.generated >= self.credit
    }

    fn end(&mut self, prompt_tokens: u32, generated: u32) -> Step {
        self.habit = None;
        Step::Finished {
            reason: FinishReason::EndOfText,
            prompt_tokens,
            generated,
        }
    }
}

impl<B: LlmBackend, G: Ground> LlmBackend for Attacker<B, G> {
    fn set_context(&mut self, tokens: usize) {
        self.backend.set_context(tokens);
    }

    fn load(&mut self, file: &[u8]) -> Result<ModelInfo, LoadError> {
        self.backend.load(file)
    }

    fn model(&self) -> Option<&ModelInfo> {
        self.backend.model()
    }

    fn usage(&self) -> Usage {
        self.backend.usage()
    }

    fn occupancy(&self) -> Occupancy {
        self.backend.occupancy()
    }

    fn start(
        &mut self,
        turn: Turn,
        prompt: Prompt<'_>,
        params: &GenerateParams,
    ) -> Result<u32, GenerateError> {
        let name = prompt.last_text().strip_prefix(PREFIX);
        let Some(name) = name.and_then(|name| core::str::from_utf8(name).ok()) else {
            return self.backend.start(turn, prompt, params);
        };
        self.say.clear();
        self.generated = 0;
        self.credit = turn.credit;
        let habit = self.attack(name);
        self.habit = Some((turn.session, habit));
        Ok(1)
    }

    fn grant(&mut self, session: usize, tokens: u32) {
        match self.habit {
            Some((attacked, _)) if attacked == session => self.credit = self.credit.max(tokens),
            _ => self.backend.grant(session, tokens),
        }
    }

    fn step(&mut self, text: &mut Text) -> Progress {
        let Some((session, habit)) = self.habit.filter(|(_, habit)| !self.rests(*habit)) else {
            let progress = self.backend.step(text);
            if self.saboteur.look(&progress) {
                self.settle();
                memory::die();
            }
            return progress;
        };
        text.clear();
        let step = match habit {
            Habit::Say { at } if at < self.say.len() => {
                let mut end = self.say.len().min(at + PIECE);
                while !self.say.is_char_boundary(end) {
                    end -= 1;
                }
                let _ = text.push_str(&self.say[at..end]);
                self.habit = Some((session, Habit::Say { at: end }));
                self.generated += 1;
                Step::Token { id: 0 }
            }
            Habit::Flood { left: left @ 1.. } => {
                let _ = text.push_str(LONG);
                self.habit = Some((session, Habit::Flood { left: left - 1 }));
                self.generated += 1;
                Step::Token { id: 0 }
            }
            Habit::Say { .. } | Habit::Flood { .. } => self.end(1, self.generated),
            Habit::Overrun => {
                let _ = text.push_str("more ");
                Step::Token { id: 0 }
            }
            Habit::End { prompt, generated } => self.end(prompt, generated),
        };
        Progress::Session(session, Ok(step))
    }

    fn cancel(&mut self, session: usize) {
        match self.habit {
            // The attack obeys a cancel unless its purpose is to overrun.
            Some((attacked, habit)) if attacked == session && habit != Habit::Overrun => {
                self.habit = Some((session, Habit::Flood { left: 0 }));
            }
            _ => self.backend.cancel(session),
        }
    }

    fn forget(&mut self, session: usize) -> Result<(), GenerateError> {
        self.backend.forget(session)
    }

    fn reset(&mut self) {
        self.habit = None;
        self.saboteur.end();
        self.backend.reset();
    }

    fn load_adapter(
        &mut self,
        adapter: usize,
        file: &[u8],
        base: &[u8; 32],
    ) -> Result<AdapterInfo, AdapterError> {
        self.backend.load_adapter(adapter, file, base)
    }

    fn drop_adapter(&mut self, adapter: usize) -> Result<(), AdapterError> {
        self.backend.drop_adapter(adapter)
    }

    fn train(&mut self, data: &[u8], params: &TrainParams) -> Result<TrainPlan, TrainError> {
        let plan = self.backend.train(data, params)?;
        self.saboteur.begin(plan);
        Ok(plan)
    }

    fn end_training(&mut self) {
        self.saboteur.end();
        self.backend.end_training();
    }

    fn made(&self, offset: usize) -> &[u8] {
        self.saboteur.part(offset, self.backend.made(offset))
    }

    fn inspect(&mut self) -> Inspection {
        self.backend.inspect()
    }
}
