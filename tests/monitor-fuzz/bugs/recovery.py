"""Restarts, deadlines and the timer.

Each bug: what is wrong, the file, a text in it and its replacement; further pairs of texts may follow.
"""

BUGS = [
    (
        "a restart ends no requests",
        "monitor/recovery.rs",
        "        self.end_requests(code, now);\n",
        "",
    ),
    (
        "audit restarts inference once more than the policy allows",
        "link.rs",
        "self.restarts_us.len() >= most.min(self.restarts_us.capacity())",
        "self.restarts_us.len() > most.min(self.restarts_us.capacity())",
    ),
    (
        "the next epoch is the next number",
        "link.rs",
        "last => self.ring.epoch_after(last),",
        "last => last.wrapping_add(1).max(1),",
    ),
    (
        "a stop is forgotten if inference's ring has no room",
        "monitor/text.rs",
        "*stop = if sent { Stop::Asked } else { Stop::Owed };",
        "*stop = if sent { Stop::Asked } else { Stop::No };",
    ),
    (
        "the grace period counts from the deadline",
        "monitor/recovery.rs",
        "asked.then_some(now.saturating_add(grace_us))",
        "asked.then_some(entry.deadline_us.saturating_add(grace_us))",
    ),
    (
        "the grace period runs although inference was not asked to stop",
        "monitor/recovery.rs",
        "asked.then_some(now.saturating_add(grace_us))",
        "Some(now.saturating_add(grace_us)).filter(|_| asked || !asked)",
    ),
    (
        "the timer is armed by the time at the beginning of the wake-up",
        "monitor/mod.rs",
        "        port.arm_timer(self.next_wake_up(now, pause, beat));",
        "        port.arm_timer(self.next_wake_up(began, pause, beat));",
    ),
    (
        "the timer is not armed for deadlines",
        "monitor/mod.rs",
        "let next = deadlines.chain(self.egress_at_us).chain(slice);",
        "let next = deadlines.take(0).chain(self.egress_at_us).chain(slice);",
    ),
    (
        "the timer is not armed for events that the egress cap holds back",
        "monitor/mod.rs",
        "let next = deadlines.chain(self.egress_at_us).chain(slice);",
        "let next = deadlines.chain(slice);",
    ),
    (
        "the timer may ask for the next wake-up at once",
        "monitor/mod.rs",
        "next.map(|at| at.max(now.saturating_add(GAP_US)))",
        "next",
    ),
    (
        "requests that a long wake-up has left are not read later",
        "monitor/requests.rs",
        "                    self.work.goes_on();\n                    return;",
        "                    return;",
    ),
    (
        "a wake-up continues to read after it has used up its work",
        "monitor/requests.rs",
        "                if self.work.is_spent_on_requests() {",
        "                if self.work.is_spent_on_requests() && self.table.len() == usize::MAX {",
    ),
]
