//! C: a compartment counts as a single domain, its head.
//!
//! A claim about the head holds for all members only if no member has its own access to the outside. So each right of a
//! member is compared with the head's, and what others can do to a member with what they can do to the head.

use super::{Finding, list};
use crate::capability::{Object, Subject};
use crate::graph::{By, Graph, Node, Right};
use crate::policy::{Compartment, Policy};
use crate::view::View;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn as_one(view: &View, policy: &Policy, graph: &Graph, finding: &mut Finding) {
    if policy.compartment.is_empty() {
        finding.evidence("no compartments: each domain stands for itself");
    }
    for compartment in &policy.compartment {
        let before = finding.violations.len();
        for member in &compartment.members {
            rights(compartment, member, graph, finding);
            flows(compartment, member, graph, finding);
            objects(compartment, member, view, finding);
        }
        if finding.violations.len() > before {
            continue;
        }
        let Compartment {
            head,
            members,
            regions,
            ..
        } = compartment;
        finding.evidence(format!(
            "{} count as {head}: they reach nothing outside that {head} does not reach, and only what reaches {head} \
            reaches them",
            list(members)
        ));
        finding.evidence(format!(
            "{head} and {} share {} only among themselves",
            list(members),
            list(regions)
        ));
    }
}

/// Checks that the head holds whatever a member holds outside the compartment.
fn rights(compartment: &Compartment, member: &str, graph: &Graph, finding: &mut Finding) {
    let head = &compartment.head;
    let of = |name: &str| graph.rights.get(&Subject::domain(name));
    let none = BTreeMap::new();
    let (its, heads) = (of(member).unwrap_or(&none), of(head).unwrap_or(&none));
    for (right, targets) in its {
        let within = |target: &String| *right == Right::Notify && compartment.has(target);
        for target in targets.iter().filter(|target| !within(target)) {
            if !heads.get(right).is_some_and(|held| held.contains(target)) {
                finding.violation(format!(
                    "{member} {} {target}, but {head}, the head of its compartment, does not",
                    verb(*right)
                ));
            }
        }
    }
}

const fn verb(right: Right) -> &'static str {
    match right {
        Right::Read => "reads",
        Right::Write => "writes",
        Right::Execute => "executes",
        Right::Notify => "signals",
        Right::Call => "may send to",
        Right::FaultTo => "sends its faults to",
        Right::Control => "holds the TCB of",
        Right::Interrupt => "has the interrupt",
    }
}

/// Checks that others can do to the head whatever they can do to a member.
fn flows(compartment: &Compartment, member: &str, graph: &Graph, finding: &mut Finding) {
    let head = &compartment.head;
    let (member, head) = (
        Node::Subject(Subject::domain(member)),
        Node::Subject(Subject::domain(head)),
    );
    let outside = |node: &Node| match node {
        Node::Subject(subject) => !compartment.has(subject.name()),
        Node::Device(_) => true,
    };
    for (from, targets) in graph.flows.iter().filter(|(from, _)| outside(from)) {
        let none = BTreeSet::new();
        let on_head = targets.get(&head).unwrap_or(&none);
        let on_member = targets.get(&member).unwrap_or(&none);
        for by in on_member.difference(on_head) {
            finding.violation(format!(
                "{from} reaches {member} by {by}, but does not reach {head} in the same way"
            ));
        }
    }
    let none = BTreeMap::new();
    let heads = graph.flows.get(&head).unwrap_or(&none);
    for (to, by) in graph.flows.get(&member).unwrap_or(&none) {
        let same = heads.get(to).is_some_and(|held| by.is_subset(held));
        if outside(to) && !same && !by.iter().all(is_signal) {
            finding.violation(format!(
                "{member} reaches {to} by {}, but {head} does not reach it in the same way",
                list(by)
            ));
        }
    }
}

/// Whether this is a signal. Signals are left out here, because [`rights`] reports the right to send them.
fn is_signal(by: &By) -> bool {
    *by == By::Signal
}

/// Checks that whoever has a member's memory, thread or other object in a slot also has the head's of the same kind.
fn objects(compartment: &Compartment, member: &str, view: &View, finding: &mut Finding) {
    let (own, head) = (Subject::domain(member), Subject::domain(&compartment.head));
    let others = view.in_slots().filter(|capability| {
        capability.object.owner() == Some(&own) && !compartment.has(capability.holder.name())
    });
    for capability in others {
        let held = view.in_slots().any(|other| {
            other.holder == capability.holder
                && other.object.owner() == Some(&head)
                && same_kind(&other.object, &capability.object)
        });
        if !held {
            finding.violation(format!(
                "{} holds {} ({}), but none of {head}'s",
                capability.holder,
                capability.object,
                view.at(capability)
            ));
        }
    }
}

fn same_kind(a: &Object, b: &Object) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}
