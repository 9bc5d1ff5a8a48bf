/*
 * Carries out the commands on standard input, one per line, and prints their results. Its argument is a file with the
 * two regions: first the one that audit writes, then the one that this program writes.
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
    [SEL4_LLM_EVENT_BUDGET] = "budget",     [SEL4_LLM_EVENT_ADAPTER] = "adapter",
    [SEL4_LLM_EVENT_TRAINING] = "training", [SEL4_LLM_EVENT_TUNED] = "tuned",
    [SEL4_LLM_EVENT_ADAPTER_LOADED] = "adapter-loaded",
    [SEL4_LLM_EVENT_ADAPTER_PART] = "adapter-part",
    [SEL4_LLM_EVENT_EXPORTED] = "exported", [SEL4_LLM_EVENT_EXAMPLES] = "examples",
    [SEL4_LLM_EVENT_DONE] = "done",         [SEL4_LLM_EVENT_FORMAT] = "format",
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

static void say_hash(const char *what, const uint8_t *hash, size_t size)
{
    printf(" %s ", what);
    for (size_t byte = 0; byte < size; byte += 1)
        printf("%02x", hash[byte]);
}

static void say_adapter(const sel4_llm_adapter_t *adapter)
{
    printf(" %s %lu%s%s signature %d rank %u alpha %u, %u matrices, %lu numbers, %lu bytes", adapter->name,
           adapter->file_bytes, adapter->loaded ? " loaded" : "", adapter->made_here ? " made here" : "",
           adapter->signature, adapter->rank, adapter->alpha, adapter->matrices, adapter->parameters,
           adapter->arena_bytes);
    say_hash("sha256", adapter->sha256, sizeof adapter->sha256);
    say_hash("base", adapter->base_sha256, sizeof adapter->base_sha256);
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
        printf(" %s (%s%s) %lu of %lu, %u; cache %u/%u, %u active, %u waiting, %u sessions, %u restarts",
               event.status.model, event.status.template_name, event.status.roles_separated ? ", roles apart" : "",
               event.status.arena_used, event.status.arena_bytes, event.status.context,
               event.status.cache_free, event.status.cache_positions, event.status.active,
               event.status.waiting, event.status.sessions, event.status.restarts);
        break;
    case SEL4_LLM_EVENT_BUDGET:
        printf(" %s %lu of %lu, %lu of %lu us", event.budget.user, event.budget.available,
               event.budget.tokens, event.budget.left_us, event.budget.period_us);
        break;
    case SEL4_LLM_EVENT_ADAPTER:
    case SEL4_LLM_EVENT_ADAPTER_LOADED:
        say_adapter(&event.adapter);
        break;
    case SEL4_LLM_EVENT_TRAINING:
        printf(" step %u of %u, %lu tokens, loss %u, longest %u%s, %lu us", event.training.step,
               event.training.steps, event.training.tokens, event.training.loss,
               event.training.longest, event.training.alone ? ", alone" : "",
               event.training.elapsed_us);
        break;
    case SEL4_LLM_EVENT_TUNED:
        printf(" %s %lu bytes, %lu tokens, %u steps, loss %u, %lu us, %s", event.tuned.name,
               event.tuned.file_bytes, event.tuned.tokens, event.tuned.steps, event.tuned.loss,
               event.tuned.total_us,
               event.tuned.not_loaded ? sel4_llm_code_name(event.tuned.not_loaded) : "loaded");
        say_hash("sha256", event.tuned.sha256, sizeof event.tuned.sha256);
        break;
    case SEL4_LLM_EVENT_ADAPTER_PART:
        printf(" at %lu", event.offset);
        break;
    case SEL4_LLM_EVENT_EXPORTED:
        printf(" %s %lu bytes", event.exported.name, event.exported.file_bytes);
        say_hash("sha256", event.exported.sha256, sizeof event.exported.sha256);
        say_hash("base", event.exported.base_sha256, sizeof event.exported.base_sha256);
        say_hash("signature", event.exported.signature, sizeof event.exported.signature);
        break;
    case SEL4_LLM_EVENT_FORMAT:
        printf(" %s %u states, %u bytes%s", event.format.name, event.format.states, event.format.bytes,
               event.format.allowed ? ", allowed" : "");
        say_hash("sha256", event.format.sha256, sizeof event.format.sha256);
        break;
    case SEL4_LLM_EVENT_EXAMPLES:
        printf(" %u, %u of %u bytes", event.examples.count, event.examples.bytes, event.examples.limit);
        break;
    default:
        break;
    }
    if (event.text.bytes != NULL)
        printf(" %u'%.*s'", event.text.tokens, (int)event.text.length, event.text.bytes);
    putchar('\n');
}

/* An example: a text, or a prompt and an answer separated by a bar. */
static sel4_llm_error_t add_example(char *text, uint32_t *id)
{
    static char json[SEL4_LLM_MAX_EXAMPLE_BYTES];
    size_t length = 0;
    char *bar = strchr(text, '|');
    size_t answer_size = 0;
    if (bar != NULL) {
        *bar = 0;
        bar += 1;
        answer_size = strlen(bar);
    }
    sel4_llm_error_t error =
        sel4_llm_example_line(text, strlen(text), bar, answer_size, json, sizeof json, &length);
    return error == SEL4_LLM_OK ? sel4_llm_example(&client, json, length, id) : error;
}

/* A conversation, separated by bars: system text, earlier questions and answers, then the question. */
static sel4_llm_error_t converse(char *text, uint32_t *id)
{
    sel4_llm_params_t params = sel4_llm_default_params();
    sel4_llm_segment_t segments[SEL4_LLM_MAX_SEGMENTS];
    size_t count = 0;
    for (char *part = strtok(text, "|"); part != NULL; part = strtok(NULL, "|")) {
        static const uint32_t turns[] = {SEL4_LLM_ROLE_ASSISTANT, SEL4_LLM_ROLE_USER};
        segments[count].role = count == 0 ? SEL4_LLM_ROLE_SYSTEM : turns[count % 2];
        segments[count].text = part;
        segments[count].text_size = strlen(part);
        count += 1;
    }
    static const char *const stops[] = {"\n\n", "."};
    params.stops = stops;
    params.stop_count = 2;
    return sel4_llm_converse(&client, &params, segments, count, id);
}

/* One question, and the allowed answers. */
static sel4_llm_error_t choose(const char *text, uint32_t *id)
{
    static const char *const choices[] = {"yes", "no", "unsure"};
    sel4_llm_params_t params = sel4_llm_default_params();
    params.choices = choices;
    params.choice_count = 3;
    return sel4_llm_prompt(&client, &params, text, strlen(text), id);
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
        } else if (strcmp(what, "converse") == 0) {
            say_request(converse(rest, &id), &id);
        } else if (strcmp(what, "choose") == 0) {
            say_request(choose(rest, &id), &id);
        } else if (strcmp(what, "classify") == 0) {
            sel4_llm_params_t params = sel4_llm_default_params();
            params.format = "triage";
            say_request(sel4_llm_infer(&client, &params, rest, strlen(rest), &id), &id);
        } else if (strcmp(what, "answer") == 0) {
            /* The text of the last event, as the model's answer. */
            sel4_llm_segment_t segments[] = {
                {SEL4_LLM_ROLE_USER, "Hi", 2},
                {SEL4_LLM_ROLE_ASSISTANT, event.text.bytes, event.text.length},
                {SEL4_LLM_ROLE_USER, rest, strlen(rest)},
            };
            say_request(sel4_llm_converse(&client, NULL, segments, 3, &id), &id);
        } else if (strcmp(what, "formats") == 0) {
            say_request(sel4_llm_formats(&client, &id), &id);
        } else if (strcmp(what, "models") == 0) {
            say_request(sel4_llm_models(&client, &id), &id);
        } else if (strcmp(what, "status") == 0) {
            say_request(sel4_llm_status(&client, &id), &id);
        } else if (strcmp(what, "budget") == 0) {
            say_request(sel4_llm_budget(&client, &id), &id);
        } else if (strcmp(what, "tune") == 0) {
            say_request(sel4_llm_fine_tune(&client, NULL, rest, &id), &id);
        } else if (strcmp(what, "tune-hard") == 0) {
            sel4_llm_tuning_t tuning = sel4_llm_default_tuning();
            tuning.adapter = "moods";
            tuning.rank = 8;
            tuning.alpha = 16 * SEL4_LLM_ONE;
            tuning.epochs = 5;
            tuning.rate = 2000000;
            tuning.targets = SEL4_LLM_TARGETS_ALL;
            tuning.seed = 7;
            say_request(sel4_llm_fine_tune(&client, &tuning, rest, &id), &id);
        } else if (strcmp(what, "example") == 0) {
            say_request(add_example(rest, &id), &id);
        } else if (strcmp(what, "drop-examples") == 0) {
            say_request(sel4_llm_drop_examples(&client, &id), &id);
        } else if (strcmp(what, "adapters") == 0) {
            say_request(sel4_llm_adapters(&client, &id), &id);
        } else if (strcmp(what, "load-adapter") == 0) {
            say_request(sel4_llm_load_adapter(&client, rest, &id), &id);
        } else if (strcmp(what, "drop-adapter") == 0) {
            say_request(sel4_llm_drop_adapter(&client, rest, &id), &id);
        } else if (strcmp(what, "export-adapter") == 0) {
            say_request(sel4_llm_export_adapter(&client, rest, &id), &id);
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
