//! What crosses the boundaries: rings in ordinary memory, messages, records, the policy, the store, fractions.

/// Writes each message, parses it, and writes the result: both the parsed message and the bytes must be the same.
macro_rules! round_trips {
    ($ty:ident, $bits:ident, $messages:expr) => {
        for (number, message) in $messages.into_iter().enumerate() {
            let mut frame: Frame = Frame::new();
            message.write(number as u32, &mut frame);
            let parsed = $ty::parse(&frame).expect("a message that was written");
            assert_eq!(parsed, message);
            let mut again: Frame = Frame::new();
            parsed.write(number as u32, &mut again);
            assert_eq!(frame.payload(), again.payload());
            $bits.number(u64::from(frame.header().kind));
            $bits.number(u64::from(frame.header().request));
            $bits.bytes(frame.payload());
        }
    };
}

mod client;
mod records;

use super::Case;
use crate::bits::Bits;
use crate::generator::Generator;
use alloc::vec;
use alloc::vec::Vec;
use client::{wire_events, wire_requests};
use core::fmt::Write as _;
use protocol::decimal::{self, Millionths};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_PART_BYTES, MAX_PROMPT_BYTES};
use protocol::name::{FormatName, ModelName, Nonce, SessionName, TemplateName, UserName};
use protocol::region::{ReadWords as _, WriteWords as _};
use protocol::ring::{Frame, PAYLOAD_BYTES, SLOTS, SendError};
use protocol::testing::{completion, endpoints, parts};
use protocol::wire::client::{Event, Request};
use protocol::wire::engine::{
    AdapterLoaded, Command, Holdings, KvType, Loaded, Report, Source, Trained,
};
use protocol::wire::{
    AdapterInfo, ArenaUse, FinishReason, InferParams, ModelInfo, PartKind, Parts, TrainParams,
    TrainProgress,
};
use records::{policy_read, record_json, store_read};

/// Cases of the protocol and its formats.
pub const CASES: &[Case] = &[
    Case::once("ring_round_trips", ring_round_trips),
    Case::once("ring_hostile_peer", ring_hostile_peer),
    Case::once("wire_commands", wire_commands),
    Case::once("wire_reports", wire_reports),
    Case::once("wire_requests", wire_requests),
    Case::once("wire_events", wire_events),
    Case::once("wire_any_bytes", wire_any_bytes),
    Case::once("record_json", record_json),
    Case::once("policy_read", policy_read),
    Case::once("store_read", store_read),
    Case::once("decimal_fractions", decimal_fractions),
    Case::once("names", names),
];

fn message(frame: &mut Frame, kind: u16, request: u32, payload: &[u8]) {
    frame.begin(kind, request)[..payload.len()].copy_from_slice(payload);
    frame.finish(payload.len());
}

/// Messages of every length both ways, several times around the ring, filled to the brim, over two epochs.
fn ring_round_trips(bits: &mut Bits) {
    let mut generator = Generator::new(900);
    let (mut audit, mut peer, region) = endpoints();
    let mut frame = Frame::new();
    message(&mut frame, 1, 1, b"before the first epoch");
    assert_eq!(audit.send(&frame), Err(SendError::Stale));
    for epoch in [1, 0xFFFF_FFFF] {
        audit.lead(epoch);
        assert!(peer.follow() && !peer.follow() && audit.peer_has_joined());
        for round in 0..12 {
            let count = if round % 3 == 0 {
                SLOTS
            } else {
                1 + generator.below(SLOTS)
            };
            let (from, to) = match round % 2 {
                0 => (&mut audit, &mut peer),
                _ => (&mut peer, &mut audit),
            };
            let mut sent = Vec::new();
            for n in 0..count {
                let length = [0, 1, 7, 8, 9, 100, PAYLOAD_BYTES][generator.below(7)];
                let payload = generator.bytes(length);
                message(&mut frame, n as u16, round * 100 + n as u32, &payload);
                from.send(&frame).expect("room in the ring");
                sent.push(payload);
            }
            assert_eq!(from.free(), SLOTS - count);
            if count == SLOTS {
                assert_eq!(from.send(&frame), Err(SendError::Full));
            }
            for (n, payload) in sent.iter().enumerate() {
                assert_eq!(to.receive(&mut frame), Ok(true));
                assert_eq!(frame.payload(), payload);
                assert_eq!(frame.header().request, round * 100 + n as u32);
                bits.number(u64::from(frame.header().kind));
                bits.bytes(frame.payload());
            }
            assert_eq!(to.receive(&mut frame), Ok(false));
            assert_eq!(from.free(), SLOTS);
        }
        // The words in the peer's region show the layout.
        (0..region.words()).for_each(|index| bits.number(region.load(index)));
    }
    message(&mut frame, 1, 1, &[]);
    frame.finish(PAYLOAD_BYTES + 1);
    assert_eq!(audit.send(&frame), Err(SendError::TooLong));
}

/// A peer that writes arbitrary data into its region: what audit receives, and what it refuses.
fn ring_hostile_peer(bits: &mut Bits) {
    let mut generator = Generator::new(901);
    let (mut audit, mut peer, region) = endpoints();
    let mut frame = Frame::new();
    audit.lead(5);
    peer.follow();
    for _ in 0..300 {
        // The header and the beginning of the slots, mostly with indices and epochs that are nearly right.
        let index = [2, 2, 3, 8, 9, 1, 10][generator.below(7)];
        let value = match generator.below(4) {
            0 => generator.word(),
            1 => 5 << 32 | generator.below(40) as u64,
            2 => generator.below(10) as u64,
            _ => 5 << 32 | 0xFFFF_FFFF,
        };
        region.store(index, value);
        for _ in 0..SLOTS + 2 {
            match audit.receive(&mut frame) {
                Ok(received) => {
                    bits.number(u64::from(received));
                    if !received {
                        break;
                    }
                    bits.bytes(frame.payload());
                }
                Err(violation) => bits.number(2 + violation as u64),
            }
        }
        bits.number(audit.free() as u64);
    }
}

const PROMPT: &[u8] = "once upon a time, é 🦊".as_bytes();

const INFO: ModelInfo = ModelInfo {
    parameters: 15_700_000,
    file_bytes: 3_956_288,
    context: 512,
    width: 384,
    layers: 6,
    vocabulary: 4096,
    sha256: [0xA5; 32],
    template: TemplateName::EMPTY,
    fixed_tokens: 40,
    segment_tokens: 9,
    separates: true,
};

const ARENA: ArenaUse = ArenaUse {
    weights: 1,
    kv_cache: 2,
    activations: 3,
    vocabulary: 4,
    adapters: 6,
    training: 7,
    other: 5,
    peak: 28,
    capacity: 8 << 20,
};

const ADAPTER: AdapterInfo = AdapterInfo {
    rank: 8,
    alpha: 16_000_000,
    matrices: 28,
    parameters: 100_000,
    bytes: 400_064,
};

const PROGRESS: TrainProgress = TrainProgress {
    step: 3,
    steps: 40,
    tokens: 300,
    loss: 1_234_567,
    longest: 87,
    alone: true,
};

fn user() -> UserName {
    UserName::new("admin").expect("a name")
}

fn nonce() -> Nonce {
    Nonce::new("monday").expect("a name")
}

fn session() -> SessionName {
    SessionName::new("story").expect("a name")
}

fn model() -> ModelName {
    ModelName::new("default").expect("a name")
}

fn format() -> FormatName {
    FormatName::new("triage").expect("a name")
}

/// A conversation with all that can come with one.
fn conversation() -> Parts<'static> {
    parts(&[
        (PartKind::System, b"be brief"),
        (PartKind::User, PROMPT),
        (PartKind::Assistant, b""),
        (PartKind::User, &[b'x'; 200]),
        (PartKind::Stop, b"\n"),
        (PartKind::Stop, b"User:"),
        (PartKind::Choice, b"yes"),
    ])
}

fn wire_commands(bits: &mut Bits) {
    let infer = |session, fresh, keep| Command::Infer {
        params: InferParams::default(),
        session,
        client: session % 4,
        user: session % 3,
        fresh,
        keep,
        credit: 7,
        adapter: session % 9,
        format: session % 5,
        user_defined: keep,
        parts: match fresh {
            true => completion(PROMPT),
            false => conversation(),
        },
    };
    round_trips!(
        Command,
        bits,
        [
            infer(0, true, false),
            infer(31, false, true),
            Command::Cancel,
            Command::Load {
                offset: 512,
                bytes: u64::MAX,
                context: 512,
            },
            Command::Status,
            Command::Drop { session: 31 },
            Command::Credit { tokens: 512 },
            Command::Adapter {
                place: 7,
                source: Source::Device,
                offset: 65_536,
                bytes: u64::MAX,
                base: [0xA5; 32],
            },
            Command::DropAdapter { place: 0 },
            Command::Train {
                params: TrainParams::default(),
                source: Source::Store,
                offset: 512,
                bytes: 4096,
                base: [0xA5; 32],
                room: 1 << 19,
            },
        ]
    );
}

fn wire_reports(bits: &mut Bits) {
    round_trips!(
        Report,
        bits,
        [
            Report::Ready,
            Report::Token {
                id: 4095,
                text: PROMPT
            },
            Report::Token { id: 0, text: b"" },
            Report::Finished {
                reason: FinishReason::ContextFull,
                prompt_tokens: 7,
                generated_tokens: 505,
            },
            Report::Failed {
                failure: Failure::over(ErrorCode::PromptTokens, 600, 511),
                detail: b"blk.0.attn_q.weight",
            },
            Report::Loaded(Loaded {
                info: INFO,
                arena: ARENA,
                numerics: 1,
                kv_type: KvType::Q8,
                kv_positions: 2048,
            }),
            Report::Holdings(Holdings {
                arena: ARENA,
                kv_positions: 2048,
                kv_free: 16,
                running: 1,
                waiting: 2,
            }),
            Report::Evicted { session: 4 },
            Report::AdapterLoaded(AdapterLoaded {
                info: ADAPTER,
                arena: ARENA,
                kv_positions: 1024,
            }),
            Report::Training(PROGRESS),
            Report::Part {
                offset: 4096,
                bytes: &[0x5A; MAX_PART_BYTES],
            },
            Report::Trained(Trained {
                tokens: 4000,
                bytes: 245_760,
                steps: 40,
                loss: 912_000,
            }),
            Report::Corrupt,
        ]
    );
}

/// Records which arbitrary bytes are accepted as messages.
fn wire_any_bytes(bits: &mut Bits) {
    let mut generator = Generator::new(902);
    let mut frame = Frame::new();
    for _ in 0..600 {
        let kind = [0, 0x100, 0x200, 0x300][generator.below(4)] + generator.below(20) as u16;
        let length = generator.below(200);
        let payload: Vec<u8> = match generator.below(2) {
            // Small numbers, as flags and enums have them.
            0 => (0..length).map(|_| generator.below(3) as u8).collect(),
            _ => generator.bytes(length),
        };
        message(&mut frame, kind, 1, &payload);
        let accepted = [
            Command::parse(&frame).is_ok(),
            Report::parse(&frame).is_ok(),
            Request::parse(&frame).is_ok(),
            Event::parse(&frame).is_ok(),
        ];
        bits.bytes(&accepted.map(u8::from));
    }
    let requests = [
        completion(b""),
        completion(b"ab"),
        completion(b"ab\xff"),
        completion(&[b'x'; MAX_PROMPT_BYTES + 1]),
        conversation(),
        parts(&[(PartKind::User, b"a"), (PartKind::User, b"b")]),
        parts(&[(PartKind::User, b"a"), (PartKind::Stop, &[b's'; 65])]),
    ];
    for request in requests {
        match request.check() {
            Ok(extent) => {
                bits.ids(&[extent.text_bytes, extent.segments]);
                bits.ids(&[extent.stops, extent.choices]);
            }
            Err(Failure { code, value, limit }) => {
                [code as u64, value, limit]
                    .iter()
                    .for_each(|n| bits.number(*n));
            }
        }
    }
}

fn decimal_fractions(bits: &mut Bits) {
    let texts = [
        "0.8",
        ".5",
        "1.",
        "0",
        "0.000001",
        "4294.967295",
        "4294.967296",
        "",
        ".",
        "-1",
        "1e3",
        "0.1.2",
        "0.0000001",
        "99999999999999999999999",
        "٣",
        "12a",
        " 1",
    ];
    for text in texts {
        match decimal::parse(text) {
            Ok(millionths) => bits.number(u64::from(millionths)),
            Err(error) => bits.number(u64::MAX - error as u64),
        }
    }
    let mut generator = Generator::new(905);
    for _ in 0..200 {
        let value = generator.word() as u32 >> generator.below(32);
        let mut text = Bits::default();
        let _ = write!(text, "{}", Millionths(u64::from(value)));
        let text = text.into_bytes();
        let text = core::str::from_utf8(&text).expect("digits");
        assert_eq!(decimal::parse(text), Ok(value));
        bits.bytes(text.as_bytes());
    }
}

fn names(bits: &mut Bits) {
    let long = vec![b'a'; 33];
    let long = core::str::from_utf8(&long).expect("letters");
    for text in [
        "guest",
        "a-b_c.d",
        "",
        "a b",
        "ü",
        "a\n",
        "a\"",
        "a\0b",
        &long[..32],
        long,
    ] {
        match UserName::new(text) {
            Some(name) => {
                let _ = writeln!(bits, "{name}");
            }
            None => bits.number(0),
        }
    }
}
