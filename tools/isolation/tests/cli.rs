//! Runs the program as a developer and CI do.

mod two_clients;

use assert_cmd::Command;
use std::path::PathBuf;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn isolation() -> Command {
    let mut command = Command::cargo_bin("isolation").unwrap();
    command.current_dir(ROOT);
    command
}

fn temporary(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    folder.join(format!("{}-{name}", std::process::id()))
}

fn printed(command: &mut Command) -> String {
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[test]
fn the_systems_own_description_violates_nothing() {
    let mut command = isolation();
    command.arg("check");
    command.assert().success();
    let text = printed(&mut command);
    for claim in ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "P ", "D "] {
        assert!(
            text.lines()
                .any(|line| line.starts_with(claim) && line.contains("holds")),
            "{text}"
        );
    }
    assert!(text.contains("0 violated"), "{text}");
}

#[test]
fn another_systems_description_is_checked_with_its_own_policy() {
    let [path, policy, json, svg] = ["two.xml", "two.toml", "two.json", "two.svg"].map(temporary);
    let read = |name: &str| std::fs::read_to_string(format!("{ROOT}/{name}")).unwrap();
    std::fs::write(&path, two_clients::system(&read("system.xml"))).unwrap();
    let text = two_clients::policy(&read("tools/isolation/policy.toml"));
    std::fs::write(&policy, text).unwrap();
    let mut command = isolation();
    command
        .arg("check")
        .arg(&path)
        .arg("--policy")
        .arg(&policy)
        .arg("--json")
        .arg(&json)
        .arg("--svg")
        .arg(&svg);
    command.assert().success();
    let text = printed(&mut command);
    for words in [
        "no two of shell, triage and inference share a region",
        "shell and triage both hold monitor's endpoint for their faults",
        "audit > shell, triage > inference",
        "clients of audit: shell in slot 0 and triage in slot 1",
    ] {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words), "{words}: {text}");
    }
    let report = std::fs::read_to_string(json).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        report["clients"],
        serde_json::json!({"shell": 0, "triage": 1})
    );
    let path_of = |from: &str, to: &str| {
        let mut flows = report["flows"].as_array().unwrap().iter();
        let flow = flows.find(|flow| flow["from"] == from && flow["to"] == to);
        flow.unwrap()["path"].clone()
    };
    let through = |steps: &[&str]| serde_json::json!(steps);
    assert_eq!(
        path_of("triage", "shell"),
        through(&["triage", "audit", "shell"])
    );
    assert_eq!(
        path_of("triage", "UART"),
        through(&["triage", "audit", "shell", "UART"])
    );
    assert_eq!(
        path_of("inference", "triage"),
        through(&["inference", "audit", "triage"])
    );
    // Both clients are drawn with all that they have, and the lane for forbidden sharing is empty.
    let picture = std::fs::read_to_string(svg).unwrap();
    for words in [
        ">shell<",
        ">triage<",
        ">audit_to_triage<",
        ">events<",
        ">shell_to_audit<",
    ] {
        assert_eq!(picture.matches(words).count(), 1, "{words}");
    }
    assert!(!picture.contains("#b91c1c"), "{picture}");
    // With the policy of the one-client system, the message names the other client.
    let output = isolation().arg("check").arg(&path).arg("--silent").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("D: 'triage' is the client in slot 1 of audit (line"),
        "{text}"
    );
}

#[test]
fn a_policy_that_cannot_be_used_fails_with_the_reason() {
    let policy = temporary("same-slot.toml");
    let text = std::fs::read_to_string(format!("{ROOT}/tools/isolation/policy.toml")).unwrap();
    let text = two_clients::policy(&text).replace("slot = 1", "slot = 0");
    std::fs::write(&policy, text).unwrap();
    let output = isolation()
        .arg("check")
        .arg("--policy")
        .arg(&policy)
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("same-slot.toml") && text.contains("'shell' and 'triage' both have slot 0"),
        "{text}"
    );
}

#[test]
fn a_violation_fails_and_names_what_it_is_about() {
    let path = temporary("violating.xml");
    let system = std::fs::read_to_string(format!("{ROOT}/system.xml")).unwrap();
    let changed = system.replace(r#"priority="100""#, r#"priority="111""#);
    assert_ne!(system, changed);
    std::fs::write(&path, changed).unwrap();
    let mut command = isolation();
    command.arg("check").arg(&path).arg("--quiet");
    command.assert().code(1);
    let text = printed(&mut command);
    assert!(text.contains("I7: shell has priority 110"), "{text}");
    assert!(text.contains("not above inference's 111"), "{text}");
}

#[test]
fn a_description_that_is_refused_fails_with_its_place() {
    let path = temporary("refused.xml");
    let system = std::fs::read_to_string(format!("{ROOT}/system.xml")).unwrap();
    let changed = system.replacen("<irq ", "<irq smc=\"true\" ", 1);
    assert_ne!(system, changed);
    std::fs::write(&path, changed).unwrap();
    let output = isolation().arg("check").arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("line ") && text.contains("smc"), "{text}");
}

#[test]
fn the_fixtures_image_agrees_and_its_reports_are_written() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    // The fixture's arena, store, adapters and formats are small.
    let policy = temporary("policy.toml");
    let text = std::fs::read_to_string(format!("{ROOT}/tools/isolation/policy.toml")).unwrap();
    let mut text = text.replace("least = 0x80_0000", "least = 0x1_0000");
    for region in ["adapters", "formats"] {
        let least = |bytes| format!("name = \"{region}\"\nbytes = {{ least = {bytes}");
        text = text.replace(&least("0x10_0000"), &least("0x1_0000"));
    }
    std::fs::write(&policy, text).unwrap();
    let [markdown, json, svg] = ["report.md", "report.json", "graph.svg"].map(temporary);
    let mut command = isolation();
    command
        .args([
            "check",
            &format!("{fixtures}/system.xml"),
            "--capdl",
            &format!("{fixtures}/capdl.json"),
        ])
        .arg("--policy")
        .arg(&policy)
        .arg("--markdown")
        .arg(&markdown)
        .arg("--json")
        .arg(&json)
        .arg("--svg")
        .arg(&svg);
    command.assert().success();
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    let claims = report["claims"].as_array().unwrap();
    assert_eq!(claims.len(), 13);
    assert!(
        claims.iter().all(|claim| claim["verdict"] == "holds"),
        "{report:#}"
    );
    assert_eq!(
        report["rights"]["inference"]["notify"],
        serde_json::json!(["audit"])
    );
    assert_eq!(
        report["controllers"]["inference"],
        serde_json::json!(["audit", "monitor"])
    );
    let between = report["flows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|flow| flow["from"] == "inference" && flow["to"] == "UART");
    assert_eq!(
        between.unwrap()["path"],
        serde_json::json!(["inference", "audit", "shell", "UART"])
    );
    let text = std::fs::read_to_string(markdown).unwrap();
    assert!(
        text.contains("| I1 |")
            && text.contains("| M5 |")
            && text.contains("audit → inference")
            && text.contains("Clients of audit: shell in slot 0.\n"),
        "{text}"
    );
    let picture = std::fs::read_to_string(svg).unwrap();
    assert!(
        picture.starts_with("<svg") && picture.contains("inference_to_audit"),
        "{picture}"
    );
}

#[test]
fn stripping_an_image_keeps_everything_but_the_fills() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/capdl.json");
    let filled = temporary("filled.json");
    let stripped = temporary("stripped.json");
    let text = std::fs::read_to_string(fixture).unwrap();
    assert!(text.contains("\"bytes\":[]"));
    std::fs::write(
        &filled,
        text.replace("\"bytes\":[]", "\"bytes\":[116, 97, 114, 0]"),
    )
    .unwrap();
    isolation()
        .arg("strip")
        .arg(&filled)
        .arg(&stripped)
        .assert()
        .success();
    assert_eq!(std::fs::read_to_string(stripped).unwrap(), text);
}

#[test]
fn the_instance_for_the_proofs_is_in_their_format() {
    let text = printed(isolation().args(["rocq", "system.xml"]));
    assert!(
        text.starts_with("(* Generated from system.xml by tools/isolation. Do not edit. *)\n"),
        "{text}"
    );
    assert!(text.contains("pd_parent := Some (\"audit\", 0)"), "{text}");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/capdl.json");
    let image = printed(isolation().args(["rocq", "--capdl", fixture]));
    assert!(
        image.contains("extra_cap := CCNode (Inner (Pd \"audit\")) 49 0 9"),
        "{image}"
    );
    assert_eq!(image.matches("extra_cnode := ").count(), 28);
}

#[test]
fn microkits_table_is_printed() {
    let text = printed(isolation().arg("table"));
    for row in isolation::microkit::Row::ALL {
        assert!(text.contains(&format!("| {} |", row.id())), "{text}");
    }
}
