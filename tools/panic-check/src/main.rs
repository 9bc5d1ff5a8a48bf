//! `panic-check ELF ARGUMENTS`: exits with 1 if a panic that a handler can reach has no argument, or if an argument
//! explains no panic.

use clap::Parser;
use panic_check::argument::{Arguments, judge};
use panic_check::graph::walk;
use panic_check::image::Image;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Finds the calls of the panic machinery that the handlers of a linked AArch64 or RISC-V binary can reach, and
/// compares them with the arguments for why none of them happens.
#[derive(Parser)]
struct Options {
    /// The binary, with symbols.
    elf: PathBuf,
    /// Roots and arguments, in TOML.
    arguments: PathBuf,
    /// Print also what is explained.
    #[arg(long)]
    all: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("panic-check: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let named = |path: &Path, error: &dyn Error| format!("{}: {error}", path.display());
    let Options {
        elf,
        arguments: list,
        all,
    } = options;
    let file = std::fs::read(elf).map_err(|error| named(elf, &error))?;
    let image = Image::read(&file).map_err(|error| named(elf, &error))?;
    let text = std::fs::read_to_string(list).map_err(|error| named(list, &error))?;
    let arguments = Arguments::parse(&text).map_err(|error| named(list, &error))?;
    let walk = walk(&image, &arguments.roots).map_err(|error| named(elf, &error))?;
    let verdict = judge(&walk, &arguments);
    if *all {
        for panic in &walk.panics {
            println!("{panic}");
        }
    }
    for (panic, place) in &verdict.unexplained {
        let place = place.map_or(String::from("an unknown place"), |p| {
            format!("{}:{}:{}", p.file, p.line, p.column)
        });
        println!("no argument: {place}: {panic}");
    }
    for (argument, sites) in &verdict.stretched {
        println!("{sites} places, but sites = {}: {argument}", argument.sites);
    }
    for name in &verdict.missed {
        println!("not reached from the roots: {name}");
    }
    for argument in &verdict.stale {
        println!("explains no panic: {argument}");
    }
    println!(
        "{}: {} functions reached, {} of them with indirect calls; {} calls of the panic machinery: {} places explained, {} not",
        elf.display(),
        walk.functions.len(),
        walk.indirect.len(),
        walk.panics.len(),
        verdict.explained,
        verdict.unexplained.len(),
    );
    for function in &walk.indirect {
        println!("    indirect: {function}");
    }
    if let (Some(written_for), Some(found)) = (&arguments.compiler, &image.compiler)
        && written_for != found
    {
        println!(
            "{} was written for rustc {written_for}, and rustc {found} compiled this binary: compile it with {written_for}, or look at each difference and then change `compiler` there",
            list.display(),
        );
    }
    Ok(verdict.holds())
}
