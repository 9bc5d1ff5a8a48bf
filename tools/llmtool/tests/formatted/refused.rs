//! Invalid formats, and clients or users that could ask for nothing.

use super::*;

#[test]
fn a_client_that_can_ask_for_nothing_is_warned_of() {
    let path = bound("formats-nothing.toml", |text| {
        let text = with_line(&text, "[roles.reader]", "formats = ['b']");
        with_line(
            &text,
            "[clients.shell]",
            "formats = ['a']\nmust-use-format = true",
        )
    });
    let warned = warnings(&path);
    assert!(
        warned.contains("user 'guest' can ask for nothing at client 'shell'"),
        "{warned}"
    );
}

/// The warnings when a policy is compiled.
pub(super) fn warnings(path: &str) -> String {
    let assert = llmtool(&["policy", path]).assert().success();
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

#[test]
fn users_who_can_log_in_at_a_client_and_then_ask_for_nothing_are_warned_of() {
    let path = bound("formats-login.toml", |text| {
        let text = with_line(
            &text,
            "[roles.owner]",
            "formats = ['b']\nmust-use-format = true",
        );
        with_line(&text, "[clients.shell]", "formats = ['a']")
    });
    let warned = warnings(&path);
    let nothing = |user: &str, client: &str, role: &str| {
        format!(
            "user '{user}' can ask for nothing at client '{client}': a format must be used, and role '{role}' and the client \
             allow none in common"
        )
    };
    assert!(
        warned.contains(&nothing("admin", "shell", "owner")),
        "{warned}"
    );
    assert!(!warned.contains("user 'guest'"), "{warned}");
    // Nobody can log in, so it does not matter.
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace("login = true", "login = false");
    fs::write(&path, text).unwrap();
    assert!(!warnings(&path).contains("can ask for nothing"));
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
        ("[formats.a]\nregex = '[a&&b]'", 2, "it matches no text"),
        (
            "[formats.a]\nregex = '.{5000}'",
            2,
            "it needs 40001 states, at most 4096 are allowed",
        ),
        // 2³¹ states, no two of them equivalent.
        (
            "[formats.a]\nregex = '[ab]*a[ab]{30}'",
            2,
            "the automaton is too large even to be minimized",
        ),
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
            "choice 2 (\"x\") is given twice",
        ),
        (
            "[formats.a]\njson-schema = 'missing.json'",
            2,
            "cannot read",
        ),
        (
            "[formats.a]\njson-schema = 'policy.toml'",
            2,
            "the schema is not JSON",
        ),
        (
            "[formats.a]\nregex = '(?-u:\\xFF)'",
            2,
            "the regular expression is wrong: pattern can match invalid UTF-8 (at byte 5)",
        ),
        (
            "[formats.a]\nregex = '\\bx'",
            2,
            "the regular expression cannot be an automaton",
        ),
        (
            "[formats.a]\nregex = '(a)\\1'",
            2,
            "the regular expression is wrong: backreferences are not supported (at byte 3)",
        ),
        (
            "[formats.choices]\nchoices = ['x']",
            1,
            "no format can be called 'choices'",
        ),
        (
            "[formats.\"a b\"]\nchoices = ['x']",
            1,
            "'a b' is not a valid name for a format",
        ),
        (
            "[formats.a]\nchoices = ['x']\nother = 1",
            3,
            "unknown field `other`",
        ),
    ] {
        let policy = policy_with("formats-wrong.toml", format);
        // A file that exists but is not a schema.
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
fn a_schema_that_cannot_be_kept_stops_the_build_with_its_line_in_the_policy_and_its_place_in_the_file()
 {
    let schema = fresh("formats-wrong.schema.json");
    for (text, reason) in [
        (
            "{\n  \"type\": }",
            "the schema is not JSON: expected value at line 2",
        ),
        (
            "{\"type\": \"text\"}",
            "the schema at #/type: \"type\" has to be",
        ),
        (
            "{\"type\": \"string\", \"pattern\": \"a\"}",
            "the schema at #/pattern: \"pattern\" is not supported here",
        ),
        ("{\"enum\": []}", "the schema at #: no value is allowed"),
        ("{}", "the schema at #: any value is allowed"),
        ("{\"type\": \"string\", \"maxLength\": 600}", "it needs "),
        ("{\"type\": \"string\", \"maxLength\": 60000}", "too large"),
    ] {
        fs::write(&schema, text).unwrap();
        let path = bound("formats-wrong-schema.toml", |text| {
            format!("{text}[formats.c]\njson-schema = '{schema}'\n")
        });
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        let message = failure(&["policy", &path], 1);
        for part in [
            &format!("formats-wrong-schema.toml:{lines}: "),
            "formats-wrong.schema.json: ",
            reason,
        ] {
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
