use super::*;
use Standing::{AtWork, Idle, Out, Queued, Resting};

/// Positions of the cache: ten blocks.
const CACHE: usize = 160;

const NOTHING: Holding = Holding {
    client: 0,
    positions: 0,
    standing: Idle,
    since: 0,
    began: 0,
    displaced: None,
    wanted: 0,
};

/// Client, blocks held, and standing; `since` is the index in the list.
type Row = (usize, usize, Standing);

fn holdings(rows: &[Row], wanted: &[(usize, usize)]) -> [Holding; MAX_SESSIONS] {
    let mut holdings = [NOTHING; MAX_SESSIONS];
    for (n, &(client, blocks, standing)) in rows.iter().enumerate() {
        holdings[n] = Holding {
            client,
            positions: blocks * BLOCK_POSITIONS,
            standing,
            since: n as u64,
            began: n as u64,
            ..NOTHING
        };
    }
    for &(n, blocks) in wanted {
        holdings[n].wanted = blocks * BLOCK_POSITIONS;
    }
    holdings
}

fn decided(rows: &[Row], wanted: &[(usize, usize)]) -> Option<Admission> {
    admission(&holdings(rows, wanted), CACHE)
}

#[test]
fn what_is_free_is_for_whoever_asks_and_an_empty_queue_is_no_decision() {
    assert_eq!(decided(&[(0, 3, AtWork), (1, 2, Idle)], &[]), None);
    let rows = [(0, 3, AtWork), (0, 0, Queued(0))];
    assert_eq!(decided(&rows, &[(1, 7)]), Some(Admission::Begin(1)));
    // What it already holds counts.
    let rows = [(0, 3, AtWork), (0, 5, Queued(0))];
    assert_eq!(decided(&rows, &[(1, 7)]), Some(Admission::Begin(1)));
}

#[test]
fn a_client_alone_has_all_of_the_cache_and_nobody_at_work_is_displaced() {
    let rows = [
        (0, 4, AtWork),
        (0, 4, AtWork),
        (0, 0, Queued(0)),
        (0, 0, Queued(1)),
    ];
    assert_eq!(decided(&rows, &[(2, 3), (3, 1)]), Some(Admission::Wait));
    // Idle sessions go, the longest idle first, but not if that is not enough.
    let rows = [
        (0, 4, AtWork),
        (0, 2, Idle),
        (0, 2, Idle),
        (0, 0, Queued(0)),
    ];
    assert_eq!(decided(&rows, &[(3, 5)]), Some(Admission::Evict(1)));
    assert_eq!(decided(&rows, &[(3, 7)]), Some(Admission::Wait));
    // A resting one goes if idle ones are not enough.
    let rows = [(0, 4, Resting), (0, 4, Idle), (0, 0, Queued(0))];
    assert_eq!(decided(&rows, &[(2, 6)]), Some(Admission::Evict(1)));
    assert_eq!(decided(&rows, &[(2, 7)]), Some(Admission::Take(0)));
    // Of the waiting ones, the last in the queue goes, but one outside the queue goes first.
    let rows = [
        (0, 0, Queued(0)),
        (0, 4, Queued(1)),
        (0, 3, Queued(2)),
        (0, 3, Out),
    ];
    let wanted = [(0, 8), (1, 4), (2, 4)];
    assert_eq!(decided(&rows, &wanted), Some(Admission::Take(3)));
}

#[test]
fn who_has_more_than_a_part_makes_room_for_who_is_within_it_the_newest_first() {
    // Client 0 has nine blocks at work; a part is five. The newest is enough.
    let rows = [
        (0, 3, AtWork),
        (0, 3, AtWork),
        (0, 3, AtWork),
        (1, 0, Queued(0)),
    ];
    assert_eq!(
        decided(&rows, &[(3, 4)]),
        Some(Admission::Displace {
            session: 2,
            part: 80
        })
    );
    // More than the part: it waits for the one that stays.
    assert_eq!(decided(&rows, &[(3, 6)]), Some(Admission::Wait));
    // No work within a part is displaced.
    let rows = [
        (0, 3, AtWork),
        (0, 2, AtWork),
        (1, 5, AtWork),
        (1, 0, Queued(0)),
    ];
    assert_eq!(decided(&rows, &[(3, 2)]), Some(Admission::Wait));
    // A client's only request is not displaced, however large.
    let rows = [(0, 8, AtWork), (1, 0, Queued(0))];
    assert_eq!(decided(&rows, &[(1, 4)]), Some(Admission::Wait));
}

#[test]
fn idle_sessions_within_a_part_outlive_whoever_has_too_much() {
    // Client 0 has six blocks and wants three more. The longest idle session belongs to client 1, which has less than
    // its part.
    let rows = [
        (1, 4, Idle),
        (0, 2, Idle),
        (0, 4, AtWork),
        (0, 0, Queued(0)),
    ];
    assert_eq!(decided(&rows, &[(3, 2)]), Some(Admission::Evict(1)));
    assert_eq!(decided(&rows, &[(3, 3)]), Some(Admission::Wait));
    // Client 1 is within its part, and client 0 has too much that is idle.
    let rows = [(1, 2, Idle), (0, 8, Idle), (1, 0, Queued(0))];
    assert_eq!(decided(&rows, &[(2, 3)]), Some(Admission::Evict(1)));
    // A client with nothing at work gets its turn, if necessary from all.
    let rows = [(1, 4, Idle), (0, 0, Queued(0))];
    assert_eq!(decided(&rows, &[(1, 8)]), Some(Admission::Evict(0)));
    let rows = [(1, 4, Resting), (0, 0, Queued(0))];
    assert_eq!(decided(&rows, &[(1, 8)]), Some(Admission::Take(0)));
}

#[test]
fn a_queue_of_one_client_delays_no_other_and_within_a_client_order_holds() {
    // Client 0 waits for its own work; client 1 came later and begins.
    let rows = [
        (0, 4, AtWork),
        (0, 0, Queued(0)),
        (0, 0, Queued(1)),
        (1, 0, Queued(2)),
    ];
    let wanted = [(1, 7), (2, 1), (3, 2)];
    assert_eq!(decided(&rows, &wanted), Some(Admission::Begin(3)));
    // A small request does not overtake a large one of its own client.
    let rows = [(0, 4, AtWork), (0, 0, Queued(0)), (0, 0, Queued(1))];
    assert_eq!(decided(&rows, &[(1, 7), (2, 1)]), Some(Admission::Wait));
    // If both have equally much, the one that came first.
    let rows = [(1, 0, Queued(0)), (0, 0, Queued(1))];
    assert_eq!(decided(&rows, &[(0, 1), (1, 1)]), Some(Admission::Begin(0)));
}

/// Making room always terminates: each decision takes something, and the cache is never given away twice.
#[test]
fn every_queue_comes_to_an_end() {
    let mut seed = 1u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    let mut displaced = 0;
    for round in 0..20_000 {
        let mut holdings = [NOTHING; MAX_SESSIONS];
        let (mut free, mut queue) = (10, 0);
        for (n, holding) in holdings.iter_mut().enumerate().take(12) {
            let mut blocks = random(4).min(free);
            let standing = match random(5) {
                0 => Idle,
                1 if blocks > 0 => AtWork,
                2 if blocks > 0 => Resting,
                3 => Out,
                _ => Queued(0),
            };
            if let Queued(_) = standing {
                blocks = blocks.min(random(2));
                holding.wanted = (blocks + 1 + random(7)).min(8) * BLOCK_POSITIONS;
                holding.standing = Queued(queue);
                queue += 1;
            } else {
                holding.standing = standing;
            }
            free -= blocks;
            holding.positions = blocks * BLOCK_POSITIONS;
            holding.client = random(MAX_CLIENTS);
            holding.since = (n * 7 % 12) as u64;
        }
        let mut time = 100;
        for step in 0.. {
            assert!(step < 200, "round {round} does not end");
            let at_work = |client: usize| -> usize {
                let of = |h: &&Holding| h.client == client && h.standing == AtWork;
                holdings.iter().filter(of).map(|h| h.positions).sum()
            };
            match admission(&holdings, CACHE) {
                Some(Admission::Begin(n)) => {
                    assert!(matches!(holdings[n].standing, Queued(_)));
                    holdings[n].positions = holdings[n].wanted;
                    let used: usize = holdings.iter().map(|h| h.positions).sum();
                    assert!(used <= CACHE, "round {round}");
                    holdings[n].wanted = 0;
                    holdings[n].standing = AtWork;
                    holdings[n].began = time;
                    time += 1;
                }
                Some(Admission::Take(n)) => {
                    assert!(holdings[n].positions > 0);
                    assert_ne!(holdings[n].standing, AtWork);
                    if holdings[n].standing == Resting {
                        holdings[n].standing = Out;
                    }
                    holdings[n].positions = 0;
                }
                Some(Admission::Displace { session: n, part }) => {
                    displaced += 1;
                    let of = |h: &&Holding| h.client == holdings[n].client;
                    let mine = holdings.iter().filter(of);
                    let mine = mine.filter(|h| h.standing == AtWork);
                    assert!(mine.count() > 1, "round {round}: its only one");
                    assert!(at_work(holdings[n].client) > part && part > 0);
                    // Before all others.
                    for holding in &mut holdings {
                        if let Queued(place) = &mut holding.standing {
                            *place += 1;
                        }
                    }
                    holdings[n].wanted = holdings[n].positions;
                    holdings[n].displaced = Some(part);
                    holdings[n].standing = Queued(0);
                    holdings[n].positions = 0;
                }
                Some(Admission::Evict(n)) => {
                    assert_eq!(holdings[n].standing, Idle);
                    assert!(holdings[n].positions > 0);
                    holdings[n].positions = 0;
                }
                wait @ (None | Some(Admission::Wait)) => {
                    if wait.is_none() && holdings.iter().all(|h| h.wanted == 0) {
                        break;
                    }
                    assert!(
                        holdings.iter().any(|h| h.standing == AtWork),
                        "round {round}: all wait for nobody"
                    );
                    // The one that has been at work longest ends.
                    let oldest = (0..MAX_SESSIONS).filter(|&n| holdings[n].standing == AtWork);
                    let oldest = oldest.min_by_key(|&n| holdings[n].began).unwrap();
                    holdings[oldest] = NOTHING;
                }
            }
        }
    }
    assert!(displaced > 100, "displaced {displaced} times");
}

#[test]
fn each_client_with_something_to_do_gets_as_many_tokens_through_as_any_other() {
    let mut time = Time::new();
    let mut had = [0usize; MAX_CLIENTS];
    // Client 0 has thirty sessions, client 2 has one.
    for _ in 0..1000 {
        let allowed = time.allowances(&[30, 0, 1, 0]);
        let tokens = [30.min(allowed[0]), 0, 1.min(allowed[2]), 0];
        time.serve(&tokens);
        for (had, tokens) in had.iter_mut().zip(tokens) {
            *had += tokens;
        }
    }
    assert_eq!(had[2], 1000, "it is in every batch");
    // Batches without client 0 belong only to client 2, and each costs one token more.
    assert!((1000..2000).contains(&had[0]), "{had:?}");
}

#[test]
fn time_without_work_is_not_made_up_for_and_whoever_is_alone_is_not_held_back() {
    let mut time = Time::new();
    for _ in 0..100 {
        assert_eq!(time.allowances(&[64, 0, 0, 0]), [usize::MAX; MAX_CLIENTS]);
        time.serve(&[64, 0, 0, 0]);
    }
    let allowed = time.allowances(&[64, 64, 0, 0]);
    assert_eq!(allowed[..2], [16; 2]);
    time.serve(&[0, 16, 0, 0]);
    let allowed = time.allowances(&[64, 64, 0, 0]);
    assert_eq!(allowed[..2], [16, 0]);
}

#[test]
fn whatever_there_is_to_do_somebody_may_go_on() {
    let mut time = Time::new();
    let mut seed = 7u64;
    for _ in 0..50_000 {
        let mut pending = [0; MAX_CLIENTS];
        for pending in &mut pending {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *pending = ((seed >> 40) % 4) as usize;
        }
        let allowed = time.allowances(&pending);
        let mut tokens = [0; MAX_CLIENTS];
        for (client, &pending) in pending.iter().enumerate() {
            tokens[client] = pending.min(allowed[client]);
        }
        time.serve(&tokens);
        let any = tokens.iter().any(|&tokens| tokens > 0);
        assert_eq!(any, pending.iter().any(|&pending| pending > 0));
    }
}
