//! Ends of a fine-tuning: the event for its user, and the record.

use crate::files::FilesEnd;
use crate::monitor::Monitor;
use crate::table::{End, InFlight};
use crate::tuning::Stage;
use protocol::error::{ErrorCode, Failure};
use protocol::name::ModelName;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::FinishReason;
use protocol::wire::client::Tuned;

impl<'m, R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'m, R, W, F> {
    /// An adapter is complete: writes it to the disk, if there is one, and then tells its client. `not_loaded`: why it
    /// is not loaded, if so. `bytes`: the length of inference's report on the load.
    pub(in crate::monitor) fn end_tuned(
        &mut self,
        index: usize,
        not_loaded: Option<ErrorCode>,
        bytes: u64,
        now: u64,
    ) {
        if let Some(tuning) = self.table.get_mut(index).and_then(InFlight::tuning_mut) {
            tuning.end_bytes = tuning.end_bytes.saturating_add(bytes);
        }
        if !self.begin_saving(index, not_loaded) {
            self.tell_tuned(index, not_loaded, Ok(ModelName::EMPTY), now);
        }
    }

    /// Tells the client of a fine-tuning that the adapter is complete, and its name on the disk, if it was written
    /// there.
    pub(in crate::monitor) fn tell_tuned(
        &mut self,
        index: usize,
        not_loaded: Option<ErrorCode>,
        saved: Result<ModelName, Failure>,
        now: u64,
    ) {
        let Some(entry) = self.table.get(index) else {
            return;
        };
        let total_us = now.saturating_sub(entry.admitted_us);
        let Some(tuning) = entry.tuning() else {
            return;
        };
        let tuned = Tuned {
            name: tuning.name,
            sha256: tuning.made.map(|(_, sha256)| sha256).unwrap_or_default(),
            file_bytes: tuning.trained.bytes,
            tokens: tuning.trained.tokens,
            steps: tuning.trained.steps,
            loss: tuning.trained.loss,
            total_us,
            not_loaded,
            on_disk: saved.unwrap_or_default(),
            not_on_disk: saved.err().map(|failure| failure.code),
            disk_value: saved.err().map_or(0, |failure| failure.value),
            disk_limit: saved.err().map_or(0, |failure| failure.limit),
        };
        let bytes = tuning.end_bytes;
        self.end(index, End::Tuned(tuned), bytes);
    }

    /// A fine-tuning has failed, in inference or because inference has failed. It costs nothing, and a partial adapter
    /// is dropped. A complete adapter is kept, but not loaded.
    pub(in crate::monitor) fn fail_tuning(
        &mut self,
        index: usize,
        failure: Failure,
        detail: &[u8],
        bytes: u64,
        now: u64,
    ) {
        let Some(tuning) = self.table.get_mut(index).and_then(InFlight::tuning_mut) else {
            return;
        };
        tuning.is_progress_due = false;
        if matches!(tuning.stage, Stage::Loading(..)) {
            return self.end_tuned(index, Some(failure.code), bytes, now);
        }
        if let Some(reservation) = tuning.reservation.take() {
            self.gate.accounts.settle(reservation, 0, now);
        }
        self.record_failed_tuning(index, failure, now);
        // The detail of a report is never longer.
        let detail = crate::table::Detail::from_slice(detail).unwrap_or_default();
        self.end(index, End::Failed { failure, detail }, bytes);
    }

    pub(super) fn record_failed_tuning(&mut self, index: usize, failure: Failure, now: u64) {
        if let Some(entry) = self.table.get(index) {
            let record = Record {
                code: failure.code as u16,
                value: failure.value,
                limit: failure.limit,
                ..self.record_of(entry, Kind::Fail, now)
            };
            self.record_about(index, record, now);
        }
    }

    /// Records that inference has trained to the end, or until it was cancelled.
    pub(in crate::monitor) fn record_tuned(
        &mut self,
        index: usize,
        reason: FinishReason,
        now: u64,
    ) {
        let Some(entry) = self.table.get(index) else {
            return;
        };
        let Some(tuning) = entry.tuning() else {
            return;
        };
        let trained = &tuning.trained;
        let bytes = tuning.made.map_or(0, |_| trained.bytes);
        let record = Record {
            code: reason as u16,
            // The limit on tokens is lower than this.
            prompt_tokens: u32::try_from(trained.tokens).unwrap_or(u32::MAX),
            generated_tokens: trained.steps,
            value: bytes,
            limit: u64::from(trained.loss),
            ..self.record_of(entry, Kind::Tuned, now)
        };
        self.record_about(index, record, now);
    }
}
