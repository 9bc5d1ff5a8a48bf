//! `golden` runs every case on the scalar path and compares with the table, as the protection domain on seL4 does.
//! `golden --bless` rewrites the table from the scalar path's results.

use golden::cases::Machine;
use golden::{EXPECTED, Tally, cases, digest, run};
use llm_core::simd::Cpu;
use std::fmt::Write as _;
use std::process::ExitCode;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/expected.txt");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["--bless"] => bless(),
        _ => {
            eprintln!("usage: golden [--bless]");
            ExitCode::from(2)
        }
    }
}

fn compare() -> ExitCode {
    let (tally, mut out) = (Tally::new(), String::new());
    let written = run(&[Cpu::SCALAR], EXPECTED, &tally, &mut out).and(tally.close(&mut out));
    print!("{out}");
    match written {
        Ok(()) if tally.failed() == 0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn bless() -> ExitCode {
    let mut table = String::new();
    for case in cases::all() {
        let hash = digest(case, &Machine::alone(Cpu::SCALAR));
        let hash = String::from_utf8_lossy(&hash);
        let _ = writeln!(table, "{hash}  {}", case.name);
    }
    match std::fs::write(TABLE, table) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("golden: {TABLE}: {error}");
            ExitCode::FAILURE
        }
    }
}
