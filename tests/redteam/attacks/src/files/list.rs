//! Every attack of the hostile files, and what must become of it.

/// What is asked of it, and what must be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// The load ends with one error, which says this.
    Fail(&'static str),
    /// The model loads, is what it should be, and can be used. Loaded once more it ends with one error, which says this.
    FailLater(&'static str),
    /// The list ends with one error, which says this.
    FailList(&'static str),
    /// The other signed file is loaded in its place, and the log has its hash.
    Swap,
}

/// What becomes of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// The next load is an honest one, and succeeds.
    GoesOn,
    /// Nothing is asked of it any more: the next load is refused at once.
    GivenUp,
    /// What comes next is not looked at: its rings are in no state in which it could be honest again.
    Left,
}

/// One attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// As the order names it: a load of `disk/NAME`.
    pub name: &'static str,
    /// What it does.
    pub does: &'static str,
    /// What must be seen. Besides, always: the model in service stays, the honest text is the canonical one, nobody has died
    /// of it but files itself, and the log verifies.
    pub must: Must,
    /// What becomes of the disk.
    pub disk: Disk,
}

const fn fails(name: &'static str, does: &'static str, words: &'static str) -> Attack {
    Attack {
        name,
        does,
        must: Must::Fail(words),
        disk: Disk::GoesOn,
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

const SIGNATURE: &str =
    "is by no key that the policy trusts, or the file was changed after it was signed";
const BREACH: &str = "has answered what was not asked";
const SILENT: &str = "has not answered for 10.00 s";

/// All of them, in the order in which they are made.
pub const ATTACKS: &[Attack] = &[
    // What it gives.
    fails(
        "files-wrong-bytes",
        "turns one bit of the model round",
        SIGNATURE,
    ),
    Attack {
        must: Must::FailLater(SIGNATURE),
        ..fails(
            "files-second-read",
            "gives the model that is signed when it is read first, and other bytes when it is read again",
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
        "gives fewer bytes than it has said",
        "when it was opened and",
    ),
    // How it answers.
    fails(
        "files-grows",
        "gives more bytes than it was asked for",
        BREACH,
    ),
    fails(
        "files-other-place",
        "gives bytes of another place than it was asked for",
        BREACH,
    ),
    fails(
        "files-other-kind",
        "ends a list where bytes are wanted",
        BREACH,
    ),
    fails(
        "files-other-number",
        "answers under the number of the next question",
        BREACH,
    ),
    fails(
        "files-no-message",
        "sends bytes that are no message",
        BREACH,
    ),
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
        "ends a list with another number of files than it has named",
        BREACH,
    ),
    // Too much, and too little.
    ends("files-twice", "gives each answer twice", BREACH),
    ends(
        "files-flood",
        "sends answers that nobody has asked for, as many as the ring takes",
        BREACH,
    ),
    ends("files-silence", "says nothing any more", SILENT),
    ends("files-spin", "spins", SILENT),
    // Its ring.
    Attack {
        disk: Disk::Left,
        ..fails("files-forge-head", "says that 1000 messages wait", BREACH)
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
        "fills its ring with garbage, whose indices are of no epoch of audit's",
        SILENT,
    ),
    // Memory that is not its own: it dies of that, and is silent.
    ends("files-dies", "executes an undefined instruction", SILENT),
    ends(
        "files-write-slots",
        "writes the model slots, which inference reads",
        SILENT,
    ),
    ends(
        "files-read-staging",
        "reads where audit reads a file before it is verified",
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
];

/// The attack that a load of this file orders.
#[must_use]
pub fn ordered(name: &[u8]) -> Option<&'static Attack> {
    ATTACKS.iter().find(|attack| attack.name.as_bytes() == name)
}
