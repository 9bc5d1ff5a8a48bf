//! Checks the chain of an export, and says which entry is wrong and how.
//!
//! Each entry holds the hash of the one before it, and the closing line that of the last. So what an entry's successor
//! holds decides: a link that is broken while the successor's own holds means that the entry was changed.

use std::collections::{BTreeMap, BTreeSet};

use protocol::record::{Hash, Hex, Kind};

use super::export::{Entry, Export};

/// Something that is wrong. An export with any does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// There is no export.
    #[error("there is no opening line of an export: make one with `llmctl audit --json`")]
    NoOpening,
    /// There is more than one.
    #[error("{}a second export begins here, or the first has lost its place; leave one", at(*line))]
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
    /// A line between the entries that is none.
    #[error("{}no entry, but it looks like what is left of one", at(*line))]
    Stray {
        /// From 1.
        line: usize,
    },
    /// A line of an export that stands after its closing line.
    #[error("{}inserted: it stands behind the closing line", at(*line))]
    Outside {
        /// From 1.
        line: usize,
    },
    /// The closing line is missing.
    #[error("cut off after entry {last}: there is no closing line")]
    NoEnding {
        /// The last entry that is there.
        last: u64,
    },
    /// Entries were left out on purpose.
    #[error(
        "the export has the entries of one user alone, so that its chain cannot be checked: export without --user"
    )]
    Filtered,
    /// A line that cannot be read.
    #[error("{}entry {} is changed: {reason}", at(*line), number(*sequence))]
    Unreadable {
        /// From 1.
        line: usize,
        /// Its number, if that can be read.
        sequence: Option<u64>,
        /// What is wrong.
        reason: String,
    },
    /// A line that says the right things in another way.
    #[error("{}entry {sequence} is changed: {reason}", at(*line))]
    Altered {
        /// From 1.
        line: usize,
        /// Its number.
        sequence: u64,
        /// What is wrong.
        reason: String,
    },
    /// An entry is not what its successor has hashed.
    #[error("{}entry {sequence} is changed: {holder} holds another hash of it", at(*line))]
    Changed {
        /// From 1.
        line: usize,
        /// Its number.
        sequence: u64,
        /// What holds its hash.
        holder: String,
    },
    /// An entry whose hash nothing holds that can be trusted.
    #[error("{}entry {sequence} cannot be checked: {reason}", at(*line))]
    Unchecked {
        /// From 1.
        line: usize,
        /// Its number.
        sequence: u64,
        /// Why.
        reason: String,
    },
    /// Entries are not there.
    #[error("{} missing", range(*from, *to))]
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The last entries are not there.
    #[error("{} cut off: the closing line counts more", range(*from, *to))]
    CutOff {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// An entry stands in the wrong place.
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
        /// How one can tell.
        reason: String,
    },
    /// The opening line is not about the first entry.
    #[error(
        "the opening line, or entry {sequence} after it, is changed: its {member} is not the entry's"
    )]
    Opening {
        /// The first entry.
        sequence: u64,
        /// What does not fit.
        member: &'static str,
    },
    /// The first entry of the log has a predecessor.
    #[error("entry 1 is the first of the log, but names one before it")]
    FirstHasPredecessor,
    /// The closing line is not about these entries.
    #[error(
        "the closing line is changed, or entries are missing: it counts {claimed} entries, {found} are there"
    )]
    Count {
        /// What it says.
        claimed: u64,
        /// What is there.
        found: u64,
    },
    /// The log ends elsewhere than is known.
    #[error(
        "no entry has the hash {} that was given with --head: the log was cut off or made anew",
        Hex(head)
    )]
    UnknownHead {
        /// What was given.
        head: Hash,
    },
    /// The log on a disk is not whole.
    #[error(
        "the log on the disk is DAMAGED: what followed entry {after} is missing or was changed"
    )]
    Damaged {
        /// The last entry before the damage.
        after: u64,
    },
    /// The log on a disk is another device's.
    #[error("the log on the disk was not written by the device whose key was given with --device")]
    OtherDevice,
    /// The head was not signed, or this is not the key.
    #[error(
        "the signature on the attestation of entry {sequence} is not by the key that was given with --device, or the line was changed"
    )]
    BadAttestation {
        /// What it says.
        sequence: u64,
    },
    /// The line of an attestation is not as audit prints it.
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
        /// The nonce that it was to have.
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
    /// The entry that the device has signed is another.
    #[error(
        "entry {sequence} is not the one that the device has signed: the log was made anew, or belongs to another time"
    )]
    OtherHead {
        /// What was signed.
        sequence: u64,
    },
    /// The entry that the device has signed is not in the log any more.
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

/// Where in an export; a log on a disk has no lines.
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

/// Checks an export, and that one of its entries has the hash `known`, if there is one. Holds if nothing is found.
#[must_use]
pub fn verify(export: &Export, known: Option<&Hash>) -> Vec<Finding> {
    let mut findings = export.findings.clone();
    if export.ending.as_ref().is_some_and(|ending| ending.filtered) {
        findings.push(Finding::Filtered);
        return findings;
    }
    out_of_order(&export.entries, &mut findings);
    let mut sound = by_sequence(export, &mut findings);
    beyond_the_ends(export, &mut sound, &mut findings);
    gaps(export, &sound, &mut findings);
    links(export, &sound, &mut findings);
    if let Some(known) = known {
        let anchor = export.opening.as_ref().map(|opening| opening.anchor);
        let found = sound.values().any(|entry| entry.hash == *known) || anchor == Some(*known);
        if !found {
            findings.push(Finding::UnknownHead { head: *known });
        }
    }
    findings
}

/// Names the fewest entries that would have to move.
fn out_of_order(entries: &[Entry], findings: &mut Vec<Finding>) {
    // Longest strictly increasing subsequence, by patience: `piles` holds the entry on top of each pile.
    let mut piles: Vec<usize> = Vec::new();
    let mut before = vec![None; entries.len()];
    let mut seen = BTreeSet::new();
    for (i, entry) in entries.iter().enumerate() {
        if !seen.insert(entry.sequence()) {
            continue;
        }
        let pile = piles.partition_point(|top| entries[*top].sequence() < entry.sequence());
        before[i] = pile.checked_sub(1).map(|under| piles[under]);
        match piles.get_mut(pile) {
            Some(top) => *top = i,
            None => piles.push(i),
        }
    }
    let mut in_order = BTreeSet::new();
    let mut at = piles.last().copied();
    while let Some(i) = at {
        in_order.insert(i);
        at = before[i];
    }
    let mut seen = BTreeSet::new();
    for (i, entry) in entries.iter().enumerate() {
        // What has a number twice is inserted, which is said elsewhere.
        if seen.insert(entry.sequence()) && !in_order.contains(&i) {
            findings.push(Finding::Reordered {
                line: entry.line,
                sequence: entry.sequence(),
            });
        }
    }
}

/// The entries by their numbers; of several with one number, the one that the next entry holds the hash of.
fn by_sequence<'e>(export: &'e Export, findings: &mut Vec<Finding>) -> BTreeMap<u64, &'e Entry> {
    let mut all: BTreeMap<u64, Vec<&Entry>> = BTreeMap::new();
    for entry in &export.entries {
        all.entry(entry.sequence()).or_default().push(entry);
    }
    let mut sound = BTreeMap::new();
    for (sequence, entries) in &all {
        let next = sequence.checked_add(1).and_then(|next| all.get(&next));
        let is_held = |entry: &&Entry| {
            let by_next = next.is_some_and(|n| n.iter().any(|n| n.record.previous == entry.hash));
            by_next || export.ending.as_ref().is_some_and(|e| e.head == entry.hash)
        };
        let kept = entries.iter().position(is_held).unwrap_or(0);
        for (i, entry) in entries.iter().enumerate() {
            if i == kept {
                sound.insert(*sequence, *entry);
            } else {
                findings.push(Finding::Inserted {
                    line: entry.line,
                    sequence: *sequence,
                    reason: format!("line {} has this number, too", entries[kept].line),
                });
            }
        }
    }
    sound
}

/// Takes out what claims to lie before the first entry or after the last.
fn beyond_the_ends(
    export: &Export,
    sound: &mut BTreeMap<u64, &Entry>,
    findings: &mut Vec<Finding>,
) {
    let mut take_out = |inserted: Vec<u64>, reason: &str, sound: &mut BTreeMap<u64, &Entry>| {
        for sequence in inserted {
            if let Some(entry) = sound.remove(&sequence) {
                findings.push(Finding::Inserted {
                    line: entry.line,
                    sequence,
                    reason: reason.to_owned(),
                });
            }
        }
    };
    if let Some(ending) = &export.ending {
        let last = sound.values().find(|entry| entry.hash == ending.head);
        let last = last.map(|entry| entry.sequence());
        let after = |last| sound.keys().copied().filter(move |s| *s > last).collect();
        if let Some(inserted) = last.map(after) {
            take_out(inserted, "the log ends before it", sound);
        }
    }
    if let Some(opening) = &export.opening {
        let starts = |entry: &&&Entry| entry.record.previous == opening.anchor;
        let begins = sound.get(&opening.first).filter(starts).is_some();
        let before = sound.range(..opening.first).map(|(sequence, _)| *sequence);
        let inserted: Vec<u64> = before.collect();
        if begins {
            take_out(inserted, "the export begins after it", sound);
        }
    }
}

fn gaps(export: &Export, sound: &BTreeMap<u64, &Entry>, findings: &mut Vec<Finding>) {
    let unreadable: BTreeSet<u64> = export.unreadable.iter().flatten().copied().collect();
    let mut note = |from: u64, to: u64, finding: fn(u64, u64) -> Finding| {
        // What cannot be read has been named; it is not missing.
        let mut from = from;
        for there in unreadable.range(from..=to).copied().chain([to + 1]) {
            if from < there {
                findings.push(finding(from, there - 1));
            }
            from = there + 1;
        }
    };
    let missing = |from, to| Finding::Missing { from, to };
    let numbers: Vec<u64> = sound.keys().copied().collect();
    let (Some(&lowest), Some(&highest)) = (numbers.first(), numbers.last()) else {
        return;
    };
    if let Some(opening) = &export.opening
        && opening.first < lowest
    {
        note(opening.first, lowest - 1, missing);
    }
    for pair in numbers.windows(2) {
        if pair[1] - pair[0] > 1 {
            note(pair[0] + 1, pair[1] - 1, missing);
        }
    }
    if let (Some(opening), Some(ending)) = (&export.opening, &export.ending) {
        let end = opening.first.saturating_add(ending.entries);
        let head = sound.get(&highest).map(|entry| entry.hash);
        if highest.saturating_add(1) < end && head != Some(ending.head) {
            note(highest + 1, end - 1, |from, to| Finding::CutOff {
                from,
                to,
            });
        }
    }
}

fn links(export: &Export, sound: &BTreeMap<u64, &Entry>, findings: &mut Vec<Finding>) {
    let entries: Vec<&Entry> = sound.values().copied().collect();
    let mut found = Vec::new();
    // Whether the successor's own hash is what the one after it holds.
    let mut successor_holds = true;
    for (i, entry) in entries.iter().enumerate().rev() {
        let (line, sequence) = (entry.line, entry.sequence());
        let next = entries.get(i + 1);
        let unchecked = |reason: &str| Finding::Unchecked {
            line,
            sequence,
            reason: reason.to_owned(),
        };
        let problem = match (next, &export.ending) {
            (Some(next), _) if next.sequence() != sequence.wrapping_add(1) => Some(unchecked(
                "the next one, which holds its hash, is not there",
            )),
            (Some(next), _) if next.record.previous != entry.hash => {
                let holder = format!("entry {}", next.sequence());
                Some(match successor_holds {
                    true => Finding::Changed {
                        line,
                        sequence,
                        holder,
                    },
                    false => unchecked(&format!("{holder}, which holds its hash, is changed")),
                })
            }
            (Some(_), _) => None,
            (None, Some(ending)) if ending.head != entry.hash => {
                let all = export.opening.as_ref().is_none_or(|opening| {
                    opening.first.saturating_add(ending.entries) <= sequence.saturating_add(1)
                });
                Some(match all {
                    true => Finding::Changed {
                        line,
                        sequence,
                        holder: "the closing line".to_owned(),
                    },
                    false => unchecked("the next one, which holds its hash, is not there"),
                })
            }
            (None, Some(_)) => None,
            // That there is no closing line is said below.
            (None, None) => None,
        };
        successor_holds = problem.is_none();
        found.extend(problem);
    }
    findings.extend(found.into_iter().rev());

    for pair in entries.windows(2) {
        // Times count from the boot.
        let boots = pair[1].record.kind() == Some(Kind::Boot);
        if pair[1].record.time_us < pair[0].record.time_us && !boots {
            findings.push(Finding::Time {
                line: pair[1].line,
                sequence: pair[1].sequence(),
            });
        }
    }
    if let (Some(opening), Some(first)) = (&export.opening, entries.first()) {
        let sequence = first.sequence();
        if opening.first > sequence {
            let member = "first";
            findings.push(Finding::Opening { sequence, member });
        }
        if opening.first == sequence && opening.anchor != first.record.previous {
            let member = "anchor";
            findings.push(Finding::Opening { sequence, member });
        }
        if sequence == 1 && first.record.previous != [0; 32] {
            findings.push(Finding::FirstHasPredecessor);
        }
    }
    let last = entries.last().map_or(0, |entry| entry.sequence());
    match &export.ending {
        None => findings.push(Finding::NoEnding { last }),
        Some(ending) => {
            let claimed = ending.entries;
            let count = export.entries.len() + export.unreadable.len();
            if claimed != count as u64 {
                let found = count as u64;
                findings.push(Finding::Count { claimed, found });
            }
            let empty = export.opening.as_ref().map(|opening| opening.anchor);
            if entries.is_empty() && claimed == 0 && empty != Some(ending.head) {
                findings.push(Finding::Count { claimed, found: 0 });
            }
        }
    }
}
