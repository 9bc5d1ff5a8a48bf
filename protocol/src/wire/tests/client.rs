//! Messages between a client and audit.

use super::{Frame, WireError};
use crate::attest::Attestation;
use crate::error::{ErrorCode, Failure};
use crate::limits::{MAX_PROMPT_BYTES, MAX_REFUSAL_REASONS};
use crate::name::{FormatName, ModelName, Nonce, SessionName, UserName};
use crate::record::{Kind, Record};
use crate::testing::{completion, parts};
use crate::wire::client::{
    AdapterEntry, AdapterOrigin, Budget, BudgetChange, Event, Exported, Finished, FormatEntry,
    LogExtent, LogQuery, ModelEntry, Progress, Refusals, Request, SessionEntry, SessionState,
    Signature, Stage, Stats, Status, Training, Tuned, User,
};
use crate::wire::{
    AdapterInfo, Fault, FaultKind, FinishReason, InferParams, ModelInfo, PartKind, TrainParams,
    TrainProgress, engine,
};

extern crate std;
use std::vec::Vec;

static LONGEST: [u8; MAX_PROMPT_BYTES] = [b'x'; MAX_PROMPT_BYTES];

pub(super) fn requests() -> Vec<Request<'static>> {
    let moral = ModelName::new("moral").unwrap();
    let infer = |session, text: &[u8]| Request::Infer {
        params: InferParams::default(),
        session,
        adapter: ModelName::EMPTY,
        format: FormatName::EMPTY,
        parts: completion(text),
    };
    let user = UserName::new("admin").unwrap();
    let session = SessionName::new("tale").unwrap();
    [
        infer(SessionName::EMPTY, b""),
        infer(session, b"Once"),
        infer(session, &LONGEST),
        Request::Infer {
            params: InferParams::default(),
            session,
            adapter: moral,
            format: FormatName::new("triage").unwrap(),
            parts: parts(&[
                (PartKind::User, b"Once"),
                (PartKind::Stop, b"."),
                (PartKind::Choice, b"x"),
            ]),
        },
        Request::Cancel,
        Request::Models,
        Request::Load {
            name: ModelName::new("default").unwrap(),
        },
        Request::Status,
        Request::Stats { watch: false },
        Request::Stats { watch: true },
        Request::Login {
            user,
            passphrase: Some(b"correct horse"),
        },
        Request::Login {
            user,
            passphrase: Some(b""),
        },
        Request::Login {
            user,
            passphrase: None,
        },
        Request::Logout,
        Request::WhoAmI,
        Request::Users,
        Request::Budget {
            user,
            change: BudgetChange::NONE,
        },
        Request::Budget {
            user: UserName::EMPTY,
            change: BudgetChange {
                tokens: Some(5),
                period_us: Some(6),
            },
        },
        Request::Budget {
            user,
            change: BudgetChange {
                tokens: Some(0),
                period_us: None,
            },
        },
        Request::Budget {
            user,
            change: BudgetChange {
                tokens: None,
                period_us: Some(6),
            },
        },
        Request::Log(LogQuery {
            last: 3,
            user,
            follow: true,
        }),
        Request::VerifyLog,
        Request::Attest {
            nonce: Nonce::new("n-1").unwrap(),
        },
        Request::Reset,
        Request::Halt,
        Request::Sessions,
        Request::Close { session },
        Request::FineTune {
            params: TrainParams::default(),
            data: moral,
            adapter: ModelName::EMPTY,
        },
        Request::Example {
            text: b"{\"text\":\"x\"}",
        },
        Request::Example { text: &LONGEST },
        Request::DropExamples,
        Request::Adapters,
        Request::LoadAdapter { name: moral },
        Request::DropAdapter { name: moral },
        Request::ExportAdapter { name: moral },
        Request::Formats,
    ]
    .into()
}

pub(super) fn events() -> Vec<Event<'static>> {
    let name = ModelName::new("tiny").unwrap();
    let user = User {
        name: UserName::new("guest").unwrap(),
        role: UserName::new("reader").unwrap(),
        permissions: 1,
        has_passphrase: 0,
    };
    let info = ModelInfo {
        parameters: 1,
        sha256: [7; 32],
        ..Default::default()
    };
    let extent = LogExtent {
        first: 1,
        next: 9,
        anchor: [1; 32],
        head: [2; 32],
    };
    let mut refusals = [Refusals::default(); MAX_REFUSAL_REASONS];
    refusals[0] = Refusals {
        code: Some(ErrorCode::NoModel),
        count: 9,
    };
    [
        Event::Ready(user),
        Event::Text {
            tokens: 1,
            text: b" king",
        },
        Event::Finished(Finished {
            reason: FinishReason::MaxTokens,
            prompt_tokens: 1,
            generated_tokens: 2,
            turn: 5,
            first_token_us: 3,
            total_us: 4,
            held_us: 0,
        }),
        Event::Failed {
            failure: Failure::over(ErrorCode::PromptTokens, 600, 511),
            detail: b"blk.0.attn_q.weight",
        },
        Event::Model(ModelEntry {
            name,
            file_bytes: 5,
            loaded: true,
            signature: Signature::Good,
        }),
        Event::Listed { count: 2 },
        Event::Loaded { name, info },
        Event::Status(Status {
            name,
            restarts: 3,
            ..Default::default()
        }),
        Event::Stats(Stats {
            admitted: 4,
            stopped: 1,
            refusals,
            ..Default::default()
        }),
        Event::Fault {
            fault: Fault {
                kind: FaultKind::Memory,
                ip: 1,
                address: 2,
            },
            count: 3,
        },
        Event::Recovered {
            after_us: 5,
            restarts: 1,
        },
        Event::User(user),
        Event::Budget(Budget {
            user: user.name,
            used: 3,
            ..Default::default()
        }),
        Event::Record {
            record: Record::new(Kind::Admit),
            text: &LONGEST,
        },
        Event::LogEnd(extent),
        Event::LogVerified {
            extent,
            broken_at: 4,
        },
        Event::Attested(Attestation {
            sequence: 4,
            boot: 2,
            nonce: Nonce::new("n-1").unwrap(),
            head: [5; 32],
            signature: [6; 64],
        }),
        Event::Session(SessionEntry {
            name: SessionName::new("tale").unwrap(),
            user: user.name,
            turns: 2,
            state: SessionState::Evicted,
            ..Default::default()
        }),
        Event::Progress(Progress {
            stage: Stage::Verifying,
            done: 1,
            total: 2,
        }),
        Event::Done,
        Event::Adapter(AdapterEntry {
            name,
            origin: AdapterOrigin::Device,
            signature: Signature::Good,
            loaded: true,
            info: AdapterInfo {
                rank: 4,
                ..AdapterInfo::default()
            },
            ..AdapterEntry::default()
        }),
        Event::Training(Training {
            progress: TrainProgress {
                step: 3,
                steps: 300,
                alone: true,
                ..TrainProgress::default()
            },
            elapsed_us: 5,
        }),
        Event::Tuned(Tuned {
            name,
            tokens: 1 << 40,
            not_loaded: Some(ErrorCode::AdapterTooLarge),
            ..Tuned::default()
        }),
        Event::AdapterLoaded {
            name,
            info: AdapterInfo {
                alpha: 8_000_000,
                ..AdapterInfo::default()
            },
        },
        Event::AdapterPart {
            offset: 4096,
            bytes: &LONGEST[..4096],
        },
        Event::Exported(Exported {
            name,
            file_bytes: 5,
            sha256: [3; 32],
            base_sha256: [4; 32],
            signature: [5; 64],
        }),
        Event::Examples {
            count: 2,
            bytes: 300,
            limit: 65_536,
        },
        Event::Format(FormatEntry {
            name: FormatName::new("triage").unwrap(),
            states: 7,
            allowed: true,
            ..FormatEntry::default()
        }),
    ]
    .into()
}

#[test]
fn every_request_is_parsed_as_it_was_written() {
    for request in requests() {
        let mut frame: Frame = Frame::new();
        request.write(7, &mut frame);
        assert_eq!(frame.header().request, 7);
        assert_eq!(Request::parse(&frame), Ok(request));
        assert!(matches!(Event::parse(&frame), Err(WireError::Kind(_))));
        let command = engine::Command::parse(&frame);
        assert!(matches!(command, Err(WireError::Kind(_))));
    }
}

#[test]
fn every_event_is_parsed_as_it_was_written() {
    for event in events() {
        let mut frame: Frame = Frame::new();
        event.write(7, &mut frame);
        assert_eq!(frame.header().request, 7);
        assert_eq!(Event::parse(&frame), Ok(event));
        assert!(matches!(Request::parse(&frame), Err(WireError::Kind(_))));
        let report = engine::Report::parse(&frame);
        assert!(matches!(report, Err(WireError::Kind(_))));
    }
}

/// `frame` with one byte of its payload changed.
fn with(frame: &Frame, at: usize, byte: u8) -> Frame {
    let mut changed = frame.clone();
    let header = frame.header();
    changed.begin(header.kind, header.request)[at] = byte;
    changed.finish(header.len);
    changed
}

#[test]
fn a_login_that_contradicts_itself_is_none() {
    let user = UserName::new("admin").unwrap();
    let login = |passphrase| {
        let mut frame: Frame = Frame::new();
        Request::Login { user, passphrase }.write(1, &mut frame);
        frame
    };
    let flag = size_of::<UserName>();
    // An absent passphrase, and invalid flags.
    for (at, byte) in [(flag, 0), (flag, 2), (flag, 0xFF), (flag + 3, 1)] {
        let frame = with(&login(Some(b"x")), at, byte);
        assert_eq!(Request::parse(&frame), Err(WireError::Field(7)));
    }
    // Present, but empty.
    let frame = with(&login(None), flag, 1);
    let passphrase = Some(&b""[..]);
    assert_eq!(
        Request::parse(&frame),
        Ok(Request::Login { user, passphrase })
    );
}

#[test]
fn a_change_that_contradicts_itself_is_none() {
    let user = UserName::new("admin").unwrap();
    let change = BudgetChange {
        tokens: Some(1),
        period_us: None,
    };
    let mut frame: Frame = Frame::new();
    Request::Budget { user, change }.write(1, &mut frame);
    let tokens = size_of::<UserName>();
    let period_us = tokens + 12;
    // Each field has an 8-byte value followed by its flag.
    for (at, byte) in [
        (tokens + 8, 0),
        (tokens + 8, 2),
        (tokens + 11, 1),
        (period_us, 1),
        (period_us + 8, 7),
    ] {
        let frame = with(&frame, at, byte);
        assert_eq!(Request::parse(&frame), Err(WireError::Field(11)));
    }
}

#[test]
fn the_most_frequent_reasons_come_first_and_the_rest_is_in_the_total() {
    let mut counts = [0; ErrorCode::END];
    assert_eq!(
        Refusals::most_frequent(&counts),
        [Refusals::default(); MAX_REFUSAL_REASONS]
    );
    counts[ErrorCode::NoModel as usize] = 5;
    counts[ErrorCode::Busy as usize] = 5;
    counts[ErrorCode::LogShare as usize] = 6;
    let few = Refusals::most_frequent(&counts).map(|reason| (reason.code, reason.count));
    assert_eq!(few[0], (Some(ErrorCode::LogShare), 6));
    assert_eq!(few[1], (Some(ErrorCode::Busy), 5));
    assert_eq!(few[2], (Some(ErrorCode::NoModel), 5));
    assert_eq!(few[3..], [(None, 0); MAX_REFUSAL_REASONS - 3]);

    for code in ErrorCode::ALL {
        counts[*code as usize] = *code as u32;
    }
    let refusals = Refusals::most_frequent(&counts);
    let last = ErrorCode::ALL.iter().rev();
    assert!(
        refusals
            .iter()
            .map(|reason| reason.code)
            .eq(last.take(8).copied().map(Some))
    );
    let stats = Stats {
        refused: counts.iter().copied().map(u64::from).sum(),
        refusals,
        ..Stats::default()
    };
    let newest = ErrorCode::ALL[ErrorCode::ALL.len() - 1];
    assert_eq!(u64::from(stats.refused_for(newest)), newest as u64);
    assert_eq!(stats.refused_for(ErrorCode::Busy), 0);
    let listed: u64 = ErrorCode::ALL
        .iter()
        .rev()
        .take(8)
        .map(|code| *code as u64)
        .sum();
    assert_eq!(stats.refused_otherwise(), stats.refused - listed);
    // The sender of counters may send any values.
    let stats = Stats {
        refused: 1,
        ..stats
    };
    assert_eq!(stats.refused_otherwise(), 0);
}

#[test]
fn what_is_left_of_a_budget_is_never_below_zero() {
    let budget = Budget {
        tokens: 10,
        used: 4,
        reserved: 3,
        ..Budget::default()
    };
    assert_eq!(budget.available(), 3);
    let used = 11;
    assert_eq!(Budget { used, ..budget }.available(), 0);
    assert!(BudgetChange::NONE.is_none());
    let tokens = Some(0);
    assert!(
        !BudgetChange {
            tokens,
            ..BudgetChange::NONE
        }
        .is_none()
    );
}
