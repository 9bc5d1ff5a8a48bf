//! The red team: hostile domains on both runtimes, and which channels time partitions close.

use crate::command::run;
use crate::error::Result;
use crate::files;
use crate::image::{Hostile, Image, Purpose};
use crate::options::{Options, number, said_or};
use crate::policy::{Policy, Use};
use crate::sdk::{NONE, Sdk};
use crate::shop::Shop;
use crate::simulation::Simulation;
use crate::store::Store;
use crate::suites::{skipped, with_disk};
use crate::system::{MAIN, Named, System};
use std::path::{Path, PathBuf};

/// Results of runs on this machine, until `make redteam-docs` adopts them.
const SEEN: &str = "build/redteam";
/// The results in the repository: a file for each board, and one for the simulation. New results replace those of the
/// same attacks. Rows of attacks that no longer exist must be removed by hand.
const RESULTS: &str = "tests/redteam/results";
const HEADING: &str = "# Results of the red team\n\nWritten by `make redteam-docs` from the files in `results/`. Every attack \
that left the console alive was followed\nby an honest request with the canonical text and by a verification of the log.\n\n";

/// An absolute path.
fn whole(path: &str) -> Result<PathBuf> {
    std::path::absolute(path).map_err(crate::error::at(path))
}

/// The description to attack. With REDTEAM_SYSTEM=FILE one can check that the runner rejects a description that gives
/// too much authority.
fn attacked() -> System {
    System::Attacked(PathBuf::from(said_or("REDTEAM_SYSTEM", MAIN)))
}

/// The attacks on both runtimes.
pub fn redteam(shop: &Shop, options: &Options) -> Result {
    redteam_sim(shop, options)?;
    match Sdk::find() {
        Some(_) => redteam_qemu(shop, options),
        None => {
            skipped("the attacks on seL4", NONE);
            Ok(())
        }
    }
}

/// The attacks on the simulation.
pub fn redteam_sim(shop: &Shop, options: &Options) -> Result {
    files::folder(Path::new(SEEN))?;
    shop.build(&["llmtool", "sel4-llm-sim", "mallory-sim", "gremlin-sim"])?;
    shop.build_simulation_with("redteam")?;
    let store = Store::of(&System::Main, options).make(shop, options)?;
    let simulation = |system: &System| -> Result<Simulation> {
        let policy = Policy::of(system, Use::Redteam);
        Ok(Simulation::new(
            shop,
            system.description(),
            &[&store, policy.compile(shop)?],
        ))
    };
    let main = simulation(&attacked())?.built_for("redteam");
    let client = simulation(&System::HostileClient)?
        .replace("mallory", &shop.program("mallory-sim"))
        .flag("--outlive-clients");
    let files = simulation(&with_disk()?)?
        .disk("\"$DISK\"")
        .replace("files", &shop.program("gremlin-sim"))
        .flag("--outlive-clients");
    shop.suites(&["redteam"])
        .env("SEL4_LLM_REDTEAM_ON", "simulation")
        .env("SEL4_LLM_REDTEAM_OUT", whole(SEEN)?)
        .env("SEL4_LLM_REDTEAM", main.command())
        .env("SEL4_LLM_REDTEAM_CLIENTS", client.command())
        .env("SEL4_LLM_DEVICE", shop.device_key()?)
        .env("SEL4_LLM_REDTEAM_FILES", files.command())
        .env(
            "SEL4_LLM_REDTEAM_CORES",
            hostile_cores(shop, &store)?.command(),
        )
        .done()
}

/// The system on several cores with hostile workers, on the simulation.
fn hostile_cores(shop: &Shop, store: &Path) -> Result<Simulation> {
    let system = System::Named(Named::new("cores")?);
    let policy = Policy::of(&system, Use::Redteam);
    let search = [store, policy.compile(shop)?];
    Ok(Simulation::new(shop, system.description(), &search).built_for("redteam"))
}

/// Only the attacks of a hostile worker, on the simulation.
pub fn redteam_cores_sim(shop: &Shop, options: &Options) -> Result {
    files::folder(Path::new(SEEN))?;
    shop.build(&["llmtool"])?;
    shop.build_simulation_with("redteam")?;
    let store = Store::of(&System::Main, options).make(shop, options)?;
    shop.suites(&["redteam"])
        .env("SEL4_LLM_REDTEAM_ON", "simulation")
        .env("SEL4_LLM_REDTEAM_OUT", whole(SEEN)?)
        .env(
            "SEL4_LLM_REDTEAM_CORES",
            hostile_cores(shop, &store)?.command(),
        )
        .done()
}

/// The attacks on seL4 in QEMU: by inference, shell and a client, and by files if the board has a disk. In a system
/// with workers only their attacks are made, because it needs another kernel.
pub fn redteam_qemu(shop: &Shop, options: &Options) -> Result {
    if options.system.has_workers() {
        return redteam_workers_qemu(shop, options);
    }
    let image = Image::new(shop, options)?.system(attacked());
    let hostile = |hostile| image.purpose(Purpose::Hostile(hostile));
    let inference = hostile(Hostile::Inference);
    let shell = hostile(Hostile::Shell);
    let client = hostile(Hostile::Client).system(System::HostileClient);
    for image in [&inference, &shell, &client] {
        image.build()?;
    }
    let mut suite = shop
        .suites(&["redteam"])
        .env("SEL4_LLM_REDTEAM", inference.boot()?)
        .env("SEL4_LLM_REDTEAM_SHELL", shell.boot()?)
        .env("SEL4_LLM_REDTEAM_CLIENTS", client.boot()?);
    match options.board.emulation.disk {
        Some(_) => suite = with_files(shop, &image, suite)?,
        None => skipped(
            "a hostile files",
            &format!("{} has no disk", options.board.name),
        ),
    }
    on_sel4(options, suite)?.done()
}

/// Only the attacks of a hostile files domain: one image instead of four.
pub fn redteam_files_qemu(shop: &Shop, options: &Options) -> Result {
    let image = Image::new(shop, options)?;
    let suite = with_files(shop, &image, shop.suites(&["redteam"]))?;
    on_sel4(options, suite)?.done()
}

/// The attacks of hostile workers.
fn redteam_workers_qemu(shop: &Shop, options: &Options) -> Result {
    let image = Image::new(shop, options)?.purpose(Purpose::Hostile(Hostile::Workers));
    image.build()?;
    let suite = shop.suites(&["redteam"]);
    let suite = suite.env("SEL4_LLM_REDTEAM_CORES", image.boot()?);
    on_sel4(options, suite)?.done()
}

fn with_files(
    shop: &Shop,
    image: &Image<'_>,
    suite: crate::command::Run,
) -> Result<crate::command::Run> {
    let files = image
        .system(with_disk()?)
        .purpose(Purpose::Hostile(Hostile::Files));
    files.build()?;
    let boot = files.boot_with_any_disk()?;
    Ok(suite
        .env("SEL4_LLM_DEVICE", shop.device_key()?)
        .env("SEL4_LLM_REDTEAM_FILES", boot))
}

fn on_sel4(options: &Options, suite: crate::command::Run) -> Result<crate::command::Run> {
    files::folder(Path::new(SEEN))?;
    Ok(suite
        .env("SEL4_LLM_BOARD", &options.board.name)
        .env("SEL4_LLM_REDTEAM_ON", "sel4")
        .env("SEL4_LLM_REDTEAM_OUT", whole(SEEN)?))
}

/// The main system and the one in time partitions, in turn: what hostile domains can tell each other by their
/// scheduling, and what partitions cost honest ones. For the first, an instruction takes a nanosecond and idle time
/// costs no host time, so only the system is measured; for the second, emulated time is measured.
pub fn partitions(shop: &Shop, options: &Options) -> Result {
    let rounds = number("PARTITIONS_ROUNDS", 4)?;
    let main = Image::new(shop, options)?.system(System::Main);
    let parted = main.system(System::Named(Named::new("partitions")?));
    let hostile = [&main, &parted].map(|image| image.purpose(Purpose::Hostile(Hostile::Shell)));
    let [hostile_main, hostile_parted] = &hostile;
    let console = main.platform.console()?;
    for image in [&main, &parted, hostile_main, hostile_parted] {
        image.build()?;
    }
    let counted = |image: &Image<'_>| {
        let boot = image.platform.boot_words(&image.path());
        format!("{console} -icount shift=0,sleep=off {boot}")
    };
    shop.suites(&["partitions"])
        .env("SEL4_LLM_REDTEAM_SHELL", counted(hostile_main))
        .env("SEL4_LLM_REDTEAM_PARTITIONS", counted(hostile_parted))
        .env("SEL4_LLM_RUN", main.boot()?)
        .env("SEL4_LLM_RUN_PARTITIONS", parted.boot()?)
        .env("SEL4_LLM_PARTITIONS_ROUNDS", rounds.to_string())
        .done()
}

/// Checks that the red team's runner objects to descriptions that give too much authority.
pub fn redteam_mutations(shop: &Shop, options: &Options) -> Result {
    let image = Image::new(shop, options)?
        .system(System::Main)
        .purpose(Purpose::Hostile(Hostile::Inference));
    image.build()?;
    let [store, policy] = image.fills()?;
    let platform = &image.platform;
    run("tests/redteam/mutations")
        .arg(platform.sdk.folder().join("bin/microkit"))
        .args([&platform.board.name, platform.config.name()])
        .arg(image.folder())
        .args([store, policy, whole(SEEN)?.join("mutated")])
        .args([
            "--",
            "cargo",
            "test",
            "--quiet",
            "-p",
            "sel4-llm-tests",
            "--test",
            "redteam",
        ])
        .env("SEL4_LLM_LLMTOOL", shop.program("llmtool"))
        .env("SEL4_LLM_BOARD", &options.board.name)
        .env("SEL4_LLM_REDTEAM_ON", "sel4")
        .env("SEL4_LLM_REDTEAM_BOOT", platform.boot(Path::new("IMAGE"))?)
        .done()
}

/// Adopts the results of runs on this machine, and writes tests/redteam/results.md.
pub fn redteam_docs(shop: &Shop) -> Result {
    files::folder(Path::new(SEEN))?;
    let table = shop
        .suites(&["redteam"])
        .env("SEL4_LLM_REDTEAM_TABLE", whole(RESULTS)?)
        .env("SEL4_LLM_REDTEAM_OUT", whole(SEEN)?)
        .output()?;
    let table = String::from_utf8_lossy(&table);
    files::write(
        Path::new("tests/redteam/results.md"),
        format!("{HEADING}{table}"),
    )
}
