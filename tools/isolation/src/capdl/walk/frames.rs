//! Frames: their addresses, their contents, and objects that nothing reaches.

use super::Walk;
use crate::capability::{Bound, Object, Private};
use crate::capdl::format::{Content, Data, Frame, Object as Kind};
use std::collections::BTreeMap;

impl<'a> Walk<'a> {
    /// Location of a frame, and what fills it.
    pub(super) fn frame(&mut self, index: usize, frame: &Frame) {
        let name = self.name(index);
        let label = self.labels[index].clone();
        if let Object::Region { name, page } = &label {
            let place = (frame.paddr, frame.size_bits);
            self.image.frames.insert((name.clone(), *page), place);
        } else if let Some(paddr) = frame.paddr {
            self.odd(format!(
                "'{name}' must be at {paddr:#x}, but it belongs to no region"
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
    pub(super) fn physical(&self) -> BTreeMap<String, (u64, u64)> {
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

    pub(super) fn aliases(&mut self) {
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

    pub(super) fn leftovers(&mut self) {
        for (index, object) in self.spec.objects.iter().enumerate() {
            // A region that nobody maps is unreachable memory.
            let region = matches!(self.labels[index], Object::Region { .. });
            if !region && !self.reached.contains(&index) {
                let kind = object.object.kind();
                self.odd(format!(
                    "object '{}' of kind {kind} belongs to nobody",
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

pub(super) fn bound(slot: u32) -> Bound {
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
