//! Takes the physical addresses of attacked devices from the board's file: `SEL4_LLM_BOARD`, or the default board. The
//! runner that judges the attacks is built with the same file.

use std::path::Path;
use sysdesc::Board;
use sysdesc::board::FOLDER;

fn main() {
    println!("cargo::rerun-if-env-changed=SEL4_LLM_BOARD");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../..")
        .join(FOLDER);
    println!("cargo::rerun-if-changed={}", folder.display());
    let board = match std::env::var("SEL4_LLM_BOARD") {
        Ok(name) => Board::find(&folder, &name).unwrap_or_else(|error| {
            println!("cargo::error={error}");
            std::process::exit(1);
        }),
        Err(_) => Board::usual(),
    };
    let mut text = String::new();
    for name in ["uart", "watchdog"] {
        let device = board.devices.get(name).and_then(|device| device.address);
        let address = device.expect("a board has both, with registers");
        let constant = name.to_uppercase();
        text += &format!(
            "/// Physical address of the board's device `{name}`.\npub const {constant}_PHYSICAL: usize = {address:#x};\n"
        );
    }
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    std::fs::write(Path::new(&out).join("places.rs"), text).expect("OUT_DIR can be written");
}
