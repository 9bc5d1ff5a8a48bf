//! Acts of the players.

use super::*;

/// Sessions in the property test; the pool is for fewer.
pub(in crate::backend) const PLAYERS: usize = 6;

pub(in crate::backend) const PROMPTS: [&str; 6] = [
    "a",
    "hello there",
    "of the end.",
    "x y z",
    "longer than the others are",
    "longer than the others, too",
];

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a few dozen of them, in a test")]
pub(in crate::backend) enum Act {
    Start {
        turn: Turn,
        prompt: usize,
        max_tokens: u32,
        seed: u64,
    },
    Grant(usize, u32),
    Cancel(usize),
    Forget(usize),
    Steps(usize),
}

/// Either little, so that many rest, or more than is ever needed.
fn credit() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0u32..12, 1 => 12u32..40, 1 => Just(u32::MAX)]
}

/// One of three owners, of which one asks more often.
fn owner() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(u32::MAX)]
}

pub(in crate::backend) fn act() -> impl Strategy<Value = Act> {
    let session = 0..PLAYERS;
    prop_oneof![
        4 => (
            session.clone(), owner(), any::<bool>(), any::<bool>(), credit(), 0..PROMPTS.len(), 1u32..40, 0u64..3,
        ).prop_map(
            |(session, owner, fresh, keep, credit, prompt, max_tokens, seed)| {
                let turn = Turn { owner, fresh, keep: keep || fresh, credit, ..Turn::first(session) };
                Act::Start { turn, prompt, max_tokens, seed }
            }
        ),
        4 => (session.clone(), credit()).prop_map(|(session, tokens)| Act::Grant(session, tokens)),
        1 => session.clone().prop_map(Act::Cancel),
        1 => session.prop_map(Act::Forget),
        6 => (1usize..60).prop_map(Act::Steps),
    ]
}
