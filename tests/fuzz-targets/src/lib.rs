//! The functions that the fuzzers run, one for each kind of hostile input. They panic if the code does, or if it breaks
//! a promise that can be checked from outside.
//!
//! They do not depend on a fuzzer, so `cargo test` can replay the seeds and all inputs found so far (`fuzz/corpus`),
//! and the workspace builds without a C++ compiler.

#![forbid(unsafe_code)]

pub mod disk;
pub mod files;
pub mod seeds;

pub use disk::disk;
pub use files::files;
use formats::stop::Stops;
use llm_core::arena::Arena;
use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::chat::{Role, Segment};
use llm_core::generate::{GenerateError, GenerateParams, Progress, Prompt, Text, Turn};
use llm_core::gguf::Gguf;
use llm_core::kv_cache::KvType;
use llm_core::sampling::SamplerParams;
use llm_core::simd::Cpu;
use llm_core::testing::Memory;
use llm_core::tokenizer::{
    Cell, EncodeOptions, Header, MAX_TOKEN_BYTES, Vocabulary, VocabularyView, scratch_cells,
};
use llm_core::transformer::{Checked, LoadError, LoadOptions, Positions};
use protocol::region::WriteWords as _;
use protocol::ring::Frame;
use protocol::testing::endpoints;
use protocol::wire::client::{
    AdapterEntry, Event, Exported, FormatEntry, ModelEntry, Request, Status, Training, Tuned, User,
};
use protocol::wire::engine::{Command, Report};
use shell::{HALT_LINE, Mode, Shell};
use std::collections::VecDeque;
use std::sync::LazyLock;

/// A function that runs an input.
pub type Target = fn(&[u8]);

/// The targets by name, as in `fuzz/corpus`.
pub const TARGETS: [(&str, Target); 7] = [
    ("gguf", gguf),
    ("vocabulary", vocabulary),
    ("text", text),
    ("wire", wire),
    ("shell", shell_line),
    ("disk", disk),
    ("files", files),
];

const OPTIONS: LoadOptions = LoadOptions {
    context: 16,
    kv: KvType::Q8,
    sessions: 1,
    positions: Positions::Exactly(64),
    max_prompt_bytes: 64,
    cpu: Cpu::of_build(),
    workers: 1,
};

/// A complete model file: it is refused or runs, and uses as much memory as planned.
pub fn gguf(file: &[u8]) {
    if let Ok(gguf) = Gguf::parse(file) {
        for (key, value) in gguf.keys() {
            assert!(gguf.get(key).is_some(), "{key}: {value:?}");
        }
        for tensor in gguf.tensors() {
            assert!(tensor.data.len() <= file.len());
        }
    }
    let checked = match Checked::new(file) {
        Ok(checked) => checked,
        Err(error) => {
            // Errors must be printable.
            let _ = error.to_string();
            return;
        }
    };
    let mut memory = Memory::new(1 << 20);
    let arena = Arena::new(memory.bytes()).expect("aligned memory");
    let mut backend = TransformerBackend::new(arena, OPTIONS);
    let plan = match checked.plan(&OPTIONS, 1 << 20) {
        Ok(plan) => plan,
        Err(error) => {
            assert!(matches!(error, LoadError::TooLarge(_)));
            assert!(backend.load(file).is_err());
            return;
        }
    };
    backend.load(file).expect("a plan is a promise");
    assert_eq!(backend.usage().current as u64, plan.total());
    let params = GenerateParams {
        sampler: SamplerParams::greedy(),
        max_tokens: 3,
    };
    let mut text = Text::new();
    if backend
        .start(Turn::only(0), Prompt::Text(b"a b"), &params)
        .is_ok()
    {
        while backend.step(&mut text) != Progress::Idle {}
    }
    converse(&mut backend, &params);
}

/// A conversation with the file's template and a stop string: it is refused, or has at most as many tokens as the
/// template says.
fn converse(backend: &mut TransformerBackend<'_>, params: &GenerateParams) {
    let template = backend.model().and_then(|info| info.template);
    let said = [
        Segment::new(Role::System, "b"),
        Segment::new(Role::User, "a<s>"),
    ];
    let stops = Stops::new(["a", "ab"]).expect("stop strings");
    let begins = Turn {
        stops,
        ..Turn::first(0)
    };
    let goes_on = Turn {
        stops,
        ..Turn::next(0)
    };
    let mut text = Text::new();
    for (turn, segments) in [(begins, &said[..]), (goes_on, &said[1..])] {
        match (
            backend.start(turn, Prompt::Segments(segments), params),
            template,
        ) {
            (Ok(tokens), Some(template)) => {
                let bytes = segments.iter().map(|segment| segment.text.len()).sum();
                assert!(tokens as usize <= template.bound.tokens(bytes, segments.len()));
                while backend.step(&mut text) != Progress::Idle {
                    assert!(!text.contains('a'), "a stop string is shown");
                }
            }
            (Ok(_), None) => panic!("a conversation without a template"),
            (Err(error), template) => {
                // Without a template the first conversation is refused, and there is no session for the second.
                if turn.fresh {
                    assert_eq!(error == GenerateError::NoTemplate, template.is_none());
                }
                let _ = error.to_string();
            }
        }
    }
}

/// A model's vocabulary: it is refused, or tokenizes and gives only tokens that it has.
pub fn vocabulary(file: &[u8]) {
    let Ok(gguf) = Gguf::parse(file) else { return };
    let requirements = match Vocabulary::check(&gguf) {
        Ok(requirements) => requirements,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    // At most as much memory as the file justifies: each token, and each merge, needs at least its length in the file.
    assert!(requirements.words() <= file.len() * 4 + 16);
    let mut table = vec![0; requirements.words()];
    let header = Header::fill(&gguf, &mut table).expect("what was checked is filled");
    let view = header.view(&table);
    for id in 0..view.len() as u32 {
        assert!(view.decode(id, id % 2 == 0).count() <= MAX_TOKEN_BYTES);
        let piece = view.piece(id);
        assert!(piece.is_empty() || view.find(piece).is_some());
    }
    tokenize(
        &view,
        b"a text, <s>with\n\n 12345 things </s> \xF0\x9F\xA6\x8A",
    );
    let first = view.piece(view.len() as u32 / 2);
    tokenize(&view, first);
}

/// Text for a SentencePiece and a byte-level vocabulary.
pub fn text(text: &[u8]) {
    static VOCABULARIES: LazyLock<[(Header, Vec<u32>); 2]> = LazyLock::new(|| {
        [seeds::sentence_piece(), seeds::byte_level()].map(|file| {
            let gguf = Gguf::parse(&file).expect("our own file");
            let requirements = Vocabulary::check(&gguf).expect("our own vocabulary");
            let mut table = vec![0; requirements.words()];
            let header = Header::fill(&gguf, &mut table).expect("our own vocabulary");
            (header, table)
        })
    });
    for (header, table) in &*VOCABULARIES {
        tokenize(&header.view(table), text);
    }
}

fn tokenize(view: &VocabularyView<'_>, text: &[u8]) {
    let mut cells = vec![Cell::default(); scratch_cells(text.len())];
    let mut out = vec![0; 3 * text.len() + 8];
    for parse_special in [false, true] {
        let options = EncodeOptions {
            add_special: true,
            parse_special,
            parse_user_defined: true,
        };
        if let Ok(len) = view.encode(text, options, &mut cells, &mut out) {
            assert!(core::str::from_utf8(text).is_ok());
            assert!(out[..len].iter().all(|&id| (id as usize) < view.len()));
        }
    }
}

/// A peer that writes arbitrary data into its region: messages are dropped, or are parsed and written back unchanged.
pub fn wire(bytes: &[u8]) {
    parsed_messages(bytes);
}

/// Like [`wire`]; returns how many messages were valid for some peer.
pub fn parsed_messages(bytes: &[u8]) -> usize {
    let mut parsed = 0;
    let (mut audit, mut peer, region) = endpoints();
    audit.lead(1);
    peer.follow();
    // Two bytes give the position, eight the value; audit reads in between.
    for (round, write) in bytes.chunks(10).enumerate() {
        let (place, value) = write.split_at(write.len().min(2));
        let place = place
            .iter()
            .fold(0, |at, &byte| (at << 8) | usize::from(byte));
        let mut word = [0; 8];
        word[..value.len()].copy_from_slice(value);
        region.store(place, u64::from_le_bytes(word));
        if round % 4 == 3 {
            parsed += drain(&mut audit);
        }
    }
    parsed + drain(&mut audit)
}

fn drain(audit: &mut protocol::testing::TestEndpoint) -> usize {
    let mut frame = Frame::new();
    let mut parsed = 0;
    // A ring has fewer slots than this; a hostile peer may claim any number.
    for _ in 0..256 {
        match audit.receive(&mut frame) {
            Ok(true) => {
                let mut again = Frame::new();
                let mut compare = |write: &dyn Fn(&mut Frame)| {
                    write(&mut again);
                    assert_eq!(again.payload(), frame.payload());
                };
                let number = frame.header().request;
                let results = [
                    Request::parse(&frame).map(|it| compare(&|again| it.write(number, again))),
                    Event::parse(&frame).map(|it| compare(&|again| it.write(number, again))),
                    Command::parse(&frame).map(|it| compare(&|again| it.write(number, again))),
                    Report::parse(&frame).map(|it| compare(&|again| it.write(number, again))),
                ];
                // Errors must be printable.
                let texts = results.map(|result| result.map_err(|error| error.to_string()));
                parsed += usize::from(texts.iter().any(Result::is_ok));
            }
            Ok(false) => break,
            Err(_) => {}
        }
    }
    let _ = (audit.free(), audit.peer_has_joined());
    parsed
}

#[derive(Default)]
struct Console {
    input: VecDeque<u8>,
    output: Vec<u8>,
    halted: bool,
}

impl shell::Port for Console {
    fn notify_audit(&mut self) {}

    fn write(&mut self, bytes: &[u8]) -> usize {
        self.output.extend(bytes);
        bytes.len()
    }

    fn want_room(&mut self, _: bool) {}

    fn read(&mut self) -> Option<u8> {
        self.input.pop_front()
    }

    fn input_done(&mut self) {}

    fn halt(&mut self) {
        self.halted = true;
    }
}

/// Audit's answers: names for lists, hostile text and a refusal for everything else.
fn answers(frame: &Frame) -> Vec<Event<'static>> {
    let name = |text| protocol::name::Name::new(text).expect("a name");
    let user = User {
        name: name("admin"),
        has_passphrase: 1,
        ..User::default()
    };
    let failure = protocol::error::Failure::of(protocol::error::ErrorCode::NoModel);
    let failed = Event::Failed {
        failure,
        detail: b"\x01\x1b[2J",
    };
    match Request::parse(frame).expect("the shell sends messages") {
        Request::Users => vec![Event::User(user), Event::Listed { count: 1 }],
        Request::Models => {
            let entry = ModelEntry {
                name: protocol::name::Name::new("tiny").expect("a name"),
                ..ModelEntry::default()
            };
            vec![Event::Model(entry), Event::Listed { count: 1 }]
        }
        Request::Login {
            passphrase: None, ..
        } => vec![Event::Failed {
            failure: protocol::error::Failure::of(protocol::error::ErrorCode::PassphraseNeeded),
            detail: b"",
        }],
        Request::Login { .. } => vec![Event::User(user)],
        // A conversation needs a model with a template.
        Request::Status => {
            let mut status = Status {
                name: protocol::name::Name::new("tiny").expect("a name"),
                ..Status::default()
            };
            status.model.template = name("chatml");
            vec![Event::Status(status)]
        }
        Request::Sessions => vec![Event::Listed { count: 0 }],
        Request::Formats => vec![
            Event::Format(FormatEntry::default()),
            Event::Listed { count: 1 },
        ],
        Request::Infer { .. } => vec![
            Event::Text {
                tokens: 1,
                text: b"\x01\x1b[2J\r\xc2",
            },
            Event::Text {
                tokens: 1,
                text: b"\x9b",
            },
            failed,
        ],
        Request::Adapters => vec![
            Event::Adapter(AdapterEntry::default()),
            Event::Listed { count: 1 },
        ],
        Request::FineTune { .. } => vec![
            Event::Training(Training::default()),
            Event::Tuned(Tuned::default()),
        ],
        Request::ExportAdapter { name } => vec![
            Event::AdapterPart {
                offset: 0,
                bytes: b"\x01\x1b[2J",
            },
            Event::Exported(Exported {
                name,
                file_bytes: 5,
                sha256: [0; 32],
                base_sha256: [0; 32],
                signature: [0; 64],
            }),
        ],
        _ => vec![failed],
    }
}

/// Keys at the console. The shell's output never contains the control byte of the halt line and, on a pipe, no escape
/// character.
pub fn shell_line(keys: &[u8]) {
    for mode in [Mode::Terminal, Mode::Dumb, Mode::Plain] {
        let (mut audit, end, _) = endpoints();
        audit.lead(1);
        let mut console = Console::default();
        let mut memory = Box::new(shell::Memory::new());
        let mut shell = Shell::new(end, mode, &mut memory);
        let mut frame = Frame::new();
        Event::Ready(User::default()).write(0, &mut frame);
        audit.send(&frame).expect("an empty ring");
        shell.on_signal(&mut console);
        if mode == Mode::Terminal {
            console.input.extend(b"\x1b[24;40R");
        }
        console.input.extend(keys);
        for _ in 0..keys.len().min(64) {
            shell.on_input(&mut console);
            while let Ok(true) = audit.receive(&mut frame) {
                let request = frame.header().request;
                for event in answers(&frame) {
                    event.write(request, &mut frame);
                    let _ = audit.send(&frame);
                }
            }
            shell.on_signal(&mut console);
        }
        assert!(!console.output.contains(&HALT_LINE.as_bytes()[0]));
        assert!(mode == Mode::Terminal || !console.output.contains(&0x1b));
    }
}
