//! Requests of clients: taken, refused, or cancelled.

use super::*;
use crate::model::{Live, Over, Stage, State, Stop, Work};
use crate::world::{Garbage, Message};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::CONTROL_DEADLINE_US;
use protocol::name::ModelName;
use protocol::policy::{Permission, Role};
use protocol::record::{Kind, Record};
use protocol::ring::{Frame, SLOTS};
use protocol::wire::PartKind;
use protocol::wire::client::Request;
use protocol::wire::engine::Command;

impl Judge<'_> {
    pub(super) fn request(&mut self, client: usize, taken: Result<Message, Garbage>) -> Held {
        self.may_be_read(client)?;
        let Ok(message) = taken else {
            self.figures.garbage += 1;
            return self.violation(Some(client));
        };
        let id = message.request;
        let frame = self.with_its_prompt_decided(&message);
        let Ok(request) = Request::parse(&frame) else {
            self.figures.garbage += 1;
            self.violation(Some(client))?;
            return self.failed(client, id, Failure::of(ErrorCode::Unsupported), "");
        };
        self.figures.requests += 1;
        if request == Request::Cancel {
            return self.cancel(client, id);
        }
        let Err(failure) = self.decide(client, id, &request)? else {
            return Ok(());
        };
        let mut expected = self.refusal(client, &request, failure.code);
        use ErrorCode as Code;
        if let Code::BadPolicy | Code::UnknownClient | Code::NoLogin | Code::ClientsUser =
            failure.code
        {
            // It leads to nothing that could be recorded.
            expected = Record::new(Kind::Refuse);
        }
        let user = self.model.clients[client].user();
        expected.user = self.model.user_name(user);
        self.refused(client, id, failure, expected)
    }

    /// A message with a prompt, as audit interprets it: as a user's turn if the model in service has a template, which
    /// every model here has.
    fn with_its_prompt_decided(&self, message: &Message) -> Frame {
        let frame = message.frame();
        let Ok(Request::Infer { parts, .. }) = Request::parse(&frame) else {
            return frame;
        };
        if parts.iter().next().map(|part| part.kind) != Some(PartKind::Prompt) {
            return frame;
        }
        let mut message = message.clone();
        let at = message.payload.len() - parts.as_bytes().len();
        message.payload[at] = match self.model.current {
            Some(_) => PartKind::User as u8,
            None => PartKind::Text as u8,
        };
        message.frame()
    }

    /// The record of a request, if it is refused.
    fn refusal(&self, client: usize, request: &Request<'_>, code: ErrorCode) -> Record {
        let mut expected = Record::new(Kind::Refuse);
        match *request {
            Request::Infer {
                params,
                format,
                parts,
                ..
            } => {
                expected.prompt_bytes = parts.as_bytes().len() as u32;
                expected.params = params;
                expected.format = format;
            }
            Request::Load { name }
            | Request::LoadAdapter { name }
            | Request::DropAdapter { name }
            | Request::ExportAdapter { name } => expected.name = name,
            Request::FineTune {
                params,
                data,
                adapter,
            } => {
                let about_adapter = code == ErrorCode::AdapterExists && !adapter.is_empty();
                expected.name = if about_adapter { adapter } else { data };
                expected.train = params;
            }
            Request::Example { text } => expected.prompt_bytes = text.len() as u32,
            Request::Budget { user, .. } => expected.name = model_name(&user),
            Request::Log(query) => expected.name = model_name(&query.user),
            Request::Close { session } => expected.name = model_name(&session),
            Request::Login { user, .. } if self.model.clients[client].identity.is_some() => {
                expected.kind = Kind::LoginFailed as u16;
                // An unknown user name may be a passphrase.
                expected.name = match self.model.find_user(user) {
                    Some(_) => model_name(&user),
                    None => ModelName::EMPTY,
                };
            }
            _ => {}
        }
        expected
    }

    fn refused(&mut self, client: usize, id: u32, failure: Failure, mut expected: Record) -> Held {
        self.count_refusal(failure.code);
        expected.code = failure.code as u16;
        (expected.value, expected.limit) = (failure.value, failure.limit);
        let user = self.model.clients[client].user();
        match failure.code {
            // A wrong passphrase has cost a wait.
            ErrorCode::LoginFailed => self.recorded_each(expected)?,
            // The client has no user.
            ErrorCode::UnknownClient => self.violation(Some(client))?,
            _ => self.repeated(user, expected, false)?,
        }
        let about = match failure.code {
            ErrorCode::NotPermitted => model_name(&expected.user),
            _ => expected.name,
        };
        self.failed(client, id, failure, about.as_str())
    }

    pub(super) fn take_share(&mut self, client: usize, bytes: u64) -> Result<(), Failure> {
        let now = self.now;
        let user = self.model.clients[client].user();
        let share = self.model.shares.get_mut(user);
        let taken = share.map_or(Err(0), |share| share.take(bytes, now));
        taken.map_err(|left| Failure::over(ErrorCode::LogShare, bytes, left))
    }

    pub(super) fn give_back(&mut self, user: usize, bytes: u64) {
        if let Some(share) = self.model.shares.get_mut(user) {
            share.give_back(bytes);
        }
    }

    pub(super) fn count_refusal(&mut self, code: ErrorCode) {
        self.figures.refused += 1;
        let counts = &mut self.model.counts;
        counts.refused += 1;
        *counts.refused_by_code.entry(code as u16).or_default() += 1;
    }

    // ---- Checks ---------------------------------------------------------------------------------

    pub(super) fn role(&self, client: usize) -> Option<Role> {
        let policy = self.model.policy.ok()?;
        let user = policy.users().get(self.model.clients[client].user())?;
        policy.roles().get(user.role as usize).copied()
    }

    pub(super) fn require(&self, client: usize, permission: Permission) -> Result<(), Failure> {
        match self.role(client) {
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
            crate::model::Phase::Stopped => Err(self.why_stopped()),
            _ => Ok(()),
        }
    }

    pub(super) fn require_new(&self, client: usize, id: u32) -> Result<(), Failure> {
        match self.model.is_used(client, id) {
            true => Err(Failure::over(ErrorCode::NoSuchRequest, u64::from(id), 0)),
            false => Ok(()),
        }
    }

    /// Checks that the client may have another request; requests of others do not count.
    pub(super) fn has_place(&self, client: usize) -> Result<(), Failure> {
        let taken = self.model.requests_of(client);
        let places = self.model.clients[client]
            .identity
            .map_or(0, |identity| identity.requests);
        if taken >= places {
            let (value, limit) = (taken as u64, places as u64);
            return Err(Failure::over(ErrorCode::TooManyRequests, value, limit));
        }
        Ok(())
    }

    /// Forgets messages that inference has read, according to its ring.
    pub(super) fn forgets_what_is_read(&mut self) {
        let unread = SLOTS - self.inference.free;
        while self.model.unread.len() > unread {
            self.model.unread.pop_front();
        }
    }

    /// Checks that the client may send inference another message; messages of others do not count.
    pub(super) fn has_room(&mut self, client: usize) -> Result<(), Failure> {
        self.forgets_what_is_read();
        let own = self.model.unread.iter();
        let own = own.filter(|of| **of == Some(client)).count();
        let places = self.model.clients[client]
            .identity
            .map_or(0, |identity| identity.commands);
        let busy = |value: usize, limit: usize| {
            Err(Failure::over(ErrorCode::Busy, value as u64, limit as u64))
        };
        match self.inference.free {
            // A client within its part finds room, unless inference's claims about its ring are impossible.
            0 if own >= places || !self.is_ring_sound => busy(SLOTS, SLOTS),
            _ if own < places => Ok(()),
            _ => busy(own, places),
        }
    }

    /// Whether audit may send another of its own commands, which leave the clients their parts.
    pub(super) fn has_own_room(&mut self) -> bool {
        self.forgets_what_is_read();
        let own = self.model.unread.iter().filter(|of| of.is_none()).count();
        let clients = self.model.policy.map_or(&[][..], |p| p.clients());
        let parts: usize = clients.iter().map(|client| client.commands as usize).sum();
        self.inference.free > 0 && own < SLOTS - parts
    }

    // ---- Commands -------------------------------------------------------------------------------

    /// Audit must now send this command to inference, for this client or for itself.
    pub(super) fn commands(
        &mut self,
        whose: Option<usize>,
        number: u32,
        command: &Command<'_>,
        claim: Claim,
    ) -> Held {
        let room = whose.is_some() && self.inference.free > 0 || self.has_own_room();
        claim!(
            self,
            Parts,
            room,
            "{command:?} takes {whose:?} a place that is another's, beside {:?}",
            self.model.unread
        );
        self.forgets_what_is_read();
        self.model.unread.push_back(whose);
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

    pub(super) fn asks_for_status(&mut self, client: usize, id: u32) -> Held<Result<(), Failure>> {
        let allowed = self
            .require(client, Permission::Infer)
            .and_then(|()| self.require_running())
            .and_then(|()| self.require_new(client, id))
            .and_then(|()| self.has_place(client))
            .and_then(|()| self.has_room(client));
        let share = ENTRIES[1] * crate::model::ENTRY;
        let allowed = allowed.and_then(|()| self.take_share(client, share));
        if let Err(failure) = allowed {
            return Ok(Err(failure));
        }
        self.model.last_number += 1;
        let number = self.model.last_number;
        self.commands(Some(client), number, &Command::Status, Claim::Answers)?;
        let live = Live {
            client: Some(client),
            id: Some(id),
            user: self.model.clients[client].user(),
            share,
            work: Work::Status,
            admitted_us: self.now,
            deadline_us: self.now + CONTROL_DEADLINE_US,
            state: State::Active,
        };
        self.model.live.insert(number, live);
        Ok(Ok(()))
    }

    // ---- Ends -----------------------------------------------------------------------------------

    fn cancel(&mut self, client: usize, id: u32) -> Held {
        let user = self.model.clients[client].user();
        let whose = (Some(client), Some(id));
        let mut live = self.model.live.iter_mut();
        if let Some((number, live)) = live.find(|(_, live)| (live.client, live.id) == whose) {
            let number = *number;
            // A request of another user continues.
            if live.user != user || live.state != State::Active {
                return Ok(());
            }
            return match &mut live.work {
                Work::Text(text) => {
                    if std::mem::replace(&mut text.cancelled, true) {
                        return Ok(());
                    }
                    self.record_of(Kind::Cancel, number)?;
                    self.is_asked_to_stop(number)
                }
                Work::Tune(tune) if tune.stage == Stage::Training => {
                    if std::mem::replace(&mut tune.cancelled, true) {
                        return Ok(());
                    }
                    self.record_of(Kind::Cancel, number)?;
                    self.is_asked_to_stop(number)
                }
                Work::Tune(tune) if tune.is_with_inference() => Ok(()),
                Work::Verify(..) | Work::VerifyAdapter(..) | Work::Tune(_) => {
                    let was_trained = live
                        .tune()
                        .is_some_and(|tune| matches!(tune.stage, Stage::Signing(_)));
                    self.record_of(Kind::Cancel, number)?;
                    if was_trained {
                        self.is_recorded(number, protocol::wire::FinishReason::Cancelled as u16)?;
                    }
                    let failure = Failure::of(ErrorCode::Cancelled);
                    let end = crate::model::End::Failed(failure, Vec::new());
                    self.is_over(number, end, 0);
                    Ok(())
                }
                Work::Status => {
                    // Inference must answer it all the same.
                    live.id = None;
                    self.failed(client, id, Failure::of(ErrorCode::Cancelled), "")
                }
                Work::Load(_) | Work::Adapter(..) => Ok(()),
            };
        }
        let is = |over: &Over| (over.client, over.id) == (client, id);
        if self.model.over.values().any(is) {
            return Ok(());
        }
        let lists = &mut self.model.clients[client].lists;
        if let Some(at) = lists.iter().position(|list| list.id == id) {
            let list = lists.swap_remove(at);
            return self.list_ends(client, list);
        }
        self.failed(client, id, Failure::of(ErrorCode::NoSuchRequest), "")
    }

    /// Inference must be asked to stop, or audit must remember to ask. Checks which.
    pub(super) fn is_asked_to_stop(&mut self, number: u32) -> Held {
        let stop = self.model.live.get(&number).and_then(Live::stop);
        if stop.is_none_or(|stop| stop == Stop::Asked) {
            return Ok(());
        }
        let room = self.has_own_room();
        if room {
            self.commands(None, number, &Command::Cancel, Claim::Deadlines)?;
        }
        if let Some(live) = self.model.live.get_mut(&number) {
            live.set_stop(if room { Stop::Asked } else { Stop::Owed });
        }
        Ok(())
    }

    /// A request is over. The unused part of its user's share is returned, and its client must be told the end.
    /// `bytes`: the cost of the end under the egress cap.
    pub(super) fn is_over(&mut self, number: u32, end: crate::model::End, bytes: u64) {
        let Some(live) = self.model.live.remove(&number) else {
            return;
        };
        self.give_back(live.user, live.share);
        let (Some(client), Some(id)) = (live.client, live.id) else {
            return;
        };
        let waiting = match live.work {
            Work::Text(mut text) => {
                text.releases();
                text.waiting
            }
            _ => Default::default(),
        };
        let over = Over {
            client,
            id,
            waiting,
            end,
            bytes,
        };
        self.model.over.insert(number, over);
    }
}
