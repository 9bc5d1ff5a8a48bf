//! Formats of answers: in a policy, and in `generate`.

use std::fs;
use std::path::Path;

use formats::{Automaton, Formats, REGION_BYTES};
use llm_core::hash::sha256;
use protocol::policy::{FormatRule, Policy};
use refused::warnings;
use tool::{TINY, failure, fresh, llmtool, output};

#[path = "formatted/refused.rs"]
mod refused;
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod tool;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

const EVENT: &str = r#"{"type": "object", "properties": {"class": {"enum": ["ignore", "note"]},
    "level": {"type": "integer", "minimum": 0, "maximum": 3}}, "required": ["class", "level"]}"#;

/// The shipped policy with additions and a schema, in a separate folder, because tests run in parallel.
fn policy_with(name: &str, more: &str) -> String {
    let folder = fresh_folder(&format!("{name}.d"));
    fs::write(format!("{folder}/event.schema.json"), EVENT).unwrap();
    let path = format!("{folder}/{name}");
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
    let image = fresh("formats-policy.bin");
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
    // Four choices and eight values of the schema. Prefixes are those of `ignore` (6), `ask` (3) and `notify` (6,
    // shared by `note` except for its last byte), and the empty one: 21 with the words.
    for line in [
        "  triage       choices: ",
        "               512 tokens (reader, owner): 2.0 bits, or 4.4 if it may be broken off",
        "               512 tokens (reader, owner): 3.0 bits, or ",
        "  choices      of a request, at most 32, 512 tokens (reader, owner): 5.0 bits, or 9.0 if it may be broken off",
        "  no format    512 tokens (reader, owner): 1,048,576 bits",
        "a hostile one leaks at most 59,113,472 bits an hour",
    ] {
        assert!(words.contains(line), "{line}: {words}");
    }
    // Nobody is restricted to a format, and no warning says so.
    assert!(!words.contains("answers in") && !words.contains("user-defined"));
}

/// The path of the shipped policy with two formats, changed.
fn bound(name: &str, change: impl FnOnce(String) -> String) -> String {
    let formats = "[formats.a]\nchoices = ['x']\n[formats.b]\nregex = '[0-9]{4}'";
    let path = policy_with(name, formats);
    let text = change(fs::read_to_string(&path).unwrap());
    fs::write(&path, text).unwrap();
    path
}

/// The policy with an additional line in a table.
fn with_line(text: &str, table: &str, line: &str) -> String {
    text.replacen(&format!("\n{table}\n"), &format!("\n{table}\n{line}\n"), 1)
}

#[test]
fn roles_and_clients_are_bound_to_formats_that_the_policy_pins_by_their_hash() {
    let path = bound("formats-bound.toml", |text| {
        let text = with_line(&text, "[roles.reader]", "formats = ['b', 'choices']");
        let text = with_line(
            &text,
            "[clients.shell]",
            "formats = ['a', 'b']\nmust-use-format = true",
        );
        format!("{text}\n[tokens]\nuser-defined = true\n")
    });
    let folder = fresh_folder("formats-bound");
    let policy_file = format!("{folder}/policy.bin");
    let system = format!("{ROOT}/system.xml");
    output(&["policy", &path, "--system", &system, "-o", &policy_file]);
    let policy = Policy::read(&fs::read(&policy_file).unwrap()).unwrap();
    let image = fs::read(format!("{folder}/formats.bin")).unwrap();
    assert_eq!(policy.format_count, 2);
    // The file fills the region; the policy pins only the formats.
    assert_eq!(image.len(), formats::REGION_BYTES);
    let (image, padding) = image.split_at(policy.formats_bytes as usize);
    assert!(padding.iter().all(|byte| *byte == 0));
    assert_eq!(policy.formats_sha256, sha256(image));
    assert_eq!(policy.user_defined, 1);
    let (b, a_and_b) = (FormatRule::NONE.with(1), FormatRule::NONE.with(0).with(1));
    // Roles are in the file's order: reader, owner.
    assert_eq!(policy.roles[0].formats, b.with_choices());
    assert_eq!(policy.roles[1].formats, FormatRule::ANY);
    assert_eq!(policy.format_rule(0, 0), b.with_must());
    assert_eq!(policy.format_rule(1, 0), a_and_b.with_must());

    let words = output(&["policy", &path]);
    for line in [
        "               answers in no format, or in b, choices of the request",
        "               answers only in a format: a, b",
        "               512 tokens (owner): 0.0 bits, or 1.6 if it may be broken off",
        // The client forbids choices and free text, even if the roles allow them.
        "               512 tokens (reader, owner): 13.3 bits, or ",
        "what users write may become user-defined tokens",
    ] {
        assert!(words.contains(line), "{line}: {words}");
    }
    for line in ["  no format ", "  choices  "] {
        assert!(!words.contains(line), "{line}: {words}");
    }
}

/// An empty folder of this name.
fn fresh_folder(name: &str) -> String {
    let folder = fresh(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    folder
}

#[test]
fn a_policy_without_formats_pins_none() {
    let folder = fresh_folder("formats-none");
    let (policy, system) = (format!("{ROOT}/policy.toml"), format!("{ROOT}/system.xml"));
    let file = format!("{folder}/policy.bin");
    output(&["policy", &policy, "--system", &system, "-o", &file]);
    let policy = Policy::read(&fs::read(&file).unwrap()).unwrap();
    let numbers = [
        policy.format_count,
        policy.formats_bytes,
        policy.user_defined,
    ];
    assert_eq!((numbers, policy.formats_sha256), ([0; 3], [0; 32]));
    let image = fs::read(format!("{folder}/formats.bin")).unwrap();
    assert!(Formats::read(&image).unwrap().is_empty());
}

#[test]
fn a_rule_that_names_what_is_not_there_stops_the_build_with_line_and_reason() {
    for (table, line, reason) in [
        (
            "[roles.reader]",
            "formats = ['a', 'c']",
            "there is no format 'c'; there are a, b, choices",
        ),
        (
            "[clients.shell]",
            "formats = ['A']",
            "there is no format 'A'; there are a, b, choices",
        ),
        (
            "[roles.owner]",
            "formats = ['a', 'b', 'a']",
            "'a' is given twice",
        ),
        (
            "[clients.shell]",
            "formats = ['choices', 'choices']",
            "'choices' is given twice",
        ),
        ("[roles.reader]", "formats = 'a'", "invalid type"),
        ("[roles.reader]", "must-use-format = 1", "invalid type"),
        (
            "[roles.reader]",
            "must-use-format = true\nformats = []",
            "must-use-format is true, but `formats` has none, so nothing could be asked",
        ),
        (
            "[clients.shell]",
            "must-use-formats = true",
            "unknown field `must-use-formats`",
        ),
        ("[login]", "user-defined = true", "unknown field"),
    ] {
        let mut at = 0;
        let path = bound("formats-rules.toml", |text| {
            at = text.lines().position(|one| one == table).unwrap();
            with_line(&text, table, line)
        });
        let message = failure(&["policy", &path], 1);
        // The line after the table's own; lines count from 1.
        let place = format!("formats-rules.toml:{}:", at + 2);
        assert!(
            message.contains(&place) && message.contains(reason),
            "{line}: {message}"
        );
    }
}

#[test]
fn what_leaks_is_said_of_a_role_where_its_users_can_be() {
    let path = bound("formats-narrow.toml", |text| {
        let text = with_line(
            &text,
            "[clients.shell]",
            "formats = ['a']\nmust-use-format = true",
        );
        format!("{text}\n[clients.door]\nuser = 'guest'\nformats = ['b']\n")
    });
    let words = output(&["policy", &path]);
    for line in [
        "               512 tokens (reader at shell, owner): 0.0 bits",
        "               512 tokens (reader at door): 13.3 bits",
        "  no format    512 tokens (reader at door): 1,048,576 bits",
    ] {
        assert!(words.contains(line), "{line}: {words}");
    }
    assert!(!words.contains("  choices  "), "{words}");
}

#[test]
fn a_format_that_must_be_used_where_users_load_or_train_is_warned_of() {
    let refused = |by: &str| {
        format!(
            "user 'admin' may load and fine-tune by role 'owner', but {by} has must-use-format: such requests have no format and \
             are refused"
        )
    };
    for (table, by) in [
        ("[roles.owner]", "the role"),
        ("[clients.shell]", "client 'shell'"),
    ] {
        let path = bound("formats-load.toml", |text| {
            with_line(&text, table, "must-use-format = true")
        });
        let warned = warnings(&path);
        assert_eq!(warned.matches(&refused(by)).count(), 1, "{warned}");
        assert!(!warned.contains("user 'guest'"), "{warned}");
    }
    let path = bound("formats-load.toml", |text| {
        with_line(&text, "[roles.reader]", "must-use-format = true")
    });
    assert!(!warnings(&path).contains("has must-use-format"));
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
