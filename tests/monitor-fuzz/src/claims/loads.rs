//! Loads: what audit verifies, slice by slice, and what inference is told to load.

use super::*;
use crate::model::{End, Live, Phase, Stage as Reads, State, Tune, Work};
use crate::store::{ModelFile, Signed};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::LOAD_DEADLINE_US;
use protocol::record::{Kind, Record};
use protocol::wire::client::{Progress, Stage};
use protocol::wire::engine::Command;

impl<'m> Judge<'m> {
    pub(super) fn file_of(&self, live: &Live) -> Option<&'m ModelFile> {
        live.model().and_then(|model| self.model.store?.get(model))
    }

    // ---- Audit's own ----------------------------------------------------------------------------

    /// Audit starts to load the model that is, or should be, in service.
    pub(super) fn own_load_begins(&mut self) -> Held {
        let store = self.model.store.unwrap_or(&[]);
        let wanted = self.model.wanted;
        let known = self.model.current.filter(|at| store[*at].name == wanted);
        let found = known.map_or_else(|| self.model.find_model(wanted), Ok);
        let model = match found {
            Ok(model) => model,
            Err(failure) => return self.own_load_refused(failure),
        };
        self.model.last_number += 1;
        let number = self.model.last_number;
        let live = Live {
            client: None,
            id: None,
            user: 0,
            share: 0,
            work: Work::Verify(model, 0),
            admitted_us: self.now,
            deadline_us: u64::MAX,
            state: State::Active,
        };
        self.model.live.insert(number, live);
        match known {
            // The model in service is already verified: nothing may overtake its load.
            Some(_) => self.is_handed_over(number, model),
            None => self.load_advances(),
        }
    }

    /// Audit's own load fails before inference is told of it.
    fn own_load_refused(&mut self, failure: Failure) -> Held {
        let mut expected = Record::new(Kind::Refuse);
        expected.name = self.model.wanted;
        expected.code = failure.code as u16;
        (expected.value, expected.limit) = (failure.value, failure.limit);
        self.count_refusal(failure.code);
        self.recorded_each(expected)?;
        self.model.current = None;
        self.model.placed.clear();
        let about = expected.name.as_str().as_bytes().to_vec();
        for client in &mut self.model.clients {
            client.notices.load_failed = Some((failure, about.clone()));
        }
        self.own_load_over()
    }

    /// The load that begins an epoch is over.
    pub(super) fn own_load_over(&mut self) -> Held {
        match std::mem::replace(&mut self.model.phase, Phase::Serving) {
            Phase::Booting => {
                for client in &mut self.model.clients {
                    client.notices.ready();
                }
            }
            Phase::Recovering(since) => {
                let (record, _) = self.record(Kind::Recover)?;
                let after_us = self.now - since;
                let restarts = self.model.counts.restarts;
                claim!(
                    self,
                    Log,
                    (record.value, record.limit) == (after_us, restarts),
                    "{record:?}, {after_us} after, {restarts} restarts"
                );
                for client in &mut self.model.clients {
                    client.notices.recovered = Some((after_us, restarts as u32));
                }
            }
            phase => self.model.phase = phase,
        }
        Ok(())
    }

    // ---- Verification ---------------------------------------------------------------------------

    /// The next verification continues as far as the wake-up's work allows, and reports its progress or its end.
    pub(super) fn load_advances(&mut self) -> Held {
        let Some(number) = self.model.verifies() else {
            return Ok(());
        };
        let Some((live, file)) = self.verified(number) else {
            return Ok(());
        };
        let Work::Verify(model, done) = live.work else {
            return Ok(());
        };
        if !self.model.verdicts.contains(&file.offset) {
            let slice = (file.bytes - done).min(self.work as u64);
            self.works(slice as usize);
            let done = done + slice;
            if let Some(live) = self.model.live.get_mut(&number) {
                live.work = Work::Verify(model, done);
            }
            if done < file.bytes {
                return self.is_told_how_far(&live, Stage::Verifying, done, file.bytes);
            }
            self.has_verdict(file.offset);
        }
        if file.signed != Signed::Well {
            return self.verification_fails(number, Failure::of(ErrorCode::BadSignature));
        }
        if let Some(client) = live.client {
            if self.model.texts().next().is_some() {
                return self.verification_fails(number, Failure::of(ErrorCode::ModelInUse));
            }
            if let Err(failure) = self.has_room(client) {
                return self.verification_fails(number, failure);
            }
        }
        self.is_handed_over(number, model)?;
        self.is_told_how_far(&live, Stage::Loading, 0, file.bytes)
    }

    fn verified(&self, number: u32) -> Option<(Live, &'m ModelFile)> {
        let live = self.model.live.get(&number)?;
        Some((live.clone(), self.file_of(live)?))
    }

    /// Inference is told to load a verified model.
    fn is_handed_over(&mut self, number: u32, model: usize) -> Held {
        let now = self.now;
        let Some(live) = self.model.live.get_mut(&number) else {
            return Ok(());
        };
        live.work = Work::Load(model);
        (live.admitted_us, live.deadline_us) = (now, now + LOAD_DEADLINE_US);
        let whose = live.client;
        let live = live.clone();
        let Some(file) = self.file_of(&live) else {
            return Ok(());
        };
        claim!(
            self,
            Models,
            file.signed == Signed::Well,
            "{file:?} is loaded"
        );
        // A hostile inference server may claim that its ring is full; audit's own load then gets the time of a load.
        if self.inference.free == 0 && !self.is_ring_sound {
            return Ok(());
        }
        let command = Command::Load {
            offset: file.offset,
            bytes: file.bytes,
            context: self.model.policy.map_or(0, |policy| policy.context_tokens),
        };
        self.commands(whose, number, &command, Claim::Models)
    }

    /// Progress is reported to the client, if its ring has room for more than an answer; at boot, to all clients.
    pub(super) fn is_told_how_far(
        &mut self,
        live: &Live,
        stage: Stage,
        done: u64,
        total: u64,
    ) -> Held {
        match (live.client, live.id) {
            (Some(client), Some(id)) if self.room(client) > 1 => {
                let progress = Progress { stage, done, total };
                let event = Event::Progress(progress);
                self.answered(client, id, &event, Claim::Answers)
            }
            (None, _) if self.model.phase == Phase::Booting => {
                for client in &mut self.model.clients {
                    client.notices.progress(stage, done, total);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A load ends before inference is told of it.
    pub(super) fn verification_fails(&mut self, number: u32, failure: Failure) -> Held {
        let Some((live, file)) = self.verified(number) else {
            return Ok(());
        };
        let about = file.name.as_str().as_bytes().to_vec();
        self.is_over(number, End::Failed(failure, about), 0);
        if live.client.is_none() {
            return self.own_load_refused(failure);
        }
        self.count_refusal(failure.code);
        let mut record = Record::new(Kind::Refuse);
        (record.user, record.name) = (self.model.user_name(live.user), file.name);
        record.code = failure.code as u16;
        (record.value, record.limit) = (failure.value, failure.limit);
        self.repeated(live.user, record, false)
    }

    /// A restart, or giving up, ends a client's verification.
    pub(super) fn clients_verification_fails(&mut self, failure: Failure) -> Held {
        let mut live = self.model.live.iter();
        let found = live.find(|(_, live)| {
            let reads = |tune: &Tune| matches!(tune.stage, Reads::Reading(..));
            let is_read = live.is_verified()
                || matches!(live.work, Work::VerifyAdapter(..))
                || live.tune().is_some_and(reads);
            is_read && live.client.is_some()
        });
        match found.map(|(number, live)| (*number, live.is_verified())) {
            Some((number, true)) => self.verification_fails(number, failure),
            Some((number, false)) => self.reading_fails(number, failure),
            None => Ok(()),
        }
    }
}
