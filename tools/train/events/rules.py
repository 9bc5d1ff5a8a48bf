"""What is right: the class of an event, from what happened, what is known of the thing it happened to, and the hours.

The tables are the whole of the judgement; nothing else in this package knows a class. A rule is a class, or two: while the
site is open, and while it is closed. No class follows from what happened alone: each fact has two classes or more (a test
holds this).
"""

CLASSES = ("ignore", "log", "warn", "alarm")
IGNORE, LOG, WARN, ALARM = CLASSES

PLACES = ("north", "south", "east", "west", "cellar", "roof", "lab", "store", "office", "garage", "kitchen", "hall")
USERS = ("anna", "ben", "carla", "david", "emma", "frank", "grace", "henry", "irene", "jonas")
LINKS = ("red", "blue", "green", "gold", "black", "white", "grey", "brown")

THINGS = {"door": PLACES, "sensor": PLACES, "login": USERS, "temperature": PLACES, "link": LINKS}
"""What an event can happen to, by kind."""

PLAIN = "plain"
"""The state of a thing of which a line says nothing."""

RULES = {
    "door": {
        PLAIN: {"badge": (IGNORE, LOG), "no badge": (WARN, ALARM), "left open": (LOG, WARN), "forced": ALARM},
        "repair": {"badge": IGNORE, "no badge": (LOG, WARN), "left open": (IGNORE, LOG), "forced": WARN},
        "shut": {"badge": WARN, "no badge": ALARM, "left open": ALARM, "forced": ALARM},
    },
    "sensor": {
        PLAIN: {"motion": (IGNORE, ALARM), "smoke": ALARM, "smoke gone": WARN, "water": WARN, "battery": LOG},
        "test": {"motion": IGNORE, "smoke": LOG, "smoke gone": IGNORE, "water": LOG, "battery": IGNORE},
        "faulty": {"motion": (IGNORE, LOG), "smoke": WARN, "smoke gone": LOG, "water": LOG, "battery": IGNORE},
    },
    "login": {
        PLAIN: {"at once": (IGNORE, LOG), "after one": (IGNORE, LOG), "after many": ALARM, "failed once": IGNORE, "failed often": WARN},
        "away": {"at once": ALARM, "after one": ALARM, "after many": ALARM, "failed once": LOG, "failed often": ALARM},
        "new password": {"at once": IGNORE, "after one": IGNORE, "after many": (LOG, WARN), "failed once": IGNORE, "failed often": LOG},
    },
    # The line gives a limit; the state is whether the reading lies above it.
    "temperature": {
        "below": {"first": IGNORE, "rising": LOG, "falling": IGNORE, "steady": IGNORE},
        "above": {"first": WARN, "rising": ALARM, "falling": LOG, "steady": WARN},
    },
    "link": {
        PLAIN: {"down": ALARM, "flapping": WARN, "slow": LOG, "back": LOG},
        "spare": {"down": WARN, "flapping": LOG, "slow": IGNORE, "back": IGNORE},
        "works": {"down": LOG, "flapping": IGNORE, "slow": IGNORE, "back": IGNORE},
    },
}
"""By kind, state of the thing, and fact."""

LIMITS = (30, 40, 50, 60, 70)
"""Degrees. A reading lies at most `FAR` from the limit, and never on it."""
FAR = 20


def right_class(kind: str, state: str, fact: str, is_open: bool) -> str:
    """The class of an event."""
    rule = RULES[kind][state][fact]
    return rule if isinstance(rule, str) else rule[0 if is_open else 1]
