//! Claim E: the programs' files fit the description.
//!
//! From each ELF file it reads which variables the Microkit tool must set, where the program is loaded, and the numbers
//! that it relies on (`facts!` of pds/sel4/runtime). It compares them with the description, with Microkit's layout and
//! with the other programs.
//!
//! The rule that keeps it safe: a program declares what it needs, and the description must provide exactly that. A
//! missing declaration is an error, so a program built without one never passes. Only a client may omit one thing, if
//! the policy allows it: which of its data are variables, which a foreign linker script does not declare. Then the
//! variables that the description sets must exist, and no more is known.

mod program;

pub use program::{Program, ProgramError, Segment};

use crate::claims::Finding;
use crate::microkit::{PAGE, ipc_buffer, stack_top};
use crate::policy::{Bytes, Named, Policy};
use program::{FACT, VARIABLES, WORD};
use std::collections::{BTreeMap, BTreeSet};
use sysdesc::clients::Slot;
use sysdesc::{Arch, Domain, System};

/// Compares the files, by domain name, with the description.
#[must_use]
pub fn check(system: &System, policy: &Policy, programs: &BTreeMap<String, Program>) -> Finding {
    let mut finding = Finding::default();
    for domain in &system.domains {
        let Some(program) = programs.get(&domain.name) else {
            finding.violation(format!("{} has no program", domain.name));
            continue;
        };
        variables(system, domain, program, policy, &mut finding);
        place(system, domain, program, policy, &mut finding);
        slots(domain, program, policy, &mut finding);
        rings(domain, program, policy, &mut finding);
        stack(system.arch, domain, program, &mut finding);
        children(system, domain, programs, program, &mut finding);
        finding.evidence(format!(
            "{}: {} variables, {} segments, {}",
            domain.program_image,
            program.variables.len(),
            program.segments.len(),
            program
                .facts
                .iter()
                .map(|(name, value)| format!("{name} = {value:#x}"))
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    finding
}

/// Every variable of a domain's program that the description sets, with its line.
fn set(system: &System, domain: &Domain) -> BTreeMap<String, u32> {
    let mut set = BTreeMap::new();
    let mut add = |name: &Option<String>, line: u32| {
        if let Some(name) = name {
            set.insert(name.clone(), line);
        }
    };
    for map in &domain.maps {
        for name in [
            &map.setvar_vaddr,
            &map.setvar_size,
            &map.setvar_prefill_size,
        ] {
            add(name, map.line);
        }
    }
    for irq in &domain.irqs {
        add(&irq.setvar_id, irq.line);
    }
    for physical in &domain.physical {
        add(&Some(physical.symbol.clone()), physical.line);
    }
    let of = |index: usize| system.domains[index].name == domain.name;
    for channel in &system.channels {
        for end in channel.ends.iter().filter(|end| of(end.domain)) {
            add(&end.setvar_id, channel.line);
        }
    }
    for child in &system.domains {
        if let Some(parent) = child.parent.as_ref().filter(|parent| of(parent.domain)) {
            add(&parent.setvar_id, child.line);
        }
    }
    set
}

fn variables(
    system: &System,
    domain: &Domain,
    program: &Program,
    policy: &Policy,
    finding: &mut Finding,
) {
    let Domain {
        name,
        program_image: file,
        line,
        ..
    } = domain;
    let set = set(system, domain);
    for (variable, line) in &set {
        match program.variables.get(variable) {
            None => finding.violation(format!(
                "{file} has no variable '{variable}', which system.xml sets for {name} (line {line})"
            )),
            Some(&WORD) => {}
            Some(size) => finding.violation(format!(
                "{file}'s variable '{variable}' has {size} bytes, the Microkit tool writes {WORD} (line {line})"
            )),
        }
    }
    // The variables of a slot of audit without a client stay unset, so that audit sees that the slot is free. The same
    // holds for members of a compartment that are left out.
    let is_free = |variable: &str| {
        let slot = Slot::of_variable(variable).filter(|_| *name == policy.mediation.mediator);
        slot.is_some_and(|slot| policy.client.iter().all(|client| client.slot != slot.0))
            || policy.is_unset(name, variable)
    };
    let Some([start, end]) = program.patched else {
        let pin = policy.domain.iter().find(|pin| pin.name == *name);
        if pin.is_none_or(|pin| pin.marked) {
            finding.violation(format!(
                "{file} does not say which variables it needs ('{}' to '{}'): link it with pds/sel4/pd.ld, or write \
                 marked = false in {name}'s [[domain]]",
                VARIABLES[0], VARIABLES[1]
            ));
        }
        return;
    };
    for variable in program.variables.keys() {
        if !set.contains_key(variable) && !is_free(variable) {
            finding.violation(format!(
                "{file} needs the variable '{variable}', but nothing in system.xml sets it for {name} (line {line})"
            ));
        }
    }
    let is_constant = |segment: &&Segment| {
        segment.start <= start && end <= segment.end && !segment.write && !segment.execute
    };
    if start < end && !program.segments.iter().any(|segment| is_constant(&segment)) {
        finding.violation(format!(
            "{file} has its variables at [{start:#x}, {end:#x}), which is in no read-only segment: a restart would \
            lose them"
        ));
    }
}

/// Checks that the program is within the addresses for programs, and that no mapping overlaps it.
fn place(
    system: &System,
    domain: &Domain,
    program: &Program,
    policy: &Policy,
    finding: &mut Finding,
) {
    let file = &domain.program_image;
    let bottom = stack_top(system.arch).saturating_sub(domain.stack_size);
    for segment in &program.segments {
        let Segment {
            start,
            end,
            write,
            execute,
        } = *segment;
        if start < policy.programs.from || end > policy.programs.below {
            finding.violation(format!(
                "{file} has a segment at [{start:#x}, {end:#x}), programs must lie in [{:#x}, {:#x})",
                policy.programs.from, policy.programs.below
            ));
        }
        if write && execute {
            finding.violation(format!(
                "{file} has a segment at [{start:#x}, {end:#x}) that is writable and executable"
            ));
        }
        for map in &domain.maps {
            let region = &system.regions[map.region];
            let (from, to) = (map.vaddr, map.end(region));
            if start / PAGE * PAGE < to && from < end.next_multiple_of(PAGE) {
                finding.violation(format!(
                    "{}'s mapping of '{}' (line {}) at [{from:#x}, {to:#x}) lies over its program {file} at [{start:#x}, {end:#x})",
                    domain.name, region.name, map.line
                ));
            }
        }
        if start < ipc_buffer(system.arch) + PAGE && bottom - PAGE < end {
            finding.violation(format!(
                "{file} has a segment at [{start:#x}, {end:#x}), where {}'s stack lies",
                domain.name
            ));
        }
    }
    for (n, one) in program.segments.iter().enumerate() {
        for other in &program.segments[n + 1..] {
            let pages = |it: &Segment| (it.start / PAGE, it.end.div_ceil(PAGE));
            let ((from, to), (first, last)) = (pages(one), pages(other));
            if from < last && first < to {
                finding.violation(format!(
                    "{file} has segments at [{:#x}, {:#x}) and [{:#x}, {:#x}) that share a page: link them to \
                    separate pages, because a shared page has the rights of both (a note from a compiler for Linux? \
                    -Wl,--build-id=none)",
                    one.start, one.end, other.start, other.end
                ));
            }
        }
    }
    let runs = |address: u64| {
        let mut segments = program.segments.iter();
        segments.any(|segment| segment.execute && (segment.start..segment.end).contains(&address))
    };
    for (what, address) in [
        ("begins", Some(program.entry)),
        ("is restarted", program.reset),
    ] {
        if let Some(address) = address.filter(|address| !runs(*address)) {
            finding.violation(format!(
                "{file} {what} at {address:#x}, where it has no code"
            ));
        }
    }
}

/// Checks that the mediator's program has all variables for each place for a client.
fn slots(domain: &Domain, program: &Program, policy: &Policy, finding: &mut Finding) {
    if domain.name != policy.mediation.mediator {
        return;
    }
    let file = &domain.program_image;
    let names = program.variables.keys();
    let slots: BTreeSet<_> = names.filter_map(|name| Slot::of_variable(name)).collect();
    for slot in &slots {
        let variables = slot.variables().all();
        let mut lacking = variables
            .iter()
            .filter(|name| !program.variables.contains_key(*name));
        if let Some(lacks) = lacking.next() {
            finding.violation(format!(
                "{file} has variables of {slot}, but not '{lacks}', so a client there could not be set up completely"
            ));
        }
    }
    finding.evidence(format!(
        "{file} has places for {} clients, {} taken",
        slots.len(),
        policy.client.len()
    ));
}

/// Checks that a program with a ring knows the ring's size and speaks the protocol that this checker was built with. So
/// a client built against another version is detected here, and not when nobody answers it.
fn rings(domain: &Domain, program: &Program, policy: &Policy, finding: &mut Finding) {
    let has_ring = policy.region.iter().any(|region| {
        let is_ring = region.bytes == Bytes::Named(Named::Ring);
        let accesses = policy.accesses(&region.name);
        is_ring && accesses.iter().any(|(who, _)| *who == domain.name)
    });
    if has_ring {
        let bytes = Bytes::Named(Named::Ring).bounds().least;
        let version = u64::from(protocol::VERSION);
        for (name, must, of) in [
            ("ring_bytes", bytes, "protocol::ring::REGION_BYTES"),
            ("protocol_version", version, "protocol::VERSION"),
        ] {
            fact(domain, program, name, must, of, finding);
        }
    }
}

/// Checks that a program that clears its stack knows where the stack is.
fn stack(arch: Arch, domain: &Domain, program: &Program, finding: &mut Finding) {
    let told: BTreeSet<_> = program.facts.keys().map(String::as_str).collect();
    if !told.contains("stack_top") && !told.contains("stack_bytes") && program.reset.is_none() {
        return;
    }
    fact(
        domain,
        program,
        "stack_top",
        stack_top(arch),
        "Microkit's layout",
        finding,
    );
    let size = domain.stack_size;
    let of = format!("stack_size in system.xml (line {})", domain.line);
    fact(domain, program, "stack_bytes", size, &of, finding);
}

/// Checks that a parent knows where its child restarts.
fn children(
    system: &System,
    domain: &Domain,
    programs: &BTreeMap<String, Program>,
    program: &Program,
    finding: &mut Finding,
) {
    let children = system.domains.iter().filter(|child| {
        let parent = child.parent.as_ref().map(|parent| parent.domain);
        parent.is_some_and(|parent| system.domains[parent].name == domain.name)
    });
    for child in children {
        let file = &child.program_image;
        match programs.get(&child.name).map(|program| program.reset) {
            None => {}
            Some(None) => finding.violation(format!(
                "{file} has no symbol '_reset', where {} restarts {}: prepare it with sel4-reset-cli",
                domain.name, child.name
            )),
            Some(Some(reset)) => {
                let of = format!("_reset of {file}");
                fact(domain, program, "child_reset", reset, &of, finding);
            }
        }
        fact(
            domain,
            program,
            "child_stack_top",
            stack_top(system.arch),
            "Microkit's layout",
            finding,
        );
    }
}

/// Compares a number that a program relies on.
fn fact(
    domain: &Domain,
    program: &Program,
    name: &str,
    must: u64,
    of: &str,
    finding: &mut Finding,
) {
    let file = &domain.program_image;
    match program.facts.get(name) {
        None => finding.violation(format!(
            "{file} does not declare {FACT}{name}, which must be {must:#x} ({of})"
        )),
        Some(is) if *is == must => {}
        Some(is) => finding.violation(format!(
            "{file} relies on {FACT}{name} = {is:#x}, but {of} is {must:#x}: build it again"
        )),
    }
}
