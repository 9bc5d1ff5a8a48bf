//! The common form of capabilities from both inputs: who holds what, where, with which rights, and which line of the
//! description or row of Microkit's table explains it.

use crate::additions::Row;
use std::fmt;

/// Something that runs: a protection domain, or Microkit's monitor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A protection domain by name.
    Domain(String),
    /// Microkit's fault handler, which is trusted.
    Monitor,
}

/// The object of a capability.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A page of a memory region of the description.
    Region {
        /// Name of the region.
        name: String,
        /// Index of the page, from 0.
        page: u64,
    },
    /// A page outside all regions: program, stack, IPC buffer.
    Private {
        /// The owner.
        of: Subject,
        /// Its purpose.
        what: Private,
        /// Index of the page, from 0. All pages of a program count as 0.
        page: u64,
    },
    /// The notification bound to a subject's TCB.
    Notification(Subject),
    /// The endpoint on which a subject receives its children's faults.
    Endpoint(Subject),
    /// A subject's thread.
    Tcb(Subject),
    /// A subject's scheduling context.
    SchedContext(Subject),
    /// A subject's reply object.
    Reply(Subject),
    /// A subject's address space.
    VSpace(Subject),
    /// A subject's CNode of capabilities.
    CNode(Subject),
    /// The CNode above it.
    RootCNode(Subject),
    /// An interrupt by its number.
    Irq(u64),
    /// Anything else.
    Other {
        /// Its kind in capDL.
        kind: String,
        /// Its name in capDL.
        name: String,
    },
}

/// Purpose of a private page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Private {
    /// Code and data of the ELF file.
    Program,
    /// The stack.
    Stack,
    /// The IPC buffer.
    IpcBuffer,
}

/// Where a subject holds a capability.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a slot of its CNode.
    Slot(u32),
    /// In a slot of its root CNode. The monitor has only this kind.
    RootSlot(u32),
    /// Bound to its TCB.
    Bound(Bound),
    /// In its address space.
    Page {
        /// First virtual address.
        vaddr: u64,
    },
    /// In an interrupt, which signals the notification.
    Delivery {
        /// Number of the interrupt.
        irq: u64,
    },
    /// In any other CNode, by its name in capDL.
    Foreign {
        /// Name of the CNode.
        cnode: String,
        /// Slot in it.
        slot: u32,
    },
}

/// Slots of a TCB, as the capDL initialiser numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Bound {
    CSpace,
    VSpace,
    IpcBuffer,
    FaultEndpoint,
    SchedContext,
    Notification,
    /// A slot that Microkit leaves empty without virtual machines.
    Other(u32),
}

/// Rights of a capability. `execute` and `cached` apply only to mappings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct Rights {
    pub read: bool,
    pub write: bool,
    pub grant: bool,
    pub grant_reply: bool,
    pub execute: bool,
}

/// What explains a capability.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The description says so.
    Description {
        /// Line in `system.xml`.
        line: u32,
    },
    /// Microkit adds it.
    Microkit(Row),
    /// Found in an image and not explained yet.
    Image,
}

/// A capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The holder.
    pub holder: Subject,
    /// Where it is held.
    pub place: Place,
    /// Its object.
    pub object: Object,
    /// Its rights.
    pub rights: Rights,
    /// Badge of an endpoint or notification; guard size of a CNode.
    pub badge: u64,
    /// Whether a mapping is cached.
    pub cached: bool,
    /// What explains it.
    pub origin: Origin,
}

/// How a subject is scheduled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The subject.
    pub subject: Subject,
    /// Its priority.
    pub priority: u64,
    /// The highest priority that it can give to another thread.
    pub max_priority: u64,
    /// Budget per period in microseconds; `None` without a scheduling context.
    pub budget_us: Option<u64>,
    /// Period in microseconds.
    pub period_us: Option<u64>,
    /// Whether it may use floating-point registers.
    pub fpu: bool,
    /// The core that it runs on.
    pub core: u64,
    /// The number of the time partition that it runs in; 0 if there are none.
    pub partition: u8,
    /// Line in the description, 0 for the monitor and in an image.
    pub line: u32,
}

impl Subject {
    /// The domain of this name.
    #[must_use]
    pub fn domain(name: &str) -> Self {
        Self::Domain(name.to_owned())
    }

    /// The subject of this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        if name == "monitor" {
            Self::Monitor
        } else {
            Self::domain(name)
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Domain(name) => name,
            Self::Monitor => "monitor",
        }
    }
}

impl Rights {
    /// Read only.
    pub const READ: Self = Self::of(true, false, false);
    /// Read and write.
    pub const READ_WRITE: Self = Self::of(true, true, false);
    /// Read, write and grant.
    pub const ALL: Self = Self::of(true, true, true);
    /// For objects whose capabilities have no rights in capDL.
    pub const NONE: Self = Self::of(false, false, false);

    const fn of(read: bool, write: bool, grant: bool) -> Self {
        Self {
            read,
            write,
            grant,
            grant_reply: false,
            execute: false,
        }
    }
}

impl Object {
    /// The owning subject, if there is one.
    #[must_use]
    pub fn owner(&self) -> Option<&Subject> {
        match self {
            Self::Private { of, .. }
            | Self::Notification(of)
            | Self::Endpoint(of)
            | Self::Tcb(of)
            | Self::SchedContext(of)
            | Self::Reply(of)
            | Self::VSpace(of)
            | Self::CNode(of)
            | Self::RootCNode(of) => Some(of),
            Self::Region { .. } | Self::Irq(_) | Self::Other { .. } => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program => "program",
            Self::Stack => "stack",
            Self::IpcBuffer => "IPC buffer",
        })
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region { name, page } => write!(f, "page {page} of region '{name}'"),
            Self::Private { of, what, page } if *page > 0 => {
                write!(f, "page {page} of {of}'s {what}")
            }
            Self::Private { of, what, .. } => write!(f, "{of}'s {what}"),
            Self::Notification(of) => write!(f, "{of}'s notification"),
            Self::Endpoint(of) => write!(f, "{of}'s endpoint"),
            Self::Tcb(of) => write!(f, "{of}'s TCB"),
            Self::SchedContext(of) => write!(f, "{of}'s scheduling context"),
            Self::Reply(of) => write!(f, "{of}'s reply object"),
            Self::VSpace(of) => write!(f, "{of}'s VSpace"),
            Self::CNode(of) => write!(f, "{of}'s CNode"),
            Self::RootCNode(of) => write!(f, "{of}'s root CNode"),
            Self::Irq(number) => write!(f, "IRQ {number}"),
            Self::Other { kind, name } if name.is_empty() => write!(f, "an object of kind {kind}"),
            Self::Other { kind, name } => write!(f, "{kind} '{name}'"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot(slot) => write!(f, "slot {slot}"),
            Self::RootSlot(slot) => write!(f, "slot {slot} of the root CNode"),
            Self::Bound(bound) => write!(f, "{bound} of the TCB"),
            Self::Page { vaddr } => write!(f, "address {vaddr:#x}"),
            Self::Delivery { irq } => write!(f, "delivery of IRQ {irq}"),
            Self::Foreign { cnode, slot } => write!(f, "slot {slot} of '{cnode}'"),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CSpace => f.write_str("CSpace"),
            Self::VSpace => f.write_str("VSpace"),
            Self::IpcBuffer => f.write_str("IPC buffer"),
            Self::FaultEndpoint => f.write_str("fault endpoint"),
            Self::SchedContext => f.write_str("scheduling context"),
            Self::Notification => f.write_str("bound notification"),
            Self::Other(slot) => write!(f, "slot {slot}"),
        }
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            (self.read, "read"),
            (self.write, "write"),
            (self.grant, "grant"),
            (self.grant_reply, "grant-reply"),
            (self.execute, "execute"),
        ];
        let names: Vec<_> = named.iter().filter(|(has, _)| *has).collect();
        if names.is_empty() {
            return f.write_str("no rights");
        }
        for (index, (_, name)) in names.iter().enumerate() {
            write!(f, "{}{name}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Description { line } => write!(f, "line {line}"),
            Self::Microkit(row) => write!(f, "row {}", row.id()),
            Self::Image => f.write_str("image"),
        }
    }
}

/// A turn of a time partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The number of its partition.
    pub partition: u8,
    /// Its length in microseconds.
    pub duration_us: u64,
}
