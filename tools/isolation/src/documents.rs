//! Committed files generated from descriptions: the picture and two tables in the docs (what Microkit adds, and the
//! options of each board's kernel), the instances for the proofs, and the description in time partitions. `isolation
//! docs` writes them; a test checks that they are current.

use crate::microkit::Configuration;
use crate::policy::Policy;
use crate::view::View;
use crate::{kernel, picture, report, rocq};
use std::path::{Path, PathBuf};
use sysdesc::board::FOLDER;
use sysdesc::partitions::Plan;
use sysdesc::{Board, System};

/// The system with a disk, which also has an instance for the proofs.
const DISK: &str = "systems/disk/system.xml";

/// The system on several cores, which has one, too.
const CORES: &str = "systems/cores/system.xml";

/// The system in time partitions, which is generated.
const PARTITIONS: &str = "systems/partitions/system.xml";
/// The other source of that description, besides `system.xml`.
const PLAN: &str = "systems/partitions/plan.toml";

/// Where Microkit's table begins and ends in the document.
const MARKS: [&str; 2] = [
    "<!-- The table below is written by `make isolation-docs`. -->\n",
    "<!-- End of the table. -->\n",
];

/// Where the table of the kernels' options begins and ends there.
const KERNEL_MARKS: [&str; 2] = [
    "<!-- The table of options is written by `make isolation-docs`. -->\n",
    "<!-- End of the options. -->\n",
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
/// A document with a generated part, or the description of another system, cannot be read.
pub fn documents(root: &Path, system: &System, policy: &Policy) -> std::io::Result<Vec<Document>> {
    let view = View::of_description(system, Configuration::Release);
    let described = |path: &str| {
        let text = std::fs::read_to_string(root.join(path))?;
        System::parse_on(&text, &Board::usual()).map_err(std::io::Error::other)
    };
    let (with_disk, on_cores) = (described(DISK)?, described(CORES)?);
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
        Document {
            path: "proofs/CoresInstance.v".into(),
            text: rocq::instance(&on_cores, CORES),
        },
    ];
    let boards = Board::all(&root.join(FOLDER)).map_err(std::io::Error::other)?;
    let path = PathBuf::from("docs/isolation.md");
    let text = std::fs::read_to_string(root.join(&path))?;
    let text = between(&text, MARKS, &report::table())?;
    let text = between(&text, KERNEL_MARKS, &kernel::table(&boards))?;
    documents.push(Document { path, text });
    Ok(documents)
}

/// The document with this table between the marks.
fn between(text: &str, [begin, end]: [&str; 2], table: &str) -> std::io::Result<String> {
    let missing = |mark: &str| std::io::Error::other(format!("no line '{}'", mark.trim()));
    let (before, rest) = text.split_once(begin).ok_or_else(|| missing(begin))?;
    let (_, after) = rest.split_once(end).ok_or_else(|| missing(end))?;
    Ok(format!("{before}{begin}\n{table}\n{end}{after}"))
}
