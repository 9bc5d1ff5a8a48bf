//! Claim E: a program's file says what it needs, and any description that gives something else is refused.

#[path = "programs/files.rs"]
mod files;
mod two_clients;

use isolation::policy::Policy;
use isolation::programs::{self, Program, ProgramError, Segment};
use std::collections::BTreeMap;
use sysdesc::System;
use sysdesc::clients::{IN_CLIENT, Slot};

const SYSTEM: &str = include_str!("../../../system.xml");
const POLICY: &str = include_str!("../policy.toml");

const RING: u64 = protocol::ring::REGION_BYTES as u64;
const STACK_TOP: u64 = isolation::microkit::stack_top(sysdesc::Arch::Aarch64);
const RESET: u64 = 0x20_0000;

/// What the three programs declare when they fit `system.xml`.
fn programs() -> BTreeMap<String, Program> {
    let with_sizes = |names: &[&str]| {
        let both = names
            .iter()
            .flat_map(|name| [(*name).to_owned(), format!("{name}_size")]);
        both.collect::<Vec<_>>()
    };
    let program = |variables: Vec<String>, facts: &[(&str, u64)], reset| Program {
        variables: variables.into_iter().map(|name| (name, 8)).collect(),
        facts: facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect(),
        segments: vec![
            segment(0x20_0000, 0x28_0000, false, true),
            segment(0x28_0000, 0x29_0000, false, false),
            segment(0x29_0000, 0x2a_0000, true, false),
        ],
        entry: 0x20_1000,
        reset,
        patched: Some([0x28_0000, 0x28_0100]),
    };
    let mut audit = with_sizes(&[
        "audit_to_inference",
        "inference_to_audit",
        "audit_log",
        "policy",
        "adapters",
        "formats",
        "model_store",
    ]);
    let numbers = "watchdog watchdog_channel timer_channel inference_channel inference_child";
    audit.extend(numbers.split(' ').map(str::to_owned));
    // Three of the four are free.
    audit.extend((0..4).flat_map(|slot| Slot(slot).variables().all()));
    let mut inference = with_sizes(&[
        "audit_to_inference",
        "inference_to_audit",
        "adapters",
        "formats",
        "arena",
        "model_store",
    ]);
    inference.push("audit_channel".to_owned());
    let mut shell = IN_CLIENT.map(str::to_owned).all().to_vec();
    shell.extend(["uart", "uart_channel"].map(str::to_owned));
    let [ring, version] = [
        ("ring_bytes", RING),
        ("protocol_version", protocol::VERSION.into()),
    ];
    let of_child = [
        ("child_reset", RESET),
        ("child_stack_top", STACK_TOP),
        ring,
        version,
    ];
    let of_stack = [
        ("stack_top", STACK_TOP),
        ("stack_bytes", 0x8_0000),
        ring,
        version,
    ];
    BTreeMap::from([
        ("audit".to_owned(), program(audit, &of_child, None)),
        (
            "inference".to_owned(),
            program(inference, &of_stack, Some(RESET)),
        ),
        ("shell".to_owned(), program(shell, &[ring, version], None)),
    ])
}

const fn segment(start: u64, end: u64, write: bool, execute: bool) -> Segment {
    Segment {
        start,
        end,
        write,
        execute,
    }
}

fn violations(text: &str, programs: &BTreeMap<String, Program>) -> Vec<String> {
    let system = System::parse(text).unwrap();
    let policy = Policy::parse(POLICY).unwrap();
    programs::check(&system, &policy, programs).violations
}

/// The only message after `change` has changed the programs.
fn said(change: impl FnOnce(&mut BTreeMap<String, Program>)) -> String {
    let mut programs = programs();
    change(&mut programs);
    let violations = violations(SYSTEM, &programs);
    assert_eq!(violations.len(), 1, "{violations:#?}");
    violations.concat()
}

#[test]
fn programs_that_fit_the_description_pass() {
    assert_eq!(violations(SYSTEM, &programs()), Vec::<String>::new());
}

#[test]
fn a_variable_that_nothing_sets_is_named_with_its_file() {
    let text = said(|programs| {
        let audit = programs.get_mut("audit").unwrap();
        audit.variables.insert("alarm_channel".to_owned(), 8);
    });
    assert!(
        text.contains("audit.elf needs the variable 'alarm_channel'"),
        "{text}"
    );
}

#[test]
fn a_variable_that_the_file_does_not_have_is_named_with_its_line() {
    let text = said(|programs| {
        let shell = programs.get_mut("shell").unwrap();
        shell.variables.remove("uart_channel");
    });
    assert!(
        text.contains("shell.elf has no variable 'uart_channel'") && text.contains("(line "),
        "{text}"
    );
}

#[test]
fn a_slot_that_a_client_has_must_be_in_audits_program() {
    let mut programs = programs();
    let audit = programs.get_mut("audit").unwrap();
    for name in Slot(0).variables().all() {
        audit.variables.remove(&name);
    }
    let said = violations(SYSTEM, &programs);
    assert_eq!(said.len(), 5, "{said:#?}");
    for name in Slot(0).variables().all() {
        let named =
            format!("audit.elf has no variable '{name}', which system.xml sets for audit (line ");
        assert!(
            said.iter().any(|text| text.starts_with(&named)),
            "{said:#?}"
        );
    }
}

#[test]
fn half_a_slot_in_audits_program_is_named() {
    let text = said(|programs| {
        let audit = programs.get_mut("audit").unwrap();
        audit.variables.remove("audit_to_client_3");
    });
    assert!(
        text.contains("audit.elf has variables of slot 3, but not 'audit_to_client_3'"),
        "{text}"
    );
}

#[test]
fn the_variables_of_a_slot_are_free_in_audits_program_alone() {
    let text = said(|programs| {
        let shell = programs.get_mut("shell").unwrap();
        shell.variables.insert("client_1_channel".to_owned(), 8);
    });
    assert!(
        text.contains("shell.elf needs the variable 'client_1_channel'"),
        "{text}"
    );
}

#[test]
fn a_variable_of_another_size_is_named() {
    let text = said(|programs| {
        let inference = programs.get_mut("inference").unwrap();
        inference.variables.insert("arena_size".to_owned(), 4);
    });
    assert!(text.contains("'arena_size' has 4 bytes"), "{text}");
}

#[test]
fn variables_that_a_restart_would_lose_are_named() {
    let text = said(|programs| {
        let inference = programs.get_mut("inference").unwrap();
        inference.patched = Some([0x29_0000, 0x29_0100]);
    });
    assert!(text.contains("a restart would lose them"), "{text}");
}

#[test]
fn numbers_that_a_program_relies_on_must_be_those_of_the_system() {
    for (domain, fact, value, words) in [
        ("shell", "ring_bytes", RING - 0x1000, "REGION_BYTES"),
        ("shell", "protocol_version", 3, "protocol::VERSION is 0x"),
        ("audit", "protocol_version", 0xffff, "build it again"),
        ("inference", "protocol_version", 0, "protocol::VERSION"),
        ("audit", "child_reset", 0x20_1000, "_reset of inference.elf"),
        (
            "audit",
            "child_stack_top",
            STACK_TOP - 0x1000,
            "Microkit's layout",
        ),
        (
            "inference",
            "stack_top",
            STACK_TOP + 0x1000,
            "Microkit's layout",
        ),
        (
            "inference",
            "stack_bytes",
            0x4_0000,
            "stack_size in system.xml (line ",
        ),
    ] {
        let text = said(|programs| {
            let facts = &mut programs.get_mut(domain).unwrap().facts;
            facts.insert(fact.to_owned(), value);
        });
        assert!(
            text.contains(&format!(
                "{domain}.elf relies on sel4_llm_{fact} = {value:#x}"
            )) && text.contains(words),
            "{text}"
        );
        let text = said(|programs| {
            programs.get_mut(domain).unwrap().facts.remove(fact);
        });
        assert!(
            text.contains(&format!("{domain}.elf does not declare sel4_llm_{fact}")),
            "{text}"
        );
    }
}

/// Two clients, whose programs are built separately from audit's.
#[test]
fn a_client_that_speaks_another_version_of_the_protocol_is_named() {
    let system = System::parse(&two_clients::system(SYSTEM)).unwrap();
    let policy = Policy::parse(&two_clients::policy(POLICY)).unwrap();
    let mut programs = programs();
    let mut triage = programs["shell"].clone();
    for name in ["uart", "uart_channel"] {
        triage.variables.remove(name);
    }
    for name in ["events", "events_size"] {
        triage.variables.insert(name.to_owned(), 8);
    }
    programs.insert("triage".to_owned(), triage);
    let said = |programs: &_| programs::check(&system, &policy, programs).violations;
    assert_eq!(said(&programs), Vec::<String>::new());
    let facts = &mut programs.get_mut("triage").unwrap().facts;
    let old = u64::from(protocol::VERSION) - 1;
    facts.insert("protocol_version".to_owned(), old);
    facts.insert("ring_bytes".to_owned(), RING / 2);
    let said = said(&programs);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(
        said[0].contains("triage.elf relies on sel4_llm_ring_bytes = 0x11800")
            && said[1].contains(&format!(
                "triage.elf relies on sel4_llm_protocol_version = {old:#x}, but protocol::VERSION is"
            ))
            && said[1].contains("build it again"),
        "{said:#?}"
    );
}

#[test]
fn a_stack_of_another_size_than_the_program_clears_is_named() {
    let text = SYSTEM.replace(r#"stack_size="0x80000""#, r#"stack_size="0x100000""#);
    let said = violations(&text, &programs()).concat();
    assert!(
        said.contains("stack_bytes = 0x80000") && said.contains("0x100000"),
        "{said}"
    );
}

#[test]
fn a_program_under_a_mapping_a_stack_or_out_of_place_is_named() {
    let text = SYSTEM.replace(
        r#"mr="policy" vaddr="0x13000000""#,
        r#"mr="policy" vaddr="0x29f000""#,
    );
    let said_of_map = violations(&text, &programs()).concat();
    assert!(
        said_of_map.contains("audit's mapping of 'policy'")
            && said_of_map.contains("over its program audit.elf"),
        "{said_of_map}"
    );
    let mut programs = programs();
    let shell = programs.get_mut("shell").unwrap();
    shell
        .segments
        .push(segment(STACK_TOP - 0x1000, STACK_TOP, true, false));
    let said = violations(SYSTEM, &programs).concat();
    assert!(
        said.contains("where shell's stack lies") && said.contains("programs must lie in"),
        "{said}"
    );
}

#[test]
fn data_on_a_page_of_code_is_named() {
    for (start, end) in [
        (0x2b_0800, 0x2b_0900),
        (0x2b_1000, 0x2b_1008),
        (0x2a_f000, 0x2b_0001),
    ] {
        let text = said(|programs| {
            let audit = programs.get_mut("audit").unwrap();
            audit
                .segments
                .push(segment(0x2b_0000, 0x2b_1010, false, true));
            audit.segments.push(segment(start, end, true, false));
        });
        assert!(text.contains("audit.elf has segments at"), "{text}");
        assert!(text.contains("that share a page"), "{text}");
    }
    let mut apart = programs();
    let audit = apart.get_mut("audit").unwrap();
    for (start, end, write) in [(0x2b_0000, 0x2b_1000, false), (0x2b_1000, 0x2b_2000, true)] {
        audit.segments.push(segment(start, end, write, !write));
    }
    assert_eq!(violations(SYSTEM, &apart), [""; 0]);
}

#[test]
fn code_that_can_be_written_and_an_entry_without_code_are_named() {
    let text = said(|programs| {
        let audit = programs.get_mut("audit").unwrap();
        audit
            .segments
            .push(segment(0x2b_0000, 0x2c_0000, true, true));
    });
    assert!(text.contains("writable and executable"), "{text}");
    let text = said(|programs| programs.get_mut("shell").unwrap().entry = 0x29_0000);
    assert!(
        text.contains("shell.elf begins at 0x290000, where it has no code"),
        "{text}"
    );
}

#[test]
fn a_child_that_was_not_prepared_for_a_restart_is_named() {
    let mut programs = programs();
    programs.get_mut("inference").unwrap().reset = None;
    let said = violations(SYSTEM, &programs).concat();
    assert!(
        said.contains("inference.elf has no symbol '_reset'") && said.contains("sel4-reset-cli"),
        "{said}"
    );
}
