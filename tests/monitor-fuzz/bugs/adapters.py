"""Adapters and fine-tuning.

Each bug: what is wrong, the file, a text in it and its replacement; further pairs of texts may follow.
"""

BUGS = [
    (
        "a session continues with another adapter",
        "monitor/text.rs",
        "Some(_) if wanted != began => Err(Failure::of(ErrorCode::OtherAdapter)),",
        "Some(_) if wanted != began => Ok(wanted),",
    ),
    (
        "sessions stay when their adapter is dropped",
        "monitor/adapters/dropping.rs",
        "            self.gate.sessions.end_with_adapter(place);\n",
        "",
    ),
    (
        "an adapter that a request uses is dropped",
        "monitor/adapters/dropping.rs",
        "if uses > 0 {",
        "if uses > 8 {",
    ),
    (
        "the system serves before adapters have come back",
        "monitor/reports.rs",
        "        self.end(index, End::Loaded { name, info }, bytes);\n        if is_own {\n"
        "            self.restore_adapters(now);\n",
        "        self.end(index, End::Loaded { name, info }, bytes);\n        if is_own {\n"
        "            self.end_own_load(now);\n",
    ),
    (
        "adapters stay loaded when another model is loaded",
        "monitor/reports.rs",
        "            self.gate.sessions.end_all();\n            self.places.clear_all();\n",
        "            self.gate.sessions.end_all();\n",
    ),
    (
        "an adapter of another model is loaded",
        "monitor/adapters.rs",
        "Some(made) if made.base != base =>",
        "Some(made) if made.base == [0; 32] =>",
    ),
    (
        "fewer tokens are reserved than can be used",
        "monitor/tuning.rs",
        "let reservation = self.gate.accounts.reserve(user, most, now);",
        "let reservation = self.gate.accounts.reserve(user, most.min(9), now);",
    ),
    (
        "a training that has failed is charged",
        "monitor/tuning/ends.rs",
        "            self.gate.accounts.settle(reservation, 0, now);\n",
        "            self.gate.accounts.settle(reservation, 1, now);\n",
    ),
    (
        "a report of more tokens than the data have is accepted",
        "tuning.rs",
        "            && new.tokens <= self.most_tokens();",
        "            && new.tokens <= u64::MAX;",
    ),
    (
        "a gap between two parts of an adapter is accepted",
        "tuning.rs",
        "offset == self.received as u64",
        "offset >= self.received as u64",
    ),
    (
        "the adapter of a cancelled training is kept",
        "tuning.rs",
        "Ok(is_whole && !is_to_stop)",
        "Ok(is_whole)",
    ),
    (
        "the last bytes of an adapter are not signed",
        "shelf.rs",
        "            let left = space.bytes.saturating_sub(done);\n",
        "            let left = space.bytes.saturating_sub(done).saturating_sub(1);\n",
    ),
    (
        "the second adapter overwrites the first",
        "shelf.rs",
        "let behind = taken().map(|space| space.offset);",
        "let behind = taken().skip(1).map(|space| space.offset);",
    ),
    (
        "a third adapter is written into a place that is too short",
        "shelf.rs",
        "let end = behind.filter(|at| *at >= begin).min();",
        "let end = behind.filter(|at| *at >= begin).max();",
    ),
    (
        "an export bypasses the egress cap",
        "monitor/lists.rs",
        "        self.egress.pass(cost, now);\n",
        "",
    ),
    (
        "an export ends a word too early",
        "monitor/lists.rs",
        "let left = made.space.bytes.saturating_sub(*offset);",
        "let left = made.space.bytes.saturating_sub(*offset).saturating_sub(8);",
    ),
    (
        "requests are admitted during a training that needs all memory",
        "monitor/text.rs",
        "if self.is_training_alone() {",
        "if self.is_training_alone() && prompt.is_empty() {",
    ),
    (
        "a model is loaded during a training",
        "monitor/loads.rs",
        "if self.table.iter().any(|it| it.running_tuning().is_some()) {",
        "if self.table.iter().any(|it| it.running_tuning().is_some() && it.is_over()) {",
    ),
    (
        "progress is told twice",
        "monitor/delivery.rs",
        "                tuning.is_progress_due = false;\n",
        "                tuning.is_progress_due = tuning.received == 8;\n",
    ),
]
