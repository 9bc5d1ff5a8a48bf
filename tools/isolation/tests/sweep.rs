//! No part of a description can change without the checker's approval: every attribute is removed and set to other
//! values, every two of a name are exchanged, every element is removed and repeated. A change that passes must be one
//! of the few that no program and no claim relies on. The description is `system.xml` with a second client, so
//! attributes are also exchanged between clients.

mod two_clients;

use isolation::microkit::Configuration;
use isolation::pins;
use isolation::policy::Policy;
use isolation::report::{Report, Subjects};
use roxmltree::{Document, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;
use sysdesc::System;

static SYSTEM: LazyLock<String> =
    LazyLock::new(|| two_clients::system(include_str!("../../../system.xml")));
static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let text = two_clients::policy(include_str!("../policy.toml"));
    Policy::parse(&text).unwrap()
});

/// Attributes that may change: the element, the attribute, and why. Where they may not, a mutation test covers that.
const FREE: &[(&str, &str, &str)] = &[
    (
        "map",
        "vaddr",
        "programs are told where; addresses that are taken are refused",
    ),
    ("irq", "id", "programs are told the number"),
    ("end", "id", "programs are told the number"),
    ("protection_domain", "id", "the parent is told the number"),
    (
        "protection_domain",
        "priority",
        "as long as the order stays",
    ),
    (
        "protection_domain",
        "stack_size",
        "more than enough is enough",
    ),
    (
        "protection_domain",
        "period",
        "within bounds, as long as it is the budget, too",
    ),
    (
        "memory_region",
        "size",
        "more than enough is enough, for memory that is one domain's and the store",
    ),
    (
        "memory_region",
        "page_size",
        "small regions have small pages, said or not",
    ),
    ("map", "perms", "the default for memory that is written"),
];

/// Whether the checker accepts it.
fn passes(text: &str) -> bool {
    let Ok(system) = System::parse(text) else {
        return false;
    };
    // The fast check first, which notices most changes.
    if !pins::check(&system, &POLICY).violations.is_empty() {
        return false;
    }
    let report = Report::of(Subjects {
        system: &system,
        policy: &POLICY,
        programs: None,
        image: None,
        board: &sysdesc::Board::usual(),
        kernel: None,
        configuration: Configuration::Release,
    });
    report.holds()
}

/// An attribute of the file.
struct Attribute {
    element: String,
    name: String,
    value: String,
    /// With its name and quotes.
    whole: Range<usize>,
    inner: Range<usize>,
}

fn with(text: &str, range: &Range<usize>, new: &str) -> String {
    format!("{}{new}{}", &text[..range.start], &text[range.end..])
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn attributes(document: &Document<'_>) -> Vec<Attribute> {
    let elements = document.descendants().filter(Node::is_element);
    let of = |node: Node<'_, '_>| {
        let attributes = node.attributes().map(|attribute| Attribute {
            element: node.tag_name().name().to_owned(),
            name: attribute.name().to_owned(),
            value: attribute.value().to_owned(),
            whole: attribute.range(),
            inner: attribute.range_value(),
        });
        attributes.collect::<Vec<_>>()
    };
    elements.flat_map(of).collect()
}

fn number(value: &str) -> Option<u64> {
    match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    }
}

/// Other values for an attribute: of another size, or those that the same attribute has elsewhere.
fn others(attribute: &Attribute, known: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let mut values = BTreeSet::new();
    if let Some(number) = number(&attribute.value) {
        let near = [0, 1, 2, 7, 62, 255, 0x1000, 0x20_0000, u64::MAX];
        let far = [
            number.wrapping_sub(1),
            number.wrapping_add(1),
            number.wrapping_sub(0x1000),
            number.wrapping_add(0x1000),
            number / 2,
            number.wrapping_mul(2),
            number.wrapping_mul(1000),
        ];
        values.extend(near.iter().chain(&far).map(ToString::to_string));
    }
    let known = known.get(attribute.name.as_str());
    values.extend(known.into_iter().flatten().map(|value| (*value).to_owned()));
    let words = [
        "other", "", "true", "false", "r", "rw", "rx", "rwx", "x", "edge",
    ];
    values.extend(words.map(str::to_owned));
    values.remove(&attribute.value);
    values.into_iter().collect()
}

#[test]
fn no_attribute_changes_but_those_that_are_free() {
    let document = Document::parse(&SYSTEM).unwrap();
    let attributes = attributes(&document);
    let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for attribute in &attributes {
        known
            .entry(&attribute.name)
            .or_default()
            .insert(&attribute.value);
    }
    assert!(passes(&SYSTEM));
    let (mut tried, mut free, mut unnoticed) = (0, 0, Vec::new());
    let mut used: BTreeSet<usize> = BTreeSet::new();
    for attribute in &attributes {
        let Attribute {
            element,
            name,
            value,
            ..
        } = attribute;
        let removed = (with(&SYSTEM, &attribute.whole, ""), "nothing".to_owned());
        let others = others(attribute, &known).into_iter();
        let changed = others.map(|other| (with(&SYSTEM, &attribute.inner, &other), other));
        for (text, other) in changed.chain([removed]) {
            tried += 1;
            if !passes(&text) {
                continue;
            }
            free += 1;
            let named = FREE
                .iter()
                .position(|(of, named, _)| of == element && named == name);
            used.extend(named);
            if named.is_none() {
                unnoticed.push(format!("{element}'s {name}: {value} → {other}"));
            }
        }
    }
    println!("{free} of {tried} pass");
    assert!(tried > 1000 && free < tried / 10, "{free} of {tried}");
    let void = (0..FREE.len()).filter(|index| !used.contains(index));
    let void: Vec<_> = void.map(|index| FREE[index]).collect();
    assert!(void.is_empty(), "nothing of this passes: {void:?}");
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

#[test]
fn no_two_attributes_can_be_exchanged_but_those_that_are_free() {
    let document = Document::parse(&SYSTEM).unwrap();
    let attributes = attributes(&document);
    let (mut tried, mut unnoticed) = (0, Vec::new());
    for (index, first) in attributes.iter().enumerate() {
        for second in &attributes[index + 1..] {
            // Also across names, such as an address given as a size.
            let kind = |attribute: &Attribute| attribute.name.split('_').next().map(str::to_owned);
            if kind(first) != kind(second) || first.value == second.value {
                continue;
            }
            tried += 1;
            // Replace the later one first, so that the earlier one's range remains valid.
            let text = with(&SYSTEM, &second.inner, &first.value);
            let text = with(&text, &first.inner, &second.value);
            if sorted(&text) == sorted(&SYSTEM) {
                // Two lines were exchanged.
                continue;
            }
            let is_free = |attribute: &Attribute| {
                let Attribute { element, name, .. } = attribute;
                FREE.iter()
                    .any(|(of, named, _)| of == element && named == name)
            };
            if passes(&text) && !(is_free(first) && is_free(second)) {
                unnoticed.push(format!(
                    "{}'s {} {} ↔ {}'s {} {}",
                    first.element,
                    first.name,
                    first.value,
                    second.element,
                    second.name,
                    second.value
                ));
            }
        }
    }
    assert!(tried > 500, "{tried}");
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

#[test]
fn no_element_can_be_left_out_or_repeated() {
    let document = Document::parse(&SYSTEM).unwrap();
    let (mut tried, mut unnoticed) = (0, Vec::new());
    let elements = document.descendants().filter(Node::is_element);
    for node in elements.filter(|node| *node != document.root_element()) {
        let range = node.range();
        let twice = SYSTEM[range.clone()].repeat(2);
        for (what, new) in [("left out", ""), ("repeated", twice.as_str())] {
            tried += 1;
            if passes(&with(&SYSTEM, &range, new)) {
                let line = document.text_pos_at(range.start).row;
                unnoticed.push(format!("{} of line {line} {what}", node.tag_name().name()));
            }
        }
    }
    assert!(tried > 60, "{tried}");
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}
