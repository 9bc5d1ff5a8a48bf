//! Requests of clients: who may send them, what they cost, and which limits apply.

use super::{Monitor, Port};
use crate::counters::count;
use crate::files::FilesEnd;
use crate::ledger::model_name;
use crate::lists::ListKind;
use crate::log::Verification;
use crate::sessions::Owner;
use crate::shares::ENTRY;
use crate::table::{InFlight, Origin, State, Work};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::CONTROL_DEADLINE_US;
use protocol::policy::Permission;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Frame, SLOTS};
use protocol::wire::client::{Event, Request};
use protocol::wire::engine;

/// Entries of the log that a question can cause: timeout, its end.
const QUESTION_ENTRIES: u64 = 2;

/// What handling a message costs of a wake-up's work besides hashing, in hashed bytes: hashing this many takes about as
/// long. So a wake-up handles no more messages than one client's ring holds, however many clients send.
const MESSAGE_BYTES: usize = 1 << 10;

/// Whether the answer to a request contains bytes that inference chooses, besides text. A client that must use a format
/// may not send such a request.
const fn tells_more_than_answers(request: &Request<'_>) -> bool {
    match request {
        // Sizes, names and reasons come from inference, as do the bytes and hashes of adapters. The log contains all of
        // them.
        Request::Load { .. }
        | Request::Status
        | Request::Log { .. }
        | Request::FineTune { .. }
        | Request::Adapters
        | Request::LoadAdapter { .. }
        | Request::ExportAdapter { .. } => true,
        Request::Infer { .. }
        | Request::Cancel
        | Request::Models
        | Request::Stats { .. }
        | Request::Login { .. }
        | Request::Logout
        | Request::WhoAmI
        | Request::Users
        | Request::Budget { .. }
        | Request::VerifyLog
        | Request::Attest { .. }
        | Request::Reset
        | Request::Sessions
        | Request::Close { .. }
        | Request::Example { .. }
        | Request::DropExamples
        | Request::DropAdapter { .. }
        | Request::Formats
        | Request::Halt => false,
    }
}

impl<'m, R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'m, R, W, F> {
    /// Reads requests, one from each client in turn, until the wake-up's work is used up.
    pub(super) fn read_clients(&mut self, frame: &mut Frame, now: u64, port: &mut impl Port) {
        let turns = self.clients.in_turn();
        // The next time, another client is first, so that none is always left without work.
        self.clients.turn();
        for _ in 0..SLOTS {
            let mut any = false;
            for client in turns.clone() {
                if self.work.is_spent_on_requests() {
                    self.work.goes_on();
                    return;
                }
                any |= self.read_client(client, frame, now, port);
            }
            if !any {
                return;
            }
        }
    }

    /// Reads a client's next request, if there is room for its immediate events; false if none was read.
    fn read_client(
        &mut self,
        client: usize,
        frame: &mut Frame,
        now: u64,
        port: &mut impl Port,
    ) -> bool {
        if self.is_held(client) {
            return false;
        }
        let peer = self.clients.get_mut(client);
        // A login ends all lists and is answered, so it needs the most room.
        let Some(peer) = peer.filter(|peer| peer.room() > peer.lists.len()) else {
            return false;
        };
        match peer.receive(frame) {
            Ok(true) => {
                self.work.spend(MESSAGE_BYTES);
                self.handle_request(client, frame, now, port);
                // Prompts and passphrases are kept no longer than needed.
                frame.wipe();
                true
            }
            Ok(false) => false,
            Err(_) => {
                self.work.spend(MESSAGE_BYTES);
                self.count_violation(client, now);
                true
            }
        }
    }

    fn handle_request(&mut self, client: usize, frame: &mut Frame, now: u64, port: &mut impl Port) {
        let id = frame.header().request;
        // A prompt whose form depends on the model. A client that decided this would race with loads; audit does not,
        // because no model is loaded while a request for text is in flight.
        let current = self.link.current.as_ref();
        let has_template = current.is_some_and(|model| !model.loaded.info.template.is_empty());
        Request::decide_prompt(frame, has_template);
        let Ok(request) = Request::parse(frame) else {
            self.count_violation(client, now);
            self.tell_failure(client, id, Failure::of(ErrorCode::Unsupported));
            return;
        };
        if request == Request::Cancel {
            return self.cancel(client, id, now);
        }
        let mut record = self.record_of_client(client, Kind::Refuse);
        if let Err(failure) = self.decide(client, id, &request, &mut record, now, port) {
            self.refuse(client, id, failure, record, now);
        }
    }

    /// Handles a request, or returns why it is refused, in which case nothing has changed. `record`: what the entry of
    /// a refusal will say.
    fn decide(
        &mut self,
        client: usize,
        id: u32,
        request: &Request<'_>,
        record: &mut Record,
        now: u64,
        port: &mut impl Port,
    ) -> Result<(), Failure> {
        self.gate.require_policy()?;
        let peer = self.clients.get(client);
        let Some(identity) = peer.and_then(|peer| peer.identity) else {
            return Err(Failure::of(ErrorCode::UnknownClient));
        };
        let user = identity.user;
        let rule = self.gate.format_rule(user, identity.entry);
        if rule.must_use() && tells_more_than_answers(request) {
            (record.name, record.train) = match *request {
                Request::Load { name }
                | Request::LoadAdapter { name }
                | Request::ExportAdapter { name } => (name, record.train),
                Request::FineTune { params, data, .. } => (data, params),
                Request::Log(query) => (model_name(&query.user), record.train),
                _ => (record.name, record.train),
            };
            return Err(Failure::of(ErrorCode::FormatNeeded));
        }
        match *request {
            Request::Infer {
                params,
                session,
                adapter,
                format,
                parts,
            } => {
                record.prompt_bytes = u32::try_from(parts.as_bytes().len()).unwrap_or(u32::MAX);
                record.params = params;
                record.format = format;
                let names = (session, adapter, format);
                self.infer(client, id, params, names, (rule, parts), now)
            }
            // Cancels were handled above.
            Request::Cancel => Ok(()),
            Request::Models => {
                self.gate.access.require(user, Permission::Infer)?;
                self.models.store().models().map(|_| ())?;
                self.want_list_of_disk();
                self.list(client, id, ListKind::Models { next: 0 })
            }
            Request::Load { name } => {
                record.name = name;
                self.load(client, id, name, now)
            }
            Request::Status => self.ask_for_status(client, id, now),
            Request::Stats { watch } => {
                self.gate.access.require(user, Permission::Infer)?;
                if watch {
                    return self.list(client, id, ListKind::Watch { due: true });
                }
                let stats = self.stats_now(client, now);
                self.clients.tell(client, id, &Event::Stats(stats));
                Ok(())
            }
            Request::Login { user, passphrase } => {
                if !identity.may_log_in {
                    return Err(Failure::of(ErrorCode::NoLogin));
                }
                let known = self.gate.access.find(&user);
                if known.is_some_and(|user| self.clients.is_of_another(client, user)) {
                    return Err(Failure::of(ErrorCode::ClientsUser));
                }
                self.log_in(client, id, user, passphrase, now);
                Ok(())
            }
            Request::Logout => {
                self.log_out(client, id, now);
                Ok(())
            }
            Request::WhoAmI => {
                let user = self.gate.describe(user);
                self.clients.tell(client, id, &Event::User(user));
                Ok(())
            }
            Request::Users => {
                // The users that this client could log in as.
                if !identity.may_log_in {
                    return Err(Failure::of(ErrorCode::NoLogin));
                }
                self.list(client, id, ListKind::Users { next: 0 })
            }
            Request::Budget { user, change } => {
                record.name = model_name(&user);
                self.budget(client, id, &user, change, now)
            }
            Request::Log(query) => {
                record.name = model_name(&query.user);
                self.gate.access.require(user, Permission::Log)?;
                if !query.user.is_empty() && self.gate.access.find(&query.user).is_none() {
                    return Err(Failure::of(ErrorCode::NoSuchUser));
                }
                let reading = self.reading(&query);
                self.list(client, id, ListKind::Log(reading))
            }
            Request::VerifyLog => {
                self.gate.access.require(user, Permission::Log)?;
                let verification = Verification::new(&self.ledger.log);
                self.list(client, id, ListKind::Verify(verification))
            }
            Request::Attest { nonce } => self.attest(client, id, nonce),
            Request::Reset => self.reset(client, id, now, port),
            Request::Halt => self.halt(client, id, now),
            Request::Sessions => {
                self.gate.access.require(user, Permission::Infer)?;
                let all = self.gate.access.require(user, Permission::Budget).is_ok();
                let owner = (!all).then_some(Owner { client, user });
                self.list(client, id, ListKind::Sessions { next: 0, owner })
            }
            Request::Close { session } => {
                record.name = model_name(&session);
                self.close(client, id, session, now)
            }
            Request::FineTune {
                params,
                data,
                adapter,
            } => {
                record.name = data;
                record.train = params;
                let result = self.fine_tune(client, id, params, (data, adapter), now);
                if let Err(failure) = &result
                    && failure.code == ErrorCode::AdapterExists
                    && !adapter.is_empty()
                {
                    record.name = adapter;
                }
                result
            }
            Request::Example { text } => {
                record.prompt_bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
                self.add_example(client, id, text, now)
            }
            Request::DropExamples => self.drop_examples(client, id, now),
            Request::Adapters => {
                self.gate.access.require(user, Permission::Infer)?;
                self.want_list_of_disk();
                self.list(client, id, ListKind::Adapters { next: 0 })
            }
            Request::LoadAdapter { name } => {
                record.name = name;
                self.load_adapter(client, id, name, now)
            }
            Request::DropAdapter { name } => {
                record.name = name;
                self.drop_adapter(client, id, name, now)
            }
            Request::ExportAdapter { name } => {
                record.name = name;
                self.export(client, id, name, now)
            }
            Request::Formats => {
                self.gate.access.require(user, Permission::Infer)?;
                self.list(client, id, ListKind::Formats { next: 0, rule })
            }
        }
    }

    // ---- Checks -------------------------------------------------------------------------------

    /// Checks a request's number: 0 means no request, and reusing a number in flight would mix up two answers.
    pub(super) fn require_new(&self, client: usize, id: u32) -> Result<(), Failure> {
        let of_client = Origin::Client { client, id };
        let lists = self.clients.get(client).map(|peer| &peer.lists);
        let used = self.table.iter().any(|entry| entry.origin == of_client)
            || lists.is_some_and(|lists| lists.contains(id));
        match used || id == 0 {
            true => Err(Failure::over(ErrorCode::NoSuchRequest, u64::from(id), 0)),
            false => Ok(()),
        }
    }

    /// Checks that the client may have another request. Audit's own load has a place that no client can take.
    pub(super) fn require_place(&self, client: usize) -> Result<(), Failure> {
        let identity = self.clients.get(client).and_then(|peer| peer.identity);
        let places = identity.map_or(0, |identity| identity.requests);
        let of_client = |entry: &&InFlight<'_>| entry.client() == Some(client);
        let taken = count(self.table.iter().filter(of_client));
        match taken < places {
            true => Ok(()),
            false => Err(Failure::over(
                ErrorCode::TooManyRequests,
                taken as u64,
                places as u64,
            )),
        }
    }

    /// Checks that inference has room for another message of the client.
    pub(super) fn require_room(&mut self, client: usize) -> Result<(), Failure> {
        let identity = self.clients.get(client).and_then(|peer| peer.identity);
        let places = identity.map_or(0, |identity| identity.commands);
        self.link.require_room(client, places)
    }

    // ---- Answers ------------------------------------------------------------------------------

    /// Sends a failure. There is room, because a request is read only if there is.
    pub(super) fn tell_failure(&mut self, client: usize, id: u32, failure: Failure) {
        let detail = &[];
        self.clients
            .tell(client, id, &Event::Failed { failure, detail });
    }

    /// Refuses a request before inference sees it. This costs the user nothing.
    pub(super) fn refuse(
        &mut self,
        client: usize,
        id: u32,
        failure: Failure,
        record: Record,
        now: u64,
    ) {
        let user = self.clients.user(client);
        let about = match failure.code {
            ErrorCode::NotPermitted => model_name(&self.gate.access.name(user)),
            _ => record.name,
        };
        match failure.code {
            // The client has no user, so no share of the log to use.
            ErrorCode::UnknownClient => {
                self.ledger.count_refusal(failure.code);
                self.count_violation(client, now);
            }
            _ => self
                .ledger
                .record_refusal(user, failure, record, &mut self.work, now),
        }
        let detail = about.as_str().as_bytes();
        self.clients
            .tell(client, id, &Event::Failed { failure, detail });
    }

    // ---- Questions ----------------------------------------------------------------------------

    fn ask_for_status(&mut self, client: usize, id: u32, now: u64) -> Result<(), Failure> {
        let user = self.clients.user(client);
        self.gate.access.require(user, Permission::Infer)?;
        self.link.require_running(self.gate.policy())?;
        self.require_new(client, id)?;
        self.require_place(client)?;
        self.require_room(client)?;
        let share = QUESTION_ENTRIES.saturating_mul(ENTRY);
        self.ledger.take_share(user, share, now)?;
        let number = self.table.next_number();
        // There is room, as checked above.
        self.link
            .send(Some(client), number, &engine::Command::Status);
        self.table.enter(InFlight {
            origin: Origin::Client { client, id },
            user,
            number,
            work: Work::Status,
            state: State::Active,
            share,
            end_bytes: 0,
            admitted_us: now,
            deadline_us: now.saturating_add(CONTROL_DEADLINE_US),
        });
        Ok(())
    }
}
