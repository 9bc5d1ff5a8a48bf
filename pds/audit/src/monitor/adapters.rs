//! Adapters: listing them, loading them beside the model, and exporting those made here.
//!
//! An adapter of the store is verified like a model; one made here was signed by audit itself. Inference is told where
//! its file is; after a restart it is told again, before the system is back in service.

mod dropping;
mod exports;
mod listing;

use super::Monitor;
use crate::files::FilesEnd;
use crate::link::Phase;
use crate::models::Models;
use crate::places::{Adapter, Used};
use crate::shares::ENTRY;
use crate::table::{End, InFlight, NEVER_US, Origin, State, Work};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::LOAD_DEADLINE_US;
use protocol::name::ModelName;
use protocol::policy::Permission;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::store::Content;
use protocol::wire::client::{Event, Stage};
use protocol::wire::engine::{self, AdapterLoaded, Source};

/// Entries of the log that a load of an adapter by a user can cause: a cancel, a timeout, its end.
const ADAPTER_ENTRIES: u64 = 3;

/// The source that a record gives for an adapter or data on the disk; otherwise it is the source that inference is
/// told.
pub(super) const FROM_DISK: u16 = 3;

impl<'m, R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'m, R, W, F> {
    // ---- Checks ---------------------------------------------------------------------------------

    /// Checks that models and adapters may change: nothing is being loaded, trained or restored.
    pub(super) fn require_settled(&self) -> Result<(), Failure> {
        if self.table.iter().any(|it| it.running_tuning().is_some()) {
            return Err(Failure::of(ErrorCode::Training));
        }
        let is_loading = |entry: &InFlight<'_>| entry.is_load() || entry.is_adapter_load();
        match self.table.iter().any(is_loading) || self.link.phase != Phase::Serving {
            true => Err(Failure::of(ErrorCode::ModelInUse)),
            false => Ok(()),
        }
    }

    /// The adapter with this name, for a request; `None` if the name is empty.
    pub(super) fn adapter_to_use(&self, name: ModelName) -> Result<Option<Used>, Failure> {
        if name.is_empty() {
            return Ok(None);
        }
        match self.places.find(name) {
            Some((place, adapter)) if adapter.is_present => Ok(Some(Used {
                place,
                sha256: adapter.sha256,
            })),
            // It is being restored after a restart and will be back in a moment.
            Some(_) => Err(Failure::of(ErrorCode::ModelInUse)),
            None => Err(self.why_not_loaded(name)),
        }
    }

    /// Why an adapter that is not loaded cannot be used.
    fn why_not_loaded(&self, name: ModelName) -> Failure {
        // Only a load can find out whether the disk has an adapter with this name.
        Failure::of(match self.is_of_disk(name) || self.is_adapter(name) {
            true => ErrorCode::AdapterNotLoaded,
            false => ErrorCode::NoSuchAdapter,
        })
    }

    /// Whether there is an adapter with this name.
    pub(super) fn is_adapter(&self, name: ModelName) -> bool {
        self.shelf.find(name).is_some() || self.is_in_store(name)
    }

    fn is_in_store(&self, name: ModelName) -> bool {
        let store = self.models.store();
        store.find_item(Content::Adapter, name.as_str()).is_ok()
    }

    // ---- Loads ----------------------------------------------------------------------------------

    /// A user asks for an adapter beside the model.
    pub(super) fn load_adapter(
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
        self.require_place(client)?;
        let no_model = Failure::of(ErrorCode::NoModel);
        let base = self.link.current.ok_or(no_model)?.verified.sha256;
        self.require_settled()?;
        if let Some((_, adapter)) = self.places.find(name) {
            let info = adapter.info;
            self.clients
                .tell(client, id, &Event::AdapterLoaded { name, info });
            return Ok(());
        }
        let place = self.places.free()?;
        let share = ADAPTER_ENTRIES.saturating_mul(ENTRY);
        let entry = |work, deadline_us| InFlight {
            origin: Origin::Client { client, id },
            user,
            number: 0,
            work,
            state: State::Active,
            share,
            end_bytes: 0,
            admitted_us: now,
            deadline_us,
        };
        // Limit of bytes for an adapter on the disk.
        let mut room = 0;
        let mut entry = match self.shelf.find(name) {
            Some(made) if made.base != base => return Err(Failure::of(ErrorCode::OtherBase)),
            Some(made) => {
                let adapter = Adapter {
                    name,
                    source: Source::Device,
                    offset: made.space.offset as u64,
                    bytes: made.space.bytes as u64,
                    sha256: made.sha256,
                    info: Default::default(),
                    is_present: false,
                };
                self.require_room(client)?;
                entry(
                    Work::Adapter(place, adapter),
                    now.saturating_add(LOAD_DEADLINE_US),
                )
            }
            None if self.is_of_disk(name) => {
                room = self.shelf.room(&self.places)?.bytes;
                let verification = Models::begin_elsewhere(Content::Adapter, name);
                entry(Work::VerifyAdapter(verification), NEVER_US)
            }
            None => {
                let verification = self.models.begin_item(Content::Adapter, name)?;
                entry(Work::VerifyAdapter(verification), NEVER_US)
            }
        };
        self.ledger.take_share(user, share, now)?;
        entry.number = self.table.next_number();
        if room > 0 {
            self.begin_reading(entry.number, Content::Adapter, name, room);
        }
        if let Work::Adapter(place, adapter) = entry.work {
            // There is room, as checked above.
            self.send_adapter(Some(client), entry.number, place, &adapter);
        }
        self.table.enter(entry);
        Ok(())
    }

    /// Tells inference to load a verified adapter; false if there is no room.
    pub(super) fn send_adapter(
        &mut self,
        client: Option<usize>,
        number: u32,
        place: usize,
        adapter: &Adapter,
    ) -> bool {
        let base = self.link.current.map(|current| current.verified.sha256);
        let command = engine::Command::Adapter {
            place: u32::try_from(place).unwrap_or(u32::MAX),
            source: adapter.source,
            offset: adapter.offset,
            bytes: adapter.bytes,
            base: base.unwrap_or_default(),
        };
        self.link.send(client, number, &command)
    }

    /// Verifies the next slice of an adapter; after the last, has inference load it.
    pub(super) fn advance_adapter(&mut self, now: u64) {
        let is =
            |entry: &InFlight<'_>| matches!(entry.work, Work::VerifyAdapter(_)) && !entry.is_over();
        let Some(index) = self.table.find(is) else {
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
        let Work::VerifyAdapter(verification) = &mut entry.work else {
            return;
        };
        let result = models.step(verification, gate.policy(), device, work.left());
        let (done, total) = verification.progress();
        let handed_over = match result {
            None => {
                work.goes_on();
                return self.progress(origin, Stage::Verifying, done, total);
            }
            Some(Ok(verified)) => {
                let adapter = Adapter {
                    name: verified.name,
                    source: Source::Store,
                    offset: verified.offset,
                    bytes: verified.bytes,
                    sha256: verified.sha256,
                    info: Default::default(),
                    is_present: false,
                };
                self.hand_over_adapter(index, adapter, now)
            }
            Some(Err(failure)) => Err(failure),
        };
        match handed_over {
            Ok(()) => self.progress(origin, Stage::Loading, 0, total),
            Err(failure) => self.refuse_load(index, failure, now),
        }
    }

    /// Has inference load a verified adapter.
    pub(super) fn hand_over_adapter(
        &mut self,
        index: usize,
        adapter: Adapter,
        now: u64,
    ) -> Result<(), Failure> {
        let Some(entry) = self.table.get(index) else {
            return Ok(());
        };
        let (client, number) = (entry.client(), entry.number);
        // Inference may have been restarted meanwhile.
        self.link.require_running(self.gate.policy())?;
        if self.link.phase != Phase::Serving {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        if self.link.current.is_none() {
            return Err(Failure::of(ErrorCode::NoModel));
        }
        let place = self.places.free()?;
        if let Some(client) = client {
            self.require_room(client)?;
        }
        // There is room, as checked above.
        self.send_adapter(client, number, place, &adapter);
        if let Some(entry) = self.table.get_mut(index) {
            entry.work = Work::Adapter(place, adapter);
            entry.admitted_us = now;
            entry.deadline_us = now.saturating_add(LOAD_DEADLINE_US);
        }
        Ok(())
    }

    /// Inference has loaded an adapter: that of this request, or the result of this fine-tuning.
    pub(super) fn finish_adapter(
        &mut self,
        index: usize,
        place: usize,
        adapter: Adapter,
        loaded: &AdapterLoaded,
        bytes: u64,
        now: u64,
    ) {
        let Some(entry) = self.table.get(index) else {
            return;
        };
        let is_own = entry.origin == Origin::Audit;
        let is_tuning = entry.tuning().is_some();
        let record = Record {
            value: adapter.bytes,
            code: self.origin_of(&adapter),
            ..self.describe_adapter(&adapter, self.record_of(entry, Kind::Adapter, now))
        };
        let (name, info) = (adapter.name, loaded.info);
        self.places.fill(place, Adapter { info, ..adapter });
        if let Some(current) = &mut self.link.current {
            current.loaded.arena = loaded.arena;
            current.loaded.kv_positions = loaded.kv_positions;
        }
        self.record_about(index, record, now);
        if is_tuning {
            return self.end_tuned(index, None, bytes, now);
        }
        if is_own {
            // What inference reports about it appears in the counters and lists that clients ask for.
            self.egress.pass(bytes, now);
        }
        self.end(index, End::AdapterLoaded { name, info }, bytes);
        if is_own {
            self.restore_adapters(now);
        }
    }

    /// Where an adapter comes from, in the form of a record's field.
    fn origin_of(&self, adapter: &Adapter) -> u16 {
        match self.is_of_disk(adapter.name) {
            true => FROM_DISK,
            false => adapter.source as u16,
        }
    }

    /// Fills in a record's fields about an adapter that is, or should be, loaded.
    pub(super) fn describe_adapter(&self, adapter: &Adapter, record: Record) -> Record {
        let current = self.link.current.as_ref();
        let base = current.map(|current| current.verified.sha256);
        Record {
            name: adapter.name,
            adapter_sha256: adapter.sha256,
            model_sha256: base.unwrap_or_default(),
            ..record
        }
    }

    /// Inference has the model again: has it load the adapters that were loaded before, one at a time. After the last,
    /// the system is back in service.
    pub(super) fn restore_adapters(&mut self, now: u64) {
        let is_due = matches!(self.link.phase, Phase::Booting | Phase::Recovering { .. });
        let is_own = |entry: &InFlight<'_>| entry.origin == Origin::Audit;
        if !is_due || self.table.find(is_own).is_some() {
            return;
        }
        let Some((place, adapter)) = self.places.next_absent() else {
            return self.end_own_load(now);
        };
        let adapter = *adapter;
        let deadline_us = now.saturating_add(LOAD_DEADLINE_US);
        let entry = self.load_entry(Work::Adapter(place, adapter), deadline_us, now);
        // If there is no room, the next wake-up tries again.
        if self.send_adapter(None, entry.number, place, &adapter) {
            self.table.enter(entry);
        }
    }
}
