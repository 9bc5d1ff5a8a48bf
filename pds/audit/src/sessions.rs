//! Sessions: names, owners and turns of the conversations whose keys and values inference holds.
//!
//! Audit gives out the slots; what they hold is inference's. A session that ends without its user's doing is
//! remembered, so that who comes back to it is told instead of silently starting anew.

use crate::counters::count;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_SESSIONS;
use protocol::name::{SessionName, UserName};
use protocol::wire::client;
use protocol::wire::client::SessionState;

/// Sessions that ended and are remembered; the oldest are forgotten first.
const REMEMBERED: usize = MAX_SESSIONS;

/// One session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) user: usize,
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

    fn find(&self, user: usize, name: SessionName) -> Option<usize> {
        self.present()
            .find(|(_, session)| session.user == user && session.name == name)
            .map(|(slot, _)| slot)
    }

    /// Where the next turn of a session goes, or a single request if `name` is empty; nothing is taken yet, so that a
    /// refusal further on costs nothing.
    ///
    /// # Errors
    /// The session is busy, or it has ended and its user is told so, once; or there are too many.
    pub(crate) fn place(
        &mut self,
        user: usize,
        name: SessionName,
        limit: usize,
    ) -> Result<Place, Failure> {
        if !name.is_empty() {
            if let Some(slot) = self.find(user, name) {
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
            if let Some(gone) = self.take_gone(user, name) {
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
        let own = count(self.present().filter(|(_, s)| s.user == user));
        if own >= limit {
            // One's own oldest idle session makes room.
            return match self.oldest_idle(Some(user)) {
                Some(slot) => fresh(slot),
                None => Err(Failure::over(
                    ErrorCode::TooManySessions,
                    own as u64,
                    limit as u64,
                )),
            };
        }
        let free = self.slots.iter().position(Option::is_none);
        match free.or_else(|| self.oldest_idle(None)) {
            Some(slot) => fresh(slot),
            None => {
                let all = MAX_SESSIONS as u64;
                Err(Failure::over(ErrorCode::TooManyRequests, all, all))
            }
        }
    }

    fn oldest_idle(&self, user: Option<usize>) -> Option<usize> {
        self.present()
            .filter(|(_, s)| !s.active && user.is_none_or(|user| s.user == user))
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
        user: usize,
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
                user,
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
                self.gone.pop_front();
            }
            // There is room now.
            let _ = self.gone.push_back(Gone { session, why });
        }
        Some(session)
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
        user: usize,
        name: SessionName,
    ) -> Result<(Option<usize>, u32), Failure> {
        if name.is_empty() {
            return Err(Failure::of(ErrorCode::NoSuchSession));
        }
        let slot = self.find(user, name);
        if let Some(slot) = slot
            && let Some(session) = self.get(slot).copied()
        {
            if session.active {
                return Err(Failure::of(ErrorCode::SessionBusy));
            }
            self.forget(slot);
            return Ok((Some(slot), session.number));
        }
        match self.take_gone(user, name) {
            Some(gone) => Ok((None, gone.session.number)),
            None => Err(Failure::of(ErrorCode::NoSuchSession)),
        }
    }

    fn take_gone(&mut self, user: usize, name: SessionName) -> Option<Gone> {
        let mut found = None;
        for _ in 0..self.gone.len() {
            let Some(gone) = self.gone.pop_front() else {
                break;
            };
            if gone.session.user == user && gone.session.name == name {
                found = Some(gone);
            } else {
                // It came out of the queue, so there is room.
                let _ = self.gone.push_back(gone);
            }
        }
        found
    }

    /// The `index`-th session of a list, those that ended after those that are there; `user`: of this one alone.
    pub(crate) fn listed(
        &self,
        index: usize,
        user: Option<usize>,
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
            .filter(|(session, _)| user.is_none_or(|user| session.user == user))
            .nth(index)?;
        Some(client::Session {
            name: session.name,
            user: name(session.user),
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

    fn name(text: &str) -> SessionName {
        SessionName::new(text).unwrap()
    }

    fn turn(
        sessions: &mut Sessions,
        user: usize,
        text: &str,
        now: u64,
    ) -> Result<usize, ErrorCode> {
        let place = sessions.place(user, name(text), 32).map_err(|f| f.code)?;
        sessions.begin_turn(place, user, name(text), now);
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
        let place = sessions.place(0, name("a"), 32).unwrap();
        let expected = Place {
            slot,
            fresh: false,
            session: 1,
            turn: 2,
        };
        assert_eq!(place, expected);
        sessions.begin_turn(place, 0, name("a"), 4);
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
        let place = sessions.place(1, name("new"), 32).unwrap();
        let evicted = sessions.begin_turn(place, 1, name("new"), 200).unwrap();
        assert_eq!(evicted.name, name("s1"));
        // Its user is told once; then it begins anew.
        let failure = sessions.place(0, name("s1"), 40).unwrap_err();
        assert_eq!(failure, Failure::over(ErrorCode::SessionEvicted, 1, 0));
        assert!(sessions.place(0, name("s1"), 40).unwrap().fresh);
        for _ in 0..15 {
            let place = sessions.place(1, SessionName::EMPTY, 32).unwrap();
            assert!(
                sessions
                    .begin_turn(place, 1, SessionName::EMPTY, 300)
                    .is_some()
            );
        }
        let failure = sessions.place(1, name("one-more"), 32).unwrap_err();
        assert_eq!(failure, Failure::over(ErrorCode::TooManyRequests, 32, 32));
    }

    #[test]
    fn a_user_has_no_more_sessions_than_the_role_allows() {
        let mut sessions = Sessions::new();
        let first = turn(&mut sessions, 0, "a", 1).unwrap();
        turn(&mut sessions, 0, "b", 2).unwrap();
        let failure = sessions.place(0, name("c"), 2).unwrap_err();
        assert_eq!(failure, Failure::over(ErrorCode::TooManySessions, 2, 2));
        sessions.end_turn(first, 1, 3);
        assert_eq!(
            sessions.place(0, name("c"), 2),
            Ok(Place {
                slot: first,
                fresh: true,
                session: 3,
                turn: 1
            })
        );
        // Going on needs no more room.
        assert!(!sessions.place(0, name("a"), 2).unwrap().fresh);
    }

    #[test]
    fn of_too_many_sessions_that_ended_the_oldest_are_forgotten() {
        let mut sessions = Sessions::new();
        for n in 0..REMEMBERED + 2 {
            let slot = turn(&mut sessions, 0, &std::format!("s{n}"), 0).unwrap();
            sessions.end(slot, ErrorCode::SessionLost);
        }
        let fresh = |sessions: &mut Sessions, text| {
            sessions.place(0, name(text), 40).map(|place| place.fresh)
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
            code(sessions.close(0, name("a"))),
            Err(ErrorCode::SessionBusy)
        );
        sessions.end_turn(slot, 1, 2);
        assert_eq!(
            code(sessions.close(1, name("a"))),
            Err(ErrorCode::NoSuchSession)
        );
        assert_eq!(sessions.close(0, name("a")), Ok((Some(slot), 1)));
        assert!(sessions.place(0, name("a"), 32).unwrap().fresh);
        turn(&mut sessions, 0, "b", 3).unwrap();
        sessions.end_all();
        let listed = sessions.listed(0, Some(0), 9, |_| UserName::EMPTY).unwrap();
        assert_eq!((listed.state, listed.idle_us), (SessionState::Lost, 6));
        assert!(
            sessions
                .listed(0, Some(1), 9, |_| UserName::EMPTY)
                .is_none()
        );
        assert_eq!(sessions.close(0, name("b")), Ok((None, 2)));
        assert_eq!(
            code(sessions.close(0, SessionName::EMPTY)),
            Err(ErrorCode::NoSuchSession)
        );
    }
}
