"""What leaves inference, and in whose turn.

Each bug: what is wrong, the file, a text in it and its replacement; further pairs of texts may follow.
"""

BUGS = [
    (
        "text of inference is not charged to the egress cap",
        "monitor/delivery.rs",
        "        if bytes > 0 {\n            self.egress.pass(bytes, now);\n",
        "        if bytes > 0 {\n",
    ),
    (
        "the egress cap is charged only for the payload",
        "egress.rs",
        "EVENT_BYTES.saturating_add(payload as u64)",
        "payload as u64",
    ),
    (
        "the egress cap counts what passes and holds nothing back",
        "egress.rs",
        "match self.debt == 0 && self.bucket.holds(bytes, now) {",
        "match self.debt == 0 || self.bucket.holds(bytes, now) {",
    ),
    (
        "the egress cap lets an event pass that is too large",
        "egress.rs",
        "self.bucket.holds(bytes, now)",
        "self.bucket.holds(1, now)",
    ),
    (
        "an eviction is not charged to the egress cap",
        "monitor/reports.rs",
        "        self.egress.pass(bytes, now);\n        if let Some(session) = self.gate.sessions.end(slot",
        "        let _ = bytes;\n        if let Some(session) = self.gate.sessions.end(slot",
    ),
    (
        "a client that the egress cap has kept waiting is not the next",
        "client.rs",
        "        self.first_of_egress = client;",
        "        let _ = client;",
    ),
    (
        "ends of requests go before the text of others that wait for the egress cap",
        "monitor/delivery.rs",
        "            let costs = !entry.is_own_word();",
        "            let costs = !entry.is_over();",
    ),
    (
        "events for a client that does not read block the egress cap for others",
        "monitor/delivery.rs",
        "is_none_or(|peer| peer.room() == 0)",
        "is_none_or(|peer| peer.room() > 99)",
    ),
    (
        "a client is always told of its first request first, whichever it was told of last",
        "monitor/delivery.rs",
        "            let turn = (costs, entry.number.wrapping_sub(last).wrapping_sub(1));",
        "            let turn = (costs, entry.number.wrapping_sub(last.min(0)));",
    ),
    (
        "a request is told how long the egress cap has held text back since boot, not since its admission",
        "monitor/reports/ends.rs",
        "                .saturating_sub(generation.held_before_us),\n",
        "                .saturating_sub(generation.held_before_us.min(0)),\n",
    ),
    (
        "the time for which the egress cap holds text back is not counted",
        "monitor/delivery.rs",
        "self.egress.note_held(self.egress_at_us.is_some(), now);",
        "self.egress.note_held(false, now);",
    ),
]
