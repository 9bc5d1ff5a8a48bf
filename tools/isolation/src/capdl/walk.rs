//! Turns a specification into a [`View`]: every capability that a thread of the image holds.
//!
//! Objects are labelled by their names, and no two have the same label (except the pages of a program). So if the
//! labelled graph is the one that the description demands, each label is on its own object and the authority is as
//! described, whether or not the names are right.

use super::format::{Cap, Content, Data, Frame, Object as Kind, ScheduleDuration, Slot, Spec, Tcb};
use super::names::label;
use crate::capability::{
    Bound, Capability, Object, Origin, Place, Private, Rights, Subject, Thread,
};
use crate::microkit::{CNODE_BITS, ROOT_CNODE_BITS, ipc_buffer, stack_top};
use crate::view::{Image, Input, Turn, View};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use sysdesc::Arch;

/// Bits of address that a lookup of a capability resolves.
const LOOKUP_BITS: u32 = 64;
/// Level of a root page table and of the last one.
const fn levels(arch: Arch) -> (u8, u8) {
    match arch {
        // With 40 bits of address it starts at level 1.
        Arch::Aarch64 => (1, 3),
        // Sv39.
        Arch::Riscv64 => (0, 2),
    }
}

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
                "'{name}' is not empty, which no description of this project asks for"
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
                        "the handler of IRQ {} is no object for an interrupt of {}",
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

    fn thread(&mut self, index: usize, tcb: &Tcb) {
        self.reached.insert(index);
        let Object::Tcb(subject) = self.labels[index].clone() else {
            self.odd(format!(
                "a TCB is called '{}', not 'tcb_' and a domain",
                self.name(index)
            ));
            return;
        };
        let extra = &tcb.extra;
        let set = [
            (
                "address of the IPC buffer",
                extra.ipc_buffer_addr,
                ipc_buffer(self.arch),
            ),
            ("stack pointer", extra.sp, stack_top(self.arch)),
        ];
        for (what, is, must) in set.into_iter().filter(|(_, is, must)| is != must) {
            self.odd(format!(
                "{subject}'s thread has {what} {is:#x}, not {must:#x}"
            ));
        }
        if extra.master_fault_ep.is_some() || !extra.gprs.is_empty() || !extra.resume {
            self.odd(format!(
                "{subject}'s thread does not start as Microkit's threads do"
            ));
        }

        let mut time = None;
        for slot in &tcb.slots {
            let bound = bound(slot.slot);
            self.hold(&subject, Place::Bound(bound), &slot.cap);
            match (bound, slot.cap.kind.as_str()) {
                (Bound::CSpace, "CNode") => self.cspace(&subject, &slot.cap, LOOKUP_BITS),
                (Bound::VSpace, "PageTable") => {
                    self.table(&subject, &slot.cap, levels(self.arch).0, 0)
                }
                (Bound::SchedContext, "SchedContext") => {
                    let object = slot
                        .cap
                        .body
                        .object
                        .and_then(|index| self.spec.objects.get(index));
                    if let Some(Kind::SchedContext(context)) = object.map(|object| &object.object) {
                        time = Some(&context.extra);
                    }
                }
                _ => {}
            }
        }
        self.threads.push(Thread {
            subject,
            priority: extra.prio.into(),
            max_priority: extra.max_prio.into(),
            budget_us: time.map(|time| time.budget),
            period_us: time.map(|time| time.period),
            fpu: !extra.fpu_disabled,
            core: extra.affinity,
            partition: extra.domain.unwrap_or(0),
            line: 0,
        });
    }

    /// Visits every slot reachable through a capability to a CNode, with `bits` left to resolve.
    fn cspace(&mut self, subject: &Subject, cap: &Cap, bits: u32) {
        let index = cap.body.object.unwrap_or(usize::MAX);
        let Some(Kind::CNode(cnode)) = self.spec.objects.get(index).map(|object| &object.object)
        else {
            return;
        };
        let level = u32::from(cap.body.guard_size.unwrap_or(0)) + u32::from(cnode.size_bits);
        if level == 0 {
            self.odd(format!(
                "'{}' resolves no bits of a lookup",
                self.name(index)
            ));
            return;
        }
        if !self.looked.insert((subject.clone(), index, bits, level)) {
            return;
        }
        let label = self.labels[index].clone();
        let must = match label {
            Object::RootCNode(Subject::Domain(_)) => ROOT_CNODE_BITS,
            _ => CNODE_BITS,
        };
        if cnode.size_bits != must {
            self.odd(format!(
                "'{}' has 2^{} slots, not 2^{must}",
                self.name(index),
                cnode.size_bits
            ));
        }
        for Slot { slot, cap } in &cnode.slots {
            let place = if label == Object::RootCNode(subject.clone()) {
                Place::RootSlot(*slot)
            } else if label == Object::CNode(subject.clone()) {
                Place::Slot(*slot)
            } else {
                let cnode = self.name(index).to_owned();
                Place::Foreign { cnode, slot: *slot }
            };
            let at = place.to_string();
            if u64::from(*slot)
                .checked_shr(cnode.size_bits.into())
                .unwrap_or(0)
                != 0
            {
                self.odd(format!("'{}' has no {at}", self.name(index)));
            }
            self.hold(subject, place, cap);
            if cap.kind != "CNode" {
                continue;
            }
            match bits.cmp(&level) {
                Ordering::Equal => self.image.nameable_cnodes.push((subject.clone(), at)),
                Ordering::Greater => self.cspace(subject, cap, bits - level),
                // The lookup fails, which does not happen in Microkit's CSpaces.
                Ordering::Less => self.odd(format!(
                    "{subject}: no lookup of {LOOKUP_BITS} bits reaches {at}"
                )),
            }
        }
    }

    /// Visits every page reachable through a capability to a page table.
    fn table(&mut self, subject: &Subject, cap: &Cap, level: u8, base: u64) {
        let index = cap.body.object.unwrap_or(usize::MAX);
        let name = self.name(index);
        let Some(Kind::PageTable(table)) =
            self.spec.objects.get(index).map(|object| &object.object)
        else {
            self.odd(format!("{subject}: a page table at {base:#x} is not one"));
            return;
        };
        let (root, last) = levels(self.arch);
        self.reached.insert(index);
        if let Some(other) = self.tables.insert(index, subject.clone()) {
            self.odd(format!(
                "page table '{name}' is in the address space of {other} and of {subject}"
            ));
            if other == *subject {
                return;
            }
        }
        if table.is_root != (level == root) || table.level != Some(level) || table.x86_ept {
            self.odd(format!("page table '{name}' is not of level {level}"));
        }
        let shift = 12 + 9 * u32::from(last - level.min(last));
        for Slot { slot, cap } in &table.slots {
            let vaddr = base + (u64::from(*slot) << shift);
            match cap.kind.as_str() {
                "PageTable" if level < last => self.table(subject, cap, level + 1, vaddr),
                "Frame" => {
                    let object = cap
                        .body
                        .object
                        .and_then(|index| self.spec.objects.get(index));
                    if let Some(Kind::Frame(frame)) = object.map(|object| &object.object)
                        && u32::from(frame.size_bits) != shift
                    {
                        let name = object
                            .and_then(|object| object.name.as_deref())
                            .unwrap_or_default();
                        self.odd(format!(
                            "{subject}: frame '{name}' of 2^{} bytes is mapped as one of 2^{shift}",
                            frame.size_bits
                        ));
                    }
                    self.once(subject, vaddr, cap);
                    self.hold(subject, Place::Page { vaddr }, cap);
                }
                kind => self.odd(format!(
                    "{subject}: page table '{name}' maps a {kind} at {vaddr:#x}"
                )),
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

    /// Location of a frame, and what fills it.
    fn frame(&mut self, index: usize, frame: &Frame) {
        let name = self.name(index);
        let label = self.labels[index].clone();
        if let Object::Region { name, page } = &label {
            let place = (frame.paddr, frame.size_bits);
            self.image.frames.insert((name.clone(), *page), place);
        } else if let Some(paddr) = frame.paddr {
            self.odd(format!(
                "'{name}' must lie at {paddr:#x}, which belongs to no region"
            ));
        }
        for entry in &frame.init.entries {
            match (&entry.content, &label) {
                (Content::Data(Data::BytesContent(_)), Object::Region { name, .. }) => {
                    self.image.prefilled.insert(name.clone());
                }
                (
                    Content::Data(Data::ElfContent(elf)),
                    Object::Private {
                        of,
                        what: Private::Program,
                        ..
                    },
                ) => {
                    self.image
                        .programs
                        .entry(of.clone())
                        .or_default()
                        .insert(elf.elf_id);
                }
                (Content::BootInfo(_), _) => {
                    self.odd(format!("'{name}' is filled with boot information"))
                }
                (Content::Data(Data::ElfContent(elf)), _) => {
                    self.odd(format!("'{name}' is filled from ELF file {}", elf.elf_id));
                }
                (Content::Data(Data::BytesContent(_)), _) => {
                    self.odd(format!("'{name}' is prefilled"))
                }
            }
        }
    }

    /// Where regions with a fixed place begin, and their total size. Claim A checks that their pages are consecutive.
    fn physical(&self) -> BTreeMap<String, (u64, u64)> {
        let mut regions: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for ((name, _), (at, size_bits)) in &self.image.frames {
            if let Some(at) = *at {
                let (start, size) = regions.entry(name.clone()).or_insert((at, 0));
                *start = at.min(*start);
                *size = size.saturating_add(bytes(*size_bits));
            }
        }
        regions
    }

    fn aliases(&mut self) {
        let frames = self
            .spec
            .objects
            .iter()
            .enumerate()
            .filter_map(|(index, object)| {
                let Kind::Frame(frame) = &object.object else {
                    return None;
                };
                frame
                    .paddr
                    .map(|start| (start, start.saturating_add(bytes(frame.size_bits)), index))
            });
        let mut frames: Vec<_> = frames.collect();
        frames.sort_unstable();
        for pair in frames.windows(2) {
            if pair[1].0 < pair[0].1 {
                let names = (
                    self.name(pair[0].2).to_owned(),
                    self.name(pair[1].2).to_owned(),
                );
                self.image.aliases.push(names);
            }
        }
    }

    fn leftovers(&mut self) {
        for (index, object) in self.spec.objects.iter().enumerate() {
            // A region that nobody maps is unreachable memory.
            let region = matches!(self.labels[index], Object::Region { .. });
            if !region && !self.reached.contains(&index) {
                let kind = object.object.kind();
                self.odd(format!(
                    "object '{}' of kind {kind} is nobody's",
                    self.name(index)
                ));
            }
        }
    }
}

/// Size of a frame.
fn bytes(size_bits: u8) -> u64 {
    1_u64.checked_shl(size_bits.into()).unwrap_or(u64::MAX)
}

fn bound(slot: u32) -> Bound {
    match slot {
        0 => Bound::CSpace,
        1 => Bound::VSpace,
        4 => Bound::IpcBuffer,
        5 => Bound::FaultEndpoint,
        6 => Bound::SchedContext,
        8 => Bound::Notification,
        other => Bound::Other(other),
    }
}
