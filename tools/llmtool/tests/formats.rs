//! Formats of answers: in a policy, and on `generate`.

use std::fs;
use std::path::Path;

use formats::{Automaton, Formats, REGION_BYTES};
use tool::{TINY, failure, fresh, llmtool, output};

#[expect(dead_code, reason = "shared with tests that need more of it")]
mod tool;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

const EVENT: &str = r#"{"type": "object", "properties": {"class": {"enum": ["ignore", "note"]},
    "level": {"type": "integer", "minimum": 0, "maximum": 3}}, "required": ["class", "level"]}"#;

/// The shipped policy with more in it, in a folder with a schema.
fn policy_with(name: &str, more: &str) -> String {
    let path = fresh(name);
    let schema = Path::new(&path).with_file_name("event.schema.json");
    fs::write(schema, EVENT).unwrap();
    let shipped = fs::read_to_string(format!("{ROOT}/policy.toml")).unwrap();
    fs::write(&path, format!("{shipped}\n{more}\n")).unwrap();
    path
}

#[test]
fn a_policys_formats_become_the_image_that_is_read_and_words_that_say_what_leaks() {
    let policy = policy_with(
        "formats-policy.toml",
        "[formats.triage]\nchoices = [\"ignore\", \"note\", \"notify\", \"ask\"]\n\
         [formats.date]\nregex = '\\d{4}-[01]\\d'\n\
         [formats.event]\njson-schema = \"event.schema.json\"",
    );
    let image = fresh("formats.bin");
    let words = output(&["policy", &policy, "--formats", &image]);
    let bytes = fs::read(&image).unwrap();
    assert_eq!(bytes.len(), REGION_BYTES);
    let formats = Formats::read(&bytes).unwrap();
    let names: Vec<&str> = formats.iter().map(|one| one.name).collect();
    assert_eq!(names, ["triage", "date", "event"]);
    let accepts = |name: &str, text: &str| {
        let dfa = formats.find(name).unwrap().dfa;
        let state = dfa.walk(dfa.start(), text.as_bytes());
        state.is_some_and(|state| dfa.accepts(state))
    };
    assert!(accepts("triage", "note") && accepts("triage", "notify") && !accepts("triage", "not"));
    assert!(accepts("event", r#"{"class":"note","level":3}"#));
    assert!(!accepts("event", r#"{"class":"note","level":4}"#));
    assert!(words.contains("  triage       choices: "), "{words}");
    // Four choices, and eight values of the schema.
    let leaks = |bits: &str| format!("(reader, owner) leaks at most {bits} bits by what it says");
    assert!(
        words.contains(&leaks("2.0")) && words.contains(&leaks("3.0")),
        "{words}"
    );
}

#[test]
fn what_is_no_format_stops_the_build_with_line_and_reason() {
    let before = fs::read_to_string(format!("{ROOT}/policy.toml"))
        .unwrap()
        .lines()
        .count();
    for (format, line, reason) in [
        (
            "[formats.a]",
            1,
            "format 'a' needs one of choices, regex and json-schema",
        ),
        (
            "[formats.a]\nregex = 'x'\nchoices = ['y']",
            1,
            "format 'a' needs one of",
        ),
        (
            "[formats.a]\nregex = '('",
            2,
            "the regular expression is wrong: unclosed group (at byte 0)",
        ),
        ("[formats.a]\nregex = '[a&&b]'", 2, "no text belongs to it"),
        ("[formats.a]\nregex = '.{5000}'", 2, "too large"),
        (
            "[formats.a]\nregex = 'x{4096}'",
            2,
            "it needs 4097 states, at most 4096 are allowed",
        ),
        ("[formats.a]\nchoices = []", 2, "there are no choices"),
        ("[formats.a]\nchoices = ['x', '']", 2, "choice 2 is empty"),
        (
            "[formats.a]\nchoices = ['x', 'x']",
            2,
            "choice 2 (\"x\") is there twice",
        ),
        (
            "[formats.a]\njson-schema = 'missing.json'",
            2,
            "cannot read",
        ),
        (
            "[formats.a]\njson-schema = 'policy.toml'",
            2,
            "the schema is no JSON",
        ),
        (
            "[formats.\"a b\"]\nchoices = ['x']",
            1,
            "'a b' is no name for a format",
        ),
        (
            "[formats.a]\nchoices = ['x']\nother = 1",
            3,
            "unknown field `other`",
        ),
    ] {
        let policy = policy_with("formats-wrong.toml", format);
        // A file that is there and no schema.
        fs::copy(&policy, Path::new(&policy).with_file_name("policy.toml")).unwrap();
        let message = failure(&["policy", &policy], 1);
        let place = format!("formats-wrong.toml:{}:", before + 1 + line);
        assert!(
            message.contains(&place) && message.contains(reason),
            "{format}: {message}"
        );
    }
}

#[test]
fn generate_answers_in_the_format_that_is_asked_for() {
    let schema = fresh("formats-event.json");
    fs::write(&schema, EVENT).unwrap();
    let answer = |arguments: &[&str]| {
        let all = [
            &["generate", "-m", TINY, "-p", "Tell me:", "--temp", "1.5"],
            arguments,
        ]
        .concat();
        output(&all).trim_end_matches('\n').to_owned()
    };
    let choice = answer(&["--choices", "yes,no,unsure"]);
    assert!(
        ["yes", "no", "unsure"].contains(&choice.as_str()),
        "{choice}"
    );
    let date = answer(&["--format-regex", "[0-9]{4}-[0-9]{2}"]);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (year, month) = date.split_once('-').unwrap();
    assert!(
        (year.len(), month.len()) == (4, 2) && digits(year) && digits(month),
        "{date}"
    );
    let event: serde_json::Value =
        serde_json::from_str(&answer(&["--json-schema", &schema])).unwrap();
    assert!(event["level"].as_u64().unwrap() <= 3, "{event}");
    let common = ["generate", "-m", TINY, "-p", "x"];
    let short = [&common[..], &["-n", "1", "--format-regex", "[0-9]{9}"]].concat();
    assert!(failure(&short, 1).contains("can be generated: allow more"));
    let both = [&common[..], &["--choices", "a,b", "--format-regex", "x"]].concat();
    llmtool(&both).assert().code(2);
    let wrong = [&common[..], &["--format-regex", "x("]].concat();
    assert!(failure(&wrong, 1).contains("unclosed group"));
}
