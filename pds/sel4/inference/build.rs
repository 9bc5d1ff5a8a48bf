//! Links the domain with the script that all domains share, and reads the stack's size from `system.xml`, because
//! start-up clears exactly what Microkit maps. The red team's inference and the worker are built with it, too.

use std::path::{Path, PathBuf};

fn main() {
    let script = root().join("pds/sel4/pd.ld");
    let script = script.display();
    println!("cargo::rerun-if-changed={script}");
    println!("cargo::rustc-link-arg-bins=-T{script}");
    println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
    println!("cargo::rustc-env=STACK_BYTES={}", stack_bytes());
    println!("cargo::rustc-check-cfg=cfg(timer_registers, crowded)");
    println!("cargo::rerun-if-env-changed=SEL4_LLM_CROWDED");
    if std::env::var("SEL4_LLM_CROWDED").is_ok_and(|crowded| !crowded.is_empty()) {
        println!("cargo::rustc-cfg=crowded");
    }
    // Set by the build script of `runtime`, which has read the board's file.
    if std::env::var("DEP_BOARD_TIMER_REGISTERS").is_ok_and(|has| has == "true") {
        println!("cargo::rustc-cfg=timer_registers");
    }
}

/// The repository's root.
fn root() -> PathBuf {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = folders.find(|folder| folder.join("system.xml").is_file());
    root.expect("system.xml lies above the package").to_owned()
}

/// Size of the stack that Microkit gives the domain; all workers have one of the same size.
fn stack_bytes() -> u64 {
    let (file, domain) = match env!("CARGO_PKG_NAME") {
        "worker" | "hostile-worker" => ("systems/cores/system.xml", "worker1"),
        _ => ("system.xml", "inference"),
    };
    let path = root().join(file);
    println!("cargo::rerun-if-changed={}", path.display());
    let text = std::fs::read_to_string(&path).expect("the description is read");
    let system = roxmltree::Document::parse(&text).expect("the description is XML");
    let node = system
        .descendants()
        .find(|node| {
            node.has_tag_name("protection_domain") && node.attribute("name") == Some(domain)
        })
        .unwrap_or_else(|| panic!("{file} has no protection domain {domain}"));
    let size = node
        .attribute("stack_size")
        .unwrap_or_else(|| panic!("{file} gives {domain} no stack_size"));
    let bytes = match size.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => size.parse(),
    }
    .expect("stack_size is a number");
    // The loop that clears it stores pairs of registers.
    assert!(
        bytes > 0 && bytes.is_multiple_of(4096),
        "stack_size {size} is not a multiple of the page size"
    );
    bytes
}
