//! The adapter made by a training, and the ends of trainings.

use crate::claims::*;
use crate::model::{End, Live, Made, Phase, Placed, Stage, State, Tune};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::LOAD_DEADLINE_US;
use protocol::record::Kind;
use protocol::wire::client::Tuned;
use protocol::wire::engine::Trained;

impl Judge<'_> {
    /// The result has been hashed: it must be kept and recorded, and inference must be told to load it if possible.
    pub(super) fn is_signed(&mut self, number: u32, tune: &Tune, live: &Live) -> Held {
        self.figures.made += 1;
        self.model.last_made += 1;
        let id = self.model.last_made;
        let made = Made {
            id,
            name: tune.name,
            offset: tune.room.0,
            file: tune.file.clone(),
            base: tune.base,
        };
        let mut others = self.model.made.iter();
        let apart = |other: &Made| {
            other.offset + other.file.len() as u64 <= made.offset
                || made.offset + made.file.len() as u64 <= other.offset
        };
        claim!(
            self,
            Models,
            others.all(apart),
            "{} lies in another",
            made.name
        );
        let placed = Placed::made(&made);
        self.model.made.push(made);
        self.with_tune(number, |tune| tune.made = Some(id));
        self.is_recorded(number, 1)?;
        let allowed = self.require_running().and_then(|()| {
            if self.model.phase != Phase::Serving {
                return Err(Failure::of(ErrorCode::ModelInUse));
            }
            if self.model.base() != Some(tune.base) {
                return Err(Failure::of(ErrorCode::NoModel));
            }
            self.free_place()
        });
        let client = live.client.unwrap_or(0);
        let place = match allowed.and_then(|place| self.has_room(client).map(|()| place)) {
            Ok(place) => place,
            Err(failure) => {
                self.is_tuned(number, Some(failure.code), 0);
                return Ok(());
            }
        };
        self.is_given(live.client, number, place, &placed)?;
        let deadline_us = self.now + LOAD_DEADLINE_US;
        if let Some(live) = self.model.live.get_mut(&number) {
            live.deadline_us = deadline_us;
        }
        self.with_tune(number, |tune| tune.stage = Stage::Loading(place));
        Ok(())
    }

    /// The record of how a training has ended in inference.
    pub(crate) fn is_recorded(&mut self, number: u32, code: u16) -> Held {
        let (record, _) = self.record_of(Kind::Tuned, number)?;
        let Some(tune) = self.model.live.get(&number).and_then(Live::tune) else {
            return Ok(());
        };
        let (trained, is_made) = (tune.trained, tune.made.is_some());
        claim!(
            self,
            Log,
            record.code == code
                && u64::from(record.prompt_tokens) == trained.tokens
                && record.generated_tokens == trained.steps
                && record.value == if is_made { trained.bytes } else { 0 }
                && record.limit == u64::from(trained.loss),
            "{record:?} for {trained:?}"
        );
        Ok(())
    }

    /// A training is over, if the report is possible; its tokens are then used.
    pub(crate) fn trained(&mut self, number: u32, trained: Trained, cost: u64) -> Held<bool> {
        let Some(live) = self.model.live.get(&number).cloned() else {
            return Ok(false);
        };
        let is_late = live.state != State::Active;
        let Some(tune) = live.tune().filter(|tune| tune.may_end(&trained, is_late)) else {
            return Ok(false);
        };
        let now = self.now;
        if let Some(ledger) = self.model.ledgers.get_mut(live.user) {
            ledger.settle(number, trained.tokens, now);
        }
        let is_wanted = trained.bytes > 0 && !tune.cancelled && !is_late;
        self.with_tune(number, |tune| {
            tune.trained = trained;
            tune.is_due = false;
            if is_wanted {
                (tune.stage, tune.cost) = (Stage::Signing(0), cost);
            }
        });
        if is_wanted {
            if let Some(live) = self.model.live.get_mut(&number) {
                (live.state, live.deadline_us) = (State::Active, u64::MAX);
            }
            return Ok(true);
        }
        let mut failure = Failure::of(ErrorCode::Cancelled);
        if is_late {
            let limit = self.model.policy.map_or(0, |p| p.train_deadline_us);
            failure = Failure::over(ErrorCode::Deadline, now - live.admitted_us, limit);
            let (record, _) = self.record_of(Kind::Fail, number)?;
            claim!(
                self,
                Log,
                record.code == failure.code as u16
                    && (record.value, record.limit) == (failure.value, failure.limit),
                "{record:?} for {failure:?}"
            );
        } else {
            self.is_recorded(number, 4)?;
        }
        self.is_over(number, End::Failed(failure, Vec::new()), cost);
        Ok(true)
    }

    /// An adapter is complete, which its client must be told.
    pub(crate) fn is_tuned(&mut self, number: u32, not_loaded: Option<ErrorCode>, cost: u64) {
        let Some(live) = self.model.live.get(&number) else {
            return;
        };
        let Some(tune) = live.tune() else {
            return;
        };
        let made = self
            .model
            .made
            .iter()
            .find(|made| Some(made.id) == tune.made);
        let tuned = Tuned {
            name: tune.name,
            sha256: made.map(Made::sha256).unwrap_or_default(),
            file_bytes: tune.trained.bytes,
            tokens: tune.trained.tokens,
            steps: tune.trained.steps,
            loss: tune.trained.loss,
            total_us: self.now - live.admitted_us,
            not_loaded,
            // This system has no disk.
            ..Tuned::default()
        };
        let cost = cost + tune.cost;
        self.is_over(number, End::Tuned(tuned), cost);
    }

    /// A fine-tuning has failed, in inference or because inference has failed: it costs nothing, and a complete adapter
    /// is kept.
    pub(crate) fn tuning_fails(
        &mut self,
        number: u32,
        failure: Failure,
        detail: &[u8],
        cost: u64,
    ) -> Held {
        let Some(live) = self.model.live.get(&number).cloned() else {
            return Ok(());
        };
        if let Some(Stage::Loading(_)) = live.tune().map(|tune| tune.stage.clone()) {
            self.is_tuned(number, Some(failure.code), cost);
            return Ok(());
        }
        let now = self.now;
        if let Some(ledger) = self.model.ledgers.get_mut(live.user) {
            ledger.settle(number, 0, now);
        }
        let (record, _) = self.record_of(Kind::Fail, number)?;
        claim!(
            self,
            Log,
            record.code == failure.code as u16
                && (record.value, record.limit) == (failure.value, failure.limit),
            "{record:?} for {failure:?}"
        );
        self.is_over(number, End::Failed(failure, detail.to_vec()), cost);
        Ok(())
    }
}
