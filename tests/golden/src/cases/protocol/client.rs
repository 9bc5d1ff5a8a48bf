//! Messages of clients.

use super::records::record;
use super::{ADAPTER, INFO, PROGRESS, PROMPT, conversation, format, model, nonce, session, user};
use crate::bits::Bits;
use protocol::attest::Attestation;
use protocol::error::{ErrorCode, Failure};
use protocol::hash::SIGNATURE_BYTES;
use protocol::limits::{MAX_PROMPT_BYTES, MAX_REFUSAL_REASONS};
use protocol::name::{FormatName, ModelName, SessionName, UserName};
use protocol::record::Kind;
use protocol::ring::Frame;
use protocol::testing::completion;
use protocol::wire::client::{
    AdapterEntry, AdapterOrigin, Budget, BudgetChange, Event, Exported, Finished, FormatEntry,
    LogExtent, LogQuery, Refusals, Request, Stats, Training, Tuned,
};
use protocol::wire::{Fault, FaultKind, FinishReason, InferParams, TARGETS_ALL, TrainParams};

pub(super) fn wire_requests(bits: &mut Bits) {
    let change = BudgetChange {
        tokens: Some(1000),
        period_us: Some(60_000_000),
    };
    round_trips!(
        Request,
        bits,
        [
            Request::Infer {
                params: InferParams::default(),
                session: session(),
                adapter: model(),
                format: format(),
                parts: conversation(),
            },
            Request::Infer {
                params: InferParams::default(),
                session: SessionName::EMPTY,
                adapter: ModelName::EMPTY,
                format: FormatName::EMPTY,
                parts: completion(&[b'x'; MAX_PROMPT_BYTES]),
            },
            Request::Cancel,
            Request::Models,
            Request::Load { name: model() },
            Request::Status,
            Request::Stats { watch: true },
            Request::Login {
                user: user(),
                passphrase: Some(b"correct horse"),
            },
            Request::Login {
                user: user(),
                passphrase: None,
            },
            Request::Logout,
            Request::WhoAmI,
            Request::Users,
            Request::Budget {
                user: user(),
                change,
            },
            Request::Budget {
                user: user(),
                change: BudgetChange {
                    tokens: Some(1000),
                    period_us: None,
                },
            },
            Request::Budget {
                user: UserName::EMPTY,
                change: BudgetChange::NONE,
            },
            Request::Log(LogQuery {
                last: 10,
                user: user(),
                follow: true,
            }),
            Request::VerifyLog,
            Request::Reset,
            Request::Halt,
            Request::Attest { nonce: nonce() },
            Request::Sessions,
            Request::Close { session: session() },
            Request::FineTune {
                params: TrainParams {
                    targets: TARGETS_ALL,
                    ..TrainParams::default()
                },
                data: model(),
                adapter: ModelName::EMPTY,
            },
            Request::Example { text: PROMPT },
            Request::DropExamples,
            Request::Adapters,
            Request::Formats,
            Request::LoadAdapter { name: model() },
            Request::DropAdapter { name: model() },
            Request::ExportAdapter { name: model() },
        ]
    );
}

pub(super) fn wire_events(bits: &mut Bits) {
    let extent = LogExtent {
        first: 3,
        next: 9,
        anchor: [1; 32],
        head: [2; 32],
    };
    round_trips!(
        Event,
        bits,
        [
            Event::Text {
                tokens: 1,
                text: PROMPT,
            },
            Event::Finished(Finished {
                reason: FinishReason::EndOfText,
                prompt_tokens: 1,
                generated_tokens: 2,
                turn: 3,
                first_token_us: 4,
                total_us: 5,
                held_us: 0,
            }),
            Event::Failed {
                failure: Failure::of(ErrorCode::InferenceFault),
                detail: b"",
            },
            Event::Format(FormatEntry {
                name: format(),
                states: 9,
                bytes: 700,
                allowed: true,
                sha256: [6; 32],
            }),
            Event::Listed { count: 2 },
            Event::Loaded {
                name: model(),
                info: INFO,
            },
            Event::Stats(Stats {
                uptime_us: 1,
                refusals: [Refusals {
                    code: Some(ErrorCode::NoModel),
                    count: 7,
                }; MAX_REFUSAL_REASONS],
                ..Stats::default()
            }),
            Event::Fault {
                fault: Fault {
                    kind: FaultKind::Memory,
                    ip: 0x20_0000,
                    address: 0xDEAD,
                },
                count: 2,
            },
            Event::Recovered {
                after_us: 3000,
                restarts: 1,
            },
            Event::Budget(Budget {
                user: user(),
                tokens: 10,
                used: 4,
                reserved: 3,
                period_us: 2,
                left_us: 1,
            }),
            Event::Record {
                record: record(Kind::Admit),
                text: PROMPT,
            },
            Event::LogEnd(extent),
            Event::LogVerified {
                extent,
                broken_at: 4,
            },
            Event::Done,
            Event::Adapter(AdapterEntry {
                name: model(),
                origin: AdapterOrigin::Device,
                info: ADAPTER,
                ..AdapterEntry::default()
            }),
            Event::Training(Training {
                progress: PROGRESS,
                elapsed_us: 7,
            }),
            Event::Tuned(Tuned {
                name: model(),
                not_loaded: Some(ErrorCode::AdapterTooLarge),
                ..Tuned::default()
            }),
            Event::AdapterLoaded {
                name: model(),
                info: ADAPTER,
            },
            Event::AdapterPart {
                offset: 4096,
                bytes: PROMPT,
            },
            Event::Exported(Exported {
                name: model(),
                file_bytes: 245_760,
                sha256: [1; 32],
                base_sha256: [2; 32],
                signature: [3; SIGNATURE_BYTES],
            }),
            Event::Examples {
                count: 1,
                bytes: 2,
                limit: 3,
            },
            Event::Attested(Attestation {
                sequence: 9,
                boot: 2,
                nonce: nonce(),
                head: [4; 32],
                signature: [5; SIGNATURE_BYTES],
            }),
        ]
    );
}
