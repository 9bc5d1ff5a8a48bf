//! What can be wrong with a log, and the messages for it.

use protocol::hash::{Hash, Hex};

/// Something wrong with a log. A log with any finding fails the check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// There is no export.
    #[error("there is no opening line of an export: make one with `llmctl audit --json`")]
    NoOpening,
    /// There is more than one export.
    #[error("{}a second export begins here, or lines are out of place; leave one export", at(*line))]
    SecondOpening {
        /// From 1.
        line: usize,
    },
    /// The opening or the closing line is wrong.
    #[error("{}the opening or closing line is changed: {reason}", at(*line))]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A line between the entries is not an entry.
    #[error("{}this is not an entry, but looks like the remains of one", at(*line))]
    Stray {
        /// From 1.
        line: usize,
    },
    /// A line of an export comes after its closing line.
    #[error("{}inserted: it comes after the closing line", at(*line))]
    Outside {
        /// From 1.
        line: usize,
    },
    /// The closing line is missing.
    #[error("cut off after entry {last}: there is no closing line")]
    NoEnding {
        /// The last entry present.
        last: u64,
    },
    /// Entries were left out on purpose, by a filter.
    #[error(
        "the export has the entries of only one user, so its chain cannot be checked: export without --user"
    )]
    Filtered,
    /// A line cannot be read.
    #[error("{}entry {} is changed: {reason}", at(*line), number(*sequence))]
    Unreadable {
        /// From 1.
        line: usize,
        /// Its number, if it can be read.
        sequence: Option<u64>,
        /// What is wrong.
        reason: String,
    },
    /// A line has the right content in another form.
    #[error("{}entry {sequence} is changed: {reason}", at(*line))]
    Altered {
        /// From 1.
        line: usize,
        /// Its number.
        sequence: u64,
        /// What is wrong.
        reason: String,
    },
    /// An entry does not match its hash in the successor.
    #[error("{}entry {sequence} is changed: {holder} holds another hash of it", at(*line))]
    Changed {
        /// From 1.
        line: usize,
        /// Its number.
        sequence: u64,
        /// What contains its hash.
        holder: String,
    },
    /// An entry cannot be checked, because nothing trustworthy contains its hash.
    #[error("{}entry {sequence} cannot be checked: {reason}", at(*line))]
    Unchecked {
        /// From 1.
        line: usize,
        /// Its number.
        sequence: u64,
        /// Why.
        reason: String,
    },
    /// Entries are missing.
    #[error("{} missing", range(*from, *to))]
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The last entries are missing.
    #[error("{} cut off: the closing line counts more", range(*from, *to))]
    CutOff {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// An entry is in the wrong place.
    #[error("{}entry {sequence} is out of order", at(*line))]
    Reordered {
        /// From 1.
        line: usize,
        /// Its number.
        sequence: u64,
    },
    /// An entry does not belong there.
    #[error("{}entry {sequence} is inserted: {reason}", at(*line))]
    Inserted {
        /// From 1.
        line: usize,
        /// The number that it claims.
        sequence: u64,
        /// How this can be seen.
        reason: String,
    },
    /// The opening line does not match the first entry.
    #[error(
        "the opening line, or entry {sequence} after it, is changed: its {member} is not the entry's"
    )]
    Opening {
        /// The first entry.
        sequence: u64,
        /// What does not match.
        member: &'static str,
    },
    /// The first entry of the log has a predecessor.
    #[error("entry 1 is the first of the log, but names one before it")]
    FirstHasPredecessor,
    /// The closing line does not match the entries.
    #[error(
        "the closing line is changed, or entries are missing: it counts {claimed} entries, {found} were found"
    )]
    Count {
        /// What it says.
        claimed: u64,
        /// What was found.
        found: u64,
    },
    /// The log does not contain the known hash.
    #[error(
        "no entry has the hash {} that was given with --head: the log was cut off or forged as a whole",
        Hex(head)
    )]
    UnknownHead {
        /// What was given.
        head: Hash,
    },
    /// The log on a disk is incomplete.
    #[error(
        "the log on the disk is DAMAGED: what followed entry {after} is missing or was changed"
    )]
    Damaged {
        /// The last entry before the damage.
        after: u64,
    },
    /// The log on a disk belongs to another device.
    #[error("the log on the disk was not written by the device whose key was given with --device")]
    OtherDevice,
    /// The head was not signed with this key.
    #[error(
        "the signature on the attestation of entry {sequence} is not by the key that was given with --device, or the line was changed"
    )]
    BadAttestation {
        /// What it says.
        sequence: u64,
    },
    /// The line of an attestation is not what audit prints.
    #[error("{}the attestation cannot be read: {reason}", at(*line))]
    UnreadableAttestation {
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// There is no attestation.
    #[error("there is no attestation{}: ask for one with `llmctl audit attest{}`", with_nonce(nonce.as_deref()), and_nonce(nonce.as_deref()))]
    NoAttestation {
        /// The required nonce.
        nonce: Option<String>,
    },
    /// The log ends before the entry that the device has signed.
    #[error(
        "the device has signed entry {sequence}, but the log ends with entry {last}: entries are missing, or an older disk was put back"
    )]
    BehindAttestation {
        /// What was signed.
        sequence: u64,
        /// The last entry.
        last: u64,
    },
    /// The entry that the device has signed is a different one.
    #[error(
        "entry {sequence} is not the one that the device has signed: the log was forged as a whole, or is from another time"
    )]
    OtherHead {
        /// What was signed.
        sequence: u64,
    },
    /// The entry that the device has signed is no longer in the log.
    #[error(
        "the device has signed entry {sequence}, and the log begins with entry {first}: ask for a newer attestation"
    )]
    BeforeLog {
        /// What was signed.
        sequence: u64,
        /// The first entry.
        first: u64,
    },
    /// Time goes backwards.
    #[error("{}entry {sequence} is earlier than the one before it", at(*line))]
    Time {
        /// From 1.
        line: usize,
        /// Its number.
        sequence: u64,
    },
}

/// The place in an export; a log on a disk has no lines.
fn at(line: usize) -> String {
    match line {
        0 => String::new(),
        line => format!("line {line}: "),
    }
}

fn with_nonce(nonce: Option<&str>) -> String {
    nonce.map_or_else(String::new, |nonce| format!(" with the nonce '{nonce}'"))
}

fn and_nonce(nonce: Option<&str>) -> String {
    nonce.map_or_else(String::new, |nonce| format!(" {nonce}"))
}

fn number(sequence: Option<u64>) -> String {
    sequence.map_or("(without a number)".to_owned(), |number| number.to_string())
}

fn range(from: u64, to: u64) -> String {
    match from == to {
        true => format!("entry {from} is"),
        false => format!("entries {from} to {to} are"),
    }
}
