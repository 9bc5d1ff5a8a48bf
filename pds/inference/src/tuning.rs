//! The training of an adapter, from audit's command to the last byte of its file.
//!
//! There is one at a time. It reports its progress about a hundred times. When it ends, its file is sent in parts, one
//! per poll, as the ring has room.

use crate::convert;
use llm_core::backend::LlmBackend;
use llm_core::transformer::training::{TrainPlan, TrainProgress};
use protocol::limits::MAX_PART_BYTES;
use protocol::wire;
use protocol::wire::engine::Trained;

/// Most progress reports after the first. Inference has no clock, and more would be of no use.
const REPORTS: u32 = 100;

/// One training.
pub(crate) struct Tuning {
    /// Audit's number for it.
    pub(crate) request: u32,
    plan: TrainPlan,
    /// The latest progress.
    newest: TrainProgress,
    /// The last step that was reported.
    reported: u32,
    /// Most bytes that the file may have.
    room: u64,
    /// Bytes of the file sent so far; `None` while it is being trained.
    sent: Option<u64>,
}

/// Progress of sending a file.
pub(crate) enum Sending {
    /// The next part was copied; this is its offset.
    Part(u64),
    /// Everything has been sent.
    Over,
}

impl Tuning {
    /// A training that has just begun.
    pub(crate) const fn new(request: u32, plan: TrainPlan, room: u64) -> Self {
        Self {
            request,
            plan,
            newest: TrainProgress {
                step: 0,
                steps: plan.steps,
                tokens: 0,
                loss: 0.0,
                made: 0,
                over: false,
            },
            reported: 0,
            room,
            sent: None,
        }
    }

    /// Progress, as reported to audit.
    pub(crate) fn progress(&self) -> wire::TrainProgress {
        convert::progress(&self.plan, &self.newest)
    }

    /// Whether its file is being sent.
    pub(crate) const fn is_sending(&self) -> bool {
        self.sent.is_some()
    }

    /// Notes the progress. Returns whether it shall be reported.
    pub(crate) const fn advance(&mut self, progress: TrainProgress) -> bool {
        self.newest = progress;
        let since = self.newest.step.saturating_sub(self.reported);
        // A short training reports every step.
        let is_due = since > 0 && since >= self.plan.steps / REPORTS;
        if is_due {
            self.reported = self.newest.step;
        }
        is_due
    }

    /// Ends the training; its file shall be sent.
    ///
    /// # Errors
    /// The file is larger than the room for it: its size, and the room.
    pub(crate) const fn send(&mut self) -> Result<(), (u64, u64)> {
        if self.newest.made > self.room {
            return Err((self.newest.made, self.room));
        }
        self.sent = Some(0);
        Ok(())
    }

    /// Copies the next part of the file into `part`. However the engine cuts the file, a part is as long as possible,
    /// so all but the last are whole words.
    pub(crate) fn next(
        &mut self,
        backend: &impl LlmBackend,
        part: &mut heapless::Vec<u8, MAX_PART_BYTES>,
    ) -> Sending {
        part.clear();
        let offset = self.sent.unwrap_or(0);
        while let Ok(at) = usize::try_from(offset.saturating_add(part.len() as u64)) {
            let piece = backend.made(at);
            let room = part.capacity() - part.len();
            let piece = &piece[..piece.len().min(room)];
            if piece.is_empty() || part.extend_from_slice(piece).is_err() {
                break;
            }
        }
        if part.is_empty() {
            return Sending::Over;
        }
        self.sent = Some(offset.saturating_add(part.len() as u64));
        Sending::Part(offset)
    }

    /// The final report: audit has the whole file, or gets nothing more of it if the training was stopped.
    pub(crate) fn trained(&self, is_stopped: bool) -> Trained {
        let bytes = self.sent.filter(|_| !is_stopped).unwrap_or(0);
        convert::trained(&self.newest, bytes)
    }
}
