use super::*;
use crate::quantize::NonFinite;
use crate::testing::Memory;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};
use std::vec::Vec;

const SHAPE: KvShape = KvShape {
    ty: KvType::Q8,
    layers: 2,
    kv_heads: 2,
    head_size: 20,
    context: 100,
    sessions: 5,
    positions: 20 * BLOCK_POSITIONS,
};

#[test]
fn a_cache_has_the_bytes_that_were_planned() {
    for ty in [KvType::F32, KvType::F16, KvType::Q8] {
        let shape = KvShape { ty, ..SHAPE };
        let mut memory = Memory::new(1 << 20);
        let mut arena = Arena::new(memory.bytes()).unwrap();
        KvCache::new(&mut arena, shape).unwrap();
        assert_eq!(Some(arena.usage().current), shape.bytes(), "{ty:?}");
    }
    let huge = KvShape {
        positions: 1 << 21,
        ..SHAPE
    };
    assert_eq!(huge.bytes(), None);
}

#[test]
fn eight_bits_are_within_half_a_step_and_the_ends_are_reached() {
    let shape = KvShape {
        ty: KvType::Q8,
        layers: 1,
        kv_heads: 1,
        head_size: 8,
        ..SHAPE
    };
    let mut pool = std::vec![0; shape.blocks() * shape.block_bytes() + 64];
    let shift = pool.as_ptr().align_offset(64);
    let pool = &mut pool[shift..];
    let key = [-3.0, 3.0, 0.1, 0.0, 1.5, 2.9, -0.01, 1.0];
    store(&shape, pool, &[1, 0], 5, [&key, &key]).unwrap();
    let (keys, values) = pool.split_at(shape.blocks() * shape.part_bytes());
    for (place, part) in [(0, keys), (1, values)] {
        let (scales, bytes) = scales(part, 8);
        assert_eq!(scales[0][5], 3.0 / 127.0);
        for (i, x) in key.iter().enumerate() {
            let at = if place == 0 {
                (i / 4 * 16 + 5) * 4 + i % 4
            } else {
                value_place(5, i)
            };
            let back = f32::from(bytes[at] as i8) * scales[0][5];
            assert!((back - x).abs() <= 3.0 / 254.0 + 1e-6, "{x} {back}");
        }
        assert_eq!(bytes.iter().filter(|&&q| q as i8 == -127).count(), 1);
    }
    let bad = [1.0, f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(
        store(&shape, pool, &[1, 0], 5, [&bad, &key]),
        Err(NonFinite)
    );
    let large = KvShape {
        ty: KvType::F16,
        ..shape
    };
    let mut pool = std::vec![0; large.blocks() * large.block_bytes() + 64];
    let shift = pool.as_ptr().align_offset(64);
    let result = store(&large, &mut pool[shift..], &[1, 0], 0, [&key, &[1e5; 8]]);
    assert_eq!(result, Err(NonFinite), "f16 ends at 65504");
}

/// First tokens of a session. Two numbers share as many blocks as they have equal last digits in base 4, plus half a
/// block if the next digits are both even or both odd.
fn tokens(number: u32, len: usize) -> Vec<u32> {
    let digits = (0..len / BLOCK_POSITIONS + 1).map(|n| number >> (2 * n) & 3);
    let blocks = digits.flat_map(|digit| {
        (0..BLOCK_POSITIONS as u32).map(move |n| {
            let digit = if n < 8 { digit & 1 } else { digit };
            digit << 8 | n
        })
    });
    blocks.take(len).collect()
}

/// Length of the common prefix of two rows.
fn in_common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// What a model would have stored for the last of these tokens.
fn row(origin: Origin, tokens: &[u32]) -> [f32; 40] {
    let start = origin.adapter.map_or(7, u32::from);
    let hash = tokens.iter().fold(start, |hash, token| {
        (hash ^ token).wrapping_mul(0x9e37_79b1).rotate_left(13)
    });
    core::array::from_fn(|n| (hash >> (n % 24) & 0xff) as f32 - 128.0)
}

#[derive(Clone, Debug)]
enum Act {
    /// A session begins anew, and takes what exists.
    Begin {
        session: usize,
        origin: Origin,
        number: u32,
        len: usize,
    },
    /// This many of its tokens are computed.
    Compute {
        session: usize,
        tokens: usize,
    },
    Truncate {
        session: usize,
        positions: usize,
    },
    ForgetRetained,
}

fn act() -> impl Strategy<Value = Act> {
    let session = 0..SHAPE.sessions;
    let adapter = prop_oneof![3 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(3))];
    let origin = (0u32..2, adapter).prop_map(|(owner, adapter)| Origin { owner, adapter });
    prop_oneof![
        4 => (session.clone(), origin, 0u32..256, 1usize..=100).prop_map(
            |(session, origin, number, len)| Act::Begin { session, origin, number, len }
        ),
        6 => (session.clone(), 1usize..80)
            .prop_map(|(session, tokens)| Act::Compute { session, tokens }),
        2 => (session, 0usize..100)
            .prop_map(|(session, positions)| Act::Truncate { session, positions }),
        1 => Just(Act::ForgetRetained),
    ]
}

/// A session in the test.
#[derive(Clone, Debug)]
struct Player {
    origin: Origin,
    tokens: Vec<u32>,
    position: usize,
}

/// Plays, and checks the invariants after each act. Returns the positions shared, and how often a retained block was
/// lost.
fn play(acts: Vec<Act>) -> (usize, usize) {
    let mut memory = Memory::new(1 << 20);
    let mut arena = Arena::new(memory.bytes()).unwrap();
    let cache = KvCache::new(&mut arena, SHAPE).unwrap();
    let span = arena.alloc::<u32>(SHAPE.context, Purpose::Other).unwrap();
    let mut players: Vec<Option<Player>> = std::vec![None; SHAPE.sessions];
    let (mut contents, mut shared, mut lost) = (HashMap::new(), 0, 0);
    for act in acts {
        let before = cache.check(&mut arena);
        match act {
            Act::Begin {
                session,
                origin,
                number,
                len,
            } => {
                cache.release(&mut arena, session);
                players[session] = None;
                let tokens = tokens(number, len);
                arena.get_mut(span)[..len].copy_from_slice(&tokens);
                let free = cache.free_positions(&arena);
                let got = cache.share(&mut arena, session, origin, span.part(0, len));
                let is_there = |positions: usize| {
                    before.iter().any(|known| {
                        (known.owner, known.adapter) == (origin.owner, origin.adapter)
                            && known.tokens == tokens[..positions]
                    })
                };
                let whole = (0..len).step_by(BLOCK_POSITIONS).skip(1);
                let whole = whole.take_while(|&positions| is_there(positions)).last();
                let whole = whole.unwrap_or(0);
                let of_next = before.iter().filter(|known| {
                    (known.owner, known.adapter) == (origin.owner, origin.adapter)
                        && known.tokens.len() == whole + BLOCK_POSITIONS
                });
                let longest = of_next.map(|known| in_common(&known.tokens, &tokens[..len - 1]));
                let longest = longest.max().filter(|&longest| longest > whole);
                // A copy needs a block besides those shared and the source, all of which may have been free.
                if got != whole || free > whole + BLOCK_POSITIONS {
                    assert_eq!(got, longest.unwrap_or(whole));
                }
                shared += got;
                match cache.reserve(&mut arena, session, len) {
                    Ok(()) => {
                        players[session] = Some(Player {
                            origin,
                            tokens,
                            position: got,
                        });
                    }
                    Err(full) => {
                        assert!(full.free < full.needed);
                        cache.release(&mut arena, session);
                    }
                }
            }
            Act::Compute { session, tokens } => {
                let Some(player) = &mut players[session] else {
                    continue;
                };
                let end = player.tokens.len().min(player.position + tokens);
                for position in player.position..end {
                    assert!(cache.may_write(&arena, session, position));
                    let row = row(player.origin, &player.tokens[..=position]);
                    let table = arena.get(cache.table(session)).to_vec();
                    for layer in 0..SHAPE.layers {
                        let planes = &mut arena.get_mut(cache.pool)[SHAPE.planes(layer)];
                        store(&SHAPE, planes, &table, position, [&row, &row]).unwrap();
                    }
                }
                player.position = end;
                arena.get_mut(span)[..end].copy_from_slice(&player.tokens[..end]);
                cache.publish(&mut arena, session, player.origin, span.part(0, end));
            }
            Act::Truncate { session, positions } => {
                cache.truncate(&mut arena, session, positions);
                let has = cache.reserved(&arena, session);
                if let Some(player) = &mut players[session] {
                    player.tokens.truncate(has);
                    player.position = player.position.min(has);
                }
            }
            Act::ForgetRetained => {
                cache.forget_retained(&mut arena);
                assert_eq!(cache.retained_positions(&arena), 0);
            }
        }
        let after = cache.check(&mut arena);
        let is_gone = |known: &&Known| {
            !after
                .iter()
                .any(|after| after.block == known.block && after.tokens == known.tokens)
        };
        let gone: Vec<_> = before.iter().filter(is_gone).collect();
        lost += usize::from(!gone.is_empty());
        // What was computed for others with these tokens is unchanged, so nobody has written there.
        for known in after {
            let content = cache.content(&arena, usize::from(known.block));
            let first = contents.entry((known.adapter, known.tokens));
            assert_eq!(*first.or_insert_with(|| content.clone()), content);
        }
        let distinct: BTreeSet<u16> = (0..SHAPE.sessions)
            .flat_map(|session| {
                let table = arena.get(cache.table(session));
                table[1..=usize::from(table[0])].to_vec()
            })
            .collect();
        let free = (SHAPE.blocks() - distinct.len()) * BLOCK_POSITIONS;
        assert_eq!(cache.free_positions(&arena), free);
    }
    for session in 0..SHAPE.sessions {
        cache.release(&mut arena, session);
    }
    assert_eq!(cache.free_positions(&arena), cache.positions());
    cache.forget_retained(&mut arena);
    assert_eq!(cache.check(&mut arena), []);
    assert_eq!(cache.free_positions(&arena), cache.positions());
    (shared, lost)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// For any order of beginnings, computed tokens and ends, a session takes exactly what is known of its own owner,
    /// adapter and tokens, no block is lost or freed twice, and none is written once known.
    #[test]
    fn blocks_are_shared_by_those_who_may_and_written_by_nobody(
        acts in prop::collection::vec(act(), 1..120)
    ) {
        play(acts);
    }
}

/// The property would be vacuous if nothing were shared, or room were never needed.
#[test]
fn the_plays_share_blocks_and_lose_retained_ones() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut plays = [0; 2];
    for _ in 0..20 {
        let acts = prop::collection::vec(act(), 100..120);
        let (shared, lost) = play(acts.new_tree(&mut runner).unwrap().current());
        plays[0] += usize::from(shared > 0);
        plays[1] += usize::from(lost > 0);
    }
    assert!(plays.iter().all(|&plays| plays >= 15), "{plays:?} of 20");
}

/// Four blocks of two prefixes: the one given up last stays longest, and a block stays longer than its successors.
#[test]
fn what_was_given_up_first_goes_first_and_a_block_after_those_behind_it() {
    let mut memory = Memory::new(1 << 20);
    let mut arena = Arena::new(memory.bytes()).unwrap();
    let shape = KvShape {
        positions: 6 * BLOCK_POSITIONS,
        ..SHAPE
    };
    let cache = KvCache::new(&mut arena, shape).unwrap();
    let span = arena.alloc::<u32>(SHAPE.context, Purpose::Other).unwrap();
    let origin = Origin {
        owner: 4,
        adapter: None,
    };
    for number in [1, 2] {
        arena.get_mut(span)[..32].copy_from_slice(&tokens(number, 32));
        assert_eq!(cache.share(&mut arena, 0, origin, span.part(0, 32)), 0);
        cache.reserve(&mut arena, 0, 32).unwrap();
        cache.publish(&mut arena, 0, origin, span.part(0, 32));
        cache.release(&mut arena, 0);
    }
    let mut left = Vec::new();
    for blocks in 2..=6 {
        cache
            .reserve(&mut arena, 1, blocks * BLOCK_POSITIONS)
            .unwrap();
        left.push(
            cache
                .check(&mut arena)
                .iter()
                .map(|known| known.tokens.clone())
                .collect::<BTreeSet<_>>(),
        );
    }
    let set = |rows: &[(u32, usize)]| -> BTreeSet<_> {
        rows.iter()
            .map(|&(number, len)| tokens(number, len))
            .collect()
    };
    assert_eq!(
        left,
        [
            set(&[(1, 16), (1, 32), (2, 16), (2, 32)]),
            set(&[(1, 16), (2, 16), (2, 32)]),
            set(&[(2, 16), (2, 32)]),
            set(&[(2, 16)]),
            set(&[]),
        ]
    );
    // The last token is never taken, because its logits are needed.
    cache.release(&mut arena, 1);
    arena.get_mut(span)[..17].copy_from_slice(&tokens(1, 17));
    cache.reserve(&mut arena, 0, 17).unwrap();
    cache.publish(&mut arena, 0, origin, span.part(0, 17));
    for (len, shared) in [(1, 0), (15, 14), (16, 15), (17, 16), (18, 16)] {
        arena.get_mut(span)[..len].copy_from_slice(&tokens(1, len));
        assert_eq!(
            cache.share(&mut arena, 2, origin, span.part(0, len)),
            shared
        );
        cache.release(&mut arena, 2);
    }
    for other in [
        Origin { owner: 5, ..origin },
        Origin {
            adapter: Some(0),
            ..origin
        },
    ] {
        assert_eq!(cache.share(&mut arena, 2, other, span.part(0, 18)), 0);
    }
}
