//! The runtime, what the peers saw, and the reports of an honest inference server.

use super::harness::{OTHER, SHELL, policy};
use crate::{ControlError, Port};
use protocol::attest::Attestation;
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::name::{ModelName, UserName};
use protocol::policy::{Client, Policy};
use protocol::record::Record;
use protocol::wire::client::{
    AdapterEntry, Budget, Exported, Finished, FormatEntry, LogExtent, ModelEntry, Progress,
    SessionEntry, Stats, Status, Training, Tuned, User,
};
use protocol::wire::engine::{Holdings, KvType, Loaded, Report, Source};
use protocol::wire::{
    AdapterInfo, ArenaUse, Fault, FaultKind, FinishReason, ModelInfo, TrainParams,
};
use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

#[derive(Default)]
pub(super) struct Runtime {
    /// The time, on a clock that advances while audit works.
    pub(super) now: u64,
    /// By how much it advances whenever audit reads it.
    pub(super) takes_us: u64,
    pub(super) timer: Option<u64>,
    pub(super) to_shell: usize,
    pub(super) to_others: usize,
    pub(super) to_inference: usize,
    pub(super) restarts: usize,
    pub(super) stops: usize,
    /// The kernel's answers to stop and restart.
    pub(super) refuses: Option<ControlError>,
    pub(super) has_workers: bool,
}

impl Port for Runtime {
    fn now_us(&mut self) -> u64 {
        let now = self.now;
        self.now += self.takes_us;
        now
    }
    fn notify_client(&mut self, channel: u8) {
        match channel {
            SHELL => self.to_shell += 1,
            _ => self.to_others += 1,
        }
    }
    fn notify_inference(&mut self) {
        self.to_inference += 1;
    }
    fn has_workers(&self) -> bool {
        self.has_workers
    }
    fn arm_timer(&mut self, at_us: Option<u64>) {
        self.timer = at_us;
    }
    fn restart_inference(&mut self) -> Result<(), ControlError> {
        self.restarts += 1;
        self.refuses.map_or(Ok(()), Err)
    }
    fn stop_inference(&mut self) -> Result<(), ControlError> {
        self.stops += 1;
        self.refuses.map_or(Ok(()), Err)
    }
}

/// An event as the shell saw it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Ready(String),
    Text(u32, String),
    Finished(u32, Finished),
    Failed(u32, Failure),
    Model(u32, ModelEntry),
    Listed(u32, u32),
    Loaded(u32, ModelInfo),
    Status(u32, Box<Status>),
    Stats(u32, Box<Stats>),
    Fault(Fault, u32),
    Recovered(u32),
    User(u32, User),
    Budget(u32, Budget),
    Record(u32, Box<Record>, String),
    LogEnd(u32, LogExtent),
    LogVerified(u32, LogExtent, u64),
    Session(u32, SessionEntry),
    Progress(u32, Progress),
    Done(u32),
    Adapter(u32, AdapterEntry),
    Training(u32, Training),
    Tuned(u32, Tuned),
    AdapterLoaded(u32, ModelName, AdapterInfo),
    Part(u32, u64, Vec<u8>),
    Exported(u32, Exported),
    Format(u32, FormatEntry),
    /// How many, and their bytes.
    Examples(u32, u32, u32),
    Attested(u32, Attestation),
}

/// A command as inference saw it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked {
    Infer {
        number: u32,
        session: u32,
        fresh: bool,
        keep: bool,
        prompt: String,
    },
    Cancel(u32),
    Load(u32, u64, u64),
    Status(u32),
    Drop(u32),
    Adapter {
        number: u32,
        place: u32,
        source: Source,
        offset: u64,
        bytes: u64,
        base: Hash,
    },
    DropAdapter(u32),
    Train(Box<Train>),
}

/// A training, as inference was asked for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Train {
    pub(super) number: u32,
    pub(super) params: TrainParams,
    pub(super) source: Source,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) base: Hash,
    pub(super) room: u64,
}

pub(super) fn loaded() -> Loaded {
    Loaded {
        info: ModelInfo {
            parameters: 5,
            context: 512,
            ..ModelInfo::default()
        },
        arena: ArenaUse {
            weights: 100,
            ..ArenaUse::default()
        },
        numerics: 2,
        kv_type: KvType::Q8,
        kv_positions: 2048,
    }
}

pub(super) fn holdings() -> Holdings {
    Holdings {
        kv_positions: 2048,
        kv_free: 1024,
        ..Holdings::default()
    }
}

pub(super) fn done(reason: FinishReason, generated_tokens: u32) -> Report<'static> {
    Report::Finished {
        reason,
        prompt_tokens: 3,
        generated_tokens,
    }
}

pub(super) const FAULT: Fault = Fault {
    kind: FaultKind::Memory,
    ip: 0x20_1000,
    address: 0x1200_0000,
};

pub(super) fn model(name: &str) -> ModelName {
    ModelName::new(name).unwrap()
}

pub(super) fn not_permitted(bit: u64) -> Failure {
    Failure::over(ErrorCode::NotPermitted, bit, 0)
}

/// A policy with two clients that have equal parts of everything.
pub(super) fn two_clients() -> Policy {
    let mut policy = policy();
    policy.roles[0].max_sessions = 32;
    let shell = &mut policy.clients[0];
    shell.requests /= 2;
    shell.sessions /= 2;
    shell.commands /= 2;
    policy.clients[1] = Client {
        name: UserName::new("other").unwrap(),
        channel: u32::from(OTHER),
        login: 0,
        ..policy.clients[0]
    };
    policy.client_count = 2;
    policy
}
