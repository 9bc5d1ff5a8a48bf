use super::*;
use object::elf;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, Sym, Writer};

const SEGMENT: Segment = Segment {
    vaddr: 0x1000,
    size: 0x300,
    file_size: 0x180,
    copy: 0x9000,
};

fn run(to: u64, len: u64, from: u64, initialised: u64) -> Run {
    Run {
        to,
        len,
        from,
        initialised,
    }
}

#[test]
fn data_comes_from_the_copy_and_the_rest_becomes_zero() {
    assert_eq!(plan(SEGMENT, &[]), [run(0x1000, 0x300, 0x9000, 0x180)]);
    let zeros = Segment {
        file_size: 0,
        ..SEGMENT
    };
    assert_eq!(plan(zeros, &[]), [run(0x1000, 0x300, 0, 0)]);
    let nothing = Segment {
        size: 0,
        file_size: 0,
        ..SEGMENT
    };
    assert_eq!(plan(nothing, &[]), []);
}

#[test]
fn what_is_persistent_is_left_alone_wherever_it_lies() {
    // As the linker script has it: data, what is kept, zeros.
    assert_eq!(
        plan(SEGMENT, &[0x1100..0x1180]),
        [run(0x1000, 0x100, 0x9000, 0x100), run(0x1180, 0x180, 0, 0)]
    );
    // At the ends, across the end of what is in the file, elsewhere, all.
    assert_eq!(
        plan(SEGMENT, &[0x1000..0x1010, 0x12f0..0x1300]),
        [run(0x1010, 0x2e0, 0x9010, 0x170)]
    );
    assert_eq!(
        plan(SEGMENT, &[0x1170..0x1190]),
        [run(0x1000, 0x170, 0x9000, 0x170), run(0x1190, 0x170, 0, 0)]
    );
    let whole = plan(SEGMENT, &[]);
    assert_eq!(plan(SEGMENT, &[0..0x1000, 0x1300..0x2000]), whole);
    assert_eq!(plan(SEGMENT, &[0x800..0x2000]), []);
    // Overlapping.
    assert_eq!(
        plan(SEGMENT, &[0x1000..0x1200, 0x1100..0x1180]),
        [run(0x1200, 0x100, 0, 0)]
    );
}

#[test]
fn an_entry_of_the_table_is_four_little_endian_words() {
    let bytes: Vec<u8> = run(1, 2, 3, 4).bytes().collect();
    let words: Vec<u64> = bytes
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect();
    assert_eq!(words, [1, 2, 3, 4]);
}

/// Bytes in the file of the writable segment: data, and 16 bytes that are kept.
const DATA: &[u8; 48] = b"what the data begins with, a restart brings back";
const DATA_ADDRESS: u64 = 0x20_1000;
const ZEROS: u64 = 0x100;

/// A program with two segments and the symbols in `symbols`.
fn program(symbols: &[(&str, u64)], is_writable: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::new(object::Endianness::Little, true, &mut file);
    let symbol_names: Vec<_> = symbols
        .iter()
        .map(|(name, _)| writer.add_string(name.as_bytes()))
        .collect();
    let persistent_name = writer.add_section_name(b".persistent");
    writer.reserve_file_header();
    writer.reserve_program_headers(2);
    let text = writer.reserve(16, 16) as u64;
    let data = writer.reserve(DATA.len(), 16) as u64;
    writer.reserve_null_section_index();
    writer.reserve_section_index();
    writer.reserve_symtab_section_index();
    writer.reserve_strtab_section_index();
    writer.reserve_shstrtab_section_index();
    for _ in symbols {
        writer.reserve_symbol_index(None);
    }
    writer.reserve_symtab();
    writer.reserve_strtab();
    writer.reserve_shstrtab();
    writer.reserve_section_headers();

    writer
        .write_file_header(&FileHeader {
            os_abi: 0,
            abi_version: 0,
            e_type: elf::ET_EXEC,
            e_machine: elf::EM_AARCH64,
            e_entry: 0x20_0000,
            e_flags: 0,
        })
        .unwrap();
    let mut segment = |flags, offset, vaddr, size, memory| {
        writer.write_program_header(&ProgramHeader {
            p_type: PT_LOAD,
            p_flags: flags,
            p_offset: offset,
            p_vaddr: vaddr,
            p_paddr: vaddr,
            p_filesz: size,
            p_memsz: memory,
            p_align: 0x1000,
        });
    };
    let flags = if is_writable { PF_R | PF_W } else { PF_R };
    let size = DATA.len() as u64;
    segment(PF_R | elf::PF_X, text, 0x20_0000, 16, 16);
    segment(flags, data, DATA_ADDRESS, size, size + ZEROS);
    writer.write_align(16);
    writer.write(&[0; 16]);
    writer.write_align(16);
    writer.write(DATA);
    writer.write_null_symbol();
    for (name, (_, size)) in symbol_names.into_iter().zip(symbols) {
        writer.write_symbol(&Sym {
            name: Some(name),
            section: None,
            st_info: elf::STB_GLOBAL << 4,
            st_other: 0,
            st_shndx: elf::SHN_ABS,
            st_value: 0x20_0000,
            st_size: *size,
        });
    }
    writer.write_strtab();
    writer.write_shstrtab();
    writer.write_null_section_header();
    writer.write_section_header(&SectionHeader {
        name: Some(persistent_name),
        sh_type: elf::SHT_PROGBITS,
        sh_flags: u64::from(elf::SHF_ALLOC | elf::SHF_WRITE),
        sh_addr: DATA_ADDRESS + size - 16,
        sh_offset: data + size - 16,
        sh_size: 16,
        sh_link: 0,
        sh_info: 0,
        sh_addralign: 16,
        sh_entsize: 0,
    });
    writer.write_symtab_section_header(1);
    writer.write_strtab_section_header();
    writer.write_shstrtab_section_header();
    file
}

const SYMBOLS: [(&str, u64); 3] = [(RESET_CODE, 24), PATCHED[0], PATCHED[1]];

/// The bytes that are mapped at `vaddr`.
fn mapped<'a>(elf: &ElfFile<'a, Header>, vaddr: u64, len: u64) -> &'a [u8] {
    let headers = elf.elf_program_headers().iter();
    let data = headers
        .filter(|header| header.p_type(LittleEndian) == PT_LOAD)
        .find_map(|header| {
            let start = vaddr.checked_sub(header.p_vaddr(LittleEndian))?;
            let bytes = header.data(LittleEndian, elf.data()).ok()?;
            bytes.get(start as usize..(start + len) as usize)
        });
    data.expect("mapped")
}

#[test]
fn a_program_gets_a_read_only_copy_and_a_table_that_leads_to_it() {
    let program = program(&SYMBOLS, true);
    let restartable = add(&program).unwrap();
    let elf = ElfFile::<Header>::parse(&*restartable).unwrap();
    let table = elf
        .elf_program_headers()
        .iter()
        .find(|header| header.p_type(LittleEndian) == PT_SEL4_RESET_REGIONS)
        .expect("a table");
    let words: Vec<u64> = mapped(
        &elf,
        table.p_vaddr(LittleEndian),
        table.p_memsz(LittleEndian),
    )
    .chunks_exact(8)
    .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
    .collect();
    let data_len = DATA.len() as u64 - 16;
    let [to, len, from, initialised, rest @ ..] = &*words else {
        panic!("{words:x?}");
    };
    assert_eq!((*to, *len, *initialised), (DATA_ADDRESS, data_len, data_len));
    assert_eq!(mapped(&elf, *from, data_len), &DATA[..data_len as usize]);
    assert_eq!(rest, [DATA_ADDRESS + DATA.len() as u64, ZEROS, 0, 0]);
    let writable = elf.elf_program_headers().iter().filter(|header| {
        header.p_flags(LittleEndian) & PF_W != 0
    });
    assert_eq!(writable.count(), 1, "the copy is read-only");
}

#[test]
fn what_cannot_be_restarted_is_refused() {
    assert!(matches!(add(b"\x7fELF"), Err(Error::NotElf64(_))));
    assert!(matches!(add(b""), Err(Error::NotElf64(_))));
    assert!(matches!(
        add(&program(&SYMBOLS, false)),
        Err(Error::NothingToReset)
    ));
    for missing in 0..SYMBOLS.len() {
        let mut symbols = SYMBOLS.to_vec();
        let (name, _) = symbols.remove(missing);
        assert!(matches!(add(&program(&symbols, true)), Err(Error::NoResetCode(found)) if found == name));
    }
    let wrong_size = [SYMBOLS[0], (SYMBOLS[1].0, 4), SYMBOLS[2]];
    assert!(matches!(
        add(&program(&wrong_size, true)),
        Err(Error::NoResetCode(_))
    ));
    // The first field after p_flags and p_offset of the second program header: its p_offset.
    let mut outside = program(&SYMBOLS, true);
    let offset = size_of::<Header>() + size_of::<ProgramHeader64<LittleEndian>>() + 8;
    outside[offset..offset + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(
        add(&outside),
        Err(Error::BadSegment {
            vaddr: DATA_ADDRESS
        })
    ));
}
