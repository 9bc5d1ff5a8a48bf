//! What shell asks for: who may, what it costs, which limit applies.

use super::lists::ListKind;
use super::{Monitor, Peer, Phase, Port, failed, model_name};
use crate::log::Verification;
use crate::repeats::Reason;
use crate::shares::ENTRY;
use crate::table::{Entry, Generation, Origin, State, Work};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{
    BUDGET_PERIOD_US, CONTROL_DEADLINE_US, EXTRA_PROMPT_TOKENS, MAX_BUDGET_TOKENS,
};
use protocol::name::{ModelName, SessionName, UserName};
use protocol::policy::Permission;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Frame, SLOTS};
use protocol::wire::client::{BudgetChange, Event, LogQuery, Request};
use protocol::wire::{self, InferParams, engine};
use sha2::{Digest, Sha256};

/// Entries of the log that a request for text can cause: admit, cancel, timeout, its end.
const REQUEST_ENTRIES: u64 = 4;

/// Entries that a question can cause: timeout, its end.
const QUESTION_ENTRIES: u64 = 2;

impl<'m, R: ReadWords, W: WriteWords> Monitor<'m, R, W> {
    /// Reads at most a ring's worth of requests, as long as answers find room and the wake-up is not too long.
    pub(super) fn read_shell(&mut self, frame: &mut Frame, now: u64, port: &mut impl Port) {
        for _ in 0..SLOTS {
            if !self.has_room() {
                return;
            }
            if self.work == 0 {
                self.works = true;
                return;
            }
            match self.shell.receive(frame) {
                Ok(true) => {
                    self.handle_request(frame, now, port);
                    // Prompts and passphrases are not kept longer than they are needed.
                    frame.wipe();
                }
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
                self.load(id, name, now)
            }
            Request::Status => {
                self.access.require(Permission::Infer)?;
                self.require_running()?;
                self.require_new(id)?;
                self.require_place()?;
                let by = Origin::Shell(id);
                let mut entry = self.entry(by, Work::Status, CONTROL_DEADLINE_US, now);
                entry.share = QUESTION_ENTRIES.saturating_mul(ENTRY);
                self.forward(entry, 0, &engine::Command::Status, now)
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
                match passphrase {
                    // A question, not an attempt: nothing is counted or written down.
                    None if self.access.needs_passphrase(&user) => {
                        let failure = Failure::of(ErrorCode::PassphraseNeeded);
                        self.tell_shell(id, &failed(failure));
                    }
                    _ => self.log_in(id, user, passphrase.unwrap_or_default(), now),
                }
                Ok(())
            }
            Request::Logout => {
                self.record_log_out(now);
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
        let used =
            self.table.iter().any(|entry| entry.origin == of_shell) || self.lists.contains(id);
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
        self.require_place()?;
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
        self.work = self.work.saturating_sub(prompt.len());
        let generation = Generation {
            slot: place.slot,
            session: place.session,
            turn: place.turn,
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
        let policy = self.access.policy();
        let text = if policy.keep_prompts == 1 {
            prompt
        } else {
            &[]
        };
        let work = Work::Infer(generation);
        let mut entry = self.entry(Origin::Shell(id), work, policy.deadline_us, now);
        entry.share = REQUEST_ENTRIES
            .saturating_mul(ENTRY)
            .saturating_add(text.len() as u64);
        // A session that begins with a name can be evicted once, by whomever.
        let begins = place.fresh && !name.is_empty();
        let eviction = if begins { ENTRY } else { 0 };
        let command = engine::Command::Infer {
            params,
            session: slot,
            fresh: place.fresh,
            keep: !name.is_empty(),
            credit: params.max_tokens,
            prompt,
        };
        if let Err(failure) = self.forward(entry, eviction, &command, now) {
            self.accounts.settle(reservation, 0, now);
            return Err(failure);
        }
        if let Some(evicted) = self.sessions.begin_turn(place, user, name, now) {
            self.record_eviction(&evicted, now);
        }
        self.stats.admitted = self.stats.admitted.saturating_add(1);
        self.note_busy(now);
        let newest = self.table.len().saturating_sub(1);
        if let Some(entry) = self.table.get(newest) {
            let record = self.record_of(entry, Kind::Admit, now);
            self.record_about(newest, record, text, now);
        }
        Ok(())
    }

    /// Takes the share of the log that the entry says, and `more` that is not given back at its end; writes a command into
    /// inference's ring, and enters the request into the table.
    fn forward(
        &mut self,
        entry: Entry<'m>,
        more: u64,
        command: &engine::Command<'_>,
        now: u64,
    ) -> Result<(), Failure> {
        let share = entry.share.saturating_add(more);
        self.take_share(share, now)?;
        if let Err(failure) = self.command(entry.number, command) {
            self.shares.give_back(entry.user, share);
            return Err(failure);
        }
        self.enter(entry);
        Ok(())
    }

    /// The user wants a request to end. Text and a load that inference has are answered by their own last event; what
    /// audit can end itself, it ends at once.
    fn cancel(&mut self, id: u32, now: u64) {
        let user = self.access.current();
        let found = self
            .table
            .iter()
            .position(|entry| entry.origin == Origin::Shell(id));
        let Some(index) = found else {
            if !self.cancel_list(id) {
                self.tell_shell(id, &failed(Failure::of(ErrorCode::NoSuchRequest)));
            }
            return;
        };
        let Some(entry) = self.table.get_mut(index) else {
            return;
        };
        // What another user has asked for goes on, and has its one end.
        if entry.user != user || entry.state != State::Active {
            return;
        }
        match &mut entry.work {
            Work::Infer(generation) => {
                if !core::mem::replace(&mut generation.cancelled, true) {
                    self.record_cancel(index, now);
                    self.ask_to_stop(index);
                }
            }
            Work::Verify(_) => {
                self.record_cancel(index, now);
                self.answer(index, &failed(Failure::of(ErrorCode::Cancelled)));
            }
            Work::Status => {
                // Inference will answer it, and must.
                entry.origin = Origin::Forgotten;
                self.tell_shell(id, &failed(Failure::of(ErrorCode::Cancelled)));
            }
            // It is done in a moment, and what it has done by then cannot be undone.
            Work::Load(_) => {}
        }
    }

    fn record_cancel(&mut self, index: usize, now: u64) {
        if let Some(entry) = self.table.get(index) {
            let record = self.record_of(entry, Kind::Cancel, now);
            self.record_about(index, record, &[], now);
        }
    }

    /// Asks inference to end a request; if its ring is full, at the next wake-up.
    pub(super) fn ask_to_stop(&mut self, index: usize) {
        let Some(entry) = self.table.get_mut(index) else {
            return;
        };
        engine::Command::Cancel.write(entry.number, &mut self.to_inference);
        let sent = self.inference.send(&self.to_inference).is_ok();
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
        self.take_share(ENTRY, now)?;
        let closed = self.sessions.close(user, name);
        let (slot, number) = closed.inspect_err(|_| self.shares.give_back(user, ENTRY))?;
        if let Some(slot) = slot {
            let session = u32::try_from(slot).unwrap_or(u32::MAX);
            // A full ring swallows it: then inference forgets the session when the slot is used again.
            let _ = self.command(0, &engine::Command::Drop { session });
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

    fn record_log_out(&mut self, now: u64) {
        let user = self.access.current();
        let record = self.record_of_user(Kind::Logout);
        let each = self.access.has_passphrase(user);
        self.record_repeat(user, Reason::Logout, record, each, now);
    }

    // ---- Users --------------------------------------------------------------------------------

    fn log_in(&mut self, id: u32, name: UserName, passphrase: &[u8], now: u64) {
        // A hash of a passphrase is more than a wake-up should do besides.
        self.work = 0;
        let known = self.access.find(&name).is_some();
        match self.access.log_in(&name, passphrase, now) {
            Ok(()) => {
                let user = self.access.current();
                let record = self.record_of_user(Kind::Login);
                // A passphrase and a hash's pause are what it has cost; without one, nothing.
                let each = self.access.has_passphrase(user);
                self.record_repeat(user, Reason::Login, record, each, now);
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
        change: BudgetChange,
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
        if user != current || !change.is_none() {
            self.access.require(Permission::Budget)?;
        }
        if let Some(tokens) = change.tokens.filter(|tokens| *tokens > MAX_BUDGET_TOKENS) {
            let limit = MAX_BUDGET_TOKENS;
            return Err(Failure::over(ErrorCode::BudgetTokens, tokens, limit));
        }
        if let Some(period_us) = change.period_us.filter(|us| !BUDGET_PERIOD_US.contains(us)) {
            let limit = *BUDGET_PERIOD_US.end();
            return Err(Failure::over(ErrorCode::BudgetPeriod, period_us, limit));
        }
        if !change.is_none() {
            self.take_share(ENTRY, now)?;
            self.accounts.change(user, change, now);
        }
        let name = self.access.name(user);
        let budget = self.accounts.budget(user, name, now);
        if !change.is_none() {
            let record = Record {
                name: model_name(&name),
                value: budget.tokens,
                limit: budget.period_us,
                ..self.record_of_user(Kind::Budget)
            };
            self.record(record, now);
        }
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
