//! Measurements.

use crate::checks::Foreign;
use crate::command::run;
use crate::error::{Result, at};
use crate::files;
use crate::image::{Image, Purpose, build_programs};
use crate::lane::boards_here;
use crate::options::{Options, environment, said, said_or};
use crate::policy::{Policy, Use};
use crate::sdk::{NONE, Platform, Sdk};
use crate::shop::Shop;
use crate::simulation::prepare;
use crate::store::{Store, models_for, with_regions};
use crate::suites::{skipped, with_disk};
use crate::system::{MAIN, Scale, System};
use std::path::{Path, PathBuf};

const BENCH: &str = "build/bench";
const DEFAULT: &str = "models/default.gguf";
/// The model for measurements of loading: 98 MB.
const LARGE_TO_LOAD: &str = "wide-q6_k.gguf";
const BENCH_MODELS: [&str; 2] = ["bench-q4_0.gguf", "bench-q8_0.gguf"];

fn bench_models(shop: &Shop) -> Result<[PathBuf; 2]> {
    models_for(shop, "--bench", Path::new(BENCH), &BENCH_MODELS)?;
    Ok(BENCH_MODELS.map(|name| Path::new(BENCH).join(name)))
}

/// Speed of kernels and models on this machine; also written to bench.json.
pub fn bench(shop: &Shop) -> Result {
    shop.build(&["llmtool"])?;
    let models = bench_models(shop)?;
    shop.cargo("bench")
        .args(["-p", "llm-core-benches"])
        .done()?;
    run("tools/bench/bench")
        .arg("--llmtool")
        .arg(shop.program("llmtool"))
        .arg("--criterion")
        .arg(shop.target().join("criterion"))
        .arg("--json")
        .arg(shop.target().join("bench.json"))
        .arg(DEFAULT)
        .args(models)
        .done()
}

/// Speed of every format compared with llama.cpp and, if LLAMA2C is set, llama2.c. BENCH_PEERS: additional options of
/// the tool.
pub fn bench_peers(shop: &Shop) -> Result {
    shop.build(&["llmtool"])?;
    bench_models(shop)?;
    models_for(shop, "--wide", Path::new(BENCH), &["wide-f16.gguf"])?;
    let mut tool = run("tools/bench-peers/bench-peers")
        .arg("--llmtool")
        .arg(shop.program("llmtool"))
        .args(["--models", BENCH, "--build", "build/peers", "--json"])
        .arg(shop.target().join("bench-peers.json"));
    for (option, variable) in [("--llama-cpp", "LLAMA_CPP"), ("--llama2c", "LLAMA2C")] {
        if let Some(value) = said(&environment, variable) {
            tool = tool.args([option, &value]);
        }
    }
    tool.args(said_or("BENCH_PEERS", "").split_whitespace())
        .done()
}

/// Instructions of the NEON kernels for each multiply-accumulate, in qemu-user. Counts do not depend on the machine.
/// The build matches the domain on seL4 as far as the compiler is concerned: strict alignment, and no SDOT.
pub fn bench_neon(shop: &Shop) -> Result {
    let flags = "-C target-feature=+strict-align";
    let options = ["--title", "NEON of ARMv8.0", "--goals"];
    bench_kernels(shop, Foreign::Aarch64, flags, &options)
}

/// The same for the kernels on rv64gc, which has no vectors.
pub fn bench_riscv(shop: &Shop) -> Result {
    bench_kernels(shop, Foreign::Riscv64, "", &["--title", "rv64gc"])
}

fn bench_kernels(shop: &Shop, foreign: Foreign, flags: &str, options: &[&str]) -> Result {
    let triple = foreign.triple();
    let flags_of = triple.replace('-', "_").to_uppercase();
    foreign
        .cargo(shop, "build")?
        .args([
            "--release",
            "-p",
            "llm-core",
            "--features",
            "testing",
            "--example",
            "multiply",
        ])
        .env(format!("CARGO_TARGET_{flags_of}_RUSTFLAGS"), flags)
        .aside()?;
    let built = format!("{}/{triple}/release/examples/multiply", foreign.processor());
    let file = format!("bench-{}.json", foreign.processor());
    run("tools/bench-kernels/bench-kernels")
        .args(options)
        .arg("--json")
        .arg(shop.target().join(file))
        .arg("--program")
        .arg(shop.target().join(built))
        .arg("--")
        .args(foreign.emulator())
        .done()
}

/// Draws docs/performance.svg, after bench-peers.
pub fn bench_plot(shop: &Shop) -> Result {
    shop.build(&["llmtool"])?;
    let sizes = Path::new(BENCH).join("sizes");
    models_for(shop, "--sizes", &sizes, &["width-128.gguf"])?;
    run("tools/bench/plot")
        .arg("--llmtool")
        .arg(shop.program("llmtool"))
        .args([
            "--llama-bench",
            "build/peers/llama/bin/llama-bench",
            "--sizes",
        ])
        .arg(sizes)
        .done()
}

/// The measuring image with a second client (tests/clients/mute), which is silent in one image, and asks and never
/// reads in the other. Makes both.
fn beside(shop: &Shop, measure: &Image<'_>) -> Result<[PathBuf; 2]> {
    let folder = Path::new("build/bench-beside");
    let platform = &measure.platform;
    build_programs(shop, platform, &["mute.elf"], folder)?;
    let text = run("tests/clients/add-clients")
        .args([MAIN, "mute=orders"])
        .output()?;
    let described = folder.join("described.xml");
    files::write(&described, text)?;
    let resolved = folder.join("system.xml");
    platform.resolve(&described, &resolved)?;
    let test = Policy::of(&System::Main, Use::Test);
    let policy = Policy {
        texts: [
            test.texts,
            vec![PathBuf::from("tests/clients/mute/policy.toml")],
        ]
        .concat(),
        changes: test.changes,
        description: described,
        folder: folder.to_owned(),
    };
    policy.compile(shop)?;
    let store = Store::of(&System::Main, measure.options).make(shop, measure.options)?;
    let image = |order: u8, name: &str| -> Result<PathBuf> {
        let orders = folder.join("orders.bin");
        files::write(&orders, [order])?;
        files::pad(&orders, 0x1000)?;
        let output = folder.join(name);
        let search: [&Path; 3] = [folder, &measure.folder(), &store];
        platform.assemble(&resolved, &search, &output, &[])?;
        Ok(output)
    };
    Ok([image(b'0', "silent.img")?, image(b'1', "asks.img")?])
}

/// Speed and instructions on seL4 in QEMU.
pub fn bench_qemu(shop: &Shop, options: &Options) -> Result {
    let image = Image::new(shop, options)?.system(System::Main);
    let console = image.platform.console()?;
    let measure = image.purpose(Purpose::Measure);
    let large = image.system(System::Large(Scale::Bench));
    for image in [&image, &measure, &large] {
        image.build()?;
    }
    let [silent, asks] = beside(shop, &measure)?;
    run("tools/bench-qemu/bench-qemu")
        .args(["speed", "--json"])
        .arg(shop.target().join("bench-qemu.json"))
        .arg("--llmtool")
        .arg(shop.program("llmtool"))
        .args(["--model", DEFAULT, "--image"])
        .arg(image.path())
        .arg("--measure")
        .arg(measure.path())
        .arg("--beside-silent")
        .arg(silent)
        .arg("--beside-asking")
        .arg(asks)
        .arg("--large")
        .arg(large.path())
        .arg("--large-model")
        .arg(large.system.folder().join("default.gguf"))
        .arg("--")
        .args(console.split_whitespace())
        .done()
}

/// Instructions per token, and per crossing of a boundary, on each board of the lane, in QEMU.
pub fn bench_boards(shop: &Shop, options: &Options) -> Result {
    // The plugin that counts the instructions of an emulated machine.
    let source = PathBuf::from("tools/bench-qemu/instructions.c");
    let plugin = std::path::absolute("build/bench/instructions.so").map_err(at("build/bench"))?;
    files::made(&plugin, std::slice::from_ref(&source), "", |output| {
        run(said_or("CC", "cc"))
            .args([
                "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o",
            ])
            .arg(output)
            .arg(&source)
            .done()
    })?;
    let mut tool = run("tools/bench-qemu/bench-qemu")
        .args(["boards", "--json"])
        .arg(shop.target().join("bench-boards.json"))
        .arg("--llmtool")
        .arg(shop.program("llmtool"))
        .args(["--model", DEFAULT, "--plugin"])
        .arg(plugin);
    for board in boards_here(options)? {
        let options = Options {
            board,
            ..options.clone()
        };
        let image = Image::new(shop, &options)?.system(System::Main);
        let measure = image.purpose(Purpose::Measure);
        image.build()?;
        measure.build()?;
        tool = tool.args([
            "--board",
            &options.board.name,
            &image.boot()?,
            &measure.boot()?,
        ]);
    }
    tool.done()
}

/// The time that the log on a disk adds to a first token, in QEMU.
pub fn bench_ahead(shop: &Shop, options: &Options) -> Result {
    let without = Image::new(shop, options)?.system(System::Main);
    let ahead = without.system(with_disk()?);
    without.build()?;
    ahead.build()?;
    let disk = Path::new("build/bench-ahead.img");
    files::remove(disk)?;
    shop.llmtool()
        .args(["disk", "create"])
        .arg(disk)
        .args(["--size", "32MiB", "--log-size", "4MiB"])
        .aside()?;
    let platform: &Platform = &ahead.platform;
    run("tools/bench-qemu/bench-qemu")
        .args(["ahead", "--without", &without.boot()?, "--ahead"])
        .arg(platform.boot_with_disk(&ahead.path(), &disk.to_string_lossy())?)
        .done()
}

/// The time to load a model from a disk: a large one in the simulation, and with an SDK the default one on seL4 in
/// QEMU.
pub fn bench_load(shop: &Shop, options: &Options) -> Result {
    let large = load_large(shop, options)?;
    let mut tool = run("tools/bench-qemu/bench-qemu")
        .args(["load", "--simulation"])
        .args(large);
    if Sdk::find().is_some() {
        tool = tool.arg("--emulation").args(load_default(shop, options)?);
    } else {
        skipped("loading on seL4", NONE);
    }
    tool.done()
}

/// The name of a new disk with a model, for a measurement of loading.
fn disk_with(shop: &Shop, name: &str, size: &str, model: &Path) -> Result<PathBuf> {
    let disk = Path::new(BENCH).join(name);
    files::remove(&disk)?;
    let tool = |verb: &str| shop.llmtool().args(["disk", verb]).arg(&disk);
    tool("create")
        .args(["--size", size, "--log-size", "1MiB"])
        .aside()?;
    tool("add").arg(model).aside()?;
    Ok(disk)
}

/// The command that runs the simulation with slots for a model of 98 MB and a disk that has it, and the model.
fn load_large(shop: &Shop, options: &Options) -> Result<[String; 2]> {
    const SIZES: [(&str, u64); 3] = [
        ("arena", 0x900_0000),
        ("staging", 0x600_0000),
        ("model_slots", 0xc00_0000),
    ];
    let system = with_disk()?;
    let usual = prepare(shop, options, &system, Use::Test)?;
    models_for(shop, "--load", Path::new(BENCH), &[LARGE_TO_LOAD])?;
    let model = Path::new(BENCH).join(LARGE_TO_LOAD);
    shop.llmtool()
        .args(["sign", "--force", "--key"])
        .arg(shop.key("test")?)
        .arg(&model)
        .silent()?;
    let described = Path::new(BENCH).join("load.xml");
    let text = with_regions(&system.description().to_string_lossy(), &SIZES)?;
    files::write(&described, text)?;
    let disk = disk_with(shop, "load-large.img", "256MiB", &model)?;
    let run = usual.described(described).disk(&disk.to_string_lossy());
    Ok([run.command(), model.display().to_string()])
}

/// The command that boots `systems/disk` in QEMU with a disk that has the default model, and the model.
fn load_default(shop: &Shop, options: &Options) -> Result<[String; 2]> {
    let image = Image::new(shop, options)?.system(with_disk()?);
    image.build()?;
    let disk = disk_with(shop, "load-default.img", "32MiB", Path::new(DEFAULT))?;
    let boot = image
        .platform
        .boot_with_disk(&image.path(), &disk.to_string_lossy())?;
    Ok([boot, DEFAULT.to_owned()])
}
