//! Reads disks that other programs made, and has other programs read the disks that are made here: `mkfs.fat` and
//! `fsck.fat` of dosfstools, mtools, and `sfdisk`. Without those programs the tests say so and check nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use storage::make::{Plan, make};
use storage::{
    FatKind, Ground, ItemKind, Memory, StorageError, Table, Volume, Walk, block_on, check,
};

const MIB: usize = 1 << 20;

fn there_is(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let mut command = Command::new(program);
        command
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_err()
    });
    if let Some(program) = missing {
        eprintln!("*** SKIPPED: there is no {program}: install dosfstools, mtools and fdisk ***");
    }
    missing.is_none()
}

fn run(command: &mut Command) -> String {
    let output = command
        .env("MTOOLS_SKIP_CHECK", "1")
        .output()
        .expect("the program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a folder");
    path
}

fn contents(bytes: usize, salt: u8) -> Vec<u8> {
    (0..bytes)
        .map(|at| (at / 512) as u8 ^ (at as u8).wrapping_mul(31) ^ salt)
        .collect()
}

/// All files of an image with their contents.
fn files_of(image: &mut Memory<Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    let mut ground = Ground::new();
    let mut volume = block_on(Volume::mount(image, &mut ground)).expect("a file system");
    let mut walk = Walk::new();
    let mut files = Vec::new();
    while let Some(item) = block_on(walk.next(&mut volume)).expect("an entry") {
        let ItemKind::File { bytes } = item.kind else {
            continue;
        };
        let path = item.path.to_owned();
        let data = block_on(async {
            let file = volume.open(&path).await?;
            let mut data = vec![0; bytes as usize];
            assert_eq!(volume.read(&file, 0, &mut data).await?, data.len());
            volume.close(file).await?;
            Ok::<_, StorageError>(data)
        });
        files.push((path, data.expect("a file")));
    }
    files.sort();
    files
}

#[test]
fn disks_of_every_width_made_by_others_are_read() {
    if !there_is(&["mkfs.fat", "mcopy"]) {
        return;
    }
    let folder = folder("by-others");
    let long = format!("{}.gguf", "ünïcode näme ".repeat(8));
    let small = folder.join("small");
    let large = folder.join("large");
    fs::write(&small, contents(700, 1)).expect("a file");
    fs::write(&large, contents(300_000, 2)).expect("a file");
    for (width, mib, kind, options) in [
        ("12", 4, FatKind::Fat12, &[][..]),
        ("12", 4, FatKind::Fat12, &["-S", "1024"][..]),
        ("16", 32, FatKind::Fat16, &[][..]),
        ("16", 32, FatKind::Fat16, &["-s", "1", "-f", "1"][..]),
        ("32", 64, FatKind::Fat32, &["-s", "1"][..]),
        ("32", 300, FatKind::Fat32, &["-S", "4096"][..]),
    ] {
        let image = folder.join("image");
        let file = fs::File::create(&image).expect("an image");
        file.set_len(mib * MIB as u64).expect("an image");
        run(Command::new("mkfs.fat")
            .args(["-F", width])
            .args(options)
            .arg(&image));
        let mtools = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.env("LC_ALL", "C.UTF-8").arg("-i").arg(&image);
            run(command.args(arguments))
        };
        let (small, large) = (
            small.to_str().expect("UTF-8"),
            large.to_str().expect("UTF-8"),
        );
        mtools("mmd", &["::/models", "::/models/deep"]);
        // Deleting every other file fragments the free space.
        for name in ["::/a", "::/b", "::/c", "::/d"] {
            mtools("mcopy", &[small, name]);
        }
        mtools("mdel", &["::/a", "::/c"]);
        mtools("mcopy", &[large, "::/models/deep/in pieces.jsonl"]);
        mtools("mcopy", &[small, &format!("::/models/{long}")]);
        mtools("mcopy", &[large, "::/TINY.GGU"]);
        let mut image = Memory::new(fs::read(&image).expect("the image"));
        let mut expected = vec![
            ("TINY.GGU".to_owned(), contents(300_000, 2)),
            ("b".to_owned(), contents(700, 1)),
            ("d".to_owned(), contents(700, 1)),
            (
                "models/deep/in pieces.jsonl".to_owned(),
                contents(300_000, 2),
            ),
            (format!("models/{long}"), contents(700, 1)),
        ];
        expected.sort();
        let found = files_of(&mut image);
        let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
            files.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&found), names(&expected), "FAT{width} {options:?}");
        assert!(found == expected, "FAT{width} {options:?}: contents differ");
        let mut ground = Ground::new();
        let volume = block_on(Volume::mount(&mut image, &mut ground)).expect("a file system");
        let info = volume.info();
        assert_eq!((info.found.table, info.kind), (Table::None, kind));
    }
}

#[test]
fn disks_made_here_are_sound_for_others_and_have_what_was_written() {
    if !there_is(&["fsck.fat", "mcopy", "mdir"]) {
        return;
    }
    let folder = folder("for-others");
    for (table, mib) in [
        (Table::None, 4),
        (Table::Mbr, 4),
        (Table::Gpt, 64),
        (Table::Mbr, 64),
        (Table::Mbr, 520),
    ] {
        let mut image = Memory::new(vec![0; mib * MIB]);
        let plan = Plan {
            table,
            label: "SEL4-LLM",
            seed: [9; 32],
        };
        block_on(make(&mut image, &plan)).expect("a disk");
        let long = "Größe und Länge eines Namens.gguf";
        let first = block_on(async {
            let mut ground = Ground::new();
            let mut volume = Volume::mount(&mut image, &mut ground).await?;
            volume.make_folders("adapters").await?;
            for (path, bytes) in [("AUDIT.LOG", 1 << 20), (long, 50_000), ("adapters/a", 10)] {
                let mut file = volume.create(path).await?;
                volume.append(&mut file, &contents(bytes, 3)).await?;
                volume.close(file).await?;
            }
            volume.rename("adapters/a", "adapters/moral.gguf").await?;
            volume.sync().await?;
            Ok::<_, StorageError>(volume.info().found.first)
        })
        .expect("files");
        let path = folder.join("image");
        // fsck.fat checks a file system, not a disk with partitions.
        fs::write(&path, &image.bytes()[first as usize * 512..]).expect("an image");
        run(Command::new("fsck.fat").arg("-n").arg(&path));
        let mut command = Command::new("mdir");
        let listing = run(command
            .env("LC_ALL", "C.UTF-8")
            .arg("-i")
            .arg(&path)
            .args(["-/", "-b", "::/"]));
        for name in ["AUDIT.LOG", long, "adapters/moral.gguf"] {
            assert!(listing.contains(name), "{name} in {listing}");
        }
        let copy = folder.join("copy");
        let _ = fs::remove_file(&copy);
        let mut command = Command::new("mcopy");
        let command = command.env("LC_ALL", "C.UTF-8").arg("-i").arg(&path);
        run(command.arg(format!("::/{long}")).arg(&copy));
        assert!(fs::read(&copy).expect("the copy") == contents(50_000, 3));
        let findings = block_on(check(&mut image, &mut [0; 4096], |finding, _| {
            println!("{finding}")
        }));
        assert_eq!(findings, Ok(0));
    }
}

#[test]
fn a_partition_of_a_table_made_by_others_is_found() {
    if !there_is(&["sfdisk", "mkfs.fat"]) {
        return;
    }
    let folder = folder("tables");
    let image = folder.join("image");
    for (script, table) in [
        ("label: dos\nstart=2048, type=c\n", Table::Mbr),
        (
            "label: dos\nstart=2048, size=2048, type=83\nstart=4096, type=5\nstart=6144, type=c\n",
            Table::Mbr,
        ),
        (
            "label: gpt\nstart=2048, size=2048, type=L\nstart=4096, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n",
            Table::Gpt,
        ),
    ] {
        fs::File::create(&image)
            .and_then(|file| file.set_len(16 * MIB as u64))
            .expect("an image");
        let input = folder.join("script");
        fs::write(&input, script).expect("a script");
        run(Command::new("sfdisk")
            .arg(&image)
            .stdin(fs::File::open(&input).expect("the script")));
        let first = if script.contains("6144") {
            6144
        } else if script.contains("4096") {
            4096
        } else {
            2048
        };
        run(Command::new("mkfs.fat")
            .args(["--offset", &first.to_string()])
            .arg(&image)
            .arg("4000"));
        let mut disk = Memory::new(fs::read(&image).expect("the image"));
        let found = block_on(storage::find(&mut disk)).expect("a file system");
        assert_eq!((found.table, found.first), (table, first), "{script}");
        assert_eq!(files_of(&mut disk), []);
    }
}
