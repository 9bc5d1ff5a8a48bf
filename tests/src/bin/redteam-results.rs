//! `redteam-results FOLDER FILE`: takes what `make redteam` has seen, as FOLDER has it, into the table of FILE.

use sel4_llm_tests::attacked::{Run, Runtime, from_table, merge, to_table};
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: redteam-results FOLDER FILE".into());
    };
    let text = std::fs::read_to_string(&file)?;
    let head = text.find("| by |").ok_or("the file has no table")?;
    let mut rows = from_table(&text);
    let mut runs = 0;
    for (runtime, name) in [(Runtime::Sel4, "sel4"), (Runtime::Simulation, "simulation")] {
        // What was made in parts is newer than what was made as a whole.
        for (suffix, is_whole) in [("", true), ("-part", false)] {
            let path = folder.join(format!("{name}{suffix}.tsv"));
            if let Ok(text) = std::fs::read_to_string(path) {
                merge(&mut rows, runtime, &Run::from_text(&text, is_whole));
                runs += 1;
            }
        }
    }
    if runs == 0 {
        return Err(format!("{}: there is no run; make redteam first", folder.display()).into());
    }
    std::fs::write(&file, text[..head].to_owned() + &to_table(&rows))?;
    Ok(())
}
