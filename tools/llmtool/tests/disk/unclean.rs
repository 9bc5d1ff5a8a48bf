//! What a power cut in the middle of a write leaves, and what removes it.

use std::fs;
use std::path::Path;
use std::process::Command;

use llmtool::disk::Image;
use storage::{Ground, UNFINISHED, Volume, block_on};

use super::tool::{TINY, fresh, llmtool, output};

/// A disk on which a write was cut off: FAT16, because FAT12 has no mark.
fn cut_off(name: &str) -> String {
    let path = fresh(name);
    let options = ["--size", "64MiB", "--table", "none", "--log-size", "1MiB"];
    output(&[&["disk", "create", &path][..], &options].concat());
    let mut image = Image::change(Path::new(&path)).unwrap();
    let mut ground = Ground::new();
    let mut volume = block_on(Volume::mount(&mut image, &mut ground)).unwrap();
    let mut file = block_on(volume.create(UNFINISHED)).unwrap();
    block_on(volume.append(&mut file, &[7; 50_000])).unwrap();
    // Neither closed nor synced.
    path
}

/// Whether `fsck.fat` finds nothing wrong, and what it says; `None` without it.
fn fsck(image: &str) -> Option<(bool, String)> {
    let Ok(ran) = Command::new("fsck.fat").args(["-n", image]).output() else {
        eprintln!("*** SKIPPED: there is no fsck.fat: install dosfstools ***");
        return None;
    };
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    Some((ran.status.success() && !said.contains("Dirty bit"), said))
}

/// What `disk check` prints about a disk with findings.
fn findings(image: &str) -> String {
    let assert = llmtool(&["disk", "check", image]).assert().code(1);
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

#[test]
fn adding_a_file_clears_what_a_write_has_left_that_was_cut_off() {
    let image = cut_off("cut-off.img");
    let said = findings(&image);
    for expected in [
        "a write was cut off; 'llmtool disk add' or 'fsck.fat -a' clears the mark",
        "UNFINISH.ED",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    if let Some((sound, said)) = fsck(&image) {
        assert!(!sound && said.contains("UNFINISH.ED"), "{said}");
    }
    let said = output(&["disk", "add", &image, TINY]);
    assert!(said.contains("its mark is cleared"), "{said}");
    output(&["disk", "check", &image]);
    let said = output(&["disk", "list", &image]);
    assert!(!said.contains("UNFINISH"), "{said}");
    if let Some((sound, said)) = fsck(&image) {
        assert!(sound, "{said}");
    }
    // There is nothing to clear on a sound disk.
    let said = output(&["disk", "add", &image, TINY]);
    assert!(!said.contains("mark"), "{said}");
}

#[test]
fn the_mark_stays_as_long_as_something_else_is_wrong() {
    let image = cut_off("cut-off-worse.img");
    let mut bytes = fs::read(&image).unwrap();
    let word = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let (first, sectors) = (word(14), word(22));
    // In both tables, a cluster is taken, but by no file.
    for table in [first, first + sectors] {
        bytes[table * 512 + 20_000..][..2].fill(0xFF);
    }
    fs::write(&image, bytes).unwrap();
    let said = output(&["disk", "add", &image, TINY]);
    assert!(!said.contains("mark"), "{said}");
    let said = findings(&image);
    assert!(said.contains("clears the mark"), "{said}");
}
