//! Disks as people insert them: empty, full, damaged, with odd names, or from another system. Each problem is reported
//! in one line, and the system works as far as it can. On the runtime given by the environment.

#[path = "disk_input/fat.rs"]
mod fat;
#[path = "disk_input/log_file.rs"]
mod log_file;
#[path = "disk_input/said.rs"]
mod said;

use fat::{Fat, fat16};
use said::{has, is_said_once, nothing_is_admitted, text, the_store_serves};
use sel4_llm_tests::disk::{Image, is_emulated, session_with, session_without_disk};
use sel4_llm_tests::{Session, llmtool_generate_with};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const ADMIN: &str = "login admin\nsel4\n";
const TINY: &str = "models/tiny-f32.gguf";
const TINY_BYTES: u32 = 1_163_008;

/// Size of the log in `fat16`.
const LOG_BYTES: u32 = 2 << 20;

/// The folder in which the tests run.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Beginning of the error for requests for text if no log can be written; the reason follows.
const NO_LOG: &str = "nothing is admitted, because the audit log cannot be written to the disk: ";

const ASK: &str = "llminfer \"Once upon a time\" --max-tokens 4 --temperature 0\n";

/// A folder that is removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("sel4-llm-disk-input-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const STORE: &str = "llmctl load tiny\nllmctl load default\n";

// ---- No disk, and unreadable disks ------------------------------------------------------------------

#[test]
fn without_a_disk_the_store_is_there() {
    if is_emulated() {
        return;
    }
    let session = session_without_disk(format!(
        "{ADMIN}llmctl models\nllmctl load disk/tales\n{STORE}{ASK}"
    ));
    nothing_is_admitted(&session, 4, "there is no disk");
    is_said_once(&session, "error: there is no disk; 'make run SYSTEM=disk'");
}

#[test]
fn an_empty_disk_and_one_of_noise_leave_the_store() {
    let noise: Vec<u8> = (0..1u32 << 21)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for bytes in [vec![0; 1 << 20], vec![0; 512], vec![0xff; 1 << 16], noise] {
        let image = Image::blank(0);
        std::fs::write(image.path(), &bytes).unwrap();
        let session = session_with(
            &image,
            format!("{ADMIN}llmctl models\nllmctl load disk/tales\n{STORE}{ASK}"),
        );
        nothing_is_admitted(&session, 4, "the disk has no file system that can be read");
        is_said_once(
            &session,
            "error: the disk has no file system that can be read",
        );
        assert!(
            std::fs::read(image.path()).unwrap() == bytes,
            "it was written"
        );
    }
}

#[test]
fn an_image_that_ends_too_early_is_named() {
    let image = Image::create(&["--size", "16MiB", "--log-size", "1MiB"]);
    image.add(&[&format!("tales={TINY}"), "second=models/default.gguf"]);
    // After the log and the first part of the file system.
    let file = std::fs::File::options()
        .write(true)
        .open(image.path())
        .unwrap();
    file.set_len((3 << 20) + 100).unwrap();
    drop(file);
    let session = session_with(
        &image,
        format!("{ADMIN}llmctl models\nllmctl load disk/tales\nllmctl load disk/second\n{STORE}"),
    );
    nothing_is_admitted(&session, 4, "the disk's file system is damaged");
    is_said_once(&session, "error: the disk's file system is damaged");
}

// ---- Full, and read-only ------------------------------------------------------------------------------

#[test]
fn a_full_disk_serves_its_models_and_keeps_its_log() {
    let folder = Folder::new();
    let image = Image::create(&["--size", "5MiB", "--log-size", "1MiB"]);
    image.add(&[&format!("tales={TINY}")]);
    // Fills it to the last cluster, by bisection.
    let mut bytes = 2 << 20;
    let mut number = 0;
    while bytes >= 512 {
        let file = folder.file("filler.bin", &vec![7; bytes]);
        let name = format!("filler{number}.bin");
        let (path, options) = (file.as_str(), ["--as", &name, "--unsigned"]);
        let arguments = [&[path][..], &options].concat();
        match image
            .try_tool(&["disk", "add"], &arguments)
            .status
            .success()
        {
            true => number += 1,
            false => bytes /= 2,
        }
    }
    assert!(number > 0);
    let session = session_with(
        &image,
        format!("{ADMIN}llmctl models\nllmctl load disk/tales\n{STORE}{ASK}llmctl audit verify\n"),
    );
    the_store_serves(&session);
    has(
        &session,
        &[
            "  disk/tales (1163008 bytes, signed",
            "loaded disk/tales:",
            "are unbroken",
        ],
    );
}

// ---- Names ---------------------------------------------------------------------------------------------

#[test]
fn odd_names_are_counted_and_never_printed() {
    let folder = Folder::new();
    let model = std::fs::read(Path::new(ROOT).join(TINY)).unwrap();
    let file = folder.file("model.gguf", &model);
    let image = Image::create(&["--size", "32MiB", "--log-size", "1MiB"]);
    let longest = format!("{}.gguf", "n".repeat(250));
    let odd = [
        "größe.gguf",
        "名前.gguf",
        "an 'apostrophe'.gguf",
        "two  blanks.gguf",
        "semi;colon.gguf",
        longest.as_str(),
    ];
    for name in odd {
        image.add(&[&file, "--as", name, "--unsigned"]);
    }
    image.add(&[&file, "--as", "...gguf", "--unsigned"]);
    image.add(&[&format!("tales={TINY}")]);
    let session = session_with(
        &image,
        format!(
            "{ADMIN}llmctl models\nllmctl load disk/{}\nllmctl load disk/größe\nllmctl load disk/tales\n{STORE}{ASK}",
            "n".repeat(250)
        ),
    );
    the_store_serves(&session);
    has(
        &session,
        &["files of the disk cannot be shown", "loaded disk/tales:"],
    );
    for name in ["größe (", "名前 (", "two  blanks (", "nnnnnn ("] {
        assert!(!session.output.contains(name), "{name}: {}", session.output);
    }
}

/// Changes a long name on a disk, as none of our tools would.
fn rename_by_hand(image: &Image, from: &str, to: &str) {
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let (from, to) = (wide(from), wide(to));
    let mut bytes = std::fs::read(image.path()).unwrap();
    let mut places = 0..bytes.len() - from.len();
    let at = places.find(|at| bytes[*at..].starts_with(&from)).unwrap();
    bytes[at..at + to.len()].copy_from_slice(&to);
    std::fs::write(image.path(), bytes).unwrap();
}

#[test]
fn a_name_that_must_not_be_printed_is_counted_and_costs_neither_the_list_nor_the_disk() {
    let image = Image::create(&["--size", "16MiB", "--log-size", "1MiB"]);
    for number in 1..=9 {
        image.add(&[&format!("m{number}={TINY}")]);
    }
    // The first name has a control character, which other systems allow. The eight files after it must be listed.
    rename_by_hand(&image, "m1.gg", "m\u{85}.gg");
    let list = "llmctl models\n".repeat(3);
    let session = session_with(
        &image,
        format!("{ADMIN}{list}llmctl load disk/m2\n{STORE}{ASK}llmctl audit verify\n"),
    );
    the_store_serves(&session);
    has(&session, &["loaded disk/m2:", "are unbroken"]);
    assert!(!session.output.contains("'files'"), "{}", session.output);
    let counted = session
        .output
        .matches("error: 1 file of the disk cannot be shown");
    assert_eq!(counted.count(), 3, "{}", session.output);
}

#[test]
fn names_are_the_same_whatever_their_case() {
    let image = Image::create(&["--size", "16MiB", "--log-size", "1MiB"]);
    let file = Path::new(ROOT).join(TINY);
    let (file, signature) = (file.to_str().unwrap(), format!("{}.sig", file.display()));
    for (from, to) in [(file, "TALES.GGUF"), (&signature, "tales.gguf.sig")] {
        image.add(&[from, "--as", to, "--unsigned"]);
    }
    image.add(&[file, "--as", ".gguf", "--unsigned"]);
    let session = session_with(
        &image,
        format!("{ADMIN}llmctl models\nllmctl load disk/Tales\nllmctl models\n{STORE}{ASK}"),
    );
    the_store_serves(&session);
    has(
        &session,
        &[
            "  disk/TALES (1163008 bytes, signed, not checked yet)",
            "loaded disk/Tales:",
            "* disk/TALES (1163008 bytes, signature good)",
            // The file that is called `.gguf` has no model name.
            "error: 1 file of the disk cannot be shown",
        ],
    );
}

#[test]
fn a_folder_called_like_a_model_is_none_and_what_is_in_it_can_be_loaded() {
    let image = Image::create(&["--size", "16MiB", "--log-size", "1MiB"]);
    let file = Path::new(ROOT).join(TINY);
    let (file, signature) = (file.to_str().unwrap(), format!("{}.sig", file.display()));
    for (from, to) in [
        (file, "folder.gguf/inner.gguf"),
        (&signature, "folder.gguf/inner.gguf.sig"),
    ] {
        image.add(&[from, "--as", to, "--unsigned"]);
    }
    // The signature of a model can be a folder, too.
    let folder = Folder::new();
    let alone = folder.file("model.gguf", &std::fs::read(file).unwrap());
    image.add(&[&alone, "--as", "strange.gguf", "--unsigned"]);
    image.add(&[&alone, "--as", "strange.gguf.sig/file.bin", "--unsigned"]);
    let session = session_with(
        &image,
        format!(
            "{ADMIN}llmctl models\nllmctl load disk/folder\nllmctl load disk/strange\nllmctl load disk/folder.gguf/inner\n\
             {STORE}{ASK}"
        ),
    );
    the_store_serves(&session);
    has(
        &session,
        &[
            "  disk/folder.gguf/inner (1163008 bytes",
            "loaded disk/folder.gguf/inner:",
        ],
    );
    let errors = session
        .output
        .lines()
        .filter(|line| line.starts_with("error: "));
    assert_eq!(errors.count(), 2, "{}", session.output);
    assert!(!session.output.contains("loaded disk/folder:"));
    assert!(!session.output.contains("loaded disk/strange:"));
}

#[test]
fn more_models_than_are_shown_are_counted() {
    let folder = Folder::new();
    let file = folder.file("model.gguf", b"GGUF");
    let image = Image::create(&["--size", "16MiB", "--log-size", "1MiB"]);
    for number in 0..150 {
        image.add(&[&file, "--as", &format!("many/{number}.gguf"), "--unsigned"]);
    }
    let session = session_with(&image, format!("{ADMIN}llmctl models\n{STORE}{ASK}"));
    the_store_serves(&session);
    let listed = session.output.matches("  disk/many/").count();
    let words = format!("error: {} files of the disk cannot be shown", 150 - listed);
    assert!(
        listed >= 100 && session.output.contains(&words),
        "{listed}: {}",
        session.output
    );
}

// ---- Damage --------------------------------------------------------------------------------------------

#[test]
fn a_file_that_has_lost_its_end_is_not_loaded_and_others_are() {
    // It ends after three clusters, forms a cycle, leaves the disk, or continues in a free cluster.
    for next in [0xffff, 0, 0xffef, 1] {
        let image = fat16();
        let mut fat = Fat::of(&image);
        let first = fat.first_cluster(TINY_BYTES);
        let next = if next == 0 { first } else { next };
        fat.set_next(first + 2, next);
        fat.write(&image);
        let session = session_with(
            &image,
            format!(
                "{ADMIN}llmctl models\nllmctl load disk/tales\nllmctl load disk/second\n{STORE}{ASK}"
            ),
        );
        the_store_serves(&session);
        has(&session, &["loaded disk/second:"]);
        assert!(
            !session.output.contains("loaded disk/tales:"),
            "{next:#x}: {}",
            session.output
        );
        let errors = session
            .output
            .lines()
            .filter(|line| line.starts_with("error: "));
        assert_eq!(errors.count(), 1, "{next:#x}: {}", session.output);
    }
}

#[test]
fn a_file_that_says_it_is_larger_than_the_disk_is_refused_by_its_size() {
    let image = fat16();
    let mut fat = Fat::of(&image);
    let at = fat.entry(TINY_BYTES) + 28;
    fat.bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    fat.write(&image);
    let session = session_with(
        &image,
        format!(
            "{ADMIN}llmctl load disk/tales\nllmctl load disk/second\n{STORE}{ASK}llmctl models\n"
        ),
    );
    the_store_serves(&session);
    has(&session, &["loaded disk/second:"]);
    is_said_once(&session, "has 4294967295 bytes, and there is room for");
}

// ---- Two cards -----------------------------------------------------------------------------------------

#[test]
fn two_cards_that_are_swapped_each_have_their_models_and_a_log_of_their_own() {
    let cards = [("red", TINY), ("blue", "models/default.gguf")].map(|(name, file)| {
        let image = Image::create(&["--size", "8MiB", "--log-size", "1MiB"]);
        image.add(&[&format!("{name}={file}")]);
        (name, image)
    });
    for boot in 1..=3 {
        for (name, image) in &cards {
            let other = if *name == "red" { "blue" } else { "red" };
            let session = session_with(
                image,
                format!(
                    "{ADMIN}llmctl load disk/{name}\nllmctl load disk/{other}\nllmctl load default\n{ASK}\
                     llmctl audit verify\n"
                ),
            );
            has(
                &session,
                &[&format!("loaded disk/{name}:"), &text(), "are unbroken"],
            );
            is_said_once(&session, &format!("the disk has no file 'disk/{other}'"));
            let said = image.tool("check", &[]);
            assert!(!said.contains("damaged"), "boot {boot}: {said}");
        }
    }
}
