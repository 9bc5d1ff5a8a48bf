//! The end-to-end suites on both runtimes, and the long runs: soak and storm.

use crate::clients;
use crate::command::run;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::files;
use crate::image::{Image, Purpose};
use crate::options::{Options, number};
use crate::policy::{Policy, Use};
use crate::sdk::{NONE, Platform, Sdk};
use crate::shop::Shop;
use crate::simulation::{Simulation, prepare};
use crate::store::Store;
use crate::system::{Example, MAIN, Named, System, Variant};
use std::path::{Path, PathBuf};

/// The suites that run on both runtimes.
const SUITES: [&str; 6] = ["e2e", "monitor", "replay", "adapters", "formats", "console"];
/// The suites of a system with a disk.
const DISK_SUITES: [&str; 3] = ["disk_models", "disk_log", "disk_input"];

/// Reports what is not run, and why.
pub fn skipped(what: &str, why: &str) {
    println!("*** SKIPPED: {what}: {why} ***");
}

/// The system with a disk.
pub fn with_disk() -> Result<System> {
    Ok(System::Named(Named::new("disk")?))
}

/// A system of `examples/`, with each of its variants.
pub fn example_systems(name: &str) -> Result<Vec<System>> {
    let example = Example::read(name)?;
    let variants = example.variants.clone();
    let system =
        |(name, built)| System::Example(Box::new(example.clone()), Variant { name, built });
    // The Rust variant first, because it needs no C compiler.
    Ok(variants.into_iter().rev().map(system).collect())
}

/// The folders of both misbehaving simulations: with the tests' store and policy, and with the shipped ones.
fn injecting(shop: &Shop, search: &[&Path]) -> String {
    Simulation::new(shop, PathBuf::from(MAIN), search)
        .built_for("inject")
        .command()
}

/// All suites on the simulation.
pub fn e2e_sim(shop: &Shop, options: &Options) -> Result {
    let shipped = prepare(shop, options, &System::Main, Use::Shipped)?;
    shop.build_simulation_with("inject")?;
    let (store, policy) = (
        Store::of(&System::Main, options),
        Policy::of(&System::Main, Use::Shipped),
    );
    let test_store = Store::Test.make(shop, options)?;
    let test_policy = Policy::of(&System::Main, Use::Test);
    shop.suites(&SUITES)
        .args(["--test", "documents"])
        .env("SEL4_LLM_RUN", shipped.command())
        .env(
            "SEL4_LLM_RUN_INJECT",
            injecting(shop, &[&test_store, test_policy.compile(shop)?]),
        )
        .env(
            "SEL4_LLM_RUN_INJECT_SHIPPED",
            injecting(shop, &[&store.folder(), &policy.folder]),
        )
        .done()?;
    e2e_disk_sim(shop, options)?;
    for system in example_systems("triage")? {
        example_test_sim(shop, options, &system)?;
    }
    soak(shop, options, 300)?;
    storm_sim(shop, options, 10)
}

/// The suites of the system with a disk on the simulation. Each test has its own image, named in DISK.
pub fn e2e_disk_sim(shop: &Shop, options: &Options) -> Result {
    let system = with_disk()?;
    let simulation = |purpose| -> Result<Simulation> {
        Ok(prepare(shop, options, &system, purpose)?.disk("\"$DISK\""))
    };
    shop.build(&["broken-disk-sim", "gremlin-sim"])?;
    let shipped = simulation(Use::Shipped)?;
    let broken = shipped
        .clone()
        .replace("disk", &shop.program("broken-disk-sim"));
    shop.suites(&["disk_broken"])
        .env("SEL4_LLM_RUN_BROKEN_DISK", broken.command())
        .done()?;
    let device = shop.device_key()?;
    shop.suites(&DISK_SUITES)
        .env("SEL4_LLM_DEVICE", &device)
        .env("SEL4_LLM_RUN_DISK", shipped.command())
        .done()?;
    shop.suites(&["disk_adapters"])
        .env("SEL4_LLM_DEVICE", &device)
        .env("SEL4_LLM_RUN_DISK", simulation(Use::Test)?.command())
        .env("SEL4_LLM_TEST_KEY", shop.key("test")?)
        .done()?;
    let hostile = simulation(Use::GoOn)?.replace("files", &shop.program("gremlin-sim"));
    shop.suites(&["disk_hostile"])
        .env("SEL4_LLM_RUN_DISK_HOSTILE", hostile.command())
        .done()
}

/// All suites on seL4 in QEMU.
pub fn e2e_qemu(shop: &Shop, options: &Options) -> Result {
    let image = Image::new(shop, options)?.system(System::Main);
    let images = [Purpose::Shipped, Purpose::Inject, Purpose::InjectShipped];
    let [shipped, inject, inject_shipped] = images.map(|purpose| image.purpose(purpose));
    let boots = [shipped.boot()?, inject.boot()?, inject_shipped.boot()?];
    for image in [&shipped, &inject, &inject_shipped] {
        image.build()?;
    }
    let [run_shipped, run_inject, run_inject_shipped] = boots;
    shop.suites(&SUITES)
        .env("SEL4_LLM_RUN", run_shipped)
        .env("SEL4_LLM_RUN_INJECT", run_inject)
        .env("SEL4_LLM_RUN_INJECT_SHIPPED", run_inject_shipped)
        .args(["--", "--test-threads", "2"])
        .done()?;
    match options.board.emulation.disk {
        Some(_) => e2e_disk_qemu(shop, options)?,
        None => skipped(
            "systems/disk",
            &format!("{} has no disk", options.board.name),
        ),
    }
    for system in example_systems("triage")? {
        let System::Example(_, variant) = &system else {
            continue;
        };
        if variant.name == "c" && !clients::has_compiler(&options.board) {
            let compiler = clients::compiler(&options.board);
            skipped(
                "the example in C on seL4",
                &format!("no C compiler for its target: {compiler}"),
            );
            continue;
        }
        example_test_sel4(shop, options, &system)?;
    }
    storm(shop, options, 10)
}

/// The suites of the system with a disk on seL4 in QEMU.
pub fn e2e_disk_qemu(shop: &Shop, options: &Options) -> Result {
    let image = Image::new(shop, options)?.system(with_disk()?);
    let goes_on = image.purpose(Purpose::GoOn);
    let boots = [image.boot_with_any_disk()?, goes_on.boot_with_any_disk()?];
    image.build()?;
    goes_on.build()?;
    let [run, run_goes_on] = boots;
    shop.suites(&DISK_SUITES)
        .args(["--test", "disk_device"])
        .env("SEL4_LLM_DEVICE", shop.device_key()?)
        .env("SEL4_LLM_RUN_DISK", run)
        .env("SEL4_LLM_RUN_DISK_GO_ON", run_goes_on)
        .args(["--", "--test-threads", "2"])
        .done()
}

/// The suites of the system with a disk on both runtimes.
pub fn e2e_disk(shop: &Shop, options: &Options) -> Result {
    e2e_disk_sim(shop, options)?;
    match Sdk::find() {
        Some(_) => e2e_disk_qemu(shop, options),
        None => {
            skipped("systems/disk on seL4", NONE);
            Ok(())
        }
    }
}

/// The suite of an example on both runtimes.
pub fn example_test(shop: &Shop, options: &Options) -> Result {
    example_test_sim(shop, options, &options.system)?;
    match Sdk::find() {
        Some(_) => example_test_sel4(shop, options, &options.system),
        None => {
            skipped("the example on seL4", NONE);
            Ok(())
        }
    }
}

fn example_of(system: &System) -> Result<&Example> {
    match system {
        System::Example(example, _) => Ok(example),
        _ => Err(Error::Wrong("which one? make EXAMPLE=NAME".to_owned())),
    }
}

/// The suite of an example in the simulation.
pub fn example_test_sim(shop: &Shop, options: &Options, system: &System) -> Result {
    let suite = &example_of(system)?.name;
    let simulation = prepare(shop, options, system, Use::Shipped)?.flag("--debug");
    shop.build_simulation_with("inject")?;
    shop.suites(&[suite])
        .env("SEL4_LLM_EXAMPLE", simulation.command())
        .env(
            "SEL4_LLM_EXAMPLE_INJECT",
            simulation.built_for("inject").command(),
        )
        .args(["--", "--test-threads", "1"])
        .done()
}

/// The suite of an example on seL4 in QEMU.
pub fn example_test_sel4(shop: &Shop, options: &Options, system: &System) -> Result {
    let suite = &example_of(system)?.name;
    let options = &Options {
        config: Some(Config::Debug),
        ..options.clone()
    };
    let image = Image::new(shop, options)?.system(system.clone());
    let inject = image.purpose(Purpose::InjectShipped);
    let boots = [image.boot()?, inject.boot()?];
    image.build()?;
    inject.build()?;
    let [run, run_inject] = boots;
    shop.suites(&[suite])
        .env("SEL4_LLM_EXAMPLE", run)
        .env("SEL4_LLM_EXAMPLE_INJECT", run_inject)
        .args(["--", "--test-threads", "1"])
        .done()
}

/// Random requests by three clients on the simulation, with kills, cancels and garbage.
pub fn soak(shop: &Shop, options: &Options, requests: u64) -> Result {
    let folder = Path::new("build/soak");
    shop.build(&["llmtool", "soak-client"])?;
    shop.build_simulation_with("inject")?;
    let text = run("tests/clients/add-clients")
        .args([MAIN, "first", "second"])
        .output()?;
    let description = folder.join("system.xml");
    files::write(&description, text)?;
    let store = Store::Test.make(shop, options)?;
    let storm = Policy::of(&System::Main, Use::Storm);
    let policy = Policy {
        texts: [
            storm.texts,
            vec![PathBuf::from("tests/clients/soak/policy.toml")],
        ]
        .concat(),
        description: description.clone(),
        folder: folder.to_owned(),
        ..Policy::of(&System::Main, Use::Storm)
    };
    policy.compile(shop)?;
    let client = shop.program("soak-client");
    let simulation = Simulation::new(shop, description, &[&store, folder])
        .built_for("inject")
        .replace("first", &client)
        .replace("second", &client);
    shop.test_program("soak")?
        .args(["--requests", &requests.to_string()])
        .args(["--seed", &number("SOAK_SEED", 1)?.to_string()])
        .arg("--models")
        .arg(store)
        .arg("--output")
        .arg(folder)
        .env("SEL4_LLM_RUN_INJECT", simulation.command())
        .done()
}

/// The storm: many faults and hangs, with the shipped model, on the system that `boot` starts. `more`: its additional
/// options.
pub fn storm_on(shop: &Shop, boot: &str, faults: u64, more: &[&str], output: &Path) -> Result {
    shop.test_program("storm")?
        .args(["--model", "models/default.gguf", "--models", "models"])
        .args(["--faults", &faults.to_string()])
        .args(more)
        .arg("--output")
        .arg(output)
        .env("SEL4_LLM_RUN_INJECT", boot)
        .done()
}

/// The storm on the simulation.
pub fn storm_sim(shop: &Shop, options: &Options, faults: u64) -> Result {
    shop.build(&["llmtool"])?;
    shop.build_simulation_with("inject")?;
    let store = Store::of(&System::Main, options).make(shop, options)?;
    let policy = Policy::of(&System::Main, Use::Storm);
    let boot = injecting(shop, &[&store, policy.compile(shop)?]);
    storm_on(shop, &boot, faults, &[], Path::new("build/storm-sim"))
}

/// The storm on seL4 in QEMU: the programs of the tests' image, with the shipped store and a separate policy.
pub fn storm(shop: &Shop, options: &Options, faults: u64) -> Result {
    let image = Image::new(shop, options)?
        .system(System::Main)
        .purpose(Purpose::Inject);
    let platform = &image.platform;
    platform.emulator()?;
    image.build()?;
    let store = Store::of(&System::Main, options).make(shop, options)?;
    let policy = Policy::of(&System::Main, Use::Storm);
    let folder = platform.build().join("storm");
    let output = folder.join("loader.img");
    let search: [&Path; 3] = [&image.folder(), &store, policy.compile(shop)?];
    platform.assemble(&image.resolved(), &search, &output, &[])?;
    storm_on(shop, &platform.boot(&output)?, faults, &[], &folder)
}

/// The golden vectors inside a protection domain on seL4 in QEMU: a runner makes an image of only the domain `tests`
/// and boots it. In a system with workers, the image also has three workers, which compute for that domain. `misdeed`
/// makes a build that must fail.
pub fn test_sel4_command(
    shop: &Shop,
    options: &Options,
    misdeed: Option<&str>,
) -> Result<crate::command::Run> {
    let platform = Platform::needed(options)?;
    let emulator = platform.emulator()?;
    let folder = platform
        .build()
        .join(format!("sel4-tests-{}", platform.config.name()));
    let has_workers = options.system.has_workers();
    let description = match has_workers {
        true => "tests/sel4/cores.xml",
        false => "tests/sel4/system.xml",
    };
    platform.resolve(Path::new(description), &folder.join("system.xml"))?;
    if has_workers {
        crate::image::build_programs(shop, &platform, &["worker.elf"], &folder)?;
    }
    let needs = crate::sdk::Needs {
        float: true,
        heap: true,
    };
    let boot = platform.boot_words(&folder.join("loader.img"));
    let runner = platform.triple(needs).replace('-', "_").to_uppercase();
    let silence = match misdeed {
        Some(_) => 15,
        // If the host is busy, emulated cores that wait for the kernel's lock starve each other.
        None => number("SILENCE", if has_workers { 300 } else { 60 })?,
    };
    let uimage = platform.board.emulation.uimage.clone().unwrap_or_default();
    let run_elf =
        std::path::absolute("tools/test-sel4/run-elf").map_err(crate::error::at("tools"))?;
    let mut cargo = platform
        .cargo(shop, "test", needs)
        .args(["-p", "tests"])
        .env("MICROKIT_SDK", platform.sdk.folder())
        .env("BOARD", &platform.board.name)
        .env("CONFIG", platform.config.name())
        .env("SILENCE", silence.to_string())
        .env("EMULATOR", format!("{emulator} {boot}"))
        .env("OUT", folder)
        .env("UIMAGE", uimage)
        .env(format!("CARGO_TARGET_{runner}_RUNNER"), run_elf);
    if has_workers {
        cargo = cargo.args(["--features", "cores"]);
    }
    if let Some(misdeed) = misdeed {
        cargo = cargo.args(["--features", misdeed]);
    }
    Ok(cargo)
}

/// The golden vectors on seL4, if there is an SDK.
pub fn test_sel4(shop: &Shop, options: &Options) -> Result {
    match Sdk::find() {
        Some(_) => test_sel4_command(shop, options, None)?.done(),
        None => {
            skipped("the golden vectors on seL4", NONE);
            Ok(())
        }
    }
}

/// The same with workers on the other cores.
pub fn test_cores_sel4(shop: &Shop, options: &Options) -> Result {
    let system = System::Named(Named::new("cores")?);
    let options = Options {
        system,
        config: options.config.filter(|config| config.has_cores()),
        ..options.clone()
    };
    test_sel4(shop, &options)
}

/// Checks that [`test_sel4`] notices a wrong result, a panic, a fault and a silence.
pub fn test_sel4_fails(shop: &Shop, options: &Options) -> Result {
    for (misdeed, report) in [
        ("wrong", "failed: misbehaviour"),
        ("panic", "FAILED: panicked at"),
        ("fault", "silence for 15 s during misbehaviour"),
        ("silence", "silence for 15 s during misbehaviour"),
    ] {
        let (is_done, said) = test_sel4_command(shop, options, Some(misdeed))?.judged()?;
        let line = said.lines().find(|line| line.contains(report));
        match (is_done, line) {
            (false, Some(line)) => println!("{line}"),
            _ => {
                return Err(Error::Wrong(format!(
                    "test-sel4 did not report {report:?} for a {misdeed}:\n{said}"
                )));
            }
        }
    }
    Ok(())
}

/// The domains `disk` and `files` with a real device; a probe replaces audit. tests/disk/run judges its output.
pub fn test_disk_sel4(shop: &Shop, options: &Options) -> Result {
    let what = "disk and files on seL4";
    let Some(_) = Sdk::find() else {
        skipped(what, NONE);
        return Ok(());
    };
    if options.board.name != crate::options::BOARD {
        let why = format!(
            "tests/disk/system.xml describes the disk of {}",
            crate::options::BOARD
        );
        skipped(&format!("disk and files on {}", options.board.name), &why);
        return Ok(());
    }
    shop.tools()?;
    let platform = Platform::needed(options)?;
    let folder = platform
        .build()
        .join(format!("sel4-disk-{}", platform.config.name()));
    let elves = ["disk.elf", "files.elf", "probe.elf"];
    crate::image::build_programs(shop, &platform, &elves, &folder)?;
    let image = folder.join("loader.img");
    platform.assemble(Path::new("tests/disk/system.xml"), &[&folder], &image, &[])?;
    run("tests/disk/run")
        .arg(shop.program("llmtool"))
        .arg(image)
        .arg("models/tiny-f32.gguf")
        .arg(folder)
        .args(platform.emulator()?.split_whitespace())
        .done()
}
