//! Variables on `make`'s command line reach the tool that does the work, before anything is built.

use std::path::Path;
use std::process::Command;

/// Runs make. Returns whether it succeeded, and its output.
fn make(arguments: &[&str]) -> (bool, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new("make");
    // `make test` runs this, so its flags and variables must be removed.
    for variable in [
        "MAKEFLAGS",
        "MFLAGS",
        "MAKELEVEL",
        "MODEL",
        "SYSTEM",
        "BOARD",
        "LANE",
    ] {
        command.env_remove(variable);
    }
    // The profile that `cargo test` has built.
    let command = command
        .env("HOST_PROFILE", "dev")
        .args(arguments)
        .current_dir(root);
    let output = command.output().expect("make starts");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn a_value_that_is_wrong_stops_make_before_it_builds_anything() {
    for (verb, variable, reason) in [
        (
            "run",
            "MODEL=no-such.gguf",
            "MODEL='no-such.gguf': there is no file 'no-such.gguf'",
        ),
        (
            "image",
            "BOARD=zcu104",
            "BOARD='zcu104': no board 'zcu104'; choose one of qemu_virt_aarch64, ",
        ),
        (
            "sim",
            "SYSTEM=tape",
            "SYSTEM='tape': no system 'tape'; choose one of cores, disk, partitions",
        ),
        (
            "run",
            "DISK=no-such.img",
            "DISK='no-such.img': there is no file 'no-such.img': make an image with ",
        ),
        (
            "lane",
            "LANE=zcu102 zcu104",
            "LANE='zcu102 zcu104': no board 'zcu104'; choose one of ",
        ),
    ] {
        let (is_done, said) = make(&[verb, variable]);
        assert!(
            !is_done && said.contains(reason),
            "{verb} {variable}: {said}"
        );
        assert!(!said.contains("verifying"), "{said}");
    }
}

#[test]
fn help_lists_the_verbs_by_what_they_are_for_on_one_screen() {
    let (is_done, said) = make(&["help"]);
    assert!(is_done, "{said}");
    let headings: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with(char::is_uppercase))
        .map(|line| line.split([' ', ':']).next().unwrap_or_default())
        .collect();
    assert_eq!(
        headings,
        ["Run", "Check", "Argue", "Endure", "Measure", "Make"]
    );
    assert!(
        said.contains("\n  run  ") && said.lines().count() <= 60,
        "{said}"
    );
    assert!(said.lines().all(|line| line.len() <= 120), "{said}");
}
