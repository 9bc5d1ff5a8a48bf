/*
 * The component of this example in plain C. It gets events, one line of text each, asks the model about each, and
 * decides: routine or escalate. ../core is the same in Rust.
 *
 * The rule that keeps it safe: the policy's format and audit guarantee that an answer is one of four classes, and only
 * two of them are routine. Everything else escalates: no answer, a refusal, an answer that violated the format, a line
 * that cannot be asked about. So whatever fails, somebody is warned, and each line is decided once.
 *
 * It needs libmicrokit and libsel4_llm and nothing else: no libc, no heap, no floating point, no timer.
 */

#include <microkit.h>
#include <sel4_llm.h>

/* Longest line that the model is asked about, in bytes. It bounds the cost of a question. */
#define MAX_LINE 120
/* Most tokens of an answer. A class is one token of the model's vocabulary; another model may need a few. */
#define MAX_ANSWER_TOKENS 4
/* Bytes of an answer that are kept. No class is longer. */
#define MAX_ANSWER 16
/* The format of the policy that an answer must have. The policy lets this client ask for no other. */
#define FORMAT "triage"
/* How often a question is asked if inference is restarted during it. */
#define ATTEMPTS 2

/* The system text of every question, told to the model before the line; build.mk makes it from standing.txt. It is part
 * of the program, and no event can change it, because only the model's chat template marks where it ends. */
static const char standing[] =
#include "standing.h"
    ;

/* Prefix of debug output. The simulation writes the domain's name itself, libmicrokit does not. */
#ifndef PREFIX
#define PREFIX ""
#endif

/* ---- What system.xml gives: the Microkit tool writes these before the program starts. ------------------------------- */

uintptr_t to_audit, to_audit_size, from_audit, from_audit_size, audit_channel;
uintptr_t events, events_size, decisions, decisions_size;

/* ---- The state ------------------------------------------------------------------------------------------------------ */

/* Static, because the client is larger than a small stack. */
static sel4_llm_client_t client;
static sel4_llm_event_t event;

/* Where the current line is. */
static enum { TO_ASK, ASKED, DONE } stage;
/* Whether audit accepts questions: not before it is ready, nor while inference is being restarted. */
static bool takes_questions;
/* How often inference was restarted during the question. */
static unsigned attempts;

/* The current line, without white space around it, and its number, from 1. */
static const char *line;
static size_t line_length;
static uint32_t line_number;
/* The rest of the events. */
static const char *rest;
static const char *rest_end;

/* The question about it, and the model's answer. */
static uint32_t question;
static char answer[MAX_ANSWER];
static size_t answer_length;
static bool answer_is_cut;

/* The reason of a decision, as numbered in the records of `decisions`. */
enum reason { JUDGED = 1, UNCLEAR, NO_ANSWER, LOST, NOT_SENT, TOO_LONG, NOT_TEXT };

static uint64_t routine, escalated;

/* How long answers take, by audit's clock. The first question computes the standing text, and the others share it. */
static uint64_t answers, first_us, others_us;

/* ---- Text ----------------------------------------------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* Untrusted text is not shown unchecked. */
static void say_quoted(const char *text, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    microkit_dbg_putc('"');
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n') {
            microkit_dbg_puts("\\n");
        } else if (c < ' ' || c > '~') {
            microkit_dbg_puts("\\x");
            microkit_dbg_putc(digits[c >> 4]);
            microkit_dbg_putc(digits[c & 15]);
        } else {
            if (c == '"' || c == '\\')
                microkit_dbg_putc('\\');
            microkit_dbg_putc(c);
        }
    }
    microkit_dbg_putc('"');
}

/* ---- Lines of the events -------------------------------------------------------------------------------------------- */

/* Moves to the next line that is not empty; false if there is none. */
static bool next_line(void)
{
    while (rest < rest_end) {
        const char *start = rest, *end = rest;
        while (end < rest_end && *end != '\n')
            end++;
        rest = end < rest_end ? end + 1 : end;
        line_number++;
        while (start < end && is_space(*start))
            start++;
        while (start < end && is_space(end[-1]))
            end--;
        line = start;
        line_length = (size_t)(end - start);
        attempts = 0;
        if (line_length > 0)
            return true;
    }
    return false;
}

/* ---- Decisions ------------------------------------------------------------------------------------------------------ */

/* The words of `decisions`: ../core/src/decisions.rs has the layout. */
enum { COUNT, ALARM, ROUTINE, ESCALATED, RECORDS };

static void write_word(size_t word, uint64_t value)
{
    if (word < decisions_size / sizeof value)
        __atomic_store_n((uint64_t *)decisions + word, value, __ATOMIC_RELEASE);
}

/* Acts on a decision. The alarm comes before anything else. */
static void write_decision(bool is_routine, enum reason reason, uint32_t code)
{
    if (!is_routine)
        write_word(ALARM, 1);
    uint64_t before = routine + escalated;
    uint64_t words = decisions_size / sizeof(uint64_t);
    uint64_t room = words > RECORDS ? words - RECORDS : 1;
    if (is_routine)
        routine++;
    else
        escalated++;
    uint64_t verdict = is_routine ? 1 : 2;
    write_word(RECORDS + before % room,
               line_number | verdict << 32 | (uint64_t)reason << 40 | (uint64_t)code << 48);
    write_word(ROUTINE, routine);
    write_word(ESCALATED, escalated);
    write_word(COUNT, routine + escalated);
}

static void say_decision(bool is_routine, enum reason reason, uint32_t code)
{
    microkit_dbg_puts(PREFIX "line ");
    microkit_dbg_put32(line_number);
    microkit_dbg_puts(is_routine ? ", routine" : ", ESCALATE");
    switch (reason) {
    case JUDGED:
        break;
    case UNCLEAR:
        microkit_dbg_puts(" (unclear answer)");
        break;
    case NO_ANSWER:
        microkit_dbg_puts(" (no answer: ");
        microkit_dbg_puts(sel4_llm_code_name(code));
        microkit_dbg_puts(")");
        break;
    case LOST:
        microkit_dbg_puts(" (no answer: audit was restarted)");
        break;
    case NOT_SENT:
        microkit_dbg_puts(" (not asked: cannot be sent)");
        break;
    case TOO_LONG:
        microkit_dbg_puts(" (not asked: too long)");
        break;
    case NOT_TEXT:
        microkit_dbg_puts(" (not asked: no text)");
        break;
    }
    microkit_dbg_puts(": ");
    say_quoted(line, reason < TOO_LONG ? line_length : 0);
    if (reason == JUDGED || reason == UNCLEAR) {
        microkit_dbg_putc(' ');
        say_quoted(answer, answer_length);
    }
    microkit_dbg_putc('\n');
}

static void say_times(void)
{
    uint64_t others = answers > 0 ? answers - 1 : 0;
    microkit_dbg_puts(PREFIX "the first answer took ");
    microkit_dbg_put32((uint32_t)first_us);
    microkit_dbg_puts(" us, each of ");
    microkit_dbg_put32((uint32_t)others);
    microkit_dbg_puts(" others ");
    microkit_dbg_put32(others > 0 ? (uint32_t)(others_us / others) : 0);
    microkit_dbg_puts(" us\n");
}

/* Decides about the current line and moves to the next. */
static void decide(bool is_routine, enum reason reason, uint32_t code)
{
    write_decision(is_routine, reason, code);
    say_decision(is_routine, reason, code);
    stage = TO_ASK;
    if (!next_line()) {
        stage = DONE;
        say_times();
        microkit_dbg_puts(PREFIX "all lines decided: ");
        microkit_dbg_put32((uint32_t)routine);
        microkit_dbg_puts(" routine, ");
        microkit_dbg_put32((uint32_t)escalated);
        microkit_dbg_puts(" escalated\n");
    }
}

/* ---- Answers -------------------------------------------------------------------------------------------------------- */

/* Adds to the answer. After the first part that does not fit, nothing more is kept. */
static void take_text(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length && !answer_is_cut; i++) {
        if (answer_length == MAX_ANSWER)
            answer_is_cut = true;
        else
            answer[answer_length++] = bytes[i];
    }
}

static bool answer_is(const char *class)
{
    size_t i = 0;
    while (i < answer_length && class[i] != 0 && class[i] == answer[i])
        i++;
    return i == answer_length && class[i] == 0 && !answer_is_cut;
}

/* Decides by an answer that has finished. If it is not a class, the policy has another format under that name. */
static void judge(uint64_t took_us)
{
    if (answers++ == 0)
        first_us = took_us;
    else
        others_us += took_us;
    if (answer_is("ignore") || answer_is("log"))
        decide(true, JUDGED, 0);
    else
        decide(false, answer_is("warn") || answer_is("alarm") ? JUDGED : UNCLEAR, 0);
}

/* The question has no answer: audit or inference was restarted, and it is asked once more, or it was refused. */
static void no_answer(enum reason reason, uint32_t code)
{
    bool was_restarted = reason == LOST || code == SEL4_LLM_CODE_INFERENCE_FAULT ||
                         code == SEL4_LLM_CODE_PROTOCOL_VIOLATION ||
                         code == SEL4_LLM_CODE_FORMAT_BREACH ||
                         code == SEL4_LLM_CODE_UNRESPONSIVE;
    attempts++;
    if (was_restarted && attempts < ATTEMPTS)
        stage = TO_ASK;
    else
        decide(false, reason, code);
}

/* ---- The conversation with audit ------------------------------------------------------------------------------------ */

/* Asks about the next line that is fit to be asked about. */
static void ask(void)
{
    while (takes_questions && stage == TO_ASK) {
        if (line_length > MAX_LINE) {
            decide(false, TOO_LONG, 0);
            continue;
        }
        /* The standing text comes first and is always the same, so inference computes it only once. */
        sel4_llm_segment_t segments[] = {
            { .role = SEL4_LLM_ROLE_SYSTEM, .text = standing, .text_size = sizeof standing - 1 },
            { .role = SEL4_LLM_ROLE_USER, .text = line, .text_size = line_length },
        };
        /* Takes the likeliest class, so the same line gets the same answer. */
        sel4_llm_params_t params = sel4_llm_default_params();
        params.format = FORMAT;
        params.max_tokens = MAX_ANSWER_TOKENS;
        params.temperature = 0;
        switch (sel4_llm_converse(&client, &params, segments, 2, &question)) {
        case SEL4_LLM_OK:
            answer_length = 0;
            answer_is_cut = false;
            stage = ASKED;
            break;
        case SEL4_LLM_FULL:
        case SEL4_LLM_NOT_CONNECTED:
        case SEL4_LLM_TOO_MANY_IN_FLIGHT:
            /* Audit will signal when this changes. */
            return;
        case SEL4_LLM_PROMPT_NOT_UTF8:
            decide(false, NOT_TEXT, 0);
            break;
        default:
            decide(false, NOT_SENT, 0);
            break;
        }
    }
}

/* Handles one event from audit. */
static void take_event(void)
{
    switch (event.kind) {
    case SEL4_LLM_EVENT_READY:
    case SEL4_LLM_EVENT_RECOVERED:
    /* After a failure audit answers again, even if only by refusing. */
    case SEL4_LLM_EVENT_SYSTEM_FAILED:
        takes_questions = true;
        return;
    case SEL4_LLM_EVENT_FAULT:
    case SEL4_LLM_EVENT_RESTARTED:
        takes_questions = false;
        return;
    default:
        break;
    }
    if (stage != ASKED || event.request != question)
        return;
    switch (event.kind) {
    case SEL4_LLM_EVENT_TEXT:
        take_text(event.text.bytes, event.text.length);
        break;
    case SEL4_LLM_EVENT_FINISHED:
        judge(event.finished.total_us);
        break;
    case SEL4_LLM_EVENT_FAILED:
        no_answer(NO_ANSWER, event.failure.code);
        break;
    case SEL4_LLM_EVENT_LOST:
        no_answer(LOST, 0);
        break;
    default:
        break;
    }
}

void init(void)
{
    sel4_llm_error_t error =
        sel4_llm_init(&client, sizeof client, (const void *)from_audit, from_audit_size,
                      (void *)to_audit, to_audit_size);
    if (error != SEL4_LLM_OK) {
        microkit_dbg_puts(PREFIX);
        microkit_dbg_puts(sel4_llm_error_text(error));
        microkit_dbg_putc('\n');
        /* Without its rings the component raises no alarm and takes no signal. */
        stage = DONE;
        return;
    }
    for (size_t word = 0; word < RECORDS; word++)
        write_word(word, 0);
    /* The events end at the first zero, or at the end of their region. */
    rest = rest_end = (const char *)events;
    while ((size_t)(rest_end - rest) < events_size && *rest_end != 0)
        rest_end++;
    if (!next_line())
        stage = DONE;
}

void notified(microkit_channel channel)
{
    if (channel != audit_channel)
        return;
    for (unsigned i = 0; i < SEL4_LLM_MAX_WAITING; i++) {
        if (sel4_llm_poll(&client, &event) != SEL4_LLM_OK)
            break;
        take_event();
    }
    ask();
    /* Once, for everything read and sent. */
    if (sel4_llm_wants_signal(&client))
        microkit_notify((microkit_channel)audit_channel);
}
