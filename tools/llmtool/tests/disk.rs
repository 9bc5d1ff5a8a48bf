//! `llmtool disk`: images that hold models, their signatures and the audit log.

mod tool;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tool::{DEFAULT, TINY, failure, fresh, llmtool, output};

fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_disk_gets_models_with_their_signatures_and_a_log_and_is_sound() {
    let folder = folder("disk");
    let [model, data, key, secret, policy, image] = [
        "tiny.gguf",
        "tales.txt",
        "key",
        "key.key.pem",
        "policy.toml",
        "disk.img",
    ]
    .map(|name| folder.join(name));
    fs::copy(TINY, &model).unwrap();
    fs::write(&data, "Once.\n\nTwice.\n").unwrap();
    let made = output(&["keygen", text(&key)]);
    let public = made.lines().last().unwrap().to_owned();
    llmtool(&["sign", "--key", text(&secret), text(&model)])
        .assert()
        .success();
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policy.toml");
    let template = fs::read_to_string(template).unwrap();
    fs::write(&policy, format!("{template}\n[keys.mine]\n{public}\n")).unwrap();

    let said = output(&[
        "disk",
        "create",
        text(&image),
        "--size",
        "16MiB",
        "--log-size",
        "1MiB",
    ]);
    assert!(said.contains("in a partition (MBR)"), "{said}");
    let image = text(&image);
    let again = failure(&["disk", "create", image], 1);
    assert!(again.contains("exists"), "{again}");
    // Unsigned data is not put there by accident.
    let refused = failure(&["disk", "add", image, text(&data)], 1);
    assert!(refused.contains("there is no signature"), "{refused}");
    let said = output(&["disk", "add", image, &format!("small={}", text(&model))]);
    assert!(
        said.contains("small.gguf") && said.contains("signed"),
        "{said}"
    );
    output(&["disk", "add", image, "--unsigned", text(&data)]);
    output(&[
        "disk",
        "add",
        image,
        text(&data),
        "--as",
        "notes/a long name, with a space",
    ]);

    let said = output(&["disk", "list", image, "--policy", text(&policy)]);
    for expected in [
        "AUDIT.LOG",
        "1.00 MiB",
        "the audit log",
        "model 'small', signed by mine",
        "data 'tales', not signed",
        "notes/a long name, with a space",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    assert!(!said.contains(".sig"), "{said}");
    // By a key alone, as that of a device.
    let key = format!("{}.pub.pem", text(&key));
    let said = output(&["disk", "list", image, "--key", &key]);
    assert!(said.contains("model 'small', signed by "), "{said}");
    // A file comes off with its signature, as it was put there.
    let taken = folder.join("taken.gguf");
    let said = output(&["disk", "get", image, "small.gguf", "-o", text(&taken)]);
    assert!(said.contains("with its signature"), "{said}");
    assert!(fs::read(&taken).unwrap() == fs::read(&model).unwrap());
    output(&["verify", "--key", &key, text(&taken)]);
    let said = output(&["disk", "get", image, "data/tales.txt", "-o", text(&taken)]);
    assert!(said.contains("not signed"), "{said}");
    let none = failure(&["disk", "get", image, "data/none", "-o", text(&taken)], 1);
    assert!(none.contains("data/none"), "{none}");
    let assert = llmtool(&["disk", "check", image]).assert().code(1);
    let said = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert!(said.contains("data/tales.txt: not signed"), "{said}");
    assert!(
        said.contains("AUDIT.LOG: nothing was ever written"),
        "{said}"
    );
    let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(error.contains("1 finding"), "{error}");

    // A version that is not signed takes the signature of the old one with it.
    fs::remove_file(folder.join("tiny.gguf.sig")).unwrap();
    output(&[
        "disk",
        "add",
        image,
        "--unsigned",
        &format!("small={}", text(&model)),
    ]);
    let said = output(&["disk", "list", image, "--policy", text(&policy)]);
    assert!(said.contains("model 'small', not signed"), "{said}");
}

#[test]
fn what_cannot_be_is_refused_and_leaves_the_disk_as_it_was() {
    let image = fresh("refusals.img");
    for (arguments, expected) in [
        (
            &["--size", "1MiB", "--log-size", "0"][..],
            "too few for a file system",
        ),
        (&["--log-size", "1000"], "an audit log cannot have 1000 B"),
        (&["--size", "2MiB", "--log-size", "1900KiB"], ""),
        (
            &["--size", "8MiB", "--log-size", "9MiB"],
            "must fit on the disk",
        ),
        (&["--label", "much too long a label"], "name cannot be"),
    ] {
        let mut command = vec!["disk", "create", &image];
        command.extend(arguments);
        let said = failure(&command, 1);
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!Path::new(&image).exists(), "{arguments:?}");
    }
    for table in ["none", "gpt"] {
        let _ = fs::remove_file(&image);
        output(&[
            "disk",
            "create",
            &image,
            "--size",
            "4MiB",
            "--log-size",
            "1MiB",
            "--table",
            table,
        ]);
        output(&["disk", "check", &image]);
        let large = fresh("large");
        fs::write(&large, vec![1; 4 << 20]).unwrap();
        let before = output(&["disk", "list", &image]);
        for (path, expected) in [
            ("large", "needs 4."),
            ("a/../b", "cannot be on the disk"),
            ("a:b", "cannot be on the disk"),
            ("AUDIT.LOG/x", "a file, not a folder"),
        ] {
            let file = if path == "large" { &large } else { TINY };
            let said = failure(&["disk", "add", &image, file, "--as", path], 1);
            assert!(said.contains(expected), "{path}: {said}");
        }
        let said = failure(&["disk", "add", &image, TINY, &large, "--as", "x"], 1);
        assert!(said.contains("--as names one file"), "{said}");
        assert_eq!(output(&["disk", "list", &image]), before);
        output(&["disk", "check", &image]);
    }
    let none = fresh("none.img");
    assert!(failure(&["disk", "list", &none], 1).contains("cannot read"));
    fs::write(&none, vec![0; 1 << 20]).unwrap();
    assert!(failure(&["disk", "list", &none], 1).contains("no FAT file system"));
    let said = failure(&["disk", "list", TINY], 1);
    assert!(said.contains("no FAT file system"), "{said}");
}

#[test]
fn others_read_the_images() {
    let there = |program: &str| {
        let mut command = Command::new(program);
        command
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok()
    };
    if !there("fsck.fat") || !there("mcopy") {
        eprintln!("*** SKIPPED: there is no fsck.fat or mcopy: install dosfstools and mtools ***");
        return;
    }
    let image = fresh("others.img");
    output(&[
        "disk", "create", &image, "--table", "none", "--size", "600MiB",
    ]);
    output(&["disk", "add", &image, "--unsigned", TINY, DEFAULT]);
    let checked = Command::new("fsck.fat")
        .args(["-n", &image])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let copy = fresh("others.gguf");
    let copied = Command::new("mcopy")
        .args(["-i", &image, "::/tiny-f32.gguf", &copy])
        .output()
        .unwrap();
    assert!(copied.status.success(), "{copied:?}");
    assert!(fs::read(&copy).unwrap() == fs::read(TINY).unwrap());
    // And the other way round.
    let copied = Command::new("mcopy")
        .args(["-i", &image, TINY, "::/by mtools.gguf"])
        .output()
        .unwrap();
    assert!(copied.status.success(), "{copied:?}");
    let said = output(&["disk", "list", &image]);
    assert!(said.contains("by mtools.gguf"), "{said}");
    fs::remove_file(&image).unwrap();
}
