//! Every attack of the hostile client, and its required outcome.

use crate::On;
use On::{Both, Sel4};

/// The required outcome. In addition, the honest client must get the canonical text in time during and after the
/// attack, and pay only for that; no other domain may fail; and the log must verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// The hostile client dies: it answers neither this order nor the next.
    Die,
    /// It reports this, and audit counts no violation.
    Say(&'static str),
    /// It reports this, and audit counts violations and records them under its name.
    Break(&'static str),
    /// It reports this, and the log has its refusal, with this number of [`protocol::error::ErrorCode`], under its
    /// name.
    Refused(&'static str, u16),
}

/// One attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// Its name in orders and reports.
    pub name: &'static str,
    /// What it does.
    pub does: &'static str,
    /// The required outcome.
    pub must: Must,
    /// Whether it lasts for some seconds, in which the honest client must be served.
    pub lasts: bool,
    /// Whether it uses up something that is not restored before the next boot. Then it gets its own boot, and at the
    /// end the log must still begin with its first entry.
    pub uses_up: bool,
    /// The runtimes on which it is made.
    pub on: On,
}

const fn quick(name: &'static str, does: &'static str, must: Must, on: On) -> Attack {
    Attack {
        name,
        does,
        must,
        lasts: false,
        uses_up: false,
        on,
    }
}

const fn long(name: &'static str, does: &'static str, must: Must, on: On) -> Attack {
    Attack {
        lasts: true,
        ..quick(name, does, must, on)
    }
}

const fn dies(name: &'static str, does: &'static str) -> Attack {
    quick(name, does, Must::Die, Both)
}

use Must::{Break, Refused, Say};

/// All attacks, in the order in which they are made.
pub const ATTACKS: &[Attack] = &[
    // Its own ring.
    quick(
        "mallory-forge-head",
        "says that 1000 messages are waiting",
        Break("forged"),
        Both,
    ),
    quick(
        "mallory-forge-head-back",
        "takes back a message that it has sent",
        Break("forged"),
        Both,
    ),
    quick(
        "mallory-forge-tail",
        "says that it has read more than was sent",
        Say("forged"),
        Both,
    ),
    quick(
        "mallory-forge-epoch",
        "sends a message of the next epoch in this one",
        Break("forged"),
        Both,
    ),
    quick(
        "mallory-forge-epoch-index",
        "sends under the index of the next epoch",
        Say("forged"),
        Both,
    ),
    quick(
        "mallory-forge-version",
        "sends a message of protocol version 1, from a region that names it",
        Break("forged"),
        Both,
    ),
    quick(
        "mallory-forge-length",
        "sends a message that is longer than a slot",
        Break("forged"),
        Both,
    ),
    quick(
        "mallory-forge-report",
        "sends what only inference and audit may send: a token, an end, an event",
        Break("forged"),
        Both,
    ),
    quick(
        "mallory-scribble",
        "fills its ring with garbage",
        Say("forged"),
        Both,
    ),
    long(
        "mallory-flood-garbage",
        "sends messages of any kind, length and content as fast as they are read",
        Break("flooded"),
        Both,
    ),
    // What belongs to others.
    quick(
        "mallory-log-in",
        "logs in as every user, without a passphrase and with an empty one, logs out, and asks who it is",
        Refused("granted=0 of 8, is mallory", 63),
        Both,
    ),
    quick(
        "mallory-change-budgets",
        "asks for the honest user's budget, takes it away, and gives itself more",
        Refused("granted=0 of 4", 50),
        Both,
    ),
    quick(
        "mallory-read-log",
        "reads the log, follows it, has it verified, and has its head signed",
        Refused("granted=0 of 5", 50),
        Both,
    ),
    quick(
        "mallory-load-and-reset",
        "loads another model, and resets inference",
        Refused("granted=0 of 2", 50),
        Both,
    ),
    quick(
        "mallory-halt",
        "ends the system for everybody",
        Refused("granted=0 of 1", 50),
        Both,
    ),
    quick(
        "mallory-take-session",
        "continues the honest client's session by its name, lists all sessions, and closes it",
        Refused("listed 1, which is its own; closed; then NoSuchSession", 18),
        Both,
    ),
    long(
        "mallory-cancel-others",
        "cancels the requests 1 to 512, again and again",
        Say("cancelled nothing"),
        Both,
    ),
    // What is shared by all.
    long(
        "mallory-storm-signals",
        "signals audit without end",
        Say("signalled"),
        Both,
    ),
    long("mallory-spin", "computes without end", Say("spun"), Both),
    long(
        "mallory-ask-state",
        "asks for status, counters and models as fast as it is answered",
        Say("asked"),
        Both,
    ),
    long(
        "mallory-never-read",
        "asks for as many texts as it may, and reads none of them while the honest client is served",
        Say("lost=0"),
        Both,
    ),
    long(
        "mallory-never-read-lists",
        "asks for lists and counters that never end, and reads none of them",
        Say("lost=0"),
        Both,
    ),
    long(
        "mallory-take-all-parts",
        "begins sessions until it is refused, and keeps them all, each with a request under way if it may",
        Say("had 8 under way, then TooMany"),
        Both,
    ),
    long(
        "mallory-use-up-engine",
        "asks for the longest texts, as many at once as it may, and for more as they end, to use up the engine, its \
        cache and the egress cap",
        Say("texts"),
        Both,
    ),
    // Only on seL4: the kernel's interface.
    quick(
        "mallory-invoke-all-slots",
        "makes every invocation on every other slot of its CSpace",
        Say("granted=0"),
        Sel4,
    ),
    quick(
        "mallory-invoke-address-space",
        "the same on its own address space, with a page of its ring as the range; at most the four kinds of cache \
        maintenance are granted",
        Say("granted=4 "),
        Sel4,
    ),
    quick(
        "mallory-signal-foreign-channels",
        "signals the 63 channels and 64 interrupts that it does not have, inference's among them",
        Say("granted=0"),
        Sel4,
    ),
    quick(
        "mallory-call-foreign-endpoints",
        "calls the 64 endpoints that a channel could have",
        Say("granted=0"),
        Sel4,
    ),
    quick(
        "mallory-stop-audit",
        "suspends, resumes and rewrites threads through the 64 slots of children's TCBs",
        Say("granted=0"),
        Sel4,
    ),
    quick(
        "mallory-receive-faults",
        "polls the monitor's endpoint, which all clients hold, 10 000 times for faults of others",
        Say("received=0"),
        Sel4,
    ),
    quick(
        "mallory-forge-faults",
        "sends forged faults to Microkit's monitor",
        Say("sent=3"),
        Sel4,
    ),
    long(
        "mallory-storm-timer",
        "fires IRQ 30 without end",
        Say("stormed"),
        Sel4,
    ),
    // What it uses up until the next boot.
    Attack {
        uses_up: true,
        ..long(
            "mallory-flood-prompts",
            "sends the longest prompts as fast as they are read, and continues after its share of the log is used up",
            Refused("then LogShare", 61),
            Both,
        )
    },
    // Memory: each of these must kill it.
    dies("mallory-read-shell-ring", "reads what shell asks of audit"),
    dies(
        "mallory-write-shell-ring",
        "writes what shell asks of audit",
    ),
    dies("mallory-read-shell-events", "reads what audit tells shell"),
    dies(
        "mallory-write-own-events",
        "writes the ring that audit writes for it",
    ),
    dies(
        "mallory-read-behind-its-ring",
        "reads past the end of its own ring",
    ),
    dies(
        "mallory-write-inference-ring",
        "writes where inference has its ring",
    ),
    dies("mallory-read-arena", "reads where inference has the arena"),
    dies("mallory-read-store", "reads where the model store is"),
    dies("mallory-read-adapters", "reads where audit keeps adapters"),
    dies(
        "mallory-read-formats",
        "reads the formats, against which audit checks answers",
    ),
    dies("mallory-write-audit-log", "writes where audit has the log"),
    dies("mallory-read-policy", "reads where audit has the policy"),
    dies(
        "mallory-write-device",
        "writes where shell has the UART and audit the watchdog",
    ),
    dies(
        "mallory-execute-ring",
        "puts code into its ring and calls it",
    ),
];

/// The hostile client's budget in tokens is its order: this number plus that of an attack in the list, from 1. So a
/// user who may change budgets can command it, without any device or region.
pub const NO_ORDER: u64 = 1_000_000_000;
/// Orders differ by multiples of this, so an attack can be made twice.
pub const ORDERS: u64 = 1000;

/// The attack that a budget orders.
#[must_use]
pub fn ordered(tokens: u64) -> Option<&'static Attack> {
    let number = tokens.checked_sub(NO_ORDER)? % ORDERS;
    ATTACKS.get(usize::try_from(number.checked_sub(1)?).ok()?)
}
