"""A log on a disk, and models that come from it.

Each bug: what is wrong, the file, a text in it and its replacement; further pairs of texts may follow.
"""

BUGS = [
    (
        "inference is told of a request at once",
        "journal/mod.rs",
        "matches!((&self.state, self.write), (State::Open(_), LogWrite::Ahead))",
        "false",
    ),
    (
        "a client is told of an end that is not durable",
        "monitor/journal.rs",
        "|| entry.due() > 1 || files.journal.may_tell_end(entry.number)",
        "|| entry.due() > 1 || files.journal.has_begun()",
    ),
    (
        "an entry counts as durable before it is written",
        "journal/writing.rs",
        "    pub(super) const fn durable(&self) -> (u64, Hash) {\n        self.durable\n",
        "    pub(super) const fn durable(&self) -> (u64, Hash) {\n        self.newest\n",
    ),
    (
        "an entry that is written counts as flushed",
        "journal/writing.rs",
        "        let sectors = sectors.min(piece.sectors);\n",
        "        let sectors = sectors.min(piece.sectors);\n        self.durable = self.newest;\n",
    ),
    (
        "nothing is refused after the log is lost",
        "journal/mod.rs",
        "(State::Lost(failure), LogFailure::Refuse) => {",
        "(State::Lost(failure), LogFailure::Refuse) if failure.limit == u64::MAX => {",
    ),
    (
        "requests are refused after the log is lost, whatever the policy says",
        "journal/mod.rs",
        "(State::Lost(failure), LogFailure::Refuse) => {",
        "(State::Lost(failure), _) => {",
    ),
    (
        "a request that waits for the log continues when the log is lost",
        "journal/mod.rs",
        "Some((held, self.refusal().is_none()))",
        "Some((held, true))",
    ),
    (
        "an unrecorded end is told when the log is lost",
        "monitor/journal.rs",
        "let unrecorded = is_end && files.journal.is_unrecorded(entry.number);",
        "let unrecorded = is_end && files.journal.is_unrecorded(u32::MAX);",
    ),
    (
        "a reboot refills the budgets",
        "monitor/journal.rs",
        "            gate.accounts.carry(user, used, elapsed_us, now);\n",
        "            let _ = (used, elapsed_us);\n",
    ),
    (
        "requests in flight when the power failed are not charged",
        "journal/usage.rs",
        "        account.used = account.used.saturating_add(record.value);\n",
        "",
    ),
    (
        "the log starts over at each boot",
        "monitor/journal.rs",
        "            self.ledger.log.follow(sequence, head);\n",
        "            let _ = (sequence, head);\n",
    ),
    (
        "the slot of the model in service is written",
        "files/card.rs",
        "usize::from(offset == Some(0))",
        "usize::from(offset.is_some_and(|at| at > 0))",
    ),
    (
        "a file whose signature is wrong is loaded",
        "files/card.rs",
        "if !is_signed(&reading.sha256, &reading.signature, policy) && !is_ours() {",
        "if !is_signed(&reading.sha256, &reading.signature, policy) && !is_ours() && reading.bytes > 800 {",
    ),
    (
        "not everything that is copied of a file is hashed",
        "files/card.rs",
        "                reading.hasher.update(bytes);\n",
        "                reading.hasher.update(if reading.done == 0 { bytes } else { &[] });\n",
    ),
    (
        "audit waits for a silent files domain",
        "files/link.rs",
        "None if self.until_us <= now => Failure",
        "None if self.until_us.saturating_add(1 << 60) <= now => Failure",
    ),
]
