//! The program, as a developer and CI run it.

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
    let changed = system.replacen("<irq irq=\"34\"", "<irq irq=\"34\" smc=\"true\"", 1);
    std::fs::write(&path, changed).unwrap();
    let output = isolation().arg("check").arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("line ") && text.contains("smc"), "{text}");
}

#[test]
fn the_fixtures_image_agrees_and_its_reports_are_written() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    // Arena and store of the fixture are small.
    let policy = temporary("policy.toml");
    let text = std::fs::read_to_string(format!("{ROOT}/tools/isolation/policy.toml")).unwrap();
    let text = text.replace("least = 0x80_0000", "least = 0x1_0000");
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
    assert_eq!(claims.len(), 11);
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
        text.contains("| I1 |") && text.contains("| M5 |") && text.contains("audit → inference"),
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
