//! I1, I7 and I8: claims about the kernel's objects.

mod scheduling;

pub(super) use scheduling::scheduling;

use super::{Finding, either, list};
use crate::capability::{Bound, Object, Place, Subject};
use crate::graph::{Graph, Node};
use crate::microkit::{MONITOR_PRIORITY, slot};
use crate::policy::Policy;
use crate::view::{Input, Mapping, View};
use std::collections::BTreeSet;

pub(super) fn mediation(view: &View, policy: &Policy, graph: &Graph, finding: &mut Finding) {
    let apart: Vec<_> = policy.apart().into_iter().map(Subject::domain).collect();
    let pairs = apart.iter().enumerate().flat_map(|(index, first)| {
        let rest = apart[index + 1..].iter();
        rest.map(move |second| (first, second))
    });
    let apart_from = |(a, b): &(&Subject, &Subject)| !policy.are_together(a.name(), b.name());
    for (a, b) in pairs.filter(apart_from) {
        regions(view, a, b, finding);
        endpoints(view, policy, a, b, finding);
        paths(policy, graph, a, b, finding);
    }
    objects(view, policy, &apart, finding);
    if !finding.violations.is_empty() {
        return;
    }
    let regions = view.regions();
    for subject in &apart {
        let is_its = |mappings: &Vec<Mapping<'_>>| mappings.iter().any(|m| m.subject == subject);
        let mapped = regions.iter().filter(|(_, mappings)| is_its(mappings));
        let others = apart
            .iter()
            .filter(|other| !policy.are_together(other.name(), subject.name()));
        finding.evidence(format!(
            "{subject} maps {}, none of which is mapped in {}",
            list(mapped.map(|(name, _)| *name)),
            either(others)
        ));
    }
    finding.evidence(format!(
        "no flow between two of {} is left when {} is taken away",
        list(&apart),
        policy.mediation.mediator
    ));
}

/// Checks that no region is mapped in both.
fn regions(view: &View, a: &Subject, b: &Subject, finding: &mut Finding) {
    for (name, mappings) in view.regions() {
        let of = |subject: &Subject| mappings.iter().find(|mapping| mapping.subject == subject);
        if let (Some(first), Some(second)) = (of(a), of(b)) {
            finding.violation(format!(
                "{a} and {b} share region '{name}' ({}; {})",
                view.at(first.first),
                view.at(second.first)
            ));
        }
    }
}

/// Checks that no subject holds a capability to another's objects.
fn objects(view: &View, policy: &Policy, apart: &[Subject], finding: &mut Finding) {
    for capability in &view.capabilities {
        let holder = &capability.holder;
        let Some(owner) = capability.object.owner() else {
            continue;
        };
        let together = policy.are_together(holder.name(), owner.name());
        if apart.contains(holder) && apart.contains(owner) && !together {
            let what = match capability.object {
                Object::Notification(_) => "a channel to ",
                _ => "",
            };
            finding.violation(format!(
                "{holder} holds {what}{} ({}; {})",
                capability.object,
                capability.rights,
                view.at(capability)
            ));
        }
    }
}

/// Checks that they share no endpoint, except that two clients share the monitor's, where their faults go. By row M2
/// neither can receive the other's messages there. For the engine the check does not rely on row M2.
fn endpoints(view: &View, policy: &Policy, a: &Subject, b: &Subject, finding: &mut Finding) {
    let held = |subject: &Subject| {
        let held = view.capabilities.iter().filter(|capability| {
            capability.holder == *subject && matches!(capability.object, Object::Endpoint(_))
        });
        held.map(|capability| capability.object.clone())
            .collect::<BTreeSet<_>>()
    };
    let both_clients = policy.is_client(a.name()) && policy.is_client(b.name());
    for shared in held(a).intersection(&held(b)) {
        let owner = shared
            .owner()
            .filter(|owner| policy.is_trusted(owner.name()));
        if let Some(owner) = owner.filter(|_| both_clients) {
            finding.evidence(format!(
                "{a} and {b} both hold {shared} for their faults, and {owner} always receives from it first (row M2)"
            ));
            continue;
        }
        finding.violation(format!(
            "{a} and {b} both hold {shared}, so each could receive what the other sends"
        ));
    }
}

/// Checks that no flow between them bypasses the mediator.
fn paths(policy: &Policy, graph: &Graph, a: &Subject, b: &Subject, finding: &mut Finding) {
    let mediator = &policy.mediation.mediator;
    let avoid = |node: &Node| {
        matches!(node, Node::Subject(subject) if subject.name() == mediator
            || policy.is_trusted(subject.name()))
    };
    for (from, to) in [(a, b), (b, a)] {
        let (from, to) = (Node::Subject(from.clone()), Node::Subject(to.clone()));
        if let Some(path) = graph.path(&from, &to, avoid) {
            let path: Vec<_> = path.iter().map(ToString::to_string).collect();
            finding.violation(format!("a flow avoids {mediator}: {}", path.join(" → ")));
        }
        if let Some(path) = graph.path(&from, &to, |node| *node == Node::Subject(Subject::Monitor))
        {
            let path: Vec<_> = path.iter().map(ToString::to_string).collect();
            finding.evidence(format!("shortest flow {}", path.join(" → ")));
        }
    }
}

pub(super) fn confinement(view: &View, policy: &Policy, finding: &mut Finding) {
    slots(view, policy, finding);
    bindings(view, policy, finding);
    for (subject, place) in &view.image.nameable_cnodes {
        finding.violation(format!(
            "{subject}: {place} holds a CNode that a lookup of 64 bits can name: {subject} could copy and move capabilities"
        ));
    }
    for control in &policy.control {
        let (parent, child) = (
            Subject::domain(&control.parent),
            Subject::domain(&control.child),
        );
        let holds = view.in_slots().any(|capability| {
            capability.holder == parent && capability.object == Object::Tcb(child.clone())
        });
        if !holds {
            finding.violation(format!(
                "{parent} does not hold {child}'s TCB: it could not restart it"
            ));
        }
        let handler = view.capabilities.iter().find(|capability| {
            capability.holder == child && capability.place == Place::Bound(Bound::FaultEndpoint)
        });
        match handler {
            Some(fault) if fault.object == Object::Endpoint(parent.clone()) => {}
            _ => finding.violation(format!("{child}'s faults do not go to {parent}")),
        }
        finding.evidence(format!("{parent} holds {child}'s TCB and gets its faults"));
    }
    match view.input {
        Input::Description => finding.evidence(
            "no protected procedure, passive domain, smc, cspace or virtual machine (the reader refuses them)",
        ),
        Input::Image if !finding.violations.is_empty() => {}
        Input::Image => {
            let slots = view.in_slots().count();
            finding.evidence(format!(
                "{slots} capabilities in slots: no Untyped, frame, page table but the own VSpace, ASID pool, scheduling context or IRQControl"
            ));
            finding.evidence("no CNode is nameable by a lookup of 64 bits".to_owned());
        }
    }
    finding.evidence("monitor holds the TCBs of all".to_owned());
}

/// Checks that slots contain only permitted kinds, whatever the description says.
fn slots(view: &View, policy: &Policy, finding: &mut Finding) {
    for capability in view.in_slots() {
        let holder = &capability.holder;
        let own = capability.object.owner() == Some(holder);
        let allowed = match &capability.object {
            Object::Reply(_) | Object::VSpace(_) => own,
            Object::Notification(_) | Object::Irq(_) => true,
            // Where the holder receives faults, or where its own go.
            Object::Endpoint(_) => {
                own || matches!(capability.place, Place::Slot(slot::FAULT_ENDPOINT))
            }
            // The path to the slots; whether it can be named is computed separately.
            Object::CNode(_) => own && capability.place == Place::RootSlot(0),
            Object::Tcb(of) => {
                *holder == Subject::Monitor
                    || policy.control.iter().any(|control| {
                        control.parent == holder.name() && control.child == of.name()
                    })
                    // Row B1, which claim A accepts only in a benchmark image.
                    || (own && capability.place == Place::Slot(slot::OWN_TCB))
            }
            _ => false,
        };
        if !allowed {
            let kind = match &capability.object {
                Object::Region { .. } | Object::Private { .. } => "a frame capability to ",
                Object::VSpace(_) => "the foreign VSpace capability to ",
                Object::CNode(_) | Object::RootCNode(_) => "the CNode capability to ",
                Object::SchedContext(_) => "the scheduling context capability to ",
                _ => "",
            };
            finding.violation(format!(
                "{}: holds {kind}{}",
                view.at(capability),
                capability.object
            ));
        }
    }
}

/// Checks the facts that rows M2 and M6 of Microkit's table rely on.
fn bindings(view: &View, policy: &Policy, finding: &mut Finding) {
    let bound: BTreeSet<&Object> = view
        .capabilities
        .iter()
        .filter(|capability| {
            capability.place == Place::Bound(Bound::Notification)
                && capability.object.owner() == Some(&capability.holder)
        })
        .map(|capability| &capability.object)
        .collect();
    let mut reported = BTreeSet::new();
    for capability in view.in_slots() {
        if matches!(capability.object, Object::Notification(_))
            && capability.rights.read
            && !bound.contains(&capability.object)
            && reported.insert(&capability.object)
        {
            finding.violation(format!(
                "{} is bound to no thread of its owner, and {} may wait on it",
                capability.object, capability.holder
            ));
        }
    }
    for capability in view.in_slots() {
        let Object::Endpoint(owner) = &capability.object else {
            continue;
        };
        let priority = |subject: &Subject| view.thread(subject).map_or(0, |thread| thread.priority);
        let (above, below) = (priority(owner), priority(&capability.holder));
        if *owner != capability.holder && capability.rights.read && above <= below {
            finding.violation(format!(
                "{} may take messages from {}, whose priority {above} is not above its own {below}",
                capability.holder, capability.object
            ));
        }
        let core = |subject: &Subject| view.thread(subject).map(|thread| thread.core);
        if *owner != capability.holder
            && capability.rights.read
            && core(owner) != core(&capability.holder)
        {
            // While the owner is busy, this holder can receive what any other holder sends. That matters unless they
            // all belong to one compartment.
            let holders = view.in_slots().filter(|other| {
                other.object == capability.object
                    && other.holder != *owner
                    && !policy.are_together(other.holder.name(), capability.holder.name())
            });
            let others: BTreeSet<_> = holders.map(|other| &other.holder).collect();
            if others.is_empty() {
                finding.evidence(format!(
                    "{} may take from {} what is sent there, but only its own compartment sends (row M2)",
                    capability.holder, capability.object
                ));
            } else {
                finding.violation(format!(
                    "{} may take from {}, whose owner is on another core, what {} sends there: no priority holds it \
                    back (row M2)",
                    capability.holder,
                    capability.object,
                    list(others)
                ));
            }
        }
    }
    if let Some(monitor) = view.thread(&Subject::Monitor)
        && monitor.priority != MONITOR_PRIORITY
    {
        finding.violation(format!(
            "the monitor has priority {}, not {MONITOR_PRIORITY}",
            monitor.priority
        ));
    }
}
