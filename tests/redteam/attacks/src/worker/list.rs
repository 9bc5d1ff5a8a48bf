//! The attacks of a hostile worker, and the required outcome of each.

use super::{POST, REPORT, STACK};
use crate::list::{CAPABILITY, EXCEPTION, MEMORY};
use crate::{On, place};
use Must::{Anything, Die, Found, Hang, Say as Says};

/// The required outcome for the honest request during which the attack is made. In addition, the next one gives the
/// canonical text, and the log verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// The compartment dies of this fault, in the shell's words, at this address if one is given.
    Die(&'static str, Option<usize>),
    /// The shell answers others, and inference soon ends itself.
    Hang,
    /// Inference detects the change, during or after the request, and has itself restarted, or the change kills it.
    Found,
    /// The request gets its canonical text, and the worker then reports this.
    Say(&'static str),
    /// Whatever happens to the request, audit counts no violation, and the compartment works again, after a restart at
    /// the latest.
    Anything,
}

/// One attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// Its name in the prompt.
    pub name: &'static str,
    /// What it does.
    pub does: &'static str,
    /// The required outcome.
    pub must: Must,
    /// The runtimes on which it is made.
    pub on: On,
}

const fn attack(name: &'static str, does: &'static str, must: Must) -> Attack {
    let on = On::Both;
    Attack {
        name,
        does,
        must,
        on,
    }
}

const fn faults(name: &'static str, does: &'static str, at: usize) -> Attack {
    attack(name, does, Must::Die(MEMORY, Some(at)))
}

/// An attack on the kernel, the processor or the board, which can only be made on seL4.
const fn sel4(name: &'static str, does: &'static str, must: Must) -> Attack {
    Attack {
        on: On::Sel4,
        ..attack(name, does, must)
    }
}

/// All attacks, in the order in which they are made.
pub const ATTACKS: &[Attack] = &[
    faults("worker-read-log", "reads the audit log", place::AUDIT_LOG),
    faults(
        "worker-write-log",
        "writes the audit log",
        place::AUDIT_LOG + 8,
    ),
    faults("worker-read-policy", "reads the policy", place::POLICY),
    faults(
        "worker-read-store",
        "reads the model store, which inference has",
        place::STORE + 512,
    ),
    faults(
        "worker-write-store",
        "writes the model store",
        place::STORE + 520,
    ),
    faults(
        "worker-read-adapters",
        "reads the adapters, which inference has",
        place::ADAPTERS,
    ),
    faults(
        "worker-write-adapters",
        "writes the adapters",
        place::ADAPTERS + 65_536,
    ),
    faults(
        "worker-read-formats",
        "reads the formats, which inference has",
        place::FORMATS,
    ),
    faults(
        "worker-write-ring",
        "writes inference's ring to audit",
        place::OWN_RING + 16,
    ),
    faults(
        "worker-read-ring",
        "reads audit's ring to inference",
        place::AUDIT_RING + 16,
    ),
    faults(
        "worker-read-shell-ring",
        "reads shell's ring to audit",
        place::SHELL_RING,
    ),
    faults(
        "worker-write-shell-events",
        "writes audit's ring to shell",
        place::SHELL_EVENTS + 16,
    ),
    faults(
        "worker-read-device",
        "reads a device's registers",
        place::DEVICE,
    ),
    faults(
        "worker-write-device",
        "writes a device's registers",
        place::DEVICE + 8,
    ),
    faults(
        "worker-execute-arena",
        "executes the arena",
        place::ARENA + 0x7f_0000,
    ),
    faults(
        "worker-execute-team",
        "executes the team's region",
        place::TEAM + POST + REPORT,
    ),
    attack(
        "worker-write-text",
        "writes its own code",
        Die(MEMORY, None),
    ),
    attack(
        "worker-write-constants",
        "writes its own constants",
        Die(MEMORY, None),
    ),
    sel4(
        "worker-read-kernel",
        "reads the kernel's half of the address space",
        Die(MEMORY, None),
    ),
    sel4(
        "worker-read-guard-page",
        "reads below its stack",
        Die(MEMORY, Some(0xff_ffff_e000 - STACK - 8)),
    ),
    // Capabilities.
    sel4(
        "worker-invoke-all-slots",
        "makes every invocation (labels 0 to 79) on every other slot of its CSpace, with capabilities attached",
        Says("granted=0"),
    ),
    sel4(
        "worker-invoke-address-space",
        "the same on its own address space, with a page of the arena as the range; at most the four kinds of cache \
        maintenance are granted, so nothing is mapped",
        Says("granted=4 "),
    ),
    sel4(
        "worker-maintain-caches",
        "cleans, invalidates and unifies the cache of every page of arena and team, while inference uses them",
        Says("across-pages=0 pages=2049 granted=8196 "),
    ),
    sel4(
        "worker-reply-to-nobody",
        "the same on its reply object: the kernel takes each as an answer to nobody, and does nothing",
        Says("granted=80"),
    ),
    sel4(
        "worker-invoke-root-slots",
        "copies, mints, moves, deletes and revokes through the other 63 slots of its root CNode, at full depth",
        Says("granted=0"),
    ),
    sel4(
        "worker-copy-by-root",
        "copies its capabilities with every slot as the CNode, at every depth from 1 to 64",
        Says("granted=0"),
    ),
    sel4(
        "worker-signal-foreign-channels",
        "signals the 63 channels and 64 interrupts that it does not have",
        Says("granted=0"),
    ),
    sel4(
        "worker-call-foreign-endpoints",
        "calls the 64 endpoints that a channel could have",
        Says("granted=0"),
    ),
    sel4(
        "worker-stop-others",
        "suspends, resumes and rewrites threads through the 64 slots of children's TCBs",
        Says("granted=0"),
    ),
    sel4(
        "worker-lookup-outside",
        "invokes a slot beyond its CNode",
        Die(CAPABILITY, Some(0x10_0000)),
    ),
    sel4(
        "worker-wait-on-inference",
        "waits on inference's notification, which it may signal",
        Die(CAPABILITY, Some(11)),
    ),
    sel4(
        "worker-receive-on-nothing",
        "receives on an endpoint that it does not have",
        Die(CAPABILITY, Some(74)),
    ),
    sel4(
        "worker-receive-faults",
        "polls its fault endpoint, which is audit's, 10 000 times for faults of others",
        Says("received=0"),
    ),
    sel4(
        "worker-steal-faults",
        "receives on its fault endpoint, which is audit's, without end, to take a fault before audit does",
        Hang,
    ),
    sel4(
        "worker-forge-fault",
        "sends a memory fault at 0xbad000 to audit, which records it and ends only the sender's compartment",
        Die(MEMORY, Some(0xbad_000)),
    ),
    sel4(
        "worker-forge-fault-long",
        "sends a fault of 120 words, with capabilities, and a label that no fault has",
        Die("an unknown fault", Some(0x7_7777)),
    ),
    sel4(
        "worker-debug-putchar",
        "prints through the debug kernel's system call",
        Die("an unknown system call", None),
    ),
    sel4(
        "worker-unknown-system-call",
        "makes a system call that no kernel has",
        Die("an unknown system call", None),
    ),
    sel4(
        "worker-write-translation-table",
        "writes its core's TTBR0_EL1",
        Die(EXCEPTION, None),
    ),
    sel4(
        "worker-read-performance-counter",
        "reads its core's PMCCNTR_EL0",
        Die(EXCEPTION, None),
    ),
    sel4("worker-call-firmware", "executes SMC", Die(EXCEPTION, None)),
    sel4(
        "worker-call-hypervisor",
        "executes HVC",
        Die(EXCEPTION, None),
    ),
    // Time.
    attack(
        "worker-never-arrives",
        "never arrives at the end of its part",
        Hang,
    ),
    sel4(
        "worker-storm-kernel",
        "enters the kernel, whose lock all cores share, without end",
        Hang,
    ),
    sel4(
        "worker-disarm-timer",
        "disarms its core's generic timer and spins",
        Hang,
    ),
    sel4(
        "worker-storm-timer",
        "fires its core's IRQ 30 without end",
        Hang,
    ),
    attack(
        "worker-flood",
        "signals inference 10 000 times",
        Says("signalled=10000"),
    ),
    attack(
        "worker-leave",
        "leaves a mark in its own memory, for its next run",
        Says("marked"),
    ),
    attack(
        "worker-end",
        "dies of a memory fault of its own",
        Die(MEMORY, Some(place::AUDIT_LOG)),
    ),
    attack(
        "worker-look",
        "looks for what an old run has left in its own memory",
        Says("nothing is left"),
    ),
    sel4(
        "worker-leave-all",
        "fills stack, data and floating-point registers with a secret, changes FPCR, and dies",
        Die(EXCEPTION, Some(0)),
    ),
    sel4(
        "worker-look-all",
        "looks for what the previous run left: words of stack and data, registers, FPCR",
        Says("stack=0 data=0 registers=0 fpcr=0"),
    ),
    attack(
        "worker-lie",
        "overwrites a tenth of the arena, with results and weights",
        Found,
    ),
    attack("worker-flip", "changes one bit of one weight", Found),
    attack(
        "worker-desk-zeros",
        "fills the desk with zeros: jobs, gates and answers",
        Anything,
    ),
    attack("worker-desk-ones", "fills the desk with ones", Anything),
    attack(
        "worker-desk-garbage",
        "fills the desk with garbage",
        Anything,
    ),
    attack(
        "worker-scribble",
        "fills everything that it may write with garbage while inference works",
        Anything,
    ),
];
