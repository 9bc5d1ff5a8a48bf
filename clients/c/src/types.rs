//! The types of the header.

use crate::adapter_types::*;
use crate::signature::sel4_llm_signature_t;
use core::ffi::c_char;
use core::ptr::null;

/// A client, and all the memory that this library needs. The caller provides it as a static variable, because it is
/// larger than a small stack and must live as long as the domain. Only the library uses its contents. Never copy a
/// client: the copy is not initialised.
#[repr(C)]
#[derive(Debug)]
pub struct sel4_llm_client_t {
    /// For the library only.
    pub opaque: [u64; 3584],
}

/// Parameters of a request for text. Start from `sel4_llm_default_params` and change them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_params_t {
    /// The conversation to start or to continue, terminated by a zero. Null: none, and nothing of the request stays in
    /// the model's memory.
    pub session: *const c_char,
    /// The loaded adapter to use, terminated by a zero. Null: none, or that of the session that continues.
    pub adapter: *const c_char,
    /// The format, from the policy, that the answer must have, terminated by a zero. Null: none. Audit passes no byte
    /// that does not belong to it, whatever inference does.
    pub format: *const c_char,
    /// The only allowed answers, `choice_count` texts, each terminated by a zero. Not with `format`.
    pub choices: *const *const c_char,
    /// Number of choices. 0 allows any answer, and then `choices` may be null.
    pub choice_count: usize,
    /// Texts that end the answer and are not part of it, `stop_count` texts, each terminated by a zero. Not with
    /// `format` or `choices`, which determine where an answer ends.
    pub stops: *const *const c_char,
    /// Number of stop strings. If it is 0, `stops` may be null.
    pub stop_count: usize,
    /// Seed of the random generator. The same seed and prompt give the same text.
    pub seed: u64,
    /// Most tokens to generate, at least 1. They are reserved from the budget until the end.
    pub max_tokens: u32,
    /// In millionths. 0: always the likeliest token, for decisions. 1,000,000: the model's own probabilities.
    pub temperature: u32,
    /// Candidates to keep; 0 keeps all.
    pub top_k: u32,
    /// Probability to keep, in millionths.
    pub top_p: u32,
    /// Least probability relative to the likeliest, in millionths.
    pub min_p: u32,
    /// Divisor for recent tokens, in millionths. 1,000,000: none.
    pub repeat_penalty: u32,
    /// How many recent tokens `repeat_penalty` applies to.
    pub repeat_last_n: u32,
}

/// A text of a conversation. It stays text whatever it looks like, because only the model's chat template marks where
/// one ends.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_segment_t {
    /// Who says it: `SEL4_LLM_ROLE_SYSTEM`, `SEL4_LLM_ROLE_USER` or `SEL4_LLM_ROLE_ASSISTANT`.
    pub role: u32,
    /// The text, as UTF-8. It may be the text of the last event.
    pub text: *const c_char,
    /// Its bytes, without a terminating zero. If it is not the user's text it may be 0, and then `text` may be null.
    pub text_size: usize,
}

/// The kind of an event. In braces are the members of `sel4_llm_event_t` that it sets besides `kind`, `request` and
/// `is_end`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sel4_llm_event_kind_t {
    /// No event.
    SEL4_LLM_EVENT_NONE = 0,

    /// News, first and once: requests for text are now accepted. {`user`: who this client is}
    SEL4_LLM_EVENT_READY = 1,
    /// News: progress of the system's start. With a request: how much audit has read of an adapter's file or of the
    /// data of a fine-tuning. {`progress`}
    SEL4_LLM_EVENT_PROGRESS = 2,
    /// News: inference died or was stopped, and is being restarted. Its requests fail, each with its own event.
    /// {`fault`}
    SEL4_LLM_EVENT_FAULT = 3,
    /// News: inference works again. {`restarts`}
    SEL4_LLM_EVENT_RECOVERED = 4,
    /// News: the first model cannot be loaded, or inference was restarted too often and stays down. {`failure`, `text`}
    SEL4_LLM_EVENT_SYSTEM_FAILED = 5,
    /// News: audit was restarted. Sessions are gone, and requests in flight follow as lost.
    SEL4_LLM_EVENT_RESTARTED = 6,

    /// A part of an answer: generated text. {`text`}
    SEL4_LLM_EVENT_TEXT = 20,
    /// The end of an answer: the text is complete. {`finished`}
    SEL4_LLM_EVENT_FINISHED = 21,
    /// The end of a request: it was refused or has failed. {`failure`, `text`: what it is about, for people}
    SEL4_LLM_EVENT_FAILED = 22,
    /// The end of a request: audit was restarted. Whether it was carried out is not known.
    SEL4_LLM_EVENT_LOST = 23,
    /// A part of the answer to `sel4_llm_models`. {`model`}
    SEL4_LLM_EVENT_MODEL = 24,
    /// The end of the answer to `sel4_llm_models`, `sel4_llm_adapters` or `sel4_llm_formats`. {`count`}
    SEL4_LLM_EVENT_LISTED = 25,
    /// The answer to `sel4_llm_status`. {`status`}
    SEL4_LLM_EVENT_STATUS = 26,
    /// The answer to `sel4_llm_budget`. {`budget`}
    SEL4_LLM_EVENT_BUDGET = 27,
    /// A part of the answer to `sel4_llm_adapters`. {`adapter`}
    SEL4_LLM_EVENT_ADAPTER = 28,
    /// A part of the answer to `sel4_llm_fine_tune`: its progress. {`training`}
    SEL4_LLM_EVENT_TRAINING = 29,
    /// The answer to `sel4_llm_fine_tune`: an adapter was made, and signed by this device. {`tuned`}
    SEL4_LLM_EVENT_TUNED = 30,
    /// The answer to `sel4_llm_load_adapter`. {`adapter`: its name and its numbers}
    SEL4_LLM_EVENT_ADAPTER_LOADED = 31,
    /// A part of the answer to `sel4_llm_export_adapter`. {`text`: bytes of the file; `offset`}
    SEL4_LLM_EVENT_ADAPTER_PART = 32,
    /// The answer to `sel4_llm_export_adapter`: all parts have come. {`exported`: what they must add up to}
    SEL4_LLM_EVENT_EXPORTED = 33,
    /// The answer to `sel4_llm_example` and `sel4_llm_drop_examples`. {`examples`}
    SEL4_LLM_EVENT_EXAMPLES = 34,
    /// The end of a request: it was done, or an export was cancelled.
    SEL4_LLM_EVENT_DONE = 35,
    /// A part of the answer to `sel4_llm_formats`. {`format`}
    SEL4_LLM_EVENT_FORMAT = 36,
}

/// Text from the model or a file. It is untrusted, has no terminating zero, and may not be UTF-8.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_text_t {
    /// The bytes, in the client's memory: valid until the next `sel4_llm_poll` on this client.
    pub bytes: *const c_char,
    /// Number of bytes.
    pub length: usize,
    /// Number of tokens that they are made of; 0 if they are not generated text.
    pub tokens: u32,
}

/// Why a generation ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sel4_llm_finish_t {
    /// It has not ended.
    SEL4_LLM_FINISH_NONE = 0,
    /// The model ended its text.
    SEL4_LLM_FINISH_END_OF_TEXT = 1,
    /// The requested number of tokens was reached, so the last word may be cut.
    SEL4_LLM_FINISH_MAX_TOKENS = 2,
    /// The session's context is full.
    SEL4_LLM_FINISH_CONTEXT_FULL = 3,
    /// It was cancelled.
    SEL4_LLM_FINISH_CANCELLED = 4,
    /// A stop string came.
    SEL4_LLM_FINISH_STOP = 5,
}

/// Result of a generation. Times are by audit's clock.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_finished_t {
    /// Why it ended.
    pub reason: sel4_llm_finish_t,
    /// Tokens of the prompt; 0 if the answer has a format or choices, because inference could hide a message in the
    /// number.
    pub prompt_tokens: u32,
    /// Tokens that were generated.
    pub generated_tokens: u32,
    /// Turn of its session, from 1.
    pub turn: u32,
    /// Microseconds from the admission of the request to the first token.
    pub first_token_us: u64,
    /// Microseconds from the admission of the request to its end.
    pub total_us: u64,
    /// Microseconds of it in which the egress cap held text back, of this request or of others: they share the cap.
    pub held_us: u64,
}

/// Why a request was refused or failed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_failure_t {
    /// A number of `sel4_llm_code_t`, or one that this header does not know; 0 if nothing failed.
    pub code: u32,
    /// The offending value. The comment at the code says what it is.
    pub value: u64,
    /// The limit that was exceeded; 0 if there is none.
    pub limit: u64,
}

/// A model in the store.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_model_t {
    /// Its name, terminated by a zero.
    pub name: [c_char; 65],
    /// Whether it is loaded.
    pub loaded: bool,
    /// Its signature.
    pub signature: sel4_llm_signature_t,
    /// Size of its file in bytes.
    pub file_bytes: u64,
}

/// A format that answers can have.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_format_t {
    /// Its name, terminated by a zero.
    pub name: [c_char; 33],
    /// Whether the policy allows it to this client.
    pub allowed: bool,
    /// States of its automaton.
    pub states: u32,
    /// Bytes of its automaton.
    pub bytes: u32,
    /// SHA-256 of its automaton, as in records of the audit log.
    pub sha256: [u8; 32],
}

/// State of the service.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_status_t {
    /// Name of the loaded model, terminated by a zero; empty if there is none.
    pub model: [c_char; 65],
    /// Name of its chat template, terminated by a zero; empty if it has none and only completes texts.
    pub template_name: [c_char; 33],
    /// Whether control tokens separate the template's roles, according to inference. If not, a text can imitate another
    /// role.
    pub roles_separated: bool,
    /// Number of its parameters.
    pub parameters: u64,
    /// Bytes of the arena, which holds the model and its working memory.
    pub arena_bytes: u64,
    /// Bytes of it in use.
    pub arena_used: u64,
    /// Context of a session in tokens.
    pub context: u32,
    /// Positions of the cache that all sessions share.
    pub cache_positions: u32,
    /// Positions of it that are not reserved.
    pub cache_free: u32,
    /// Requests of all clients that are admitted and have not ended.
    pub active: u32,
    /// Those of them that wait for room in the cache.
    pub waiting: u32,
    /// Sessions that hold part of the cache.
    pub sessions: u32,
    /// Restarts of inference since the system started.
    pub restarts: u32,
}

/// A budget of tokens.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_budget_t {
    /// The user's name, terminated by a zero.
    pub user: [c_char; 33],
    /// Tokens per period.
    pub tokens: u64,
    /// Tokens that are left now.
    pub available: u64,
    /// The period in microseconds.
    pub period_us: u64,
    /// Microseconds left of it; then all tokens are available again.
    pub left_us: u64,
}

/// A user.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_user_t {
    /// The name, terminated by a zero.
    pub name: [c_char; 33],
    /// The role, terminated by a zero.
    pub role: [c_char; 33],
}

/// How much of a file audit has read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_progress_t {
    /// Bytes of the file that were checked or loaded.
    pub done: u64,
    /// Size of the file in bytes.
    pub total: u64,
}

/// Why inference was restarted.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_fault_t {
    /// How many faults this reports: the newest, and earlier ones that were not reported.
    pub count: u32,
    /// Instruction pointer of the newest; 0 if unknown.
    pub ip: u64,
    /// Address that it accessed, or 0.
    pub address: u64,
}

/// An event from audit. Members that its kind does not name are zero.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sel4_llm_event_t {
    /// The kind.
    pub kind: sel4_llm_event_kind_t,
    /// The request that it is about, by the number that the function gave; 0 for news.
    pub request: u32,
    /// Whether that request has ended. Each request has exactly one such event, and none after it.
    pub is_end: bool,
    /// The text that came with it.
    pub text: sel4_llm_text_t,
    /// Result of a generation.
    pub finished: sel4_llm_finished_t,
    /// What went wrong.
    pub failure: sel4_llm_failure_t,
    /// An entry of a list.
    pub model: sel4_llm_model_t,
    /// Number of entries of the list.
    pub count: u32,
    /// State of the service.
    pub status: sel4_llm_status_t,
    /// The budget of this client's user.
    pub budget: sel4_llm_budget_t,
    /// Who this client is.
    pub user: sel4_llm_user_t,
    /// How much of a file audit has read.
    pub progress: sel4_llm_progress_t,
    /// Why inference was restarted.
    pub fault: sel4_llm_fault_t,
    /// Restarts of inference since the system started.
    pub restarts: u32,
    /// An entry of a list, or the adapter that was loaded.
    pub adapter: sel4_llm_adapter_t,
    /// Progress of a fine-tuning.
    pub training: sel4_llm_training_t,
    /// Result of a fine-tuning.
    pub tuned: sel4_llm_tuned_t,
    /// Where the bytes of `text` belong in an adapter's file.
    pub offset: u64,
    /// What the parts of an adapter's file must add up to.
    pub exported: sel4_llm_exported_t,
    /// The examples added so far.
    pub examples: sel4_llm_examples_t,
    /// An entry of a list.
    pub format: sel4_llm_format_t,
}

impl sel4_llm_event_t {
    /// No event.
    pub(crate) const NONE: Self = Self {
        kind: sel4_llm_event_kind_t::SEL4_LLM_EVENT_NONE,
        request: 0,
        is_end: false,
        text: sel4_llm_text_t {
            bytes: null(),
            length: 0,
            tokens: 0,
        },
        finished: sel4_llm_finished_t {
            reason: sel4_llm_finish_t::SEL4_LLM_FINISH_NONE,
            prompt_tokens: 0,
            generated_tokens: 0,
            turn: 0,
            first_token_us: 0,
            total_us: 0,
            held_us: 0,
        },
        failure: sel4_llm_failure_t {
            code: 0,
            value: 0,
            limit: 0,
        },
        model: sel4_llm_model_t {
            name: [0; 65],
            loaded: false,
            signature: sel4_llm_signature_t::SEL4_LLM_SIGNATURE_MISSING,
            file_bytes: 0,
        },
        count: 0,
        status: sel4_llm_status_t {
            model: [0; 65],
            template_name: [0; 33],
            roles_separated: false,
            parameters: 0,
            arena_bytes: 0,
            arena_used: 0,
            context: 0,
            cache_positions: 0,
            cache_free: 0,
            active: 0,
            waiting: 0,
            sessions: 0,
            restarts: 0,
        },
        budget: sel4_llm_budget_t {
            user: [0; 33],
            tokens: 0,
            available: 0,
            period_us: 0,
            left_us: 0,
        },
        user: sel4_llm_user_t {
            name: [0; 33],
            role: [0; 33],
        },
        progress: sel4_llm_progress_t { done: 0, total: 0 },
        fault: sel4_llm_fault_t {
            count: 0,
            ip: 0,
            address: 0,
        },
        restarts: 0,
        adapter: sel4_llm_adapter_t::NONE,
        training: sel4_llm_training_t::NONE,
        tuned: sel4_llm_tuned_t::NONE,
        offset: 0,
        exported: sel4_llm_exported_t::NONE,
        examples: sel4_llm_examples_t::NONE,
        format: sel4_llm_format_t {
            name: [0; 33],
            allowed: false,
            states: 0,
            bytes: 0,
            sha256: [0; 32],
        },
    };
}
