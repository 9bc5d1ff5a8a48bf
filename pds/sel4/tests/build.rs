//! Links the domain with the script that all domains share.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../pd.ld");
    println!("cargo::rerun-if-changed={script}");
    println!("cargo::rustc-link-arg-tests=-T{script}");
    println!("cargo::rustc-link-arg-tests=-zmax-page-size=4096");
    // As in inference and the workers.
    println!("cargo::rustc-check-cfg=cfg(crowded)");
    println!("cargo::rerun-if-env-changed=SEL4_LLM_CROWDED");
    if std::env::var("SEL4_LLM_CROWDED").is_ok_and(|crowded| !crowded.is_empty()) {
        println!("cargo::rustc-cfg=crowded");
    }
}
