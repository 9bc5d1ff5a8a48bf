//! Committed files generated from descriptions: the picture and Microkit's table in the docs, the instances for the
//! proofs, and the description in time partitions. `isolation docs` writes them; a test checks that they are current.

use crate::microkit::Configuration;
use crate::policy::Policy;
use crate::view::View;
use crate::{picture, report, rocq};
use std::path::{Path, PathBuf};
use sysdesc::partitions::Plan;
use sysdesc::{Board, System};

/// The system with a disk, of which the proofs have an instance, too.
const DISK: &str = "systems/disk/system.xml";

/// The system in time partitions, which is generated.
const PARTITIONS: &str = "systems/partitions/system.xml";
/// What it is generated from, besides `system.xml`.
const PLAN: &str = "systems/partitions/plan.toml";

/// Where Microkit's table begins and ends in the document.
const MARKS: [&str; 2] = [
    "<!-- The table below is written by `make isolation-docs`. -->\n",
    "<!-- End of the table. -->\n",
];

/// A generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Relative to the root of the repository.
    pub path: PathBuf,
    /// Its required contents.
    pub text: String,
}

/// All generated files, for the repository at `root`.
///
/// # Errors
/// A document with a generated part, or the description of the system with a disk, cannot be read.
pub fn documents(root: &Path, system: &System, policy: &Policy) -> std::io::Result<Vec<Document>> {
    let view = View::of_description(system, Configuration::Release);
    let described = std::fs::read_to_string(root.join(DISK))?;
    let with_disk = System::parse_on(&described, &Board::usual()).map_err(std::io::Error::other)?;
    let read = |path: &str| std::fs::read_to_string(root.join(path));
    let plan = Plan::parse(&read(PLAN)?).map_err(std::io::Error::other)?;
    let in_partitions = plan
        .apply(&read("system.xml")?)
        .map_err(std::io::Error::other)?;
    let mut documents = vec![
        Document {
            path: PARTITIONS.into(),
            text: in_partitions,
        },
        Document {
            path: "docs/authority.svg".into(),
            text: picture::svg(system, &view, policy),
        },
        Document {
            path: "proofs/Instance.v".into(),
            text: rocq::instance(system, "system.xml"),
        },
        Document {
            path: "proofs/DiskInstance.v".into(),
            text: rocq::instance(&with_disk, DISK),
        },
    ];
    let path = PathBuf::from("docs/isolation.md");
    let text = std::fs::read_to_string(root.join(&path))?;
    let [begin, end] = MARKS;
    let Some((before, rest)) = text.split_once(begin) else {
        return Err(std::io::Error::other(format!(
            "no line '{}' in {}",
            begin.trim(),
            path.display()
        )));
    };
    let Some((_, after)) = rest.split_once(end) else {
        return Err(std::io::Error::other(format!(
            "no line '{}' in {}",
            end.trim(),
            path.display()
        )));
    };
    let text = format!("{before}{begin}\n{}\n{end}{after}", report::table());
    documents.push(Document { path, text });
    Ok(documents)
}
