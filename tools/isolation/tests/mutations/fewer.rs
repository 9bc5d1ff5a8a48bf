//! systems/cores with fewer workers: what its claims demand of the remaining ones, and which domains must not be
//! missing.

use crate::cores::{ADDED, SYSTEM};
use crate::harness::{Caught, changed, check_with_layer, none, replace};
use libtest_mimic::Trial;

/// A change of the description, or of the claims that the system adds to the main system's.
type Change = (&'static str, &'static str);

/// The text without the part from `start` to the end of `end`.
fn without(text: &str, start: &str, end: &str) -> String {
    let from = text.find(start).unwrap_or_else(|| panic!("no '{start}'"));
    let bytes = text[from..].find(end).expect("an end") + end.len();
    format!("{}{}", &text[..from], &text[from + bytes..])
}

/// The description without a worker and its channel.
fn without_worker(text: &str, worker: u32) -> String {
    let domain = format!(r#"<protection_domain name="worker{worker}""#);
    let channel = format!("<channel>\n        <end pd=\"inference\" id=\"{worker}\"");
    let text = without(text, &domain, "</protection_domain>");
    without(&text, &channel, "</channel>")
}

fn check(lost: &[u32], of_system: &[Change], of_claims: &[Change]) -> Vec<String> {
    let mut text = SYSTEM.clone();
    for worker in lost {
        text = without_worker(&text, *worker);
    }
    check_with_layer(&changed(&text, of_system), &changed(ADDED, of_claims))
}

/// Name, the workers that are left out, other changes, the claims that must be violated, words of one message.
type Mutation = (
    &'static str,
    &'static [u32],
    &'static [Change],
    &'static [Change],
    &'static [&'static str],
    &'static [&'static str],
);

const MUTATIONS: &[Mutation] = &[
    ("the_first_is_missing", &[1], &[], &[], &["P"], &["worker1"]),
    (
        "all_are_missing",
        &[1, 2, 3],
        &[],
        &[],
        &["P"],
        &["worker1"],
    ),
    (
        "one_is_missing_where_all_must_be_there",
        &[3],
        &[],
        &[("fewest = 1\n", "")],
        &["P"],
        &["worker3"],
    ),
    (
        "shell_takes_the_core_of_one_that_is_left_out",
        &[3],
        &[(
            r#"<protection_domain name="shell" cpu="0""#,
            r#"<protection_domain name="shell" cpu="3""#,
        )],
        &[],
        &["I7", "D"],
        &["shell", "runs on core 3", "demands 0"],
    ),
    (
        "a_channel_of_one_that_is_left_out_goes_to_shell",
        &[3],
        &[(
            "</system>",
            r#"<channel><end pd="inference" id="3" setvar_id="worker_3_channel" /><end pd="shell" id="3" /></channel></system>"#,
        )],
        &[],
        &["I1", "P"],
        &["inference", "shell"],
    ),
    (
        "a_line_names_one_that_is_left_out_beside_others",
        &[3],
        &[],
        &[(
            "[[private]]\nregion = \"team\"",
            "[[shared]]\nregion = \"arena\"\nwriter = \"inference\"\nreaders = [\"worker3\"]\n\n[[private]]\nregion = \"team\"",
        )],
        &["P"],
        &["worker3"],
    ),
    (
        "none_need_be_there",
        &[],
        &[],
        &[("fewest = 1", "fewest = 0")],
        &["refused"],
        &["fewest must be from 1 to 3"],
    ),
    (
        "more_than_all_must_be_there",
        &[],
        &[],
        &[("fewest = 1", "fewest = 4")],
        &["refused"],
        &["fewest must be from 1 to 3"],
    ),
];

pub fn harmful() -> Vec<Trial> {
    let trial = |(name, lost, of_system, of_claims, claims, words): &'static Mutation| {
        Trial::test(format!("fewer::{name}"), move || {
            Caught { claims, words }.judge(&check(lost, of_system, of_claims))
        })
    };
    MUTATIONS.iter().map(trial).collect()
}

pub fn harmless() -> Vec<Trial> {
    vec![
        Trial::test("harmless::fewer::two", || none(&check(&[3], &[], &[]))),
        Trial::test("harmless::fewer::one", || none(&check(&[3, 2], &[], &[]))),
        Trial::test("harmless::fewer::two_of_two_at_least", || {
            let claims = replace(ADDED, "fewest = 1", "fewest = 2");
            none(&check_with_layer(&without_worker(&SYSTEM, 3), &claims))
        }),
    ]
}
