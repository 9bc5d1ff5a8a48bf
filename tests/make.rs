//! What `make` says about what it is given, before it builds anything.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs make; whether it succeeded, and what it said.
fn make(arguments: &[&str]) -> (bool, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new("make");
    // `make test` runs this: its flags and variables are not ours.
    for variable in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MODEL", "LANE", "BOARD"] {
        command.env_remove(variable);
    }
    let command = command.args(arguments).current_dir(root);
    let output = command.output().expect("make starts");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// What `make own MODEL=…` would do, or why it does nothing.
fn own(model: &str) -> (bool, String) {
    make(&["--dry-run", "own", &format!("MODEL={model}")])
}

#[test]
fn a_model_that_is_not_there_stops_make_before_it_builds_anything() {
    for (model, lost) in [
        ("no-such.gguf", "there is no file 'no-such.gguf'.  Stop."),
        (
            "mine=no-such.gguf",
            "there is no file 'mine=no-such.gguf'.  Stop.",
        ),
        (
            "a b.gguf",
            "there is no file 'a'; spaces stand between files, so a file whose name has one needs another name",
        ),
        (
            "models/tiny-f32.gguf b.gguf",
            "there is no file 'b.gguf'; spaces",
        ),
    ] {
        let (is_done, said) = own(model);
        assert!(!is_done && said.contains(lost), "{model}: {said}");
        assert!(
            said.contains(&format!("MODEL='{model}'")) && !said.contains("cargo"),
            "{said}"
        );
    }
    for model in [
        "models/tiny-f32.gguf",
        "mine=models/tiny-f32.gguf models/default.gguf",
    ] {
        let (is_done, said) = own(model);
        assert!(
            is_done && said.contains(&format!("system {model} -o")),
            "{said}"
        );
    }
}

/// An SDK as far as make looks at it, with these boards.
fn sdk(name: &str, boards: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    for part in boards.iter().map(|board| format!("board/{board}")) {
        std::fs::create_dir_all(folder.join(part)).expect("a folder");
    }
    std::fs::create_dir_all(folder.join("bin")).expect("a folder");
    std::fs::write(folder.join("bin/microkit"), "").expect("a file");
    folder
}

/// The line of `make lane` about a board.
fn lane(board: &str, arguments: &[&str]) -> String {
    let (is_done, said) = make(&[&["lane"], arguments].concat());
    assert!(is_done, "{said}");
    let mut lines = said.lines().filter(|line| line.contains(board));
    let line = lines.next().expect("a line about each board").to_owned();
    assert_eq!(lines.next(), None, "{said}");
    line
}

#[test]
fn the_lane_has_each_board_of_the_sdk_that_can_be_emulated_and_says_why_not_the_others() {
    let folder = sdk("sdk-with-one-board", &["zcu102", "odroidc2"]);
    let sdk = format!("MICROKIT_SDK={}", folder.display());
    // Not each machine has the emulator.
    let has_emulator = Command::new("qemu-system-aarch64")
        .arg("--version")
        .output()
        .is_ok();
    let runs = match has_emulator {
        true => "the seL4 lane runs on zcu102",
        false => "*** SKIPPED: the seL4 lane on zcu102: no qemu-system-aarch64 ***",
    };
    assert_eq!(lane("zcu102", &[&sdk]), runs);
    let riscv = "qemu_virt_riscv64";
    let skipped = "*** SKIPPED: the seL4 lane on qemu_virt_riscv64: ";
    assert_eq!(
        lane(riscv, &[&sdk]),
        format!(
            "{skipped}the SDK in {} has no kernel for it ***",
            folder.display()
        )
    );
    assert_eq!(
        lane(riscv, &[&sdk, "LANE=zcu102"]),
        format!("{skipped}LANE leaves it out ***")
    );
    assert_eq!(
        lane(riscv, &["MICROKIT_SDK=/nowhere"]),
        format!("{skipped}no Microkit SDK in MICROKIT_SDK or /opt/microkit-sdk* ***")
    );
}

#[test]
fn a_lane_on_a_board_that_is_not_there_stops_make() {
    let (is_done, said) = make(&["lane", "LANE=zcu102 zcu104"]);
    assert!(
        !is_done && said.contains("LANE='zcu102 zcu104': no board 'zcu104': there is "),
        "{said}"
    );
}
