//! Entries of a list.

use crate::claims::*;
use crate::model::{ExpectedSession, List, ListKind, Made};
use crate::store::{DEVICE, Signed, key};
use ed25519_dalek::Signature as Signed25519;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_PART_BYTES;
use protocol::wire::client::{
    self, Event, FormatEntry, LogExtent, LogQuery, SessionState, Signature,
};

impl<'m> Judge<'m> {
    /// Checks an event of a list. Returns whether it was the last.
    pub(super) fn of_list(
        &mut self,
        client: usize,
        list: &mut List,
        event: &Event<'_>,
    ) -> Held<bool> {
        let place = list.sent as usize;
        let policy = self.model.policy.ok();
        let store = self.model.store.unwrap_or(&[]);
        let over = match (&mut list.kind, event) {
            (ListKind::Models, Event::Model(entry)) => {
                let right = store.get(place).is_some_and(|file| {
                    entry.name == file.name
                        && entry.file_bytes == file.bytes
                        && entry.loaded == (self.model.current == Some(place))
                        && entry.signature == self.signature(place)
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
            (ListKind::Adapters, Event::Adapter(entry)) => {
                let expected = self.adapter_in_list(place);
                claim!(
                    self,
                    Lists,
                    expected == Some(*entry),
                    "{entry:?} in place {place}, not {expected:?}"
                );
                false
            }
            (ListKind::Adapters, Event::Listed { count }) => {
                let all = self.model.made.len() + self.model.adapters.len();
                claim!(
                    self,
                    Lists,
                    *count == list.sent && place >= all,
                    "{count} adapters, {place} were sent, of {all}"
                );
                true
            }
            (ListKind::Formats(rules), Event::Format(entry)) => {
                let expected = self.model.formats.get(place).map(|listed| FormatEntry {
                    allowed: rules.iter().all(|rule| rule.allows(place)),
                    ..*listed
                });
                claim!(
                    self,
                    Lists,
                    expected == Some(*entry),
                    "{entry:?} in place {place}, not {expected:?}"
                );
                false
            }
            (ListKind::Formats(_), Event::Listed { count }) => {
                claim!(
                    self,
                    Lists,
                    *count == list.sent && place == self.model.formats.len(),
                    "{count} formats, {place} were sent"
                );
                true
            }
            (ListKind::Export(id, sent), event) => {
                let made = self.model.made.iter().find(|made| made.id == *id).cloned();
                return self.is_exported(made.as_ref(), sent, event);
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
                let right = self.is_session(client, *user, session);
                claim!(self, Lists, right, "{session:?}, for {user:?}");
                false
            }
            (ListKind::Sessions(user), Event::Listed { count }) => {
                let owner = user.map(|user| (client, user));
                let sessions = &self.model.sessions;
                let gone = sessions.gone.iter().map(|(session, _)| session);
                let all = sessions.present.values().chain(gone);
                let all = all.filter(|s| owner.is_none_or(|owner| s.owner() == owner));
                // A list that takes several wake-ups may miss sessions and have others twice.
                let whole = list.began < self.figures.wakes || place == all.count();
                claim!(
                    self,
                    Lists,
                    *count == list.sent && whole,
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
                self.stats(client, stats)?;
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

    /// An event of an export: a part of the file, as the egress cap allows, or the end with a valid signature.
    fn is_exported(
        &mut self,
        made: Option<&Made>,
        sent: &mut u64,
        event: &Event<'_>,
    ) -> Held<bool> {
        let burst = self.model.policy.map_or(0, |p| p.egress_burst_bytes) as usize;
        let most = (burst - 8).min(MAX_PART_BYTES) / 8 * 8;
        let (right, over) = match (made, event) {
            (None, Event::Failed { failure, .. }) => {
                (*failure == Failure::of(ErrorCode::NoSuchAdapter), true)
            }
            (Some(made), Event::AdapterPart { offset, bytes }) => {
                let left = &made.file[*sent as usize..];
                let part = &left[..left.len().min(most)];
                let within = self.model.bucket.take(part.len() as u64 + 8, self.now);
                claim!(
                    self,
                    Egress,
                    within,
                    "{} bytes of an adapter leave, more than burst and rate allow",
                    part.len()
                );
                let is_next = offset == sent && *bytes == part && !part.is_empty();
                *sent += part.len() as u64;
                self.works(part.len());
                (is_next, false)
            }
            (Some(made), Event::Exported(told)) => {
                self.figures.exported += 1;
                let public = key(DEVICE).verifying_key();
                let signature = Signed25519::from_bytes(&told.signature);
                let is_good = public.verify_strict(&made.sha256(), &signature).is_ok();
                let all = *sent == made.file.len() as u64
                    && told.file_bytes == *sent
                    && told.name == made.name
                    && (told.sha256, told.base_sha256) == (made.sha256(), made.base);
                (all && is_good, true)
            }
            _ => (false, false),
        };
        claim!(self, Lists, right, "{event:?} at {sent} of {made:?}");
        Ok(over)
    }

    /// What audit knows about a model's signature.
    pub(super) fn signature(&self, model: usize) -> Signature {
        let signed = self.model.store.map(|store| store[model].signed);
        let offset = self.model.store.map_or(0, |store| store[model].offset);
        let is_known = self.model.verdicts.contains(&offset);
        match signed {
            None | Some(Signed::Missing) => Signature::Missing,
            Some(_) if !is_known => Signature::Unchecked,
            Some(Signed::Well) => Signature::Good,
            Some(Signed::Badly) => Signature::Bad,
        }
    }

    /// Whether a session was described correctly, and this client may see it.
    fn is_session(&self, client: usize, user: Option<usize>, told: &client::SessionEntry) -> bool {
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
        let may_see = |s: &ExpectedSession| user.is_none_or(|user| s.owner() == (client, user));
        present.chain(gone).any(|(s, state)| {
            may_see(s)
                && (told.name, told.number, told.turns) == (s.name, s.number, s.turns)
                && (told.tokens, told.state) == (s.tokens, state)
                && told.user == self.model.user_name(s.user)
                && told.idle_us == self.now.saturating_sub(s.last_us)
        })
    }
}
