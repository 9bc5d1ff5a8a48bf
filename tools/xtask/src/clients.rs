//! The client library in C, and the examples' components.

use crate::command::{is_installed, run};
use crate::error::{Error, Result};
use crate::files::{self, copy, pad};
use crate::options::said_or;
use crate::sdk::{Needs, Platform, standard, triple};
use crate::shop::Shop;
use crate::system::{Built, Example, System, Variant, describe};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use sysdesc::Board;
use sysdesc::board::Arch;

/// The header and the library with which clients in C are built: clients/c/README.md.
const CLIENT_C: &str = "build/client-c";
const LIBRARY: &str = "libsel4_llm.a";
const WARNINGS: [&str; 6] = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror"];

/// Puts the files that fill an example's regions beside its policy, padded to the sizes of the regions.
pub fn fill(example: &Example, system: &System, folder: &Path) -> Result {
    let described = describe(&system.description(), &Board::usual())?;
    for (name, from) in &example.files {
        let region = described
            .regions
            .iter()
            .find(|region| region.prefill_path.as_ref() == Some(name))
            .ok_or_else(|| Error::File {
                path: example.folder().join("build.toml"),
                reason: format!("no region of system.xml is filled by '{name}'"),
            })?;
        let output = folder.join(name);
        copy(&example.folder().join(from), &output)?;
        pad(&output, region.size)?;
    }
    Ok(())
}

/// Writes the header of the client in C into its folder.
fn include() -> Result<PathBuf> {
    let folder = Path::new(CLIENT_C).join("include");
    files::folder(&folder)?;
    copy(
        Path::new("clients/c/include/sel4_llm.h"),
        &folder.join("sel4_llm.h"),
    )?;
    Ok(folder)
}

/// Builds the library of the client in C into a folder of `build/client-c`: without `std`, and linked into one object,
/// so that it does not clash with another Rust library.
fn library(cargo: crate::command::Run, built: &Path, folder: &str) -> Result<PathBuf> {
    cargo
        .args([
            "--locked",
            "--release",
            "-p",
            "sel4-llm-client-c",
            "--crate-type",
            "staticlib",
        ])
        .args([
            "--features",
            "standalone",
            "--config",
            "profile.release.lto=\"fat\"",
        ])
        .aside()?;
    let folder = Path::new(CLIENT_C).join(folder);
    files::folder(&folder)?;
    let output = folder.join(LIBRARY);
    copy(&built.join("release").join(LIBRARY), &output)?;
    only_names_of_the_header(&output)?;
    Ok(output)
}

/// Hides all names of a library except those of the header.
fn only_names_of_the_header(library: &Path) -> Result {
    let symbols = run("readelf")
        .args(["--wide", "--symbols"])
        .arg(library)
        .output()?;
    let symbols = String::from_utf8_lossy(&symbols);
    for line in symbols.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let [_, _, _, _, "GLOBAL", "DEFAULT", section, name, ..] = words[..]
            && section != "UND"
            && !name.starts_with("sel4_llm_")
        {
            let path = library.to_owned();
            return Err(Error::File {
                path,
                reason: format!("it has the name {name}"),
            });
        }
    }
    Ok(())
}

/// The library for the host.
pub fn library_for_host(shop: &Shop) -> Result<PathBuf> {
    include()?;
    library(shop.cargo("rustc"), shop.target(), "host")
}

/// The library for seL4.
pub fn library_for_sel4(shop: &Shop, arch: Arch) -> Result<PathBuf> {
    include()?;
    let needs = Needs {
        float: has_float_abi(arch),
        ..Needs::default()
    };
    let triple = triple(arch, needs);
    let cargo = shop
        .cargo("rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .args(standard(arch, needs))
        .args(["--target", triple]);
    library(cargo, &shop.target().join(triple), triple)
}

/// Whether programs in C pass floats in registers. Microkit's library does so on RISC-V, and a linker accepts only
/// objects that agree. These programs use no floats, so they contain no instruction that would fault in a domain
/// without FPU.
const fn has_float_abi(arch: Arch) -> bool {
    matches!(arch, Arch::Riscv64)
}

/// The C compiler for a board's domains.
pub fn compiler(board: &Board) -> String {
    match board.arch {
        Arch::Aarch64 => said_or("AARCH64_CC", "aarch64-linux-gnu-gcc"),
        Arch::Riscv64 => said_or("RISCV64_CC", "riscv64-unknown-elf-gcc"),
    }
}

/// Whether there is a C compiler for a board's domains.
pub fn has_compiler(board: &Board) -> bool {
    is_installed(&compiler(board))
}

/// Makes headers that contain a text as a C string.
fn string_headers(example: &Example, strings: &BTreeMap<String, PathBuf>, folder: &Path) -> Result {
    for (header, text) in strings {
        let text = files::text(&example.folder().join(text))?;
        let lines: Vec<_> = text
            .strip_suffix('\n')
            .unwrap_or(&text)
            .split('\n')
            .map(|line| line.replace('\\', "\\\\").replace('"', "\\\""))
            .collect();
        files::write(
            &folder.join(header),
            format!("\"{}\"\n", lines.join("\\n\"\n\"")),
        )?;
    }
    Ok(())
}

/// Builds the component of an example in C for seL4. The headers with its texts are written to `headers`.
pub fn component_for_sel4(
    shop: &Shop,
    platform: &Platform,
    example: &Example,
    source: &Path,
    strings: &BTreeMap<String, PathBuf>,
    headers: &Path,
    output: &Path,
) -> Result {
    let library = library_for_sel4(shop, platform.board.arch)?;
    string_headers(example, strings, headers)?;
    // Freestanding and without floating point; on RISC-V see `has_float_abi`.
    let target: &[&str] = match platform.board.arch {
        Arch::Aarch64 => &["-mgeneral-regs-only", "-mstrict-align"],
        Arch::Riscv64 => &[
            "-march=rv64gc_zicsr_zifencei",
            "-mabi=lp64d",
            "-mcmodel=medany",
        ],
    };
    let compiler = compiler(&platform.board);
    let object = output.with_extension("o");
    run(&compiler)
        .args(WARNINGS)
        .arg("-I")
        .arg(Path::new(CLIENT_C).join("include"))
        .arg("-I")
        .arg(headers)
        .arg(format!("-DPREFIX=\"{}: \"", example.component))
        .arg("-isystem")
        .arg(platform.folder().join("include"))
        .arg("-ffreestanding")
        .args(target)
        .arg("-c")
        .arg(example.folder().join(source))
        .arg("-o")
        .arg(&object)
        .done()?;
    run(&compiler)
        .arg("-ffreestanding")
        .args(target)
        .args([
            "-nostdlib",
            "-static",
            "-no-pie",
            "-Wl,--build-id=none,--gc-sections",
        ])
        .args(["-Wl,-z,max-page-size=4096", "-L"])
        .arg(platform.folder().join("lib"))
        .args(["-T", "microkit.ld"])
        .arg(&object)
        .arg(library)
        .arg("-lmicrokit")
        .arg("-o")
        .arg(output)
        .done()
}

/// Builds the component of an example for the simulation. Returns its program.
pub fn component_for_simulation(
    shop: &Shop,
    system: &System,
    example: &Example,
    variant: &Variant,
) -> Result<PathBuf> {
    match &variant.built {
        Built::Rust { simulation, .. } => {
            shop.build(&[simulation])?;
            Ok(shop.program(simulation))
        }
        Built::C { source, strings } => {
            let library = library_for_host(shop)?;
            microkit_of_simulation(shop)?;
            let folder = system.folder();
            string_headers(example, strings, &folder)?;
            let output = folder.join(format!("{}-sim", example.component));
            run(said_or("CC", "cc"))
                .args(WARNINGS)
                .arg("-I")
                .arg(Path::new(CLIENT_C).join("include"))
                .arg("-I")
                .arg(&folder)
                .args(["-I", "sim/c/include"])
                .arg(example.folder().join(source))
                .arg(library)
                .arg(shop.program("libmicrokit_sim.a"))
                .args(["-lpthread", "-ldl", "-lm", "-o"])
                .arg(&output)
                .done()?;
            Ok(output)
        }
    }
}

/// The simulation's counterpart of libmicrokit: sim/c/include, and `libmicrokit_sim.a` among the programs.
pub fn microkit_of_simulation(shop: &Shop) -> Result {
    shop.host_cargo("rustc")
        .args(["-p", "sel4-llm-sim-c", "--crate-type", "staticlib"])
        .aside()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_a_string_of_c_line_by_line() {
        let folder = std::env::temp_dir().join(format!("xtask-strings-{}", std::process::id()));
        std::env::set_current_dir(crate::root()).unwrap();
        let example = Example::read("triage").unwrap();
        let text = folder.join("text");
        files::write(&text, "one \"word\"\na\\b\n").unwrap();
        let strings = BTreeMap::from([("text.h".to_owned(), text)]);
        string_headers(&example, &strings, &folder).unwrap();
        assert_eq!(
            files::text(&folder.join("text.h")).unwrap(),
            "\"one \\\"word\\\"\\n\"\n\"a\\\\b\"\n"
        );
    }
}
