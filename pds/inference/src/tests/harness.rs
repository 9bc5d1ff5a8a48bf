//! Audit's end of the ring, and what audit sees.

pub(super) use crate::{Activity, Port, Server};
use llm_core::arena::Arena;
pub(super) use llm_core::backend::{LlmBackend, StubBackend, TransformerBackend};
use llm_core::kv_cache::KvType;
use llm_core::simd::Cpu;
pub(super) use llm_core::testing::{Memory, Shape, model};
pub(super) use llm_core::transformer::{LoadOptions, Positions};
pub(super) use protocol::error::{ErrorCode, Failure};
pub(super) use protocol::ring::{Frame, SLOTS};
pub(super) use protocol::testing::parts;
use protocol::testing::{TestEndpoint, TestRegion, completion, endpoints};
pub(super) use protocol::wire::engine::{
    AdapterLoaded, Command, Holdings, Loaded, Report, Source, Trained,
};
pub(super) use protocol::wire::{
    FinishReason, InferParams, PartKind, Parts, Sampling, TrainParams, TrainProgress,
};
pub(super) use std::string::String;
pub(super) use std::vec;
pub(super) use std::vec::Vec;

#[derive(Default)]
pub(super) struct Signals(pub(super) usize);

impl Port for Signals {
    fn notify_audit(&mut self) {
        self.0 += 1;
    }
}

/// What audit sees, flattened for comparisons.
#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    Ready,
    Corrupt,
    /// Number of the request, number of the token in the vocabulary, text.
    Token(u32, u32, String),
    Finished(u32, FinishReason, u32, u32),
    Failed(u32, Failure, String),
    Loaded(u32, Loaded),
    Holdings(Holdings),
    Evicted(u32),
    AdapterLoaded(u32, AdapterLoaded),
    Training(u32, TrainProgress),
    Part(u32, u64, Vec<u8>),
    Trained(u32, Trained),
}

pub(super) struct Audit {
    pub(super) ring: TestEndpoint,
    pub(super) signals: Signals,
}

pub(super) type TestServer<'s, B> = Server<'s, TestRegion, TestRegion, B>;

pub(super) fn set_up<B: LlmBackend>(backend: B, store: &[u8]) -> (Audit, TestServer<'_, B>) {
    set_up_with(backend, store, &NO_ADAPTERS)
}

const NO_ADAPTERS: &[u8] = &[];

pub(super) fn set_up_with<'s, B: LlmBackend>(
    backend: B,
    store: &'s [u8],
    adapters: &'s &'s [u8],
) -> (Audit, TestServer<'s, B>) {
    let (mut audit, peer, _) = endpoints();
    audit.lead(1);
    let mut server = Server::new(peer, backend, store, adapters);
    let mut audit = Audit {
        ring: audit,
        signals: Signals::default(),
    };
    assert_eq!(server.poll(&mut audit.signals), Activity::Idle);
    assert_eq!(audit.receive(), [Seen::Ready]);
    (audit, server)
}

impl Audit {
    pub(super) fn send(&mut self, request: u32, message: &Command<'_>) {
        let mut frame = Frame::new();
        message.write(request, &mut frame);
        self.ring.send(&frame).unwrap();
    }

    pub(super) fn receive(&mut self) -> Vec<Seen> {
        let (mut frame, mut seen) = (Frame::new(), Vec::new());
        while self.ring.receive(&mut frame).unwrap() {
            let request = frame.header().request;
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            seen.push(match Report::parse(&frame).unwrap() {
                Report::Ready => Seen::Ready,
                Report::Corrupt => Seen::Corrupt,
                Report::Token { id, text: bytes } => Seen::Token(request, id, text(bytes)),
                Report::Finished {
                    reason,
                    prompt_tokens,
                    generated_tokens,
                } => Seen::Finished(request, reason, prompt_tokens, generated_tokens),
                Report::Failed { failure, detail } => Seen::Failed(request, failure, text(detail)),
                Report::Loaded(loaded) => Seen::Loaded(request, loaded),
                Report::Holdings(holdings) => Seen::Holdings(holdings),
                Report::Evicted { session } => Seen::Evicted(session),
                Report::AdapterLoaded(loaded) => Seen::AdapterLoaded(request, loaded),
                Report::Training(progress) => Seen::Training(request, progress),
                Report::Part { offset, bytes } => Seen::Part(request, offset, bytes.to_vec()),
                Report::Trained(trained) => Seen::Trained(request, trained),
            });
        }
        seen
    }

    /// Polls until the server is idle, and returns everything that audit saw.
    pub(super) fn settle<B: LlmBackend>(&mut self, server: &mut TestServer<'_, B>) -> Vec<Seen> {
        let mut seen = Vec::new();
        for _ in 0..100_000 {
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

    pub(super) fn load<B: LlmBackend>(&mut self, server: &mut TestServer<'_, B>, bytes: usize) {
        self.send(1000, &load(0, bytes));
        let seen = self.settle(server);
        assert!(matches!(seen[..], [Seen::Loaded(1000, _)]), "{seen:?}");
    }
}

pub(super) fn load(offset: usize, bytes: usize) -> Command<'static> {
    Command::Load {
        offset: offset as u64,
        bytes: bytes as u64,
        context: protocol::limits::DEFAULT_CONTEXT_TOKENS as u32,
    }
}

/// The first turn of a session that is kept.
pub(super) fn first(session: u32, prompt: &[u8], max_tokens: u32) -> Command<'static> {
    Command::Infer {
        params: InferParams {
            max_tokens,
            sampling: Sampling {
                temperature: 0,
                ..Sampling::default()
            },
            ..InferParams::default()
        },
        session,
        client: 0,
        user: 0,
        fresh: true,
        keep: true,
        credit: max_tokens,
        adapter: 0,
        format: 0,
        user_defined: false,
        parts: completion(prompt),
    }
}

/// A later turn of a session.
pub(super) fn next(session: u32, prompt: &[u8], max_tokens: u32) -> Command<'static> {
    let mut command = first(session, prompt, max_tokens);
    if let Command::Infer { fresh, .. } = &mut command {
        *fresh = false;
    }
    command
}

/// The only turn of a session.
pub(super) fn only(session: u32, prompt: &[u8], max_tokens: u32) -> Command<'static> {
    let mut command = first(session, prompt, max_tokens);
    if let Command::Infer { keep, .. } = &mut command {
        *keep = false;
    }
    command
}

/// The only turn of session 0, with these parts and the format of this number; 0 for none.
pub(super) fn ask(parts: Parts<'static>, format: u32, max_tokens: u32) -> Command<'static> {
    let mut command = only(0, b"", max_tokens);
    if let Command::Infer {
        parts: its,
        format: number,
        ..
    } = &mut command
    {
        (*its, *number) = (parts, format);
    }
    command
}

pub(super) fn text_of(seen: &[Seen], of: u32) -> String {
    let piece = |seen: &Seen| match seen {
        Seen::Token(request, _, text) if *request == of => text.clone(),
        _ => String::new(),
    };
    seen.iter().map(piece).collect()
}

pub(super) fn failed(request: u32, code: ErrorCode) -> Seen {
    Seen::Failed(request, Failure::of(code), "".into())
}

pub(super) const OPTIONS: LoadOptions = LoadOptions {
    context: 64,
    kv: KvType::Q8,
    sessions: 32,
    positions: Positions::Fill,
    max_prompt_bytes: 256,
    cpu: Cpu::SCALAR,
    workers: 1,
};

pub(super) fn transformer(memory: &mut Memory, options: LoadOptions) -> TransformerBackend<'_> {
    TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), options)
}
