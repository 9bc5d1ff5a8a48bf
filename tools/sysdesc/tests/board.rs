//! Boards: what their files may contain, and how a description is resolved for them.

use std::path::{Path, PathBuf};
use sysdesc::board::{Arch, Driver, FOLDER};
use sysdesc::{Board, Problem, System};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn main_description() -> String {
    std::fs::read_to_string(root().join("system.xml")).unwrap()
}

fn boards() -> Vec<Board> {
    let files = std::fs::read_dir(root().join(FOLDER)).unwrap();
    let mut boards: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            Board::find(&root().join(FOLDER), &name).unwrap()
        })
        .collect();
    boards.sort_unstable_by_key(|board| board.name.clone());
    boards
}

#[test]
fn the_usual_board_is_the_file_of_its_name() {
    assert!(boards().contains(&Board::usual()));
}

#[test]
fn the_main_description_is_read_on_every_board_and_differs_in_addresses_and_interrupts_alone() {
    let mut seen = Vec::new();
    for board in boards() {
        let system = System::parse_on(&main_description(), &board).unwrap();
        let irqs: Vec<_> = system
            .domains
            .iter()
            .flat_map(|domain| domain.irqs.iter().map(|irq| irq.number))
            .collect();
        let at = |name| system.region(name).unwrap().phys_addr.unwrap();
        seen.push((board.name, at("uart"), at("watchdog"), irqs));
        let mut plain = system;
        plain.arch = Arch::Aarch64;
        for region in &mut plain.regions {
            region.phys_addr = None;
        }
        for domain in &mut plain.domains {
            domain.irqs.clear();
        }
        let mut usual = System::parse(&main_description()).unwrap();
        usual
            .regions
            .iter_mut()
            .for_each(|region| region.phys_addr = None);
        usual
            .domains
            .iter_mut()
            .for_each(|domain| domain.irqs.clear());
        assert_eq!(plain, usual);
    }
    let named = |name: &str| name.to_owned();
    assert_eq!(
        seen,
        [
            (
                named("qemu_virt_aarch64"),
                0x900_0000,
                0x901_0000,
                vec![34, 30, 33]
            ),
            // The goldfish RTC has one interrupt.
            (
                named("qemu_virt_riscv64"),
                0x1000_0000,
                0x10_1000,
                vec![11, 10]
            ),
            (named("zcu102"), 0xff00_0000, 0xff11_0000, vec![68, 69, 53]),
        ]
    );
}

#[test]
fn a_description_with_numbers_is_left_as_it_is_and_lines_stay_where_they_are() {
    let board = Board::usual();
    let resolved = board.resolve(&main_description()).unwrap();
    assert_eq!(board.resolve(&resolved).unwrap(), resolved);
    for board in boards() {
        let resolved = board.resolve(&main_description()).unwrap();
        assert_eq!(resolved.lines().count(), main_description().lines().count());
        assert!(!resolved.contains("board:"), "{resolved}");
    }
}

#[test]
fn a_device_or_an_interrupt_that_the_board_lacks_is_named_with_those_that_there_are() {
    let board = Board::usual();
    let refused = |from: &str, to: &str| {
        let text = main_description();
        assert!(text.contains(from));
        board.resolve(&text.replacen(from, to, 1)).unwrap_err()
    };
    let error = refused("phys_addr=\"board:uart\"", "phys_addr=\"board:can\"");
    assert!(matches!(error.problem, Problem::NotOnBoard { .. }));
    assert!(error.place.line > 1);
    let said = error.to_string();
    for word in [
        "'can'",
        "qemu_virt_aarch64",
        "uart, watchdog",
        "device with registers",
    ] {
        assert!(said.contains(word), "{said}");
    }
    // The generic timer is a device without registers in memory.
    let said = refused("phys_addr=\"board:uart\"", "phys_addr=\"board:timer\"").to_string();
    assert!(said.contains("no device with registers 'timer'"), "{said}");
    let said = refused("irq=\"board:timer\"", "irq=\"board:can\"").to_string();
    assert!(
        said.contains("no interrupt 'can'") && said.contains("timer, uart, watchdog"),
        "{said}"
    );
}

#[test]
fn a_region_does_not_reach_beyond_its_device() {
    let text = main_description().replacen(
        "name=\"uart\" size=\"0x1000\"",
        "name=\"uart\" size=\"0x2000\"",
        1,
    );
    let error = Board::usual().resolve(&text).unwrap_err();
    assert_eq!(
        error.problem,
        Problem::BeyondDevice {
            device: "uart".into(),
            size: 0x2000,
            most: 0x1000
        }
    );
}

#[test]
fn the_same_interrupt_twice_is_refused_by_the_description() {
    let text = main_description().replacen("board:timer", "board:watchdog", 1);
    let said = System::parse(&text).unwrap_err().to_string();
    assert!(said.contains("'34' a second time"), "{said}");
}

#[test]
fn an_unknown_board_is_told_with_those_that_there_are() {
    for name in ["raspberry", "../secrets", "", "zcu102.toml"] {
        let said = Board::find(&root().join(FOLDER), name)
            .unwrap_err()
            .to_string();
        assert_eq!(
            said,
            format!(
                "there is no board '{name}': boards/ has qemu_virt_aarch64, qemu_virt_riscv64, zcu102"
            )
        );
    }
}

/// A board with two devices; tests change a piece of it.
const WHOLE: &str = r#"arch = "riscv64"
[devices.uart]
driver = "ns16550a"
address = 0x1000_0000
size = 0x100
register_bytes = 1
interrupts = { uart = 10 }
[devices.watchdog]
driver = "cadence-ttc"
address = 0x10_1000
size = 0x1000
hertz = 100
interrupts = { watchdog = 11, timer = "watchdog" }
"#;

fn refused(from: &str, to: &str) -> String {
    assert!(WHOLE.contains(from), "{from}");
    Board::parse("mine", &WHOLE.replacen(from, to, 1))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_board_is_read_down_to_what_comes_as_another_interrupt() {
    let board = Board::parse("mine", WHOLE).unwrap();
    assert_eq!(board.devices["uart"].driver, Some(Driver::Ns16550a));
    assert_eq!(board.interrupt("watchdog").unwrap().1, 11);
    assert!(board.interrupt("timer").is_none() && board.has_interrupt("timer"));
    assert_eq!(board.interrupt_name(10), Some("uart"));
    assert_eq!(board.interrupt_name(12), None);
}

#[test]
fn a_board_that_is_wrong_is_refused_with_the_device_and_the_number() {
    for (from, to, words) in [
        ("address = 0x1000_0000\n", "", &["'uart'", "no address"][..]),
        ("size = 0x1000\n", "", &["'watchdog'", "no size"]),
        ("hertz = 100\n", "", &["'watchdog'", "no hertz"]),
        (
            "address = 0x1000_0000",
            "address = 0x1000_0010",
            &["'uart'", "0x10000010", "0x1000"],
        ),
        ("size = 0x100\n", "size = 0\n", &["'uart'", "0x0 bytes"]),
        (
            "register_bytes = 1",
            "register_bytes = 2",
            &["'uart'", "is 2"],
        ),
        (
            "register_bytes = 1",
            "registers = 0x100",
            &["'registers'", "'uart'", "0x100 bytes"],
        ),
        ("uart = 10", "uart = 4000", &["'uart'", "4000", "1023"]),
        (
            "uart = 10",
            "uart = 11",
            &["'uart'", "'watchdog'", "both", "11"],
        ),
        (
            "uart = 10",
            "watchdog = 10",
            &["'uart'", "'watchdog'", "both have an interrupt"],
        ),
        (
            "timer = \"watchdog\"",
            "timer = \"uart\"",
            &["'timer'", "arrives as 'uart'"],
        ),
        (
            "address = 0x10_1000",
            "address = 0x1000_0000",
            &["'uart'", "'watchdog'", "lies in a page"],
        ),
        (
            "size = 0x1000\n",
            "size = 0x10000000\n",
            &["'uart' at 0x10000000 lies in a page of device 'watchdog'"],
        ),
        (
            "driver = \"ns16550a\"",
            "driver = \"ns8250\"",
            &["mine.toml", "ns8250", "ns16550a"],
        ),
        ("arch = \"riscv64\"", "arch = \"x86\"", &["x86", "aarch64"]),
        (
            "arch = \"riscv64\"",
            "arch = \"riscv64\"\nboot = \"-kernel x\"",
            &["{image}"],
        ),
        (
            "arch = \"riscv64\"",
            "arch = \"riscv64\"\nwatts = 3",
            &["watts"],
        ),
    ] {
        let said = refused(from, to);
        for word in words {
            assert!(said.contains(word), "{to}: {said}");
        }
    }
}

#[test]
fn a_device_beyond_the_window_of_an_aarch64_kernel_is_refused() {
    let at = |arch: &str, address: &str| {
        let text = WHOLE.replacen("arch = \"riscv64\"", &format!("arch = \"{arch}\""), 1);
        Board::parse("mine", &text.replacen("0x10_1000", address, 1))
    };
    at("aarch64", "0x7f_bfff_f000").unwrap();
    let said = at("aarch64", "0x7f_c000_0000").unwrap_err().to_string();
    for word in ["'watchdog'", "0x7fc0001000", "0x7fc0000000"] {
        assert!(said.contains(word), "{said}");
    }
    at("riscv64", "0x7f_c000_0000").unwrap();
}

#[test]
fn a_device_without_a_driver_is_for_a_component_that_brings_one() {
    let text = format!("{WHOLE}[devices.adc]\naddress = 0x2000_0000\nsize = 0x1000\n");
    let board = Board::parse("mine", &text).unwrap();
    let resolved = board
        .resolve(
            r#"<system><memory_region name="adc" size="0x1000" phys_addr="board:adc"/></system>"#,
        )
        .unwrap();
    assert!(resolved.contains("phys_addr=\"0x20000000\""));
    // Its registers must still have an address.
    let said = Board::parse("mine", &format!("{WHOLE}[devices.adc]\nsize = 4\n")).unwrap_err();
    assert!(said.to_string().contains("'adc' has no address"));
}
