//! Images for seL4: the programs of a description, how each is built, and the files that fill the regions.

use crate::clients;
use crate::command::{Run, run};
use crate::error::{Error, Result};
use crate::files::{self, copy};
use crate::options::Options;
use crate::policy::{Policy, Use};
use crate::sdk::{Needs, Platform};
use crate::shop::Shop;
use crate::store::Store;
use crate::system::{Built, System, describe};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The purpose of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Normal use.
    Shipped,
    /// Inference misbehaves if a prompt says so; with the tests' store and policy.
    Inject,
    /// The same with the shipped store and policy.
    InjectShipped,
    /// The system continues if it loses its log.
    GoOn,
    /// Inference measures itself if a prompt says so.
    Measure,
    /// A domain attacks the others.
    Hostile(Hostile),
}

/// The hostile domain of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostile {
    /// Inference.
    Inference,
    /// Inference, and shell.
    Shell,
    /// A client beside honest ones.
    Client,
    /// The file system's domain.
    Files,
    /// Inference, and its workers.
    Workers,
}

impl Purpose {
    /// The suffix of the image's folder.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Shipped => "",
            Self::Inject => "-inject-1",
            Self::InjectShipped => "-inject-shipped",
            Self::GoOn => "-go-on",
            Self::Measure => "-measure",
            Self::Hostile(Hostile::Inference) => "-redteam-inference",
            Self::Hostile(Hostile::Shell) => "-redteam-shell",
            Self::Hostile(Hostile::Client) => "-redteam-clients",
            Self::Hostile(Hostile::Files) => "-redteam-files",
            Self::Hostile(Hostile::Workers) => "-redteam-workers",
        }
    }
}

/// How the program in an ELF file is built.
struct Program {
    package: &'static str,
    features: &'static [&'static str],
    needs: Needs,
    /// Whether the ELF file keeps a copy of its writable data, so that a restart can restore it.
    resets: bool,
}

/// The programs that descriptions name.
fn program(elf: &str, purpose: Purpose) -> Option<Program> {
    const SOFT: Needs = Needs {
        float: false,
        heap: false,
    };
    const FLOAT: Needs = Needs {
        float: true,
        heap: false,
    };
    const HEAP: Needs = Needs {
        float: false,
        heap: true,
    };
    let soft = |package, features| Program {
        package,
        features,
        needs: SOFT,
        resets: false,
    };
    let inference = |package, features| Program {
        package,
        features,
        needs: FLOAT,
        resets: true,
    };
    use Hostile::{Files, Inference, Shell, Workers};
    Some(match (elf, purpose) {
        ("shell.elf", Purpose::Hostile(Shell)) => soft("hostile-shell", &[]),
        ("shell.elf", _) => soft("shell", &[]),
        ("audit.elf", _) => soft("audit", &[]),
        ("audit-disk.elf", _) => soft("audit", &["disk"]),
        ("audit-cores.elf", _) => soft("audit", &["cores"]),
        ("inference.elf", Purpose::Hostile(Inference | Shell)) => {
            inference("hostile-inference", &[])
        }
        ("inference.elf", Purpose::Inject | Purpose::InjectShipped) => {
            inference("inference", &["inject"])
        }
        ("inference.elf", Purpose::Measure) => inference("inference", &["measure"]),
        ("inference.elf", _) => inference("inference", &[]),
        ("inference-disk.elf", _) => inference("inference", &["disk"]),
        ("inference-cores.elf", Purpose::Inject | Purpose::InjectShipped) => {
            inference("inference", &["cores", "inject"])
        }
        ("inference-cores.elf", Purpose::Hostile(Workers)) => {
            inference("hostile-inference", &["cores"])
        }
        ("inference-cores.elf", Purpose::Measure) => inference("inference", &["cores", "measure"]),
        ("inference-cores.elf", _) => inference("inference", &["cores"]),
        ("worker.elf", Purpose::Inject | Purpose::InjectShipped) => {
            inference("worker", &["inject"])
        }
        ("worker.elf", Purpose::Hostile(Workers)) => inference("hostile-worker", &[]),
        ("worker.elf", _) => inference("worker", &[]),
        ("files.elf", Purpose::Hostile(Files)) => soft("gremlin", &[]),
        ("files.elf", _) => soft("files", &[]),
        // Its driver has a heap.
        ("disk.elf", _) => Program {
            package: "disk",
            features: &[],
            needs: HEAP,
            resets: false,
        },
        ("mallory.elf", _) => soft("mallory", &[]),
        ("mute.elf", _) => soft("mute", &[]),
        ("probe.elf", _) => soft("probe", &[]),
        _ => return None,
    })
}

/// An image for a platform.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    /// The tools for building.
    pub shop: &'a Shop,
    /// The options.
    pub options: &'a Options,
    /// The platform.
    pub platform: Platform,
    /// The system in the image.
    pub system: System,
    /// The image's purpose.
    pub purpose: Purpose,
}

impl<'a> Image<'a> {
    /// The image of the system that the options select.
    pub fn new(shop: &'a Shop, options: &'a Options) -> Result<Self> {
        Ok(Self {
            shop,
            options,
            platform: Platform::needed(options)?,
            system: options.system.clone(),
            purpose: Purpose::Shipped,
        })
    }

    /// This image for another purpose.
    pub fn purpose(&self, purpose: Purpose) -> Self {
        Self {
            purpose,
            ..self.clone()
        }
    }

    /// This image with another system.
    pub fn system(&self, system: System) -> Self {
        Self {
            system,
            ..self.clone()
        }
    }

    /// The folder of its programs and of the image.
    pub fn folder(&self) -> PathBuf {
        let config = self.platform.config.name();
        let (purpose, system) = (self.purpose.suffix(), self.system.suffix());
        self.platform
            .build()
            .join(format!("sel4-{config}{purpose}{system}"))
    }

    /// The path of the image.
    pub fn path(&self) -> PathBuf {
        self.folder().join("loader.img")
    }

    /// The description with the board's numbers.
    pub fn resolved(&self) -> PathBuf {
        self.folder().join("system.xml")
    }

    /// The command that boots it.
    pub fn boot(&self) -> Result<String> {
        match self.system.has_disk() {
            true => self
                .platform
                .boot_with_disk(&self.path(), &self.options.disk.to_string_lossy()),
            false => self.platform.boot(&self.path()),
        }
    }

    /// The same with the disk in the shell variable DISK.
    pub fn boot_with_any_disk(&self) -> Result<String> {
        self.platform.boot_with_disk(&self.path(), "\"$DISK\"")
    }

    fn store(&self) -> Store {
        match self.purpose {
            Purpose::Inject => Store::Test,
            _ => Store::of(&self.system, self.options),
        }
    }

    fn policy(&self) -> Policy {
        let main = &System::Main;
        match (self.purpose, &self.system) {
            (_, System::Own(_)) => Policy::of(&self.system, Use::Shipped),
            (Purpose::Hostile(_), _) => Policy::of(&self.system, Use::Redteam),
            (Purpose::GoOn, _) => Policy::of(&self.system, Use::GoOn),
            (Purpose::Inject, System::Named(_)) => Policy::of(&self.system, Use::Test),
            (Purpose::Inject | Purpose::Measure, _) | (_, System::Large(_)) => {
                Policy::of(main, Use::Test)
            }
            _ => Policy::of(&self.system, Use::Shipped),
        }
    }

    /// Makes the files that fill regions, and returns their folders.
    pub fn fills(&self) -> Result<[PathBuf; 2]> {
        let store = self.store().make(self.shop, self.options)?;
        let policy = match self.system {
            // `llmtool system` makes both.
            System::Own(_) => store.clone(),
            _ => self.policy().compile(self.shop)?.to_owned(),
        };
        if let System::Example(example, _) = &self.system {
            clients::fill(example, &self.system, &policy)?;
        }
        Ok([store, policy])
    }

    /// The checker, with the claims of this system.
    pub fn check(&self) -> Run {
        check(self.shop, &self.system, &self.platform.board)
    }

    /// Builds the image. The Microkit tool accepts variables that the programs do not expect, so the checker runs
    /// first: on the description before anything is built, and on the programs before they become an image.
    pub fn build(&self) -> Result<PathBuf> {
        self.shop.tools()?;
        self.system.write_description()?;
        if self.system.is_generated() {
            self.store().make(self.shop, self.options)?;
        }
        if self.system.is_checked() {
            self.check().arg("--silent").aside()?;
        }
        let [store, policy] = self.fills()?;
        let folder = self.folder();
        files::folder(&folder)?;
        let description = self.system.description();
        self.platform.resolve(&description, &self.resolved())?;
        let described = describe(&description, &self.platform.board)?;
        let programs: BTreeSet<_> = described
            .domains
            .iter()
            .map(|domain| domain.program_image.as_str())
            .collect();
        for elf in programs {
            self.program(elf)?;
        }
        if self.system.is_checked() {
            self.check()
                .args(["--silent", "--programs"])
                .arg(&folder)
                .aside()?;
        }
        let output = self.path();
        self.platform
            .assemble(&self.resolved(), &[&folder, &store, &policy], &output, &[])?;
        Ok(output)
    }

    /// Builds the program of an ELF file, and puts it into the image's folder.
    fn program(&self, elf: &str) -> Result {
        if let System::Example(example, variant) = &self.system
            && elf.strip_suffix(".elf") == Some(&example.component)
        {
            return match &variant.built {
                Built::Rust { sel4, .. } => {
                    let needs = Needs::default();
                    self.platform
                        .cargo(self.shop, "build", needs)
                        .args(["-p", sel4])
                        .aside()?;
                    copy(
                        &self.platform.programs(needs).join(sel4),
                        &self.folder().join(elf),
                    )
                }
                Built::C { source, strings } => clients::component_for_sel4(
                    self.shop,
                    &self.platform,
                    example,
                    source,
                    strings,
                    &self.system.folder(),
                    &self.folder().join(elf),
                ),
            };
        }
        let program = program(elf, self.purpose).ok_or_else(|| Error::File {
            path: self.system.description(),
            reason: format!("no rule builds '{elf}': add one to tools/xtask/src/image.rs"),
        })?;
        make_program(
            self.shop,
            &self.platform,
            &program,
            &self.folder().join(elf),
        )
    }

    /// Writes the image's capDL specification, including the bytes that fill frames (29 characters of JSON for each),
    /// and returns its path.
    pub fn capabilities(&self) -> Result<PathBuf> {
        let [store, policy] = self.fills()?;
        let output = self.folder().join("capdl.json");
        let option = ["--capdl-json", &output.to_string_lossy()];
        let search = [self.folder(), store, policy];
        let search: Vec<_> = search.iter().map(PathBuf::as_path).collect();
        self.platform
            .assemble(&self.resolved(), &search, &self.path(), &option)?;
        Ok(output)
    }
}

/// The checker of a system's description, with the claims that must hold for it.
pub fn check(shop: &Shop, system: &System, board: &sysdesc::Board) -> Run {
    let mut check = run(shop.program("isolation"))
        .arg("check")
        .arg(system.description())
        .args(["--board", &board.name]);
    for claims in system.claims() {
        check = check.arg("--policy").arg(claims);
    }
    check
}

/// Builds a program, as this ELF file.
fn make_program(shop: &Shop, platform: &Platform, program: &Program, output: &Path) -> Result {
    let mut cargo = platform
        .cargo(shop, "build", program.needs)
        .args(["-p", program.package]);
    for feature in program.features {
        cargo = cargo.args(["--features", feature]);
    }
    cargo.aside()?;
    let built = platform.programs(program.needs).join(program.package);
    match program.resets {
        true => run(resetter(shop, platform)?)
            .arg(&built)
            .arg("-o")
            .arg(output)
            .done(),
        false => copy(&built, output),
    }
}

/// Builds the programs of ELF files into a folder, for a description that belongs to no system.
pub fn build_programs(shop: &Shop, platform: &Platform, elves: &[&str], folder: &Path) -> Result {
    files::folder(folder)?;
    for elf in elves {
        let program = program(elf, Purpose::Shipped)
            .ok_or_else(|| Error::Wrong(format!("no rule builds '{elf}'")))?;
        make_program(shop, platform, &program, &folder.join(elf))?;
    }
    Ok(())
}

/// The tool of rust-sel4 that keeps a copy of a program's writable data for restarts.
fn resetter(shop: &Shop, platform: &Platform) -> Result<PathBuf> {
    let target = platform.target().join("host");
    shop.cargo("build")
        .args([
            "--locked",
            "--release",
            "-p",
            "sel4-reset-cli",
            "--target-dir",
        ])
        .arg(&target)
        .folder("pds/sel4/host-tools")
        .aside()?;
    Ok(target.join("release/sel4-reset-cli"))
}
