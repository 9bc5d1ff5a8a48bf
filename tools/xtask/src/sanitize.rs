//! Runs the tests of the modules that have `unsafe` code under AddressSanitizer.
//!
//! An access outside of an allocation, or to one that was freed, then ends the test with a report. Miri would see more
//! (aliasing, alignment, uninitialised memory), but it is a component of nightly toolchains only, and it has no vector
//! instructions, which most of this code consists of. rustup's stable toolchains include the sanitizer's runtime.

use crate::command::line_of;
use crate::error::Result;
use crate::shop::Shop;
use crate::suites::skipped;
use std::path::Path;

/// The crates, and which of their unit tests reach `unsafe` code. All other tests of theirs would only take time.
const CRATES: [&str; 3] = ["sel4-llm-protocol", "sel4-llm-workers", "llm-core"];
const TESTS: [&str; 7] = [
    "region::",
    "ring::",
    "domains::",
    "outputs::",
    "simd::",
    "team::",
    "any_number_of_workers",
];

/// The triple of this machine.
fn host() -> String {
    let about = line_of("rustc", &["-vV"]);
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap_or_default().to_owned()
}

/// Whether the toolchain includes the runtime of AddressSanitizer for a target.
fn has_runtime(triple: &str) -> bool {
    let sysroot = line_of("rustc", &["--print", "sysroot"]);
    let libraries = Path::new(&sysroot)
        .join("lib/rustlib")
        .join(triple)
        .join("lib");
    std::fs::read_dir(libraries).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with("rt.asan.a"))
        })
    })
}

/// The tests; skipped if the toolchain has no sanitizer.
pub fn sanitize(shop: &Shop) -> Result {
    let host = host();
    if !has_runtime(&host) {
        let why = format!("rustc has no AddressSanitizer for {host}; rustup's toolchains do");
        skipped("unsafe code under AddressSanitizer", &why);
        return Ok(());
    }
    let cargo = || {
        shop.cargo("test")
            .args(["--profile", "tested"])
            // The teams of `workers`, and what chooses the processor's instructions, depend on features.
            .arg("--all-features")
            // With an explicit target, build scripts and macros are built without the sanitizer.
            .args(["--target", &host, "--target-dir"])
            .arg(shop.target().join("address"))
            .env("RUSTFLAGS", "-Zsanitizer=address")
            // Some tests leak what must live until the end of the process.
            .env("ASAN_OPTIONS", "detect_leaks=0")
            .env("RUSTC_BOOTSTRAP", "1")
    };
    let crates = CRATES.iter().flat_map(|name| ["-p", name]);
    cargo()
        .arg("--lib")
        .args(crates)
        .arg("--")
        .args(TESTS)
        .done()?;
    cargo()
        .args([
            "-p",
            "sel4-llm-workers",
            "--test",
            "threads",
            "--test",
            "domains",
        ])
        .done()
}
