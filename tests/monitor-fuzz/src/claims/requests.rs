//! What a client asks for: what audit must do, or why it must refuse.

use super::*;
use crate::model::{ENTRY, Live, Phase, Place, State, Text, Work};
use crate::store::PASSPHRASES;
use crate::world::{Garbage, Message, Ring, Seen};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{
    BUDGET_PERIOD_US, CONTROL_DEADLINE_US, EXTRA_PROMPT_TOKENS, MAX_BUDGET_TOKENS,
};
use protocol::name::{ModelName, SessionName, UserName};
use protocol::policy::{Permission, Role};
use protocol::record::{Kind, Record};
use protocol::ring::SLOTS;
use protocol::wire::client::{Event, Refusals, Request, Stats, User};
use protocol::wire::engine::Command;
use protocol::wire::{self, InferParams};
use sha2::{Digest as _, Sha256};

impl<'m> Judge<'m> {
    pub(super) fn request(&mut self, taken: Result<Message, Garbage>) -> Held {
        self.took[0] += 1;
        claim!(
            self,
            Flow,
            self.free[0] > RESERVE,
            "a request is taken with {} slots free",
            self.free[0]
        );
        let Ok(message) = taken else {
            self.figures.garbage += 1;
            return self.violation(0);
        };
        let id = message.request;
        let frame = message.frame();
        let Ok(request) = Request::parse(&frame) else {
            self.figures.garbage += 1;
            self.violation(0)?;
            return self.failed(id, Failure::of(ErrorCode::Unsupported));
        };
        self.figures.requests += 1;
        if request == Request::Cancel {
            return self.cancel(id);
        }
        // A restart's end may have been told just now, so that its number is free again.
        let Err(failure) = self.decide(id, &request)? else {
            return Ok(());
        };
        let (user, known) = match request {
            Request::Login { user, .. } => (user, self.model.find_user(user).is_some()),
            _ => (UserName::EMPTY, true),
        };
        let mut expected = Record::new(Kind::Refuse);
        match request {
            Request::Infer { params, prompt, .. } => {
                expected.prompt_bytes = prompt.len() as u32;
                expected.params = params;
            }
            Request::Load { name } => expected.name = name,
            Request::Budget { user, .. } => expected.name = model_name(&user),
            Request::Log(query) => expected.name = model_name(&query.user),
            Request::Close { session } => expected.name = model_name(&session),
            Request::Login { .. } => {
                expected.kind = Kind::LoginFailed as u16;
                expected.name = if known {
                    model_name(&user)
                } else {
                    ModelName::EMPTY
                };
            }
            _ => {}
        }
        // Without a policy nothing was looked at.
        if self.model.policy.is_err() {
            expected = Record::new(Kind::Refuse);
        }
        expected.user = self.model.user_name(self.model.user);
        self.refused(id, failure, expected)
    }

    pub(super) fn refused(&mut self, id: u32, failure: Failure, mut expected: Record) -> Held {
        self.count_refusal(failure.code);
        expected.code = failure.code as u16;
        (expected.value, expected.limit) = (failure.value, failure.limit);
        // A wrong passphrase has cost a wait.
        match failure.code {
            ErrorCode::LoginFailed => self.recorded_each(expected)?,
            _ => self.repeated(self.model.user, expected, false)?,
        }
        self.failed(id, failure)
    }

    pub(super) fn take_share(&mut self, bytes: u64) -> Result<(), Failure> {
        let now = self.now;
        let share = self.model.shares.get_mut(self.model.user);
        let taken = share.map_or(Err(0), |share| share.take(bytes, now));
        taken.map_err(|left| Failure::over(ErrorCode::LogShare, bytes, left))
    }

    pub(super) fn give_back(&mut self, bytes: u64) {
        if let Some(share) = self.model.shares.get_mut(self.model.user) {
            share.give_back(bytes);
        }
    }

    pub(super) fn count_refusal(&mut self, code: ErrorCode) {
        self.figures.refused += 1;
        self.model.counts.refused += 1;
        *self
            .model
            .counts
            .refused_by_code
            .entry(code as u16)
            .or_default() += 1;
    }

    pub(super) fn role(&self) -> Option<Role> {
        let policy = self.model.policy.ok()?;
        let user = policy.users().get(self.model.user)?;
        policy.roles().get(user.role as usize).copied()
    }

    pub(super) fn require(&self, permission: Permission) -> Result<(), Failure> {
        match self.role() {
            Some(role) if role.may(permission) => Ok(()),
            _ => Err(Failure::over(
                ErrorCode::NotPermitted,
                u64::from(permission as u32),
                0,
            )),
        }
    }

    pub(super) fn require_running(&self) -> Result<(), Failure> {
        match self.model.phase {
            Phase::Stopped => Err(self.why_stopped()),
            _ => Ok(()),
        }
    }

    pub(super) fn require_new(&self, id: u32) -> Result<(), Failure> {
        match self.model.is_used(id) {
            true => Err(Failure::over(ErrorCode::NoSuchRequest, u64::from(id), 0)),
            false => Ok(()),
        }
    }

    /// What audit must do with a request, and has done; or why it must refuse.
    pub(super) fn decide(&mut self, id: u32, request: &Request<'_>) -> Held<Result<(), Failure>> {
        if let Err(why) = self.model.policy {
            return Ok(Err(Failure::over(ErrorCode::BadPolicy, why, 0)));
        }
        match *request {
            Request::Infer {
                params,
                session,
                prompt,
            } => {
                let place = match self.may_infer(id, params, session, prompt) {
                    Ok(place) => place,
                    Err(failure) => return Ok(Err(failure)),
                };
                self.admitted(id, params, session, prompt, place).map(Ok)
            }
            Request::Load { name } => {
                let allowed = self
                    .require(Permission::Load)
                    .and_then(|()| self.require_new(id))
                    .and_then(|()| self.require_running());
                if let Err(failure) = allowed {
                    return Ok(Err(failure));
                }
                if let Err(failure) = self.has_place() {
                    return Ok(Err(failure));
                }
                if self.model.loads() || self.model.texts().next().is_some() {
                    return Ok(Err(Failure::of(ErrorCode::ModelInUse)));
                }
                let share = ENTRIES[2] * ENTRY;
                let file = self.model.find_model(name);
                let file = match file.and_then(|file| self.take_share(share).map(|()| file)) {
                    Ok(file) => file,
                    Err(failure) => return Ok(Err(failure)),
                };
                self.model.last_number += 1;
                let live = Live {
                    id: Some(id),
                    own: false,
                    user: self.model.user,
                    share,
                    wakes: 0,
                    work: Work::Verify(file),
                    admitted_us: self.now,
                    deadline_us: u64::MAX,
                    state: State::Active,
                    strict: true,
                };
                self.model.live.insert(self.model.last_number, live);
                Ok(Ok(()))
            }
            Request::Status => {
                let allowed = self
                    .require(Permission::Infer)
                    .and_then(|()| self.require_running())
                    .and_then(|()| self.require_new(id))
                    .and_then(|()| self.has_place());
                let share = ENTRIES[1] * ENTRY;
                let allowed = allowed.and_then(|()| self.take_share(share));
                let allowed =
                    allowed.and_then(|()| self.has_room().inspect_err(|_| self.give_back(share)));
                if let Err(failure) = allowed {
                    return Ok(Err(failure));
                }
                let live = Live {
                    id: Some(id),
                    own: false,
                    user: self.model.user,
                    share,
                    wakes: 0,
                    work: Work::Status,
                    admitted_us: self.now,
                    deadline_us: self.now + CONTROL_DEADLINE_US,
                    state: State::Active,
                    strict: true,
                };
                let number = self.sent_as(&Command::Status)?;
                self.model.live.insert(number, live);
                Ok(Ok(()))
            }
            Request::Login {
                user,
                passphrase: None,
            } if self
                .model
                .find_user(user)
                .is_none_or(|at| !PASSPHRASES[at].is_empty()) =>
            {
                let failure = Failure::of(ErrorCode::PassphraseNeeded);
                self.failed(id, failure).map(Ok)
            }
            Request::Login { user, passphrase } => {
                self.log_in(id, user, passphrase.unwrap_or_default())
            }
            Request::Logout => {
                self.comes_or_goes(Kind::Logout)?;
                self.lists_end()?;
                self.model.user = self.model.policy.map_or(0, |p| p.clients[0].user as usize);
                self.is_told_who(id).map(Ok)
            }
            Request::WhoAmI => self.is_told_who(id).map(Ok),
            Request::Budget { user, change } => {
                let current = self.model.user;
                let user = match user.is_empty() {
                    true => current,
                    false => match self.model.find_user(user) {
                        Some(user) => user,
                        None => return Ok(Err(Failure::of(ErrorCode::NoSuchUser))),
                    },
                };
                let others = user != current || !change.is_none();
                if let Err(failure) = self.require(Permission::Budget)
                    && others
                {
                    return Ok(Err(failure));
                }
                let (tokens, period_us) = (change.tokens, change.period_us);
                if let Some(tokens) = tokens.filter(|tokens| *tokens > MAX_BUDGET_TOKENS) {
                    let code = ErrorCode::BudgetTokens;
                    return Ok(Err(Failure::over(code, tokens, MAX_BUDGET_TOKENS)));
                }
                if let Some(us) = period_us.filter(|us| !BUDGET_PERIOD_US.contains(us)) {
                    let code = ErrorCode::BudgetPeriod;
                    return Ok(Err(Failure::over(code, us, *BUDGET_PERIOD_US.end())));
                }
                if !change.is_none() {
                    if let Err(failure) = self.take_share(ENTRY) {
                        return Ok(Err(failure));
                    }
                    let (record, _) = self.record(Kind::Budget)?;
                    let now = self.now;
                    if let Some(ledger) = self.model.ledgers.get_mut(user) {
                        ledger.change(tokens, period_us, now);
                        let (tokens, period_us) = (ledger.tokens, ledger.period_us);
                        claim!(
                            self,
                            Log,
                            record.user == self.model.user_name(current)
                                && record.name == model_name(&self.model.user_name(user))
                                && (record.value, record.limit) == (tokens, period_us),
                            "{record:?}"
                        );
                    }
                }
                if let Some(message) = self.answer(id)? {
                    let frame = message.frame();
                    match Event::parse(&frame) {
                        Ok(Event::Budget(budget)) => self.budget(user, &budget)?,
                        other => return broken(Claim::Budgets, format!("{other:?}")),
                    }
                }
                Ok(Ok(()))
            }
            Request::Stats { watch: false } => {
                if let Err(failure) = self.require(Permission::Infer) {
                    return Ok(Err(failure));
                }
                if let Some(message) = self.answer(id)? {
                    let frame = message.frame();
                    match Event::parse(&frame) {
                        Ok(Event::Stats(stats)) => self.stats(&stats)?,
                        other => return broken(Claim::Counters, format!("{other:?}")),
                    }
                }
                Ok(Ok(()))
            }
            Request::Reset => {
                let allowed = self.require(Permission::Reset);
                if let Err(failure) = allowed.and_then(|()| self.take_share(ENTRY)) {
                    return Ok(Err(failure));
                }
                self.record(Kind::Reset)?;
                self.model.restarts_us.clear();
                self.answered(id, &Event::Done, Claim::Answers)?;
                if self.model.phase == Phase::Stopped {
                    self.starts_over()?;
                }
                Ok(Ok(()))
            }
            Request::Close { session } => {
                let allowed = self.require(Permission::Infer);
                if let Err(failure) = allowed.and_then(|()| self.take_share(ENTRY)) {
                    return Ok(Err(failure));
                }
                let user = self.model.user;
                let (slot, number) = match self.model.sessions.close(user, session) {
                    Ok(closed) => closed,
                    Err(failure) => {
                        self.give_back(ENTRY);
                        return Ok(Err(failure));
                    }
                };
                if let Some(session) = slot
                    && self.free[1] > 0
                {
                    self.commands(0, &Command::Drop { session }, Claim::Sessions)?;
                }
                let (record, _) = self.record(Kind::Close)?;
                claim!(
                    self,
                    Log,
                    record.session == number
                        && record.name == model_name(&session)
                        && record.user == self.model.user_name(user),
                    "{record:?}"
                );
                self.answered(id, &Event::Done, Claim::Answers).map(Ok)
            }
            _ => Ok(self.begins_list(id, request)),
        }
    }

    pub(super) fn has_place(&self) -> Result<(), Failure> {
        let taken = self.model.live.len() + self.model.owed.len();
        if taken >= PLACES {
            let (value, limit) = (taken as u64, PLACES as u64);
            return Err(Failure::over(ErrorCode::TooManyRequests, value, limit));
        }
        Ok(())
    }

    pub(super) fn has_room(&self) -> Result<(), Failure> {
        if self.free[1] == 0 {
            let all = SLOTS as u64;
            return Err(Failure::over(ErrorCode::Busy, all, all));
        }
        Ok(())
    }

    /// Audit must send this to inference, now.
    pub(super) fn commands(&mut self, number: u32, command: &Command<'_>, claim: Claim) -> Held {
        self.figures.comparisons += 1;
        match self.next() {
            Some(Seen::Sent(Ring::Inference, message)) if message.request == number => {
                let frame = message.frame();
                match Command::parse(&frame) {
                    Ok(sent) if sent == *command => Ok(()),
                    other => broken(claim, format!("{other:?} in place of {command:?}")),
                }
            }
            other => broken(claim, format!("{other:?} in place of {command:?}")),
        }
    }

    /// As [`Self::commands`], under a number of its own.
    pub(super) fn sent_as(&mut self, command: &Command<'_>) -> Held<u32> {
        self.model.last_number += 1;
        let number = self.model.last_number;
        self.commands(number, command, Claim::Answers)?;
        Ok(number)
    }

    /// Where a request for text goes, if it may.
    pub(super) fn may_infer(
        &mut self,
        id: u32,
        params: InferParams,
        session: SessionName,
        prompt: &[u8],
    ) -> Result<Place, Failure> {
        self.require(Permission::Infer)?;
        self.require_running()?;
        self.require_new(id)?;
        self.has_place()?;
        wire::check_prompt(prompt)?;
        params.check()?;
        let (most, sessions) = self
            .role()
            .map_or((0, 0), |role| (role.max_tokens, role.max_sessions));
        if params.max_tokens > most {
            return Err(Failure::over(
                ErrorCode::MaxTokens,
                u64::from(params.max_tokens),
                u64::from(most),
            ));
        }
        if self.model.loads_for_user() {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        if self.model.current.is_none() {
            return Err(Failure::of(ErrorCode::NoModel));
        }
        let user = self.model.user;
        let place = self
            .model
            .sessions
            .place(user, session, sessions as usize)?;
        let tokens = Self::most(prompt, params);
        let now = self.now;
        if let Some(ledger) = self.model.ledgers.get_mut(user) {
            ledger.roll(now);
            if tokens > ledger.left() {
                return Err(Failure::over(
                    ErrorCode::QuotaExceeded,
                    tokens,
                    ledger.left(),
                ));
            }
        }
        let fresh = !matches!(place, Place::On(_));
        // A session that begins with a name can be evicted once.
        let eviction = if fresh && !session.is_empty() {
            ENTRY
        } else {
            0
        };
        let share = self.share_of(prompt) + eviction;
        self.take_share(share)?;
        self.has_room().inspect_err(|_| self.give_back(share))?;
        Ok(place)
    }

    pub(super) fn share_of(&self, prompt: &[u8]) -> u64 {
        let keeps = self
            .model
            .policy
            .is_ok_and(|policy| policy.keep_prompts == 1);
        ENTRIES[0] * ENTRY + if keeps { prompt.len() as u64 } else { 0 }
    }

    pub(super) fn most(prompt: &[u8], params: InferParams) -> u64 {
        prompt.len() as u64 + u64::from(EXTRA_PROMPT_TOKENS) + u64::from(params.max_tokens)
    }

    pub(super) fn admitted(
        &mut self,
        id: u32,
        params: InferParams,
        name: SessionName,
        prompt: &[u8],
        place: Place,
    ) -> Held {
        self.figures.comparisons += 1;
        let number = self.model.last_number + 1;
        let sent = match self.seen.front() {
            Some(Seen::Sent(Ring::Inference, message)) if message.request == number => message,
            other => {
                return broken(
                    Claim::Refusals,
                    format!("{id} must be admitted, and {other:?}"),
                );
            }
        };
        let frame = sent.frame();
        let slot = match Command::parse(&frame) {
            Ok(Command::Infer { session, .. }) => session,
            other => return broken(Claim::Answers, format!("{other:?}")),
        };
        let right = match &place {
            Place::On(at) => slot == *at,
            Place::Free => !self.model.sessions.present.contains_key(&slot),
            Place::InsteadOf(slots) => slots.contains(&slot),
        };
        claim!(self, Sessions, right, "slot {slot} for {place:?}");
        let command = Command::Infer {
            params,
            session: slot,
            fresh: !matches!(place, Place::On(_)),
            keep: !name.is_empty(),
            credit: params.max_tokens,
            prompt,
        };
        self.sent_as(&command)?;
        if let Place::InsteadOf(_) = place {
            let ended = self.model.sessions.end(slot, ErrorCode::SessionEvicted);
            self.evicted(ended)?;
        }
        let user = self.model.user;
        let (session, turn) = self.model.sessions.begin(slot, user, name, self.now);
        let text = Text {
            slot,
            session,
            turn,
            params,
            prompt_bytes: prompt.len() as u32,
            prompt_sha256: Sha256::digest(prompt).into(),
            tokens: 0,
            output: Sha256::new(),
            first_us: None,
            cancelled: false,
            stop_owed: false,
        };
        let policy = self.model.policy.ok();
        let allowed = policy.map_or(0, |policy| policy.deadline_us);
        let live = Live {
            id: Some(id),
            own: false,
            user,
            share: self.share_of(prompt),
            wakes: 0,
            work: Work::Text(Box::new(text)),
            admitted_us: self.now,
            deadline_us: self.now + allowed,
            state: State::Active,
            strict: true,
        };
        self.model.live.insert(number, live);
        let (_, kept) = self.record_of(Kind::Admit, number)?;
        let keeps = policy.is_some_and(|policy| policy.keep_prompts == 1);
        claim!(
            self,
            Log,
            kept == if keeps { prompt } else { &[] },
            "a prompt of {} bytes is kept as {}",
            prompt.len(),
            kept.len()
        );
        if let Some(ledger) = self.model.ledgers.get_mut(user) {
            ledger.reserve(number, Self::most(prompt, params));
        }
        self.model.counts.admitted += 1;
        self.figures.admitted += 1;
        Ok(())
    }

    pub(super) fn cancel(&mut self, id: u32) -> Held {
        let user = self.model.user;
        let found = self.model.live.iter().find(|(_, live)| live.id == Some(id));
        if let Some((number, _)) = found {
            let number = *number;
            let cancelled = Failure::of(ErrorCode::Cancelled);
            let Some(live) = self.model.live.get_mut(&number) else {
                return Ok(());
            };
            if live.user != user || live.state != State::Active {
                return Ok(());
            }
            match &mut live.work {
                Work::Text(text) => {
                    if std::mem::replace(&mut text.cancelled, true) {
                        return Ok(());
                    }
                    self.record_of(Kind::Cancel, number)?;
                    return self.is_asked_to_stop(number);
                }
                Work::Verify(_) => {
                    self.record_of(Kind::Cancel, number)?;
                    self.ends(number);
                    return self.failed(id, cancelled);
                }
                Work::Status => {
                    // Inference must answer it all the same.
                    live.id = None;
                    return self.failed(id, cancelled);
                }
                Work::Load(_) => return Ok(()),
            }
        }
        if self.model.owed.iter().any(|owed| owed.id == Some(id)) {
            return Ok(());
        }
        if let Some(at) = self.model.lists.iter().position(|list| list.id == id) {
            let list = self.model.lists.swap_remove(at);
            return self.list_ends(list);
        }
        self.failed(id, Failure::of(ErrorCode::NoSuchRequest))
    }

    /// Inference must be told, or audit must remember that it is to be.
    pub(super) fn is_asked_to_stop(&mut self, number: u32) -> Held {
        let room = self.free[1] > 0;
        if room {
            self.commands(number, &Command::Cancel, Claim::Deadlines)?;
        }
        if let Some(text) = self.model.live.get_mut(&number).and_then(Live::text_mut) {
            text.stop_owed = !room;
        }
        Ok(())
    }

    pub(super) fn user_now(&self) -> User {
        let Some(role) = self.role() else {
            return User::default();
        };
        let users = self.model.policy.map_or(&[][..], |p| p.users());
        self.describe(&users[self.model.user], &role)
    }

    pub(super) fn describe(&self, user: &protocol::policy::User, role: &Role) -> User {
        User {
            name: user.name,
            role: role.name,
            permissions: role.permissions,
            has_passphrase: u32::from(user.passphrase.passes > 0),
        }
    }

    pub(super) fn is_told_who(&mut self, id: u32) -> Held {
        let user = self.user_now();
        self.answered(id, &Event::User(user), Claim::Answers)
    }

    /// A login or logout: without a passphrase it costs nothing.
    pub(super) fn comes_or_goes(&mut self, kind: Kind) -> Held {
        let user = self.model.user;
        let mut expected = Record::new(kind);
        expected.user = self.model.user_name(user);
        self.repeated(user, expected, !PASSPHRASES[user].is_empty())
    }

    pub(super) fn log_in(
        &mut self,
        id: u32,
        name: UserName,
        passphrase: &[u8],
    ) -> Held<Result<(), Failure>> {
        let Ok(policy) = self.model.policy else {
            return Ok(Ok(()));
        };
        let found = self.model.find_user(name);
        let place = found.unwrap_or(policy.users().len());
        let attempts = self.model.attempts[place];
        let hashes = found.is_some_and(|at| !PASSPHRASES[at].is_empty());
        let mut earliest = attempts.next_us;
        if hashes {
            earliest = earliest.max(self.model.next_hash_us);
        }
        if self.now < earliest {
            let wait = earliest - self.now;
            return Ok(Err(Failure::over(ErrorCode::LoginDelayed, wait, 0)));
        }
        if hashes {
            self.model.next_hash_us = self.now + HASH_PAUSE_US;
        }
        if let Some(user) = found
            && PASSPHRASES[user] == passphrase
        {
            self.model.attempts[place] = crate::model::Attempts::default();
            self.model.user = user;
            self.comes_or_goes(Kind::Login)?;
            self.lists_end()?;
            return self.is_told_who(id).map(Ok);
        }
        let failures = attempts.failures + 1;
        let doubled = (1u64 << (failures - 1).min(40)).saturating_mul(policy.login_delay_us);
        let delay = doubled.min(policy.login_delay_max_us);
        self.model.attempts[place] = crate::model::Attempts {
            failures,
            next_us: self.now + delay,
        };
        Ok(Err(Failure::over(ErrorCode::LoginFailed, delay, 0)))
    }

    pub(super) fn budget(&mut self, user: usize, told: &wire::client::Budget) -> Held {
        let name = self.model.user_name(user);
        let now = self.now;
        let Some(ledger) = self.model.ledgers.get_mut(user) else {
            return Ok(());
        };
        ledger.roll(now);
        let expected = wire::client::Budget {
            user: name,
            tokens: ledger.tokens,
            used: ledger.used,
            reserved: ledger.reserved(),
            period_us: ledger.period_us,
            left_us: ledger.left_us(now),
        };
        claim!(
            self,
            Budgets,
            *told == expected,
            "{told:?} should be {expected:?}"
        );
        Ok(())
    }

    pub(super) fn stats(&mut self, told: &Stats) -> Held {
        if told.timeouts != self.model.counts.timeouts && !self.deadlines_done {
            self.deadlines()?;
        }
        self.budget(self.model.user, &told.budget)?;
        let counts = &self.model.counts;
        let (active, sessions) = self.under_way();
        let queued = self.model.texts().filter(|text| text.first_us.is_none());
        let mut by_code = [0; ErrorCode::END];
        for (code, count) in &counts.refused_by_code {
            by_code[usize::from(*code)] = *count;
        }
        let pairs = [
            ("uptime", told.uptime_us, self.now - self.model.booted_us),
            ("admitted", told.admitted, counts.admitted),
            ("refused", told.refused, counts.refused),
            ("finished", told.finished, counts.finished),
            ("cancelled", told.cancelled, counts.cancelled),
            ("failed", told.failed, counts.failed),
            ("prompt tokens", told.prompt_tokens, counts.prompt_tokens),
            ("tokens", told.generated_tokens, counts.generated_tokens),
            ("faults", told.faults, counts.faults),
            ("restarts", told.restarts, counts.restarts),
            ("timeouts", told.timeouts, counts.timeouts),
            ("violations", told.violations, counts.violations),
            ("evicted", told.evicted, counts.evicted),
            ("egress", told.egress_bytes, self.model.bucket.passed),
            ("active", u64::from(told.active), u64::from(active)),
            ("queued", u64::from(told.queued), queued.count() as u64),
            ("sessions", u64::from(told.sessions), u64::from(sessions)),
            (
                "stopped",
                u64::from(told.stopped),
                u64::from(self.model.phase == Phase::Stopped),
            ),
        ];
        let most = Refusals::most_frequent(&by_code);
        // Of what audit writes down on its own, some may come after.
        let written = self.explained as u64..=self.history.len() as u64;
        claim!(
            self,
            Counters,
            written.contains(&told.records),
            "{} records of {written:?}",
            told.records
        );
        for (what, told, expected) in pairs {
            claim!(
                self,
                Counters,
                told == expected,
                "{what}: {told}, not {expected}"
            );
        }
        claim!(
            self,
            Counters,
            told.refusals == most,
            "{:?} should be {most:?}",
            told.refusals
        );
        Ok(())
    }
}
