//! Requests for text: admission and cancellation.

use super::Monitor;
use crate::answer::Begun;
use crate::files::FilesEnd;
use crate::generation::{Generation, Stop};
use crate::ledger::model_name;
use crate::places::Used;
use crate::sessions::{Limits, Owner, UserSession};
use crate::shares::ENTRY;
use crate::table::{End, InFlight, Origin, State, Work};
use crate::tuning::Stage;
use protocol::error::{ErrorCode, Failure};
use protocol::name::{FormatName, ModelName, SessionName};
use protocol::policy::{FormatRule, Permission};
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::FinishReason;
use protocol::wire::client::Event;
use protocol::wire::{Extent, InferParams, Parts, engine};
use sha2::{Digest, Sha256};

/// Entries of the log that a request for text can cause: admit, cancel, timeout, its end.
const REQUEST_ENTRIES: u64 = 4;

impl<'m, R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'m, R, W, F> {
    pub(super) fn infer(
        &mut self,
        client: usize,
        id: u32,
        params: InferParams,
        (name, adapter, format): (SessionName, ModelName, FormatName),
        (rule, parts): (FormatRule, Parts<'_>),
        now: u64,
    ) -> Result<(), Failure> {
        let owner = Owner {
            client,
            user: self.clients.user(client),
        };
        let (limits, extent, begun) =
            self.check_infer(owner, id, &params, (format, rule), &parts)?;
        let wanted = self.adapter_to_use(adapter)?;
        // Looking for a place takes nothing, so this comes first.
        let place = self.gate.sessions.place(owner, name, limits)?;
        let adapter = match place.fresh {
            true => wanted,
            false => self.adapter_of_session(place.slot, wanted)?,
        };
        let prompt = parts.as_bytes();
        let prompt_bytes = u32::try_from(prompt.len()).unwrap_or(u32::MAX);
        let model = self.link.current.as_ref();
        let most_prompt_tokens = model.map_or(0, |it| extent.most_tokens(&it.loaded.info));
        let most = u64::from(most_prompt_tokens).saturating_add(u64::from(params.max_tokens));
        let text: &[u8] = match self.gate.policy().keep_prompts {
            1 => prompt,
            _ => &[],
        };
        let share = REQUEST_ENTRIES
            .saturating_mul(ENTRY)
            .saturating_add(text.len() as u64);
        // A session with a name can be evicted once, by any client; that entry's share is not given back.
        let begins = place.fresh && !name.is_empty();
        let eviction = if begins { ENTRY } else { 0 };
        let user = owner.user;
        let reservation = self
            .gate
            .accounts
            .reserve(user, most, now)
            .map_err(|left| Failure::over(ErrorCode::QuotaExceeded, most, left))?;
        if let Err(failure) = self
            .ledger
            .take_share(user, share.saturating_add(eviction), now)
        {
            self.gate.accounts.settle(reservation, 0, now);
            return Err(failure);
        }
        // From here on, nothing can be refused.
        self.work.spend(prompt.len());
        let number = self.table.next_number();
        let credit = self.egress.window().min(params.max_tokens);
        let command = engine::Command::Infer {
            params,
            session: u32::try_from(place.slot).unwrap_or(u32::MAX),
            client: u32::try_from(client).unwrap_or(u32::MAX),
            user: u32::try_from(user).unwrap_or(u32::MAX),
            fresh: place.fresh,
            keep: !name.is_empty(),
            credit,
            adapter: adapter.map_or(0, |used| {
                let place = u32::try_from(used.place).unwrap_or(u32::MAX);
                place.saturating_add(1)
            }),
            format: begun.number,
            user_defined: self.gate.policy().user_defined == 1,
            parts,
        };
        self.send_admitted(Some(client), number, &command);
        if let Some(evicted) = self
            .gate
            .sessions
            .begin_turn(place, owner, name, adapter, now)
        {
            self.record_eviction(&evicted, now);
        }
        let entry = InFlight {
            origin: Origin::Client { client, id },
            user,
            number,
            work: Work::Infer(Generation {
                slot: place.slot,
                session: place.session,
                turn: place.turn,
                params,
                adapter,
                prompt_bytes,
                prompt_sha256: Sha256::digest(prompt).into(),
                extent,
                most_prompt_tokens,
                format: begun.name,
                format_sha256: begun.sha256,
                answer: begun.answer,
                reservation,
                first_token_us: None,
                held_before_us: self.egress.held_us(now),
                tokens: 0,
                handed_on: 0,
                released: false,
                credit,
                output: Sha256::new(),
                text: self.table.free_text(),
                cancelled: false,
                stop: Stop::No,
            }),
            state: State::Active,
            // Without what the record of the admission takes.
            share: share.saturating_sub(ENTRY.saturating_add(text.len() as u64)),
            end_bytes: 0,
            admitted_us: now,
            deadline_us: now.saturating_add(self.gate.policy().deadline_us),
        };
        let record = Record {
            value: most,
            ..self.record_of(&entry, Kind::Admit, now)
        };
        self.table.enter_with(entry, begun.words);
        self.ledger.record_with(record, text, &mut self.work, now);
        self.note_admitted(number);
        let stats = &mut self.ledger.stats;
        stats.admitted = stats.admitted.saturating_add(1);
        self.note_busy(now);
        Ok(())
    }

    /// Checks a request for text without taking anything. Returns the limits of sessions and the format of the answer.
    fn check_infer(
        &mut self,
        owner: Owner,
        id: u32,
        params: &InferParams,
        (format, rule): (FormatName, FormatRule),
        parts: &Parts<'_>,
    ) -> Result<(Limits, Extent, Begun<'m>), Failure> {
        let Owner { client, user } = owner;
        self.gate.access.require(user, Permission::Infer)?;
        self.link.require_running(self.gate.policy())?;
        self.require_log()?;
        self.require_new(client, id)?;
        self.require_place(client)?;
        let extent = parts.check()?;
        params.check()?;
        let role = self.gate.access.role(user).copied();
        let (max_tokens, max_sessions) =
            role.map_or((0, 0), |role| (role.max_tokens, role.max_sessions));
        if params.max_tokens > max_tokens {
            let (value, limit) = (u64::from(params.max_tokens), u64::from(max_tokens));
            return Err(Failure::over(ErrorCode::MaxTokens, value, limit));
        }
        let identity = self.clients.get(client).and_then(|peer| peer.identity);
        let begun = self.gate.languages.answer(rule, format, parts, &extent)?;
        if self.is_loading_for_client() {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        if self.link.current.is_none() {
            return Err(Failure::of(ErrorCode::NoModel));
        }
        if self.is_training_alone() {
            return Err(Failure::of(ErrorCode::Training));
        }
        self.require_room(client)?;
        let limits = Limits {
            user: max_sessions as usize,
            client: identity.map_or(0, |identity| identity.sessions),
        };
        Ok((limits, extent, begun))
    }

    /// The adapter of a session's next turn, which must be that of its first. `wanted`: the one that the user has
    /// named.
    fn adapter_of_session(
        &self,
        slot: usize,
        wanted: Option<Used>,
    ) -> Result<Option<Used>, Failure> {
        let session = self.gate.sessions.get(slot);
        let began = session.and_then(|session| session.adapter);
        match wanted {
            Some(_) if wanted != began => Err(Failure::of(ErrorCode::OtherAdapter)),
            _ => Ok(began),
        }
    }

    pub(super) fn record_eviction(&mut self, session: &UserSession, now: u64) {
        let stats = &mut self.ledger.stats;
        stats.evicted = stats.evicted.saturating_add(1);
        let record = Record {
            user: self.gate.access.name(session.owner.user),
            session: session.number,
            turn: session.turns,
            value: u64::from(session.turns),
            ..Record::new(Kind::Evict)
        };
        self.record(record, now);
    }

    // ---- Its end --------------------------------------------------------------------------------

    /// A client cancels a request. Text and loads that inference is working on end with their own last event; what
    /// audit can end itself, it ends at once.
    pub(super) fn cancel(&mut self, client: usize, id: u32, now: u64) {
        let origin = Origin::Client { client, id };
        let Some(index) = self.table.find(|entry| entry.origin == origin) else {
            let peer = self.clients.get_mut(client);
            let log = &self.ledger.log;
            if !peer.is_some_and(|peer| peer.end_list(Some(id), log)) {
                self.tell_failure(client, id, Failure::of(ErrorCode::NoSuchRequest));
            }
            return;
        };
        let user = self.clients.user(client);
        let Some(entry) = self.table.get_mut(index) else {
            return;
        };
        // A request of another user goes on, and ends only once.
        if entry.user != user || !matches!(entry.state, State::Active) {
            return;
        }
        match &mut entry.work {
            Work::Infer(generation) => {
                if !core::mem::replace(&mut generation.cancelled, true) {
                    self.record_cancel(index, now);
                    self.ask_to_stop(index);
                }
            }
            Work::Tune(tuning) if tuning.is_training() => {
                if !core::mem::replace(&mut tuning.cancelled, true) {
                    self.record_cancel(index, now);
                    self.ask_to_stop(index);
                }
            }
            Work::Verify(_) | Work::VerifyAdapter(_) => {
                self.record_cancel(index, now);
                let failure = Failure::of(ErrorCode::Cancelled);
                self.end(index, End::failed(failure, ""), 0);
            }
            Work::Status => {
                // Inference must still answer it.
                entry.origin = Origin::Forgotten { client };
                self.tell_failure(client, id, Failure::of(ErrorCode::Cancelled));
            }
            // It is done in a moment, and what it has done by then cannot be undone.
            Work::Load(_) | Work::Adapter(..) => {}
            Work::Tune(tuning) if tuning.is_with_inference() => {}
            Work::Tune(tuning) if matches!(tuning.stage, Stage::Saving) => {}
            // Audit is reading the data, or hashing the result, which is dropped.
            Work::Tune(tuning) => {
                let was_trained = matches!(tuning.stage, Stage::Signing(_));
                self.record_cancel(index, now);
                if was_trained {
                    // Its tokens are used, so they must be on record.
                    self.record_tuned(index, FinishReason::Cancelled, now);
                }
                let failure = Failure::of(ErrorCode::Cancelled);
                self.end(index, End::failed(failure, ""), 0);
            }
        }
    }

    fn record_cancel(&mut self, index: usize, now: u64) {
        if let Some(entry) = self.table.get(index) {
            let record = self.record_of(entry, Kind::Cancel, now);
            self.record_about(index, record, now);
        }
    }

    /// Asks inference to end a request, unless that was done before; if its ring is full, the next wake-up tries again.
    /// Returns whether inference has been asked.
    pub(super) fn ask_to_stop(&mut self, index: usize) -> bool {
        let Some(entry) = self.table.get_mut(index) else {
            return false;
        };
        let number = entry.number;
        let Some(stop) = entry.stop_mut() else {
            return false;
        };
        if *stop != Stop::Asked {
            let sent = self.link.send(None, number, &engine::Command::Cancel);
            *stop = if sent { Stop::Asked } else { Stop::Owed };
        }
        *stop == Stop::Asked
    }

    pub(super) fn close(
        &mut self,
        client: usize,
        id: u32,
        name: SessionName,
        now: u64,
    ) -> Result<(), Failure> {
        let owner = Owner {
            client,
            user: self.clients.user(client),
        };
        self.gate.access.require(owner.user, Permission::Infer)?;
        self.ledger.take_share(owner.user, ENTRY, now)?;
        let (slot, number) = match self.gate.sessions.close(owner, name) {
            Ok(closed) => closed,
            Err(failure) => {
                self.ledger.give_back(owner.user, ENTRY);
                return Err(failure);
            }
        };
        if let Some(slot) = slot
            && self.require_room(client).is_ok()
        {
            let session = u32::try_from(slot).unwrap_or(u32::MAX);
            // Without room for this, inference drops the session when its slot is used again.
            self.link
                .send(Some(client), 0, &engine::Command::Drop { session });
        }
        let record = Record {
            name: model_name(&name),
            session: number,
            ..self.record_of_client(client, Kind::Close)
        };
        self.record(record, now);
        self.clients.tell(client, id, &Event::Done);
        Ok(())
    }
}
