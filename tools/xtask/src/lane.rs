//! The boards on which checks run on seL4, and the checks of `make test`.

use crate::command::{is_installed, run};
use crate::error::{Error, Result};
use crate::files;
use crate::image::{Image, Purpose};
use crate::options::Options;
use crate::policy::Use;
use crate::sdk::{NONE, Platform, Sdk};
use crate::shop::Shop;
use crate::simulation::prepare;
use crate::suites::{skipped, test_sel4_command, with_disk};
use crate::system::System;
use std::path::Path;
use sysdesc::Board;
use sysdesc::board::FOLDER;

/// Checks that run on one of two cores. They build in `target`.
const HOST: &str = "lint doc unit monitor-fuzz";
/// Checks that run at the same time, because each set leaves part of two cores unused. They build elsewhere.
const BESIDE: &str = "unit-aarch64 loom test-train proofs";
/// Checks that run after [`BESIDE`], for each board of the lane: builds that measure no times.
const BESIDE_SEL4: [&str; 5] = [
    "lint-sel4",
    "isolation",
    "isolation-disk",
    "panic-check",
    "panic-check-disk",
];
/// Checks that run alone, because they measure times.
const ALONE: &str = "isolation-description e2e-sim";
/// Checks that run alone on each board of the lane.
const ALONE_SEL4: [&str; 3] = ["test-sel4", "test-disk-sel4", "e2e-qemu"];

/// A board of `boards/`, and the reason if its checks do not run on seL4 here.
fn boards(options: &Options, sdk: Option<&Sdk>) -> Result<Vec<(Board, Option<String>)>> {
    let boards = Board::all(Path::new(FOLDER))?;
    let of_sdk = sdk.map(Sdk::boards).unwrap_or_default();
    let why_not = |board: &Board| {
        if !options.lane.contains(&board.name) {
            return Some("LANE leaves it out".to_owned());
        }
        let Some(sdk) = sdk else {
            return Some(NONE.to_owned());
        };
        if !of_sdk.contains(&board.name) {
            return Some(format!(
                "the SDK in {} has no kernel for it",
                sdk.folder().display()
            ));
        }
        match board
            .emulation
            .command
            .as_deref()
            .and_then(|command| command.split_whitespace().next())
        {
            None => Some("it has no emulator".to_owned()),
            Some(emulator) if !is_installed(emulator) => Some(format!("no {emulator}")),
            Some(_) => None,
        }
    };
    Ok(boards
        .into_iter()
        .map(|board| (why_not(&board), board))
        .map(|(why, board)| (board, why))
        .collect())
}

/// The boards of the lane on which the checks run here.
pub fn boards_here(options: &Options) -> Result<Vec<Board>> {
    let boards = boards(options, Sdk::find().as_ref())?;
    Ok(boards
        .into_iter()
        .filter(|(_, why)| why.is_none())
        .map(|(board, _)| board)
        .collect())
}

/// A line about each board.
fn lines(options: &Options, sdk: Option<&Sdk>) -> Result<Vec<String>> {
    let line = |(board, why): (Board, Option<String>)| match why {
        None => format!("the seL4 lane runs on {}", board.name),
        Some(why) => format!("*** SKIPPED: the seL4 lane on {}: {why} ***", board.name),
    };
    Ok(boards(options, sdk)?.into_iter().map(line).collect())
}

/// Prints on which boards the checks run on seL4, and why not on the others.
pub fn lane(options: &Options) -> Result {
    for line in lines(options, Sdk::find().as_ref())? {
        println!("{line}");
    }
    Ok(())
}

/// All checks.
pub fn test(options: &Options) -> Result {
    let boards = boards_here(options)?;
    let mut beside = BESIDE.to_owned();
    let mut alone = ALONE.to_owned();
    for board in &boards {
        for (stages, of_board) in [(&mut beside, &BESIDE_SEL4[..]), (&mut alone, &ALONE_SEL4)] {
            for stage in of_board {
                stages.push_str(&format!(" {stage}@{}", board.name));
            }
        }
    }
    if !boards.is_empty() {
        alone.push_str(" same-texts");
    }
    run("tools/stages/stages")
        .arg("build/stages")
        .args([HOST, &beside, "--", &alone])
        .done()?;
    lane(options)
}

/// The golden vectors on each board of the lane, and the same texts and log there as in the simulation.
pub fn same_bits(shop: &Shop, options: &Options) -> Result {
    for board in boards_here(options)? {
        let options = Options {
            board,
            ..options.clone()
        };
        let (is_done, said) = test_sel4_command(shop, &options, None)?.judged()?;
        let name = &options.board.name;
        files::write(&Path::new("build").join(name).join("golden.txt"), &said)?;
        let passed = said.lines().find(|line| line.contains(" passed, "));
        match (is_done, passed) {
            (true, Some(line)) => println!("golden vectors on {name}: {line}"),
            _ => return Err(Error::Wrong(format!("golden vectors on {name}:\n{said}"))),
        }
    }
    same_texts(shop, options)
}

/// The same texts and log on each board of the lane as in the simulation.
pub fn same_texts(shop: &Shop, options: &Options) -> Result {
    let simulation = prepare(shop, options, &System::Main, Use::Shipped)?;
    let mut names = vec!["simulation".to_owned()];
    let mut suite = shop
        .suites(&["boards"])
        .env("SEL4_LLM_SAME_simulation", simulation.command());
    for board in boards_here(options)? {
        let options = Options {
            board,
            ..options.clone()
        };
        let image = Image::new(shop, &options)?.system(System::Main);
        let boot = image.boot()?;
        image.build()?;
        suite = suite.env(format!("SEL4_LLM_SAME_{}", options.board.name), boot);
        names.push(options.board.name.clone());
    }
    suite
        .env("SEL4_LLM_SAME", names.join(" "))
        .args(["--", "--nocapture"])
        .done()?;
    lane(options)
}

/// Formatting and clippy of the programs for seL4.
pub fn lint_sel4(shop: &Shop, options: &Options) -> Result {
    let platform = Platform::needed(options)?;
    run("cargo")
        .args(["fmt", "--all", "--check"])
        .folder("pds/sel4")
        .done()?;
    let soft = [
        "shell",
        "audit",
        "files",
        "probe",
        "triage",
        "mute",
        "hostile-shell",
        "mallory",
        "gremlin",
    ];
    let of = |float, heap| crate::sdk::Needs { float, heap };
    let lints: [(&[&str], &[&str], crate::sdk::Needs); 13] = [
        (&soft, &[], of(false, false)),
        (&["disk"], &[], of(false, true)),
        (&["audit"], &["--features", "disk"], of(false, false)),
        (&["inference"], &["--features", "inject"], of(true, false)),
        (&["inference"], &["--features", "disk"], of(true, false)),
        (&["audit"], &["--features", "cores"], of(false, false)),
        (
            &["inference"],
            &["--features", "cores,inject"],
            of(true, false),
        ),
        (&["worker"], &["--features", "inject"], of(true, false)),
        (&["hostile-inference"], &[], of(true, false)),
        (
            &["hostile-inference"],
            &["--features", "cores"],
            of(true, false),
        ),
        (&["hostile-worker"], &[], of(true, false)),
        (&["tests"], &["--tests"], of(true, true)),
        (
            &["tests"],
            &["--tests", "--features", "cores"],
            of(true, true),
        ),
    ];
    for (packages, more, needs) in lints {
        platform
            .cargo(shop, "clippy", needs)
            .args(packages.iter().flat_map(|package| ["-p", package]))
            .args(more)
            .args(["--", "-D", "warnings"])
            .done()?;
    }
    Ok(())
}

/// Checks that no message can make audit panic: the linked program has no reachable panic except those that
/// pds/audit/panics.toml justifies. A panic of audit ends the system.
pub fn panic_check(shop: &Shop, options: &Options) -> Result {
    let image = Image::new(shop, options)?.purpose(Purpose::Shipped);
    image.build()?;
    let described = crate::system::describe(&image.system.description(), &options.board)?;
    let audit = described
        .domain("audit")
        .map(|audit| audit.program_image.clone());
    let audit = audit.ok_or_else(|| Error::File {
        path: image.system.description(),
        reason: "there is no domain 'audit'".to_owned(),
    })?;
    shop.cargo("run")
        .args(["-p", "panic-check", "--"])
        .arg(image.folder().join(audit))
        .arg("pds/audit/panics.toml")
        .done()
}

/// A check for the system with a disk, on boards that have one.
pub fn of_disk(what: &str, options: &Options, check: impl FnOnce(&Options) -> Result) -> Result {
    match options.board.emulation.disk {
        Some(_) => check(&Options {
            system: with_disk()?,
            ..options.clone()
        }),
        None => {
            skipped(
                &format!("{what} of systems/disk"),
                &format!("{} has no disk", options.board.name),
            );
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A stand-in for an SDK with these boards.
    fn sdk(name: &str, boards: &[&str]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{}-{name}", std::process::id()));
        for board in boards {
            files::folder(&folder.join("board").join(board)).unwrap();
        }
        files::write(&folder.join("bin/microkit"), "").unwrap();
        folder
    }

    /// The line printed about a board.
    fn line(board: &str, variables: &[(&str, &str)], sdk: Option<&Path>) -> String {
        std::env::set_current_dir(crate::root()).unwrap();
        let options = Options::read(&|name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        let sdk = sdk.map(|folder| Sdk::at(folder).unwrap());
        let lines = lines(&options.unwrap(), sdk.as_ref()).unwrap();
        let mut lines = lines.into_iter().filter(|line| line.contains(board));
        let line = lines.next().expect("a line about each board");
        assert_eq!(lines.next(), None);
        line
    }

    #[test]
    fn the_lane_has_each_board_of_the_sdk_that_can_be_emulated_and_says_why_not_the_others() {
        let folder = sdk("one-board", &["zcu102", "odroidc2"]);
        // Not every machine has the emulator.
        let runs = match is_installed("qemu-system-aarch64") {
            true => "the seL4 lane runs on zcu102",
            false => "*** SKIPPED: the seL4 lane on zcu102: no qemu-system-aarch64 ***",
        };
        assert_eq!(line("zcu102", &[], Some(&folder)), runs);
        let riscv = "qemu_virt_riscv64";
        let all = ("LANE", "zcu102 qemu_virt_riscv64");
        let skipped = "*** SKIPPED: the seL4 lane on qemu_virt_riscv64: ";
        assert_eq!(
            line(riscv, &[all], Some(&folder)),
            format!(
                "{skipped}the SDK in {} has no kernel for it ***",
                folder.display()
            )
        );
        assert_eq!(
            line(riscv, &[("LANE", "zcu102")], Some(&folder)),
            format!("{skipped}LANE leaves it out ***")
        );
        assert_eq!(line(riscv, &[all], None), format!("{skipped}{NONE} ***"));
    }
}
