//! The isolation argument: runs the checker on descriptions and images, and writes the generated files.

use crate::command::run;
use crate::error::Result;
use crate::files;
use crate::files::folders_with;
use crate::image::{Image, Purpose, check};
use crate::options::Options;
use crate::policy::{Policy, Use};
use crate::sdk::{NONE, Sdk};
use crate::shop::Shop;
use crate::store::Store;
use crate::suites::skipped;
use crate::system::{CLAIMS, MAIN, Named, System};
use std::path::Path;

/// The capDL inputs of the checker's mutation tests.
const FIXTURES: &str = "tools/isolation/tests/fixtures";

/// Checks the isolation argument: the description and, with an SDK, the image's capabilities. Writes the reports.
pub fn isolation(shop: &Shop, options: &Options) -> Result {
    shop.tools()?;
    let folder = Path::new("build")
        .join(&options.board.name)
        .join(format!("isolation{}", options.system.suffix()));
    files::folder(&folder)?;
    options.system.write_description()?;
    if options.system.is_generated() {
        Store::of(&options.system, options).make(shop, options)?;
    }
    let mut checker = check(shop, &options.system, &options.board);
    for (option, file) in [
        ("--markdown", "report.md"),
        ("--json", "report.json"),
        ("--svg", "authority.svg"),
    ] {
        checker = checker.arg(option).arg(folder.join(file));
    }
    let said = format!("report, JSON and picture: {}", folder.display());
    if Sdk::find().is_none() {
        checker.done()?;
        println!("{said}");
        skipped("the capabilities of the image", NONE);
        return Ok(());
    }
    let image = Image::new(shop, options)?;
    image.build()?;
    let capabilities = image.capabilities()?;
    let result = checker
        .args(["--config", image.platform.config.name()])
        .arg("--programs")
        .arg(image.folder())
        .arg("--capdl")
        .arg(&capabilities)
        .arg("--kernel")
        .arg(
            image
                .platform
                .folder()
                .join("include/kernel/gen_config.json"),
        )
        .done();
    files::remove(&capabilities)?;
    result?;
    println!("{said}");
    Ok(())
}

/// Writes what the image's threads hold next to the image, for `make -C proofs image`.
pub fn capabilities(shop: &Shop, options: &Options) -> Result {
    let image = Image::new(shop, options)?;
    image.build()?;
    println!("{}", image.capabilities()?.display());
    Ok(())
}

/// Checks the claims of every system description in the repository, without an SDK.
pub fn descriptions(shop: &Shop, options: &Options) -> Result {
    shop.build(&["isolation"])?;
    check(shop, &System::Main, &options.board)
        .arg("--quiet")
        .done()?;
    for name in folders_with("systems", "system.xml") {
        let named = Named::new(&name)?;
        for fewer in (1..named.workers).map(Some).chain([None]) {
            let system = System::Named(Named {
                fewer,
                ..named.clone()
            });
            system.write_description()?;
            check(shop, &system, &options.board).arg("--quiet").done()?;
        }
    }
    Ok(())
}

/// Writes the files generated from system.xml: the picture, Microkit's table, the proofs' instance.
pub fn docs(shop: &Shop) -> Result {
    shop.build(&["isolation"])?;
    run(shop.program("isolation"))
        .args(["docs", MAIN, "--policy", CLAIMS])
        .done()
}

/// The fixtures of the checker's mutation tests: the capabilities of the release image, of a system with two clients,
/// and of the system on several cores. The second client runs the shell's program, so nothing is known about its
/// events. Fills are left out. Arena, store, adapters and formats have 16 pages, because all pages of a region are
/// alike and thousands of them make the tests slow.
pub fn fixture(shop: &Shop, options: &Options) -> Result {
    const SIXTEEN_PAGES: usize = 0x10000;
    let folder = Path::new("build/isolation-fixture");
    files::folder(folder)?;
    let image = Image::new(shop, options)?
        .system(System::Main)
        .purpose(Purpose::Shipped);
    image.build()?;
    let cores_options = Options {
        system: System::Named(Named::new("cores")?),
        config: None,
        ..options.clone()
    };
    let of_cores = Image::new(shop, &cores_options)?;
    of_cores.build()?;
    let description = Path::new(FIXTURES).join("system.xml");
    make_small(Path::new(MAIN), &description)?;
    let cores = Path::new(FIXTURES).join("cores.xml");
    make_small(&of_cores.system.description(), &cores)?;
    let two = shop
        .cargo("run")
        .args(["-p", "isolation", "--example", "two-clients"])
        .input(&description)?
        .output()?;
    let two = String::from_utf8_lossy(&two);
    let two = two.replace(" setvar_vaddr=\"events\" setvar_size=\"events_size\"", "");
    let two_clients = folder.join("two-clients.xml");
    files::write(&two_clients, two)?;
    let policy = Policy::of(&System::Main, Use::Shipped);
    let store = Store::of(&System::Main, options).folder();
    for (from, name) in [
        (store.join("store.tar"), "store.tar"),
        (policy.folder.join("formats.bin"), "formats.bin"),
    ] {
        let bytes = std::fs::read(&from).map_err(crate::error::at(&from))?;
        files::write(&folder.join(name), &bytes[..bytes.len().min(SIXTEEN_PAGES)])?;
    }
    files::write(&folder.join("events.txt"), [0; 0x1000])?;
    files::copy(
        &image.folder().join("shell.elf"),
        &folder.join("triage.elf"),
    )?;
    for (image, description, name) in [
        (&image, &description, "capdl"),
        (&image, &two_clients, "two-clients"),
        (&of_cores, &cores, "cores"),
    ] {
        let (resolved, capabilities) = (folder.join("resolved.xml"), folder.join("capdl.json"));
        image.platform.resolve(description, &resolved)?;
        let search: [&Path; 3] = [&image.folder(), folder, &policy.folder];
        let option = ["--capdl-json", &capabilities.to_string_lossy()];
        image
            .platform
            .assemble(&resolved, &search, &folder.join("loader.img"), &option)?;
        run(shop.program("isolation"))
            .arg("strip")
            .arg(capabilities)
            .arg(Path::new(FIXTURES).join(format!("{name}.json")))
            .done()?;
    }
    Ok(())
}

/// Writes a description with small regions.
fn make_small(description: &Path, output: &Path) -> Result {
    let text = files::text(description)?;
    let small: Vec<_> = text.lines().map(small_regions).collect();
    files::write(output, format!("{}\n", small.join("\n")))
}

/// A line of a description, in which regions of thousands of pages have 16.
fn small_regions(line: &str) -> String {
    const LARGE: [&str; 4] = ["arena", "model_store", "adapters", "formats"];
    let is_large = LARGE
        .iter()
        .any(|name| line.contains(&format!("name=\"{name}\" size=")));
    match line.split_once(" size=\"") {
        Some((before, after)) if is_large => {
            let rest = after.split_once('"').map_or("", |(_, rest)| rest);
            format!("{before} size=\"0x10000\"{rest}")
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::small_regions;

    #[test]
    fn only_large_regions_become_small() {
        let line = r#"    <memory_region name="arena" size="0x800000" page_size="0x1000" />"#;
        let small = r#"    <memory_region name="arena" size="0x10000" page_size="0x1000" />"#;
        assert_eq!(small_regions(line), small);
        let other = r#"    <memory_region name="policy" size="0x10000" />"#;
        assert_eq!(small_regions(other), other);
    }
}
