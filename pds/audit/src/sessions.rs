//! Sessions: the names, owners and turns of the conversations whose keys and values inference holds.
//!
//! Audit assigns the slots; inference fills them. A session that ends without its user's doing is remembered, so a user
//! who comes back to it is told instead of silently starting anew.

use crate::counters::count;
use crate::places::Used;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_CLIENTS, MAX_SESSIONS};
use protocol::name::{SessionName, UserName};
use protocol::wire::client;
use protocol::wire::client::SessionState;

/// Number of ended sessions that are remembered. When there are more, the oldest of a client is forgotten.
const REMEMBERED: usize = MAX_SESSIONS;

/// How many of them are guaranteed to each client, whatever the others do.
const REMEMBERED_OF_CLIENT: usize = REMEMBERED / MAX_CLIENTS;

/// The owner of a session. It is closed to other clients, and to other users at the same client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Place of the client.
    pub(crate) client: usize,
    /// Index of the user that the client was.
    pub(crate) user: usize,
}

/// How many sessions there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Limit for the user, over all clients.
    pub(crate) user: usize,
    /// Limit for the client, over all its users. The limits of all clients add up to no more than [`MAX_SESSIONS`].
    pub(crate) client: usize,
}

/// One session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserSession {
    pub(crate) owner: Owner,
    /// Empty for a single request, whose session ends with it.
    pub(crate) name: SessionName,
    /// Unique since boot.
    pub(crate) number: u32,
    /// Number of turns admitted.
    pub(crate) turns: u32,
    pub(crate) tokens: u64,
    pub(crate) last_us: u64,
    pub(crate) active: bool,
    /// The adapter that it started with.
    pub(crate) adapter: Option<Used>,
}

/// A session that ended without its user's doing.
#[derive(Clone, Copy, Debug)]
struct Gone {
    session: UserSession,
    why: ErrorCode,
}

/// The place that a request was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) slot: usize,
    /// Whether the session begins with this turn.
    pub(crate) fresh: bool,
    /// The session's number, now or once it has begun.
    pub(crate) session: u32,
    /// The number of this turn.
    pub(crate) turn: u32,
}

/// The sessions, and those that are remembered; see the module.
#[derive(Debug)]
pub(crate) struct Sessions {
    slots: [Option<UserSession>; MAX_SESSIONS],
    gone: heapless::Deque<Gone, REMEMBERED>,
    last_number: u32,
}

impl Sessions {
    pub(crate) const fn new() -> Self {
        Self {
            slots: [None; MAX_SESSIONS],
            gone: heapless::Deque::new(),
            last_number: 0,
        }
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&UserSession> {
        self.slots.get(slot)?.as_ref()
    }

    /// Existing sessions and their slots.
    fn present(&self) -> impl Iterator<Item = (usize, &UserSession)> {
        let slots = (0..MAX_SESSIONS).zip(&self.slots);
        slots.filter_map(|(slot, session)| Some((slot, session.as_ref()?)))
    }

    pub(crate) fn count(&self) -> usize {
        count(self.present())
    }

    fn find(&self, owner: Owner, name: SessionName) -> Option<usize> {
        self.present()
            .find(|(_, session)| session.owner == owner && session.name == name)
            .map(|(slot, _)| slot)
    }

    /// The place for a session's next turn, or for a single request if `name` is empty. Nothing is taken yet, so a
    /// refusal further on costs nothing.
    ///
    /// # Errors
    /// The session is busy; or it has ended, which its user is told once; or there are too many.
    pub(crate) fn place(
        &mut self,
        owner: Owner,
        name: SessionName,
        limits: Limits,
    ) -> Result<Place, Failure> {
        if !name.is_empty() {
            if let Some(slot) = self.find(owner, name) {
                return match self.get(slot) {
                    Some(session) if session.active => Err(Failure::of(ErrorCode::SessionBusy)),
                    Some(session) => Ok(Place {
                        slot,
                        fresh: false,
                        session: session.number,
                        turn: session.turns.saturating_add(1),
                    }),
                    // Not reached: `find` has found it.
                    None => Err(Failure::of(ErrorCode::NoSuchSession)),
                };
            }
            if let Some(gone) =
                self.take_gone(|session| session.owner == owner && session.name == name)
            {
                let turns = u64::from(gone.session.turns);
                return Err(Failure::over(gone.why, turns, 0));
            }
        }
        let session = self.next_number();
        let fresh = |slot| {
            Ok(Place {
                slot,
                fresh: true,
                session,
                turn: 1,
            })
        };
        // The oldest idle session of this client is evicted; of this user, if the user has as many as the role allows.
        let of_user = |s: &UserSession| s.owner.user == owner.user;
        let of_client = |s: &UserSession| s.owner.client == owner.client;
        let own = count(self.present().filter(|(_, s)| of_user(s)));
        if own >= limits.user {
            let oldest = self.oldest_idle(|s| s.owner == owner);
            let (own, limit) = (own as u64, limits.user as u64);
            return match oldest {
                Some(slot) => fresh(slot),
                None => Err(Failure::over(ErrorCode::TooManySessions, own, limit)),
            };
        }
        let clients = count(self.present().filter(|(_, s)| of_client(s)));
        let free = self.slots.iter().position(Option::is_none);
        let place = match free.filter(|_| clients < limits.client) {
            Some(free) => Some(free),
            None => self.oldest_idle(of_client),
        };
        let (clients, limit) = (clients as u64, limits.client as u64);
        place.map_or(
            Err(Failure::over(ErrorCode::TooManyRequests, clients, limit)),
            fresh,
        )
    }

    fn oldest_idle(&self, is: impl Fn(&UserSession) -> bool) -> Option<usize> {
        self.present()
            .filter(|(_, session)| !session.active && is(session))
            .min_by_key(|(_, session)| session.last_us)
            .map(|(slot, _)| slot)
    }

    fn next_number(&self) -> u32 {
        self.last_number.wrapping_add(1).max(1)
    }

    /// Takes a place. Returns the session that was evicted from it, if any.
    pub(crate) fn begin_turn(
        &mut self,
        place: Place,
        owner: Owner,
        name: SessionName,
        adapter: Option<Used>,
        now: u64,
    ) -> Option<UserSession> {
        let evicted = match place.fresh {
            true => self.end(place.slot, ErrorCode::SessionEvicted),
            false => None,
        };
        let number = self.next_number();
        let slot = self.slots.get_mut(place.slot)?;
        let session = slot.get_or_insert_with(|| {
            self.last_number = number;
            UserSession {
                owner,
                name,
                number,
                turns: 0,
                tokens: 0,
                last_us: now,
                active: false,
                adapter,
            }
        });
        session.active = true;
        session.turns = session.turns.saturating_add(1);
        session.last_us = now;
        evicted
    }

    /// Ends a turn, after which its session can go on. A single request's session ends, too.
    pub(crate) fn end_turn(&mut self, slot: usize, tokens: u64, now: u64) {
        let Some(place) = self.slots.get_mut(slot) else {
            return;
        };
        if let Some(session) = place {
            session.active = false;
            session.tokens = session.tokens.saturating_add(tokens);
            session.last_us = now;
            if session.name.is_empty() {
                *place = None;
            }
        }
    }

    /// Ends a session. Its user will be told why when coming back to it.
    pub(crate) fn end(&mut self, slot: usize, why: ErrorCode) -> Option<UserSession> {
        let session = self.slots.get_mut(slot)?.take()?;
        if !session.name.is_empty() {
            if self.gone.is_full() {
                self.forget_gone(session.owner.client);
            }
            // There is room, because one was forgotten.
            let _ = self.gone.push_back(Gone { session, why });
        }
        Some(session)
    }

    /// Makes room for another ended session of a client: forgets the client's oldest if it has its guaranteed number,
    /// otherwise that of a client that has more than its number, which exists.
    fn forget_gone(&mut self, client: usize) {
        let has = |client: usize| {
            let gone = self.gone.iter();
            count(gone.filter(|gone| gone.session.owner.client == client))
        };
        let from = match has(client) < REMEMBERED_OF_CLIENT {
            true => (0..MAX_CLIENTS).max_by_key(|other| has(*other)),
            false => Some(client),
        };
        self.take_gone(|session| Some(session.owner.client) == from);
    }

    /// Removes a session that never began, or whose end its user has been told.
    pub(crate) fn forget(&mut self, slot: usize) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = None;
        }
    }

    /// Ends all sessions, because inference was restarted or has another model.
    pub(crate) fn end_all(&mut self) {
        for slot in 0..MAX_SESSIONS {
            self.end(slot, ErrorCode::SessionLost);
        }
    }

    /// Ends the idle sessions that use the adapter in this place, which is gone.
    pub(crate) fn end_with_adapter(&mut self, place: usize) {
        for slot in 0..MAX_SESSIONS {
            let session = self.get(slot).filter(|session| !session.active);
            let used = session.and_then(|session| session.adapter);
            if used.is_some_and(|used| used.place == place) {
                self.end(slot, ErrorCode::SessionLost);
            }
        }
    }

    /// Ends an idle session at its user's request. Returns its slot, if inference has it, and its number.
    ///
    /// # Errors
    /// There is no such session, or it is busy.
    pub(crate) fn close(
        &mut self,
        owner: Owner,
        name: SessionName,
    ) -> Result<(Option<usize>, u32), Failure> {
        if name.is_empty() {
            return Err(Failure::of(ErrorCode::NoSuchSession));
        }
        let slot = self.find(owner, name);
        if let Some(slot) = slot
            && let Some(session) = self.get(slot).copied()
        {
            if session.active {
                return Err(Failure::of(ErrorCode::SessionBusy));
            }
            self.forget(slot);
            return Ok((Some(slot), session.number));
        }
        match self.take_gone(|session| session.owner == owner && session.name == name) {
            Some(gone) => Ok((None, gone.session.number)),
            None => Err(Failure::of(ErrorCode::NoSuchSession)),
        }
    }

    /// Removes the oldest remembered session for which `is` holds.
    fn take_gone(&mut self, is: impl Fn(&UserSession) -> bool) -> Option<Gone> {
        let mut found = None;
        for _ in 0..self.gone.len() {
            let Some(gone) = self.gone.pop_front() else {
                break;
            };
            if found.is_none() && is(&gone.session) {
                found = Some(gone);
            } else {
                // It was just removed from the queue, so there is room.
                let _ = self.gone.push_back(gone);
            }
        }
        found
    }

    /// Entry `index` of a list of sessions: existing ones first, then those that ended. With `owner`, only the owner's
    /// are listed.
    pub(crate) fn listed(
        &self,
        index: usize,
        owner: Option<Owner>,
        now: u64,
        name: impl Fn(usize) -> UserName,
    ) -> Option<client::SessionEntry> {
        let present = self.present().map(|(_, session)| {
            let state = match session.active {
                true => SessionState::Active,
                false => SessionState::Idle,
            };
            (session, state)
        });
        let gone = self.gone.iter().map(|gone| {
            let state = match gone.why {
                ErrorCode::SessionEvicted => SessionState::Evicted,
                _ => SessionState::Lost,
            };
            (&gone.session, state)
        });
        let (session, state) = present
            .chain(gone)
            .filter(|(session, _)| owner.is_none_or(|owner| session.owner == owner))
            .nth(index)?;
        Some(client::SessionEntry {
            name: session.name,
            user: name(session.owner.user),
            number: session.number,
            turns: session.turns,
            tokens: session.tokens,
            idle_us: now.saturating_sub(session.last_us),
            state,
        })
    }
}

#[cfg(test)]
mod tests;
