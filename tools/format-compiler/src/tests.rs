use super::*;
use formats::Automaton;
use proptest::prelude::*;

fn regex_format(pattern: &str) -> Encoded {
    compile(Source::Regex(pattern)).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

fn accepts(format: &Encoded, text: &str) -> bool {
    let dfa = format.dfa().unwrap();
    let state = dfa.walk(dfa.start(), text.as_bytes());
    state.is_some_and(|state| dfa.accepts(state))
}

fn schema_format(schema: &str) -> Encoded {
    compile(Source::JsonSchema(schema)).unwrap_or_else(|error| panic!("{schema}: {error}"))
}

fn refused(source: Source<'_>) -> String {
    compile(source).unwrap_err().to_string()
}

#[test]
fn a_format_is_the_whole_answer() {
    let format = regex_format("a|ab|b+c??");
    for (text, is_word) in [
        ("a", true),
        ("ab", true),
        ("bbbc", true),
        ("bb", true),
        ("xa", false),
        ("abc", false),
        ("", false),
    ] {
        assert_eq!(accepts(&format, text), is_word, "{text}");
    }
    let anchored = regex_format("^(?:yes|no)$");
    assert_eq!(anchored.states(), regex_format("yes|no").states());
}

#[test]
fn characters_are_whole_whatever_their_length() {
    let format = regex_format(".{2}");
    let dfa = format.dfa().unwrap();
    for text in ["ab", "aü", "€ü", "😀😀"] {
        assert!(accepts(&format, text), "{text}");
    }
    // Neither parts of characters nor invalid UTF-8.
    for bytes in [
        &b"a\xC3"[..],
        b"\xFF",
        b"\xC0\x80",
        b"\xED\xA0\x80",
        b"\xF4\x90",
    ] {
        let state = dfa.walk(dfa.start(), bytes);
        assert!(state.is_none_or(|state| !dfa.accepts(state)), "{bytes:?}");
    }
}

#[test]
fn wrong_unsupported_empty_and_large_sources_say_so() {
    let regex = |pattern| refused(Source::Regex(pattern));
    assert_eq!(
        regex("a("),
        "the regular expression is wrong: unclosed group (at byte 1)"
    );
    assert!(regex(r"(?-u)\xFF").contains("UTF-8"));
    assert!(
        regex(r"\bword\b").contains("cannot be an automaton"),
        "{}",
        regex(r"\bword\b")
    );
    assert!(regex(r"(a)\1").contains("backreferences are not supported"));
    assert_eq!(regex("[a&&b]"), "it matches no text");
    assert_eq!(regex("a?b$c"), "it matches no text");
    assert_eq!(regex(""), "it matches only the empty text");
    assert_eq!(
        regex("x{5000}"),
        "it needs 5001 states, at most 4096 are allowed"
    );
    assert!(regex(r"(\w{1,200}x){1,100}").contains("too large"));
    let choices = |list: &[&str]| {
        let list: Vec<String> = list.iter().map(|text| (*text).to_owned()).collect();
        refused(Source::Choices(&list))
    };
    assert_eq!(choices(&[]), "there are no choices");
    assert_eq!(choices(&["a", ""]), "choice 2 is empty");
    assert_eq!(choices(&["a", "b", "a"]), "choice 3 (\"a\") is given twice");
}

#[test]
fn choices_may_be_prefixes_of_others() {
    let list = ["no", "not yet", "nothing\nat all"].map(str::to_owned);
    let format = compile(Source::Choices(&list)).unwrap();
    for text in &list {
        assert!(accepts(&format, text));
    }
    assert!(!accepts(&format, "not") && !accepts(&format, "nothing"));
}

#[test]
fn values_are_written_in_one_way() {
    let format = schema_format(
        r#"{"type": "object", "properties": {"b": {"type": "integer", "minimum": 0, "maximum": 12},
            "a": {"type": ["string", "null"], "maxLength": 2}}, "required": ["b"]}"#,
    );
    for text in [
        r#"{"b":7}"#,
        r#"{"b":12,"a":null}"#,
        r#"{"b":0,"a":"\"\u00e4"}"#,
        r#"{"b":0,"a":"😀\ud83d\ude00"}"#,
    ] {
        assert!(accepts(&format, text), "{text}");
    }
    for text in [
        r#"{"a":null,"b":7}"#,
        r#"{"b": 7}"#,
        r#"{"b":13}"#,
        r#"{"b":07}"#,
        r#"{"b":-1}"#,
        r#"{"a":null}"#,
        r#"{"b":1,}"#,
        r#"{"b":0,"a":"abc"}"#,
        r#"{"b":0,"a":"\ud83d"}"#,
        r#"{"b":0,"a":"\x"}"#,
        "{\"b\":0,\"a\":\"\n\"}",
        r#"{"b":7}}"#,
    ] {
        assert!(!accepts(&format, text), "{text}");
    }
}

#[test]
fn members_that_are_not_required_leave_no_comma_behind() {
    let optional = r#"{"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}}}"#;
    let format = schema_format(optional);
    let members = [r#""a":1"#, r#""b":2"#, r#""c":3"#];
    for set in 0..8 {
        let some: Vec<&str> = (0..3)
            .filter(|n| set >> n & 1 == 1)
            .map(|n| members[n])
            .collect();
        assert!(
            accepts(&format, &format!("{{{}}}", some.join(","))),
            "{set}"
        );
    }
    assert!(!accepts(&format, r#"{"b":2,"a":1}"#) && !accepts(&format, r#"{,"b":2}"#));
    let dfa = format.dfa().unwrap();
    assert_eq!(sayable(&dfa, 100).words, 3.0, "eight words");
}

#[test]
fn schemas_that_cannot_be_kept_are_refused_with_their_place() {
    let error = |schema| refused(Source::JsonSchema(schema));
    assert!(
        error("{").starts_with("the schema is not JSON: EOF while parsing an object at line 1")
    );
    assert!(
        error(r#"{"type": "null", "type": "null"}"#).contains("\"type\" is given twice at line 1")
    );
    for (schema, expected) in [
        (
            "3",
            "the schema at #: a schema must be an object, true or false",
        ),
        (
            "true",
            "the schema at #: any value is allowed, which no automaton can describe: give its \"type\"",
        ),
        (
            "{}",
            "the schema at #: any value is allowed, which no automaton can describe: give its \"type\"",
        ),
        ("false", "the schema at #: no value is allowed"),
        (r#"{"enum": []}"#, "the schema at #: no value is allowed"),
        (
            r#"{"type": "null", "enum": [1]}"#,
            "the schema at #: no value is allowed",
        ),
        (
            r#"{"type": "text"}"#,
            "the schema at #/type: \"type\" has to be null, boolean, integer, number, string, array or object",
        ),
        (
            r#"{"type": "string", "pattern": "a"}"#,
            "the schema at #/pattern: \"pattern\" is not supported here",
        ),
        (
            r#"{"pattern": "a"}"#,
            "the schema at #/pattern: \"pattern\" is not supported here",
        ),
        (
            r#"{"type": "integer", "minLength": 1}"#,
            "the schema at #/minLength: \"minLength\" is not supported here",
        ),
        (
            r#"{"type": "integer", "minimum": 2, "maximum": 1.5}"#,
            "the schema at #: no value is allowed",
        ),
        (
            r#"{"type": "number", "maximum": 1.5}"#,
            "the schema at #/maximum: \"maximum\" has to be a whole number: the bounds of \"number\" are",
        ),
        (
            r#"{"type": "number", "minimum": 1, "exclusiveMaximum": 1}"#,
            "the schema at #: no value is allowed",
        ),
        (
            r#"{"type": "string", "minLength": 2, "maxLength": 1}"#,
            "the schema at #: no value is allowed",
        ),
        (
            r#"{"type": "string", "maxLength": -1}"#,
            "the schema at #/maxLength: \"maxLength\" has to be a natural number below 65,536",
        ),
        (
            r#"{"type": "array"}"#,
            "the schema at #/items: any value is allowed, which no automaton can describe: give its \"type\"",
        ),
        (
            r#"{"type": "array", "items": {"type": "array", "items": {}}}"#,
            "the schema at #/items/items: any value is allowed, which no automaton can describe: give its \"type\"",
        ),
        (
            r#"{"type": "object", "properties": {"a/b": {"type": 1}}}"#,
            "the schema at #/properties/a~1b/type: \"type\" has to be a type's name or a list of them",
        ),
        (
            r#"{"type": "object", "required": ["a"]}"#,
            "the schema at #/required: the required \"a\" is not among the properties",
        ),
        (
            r##"{"$ref": "#/$defs/a"}"##,
            "the schema at #: there is no #/$defs/a",
        ),
        (
            r##"{"$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}"##,
            "the schema at #/$defs/a/items: #/$defs/a refers to itself: values of any depth are not a regular language",
        ),
        (
            r#"{"oneOf": [{"type": "integer"}, {"type": "number"}]}"#,
            "the schema at #/oneOf/1: values of two branches of \"oneOf\" could be the same: let them differ in type, or by a constant member, or use \"anyOf\"",
        ),
        (
            r#"{"anyOf": [{"type": "null"}], "type": "null"}"#,
            "the schema at #/type: \"type\" is not supported here",
        ),
    ] {
        assert_eq!(error(schema), expected, "{schema}");
    }
    assert!(error(r#"{"type": "string", "maxLength": 60000}"#).contains("too large"));
}

/// A schema of `n` definitions, each made of the next; the last is null.
fn nested(n: usize, with: impl Fn(&str) -> String) -> String {
    let mut defs = vec![format!(r#""a{n}": {{"type": "null"}}"#)];
    for i in 0..n {
        let next = format!(r##"{{"$ref": "#/$defs/a{}"}}"##, i + 1);
        defs.push(format!(r#""a{i}": {}"#, with(&next)));
    }
    format!(
        r##"{{"$defs": {{{}}}, "$ref": "#/$defs/a0"}}"##,
        defs.join(",")
    )
}

#[test]
fn a_schema_that_many_refer_to_is_compiled_once() {
    let twice = |next: &str| format!(r#"{{"anyOf": [{next}, {next}]}}"#);
    assert!(accepts(&schema_format(&nested(40, twice)), "null"));
    // Distinct branches, and items, double the size of the expression.
    for with in [
        |next: &str| format!(r#"{{"anyOf": [{next}, {{"type": "array", "items": {next}}}]}}"#),
        |next: &str| format!(r#"{{"type": "array", "prefixItems": [{next}, {next}]}}"#),
        |next: &str| format!(r#"{{"type": "object", "properties": {{"a": {next}, "b": {next}}}}}"#),
    ] {
        let refused = refused(Source::JsonSchema(&nested(40, with)));
        assert!(refused.contains("the schema is too large"), "{refused}");
    }
}

#[test]
fn references_and_steps_that_lead_too_deep_are_refused_and_exhaust_no_stack() {
    let plain = str::to_owned;
    assert!(accepts(&schema_format(&nested(63, plain)), "null"));
    for n in [64, 20_000] {
        let refused = refused(Source::JsonSchema(&nested(n, plain)));
        assert_eq!(
            refused,
            "the schema at #/$defs/a63: #/$defs/a64 is reached through a chain of more than 64 references: use fewer"
        );
    }
    let lists = |next: &str| {
        let (open, close) = (r#"{"type": "array", "items": "#, "}");
        format!("{}{next}{}", open.repeat(100), close.repeat(100))
    };
    let refused = refused(Source::JsonSchema(&nested(60, lists)));
    assert!(
        refused.contains("nested more than 256 steps deep"),
        "{refused}"
    );
}

#[test]
fn one_of_takes_branches_that_nothing_can_be_two_of() {
    for schema in [
        r#"{"oneOf": [{"type": "integer"}, {"type": "string"}, {"const": null}]}"#,
        r#"{"oneOf": [{"enum": [1, 2]}, {"enum": [3, "1"]}]}"#,
        r##"{"$defs": {"off": {"type": "object", "properties": {"op": {"const": "off"}}, "required": ["op"]}},
            "oneOf": [{"$ref": "#/$defs/off"}, {"type": "object", "properties": {"op": {"enum": ["on", "dim"]}}, "required": ["op"]}]}"##,
    ] {
        schema_format(schema);
    }
    for schema in [
        r#"{"oneOf": [{"enum": [1, 2]}, {"enum": [2.0, 3]}]}"#,
        r#"{"oneOf": [{"const": 1}, {"type": "integer"}]}"#,
        // Without the member, both branches are the same.
        r#"{"oneOf": [{"type": "object", "properties": {"a": {"const": 1}}}, {"type": "object", "properties": {"a": {"const": 2}}}]}"#,
    ] {
        assert!(
            refused(Source::JsonSchema(schema)).contains("oneOf"),
            "{schema}"
        );
    }
}

#[test]
fn words_are_counted() {
    let bits = |pattern: &str, bytes| sayable(&regex_format(pattern).dfa().unwrap(), bytes).words;
    assert_eq!(bits("yes|no", 512), 1.0);
    assert_eq!(bits("yes|no", 2), 0.0);
    assert_eq!(bits("yes|no", 1), f64::NEG_INFINITY);
    assert_eq!(bits("[a-d]{10}", 512), 20.0);
    // 1 + 2 + … + 2^n words.
    assert!((bits("[ab]*", 4000) - 4001.0).abs() < 1e-6);
    assert!((bits("[ab]*", 1 << 40) - ((1u64 << 40) + 1) as f64).abs() < 1e3);
}

#[test]
fn beginnings_of_words_that_are_broken_off_are_counted_as_well() {
    let bits = |pattern: &str, bytes| {
        let said = sayable(&regex_format(pattern).dfa().unwrap(), bytes);
        assert!(said.exact);
        said.broken_off
    };
    // Two words; nothing, `y`, `ye`, `yes`, `n`, `no`.
    assert_eq!(bits("yes|no", 512), 3.0);
    // One word; nothing, `y`, `ye`, `n`, `no`.
    assert!((bits("yes|no", 2) - 6f64.log2()).abs() < 1e-9);
    // No word.
    assert!((bits("yes|no", 1) - 3f64.log2()).abs() < 1e-9);
    assert_eq!(bits("a{3}", 512), 5f64.log2());
}

proptest! {
    #[test]
    fn an_automaton_agrees_with_the_crate_that_searches(
        pattern in "(a|b|ü|[a-c]|\\.|x\\?|\\(a\\|b\\)\\*|[aü]\\{1,2\\}){1,6}",
        text in "[abcüx.?(|)*{}12,]{0,8}",
    ) {
        let whole = ::regex::Regex::new(&format!("^(?:{pattern})$")).unwrap();
        if let Ok(format) = compile(Source::Regex(&pattern)) {
            prop_assert_eq!(accepts(&format, &text), whole.is_match(&text), "{} {}", pattern, text);
        }
    }
}
