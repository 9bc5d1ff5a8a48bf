//! Checks the chain of an export, and reports which entry is wrong and how.
//!
//! Each entry contains the hash of its predecessor, and the closing line that of the last entry. So the successor
//! decides: if an entry does not match the hash in its successor, and the successor itself matches, then the entry was
//! changed.

use std::collections::{BTreeMap, BTreeSet};

use protocol::hash::Hash;
use protocol::record::Kind;

use super::export::{Export, ExportedEntry};
use super::finding::Finding;

/// Checks an export and, with `known`, that one of its entries has this hash. The log passes if nothing is found.
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

/// Returns the smallest set of entries that would have to be moved.
fn out_of_order(entries: &[ExportedEntry], findings: &mut Vec<Finding>) {
    // Longest strictly increasing subsequence, by patience sorting: `piles` holds the top entry of each pile.
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
        // A repeated number was inserted, which is reported elsewhere.
        if seen.insert(entry.sequence()) && !in_order.contains(&i) {
            findings.push(Finding::Reordered {
                line: entry.line,
                sequence: entry.sequence(),
            });
        }
    }
}

/// The entries by number. If several have the same number, the one whose hash the next entry contains.
fn by_sequence<'e>(
    export: &'e Export,
    findings: &mut Vec<Finding>,
) -> BTreeMap<u64, &'e ExportedEntry> {
    let mut all: BTreeMap<u64, Vec<&ExportedEntry>> = BTreeMap::new();
    for entry in &export.entries {
        all.entry(entry.sequence()).or_default().push(entry);
    }
    let mut sound = BTreeMap::new();
    for (sequence, entries) in &all {
        let next = sequence.checked_add(1).and_then(|next| all.get(&next));
        let is_held = |entry: &&ExportedEntry| {
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

/// Removes entries that claim to come before the first entry or after the last.
fn beyond_the_ends(
    export: &Export,
    sound: &mut BTreeMap<u64, &ExportedEntry>,
    findings: &mut Vec<Finding>,
) {
    let mut take_out =
        |inserted: Vec<u64>, reason: &str, sound: &mut BTreeMap<u64, &ExportedEntry>| {
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
        let starts = |entry: &&&ExportedEntry| entry.record.previous == opening.anchor;
        let begins = sound.get(&opening.first).filter(starts).is_some();
        let before = sound.range(..opening.first).map(|(sequence, _)| *sequence);
        let inserted: Vec<u64> = before.collect();
        if begins {
            take_out(inserted, "the export begins after it", sound);
        }
    }
}

fn gaps(export: &Export, sound: &BTreeMap<u64, &ExportedEntry>, findings: &mut Vec<Finding>) {
    let unreadable: BTreeSet<u64> = export.unreadable.iter().flatten().copied().collect();
    let mut note = |from: u64, to: u64, finding: fn(u64, u64) -> Finding| {
        // Unreadable entries have been reported already; they are not missing.
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

fn links(export: &Export, sound: &BTreeMap<u64, &ExportedEntry>, findings: &mut Vec<Finding>) {
    let entries: Vec<&ExportedEntry> = sound.values().copied().collect();
    let mut found = Vec::new();
    // Whether the successor's own hash matches the one in its successor.
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
            // A missing closing line is reported below.
            (None, None) => None,
        };
        successor_holds = problem.is_none();
        found.extend(problem);
    }
    findings.extend(found.into_iter().rev());

    for pair in entries.windows(2) {
        // Times count from boot.
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
