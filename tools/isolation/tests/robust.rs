//! Malformed input is refused, and nothing makes the checker panic.

use isolation::capdl::{self, Spec};
use isolation::kernel::{self, Cores};
use isolation::microkit::{Configuration, Row};
use isolation::policy::Policy;
use isolation::report::{Report, Subjects};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use sysdesc::{Board, System};

const POLICY: &str = include_str!("../policy.toml");
const SYSTEM: &str = include_str!("fixtures/system.xml");
const CAPDL: &str = include_str!("fixtures/capdl.json");

/// The policy for the fixture, whose arena, store, adapters and formats are small.
fn policy() -> String {
    let mut text = POLICY.replace("least = 0x80_0000", "least = 0x1_0000");
    for region in ["adapters", "formats"] {
        let least = |bytes| format!("name = \"{region}\"\nbytes = {{ least = {bytes}");
        text = text.replace(&least("0x10_0000"), &least("0x1_0000"));
    }
    text
}

/// Every kind of place that has a number, by its path without indices: the first of its kind.
fn numbers(value: &Value, path: &str, pointer: &str, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Number(_) => {
            found
                .entry(path.to_owned())
                .or_insert_with(|| pointer.to_owned());
        }
        Value::Array(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                numbers(
                    entry,
                    &format!("{path}/*"),
                    &format!("{pointer}/{index}"),
                    found,
                );
            }
        }
        Value::Object(map) => {
            for (key, entry) in map {
                numbers(
                    entry,
                    &format!("{path}/{key}"),
                    &format!("{pointer}/{key}"),
                    found,
                );
            }
        }
        _ => {}
    }
}

fn violations(spec: &Spec) -> usize {
    let (system, policy) = (
        System::parse(SYSTEM).unwrap(),
        Policy::parse(&policy()).unwrap(),
    );
    let report = Report::of(Subjects {
        system: &system,
        policy: &policy,
        programs: None,
        image: Some(capdl::view(spec, sysdesc::Arch::Aarch64)),
        board: &Board::usual(),
        kernel: None,
        configuration: Configuration::Release,
    });
    report.violations().count()
}

#[test]
fn no_number_in_an_image_makes_the_checker_panic() {
    let mut whole: Value = serde_json::from_str(CAPDL).unwrap();
    let mut places = BTreeMap::new();
    numbers(&whole, "", "", &mut places);
    assert!(places.len() > 30, "{places:#?}");
    // Values that carry no authority: where a program starts, what part of an ELF file is where, and how a scheduling
    // context is stored.
    let free = [
        "/ip",
        "/SchedContext/size_bits",
        "/SchedContext/extra/badge",
        "/range/",
        "/elf_",
    ];
    let mut unnoticed = Vec::new();
    for (path, pointer) in &places {
        for number in [0, 1, 64, 255, u64::MAX] {
            let place = whole.pointer_mut(pointer).unwrap();
            let before = core::mem::replace(place, json!(number));
            if before == json!(number) {
                continue;
            }
            // It is refused by the reader, or flagged, or does not matter.
            if let Ok(spec) = Spec::deserialize(&whole)
                && violations(&spec) == 0
                && !free.iter().any(|free| path.contains(free))
            {
                unnoticed.push(format!("{pointer} = {number}"));
            }
            *whole.pointer_mut(pointer).unwrap() = before;
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

#[test]
fn an_unknown_kind_of_object_is_refused() {
    let text = CAPDL.replacen("\"object\":\"Reply\"", "\"object\":\"SgiSignal\"", 1);
    let error = Spec::read(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("SgiSignal"), "{error}");
}

#[test]
fn an_unknown_field_of_a_capability_is_refused() {
    let text = CAPDL.replacen(
        "\"guard_size\":49",
        "\"guard_size\":49,\"revocable\":true",
        1,
    );
    let error = Spec::read(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("revocable"), "{error}");
}

#[test]
fn an_unknown_line_of_the_policy_is_refused() {
    let error =
        Policy::parse(&POLICY.replace("[execution]", "[exceptions]\n[execution]")).unwrap_err();
    assert!(error.to_string().contains("exceptions"), "{error}");
}

#[test]
fn a_line_of_the_policy_that_is_about_nothing_is_a_violation() {
    let system = System::parse(SYSTEM).unwrap();
    let lines = "[[private]]\nregion = \"keys\"\ndomain = \"audit\"\n\
                 [[region]]\nname = \"salt\"\nbytes = \"ring\"\npage = 4096\naddress = \"salt\"\n";
    let policy = Policy::parse(&format!("{}\n{lines}", policy())).unwrap();
    let report = Report::of(Subjects {
        system: &system,
        policy: &policy,
        programs: None,
        image: None,
        board: &Board::usual(),
        kernel: None,
        configuration: Configuration::Release,
    });
    let said: Vec<_> = report
        .violations()
        .map(|(claim, text)| format!("{} {text}", claim.id()))
        .collect();
    assert_eq!(
        said,
        [
            "P the policy names region 'keys', which nobody maps",
            "D the policy has a [[region]] 'salt', which does not exist",
            "D the policy has a [[region]] 'salt' but does not say that any domain maps it",
        ]
    );
}

/// A kernel as in the table, reconstructed from the messages for an empty one.
fn options(configuration: Configuration) -> Map<String, Value> {
    let mut options = Map::new();
    loop {
        let finding = kernel::check(&options, &Board::usual(), configuration, Cores::One);
        let Some(first) = finding.violations.first() else {
            return options;
        };
        if let Some((_, name)) = first.split_once("has no option ") {
            options.insert(name.to_owned(), json!(false));
        } else {
            let name = first.split(' ').next().unwrap().to_owned();
            let value = if name == "MAX_NUM_NODES" {
                json!("1")
            } else {
                json!(true)
            };
            options.insert(name, value);
        }
    }
}

#[test]
fn each_option_of_the_kernel_is_checked() {
    let release = options(Configuration::Release);
    assert!(
        kernel::check(
            &release,
            &Board::usual(),
            Configuration::Release,
            Cores::One
        )
        .not_claimed
        .is_empty()
    );
    for name in release.keys() {
        let mut changed = release.clone();
        let value = match &release[name] {
            Value::Bool(on) => json!(!on),
            _ => json!("4"),
        };
        changed.insert(name.clone(), value);
        let finding = kernel::check(
            &changed,
            &Board::usual(),
            Configuration::Release,
            Cores::One,
        );
        assert_eq!(finding.violations.len(), 1, "{name}");
        assert!(
            finding.violations[0].starts_with(name.as_str()),
            "{finding:?}"
        );
    }
}

#[test]
fn a_system_on_several_cores_wants_a_kernel_for_them_and_no_other_does() {
    let one = options(Configuration::Release);
    let mut several = one.clone();
    several.insert("MAX_NUM_NODES".to_owned(), json!("4"));
    several.insert("ENABLE_SMP_SUPPORT".to_owned(), json!(true));
    let violations = |kernel, cores| {
        let finding = kernel::check(kernel, &Board::usual(), Configuration::Release, cores);
        finding.violations
    };
    for (kernel, cores) in [(&one, Cores::Several), (&several, Cores::One)] {
        let said = violations(kernel, cores);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("MAX_NUM_NODES is "), "{said:?}");
        assert!(said[1].starts_with("ENABLE_SMP_SUPPORT is "), "{said:?}");
    }
    assert!(violations(&several, Cores::Several).is_empty());
}

#[test]
fn debug_and_benchmark_kernels_say_what_they_add() {
    for (configuration, adds) in [
        (Configuration::Debug, "PRINTING"),
        (Configuration::Benchmark, "EXPORT_PMU_USER"),
    ] {
        let finding = kernel::check(
            &options(configuration),
            &Board::usual(),
            configuration,
            Cores::One,
        );
        assert!(
            finding
                .not_claimed
                .iter()
                .any(|text| text.starts_with(adds)),
            "{finding:?}"
        );
        let as_release = kernel::check(
            &options(configuration),
            &Board::usual(),
            Configuration::Release,
            Cores::One,
        );
        assert!(
            as_release
                .violations
                .iter()
                .any(|text| text.starts_with(adds)),
            "{as_release:?}"
        );
    }
}

#[test]
fn each_row_of_microkits_table_has_a_name_of_its_own_and_a_reason() {
    let ids: BTreeSet<_> = Row::ALL.iter().map(|row| row.id()).collect();
    assert_eq!(ids.len(), Row::ALL.len());
    for row in Row::ALL {
        let text = row.text();
        assert!(!text.adds.is_empty() && !text.harmless.is_empty() && !text.source.is_empty());
    }
}
