//! Lists and what else audit tells without being asked at that moment.

use super::*;
use crate::model::{List, ListKind, Live, Notices, Phase, Work};
use crate::world::{Message, Ring, Seen};
use protocol::error::{ErrorCode, Failure};
use protocol::policy::Permission;
use protocol::wire::client::{Event, LogExtent, LogQuery, Request, Session, SessionState};

impl<'m> Judge<'m> {
    pub(super) fn extent_now(&self) -> LogExtent {
        let head = self
            .explained
            .checked_sub(1)
            .map_or([0; 32], |at| self.history[at].hash);
        LogExtent {
            first: 0,
            next: self.explained as u64 + 1,
            anchor: [0; 32],
            head,
        }
    }

    pub(super) fn begins_list(&mut self, id: u32, request: &Request<'_>) -> Result<(), Failure> {
        let kind = match *request {
            Request::Models => {
                self.require(Permission::Infer)?;
                if self.model.store.is_none() {
                    let bytes = self.model.store_bytes;
                    return Err(Failure::over(ErrorCode::BadStore, bytes, 0));
                }
                ListKind::Models
            }
            Request::Users => ListKind::Users,
            Request::Sessions => {
                self.require(Permission::Infer)?;
                let all = self.require(Permission::Budget).is_ok();
                ListKind::Sessions((!all).then_some(self.model.user))
            }
            Request::Stats { .. } => {
                self.require(Permission::Infer)?;
                ListKind::Watch(true)
            }
            Request::Log(query) => {
                self.require(Permission::Log)?;
                if !query.user.is_empty() && self.model.find_user(query.user).is_none() {
                    return Err(Failure::of(ErrorCode::NoSuchUser));
                }
                let until = self.explained as u64 + 1;
                let next = match query.last {
                    0 => 1,
                    last => until.saturating_sub(last).max(1),
                };
                ListKind::Log {
                    query,
                    until,
                    next,
                    sent: None,
                }
            }
            _ => {
                self.require(Permission::Log)?;
                ListKind::Verify(self.extent_now())
            }
        };
        self.require_new(id)?;
        if self.model.lists.len() == LISTS {
            let limit = LISTS as u64;
            return Err(Failure::over(ErrorCode::Busy, limit, limit));
        }
        self.model.lists.push(List { id, kind, sent: 0 });
        Ok(())
    }

    /// All lists must end now.
    pub(super) fn lists_end(&mut self) -> Held {
        while !self.model.lists.is_empty() {
            let id = match self.seen.front() {
                Some(Seen::Sent(Ring::Client, message)) => message.request,
                _ if self.free[0] == 0 => {
                    self.model.lists.clear();
                    return Ok(());
                }
                other => return broken(Claim::Lists, format!("a list must end, and {other:?}")),
            };
            let Some(at) = self.model.lists.iter().position(|list| list.id == id) else {
                return broken(Claim::Lists, format!("{id} is no list"));
            };
            let list = self.model.lists.swap_remove(at);
            self.list_ends(list)?;
        }
        Ok(())
    }

    /// A list must end now, before its end.
    pub(super) fn list_ends(&mut self, list: List) -> Held {
        let Some(message) = self.answer(list.id).map_err(|broken| Broken {
            claim: Claim::Lists,
            ..broken
        })?
        else {
            return Ok(());
        };
        let frame = message.frame();
        let told = Event::parse(&frame);
        let right = match (&list.kind, &told) {
            (
                ListKind::Models | ListKind::Users | ListKind::Sessions(_),
                Ok(Event::Listed { count }),
            ) => *count == list.sent,
            (ListKind::Log { sent, .. }, Ok(Event::LogEnd(extent))) => {
                self.is_sent(sent.as_ref(), extent)
            }
            (ListKind::Verify(_) | ListKind::Watch(_), Ok(Event::Done)) => true,
            _ => false,
        };
        claim!(self, Lists, right, "{told:?} at the end of {list:?}");
        Ok(())
    }

    pub(super) fn is_sent(&self, sent: Option<&LogExtent>, told: &LogExtent) -> bool {
        match sent {
            Some(sent) => sent == told,
            None => {
                // Where it would have begun: after what there is, of which audit may have written some on its own.
                let written = self.explained as u64 + 1..=self.history.len() as u64 + 1;
                let head = told
                    .next
                    .checked_sub(2)
                    .map(|at| self.history.get(at as usize));
                written.contains(&told.next)
                    && (told.first, told.anchor) == (told.next, told.head)
                    && head.flatten().is_some_and(|last| last.hash == told.head)
            }
        }
    }

    /// Something that audit tells on its own.
    pub(super) fn told(&mut self, message: &Message) -> Held {
        let id = message.request;
        let frame = message.frame();
        let Ok(event) = Event::parse(&frame) else {
            return broken(Claim::Answers, format!("{message:?} is no event"));
        };
        self.figures.comparisons += 1;
        // What it has looked for was there before this event.
        let room = self.free[0] + 1 > RESERVE;
        if id == 0 {
            self.own_verification_may_be_refused()?;
        }
        let blocked = self.model.notices.fault.is_some();
        let waits = self.model.owed.iter().any(|owed| owed.id.is_some());
        let Notices {
            fault,
            load_failed,
            exhausted,
            recovered,
            ready,
        } = &mut self.model.notices;
        match event {
            Event::Fault(told) if id == 0 && *fault == Some(told) => {
                *fault = None;
                return Ok(());
            }
            Event::Progress(_) => {
                let booting = id == 0 && self.model.phase == Phase::Booting;
                let loads = |live: &Live| {
                    live.id == Some(id) && matches!(live.work, Work::Load(_) | Work::Verify(_))
                };
                if room && (booting || self.model.live.values().any(loads)) {
                    return Ok(());
                }
            }
            _ if blocked => {}
            Event::Failed { failure, .. } if id == 0 && !waits && *load_failed == Some(failure) => {
                *load_failed = None;
                return Ok(());
            }
            Event::Failed { failure, .. } if id == 0 && !waits && *exhausted == Some(failure) => {
                *exhausted = None;
                return Ok(());
            }
            Event::Recovered { after_us, restarts }
                if !waits && *recovered == Some((after_us, restarts)) =>
            {
                *recovered = None;
                return Ok(());
            }
            Event::Ready(user) if id == 0 && !waits && *ready => {
                *ready = false;
                let now = self.user_now();
                claim!(
                    self,
                    Answers,
                    user == now,
                    "ready for {user:?}, who is {now:?}"
                );
                return Ok(());
            }
            Event::Failed { failure, detail } if id != 0 => {
                self.verification_may_be_refused(Some((id, failure)))?;
                if let Some(at) = self.model.owed.iter().position(|owed| owed.id == Some(id)) {
                    let owed = self.model.owed.swap_remove(at);
                    if let Some(share) = self.model.shares.get_mut(owed.user) {
                        share.give_back(owed.share);
                        self.gave_back |= owed.share > 0;
                    }
                    claim!(
                        self,
                        Answers,
                        room && failure == owed.failure && detail == owed.name.as_str().as_bytes(),
                        "{failure:?} for {owed:?}, {} slots free",
                        self.free[0]
                    );
                    return Ok(());
                }
            }
            _ => {}
        }
        let Some(at) = self.model.lists.iter().position(|list| list.id == id) else {
            return broken(
                Claim::Answers,
                format!("{id} is told {event:?}, and asked nothing"),
            );
        };
        claim!(
            self,
            Flow,
            room,
            "{event:?} with {} slots free",
            self.free[0]
        );
        let mut list = self.model.lists.swap_remove(at);
        if !self.of_list(&mut list, &event)? {
            self.model.lists.push(list);
        }
        Ok(())
    }

    /// An event of a list; whether it was the last.
    pub(super) fn of_list(&mut self, list: &mut List, event: &Event<'_>) -> Held<bool> {
        let place = list.sent as usize;
        let policy = self.model.policy.ok();
        let store = self.model.store.unwrap_or(&[]);
        let over = match (&mut list.kind, event) {
            (ListKind::Models, Event::Model(entry)) => {
                let right = store.get(place).is_some_and(|file| {
                    entry.name == file.name
                        && entry.file_bytes == file.bytes
                        && entry.loaded == (self.model.current == Some(place))
                });
                claim!(self, Lists, right, "{entry:?} in place {place}");
                false
            }
            (ListKind::Models, Event::Listed { count }) => {
                claim!(
                    self,
                    Lists,
                    *count == list.sent && place == store.len(),
                    "{count} models, {place} were sent, of {}",
                    store.len()
                );
                true
            }
            (ListKind::Users, Event::User(user)) => {
                let of_policy = policy.and_then(|policy| {
                    let user = policy.users().get(place)?;
                    Some(self.describe(user, policy.roles().get(user.role as usize)?))
                });
                claim!(
                    self,
                    Lists,
                    of_policy == Some(*user),
                    "{user:?} in place {place}"
                );
                false
            }
            (ListKind::Users, Event::Listed { count }) => {
                let users = policy.map_or(0, |policy| policy.users().len());
                claim!(
                    self,
                    Lists,
                    *count == list.sent && place == users,
                    "{count} users, {place} were sent, of {users}"
                );
                true
            }
            (ListKind::Sessions(user), Event::Session(session)) => {
                let right = self.is_session(*user, session);
                claim!(self, Lists, right, "{session:?}, for {user:?}");
                false
            }
            (ListKind::Sessions(_), Event::Listed { count }) => {
                claim!(
                    self,
                    Lists,
                    *count == list.sent,
                    "{count} sessions of {place}"
                );
                true
            }
            (ListKind::Watch(due), Event::Stats(stats)) => {
                claim!(
                    self,
                    Lists,
                    std::mem::take(due),
                    "counters twice in a second"
                );
                self.stats(stats)?;
                false
            }
            (
                ListKind::Verify(extent),
                Event::LogVerified {
                    extent: told,
                    broken_at,
                },
            ) => {
                let right = *broken_at == 0
                    && (told.next, told.head) == (extent.next, extent.head)
                    && told.first <= told.next;
                claim!(
                    self,
                    Lists,
                    right,
                    "{told:?}, broken at {broken_at}, of {extent:?}"
                );
                true
            }
            (
                ListKind::Log {
                    query,
                    until,
                    next,
                    sent,
                },
                Event::Record { record, text },
            ) => {
                let sequence = record.sequence;
                let at = sequence as usize;
                let oldest = self.oldest;
                let passed = |s: u64| {
                    s < oldest
                        || !query.user.is_empty() && self.history[s as usize - 1].user != query.user
                };
                let right = sequence >= *next
                    && at <= self.history.len()
                    && (query.follow || sequence < *until)
                    && self.history[at - 1].hash == hash(record, text)
                    && (query.user.is_empty() || record.user == query.user)
                    && (*next..sequence).all(passed);
                claim!(
                    self,
                    Lists,
                    right,
                    "{record:?}, {next} is next of {query:?}"
                );
                let (first, anchor) = sent.map_or((sequence, record.previous), |sent| {
                    (sent.first, sent.anchor)
                });
                *next = sequence + 1;
                *sent = Some(LogExtent {
                    first,
                    next: *next,
                    anchor,
                    head: self.history[at - 1].hash,
                });
                false
            }
            (
                ListKind::Log {
                    query,
                    until,
                    next,
                    sent,
                },
                Event::LogEnd(extent),
            ) => {
                let LogQuery { user, follow, .. } = *query;
                let oldest = self.oldest;
                let passed = |s: u64| {
                    s < oldest || !user.is_empty() && self.history[s as usize - 1].user != user
                };
                let whole = !follow && (*next..*until).all(passed);
                let (sent, until) = (*sent, *until);
                let right = whole && self.is_sent(sent.as_ref(), extent);
                claim!(
                    self,
                    Lists,
                    right,
                    "{extent:?} at the end, of {sent:?} before {until}"
                );
                true
            }
            (kind, event) => return broken(Claim::Lists, format!("{event:?} for {kind:?}")),
        };
        list.sent += 1;
        Ok(over)
    }

    pub(super) fn is_session(&self, user: Option<usize>, told: &Session) -> bool {
        let sessions = &self.model.sessions;
        let state = |active: bool| match active {
            true => SessionState::Active,
            false => SessionState::Idle,
        };
        let present = sessions.present.values().map(|s| (s, state(s.active)));
        let gone = sessions.gone.iter().map(|(s, why)| match why {
            ErrorCode::SessionEvicted => (s, SessionState::Evicted),
            _ => (s, SessionState::Lost),
        });
        present.chain(gone).any(|(s, state)| {
            user.is_none_or(|user| user == s.user)
                && (told.name, told.number, told.turns) == (s.name, s.number, s.turns)
                && (told.tokens, told.state) == (s.tokens, state)
                && told.user == self.model.user_name(s.user)
                && told.idle_us == self.now.saturating_sub(s.last_us)
        })
    }
}
