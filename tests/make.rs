//! What `make` says about what it is given, before it builds anything.

use std::path::Path;
use std::process::Command;

/// What `make own MODEL=…` would do, or why it does nothing.
fn make(model: &str) -> (bool, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new("make");
    // `make test` runs this: its flags and its model are not ours.
    for variable in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MODEL"] {
        command.env_remove(variable);
    }
    let command = command
        .args(["--dry-run", "own"])
        .arg(format!("MODEL={model}"));
    let output = command.current_dir(root).output().expect("make starts");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
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
        let (is_done, said) = make(model);
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
        let (is_done, said) = make(model);
        assert!(
            is_done && said.contains(&format!("system {model} -o")),
            "{said}"
        );
    }
}
