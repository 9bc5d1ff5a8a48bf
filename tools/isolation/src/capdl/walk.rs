//! Turns a specification into a [`View`]: every capability that a thread of the image holds.
//!
//! Objects are labelled by their names, and no two have the same label (except the pages of a program). So if the
//! labelled graph is the one that the description demands, each label is on its own object and the authority is as
//! described, whether or not the names are right.

mod frames;
mod threads;

use super::format::{Cap, Object as Kind, ScheduleDuration, Spec};
use super::names::label;
use crate::capability::{Capability, Object, Origin, Place, Private, Rights, Subject, Thread};
use crate::view::{Image, Input, Turn, View};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use sysdesc::Arch;

/// The view of an image for this architecture.
#[must_use]
pub fn view(spec: &Spec, arch: Arch) -> View {
    let mut walk = Walk {
        arch,
        spec,
        labels: Vec::with_capacity(spec.objects.len()),
        reached: HashSet::new(),
        program: HashMap::new(),
        looked: HashSet::new(),
        tables: HashMap::new(),
        capabilities: Vec::new(),
        threads: Vec::new(),
        image: Image {
            objects: spec.objects.len(),
            ..Image::default()
        },
    };
    let schedule = walk.schedule();
    walk.header();
    walk.label();
    walk.irqs();
    for (index, object) in spec.objects.iter().enumerate() {
        match &object.object {
            Kind::Tcb(tcb) => walk.thread(index, tcb),
            Kind::Frame(frame) => walk.frame(index, frame),
            _ => {}
        }
    }
    walk.aliases();
    walk.leftovers();
    let physical = walk.physical();
    View {
        input: Input::Image,
        capabilities: walk.capabilities,
        threads: walk.threads,
        physical,
        schedule,
        partition_names: BTreeMap::new(),
        image: walk.image,
    }
}

struct Walk<'a> {
    arch: Arch,
    spec: &'a Spec,
    /// Label of each object.
    labels: Vec<Object>,
    /// Objects named by some capability.
    reached: HashSet<usize>,
    /// Where each page of a program is mapped.
    program: HashMap<usize, String>,
    /// CNodes already examined: the subject, the CNode, the bits left, and the bits it resolves.
    looked: HashSet<(Subject, usize, u32, u32)>,
    /// The subject whose address space contains a page table.
    tables: HashMap<usize, Subject>,
    capabilities: Vec<Capability>,
    threads: Vec<Thread>,
    image: Image,
}

impl<'a> Walk<'a> {
    fn odd(&mut self, text: impl Into<String>) {
        self.image.oddities.push(text.into());
    }

    fn name(&self, index: usize) -> &'a str {
        let object = self.spec.objects.get(index);
        object
            .and_then(|object| object.name.as_deref())
            .unwrap_or_default()
    }

    /// The turns of the time partitions: one cycle that begins with the first.
    fn schedule(&mut self) -> Vec<Turn> {
        let spec = self.spec;
        let entries = spec.domain_schedule.as_deref().unwrap_or_default();
        let start = spec.domain_set_start;
        if start != (!entries.is_empty()).then_some(0) {
            self.odd(format!(
                "a schedule of {} turns has domain_set_start {start:?}, not its first turn",
                entries.len()
            ));
        }
        let mut schedule = Vec::new();
        for entry in entries {
            match entry.duration {
                ScheduleDuration::Us(duration_us) => schedule.push(Turn {
                    partition: entry.domain,
                    duration_us,
                }),
                ScheduleDuration::Ticks(_) | ScheduleDuration::EndMarker => self.odd(format!(
                    "a turn of partition {} lasts {:?}, not microseconds",
                    entry.domain, entry.duration
                )),
            }
        }
        schedule
    }

    /// Checks parts that images without ASID or untyped objects leave empty.
    fn header(&mut self) {
        let spec = self.spec;
        let absent = [
            (spec.domain_idx_shift.is_none(), "domain_idx_shift"),
            (spec.asid_slots.is_empty(), "asid_slots"),
            (spec.untyped_covers.is_empty(), "untyped_covers"),
        ];
        for (_, name) in absent.iter().filter(|(absent, _)| !absent) {
            self.odd(format!(
                "'{name}' is not empty, although no description of this project needs it"
            ));
        }
        if (spec.root_objects.start, spec.root_objects.end) != (0, spec.objects.len()) {
            self.odd(format!(
                "root_objects is {} to {}, not all {} objects",
                spec.root_objects.start,
                spec.root_objects.end,
                spec.objects.len()
            ));
        }
    }

    fn label(&mut self) {
        let mut first: BTreeMap<Object, usize> = BTreeMap::new();
        for (index, object) in self.spec.objects.iter().enumerate() {
            let name = object.name.as_deref().unwrap_or_default();
            let label = label(&object.object, name);
            let many = matches!(
                &label,
                Object::Private {
                    what: Private::Program,
                    ..
                }
            ) || matches!(&object.object, Kind::PageTable(table) if !table.is_root);
            if !many && first.insert(label.clone(), index).is_some() {
                self.odd(format!("two objects are {label}"));
            }
            self.labels.push(label);
        }
    }

    fn irqs(&mut self) {
        for entry in &self.spec.irqs {
            let handler = self
                .spec
                .objects
                .get(entry.handler)
                .map(|object| &object.object);
            let (slots, trigger, target) = match (self.arch, handler) {
                (Arch::Aarch64, Some(Kind::ArmIrq(irq))) => {
                    (&irq.slots, irq.extra.trigger, irq.extra.target)
                }
                (Arch::Riscv64, Some(Kind::RiscvIrq(irq))) => (&irq.slots, irq.extra.trigger, 0),
                _ => {
                    self.odd(format!(
                        "the handler of IRQ {} is not an object for an interrupt of {}",
                        entry.irq,
                        self.arch.name()
                    ));
                    continue;
                }
            };
            self.reached.insert(entry.handler);
            if self.labels[entry.handler] != Object::Irq(entry.irq) {
                let named = self.labels[entry.handler].clone();
                self.odd(format!(
                    "the object of {named} is the handler of IRQ {}",
                    entry.irq
                ));
                self.labels[entry.handler] = Object::Irq(entry.irq);
            }
            self.image.triggers.insert(entry.irq, trigger);
            self.image.targets.insert(entry.irq, target);
            for slot in slots {
                if slot.slot != 0 {
                    self.odd(format!("IRQ {} has a slot {}", entry.irq, slot.slot));
                }
                // The receiver of the signal is whatever the slot names.
                let object = self.object(&slot.cap);
                let holder = object.owner().cloned().unwrap_or(Subject::domain("nobody"));
                self.hold(&holder, Place::Delivery { irq: entry.irq }, &slot.cap);
            }
        }
        let mut numbers = BTreeSet::new();
        for entry in &self.spec.irqs {
            if !numbers.insert(entry.irq) {
                self.odd(format!("IRQ {} has two handlers", entry.irq));
            }
        }
    }

    /// Checks that a page of a program is mapped only once: its label does not distinguish it, so a page that is
    /// writable in one place and executable in another would go unnoticed.
    fn once(&mut self, subject: &Subject, vaddr: u64, cap: &Cap) {
        let index = cap.body.object.unwrap_or(usize::MAX);
        let what = Private::Program;
        if !matches!(self.labels.get(index), Some(Object::Private { what: of, .. }) if *of == what)
        {
            return;
        }
        let here = format!("{vaddr:#x} in {subject}");
        if let Some(there) = self.program.insert(index, here.clone()) {
            self.odd(format!(
                "frame '{}' is mapped at {there} and at {here}",
                self.name(index)
            ));
        }
    }

    /// The object of a capability.
    fn object(&self, cap: &Cap) -> Object {
        let index = cap.body.object.unwrap_or(usize::MAX);
        let other = || Object::Other {
            kind: cap.kind.clone(),
            name: self.name(index).to_owned(),
        };
        let Some(object) = self.spec.objects.get(index) else {
            return other();
        };
        let fits = match cap.kind.as_str() {
            "ArmIrqHandler" => matches!(object.object, Kind::ArmIrq(_)),
            "RiscvIrqHandler" => matches!(object.object, Kind::RiscvIrq(_)),
            "Tcb" => matches!(object.object, Kind::Tcb(_)),
            kind => object.object.kind() == kind,
        };
        if fits {
            self.labels[index].clone()
        } else {
            other()
        }
    }

    fn hold(&mut self, holder: &Subject, place: Place, cap: &Cap) {
        let object = self.object(cap);
        if let Some(index) = cap.body.object {
            self.reached.insert(index);
        }
        let body = &cap.body;
        if body.guard.unwrap_or(0) != 0 {
            self.odd(format!(
                "{holder}: {place} has a guard of {:#x}, not 0",
                body.guard.unwrap_or(0)
            ));
        }
        let rights = body.rights.unwrap_or_default();
        self.capabilities.push(Capability {
            holder: holder.clone(),
            place,
            object,
            rights: Rights {
                read: rights.read,
                write: rights.write,
                grant: rights.grant,
                grant_reply: rights.grant_reply,
                execute: body.executable.unwrap_or(false),
            },
            badge: body.badge.or(body.guard_size.map(u64::from)).unwrap_or(0),
            cached: body.cached.unwrap_or(true),
            origin: Origin::Image,
        });
    }
}
