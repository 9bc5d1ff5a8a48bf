//! The invariants I1 to I8 and further claims, checked on a view of the system.
//!
//! The rule that keeps it safe: the same code checks each claim on the description and on the image, if there is one,
//! and each finding names the region, domain, channel or right concerned.

mod compartments;
mod memory;
mod partitions;
mod policy;
mod subjects;

use crate::graph::Graph;
use crate::policy::{Mediation, Policy};
use crate::view::View;
use serde::Serialize;

/// A claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[allow(missing_docs)]
pub enum Claim {
    I1,
    I2,
    I3,
    I4,
    I5,
    I6,
    I7,
    I8,
    /// Which domains count as a single one.
    C,
    /// Which domains run in which time partition.
    T,
    /// The policy and the description name the same things.
    P,
    /// The description matches what the programs rely on.
    D,
    /// The programs' files fit the description.
    E,
    /// The image and the description agree.
    A,
    /// The kernel's configuration.
    K,
}

/// Findings about a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Facts that support the claim.
    pub evidence: Vec<String>,
    /// Facts that violate it.
    pub violations: Vec<String>,
    /// Facts that exclude it: what a debug or benchmark configuration adds.
    pub not_claimed: Vec<String>,
}

impl Claim {
    /// The claims that apply to a single view.
    pub const OF_A_VIEW: [Self; 11] = [
        Self::I1,
        Self::I2,
        Self::I3,
        Self::I4,
        Self::I5,
        Self::I6,
        Self::I7,
        Self::I8,
        Self::C,
        Self::T,
        Self::P,
    ];

    /// Its name.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::I1 => "I1",
            Self::I2 => "I2",
            Self::I3 => "I3",
            Self::I4 => "I4",
            Self::I5 => "I5",
            Self::I6 => "I6",
            Self::I7 => "I7",
            Self::I8 => "I8",
            Self::C => "C",
            Self::T => "T",
            Self::P => "P",
            Self::D => "D",
            Self::E => "E",
            Self::A => "A",
            Self::K => "K",
        }
    }

    /// Its statement.
    #[must_use]
    pub fn statement(self, policy: &Policy) -> String {
        let apart = policy.client.iter().map(|client| client.domain.as_str());
        let apart = list(apart.chain([policy.mediation.engine.as_str()]).map(|head| {
            let members = policy.members(head);
            match &members[..] {
                [_] => head.to_owned(),
                [_, others @ ..] => format!("{head} with {}", others.join(", ")),
                [] => String::new(),
            }
        }));
        let Mediation {
            mediator, engine, ..
        } = &policy.mediation;
        let order = policy.order();
        let order: Vec<_> = order.iter().map(|domains| domains.join(", ")).collect();
        let mut order = order.join(" > ");
        for core in &policy.core {
            order += &format!(
                "; on core {} {}, below these",
                core.number,
                core.domains.join(" > ")
            );
        }
        match self {
            Self::I1 => format!(
                "no two of {apart} share a region or a channel, none shares an endpoint with {engine}, and every flow \
                 between two of them passes {mediator}"
            ),
            Self::I2 if policy.compartment.is_empty() => "every shared region has one writer".to_owned(),
            Self::I2 => "every shared region has one writer, or belongs to one compartment".to_owned(),
            Self::I3 if policy.compartment.is_empty() => "private regions are mapped in only one domain".to_owned(),
            Self::I3 => "private regions are mapped in only one domain or one compartment".to_owned(),
            Self::I4 => "constant regions are mapped writable nowhere".to_owned(),
            Self::I5 => "no mapping is writable and executable".to_owned(),
            Self::I6 => "each device and its interrupt belong to one domain".to_owned(),
            Self::I7 => format!("priorities {order}, strictly; budgets last their periods"),
            Self::I8 => "authority cannot grow: no capability creates or moves another; TCBs are in the right hands".to_owned(),
            Self::C if policy.compartment.is_empty() => "no compartments: each domain stands for itself".to_owned(),
            Self::C => "a compartment counts as its head: members reach only what the head reaches, and only what \
            reaches the head reaches them".to_owned(),
            Self::T if policy.partition.is_empty() => "no time partitions: the domains share the processor by priority alone".to_owned(),
            Self::T => format!("{engine} runs in a time partition of its own, and the clients run without {mediator}, \
            each only in its turns"),
            Self::P => "policy and description name the same domains, regions, devices and channels".to_owned(),
            Self::D => "every size, attribute, mapping, number and variable of system.xml is as the policy pins it".to_owned(),
            Self::E => "the programs' files have the variables that system.xml sets, and rely on what it gives them".to_owned(),
            Self::A => "the image holds everything that system.xml and Microkit's table explain, and nothing \
            else".to_owned(),
            Self::K => "the kernel's configuration gives user code no more than is documented".to_owned(),
        }
    }
}

impl Finding {
    pub(crate) fn evidence(&mut self, text: impl Into<String>) {
        self.evidence.push(text.into());
    }

    pub(crate) fn violation(&mut self, text: impl Into<String>) {
        self.violations.push(text.into());
    }
}

/// Checks a claim on a view.
#[must_use]
pub fn check(claim: Claim, view: &View, policy: &Policy) -> Finding {
    let mut finding = Finding::default();
    match claim {
        Claim::I1 => subjects::mediation(view, policy, &Graph::of(view, policy), &mut finding),
        Claim::I2 => memory::one_writer(view, policy, &mut finding),
        Claim::I3 => memory::private(view, policy, &mut finding),
        Claim::I4 => memory::constant(view, policy, &mut finding),
        Claim::I5 => memory::writable_or_executable(view, policy, &mut finding),
        Claim::I6 => memory::devices(view, policy, &Graph::of(view, policy), &mut finding),
        Claim::I7 => subjects::scheduling(view, policy, &mut finding),
        Claim::I8 => subjects::confinement(view, policy, &mut finding),
        Claim::C => compartments::as_one(view, policy, &Graph::of(view, policy), &mut finding),
        Claim::T => partitions::apart(view, policy, &mut finding),
        Claim::P => policy::complete(view, policy, &mut finding),
        // These need inputs other than a view.
        Claim::D | Claim::E | Claim::A | Claim::K => {}
    }
    finding
}

/// Names in a list for people: `a, b and c`.
#[must_use]
pub fn list<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    listed(names, "and")
}

/// The same with another word: `a, b or c`.
pub(crate) fn either<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    listed(names, "or")
}

fn listed<T: ToString>(names: impl IntoIterator<Item = T>, word: &str) -> String {
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    match &names[..] {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} {word} {last}", most.join(", ")),
    }
}
