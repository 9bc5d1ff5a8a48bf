//! I2 to I6: what the mappings say.

use super::{Finding, list};
use crate::capability::{Object, Place, Private, Subject};
use crate::graph::{Graph, Node};
use crate::policy::{Device, Mediation, Policy};
use crate::view::{Input, View};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn one_writer(view: &View, policy: &Policy, finding: &mut Finding) {
    for (name, mappings) in view.regions() {
        let writers: Vec<_> = mappings.iter().filter(|mapping| mapping.write).collect();
        let common = policy
            .compartment
            .iter()
            .find(|compartment| compartment.regions.iter().any(|region| region == name));
        if let Some(compartment) = common {
            for mapping in mappings
                .iter()
                .filter(|it| !compartment.has(it.subject.name()))
            {
                finding.violation(format!(
                    "region '{name}' is mapped in {} ({}), which is not in the compartment of {}, its writer",
                    mapping.subject,
                    view.at(mapping.first),
                    compartment.head
                ));
            }
            let members = mappings.iter().map(|mapping| mapping.subject);
            finding.evidence(format!("{name}: {}, one compartment", list(members)));
            continue;
        }
        if writers.len() > 1 {
            let places = writers.iter().map(|mapping| view.at(mapping.first));
            finding.violation(format!(
                "region '{name}' has {} writers ({})",
                writers.len(),
                list(places)
            ));
        }
        if mappings.len() < 2 {
            continue;
        }
        let Some(shared) = policy.shared.iter().find(|shared| shared.region == name) else {
            if policy
                .constant
                .iter()
                .all(|constant| constant.region != name)
            {
                let places = mappings.iter().map(|mapping| view.at(mapping.first));
                finding.violation(format!(
                    "region '{name}' is shared ({}), but the policy has no [[shared]] or [[constant]] for it",
                    list(places)
                ));
            }
            continue;
        };
        for mapping in &mappings {
            let may_write = mapping.subject.name() == shared.writer;
            let may_read = may_write
                || shared
                    .readers
                    .iter()
                    .any(|reader| reader == mapping.subject.name());
            if mapping.write && !may_write {
                finding.violation(format!(
                    "region '{name}' is writable in {} ({}), but its writer is {}",
                    mapping.subject,
                    view.at(mapping.first),
                    shared.writer
                ));
            }
            if !may_read {
                finding.violation(format!(
                    "region '{name}' is mapped in {} ({}), which is neither its writer {} nor a reader",
                    mapping.subject,
                    view.at(mapping.first),
                    shared.writer
                ));
            }
        }
        if writers.is_empty() {
            finding.violation(format!(
                "region '{name}' has no writer; it should be {}",
                shared.writer
            ));
        } else {
            finding.evidence(format!(
                "{name}: {} → {}",
                shared.writer,
                list(&shared.readers)
            ));
        }
    }
    for (first, second) in &view.image.aliases {
        finding.violation(format!(
            "frames '{first}' and '{second}' are the same physical memory"
        ));
    }
    // Pages outside all regions must not be mapped by two subjects.
    let mut pages: BTreeMap<&Object, BTreeSet<&Subject>> = BTreeMap::new();
    for capability in &view.capabilities {
        if let (Object::Private { of, .. }, Place::Page { .. }) =
            (&capability.object, &capability.place)
            && *of != capability.holder
        {
            pages
                .entry(&capability.object)
                .or_default()
                .insert(&capability.holder);
        }
    }
    for (object, holders) in pages {
        finding.violation(format!("{object} is mapped in {}", list(holders)));
    }
}

pub(super) fn private(view: &View, policy: &Policy, finding: &mut Finding) {
    let regions = view.regions();
    for private in &policy.private {
        let mappings = regions
            .get(private.region.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut alone = !mappings.is_empty();
        let owners = policy.owners(&private.region, &private.domain);
        for mapping in mappings
            .iter()
            .filter(|m| !owners.contains(&m.subject.name()))
        {
            alone = false;
            finding.violation(format!(
                "region '{}' is mapped in {} ({}), but it belongs to {} alone",
                private.region,
                mapping.subject,
                view.at(mapping.first),
                list(&owners)
            ));
        }
        if alone {
            finding.evidence(format!("{} only in {}", private.region, list(&owners)));
        }
    }
}

pub(super) fn constant(view: &View, policy: &Policy, finding: &mut Finding) {
    let regions = view.regions();
    for constant in &policy.constant {
        let mappings = regions
            .get(constant.region.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        for mapping in mappings {
            if mapping.write {
                finding.violation(format!(
                    "region '{}' is writable in {} ({}), but nobody may write it",
                    constant.region,
                    mapping.subject,
                    view.at(mapping.first)
                ));
            }
            if !constant
                .readers
                .iter()
                .any(|reader| reader == mapping.subject.name())
            {
                finding.violation(format!(
                    "region '{}' is mapped in {} ({}), but its readers are {}",
                    constant.region,
                    mapping.subject,
                    view.at(mapping.first),
                    list(&constant.readers)
                ));
            }
        }
        let readers = mappings.iter().map(|mapping| mapping.subject);
        finding.evidence(format!(
            "{} read by {}, written by nobody",
            constant.region,
            list(readers)
        ));
    }
}

pub(super) fn writable_or_executable(view: &View, policy: &Policy, finding: &mut Finding) {
    for (name, mappings) in view.regions() {
        let places = |of: &dyn Fn(&crate::view::Mapping<'_>) -> bool| {
            list(
                mappings
                    .iter()
                    .filter(|mapping| of(mapping))
                    .map(|mapping| view.at(mapping.first)),
            )
        };
        let write = mappings.iter().any(|mapping| mapping.write);
        let execute = mappings.iter().any(|mapping| mapping.execute);
        if write && execute {
            finding.violation(format!(
                "region '{name}' is writable ({}) and executable ({})",
                places(&|mapping| mapping.write),
                places(&|mapping| mapping.execute)
            ));
        }
        if execute && !policy.execution.regions.iter().any(|region| region == name) {
            finding.violation(format!(
                "region '{name}' is executable ({}), but the policy does not have it in execution.regions",
                places(&|mapping| mapping.execute)
            ));
        }
    }
    // Programs, stacks and IPC buffers, page by page, because all pages of a program share a label.
    let mut executable = 0_usize;
    let mut pages = 0_usize;
    for capability in &view.capabilities {
        let (Object::Private { of, what, .. }, Place::Page { vaddr }) =
            (&capability.object, &capability.place)
        else {
            continue;
        };
        pages += 1;
        executable += usize::from(capability.rights.execute);
        if capability.rights.execute && (capability.rights.write || *what != Private::Program) {
            finding.violation(format!(
                "{of}'s {what} is mapped {} at {vaddr:#x} in {}",
                capability.rights, capability.holder
            ));
        }
    }
    if finding.violations.is_empty() && policy.execution.regions.is_empty() {
        finding.evidence("no region is executable".to_owned());
    }
    if view.input == Input::Image && finding.violations.is_empty() {
        finding.evidence(format!(
            "{pages} pages of programs, stacks and IPC buffers: {executable} executable, none of those writable"
        ));
    }
}

/// A device that reads and writes memory by itself has authority over all of it. So its domain must be trusted, and
/// only that domain may map the memory that the device should use.
fn master(view: &View, policy: &Policy, device: &Device, region: &str, finding: &mut Finding) {
    let (what, owner) = (&device.name, &device.domain);
    if !policy.is_trusted(owner) {
        finding.violation(format!(
            "the {what} masters the bus, so {owner} has authority over all memory, but mediation.trusted does not \
            name it"
        ));
    }
    let regions = view.regions();
    let mappings = regions.get(region).map(Vec::as_slice).unwrap_or_default();
    for mapping in mappings.iter().filter(|it| it.subject.name() != owner) {
        finding.violation(format!(
            "region '{region}', which the {what} reads and writes by itself, is mapped in {} ({}), but belongs to \
            {owner}",
            mapping.subject,
            view.at(mapping.first)
        ));
    }
    if mappings.is_empty() {
        finding.violation(format!(
            "nobody maps region '{region}', which the {what} must read and write"
        ));
    }
    finding.evidence(format!(
        "the {what} masters the bus: {owner} is trusted to give it no address outside region '{region}', because \
        nothing else prevents that"
    ));
}

pub(super) fn devices(view: &View, policy: &Policy, graph: &Graph, finding: &mut Finding) {
    let regions = view.regions();
    for device in &policy.device {
        let (what, owner) = (&device.name, &device.domain);
        let mut parts = Vec::new();
        if let Some(region) = &device.region {
            let mappings = regions
                .get(region.as_str())
                .map(Vec::as_slice)
                .unwrap_or_default();
            for mapping in mappings {
                if mapping.subject.name() != owner {
                    finding.violation(format!(
                        "device region '{region}' ({what}) is mapped in {} ({}), but it belongs to {owner}",
                        mapping.subject,
                        view.at(mapping.first)
                    ));
                } else if mapping.cached {
                    finding.violation(format!(
                        "device region '{region}' ({what}) is mapped cached ({})",
                        view.at(mapping.first)
                    ));
                }
            }
            if !mappings
                .iter()
                .any(|m| m.subject.name() == owner && m.read && m.write)
            {
                finding.violation(format!(
                    "{owner} does not have its {what}: no read-write mapping of region '{region}'"
                ));
            }
            match (view.physical.get(region), device.at, device.size) {
                (Some((start, size)), Some(at), Some(most)) if *start == at && *size <= most => {}
                (Some((start, size)), at, most) => finding.violation(format!(
                    "device region '{region}' ({what}) lies at {start:#x} with {size:#x} bytes, but the policy has {:#x} with at most {:#x}",
                    at.unwrap_or(0),
                    most.unwrap_or(0)
                )),
                (None, ..) => finding.violation(format!(
                    "device region '{region}' ({what}) has no physical address"
                )),
            }
            parts.push(format!("region {region}"));
        }
        if let Some(irq) = device.irq {
            let holds = |subject: &Subject| {
                let irqs = view.capabilities.iter().filter(move |capability| {
                    capability.object == Object::Irq(irq) && capability.holder == *subject
                });
                irqs.count() > 0
            };
            for subject in view.subjects().filter(|subject| holds(subject)) {
                if subject.name() != owner {
                    finding.violation(format!(
                        "{subject} has IRQ {irq} ({what}), but it belongs to {owner}"
                    ));
                }
            }
            if !holds(&Subject::domain(owner)) {
                finding.violation(format!("{owner} does not have its {what}: no IRQ {irq}"));
            }
            parts.push(format!("IRQ {irq}"));
        }
        finding.evidence(format!(
            "{what} ({}): {} to {owner}",
            device.model(),
            parts.join(" and ")
        ));
        if let Some(region) = &device.masters {
            master(view, policy, device, region, finding);
        }
    }
    // Subjects that must be kept apart reach each other's devices, and the mediator's, only through the mediator.
    let Mediation { mediator, .. } = &policy.mediation;
    let passes = |node: &Node| {
        matches!(node, Node::Subject(subject) if subject.name() == mediator
            || policy.is_trusted(subject.name()))
    };
    for from in policy.apart() {
        let node = Node::Subject(Subject::domain(from));
        for device in policy.device.iter().filter(|device| device.domain != from) {
            let to = Node::Device(device.name.clone());
            if let Some(path) = graph.path(&node, &to, passes) {
                let path: Vec<_> = path.iter().map(ToString::to_string).collect();
                finding.violation(format!(
                    "{from} reaches the {} without {mediator}: {}",
                    device.name,
                    path.join(" → ")
                ));
            }
        }
        if finding.violations.is_empty() {
            finding.evidence(format!(
                "{from} reaches no device of another domain except through {mediator}"
            ));
        }
    }
}
