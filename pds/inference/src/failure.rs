//! Converts the engine's errors to those of the protocol: a code, a value, a limit, and for people the name of what was
//! wrong.

use core::fmt::Write as _;
use llm_core::chat::ChatError;
use llm_core::constrain::FormatError;
use llm_core::generate::GenerateError;
use llm_core::gguf::GgufError;
use llm_core::tokenizer::VocabularyError;
use llm_core::transformer::training::{Fits, MAX_DATA_BYTES, TrainError};
use llm_core::transformer::{AdapterError, LoadError};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_GENERATED_TOKENS, MAX_PIECE_BYTES, MAX_SEGMENTS};

/// Text about a failure, cut to the size of an event.
pub(crate) type Detail = heapless::String<MAX_PIECE_BYTES>;

/// A writer that truncates instead of failing, because a truncated message is better than none.
struct Cut<'d>(&'d mut Detail);

impl core::fmt::Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for character in text.chars() {
            self.0.push(character).map_err(|_| core::fmt::Error)?;
        }
        Ok(())
    }
}

/// Why a model was not loaded.
pub(crate) fn of_load(error: &LoadError, file_bytes: usize) -> (Failure, Detail) {
    let mut detail = Detail::new();
    // It truncates and never fails.
    let _ = write!(Cut(&mut detail), "{error}");
    let failure = match error {
        LoadError::TooLarge(plan) => {
            detail.clear();
            let _ = write!(
                Cut(&mut detail),
                "weights {}, KV cache {}, activations {}, vocabulary {}; largest context that \
                 fits: {}",
                plan.weights,
                plan.kv_cache,
                plan.activations,
                plan.vocabulary,
                plan.largest_context
            );
            Failure::over(ErrorCode::ModelTooLarge, plan.total(), plan.capacity)
        }
        // The file is not damaged, but of another kind.
        LoadError::Gguf(error) if error.is_other_file() && *error != GgufError::NotGguf => {
            Failure::of(ErrorCode::UnsupportedModel)
        }
        LoadError::Architecture(_)
        | LoadError::Key(_)
        | LoadError::Gguf(GgufError::Uneven { .. })
        | LoadError::Vocabulary(
            VocabularyError::Key(_)
            | VocabularyError::UnsupportedTokenizer { .. }
            | VocabularyError::UnsupportedPreTokenizer { .. },
        )
        | LoadError::Items { .. }
        | LoadError::Method { .. }
        | LoadError::Value { .. }
        | LoadError::NotPositive(_)
        | LoadError::NotTruths(_)
        | LoadError::Type { .. }
        | LoadError::UnknownTensor(_) => Failure::of(ErrorCode::UnsupportedModel),
        LoadError::Gguf(_)
        | LoadError::Vocabulary(_)
        | LoadError::Scaffold(_)
        | LoadError::Shape { .. }
        | LoadError::NonFinite(_)
        | LoadError::Arena(_) => Failure::over(ErrorCode::BadModel, file_bytes as u64, 0),
    };
    (failure, detail)
}

/// Why a generation was refused or failed.
pub(crate) fn of_generate(error: GenerateError) -> Failure {
    let over = |code, value: usize, limit: usize| Failure::over(code, value as u64, limit as u64);
    match error {
        GenerateError::NoModel => Failure::of(ErrorCode::NoModel),
        GenerateError::NoSuchClient { .. } => Failure::of(ErrorCode::UnknownClient),
        GenerateError::NoSuchSession { .. } => Failure::of(ErrorCode::NoSuchSession),
        GenerateError::NoSuchAdapter { .. } => Failure::of(ErrorCode::NoSuchAdapter),
        GenerateError::OtherAdapter => Failure::of(ErrorCode::OtherAdapter),
        GenerateError::Training => Failure::of(ErrorCode::Training),
        GenerateError::Busy => Failure::of(ErrorCode::SessionBusy),
        // The session was evicted, and audit does not know yet. Otherwise it would not ask.
        GenerateError::NothingThere => Failure::of(ErrorCode::SessionEvicted),
        GenerateError::CacheFull(full) => over(ErrorCode::CacheFull, full.needed, full.free),
        GenerateError::EmptyPrompt => Failure::of(ErrorCode::EmptyPrompt),
        GenerateError::NoTokens => {
            Failure::over(ErrorCode::MaxTokens, 0, u64::from(MAX_GENERATED_TOKENS))
        }
        GenerateError::PromptBytes { bytes, limit } => over(ErrorCode::PromptBytes, bytes, limit),
        GenerateError::PromptTokens { tokens, limit } => {
            over(ErrorCode::PromptTokens, tokens, limit)
        }
        GenerateError::ContextFull { tokens, limit } => over(ErrorCode::ContextFull, tokens, limit),
        GenerateError::NotUtf8 { offset } => over(ErrorCode::PromptNotUtf8, offset, 0),
        GenerateError::NoToken { byte } => over(ErrorCode::UnsupportedModel, usize::from(byte), 0),
        GenerateError::NoTemplate => Failure::of(ErrorCode::NoTemplate),
        GenerateError::Chat(error) => of_chat(error),
        // Audit has checked for it.
        GenerateError::FormatAndStops => Failure::of(ErrorCode::FormatAndStops),
        GenerateError::Format(error) => match error {
            FormatError::NoSuchFormat { .. } => Failure::of(ErrorCode::UnknownFormat),
            FormatError::NotSpelled => Failure::of(ErrorCode::FormatNotSpelled),
            FormatError::TooLong { tokens, limit } => over(ErrorCode::FormatTooLong, tokens, limit),
        },
        GenerateError::FormatStuck => Failure::of(ErrorCode::FormatNotSpelled),
        GenerateError::NonFinite => Failure::of(ErrorCode::NonFinite),
    }
}

/// Why a conversation is refused.
fn of_chat(error: ChatError) -> Failure {
    let over = |code, value: usize, limit: usize| Failure::over(code, value as u64, limit as u64);
    match error {
        ChatError::Segments { segments } => over(ErrorCode::Segments, segments, MAX_SEGMENTS),
        ChatError::Order { segment, .. } => over(ErrorCode::SegmentRole, segment, 0),
        // It is the first segment that is wrong.
        ChatError::LateSystem => over(ErrorCode::SegmentRole, 1, 0),
        ChatError::NoSystem => Failure::of(ErrorCode::NoSystem),
        ChatError::Blank { segment } | ChatError::Refused { segment, .. } => {
            over(ErrorCode::SegmentText, segment, 0)
        }
        ChatError::TooLong { bytes, limit } => over(ErrorCode::PromptBytes, bytes, limit),
        ChatError::Tokenize(error) => of_generate(error.into()),
    }
}

/// Details for people, in addition to the code, of why a generation was refused.
pub(crate) fn detail_of_generate(error: &GenerateError) -> Detail {
    let mut detail = Detail::new();
    if let GenerateError::Chat(error @ (ChatError::Blank { .. } | ChatError::Refused { .. })) =
        error
    {
        // It truncates and never fails.
        let _ = write!(Cut(&mut detail), "{error}");
    }
    detail
}

/// Why an adapter could not be loaded or dropped.
pub(crate) fn of_adapter(error: &AdapterError) -> (Failure, Detail) {
    let mut detail = Detail::new();
    // It truncates and never fails.
    let _ = write!(Cut(&mut detail), "{error}");
    let failure = match error {
        AdapterError::NoModel => Failure::of(ErrorCode::NoModel),
        AdapterError::NoSuchAdapter(_) => Failure::of(ErrorCode::NoSuchAdapter),
        AdapterError::Taken(_) | AdapterError::Busy => Failure::of(ErrorCode::AdapterInUse),
        AdapterError::Training => Failure::of(ErrorCode::Training),
        AdapterError::OtherBase => Failure::of(ErrorCode::OtherBase),
        AdapterError::TooLarge(plan) => {
            Failure::over(ErrorCode::AdapterTooLarge, plan.total(), plan.capacity)
        }
        AdapterError::Gguf(_)
        | AdapterError::NoAdapter { .. }
        | AdapterError::Architecture { .. }
        | AdapterError::Key(_)
        | AdapterError::BadDigest
        | AdapterError::Alpha
        | AdapterError::UnknownTensor(_)
        | AdapterError::Half(_)
        | AdapterError::Rank { .. }
        | AdapterError::Shape { .. }
        | AdapterError::Type { .. }
        | AdapterError::NonFinite(_)
        | AdapterError::Empty
        | AdapterError::Arena(_) => Failure::of(ErrorCode::BadAdapter),
    };
    (failure, detail)
}

/// Why the training of an adapter did not start or failed.
pub(crate) fn of_train(error: &TrainError) -> (Failure, Detail) {
    let mut detail = Detail::new();
    let over = Failure::over;
    let failure = match error {
        TrainError::Memory {
            needed,
            free,
            tokens,
            longest,
            rank,
        } => {
            let _ = write!(
                Cut(&mut detail),
                "the longest example has {tokens} tokens; {}",
                Fits {
                    longest: *longest,
                    rank: *rank
                }
            );
            return (over(ErrorCode::TrainMemory, *needed, *free), detail);
        }
        TrainError::NoModel => Failure::of(ErrorCode::NoModel),
        TrainError::Busy => Failure::of(ErrorCode::Training),
        // Audit has checked the parameters.
        TrainError::Parameter { .. } => Failure::of(ErrorCode::Unsupported),
        TrainError::Empty => Failure::of(ErrorCode::EmptyData),
        TrainError::TooLong { bytes } => {
            over(ErrorCode::DataTooLong, *bytes as u64, MAX_DATA_BYTES as u64)
        }
        TrainError::NotUtf8 { line }
        | TrainError::Malformed { line, .. }
        | TrainError::TextTooLong { line, .. }
        | TrainError::NoToken { line, .. } => over(ErrorCode::BadData, u64::from(*line), 0),
        TrainError::Context { tokens, limit, .. } => {
            over(ErrorCode::DataContext, *tokens as u64, *limit as u64)
        }
        TrainError::Requests { requests } => over(ErrorCode::TrainAlone, *requests as u64, 0),
        TrainError::NonFinite { .. } => Failure::of(ErrorCode::NonFinite),
        TrainError::Arena(_) => Failure::of(ErrorCode::Unsupported),
        TrainError::Unsupported(_) => Failure::of(ErrorCode::UnsupportedModel),
    };
    // It truncates and never fails.
    let _ = write!(Cut(&mut detail), "{error}");
    (failure, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use llm_core::gguf::{Foreign, KeyError, name};
    use llm_core::transformer::Plan;
    use std::string::ToString as _;

    #[test]
    fn what_is_no_model_that_can_run_is_not_called_damaged_and_says_what_it_is() {
        let key = name("llama.attention.sliding_window");
        for (error, said) in [
            (
                LoadError::Gguf(GgufError::Foreign(Foreign::LfsPointer)),
                "git lfs pull",
            ),
            (LoadError::Gguf(GgufError::BigEndian), "big-endian"),
            (
                LoadError::Gguf(GgufError::Split { part: 1, parts: 2 }),
                "part 1 of 2",
            ),
            (LoadError::Key(KeyError::Unknown(key)), "sliding_window"),
        ] {
            let (failure, detail) = of_load(&error, 99);
            assert_eq!(failure, Failure::of(ErrorCode::UnsupportedModel));
            assert_eq!(detail.as_str(), error.to_string(), "not cut");
            assert!(detail.contains(said), "{detail}");
        }
        let (failure, _) = of_load(&LoadError::Gguf(GgufError::NotGguf), 99);
        assert_eq!(failure, Failure::over(ErrorCode::BadModel, 99, 0));
    }

    #[test]
    fn a_vocabulary_that_does_not_fit_is_refused_with_what_it_takes() {
        let plan = Plan {
            vocabulary: 5_600_000,
            activations: 2_200_000,
            capacity: 1 << 22,
            ..Plan::default()
        };
        let (failure, detail) = of_load(&LoadError::TooLarge(plan), 99);
        assert_eq!(
            failure,
            Failure::over(ErrorCode::ModelTooLarge, 7_800_000, 1 << 22)
        );
        assert!(detail.contains("vocabulary 5600000"), "{detail}");
    }
}
