//! Reading programs, including damaged ones.

use super::*;

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
