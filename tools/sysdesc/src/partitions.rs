//! Adds time partitions to a description that has none, according to a plan that defines the partitions and their
//! schedule.
//!
//! The rule that keeps two descriptions of one system in agreement: nothing else changes. The text is changed in place,
//! so lines, comments and the authority graph stay; the element `domains` and one attribute for each protection domain
//! are added.

use crate::xml::{document, error};
use crate::{Error, Problem};
use roxmltree::Node;
use serde::Deserialize;
use std::fmt::Write as _;

/// Partitions and their schedule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The partitions, in the order of their numbers from 0. Microkit's monitor is in the first.
    pub partition: Vec<Members>,
    /// The cyclic schedule.
    pub turn: Vec<Turn>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// Its name.
    pub name: String,
    /// The protection domains in it.
    pub domains: Vec<String>,
}

/// A turn of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// The name of its partition.
    pub partition: String,
    /// Its length in microseconds.
    pub us: u64,
}

/// Why a plan does not fit a description.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file is not TOML in the form of a plan.
    #[error("the plan of the partitions: {0}")]
    Toml(#[from] Box<toml::de::Error>),
    /// The description, or the result of applying the plan, is refused.
    #[error(transparent)]
    Description(#[from] Error),
    /// A protection domain has no partition.
    #[error("domain '{domain}' is in no partition: name it in a [[partition]] of the plan")]
    Missing {
        /// Its name.
        domain: String,
    },
    /// The plan names a domain twice, or one that does not exist.
    #[error("the plan names domain '{domain}', which {problem}")]
    Domain {
        /// Its name.
        domain: String,
        /// What is wrong with the name.
        problem: &'static str,
    },
}

/// The heading of the generated description.
const HEAD: &str = "\n<!-- Written by `make isolation-docs` from system.xml and plan.toml of this folder. Do not edit. -->";

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// The first error.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        toml::from_str(text).map_err(|source| Box::new(source).into())
    }

    /// The description with the partitions of the plan.
    ///
    /// # Errors
    /// The plan and the description name different domains, or the result is not a description.
    pub fn apply(&self, text: &str) -> Result<String, PlanError> {
        let document = document(text)?;
        let root = document.root_element();
        let is_domain = |node: &Node<'_, '_>| node.has_tag_name("protection_domain");
        let nodes: Vec<_> = document.descendants().filter(is_domain).collect();
        self.check(&nodes)?;

        let mut insertions = vec![
            (end_of_declaration(text), HEAD.to_owned()),
            (end_of_start_tag(text, root), self.element()),
        ];
        for node in nodes {
            let Some(name) = node.attribute_node("name") else {
                let problem = Problem::MissingAttribute { attribute: "name" };
                return Err(error(node, problem).into());
            };
            let partition = self.of(name.value()).ok_or_else(|| PlanError::Missing {
                domain: name.value().to_owned(),
            })?;
            let attribute = format!(" domain=\"{}\"", partition.name);
            insertions.push((name.range().end, attribute));
        }
        let mut result = text.to_owned();
        insertions.sort_by_key(|(at, _)| *at);
        for (at, inserted) in insertions.iter().rev() {
            result.insert_str(*at, inserted);
        }
        // The result may have errors of its own, such as a turn of an unknown partition.
        crate::System::parse(&result)?;
        Ok(result)
    }

    fn of(&self, domain: &str) -> Option<&Members> {
        let mut partitions = self.partition.iter();
        partitions.find(|it| it.domains.iter().any(|name| name == domain))
    }

    fn check(&self, nodes: &[Node<'_, '_>]) -> Result<(), PlanError> {
        let mut seen = Vec::new();
        for domain in self.partition.iter().flat_map(|it| &it.domains) {
            let is_there = nodes
                .iter()
                .any(|node| node.attribute("name") == Some(domain));
            let problem = match (seen.contains(&domain), is_there) {
                (true, _) => "is in a partition already",
                (false, false) => "is not in the description",
                (false, true) => {
                    seen.push(domain);
                    continue;
                }
            };
            let domain = domain.clone();
            return Err(PlanError::Domain { domain, problem });
        }
        Ok(())
    }

    /// The element `domains`.
    fn element(&self) -> String {
        let mut text = String::from("\n    <domains>\n");
        // Writing to a string does not fail.
        for (id, partition) in self.partition.iter().enumerate() {
            let _ = writeln!(
                text,
                "        <domain name=\"{}\" id=\"{id}\" />",
                partition.name
            );
        }
        text += "        <domain_schedule>\n";
        for turn in &self.turn {
            let _ = writeln!(
                text,
                "            <schedule_entry domain=\"{}\" duration=\"{} us\" />",
                turn.partition, turn.us
            );
        }
        text + "        </domain_schedule>\n    </domains>\n"
    }
}

/// The end of `<?xml … ?>`, or the beginning.
fn end_of_declaration(text: &str) -> usize {
    match text.find("?>") {
        Some(end) if text.starts_with("<?xml") => end + 2,
        _ => 0,
    }
}

/// The end of an element's first tag. No attribute of ours contains `>`.
fn end_of_start_tag(text: &str, node: Node<'_, '_>) -> usize {
    let start = node.range().start;
    text[start..].find('>').map_or(start, |end| start + end + 1)
}
