//! Messages between audit and inference.

use super::{Frame, WireError};
use crate::error::{ErrorCode, Failure};
use crate::limits::{MAX_PROMPT_BYTES, MAX_TEMPLATE_BYTES};
use crate::name::TemplateName;
use crate::testing::{completion, parts};
use crate::wire::engine::{
    AdapterLoaded, Command, Holdings, KvType, Loaded, Report, Source, Trained,
};
use crate::wire::{
    AdapterInfo, ArenaUse, FinishReason, InferParams, ModelInfo, PartKind, TrainParams,
    TrainProgress, client,
};

extern crate std;
use std::vec::Vec;

static LONGEST: [u8; MAX_PROMPT_BYTES] = [b'x'; MAX_PROMPT_BYTES];

pub(super) fn commands() -> Vec<Command<'static>> {
    let infer = |text: &[u8], fresh, keep| Command::Infer {
        params: InferParams::default(),
        session: 31,
        client: 3,
        user: 15,
        fresh,
        keep,
        credit: 7,
        adapter: 8,
        format: 16,
        user_defined: fresh,
        parts: completion(text),
    };
    let conversation = parts(&[
        (PartKind::System, b""),
        (PartKind::User, b"How?"),
        (PartKind::Choice, b"so"),
    ]);
    [
        infer(b"", true, false),
        infer(b"Once", false, true),
        infer(&LONGEST, true, true),
        Command::Infer {
            params: InferParams::default(),
            session: 0,
            client: 0,
            user: 0,
            fresh: true,
            keep: true,
            credit: 1,
            adapter: 0,
            format: 0,
            user_defined: false,
            parts: conversation,
        },
        Command::Cancel,
        Command::Load {
            offset: 512,
            bytes: 1 << 40,
            context: 512,
        },
        Command::Status,
        Command::Drop { session: 3 },
        Command::Credit { tokens: 24 },
        Command::Adapter {
            place: 7,
            source: Source::Device,
            offset: 65_536,
            bytes: 9,
            base: [2; 32],
        },
        Command::DropAdapter { place: 0 },
        Command::Train {
            params: TrainParams::default(),
            source: Source::Store,
            offset: 512,
            bytes: 9,
            base: [2; 32],
            room: 1 << 19,
        },
    ]
    .into()
}

pub(super) fn reports() -> Vec<Report<'static>> {
    [
        Report::Ready,
        Report::Corrupt,
        Report::Token {
            id: 9,
            text: b" king",
        },
        Report::Finished {
            reason: FinishReason::MaxTokens,
            prompt_tokens: 1,
            generated_tokens: 2,
        },
        Report::Failed {
            failure: Failure::over(ErrorCode::PromptTokens, 600, 511),
            detail: b"blk.0.attn_q.weight",
        },
        Report::Loaded(Loaded {
            info: ModelInfo {
                parameters: 1,
                template: TemplateName::new(&"t".repeat(MAX_TEMPLATE_BYTES)).unwrap(),
                fixed_tokens: 9,
                separates: true,
                ..Default::default()
            },
            arena: ArenaUse::default(),
            numerics: 2,
            kv_type: KvType::Q8,
            kv_positions: 2048,
        }),
        Report::Holdings(Holdings {
            kv_free: 16,
            ..Default::default()
        }),
        Report::Evicted { session: 4 },
        Report::AdapterLoaded(AdapterLoaded {
            info: AdapterInfo {
                rank: 64,
                ..AdapterInfo::default()
            },
            arena: ArenaUse::default(),
            kv_positions: 2048,
        }),
        Report::Training(TrainProgress {
            steps: 5,
            alone: true,
            ..TrainProgress::default()
        }),
        Report::Part {
            offset: 4096,
            bytes: b"GGUF",
        },
        Report::Trained(Trained {
            tokens: 7,
            bytes: 4100,
            ..Trained::default()
        }),
    ]
    .into()
}

#[test]
fn every_command_is_parsed_as_it_was_written() {
    for command in commands() {
        let mut frame: Frame = Frame::new();
        command.write(7, &mut frame);
        assert_eq!(frame.header().request, 7);
        assert_eq!(Command::parse(&frame), Ok(command));
        assert!(matches!(Report::parse(&frame), Err(WireError::Kind(_))));
        let request = client::Request::parse(&frame);
        assert!(matches!(request, Err(WireError::Kind(_))));
    }
}

#[test]
fn every_report_is_parsed_as_it_was_written() {
    for report in reports() {
        let mut frame: Frame = Frame::new();
        report.write(7, &mut frame);
        assert_eq!(frame.header().request, 7);
        assert_eq!(Report::parse(&frame), Ok(report));
        assert!(matches!(Command::parse(&frame), Err(WireError::Kind(_))));
        let event = client::Event::parse(&frame);
        assert!(matches!(event, Err(WireError::Kind(_))));
    }
}

#[test]
fn a_session_that_no_table_has_is_refused() {
    let mut frame: Frame = Frame::new();
    Command::Drop { session: 32 }.write(1, &mut frame);
    assert_eq!(Command::parse(&frame), Err(WireError::Field(0x205)));
    Report::Evicted { session: u32::MAX }.write(1, &mut frame);
    assert_eq!(Report::parse(&frame), Err(WireError::Field(0x307)));
    let infer = |session, user, adapter, format| Command::Infer {
        params: InferParams::default(),
        session,
        client: 0,
        user,
        fresh: true,
        keep: true,
        credit: 0,
        adapter,
        format,
        user_defined: false,
        parts: completion(b"Once"),
    };
    for infer in [
        infer(32, 0, 0, 0),
        infer(0, 16, 0, 0),
        infer(0, 0, 9, 0),
        infer(0, 0, 0, 17),
    ] {
        infer.write(1, &mut frame);
        assert_eq!(Command::parse(&frame), Err(WireError::Field(0x201)));
    }
    Command::DropAdapter { place: 8 }.write(1, &mut frame);
    assert_eq!(Command::parse(&frame), Err(WireError::Field(0x208)));
}
