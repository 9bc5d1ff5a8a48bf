//! Why audit refused a request, or why it failed: the protocol's numbers, and their names.

use client::ErrorCode;
use core::ffi::CStr;
use sel4_llm_client as client;

/// Why a request was refused or failed: the numbers in `sel4_llm_failure_t`. A later audit may send others, so a
/// `switch` over them needs a `default`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sel4_llm_code_t {
    /// The prompt is empty.
    SEL4_LLM_CODE_EMPTY_PROMPT = 1,
    /// `value` bytes of prompt, `limit` allowed.
    SEL4_LLM_CODE_PROMPT_BYTES = 2,
    /// `value` tokens of prompt, `limit` allowed.
    SEL4_LLM_CODE_PROMPT_TOKENS = 3,
    /// The prompt is not UTF-8; `value` is the offset of the first wrong byte.
    SEL4_LLM_CODE_PROMPT_NOT_UTF8 = 4,
    /// `value` tokens to generate asked for, 1 to `limit` allowed.
    SEL4_LLM_CODE_MAX_TOKENS = 5,
    /// A temperature of `value` millionths, at most `limit` allowed.
    SEL4_LLM_CODE_TEMPERATURE = 6,
    /// A top-k of `value`, at most `limit` allowed.
    SEL4_LLM_CODE_TOP_K = 7,
    /// A top-p of `value` millionths, at most `limit` allowed.
    SEL4_LLM_CODE_TOP_P = 8,
    /// A min-p of `value` millionths, at most `limit` allowed.
    SEL4_LLM_CODE_MIN_P = 9,
    /// A repetition penalty of `value` millionths; at least 1, at most `limit` allowed.
    SEL4_LLM_CODE_REPEAT_PENALTY = 10,
    /// `value` requests are active, `limit` allowed.
    SEL4_LLM_CODE_TOO_MANY_REQUESTS = 11,
    /// Audit's ring to inference is full: `value` of `limit` slots are in use.
    SEL4_LLM_CODE_BUSY = 12,
    /// There is no active request with this number.
    SEL4_LLM_CODE_NO_SUCH_REQUEST = 13,
    /// The session has a request in flight.
    SEL4_LLM_CODE_SESSION_BUSY = 14,
    /// The session was evicted to make room for others; it had `value` turns.
    SEL4_LLM_CODE_SESSION_EVICTED = 15,
    /// The session ended because inference was restarted or loaded another model, or because a turn that had begun
    /// failed; it had `value` turns, including the failed one.
    SEL4_LLM_CODE_SESSION_LOST = 16,
    /// The user has `value` sessions, `limit` allowed.
    SEL4_LLM_CODE_TOO_MANY_SESSIONS = 17,
    /// The user has no session of this name.
    SEL4_LLM_CODE_NO_SUCH_SESSION = 18,
    /// Invalid name: it must be visible ASCII without quotes, of a length within its limit.
    SEL4_LLM_CODE_BAD_NAME = 19,

    /// No model is loaded.
    SEL4_LLM_CODE_NO_MODEL = 20,
    /// The store holds no model of this name.
    SEL4_LLM_CODE_NO_SUCH_MODEL = 21,
    /// The name has `value` bytes, 1 to `limit` allowed.
    SEL4_LLM_CODE_NAME_LENGTH = 22,
    /// The file is not a valid GGUF file; the detail says where. `value` is the offset or the wrong number, if there is
    /// one.
    SEL4_LLM_CODE_BAD_MODEL = 23,
    /// The file uses a feature that the engine does not support; the detail names it.
    SEL4_LLM_CODE_UNSUPPORTED_MODEL = 24,
    /// The model needs `value` bytes, the arena has `limit`.
    SEL4_LLM_CODE_MODEL_TOO_LARGE = 25,
    /// The store is not a tar archive.
    SEL4_LLM_CODE_BAD_STORE = 26,
    /// A model is being loaded, or a request is active that needs the loaded one.
    SEL4_LLM_CODE_MODEL_IN_USE = 27,
    /// The store has no signature for the model.
    SEL4_LLM_CODE_UNSIGNED = 28,
    /// The model's signature matches no key that the policy trusts, or the file was changed.
    SEL4_LLM_CODE_BAD_SIGNATURE = 29,

    /// The session's context of `limit` tokens has no room for `value`.
    SEL4_LLM_CODE_CONTEXT_FULL = 30,
    /// A value in the computation was not finite.
    SEL4_LLM_CODE_NON_FINITE = 31,
    /// The KV cache has `limit` positions free, `value` were needed.
    SEL4_LLM_CODE_CACHE_FULL = 32,

    /// It took longer than `limit` microseconds and was stopped.
    SEL4_LLM_CODE_DEADLINE = 40,
    /// Inference died with a fault while it had the request.
    SEL4_LLM_CODE_INFERENCE_FAULT = 41,
    /// Inference broke the protocol and was restarted.
    SEL4_LLM_CODE_PROTOCOL_VIOLATION = 42,
    /// Inference did not stop when asked and was restarted.
    SEL4_LLM_CODE_UNRESPONSIVE = 43,
    /// The receiver does not know this request.
    SEL4_LLM_CODE_UNSUPPORTED = 44,
    /// Inference was restarted `value` times within `limit` microseconds: audit has stopped trying.
    SEL4_LLM_CODE_RESTARTS_EXHAUSTED = 45,
    /// The kernel refused to stop inference (`value` 1) or to restart it (`value` 2); audit leaves it alone.
    SEL4_LLM_CODE_CONTROL_REFUSED = 46,

    /// The user's role does not allow it; `value` is the permission, one bit.
    SEL4_LLM_CODE_NOT_PERMITTED = 50,
    /// `value` tokens may be needed, `limit` are left of the user's budget in this period.
    SEL4_LLM_CODE_QUOTA_EXCEEDED = 51,
    /// User or passphrase is wrong; another try is possible in `value` microseconds.
    SEL4_LLM_CODE_LOGIN_FAILED = 52,
    /// Too soon after another login, especially a failed one: `value` microseconds to wait.
    SEL4_LLM_CODE_LOGIN_DELAYED = 53,
    /// The policy has no user of this name.
    SEL4_LLM_CODE_NO_SUCH_USER = 54,
    /// The policy is invalid, so nobody may do anything; `value` is the reason.
    SEL4_LLM_CODE_BAD_POLICY = 55,
    /// A budget of `value` tokens, at most `limit` allowed.
    SEL4_LLM_CODE_BUDGET_TOKENS = 56,
    /// A period of `value` microseconds, 1 s to `limit` allowed.
    SEL4_LLM_CODE_BUDGET_PERIOD = 57,
    /// The passphrase has `value` bytes, at most `limit` allowed.
    SEL4_LLM_CODE_PASSPHRASE_LENGTH = 58,
    /// A login without a passphrase, for a user who has one or does not exist. It does not count as a failed attempt:
    /// the same request may follow at once with a passphrase.
    SEL4_LLM_CODE_PASSPHRASE_NEEDED = 59,
    /// The user cancelled it before it was complete.
    SEL4_LLM_CODE_CANCELLED = 60,
    /// The user's share of the audit log is used up: `value` bytes may be needed, `limit` are available until more
    /// accrue.
    SEL4_LLM_CODE_LOG_SHARE = 61,
    /// The policy lists no client on the channel that the request came from, so that client may do nothing.
    SEL4_LLM_CODE_UNKNOWN_CLIENT = 62,
    /// The client always runs as one user: the policy does not let it log in.
    SEL4_LLM_CODE_NO_LOGIN = 63,
    /// The user belongs to another client, so nobody else can log in as that user.
    SEL4_LLM_CODE_CLIENTS_USER = 64,

    /// There is no adapter of this name, in the store or made on this device.
    SEL4_LLM_CODE_NO_SUCH_ADAPTER = 70,
    /// The store has no training data of this name.
    SEL4_LLM_CODE_NO_SUCH_DATA = 71,
    /// There is an adapter of this name, but it is not loaded.
    SEL4_LLM_CODE_ADAPTER_NOT_LOADED = 72,
    /// The session began with another adapter, or with none.
    SEL4_LLM_CODE_OTHER_ADAPTER = 73,
    /// `value` adapters are loaded, or made on this device and kept; `limit` allowed.
    SEL4_LLM_CODE_TOO_MANY_ADAPTERS = 74,
    /// An adapter has this name already.
    SEL4_LLM_CODE_ADAPTER_EXISTS = 75,
    /// `value` requests in flight use the adapter.
    SEL4_LLM_CODE_ADAPTER_IN_USE = 76,
    /// The file is not an adapter for the loaded model; the detail says why.
    SEL4_LLM_CODE_BAD_ADAPTER = 77,
    /// Model and adapters would need `value` bytes, the arena has `limit`.
    SEL4_LLM_CODE_ADAPTER_TOO_LARGE = 78,
    /// The adapter was made for another model.
    SEL4_LLM_CODE_OTHER_BASE = 79,
    /// An adapter of `value` bytes was made, but only `limit` bytes are free for adapters.
    SEL4_LLM_CODE_ADAPTER_ROOM = 80,
    /// The adapter comes from the store, so there is nothing to export.
    SEL4_LLM_CODE_NOT_OF_DEVICE = 81,
    /// The policy gives this device no key to sign an adapter with.
    SEL4_LLM_CODE_NO_DEVICE_KEY = 82,
    /// A fine-tuning job is running. There is one at a time; while it runs, models and adapters cannot change, and if
    /// memory is short, requests for text are refused.
    SEL4_LLM_CODE_TRAINING = 83,
    /// The fine-tuning job fits in memory only on its own, and `value` requests are in flight.
    SEL4_LLM_CODE_TRAIN_ALONE = 84,
    /// The fine-tuning job needs `value` bytes, `limit` are free; the detail says what would fit.
    SEL4_LLM_CODE_TRAIN_MEMORY = 85,
    /// A rank of `value`, 1 to `limit` allowed.
    SEL4_LLM_CODE_TRAIN_RANK = 86,
    /// An alpha of `value` millionths; above 0, at most `limit` allowed.
    SEL4_LLM_CODE_TRAIN_ALPHA = 87,
    /// `value` epochs, 1 to `limit` allowed.
    SEL4_LLM_CODE_TRAIN_EPOCHS = 88,
    /// A learning rate of `value` billionths; above 0, at most `limit` allowed.
    SEL4_LLM_CODE_TRAIN_RATE = 89,
    /// Target set `value`, 1 (attention) to `limit` (all) allowed.
    SEL4_LLM_CODE_TRAIN_TARGETS = 90,
    /// Line `value` of the data is not a valid example; the detail says why.
    SEL4_LLM_CODE_BAD_DATA = 91,
    /// The data holds no examples.
    SEL4_LLM_CODE_EMPTY_DATA = 92,
    /// `value` bytes of data, `limit` allowed.
    SEL4_LLM_CODE_DATA_TOO_LONG = 93,
    /// An example of `value` tokens, the context has `limit`; the detail says in which line.
    SEL4_LLM_CODE_DATA_CONTEXT = 94,
    /// An example of `value` bytes, 1 to `limit` allowed.
    SEL4_LLM_CODE_EXAMPLE_BYTES = 95,
    /// The example is not one line of UTF-8; `value` is the offset of the first wrong byte.
    SEL4_LLM_CODE_BAD_EXAMPLE = 96,
    /// With this example, the examples would take `value` bytes; there is room for `limit`.
    SEL4_LLM_CODE_EXAMPLES_FULL = 97,
    /// The policy has no format of this name.
    SEL4_LLM_CODE_UNKNOWN_FORMAT = 110,
    /// The policy does not allow this user's role, or the client, to use this format or choices of its own.
    SEL4_LLM_CODE_FORMAT_NOT_ALLOWED = 111,
    /// The policy requires a format for requests by the user's role, or from the client.
    SEL4_LLM_CODE_FORMAT_NEEDED = 112,
    /// Stop strings were given with a format or choices, which already determine where an answer ends.
    SEL4_LLM_CODE_FORMAT_AND_STOPS = 113,
    /// Both a format and choices were given; a request may have only one.
    SEL4_LLM_CODE_FORMAT_AND_CHOICES = 114,
    /// The model's vocabulary cannot spell the format.
    SEL4_LLM_CODE_FORMAT_NOT_SPELLED = 115,
    /// The format's shortest answer takes `value` tokens, `limit` may be generated. Clients get 0 as `value`: only the
    /// log has the number.
    SEL4_LLM_CODE_FORMAT_TOO_LONG = 116,
    /// Inference violated the answer's format, or ended it too soon. The offending text is not shown.
    SEL4_LLM_CODE_FORMAT_BREACH = 117,
    /// Inference continued past a stop string. The offending text is not shown.
    SEL4_LLM_CODE_STOP_BREACH = 118,
    /// The model has no chat template, so it only completes texts.
    SEL4_LLM_CODE_NO_TEMPLATE = 119,
    /// The model's chat template does not support system text.
    SEL4_LLM_CODE_NO_SYSTEM = 120,
    /// `value` segments, `limit` allowed.
    SEL4_LLM_CODE_SEGMENTS = 121,
    /// Segment `value` (from 1) has the wrong role. User and assistant alternate, after an optional system text, and
    /// the user is last. A session that continues takes no system text.
    SEL4_LLM_CODE_SEGMENT_ROLE = 122,
    /// The chat template cannot represent the text of segment `value` (from 1); the detail says why.
    SEL4_LLM_CODE_SEGMENT_TEXT = 123,
    /// `value` stop strings, `limit` allowed.
    SEL4_LLM_CODE_STOP_STRINGS = 124,
    /// A stop string of `value` bytes, 1 to `limit` allowed.
    SEL4_LLM_CODE_STOP_BYTES = 125,
    /// `value` choices, `limit` allowed.
    SEL4_LLM_CODE_CHOICES = 126,
    /// The choices take `value` bytes together, with a separator between each two; `limit` allowed.
    SEL4_LLM_CODE_CHOICES_BYTES = 127,
    /// Choice `value` (from 1) is empty.
    SEL4_LLM_CODE_CHOICE_EMPTY = 128,
    /// Choice `value` (from 1) is a duplicate.
    SEL4_LLM_CODE_CHOICE_TWICE = 129,
    /// Choice `value` (from 1) contains a line feed.
    SEL4_LLM_CODE_CHOICE_LINE_FEED = 130,
    /// There is no disk, or this system does not support one.
    SEL4_LLM_CODE_NO_DISK = 131,
    /// The disk has no readable file system; `value` is its number of sectors, if it is too small for one.
    SEL4_LLM_CODE_NO_FILE_SYSTEM = 132,
    /// The disk's file system is damaged; `value` is where, if that is known.
    SEL4_LLM_CODE_DISK_DAMAGED = 133,
    /// The disk reports an error; `value` is the sector.
    SEL4_LLM_CODE_DISK_FAILED = 134,
    /// The disk has no file of this name.
    SEL4_LLM_CODE_NO_SUCH_FILE = 135,
    /// The path is a folder where a file is needed, or no file can have this name.
    SEL4_LLM_CODE_BAD_PATH = 136,
    /// There is no room on the disk.
    SEL4_LLM_CODE_DISK_FULL = 137,
    /// The disk is read-only.
    SEL4_LLM_CODE_DISK_READ_ONLY = 138,
    /// There are more files and folders than are listed; `value` is how many are listed.
    SEL4_LLM_CODE_TOO_MANY_FILES = 139,
    /// Files cannot do what it was asked to do.
    SEL4_LLM_CODE_FILES_FAILED = 140,
    /// Files has not answered within `limit` microseconds, so audit asks it nothing more.
    SEL4_LLM_CODE_FILES_SILENT = 141,
    /// Files has sent `value` answers to nothing that audit asked; after `limit` of them, audit asks it nothing more.
    SEL4_LLM_CODE_FILES_BREACH = 142,
    /// A file of `value` bytes; there is room for `limit`.
    SEL4_LLM_CODE_FILE_TOO_LARGE = 143,
    /// The file had `limit` bytes when it was opened, and `value` when it was read.
    SEL4_LLM_CODE_FILE_CHANGED = 144,
    /// The audit log's file is fragmented: it must lie in one piece.
    SEL4_LLM_CODE_LOG_SCATTERED = 145,
    /// The audit log's file has `value` bytes: not whole sectors, too few or too many.
    SEL4_LLM_CODE_LOG_FILE_SIZE = 146,
    /// `value` models of the disk are not listed: their names are invalid, or there are too many.
    SEL4_LLM_CODE_FILES_SKIPPED = 147,
    /// The audit log cannot be written to the disk, and the policy admits nothing without it; `value` is the code of
    /// the reason.
    SEL4_LLM_CODE_LOG_LOST = 150,
    /// The audit log's file holds something that is not a log.
    SEL4_LLM_CODE_LOG_GARBAGE = 151,
    /// The log on the disk belongs to another device.
    SEL4_LLM_CODE_LOG_OTHER_DEVICE = 152,
    /// The log on the disk was begun in a file of `value` sectors; the file now has `limit`.
    SEL4_LLM_CODE_LOG_OTHER_SIZE = 153,
    /// Log entries come faster than the disk can take them.
    SEL4_LLM_CODE_LOG_BEHIND = 154,
}

/// The name of each code, as a C string. The match makes sure that none is missing.
macro_rules! names {
    ($($Code:ident)*) => {
        pub(crate) const fn name(code: ErrorCode) -> &'static CStr {
            match code {
                $(ErrorCode::$Code => {
                    match CStr::from_bytes_with_nul(concat!(stringify!($Code), "\0").as_bytes()) {
                        Ok(name) => name,
                        // Names have no zeros.
                        Err(_) => c"",
                    }
                })*
            }
        }
    };
}

names! {
    EmptyPrompt PromptBytes PromptTokens PromptNotUtf8 MaxTokens Temperature
    TopK TopP MinP RepeatPenalty TooManyRequests Busy
    NoSuchRequest SessionBusy SessionEvicted SessionLost TooManySessions NoSuchSession
    BadName NoModel NoSuchModel NameLength BadModel UnsupportedModel
    ModelTooLarge BadStore ModelInUse Unsigned BadSignature ContextFull
    NonFinite CacheFull Deadline InferenceFault ProtocolViolation Unresponsive
    Unsupported RestartsExhausted ControlRefused NotPermitted QuotaExceeded LoginFailed
    LoginDelayed NoSuchUser BadPolicy BudgetTokens BudgetPeriod PassphraseLength
    PassphraseNeeded Cancelled LogShare UnknownClient NoLogin ClientsUser
    NoSuchAdapter NoSuchData AdapterNotLoaded OtherAdapter TooManyAdapters AdapterExists AdapterInUse
    BadAdapter AdapterTooLarge OtherBase AdapterRoom NotOfDevice NoDeviceKey Training TrainAlone TrainMemory
    TrainRank TrainAlpha TrainEpochs TrainRate TrainTargets BadData EmptyData DataTooLong DataContext
    ExampleBytes BadExample ExamplesFull
    UnknownFormat FormatNotAllowed FormatNeeded FormatAndStops FormatAndChoices FormatNotSpelled FormatTooLong
    FormatBreach StopBreach NoTemplate NoSystem Segments SegmentRole SegmentText StopStrings StopBytes
    Choices ChoicesBytes ChoiceEmpty ChoiceTwice ChoiceLineFeed
    NoDisk NoFileSystem DiskDamaged DiskFailed NoSuchFile BadPath DiskFull DiskReadOnly
    TooManyFiles FilesFailed FilesSilent FilesBreach FileTooLarge FileChanged LogScattered LogFileSize FilesSkipped
    LogLost LogGarbage LogOtherDevice LogOtherSize LogBehind
}
