//! Policies: their source texts, their description, and changes for tests.

use crate::error::{Error, Result};
use crate::files;
use crate::shop::Shop;
use crate::system::System;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Table, value};

/// A change of a policy's text before it is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A deadline short enough to detect a hang quickly, but long enough for an emulated request on a busy machine.
    ShortDeadline,
    /// The same for several emulated cores on fewer real ones.
    ShortDeadlineOfCores,
    /// The system continues if it loses its log.
    GoOn,
}

impl Change {
    fn apply(self, text: &mut DocumentMut) {
        let (table, key, new) = match self {
            Self::ShortDeadline => ("inference", "deadline", "4s"),
            Self::ShortDeadlineOfCores => ("inference", "deadline", "20s"),
            Self::GoOn => ("log", "on-failure", "go-on"),
        };
        let item = text.entry(table).or_insert(Item::Table(Table::new()));
        item[key] = value(new);
    }
}

/// A policy that can be compiled.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The texts that together form the policy.
    pub texts: Vec<PathBuf>,
    /// Changes to the text.
    pub changes: Vec<Change>,
    /// The description that it is for.
    pub description: PathBuf,
    /// Where `policy.bin` and `formats.bin` are written.
    pub folder: PathBuf,
}

/// The user of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// People.
    Shipped,
    /// The tests. The policy trusts a generated key, and has a user who may do everything.
    Test,
    /// The storm of faults.
    Storm,
    /// The same on several cores.
    StormCores,
    /// The red team.
    Redteam,
    /// Tests of a system that loses its log.
    GoOn,
}

impl Policy {
    /// The policy of a system for a use.
    pub fn of(system: &System, purpose: Use) -> Self {
        let (name, text, changes) = match purpose {
            Use::Shipped => ("policy", "policy.toml", vec![]),
            Use::Test => ("policy-test", "tests/policy.toml", vec![]),
            Use::Storm => (
                "policy-storm",
                "tests/policy.toml",
                vec![Change::ShortDeadline],
            ),
            Use::StormCores => (
                "policy-storm-cores",
                "tests/policy.toml",
                vec![Change::ShortDeadlineOfCores],
            ),
            Use::Redteam => ("policy-redteam", "tests/redteam/policy.toml", vec![]),
            Use::GoOn => ("policy-go-on", "policy.toml", vec![Change::GoOn]),
        };
        let text = match (system, purpose) {
            (System::Example(example, _), Use::Shipped) => example.folder().join("policy.toml"),
            (System::HostileClient, _) => PathBuf::from("tests/redteam/clients/policy.toml"),
            _ => PathBuf::from(text),
        };
        Self {
            texts: vec![text],
            changes,
            description: system.description(),
            folder: system.folder().join(name),
        }
    }

    /// Its text, unless it is a single unchanged file.
    fn changed(&self) -> Result<String> {
        let texts = self.texts.iter().map(|path| files::text(path));
        let text = texts.collect::<Result<Vec<_>>>()?.join("\n");
        let mut document: DocumentMut = text.parse().map_err(|error| Error::File {
            path: self.texts[0].clone(),
            reason: format!("{error}"),
        })?;
        for change in &self.changes {
            change.apply(&mut document);
        }
        let whole = |home: &Path, file: &str| value(home.join(file).to_string_lossy().into_owned());
        // A key's path is relative to the policy, and the copy is in another folder.
        let home = self.texts[0]
            .parent()
            .filter(|home| *home != Path::new(""))
            .unwrap_or(Path::new("."));
        let home = std::path::absolute(home).map_err(crate::error::at(home))?;
        if let Some(keys) = document.get_mut("keys").and_then(Item::as_table_like_mut) {
            for (_, key) in keys.iter_mut() {
                if let Some(file) = key.get("file").and_then(Item::as_str) {
                    key["file"] = whole(&home, file);
                }
            }
        }
        if let Some(file) = key_of_device(&document) {
            let file = whole(&home, file);
            document["device"]["key"] = file;
        }
        Ok(document.to_string())
    }

    /// Checks and compiles the policy. This always runs, so that warnings are repeated. The folder gets `policy.bin`,
    /// and `formats.bin` with the automata of its formats.
    pub fn compile(&self, shop: &Shop) -> Result<&Path> {
        files::folder(&self.folder)?;
        let source = match (&self.texts[..], &self.changes[..]) {
            ([text], []) => text.clone(),
            _ => {
                let path = self.folder.join("policy.toml");
                files::write(&path, self.changed()?)?;
                path
            }
        };
        let text = files::text(&source)?;
        if text.contains("build/keys/test.pub.pem") {
            shop.key("test")?;
        }
        let own = text
            .parse::<DocumentMut>()
            .is_ok_and(|document| key_of_device(&document).is_some());
        let mut tool = shop.llmtool().arg("policy");
        // A policy that names the device's key means that one; llmtool would prefer the key that it is given.
        if !own {
            tool = tool.arg("--device-key").arg(shop.device_key()?);
        }
        tool.arg(source)
            .arg("--system")
            .arg(&self.description)
            .arg("-o")
            .arg(self.folder.join("policy.bin"))
            .arg("--formats")
            .arg(self.folder.join("formats.bin"))
            .aside()?;
        Ok(&self.folder)
    }
}

/// The file of the device's key, if the policy names one.
fn key_of_device(policy: &DocumentMut) -> Option<&str> {
    policy.get("device")?.get("key")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(purpose: Use) -> DocumentMut {
        std::env::set_current_dir(crate::root()).unwrap();
        let text = Policy::of(&System::Main, purpose).changed().unwrap();
        text.parse().unwrap()
    }

    #[test]
    fn a_change_is_made_whether_the_text_has_the_key_or_not() {
        assert_eq!(
            changed(Use::Storm)["inference"]["deadline"].as_str(),
            Some("4s")
        );
        assert_eq!(
            changed(Use::GoOn)["log"]["on-failure"].as_str(),
            Some("go-on")
        );
    }

    #[test]
    fn a_policy_that_names_the_device_s_key_keeps_it() {
        let shipped = changed(Use::Storm);
        assert_eq!(key_of_device(&shipped), None);
        let folder = std::env::temp_dir().join(format!("sel4-llm-policy-{}", std::process::id()));
        files::folder(&folder).unwrap();
        let text = folder.join("policy.toml");
        files::write(&text, "[device]\nkey = \"mine.pem\"\n").unwrap();
        let policy = Policy {
            texts: vec![text],
            changes: vec![Change::GoOn],
            ..Policy::of(&System::Main, Use::Shipped)
        };
        let document: DocumentMut = policy.changed().unwrap().parse().unwrap();
        let key = folder.join("mine.pem").to_string_lossy().into_owned();
        assert_eq!(key_of_device(&document), Some(&*key));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_copy_elsewhere_finds_the_same_keys() {
        let text = changed(Use::Storm);
        let keys = text["keys"].as_table_like().unwrap();
        let files: Vec<_> = keys
            .iter()
            .filter_map(|(_, key)| key.get("file")?.as_str())
            .collect();
        assert!(!files.is_empty());
        assert!(
            files.iter().all(|file| Path::new(file).is_absolute()),
            "{files:?}"
        );
    }
}
