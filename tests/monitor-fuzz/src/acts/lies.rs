//! Lies of inference: arbitrary reports about arbitrary requests, and reports about a training with one wrong number.

use super::{Say, Short};
use crate::dice::Dice;
use protocol::error::ErrorCode;
use protocol::limits::MAX_SESSIONS;
use protocol::wire::engine::Trained;
use protocol::wire::{FinishReason, TrainProgress};

/// Part of a word of some format, part of a stop string, or neither.
#[must_use]
pub fn any_short(dice: &mut Dice) -> Short {
    let texts = [
        "", "y", "yes", "n", "no", "not", "t yet", "x", "a", "ab", "aab", "b", "c", "\u{fc}",
    ];
    Short::new(dice.pick(&texts).as_bytes())
}

/// A lie about a training with this progress, of which this many bytes have been received, and whose data have at most this
/// many tokens. Only one number is wrong: with several wrong ones, the first check that fails would hide the others.
#[must_use]
pub fn lie_about_training(last: TrainProgress, received: u64, most: u64, dice: &mut Dice) -> Say {
    let beyond = |dice: &mut Dice| match dice.below(3) {
        0 => u64::MAX,
        1 => most.saturating_add(1),
        _ => most.saturating_add(dice.within(1, 1_000)),
    };
    match dice.below(8) {
        0..=2 => Say::Training(TrainProgress {
            tokens: beyond(dice),
            ..last
        }),
        3 => Say::Training(TrainProgress {
            step: last.steps.saturating_add(1),
            ..last
        }),
        4 => Say::Training(TrainProgress {
            steps: last.steps.saturating_add(1),
            ..last
        }),
        5 => Say::Part(0, received + *dice.pick(&[8, 16, 4096]), 8),
        6 => Say::Trained(Trained {
            tokens: beyond(dice),
            bytes: received,
            steps: last.steps,
            loss: 0,
        }),
        _ => Say::Trained(Trained {
            tokens: last.tokens,
            bytes: received + 8,
            steps: last.steps,
            loss: 0,
        }),
    }
}

/// A lie about one of these request numbers or another.
#[must_use]
pub fn lie(numbers: &[u32], newest: u32, dice: &mut Dice) -> (u32, Say) {
    let number = match dice.below(4) {
        0 => dice.below(u64::from(newest) + 3) as u32,
        _ if !numbers.is_empty() => *dice.pick(numbers),
        _ => newest,
    };
    let few = dice.below(5) as u32;
    let say = match dice.below(23) {
        16..=19 => Say::Short(dice.any() as u32, any_short(dice)),
        20 => Say::Finished(*dice.pick(FinishReason::ALL), few, dice.below(4) as u32),
        22 => Say::Corrupt,
        21 => Say::Boasts(*dice.pick(&[9, 2049]), *dice.pick(&[3, 65])),
        10 => Say::AdapterLoaded,
        11 | 12 => Say::Training(TrainProgress {
            step: dice.below(3) as u32,
            steps: few,
            tokens: dice.below(30),
            longest: dice.below(2) as u32,
            alone: dice.percent(10),
            loss: 0,
        }),
        13 | 14 => Say::Part(
            0,
            *dice.pick(&[0, 0, 8, 16, 4096]),
            *dice.pick(&[0, 7, 8, 4096]),
        ),
        15 => Say::Trained(Trained {
            tokens: dice.below(30),
            bytes: *dice.pick(&[0, 8, 16, 4096]),
            steps: few,
            loss: 0,
        }),
        0..=3 => Say::Token(dice.any() as u32, *dice.pick(&[0, 1, 7, 256])),
        4 => Say::Finished(FinishReason::EndOfText, few, dice.below(4) as u32),
        5 => Say::Failed(*dice.pick(ErrorCode::ALL), *dice.pick(&[0, 256])),
        6 => Say::Loaded,
        7 => Say::Holdings,
        8 => Say::Ready,
        _ => Say::Evicted(dice.below(MAX_SESSIONS as u64) as u32),
    };
    (number, say)
}
