//! What a request for text may ask for.

use crate::decimal::ONE;
use crate::error::{ErrorCode, Failure};
use crate::limits::MAX_PROMPT_BYTES;
use crate::wire::{InferParams, check_prompt};

extern crate std;
use std::vec;

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
    let long = vec![b'x'; MAX_PROMPT_BYTES + 1];
    assert_eq!(
        check_prompt(&long),
        Err(Failure::over(ErrorCode::PromptBytes, 8193, 8192))
    );
    assert_eq!(check_prompt(b""), Err(Failure::of(ErrorCode::EmptyPrompt)));
    assert_eq!(
        check_prompt(b"ab\xff"),
        Err(Failure::over(ErrorCode::PromptNotUtf8, 2, 0))
    );
    assert_eq!(check_prompt(b"ab"), Ok("ab"));
}
