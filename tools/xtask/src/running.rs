//! Running the system: `make run`, `sim`, `qemu`, `image`, and the examples.

use crate::command::{run, run_words};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::options::Options;
use crate::policy::Use;
use crate::sdk::{NONE, Sdk};
use crate::shop::Shop;
use crate::simulation::{make_disk, prepare};
use crate::store::Store;
use crate::system::System;

/// Runs on seL4 in QEMU if a Microkit SDK is found, otherwise in the simulation.
pub fn run_it(shop: &Shop, options: &Options) -> Result {
    match Sdk::find() {
        Some(sdk) => {
            eprintln!(
                "running on seL4 in QEMU: Microkit SDK found in {}",
                sdk.folder().display()
            );
            qemu(shop, options)
        }
        None => {
            eprintln!("running the simulation: {NONE}");
            sim(shop, options, &[])
        }
    }
}

/// Runs the simulation, which gets the terminal. `flags` are passed to it.
pub fn sim(shop: &Shop, options: &Options, flags: &[&'static str]) -> Result {
    let mut simulation = prepare(shop, options, &options.system, Use::Shipped)?;
    if options.system.has_disk() {
        make_disk(shop, options)?;
        simulation = simulation.disk(&options.disk.to_string_lossy());
    }
    for flag in flags {
        simulation = simulation.flag(flag);
    }
    Err(run_words(&simulation.command()).become_it())
}

/// Runs seL4 in QEMU, which gets the terminal.
pub fn qemu(shop: &Shop, options: &Options) -> Result {
    let image = Image::new(shop, options)?;
    // Checked before anything is built.
    let boot = image.boot()?;
    image.build()?;
    if image.system.has_disk() {
        make_disk(shop, options)?;
    }
    Err(run_words(&boot).become_it())
}

/// The image for seL4.
pub fn image(shop: &Shop, options: &Options) -> Result {
    let path = Image::new(shop, options)?.build()?;
    eprintln!("image: {}", path.display());
    Ok(())
}

/// The store of the system.
pub fn store(shop: &Shop, options: &Options) -> Result {
    shop.tools()?;
    Store::of(&options.system, options).make(shop, options)?;
    Ok(())
}

/// The policy of the system.
pub fn policy(shop: &Shop, options: &Options) -> Result {
    shop.tools()?;
    match &options.system {
        // One command makes the whole system.
        System::Own(_) => store(shop, options),
        system => {
            let policy = crate::policy::Policy::of(system, Use::Shipped);
            policy.compile(shop).map(|_| ())
        }
    }
}

/// The simulation, and the files that fill its regions.
pub fn sim_build(shop: &Shop, options: &Options) -> Result {
    prepare(shop, options, &options.system, Use::Shipped).map(|_| ())
}

/// Checks the claims of the system's description.
pub fn description(shop: &Shop, options: &Options) -> Result {
    shop.tools()?;
    options.system.write_description()?;
    if options.system.is_generated() {
        Store::of(&options.system, options).make(shop, options)?;
    }
    crate::image::check(shop, &options.system, &options.board)
        .arg("--silent")
        .aside()
}

/// The options of an example. A component without a console shows only debug output, which a release kernel does not
/// have.
fn example_options(options: &Options) -> Result<Options> {
    if !matches!(options.system, System::Example(..)) {
        let known = crate::files::folders_with("examples", "build.toml").join(", ");
        return Err(Error::Wrong(format!(
            "which one? make EXAMPLE=NAME with one of: {known}"
        )));
    }
    let mut options = options.clone();
    options.config = Some(options.config.unwrap_or(Config::Debug));
    Ok(options)
}

/// Runs an example on seL4 in QEMU if a Microkit SDK is found, otherwise in the simulation.
pub fn example(shop: &Shop, options: &Options) -> Result {
    let options = example_options(options)?;
    match Sdk::find() {
        Some(_) => run_it(shop, &options),
        None => {
            eprintln!("running the simulation: {NONE}");
            example_sim(shop, &options)
        }
    }
}

/// An example in the simulation.
pub fn example_sim(shop: &Shop, options: &Options) -> Result {
    sim(shop, &example_options(options)?, &["--debug"])
}

/// The image of an example.
pub fn example_image(shop: &Shop, options: &Options) -> Result {
    image(shop, &example_options(options)?)
}

/// Runs in the Docker image.
pub fn docker_run() -> Result {
    run("make").args(["-C", "docker", "run"]).done()
}

/// Removes everything that was built.
pub fn clean() -> Result {
    if std::path::Path::new("build").exists() {
        std::fs::remove_dir_all("build").map_err(crate::error::at("build"))?;
    }
    run("cargo").arg("clean").done()
}
