//! Attacks of the hostile inference server on fine-tunings.

use crate::ring::Forger;
use llm_core::generate::Progress;
use llm_core::transformer::training::TrainPlan;
use protocol::wire::engine::{AdapterLoaded, Report, Trained};
use protocol::wire::{AdapterInfo, ArenaUse, TrainProgress};

/// How it sabotages a fine-tuning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sabotage {
    /// It sends another file.
    Alter,
    /// It sends a file without end.
    Endless,
    /// It sends reports that an honest end would not.
    Forge(Forgery),
}

/// The reports to forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forgery {
    PartOutOfOrder,
    PartTwice,
    EndWithoutParts,
    EndWithPartsMissing,
    BeyondPlan,
    BeyondData,
    Backwards,
    OtherPlan,
    ProgressAfterParts,
    Load,
}

/// Sabotage of the next training, or of the current one.
#[derive(Debug, Default)]
pub(crate) struct Saboteur {
    /// Sabotage of the next training.
    armed: Option<Sabotage>,
    /// Sabotage of the current training.
    current: Option<(Sabotage, Plan)>,
    /// Where the file that is sent differs, if it does.
    altered: Option<usize>,
}

/// The facts about a training that are needed to lie about it.
#[derive(Clone, Copy, Debug)]
struct Plan {
    request: u32,
    plan: TrainPlan,
}

/// Distance from the end of the file: the low byte of the last number, so that it remains a number.
const ALTERED_FROM_END: usize = 4;

/// All byte values, so that any byte is available as a slice of length 1.
static BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut byte = 0;
    while byte < bytes.len() {
        bytes[byte] = byte as u8;
        byte += 1;
    }
    bytes
};

impl Saboteur {
    /// Prepares an attack on the next training. Returns false if no attack has this name.
    pub(crate) fn arm(&mut self, name: &str) -> bool {
        let sabotage = match name {
            "return-another-adapter" => Sabotage::Alter,
            "send-parts-without-end" => Sabotage::Endless,
            "send-parts-out-of-order" => Sabotage::Forge(Forgery::PartOutOfOrder),
            "send-a-part-twice" => Sabotage::Forge(Forgery::PartTwice),
            "end-without-an-adapter" => Sabotage::Forge(Forgery::EndWithoutParts),
            "end-with-parts-missing" => Sabotage::Forge(Forgery::EndWithPartsMissing),
            "progress-beyond-the-plan" => Sabotage::Forge(Forgery::BeyondPlan),
            "progress-beyond-the-data" => Sabotage::Forge(Forgery::BeyondData),
            "progress-backwards" => Sabotage::Forge(Forgery::Backwards),
            "change-the-plan" => Sabotage::Forge(Forgery::OtherPlan),
            "progress-after-parts" => Sabotage::Forge(Forgery::ProgressAfterParts),
            "answer-with-a-load" => Sabotage::Forge(Forgery::Load),
            _ => return false,
        };
        self.armed = Some(sabotage);
        true
    }

    /// A training has begun, with the latest command.
    pub(crate) fn begin(&mut self, plan: TrainPlan) {
        self.altered = None;
        let request = Forger::of_inference().request();
        self.current = self.armed.take().map(|how| (how, Plan { request, plan }));
    }

    /// The training is over, or never began.
    pub(crate) fn end(&mut self) {
        self.current = None;
        self.altered = None;
    }

    /// A step is done. Returns true if reports about it were forged.
    pub(crate) fn look(&mut self, progress: &Progress) -> bool {
        let (Some((sabotage, plan)), Progress::Training(Ok(progress))) = (self.current, progress)
        else {
            return false;
        };
        match sabotage {
            Sabotage::Forge(forgery) => {
                plan.forge(forgery);
                return true;
            }
            Sabotage::Alter if progress.over => {
                let bytes = usize::try_from(progress.made).unwrap_or(0);
                self.altered = bytes.checked_sub(ALTERED_FROM_END);
            }
            Sabotage::Alter | Sabotage::Endless => {}
        }
        false
    }

    /// What to send instead of `honest`, which begins at this offset of the file.
    pub(crate) fn part<'a>(&self, offset: usize, honest: &'a [u8]) -> &'a [u8] {
        if let Some((Sabotage::Endless, _)) = self.current {
            return &BYTES;
        }
        let distance = self.altered.and_then(|at| at.checked_sub(offset));
        match (distance, honest) {
            (Some(0), [first, ..]) => BYTES
                .get(usize::from(first ^ 1)..)
                .map_or(&[], |rest| &rest[..1]),
            (Some(before), _) => &honest[..honest.len().min(before)],
            (None, _) => honest,
        }
    }
}

impl Plan {
    /// Reports what has not happened.
    fn forge(self, forgery: Forgery) {
        let Self { request, plan } = self;
        let mut forger = Forger::of_inference();
        let honest = TrainProgress {
            step: 0,
            steps: plan.steps,
            tokens: 0,
            loss: 0,
            longest: plan.longest,
            alone: plan.alone,
        };
        let last = plan.steps;
        let trained = Trained {
            tokens: plan.tokens,
            bytes: 0,
            steps: last,
            loss: 0,
        };
        let bytes = &BYTES[..8];
        let progress = |change: TrainProgress| Report::Training(change);
        let loaded = AdapterLoaded {
            info: AdapterInfo::default(),
            arena: ArenaUse::default(),
            kv_positions: 0,
        };
        let reports = match forgery {
            Forgery::PartOutOfOrder => [Some(Report::Part { offset: 8, bytes }), None],
            Forgery::PartTwice => {
                let part = Report::Part { offset: 0, bytes };
                [Some(part), Some(Report::Part { offset: 0, bytes })]
            }
            Forgery::EndWithoutParts => [Some(Report::Trained(trained)), None],
            Forgery::EndWithPartsMissing => {
                let bytes_said = Trained {
                    bytes: 4096,
                    ..trained
                };
                let part = Report::Part { offset: 0, bytes };
                [Some(part), Some(Report::Trained(bytes_said))]
            }
            Forgery::BeyondPlan => {
                let step = last.saturating_add(1);
                [Some(progress(TrainProgress { step, ..honest })), None]
            }
            Forgery::BeyondData => {
                let tokens = u64::MAX;
                [Some(progress(TrainProgress { tokens, ..honest })), None]
            }
            Forgery::Backwards => {
                let (more, less) = (
                    TrainProgress {
                        step: last,
                        tokens: plan.tokens,
                        ..honest
                    },
                    honest,
                );
                [Some(progress(more)), Some(progress(less))]
            }
            Forgery::OtherPlan => {
                let steps = last.saturating_add(1);
                [
                    Some(progress(TrainProgress {
                        step: last,
                        steps,
                        tokens: plan.tokens,
                        ..honest
                    })),
                    None,
                ]
            }
            Forgery::ProgressAfterParts => {
                let more = TrainProgress {
                    step: last,
                    tokens: plan.tokens,
                    ..honest
                };
                [
                    Some(Report::Part { offset: 0, bytes }),
                    Some(progress(more)),
                ]
            }
            Forgery::Load => [Some(Report::AdapterLoaded(loaded)), None],
        };
        for report in reports.iter().flatten() {
            forger.forge(request, report);
        }
    }
}
