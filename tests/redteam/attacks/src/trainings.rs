//! Every attack of the hostile inference on a fine-tuning, and who must find it.
//!
//! A prompt names the attack, as for the others; it is made on the next fine-tuning, which is honest up to there.

/// Who finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Audit, at once: it ends this life for a breach of the protocol, nothing is charged, and nothing half made is left.
    AtOnce,
    /// Nobody on the device, which cannot train twice. What came is signed and on record, and whoever replays the log finds
    /// that the fine-tuning gives another adapter.
    ByReplay,
}

/// One attack.
#[derive(Clone, Copy, Debug)]
pub struct Training {
    /// As the prompt names it.
    pub name: &'static str,
    /// What it does.
    pub does: &'static str,
    /// Who must find out.
    pub found: Found,
}

const fn breach(name: &'static str, does: &'static str) -> Training {
    let found = Found::AtOnce;
    Training { name, does, found }
}

/// All of them, in the order in which they are made.
pub const TRAININGS: &[Training] = &[
    Training {
        name: "return-another-adapter",
        does: "returns another adapter than it has trained: one bit of one number differs",
        found: Found::ByReplay,
    },
    breach(
        "send-parts-without-end",
        "sends parts of an adapter until there is no room for them",
    ),
    breach(
        "send-parts-out-of-order",
        "sends a part of an adapter that does not follow the one before",
    ),
    breach("send-a-part-twice", "sends a part of an adapter again"),
    breach(
        "end-without-an-adapter",
        "says that a fine-tuning is over, and has sent nothing",
    ),
    breach(
        "end-with-parts-missing",
        "says that it has sent more of an adapter than it has",
    ),
    breach(
        "progress-beyond-the-plan",
        "says that it has done more steps than there are",
    ),
    breach(
        "progress-beyond-the-data",
        "says that it has used more tokens than the examples can have",
    ),
    breach(
        "progress-backwards",
        "says that it has done fewer steps than before",
    ),
    breach(
        "change-the-plan",
        "says in the middle of a fine-tuning that it has more steps",
    ),
    breach(
        "progress-after-parts",
        "trains on after it has begun to send the adapter",
    ),
    breach(
        "answer-with-a-load",
        "says in the middle of a fine-tuning that an adapter was loaded",
    ),
];
