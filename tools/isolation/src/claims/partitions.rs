//! T: which domains run in which time partition.
//!
//! In a time partition of its own, a domain's share of the processor depends only on the schedule: it makes no
//! difference whether another domain spins or sleeps. So the engine must share its partition with nobody, and a client
//! must not share one with the mediator, which works for all.

use super::{Finding, list};
use crate::capability::Thread;
use crate::policy::{Partition, Policy};
use crate::view::{Input, Turn, View};
use std::collections::BTreeSet;

pub(super) fn apart(view: &View, policy: &Policy, finding: &mut Finding) {
    if policy.partition.is_empty() {
        if !view.schedule.is_empty() {
            let turns = view.schedule.len();
            finding.violation(format!(
                "there is a schedule of {turns} turns, but the policy has no [[partition]]"
            ));
        }
        for thread in view.threads.iter().filter(|thread| thread.partition != 0) {
            finding.violation(format!(
                "{} is in partition {}, but the policy has no [[partition]]",
                thread.subject, thread.partition
            ));
        }
        finding.evidence("one partition, without a schedule");
        return;
    }
    members(policy, finding);
    for thread in &view.threads {
        place(view, policy, thread, finding);
    }
    names(view, policy, finding);
    if view.schedule.is_empty() {
        finding.violation(
            "there is no schedule, but the policy has time partitions: all domains would share the processor".to_owned(),
        );
        return;
    }
    for partition in &policy.partition {
        turns(view, policy, partition, finding);
    }
}

/// Checks the policy itself: nobody is in two partitions, and those that must be apart are.
fn members(policy: &Policy, finding: &mut Finding) {
    let mut ids = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for partition in &policy.partition {
        let Partition { name, id, .. } = partition;
        if !ids.insert(id) {
            finding.violation(format!(
                "the policy has two partitions with id {id}, one of them '{name}'"
            ));
        }
        let members: Vec<_> = policy.domains(&partition.domains).collect();
        for member in &members {
            if !seen.insert(*member) {
                finding.violation(format!(
                    "the policy names {member} in two partitions, one of them '{name}'"
                ));
            }
            let mediator = &policy.mediation.mediator;
            let others = members.iter().filter(|other| *other != member);
            let unwanted: Vec<_> = others
                .filter(|other| {
                    *member == policy.mediation.engine
                        || policy.is_client(member) && **other == mediator.as_str()
                })
                .collect();
            if !unwanted.is_empty() {
                finding.violation(format!(
                    "{member} shares partition '{name}' with {}, and could tell from its own progress when they run",
                    list(unwanted)
                ));
            }
        }
    }
}

/// Checks that a thread is in the partition that the policy gives it.
fn place(view: &View, policy: &Policy, thread: &Thread, finding: &mut Finding) {
    let subject = &thread.subject;
    let line = match view.input {
        Input::Description if thread.line > 0 => format!(" (line {})", thread.line),
        _ => String::new(),
    };
    let is_its = |partition: &&Partition| {
        let mut members = policy.domains(&partition.domains);
        members.any(|member| member == subject.name())
    };
    match policy.partition.iter().find(is_its) {
        None => finding.violation(format!(
            "{subject}{line} has no [[partition]] in the policy"
        )),
        Some(must) if must.id != thread.partition => finding.violation(format!(
            "{subject}{line} runs in partition {}, not in {} ('{}')",
            thread.partition, must.id, must.name
        )),
        Some(_) => {}
    }
}

/// Checks the partitions' names in a description. An image does not have them.
fn names(view: &View, policy: &Policy, finding: &mut Finding) {
    for (id, name) in &view.partition_names {
        match policy.partition.iter().find(|it| it.id == *id) {
            None => finding.violation(format!(
                "partition '{name}' (id {id}) has no [[partition]] in the policy"
            )),
            Some(must) if must.name != *name => finding.violation(format!(
                "partition {id} is called '{name}', but the policy calls it '{}'",
                must.name
            )),
            Some(_) => {}
        }
    }
    for turn in &view.schedule {
        if !policy.partition.iter().any(|it| it.id == turn.partition) {
            finding.violation(format!(
                "a turn of {} µs is partition {}'s, which the policy does not have",
                turn.duration_us, turn.partition
            ));
        }
    }
}

/// Checks that a partition gets its part of the time, and does not wait too long for it.
fn turns(view: &View, policy: &Policy, partition: &Partition, finding: &mut Finding) {
    let Partition { name, id, .. } = partition;
    let whole = sum(view.schedule.iter());
    let own = sum(view.schedule.iter().filter(|turn| turn.partition == *id));
    let members = list(policy.domains(&partition.domains));
    if own == 0 {
        finding.violation(format!(
            "partition '{name}' has no turn in the schedule: {members} would never run"
        ));
        return;
    }
    if own.saturating_mul(100) < whole.saturating_mul(partition.least_percent) {
        finding.violation(format!(
            "partition '{name}' has {own} of {whole} µs, less than {} %",
            partition.least_percent
        ));
    }
    let wait = longest_wait(&view.schedule, *id);
    if wait > partition.most_wait_us {
        finding.violation(format!(
            "partition '{name}' waits {wait} µs for its turn, more than {} µs",
            partition.most_wait_us
        ));
    }
    finding.evidence(format!(
        "{members} in '{name}': {own} of {whole} µs, after at most {wait} µs"
    ));
}

fn sum<'a>(turns: impl Iterator<Item = &'a Turn>) -> u64 {
    turns.fold(0, |sum, turn| sum.saturating_add(turn.duration_us))
}

/// The longest time from the end of one of its turns to the start of the next, around the cycle.
fn longest_wait(schedule: &[Turn], partition: u8) -> u64 {
    let (mut longest, mut wait) = (0, 0_u64);
    // Two cycles, so that a wait across the end of the cycle is included.
    for turn in schedule.iter().chain(schedule) {
        if turn.partition == partition {
            wait = 0;
        } else {
            wait = wait.saturating_add(turn.duration_us);
        }
        longest = longest.max(wait);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::{Turn, longest_wait};

    #[test]
    fn the_longest_wait_is_counted_around_the_end_of_the_cycle() {
        let schedule =
            [(1, 3), (0, 1), (2, 10), (0, 1), (2, 4)].map(|(partition, duration_us)| Turn {
                partition,
                duration_us,
            });
        assert_eq!(longest_wait(&schedule, 0), 10);
        assert_eq!(longest_wait(&schedule, 1), 16);
        assert_eq!(longest_wait(&schedule, 2), 4);
    }
}
