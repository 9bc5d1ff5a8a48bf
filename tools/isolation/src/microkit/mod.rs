//! What Microkit 2.3.0 makes of a description: which capability goes where, and what it adds beyond the description.
//! [`Row`] is the written table of those additions; `isolation table` prints it.
//!
//! Derived from the Microkit tool's `capdl/builder.rs` and `capdl/irq.rs` (AArch64 and 64-bit RISC-V, no virtual
//! machines). The image is compared with what is computed here, so a mistake here causes an error there, not a hole.

pub use crate::additions::Row;

use crate::capability::{
    Bound, Capability, Object, Origin, Place, Private, Rights, Subject, Thread, Turn,
};
use sysdesc::{Arch, Domain, End, System};

/// Slots of a domain's CNode.
pub mod slot {
    /// Where it waits: its notification, or with children its endpoint.
    pub const INPUT: u32 = 1;
    /// Its fault endpoint.
    pub const FAULT_ENDPOINT: u32 = 2;
    /// Its own address space.
    pub const VSPACE: u32 = 3;
    /// Its reply object.
    pub const REPLY: u32 = 4;
    /// Its own TCB, in the benchmark configuration.
    pub const OWN_TCB: u32 = 6;
    /// The first of its channels.
    pub const CHANNELS: u32 = 10;
    /// The first of its interrupts.
    pub const IRQS: u32 = 138;
    /// The first of its children's TCBs.
    pub const CHILDREN: u32 = 202;
    /// In the monitor's CNode: where it waits.
    pub const MONITOR_ENDPOINT: u32 = 1;
    /// In the monitor's CNode: its reply object.
    pub const MONITOR_REPLY: u32 = 2;
    /// In the monitor's CNode: the first of all domains' TCBs.
    pub const MONITOR_TCBS: u32 = 10;
}

/// The bit of a badge that says a message is a fault.
pub const FAULT_BADGE: u64 = 1 << 62;
/// Address of the IPC buffer: the top page of the address space.
#[must_use]
pub const fn ipc_buffer(arch: Arch) -> u64 {
    arch.virtual_end() - PAGE
}
/// First address above the stack; one page is left free below the IPC buffer.
#[must_use]
pub const fn stack_top(arch: Arch) -> u64 {
    ipc_buffer(arch) - PAGE
}
/// The monitor's priority, above any that a domain can have.
pub const MONITOR_PRIORITY: u64 = 255;
/// The core that the monitor runs on.
pub const MONITOR_CORE: u64 = 0;
/// The time partition that the monitor runs in, if there are any.
pub const MONITOR_PARTITION: u8 = 0;
/// A domain's root CNode has 2^6 slots.
pub const ROOT_CNODE_BITS: u8 = 6;
/// The CNode in it, and the monitor's only one, have 2^9 slots.
pub const CNODE_BITS: u8 = 9;
/// Guard of the capability to a domain's CNode: the remaining bits of a 64-bit address.
pub const CNODE_GUARD_BITS: u64 = 64 - ROOT_CNODE_BITS as u64 - CNODE_BITS as u64;
/// Guard of the monitor's only CNode.
pub const MONITOR_GUARD_BITS: u64 = 64 - CNODE_BITS as u64;

/// Bytes of a small page.
pub const PAGE: u64 = 0x1000;
const MONITOR_STACK: u64 = 0x1000;

/// The configuration of Microkit and of the kernel that an image is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configuration {
    /// For use. Every claim is made for it.
    Release,
    /// For developers: every domain can print and halt through the kernel.
    Debug,
    /// For developers: every domain holds its own TCB and can read the performance counters.
    Benchmark,
}

impl Configuration {
    /// Its name in the SDK.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Debug => "debug",
            Self::Benchmark => "benchmark",
        }
    }
}

/// Every capability that an image of this description must have, except programs' pages, whose number depends on the
/// ELF files.
#[must_use]
pub fn capabilities(system: &System, configuration: Configuration) -> Vec<Capability> {
    let mut list = List {
        arch: system.arch,
        all: Vec::new(),
    };
    list.monitor(system);
    for (index, domain) in system.domains.iter().enumerate() {
        list.domain(system, index, domain, configuration);
    }
    for channel in &system.channels {
        let [a, b] = &channel.ends;
        list.channel(system, a, b, channel.line);
        list.channel(system, b, a, channel.line);
    }
    list.all
}

/// How every subject is scheduled.
#[must_use]
pub fn threads(system: &System) -> Vec<Thread> {
    let monitor = Thread {
        subject: Subject::Monitor,
        priority: MONITOR_PRIORITY,
        max_priority: MONITOR_PRIORITY,
        budget_us: Some(sysdesc::DEFAULT_BUDGET_US),
        period_us: Some(sysdesc::DEFAULT_BUDGET_US),
        fpu: true,
        core: MONITOR_CORE,
        partition: MONITOR_PARTITION,
        line: 0,
    };
    let domains = system.domains.iter().map(|domain| Thread {
        subject: Subject::domain(&domain.name),
        priority: domain.priority.into(),
        max_priority: domain.priority.into(),
        budget_us: Some(domain.budget_us),
        period_us: Some(domain.period_us),
        fpu: domain.fpu,
        core: domain.cpu.into(),
        partition: domain
            .partition
            .map_or(0, |partition| system.partitions[partition].id),
        line: domain.line,
    });
    core::iter::once(monitor).chain(domains).collect()
}

/// The turns of the time partitions.
#[must_use]
pub fn schedule(system: &System) -> Vec<Turn> {
    let turns = system.schedule.iter().map(|turn| Turn {
        partition: system.partitions[turn.partition].id,
        duration_us: turn.duration_us,
    });
    turns.collect()
}

struct List {
    arch: Arch,
    all: Vec<Capability>,
}

impl List {
    fn add(
        &mut self,
        holder: &Subject,
        place: Place,
        object: Object,
        origin: Origin,
    ) -> &mut Capability {
        self.all.push(Capability {
            holder: holder.clone(),
            place,
            object,
            rights: Rights::NONE,
            badge: 0,
            cached: true,
            origin,
        });
        let last = self.all.len() - 1;
        &mut self.all[last]
    }

    fn monitor(&mut self, system: &System) {
        let own = Subject::Monitor;
        let origin = || Origin::Microkit(Row::Monitor);
        let endpoint = Object::Endpoint(own.clone());
        self.add(
            &own,
            Place::RootSlot(slot::MONITOR_ENDPOINT),
            endpoint,
            origin(),
        )
        .rights = Rights::ALL;
        let reply = Object::Reply(own.clone());
        self.add(&own, Place::RootSlot(slot::MONITOR_REPLY), reply, origin());
        for (index, domain) in (0..).zip(&system.domains) {
            let tcb = Object::Tcb(Subject::domain(&domain.name));
            self.add(
                &own,
                Place::RootSlot(slot::MONITOR_TCBS + index),
                tcb,
                origin(),
            );
        }
        let root = Object::RootCNode(own.clone());
        self.add(&own, Place::Bound(Bound::CSpace), root, origin())
            .badge = MONITOR_GUARD_BITS;
        self.add(
            &own,
            Place::Bound(Bound::VSpace),
            Object::VSpace(own.clone()),
            origin(),
        );
        let time = Object::SchedContext(own.clone());
        self.add(&own, Place::Bound(Bound::SchedContext), time, origin());
        self.memory(&own, MONITOR_STACK, Row::Monitor);
    }

    fn domain(
        &mut self,
        system: &System,
        index: usize,
        domain: &Domain,
        configuration: Configuration,
    ) {
        let own = Subject::domain(&domain.name);
        let row = Origin::Microkit;

        let has_children = system.domains.iter().any(|other| {
            other
                .parent
                .as_ref()
                .is_some_and(|parent| parent.domain == index)
        });
        let (input, rights) = if has_children {
            (Object::Endpoint(own.clone()), Rights::ALL)
        } else {
            (Object::Notification(own.clone()), Rights::READ_WRITE)
        };
        self.add(&own, Place::Slot(slot::INPUT), input, row(Row::Input))
            .rights = rights;

        let (handler, badge) = match &domain.parent {
            None => (Subject::Monitor, index as u64 + 1),
            Some(parent) => (
                Subject::domain(&system.domains[parent.domain].name),
                FAULT_BADGE | u64::from(parent.id),
            ),
        };
        for place in [
            Place::Slot(slot::FAULT_ENDPOINT),
            Place::Bound(Bound::FaultEndpoint),
        ] {
            let endpoint = Object::Endpoint(handler.clone());
            let fault = self.add(&own, place, endpoint, row(Row::FaultEndpoint));
            fault.rights = Rights::ALL;
            fault.badge = badge;
        }
        if let Some(parent) = &domain.parent {
            let place = Place::Slot(slot::CHILDREN + u32::from(parent.id));
            let line = domain.line;
            self.add(
                &handler,
                place,
                Object::Tcb(own.clone()),
                Origin::Description { line },
            );
        }
        if configuration == Configuration::Benchmark {
            let tcb = Object::Tcb(own.clone());
            self.add(&own, Place::Slot(slot::OWN_TCB), tcb, row(Row::OwnTcb));
        }

        for place in [Place::Slot(slot::VSPACE), Place::Bound(Bound::VSpace)] {
            self.add(&own, place, Object::VSpace(own.clone()), row(Row::VSpace));
        }
        self.add(
            &own,
            Place::Slot(slot::REPLY),
            Object::Reply(own.clone()),
            row(Row::Reply),
        );
        let root = Object::RootCNode(own.clone());
        self.add(&own, Place::Bound(Bound::CSpace), root, row(Row::CSpace));
        let cnode = Object::CNode(own.clone());
        self.add(&own, Place::RootSlot(0), cnode, row(Row::CSpace))
            .badge = CNODE_GUARD_BITS;
        let notification = Object::Notification(own.clone());
        self.add(
            &own,
            Place::Bound(Bound::Notification),
            notification,
            row(Row::Thread),
        )
        .rights = Rights::READ_WRITE;
        let time = Object::SchedContext(own.clone());
        self.add(
            &own,
            Place::Bound(Bound::SchedContext),
            time,
            row(Row::Thread),
        );

        for irq in &domain.irqs {
            let origin = Origin::Description { line: irq.line };
            let place = Place::Slot(slot::IRQS + u32::from(irq.id));
            self.add(&own, place, Object::Irq(irq.number), origin.clone());
            let place = Place::Delivery { irq: irq.number };
            let delivery = self.add(&own, place, Object::Notification(own.clone()), origin);
            delivery.rights = Rights::READ_WRITE;
            delivery.badge = 1 << irq.id;
        }

        self.memory(&own, domain.stack_size, Row::Memory);
        for map in &domain.maps {
            let region = &system.regions[map.region];
            for page in 0..region.size / region.page_size {
                let place = Place::Page {
                    vaddr: map.vaddr + page * region.page_size,
                };
                let name = region.name.clone();
                let origin = Origin::Description { line: map.line };
                let mapping = self.add(&own, place, Object::Region { name, page }, origin);
                mapping.cached = map.cached;
                mapping.rights = Rights {
                    read: map.perms.read,
                    write: map.perms.write,
                    execute: map.perms.execute,
                    ..Rights::NONE
                };
            }
        }
    }

    /// Stack and IPC buffer.
    fn memory(&mut self, own: &Subject, stack_size: u64, row: Row) {
        let private = |what, page| {
            let of = own.clone();
            Object::Private { of, what, page }
        };
        let arch = self.arch;
        let stack = (0..stack_size / PAGE).map(|page| {
            let vaddr = stack_top(arch) - stack_size + page * PAGE;
            (Place::Page { vaddr }, private(Private::Stack, page))
        });
        let buffer = [
            Place::Page {
                vaddr: ipc_buffer(arch),
            },
            Place::Bound(Bound::IpcBuffer),
        ]
        .map(|place| (place, private(Private::IpcBuffer, 0)));
        for (place, object) in stack.chain(buffer) {
            self.add(own, place, object, Origin::Microkit(row)).rights = Rights::READ_WRITE;
        }
    }

    /// What the domain at one end holds for the other.
    fn channel(&mut self, system: &System, from: &End, to: &End, line: u32) {
        if !from.notify {
            return;
        }
        let subject = |end: &End| Subject::domain(&system.domains[end.domain].name);
        let place = Place::Slot(slot::CHANNELS + u32::from(from.id));
        let object = Object::Notification(subject(to));
        let origin = Origin::Description { line };
        let signal = self.add(&subject(from), place, object, origin);
        signal.rights = Rights::READ_WRITE;
        signal.badge = 1 << to.id;
    }
}
