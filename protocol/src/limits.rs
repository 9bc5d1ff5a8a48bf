//! The limits of the system, in one table. Exceeding one gives an error that names the limit and the value.

/// Longest prompt in bytes. Bounds the shell's line; 2048 tokens of
/// English are about this long.
pub const MAX_PROMPT_BYTES: usize = 8192;

/// Longest parts of a request for text in bytes ([`crate::wire::Parts`]): the longest prompt and its header. Every
/// further part uses 8 of these bytes besides its text.
pub const MAX_PARTS_BYTES: usize = MAX_PROMPT_BYTES + 8;

/// Maximum number of conversation segments in a request.
pub const MAX_SEGMENTS: usize = 16;

/// Maximum number of stop strings in a request.
pub const MAX_STOPS: usize = formats::MAX_STOPS;

/// Longest stop string, in bytes. That much of an answer may be held back, because it may become one.
pub const MAX_STOP_BYTES: usize = formats::MAX_STOP_BYTES;

/// Maximum number of tokens that a model's chat template may add to a conversation, whatever its segments. Inference
/// reports the number, and audit reserves it for each request.
pub const MAX_FIXED_TOKENS: u32 = 2048;

/// Maximum number of tokens that a model's chat template may add for each segment.
pub const MAX_SEGMENT_TOKENS: u32 = 64;

/// Longest name of a chat template, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 32;

/// Maximum number of choices in a request.
pub const MAX_CHOICES: usize = formats::MAX_CHOICES;

/// Maximum size of all choices together in bytes, with a separator between each two.
pub const MAX_CHOICES_BYTES: usize = formats::MAX_CHOICES_BYTES;

/// Longest name of a format, in bytes.
pub const MAX_FORMAT_BYTES: usize = formats::MAX_NAME_BYTES;

/// Longest prompt in tokens, or the model's context less one if that is smaller.
pub const MAX_PROMPT_TOKENS: usize = 2048;

/// Maximum number of tokens that a request may generate.
pub const MAX_GENERATED_TOKENS: u32 = 512;

/// Maximum number of requests admitted and not yet finished.
pub const MAX_SESSIONS: usize = 32;

/// Maximum number of client requests in flight: one per session, plus questions and loads.
pub const MAX_REQUESTS: usize = MAX_SESSIONS + 7;

/// Messages that a ring holds. Sixteen tokens in flight hide the latency of the slowest consumer, the UART.
pub const RING_SLOTS: usize = 16;

/// Maximum number of client messages that inference has not read: a ring's worth, less what audit needs for its own
/// load, for stops and for credit.
pub const CLIENT_COMMANDS: usize = RING_SLOTS - 4;

/// Time from admission to the last token, in microseconds (30 s). After that, audit asks inference to stop.
pub const INFERENCE_DEADLINE_US: u64 = 30_000_000;

/// How long loading a model may take, in microseconds (30 s). Emulated boards copy and check
/// 8 MiB in well under a tenth of this.
pub const LOAD_DEADLINE_US: u64 = 30_000_000;

/// Time for inference to answer a question about its state, in microseconds (10 s). It polls its ring between tokens,
/// so this is many tokens even on an emulated board.
pub const CONTROL_DEADLINE_US: u64 = 10_000_000;

/// Time after a deadline until inference is restarted if it has not stopped, in microseconds (250 ms); used by the
/// shipped policy and that of the tests. Every policy sets its own (`stop-grace`); this is not a fallback. Inference
/// checks its ring between halves of a block of the model, for 64 tokens at most. A smaller value would restart slow
/// but honest inference; one whose steps take longer than this is restarted at its deadline even so.
pub const STOP_GRACE_US: u64 = 250_000;

/// Minimum grace of a policy, in microseconds (10 ms): inference must finish a step and check its ring within it.
pub const MIN_STOP_GRACE_US: u64 = 10_000;

/// Period of the trusted watchdog, in microseconds (1 s, the RTC's resolution). A domain that
/// disarms the generic timer delays the check of a deadline by at most this.
pub const WATCHDOG_PERIOD_US: u64 = 1_000_000;

/// Default context of a session in tokens, unless the policy says otherwise or the model has less.
pub const DEFAULT_CONTEXT_TOKENS: usize = 512;

/// Largest context in tokens that a policy may ask for.
pub const MAX_CONTEXT_TOKENS: usize = 1 << 17;

/// Maximum number of users in a policy. These three limits size audit's tables.
pub const MAX_USERS: usize = 16;
/// Maximum number of roles; see [`MAX_USERS`].
pub const MAX_ROLES: usize = 8;
/// Maximum number of trusted keys; see [`MAX_USERS`].
pub const MAX_KEYS: usize = 8;

/// Maximum number of restarts within the policy's window before audit stops trying. It sizes the list of restart times.
pub const MAX_RESTARTS: usize = 256;

/// Longest name of a user, a role or a key, in bytes.
pub const MAX_USER_BYTES: usize = 32;

/// Longest name of a session, in bytes.
pub const MAX_SESSION_BYTES: usize = 32;

/// Longest nonce of an attestation, in bytes.
pub const MAX_NONCE_BYTES: usize = 32;

/// Longest passphrase, in bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 128;

/// Memory for hashing a passphrase, in KiB. Audit reserves it, and a policy that asks for more is refused.
pub const MAX_KDF_KIB: u32 = 512;

/// Passes over that memory. With [`MAX_KDF_KIB`] this bounds how long a login keeps audit away from its rings.
pub const MAX_KDF_PASSES: u32 = 4;

/// Shortest and longest period of a budget, in microseconds (1 s; 366 days).
pub const BUDGET_PERIOD_US: core::ops::RangeInclusive<u64> = 1_000_000..=31_622_400_000_000;

/// Largest budget of a user, in tokens per period.
pub const MAX_BUDGET_TOKENS: u64 = 1 << 40;

/// Maximum number of tokens of a prompt beyond its bytes: one for the beginning of the text, one for the leading space.
/// Audit has no tokenizer, so it reserves by this bound.
pub const EXTRA_PROMPT_TOKENS: u32 = 2;

/// Longest name of a model in the store, in bytes, without its `.gguf`.
pub const MAX_NAME_BYTES: usize = 64;

/// Longest text of a token in an event, in bytes. The few longer tokens, such as 512 spaces, are cut between two
/// characters. Audit must buffer [`MAX_CREDIT_TOKENS`] times as much per request.
pub const MAX_PIECE_BYTES: usize = 256;

/// Maximum number of tokens that inference may be ahead of its client, and so what audit must be able to buffer of a
/// request's text. It hides the delay between a client's read and the next grant; a larger value would only cost
/// memory.
pub const MAX_CREDIT_TOKENS: usize = 16;

/// Longest text in an event: every token that a request may be ahead by, each at its longest, plus the text that was
/// held back before them.
pub const MAX_TEXT_BYTES: usize = MAX_CREDIT_TOKENS * MAX_PIECE_BYTES + MAX_STOP_BYTES;

/// Maximum number of refusal reasons that the counters list, the most frequent ones. Others count only in the total.
pub const MAX_REFUSAL_REASONS: usize = 8;

/// Maximum number of adapters loaded at a time.
pub const MAX_ADAPTERS: usize = 8;

/// Maximum number of adapters made on this device that audit keeps. It sizes audit's table; the region's size also
/// limits them.
pub const MAX_MADE: usize = 8;

/// Longest training data in bytes (128 KiB): inference reads it in one go.
pub const MAX_DATA_BYTES: usize = 128 << 10;

/// Longest example that can be typed at a console, in bytes of its line of JSON: as long as a prompt.
pub const MAX_EXAMPLE_BYTES: usize = MAX_PROMPT_BYTES;

/// Maximum number of tokens of a training line beyond its bytes: [`EXTRA_PROMPT_TOKENS`], and one for the end of the
/// text.
pub const EXTRA_EXAMPLE_TOKENS: u64 = EXTRA_PROMPT_TOKENS as u64 + 1;

/// Bytes of an adapter in one message (4 KiB), a multiple of a word. Audit copies a ring's worth of them in one
/// wake-up.
pub const MAX_PART_BYTES: usize = 4096;

/// Default time limit of a fine-tuning job, in microseconds (10 min).
pub const TRAIN_DEADLINE_US: u64 = 600_000_000;

/// Maximum number of clients. It sizes audit's tables; `system.xml` lists the clients.
pub const MAX_CLIENTS: usize = 4;

/// Maximum number of formats in a policy, which are numbered in its order.
pub const MAX_FORMATS: usize = formats::MAX_FORMATS;

/// Size of the region that holds the formats (1 MiB); `system.xml` gives it this size.
pub const FORMATS_REGION_BYTES: usize = formats::REGION_BYTES;

/// Model that audit asks for at boot if the store is empty. Otherwise it loads the first model in the store.
pub const DEFAULT_MODEL: &str = "default";

/// Largest value of each sampling parameter, in millionths where it is a fraction.
pub mod maxima {
    use crate::decimal::ONE;

    /// Temperature 10: above it the distribution is flat for every practical model.
    pub const TEMPERATURE: u32 = 10 * ONE;
    /// Candidates; 0 keeps all.
    pub const TOP_K: u32 = 1_000_000;
    /// A probability.
    pub const TOP_P: u32 = ONE;
    /// A probability.
    pub const MIN_P: u32 = ONE;
    /// Repetition penalty 10.
    pub const REPEAT_PENALTY: u32 = 10 * ONE;
    /// Rank of an adapter.
    pub const RANK: u32 = 64;
    /// Alpha of an adapter, 1024.
    pub const ALPHA: u32 = 1024 * ONE;
    /// Epochs of a training.
    pub const EPOCHS: u32 = 100;
    /// Learning rate 1, in billionths.
    pub const RATE: u32 = 1_000_000_000;
}

/// Bytes of a disk's sector.
pub const SECTOR_BYTES: usize = 512;

/// Maximum number of sectors in a disk message.
pub const MAX_TRANSFER_SECTORS: usize = 16;

/// [`MAX_TRANSFER_SECTORS`] in bytes.
pub const MAX_TRANSFER_BYTES: usize = MAX_TRANSFER_SECTORS * SECTOR_BYTES;

/// Longest path of a file on a disk, in bytes of UTF-8, including folders. Files with longer paths are not listed.
pub const MAX_PATH_BYTES: usize = 255;
