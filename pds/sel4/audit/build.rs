//! Links the domain with the script that all domains share, and finds out which interrupts the board has.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(timer_interrupt)");
    // Set by the build script of `runtime`, which has read the board's file.
    if std::env::var("DEP_BOARD_TIMER_INTERRUPT").is_ok_and(|has| has == "true") {
        println!("cargo::rustc-cfg=timer_interrupt");
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../pd.ld");
    println!("cargo::rerun-if-changed={script}");
    println!("cargo::rustc-link-arg-bins=-T{script}");
    println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
}
