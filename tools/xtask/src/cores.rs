//! The system on several cores, with each possible number of workers.

use crate::error::{Error, Result};
use crate::files;
use crate::image::{Image, Purpose};
use crate::options::Options;
use crate::policy::{Policy, Use};
use crate::shop::Shop;
use crate::simulation::{Simulation, prepare};
use crate::store::Store;
use crate::suites::storm_on;
use crate::system::{Named, System};
use std::path::Path;

/// The system with this many workers.
fn with(workers: usize) -> Result<System> {
    let fewer = Some(workers);
    Ok(System::Named(Named {
        fewer,
        ..Named::new("cores")?
    }))
}

/// The system that the options select, otherwise the one with all workers.
fn meant(options: &Options) -> Result<System> {
    match &options.system {
        System::Main => Ok(System::Named(Named::new("cores")?)),
        System::Named(Named { workers: 1.., .. }) => Ok(options.system.clone()),
        _ => Err(Error::Wrong(
            "this needs workers: make SYSTEM=cores WORKERS=1, 2 or 3".to_owned(),
        )),
    }
}

/// For each number of workers: the same texts and log as the main system, the usual suite, and the replay.
pub fn e2e_sim(shop: &Shop, options: &Options) -> Result {
    let main = prepare(shop, options, &System::Main, Use::Shipped)?;
    shop.build_simulation_with("inject")?;
    let test_store = Store::Test.make(shop, options)?;
    let mut names = vec!["main".to_owned()];
    let mut same = shop
        .suites(&["boards"])
        .env("SEL4_LLM_SAME_main", main.command());
    let mut systems = Vec::new();
    for workers in 1..=Named::new("cores")?.workers {
        let system = with(workers)?;
        let simulation = prepare(shop, options, &system, Use::Shipped)?;
        let name = format!("workers_{workers}");
        same = same.env(format!("SEL4_LLM_SAME_{name}"), simulation.command());
        names.push(name);
        systems.push((system, simulation));
    }
    same.env("SEL4_LLM_SAME", names.join(" "))
        .args(["--", "--nocapture"])
        .done()?;
    for (system, shipped) in systems {
        let test = Policy::of(&system, Use::Test);
        let inject = Simulation::new(
            shop,
            system.description(),
            &[&test_store, test.compile(shop)?],
        );
        println!("end to end and replay: {}", system.description().display());
        shop.suites(&["e2e", "replay"])
            .env("SEL4_LLM_RUN", shipped.command())
            .env("SEL4_LLM_RUN_INJECT", inject.built_for("inject").command())
            .env(
                "SEL4_LLM_RUN_INJECT_SHIPPED",
                shipped.built_for("inject").command(),
            )
            .done()?;
    }
    Ok(())
}

/// Many faults and hangs of workers, on the simulation.
pub fn storm_sim(shop: &Shop, options: &Options, faults: u64) -> Result {
    let system = meant(options)?;
    shop.build(&["llmtool"])?;
    shop.build_simulation_with("inject")?;
    system.write_description()?;
    let store = Store::of(&system, options).make(shop, options)?;
    let policy = Policy::of(&System::Main, Use::Storm);
    let simulation = Simulation::new(shop, system.description(), &[&store, policy.compile(shop)?])
        .built_for("inject");
    storm_on(
        shop,
        &simulation.command(),
        faults,
        &["--workers"],
        Path::new("build/storm-cores-sim"),
    )
}

/// The same on seL4 in QEMU, with a separate policy.
pub fn storm(shop: &Shop, options: &Options, faults: u64) -> Result {
    let options = &Options {
        system: meant(options)?,
        ..options.clone()
    };
    let image = Image::new(shop, options)?.purpose(Purpose::Inject);
    let platform = &image.platform;
    platform.emulator()?;
    image.build()?;
    let store = Store::of(&System::Main, options).make(shop, options)?;
    let policy = Policy::of(&System::Main, Use::StormCores);
    let folder = platform.build().join("storm-cores");
    files::folder(&folder)?;
    let output = folder.join("loader.img");
    let search: [&Path; 3] = [&image.folder(), &store, policy.compile(shop)?];
    platform.assemble(&image.resolved(), &search, &output, &[])?;
    storm_on(
        shop,
        &platform.boot(&output)?,
        faults,
        &["--workers"],
        &folder,
    )
}
