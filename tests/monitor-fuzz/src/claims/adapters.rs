//! Adapters: their verification, loading, restoring after a restart, dropping and export; and examples.

mod exports;

use super::*;
use crate::model::{ENTRY, End, Live, Made, Phase, Placed, State, Work};
use crate::store::{ModelFile, Signed};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{LOAD_DEADLINE_US, MAX_ADAPTERS};
use protocol::name::ModelName;
use protocol::policy::{DeviceKey, Permission};
use protocol::record::{Kind, Record};
use protocol::region::ReadWords as _;
use protocol::wire::client::{Event, Stage};
use protocol::wire::engine::{AdapterLoaded, Command, Source};

/// Entries of the log that a load of an adapter can cause.
const ADAPTER_ENTRIES: u64 = 3;

impl<'m> Judge<'m> {
    /// Checks that nothing is being loaded, trained or restored.
    pub(super) fn is_settled(&self) -> Result<(), Failure> {
        if self.model.tune().is_some() {
            return Err(Failure::of(ErrorCode::Training));
        }
        let moves = self.model.loads() || self.model.loads_adapter();
        match moves || self.model.phase != Phase::Serving {
            true => Err(Failure::of(ErrorCode::ModelInUse)),
            false => Ok(()),
        }
    }

    /// The adapter that a request for text names.
    pub(super) fn adapter_named(&self, name: ModelName) -> Result<Option<(u32, Hash)>, Failure> {
        if name.is_empty() {
            return Ok(None);
        }
        match self.model.place_of(name) {
            Some((place, placed)) if placed.present => Ok(Some((place, placed.sha256))),
            Some(_) => Err(Failure::of(ErrorCode::ModelInUse)),
            None => Err(self.why_not_there(name)),
        }
    }

    fn why_not_there(&self, name: ModelName) -> Failure {
        Failure::of(match self.model.is_adapter(name) {
            true => ErrorCode::AdapterNotLoaded,
            false => ErrorCode::NoSuchAdapter,
        })
    }

    fn made(&self, name: ModelName) -> Option<Made> {
        let mut made = self.model.made.iter();
        made.find(|made| made.name == name).cloned()
    }

    /// Whether the policy accepts the signature of an adapter or of data.
    pub(super) fn is_good(&self, file: &ModelFile) -> bool {
        let has_key = self
            .model
            .policy
            .is_ok_and(|policy| policy.device_key != DeviceKey::NONE);
        file.signed == Signed::Well && (!file.by_device || has_key)
    }

    pub(super) fn free_place(&self) -> Result<u32, Failure> {
        let most = MAX_ADAPTERS as u64;
        let free = (0..MAX_ADAPTERS as u32).find(|at| !self.model.placed.contains_key(at));
        free.ok_or(Failure::over(ErrorCode::TooManyAdapters, most, most))
    }

    // ---- Loads ----------------------------------------------------------------------------------

    pub(super) fn begins_adapter(
        &mut self,
        client: usize,
        id: u32,
        name: ModelName,
    ) -> Held<Result<(), Failure>> {
        let allowed = self
            .require(client, Permission::Load)
            .and_then(|()| self.require_new(client, id))
            .and_then(|()| self.require_running())
            .and_then(|()| self.has_place(client));
        if let Err(failure) = allowed {
            return Ok(Err(failure));
        }
        let Some(base) = self.model.base() else {
            return Ok(Err(Failure::of(ErrorCode::NoModel)));
        };
        if let Err(failure) = self.is_settled() {
            return Ok(Err(failure));
        }
        if let Some((_, placed)) = self.model.place_of(name) {
            let info = placed.info;
            let event = Event::AdapterLoaded { name, info };
            return self.answered(client, id, &event, Claim::Answers).map(Ok);
        }
        let place = match self.free_place() {
            Ok(place) => place,
            Err(failure) => return Ok(Err(failure)),
        };
        let made = self.made(name);
        let work = match &made {
            Some(made) if made.base != base => {
                return Ok(Err(Failure::of(ErrorCode::OtherBase)));
            }
            Some(made) => self
                .has_room(client)
                .map(|()| Work::Adapter(place, Placed::made(made))),
            None => {
                let files = self.model.adapters;
                let found = self.model.find_file(files, name, ErrorCode::NoSuchAdapter);
                found.map(|at| Work::VerifyAdapter(at, 0))
            }
        };
        let share = ADAPTER_ENTRIES * ENTRY;
        let work = work.and_then(|work| self.take_share(client, share).map(|()| work));
        let work = match work {
            Ok(work) => work,
            Err(failure) => return Ok(Err(failure)),
        };
        self.model.last_number += 1;
        let number = self.model.last_number;
        let deadline_us = match &work {
            Work::Adapter(..) => self.now + LOAD_DEADLINE_US,
            _ => u64::MAX,
        };
        if let Work::Adapter(place, placed) = &work {
            self.is_given(Some(client), number, *place, placed)?;
        }
        let live = Live {
            client: Some(client),
            id: Some(id),
            user: self.model.clients[client].user(),
            share,
            work,
            admitted_us: self.now,
            deadline_us,
            state: State::Active,
        };
        self.model.live.insert(number, live);
        Ok(Ok(()))
    }

    /// Inference must be told to load an adapter. If it was made here, its bytes in the region must be those that
    /// inference sent.
    pub(super) fn is_given(
        &mut self,
        whose: Option<usize>,
        number: u32,
        place: u32,
        placed: &Placed,
    ) -> Held {
        if placed.source == Source::Device {
            let made = self.made(placed.name);
            let whole = made.is_some_and(|made| {
                made.offset == placed.offset && self.lies_there(made.offset, &made.file)
            });
            claim!(self, Models, whole, "{placed:?} is not what was made");
        }
        let command = Command::Adapter {
            place,
            source: placed.source,
            offset: placed.offset,
            bytes: placed.bytes,
            base: self.model.base().unwrap_or_default(),
        };
        self.commands(whose, number, &command, Claim::Models)
    }

    /// Whether the region has these bytes at this offset.
    pub(super) fn lies_there(&self, offset: u64, bytes: &[u8]) -> bool {
        let Some(region) = &self.adapters else {
            return false;
        };
        let first = offset as usize / 8;
        let words = first..first + bytes.len().div_ceil(8);
        let found = words.flat_map(|word| region.load(word).to_ne_bytes());
        offset.is_multiple_of(64) && found.take(bytes.len()).eq(bytes.iter().copied())
    }

    /// The verification of an adapter continues.
    pub(super) fn adapter_advances(&mut self) -> Held {
        let mut live = self.model.live.iter();
        let found = live.find_map(|(number, live)| match live.work {
            Work::VerifyAdapter(at, done) => Some((*number, live.clone(), at, done)),
            _ => None,
        });
        let Some((number, live, at, done)) = found else {
            return Ok(());
        };
        let file = &self.model.adapters[at];
        if !self.is_verified_on(number, &live, file, done, Work::VerifyAdapter(at, 0))? {
            return Ok(());
        }
        if !self.is_good(file) {
            return self.reading_fails(number, Failure::of(ErrorCode::BadSignature));
        }
        let placed = Placed::of_store(file);
        let allowed = self.require_running().and_then(|()| {
            if self.model.phase != Phase::Serving {
                return Err(Failure::of(ErrorCode::ModelInUse));
            }
            if self.model.current.is_none() {
                return Err(Failure::of(ErrorCode::NoModel));
            }
            self.free_place()
        });
        let client = live.client.unwrap_or(0);
        let place = match allowed.and_then(|place| self.has_room(client).map(|()| place)) {
            Ok(place) => place,
            Err(failure) => return self.reading_fails(number, failure),
        };
        self.is_given(live.client, number, place, &placed)?;
        let now = self.now;
        if let Some(live) = self.model.live.get_mut(&number) {
            live.work = Work::Adapter(place, placed);
            (live.admitted_us, live.deadline_us) = (now, now + LOAD_DEADLINE_US);
        }
        self.is_told_how_far(&live, Stage::Loading, 0, file.bytes)
    }

    /// Verifies a slice of a file of the store; true if its verdict is now known. `work`: the verification's state,
    /// with the bytes done.
    pub(super) fn is_verified_on(
        &mut self,
        number: u32,
        live: &Live,
        file: &ModelFile,
        done: u64,
        work: Work,
    ) -> Held<bool> {
        if self.model.verdicts.contains(&file.offset) {
            return Ok(true);
        }
        let slice = (file.bytes - done).min(self.work as u64);
        self.works(slice as usize);
        let done = done + slice;
        if let Some(live) = self.model.live.get_mut(&number) {
            match (&mut live.work, work) {
                (Work::VerifyAdapter(_, so_far), Work::VerifyAdapter(..)) => *so_far = done,
                (Work::Tune(tune), _) => {
                    if let crate::model::Stage::Reading(_, so_far) = &mut tune.stage {
                        *so_far = done;
                    }
                }
                _ => {}
            }
        }
        if done < file.bytes {
            self.is_told_how_far(live, Stage::Verifying, done, file.bytes)?;
            return Ok(false);
        }
        self.has_verdict(file.offset);
        Ok(true)
    }

    pub(super) fn has_verdict(&mut self, offset: u64) {
        if self.model.verdicts.len() == VERDICTS {
            self.model.verdicts.pop_front();
        }
        self.model.verdicts.push_back(offset);
    }

    /// A verification or reading fails before inference is told of it.
    pub(super) fn reading_fails(&mut self, number: u32, failure: Failure) -> Held {
        let Some(live) = self.model.live.get(&number).cloned() else {
            return Ok(());
        };
        let name = self.about(&live);
        let about = name.as_str().as_bytes().to_vec();
        self.is_over(number, End::Failed(failure, about), 0);
        self.count_refusal(failure.code);
        let mut record = Record::new(Kind::Refuse);
        (record.user, record.name) = (self.model.user_name(live.user), name);
        record.code = failure.code as u16;
        (record.value, record.limit) = (failure.value, failure.limit);
        self.repeated(live.user, record, false)
    }

    /// The model, adapter or data of a request.
    pub(super) fn about(&self, live: &Live) -> ModelName {
        match &live.work {
            Work::VerifyAdapter(at, _) => self.model.adapters[*at].name,
            Work::Adapter(_, placed) => placed.name,
            Work::Tune(tune) => match tune.stage {
                crate::model::Stage::Reading(Some(at), _) => self.model.data[at].name,
                crate::model::Stage::Reading(None, _) => {
                    ModelName::new(protocol::adapters::EXAMPLES).unwrap_or_default()
                }
                crate::model::Stage::Training
                | crate::model::Stage::Signing(_)
                | crate::model::Stage::Loading(_) => tune.name,
            },
            _ => self.file_of(live).map(|file| file.name).unwrap_or_default(),
        }
    }

    /// Inference has loaded an adapter.
    pub(super) fn adapter_loaded(
        &mut self,
        number: u32,
        place: u32,
        placed: Placed,
        loaded: &AdapterLoaded,
        cost: u64,
    ) -> Held {
        self.figures.adapters += 1;
        let (record, _) = self.record_of(Kind::Adapter, number)?;
        self.is_of(&record, &placed)?;
        let (name, info) = (placed.name, loaded.info);
        let placed = Placed {
            info,
            present: true,
            ..placed
        };
        self.model.placed.insert(place, placed);
        let Some(live) = self.model.live.get(&number).cloned() else {
            return Ok(());
        };
        if live.tune().is_some() {
            self.is_tuned(number, None, cost);
            return Ok(());
        }
        self.is_said_to_all(&live, cost);
        self.is_over(number, End::AdapterLoaded(name, info), cost);
        match live.client {
            None => self.adapters_come_back(),
            Some(_) => Ok(()),
        }
    }

    /// A record describes this adapter, and the model in service.
    fn is_of(&mut self, record: &Record, placed: &Placed) -> Held {
        let right = record.name == placed.name
            && record.adapter_sha256 == placed.sha256
            && record.model_sha256 == self.model.base().unwrap_or_default()
            && record.value == placed.bytes
            && record.code == placed.source as u16;
        claim!(self, Log, right, "{record:?} of {placed:?}");
        Ok(())
    }

    /// Inference has its model again, and must be told of the next adapter that it had. After the last, the system is
    /// in service.
    pub(super) fn adapters_come_back(&mut self) -> Held {
        let phase = self.model.phase;
        let is_due = matches!(phase, Phase::Booting | Phase::Recovering(_));
        let own = |live: &Live| live.client.is_none();
        if !is_due || self.model.live.values().any(own) {
            return Ok(());
        }
        let absent = self.model.placed.iter().find(|(_, placed)| !placed.present);
        let Some((place, placed)) = absent.map(|(place, placed)| (*place, placed.clone())) else {
            return self.own_load_over();
        };
        if !self.has_own_room() {
            return Ok(());
        }
        self.model.last_number += 1;
        let number = self.model.last_number;
        self.is_given(None, number, place, &placed)?;
        let live = Live {
            client: None,
            id: None,
            user: 0,
            share: 0,
            work: Work::Adapter(place, placed),
            admitted_us: self.now,
            deadline_us: self.now + LOAD_DEADLINE_US,
            state: State::Active,
        };
        self.model.live.insert(number, live);
        Ok(())
    }

    // ---- Drops ----------------------------------------------------------------------------------

    pub(super) fn drops_adapter(
        &mut self,
        client: usize,
        id: u32,
        name: ModelName,
    ) -> Held<Result<(), Failure>> {
        let made = self.made(name);
        let permission = match made {
            Some(_) => Permission::FineTune,
            None => Permission::Load,
        };
        let placed = self.model.place_of(name);
        let placed = placed.map(|(place, placed)| (place, placed.clone()));
        let allowed = self
            .require(client, permission)
            .and_then(|()| self.require_running())
            .and_then(|()| match placed.is_none() && made.is_none() {
                true => Err(self.why_not_there(name)),
                false => self.is_settled(),
            });
        let allowed = allowed.and_then(|()| {
            let Some((place, _)) = &placed else {
                return Ok(());
            };
            let used = |text: &&crate::model::Text| text.adapter.is_some_and(|it| it.0 == *place);
            match self.model.texts().filter(used).count() as u64 {
                0 => self.has_room(client),
                uses => Err(Failure::over(ErrorCode::AdapterInUse, uses, 0)),
            }
        });
        if let Err(failure) = allowed.and_then(|()| self.take_share(client, ENTRY)) {
            return Ok(Err(failure));
        }
        if let Some((place, _)) = &placed {
            let command = Command::DropAdapter { place: *place };
            self.commands(Some(client), 0, &command, Claim::Sessions)?;
            self.model.placed.remove(place);
            self.model.sessions.end_with(*place);
        }
        let (record, _) = self.record(Kind::DropAdapter)?;
        let user = self.model.user_name(self.model.clients[client].user());
        let right = match (&made, &placed) {
            (Some(made), _) => {
                record.adapter_sha256 == made.sha256()
                    && record.model_sha256 == made.base
                    && record.value == made.file.len() as u64
                    && record.code == 2
            }
            (None, Some((_, placed))) => {
                self.is_of(&record, placed)?;
                record.code == 1
            }
            (None, None) => false,
        };
        claim!(
            self,
            Log,
            right && record.name == name && record.user == user,
            "{record:?} for {made:?} and {placed:?}"
        );
        self.model.made.retain(|made| made.name != name);
        self.answered(client, id, &Event::Done, Claim::Answers)
            .map(Ok)
    }
}
