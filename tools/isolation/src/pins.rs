//! Claim D: the description is what the programs rely on, down to the last attribute.
//!
//! It compares every region, mapping, domain, interrupt, child, channel and variable of the description with the
//! policy, both ways. The claims I1 to I8 state what would be a breach; this one states what would be a mistake, from a
//! ring that is a page too small to a variable with the wrong name.
//!
//! The rule that keeps it safe: whatever no line of the policy explains is a violation. Each violation names its line
//! in the description, the value, and what it must be.

use crate::claims::{Finding, list};
use crate::microkit::{PAGE, ipc_buffer, stack_top};
use crate::policy::{self, Policy};
use std::collections::BTreeSet;
use sysdesc::{Domain, End, Map, Region, System, Trigger};

/// Compares a description with the policy.
#[must_use]
pub fn check(system: &System, policy: &Policy) -> Finding {
    let mut finding = Finding::default();
    let mut variables = 0;
    clients(system, policy, &mut finding);
    for region in &system.regions {
        variables += check_region(system, region, policy, &mut finding);
    }
    for domain in &system.domains {
        variables += check_domain(system, domain, policy, &mut finding);
    }
    variables += channels(system, policy, &mut finding);
    missing(system, policy, &mut finding);
    pages(system, policy, &mut finding);
    finding.evidence(format!(
        "{} regions, {} domains, {} channels and {variables} variables, each as the policy has it",
        system.regions.len(),
        system.domains.len(),
        system.channels.len()
    ));
    finding
}

/// Returns the number of variables set by its mappings.
fn check_region(system: &System, region: &Region, policy: &Policy, finding: &mut Finding) -> usize {
    let Region { name, line, .. } = region;
    let Some(pin) = policy.region.iter().find(|pin| pin.name == *name) else {
        finding.violation(format!(
            "region '{name}' (line {line}) has no [[region]] in the policy: remove it, or write there what it is for"
        ));
        return 0;
    };
    let bounds = pin.bytes.bounds();
    if !bounds.contains(region.size) {
        finding.violation(format!(
            "region '{name}' (line {line}) has {:#x} bytes, the programs need {bounds}",
            region.size
        ));
    }
    let [small, large] = sysdesc::PAGE_SIZES;
    let in_small: u64 = system
        .regions
        .iter()
        .map(|region| region.size / small)
        .sum();
    let needs_large = in_small > policy.memory.most_pages;
    if pin.large_if_needed && needs_large && region.page_size == large {
        finding.evidence(format!(
            "'{name}' has pages of {large:#x} bytes, as {in_small} small ones would be too many: one call to clean the cache \
             of a page, which nothing interrupts, takes 512 times as long"
        ));
    } else if region.page_size != pin.page {
        finding.violation(format!(
            "region '{name}' (line {line}) has pages of {:#x} bytes, the policy demands {:#x}{}",
            region.page_size,
            pin.page,
            if pin.large_if_needed {
                " as long as there are not too many of them"
            } else {
                ""
            }
        ));
    }
    if !region.has_page_size && region.size.is_multiple_of(large) {
        finding.violation(format!(
            "region '{name}' (line {line}) has no page_size, so that the Microkit tool may take pages of {large:#x} bytes: \
             write page_size=\"{:#x}\"",
            pin.page
        ));
    }
    if region.prefill_path != pin.prefill {
        let text = |file: &Option<String>| match file {
            Some(file) => format!("filled from '{file}'"),
            None => "filled from no file".to_owned(),
        };
        finding.violation(format!(
            "region '{name}' (line {line}) is {}, the policy demands that it is {}",
            text(&region.prefill_path),
            text(&pin.prefill)
        ));
    }
    // For a device, I6 states where it must be; for any other region with a fixed address, P that it must not have one.
    if let Some(must) = pin.phys_addr
        && region.phys_addr != Some(must)
    {
        finding.violation(format!(
            "region '{name}' (line {line}) does not lie at physical address {must:#x}, which the policy demands"
        ));
    }

    let accesses = policy.accesses(name);
    let mut variables = 0;
    for domain in &system.domains {
        let of_region = |map: &&Map| system.regions[map.region].name == *name;
        let maps: Vec<_> = domain.maps.iter().filter(of_region).collect();
        let access = accesses.iter().find(|(who, _)| *who == domain.name);
        match (access, &maps[..]) {
            (None, []) => {}
            (None, maps) => {
                for map in maps {
                    finding.violation(format!(
                        "region '{name}' is mapped in {} (line {}), the policy has it in {} alone",
                        domain.name,
                        map.line,
                        list(accesses.iter().map(|(who, _)| who))
                    ));
                }
            }
            (Some(_), []) => finding.violation(format!(
                "region '{name}' (line {line}) is not mapped in {}, whose program needs it",
                domain.name
            )),
            (Some((_, access)), [map, more @ ..]) => {
                for again in more {
                    finding.violation(format!(
                        "region '{name}' is mapped in {} a second time (line {}; the first is line {})",
                        domain.name, again.line, map.line
                    ));
                }
                check_map(domain, map, name, *access, pin, finding);
                variables += 1 + usize::from(pin.size.is_some());
            }
        }
    }
    variables
}

fn check_map(
    domain: &Domain,
    map: &Map,
    region: &str,
    access: policy::Access,
    pin: &policy::Region,
    finding: &mut Finding,
) {
    let place = format!(
        "{}'s mapping of '{region}' (line {})",
        domain.name, map.line
    );
    let perms = |read: bool, write, execute| {
        let letters = [(read, 'r'), (write, 'w'), (execute, 'x')];
        let letters = letters.into_iter().filter(|(has, _)| *has);
        letters.map(|(_, letter)| letter).collect::<String>()
    };
    let is = perms(map.perms.read, map.perms.write, map.perms.execute);
    let must = perms(true, access.write, false);
    if is != must {
        finding.violation(format!(
            "{place} has the permissions {is}, the policy demands {must}"
        ));
    }
    if map.cached != access.cached {
        let text = |cached| if cached { "cached" } else { "uncached" };
        finding.violation(format!(
            "{place} is {}, it must be {}: all who map memory must see it through the same cache, and no device is memory",
            text(map.cached),
            text(access.cached)
        ));
    }
    let (address, size) = pin.variables(&domain.name);
    let set = [
        ("setvar_vaddr", &map.setvar_vaddr, Some(address)),
        ("setvar_size", &map.setvar_size, size),
        ("setvar_prefill_size", &map.setvar_prefill_size, None),
    ];
    for (attribute, is, must) in set {
        variable(&place, attribute, is.as_ref(), must, finding);
    }
}

/// Compares the name of a variable.
fn variable(
    place: &str,
    attribute: &str,
    is: Option<&String>,
    must: Option<&String>,
    finding: &mut Finding,
) {
    if is == must {
        return;
    }
    let quoted = |name: Option<&String>| match name {
        Some(name) => format!("{attribute}=\"{name}\""),
        None => format!("no {attribute}"),
    };
    finding.violation(format!(
        "{place} has {}, the program needs {}",
        quoted(is),
        quoted(must)
    ));
}

/// Returns the number of variables set by its interrupts and its place as a child.
fn check_domain(system: &System, domain: &Domain, policy: &Policy, finding: &mut Finding) -> usize {
    let Domain { name, line, .. } = domain;
    let mut variables = 0;
    match policy.domain.iter().find(|pin| pin.name == *name) {
        None => finding.violation(format!(
            "domain '{name}' (line {line}) has no [[domain]] in the policy"
        )),
        Some(pin) => {
            if domain.program_image != pin.program {
                finding.violation(format!(
                    "{name} (line {line}) runs '{}', the policy demands '{}'",
                    domain.program_image, pin.program
                ));
            }
            if domain.fpu != pin.fpu {
                finding.violation(format!(
                    "{name} (line {line}) has fpu=\"{}\", the policy demands \"{}\"",
                    domain.fpu, pin.fpu
                ));
            }
            let core = policy.core_of(name);
            if domain.cpu != core {
                finding.violation(format!(
                    "{name} (line {line}) runs on core {}, the policy demands {core}",
                    domain.cpu
                ));
            }
            if !pin.stack.contains(domain.stack_size) {
                finding.violation(format!(
                    "{name} (line {line}) has a stack of {:#x} bytes, the policy demands {}",
                    domain.stack_size, pin.stack
                ));
            }
            if !pin.period.contains(domain.period_us) {
                finding.violation(format!(
                    "{name} (line {line}) has a period of {} µs, the policy demands {} to {}",
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

/// A program learns the physical address of a region that its device reads and writes, and no other.
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
                "{name} learns where '{region}' lies (line {}), and no device of its own reads and writes it by itself",
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

/// No mapping overlaps the program, its stack or its IPC buffer, or the pages between them.
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
fn channels(system: &System, policy: &Policy, finding: &mut Finding) -> usize {
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
                "{place} is a second one of these two: the policy has one, and a program could take its number for another"
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

/// Audit's slots match the policy's clients: each set completely, and no other.
///
/// The lines that follow from a client state the same for each variable. This states it for slots and clients, for
/// people; nothing depends on it.
fn clients(system: &System, policy: &Policy, finding: &mut Finding) {
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
                 domain = \"{name}\" and slot = {} there, or take it out",
                slot.0
            )),
            Some(pin) if pin.slot != slot.0 => finding.violation(format!(
                "'{name}' is the client in {slot} of audit (line {line}), the policy has it in slot {}",
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
                "the policy has a [[client]] '{}', and audit has no slot that is set for it",
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

/// The initialiser can create all pages.
fn pages(system: &System, policy: &Policy, finding: &mut Finding) {
    let count = |region: &Region| region.size / region.page_size;
    let total: u64 = system.regions.iter().map(count).sum();
    let most = policy.memory.most_pages;
    if total > most
        && let Some(largest) = system.regions.iter().max_by_key(|region| count(region))
    {
        finding.violation(format!(
            "all regions together have {total} pages, the initialiser makes at most {most}: the largest is '{}' (line {}) \
             with {}",
            largest.name,
            largest.line,
            count(largest)
        ));
    }
}

/// Lines of the policy about things that do not exist. Domains, devices and channels are handled by P.
fn missing(system: &System, policy: &Policy, finding: &mut Finding) {
    for pin in &policy.region {
        if system.region(&pin.name).is_none() {
            finding.violation(match &pin.ring {
                None => format!(
                    "the policy has a [[region]] '{}', which does not exist",
                    pin.name
                ),
                Some(ring) => format!(
                    "the policy has a [[client]] '{}', and its ring '{}' is not there",
                    ring.client, pin.name
                ),
            });
        }
        if policy.accesses(&pin.name).is_empty() {
            finding.violation(format!(
                "the policy has a [[region]] '{}' and says of no domain that it maps it",
                pin.name
            ));
        }
    }
    for name in policy.scheduled() {
        if !policy.domain.iter().any(|pin| pin.name == name) {
            finding.violation(format!("the policy has no [[domain]] of '{name}'"));
        }
    }
}
