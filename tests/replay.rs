//! The system computes the same as the host, on the runtime given by the environment: with 32 sessions at once, and
//! from only the audit log.

use sel4_llm_tests::console::{mark, text_and_closing};
use sel4_llm_tests::{llmtool, llmtool_generate_with, session, session_with_faults};

const PROMPTS: [&str; 4] = [
    "Once upon a time",
    "\"Who are you?\" asked the fox.",
    "In the middle of the forest",
    "Ein Märchen: 猫",
];

fn quoted(prompt: &str) -> String {
    format!("\"{}\"", prompt.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Options of the `i`th of many requests: greedy and seeded, with several temperatures.
fn varied(i: usize, tokens: usize) -> Vec<String> {
    let temperature = ["0", "0.8", "1.5"][i % 3];
    ["--max-tokens", "--temperature", "--seed"]
        .into_iter()
        .zip([
            tokens.to_string(),
            temperature.to_owned(),
            (1000 + i).to_string(),
        ])
        .flat_map(|(option, value)| [option.to_owned(), value])
        .collect()
}

/// A prompt that is unique to `i`.
fn distinct(i: usize) -> String {
    format!("{} {i}", PROMPTS[i % PROMPTS.len()])
}

/// According to the log, the maximum number of requests that were in flight at the same time.
fn most_at_once(log: &str) -> i32 {
    let (mut now, mut most) = (0, 0);
    for line in log.lines() {
        now += i32::from(line.contains("\"event\":\"admit\""));
        now -= i32::from(line.contains("\"event\":\"finish\""));
        most = most.max(now);
    }
    most
}

#[test]
fn thirty_two_sessions_at_once_give_each_the_text_that_it_gives_alone() {
    const SESSIONS: usize = 32;
    const TOKENS: usize = 48;
    let mut script = "login tester\n".to_owned();
    for i in 0..SESSIONS {
        let (prompt, options) = (quoted(&distinct(i)), varied(i, TOKENS).join(" "));
        script += &format!("llminfer {prompt} {options} --background\n");
        // Inference answers once it has read its ring, which holds fewer than 32 messages.
        if i % 8 == 7 {
            script += "llmctl status\n";
        }
    }
    script += &mark(0);
    for i in 1..=SESSIONS {
        script += &format!("llmctl wait {i}\n{}", mark(i));
    }
    script += &format!("llmctl audit --json\n{}", mark(SESSIONS + 1));

    // Whether all run at once depends on the machine's scheduler; their output does not.
    let mut most = 0;
    for _ in 0..5 {
        let session = session_with_faults(&script);
        for i in 0..SESSIONS {
            let options = varied(i, TOKENS);
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let alone = llmtool_generate_with("models/tiny-f32.gguf", &distinct(i), &options);
            let section = session.before(i + 1);
            let (text, closing) = text_and_closing(&section).expect("a closing line");
            assert!(closing.starts_with('['), "session {i}: {section}");
            assert_eq!(text.trim_end_matches('\n'), alone, "session {i}");
        }
        most = most_at_once(&session.before(SESSIONS + 1));
        if most == SESSIONS as i32 {
            return;
        }
    }
    panic!("at most {most} sessions ran at once");
}

/// Lets `llmtool` verify an export and replay it, and expects all of `requests` to be reproduced.
fn replay(export: &str, arguments: &[&str], requests: usize) {
    let (said, status) = llmtool(&["audit", "verify"], export);
    assert_eq!(status, Some(0), "{said}\n{export}");
    let (said, status) = llmtool(&[&["replay"], arguments].concat(), export);
    let all = format!("{requests} requests reproduced, 0 differ, 0 not replayed");
    assert!(status == Some(0) && said.contains(&all), "{said}");
}

#[test]
fn llmtool_replays_a_log_whose_prompts_were_kept_as_hashes() {
    let turns = [
        ("Once upon a time there was a king", "--session a --seed 7"),
        ("The wind blew", "--session b --temperature 0"),
        ("and then", "--session a --temperature 1.5 --top-k 0"),
        ("Ein Märchen: 猫", "--seed 18446744073709551615"),
        ("Long ago,", "--background --repeat-penalty 1.3"),
        (" but", "--session b --seed 3 --min-p 0 --top-p 1"),
        ("so", "--session a"),
    ];
    let mut script = String::new();
    for (prompt, options) in turns {
        script += &format!("llminfer {} {options} --max-tokens 12\n", quoted(prompt));
    }
    script += "llmctl wait 1\nlogin admin\nsel4\n";
    script += &format!("{}llmctl audit --json\n{}", mark(0), mark(1));
    let session = session(script);
    let texts = concat!(env!("CARGO_TARGET_TMPDIR"), "/prompts");
    let prompts = turns.map(|(prompt, _)| prompt);
    std::fs::write(texts, prompts.join("\n")).expect("a file for the prompts");
    let arguments = ["--models", "models", "--prompts", texts];
    replay(&session.before(1), &arguments, turns.len());
}

#[test]
fn llmtool_replays_a_log_with_faults_cancellations_and_two_models() {
    let infer = |prompt: &str, options: &str| format!("llminfer \"{prompt}\" {options}\n");
    let script = [
        "login tester\n".to_owned(),
        infer("The wind blew", "--session s --seed 5 --max-tokens 9"),
        infer("and", "--session s --max-tokens 9 --temperature 0"),
        infer("!fault-write", ""),
        // The session ended with the fault, and reports that once.
        infer("on", "--session s --max-tokens 4"),
        infer("on", "--session s --max-tokens 4"),
        infer("One day", "--max-tokens 512 --background"),
        "llmctl cancel 1\nllmctl wait 1\nllmctl load small\n".to_owned(),
        infer("One day", "--session t --max-tokens 5"),
        infer("or night", "--session t --max-tokens 5"),
        format!("{}llmctl audit --json\n{}", mark(0), mark(1)),
    ]
    .concat();
    let session = session_with_faults(script);
    // Five were answered, and the cancelled one has output, too.
    replay(&session.before(1), &["--models", "build/store-test"], 6);
}
