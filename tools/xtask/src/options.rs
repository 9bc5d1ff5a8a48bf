//! The options on make's command line: `make run SYSTEM=disk BOARD=zcu102`. Make exports each variable that is set
//! there.

use crate::config::{CONFIGS, Config};
use crate::error::{Error, Result};
use crate::files::folders_with;
use crate::system::{Example, Models, Named, Scale, System, Variant};
use std::path::{Path, PathBuf};
use sysdesc::Board;
use sysdesc::board::{FOLDER, names};

/// The default board.
pub const BOARD: &str = "qemu_virt_aarch64";

/// The default image of a disk, which is made if it is missing.
const DISK: &str = "build/disk.img";

/// Looks a variable up: the environment, or a test's list.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Everything that decides what is built.
#[derive(Clone, Debug)]
pub struct Options {
    /// BOARD
    pub board: Board,
    /// CONFIG, if set.
    pub config: Option<Config>,
    /// SYSTEM, MODEL, EXAMPLE or LARGE; otherwise the main system.
    pub system: System,
    /// MODELS: the store's models of the main system.
    pub models: String,
    /// DISK: the image of a disk, which exists unless it is the default one.
    pub disk: PathBuf,
    /// LANE: boards on which `make test` runs its checks on seL4; all if empty.
    pub lane: Vec<String>,
}

/// A variable's value, unless it is empty.
pub fn said(lookup: Lookup<'_>, name: &str) -> Option<String> {
    lookup(name)
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

/// A variable of the environment.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A variable's value, or the default.
pub fn said_or(name: &str, default: &str) -> String {
    said(&environment, name).unwrap_or_else(|| default.to_owned())
}

/// Whether a variable is set to anything.
pub fn is_said(name: &str) -> bool {
    said(&environment, name).is_some()
}

/// A variable that must be a whole number.
pub fn number(name: &'static str, default: u64) -> Result<u64> {
    let Some(value) = said(&environment, name) else {
        return Ok(default);
    };
    value.parse().map_err(|_| Error::Option {
        name,
        value,
        reason: "it must be a whole number".to_owned(),
    })
}

fn unknown(name: &'static str, value: &str, what: &str, known: &[String]) -> Error {
    Error::Option {
        name,
        value: value.to_owned(),
        reason: format!("no {what} '{value}'; choose one of {}", known.join(", ")),
    }
}

impl Options {
    /// Reads the environment. Everything is checked before anything is built.
    pub fn read(lookup: Lookup<'_>) -> Result<Self> {
        let board = said(lookup, "BOARD").unwrap_or_else(|| BOARD.to_owned());
        let known = names(Path::new(FOLDER));
        if !known.contains(&board) {
            return Err(unknown("BOARD", &board, "board", &known));
        }
        let system = system(lookup)?;
        let config = config(lookup, &system)?;
        let lane: Vec<String> = match said(lookup, "LANE") {
            None => known.clone(),
            Some(lane) => lane.split_whitespace().map(str::to_owned).collect(),
        };
        if let Some(lost) = lane.iter().find(|board| !known.contains(board)) {
            return Err(Error::Option {
                name: "LANE",
                value: lane.join(" "),
                reason: format!("no board '{lost}'; choose one of {}", known.join(", ")),
            });
        }
        Ok(Self {
            board: Board::find(Path::new(FOLDER), &board)?,
            config,
            system,
            models: said(lookup, "MODELS").unwrap_or_default(),
            disk: disk(lookup)?,
            lane,
        })
    }

    /// The configuration of the SDK: the one in CONFIG, or the default one.
    pub fn config(&self) -> Config {
        self.config.unwrap_or_else(|| self.system.config())
    }
}

/// The configuration in CONFIG, which must suit the system.
fn config(lookup: Lookup<'_>, system: &System) -> Result<Option<Config>> {
    let Some(value) = said(lookup, "CONFIG") else {
        return Ok(None);
    };
    let Some(config) = CONFIGS.into_iter().find(|config| config.name() == value) else {
        let known = CONFIGS.map(|config| config.name().to_owned());
        return Err(unknown("CONFIG", &value, "configuration", &known));
    };
    match system.config().has_cores() && !config.has_cores() {
        true => Err(Error::Option {
            name: "CONFIG",
            reason: format!(
                "this system needs a kernel for several cores: {}",
                system.config().name()
            ),
            value,
        }),
        false => Ok(Some(config)),
    }
}

/// The image in DISK, or the default one. An image that DISK names must exist: a new disk for a mistyped name would
/// start the system with an empty log and with unused budgets.
fn disk(lookup: Lookup<'_>) -> Result<PathBuf> {
    let Some(value) = said(lookup, "DISK") else {
        return Ok(PathBuf::from(DISK));
    };
    let path = Path::new(&value);
    if value.contains([',', ' ', '\t']) {
        return Err(Error::Option {
            name: "DISK",
            reason: "an emulator's options cannot hold a path with a comma or a blank; rename the file or its folder"
                .to_owned(),
            value,
        });
    }
    let wrong = match (path.exists(), path.is_dir()) {
        (true, false) => return Ok(path.to_owned()),
        (true, true) => format!("'{value}' is a folder"),
        (false, _) => format!("there is no file '{value}'"),
    };
    Err(Error::Option {
        name: "DISK",
        reason: format!(
            "{wrong}: make an image with 'llmtool disk create FILE', or omit DISK to use {DISK}"
        ),
        value,
    })
}

/// The selected system. Selecting two is an error.
fn system(lookup: Lookup<'_>) -> Result<System> {
    const WAYS: [&str; 4] = ["SYSTEM", "MODEL", "EXAMPLE", "LARGE"];
    let chosen: Vec<_> = WAYS
        .iter()
        .filter_map(|way| Some((*way, said(lookup, way)?)))
        .collect();
    if let Some(workers) = said(lookup, "WORKERS")
        && said(lookup, "SYSTEM").is_none()
    {
        return Err(Error::Option {
            name: "WORKERS",
            value: workers,
            reason: "the main system has no workers; use SYSTEM=cores".to_owned(),
        });
    }
    let (way, value) = match &chosen[..] {
        [] => return Ok(System::Main),
        [chosen] => chosen,
        [(name, value), (other, _), ..] => {
            return Err(Error::Option {
                name,
                value: value.clone(),
                reason: format!("both {name} and {other} select a system: set only one"),
            });
        }
    };
    match *way {
        "SYSTEM" => named(value, said(lookup, "WORKERS")),
        "MODEL" => Ok(System::Own(own(value, lookup)?)),
        "EXAMPLE" => example(value, said(lookup, "VARIANT")),
        _ => Ok(System::Large(match value.as_str() {
            "bench" => Scale::Bench,
            _ => Scale::Large,
        })),
    }
}

fn named(name: &str, workers: Option<String>) -> Result<System> {
    let known = folders_with("systems", "system.xml");
    if !known.iter().any(|other| other == name) {
        return Err(unknown("SYSTEM", name, "system", &known));
    }
    let mut named = Named::new(name)?;
    if let Some(value) = workers {
        let most = named.workers;
        let fewer = value
            .parse()
            .ok()
            .filter(|number| (1..=most).contains(number));
        named.fewer = Some(fewer.ok_or_else(|| Error::Option {
            name: "WORKERS",
            value,
            reason: match most {
                0 => format!("systems/{name} has no workers; use SYSTEM=cores"),
                _ => format!("systems/{name} has 1 to {most} workers"),
            },
        })?);
    }
    Ok(System::Named(named))
}

/// The example with this name, and the variant of its component.
fn example(name: &str, variant: Option<String>) -> Result<System> {
    let known = folders_with("examples", "build.toml");
    if !known.iter().any(|other| other == name) {
        return Err(unknown("EXAMPLE", name, "example", &known));
    }
    let example = Example::read(name)?;
    let variant = variant.unwrap_or_else(|| "rust".to_owned());
    let known: Vec<_> = example.variants.keys().cloned().collect();
    match example.variants.get(&variant) {
        Some(built) => {
            let variant = Variant {
                name: variant,
                built: built.clone(),
            };
            Ok(System::Example(Box::new(example), variant))
        }
        None => Err(Error::Option {
            name: "VARIANT",
            reason: format!(
                "no variant '{variant}' of {name}; choose one of {}",
                known.join(", ")
            ),
            value: variant,
        }),
    }
}

/// The user's files: `FILE` or `NAME=FILE`, separated by spaces.
fn own(models: &str, lookup: Lookup<'_>) -> Result<Models> {
    let files: Vec<_> = models.split_whitespace().map(str::to_owned).collect();
    for word in &files {
        let file = word.split_once('=').map_or(word.as_str(), |(_, file)| file);
        if !Path::new(file).exists() {
            let spaces = match files.len() {
                1 => "",
                _ => {
                    "; spaces separate files, so give a file with a space in its name another name: ln -s 'OLD NAME.gguf' \
                     NEW-NAME.gguf"
                }
            };
            return Err(Error::Option {
                name: "MODEL",
                value: models.to_owned(),
                reason: format!("there is no file '{file}'{spaces}"),
            });
        }
    }
    Ok(Models {
        files,
        context: said(lookup, "CONTEXT"),
        sessions: said(lookup, "SESSIONS"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Options of these variables, from the root of the repository.
    fn read(variables: &[(&str, &str)]) -> Result<Options> {
        std::env::set_current_dir(crate::root()).unwrap();
        Options::read(&|name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn refused(variables: &[(&str, &str)]) -> String {
        read(variables).unwrap_err().to_string()
    }

    #[test]
    fn a_value_that_nobody_knows_is_refused_with_those_that_there_are() {
        for (name, value, reason) in [
            (
                "BOARD",
                "zcu104",
                "no board 'zcu104'; choose one of qemu_virt_aarch64, ",
            ),
            (
                "CONFIG",
                "fast",
                "no configuration 'fast'; choose one of release, debug, benchmark",
            ),
            ("SYSTEM", "tape", "no system 'tape'; choose one of "),
            ("EXAMPLE", "none", "no example 'none'; choose one of triage"),
            ("LANE", "zcu102 zcu104", "no board 'zcu104'; choose one of "),
        ] {
            let said = refused(&[(name, value)]);
            assert!(
                said.starts_with(&format!("{name}='{value}': {reason}")),
                "{said}"
            );
        }
        let said = refused(&[("EXAMPLE", "triage"), ("VARIANT", "ada")]);
        assert_eq!(
            said,
            "VARIANT='ada': no variant 'ada' of triage; choose one of c, rust"
        );
    }

    #[test]
    fn workers_are_those_of_a_system_with_cores_whose_kernel_has_cores_too() {
        for (variables, reason) in [
            (
                vec![("WORKERS", "2")],
                "WORKERS='2': the main system has no workers; use SYSTEM=cores",
            ),
            (
                vec![("SYSTEM", "disk"), ("WORKERS", "2")],
                "WORKERS='2': systems/disk has no workers; use SYSTEM=cores",
            ),
            (
                vec![("SYSTEM", "cores"), ("WORKERS", "4")],
                "WORKERS='4': systems/cores has 1 to 3 workers",
            ),
            (
                vec![("SYSTEM", "cores"), ("CONFIG", "debug")],
                "CONFIG='debug': this system needs a kernel for several cores: smp-release",
            ),
        ] {
            assert_eq!(refused(&variables), reason);
        }
        let options = read(&[("SYSTEM", "cores"), ("WORKERS", "2")]).unwrap();
        assert_eq!(options.config(), Config::SmpRelease);
        assert_eq!(options.system.suffix(), "-cores2");
    }

    #[test]
    fn two_systems_at_once_are_refused() {
        let said = refused(&[("SYSTEM", "disk"), ("MODEL", "models/tiny-f32.gguf")]);
        assert_eq!(
            said,
            "SYSTEM='disk': both SYSTEM and MODEL select a system: set only one"
        );
    }

    #[test]
    fn a_model_that_is_not_there_is_refused_by_name() {
        for (model, lost) in [
            ("no-such.gguf", "there is no file 'no-such.gguf'"),
            ("mine=no-such.gguf", "there is no file 'no-such.gguf'"),
            ("a b.gguf", "there is no file 'a'; spaces separate files"),
            (
                "models/tiny-f32.gguf b.gguf",
                "there is no file 'b.gguf'; spaces separate files",
            ),
        ] {
            let said = refused(&[("MODEL", model)]);
            assert!(
                said.starts_with(&format!("MODEL='{model}': {lost}")),
                "{said}"
            );
        }
        let options = read(&[("MODEL", "mine=models/tiny-f32.gguf models/default.gguf")]).unwrap();
        let System::Own(own) = options.system else {
            panic!("not a system of one's own");
        };
        assert_eq!(
            own.files,
            ["mine=models/tiny-f32.gguf", "models/default.gguf"]
        );
    }

    #[test]
    fn a_disk_that_is_named_must_exist() {
        let help =
            "make an image with 'llmtool disk create FILE', or omit DISK to use build/disk.img";
        for (disk, wrong) in [
            ("no-such.img", "there is no file 'no-such.img'"),
            ("models", "'models' is a folder"),
        ] {
            for system in ["", "disk"] {
                let said = refused(&[("SYSTEM", system), ("DISK", disk)]);
                assert_eq!(said, format!("DISK='{disk}': {wrong}: {help}"));
            }
        }
        for disk in ["a,b.img", "a b.img"] {
            assert!(refused(&[("DISK", disk)]).contains("a comma or a blank"));
        }
        let file = "models/tiny-f32.gguf";
        assert_eq!(read(&[("DISK", file)]).unwrap().disk, Path::new(file));
    }

    #[test]
    fn a_variable_without_a_value_says_nothing() {
        let options = read(&[("SYSTEM", ""), ("BOARD", " "), ("DISK", "")]).unwrap();
        assert!(matches!(options.system, System::Main));
        assert_eq!(options.board.name, BOARD);
        assert_eq!(options.disk, Path::new(DISK));
    }
}
