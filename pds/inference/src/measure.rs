//! A backend that measures itself on demand, for `make bench-qemu`.
//!
//! - [`REPEAT`]: computes the same token at the same position repeatedly, without the sampler. The text is the median
//!   and the longest time.
//! - [`ECHO`]: [`StubBackend`] returns the prompt without a model, so only the cost of the boundaries remains.

use core::fmt::Write as _;
use llm_core::arena::Usage;
use llm_core::backend::{LlmBackend, ModelInfo, StubBackend, TransformerBackend};
use llm_core::generate::{
    FinishReason, GenerateError, GenerateParams, Occupancy, Progress, Prompt, Step, Text, Turn,
};
use llm_core::seal::Inspection;
use llm_core::team::Alone;
use llm_core::transformer::training::{TrainError, TrainParams, TrainPlan};
use llm_core::transformer::{AdapterError, AdapterInfo, LoadError};

/// A prompt that begins with this measures one position.
pub const REPEAT: &[u8] = b"!repeat";
/// A prompt that begins with this is returned.
pub const ECHO: &[u8] = b"!echo";

/// Position of the token.
const POSITION: usize = 100;

/// How often the token is computed.
const TIMES: usize = 1000;

/// Passes everything on to the transformer, except the two prompts. They use the whole domain: other sessions are
/// forgotten.
#[derive(Debug)]
pub struct Measurer<'m> {
    transformer: TransformerBackend<'m>,
    stub: StubBackend,
    now_us: fn() -> u64,
    echoing: bool,
    /// The session of the request.
    session: usize,
    /// Times measured so far, in microseconds, while a measurement runs.
    measured: Option<heapless::Vec<u32, TIMES>>,
    /// Tokens that may still be generated. There is only one, the text.
    credit: u32,
    /// The text has been sent, but not the end.
    told: bool,
    /// The end shall be sent, without the text if that has not been sent.
    cancelled: bool,
}

impl<'m> Measurer<'m> {
    /// A measurer over a transformer and a clock in microseconds.
    #[must_use]
    pub fn new(transformer: TransformerBackend<'m>, now_us: fn() -> u64) -> Self {
        let mut stub = StubBackend::default();
        // It accepts any file.
        let _ = stub.load(&[]);
        Self {
            transformer,
            stub,
            now_us,
            echoing: false,
            session: 0,
            measured: None,
            credit: 0,
            told: false,
            cancelled: false,
        }
    }

    /// Fills the positions before the measured one.
    fn prepare(&mut self) -> Result<(), GenerateError> {
        self.transformer.reset();
        let (model, arena) = self.transformer.parts().ok_or(GenerateError::NoModel)?;
        model.reserve(arena, 0, POSITION + 1)?;
        for position in 0..POSITION {
            model
                .forward(arena, &mut Alone, &[3], position, false)
                .map_err(|_| GenerateError::NonFinite)?;
        }
        Ok(())
    }

    /// The next measurement, or the result.
    fn measure(&mut self, text: &mut Text) -> Progress {
        let Some(measured) = &mut self.measured else {
            return Progress::Idle;
        };
        if self.told || self.cancelled {
            let finished = Step::Finished {
                reason: match self.told {
                    true => FinishReason::EndOfText,
                    false => FinishReason::Cancelled,
                },
                prompt_tokens: 1,
                generated: u32::from(self.told),
            };
            self.measured = None;
            if let Some((model, arena)) = self.transformer.parts() {
                model.release(arena, 0);
            }
            return Progress::Session(self.session, Ok(finished));
        }
        if measured.is_full() {
            if self.credit == 0 {
                return Progress::Idle;
            }
            measured.sort_unstable();
            let (median, worst) = (measured[TIMES / 2], measured[TIMES - 1]);
            text.clear();
            // It fits: it is shorter than the longest text.
            let _ = write!(text, "median {median} us worst {worst} us");
            self.told = true;
            return Progress::Session(self.session, Ok(Step::Token { id: 0 }));
        }
        let begun = (self.now_us)();
        if let Some((model, arena)) = self.transformer.parts()
            && model
                .forward(arena, &mut Alone, &[3], POSITION, true)
                .is_err()
        {
            self.measured = None;
            return Progress::Session(self.session, Err(GenerateError::NonFinite));
        }
        let elapsed = (self.now_us)().saturating_sub(begun);
        // It is not full.
        let _ = measured.push(elapsed as u32);
        Progress::Working
    }
}

impl LlmBackend for Measurer<'_> {
    fn set_context(&mut self, tokens: usize) {
        self.transformer.set_context(tokens);
    }

    fn load(&mut self, file: &[u8]) -> Result<ModelInfo, LoadError> {
        self.transformer.load(file)
    }

    fn model(&self) -> Option<&ModelInfo> {
        self.transformer.model()
    }

    fn usage(&self) -> Usage {
        self.transformer.usage()
    }

    fn occupancy(&self) -> Occupancy {
        self.transformer.occupancy()
    }

    fn start(
        &mut self,
        turn: Turn,
        prompt: Prompt<'_>,
        params: &GenerateParams,
    ) -> Result<u32, GenerateError> {
        if self.echoing || self.measured.is_some() {
            return Err(GenerateError::Busy);
        }
        if let Some(echo) = prompt.last_text().strip_prefix(ECHO) {
            let tokens = self.stub.start(turn, Prompt::Text(echo), params)?;
            self.echoing = true;
            return Ok(tokens);
        }
        if prompt.last_text().starts_with(REPEAT) {
            self.prepare()?;
            self.session = turn.session;
            self.credit = turn.credit;
            self.told = false;
            self.cancelled = false;
            self.measured = Some(heapless::Vec::new());
            return Ok(1);
        }
        self.transformer.start(turn, prompt, params)
    }

    fn grant(&mut self, session: usize, tokens: u32) {
        if self.echoing {
            self.stub.grant(session, tokens);
        } else if self.measured.is_some() {
            self.credit = self.credit.max(tokens);
        } else {
            self.transformer.grant(session, tokens);
        }
    }

    fn step(&mut self, text: &mut Text) -> Progress {
        if self.echoing {
            let progress = self.stub.step(text);
            self.echoing = !matches!(progress, Progress::Session(_, Ok(Step::Finished { .. })));
            return progress;
        }
        match self.measured {
            Some(_) => self.measure(text),
            None => self.transformer.step(text),
        }
    }

    fn cancel(&mut self, session: usize) {
        if self.echoing {
            self.stub.cancel(session);
        } else if self.measured.is_some() {
            self.cancelled = true;
        } else {
            self.transformer.cancel(session);
        }
    }

    fn forget(&mut self, session: usize) -> Result<(), GenerateError> {
        self.stub.forget(session)?;
        self.transformer.forget(session)
    }

    fn reset(&mut self) {
        self.echoing = false;
        self.measured = None;
        self.stub.reset();
        self.transformer.reset();
    }

    fn load_adapter(
        &mut self,
        adapter: usize,
        file: &[u8],
        base: &[u8; 32],
    ) -> Result<AdapterInfo, AdapterError> {
        self.transformer.load_adapter(adapter, file, base)
    }

    fn drop_adapter(&mut self, adapter: usize) -> Result<(), AdapterError> {
        self.transformer.drop_adapter(adapter)
    }

    fn train(&mut self, data: &[u8], params: &TrainParams) -> Result<TrainPlan, TrainError> {
        self.transformer.train(data, params)
    }

    fn end_training(&mut self) {
        self.transformer.end_training();
    }

    fn made(&self, offset: usize) -> &[u8] {
        self.transformer.made(offset)
    }

    fn inspect(&mut self) -> Inspection {
        self.transformer.inspect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llm_core::arena::Arena;
    use llm_core::kv_cache::KvType;
    use llm_core::sampling::SamplerParams;
    use llm_core::simd::Cpu;
    use llm_core::testing::{Memory, Shape, model};
    use llm_core::transformer::{LoadOptions, Positions};
    use std::string::String;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// Advances by three microseconds each time, and once by nine.
    fn clock() -> u64 {
        static TIME: AtomicU64 = AtomicU64::new(0);
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let step = if CALLS.fetch_add(1, Relaxed) == 101 {
            9
        } else {
            3
        };
        TIME.fetch_add(step, Relaxed) + step
    }

    #[test]
    fn it_measures_gives_back_and_passes_on() {
        let mut memory = Memory::new(1 << 20);
        let options = LoadOptions {
            context: 128,
            kv: KvType::Q8,
            sessions: 1,
            positions: Positions::Fill,
            max_prompt_bytes: 64,
            cpu: Cpu::of_build(),
            workers: 1,
        };
        let backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), options);
        let mut measurer = Measurer::new(backend, clock);
        let file = model(Shape {
            context: 128,
            ..Shape::default()
        });
        measurer.load(&file.finish()).unwrap();
        let params = GenerateParams {
            sampler: SamplerParams::greedy(),
            max_tokens: 4,
        };
        let mut run = |prompt: &[u8]| {
            let prompt = Prompt::Text(prompt);
            measurer.start(Turn::only(0), prompt, &params).unwrap();
            let (mut all, mut text, mut tokens) = (String::new(), Text::new(), 0);
            loop {
                match measurer.step(&mut text) {
                    Progress::Session(_, Ok(Step::Token { .. })) => {
                        all.push_str(&text);
                        tokens += 1;
                    }
                    Progress::Session(_, Ok(Step::Finished { generated, .. })) => {
                        assert_eq!(generated, tokens);
                        return all;
                    }
                    Progress::Session(_, Err(error)) => panic!("{error}"),
                    Progress::Idle => panic!("it is under way"),
                    _ => {}
                }
            }
        };
        assert_eq!(run(b"!repeat"), "median 3 us worst 9 us");
        assert_eq!(run(b"!echoabcdef"), "abcd");
        run(b"hello");

        // Without credit it pauses before the text, but if it is cancelled it still ends.
        let turn = Turn {
            credit: 0,
            ..Turn::only(0)
        };
        let mut text = Text::new();
        let mut to_rest = |measurer: &mut Measurer<'_>| loop {
            match measurer.step(&mut text) {
                Progress::Working => {}
                other => break other,
            }
        };
        for (granted, reason) in [(1, FinishReason::EndOfText), (0, FinishReason::Cancelled)] {
            measurer.start(turn, Prompt::Text(REPEAT), &params).unwrap();
            assert_eq!(to_rest(&mut measurer), Progress::Idle);
            if granted == 1 {
                measurer.grant(0, 1);
                let token = Progress::Session(0, Ok(Step::Token { id: 0 }));
                assert_eq!(to_rest(&mut measurer), token);
            }
            measurer.cancel(0);
            let end = Step::Finished {
                reason,
                prompt_tokens: 1,
                generated: granted,
            };
            assert_eq!(to_rest(&mut measurer), Progress::Session(0, Ok(end)));
            assert_eq!(to_rest(&mut measurer), Progress::Idle);
        }
    }
}
