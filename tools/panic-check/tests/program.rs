//! The check on programs small enough to know every answer.

use panic_check::argument::{Argument, ArgumentError, Arguments, judge};
use panic_check::graph::{Walk, walk};
use panic_check::image::{Image, ImageError};
use std::process::Command;

const TEXT: u64 = 0x1_0000;
const DATA: u64 = 0x2_0000;

const RET: u32 = 0xD65F_03C0;
const BRK: u32 = 0xD420_0020;
const BLR_X8: u32 = 0xD63F_0100;
const BR_X8: u32 = 0xD61F_0100;
const LDR_X8: u32 = 0xF940_0108; // ldr x8, [x8]
const LDR_X8_16: u32 = 0xF940_0908; // ldr x8, [x8, #16]
const ADD_X10: u32 = 0x8B0B_014A; // add x10, x10, x11
const TABLE: u32 = 0x8B09_0908; // add x8, x8, x9, lsl #2

/// A linked AArch64 program: functions one after the other, and data.
#[derive(Default)]
struct Program {
    code: Vec<u32>,
    symbols: Vec<(&'static str, u64, u64)>,
    data: Vec<u8>,
}

impl Program {
    fn here(&self) -> u64 {
        TEXT + 4 * self.code.len() as u64
    }

    fn function(&mut self, name: &'static str, code: &[u32]) -> u64 {
        let start = self.here();
        self.code.extend(code);
        self.symbols.push((name, start, 4 * code.len() as u64));
        start
    }

    /// A `core::panic::Location`.
    fn location(&mut self, file: &str, line: u32) -> u64 {
        let name = DATA + self.data.len() as u64;
        self.data.extend(file.as_bytes());
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        let at = DATA + self.data.len() as u64;
        self.data.extend(name.to_le_bytes());
        self.data.extend((file.len() as u64).to_le_bytes());
        self.data.extend(line.to_le_bytes());
        self.data.extend(5u32.to_le_bytes());
        at
    }

    fn elf(&self) -> Vec<u8> {
        let text: Vec<u8> = self
            .code
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let (mut names, mut symbols) = (vec![0], vec![0; 24]);
        for (name, start, size) in &self.symbols {
            symbols.extend((names.len() as u32).to_le_bytes());
            symbols.extend([0x12, 0, 1, 0]); // A global function in section 1.
            symbols.extend(start.to_le_bytes());
            symbols.extend(size.to_le_bytes());
            names.extend(name.bytes().chain([0]));
        }
        let section_names = b"\0.text\0.rodata\0.symtab\0.strtab\0";
        // Name, type, flags, address, contents, link, info, entry size.
        let sections = [
            (0u32, 0u32, 0u64, 0u64, &[][..], 0u32, 0u32, 0u64),
            (1, 1, 6, TEXT, &text, 0, 0, 0),
            (7, 1, 2, DATA, &self.data, 0, 0, 0),
            (15, 2, 0, 0, &symbols, 4, 1, 24),
            (23, 3, 0, 0, &names, 0, 0, 0),
        ];
        let mut file = vec![0; 64];
        let mut headers = Vec::new();
        for (name, kind, flags, address, contents, link, info, size) in sections {
            headers.extend(name.to_le_bytes());
            headers.extend(kind.to_le_bytes());
            for word in [flags, address, file.len() as u64, contents.len() as u64] {
                headers.extend(word.to_le_bytes());
            }
            headers.extend(link.to_le_bytes());
            headers.extend(info.to_le_bytes());
            headers.extend(8u64.to_le_bytes());
            headers.extend(size.to_le_bytes());
            file.extend(contents);
            file.resize(file.len().next_multiple_of(8), 0);
        }
        // One more section: their names.
        headers.extend(0u32.to_le_bytes());
        headers.extend(3u32.to_le_bytes());
        for word in [0, 0, file.len() as u64, section_names.len() as u64, 0, 8, 0] {
            headers.extend(u64::to_le_bytes(word));
        }
        file.extend(section_names);
        file.resize(file.len().next_multiple_of(8), 0);
        let at = file.len() as u64;
        file.extend(headers);
        file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        file[16..20].copy_from_slice(&[2, 0, 183, 0]); // ET_EXEC, EM_AARCH64
        file[20] = 1;
        file[24..32].copy_from_slice(&TEXT.to_le_bytes());
        file[40..48].copy_from_slice(&at.to_le_bytes());
        for (offset, value) in [(52, 64u16), (54, 56), (58, 64), (60, 6), (62, 5)] {
            file[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
        }
        file
    }
}

fn bl(from: u64, to: u64) -> u32 {
    0x9400_0000 | (to.wrapping_sub(from) as u32 >> 2) & 0x3FF_FFFF
}

fn b(from: u64, to: u64) -> u32 {
    bl(from, to) & 0x7FFF_FFFF
}

/// `adrp x0, …` and `add x0, x0, …`.
fn address(from: u64, to: u64) -> [u32; 2] {
    let pages = ((to >> 12).wrapping_sub(from >> 12)) as u32;
    let adrp = 0x9000_0000 | (pages & 3) << 29 | ((pages >> 2) & 0x7_FFFF) << 5;
    [adrp, 0x9100_0000 | (to as u32 & 0xFFF) << 10]
}

/// The panic functions, at the beginning.
fn program() -> (Program, u64) {
    let mut program = Program::default();
    let at = program.here();
    let overflow = program.function(
        "core::panicking::panic_const::panic_const_add_overflow",
        &[b(at, at)],
    );
    (program, overflow)
}

fn walk_from(program: &Program, root: &str) -> Walk {
    let file = program.elf();
    let image = Image::read(&file).unwrap();
    walk(&image, &[root.to_owned()]).unwrap()
}

/// `handler` calls `helper`, which jumps to the panic, from two places that the compiler has merged.
fn with_a_panic() -> Program {
    let (mut program, overflow) = program();
    let first = program.location(
        "/home/me/.cargo/registry/src/registry-1949/queue-1.0.0/src/lib.rs",
        7,
    );
    let second = program.location("/home/me/project/protocol/src/ring.rs", 9);
    let at = program.here();
    let [page, low] = address(at + 4, first);
    let [page_2, low_2] = address(at + 16, second);
    let code = [
        0xB400_0080, // cbz x0, the second place
        page,
        low,
        b(at + 12, at + 24),
        page_2,
        low_2,
        bl(at + 24, overflow),
    ];
    let helper = program.function("queue::push", &code);
    let at = program.here();
    program.function("domain::handler", &[bl(at, helper), RET]);
    let at = program.here();
    program.function("domain::init", &[bl(at, overflow), RET]);
    program
}

#[test]
fn a_panic_is_found_with_its_places_and_the_way_to_it() {
    let walk = walk_from(&with_a_panic(), "domain::handler");
    let [panic] = &walk.panics[..] else {
        panic!("{:?}", walk.panics);
    };
    assert_eq!(panic.kind, "panic_const_add_overflow");
    assert_eq!(panic.chain, ["domain::handler", "queue::push"]);
    let places: Vec<_> = panic
        .places
        .iter()
        .map(|p| (p.file.as_str(), p.line))
        .collect();
    assert_eq!(
        places,
        [("protocol/src/ring.rs", 9), ("queue-1.0.0/src/lib.rs", 7)]
    );
    // Functions that no root reaches do not matter.
    assert_eq!(walk.functions, ["domain::handler", "queue::push"]);
    assert_eq!(walk_from(&with_a_panic(), "domain::init").panics.len(), 1);
}

#[test]
fn a_jump_out_of_a_function_is_a_call() {
    let (mut program, overflow) = program();
    let at = program.here();
    let tail = program.function("tail", &[bl(at, overflow)]);
    let at = program.here();
    program.function("handler", &[b(at, tail)]);
    let at = program.here();
    // b.eq
    let offset = (tail.wrapping_sub(at) as u32 >> 2) & 0x7_FFFF;
    program.function("conditional", &[0x5400_0000 | offset << 5, RET]);
    assert_eq!(
        walk_from(&program, "handler").panics[0].chain,
        ["handler", "tail"]
    );
    assert_eq!(
        walk_from(&program, "conditional").panics[0].chain,
        ["conditional", "tail"]
    );
}

#[test]
fn a_call_through_a_register_reaches_all_whose_address_is_taken() {
    for in_data in [true, false] {
        let (mut program, overflow) = program();
        let at = program.here();
        let method = program.function("<T as Trait>::method", &[bl(at, overflow)]);
        program.function("handler", &[LDR_X8, BLR_X8, RET]);
        program.function("tail", &[LDR_X8, BR_X8]);
        let none = walk_from(&program, "handler");
        assert_eq!(
            (none.panics.len(), none.indirect),
            (0, vec!["handler".to_owned()])
        );
        if in_data {
            program.data.extend(method.to_le_bytes());
        } else {
            let [page, low] = address(program.here(), method);
            program.function("elsewhere", &[page, low, RET]);
        }
        for root in ["handler", "tail"] {
            assert_eq!(
                walk_from(&program, root).panics[0].function,
                "<T as Trait>::method"
            );
        }
    }
}

#[test]
fn a_jump_table_stays_in_its_function() {
    let (mut program, overflow) = program();
    let at = program.here();
    let other = program.function("other", &[bl(at, overflow)]);
    program.data.extend(other.to_le_bytes());
    program.function("handler", &[TABLE, BR_X8, RET]);
    // A sum of something else may stand between the two.
    program.function("scheduled", &[TABLE, ADD_X10, BR_X8, RET]);
    for root in ["handler", "scheduled"] {
        let walk = walk_from(&program, root);
        assert!(walk.panics.is_empty() && walk.indirect.is_empty());
    }
    // It is no jump table if the sum is overwritten, or if it is in another register.
    program.function("overwritten", &[TABLE, LDR_X8_16, BR_X8, RET]);
    program.function("unrelated", &[ADD_X10, BR_X8, RET]);
    for root in ["overwritten", "unrelated"] {
        assert_eq!(walk_from(&program, root).indirect, [root]);
    }
}

#[test]
fn an_instruction_that_traps_is_a_panic() {
    let (mut program, _) = program();
    program.function("handler", &[BRK]);
    assert_eq!(walk_from(&program, "handler").panics[0].kind, "trap");
}

#[test]
fn what_cannot_be_followed_is_an_error() {
    let (mut program, _) = program();
    let at = program.here();
    program.function("handler", &[bl(at, TEXT - 0x100), RET]);
    let file = program.elf();
    assert!(matches!(
        Image::read(&file),
        Err(ImageError::Nowhere { .. })
    ));
    let stripped = Program::default().elf();
    assert!(matches!(Image::read(&stripped), Err(ImageError::Stripped)));
    let mut other = program.elf();
    other[18] = 62; // x86-64
    assert!(matches!(Image::read(&other), Err(ImageError::Machine(_))));
    assert!(matches!(
        Image::read(&file[..40]),
        Err(ImageError::Object(_))
    ));
    let file = with_a_panic().elf();
    let image = Image::read(&file).unwrap();
    assert!(walk(&image, &["no such handler".to_owned()]).is_err());
}

fn argument(file: &str, panic: &str, sites: usize) -> Argument {
    Argument {
        file: file.to_owned(),
        panic: panic.to_owned(),
        sites,
        because: String::from("…"),
        ..Argument::default()
    }
}

#[test]
fn every_place_needs_an_argument_and_every_argument_a_place() {
    let walk = walk_from(&with_a_panic(), "domain::handler");
    let judged = |unreachable: Vec<Argument>, reaches: &[&str]| {
        let arguments = Arguments {
            compiler: None,
            roots: Vec::new(),
            reaches: reaches.iter().map(|name| (*name).to_owned()).collect(),
            unreachable,
        };
        let verdict = judge(&walk, &arguments);
        let counts = (
            verdict.unexplained.len(),
            verdict.stale.len(),
            verdict.stretched.len(),
            verdict.missed.len(),
        );
        assert_eq!(verdict.holds(), counts == (0, 0, 0, 0));
        counts
    };
    let ring = || argument("protocol/src/ring.rs", "", 1);
    let queue = || argument("queue-1.0.0/src/lib.rs:7", "panic_const_add_overflow", 1);
    assert_eq!(
        judged(vec![ring(), queue()], &["queue::push"]),
        (0, 0, 0, 0)
    );
    // One argument is missing; one is superfluous.
    assert_eq!(judged(vec![ring()], &[]), (1, 0, 0, 0));
    assert_eq!(
        judged(vec![ring(), queue(), argument("ring.rs", "", 1)], &[]),
        (0, 1, 0, 0)
    );
    // Another line, another panic, another function.
    assert_eq!(
        judged(vec![ring(), argument("lib.rs:8", "", 1)], &[]),
        (1, 1, 0, 0)
    );
    assert_eq!(
        judged(vec![ring(), argument("lib.rs", "unwrap_failed", 1)], &[]),
        (1, 1, 0, 0)
    );
    let elsewhere = Argument {
        function: String::from("pop"),
        ..queue()
    };
    assert_eq!(judged(vec![ring(), elsewhere], &[]), (1, 1, 0, 0));
    // An argument that explains more panics than it says.
    let here = Argument {
        function: String::from("queue::push"),
        ..argument("", "", 1)
    };
    assert_eq!(judged(vec![here], &[]), (0, 0, 1, 0));
    // A walk that has missed the program.
    assert_eq!(
        judged(vec![ring(), queue()], &["domain::init"]),
        (0, 0, 0, 1)
    );
}

#[test]
fn arguments_that_say_nothing_are_refused() {
    let parse = |text: &str| Arguments::parse(text).map(|_| ());
    assert!(matches!(parse("roots = []"), Err(ArgumentError::NoRoots)));
    assert!(matches!(parse("roots = ['']"), Err(ArgumentError::NoRoots)));
    assert!(matches!(
        parse("roots = ['run']\nallow = 1"),
        Err(ArgumentError::Toml(_))
    ));
    for (entry, key) in [
        ("sites = 1\nbecause = 'x'", "file` or `function"),
        ("file = 'a.rs'\nbecause = 'x'", "sites"),
        ("file = 'a.rs'\nsites = 1\nbecause = ' '", "because"),
    ] {
        let error = parse(&format!("roots = ['run']\n[[unreachable]]\n{entry}")).unwrap_err();
        assert!(
            error.to_string().contains(&format!("`{key}` is missing")),
            "{error}"
        );
    }
}

#[test]
fn the_exit_status_says_whether_all_is_explained() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (elf, list) = (folder.join("program.elf"), folder.join("panics.toml"));
    std::fs::write(&elf, with_a_panic().elf()).unwrap();
    let run = |text: &str| {
        std::fs::write(&list, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_panic-check"))
            .args([&elf, &list])
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let roots = "roots = ['domain::handler']\n";
    let entry = "[[unreachable]]\nfunction = 'queue::push'\nsites = 2\nbecause = 'the queue is never full'\n";
    assert_eq!(run(&format!("{roots}{entry}")).0, Some(0));
    let (status, output) = run(roots);
    assert_eq!(status, Some(1));
    assert!(
        output.contains(
            "no argument: protocol/src/ring.rs:9:5: panic_const_add_overflow in queue::push"
        ),
        "{output}"
    );
    let (status, output) = run(&format!(
        "{roots}{entry}{}",
        entry.replace("queue::push", "queue::pop")
    ));
    assert_eq!(status, Some(1));
    assert!(
        output.contains("explains no panic: function = \"queue::pop\""),
        "{output}"
    );
    assert_eq!(run("roots = 1").0, Some(2));
}
