//! How audit must handle a request, or why it must refuse it.

use super::*;
use crate::model::{ENTRY, Live, Phase, State, Work};
use crate::store::PASSPHRASES;
use protocol::error::{ErrorCode, Failure};
use protocol::name::{ModelName, SessionName, UserName};
use protocol::policy::Permission;
use protocol::record::Kind;
use protocol::wire::client::{BudgetChange, Event, Request};
use protocol::wire::engine::Command;

use protocol::limits::{BUDGET_PERIOD_US, MAX_BUDGET_TOKENS};

impl Judge<'_> {
    pub(super) fn decide(
        &mut self,
        client: usize,
        id: u32,
        request: &Request<'_>,
    ) -> Held<Result<(), Failure>> {
        if let Err(why) = self.model.policy {
            return Ok(Err(Failure::over(ErrorCode::BadPolicy, why, 0)));
        }
        let Some(identity) = self.model.clients[client].identity else {
            return Ok(Err(Failure::of(ErrorCode::UnknownClient)));
        };
        let no_login = match *request {
            Request::Login { .. } | Request::Users => !identity.may_log_in,
            _ => false,
        };
        if no_login {
            return Ok(Err(Failure::of(ErrorCode::NoLogin)));
        }
        if let Request::Login { user, .. } = *request
            && self.is_of_another(client, user)
        {
            return Ok(Err(Failure::of(ErrorCode::ClientsUser)));
        }
        // Inference chooses part of the answers to these.
        let tells_more = matches!(
            request,
            Request::Load { .. }
                | Request::Status
                | Request::Log(_)
                | Request::FineTune { .. }
                | Request::Adapters
                | Request::LoadAdapter { .. }
                | Request::ExportAdapter { .. }
        );
        if tells_more && self.is_bound(client) {
            return Ok(Err(Failure::of(ErrorCode::FormatNeeded)));
        }
        match *request {
            Request::Infer {
                params,
                session,
                adapter,
                format,
                parts,
            } => match self.may_infer(client, id, params, (session, adapter, format), &parts) {
                Ok(place) => self
                    .admitted(client, id, params, (session, format), parts, place)
                    .map(Ok),
                Err(failure) => Ok(Err(failure)),
            },
            Request::Load { name } => Ok(self.begins_load(client, id, name)),
            Request::Status => self.asks_for_status(client, id),
            Request::Login {
                user,
                passphrase: None,
            } if self
                .model
                .find_user(user)
                .is_none_or(|at| !PASSPHRASES[at].is_empty()) =>
            {
                let failure = Failure::of(ErrorCode::PassphraseNeeded);
                self.failed(client, id, failure, "").map(Ok)
            }
            Request::Login { user, passphrase } => {
                self.log_in(client, id, user, passphrase.unwrap_or_default())
            }
            Request::Logout => self.log_out(client, id).map(Ok),
            Request::WhoAmI => self.is_told_who(client, id).map(Ok),
            Request::Budget { user, change } => self.budget_of(client, id, user, change),
            Request::Stats { watch: false } => {
                if let Err(failure) = self.require(client, Permission::Infer) {
                    return Ok(Err(failure));
                }
                let message = self.answer(client, id)?;
                let frame = message.frame();
                match Event::parse(&frame) {
                    Ok(Event::Stats(stats)) => self.stats(client, &stats).map(Ok),
                    other => broken(Claim::Counters, format!("{other:?}")),
                }
            }
            Request::Reset => {
                let allowed = self.require(client, Permission::Reset);
                if let Err(failure) = allowed.and_then(|()| self.take_share(client, ENTRY)) {
                    return Ok(Err(failure));
                }
                let (record, _) = self.record(Kind::Reset)?;
                let user = self.model.user_name(identity.user);
                claim!(self, Log, record.user == user, "{record:?} of {user}");
                self.model.restarts_us.clear();
                self.answered(client, id, &Event::Done, Claim::Answers)?;
                if self.model.phase == Phase::Stopped {
                    self.starts_over()?;
                }
                Ok(Ok(()))
            }
            Request::Halt => {
                let allowed = self.require(client, Permission::Halt);
                if let Err(failure) = allowed.and_then(|()| self.take_share(client, ENTRY)) {
                    return Ok(Err(failure));
                }
                let (record, _) = self.record(Kind::Halt)?;
                let user = self.model.user_name(identity.user);
                claim!(self, Log, record.user == user, "{record:?} of {user}");
                self.answered(client, id, &Event::Done, Claim::Answers)?;
                Ok(Ok(()))
            }
            Request::Close { session } => self.closes(client, id, session),
            Request::FineTune {
                params,
                data,
                adapter,
            } => Ok(self.begins_tuning(client, id, params, (data, adapter))),
            Request::Example { text } => self.adds_example(client, id, Some(text)),
            Request::DropExamples => self.adds_example(client, id, None),
            Request::LoadAdapter { name } => self.begins_adapter(client, id, name),
            Request::DropAdapter { name } => self.drops_adapter(client, id, name),
            Request::ExportAdapter { name } => self.exports(client, id, name),
            Request::Attest { nonce } => self.attests(client, id, nonce),
            _ => Ok(self.begins_list(client, id, request)),
        }
    }

    /// Whether a user is another client's own user, and not this client's.
    fn is_of_another(&self, client: usize, name: UserName) -> bool {
        let Some(user) = self.model.find_user(name) else {
            return false;
        };
        let clients = self.model.clients.iter().enumerate();
        let mut own = clients.filter(|(_, it)| it.identity.is_some_and(|it| it.own == user));
        own.clone().next().is_some() && own.all(|(place, _)| place != client)
    }

    fn begins_load(&mut self, client: usize, id: u32, name: ModelName) -> Result<(), Failure> {
        self.require(client, Permission::Load)?;
        self.require_new(client, id)?;
        self.require_running()?;
        self.has_place(client)?;
        if self.model.tune().is_some() {
            return Err(Failure::of(ErrorCode::Training));
        }
        let loads = self.model.loads() || self.model.loads_adapter();
        if loads || self.model.texts().next().is_some() {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        let file = self.model.find_model(name)?;
        let share = ENTRIES[2] * ENTRY;
        self.take_share(client, share)?;
        self.model.last_number += 1;
        let live = Live {
            client: Some(client),
            id: Some(id),
            user: self.model.clients[client].user(),
            share,
            work: Work::Verify(file, 0),
            admitted_us: self.now,
            deadline_us: u64::MAX,
            state: State::Active,
        };
        self.model.live.insert(self.model.last_number, live);
        Ok(())
    }

    fn budget_of(
        &mut self,
        client: usize,
        id: u32,
        user: UserName,
        change: BudgetChange,
    ) -> Held<Result<(), Failure>> {
        let current = self.model.clients[client].user();
        let user = match user.is_empty() {
            true => current,
            false => match self.model.find_user(user) {
                Some(user) => user,
                None => return Ok(Err(Failure::of(ErrorCode::NoSuchUser))),
            },
        };
        let others = user != current || !change.is_none();
        if let Err(failure) = self.require(client, Permission::Budget)
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
            if let Err(failure) = self.take_share(client, ENTRY) {
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
        let message = self.answer(client, id)?;
        let frame = message.frame();
        match Event::parse(&frame) {
            Ok(Event::Budget(budget)) => self.budget(user, &budget).map(Ok),
            other => broken(Claim::Budgets, format!("{other:?}")),
        }
    }

    fn closes(
        &mut self,
        client: usize,
        id: u32,
        session: SessionName,
    ) -> Held<Result<(), Failure>> {
        let allowed = self.require(client, Permission::Infer);
        if let Err(failure) = allowed.and_then(|()| self.take_share(client, ENTRY)) {
            return Ok(Err(failure));
        }
        let user = self.model.clients[client].user();
        let (slot, number) = match self.model.sessions.close((client, user), session) {
            Ok(closed) => closed,
            Err(failure) => {
                self.give_back(user, ENTRY);
                return Ok(Err(failure));
            }
        };
        if let Some(slot) = slot
            && self.has_room(client).is_ok()
        {
            let command = Command::Drop { session: slot };
            self.commands(Some(client), 0, &command, Claim::Sessions)?;
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
        self.answered(client, id, &Event::Done, Claim::Answers)
            .map(Ok)
    }
}
