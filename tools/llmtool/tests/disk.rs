//! `llmtool disk`: images that hold models, their signatures and the audit log.

#[path = "disk/names.rs"]
mod names;
mod tool;
#[path = "disk/unclean.rs"]
mod unclean;
#[path = "disk/verified.rs"]
mod verified;

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
        "model 'disk/small', signed by mine",
        "data 'disk/tales', not signed",
        "notes/a long name, with a space",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    assert!(!said.contains(".sig"), "{said}");
    // By a key alone, as that of a device.
    let key = format!("{}.pub.pem", text(&key));
    let said = output(&["disk", "list", image, "--key", &key]);
    assert!(said.contains("model 'disk/small', signed by "), "{said}");
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
    assert!(said.contains("model 'disk/small', not signed"), "{said}");
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
        (&["--label", "much too long a label"], "invalid label"),
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
    assert!(failure(&["audit", "verify", &none], 1).contains("cannot read"));
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

/// A small disk without a partition table, in a file of this name.
fn small(name: &str, log: &str) -> String {
    let image = fresh(name);
    let _ = fs::remove_file(&image);
    let options = ["--size", "4MiB", "--table", "none", "--log-size", log];
    output(&[&["disk", "create", &image][..], &options].concat());
    image
}

#[test]
fn the_log_and_names_that_differ_only_in_case_are_not_written_over() {
    let image = small("reserved.img", "1MiB");
    let before = fs::read(&image).unwrap();
    for path in ["AUDIT.LOG", "audit.log", "Audit.Log", "unfinish.ed"] {
        let said = failure(&["disk", "add", &image, TINY, "--as", path], 1);
        assert!(said.contains("choose another name"), "{path}: {said}");
    }
    let files = [format!("a={TINY}"), format!("A={TINY}")];
    let said = failure(&["disk", "add", &image, &files[0], &files[1]], 1);
    assert!(said.contains("two files have the path A.gguf"), "{said}");
    assert!(fs::read(&image).unwrap() == before);
    // A disk from elsewhere can be given a log.
    let bare = small("bare.img", "0");
    let zeros = fresh("zeros");
    fs::write(&zeros, vec![0; 1 << 20]).unwrap();
    output(&["disk", "add", &bare, &zeros, "--as", "audit.log"]);
    let said = output(&["disk", "check", &bare]);
    assert!(
        said.contains("AUDIT.LOG: nothing was ever written"),
        "{said}"
    );
    // One after the other, the second replaces the first, with its signature.
    for file in &files {
        output(&["disk", "add", &image, file]);
    }
    let said = output(&["disk", "list", &image]);
    assert!(
        said.contains("model 'disk/A', signed") && !said.contains("a.gguf"),
        "{said}"
    );
    output(&["disk", "check", &image]);
}

#[test]
fn a_file_in_a_folder_is_listed_by_the_name_that_the_device_knows() {
    let image = small("folders.img", "0");
    for (path, expected) in [
        ("more/big.gguf", "model 'disk/more/big', not signed"),
        ("UPPER.GGUF", "model 'disk/UPPER', not signed"),
        ("Adapters/moods.gguf", "adapter 'disk/moods', not signed"),
        ("data/DEEP/Facts.TXT", "data 'disk/DEEP/Facts', not signed"),
        ("two words.gguf", "a file that audit never asks for"),
        ("models.txt", "a file that audit never asks for"),
    ] {
        let small = fresh("small.bin");
        fs::write(&small, b"x").unwrap();
        output(&["disk", "add", &image, &small, "--as", path]);
        let said = output(&["disk", "list", &image]);
        let mut lines = said.lines();
        let line = lines.find(|line| line.contains(path)).expect(path);
        assert!(line.contains(expected), "{line}");
    }
}

#[test]
fn a_folder_and_a_label_that_cannot_be_are_named_as_such() {
    let folder = folder("not-an-image");
    for command in ["list", "check"] {
        let said = failure(&["disk", command, text(&folder)], 1);
        assert!(said.contains("it is a folder"), "{said}");
    }
    let image = fresh("label.img");
    for label in ["", "twelve chars", "größe", "a.b"] {
        let said = failure(&["disk", "create", &image, "--label", label], 1);
        assert!(said.contains("invalid label"), "{label}: {said}");
    }
}

#[test]
fn the_number_of_free_clusters_that_a_card_claims_refuses_no_file() {
    let image = fresh("claims.img");
    let _ = fs::remove_file(&image);
    let options = ["--size", "600MiB", "--table", "none", "--log-size", "0"];
    output(&[&["disk", "create", &image][..], &options].concat());
    let claim = |free: u32| {
        use std::os::unix::fs::FileExt as _;
        let file = fs::File::options().write(true).open(&image).unwrap();
        file.write_all_at(&free.to_le_bytes(), 512 + 488).unwrap();
    };
    for (name, free) in [("none", 0), ("one", 1), ("more", 0x7fff_ffff)] {
        claim(free);
        output(&["disk", "add", &image, &format!("{name}={TINY}")]);
        let said = output(&["disk", "check", &image]);
        assert!(said.contains("FAT32"), "{said}");
    }
    fs::remove_file(&image).unwrap();
}

#[test]
fn a_full_folder_is_told_from_a_full_disk() {
    let image = small("places.img", "0");
    let file = fresh("place.bin");
    fs::write(&file, b"x").unwrap();
    let refused = (0..100).find_map(|number| {
        let path = format!("{number}{}", "n".repeat(240));
        let add = ["disk", "add", &image, &file, "--as", &path];
        let ran = llmtool(&add).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        (!ran.status.success()).then_some(said)
    });
    let refused = refused.expect("a folder of a fixed size");
    assert!(refused.contains("but not for its name"), "{refused}");
    output(&["disk", "check", &image]);
}

#[test]
fn nothing_is_written_where_it_could_end_in_other_files() {
    let image = small("unsound.img", "0");
    output(&["disk", "add", &image, &format!("a={TINY}")]);
    let mut bytes = fs::read(&image).unwrap();
    // All clusters seem to be free, so a new file would take those of the old one.
    let table = usize::from(u16::from_le_bytes([bytes[14], bytes[15]])) * 512;
    bytes[table + 3..table + 512].fill(0);
    fs::write(&image, &bytes).unwrap();
    let said = failure(&["disk", "add", &image, &format!("b={TINY}")], 1);
    assert!(
        said.contains("nothing was written") && said.contains("a.gguf"),
        "{said}"
    );
    assert!(fs::read(&image).unwrap() == bytes);
    // What cannot even be mounted is not sent in a circle.
    bytes[16] = 7;
    fs::write(&image, &bytes).unwrap();
    let said = failure(&["disk", "list", &image], 1);
    assert!(said.contains("'llmtool disk check'"), "{said}");
    let said = failure(&["disk", "check", &image], 1);
    assert!(
        said.contains("is damaged") && !said.contains("disk check"),
        "{said}"
    );
    let said = failure(&["audit", "verify", &image], 1);
    assert!(said.contains("is damaged"), "{said}");
    let said = failure(&["audit", "verify", TINY], 1);
    assert!(said.contains("nor an export"), "{said}");
}

#[test]
fn two_names_that_differ_only_in_case_are_a_finding() {
    let image = small("case.img", "0");
    for name in ["tales", "talez"] {
        output(&["disk", "add", &image, &format!("{name}={TINY}")]);
    }
    output(&["disk", "check", &image]);
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let mut bytes = fs::read(&image).unwrap();
    let (from, to) = (wide("talez"), wide("taleS"));
    let places = 0..bytes.len() - from.len();
    let found: Vec<_> = places
        .filter(|at| bytes[*at..].starts_with(&from))
        .collect();
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(&to);
    }
    fs::write(&image, bytes).unwrap();
    let ran = llmtool(&["disk", "check", &image]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        said.contains("tales.gguf: taleS.gguf has the same name in another case")
            && !ran.status.success(),
        "{said}"
    );
}
