/*
 * A client of sel4-llm: asks the model from a protection domain in C. clients/c/README.md has a complete example.
 *
 * Made by cbindgen from clients/c/src: do not edit it, run `make client-c-header`.
 *
 * No function blocks or allocates. Only `sel4_llm_init` keeps pointers of the caller: those to the client and to the
 * two regions. A client is used by one thread at a time. A function that returns an error has done nothing. A pointer
 * that is null, misaligned, or over memory of the library is an error, unless a function says otherwise. The caller
 * makes sure that the memory behind a pointer exists and is as large as stated.
 */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Version of the protocol that this library speaks with audit.
 */
#define SEL4_LLM_PROTOCOL_VERSION 9

/**
 * Size of each of the two regions that a client shares with audit, in bytes.
 */
#define SEL4_LLM_RING_BYTES 143360

/**
 * Size of a `sel4_llm_client_t` in bytes.
 */
#define SEL4_LLM_CLIENT_BYTES 28672

/**
 * Alignment of a `sel4_llm_client_t` and of the regions, in bytes.
 */
#define SEL4_LLM_CLIENT_ALIGN 8

/**
 * Longest text of a request in bytes. In a conversation all texts count, with 8 bytes for each after the first; so do
 * stop strings and choices.
 */
#define SEL4_LLM_MAX_PROMPT_BYTES 8192

/**
 * Most segments of a conversation in one request.
 */
#define SEL4_LLM_MAX_SEGMENTS 16

/**
 * Most stop strings of a request.
 */
#define SEL4_LLM_MAX_STOPS 4

/**
 * Longest stop string in bytes, without its terminating zero.
 */
#define SEL4_LLM_MAX_STOP_BYTES 64

/**
 * Most choices of a request.
 */
#define SEL4_LLM_MAX_CHOICES 32

/**
 * Most bytes of all choices of a request together, counting one between each two.
 */
#define SEL4_LLM_MAX_CHOICES_BYTES 512

/**
 * Most tokens that a request may generate. The user's role may allow fewer.
 */
#define SEL4_LLM_MAX_TOKENS 512

/**
 * Longest text of one event, in bytes.
 */
#define SEL4_LLM_MAX_TEXT_BYTES 4160

/**
 * Most requests in flight. The policy may allow fewer.
 */
#define SEL4_LLM_MAX_IN_FLIGHT 64

/**
 * Longest name of a session in bytes, without its terminating zero.
 */
#define SEL4_LLM_MAX_SESSION_BYTES 32

/**
 * Longest name of a user or a role in bytes, without its terminating zero.
 */
#define SEL4_LLM_MAX_USER_BYTES 32

/**
 * Longest name of a model, an adapter or data in bytes, without its terminating zero.
 */
#define SEL4_LLM_MAX_MODEL_BYTES 64

/**
 * Longest name of a format in bytes, without its terminating zero.
 */
#define SEL4_LLM_MAX_FORMAT_BYTES 32

/**
 * Longest name of a chat template in bytes, without its terminating zero.
 */
#define SEL4_LLM_MAX_TEMPLATE_BYTES 32

/**
 * For `role`: what the model is told before the conversation. At most one segment, the first, and only at the start of
 * a session.
 */
#define SEL4_LLM_ROLE_SYSTEM 2

/**
 * For `role`: what a person says. The last segment has this role.
 */
#define SEL4_LLM_ROLE_USER 3

/**
 * For `role`: what the model has said.
 */
#define SEL4_LLM_ROLE_ASSISTANT 4

/**
 * Most events that `sel4_llm_poll` returns for one signal. A domain may stop polling after so many, because anything
 * that audit writes later comes with its own signal.
 */
#define SEL4_LLM_MAX_WAITING 81

/**
 * One, in millionths. Fractions are whole numbers of millionths, because a domain may have no floating point.
 */
#define SEL4_LLM_ONE 1000000

/**
 * Longest example in bytes, written as a line of JSON.
 */
#define SEL4_LLM_MAX_EXAMPLE_BYTES 8192

/**
 * Most bytes of an adapter's file in one event.
 */
#define SEL4_LLM_MAX_PART_BYTES 4096

/**
 * For `targets`: train the matrices of attention.
 */
#define SEL4_LLM_TARGETS_ATTENTION 1

/**
 * For `targets`: train those of the feed-forward layers, too.
 */
#define SEL4_LLM_TARGETS_ALL 2

/**
 * The result of a function. Unless it is `SEL4_LLM_OK`, the call has done nothing.
 */
typedef enum {
    /**
     * It was done.
     */
    SEL4_LLM_OK = 0,
    /**
     * `sel4_llm_poll`: there are no more events. Wait for audit's next signal.
     */
    SEL4_LLM_NOTHING = 1,
    /**
     * Audit does not serve this client yet. Try again when it signals.
     */
    SEL4_LLM_NOT_CONNECTED = 10,
    /**
     * Audit has not read earlier messages yet. Try again when it signals.
     */
    SEL4_LLM_FULL = 11,
    /**
     * `SEL4_LLM_MAX_IN_FLIGHT` requests are in flight. Try again when one of them has ended.
     */
    SEL4_LLM_TOO_MANY_IN_FLIGHT = 12,
    /**
     * Audit was built from another version of the protocol. Build both from the same tree.
     */
    SEL4_LLM_OTHER_VERSION = 20,
    /**
     * Audit's region has an impossible index. Nothing can be sent until that changes.
     */
    SEL4_LLM_BROKEN_RING = 21,
    /**
     * The prompt is empty.
     */
    SEL4_LLM_PROMPT_EMPTY = 30,
    /**
     * The prompt has more than `SEL4_LLM_MAX_PROMPT_BYTES` bytes.
     */
    SEL4_LLM_PROMPT_TOO_LONG = 31,
    /**
     * The prompt is not UTF-8.
     */
    SEL4_LLM_PROMPT_NOT_UTF8 = 32,
    /**
     * `max_tokens` is not from 1 to `SEL4_LLM_MAX_TOKENS`.
     */
    SEL4_LLM_BAD_MAX_TOKENS = 33,
    /**
     * `temperature` is over 10 (10,000,000 millionths).
     */
    SEL4_LLM_BAD_TEMPERATURE = 34,
    /**
     * `top_k` is over 1,000,000.
     */
    SEL4_LLM_BAD_TOP_K = 35,
    /**
     * `top_p` is over 1 (1,000,000 millionths).
     */
    SEL4_LLM_BAD_TOP_P = 36,
    /**
     * `min_p` is over 1 (1,000,000 millionths).
     */
    SEL4_LLM_BAD_MIN_P = 37,
    /**
     * `repeat_penalty` is not from 1 to 10 (1,000,000 to 10,000,000 millionths).
     */
    SEL4_LLM_BAD_REPEAT_PENALTY = 38,
    /**
     * The session's name is longer than `SEL4_LLM_MAX_SESSION_BYTES`, or is not visible ASCII without quotes and backslash.
     */
    SEL4_LLM_BAD_SESSION = 39,
    /**
     * No request with this number is in flight: it has ended, or was never made.
     */
    SEL4_LLM_NO_SUCH_REQUEST = 40,
    /**
     * The adapter's name is empty where one is required, is longer than `SEL4_LLM_MAX_MODEL_BYTES`, or is not visible
     * ASCII without quotes and backslash.
     */
    SEL4_LLM_BAD_ADAPTER = 41,
    /**
     * The name of the data is empty, is longer than `SEL4_LLM_MAX_MODEL_BYTES`, or is not visible ASCII without quotes and backslash.
     */
    SEL4_LLM_BAD_DATA = 42,
    /**
     * `rank` is not from 1 to 64.
     */
    SEL4_LLM_BAD_RANK = 43,
    /**
     * `alpha` is 0 or over 1024 (1,024,000,000 millionths).
     */
    SEL4_LLM_BAD_ALPHA = 44,
    /**
     * `epochs` is not from 1 to 100.
     */
    SEL4_LLM_BAD_EPOCHS = 45,
    /**
     * `rate` is 0 or over 1 (1,000,000,000 billionths).
     */
    SEL4_LLM_BAD_RATE = 46,
    /**
     * `targets` is neither `SEL4_LLM_TARGETS_ATTENTION` nor `SEL4_LLM_TARGETS_ALL`.
     */
    SEL4_LLM_BAD_TARGETS = 47,
    /**
     * The format's name is longer than `SEL4_LLM_MAX_FORMAT_BYTES`, or is not visible ASCII without quotes and backslash.
     */
    SEL4_LLM_BAD_FORMAT = 48,
    /**
     * A segment has the wrong role. User and assistant alternate, after an optional system text, and the user is last.
     */
    SEL4_LLM_BAD_ROLE = 49,
    /**
     * The conversation has more than `SEL4_LLM_MAX_SEGMENTS` segments.
     */
    SEL4_LLM_TOO_MANY_SEGMENTS = 63,
    /**
     * There are more than `SEL4_LLM_MAX_STOPS` stop strings.
     */
    SEL4_LLM_TOO_MANY_STOPS = 64,
    /**
     * A stop string is empty, or longer than `SEL4_LLM_MAX_STOP_BYTES`.
     */
    SEL4_LLM_BAD_STOP = 65,
    /**
     * There are more than `SEL4_LLM_MAX_CHOICES` choices.
     */
    SEL4_LLM_TOO_MANY_CHOICES = 66,
    /**
     * The choices have more than `SEL4_LLM_MAX_CHOICES_BYTES` bytes together.
     */
    SEL4_LLM_CHOICES_TOO_LONG = 67,
    /**
     * A choice is empty, contains a line feed, or is a duplicate.
     */
    SEL4_LLM_BAD_CHOICE = 68,
    /**
     * Choices were given with a format, or stop strings with either.
     */
    SEL4_LLM_FORMAT_NOT_ALONE = 69,
    /**
     * A text of the example, or its line, is empty.
     */
    SEL4_LLM_EXAMPLE_EMPTY = 60,
    /**
     * A text of the example or its line is longer than `SEL4_LLM_MAX_EXAMPLE_BYTES`, or the line is longer than its
     * buffer.
     */
    SEL4_LLM_EXAMPLE_TOO_LONG = 61,
    /**
     * A text of the example is not UTF-8.
     */
    SEL4_LLM_EXAMPLE_NOT_UTF8 = 62,
    /**
     * A pointer is null but must not be.
     */
    SEL4_LLM_NULL_POINTER = 50,
    /**
     * A pointer is misaligned for its type, or a region is not aligned to 8 bytes.
     */
    SEL4_LLM_MISALIGNED = 51,
    /**
     * Two of the client, the regions and the buffers overlap, or one reaches past the end of the address space.
     */
    SEL4_LLM_OVERLAP = 52,
    /**
     * The client's memory does not have `sizeof(sel4_llm_client_t)` bytes: header and library are of different
     * versions.
     */
    SEL4_LLM_CLIENT_SIZE = 53,
    /**
     * A region does not have `SEL4_LLM_RING_BYTES` bytes. Correct its size in system.xml.
     */
    SEL4_LLM_REGION_SIZE = 54,
    /**
     * The client was not initialised, or has been moved since. Call `sel4_llm_init` first, and never copy a client.
     */
    SEL4_LLM_NOT_INITIALISED = 55,
    /**
     * The client is already initialised.
     */
    SEL4_LLM_ALREADY_INITIALISED = 56,
    /**
     * A bug in this library.
     */
    SEL4_LLM_INTERNAL = 70,
} sel4_llm_error_t;

/**
 * The kind of an event. In braces are the members of `sel4_llm_event_t` that it sets besides `kind`, `request` and
 * `is_end`.
 */
typedef enum {
    /**
     * No event.
     */
    SEL4_LLM_EVENT_NONE = 0,
    /**
     * News, first and once: requests for text are now accepted. {`user`: who this client is}
     */
    SEL4_LLM_EVENT_READY = 1,
    /**
     * News: progress of the system's start. With a request: how much audit has read of an adapter's file or of the
     * data of a fine-tuning. {`progress`}
     */
    SEL4_LLM_EVENT_PROGRESS = 2,
    /**
     * News: inference died or was stopped, and is being restarted. Its requests fail, each with its own event.
     * {`fault`}
     */
    SEL4_LLM_EVENT_FAULT = 3,
    /**
     * News: inference works again. {`restarts`}
     */
    SEL4_LLM_EVENT_RECOVERED = 4,
    /**
     * News: the first model cannot be loaded, or inference was restarted too often and stays down. {`failure`, `text`}
     */
    SEL4_LLM_EVENT_SYSTEM_FAILED = 5,
    /**
     * News: audit was restarted. Sessions are gone, and requests in flight follow as lost.
     */
    SEL4_LLM_EVENT_RESTARTED = 6,
    /**
     * A part of an answer: generated text. {`text`}
     */
    SEL4_LLM_EVENT_TEXT = 20,
    /**
     * The end of an answer: the text is complete. {`finished`}
     */
    SEL4_LLM_EVENT_FINISHED = 21,
    /**
     * The end of a request: it was refused or has failed. {`failure`, `text`: what it is about, for people}
     */
    SEL4_LLM_EVENT_FAILED = 22,
    /**
     * The end of a request: audit was restarted. Whether it was carried out is not known.
     */
    SEL4_LLM_EVENT_LOST = 23,
    /**
     * A part of the answer to `sel4_llm_models`. {`model`}
     */
    SEL4_LLM_EVENT_MODEL = 24,
    /**
     * The end of the answer to `sel4_llm_models`, `sel4_llm_adapters` or `sel4_llm_formats`. {`count`}
     */
    SEL4_LLM_EVENT_LISTED = 25,
    /**
     * The answer to `sel4_llm_status`. {`status`}
     */
    SEL4_LLM_EVENT_STATUS = 26,
    /**
     * The answer to `sel4_llm_budget`. {`budget`}
     */
    SEL4_LLM_EVENT_BUDGET = 27,
    /**
     * A part of the answer to `sel4_llm_adapters`. {`adapter`}
     */
    SEL4_LLM_EVENT_ADAPTER = 28,
    /**
     * A part of the answer to `sel4_llm_fine_tune`: its progress. {`training`}
     */
    SEL4_LLM_EVENT_TRAINING = 29,
    /**
     * The answer to `sel4_llm_fine_tune`: an adapter was made, and signed by this device. {`tuned`}
     */
    SEL4_LLM_EVENT_TUNED = 30,
    /**
     * The answer to `sel4_llm_load_adapter`. {`adapter`: its name and its numbers}
     */
    SEL4_LLM_EVENT_ADAPTER_LOADED = 31,
    /**
     * A part of the answer to `sel4_llm_export_adapter`. {`text`: bytes of the file; `offset`}
     */
    SEL4_LLM_EVENT_ADAPTER_PART = 32,
    /**
     * The answer to `sel4_llm_export_adapter`: all parts have come. {`exported`: what they must add up to}
     */
    SEL4_LLM_EVENT_EXPORTED = 33,
    /**
     * The answer to `sel4_llm_example` and `sel4_llm_drop_examples`. {`examples`}
     */
    SEL4_LLM_EVENT_EXAMPLES = 34,
    /**
     * The end of a request: it was done, or an export was cancelled.
     */
    SEL4_LLM_EVENT_DONE = 35,
    /**
     * A part of the answer to `sel4_llm_formats`. {`format`}
     */
    SEL4_LLM_EVENT_FORMAT = 36,
} sel4_llm_event_kind_t;

/**
 * Why a generation ended.
 */
typedef enum {
    /**
     * It has not ended.
     */
    SEL4_LLM_FINISH_NONE = 0,
    /**
     * The model ended its text.
     */
    SEL4_LLM_FINISH_END_OF_TEXT = 1,
    /**
     * The requested number of tokens was reached, so the last word may be cut.
     */
    SEL4_LLM_FINISH_MAX_TOKENS = 2,
    /**
     * The session's context is full.
     */
    SEL4_LLM_FINISH_CONTEXT_FULL = 3,
    /**
     * It was cancelled.
     */
    SEL4_LLM_FINISH_CANCELLED = 4,
    /**
     * A stop string came.
     */
    SEL4_LLM_FINISH_STOP = 5,
} sel4_llm_finish_t;

/**
 * What audit knows about a signature.
 */
typedef enum {
    /**
     * There is none.
     */
    SEL4_LLM_SIGNATURE_MISSING = 0,
    /**
     * There is one, but it has not been checked yet.
     */
    SEL4_LLM_SIGNATURE_UNCHECKED = 1,
    /**
     * It is valid.
     */
    SEL4_LLM_SIGNATURE_GOOD = 2,
    /**
     * It is invalid.
     */
    SEL4_LLM_SIGNATURE_BAD = 3,
} sel4_llm_signature_t;

/**
 * Why a request was refused or failed: the numbers in `sel4_llm_failure_t`. A later audit may send others, so a
 * `switch` over them needs a `default`.
 */
typedef enum {
    /**
     * The prompt is empty.
     */
    SEL4_LLM_CODE_EMPTY_PROMPT = 1,
    /**
     * `value` bytes of prompt, `limit` allowed.
     */
    SEL4_LLM_CODE_PROMPT_BYTES = 2,
    /**
     * `value` tokens of prompt, `limit` allowed.
     */
    SEL4_LLM_CODE_PROMPT_TOKENS = 3,
    /**
     * The prompt is not UTF-8; `value` is the offset of the first wrong byte.
     */
    SEL4_LLM_CODE_PROMPT_NOT_UTF8 = 4,
    /**
     * `value` tokens to generate asked for, 1 to `limit` allowed.
     */
    SEL4_LLM_CODE_MAX_TOKENS = 5,
    /**
     * A temperature of `value` millionths, at most `limit` allowed.
     */
    SEL4_LLM_CODE_TEMPERATURE = 6,
    /**
     * A top-k of `value`, at most `limit` allowed.
     */
    SEL4_LLM_CODE_TOP_K = 7,
    /**
     * A top-p of `value` millionths, at most `limit` allowed.
     */
    SEL4_LLM_CODE_TOP_P = 8,
    /**
     * A min-p of `value` millionths, at most `limit` allowed.
     */
    SEL4_LLM_CODE_MIN_P = 9,
    /**
     * A repetition penalty of `value` millionths; at least 1, at most `limit` allowed.
     */
    SEL4_LLM_CODE_REPEAT_PENALTY = 10,
    /**
     * `value` requests are active, `limit` allowed.
     */
    SEL4_LLM_CODE_TOO_MANY_REQUESTS = 11,
    /**
     * Audit's ring to inference is full: `value` of `limit` slots are in use.
     */
    SEL4_LLM_CODE_BUSY = 12,
    /**
     * There is no active request with this number.
     */
    SEL4_LLM_CODE_NO_SUCH_REQUEST = 13,
    /**
     * The session has a request in flight.
     */
    SEL4_LLM_CODE_SESSION_BUSY = 14,
    /**
     * The session was evicted to make room for others; it had `value` turns.
     */
    SEL4_LLM_CODE_SESSION_EVICTED = 15,
    /**
     * The session ended because inference was restarted or loaded another model, or because a turn that had begun
     * failed; it had `value` turns, including the failed one.
     */
    SEL4_LLM_CODE_SESSION_LOST = 16,
    /**
     * The user has `value` sessions, `limit` allowed.
     */
    SEL4_LLM_CODE_TOO_MANY_SESSIONS = 17,
    /**
     * The user has no session of this name.
     */
    SEL4_LLM_CODE_NO_SUCH_SESSION = 18,
    /**
     * Invalid name: it must be visible ASCII without quotes, of a length within its limit.
     */
    SEL4_LLM_CODE_BAD_NAME = 19,
    /**
     * No model is loaded.
     */
    SEL4_LLM_CODE_NO_MODEL = 20,
    /**
     * The store holds no model of this name.
     */
    SEL4_LLM_CODE_NO_SUCH_MODEL = 21,
    /**
     * The name has `value` bytes, 1 to `limit` allowed.
     */
    SEL4_LLM_CODE_NAME_LENGTH = 22,
    /**
     * The file is not a valid GGUF file; the detail says where. `value` is the offset or the wrong number, if there is
     * one.
     */
    SEL4_LLM_CODE_BAD_MODEL = 23,
    /**
     * The file uses a feature that the engine does not support; the detail names it.
     */
    SEL4_LLM_CODE_UNSUPPORTED_MODEL = 24,
    /**
     * The model needs `value` bytes, the arena has `limit`.
     */
    SEL4_LLM_CODE_MODEL_TOO_LARGE = 25,
    /**
     * The store is not a tar archive.
     */
    SEL4_LLM_CODE_BAD_STORE = 26,
    /**
     * A model is being loaded, or a request is active that needs the loaded one.
     */
    SEL4_LLM_CODE_MODEL_IN_USE = 27,
    /**
     * The store has no signature for the model.
     */
    SEL4_LLM_CODE_UNSIGNED = 28,
    /**
     * The model's signature matches no key that the policy trusts, or the file was changed.
     */
    SEL4_LLM_CODE_BAD_SIGNATURE = 29,
    /**
     * The session's context of `limit` tokens has no room for `value`.
     */
    SEL4_LLM_CODE_CONTEXT_FULL = 30,
    /**
     * A value in the computation was not finite.
     */
    SEL4_LLM_CODE_NON_FINITE = 31,
    /**
     * The KV cache has `limit` positions free, `value` were needed.
     */
    SEL4_LLM_CODE_CACHE_FULL = 32,
    /**
     * It took longer than `limit` microseconds and was stopped.
     */
    SEL4_LLM_CODE_DEADLINE = 40,
    /**
     * Inference died with a fault while it had the request.
     */
    SEL4_LLM_CODE_INFERENCE_FAULT = 41,
    /**
     * Inference broke the protocol and was restarted.
     */
    SEL4_LLM_CODE_PROTOCOL_VIOLATION = 42,
    /**
     * Inference did not stop when asked and was restarted.
     */
    SEL4_LLM_CODE_UNRESPONSIVE = 43,
    /**
     * The receiver does not know this request.
     */
    SEL4_LLM_CODE_UNSUPPORTED = 44,
    /**
     * Inference was restarted `value` times within `limit` microseconds: audit has stopped trying.
     */
    SEL4_LLM_CODE_RESTARTS_EXHAUSTED = 45,
    /**
     * The kernel refused to stop inference (`value` 1) or to restart it (`value` 2); audit leaves it alone.
     */
    SEL4_LLM_CODE_CONTROL_REFUSED = 46,
    /**
     * The user's role does not allow it; `value` is the permission, one bit.
     */
    SEL4_LLM_CODE_NOT_PERMITTED = 50,
    /**
     * `value` tokens may be needed, `limit` are left of the user's budget in this period.
     */
    SEL4_LLM_CODE_QUOTA_EXCEEDED = 51,
    /**
     * User or passphrase is wrong; another try is possible in `value` microseconds.
     */
    SEL4_LLM_CODE_LOGIN_FAILED = 52,
    /**
     * Too soon after another login, especially a failed one: `value` microseconds to wait.
     */
    SEL4_LLM_CODE_LOGIN_DELAYED = 53,
    /**
     * The policy has no user of this name.
     */
    SEL4_LLM_CODE_NO_SUCH_USER = 54,
    /**
     * The policy is invalid, so nobody may do anything; `value` is the reason.
     */
    SEL4_LLM_CODE_BAD_POLICY = 55,
    /**
     * A budget of `value` tokens, at most `limit` allowed.
     */
    SEL4_LLM_CODE_BUDGET_TOKENS = 56,
    /**
     * A period of `value` microseconds, 1 s to `limit` allowed.
     */
    SEL4_LLM_CODE_BUDGET_PERIOD = 57,
    /**
     * The passphrase has `value` bytes, at most `limit` allowed.
     */
    SEL4_LLM_CODE_PASSPHRASE_LENGTH = 58,
    /**
     * A login without a passphrase, for a user who has one or does not exist. It does not count as a failed attempt:
     * the same request may follow at once with a passphrase.
     */
    SEL4_LLM_CODE_PASSPHRASE_NEEDED = 59,
    /**
     * The user cancelled it before it was complete.
     */
    SEL4_LLM_CODE_CANCELLED = 60,
    /**
     * The user's share of the audit log is used up: `value` bytes may be needed, `limit` are available until more
     * accrue.
     */
    SEL4_LLM_CODE_LOG_SHARE = 61,
    /**
     * The policy lists no client on the channel that the request came from, so that client may do nothing.
     */
    SEL4_LLM_CODE_UNKNOWN_CLIENT = 62,
    /**
     * The client always runs as one user: the policy does not let it log in.
     */
    SEL4_LLM_CODE_NO_LOGIN = 63,
    /**
     * The user belongs to another client, so nobody else can log in as that user.
     */
    SEL4_LLM_CODE_CLIENTS_USER = 64,
    /**
     * There is no adapter of this name, in the store or made on this device.
     */
    SEL4_LLM_CODE_NO_SUCH_ADAPTER = 70,
    /**
     * The store has no training data of this name.
     */
    SEL4_LLM_CODE_NO_SUCH_DATA = 71,
    /**
     * There is an adapter of this name, but it is not loaded.
     */
    SEL4_LLM_CODE_ADAPTER_NOT_LOADED = 72,
    /**
     * The session began with another adapter, or with none.
     */
    SEL4_LLM_CODE_OTHER_ADAPTER = 73,
    /**
     * `value` adapters are loaded, or made on this device and kept; `limit` allowed.
     */
    SEL4_LLM_CODE_TOO_MANY_ADAPTERS = 74,
    /**
     * An adapter has this name already.
     */
    SEL4_LLM_CODE_ADAPTER_EXISTS = 75,
    /**
     * `value` requests in flight use the adapter.
     */
    SEL4_LLM_CODE_ADAPTER_IN_USE = 76,
    /**
     * The file is not an adapter for the loaded model; the detail says why.
     */
    SEL4_LLM_CODE_BAD_ADAPTER = 77,
    /**
     * Model and adapters would need `value` bytes, the arena has `limit`.
     */
    SEL4_LLM_CODE_ADAPTER_TOO_LARGE = 78,
    /**
     * The adapter was made for another model.
     */
    SEL4_LLM_CODE_OTHER_BASE = 79,
    /**
     * An adapter of `value` bytes was made, but only `limit` bytes are free for adapters.
     */
    SEL4_LLM_CODE_ADAPTER_ROOM = 80,
    /**
     * The adapter comes from the store, so there is nothing to export.
     */
    SEL4_LLM_CODE_NOT_OF_DEVICE = 81,
    /**
     * The policy gives this device no key to sign an adapter with.
     */
    SEL4_LLM_CODE_NO_DEVICE_KEY = 82,
    /**
     * A fine-tuning job is running. There is one at a time; while it runs, models and adapters cannot change, and if
     * memory is short, requests for text are refused.
     */
    SEL4_LLM_CODE_TRAINING = 83,
    /**
     * The fine-tuning job fits in memory only on its own, and `value` requests are in flight.
     */
    SEL4_LLM_CODE_TRAIN_ALONE = 84,
    /**
     * The fine-tuning job needs `value` bytes, `limit` are free; the detail says what would fit.
     */
    SEL4_LLM_CODE_TRAIN_MEMORY = 85,
    /**
     * A rank of `value`, 1 to `limit` allowed.
     */
    SEL4_LLM_CODE_TRAIN_RANK = 86,
    /**
     * An alpha of `value` millionths; above 0, at most `limit` allowed.
     */
    SEL4_LLM_CODE_TRAIN_ALPHA = 87,
    /**
     * `value` epochs, 1 to `limit` allowed.
     */
    SEL4_LLM_CODE_TRAIN_EPOCHS = 88,
    /**
     * A learning rate of `value` billionths; above 0, at most `limit` allowed.
     */
    SEL4_LLM_CODE_TRAIN_RATE = 89,
    /**
     * Target set `value`, 1 (attention) to `limit` (all) allowed.
     */
    SEL4_LLM_CODE_TRAIN_TARGETS = 90,
    /**
     * Line `value` of the data is not a valid example; the detail says why.
     */
    SEL4_LLM_CODE_BAD_DATA = 91,
    /**
     * The data holds no examples.
     */
    SEL4_LLM_CODE_EMPTY_DATA = 92,
    /**
     * `value` bytes of data, `limit` allowed.
     */
    SEL4_LLM_CODE_DATA_TOO_LONG = 93,
    /**
     * An example of `value` tokens, the context has `limit`; the detail says in which line.
     */
    SEL4_LLM_CODE_DATA_CONTEXT = 94,
    /**
     * An example of `value` bytes, 1 to `limit` allowed.
     */
    SEL4_LLM_CODE_EXAMPLE_BYTES = 95,
    /**
     * The example is not one line of UTF-8; `value` is the offset of the first wrong byte.
     */
    SEL4_LLM_CODE_BAD_EXAMPLE = 96,
    /**
     * With this example, the examples would take `value` bytes; there is room for `limit`.
     */
    SEL4_LLM_CODE_EXAMPLES_FULL = 97,
    /**
     * The policy has no format of this name.
     */
    SEL4_LLM_CODE_UNKNOWN_FORMAT = 110,
    /**
     * The policy does not allow this user's role, or the client, to use this format or choices of its own.
     */
    SEL4_LLM_CODE_FORMAT_NOT_ALLOWED = 111,
    /**
     * The policy requires a format for requests by the user's role, or from the client.
     */
    SEL4_LLM_CODE_FORMAT_NEEDED = 112,
    /**
     * Stop strings were given with a format or choices, which already determine where an answer ends.
     */
    SEL4_LLM_CODE_FORMAT_AND_STOPS = 113,
    /**
     * Both a format and choices were given; a request may have only one.
     */
    SEL4_LLM_CODE_FORMAT_AND_CHOICES = 114,
    /**
     * The model's vocabulary cannot spell the format.
     */
    SEL4_LLM_CODE_FORMAT_NOT_SPELLED = 115,
    /**
     * The format's shortest answer takes `value` tokens, `limit` may be generated. Clients get 0 as `value`: only the
     * log has the number.
     */
    SEL4_LLM_CODE_FORMAT_TOO_LONG = 116,
    /**
     * Inference violated the answer's format, or ended it too soon. The offending text is not shown.
     */
    SEL4_LLM_CODE_FORMAT_BREACH = 117,
    /**
     * Inference continued past a stop string. The offending text is not shown.
     */
    SEL4_LLM_CODE_STOP_BREACH = 118,
    /**
     * The model has no chat template, so it only completes texts.
     */
    SEL4_LLM_CODE_NO_TEMPLATE = 119,
    /**
     * The model's chat template does not support system text.
     */
    SEL4_LLM_CODE_NO_SYSTEM = 120,
    /**
     * `value` segments, `limit` allowed.
     */
    SEL4_LLM_CODE_SEGMENTS = 121,
    /**
     * Segment `value` (from 1) has the wrong role. User and assistant alternate, after an optional system text, and
     * the user is last. A session that continues takes no system text.
     */
    SEL4_LLM_CODE_SEGMENT_ROLE = 122,
    /**
     * The chat template cannot represent the text of segment `value` (from 1); the detail says why.
     */
    SEL4_LLM_CODE_SEGMENT_TEXT = 123,
    /**
     * `value` stop strings, `limit` allowed.
     */
    SEL4_LLM_CODE_STOP_STRINGS = 124,
    /**
     * A stop string of `value` bytes, 1 to `limit` allowed.
     */
    SEL4_LLM_CODE_STOP_BYTES = 125,
    /**
     * `value` choices, `limit` allowed.
     */
    SEL4_LLM_CODE_CHOICES = 126,
    /**
     * The choices take `value` bytes together, with a separator between each two; `limit` allowed.
     */
    SEL4_LLM_CODE_CHOICES_BYTES = 127,
    /**
     * Choice `value` (from 1) is empty.
     */
    SEL4_LLM_CODE_CHOICE_EMPTY = 128,
    /**
     * Choice `value` (from 1) is a duplicate.
     */
    SEL4_LLM_CODE_CHOICE_TWICE = 129,
    /**
     * Choice `value` (from 1) contains a line feed.
     */
    SEL4_LLM_CODE_CHOICE_LINE_FEED = 130,
    /**
     * There is no disk, or this system does not support one.
     */
    SEL4_LLM_CODE_NO_DISK = 131,
    /**
     * The disk has no readable file system; `value` is its number of sectors, if it is too small for one.
     */
    SEL4_LLM_CODE_NO_FILE_SYSTEM = 132,
    /**
     * The disk's file system is damaged; `value` is where, if that is known.
     */
    SEL4_LLM_CODE_DISK_DAMAGED = 133,
    /**
     * The disk reports an error; `value` is the sector.
     */
    SEL4_LLM_CODE_DISK_FAILED = 134,
    /**
     * The disk has no file of this name.
     */
    SEL4_LLM_CODE_NO_SUCH_FILE = 135,
    /**
     * The path is a folder where a file is needed, or no file can have this name.
     */
    SEL4_LLM_CODE_BAD_PATH = 136,
    /**
     * There is no room on the disk.
     */
    SEL4_LLM_CODE_DISK_FULL = 137,
    /**
     * The disk is read-only.
     */
    SEL4_LLM_CODE_DISK_READ_ONLY = 138,
    /**
     * There are more files and folders than are listed; `value` is how many are listed.
     */
    SEL4_LLM_CODE_TOO_MANY_FILES = 139,
    /**
     * Files cannot do what it was asked to do.
     */
    SEL4_LLM_CODE_FILES_FAILED = 140,
    /**
     * Files has not answered within `limit` microseconds, so audit asks it nothing more.
     */
    SEL4_LLM_CODE_FILES_SILENT = 141,
    /**
     * Files has sent `value` answers to nothing that audit asked; after `limit` of them, audit asks it nothing more.
     */
    SEL4_LLM_CODE_FILES_BREACH = 142,
    /**
     * A file of `value` bytes; there is room for `limit`.
     */
    SEL4_LLM_CODE_FILE_TOO_LARGE = 143,
    /**
     * The file had `limit` bytes when it was opened, and `value` when it was read.
     */
    SEL4_LLM_CODE_FILE_CHANGED = 144,
    /**
     * The audit log's file is fragmented: it must lie in one piece.
     */
    SEL4_LLM_CODE_LOG_SCATTERED = 145,
    /**
     * The audit log's file has `value` bytes: not whole sectors, too few or too many.
     */
    SEL4_LLM_CODE_LOG_FILE_SIZE = 146,
    /**
     * `value` models of the disk are not listed: their names are invalid, or there are too many.
     */
    SEL4_LLM_CODE_FILES_SKIPPED = 147,
    /**
     * The audit log cannot be written to the disk, and the policy admits nothing without it; `value` is the code of
     * the reason.
     */
    SEL4_LLM_CODE_LOG_LOST = 150,
    /**
     * The audit log's file holds something that is not a log.
     */
    SEL4_LLM_CODE_LOG_GARBAGE = 151,
    /**
     * The log on the disk belongs to another device.
     */
    SEL4_LLM_CODE_LOG_OTHER_DEVICE = 152,
    /**
     * The log on the disk was begun in a file of `value` sectors; the file now has `limit`.
     */
    SEL4_LLM_CODE_LOG_OTHER_SIZE = 153,
    /**
     * Log entries come faster than the disk can take them.
     */
    SEL4_LLM_CODE_LOG_BEHIND = 154,
} sel4_llm_code_t;

/**
 * A client, and all the memory that this library needs. The caller provides it as a static variable, because it is
 * larger than a small stack and must live as long as the domain. Only the library uses its contents. Never copy a
 * client: the copy is not initialised.
 */
typedef struct {
    /**
     * For the library only.
     */
    uint64_t opaque[3584];
} sel4_llm_client_t;

/**
 * Text from the model or a file. It is untrusted, has no terminating zero, and may not be UTF-8.
 */
typedef struct {
    /**
     * The bytes, in the client's memory: valid until the next `sel4_llm_poll` on this client.
     */
    const char *bytes;
    /**
     * Number of bytes.
     */
    size_t length;
    /**
     * Number of tokens that they are made of; 0 if they are not generated text.
     */
    uint32_t tokens;
} sel4_llm_text_t;

/**
 * Result of a generation. Times are by audit's clock.
 */
typedef struct {
    /**
     * Why it ended.
     */
    sel4_llm_finish_t reason;
    /**
     * Tokens of the prompt; 0 if the answer has a format or choices, because inference could hide a message in the
     * number.
     */
    uint32_t prompt_tokens;
    /**
     * Tokens that were generated.
     */
    uint32_t generated_tokens;
    /**
     * Turn of its session, from 1.
     */
    uint32_t turn;
    /**
     * Microseconds from the admission of the request to the first token.
     */
    uint64_t first_token_us;
    /**
     * Microseconds from the admission of the request to its end.
     */
    uint64_t total_us;
    /**
     * Microseconds of it in which the egress cap held text back, of this request or of others: they share the cap.
     */
    uint64_t held_us;
} sel4_llm_finished_t;

/**
 * Why a request was refused or failed.
 */
typedef struct {
    /**
     * A number of `sel4_llm_code_t`, or one that this header does not know; 0 if nothing failed.
     */
    uint32_t code;
    /**
     * The offending value. The comment at the code says what it is.
     */
    uint64_t value;
    /**
     * The limit that was exceeded; 0 if there is none.
     */
    uint64_t limit;
} sel4_llm_failure_t;

/**
 * A model in the store.
 */
typedef struct {
    /**
     * Its name, terminated by a zero.
     */
    char name[65];
    /**
     * Whether it is loaded.
     */
    bool loaded;
    /**
     * Its signature.
     */
    sel4_llm_signature_t signature;
    /**
     * Size of its file in bytes.
     */
    uint64_t file_bytes;
} sel4_llm_model_t;

/**
 * State of the service.
 */
typedef struct {
    /**
     * Name of the loaded model, terminated by a zero; empty if there is none.
     */
    char model[65];
    /**
     * Name of its chat template, terminated by a zero; empty if it has none and only completes texts.
     */
    char template_name[33];
    /**
     * Whether control tokens separate the template's roles, according to inference. If not, a text can imitate another
     * role.
     */
    bool roles_separated;
    /**
     * Number of its parameters.
     */
    uint64_t parameters;
    /**
     * Bytes of the arena, which holds the model and its working memory.
     */
    uint64_t arena_bytes;
    /**
     * Bytes of it in use.
     */
    uint64_t arena_used;
    /**
     * Context of a session in tokens.
     */
    uint32_t context;
    /**
     * Positions of the cache that all sessions share.
     */
    uint32_t cache_positions;
    /**
     * Positions of it that are not reserved.
     */
    uint32_t cache_free;
    /**
     * Requests of all clients that are admitted and have not ended.
     */
    uint32_t active;
    /**
     * Those of them that wait for room in the cache.
     */
    uint32_t waiting;
    /**
     * Sessions that hold part of the cache.
     */
    uint32_t sessions;
    /**
     * Restarts of inference since the system started.
     */
    uint32_t restarts;
} sel4_llm_status_t;

/**
 * A budget of tokens.
 */
typedef struct {
    /**
     * The user's name, terminated by a zero.
     */
    char user[33];
    /**
     * Tokens per period.
     */
    uint64_t tokens;
    /**
     * Tokens that are left now.
     */
    uint64_t available;
    /**
     * The period in microseconds.
     */
    uint64_t period_us;
    /**
     * Microseconds left of it; then all tokens are available again.
     */
    uint64_t left_us;
} sel4_llm_budget_t;

/**
 * A user.
 */
typedef struct {
    /**
     * The name, terminated by a zero.
     */
    char name[33];
    /**
     * The role, terminated by a zero.
     */
    char role[33];
} sel4_llm_user_t;

/**
 * How much of a file audit has read.
 */
typedef struct {
    /**
     * Bytes of the file that were checked or loaded.
     */
    uint64_t done;
    /**
     * Size of the file in bytes.
     */
    uint64_t total;
} sel4_llm_progress_t;

/**
 * Why inference was restarted.
 */
typedef struct {
    /**
     * How many faults this reports: the newest, and earlier ones that were not reported.
     */
    uint32_t count;
    /**
     * Instruction pointer of the newest; 0 if unknown.
     */
    uint64_t ip;
    /**
     * Address that it accessed, or 0.
     */
    uint64_t address;
} sel4_llm_fault_t;

/**
 * An adapter.
 */
typedef struct {
    /**
     * Its name, terminated by a zero.
     */
    char name[65];
    /**
     * Whether it is loaded.
     */
    bool loaded;
    /**
     * Whether it was made on this device since boot. If not, it is in the store, or on the disk if its name begins
     * with `disk/`.
     */
    bool made_here;
    /**
     * Its signature: by a key of the policy if it is in the store, otherwise by this device's.
     */
    sel4_llm_signature_t signature;
    /**
     * Size of its file in bytes.
     */
    uint64_t file_bytes;
    /**
     * SHA-256 of its file; zeros until it is known.
     */
    uint8_t sha256[32];
    /**
     * SHA-256 of the file of its base model; zeros until it is known.
     */
    uint8_t base_sha256[32];
    /**
     * Its rank, the largest if its matrices differ. This and the numbers below are 0 until it has been loaded.
     */
    uint32_t rank;
    /**
     * Alpha in millionths.
     */
    uint32_t alpha;
    /**
     * Matrices of the model that it changes.
     */
    uint32_t matrices;
    /**
     * Number of values in all its matrices.
     */
    uint64_t parameters;
    /**
     * Bytes that it uses in the arena.
     */
    uint64_t arena_bytes;
} sel4_llm_adapter_t;

/**
 * Progress of a fine-tuning.
 */
typedef struct {
    /**
     * Updates of the adapter so far.
     */
    uint32_t step;
    /**
     * Updates in all.
     */
    uint32_t steps;
    /**
     * Tokens that have gone through the model so far.
     */
    uint64_t tokens;
    /**
     * Mean loss of the examples since the last epoch began, in millionths of a nat per token.
     */
    uint32_t loss;
    /**
     * Tokens of the longest example.
     */
    uint32_t longest;
    /**
     * Whether requests for text are refused until it ends, because there is no memory for both.
     */
    bool alone;
    /**
     * Microseconds since it began.
     */
    uint64_t elapsed_us;
} sel4_llm_training_t;

/**
 * A fine-tuning that has succeeded.
 */
typedef struct {
    /**
     * Name of the adapter, terminated by a zero.
     */
    char name[65];
    /**
     * SHA-256 of its file.
     */
    uint8_t sha256[32];
    /**
     * Size of its file in bytes.
     */
    uint64_t file_bytes;
    /**
     * Tokens that went through the model, and were charged to the budget.
     */
    uint64_t tokens;
    /**
     * Updates of the adapter.
     */
    uint32_t steps;
    /**
     * Mean loss of the last epoch, in millionths of a nat per token.
     */
    uint32_t loss;
    /**
     * Microseconds from the admission of the request to its end.
     */
    uint64_t total_us;
    /**
     * Why the adapter is not loaded, as a number of `sel4_llm_code_t`; 0 if it is loaded.
     */
    uint32_t not_loaded;
    /**
     * What it is called on the disk, with a zero at its end; empty: it is not there.
     */
    char on_disk[65];
    /**
     * Why the disk does not have it, a number of `sel4_llm_code_t`; 0: it does, or the system has no disk.
     */
    uint32_t not_on_disk;
    /**
     * What that reason is about, such as a sector.
     */
    uint64_t disk_value;
    /**
     * The limit that was exceeded; 0 if there is none.
     */
    uint64_t disk_limit;
} sel4_llm_tuned_t;

/**
 * An adapter's file that was sent.
 */
typedef struct {
    /**
     * The adapter's name, terminated by a zero.
     */
    char name[65];
    /**
     * Size of its file in bytes, which is that of all parts.
     */
    uint64_t file_bytes;
    /**
     * SHA-256 of its file.
     */
    uint8_t sha256[32];
    /**
     * SHA-256 of the file of its base model.
     */
    uint8_t base_sha256[32];
    /**
     * Ed25519 signature of the SHA-256 of its file, by the device's key.
     */
    uint8_t signature[64];
} sel4_llm_exported_t;

/**
 * The examples added so far.
 */
typedef struct {
    /**
     * How many there are.
     */
    uint32_t count;
    /**
     * Bytes that they use.
     */
    uint32_t bytes;
    /**
     * Bytes that they may use.
     */
    uint32_t limit;
} sel4_llm_examples_t;

/**
 * A format that answers can have.
 */
typedef struct {
    /**
     * Its name, terminated by a zero.
     */
    char name[33];
    /**
     * Whether the policy allows it to this client.
     */
    bool allowed;
    /**
     * States of its automaton.
     */
    uint32_t states;
    /**
     * Bytes of its automaton.
     */
    uint32_t bytes;
    /**
     * SHA-256 of its automaton, as in records of the audit log.
     */
    uint8_t sha256[32];
} sel4_llm_format_t;

/**
 * An event from audit. Members that its kind does not name are zero.
 */
typedef struct {
    /**
     * The kind.
     */
    sel4_llm_event_kind_t kind;
    /**
     * The request that it is about, by the number that the function gave; 0 for news.
     */
    uint32_t request;
    /**
     * Whether that request has ended. Each request has exactly one such event, and none after it.
     */
    bool is_end;
    /**
     * The text that came with it.
     */
    sel4_llm_text_t text;
    /**
     * Result of a generation.
     */
    sel4_llm_finished_t finished;
    /**
     * What went wrong.
     */
    sel4_llm_failure_t failure;
    /**
     * An entry of a list.
     */
    sel4_llm_model_t model;
    /**
     * Number of entries of the list.
     */
    uint32_t count;
    /**
     * State of the service.
     */
    sel4_llm_status_t status;
    /**
     * The budget of this client's user.
     */
    sel4_llm_budget_t budget;
    /**
     * Who this client is.
     */
    sel4_llm_user_t user;
    /**
     * How much of a file audit has read.
     */
    sel4_llm_progress_t progress;
    /**
     * Why inference was restarted.
     */
    sel4_llm_fault_t fault;
    /**
     * Restarts of inference since the system started.
     */
    uint32_t restarts;
    /**
     * An entry of a list, or the adapter that was loaded.
     */
    sel4_llm_adapter_t adapter;
    /**
     * Progress of a fine-tuning.
     */
    sel4_llm_training_t training;
    /**
     * Result of a fine-tuning.
     */
    sel4_llm_tuned_t tuned;
    /**
     * Where the bytes of `text` belong in an adapter's file.
     */
    uint64_t offset;
    /**
     * What the parts of an adapter's file must add up to.
     */
    sel4_llm_exported_t exported;
    /**
     * The examples added so far.
     */
    sel4_llm_examples_t examples;
    /**
     * An entry of a list.
     */
    sel4_llm_format_t format;
} sel4_llm_event_t;

/**
 * Parameters of a request for text. Start from `sel4_llm_default_params` and change them.
 */
typedef struct {
    /**
     * The conversation to start or to continue, terminated by a zero. Null: none, and nothing of the request stays in
     * the model's memory.
     */
    const char *session;
    /**
     * The loaded adapter to use, terminated by a zero. Null: none, or that of the session that continues.
     */
    const char *adapter;
    /**
     * The format, from the policy, that the answer must have, terminated by a zero. Null: none. Audit passes no byte
     * that does not belong to it, whatever inference does.
     */
    const char *format;
    /**
     * The only allowed answers, `choice_count` texts, each terminated by a zero. Not with `format`.
     */
    const char *const *choices;
    /**
     * Number of choices. 0 allows any answer, and then `choices` may be null.
     */
    size_t choice_count;
    /**
     * Texts that end the answer and are not part of it, `stop_count` texts, each terminated by a zero. Not with
     * `format` or `choices`, which determine where an answer ends.
     */
    const char *const *stops;
    /**
     * Number of stop strings. If it is 0, `stops` may be null.
     */
    size_t stop_count;
    /**
     * Seed of the random generator. The same seed and prompt give the same text.
     */
    uint64_t seed;
    /**
     * Most tokens to generate, at least 1. They are reserved from the budget until the end.
     */
    uint32_t max_tokens;
    /**
     * In millionths. 0: always the likeliest token, for decisions. 1,000,000: the model's own probabilities.
     */
    uint32_t temperature;
    /**
     * Candidates to keep; 0 keeps all.
     */
    uint32_t top_k;
    /**
     * Probability to keep, in millionths.
     */
    uint32_t top_p;
    /**
     * Least probability relative to the likeliest, in millionths.
     */
    uint32_t min_p;
    /**
     * Divisor for recent tokens, in millionths. 1,000,000: none.
     */
    uint32_t repeat_penalty;
    /**
     * How many recent tokens `repeat_penalty` applies to.
     */
    uint32_t repeat_last_n;
} sel4_llm_params_t;

/**
 * A text of a conversation. It stays text whatever it looks like, because only the model's chat template marks where
 * one ends.
 */
typedef struct {
    /**
     * Who says it: `SEL4_LLM_ROLE_SYSTEM`, `SEL4_LLM_ROLE_USER` or `SEL4_LLM_ROLE_ASSISTANT`.
     */
    uint32_t role;
    /**
     * The text, as UTF-8. It may be the text of the last event.
     */
    const char *text;
    /**
     * Its bytes, without a terminating zero. If it is not the user's text it may be 0, and then `text` may be null.
     */
    size_t text_size;
} sel4_llm_segment_t;

/**
 * Parameters of a fine-tuning. Start from `sel4_llm_default_tuning` and change them.
 */
typedef struct {
    /**
     * Name of the adapter, terminated by a zero. Null: that of the data.
     */
    const char *adapter;
    /**
     * Seed of the initial values and of the order of examples. The same seed and data give the same adapter.
     */
    uint64_t seed;
    /**
     * Rank of its matrices, 1 to 64. A higher rank can learn more and costs more.
     */
    uint32_t rank;
    /**
     * Alpha in millionths: the adapter's effect is multiplied by `alpha` / `rank`.
     */
    uint32_t alpha;
    /**
     * Passes over the examples, 1 to 100. The budget pays for their tokens in each pass.
     */
    uint32_t epochs;
    /**
     * The peak learning rate, in billionths.
     */
    uint32_t rate;
    /**
     * `SEL4_LLM_TARGETS_ATTENTION` or `SEL4_LLM_TARGETS_ALL`.
     */
    uint32_t targets;
} sel4_llm_tuning_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * `SEL4_LLM_RING_BYTES` of the library in the program.
 */
extern const uint64_t sel4_llm_ring_bytes;

/**
 * `SEL4_LLM_PROTOCOL_VERSION` of the library in the program.
 */
extern const uint64_t sel4_llm_protocol_version;

/**
 * Makes a client. Call it once, in `init`, before any other function.
 *
 * `client`, `client_size`: the caller's `sel4_llm_client_t`, and its `sizeof`.
 * `from_audit`, `from_audit_size`: the region that audit writes, mapped readable.
 * `to_audit`, `to_audit_size`: the region that this domain writes.
 *
 * Both regions belong to the client for as long as the domain runs: nothing else may read or write them. Nothing is
 * sent yet.
 *
 * `SEL4_LLM_NULL_POINTER`, `SEL4_LLM_MISALIGNED`, `SEL4_LLM_CLIENT_SIZE`, `SEL4_LLM_REGION_SIZE`, `SEL4_LLM_OVERLAP`,
 * `SEL4_LLM_ALREADY_INITIALISED`.
 */
sel4_llm_error_t sel4_llm_init(sel4_llm_client_t *client,
                               size_t client_size,
                               const void *from_audit,
                               size_t from_audit_size,
                               void *to_audit,
                               size_t to_audit_size);

/**
 * Lists the models in the store. Answer: `SEL4_LLM_EVENT_MODEL` for each, then `SEL4_LLM_EVENT_LISTED`,
 * `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`. Errors: as for `sel4_llm_infer`.
 */
sel4_llm_error_t sel4_llm_models(sel4_llm_client_t *client,
                                 uint32_t *id);

/**
 * Asks for the state of the service. Answer: `SEL4_LLM_EVENT_STATUS`, `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`.
 * Errors: as for `sel4_llm_infer`.
 */
sel4_llm_error_t sel4_llm_status(sel4_llm_client_t *client,
                                 uint32_t *id);

/**
 * Asks for the budget of this client's user. Answer: `SEL4_LLM_EVENT_BUDGET`, `SEL4_LLM_EVENT_FAILED` or
 * `SEL4_LLM_EVENT_LOST`. Errors: as for `sel4_llm_infer`.
 */
sel4_llm_error_t sel4_llm_budget(sel4_llm_client_t *client,
                                 uint32_t *id);

/**
 * Asks audit to stop a request. Its end still comes as an event, with its cost so far.
 *
 * `SEL4_LLM_NO_SUCH_REQUEST`: it has ended, or was never made. `SEL4_LLM_NULL_POINTER`, `SEL4_LLM_MISALIGNED`,
 * `SEL4_LLM_NOT_INITIALISED`.
 */
sel4_llm_error_t sel4_llm_cancel(sel4_llm_client_t *client,
                                 uint32_t id);

/**
 * Like `sel4_llm_cancel`, but the request has no further event, not even its end.
 */
sel4_llm_error_t sel4_llm_abandon(sel4_llm_client_t *client, uint32_t id);

/**
 * Takes the next event from audit. It does not wait. Whenever audit signals, call it until it returns something other
 * than `SEL4_LLM_OK`, then call `sel4_llm_wants_signal`.
 *
 * `event`: receives the event. Its text is in the client's memory, and valid until the next call.
 *
 * `SEL4_LLM_OK`: there is an event. `SEL4_LLM_NOTHING`: there is none, and the kind of `event` is
 * `SEL4_LLM_EVENT_NONE`. `SEL4_LLM_OTHER_VERSION`: the same, and there will never be one. `SEL4_LLM_NULL_POINTER`,
 * `SEL4_LLM_MISALIGNED`, `SEL4_LLM_OVERLAP`, `SEL4_LLM_NOT_INITIALISED`: `event` is unchanged.
 */
sel4_llm_error_t sel4_llm_poll(sel4_llm_client_t *client,
                               sel4_llm_event_t *event);

/**
 * Whether audit must be signalled (`microkit_notify`), because something was sent or read since the last call. One
 * signal is enough for everything before it. False for an invalid client.
 */
bool sel4_llm_wants_signal(sel4_llm_client_t *client);

/**
 * How many requests can be sent now. 0 for an invalid client.
 */
uint32_t sel4_llm_room(const sel4_llm_client_t *client);

/**
 * Describes an error, for people. Accepts any number; the text is static and terminated by a zero.
 */
const char *sel4_llm_error_text(int32_t error);

/**
 * The name of a code of `sel4_llm_failure_t`, such as `QuotaExceeded`. Accepts any number; the text is static and
 * terminated by a zero.
 */
const char *sel4_llm_code_name(uint32_t code);

/**
 * Default parameters of a request: 128 tokens, a temperature of 0.8, always the same seed; no session, no adapter, any
 * answer.
 * For decisions, set `choices` or `format`, `temperature` to 0, and `max_tokens` to the length of the longest answer.
 */
sel4_llm_params_t sel4_llm_default_params(void);

/**
 * Has the model complete a text: it continues where the text ends, without a chat template. Answer:
 * `SEL4_LLM_EVENT_TEXT` any number of times, then `SEL4_LLM_EVENT_FINISHED`, `SEL4_LLM_EVENT_FAILED` or
 * `SEL4_LLM_EVENT_LOST`.
 *
 * `params`: the parameters; null: those of `sel4_llm_default_params`.
 * `prompt`, `prompt_size`: the text, as UTF-8, and its bytes without a terminating zero, from 1 to
 * `SEL4_LLM_MAX_PROMPT_BYTES`. It may be the text of the last event.
 * `id`: receives the number of the request, never 0. Events name it.
 *
 * None of the arguments is needed after it has returned.
 *
 * `SEL4_LLM_NOT_CONNECTED`, `SEL4_LLM_FULL`, `SEL4_LLM_TOO_MANY_IN_FLIGHT`: try again when each says.
 * `SEL4_LLM_OTHER_VERSION`, `SEL4_LLM_BROKEN_RING`, `SEL4_LLM_PROMPT_...`, `SEL4_LLM_BAD_...`,
 * `SEL4_LLM_TOO_MANY_...`, `SEL4_LLM_CHOICES_TOO_LONG`, `SEL4_LLM_FORMAT_NOT_ALONE`, `SEL4_LLM_NULL_POINTER`,
 * `SEL4_LLM_MISALIGNED`, `SEL4_LLM_OVERLAP`, `SEL4_LLM_NOT_INITIALISED`.
 */
sel4_llm_error_t sel4_llm_infer(sel4_llm_client_t *client,
                                const sel4_llm_params_t *params,
                                const char *prompt,
                                size_t prompt_size,
                                uint32_t *id);

/**
 * Says something to the model, which answers, if it has a chat template; otherwise as `sel4_llm_infer`. Audit decides
 * which, knowing the model that the request runs on. Parameters, answer and errors: as for `sel4_llm_infer`.
 */
sel4_llm_error_t sel4_llm_prompt(sel4_llm_client_t *client,
                                 const sel4_llm_params_t *params,
                                 const char *prompt,
                                 size_t prompt_size,
                                 uint32_t *id);

/**
 * Continues a conversation. A model without a chat template refuses it (the code `NoTemplate`).
 *
 * `segments`, `segment_count`: the texts, 1 to `SEL4_LLM_MAX_SEGMENTS`. User and assistant alternate, after an
 * optional system text, and the user is last. If a session continues, give only what is new, and no system text.
 * Other parameters, answer and errors: as for `sel4_llm_infer`, and `SEL4_LLM_BAD_ROLE`.
 */
sel4_llm_error_t sel4_llm_converse(sel4_llm_client_t *client,
                                   const sel4_llm_params_t *params,
                                   const sel4_llm_segment_t *segments,
                                   size_t segment_count,
                                   uint32_t *id);

/**
 * Lists the formats of the policy. Answer: `SEL4_LLM_EVENT_FORMAT` for each, then `SEL4_LLM_EVENT_LISTED`,
 * `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`. Errors: as for `sel4_llm_infer`.
 */
sel4_llm_error_t sel4_llm_formats(sel4_llm_client_t *client,
                                  uint32_t *id);

/**
 * Default parameters of a fine-tuning: rank 4, alpha 8, 3 epochs, a rate of 0.001, the matrices of attention, always
 * the same seed, and the name of the data for the adapter.
 */
sel4_llm_tuning_t sel4_llm_default_tuning(void);

/**
 * Trains an adapter for the loaded model. Answer: `SEL4_LLM_EVENT_PROGRESS` while audit reads the data and
 * `SEL4_LLM_EVENT_TRAINING` any number of times, then `SEL4_LLM_EVENT_TUNED`, `SEL4_LLM_EVENT_FAILED` or
 * `SEL4_LLM_EVENT_LOST`. If it is cancelled, nothing of it is kept.
 *
 * `tuning`: the parameters; null: those of `sel4_llm_default_tuning`.
 * `data`: the name of data in the store, terminated by a zero; null: the examples of `sel4_llm_example`.
 * `id`: as for `sel4_llm_infer`. Errors: as for `sel4_llm_infer`, and `SEL4_LLM_BAD_DATA`, `SEL4_LLM_BAD_ADAPTER`,
 * `SEL4_LLM_BAD_RANK`, `SEL4_LLM_BAD_ALPHA`, `SEL4_LLM_BAD_EPOCHS`, `SEL4_LLM_BAD_RATE`, `SEL4_LLM_BAD_TARGETS`.
 */
sel4_llm_error_t sel4_llm_fine_tune(sel4_llm_client_t *client,
                                    const sel4_llm_tuning_t *tuning,
                                    const char *data,
                                    uint32_t *id);

/**
 * Writes an example as the line of JSON that `sel4_llm_example` takes. It needs no client.
 *
 * `prompt`, `prompt_size`: a prompt, or the whole text if there is no answer: UTF-8, and its bytes without a
 * terminating zero, from 1 to `SEL4_LLM_MAX_EXAMPLE_BYTES`.
 * `answer`, `answer_size`: the answer to the prompt, including its leading space; likewise. Null: none.
 * `line`, `line_size`: a buffer for the line, which gets no terminating zero. It must not overlap the other arguments.
 * `length`: receives the bytes of the line. A line is longer than its texts; `SEL4_LLM_MAX_EXAMPLE_BYTES` suffice.
 *
 * `SEL4_LLM_EXAMPLE_EMPTY`, `SEL4_LLM_EXAMPLE_NOT_UTF8`, `SEL4_LLM_EXAMPLE_TOO_LONG` (also if the line does not fit),
 * `SEL4_LLM_NULL_POINTER`, `SEL4_LLM_MISALIGNED`, `SEL4_LLM_OVERLAP`: do not use anything in `line`.
 */
sel4_llm_error_t sel4_llm_example_line(const char *prompt,
                                       size_t prompt_size,
                                       const char *answer,
                                       size_t answer_size,
                                       char *line,
                                       size_t line_size,
                                       size_t *length);

/**
 * Adds an example for `sel4_llm_fine_tune` without data. Answer: `SEL4_LLM_EVENT_EXAMPLES`, `SEL4_LLM_EVENT_FAILED` or
 * `SEL4_LLM_EVENT_LOST`.
 *
 * `line`, `line_size`: a line written by `sel4_llm_example_line`.
 * `id`: as for `sel4_llm_infer`. Errors: as for `sel4_llm_infer`, and `SEL4_LLM_EXAMPLE_EMPTY`,
 * `SEL4_LLM_EXAMPLE_TOO_LONG`.
 */
sel4_llm_error_t sel4_llm_example(sel4_llm_client_t *client,
                                  const char *line,
                                  size_t line_size,
                                  uint32_t *id);

/**
 * Forgets the examples. Answer and errors: as for `sel4_llm_example`.
 */
sel4_llm_error_t sel4_llm_drop_examples(sel4_llm_client_t *client, uint32_t *id);

/**
 * Lists the adapters in the store and those made on this device. Answer: `SEL4_LLM_EVENT_ADAPTER` for each, then
 * `SEL4_LLM_EVENT_LISTED`, `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`. Errors: as for `sel4_llm_infer`.
 */
sel4_llm_error_t sel4_llm_adapters(sel4_llm_client_t *client,
                                   uint32_t *id);

/**
 * Loads an adapter beside the model. Answer: `SEL4_LLM_EVENT_PROGRESS` any number of times, then
 * `SEL4_LLM_EVENT_ADAPTER_LOADED`, `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`.
 *
 * `name`: the adapter's name, terminated by a zero.
 * `id`: as for `sel4_llm_infer`. Errors: as for `sel4_llm_infer`, and `SEL4_LLM_BAD_ADAPTER`.
 */
sel4_llm_error_t sel4_llm_load_adapter(sel4_llm_client_t *client, const char *name, uint32_t *id);

/**
 * Unloads an adapter, and forgets it if it was made on this device. Answer: `SEL4_LLM_EVENT_DONE`,
 * `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`. Otherwise as `sel4_llm_load_adapter`.
 */
sel4_llm_error_t sel4_llm_drop_adapter(sel4_llm_client_t *client, const char *name, uint32_t *id);

/**
 * Reads the file of an adapter that was made on this device. Answer: `SEL4_LLM_EVENT_ADAPTER_PART` for each part, in
 * order, then `SEL4_LLM_EVENT_EXPORTED`, `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`, or `SEL4_LLM_EVENT_DONE`
 * after a cancel. Otherwise as `sel4_llm_load_adapter`.
 */
sel4_llm_error_t sel4_llm_export_adapter(sel4_llm_client_t *client,
                                         const char *name,
                                         uint32_t *id);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* Fails to compile if the compiler's rules differ from the library's. */
#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(void *) == 8, "64-bit only");
_Static_assert(sizeof(sel4_llm_client_t) == SEL4_LLM_CLIENT_BYTES, "the size of a client");
_Static_assert(sizeof(sel4_llm_error_t) == 4, "enums of four bytes: no -fshort-enums");
#endif
