/*
 * A client of sel4-llm: asks the model from a protection domain in C. clients/c/README.md shows a whole one.
 *
 * Made by cbindgen from clients/c/src: do not edit it, run `make client-c-header`.
 *
 * All functions: nothing blocks, nothing allocates, and nothing keeps a pointer of the caller's but `sel4_llm_init`, which
 * keeps those to the client and to the two regions. A client is used by one thread at a time. A function that gives an
 * error has done nothing. A pointer that is null, misaligned, or over something of the library's is an error, unless a
 * function says otherwise. That the memory behind a pointer is there, and as large as is said, is the caller's to see to.
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
 * Longest text that a request goes on from, in bytes. Of a conversation, all texts together, with 8 for each that follows
 * on the first; so count stop strings and choices.
 */
#define SEL4_LLM_MAX_PROMPT_BYTES 8192

/**
 * Most segments of a conversation that one request brings.
 */
#define SEL4_LLM_MAX_SEGMENTS 16

/**
 * Most stop strings of a request.
 */
#define SEL4_LLM_MAX_STOPS 4

/**
 * Longest stop string in bytes, without the zero at its end.
 */
#define SEL4_LLM_MAX_STOP_BYTES 64

/**
 * Most choices of a request.
 */
#define SEL4_LLM_MAX_CHOICES 32

/**
 * Most bytes of all choices of a request together, with one between each two.
 */
#define SEL4_LLM_MAX_CHOICES_BYTES 512

/**
 * Most tokens that a request may generate. The user's role may allow fewer.
 */
#define SEL4_LLM_MAX_TOKENS 512

/**
 * Longest text that one event has, in bytes.
 */
#define SEL4_LLM_MAX_TEXT_BYTES 4160

/**
 * Most requests in flight. The policy may allow fewer.
 */
#define SEL4_LLM_MAX_IN_FLIGHT 64

/**
 * Longest name of a session in bytes, without the zero at its end.
 */
#define SEL4_LLM_MAX_SESSION_BYTES 32

/**
 * Longest name of a user or a role in bytes, without the zero at its end.
 */
#define SEL4_LLM_MAX_USER_BYTES 32

/**
 * Longest name of a model, an adapter or data in bytes, without the zero at its end.
 */
#define SEL4_LLM_MAX_MODEL_BYTES 64

/**
 * Longest name of a format in bytes, without the zero at its end.
 */
#define SEL4_LLM_MAX_FORMAT_BYTES 32

/**
 * Longest name of a chat template in bytes, without the zero at its end.
 */
#define SEL4_LLM_MAX_TEMPLATE_BYTES 32

/**
 * For `role`: what the model is told before anybody speaks. At most one segment, the first, and only when a session begins.
 */
#define SEL4_LLM_ROLE_SYSTEM 2

/**
 * For `role`: what a person says. The last segment is one.
 */
#define SEL4_LLM_ROLE_USER 3

/**
 * For `role`: what the model has said.
 */
#define SEL4_LLM_ROLE_ASSISTANT 4

/**
 * Most events that `sel4_llm_poll` has to give at a signal. A domain that does not poll until there is nothing more may
 * stop after so many: what audit writes meanwhile comes with a signal of its own.
 */
#define SEL4_LLM_MAX_WAITING 81

/**
 * One, in millionths: fractions are whole numbers of millionths, since a domain may have no floating point.
 */
#define SEL4_LLM_ONE 1000000

/**
 * Longest example in bytes, as a line of JSON.
 */
#define SEL4_LLM_MAX_EXAMPLE_BYTES 8192

/**
 * Most bytes of an adapter's file that one event has.
 */
#define SEL4_LLM_MAX_PART_BYTES 4096

/**
 * For `targets`: the matrices of attention are changed.
 */
#define SEL4_LLM_TARGETS_ATTENTION 1

/**
 * For `targets`: those of the feed-forward layers, too.
 */
#define SEL4_LLM_TARGETS_ALL 2

/**
 * What a function says about its call. Whatever it is but `SEL4_LLM_OK`, the call has done nothing.
 */
typedef enum {
    /**
     * It was done.
     */
    SEL4_LLM_OK = 0,
    /**
     * `sel4_llm_poll`: audit has said nothing more. Wait for its next signal.
     */
    SEL4_LLM_NOTHING = 1,
    /**
     * Audit does not serve this client yet. Try again when it signals.
     */
    SEL4_LLM_NOT_CONNECTED = 10,
    /**
     * Audit has not read what it was sent before. Try again when it signals.
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
     * Audit's region has an index that it cannot have. Nothing can be sent until it has another.
     */
    SEL4_LLM_BROKEN_RING = 21,
    /**
     * The prompt has no byte.
     */
    SEL4_LLM_PROMPT_EMPTY = 30,
    /**
     * The prompt has more than `SEL4_LLM_MAX_PROMPT_BYTES` bytes.
     */
    SEL4_LLM_PROMPT_TOO_LONG = 31,
    /**
     * The prompt is no UTF-8.
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
     * No request of this number is in flight: it has ended, or was never made.
     */
    SEL4_LLM_NO_SUCH_REQUEST = 40,
    /**
     * The adapter's name is empty where one is needed, is longer than `SEL4_LLM_MAX_MODEL_BYTES`, or is not visible ASCII without quotes and backslash.
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
     * A segment's role is not the one that is due: after the system's, if there is one, user and assistant take turns, and
     * the user is last.
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
     * A stop string has no byte, or more than `SEL4_LLM_MAX_STOP_BYTES`.
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
     * A choice has no byte or a line feed, or is there twice.
     */
    SEL4_LLM_BAD_CHOICE = 68,
    /**
     * Choices beside a format, or stop strings beside either.
     */
    SEL4_LLM_FORMAT_NOT_ALONE = 69,
    /**
     * A text of the example, or its line, has no byte.
     */
    SEL4_LLM_EXAMPLE_EMPTY = 60,
    /**
     * A text of the example has more than `SEL4_LLM_MAX_EXAMPLE_BYTES` bytes, or its line has more than those or than its
     * buffer.
     */
    SEL4_LLM_EXAMPLE_TOO_LONG = 61,
    /**
     * A text of the example is no UTF-8.
     */
    SEL4_LLM_EXAMPLE_NOT_UTF8 = 62,
    /**
     * A pointer is null that must not be.
     */
    SEL4_LLM_NULL_POINTER = 50,
    /**
     * A pointer is not aligned as its type must be, or a region not to 8 bytes.
     */
    SEL4_LLM_MISALIGNED = 51,
    /**
     * Two of the client, the regions and the buffers lie over each other, or one reaches over the end of the addresses.
     */
    SEL4_LLM_OVERLAP = 52,
    /**
     * The client's memory has not `sizeof(sel4_llm_client_t)` bytes: the header and the library are of different versions.
     */
    SEL4_LLM_CLIENT_SIZE = 53,
    /**
     * A region has not `SEL4_LLM_RING_BYTES` bytes. Correct its size in system.xml.
     */
    SEL4_LLM_REGION_SIZE = 54,
    /**
     * The client was not initialised, or was moved since. Call `sel4_llm_init` first, and do not copy a client.
     */
    SEL4_LLM_NOT_INITIALISED = 55,
    /**
     * The client was initialised before.
     */
    SEL4_LLM_ALREADY_INITIALISED = 56,
    /**
     * A bug of this library.
     */
    SEL4_LLM_INTERNAL = 70,
} sel4_llm_error_t;

/**
 * What an event is. In braces: the members of `sel4_llm_event_t` that it sets besides `kind`, `request` and `is_end`.
 */
typedef enum {
    /**
     * There is no event.
     */
    SEL4_LLM_EVENT_NONE = 0,
    /**
     * News, once and first: requests for text are taken now. {`user`: who this client is}
     */
    SEL4_LLM_EVENT_READY = 1,
    /**
     * News: how far the start of the system has got. With a request: how far audit has read the file of an adapter, or the
     * data of a fine-tuning. {`progress`}
     */
    SEL4_LLM_EVENT_PROGRESS = 2,
    /**
     * News: inference has died or was stopped, and is restarted. Requests that it had fail, each with an event of its own.
     * {`fault`}
     */
    SEL4_LLM_EVENT_FAULT = 3,
    /**
     * News: inference serves again. {`restarts`}
     */
    SEL4_LLM_EVENT_RECOVERED = 4,
    /**
     * News: the first model cannot be loaded, or inference was restarted too often and stays down. {`failure`, `text`}
     */
    SEL4_LLM_EVENT_SYSTEM_FAILED = 5,
    /**
     * News: audit has begun anew. Sessions are gone; requests in flight are told as lost after this.
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
     * The end of a request: audit has begun anew. Whether it was carried out is not known.
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
     * A part of the answer to `sel4_llm_fine_tune`: how far it is. {`training`}
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
     * The answer to `sel4_llm_export_adapter`: all parts have come. {`exported`: what they must be}
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
 * Why a generation has ended.
 */
typedef enum {
    /**
     * It has not.
     */
    SEL4_LLM_FINISH_NONE = 0,
    /**
     * The model ended its text.
     */
    SEL4_LLM_FINISH_END_OF_TEXT = 1,
    /**
     * As many tokens as were asked for: the last word may be cut.
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
     * One of the stop strings came.
     */
    SEL4_LLM_FINISH_STOP = 5,
} sel4_llm_finish_t;

/**
 * What audit knows of the signature of a model.
 */
typedef enum {
    /**
     * There is none.
     */
    SEL4_LLM_SIGNATURE_MISSING = 0,
    /**
     * There is one, which was not checked yet.
     */
    SEL4_LLM_SIGNATURE_UNCHECKED = 1,
    /**
     * It is good.
     */
    SEL4_LLM_SIGNATURE_GOOD = 2,
    /**
     * It is not.
     */
    SEL4_LLM_SIGNATURE_BAD = 3,
} sel4_llm_signature_t;

/**
 * Why a request was refused or has failed: the numbers in `sel4_llm_failure_t`. A later audit may send others, so a
 * `switch` over them needs a `default`.
 */
typedef enum {
    /**
     * The prompt has no byte.
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
     * No request of this number is active.
     */
    SEL4_LLM_CODE_NO_SUCH_REQUEST = 13,
    /**
     * The session has a request under way.
     */
    SEL4_LLM_CODE_SESSION_BUSY = 14,
    /**
     * The session was evicted to make room for others; it had `value` turns.
     */
    SEL4_LLM_CODE_SESSION_EVICTED = 15,
    /**
     * The session ended when inference was restarted or loaded another model, or when a turn failed that had begun; it
     * had `value` turns, with the one that failed.
     */
    SEL4_LLM_CODE_SESSION_LOST = 16,
    /**
     * `value` sessions of the user are there, `limit` allowed.
     */
    SEL4_LLM_CODE_TOO_MANY_SESSIONS = 17,
    /**
     * The user has no session of this name.
     */
    SEL4_LLM_CODE_NO_SUCH_SESSION = 18,
    /**
     * A name that is none: visible ASCII without quotes, of a length within its limit.
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
     * The file is not the GGUF file that it should be; the detail says where. `value` is the
     * offset or the number that was wrong, where there is one.
     */
    SEL4_LLM_CODE_BAD_MODEL = 23,
    /**
     * The file uses something that the engine has no support for; the detail names it.
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
     * The model's signature is by none of the keys that the policy trusts, or the file was changed.
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
     * Inference did not stop when it was asked to and was restarted.
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
     * The kernel has refused to stop inference (`value` 1) or to start it anew (`value` 2): audit leaves it alone.
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
     * Too soon after another login, above all one that failed: `value` microseconds to wait.
     */
    SEL4_LLM_CODE_LOGIN_DELAYED = 53,
    /**
     * The policy has no user of this name.
     */
    SEL4_LLM_CODE_NO_SUCH_USER = 54,
    /**
     * The policy cannot be used, so that nobody may do anything; `value` says why, see `policy`.
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
     * A login without a passphrase, by a name whose user has one or that no user has. It is no failed attempt: the same
     * request with a passphrase may follow at once.
     */
    SEL4_LLM_CODE_PASSPHRASE_NEEDED = 59,
    /**
     * Its user has cancelled it before it was done.
     */
    SEL4_LLM_CODE_CANCELLED = 60,
    /**
     * The user's share of the audit log is used up: `value` bytes may be needed, `limit` are left until time gives more.
     */
    SEL4_LLM_CODE_LOG_SHARE = 61,
    /**
     * The policy names no client on the channel of the one that asks, so it may do nothing.
     */
    SEL4_LLM_CODE_UNKNOWN_CLIENT = 62,
    /**
     * The client is one user for good: the policy does not let it log in.
     */
    SEL4_LLM_CODE_NO_LOGIN = 63,
    /**
     * The user is another client's own, so nobody else logs in as it.
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
     * `value` adapters are loaded, or kept of those made on this device; `limit` allowed.
     */
    SEL4_LLM_CODE_TOO_MANY_ADAPTERS = 74,
    /**
     * An adapter has this name already.
     */
    SEL4_LLM_CODE_ADAPTER_EXISTS = 75,
    /**
     * `value` requests that are under way use the adapter.
     */
    SEL4_LLM_CODE_ADAPTER_IN_USE = 76,
    /**
     * The file is not an adapter that the loaded model can have; the detail says why.
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
     * An adapter of `value` bytes was made, and the memory for them has `limit` free.
     */
    SEL4_LLM_CODE_ADAPTER_ROOM = 80,
    /**
     * The adapter is one of the store, so there is nothing to export.
     */
    SEL4_LLM_CODE_NOT_OF_DEVICE = 81,
    /**
     * The policy gives this device no key to sign an adapter with.
     */
    SEL4_LLM_CODE_NO_DEVICE_KEY = 82,
    /**
     * A fine-tuning is under way: there is one at a time, it keeps models and adapters as they are, and if memory does not
     * allow both it keeps requests for text away.
     */
    SEL4_LLM_CODE_TRAINING = 83,
    /**
     * Memory allows the fine-tuning only alone, and `value` requests are under way.
     */
    SEL4_LLM_CODE_TRAIN_ALONE = 84,
    /**
     * The fine-tuning needs `value` bytes, `limit` are free; the detail says what would fit.
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
     * Targets of the number `value`, 1 (attention) to `limit` (all) allowed.
     */
    SEL4_LLM_CODE_TRAIN_TARGETS = 90,
    /**
     * Line `value` of the data is no example; the detail says why.
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
     * The examples would have `value` bytes with this one, there is room for `limit`.
     */
    SEL4_LLM_CODE_EXAMPLES_FULL = 97,
    /**
     * The policy has no format of this name.
     */
    SEL4_LLM_CODE_UNKNOWN_FORMAT = 110,
    /**
     * The policy does not allow the user's role, or the client, this format or choices of its own.
     */
    SEL4_LLM_CODE_FORMAT_NOT_ALLOWED = 111,
    /**
     * The policy allows the user's role, or the client, only requests with a format.
     */
    SEL4_LLM_CODE_FORMAT_NEEDED = 112,
    /**
     * Stop strings beside a format or choices, which say where an answer ends.
     */
    SEL4_LLM_CODE_FORMAT_AND_STOPS = 113,
    /**
     * A format and choices: a request has one or the other.
     */
    SEL4_LLM_CODE_FORMAT_AND_CHOICES = 114,
    /**
     * The model's vocabulary cannot spell the format.
     */
    SEL4_LLM_CODE_FORMAT_NOT_SPELLED = 115,
    /**
     * The format's shortest answer takes `value` tokens, `limit` may be generated. `value` is 0 to a client: only the log
     * has it.
     */
    SEL4_LLM_CODE_FORMAT_TOO_LONG = 116,
    /**
     * Inference left the format of the answer, or ended it too soon. What it said so is not shown.
     */
    SEL4_LLM_CODE_FORMAT_BREACH = 117,
    /**
     * Inference went on over a stop string. What it said so is not shown.
     */
    SEL4_LLM_CODE_STOP_BREACH = 118,
    /**
     * The model has no chat template, so it only completes texts.
     */
    SEL4_LLM_CODE_NO_TEMPLATE = 119,
    /**
     * The model's chat template takes no system text.
     */
    SEL4_LLM_CODE_NO_SYSTEM = 120,
    /**
     * `value` segments, `limit` allowed.
     */
    SEL4_LLM_CODE_SEGMENTS = 121,
    /**
     * Segment `value` (from 1) is not of the role that is due: after a system text, if there is one, user and assistant
     * take turns, the user is last, and what goes on has no system text.
     */
    SEL4_LLM_CODE_SEGMENT_ROLE = 122,
    /**
     * Segment `value` (from 1) has a text that the model's chat template cannot have; the detail says why.
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
     * The choices have `value` bytes together, with one between each two; `limit` allowed.
     */
    SEL4_LLM_CODE_CHOICES_BYTES = 127,
    /**
     * Choice `value` (from 1) has no text.
     */
    SEL4_LLM_CODE_CHOICE_EMPTY = 128,
    /**
     * Choice `value` (from 1) is there already.
     */
    SEL4_LLM_CODE_CHOICE_TWICE = 129,
    /**
     * Choice `value` (from 1) has a line feed.
     */
    SEL4_LLM_CODE_CHOICE_LINE_FEED = 130,
    /**
     * There is no disk, or this system has none.
     */
    SEL4_LLM_CODE_NO_DISK = 131,
    /**
     * The disk has no file system that can be read; `value`: its sectors, if it is too small for one.
     */
    SEL4_LLM_CODE_NO_FILE_SYSTEM = 132,
    /**
     * The disk's file system is damaged; `value`: where, if that is known.
     */
    SEL4_LLM_CODE_DISK_DAMAGED = 133,
    /**
     * The disk reports an error; `value`: the sector.
     */
    SEL4_LLM_CODE_DISK_FAILED = 134,
    /**
     * The disk has no file of this name.
     */
    SEL4_LLM_CODE_NO_SUCH_FILE = 135,
    /**
     * A folder where a file is wanted, or a name that no file can have.
     */
    SEL4_LLM_CODE_BAD_PATH = 136,
    /**
     * No room on the disk.
     */
    SEL4_LLM_CODE_DISK_FULL = 137,
    /**
     * The disk cannot be written.
     */
    SEL4_LLM_CODE_DISK_READ_ONLY = 138,
    /**
     * More files and folders than are listed; `value`: how many are.
     */
    SEL4_LLM_CODE_TOO_MANY_FILES = 139,
    /**
     * Files cannot do what it was asked for.
     */
    SEL4_LLM_CODE_FILES_FAILED = 140,
    /**
     * Files has not answered within `limit` microseconds, so it is asked nothing any more.
     */
    SEL4_LLM_CODE_FILES_SILENT = 141,
    /**
     * Files has answered what was not asked, `value` times so far; after `limit` of them it is asked nothing any more.
     */
    SEL4_LLM_CODE_FILES_BREACH = 142,
    /**
     * A file of `value` bytes, there is room for `limit`.
     */
    SEL4_LLM_CODE_FILE_TOO_LARGE = 143,
    /**
     * The file had `limit` bytes when it was opened, and `value` when it was read.
     */
    SEL4_LLM_CODE_FILE_CHANGED = 144,
    /**
     * The audit log's file lies in several pieces.
     */
    SEL4_LLM_CODE_LOG_SCATTERED = 145,
    /**
     * The audit log's file has `value` bytes: no whole sectors, too few or too many.
     */
    SEL4_LLM_CODE_LOG_FILE_SIZE = 146,
    /**
     * `value` models of the disk are not listed: no name that can be asked for, or too many.
     */
    SEL4_LLM_CODE_FILES_SKIPPED = 147,
    /**
     * The audit log cannot be written to the disk, and the policy lets nothing be admitted without it; `value` is the code
     * of the reason.
     */
    SEL4_LLM_CODE_LOG_LOST = 150,
    /**
     * The audit log's file holds something that is no log.
     */
    SEL4_LLM_CODE_LOG_GARBAGE = 151,
    /**
     * The log on the disk is that of another device.
     */
    SEL4_LLM_CODE_LOG_OTHER_DEVICE = 152,
    /**
     * The log on the disk was begun in a file of `value` sectors; the file has `limit`.
     */
    SEL4_LLM_CODE_LOG_OTHER_SIZE = 153,
    /**
     * Entries of the log came faster than the disk takes them.
     */
    SEL4_LLM_CODE_LOG_BEHIND = 154,
} sel4_llm_code_t;

/**
 * A client, and all the memory that this library needs. The caller provides it, as a static variable since it is larger
 * than a small stack, and for as long as the domain runs. What is in it is the library's alone. A client is not copied:
 * a copy is not initialised.
 */
typedef struct {
    /**
     * Nothing for others.
     */
    uint64_t opaque[3584];
} sel4_llm_client_t;

/**
 * Text that somebody else has written: the model, or a file. It is not trusted, has no zero at its end, and may be no UTF-8.
 */
typedef struct {
    /**
     * The bytes, in the client's memory: valid until the next `sel4_llm_poll` on this client.
     */
    const char *bytes;
    /**
     * How many there are.
     */
    size_t length;
    /**
     * How many tokens they were made of; 0 if they are no generated text.
     */
    uint32_t tokens;
} sel4_llm_text_t;

/**
 * How a generation went. Times are by audit's clock.
 */
typedef struct {
    /**
     * Why it ended.
     */
    sel4_llm_finish_t reason;
    /**
     * Tokens of the prompt; 0 if the answer is bound to a format or to choices, since inference could say something with it.
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
     * From the admission of the request to the first token, in microseconds.
     */
    uint64_t first_token_us;
    /**
     * From the admission of the request to its end, in microseconds.
     */
    uint64_t total_us;
    /**
     * Of that, how long the egress cap has held text back, of this request or of others: they share it.
     */
    uint64_t held_us;
} sel4_llm_finished_t;

/**
 * Why a request was refused or has failed.
 */
typedef struct {
    /**
     * A number of `sel4_llm_code_t`, or one that this header does not know; 0 if nothing has failed.
     */
    uint32_t code;
    /**
     * The value that was wrong. The comment at the code says what it is.
     */
    uint64_t value;
    /**
     * The limit that it broke; 0 where there is none.
     */
    uint64_t limit;
} sel4_llm_failure_t;

/**
 * A model in the store.
 */
typedef struct {
    /**
     * Its name, with a zero at its end.
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
     * Name of the loaded model, with a zero at its end; empty if there is none.
     */
    char model[65];
    /**
     * Name of its chat template, with a zero at its end; empty if it has none, so that it only completes texts.
     */
    char template_name[33];
    /**
     * Whether control tokens keep the template's roles apart, as inference says. If not, a text can imitate another role's.
     */
    bool roles_separated;
    /**
     * Its parameters.
     */
    uint64_t parameters;
    /**
     * Bytes of the arena, which holds the model and all that it computes with.
     */
    uint64_t arena_bytes;
    /**
     * Of them, in use.
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
     * Of them, not reserved.
     */
    uint32_t cache_free;
    /**
     * Requests that are admitted and not finished, of all clients.
     */
    uint32_t active;
    /**
     * Of them, those that wait for room in the cache.
     */
    uint32_t waiting;
    /**
     * Sessions that hold a part of the cache.
     */
    uint32_t sessions;
    /**
     * Restarts of inference since the start of the system.
     */
    uint32_t restarts;
} sel4_llm_status_t;

/**
 * A budget of tokens.
 */
typedef struct {
    /**
     * Whose, with a zero at its end.
     */
    char user[33];
    /**
     * Tokens in a period.
     */
    uint64_t tokens;
    /**
     * Tokens that can be asked for now.
     */
    uint64_t available;
    /**
     * The period in microseconds.
     */
    uint64_t period_us;
    /**
     * What is left of it, in microseconds; then all tokens can be asked for again.
     */
    uint64_t left_us;
} sel4_llm_budget_t;

/**
 * A user.
 */
typedef struct {
    /**
     * The name, with a zero at its end.
     */
    char name[33];
    /**
     * The role, with a zero at its end.
     */
    char role[33];
} sel4_llm_user_t;

/**
 * How far audit has read a file.
 */
typedef struct {
    /**
     * Bytes of the file that were checked or loaded.
     */
    uint64_t done;
    /**
     * Bytes in all.
     */
    uint64_t total;
} sel4_llm_progress_t;

/**
 * Why inference was restarted.
 */
typedef struct {
    /**
     * For how many faults this stands: the newest, and those before it that were not told.
     */
    uint32_t count;
    /**
     * Instruction pointer of the newest, 0 if unknown.
     */
    uint64_t ip;
    /**
     * Address that it touched, or 0.
     */
    uint64_t address;
} sel4_llm_fault_t;

/**
 * An adapter.
 */
typedef struct {
    /**
     * Its name, with a zero at its end.
     */
    char name[65];
    /**
     * Whether it is loaded.
     */
    bool loaded;
    /**
     * Whether it was made on this device since boot; otherwise it lies in the store, or on the disk if its name
     * begins with `disk/`.
     */
    bool made_here;
    /**
     * Its signature: that of the store's file, or this device's.
     */
    sel4_llm_signature_t signature;
    /**
     * Size of its file in bytes.
     */
    uint64_t file_bytes;
    /**
     * SHA-256 of its file; zeros while that is not known.
     */
    uint8_t sha256[32];
    /**
     * SHA-256 of the file of the model that it was made for, or is loaded beside; zeros while that is not known.
     */
    uint8_t base_sha256[32];
    /**
     * Its rank; the largest, if its matrices differ. 0 while it was not loaded yet, and so are the numbers below.
     */
    uint32_t rank;
    /**
     * In millionths.
     */
    uint32_t alpha;
    /**
     * Matrices of the model that it changes.
     */
    uint32_t matrices;
    /**
     * Numbers in all its matrices.
     */
    uint64_t parameters;
    /**
     * Bytes that it takes in the arena.
     */
    uint64_t arena_bytes;
} sel4_llm_adapter_t;

/**
 * How far a fine-tuning is.
 */
typedef struct {
    /**
     * Updates of the adapter that are done.
     */
    uint32_t step;
    /**
     * Updates in all.
     */
    uint32_t steps;
    /**
     * Tokens that have gone through the model.
     */
    uint64_t tokens;
    /**
     * Mean loss of the examples since the last epoch began, in millionths of a nat a token.
     */
    uint32_t loss;
    /**
     * Tokens of the longest example.
     */
    uint32_t longest;
    /**
     * Whether requests for text are refused until it is over: there is no memory for both.
     */
    bool alone;
    /**
     * Since it began, in microseconds.
     */
    uint64_t elapsed_us;
} sel4_llm_training_t;

/**
 * A fine-tuning that has ended well.
 */
typedef struct {
    /**
     * What the adapter is called, with a zero at its end.
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
     * Tokens that have gone through the model, and were taken from the budget.
     */
    uint64_t tokens;
    /**
     * Updates of the adapter.
     */
    uint32_t steps;
    /**
     * Mean loss of the last epoch, in millionths of a nat a token.
     */
    uint32_t loss;
    /**
     * From the admission of the request to its end, in microseconds.
     */
    uint64_t total_us;
    /**
     * Why it is not loaded, a number of `sel4_llm_code_t`; 0: it is.
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
     * The adapter's name, with a zero at its end.
     */
    char name[65];
    /**
     * Size of its file in bytes: of all parts.
     */
    uint64_t file_bytes;
    /**
     * SHA-256 of its file.
     */
    uint8_t sha256[32];
    /**
     * SHA-256 of the file of the model that it was made for.
     */
    uint8_t base_sha256[32];
    /**
     * Ed25519 over the SHA-256 of its file, by the device's key.
     */
    uint8_t signature[64];
} sel4_llm_exported_t;

/**
 * The examples that have come so far.
 */
typedef struct {
    /**
     * How many there are.
     */
    uint32_t count;
    /**
     * Bytes that they have.
     */
    uint32_t bytes;
    /**
     * Bytes that they may have.
     */
    uint32_t limit;
} sel4_llm_examples_t;

/**
 * A format that answers can have.
 */
typedef struct {
    /**
     * Its name, with a zero at its end.
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
     * SHA-256 of its automaton, as records of the audit log name it.
     */
    uint8_t sha256[32];
} sel4_llm_format_t;

/**
 * What audit has said. The members that the kind does not name are zero.
 */
typedef struct {
    /**
     * What it is.
     */
    sel4_llm_event_kind_t kind;
    /**
     * The request that it is about, as the function that made it has given; 0 for news.
     */
    uint32_t request;
    /**
     * Whether that request is over. Each request has exactly one such event, and none after it.
     */
    bool is_end;
    /**
     * Text that came with it.
     */
    sel4_llm_text_t text;
    /**
     * How a generation went.
     */
    sel4_llm_finished_t finished;
    /**
     * What is wrong.
     */
    sel4_llm_failure_t failure;
    /**
     * One of a list.
     */
    sel4_llm_model_t model;
    /**
     * How many a list had.
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
     * How far audit has read a file.
     */
    sel4_llm_progress_t progress;
    /**
     * Why inference was restarted.
     */
    sel4_llm_fault_t fault;
    /**
     * Restarts of inference since the start of the system.
     */
    uint32_t restarts;
    /**
     * One of a list, or the one that was loaded.
     */
    sel4_llm_adapter_t adapter;
    /**
     * How far a fine-tuning is.
     */
    sel4_llm_training_t training;
    /**
     * How a fine-tuning has ended.
     */
    sel4_llm_tuned_t tuned;
    /**
     * Where the bytes of `text` belong in an adapter's file.
     */
    uint64_t offset;
    /**
     * What the parts of an adapter's file must be.
     */
    sel4_llm_exported_t exported;
    /**
     * The examples that have come so far.
     */
    sel4_llm_examples_t examples;
    /**
     * One of a list.
     */
    sel4_llm_format_t format;
} sel4_llm_event_t;

/**
 * What a request for text asks for. `sel4_llm_default_params` gives one to change.
 */
typedef struct {
    /**
     * The conversation that the request begins or goes on with: a text that ends with a zero. Null: none, and nothing of
     * the request stays in the model's memory.
     */
    const char *session;
    /**
     * The adapter to use, which is loaded: a text that ends with a zero. Null: none, or that of the session which it goes on
     * with.
     */
    const char *adapter;
    /**
     * The format of the policy that the answer has: a text that ends with a zero. Null: none. Audit lets no byte pass that
     * does not belong to it, whatever inference says.
     */
    const char *format;
    /**
     * The only answers that there can be, `choice_count` texts that end with a zero each. Not beside `format`.
     */
    const char *const *choices;
    /**
     * How many there are: 0 allows all answers, and then `choices` may be null.
     */
    size_t choice_count;
    /**
     * Texts that end the answer and are no part of it, `stop_count` texts that end with a zero each. Not beside `format` or
     * `choices`, which say where an answer ends.
     */
    const char *const *stops;
    /**
     * How many there are: 0 for none, and then `stops` may be null.
     */
    size_t stop_count;
    /**
     * Seed of the random generator. The same seed and prompt give the same text.
     */
    uint64_t seed;
    /**
     * Most tokens to generate, from 1 on. As many are taken from the budget until the end.
     */
    uint32_t max_tokens;
    /**
     * In millionths. 0: always the likeliest token, for decisions. 1,000,000: as the model has it.
     */
    uint32_t temperature;
    /**
     * Candidates that are kept; 0 keeps all.
     */
    uint32_t top_k;
    /**
     * Probability that is kept, in millionths.
     */
    uint32_t top_p;
    /**
     * Least probability relative to the likeliest, in millionths.
     */
    uint32_t min_p;
    /**
     * Divisor for tokens that came recently, in millionths. 1,000,000: none.
     */
    uint32_t repeat_penalty;
    /**
     * How many recent tokens that looks back on.
     */
    uint32_t repeat_last_n;
} sel4_llm_params_t;

/**
 * A text of a conversation. Whatever it looks like, it stays text: the model's chat template alone says where one ends.
 */
typedef struct {
    /**
     * Who has said it: `SEL4_LLM_ROLE_SYSTEM`, `SEL4_LLM_ROLE_USER` or `SEL4_LLM_ROLE_ASSISTANT`.
     */
    uint32_t role;
    /**
     * The text, as UTF-8. It may be that of the last event.
     */
    const char *text;
    /**
     * Its bytes, without a zero at the end. 0 only of a text that is not the user's; then `text` may be null.
     */
    size_t text_size;
} sel4_llm_segment_t;

/**
 * What a fine-tuning asks for. `sel4_llm_default_tuning` gives one to change.
 */
typedef struct {
    /**
     * What the adapter will be called: a text that ends with a zero. Null: as the data.
     */
    const char *adapter;
    /**
     * Seed of the first values and of the order of the examples. The same seed and data give the same adapter.
     */
    uint64_t seed;
    /**
     * Rank of its matrices, 1 to 64: a larger one can learn more, and costs more.
     */
    uint32_t rank;
    /**
     * In millionths: its effect is multiplied by `alpha` / `rank`.
     */
    uint32_t alpha;
    /**
     * How often the examples are gone through, 1 to 100. So many times their tokens are taken from the budget.
     */
    uint32_t epochs;
    /**
     * The largest learning rate, in billionths.
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
 * `SEL4_LLM_RING_BYTES` of the library that the program is linked with.
 */
extern const uint64_t sel4_llm_ring_bytes;

/**
 * `SEL4_LLM_PROTOCOL_VERSION` of the library that the program is linked with.
 */
extern const uint64_t sel4_llm_protocol_version;

/**
 * Makes a client. Once, in `init`, before any other function.
 *
 * `client`, `client_size`: a `sel4_llm_client_t` of the caller's, and its `sizeof`.
 * `from_audit`, `from_audit_size`: the region that audit writes, mapped to be read.
 * `to_audit`, `to_audit_size`: the region that this domain writes.
 *
 * Both regions are the client's for as long as the domain runs: nothing else may read or write them. Nothing is sent yet.
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
 * Asks audit to end a request before its end. The end still comes as an event, with what it has cost so far.
 *
 * `SEL4_LLM_NO_SUCH_REQUEST`: it is over, or was never made. `SEL4_LLM_NULL_POINTER`, `SEL4_LLM_MISALIGNED`,
 * `SEL4_LLM_NOT_INITIALISED`.
 */
sel4_llm_error_t sel4_llm_cancel(sel4_llm_client_t *client,
                                 uint32_t id);

/**
 * As `sel4_llm_cancel`, for a caller that does not want to hear of the request any more: there is no event of it after
 * this, not even its end.
 */
sel4_llm_error_t sel4_llm_abandon(sel4_llm_client_t *client,
                                  uint32_t id);

/**
 * Gives the next thing that audit has said. It does not wait. Call it at each signal of audit's until it gives something
 * else than `SEL4_LLM_OK`, then ask `sel4_llm_wants_signal`.
 *
 * `event`: gets it. Its text lies in the client's memory and is valid until the next call.
 *
 * `SEL4_LLM_OK`: there is an event. `SEL4_LLM_NOTHING`: there is none, and `event` is of the kind `SEL4_LLM_EVENT_NONE`;
 * `SEL4_LLM_OTHER_VERSION`: the same, and there will be none. `SEL4_LLM_NULL_POINTER`, `SEL4_LLM_MISALIGNED`,
 * `SEL4_LLM_OVERLAP`, `SEL4_LLM_NOT_INITIALISED`: `event` is as it was.
 */
sel4_llm_error_t sel4_llm_poll(sel4_llm_client_t *client,
                               sel4_llm_event_t *event);

/**
 * Whether audit must be signalled (`microkit_notify`): something was sent to it, or read of what it had sent, since the
 * last call. Once for all that was done before is enough. False for what is no client.
 */
bool sel4_llm_wants_signal(sel4_llm_client_t *client);

/**
 * How many requests can be sent now. 0 for what is no client.
 */
uint32_t sel4_llm_room(const sel4_llm_client_t *client);

/**
 * What an error is, for people: a text that ends with a zero and is there for ever. For any number.
 */
const char *sel4_llm_error_text(int32_t error);

/**
 * The name of a code of `sel4_llm_failure_t`, such as `QuotaExceeded`: a text that ends with a zero and is there for ever.
 * For any number.
 */
const char *sel4_llm_code_name(uint32_t code);

/**
 * What a request asks for if nothing else is said: 128 tokens, a temperature of 0.8, always the same seed; no session, no
 * adapter, any answer.
 * For decisions, set `choices` or `format`, `temperature` to 0, and `max_tokens` to as many as the longest answer needs.
 */
sel4_llm_params_t sel4_llm_default_params(void);

/**
 * Has the model complete a text: it goes on where the text ends, whatever chat template the model has. Answer:
 * `SEL4_LLM_EVENT_TEXT` any number of times, then `SEL4_LLM_EVENT_FINISHED`, `SEL4_LLM_EVENT_FAILED` or
 * `SEL4_LLM_EVENT_LOST`.
 *
 * `params`: what is asked for; null: what `sel4_llm_default_params` gives.
 * `prompt`, `prompt_size`: the text, as UTF-8, and its bytes without a zero at the end, from 1 to
 * `SEL4_LLM_MAX_PROMPT_BYTES`. It may be the text of the last event.
 * `id`: gets the number of the request, never 0. Events name it.
 *
 * Nothing that it was given is needed after it has returned.
 *
 * `SEL4_LLM_NOT_CONNECTED`, `SEL4_LLM_FULL`, `SEL4_LLM_TOO_MANY_IN_FLIGHT`: try again, as each says.
 * `SEL4_LLM_OTHER_VERSION`, `SEL4_LLM_BROKEN_RING`, `SEL4_LLM_PROMPT_...`, `SEL4_LLM_BAD_...`, `SEL4_LLM_TOO_MANY_...`,
 * `SEL4_LLM_CHOICES_TOO_LONG`, `SEL4_LLM_FORMAT_NOT_ALONE`, `SEL4_LLM_NULL_POINTER`, `SEL4_LLM_MISALIGNED`,
 * `SEL4_LLM_OVERLAP`, `SEL4_LLM_NOT_INITIALISED`.
 */
sel4_llm_error_t sel4_llm_infer(sel4_llm_client_t *client,
                                const sel4_llm_params_t *params,
                                const char *prompt,
                                size_t prompt_size,
                                uint32_t *id);

/**
 * Says a text to the model, which answers, if the model has a chat template; else as `sel4_llm_infer`. Audit decides which,
 * with the model that the request runs on. Parameters, answer and errors: as for `sel4_llm_infer`.
 */
sel4_llm_error_t sel4_llm_prompt(sel4_llm_client_t *client,
                                 const sel4_llm_params_t *params,
                                 const char *prompt,
                                 size_t prompt_size,
                                 uint32_t *id);

/**
 * Goes on with a conversation. A model without a chat template refuses it (the code `NoTemplate`).
 *
 * `segments`, `segment_count`: the texts, 1 to `SEL4_LLM_MAX_SEGMENTS`: the system's, if there is one, then the user's and
 * the assistant's in turns, with the user's last. Of a session that goes on, only what is new, without a system text.
 * The others: as for `sel4_llm_infer`, and so answer and errors; besides, `SEL4_LLM_BAD_ROLE`.
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
 * What a fine-tuning asks for if nothing else is said: rank 4, alpha 8, 3 epochs, a rate of 0.001, the matrices of
 * attention, always the same seed, and an adapter with the name of the data.
 */
sel4_llm_tuning_t sel4_llm_default_tuning(void);

/**
 * Trains an adapter for the loaded model. Answer: `SEL4_LLM_EVENT_PROGRESS` while audit reads the data and
 * `SEL4_LLM_EVENT_TRAINING` any number of times, then `SEL4_LLM_EVENT_TUNED`, `SEL4_LLM_EVENT_FAILED` or
 * `SEL4_LLM_EVENT_LOST`. It can be cancelled; then nothing of it is kept.
 *
 * `tuning`: what is asked for; null: what `sel4_llm_default_tuning` gives.
 * `data`: the name of data in the store, a text that ends with a zero; null: the examples of `sel4_llm_example`.
 * `id`: as for `sel4_llm_infer`, and so are the errors, and
 * `SEL4_LLM_BAD_DATA`, `SEL4_LLM_BAD_ADAPTER`, `SEL4_LLM_BAD_RANK`, `SEL4_LLM_BAD_ALPHA`, `SEL4_LLM_BAD_EPOCHS`,
 * `SEL4_LLM_BAD_RATE`, `SEL4_LLM_BAD_TARGETS`.
 */
sel4_llm_error_t sel4_llm_fine_tune(sel4_llm_client_t *client,
                                    const sel4_llm_tuning_t *tuning,
                                    const char *data,
                                    uint32_t *id);

/**
 * Writes an example as the line of JSON that `sel4_llm_example` takes. It needs no client.
 *
 * `prompt`, `prompt_size`: a prompt, or a whole text if there is no answer: UTF-8, its bytes without a zero at the end, from 1
 * to `SEL4_LLM_MAX_EXAMPLE_BYTES`.
 * `answer`, `answer_size`: what is to follow the prompt, with the space that it begins with; likewise. Null: none.
 * `line`, `line_size`: gets the line, without a zero at its end. Over nothing else that it is given.
 * `length`: gets its bytes. Of these a line needs more than its texts have: `SEL4_LLM_MAX_EXAMPLE_BYTES` always suffice.
 *
 * `SEL4_LLM_EXAMPLE_EMPTY`, `SEL4_LLM_EXAMPLE_NOT_UTF8`, `SEL4_LLM_EXAMPLE_TOO_LONG` (also if the line finds no room),
 * `SEL4_LLM_NULL_POINTER`, `SEL4_LLM_MISALIGNED`, `SEL4_LLM_OVERLAP`: of what `line` has nothing may be used.
 */
sel4_llm_error_t sel4_llm_example_line(const char *prompt,
                                       size_t prompt_size,
                                       const char *answer,
                                       size_t answer_size,
                                       char *line,
                                       size_t line_size,
                                       size_t *length);

/**
 * Adds an example to those that `sel4_llm_fine_tune` learns from without data. Answer: `SEL4_LLM_EVENT_EXAMPLES`,
 * `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`.
 *
 * `line`, `line_size`: a line as `sel4_llm_example_line` writes it.
 * `id`: as for `sel4_llm_infer`, and so are the errors, and `SEL4_LLM_EXAMPLE_EMPTY`, `SEL4_LLM_EXAMPLE_TOO_LONG`.
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
 * `name`: the adapter's, a text that ends with a zero.
 * `id`: as for `sel4_llm_infer`, and so are the errors, and `SEL4_LLM_BAD_ADAPTER`.
 */
sel4_llm_error_t sel4_llm_load_adapter(sel4_llm_client_t *client, const char *name, uint32_t *id);

/**
 * Unloads an adapter; one that was made on this device is forgotten, too. Answer: `SEL4_LLM_EVENT_DONE`,
 * `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`. Otherwise as `sel4_llm_load_adapter`.
 */
sel4_llm_error_t sel4_llm_drop_adapter(sel4_llm_client_t *client,
                                       const char *name,
                                       uint32_t *id);

/**
 * Reads the file of an adapter that was made on this device. Answer: `SEL4_LLM_EVENT_ADAPTER_PART` for each part, in their
 * order, then `SEL4_LLM_EVENT_EXPORTED`, `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`, or `SEL4_LLM_EVENT_DONE` after a
 * cancel. Otherwise as `sel4_llm_load_adapter`.
 */
sel4_llm_error_t sel4_llm_export_adapter(sel4_llm_client_t *client,
                                         const char *name,
                                         uint32_t *id);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* What a compiler with other rules than the library's would get wrong. */
#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(void *) == 8, "64-bit only");
_Static_assert(sizeof(sel4_llm_client_t) == SEL4_LLM_CLIENT_BYTES, "the size of a client");
_Static_assert(sizeof(sel4_llm_error_t) == 4, "enums of four bytes: no -fshort-enums");
#endif
