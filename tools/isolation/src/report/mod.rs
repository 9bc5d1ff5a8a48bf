//! The verdicts, and the graph that they concern, for people and for programs.

mod markdown;
mod text;

pub use markdown::{markdown, table};
pub use text::text;

use crate::capability::Subject;
use crate::claims::{self, Claim, Finding};
use crate::graph::{Graph, Node, Right};
use crate::microkit::{Configuration, Row};
use crate::policy::Policy;
use crate::programs::{self, Program};
use crate::view::View;
use crate::{agreement, kernel, pins};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use sysdesc::{Board, System};

/// Inputs of the check.
pub struct Subjects<'a> {
    /// The description.
    pub system: &'a System,
    /// The requirements.
    pub policy: &'a Policy,
    /// The programs' files by domain, if present.
    pub programs: Option<&'a BTreeMap<String, Program>>,
    /// The view of an image, if present.
    pub image: Option<View>,
    /// The image's board.
    pub board: &'a Board,
    /// The kernel's options, if there is an SDK.
    pub kernel: Option<&'a Map<String, Value>>,
    /// The image's configuration.
    pub configuration: Configuration,
}

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the board.
    pub board: String,
    /// `release`, `debug` or `benchmark`.
    pub configuration: &'static str,
    /// Whether there was an image.
    pub image: bool,
    /// The policy's clients, each with its slot in audit.
    pub clients: BTreeMap<String, usize>,
    /// All claims that could be checked.
    pub claims: Vec<Checked>,
    /// Direct rights of each subject.
    pub rights: BTreeMap<String, BTreeMap<Right, BTreeSet<String>>>,
    /// Flows between subjects, direct and through others.
    pub flows: Vec<Flow>,
    /// The subjects that could make each subject do anything.
    pub controllers: BTreeMap<String, Vec<String>>,
}

/// A claim and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// The claim.
    pub claim: Claim,
    /// Its statement.
    pub statement: String,
    /// Whether it holds.
    pub verdict: Verdict,
    /// Findings in the description; for D, E, A and K, all findings.
    pub description: Finding,
    /// Findings in the image.
    pub image: Option<Finding>,
}

/// Whether a claim holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing contradicts it.
    Holds,
    /// Something contradicts it.
    Violated,
    /// It is not claimed for this configuration.
    NotClaimed,
}

/// How one subject can change what another sees.
#[derive(Clone, Debug, Serialize)]
pub struct Flow {
    /// The subject that changes something.
    pub from: String,
    /// The subject that sees it.
    pub to: String,
    /// The direct means, if any.
    pub direct: Vec<String>,
    /// The shortest path that avoids the trusted subjects; empty if there is none.
    pub path: Vec<String>,
}

impl Report {
    /// Checks everything.
    #[must_use]
    pub fn of(subjects: Subjects<'_>) -> Self {
        let Subjects {
            system,
            policy,
            programs,
            mut image,
            board,
            kernel,
            configuration,
        } = subjects;
        let policy = &*policy.of_system(system);
        let description = View::of_description(system, Configuration::Release);
        let mut claims = Vec::new();
        for claim in Claim::OF_A_VIEW {
            let on_description = claims::check(claim, &description, policy);
            let mut on_image = image
                .as_ref()
                .map(|image| claims::check(claim, image, policy));
            if let Some(finding) = &mut on_image {
                configured(claim, configuration, finding);
            }
            claims.push(Checked::of(claim, policy, on_description, on_image));
        }
        let finding = pins::check(system, policy);
        claims.push(Checked::of(Claim::D, policy, finding, None));
        if let Some(programs) = programs {
            let finding = programs::check(system, policy, programs);
            claims.push(Checked::of(Claim::E, policy, finding, None));
        }
        if let Some(image) = &mut image {
            let expected = View::of_description(system, configuration);
            let finding = agreement::check(system, &expected, image, configuration);
            claims.push(Checked::of(Claim::A, policy, finding, None));
        }
        if let Some(options) = kernel {
            let finding = kernel::check(options, board, configuration, kernel::Cores::of(policy));
            claims.push(Checked::of(Claim::K, policy, finding, None));
        }
        let graph = Graph::of(image.as_ref().unwrap_or(&description), policy);
        let names = |subject: &Subject| subject.name().to_owned();
        Self {
            board: board.name.clone(),
            configuration: configuration.name(),
            image: image.is_some(),
            clients: policy
                .client
                .iter()
                .map(|client| (client.domain.clone(), client.slot))
                .collect(),
            claims,
            rights: graph
                .rights
                .iter()
                .map(|(subject, rights)| (names(subject), rights.clone()))
                .collect(),
            flows: flows(&graph, policy),
            controllers: graph
                .rights
                .keys()
                .map(|subject| {
                    (
                        names(subject),
                        graph.controllers(subject).iter().map(names).collect(),
                    )
                })
                .collect(),
        }
    }

    /// Whether no claim is violated.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.claims
            .iter()
            .all(|checked| checked.verdict != Verdict::Violated)
    }

    /// Every violation, with its claim's name.
    pub fn violations(&self) -> impl Iterator<Item = (Claim, &str)> {
        self.claims.iter().flat_map(|checked| {
            let findings = core::iter::once(&checked.description).chain(&checked.image);
            findings
                .flat_map(|finding| &finding.violations)
                .map(|text| (checked.claim, text.as_str()))
        })
    }
}

impl Checked {
    fn of(claim: Claim, policy: &Policy, description: Finding, image: Option<Finding>) -> Self {
        let any = |of: fn(&Finding) -> &Vec<String>| {
            core::iter::once(&description)
                .chain(&image)
                .any(|finding| !of(finding).is_empty())
        };
        let verdict = if any(|finding| &finding.violations) {
            Verdict::Violated
        } else if any(|finding| &finding.not_claimed) {
            Verdict::NotClaimed
        } else {
            Verdict::Holds
        };
        Self {
            claim,
            statement: claim.statement(policy),
            verdict,
            description,
            image,
        }
    }
}

impl Checked {
    /// Each finding with its input; only once if both inputs show the same.
    #[must_use]
    pub fn findings(&self) -> Vec<(&'static str, &Finding)> {
        match &self.image {
            None => vec![("", &self.description)],
            Some(image) if *image == self.description => vec![("both: ", image)],
            Some(image) => vec![("system.xml: ", &self.description), ("image: ", image)],
        }
    }
}

impl Verdict {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violated => "VIOLATED",
            Self::NotClaimed => "not claimed",
        }
    }
}

/// What a developer configuration removes from a claim.
fn configured(claim: Claim, configuration: Configuration, finding: &mut Finding) {
    let text = match (configuration, claim) {
        (Configuration::Debug, Claim::I6) => {
            "every domain can print on the UART and halt the system through the kernel".to_owned()
        }
        (Configuration::Benchmark, Claim::I8) => {
            format!("every domain holds its own TCB (row {})", Row::OwnTcb.id())
        }
        _ => return,
    };
    finding.not_claimed.push(text);
}

fn flows(graph: &Graph, policy: &Policy) -> Vec<Flow> {
    let trusted = |node: &Node| match node {
        Node::Subject(subject) => policy
            .mediation
            .trusted
            .iter()
            .any(|name| name == subject.name()),
        Node::Device(_) => false,
    };
    let nodes = || graph.flows.keys().filter(|node| !trusted(node));
    let mut flows = Vec::new();
    for from in nodes() {
        for to in nodes().filter(|to| *to != from) {
            let direct = graph.flows.get(from).and_then(|targets| targets.get(to));
            let path = graph.path(from, to, trusted).unwrap_or_default();
            flows.push(Flow {
                from: from.to_string(),
                to: to.to_string(),
                direct: direct
                    .into_iter()
                    .flatten()
                    .map(ToString::to_string)
                    .collect(),
                path: path.iter().map(ToString::to_string).collect(),
            });
        }
    }
    flows
}
