//! Every attack of the hostile files domain, and its required outcome.

use crate::On;

/// The kind of request that triggers the attack, and the required answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// A load, which ends with one error that says this.
    Fail(&'static str),
    /// A load, which succeeds with the right model. A second load ends with one error that says this.
    FailLater(&'static str),
    /// A list, which ends with one error that says this.
    FailList(&'static str),
    /// The other signed file is loaded instead, and the log has its hash.
    Swap,
    /// The load does not end until it is cancelled. The next one succeeds, whatever arrives for the first.
    Late,
    /// It reports this, as the name of a model in the next list.
    Say(&'static str),
    /// An attack on the log on the disk while requests are served.
    Log(Log),
}

/// The required outcome of an attack on the log. Meanwhile, honest requests give the canonical text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// The log says at once that it is no longer written, with these words.
    Lost(&'static str),
    /// A request takes at least this many seconds, and gets its text.
    Slow(u64),
    /// The next boot says this about what it has found.
    NextBoot(&'static str),
    /// The next boot finds nothing wrong, but a user with an attestation of the log is told this.
    Behind(&'static str),
}

/// What happens to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// The next load is honest and succeeds.
    GoesOn,
    /// Audit asks nothing more: the next load is refused at once.
    GivenUp,
    /// Not checked, because its rings are in a state from which it could not be honest again.
    Left,
}

/// One attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// Its name in the order: a load of `disk/NAME`.
    pub name: &'static str,
    /// What it does.
    pub does: &'static str,
    /// The required outcome. In addition, the model in service stays, the honest text is the canonical one, no domain
    /// but files has died, and the log verifies.
    pub must: Must,
    /// What happens to the disk.
    pub disk: Disk,
    /// The runtimes on which it can be made.
    pub on: On,
}

const fn fails(name: &'static str, does: &'static str, words: &'static str) -> Attack {
    Attack {
        name,
        does,
        must: Must::Fail(words),
        disk: Disk::GoesOn,
        on: On::Both,
    }
}

const fn ends(name: &'static str, does: &'static str, words: &'static str) -> Attack {
    Attack {
        disk: Disk::GivenUp,
        ..fails(name, does, words)
    }
}

const fn lists(name: &'static str, does: &'static str, words: &'static str) -> Attack {
    Attack {
        must: Must::FailList(words),
        ..fails(name, does, words)
    }
}

/// An attack on the kernel's interface.
const fn kernel(name: &'static str, does: &'static str, words: &'static str) -> Attack {
    Attack {
        must: Must::Say(words),
        on: On::Sel4,
        ..fails(name, does, "")
    }
}

const fn log(name: &'static str, does: &'static str, must: Log) -> Attack {
    Attack {
        must: Must::Log(must),
        disk: Disk::Left,
        ..fails(name, does, "")
    }
}

const SIGNATURE: &str =
    "is by no key that the policy trusts, or the file was changed after it was signed";
const BREACH: &str = "has sent a wrong answer";
const SILENT: &str = "has not answered for 10.00 s";

/// All attacks, in the order in which they are made.
pub const ATTACKS: &[Attack] = &[
    // The data that it returns.
    fails("files-wrong-bytes", "flips one bit of the model", SIGNATURE),
    fails("files-zeros", "gives zeros for the model", SIGNATURE),
    Attack {
        must: Must::FailLater(SIGNATURE),
        ..fails(
            "files-second-read",
            "gives the signed model at the first reading, and other bytes at the second",
            SIGNATURE,
        )
    },
    fails(
        "files-other-file",
        "gives another file under the name, with the signature of the right one",
        SIGNATURE,
    ),
    Attack {
        must: Must::Swap,
        ..fails(
            "files-swap",
            "gives another file under the name, with that file's own good signature",
            "",
        )
    },
    fails(
        "files-no-signature",
        "gives a signature of zeros",
        SIGNATURE,
    ),
    fails(
        "files-long-signature",
        "says that the signature has 65 bytes",
        SIGNATURE,
    ),
    fails(
        "files-absurd-size",
        "says that the model has 18,446,744,073,709,551,615 bytes",
        "has 18446744073709551615 bytes, and there is room for",
    ),
    fails(
        "files-shrinks",
        "gives fewer bytes than it announced",
        "when it was opened and",
    ),
    fails(
        "files-device-error",
        "says that the device cannot read the model",
        "the disk reports an error",
    ),
    // How it answers.
    fails(
        "files-grows",
        "gives more bytes than it was asked for",
        BREACH,
    ),
    fails(
        "files-other-place",
        "gives bytes from a place other than the requested one",
        BREACH,
    ),
    fails(
        "files-other-kind",
        "ends a list where bytes are expected",
        BREACH,
    ),
    fails(
        "files-other-number",
        "answers under the number of the next question",
        BREACH,
    ),
    fails(
        "files-no-message",
        "sends bytes that are not a message",
        BREACH,
    ),
    Attack {
        must: Must::Late,
        ..fails(
            "files-late",
            "answers a load that was cancelled, with another file's bytes, and again while the next file is read",
            "",
        )
    },
    Attack {
        must: Must::Late,
        ..fails(
            "files-crawl",
            "spins for 3 s before it gives each part of a model, so a load would take minutes",
            "",
        )
    },
    // Lists.
    Attack {
        disk: Disk::GivenUp,
        ..lists("files-endless-list", "lists files without end", BREACH)
    },
    lists(
        "files-many-names",
        "lists 4000 models, most of which audit has no room for",
        "files of the disk cannot be shown",
    ),
    lists(
        "files-odd-names",
        "lists a name with a terminal's sequences",
        BREACH,
    ),
    lists(
        "files-wrong-count",
        "ends a list with a number of files other than it has named",
        BREACH,
    ),
    // Too much, and too little.
    ends("files-twice", "gives each answer twice", BREACH),
    ends(
        "files-flood",
        "sends answers that nobody asked for, until the ring is full",
        BREACH,
    ),
    ends("files-silence", "stops answering", SILENT),
    ends("files-spin", "spins", SILENT),
    // Its ring.
    Attack {
        disk: Disk::Left,
        ..fails(
            "files-forge-head",
            "says that 1000 messages are waiting",
            BREACH,
        )
    },
    Attack {
        disk: Disk::Left,
        ..fails(
            "files-torn",
            "announces a message that is longer than a slot",
            BREACH,
        )
    },
    ends(
        "files-scribble",
        "fills its ring with garbage, with indices that belong to no epoch of audit",
        SILENT,
    ),
    // The kernel's interface.
    kernel(
        "files-invoke-all-slots",
        "makes every invocation on every other slot of its CSpace",
        "granted=0-error2=",
    ),
    kernel(
        "files-invoke-address-space",
        "the same on its own address space, with a page of its ring as the range; at most the four kinds of cache \
        maintenance are granted",
        "granted=4-error3=76",
    ),
    kernel(
        "files-signal-foreign-channels",
        "signals the 62 channels and 64 interrupts that it does not have, those of clients and inference among them",
        "granted=0-error2=126",
    ),
    kernel(
        "files-call-foreign-endpoints",
        "calls the 64 endpoints that a channel could have",
        "granted=0-error2=5120",
    ),
    kernel(
        "files-stop-audit",
        "suspends, resumes and rewrites threads through the 64 slots of children's TCBs",
        "granted=0-error2=5120",
    ),
    kernel(
        "files-receive-faults",
        "polls the monitor's endpoint, which clients and disk hold, too, 10 000 times for faults of others",
        "received=0",
    ),
    // The log on the disk, which the honest files domain behind it finds and writes.
    log(
        "files-log-drop",
        "reports each write and flush of the log as done, and does nothing",
        Log::Behind("is not the one that the device has signed"),
    ),
    log(
        "files-log-change",
        "changes one bit of the next entry that it writes",
        Log::NextBoot("DAMAGED: what followed entry"),
    ),
    log(
        "files-log-fails",
        "says that the device cannot write the log",
        Log::Lost("the log goes on in memory only"),
    ),
    log(
        "files-log-silence",
        "stops answering when the log is written",
        Log::Lost(SILENT),
    ),
    log(
        "files-log-slow",
        "spins for 3 s in each flush of the log",
        Log::Slow(6),
    ),
    // Other domains' memory: each of these kills it, so it falls silent.
    ends("files-dies", "executes an undefined instruction", SILENT),
    ends(
        "files-write-slots",
        "writes the model slots, which inference reads",
        SILENT,
    ),
    ends(
        "files-read-staging",
        "reads where audit keeps a file before it is verified",
        SILENT,
    ),
    ends(
        "files-write-log",
        "writes where audit has the log, and disk the memory of its device",
        SILENT,
    ),
    ends(
        "files-read-device",
        "reads where disk has the device's registers",
        SILENT,
    ),
    ends(
        "files-write-question",
        "writes the ring in which audit asks",
        SILENT,
    ),
    ends(
        "files-write-answer",
        "writes the ring in which disk answers it",
        SILENT,
    ),
];

/// The attack that a load of this file orders.
#[must_use]
pub fn ordered(name: &[u8]) -> Option<&'static Attack> {
    ATTACKS.iter().find(|attack| attack.name.as_bytes() == name)
}
