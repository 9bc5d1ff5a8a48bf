//! Sessions, as far as clients may rely on them.

use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::limits::{MAX_CLIENTS, MAX_SESSIONS};
use protocol::name::SessionName;
use std::collections::{BTreeMap, VecDeque};

/// A conversation.
#[derive(Clone, Debug)]
pub struct ExpectedSession {
    /// Its client.
    pub client: usize,
    /// Its user.
    pub user: usize,
    /// Its name; empty for a single request.
    pub name: SessionName,
    /// Its number in the log.
    pub number: u32,
    /// Number of turns admitted.
    pub turns: u32,
    /// Tokens of its turns.
    pub tokens: u64,
    /// When it was last used.
    pub last_us: u64,
    /// Whether a request is in flight.
    pub active: bool,
    /// The adapter of its first turn: place and hash.
    pub adapter: Option<(u32, Hash)>,
}

/// All sessions.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    /// Existing sessions, by slot.
    pub present: BTreeMap<u32, ExpectedSession>,
    /// Sessions that ended without their users' doing, oldest first, and why.
    pub gone: VecDeque<(ExpectedSession, ErrorCode)>,
    /// The newest number.
    pub last_number: u32,
}

/// The place for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the existing session with this slot.
    On(u32),
    /// In a free slot.
    Free,
    /// In the slot of one of these sessions, which are equally old.
    InsteadOf(Vec<u32>),
}

/// Owner of a session: client and user.
pub type Owner = (usize, usize);

/// Number of ended sessions that are remembered for each client, whatever the others do.
const REMEMBERED: usize = MAX_SESSIONS / MAX_CLIENTS;

impl ExpectedSession {
    /// Its owner.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        (self.client, self.user)
    }
}

impl Sessions {
    fn slot_of(&self, owner: Owner, name: SessionName) -> Option<u32> {
        let mut found = self.present.iter();
        let found = found.find(|(_, s)| s.owner() == owner && s.name == name && !name.is_empty());
        found.map(|(slot, _)| *slot)
    }

    fn gone_at(&self, owner: Owner, name: SessionName) -> Option<usize> {
        let of_name = |(s, _): &(ExpectedSession, ErrorCode)| s.owner() == owner && s.name == name;
        self.gone.iter().position(of_name)
    }

    fn oldest_idle(&self, is: impl Fn(&ExpectedSession) -> bool) -> Vec<u32> {
        let idle = |s: &ExpectedSession| !s.active && is(s);
        let of_age = self.present.values().filter(|s| idle(s));
        let oldest = of_age.map(|s| s.last_us).min();
        let oldest = self
            .present
            .iter()
            .filter(|(_, s)| idle(s) && Some(s.last_us) == oldest);
        oldest.map(|(slot, _)| *slot).collect()
    }

    /// The place of a turn, for a user and a client with these limits. A user who comes back to a session that has
    /// ended is told so once; then it is forgotten.
    ///
    /// # Errors
    /// There is no place, for this reason.
    pub fn place(
        &mut self,
        owner: Owner,
        name: SessionName,
        of_user: usize,
        of_client: usize,
    ) -> Result<Place, Failure> {
        if let Some(slot) = self.slot_of(owner, name) {
            return match self.present[&slot].active {
                true => Err(Failure::of(ErrorCode::SessionBusy)),
                false => Ok(Place::On(slot)),
            };
        }
        if !name.is_empty()
            && let Some(at) = self.gone_at(owner, name)
            && let Some((session, why)) = self.gone.remove(at)
        {
            return Err(Failure::over(why, u64::from(session.turns), 0));
        }
        let full =
            |code, has: usize, limit: usize| Err(Failure::over(code, has as u64, limit as u64));
        let (client, user) = owner;
        let users = self.present.values().filter(|s| s.user == user).count();
        if users >= of_user {
            let instead = self.oldest_idle(|s| s.owner() == owner);
            return match instead.is_empty() {
                false => Ok(Place::InsteadOf(instead)),
                true => full(ErrorCode::TooManySessions, users, of_user),
            };
        }
        let clients = self.present.values().filter(|s| s.client == client).count();
        if clients < of_client {
            return Ok(Place::Free);
        }
        let instead = self.oldest_idle(|s| s.client == client);
        match instead.is_empty() {
            false => Ok(Place::InsteadOf(instead)),
            true => full(ErrorCode::TooManyRequests, clients, of_client),
        }
    }

    /// A turn begins in `slot`. Returns the session's number and turn.
    pub fn begin(
        &mut self,
        slot: u32,
        owner: Owner,
        name: SessionName,
        adapter: Option<(u32, Hash)>,
        now: u64,
    ) -> (u32, u32) {
        let next = self.last_number + 1;
        let session = self.present.entry(slot).or_insert_with(|| ExpectedSession {
            client: owner.0,
            user: owner.1,
            name,
            number: next,
            turns: 0,
            tokens: 0,
            last_us: now,
            active: true,
            adapter,
        });
        session.turns += 1;
        (session.active, session.last_us) = (true, now);
        self.last_number = self.last_number.max(session.number);
        (session.number, session.turns)
    }

    /// A turn has ended normally.
    pub fn rest(&mut self, slot: u32, tokens: u64, now: u64) {
        if let Some(session) = self.present.get_mut(&slot) {
            session.active = false;
            session.tokens += tokens;
            session.last_us = now;
            if session.name.is_empty() {
                self.present.remove(&slot);
            }
        }
    }

    /// A session is over. If it has a name, it is remembered, and the oldest of its client is forgotten for it; if its
    /// client has few, that of the client with the most.
    pub fn end(&mut self, slot: u32, why: ErrorCode) -> Option<ExpectedSession> {
        let session = self.present.remove(&slot)?;
        if !session.name.is_empty() {
            if self.gone.len() == MAX_SESSIONS {
                let has = |client| self.gone.iter().filter(|(s, _)| s.client == client).count();
                let from = match has(session.client) < REMEMBERED {
                    true => (0..MAX_CLIENTS).max_by_key(|client| has(*client)),
                    false => Some(session.client),
                };
                let oldest = self.gone.iter().position(|(s, _)| Some(s.client) == from);
                oldest.and_then(|at| self.gone.remove(at));
            }
            self.gone.push_back((session.clone(), why));
        }
        Some(session)
    }

    /// An adapter is gone, and with it the idle sessions that began with it.
    pub fn end_with(&mut self, place: u32) {
        for slot in 0..MAX_SESSIONS as u32 {
            let idle = self.present.get(&slot).filter(|session| !session.active);
            if idle.is_some_and(|it| it.adapter.is_some_and(|(used, _)| used == place)) {
                self.end(slot, ErrorCode::SessionLost);
            }
        }
    }

    /// All sessions are over.
    pub fn end_all(&mut self) {
        for slot in 0..MAX_SESSIONS as u32 {
            self.end(slot, ErrorCode::SessionLost);
        }
    }

    /// Its user closes it. Returns its slot and number.
    ///
    /// # Errors
    /// There is no such session, or it is busy.
    pub fn close(
        &mut self,
        owner: Owner,
        name: SessionName,
    ) -> Result<(Option<u32>, u32), Failure> {
        if let Some(slot) = self.slot_of(owner, name) {
            if self.present[&slot].active {
                return Err(Failure::of(ErrorCode::SessionBusy));
            }
            let session = self.present.remove(&slot);
            return Ok((Some(slot), session.map_or(0, |s| s.number)));
        }
        let gone = self.gone_at(owner, name).filter(|_| !name.is_empty());
        match gone.and_then(|at| self.gone.remove(at)) {
            Some((session, _)) => Ok((None, session.number)),
            None => Err(Failure::of(ErrorCode::NoSuchSession)),
        }
    }
}
