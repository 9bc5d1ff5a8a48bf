//! What the parser accepts, and its messages for what it refuses.

#[path = "parse/ranges.rs"]
mod ranges;
#[path = "parse/unknown.rs"]
mod unknown;

use sysdesc::{Perms, Problem, System, Trigger};

/// A description with one of everything; tests change a piece of it.
const WHOLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- A comment. -->
<system>
    <memory_region name="ring" size="0x2_000" />
    <memory_region name="store" size="4194304" page_size="0x200000" prefill_path="store.tar" />
    <memory_region name="uart" size="0x1000" phys_addr="0x9000000" />
    <protection_domain name="audit" priority="120" fpu="false" stack_size="0x10000">
        <program_image path="audit.elf" />
        <map mr="ring" vaddr="0x11000000" perms="rw" setvar_vaddr="ring" setvar_size="ring_size" />
        <irq irq="34" id="2" trigger="edge" setvar_id="watchdog" />
        <protection_domain name="inference" id="7" setvar_id="child" priority="100" cpu="2" budget="10000" period="20000">
            <program_image path="inference.elf" />
            <map mr="ring" vaddr="0x11000000" perms="r" />
            <map mr="store" vaddr="0x30000000" perms="r" setvar_prefill_size="store_size" />
        </protection_domain>
    </protection_domain>
    <protection_domain name="shell" priority="110">
        <program_image path="shell.elf" />
        <map mr="uart" vaddr="0x10000000" cached="false" />
    </protection_domain>
    <channel>
        <end pd="audit" id="0" setvar_id="to_shell" />
        <end pd="shell" id="61" notify="false" />
    </channel>
</system>
"#;

/// Replaces the first `from`, which must be there.
fn changed(from: &str, to: &str) -> String {
    assert!(WHOLE.contains(from), "{from}");
    WHOLE.replacen(from, to, 1)
}

/// The line, element and problem that the changed description is refused with.
fn refused(from: &str, to: &str) -> (u32, String, Problem) {
    match System::parse(&changed(from, to)) {
        Ok(_) => panic!("'{to}' is not refused"),
        Err(error) => (error.place.line, error.place.element, error.problem),
    }
}

fn text(from: &str, to: &str) -> String {
    System::parse(&changed(from, to)).unwrap_err().to_string()
}

#[test]
fn the_systems_own_description_is_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../system.xml");
    let system = System::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    let names: Vec<_> = system
        .domains
        .iter()
        .map(|domain| domain.name.as_str())
        .collect();
    assert_eq!(names, ["audit", "inference", "shell"]);
    assert_eq!(
        system
            .domain("inference")
            .unwrap()
            .parent
            .as_ref()
            .unwrap()
            .domain,
        0
    );
    assert_eq!(system.channels.len(), 2);
}

#[test]
fn everything_in_a_description_is_read() {
    let system = System::parse(WHOLE).unwrap();
    let [ring, store, uart] = &system.regions[..] else {
        panic!()
    };
    assert_eq!(
        (ring.size, ring.page_size, ring.phys_addr, ring.line),
        (0x2000, 0x1000, None, 4)
    );
    assert_eq!((store.size, store.page_size), (0x40_0000, 0x20_0000));
    assert_eq!(store.prefill_path.as_deref(), Some("store.tar"));
    assert_eq!(uart.phys_addr, Some(0x900_0000));

    let [audit, inference, shell] = &system.domains[..] else {
        panic!()
    };
    assert_eq!(
        (audit.priority, audit.fpu, audit.stack_size),
        (120, false, 0x10000)
    );
    assert_eq!((audit.cpu, inference.cpu), (0, 2));
    assert_eq!(
        (audit.budget_us, audit.period_us, audit.parent.is_none()),
        (1000, 1000, true)
    );
    assert_eq!(audit.program_image, "audit.elf");
    let irq = &audit.irqs[0];
    assert_eq!((irq.number, irq.id, irq.trigger), (34, 2, Trigger::Edge));
    assert_eq!(irq.setvar_id.as_deref(), Some("watchdog"));
    let map = &audit.maps[0];
    assert_eq!(
        (map.region, map.vaddr, map.end(ring)),
        (0, 0x1100_0000, 0x1100_2000)
    );
    assert_eq!(
        map.perms,
        Perms {
            read: true,
            write: true,
            execute: false
        }
    );
    assert_eq!(map.setvar_vaddr.as_deref(), Some("ring"));
    assert_eq!(map.setvar_size.as_deref(), Some("ring_size"));

    let parent = inference.parent.as_ref().unwrap();
    assert_eq!(
        (parent.domain, parent.id, parent.setvar_id.as_deref()),
        (0, 7, Some("child"))
    );
    assert_eq!(
        (inference.budget_us, inference.period_us, inference.fpu),
        (10000, 20000, true)
    );
    assert_eq!(
        inference.maps[1].setvar_prefill_size.as_deref(),
        Some("store_size")
    );
    assert_eq!(
        shell.maps[0].perms,
        Perms {
            read: true,
            write: true,
            execute: false
        }
    );
    assert_eq!((shell.maps[0].cached, shell.stack_size), (false, 0x2000));

    let [one, other] = &system.channels[0].ends;
    assert_eq!((one.domain, one.id, one.notify), (0, 0, true));
    assert_eq!((other.domain, other.id, other.notify), (2, 61, false));
    assert_eq!(one.setvar_id.as_deref(), Some("to_shell"));
    let maps = system
        .maps_of(0)
        .map(|(domain, map)| (domain.name.as_str(), map.perms.write));
    assert_eq!(
        maps.collect::<Vec<_>>(),
        [("audit", true), ("inference", false)]
    );
}

#[test]
fn what_the_checker_judges_is_parsed() {
    let system = System::parse(&changed("perms=\"rw\"", "perms=\"xwr\"")).unwrap();
    assert_eq!(
        system.domains[0].maps[0].perms,
        Perms {
            read: true,
            write: true,
            execute: true
        }
    );
    let system = System::parse(&changed("perms=\"r\"", "perms=\"rw\"")).unwrap();
    assert_eq!(
        system.maps_of(0).filter(|(_, map)| map.perms.write).count(),
        2
    );
}

#[test]
fn a_program_learns_where_a_region_lies_that_stands_before_it() {
    let with = |setvar: &str| {
        let program = r#"<program_image path="shell.elf" />"#;
        System::parse(&changed(program, &format!("{setvar}{program}")))
    };
    let system = with(r#"<setvar symbol="where" region_paddr="ring" />"#).unwrap();
    let shell = system.domain("shell").unwrap();
    let [physical] = &shell.physical[..] else {
        panic!("{:?}", shell.physical);
    };
    assert_eq!((physical.region, physical.symbol.as_str()), (0, "where"));
    for (setvar, named) in [
        (r#"<setvar region_paddr="ring" />"#, "symbol"),
        (r#"<setvar symbol="where" />"#, "region_paddr"),
        (r#"<setvar symbol="where" region_paddr="other" />"#, "other"),
        (
            r#"<setvar symbol="where" region_paddr="ring" size="1" />"#,
            "size",
        ),
        (
            r#"<setvar symbol="where" region_paddr="ring" /><setvar symbol="where" region_paddr="ring" />"#,
            "where",
        ),
    ] {
        let error = with(setvar).unwrap_err().to_string();
        assert!(error.contains(named), "{setvar}: {error}");
    }
}

#[test]
fn missing_attributes_and_elements_are_named() {
    for (from, to, element, missing) in [
        (" name=\"ring\"", "", "memory_region", "name"),
        (" size=\"0x2_000\"", "", "memory_region", "size"),
        (" name=\"audit\"", "", "protection_domain", "name"),
        (" id=\"7\"", "", "protection_domain", "id"),
        (" path=\"audit.elf\"", "", "program_image", "path"),
        (" mr=\"ring\"", "", "map", "mr"),
        (" vaddr=\"0x11000000\"", "", "map", "vaddr"),
        (" irq=\"34\"", "", "irq", "irq"),
        (" id=\"2\"", "", "irq", "id"),
        (" pd=\"audit\"", "", "end", "pd"),
        (" id=\"61\"", "", "end", "id"),
    ] {
        let (_, found, problem) = refused(from, to);
        assert_eq!(
            (found.as_str(), problem),
            (element, Problem::MissingAttribute { attribute: missing })
        );
    }
    let child = "program_image";
    assert_eq!(
        refused("<program_image path=\"shell.elf\" />", ""),
        (
            17,
            "protection_domain".into(),
            Problem::MissingElement { child }
        )
    );
    let problem = System::parse("<system/>").unwrap_err().problem;
    assert_eq!(
        problem,
        Problem::MissingElement {
            child: "protection_domain"
        }
    );
}

#[test]
fn words_and_names_are_checked() {
    for (from, to, attribute) in [
        ("fpu=\"false\"", "fpu=\"no\"", "fpu"),
        ("perms=\"r\"", "perms=\"w\"", "perms"),
        ("perms=\"r\"", "perms=\"\"", "perms"),
        ("perms=\"r\"", "perms=\"rr\"", "perms"),
        ("perms=\"r\"", "perms=\"rä\"", "perms"),
        ("perms=\"r\"", "perms=\"wx\"", "perms"),
        ("trigger=\"edge\"", "trigger=\"both\"", "trigger"),
        ("notify=\"false\"", "notify=\"0\"", "notify"),
        (
            "page_size=\"0x200000\"",
            "page_size=\"0x4000\"",
            "page_size",
        ),
    ] {
        match refused(from, to).2 {
            Problem::Word {
                attribute: found, ..
            } => assert_eq!(found, attribute),
            other => panic!("{to}: {other:?}"),
        }
    }
    let long = format!("name=\"{}\"", "r".repeat(64));
    for name in ["name=\"\"", "name=\"a b\"", "name=\"a;b\"", &long] {
        let problem = refused("name=\"ring\"", name).2;
        assert!(
            matches!(
                problem,
                Problem::Name {
                    attribute: "name",
                    most: 63,
                    ..
                }
            ),
            "{name}"
        );
    }
}

#[test]
fn duplicates_and_dangling_references_are_refused() {
    for (from, to, attribute, value) in [
        ("name=\"store\"", "name=\"ring\"", "name", "ring"),
        ("name=\"shell\"", "name=\"audit\"", "name", "audit"),
        ("name=\"shell\"", "name=\"monitor\"", "name", "monitor"),
        (
            "<channel>",
            "<channel><end pd=\"audit\" id=\"2\"/><end pd=\"shell\" id=\"1\"/></channel><channel>",
            "id",
            "2",
        ),
        (
            "</channel>",
            "</channel><channel><end pd=\"audit\" id=\"0\"/><end pd=\"shell\" id=\"1\"/></channel>",
            "id",
            "0",
        ),
        ("<irq ", "<irq irq=\"35\" id=\"2\"/><irq ", "id", "2"),
        (
            "<map mr=\"uart\"",
            "<irq irq=\"34\" id=\"2\"/><map mr=\"uart\"",
            "irq",
            "34",
        ),
        (
            "setvar_size=\"ring_size\"",
            "setvar_size=\"ring\"",
            "setvar_size",
            "ring",
        ),
    ] {
        // The last case repeats a symbol inside one element.
        match System::parse(&changed(from, to)) {
            Err(error) => match error.problem {
                Problem::Duplicate {
                    attribute: found,
                    value: written,
                    ..
                } => {
                    assert_eq!((found, written.as_str()), (attribute, value), "{to}");
                }
                other => panic!("{to}: {other:?}"),
            },
            Ok(_) => panic!("{to} is not refused"),
        }
    }
    let second =
        "<protection_domain name=\"x\" id=\"7\"><program_image path=\"x\"/></protection_domain>";
    let twice = format!("{second}</protection_domain>\n    <protection_domain name=\"shell\"");
    let found = refused(
        "</protection_domain>\n    <protection_domain name=\"shell\"",
        &twice,
    )
    .2;
    assert!(matches!(
        found,
        Problem::Duplicate {
            attribute: "id",
            ..
        }
    ));
    assert_eq!(
        refused("mr=\"store\"", "mr=\"shop\"").2,
        Problem::Unresolved {
            attribute: "mr",
            value: "shop".into()
        }
    );
    assert_eq!(
        refused("pd=\"shell\"", "pd=\"bash\"").2,
        Problem::Unresolved {
            attribute: "pd",
            value: "bash".into()
        }
    );
}

#[test]
fn channels_have_two_ends_in_two_domains() {
    let one = "<channel><end pd=\"audit\" id=\"1\"/></channel><channel>";
    assert_eq!(
        refused("<channel>", one).2,
        Problem::ChannelEnds { ends: 1 }
    );
    let three = "<channel><end pd=\"audit\" id=\"5\"/>";
    assert_eq!(
        refused("<channel>", three).2,
        Problem::ChannelEnds { ends: 3 }
    );
    let itself = refused("pd=\"shell\" id=\"61\"", "pd=\"audit\" id=\"1\"").2;
    assert_eq!(
        itself,
        Problem::ChannelToSelf {
            domain: "audit".into()
        }
    );
}

#[test]
fn regions_and_domains_may_come_after_their_use() {
    let mut lines: Vec<_> = WHOLE.lines().collect();
    let channel: Vec<_> = lines.drain(20..24).collect();
    lines.splice(3..3, channel);
    let region = lines.remove(7);
    assert!(region.contains("\"ring\""));
    lines.insert(lines.len() - 1, region);
    let system = System::parse(&lines.join("\n")).unwrap();
    assert_eq!(
        system.regions[system.domains[0].maps[0].region].name,
        "ring"
    );
}

#[test]
fn what_is_no_system_description_is_refused() {
    for text in [
        "",
        "system",
        "<system>",
        "<a><b></a></b>",
        "<!DOCTYPE x [<!ENTITY e \"x\">]><system/>",
    ] {
        let error = System::parse(text).unwrap_err();
        assert!(
            matches!(error.problem, Problem::Xml { .. }),
            "{text}: {error}"
        );
    }
    assert_eq!(System::parse("<sys/>").unwrap_err().problem, Problem::Root);
    let problem = refused("<channel>", "stray<channel>").2;
    assert_eq!(
        problem,
        Problem::Text {
            text: "stray".into()
        }
    );
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    assert!(System::parse(&deep).is_err());
}

#[test]
fn more_domains_than_microkit_has_room_for_are_refused() {
    let domain = |n| {
        format!("<protection_domain name=\"d{n}\"><program_image path=\"d\"/></protection_domain>")
    };
    let system = |n| {
        format!(
            "<system>{}</system>",
            (0..n).map(domain).collect::<String>()
        )
    };
    assert_eq!(System::parse(&system(63)).unwrap().domains.len(), 63);
    let problem = System::parse(&system(64)).unwrap_err().problem;
    assert_eq!(problem, Problem::TooManyDomains { most: 63 });
}
