//! The limits of the system, in one table. What exceeds one gets an error that names the limit and
//! the value it got.

/// Longest prompt in bytes. Bounds the shell's line; 2048 tokens of
/// English are about this long.
pub const MAX_PROMPT_BYTES: usize = 8192;

/// Longest parts of a request for text in bytes ([`crate::wire::Parts`]): those of the longest prompt and its header. Every
/// further part takes 8 bytes of it beside its text.
pub const MAX_PARTS_BYTES: usize = MAX_PROMPT_BYTES + 8;

/// Most segments of a conversation that one request brings.
pub const MAX_SEGMENTS: usize = 16;

/// Most stop strings of a request.
pub const MAX_STOPS: usize = formats::MAX_STOPS;

/// Longest stop string, in bytes. As much of an answer may be held back, since it may become one.
pub const MAX_STOP_BYTES: usize = formats::MAX_STOP_BYTES;

/// Most tokens that a model's chat template may add to a conversation, whatever its segments; inference says how many, and
/// audit reserves them for each request.
pub const MAX_FIXED_TOKENS: u32 = 2048;

/// Most tokens that a model's chat template may add for each segment.
pub const MAX_SEGMENT_TOKENS: u32 = 64;

/// Longest name of a chat template, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 32;

/// Most answers that a request can bring as the only ones that are allowed.
pub const MAX_CHOICES: usize = formats::MAX_CHOICES;

/// Most bytes of all of them together, with one between each two.
pub const MAX_CHOICES_BYTES: usize = formats::MAX_CHOICES_BYTES;

/// Longest name of a format, in bytes.
pub const MAX_FORMAT_BYTES: usize = formats::MAX_NAME_BYTES;

/// Longest prompt in tokens; the model's context less one applies where it is smaller.
pub const MAX_PROMPT_TOKENS: usize = 2048;

/// Most tokens that one request may generate.
pub const MAX_GENERATED_TOKENS: u32 = 512;

/// Most requests that are admitted and not yet finished.
pub const MAX_SESSIONS: usize = 32;

/// Most requests of clients that are admitted and not over: one for each session, and questions and loads beside them.
pub const MAX_REQUESTS: usize = MAX_SESSIONS + 7;

/// Messages of clients that inference has not read, at most: a ring's worth, less what audit needs for its own load, for
/// stops and for credit.
pub const CLIENT_COMMANDS: usize = crate::ring::SLOTS - 4;

/// How long an inference may take from admission to its last token, in microseconds (30 s). Then
/// audit asks inference to stop.
pub const INFERENCE_DEADLINE_US: u64 = 30_000_000;

/// How long loading a model may take, in microseconds (30 s). Emulated boards copy and check
/// 8 MiB in well under a tenth of this.
pub const LOAD_DEADLINE_US: u64 = 30_000_000;

/// How long inference may take to answer a question about its state, in microseconds (10 s): it
/// polls its ring between tokens, so this is many tokens even on an emulated board.
pub const CONTROL_DEADLINE_US: u64 = 10_000_000;

/// How long after a deadline inference is restarted if it has not obeyed the stop, in microseconds (250 ms), in the
/// shipped policy and that of the tests. A policy always says its own (`stop-grace`); nothing falls back to this one.
/// Inference looks between halves of a block of the model, for 64 tokens at most. Less would restart a slow but
/// honest inference; one whose steps take longer than this is restarted at its deadline all the same.
pub const STOP_GRACE_US: u64 = 250_000;

/// Least grace that a policy may give, in microseconds (10 ms): inference must finish a step and look at its ring in it.
pub const MIN_STOP_GRACE_US: u64 = 10_000;

/// Period of the trusted watchdog, in microseconds (1 s, the RTC's resolution). A domain that
/// disarms the generic timer delays the check of a deadline by at most this.
pub const WATCHDOG_PERIOD_US: u64 = 1_000_000;

/// Context in tokens that a session gets unless the policy says otherwise or the model has less.
pub const DEFAULT_CONTEXT_TOKENS: usize = 512;

/// Largest context in tokens that a policy can ask for.
pub const MAX_CONTEXT_TOKENS: usize = 1 << 17;

/// Users, roles and trusted keys that a policy can have. They size audit's tables.
pub const MAX_USERS: usize = 16;
/// See [`MAX_USERS`].
pub const MAX_ROLES: usize = 8;
/// See [`MAX_USERS`].
pub const MAX_KEYS: usize = 8;

/// Most restarts within the policy's window before audit stops trying. It sizes the list of their times.
pub const MAX_RESTARTS: usize = 256;

/// Longest name of a user, a role or a key, in bytes.
pub const MAX_USER_BYTES: usize = 32;

/// Longest name of a session, in bytes.
pub const MAX_SESSION_BYTES: usize = 32;

/// Longest nonce of an attestation, in bytes.
pub const MAX_NONCE_BYTES: usize = 32;

/// Longest passphrase, in bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 128;

/// Memory that hashing a passphrase may take, in KiB: audit sets it aside, and a policy that asks for more is refused.
pub const MAX_KDF_KIB: u32 = 512;

/// Passes over that memory. With [`MAX_KDF_KIB`] they bound how long a login keeps audit from its rings.
pub const MAX_KDF_PASSES: u32 = 4;

/// Shortest and longest period of a budget, in microseconds (1 s; 366 days).
pub const BUDGET_PERIOD_US: core::ops::RangeInclusive<u64> = 1_000_000..=31_622_400_000_000;

/// Largest budget of a user, in tokens per period.
pub const MAX_BUDGET_TOKENS: u64 = 1 << 40;

/// Tokens that a prompt has at most beyond its bytes: one for the beginning of the text, one for the space in front.
/// Audit has no tokenizer, and reserves by this bound.
pub const EXTRA_PROMPT_TOKENS: u32 = 2;

/// Longest name of a model in the store, in bytes, without its `.gguf`.
pub const MAX_NAME_BYTES: usize = 64;

/// Longest text of a token that one event carries, in bytes. The few tokens that are longer, such as those of 512 spaces,
/// are cut between two characters; audit must hold [`MAX_CREDIT_TOKENS`] times as much for each request.
pub const MAX_PIECE_BYTES: usize = 256;

/// Most tokens that inference may be ahead of what its client has taken, and so what audit must be able to hold of a
/// request's text. It hides the time from a client's reading to the next grant; more would only be memory.
pub const MAX_CREDIT_TOKENS: usize = 16;

/// Longest text that one event carries: of all tokens that a request may be ahead by, each as long as can be, and what was
/// held back before them.
pub const MAX_TEXT_BYTES: usize = MAX_CREDIT_TOKENS * MAX_PIECE_BYTES + MAX_STOP_BYTES;

/// Reasons for refusals that the counters list: those that were given most often. The others are in the total.
pub const MAX_REFUSAL_REASONS: usize = 8;

/// Adapters that are loaded beside a model at once.
pub const MAX_ADAPTERS: usize = 8;

/// Adapters made on this device that audit keeps. It sizes audit's table; the region's size is the other limit.
pub const MAX_MADE: usize = 8;

/// Longest training data in bytes (128 KiB): inference reads it at once.
pub const MAX_DATA_BYTES: usize = 128 << 10;

/// Longest example that can be typed at a console, in bytes, as a line of JSON: as long as a prompt.
pub const MAX_EXAMPLE_BYTES: usize = MAX_PROMPT_BYTES;

/// Tokens that a line of training data has at most beyond its bytes: [`EXTRA_PROMPT_TOKENS`], and one for the end of the
/// text.
pub const EXTRA_EXAMPLE_TOKENS: u64 = EXTRA_PROMPT_TOKENS as u64 + 1;

/// Bytes of an adapter that one message carries (4 KiB), a multiple of a word. A ring's worth of them is copied in one
/// wake-up of audit.
pub const MAX_PART_BYTES: usize = 4096;

/// How long a training may take if the policy does not say otherwise, in microseconds (10 min).
pub const TRAIN_DEADLINE_US: u64 = 600_000_000;

/// Most clients that audit can have. It sizes audit's tables; `system.xml` says which there are.
pub const MAX_CLIENTS: usize = 4;

/// Formats of answers in a policy; they are numbered in its order.
pub const MAX_FORMATS: usize = formats::MAX_FORMATS;

/// Bytes of the region that formats lie in (1 MiB); `system.xml` gives it this size.
pub const FORMATS_REGION_BYTES: usize = formats::REGION_BYTES;

/// Name of the model that audit asks for at boot if the store has none. Otherwise it is the first in the store.
pub const DEFAULT_MODEL: &str = "default";

/// Values that apply where a request does not say otherwise. Fractions are in millionths
/// ([`crate::decimal`]).
pub mod defaults {
    /// Tokens to generate.
    pub const MAX_TOKENS: u32 = 128;
    /// Sampling temperature, 0.8.
    pub const TEMPERATURE: u32 = 800_000;
    /// Keep the 40 most likely tokens.
    pub const TOP_K: u32 = 40;
    /// Keep the most likely tokens that sum to 0.95.
    pub const TOP_P: u32 = 950_000;
    /// Drop tokens below 0.05 times the likeliest.
    pub const MIN_P: u32 = 50_000;
    /// Divide the logits of recent tokens by 1: do not. A penalty keeps a story from coming back to its things.
    pub const REPEAT_PENALTY: u32 = 1_000_000;
    /// Tokens that the repetition penalty looks back on.
    pub const REPEAT_LAST_N: u32 = 64;
    /// Seed of the random generator.
    pub const SEED: u64 = 42;
    /// Rank of an adapter that is trained.
    pub const RANK: u32 = 4;
    /// Its alpha, 8.
    pub const ALPHA: u32 = 8_000_000;
    /// How often the examples are gone through.
    pub const EPOCHS: u32 = 3;
    /// The largest learning rate, 0.001, in billionths.
    pub const RATE: u32 = 1_000_000;
}

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

/// Most sectors that one message about a disk carries.
pub const MAX_TRANSFER_SECTORS: usize = 16;

/// [`MAX_TRANSFER_SECTORS`] in bytes.
pub const MAX_TRANSFER_BYTES: usize = MAX_TRANSFER_SECTORS * SECTOR_BYTES;

/// Longest path of a file on a disk, in bytes of UTF-8, its folders included. Files with longer ones are not listed.
pub const MAX_PATH_BYTES: usize = 255;
