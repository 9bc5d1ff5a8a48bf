//! Links the domain with the script that it shares with the others, and reads the stack's size from
//! `system.xml`: start-up clears exactly what Microkit maps.

use std::path::Path;

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../pd.ld");
    println!("cargo::rerun-if-changed={script}");
    println!("cargo::rustc-link-arg-bins=-T{script}");
    println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
    println!("cargo::rustc-env=STACK_BYTES={}", stack_bytes());
}

/// The stack that Microkit gives the domain.
fn stack_bytes() -> u64 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../system.xml");
    println!("cargo::rerun-if-changed={}", path.display());
    let text = std::fs::read_to_string(&path).expect("system.xml is read");
    let system = roxmltree::Document::parse(&text).expect("system.xml is XML");
    let domain = system
        .descendants()
        .find(|node| {
            node.has_tag_name("protection_domain") && node.attribute("name") == Some("inference")
        })
        .expect("system.xml has the protection domain inference");
    let size = domain
        .attribute("stack_size")
        .expect("system.xml gives inference a stack_size");
    let bytes = match size.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => size.parse(),
    }
    .expect("stack_size is a number");
    // The loop that clears it stores pairs of registers.
    assert!(
        bytes > 0 && bytes.is_multiple_of(4096),
        "stack_size {size} is no multiple of a page"
    );
    bytes
}
