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

fn turn(sessions: &mut Sessions, user: usize, text: &str, now: u64) -> Result<usize, ErrorCode> {
    let place = sessions
        .place(of(user), name(text), LIMITS)
        .map_err(|f| f.code)?;
    sessions.begin_turn(place, of(user), name(text), None, now);
    Ok(place.slot)
}

#[test]
fn a_session_goes_on_where_it_was_and_is_busy_meanwhile() {
    let mut sessions = Sessions::new();
    let slot = turn(&mut sessions, 0, "a", 1).unwrap();
    assert_eq!(turn(&mut sessions, 0, "a", 2), Err(ErrorCode::SessionBusy));
    // Another user's session with the same name is a different one.
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
    sessions.begin_turn(place, of(0), name("a"), None, 4);
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
    // s1 is the oldest idle session.
    let place = sessions.place(of(1), name("new"), limits(32)).unwrap();
    let evicted = sessions
        .begin_turn(place, of(1), name("new"), None, 200)
        .unwrap();
    assert_eq!(evicted.name, name("s1"));
    // Its user is told once; then it starts over.
    let failure = sessions.place(of(0), name("s1"), limits(40)).unwrap_err();
    assert_eq!(failure, Failure::over(ErrorCode::SessionEvicted, 1, 0));
    assert!(sessions.place(of(0), name("s1"), limits(40)).unwrap().fresh);
    for _ in 0..15 {
        let place = sessions
            .place(of(1), SessionName::EMPTY, limits(32))
            .unwrap();
        assert!(
            sessions
                .begin_turn(place, of(1), SessionName::EMPTY, None, 300)
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
    // Continuing a session needs no more room.
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
        sessions.begin_turn(place, owner, name(text), None, now);
        sessions.end_turn(place.slot, 1, now);
        Ok::<_, Failure>(place)
    };
    begin(other, "a", 0).unwrap();
    // The same user and name at another client is a different session.
    assert!(begin(one, "a", 1).unwrap().fresh);
    begin(one, "b", 2).unwrap();
    // The client's own session is evicted, though the other client's is older.
    begin(one, "c", 3).unwrap();
    assert!(!begin(other, "a", 4).unwrap().fresh);
    assert_eq!(
        begin(one, "a", 5).unwrap_err().code,
        ErrorCode::SessionEvicted
    );
    // Without an idle session there is no room, even if the user has idle ones at the other client.
    for text in ["c", "b", "b"] {
        // The second "b" was evicted by the first.
        if let Ok(place) = sessions.place(one, name(text), limits) {
            sessions.begin_turn(place, one, name(text), None, 6);
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
        sessions.begin_turn(place, owner, name(text), None, 0);
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
