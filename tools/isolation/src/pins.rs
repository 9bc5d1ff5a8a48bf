//! Claim D: the description is what the programs rely on, down to the last attribute.
//!
//! It compares every region, mapping, domain, interrupt, child, channel and variable of the description with the
//! policy, both ways. The claims I1 to I8 state what would be a breach; this one states what would be a mistake, from a
//! ring that is a page too small to a variable with the wrong name.
//!
//! The rule that keeps it safe: whatever no line of the policy explains is a violation. Each violation names its line
//! in the description, the value, and what it must be.

mod domains;

use crate::claims::{Finding, list};
use crate::policy::{self, Policy};
use domains::{channels, check_domain, clients, missing};
use sysdesc::{Domain, Map, Region, System};

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
            "region '{name}' (line {line}) has {:#x} bytes, but the programs need {bounds}",
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
            "'{name}' has pages of {large:#x} bytes, because {in_small} small ones would be too many: a call that \
            cleans the cache of a page, which nothing interrupts, takes 512 times as long"
        ));
    } else if region.page_size != pin.page {
        finding.violation(format!(
            "region '{name}' (line {line}) has pages of {:#x} bytes, but the policy demands {:#x}{}",
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
            "region '{name}' (line {line}) has no page_size, so the Microkit tool may use pages of {large:#x} bytes: \
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
            "region '{name}' (line {line}) is {}, but the policy demands that it is {}",
            text(&region.prefill_path),
            text(&pin.prefill)
        ));
    }
    // I6 states where a device must be, and P that other regions must not have a fixed address.
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
                        "region '{name}' is mapped in {} (line {}), but the policy has it in {} alone",
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
            "{place} has the permissions {is}, but the policy demands {must}"
        ));
    }
    if map.cached != access.cached {
        let text = |cached| if cached { "cached" } else { "uncached" };
        finding.violation(format!(
            "{place} is {}, it must be {}: memory must be cached alike for all that map it, and devices must not be \
            cached",
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
        "{place} has {}, but the program needs {}",
        quoted(is),
        quoted(must)
    ));
}

/// Checks that the initialiser can create all pages.
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
