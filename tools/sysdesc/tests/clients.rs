//! Which domains are recognised as clients, and which slots are refused with which messages.

use sysdesc::System;
use sysdesc::clients::{ClientProblem, IN_CLIENT, Slot};

/// Audit with two clients, in slots 0 and 2; tests change a piece of it.
const TWO: &str = r#"<system>
    <memory_region name="a_to_audit" size="0x1000" />
    <memory_region name="audit_to_a" size="0x1000" />
    <memory_region name="b_to_audit" size="0x1000" />
    <memory_region name="audit_to_b" size="0x1000" />
    <protection_domain name="audit" priority="120">
        <program_image path="audit.elf" />
        <map mr="a_to_audit" vaddr="0x11000000" perms="r" setvar_vaddr="client_2_to_audit" setvar_size="client_2_to_audit_size" />
        <map mr="audit_to_a" vaddr="0x11100000" setvar_vaddr="audit_to_client_2" setvar_size="audit_to_client_2_size" />
        <map mr="b_to_audit" vaddr="0x11200000" perms="r" setvar_vaddr="client_0_to_audit" setvar_size="client_0_to_audit_size" />
        <map mr="audit_to_b" vaddr="0x11300000" setvar_vaddr="audit_to_client_0" setvar_size="audit_to_client_0_size" />
    </protection_domain>
    <protection_domain name="a" priority="110">
        <program_image path="a.elf" />
        <map mr="a_to_audit" vaddr="0x11000000" setvar_vaddr="to_audit" setvar_size="to_audit_size" />
        <map mr="audit_to_a" vaddr="0x11100000" perms="r" setvar_vaddr="from_audit" setvar_size="from_audit_size" />
    </protection_domain>
    <protection_domain name="b" priority="110">
        <program_image path="b.elf" />
        <map mr="b_to_audit" vaddr="0x11000000" setvar_vaddr="to_audit" setvar_size="to_audit_size" />
        <map mr="audit_to_b" vaddr="0x11100000" perms="r" setvar_vaddr="from_audit" setvar_size="from_audit_size" />
    </protection_domain>
    <channel>
        <end pd="audit" id="7" setvar_id="client_2_channel" />
        <end pd="a" id="0" setvar_id="audit_channel" />
    </channel>
    <channel>
        <end pd="b" id="0" setvar_id="audit_channel" />
        <end pd="audit" id="5" setvar_id="client_0_channel" />
    </channel>
</system>
"#;

/// The description with each `from`, which must occur once, replaced.
fn changed(changes: &[(&str, &str)]) -> System {
    let mut text = TWO.to_owned();
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text = text.replace(from, to);
    }
    System::parse(&text).unwrap()
}

/// The line and the problem for which the changed description is refused.
fn refused(changes: &[(&str, &str)]) -> (u32, ClientProblem) {
    let system = changed(changes);
    let error = system.clients().unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("line {}: ", error.line)),
        "{error}"
    );
    (error.line, error.problem)
}

#[test]
fn clients_are_those_whose_channel_and_rings_audit_is_told() {
    let system = changed(&[]);
    let clients = system.clients().unwrap();
    let found: Vec<_> = clients
        .iter()
        .map(|client| {
            (
                client.slot.0,
                client.domain.name.as_str(),
                client.channel,
                client.line,
            )
        })
        .collect();
    assert_eq!(found, [(0, "b", 5, 27), (2, "a", 7, 23)]);
}

#[test]
fn the_shell_is_the_client_of_the_systems_own_description() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../system.xml");
    let system = System::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    let clients = system.clients().unwrap();
    let names: Vec<_> = clients
        .iter()
        .map(|client| client.domain.name.as_str())
        .collect();
    assert_eq!(names, ["shell"]);
    assert_eq!(clients[0].slot, Slot(0));
}

#[test]
fn a_slot_of_which_each_variable_in_turn_is_not_set_is_refused() {
    let [to, to_size, from, from_size, channel] = Slot(0).variables().all();
    for (attribute, name, line) in [
        ("setvar_vaddr", to, 10),
        ("setvar_size", to_size, 10),
        ("setvar_vaddr", from, 10),
        ("setvar_size", from_size, 10),
        ("setvar_id", channel, 10),
    ] {
        let set = format!(" {attribute}=\"{name}\"");
        let (at, problem) = refused(&[(&set, "")]);
        let ClientProblem::HalfSlot { slot, lacks, .. } = problem else {
            panic!("{name}: {problem}");
        };
        assert_eq!((at, slot, lacks), (line, Slot(0), name));
    }
}

#[test]
fn a_variable_that_gets_a_number_of_another_kind_is_not_set() {
    let (_, problem) = refused(&[(
        r#"setvar_vaddr="audit_to_client_0" setvar_size="audit_to_client_0_size""#,
        r#"setvar_vaddr="audit_to_client_0_size" setvar_size="audit_to_client_0""#,
    )]);
    assert!(
        matches!(&problem, ClientProblem::HalfSlot { lacks, .. } if lacks == "audit_to_client_0"),
        "{problem}"
    );
}

#[test]
fn rings_of_two_clients_in_each_others_slots_are_refused() {
    let (line, problem) = refused(&[
        (r#""client_2_to_audit""#, r#""x""#),
        (r#""client_0_to_audit""#, r#""client_2_to_audit""#),
        (r#""x""#, r#""client_0_to_audit""#),
    ]);
    assert_eq!(line, 8);
    let text = problem.to_string();
    assert!(
        text.contains("client_0_to_audit for the client in slot 0, whose channel goes to 'b', but region 'a_to_audit'"),
        "{text}"
    );
}

#[test]
fn a_domain_in_two_slots_is_refused() {
    let (line, problem) = refused(&[
        (
            r#"<end pd="b" id="0" setvar_id="audit_channel" />"#,
            r#"<end pd="a" id="1" setvar_id="another_channel" />"#,
        ),
        (
            r#"<map mr="a_to_audit" vaddr="0x11000000" setvar_vaddr="to_audit" setvar_size="to_audit_size" />"#,
            r#"<map mr="a_to_audit" vaddr="0x11000000" setvar_vaddr="to_audit" setvar_size="to_audit_size" />
        <map mr="b_to_audit" vaddr="0x11200000" /><map mr="audit_to_b" vaddr="0x11300000" perms="r" />"#,
        ),
    ]);
    assert_eq!(line, 24);
    assert_eq!(
        problem,
        ClientProblem::TwoSlots {
            client: "a".to_owned(),
            first: Slot(0),
            second: Slot(2)
        }
    );
}

#[test]
fn two_clients_on_one_channel_are_refused_by_the_reader() {
    let text = TWO.replace(r#"<end pd="audit" id="5""#, r#"<end pd="audit" id="7""#);
    let error = System::parse(&text).unwrap_err().to_string();
    assert!(
        error.contains("attribute 'id' is '7' a second time") && error.contains("line 29"),
        "{error}"
    );
}

#[test]
fn a_description_without_audit_has_no_clients_to_name() {
    let system = System::parse(
        r#"<system><protection_domain name="a" priority="1"><program_image path="a.elf" /></protection_domain></system>"#,
    )
    .unwrap();
    assert_eq!(
        system.clients().unwrap_err().problem,
        ClientProblem::NoAudit
    );
}

#[test]
fn only_names_of_slots_are_slots() {
    for (name, slot) in [
        ("client_0_to_audit", Some(0)),
        ("client_12_channel", Some(12)),
        ("audit_to_client_3_size", Some(3)),
        ("audit_to_client_3", Some(3)),
        ("client_00_channel", None),
        ("client_+1_channel", None),
        ("client__channel", None),
        ("client_0", None),
        ("client_0_channels", None),
        ("audit_to_client_", None),
        ("audit_to_client_0_channel", None),
        ("client_99999999999999999999_channel", None),
        ("to_audit", None),
        ("", None),
    ] {
        assert_eq!(Slot::of_variable(name), slot.map(Slot), "{name}");
    }
    assert!(
        IN_CLIENT
            .all()
            .iter()
            .all(|name| Slot::of_variable(name).is_none())
    );
}
