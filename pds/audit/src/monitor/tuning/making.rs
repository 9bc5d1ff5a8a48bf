//! The adapter made by a fine-tuning: audit takes it in parts, signs it and has it loaded.

use crate::files::FilesEnd;
use crate::link::Phase;
use crate::monitor::Monitor;
use crate::monitor::reports::Breach;
use crate::places::Adapter;
use crate::shelf::Made;
use crate::space::Space;
use crate::table::{End, InFlight, NEVER_US, State};
use crate::tuning::{Reading, Stage};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::limits::LOAD_DEADLINE_US;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::FinishReason;
use protocol::wire::engine::{Source, Trained};

impl<'m, R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'m, R, W, F> {
    /// Inference sends the next part of the adapter.
    pub(in crate::monitor) fn take_part(
        &mut self,
        index: usize,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), Breach> {
        let entry = self.table.get_mut(index).ok_or(Breach)?;
        let tuning = entry.tuning_mut().ok_or(Breach)?;
        let follows = tuning.expects_part(offset, bytes.len());
        if !follows || !self.shelf.write_part(tuning.room, tuning.received, bytes) {
            return Err(Breach);
        }
        tuning.received = tuning.received.saturating_add(bytes.len());
        Ok(())
    }

    /// Inference reports that a training is over. Its tokens are used; the adapter has yet to be hashed.
    pub(in crate::monitor) fn training_is_over(
        &mut self,
        index: usize,
        trained: Trained,
        bytes: u64,
        now: u64,
    ) -> Result<(), Breach> {
        let entry = self.table.get_mut(index).ok_or(Breach)?;
        let is_late = matches!(entry.state, State::Late { .. });
        let total_us = now.saturating_sub(entry.admitted_us);
        let tuning = entry.tuning_mut().ok_or(Breach)?;
        let is_wanted = tuning.conclude(trained, is_late).map_err(|_| Breach)?;
        tuning.is_progress_due = false;
        if let Some(reservation) = tuning.reservation.take() {
            let accounts = &mut self.gate.accounts;
            accounts.settle(reservation, trained.tokens, now);
        }
        if is_wanted {
            tuning.end_bytes = bytes;
            tuning.stage = Stage::Signing(Reading::default());
            entry.state = State::Active;
            entry.deadline_us = NEVER_US;
            return Ok(());
        }
        if is_late {
            let limit = self.gate.policy().train_deadline_us;
            let failure = Failure::over(ErrorCode::Deadline, total_us, limit);
            self.record_failed_tuning(index, failure, now);
            self.end(index, End::failed(failure, ""), bytes);
        } else {
            self.record_tuned(index, FinishReason::Cancelled, now);
            let failure = Failure::of(ErrorCode::Cancelled);
            self.end(index, End::failed(failure, ""), bytes);
        }
        Ok(())
    }

    /// The adapter has been hashed: signs it, keeps it, and has inference load it.
    pub(super) fn sign(&mut self, index: usize, space: Space, sha256: Hash, now: u64) {
        let Some(tuning) = self.table.get_mut(index).and_then(InFlight::tuning_mut) else {
            return;
        };
        let Some(signature) = self.device.sign(&sha256) else {
            // The key existed at the start, and the policy does not change, so this is not reached.
            return self.refuse_load(index, Failure::of(ErrorCode::NoDeviceKey), now);
        };
        let (name, base) = (tuning.name, tuning.base);
        let id = self.shelf.keep(Made {
            id: 0,
            name,
            space,
            sha256,
            base,
            signature,
        });
        tuning.made = Some((id, sha256));
        self.record_tuned(index, FinishReason::EndOfText, now);
        let adapter = Adapter {
            name,
            source: Source::Device,
            offset: space.offset as u64,
            bytes: space.bytes as u64,
            sha256,
            info: Default::default(),
            is_present: false,
        };
        if let Err(failure) = self.load_made(index, adapter, base, now) {
            self.end_tuned(index, Some(failure.code), 0, now);
        }
    }

    /// Has inference load the new adapter.
    fn load_made(
        &mut self,
        index: usize,
        adapter: Adapter,
        base: Hash,
        now: u64,
    ) -> Result<(), Failure> {
        // Inference may have been restarted meanwhile.
        self.link.require_running(self.gate.policy())?;
        if self.link.phase != Phase::Serving {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        let current = self.link.current.map(|current| current.verified.sha256);
        if current != Some(base) {
            return Err(Failure::of(ErrorCode::NoModel));
        }
        let place = self.places.free()?;
        let entry = self.table.get(index);
        let (client, number) = entry.map_or((None, 0), |entry| (entry.client(), entry.number));
        if let Some(client) = client {
            self.require_room(client)?;
        }
        // There is room, as checked above.
        self.send_adapter(client, number, place, &adapter);
        if let Some(entry) = self.table.get_mut(index) {
            entry.deadline_us = now.saturating_add(LOAD_DEADLINE_US);
            if let Some(tuning) = entry.tuning_mut() {
                tuning.stage = Stage::Loading(place, adapter);
            }
        }
        Ok(())
    }
}
