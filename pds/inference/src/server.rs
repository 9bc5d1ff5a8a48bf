//! Reads commands and writes reports.

use crate::convert;
use crate::failure::{self, Detail};
use crate::tuning::{Sending, Tuning};
use llm_core::backend::LlmBackend;
use llm_core::generate::{GenerateError, Progress, Prompt, Step, Text, Turn};
use llm_core::seal::Inspection;
use llm_core::transformer::training::{TrainError, TrainProgress};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::limits::{MAX_PART_BYTES, MAX_PIECE_BYTES, MAX_SESSIONS};
use protocol::region::{ReadParts, ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SLOTS};
use protocol::wire::engine::{Command, Report, Source};
use protocol::wire::{InferParams, Parts, TrainParams};

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
        if self.memory != MemoryState::Used {
            return Activity::Idle;
        }
        match self.backend.inspect() {
            Inspection::Unfinished => Activity::Busy,
            Inspection::Sound => {
                self.memory = MemoryState::Inspected;
                Activity::Idle
            }
            Inspection::Changed => {
                self.give_up(port);
                Activity::Idle
            }
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

    /// Sends `report`, or keeps it until there is room. The caller has made sure that none is kept.
    fn send(&mut self, request: u32, report: &Report<'_>, port: &mut impl Port) {
        report.write(request, &mut self.outgoing);
        self.send_written(port);
    }

    /// Sends the report in the frame, or keeps it.
    fn send_written(&mut self, port: &mut impl Port) {
        self.unsent = true;
        self.flush(port);
    }

    /// Sends the kept report, if there is one. Returns true if none is left.
    fn flush(&mut self, port: &mut impl Port) -> bool {
        if self.unsent && self.ring.send(&self.outgoing).is_ok() {
            self.unsent = false;
            port.notify_audit();
        }
        !self.unsent
    }

    /// Reads at most a ring full of commands, while there is room for their answers, and stops after one that takes
    /// time: a cancel must not wait for many. Returns true if there may be more.
    fn read_commands(&mut self, incoming: &mut Frame, port: &mut impl Port) -> bool {
        let mut more = true;
        for _ in 0..SLOTS {
            if self.unsent {
                break;
            }
            // A violation is dropped. There is none, because audit is trusted.
            if self.ring.receive(incoming) != Ok(true) {
                more = false;
                break;
            }
            if self.handle_command(incoming, port) == Cost::Large {
                break;
            }
        }
        if self.ring.take_owed_signal() {
            port.notify_audit();
        }
        more
    }

    fn handle_command(&mut self, frame: &Frame, port: &mut impl Port) -> Cost {
        let request = frame.header().request;
        let mut cost = Cost::Small;
        let answer = match Command::parse(frame) {
            Ok(Command::Infer {
                params,
                session,
                client,
                user,
                fresh,
                keep,
                credit,
                adapter,
                format,
                user_defined,
                parts,
            }) => {
                cost = Cost::Large;
                let turn = Turn {
                    client: client as usize,
                    owner: user,
                    fresh,
                    keep,
                    credit,
                    user_defined,
                    // The parse has checked that it is a place plus one.
                    adapter: adapter.checked_sub(1).map(|place| place as u8),
                    ..Turn::first(session as usize)
                };
                self.infer(request, turn, format, &parts, &params, port)
            }
            Ok(Command::Cancel) => self.cancel(request, port),
            Ok(Command::Credit { tokens }) => {
                self.grant(request, tokens);
                Ok(())
            }
            Ok(Command::Load {
                offset,
                bytes,
                context,
            }) => {
                self.backend.set_context(context as usize);
                self.load(request, offset, bytes, port);
                cost = Cost::Large;
                Ok(())
            }
            Ok(Command::Status) => {
                let holdings = convert::holdings(&self.backend.usage(), &self.backend.occupancy());
                self.send(request, &Report::Holdings(holdings), port);
                Ok(())
            }
            Ok(Command::Drop { session }) => match self.backend.forget(session as usize) {
                // Without a model there is nothing to forget.
                Ok(()) | Err(GenerateError::NoModel) => Ok(()),
                Err(error) => Err(failure::of_generate(error)),
            },
            Ok(Command::Adapter {
                place,
                source,
                offset,
                bytes,
                base,
            }) => {
                let file = self.part_of(source, offset, bytes);
                self.load_adapter(request, place as usize, file, &base, port);
                cost = Cost::Large;
                Ok(())
            }
            Ok(Command::DropAdapter { place }) => {
                self.drop_adapter(request, place as usize, port);
                Ok(())
            }
            Ok(Command::Train {
                params,
                source,
                offset,
                bytes,
                base,
                room,
            }) => {
                let data = self.part_of(source, offset, bytes);
                self.train(request, data, &params, base, room, port);
                cost = Cost::Large;
                Ok(())
            }
            Err(_) => Err(Failure::of(ErrorCode::Unsupported)),
        };
        if let Err(failure) = answer {
            self.fail(request, failure, "", port);
        }
        cost
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
        let params = convert::generate_params(params);
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
        if self.memory == MemoryState::Inspected {
            self.memory = MemoryState::Used;
        }
        true
    }

    // ---- Adapters -------------------------------------------------------------------------------

    fn load_adapter(
        &mut self,
        request: u32,
        place: usize,
        file: Option<&[u8]>,
        base: &Hash,
        port: &mut impl Port,
    ) {
        let Some(file) = file else {
            return self.fail(request, Failure::of(ErrorCode::BadAdapter), OUTSIDE, port);
        };
        if self.tuning.is_some() {
            return self.fail(request, Failure::of(ErrorCode::Training), "", port);
        }
        match self.backend.load_adapter(place, file, base) {
            Ok(info) => {
                let positions = self.backend.occupancy().positions;
                let loaded = convert::adapter_loaded(&info, &self.backend.usage(), positions);
                self.send(request, &Report::AdapterLoaded(loaded), port);
            }
            Err(error) => {
                let (failure, detail) = failure::of_adapter(&error);
                self.fail(request, failure, &detail, port);
            }
        }
    }

    fn drop_adapter(&mut self, request: u32, place: usize, port: &mut impl Port) {
        if self.tuning.is_some() {
            return self.fail(request, Failure::of(ErrorCode::Training), "", port);
        }
        if let Err(error) = self.backend.drop_adapter(place) {
            let (failure, detail) = failure::of_adapter(&error);
            self.fail(request, failure, &detail, port);
        }
    }

    fn train(
        &mut self,
        request: u32,
        data: Option<&[u8]>,
        params: &TrainParams,
        base: Hash,
        room: u64,
        port: &mut impl Port,
    ) {
        let Some(data) = data else {
            return self.fail(request, Failure::of(ErrorCode::BadData), OUTSIDE, port);
        };
        if self.tuning.is_some() {
            return self.fail(request, Failure::of(ErrorCode::Training), "", port);
        }
        match self
            .backend
            .train(data, &convert::train_params(params, base))
        {
            Ok(plan) if plan.file > room => {
                self.backend.end_training();
                let failure = Failure::over(ErrorCode::AdapterRoom, plan.file, room);
                self.fail(request, failure, "", port);
            }
            Ok(plan) => {
                let tuning = Tuning::new(request, plan, room);
                let progress = tuning.progress();
                self.tuning = Some(tuning);
                self.send(request, &Report::Training(progress), port);
            }
            Err(error) => {
                let (failure, detail) = failure::of_train(&error);
                self.fail(request, failure, &detail, port);
            }
        }
    }

    /// A training has progressed or ended.
    fn train_on(&mut self, progress: Result<TrainProgress, TrainError>, port: &mut impl Port) {
        let Some(tuning) = &mut self.tuning else {
            return;
        };
        let request = tuning.request;
        match progress {
            Ok(progress) => {
                let is_due = tuning.advance(progress);
                if progress.over {
                    if let Err((bytes, room)) = tuning.send() {
                        let failure = Failure::over(ErrorCode::AdapterRoom, bytes, room);
                        self.fail_training(request, failure, &Detail::new(), port);
                    }
                } else if is_due {
                    let progress = tuning.progress();
                    self.send(request, &Report::Training(progress), port);
                }
            }
            Err(error) => {
                let (failure, detail) = failure::of_train(&error);
                self.fail_training(request, failure, &detail, port);
            }
        }
    }

    fn fail_training(
        &mut self,
        request: u32,
        failure: Failure,
        detail: &Detail,
        port: &mut impl Port,
    ) {
        self.tuning = None;
        self.backend.end_training();
        self.fail(request, failure, detail, port);
    }

    /// Sends the next part of a trained adapter, or reports its end. Returns false if there is none.
    fn send_part(&mut self, port: &mut impl Port) -> bool {
        let Some(tuning) = self.tuning.as_mut().filter(|tuning| tuning.is_sending()) else {
            return false;
        };
        let request = tuning.request;
        match tuning.next(&self.backend, &mut self.part) {
            Sending::Part(offset) => {
                let bytes = &self.part;
                Report::Part { offset, bytes }.write(request, &mut self.outgoing);
                self.send_written(port);
            }
            Sending::Over => {
                let trained = tuning.trained(false);
                self.tuning = None;
                self.backend.end_training();
                self.send(request, &Report::Trained(trained), port);
            }
        }
        true
    }

    // ---- What is under way ----------------------------------------------------------------------

    /// Reports the result of a session's step to audit.
    fn report(&mut self, session: usize, step: Result<Step, GenerateError>, port: &mut impl Port) {
        let Some(slot) = self.requests.get_mut(session) else {
            return;
        };
        let Some(request) = *slot else {
            return;
        };
        match step {
            Ok(Step::Prefill { .. }) => {}
            Ok(Step::Token { id }) => {
                // If a malicious model makes a text too long for a report, it is cut between characters.
                let text = cut(&self.text, MAX_PIECE_BYTES).as_bytes();
                Report::Token { id, text }.write(request, &mut self.outgoing);
                self.send_written(port);
            }
            Ok(Step::Finished {
                reason,
                prompt_tokens,
                generated,
            }) => {
                *slot = None;
                let report = Report::Finished {
                    reason: convert::reason(reason),
                    prompt_tokens,
                    generated_tokens: generated,
                };
                self.send(request, &report, port);
            }
            Err(error) => {
                *slot = None;
                self.fail(request, failure::of_generate(error), "", port);
            }
        }
    }
}

/// Detail about a file whose place is invalid.
const OUTSIDE: &str = "the file ends behind what it lies in";

/// The slots of a system without a disk.
const NO_SLOTS: &[u8] = &[];

/// Returns `bytes` bytes of `store` from `offset`, if they lie inside.
fn part(store: &[u8], offset: u64, bytes: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = usize::try_from(offset.checked_add(bytes)?).ok()?;
    store.get(start..end)
}

/// The longest prefix of `text` with at most `max` bytes, cut between characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
