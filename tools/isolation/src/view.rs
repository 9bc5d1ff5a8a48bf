//! A common view of the system for both inputs, so that the same code checks every claim on each.

pub use crate::capability::Turn;
use crate::capability::{Capability, Object, Place, Subject, Thread};
use crate::microkit::{self, Configuration};
use std::collections::{BTreeMap, BTreeSet};
use sysdesc::System;

/// Source of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// `system.xml`, with what our table says that Microkit adds.
    Description,
    /// The capDL of a built image.
    Image,
}

/// A view of the system.
#[derive(Clone, Debug)]
pub struct View {
    /// Its source.
    pub input: Input,
    /// All capabilities.
    pub capabilities: Vec<Capability>,
    /// All threads.
    pub threads: Vec<Thread>,
    /// Regions with a physical address of their own, which are devices, by name: address and size.
    pub physical: BTreeMap<String, (u64, u64)>,
    /// The cyclic schedule of the time partitions; empty if there are none.
    pub schedule: Vec<Turn>,
    /// Names of the partitions by number. An image does not have them.
    pub partition_names: BTreeMap<u8, String>,
    /// Facts that only an image shows.
    pub image: Image,
}

/// Facts that only an image shows.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Capabilities to CNodes that a 64-bit lookup can name: the holder and the place.
    pub nameable_cnodes: Vec<(Subject, String)>,
    /// Physical address and log2 of the size of each page of a region.
    pub frames: BTreeMap<(String, u64), (Option<u64>, u8)>,
    /// Regions filled from a file.
    pub prefilled: BTreeSet<String>,
    /// The ELF files that fill a program, by the tool's numbers.
    pub programs: BTreeMap<Subject, BTreeSet<usize>>,
    /// How each interrupt is signalled: 0 for as long as it needs service, 1 once.
    pub triggers: BTreeMap<u64, u64>,
    /// The core that each interrupt goes to.
    pub targets: BTreeMap<u64, u64>,
    /// Pairs of frames that share physical memory.
    pub aliases: Vec<(String, String)>,
    /// Objects that do not fit any view, such as one without an owner, or a shared page table.
    pub oddities: Vec<String>,
    /// Number of objects.
    pub objects: usize,
}

/// How a subject maps a region, over all of its pages.
#[derive(Clone, Debug)]
pub struct Mapping<'a> {
    /// The subject.
    pub subject: &'a Subject,
    /// The union of its pages' permissions.
    pub read: bool,
    /// See [`Self::read`].
    pub write: bool,
    /// See [`Self::read`].
    pub execute: bool,
    /// Whether all of it is cached.
    pub cached: bool,
    /// The first capability, for messages.
    pub first: &'a Capability,
}

impl View {
    /// The view of the description.
    #[must_use]
    pub fn of_description(system: &System, configuration: Configuration) -> Self {
        Self {
            input: Input::Description,
            capabilities: microkit::capabilities(system, configuration),
            threads: microkit::threads(system),
            physical: system
                .regions
                .iter()
                .filter_map(|region| {
                    region
                        .phys_addr
                        .map(|at| (region.name.clone(), (at, region.size)))
                })
                .collect(),
            schedule: microkit::schedule(system),
            partition_names: system
                .partitions
                .iter()
                .map(|partition| (partition.id, partition.name.clone()))
                .collect(),
            image: Image::default(),
        }
    }

    /// The location of something, for messages: the line in the description, or the place in the image.
    #[must_use]
    pub fn at(&self, capability: &Capability) -> String {
        match self.input {
            Input::Description => format!("{}: {}", capability.holder, capability.origin),
            Input::Image => format!("{}: {}", capability.holder, capability.place),
        }
    }

    /// Who maps which region how, by region name.
    #[must_use]
    pub fn regions(&self) -> BTreeMap<&str, Vec<Mapping<'_>>> {
        let mut regions: BTreeMap<&str, Vec<Mapping<'_>>> = BTreeMap::new();
        for capability in &self.capabilities {
            let (Object::Region { name, .. }, Place::Page { .. }) =
                (&capability.object, &capability.place)
            else {
                continue;
            };
            let mappings = regions.entry(name).or_default();
            let rights = capability.rights;
            match mappings
                .iter_mut()
                .find(|m| *m.subject == capability.holder)
            {
                Some(mapping) => {
                    mapping.read |= rights.read;
                    mapping.write |= rights.write;
                    mapping.execute |= rights.execute;
                    mapping.cached &= capability.cached;
                }
                None => mappings.push(Mapping {
                    subject: &capability.holder,
                    read: rights.read,
                    write: rights.write,
                    execute: rights.execute,
                    cached: capability.cached,
                    first: capability,
                }),
            }
        }
        regions
    }

    /// Every subject, in the order of its threads.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.threads.iter().map(|thread| &thread.subject)
    }

    /// The thread of a subject.
    #[must_use]
    pub fn thread(&self, subject: &Subject) -> Option<&Thread> {
        self.threads
            .iter()
            .find(|thread| thread.subject == *subject)
    }

    /// The capabilities that a subject can invoke: those in slots.
    pub fn in_slots(&self) -> impl Iterator<Item = &Capability> {
        self.capabilities.iter().filter(|capability| {
            matches!(
                capability.place,
                Place::Slot(_) | Place::RootSlot(_) | Place::Foreign { .. }
            )
        })
    }
}
