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

/// A command of the simulation that is put together.
#[derive(Clone, Debug)]
pub struct Simulation {
    program: PathBuf,
    description: PathBuf,
    disk: Option<String>,
    search: Vec<PathBuf>,
    /// Domains with a program of their own.
    programs: Vec<String>,
    flags: Vec<&'static str>,
}

impl Simulation {
    /// The simulation of a description, with the folders of what fills its regions.
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

    /// Another build of it: `inject`, whose inference misbehaves if a prompt says so, or `redteam`.
    pub fn built_for(mut self, what: &str) -> Self {
        self.program = self.program.with_file_name(format!("sel4-llm-sim-{what}"));
        self
    }

    /// With a disk; the image may be a variable of the shell.
    pub fn disk(mut self, image: &str) -> Self {
        self.disk = Some(image.to_owned());
        self
    }

    /// With a program in place of a domain's own.
    pub fn replace(mut self, domain: &str, program: &Path) -> Self {
        self.programs
            .push(format!("{domain}={}", program.display()));
        self
    }

    /// With a flag.
    pub fn flag(mut self, flag: &'static str) -> Self {
        self.flags.push(flag);
        self
    }

    /// The command, in words without spaces within them.
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

/// Builds the simulation of a system as it is shipped, or with another policy.
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
        // Its models are signed by the tests' key.
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

/// Makes the disk of a system that has one, once: what is on it is the owner's. It begins with the small model, and has the
/// audit log.
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
