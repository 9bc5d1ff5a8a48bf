//! Background requests.

use super::harness::*;

#[test]
fn a_job_runs_while_other_commands_do_and_its_end_is_told() {
    let mut system = System::plain();
    let number = system.request("llminfer \"Once upon a time\" --background");
    assert_eq!(
        system.output(),
        "job 1: under way; 'llmctl wait 1' shows its text\n"
    );
    let other = system.request("llminfer x");
    assert_ne!(number, other);
    system.token(number, b" there was");
    system.token(other, b" y");
    assert_eq!(system.output(), " y");
    system.say(number, &finished(FinishReason::EndOfText));
    assert_eq!(system.output(), "", "not into another text");
    system.say(other, &finished(FinishReason::EndOfText));
    let output = system.output();
    assert!(
        output.ends_with(
            "end of text]\njob 1: finished, 48 tokens; 'llmctl wait 1' shows its text\n"
        ),
        "{output}"
    );
    system.type_in("llmctl jobs\n");
    assert_eq!(
        system.output(),
        "   1  finished, 48 tokens  \"Once upon a time\"\n"
    );
    for _ in 0..2 {
        system.type_in("llmctl wait 1\n");
        assert_eq!(
            system.output(),
            " there was\n[48 tokens, 12.4 tokens/s, first after 0.21 s (prompt of 5 tokens, 23.8 tokens/s), end of text]\n"
        );
    }
    assert_eq!(system.asked(), []);
}

#[test]
fn the_end_of_a_job_is_told_at_the_prompt_and_the_line_stays() {
    let mut system = System::terminal();
    let number = system.request("llminfer x --background");
    system.type_in("llmctl st");
    system.output();
    system.fail(number, Failure::over(ErrorCode::QuotaExceeded, 60, 12), b"");
    let output = system.output();
    assert!(
        output.starts_with(
            "\r\n\x1b[33mjob 1: error: 60 tokens may be needed, your budget has 12 left"
        ) && output.ends_with("\r\n\x1b[1mllm> \x1b[0mllmctl st\x1b[K"),
        "{output:?}"
    );
    system.type_in("atus\r");
    system.asked_for("Status");
}

#[test]
fn waiting_shows_the_text_so_far_and_the_rest_as_it_comes() {
    let mut system = System::plain();
    let number = system.request("llminfer x --background");
    system.token(number, b" one\xc3");
    system.output();
    system.type_in("llmctl wait 1\n");
    assert_eq!(system.output(), " one");
    system.token(number, b"\xa9\x1b[2J");
    assert_eq!(system.output(), "\u{e9}[2J");
    // Ctrl-C ends only the waiting.
    system.type_in("\x03");
    assert_eq!(system.output(), "\njob 1 goes on\n");
    assert_eq!(system.asked(), []);
    system.token(number, b" two\n");
    system.type_in("llmctl wait 1\n");
    assert_eq!(system.output(), " one\u{e9}[2J two\n");
    system.say(number, &finished(FinishReason::MaxTokens));
    let output = system.output();
    assert_eq!(
        output,
        "[48 tokens, 12.4 tokens/s, first after 0.21 s (prompt of 5 tokens, 23.8 tokens/s), --max-tokens reached]\n",
        "once, and no notice"
    );
    system.type_in("llmctl wait 7\n");
    assert_eq!(system.output(), "error: no job 7; see 'llmctl jobs'\n");
}

#[test]
fn jobs_are_cancelled_by_number_or_the_newest_first() {
    let mut system = System::plain();
    let first = system.request("llminfer x --background");
    let second = system.request("llminfer y --background");
    system.type_in("llmctl cancel\n");
    assert_eq!(system.asked_for("Cancel"), second);
    system.say(second, &finished(FinishReason::Cancelled));
    assert!(system.output().contains("job 2: cancelled after 48 tokens"));
    system.type_in("llmctl cancel 2\n");
    assert_eq!(system.output(), "error: job 2 has ended already\n");
    system.type_in("llmctl cancel 1\n");
    assert_eq!(system.asked_for("Cancel"), first);
    system.fail(first, Failure::of(ErrorCode::InferenceFault), b"");
    // Late events find nothing.
    system.fail(first, Failure::of(ErrorCode::NoSuchRequest), b"");
    let output = system.output();
    assert_eq!(output.matches("error").count(), 1, "{output}");
    system.type_in("llmctl cancel\n");
    assert_eq!(
        system.output(),
        "error: no job is running; see 'llmctl jobs'\n"
    );
}

#[test]
fn jobs_of_another_user_are_neither_shown_nor_told_of() {
    let mut system = System::plain();
    let number = system.request("llminfer secret --background");
    system.log_in("admin");
    system.output();
    system.token(number, b"text");
    system.say(number, &finished(FinishReason::EndOfText));
    system.type_in("llmctl jobs\nllmctl wait 1\nllmctl cancel 1\nllmctl cancel\n");
    assert_eq!(
        system.output(),
        "no jobs; see 'help jobs'\nerror: no job 1; see 'llmctl jobs'\nerror: no job 1; see 'llmctl jobs'\nerror: no job \
         is running; see 'llmctl jobs'\n"
    );
    assert_eq!(system.asked(), []);
    let number = system.request("logout");
    system.say(number, &Event::User(user("guest", 0)));
    let output = system.output();
    assert!(output.starts_with("logged out; now guest"), "{output}");
    assert!(output.ends_with("job 1: finished, 48 tokens; 'llmctl wait 1' shows its text\n"));
}

#[test]
fn as_many_jobs_run_as_there_can_be_requests_and_a_script_of_them_is_not_lost() {
    let mut system = System::plain();
    let script: String = (0..33)
        .map(|i| format!("llminfer x{i} --background\n"))
        .collect();
    system.type_in(script);
    let mut asked = Vec::new();
    // More than a ring holds: the shell continues when audit has read.
    for _ in 0..4 {
        asked.extend(system.asked());
    }
    assert_eq!(asked.len(), 32);
    assert_eq!(asked[31].1, "128 \"\" [(Prompt, \"x31\")]");
    assert!(
        system
            .output()
            .ends_with("error: 32 requests are under way, which is the limit; wait for one, or cancel one (see 'llmctl jobs')\n")
    );
    system.say(asked[4].0, &finished(FinishReason::EndOfText));
    system.request("llminfer y --background");
    assert!(system.output().contains("job 33: under way"));
    system.type_in("llmctl jobs\n");
    assert_eq!(system.output().lines().count(), 32);
}

#[test]
fn text_that_exceeds_the_room_is_dropped_with_a_note() {
    let mut system = System::plain();
    let number = system.request("llminfer x --background");
    for _ in 0..20 {
        system.token(number, &[b'y'; 256]);
    }
    system.type_in("llmctl wait 1\n");
    let output = system.output();
    assert!(
        output.ends_with("y\n(1024 more bytes were dropped: a job in the background keeps 4096)\n"),
        "{}",
        &output[output.len() - 200..]
    );
    system.token(number, b" seen");
    assert_eq!(system.output(), " seen");
}

#[test]
fn a_session_goes_with_the_request() {
    let mut system = System::plain();
    system.type_in("llminfer \"And then?\" --session tale --max-tokens 9\n");
    let number = system.asked_for("9 \"tale\" [(Prompt, \"And then?\")]");
    system.fail(number, Failure::over(ErrorCode::SessionEvicted, 3, 0), b"");
    assert_eq!(
        system.output(),
        "error: the session was evicted to make room for others: its conversation of 3 turns is gone; the same command \
         now starts it anew\n"
    );
}

#[test]
fn a_job_is_cancelled_also_when_audit_has_not_read() {
    let mut system = System::plain();
    let number = system.request("llminfer x --background");
    // Each uses two slots, one for itself and one for its cancel.
    for _ in 0..7 {
        system.type_in("llmctl status\n\x03");
    }
    system.type_in("llmctl status\n");
    system.output();
    // The ring has one slot left, which this line may use.
    system.type_in("\x03");
    system.type_in("llmctl cancel 1\n");
    assert_eq!(system.asked().len(), 16);
    assert_eq!(system.output(), "^C\njob 1: asked to stop\n");
    assert_eq!(system.asked(), [(number, "Cancel".to_string())]);
}
