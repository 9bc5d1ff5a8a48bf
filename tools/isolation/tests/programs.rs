//! Claim E: a program's file says what it needs, and any description that gives something else is refused.

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
        text.contains("audit.elf has variables of slot 3 and not 'audit_to_client_3'"),
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
            text.contains(&format!("{domain}.elf does not say sel4_llm_{fact}")),
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

/// An ELF file for AArch64 with one segment of read-only data at 0x280000 and these symbols: name, address, size. A
/// symbol at 0 is the name of a source file.
fn elf(symbols: &[(&str, u64, u64)], data: &[u8]) -> Vec<u8> {
    const HEADER: usize = 64;
    const PROGRAM: usize = 56;
    const SECTION: usize = 64;
    let mut names = vec![0];
    let mut table = vec![0; 24];
    for (name, address, size) in symbols {
        table.extend((names.len() as u32).to_le_bytes());
        // A local file or a global object.
        table.extend([if *address == 0 { 0x04 } else { 0x11 }, 0]);
        table.extend(1_u16.to_le_bytes());
        table.extend(address.to_le_bytes());
        table.extend(size.to_le_bytes());
        names.extend(name.as_bytes());
        names.push(0);
    }
    let data_at = HEADER + PROGRAM;
    let table_at = (data_at + data.len()).next_multiple_of(8);
    let names_at = table_at + table.len();
    let sections_at = (names_at + names.len()).next_multiple_of(8);
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend(2_u16.to_le_bytes()); // An executable
    file.extend(183_u16.to_le_bytes()); // for AArch64.
    file.extend(1_u32.to_le_bytes());
    for word in [0x28_0000_u64, HEADER as u64, sections_at as u64] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [HEADER, PROGRAM, 1, SECTION, 4, 3] {
        file.extend((half as u16).to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes()); // PT_LOAD
    file.extend(4_u32.to_le_bytes()); // PF_R
    let size = data.len() as u64;
    for word in [data_at as u64, 0x28_0000, 0x28_0000, size, size, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(data);
    file.resize(table_at, 0);
    file.extend(&table);
    file.extend(&names);
    file.resize(sections_at, 0);
    // None, data, symbols, names: kind, flags, address, offset, size, link, first global, alignment, size of an entry.
    let sections: [[u64; 9]; 4] = [
        [0; 9],
        [1, 2, 0x28_0000, data_at as u64, size, 0, 0, 8, 0],
        [2, 0, 0, table_at as u64, table.len() as u64, 3, 1, 8, 24],
        [3, 0, 0, names_at as u64, names.len() as u64, 0, 0, 1, 0],
    ];
    for [kind, flags, address, offset, size, link, info, align, entry] in sections {
        file.extend(0_u32.to_le_bytes());
        file.extend((kind as u32).to_le_bytes());
        for word in [flags, address, offset, size] {
            file.extend(word.to_le_bytes());
        }
        file.extend((link as u32).to_le_bytes());
        file.extend((info as u32).to_le_bytes());
        for word in [align, entry] {
            file.extend(word.to_le_bytes());
        }
    }
    file
}

#[test]
fn a_file_is_read_with_its_variables_facts_and_segments() {
    let mut data = [0; 32];
    data[16..24].copy_from_slice(&0x1234_5678_9abc_u64.to_le_bytes());
    let file = elf(
        &[
            ("__variables_start", 0x28_0000, 0),
            ("watchdog", 0x28_0000, 8),
            ("$d", 0x28_0000, 0),
            ("policy_size", 0x28_0008, 8),
            ("__variables_end", 0x28_0010, 0),
            ("sel4_llm_ring_bytes", 0x28_0010, 8),
            ("other", 0x28_0018, 8),
            ("sel4_llm_client.1-cgu.0", 0, 0),
        ],
        &data,
    );
    let program = Program::read(&file).unwrap();
    let variables = [("policy_size".to_owned(), 8), ("watchdog".to_owned(), 8)];
    assert_eq!(program.variables, BTreeMap::from(variables));
    let facts = [("ring_bytes".to_owned(), 0x1234_5678_9abc)];
    assert_eq!(program.facts, BTreeMap::from(facts));
    assert_eq!(
        program.segments,
        [segment(0x28_0000, 0x28_0020, false, false)]
    );
    assert_eq!(program.patched, Some([0x28_0000, 0x28_0010]));
}

#[test]
fn a_file_that_says_nothing_is_no_program() {
    assert!(matches!(
        Program::read(b"\x7fELF"),
        Err(ProgramError::Elf(_))
    ));
    let halves = ["__variables_start", "__variables_end"];
    for (has, lacks) in [(0, 1), (1, 0)] {
        let error = Program::read(&elf(&[(halves[has], 0x28_0000, 0)], &[0; 8])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("pds/sel4/pd.ld") && text.contains(halves[lacks]),
            "{text}"
        );
    }
    let bounds = [
        ("__variables_start", 0x28_0000, 0),
        ("__variables_end", 0x28_0000, 0),
        ("sel4_llm_ring_bytes", 0x30_0000, 8),
    ];
    let error = Program::read(&elf(&bounds, &[0; 8])).unwrap_err();
    assert!(error.to_string().contains("'ring_bytes'"), "{error}");
}

/// A client linked with somebody's own linker script: nothing says which data are variables.
#[test]
fn a_client_need_not_say_which_of_its_data_are_variables_if_the_policy_allows_it() {
    let names = IN_CLIENT.all();
    let mut symbols: Vec<(&str, u64, u64)> = names
        .iter()
        .zip((0x28_0000..).step_by(8))
        .map(|(name, address)| (*name, address, 8))
        .collect();
    symbols.extend([
        ("uart", 0x28_0028, 8),
        ("uart_channel", 0x28_0030, 8),
        ("counter", 0x28_0038, 4),
        ("sel4_llm_ring_bytes", 0x28_0040, 8),
        ("sel4_llm_protocol_version", 0x28_0048, 8),
    ]);
    let mut data = [0; 0x50];
    data[0x40..0x48].copy_from_slice(&RING.to_le_bytes());
    data[0x48..].copy_from_slice(&u64::from(protocol::VERSION).to_le_bytes());
    let mut programs = programs();
    let code = programs["shell"].segments.clone();
    let mut put = |symbols: &[(&str, u64, u64)]| {
        let mut program = Program::read(&elf(symbols, &data)).unwrap();
        assert_eq!(program.patched, None);
        program.segments.clone_from(&code);
        program.entry = 0x20_1000;
        programs.insert("shell".to_owned(), program);
        programs.clone()
    };
    let unmarked = put(&symbols);
    let said = violations(SYSTEM, &unmarked);
    assert!(
        said.len() == 1
            && said[0].contains("shell.elf does not say which variables it needs")
            && said[0].contains("marked = false in shell's [[domain]]"),
        "{said:#?}"
    );
    let policy = POLICY.replace(
        "program = \"shell.elf\"\n",
        "program = \"shell.elf\"\nmarked = false\n",
    );
    let system = System::parse(SYSTEM).unwrap();
    let policy = Policy::parse(&policy).unwrap();
    let said = programs::check(&system, &policy, &unmarked).violations;
    assert_eq!(said, Vec::<String>::new());
    // What the description sets must still be present.
    symbols.retain(|(name, ..)| *name != "from_audit");
    let said = programs::check(&system, &policy, &put(&symbols)).violations;
    assert!(
        said.len() == 1 && said[0].contains("shell.elf has no variable 'from_audit'"),
        "{said:#?}"
    );
}

#[test]
fn no_damaged_file_makes_the_checker_panic() {
    let whole = elf(
        &[
            ("__variables_start", 0x28_0000, 0),
            ("watchdog", 0x28_0000, 8),
            ("__variables_end", 0x28_0008, 0),
            ("sel4_llm_ring_bytes", 0x28_0008, 8),
        ],
        &[0; 16],
    );
    assert!(Program::read(&whole).is_ok());
    let system = System::parse(SYSTEM).unwrap();
    let policy = Policy::parse(POLICY).unwrap();
    let mut programs = programs();
    for end in 0..whole.len() {
        let _ = Program::read(&whole[..end]);
    }
    for at in 0..whole.len() {
        for byte in [0, 1, 0x7f, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] = byte;
            if let Ok(program) = Program::read(&damaged) {
                programs.insert("shell".to_owned(), program);
                let _ = programs::check(&system, &policy, &programs);
            }
        }
    }
}
