//! Parameters of a request for text.

use crate::decimal::ONE;
use crate::error::{ErrorCode, Failure};
use crate::wire::{InferParams, TrainParams};

#[test]
fn limits_are_checked_with_the_value_and_the_limit() {
    let params = |change: fn(&mut InferParams)| {
        let mut params = InferParams::default();
        change(&mut params);
        params.check()
    };
    assert_eq!(params(|_| ()), Ok(()));
    assert_eq!(
        params(|p| p.max_tokens = 513),
        Err(Failure::over(ErrorCode::MaxTokens, 513, 512))
    );
    assert_eq!(
        params(|p| p.max_tokens = 0),
        Err(Failure::over(ErrorCode::MaxTokens, 0, 512))
    );
    for (change, code) in [
        (
            (|p| p.sampling.temperature = u32::MAX) as fn(&mut InferParams),
            ErrorCode::Temperature,
        ),
        (|p| p.sampling.top_k = u32::MAX, ErrorCode::TopK),
        (|p| p.sampling.top_p = ONE + 1, ErrorCode::TopP),
        (|p| p.sampling.min_p = ONE + 1, ErrorCode::MinP),
        (
            |p| p.sampling.repeat_penalty = ONE - 1,
            ErrorCode::RepeatPenalty,
        ),
        (
            |p| p.sampling.repeat_penalty = 10 * ONE + 1,
            ErrorCode::RepeatPenalty,
        ),
    ] {
        assert_eq!(params(change).unwrap_err().code, code);
    }
}

#[test]
fn a_fine_tuning_has_its_limits_and_a_bound_of_its_tokens() {
    let params = TrainParams::default();
    assert_eq!(params.check(), Ok(()));
    type Change = fn(&mut TrainParams, u32);
    let cases: [(Change, ErrorCode, u32); 5] = [
        (|p, v| p.rank = v, ErrorCode::TrainRank, 64),
        (|p, v| p.alpha = v, ErrorCode::TrainAlpha, 1024 * ONE),
        (|p, v| p.epochs = v, ErrorCode::TrainEpochs, 100),
        (|p, v| p.rate = v, ErrorCode::TrainRate, 1_000_000_000),
        (|p, v| p.targets = v, ErrorCode::TrainTargets, 2),
    ];
    for (change, code, limit) in cases {
        let with = |value| {
            let mut params = params;
            change(&mut params, value);
            params.check()
        };
        assert_eq!(with(1), Ok(()));
        assert_eq!(with(limit), Ok(()));
        for value in [0, limit + 1] {
            let failure = Failure::over(code, u64::from(value), u64::from(limit));
            assert_eq!(with(value), Err(failure));
        }
    }
    // Two lines, the last without a line break, three epochs.
    assert_eq!(params.most_tokens(10, 1), 3 * (10 + 2 * 3));
    assert_eq!(params.most_tokens(u64::MAX, u64::MAX), u64::MAX);
}
