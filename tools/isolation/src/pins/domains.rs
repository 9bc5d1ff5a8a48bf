//! Domains and their channels, compared with the policy.

use super::variable;
use crate::claims::{Finding, list};
use crate::microkit::{PAGE, ipc_buffer, stack_top};
use crate::policy::{self, Policy};
use std::collections::BTreeSet;
use sysdesc::{Domain, End, System, Trigger};

/// Returns the number of variables set by its interrupts and its place as a child.
pub(super) fn check_domain(
    system: &System,
    domain: &Domain,
    policy: &Policy,
    finding: &mut Finding,
) -> usize {
    let Domain { name, line, .. } = domain;
    let mut variables = 0;
    match policy.domain.iter().find(|pin| pin.name == *name) {
        None => finding.violation(format!(
            "domain '{name}' (line {line}) has no [[domain]] in the policy"
        )),
        Some(pin) => {
            if domain.program_image != pin.program {
                finding.violation(format!(
                    "{name} (line {line}) runs '{}', but the policy demands '{}'",
                    domain.program_image, pin.program
                ));
            }
            if domain.fpu != pin.fpu {
                finding.violation(format!(
                    "{name} (line {line}) has fpu=\"{}\", but the policy demands \"{}\"",
                    domain.fpu, pin.fpu
                ));
            }
            let core = policy.core_of(name);
            if domain.cpu != core {
                finding.violation(format!(
                    "{name} (line {line}) runs on core {}, but the policy demands {core}",
                    domain.cpu
                ));
            }
            if !pin.stack.contains(domain.stack_size) {
                finding.violation(format!(
                    "{name} (line {line}) has a stack of {:#x} bytes, but the policy demands {}",
                    domain.stack_size, pin.stack
                ));
            }
            if !pin.period.contains(domain.period_us) {
                finding.violation(format!(
                    "{name} (line {line}) has a period of {} µs, but the policy demands {} to {}",
                    domain.period_us, pin.period.least, pin.period.most
                ));
            }
        }
    }
    for irq in &domain.irqs {
        variables += 1;
        // Interrupts that belong to no device, or to another domain's, are handled by P and I6.
        let Some(device) = policy.device_of_irq(irq.number) else {
            continue;
        };
        let place = format!("{name}'s IRQ {} (line {})", irq.number, irq.line);
        let must = match device.trigger {
            Some(policy::Trigger::Edge) => Trigger::Edge,
            Some(policy::Trigger::Level) | None => Trigger::Level,
        };
        if irq.trigger != must {
            let text = |trigger| match trigger {
                Trigger::Level => "level",
                Trigger::Edge => "edge",
            };
            finding.violation(format!(
                "{place} has trigger=\"{}\", the {} signals by {}",
                text(irq.trigger),
                device.name,
                text(must)
            ));
        }
        let (is, must) = (irq.setvar_id.as_ref(), device.variable.as_ref());
        variable(&place, "setvar_id", is, must, finding);
    }
    if let Some(parent) = &domain.parent {
        variables += 1;
        let of = &system.domains[parent.domain].name;
        let place = format!("{name} as a child of {of} (line {line})");
        let mut lines = policy.control.iter();
        match lines.find(|control| control.parent == *of && control.child == *name) {
            None => finding.violation(format!("{place} has no [[control]] in the policy")),
            Some(control) => {
                let (is, must) = (parent.setvar_id.as_ref(), Some(&control.variable));
                variable(&place, "setvar_id", is, must, finding);
            }
        }
    }
    variables += physical(system, domain, policy, finding);
    addresses(system, domain, policy, finding);
    variables
}

/// Checks that a program learns the physical address of a region that its device reads and writes, and no other.
fn physical(system: &System, domain: &Domain, policy: &Policy, finding: &mut Finding) -> usize {
    let Domain { name, line, .. } = domain;
    for physical in &domain.physical {
        let region = &system.regions[physical.region].name;
        let pin = policy.region.iter().find(|pin| pin.name == *region);
        let masters = |device: &policy::Device| {
            device.domain == *name && device.masters.as_ref() == Some(region)
        };
        if !policy.device.iter().any(masters) {
            finding.violation(format!(
                "{name} learns where '{region}' lies (line {}), but no device of its own reads and writes it by itself",
                physical.line
            ));
        }
        let place = format!("{name}'s setvar of '{region}' (line {})", physical.line);
        let must = pin.and_then(|pin| pin.physical.as_ref());
        variable(&place, "symbol", Some(&physical.symbol), must, finding);
    }
    let own = policy.device.iter().filter(|device| device.domain == *name);
    for region in own.filter_map(|device| device.masters.as_ref()) {
        let is_set = |it: &&sysdesc::Physical| system.regions[it.region].name == *region;
        if domain.physical.iter().filter(is_set).count() != 1 {
            finding.violation(format!(
                "{name} (line {line}) must learn where '{region}' lies, by one <setvar>: its device reads and writes it"
            ));
        }
    }
    domain.physical.len()
}

/// Checks that no mapping overlaps the program, its stack or its IPC buffer, or the pages between them.
fn addresses(system: &System, domain: &Domain, policy: &Policy, finding: &mut Finding) {
    let Domain { name, .. } = domain;
    let (top, buffer) = (stack_top(system.arch), ipc_buffer(system.arch));
    let bottom = top.saturating_sub(domain.stack_size);
    let taken = [
        ("the addresses of programs", 0, policy.programs.below),
        ("the page below its stack", bottom - PAGE, bottom),
        ("its stack", bottom, top),
        ("the page above its stack", top, buffer),
        ("its IPC buffer", buffer, buffer + PAGE),
    ];
    for map in &domain.maps {
        let region = &system.regions[map.region];
        let (start, end) = (map.vaddr, map.end(region));
        for (what, from, to) in taken {
            if start < to && from < end {
                finding.violation(format!(
                    "{name}'s mapping of '{}' (line {}) at [{start:#x}, {end:#x}) lies over {what}, [{from:#x}, {to:#x}): \
                     map it elsewhere",
                    region.name, map.line
                ));
            }
        }
    }
}

/// Returns the number of variables set by the channels.
pub(super) fn channels(system: &System, policy: &Policy, finding: &mut Finding) -> usize {
    let mut variables = 0;
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    for channel in &system.channels {
        let [a, b] = &channel.ends;
        let name = |end: &End| system.domains[end.domain].name.as_str();
        let place = format!(
            "the channel of {} and {} (line {})",
            name(a),
            name(b),
            channel.line
        );
        let named = |pin: &policy::Channel| pin.is_of(name(a), name(b));
        let Some(index) = policy.channel.iter().position(named) else {
            finding.violation(format!("{place} has no [[channel]] in the policy"));
            continue;
        };
        if !seen.insert(index) {
            finding.violation(format!(
                "{place} is the second channel of these two domains: the policy has one, and a program could confuse \
                their numbers"
            ));
            continue;
        }
        let pin = &policy.channel[index];
        for end in &channel.ends {
            variables += 1;
            let place = format!("{}'s end of {place}", name(end));
            if !end.notify {
                finding.violation(format!(
                    "{place} has notify=\"false\": what its program writes would not be seen"
                ));
            }
            let of = usize::from(pin.between[0] != name(end));
            let (is, must) = (end.setvar_id.as_ref(), Some(&pin.variables[of]));
            variable(&place, "setvar_id", is, must, finding);
        }
    }
    variables
}

/// Checks that audit's slots match the policy's clients: each is set completely, and no other is set.
///
/// The lines that follow from a client say the same for each variable. This check only gives better messages, about
/// slots and clients; nothing depends on it.
pub(super) fn clients(system: &System, policy: &Policy, finding: &mut Finding) {
    let clients = match system.clients() {
        Ok(clients) => clients,
        Err(error) => return finding.violation(format!("{} (line {})", error.problem, error.line)),
    };
    for client in &clients {
        let (name, slot, line) = (&client.domain.name, client.slot, client.line);
        let pinned = policy.client.iter().find(|pin| pin.domain == *name);
        match pinned {
            None => finding.violation(format!(
                "'{name}' is the client in {slot} of audit (line {line}) and has no [[client]] in the policy: write \
                 domain = \"{name}\" and slot = {} there, or remove the client",
                slot.0
            )),
            Some(pin) if pin.slot != slot.0 => finding.violation(format!(
                "'{name}' is the client in {slot} of audit (line {line}), but the policy has it in slot {}",
                pin.slot
            )),
            Some(_) => {}
        }
    }
    for pin in &policy.client {
        if !clients
            .iter()
            .any(|client| client.domain.name == pin.domain)
        {
            finding.violation(format!(
                "the policy has a [[client]] '{}', but audit has no slot that is set for it",
                pin.domain
            ));
        }
    }
    if finding.violations.is_empty() {
        let clients = clients
            .iter()
            .map(|client| format!("{} in {}", client.domain.name, client.slot));
        finding.evidence(format!("clients of audit: {}", list(clients)));
    }
}

/// Reports lines of the policy about things that do not exist, except domains, devices and channels, which P reports.
pub(super) fn missing(system: &System, policy: &Policy, finding: &mut Finding) {
    for pin in &policy.region {
        if system.region(&pin.name).is_none() {
            finding.violation(match &pin.ring {
                None => format!(
                    "the policy has a [[region]] '{}', which does not exist",
                    pin.name
                ),
                Some(ring) => format!(
                    "the policy has a [[client]] '{}', but its ring '{}' does not exist",
                    ring.client, pin.name
                ),
            });
        }
        if policy.accesses(&pin.name).is_empty() {
            finding.violation(format!(
                "the policy has a [[region]] '{}' but does not say that any domain maps it",
                pin.name
            ));
        }
    }
    for name in policy.scheduled() {
        if !policy.domain.iter().any(|pin| pin.name == name) {
            finding.violation(format!("the policy has no [[domain]] for '{name}'"));
        }
    }
}
