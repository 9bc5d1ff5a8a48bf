//! Claim A: the image contains exactly what the description and Microkit's table explain.

use crate::capability::{Capability, Object, Place, Private, Subject};
use crate::claims::Finding;
use crate::microkit::{Configuration, Row};
use crate::view::{Turn, View};
use std::collections::BTreeMap;
use sysdesc::{System, Trigger};

/// Compares the image with the description, and explains every capability of the image.
#[must_use]
pub fn check(
    system: &System,
    expected: &View,
    image: &mut View,
    configuration: Configuration,
) -> Finding {
    let mut finding = Finding::default();
    for oddity in &image.image.oddities {
        finding.violation(oddity.clone());
    }
    let mut wanted: BTreeMap<(Subject, Place), &Capability> = BTreeMap::new();
    for capability in &expected.capabilities {
        wanted.insert(
            (capability.holder.clone(), capability.place.clone()),
            capability,
        );
    }

    let mut explained = [0_usize; 2];
    for found in &mut image.capabilities {
        let holder = &found.holder;
        let key = (holder.clone(), found.place.clone());
        let Some(want) = wanted.remove(&key) else {
            if let Some(row) = program(found) {
                found.origin = crate::capability::Origin::Microkit(row);
                explained[1] += 1;
                continue;
            }
            let hint = match (&found.place, &found.object) {
                (Place::Slot(crate::microkit::slot::OWN_TCB), Object::Tcb(of)) if of == holder => {
                    " (row B1: is this an image of the benchmark configuration?)"
                }
                _ => "",
            };
            finding.violation(format!(
                "{holder}: {} holds {} ({}), which neither system.xml nor Microkit's table explains{hint}",
                found.place, found.object, found.rights
            ));
            continue;
        };
        found.origin = want.origin.clone();
        explained[usize::from(!matches!(
            want.origin,
            crate::capability::Origin::Description { .. }
        ))] += 1;
        if found.object != want.object {
            finding.violation(format!(
                "{holder}: {} holds {}, but {} demands {}",
                found.place, found.object, want.origin, want.object
            ));
        } else if found.rights != want.rights {
            finding.violation(format!(
                "{holder}: {} ({}) has {}, but {} demands {}",
                found.place, found.object, found.rights, want.origin, want.rights
            ));
        } else if found.badge != want.badge {
            let what = if matches!(found.object, Object::CNode(_) | Object::RootCNode(_)) {
                "a guard of"
            } else {
                "badge"
            };
            finding.violation(format!(
                "{holder}: {} ({}) has {what} {:#x}, but {} demands {:#x}",
                found.place, found.object, found.badge, want.origin, want.badge
            ));
        } else if found.cached != want.cached {
            let state = |cached| if cached { "cached" } else { "uncached" };
            finding.violation(format!(
                "{holder}: {} ({}) is {}, but {} demands {}",
                found.place,
                found.object,
                state(found.cached),
                want.origin,
                state(want.cached)
            ));
        }
    }
    for missing in wanted.values() {
        finding.violation(format!(
            "{}: {} does not hold {}, which {} demands",
            missing.holder, missing.place, missing.object, missing.origin
        ));
    }

    threads(expected, image, &mut finding);
    for irq in system.domains.iter().flat_map(|domain| &domain.irqs) {
        let must = match irq.trigger {
            Trigger::Level => 0,
            Trigger::Edge => 1,
        };
        let is = image.image.triggers.get(&irq.number).copied();
        if is.is_some_and(|is| is != must) {
            finding.violation(format!(
                "IRQ {} has trigger {}, but line {} demands {must}",
                irq.number,
                is.unwrap_or_default(),
                irq.line
            ));
        }
    }
    for domain in &system.domains {
        for irq in &domain.irqs {
            let target = image.image.targets.get(&irq.number).copied();
            let must = u64::from(domain.cpu);
            if let Some(target) = target.filter(|target| *target != must) {
                finding.violation(format!(
                    "IRQ {} goes to core {target}, but line {} demands {must}, where {} runs",
                    irq.number, irq.line, domain.name
                ));
            }
        }
    }
    memory(system, image, &mut finding);
    finding.evidence(format!(
        "{} objects, {} capabilities: {} explained by system.xml, {} by rows {} to {} of Microkit's table{}",
        image.image.objects,
        image.capabilities.len(),
        explained[0],
        explained[1],
        Row::Input.id(),
        Row::Monitor.id(),
        if configuration == Configuration::Benchmark { " and B1" } else { "" },
    ));
    finding
}

/// The row that explains a page of a program; the description does not give their number.
fn program(found: &Capability) -> Option<Row> {
    let (Place::Page { .. }, Object::Private { of, what, .. }) = (&found.place, &found.object)
    else {
        return None;
    };
    if *what != Private::Program || *of != found.holder {
        return None;
    }
    Some(match of {
        Subject::Monitor => Row::Monitor,
        Subject::Domain(_) => Row::Memory,
    })
}

fn threads(expected: &View, image: &View, finding: &mut Finding) {
    for want in &expected.threads {
        let subject = &want.subject;
        let Some(found) = image.thread(subject) else {
            finding.violation(format!("the image has no thread of {subject}"));
            continue;
        };
        let numbers = [
            ("priority", Some(found.priority), Some(want.priority)),
            (
                "maximum priority",
                Some(found.max_priority),
                Some(want.max_priority),
            ),
            ("core", Some(found.core), Some(want.core)),
            (
                "partition",
                Some(found.partition.into()),
                Some(want.partition.into()),
            ),
            ("budget", found.budget_us, want.budget_us),
            ("period", found.period_us, want.period_us),
        ];
        for (what, is, must) in numbers.into_iter().filter(|(_, is, must)| is != must) {
            let text =
                |number: Option<u64>| number.map_or("none".to_owned(), |number| number.to_string());
            finding.violation(format!(
                "{subject}'s thread has {what} {}, but system.xml demands {}",
                text(is),
                text(must)
            ));
        }
        if found.fpu != want.fpu {
            finding.violation(format!(
                "{subject}'s thread has fpu {}, but system.xml demands {}",
                found.fpu, want.fpu
            ));
        }
    }
    if image.schedule != expected.schedule {
        let text = |turns: &[Turn]| {
            let turns = turns
                .iter()
                .map(|turn| format!("{} for {} µs", turn.partition, turn.duration_us));
            turns.collect::<Vec<_>>().join(", ")
        };
        finding.violation(format!(
            "the image's schedule of partitions is [{}], but system.xml demands [{}]",
            text(&image.schedule),
            text(&expected.schedule)
        ));
    }
    for subject in image.subjects() {
        if expected.thread(subject).is_none() {
            finding.violation(format!(
                "the image has a thread of {subject}, but system.xml does not"
            ));
        }
    }
}

/// Locations of regions, and what fills them.
fn memory(system: &System, image: &View, finding: &mut Finding) {
    let frames = &image.image.frames;
    for (index, region) in system.regions.iter().enumerate() {
        let pages = region.size / region.page_size;
        // A program learns its address, so the Microkit tool had to choose one.
        let mut learnt = system.domains.iter().flat_map(|domain| &domain.physical);
        let is_placed = region.phys_addr.is_none() && learnt.any(|it| it.region == index);
        for page in 0..pages {
            let name = &region.name;
            let Some(&(paddr, bits)) = frames.get(&(name.clone(), page)) else {
                finding.violation(format!("the image has no page {page} of region '{name}'"));
                break;
            };
            let must = region
                .phys_addr
                .map(|start| start + page * region.page_size);
            let lies_well = paddr == must || is_placed && paddr.is_some();
            if !lies_well || 1_u64.checked_shl(bits.into()) != Some(region.page_size) {
                let text =
                    |at: Option<u64>| at.map_or("anywhere".to_owned(), |at| format!("at {at:#x}"));
                finding.violation(format!(
                    "page {page} of region '{name}' lies {} with 2^{bits} bytes, but system.xml demands {} and {:#x} bytes",
                    text(paddr),
                    text(must),
                    region.page_size
                ));
            }
        }
        let (filled, must) = (
            image.image.prefilled.contains(&region.name),
            region.prefill_path.is_some(),
        );
        if filled != must {
            finding.violation(format!(
                "region '{}' is {}prefilled, but system.xml demands {}",
                region.name,
                if filled { "" } else { "not " },
                if must { "that it is" } else { "that it is not" }
            ));
        }
    }
    for (name, page) in frames.keys() {
        let known = system.region(name);
        if known.is_none_or(|region| *page >= region.size / region.page_size) {
            finding.violation(format!(
                "the image has page {page} of region '{name}', but system.xml does not"
            ));
        }
    }
    programs(system, image, finding);
}

/// The tool numbers ELF files in the description's order of domains; the monitor's comes last.
fn programs(system: &System, image: &View, finding: &mut Finding) {
    let files = system
        .domains
        .iter()
        .map(|domain| Subject::domain(&domain.name));
    for (must, subject) in files.chain([Subject::Monitor]).enumerate() {
        let filled = image.image.programs.get(&subject);
        if filled.is_none() {
            finding.violation(format!("{subject}'s program is filled from no ELF file"));
        }
        for file in filled.into_iter().flatten().filter(|file| **file != must) {
            finding.violation(format!(
                "{subject}'s program is filled from ELF file {file}, not from its own, {must}"
            ));
        }
    }
}
