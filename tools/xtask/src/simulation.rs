//! The simulation: a process for each protection domain of a description.

use crate::clients;
use crate::error::Result;
use crate::image::check;
use crate::options::Options;
use crate::policy::{Policy, Use};
use crate::shop::Shop;
use crate::store::Store;
use crate::system::System;
use std::path::{Path, PathBuf};

/// A command line of the simulation under construction.
#[derive(Clone, Debug)]
pub struct Simulation {
    program: PathBuf,
    description: PathBuf,
    disk: Option<String>,
    search: Vec<PathBuf>,
    /// Domains whose program is replaced.
    programs: Vec<String>,
    flags: Vec<&'static str>,
}

impl Simulation {
    /// The simulation of a description, with the folders of the files that fill its regions.
    pub fn new(shop: &Shop, description: PathBuf, search: &[&Path]) -> Self {
        Self {
            program: shop.program("sel4-llm-sim"),
            description,
            disk: None,
            search: search.iter().map(|path| (*path).to_owned()).collect(),
            programs: Vec::new(),
            flags: Vec::new(),
        }
    }

    /// Uses another build: `inject`, whose inference misbehaves if a prompt says so, or `redteam`.
    pub fn built_for(mut self, what: &str) -> Self {
        self.program = self.program.with_file_name(format!("sel4-llm-sim-{what}"));
        self
    }

    /// Adds a disk; the image may be a shell variable.
    pub fn disk(mut self, image: &str) -> Self {
        self.disk = Some(image.to_owned());
        self
    }

    /// Uses another description.
    pub fn described(mut self, description: PathBuf) -> Self {
        self.description = description;
        self
    }

    /// Replaces a domain's program.
    pub fn replace(mut self, domain: &str, program: &Path) -> Self {
        self.programs
            .push(format!("{domain}={}", program.display()));
        self
    }

    /// Adds a flag.
    pub fn flag(mut self, flag: &'static str) -> Self {
        self.flags.push(flag);
        self
    }

    /// The command line; its words contain no spaces.
    pub fn command(&self) -> String {
        let mut words = vec![
            self.program.display().to_string(),
            self.description.display().to_string(),
        ];
        if let Some(disk) = &self.disk {
            words.extend(["--disk".to_owned(), disk.clone()]);
        }
        words.push("--search-path".to_owned());
        words.extend(self.search.iter().map(|path| path.display().to_string()));
        words.extend(
            self.programs
                .iter()
                .map(|program| format!("--program={program}")),
        );
        words.extend(self.flags.iter().map(|flag| (*flag).to_owned()));
        words.join(" ")
    }
}

/// Builds the simulation of a system with the shipped policy or another one.
pub fn prepare(
    shop: &Shop,
    options: &Options,
    system: &System,
    purpose: Use,
) -> Result<Simulation> {
    shop.build(&["llmtool", "isolation", "sel4-llm-sim"])?;
    system.write_description()?;
    let store = Store::of(system, options).make(shop, options)?;
    if system.is_checked() {
        check(shop, system, &options.board)
            .arg("--silent")
            .aside()?;
    }
    let policy = match system {
        System::Own(_) => store.clone(),
        // Its models are signed with the tests' key.
        System::Large(_) => Policy::of(&System::Main, Use::Test)
            .compile(shop)?
            .to_owned(),
        _ => Policy::of(system, purpose).compile(shop)?.to_owned(),
    };
    let mut simulation = Simulation::new(shop, system.description(), &[&store, &policy]);
    if let System::Example(example, variant) = system {
        clients::fill(example, system, &policy)?;
        let program = clients::component_for_simulation(shop, system, example, variant)?;
        simulation = simulation.replace(&example.component, &program);
    }
    Ok(simulation)
}

/// Makes the default disk of a system that has one, unless it exists: its contents belong to the user. A new one has the
/// small model and the audit log.
pub fn make_disk(shop: &Shop, options: &Options) -> Result {
    if options.disk.exists() {
        return Ok(());
    }
    if let Some(folder) = options.disk.parent() {
        crate::files::folder(folder)?;
    }
    let size = crate::options::said_or("DISK_SIZE", "64MiB");
    shop.llmtool()
        .args(["disk", "create"])
        .arg(&options.disk)
        .args(["--size", &size])
        .aside()?;
    shop.llmtool()
        .args(["disk", "add"])
        .arg(&options.disk)
        .arg("tiny=models/tiny-f32.gguf")
        .aside()
}
