"""What clients are told.

Each bug: what is wrong, the file, a text in it and its replacement; further pairs of texts may follow.
"""

BUGS = [
    (
        "a client is not signalled",
        "client.rs",
        "    *signal |= sent;\n    sent",
        "    sent",
    ),
    (
        "a client that waits for room is not signalled",
        "client.rs",
        "core::mem::take(&mut self.signal) | owed",
        "core::mem::take(&mut self.signal) | (owed & false)",
    ),
    (
        "a fault that finds no room is never told",
        "notices.rs",
        "            if !tell(&Event::Fault { fault, count }) {\n                return;\n            }\n            self.fault = None;",
        "            tell(&Event::Fault { fault, count });\n            self.fault = None;",
    ),
    (
        "a client that is bound to formats is told the address of a fault",
        "notices.rs",
        "            (fault.ip, fault.address) = (0, 0);",
        "            fault.ip = 0;",
    ),
    (
        "a client that is bound to formats is told inference's words about a failed load",
        "notices.rs",
        "                true => (Failure::of(failure.code), &[][..]),",
        "                true => (*failure, &detail[..]),",
    ),
    (
        "faults that a client was not told of are forgotten",
        "notices.rs",
        "Some((fault, before.saturating_add(1)))",
        "Some((fault, before.saturating_add(1).min(1)))",
    ),
    (
        "a client is told that inference serves while it is restarted again",
        "notices.rs",
        "        self.recovered = None;\n    }\n\n    /// Audit's own load has failed.",
        "    }\n\n    /// Audit's own load has failed.",
    ),
    (
        "a client that the policy does not know is told that it is the first user",
        "monitor/delivery.rs",
        "let user = peer.identity.map(|it| self.gate.describe(it.user));",
        "let user = Some(self.gate.describe(peer.user()));",
    ),
    (
        "lists take the whole ring of a client",
        "monitor/delivery.rs",
        "peer.room() > LISTS_LEAVE",
        "peer.room() > LISTS_LEAVE.min(0)",
    ),
    (
        "a watch or a check that is cancelled gets no end",
        "client.rs",
        "if let Some((request, event)) = &ended {",
        "if let Some((request, event)) = &ended\n            && *event != Event::Done\n        {",
    ),
    (
        "a reading of the log that is cancelled gets no end",
        "client.rs",
        "if let Some((request, event)) = &ended {",
        "if let Some((request, event)) = &ended\n            && !matches!(event, Event::LogEnd(_))\n        {",
    ),
    (
        "the end of a list is told twice",
        "monitor/lists.rs",
        "                self.clients.tell(client, request, &listed(*next));\n                Step::Over",
        "                self.clients.tell(client, request, &listed(*next));\n"
        "                self.clients.tell(client, request, &listed(*next));\n                Step::Over",
    ),
    (
        "a reading of the log continues past its end",
        "monitor/lists.rs",
        "let is_asked_for = |sequence| reading.follow || sequence < reading.until;",
        "let is_asked_for = |sequence| reading.follow || sequence < u64::MAX;",
    ),
    (
        "a login leaves the previous user's lists open",
        "monitor/users.rs",
        "                    while peer.end_list(None, &self.ledger.log) {}\n                }\n                let record",
        "                }\n                let record",
    ),
    (
        "a load that is refused after its verification gets no answer",
        "monitor/loads.rs",
        "        self.end(index, End::failed(failure, name.as_str()), 0);\n        if is_own {",
        "        if let Some(entry) = self.table.get_mut(index)\n"
        "            && let Some(client) = entry.client()\n        {\n"
        "            entry.origin = Origin::Forgotten { client };\n        }\n"
        "        self.end(index, End::failed(failure, name.as_str()), 0);\n        if is_own {",
    ),
]
