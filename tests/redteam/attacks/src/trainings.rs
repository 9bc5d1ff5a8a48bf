//! Every attack of the hostile inference server on a fine-tuning, and who must detect it.
//!
//! A prompt names the attack, as for the others; it is made during the next fine-tuning, which is honest until then.

/// Who detects the attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Audit, at once: it restarts inference for a breach of the protocol, nothing is charged, and no partial adapter
    /// is left.
    AtOnce,
    /// Nobody on the device, because it cannot train twice to compare. The result is signed and recorded, and a replay
    /// of the log reveals that the fine-tuning gives another adapter.
    ByReplay,
}

/// One attack.
#[derive(Clone, Copy, Debug)]
pub struct Training {
    /// Its name in the prompt.
    pub name: &'static str,
    /// What it does.
    pub does: &'static str,
    /// Who must detect it.
    pub found: Found,
}

const fn breach(name: &'static str, does: &'static str) -> Training {
    let found = Found::AtOnce;
    Training { name, does, found }
}

/// All attacks, in the order in which they are made.
pub const TRAININGS: &[Training] = &[
    Training {
        name: "return-another-adapter",
        does: "returns an adapter other than the one it trained: one bit of one number differs",
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
        "says that a fine-tuning is over, although it has sent nothing",
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
        "continues to train after it has begun to send the adapter",
    ),
    breach(
        "answer-with-a-load",
        "says in the middle of a fine-tuning that an adapter was loaded",
    ),
];
