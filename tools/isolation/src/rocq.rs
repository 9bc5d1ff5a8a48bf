//! The instance for the proofs: a description, and the slots of an image, as Rocq data in the format of
//! `proofs/INSTANCE-FORMAT.md`.

use crate::capability::{Capability, Object, Place, Subject};
use crate::view::View;
use std::fmt::Write;
use sysdesc::{Domain, End, Region, System};

const PRELUDE: &str = "\
From Coq Require Import List NArith String.
From SeL4LLM Require Import Description.
Import ListNotations.
Local Open Scope string_scope.
Local Open Scope N_scope.
";

/// `Instance.v` of a description read from `file`.
#[must_use]
pub fn instance(system: &System, file: &str) -> String {
    let regions = system.regions.iter().map(region);
    let domains = system.domains.iter().map(|pd| domain(system, pd));
    let channels = system.channels.iter().map(|channel| {
        let [a, b] = channel.ends.each_ref().map(|end| end_of(system, end));
        format!("    {{| end_a := {a};\n       end_b := {b} |}}")
    });
    format!(
        "(* Generated from {file} by tools/isolation. Do not edit. *)\n{PRELUDE}\n\
         Definition system : description := {{|\n\
         \x20 regions := {};\n\x20 domains := {};\n\x20 channels := {};\n\x20 extras := []\n|}}.\n",
        block(regions, "  "),
        block(domains, "  "),
        block(channels, "  "),
    )
}

/// `Image.v`: every slot of every CNode of an image. Anything the proofs cannot represent is an error.
///
/// # Errors
/// The first such capability, for people.
pub fn image(view: &View, file: &str) -> Result<String, String> {
    let slots = view.in_slots().map(|capability| {
        let (cnode, slot) = match &capability.place {
            Place::Slot(slot) => ("Inner", slot),
            Place::RootSlot(slot) => ("Root", slot),
            place => {
                return Err(format!(
                    "{}: {place} is in no CNode of Microkit's",
                    capability.holder
                ));
            }
        };
        let holder = subject(&capability.holder);
        Ok(format!(
            "  {{| extra_cnode := {cnode} {holder}; extra_slot := {slot}; extra_cap := {} |}}",
            cap(capability)?
        ))
    });
    let slots = slots.collect::<Result<Vec<_>, _>>()?.into_iter();
    Ok(format!(
        "(* Generated from {file} by tools/isolation. Do not edit. *)\n{PRELUDE}\n\
         Definition image : list extra_capability := {}.\n",
        block(slots, "")
    ))
}

/// A list, one entry per line.
fn block(entries: impl Iterator<Item = String>, indent: &str) -> String {
    let entries: Vec<_> = entries.collect();
    if entries.is_empty() {
        return "[]".to_owned();
    }
    format!("[\n{}\n{indent}]", entries.join(";\n"))
}

fn region(region: &Region) -> String {
    let physical = match region.phys_addr {
        Some(at) => format!("Some {at:#x}"),
        None => "None".to_owned(),
    };
    format!(
        "    {{| region_name := \"{}\"; region_size := {:#x}; region_phys := {physical}; region_prefilled := {} |}}",
        region.name,
        region.size,
        region.prefill_path.is_some()
    )
}

fn domain(system: &System, domain: &Domain) -> String {
    let parent = match &domain.parent {
        Some(parent) => format!(
            "Some (\"{}\", {})",
            system.domains[parent.domain].name, parent.id
        ),
        None => "None".to_owned(),
    };
    let maps = domain.maps.iter().map(|map| {
        format!(
            "         {{| map_region := \"{}\"; map_read := {}; map_write := {}; map_execute := {} |}}",
            system.regions[map.region].name, map.perms.read, map.perms.write, map.perms.execute
        )
    });
    let irqs = domain.irqs.iter().map(|irq| {
        format!(
            "         {{| irq_number := {}; irq_id := {} |}}",
            irq.number, irq.id
        )
    });
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "    {{| pd_name := \"{}\"; pd_parent := {parent}; pd_priority := {}; pd_budget := {}; pd_period := {}; pd_cpu := {};\n\
         \x20      pd_maps := {};\n\x20      pd_irqs := {} |}}",
        domain.name,
        domain.priority,
        domain.budget_us,
        domain.period_us,
        domain.cpu,
        block(maps, "       "),
        block(irqs, "       ")
    );
    text
}

fn end_of(system: &System, end: &End) -> String {
    format!(
        "{{| end_pd := \"{}\"; end_id := {}; end_notify := {}; end_pp := false |}}",
        system.domains[end.domain].name, end.id, end.notify
    )
}

fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Domain(name) => format!("(Pd \"{name}\")"),
        Subject::Monitor => "Monitor".to_owned(),
    }
}

fn cap(capability: &Capability) -> Result<String, String> {
    let Capability { rights, badge, .. } = capability;
    let rights = || {
        format!(
            "{{| may_read := {}; may_write := {}; may_grant := {} |}}",
            rights.read,
            rights.write,
            rights.grant || rights.grant_reply
        )
    };
    Ok(match &capability.object {
        Object::Notification(of) => format!("CNotification {} {badge} {}", subject(of), rights()),
        Object::Endpoint(of) => format!("CEndpoint {} {badge} {}", subject(of), rights()),
        Object::Reply(of) => format!("CReply {}", subject(of)),
        Object::Tcb(of) => format!("CTcb {}", subject(of)),
        Object::VSpace(of) => format!("CVSpace {}", subject(of)),
        Object::SchedContext(of) => format!("CSchedContext {}", subject(of)),
        Object::Irq(number) => format!("CIrqHandler {number}"),
        // The walk refuses guards other than 0; the size is stored where other kinds have their badge.
        Object::CNode(of) => format!("CCNode (Inner {}) {badge} 0 9", subject(of)),
        Object::RootCNode(of) => format!("CCNode (Root {}) {badge} 0 6", subject(of)),
        Object::Region { name, .. } => format!("CFrame (Shared \"{name}\") {}", rights()),
        Object::Private { of, .. } => format!("CFrame (Private {}) {}", subject(of), rights()),
        Object::Other { kind, .. } => match kind.as_str() {
            "Untyped" => "CUntyped".to_owned(),
            "IrqControl" => "CIrqControl".to_owned(),
            "AsidControl" => "CAsidControl".to_owned(),
            "AsidPool" => "CAsidPool".to_owned(),
            "SchedControl" => "CSchedControl".to_owned(),
            "ArmSmc" => "CSmc".to_owned(),
            _ => {
                return Err(format!(
                    "{}: {} holds {}",
                    capability.holder, capability.place, capability.object
                ));
            }
        },
    })
}
