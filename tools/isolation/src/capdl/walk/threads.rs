//! Threads, and the capabilities and tables that they reach.

use super::Walk;
use super::frames::bound;
use crate::capability::{Bound, Object, Place, Subject, Thread};
use crate::capdl::format::{Cap, Object as Kind, Slot, Tcb};
use crate::microkit::{CNODE_BITS, ROOT_CNODE_BITS, ipc_buffer, stack_top};
use std::cmp::Ordering;
use sysdesc::Arch;

impl<'a> Walk<'a> {
    pub(super) fn thread(&mut self, index: usize, tcb: &Tcb) {
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
}

/// Level of a root page table and of the last one.
const fn levels(arch: Arch) -> (u8, u8) {
    match arch {
        // With 40 bits of address it starts at level 1.
        Arch::Aarch64 => (1, 3),
        // Sv39.
        Arch::Riscv64 => (0, 2),
    }
}

/// Bits of address that a lookup of a capability resolves.
const LOOKUP_BITS: u32 = 64;
