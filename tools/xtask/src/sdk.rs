//! The Microkit SDK, and building for its targets.

use crate::command::{Run, is_installed, line_of, run};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::options::{Options, environment, said};
use crate::shop::Shop;
use std::path::{Path, PathBuf};
use sysdesc::Board;
use sysdesc::board::Arch;

/// The message if there is no SDK.
pub const NONE: &str = "no Microkit SDK in MICROKIT_SDK or /opt/microkit-sdk*";

/// Number of emulated cores of a board whose kernel has several: as many as the SDK's kernels support.
const EMULATED_CORES: usize = 4;

/// An SDK.
#[derive(Clone, Debug)]
pub struct Sdk(PathBuf);

/// The folders in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    names
}

impl Sdk {
    /// The SDK in MICROKIT_SDK, or the first in `/opt/microkit-sdk*`; `None` if it has no Microkit tool.
    pub fn find() -> Option<Self> {
        let folder = said(&environment, "MICROKIT_SDK")
            .map(PathBuf::from)
            .or_else(|| {
                let found = names(Path::new("/opt"));
                let name = found
                    .into_iter()
                    .find(|name| name.starts_with("microkit-sdk"))?;
                Some(Path::new("/opt").join(name))
            })?;
        Self::at(&folder)
    }

    /// The SDK in a folder.
    pub fn at(folder: &Path) -> Option<Self> {
        let folder = std::path::absolute(folder).ok()?;
        folder
            .join("bin/microkit")
            .is_file()
            .then_some(Self(folder))
    }

    /// The SDK, or an error if there is none.
    pub fn needed() -> Result<Self> {
        Self::find().ok_or_else(|| {
            Error::Missing(format!(
                "{NONE}: get release 2.3.0 of seL4/microkit, or use docker/"
            ))
        })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Its boards.
    pub fn boards(&self) -> Vec<String> {
        names(&self.0.join("board"))
    }
}

/// The platform for which programs for seL4 are built: an SDK, and a board and configuration that it has.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The SDK.
    pub sdk: Sdk,
    /// The board.
    pub board: Board,
    /// The configuration.
    pub config: Config,
}

/// What a program requires of its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Floating-point registers.
    pub float: bool,
    /// A heap, and so the crate `alloc`. Programs with one are a separate build, because otherwise all programs would
    /// need a heap.
    pub heap: bool,
}

/// The targets of an architecture: without floating point, and with it.
const fn triples(arch: Arch) -> [&'static str; 2] {
    match arch {
        Arch::Aarch64 => ["aarch64-unknown-none-softfloat", "aarch64-unknown-none"],
        Arch::Riscv64 => ["riscv64imac-unknown-none-elf", "riscv64gc-unknown-none-elf"],
    }
}

/// The target of programs for an architecture.
pub const fn triple(arch: Arch, needs: Needs) -> &'static str {
    let [soft, float] = triples(arch);
    if needs.float { float } else { soft }
}

/// Cargo's options to get `core` for the domains' targets: the one installed by rustup, or otherwise one built from
/// source, which a stable compiler allows only with RUSTC_BOOTSTRAP. Overflow checks are off, as in the installed one.
pub fn standard(arch: Arch, needs: Needs) -> Vec<String> {
    let [_, float] = triples(arch);
    if has_target(float) {
        return Vec::new();
    }
    let crates = if needs.heap {
        "core,alloc,compiler_builtins"
    } else {
        "core,compiler_builtins"
    };
    let mut arguments = vec![
        format!("-Zbuild-std={crates}"),
        "-Zbuild-std-features=compiler-builtins-mem".to_owned(),
    ];
    for package in ["core", "compiler_builtins"] {
        arguments.push("--config".to_owned());
        arguments.push(format!(
            "profile.release.package.{package}.overflow-checks=false"
        ));
    }
    arguments
}

/// Whether the standard library's source is installed.
pub fn has_source(library: &str) -> bool {
    let sysroot = line_of("rustc", &["--print", "sysroot"]);
    Path::new(&sysroot)
        .join("lib/rustlib/src/rust/library")
        .join(library)
        .is_dir()
}

/// Whether rustup has installed a target.
pub fn has_target(triple: &str) -> bool {
    let installed = line_of("rustup", &["target", "list", "--installed"]);
    installed.lines().any(|line| line.trim() == triple)
}

impl Platform {
    /// The platform that the options select. Everything that it needs has been found.
    pub fn needed(options: &Options) -> Result<Self> {
        Self::of(Sdk::needed()?, options.board.clone(), options.config())
    }

    /// A platform of an SDK.
    pub fn of(sdk: Sdk, board: Board, config: Config) -> Result<Self> {
        let folder = sdk.folder();
        let missing = |what: String, has: &Path, more: &str| {
            let has = names(has).join(" ");
            Error::Missing(format!(
                "the SDK in {} has no {what}: it has {has}{more}",
                folder.display()
            ))
        };
        let boards = folder.join("board");
        if !boards.join(&board.name).is_dir() {
            let more = "; docs/porting.md says how to build one that has it";
            return Err(missing(format!("board {}", board.name), &boards, more));
        }
        let of_board = boards.join(&board.name);
        if !of_board.join(config.name()).is_dir() {
            let what = format!("configuration {} for {}", config.name(), board.name);
            return Err(missing(what, &of_board, ""));
        }
        let [soft, float] = triples(board.arch);
        if !has_target(float) && !has_source("core") {
            return Err(Error::Missing(format!(
                "no core for the targets: rustup target add {soft} {float}, or rustup component add rust-src"
            )));
        }
        Ok(Self { sdk, board, config })
    }

    /// The SDK's files for the board and configuration.
    pub fn folder(&self) -> PathBuf {
        self.sdk
            .folder()
            .join("board")
            .join(&self.board.name)
            .join(self.config.name())
    }

    /// The target of programs.
    pub fn triple(&self, needs: Needs) -> &'static str {
        triple(self.board.arch, needs)
    }

    /// The folder for everything built for this board.
    pub fn build(&self) -> PathBuf {
        let build = Path::new("build").join(&self.board.name);
        std::path::absolute(&build).unwrap_or(build)
    }

    /// Cargo's folder for programs of this platform.
    pub fn target(&self) -> PathBuf {
        self.build()
            .join(format!("sel4-target-{}", self.config.name()))
    }

    /// The folder in which cargo puts the programs of a target.
    pub fn programs(&self, needs: Needs) -> PathBuf {
        self.target().join(self.triple(needs)).join("release")
    }

    /// `cargo COMMAND` for packages of `pds/sel4`.
    pub fn cargo(&self, shop: &Shop, command: &str, needs: Needs) -> Run {
        shop.cargo(command)
            .args(["--locked", "--release", "--target-dir"])
            .arg(self.target())
            .args(standard(self.board.arch, needs))
            .args(["--target", self.triple(needs)])
            .folder("pds/sel4")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("SEL4_LLM_BOARD", &self.board.name)
            .env("SEL4_LLM_CROWDED", if self.is_crowded() { "1" } else { "" })
            .env("SEL4_INCLUDE_DIRS", self.folder().join("include"))
    }

    /// Whether there are fewer real cores than emulated ones, so that members of a team should sleep sooner when they
    /// wait. CROWDED=no makes an image for a real board.
    fn is_crowded(&self) -> bool {
        let here = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        match said(&environment, "CROWDED") {
            Some(said) => said != "no",
            None => self.config.has_cores() && here < EMULATED_CORES,
        }
    }

    /// Writes a description with the board's addresses and interrupts, which is the Microkit tool's input.
    pub fn resolve(&self, description: &Path, output: &Path) -> Result {
        let text = crate::files::text(description)?;
        let resolved = self
            .board
            .resolve(&text)
            .map_err(|source| Error::Description {
                path: description.to_owned(),
                source,
            })?;
        crate::files::write(output, resolved)
    }

    /// Runs the Microkit tool: makes an image `loader.img` in a folder, from a description and the folders with its
    /// files. `more`: additional options.
    pub fn assemble(
        &self,
        description: &Path,
        search: &[&Path],
        output: &Path,
        more: &[&str],
    ) -> Result {
        let folder = output.parent().unwrap_or(Path::new("."));
        crate::files::folder(folder)?;
        run(self.sdk.folder().join("bin/microkit"))
            .arg(description)
            .arg("--search-path")
            .args(search)
            .args([
                "--board",
                &self.board.name,
                "--config",
                self.config.name(),
                "-r",
            ])
            .arg(folder.join("report.txt"))
            .arg("-o")
            .arg(output)
            .args(more)
            .aside()?;
        match &self.board.emulation.uimage {
            Some(address) => run("tools/uimage/uimage").arg(output).arg(address).done(),
            None => Ok(()),
        }
    }

    /// The command that emulates the board, with its console on standard input and output.
    pub fn emulator(&self) -> Result<String> {
        let emulation = &self.board.emulation;
        let command = emulation.command.as_ref().ok_or_else(|| {
            Error::Missing(format!("boards/{}.toml names no emulator", self.board.name))
        })?;
        let program = command.split_whitespace().next().unwrap_or_default();
        if !is_installed(program) {
            let package = match self.board.arch {
                Arch::Aarch64 => "qemu-system-arm",
                Arch::Riscv64 => "qemu-system-misc",
            };
            return Err(Error::Missing(format!("no {program}: install {package}")));
        }
        let memory = emulation.memory.as_deref().unwrap_or("2G");
        let cores = match self.config.has_cores() {
            true => format!(" -smp {EMULATED_CORES}"),
            false => String::new(),
        };
        Ok(format!(
            "{command}{cores} -m size={memory} -display none -monitor none -rtc clock=vm -chardev stdio,id=console,signal=off \
             -serial chardev:console"
        ))
    }

    /// The same, but keys of the terminal go to the system, not to QEMU.
    pub fn console(&self) -> Result<String> {
        Ok(format!(
            "tools/qemu-console/qemu-console {}",
            self.emulator()?
        ))
    }

    /// The options that boot an image.
    pub fn boot_words(&self, image: &Path) -> String {
        let boot = self.board.emulation.boot.as_deref().unwrap_or_default();
        boot.replace("{image}", &image.to_string_lossy())
    }

    /// The command that boots an image.
    pub fn boot(&self, image: &Path) -> Result<String> {
        Ok(format!("{} {}", self.console()?, self.boot_words(image)))
    }

    /// The options that add a disk with this image, if the board has a disk.
    pub fn disk_words(&self, image: &str) -> Option<String> {
        let disk = self.board.emulation.disk.as_ref()?;
        Some(disk.replace("{disk}", image))
    }

    /// The command that boots an image with a disk; `disk` may be a shell variable.
    pub fn boot_with_disk(&self, image: &Path, disk: &str) -> Result<String> {
        let words = self.disk_words(disk).ok_or_else(|| {
            Error::Missing(format!("boards/{}.toml has no disk", self.board.name))
        })?;
        Ok(format!(
            "{} {words} {}",
            self.console()?,
            self.boot_words(image)
        ))
    }
}
