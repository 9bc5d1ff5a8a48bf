/*
 * Does what standard input says, a line each, and says what came of it. Its argument is a file with the two regions: what
 * audit writes, then what this program writes.
 */

#include <fcntl.h>
#include <sel4_llm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static sel4_llm_client_t client;
static sel4_llm_event_t event;

static const char *const kinds[] = {
    [SEL4_LLM_EVENT_NONE] = "none",         [SEL4_LLM_EVENT_READY] = "ready",
    [SEL4_LLM_EVENT_PROGRESS] = "progress", [SEL4_LLM_EVENT_FAULT] = "fault",
    [SEL4_LLM_EVENT_RECOVERED] = "recovered", [SEL4_LLM_EVENT_SYSTEM_FAILED] = "system-failed",
    [SEL4_LLM_EVENT_RESTARTED] = "restarted", [SEL4_LLM_EVENT_TEXT] = "text",
    [SEL4_LLM_EVENT_FINISHED] = "finished", [SEL4_LLM_EVENT_FAILED] = "failed",
    [SEL4_LLM_EVENT_LOST] = "lost",         [SEL4_LLM_EVENT_MODEL] = "model",
    [SEL4_LLM_EVENT_LISTED] = "listed",     [SEL4_LLM_EVENT_STATUS] = "status",
    [SEL4_LLM_EVENT_BUDGET] = "budget",
};

static void say_error(sel4_llm_error_t error)
{
    printf("error %d: %s\n", error, sel4_llm_error_text(error));
}

static void say_request(sel4_llm_error_t error, const uint32_t *id)
{
    if (error == SEL4_LLM_OK)
        printf("#%u\n", *id);
    else
        say_error(error);
}

static void say_event(void)
{
    printf("%s #%u%s", kinds[event.kind], event.request, event.is_end ? " end" : "");
    switch (event.kind) {
    case SEL4_LLM_EVENT_READY:
        printf(" %s (%s)", event.user.name, event.user.role);
        break;
    case SEL4_LLM_EVENT_PROGRESS:
        printf(" %lu/%lu", event.progress.done, event.progress.total);
        break;
    case SEL4_LLM_EVENT_FAULT:
        printf(" %u %lx %lx", event.fault.count, event.fault.ip, event.fault.address);
        break;
    case SEL4_LLM_EVENT_RECOVERED:
        printf(" %u", event.restarts);
        break;
    case SEL4_LLM_EVENT_FINISHED:
        printf(" %d %u+%u turn %u %lu/%lu", event.finished.reason, event.finished.prompt_tokens,
               event.finished.generated_tokens, event.finished.turn, event.finished.first_token_us,
               event.finished.total_us);
        break;
    case SEL4_LLM_EVENT_SYSTEM_FAILED:
    case SEL4_LLM_EVENT_FAILED:
        printf(" %s %lu/%lu", sel4_llm_code_name(event.failure.code), event.failure.value,
               event.failure.limit);
        break;
    case SEL4_LLM_EVENT_MODEL:
        printf(" %s %lu%s signature %d", event.model.name, event.model.file_bytes,
               event.model.loaded ? " loaded" : "", event.model.signature);
        break;
    case SEL4_LLM_EVENT_LISTED:
        printf(" %u", event.count);
        break;
    case SEL4_LLM_EVENT_STATUS:
        printf(" %s %lu of %lu, %u; cache %u/%u, %u active, %u waiting, %u sessions, %u restarts", event.status.model,
               event.status.arena_used, event.status.arena_bytes, event.status.context,
               event.status.cache_free, event.status.cache_positions, event.status.active,
               event.status.waiting, event.status.sessions, event.status.restarts);
        break;
    case SEL4_LLM_EVENT_BUDGET:
        printf(" %s %lu of %lu, %lu of %lu us", event.budget.user, event.budget.available,
               event.budget.tokens, event.budget.left_us, event.budget.period_us);
        break;
    default:
        break;
    }
    if (event.text.bytes != NULL)
        printf(" %u'%.*s'", event.text.tokens, (int)event.text.length, event.text.bytes);
    putchar('\n');
}

int main(int argc, char **argv)
{
    static char line[SEL4_LLM_MAX_PROMPT_BYTES + 64];
    int file = argc == 2 ? open(argv[1], O_RDWR) : -1;
    if (file < 0)
        return 2;
    size_t bytes = SEL4_LLM_RING_BYTES;
    void *from = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0);
    void *to = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)bytes);
    if (from == MAP_FAILED || to == MAP_FAILED)
        return 2;
    if (sel4_llm_init(&client, sizeof client, from, bytes, to, bytes) != SEL4_LLM_OK)
        return 3;

    while (fgets(line, sizeof line, stdin) != NULL) {
        uint32_t id = 0;
        line[strcspn(line, "\n")] = 0;
        char *what = strtok(line, " ");
        char *rest = strtok(NULL, "");
        if (strcmp(what, "infer") == 0) {
            say_request(sel4_llm_infer(&client, NULL, rest, strlen(rest), &id), &id);
        } else if (strcmp(what, "decide") == 0) {
            sel4_llm_params_t params = sel4_llm_default_params();
            params.session = "door";
            params.adapter = "moral";
            params.max_tokens = 4;
            params.temperature = 0;
            params.seed = 9;
            say_request(sel4_llm_infer(&client, &params, rest, strlen(rest), &id), &id);
        } else if (strcmp(what, "echo") == 0) {
            say_request(sel4_llm_infer(&client, NULL, event.text.bytes, event.text.length, &id), &id);
        } else if (strcmp(what, "models") == 0) {
            say_request(sel4_llm_models(&client, &id), &id);
        } else if (strcmp(what, "status") == 0) {
            say_request(sel4_llm_status(&client, &id), &id);
        } else if (strcmp(what, "budget") == 0) {
            say_request(sel4_llm_budget(&client, &id), &id);
        } else if (strcmp(what, "cancel") == 0) {
            say_error(sel4_llm_cancel(&client, (uint32_t)atoi(rest)));
        } else if (strcmp(what, "abandon") == 0) {
            say_error(sel4_llm_abandon(&client, (uint32_t)atoi(rest)));
        } else if (strcmp(what, "room") == 0) {
            printf("%u\n", sel4_llm_room(&client));
        } else if (strcmp(what, "signal") == 0) {
            puts(sel4_llm_wants_signal(&client) ? "yes" : "no");
        } else if (strcmp(what, "poll") == 0) {
            sel4_llm_error_t error = sel4_llm_poll(&client, &event);
            if (error == SEL4_LLM_OK)
                say_event();
            else
                say_error(error);
        } else {
            return 4;
        }
        fflush(stdout);
    }
    return 0;
}
