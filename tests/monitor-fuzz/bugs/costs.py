"""What things cost.

Each bug: what is wrong, the file, a text in it and its replacement; further pairs of texts may follow.
"""

BUGS = [
    (
        "a restart gives nothing back",
        "monitor/reports/ends.rs",
        "            self.gate.accounts.settle(generation.reservation, 0, now);\n",
        "",
    ),
    (
        "a request is settled twice",
        "monitor/reports/ends.rs",
        "self.gate.accounts.settle(reservation, used, now);",
        "self.gate.accounts.settle(reservation, used, now);\n"
        "        self.gate.accounts.settle(reservation, used, now);",
    ),
    (
        "a refused request keeps its reservation",
        "monitor/text.rs",
        "            self.gate.accounts.settle(reservation, 0, now);\n            return Err(failure);",
        "            return Err(failure);",
    ),
    (
        "a period of a budget is two periods long",
        "quota.rs",
        "if periods > 0 {",
        "if periods > 1 {",
    ),
    (
        "a request does not give back its share of the log",
        "monitor/reports/ends.rs",
        "self.ledger.give_back(entry.user, unused);",
        "self.ledger.give_back(entry.user, unused.min(0));",
    ),
]
