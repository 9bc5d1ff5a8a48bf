//! Adapters and training data on a disk, end to end, on the runtime given by the environment: adapters made on the
//! device are written to the disk, and are available after a reboot.
//!
//! The system has the test builds' policy. `SEL4_LLM_DEVICE` is its device's secret key, with the public key beside it;
//! `SEL4_LLM_TEST_KEY` is the secret key that the policy trusts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use sel4_llm_tests::Session;
use sel4_llm_tests::disk::{Image, is_emulated, session_with};
use sel4_llm_tests::live::Live;

const TESTER: &str = "login tester\n";
const PROMPT: &str = "The fox lost his way in the dark wood.";
const TRAIN: &str = "llmfinetune disk/feelings --adapter moods --rank 1 --epochs 1 --rate 1e-3\n";

/// The folder in which the tests run.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A folder that is removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("sel4-llm-disk-adapters-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A file signed with a key that the policy trusts.
    fn signed(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.file(name, bytes);
        let key = std::env::var("SEL4_LLM_TEST_KEY").expect("make sets it");
        tool(&["sign", "--key", &key, "--force", &path]);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `llmtool`, which must succeed. Returns its output.
fn tool(arguments: &[&str]) -> String {
    let program = std::env::var("SEL4_LLM_LLMTOOL").expect("make sets it");
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(ROOT).output();
    let output = output.expect("llmtool starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The public key of the device.
fn device() -> String {
    let key = std::env::var("SEL4_LLM_DEVICE").expect("make sets it");
    key.replace(".key.pem", ".pub.pem")
}

fn has(session: &Session, parts: &[&str]) {
    for part in parts {
        assert!(session.output.contains(part), "{part}: {}", session.output);
    }
    assert_eq!(session.status, Some(0), "{}", session.output);
}

fn infer(options: &str) -> String {
    format!("llminfer \"{PROMPT}\" --max-tokens 16 --temperature 0 {options}\n")
}

fn generate(adapter: Option<&str>) -> String {
    let model = "models/default.gguf";
    let mut arguments = vec!["generate", "-m", model, "-p", PROMPT, "--max-tokens", "16"];
    arguments.extend(["--temperature", "0"]);
    if let Some(adapter) = adapter {
        arguments.extend(["--lora", adapter]);
    }
    tool(&arguments)
}

/// A disk with training data, without a partition so that file system tools can read it.
fn disk(folder: &Folder) -> Image {
    let image = Image::create(&["--size", "8MiB", "--log-size", "1MiB", "--table", "none"]);
    image.add(&[&folder.signed("feelings.jsonl", &feelings())]);
    image
}

fn feelings() -> Vec<u8> {
    std::fs::read(Path::new(ROOT).join("tests/data/feelings.jsonl")).unwrap()
}

/// Checks the disk with several tools.
fn check(disk: &Image) {
    disk.tool("check", &[]);
    if let Ok(checked) = Command::new("fsck.fat").arg("-n").arg(disk.path()).output() {
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{said}");
    }
}

/// The adapters on the disk, one per line, with the device's signature verified.
fn adapters(disk: &Image) -> Vec<String> {
    let listed = disk.tool("list", &["--key", &device()]);
    let lines = listed.lines().filter(|line| line.contains("adapter '"));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn what_is_made_here_is_on_the_disk_signed_and_says_the_same_after_a_reboot_and_on_the_host() {
    let folder = Folder::new();
    let disk = disk(&folder);
    let first = session_with(
        &disk,
        format!(
            "{TESTER}{TRAIN}{}llmctl adapters\nllmctl audit verify\n",
            infer("--adapter moods")
        ),
    );
    has(
        &first,
        &[
            "made the adapter moods: 8 steps, ",
            "it is loaded: llminfer",
            "it is on the disk, signed by this device: the next boot has it as disk/moods",
            "* moods (",
            "  disk/moods (",
            "are unbroken",
        ],
    );
    check(&disk);
    let listed = adapters(&disk);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert!(listed[0].starts_with("adapters/moods.gguf"), "{listed:?}");
    assert!(listed[0].contains(", signed by "), "{listed:?}");

    // Another machine reads it, with the device's public key.
    let taken = folder.path("moods.gguf");
    disk.tool("get", &["adapters/moods.gguf", "-o", &taken]);
    tool(&["verify", "--key", &device(), &taken]);
    let (with, without) = (generate(Some(&taken)), generate(None));
    assert_ne!(with, without, "it has learnt something");
    assert!(!with.trim().is_empty(), "and says something");
    has(&first, &[with.trim_end()]);

    // The power was off; another training must not overwrite it.
    let second = session_with(
        &disk,
        format!(
            "{TESTER}llmctl adapters\nllmctl adapter load disk/moods\n{}{}{TRAIN}llmctl adapters\n\
             llmctl adapter drop disk/moods\nllminfer x --adapter disk/moods\n",
            infer("--adapter disk/moods"),
            infer(""),
        ),
    );
    has(
        &second,
        &[
            "  disk/moods (",
            "signed, not checked yet)",
            "loaded disk/moods: rank 1",
            with.trim_end(),
            without.trim_end(),
            "the next boot has it as disk/moods-2",
            "* disk/moods (",
            "signature good, rank 1, for the model",
            "dropped disk/moods",
            "the adapter 'disk/moods' is not loaded",
        ],
    );
    check(&disk);
    assert_eq!(adapters(&disk).len(), 2);
    let again = folder.path("again.gguf");
    disk.tool("get", &["adapters/moods-2.gguf", "-o", &again]);
    assert!(std::fs::read(again).unwrap() == std::fs::read(&taken).unwrap());

    // The image has everything that a replay needs, except the model in the store.
    let replayed = disk.try_tool(&["replay"], &["--models", "models"]);
    let said = String::from_utf8_lossy(&replayed.stdout);
    assert!(replayed.status.success(), "{said}");
    assert!(
        said.contains("5 requests reproduced, 0 differ, 0 not replayed"),
        "{said}"
    );
}

#[test]
fn an_adapter_that_a_key_of_the_policy_has_signed_is_loaded_from_the_disk_and_others_are_refused_by_name()
 {
    let folder = Folder::new();
    let disk = disk(&folder);
    let data = folder.file("tales.jsonl", &feelings());
    let train = |model: &str, name: &str| {
        let path = folder.path(name);
        tool(&[
            "finetune", model, &data, "-o", &path, "--rank", "1", "--epochs", "1",
        ]);
        std::fs::read(path).unwrap()
    };
    let good = train("models/default.gguf", "good.gguf");
    let other = train("models/tiny-f32.gguf", "other.gguf");
    disk.add(&[
        &folder.signed("moral.gguf", &good),
        &folder.signed("other.gguf", &other),
    ]);
    let put = |file: &str, path: &str| disk.add(&[file, "--as", path, "--unsigned"]);
    put(&folder.file("a.gguf", &good), "adapters/unsigned.gguf");
    // Signed with an untrusted key.
    let stranger = folder.path("stranger");
    tool(&["keygen", &stranger]);
    let foreign = folder.file("foreign.gguf", &good);
    tool(&["sign", "--key", &format!("{stranger}.key.pem"), &foreign]);
    disk.add(&[&foreign]);
    // Altered after it was signed.
    let signature = std::fs::read(folder.path("moral.gguf.sig")).unwrap();
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    put(&folder.file("b.gguf", &altered), "adapters/altered.gguf");
    put(
        &folder.file("b.sig", &signature),
        "adapters/altered.gguf.sig",
    );
    put(
        &folder.file("c.gguf", &vec![7; 1_000_000]),
        "adapters/large.gguf",
    );
    put(&folder.file("c.sig", &signature), "adapters/large.gguf.sig");
    let mut script = TESTER.to_owned();
    for name in [
        "unsigned", "foreign", "altered", "large", "other", "nothing",
    ] {
        script += &format!("llmctl adapter load disk/{name}\n");
    }
    script += &format!(
        "llmctl adapter load disk/moral\n{}llmctl adapter export disk/moral\nllmctl load tiny\nllmctl adapters\n",
        infer("--adapter disk/moral")
    );
    let session = session_with(&disk, script);
    let with = generate(Some(&folder.path("moral.gguf")));
    has(
        &session,
        &[
            "error: the file 'disk/unsigned' has no signature",
            "error: the signature of the file 'disk/foreign' is by no key that the policy trusts",
            "error: the signature of the file 'disk/altered' is by no key that the policy trusts",
            "error: the adapter would have 1000000 bytes, there is room for 983040",
            "error: the adapter was made for another model",
            "error: the disk has no file 'disk/nothing'",
            "loaded disk/moral: rank 1",
            with.trim_end(),
            "error: the adapter is in the store or on the disk",
            "  disk/moral (",
        ],
    );
}

#[test]
fn what_is_wrong_with_data_of_the_disk_is_one_line_and_costs_nothing() {
    let folder = Folder::new();
    let disk = disk(&folder);
    let put = |file: &str, path: &str| disk.add(&[file, "--as", path, "--unsigned"]);
    put(
        &folder.file("a.txt", b"Once upon a time."),
        "data/unsigned.txt",
    );
    let signature = std::fs::read(folder.path("feelings.jsonl.sig")).unwrap();
    put(
        &folder.file("b.txt", b"Once upon a time."),
        "data/altered.txt",
    );
    put(&folder.file("b.sig", &signature), "data/altered.txt.sig");
    put(&folder.signed("c.txt", b""), "data/empty.txt");
    put(&folder.path("c.txt.sig"), "data/empty.txt.sig");
    put(
        &folder.signed("d.txt", &vec![b'x'; 131_073]),
        "data/long.txt",
    );
    put(&folder.path("d.txt.sig"), "data/long.txt.sig");
    put(
        &folder.signed("e.jsonl", b"{\"prompt\": 1}\n"),
        "data/broken.jsonl",
    );
    put(&folder.path("e.jsonl.sig"), "data/broken.jsonl.sig");
    let mut script = format!("{TESTER}llmctl budget\n");
    for name in ["unsigned", "altered", "empty", "long", "broken", "nothing"] {
        script += &format!("llmfinetune disk/{name}\n");
    }
    script += "llmctl budget\n";
    let session = session_with(&disk, script);
    has(
        &session,
        &[
            "error: the file 'disk/unsigned' has no signature",
            "error: the signature of the file 'disk/altered' is by no key that the policy trusts",
            "error: the data 'disk/empty' contains no examples",
            "error: 131073 bytes of data, at most 131072 are allowed",
            "error: the data cannot be used: line 1 ",
            "error: the disk has no file 'disk/nothing'",
        ],
    );
    let budgets: Vec<_> = session
        .output
        .lines()
        .filter(|line| line.contains(" tokens left ("))
        .collect();
    assert_eq!(budgets.len(), 2, "{}", session.output);
    let used = |line: &str| line.split_once(" used").unwrap().0.to_owned();
    assert_eq!(used(budgets[0]), used(budgets[1]));
}

/// Fills a disk to the last cluster, by bisection.
fn fill(disk: &Image, folder: &Folder) {
    let (mut bytes, mut number) = (4 << 20, 0);
    while bytes >= 512 {
        let file = folder.file("filler.bin", &vec![7; bytes]);
        let name = format!("filler{number}.bin");
        let arguments = [file.as_str(), "--as", &name, "--unsigned"];
        match disk.try_tool(&["disk", "add"], &arguments).status.success() {
            true => number += 1,
            false => bytes /= 2,
        }
    }
}

#[test]
fn on_a_full_disk_an_adapter_stays_in_memory_and_the_file_system_is_as_it_was() {
    let folder = Folder::new();
    let disk = disk(&folder);
    fill(&disk, &folder);
    let session = session_with(
        &disk,
        format!(
            "{TESTER}{TRAIN}{}llmctl audit\nllmctl audit verify\n",
            infer("--adapter moods")
        ),
    );
    has(
        &session,
        &[
            "made the adapter moods: 8 steps, ",
            "it was not written to the disk: the disk is full",
            "the next boot forgets it; 'llmctl adapter export moods' prints it",
            " tokens/s, first after ",
            "not written: the disk is full",
            "are unbroken",
        ],
    );
    check(&disk);
    assert!(adapters(&disk).is_empty());
}

#[test]
fn whenever_the_power_goes_an_adapter_is_on_the_disk_whole_and_signed_or_not_at_all() {
    let cuts = if is_emulated() { 3 } else { 16 };
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    let folder = Folder::new();
    // The time it takes without an interruption.
    let sound = disk(&folder);
    let mut live = Live::start_with(&sound).expect("a system that gets ready");
    live.run("login tester").expect("an answer");
    let began = Instant::now();
    let said = live.run(TRAIN.trim_end()).expect("an answer").text;
    assert!(said.contains("it is on the disk"), "{said}");
    let took = began.elapsed();
    drop(live);
    let (mut kept, mut lost) = (0, 0);
    let disk = disk(&folder);
    for cut in 0..cuts {
        let mut live = Live::start_with(&disk).expect("a system that gets ready");
        live.run("login tester").expect("an answer");
        live.begin(TRAIN).expect("a console");
        // Most of them near the end, when the file is written.
        let share = 80 + random.next_u32() % 25;
        std::thread::sleep(took * share / 100);
        let printed = live.cut();
        let is_told = printed.contains("it is on the disk");
        let listed = adapters(&disk);
        assert!(
            listed.iter().all(|line| line.contains(", signed by ")),
            "cut {cut}: {listed:?}"
        );
        assert!(
            listed.len() >= kept + usize::from(is_told),
            "cut {cut}: {listed:?}"
        );
        lost += usize::from(listed.len() == kept);
        kept = listed.len();
        let device = device();
        let log = disk.try_tool(&["audit", "verify"], &["--device", &device]);
        let said = String::from_utf8_lossy(&log.stdout);
        assert!(log.status.success(), "cut {cut}: {said}");
        if kept > 6 {
            break;
        }
    }
    // Remains of unfinished files must not matter.
    let session = session_with(&disk, format!("{TESTER}{TRAIN}"));
    has(&session, &["it is on the disk, signed by this device"]);
    println!("{took:?} without a cut; {kept} kept, {lost} lost");
    assert!(took < Duration::from_secs(600));
}
