//! The table of what Microkit adds to a description, and why each addition is harmless.
//!
//! An image may contain nothing that neither the description nor this table explains. If a reason relies on a fact
//! about the image (a binding, a priority, that no slot names a CNode), claim I8 or I7 checks that fact.

/// An addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// Where a domain waits.
    Input,
    /// Where its faults go.
    FaultEndpoint,
    /// Its own address space.
    VSpace,
    /// Its reply object.
    Reply,
    /// Its own CNodes.
    CSpace,
    /// Read in addition to write on the notifications of its channels.
    ChannelRead,
    /// What an interrupt's handler can do besides acknowledging.
    IrqHandler,
    /// Its program, stack and IPC buffer.
    Memory,
    /// The objects bound to its thread.
    Thread,
    /// Microkit's monitor.
    Monitor,
    /// The initialiser, which is gone once the domains run.
    Initialiser,
    /// A domain's own TCB, in the benchmark configuration.
    OwnTcb,
}

/// What the table says about an addition.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// What is added.
    pub adds: &'static str,
    /// Why it is harmless.
    pub harmless: &'static str,
    /// Its source, in the sources of Microkit 2.3.0 and seL4 16.0.0.
    pub source: &'static str,
}

impl Row {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Input,
        Self::FaultEndpoint,
        Self::VSpace,
        Self::Reply,
        Self::CSpace,
        Self::ChannelRead,
        Self::IrqHandler,
        Self::Memory,
        Self::Thread,
        Self::Monitor,
        Self::Initialiser,
        Self::OwnTcb,
    ];

    /// Its name in messages and documents.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Input => "M1",
            Self::FaultEndpoint => "M2",
            Self::VSpace => "M3",
            Self::Reply => "M4",
            Self::CSpace => "M5",
            Self::ChannelRead => "M6",
            Self::IrqHandler => "M7",
            Self::Memory => "M8",
            Self::Thread => "M9",
            Self::Monitor => "M10",
            Self::Initialiser => "M11",
            Self::OwnTcb => "B1",
        }
    }

    /// What the table says.
    #[must_use]
    pub const fn text(self) -> Text {
        match self {
            Self::Input => Text {
                adds: "Slot 1: the domain's own notification (read, write), or, if it has children, its own \
                       endpoint (read, write, grant).",
                harmless: "It is where the domain waits. Write lets it signal or block itself and nobody else.",
                source: "Microkit capdl/builder.rs, step 3-7",
            },
            Self::FaultEndpoint => Text {
                adds: "Slot 2 and the TCB: read, write and grant on the endpoint where the domain's faults go: \
                       its parent's, or the monitor's. The badge says whose they are.",
                harmless: "Write: it can send a message that looks like a fault, but only as itself; the \
                           receiver takes it as a reason to restart and as evidence, never as truth, and the \
                           monitor's answer is bounded and changes nothing (M10). Grant: no receiver has a slot \
                           for a capability (M5). Read: the endpoint's queue is in order of priority, and its \
                           owner has a higher one than all who send (I8), so that on one core the owner is \
                           the first in the queue whenever a sender runs; nobody takes another's fault, or \
                           hears anything of it. All domains without a parent hold the monitor's, so that this \
                           argument is what keeps two clients apart there. Inference, whose code is trusted \
                           least, is kept apart without it: it holds no endpoint that a client holds (I1).",
                source: "Microkit capdl/builder.rs, step 3-5; seL4 object/endpoint.c tcbEPAppend, object/tcb.h \
                         tcbAppend",
            },
            Self::VSpace => Text {
                adds: "Slot 3 and the TCB: the domain's own address space.",
                harmless: "It takes cache maintenance of the domain's own mappings. To map anything needs a \
                           capability to a frame or page table besides, and no slot holds one (I8). But a kernel \
                           with hypervisor support, as this board's is, also lets a domain invalidate what it \
                           may only read: on hardware, though not in QEMU, a reader can so take back what the \
                           writer wrote and what is still in the cache. It can bring back only what the same \
                           memory held before, only in regions that are there for this reader (a ring to it, \
                           the store), and no producer reads back what it wrote: the reader harms itself, or \
                           makes audit refuse a store that it can no longer verify. A call covers one page at \
                           most, and nothing interrupts it, so pages are small (D). The kernel reaches the page \
                           through its own window, also for a device (seL4's tracker, number 1738): this \
                           board's lie in it, so that such a call does nothing; on a board with a device at or \
                           above 0x7fc0000000 its owner could abort the kernel.",
                source: "Microkit capdl/builder.rs, step 3-1; seL4 arch/arm/64/kernel/vspace.c \
                         decodeARMVSpaceRootInvocation; protocol/src/ring.rs",
            },
            Self::Reply => Text {
                adds: "Slot 4: the domain's own reply object.",
                harmless: "It names whoever last called the domain, which is nobody but its own child (I8: \
                           there are no endpoints but those of faults), whose TCB the domain holds anyway.",
                source: "Microkit capdl/builder.rs, step 3-8",
            },
            Self::CSpace => Text {
                adds: "The TCB and slot 0 of the root CNode: the domain's root CNode (2^6 slots) and in it its \
                       CNode (2^9 slots, guard of 49 bits).",
                harmless: "To copy, mint, move, delete, revoke or receive a capability, a thread must name a \
                           CNode by a lookup of 64 bits. That lookup takes 6 bits in the root CNode, 49 of \
                           guard and 9 in the CNode, and so passes through the only capability to a CNode \
                           and ends in a slot beneath it, where there is none (I8 computes it for every \
                           slot). So capabilities stay where the initialiser has put them.",
                source: "Microkit capdl/builder.rs, step 3-13; seL4 kernel/cspace.c resolveAddressBits, \
                         object/cnode.c getReceiveSlots",
            },
            Self::ChannelRead => Text {
                adds: "The notification of a channel's other end has read besides write.",
                harmless: "A wait on a notification that is bound to another thread is a fault of whoever \
                           waits; every notification is bound to its owner (I8), and nobody but the monitor \
                           and a parent holds the TCB that could unbind it.",
                source: "Microkit capdl/builder.rs, step 4; seL4 api/syscall.c handleRecv",
            },
            Self::IrqHandler => Text {
                adds: "An interrupt's handler can also be pointed to another notification.",
                harmless: "Only to one that the domain may signal, with the badge that it signals with: it \
                           could as well forward the interrupt itself.",
                source: "Microkit capdl/irq.rs; seL4 object/interrupt.c decodeIRQHandlerInvocation",
            },
            Self::Memory => Text {
                adds: "The pages of the domain's program, stack and IPC buffer.",
                harmless: "Each is mapped in this one address space (claim A), none is writable and executable \
                           (I5), and what fills a program's page is this domain's ELF file alone.",
                source: "Microkit capdl/builder.rs, steps 3-1 and 3-3",
            },
            Self::Thread => Text {
                adds: "The TCB: the domain's scheduling context and notification.",
                harmless: "They are bound and in no slot: no domain can change its own time or priority.",
                source: "Microkit capdl/builder.rs, steps 3-4 and 3-14",
            },
            Self::Monitor => Text {
                adds: "The monitor: a thread of priority 255 with its own memory, endpoint, reply object and \
                       scheduling context, and the TCBs of all domains.",
                harmless: "It is trusted: it could do anything to any domain. Its code waits for a fault, reads \
                           the registers of whom the badge names, prints them where the kernel prints, and \
                           waits again. It never answers, so a domain that has faulted to it stays stopped. It \
                           holds no region and no channel. A forged message with label 0 makes it invoke two \
                           slots that are empty without passive domains, which is an error and no more.",
                source: "Microkit capdl/builder.rs, steps 1 and 3-15; monitor/src/main.c",
            },
            Self::Initialiser => Text {
                adds: "Not in the capDL: the initialiser, the first thread, which makes all objects out of all memory \
                       and so holds every capability there is.",
                harmless: "It is trusted. Its last act is to suspend itself; the capability to its TCB is in its own \
                           CSpace alone, so that nobody can resume it or take what it holds.",
                source: "Microkit manual, capDL Initialiser; rust-sel4 sel4-capdl-initializer/src/initialize.rs",
            },
            Self::OwnTcb => Text {
                adds: "Benchmark configuration only, slot 6: the domain's own TCB.",
                harmless: "It is not, for the claims: with it a domain can unbind its notification, so that M6 no \
                           longer holds, and lower its own priority. The claims are not made for such an \
                           image.",
                source: "Microkit capdl/builder.rs, step 3-1",
            },
        }
    }
}
