//! The log on a disk, end to end, on the runtime given by the environment: it survives power failures at any time.
//!
//! `SEL4_LLM_DEVICE` is its device's public key. `DISK_CUTS` is the number of power failures at random moments.

use std::process::Command;
use std::time::Duration;

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use sel4_llm_tests::disk::{Image, is_emulated};
use sel4_llm_tests::live::Live;

/// The budget of `guest` per hour in the shipped policy.
const BUDGET: u64 = 20_000;

/// A disk without a partition, so that file system tools can read it.
fn disk() -> Image {
    Image::create(&["--size", "8MiB", "--log-size", "1MiB", "--table", "none"])
}

fn device() -> String {
    std::env::var("SEL4_LLM_DEVICE").expect("SEL4_LLM_DEVICE is set by make")
}

/// The log as `llmtool audit show` prints it; it must pass the check, and belong to this device.
fn read_log(disk: &Image, options: &[&str]) -> String {
    let device = device();
    let mut all = vec!["--device", &device];
    all.extend_from_slice(options);
    let shown = disk.try_tool(&["audit", "show"], &all);
    let said = text(&shown.stdout);
    assert!(shown.status.success(), "{said}{}", text(&shown.stderr));
    said
}

/// Checks the disk and its file system with several tools.
fn check(disk: &Image) {
    disk.tool("check", &[]);
    if let Ok(checked) = Command::new("fsck.fat").arg("-n").arg(disk.path()).output() {
        assert!(checked.status.success(), "{}", text(&checked.stdout));
    }
}

fn boot(disk: &Image) -> Live {
    Live::start_with(disk).expect("a system that gets ready")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(live: &mut Live, line: &str) -> String {
    live.run(line).expect("an answer").text
}

/// Tokens used, according to `llmctl budget`.
fn used(live: &mut Live) -> u64 {
    let said = run(live, "llmctl budget");
    let used = said.split_once(" tokens left (").map(|(_, rest)| rest);
    let used = used.and_then(|rest| rest.split_once(" used")?.0.replace(',', "").parse().ok());
    used.unwrap_or_else(|| panic!("a budget: {said}"))
}

/// Lines of a log about this kind of event.
fn count(log: &str, kind: &str) -> usize {
    let is = |line: &&str| {
        // After the number and the time.
        let event = line.split_whitespace().nth(3);
        event.is_some_and(|word| word.trim_end_matches([',', ':']) == kind)
    };
    log.lines().filter(is).count()
}

/// Answers that have ended, according to the console's output.
fn ended(printed: &str) -> usize {
    let lines = printed.lines();
    lines.filter(|line| line.contains(" tokens/s")).count()
}

#[test]
fn the_log_goes_on_after_the_power_has_gone_and_its_device_vouches_for_it() {
    let disk = disk();
    let mut first = boot(&disk);
    let story = run(
        &mut first,
        "llminfer \"Once upon a time\" --max-tokens 12 --temperature 0",
    );
    assert_eq!(ended(&story), 1, "{story}");
    let spent = used(&mut first);
    assert!(spent >= 12);
    // The power fails, without warning.
    drop(first);
    let log = read_log(&disk, &[]);
    assert_eq!(
        (
            count(&log, "boot"),
            count(&log, "admit"),
            count(&log, "finish")
        ),
        (1, 1, 1),
        "{log}"
    );

    let mut second = boot(&disk);
    // A reboot does not refill a budget.
    assert_eq!(used(&mut second), spent);
    assert_eq!(
        ended(&run(
            &mut second,
            "llminfer \"Once upon a time\" --max-tokens 12 --temperature 0"
        )),
        1
    );
    run(&mut second, "login admin\nsel4");
    // This boot's memory has no entries of an earlier boot, so they are read from the disk.
    let read = run(&mut second, "llmctl audit");
    assert!(read.contains("#1 ") && read.contains("boot 2,"), "{read}");
    assert_eq!(count(&read, "finish"), 2, "{read}");
    let export = run(&mut second, "llmctl audit --json");
    let attested = run(&mut second, "llmctl audit attest evening");
    assert!(attested.contains("\"boot\":2"), "{attested}");
    drop(second);
    let capture = disk.path().with_extension("console");
    std::fs::write(&capture, format!("{export}{attested}")).expect("a temporary file");
    let path = capture.to_str().expect("a name in UTF-8");
    let said = read_log(&disk, &["--attestation", path, "--nonce", "evening"]);
    assert!(said.contains("the device has signed entry"), "{said}");
    assert!(
        said.contains("at boot 2, with the nonce 'evening'"),
        "{said}"
    );
    // The export is the same log.
    let device = device();
    let arguments = ["audit", "verify", "--device", &device, "--nonce", "evening"];
    let (said, status) = sel4_llm_tests::llmtool(&arguments, &format!("{export}{attested}"));
    assert_eq!(status, Some(0), "{said}");
    // A different nonce was not signed.
    let other = disk.try_tool(
        &["audit", "verify"],
        &[
            "--device",
            &device,
            "--attestation",
            path,
            "--nonce",
            "morning",
        ],
    );
    assert!(text(&other.stdout).contains("there is no attestation with the nonce 'morning'"));
    assert!(!other.status.success());
    let _ = std::fs::remove_file(capture);
    check(&disk);
}

#[test]
fn an_older_disk_that_was_put_back_is_seen_by_who_has_a_newer_attestation_and_by_nobody_else() {
    let disk = disk();
    let mut first = boot(&disk);
    run(&mut first, "llminfer \"Once\" --max-tokens 4");
    drop(first);
    let older = std::fs::read(disk.path()).expect("the image");
    let mut second = boot(&disk);
    run(&mut second, "llminfer \"Once\" --max-tokens 4");
    run(&mut second, "login admin\nsel4");
    let attested = run(&mut second, "llmctl audit attest");
    drop(second);
    std::fs::write(disk.path(), older).expect("the image");
    read_log(&disk, &[]);
    let capture = disk.path().with_extension("console");
    std::fs::write(&capture, attested).expect("a temporary file");
    let device = device();
    let path = capture.to_str().expect("a name in UTF-8");
    let verified = disk.try_tool(
        &["audit", "verify"],
        &["--device", &device, "--attestation", path],
    );
    let said = text(&verified.stdout);
    assert!(
        said.contains("entries are missing, or an older disk was put back"),
        "{said}"
    );
    let _ = std::fs::remove_file(capture);
}

#[test]
fn whenever_the_power_goes_the_log_holds_and_has_what_anybody_was_told() {
    let few = if is_emulated() { 3 } else { 12 };
    let cuts = std::env::var("DISK_CUTS").map_or(few, |cuts| cuts.parse().expect("a number"));
    let seed = std::env::var("DISK_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let disk = disk();
    // Answers whose end clients saw, and entries that were on the disk after the last power failure.
    let (mut told, mut admitted) = (0, 0);
    for cut in 0..cuts {
        let mut live = boot(&disk);
        let spent = used(&mut live);
        assert!(spent <= BUDGET, "cut {cut}");
        let mut lines = String::new();
        for _ in 0..10 {
            let tokens = 1 + random.next_u32() % 20;
            lines += &format!("llminfer \"Once upon a time\" --max-tokens {tokens}\n");
        }
        live.begin(&lines).expect("a console");
        let after = Duration::from_millis(
            u64::from(random.next_u32() % 250) * if is_emulated() { 10 } else { 1 },
        );
        std::thread::sleep(after);
        let printed = live.cut();
        told += ended(&printed);
        let log = read_log(&disk, &[]);
        let (begun, finished) = (count(&log, "admit"), count(&log, "finish"));
        assert!(finished >= told, "cut {cut}: {told} ends were told, {log}");
        assert!(begun >= finished && begun >= admitted, "cut {cut}: {log}");
        admitted = begun;
        check(&disk);
    }
    // All boots share one budget.
    let mut live = boot(&disk);
    assert!(used(&mut live) as usize >= told, "{told}");
    println!("{cuts} cuts: {admitted} admissions, {told} ends told");
}

#[test]
fn without_a_disk_nothing_is_admitted_and_somebody_says_why() {
    let disk = Image::blank(1 << 20);
    let mut live = boot(&disk);
    let said = run(&mut live, "llminfer \"Once\"");
    assert!(
        said.contains("nothing is admitted, because the audit log cannot be written to the disk"),
        "{said}"
    );
    assert!(said.contains("file system"), "{said}");
    // It works as far as it can.
    let models = run(&mut live, "llmctl status");
    assert!(models.contains("default"), "{models}");
}

#[test]
fn a_card_that_comes_later_has_its_files_and_its_log_is_not_taken_up_again() {
    let disk = Image::blank(8 << 20);
    let mut live = boot(&disk);
    run(&mut live, "login admin\nsel4");
    let models = run(&mut live, "llmctl models");
    assert!(models.contains("no file system"), "{models}");
    let card = Image::create(&["--size", "8MiB", "--log-size", "1MiB"]);
    card.add(&["tales=models/tiny-f32.gguf"]);
    let bytes = std::fs::read(card.path()).expect("the image");
    std::fs::write(disk.path(), &bytes).expect("the image");
    let models = run(&mut live, "llmctl models");
    assert!(
        models.contains("  disk/tales (1163008 bytes, signed"),
        "{models}"
    );
    // Admissions must be recorded, and this boot has no log on the disk.
    let said = run(&mut live, "llmctl load disk/tales");
    assert!(
        said.contains("nothing is admitted, because the audit log cannot be written to the disk"),
        "{said}"
    );
    drop(live);
    assert!(std::fs::read(disk.path()).expect("the image") == bytes);
    // The next boot begins a log there.
    let mut live = boot(&disk);
    run(&mut live, "login admin\nsel4");
    let said = run(&mut live, "llmctl load disk/tales");
    assert!(said.contains("loaded disk/tales:"), "{said}");
}
