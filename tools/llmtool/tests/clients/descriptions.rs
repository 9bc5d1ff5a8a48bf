//! Descriptions and policies that contradict each other.

use super::*;

#[test]
fn a_fifth_client_is_refused() {
    let clients: String = (0..5)
        .map(|index| format!("[clients.c{index}]\nuser = \"guest\"\n"))
        .collect();
    let message = refused("five", &clients, SYSTEM);
    let line = line_of(&clients, "[clients.c4]");
    assert_eq!(
        message,
        format!("policy.toml:{line}: 5 clients, 0 to 4 are allowed")
    );
}

#[test]
fn a_client_that_the_description_does_not_have_is_refused() {
    let clients = format!("{SHELL}{TRIAGE}[clients.camera]\nuser = \"guest\"\n");
    let line = line_of(&clients, "[clients.camera]");
    let message = refused("unknown", &clients, SYSTEM);
    assert!(
        message.starts_with(&format!("policy.toml:{line}: client 'camera': "))
            && message.ends_with("system.xml has no such domain; its clients are triage, shell"),
        "{message}"
    );
    // A domain that is not a client.
    let clients = format!("{SHELL}{TRIAGE}[clients.inference]\nuser = \"guest\"\n");
    let message = refused("no-client", &clients, SYSTEM);
    assert!(
        message.contains("client 'inference': system.xml has such a domain (line 12), but audit has no slot for it"),
        "{message}"
    );
}

#[test]
fn a_client_that_the_policy_does_not_name_is_refused() {
    let message = refused("unnamed", SHELL, SYSTEM);
    assert_eq!(
        message,
        "system.xml:26: 'triage' is the client in slot 0 of audit, and the policy has no [clients.triage]: write there \
         which user it is"
    );
    let message = refused("none-named", "", SYSTEM);
    assert!(message.contains("no [clients.triage]"), "{message}");
}

#[test]
fn two_clients_on_one_channel_are_refused() {
    let clients = format!("{SHELL}{TRIAGE}");
    let system = SYSTEM.replace("id=\"5\"", "id=\"3\"");
    let message = refused("one-channel", &clients, &system);
    assert!(
        message.starts_with("system.xml:28: attribute 'id' is '3' a second time"),
        "{message}"
    );
    let system = SYSTEM.replace("client_0_channel", "client_1_channel");
    let message = refused("one-slot", &clients, &system);
    assert!(
        message.starts_with(
            "system.xml:28: attribute 'setvar_id' is 'client_1_channel' a second time"
        ),
        "{message}"
    );
}

#[test]
fn a_description_whose_slots_are_not_whole_is_refused() {
    let clients = format!("{SHELL}{TRIAGE}");
    for (name, from, to, line, reason) in [
        (
            "half",
            " setvar_size=\"audit_to_client_0_size\"",
            "",
            10,
            "audit has client_0_to_audit for the client in slot 0, but not audit_to_client_0_size",
        ),
        (
            "no-channel",
            " setvar_id=\"client_1_channel\"",
            "",
            8,
            "the client in slot 1, but not client_1_channel",
        ),
        (
            "others-ring",
            "<map mr=\"triage_to_audit\" vaddr=\"0x11000000\" />",
            "",
            10,
            "whose channel goes to 'triage', but region 'triage_to_audit' is not mapped there",
        ),
        (
            "no-audit",
            "name=\"audit\"",
            "name=\"auditor\"",
            28,
            "'pd' names 'audit', which does not exist",
        ),
        ("no-xml", "</system>", "", 1, "not well-formed XML"),
    ] {
        let system = SYSTEM.replacen(from, to, 1);
        assert_ne!(system, SYSTEM);
        let message = refused(name, &clients, &system);
        assert!(message.contains(reason), "{name}: {message}");
        let place = message.strip_prefix("system.xml:").unwrap();
        let at: usize = place.split(':').next().unwrap().parse().unwrap();
        if !matches!(name, "no-xml" | "no-audit") {
            assert_eq!(at, line, "{name}: {message}");
        }
    }
    let system = SYSTEM.replace("client_0", "client_4");
    let message = refused("slot-4", &clients, &system);
    assert_eq!(
        message,
        "system.xml:26: 'triage' is the client in slot 4: audit has the slots 0 to 3"
    );
}

#[test]
fn a_policy_is_not_written_without_a_description() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("clients-no-description");
    fs::create_dir_all(&folder).unwrap();
    let (path, image) = (folder.join("policy.toml"), folder.join("policy.bin"));
    fs::write(&path, format!("{REST}{SHELL}{TRIAGE}")).unwrap();
    let mut command = cargo_bin_cmd!("llmtool");
    let output = command
        .arg("policy")
        .arg(&path)
        .arg("-o")
        .arg(&image)
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("llmtool: give --system system.xml: audit knows each client"),
        "{said}"
    );
    assert!(!image.exists());
    let mut command = cargo_bin_cmd!("llmtool");
    let output = command
        .arg("policy")
        .arg(&path)
        .arg("--system")
        .arg("/no/such.xml")
        .output();
    let said = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(said.contains("cannot read /no/such.xml"), "{said}");
}
