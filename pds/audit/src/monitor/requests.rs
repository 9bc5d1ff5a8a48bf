//! What shell asks for: who may, what it costs, which limit applies.

use super::lists::ListKind;
use super::{Monitor, Peer, Phase, Port, failed, model_name};
use crate::log::Verification;
use crate::table::{Generation, Origin, State, Work};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{
    BUDGET_PERIOD_US, CONTROL_DEADLINE_US, EXTRA_PROMPT_TOKENS, MAX_BUDGET_TOKENS,
};
use protocol::name::{ModelName, SessionName, UserName};
use protocol::policy::Permission;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Frame, SLOTS};
use protocol::wire::console::{BudgetChange, Event, LogQuery, Request};
use protocol::wire::{self, InferParams, engine};
use sha2::{Digest, Sha256};

impl<R: ReadWords, W: WriteWords> Monitor<'_, R, W> {
    /// Reads at most a ring's worth of requests, as long as answers find room.
    pub(super) fn read_shell(&mut self, frame: &mut Frame, now: u64, port: &mut impl Port) {
        for _ in 0..SLOTS {
            if !self.has_room() {
                return;
            }
            match self.shell.receive(frame) {
                Ok(true) => self.handle_request(frame, now, port),
                Ok(false) => return,
                Err(_) => self.count_violation(Peer::Shell, now),
            }
        }
    }

    fn handle_request(&mut self, frame: &Frame, now: u64, port: &mut impl Port) {
        let id = frame.header().request;
        let Ok(request) = Request::parse(frame) else {
            self.count_violation(Peer::Shell, now);
            self.tell_shell(id, &failed(Failure::of(ErrorCode::Unsupported)));
            return;
        };
        if request == Request::Cancel {
            return self.cancel(id, now);
        }
        let mut record = self.record_of_user(Kind::Refuse);
        if let Err(failure) = self.decide(id, &request, &mut record, now, port) {
            self.refuse(id, failure, record, now);
        }
    }

    /// Does what is asked, or says why not; then nothing has changed. `record`: what a refusal will say.
    fn decide(
        &mut self,
        id: u32,
        request: &Request<'_>,
        record: &mut Record,
        now: u64,
        port: &mut impl Port,
    ) -> Result<(), Failure> {
        if let Some(error) = self.policy_error {
            return Err(Failure::over(ErrorCode::BadPolicy, error as u64, 0));
        }
        match *request {
            Request::Infer {
                params,
                session,
                prompt,
            } => {
                record.prompt_bytes = u32::try_from(prompt.len()).unwrap_or(u32::MAX);
                record.params = params;
                self.infer(id, params, session, prompt, now)
            }
            // It has been dealt with.
            Request::Cancel => Ok(()),
            Request::Models => {
                self.access.require(Permission::Infer)?;
                self.models.store().models().map(|_| ())?;
                self.list(id, ListKind::Models { next: 0 })
            }
            Request::Load { name } => {
                record.name = name;
                self.load(id, name)
            }
            Request::Status => {
                self.access.require(Permission::Infer)?;
                self.require_running()?;
                self.require_new(id)?;
                let entry = self.entry(Origin::Shell(id), Work::Status, CONTROL_DEADLINE_US, now);
                self.forward(entry, &engine::Command::Status)
            }
            Request::Stats { watch } => {
                self.access.require(Permission::Infer)?;
                if watch {
                    return self.list(id, ListKind::Watch { due: true });
                }
                let stats = self.stats_now(now);
                self.tell_shell(id, &Event::Stats(stats));
                Ok(())
            }
            Request::Login { user, passphrase } => {
                self.log_in(id, user, passphrase, now);
                Ok(())
            }
            Request::Logout => {
                let record = self.record_of_user(Kind::Logout);
                self.record(record, now);
                self.end_lists();
                self.access.log_out();
                let user = self.user_now();
                self.tell_shell(id, &Event::User(user));
                Ok(())
            }
            Request::WhoAmI => {
                let user = self.user_now();
                self.tell_shell(id, &Event::User(user));
                Ok(())
            }
            Request::Users => self.list(id, ListKind::Users { next: 0 }),
            Request::Budget { user, change } => {
                record.name = model_name(&user);
                self.budget(id, user, change, now)
            }
            Request::Log(query) => {
                record.name = model_name(&query.user);
                self.read_log(id, &query)
            }
            Request::VerifyLog => {
                self.access.require(Permission::Log)?;
                let verification = Verification::new(&self.log);
                self.list(id, ListKind::Verify(verification))
            }
            Request::Reset => self.reset(id, now, port),
            Request::Sessions => {
                self.access.require(Permission::Infer)?;
                let all = self.access.require(Permission::Budget).is_ok();
                let user = (!all).then_some(self.access.current());
                self.list(id, ListKind::Sessions { next: 0, user })
            }
            Request::Close { session } => {
                record.name = model_name(&session);
                self.close(id, session, now)
            }
        }
    }

    // ---- Checks -------------------------------------------------------------------------------

    pub(super) fn require_running(&self) -> Result<(), Failure> {
        match self.phase {
            Phase::Stopped => Err(self.why_stopped()),
            _ => Ok(()),
        }
    }

    /// 0 stands for no request, and a number that is in use would mix up two answers.
    pub(super) fn require_new(&self, id: u32) -> Result<(), Failure> {
        let of_shell = Origin::Shell(id);
        let used = self.table.iter().any(|entry| entry.origin == of_shell)
            || self.lists.contains(id)
            || self
                .load
                .as_ref()
                .is_some_and(|load| load.origin == of_shell);
        match used || id == 0 {
            true => Err(Failure::over(ErrorCode::NoSuchRequest, u64::from(id), 0)),
            false => Ok(()),
        }
    }

    // ---- Text ---------------------------------------------------------------------------------

    fn infer(
        &mut self,
        id: u32,
        params: InferParams,
        name: SessionName,
        prompt: &[u8],
        now: u64,
    ) -> Result<(), Failure> {
        self.access.require(Permission::Infer)?;
        self.require_running()?;
        self.require_new(id)?;
        wire::check_prompt(prompt)?;
        params.check()?;
        let user = self.access.current();
        let role = self.access.role().copied();
        let (max_tokens, max_sessions) =
            role.map_or((0, 0), |role| (role.max_tokens, role.max_sessions));
        if params.max_tokens > max_tokens {
            let (value, limit) = (u64::from(params.max_tokens), u64::from(max_tokens));
            return Err(Failure::over(ErrorCode::MaxTokens, value, limit));
        }
        if self.is_loading_for_shell() {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        if self.current.is_none() {
            return Err(Failure::of(ErrorCode::NoModel));
        }
        // Room first, since nothing is taken by looking for it.
        let place = self.sessions.place(user, name, max_sessions as usize)?;
        let prompt_bytes = u32::try_from(prompt.len()).unwrap_or(u32::MAX);
        let most = u64::from(prompt_bytes)
            .saturating_add(u64::from(EXTRA_PROMPT_TOKENS))
            .saturating_add(u64::from(params.max_tokens));
        let reservation = self
            .accounts
            .reserve(user, most, now)
            .map_err(|left| Failure::over(ErrorCode::QuotaExceeded, most, left))?;
        let slot = u32::try_from(place.slot).unwrap_or(u32::MAX);
        let generation = Generation {
            slot: place.slot,
            session: 0,
            turn: 0,
            params,
            prompt_bytes,
            prompt_sha256: Sha256::digest(prompt).into(),
            reservation,
            first_token_us: None,
            tokens: 0,
            output: Sha256::new(),
            cancelled: false,
            stop_owed: false,
        };
        let allowed_us = self.access.policy().deadline_us;
        let work = Work::Infer(generation);
        let entry = self.entry(Origin::Shell(id), work, allowed_us, now);
        let command = engine::Command::Infer {
            params,
            session: slot,
            fresh: place.fresh,
            keep: !name.is_empty(),
            prompt,
        };
        if let Err(failure) = self.forward(entry, &command) {
            self.accounts.settle(reservation, 0, now);
            return Err(failure);
        }
        if let Some(evicted) = self.sessions.begin_turn(place, user, name, now) {
            self.record_eviction(&evicted, now);
        }
        self.admitted(place.slot, prompt, now);
        Ok(())
    }

    /// Completes the newest entry with its session and writes it down.
    fn admitted(&mut self, slot: usize, prompt: &[u8], now: u64) {
        self.stats.admitted = self.stats.admitted.saturating_add(1);
        self.note_busy(now);
        let session = self.sessions.get(slot).copied();
        if let (Some(session), Some(entry)) = (session, self.table.last_mut())
            && let Some(generation) = entry.generation_mut()
        {
            generation.session = session.number;
            generation.turn = session.turns;
        }
        let keep = self.access.policy().keep_prompts == 1;
        if let Some(entry) = self.table.last() {
            let record = self.record_of(entry, Kind::Admit, now);
            let text = if keep { prompt } else { &[] };
            self.record_with(record, text, now);
        }
    }

    /// The user wants a request to end. It is answered by its own last event.
    fn cancel(&mut self, id: u32, now: u64) {
        let user = self.access.current();
        let found = self
            .table
            .iter()
            .position(|entry| entry.origin == Origin::Shell(id) && entry.user == user);
        let Some(index) = found else {
            let loads = Origin::Shell(id);
            if self.load.as_ref().is_some_and(|load| load.origin == loads) {
                // It ends by itself.
                return;
            }
            if !self.cancel_list(id) {
                self.tell_shell(id, &failed(Failure::of(ErrorCode::NoSuchRequest)));
            }
            return;
        };
        let Some(entry) = self.table.get_mut(index) else {
            return;
        };
        let active = entry.state == State::Active;
        // Loads and questions end by themselves.
        let Some(generation) = entry.generation_mut() else {
            return;
        };
        if active && !core::mem::replace(&mut generation.cancelled, true) {
            if let Some(entry) = self.table.get(index) {
                let record = self.record_of(entry, Kind::Cancel, now);
                self.record(record, now);
            }
            self.ask_to_stop(index);
        }
    }

    /// Asks inference to end a request; if its ring is full, at the next wake-up.
    pub(super) fn ask_to_stop(&mut self, index: usize) {
        let Some(entry) = self.table.get_mut(index) else {
            return;
        };
        engine::Command::Cancel.write(entry.number, &mut self.outgoing);
        let sent = self.inference.send(&self.outgoing).is_ok();
        self.signal_inference |= sent;
        if let Some(generation) = entry.generation_mut() {
            generation.stop_owed = !sent;
        }
    }

    /// Sends what [`Self::ask_to_stop`] could not.
    pub(super) fn ask_again_to_stop(&mut self) {
        for index in 0..self.table.len() {
            let owed = self.table.get(index).is_some_and(|entry| {
                let generation = entry.generation().filter(|_| !entry.is_over());
                generation.is_some_and(|generation| generation.stop_owed)
            });
            if owed {
                self.ask_to_stop(index);
            }
        }
    }

    fn close(&mut self, id: u32, name: SessionName, now: u64) -> Result<(), Failure> {
        self.access.require(Permission::Infer)?;
        let user = self.access.current();
        let (slot, number) = self.sessions.close(user, name)?;
        if let Some(slot) = slot {
            let session = u32::try_from(slot).unwrap_or(u32::MAX);
            // A full ring swallows it: then inference forgets the session when the slot is used again.
            engine::Command::Drop { session }.write(0, &mut self.outgoing);
            self.signal_inference |= self.inference.send(&self.outgoing).is_ok();
        }
        let record = Record {
            name: model_name(&name),
            session: number,
            ..self.record_of_user(Kind::Close)
        };
        self.record(record, now);
        self.tell_shell(id, &Event::Done);
        Ok(())
    }

    // ---- Users --------------------------------------------------------------------------------

    fn log_in(&mut self, id: u32, name: UserName, passphrase: &[u8], now: u64) {
        let known = self.access.find(&name).is_some();
        match self.access.log_in(&name, passphrase, now) {
            Ok(()) => {
                let record = self.record_of_user(Kind::Login);
                self.record(record, now);
                // They were asked for by whoever was there before.
                self.end_lists();
                let user = self.user_now();
                self.tell_shell(id, &Event::User(user));
            }
            Err(failure) => {
                let record = Record {
                    // What is no user's name may be a passphrase, typed at the wrong moment.
                    name: if known {
                        model_name(&name)
                    } else {
                        ModelName::EMPTY
                    },
                    ..self.record_of_user(Kind::LoginFailed)
                };
                self.refuse(id, failure, record, now);
            }
        }
    }

    fn budget(
        &mut self,
        id: u32,
        name: UserName,
        change: Option<BudgetChange>,
        now: u64,
    ) -> Result<(), Failure> {
        let current = self.access.current();
        let user = match name.is_empty() {
            true => current,
            false => self
                .access
                .find(&name)
                .ok_or(Failure::of(ErrorCode::NoSuchUser))?,
        };
        if user != current || change.is_some() {
            self.access.require(Permission::Budget)?;
        }
        if let Some(change) = change {
            let BudgetChange { tokens, period_us } = change;
            if tokens > MAX_BUDGET_TOKENS {
                let limit = MAX_BUDGET_TOKENS;
                return Err(Failure::over(ErrorCode::BudgetTokens, tokens, limit));
            }
            if !BUDGET_PERIOD_US.contains(&period_us) {
                let limit = *BUDGET_PERIOD_US.end();
                return Err(Failure::over(ErrorCode::BudgetPeriod, period_us, limit));
            }
            self.accounts.change(user, change, now);
            let record = Record {
                name: model_name(&self.access.name(user)),
                value: tokens,
                limit: period_us,
                ..self.record_of_user(Kind::Budget)
            };
            self.record(record, now);
        }
        let name = self.access.name(user);
        let budget = self.accounts.budget(user, name, now);
        self.tell_shell(id, &Event::Budget(budget));
        Ok(())
    }

    // ---- The log ------------------------------------------------------------------------------

    fn read_log(&mut self, id: u32, query: &LogQuery) -> Result<(), Failure> {
        self.access.require(Permission::Log)?;
        if !query.user.is_empty() && self.access.find(&query.user).is_none() {
            return Err(Failure::of(ErrorCode::NoSuchUser));
        }
        let list = ListKind::log(&self.log, query);
        self.list(id, list)
    }
}
