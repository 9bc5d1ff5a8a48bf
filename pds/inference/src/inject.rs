//! A backend that misbehaves on demand, so that tests see audit recover from it.

use llm_core::arena::Usage;
use llm_core::backend::{LlmBackend, ModelInfo};
use llm_core::generate::{GenerateError, GenerateParams, Progress, Text};
use llm_core::transformer::LoadError;

/// A prompt that begins with this writes outside the regions of the domain.
pub const FAULT_WRITE: &[u8] = b"!fault-write";
/// A prompt that begins with this disarms what timers it can and spins for ever.
pub const SPIN: &[u8] = b"!spin";

/// What the runtime does for each prompt; neither returns.
#[derive(Clone, Copy, Debug)]
pub struct Misdeeds {
    /// For [`FAULT_WRITE`].
    pub write_outside: fn() -> !,
    /// For [`SPIN`].
    pub spin: fn() -> !,
}

/// Passes everything on to `backend`, but for the two prompts.
#[derive(Debug)]
pub struct Injector<B> {
    backend: B,
    misdeeds: Misdeeds,
}

impl<B> Injector<B> {
    /// See the module.
    #[must_use]
    pub const fn new(backend: B, misdeeds: Misdeeds) -> Self {
        Self { backend, misdeeds }
    }
}

impl<B: LlmBackend> LlmBackend for Injector<B> {
    fn load(&mut self, file: &[u8]) -> Result<ModelInfo, LoadError> {
        self.backend.load(file)
    }

    fn model(&self) -> Option<&ModelInfo> {
        self.backend.model()
    }

    fn usage(&self) -> Usage {
        self.backend.usage()
    }

    fn start(&mut self, prompt: &[u8], params: &GenerateParams) -> Result<usize, GenerateError> {
        if prompt.starts_with(FAULT_WRITE) {
            (self.misdeeds.write_outside)()
        }
        if prompt.starts_with(SPIN) {
            (self.misdeeds.spin)()
        }
        self.backend.start(prompt, params)
    }

    fn step(&mut self, text: &mut Text) -> Progress {
        self.backend.step(text)
    }

    fn cancel(&mut self, session: usize) {
        self.backend.cancel(session);
    }
}
