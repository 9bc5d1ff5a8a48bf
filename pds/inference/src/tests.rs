use crate::server::cut;
use crate::{Activity, Port, Server};
use llm_core::arena::Arena;
use llm_core::backend::{LlmBackend, StubBackend, TransformerBackend};
use llm_core::kv_cache::KvType;
use llm_core::simd::Cpu;
use llm_core::testing::{Memory, Shape, model};
use llm_core::transformer::{LoadOptions, Positions};
use protocol::error::{ErrorCode, Failure};
use protocol::ring::{Frame, SLOTS};
use protocol::testing::{TestEndpoint, TestRegion, endpoints};
use protocol::wire::engine::{Command, Holdings, KvType as WireKvType, Loaded, Report};
use protocol::wire::{FinishReason, InferParams, Sampling};
use std::string::String;
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
    Finished(u32, FinishReason, u32, u32),
    Failed(u32, Failure, String),
    Loaded(u32, Loaded),
    Holdings(Holdings),
    Evicted(u32),
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
    fn send(&mut self, request: u32, message: &Command<'_>) {
        let mut frame = Frame::new();
        message.write(request, &mut frame);
        self.ring.send(&frame).unwrap();
    }

    fn receive(&mut self) -> Vec<Seen> {
        let (mut frame, mut seen) = (Frame::new(), Vec::new());
        while self.ring.receive(&mut frame).unwrap() {
            let request = frame.header().request;
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            seen.push(match Report::parse(&frame).unwrap() {
                Report::Ready => Seen::Ready,
                Report::Token { text: bytes, .. } => Seen::Text(request, text(bytes)),
                Report::Finished {
                    reason,
                    prompt_tokens,
                    generated_tokens,
                } => Seen::Finished(request, reason, prompt_tokens, generated_tokens),
                Report::Failed { failure, detail } => Seen::Failed(request, failure, text(detail)),
                Report::Loaded(loaded) => Seen::Loaded(request, loaded),
                Report::Holdings(holdings) => Seen::Holdings(holdings),
                Report::Evicted { session } => Seen::Evicted(session),
            });
        }
        seen
    }

    /// Polls until the server is idle; everything that was seen.
    fn settle<B: LlmBackend>(&mut self, server: &mut TestServer<'_, B>) -> Vec<Seen> {
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

    fn load<B: LlmBackend>(&mut self, server: &mut TestServer<'_, B>, bytes: usize) {
        self.send(1000, &load(0, bytes));
        let seen = self.settle(server);
        assert!(matches!(seen[..], [Seen::Loaded(1000, _)]), "{seen:?}");
    }
}

fn load(offset: usize, bytes: usize) -> Command<'static> {
    Command::Load {
        offset: offset as u64,
        bytes: bytes as u64,
    }
}

/// The first turn of a session that is kept.
fn first(session: u32, prompt: &[u8], max_tokens: u32) -> Command<'_> {
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
        fresh: true,
        keep: true,
        credit: max_tokens,
        prompt,
    }
}

/// A later one.
fn next(session: u32, prompt: &[u8], max_tokens: u32) -> Command<'_> {
    let mut command = first(session, prompt, max_tokens);
    if let Command::Infer { fresh, .. } = &mut command {
        *fresh = false;
    }
    command
}

/// The only one.
fn only(session: u32, prompt: &[u8], max_tokens: u32) -> Command<'_> {
    let mut command = first(session, prompt, max_tokens);
    if let Command::Infer { keep, .. } = &mut command {
        *keep = false;
    }
    command
}

fn text_of(seen: &[Seen], of: u32) -> String {
    let piece = |seen: &Seen| match seen {
        Seen::Text(request, text) if *request == of => text.clone(),
        _ => String::new(),
    };
    seen.iter().map(piece).collect()
}

fn failed(request: u32, code: ErrorCode) -> Seen {
    Seen::Failed(request, Failure::of(code), "".into())
}

const OPTIONS: LoadOptions = LoadOptions {
    context: 64,
    kv: KvType::Q8,
    sessions: 32,
    positions: Positions::Fill,
    max_prompt_bytes: 256,
    cpu: Cpu::SCALAR,
};

fn transformer(memory: &mut Memory, options: LoadOptions) -> TransformerBackend<'_> {
    TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), options)
}

#[test]
fn sessions_share_the_server_and_each_request_gets_its_own_reports() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    audit.load(&mut server, 5);
    for session in 0..5 {
        let prompt = [b'a' + session as u8; 4];
        audit.send(100 + session, &only(session, &prompt, 3));
    }
    let seen = audit.settle(&mut server);
    for session in 0..5 {
        let letter = char::from(b'a' + session as u8);
        let request = 100 + session;
        assert_eq!(text_of(&seen, request), String::from(letter).repeat(3));
        let finished = Seen::Finished(request, FinishReason::MaxTokens, 4, 3);
        assert!(seen.contains(&finished), "{seen:?}");
    }
    assert!(audit.signals.0 >= seen.len(), "each report is signalled");
}

#[test]
fn a_model_is_loaded_from_its_place_in_the_store() {
    let small = model(Shape::default()).finish();
    let mut store = vec![0xAA; 77];
    store.extend(&small);
    store.extend([0xBB; 100]);
    let mut memory = Memory::new(1 << 20);
    let (mut audit, mut server) = set_up(transformer(&mut memory, OPTIONS), &store);
    audit.send(7, &load(77, small.len()));
    let seen = audit.settle(&mut server);
    let [Seen::Loaded(7, loaded)] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(loaded.info.file_bytes, small.len() as u64);
    assert_eq!((loaded.info.context, loaded.info.layers), (64, 2));
    assert_eq!(loaded.info.sha256, [0; 32], "audit has its own");
    assert_eq!(loaded.numerics, llm_core::NUMERICS_VERSION);
    assert_eq!(loaded.kv_type, WireKvType::Q8);
    let arena = loaded.arena;
    assert_eq!(arena.capacity, 1 << 20);
    assert!(arena.kv_cache > 0 && arena.peak == arena.current());
    assert!(loaded.kv_positions >= 64);
    // The pool has all that was left, or all that there can be.
    let full = loaded.kv_positions == 32 * 64;
    let block = arena.kv_cache / u64::from(loaded.kv_positions) * 16;
    assert!(full || arena.capacity - arena.current() < block + 64);

    audit.send(8, &Command::Status);
    let seen = audit.settle(&mut server);
    let expected = Holdings {
        arena,
        kv_positions: loaded.kv_positions,
        kv_free: loaded.kv_positions,
        running: 0,
        waiting: 0,
    };
    assert_eq!(seen, [Seen::Holdings(expected)]);
}

#[test]
fn a_place_outside_the_store_is_refused() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    for (offset, bytes) in [(0, 6), (6, 0), (5, 1), (u64::MAX, 1), (1, u64::MAX)] {
        audit.send(1, &Command::Load { offset, bytes });
        let seen = audit.settle(&mut server);
        let end = offset.saturating_add(bytes);
        assert!(
            matches!(&seen[..], [Seen::Failed(1, failure, detail)]
                if *failure == Failure::over(ErrorCode::BadModel, end, 5) && !detail.is_empty()),
            "{seen:?}"
        );
    }
    audit.send(2, &first(0, b"a", 1));
    assert_eq!(audit.settle(&mut server), [failed(2, ErrorCode::NoModel)]);
}

#[test]
fn a_bad_load_is_explained_and_leaves_model_and_sessions_in_service() {
    let good = model(Shape::default()).finish();
    let large = model(Shape {
        layers: 40,
        ..Shape::default()
    })
    .finish();
    let mut store = good.clone();
    store.extend(&large);
    store.extend(b"junk");
    let mut memory = Memory::new(1 << 20);
    let (mut audit, mut server) = set_up(transformer(&mut memory, OPTIONS), &store);
    audit.load(&mut server, good.len());
    audit.send(1, &first(3, b"hello", 3));
    audit.settle(&mut server);
    for (offset, bytes, code) in [
        (0, good.len() / 2, ErrorCode::BadModel),
        (good.len() + large.len(), 4, ErrorCode::BadModel),
        (good.len(), large.len(), ErrorCode::ModelTooLarge),
    ] {
        audit.send(2, &load(offset, bytes));
        let seen = audit.settle(&mut server);
        let [Seen::Failed(2, failure, detail)] = &seen[..] else {
            panic!("{seen:?}");
        };
        assert_eq!(failure.code, code);
        assert!(!detail.is_empty());
    }
    audit.send(7, &next(3, b" there", 3));
    let seen = audit.settle(&mut server);
    assert!(matches!(
        seen.last(),
        Some(Seen::Finished(7, FinishReason::MaxTokens, _, 3))
    ));
    // A good one forgets the sessions.
    audit.load(&mut server, good.len());
    audit.send(8, &next(3, b" there", 3));
    assert_eq!(
        audit.settle(&mut server),
        [failed(8, ErrorCode::SessionEvicted)]
    );
}

#[test]
fn control_commands_are_answered_between_tokens_and_a_load_is_not() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    audit.load(&mut server, 5);
    audit.send(2, &first(0, b"abcdef", 99));
    for _ in 0..3 {
        server.poll(&mut audit.signals);
    }
    audit.send(3, &Command::Status);
    audit.send(4, &load(0, 5));
    audit.send(5, &Command::Cancel);
    audit.send(6, &first(0, b"again", 99));
    audit.send(7, &Command::Drop { session: 0 });
    let seen = audit.settle(&mut server);
    let answers: Vec<&Seen> = seen
        .iter()
        .filter(|seen| !matches!(seen, Seen::Text(..)))
        .collect();
    assert!(matches!(answers[0], Seen::Holdings(holdings) if holdings.running == 1));
    assert_eq!(answers[1], &failed(4, ErrorCode::ModelInUse));
    assert_eq!(answers[2], &failed(5, ErrorCode::NoSuchRequest));
    assert_eq!(answers[3], &failed(6, ErrorCode::SessionBusy));
    assert_eq!(answers[4], &failed(7, ErrorCode::SessionBusy));
    assert_eq!(text_of(&seen, 2), "abcdef");
}

#[test]
fn what_is_no_command_is_unsupported() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    let mut frame = Frame::new();
    Report::Ready.write(9, &mut frame);
    audit.ring.send(&frame).unwrap();
    assert_eq!(
        audit.settle(&mut server),
        [failed(9, ErrorCode::Unsupported)]
    );
}

#[test]
fn a_session_goes_on_until_it_is_dropped() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    audit.load(&mut server, 5);
    audit.send(1, &first(9, b"abc", 9));
    audit.settle(&mut server);
    audit.send(2, &next(9, b"de", 9));
    assert_eq!(text_of(&audit.settle(&mut server), 2), "de");
    audit.send(3, &Command::Drop { session: 9 });
    audit.send(4, &next(9, b"f", 9));
    assert_eq!(
        audit.settle(&mut server),
        [failed(4, ErrorCode::SessionEvicted)]
    );
    // One that is not kept is dropped at its end.
    audit.send(5, &only(9, b"abc", 9));
    audit.settle(&mut server);
    audit.send(6, &next(9, b"de", 9));
    assert_eq!(
        audit.settle(&mut server),
        [failed(6, ErrorCode::SessionEvicted)]
    );
}

#[test]
fn a_context_that_is_full_is_told_with_its_tokens_and_the_session_stays() {
    let file = model(Shape::default()).finish();
    let mut memory = Memory::new(1 << 20);
    let (mut audit, mut server) = set_up(transformer(&mut memory, OPTIONS), &file);
    audit.load(&mut server, file.len());
    audit.send(1, &first(0, b"hello", 3));
    audit.settle(&mut server);
    // Begin, a space and five letters, and three generated; then a space and sixty letters.
    audit.send(2, &next(0, &[b'q'; 60], 3));
    assert_eq!(
        audit.settle(&mut server),
        [Seen::Failed(
            2,
            Failure::over(ErrorCode::ContextFull, 10 + 61, 64),
            "".into()
        )]
    );
    audit.send(3, &first(1, &[b'q'; 64], 3));
    assert_eq!(
        audit.settle(&mut server),
        [Seen::Failed(
            3,
            Failure::over(ErrorCode::PromptTokens, 66, 63),
            "".into()
        )]
    );
    audit.send(4, &next(0, b"so", 3));
    assert!(matches!(
        audit.settle(&mut server).last(),
        Some(Seen::Finished(4, _, 3, _))
    ));
}

#[test]
fn a_cancel_takes_effect_at_the_next_step_also_for_what_waits() {
    let file = model(Shape::default()).finish();
    let mut memory = Memory::new(1 << 20);
    let options = LoadOptions {
        positions: Positions::Exactly(64),
        ..OPTIONS
    };
    let (mut audit, mut server) = set_up(transformer(&mut memory, options), &file);
    audit.load(&mut server, file.len());
    audit.send(2, &first(0, b"abcdef", 99));
    audit.send(3, &first(1, b"xyz", 99));
    audit.send(4, &Command::Status);
    for _ in 0..4 {
        server.poll(&mut audit.signals);
    }
    let seen = audit.receive();
    assert!(
        seen.iter()
            .any(|seen| matches!(seen, Seen::Holdings(h) if h.running == 1 && h.waiting == 1)),
        "{seen:?}"
    );
    audit.send(3, &Command::Cancel);
    audit.send(2, &Command::Cancel);
    let after = audit.settle(&mut server);
    let cancelled = FinishReason::Cancelled;
    assert!(
        matches!(after[0], Seen::Finished(2, reason, 8, _) if reason == cancelled),
        "{after:?}"
    );
    assert_eq!(after[1..], [Seen::Finished(3, cancelled, 5, 0)]);
}

#[test]
fn an_eviction_is_told_before_anything_of_the_request_that_needed_it() {
    let file = model(Shape::default()).finish();
    let mut memory = Memory::new(1 << 20);
    let options = LoadOptions {
        positions: Positions::Exactly(64),
        ..OPTIONS
    };
    let (mut audit, mut server) = set_up(transformer(&mut memory, options), &file);
    audit.load(&mut server, file.len());
    for session in [4, 2] {
        audit.send(session, &first(session, b"hello", 5));
        audit.settle(&mut server);
    }
    audit.send(9, &only(7, b"hello", 50));
    let seen = audit.settle(&mut server);
    assert_eq!(seen[..2], [Seen::Evicted(4), Seen::Evicted(2)]);
    assert!(matches!(
        seen.last(),
        Some(Seen::Finished(9, FinishReason::MaxTokens, 7, 50))
    ));
    // Nobody is left to be evicted.
    audit.send(10, &only(7, b"hello", 50));
    assert!(!matches!(audit.settle(&mut server)[0], Seen::Evicted(_)));
}

#[test]
fn nothing_is_lost_when_audit_reads_slowly() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    audit.load(&mut server, 5);
    let prompt = vec![b'p'; 100];
    audit.send(2, &only(0, &prompt, 512));
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
        Some(&Seen::Finished(2, FinishReason::EndOfText, 100, 100))
    );
}

#[test]
fn a_new_epoch_forgets_everything_of_the_last() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    audit.load(&mut server, 5);
    audit.send(1, &first(0, b"kept", 99));
    audit.settle(&mut server);
    audit.send(2, &first(1, b"abcdef", 99));
    audit.send(3, &first(2, b"abcdef", 99));
    for _ in 0..3 {
        server.poll(&mut audit.signals);
    }
    audit.ring.lead(2);
    audit.send(8, &next(0, b"more", 99));
    audit.send(9, &first(1, b"new", 99));
    let seen = audit.settle(&mut server);
    assert_eq!(seen[0], Seen::Ready);
    assert_eq!(seen[1], failed(8, ErrorCode::SessionEvicted));
    assert_eq!(text_of(&seen, 9), "new");
    assert_eq!(text_of(&seen, 2) + &text_of(&seen, 3), "");
}

#[test]
fn texts_are_cut_between_characters() {
    assert_eq!(cut("aé", 2), "a");
    assert_eq!(cut("aé", 3), "aé");
    assert_eq!(cut("", 3), "");
}
