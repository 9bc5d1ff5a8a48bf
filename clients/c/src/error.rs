//! The result of a function.

use client::{ErrorCode, SubmitError};
use core::ffi::CStr;
use sel4_llm_client as client;

/// The result of a function. Unless it is `SEL4_LLM_OK`, the call has done nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sel4_llm_error_t {
    /// It was done.
    SEL4_LLM_OK = 0,
    /// `sel4_llm_poll`: there are no more events. Wait for audit's next signal.
    SEL4_LLM_NOTHING = 1,

    /// Audit does not serve this client yet. Try again when it signals.
    SEL4_LLM_NOT_CONNECTED = 10,
    /// Audit has not read earlier messages yet. Try again when it signals.
    SEL4_LLM_FULL = 11,
    /// `SEL4_LLM_MAX_IN_FLIGHT` requests are in flight. Try again when one of them has ended.
    SEL4_LLM_TOO_MANY_IN_FLIGHT = 12,

    /// Audit was built from another version of the protocol. Build both from the same tree.
    SEL4_LLM_OTHER_VERSION = 20,
    /// Audit's region has an impossible index. Nothing can be sent until that changes.
    SEL4_LLM_BROKEN_RING = 21,

    /// The prompt is empty.
    SEL4_LLM_PROMPT_EMPTY = 30,
    /// The prompt has more than `SEL4_LLM_MAX_PROMPT_BYTES` bytes.
    SEL4_LLM_PROMPT_TOO_LONG = 31,
    /// The prompt is not UTF-8.
    SEL4_LLM_PROMPT_NOT_UTF8 = 32,
    /// `max_tokens` is not from 1 to `SEL4_LLM_MAX_TOKENS`.
    SEL4_LLM_BAD_MAX_TOKENS = 33,
    /// `temperature` is over 10 (10,000,000 millionths).
    SEL4_LLM_BAD_TEMPERATURE = 34,
    /// `top_k` is over 1,000,000.
    SEL4_LLM_BAD_TOP_K = 35,
    /// `top_p` is over 1 (1,000,000 millionths).
    SEL4_LLM_BAD_TOP_P = 36,
    /// `min_p` is over 1 (1,000,000 millionths).
    SEL4_LLM_BAD_MIN_P = 37,
    /// `repeat_penalty` is not from 1 to 10 (1,000,000 to 10,000,000 millionths).
    SEL4_LLM_BAD_REPEAT_PENALTY = 38,
    /// The session's name is longer than `SEL4_LLM_MAX_SESSION_BYTES`, or is not visible ASCII without quotes and backslash.
    SEL4_LLM_BAD_SESSION = 39,
    /// No request with this number is in flight: it has ended, or was never made.
    SEL4_LLM_NO_SUCH_REQUEST = 40,
    /// The adapter's name is empty where one is required, is longer than `SEL4_LLM_MAX_MODEL_BYTES`, or is not visible
    /// ASCII without quotes and backslash.
    SEL4_LLM_BAD_ADAPTER = 41,
    /// The name of the data is empty, is longer than `SEL4_LLM_MAX_MODEL_BYTES`, or is not visible ASCII without quotes and backslash.
    SEL4_LLM_BAD_DATA = 42,
    /// `rank` is not from 1 to 64.
    SEL4_LLM_BAD_RANK = 43,
    /// `alpha` is 0 or over 1024 (1,024,000,000 millionths).
    SEL4_LLM_BAD_ALPHA = 44,
    /// `epochs` is not from 1 to 100.
    SEL4_LLM_BAD_EPOCHS = 45,
    /// `rate` is 0 or over 1 (1,000,000,000 billionths).
    SEL4_LLM_BAD_RATE = 46,
    /// `targets` is neither `SEL4_LLM_TARGETS_ATTENTION` nor `SEL4_LLM_TARGETS_ALL`.
    SEL4_LLM_BAD_TARGETS = 47,
    /// The format's name is longer than `SEL4_LLM_MAX_FORMAT_BYTES`, or is not visible ASCII without quotes and backslash.
    SEL4_LLM_BAD_FORMAT = 48,
    /// A segment has the wrong role. User and assistant alternate, after an optional system text, and the user is last.
    SEL4_LLM_BAD_ROLE = 49,
    /// The conversation has more than `SEL4_LLM_MAX_SEGMENTS` segments.
    SEL4_LLM_TOO_MANY_SEGMENTS = 63,
    /// There are more than `SEL4_LLM_MAX_STOPS` stop strings.
    SEL4_LLM_TOO_MANY_STOPS = 64,
    /// A stop string is empty, or longer than `SEL4_LLM_MAX_STOP_BYTES`.
    SEL4_LLM_BAD_STOP = 65,
    /// There are more than `SEL4_LLM_MAX_CHOICES` choices.
    SEL4_LLM_TOO_MANY_CHOICES = 66,
    /// The choices have more than `SEL4_LLM_MAX_CHOICES_BYTES` bytes together.
    SEL4_LLM_CHOICES_TOO_LONG = 67,
    /// A choice is empty, contains a line feed, or is a duplicate.
    SEL4_LLM_BAD_CHOICE = 68,
    /// Choices were given with a format, or stop strings with either.
    SEL4_LLM_FORMAT_NOT_ALONE = 69,
    /// A text of the example, or its line, is empty.
    SEL4_LLM_EXAMPLE_EMPTY = 60,
    /// A text of the example or its line is longer than `SEL4_LLM_MAX_EXAMPLE_BYTES`, or the line is longer than its
    /// buffer.
    SEL4_LLM_EXAMPLE_TOO_LONG = 61,
    /// A text of the example is not UTF-8.
    SEL4_LLM_EXAMPLE_NOT_UTF8 = 62,

    /// A pointer is null but must not be.
    SEL4_LLM_NULL_POINTER = 50,
    /// A pointer is misaligned for its type, or a region is not aligned to 8 bytes.
    SEL4_LLM_MISALIGNED = 51,
    /// Two of the client, the regions and the buffers overlap, or one reaches past the end of the address space.
    SEL4_LLM_OVERLAP = 52,
    /// The client's memory does not have `sizeof(sel4_llm_client_t)` bytes: header and library are of different
    /// versions.
    SEL4_LLM_CLIENT_SIZE = 53,
    /// A region does not have `SEL4_LLM_RING_BYTES` bytes. Correct its size in system.xml.
    SEL4_LLM_REGION_SIZE = 54,
    /// The client was not initialised, or has been moved since. Call `sel4_llm_init` first, and never copy a client.
    SEL4_LLM_NOT_INITIALISED = 55,
    /// The client is already initialised.
    SEL4_LLM_ALREADY_INITIALISED = 56,

    /// A bug in this library.
    SEL4_LLM_INTERNAL = 70,
}

pub(crate) use sel4_llm_error_t as Error;

/// The text of each error. The match makes sure that none is missing; `of` looks up a number from a caller.
macro_rules! texts {
    ($($error:ident: $text:literal;)*) => {
        impl Error {
            /// The error with this number.
            pub(crate) fn of(number: i32) -> Option<Self> {
                $(if number == Self::$error as i32 {
                    return Some(Self::$error);
                })*
                None
            }

            /// A description for people.
            pub(crate) const fn text(self) -> &'static CStr {
                match self {$(Self::$error => $text,)*}
            }
        }
    };
}

texts! {
    SEL4_LLM_OK: c"done";
    SEL4_LLM_NOTHING: c"audit has said nothing more";
    SEL4_LLM_NOT_CONNECTED: c"audit does not serve this client yet: try again when it signals";
    SEL4_LLM_FULL: c"audit has not read earlier messages yet: try again when it signals";
    SEL4_LLM_TOO_MANY_IN_FLIGHT: c"too many requests are in flight: try again when one has ended";
    SEL4_LLM_OTHER_VERSION: c"audit speaks another version of the protocol: build both from the same tree";
    SEL4_LLM_BROKEN_RING: c"audit's ring has an impossible index: nothing can be sent";
    SEL4_LLM_PROMPT_EMPTY: c"the prompt is empty";
    SEL4_LLM_PROMPT_TOO_LONG: c"the prompt has more than 8192 bytes";
    SEL4_LLM_PROMPT_NOT_UTF8: c"the prompt is not UTF-8";
    SEL4_LLM_BAD_MAX_TOKENS: c"max_tokens is not from 1 to 512";
    SEL4_LLM_BAD_TEMPERATURE: c"temperature is over 10000000 millionths";
    SEL4_LLM_BAD_TOP_K: c"top_k is over 1000000";
    SEL4_LLM_BAD_TOP_P: c"top_p is over 1000000 millionths";
    SEL4_LLM_BAD_MIN_P: c"min_p is over 1000000 millionths";
    SEL4_LLM_BAD_REPEAT_PENALTY: c"repeat_penalty is not from 1000000 to 10000000 millionths";
    SEL4_LLM_BAD_SESSION: c"the session's name is longer than 32 bytes, or not visible ASCII without quotes and backslash";
    SEL4_LLM_NO_SUCH_REQUEST: c"no request of this number is in flight";
    SEL4_LLM_BAD_ADAPTER: c"the adapter's name is empty, longer than 64 bytes, or not visible ASCII without quotes and backslash";
    SEL4_LLM_BAD_DATA: c"the name of the data is empty, longer than 64 bytes, or not visible ASCII without quotes and backslash";
    SEL4_LLM_BAD_RANK: c"rank is not from 1 to 64";
    SEL4_LLM_BAD_ALPHA: c"alpha is not from 1 to 1024000000 millionths";
    SEL4_LLM_BAD_EPOCHS: c"epochs is not from 1 to 100";
    SEL4_LLM_BAD_RATE: c"rate is not from 1 to 1000000000 billionths";
    SEL4_LLM_BAD_TARGETS: c"targets is neither SEL4_LLM_TARGETS_ATTENTION nor SEL4_LLM_TARGETS_ALL";
    SEL4_LLM_BAD_FORMAT: c"the format's name is longer than 32 bytes, or not visible ASCII without quotes and backslash";
    SEL4_LLM_BAD_ROLE: c"wrong roles: user and assistant alternate, after an optional system text, and the user is last";
    SEL4_LLM_TOO_MANY_SEGMENTS: c"the conversation has more than 16 segments";
    SEL4_LLM_TOO_MANY_STOPS: c"there are more than 4 stop strings";
    SEL4_LLM_BAD_STOP: c"a stop string is empty or longer than 64 bytes";
    SEL4_LLM_TOO_MANY_CHOICES: c"there are more than 32 choices";
    SEL4_LLM_CHOICES_TOO_LONG: c"the choices have more than 512 bytes together, counting one between each two";
    SEL4_LLM_BAD_CHOICE: c"a choice is empty, contains a line feed, or is a duplicate";
    SEL4_LLM_FORMAT_NOT_ALONE: c"a request can have only one of format, choices and stop strings";
    SEL4_LLM_EXAMPLE_EMPTY: c"the example is empty";
    SEL4_LLM_EXAMPLE_TOO_LONG: c"as a line of JSON, the example is longer than 8192 bytes or than its buffer";
    SEL4_LLM_EXAMPLE_NOT_UTF8: c"the example is not UTF-8";
    SEL4_LLM_NULL_POINTER: c"a pointer is null";
    SEL4_LLM_MISALIGNED: c"a pointer is misaligned for its type";
    SEL4_LLM_OVERLAP: c"two of the client, the regions and the buffers overlap";
    SEL4_LLM_CLIENT_SIZE: c"sizeof(sel4_llm_client_t) is not the library's: use the header that came with it";
    SEL4_LLM_REGION_SIZE: c"a ring's region does not have SEL4_LLM_RING_BYTES bytes: correct its size in system.xml";
    SEL4_LLM_NOT_INITIALISED: c"the client was not initialised by sel4_llm_init, or was copied";
    SEL4_LLM_ALREADY_INITIALISED: c"the client is already initialised";
    SEL4_LLM_INTERNAL: c"a bug in this library";
}

impl From<SubmitError> for Error {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::NotConnected => Self::SEL4_LLM_NOT_CONNECTED,
            SubmitError::OtherVersion { .. } => Self::SEL4_LLM_OTHER_VERSION,
            SubmitError::Full => Self::SEL4_LLM_FULL,
            SubmitError::TooManyInFlight => Self::SEL4_LLM_TOO_MANY_IN_FLIGHT,
            SubmitError::BrokenRing => Self::SEL4_LLM_BROKEN_RING,
            SubmitError::Invalid(failure) => Self::from(failure.code),
            // C cannot make this call.
            SubmitError::NotARequest => Self::SEL4_LLM_INTERNAL,
        }
    }
}

/// The error for a request that was refused before it was sent.
impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::EmptyPrompt => Self::SEL4_LLM_PROMPT_EMPTY,
            ErrorCode::PromptBytes => Self::SEL4_LLM_PROMPT_TOO_LONG,
            ErrorCode::PromptNotUtf8 => Self::SEL4_LLM_PROMPT_NOT_UTF8,
            ErrorCode::MaxTokens => Self::SEL4_LLM_BAD_MAX_TOKENS,
            ErrorCode::Temperature => Self::SEL4_LLM_BAD_TEMPERATURE,
            ErrorCode::TopK => Self::SEL4_LLM_BAD_TOP_K,
            ErrorCode::TopP => Self::SEL4_LLM_BAD_TOP_P,
            ErrorCode::MinP => Self::SEL4_LLM_BAD_MIN_P,
            ErrorCode::RepeatPenalty => Self::SEL4_LLM_BAD_REPEAT_PENALTY,
            ErrorCode::TrainRank => Self::SEL4_LLM_BAD_RANK,
            ErrorCode::TrainAlpha => Self::SEL4_LLM_BAD_ALPHA,
            ErrorCode::TrainEpochs => Self::SEL4_LLM_BAD_EPOCHS,
            ErrorCode::TrainRate => Self::SEL4_LLM_BAD_RATE,
            ErrorCode::TrainTargets => Self::SEL4_LLM_BAD_TARGETS,
            ErrorCode::ExampleBytes => Self::SEL4_LLM_EXAMPLE_TOO_LONG,
            ErrorCode::Segments => Self::SEL4_LLM_TOO_MANY_SEGMENTS,
            ErrorCode::SegmentRole => Self::SEL4_LLM_BAD_ROLE,
            ErrorCode::StopStrings => Self::SEL4_LLM_TOO_MANY_STOPS,
            ErrorCode::StopBytes => Self::SEL4_LLM_BAD_STOP,
            ErrorCode::Choices => Self::SEL4_LLM_TOO_MANY_CHOICES,
            ErrorCode::ChoicesBytes => Self::SEL4_LLM_CHOICES_TOO_LONG,
            ErrorCode::ChoiceEmpty | ErrorCode::ChoiceTwice | ErrorCode::ChoiceLineFeed => {
                Self::SEL4_LLM_BAD_CHOICE
            }
            ErrorCode::FormatAndStops | ErrorCode::FormatAndChoices => {
                Self::SEL4_LLM_FORMAT_NOT_ALONE
            }
            // Nothing is refused for another reason.
            _ => Self::SEL4_LLM_INTERNAL,
        }
    }
}
