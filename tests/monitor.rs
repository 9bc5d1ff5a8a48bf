//! The reference monitor end to end, on the runtime given by the environment: users, budgets, sessions, signatures, the
//! log, recovery.

use sel4_llm_tests::{Session, Terminal, llmtool, session, session_with_faults};

fn has(session: &Session, parts: &[&str]) {
    for part in parts {
        assert!(session.output.contains(part), "{part}: {}", session.output);
    }
}

/// The usage reported by each `llmctl budget`.
fn used(session: &Session) -> Vec<u64> {
    let lines = session.output.lines();
    lines
        .filter_map(|line| {
            let (_, rest) = line.split_once(" tokens left (")?;
            rest.split_once(" used")?.0.parse().ok()
        })
        .collect()
}

#[test]
fn users_log_in_with_their_passphrase_and_may_what_their_role_may() {
    let session = session(
        "whoami\nllmctl audit\nlogin admin\nwrong\nlogin admin\nsel4\nlogin eve\n\nllmctl audit --last 2\nwhoami\n\
         logout\nwhoami\n",
    );
    has(
        &session,
        &[
            "guest (reader; may infer)",
            "error: you need the permission 'log', which the role of 'guest' does not have",
            "error: user or passphrase is wrong; try again in 1 s",
            "error: a passphrase was tried here a moment ago",
        ],
    );
    assert!(
        !session.output.contains("admin (owner"),
        "{}",
        session.output
    );
    assert!(!session.output.contains("wrong by"), "{}", session.output);
    assert_eq!(session.status, Some(0));
}

#[test]
fn a_login_is_written_down_and_ends_with_a_logout() {
    let session = session("login admin\nsel4\nwhoami\nllmctl audit\nlogout\nwhoami\n");
    has(
        &session,
        &[
            "logged in as admin (owner; may infer, load, fine-tune, budget, log, reset, halt)",
            "login by admin",
            "guest (reader; may infer)",
        ],
    );
    assert!(!session.output.contains("sel4\n"), "{}", session.output);
}

#[test]
fn each_refusal_has_its_message_and_costs_nothing() {
    let long = "x ".repeat(4000);
    let cases = [
        ("llminfer \"\"", "the prompt is empty"),
        (
            "llminfer x --max-tokens 0",
            "--max-tokens 0 is out of range",
        ),
        ("llminfer x --max-tokens 513", "1 to 512 are allowed"),
        (
            "llminfer x --temperature 11",
            "--temperature 11 is out of range",
        ),
        (
            "llminfer x --top-k 1000001",
            "--top-k 1000001 is out of range",
        ),
        ("llminfer x --top-p 1.1", "--top-p 1.1 is out of range"),
        ("llminfer x --min-p 1.1", "--min-p 1.1 is out of range"),
        (
            "llminfer x --repeat-penalty 0.9",
            "--repeat-penalty 0.9 is out of range",
        ),
        (
            &format!("llminfer \"{long}\""),
            "the model's context has room for 511",
        ),
        ("llmctl load nothing", "no model 'nothing' in the store"),
        (
            "llmctl load unsigned",
            "the file 'unsigned' has no signature",
        ),
        (
            "llmctl load wrong-key",
            "the signature of the file 'wrong-key' is by no key",
        ),
        (
            "llmctl load altered",
            "the signature of the file 'altered' is by no key",
        ),
        ("llmctl load truncated", "is damaged"),
        ("llmctl load large", "the arena has 8388608"),
        ("llmctl budget eve", "the policy has no user 'eve'"),
        (
            "llmctl budget --tokens 2000000000000 --period 1h",
            "--tokens 2000000000000 is out of range",
        ),
        ("llmctl budget --tokens 5 --period 400d", "is out of range"),
        ("llmctl close nothing", "you have no session 'nothing'"),
        ("llmctl audit --user eve", "the policy has no user 'eve'"),
        ("login eve\nx", "user or passphrase is wrong"),
    ];
    let mut script = String::from("login tester\nllmctl budget\n");
    for (line, _) in &cases {
        script += &format!("{line}\nllmctl budget\n");
    }
    script += "llminfer x --max-tokens 3\nllmctl budget\n";
    let session = session_with_faults(script);
    let count = cases.len();
    for (line, expected) in cases {
        assert!(
            session.output.contains(expected),
            "{line:.60}: {}",
            session.output
        );
    }
    let used = used(&session);
    assert_eq!(used.len(), count + 2, "{}", session.output);
    let (last, before) = used.split_last().expect("budgets");
    assert!(before.iter().all(|used| *used == 0), "{used:?}");
    assert!((4..=6).contains(last), "{used:?}");
}

#[test]
fn who_has_spent_the_budget_is_refused_until_it_is_changed() {
    let session = session_with_faults(
        "login tester\nllmctl budget guest --tokens 20 --period 1h\nlogout\nllminfer once --max-tokens 5\n\
         llminfer once --max-tokens 15\nllmctl budget\nlogin tester\nllmctl budget guest --tokens 500\nlogout\n\
         llminfer once --max-tokens 15\nllmctl budget\n",
    );
    has(
        &session,
        &[
            "guest: 20 of 20 tokens left",
            "error: 21 tokens may be needed, ",
            "left in this period; see 'llmctl budget'",
            "of 500 tokens left",
        ],
    );
    assert_eq!(session.generations().len(), 2, "{}", session.output);
}

#[test]
fn a_session_goes_on_where_it_was_and_is_closed_when_its_user_says_so() {
    let begin = "llminfer \"Once upon a time\" --max-tokens 12 --temperature 0 --session tale\n";
    let go_on = "llminfer \" The king\" --max-tokens 12 --temperature 0 --session tale\n";
    let session = session_with_faults(format!(
        "login tester\n{begin}{go_on}llmctl sessions\nllmctl close tale\n{begin}{go_on}llmctl load small\n{go_on}{begin}"
    ));
    has(
        &session,
        &[
            "tale  tester  2 turns",
            "error: the session ended when inference was restarted or loaded another model, or when a turn failed: its \
             conversation of 2 turns",
        ],
    );
    let texts = session.generations();
    let [first, second, first_again, second_again, ..] = texts[..] else {
        panic!("{}", session.output)
    };
    // After the output of boot and login.
    let first = first.lines().last().expect("a text");
    assert!(first_again.ends_with(first), "{}", session.output);
    assert_eq!(second, second_again, "{}", session.output);
}

#[test]
fn the_oldest_idle_session_makes_room_and_its_user_is_told() {
    // A guest may have four sessions.
    let mut script = String::new();
    for name in ["one", "two", "three", "four", "five"] {
        script += &format!("llminfer x --max-tokens 2 --session {name}\n");
    }
    script += "llminfer y --max-tokens 2 --session one\nllminfer y --max-tokens 2 --session one\nllmctl sessions\n";
    let session = session(script);
    has(
        &session,
        &[
            "error: the session was evicted to make room for others: its conversation of 1 turn is gone",
        ],
    );
    assert_eq!(session.generations().len(), 6, "{}", session.output);
}

#[test]
fn jobs_run_in_the_background_and_are_waited_for_and_cancelled() {
    let session = session_with_faults(
        "login tester\nllminfer \"Once upon a time\" --max-tokens 40 --temperature 0 --background\n\
         llminfer \"One day\" --max-tokens 400 --temperature 0 --background\nllmctl jobs\nllmctl cancel 2\n\
         llmctl wait 1\nllmctl wait 2\nllminfer \"Once upon a time\" --max-tokens 40 --temperature 0\n",
    );
    let output = &session.output;
    has(&session, &["[40 tokens, ", "cancelled]"]);
    let texts = session.generations();
    let last = texts.last().expect("a text");
    assert!(last.len() > 20, "{output}");
    assert!(output.matches(last.trim_start()).count() >= 2, "{output}");
}

#[test]
fn the_log_is_exported_verified_and_any_change_is_found() {
    let session = session_with_faults(
        "login tester\nllminfer \"Once upon a time\" --max-tokens 20 --temperature 0.8 --seed 7 --session tale\n\
         llminfer \" Then\" --max-tokens 20 --session tale\nllminfer \"One day\" --max-tokens 20 --temperature 0\n\
         llmctl load nothing\nllmctl audit verify\nllmctl audit --json\n",
    );
    has(&session, &["are unbroken; last hash"]);
    let export = session.output.as_str();
    let (output, status) = llmtool(&["audit", "verify"], export);
    assert_eq!(status, Some(0), "{output}");
    let changed = export.replacen("\"event\":\"refuse\"", "\"event\":\"cancel\"", 1);
    assert_ne!(changed, export);
    assert_ne!(llmtool(&["audit", "verify"], &changed).1, Some(0));
    let missing: String = export
        .split_inclusive('\n')
        .filter(|line| !line.contains("\"event\":\"refuse\""))
        .collect();
    assert_ne!(llmtool(&["audit", "verify"], &missing).1, Some(0));
}

#[test]
fn counters_are_told_in_words_and_as_json() {
    let session = session("llminfer x --max-tokens 3\nllmctl audit\nllmstats\nllmstats --json\n");
    has(
        &session,
        &[
            "1 admitted, 1 refused, 1 finished",
            "egress ",
            "budget       guest: ",
        ],
    );
    let json = session
        .output
        .lines()
        .find(|line| line.starts_with('{'))
        .expect("a line of JSON");
    assert!(
        json.ends_with('}') && json.contains("\"admitted\":1"),
        "{json}"
    );
}

#[test]
fn audit_stops_after_too_many_restarts_until_an_admin_resets_it() {
    // The shipped policy allows five restarts per minute; the test build's inference dies on request.
    let mut script = String::new();
    for _ in 0..6 {
        script += "llminfer \"!fault-write\"\n";
    }
    script += "llminfer x --max-tokens 2\nlogin admin\nsel4\nllmctl reset\nllminfer x --max-tokens 2\nllmstats\n";
    let session = sel4_llm_tests::session_with_faults_and_the_shipped_policy(script);
    has(
        &session,
        &[
            "error: inference was restarted 5 times within 1 min, so audit has stopped trying",
            "[2 tokens, ",
            "6 faults, 6 restarts",
        ],
    );
    assert_eq!(session.status, Some(0));
}

#[test]
fn a_person_has_completion_history_and_a_passphrase_that_is_not_shown() {
    let mut terminal = Terminal::start();
    terminal.type_in("llmct\tmod\t\r");
    assert!(terminal.expect("models; * is loaded").contains("* default"));
    terminal.expect("llm> ");
    // Up recalls the line before; Ctrl-A and Ctrl-K empty it.
    terminal.type_in("\x1b[A");
    terminal.expect("llmctl models");
    terminal.type_in("\x01\x0bwhoami\r");
    terminal.expect("guest (reader; may infer)");
    terminal.expect("llm> ");
    terminal.type_in("login admin\r");
    terminal.expect("passphrase: ");
    terminal.type_in("sel4\r");
    let shown = terminal.expect("logged in as admin");
    assert!(!shown.contains("sel4"), "{shown}");
    terminal.expect("llm> ");
    // The history contains the login, but not the passphrase.
    terminal.type_in("\x1b[A");
    terminal.expect("login admin");
    terminal.type_in("\x15llmctl load ti\t\r");
    terminal.expect("loaded tiny: ");
    terminal.expect("llm> ");
    assert_eq!(terminal.leave(), 0);
}
