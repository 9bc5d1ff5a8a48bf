//! P: the policy accounts for everything in the description, and no line of the policy is unused.

use super::Finding;
use crate::capability::{Object, Subject};
use crate::graph::{Graph, Right};
use crate::policy::Policy;
use crate::view::{Input, View};
use std::collections::BTreeSet;

/// Microkit's own domain, which appears in no description.
const MONITOR: &str = "monitor";

pub(super) fn complete(view: &View, policy: &Policy, finding: &mut Finding) {
    let regions = view.regions();
    let domains: BTreeSet<&str> = view
        .subjects()
        .map(Subject::name)
        .filter(|name| *name != MONITOR)
        .collect();
    for thread in &view.threads {
        if thread.subject != Subject::Monitor && !policy.knows_domain(thread.subject.name()) {
            let place = match view.input {
                Input::Description => format!(" (line {})", thread.line),
                Input::Image => String::new(),
            };
            finding.violation(format!(
                "domain '{}'{place} has no place in the policy's scheduling.order, nor on another core",
                thread.subject
            ));
        }
    }

    for name in named_domains(policy) {
        if !domains.contains(name) {
            finding.violation(format!(
                "the policy names domain '{name}', which does not exist"
            ));
        }
    }
    let named = (policy.shared.iter().map(|shared| &shared.region))
        .chain(policy.private.iter().map(|private| &private.region))
        .chain(policy.constant.iter().map(|constant| &constant.region))
        .chain(policy.execution.regions.iter())
        .chain(
            policy
                .device
                .iter()
                .filter_map(|device| device.region.as_ref()),
        );
    for name in named.collect::<BTreeSet<_>>() {
        if !regions.contains_key(name.as_str()) {
            finding.violation(format!(
                "the policy names region '{name}', which nobody maps"
            ));
        }
    }

    let irqs: BTreeSet<u64> = view
        .capabilities
        .iter()
        .filter_map(|capability| match capability.object {
            Object::Irq(number) => Some(number),
            _ => None,
        })
        .collect();
    for irq in &irqs {
        if policy.device_of_irq(*irq).is_none() {
            let holders: BTreeSet<_> = view
                .capabilities
                .iter()
                .filter(|capability| capability.object == Object::Irq(*irq))
                .map(|capability| view.at(capability))
                .collect();
            finding.violation(format!(
                "IRQ {irq} ({}) has no [[device]] in the policy",
                super::list(holders)
            ));
        }
    }

    for (name, (at, _)) in &view.physical {
        let pinned = policy.region.iter().find(|region| region.name == *name);
        let is_pinned = pinned.is_some_and(|region| region.phys_addr == Some(*at));
        // Its device is told its address, so the Microkit tool had to choose one.
        let is_mastered = policy
            .device
            .iter()
            .any(|device| device.masters.as_ref() == Some(name));
        if policy.device_of_region(name).is_none() && !is_pinned && !is_mastered {
            let mappings = regions
                .get(name.as_str())
                .map(Vec::as_slice)
                .unwrap_or_default();
            finding.violation(format!(
                "region '{name}' at physical address {at:#x} ({}) has no [[device]] in the policy, and its [[region]] \
                has no such phys_addr: ordinary memory needs no address; if this region must be there, say so in the \
                policy",
                super::list(mappings.iter().map(|mapping| view.at(mapping.first)))
            ));
        }
    }

    let graph = Graph::of(view, policy);
    let mut channels = BTreeSet::new();
    for (subject, rights) in &graph.rights {
        for other in rights.get(&Right::Notify).into_iter().flatten() {
            let pair = [subject.name(), other.as_str()];
            let mut allowed = policy.channel.iter();
            if !allowed.any(|channel| channel.is_of(subject.name(), other)) {
                finding.violation(format!(
                    "a channel from {subject} to {other} has no [[channel]] in the policy"
                ));
            }
            channels.insert(pair.map(str::to_owned));
        }
    }
    for [a, b] in policy.channel.iter().map(|channel| &channel.between) {
        let there = |from: &String, to: &String| channels.contains(&[from.clone(), to.clone()]);
        if !there(a, b) && !there(b, a) {
            finding.violation(format!(
                "the policy names a channel of {a} and {b}, which does not exist"
            ));
        }
    }
    finding.evidence(format!(
        "{} domains, {} mapped regions, {} interrupts",
        domains.len(),
        regions.len(),
        irqs.len()
    ));
}

fn named_domains(policy: &Policy) -> BTreeSet<&str> {
    let mut names: BTreeSet<&str> = policy.apart().into_iter().collect();
    names.insert(&policy.mediation.mediator);
    let pairs = policy.channel.iter().flat_map(|channel| &channel.between);
    names.extend(pairs.map(String::as_str));
    for shared in &policy.shared {
        names.insert(&shared.writer);
        names.extend(shared.readers.iter().map(String::as_str));
    }
    names.extend(policy.private.iter().map(|private| private.domain.as_str()));
    names.extend(
        policy
            .constant
            .iter()
            .flat_map(|constant| &constant.readers)
            .map(String::as_str),
    );
    names.extend(policy.device.iter().map(|device| device.domain.as_str()));
    names.extend(policy.scheduled());
    names.extend(policy.compartment.iter().flat_map(|it| it.all()));
    names.extend(policy.domains(&policy.scheduling.whole_budget));
    names.extend(
        policy
            .scheduling
            .part
            .iter()
            .map(|part| part.domain.as_str()),
    );
    let partitions = policy.partition.iter();
    let members = partitions.flat_map(|partition| policy.domains(&partition.domains));
    names.extend(members.filter(|name| *name != MONITOR));
    names.extend(policy.domain.iter().map(|domain| domain.name.as_str()));
    names.extend(
        policy
            .control
            .iter()
            .flat_map(|control| [control.parent.as_str(), &control.child]),
    );
    names
}
