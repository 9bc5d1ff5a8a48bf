//! Scaffolds derived from unknown templates.

use super::*;

const OWN: &str = "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] | trim }}\n\n{% endfor %}\
                   {% if add_generation_prompt %}[assistant]{% endif %}";

#[test]
fn an_unknown_template_is_derived_into_a_copy_that_talks() {
    let unknown = model("unknown.gguf", Some(OWN), None);
    assert!(output(&["chat-template", &unknown]).starts_with("not known"));
    assert!(output(&["inspect", &unknown]).contains("chat          not known"));
    let refused = failure(&["generate", "-m", &unknown, "-p", "Hi", "-n", "4"], 1);
    assert!(
        refused.contains("is not known") && refused.contains("--raw"),
        "{refused}"
    );
    let derived = fresh("derived.gguf");
    let shown = output(&["chat-template", "-m", &unknown, "-o", &derived]);
    assert!(
        shown.contains("agrees with the template on 400 random conversations"),
        "{shown}"
    );
    assert!(shown.contains("told apart by text"), "{shown}");
    assert!(output(&["chat-template", &derived]).starts_with("derived"));
    let inspected = output(&["inspect", &derived]);
    assert!(inspected.contains("chat          derived"), "{inspected}");
    assert!(inspected.contains("text can imitate roles"), "{inspected}");
    let file = fs::read(&derived).expect("written");
    let gguf = Gguf::parse(&file).expect("parsed");
    let scaffold = Template::of(&gguf)
        .expect("sound")
        .scaffold()
        .expect("known");
    assert_eq!(scaffold.user.before, "[user] ");
    assert_eq!(scaffold.generation, "[assistant]");
    // The prompt is a user's turn; as plain text it gives a different result.
    let asked = [
        "generate", "-m", &derived, "-p", " Once ", "-n", "8", "--temp", "0",
    ];
    let answer = output(&asked);
    let by_hand = "[user] Once\n\n[assistant]";
    let same = [
        "generate", "-m", &derived, "--raw", "-p", by_hand, "-n", "8", "--temp", "0",
    ];
    assert_eq!(answer, output(&same));
    let raw = [&asked[..], &["--raw"]].concat();
    assert_ne!(answer, output(&raw));
    let with_system = [&asked[..], &["--system", "Be brief."]].concat();
    let by_hand = "[system] Be brief.\n\n[user] Once\n\n[assistant]";
    let same = [
        "generate", "-m", &derived, "--raw", "-p", by_hand, "-n", "8", "--temp", "0",
    ];
    assert_eq!(output(&with_system), output(&same));
}

#[test]
fn a_scaffold_for_another_template_or_a_broken_one_is_refused() {
    let digest = |template: &str| {
        String::from_utf8(llm_core::chat::template_digest(template).to_vec()).expect("digits")
    };
    let cases: [(&str, Vec<String>, &str); 4] = [
        (
            "other.gguf",
            vec![digest("another")],
            "derived from another",
        ),
        (
            "short.gguf",
            vec![digest(OWN), "1".into()],
            "1 strings, not 16 to 24",
        ),
        (
            "version.gguf",
            std::iter::once(digest(OWN))
                .chain((0..16).map(|_| "2".into()))
                .collect(),
            "string 0 of",
        ),
        (
            "long.gguf",
            std::iter::once(digest(OWN))
                .chain((0..16).map(|_| "x".repeat(7000)))
                .collect(),
            "has 7000 bytes",
        ),
    ];
    for (name, strings, reason) in cases {
        let path = model(name, Some(OWN), Some(&strings));
        let refused = failure(&["chat-template", &path], 1);
        assert!(refused.contains(reason), "{refused}");
    }
}

#[test]
fn what_no_scaffold_can_do_is_refused_with_the_reason() {
    let each = |body: &str| format!("{{% for m in messages %}}{body}{{% endfor %}}");
    let cases = [
        (
            "drops",
            each("{% if loop.last %}{{ m.content }}{% endif %}"),
            "left out or repeated",
        ),
        (
            "numbers",
            each("{{ loop.index }} {{ m.content }}\n"),
            "not always the same",
        ),
        (
            "left",
            each("<{{ m.role }}>{{ m.content.lstrip('\\n ') }}"),
            "part of the white space",
        ),
        (
            "upper",
            each("<{{ m.role }}>{{ m.content | upper }}"),
            "left out or repeated",
        ),
        (
            "length",
            each("<{{ m.role }}>{{ m.content }}{% if m.content | length > 30 %}!{% endif %}"),
            "no scaffold can do",
        ),
        (
            "date",
            format!(
                "{{{{ strftime_now('%d %b %Y') }}}}{}",
                each("<{{ m.role }}>{{ m.content }}")
            ),
            "--date",
        ),
        ("broken", "{% for".to_owned(), "cannot be rendered"),
        (
            "endless",
            format!(
                "{{% for x in range(10000) %}}{{% for y in range(10000) %}}{{% endfor %}}{{% endfor %}}{}",
                each("{{ m.content }}")
            ),
            "cannot be rendered",
        ),
        ("names", each("{bos}{{ m.content }}"), "{bos} or {eos}"),
    ];
    for (name, template, reason) in cases {
        let path = model(&format!("no-{name}.gguf"), Some(&template), None);
        let out = fresh(&format!("no-{name}-out.gguf"));
        let refused = failure(&["chat-template", "-m", &path, "-o", &out], 1);
        assert!(refused.contains(reason), "{name}: {refused}");
        assert!(fs::metadata(&out).is_err(), "{name}: nothing is written");
    }
    let dated = format!(
        "{{{{ strftime_now('%d %b %Y') }}}}{}",
        each("<{{ m.role }}>{{ m.content }}")
    );
    let path = model("dated.gguf", Some(&dated), None);
    let out = fresh("dated-out.gguf");
    let shown = output(&[
        "chat-template",
        "-m",
        &path,
        "-o",
        &out,
        "--date",
        "2025-03-04",
    ]);
    assert!(shown.contains("04 Mar 2025"), "{shown}");
    assert!(Date::parse("2025-02-31x").is_err());
}

#[test]
fn a_hostile_template_costs_so_much_and_no_more_and_gives_one_line() {
    // The maximum length of a template.
    let long = |before: &str, part: &str, after: &str| {
        let room = MAX_TEMPLATE_BYTES - before.len() - after.len();
        format!("{before}{}{after}", part.repeat(room / part.len()))
    };
    let said = "{% for m in messages %}{{ m.content }}{% endfor %}";
    let memory = |step: &str| {
        format!(
            "{{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}}{{% for i in range(60) %}}{{% set ns.x = {step} %}}{{% endfor %}}{said}"
        )
    };
    // Expressions that are deep but otherwise valid.
    let deep = [
        ("not", long("{{ ", "not ", "1 }}")),
        ("minus", long("{{ ", "-", "1 }}")),
        ("plus", long("{{ 1", "+1", " }}")),
        ("filter", long("{{ 'a'", "|upper", " }}")),
        ("attribute", long("{{ a", ".b", " }}")),
        ("elif", long("{% if 0 %}", "{% elif 0 %}", "{% endif %}")),
        ("if", long("{{ ", "1 if 0 else ", "1 }}")),
        ("and", long("{{ 1", " and 1", " }}")),
        ("call", long("{{ a", "()", " }}")),
        ("index", long("{{ a", "[0]", " }}")),
        ("join", long("{{ 1", "~1", " }}")),
        ("brackets", long("{{ ", "[", " }}")),
    ];
    for (name, template) in deep {
        let path = model(&format!("deep-{name}.gguf"), Some(&template), None);
        let refused = refused(&path);
        assert!(!refused.contains("was stopped"), "{name}: {refused}");
    }
    let stopped = [
        ("double", memory("ns.x ~ ns.x")),
        ("replace", memory("ns.x.replace('a', ns.x)")),
        (
            "lists",
            format!(
                "{{% set ns = namespace(x=[]) %}}{{% for i in range(9999) %}}{{% set ns.x = [ns.x, range(99999)|list] %}}{{% endfor %}}{said}"
            ),
        ),
    ];
    for (name, template) in stopped {
        let path = model(&format!("large-{name}.gguf"), Some(&template), None);
        let refused = refused(&path);
        assert!(refused.contains("was stopped"), "{name}: {refused}");
    }
    let path = model("long.gguf", Some(&" ".repeat(MAX_TEMPLATE_BYTES + 1)), None);
    let refused = refused(&path);
    assert!(
        refused.contains("the chat template is 65537 bytes long: at most 65536 are run"),
        "{refused}"
    );
}

/// The line that reports why no scaffold was derived.
fn refused(model: &str) -> String {
    let out = fresh("hostile-out.gguf");
    let refused = failure(&["chat-template", "-m", model, "-o", &out], 1);
    assert_eq!(refused.trim_end().lines().count(), 1, "{refused}");
    assert!(fs::metadata(&out).is_err(), "nothing is written");
    refused
}
