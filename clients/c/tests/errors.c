/* What a caller does wrong, one thing at a time: each is its error, and nothing was touched. */

#include <sel4_llm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned failed;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                 \
            failed += 1;                                                                           \
        }                                                                                          \
    } while (0)
#define GIVES(error, call) CHECK((call) == (error))

static sel4_llm_client_t client, other;
/* One region after the other, with room to shift them. */
static _Alignas(64) char memory[2 * SEL4_LLM_RING_BYTES + 64];
static char *const from_audit = memory;
static char *const to_audit = memory + SEL4_LLM_RING_BYTES;
static const size_t bytes = SEL4_LLM_RING_BYTES;

static int is_zero(const void *place, size_t size)
{
    const char *byte = place;
    while (size > 0 && *byte == 0) {
        byte += 1;
        size -= 1;
    }
    return size == 0;
}

static void before_init(void)
{
    sel4_llm_event_t event;
    uint32_t id = 7;
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_infer(&client, NULL, "a", 1, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_models(&client, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_status(&client, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_budget(&client, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_cancel(&client, 1));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_abandon(&client, 1));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_poll(&client, &event));
    CHECK(!sel4_llm_wants_signal(&client));
    CHECK(sel4_llm_room(&client) == 0);
    CHECK(id == 7);
    CHECK(is_zero(&client, sizeof client));
}

static void init(void)
{
    sel4_llm_client_t *const none = NULL;
    sel4_llm_client_t *const odd = (sel4_llm_client_t *)((char *)&other + 4);
    sel4_llm_client_t *const in_region = (sel4_llm_client_t *)(memory + 4096);
    size_t size = sizeof client;

    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_init(none, size, from_audit, bytes, to_audit, bytes));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_init(&client, size, NULL, bytes, to_audit, bytes));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_init(&client, size, from_audit, bytes, NULL, bytes));
    GIVES(SEL4_LLM_MISALIGNED, sel4_llm_init(odd, size, from_audit, bytes, to_audit, bytes));
    GIVES(SEL4_LLM_MISALIGNED, sel4_llm_init(&client, size, from_audit + 4, bytes, to_audit, bytes));
    GIVES(SEL4_LLM_MISALIGNED, sel4_llm_init(&client, size, from_audit, bytes, to_audit + 1, bytes));
    GIVES(SEL4_LLM_CLIENT_SIZE, sel4_llm_init(&client, size - 8, from_audit, bytes, to_audit, bytes));
    GIVES(SEL4_LLM_CLIENT_SIZE, sel4_llm_init(&client, size + 8, from_audit, bytes, to_audit, bytes));
    GIVES(SEL4_LLM_CLIENT_SIZE, sel4_llm_init(&client, 0, from_audit, bytes, to_audit, bytes));
    GIVES(SEL4_LLM_REGION_SIZE, sel4_llm_init(&client, size, from_audit, bytes - 4096, to_audit, bytes));
    GIVES(SEL4_LLM_REGION_SIZE, sel4_llm_init(&client, size, from_audit, bytes, to_audit, 0));
    GIVES(SEL4_LLM_REGION_SIZE, sel4_llm_init(&client, size, from_audit, bytes, to_audit, bytes + 8));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_init(&client, size, from_audit, bytes, from_audit, bytes));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_init(&client, size, from_audit, bytes, to_audit - 8, bytes));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_init(&client, size, to_audit - 8, bytes, from_audit, bytes));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_init(in_region, size, from_audit, bytes, to_audit, bytes));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_init(in_region, size, to_audit, bytes, from_audit, bytes));
    GIVES(SEL4_LLM_OVERLAP,
          sel4_llm_init(&client, size, (const void *)(UINTPTR_MAX - 7), bytes, to_audit, bytes));
    CHECK(is_zero(&client, sizeof client) && is_zero(&other, sizeof other));
    CHECK(is_zero(memory, sizeof memory));

    GIVES(SEL4_LLM_OK, sel4_llm_init(&client, size, from_audit, bytes, to_audit, bytes));
    GIVES(SEL4_LLM_ALREADY_INITIALISED, sel4_llm_init(&client, size, from_audit, bytes, to_audit, bytes));
    /* A copy refers to the memory of the first. */
    memcpy(&other, &client, sizeof client);
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_cancel(&other, 1));
    CHECK(!sel4_llm_wants_signal(&client));
}

static void prompts(void)
{
    static char prompt[SEL4_LLM_MAX_PROMPT_BYTES + 1];
    const size_t most = SEL4_LLM_MAX_PROMPT_BYTES;
    uint32_t id = 7, pair[2];
    memset(prompt, 'a', sizeof prompt);

    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_infer(NULL, NULL, prompt, 1, &id));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_infer(&client, NULL, NULL, 1, &id));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_infer(&client, NULL, NULL, 0, &id));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_infer(&client, NULL, prompt, 1, NULL));
    GIVES(SEL4_LLM_MISALIGNED, sel4_llm_infer(&client, NULL, prompt, 1, (uint32_t *)((char *)pair + 2)));
    GIVES(SEL4_LLM_MISALIGNED,
          sel4_llm_infer((sel4_llm_client_t *)((char *)&client + 1), NULL, prompt, 1, &id));
    GIVES(SEL4_LLM_PROMPT_EMPTY, sel4_llm_infer(&client, NULL, prompt, 0, &id));
    GIVES(SEL4_LLM_PROMPT_TOO_LONG, sel4_llm_infer(&client, NULL, prompt, most + 1, &id));
    /* A negative number of a caller's. Nothing is read. */
    GIVES(SEL4_LLM_PROMPT_TOO_LONG, sel4_llm_infer(&client, NULL, prompt, (size_t)-1, &id));
    GIVES(SEL4_LLM_PROMPT_NOT_UTF8, sel4_llm_infer(&client, NULL, "\xc3(", 2, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, NULL, from_audit + 8, 100, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, NULL, to_audit + bytes - 1, 1, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, NULL, (char *)&client, 100, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, NULL, (char *)(UINTPTR_MAX - 3), 100, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, NULL, prompt, 1, (uint32_t *)&client));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, NULL, prompt, 1, (uint32_t *)(to_audit + 64)));
    /* Audit is not there yet, and this is all that is wrong. */
    GIVES(SEL4_LLM_NOT_CONNECTED, sel4_llm_infer(&client, NULL, prompt, most, &id));
    GIVES(SEL4_LLM_NOT_CONNECTED, sel4_llm_infer(&client, NULL, "\xc3\xa9", 2, &id));
    CHECK(id == 7);
    CHECK(!sel4_llm_wants_signal(&client));
}

static sel4_llm_error_t with(sel4_llm_params_t params)
{
    uint32_t id;
    return sel4_llm_infer(&client, &params, "a", 1, &id);
}

static void params(void)
{
    sel4_llm_params_t params = sel4_llm_default_params();
    sel4_llm_params_t zero = {0};
    uint32_t id;

    CHECK(params.max_tokens == 128 && params.temperature == 800000 && params.session == NULL);
    CHECK(params.adapter == NULL);
    GIVES(SEL4_LLM_NOT_CONNECTED, with(params));
    GIVES(SEL4_LLM_BAD_MAX_TOKENS, with(zero));
    GIVES(SEL4_LLM_MISALIGNED, sel4_llm_infer(&client, (sel4_llm_params_t *)((char *)&params + 2), "a", 1, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, (sel4_llm_params_t *)from_audit, "a", 1, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, (sel4_llm_params_t *)&client, "a", 1, &id));
#define BAD(member, wrong, error)                                                                  \
    do {                                                                                           \
        sel4_llm_params_t bad = params;                                                            \
        bad.member = (wrong);                                                                      \
        GIVES(error, with(bad));                                                                   \
    } while (0)
    BAD(max_tokens, 0, SEL4_LLM_BAD_MAX_TOKENS);
    BAD(max_tokens, SEL4_LLM_MAX_TOKENS + 1, SEL4_LLM_BAD_MAX_TOKENS);
    BAD(temperature, 10 * SEL4_LLM_ONE + 1, SEL4_LLM_BAD_TEMPERATURE);
    BAD(top_k, UINT32_MAX, SEL4_LLM_BAD_TOP_K);
    BAD(top_p, SEL4_LLM_ONE + 1, SEL4_LLM_BAD_TOP_P);
    BAD(min_p, SEL4_LLM_ONE + 1, SEL4_LLM_BAD_MIN_P);
    BAD(repeat_penalty, SEL4_LLM_ONE - 1, SEL4_LLM_BAD_REPEAT_PENALTY);
    BAD(repeat_penalty, 10 * SEL4_LLM_ONE + 1, SEL4_LLM_BAD_REPEAT_PENALTY);
    BAD(session, "a b", SEL4_LLM_BAD_SESSION);
    BAD(session, "\xff", SEL4_LLM_BAD_SESSION);
    BAD(session, "123456789012345678901234567890123", SEL4_LLM_BAD_SESSION);
    BAD(session, from_audit, SEL4_LLM_OVERLAP);
    BAD(session, (char *)&client, SEL4_LLM_OVERLAP);
    BAD(session, "12345678901234567890123456789012", SEL4_LLM_NOT_CONNECTED);
    BAD(session, "", SEL4_LLM_NOT_CONNECTED);
    BAD(adapter, "a b", SEL4_LLM_BAD_ADAPTER);
    BAD(adapter, "12345678901234567890123456789012345678901234567890123456789012345", SEL4_LLM_BAD_ADAPTER);
    BAD(adapter, from_audit, SEL4_LLM_OVERLAP);
    BAD(adapter, "1234567890123456789012345678901234567890123456789012345678901234", SEL4_LLM_NOT_CONNECTED);
    /* Of the longest name and one byte, nothing behind is read: there is no zero, and then nothing. */
    char *end = malloc(SEL4_LLM_MAX_SESSION_BYTES + 1);
    memset(end, 'a', SEL4_LLM_MAX_SESSION_BYTES + 1);
    BAD(session, end, SEL4_LLM_BAD_SESSION);
    free(end);
}

static void others(void)
{
    sel4_llm_event_t event;
    uint32_t id = 7;

    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_models(NULL, &id));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_models(&client, NULL));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_status(&client, NULL));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_budget(&client, NULL));
    GIVES(SEL4_LLM_NOT_CONNECTED, sel4_llm_status(&client, &id));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_cancel(NULL, 1));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_abandon(NULL, 1));
    GIVES(SEL4_LLM_NO_SUCH_REQUEST, sel4_llm_cancel(&client, 0));
    GIVES(SEL4_LLM_NO_SUCH_REQUEST, sel4_llm_cancel(&client, UINT32_MAX));
    GIVES(SEL4_LLM_NO_SUCH_REQUEST, sel4_llm_abandon(&client, 1));
    CHECK(id == 7);

    memset(&event, 0x5a, sizeof event);
    sel4_llm_event_t before = event;
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_poll(NULL, &event));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_poll(&client, NULL));
    GIVES(SEL4_LLM_MISALIGNED, sel4_llm_poll(&client, (sel4_llm_event_t *)((char *)&event + 4)));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_poll(&client, (sel4_llm_event_t *)&client));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_poll(&client, (sel4_llm_event_t *)(to_audit + 64)));
    CHECK(memcmp(&event, &before, sizeof event) == 0);
    GIVES(SEL4_LLM_NOTHING, sel4_llm_poll(&client, &event));
    CHECK(event.kind == SEL4_LLM_EVENT_NONE && event.text.bytes == NULL && event.request == 0);

    CHECK(!sel4_llm_wants_signal(NULL));
    CHECK(sel4_llm_room(NULL) == 0);
    CHECK(sel4_llm_room(&client) == 0);

    CHECK(strcmp(sel4_llm_error_text(SEL4_LLM_FULL),
                 "audit has not read what it was sent before: try again when it signals") == 0);
    CHECK(strcmp(sel4_llm_error_text(-1), "no error of this library") == 0);
    CHECK(strcmp(sel4_llm_error_text(INT32_MAX), "no error of this library") == 0);
    CHECK(strcmp(sel4_llm_code_name(SEL4_LLM_CODE_QUOTA_EXCEEDED), "QuotaExceeded") == 0);
    CHECK(strcmp(sel4_llm_code_name(0), "Unknown") == 0);
    CHECK(strcmp(sel4_llm_code_name(UINT32_MAX), "Unknown") == 0);
    CHECK(strcmp(sel4_llm_code_name(65536 + SEL4_LLM_CODE_DEADLINE), "Unknown") == 0);
    CHECK(sel4_llm_ring_bytes == SEL4_LLM_RING_BYTES);
    CHECK(sel4_llm_protocol_version == SEL4_LLM_PROTOCOL_VERSION);
}

int main(void)
{
    before_init();
    init();
    prompts();
    params();
    others();
    printf("%u failed\n", failed);
    return failed != 0;
}
