"""What is recorded.

Each bug: what is wrong, the file, a text in it and its replacement; further pairs of texts may follow.
"""

BUGS = [
    (
        "an eviction is recorded after the admission that needed it",
        "monitor/text.rs",
        "        if let Some(evicted) = self\n            .gate\n            .sessions\n"
        "            .begin_turn(place, owner, name, adapter, now)\n        {\n"
        "            self.record_eviction(&evicted, now);\n        }\n",
        "        let evicted = self.gate.sessions.begin_turn(place, owner, name, adapter, now);\n",
        "        self.ledger.record_with(record, text, &mut self.work, now);\n",
        "        self.ledger.record_with(record, text, &mut self.work, now);\n"
        "        if let Some(evicted) = evicted {\n            self.record_eviction(&evicted, now);\n        }\n",
    ),
    (
        "an entry's text is not hashed",
        "log.rs",
        "self.head = hash(&record, text);",
        "self.head = hash(&record, &[]);",
    ),
    (
        "a token without text is not in the output's hash",
        "generation.rs",
        "        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);\n",
        "        if text.is_empty() {\n            return;\n        }\n"
        "        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);\n",
    ),
    (
        "violations fill the log, one a second",
        "repeats.rs",
        "false if pause_us(self.pauses) < RARELY_US => self.pauses.saturating_add(1),",
        "false if pause_us(self.pauses) < RARELY_US => self.pauses,",
    ),
    (
        "the count of repeated events is one short",
        "repeats.rs",
        "u64::from(core::mem::take(&mut self.count))",
        "u64::from(core::mem::take(&mut self.count)).saturating_sub(1).max(1)",
    ),
]
