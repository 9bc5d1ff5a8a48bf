//! The system to build. Its description, claims, policy and store follow from it.

use crate::command::run;
use crate::config::Config;
use crate::error::{Error, Result, at};
use crate::files;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use sysdesc::Board;

/// The main system's description.
pub const MAIN: &str = "system.xml";
/// The claims of the main system.
pub const CLAIMS: &str = "tools/isolation/policy.toml";

/// A system.
#[derive(Clone, Debug)]
pub enum System {
    /// `system.xml`.
    Main,
    /// `SYSTEM=NAME`: one of `systems/`.
    Named(Named),
    /// `MODEL=FILE ...`: a system that `llmtool system` makes to fit the user's models.
    Own(Models),
    /// `EXAMPLE=NAME`: one of `examples/`, with the variant of its component.
    Example(Box<Example>, Variant),
    /// `LARGE=1` or `LARGE=bench`: larger regions for a larger model.
    Large(Scale),
    /// The system that the red team attacks instead of the main system; it may be unsafe.
    Attacked(PathBuf),
    /// The red team's system with a hostile client.
    HostileClient,
}

/// A system of `systems/`.
#[derive(Clone, Debug)]
pub struct Named {
    /// The name of its folder.
    pub name: String,
    /// Whether it has a disk.
    pub has_disk: bool,
    /// How many domains compute rows for inference.
    pub workers: usize,
    /// WORKERS: the number of workers to keep.
    pub fewer: Option<usize>,
}

impl Named {
    /// The system of this name, from its description.
    pub fn new(name: &str) -> Result<Self> {
        let path = Path::new("systems").join(name).join("system.xml");
        let described = describe(&path, &Board::usual())?;
        Ok(Self {
            name: name.to_owned(),
            has_disk: described.domain("disk").is_some(),
            workers: described
                .domains
                .iter()
                .filter(|domain| domain.name.starts_with("worker"))
                .count(),
            fewer: None,
        })
    }
}

/// The user's models.
#[derive(Clone, Debug)]
pub struct Models {
    /// `FILE` or `NAME=FILE`.
    pub files: Vec<String>,
    /// CONTEXT: the length of a session in tokens.
    pub context: Option<String>,
    /// SESSIONS: the number of sessions of that length that fit in memory.
    pub sessions: Option<String>,
}

/// The size of a large system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// A synthetic model of 100 M parameters.
    Large,
    /// One of 15.7 M parameters, for measurements of speed.
    Bench,
}

/// `examples/NAME/build.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The name of its folder.
    #[serde(skip)]
    pub name: String,
    /// Models in its store, before those of the main system: `NAME=FILE`.
    #[serde(default)]
    pub models: Vec<String>,
    /// Files that fill regions, by their names in the description: their paths in the example's folder.
    #[serde(default)]
    pub files: BTreeMap<String, PathBuf>,
    /// The example's own domain.
    pub component: String,
    /// Its variants: how the component is built.
    pub variants: BTreeMap<String, Built>,
}

/// How an example's component is built.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Built {
    /// By cargo: the packages for each runtime.
    Rust {
        /// For the simulation, in the workspace.
        simulation: String,
        /// For seL4, in `pds/sel4`.
        sel4: String,
    },
    /// By a C compiler, against the client library in C.
    C {
        /// The source, in the example's folder.
        source: PathBuf,
        /// Headers that contain a text as a string: name of the header, file of the text.
        #[serde(default)]
        strings: BTreeMap<String, PathBuf>,
    },
}

/// A variant of an example.
#[derive(Clone, Debug)]
pub struct Variant {
    /// VARIANT
    pub name: String,
    /// How its component is built.
    pub built: Built,
}

impl Example {
    /// Reads `examples/NAME/build.toml`.
    pub fn read(name: &str) -> Result<Self> {
        let path = Path::new("examples").join(name).join("build.toml");
        let text = std::fs::read_to_string(&path).map_err(at(&path))?;
        let mut example: Self = toml::from_str(&text).map_err(|error| Error::File {
            path,
            reason: error.to_string(),
        })?;
        example.name = name.to_owned();
        Ok(example)
    }

    /// The path of its folder.
    pub fn folder(&self) -> PathBuf {
        Path::new("examples").join(&self.name)
    }
}

/// Reads a description for a board.
pub fn describe(path: &Path, board: &Board) -> Result<sysdesc::System> {
    let text = files::text(path)?;
    sysdesc::System::parse_on(&text, board).map_err(|source| Error::Description {
        path: path.to_owned(),
        source,
    })
}

impl System {
    /// Its description.
    pub fn description(&self) -> PathBuf {
        match self {
            Self::Main => PathBuf::from(MAIN),
            Self::Named(Named {
                fewer: Some(workers),
                ..
            }) => self.folder().join(format!("workers-{workers}.xml")),
            Self::Named(named) => Path::new("systems").join(&named.name).join("system.xml"),
            Self::Example(example, _) => example.folder().join("system.xml"),
            Self::Own(_) | Self::Large(_) => self.folder().join("system.xml"),
            Self::Attacked(path) => path.clone(),
            Self::HostileClient => PathBuf::from("tests/redteam/clients/system.xml"),
        }
    }

    /// The folder for everything made for it.
    pub fn folder(&self) -> PathBuf {
        match self {
            Self::Main | Self::Attacked(_) => PathBuf::from("build"),
            Self::Named(named) => Path::new("build/systems").join(&named.name),
            Self::Example(example, variant) => {
                PathBuf::from(format!("build/examples/{}-{}", example.name, variant.name))
            }
            Self::Own(_) => PathBuf::from("build/own"),
            Self::Large(Scale::Large) => PathBuf::from("build/large-1"),
            Self::Large(Scale::Bench) => PathBuf::from("build/large-bench"),
            Self::HostileClient => PathBuf::from("build/redteam-clients"),
        }
    }

    /// The suffix of its folders for images.
    pub fn suffix(&self) -> String {
        match self {
            Self::Main | Self::Attacked(_) | Self::HostileClient => String::new(),
            Self::Named(named) => {
                let workers = named.fewer.map(|workers| workers.to_string());
                format!("-{}{}", named.name, workers.unwrap_or_default())
            }
            Self::Example(example, variant) => format!("-{}-{}", example.name, variant.name),
            Self::Own(_) => "-model".to_owned(),
            Self::Large(Scale::Large) => "-large-1".to_owned(),
            Self::Large(Scale::Bench) => "-large-bench".to_owned(),
        }
    }

    /// The claims that must hold for it: one or more files, each of which adds to the ones before.
    pub fn claims(&self) -> Vec<PathBuf> {
        let main = PathBuf::from(CLAIMS);
        let own = match self {
            Self::Named(named) => Path::new("systems")
                .join(&named.name)
                .join("isolation.toml"),
            _ => self.description().with_file_name("isolation.toml"),
        };
        match self {
            Self::Named(_) => vec![main, own],
            Self::Example(..) | Self::HostileClient => vec![own],
            Self::Main | Self::Own(_) | Self::Large(_) | Self::Attacked(_) => vec![main],
        }
    }

    /// Whether the checker must accept it. The red team also attacks descriptions that give too much authority.
    pub fn is_checked(&self) -> bool {
        match self {
            Self::Attacked(path) => path == Path::new(MAIN),
            _ => true,
        }
    }

    /// The default configuration of the SDK.
    pub const fn config(&self) -> Config {
        if self.has_workers() {
            Config::SmpRelease
        } else {
            Config::Release
        }
    }

    /// Makes the description if it has fewer workers than the original: the last ones are left out.
    pub fn write_description(&self) -> Result {
        let Self::Named(Named {
            name,
            fewer: Some(workers),
            ..
        }) = self
        else {
            return Ok(());
        };
        let folder = Path::new("systems").join(name);
        let text = run(folder.join("with-workers"))
            .arg(workers.to_string())
            .arg(folder.join("system.xml"))
            .output()?;
        files::write(&self.description(), text)
    }

    /// Whether its description is made together with its store.
    pub const fn is_generated(&self) -> bool {
        matches!(self, Self::Own(_) | Self::Large(_))
    }

    /// Whether domains on other cores compute for inference.
    pub const fn has_workers(&self) -> bool {
        matches!(self, Self::Named(Named { workers: 1.., .. }))
    }

    /// Whether it has a disk.
    pub fn has_disk(&self) -> bool {
        matches!(self, Self::Named(Named { has_disk: true, .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_and_example_of_the_repository_is_read_with_its_claims() {
        std::env::set_current_dir(crate::root()).unwrap();
        for name in crate::files::folders_with("systems", "system.xml") {
            let named = Named::new(&name).unwrap();
            assert_eq!(named.has_disk, name == "disk");
            let claims = System::Named(named).claims();
            assert!(claims.iter().all(|path| path.is_file()), "{claims:?}");
        }
        for name in crate::files::folders_with("examples", "build.toml") {
            let example = Example::read(&name).unwrap();
            let description = describe(&example.folder().join("system.xml"), &Board::usual());
            let description = description.unwrap();
            assert!(description.domain(&example.component).is_some());
            for (file, from) in &example.files {
                assert!(example.folder().join(from).is_file());
                let fills = |region: &sysdesc::Region| region.prefill_path.as_ref() == Some(file);
                assert!(description.regions.iter().any(fills), "{file}");
            }
        }
    }
}
