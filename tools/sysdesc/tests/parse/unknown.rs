//! Unknown and forbidden elements and attributes.

use super::*;

#[test]
fn unknown_elements_are_refused_wherever_they_are() {
    let unknown = |parent: &str| Problem::UnknownElement {
        parent: parent.into(),
    };
    for (from, to, line, element, parent) in [
        ("<channel>", "<wire/><channel>", 21, "wire", "system"),
        ("<irq ", "<mapp/><irq ", 10, "mapp", "protection_domain"),
        ("<end ", "<ende/><end ", 22, "ende", "channel"),
        (
            "id=\"2\" trigger=\"edge\" setvar_id=\"watchdog\" />",
            "id=\"2\"><x/></irq>",
            10,
            "x",
            "irq",
        ),
        ("perms=\"r\" />", "perms=\"r\"><x/></map>", 13, "x", "map"),
        (
            "<memory_region name=\"ring\" size=\"0x2_000\" />",
            "<memory_region name=\"ring\" size=\"0x2000\"><x/></memory_region>",
            4,
            "x",
            "memory_region",
        ),
        (
            "<channel>",
            "<end pd=\"audit\" id=\"1\"/><channel>",
            21,
            "end",
            "system",
        ),
        ("<channel>", "<?run me?><channel>", 21, "", "system"),
        (
            "<channel>",
            "<m:channel xmlns:m=\"x\"/><channel>",
            21,
            "channel",
            "system",
        ),
    ] {
        assert_eq!(
            refused(from, to),
            (line, element.into(), unknown(parent)),
            "{to}"
        );
    }
}

#[test]
fn unknown_attributes_are_refused_on_every_element() {
    for (from, element, line) in [
        ("<system", "system", 3),
        ("<memory_region", "memory_region", 4),
        ("<protection_domain", "protection_domain", 7),
        ("<program_image", "program_image", 8),
        ("<map", "map", 9),
        ("<irq", "irq", 10),
        ("<channel", "channel", 21),
        ("<end", "end", 22),
    ] {
        let problem = Problem::UnknownAttribute {
            attribute: "colour".into(),
        };
        let found = refused(from, &format!("{from} colour=\"red\""));
        assert_eq!(found, (line, element.into(), problem));
    }
    // Only children have a number.
    let problem = Problem::UnknownAttribute {
        attribute: "id".into(),
    };
    let found = refused("name=\"audit\"", "name=\"audit\" id=\"1\"");
    assert_eq!(found, (7, "protection_domain".into(), problem));
}

#[test]
fn what_the_project_does_without_is_forbidden_by_name() {
    for (from, to, named) in [
        ("<program_image", "<cspace/><program_image", "capabilities"),
        (
            "<program_image",
            "<virtual_machine/><program_image",
            "virtual machines",
        ),
        ("<program_image", "<ioport/><program_image", "x86-64"),
        ("<channel>", "<io_address_space/><channel>", "x86-64"),
        ("fpu=\"false\"", "smc=\"true\"", "'smc'"),
        ("fpu=\"false\"", "passive=\"true\"", "'passive'"),
        ("notify=\"false\"", "pp=\"true\"", "'pp'"),
        ("trigger=\"edge\"", "pin=\"3\"", "'pin'"),
        (
            "prefill_path=\"store.tar\"",
            "prefill_bootinfo=\"fdt\"",
            "'prefill_bootinfo'",
        ),
        (
            "path=\"audit.elf\"",
            "path=\"a\" path_for_symbols=\"b\"",
            "'path_for_symbols'",
        ),
    ] {
        let text = text(from, to);
        assert!(
            text.contains("forbidden in this project") && text.contains(named),
            "{text}"
        );
    }
}

#[test]
fn to_say_that_there_is_none_of_it_changes_nothing() {
    let whole = System::parse(WHOLE).unwrap();
    for (from, to) in [
        ("name=\"audit\"", "name=\"audit\" smc=\"false\""),
        ("name=\"audit\"", "name=\"audit\" passive=\"false\""),
        ("name=\"audit\"", "name=\"audit\" cpu=\"0\""),
        ("name=\"audit\"", "name=\"audit\" cpu=\"0x0\""),
        ("notify=\"false\"", "notify=\"false\" pp=\"false\""),
    ] {
        assert_eq!(
            System::parse(&changed(from, to)).as_ref(),
            Ok(&whole),
            "{to}"
        );
    }
}

#[test]
fn numbers_that_the_tool_reads_as_decimal_only_are_refused_in_other_spellings() {
    for (from, to, attribute) in [
        ("id=\"61\"", "id=\"0x3d\"", "id"),
        ("id=\"61\"", "id=\"6_1\"", "id"),
        ("id=\"2\"", "id=\"0x2\"", "id"),
        ("irq=\"34\"", "irq=\"0x22\"", "irq"),
        ("irq=\"34\"", "irq=\"\"", "irq"),
    ] {
        let (_, _, problem) = refused(from, to);
        let is =
            matches!(&problem, Problem::Decimal { attribute: found, .. } if *found == attribute);
        assert!(is, "{to}: {problem}");
    }
}
