/* A caller's mistakes, one at a time: each has its own error, and nothing was touched. */

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
/* The two regions, one after the other, with room to shift them. */
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
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_prompt(&client, NULL, "a", 1, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_converse(&client, NULL, NULL, 0, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_formats(&client, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_models(&client, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_status(&client, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_budget(&client, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_fine_tune(&client, NULL, NULL, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_example(&client, "{}", 2, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_drop_examples(&client, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_adapters(&client, &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_load_adapter(&client, "moral", &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_drop_adapter(&client, "moral", &id));
    GIVES(SEL4_LLM_NOT_INITIALISED, sel4_llm_export_adapter(&client, "moral", &id));
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
    /* A copy would refer to the memory of the original. */
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
    /* A negative number from a caller: nothing is read. */
    GIVES(SEL4_LLM_PROMPT_TOO_LONG, sel4_llm_infer(&client, NULL, prompt, (size_t)-1, &id));
    GIVES(SEL4_LLM_PROMPT_NOT_UTF8, sel4_llm_infer(&client, NULL, "\xc3(", 2, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, NULL, from_audit + 8, 100, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, NULL, to_audit + bytes - 1, 1, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, NULL, (char *)&client, 100, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, NULL, (char *)(UINTPTR_MAX - 3), 100, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, NULL, prompt, 1, (uint32_t *)&client));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_infer(&client, NULL, prompt, 1, (uint32_t *)(to_audit + 64)));
    /* The only mistake is that audit does not serve yet. */
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
    CHECK(params.adapter == NULL && params.format == NULL);
    CHECK(params.choices == NULL && params.choice_count == 0 && params.stops == NULL && params.stop_count == 0);
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
    BAD(format, "a b", SEL4_LLM_BAD_FORMAT);
    BAD(format, "123456789012345678901234567890123", SEL4_LLM_BAD_FORMAT);
    BAD(format, to_audit, SEL4_LLM_OVERLAP);
    BAD(format, "12345678901234567890123456789012", SEL4_LLM_NOT_CONNECTED);
    /* Nothing is read past the longest name and one byte: there is no zero, and then no memory. */
    char *end = malloc(SEL4_LLM_MAX_SESSION_BYTES + 1);
    memset(end, 'a', SEL4_LLM_MAX_SESSION_BYTES + 1);
    BAD(session, end, SEL4_LLM_BAD_SESSION);
    free(end);
}

static sel4_llm_error_t with_lists(const char *const *stops, size_t stop_count, const char *const *choices,
                                   size_t choice_count, const char *format)
{
    sel4_llm_params_t params = sel4_llm_default_params();
    params.stops = stops;
    params.stop_count = stop_count;
    params.choices = choices;
    params.choice_count = choice_count;
    params.format = format;
    return with(params);
}

static void lists(void)
{
    static char long_stop[SEL4_LLM_MAX_STOP_BYTES + 2], long_choice[SEL4_LLM_MAX_CHOICES_BYTES + 2];
    memset(long_stop, 'a', sizeof long_stop - 1);
    memset(long_choice, 'a', sizeof long_choice - 1);
    const char *const good[] = {"a", "b", "c", "d"};
    const char *const empty[] = {"a", ""};
    const char *const null[] = {"a", NULL};
    const char *const bytes_of_none[] = {"\xc3("};
    const char *const twice[] = {"a", "a"};
    const char *const line[] = {"a\nb"};
    const char *const in_client[] = {(const char *)&client};
    const char *const in_region[] = {from_audit};
    const char *stop[] = {long_stop}, *choice[] = {long_choice};
    const char *many[SEL4_LLM_MAX_CHOICES];
    static char numbers[SEL4_LLM_MAX_CHOICES][3];
    for (size_t i = 0; i < SEL4_LLM_MAX_CHOICES; i += 1) {
        snprintf(numbers[i], sizeof numbers[i], "%u", (unsigned)(i % 32));
        many[i] = numbers[i];
    }
    const size_t most = SEL4_LLM_MAX_CHOICES;

    GIVES(SEL4_LLM_NOT_CONNECTED, with_lists(good, 4, NULL, 0, NULL));
    GIVES(SEL4_LLM_NOT_CONNECTED, with_lists(NULL, 0, good, 4, NULL));
    GIVES(SEL4_LLM_NOT_CONNECTED, with_lists(NULL, 0, many, most, NULL));
    GIVES(SEL4_LLM_TOO_MANY_STOPS, with_lists(good, 5, NULL, 0, NULL));
    /* A negative number from a caller: nothing is read. */
    GIVES(SEL4_LLM_TOO_MANY_STOPS, with_lists(good, (size_t)-1, NULL, 0, NULL));
    GIVES(SEL4_LLM_TOO_MANY_CHOICES, with_lists(NULL, 0, many, most + 1, NULL));
    GIVES(SEL4_LLM_NULL_POINTER, with_lists(NULL, 1, NULL, 0, NULL));
    GIVES(SEL4_LLM_NULL_POINTER, with_lists(NULL, 0, NULL, 1, NULL));
    GIVES(SEL4_LLM_NULL_POINTER, with_lists(null, 2, NULL, 0, NULL));
    GIVES(SEL4_LLM_NULL_POINTER, with_lists(NULL, 0, null, 2, NULL));
    GIVES(SEL4_LLM_MISALIGNED, with_lists((const char *const *)((const char *)good + 1), 1, NULL, 0, NULL));
    GIVES(SEL4_LLM_OVERLAP, with_lists((const char *const *)from_audit, 1, NULL, 0, NULL));
    GIVES(SEL4_LLM_OVERLAP, with_lists(in_client, 1, NULL, 0, NULL));
    GIVES(SEL4_LLM_OVERLAP, with_lists(NULL, 0, in_region, 1, NULL));
    GIVES(SEL4_LLM_BAD_STOP, with_lists(empty, 2, NULL, 0, NULL));
    GIVES(SEL4_LLM_BAD_STOP, with_lists(stop, 1, NULL, 0, NULL));
    stop[0] += 1;
    GIVES(SEL4_LLM_NOT_CONNECTED, with_lists(stop, 1, NULL, 0, NULL));
    GIVES(SEL4_LLM_PROMPT_NOT_UTF8, with_lists(bytes_of_none, 1, NULL, 0, NULL));
    GIVES(SEL4_LLM_BAD_CHOICE, with_lists(NULL, 0, empty, 2, NULL));
    GIVES(SEL4_LLM_BAD_CHOICE, with_lists(NULL, 0, twice, 2, NULL));
    GIVES(SEL4_LLM_BAD_CHOICE, with_lists(NULL, 0, line, 1, NULL));
    GIVES(SEL4_LLM_CHOICES_TOO_LONG, with_lists(NULL, 0, choice, 1, NULL));
    choice[0] += 1;
    GIVES(SEL4_LLM_NOT_CONNECTED, with_lists(NULL, 0, choice, 1, NULL));
    GIVES(SEL4_LLM_FORMAT_NOT_ALONE, with_lists(good, 1, good, 1, NULL));
    GIVES(SEL4_LLM_FORMAT_NOT_ALONE, with_lists(good, 1, NULL, 0, "triage"));
    GIVES(SEL4_LLM_FORMAT_NOT_ALONE, with_lists(NULL, 0, good, 1, "triage"));
    GIVES(SEL4_LLM_NOT_CONNECTED, with_lists(NULL, 0, NULL, 0, "triage"));
    /* Nothing is read past the longest text and one byte. */
    const char *end[] = {NULL};
    char *room = malloc(SEL4_LLM_MAX_STOP_BYTES + 1);
    memset(room, 'a', SEL4_LLM_MAX_STOP_BYTES + 1);
    end[0] = room;
    GIVES(SEL4_LLM_BAD_STOP, with_lists(end, 1, NULL, 0, NULL));
    free(room);
    CHECK(!sel4_llm_wants_signal(&client));
}

static void conversations(void)
{
    static char text[SEL4_LLM_MAX_PROMPT_BYTES + 1];
    const size_t most = SEL4_LLM_MAX_PROMPT_BYTES;
    uint32_t id = 7;
    memset(text, 'a', sizeof text);
    sel4_llm_segment_t segments[SEL4_LLM_MAX_SEGMENTS + 1];
    for (size_t i = 0; i <= SEL4_LLM_MAX_SEGMENTS; i += 1) {
        sel4_llm_segment_t turn = {i % 2 == 0 ? SEL4_LLM_ROLE_USER : SEL4_LLM_ROLE_ASSISTANT, "a", 1};
        segments[i] = turn;
    }
#define SAYS(count) sel4_llm_converse(&client, NULL, segments, count, &id)
    GIVES(SEL4_LLM_NOT_CONNECTED, SAYS(1));
    GIVES(SEL4_LLM_NOT_CONNECTED, SAYS(15));
    GIVES(SEL4_LLM_BAD_ROLE, SAYS(2));
    GIVES(SEL4_LLM_BAD_ROLE, SAYS(16));
    GIVES(SEL4_LLM_TOO_MANY_SEGMENTS, SAYS(17));
    GIVES(SEL4_LLM_TOO_MANY_SEGMENTS, SAYS((size_t)-1));
    GIVES(SEL4_LLM_PROMPT_EMPTY, SAYS(0));
    GIVES(SEL4_LLM_PROMPT_EMPTY, sel4_llm_converse(&client, NULL, NULL, 0, &id));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_converse(&client, NULL, NULL, 1, &id));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_converse(&client, NULL, segments, 1, NULL));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_converse(NULL, NULL, segments, 1, &id));
    GIVES(SEL4_LLM_MISALIGNED,
          sel4_llm_converse(&client, NULL, (sel4_llm_segment_t *)((char *)segments + 4), 1, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_converse(&client, NULL, (sel4_llm_segment_t *)to_audit, 1, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_converse(&client, NULL, (sel4_llm_segment_t *)&client, 1, &id));
#define SAYS_THIS(who, what, size, error)                                                          \
    do {                                                                                           \
        sel4_llm_segment_t said = {who, what, size};                                               \
        GIVES(error, sel4_llm_converse(&client, NULL, &said, 1, &id));                             \
    } while (0)
    SAYS_THIS(SEL4_LLM_ROLE_USER, "", 0, SEL4_LLM_PROMPT_EMPTY);
    SAYS_THIS(SEL4_LLM_ROLE_USER, NULL, 1, SEL4_LLM_NULL_POINTER);
    SAYS_THIS(SEL4_LLM_ROLE_USER, text, most, SEL4_LLM_NOT_CONNECTED);
    SAYS_THIS(SEL4_LLM_ROLE_USER, text, most + 1, SEL4_LLM_PROMPT_TOO_LONG);
    SAYS_THIS(SEL4_LLM_ROLE_USER, text, (size_t)-1, SEL4_LLM_PROMPT_TOO_LONG);
    SAYS_THIS(SEL4_LLM_ROLE_USER, "\xc3(", 2, SEL4_LLM_PROMPT_NOT_UTF8);
    SAYS_THIS(SEL4_LLM_ROLE_USER, from_audit, 8, SEL4_LLM_OVERLAP);
    SAYS_THIS(SEL4_LLM_ROLE_SYSTEM, "a", 1, SEL4_LLM_BAD_ROLE);
    SAYS_THIS(SEL4_LLM_ROLE_ASSISTANT, "a", 1, SEL4_LLM_BAD_ROLE);
    SAYS_THIS(0, "a", 1, SEL4_LLM_BAD_ROLE);
    /* A text to complete, or a stop string, has no role. */
    SAYS_THIS(1, "a", 1, SEL4_LLM_BAD_ROLE);
    SAYS_THIS(5, "a", 1, SEL4_LLM_BAD_ROLE);
    SAYS_THIS(UINT32_MAX, "a", 1, SEL4_LLM_BAD_ROLE);
    /* Only the user's text must not be empty, and a system text comes first. */
    segments[0].role = SEL4_LLM_ROLE_SYSTEM;
    segments[0].text = NULL;
    segments[0].text_size = 0;
    segments[1].role = SEL4_LLM_ROLE_USER;
    GIVES(SEL4_LLM_NOT_CONNECTED, SAYS(2));
    segments[2].role = SEL4_LLM_ROLE_SYSTEM;
    GIVES(SEL4_LLM_BAD_ROLE, SAYS(3));
    /* They are too long together. */
    segments[0].text = text;
    segments[0].text_size = most - 8;
    GIVES(SEL4_LLM_PROMPT_TOO_LONG, SAYS(2));
    segments[0].text_size = most - 9;
    GIVES(SEL4_LLM_NOT_CONNECTED, SAYS(2));

    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_prompt(&client, NULL, NULL, 1, &id));
    GIVES(SEL4_LLM_PROMPT_EMPTY, sel4_llm_prompt(&client, NULL, "a", 0, &id));
    GIVES(SEL4_LLM_NOT_CONNECTED, sel4_llm_prompt(&client, NULL, "a", 1, &id));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_formats(&client, NULL));
    GIVES(SEL4_LLM_NOT_CONNECTED, sel4_llm_formats(&client, &id));
    CHECK(id == 7);
    CHECK(!sel4_llm_wants_signal(&client));
}

static sel4_llm_error_t tune_with(sel4_llm_tuning_t tuning)
{
    uint32_t id = 7;
    sel4_llm_error_t error = sel4_llm_fine_tune(&client, &tuning, "feelings", &id);
    CHECK(id == 7);
    return error;
}

static void tunings(void)
{
    sel4_llm_tuning_t tuning = sel4_llm_default_tuning(), none;
    uint32_t id = 7;
    memset(&none, 0, sizeof none);

    CHECK(tuning.rank == 4 && tuning.alpha == 8 * SEL4_LLM_ONE && tuning.epochs == 3);
    CHECK(tuning.rate == 1000000 && tuning.targets == SEL4_LLM_TARGETS_ATTENTION);
    CHECK(tuning.adapter == NULL);
    GIVES(SEL4_LLM_NOT_CONNECTED, tune_with(tuning));
    GIVES(SEL4_LLM_BAD_RANK, tune_with(none));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_fine_tune(NULL, &tuning, "feelings", &id));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_fine_tune(&client, &tuning, "feelings", NULL));
    GIVES(SEL4_LLM_MISALIGNED, sel4_llm_fine_tune(&client, (sel4_llm_tuning_t *)((char *)&tuning + 2), "feelings", &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_fine_tune(&client, (sel4_llm_tuning_t *)from_audit, "feelings", &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_fine_tune(&client, &tuning, from_audit, &id));
    GIVES(SEL4_LLM_BAD_DATA, sel4_llm_fine_tune(&client, &tuning, "", &id));
    GIVES(SEL4_LLM_BAD_DATA, sel4_llm_fine_tune(&client, &tuning, "two words", &id));
    GIVES(SEL4_LLM_NOT_CONNECTED, sel4_llm_fine_tune(&client, &tuning, NULL, &id));
    GIVES(SEL4_LLM_NOT_CONNECTED, sel4_llm_fine_tune(&client, NULL, NULL, &id));
#define BAD_TUNING(member, wrong, error)                                                           \
    do {                                                                                           \
        sel4_llm_tuning_t bad = tuning;                                                            \
        bad.member = (wrong);                                                                      \
        GIVES(error, tune_with(bad));                                                              \
    } while (0)
    BAD_TUNING(rank, 65, SEL4_LLM_BAD_RANK);
    BAD_TUNING(alpha, 0, SEL4_LLM_BAD_ALPHA);
    BAD_TUNING(alpha, 1024 * SEL4_LLM_ONE + 1, SEL4_LLM_BAD_ALPHA);
    BAD_TUNING(epochs, 0, SEL4_LLM_BAD_EPOCHS);
    BAD_TUNING(epochs, 101, SEL4_LLM_BAD_EPOCHS);
    BAD_TUNING(rate, 0, SEL4_LLM_BAD_RATE);
    BAD_TUNING(rate, 1000000001, SEL4_LLM_BAD_RATE);
    BAD_TUNING(targets, 0, SEL4_LLM_BAD_TARGETS);
    BAD_TUNING(targets, 3, SEL4_LLM_BAD_TARGETS);
    BAD_TUNING(adapter, "a b", SEL4_LLM_BAD_ADAPTER);
    BAD_TUNING(adapter, "", SEL4_LLM_NOT_CONNECTED);

    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_load_adapter(&client, NULL, &id));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_load_adapter(&client, "moral", NULL));
    GIVES(SEL4_LLM_BAD_ADAPTER, sel4_llm_load_adapter(&client, "", &id));
    GIVES(SEL4_LLM_BAD_ADAPTER, sel4_llm_drop_adapter(&client, "\"", &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_export_adapter(&client, (char *)&client, &id));
    GIVES(SEL4_LLM_NOT_CONNECTED, sel4_llm_load_adapter(&client, "moral", &id));
    GIVES(SEL4_LLM_NOT_CONNECTED, sel4_llm_drop_adapter(&client, "moral", &id));
    GIVES(SEL4_LLM_NOT_CONNECTED, sel4_llm_export_adapter(&client, "moral", &id));
    GIVES(SEL4_LLM_NOT_CONNECTED, sel4_llm_adapters(&client, &id));
    GIVES(SEL4_LLM_NOT_CONNECTED, sel4_llm_drop_examples(&client, &id));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_adapters(&client, NULL));
    CHECK(id == 7);
}

static void examples(void)
{
    static char text[SEL4_LLM_MAX_EXAMPLE_BYTES + 1], line[SEL4_LLM_MAX_EXAMPLE_BYTES + 8];
    const size_t most = SEL4_LLM_MAX_EXAMPLE_BYTES;
    size_t length = 7, pair[2];
    uint32_t id = 7;
    memset(text, 'a', sizeof text);

#define LINE(text, size) sel4_llm_example_line(text, size, NULL, 0, line, most, &length)
    GIVES(SEL4_LLM_NULL_POINTER, LINE(NULL, 1));
    GIVES(SEL4_LLM_EXAMPLE_EMPTY, LINE(text, 0));
    GIVES(SEL4_LLM_EXAMPLE_TOO_LONG, LINE(text, most + 1));
    GIVES(SEL4_LLM_EXAMPLE_TOO_LONG, LINE(text, (size_t)-1));
    GIVES(SEL4_LLM_EXAMPLE_NOT_UTF8, LINE("\xff", 1));
    /* With the JSON around it. */
    GIVES(SEL4_LLM_EXAMPLE_TOO_LONG, LINE(text, most - 10));
    GIVES(SEL4_LLM_EXAMPLE_EMPTY, sel4_llm_example_line("a", 1, "", 0, line, most, &length));
    GIVES(SEL4_LLM_EXAMPLE_NOT_UTF8, sel4_llm_example_line("a", 1, "\xc3(", 2, line, most, &length));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_example_line("a", 1, NULL, 0, NULL, most, &length));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_example_line("a", 1, NULL, 0, line, most, NULL));
    GIVES(SEL4_LLM_MISALIGNED, sel4_llm_example_line("a", 1, NULL, 0, line, most, (size_t *)((char *)pair + 4)));
    GIVES(SEL4_LLM_EXAMPLE_TOO_LONG, sel4_llm_example_line("a", 1, NULL, 0, line, 0, &length));
    GIVES(SEL4_LLM_EXAMPLE_TOO_LONG, sel4_llm_example_line("a", 1, NULL, 0, line, 11, &length));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_example_line(line + 5, 1, NULL, 0, line, most, &length));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_example_line("a", 1, line + 5, 1, line, most, &length));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_example_line("a", 1, NULL, 0, (char *)pair, sizeof pair, pair));
    CHECK(length == 7);
    /* Nothing past the stated end. */
    memset(line, 'x', sizeof line);
    GIVES(SEL4_LLM_OK, sel4_llm_example_line("a", 1, NULL, 0, line, 12, &length));
    CHECK(length == 12 && memcmp(line, "{\"text\":\"a\"}x", 13) == 0);
    /* An impossibly large buffer: only as much of it is touched as the longest line needs. */
    GIVES(SEL4_LLM_OK, sel4_llm_example_line("b\n", 2, " \"c\"", 4, line, (size_t)-1, &length));
    static const char both[] = "{\"prompt\":\"b\\n\",\"answer\":\" \\\"c\\\"\"}";
    CHECK(length == sizeof both - 1 && memcmp(line, both, length) == 0);
    CHECK(line[most] == 'x');

    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_example(NULL, line, length, &id));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_example(&client, NULL, length, &id));
    GIVES(SEL4_LLM_NULL_POINTER, sel4_llm_example(&client, line, length, NULL));
    GIVES(SEL4_LLM_EXAMPLE_EMPTY, sel4_llm_example(&client, line, 0, &id));
    GIVES(SEL4_LLM_EXAMPLE_TOO_LONG, sel4_llm_example(&client, line, most + 1, &id));
    GIVES(SEL4_LLM_OVERLAP, sel4_llm_example(&client, to_audit, 100, &id));
    GIVES(SEL4_LLM_NOT_CONNECTED, sel4_llm_example(&client, line, length, &id));
    CHECK(id == 7);
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
                 "audit has not read earlier messages yet: try again when it signals") == 0);
    CHECK(strcmp(sel4_llm_error_text(-1), "not an error of this library") == 0);
    CHECK(strcmp(sel4_llm_error_text(INT32_MAX), "not an error of this library") == 0);
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
    lists();
    conversations();
    tunings();
    examples();
    others();
    printf("%u failed\n", failed);
    return failed != 0;
}
