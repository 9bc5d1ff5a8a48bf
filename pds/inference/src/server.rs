//! Reads commands and writes reports.

mod adapters;
mod commands;
mod sending;

#[cfg(test)]
pub(crate) use sending::cut;

use crate::convert;
use crate::failure;
use crate::tuning::Tuning;
use adapters::NO_SLOTS;
use llm_core::backend::LlmBackend;
use llm_core::generate::{GenerateError, GenerateParams, Progress, Prompt, Text, Turn};
use llm_core::seal::Inspection;
use llm_core::transformer::training::TrainError;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_PART_BYTES, MAX_SESSIONS};
use protocol::region::{ReadParts, ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame};
use protocol::wire::engine::{Report, Source};
use protocol::wire::{InferParams, Parts};

/// What the server needs from its runtime.
pub trait Port {
    /// Tells audit to look at its ring.
    fn notify_audit(&mut self);
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Poll again.
    Busy,
    /// Wait for a signal from audit.
    Idle,
}

/// Whether more commands may be read before the next step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cost {
    /// It took no noticeable time.
    Small,
    /// A prompt was tokenized, or a model loaded.
    Large,
}

/// The server. There is one per domain, for the domain's life.
pub struct Server<'s, R, W, B> {
    service: Service<'s, R, W, B>,
    /// The current command. It is separate, so its handler can change the rest without a copy.
    incoming: Frame,
}

/// Everything except the current command.
struct Service<'s, R, W, B> {
    ring: Endpoint<R, W>,
    backend: B,
    store: &'s [u8],
    adapters: &'s dyn ReadParts,
    slots: &'s dyn ReadParts,
    tuning: Option<Tuning>,
    /// The part of a trained adapter that is sent next.
    part: heapless::Vec<u8, MAX_PART_BYTES>,
    /// The requests that the backend has: their numbers, by session.
    requests: [Option<u32>; MAX_SESSIONS],
    outgoing: Frame,
    /// `outgoing` holds a report that did not fit into the ring.
    unsent: bool,
    text: Text,
    memory: MemoryState,
}

/// What is known of the memory that only a load writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemoryState {
    /// It was found as the load left it, and nothing was computed since.
    Inspected,
    /// Something was computed since. It is inspected when there is nothing else to do.
    Used,
    /// An inspection is under way, and nothing was computed since it began.
    Inspecting,
    /// An inspection is under way, and something was computed since it began. It has to be followed by another, because
    /// what it has already passed may have changed.
    Overtaken,
    /// It has changed, and audit has been told. Nothing more is done until the restart.
    Corrupt,
}

impl<'s, R: ReadWords, W: WriteWords, B: LlmBackend> Server<'s, R, W, B> {
    /// A server without an epoch, which is silent until audit begins one. `adapters` is the region of adapters made on
    /// this device.
    pub const fn new(
        ring: Endpoint<R, W>,
        backend: B,
        store: &'s [u8],
        adapters: &'s dyn ReadParts,
    ) -> Self {
        Self {
            service: Service {
                ring,
                backend,
                store,
                adapters,
                slots: &NO_SLOTS,
                tuning: None,
                part: heapless::Vec::new(),
                requests: [None; MAX_SESSIONS],
                outgoing: Frame::new(),
                unsent: false,
                text: Text::new(),
                memory: MemoryState::Inspected,
            },
            incoming: Frame::new(),
        }
    }

    /// A server that also loads models from this region. An offset beyond the store points into it.
    #[must_use]
    pub const fn with_slots(mut self, slots: &'s dyn ReadParts) -> Self {
        self.service.slots = slots;
        self
    }

    /// The backend, to change what it computes with.
    #[cfg(test)]
    pub(crate) const fn backend_mut(&mut self) -> &mut B {
        &mut self.service.backend
    }

    /// Does a bounded amount of work: reads commands, with one prompt at most, and then does one step.
    pub fn poll(&mut self, port: &mut impl Port) -> Activity {
        self.service.poll(&mut self.incoming, port)
    }
}

impl<'s, R: ReadWords, W: WriteWords, B: LlmBackend> Service<'s, R, W, B> {
    fn poll(&mut self, incoming: &mut Frame, port: &mut impl Port) -> Activity {
        if self.ring.follow() {
            self.begin_epoch(port);
        }
        if !self.flush(port) {
            // Audit signals when it has made room.
            return Activity::Idle;
        }
        if self.memory == MemoryState::Corrupt {
            return Activity::Idle;
        }
        let more = self.read_commands(incoming, port);
        if self.unsent {
            return Activity::Idle;
        }
        let sent = self.send_part(port);
        if self.unsent {
            return Activity::Idle;
        }
        let stepped = self.step(port);
        // If all requests are out of credit, only a command can continue one.
        let has_work = self.tuning.is_some() || self.requests.iter().any(Option::is_some);
        let busy = more || sent || (stepped && has_work);
        match (self.unsent, busy) {
            (true, _) => Activity::Idle,
            (false, true) => Activity::Busy,
            (false, false) => self.inspect(port),
        }
    }

    /// With nothing else to do, looks at the next piece of the memory that requests have used.
    fn inspect(&mut self, port: &mut impl Port) -> Activity {
        if matches!(self.memory, MemoryState::Inspected | MemoryState::Corrupt) {
            return Activity::Idle;
        }
        self.memory = match self.backend.inspect() {
            Inspection::Unfinished if self.memory == MemoryState::Used => MemoryState::Inspecting,
            Inspection::Unfinished => self.memory,
            Inspection::Sound if self.memory == MemoryState::Overtaken => MemoryState::Used,
            Inspection::Sound => MemoryState::Inspected,
            Inspection::Changed => {
                self.give_up(port);
                return Activity::Idle;
            }
        };
        match self.memory {
            MemoryState::Inspected => Activity::Idle,
            _ => Activity::Busy,
        }
    }

    /// Whether memory that only a load writes has changed. This takes as long as reading all of it.
    fn is_corrupt(&mut self) -> bool {
        // An inspection that is under way began before what is suspicious now.
        let mut whole = 0;
        while whole < 2 {
            match self.backend.inspect() {
                Inspection::Unfinished => {}
                Inspection::Sound => whole += 1,
                Inspection::Changed => return true,
            }
        }
        self.memory = MemoryState::Inspected;
        false
    }

    /// Tells audit that the model is unusable. Audit restarts the domain, which ends all requests.
    fn give_up(&mut self, port: &mut impl Port) {
        self.memory = MemoryState::Corrupt;
        self.send(0, &Report::Corrupt, port);
    }

    fn begin_epoch(&mut self, port: &mut impl Port) {
        self.backend.reset();
        self.requests = [None; MAX_SESSIONS];
        self.tuning = None;
        self.unsent = false;
        self.send(0, &Report::Ready, port);
    }

    fn fail(&mut self, request: u32, failure: Failure, detail: &str, port: &mut impl Port) {
        let report = Report::Failed {
            failure,
            detail: detail.as_bytes(),
        };
        self.send(request, &report, port);
    }

    /// Starts a request. `format` comes from the command; everything else is in `turn`.
    fn infer(
        &mut self,
        request: u32,
        turn: Turn,
        format: u32,
        parts: &Parts<'_>,
        params: &InferParams,
        port: &mut impl Port,
    ) -> Result<(), Failure> {
        // The parse has checked the session.
        let Some(slot) = self.requests.get_mut(turn.session) else {
            return Err(Failure::of(ErrorCode::NoSuchSession));
        };
        if slot.is_some() {
            return Err(Failure::of(ErrorCode::SessionBusy));
        }
        let turn = Turn {
            format: convert::format(format, parts)?,
            stops: parts.ending()?,
            ..turn
        };
        let segments = convert::segments(parts);
        let prompt = parts
            .completion()
            .map_or(Prompt::Segments(&segments), Prompt::Text);
        let params = GenerateParams::from(*params);
        match self.backend.start(turn, prompt, &params) {
            Ok(_) => *slot = Some(request),
            Err(error) => {
                let detail = failure::detail_of_generate(&error);
                self.fail(request, failure::of_generate(error), &detail, port);
            }
        }
        Ok(())
    }

    /// The session of a request in flight.
    fn session_of(&self, request: u32) -> Option<usize> {
        self.requests.iter().position(|r| *r == Some(request))
    }

    /// Grants credit. Ignores a request that has ended, because audit may grant credit while the end is in the ring.
    fn grant(&mut self, request: u32, tokens: u32) {
        if let Some(session) = self.session_of(request) {
            self.backend.grant(session, tokens);
        }
    }

    fn cancel(&mut self, request: u32, port: &mut impl Port) -> Result<(), Failure> {
        if let Some(tuning) = self.tuning.take_if(|tuning| tuning.request == request) {
            self.backend.end_training();
            self.send(request, &Report::Trained(tuning.trained(true)), port);
            return Ok(());
        }
        let session = self.session_of(request);
        let session = session.ok_or(Failure::of(ErrorCode::NoSuchRequest))?;
        self.backend.cancel(session);
        Ok(())
    }

    /// A part of the memory that holds files, if it lies inside.
    fn part_of(&self, source: Source, offset: u64, bytes: u64) -> Option<&'s [u8]> {
        match source {
            Source::Store => part(self.store, offset, bytes),
            Source::Device => self.adapters.part(offset, bytes),
        }
    }

    fn load(&mut self, request: u32, offset: u64, bytes: u64, port: &mut impl Port) {
        if self.tuning.is_some() || self.requests.iter().any(Option::is_some) {
            let failure = Failure::of(ErrorCode::ModelInUse);
            return self.fail(request, failure, "", port);
        }
        let in_slots = offset.checked_sub(self.store.len() as u64);
        let file = match in_slots {
            Some(offset) => self.slots.part(offset, bytes),
            None => part(self.store, offset, bytes),
        };
        let Some(file) = file else {
            let end = offset.saturating_add(bytes);
            let failure = Failure::over(ErrorCode::BadModel, end, self.store.len() as u64);
            return self.fail(request, failure, "the file ends behind the store", port);
        };
        match self.backend.load(file) {
            Ok(info) => {
                let loaded = convert::loaded(&info, &self.backend.usage());
                self.send(request, &Report::Loaded(loaded), port);
            }
            Err(error) => {
                let (failure, detail) = failure::of_load(&error, file.len());
                self.fail(request, failure, &detail, port);
            }
        }
    }

    /// Does one step of a request or a training. Returns false if there was nothing to do.
    fn step(&mut self, port: &mut impl Port) -> bool {
        match self.backend.step(&mut self.text) {
            Progress::Idle => return false,
            // A model can have values that are not finite. So it is the cause only if it is not what was loaded.
            Progress::Session(_, Err(GenerateError::NonFinite))
            | Progress::Training(Err(TrainError::NonFinite { .. }))
                if self.is_corrupt() =>
            {
                self.give_up(port);
            }
            Progress::Working => {}
            Progress::Training(progress) => self.train_on(progress, port),
            Progress::Session(session, step) => self.report(session, step, port),
            Progress::Evicted(session) => {
                let session = session as u32;
                self.send(0, &Report::Evicted { session }, port);
            }
        }
        self.memory = match self.memory {
            MemoryState::Inspected => MemoryState::Used,
            MemoryState::Inspecting => MemoryState::Overtaken,
            same => same,
        };
        true
    }
}

/// Detail about a file whose place is invalid.
const OUTSIDE: &str = "the file ends behind what it lies in";

/// Returns `bytes` bytes of `store` from `offset`, if they lie inside.
fn part(store: &[u8], offset: u64, bytes: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = usize::try_from(offset.checked_add(bytes)?).ok()?;
    store.get(start..end)
}
