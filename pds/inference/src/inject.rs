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
mod tests {
    use super::*;
    use llm_core::backend::StubBackend;
    use llm_core::sampling::SamplerParams;
    use std::cell::Cell;
    use std::string::String;
    use std::vec::Vec;

    std::thread_local! {
        static SCRIBBLED: Cell<u64> = const { Cell::new(0) };
        static SILENT: Cell<bool> = const { Cell::new(false) };
        static ROUNDING: Cell<bool> = const { Cell::new(false) };
    }

    const MISDEEDS: Misdeeds = Misdeeds {
        write_outside: || panic!("writes outside"),
        spin: || panic!("spins"),
        scribble: |seed| SCRIBBLED.set(seed),
        set_rounding: || ROUNDING.set(true),
        fall_silent: || SILENT.set(true),
    };

    fn injector() -> Injector<StubBackend> {
        let mut injector = Injector::new(StubBackend::default(), MISDEEDS);
        injector.load(b"anything").unwrap();
        injector
    }

    fn start(injector: &mut Injector<StubBackend>, session: usize, prompt: &[u8]) {
        let params = GenerateParams {
            sampler: SamplerParams::greedy(),
            max_tokens: 3,
        };
        injector
            .start(Turn::only(session), Prompt::Text(prompt), &params)
            .unwrap();
    }

    /// Generated tokens, and both counts in the end.
    fn run(injector: &mut Injector<StubBackend>) -> (u32, u32, u32) {
        let (mut text, mut tokens) = (Text::new(), 0);
        loop {
            match injector.step(&mut text) {
                Progress::Session(_, Ok(Step::Token { .. })) => tokens += 1,
                Progress::Session(
                    _,
                    Ok(Step::Finished {
                        prompt_tokens,
                        generated,
                        ..
                    }),
                ) => return (tokens, prompt_tokens, generated),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn lies_are_in_the_counts_alone_and_told_once() {
        let mut injector = injector();
        start(&mut injector, 2, b"!lie");
        assert_eq!(run(&mut injector), (3, 4, 4));
        start(&mut injector, 2, b"!lie-prompt");
        assert_eq!(run(&mut injector), (3, u32::MAX, 3));
        start(&mut injector, 2, b"true");
        assert_eq!(run(&mut injector), (3, 4, 3));
    }

    #[test]
    fn a_leak_is_in_each_token_and_a_short_answer_ends_as_if_it_were_whole() {
        let mut injector = injector();
        start(&mut injector, 2, b"!leak");
        let (mut text, mut said) = (Text::new(), String::new());
        while let Progress::Session(_, Ok(Step::Token { .. })) = injector.step(&mut text) {
            said.push_str(&text);
        }
        assert_eq!(said, "leaked leaked leaked ");
        start(&mut injector, 2, b"!short");
        let token = injector.step(&mut text);
        assert!(matches!(
            token,
            Progress::Session(2, Ok(Step::Token { .. }))
        ));
        let finished = Step::Finished {
            reason: FinishReason::EndOfText,
            prompt_tokens: 6,
            generated: 1,
        };
        assert_eq!(injector.step(&mut text), Progress::Session(2, Ok(finished)));
        start(&mut injector, 2, b"true");
        assert_eq!(run(&mut injector), (3, 4, 3));
    }

    #[test]
    fn a_flood_goes_on_through_a_cancel_until_an_epoch_ends_it() {
        let mut injector = injector();
        start(&mut injector, 5, b"!flood");
        injector.cancel(5);
        let mut text = Text::new();
        for _ in 0..1000 {
            let token = Progress::Session(5, Ok(Step::Token { id: 0 }));
            assert_eq!(injector.step(&mut text), token);
        }
        injector.reset();
        assert_eq!(injector.step(&mut text), Progress::Idle);
    }

    #[test]
    fn garbage_depends_on_the_prompt_and_the_request_goes_on() {
        let mut injector = injector();
        let mut seeds = Vec::new();
        for prompt in [b"!garbage 1", b"!garbage 2", b"!garbage 1"] {
            start(&mut injector, 0, prompt);
            assert_eq!(run(&mut injector), (3, 10, 3));
            seeds.push(SCRIBBLED.get());
        }
        assert!(seeds[0] == seeds[2] && seeds[0] != seeds[1]);
        let words = |seed| Garbage::new(seed).take(4).collect::<Vec<_>>();
        assert_ne!(words(seeds[0]), words(seeds[1]));
        // The first output of the reference implementation for seed 0.
        assert_eq!(words(0)[0], 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn silence_is_the_runtimes() {
        start(&mut injector(), 0, b"!silent");
        assert!(SILENT.get());
    }

    #[test]
    #[should_panic(expected = "writes outside")]
    fn another_rounding_comes_before_the_fault() {
        let mut injector = injector();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            start(&mut injector, 0, b"!fpcr");
        }));
        assert!(ROUNDING.get());
        std::panic::resume_unwind(result.unwrap_err());
    }
}
