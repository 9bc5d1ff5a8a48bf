//! Loads: audit verifies a model, a slice at a time, and then inference loads it.

use super::Monitor;
use crate::files::{FilesEnd, name_on_disk};
use crate::link::Phase;
use crate::models::{Models, Verified};
use crate::notices::Notices;
use crate::shares::ENTRY;
use crate::table::{End, InFlight, NEVER_US, Origin, State, Work};
use crate::tuning;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::LOAD_DEADLINE_US;
use protocol::name::ModelName;
use protocol::policy::Permission;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::store::Content;
use protocol::wire::client::{Event, Progress, Stage};
use protocol::wire::engine;

/// Entries of the log that a load by a user can cause: a cancel, a timeout, its end.
const LOAD_ENTRIES: u64 = 3;

impl<'m, R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'m, R, W, F> {
    /// A user asks for a model.
    pub(super) fn load(
        &mut self,
        client: usize,
        id: u32,
        name: ModelName,
        now: u64,
    ) -> Result<(), Failure> {
        let user = self.clients.user(client);
        self.gate.access.require(user, Permission::Load)?;
        self.require_new(client, id)?;
        self.link.require_running(self.gate.policy())?;
        // Nothing may begin whose end cannot be reported.
        self.require_log()?;
        self.require_place(client)?;
        if self.table.iter().any(|it| it.running_tuning().is_some()) {
            return Err(Failure::of(ErrorCode::Training));
        }
        // While it generates, inference would refuse the load anyway, but only after audit had hashed the whole file.
        let is_loading = |entry: &InFlight<'_>| entry.is_load() || entry.is_adapter_load();
        if self.table.iter().any(is_loading) || self.active() > 0 {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        let verification = match self.models.begin(name) {
            Err(failure) if failure.code == ErrorCode::NoSuchModel && self.may_be_on_disk(name) => {
                Models::begin_elsewhere(Content::Model, name_on_disk(name)?)
            }
            found => found?,
        };
        let from_disk = verification.is_elsewhere().then(|| verification.name());
        let share = LOAD_ENTRIES.saturating_mul(ENTRY);
        self.ledger.take_share(user, share, now)?;
        let entry = InFlight {
            origin: Origin::Client { client, id },
            user,
            share,
            ..self.load_entry(Work::Verify(verification), NEVER_US, now)
        };
        if let Some(name) = from_disk {
            self.begin_reading(entry.number, Content::Model, name, 0);
        }
        self.table.enter(entry);
        Ok(())
    }

    /// The entry for a load that audit itself starts.
    pub(super) fn load_entry(&self, work: Work<'m>, deadline_us: u64, now: u64) -> InFlight<'m> {
        InFlight {
            origin: Origin::Audit,
            user: 0,
            number: self.table.next_number(),
            work,
            state: State::Active,
            share: 0,
            end_bytes: 0,
            admitted_us: now,
            deadline_us,
        }
    }

    /// Whether inference is loading a model for a client. Sessions that began now would end with the load.
    pub(super) fn is_loading_for_client(&self) -> bool {
        self.table.iter().any(|entry| {
            matches!(entry.work, Work::Load(_)) && entry.origin != Origin::Audit && !entry.is_over()
        })
    }

    /// Starts loading the model that is, or should be, in service.
    pub(super) fn begin_own_load(&mut self, now: u64) {
        // The store is read-only, so the model in service need not be verified again. Verifying it would even be wrong,
        // because requests that are admitted meanwhile would overtake the load.
        let wanted = self.link.wanted;
        let known = self.link.current.map(|current| current.verified);
        if let Some(verified) = known.filter(|verified| verified.name == wanted) {
            let deadline_us = now.saturating_add(LOAD_DEADLINE_US);
            let entry = self.load_entry(Work::Load(verified), deadline_us, now);
            // A new epoch has just begun, so its ring is empty.
            let command = self.load_command(&verified);
            self.link.send(None, entry.number, &command);
            self.table.enter(entry);
            return;
        }
        match self.models.begin(wanted) {
            Ok(verification) => {
                let entry = self.load_entry(Work::Verify(verification), NEVER_US, now);
                self.table.enter(entry);
                self.advance_load(now);
            }
            Err(failure) => self.fail_own_load(failure, wanted, now),
        }
    }

    fn fail_own_load(&mut self, failure: Failure, name: ModelName, now: u64) {
        self.link.current = None;
        self.places.clear_all();
        self.ledger.count_refusal(failure.code);
        let record = Record {
            name,
            code: failure.code as u16,
            value: failure.value,
            limit: failure.limit,
            count: 1,
            ..Record::new(Kind::Refuse)
        };
        self.record(record, now);
        self.clients
            .notify_all(|notices| notices.load_failed(failure, name.as_str().as_bytes()));
        self.end_own_load(now);
    }

    /// Verifies the next slice of a model; after the last, has inference load it. Audit's own load takes precedence.
    pub(super) fn advance_load(&mut self, now: u64) {
        let own = |entry: &InFlight<'_>| entry.is_verified() && entry.origin == Origin::Audit;
        let own = self.table.find(own);
        let Some(index) = own.or_else(|| self.table.find(InFlight::is_verified)) else {
            return;
        };
        if self.is_read_from_disk(index) {
            return self.advance_reading(index, now);
        }
        let Self {
            table,
            models,
            gate,
            device,
            work,
            ..
        } = self;
        let Some(entry) = table.get_mut(index) else {
            return;
        };
        let origin = entry.origin;
        let Work::Verify(verification) = &mut entry.work else {
            return;
        };
        let result = models.step(verification, gate.policy(), device, work.left());
        let (done, total) = verification.progress();
        match result {
            None => {
                work.goes_on();
                self.progress(origin, Stage::Verifying, done, total);
            }
            Some(Ok(verified)) => match self.hand_over(index, verified, now) {
                Ok(()) => self.progress(origin, Stage::Loading, 0, total),
                Err(failure) => self.refuse_load(index, failure, now),
            },
            Some(Err(failure)) => self.refuse_load(index, failure, now),
        }
    }

    /// Has inference load a verified model.
    pub(super) fn hand_over(
        &mut self,
        index: usize,
        verified: Verified,
        now: u64,
    ) -> Result<(), Failure> {
        let busy = self.active() > 0;
        let Some(entry) = self.table.get(index) else {
            return Ok(());
        };
        // A request for text was admitted meanwhile, so inference would refuse.
        if busy && entry.origin != Origin::Audit {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        let (client, number) = (entry.client(), entry.number);
        if let Some(client) = client {
            self.require_room(client)?;
        }
        // There is room: audit's own load is the first message of an epoch, and otherwise only loads were sent before.
        let command = self.load_command(&verified);
        self.link.send(client, number, &command);
        let Some(entry) = self.table.get_mut(index) else {
            return Ok(());
        };
        entry.work = Work::Load(verified);
        entry.admitted_us = now;
        entry.deadline_us = now.saturating_add(LOAD_DEADLINE_US);
        Ok(())
    }

    /// Ends a load or a fine-tuning that inference has not been told of.
    pub(super) fn refuse_load(&mut self, index: usize, failure: Failure, now: u64) {
        let Some(entry) = self.table.get(index) else {
            return;
        };
        let (name, user) = (entry.about(), entry.user);
        let is_own = entry.origin == Origin::Audit;
        self.end(index, End::failed(failure, name.as_str()), 0);
        if is_own {
            return self.fail_own_load(failure, name, now);
        }
        let record = Record {
            name,
            user: self.gate.access.name(user),
            ..Record::new(Kind::Refuse)
        };
        self.ledger
            .record_refusal(user, failure, record, &mut self.work, now);
    }

    fn load_command(&self, verified: &Verified) -> engine::Command<'static> {
        engine::Command::Load {
            offset: verified.offset,
            bytes: verified.bytes,
            context: self.gate.policy().context_tokens,
        }
    }

    /// Ends the loads and trainings that inference has not been told of. A training that has already finished is still
    /// signed.
    pub(super) fn refuse_verifications(&mut self, failure: Failure, now: u64) {
        let of_client = |entry: &InFlight<'_>| {
            let is_read = match &entry.work {
                Work::Verify(_) | Work::VerifyAdapter(_) => true,
                Work::Tune(it) => {
                    matches!(
                        it.stage,
                        tuning::Stage::Data(_) | tuning::Stage::Examples(_)
                    )
                }
                _ => false,
            };
            is_read && !entry.is_over() && entry.origin != Origin::Audit
        };
        while let Some(index) = self.table.find(of_client) {
            self.refuse_load(index, failure, now);
        }
    }

    /// Reports the progress of a load to its client, if there is room; the next slice reports again. At boot, all
    /// clients are told. A load after a restart is reported to nobody.
    pub(super) fn progress(&mut self, origin: Origin, stage: Stage, done: u64, total: u64) {
        match origin {
            Origin::Client { client, id } => {
                let room = self.clients.get(client).map_or(0, |peer| peer.room());
                if room > 1 {
                    let progress = Progress { stage, done, total };
                    self.clients.tell(client, id, &Event::Progress(progress));
                }
            }
            Origin::Audit if self.link.phase == Phase::Booting => self
                .clients
                .notify_all(|notices| notices.progress(stage, done, total)),
            Origin::Forgotten { .. } | Origin::Audit => {}
        }
    }

    /// The load at the start of an epoch has ended, successfully or not: the system is in service.
    pub(super) fn end_own_load(&mut self, now: u64) {
        match core::mem::replace(&mut self.link.phase, Phase::Serving) {
            Phase::Booting => self.clients.notify_all(Notices::ready),
            Phase::Recovering { since_us } => {
                let after_us = now.saturating_sub(since_us);
                let restarts = self.ledger.stats.restarts;
                let record = Record {
                    value: after_us,
                    limit: restarts,
                    ..Record::new(Kind::Recover)
                };
                self.record(record, now);
                let restarts = u32::try_from(restarts).unwrap_or(u32::MAX);
                self.clients
                    .notify_all(|notices| notices.recovered(after_us, restarts));
            }
            phase @ (Phase::Serving | Phase::Stopped) => self.link.phase = phase,
        }
    }

    /// Removes audit's own load, because it or its epoch is over.
    pub(super) fn forget_own_load(&mut self) {
        while let Some(index) = self.table.find(|entry| entry.origin == Origin::Audit) {
            self.table.remove(index);
        }
    }
}
