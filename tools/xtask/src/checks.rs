//! Checks of the code on the host: lints, documentation, units, models of memory, fuzzing, coverage.

use crate::command::{Run, is_installed, line_of, run};
use crate::error::{Error, Result};
use crate::files;
use crate::options::{is_said, number, said_or};
use crate::sdk::{has_source, has_target};
use crate::shop::Shop;
use crate::suites::skipped;
use std::path::{Path, PathBuf};

const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];
/// Folders with tests in Python.
const PYTHON_TESTS: [&str; 4] = [
    "tools/qemu-console",
    "tools/coverage",
    "tools/test-sel4",
    "tools/stages",
];
/// Fuzz targets.
const FUZZ_TARGETS: [&str; 7] = [
    "gguf",
    "vocabulary",
    "text",
    "wire",
    "shell",
    "disk",
    "files",
];
/// Code that must not fail; the tests must cover its lines.
const COVERED: [&str; 2] = ["pds/audit", "protocol"];

/// Formatting and clippy; warnings are errors.
pub fn lint(shop: &Shop) -> Result {
    run("cargo").args(["fmt", "--all", "--check"]).done()?;
    // All runs but the last select the whole workspace. So every package has the same features in each run, and only
    // what depends on the simulation's feature is checked again.
    let inject = [
        "--features",
        "sel4-llm-sim/inject",
        "--bin",
        "sel4-llm-sim-inject",
    ];
    let redteam = [
        "--features",
        "sel4-llm-sim/redteam",
        "--bin",
        "sel4-llm-sim-redteam",
    ];
    let with =
        |feature: [&'static str; 4]| [&["--workspace", "--test", "*"], &feature[..]].concat();
    let lints = [
        vec!["--workspace", "--all-targets"],
        with(inject),
        with(redteam),
        vec!["-p", "sel4-llm-sim", "--no-default-features"],
    ];
    for arguments in lints {
        shop.cargo("clippy")
            .args(arguments)
            .args(DENY_WARNINGS)
            .done()?;
    }
    Ok(())
}

/// A program that must be installed.
fn needed(program: &str, how: &str) -> Result {
    match is_installed(program) {
        true => Ok(()),
        false => Err(Error::Missing(format!("no {program}: {how}"))),
    }
}

/// Licences, duplicates and sources of all dependencies. Advisories come from a database on the network, so they are a
/// separate check: ADVISORIES=1.
pub fn deny() -> Result {
    needed("cargo-deny", "cargo install cargo-deny --locked")?;
    let checks = ["bans", "licenses", "sources"];
    let advisories = is_said("ADVISORIES").then_some("advisories");
    let workspaces: [&[&str]; 2] = [
        &["--all-features"],
        &["--manifest-path", "pds/sel4/Cargo.toml"],
    ];
    let config = std::path::absolute("deny.toml").map_err(crate::error::at("deny.toml"))?;
    for workspace in workspaces {
        run("cargo-deny")
            .arg("--locked")
            .args(workspace)
            .arg("--config")
            .arg(&config)
            .args(["check", "--show-stats"])
            .args(checks)
            .args(advisories)
            .done()?;
    }
    Ok(())
}

/// Unused dependencies. cargo-machete cannot handle the members of the workspace `pds/sel4` that lie outside that folder,
/// because it looks for their workspace in the folders above; it names them. rustc's `unused_crate_dependencies` is no
/// substitute: where `core` is built too, it reports `compiler_builtins`.
pub fn machete() -> Result {
    needed("cargo-machete", "cargo install cargo-machete --locked")?;
    run("cargo-machete").arg("--skip-target-dir").done()
}

/// The documentation; warnings are errors.
pub fn doc(shop: &Shop) -> Result {
    shop.cargo("doc")
        .args(["--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .done()
}

/// Unit and integration tests.
pub fn unit(shop: &Shop) -> Result {
    shop.cargo("test").arg("--workspace").done()?;
    for folder in PYTHON_TESTS {
        run("python3")
            .args(["-m", "unittest", "discover", "--quiet", folder])
            .done()?;
    }
    run("tests/monitor-fuzz/planted").arg("--check").done()
}

/// The monitor with random peers, faults and clocks, compared with a reference. The runs are always the same; there are
/// as many as time allows.
pub fn monitor_fuzz(shop: &Shop) -> Result {
    let (seconds, first) = (number("MONITOR_SECONDS", 20)?, number("MONITOR_FIRST", 0)?);
    fuzz_monitor(shop, seconds, first)
}

fn fuzz_monitor(shop: &Shop, seconds: u64, first: u64) -> Result {
    shop.cargo("run")
        .args(["--profile", "tested", "-p", "sel4-llm-monitor-fuzz", "--"])
        .args([
            "--seconds",
            &seconds.to_string(),
            "--first",
            &first.to_string(),
        ])
        .done()
}

/// The memory ordering of the ring and of the workers' gates, model-checked.
pub fn loom(shop: &Shop) -> Result {
    shop.cargo("test")
        .args(["--profile", "tested", "--test", "loom"])
        .args(["-p", "sel4-llm-protocol", "-p", "sel4-llm-workers"])
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_TARGET_DIR", shop.target().join("loom"))
        .done()
}

/// Linux on another processor, whose programs are run by qemu-user.
#[derive(Clone, Copy)]
pub enum Foreign {
    /// With the instructions of ARMv8.0.
    Aarch64,
    /// rv64gc.
    Riscv64,
}

impl Foreign {
    /// The processor, in the names of compilers and emulators.
    pub const fn processor(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::Riscv64 => "riscv64",
        }
    }

    /// Cargo's name for the target.
    pub const fn triple(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
            Self::Riscv64 => "riscv64gc-unknown-linux-gnu",
        }
    }

    /// The command that runs its programs: the emulator, with the sysroot of Debian's cross compiler.
    pub fn emulator(self) -> [String; 3] {
        let processor = self.processor();
        let sysroot = said_or(
            &format!("{}_SYSROOT", processor.to_uppercase()),
            &format!("/usr/{processor}-linux-gnu"),
        );
        [format!("qemu-{processor}"), "-L".to_owned(), sysroot]
    }

    /// The settings with which cargo builds for it.
    fn linker(self) -> String {
        format!("{}-linux-gnu-gcc", self.processor())
    }

    /// The settings with which cargo builds for it, or what is missing.
    fn standard(self) -> Result<Vec<String>> {
        let (triple, linker) = (self.triple(), self.linker());
        let [emulator, ..] = self.emulator();
        let is_installed_target = has_target(triple);
        let has_tools = is_installed(&emulator) && is_installed(&linker);
        if !has_tools || !(is_installed_target || has_source("std")) {
            return Err(Error::Missing(format!(
                "they need {emulator}, {linker}, and the target {triple} or rust-src"
            )));
        }
        let standard = if is_installed_target {
            vec![]
        } else {
            vec!["-Zbuild-std=std,panic_abort".to_owned()]
        };
        Ok(standard)
    }

    /// `cargo COMMAND` for the target.
    pub fn cargo(self, shop: &Shop, command: &str) -> Result<Run> {
        let triple = self.triple();
        let variable = |name| {
            let triple = triple.replace('-', "_").to_uppercase();
            format!("CARGO_TARGET_{triple}_{name}")
        };
        Ok(shop
            .cargo(command)
            .args(self.standard()?)
            .args(["--target", triple, "--target-dir"])
            .arg(shop.target().join(self.processor()))
            .env("RUSTC_BOOTSTRAP", "1")
            .env(variable("LINKER"), self.linker())
            .env(variable("RUNNER"), self.emulator().join(" ")))
    }
}

/// The major version of LLVM in rustc.
fn llvm_version() -> String {
    let about = line_of("rustc", &["-vV"]);
    let version = about
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "));
    version
        .and_then(|version| version.split('.').next())
        .unwrap_or_default()
        .to_owned()
}

/// Modules of the engine that are the same on every processor: they contain no kernels, and the golden vectors cover
/// their use of kernels. In an emulator their tests would take longer than all the others.
const OF_ANY_PROCESSOR: [&str; 19] = [
    "arena::",
    "backend::adapter_tests::",
    "backend::chat_tests::",
    "backend::client_tests::",
    "backend::prefix_tests::",
    "backend::session_tests::",
    "backend::sharing_tests::",
    "chat::",
    "constrain::",
    "generate::",
    "gguf::",
    "kv_cache::",
    "sampling::",
    "tokenizer::",
    "transformer::training::data_tests::",
    "transformer::training::autograd_tests::",
    "hash::",
    // Another test compares the bits of the backward kernels on all processors.
    "are_those_of_the_loss",
    "any_number_of_workers",
];

/// The engine's tests and the golden vectors on aarch64, for the NEON kernels.
pub fn unit_aarch64(shop: &Shop) -> Result {
    match Foreign::Aarch64.cargo(shop, "test") {
        Ok(cargo) => cargo
            .args(["--profile", "emulated", "-p", "llm-core", "-p", "golden"])
            .args(["--lib", "--test", "golden", "--"])
            .args(OF_ANY_PROCESSOR.iter().flat_map(|tests| ["--skip", tests]))
            .done(),
        Err(missing) => {
            skipped("the NEON kernels in qemu-user", &missing.to_string());
            Ok(())
        }
    }
}

/// Line coverage of code that must not fail: at least 98 %. LLVM's tools must match rustc's version; they come from
/// rustup or from a distribution.
pub fn coverage(shop: &Shop) -> Result {
    needed("cargo-llvm-cov", "cargo install cargo-llvm-cov")?;
    let version = llvm_version();
    let sysroot = line_of("rustc", &["--print", "sysroot"]);
    let of_rustup = std::fs::read_dir(Path::new(&sysroot).join("lib/rustlib"))
        .into_iter()
        .flatten()
        .flatten();
    let places = of_rustup
        .map(|entry| entry.path().join("bin"))
        .chain([PathBuf::from(format!("/usr/lib/llvm-{version}/bin"))]);
    let folder = places.into_iter().find(|place| place.join("llvm-cov").exists()).ok_or_else(|| {
        Error::Missing(format!(
            "no llvm-cov of LLVM {version}: rustup component add llvm-tools, or install llvm-{version}"
        ))
    })?;
    let output = Path::new("build/coverage/lcov.info");
    files::folder(Path::new("build/coverage"))?;
    run("cargo")
        .arg("llvm-cov")
        .args([
            "--quiet",
            "-p",
            "sel4-llm-audit",
            "-p",
            "sel4-llm-protocol",
            "--lcov",
            "--output-path",
        ])
        .arg(output)
        .env("LLVM_COV", folder.join("llvm-cov"))
        .env("LLVM_PROFDATA", folder.join("llvm-profdata"))
        .env("CARGO_TARGET_DIR", shop.target().join("coverage"))
        .done()?;
    run("tools/coverage/coverage")
        .arg(output)
        .args(COVERED)
        .args(["--least", "98"])
        .args(is_said("MISSING").then_some("--missing"))
        .done()
}

/// Fuzzes the whole monitor and each target for FUZZ_SECONDS, from new seeds. The fuzzed crates have almost no unsafe
/// code, so no sanitizer is needed; with RUSTC_BOOTSTRAP a stable compiler accepts cargo-fuzz's flags. New inputs go to
/// build/fuzz, failing ones to fuzz/artifacts.
pub fn fuzz(shop: &Shop) -> Result {
    let seconds = number("FUZZ_SECONDS", 60)?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    fuzz_monitor(shop, seconds, now.as_secs())?;
    needed("cargo-fuzz", "cargo install cargo-fuzz")?;
    let folder = Path::new("build/fuzz");
    shop.cargo("run")
        .args(["-p", "sel4-llm-fuzz-targets", "--bin", "seeds", "--"])
        .arg(folder)
        .done()?;
    for target in FUZZ_TARGETS {
        let corpus = Path::new("fuzz/corpus").join(target);
        files::folder(&corpus)?;
        run("cargo")
            .args(["fuzz", "run", "--sanitizer", "none", target])
            .arg(folder.join(target))
            .arg(corpus)
            .arg("--")
            .arg(format!("-max_total_time={seconds}"))
            .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
            .env("RUSTC_BOOTSTRAP", "1")
            .done()?;
    }
    Ok(())
}

/// Checks that the monitor fuzz finds bugs that are planted in the monitor.
pub fn fuzz_planted() -> Result {
    let seconds = number("PLANTED_SECONDS", 60)?;
    run("tests/monitor-fuzz/planted")
        .args(["--seconds", &seconds.to_string(), "build/planted"])
        .done()
}

/// The proofs for system.xml.
pub fn proofs() -> Result {
    run(said_or("MAKE", "make"))
        .args(["--no-print-directory", "-C", "proofs"])
        .done()
}
