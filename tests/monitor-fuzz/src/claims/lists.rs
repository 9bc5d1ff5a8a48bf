//! Lists: answers with several events.

mod entries;

use super::*;
use crate::model::{List, ListKind};
use crate::store::{DEVICE, key};
use ed25519_dalek::Signature as Signed25519;
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::name::Nonce;
use protocol::policy::{DeviceKey, Permission};
use protocol::wire::client::{Event, LogExtent, Request};
use sha2::{Digest as _, Sha256};

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

    /// The device signs the current head of its log together with the request's nonce.
    pub(super) fn attests(
        &mut self,
        client: usize,
        id: u32,
        nonce: Nonce,
    ) -> Held<Result<(), Failure>> {
        if let Err(failure) = self.require(client, Permission::Log) {
            return Ok(Err(failure));
        }
        let key_of = self.model.policy.map_or(DeviceKey::NONE, |p| p.device_key);
        if key_of == DeviceKey::NONE {
            return Ok(Err(Failure::of(ErrorCode::NoDeviceKey)));
        }
        let extent = self.extent_now();
        let message = self.answer(client, id)?;
        let frame = message.frame();
        let event = Event::parse(&frame);
        let Ok(Event::Attested(told)) = event else {
            return broken(Claim::Answers, format!("{event:?} attests nothing"));
        };
        // Signing is work enough for a wake-up.
        self.work = 0;
        let digest: Hash = Sha256::digest(told.statement()).into();
        let signature = Signed25519::from_bytes(&told.signature);
        let is_good = key(DEVICE)
            .verifying_key()
            .verify_strict(&digest, &signature);
        let right = told.nonce == nonce
            && (told.sequence + 1, told.head, told.boot) == (extent.next, extent.head, 0)
            && is_good.is_ok();
        claim!(self, Lists, right, "{told:?} of {extent:?}");
        Ok(Ok(()))
    }

    pub(super) fn begins_list(
        &mut self,
        client: usize,
        id: u32,
        request: &Request<'_>,
    ) -> Result<(), Failure> {
        let user = self.model.clients[client].user();
        let kind = match *request {
            Request::Models => {
                self.require(client, Permission::Infer)?;
                if self.model.store.is_none() {
                    let bytes = self.model.store_bytes;
                    return Err(Failure::over(ErrorCode::BadStore, bytes, 0));
                }
                ListKind::Models
            }
            Request::Adapters => {
                self.require(client, Permission::Infer)?;
                ListKind::Adapters
            }
            Request::Formats => {
                self.require(client, Permission::Infer)?;
                ListKind::Formats(self.rules(client))
            }
            Request::Users => ListKind::Users,
            Request::Sessions => {
                self.require(client, Permission::Infer)?;
                let all = self.require(client, Permission::Budget).is_ok();
                ListKind::Sessions((!all).then_some(user))
            }
            Request::Stats { .. } => {
                self.require(client, Permission::Infer)?;
                ListKind::Watch(true)
            }
            Request::Log(query) => {
                self.require(client, Permission::Log)?;
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
                self.require(client, Permission::Log)?;
                ListKind::Verify(self.extent_now())
            }
        };
        self.list_begins(client, id, kind)
    }

    pub(super) fn list_begins(
        &mut self,
        client: usize,
        id: u32,
        kind: ListKind,
    ) -> Result<(), Failure> {
        self.require_new(client, id)?;
        let lists = &mut self.model.clients[client].lists;
        if lists.len() == LISTS {
            let limit = LISTS as u64;
            return Err(Failure::over(ErrorCode::Busy, limit, limit));
        }
        lists.push(List {
            id,
            kind,
            sent: 0,
            began: self.figures.wakes,
        });
        Ok(())
    }

    /// All lists of a client must end now.
    pub(super) fn lists_end(&mut self, client: usize) -> Held {
        while !self.model.clients[client].lists.is_empty() {
            let id = match self.seen.front() {
                Some(Seen::Sent(Ring::Client(of), message)) if *of == client => message.request,
                other => {
                    return broken(
                        Claim::Lists,
                        format!("a list must end, but next comes {other:?}"),
                    );
                }
            };
            let lists = &mut self.model.clients[client].lists;
            let Some(at) = lists.iter().position(|list| list.id == id) else {
                return broken(
                    Claim::Lists,
                    format!("{id} of client {client} is not a list"),
                );
            };
            let list = lists.swap_remove(at);
            self.list_ends(client, list)?;
        }
        Ok(())
    }

    /// A list must end early.
    pub(super) fn list_ends(&mut self, client: usize, list: List) -> Held {
        let message = self.answer(client, list.id).map_err(|broken| Broken {
            claim: Claim::Lists,
            ..broken
        })?;
        let frame = message.frame();
        let told = Event::parse(&frame);
        let right = match (&list.kind, &told) {
            (
                ListKind::Models
                | ListKind::Adapters
                | ListKind::Formats(_)
                | ListKind::Users
                | ListKind::Sessions(_),
                Ok(Event::Listed { count }),
            ) => *count == list.sent,
            (ListKind::Log { sent, .. }, Ok(Event::LogEnd(extent))) => {
                self.is_sent(sent.as_ref(), extent)
            }
            (ListKind::Verify(_) | ListKind::Watch(_) | ListKind::Export(..), Ok(Event::Done)) => {
                true
            }
            _ => false,
        };
        claim!(self, Lists, right, "{told:?} at the end of {list:?}");
        Ok(())
    }

    /// Whether this is the range of the log that was sent; if nothing was, where it would have begun.
    fn is_sent(&self, sent: Option<&LogExtent>, told: &LogExtent) -> bool {
        match sent {
            Some(sent) => sent == told,
            None => {
                let now = self.extent_now();
                let LogExtent { next, head, .. } = now;
                *told
                    == LogExtent {
                        first: next,
                        anchor: head,
                        ..now
                    }
            }
        }
    }

    /// Audit sends a client an event of a list, if its ring has room.
    pub(super) fn list_goes_on(&mut self, client: usize, id: u32, event: &Event<'_>) -> Held {
        let lists = &mut self.model.clients[client].lists;
        let Some(at) = lists.iter().position(|list| list.id == id) else {
            return broken(
                Claim::Answers,
                format!("{id} of client {client} is told {event:?}, but has asked nothing"),
            );
        };
        let mut list = lists.swap_remove(at);
        // Audit looked at the room before it sent this event.
        let room = self.room(client) + 1;
        claim!(
            self,
            Flow,
            room > LISTS_LEAVE,
            "{event:?} of a list with {room} slots free"
        );
        if !self.of_list(client, &mut list, event)? {
            self.model.clients[client].lists.push(list);
        }
        Ok(())
    }
}
