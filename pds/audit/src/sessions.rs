//! Sessions: names, owners and turns of the conversations whose keys and values inference holds.
//!
//! Audit gives out the slots; what they hold is inference's. A session that ends without its user's doing is
//! remembered, so that who comes back to it is told instead of silently starting anew.

use crate::counters::count;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_CLIENTS, MAX_SESSIONS};
use protocol::name::{SessionName, UserName};
use protocol::wire::client;
use protocol::wire::client::SessionState;

/// Sessions that ended and are remembered; a client's oldest are forgotten first.
const REMEMBERED: usize = MAX_SESSIONS;

/// Of them, those that every client has room for, whatever the others do.
const REMEMBERED_OF_CLIENT: usize = REMEMBERED / MAX_CLIENTS;

/// Whose a session is: no other client's, nor another user's at the same client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Place of the client.
    pub(crate) client: usize,
    /// Index of the user that it was.
    pub(crate) user: usize,
}

/// How many sessions there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of the user, at all clients.
    pub(crate) user: usize,
    /// Of the client, of all its users. The limits of all clients add up to no more than there are.
    pub(crate) client: usize,
}

/// One session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) owner: Owner,
    /// Empty for a single request, which is over with it.
    pub(crate) name: SessionName,
    /// No other session since boot has it.
    pub(crate) number: u32,
    /// Turns that were admitted.
    pub(crate) turns: u32,
    pub(crate) tokens: u64,
    pub(crate) last_us: u64,
    pub(crate) active: bool,
}

/// A session that ended without its user's doing.
#[derive(Clone, Copy, Debug)]
struct Gone {
    session: Session,
    why: ErrorCode,
}

/// The place that a request has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) slot: usize,
    /// It begins here.
    pub(crate) fresh: bool,
    /// Number that the session has, or will have.
    pub(crate) session: u32,
    /// The turn that this will be.
    pub(crate) turn: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Sessions {
    slots: [Option<Session>; MAX_SESSIONS],
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

    pub(crate) fn get(&self, slot: usize) -> Option<&Session> {
        self.slots.get(slot)?.as_ref()
    }

    /// Sessions that hold something, and which slots they have.
    fn present(&self) -> impl Iterator<Item = (usize, &Session)> {
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

    /// Where the next turn of a session goes, or a single request if `name` is empty; nothing is taken yet, so that a
    /// refusal further on costs nothing.
    ///
    /// # Errors
    /// The session is busy, or it has ended and its user is told so, once; or there are too many.
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
                    // `find` has found it.
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
        // The oldest idle one of the client's own makes room: of the user's, if the user has as many as the role allows.
        let of_user = |s: &Session| s.owner.user == owner.user;
        let of_client = |s: &Session| s.owner.client == owner.client;
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

    fn oldest_idle(&self, is: impl Fn(&Session) -> bool) -> Option<usize> {
        self.present()
            .filter(|(_, session)| !session.active && is(session))
            .min_by_key(|(_, session)| session.last_us)
            .map(|(slot, _)| slot)
    }

    fn next_number(&self) -> u32 {
        self.last_number.wrapping_add(1).max(1)
    }

    /// Takes a place. If another session was there it is evicted, and returned.
    pub(crate) fn begin_turn(
        &mut self,
        place: Place,
        owner: Owner,
        name: SessionName,
        now: u64,
    ) -> Option<Session> {
        let evicted = match place.fresh {
            true => self.end(place.slot, ErrorCode::SessionEvicted),
            false => None,
        };
        let number = self.next_number();
        let slot = self.slots.get_mut(place.slot)?;
        let session = slot.get_or_insert_with(|| {
            self.last_number = number;
            Session {
                owner,
                name,
                number,
                turns: 0,
                tokens: 0,
                last_us: now,
                active: false,
            }
        });
        session.active = true;
        session.turns = session.turns.saturating_add(1);
        session.last_us = now;
        evicted
    }

    /// A turn has ended and its session can go on; a single request's is over.
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

    /// A session is over. Its user will be told why when coming back to it.
    pub(crate) fn end(&mut self, slot: usize, why: ErrorCode) -> Option<Session> {
        let session = self.slots.get_mut(slot)?.take()?;
        if !session.name.is_empty() {
            if self.gone.is_full() {
                self.forget_gone(session.owner.client);
            }
            // There is room now.
            let _ = self.gone.push_back(Gone { session, why });
        }
        Some(session)
    }

    /// Makes room for another session of a client that ended: its oldest goes if it has its part, else that of a client
    /// that has more than its own, which there is.
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

    /// A session never came to be, or its user has been told that it is over.
    pub(crate) fn forget(&mut self, slot: usize) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = None;
        }
    }

    /// All sessions are over: inference was restarted, or has another model.
    pub(crate) fn end_all(&mut self) {
        for slot in 0..MAX_SESSIONS {
            self.end(slot, ErrorCode::SessionLost);
        }
    }

    /// Ends an idle session at its user's wish: its slot, if inference has it, and its number.
    ///
    /// # Errors
    /// There is none, or it is busy.
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

    /// Takes the oldest one out for which this holds.
    fn take_gone(&mut self, is: impl Fn(&Session) -> bool) -> Option<Gone> {
        let mut found = None;
        for _ in 0..self.gone.len() {
            let Some(gone) = self.gone.pop_front() else {
                break;
            };
            if found.is_none() && is(&gone.session) {
                found = Some(gone);
            } else {
                // It came out of the queue, so there is room.
                let _ = self.gone.push_back(gone);
            }
        }
        found
    }

    /// The `index`-th session of a list, those that ended after those that are there; `owner`: of this one alone.
    pub(crate) fn listed(
        &self,
        index: usize,
        owner: Option<Owner>,
        now: u64,
        name: impl Fn(usize) -> UserName,
    ) -> Option<client::Session> {
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
        Some(client::Session {
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
mod tests {
    use super::*;

    const LIMITS: Limits = limits(32);

    const fn limits(user: usize) -> Limits {
        let client = MAX_SESSIONS;
        Limits { user, client }
    }

    fn of(user: usize) -> Owner {
        Owner { client: 0, user }
    }

    fn name(text: &str) -> SessionName {
        SessionName::new(text).unwrap()
    }

    fn turn(
        sessions: &mut Sessions,
        user: usize,
        text: &str,
        now: u64,
    ) -> Result<usize, ErrorCode> {
        let place = sessions
            .place(of(user), name(text), LIMITS)
            .map_err(|f| f.code)?;
        sessions.begin_turn(place, of(user), name(text), now);
        Ok(place.slot)
    }

    #[test]
    fn a_session_goes_on_where_it_was_and_is_busy_meanwhile() {
        let mut sessions = Sessions::new();
        let slot = turn(&mut sessions, 0, "a", 1).unwrap();
        assert_eq!(turn(&mut sessions, 0, "a", 2), Err(ErrorCode::SessionBusy));
        // Another user's session of the same name is another one.
        let other = turn(&mut sessions, 1, "a", 2).unwrap();
        assert_ne!(other, slot);
        sessions.end_turn(slot, 5, 3);
        let place = sessions.place(of(0), name("a"), limits(32)).unwrap();
        let expected = Place {
            slot,
            fresh: false,
            session: 1,
            turn: 2,
        };
        assert_eq!(place, expected);
        sessions.begin_turn(place, of(0), name("a"), 4);
        let session = sessions.get(slot).unwrap();
        assert_eq!((session.turns, session.tokens, session.number), (2, 5, 1));
    }

    #[test]
    fn a_single_request_is_over_with_its_turn() {
        let mut sessions = Sessions::new();
        let slot = turn(&mut sessions, 0, "", 1).unwrap();
        let second = turn(&mut sessions, 0, "", 1).unwrap();
        assert_ne!(slot, second);
        sessions.end_turn(slot, 5, 3);
        assert_eq!(sessions.count(), 1);
        sessions.end(second, ErrorCode::SessionLost);
        assert!(sessions.listed(0, None, 9, |_| UserName::EMPTY).is_none());
    }

    #[test]
    fn idle_sessions_make_room_oldest_first_and_active_ones_never() {
        let mut sessions = Sessions::new();
        for n in 0..32 {
            let slot = turn(&mut sessions, 0, &std::format!("s{n}"), n).unwrap();
            if n % 2 == 1 {
                sessions.end_turn(slot, 1, 100 + n);
            }
        }
        // s1 is the idle one that is oldest.
        let place = sessions.place(of(1), name("new"), limits(32)).unwrap();
        let evicted = sessions.begin_turn(place, of(1), name("new"), 200).unwrap();
        assert_eq!(evicted.name, name("s1"));
        // Its user is told once; then it begins anew.
        let failure = sessions.place(of(0), name("s1"), limits(40)).unwrap_err();
        assert_eq!(failure, Failure::over(ErrorCode::SessionEvicted, 1, 0));
        assert!(sessions.place(of(0), name("s1"), limits(40)).unwrap().fresh);
        for _ in 0..15 {
            let place = sessions
                .place(of(1), SessionName::EMPTY, limits(32))
                .unwrap();
            assert!(
                sessions
                    .begin_turn(place, of(1), SessionName::EMPTY, 300)
                    .is_some()
            );
        }
        let failure = sessions
            .place(of(1), name("one-more"), limits(32))
            .unwrap_err();
        assert_eq!(failure, Failure::over(ErrorCode::TooManyRequests, 32, 32));
    }

    #[test]
    fn a_user_has_no_more_sessions_than_the_role_allows() {
        let mut sessions = Sessions::new();
        let first = turn(&mut sessions, 0, "a", 1).unwrap();
        turn(&mut sessions, 0, "b", 2).unwrap();
        let failure = sessions.place(of(0), name("c"), limits(2)).unwrap_err();
        assert_eq!(failure, Failure::over(ErrorCode::TooManySessions, 2, 2));
        sessions.end_turn(first, 1, 3);
        assert_eq!(
            sessions.place(of(0), name("c"), limits(2)),
            Ok(Place {
                slot: first,
                fresh: true,
                session: 3,
                turn: 1
            })
        );
        // Going on needs no more room.
        assert!(!sessions.place(of(0), name("a"), limits(2)).unwrap().fresh);
    }

    #[test]
    fn of_too_many_sessions_that_ended_the_oldest_are_forgotten() {
        let mut sessions = Sessions::new();
        for n in 0..REMEMBERED + 2 {
            let slot = turn(&mut sessions, 0, &std::format!("s{n}"), 0).unwrap();
            sessions.end(slot, ErrorCode::SessionLost);
        }
        let fresh = |sessions: &mut Sessions, text| {
            sessions
                .place(of(0), name(text), limits(40))
                .map(|place| place.fresh)
        };
        assert_eq!(fresh(&mut sessions, "s1"), Ok(true));
        let told = Failure::over(ErrorCode::SessionLost, 1, 0);
        assert_eq!(fresh(&mut sessions, "s2"), Err(told));
        assert_eq!(
            fresh(&mut sessions, &std::format!("s{}", REMEMBERED + 1)),
            Err(told)
        );
    }

    #[test]
    fn a_client_has_its_own_sessions_and_its_own_part_of_them() {
        let mut sessions = Sessions::new();
        let limits = Limits {
            user: 32,
            client: 2,
        };
        let [one, other] = [0, 1].map(|client| Owner { client, user: 0 });
        let mut begin = |owner, text, now| {
            let place = sessions.place(owner, name(text), limits)?;
            sessions.begin_turn(place, owner, name(text), now);
            sessions.end_turn(place.slot, 1, now);
            Ok::<_, Failure>(place)
        };
        begin(other, "a", 0).unwrap();
        // The same user and the same name at another client is another session.
        assert!(begin(one, "a", 1).unwrap().fresh);
        begin(one, "b", 2).unwrap();
        // What makes room is the client's own, though the other's is older.
        begin(one, "c", 3).unwrap();
        assert!(!begin(other, "a", 4).unwrap().fresh);
        assert_eq!(
            begin(one, "a", 5).unwrap_err().code,
            ErrorCode::SessionEvicted
        );
        // Without an idle one there is no room, also where the user has idle ones at the other client.
        for text in ["c", "b", "b"] {
            // The second "b" was evicted by the first.
            if let Ok(place) = sessions.place(one, name(text), limits) {
                sessions.begin_turn(place, one, name(text), 6);
            }
        }
        let failure = sessions.place(one, name("e"), limits).unwrap_err();
        assert_eq!(failure, Failure::over(ErrorCode::TooManyRequests, 2, 2));
    }

    #[test]
    fn what_one_client_loses_pushes_nothing_out_that_another_is_owed() {
        let mut sessions = Sessions::new();
        let [one, other] = [0, 3].map(|client| Owner { client, user: 0 });
        let lose = |sessions: &mut Sessions, owner, text: &str| {
            let place = sessions.place(owner, name(text), LIMITS).unwrap();
            sessions.begin_turn(place, owner, name(text), 0);
            sessions.end(place.slot, ErrorCode::SessionLost);
        };
        for n in 0..100 {
            lose(&mut sessions, one, &std::format!("s{n}"));
        }
        for n in 0..REMEMBERED_OF_CLIENT {
            lose(&mut sessions, other, &std::format!("s{n}"));
        }
        for n in 100..200 {
            lose(&mut sessions, one, &std::format!("s{n}"));
        }
        for n in 0..REMEMBERED_OF_CLIENT {
            let failure = sessions.place(other, name(&std::format!("s{n}")), LIMITS);
            assert_eq!(failure.unwrap_err().code, ErrorCode::SessionLost);
        }
    }

    #[test]
    fn what_has_no_slot_changes_nothing() {
        let mut sessions = Sessions::new();
        let slot = turn(&mut sessions, 0, "a", 1).unwrap();
        for nowhere in [MAX_SESSIONS, usize::MAX] {
            sessions.end_turn(nowhere, 5, 2);
            sessions.forget(nowhere);
            assert!(sessions.end(nowhere, ErrorCode::SessionLost).is_none());
        }
        let session = sessions.get(slot).unwrap();
        assert_eq!(
            (session.active, session.tokens, sessions.count()),
            (true, 0, 1)
        );
    }

    #[test]
    fn closed_sessions_are_forgotten_and_lost_ones_remembered() {
        let mut sessions = Sessions::new();
        let slot = turn(&mut sessions, 0, "a", 1).unwrap();
        let code = |result: Result<_, Failure>| result.map_err(|failure| failure.code);
        assert_eq!(
            code(sessions.close(of(0), name("a"))),
            Err(ErrorCode::SessionBusy)
        );
        sessions.end_turn(slot, 1, 2);
        assert_eq!(
            code(sessions.close(of(1), name("a"))),
            Err(ErrorCode::NoSuchSession)
        );
        assert_eq!(sessions.close(of(0), name("a")), Ok((Some(slot), 1)));
        assert!(sessions.place(of(0), name("a"), limits(32)).unwrap().fresh);
        turn(&mut sessions, 0, "b", 3).unwrap();
        sessions.end_all();
        let listed = sessions
            .listed(0, Some(of(0)), 9, |_| UserName::EMPTY)
            .unwrap();
        assert_eq!((listed.state, listed.idle_us), (SessionState::Lost, 6));
        assert!(
            sessions
                .listed(0, Some(of(1)), 9, |_| UserName::EMPTY)
                .is_none()
        );
        assert_eq!(sessions.close(of(0), name("b")), Ok((None, 2)));
        assert_eq!(
            code(sessions.close(of(0), SessionName::EMPTY)),
            Err(ErrorCode::NoSuchSession)
        );
    }
}
