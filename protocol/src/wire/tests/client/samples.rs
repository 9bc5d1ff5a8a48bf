//! One message of each kind.

use super::*;

static LONGEST: [u8; MAX_PROMPT_BYTES] = [b'x'; MAX_PROMPT_BYTES];

pub(crate) fn requests() -> Vec<Request<'static>> {
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

pub(crate) fn events() -> Vec<Event<'static>> {
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
