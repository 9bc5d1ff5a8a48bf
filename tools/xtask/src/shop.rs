//! What every verb needs: cargo with the selected profile, and the host tools.

use crate::command::{Run, run};
use crate::error::Result;
use crate::files;
use crate::options::{is_said, said_or};
use std::path::{Path, PathBuf};

/// The folder of generated keys.
const KEYS: &str = "build/keys";

/// Where and how things are built.
#[derive(Clone, Debug)]
pub struct Shop {
    profile: String,
    target: PathBuf,
}

impl Shop {
    /// A shop according to the environment: `HOST_PROFILE`, `CARGO_TARGET_DIR`, `V`.
    pub fn new() -> Self {
        let target = PathBuf::from(said_or("CARGO_TARGET_DIR", "target"));
        Self {
            profile: said_or("HOST_PROFILE", "release"),
            target: std::path::absolute(&target).unwrap_or(target),
        }
    }

    /// Cargo's folder for its output.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The folder of programs for the host.
    pub fn bin(&self) -> PathBuf {
        let folder = if self.profile == "dev" {
            "debug"
        } else {
            &self.profile
        };
        self.target.join(folder)
    }

    /// The path of a program for the host.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin().join(name)
    }

    /// `cargo COMMAND`, quiet unless V is set.
    pub fn cargo(&self, command: &str) -> Run {
        let cargo = run("cargo").arg(command);
        if is_said("V") {
            cargo
        } else {
            cargo.arg("--quiet")
        }
    }

    /// `cargo COMMAND` with the profile for host programs.
    pub fn host_cargo(&self, command: &str) -> Run {
        self.cargo(command).args(["--profile", &self.profile])
    }

    /// Builds programs for the host; each has the name of its package.
    pub fn build(&self, programs: &[&str]) -> Result {
        self.host_cargo("build")
            .args(self.selection(programs))
            .aside()
    }

    /// The packages that cargo is told to build.
    ///
    /// Cargo compiles a package once for each set of features, and the set depends on the selected packages. So if
    /// `cargo test --workspace` has built everything, programs are selected in the same way: the whole workspace,
    /// including a test, which adds the features of dev-dependencies. Then nothing is compiled twice.
    fn selection(&self, programs: &[&str]) -> Vec<String> {
        let each = |flag: &str| -> Vec<String> {
            let words = programs.iter().flat_map(|name| [flag, name]);
            words.map(str::to_owned).collect()
        };
        if self.profile != "dev" {
            return each("-p");
        }
        let all = ["--workspace", "--test", "layers"].map(str::to_owned);
        [all.to_vec(), each("--bin")].concat()
    }

    /// Builds the simulation with a feature that no release has, `inject` or `redteam`, as the program
    /// `sel4-llm-sim-FEATURE`.
    pub fn build_simulation_with(&self, feature: &str) -> Result {
        let program = format!("sel4-llm-sim-{feature}");
        let selection: &[&str] = match self.profile.as_str() {
            "dev" => &["--workspace", "--test", "layers"],
            _ => &["-p", "sel4-llm-sim"],
        };
        self.host_cargo("build")
            .args(selection)
            .args(["--features", &format!("sel4-llm-sim/{feature}")])
            .args(["--bin", &program])
            .aside()
    }

    /// Builds the host tools that make policies, stores and images.
    pub fn tools(&self) -> Result {
        self.build(&["llmtool", "isolation", "sysdesc"])
    }

    /// The path of the host tool, which [`Self::tools`] has built.
    pub fn llmtool(&self) -> Run {
        run(self.program("llmtool"))
    }

    /// A pair of keys for signatures, created if missing. Returns the path of the secret one.
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

    /// The secret key of the device that runs the systems built here; it signs what is made on the device. It is
    /// generated once for each checkout. The compiled policies and the images contain it, so whoever can read one can
    /// sign as this device.
    pub fn device_key(&self) -> Result<PathBuf> {
        self.key("device")
    }

    /// Runs suites of `tests/` with `cargo test`, which find the host tool by the environment. The whole workspace is
    /// selected for the reason given at [`Self::selection`]; no other package has tests with these names.
    pub fn suites(&self, names: &[&str]) -> Run {
        self.cargo("test")
            .arg("--workspace")
            .args(names.iter().flat_map(|name| ["--test", name]))
            .env("SEL4_LLM_LLMTOOL", self.program("llmtool"))
    }

    /// Builds a program of `tests/src/bin`. Returns its path.
    pub fn test_program(&self, name: &str) -> Result<Run> {
        let selection = match self.profile.as_str() {
            "dev" => self.selection(&[name]),
            _ => ["-p", "sel4-llm-tests", "--bin", name]
                .map(str::to_owned)
                .to_vec(),
        };
        self.host_cargo("build").args(selection).aside()?;
        Ok(run(self.program(name)).env("SEL4_LLM_LLMTOOL", self.program("llmtool")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop(profile: &str) -> Shop {
        Shop {
            profile: profile.to_owned(),
            target: PathBuf::from("target"),
        }
    }

    #[test]
    fn where_tests_are_built_programs_are_selected_as_tests_are() {
        assert_eq!(
            shop("dev").selection(&["llmtool", "isolation"]),
            [
                "--workspace",
                "--test",
                "layers",
                "--bin",
                "llmtool",
                "--bin",
                "isolation"
            ]
        );
        assert_eq!(shop("release").selection(&["llmtool"]), ["-p", "llmtool"]);
    }
}
