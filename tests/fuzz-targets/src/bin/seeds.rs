//! `seeds DIR`: writes the seeds to `DIR/TARGET/`, for the fuzzers.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: seeds DIR")?);
    for (target, name, bytes) in targets::seeds::all() {
        let folder = root.join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
