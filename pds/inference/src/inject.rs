//! A backend that misbehaves on demand, for tests of audit's recovery.

use llm_core::arena::Usage;
use llm_core::backend::{LlmBackend, ModelInfo};
use llm_core::generate::{
    FinishReason, GenerateError, GenerateParams, Occupancy, Progress, Prompt, Step, Text, Turn,
};
use llm_core::seal::Inspection;
use llm_core::transformer::training::{TrainError, TrainParams, TrainPlan};
use llm_core::transformer::{AdapterError, AdapterInfo, LoadError};

/// A prompt that begins with this writes outside the regions of the domain.
pub const FAULT_WRITE: &[u8] = b"!fault-write";
/// A prompt that begins with this disarms as many timers as it can, and spins for ever.
pub const SPIN: &[u8] = b"!spin";
/// A prompt that begins with this fills the domain's own ring region with random bytes, and goes on. The rest of the
/// prompt is their seed.
pub const GARBAGE: &[u8] = b"!garbage";
/// A prompt that begins with this generates tokens endlessly, and ignores credit and cancel.
pub const FLOOD: &[u8] = b"!flood";
/// A prompt that begins with this reports one generated token too many at its end.
pub const LIE: &[u8] = b"!lie";
/// A prompt that begins with this reports more prompt tokens at its end than it has bytes.
pub const LIE_PROMPT: &[u8] = b"!lie-prompt";
/// A prompt that begins with this changes the rounding mode, if the machine has one, and then writes outside.
pub const FPCR: &[u8] = b"!fpcr";
/// A prompt that begins with this makes the next training write outside the domain's regions after its first update.
pub const FAULT_TRAINING: &[u8] = b"!fault-training";
/// A prompt that begins with this replaces the text of every token, whatever the answer may be.
pub const LEAK: &[u8] = b"!leak";
/// A prompt that begins with this ends after its first token, as if the text were complete.
pub const SHORT: &[u8] = b"!short";
/// A prompt that begins with this makes the domain ignore its ring from then on.
pub const SILENT: &[u8] = b"!silent";
/// Prompts that begin with these make a worker do it at its next job, if there are workers: write outside its regions,
/// spin for ever, fill everything that it may write with random bytes, or change the rounding mode and then write outside.
/// The rest of the prompt says which worker.
pub const WORKER: [&[u8]; 4] = [
    b"!worker-write",
    b"!worker-spin",
    b"!worker-scribble",
    b"!worker-fpcr",
];

/// Actions of the runtime for the prompts that need one.
#[derive(Clone, Copy, Debug)]
pub struct Misdeeds {
    /// For [`FAULT_WRITE`] and [`FAULT_TRAINING`].
    pub write_outside: fn() -> !,
    /// For [`SPIN`].
    pub spin: fn() -> !,
    /// For [`GARBAGE`]: writes [`Garbage`] of this seed into every word of the region that the domain writes.
    pub scribble: fn(u64),
    /// For [`FPCR`]: changes the rounding mode for good.
    pub set_rounding: fn(),
    /// For [`SILENT`]: the server is not polled any more.
    pub fall_silent: fn(),
    /// For [`WORKER`]: which of them, and a number that chooses the worker.
    pub order_worker: fn(usize, u64),
}

/// Random words: SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Garbage(u64);

impl Garbage {
    /// The words of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Iterator for Garbage {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(word ^ (word >> 31))
    }
}

/// FNV-1a, so different prompts give different seeds.
fn seed(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Misbehaviour of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Endless tokens.
    Flood,
    /// One token too many at the end.
    Lie,
    /// Too many prompt tokens at the end.
    LiePrompt,
    /// Other text for each token.
    Leak,
    /// An end after the first token.
    Short,
}

/// Passes everything on to `backend`, except the prompts above.
#[derive(Debug)]
pub struct Injector<B> {
    backend: B,
    misdeeds: Misdeeds,
    /// The session that misbehaves, and how.
    habit: Option<(usize, Habit)>,
    /// The next training shall fault.
    faults_training: bool,
}

impl<B> Injector<B> {
    /// An injector over this backend.
    #[must_use]
    pub const fn new(backend: B, misdeeds: Misdeeds) -> Self {
        Self {
            backend,
            misdeeds,
            habit: None,
            faults_training: false,
        }
    }

    /// Does what `prompt` says, or notes what to do later.
    fn misbehave(&mut self, session: usize, prompt: &[u8]) {
        if prompt.starts_with(FAULT_WRITE) {
            (self.misdeeds.write_outside)()
        }
        if prompt.starts_with(SPIN) {
            (self.misdeeds.spin)()
        }
        if prompt.starts_with(FPCR) {
            (self.misdeeds.set_rounding)();
            (self.misdeeds.write_outside)()
        }
        if let Some(rest) = prompt.strip_prefix(GARBAGE) {
            (self.misdeeds.scribble)(seed(rest));
        }
        if prompt.starts_with(FAULT_TRAINING) {
            self.faults_training = true;
        }
        if prompt.starts_with(SILENT) {
            (self.misdeeds.fall_silent)();
        }
        for (number, prefix) in WORKER.iter().enumerate() {
            if let Some(rest) = prompt.strip_prefix(*prefix) {
                (self.misdeeds.order_worker)(number, seed(rest));
            }
        }
        // The longer prefix comes first, because the other is a prefix of it.
        let habits = [
            (FLOOD, Habit::Flood),
            (LIE_PROMPT, Habit::LiePrompt),
            (LIE, Habit::Lie),
            (LEAK, Habit::Leak),
            (SHORT, Habit::Short),
        ];
        let habit = habits.iter().find(|(prefix, _)| prompt.starts_with(prefix));
        if let Some((_, habit)) = habit {
            self.habit = Some((session, *habit));
        }
    }
}

impl<B: LlmBackend> Injector<B> {
    /// Changes the text of a token, if its session misbehaves.
    fn spoil(&mut self, session: usize, text: &mut Text) {
        match self.habit {
            Some((liar, Habit::Leak)) if liar == session => {
                text.clear();
                // It fits: it is shorter than the longest text.
                let _ = text.push_str("leaked ");
            }
            // The next step is its end.
            Some((liar, Habit::Short)) if liar == session => self.backend.cancel(session),
            _ => {}
        }
    }
}

impl<B: LlmBackend> LlmBackend for Injector<B> {
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
        let tokens = self.backend.start(turn, prompt, params)?;
        self.misbehave(turn.session, prompt.last_text());
        Ok(tokens)
    }

    fn grant(&mut self, session: usize, tokens: u32) {
        self.backend.grant(session, tokens);
    }

    fn step(&mut self, text: &mut Text) -> Progress {
        if let Some((session, Habit::Flood)) = self.habit {
            text.clear();
            // It fits: it is shorter than the longest text.
            let _ = text.push_str("flood ");
            return Progress::Session(session, Ok(Step::Token { id: 0 }));
        }
        let progress = self.backend.step(text);
        if let Progress::Session(session, Ok(Step::Token { .. })) = &progress {
            self.spoil(*session, text);
        }
        if let Progress::Training(Ok(training)) = &progress
            && training.step > 0
            && self.faults_training
        {
            (self.misdeeds.write_outside)()
        }
        let Progress::Session(
            session,
            Ok(Step::Finished {
                reason,
                prompt_tokens,
                generated,
            }),
        ) = progress
        else {
            return progress;
        };
        let Some((_, habit)) = self.habit.take_if(|(liar, _)| *liar == session) else {
            return progress;
        };
        let (reason, prompt_tokens, generated) = match habit {
            Habit::LiePrompt => (reason, u32::MAX, generated),
            Habit::Lie | Habit::Flood => (reason, prompt_tokens, generated.saturating_add(1)),
            Habit::Leak => (reason, prompt_tokens, generated),
            Habit::Short => (FinishReason::EndOfText, prompt_tokens, generated),
        };
        let finished = Step::Finished {
            reason,
            prompt_tokens,
            generated,
        };
        Progress::Session(session, Ok(finished))
    }

    fn cancel(&mut self, session: usize) {
        self.backend.cancel(session);
    }

    fn forget(&mut self, session: usize) -> Result<(), GenerateError> {
        self.backend.forget(session)
    }

    fn reset(&mut self) {
        self.habit = None;
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
        self.backend.train(data, params)
    }

    fn end_training(&mut self) {
        self.backend.end_training();
    }

    fn made(&self, offset: usize) -> &[u8] {
        self.backend.made(offset)
    }

    fn inspect(&mut self) -> Inspection {
        self.backend.inspect()
    }
}

#[cfg(test)]
mod tests;
