//! What every verb needs: cargo with the profile that was asked for, and the host tools.

use crate::command::{Run, run};
use crate::error::Result;
use crate::files;
use crate::options::{is_said, said_or};
use std::path::{Path, PathBuf};

/// Keys that are made here.
const KEYS: &str = "build/keys";

/// Where things are built, and with what.
#[derive(Clone, Debug)]
pub struct Shop {
    profile: String,
    target: PathBuf,
}

impl Shop {
    /// As the environment says: `HOST_PROFILE`, `CARGO_TARGET_DIR`, `V`.
    pub fn new() -> Self {
        let target = PathBuf::from(said_or("CARGO_TARGET_DIR", "target"));
        Self {
            profile: said_or("HOST_PROFILE", "release"),
            target: std::path::absolute(&target).unwrap_or(target),
        }
    }

    /// Cargo's folder for what it builds.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The folder of the programs for the host.
    pub fn bin(&self) -> PathBuf {
        let folder = if self.profile == "dev" {
            "debug"
        } else {
            &self.profile
        };
        self.target.join(folder)
    }

    /// A program for the host.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin().join(name)
    }

    /// `cargo COMMAND`, quiet unless V says otherwise.
    pub fn cargo(&self, command: &str) -> Run {
        let cargo = run("cargo").arg(command);
        if is_said("V") {
            cargo
        } else {
            cargo.arg("--quiet")
        }
    }

    /// `cargo COMMAND` in the profile of programs for the host.
    pub fn host_cargo(&self, command: &str) -> Run {
        self.cargo(command).args(["--profile", &self.profile])
    }

    /// Builds packages for the host.
    pub fn build(&self, packages: &[&str]) -> Result {
        let packages = packages.iter().flat_map(|package| ["-p", package]);
        self.host_cargo("build").args(packages).aside()
    }

    /// Builds the host tools that make policies, stores and images.
    pub fn tools(&self) -> Result {
        self.build(&["llmtool", "isolation", "sysdesc"])
    }

    /// The host tool. [`Self::tools`] has built it.
    pub fn llmtool(&self) -> Run {
        run(self.program("llmtool"))
    }

    /// A pair of keys for signatures, which is made the first time; the path of the secret one.
    pub fn key(&self, name: &str) -> Result<PathBuf> {
        let secret = Path::new(KEYS).join(format!("{name}.key.pem"));
        let public = secret.with_file_name(format!("{name}.pub.pem"));
        if !secret.exists() {
            files::folder(Path::new(KEYS))?;
            if public.exists() {
                std::fs::remove_file(&public).map_err(crate::error::at(&public))?;
            }
            self.llmtool()
                .arg("keygen")
                .arg(Path::new(KEYS).join(name))
                .silent()?;
        }
        Ok(secret)
    }

    /// The secret key of the device that runs what is built here; it signs what is made on the device. It is made once for
    /// each checkout. The compiled policies and the images contain it, so whoever can read one can sign as this device.
    pub fn device_key(&self) -> Result<PathBuf> {
        self.key("device")
    }

    /// `cargo test` of suites in `tests/`, which find the host tool by the environment.
    pub fn suites(&self, names: &[&str]) -> Run {
        self.cargo("test")
            .args(["-p", "sel4-llm-tests"])
            .args(names.iter().flat_map(|name| ["--test", name]))
            .env("SEL4_LLM_LLMTOOL", self.program("llmtool"))
    }

    /// A program of `tests/src/bin`.
    pub fn test_program(&self, name: &str) -> Run {
        self.host_cargo("run")
            .args(["-p", "sel4-llm-tests", "--bin", name, "--"])
            .env("SEL4_LLM_LLMTOOL", self.program("llmtool"))
    }
}
