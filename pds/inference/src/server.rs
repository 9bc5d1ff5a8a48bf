//! Requests in, events out.

use crate::failure::{self, Detail};
use crate::store::Store;
use llm_core::arena::{Purpose, Usage};
use llm_core::backend::{LlmBackend, ModelInfo};
use llm_core::generate::{self, GenerateError, GenerateParams, Progress, Step, Text};
use llm_core::sampling::SamplerParams;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_NAME_BYTES, MAX_PROMPT_BYTES, MAX_SESSIONS};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SLOTS};
use protocol::wire::{self, ArenaUse, Event, InferParams, ModelEntry, Request, Status};

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
    /// Wait for a signal of audit.
    Idle,
}

/// A generation that waits for its turn.
struct Waiting {
    request: u32,
    params: InferParams,
    prompt: heapless::Vec<u8, MAX_PROMPT_BYTES>,
}

/// Prompts that can wait. Each takes 8 KiB; the shell has one foreground command, so one waits at
/// the most while another is cancelled. Sessions, which make more, bring a queue of handles.
const WAITING: usize = 2;

/// What is left of a list of models that is being sent.
struct Listing {
    request: u32,
    next: usize,
}

/// The server. One per domain, for the domain's life.
pub struct Server<'s, R, W, B> {
    ring: Endpoint<R, W>,
    backend: B,
    store: Store<'s>,
    loaded: heapless::String<MAX_NAME_BYTES>,
    /// Numbers of the requests that the backend generates for, by session.
    running: [Option<u32>; MAX_SESSIONS],
    waiting: heapless::Deque<Waiting, WAITING>,
    listing: heapless::Deque<Listing, MAX_SESSIONS>,
    incoming: Frame,
    outgoing: Frame,
    /// `outgoing` holds an event that found no room.
    unsent: bool,
    text: Text,
}

impl<'s, R: ReadWords, W: WriteWords, B: LlmBackend> Server<'s, R, W, B> {
    /// A server without an epoch: it is silent until audit begins one.
    pub const fn new(ring: Endpoint<R, W>, backend: B, store: &'s [u8]) -> Self {
        Self {
            ring,
            backend,
            store: Store::new(store),
            loaded: heapless::String::new(),
            running: [None; MAX_SESSIONS],
            waiting: heapless::Deque::new(),
            listing: heapless::Deque::new(),
            incoming: Frame::new(),
            outgoing: Frame::new(),
            unsent: false,
            text: Text::new(),
        }
    }

    /// Does a bounded amount of work: reads what is in the ring, then one step of the generation
    /// under way.
    pub fn poll(&mut self, port: &mut impl Port) -> Activity {
        if self.ring.follow() {
            self.begin_epoch(port);
        }
        if !self.flush(port) {
            // Audit signals when it has made room.
            return Activity::Idle;
        }
        self.read_requests(port);
        if !self.unsent {
            self.send_listing(port);
        }
        if !self.unsent {
            self.step(port);
        }
        let idle = !self.is_generating() && self.waiting.is_empty() && self.listing.is_empty();
        if self.unsent || idle {
            Activity::Idle
        } else {
            Activity::Busy
        }
    }

    fn is_generating(&self) -> bool {
        self.running.iter().any(Option::is_some)
    }

    fn begin_epoch(&mut self, port: &mut impl Port) {
        for session in 0..MAX_SESSIONS {
            self.backend.cancel(session);
        }
        // A generation that has been cancelled takes one more step.
        for _ in 0..MAX_SESSIONS {
            if self.backend.step(&mut self.text) == Progress::Idle {
                break;
            }
        }
        self.running = [None; MAX_SESSIONS];
        self.waiting.clear();
        self.listing.clear();
        self.unsent = false;
        self.send(0, &Event::Ready, port);
    }

    /// Sends `event`, or keeps it until there is room. The caller has seen that none is kept.
    fn send(&mut self, request: u32, event: &Event<'_>, port: &mut impl Port) {
        event.write(request, &mut self.outgoing);
        self.unsent = true;
        self.flush(port);
    }

    /// Sends the event that is kept, if one is. True if none is left.
    fn flush(&mut self, port: &mut impl Port) -> bool {
        if self.unsent && self.ring.send(&self.outgoing).is_ok() {
            self.unsent = false;
            port.notify_audit();
        }
        !self.unsent
    }

    /// Reads at most a ring's worth of requests, as long as their answers find room.
    fn read_requests(&mut self, port: &mut impl Port) {
        for _ in 0..SLOTS {
            if self.unsent {
                break;
            }
            // A violation is dropped: audit is trusted, so there is none.
            if self.ring.receive(&mut self.incoming) != Ok(true) {
                break;
            }
            self.handle_request(port);
        }
        if self.ring.take_owed_signal() {
            port.notify_audit();
        }
    }

    fn handle_request(&mut self, port: &mut impl Port) {
        let frame = core::mem::take(&mut self.incoming);
        let request = frame.header().request;
        match Request::parse(&frame) {
            Ok(Request::Infer { params, prompt }) => self.enqueue(request, params, prompt, port),
            Ok(Request::Cancel) => self.cancel(request, port),
            Ok(Request::Models) => {
                if self
                    .listing
                    .push_back(Listing { request, next: 0 })
                    .is_err()
                {
                    self.fail(request, Failure::of(ErrorCode::Busy), "", port);
                }
            }
            Ok(Request::Load { name }) => self.load(request, name, port),
            Ok(Request::Status) => self.status(request, port),
            Ok(Request::Stats) | Err(_) => {
                self.fail(request, Failure::of(ErrorCode::Unsupported), "", port);
            }
        }
        self.incoming = frame;
    }

    fn fail(&mut self, request: u32, failure: Failure, detail: &str, port: &mut impl Port) {
        self.send(
            request,
            &Event::Failed {
                failure,
                detail: detail.as_bytes(),
            },
            port,
        );
    }

    fn enqueue(&mut self, request: u32, params: InferParams, prompt: &[u8], port: &mut impl Port) {
        // The parse has checked the length.
        let prompt = heapless::Vec::from_slice(prompt).unwrap_or_default();
        if self
            .waiting
            .push_back(Waiting {
                request,
                params,
                prompt,
            })
            .is_err()
        {
            let (value, limit) = (self.waiting.len() as u64, WAITING as u64);
            self.fail(
                request,
                Failure::over(ErrorCode::Busy, value, limit),
                "",
                port,
            );
        }
    }

    fn cancel(&mut self, request: u32, port: &mut impl Port) {
        if let Some(session) = self.running.iter().position(|r| *r == Some(request)) {
            self.backend.cancel(session);
            return;
        }
        let mut found = false;
        for _ in 0..self.waiting.len() {
            if let Some(waiting) = self.waiting.pop_front() {
                if waiting.request == request {
                    found = true;
                } else {
                    // It came out of the queue, so there is room.
                    let _ = self.waiting.push_back(waiting);
                }
            }
        }
        if found {
            let finished = wire::Finished {
                reason: wire::FinishReason::Cancelled,
                prompt_tokens: 0,
                generated_tokens: 0,
                first_token_us: 0,
                total_us: 0,
            };
            self.send(request, &Event::Finished(finished), port);
        } else {
            self.fail(request, Failure::of(ErrorCode::NoSuchRequest), "", port);
        }
    }

    fn load(&mut self, request: u32, name: &str, port: &mut impl Port) {
        if self.is_generating() {
            self.fail(request, Failure::of(ErrorCode::ModelInUse), name, port);
            return;
        }
        let stored = match self.store.find(name) {
            Ok(stored) => stored,
            Err(failure) => return self.fail(request, failure, name, port),
        };
        match self.backend.load(stored.file) {
            Ok(info) => {
                self.loaded = stored.name.clone();
                let event = Event::Loaded {
                    info: wire_info(&info),
                    name: &stored.name,
                };
                self.send(request, &event, port);
            }
            Err(error) => {
                let (failure, detail): (Failure, Detail) =
                    failure::of_load(&error, stored.file.len());
                self.fail(request, failure, &detail, port);
            }
        }
    }

    fn status(&mut self, request: u32, port: &mut impl Port) {
        let model = self
            .backend
            .model()
            .map_or_else(wire::ModelInfo::default, wire_info);
        let status = Status {
            arena: wire_usage(&self.backend.usage()),
            model,
            ..Status::default()
        };
        let name = self.loaded.clone();
        self.send(
            request,
            &Event::Status {
                status,
                model: &name,
            },
            port,
        );
    }

    /// Sends the next model of a list, or its end.
    fn send_listing(&mut self, port: &mut impl Port) {
        let Some(Listing { request, next }) = self.listing.pop_front() else {
            return;
        };
        let mut models = match self.store.models() {
            Ok(models) => models,
            Err(failure) => return self.fail(request, failure, "", port),
        };
        match models.nth(next) {
            Some(model) => {
                // It came out of the queue, so there is room.
                let _ = self.listing.push_front(Listing {
                    request,
                    next: next + 1,
                });
                let loaded = self.backend.model().is_some() && self.loaded == model.name;
                let entry = ModelEntry {
                    file_bytes: model.file.len() as u64,
                    loaded: u32::from(loaded),
                    reserved: 0,
                };
                self.send(
                    request,
                    &Event::Model {
                        entry,
                        name: &model.name,
                    },
                    port,
                );
            }
            None => self.send(request, &Event::Listed { count: next as u32 }, port),
        }
    }

    /// One step of the generations under way, or the start of the next.
    fn step(&mut self, port: &mut impl Port) {
        if let Some(waiting) = self.waiting.front() {
            let params = generate_params(&waiting.params);
            let (request, result) = (
                waiting.request,
                self.backend.start(&waiting.prompt, &params),
            );
            match result {
                // There is room when another is done.
                Err(GenerateError::Busy | GenerateError::CacheFull(_)) if self.is_generating() => {}
                result => {
                    self.waiting.pop_front();
                    match result {
                        Ok(session) => self.running[session] = Some(request),
                        Err(error) => self.fail(request, failure::of_generate(error), "", port),
                    }
                    return;
                }
            }
        }
        let mut text = core::mem::take(&mut self.text);
        if let Progress::Session(session, step) = self.backend.step(&mut text) {
            self.report(session, step, &text, port);
        }
        self.text = text;
    }

    /// Tells audit what a session has got.
    fn report(
        &mut self,
        session: usize,
        step: Result<Step, GenerateError>,
        text: &Text,
        port: &mut impl Port,
    ) {
        let Some(request) = self.running[session] else {
            return;
        };
        match step {
            Ok(Step::Prefill { .. }) => {}
            Ok(Step::Token { id }) => {
                // What a malicious model made too long for an event is cut between characters.
                let text = cut(text, protocol::limits::MAX_PIECE_BYTES).as_bytes();
                self.send(request, &Event::Token { id, text }, port);
            }
            Ok(Step::Finished {
                reason,
                prompt_tokens,
                generated,
            }) => {
                self.running[session] = None;
                let finished = wire::Finished {
                    reason: wire_reason(reason),
                    prompt_tokens,
                    generated_tokens: generated,
                    first_token_us: 0,
                    total_us: 0,
                };
                self.send(request, &Event::Finished(finished), port);
            }
            Err(error) => {
                self.running[session] = None;
                self.fail(request, failure::of_generate(error), "", port);
            }
        }
    }
}

/// The longest beginning of `text` that has at most `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn generate_params(params: &InferParams) -> GenerateParams {
    let sampling = &params.sampling;
    GenerateParams {
        sampler: SamplerParams {
            seed: sampling.seed,
            temperature: sampling.temperature,
            top_k: sampling.top_k,
            top_p: sampling.top_p,
            min_p: sampling.min_p,
            repeat_penalty: sampling.repeat_penalty,
            repeat_last_n: sampling.repeat_last_n,
        },
        max_tokens: params.max_tokens,
    }
}

fn wire_reason(reason: generate::FinishReason) -> wire::FinishReason {
    match reason {
        generate::FinishReason::EndOfText => wire::FinishReason::EndOfText,
        generate::FinishReason::MaxTokens => wire::FinishReason::MaxTokens,
        generate::FinishReason::ContextFull => wire::FinishReason::ContextFull,
        generate::FinishReason::Cancelled => wire::FinishReason::Cancelled,
    }
}

fn wire_info(info: &ModelInfo) -> wire::ModelInfo {
    wire::ModelInfo {
        parameters: info.parameters,
        file_bytes: info.file_bytes,
        context: info.context,
        width: info.width,
        layers: info.layers,
        vocabulary: info.vocabulary,
        sha256: info.sha256,
    }
}

fn wire_usage(usage: &Usage) -> ArenaUse {
    ArenaUse {
        weights: usage.of(Purpose::Weights) as u64,
        kv_cache: usage.of(Purpose::KvCache) as u64,
        activations: usage.of(Purpose::Activations) as u64,
        vocabulary: usage.of(Purpose::Vocabulary) as u64,
        other: usage.of(Purpose::Other) as u64,
        peak: usage.peak as u64,
        capacity: usage.capacity as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::archive;
    use llm_core::arena::Arena;
    use llm_core::backend::{StubBackend, TransformerBackend};
    use llm_core::kv_cache::KvType;
    use llm_core::testing::{Memory, Shape, model};
    use llm_core::transformer::LoadOptions;
    use protocol::testing::{TestEndpoint, TestRegion, endpoints};
    use std::string::{String, ToString};
    use std::vec;
    use std::vec::Vec;

    #[derive(Default)]
    struct Signals(usize);

    impl Port for Signals {
        fn notify_audit(&mut self) {
            self.0 += 1;
        }
    }

    /// What audit sees, flattened for comparisons.
    #[derive(Debug, PartialEq)]
    enum Seen {
        Ready,
        Text(u32, String),
        Finished(u32, wire::FinishReason, u32, u32),
        Failed(u32, Failure, String),
        Model(String, u32),
        Listed(u32),
        Loaded(u32, String),
        Status(u64, String),
    }

    struct Audit {
        ring: TestEndpoint,
        signals: Signals,
    }

    type TestServer<'s, B> = Server<'s, TestRegion, TestRegion, B>;

    fn set_up<B: LlmBackend>(backend: B, store: &[u8]) -> (Audit, TestServer<'_, B>) {
        let (mut audit, peer, _) = endpoints();
        audit.lead(1);
        let mut server = Server::new(peer, backend, store);
        let mut audit = Audit {
            ring: audit,
            signals: Signals::default(),
        };
        assert_eq!(server.poll(&mut audit.signals), Activity::Idle);
        assert_eq!(audit.receive(), [Seen::Ready]);
        (audit, server)
    }

    impl Audit {
        fn send(&mut self, request: u32, message: &Request<'_>) {
            let mut frame = Frame::new();
            message.write(request, &mut frame);
            self.ring.send(&frame).unwrap();
        }

        fn receive(&mut self) -> Vec<Seen> {
            let (mut frame, mut seen) = (Frame::new(), Vec::new());
            while self.ring.receive(&mut frame).unwrap() {
                let request = frame.header().request;
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                seen.push(match Event::parse(&frame).unwrap() {
                    Event::Ready => Seen::Ready,
                    Event::Token { text: bytes, .. } => Seen::Text(request, text(bytes)),
                    Event::Finished(f) => {
                        Seen::Finished(request, f.reason, f.prompt_tokens, f.generated_tokens)
                    }
                    Event::Failed { failure, detail } => {
                        Seen::Failed(request, failure, text(detail))
                    }
                    Event::Model { entry, name } => Seen::Model(name.to_string(), entry.loaded),
                    Event::Listed { count } => Seen::Listed(count),
                    Event::Loaded { name, .. } => Seen::Loaded(request, name.to_string()),
                    Event::Status { status, model } => {
                        Seen::Status(status.arena.current(), model.to_string())
                    }
                    other => panic!("inference does not send {other:?}"),
                });
            }
            seen
        }

        /// Polls until the server is idle; everything that was seen.
        fn settle<B: LlmBackend>(&mut self, server: &mut TestServer<'_, B>) -> Vec<Seen> {
            let mut seen = Vec::new();
            for _ in 0..10_000 {
                let activity = server.poll(&mut self.signals);
                let received = self.receive();
                let quiet = received.is_empty();
                seen.extend(received);
                if activity == Activity::Idle && quiet {
                    return seen;
                }
            }
            panic!("the server never comes to rest");
        }
    }

    fn infer(prompt: &[u8], max_tokens: u32) -> Request<'_> {
        Request::Infer {
            params: InferParams {
                max_tokens,
                ..InferParams::default()
            },
            prompt,
        }
    }

    fn text_of(seen: &[Seen], of: u32) -> String {
        let piece = |seen: &Seen| match seen {
            Seen::Text(request, text) if *request == of => text.clone(),
            _ => String::new(),
        };
        seen.iter().map(piece).collect()
    }

    #[test]
    fn requests_are_answered_in_order() {
        let store = archive(&[("a.gguf", b"A"), ("b.gguf", b"B")]);
        let (mut audit, mut server) = set_up(StubBackend::default(), &store);
        audit.send(1, &infer(b"x", 9));
        audit.send(2, &Request::Load { name: "b" });
        audit.send(3, &Request::Models);
        let seen = audit.settle(&mut server);
        assert_eq!(
            seen,
            [
                Seen::Loaded(2, "b".into()),
                Seen::Model("a".into(), 0),
                Seen::Model("b".into(), 1),
                Seen::Text(1, "x".into()),
                Seen::Listed(2),
                Seen::Finished(1, wire::FinishReason::EndOfText, 1, 1),
            ]
        );
        assert!(audit.signals.0 >= seen.len(), "each event is signalled");
    }

    #[test]
    fn a_bad_load_is_explained_and_leaves_the_model_in_service() {
        let good = model(Shape::default()).finish();
        let large = model(Shape {
            layers: 40,
            ..Shape::default()
        })
        .finish();
        let store = archive(&[
            ("good.gguf", &good),
            ("cut.gguf", &good[..good.len() / 2]),
            ("junk.gguf", b"junk"),
            ("large.gguf", &large),
        ]);
        let mut memory = Memory::new(1 << 20);
        let options = LoadOptions {
            context: 64,
            kv: KvType::F16,
            sessions: 1,
            positions: 64,
            max_prompt_bytes: 256,
            cpu: llm_core::simd::Cpu::SCALAR,
        };
        let backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), options);
        let (mut audit, mut server) = set_up(backend, &store);
        let mut codes = Vec::new();
        for (request, name) in [
            (1, "good"),
            (2, "cut"),
            (3, "junk"),
            (4, "large"),
            (5, "none"),
        ] {
            audit.send(request, &Request::Load { name });
            for seen in audit.settle(&mut server) {
                if let Seen::Failed(_, failure, detail) = seen {
                    assert!(!detail.is_empty(), "{failure:?}");
                    codes.push(failure.code);
                }
            }
        }
        use ErrorCode::{BadModel, ModelTooLarge, NoSuchModel};
        assert_eq!(codes, [BadModel, BadModel, ModelTooLarge, NoSuchModel]);
        audit.send(6, &Request::Status);
        assert!(
            matches!(&audit.settle(&mut server)[..], [Seen::Status(used, name)]
            if *used > 0 && name == "good")
        );
        audit.send(7, &infer(b"hello", 3));
        assert!(audit.settle(&mut server).contains(&Seen::Finished(
            7,
            wire::FinishReason::MaxTokens,
            7,
            3
        )));
    }

    #[test]
    fn control_requests_are_answered_between_tokens_and_a_load_is_not() {
        let store = archive(&[("a.gguf", b"A")]);
        let (mut audit, mut server) = set_up(StubBackend::default(), &store);
        audit.send(1, &Request::Load { name: "a" });
        audit.send(2, &infer(b"abcdef", 99));
        for _ in 0..3 {
            server.poll(&mut audit.signals);
        }
        audit.send(3, &Request::Status);
        audit.send(4, &Request::Load { name: "a" });
        audit.send(5, &Request::Cancel);
        audit.send(6, &Request::Stats);
        let seen = audit.settle(&mut server);
        let failed = |request, code| Seen::Failed(request, Failure::of(code), "".into());
        assert!(matches!(seen[3], Seen::Status(0, _)), "{seen:?}");
        assert_eq!(
            seen[4],
            Seen::Failed(4, Failure::of(ErrorCode::ModelInUse), "a".into())
        );
        assert_eq!(seen[5], failed(5, ErrorCode::NoSuchRequest));
        assert_eq!(seen[6], failed(6, ErrorCode::Unsupported));
        assert_eq!(text_of(&seen, 2), "abcdef");
    }

    #[test]
    fn a_cancel_takes_effect_within_one_token_also_for_what_waits() {
        let store = archive(&[("a.gguf", b"A")]);
        let (mut audit, mut server) = set_up(StubBackend::default(), &store);
        audit.send(1, &Request::Load { name: "a" });
        audit.send(2, &infer(b"abcdef", 99));
        audit.send(3, &infer(b"xyz", 99));
        for _ in 0..3 {
            server.poll(&mut audit.signals);
        }
        let before = audit.receive();
        assert!(!before.is_empty());
        audit.send(3, &Request::Cancel);
        audit.send(2, &Request::Cancel);
        let after = audit.settle(&mut server);
        let cancelled = wire::FinishReason::Cancelled;
        assert_eq!(after[0], Seen::Finished(3, cancelled, 0, 0));
        assert!(matches!(after[1], Seen::Finished(2, reason, 6, _) if reason == cancelled));
        assert_eq!(after.len(), 2);
    }

    #[test]
    fn nothing_is_lost_when_audit_reads_slowly() {
        let store = archive(&[("a.gguf", b"A")]);
        let (mut audit, mut server) = set_up(StubBackend::default(), &store);
        let prompt = vec![b'p'; 100];
        audit.send(1, &Request::Load { name: "a" });
        audit.send(2, &infer(&prompt, 512));
        let mut seen = Vec::new();
        for _ in 0..100 {
            while server.poll(&mut audit.signals) == Activity::Busy {}
            let received = audit.receive();
            assert!(received.len() <= SLOTS);
            seen.extend(received);
        }
        assert_eq!(text_of(&seen, 2).len(), 100);
        assert_eq!(
            seen.last(),
            Some(&Seen::Finished(2, wire::FinishReason::EndOfText, 100, 100))
        );
    }

    #[test]
    fn a_new_epoch_forgets_everything_of_the_last() {
        let store = archive(&[("a.gguf", b"A")]);
        let (mut audit, mut server) = set_up(StubBackend::default(), &store);
        audit.send(1, &Request::Load { name: "a" });
        audit.send(2, &infer(b"abcdef", 99));
        audit.send(3, &infer(b"abcdef", 99));
        for _ in 0..3 {
            server.poll(&mut audit.signals);
        }
        audit.ring.lead(2);
        audit.send(9, &infer(b"new", 99));
        let seen = audit.settle(&mut server);
        assert_eq!(seen[0], Seen::Ready);
        assert_eq!(text_of(&seen, 9), "new");
        assert_eq!(text_of(&seen, 2) + &text_of(&seen, 3), "");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("", 3), "");
    }
}
