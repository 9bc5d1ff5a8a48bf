//! Links the domain with the script that the main system's domains use.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../pds/sel4/pd.ld");
    println!("cargo::rerun-if-changed={script}");
    println!("cargo::rustc-link-arg-bins=-T{script}");
    println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
}
