//! The training of an adapter, from audit's wish to the last byte of its file.
//!
//! There is one at a time. While it goes on it says how far it is about a hundred times; when it is over its file is sent
//! in parts, one in each poll, as the ring has room.

use crate::convert;
use llm_core::backend::LlmBackend;
use llm_core::transformer::training::{TrainPlan, TrainProgress};
use protocol::limits::MAX_PART_BYTES;
use protocol::wire;
use protocol::wire::engine::Trained;

/// Reports of how far a training is, at most, beside the first: inference has no clock, and more would tell nobody more.
const REPORTS: u32 = 100;

/// One training.
pub(crate) struct Tuning {
    /// Audit's number of it.
    pub(crate) request: u32,
    plan: TrainPlan,
    /// How far it is.
    newest: TrainProgress,
    /// The step that was reported last.
    reported: u32,
    /// Most bytes that the file may have.
    room: u64,
    /// Bytes of the file that have been sent; `None` while it is being trained.
    sent: Option<u64>,
}

/// What comes of a file that is being sent.
pub(crate) enum Sending {
    /// The next part has been copied; it belongs there.
    Part(u64),
    /// All has been sent.
    Over,
}

impl Tuning {
    /// One that has just begun.
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

    /// How far it is, as audit hears it.
    pub(crate) fn progress(&self) -> wire::TrainProgress {
        convert::progress(&self.plan, &self.newest)
    }

    /// Whether its file is being sent.
    pub(crate) const fn is_sending(&self) -> bool {
        self.sent.is_some()
    }

    /// It has got so far: whether audit is to be told.
    pub(crate) const fn advance(&mut self, progress: TrainProgress) -> bool {
        self.newest = progress;
        let since = self.newest.step.saturating_sub(self.reported);
        // Every step of a short one.
        let is_due = since > 0 && since >= self.plan.steps / REPORTS;
        if is_due {
            self.reported = self.newest.step;
        }
        is_due
    }

    /// It is over, and its file is to be sent.
    ///
    /// # Errors
    /// The file has more bytes than there is room for; how many, and how many there may be.
    pub(crate) const fn send(&mut self) -> Result<(), (u64, u64)> {
        if self.newest.made > self.room {
            return Err((self.newest.made, self.room));
        }
        self.sent = Some(0);
        Ok(())
    }

    /// Copies the next part of the file into `part`. A part is as long as can be, however the engine cuts the file, so that
    /// each but the last is whole words.
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

    /// What audit is told at the end: it has got all of the file, or nothing more of it if the training was stopped.
    pub(crate) fn trained(&self, is_stopped: bool) -> Trained {
        let bytes = self.sent.filter(|_| !is_stopped).unwrap_or(0);
        convert::trained(&self.newest, bytes)
    }
}
