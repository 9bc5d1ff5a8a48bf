//! Golden vectors: what the engine and the protocol must compute, bit for bit, wherever they are built.
//!
//! A [`Case`] computes something from seeded inputs. The SHA-256 of the resulting bits is compared with a table of the
//! scalar path's results when it was last blessed (`expected.txt`, `cargo run -p golden -- --bless`). The same cases
//! run on the host, on every path of its CPU (`cargo test -p golden`), and inside a protection domain on seL4 (`make
//! test-sel4`), so this crate needs a heap but no operating system.
//!
//! A change of the table is a change of the arithmetic or of a format, so it needs a new `llm_core::NUMERICS_VERSION`
//! or a new version of the format.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bits;
pub mod cases;
pub mod generator;

use bits::Bits;
use cases::{Case, Machine, Run};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use llm_core::simd::Cpu;

/// The required results: a line for each case, with its SHA-256 in hexadecimal, two spaces, and its name.
pub const EXPECTED: &str = include_str!("../expected.txt");

/// Number of passed and failed tests. It can be a static, so that a panic handler can still close a run.
#[derive(Debug, Default)]
pub struct Tally {
    passed: AtomicU32,
    failed: AtomicU32,
}

impl Tally {
    /// An empty tally.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            passed: AtomicU32::new(0),
            failed: AtomicU32::new(0),
        }
    }

    /// Number of failed tests.
    pub fn failed(&self) -> u32 {
        self.failed.load(Relaxed)
    }

    /// Records that the current test failed for a reason other than a wrong result.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn fail(&self, out: &mut impl Write, why: fmt::Arguments<'_>) -> fmt::Result {
        self.failed.fetch_add(1, Relaxed);
        writeln!(out, "FAILED: {why}")
    }

    /// Writes the closing line of a run.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn close(&self, out: &mut impl Write) -> fmt::Result {
        let (passed, failed) = (self.passed.load(Relaxed), self.failed());
        writeln!(out, "{passed} passed, {failed} failed")
    }
}

/// Runs every case on each of the `cpus` (or once, if it does not depend on a CPU), compares with `table`, and writes a
/// line for each: `test NAME ... ok` or `test NAME ... FAILED: got HASH, expected HASH`. The name is written before the
/// case runs, so that a case that never ends can be identified.
///
/// # Errors
/// Those of `out`.
pub fn run(cpus: &[Cpu], table: &str, tally: &Tally, out: &mut impl Write) -> fmt::Result {
    for case in cases::all() {
        match case.run {
            Run::On(_) | Run::Model(_) => {
                for cpu in cpus {
                    write!(out, "test {} ({}) ... ", case.name, cpu.name())?;
                    check(case, &Machine::alone(*cpu), table, tally, out)?;
                }
            }
            Run::Once(_) => {
                write!(out, "test {} ... ", case.name)?;
                check(case, &Machine::alone(Cpu::SCALAR), table, tally, out)?;
            }
        }
    }
    for (_, name) in entries(table) {
        if !cases::all().any(|case| case.name == name) {
            write!(out, "test {name} ... ")?;
            tally.fail(out, format_args!("no such case: the table is out of date"))?;
        }
    }
    Ok(())
}

/// Runs every case that runs a model on each of the `machines`; otherwise like [`run`].
///
/// # Errors
/// Those of `out`.
pub fn run_models(
    machines: &[Machine],
    table: &str,
    tally: &Tally,
    out: &mut impl Write,
) -> fmt::Result {
    for case in cases::all().filter(|case| matches!(case.run, Run::Model(_))) {
        for machine in machines {
            let Machine { cpu, workers, .. } = machine;
            write!(
                out,
                "test {} ({}, {workers} workers) ... ",
                case.name,
                cpu.name()
            )?;
            check(case, machine, table, tally, out)?;
        }
    }
    Ok(())
}

fn check(
    case: &Case,
    machine: &Machine,
    table: &str,
    tally: &Tally,
    out: &mut impl Write,
) -> fmt::Result {
    let got = digest(case, machine);
    let got = core::str::from_utf8(&got).unwrap_or("");
    match entries(table).find(|(_, name)| *name == case.name) {
        Some((expected, _)) if expected == got => {
            tally.passed.fetch_add(1, Relaxed);
            writeln!(out, "ok")
        }
        Some((expected, _)) => tally.fail(out, format_args!("got {got}, expected {expected}")),
        None => tally.fail(out, format_args!("got {got}, the table has no entry")),
    }
}

/// Result of a case on a machine: a SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn digest(case: &Case, machine: &Machine) -> [u8; 64] {
    let mut bits = Bits::default();
    case.compute(machine, &mut bits);
    let hash = bits.sha256();
    let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
    core::array::from_fn(|i| digit(hash[i / 2] >> (4 * (1 - i % 2)) & 15))
}

/// The hashes and names in a table.
fn entries(table: &str) -> impl Iterator<Item = (&str, &str)> {
    table.lines().filter_map(|line| line.split_once("  "))
}
