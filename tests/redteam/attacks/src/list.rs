//! Every attack of the hostile inference server, and its required outcome.

use crate::place;

/// The runtimes on which an attack is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// On seL4 and in the simulation.
    Both,
    /// Only on seL4: it involves the kernel, the processor or the board, or something that Linux does not enforce.
    Sel4,
}

/// The required outcome. In addition, the next honest request gives the canonical text, and the log verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// Only inference dies, at this address if one is given, as audit reports it.
    Die {
        /// The kind of fault, in the shell's words.
        of: &'static str,
        /// The address that audit reports.
        at: Option<usize>,
    },
    /// Audit restarts inference for a breach of the protocol.
    Breach,
    /// Audit drops what was sent, and counts at least this many violations. The attack ends with its own death.
    Counted(u64),
    /// Audit counts no violation. The attack ends with its own death.
    Ignored,
    /// It is not stopped, and reports this.
    Say(&'static str),
    /// It runs while the shell answers others, until audit restarts it at its deadline.
    Hang,
    /// It runs while the shell answers others, and then reports this, unless audit has restarted it at its deadline
    /// before.
    Busy(&'static str),
    /// Its text reaches the console without terminal control characters.
    Harmless,
    /// No more bytes leave than the policy allows.
    Capped,
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

pub(crate) const MEMORY: &str = "a memory fault";
pub(crate) const CAPABILITY: &str = "a capability fault";
pub(crate) const EXCEPTION: &str = "an exception";

const fn attack(name: &'static str, does: &'static str, must: Must, on: On) -> Attack {
    Attack {
        name,
        does,
        must,
        on,
    }
}

const fn faults(name: &'static str, does: &'static str, at: usize, on: On) -> Attack {
    let must = Must::Die {
        of: MEMORY,
        at: Some(at),
    };
    attack(name, does, must, on)
}

const fn dies(
    name: &'static str,
    does: &'static str,
    of: &'static str,
    at: Option<usize>,
) -> Attack {
    attack(name, does, Must::Die { of, at }, On::Sel4)
}

use Must::{Breach, Busy, Capped, Counted, Die, Hang, Harmless, Ignored, Say};
use On::{Both, Sel4};

/// All attacks, in the order in which they are made.
pub const ATTACKS: &[Attack] = &[
    // Memory.
    faults(
        "read-audit-log",
        "reads the audit log",
        place::AUDIT_LOG,
        Both,
    ),
    faults(
        "write-audit-log",
        "writes the audit log",
        place::AUDIT_LOG + 8,
        Both,
    ),
    faults("read-policy", "reads the policy", place::POLICY, Both),
    faults("write-policy", "writes the policy", place::POLICY + 8, Both),
    faults(
        "write-store",
        "writes the model store, which it may read",
        place::STORE + 512,
        Both,
    ),
    faults(
        "write-adapters",
        "writes the adapters, which it may read",
        place::ADAPTERS + 65_536,
        Both,
    ),
    faults(
        "write-formats",
        "writes the formats, which it may read and against which audit checks answers",
        place::FORMATS + 4096,
        Both,
    ),
    faults(
        "write-audit-ring",
        "writes the ring that audit writes for it",
        place::AUDIT_RING + 16,
        Both,
    ),
    faults(
        "read-shell-ring",
        "reads what shell asks of audit",
        place::SHELL_RING,
        Both,
    ),
    faults(
        "write-shell-ring",
        "writes what shell asks of audit",
        place::SHELL_RING + 16,
        Both,
    ),
    faults(
        "write-shell-events",
        "writes what audit tells shell",
        place::SHELL_EVENTS + 16,
        Both,
    ),
    faults(
        "read-device",
        "reads where shell has the UART and audit the watchdog",
        place::DEVICE,
        Both,
    ),
    faults(
        "write-device",
        "writes where shell has the UART and audit the watchdog",
        place::DEVICE + 8,
        Both,
    ),
    faults(
        "write-uart-physical",
        "writes to the UART's physical address",
        place::UART_PHYSICAL,
        Both,
    ),
    faults(
        "write-watchdog-physical",
        "writes to the watchdog's physical address",
        place::WATCHDOG_PHYSICAL,
        Both,
    ),
    faults(
        "read-behind-the-ring",
        "reads on past the end of its own ring",
        place::OWN_RING + 0x23000,
        Both,
    ),
    faults(
        "execute-arena",
        "puts code into the arena and calls it",
        place::ARENA + 0x7f_0000,
        Both,
    ),
    faults(
        "execute-ring",
        "puts code into its ring and calls it",
        place::OWN_RING + 0x22ff8,
        Both,
    ),
    faults(
        "execute-store",
        "calls bytes of the model store",
        place::STORE + 1024,
        Both,
    ),
    attack(
        "execute-stack",
        "puts code on the stack and calls it",
        Die {
            of: MEMORY,
            at: None,
        },
        Both,
    ),
    attack(
        "write-text",
        "overwrites its own code",
        Die {
            of: MEMORY,
            at: None,
        },
        Both,
    ),
    attack(
        "write-constants",
        "overwrites its own constants, where the names of its channels are",
        Die {
            of: MEMORY,
            at: None,
        },
        Both,
    ),
    faults(
        "write-reset-code",
        "overwrites the code at which audit restarts it",
        place::TEXT,
        Sel4,
    ),
    attack(
        "read-kernel",
        "reads the kernel's half of the address space",
        Die {
            of: MEMORY,
            at: None,
        },
        Sel4,
    ),
    faults(
        "read-guard-page",
        "reads below its stack, where other domains could be",
        0xff_ffff_e000 - 0x8_0000 - 8,
        Sel4,
    ),
    // Capabilities.
    attack(
        "invoke-all-slots",
        "makes every invocation (labels 0 to 79) on every other slot of its CSpace, with capabilities attached",
        Say("granted=0"),
        Sel4,
    ),
    attack(
        "invoke-address-space",
        "the same on its own address space, with a page of its arena as the range; at most the four kinds of cache \
        maintenance are granted",
        Say("granted=4 "),
        Sel4,
    ),
    attack(
        "maintain-caches",
        "cleans, invalidates and unifies the cache of every page that it has, through its own address space; a range \
        across two pages is refused, so a call keeps the kernel busy for one page at most",
        Say("across-pages=0 pages=4678 granted=18712 "),
        Sel4,
    ),
    attack(
        "reply-to-nobody",
        "the same on its reply object: the kernel takes each as an answer to nobody, and does nothing",
        Say("granted=80"),
        Sel4,
    ),
    attack(
        "invoke-root-slots",
        "copies, mints, moves, deletes and revokes through the other 63 slots of its root CNode, at full depth",
        Say("granted=0"),
        Sel4,
    ),
    attack(
        "copy-by-root",
        "copies its capabilities with every slot as the CNode, at every depth from 1 to 64",
        Say("granted=0"),
        Sel4,
    ),
    attack(
        "signal-foreign-channels",
        "signals the 63 channels and 64 interrupts that it does not have",
        Say("granted=0"),
        Sel4,
    ),
    attack(
        "call-foreign-endpoints",
        "calls the 64 endpoints that a channel could have",
        Say("granted=0"),
        Sel4,
    ),
    attack(
        "stop-audit",
        "suspends, resumes and rewrites threads through the 64 slots of children's TCBs",
        Say("granted=0"),
        Sel4,
    ),
    dies(
        "lookup-outside",
        "invokes a slot beyond its CNode",
        CAPABILITY,
        Some(0x10_0000),
    ),
    dies(
        "wait-on-audit",
        "waits on audit's notification, which it may signal",
        CAPABILITY,
        Some(10),
    ),
    dies(
        "receive-on-nothing",
        "receives on an endpoint that it does not have",
        CAPABILITY,
        Some(74),
    ),
    attack(
        "receive-faults",
        "polls its fault endpoint 10 000 times for faults of others",
        Say("received=0"),
        Sel4,
    ),
    dies(
        "forge-fault",
        "sends a memory fault at 0xbad000 to audit, which records it and ends only the sender",
        MEMORY,
        Some(0xbad_000),
    ),
    dies(
        "forge-fault-long",
        "sends a fault of 120 words, with capabilities, and a label that no fault has",
        "an unknown fault",
        Some(0x7_7777),
    ),
    dies(
        "debug-putchar",
        "prints through the debug kernel's system call",
        "an unknown system call",
        None,
    ),
    dies(
        "unknown-system-call",
        "makes a system call that no kernel has",
        "an unknown system call",
        None,
    ),
    dies(
        "write-translation-table",
        "writes TTBR0_EL1",
        EXCEPTION,
        None,
    ),
    dies(
        "read-performance-counter",
        "reads PMCCNTR_EL0",
        EXCEPTION,
        None,
    ),
    dies("call-firmware", "executes SMC", EXCEPTION, None),
    dies("call-hypervisor", "executes HVC", EXCEPTION, None),
    // Time.
    attack("spin", "spins", Hang, Both),
    attack(
        "disarm-timer",
        "disarms the generic timer and spins",
        Hang,
        Sel4,
    ),
    attack("storm-timer", "fires IRQ 30 without end", Hang, Sel4),
    attack(
        "flood-notifications",
        "signals audit 100 000 times",
        Busy("signalled=100000"),
        Both,
    ),
    // Rings.
    attack(
        "forge-head",
        "says that 1000 messages are waiting",
        Breach,
        Both,
    ),
    attack(
        "forge-head-back",
        "takes back a message that it has sent",
        Breach,
        Both,
    ),
    attack(
        "forge-tail",
        "says that it has read more than was sent",
        Ignored,
        Both,
    ),
    attack(
        "forge-epoch",
        "sends a message of the next epoch in this one",
        Breach,
        Both,
    ),
    attack(
        "forge-epoch-index",
        "sends under the index of the next epoch",
        Ignored,
        Both,
    ),
    attack(
        "speak-for-the-next-life",
        "leaves messages of the next epoch in its ring, saying that the model could not be loaded",
        Ignored,
        Both,
    ),
    attack(
        "replay",
        "offers again the messages that an earlier run left in the ring",
        Breach,
        Both,
    ),
    attack(
        "forge-version",
        "sends a message of protocol version 1",
        Breach,
        Both,
    ),
    attack(
        "forge-length",
        "sends a message that is longer than a slot",
        Breach,
        Both,
    ),
    attack(
        "forge-kind",
        "sends one of shell's requests instead of a report",
        Breach,
        Both,
    ),
    attack(
        "scribble",
        "fills its ring with garbage, with indices that belong to no epoch of audit",
        Ignored,
        Both,
    ),
    attack(
        "claim-request",
        "sends tokens and an end for 16 requests that are not its own",
        Counted(16),
        Both,
    ),
    attack(
        "claim-session",
        "says that 12 sessions that do not exist were evicted",
        Counted(12),
        Both,
    ),
    attack(
        "claim-session-outside",
        "says that session 4000000000 was evicted",
        Breach,
        Both,
    ),
    attack(
        "claim-model",
        "says without being asked that a model was loaded",
        Breach,
        Both,
    ),
    // Counts.
    attack(
        "lie-generated",
        "ends with one token more than it gave",
        Breach,
        Both,
    ),
    attack(
        "lie-prompt",
        "ends with a count of four billion prompt tokens",
        Breach,
        Both,
    ),
    attack("overrun", "gives tokens without end", Breach, Both),
    attack(
        "ignore-credit",
        "gives 64 tokens of 250 bytes, more than audit has granted it",
        Breach,
        Both,
    ),
    attack(
        "exceed-egress",
        "gives 64 tokens of 250 bytes as fast as it can",
        Capped,
        Both,
    ),
    // Text.
    attack(
        "escape",
        "prints terminal sequences: title, clear, cursor, C1 controls, bells, overrides of direction",
        Harmless,
        Both,
    ),
    attack(
        "forge-halt",
        "prints the line that says that the system has halted",
        Harmless,
        Both,
    ),
    // What a run leaves to the next.
    attack(
        "leave",
        "fills arena, stack, data and floating-point registers with a secret, changes FPCR, and dies",
        Die {
            of: EXCEPTION,
            at: Some(0),
        },
        Sel4,
    ),
    attack(
        "look",
        "looks for what the previous run left: words of arena, stack and data, registers, FPCR",
        Say("arena=0 stack=0 data=0 registers=0 fpcr=0"),
        Sel4,
    ),
];
